"""Covariate effects: factors by which a covariate multiplies a parameter's typical value.

Each has parameters with names: the exponent of ``covariates={"cl": Power("weight", 70.0, 0.75)}`` is ``cl.weight``.
"""

from __future__ import annotations

import abc
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import equinox as eqx
import jax.numpy as jnp

from twinjax.units import Scalar


class AbstractEffect(eqx.Module):
    """A multiplicative effect of one covariate on one parameter."""

    if TYPE_CHECKING:

        @property
        def covariate(self) -> str:
            """Which covariate it reads."""
            ...

    @abc.abstractmethod
    def coefficients(self) -> dict[str, Scalar]:
        """Initial values of the effect's parameters, by the suffix that follows the covariate's name ('' for none)."""

    @abc.abstractmethod
    def factor(self, x: Scalar, c: Mapping[str, Any]) -> Any:
        """The factor at covariate value `x`, with coefficients `c`."""

    @property
    def fixed(self) -> bool:
        """Whether the coefficients are constants rather than estimated."""
        return False


class Power(AbstractEffect):
    """``(x / reference) ** exponent``."""

    covariate: str = eqx.field(static=True)
    reference: float = eqx.field(static=True)
    exponent: Scalar = 0.0

    def coefficients(self):
        """The exponent."""
        return {"": self.exponent}

    def factor(self, x, c):
        """The power of the ratio."""
        return (x / self.reference) ** c[""]


class Allometry(AbstractEffect):
    """``(weight / reference) ** exponent`` with an exponent that is not estimated: 0.75 for clearances, 1 for volumes.

    **Reference**: Anderson & Holford 2008, Annu Rev Pharmacol Toxicol 48:303,
    doi:10.1146/annurev.pharmtox.48.113006.094708.
    """

    exponent: float = eqx.field(static=True)
    covariate: str = eqx.field(static=True, default="weight")
    reference: float = eqx.field(static=True, default=70.0)

    def coefficients(self):
        """The exponent."""
        return {"": self.exponent}

    def factor(self, x, c):
        """The power of the ratio."""
        return (x / self.reference) ** c[""]

    @property
    def fixed(self):
        """Always."""
        return True


class Linear(AbstractEffect):
    """``1 + slope * (x - reference)``."""

    covariate: str = eqx.field(static=True)
    reference: float = eqx.field(static=True)
    slope: Scalar = 0.0

    def coefficients(self):
        """The slope."""
        return {"": self.slope}

    def factor(self, x, c):
        """Linear in the covariate."""
        return 1.0 + c[""] * (x - self.reference)


class Exponential(AbstractEffect):
    """``exp(rate * (x - reference))``."""

    covariate: str = eqx.field(static=True)
    reference: float = eqx.field(static=True)
    rate: Scalar = 0.0

    def coefficients(self):
        """The rate."""
        return {"": self.rate}

    def factor(self, x, c):
        """Exponential in the covariate."""
        return jnp.exp(c[""] * (x - self.reference))


class Categorical(AbstractEffect):
    """``1 + change`` for each level of a coded covariate, 1 for the reference level (any level not listed)."""

    covariate: str = eqx.field(static=True)
    levels: tuple[float, ...] = eqx.field(static=True)
    changes: tuple[Scalar, ...]

    def __init__(self, covariate: str, changes: Mapping[float, Scalar]) -> None:
        """`changes`: level -> relative change, such as ``{1: 0.1}``."""
        self.covariate = covariate
        self.levels = tuple(float(x) for x in changes)
        self.changes = tuple(changes.values())

    def coefficients(self):
        """The change of each level, named by the level."""
        return {f"{x:g}": c for x, c in zip(self.levels, self.changes, strict=True)}

    def factor(self, x, c):
        """Of the level that `x` is."""
        total = jnp.asarray(1.0)
        for level in self.levels:
            total = total + jnp.where(x == level, c[f"{level:g}"], 0.0)
        return total


class Maturation(AbstractEffect):
    """``x^hill / (tm50^hill + x^hill)``: how far an organ has matured at post-menstrual age `x`.

    **Reference**: Anderson & Holford 2008, doi:10.1146/annurev.pharmtox.48.113006.094708.
    """

    covariate: str = eqx.field(static=True)
    tm50: Scalar
    hill: Scalar

    def coefficients(self):
        """Age at half maturity and steepness."""
        return {"tm50": self.tm50, "hill": self.hill}

    def factor(self, x, c):
        """The Hill function of age."""
        return 1.0 / (1.0 + (c["tm50"] / x) ** c["hill"])
