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
