"""What every backend promises: the right numbers, the same for every neighbour, refusals in words, failures one by
one.
"""

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_ivp

from twinjax.dosing import Regimen
from twinjax.models import (
    AbstractModel,
    OneCompartment,
    OneCompartmentMichaelisMenten,
    OneCompartmentOral,
    ThreeCompartmentOral,
    TwoCompartment,
    TwoCompartmentOral,
)
from twinjax.naming import bind, leaves
from twinjax.solve.building import build
from twinjax.solve.diffrax import Diffrax
from twinjax.solve.exact import Exact
from twinjax.solve.fused import Fused
from twinjax.solve.problem import MAX_STEPS, NOT_FINITE, OK, RESULTS, STEP_TOO_SMALL
from twinjax.solve.simulate import pose, simulate
from twinjax.units import Amount, Concentration, Number, Rate

BACKENDS = {"exact": Exact(), "diffrax": Diffrax(), "fused": Fused()}
# Diffrax's rtol is 1e-8 per step over some hundred steps; Exact rounds only.
RTOL = {"exact": 1e-11, "diffrax": 2e-7, "fused": 2e-7}
TIMES = np.linspace(0.0, 60.0, 13)
MIXED = (
    Regimen.repeat(100.0, every=12.0, count=4)
    + Regimen.infusion(60.0, over=5.0, into="central", at=7.0)
    + Regimen.dose(30.0, into="central", at=40.0)
)


def run(backend, problem):
    return jax.jit(BACKENDS[backend].solve)(problem)


class One(AbstractModel):
    """A base for the small models here: one state, which is the output."""

    k: Rate

    class State(eqx.Module):
        central: Amount

    class Output(eqx.Module):
        central: Amount

    def derivative(self, t, y, u):
        return self.State(u.central)

    def output(self, t, y, u):
        return self.Output(y.central)

    @classmethod
    def typical(cls):
        return cls(k=0.1)


# -------------------------------------------------------------------------------------------------------------- numbers


@pytest.mark.parametrize("backend", BACKENDS)
def test_closed_forms(backend):
    """A bolus, an infusion during and after, and a dose by mouth into one compartment; doses fall on samples."""
    k, v, ka = 0.25, 8.0, 1.1
    model = OneCompartmentOral(ka=ka, cl=k * v, v=v)
    each = [Regimen.dose(100.0, into="central"), Regimen.infusion(100.0, over=5.0, into="central"), Regimen.dose(100.0)]
    each.append(Regimen.repeat(100.0, every=5.0, count=3, into="central"))
    t = TIMES
    infused = 20.0 / k * (1 - np.exp(-k * np.minimum(t, 5.0))) * np.exp(-k * np.maximum(t - 5.0, 0.0))
    absorbed = 100.0 * ka / (ka - k) * (np.exp(-k * t) - np.exp(-ka * t))
    repeated = sum(100.0 * np.where(t >= at, np.exp(-k * (t - at)), 0.0) for at in (0.0, 5.0, 10.0))
    want = np.stack([100.0 * np.exp(-k * t), infused, absorbed, repeated])
    s = run(backend, build(model, each, t))
    assert s.result.tolist() == [OK] * 4
    # 1e-9 absolute is ten times Diffrax's atol, for what has decayed to nothing.
    np.testing.assert_allclose(s.state.central, want, rtol=RTOL[backend], atol=1e-9)


