"""The laws that every model obeys, and the particulars of a few."""

import dataclasses
import functools
from typing import Annotated, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from twinjax.models import (
    REGISTRY,
    AbstractModel,
    EffectCompartment,
    EmaxEffect,
    FribergMyelosuppression,
    FullTMDD,
    InhibitionOfProduction,
    LinearEffect,
    Molar,
    OneCompartmentOral,
    OneCompartmentParallel,
    OneCompartmentTransit,
    QuasiEquilibriumTMDD,
    QuasiSteadyStateTMDD,
    SigmoidEmaxEffect,
    StimulationOfLoss,
    TwoCompartment,
    TwoCompartmentOral,
    check_units,
    coupled,
)
from twinjax.models.base import input_names, no_input, output_names, parameter_units, state_names, zeros
from twinjax.models.heart.cell import AbstractCell
from twinjax.models.pd.effect import hill
from twinjax.models.pk.tmdd_approximations import free_concentration
from twinjax.naming import bind, get, leaves, names, resolve
from twinjax.units import Amount, Concentration, Number, Rate, Unit, Volume

ALLOWED = {
    *("add", "sub", "mul", "div", "neg", "abs", "max", "min", "pow", "integer_pow", "square", "sqrt", "rsqrt", "exp"),
    *(
        "exp2",
        "log",
        "log1p",
        "expm1",
        "tanh",
        "logistic",
        "sign",
        "erf",
        "lt",
        "gt",
        "le",
        "ge",
        "eq",
        "ne",
        "and",
        "or",
    ),
    *("not", "select_n", "convert_element_type", "broadcast_in_dim", "copy"),
}


def pk_pd():
    """Plasma drives myelosuppression."""
    drives = {"pd.concentration": "pk.plasma"}
    return coupled(pk=TwoCompartmentOral.typical(), pd=FribergMyelosuppression.typical(), drives=drives)


def chain():
    """Plasma drives two direct effects and an effect site, which drives turnover; not in the order of running."""
    return coupled(
        turnover=InhibitionOfProduction.typical(),
        link=EffectCompartment.typical(),
        pk=OneCompartmentOral.typical(),
        emax=EmaxEffect.typical(),
        sigmoid=SigmoidEmaxEffect.typical(),
        drives={
            "turnover.concentration": "link.effect_site",
            "link.concentration": "pk.plasma",
            "emax.concentration": "pk.plasma",
            "sigmoid.concentration": "pk.plasma",
        },
    )


def molar():
    """Free antibody, in umol/L, drives turnover, in mg/L."""
    drives = {"pd.concentration": Molar("pk.plasma", mass=150.0)}
    return coupled(pk=QuasiSteadyStateTMDD.typical(), pd=StimulationOfLoss.typical(), drives=drives)


def nested():
    """A coupled model is a model, and may be coupled."""
    body = coupled(pk=TwoCompartment.typical(), site=EffectCompartment.typical(), drives={})
    return coupled(body=body, pd=LinearEffect.typical(), drives={"pd.concentration": "body.site.effect_site"})


MODELS = {cls.__name__: cls.typical for cls in REGISTRY} | {f.__name__: f for f in (pk_pd, chain, molar, nested)}
every_model = pytest.mark.parametrize("name", MODELS)


def draws(tree, seed, low=0.1, high=2.0):
    """The tree with every leaf drawn anew."""
    rng = np.random.default_rng(seed)
    return jax.tree.map(lambda leaf: jnp.asarray(rng.uniform(low, high)), tree)


def at_random(model, seed=0):
    """A positive state, of the size of the initial one where that is not zero, and positive inputs."""
    state = model.initial()
    scale = jax.tree.map(lambda leaf: jnp.where(leaf == 0.0, 1.0, leaf), state)
    y = jax.tree.map(jnp.multiply, scale, draws(state, seed))
    return y, draws(no_input(model), seed + 1)


def primitives(jaxpr):
    """The names of a jaxpr's primitives, those inside calls included."""
    for eqn in jaxpr.eqns:
        inner = [p for p in eqn.params.values() if hasattr(p, "eqns") or hasattr(p, "jaxpr")]
        for p in inner:
            yield from primitives(p if hasattr(p, "eqns") else p.jaxpr)
        if not inner:
            yield eqn.primitive.name


