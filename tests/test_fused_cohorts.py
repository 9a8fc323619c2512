"""A kernel serves each of many patients as if alone: any regimen, thousands of doses, failures among them, either precision.

The oracle is superposition: one compartment with first-order absorption is linear, so that what doses leave adds up.
"""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_ivp

from twinjax.dosing import Regimen
from twinjax.models import AbstractModel, OneCompartmentOral, Route
from twinjax.solve.building import build
from twinjax.solve.diffrax import Diffrax
from twinjax.solve.fused import Fused, Linear, Rodas5P, Tsit5
from twinjax.solve.problem import MAX_STEPS, NOT_FINITE, OK, STEP_TOO_SMALL
from twinjax.units import Amount, Rate, Time

METHODS = pytest.mark.parametrize("method", [Tsit5(), Rodas5P(), Linear()], ids=lambda m: type(m).__name__)
KA, K, V = 1.2, 0.2, 10.0
BODY = OneCompartmentOral(ka=KA, cl=K * V, v=V)


def absorbed(since):
    """The amount in the centre a time after a unit is given into the depot."""
    s = np.maximum(since, 0.0)
    return KA / (KA - K) * (np.exp(-K * s) - np.exp(-KA * s))


def prompt(since):
    """The amount in the centre a time after a unit is given into it."""
    return np.where(since >= 0, np.exp(-K * np.maximum(since, 0.0)), 0.0)


def infused(since, length):
    """The amount in the centre a time after a unit began to run into it."""
    on, off = np.maximum(since, 0.0), np.maximum(since - length, 0.0)
    return (np.exp(-K * off) - np.exp(-K * on)) / (K * length)


@functools.cache
def compiled(backend):
    return jax.jit(backend.solve)


def solve(backend, problem):
    return compiled(backend)(problem)


@METHODS
def test_ten_thousand_doses(method):
    """Those of two drawers in turn, so that they have to be put in order."""
    count, every, times = 5000, 2.0, np.array([0.5, 31.0, 9_999.0, 10_003.0])
    regimen = Regimen.repeat(3.0, every=every, count=count, into="central")
    regimen = regimen + Regimen.repeat(2.0, every=every, count=count, into="central", at=1.0)
    s = solve(Fused(method=method, max_steps=200_000), build(BODY, regimen, times))
    doses = every * np.arange(count)
    left = times[:, None] - doses
    want = (3.0 * prompt(left) + 2.0 * prompt(left - 1.0)).sum(axis=1)
    assert s.result.tolist() == [OK]
    # Errors of 1e-8 a step add up over the few hours in which they fade.
    np.testing.assert_allclose(s.state.central[0], want, rtol=1e-7)


def drawn(rng):
    """A regimen on a grid so coarse that much coincides, and the amount that it leaves in the centre."""
    regimen, effects = Regimen.none(), []
    for _ in range(rng.integers(1, 6)):
        at, amount = 0.5 * rng.integers(0, 13), float(rng.integers(1, 9))
        length = rng.choice([0.0, 0.5, 1.0, 4.0])
        into = rng.choice(["depot", "central"])
        if into == "depot":
            regimen, effect = regimen + Regimen.dose(amount, into="depot", at=at), absorbed
        elif length > 0:
            regimen = regimen + Regimen.infusion(amount, over=length, into="central", at=at)

            def effect(since, length=length):
                return infused(since, length)
        else:
            regimen, effect = regimen + Regimen.dose(amount, into="central", at=at), prompt
        effects.append((at, amount, effect))
    return regimen, lambda t: sum(amount * effect(t - at) for at, amount, effect in effects)


@functools.cache
def fuzzed():
    """A hundred patients, and the amounts at their samples."""
    rng = np.random.default_rng(11)
    regimens, leaves = zip(*(drawn(rng) for _ in range(100)), strict=True)
    times = 0.5 * np.sort(rng.integers(0, 13, (100, 9)), axis=1)
    want = np.stack([left(t) for left, t in zip(leaves, times, strict=True)])
    return build(BODY, regimens, times), want, rng.permutation(100)


@METHODS
def test_any_regimen(method):
    """Doses at one time, at samples, at the first and the last of them and after it; a patient does not know the others."""
    problem, want, other = fuzzed()
    backend = Fused(rtol=1e-9, atol=1e-11, method=method)
    s = solve(backend, problem)
    assert not np.any(s.result)
    np.testing.assert_allclose(s.state.central, want, rtol=1e-7, atol=1e-9)  # errors of 1e-9 a step add up
    again = solve(backend, jax.tree.map(lambda x: x[other], problem))
    np.testing.assert_array_equal(again.state.central, s.state.central[other])


class Slow(AbstractModel):
    """An infusion of modelled duration."""

    k: Rate
    duration: Time

    class State(eqx.Module):
        central: Amount

    class Output(eqx.Module):
        central: Amount

    def derivative(self, t, y, u):
        return self.State(u.central - self.k * y.central)

    def output(self, t, y, u):
        return self.Output(y.central)

    def routes(self):
        return {"central": Route(duration=self.duration)}

    @classmethod
    def typical(cls):
        return cls(K, 1.0)


