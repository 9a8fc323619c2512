"""How individual parameters vary about the typical one: the scale on which they are normal."""

from __future__ import annotations

import abc
import math
from typing import Annotated, Any

import equinox as eqx
import jax.numpy as jnp

from twinjax.units import Bounds, Scalar


class AbstractScale(eqx.Module):
    """A scale on which individual parameters are normal with standard deviation `sd` (omega).

    Its other numbers are parameters with names: the `shape` of ``variability={"cl": BoxCoxScale(0.3)}`` is
    ``cl.shape``.
    """

    sd: Scalar

    @abc.abstractmethod
    def individual(self, typical: Scalar, eta: Scalar) -> Any:
        """The individual parameter."""


class LogScale(AbstractScale):
    """Log-normal: ``typical * exp(eta)``. What a bare number in `variability` means."""

    def individual(self, typical, eta):
        """Typical exp(eta)."""
        return typical * jnp.exp(eta)


class NaturalScale(AbstractScale):
    """Normal: ``typical + eta``."""

    def individual(self, typical, eta):
        """Typical + eta."""
        return typical + eta


class LogitScale(AbstractScale):
    """Logit-normal between two bounds: ``logit(p) = logit(typical) + eta``."""

    lower: float = eqx.field(static=True, default=0.0)
    upper: float = eqx.field(static=True, default=1.0)

    def individual(self, typical, eta):
        """The inverse logit of the shifted logit."""
        p = (typical - self.lower) / (self.upper - self.lower)
        odds = p / (1.0 - p) * jnp.exp(eta)
        return self.lower + (self.upper - self.lower) * odds / (1.0 + odds)


class BoxCoxScale(AbstractScale):
    """Log-normal with a Box-Cox transformed eta: ``typical * exp((exp(eta)^shape - 1) / shape)``.

    A positive `shape` lengthens the upper tail of the logarithm, a negative one the lower; zero is `LogScale`.

    **Reference**: Petersson et al. 2009, Pharm Res 26:2174, doi:10.1007/s11095-009-9931-1.
    """

    shape: Annotated[Scalar, Bounds(-math.inf, math.inf)] = 0.0

    def individual(self, typical, eta):
        """Typical exp of the transformed eta, by its series in `shape` near zero."""
        reach = self.shape * eta
        near = jnp.abs(reach) < 1e-4
        series = 1.0 + reach * (0.5 + reach * (1.0 / 6.0 + reach / 24.0))
        wide = jnp.where(near, 1.0, reach)
        return typical * jnp.exp(eta * jnp.where(near, series, jnp.expm1(wide) / wide))
