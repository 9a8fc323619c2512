"""What may be prescribed: amounts that tablets make up, intervals, and the hours at which doses can be given."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Sequence

import numpy as np

from twinjax.dosing import Regimen

Given = Sequence[tuple[float, float]]
"""Doses: time and amount of each."""


@dataclasses.dataclass(frozen=True)
class Schedule:
    """When doses are given: `count` of them, `every` so long, the first at `start`."""

    start: float
    every: float
    count: int

    @property
    def times(self) -> np.ndarray:
        """Of every dose."""
        return self.start + self.every * np.arange(self.count)

    def regimen(self, amounts: tuple[float, ...], into: str | int, over: float | None) -> Regimen:
        """These amounts: the last for every dose, those before it for the first; infused `over` a time if given."""
        made, own = Regimen.none(), list(amounts[:-1][: self.count])
        for t, amount in zip(self.times, own + [amounts[-1]] * (self.count - len(own)), strict=True):
            made = made + Regimen.dose(float(amount), into=into, at=float(t), duration=over)
        return made


@dataclasses.dataclass(frozen=True)
class Constraints:
    """What can be prescribed.

    **Parameters**: `into`, the state that is dosed; `start` and `until`, the time of the earliest first dose and that
    by which the last has been given; `every`, the intervals to choose from; `tablets`, strengths, of which up to `most`
    make a dose (halves are strengths of their own), or `step`, of which a dose is a multiple, or neither: any amount;
    `lower` and `upper`, of one dose; `daily`, the largest amount in any 24 time units; `hours`, (first, last) of the
    day within which doses are given, where time 0 is `midnight` hours after a midnight; `loading`, whether the first
    dose may be larger; `over`, how long a dose is infused, None for a bolus or tablet.
    **Raises** `ValueError` where these contradict each other.
    """

    start: float
    until: float
    into: str | int = 1
    every: tuple[float, ...] = (24.0,)
    tablets: tuple[float, ...] = ()
    most: int = 4
    step: float | None = None
    lower: float = 0.0
    upper: float = math.inf
    daily: float = math.inf
    hours: tuple[float, float] = (0.0, 24.0)
    midnight: float = 0.0
    loading: bool = False
    over: float | None = None

    def __post_init__(self) -> None:
        if not self.start < self.until:
            raise ValueError(f"doses from {self.start:g} until {self.until:g}: they begin before they end")
        if not self.every or min(self.every) <= 0:
            raise ValueError("every names the intervals to choose from, above zero")
        if self.tablets and self.step is not None:
            raise ValueError("give tablets or a step, not both")
        if any(x <= 0 for x in (*self.tablets, self.step or 1.0)) or self.most < 1:
            raise ValueError("strengths and steps are above zero, and a dose has one tablet at least")
        if not 0.0 <= self.lower < self.upper:
            raise ValueError(
                f"a dose between {self.lower:g} and {self.upper:g}: the lower end comes first, not negative"
            )
        if not 0.0 <= self.hours[0] < self.hours[1] <= 24.0:
            raise ValueError(f"hours are (first, last) within 0 to 24, not {self.hours}")

    @property
    def schedules(self) -> tuple[Schedule, ...]:
        """For every interval the earliest start from which all doses fall within the hours.

        **Raises** `ValueError` where no interval has one.
        """
        found = []
        for every in self.every:
            for wait in np.arange(0.0, 24.0, 0.25):
                first = self.start + float(wait)
                count = math.floor((self.until - first) / every + 1e-9) + 1 if first <= self.until else 0
                if count and all(self._open(t) for t in Schedule(first, every, count).times):
                    found.append(Schedule(first, every, count))
                    break
        if not found:
            raise ValueError(f"no interval of {self.every} has all its doses between {self.hours[0]:g} and "
                             f"{self.hours[1]:g} o'clock; allow other hours or intervals")  # fmt: skip
        return tuple(found)

    def _open(self, time: float) -> bool:
        clock = (time + self.midnight) % 24.0
        return self.hours[0] - 1e-9 <= clock <= self.hours[1] + 1e-9

    @property
    def amounts(self) -> np.ndarray | None:
        """Every amount that tablets or steps make up within the limits, sorted; None where any will do.

        **Raises** `ValueError` where there is none, or a step has no upper limit.
        """
        if not self.tablets and self.step is None:
            return None
        if self.tablets:
            made = {
                round(sum(c), 9)
                for n in range(1, self.most + 1)
                for c in itertools.combinations_with_replacement(self.tablets, n)
            }
        else:
            assert self.step is not None
            if not math.isfinite(self.upper):
                raise ValueError("a step needs an upper limit of a dose")
            made = {round(k * self.step, 9) for k in range(1, math.floor(self.upper / self.step + 1e-9) + 1)}
        fine = sorted(x for x in made if self.lower <= x <= self.upper)
        if not fine:
            raise ValueError(f"no tablets make up a dose between {self.lower:g} and {self.upper:g}")
        return np.asarray(fine)

    def tablets_of(self, amount: float) -> dict[float, int]:
        """The fewest tablets that make up an amount, by strength; empty where doses are not of tablets."""
        for n in range(1, self.most + 1 if self.tablets else 0):
            for c in itertools.combinations_with_replacement(sorted(self.tablets, reverse=True), n):
                if math.isclose(sum(c), amount, rel_tol=1e-9):
                    return {s: c.count(s) for s in dict.fromkeys(c)}
        return {}

    def near(self, amount: float) -> tuple[float, ...]:
        """The amounts that can be given next to one that is wanted: below and above, or itself."""
        known = self.amounts
        if known is None:
            return (float(np.clip(amount, self.lower, self.upper)),)
        at = int(np.searchsorted(known, amount))
        return tuple(float(known[i]) for i in sorted({max(at - 1, 0), min(at, len(known) - 1)}))

    def allowed(self, schedule: Schedule, amounts: tuple[float, ...], before: Given = ()) -> bool:
        """Whether no 24 time units have more than the daily amount; doses given `before` count too."""
        given = np.asarray([*amounts[:-1][: schedule.count]])
        each = np.concatenate([given, np.full(schedule.count - len(given), amounts[-1]), [a for _, a in before]])
        times = np.concatenate([schedule.times, [t for t, _ in before]])
        return all(each[(times <= t) & (times > t - 24.0 + 1e-9)].sum() <= self.daily * (1 + 1e-9)
                   for t in schedule.times)  # fmt: skip

    def most_of(self, schedule: Schedule, before: Given = ()) -> float:
        """The largest amount that the daily one lets every dose have; zero where what was given before leaves none."""
        times, old = schedule.times, np.asarray([t for t, _ in before])
        each = [self.upper]
        for t in times:
            left = self.daily - sum(a for (_, a), then in zip(before, old, strict=True) if t - 24.0 + 1e-9 < then <= t)
            each.append(left / np.sum((times <= t) & (times > t - 24.0 + 1e-9)))
        return max(float(min(each)), 0.0)

    def below(self, amount: float, count: int = 5) -> tuple[float, ...]:
        """Smaller amounts that can be given, some of them, the largest first."""
        known = self.amounts
        if known is None:
            return tuple(x for k in range(1, count + 1) if (x := amount * 0.75**k) >= self.lower)
        smaller = known[known < amount * (1 - 1e-9)][::-1]
        at = np.unique(np.linspace(0, len(smaller) - 1, min(count, len(smaller))).round().astype(int))
        return tuple(float(x) for x in smaller[at])
