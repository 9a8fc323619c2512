"""Units: how they are written, what is refused, and where an equation that does not close is found."""

import inspect
import math
from typing import Annotated, Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import pytest

from twinjax.models.base import AbstractModel, check_units
from twinjax.units import (
    DIMENSIONLESS,
    Amount,
    Bounds,
    Clearance,
    Concentration,
    Fraction,
    MolarConcentration,
    MolarMass,
    Number,
    Rate,
    Real,
    Unit,
    UnitError,
    Volume,
    declared,
    interpret,
)


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("mg/L", "mg*L^-1"),
        ("L/h", "1/h*L"),
        ("mg*h/L", "h*mg/L"),
        ("mg/L/h", "mg/L * 1/h"),
        ("mg^0.5", "mg/mg^0.5"),
        ("1", "mg/mg"),
        ("mM", "nmol/uL"),
        ("uF", "uA*ms/mV"),
        ("mS*mV", "uA"),
        ("uM*L", "umol"),
    ],
)
def test_units_that_mean_the_same(text, same):
    assert Unit(text) == Unit(same)
    assert hash(Unit(text)) == hash(Unit(same))
    assert Unit(str(Unit(text))) == Unit(text)


def test_unit_arithmetic():
    assert Unit("mg") / Unit("L") == Unit("mg/L")
    assert Unit("L/h") * Unit("mg/L") == Unit("mg/h")
    assert (Unit("mg/L") ** 2) == Unit("mg^2/L^2")
    assert Unit("mg") / Unit("mg") == DIMENSIONLESS
    assert Unit("mg") != Unit("umol")
    assert str(DIMENSIONLESS) == "1"
    assert str(Unit("1/h")) == "1/h"
    assert repr(Unit("mg/L")) == 'Unit("mg/L")'
    assert Unit("mg") != "mg"


@pytest.mark.parametrize(
    ("text", "instead"),
    [("g", "mg"), ("ug/L", "mg"), ("mL", "L"), ("1/min", "h"), ("day", "h"), ("s", "ms"), ("mmol/L", "umol")],
)
def test_another_scale_is_refused_and_the_one_to_use_named(text, instead):
    with pytest.raises(ValueError, match=f"another scale of .*{instead}.*convert where the number enters"):
        Unit(text)


@pytest.mark.parametrize("text", ["", "mg L", "mg//L", "*mg", "mg/", "mg^", "3*mg", "mg+L", "mg^0.5.5"])
def test_nonsense_is_refused(text):
    with pytest.raises(ValueError, match=r"cannot read the unit"):
        Unit(text)


def test_unknown_symbol_is_refused_with_those_known():
    with pytest.raises(ValueError, match="unknown symbol 'furlong'; known are h, ms, L"):
        Unit("furlong/h")


class Leaves(eqx.Module):
    inner: dict[str, Volume]
    pair: tuple[Rate, Fraction]
    plain: Any
    real: Real
    nothing: Rate | None = None
    static: str = eqx.field(static=True, default="x")


def test_declared_reads_units_and_bounds_by_name():
    found = declared(Leaves({"a": 1.0}, (1.0, 0.5), 2.0, -1.0))
    assert {n: str(u) for n, (u, _) in found.items()} == {
        "inner.a": "L",
        "pair.0": "1/h",
        "pair.1": "1",
        "plain": "None",
        "real": "1",
    }
    assert found["inner.a"][1] == Bounds(0.0, math.inf)
    assert found["pair.1"][1] == Bounds(0.0, 1.0)
    assert found["real"][1] == Bounds(-math.inf, math.inf)


# -------------------------------------------------------------------------------------------------- rules of arithmetic


def units_of(f, *units):
    """Unit of f's result as text, "any" if it fits every unit."""
    closed = jax.make_jaxpr(f)(*[jnp.asarray(1.5) for _ in units])
    (result,) = interpret(closed, [Unit(u) for u in units])
    return "any" if result is None else str(result)


