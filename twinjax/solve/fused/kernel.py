"""The loop around a step: each lane carries a patient through doses, samples and parameter segments at its own pace.

A turn of the loop takes one step in every lane, writes the samples that it passed, gives the doses that it reached, and
puts the next patient into a lane that has finished. Time is kept since the last event, so that single precision loses
no samples. Steps are chosen by the values alone and derivatives are carried along with the steps frozen, except that a
step ends where an event is, wherever the derivatives move it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Hashable

from twinjax.solve.fused.emission import Emitter
from twinjax.solve.fused.functions import needed
from twinjax.solve.fused.graph import CONSTANT, LEAF, Graph
from twinjax.solve.fused.ir import Builder, Value
from twinjax.solve.fused.jets import AMOUNT, RATE, STATE, TIME, Jet
from twinjax.solve.fused.steps import Step
from twinjax.solve.problem import MAX_STEPS, NOT_FINITE, STEP_TOO_SMALL

COLUMNS = ("time", "order", "sequence", "kind", "place", "amount", "rate")
"""The columns of an event; the first three, in turn, say which comes first."""
GIVE, SET, ADD, SWITCH = range(4)
"""Kinds of events: an amount and a rate into the state `place`; the state becomes, or grows by, row `place` of the
jumps; the next parameter segment begins."""


@dataclasses.dataclass(frozen=True)
class Layout:
    """Sizes of a kernel's buffers, per patient."""

    segments: int
    events: int
    jumps: int
    samples: int


