"""What each lane knows of its patient, and what happens in one lane at a time: patients, events and samples.

A step's arithmetic is the same for all lanes; this is the part that is not. Vectors of what every lane holds lie in
slots on the stack, and here single lanes of them are read and written.
"""

from __future__ import annotations

import dataclasses

from twinjax.solve.fused.ir import Builder
from twinjax.solve.fused.jets import AMOUNT, RATE, STATE, TIME, Calculus, Jet
from twinjax.solve.fused.tracking import Tracker
from twinjax.solve.problem import NOT_FINITE

COLUMNS = ("time", "order", "sequence", "kind", "place", "amount", "rate")
"""The columns of an event; the first three, in turn, say which comes first."""
GIVE, SET, ADD, SWITCH = range(4)
"""Kinds of events: an amount and a rate into the state `place`; the state becomes, or grows by, row `place` of the
jumps; parameter segment `place` begins."""
INPUTS = ("parameters", "events", "jumps", "samples", "orders", "start", "derivatives")
OUTPUTS = ("values", "code", "steps", "ranks", "tracks")
_SLOTS = ("active", "tau", "base", "h", "stop", "lands", "last", "steps", "turns", "code", "bad", "anew", "reload",
          "born", "segment", "ts", "os", "final", "te", "oe", "span", "stale")  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Layout:
    """Sizes of a kernel's tables, per patient."""

    segments: int
    events: int
    jumps: int
    samples: int


