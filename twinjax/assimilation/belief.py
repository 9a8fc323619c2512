"""What is believed of patients' random effects: a normal distribution, or weighted particles."""

from __future__ import annotations

import abc
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from twinjax.population.population import Population


class AbstractBelief(eqx.Module):
    """A distribution of the random effects of several patients, `(patients, etas)`."""

    @property
    @abc.abstractmethod
    def mean(self) -> Any:
        """`(patients, etas)`."""

    @property
    @abc.abstractmethod
    def covariance(self) -> Any:
        """`(patients, etas, etas)`."""

    @abc.abstractmethod
    def draw(self, key: Any, many: int) -> Any:
        """Equally probable draws, `(patients, many, etas)`."""


class NormalBelief(AbstractBelief):
    """Normal, with `center` `(patients, etas)` and `spread` `(patients, etas, etas)`, its covariance."""

    center: Any
    spread: Any

    @property
    def mean(self):
        """The center."""
        return self.center

    @property
    def covariance(self):
        """The spread."""
        return self.spread

    def draw(self, key, many):
        """Normal draws in pairs about the mean, so that the mean of the draws is the mean."""
        patients, etas = self.center.shape
        if not etas:
            return jnp.zeros((patients, many, 0))
        half = jax.random.normal(key, (-(-many // 2), etas))
        unit = jnp.concatenate([half, -half])[:many]
        return self.center[:, None, :] + jnp.einsum("pij,nj->pni", root(self.spread), unit)

    @staticmethod
    def prior(population: Population, patients: int) -> NormalBelief:
        """Omega, about zero."""
        etas = len(population.etas)
        omega = jnp.asarray(population.omega(population.theta), float)
        return NormalBelief(jnp.zeros((patients, etas)), jnp.broadcast_to(omega, (patients, etas, etas)))


def weighted_mean(log_weight: Any, eta: Any) -> Any:
    """Of particles `eta` `(patients, particles, etas)`, whose weights sum to one; `(patients, etas)`."""
    return jnp.einsum("pn,pni->pi", jnp.exp(log_weight), eta)


def weighted_covariance(log_weight: Any, eta: Any) -> Any:
    """Of the same particles, `(patients, etas, etas)`."""
    away = eta - weighted_mean(log_weight, eta)[:, None, :]
    return jnp.einsum("pn,pni,pnj->pij", jnp.exp(log_weight), away, away)


class Particles(AbstractBelief):
    """Particles `eta` `(patients, particles, etas)` with logarithms of their weights `(patients, particles)`, which
    sum to one.
    """

    eta: Any
    log_weight: Any

    @property
    def mean(self):
        """The weighted mean."""
        return weighted_mean(self.log_weight, self.eta)

    @property
    def covariance(self):
        """The weighted covariance."""
        return weighted_covariance(self.log_weight, self.eta)

    @property
    def effective(self) -> Any:
        """Effective sample size `(patients,)`, 1 / sum of squared weights."""
        return effective(self.log_weight)

    def draw(self, key, many):
        """Systematic draws of the particles."""
        keys = jax.random.split(key, self.eta.shape[0])
        at = jax.vmap(lambda k, w: systematic(k, w, many))(keys, self.log_weight)
        return jnp.take_along_axis(self.eta, at[:, :, None], axis=1)

    @staticmethod
    def prior(population: Population, patients: int, many: int, key: Any) -> Particles:
        """Drawn from Omega."""
        eta = NormalBelief.prior(population, 1).draw(key, patients * many).reshape(patients, many, -1)
        eta = jax.random.permutation(key, eta.reshape(patients * many, -1)).reshape(eta.shape)
        return Particles(eta, jnp.full((patients, many), -jnp.log(many)))


def effective(log_weight: Any) -> Any:
    """Effective sample size along the last axis, of weights that need not sum to one."""
    return jnp.exp(
        2.0 * jax.scipy.special.logsumexp(log_weight, axis=-1) - jax.scipy.special.logsumexp(2.0 * log_weight, axis=-1)
    )


def systematic(key: Any, log_weight: Any, many: int) -> Any:
    """Indices of `many` draws by weight, evenly spaced in its cumulative sum.

    **Reference**: Kitagawa 1996, J Comput Graph Stat 5:1, doi:10.1080/10618600.1996.10474692.
    """
    total = jnp.cumsum(jax.nn.softmax(log_weight))
    points = (jax.random.uniform(key) + jnp.arange(many)) / many
    return jnp.minimum(jnp.searchsorted(total / total[-1], points), log_weight.shape[0] - 1)


def root(spread: Any) -> Any:
    """A square root of positive semidefinite matrices, by their eigenvalues; a nearly singular one has one too."""
    values, vectors = jnp.linalg.eigh(spread)
    return vectors * jnp.sqrt(jnp.maximum(values, 0.0))[:, None, :]
