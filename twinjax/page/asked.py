"""Which dose is wanted, as a page asks: a target, what can be prescribed, and what harm is."""

from __future__ import annotations

import dataclasses
import datetime
import math
from collections.abc import Mapping, Sequence
from typing import Any

from twinjax.assimilation.goals import AbstractWindow, Average, Goal, Highest, Lowest
from twinjax.assimilation.prescription import Constraints
from twinjax.assimilation.twin import Twin
from twinjax.naming import resolve, suggestion

DAY = 24.0
QUANTITIES: dict[str, type[AbstractWindow]] = {"lowest": Lowest, "average": Average, "highest": Highest}
_KEYS = ("output", "quantity", "lower", "upper", "start", "until", "every", "tablets", "most", "into", "hours", "over",
         "daily", "loading", "peak", "risk")  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Question:
    """What was asked, understood: `until` is the end of the last interval, up to which a goal looks."""

    output: str
    goal: Goal
    harms: tuple[Goal, ...]
    limits: Constraints
    risk: float
    until: float
    lower: float
    upper: float
    peak: float | None


def question(
    asked: Mapping[str, Any], twin: Twin, outputs: Sequence[str], routes: Sequence[str],
    epoch: datetime.datetime | None,
) -> Question:  # fmt: skip
    """Of an object with `output`, `lower` and `upper` of the target, `until`; and, as `Constraints` has them,
    `quantity` (lowest, average or highest of the last interval), `start`, `every`, `tablets`, `most`, `into`, `hours`,
    `over`, `daily`, `loading`; `peak`, above which the output is harm at any time; the `risk` of it that is accepted.

    **Raises** `ValueError` for what is missing, unknown, no number, or contradicts itself.
    """
    for key in asked:
        if key not in _KEYS:
            raise ValueError(f"{key!r} means nothing here{suggestion(str(key), _KEYS)}")
    output = resolve(str(asked.get("output") or outputs[0]), outputs, "output")
    kind = str(asked.get("quantity") or "average")
    if kind not in QUANTITIES:
        raise ValueError(f"{kind!r} is none of {', '.join(QUANTITIES)}")
    lower, upper = _number(asked, "lower", "the target's lower end"), _number(asked, "upper", "the target's upper end")
    if not lower < upper:
        raise ValueError(f"the target is from {lower:g} to {upper:g}: its lower end comes first")
    first = _number(asked, "start", "the first dose", twin.now)
    if first < twin.now:
        raise ValueError(f"the first dose is at {first:g}, which is in the past: the latest record is at {twin.now:g}")
    last = _number(asked, "until", "the last dose")
    if not first < last <= first + 60 * DAY:
        raise ValueError(f"doses from {first:g} until {last:g}: give an end after the start, within 60 days")
    every, tablets = _numbers(asked, "every", "intervals", (12.0, 24.0)), _numbers(asked, "tablets", "strengths", ())
    if min(every) < 1.0:
        raise ValueError(f"an interval of {min(every):g}: give 1 or more")
    hours = _numbers(asked, "hours", "hours of the day", (0.0, DAY))
    if len(hours) != 2:
        raise ValueError("hours of the day are two: the first and the last")
    limits = Constraints(
        start=first, until=last, into=resolve(str(asked.get("into") or routes[0]), routes, "state that takes doses"),
        every=every, tablets=tablets, most=int(_number(asked, "most", "the number of tablets", 4.0)),
        hours=(hours[0], hours[1]), midnight=0.0 if epoch is None else epoch.hour + epoch.minute / 60.0,
        over=_number(asked, "over", "the time of infusion", None), loading=bool(asked.get("loading")),
        daily=_number(asked, "daily", "the daily amount", math.inf),
    )  # fmt: skip
    until, peak = last + max(every), _number(asked, "peak", "the highest safe value", None)
    risk = _number(asked, "risk", "the risk that is accepted", 0.1)
    if not 0.0 <= risk <= 1.0:
        raise ValueError(f"the risk that is accepted is {risk:g}; give a probability from 0 to 1")
    harms = () if peak is None else (Goal(Highest(output, first, until), upper=peak),)
    goal = Goal(QUANTITIES[kind](output, last, until), lower, upper)
    return Question(output, goal, harms, limits, risk, until, lower, upper, peak)


def _number(asked: Mapping[str, Any], key: str, what: str, default: Any = ...) -> Any:
    value = asked.get(key)
    if value is None and default is not ...:
        return default
    if value is None:
        raise ValueError(f"{what} is missing; give a number")
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{what} is {value!r}, which is no number")
    return float(value)


def _numbers(asked: Mapping[str, Any], key: str, what: str, default: tuple[float, ...]) -> tuple[float, ...]:
    given = asked.get(key)
    if given is None or given == []:
        return default
    if not isinstance(given, list) or not all(
        isinstance(x, int | float) and not isinstance(x, bool) and math.isfinite(x) and x >= 0 for x in given
    ):
        raise ValueError(f"{what} are {given!r}; give numbers with commas between")
    if len(given) > 8:
        raise ValueError(f"these are {len(given)} {what}; give up to 8")
    return tuple(float(x) for x in given)
