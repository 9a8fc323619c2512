"""Every model of the registry in a kernel: the numbers and their derivatives in every parameter, by every method.

What is right comes from closed forms where the model is linear, else from scipy's DOP853 on the equations of state and
sensitivities, which shares only the model's own lines with the kernels.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_ivp

from twinjax.dosing import Regimen
from twinjax.models import (
    REGISTRY,
    FribergMyelosuppression,
    OneCompartment,
    OneCompartmentTransit,
    QuasiSteadyStateTMDD,
    SigmoidEmaxEffect,
    TwoCompartment,
    TwoCompartmentOralMixed,
    coupled,
)
from twinjax.models.base import input_names, state_names
from twinjax.naming import bind, leaves, resolve
from twinjax.solve.diffrax import Diffrax
from twinjax.solve.events import as_input, field, ravel, unravel
from twinjax.solve.exact import Exact
from twinjax.solve.fused import Fused, Linear, Rodas5P, Tsit5
from twinjax.solve.problem import OK
from twinjax.solve.simulate import choose, pose

TIMES = np.array([0.5, 3.0, 11.0, 24.2, 33.0, 48.0])
SERVED = [cls for cls in REGISTRY if cls is not OneCompartmentTransit]
LANES = 4  # as wide as any x86; wider code for the same step takes twice as long to compile and computes the same


def law(cls):
    """The model at typical values, driven by a drug if a drug drives it; lags and bioavailabilities off their corners."""
    model = cls.typical()
    if any(n not in state_names(model) for n in input_names(model)):
        model = coupled({"pd.concentration": "pk.plasma"}, pk=OneCompartment(cl=40.0, v=400.0), pd=model)
    moved = {"lag": 0.3, "lag_zero": 0.4, "bioavailability": 0.8}
    return bind(model, {n: moved[n] for n in leaves(model) if n in moved})


def routes_of(model):
    states = state_names(model)
    return {resolve(n, states): route for n, route in model.routes().items()}


def doses_of(model):
    """``(into, at, amount, over)``: boluses, or what the route makes of them, into up to two states; an infusion."""
    dosable = [n for n in input_names(model) if n in state_names(model)][:2]
    plain = [n for n in dosable if n not in routes_of(model)]
    size = 1.0 if type(model).stiff else 20.0  # binding of more than 1 umol is too fast for the explicit methods
    doses = [(n, at, size, 0.0) for at in (0.0, 24.0) for n in dosable]
    return doses + [(n, 30.0, 0.6 * size, 4.0) for n in plain[-1:]]


def regimen_of(model):
    routes, found = routes_of(model), Regimen.none()
    for into, at, amount, over in doses_of(model):
        how = {"duration": over} if over else {}
        if into in routes and routes[into].duration is not None:
            how = {"duration": "modelled"}
        found = found + Regimen.dose(amount, into=into, at=at, **how)
    return found


def outputs(backend, model, times=TIMES, regimen=None):
    """`(samples, outputs)` of one patient, and the result code; differentiable in the model."""
    s = backend.solve(pose(model, regimen_of(model) if regimen is None else regimen, times))
    return jnp.stack([x[0] for x in jax.tree.leaves(s.output)], axis=-1), s.result


def vector(model):
    """The parameters as a vector, and back."""
    flat, structure = jax.tree.flatten(model)
    return jnp.stack(flat), lambda p: jax.tree.unflatten(structure, list(p))


def with_slopes(backend, model):
    """Outputs, derivatives `(samples, outputs, parameters)` and result code, by one program."""
    p, made = vector(model)

    def value(p):
        found, code = outputs(backend, made(p), regimen=regimen_of(model))
        return found, (found, code)

    slopes, (found, code) = jax.jit(jax.jacfwd(value, has_aux=True))(p)
    assert code.tolist() == [OK]
    return np.asarray(found), np.asarray(slopes)


# ----------------------------------------------------------------------------------------------------------- the oracle


def happenings(model, doses):
    """Times `(events,)`, what arrives at them and by how much rates change, `(events, states)` each."""
    states, routes = state_names(model), routes_of(model)
    times, added, rates = [], [], []
    for into, at, amount, over in doses:
        one = jnp.eye(len(states))[states.index(into)]
        lag, fraction = 0.0, 1.0
        if into in routes:
            lag = 0.0 if routes[into].lag is None else routes[into].lag
            fraction = 1.0 if routes[into].bioavailability is None else routes[into].bioavailability
        pieces = [(0.0, 0.0, amount / over), (over, 0.0, -amount / over)] if over else [(0.0, amount * fraction, 0.0)]
        for late, arrives, change in pieces:
            times.append(jnp.asarray(at + lag + late, float))
            added.append(arrives * one)
            rates.append(change * one)
    return jnp.stack(times), jnp.stack(added), jnp.stack(rates)


def oracle(model, samples):
    """Outputs and derivatives in every parameter, by scipy on state and sensitivities; doses as jumps of both."""
    p, made = vector(model)
    doses, n, m = doses_of(model), len(state_names(model)), len(p)

    def whole(p, t, y, rates):
        return field(made(p), t, y, rates)

    def seen(p, t, y, rates):
        one = made(p)
        return ravel(one.output(t, unravel(one, y), as_input(one, rates)))

    @jax.jit
    def slopes(t, z, rates):
        y, s = z[:n], z[n:].reshape(n, m)
        by_p, by_y = jax.jacfwd(whole, argnums=(0, 2))(p, t, y, rates)
        return jnp.concatenate([whole(p, t, y, rates), (by_y @ s + by_p).ravel()])

    @jax.jit
    def look(t, z, rates):
        by_p, by_y = jax.jacfwd(seen, argnums=(0, 2))(p, t, z[:n], rates)
        return seen(p, t, z[:n], rates), by_y @ z[n:].reshape(n, m) + by_p

    (times, added, changes), moves = jax.device_get(
        (happenings(model, doses), jax.jacfwd(lambda p: happenings(made(p), doses))(p))
    )
    rates, t = np.zeros(n), min(0.0, times.min())
    start = lambda p: ravel(made(p).initial())
    z = np.concatenate([start(p), np.asarray(jax.jacfwd(start)(p)).ravel()])
    found, by = [], []

    def move(z, until):
        if until <= t:
            return z
        return solve_ivp(
            lambda t, z: np.asarray(slopes(t, z, rates)), (t, until), z, "DOP853", rtol=1e-11, atol=1e-12
        ).y[:, -1]

    order = [*((s, 1, i) for i, s in enumerate(samples)), *((at, 0, k) for k, at in enumerate(times))]
    for at, kind, k in sorted(order):
        z, t = move(z, at), max(t, at)
        if kind:
            value, slope = look(t, z, rates)
            found.append(value)
            by.append(slope)
            continue
        before = np.asarray(slopes(t, z, rates))[:n]
        rates = rates + changes[k]
        z[:n] += added[k]
        after = np.asarray(slopes(t, z, rates))[:n]
        z[n:] += (np.outer(before - after, moves[0][k]) + moves[1][k]).ravel()
    return np.stack(found), np.stack(by)


@functools.cache
def right(cls):
    """Outputs and derivatives of `law(cls)`."""
    model = law(cls)
    if Exact().refusal(pose(model, regimen_of(model), TIMES)) is None:
        return with_slopes(Exact(), model)
    return oracle(model, TIMES)


# ------------------------------------------------------------------------------------------------------------- the laws


def methods(model):
    """The methods that serve a model. Those that an explicit method serves badly declare it themselves."""
    linear = Exact().refusal(pose(model, regimen_of(model), TIMES)) is None
    return [m for m in (Tsit5(), Rodas5P(), Linear()) if linear or not isinstance(m, Linear)]


@pytest.mark.parametrize("cls", SERVED, ids=lambda c: c.__name__)
def test_numbers_and_gradients(cls):
    model = law(cls)
    want, slopes = right(cls)
    assert np.ptp(want, axis=0).min() > 0  # nothing here stands still
    for method in methods(model):
        found, by = with_slopes(Fused(method=method, lanes=LANES), model)
        # As in the tests of every backend: rtol 1e-8 a step over some hundred steps; a hundred times atol.
        np.testing.assert_allclose(found, want, rtol=2e-7, atol=1e-8, err_msg=str(method))
        if isinstance(method, Tsit5) and type(model).stiff:
            continue  # stability bounds its steps there, and holds only the values: so it is with every explicit method
        # 1e-5 of the largest of the column; where that is next to nothing, of what the output is per relative change.
        largest = np.abs(slopes).max(axis=(0, 1))
        per_change = np.abs(want).max(axis=0)[:, None] / np.abs(vector(model)[0])
        worst = np.abs(by - slopes).max(axis=0) / np.maximum(largest, per_change)
        bad = {n: float(x) for n, x in zip(leaves(model), worst.max(axis=0), strict=True) if not x < 1e-5}
        assert not bad, method


PROGRAMS = (TwoCompartment, TwoCompartmentOralMixed, QuasiSteadyStateTMDD, FribergMyelosuppression, SigmoidEmaxEffect)


@pytest.mark.parametrize("cls", PROGRAMS, ids=lambda c: c.__name__)
def test_errors_are_no_worse_than_diffrax_s_at_the_same_tolerance(cls):
    """Root mean square in units of the tolerance; what is within a tenth of it is as good as right."""
    model, times, rtol, atol = law(cls), np.linspace(0.25, 48.0, 60), 1e-6, 1e-8
    tight = Fused(1e-12, 1e-14, method=Rodas5P(), lanes=LANES)
    linear = Exact().refusal(pose(model, regimen_of(model), times)) is None

    def solved(backend):
        found, code = jax.jit(functools.partial(outputs, backend, times=times))(model)
        assert code.tolist() == [OK]
        return np.asarray(found)

    want = solved(Exact() if linear else tight)

    def error(backend):
        return np.sqrt(np.mean(((solved(backend) - want) / (atol + rtol * np.abs(want).max(axis=0))) ** 2))

    theirs = error(choose(pose(model, regimen_of(model), times), Diffrax(rtol, atol)))
    for method in (Tsit5(), Rodas5P()):
        assert error(Fused(rtol, atol, method=method, lanes=LANES)) < max(3.0 * theirs, 0.1), method


def test_stateless_and_transit_models_are_refused_in_words():
    refused = {cls: Fused().refusal(pose(cls.typical(), Regimen.none(), TIMES)) for cls in REGISTRY}
    words = {cls.__name__: why for cls, why in refused.items() if why is not None}
    none = "cannot be compiled: it has no states"
    effects = ("LinearEffect", "LogLinearEffect", "EmaxEffect", "SigmoidEmaxEffect")
    transit = "OneCompartmentTransit has transit absorption, an input that varies in time"
    assert words == {name: f"{name} {none}" for name in effects} | {"OneCompartmentTransit": transit}
