"""Models of tests whose predictions are straight lines, so that what they should give is a formula."""

import equinox as eqx
import jax.numpy as jnp

from twinjax.models.base import AbstractModel
from twinjax.units import Number, Rate, Real


class Line(AbstractModel):
    """level = base + (integral of slope)."""

    base: Real
    slope: Real

    class State(eqx.Module):
        x: Real

    class Output(eqx.Module):
        level: Real
        double: Real

    def derivative(self, t, y, u):
        return self.State(x=u.x + self.slope)

    def output(self, t, y, u):
        return self.Output(level=self.base + y.x, double=2.0 * (self.base + y.x))

    @classmethod
    def typical(cls):
        return cls(base=1.0, slope=0.5)


class Weibull(AbstractModel):
    """A Weibull hazard, ``rate shape (rate t)^(shape - 1)``, its integral, and the log odds and mean of other data."""

    rate: Rate
    shape: Number
    base: Real

    class State(eqx.Module):
        total: Real

    class Output(eqx.Module):
        hazard: Rate
        cumulative: Number
        odds: Real
        mean: Number

    def _hazard(self, t):
        since = jnp.where(t > 0, t, 1.0)
        return jnp.where(t > 0, self.rate * self.shape * (self.rate * since) ** (self.shape - 1.0), 0.0)

    def derivative(self, t, y, u):
        return self.State(total=u.total + self._hazard(t))

    def output(self, t, y, u):
        return self.Output(hazard=self._hazard(t), cumulative=y.total, odds=self.base, mean=jnp.exp(self.base))

    @classmethod
    def typical(cls):
        return cls(rate=0.1, shape=1.0, base=0.3)
