"""Derivatives in everything that has a value: parameters, doses, times, lags, durations, through steady states too.

Central differences of fourth order (step h, error of order h^4) at tight integration tolerances leave them good to
some 1e-8; the required agreement is 1e-5 of the largest derivative of the same column, as an individual entry may be
nearly zero.
"""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from twinjax.dosing import Regimen
from twinjax.models import AbstractModel, OneCompartmentTransit, Route
from twinjax.solve.building import build
from twinjax.solve.diffrax import Diffrax
from twinjax.solve.exact import Exact
from twinjax.solve.fused import Fused, Rodas5P, Tsit5
from twinjax.solve.problem import OK
from twinjax.units import Amount, AmountRate, Clearance, Concentration, Fraction, Rate, Time, Volume

AGREE = 1e-5
TIGHT = Diffrax(rtol=1e-11, atol=1e-12)
FUSED = Fused(rtol=1e-11, atol=1e-12, method=Tsit5())
IMPLICIT = Fused(rtol=1e-11, atol=1e-12, method=Rodas5P())


class Routed(AbstractModel):
    """One compartment with a depot, everything modelled on `central`."""

    ka: Rate
    cl: Clearance
    v: Volume
    lag: Time
    bioavailability: Fraction
    rate: AmountRate
    duration: Time
    start: Amount

    class State(eqx.Module):
        depot: Amount
        central: Amount

    class Output(eqx.Module):
        plasma: Concentration

    def initial(self):
        return self.State(0.0 * self.start, self.start)

    def derivative(self, t, y, u):
        absorbed = self.ka * y.depot
        return self.State(u.depot - absorbed, u.central + absorbed - self.eliminated(y.central / self.v))

    def eliminated(self, c):
        return self.cl * c

    def output(self, t, y, u):
        return self.Output(y.central / self.v)

    def routes(self):
        return {"central": Route(self.lag, self.bioavailability, self.rate, self.duration)}

    @classmethod
    def typical(cls):
        return cls(1.2, 2.0, 10.0, 0.7, 0.8, 25.0, 3.1, 4.0)


class Saturable(Routed):
    """The same with Michaelis-Menten elimination."""

    def eliminated(self, c):
        return self.cl * c / (1.0 + c / 20.0)


TYPICAL = {
    "ka": 1.2,
    "cl": 2.0,
    "v": 10.0,
    "lag": 0.7,
    "bioavailability": 0.8,
    "rate": 25.0,
    "duration": 3.1,
    "start": 4.0,
}


def every_event(x, model=Routed):
    """Doses of every kind, a switch of clearance and a reset; samples away from where anything jumps, and they move
    too.
    """
    regimen = (
        Regimen.dose(x["a0"], at=x["t0"], every=x["ii"], additional=1)
        + Regimen.dose(x["a1"], into="central", at=x["t1"], rate="modelled")
        + Regimen.dose(x["a2"], into="central", at=x["t2"], duration="modelled")
        + Regimen.reset(at=x["reset"])
        + Regimen.dose(x["a3"], into="central", at=x["t3"], rate=x["r3"])
        + Regimen.dose(x["a4"], into="central", at=x["t4"], reset=True)
    )
    parameters = {k: x[k] for k in TYPICAL}
    switch_time = jnp.reshape(x["switch"], (1, 1))
    changed = model(**parameters | {"cl": jnp.stack([x["cl"], x["cl2"]])[None]})
    times = jnp.asarray([2.3, 4.1, 6.1, 8.9, 11.9, 13.3, 15.8, 18.6, 21.7]) + x["shift"]
    return build(changed, [regimen], times[None], switch_time=switch_time, switch_order=np.array([[1.5]]))


EVERY_EVENT = TYPICAL | {
    "a0": 90.0, "t0": 0.4, "ii": 5.3, "a1": 60.0, "t1": 1.1, "a2": 40.0, "t2": 4.6, "reset": 12.5, "a3": 50.0, "t3": 12.9,
    "r3": 14.0, "a4": 70.0, "t4": 17.2, "switch": 7.5, "cl2": 3.3, "shift": 0.0,
}  # fmt: skip


def steady(x, model=Routed):
    """Steady states of every kind: of boluses, of overlapping infusions with a lag, and added to another."""
    regimen = (
        Regimen.dose(x["a0"], at=x["t0"], every=x["ii"], steady_state=1, additional=1)
        + Regimen.dose(x["a1"], into="central", at=x["t1"], duration="modelled", every=x["ii"], steady_state=2)
        + Regimen.dose(x["a3"], into="central", at=x["t3"], rate=x["r3"], every=x["ii"], steady_state=1)
    )
    times = jnp.asarray([0.9, 3.7, 6.6, 9.4, 13.3, 15.8])
    return build(model(**{k: x[k] for k in TYPICAL}), [regimen], times[None])


