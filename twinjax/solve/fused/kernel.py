"""The loop around a step: each lane carries a patient through doses, samples and parameter segments at its own pace.

Steps are taken in all lanes until one of them needs something: a sample lies in the step, an event is reached, or the
patient cannot go on. Then samples are written, events happen, patients that are done leave their lanes and others
enter. Time is kept since the last event, so that single precision loses no samples. Steps are chosen by the values
alone, and derivatives are carried along with the steps frozen, except that a step ends where an event is, wherever the
derivatives move it; between events that coincide but move apart lies a step of no length that has derivatives.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Hashable

from twinjax.solve.fused.emission import Emitter, apart, hoisted
from twinjax.solve.fused.functions import needed
from twinjax.solve.fused.ir import Builder, Value
from twinjax.solve.fused.jets import TIME, Jet
from twinjax.solve.fused.lanes import Lanes, Layout
from twinjax.solve.fused.steps import Step, later
from twinjax.solve.fused.tracking import Place as Tracked
from twinjax.solve.fused.tracking import Tracker
from twinjax.solve.problem import MAX_STEPS, NOT_FINITE, STEP_TOO_SMALL

Placed = dict[tuple[int, Jet], int]
"""Nodes by state and derivative."""


class Loop:
    """Writes the kernel of a step.

    **Parameters**: `step`; `layout`; `rtol`, `atol`, `max_steps`; `lanes` and `precision` of the code; `tracks`, with
    the numbers of their outputs; `fma`, whether the machine has a fused multiply-add; `follow`, whether derivatives
    move samples with the events before them. The buffers are
    `INPUTS` and `OUTPUTS`, each `(patients, ...)`: parameters `(segments, parameters)`; events `(events, COLUMNS)`, in
    any order; jumps `(jumps, 1 + derivatives, states)`; sample times and their orders `(samples,)`; the start: a result
    code, the time and its derivatives; derivatives of the events' times, amounts and rates `(events, ...)`; values
    `(samples, outputs, jets)`; result codes; steps; the events' ranks; the `tracks`.
    """

    def __init__(
        self, step: Step, layout: Layout, rtol: float, atol: float, max_steps: int, lanes: int, precision: str,
        tracks: tuple[Tracked, ...] = (), fma: bool = True, follow: bool = False,
    ) -> None:  # fmt: skip
        self.step, self.c, self.layout = step, step.calculus, layout
        self.rtol, self.atol, self.max_steps, self.follow = rtol, atol, max_steps, follow
        self.b = Builder(lanes, precision, fused=fma)
        self._finest = 1e-15 if precision == "f64" else 1e-7  # of the whole, a step that is lost in rounding
        self.lanes = Lanes(self.b, self.c, layout)
        self.now: dict[Hashable, Value] = {}
        self.emitter = Emitter(self.b, self.c.graph, self._leaf)
        self._programs()
        self.tracker = Tracker(self.b, tracks, self._between) if tracks else None
        self.lanes.tracker = self.tracker

    def _programs(self) -> None:
        """Every node that the kernel computes, and those of them that parameters alone decide."""
        c, step, eq = self.c, self.step, self.c.equations
        states = range(eq.states)
        kept = c.jets if step.keeps_slopes else [()] if not step.exact else []
        kept = [(i, j) for j in kept for i in states if ("k", i, j) in c.present]
        slopes = eq.derivative(c.graph, c.leaf("t"), c.state(), c.state("u"))
        self.start: Placed = {(i, j): c.of(x, j) for i, x in enumerate(eq.initial(c.graph)) for j in c.jets}
        self.slopes: Placed = {(i, j): c.of(slopes[i], j) for i, j in kept}
        self.reached: Placed = {(i, j): c.of(step.reached[i], j) for i, j in self.lanes.carried}
        self.following: Placed = {(i, j): c.of(step.slopes[i], j) for i, j in kept} if step.keeps_slopes else {}
        self.shifted = self._shifted(slopes) if self.lanes.moved[TIME] else {}
        since = c.leaf("s")
        self.seen = eq.output(c.graph, c.graph.add(c.leaf("t"), since), step.dense(since), c.state("u"))
        self.saved = [c.of(x, j) for x in self.seen for j in c.jets]
        programs = (self.start, self.slopes, self.reached, self.following)
        every = [*itertools.chain.from_iterable(p.values() for p in programs), *step.error, *self.saved]
        p = c.propagated
        if p is not None:
            every += [p.norm, *p.series.values(), *p.doubled.values()]
            self._entries = {key: at for at, key in enumerate(dict.fromkeys([*p.series, *p.doubled]))}
            self._matrices, self._doubling = (self.b.slot(count=len(self._entries)) for _ in range(2))
            for at in range(len(self._entries)):
                self.b.store(self._matrices, 0.0, at)
        self.hoisted = {node: at for at, node in enumerate(hoisted(c.graph, every))}
        self._hoists = self.b.slot(count=len(self.hoisted))

    def _shifted(self, slopes: list[int]) -> Placed:
        """What a step of no length changes, if its derivatives are not zero."""
        c, found = self.c, later(self.c, slopes, max(map(len, self.lanes.moved[TIME])))
        return {
            (i, j): c.of(found[i], j) for i, j in self.lanes.carried if any(TIME in c.directions[a].moves for a in j)
        }

    def text(self) -> str:
        """LLVM IR that defines `solve`."""
        b, lanes = self.b, self.lanes
        with b.forever() as leave:
            lanes.refill()
            active = lanes.holds("active")
            leave(b.none(active))
            self._begin()
            with self.emitter.scope(fresh=True):
                arrived, still, tau = self._steps(active)
                self._samples(arrived, still, tau)
                self._events(arrived)
                self._failures(active)
                lanes.retire()
            self.now = {}
        b.do("ret void")
        definitions, declared = needed(b.called, b.lanes, b.precision, b.fused)
        return "\n".join([
            *dict.fromkeys([*b.declared, *declared]), definitions,
            "define void @solve(ptr noalias %in, ptr noalias %out, i64 %begin, i64 %end) #0 {", b.body(), "}",
            'attributes #0 = { nounwind "prefer-vector-width"="512" "no-trapping-math"="true" "no-stack-arg-probe" }',
        ])  # fmt: skip

    def _leaf(self, name: Hashable) -> Value:
        """The value of a leaf: of this turn, or from its slot."""
        if name in self.now:
            return self.now[name]
        b, lanes = self.b, self.lanes
        assert isinstance(name, tuple)
        if name[0] == "p":
            return b.load(lanes.p, name[1])
        if name[0] == "seed":
            segment = float(self.c.directions[name[1]].segment or 0)
            return b.select(b.compare("oeq", lanes.load("segment"), segment), 1.0, 0.0)
        kind, i, jet = name
        if kind in ("E", "F"):
            return b.load(self._matrices, self._entries[kind.lower(), i, jet])
        if kind in ("e", "f"):
            return b.load(self._doubling, self._entries[kind, i, jet])
        if kind == "t":
            moved = lanes.moved[TIME]
            return b.load(lanes.tj, moved.index(jet)) if jet else b.add(lanes.load("base"), lanes.load("tau"))
        return b.load({"y": lanes.y, "u": lanes.u, "k": lanes.k}[kind], lanes.index(i, jet))

    # ------------------------------------------------------------------------------------------------- beginning anew

    def _begin(self) -> None:
        """What parameters decide, the initial state, the slopes and the first step, in the lanes that begin anew."""
        b, e, lanes = self.b, self.emitter, self.lanes
        anew = lanes.holds("anew")
        with b.when(b.any(anew)), e.scope(fresh=True):
            if self.hoisted:
                with b.when(b.any(lanes.holds("reload"))), e.scope(fresh=True):
                    e.hoisted = {}
                    for at, value in enumerate(e.emit(self.hoisted)):
                        b.store(self._hoists, value, at)
                e.hoisted = {node: (self._hoists, at) for node, at in self.hoisted.items()}
            born = lanes.holds("born")
            with b.when(b.any(born)), e.scope(fresh=True):
                self._put(lanes.y, born, self.start)
            values = self._put(lanes.k if self.step.keeps_slopes else None, anew, self.slopes)
            if self.step.exact:
                lanes.store("stale", b.select(lanes.holds("reload"), 1.0, lanes.load("stale")))
            else:
                slopes = [values.get((i, ()), 0.0) for i in range(lanes.n)]
                lanes.store("h", b.select(anew, self._first_step(slopes), lanes.load("h")))
            for name in ("anew", "reload", "born"):
                lanes.store(name, 0.0)

    def _put(self, slot: str | None, mask: str, nodes: Placed) -> dict[tuple[int, Jet], Value]:
        """Compute nodes, and store them where the mask holds."""
        b = self.b
        values = dict(zip(nodes, self.emitter.emit(nodes.values()), strict=True))
        if slot is not None:
            for (i, jet), value in values.items():
                at = self.lanes.index(i, jet)
                b.store(slot, b.select(mask, value, b.load(slot, at)), at)
        return values

    def _first_step(self, slopes: list[Value]) -> str:
        """A hundredth of the time in which the state would change by itself; a thousandth of the whole if it is zero.

        Hairer, Norsett & Wanner 1993, Solving Ordinary Differential Equations I, II.4, without their second slope.
        """
        b, size, speed = self.b, 0.0, 0.0
        for i, slope in enumerate(slopes):
            y = b.load(self.lanes.y, i)
            weight = b.div(1.0, b.add(b.mul(b.intrinsic("fabs", y), self.rtol), self.atol))
            a, v = b.mul(y, weight), b.mul(slope, weight)
            size, speed = b.add(b.mul(a, a), size), b.add(b.mul(v, v), speed)
        ratio = b.intrinsic("sqrt", b.div(size, speed))
        span = self.lanes.load("span")
        plain = b.mul(span, 1e-3)
        told = b.both(b.compare("ogt", size, 1e-10), b.compare("ogt", speed, 1e-10))
        told = b.both(told, b.compare("olt", ratio, float("inf")))
        h = b.select(told, b.minimum(b.mul(ratio, 0.01), plain), plain)
        return b.select(b.compare("ogt", span, 0.0), h, 1.0)

    # ----------------------------------------------------------------------------------------------------------- steps

    def _steps(self, active: str) -> tuple[str, str, str]:
        """Step until a lane needs something: the lanes that have arrived, those that stood still, where they were."""
        b, e, lanes = self.b, self.emitter, self.lanes
        base, stop, at = (lanes.load(name) for name in ("base", "stop", "tau"))
        lands, ts = lanes.holds("lands"), b.sub(lanes.load("ts"), base)
        sampled = b.compare("ole", ts, at)
        if not self.step.exact:  # the next step's interpolant serves as well, unless there is none
            sampled = b.both(sampled, lanes.holds("final"))
        spoilt = b.compare("une", lanes.load("code"), 0.0)
        still = b.either(b.compare("ole", stop, at), b.either(sampled, spoilt))
        moving = b.both(active, b.invert(still))  # a lane that stands still is served after one turn
        floor = b.mul(b.maximum(b.intrinsic("fabs", lanes.load("last")), lanes.load("span")), self._finest)
        with b.forever() as leave:
            tau, h = lanes.load("tau"), lanes.load("h")
            cap = b.sub(stop, tau)
            aim = b.minimum(b.sub(ts, tau), cap) if self.step.exact else h
            full = b.compare("oge", aim if self.step.exact else b.mul(h, 1.0 + 1e-6), cap)
            step = b.select(still, h, b.select(full, cap, aim))
            landing = b.both(full, lands)
            self.now = {("t", 0, ()): b.add(base, tau), ("h", 0, ()): step, ("w", 0, ()): b.select(still, 0.0, 1.0)}
            for i, jet in enumerate(lanes.moved[TIME]):
                self.now["t", 0, jet] = b.load(lanes.tj, i)
                longer, goes = b.sub(b.load(lanes.tej, i), self.now["t", 0, jet]), b.both(landing, b.invert(still))
                self.now["h", 0, jet] = b.select(goes, longer, 0.0)
            if self.step.exact:
                self._propagate(moving, step, h, floor)
            y = e.emit([self.c.leaf("y", i) for i in range(lanes.n)])
            values = dict(zip(self.reached, e.emit(self.reached.values()), strict=True))
            slopes = dict(zip(self.following, e.emit(self.following.values()), strict=True))
            moved, hopeless = moving, b.differs(active, active)
            if not self.step.exact:
                good, factor = self._judge(y, [values[i, ()] for i in range(lanes.n)])
                following = b.mul(step, factor)
                moved = b.both(moving, good)
                hopeless = b.both(b.both(moving, b.invert(good)), b.compare("olt", following, floor))
                lanes.store("h", b.select(moving, following, h))
            steps = b.add(lanes.load("steps"), b.select(moving, 1.0, 0.0))
            lanes.store("steps", steps)
            for slot, kind, nodes in ((lanes.y, "y", values), (lanes.k, "k", slopes)):
                for (i, jet), value in nodes.items():
                    b.store(slot, b.select(moved, value, e.emit([self.c.leaf(kind, i, jet)])[0]), lanes.index(i, jet))
            now = b.select(moved, b.select(full, stop, ts if self.step.exact else b.add(tau, step)), tau)
            if self.tracker is not None:
                e.emit(apart(self.c.graph, e.missing(self.saved), self.saved))
                closed = b.both(full, b.invert(lands))
                end = b.select(full, b.select(lands, lanes.load("te"), lanes.load("last")), b.add(base, now))
                self.tracker.step(moved, self.now["t", 0, ()], step, end, closed)
            lanes.store("tau", now)
            for i, jet in enumerate(lanes.moved[TIME]):
                b.store(lanes.tj, b.select(b.both(moved, landing), b.load(lanes.tej, i), self.now["t", 0, jet]), i)
            due = b.both(moved, b.either(landing, b.compare("ole", ts, now)))
            stuck = b.either(hopeless, b.compare("oge", steps, float(self.max_steps)))
            leave(b.any(b.either(b.both(active, b.either(still, stuck)), due)))
        lanes.store("code", b.select(hopeless, float(STEP_TOO_SMALL), lanes.load("code")))
        return b.either(moved, b.both(active, still)), still, tau

    def _propagate(self, moving: str, step: str, known: str, floor: str) -> None:
        """The matrices of an exact step, in the lanes where they are those of another step or of other parameters."""
        b, e, lanes, p = self.b, self.emitter, self.lanes, self.step.calculus.propagated
        differs = b.compare("ugt", b.intrinsic("fabs", b.sub(step, known)), floor)
        stale = b.both(moving, b.either(differs, lanes.holds("stale")))
        with b.when(b.any(stale)), e.scope(fresh=True):
            norm, short, doublings = e.emit([p.norm])[0], b.slot(), b.slot()
            b.store(short, step)
            b.store(doublings, 0.0)
            with b.forever() as leave:
                m, count = b.load(short), b.load(doublings)
                long = b.both(b.compare("ogt", b.mul(m, norm), 0.5), b.compare("olt", count, 60.0))
                leave(b.none(long))
                b.store(short, b.select(long, b.mul(m, 0.5), m))
                b.store(doublings, b.select(long, b.add(count, 1.0), count))
            self.now["m", 0, ()] = b.load(short)
            with e.scope():
                values = dict(zip(p.series, e.emit(p.series.values()), strict=True))
                for key, at in self._entries.items():
                    b.store(self._doubling, values.get(key, 0.0), at)
            with b.forever() as leave, e.scope():
                count = b.load(doublings)
                more = b.compare("ogt", count, 0.5)
                leave(b.none(more))
                values = dict(zip(p.doubled, e.emit(p.doubled.values()), strict=True))
                for key, value in values.items():
                    at = self._entries[key]
                    b.store(self._doubling, b.select(more, value, b.load(self._doubling, at)), at)
                b.store(doublings, b.sub(count, 1.0))
            for at in self._entries.values():
                new, old = b.load(self._doubling, at), b.load(self._matrices, at)
                b.store(self._matrices, b.select(stale, new, old), at)
            lanes.store("h", b.select(stale, step, known))
            lanes.store("stale", b.select(stale, 0.0, lanes.load("stale")))

    def _between(self, output: int, since: Value) -> Value:
        """The value of an output within the step."""
        self.now["s", 0, ()] = since
        with self.emitter.scope():
            return self.emitter.emit([self.seen[output]])[0]

    def _judge(self, before: list[Value], after: list[Value]) -> tuple[str, str]:
        """Whether the error is within tolerance, and what to multiply the step by."""
        b, total = self.b, 0.0
        for y, y1, error in zip(before, after, self.emitter.emit(self.step.error), strict=True):
            size = b.maximum(b.intrinsic("fabs", y1), b.intrinsic("fabs", y))
            relative = b.div(error, b.add(b.mul(size, self.rtol), self.atol))
            total = b.add(b.mul(relative, relative), total)
        mean = b.mul(total, 1.0 / len(after))
        good = b.compare("ole", mean, 1.0)
        factor = b.mul(b.call("inverse_tenth_root", b.minimum(b.maximum(mean, 1e-20), 1e20)), 0.9)
        factor = b.minimum(b.maximum(factor, 0.2), b.select(good, self.step.fastest, 0.9))
        return good, b.select(b.compare("olt", mean, float("inf")), factor, 0.2)

    # ------------------------------------------------------------------------------------- what lies between the steps

    def _samples(self, arrived: str, still: str, tau: str) -> None:
        """Write the samples that the step passed."""
        b, e, lanes = self.b, self.emitter, self.lanes

        def due() -> str:
            passed = b.compare("ole", b.sub(lanes.load("ts"), lanes.load("base")), lanes.load("tau"))
            return b.both(b.both(arrived, passed), lanes.sample_first())

        with b.when(b.any(due())), e.scope():
            e.emit(apart(self.c.graph, e.missing(self.saved), self.saved))
            with b.forever() as leave, e.scope():
                mask = due()
                leave(b.none(mask))
                since = b.sub(b.sub(lanes.load("ts"), lanes.load("base")), tau)
                self.now["s", 0, ()] = b.select(still, 0.0, since)
                for jet in lanes.moved[TIME]:
                    self.now["s", 0, jet] = 0.0 if self.follow else b.neg(self.now["t", 0, jet])
                values = e.emit(self.saved)
                for at, value in enumerate(values):
                    b.store(lanes.written, value, at)
                bad = b.both(mask, b.invert(self._finite(values[:: len(self.c.jets)])))
                lanes.store("bad", b.select(bad, 1.0, lanes.load("bad")))
                lanes.write(mask)

    def _events(self, arrived: str) -> None:
        """Let the events happen that are due, until the next is later or a sample comes first."""
        b, lanes = self.b, self.lanes
        if not self.layout.events:
            return
        with b.forever() as leave:
            reached = b.compare("ole", b.sub(lanes.load("te"), lanes.load("base")), lanes.load("tau"))
            reached = b.both(reached, b.compare("ole", lanes.load("te"), lanes.load("last")))
            due = b.both(b.both(arrived, reached), b.invert(lanes.sample_first()))
            leave(b.none(due))
            if lanes.moved[TIME]:
                self._shift(due)
            lanes.happen(due)

    def _shift(self, due: str) -> None:
        """Take derivatives to when these lanes' events are, where those coincide with the present but move apart."""
        b, e, lanes = self.b, self.emitter, self.lanes
        ahead = [b.load(lanes.tej, i) for i in range(len(lanes.moved[TIME]))]
        gaps = [b.sub(there, b.load(lanes.tj, i)) for i, there in enumerate(ahead)]
        moving = b.both(due, functools.reduce(b.either, [b.compare("une", gap, 0.0) for gap in gaps]))
        with b.when(b.any(moving)), e.scope(fresh=True):
            before = self.now, e.hoisted  # parameters may have changed at this time, too
            self.now, e.hoisted = {("s", 0, ()): 0.0}, {}
            self.now |= {("s", 0, jet): gap for jet, gap in zip(lanes.moved[TIME], gaps, strict=True)}
            self._put(lanes.y, moving, self.shifted)
            for i, there in enumerate(ahead):
                b.store(lanes.tj, b.select(moving, there, b.load(lanes.tj, i)), i)
            self.now, e.hoisted = before

    def _failures(self, active: str) -> None:
        """Say why a patient cannot go on."""
        b, lanes = self.b, self.lanes
        code, steps, turns = lanes.load("code"), lanes.load("steps"), b.add(lanes.load("turns"), 1.0)
        lanes.store("turns", turns)
        slot = lanes.k if self.step.keeps_slopes else lanes.y
        known = [b.load(s, i) for s in dict.fromkeys((lanes.y, slot)) for i in range(lanes.n)]
        known += [] if self.step.keeps_slopes else self.emitter.emit(self.step.slopes)
        small = b.both(b.compare("oeq", code, float(STEP_TOO_SMALL)), b.invert(self._finite(known)))
        code = b.select(small, float(NOT_FINITE), code)
        most = 4.0 * (self.layout.events + self.layout.samples) + 16.0  # a patient that never gets on has lost its way
        many = b.either(b.compare("oge", steps, float(self.max_steps)), b.compare("oge", turns, self.max_steps + most))
        more = b.compare("olt", lanes.load("ts"), float("inf"))
        many = b.both(b.both(active, many), b.both(more, b.compare("oeq", code, 0.0)))
        lanes.store("code", b.select(many, float(MAX_STEPS), code))

    def _finite(self, values: list[Value]) -> str:
        b, total = self.b, 0.0
        for v in values:
            total = b.add(b.intrinsic("fabs", v), total)
        return b.compare("olt", total, float("inf"))
