"""Derivatives that a kernel carries along: a value and its partial derivatives, to any order, by multi-index."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable
from typing import Any

from twinjax.solve.fused.equations import Equations
from twinjax.solve.fused.graph import Derivative, Graph

Jet = tuple[int, ...]
"""A multi-index: the directions differentiated along, sorted; () is the value itself."""

TIME, AMOUNT, RATE, STATE = "time", "amount", "rate", "state"


@dataclasses.dataclass(frozen=True)
class Direction:
    """One scalar to differentiate by.

    **Parameters**: `leaf`, the parameter it is, None if it is none; `segment`, the parameter segment it is the value
    of, None if there is only one; `moves`, the columns of the dose tables that depend on it (`TIME`, `AMOUNT`, `RATE`,
    `STATE`); `sample`, whether it is the time of the sample itself.
    """

    leaf: int | None = None
    segment: int | None = None
    moves: frozenset[str] = frozenset()
    sample: bool = False

    def text(self) -> str:
        """For a content key: the same whatever the order of a set."""
        return f"{self.leaf} {self.segment} {sorted(self.moves)} {self.sample}"


def products(levels: Iterable[Iterable[int]]) -> list[Jet]:
    """Every multi-index with at most one direction of each level, the shorter first, each once."""
    found: dict[Jet, None] = {(): None}
    for level in levels:
        level = list(level)
        found |= {tuple(sorted((*jet, a))): None for jet in list(found) for a in level}
    return sorted(found, key=lambda jet: (len(jet), jet))


class Calculus:
    """How each quantity of a kernel depends on the directions: the derivative of every leaf, hence of every node.

    Leaves are named (kind, index, jet): `y` states, `k` slopes, `u` input rates, `t` time, `h` step, `s` time of the
    sample since the step began; `e`, `f`, `E`, `F` and `w` are a `Propagator`'s; parameters are ("p", index) and
    ("seed", direction), 1 in that direction's segment.
    """

    def __init__(self, graph: Graph, equations: Equations, directions: tuple[Direction, ...], jets: list[Jet]) -> None:
        self.graph, self.equations, self.directions, self.jets = graph, equations, directions, jets
        self.solved: dict[tuple[int, int, Jet], int] = {}
        self._along = [Derivative(graph, lambda name, a=a: self._tangent(a, name)) for a in range(len(directions))]
        self._partials: dict[tuple[str, int], Derivative] = {}
        self.propagated: Any = None
        self.present: set[tuple[str, Any, Jet]] = {("t", 0, ()), ("h", 0, ()), ("s", 0, ()), ("w", 0, ())}
        n = range(equations.states)
        self.present |= {(kind, i, ()) for kind in ("y", "k") for i in n}
        self.present |= {("u", i, ()) for i in equations.entered}
        for jet in jets[1:]:
            if self.moving(TIME, jet):
                self.present |= {(kind, 0, jet) for kind in ("t", "h", "s")} | {("y", i, jet) for i in n}
            if self.moving(RATE, jet):
                self.present |= {("u", i, jet) for i in equations.entered}
            if self.moving(STATE, jet):
                self.present |= {("y", i, jet) for i in n}
            if self.moving(AMOUNT, jet):
                self.present |= {("y", i, jet) for i in equations.entered}
        self._close()

    def moving(self, column: str, jet: Jet) -> bool:
        """Whether a column of the tables can have this derivative."""
        return bool(jet) and all(column in self.directions[a].moves for a in jet)

    def state(self, kind: str = "y", jet: Jet = ()) -> list[int]:
        """The leaves of all states (or slopes, or inputs)."""
        return [self.leaf(kind, i, jet) for i in range(self.equations.states)]

    def leaf(self, kind: str, index: Any = 0, jet: Jet = ()) -> int:
        """A leaf; the constant 0 where it is structurally zero."""
        here = (kind, index, jet) in self.present
        return self.graph.leaf((kind, index, jet)) if here else self.graph.constant(0.0)

    def of(self, node: int, jet: Jet) -> int:
        """A derivative of a node."""
        for a in jet:
            node = self._along[a].of(node)
        return node

    def by(self, node: int, kind: str, index: int = 0) -> int:
        """The partial derivative of a node by a leaf alone."""
        key = (kind, index)
        if key not in self._partials:
            leaf, g = (kind, index, ()), self.graph
            self._partials[key] = Derivative(g, lambda name: g.constant(float(name == leaf)))
        return self._partials[key].of(node)

    def leibniz(self, factor: int, solution: Any, jet: Jet) -> int:
        """Derivative of ``factor * x`` less ``factor * (derivative of x)``; `solution(jet)` gives those of x."""
        terms = []
        for size in range(1, len(jet) + 1):
            for places in itertools.combinations(range(len(jet)), size):
                part = tuple(jet[i] for i in places)
                rest = tuple(jet[i] for i in range(len(jet)) if i not in places)
                terms.append(self.graph.mul(self.of(factor, part), solution(rest)))
        return self.graph.total(terms)

    # ----------------------------------------------------------------------------------------------------------- inner

    def _tangent(self, a: int, name: Any) -> int:
        g, direction = self.graph, self.directions[a]
        if name[0] == "p":
            if direction.leaf != name[1]:
                return g.constant(0.0)
            return g.constant(1.0) if direction.segment is None else g.leaf(("seed", a))
        if name[0] == "seed":
            return g.constant(0.0)
        if name[0] == "U":
            _, stage, i, jet = name
            if direction.sample:
                return g.constant(0.0)
            return self.solved[stage, i, tuple(sorted((*jet, a)))]
        kind, index, jet = name
        if direction.sample:
            return g.constant(float(kind == "s" and jet == ()))
        found = self.leaf(kind, index, tuple(sorted((*jet, a))))
        if kind in ("E", "F"):
            assert self.propagated is not None
            longer = self.leaf("h", 0, (a,))
            found = g.add(found, g.mul(longer, self.propagated.lengthened(kind, index, jet)))
        return found

    def forget(self) -> None:
        """What was zero may no longer be."""
        for derivative in self._along:
            derivative.known.clear()

    def _close(self) -> None:
        """Which derivatives of states and slopes can ever be other than zero: the least set that contains the doses'
        and the initial state's, and is closed under the equations.
        """
        g, eq = self.graph, self.equations
        begin = eq.initial(g)
        jets = [j for j in self.jets[1:] if not any(self.directions[a].sample for a in j)]
        for jet in jets:
            self.present |= {("y", i, jet) for i, x in enumerate(begin) if not g.is_zero(self.of(x, jet))}
        while True:
            slopes = eq.derivative(g, self.leaf("t"), self.state(), self.state("u"))
            more = {(kind, i, jet) for jet in jets for i, x in enumerate(slopes)
                    if not g.is_zero(self.of(x, jet)) for kind in ("y", "k")}  # fmt: skip
            moves = [g.mul(self.leaf("h"), x) for x in slopes]  # how long they act may be moved
            more |= {("y", i, jet) for jet in jets for i, x in enumerate(moves) if not g.is_zero(self.of(x, jet))}
            if more <= self.present:
                return
            self.present |= more
            self.forget()