@every_model
def test_units_close(name):
    assert "?" not in check_units(MODELS[name]()).values()


@every_model
def test_only_elementwise_arithmetic(name):
    model = MODELS[name]()
    y, u = at_random(model)
    for f in (model.derivative, model.output):
        assert set(primitives(jax.make_jaxpr(f)(0.0, y, u).jaxpr)) <= ALLOWED


@every_model
def test_lanes_equal_vmap(name):
    """The same code serves one patient and many: every leaf an array of five, or five calls."""
    model = MODELS[name]()
    arguments = (model, jnp.asarray(1.0), *at_random(model))
    rng = np.random.default_rng(3)
    lanes = jax.tree.map(lambda leaf: leaf * jnp.asarray(rng.uniform(0.5, 1.5, 5)), arguments)
    for f in ("derivative", "output"):

        def call(model, t, y, u, f=f):
            return getattr(model, f)(t, y, u)

        together, apart = call(*lanes), jax.vmap(call)(*lanes)
        assert names(together) == names(apart)
        for a, b in zip(jax.tree.leaves(together), jax.tree.leaves(apart), strict=True):
            assert a.shape == b.shape == (5,)
            np.testing.assert_allclose(a, b, rtol=1e-13, atol=1e-13 * np.abs(b).max())


@every_model
def test_shapes_and_names_agree(name):
    model = MODELS[name]()
    y, u = at_random(model)
    derivative = model.derivative(jnp.asarray(0.0), y, u)
    assert names(derivative) == state_names(model)
    assert jax.tree.structure(derivative) == jax.tree.structure(y)
    assert names(model.output(jnp.asarray(0.0), y, u)) == output_names(model)
    assert all(jnp.shape(leaf) == () for leaf in jax.tree.leaves((model, model.initial(), derivative)))
    for state, route in model.routes().items():
        assert resolve(state, state_names(model)) in input_names(model)
        assert set(names(route)) <= {"lag", "bioavailability", "rate", "duration", "transit.rate", "transit.number"}


@every_model
@pytest.mark.parametrize("seed", range(3))
def test_balances_hold(name, seed):
    """d/dt sum(w state) = sum(w input) + gain, to rounding of its largest term."""
    model = MODELS[name]()
    y, u = at_random(model, seed)
    t = jnp.asarray(0.0)
    derivative, inputs = leaves(model.derivative(t, y, u)), leaves(u)
    for balance in model.balances(t, y, u).values():
        weights = {resolve(n, derivative, "state"): w for n, w in balance.weights().items()}
        changes = [w * derivative[n] for n, w in weights.items()]
        entered = [w * inputs[n] for n, w in weights.items() if n in inputs]
        largest = max(abs(float(x)) for x in [*changes, *entered, balance.gain])
        assert abs(sum(changes) - sum(entered) - balance.gain) <= 1e-12 * largest


@every_model
def test_inputs_reach_their_states(name):
    """d(derivative)/du is the identity on inputs named like states, so that no infusion is lost; and what the model says
    enters with them, which is what the identity leaves, to rounding.
    """
    model = MODELS[name]()
    y, u = at_random(model)
    states = state_names(model)
    with_it = {n: {resolve(s, states): x for s, x in others.items()} for n, others in model.companions().items()}
    assert set(with_it) <= set(input_names(model))
    for n in set(input_names(model)) & set(states):
        column = jax.jacfwd(lambda x, n=n: model.derivative(0.0, y, bind(u, {n: x})))(get(u, n))
        entered = {s: float(s == n) for s in states} | {s: float(x) for s, x in with_it.get(n, {}).items()}
        assert {s: float(v) for s, v in leaves(column).items()} == pytest.approx(entered, rel=1e-14, abs=0.0)


