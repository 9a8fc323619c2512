"""Derivatives that move events in time, by kernels alone: where events coincide but move apart, to the third order.

The oracle is a sum of textbook closed forms, differentiated by JAX; diffrax where there is none.
"""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import twinjax.solve.fused.carry as carrying
from twinjax.dosing import Regimen
from twinjax.models import AbstractModel, FribergMyelosuppression, Route, TwoCompartment, coupled
from twinjax.solve.building import build
from twinjax.solve.diffrax import Diffrax
from twinjax.solve.fused import Fused, Linear, Rodas5P, Tsit5
from twinjax.solve.problem import OK
from twinjax.units import Amount, Rate, Time

ON = 3.0
TIMES = np.array([0.5, ON, 4.1, 6.5, 9.7])


class Depot(AbstractModel):
    """A depot, where doses come late, empties into a centre, where they come slowly."""

    ka: Rate
    k: Rate
    lag: Time
    duration: Time

    class State(eqx.Module):
        depot: Amount
        centre: Amount

    class Output(eqx.Module):
        amount: Amount

    def derivative(self, t, y, u):
        absorbed = self.ka * y.depot
        return self.State(u.depot - absorbed, u.centre + absorbed - self.eliminated(y.centre))

    def eliminated(self, amount):
        return self.k * amount

    def output(self, t, y, u):
        return self.Output(y.centre)

    def routes(self):
        return {"depot": Route(lag=self.lag), "centre": Route(duration=self.duration)}

    @classmethod
    def typical(cls):
        return cls(1.1, 0.4, 0.0, 2.0)


class Saturable(Depot):
    """The same with an elimination that saturates, and acts the slower the later it is."""

    def eliminated(self, amount):
        return self.k * amount / (1.0 + amount / 30.0)


# At one moment an infusion ends, a dose comes whose lag is zero and one that is on time; all but the last can move.
REGIMEN = (
    Regimen.dose(60.0, into="centre", at=1.0, duration="modelled")
    + Regimen.dose(50.0, into="depot", at=ON)
    + Regimen.dose(40.0, into="centre", at=ON)
)
AT = jnp.array([0.0, 2.0, 1.1])


def solved(backend, kind):
    def amounts(x):
        model = kind.typical()
        model = eqx.tree_at(lambda m: (m.lag, m.duration, m.ka), model, (x[0], x[1], x[2]))
        found = backend.solve(build(model, REGIMEN, TIMES))
        return found.output.amount[0], found.result

    return amounts


def closed(x):
    """What each dose leaves in the centre, added up; as if the three came before the sample of the same time."""
    lag, duration, ka = x
    k, t = 0.4, jnp.asarray(TIMES)
    after = jnp.where(t >= ON, 1.0, 0.0)
    since = t - ON - lag
    late = 50.0 * ka / (ka - k) * (jnp.exp(-k * since) - jnp.exp(-ka * since))
    slow = 60.0 / (duration * k) * (jnp.exp(k * duration) - 1.0) * jnp.exp(-k * (t - 1.0))
    return after * (late + slow + 40.0 * jnp.exp(-k * (t - ON)))


@pytest.fixture
def kernels_alone(monkeypatch):
    def never(*_):
        raise AssertionError("a derivative went by another way than a kernel")

    monkeypatch.setattr(carrying, "_otherwise", never)


def nested(f, order):
    for _ in range(order):
        f = jax.jacfwd(f)
    return jax.jit(f)


@pytest.mark.parametrize("order", [1, 2, 3])
@pytest.mark.parametrize("method", [Tsit5(), Rodas5P(), Linear()], ids=lambda m: type(m).__name__)
def test_events_that_coincide_and_move_apart(method, order, kernels_alone):
    amounts = solved(Fused(rtol=1e-12, atol=1e-13, method=method), Depot)
    value, result = amounts(AT)
    assert result.tolist() == [OK]
    # Samples lie between steps, by an interpolant of the fourth order, whose own derivatives a derivative uses: one
    # order in the step less for each, beginning from 1e-12.
    bound = {1: 1e-10, 2: 1e-9, 3: 1e-6}[order]
    np.testing.assert_allclose(value, closed(AT), rtol=1e-9)
    found, want = nested(lambda x: amounts(x)[0], order)(AT), nested(closed, order)(AT)
    scale = np.max(np.abs(want), axis=0, keepdims=True) + 1e-3
    assert np.max(np.abs(found - want) / scale) < bound


