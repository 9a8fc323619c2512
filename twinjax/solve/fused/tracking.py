"""Summaries of outputs, taken step by step while a kernel integrates, so that trajectories need never be stored."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence

from twinjax.solve.fused.ir import Builder, Value
from twinjax.solve.tracks import AbstractTrack, Area, Largest, LogLikelihood, Smallest, TimeAbove, WhenLargest

Place = tuple[AbstractTrack, int]
"""A track, and the number of its output."""
_BOOLE = (7.0 / 90.0, 32.0 / 90.0, 12.0 / 90.0, 32.0 / 90.0, 7.0 / 90.0)
_FIRST = {Largest: -math.inf, WhenLargest: -math.inf, Smallest: math.inf}
_NARROWINGS = 8
"""Halvings or secants that close in on a crossing: beyond the accuracy of the solution between steps."""


class Tracker:
    """Writes the code that keeps the tracks of all lanes.

    **Parameters**: `at(output, since)`, the value of an output at the time `since` the step began, as code; `slots`,
    two vectors a track: its value, and for extremes when it was, for a likelihood how many measurements were met.
    """

    def __init__(self, builder: Builder, tracks: tuple[Place, ...], at: Callable[[int, Value], Value]) -> None:
        self.b, self.tracks, self.at = builder, tracks, at
        self.slots = builder.slot(count=2 * len(tracks))
        self.measured = {i: self._table(t) for i, (t, _) in enumerate(tracks) if isinstance(t, LogLikelihood)}

    def _table(self, track: LogLikelihood) -> str:
        """Times, then values."""
        numbers = (*track.times, *track.values)
        table = self.b.slot(count=len(numbers))
        for k, x in enumerate(numbers):
            self.b.store(table, float(x), k)
        return table

    def begin(self, lane: str) -> None:
        """A new patient in a lane."""
        for i, (track, _) in enumerate(self.tracks):
            first = _FIRST.get(type(track), 0.0)
            self.b.write(first, self.b.lane(self.slots, lane, 2 * i))
            self.b.write(first, self.b.lane(self.slots, lane, 2 * i + 1))

    def result(self, lane: str, i: int) -> str:
        """A track's number, at the end."""
        b, track = self.b, self.tracks[i][0]
        value, other = (b.read(b.lane(self.slots, lane, 2 * i + k)) for k in (0, 1))
        if isinstance(track, LogLikelihood):
            return b.choose(b.test("oeq", other, float(len(track.times))), value, math.nan)
        return other if isinstance(track, WhenLargest) else value

    def step(self, moved: str, t: Value, length: Value, end: Value, closed: str) -> None:
        """One step of these lanes, from time `t`; `end` is to the bit where the next begins, `closed` if none does."""
        b = self.b
        for i in self.measured:
            self._likelihood(i, moved, t, end, closed)

        def window(place: tuple[int, Place]) -> tuple[int, float, float]:
            track, output = place[1]
            return output, track.start, track.stop

        others = [place for place in enumerate(self.tracks) if place[0] not in self.measured]
        for (output, start, stop), group in itertools.groupby(sorted(others, key=window), window):
            first, last = 0.0, length
            if start > -math.inf:
                first = b.minimum(b.maximum(b.sub(start, t), 0.0), length)
            if stop < math.inf:
                last = b.maximum(b.minimum(b.sub(stop, t), length), first)
            span = b.sub(last, first)
            inside = b.both(moved, b.compare("ogt", span, 0.0))
            with b.when(b.any(inside)):
                places = [b.add(b.mul(span, k / 4.0), first) for k in range(5)]
                values = [self.at(output, s) for s in places]
                for i, (track, _) in group:
                    self._add(i, track, output, inside, t, span, places, values)

    def _add(
        self, i: int, track: AbstractTrack, output: int, inside: str, t: Value, span: Value, places: Sequence[Value],
        values: Sequence[Value],
    ) -> None:  # fmt: skip
        if isinstance(track, Area):
            total: Value = 0.0
            for weight, value in zip(_BOOLE, values, strict=True):
                total = self.b.add(self.b.mul(value, weight), total)
            self._grow(i, inside, self.b.mul(total, span))
        elif isinstance(track, TimeAbove):
            self._above(i, track.threshold, output, inside, places, values)
        else:
            self._extreme(i, -1.0 if isinstance(track, Smallest) else 1.0, output, inside, t, span, places, values)

    def _grow(self, i: int, mask: str, amount: Value, place: int = 0) -> None:
        b = self.b
        before = b.load(self.slots, 2 * i + place)
        b.store(self.slots, b.select(mask, b.add(before, amount), before), 2 * i + place)

    def _likelihood(self, i: int, moved: str, t: Value, end: Value, closed: str) -> None:
        """The measurements of the step, from its start up to its end and without that, unless it is the last."""
        b, (track, output) = self.b, self.tracks[i]
        assert isinstance(track, LogLikelihood)
        size = len(track.times)
        with b.count(0, size) as k:
            time = b.load(self.measured[i], k)
            before = b.either(b.compare("olt", time, end), b.both(closed, b.compare("ole", time, end)))
            inside = b.both(moved, b.both(b.compare("oge", time, t), before))
            with b.when(b.any(inside)):
                f = self.at(output, b.sub(time, t))
                spread = b.mul(f, track.proportional)
                variance = b.add(b.mul(spread, spread), track.additive**2)
                off = b.sub(b.load(self.measured[i], b.count_of("add", k, size)), f)
                term = b.add(b.div(b.mul(off, off), variance), b.call("log", variance))
                self._grow(i, inside, b.mul(b.add(term, math.log(2.0 * math.pi)), -0.5))
                self._grow(i, inside, 1.0, place=1)

    def _extreme(
        self, i: int, sign: float, output: int, inside: str, t: Value, span: Value, places: Sequence[Value],
        values: Sequence[Value],
    ) -> None:  # fmt: skip
        b = self.b
        ups = [b.mul(v, sign) for v in values]
        best, where, middle = ups[0], places[0], 1.0
        low, centre, high = ups[0], ups[1], ups[2]
        for k in range(1, 5):
            more = b.compare("ogt", ups[k], best)
            best, where = b.select(more, ups[k], best), b.select(more, places[k], where)
            if k in (2, 3):
                middle = b.select(more, float(k), middle)
                low, centre, high = (b.select(more, ups[k + d], x) for d, x in ((-1, low), (0, centre), (1, high)))
            elif k == 4:
                middle = b.select(more, 3.0, middle)
                low, centre, high = (b.select(more, ups[3 + d], x) for d, x in ((-1, low), (0, centre), (1, high)))
        self._keep(i, inside, sign, best, b.add(t, where))
        held = b.mul(b.load(self.slots, 2 * i), sign)
        near = b.both(inside, b.compare("ogt", best, b.sub(held, b.mul(b.intrinsic("fabs", held), 1e-2))))
        bend = b.add(b.sub(low, b.mul(centre, 2.0)), high)
        near = b.both(near, b.compare("olt", bend, 0.0))
        with b.when(b.any(near)):
            vertex = b.add(middle, b.div(b.mul(b.sub(low, high), 0.5), bend))
            vertex = b.mul(b.minimum(b.maximum(vertex, 0.0), 4.0), 0.25)
            place = b.add(b.mul(vertex, span), places[0])
            self._keep(i, near, sign, b.mul(self.at(output, place), sign), b.add(t, place))

    def _keep(self, i: int, mask: str, sign: float, value: Value, time: Value) -> None:
        """Take a value and its time where it is further out than what is held."""
        b = self.b
        held, when = b.load(self.slots, 2 * i), b.load(self.slots, 2 * i + 1)
        more = b.both(mask, b.compare("ogt", value, b.mul(held, sign)))
        b.store(self.slots, b.select(more, b.mul(value, sign), held), 2 * i)
        b.store(self.slots, b.select(more, time, when), 2 * i + 1)

    def _above(
        self, i: int, threshold: float, output: int, inside: str, places: Sequence[Value], values: Sequence[Value]
    ) -> None:
        b = self.b
        over = [b.sub(v, threshold) for v in values]
        for k in range(4):
            low, high, f, g = places[k], places[k + 1], over[k], over[k + 1]
            up, down = b.compare("ogt", f, 0.0), b.compare("ogt", g, 0.0)
            self._grow(i, b.both(inside, b.both(up, down)), b.sub(high, low))
            crosses = b.both(inside, b.differs(up, down))
            with b.when(b.any(crosses)):
                place = self._crossing(output, threshold, low, high, f, g)
                self._grow(i, crosses, b.select(up, b.sub(place, low), b.sub(high, place)))

    def _crossing(self, output: int, threshold: float, low: Value, high: Value, f: Value, g: Value) -> Value:
        """Where a value crosses the threshold, by the Illinois method.

        **Reference**: Dowell & Jarratt 1971, doi:10.1007/BF01934364.
        """
        b = self.b
        slots = [b.slot() for _ in range(4)]
        for slot, value in zip(slots, (low, high, f, g), strict=True):
            b.store(slot, value)
        with b.count(0, _NARROWINGS):
            x0, x1, f0, f1 = (b.load(slot) for slot in slots)
            apart = b.sub(f1, f0)
            flat = b.compare("oeq", apart, 0.0)
            x = b.select(flat, x1, b.sub(x1, b.div(b.mul(f1, b.sub(x1, x0)), b.select(flat, 1.0, apart))))
            value = b.sub(self.at(output, x), threshold)
            same = b.differs(b.compare("ogt", value, 0.0), b.compare("ogt", f1, 0.0))
            b.store(slots[0], b.select(same, x1, x0))
            b.store(slots[2], b.select(same, f1, b.mul(f0, 0.5)))
            b.store(slots[1], x)
            b.store(slots[3], value)
        return b.load(slots[1])