@every_model
def test_states_stay_nonnegative(name):
    """At zero, a state that may not be negative does not fall, whatever the others are."""
    model = MODELS[name]()
    y, u = at_random(model)
    signed = {resolve(n, state_names(model), "state") for n in type(model).signed}
    rates = jax.jit(lambda y, u: model.derivative(jnp.asarray(0.0), y, u))
    least = 1e-30 if isinstance(model, AbstractCell) else 0.0  # there is no potential between ions and none
    if type(model).nonnegative:
        for n in set(state_names(model)) - signed:
            assert get(rates(bind(y, {n: jnp.asarray(least, float)}), u), n) >= -1e4 * least, n


def corners(model):
    """States and inputs where gradients are wanted: ordinary, and with nothing in the body; a cell's at no potential."""
    y, u = at_random(model)
    silent = no_input(model)
    if isinstance(model, AbstractCell):  # its concentrations cannot be zero; inputs are where they are for all
        rest = bind(y, {"v": jnp.zeros(())}), silent
        return {"ordinary": (y, u), "nothing": rest}
    nothing = jax.tree.map(jnp.zeros_like, y)
    return {"ordinary": (y, u), "no input": (y, silent), "nothing": (nothing, silent), "first input": (nothing, u)}


@functools.cache
def everything_of(name):
    """All that a model computes, at its parameters as a vector; the gradient of a smooth scalar of it, and its central
    differences. Compiled once for all corners.
    """
    model = MODELS[name]()
    known, t = names(model), jnp.asarray(0.0)

    def everything(values, y, u):
        m = bind(model, dict(zip(known, values, strict=True)))
        results = jax.tree.leaves((m.derivative(t, y, u), m.output(t, y, u), m.initial(), m.routes()))
        return jnp.stack([jnp.asarray(x, float) for x in results])

    def scalar(values, y, u, scale, weights):
        return jnp.sum(weights * jnp.sin(scale * everything(values, y, u)))

    def differences(values, steps, *rest):
        return jax.vmap(lambda d: scalar(values + d, *rest) - scalar(values - d, *rest))(steps)

    if isinstance(model, AbstractCell):  # XLA takes minutes to compile what takes seconds op by op
        return everything, jax.jacfwd(scalar), differences
    return jax.jit(everything), jax.jit(jax.grad(scalar)), jax.jit(differences)


@every_model
@pytest.mark.parametrize("corner", ["ordinary", "no input", "nothing", "first input"])
def test_gradient_equals_finite_difference(name, corner):
    """In every parameter, of a smooth scalar of all that a model computes; at its typical values and in its corners."""
    model = MODELS[name]()
    if corner not in corners(model):
        return
    y, u = corners(model)[corner]
    everything, slope, differences = everything_of(name)
    flat = jnp.stack([jnp.asarray(x, float) for x in jax.tree.leaves(model)])
    results = everything(flat, y, u)
    scale = 1.0 / jnp.where(results == 0.0, 1.0, jnp.abs(results))
    weights = np.random.default_rng(7).uniform(0.5, 1.5, len(scale))
    gradient = slope(flat, y, u, scale, weights)
    assert jnp.isfinite(gradient).all()
    step = 1e-5 * jnp.where(flat == 0.0, 1.0, jnp.abs(flat))
    difference = differences(flat, jnp.diag(step), y, u, scale, weights) / (2.0 * step)
    # relative: a parameter's effect per its own size, against the scalar's size and rounding
    np.testing.assert_allclose(gradient * step, difference * step, rtol=1e-6, atol=1e-13 * len(scale))


@functools.cache
def jacobian_of(name):
    """Derivatives of all that a model computes in its state and inputs; compiled once for all corners."""
    model, t = MODELS[name](), jnp.asarray(0.0)
    jacobian = jax.jacfwd(lambda x: (model.derivative(t, *x), model.output(t, *x)))
    return jacobian if isinstance(model, AbstractCell) else jax.jit(jacobian)  # as above


@every_model
@pytest.mark.parametrize("corner", ["ordinary", "no input", "nothing", "first input"])
def test_gradient_in_state_and_input_is_finite(name, corner):
    x = corners(MODELS[name]()).get(corner)
    if not jax.tree.leaves(x):
        return  # a function of time alone, or a cell elsewhere
    assert all(jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(jacobian_of(name)(x)))


