"""Distributions of one number: beliefs about a parameter (priors) and how a covariate varies in a population."""

from __future__ import annotations

import abc
import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.scipy.special import betaln, gammaln, log_ndtr, ndtr, ndtri

from twinjax.units import Bounds, Scalar

_LOG_2PI = math.log(2 * math.pi)


class AbstractDistribution(eqx.Module):
    """A distribution of a scalar."""

    @abc.abstractmethod
    def sample(self, key: Any) -> Any:
        """One draw."""

    @abc.abstractmethod
    def log_density(self, x: Scalar) -> Any:
        """Logarithm of the density at `x`; -inf outside the support."""

    @property
    def support(self) -> Bounds:
        """The interval outside which the density is zero; all numbers unless overridden."""
        return Bounds(-math.inf, math.inf)


class AbstractPositive(AbstractDistribution):
    """A distribution of a positive number."""

    @property
    def support(self):
        """Zero to infinity."""
        return Bounds()

    @abc.abstractmethod
    def inside(self, x: Scalar) -> Any:
        """Logarithm of the density at a positive `x`."""

    def log_density(self, x):
        """-inf unless positive."""
        return jnp.where(x > 0, self.inside(jnp.where(x > 0, x, 1.0)), -jnp.inf)


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


class TruncatedNormal(AbstractDistribution):
    """Normal with a mean and a standard deviation, cut off at two bounds: what is left is a density again."""

    mean: Scalar
    sd: Scalar
    lower: float = eqx.field(static=True, default=0.0)
    upper: float = eqx.field(static=True, default=math.inf)

    @property
    def support(self):
        """Between the bounds."""
        return Bounds(self.lower, self.upper)

    def sample(self, key):
        """One draw."""
        sign, a, b = self._lower_tail()
        z = ndtri(ndtr(a) + jax.random.uniform(key) * (ndtr(b) - ndtr(a)))
        return self.mean + self.sd * sign * jnp.clip(z, a, b)

    def log_density(self, x):
        """Of the normal, over the mass between the bounds."""
        _, a, b = self._lower_tail()
        mass = log_ndtr(b) + jnp.log1p(-jnp.exp(log_ndtr(a) - log_ndtr(b)))
        inside = (x >= self.lower) & (x <= self.upper)
        return jnp.where(inside, Normal(self.mean, self.sd).log_density(x) - mass, -jnp.inf)

    def _lower_tail(self) -> tuple[Any, Any, Any]:
        """A sign, and the standardised bounds by that sign: below zero where both are on one side, as probabilities
        near one cancel.
        """
        low, high = (self.lower - self.mean) / self.sd, (self.upper - self.mean) / self.sd
        flip = low > 0
        return jnp.where(flip, -1.0, 1.0), jnp.where(flip, -high, low), jnp.where(flip, -low, high)


class HalfNormal(AbstractPositive):
    """The size of a normal about zero: `sd` is that of the normal."""

    sd: Scalar

    def sample(self, key):
        """One draw."""
        return jnp.abs(self.sd * jax.random.normal(key))

    def inside(self, x):
        """Twice the normal."""
        return math.log(2.0) + Normal(0.0, self.sd).log_density(x)


class HalfCauchy(AbstractPositive):
    """The size of a Cauchy about zero, whose median is `scale`: for standard deviations of which little is known.

    **Reference**: Gelman 2006, Bayesian Analysis 1:515, doi:10.1214/06-BA117A.
    """

    scale: Scalar

    def sample(self, key):
        """One draw."""
        return jnp.abs(self.scale * jax.random.cauchy(key))

    def inside(self, x):
        """Twice the Cauchy."""
        return math.log(2.0 / math.pi) - jnp.log(self.scale) - jnp.log1p(jnp.square(x / self.scale))


class Gamma(AbstractPositive):
    """Gamma with `shape` and `rate`: mean shape / rate."""

    shape: Scalar
    rate: Scalar

    def sample(self, key):
        """One draw."""
        return jax.random.gamma(key, self.shape) / self.rate

    def inside(self, x):
        """Of the gamma."""
        return self.shape * jnp.log(self.rate) - gammaln(self.shape) + (self.shape - 1.0) * jnp.log(x) - self.rate * x


class InverseGamma(AbstractPositive):
    """The inverse of a gamma with `shape` and rate `scale`: mean scale / (shape - 1)."""

    shape: Scalar
    scale: Scalar

    def sample(self, key):
        """One draw."""
        return self.scale / jax.random.gamma(key, self.shape)

    def inside(self, x):
        """Of the inverse gamma."""
        a, b = self.shape, self.scale
        return a * jnp.log(b) - gammaln(a) - (a + 1.0) * jnp.log(x) - b / x


class LogNormal(AbstractPositive):
    """Log-normal: `median`, and `sd` of the logarithm."""

    median: Scalar
    sd: Scalar

    def sample(self, key):
        """One draw."""
        return self.median * jnp.exp(self.sd * jax.random.normal(key))

    def inside(self, x):
        """Of the log-normal, in x itself."""
        z = jnp.log(x / self.median) / self.sd
        return -0.5 * (z * z + _LOG_2PI) - jnp.log(self.sd * x)


class Beta(AbstractDistribution):
    """Beta with shapes `a` and `b`, between zero and one: mean a / (a + b)."""

    a: Scalar
    b: Scalar

    @property
    def support(self):
        """Zero to one."""
        return Bounds(0.0, 1.0)

    def sample(self, key):
        """One draw."""
        return jax.random.beta(key, self.a, self.b)

    def log_density(self, x):
        """Of the beta."""
        inside = (x > 0) & (x < 1)
        safe = jnp.where(inside, x, 0.5)
        found = (self.a - 1.0) * jnp.log(safe) + (self.b - 1.0) * jnp.log1p(-safe) - betaln(self.a, self.b)
        return jnp.where(inside, found, -jnp.inf)


class Uniform(AbstractDistribution):
    """Uniform between two bounds."""

    lower: Scalar
    upper: Scalar

    @property
    def support(self):
        """Between the bounds."""
        return Bounds(float(self.lower), float(self.upper))

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
