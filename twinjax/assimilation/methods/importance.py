"""Draws about the mode, weighted by how much more probable each is than it was to be drawn."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.scipy.special import logsumexp

from twinjax.assimilation.bedside import Bedside
from twinjax.assimilation.belief import Particles, root
from twinjax.assimilation.methods.base import AbstractAssimilation, Learnt
from twinjax.assimilation.methods.mode import modes, serves
from twinjax.estimation.joint import joint
from twinjax.estimation.methods.conditional import FOCEI
from twinjax.population.population import Population
from twinjax.solve.compiling import compiled

_FREEDOM = 5.0


class LaplaceImportance(AbstractAssimilation):
    """The mode and its curvature as in `MAP`, corrected: draws of a multivariate t distribution about the mode,
    weighted by the posterior over its density.

    Skewed posteriors have their skewness, and the effective sample size says how far Laplace's approximation was off.
    It looks at all the data anew at every update, so that nothing degenerates in time.

    **Parameters**: `draws`; `search`, how modes are found; `enough`, the share of the draws below whose effective
    number the update counts as not settled.
    **Reference**: Geweke 1989, Econometrica 57:1317, doi:10.2307/1913710.
    """

    draws: int = eqx.field(static=True, default=1000)
    search: FOCEI = eqx.field(default_factory=FOCEI)
    enough: float = eqx.field(static=True, default=0.1)

    def prior(self, population: Population, patients: int, key: Any) -> Particles:
        """Draws of Omega."""
        return Particles.prior(population, patients, self.draws, key)

    def check(self, bedside):
        """As `MAP`."""
        serves(self.search, bedside)

    def learn(self, bedside, belief, key):
        """Anew from all the data."""
        eta, log_weight, settled = _learn(self, bedside, belief.mean, key)
        found = Particles(eta, log_weight)
        fine = settled & (found.effective >= self.enough * self.draws)
        return Learnt(found, fine, found.effective, jnp.full(eta.shape[:1], jnp.nan))


@compiled
def _learn(method: LaplaceImportance, bedside: Bedside, start: Any, key: Any) -> tuple[Any, Any, Any]:
    patients, etas = start.shape
    mode, spread, settled = modes(method.search, bedside, start)
    low, (normal, chi) = root(spread), jax.random.split(key)
    unit = jax.random.normal(normal, (patients, method.draws, etas))
    stretch = jnp.sqrt(_FREEDOM / (2.0 * jax.random.gamma(chi, 0.5 * _FREEDOM, (patients, method.draws))))
    unit = unit * stretch[..., None]
    eta = mode[:, None, :] + jnp.einsum("pij,pnj->pni", low, unit)
    proposed = -0.5 * (_FREEDOM + etas) * jnp.log1p(jnp.sum(unit * unit, axis=-1) / _FREEDOM)
    people = bedside.times(method.draws)
    value, code = joint(people.predictor, people.design, bedside.x, eta.reshape(-1, etas))
    value = jnp.where((code == 0) & jnp.isfinite(value), value, jnp.inf).reshape(patients, method.draws)
    log_weight = -0.5 * value - proposed
    return eta, log_weight - logsumexp(log_weight, axis=1, keepdims=True), settled