@every_model
def test_steady_without_drug(name):
    """Nothing happens in the initial state until something is given, unless the model is one that lives."""
    model = MODELS[name]()
    if not type(model).quiescent:
        return
    y, silent = model.initial(), no_input(model)
    for rate, state in zip(jax.tree.leaves(model.derivative(0.0, y, silent)), jax.tree.leaves(y), strict=True):
        assert abs(rate) <= 1e-14 * (1.0 + abs(state))


@pytest.mark.parametrize("cls", REGISTRY)
def test_documented(cls):
    for part in ("**Parameters**", "**Assumptions**", "**Reference**"):
        assert part in cls.__doc__


def test_registry_holds_no_name_twice():
    assert len({cls.__name__ for cls in REGISTRY}) == len(REGISTRY)


# --------------------------------------------------------------------------------------------------- particular models


@pytest.mark.parametrize("total", [1e-9, 1e-3, 1.0, 1.5, 1e3, 1e9])
def test_free_concentration_solves_its_equation(total):
    """Free and bound drug make up the total, to relative rounding, far below and far above the target."""
    target, constant = 1.0, 1e-6
    c = free_concentration(jnp.asarray(total), target, constant)
    assert c > 0.0
    # with x = c the exact relation total = x + target x / (constant + x), differentiated for its conditioning
    residual = c + target * c / (constant + c) - total
    assert abs(residual) <= 4e-16 * (total + c * target * constant / (constant + c) ** 2)


def test_free_concentration_has_gradients_where_it_turns():
    """On both sides of, and at, total = target + constant."""
    slope = jax.vmap(jax.grad(free_concentration), (0, None, None))(jnp.asarray([1.4999, 1.5, 1.5001]), 1.0, 0.5)
    np.testing.assert_allclose(slope, slope[1], rtol=1e-3)
    assert jnp.isfinite(jax.grad(free_concentration)(0.0, 1.0, 0.5))


def test_fast_binding_becomes_quasi_equilibrium():
    """At binding equilibrium the full model moves total drug and target as the quasi-equilibrium model does."""
    full = FullTMDD.typical()
    equilibrium = QuasiEquilibriumTMDD.typical()
    assert full.koff / full.kon == pytest.approx(float(equilibrium.kd))
    c, target = 0.3, 0.01
    complex = c * target / equilibrium.kd
    total = full.v1 * (c + complex)
    of_full = full.derivative(0.0, full.State(1.0, c * full.v1, 2.0, target, complex), zeros(full.Input))
    state = equilibrium.State(1.0, total, 2.0, target + complex)
    of_equilibrium = equilibrium.derivative(0.0, state, zeros(full.Input))
    np.testing.assert_allclose(of_full.central + full.v1 * of_full.complex, of_equilibrium.central, rtol=1e-9)
    np.testing.assert_allclose(of_full.target + of_full.complex, of_equilibrium.target, rtol=1e-9)


def test_quasi_steady_state_constant():
    full = FullTMDD.typical()
    assert (full.koff + full.kint) / full.kon == pytest.approx(float(QuasiSteadyStateTMDD.typical().kss))


def test_hill_agrees_with_its_formula_and_saturates():
    ratio, gamma = jnp.asarray([1e-3, 0.5, 1.0, 7.0]), 2.5
    np.testing.assert_allclose(hill(ratio, gamma), ratio**gamma / (1.0 + ratio**gamma), rtol=1e-13)
    assert hill(jnp.asarray(1e6), 100.0) == 1.0
    assert hill(jnp.asarray([0.0, -1e-12]), 0.7).tolist() == [0.0, 0.0]
    assert jnp.isfinite(jnp.stack(jax.grad(hill, argnums=(0, 1))(0.0, 0.7))).all()


def test_transit_rate_from_mean_transit_time():
    route = OneCompartmentTransit.typical().routes()["depot"]
    assert route.transit.rate * 1.0 == pytest.approx(5.5)
    assert route.transit.number == pytest.approx(4.5)


def test_parallel_absorption_splits_the_dose():
    model = bind(OneCompartmentParallel.typical(), {"bioavailability": jnp.asarray(0.8)})
    routes = model.routes()
    assert routes["depot"].bioavailability + routes["central"].bioavailability == pytest.approx(0.8)
    assert routes["central"].duration == model.duration
    assert routes["depot"].duration is None


