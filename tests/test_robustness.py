"""What every estimator survives: starting values ten times off, a subject whose solve fails nearby, one without a
measurement, a variance that goes to zero, an interruption.

One line through the origin, so that everything compiles quickly; FOCEI stands for the methods that share its search for
modes (FOCE, Laplace, quadrature). That NUTS survives an interruption is in `test_bayes`.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import twinjax as tj
from twinjax.estimation.transform import Transform
from twinjax.models.base import AbstractModel
from twinjax.units import Real

TIME = np.array([0.0, 1.0, 2.0, 4.0])


class Brittle(AbstractModel):
    """level = slope t, which cannot be solved where the slope is above a limit."""

    slope: Real
    limit: Real = 1.0

    class State(eqx.Module):
        x: Real

    class Output(eqx.Module):
        level: Real

    def derivative(self, t, y, u):
        return self.State(x=u.x + jnp.where(self.slope > self.limit, jnp.nan, self.slope))

    def output(self, t, y, u):
        return self.Output(level=y.x)

    @classmethod
    def typical(cls):
        return cls(slope=2.0)


def population(off=1.0):
    return tj.Population(
        Brittle(slope=2.0 * off), variability={"slope": 0.3 * off}, residual=tj.Additive(0.3 * off), fixed=["limit"],
        covariates={"limit": tj.Allometry(1.0, "LIMIT", 1.0)},
    )  # fmt: skip


def trial(limit=40.0, spread=0.3):
    """Eight people, one of them brittle, and one without a measurement. Without spread all are exactly alike but for
    errors that are the same in everyone.
    """
    rng, made = np.random.default_rng(1), []
    for i in range(8):
        y = 2.0 * np.exp(rng.normal(0.0, spread)) * TIME + 0.3 * rng.choice([-1.0, 1.0], 4) * (1 + spread)
        own = {"LIMIT": limit if i == 3 else 1e9}
        made.append(
            tj.Subject("brittle" if i == 3 else str(i), measurements=tj.Measurements.of(TIME, y), covariates=own)
        )
    nobody = tj.Subject("nothing", measurements=tj.Measurements.none(), covariates={"LIMIT": 1e9})
    return tj.TrialData((*made, nobody))


FINAL = tj.ImportanceSampling(samples=64)
METHODS = [tj.FO(), tj.FOCEI(), tj.ImportanceEM(samples=64, final=FINAL), tj.SAEM(), tj.TwoStage()]


def test_another_start_compiles_nothing(caplog):
    """Starting values are numbers of one program, and no part of it."""
    data, method = trial(), tj.FOCEI()
    tj.fit(population(2.0), data, method=method, covariance=False)
    with caplog.at_level("WARNING"), jax.log_compiles():
        tj.fit(population(1.5), data, method=method, covariance=False)
    assert not [r for r in caplog.records if "Compiling" in r.message]


def known(found):
    """Finite estimates, and a verdict."""
    assert all(np.isfinite(found.theta[n]) for n in found.estimated)
    assert found.verdict


@pytest.mark.parametrize("method", METHODS, ids=lambda m: m.name)
def test_survives(method):
    far, near = (tj.fit(population(k), trial(), method=method, covariance=False) for k in (10.0, 1.0))
    known(far)
    for name in near.estimated:
        # SAEM ends within 0.05, its tolerance where data say least; the others where they end from anywhere
        assert far.theta[name] == pytest.approx(near.theta[name], rel=0.1 if method.name == "SAEM" else 0.02)

    alike = tj.fit(population(), trial(spread=0.0), method=method)
    known(alike)
    assert alike.theta["omega.slope"] < 0.05

    if method.name == "TwoStage":
        found = tj.fit(population(), trial(limit=-1.0), method=method)
        assert "brittle: not solved" in found.verdict
    else:
        with pytest.raises(RuntimeError, match=r"(?s)start nearer, or look at their data.*brittle"):
            tj.fit(population(), trial(limit=-1.0), method=method)


@pytest.mark.parametrize("method", METHODS[1:3], ids=lambda m: m.name)
def test_a_search_goes_on_from_its_last_iterate(method):
    seen = []

    def stop(step):
        seen.append(step)
        if step.step == 4:
            raise KeyboardInterrupt

    data, whole = trial(), tj.fit(population(3.0), trial(), method=method, covariance=False)
    with pytest.raises(KeyboardInterrupt):
        tj.fit(population(3.0), data, method=method, progress=stop)
    begin = population(3.0)
    there = begin.with_theta(Transform.of(begin).unpack(jnp.asarray(seen[-1].x), begin.theta))
    resumed = tj.fit(there, data, method=method, covariance=False)
    assert resumed.history[0].objective <= seen[-1].objective + 1.0  # EM's draws are others
    assert resumed.objective == pytest.approx(whole.objective, abs=0.3 if method.name == "ImportanceEM" else 1e-3)
