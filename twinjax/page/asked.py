"""Which dose is wanted, as a page asks: a target, what can be prescribed, and what harm is."""

from __future__ import annotations

import dataclasses
import datetime
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from twinjax.assimilation.goals import AbstractWindow, Average, Goal, Highest, Lowest
from twinjax.assimilation.prescription import Constraints, Schedule
from twinjax.assimilation.recommend import Recommendation, recommend
from twinjax.assimilation.twin import Twin
from twinjax.models.base import AbstractModel, no_input
from twinjax.naming import resolve, suggestion
from twinjax.units import declared

DAY = 24.0
MOST_DOSES = 240
_MOST_TABLETS = 10
STALE = 30 * DAY
"""After so long without a measurement a record is one of the past, and is looked at as of its end."""
QUANTITIES: dict[str, type[AbstractWindow]] = {"lowest": Lowest, "average": Average, "highest": Highest}
_KEYS = ("output", "quantity", "lower", "upper", "start", "until", "every", "tablets", "most", "into", "hours", "over",
         "daily", "loading", "peak", "risk")  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Question:
    """What was asked, understood. A schedule is judged by its own last interval: from its last dose on, as long as it
    leaves between doses, so that none is judged by hours in which it would long have been given again.
    """

    output: str
    quantity: type[AbstractWindow]
    limits: Constraints
    risk: float
    lower: float
    upper: float
    peak: float | None

    def goal(self, schedule: Schedule) -> Goal:
        """Of the last interval of a schedule."""
        last = float(schedule.times[-1])
        return Goal(self.quantity(self.output, last, last + schedule.every), self.lower, self.upper)

    def harms(self, schedule: Schedule) -> tuple[Goal, ...]:
        """From the first dose that could be given to the end of the last interval, in 240 parts (half an hour of five
        days: a peak between is missed); none where no peak was said.
        """
        end = float(schedule.times[-1]) + schedule.every
        if self.peak is None:
            return ()
        return (Goal(Highest(self.output, self.limits.start, end, points=241), upper=self.peak),)

    @property
    def until(self) -> float:
        """The latest end of a last interval."""
        return max(float(s.times[-1]) + s.every for s in self.limits.schedules)


def answered(twin: Twin, q: Question, *, draws: int = 300, keep: int = 10) -> Recommendation:
    """Candidates of all schedules, the best first, each sought and judged over its own last interval.

    **Raises** `ValueError` where no schedule has a dose that is allowed.
    """
    return recommend(twin, q.goal, q.limits, toxicity=q.harms, risk=q.risk, draws=draws, keep=keep)


def begin(twin: Twin, epoch: datetime.datetime | None, clock: datetime.datetime | None = None) -> float:
    """From when on doses are still to be given: the clock's time where the patient has an epoch, else the latest
    measurement. What is on record by then was given and stays. `clock`, None for this computer's.
    """
    if epoch is None:
        return twin.now
    hours = ((clock or datetime.datetime.now(datetime.UTC)) - epoch).total_seconds() / 3600.0
    return hours if twin.now < hours <= twin.now + STALE else twin.now


def takers(model: AbstractModel) -> dict[str, str]:
    """States that take doses, and their units."""
    inputs = {n for n, _ in declared(no_input(model)).items()}
    return {n: str(u or "") for n, (u, _) in declared(model.initial()).items() if n in inputs}