# -------------------------------------------------------------------------------------------------------------- coupled


def test_coupled_names_type_and_values():
    model = pk_pd()
    assert type(model) is type(pk_pd())
    assert jax.tree.structure(model) == jax.tree.structure(pk_pd())
    assert state_names(model)[:4] == ("pk.depot", "pk.central", "pk.peripheral", "pd.prol")
    assert output_names(model) == ("pk.plasma", "pd.neutrophils")
    assert input_names(model) == ("pk.depot", "pk.central", "pk.peripheral")
    assert parameter_units(model)["pd.slope"] == "L/mg"
    assert set(model.routes()) == {"pk.depot"}
    assert set(model.balances(0.0, *at_random(model))) == {"pk.drug", "pd.cells"}
    assert type(type(model).typical()) is type(model)


def test_coupled_driven_part_sees_its_driver():
    model = pk_pd()
    y, u = at_random(model)
    c = model.pk.output(0.0, y.pk, u.pk).plasma
    alone = model.pd.derivative(0.0, y.pd, model.pd.Input(concentration=c))
    assert eqx.tree_equal(model.derivative(0.0, y, u).pd, alone)


def test_coupled_flags():
    stiff = coupled(pk=FullTMDD.typical(), pd=LinearEffect.typical(), drives={})
    assert type(stiff).stiff
    assert not type(pk_pd()).stiff
    assert type(stiff).nonnegative


def test_coupled_molar_mass_converts_both_ways():
    model = molar()
    y, u = at_random(model)
    c = model.pk.output(0.0, y.pk, u.pk).plasma
    alone = model.pd.derivative(0.0, y.pd, model.pd.Input(concentration=c * 150.0))
    np.testing.assert_allclose(model.derivative(0.0, y, u).pd.response, alone.response, rtol=1e-14)
    assert "150" not in str(names(model))

    drives = {"pd.concentration": Molar("pk.plasma", mass=0.2)}
    reverse = coupled(pk=OneCompartmentOral.typical(), pd=_Occupancy.typical(), drives=drives)
    assert check_units(reverse)["pd.kd"] == "umol/L"
    y, u = at_random(reverse)
    c = reverse.pk.output(0.0, y.pk, u.pk).plasma / 0.2
    assert reverse.output(0.0, y, u).pd.occupancy == pytest.approx(float(c / (reverse.pd.kd + c)))


def test_coupled_two_masses_are_two_types():
    def of(mass):
        drives = {"pd.concentration": Molar("pk.plasma", mass=mass)}
        return type(coupled(pk=OneCompartmentOral.typical(), pd=_Occupancy.typical(), drives=drives))

    assert of(0.2) is of(0.2)
    assert of(0.2) is not of(0.3)


def test_coupled_of_coupled_drives_inside():
    body = coupled(pk=TwoCompartment.typical(), site=EffectCompartment.typical(), drives={})
    drug = OneCompartmentOral.typical()
    model = coupled(other=drug, body=body, drives={"body.site.concentration": "other.plasma"})
    check_units(model)
    assert input_names(model) == ("other.depot", "other.central", "body.pk.central", "body.pk.peripheral")
    assert "body.pk.drug" in model.balances(0.0, *at_random(model))


def test_coupled_model_passes_through_transformations():
    model = pk_pd()
    y, u = at_random(model)
    compiled = eqx.filter_jit(lambda m, y: m.output(0.0, y, u).pd.neutrophils)
    assert jnp.isfinite(compiled(model, y))
    many = jax.tree.map(lambda leaf: jnp.stack([leaf, 2.0 * leaf]), model)
    assert jax.vmap(lambda m: m.derivative(0.0, y, u).pd.prol)(many).shape == (2,)