class Loop:
    """Writes the kernel of a step.

    **Parameters**: `step`; `layout`; `rtol`, `atol`, `max_steps`; `lanes` and `precision` of the code.
    Inputs, each `(patients, ...)`: parameters `(segments, parameters)`; events `(events, 7)`, in any
    order; jumps
    `(jumps, 1 + state derivatives, states)`; sample times and their orders `(samples,)`; the start: a result code, the
    time, its derivatives; derivatives of the events' times, amounts and rates `(events, ...)`. Outputs: values
    `(samples, outputs, jets)`; result codes; steps; the events' order.
    """

    def __init__(
        self, step: Step, layout: Layout, rtol: float, atol: float, max_steps: int, lanes: int, precision: str
    ):
        self.step, self.c, self.layout = step, step.calculus, layout
        self.rtol, self.atol, self.max_steps = rtol, atol, max_steps
        self.jets = self.c.jets
        self.b = Builder(lanes, precision)
        self.now: dict[Hashable, Value] = {}
        self.emitter = Emitter(self.b, self.c.graph, self._load)
        self.moved = {
            column: [j for j in self.jets if self.c.moving(column, j)] for column in (TIME, AMOUNT, RATE, STATE)
        }
        self._programs()

    # -------------------------------------------------------------------------------------------------- the programs

    def _programs(self) -> None:
        """Every node that the kernel computes, and those of them that parameters alone decide."""
        c, step, eq = self.c, self.step, self.c.equations
        self.carried = [(i, j) for j in self.jets for i in range(eq.states) if ("y", i, j) in c.present]
        self.reached = {(i, j): c.of(step.reached[i], j) for i, j in self.carried}
        self.start = {(i, j): c.of(x, j) for i, x in enumerate(eq.initial(c.graph)) for j in self.jets}
        slopes = eq.derivative(c.graph, c.leaf("t"), c.state(), c.state("u"))
        self.first = {(i, j): c.of(slopes[i], j) for i, j in self._kept()}
        self.next = {(i, j): c.of(step.slopes[i], j) for i, j in self._kept()} if step.keeps_slopes else {}
        since = c.leaf("s")
        at = c.graph.add(c.leaf("t"), since)
        saved = eq.output(c.graph, at, step.dense(since), c.state("u"))
        self.saved = [[c.of(x, j) for j in self.jets] for x in saved]
        every = [*self.reached.values(), *self.start.values(), *self.first.values(), *self.next.values(), *step.error]
        self.hoisted = {
            x: at for at, x in enumerate(_hoisted(c.graph, [*every, *(x for row in self.saved for x in row)]))
        }
        self.emitter.hoisted = frozenset(self.hoisted)
        self.emitter.fetch = lambda node: self.b.load(self.hoists, self.hoisted[node])

    def _kept(self) -> list[tuple[int, Jet]]:
        """Which slopes are computed where a step begins anew."""
        jets = self.jets if self.step.keeps_slopes else [()]
        return [(i, j) for j in jets for i in range(self.c.equations.states) if ("k", i, j) in self.c.present]

    # -------------------------------------------------------------------------------------------------------- the text

    def text(self) -> str:
        """LLVM IR that defines `solve`."""
        b = self.b
        self._slots()
        with b.forever() as leave:
            self._refill()
            active = b.compare("ogt", b.load(self.active), 0.5)
            leave(b.value(f"xor i1 {b.any(active)}, true"))
            self._begin()
            with self.emitter.scope(fresh=True):
                self._turn(active)
        b.do("ret void")
        definitions, declared = needed(b.called, b.lanes, b.precision)
        declares = dict.fromkeys([*b.declared, *declared])
        return "\n".join([
            *declares, definitions,
            "define void @solve(ptr noalias %in, ptr noalias %out, i64 %begin, i64 %end) #0 {", b.body(), "}",
            'attributes #0 = { nounwind "prefer-vector-width"="512" "no-trapping-math"="true" "no-stack-arg-probe" }',
        ])  # fmt: skip

    def _slots(self) -> None:
        b, eq, layout = self.b, self.c.equations, self.layout
        self.inputs = [b.value(f"load ptr, ptr {b.at('%in', i, 'ptr')}") for i in range(7)]
        self.outputs = [b.value(f"load ptr, ptr {b.at('%out', i, 'ptr')}") for i in range(4)]
        for name in ("active", "tau", "base", "h", "stop", "lands", "last", "steps", "turns", "code", "bad", "anew",
                     "reload", "born", "segment", "ts", "os", "final", "te", "oe", "span"):  # fmt: skip
            setattr(self, name, b.slot())
        n, jets = eq.states, len(self.jets)
        self.y, self.u, self.k = b.slot(count=n * jets), b.slot(count=n * jets), b.slot(count=n * jets)
        self.running, self.p, self.hoists = (
            b.slot(count=n),
            b.slot(count=eq.parameters),
            b.slot(count=len(self.hoisted)),
        )
        self.tj, self.tej = b.slot(count=len(self.moved[TIME])), b.slot(count=len(self.moved[TIME]))
        self.written = b.slot(count=eq.outputs * jets)
        self.who, self.event, self.sample = (b.slot("i64", b.lanes) for _ in range(3))
        self.coming = b.slot("i64")
        self.place = {j: at for at, j in enumerate(self.jets)}
        self.row = {"p": layout.segments * eq.parameters, "e": layout.events * len(COLUMNS), "s": layout.samples,
                    "j": layout.jumps * n * (1 + len(self.moved[STATE])), "b": 2 + len(self.moved[TIME]),
                    "m": layout.events * self._width()}  # fmt: skip
        for name in ("active", "tau", "base", "stop", "steps", "turns", "code", "bad", "anew", "reload", "born"):
            b.store(getattr(self, name), 0.0)
        for i in range(eq.parameters):
            b.store(self.p, 1.0, i)
        for i in range(n * jets):
            b.store(self.y, 0.0, i)
            b.store(self.u, 0.0, i)
            b.store(self.k, 0.0, i)
        for name in ("h", "span", "lands", "last", "segment", "final", "ts", "os", "te", "oe"):
            b.store(getattr(self, name), 1.0)
        for i in range(len(self.moved[TIME])):
            b.store(self.tj, 0.0, i)
            b.store(self.tej, 0.0, i)
        b.store(self.coming, "%begin", kind="i64")
        with b.count(0, b.lanes) as lane:
            for slot in (self.who, self.event, self.sample):
                b.do(f"store i64 0, ptr {b.lane(slot, lane, kind='i64')}")

    def _width(self) -> int:
        """How many derivatives an event has."""
        return sum(len(self.moved[c]) for c in (TIME, AMOUNT, RATE))

    def _load(self, name: Hashable) -> Value:
        """The value of a leaf."""
        if name in self.now:
            return self.now[name]
        b = self.b
        assert isinstance(name, tuple)
        if name[0] == "p":
            return b.load(self.p, name[1])
        if name[0] == "seed":
            segment = float(self.c.directions[name[1]].segment or 0)
            return b.select(b.compare("oeq", b.load(self.segment), segment), 1.0, 0.0)
        kind, i, jet = name
        if kind == "t":
            return b.load(self.tj, self.moved[TIME].index(jet)) if jet else b.add(b.load(self.base), b.load(self.tau))
        return b.load({"y": self.y, "u": self.u, "k": self.k}[kind], self.place[jet] * self.c.equations.states + i)

    # ------------------------------------------------------------------------------------------ patients come and go

    def _refill(self) -> None:
        """Put the next patients into the lanes that are free."""
        b = self.b
        free = b.compare("olt", b.load(self.active), 0.5)
        more = b.value(f"icmp slt i64 {b.load(self.coming, kind='i64')}, %end")
        with b.when(b.value(f"and i1 {b.any(free)}, {more}")), b.each_lane(free) as lane:
            who = b.load(self.coming, kind="i64")
            with b.when(b.value(f"icmp slt i64 {who}, %end")):
                b.store(self.coming, b.value(f"add i64 {who}, 1"), kind="i64")
                self._admit(lane, who)

    def _admit(self, lane: str, who: str) -> None:
        b, n = self.b, self.c.equations.states
        b.do(f"store i64 {who}, ptr {b.lane(self.who, lane, kind='i64')}")
        for slot in (self.event, self.sample):
            b.do(f"store i64 0, ptr {b.lane(slot, lane, kind='i64')}")
        start = self._row(5, who, "b")
        code, begin = self._read(start, 0), self._read(start, 1)
        end = self._read(self._row(3, who, "s"), self.layout.samples - 1)
        zeros = ("tau", "steps", "turns", "bad", "segment")
        for slot, value in [(n, 0.0) for n in zeros] + [(n, 1.0) for n in ("active", "anew", "reload", "born")]:
            self._put(slot, lane, b.number(value))
        self._put("code", lane, code)
        self._put("base", lane, begin)
        self._put("last", lane, end)
        self._put("span", lane, b.value(f"fsub {b.scalar} {end}, {begin}"))
        for i in range(len(self.moved[TIME])):
            b.do(f"store {b.scalar} {self._read(start, 2 + i)}, ptr {b.lane(self.tj, lane, i)}")
        for i in sorted(self.c.equations.entered):
            for slot, at in [
                (self.running, i),
                *((self.u, self.place[jet] * n + i) for jet in [(), *self.moved[RATE]]),
            ]:
                b.do(f"store {b.scalar} {b.number(0.0)}, ptr {b.lane(slot, lane, at)}")
        self._parameters(lane, who, "0")
        self._sort(who)
        self._next_event(lane, who, "0")
        self._next_sample(lane, who, "0")

    def _put(self, name: str, lane: str, value: str) -> None:
        self.b.do(f"store {self.b.scalar} {value}, ptr {self.b.lane(getattr(self, name), lane)}")

    def _get(self, slot: str, lane: str, kind: str | None = None) -> str:
        kind = self.b.scalar if kind is None else kind
        return self.b.value(f"load {kind}, ptr {self.b.lane(slot, lane, kind=kind)}")

    def _row(self, which: int, who: str, size: str) -> str:
        """The address of a patient's own part of an input."""
        at = self.b.value(f"mul i64 {who}, {self.row[size]}")
        return self.b.value(f"getelementptr inbounds {self.b.scalar}, ptr {self.inputs[which]}, i64 {at}")

    def _read(self, row: str, index: int | str) -> str:
        return self.b.value(f"load {self.b.scalar}, ptr {self.b.at(row, index, self.b.scalar)}")

    def _parameters(self, lane: str, who: str, segment: str) -> None:
        b, count = self.b, self.c.equations.parameters
        if not count:
            return
        first = b.value(f"mul i64 {segment}, {count}")
        row = b.value(f"getelementptr inbounds {b.scalar}, ptr {self._row(0, who, 'p')}, i64 {first}")
        for i in range(count):
            b.do(f"store {b.scalar} {self._read(row, i)}, ptr {b.lane(self.p, lane, i)}")

    def _sort(self, who: str) -> None:
        """Put the events in order, by insertion, which is quick where they nearly are."""
        b, size = self.b, self.layout.events
        if not size:
            return
        with b.count(0, size) as new:
            at = b.slot("i64")
            b.store(at, new, kind="i64")
            with b.forever() as leave:
                here = b.load(at, kind="i64")
                leave(b.value(f"icmp sle i64 {here}, 0"))
                before = b.value(f"sub i64 {here}, 1")
                other = b.value(f"load i32, ptr {self._ranked(who, before)}")
                leave(b.value(f"xor i1 {self._earlier(who, new, b.value(f'sext i32 {other} to i64'))}, true"))
                b.do(f"store i32 {other}, ptr {self._ranked(who, here)}")
                b.store(at, before, kind="i64")
            final = b.load(at, kind="i64")
            b.do(f"store i32 {b.value(f'trunc i64 {new} to i32')}, ptr {self._ranked(who, final)}")

    def _ranked(self, who: str, rank: str) -> str:
        """The address of the number of the event of a rank."""
        b = self.b
        first = b.value(f"mul i64 {who}, {self.layout.events}")
        return b.value(f"getelementptr inbounds i32, ptr {self.outputs[3]}, i64 {b.value(f'add i64 {first}, {rank}')}")

    def _event_row(self, who: str, event: str, which: int = 1) -> str:
        """The address of an event's columns, or of its derivatives."""
        b, (size, width) = self.b, {1: ("e", len(COLUMNS)), 6: ("m", self._width())}[which]
        first = b.value(f"mul i64 {event}, {width}")
        return b.value(f"getelementptr inbounds {b.scalar}, ptr {self._row(which, who, size)}, i64 {first}")

    def _numbered(self, who: str, rank: str) -> str:
        """The number of the event of a rank."""
        number = self.b.value(f"load i32, ptr {self._ranked(who, rank)}")
        return self.b.value(f"sext i32 {number} to i64")

    def _earlier(self, who: str, a: str, b: str) -> str:
        """Whether one event comes before another."""
        write = self.b
        rows = [self._event_row(who, x) for x in (a, b)]
        found = "false"
        for column in (2, 1, 0):
            x, y = (self._read(row, column) for row in rows)
            less = write.value(f"fcmp olt {write.scalar} {x}, {y}")
            same = write.value(f"fcmp oeq {write.scalar} {x}, {y}")
            found = write.value(f"or i1 {less}, {write.value(f'and i1 {same}, {found}')}")
        return found

    def _next_event(self, lane: str, who: str, event: str) -> None:
        """When the event of that number is, infinitely late if there is none; and where the lane has to stop."""
        b, e = self.b, self.layout.events
        late = b.number(float("inf"))
        end, base = self._get(self.last, lane), self._get(self.base, lane)
        te, oe = late, late
        if e:
            there = b.value(f"icmp slt i64 {event}, {e}")
            at = self._numbered(who, b.value(f"select i1 {there}, i64 {event}, i64 0"))
            row = self._event_row(who, at)
            te = b.value(f"select i1 {there}, {b.scalar} {self._read(row, 0)}, {b.scalar} {late}")
            oe = b.value(f"select i1 {there}, {b.scalar} {self._read(row, 1)}, {b.scalar} {late}")
            if self.moved[TIME]:
                row = self._event_row(who, at, 6)
                for i in range(len(self.moved[TIME])):
                    b.do(f"store {b.scalar} {self._read(row, i)}, ptr {b.lane(self.tej, lane, i)}")
        lands = b.value(f"fcmp ole {b.scalar} {te}, {end}")
        stop = b.value(f"select i1 {lands}, {b.scalar} {te}, {b.scalar} {end}")
        self._put("te", lane, te)
        self._put("oe", lane, oe)
        self._put("stop", lane, b.value(f"fsub {b.scalar} {stop}, {base}"))
        self._put("lands", lane, b.value(f"select i1 {lands}, {b.scalar} {b.number(1.0)}, {b.scalar} {b.number(0.0)}"))

    def _next_sample(self, lane: str, who: str, sample: str) -> None:
        """When the sample of that number is, infinitely late if there is none."""
        b, s = self.b, self.layout.samples
        there = b.value(f"icmp slt i64 {sample}, {s}")
        at = b.value(f"select i1 {there}, i64 {sample}, i64 0")
        ts, order = self._read(self._row(3, who, "s"), at), self._read(self._row(4, who, "s"), at)
        self._put("ts", lane, b.value(f"select i1 {there}, {b.scalar} {ts}, {b.scalar} {b.number(float('inf'))}"))
        self._put("os", lane, order)
        final = b.value(f"icmp eq i64 {sample}, {s - 1}")
        self._put("final", lane, b.value(f"select i1 {final}, {b.scalar} {b.number(1.0)}, {b.scalar} {b.number(0.0)}"))

    def _begin(self) -> None:
        """What parameters decide, the initial state, the slopes and the first step, in the lanes that begin anew."""
        b, n = self.b, self.c.equations.states
        anew = b.compare("ogt", b.load(self.anew), 0.5)
        with b.when(b.any(anew)), self.emitter.scope(fresh=True):
            if self.hoisted:
                reload = b.compare("ogt", b.load(self.reload), 0.5)
                with b.when(b.any(reload)), self.emitter.scope(fresh=True):
                    self.emitter.hoisted, hoisted = frozenset(), self.emitter.hoisted
                    for at, value in enumerate(self.emitter.emit(self.hoisted)):
                        b.store(self.hoists, value, at)
                    self.emitter.hoisted = hoisted
            born = b.compare("ogt", b.load(self.born), 0.5)
            with b.when(b.any(born)), self.emitter.scope(fresh=True):
                for (i, jet), value in zip(self.start, self.emitter.emit(self.start.values()), strict=True):
                    at = self.place[jet] * n + i
                    b.store(self.y, b.select(born, value, b.load(self.y, at)), at)
            values = dict(zip(self.first, self.emitter.emit(self.first.values()), strict=True))
            if self.step.keeps_slopes:
                for (i, jet), value in values.items():
                    at = self.place[jet] * n + i
                    b.store(self.k, b.select(anew, value, b.load(self.k, at)), at)
            b.store(
                self.h, b.select(anew, self._first_step([values.get((i, ()), 0.0) for i in range(n)]), b.load(self.h))
            )
            for slot in (self.anew, self.reload, self.born):
                b.store(slot, 0.0)

    def _first_step(self, slopes: list[Value]) -> str:
        """A hundredth of the time in which the state would change by itself; a thousandth of the whole if it is zero.

        Hairer, Norsett & Wanner 1993, Solving Ordinary Differential Equations I, II.4, without their second slope.
        """
        b, size, speed = self.b, 0.0, 0.0
        for i, slope in enumerate(slopes):
            y = b.load(self.y, i)
            weight = b.div(1.0, b.add(b.mul(b.intrinsic("fabs", y), self.rtol), self.atol))
            a, v = b.mul(y, weight), b.mul(slope, weight)
            size, speed = b.add(b.mul(a, a), size), b.add(b.mul(v, v), speed)
        ratio = b.intrinsic("sqrt", b.div(size, speed))
        span = b.load(self.span)
        plain = b.mul(span, 1e-3)
        told = b.both(b.compare("ogt", size, 1e-10), b.compare("ogt", speed, 1e-10))
        told = b.both(told, b.compare("olt", ratio, float("inf")))
        h = b.select(told, b.minimum(b.mul(ratio, 0.01), plain), plain)
        return b.select(b.compare("ogt", span, 0.0), h, 1.0)

    # ----------------------------------------------------------------------------------------------------- one turn

    def _turn(self, active: str) -> None:
        b, e, n = self.b, self.emitter, self.c.equations.states
        tau, base, stop = b.load(self.tau), b.load(self.base), b.load(self.stop)
        cap = b.sub(stop, tau)
        waiting = b.compare("ogt", b.load(self.final), 0.5)
        waiting = b.both(waiting, b.compare("ole", b.sub(b.load(self.ts), base), tau))
        still = b.either(b.compare("ole", cap, 0.0), waiting)
        h = b.load(self.h)
        full = b.compare("oge", b.mul(h, 1.0 + 1e-6), cap)
        hs = b.select(still, h, b.select(full, cap, h))
        lands = b.both(full, b.compare("ogt", b.load(self.lands), 0.5))
        self.now = {("t", 0, ()): b.add(base, tau), ("h", 0, ()): hs}
        for i, jet in enumerate(self.moved[TIME]):
            self.now["h", 0, jet] = b.select(lands, b.sub(b.load(self.tej, i), b.load(self.tj, i)), 0.0)
        reached = dict(zip(self.reached, e.emit(self.reached.values()), strict=True))
        good, factor = self._judge([reached[i, ()] for i in range(n)])
        arriving = b.both(active, good)
        moved = b.both(arriving, b.invert(still))
        arrived = b.both(active, b.either(good, still))
        following = b.mul(hs, b.select(good, factor, b.minimum(factor, 0.9)))
        b.store(self.h, b.select(b.both(active, b.invert(still)), following, h))
        self._limits(active, still, good, following)
        for (i, jet), value in reached.items():
            at = self.place[jet] * n + i
            b.store(self.y, b.select(moved, value, e.emit([self.c.leaf("y", i, jet)])[0]), at)
        if self.step.keeps_slopes:
            for (i, jet), value in zip(self.next, e.emit(self.next.values()), strict=True):
                b.store(self.k, b.select(moved, value, e.emit([self.c.leaf("k", i, jet)])[0]), self.place[jet] * n + i)
        now = b.select(moved, b.select(full, stop, b.add(tau, hs)), tau)
        b.store(self.tau, now)
        since = b.both(moved, lands)
        for i in range(len(self.moved[TIME])):
            self.now["t", 0, self.moved[TIME][i]] = before = b.load(self.tj, i)
            b.store(self.tj, b.select(since, b.load(self.tej, i), before), i)
        self._samples(arrived, still, tau, now)
        self._events(arrived, now)
        self._retire()
        self.now = {}

    def _judge(self, reached: list[Value]) -> tuple[str, str]:
        """Whether the error is within tolerance, and by how much the step should change."""
        b, total = self.b, 0.0
        errors = self.emitter.emit(self.step.error)
        for i, (y1, error) in enumerate(zip(reached, errors, strict=True)):
            y = self.emitter.emit([self.c.leaf("y", i)])[0]
            size = b.maximum(b.intrinsic("fabs", y), b.intrinsic("fabs", y1))
            relative = b.div(error, b.add(b.mul(size, self.rtol), self.atol))
            total = b.add(b.mul(relative, relative), total)
        mean = b.mul(total, 1.0 / len(reached))
        good = b.compare("ole", mean, 1.0)
        factor = b.mul(b.call("inverse_tenth_root", b.minimum(b.maximum(mean, 1e-20), 1e20)), 0.9)
        factor = b.minimum(b.maximum(factor, 0.2), self.step.fastest)
        known = b.compare("olt", mean, float("inf"))
        return good, b.select(known, factor, 0.2)

    def _limits(self, active: str, still: str, good: str, following: str) -> None:
        """Count, and give up where there is no hope."""
        b = self.b
        took = b.both(active, b.invert(still))
        steps = b.add(b.load(self.steps), b.select(took, 1.0, 0.0))
        turns = b.add(b.load(self.turns), b.select(active, 1.0, 0.0))
        b.store(self.steps, steps)
        b.store(self.turns, turns)
        limit = float(self.max_steps)
        many = b.either(b.compare("oge", steps, limit),
                        b.compare("oge", turns, limit + 4.0 * (self.layout.events + self.layout.samples) + 16.0))  # fmt: skip
        finest = 1e-14 if b.precision == "f64" else 1e-6
        floor = b.mul(b.load(self.span), finest * 1e-1)
        t = self.now["t", 0, ()]
        tiny = b.both(b.both(took, b.invert(good)), b.either(b.compare("olt", following, floor),
                                                           b.compare("oeq", b.add(t, following), t)))  # fmt: skip
        finite = self._finite([b.load(self.y, i) for i in range(self.c.equations.states)])
        slopes = (
            self.emitter.emit(self.step.slopes)
            if not self.step.keeps_slopes
            else [b.load(self.k, i) for i in range(self.c.equations.states)]
        )
        why = b.select(b.both(finite, self._finite(slopes)), float(STEP_TOO_SMALL), float(NOT_FINITE))
        code = b.load(self.code)
        code = b.select(b.both(tiny, b.compare("oeq", code, 0.0)), why, code)
        b.store(self.code, b.select(b.both(b.both(many, active), b.compare("oeq", code, 0.0)), float(MAX_STEPS), code))

    def _finite(self, values: list[Value]) -> str:
        b, total = self.b, 0.0
        for v in values:
            total = b.add(b.intrinsic("fabs", v), total)
        return b.compare("olt", total, float("inf"))

    def _before(self) -> str:
        """Whether the next sample comes before the next event."""
        b = self.b
        ts, te = b.load(self.ts), b.load(self.te)
        tie = b.both(b.compare("oeq", ts, te), b.compare("olt", b.load(self.os), b.load(self.oe)))
        return b.either(b.compare("olt", ts, te), tie)

    def _samples(self, arrived: str, still: str, tau: str, now: str) -> None:
        """Write the samples that the step passed."""
        b, e = self.b, self.emitter

        def due() -> str:
            passed = b.compare("ole", b.sub(b.load(self.ts), b.load(self.base)), now)
            return b.both(b.both(arrived, passed), self._before())

        nodes = [x for row in self.saved for x in row]
        with b.when(b.any(due())), e.scope():
            sampled = {x for x in e.missing(nodes) if self._samples_own(x)}
            e.emit(sorted({a for x in sampled for a in self.c.graph.needs(x) if a not in sampled}
                          | {x for x in nodes if x not in sampled}))  # fmt: skip
            with b.forever() as leave, e.scope():
                mask = due()
                leave(b.value(f"xor i1 {b.any(mask)}, true"))
                ts = b.load(self.ts)
                since = b.sub(b.sub(ts, b.load(self.base)), tau)
                self.now["s", 0, ()] = b.select(still, 0.0, since)
                for jet in self.moved[TIME]:
                    self.now["s", 0, jet] = b.neg(self.now["t", 0, jet])
                values = e.emit(nodes)
                for at, value in enumerate(values):
                    b.store(self.written, value, at)
                finite = self._finite(values[:: len(self.jets)])
                bad = b.both(mask, b.invert(finite))
                b.store(self.bad, b.select(bad, 1.0, b.load(self.bad)))
                with b.each_lane(mask) as lane:
                    self._write(lane, len(nodes))

    def _samples_own(self, node: int) -> bool:
        """Whether a node depends on when the sample is."""
        g = self.c.graph
        if node not in self._timed:
            stack = [node]
            while stack:
                x = stack[-1]
                inner = [a for a in g.needs(x) if a not in self._timed]
                if inner:
                    stack.extend(inner)
                    continue
                own = g.op[x] == LEAF and g.extra[x][0] == "s"
                self._timed[x] = own or any(self._timed[a] for a in g.needs(x))
                stack.pop()
        return self._timed[node]

    @property
    def _timed(self) -> dict[int, bool]:
        return self.__dict__.setdefault("_timed_nodes", {})

    def _write(self, lane: str, width: int) -> None:
        b = self.b
        who, sample = self._get(self.who, lane, "i64"), self._get(self.sample, lane, "i64")
        first = b.value(f"mul i64 {who}, {self.layout.samples}")
        at = b.value(f"mul i64 {b.value(f'add i64 {first}, {sample}')}, {width}")
        row = b.value(f"getelementptr inbounds {b.scalar}, ptr {self.outputs[0]}, i64 {at}")
        for i in range(width):
            value = b.value(f"load {b.scalar}, ptr {b.lane(self.written, lane, i)}")
            b.do(f"store {b.scalar} {value}, ptr {b.at(row, i, b.scalar)}")
        following = b.value(f"add i64 {sample}, 1")
        b.do(f"store i64 {following}, ptr {b.lane(self.sample, lane, kind='i64')}")
        self._next_sample(lane, who, following)

    def _events(self, arrived: str, now: str) -> None:
        """Give what is due, one event after another, until the next is later or a sample comes first."""
        b = self.b
        if not self.layout.events:
            return
        with b.forever() as leave:
            passed = b.compare("ole", b.sub(b.load(self.te), b.load(self.base)), b.load(self.tau))
            due = b.both(b.both(arrived, passed), b.invert(self._before()))
            due = b.both(due, b.compare("ole", b.load(self.te), b.load(self.last)))
            leave(b.value(f"xor i1 {b.any(due)}, true"))
            with b.each_lane(due) as lane:
                who, event = self._get(self.who, lane, "i64"), self._get(self.event, lane, "i64")
                self._apply(lane, who, event)
                self._put("base", lane, self._get(self.te, lane))
                self._put("tau", lane, b.number(0.0))
                self._put("anew", lane, b.number(1.0))
                following = b.value(f"add i64 {event}, 1")
                b.do(f"store i64 {following}, ptr {b.lane(self.event, lane, kind='i64')}")
                self._next_event(lane, who, following)

    def _apply(self, lane: str, who: str, event: str) -> None:
        b = self.b
        number = self._numbered(who, event)
        row = self._event_row(who, number)
        kind, place = (b.value(f"fptosi {b.scalar} {self._read(row, i)} to i64") for i in (3, 4))
        with b.when(b.value(f"icmp eq i64 {kind}, {GIVE}")):
            self._give(lane, who, number, place, row)
        if self.layout.jumps:
            with b.when(b.value(f"icmp eq i64 {kind}, {SET}")):
                self._jump(lane, who, place, add=False)
            with b.when(b.value(f"icmp eq i64 {kind}, {ADD}")):
                self._jump(lane, who, place, add=True)
        if self.layout.segments > 1:
            with b.when(b.value(f"icmp eq i64 {kind}, {SWITCH}")):
                self._parameters(lane, who, place)
                self._put("segment", lane, b.value(f"sitofp i64 {place} to {b.scalar}"))
                self._put("reload", lane, b.number(1.0))

    def _give(self, lane: str, who: str, event: str, place: str, row: str) -> None:
        b, n = self.b, self.c.equations.states
        self._grow(self.y, 0, place, lane, self._read(row, 5))
        moved = None
        if self._width():
            moved = self._event_row(who, event, 6)
            for i, jet in enumerate(self.moved[AMOUNT]):
                self._grow(self.y, self.place[jet] * n, place, lane, self._read(moved, len(self.moved[TIME]) + i))
        rate = self._read(row, 6)
        with b.when(b.value(f"fcmp une {b.scalar} {rate}, {b.number(0.0)}")):
            up = b.value(f"fcmp ogt {b.scalar} {rate}, {b.number(0.0)}")
            one = b.value(f"select i1 {up}, {b.scalar} {b.number(1.0)}, {b.scalar} {b.number(-1.0)}")
            self._grow(self.running, 0, place, lane, one)
            self._grow(self.u, 0, place, lane, rate)
            for i, jet in enumerate(self.moved[RATE]):
                before = len(self.moved[TIME]) + len(self.moved[AMOUNT])
                assert moved is not None
                self._grow(self.u, self.place[jet] * n, place, lane, self._read(moved, before + i))
            for i in sorted(self.c.equations.entered):  # no residue of rounding once all have ended
                count = b.value(f"load {b.scalar}, ptr {b.lane(self.running, lane, i)}")
                with b.when(b.value(f"fcmp olt {b.scalar} {count}, {b.number(0.5)}")):
                    for jet in [(), *self.moved[RATE]]:
                        b.do(f"store {b.scalar} {b.number(0.0)}, ptr {b.lane(self.u, lane, self.place[jet] * n + i)}")

    def _grow(self, slot: str, first: int, place: str, lane: str, amount: str) -> None:
        """Add to one element, known at run time, of one lane."""
        b = self.b
        if b.lanes > 1:
            where = b.lane(slot, lane, b.value(f"add i64 {place}, {first}"))
            before = b.value(f"load {b.scalar}, ptr {where}")
            b.do(f"store {b.scalar} {b.value(f'fadd {b.scalar} {before}, {amount}')}, ptr {where}")
            return
        for i in sorted(self.c.equations.entered):  # a stack that is indexed at run time would leave the registers
            where = b.lane(slot, lane, first + i)
            before = b.value(f"load {b.scalar}, ptr {where}")
            after = b.value(f"fadd {b.scalar} {before}, {amount}")
            here = b.value(f"icmp eq i64 {place}, {i}")
            b.do(
                f"store {b.scalar} {b.value(f'select i1 {here}, {b.scalar} {after}, {b.scalar} {before}')}, ptr {where}"
            )

    def _jump(self, lane: str, who: str, place: str, *, add: bool) -> None:
        b, n = self.b, self.c.equations.states
        first = b.value(f"mul i64 {place}, {n * (1 + len(self.moved[STATE]))}")
        row = b.value(f"getelementptr inbounds {b.scalar}, ptr {self._row(2, who, 'j')}, i64 {first}")
        known = {jet: at for at, jet in enumerate([(), *self.moved[STATE]])}
        for i, jet in self.carried:
            where = b.lane(self.y, lane, self.place[jet] * n + i)
            value = self._read(row, known[jet] * n + i) if jet in known else b.number(0.0)
            if add:
                value = b.value(f"fadd {b.scalar} {value}, {b.value(f'load {b.scalar}, ptr {where}')}")
            b.do(f"store {b.scalar} {value}, ptr {where}")

    def _retire(self) -> None:
        """Report the patients that are done, and free their lanes."""
        b = self.b
        done = b.either(b.compare("oeq", b.load(self.ts), float("inf")), b.compare("une", b.load(self.code), 0.0))
        done = b.both(done, b.compare("ogt", b.load(self.active), 0.5))
        width = self.c.equations.outputs * len(self.jets)
        with b.when(b.any(done)), b.each_lane(done) as lane:
            who, sample = self._get(self.who, lane, "i64"), self._get(self.sample, lane, "i64")
            code, bad = self._get(self.code, lane), self._get(self.bad, lane)
            spoilt = b.value(f"fcmp ogt {b.scalar} {bad}, {b.number(0.5)}")
            fine = b.value(f"fcmp oeq {b.scalar} {code}, {b.number(0.0)}")
            spoilt = b.value(f"and i1 {spoilt}, {fine}")
            code = b.value(f"select i1 {spoilt}, {b.scalar} {b.number(float(NOT_FINITE))}, {b.scalar} {code}")
            for out, value in ((1, code), (2, self._get(self.steps, lane))):
                whole = b.value(f"fptosi {b.scalar} {value} to i32")
                b.do(
                    f"store i32 {whole}, ptr {b.value(f'getelementptr inbounds i32, ptr {self.outputs[out]}, i64 {who}')}"
                )
            end = b.value(f"mul i64 {b.value(f'add i64 {who}, 1')}, {self.layout.samples * width}")
            before = b.value(f"mul i64 {who}, {self.layout.samples}")
            first = b.value(f"mul i64 {b.value(f'add i64 {before}, {sample}')}, {width}")
            with b.count(first, end) as at:
                where = b.value(f"getelementptr inbounds {b.scalar}, ptr {self.outputs[0]}, i64 {at}")
                b.do(f"store {b.scalar} {b.number(float('nan'))}, ptr {where}")
            self._put("active", lane, b.number(0.0))
            self._put("code", lane, b.number(0.0))
            self._put("ts", lane, b.number(1.0))


def _hoisted(graph: Graph, targets: list[int]) -> list[int]:
    """The nodes to compute once for each patient and segment: of parameters alone, and used by others."""
    found: set[int] = set()
    seen: set[int] = set()
    stack = list(targets)
    masks = {"lt", "le", "gt", "ge", "eq", "ne", "and", "or", "xor", "not", "finite"}
    while stack:
        node = stack.pop()
        if node in seen:
            continue
        seen.add(node)
        op = graph.op[node]
        if graph.constant_in_time[node] and op not in (CONSTANT, LEAF) and op not in masks:
            found.add(node)
        else:
            stack.extend(graph.needs(node))
    return sorted(found)
