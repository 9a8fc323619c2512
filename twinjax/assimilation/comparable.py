"""Whether one goal judges several schedules alike: fixed hours are other parts of intervals of other lengths."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from twinjax.assimilation.goals import AbstractQuantity, AbstractWindow, At, Average, Exposure, Goal
from twinjax.assimilation.prescription import Schedule

_CLOSE = 1e-6


def uneven(goals: Sequence[Goal], schedules: Sequence[Schedule]) -> str | None:
    """What is unfair about these goals for some of the schedules, in words; None where nothing is.

    A window sees a schedule whole where it is no shorter than the interval (a mean or an area: so many whole intervals)
    and ends before the dose after the last would be due; values at times are alike where all schedules are at the same
    part of their intervals then.
    """
    if len(schedules) < 2:
        return None
    for quantity in (g.quantity for g in goals):
        for s in schedules:
            why = _after(quantity, s) or _part(quantity, s)
            if why:
                return f"{_named(quantity)} {why}"
        if isinstance(quantity, At):
            for t in quantity.times:
                phases = [_phase(s, float(t)) for s in schedules]
                if max(phases) - min(phases) > _CLOSE:
                    parts = ", ".join(f"{p:.0%} of {s.every:g}" for p, s in zip(phases, schedules, strict=True))
                    return f"{_named(quantity)} at {t:g} falls at other parts of the schedules' intervals: {parts}"
    return None


def _after(quantity: AbstractQuantity, s: Schedule) -> str | None:
    due, end = float(s.times[-1]) + s.every, float(np.max(quantity.times))
    if end <= due + _CLOSE:
        return None
    return f"reaches to {end:g}, and after the doses every {s.every:g} another would be due at {due:g}"


def _part(quantity: AbstractQuantity, s: Schedule) -> str | None:
    if not isinstance(quantity, AbstractWindow):
        return None
    many = (quantity.stop - quantity.start) / s.every
    if many < 1.0 - _CLOSE:
        return f"from {quantity.start:g} to {quantity.stop:g} is a part only of the {s.every:g} between doses"
    if isinstance(quantity, Average | Exposure) and abs(many - round(many)) > _CLOSE:
        return f"from {quantity.start:g} to {quantity.stop:g} is no whole number of the {s.every:g} between doses"
    return None


def _phase(s: Schedule, time: float) -> float:
    """How far into its interval a schedule is: 1 just before the next dose, and when that is due and not given."""
    since = (time - s.start) / s.every
    if since > s.count - _CLOSE:
        return 1.0
    return since - math.floor(since + _CLOSE)


def _named(quantity: AbstractQuantity) -> str:
    return f"{type(quantity).__name__} of {quantity.output}"
