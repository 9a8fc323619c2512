"""Kalman's gain on random effects, one measurement after another: by a linearisation, or by an ensemble."""

from __future__ import annotations

from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from twinjax.assimilation.bedside import Bedside, bucket
from twinjax.assimilation.belief import NormalBelief, Particles
from twinjax.assimilation.methods.base import AbstractAssimilation, Learnt
from twinjax.estimation.moments import moments, transformed
from twinjax.estimation.prediction import expand
from twinjax.models.base import output_names
from twinjax.observation import QUANTIFIED
from twinjax.population.population import Population
from twinjax.solve.compiling import compiled


class AbstractKalman(AbstractAssimilation):
    """Measurements are learnt one by one in the order of time, each by the gain ``cov(eta, f) / (var(f) + R)``."""

    ordered: ClassVar[bool] = True

    def check(self, bedside: Bedside) -> None:
        """**Raises** `ValueError` for censored or correlated measurements and likelihoods, which have no gain."""
        p, o = bedside.population, bedside.design.observed
        errors = p.errors(p.theta)
        if p.varying_errors or errors.correlated or errors.likelihoods or errors.above_zero or errors.tailed:
            raise ValueError(
                f"{self.name} knows independent normal residual errors that are alike in everybody; use MAP() or "
                "ParticleFilter()"
            )
        if np.any(np.asarray((o.censored != QUANTIFIED) & o.there)):
            raise ValueError(f"{self.name} cannot learn from a censored measurement; use MAP() or ParticleFilter()")


class ExtendedKalman(AbstractKalman):
    """The extended Kalman filter of the random effects: predictions are taken as linear about the mean so far.

    Exact where predictions are linear in them and the residual variance is constant.

    **Reference**: Jazwinski 1970, Stochastic Processes and Filtering Theory, chapter 8, ISBN 978-0-12-381550-7.
    """

    def learn(self, bedside, belief, key):
        """The fresh measurements, by time."""
        mean, spread, solved = _extended(bedside, belief.mean, belief.covariance, _turns(bedside))
        none = jnp.full(mean.shape[:1], jnp.nan)
        return Learnt(NormalBelief(mean, spread), solved, none, none)


class EnsembleKalman(AbstractKalman):
    """The ensemble square-root Kalman filter of the random effects: moments come from an ensemble of solutions.

    No derivatives and no random numbers after the first draw, whose mean and covariance are those of Omega to the bit;
    so that it equals Kalman's filter where predictions are linear and the residual variance constant.

    **Parameters**: `members` of the ensemble, more than twice the random effects.
    **Reference**: Whitaker & Hamill 2002, Mon Weather Rev 130:1913,
    doi:10.1175/1520-0493(2002)130<1913:EDAWPO>2.0.CO;2.
    """

    members: int = eqx.field(static=True, default=100)

    def prior(self, population: Population, patients: int, key: Any) -> Particles:
        """Draws made to have the mean and the covariance of Omega."""
        etas = len(population.etas)
        if self.members <= 2 * etas:
            raise ValueError(f"an ensemble of {self.members} is too small for {etas} random effects; take {10 * etas}")
        unit = np.random.default_rng(int(jax.random.randint(key, (), 0, 2**30))).standard_normal((self.members, etas))
        unit -= unit.mean(axis=0)
        unit = np.linalg.solve(np.linalg.cholesky(unit.T @ unit / self.members), unit.T).T
        eta = unit @ np.linalg.cholesky(np.asarray(population.omega(population.theta))).T
        log_weight = jnp.full((patients, self.members), -jnp.log(self.members))
        return Particles(jnp.broadcast_to(jnp.asarray(eta), (patients, *eta.shape)), log_weight)

    def learn(self, bedside, belief, key):
        """The fresh measurements, by time."""
        assert isinstance(belief, Particles)
        eta, solved = _ensemble(bedside, belief.eta, _turns(bedside))
        none = jnp.full(eta.shape[:1], jnp.nan)
        return Learnt(Particles(eta, belief.log_weight), solved, none, none)