@pytest.mark.parametrize(
    ("drives", "message"),
    [
        ({"pd.concentraton": "pk.plasma"}, "there is no driven signal 'pd.concentraton'; did you mean"),
        ({"pd.concentration": "pk.plsma"}, "there is no driving output 'pk.plsma'; did you mean 'pk.plasma'"),
        ({"pk.central": "pk.plasma"}, "there is no driven signal 'pk.central'"),
        ({"pd.concentration": "pd.neutrophils"}, "pd.neutrophils is in cells/L but pd.concentration is in mg/L"),
        ({"pd.concentration": Molar("pk.plasma", mass=0.1)}, "are both in mg/L: write the name, without Molar"),
        ({"pd.concentration": "pk.plasma", "concentration": "pk.plasma"}, "pd.concentration is driven twice"),
    ],
)
def test_coupled_refuses_in_words(drives, message):
    with pytest.raises(ValueError, match=message):
        coupled(pk=OneCompartmentOral.typical(), pd=FribergMyelosuppression.typical(), drives=drives)


def test_coupled_asks_for_a_molar_mass():
    with pytest.raises(ValueError, match=r"write Molar\('pk.plasma', mass=...\)"):
        coupled(pk=FullTMDD.typical(), pd=LinearEffect.typical(), drives={"pd.concentration": "pk.plasma"})


def test_coupled_refuses_a_circle():
    drives = {"a.concentration": "b.effect_site", "b.concentration": "a.effect_site"}
    with pytest.raises(ValueError, match="a, b drive each other in a circle"):
        coupled(a=EffectCompartment.typical(), b=EffectCompartment.typical(), drives=drives)


def test_coupled_refuses_two_time_units_and_taken_names():
    with pytest.raises(ValueError, match="must share a time unit, but time is pk in h, cell in ms"):
        coupled(pk=OneCompartmentOral.typical(), cell=_Milliseconds.typical(), drives={})
    with pytest.raises(ValueError, match="cannot be called output"):
        coupled(output=OneCompartmentOral.typical(), drives={})


class _Occupancy(AbstractModel):
    """A molar signal, for these tests."""

    kd: Annotated[float, Unit("umol/L")]

    class State(eqx.Module):
        pass

    class Input(eqx.Module):
        concentration: Annotated[float, Unit("umol/L")] = 0.0

    class Output(eqx.Module):
        occupancy: Number

    def derivative(self, t, y, u):
        return self.State()

    def output(self, t, y, u):
        return self.Output(occupancy=u.concentration / (self.kd + u.concentration))

    @classmethod
    def typical(cls):
        return cls(kd=2.0)


class _Milliseconds(AbstractModel):
    """A model on another clock, for these tests."""

    rate: Annotated[float, Unit("1/ms")]
    time_unit: ClassVar[Unit] = Unit("ms")

    class State(eqx.Module):
        voltage: Annotated[float, Unit("mV")]

    class Output(eqx.Module):
        voltage: Annotated[float, Unit("mV")]

    def derivative(self, t, y, u):
        return self.State(voltage=u.voltage - self.rate * y.voltage)

    def output(self, t, y, u):
        return self.Output(voltage=y.voltage)

    @classmethod
    def typical(cls):
        return cls(rate=1.0)


# --------------------------------------------------------------------------------------------------------- the contract


class _Forgetful(AbstractModel):
    """A model that loses infusions, for these tests."""

    k: Rate
    v: Volume

    class State(eqx.Module):
        central: Amount

    class Output(eqx.Module):
        plasma: Concentration

    def derivative(self, t, y, u):
        return self.State(central=-self.k * y.central)

    def output(self, t, y, u):
        return self.Output(plasma=y.central / self.v)

    @classmethod
    def typical(cls):
        return cls(k=1, v=2)


def test_parameters_become_floating_point_arrays():
    model = _Forgetful.typical()
    assert all(isinstance(leaf, jax.Array) and leaf.dtype == jnp.float64 for leaf in jax.tree.leaves(model))


def test_state_refuses_arithmetic_as_a_sequence():
    y = _Forgetful.State(1.0)
    with pytest.raises(TypeError):
        y + y
    with pytest.raises(dataclasses.FrozenInstanceError):
        y.central = 2.0


def test_the_input_law_catches_a_lost_infusion(monkeypatch):
    monkeypatch.setitem(MODELS, "forgetful", _Forgetful.typical)
    with pytest.raises(AssertionError):
        test_inputs_reach_their_states("forgetful")
