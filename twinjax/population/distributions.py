"""Distributions of one number: beliefs about a parameter (priors) and how a covariate varies in a population."""

from __future__ import annotations

import abc
import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from twinjax.units import Scalar

_LOG_2PI = math.log(2 * math.pi)


class AbstractDistribution(eqx.Module):
    """A distribution of a scalar."""

    @abc.abstractmethod
    def sample(self, key: Any) -> Any:
        """One draw."""

    @abc.abstractmethod
    def log_density(self, x: Scalar) -> Any:
        """Logarithm of the density at `x`; -inf outside the support."""


class Normal(AbstractDistribution):
    """Normal with a mean and a standard deviation."""

    mean: Scalar
    sd: Scalar

    def sample(self, key):
        """One draw."""
        return self.mean + self.sd * jax.random.normal(key)

    def log_density(self, x):
        """Of the normal."""
        return -0.5 * (jnp.square((x - self.mean) / self.sd) + _LOG_2PI) - jnp.log(self.sd)


class LogNormal(AbstractDistribution):
    """Log-normal: `median`, and `sd` of the logarithm."""

    median: Scalar
    sd: Scalar

    def sample(self, key):
        """One draw."""
        return self.median * jnp.exp(self.sd * jax.random.normal(key))

    def log_density(self, x):
        """Of the log-normal, in x itself."""
        safe = jnp.where(x > 0, x, 1.0)
        z = jnp.log(safe / self.median) / self.sd
        return jnp.where(x > 0, -0.5 * (z * z + _LOG_2PI) - jnp.log(self.sd * safe), -jnp.inf)


class Uniform(AbstractDistribution):
    """Uniform between two bounds."""

    lower: Scalar
    upper: Scalar

    def sample(self, key):
        """One draw."""
        return jax.random.uniform(key, minval=self.lower, maxval=self.upper)

    def log_density(self, x):
        """Constant inside, -inf outside."""
        return jnp.where((x >= self.lower) & (x <= self.upper), -jnp.log(self.upper - self.lower), -jnp.inf)


class Bernoulli(AbstractDistribution):
    """1 with a probability, else 0: sex, or any yes-or-no covariate."""

    probability: Scalar

    def sample(self, key):
        """0.0 or 1.0."""
        return jax.random.bernoulli(key, self.probability).astype(jnp.result_type(float))

    def log_density(self, x):
        """Log probability of 0 or 1."""
        return jnp.where(x > 0.5, jnp.log(self.probability), jnp.log1p(-self.probability))