@METHODS
def test_an_infusion_of_no_length_is_a_bolus(method):
    """And the shorter it is, the nearer to one."""
    lengths, times = np.array([0.0, 1e-9, 1e-3]), np.array([0.0, 1.0, 5.0])
    regimen = Regimen.dose(8.0, into="central", duration="modelled")
    s = solve(Fused(method=method), build(Slow(K, jnp.asarray(lengths)), regimen, times))
    assert s.result.tolist() == [OK] * 3
    np.testing.assert_allclose(s.output.central[:2, 1:], 8.0 * np.stack([prompt(times[1:])] * 2), rtol=1e-7)
    np.testing.assert_allclose(s.output.central[2, 1:], 8.0 * infused(times[1:], 1e-3), rtol=1e-7)


class Growing(AbstractModel):
    """Growth in proportion to its square: infinite at the time 1 / (rate * start)."""

    rate: Rate
    start: Amount

    class State(eqx.Module):
        amount: Amount

    class Output(eqx.Module):
        amount: Amount

    def initial(self):
        return self.State(self.start)

    def derivative(self, t, y, u):
        return self.State(u.amount + self.rate * y.amount * y.amount)

    def output(self, t, y, u):
        return self.Output(y.amount)

    @classmethod
    def typical(cls):
        return cls(0.01, 1.0)


@pytest.mark.parametrize("method", [Tsit5(), Rodas5P()], ids=lambda m: type(m).__name__)
def test_patients_that_fail_among_good_ones(method):
    """One without a number, one that grows beyond every number: both say so, and the others are what they were."""
    rate, times = np.linspace(0.005, 0.04, 40), np.linspace(1.0, 20.0, 20)

    def solved(rate):
        return solve(Fused(method=method), build(Growing(jnp.asarray(rate), 1.0), Regimen.none(), times))

    good, ill = solved(rate), rate.copy()
    ill[[7, 8, 30]] = np.nan, 0.11, np.inf
    mixed, rest = solved(ill), np.delete(np.arange(40), [7, 8, 30])
    np.testing.assert_allclose(good.output.amount, 1.0 / (1.0 - rate[:, None] * (times - 1.0)), rtol=1e-6)
    assert mixed.result[7] == mixed.result[30] == NOT_FINITE
    assert int(mixed.result[8]) in (NOT_FINITE, STEP_TOO_SMALL, MAX_STEPS)
    assert not np.any(mixed.result[rest])
    np.testing.assert_array_equal(mixed.output.amount[rest], good.output.amount[rest])
    assert np.isfinite(mixed.output.amount[8, 0])  # what was reached before
    assert np.isnan(mixed.output.amount[8, -1])


@METHODS
def test_single_precision_late_in_a_treatment(method):
    """From 50,000 hours, where single precision tells times apart by 0.004 h: no sample is lost, and the steps after a dose
    are told apart as well as at the beginning.
    """
    begin, doses = 50_000.0, 24.0 * np.arange(7)
    times = begin + np.arange(0.0, 168.0, 3.0)
    regimen = Regimen.repeat(100.0, every=24.0, count=7, into="depot", at=begin)
    s = solve(Fused(rtol=1e-5, atol=1e-5, method=method, precision="f32"), build(BODY, regimen, times))
    want = 100.0 * absorbed(times[:, None] - begin - doses).sum(axis=1)
    assert s.result.tolist() == [OK]
    # Seven digits at each of some hundred steps, and 1e-5 asked of each.
    np.testing.assert_allclose(s.state.central[0], want, atol=1e-4 * want.max())


class Saturable(OneCompartmentOral):
    """Elimination that saturates at 2 mg/L."""

    def derivative(self, t, y, u):
        c, taken = y.central / self.v, self.ka * y.depot
        return self.State(u.depot - taken, u.central + taken - self.cl * c / (1.0 + c / 2.0))


def test_errors_are_no_larger_than_diffrax_s():
    """At one tolerance, against scipy at a much smaller one."""
    rng, times = np.random.default_rng(3), np.linspace(1.0, 24.0, 12)
    ka, cl = rng.uniform(0.5, 2.0, 12), rng.uniform(1.0, 6.0, 12)

    def fine(ka, cl):
        def slope(_, y):
            c = y[1] / V
            return [-ka * y[0], ka * y[0] - cl * c / (1.0 + c / 2.0)]

        return solve_ivp(slope, (0.0, 24.0), [100.0, 0.0], "DOP853", t_eval=times, rtol=1e-12, atol=1e-12).y[1] / V

    want = np.stack([fine(*p) for p in zip(ka, cl, strict=True)])
    problem = build(Saturable(ka=jnp.asarray(ka), cl=jnp.asarray(cl), v=V), Regimen.dose(100.0), times)

    def error(backend):
        return float(np.max(np.abs(solve(backend, problem).output.plasma - want) / want.max(axis=1, keepdims=True)))

    ours, theirs = (error(b(rtol=1e-6, atol=1e-9)) for b in (Fused, Diffrax))
    assert 0 < ours <= 1.5 * theirs < 1e-5  # the same pair of formulas; their steps fall elsewhere
