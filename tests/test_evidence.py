"""What a fit rests on: profiles, bootstraps, importance resampling and shrinkage, against closed forms and against fits
done another way.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize
import scipy.stats

import twinjax as tj
from twinjax.datasets import theophylline
from twinjax.estimation.evidence.again import engine_of
from twinjax.models import OneCompartmentOral
from twinjax.solve.problem import AbstractBackend, Solution


class Closed(AbstractBackend):
    """One oral dose into one compartment, written out: quick to compile."""

    def refusal(self, problem):
        return None

    def solve(self, problem):
        m, d = problem.model, problem.doses
        k, ka, v = m.cl / m.v, m.ka, m.v
        t = problem.time - d.time
        plasma = d.amount / v * ka / (ka - k) * (jnp.exp(-k * t) - jnp.exp(-ka * t))
        none = jnp.zeros(problem.patients, int)
        return Solution(problem.time, type(m).Output(plasma=plasma), None, none, none)


OMEGA = {"ka": 0.63, "cl": 0.26, "v": 0.14}


def population(**more):
    return tj.Population(
        OneCompartmentOral(ka=1.59, cl=2.75, v=31.8), variability=OMEGA, residual=tj.Additive(0.69), **more
    )


@pytest.fixture(scope="module")
def theo():
    return tj.fit(population(), theophylline(), backend=Closed())


@functools.cache
def correlated():
    """A trial whose clearances and volumes go together, fitted with a block of Omega."""
    truth = population(correlations={("cl", "v"): 0.6}).with_theta({"omega.v": 0.3, "omega.cl": 0.4})
    trial = tj.simulate_trial(truth, tj.TrialData(theophylline().subjects * 3), 5, backend=Closed())
    return tj.fit(truth, trial, backend=Closed())


def compilations(function):
    """What a call returns, and how many programs of XLA it compiled."""
    seen = []
    jax.monitoring.register_event_duration_secs_listener(
        lambda event, seconds, **more: seen.append(event) if event.endswith("backend_compile_duration") else None
    )
    found = function()
    return found, len(seen)


# ------------------------------------------------------------------------------------------------------------ profiles


def test_limits_of_a_profile_are_where_a_fit_with_the_parameter_fixed_has_risen(theo):
    found = tj.profile(theo, ["ka", "omega.v"])
    for side in ("lower", "upper"):
        limit = float(found.table.loc["omega.v", side])
        fixed = population(fixed=["omega.v"]).with_theta({**theo.theta, "omega.v": limit})
        other = tj.fit(fixed, theophylline(), backend=Closed(), covariance=False)
        # a limit is found to 0.01 of the objective, and both searches end some 1e-4 above their minima
        assert other.objective - theo.objective == pytest.approx(scipy.stats.chi2.ppf(0.95, 1), abs=0.011)
    assert found.lower_than_fit == 0.0
    inner = found.trace[found.trace.change < 1.0]
    for name, own in inner.groupby("parameter"):
        z = (own.value / theo.theta[name]).map(np.log) * theo.theta[name] / theo.table.se[name]
        # near the minimum the rise is the square of Wald's; cubic terms of these 12 subjects leave a quarter of it
        np.testing.assert_allclose(own.change, z**2, atol=0.25)
    assert "95 % limits" in str(found)


def test_a_second_profile_compiles_nothing(theo):
    tj.profile(theo, ["ka"], points=0)
    _, count = compilations(lambda: tj.profile(theo, ["cl", "plasma.additive"], points=0))
    assert count == 0


@pytest.mark.parametrize("name", ["corr.cl.v", "omega.v"])
def test_profile_of_a_parameter_inside_a_block_of_omega(name):
    fit = correlated()
    found = tj.profile(fit, [name], points=0)
    engine, x = engine_of(fit)
    k, transform, theta = fit.estimated.index(name), engine.predictor.transform, fit.population.theta

    def held(v):
        return float(transform.report(v, theta)[k])

    slope = jax.jit(jax.grad(lambda v: transform.report(v, theta)[k]))
    for side in ("lower", "upper"):
        limit = float(found.table.loc[name, side])
        other = scipy.optimize.minimize(
            engine, x, jac=True, method="SLSQP", options={"ftol": 1e-9, "maxiter": 200},
            constraints={"type": "eq", "fun": lambda v, limit=limit: held(v) - limit, "jac": lambda v: np.asarray(slope(v))},
        )  # fmt: skip
        assert other.success
        assert other.fun - fit.objective == pytest.approx(scipy.stats.chi2.ppf(0.95, 1), abs=0.011)
        moved = found.trace.iloc[(found.trace.value - limit).abs().argmin()]
        np.testing.assert_allclose(
            moved[list(fit.estimated)].astype(float), transform.report(other.x, theta), rtol=0.02
        )


def test_profile_says_what_is_not_estimated(theo):
    with pytest.raises(ValueError, match=r"no estimated parameter 'kb'; did you mean"):
        tj.profile(theo, ["kb"])