@pytest.mark.parametrize(
    ("f", "units", "want"),
    [
        (lambda a, b: a * b / (a + a), ("mg", "L"), "L"),
        (lambda a, b: a / b, ("mg", "L"), "mg/L"),
        (lambda a: a**2, ("mg",), "mg^2"),
        (lambda a: a**0.5, ("mg",), "mg^0.5"),
        (lambda a: jnp.sqrt(a), ("mg",), "mg^0.5"),
        (lambda a: jnp.square(a), ("mg",), "mg^2"),
        (lambda a, b: (a / b) ** 0.7, ("mg", "mg"), "1"),
        (lambda a, b, g: (a / b) ** g, ("mg", "mg", "1"), "1"),
        (lambda a, k: jnp.exp(-k * a), ("h", "1/h"), "1"),
        (lambda a, b: jnp.where(a > 0.0, a, b), ("mg", "mg"), "mg"),
        (lambda a: jnp.maximum(a, 0.0), ("mg",), "mg"),
        (lambda a: jnp.minimum(a, jnp.inf), ("mg",), "mg"),
        (lambda a, b: jnp.where(a > b, 1.0, 2.0), ("mg", "mg"), "1"),
        (lambda a: 2.0 * a + 0.0, ("mg",), "mg"),
        (lambda a: 1.0 - a, ("1",), "1"),
        (lambda a: jax.nn.sigmoid(a) + jax.nn.softplus(a), ("1",), "1"),
        (lambda a: jnp.abs(-a), ("mg",), "mg"),
        (lambda a: 0.0 * a, ("mg",), "any"),
        (lambda a: jnp.zeros_like(a), ("mg",), "any"),
        (lambda a, b: jax.jit(lambda x, y: x * y)(a, b), ("mg/L", "L"), "mg"),
    ],
)
def test_units_of_arithmetic(f, units, want):
    assert units_of(f, *units) == want


@pytest.mark.parametrize(
    ("f", "units", "message"),
    [
        (lambda a, b: a + b, ("mg", "L"), "add of mg and L"),
        (lambda a, b: a - b, ("mg/L", "umol/L"), "sub of mg/L and umol/L"),
        (lambda a: a + 1.0, ("mg",), "add of mg and 1"),
        (lambda a: jnp.exp(a), ("mg",), "exp of mg and 1"),
        (lambda a, g: a**g, ("mg", "1"), "power of mg and 1"),
        (lambda a, g: a**g, ("1", "h"), "power of 1 and h"),
        (lambda a, b: jnp.where(a > 0.0, a, b), ("mg", "L"), "where of"),
        (lambda a, b: jnp.where(a > b, 1.0, 2.0), ("mg", "L"), "gt of mg and L"),
        (lambda a, b: jnp.maximum(a, b), ("mg", "L"), "max of mg and L"),
        (lambda a: jnp.maximum(a, 1e-6), ("mg",), "max of mg and 1"),
        (lambda a, b: jax.jit(lambda x, y: x + y)(a, b), ("mg", "L"), "add of mg and L"),
    ],
)
def test_units_that_do_not_close(f, units, message):
    with pytest.raises(UnitError, match=message):
        units_of(f, *units)


@pytest.mark.parametrize(
    "f",
    [
        lambda a: jnp.stack([a, a]).sum(),
        lambda a: jnp.dot(jnp.ones(2) * a, jnp.ones(2)),
        lambda a: jnp.sort(a[None])[0],
    ],
)
def test_an_unknown_primitive_is_an_error(f):
    with pytest.raises(UnitError, match="is no elementwise arithmetic on named scalars"):
        units_of(f, "mg")


# --------------------------------------------------------------------------------------------------------------- models


class Plain(AbstractModel):
    """What the models below vary."""

    cl: Clearance
    v: Volume

    class State(eqx.Module):
        central: Amount

    class Output(eqx.Module):
        plasma: Concentration

    def derivative(self, t, y, u):
        return self.State(central=u.central - self.cl * y.central / self.v)

    def output(self, t, y, u):
        return self.Output(plasma=y.central / self.v)

    @classmethod
    def typical(cls):
        return cls(1.0, 2.0)


def test_check_returns_the_units_of_parameters():
    assert check_units(Plain.typical()) == {"cl": "L/h", "v": "L"}


class Unclosed(Plain):
    def derivative(self, t, y, u):
        return self.State(central=u.central - self.cl * y.central)


class WrongOutput(Plain):
    def output(self, t, y, u):
        return self.Output(plasma=y.central * self.v)


class WrongRate(Plain):
    def derivative(self, t, y, u):
        return self.State(central=-self.cl * y.central)