def question(
    asked: Mapping[str, Any], twin: Twin, outputs: Sequence[str], routes: Sequence[str],
    epoch: datetime.datetime | None, now: float | None = None,
) -> Question:  # fmt: skip
    """Of an object with `output`, `lower` and `upper` of the target, `until`; and, as `Constraints` has them,
    `quantity` (lowest, average or highest of the last interval), `start`, `every`, `tablets`, `most`, `into`, `hours`,
    `over`, `daily`, `loading`; `peak`, above which the output is harm at any time; the `risk` of it that is accepted.

    Doses begin at `now` (default: the latest measurement), or, where one is on record for just then, an interval later.
    **Raises** `ValueError` for what is missing, unknown, no number, or contradicts itself.
    """
    for key in asked:
        if key not in _KEYS:
            raise ValueError(f"{key!r} means nothing here{suggestion(str(key), _KEYS)}")
    if not routes:
        raise ValueError("no state of this model takes doses, so none can be sought")
    output = resolve(str(asked.get("output") or outputs[0]), outputs, "output")
    kind = str(asked.get("quantity") or "average")
    if kind not in QUANTITIES:
        raise ValueError(f"{kind!r} is none of {', '.join(QUANTITIES)}")
    lower, upper = _number(asked, "lower", "the target's lower end"), _number(asked, "upper", "the target's upper end")
    if not lower < upper:
        raise ValueError(f"the target is from {lower:g} to {upper:g}: its lower end comes first")
    every = _numbers(asked, "every", "intervals", (12.0, 24.0), above=True)
    tablets = _numbers(asked, "tablets", "strengths", (), above=True)
    if min(every) < 1.0:
        raise ValueError(f"an interval of {min(every):g}: give 1 or more")
    now = twin.now if now is None else now
    taken = bool(np.any(np.asarray(twin.history.doses.time) == now))
    first = _number(asked, "start", "the first dose", now + min(every) if taken else now)
    if first < now:
        raise ValueError(f"the first dose is at {first:.10g}, which is in the past: doses may begin at {now:.10g}")
    last = _number(asked, "until", "the last dose")
    if not first < last <= first + 60 * DAY:
        raise ValueError(f"doses from {first:g} until {last:g}: give an end after the start, within 60 days")
    if (last - first) / min(every) + 1.0 > MOST_DOSES:
        raise ValueError(f"every {min(every):g} from {first:g} until {last:g} makes more than {MOST_DOSES} doses; give "
                         "longer intervals or an earlier end")  # fmt: skip
    most = _number(asked, "most", "the number of tablets", 4.0)
    if most not in range(1, _MOST_TABLETS + 1):
        raise ValueError(f"the number of tablets is {most:g}; give a whole number from 1 to {_MOST_TABLETS}")
    hours = _numbers(asked, "hours", "hours of the day", (0.0, DAY))
    if len(hours) != 2:
        raise ValueError("hours of the day are two: the first and the last")
    limits = Constraints(
        start=first, until=last, into=resolve(str(asked.get("into") or routes[0]), routes, "state that takes doses"),
        every=every, tablets=tablets, most=int(most),
        hours=(hours[0], hours[1]), midnight=0.0 if epoch is None else epoch.hour + epoch.minute / 60.0,
        over=_number(asked, "over", "the time of infusion", None), loading=bool(asked.get("loading")),
        daily=_number(asked, "daily", "the daily amount", math.inf),
    )  # fmt: skip
    peak = _number(asked, "peak", "the highest safe value", None)
    risk = _number(asked, "risk", "the risk that is accepted", 0.1)
    if not 0.0 <= risk <= 1.0:
        raise ValueError(f"the risk that is accepted is {risk:g}; give a probability from 0 to 1")
    return Question(output, QUANTITIES[kind], limits, risk, lower, upper, peak)


def _number(asked: Mapping[str, Any], key: str, what: str, default: Any = ...) -> Any:
    value = asked.get(key)
    if value is None and default is not ...:
        return default
    if value is None:
        raise ValueError(f"{what} is missing; give a number")
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{what} is {value!r}, which is no number")
    return float(value)


def _numbers(
    asked: Mapping[str, Any], key: str, what: str, default: tuple[float, ...], *, above: bool = False,
) -> tuple[float, ...]:  # fmt: skip
    """Several numbers, not negative; `above` zero."""
    given = asked.get(key)
    if given is None or given == []:
        return default
    if not isinstance(given, list) or not all(
        isinstance(x, int | float) and not isinstance(x, bool) and math.isfinite(x) and x >= 0 for x in given
    ):
        raise ValueError(f"{what} are {given!r}; give numbers with commas between")
    if above and 0 in given:
        raise ValueError(f"{what} are {given!r}; each is above zero")
    if len(given) > 8:
        raise ValueError(f"these are {len(given)} {what}; give up to 8")
    return tuple(float(x) for x in given)