class Lanes:
    """The slots, and the code for one lane.

    Slots of one vector: `base` the time of the last event, `tau` the time since, `h` the step, `stop` the `tau` at
    which to stop, `lands` whether an event is there, `last` the last sample's time, `span` the whole duration, `ts`,
    `os`, `te`, `oe` time and order of the next sample and event (infinite if there is none), `final` whether the next
    sample is the last, `segment`, `steps`, `turns`, `code`; `bad` whether an output was not finite; `anew`, `reload`
    and `born` what has to be computed before the next step, `stale` whether a propagator's matrices do. Slots of
    many: `y` states, `u` input rates, `k` slopes (states within jets), `running` infusions into each state,
    `p` parameters, `tj` and `tej` derivatives of the time and of the next event's time.
    """

    def __init__(self, builder: Builder, calculus: Calculus, layout: Layout) -> None:
        self.b, self.c, self.layout = builder, calculus, layout
        b, eq, jets = builder, calculus.equations, calculus.jets
        self.n = eq.states
        self.moved: dict[str, list[Jet]] = {
            column: [j for j in jets if calculus.moving(column, j)] for column in (TIME, AMOUNT, RATE, STATE)
        }
        self.carried = [(i, j) for j in jets for i in range(self.n) if ("y", i, j) in calculus.present]
        self.width = eq.outputs * len(jets)
        self.extra = sum(len(self.moved[c]) for c in (TIME, AMOUNT, RATE))
        self.rows = {
            "parameters": layout.segments * eq.parameters, "events": layout.events * len(COLUMNS),
            "jumps": layout.jumps * self.n * (1 + len(self.moved[STATE])), "samples": layout.samples,
            "orders": layout.samples, "start": 2 + len(self.moved[TIME]), "derivatives": layout.events * self.extra,
            "values": layout.samples * self.width, "ranks": layout.events,
        }  # fmt: skip
        self.buffers = {name: b.read("%in", i, "ptr") for i, name in enumerate(INPUTS)}
        self.buffers |= {name: b.read("%out", i, "ptr") for i, name in enumerate(OUTPUTS)}
        self.one = {name: b.slot() for name in _SLOTS}
        self._place = {jet: at for at, jet in enumerate(jets)}
        self.y, self.u, self.k = (b.slot(count=self.n * len(jets)) for _ in range(3))
        self.running, self.p = b.slot(count=self.n), b.slot(count=eq.parameters)
        self.tj, self.tej = (b.slot(count=len(self.moved[TIME])) for _ in range(2))
        self.written = b.slot(count=self.width)
        self.who, self.event, self.sample = (b.slot("i64", b.lanes) for _ in range(3))
        self.coming = b.slot("i64")
        self.tracker: Tracker | None = None
        self._clear()

    def _clear(self) -> None:
        """No patients yet: numbers with which a step does no harm."""
        b = self.b
        for name in _SLOTS:
            b.store(self.one[name], 0.0 if name in ("active", "code", "anew", "reload", "born") else 1.0)
        for slot, count in ((self.y, len(self.c.jets)), (self.u, len(self.c.jets)), (self.k, len(self.c.jets))):
            for i in range(self.n * count):
                b.store(slot, 0.0, i)
        for i in range(self.c.equations.parameters):
            b.store(self.p, 1.0, i)
        for i in range(len(self.moved[TIME])):
            b.store(self.tj, 0.0, i)
            b.store(self.tej, 0.0, i)
        with b.count(0, b.lanes) as lane:
            for slot in (self.who, self.event, self.sample):
                b.write("0", slot, lane, "i64")
        b.store(self.coming, "%begin", kind="i64")

    def index(self, state: int, jet: Jet = ()) -> int:
        """Where a state, or a derivative of it, is in `y`, `u` and `k`."""
        return self._place[jet] * self.n + state

    def load(self, name: str) -> str:
        """What all lanes hold in a slot of one vector."""
        return self.b.load(self.one[name])

    def store(self, name: str, value: str | float) -> None:
        """Put a vector into such a slot."""
        self.b.store(self.one[name], value)

    def holds(self, name: str) -> str:
        """The mask of the lanes whose flag is up."""
        return self.b.compare("ogt", self.load(name), 0.5)

    # ----------------------------------------------------------------------------------------------- one lane's numbers

    def _put(self, name: str, lane: str, value: str | float) -> None:
        self.b.write(value, self.b.lane(self.one[name], lane))

    def _get(self, name: str, lane: str) -> str:
        return self.b.read(self.b.lane(self.one[name], lane))

    def _row(self, buffer: str, who: str) -> str:
        """The address of a patient's own part of a buffer."""
        kind = "i32" if buffer == "ranks" else self.b.scalar
        return self.b.offset(self.buffers[buffer], self.b.count_of("mul", who, self.rows[buffer]), kind)

    def _event_row(self, who: str, number: str, buffer: str = "events") -> str:
        """The address of an event's columns, or of its derivatives."""
        width = len(COLUMNS) if buffer == "events" else self.extra
        return self.b.offset(self._row(buffer, who), self.b.count_of("mul", number, width))

    def _numbered(self, who: str, rank: str) -> str:
        """The number of the event of a rank."""
        return self.b.value(f"sext i32 {self.b.read(self._row('ranks', who), rank, 'i32')} to i64")

    # --------------------------------------------------------------------------------------------- patients come and go

    def refill(self) -> None:
        """Put the next patients into the lanes that are free."""
        b = self.b
        free = b.compare("olt", self.load("active"), 0.5)
        more = b.value(f"icmp slt i64 {b.load(self.coming, kind='i64')}, %end")
        with b.when(b.value(f"and i1 {b.any(free)}, {more}")), b.each_lane(free) as lane:
            who = b.load(self.coming, kind="i64")
            with b.when(b.value(f"icmp slt i64 {who}, %end")):
                b.store(self.coming, b.count_of("add", who, 1), kind="i64")
                self._admit(lane, who)

    def _admit(self, lane: str, who: str) -> None:
        b = self.b
        b.write(who, self.who, lane, "i64")
        b.write("0", self.event, lane, "i64")
        b.write("0", self.sample, lane, "i64")
        start = self._row("start", who)
        begin, end = b.read(start, 1), b.read(self._row("samples", who), self.layout.samples - 1)
        for name in ("tau", "steps", "turns", "bad", "segment"):
            self._put(name, lane, 0.0)
        for name in ("active", "anew", "reload", "born"):
            self._put(name, lane, 1.0)
        self._put("code", lane, b.read(start, 0))
        self._put("base", lane, begin)
        self._put("last", lane, end)
        self._put("span", lane, b.value(f"fsub {b.scalar} {end}, {begin}"))
        for i in range(len(self.moved[TIME])):
            b.write(b.read(start, 2 + i), b.lane(self.tj, lane, i))
        for i in sorted(self.c.equations.entered):
            b.write(0.0, b.lane(self.running, lane, i))
            for jet in [(), *self.moved[RATE]]:
                b.write(0.0, b.lane(self.u, lane, self.index(i, jet)))
        if self.tracker is not None:
            self.tracker.begin(lane)
        self._parameters(lane, who, "0")
        self._sort(who)
        self._next_event(lane, who, "0")
        self._next_sample(lane, who, "0")

    def _parameters(self, lane: str, who: str, segment: str) -> None:
        b, count = self.b, self.c.equations.parameters
        row = b.offset(self._row("parameters", who), b.count_of("mul", segment, count))
        for i in range(count):
            b.write(b.read(row, i), b.lane(self.p, lane, i))

    def retire(self) -> None:
        """Report the patients that are done, and free their lanes."""
        b = self.b
        done = b.either(b.compare("oeq", self.load("ts"), float("inf")), b.compare("une", self.load("code"), 0.0))
        done = b.both(done, self.holds("active"))
        with b.when(b.any(done)), b.each_lane(done) as lane:
            who, sample = b.read(self.who, lane, "i64"), b.read(self.sample, lane, "i64")
            code = self._get("code", lane)
            spoilt = b.value(f"and i1 {b.test('ogt', self._get('bad', lane), 0.5)}, {b.test('oeq', code, 0.0)}")
            code = b.choose(spoilt, float(NOT_FINITE), code)
            for name, value in (("code", code), ("steps", self._get("steps", lane))):
                b.write(b.value(f"fptosi {b.scalar} {value} to i32"), self.buffers[name], who, "i32")
            row = self._row("values", who)
            with b.count(b.count_of("mul", sample, self.width), self.rows["values"]) as at:
                b.write(float("nan"), row, at)
            if self.tracker is not None:
                self._report(lane, who, code)
            self._put("active", lane, 0.0)
            self._put("code", lane, 0.0)

    def _report(self, lane: str, who: str, code: str) -> None:
        """What was tracked, if the patient came to the end."""
        b = self.b
        assert self.tracker is not None
        count = len(self.tracker.tracks)
        row = b.offset(self.buffers["tracks"], b.count_of("mul", who, count))
        for i in range(count):
            b.write(b.choose(b.test("oeq", code, 0.0), self.tracker.result(lane, i), float("nan")), row, i)

    # ------------------------------------------------------------------------------------------------------- samples

    def _next_sample(self, lane: str, who: str, sample: str) -> None:
        b, size = self.b, self.layout.samples
        there = b.value(f"icmp slt i64 {sample}, {size}")
        at = b.choose(there, sample, "0", "i64")
        self._put("ts", lane, b.choose(there, b.read(self._row("samples", who), at), float("inf")))
        self._put("os", lane, b.read(self._row("orders", who), at))
        self._put("final", lane, b.choose(b.value(f"icmp eq i64 {sample}, {size - 1}"), 1.0, 0.0))

    def write(self, mask: str) -> None:
        """Copy what was `written` for these lanes to the values, and go on to their next samples."""
        b = self.b
        with b.each_lane(mask) as lane:
            who, sample = b.read(self.who, lane, "i64"), b.read(self.sample, lane, "i64")
            row = b.offset(self._row("values", who), b.count_of("mul", sample, self.width))
            for i in range(self.width):
                b.write(b.read(b.lane(self.written, lane, i)), row, i)
            following = b.count_of("add", sample, 1)
            b.write(following, self.sample, lane, "i64")
            self._next_sample(lane, who, following)

    def sample_first(self) -> str:
        """The mask of the lanes whose next sample comes before their next event."""
        b, ts, te = self.b, self.load("ts"), self.load("te")
        tie = b.both(b.compare("oeq", ts, te), b.compare("olt", self.load("os"), self.load("oe")))
        return b.either(b.compare("olt", ts, te), tie)

    # -------------------------------------------------------------------------------------------------------- events

    def _sort(self, who: str) -> None:
        """Rank the events, by insertion, which is quick where they nearly are in order."""
        b, size = self.b, self.layout.events
        if not size:
            return
        ranks = self._row("ranks", who)
        with b.count(0, size) as new:
            at = b.slot("i64")
            b.store(at, new, kind="i64")
            with b.forever() as leave:
                here = b.load(at, kind="i64")
                leave(b.value(f"icmp sle i64 {here}, 0"))
                before = b.count_of("sub", here, 1)
                other = b.read(ranks, before, "i32")
                leave(b.value(f"xor i1 {self._earlier(who, new, b.value(f'sext i32 {other} to i64'))}, true"))
                b.write(other, ranks, here, "i32")
                b.store(at, before, kind="i64")
            b.write(b.value(f"trunc i64 {new} to i32"), ranks, b.load(at, kind="i64"), "i32")

    def _earlier(self, who: str, one: str, other: str) -> str:
        b, found = self.b, "false"
        rows = [self._event_row(who, number) for number in (one, other)]
        for column in (2, 1, 0):
            x, y = (b.read(row, column) for row in rows)
            tied = b.value(f"and i1 {b.test('oeq', x, y)}, {found}")
            found = b.value(f"or i1 {b.test('olt', x, y)}, {tied}")
        return found

    def _next_event(self, lane: str, who: str, rank: str) -> None:
        """When the event of that rank is, infinitely late if there is none; and where the lane has to stop."""
        b, size = self.b, self.layout.events
        te = oe = b.number(float("inf"))
        if size:
            there = b.value(f"icmp slt i64 {rank}, {size}")
            number = self._numbered(who, b.choose(there, rank, "0", "i64"))
            row = self._event_row(who, number)
            te, oe = b.choose(there, b.read(row, 0), float("inf")), b.choose(there, b.read(row, 1), float("inf"))
            if self.moved[TIME]:
                row = self._event_row(who, number, "derivatives")
                for i in range(len(self.moved[TIME])):
                    b.write(b.read(row, i), b.lane(self.tej, lane, i))
        end = self._get("last", lane)
        lands = b.test("ole", te, end)
        stop = b.value(f"fsub {b.scalar} {b.choose(lands, te, end)}, {self._get('base', lane)}")
        for name, value in (("te", te), ("oe", oe), ("stop", stop), ("lands", b.choose(lands, 1.0, 0.0))):
            self._put(name, lane, value)

    def happen(self, due: str) -> None:
        """Let these lanes' next events happen."""
        b = self.b
        with b.each_lane(due) as lane:
            who, rank = b.read(self.who, lane, "i64"), b.read(self.event, lane, "i64")
            self._apply(lane, who, self._numbered(who, rank))
            self._put("base", lane, self._get("te", lane))
            self._put("tau", lane, 0.0)
            self._put("anew", lane, 1.0)
            following = b.count_of("add", rank, 1)
            b.write(following, self.event, lane, "i64")
            self._next_event(lane, who, following)

    def _apply(self, lane: str, who: str, number: str) -> None:
        b = self.b
        row = self._event_row(who, number)
        kind, place = (b.value(f"fptosi {b.scalar} {b.read(row, i)} to i64") for i in (3, 4))

        def is_a(which: int) -> str:
            return b.value(f"icmp eq i64 {kind}, {which}")

        with b.when(is_a(GIVE)):
            self._give(lane, who, number, place, b.read(row, 5), b.read(row, 6))
        if self.layout.jumps:
            with b.when(is_a(SET)):
                self._jump(lane, who, place, add=False)
            with b.when(is_a(ADD)):
                self._jump(lane, who, place, add=True)
        if self.layout.segments > 1:
            with b.when(is_a(SWITCH)):
                self._parameters(lane, who, place)
                self._put("segment", lane, b.value(f"sitofp i64 {place} to {b.scalar}"))
                self._put("reload", lane, 1.0)

    def _give(self, lane: str, who: str, number: str, place: str, amount: str, rate: str) -> None:
        b, times, amounts = self.b, len(self.moved[TIME]), len(self.moved[AMOUNT])
        moved = self._event_row(who, number, "derivatives") if self.extra else ""
        self._grow(self.y, 0, place, lane, amount)
        for i, jet in enumerate(self.moved[AMOUNT]):
            self._grow(self.y, self.index(0, jet), place, lane, b.read(moved, times + i))
        with b.when(b.test("une", rate, 0.0)):
            self._grow(self.running, 0, place, lane, b.choose(b.test("ogt", rate, 0.0), 1.0, -1.0))
            self._grow(self.u, 0, place, lane, rate)
            for i, jet in enumerate(self.moved[RATE]):
                self._grow(self.u, self.index(0, jet), place, lane, b.read(moved, times + amounts + i))
            for i in sorted(self.c.equations.entered):  # no residue of rounding once all have ended
                with b.when(b.test("olt", b.read(b.lane(self.running, lane, i)), 0.5)):
                    for jet in [(), *self.moved[RATE]]:
                        b.write(0.0, b.lane(self.u, lane, self.index(i, jet)))

    def _grow(self, slot: str, first: int, place: str, lane: str, amount: str) -> None:
        """Add to one element, known at run time, of one lane."""
        b = self.b
        if b.lanes > 1:
            where = b.lane(slot, lane, b.count_of("add", place, first))
            b.write(b.value(f"fadd {b.scalar} {b.read(where)}, {amount}"), where)
            return
        for i in sorted(self.c.equations.entered):  # on a GPU a stack indexed at run time would leave the registers
            where = b.lane(slot, lane, first + i)
            before = b.read(where)
            after = b.value(f"fadd {b.scalar} {before}, {amount}")
            b.write(b.choose(b.value(f"icmp eq i64 {place}, {i}"), after, before), where)

    def _jump(self, lane: str, who: str, place: str, *, add: bool) -> None:
        b, known = self.b, {jet: at for at, jet in enumerate([(), *self.moved[STATE]])}
        row = b.offset(self._row("jumps", who), b.count_of("mul", place, self.n * len(known)))
        for i, jet in self.carried:
            where = b.lane(self.y, lane, self.index(i, jet))
            value = b.read(row, known[jet] * self.n + i) if jet in known else b.single(0.0)
            b.write(b.value(f"fadd {b.scalar} {value}, {b.read(where)}") if add else value, where)