class WrongInitial(Plain):
    def initial(self):
        return self.State(central=self.v)


class Timed(Plain):
    def derivative(self, t, y, u):
        return self.State(central=u.central * jnp.exp(-t) - self.cl * y.central / self.v)


def test_error_names_file_and_line():
    line = inspect.getsourcelines(Unclosed.derivative)[1] + 1
    with pytest.raises(UnitError, match=rf"sub of mg/h and L\*mg/h, at .*test_units.py:{line} \(.*derivative\)"):
        check_units(Unclosed.typical())


def test_error_names_the_line_of_a_called_function():
    def added(a, b):
        return a + b

    class Calls(Plain):
        def output(self, t, y, u):
            return self.Output(plasma=added(y.central, self.v) / self.v)

    with pytest.raises(UnitError, match=rf"test_units.py:{inspect.getsourcelines(added)[1] + 1} \(.*added\)"):
        check_units(Calls.typical())


def test_results_must_come_out_as_declared():
    with pytest.raises(UnitError, match=r"WrongOutput.output: plasma is declared in mg/L but comes out in mg\*L"):
        check_units(WrongOutput.typical())
    with pytest.raises(UnitError, match=r"WrongRate.derivative: central is declared in mg/h but comes out in L\*mg/h"):
        check_units(WrongRate.typical())
    with pytest.raises(UnitError, match=r"WrongInitial.initial: central is declared in mg but comes out in L"):
        check_units(WrongInitial.typical())


def test_time_has_its_unit():
    with pytest.raises(UnitError, match="exp of h and 1"):
        check_units(Timed.typical())


def test_two_scales_of_one_dimension_do_not_meet():
    class Mixed(Plain):
        delay: Annotated[float, Unit("ms")] = 1.0

    with pytest.raises(ValueError, match=r"is in h but delay is in ms|delay is in ms but .* is in h"):
        check_units(Mixed(1.0, 2.0))

    class Cell(Plain):
        time_unit: ClassVar[Unit] = Unit("ms")

    with pytest.raises(ValueError, match="within a model time has one scale"):
        check_units(Cell.typical())


class Bridged(AbstractModel):
    """A class constant with a unit bridges mass and amount."""

    mass: ClassVar[MolarMass] = 0.18
    bare: ClassVar[float] = 0.18
    v: Volume

    class State(eqx.Module):
        central: Amount

    class Output(eqx.Module):
        plasma: MolarConcentration

    def derivative(self, t, y, u):
        return self.State(central=u.central)

    def output(self, t, y, u):
        return self.Output(plasma=y.central / self.v / self.mass)

    @classmethod
    def typical(cls):
        return cls(2.0)


class Unbridged(Bridged):
    def output(self, t, y, u):
        return self.Output(plasma=y.central / self.v / self.bare)


def test_class_constants_carry_units():
    check_units(Bridged.typical())
    assert Bridged.mass == 0.18
    with pytest.raises(UnitError, match="plasma is declared in umol/L but comes out in mg/L"):
        check_units(Unbridged.typical())


def test_constants_of_parts_and_of_bases_count():
    class Whole(Plain):
        part: Bridged = eqx.field(default_factory=Bridged.typical)

        class Output(eqx.Module):
            plasma: MolarConcentration

        def output(self, t, y, u):
            return self.Output(plasma=self.part.output(t, self.part.State(y.central), u).plasma)

    check_units(Whole(1.0, 2.0))


def test_a_failed_check_restores_class_constants():
    class Broken(Bridged):
        def output(self, t, y, u):
            return self.Output(plasma=y.central * self.mass)

    with pytest.raises(UnitError):
        check_units(Broken.typical())
    assert Bridged.mass == 0.18
    assert "mass" not in Broken.__dict__


def test_signal_units_are_checked():
    class Driven(Plain):
        ec50: MolarConcentration = 1.0

        class Input(eqx.Module):
            central: Annotated[float, Unit("mg/h")] = 0.0
            concentration: Concentration = 0.0

        class Output(eqx.Module):
            effect: Number

        def output(self, t, y, u):
            return self.Output(effect=u.concentration / self.ec50)

    with pytest.raises(UnitError, match="effect is declared in 1 but comes out in mg/umol"):
        check_units(Driven(1.0, 2.0))
