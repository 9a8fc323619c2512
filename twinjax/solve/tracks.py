"""What a whole solution comes to, in one number a patient, taken from it in continuous time and not from samples."""

from __future__ import annotations

import dataclasses
import math


@dataclasses.dataclass(frozen=True)
class AbstractTrack:
    """A number that sums up an output over a window of time.

    **Parameters**: `output`, its name; `start`, `stop`, the window, in the model's time unit (default: from the first
    dose or sample to the last sample).
    """

    output: str
    start: float = -math.inf
    stop: float = math.inf


@dataclasses.dataclass(frozen=True)
class Largest(AbstractTrack):
    """The largest value. In each step, of five values and of the vertex of a parabola through the three about the
    largest.
    """


@dataclasses.dataclass(frozen=True)
class Smallest(AbstractTrack):
    """The smallest value, likewise."""


@dataclasses.dataclass(frozen=True)
class WhenLargest(AbstractTrack):
    """The time of the largest value, the first of equal ones."""


@dataclasses.dataclass(frozen=True)
class Area(AbstractTrack):
    """The integral over time; in each step by Boole's rule, of a higher order than the solution between its steps."""


@dataclasses.dataclass(frozen=True)
class TimeAbove(AbstractTrack):
    """How long the value lies above `threshold`; crossings are found between quarters of steps, two in one are not."""

    threshold: float = 0.0


@dataclasses.dataclass(frozen=True)
class LogLikelihood(AbstractTrack):
    """The log-likelihood of measurements, the same for every patient: how plausible each is as the one measured.

    **Parameters**: `times` and `values` of the measurements, `additive` and `proportional` standard deviations, normal
    about the output f with variance ``additive^2 + (proportional f)^2``. A measurement at the time of a dose is after
    it. NaN where one lies outside of what is solved; the window does not count.
    **Raises** `ValueError` for no measurements, or no standard deviation.
    """

    times: tuple[float, ...] = ()
    values: tuple[float, ...] = ()
    additive: float = 0.0
    proportional: float = 0.0

    def __post_init__(self) -> None:
        if not self.times or len(self.times) != len(self.values):
            raise ValueError(f"{len(self.times)} times and {len(self.values)} values: give as many, one at least")
        if min(self.additive, self.proportional) < 0 or max(self.additive, self.proportional) <= 0:
            raise ValueError("a likelihood needs a standard deviation: additive, proportional or both, above zero")
