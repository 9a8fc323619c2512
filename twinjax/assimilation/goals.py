"""What a patient's treatment is to reach and to avoid: quantities of a forecast, and where they are to lie."""

from __future__ import annotations

import abc
import dataclasses
import math
from typing import Any

import jax.numpy as jnp
import numpy as np


@dataclasses.dataclass(frozen=True)
class AbstractQuantity:
    """One number of an output over time."""

    output: str

    @property
    @abc.abstractmethod
    def times(self) -> np.ndarray:
        """When the output has to be known `(samples,)`."""

    @abc.abstractmethod
    def of(self, values: Any) -> Any:
        """The number, from the output at `times` `(..., samples)`; differentiable."""

    @property
    def from_zero(self) -> AbstractQuantity:
        """The same with times from zero on, as far as `of` does not depend on them: one program serves them all."""
        return self


@dataclasses.dataclass(frozen=True)
class At(AbstractQuantity):
    """The value at a time, or the mean of those at several (a trough, a count on a day)."""

    at: float | tuple[float, ...]

    @property
    def times(self):
        """As given."""
        return np.atleast_1d(np.asarray(self.at, float))

    def of(self, values):
        """The mean."""
        return jnp.mean(values, axis=-1)

    @property
    def from_zero(self):
        """The mean of as many."""
        return dataclasses.replace(self, at=tuple(0.0 for _ in self.times))


@dataclasses.dataclass(frozen=True)
class AbstractWindow(AbstractQuantity):
    """Over a window of time, by so many evenly spaced `points`."""

    start: float
    stop: float
    points: int = 49

    def __post_init__(self) -> None:
        if not self.start < self.stop or self.points < 3:
            raise ValueError(f"a window from {self.start:g} to {self.stop:g} by {self.points} points: it begins before "
                             "it ends and has three points at least")  # fmt: skip

    @property
    def times(self):
        """Evenly spaced."""
        return np.linspace(self.start, self.stop, self.points)

    @property
    def from_zero(self):
        """A window of so many points, however long."""
        return dataclasses.replace(self, start=0.0, stop=1.0)


@dataclasses.dataclass(frozen=True)
class Average(AbstractWindow):
    """The mean over a window, by trapezoids; times its length it is the area under the curve."""

    def of(self, values):
        """By trapezoids."""
        return _trapezoids(values)


@dataclasses.dataclass(frozen=True)
class Exposure(AbstractWindow):
    """The area under the curve over a window, by trapezoids."""

    def of(self, values):
        """The mean times the length."""
        return _trapezoids(values) * (self.stop - self.start)

    @property
    def from_zero(self):
        """A window of the same length."""
        return dataclasses.replace(self, start=0.0, stop=self.stop - self.start)


@dataclasses.dataclass(frozen=True)
class Lowest(AbstractWindow):
    """The least value of a window (a nadir), of its points."""

    def of(self, values):
        """The minimum."""
        return jnp.min(values, axis=-1)


@dataclasses.dataclass(frozen=True)
class Highest(AbstractWindow):
    """The largest value of a window (a peak), of its points."""

    def of(self, values):
        """The maximum."""
        return jnp.max(values, axis=-1)


def _trapezoids(values: Any) -> Any:
    return (jnp.sum(values, axis=-1) - 0.5 * (values[..., 0] + values[..., -1])) / (values.shape[-1] - 1)


@dataclasses.dataclass(frozen=True)
class Goal:
    """Where a quantity is to lie, or is not to.

    **Parameters**: `quantity`; `lower` and `upper`, the range; `aim`, the value that doses are sought for (default: the
    geometric mean of the range where both ends are positive and finite, else the end that is).
    **Raises** `ValueError` for a range that is none, or an aim outside it.
    """

    quantity: AbstractQuantity
    lower: float = -math.inf
    upper: float = math.inf
    aim: float | None = None

    def __post_init__(self) -> None:
        if not self.lower < self.upper or not (math.isfinite(self.lower) or math.isfinite(self.upper)):
            raise ValueError(f"a range from {self.lower:g} to {self.upper:g}: give one end at least, the lower first")
        if self.aim is not None and not self.lower <= self.aim <= self.upper:
            raise ValueError(f"the aim {self.aim:g} is not between {self.lower:g} and {self.upper:g}")

    @property
    def value(self) -> float:
        """What is aimed at."""
        if self.aim is not None:
            return self.aim
        if math.isfinite(self.lower) and math.isfinite(self.upper):
            return math.sqrt(self.lower * self.upper) if self.lower > 0 else 0.5 * (self.lower + self.upper)
        return self.lower if math.isfinite(self.lower) else self.upper

    def met(self, x: Any) -> Any:
        """Whether a value lies in the range."""
        return (x >= self.lower) & (x <= self.upper)