@pytest.mark.parametrize("model", [OneCompartment, TwoCompartment, TwoCompartmentOral, ThreeCompartmentOral])
def test_backends_agree_on_linear_models_of_every_size(model):
    first = "depot" if model.__name__.endswith("Oral") else "central"
    regimen = Regimen.repeat(100.0, every=12.0, count=4, into=first) + Regimen.infusion(
        60.0, over=5.0, into="central", at=7.0
    )
    regimen = regimen + Regimen.dose(80.0, into=first, every=8.0, steady_state=2, at=31.0)
    problem = build(model.typical(), regimen, TIMES)
    exact, diffrax = run("exact", problem), run("diffrax", problem)
    assert exact.result.tolist() == diffrax.result.tolist() == [OK]
    for a, b in zip(jax.tree.leaves(exact.state), jax.tree.leaves(diffrax.state), strict=True):
        np.testing.assert_allclose(a, b, rtol=RTOL["diffrax"], atol=1e-8)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_batch_of_different_histories_is_each_by_itself(backend):
    histories = [
        Regimen.none(),
        MIXED,
        Regimen.dose(50.0, at=3.0) + Regimen.reset(at=20.0) + Regimen.dose(10.0, at=30.0),
    ]
    ka = np.array([0.5, 1.0, 2.0])
    model = bind(OneCompartmentOral.typical(), {"ka": jnp.asarray(ka)})
    together = run(backend, build(model, histories, TIMES))
    assert together.result.tolist() == [OK] * 3
    for i, own in enumerate(histories):
        alone = run(backend, build(bind(OneCompartmentOral.typical(), {"ka": jnp.asarray(ka[i])}), own, TIMES))
        # 1e-12: the same steps; only the order of additions in vectorised code may differ.
        np.testing.assert_allclose(together.output.plasma[i], alone.output.plasma[0], rtol=1e-12, atol=1e-12)


# ------------------------------------------------------------------------------------------------------------- refusals


class Ageing(One):
    """Elimination that slows with time."""

    def derivative(self, t, y, u):
        return self.State(u.central - self.k * y.central / (1.0 + self.k * t))


def test_refusals_name_the_equation():
    nonlinear = build(OneCompartmentMichaelisMenten.typical(), Regimen.dose(1.0), TIMES)
    assert Exact().refusal(nonlinear) == (
        "OneCompartmentMichaelisMenten is not linear with constant coefficients: "
        "the derivative of central is not linear in the state"
    )
    ageing = build(Ageing.typical(), Regimen.dose(1.0), TIMES)
    assert (
        "Ageing is not linear with constant coefficients: the derivative of central depends on time"
        in Exact().refusal(ageing)
    )
    assert Diffrax().refusal(nonlinear) is None
    assert Diffrax().refusal(ageing) is None
    assert Exact().refusal(build(OneCompartment.typical(), Regimen.dose(1.0), TIMES)) is None


def test_equations_that_depend_on_time():
    s = run("diffrax", build(Ageing(k=0.1), Regimen.dose(100.0, at=5.0), TIMES))
    want = np.where(TIMES >= 5.0, 100.0 * 1.5 / (1.0 + 0.1 * TIMES), 0.0)  # y (1 + k t) is constant
    np.testing.assert_allclose(s.state.central[0], want, rtol=RTOL["diffrax"])


# ------------------------------------------------------------------------------------------------------------- failures


class Explosive(One):
    """y' = k y^2: infinite at 1 / (k y0)."""

    def derivative(self, t, y, u):
        return self.State(u.central + self.k * y.central**2)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_failing_patient_leaves_the_others_alone(backend):
    good = np.array([2.0, 3.0, 4.0])
    bad = good.copy()
    bad[1] = np.nan
    model = OneCompartmentOral.typical()
    want = run(backend, build(bind(model, {"cl": jnp.asarray(good)}), MIXED, TIMES))
    got = run(backend, build(bind(model, {"cl": jnp.asarray(bad)}), MIXED, TIMES))
    assert got.result.tolist() == [OK, NOT_FINITE, OK]
    np.testing.assert_array_equal(np.asarray(got.output.plasma)[[0, 2]], np.asarray(want.output.plasma)[[0, 2]])


def test_a_solution_that_blows_up_is_a_result():
    k = jnp.asarray([0.001, 0.01, 0.0005])  # infinite at 20, 2 and 40 for a dose of 50
    times = np.array([0.5, 1.0, 4.0, 10.0])
    s = run("diffrax", build(Explosive(k), Regimen.dose(50.0), times))
    assert s.result[1] in (STEP_TOO_SMALL, NOT_FINITE)
    assert s.result[jnp.asarray([0, 2])].tolist() == [OK, OK]
    want = 50.0 / (1.0 - 50.0 * np.asarray(k)[:, None] * times)
    np.testing.assert_allclose(np.asarray(s.state.central)[[0, 2]], want[[0, 2]], rtol=RTOL["diffrax"])
    np.testing.assert_allclose(s.state.central[1, :2], want[1, :2], rtol=1e-6)  # before it failed, near a pole
    assert np.isnan(s.state.central[1, 2:]).all()