STEADY = TYPICAL | {
    "duration": 9.3,
    "a0": 70.0,
    "t0": 0.1,
    "ii": 8.0,
    "a1": 60.0,
    "t1": 2.5,
    "a3": 50.0,
    "t3": 11.2,
    "r3": 14.0,
}


def transit(x):
    """Doses as gamma densities, one ended by a reset."""
    regimen = Regimen.dose(x["a0"], at=x["t0"]) + Regimen.dose(x["a1"], at=x["t1"]) + Regimen.reset(at=x["reset"])
    model = OneCompartmentTransit(**{k: x[k] for k in ("ka", "cl", "v", "mtt", "n", "bioavailability")})
    regimen = regimen + Regimen.dose(x["a0"], at=x["reset"] + 0.3)
    return build(model, regimen, jnp.asarray([1.3, 3.1, 5.2, 7.7, 10.3]))


TRANSIT = {"ka": 1.5, "cl": 5.0, "v": 40.0, "mtt": 2.0, "n": 3.4, "bioavailability": 0.8, "a0": 90.0, "t0": 0.2, "a1": 60.0,
           "t1": 2.0, "reset": 6.0}  # fmt: skip

CASES = {
    "every event, exact": (every_event, EVERY_EVENT, Exact()),
    "every event, diffrax": (lambda x: every_event(x, Saturable), EVERY_EVENT, TIGHT),
    "steady state, exact": (steady, STEADY, Exact()),
    "steady state, diffrax": (lambda x: steady(x, Saturable), STEADY, TIGHT),
    "every event, fused": (lambda x: every_event(x, Saturable), EVERY_EVENT, FUSED),
    "every event, fused, implicit": (lambda x: every_event(x, Saturable), EVERY_EVENT, IMPLICIT),
    "steady state, fused": (lambda x: steady(x, Saturable), STEADY, FUSED),
    "transit, diffrax": (transit, TRANSIT, TIGHT),
}


class Derived:
    """A case's plasma as a function of a vector, and differences of it. Everything compiles once."""

    def __init__(self, name):
        pose, self.values, backend = CASES[name]
        self.x = jnp.asarray(list(self.values.values()))
        self.steps = 1e-3 * np.maximum(np.abs(np.asarray(self.x)), 0.1)

        def solved(x):
            solution = backend.solve(pose(dict(zip(self.values, x, strict=True))))
            return solution.output.plasma[0], solution.result

        plasma, _ = jax.eval_shape(solved, self.x)
        self.weights = np.random.default_rng(1).normal(size=plasma.shape)
        self.solved = jax.jit(solved)
        self.rows = jax.jit(jax.jacrev(lambda x: solved(x)[0]))
        self.along = jax.jit(lambda x, v: jax.jvp(lambda x: solved(x)[0], (x,), (v,))[1])
        self.hessian = jax.jit(jax.jacfwd(jax.grad(lambda x: self.weights @ solved(x)[0])))

    def differences(self, f):
        """Columns of df/dx by central differences of fourth order."""
        x, columns = np.asarray(self.x), []
        for h, e in zip(self.steps, np.eye(len(x)), strict=True):
            low2, low, high, high2 = (np.asarray(f(x + n * h * e)) for n in (-2, -1, 1, 2))
            columns.append((8.0 * (high - low) - (high2 - low2)) / (12.0 * h))
        return np.stack(columns, axis=-1)


DERIVED = functools.cache(Derived)


@pytest.fixture(params=CASES)
def derived(request):
    return DERIVED(request.param)


def close(got, want, names):
    scale = np.maximum(np.max(np.abs(want), axis=0), 1e-3)
    worst = np.max(np.abs(got - want) / scale, axis=0)
    assert not {n: float(w) for n, w in zip(names, worst, strict=True) if not w < AGREE}


def test_first_derivatives_match_differences(derived):
    assert derived.solved(derived.x)[1].tolist() == [OK]
    want = derived.differences(lambda x: derived.solved(x)[0])
    close(np.asarray(derived.rows(derived.x)), want, derived.values)


def test_second_derivatives_match_differences_of_the_gradient(derived):
    hessian = np.asarray(derived.hessian(derived.x))
    close(hessian, derived.differences(lambda x: derived.weights @ derived.rows(x)), derived.values)
    # Frozen steps make the discrete solution smooth, so that mixed derivatives commute but for rounding.
    np.testing.assert_allclose(hessian, hessian.T, rtol=1e-6, atol=1e-6 * np.abs(hessian).max())


@pytest.mark.parametrize("name", ["every event, exact", "every event, diffrax"])
def test_a_direction_forward_is_the_rows_times_it(name):
    derived = DERIVED(name)
    direction = np.random.default_rng(2).normal(size=len(derived.x))
    want = np.asarray(derived.rows(derived.x)) @ direction
    # The same derivative in another order of summation.
    np.testing.assert_allclose(derived.along(derived.x, direction), want, rtol=1e-9, atol=1e-9 * np.abs(want).max())
