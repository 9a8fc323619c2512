"""`simulate`: what may be given, in what order results come back, and what it says when something is wrong."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from twinjax.dosing import Regimen
from twinjax.models import (
    ExponentialGrowth,
    FullTMDD,
    OneCompartmentMichaelisMenten,
    OneCompartmentOral,
    OneCompartmentTransit,
)
from twinjax.models.base import AbstractModel
from twinjax.naming import bind
from twinjax.solve.building import build
from twinjax.solve.diffrax import Diffrax
from twinjax.solve.exact import Exact
from twinjax.solve.fused import Fused, Linear, Rodas5P, Tsit5
from twinjax.solve.problem import BEFORE_START, NOT_FINITE, OK, RESULTS, TOO_STIFF
from twinjax.solve.simulate import choose, pose, simulate
from twinjax.solve.tracks import Area
from twinjax.units import Rate, Response

BACKENDS = {"exact": Exact(), "diffrax": Diffrax(), "fused": Fused()}
MODEL = OneCompartmentOral(ka=1.2, cl=2.0, v=10.0)
TWICE = Regimen.repeat(100.0, every=12.0, count=2)
TIMES = np.array([0.5, 2.0, 6.0, 13.0, 20.0])
# Diffrax's rtol is 1e-8 per step over some tens of steps; Exact rounds only.
RTOL = {"exact": 1e-12, "diffrax": 2e-7, "fused": 2e-7}


def bateman(t, doses=((0.0, 100.0), (12.0, 100.0)), ka=1.2, cl=2.0, v=10.0):
    """Superposed closed form of first-order absorption, a dose at t included in the depot only."""
    k, total = cl / v, np.zeros(np.shape(t))
    for at, amount in doses:
        s = np.maximum(np.asarray(t) - at, 0.0)
        total = total + amount * ka / (v * (ka - k)) * (np.exp(-k * s) - np.exp(-ka * s))
    return total


@pytest.mark.parametrize("backend", BACKENDS)
def test_one_patient(backend):
    s = simulate(MODEL, TWICE, TIMES, backend=BACKENDS[backend])
    assert s.output.plasma.shape == (1, 5)
    np.testing.assert_array_equal(s.time, TIMES[None])
    np.testing.assert_allclose(s.output.plasma[0], bateman(TIMES), rtol=RTOL[backend])


@pytest.mark.parametrize("backend", BACKENDS)
def test_leaves_regimens_and_times_of_each(backend):
    cl, amounts = np.array([1.0, 2.0, 4.0]), np.array([50.0, 100.0, 200.0])
    times = TIMES + np.array([[0.0], [0.1], [0.2]])
    each = [Regimen.dose(a) for a in amounts[:2]] + [Regimen.dose(200.0) + Regimen.dose(20.0, at=12.0)]
    s = simulate(bind(MODEL, {"cl": jnp.asarray(cl)}), each, times, backend=BACKENDS[backend])
    for i in range(3):
        doses = [(0.0, amounts[i])] + ([(12.0, 20.0)] if i == 2 else [])
        np.testing.assert_allclose(s.output.plasma[i], bateman(times[i], doses, cl=cl[i]), rtol=RTOL[backend])


class Growing(AbstractModel):
    """Linear, and never at rest."""

    size0: Response
    rate: Rate
    quiescent = False

    class State(eqx.Module):
        size: Response

    class Output(eqx.Module):
        size: Response

    def derivative(self, t, y, u):
        return self.State(size=self.rate * y.size)

    def output(self, t, y, u):
        return self.Output(size=y.size)

    def initial(self):
        return self.State(size=self.size0)

    @classmethod
    def typical(cls):
        return cls(size0=2.0, rate=0.03)


@pytest.mark.parametrize("backend", BACKENDS)
def test_where_the_initial_state_holds(backend):
    """A thing that grows by itself, in whatever order it is asked for, from a start for all or for each."""
    tumour, times, by = Growing.typical(), np.array([20.0, 10.0]), BACKENDS[backend]
    for start in (0.0, 4.0, 10.0):
        s = simulate(tumour, None, times, start=start, backend=by)
        np.testing.assert_array_equal(s.time, times[None])
        np.testing.assert_allclose(s.output.size[0], 2.0 * np.exp(0.03 * (times - start)), rtol=RTOL[backend])
        assert s.state.size.shape == (1, 2)
    own = simulate(tumour, None, times, start=np.array([0.0, 4.0, -5.0]), backend=by).output.size
    np.testing.assert_allclose(own, 2.0 * np.exp(0.03 * (times - [[0.0], [4.0], [-5.0]])), rtol=RTOL[backend])
    first = simulate(tumour, None, times, backend=by).output.size[0]  # the trap: it begins where it is first looked at
    np.testing.assert_allclose(first, [2.0 * np.exp(0.3), 2.0], rtol=RTOL[backend])

    plasma = simulate(MODEL, TWICE, TIMES, start=0.0, backend=by).output.plasma[0]
    np.testing.assert_allclose(plasma, bateman(TIMES), rtol=RTOL[backend])


def test_a_start_is_before_everything():
    tumour = ExponentialGrowth(size0=2.0, rate=0.03)
    with pytest.raises(ValueError, match="a sample at 10 is before the start"):
        simulate(tumour, None, [10.0, 20.0], start=11.0)
    with pytest.raises(ValueError, match="a dose at 0 is before the start"):
        simulate(MODEL, TWICE, TIMES, start=0.25)
    with pytest.raises(ValueError, match="a start is not finite"):
        simulate(tumour, None, [10.0], start=np.nan)
    with pytest.raises(ValueError, match="how many patients"):
        simulate(tumour, None, np.ones((2, 1)), start=np.zeros(3))
    with pytest.raises(ValueError, match="has no derivatives"):
        jax.grad(lambda t: simulate(tumour, None, [10.0], start=t).output.size[0, 0])(0.0)
    found = jax.jit(lambda t: simulate(tumour, None, t, start=8.0))(np.array([[10.0, 20.0], [4.0, 20.0]]))
    np.testing.assert_array_equal(found.result, [OK, BEFORE_START])
    np.testing.assert_allclose(found.output.size[0], 2.0 * np.exp(0.03 * np.array([2.0, 12.0])), rtol=RTOL["fused"])
    assert np.isnan(found.output.size[1]).all()
    given = jax.jit(lambda t: simulate(MODEL, Regimen.dose(1.0, at=t), [10.0], start=1.0).result)
    assert (int(given(2.0)[0]), int(given(0.5)[0])) == (OK, BEFORE_START)
    problem = pose(tumour, None, [10.0], start=0.0)
    area, _ = Fused(method=Tsit5(), rtol=1e-9, atol=1e-9).track(problem, [Area("size")])
    assert float(area[0, 0]) == pytest.approx(2.0 / 0.03 * np.expm1(0.3), rel=1e-6)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_sample_at_the_time_of_a_dose_is_after_it(backend):
    s = simulate(
        MODEL,
        Regimen.repeat(100.0, into="central", every=12.0, count=2),
        np.array([0.0, 12.0]),
        backend=BACKENDS[backend],
    )
    np.testing.assert_allclose(s.state.central[0], [100.0, 100.0 + 100.0 * np.exp(-0.2 * 12.0)], rtol=RTOL[backend])


@pytest.mark.parametrize("backend", BACKENDS)
def test_times_in_any_order_come_back_in_that_order(backend):
    shuffled = np.array([[3, 0, 4, 1, 2], [0, 1, 2, 3, 4], [4, 3, 2, 1, 0]])
    s = simulate(MODEL, TWICE, TIMES[shuffled], backend=BACKENDS[backend])
    np.testing.assert_array_equal(s.time, TIMES[shuffled])
    np.testing.assert_allclose(s.output.plasma, bateman(TIMES[shuffled]), rtol=RTOL[backend])
    np.testing.assert_allclose(s.state.central, 10.0 * bateman(TIMES[shuffled]), rtol=RTOL[backend])


def test_known_numbers_are_posed_without_jax():
    """NumPy's arrays throughout, inside jit too: a person's problem is posed in a millisecond, not fifty."""
    for times in (TIMES, TIMES[::-1]):
        assert all(isinstance(x, np.ndarray) for x in jax.tree.leaves(pose(MODEL, TWICE, times)))

    def inside(x):
        assert all(isinstance(leaf, np.ndarray) for leaf in jax.tree.leaves(pose(MODEL, TWICE, TIMES)))
        return x

    jax.eval_shape(inside, 1.0)


def test_numbers_posed_are_the_callers_no_more():
    times = TIMES.copy()
    problem = pose(MODEL, TWICE, times)
    times[:] = 0.0
    np.testing.assert_array_equal(problem.time[0], TIMES)


def test_what_is_traced_is_posed_too():
    """Slopes by a dose's amount and time and by the samples' times, of a model that is known."""

    def plasma(amount, at, later):
        return simulate(MODEL, Regimen.dose(amount, at=at), TIMES + later, backend=Exact()).output.plasma[0]

    found = jax.jit(jax.jacfwd(plasma, argnums=(0, 1, 2)))(100.0, 0.2, 0.0)
    at, h = TIMES - 0.2, 1e-5
    slope = (bateman(at + h, ((0.0, 100.0),)) - bateman(at - h, ((0.0, 100.0),))) / (2.0 * h)
    # central differences of 1e-5 in float64: 1e-10 of truncation and rounding alike
    np.testing.assert_allclose(found[0], bateman(at, ((0.0, 1.0),)), rtol=1e-12)
    np.testing.assert_allclose(found[1], -slope, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(found[2], slope, rtol=1e-6, atol=1e-9)


def test_sorted_times_cost_no_sorting():
    assert pose(MODEL, TWICE, TIMES).place is None
    assert pose(MODEL, TWICE, TIMES[::-1]).place is not None


@pytest.mark.parametrize("backend", BACKENDS)
def test_orders_of_one_time_in_any_order(backend):
    # Before and after a dose at 12, asked for the other way round, and with times that jit does not know.
    regimen = Regimen.dose(100.0, into="central") + Regimen.dose(50.0, into="central", at=12.0)

    def central(times):
        problem = build(MODEL, regimen, times, order=np.array([2.0, 0.5, 0.5]))
        return BACKENDS[backend].solve(problem).state.central[0]

    first = 100.0 * np.exp(-0.2 * np.array([12.0, 12.0, 3.0]))
    got = jax.jit(central)(np.array([12.0, 12.0, 3.0]))
    np.testing.assert_allclose(got, first + [50.0, 0.0, 0.0], rtol=RTOL[backend])


def test_no_doses_and_a_single_time():
    s = simulate(MODEL, times=3.0)
    assert s.output.plasma.tolist() == [[0.0]]


def test_the_choice_of_backend():
    times = np.array([1.0])
    assert choose(pose(MODEL, TWICE, times)).method == Linear()
    assert choose(pose(OneCompartmentMichaelisMenten.typical(), TWICE, times)).method == Tsit5()
    assert choose(pose(FullTMDD.typical(), TWICE, times)).method == Rodas5P()
    assert isinstance(choose(pose(OneCompartmentTransit.typical(), TWICE, times)), Diffrax)


def test_too_stiff_for_a_matrix_exponential_is_a_result_of_that_patient():
    """A rate times time beyond 4e6; others of the cohort are solved, and kernels serve it."""
    many = bind(MODEL, {"ka": jnp.array([1.2, 1e9])})
    found = simulate(many, TWICE, TIMES, backend=Exact())
    np.testing.assert_array_equal(found.result, [OK, TOO_STIFF])
    np.testing.assert_allclose(found.output.plasma[0], bateman(TIMES), rtol=RTOL["exact"])


def test_growth_beyond_all_numbers_is_not_called_too_stiff():
    """exp(1000 x 20) overflows, at a norm of 2e4 that a matrix exponential serves."""
    found = simulate(bind(MODEL, {"cl": jnp.asarray(-1e4)}), TWICE, TIMES, backend=Exact())
    np.testing.assert_array_equal(found.result, [NOT_FINITE])


def test_a_list_of_traced_times_is_posed():
    times = jax.jit(lambda t: pose(MODEL, TWICE, [t, 2.0 * t, 3.0]).time)(1.25)
    np.testing.assert_array_equal(times, [[1.25, 2.5, 3.0]])


def test_no_backend_can_serve_says_what_each_said():
    impossible = Regimen.dose(100.0, every=12.0, steady_state=1)
    with pytest.raises(
        ValueError, match=r"(?s)no backend can serve.*Fused: .*transit.*Exact: .*transit.*Diffrax: .*transit"
    ):
        simulate(OneCompartmentTransit.typical(), impossible, TIMES)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: simulate(MODEL, TWICE), "times says when to sample: an array of times in the model's unit"),
        (lambda: simulate(MODEL, TWICE, []), "times is empty; give at least one time to sample at"),
        (lambda: simulate(MODEL, TWICE, [1.0, np.inf]), "a sample time is not finite"),
        (lambda: simulate(MODEL, TWICE, [1.0, np.nan]), "a sample time is not finite"),
        (lambda: simulate(MODEL, TWICE, np.ones((1, 1, 1))), r"\(samples,\) or \(patients, samples\), not of shape \(1, 1, 1\)"),
        (lambda: simulate(MODEL, [TWICE] * 3, np.ones((2, 4))), "how many patients.* say 2, 3"),
        (lambda: simulate(bind(MODEL, {"cl": jnp.ones(4)}), [TWICE] * 3, [1.0]), "how many patients.* say 3, 4"),
        (lambda: simulate(OneCompartmentMichaelisMenten.typical(), TWICE, [1.0], backend=Exact()),
         "Exact cannot serve: OneCompartmentMichaelisMenten is not linear .*: the derivative of central is not linear"),
        (lambda: simulate(MODEL, Regimen.dose(1.0, into="gut"), [1.0]), "no compartment .* 'gut'.*Known: depot, central"),
        (lambda: simulate(MODEL, Regimen.dose(1.0, rate="modelled"), [1.0]), "declares no rate for depot"),
    ],
)  # fmt: skip
def test_errors_say_what_to_do(call, says):
    with pytest.raises(ValueError, match=says):
        call()


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_parameter_that_is_not_finite_is_a_result_of_that_patient(backend):
    cl = jnp.asarray([2.0, np.nan, np.inf, 2.0])
    s = simulate(bind(MODEL, {"cl": cl}), TWICE, TIMES, backend=BACKENDS[backend])
    assert s.result.tolist() == [OK, NOT_FINITE, NOT_FINITE, OK]
    np.testing.assert_allclose(s.output.plasma[3], bateman(TIMES), rtol=RTOL[backend])
    with pytest.raises(RuntimeError, match=r"(?s)2 of 4 patients failed:\n  1: .*not finite.*\n  2: "):
        simulate(bind(MODEL, {"cl": cl}), TWICE, TIMES, backend=BACKENDS[backend], throw=True)


def test_a_parameter_that_is_not_finite_is_that_result_in_steady_state_too():
    steady = Regimen.dose(100.0, every=12.0, steady_state=1)
    s = simulate(bind(MODEL, {"cl": jnp.asarray([np.nan, 2.0])}), steady, TIMES)
    assert s.result.tolist() == [NOT_FINITE, OK]


class People(eqx.Module):
    """Patients as `simulate` takes them, with a schedule of their own."""

    model: OneCompartmentOral
    regimens: list
    ids: tuple = eqx.field(static=True)

    def schedule(self):
        return {"time": jnp.asarray(TIMES), "order": jnp.full((2, 5), jnp.inf)}


def test_patients_bring_their_own_times_doses_and_names():
    people = People(bind(MODEL, {"cl": jnp.asarray([2.0, np.nan])}), [TWICE, TWICE], ("Anna", "Boris"))
    own = simulate(people)
    np.testing.assert_allclose(own.output.plasma[0], bateman(TIMES), rtol=RTOL["exact"])
    other = simulate(people, Regimen.dose(10.0), TIMES[:2])  # neither their times nor their doses
    np.testing.assert_allclose(other.output.plasma[0], bateman(TIMES[:2], [(0.0, 10.0)]), rtol=RTOL["exact"])
    with pytest.raises(RuntimeError, match="Boris: " + RESULTS[NOT_FINITE][:30]):
        simulate(people, throw=True)