class Swinging(One):
    """An oscillation whose frequency differs between patients, so that the work does."""

    def derivative(self, t, y, u):
        return self.State(u.central + jnp.cos(self.k * t))


def test_too_few_steps_are_a_result_of_that_patient_and_failures_are_named():
    model = Swinging(jnp.asarray([0.1, 300.0, 0.2]))
    few = Diffrax(max_steps=200)
    s = jax.jit(few.solve)(build(model, Regimen.none(), TIMES))
    assert s.result.tolist() == [OK, MAX_STEPS, OK]
    np.testing.assert_allclose(s.state.central[0], np.sin(0.1 * TIMES) / 0.1, rtol=1e-6, atol=1e-6)
    assert s.failed.tolist() == [1]
    with pytest.raises(
        RuntimeError, match="1 of 3 patients failed:\n  Boris: the step limit was reached; raise max_steps"
    ):
        s.raise_failures(["Anna", "Boris", "Cora"])
    with pytest.raises(RuntimeError, match="\n  1: the step limit"):
        simulate(model, times=TIMES, backend=few, throw=True)


def test_every_result_has_words():
    assert sorted(RESULTS) == list(range(len(RESULTS)))


# ------------------------------------------------------------------------------------------------------ transformations


@pytest.mark.parametrize("backend", BACKENDS)
def test_jit_vmap_and_grad_of_simulate(backend):
    model, ks = OneCompartment.typical(), jnp.asarray([0.1, 0.2, 0.3])

    def last(cl, amount=100.0):
        regimen = Regimen.dose(amount) + Regimen.infusion(amount, over=4.0, at=3.0)
        return simulate(bind(model, {"cl": cl}), regimen, TIMES[:5], backend=BACKENDS[backend]).output.plasma[0, -1]

    one_by_one = [float(jax.jit(last)(k)) for k in ks]
    np.testing.assert_allclose(jax.jit(jax.vmap(last))(ks), one_by_one, rtol=1e-12, atol=1e-12)
    slopes = jax.jit(jax.vmap(jax.grad(last, argnums=(0, 1)), in_axes=(0, None)))(ks, 100.0)
    np.testing.assert_allclose(slopes[1] * 100.0, one_by_one, rtol=RTOL[backend])  # proportional to the dose
    h = 1e-4  # the error of central differences is of order h^2
    finite = [(float(jax.jit(last)(k + h)) - float(jax.jit(last)(k - h))) / (2 * h) for k in ks]
    np.testing.assert_allclose(slopes[0], finite, rtol=1e-5)


TRACES = []


class Counted(One):
    """Counts how often its equations are read."""

    def derivative(self, t, y, u):
        TRACES.append(None)
        return self.State(u.central - self.k * y.central)


@pytest.mark.parametrize("backend", [None, Exact(), Diffrax()], ids=["automatic", "exact", "diffrax"])
def test_other_numbers_do_not_compile_again(backend):
    def once(k, amount, shift):
        return simulate(
            Counted(k), Regimen.repeat(amount, every=5.0 + shift, count=3), TIMES[:4] + shift, backend=backend
        )

    once(0.1, 100.0, 0.0)
    before = len(TRACES)
    s = once(0.2, 50.0, 0.5)
    assert before > 0
    assert len(TRACES) == before
    np.testing.assert_allclose(s.state.central[0, 0], 50.0 * np.exp(-0.1), rtol=RTOL["diffrax"])


# ------------------------------------------------------------------------------------------------------------ stiffness


class TwoRates(AbstractModel):
    """A fast exchange and a slow, saturable loss: rates six orders of magnitude apart."""

    fast: Rate
    slow: Rate

    class State(eqx.Module):
        central: Amount
        tissue: Amount

    class Output(eqx.Module):
        central: Concentration

    def derivative(self, t, y, u):
        exchanged = self.fast * (y.central - 2.0 * y.tissue)
        lost = self.slow * y.central / (1.0 + y.central / 50.0)
        return self.State(u.central - exchanged - lost, u.tissue + exchanged)

    def output(self, t, y, u):
        return self.Output(y.central)

    @classmethod
    def typical(cls):
        return cls(fast=1e5, slow=0.1)


