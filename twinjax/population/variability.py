"""How individual parameters vary about the typical one: the scale on which they are normal."""

from __future__ import annotations

import abc
from typing import Any

import equinox as eqx
import jax.numpy as jnp

from twinjax.units import Scalar


class AbstractScale(eqx.Module):
    """A scale on which individual parameters are normal with standard deviation `sd` (omega)."""

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
