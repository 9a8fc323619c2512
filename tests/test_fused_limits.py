"""Kernels at the edges: regimens at random, very many doses, single precision far from zero, patients that fail."""

import json
import subprocess
import sys

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from twinjax.dosing import Regimen
from twinjax.models import AbstractModel, OneCompartment, OneCompartmentOral, Route
from twinjax.solve.exact import Exact
from twinjax.solve.fused import Fused, Linear, Rodas5P, Tsit5
from twinjax.solve.problem import MAX_STEPS, NOT_FINITE, OK, STEP_TOO_SMALL, build
from twinjax.units import Amount, AmountRate, Clearance, Concentration, Fraction, Number, Rate, Time, Volume

METHODS = [Tsit5(), Rodas5P(), Linear()]


def solved(backend, problem):
    assert backend.refusal(problem) is None
    return jax.jit(backend.solve)(problem)


# ----------------------------------------------------------------------------------------------------- at random


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
        return self.State(u.depot - absorbed, u.central + absorbed - self.cl * y.central / self.v)

    def output(self, t, y, u):
        return self.Output(y.central / self.v)

    def routes(self):
        return {"central": Route(self.lag, self.bioavailability, self.rate, self.duration)}

    @classmethod
    def typical(cls):
        return cls(1.2, 2.0, 10.0, 0.0, 1.0, 25.0, 4.0, 0.0)


PATIENTS, SAMPLES = 150, 24


def some_regimen(rng):
    """Records on whole hours, so that much happens at once; infusions down to no length; before, at and after all
    samples.
    """
    found = Regimen.none()
    for at in np.sort(rng.integers(0, 32, rng.integers(0, 7))):
        into = rng.choice(["depot", "central"])
        kinds = ["bolus", "infusion", "brief", "repeat", "reset", "reset dose"]
        kinds += ["modelled rate", "modelled duration"] if into == "central" else []
        kinds += ["steady", "steady infusion", "more steady"] if rng.random() < 0.4 else []
        kind, amount = rng.choice(kinds), float(rng.choice([0.0, 10.0, 55.0]))
        every = float(rng.integers(3, 9))
        how = {
            "bolus": {}, "infusion": {"duration": float(rng.integers(1, 9))}, "brief": {"duration": 1e-9},
            "repeat": {"every": every, "additional": int(rng.integers(1, 4))}, "reset": None,
            "reset dose": {"reset": True, "duration": 3.0}, "modelled rate": {"rate": "modelled"},
            "modelled duration": {"duration": "modelled"}, "steady": {"every": every, "steady_state": 1, "additional": 1},
            "steady infusion": {"every": every, "steady_state": 1, "duration": float(rng.integers(1, 3))},
            "more steady": {"every": every, "steady_state": 2},
        }[kind]  # fmt: skip
        record = Regimen.reset(at=at) if how is None else Regimen.dose(amount, into=into, at=float(at), **how)
        found = found + record
    return found


@pytest.fixture(scope="module")
def anything():
    """Patients of every kind, and what is right."""
    rng = np.random.default_rng(20)
    columns = {
        "ka": rng.uniform(0.3, 2.0, PATIENTS), "cl": rng.uniform(0.5, 4.0, PATIENTS), "v": rng.uniform(5.0, 20.0, PATIENTS),
        "lag": rng.choice([0.0, 0.0, 1.0, 2.5], PATIENTS), "bioavailability": rng.choice([0.5, 1.0], PATIENTS),
        "rate": rng.choice([5.0, 10.0], PATIENTS), "duration": rng.choice([0.0, 2.0, 5.0], PATIENTS),
        "start": rng.choice([0.0, 7.0], PATIENTS),
    }  # fmt: skip
    times = rng.choice(np.arange(2.0, 28.0, 0.5), (PATIENTS, SAMPLES))  # in no order, some twice
    order = rng.choice([-0.5, 0.5, 1.5, np.inf], (PATIENTS, SAMPLES))
    problem = build(Routed(**columns), [some_regimen(rng) for _ in range(PATIENTS)], times, order=order)
    return problem, solved(Exact(), problem)


@pytest.mark.parametrize("method", METHODS, ids=lambda m: type(m).__name__)
def test_regimens_at_random(anything, method):
    problem, want = anything
    got = solved(Fused(method=method), problem)
    np.testing.assert_array_equal(got.result, want.result)
    assert np.mean(np.asarray(want.result) == OK) > 0.9
    rtol = 1e-9 if method == Linear() else 2e-7  # a steady state is found to 1e-9 by the first
    for a, b in zip(jax.tree.leaves((got.output, got.state)), jax.tree.leaves((want.output, want.state)), strict=True):
        np.testing.assert_allclose(a, np.where(want.result[:, None] == OK, b, a), rtol=rtol, atol=1e-8)