@functools.cache
def hessian(backend):
    return nested(lambda x: solved(backend, Saturable)(x)[0], 2)(AT)


@pytest.mark.parametrize("method", [Tsit5(), Rodas5P()], ids=lambda m: type(m).__name__)
def test_without_a_closed_form_it_is_diffrax(method, kernels_alone):
    ours, theirs = hessian(Fused(rtol=1e-11, atol=1e-12, method=method)), hessian(Diffrax(rtol=1e-11, atol=1e-12))
    np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5 * np.abs(theirs).max())


@pytest.mark.parametrize("method", [Tsit5(), Rodas5P(), Linear()], ids=lambda m: type(m).__name__)
def test_a_steady_state_in_times(method, kernels_alone):
    """Of infusions of modelled duration, in when they are, how far apart, how long, and the rate of elimination."""
    backend = Fused(rtol=1e-11, atol=1e-12, method=method)

    def amounts(x):
        model = eqx.tree_at(lambda m: (m.duration, m.k), Depot.typical(), (x[2], x[3]))
        regimen = Regimen.dose(60.0, into="centre", at=x[0], duration="modelled", every=x[1], steady_state=1)
        return backend.solve(build(model, regimen, np.array([6.5, 9.7]))).output.amount[0]

    def known(x):
        start, every, long, k = x
        once = 60.0 / (long * k) * (jnp.exp(k * long) - 1.0) * jnp.exp(-k * (jnp.array([6.5, 9.7]) - start))
        return once / (1.0 - jnp.exp(-k * every))

    at = jnp.array([1.0, 12.0, 2.0, 0.4])
    found, want = nested(amounts, 1)(at), nested(known, 1)(at)
    # The fixed point is found to ten times rtol and made better by three steps of Newton's method with a kept slope.
    np.testing.assert_allclose(found, want, rtol=1e-8, atol=1e-8 * np.abs(want).max())


class Filling(AbstractModel):
    """A constant inflow, and nothing that its level acts on."""

    inflow: Rate

    class State(eqx.Module):
        level: Amount

    class Output(eqx.Module):
        level: Amount

    def derivative(self, t, y, u):
        return self.State(u.level + self.inflow)

    def output(self, t, y, u):
        return self.Output(y.level)

    @classmethod
    def typical(cls):
        return cls(2.0)


@pytest.mark.parametrize("method", [Tsit5(), Rodas5P(), Linear()], ids=lambda m: type(m).__name__)
def test_how_long_an_inflow_acts(method, kernels_alone):
    """Since it was emptied at x[1] the level is x[0] (t - x[1]) + 5: no slope depends on both, yet the level does."""

    def level(x):
        regimen = Regimen.reset(at=x[1]) + Regimen.dose(5.0, into="level", at=4.0)
        return Fused(method=method).solve(build(Filling(x[0]), regimen, TIMES[3:])).output.level[0]

    hessian = jax.jacfwd(jax.jacfwd(level))(jnp.array([2.0, ON]))
    np.testing.assert_allclose(hessian, np.broadcast_to([[0.0, -1.0], [-1.0, 0.0]], (2, 2, 2)), atol=1e-12)


def test_second_derivatives_in_many_directions(kernels_alone):
    """Of neutropenia, seven states in eight parameters: traced alone, as it would otherwise go by another way."""
    model = coupled(
        {"pd.concentration": "pk.plasma"}, pk=TwoCompartment.typical(), pd=FribergMyelosuppression.typical()
    )
    flat, structure = jax.tree.flatten(model)
    regimen = Regimen.infusion(300.0, over=3.0, into="pk.central")

    def cells(x):
        own = jax.tree.unflatten(structure, list(x))
        return Fused(method=Tsit5()).solve(build(own, regimen, TIMES)).output.pd.neutrophils[0]

    shape = jax.eval_shape(jax.jacfwd(jax.jacfwd(cells)), jnp.stack(flat))
    assert shape.shape == (5, 8, 8)