class Robertson(AbstractModel):
    """Robertson's reaction; not stiff where it starts, so it says so itself (Hairer & Wanner 1996, IV.10)."""

    k1: Number
    k2: Number
    k3: Number
    stiff = True

    class State(eqx.Module):
        a: Number
        b: Number
        c: Number

    class Output(eqx.Module):
        a: Number

    def initial(self):
        return self.State(1.0 + 0.0 * self.k1, 0.0 * self.k1, 0.0 * self.k1)

    def derivative(self, t, y, u):
        forth, fast, back = self.k1 * y.a, self.k2 * y.b * y.b, self.k3 * y.b * y.c
        return self.State(u.a - forth + back, u.b + forth - back - fast, u.c + fast)

    def output(self, t, y, u):
        return self.Output(y.a)

    @classmethod
    def typical(cls):
        return cls(0.04, 3e7, 1e4)


def solver_of(model, regimen, times):
    return Diffrax().prepared(pose(model, regimen, times)).solver


def test_the_method_is_chosen_by_stiffness():
    dose = Regimen.dose(100.0)
    assert isinstance(solver_of(TwoRates.typical(), dose, TIMES), diffrax.Kvaerno5)
    assert isinstance(solver_of(TwoRates(fast=1.0, slow=0.1), dose, TIMES), diffrax.Tsit5)
    assert isinstance(solver_of(Robertson.typical(), Regimen.none(), TIMES), diffrax.Kvaerno5)
    assert isinstance(solver_of(TwoRates(fast=jnp.asarray([np.nan, 1e5]), slow=0.1), dose, TIMES), diffrax.Kvaerno5)
    chosen = Diffrax(solver=diffrax.Dopri5())
    assert chosen.prepared(pose(TwoRates.typical(), dose, TIMES)) is chosen


def test_stiff_equations_agree_with_radau():
    model, times = TwoRates.typical(), np.array([0.1, 1.0, 5.0, 12.0, 12.1, 24.0, 48.0])
    s = simulate(model, Regimen.repeat(100.0, every=12.0, count=2), times)
    numbers = {n: float(x) for n, x in leaves(model).items()}

    def rhs(_, y):
        exchanged = numbers["fast"] * (y[0] - 2.0 * y[1])
        return [-exchanged - numbers["slow"] * y[0] / (1.0 + y[0] / 50.0), exchanged]

    def radau(y, until, at):
        return solve_ivp(rhs, until, y, "Radau", t_eval=at, rtol=1e-10, atol=1e-10).y

    first = radau([100.0, 0.0], (0.0, 12.0), [0.1, 1.0, 5.0, 12.0])
    second = radau(first[:, -1] + [100.0, 0.0], (12.0, 48.0), [12.1, 24.0, 48.0])
    want = np.concatenate([first, second], axis=1)
    want[0, 3] += 100.0  # the sample at 12 is after the dose
    assert s.result.tolist() == [OK]
    assert s.steps[0] < 3000  # an explicit method needs millions
    np.testing.assert_allclose(np.stack([s.state.central[0], s.state.tissue[0]]), want, rtol=1e-6)


def test_robertson():
    times = np.array([0.0, 0.4, 40.0, 4000.0, 400000.0])
    s = simulate(Robertson.typical(), times=times)
    want = solve_ivp(
        lambda t, y: [-0.04 * y[0] + 1e4 * y[1] * y[2], 0.04 * y[0] - 1e4 * y[1] * y[2] - 3e7 * y[1] ** 2, 3e7 * y[1] ** 2],
        (0.0, 4e5), [1.0, 0.0, 0.0], "Radau", t_eval=times, rtol=1e-11, atol=1e-14,
    ).y  # fmt: skip
    assert s.result.tolist() == [OK]
    # b, about 1e-8 at the end, carries no more than two digits at Diffrax's atol of 1e-10; a and c need not know it.
    np.testing.assert_allclose(np.stack([s.state.a[0], s.state.c[0]]), want[[0, 2]], rtol=1e-6)
