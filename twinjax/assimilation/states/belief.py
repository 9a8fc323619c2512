"""What is believed of patients' states and random effects at a time."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from twinjax.assimilation.belief import (
    AbstractBelief,
    effective,
    root,
    systematic,
    weighted_covariance,
    weighted_mean,
)
from twinjax.models.base import state_names
from twinjax.population.population import Population


class StateNormal(AbstractBelief):
    """Normal: `state` `(patients, states)` and `eta` `(patients, etas)`, their means; `spread`, covariance of both
    together; `time` `(patients,)` at which it holds, -inf before anything was learnt.
    """

    state: Any
    eta: Any
    spread: Any
    time: Any

    @property
    def mean(self):
        """That of the random effects."""
        return self.eta

    @property
    def covariance(self):
        """That of the random effects."""
        states = self.state.shape[1]
        return self.spread[:, states:, states:]

    def draw(self, key, many):
        """Random effects."""
        return self.both(key, many)[1]

    def both(self, key: Any, many: int) -> tuple[Any, Any]:
        """Draws of states and random effects, in pairs about the mean."""
        center = jnp.concatenate([self.state, self.eta], axis=1)
        half = jax.random.normal(key, (-(-many // 2), center.shape[1]))
        unit = jnp.concatenate([half, -half])[:many]
        drawn = center[:, None, :] + jnp.einsum("pij,nj->pni", root(self.spread), unit)
        return jnp.split(drawn, [self.state.shape[1]], axis=2)  # type: ignore[return-value]

    @staticmethod
    def prior(population: Population, patients: int) -> StateNormal:
        """Omega about zero; the states are told when it is known where the history begins."""
        states, etas = len(state_names(population.model)), len(population.etas)
        omega = jnp.asarray(population.omega(population.theta), float)
        spread = jnp.zeros((states + etas, states + etas)).at[states:, states:].set(omega)
        return StateNormal(
            jnp.zeros((patients, states)), jnp.zeros((patients, etas)),
            jnp.broadcast_to(spread, (patients, *spread.shape)), jnp.full(patients, -jnp.inf),
        )  # fmt: skip


class StateParticles(AbstractBelief):
    """Particles: `state` `(patients, particles, states)`, `eta` `(patients, particles, etas)`, logarithms of their
    weights `(patients, particles)`, which sum to one; `time` as in `StateNormal`.
    """

    state: Any
    eta: Any
    log_weight: Any
    time: Any

    @property
    def mean(self):
        """The weighted mean of the random effects."""
        return weighted_mean(self.log_weight, self.eta)

    @property
    def covariance(self):
        """The weighted covariance of the random effects."""
        return weighted_covariance(self.log_weight, self.eta)

    @property
    def effective(self) -> Any:
        """Effective sample size `(patients,)`."""
        return effective(self.log_weight)

    def draw(self, key, many):
        """Random effects."""
        return self.both(key, many)[1]

    def both(self, key: Any, many: int) -> tuple[Any, Any]:
        """Systematic draws of states and random effects."""
        keys = jax.random.split(key, self.eta.shape[0])
        at = jax.vmap(lambda k, w: systematic(k, w, many))(keys, self.log_weight)
        return (
            jnp.take_along_axis(self.state, at[:, :, None], axis=1),
            jnp.take_along_axis(self.eta, at[:, :, None], axis=1),
        )

    @staticmethod
    def of(population: Population, eta: Any) -> StateParticles:
        """Of random effects `(patients, particles, etas)` alone, equally probable."""
        patients, many, _ = eta.shape
        states = jnp.zeros((patients, many, len(state_names(population.model))))
        return StateParticles(states, eta, jnp.full((patients, many), -jnp.log(many)), jnp.full(patients, -jnp.inf))


StateBelief = StateNormal | StateParticles
"""Beliefs that hold at a time, from which one looks ahead only."""