def _turns(bedside: Bedside) -> Any:
    """Rows of the fresh measurements in the order of time, `(turns, patients)`, -1 where there are no more."""
    fresh = np.asarray(bedside.fresh)
    turns = np.full((bucket(int(fresh.sum(axis=1).max(initial=0)), 1), len(fresh)), -1)
    for i, own in enumerate(fresh):  # rows are by time already
        rows = np.flatnonzero(own)
        turns[: len(rows), i] = rows
    return jnp.asarray(turns)


@compiled
def _extended(bedside: Bedside, mean: Any, spread: Any, turns: Any) -> tuple[Any, Any, Any]:
    predictor, design, x = bedside.predictor, bedside.design, bedside.x
    outputs = output_names(bedside.population.model)
    errors = bedside.population.errors(predictor.transform.unpack(x, bedside.population.theta))

    def turn(c: tuple[Any, Any, Any], row: Any) -> tuple[Any, None]:
        mean, spread, solved = c
        local = predictor.local(predictor.every(x, mean, design), x, design, order=1)

        def one(mean: Any, spread: Any, local: Any, o: Any, own: Any, row: Any) -> tuple[Any, Any]:
            def predicted(eta: Any) -> Any:
                return moments(errors, outputs, o, expand(local, predictor.coordinates(x, eta, own))).mean[row]

            m = moments(errors, outputs, o, expand(local, predictor.coordinates(x, mean, own)))
            y = transformed(errors, outputs, o, jnp.where(o.there, o.value, 1.0))[row]
            slope = jax.jacfwd(predicted)(mean)
            gain = spread @ slope / (slope @ spread @ slope + m.variance[row])
            left = jnp.eye(mean.shape[0]) - jnp.outer(gain, slope)  # Joseph's form keeps it positive
            new = left @ spread @ left.T + m.variance[row] * jnp.outer(gain, gain)
            go = row >= 0
            return jnp.where(go, mean + gain * (y - m.mean[row]), mean), jnp.where(go, new, spread)

        mean, spread = jax.vmap(one)(mean, spread, local, design.observed, design.covariates, row)
        return (mean, spread, solved & ((local.result == 0) | (row < 0))), None

    start = (mean, spread, jnp.ones(mean.shape[0], bool))
    (mean, spread, solved), _ = jax.lax.scan(turn, start, turns)
    return mean, spread, solved & jnp.all(jnp.isfinite(mean), axis=1)


@compiled
def _ensemble(bedside: Bedside, eta: Any, turns: Any) -> tuple[Any, Any]:
    patients, members, etas = eta.shape
    people = bedside.times(members)
    outputs = output_names(bedside.population.model)
    errors = bedside.population.errors(people.predictor.transform.unpack(bedside.x, bedside.population.theta))

    def turn(c: tuple[Any, Any], row: Any) -> tuple[Any, None]:
        eta, solved = c
        z = people.predictor.every(bedside.x, eta.reshape(-1, etas), people.design)
        f, code = people.predictor.solve(z, bedside.x, people.design)
        f, code = f.reshape(patients, members, -1), code.reshape(patients, members)

        def one(eta: Any, f: Any, o: Any, row: Any) -> Any:
            h = jax.vmap(lambda f: moments(errors, outputs, o, f).mean[row])(f)
            noise = jnp.mean(jax.vmap(lambda f: moments(errors, outputs, o, f).variance[row])(f))
            y = transformed(errors, outputs, o, jnp.where(o.there, o.value, 1.0))[row]
            center, middle = jnp.mean(eta, axis=0), jnp.mean(h)
            away, off = eta - center, h - middle
            total = jnp.mean(off * off) + noise
            gain = away.T @ off / members / total
            less = 1.0 / (1.0 + jnp.sqrt(noise / total))
            new = center + gain * (y - middle) + away - less * jnp.outer(off, gain)
            return jnp.where(row >= 0, new, eta)

        eta = jax.vmap(one)(eta, f, bedside.design.observed, row)
        return (eta, solved & (jnp.all(code == 0, axis=1) | (row < 0))), None

    (eta, solved), _ = jax.lax.scan(turn, (eta, jnp.ones(patients, bool)), turns)
    return eta, solved & jnp.all(jnp.isfinite(eta), axis=(1, 2))
