"""Linear equations with constant coefficients: exact steps by a matrix exponential that is kept while it holds.

Between events ``y' = A y + b + u``, so that ``y(h) = E y + F (b + u)`` with E = exp(A h) and F the integral of
exp(A s) over the step. Steps go from one sample or event to the next; E and F are computed where a lane's step differs
from its last one, so that evenly spaced samples cost one exponential.
"""

from __future__ import annotations

import functools
from typing import Any

from twinjax.solve.fused.equations import Equations
from twinjax.solve.fused.graph import Graph
from twinjax.solve.fused.jets import Calculus, Jet

TERMS = 12
"""Terms of the series: with a norm of A h below a half the rest is below 0.5^13 / 14! = 1.4e-15."""
LARGEST = 8
"""The most states for which products of matrices are written out."""

Entry = tuple[int, int]
Matrix = dict[Entry, int]


@functools.lru_cache(maxsize=256)
def is_linear(eq: Equations) -> bool:
    """Whether the equations are linear in the state with coefficients that parameters alone decide."""
    g = Graph(steady=("p", "seed"))
    c = Calculus(g, eq, (), [()])
    slopes = eq.derivative(g, c.leaf("t"), c.state(), c.state("u"))
    inner = all(g.constant_in_time[c.by(f, "y", j)] for f in slopes for j in range(eq.states))
    given = all(g.number(c.by(f, "u", j)) == float(i == j) for i, f in enumerate(slopes) for j in eq.entered)
    return inner and given and all(g.is_zero(c.by(f, "t")) for f in slopes)


class Propagator:
    """Nodes of an exact step, and of the matrices that it needs.

    `series` are E and F over a short time `m`, `doubled` those over twice the time, by kind, entry and derivative;
    `norm` bounds A. The leaves ("E", entry, jet) and ("F", entry, jet) are the matrices of the step, ("e", ...) and
    ("f", ...) those being doubled; ("w", 0, ()) is 1 in the lanes that step and 0 in those that stand still.
    """

    fastest = 1.0
    keeps_slopes = False
    exact = True

    def __init__(self, calculus: Calculus) -> None:
        c, g, eq = calculus, calculus.graph, calculus.equations
        self.calculus, self.n = c, eq.states
        n = range(self.n)
        y, u = c.state(), c.state("u")
        self.slopes = eq.derivative(g, c.leaf("t"), y, u)
        self.a: Matrix = {(i, j): c.by(f, "y", j) for i, f in enumerate(self.slopes) for j in n}
        self.a = {ij: x for ij, x in self.a.items() if not g.is_zero(x)}
        zero = g.constant(0.0)
        still = eq.derivative(g, zero, [zero] * self.n, [zero] * self.n)
        self.norm = zero
        for i in n:
            row = g.total(g.apply("abs", x) for (k, _), x in self.a.items() if k == i)
            self.norm = g.apply("max", self.norm, row)
        self._matrices()
        force = [g.add(still[j], u[j]) for j in n]
        self.reached = [
            g.add(
                g.total(g.mul(c.leaf("E", (i, j)), y[j]) for j in n),
                g.total(g.mul(c.leaf("F", (i, j)), force[j]) for j in n),
            )
            for i in n
        ]
        self.error: list[int] = []

    def dense(self, since: int) -> list[int]:
        """The states at the end of the step, where the sample is; to the third derivative about it."""
        c, g = self.calculus, self.calculus.graph
        went = c.leaf("w")
        y = [g.select(g.apply("gt", went, g.constant(0.5)), a, b) for a, b in zip(self.reached, c.state(), strict=True)]
        apart = g.sub(since, g.mul(went, c.leaf("h")))  # zero, but not its derivatives
        change = c.equations.derivative(g, c.leaf("t"), y, c.state("u"))
        found, factor = y, g.constant(1.0)
        for power in (1, 2, 3):
            factor = g.mul(g.mul(factor, apart), g.constant(1.0 / power))
            found = [g.add(a, g.mul(factor, b)) for a, b in zip(found, change, strict=True)]
            change = self._product(self.a, {(i, 0): x for i, x in enumerate(change)}, columns=1)
        return found

    def _product(self, a: Matrix, b: Matrix, columns: int | None = None) -> Any:
        """The product of matrices; of a matrix and a vector, as a list, if there is one column."""
        g, zero = self.calculus.graph, self.calculus.graph.constant(0.0)
        width = self.n if columns is None else columns
        found = {
            (i, j): g.total(g.mul(a[i, k], b.get((k, j), zero)) for k in range(self.n) if (i, k) in a)
            for i in range(self.n) for j in range(width)
        }  # fmt: skip
        return [found[i, 0] for i in range(self.n)] if columns == 1 else found

    def _matrices(self) -> None:
        """The series, the doubling, and which entries of them can be other than zero."""
        c, g = self.calculus, self.calculus.graph
        m, one = g.leaf(("m", 0, ())), g.constant(1.0)
        unit: Matrix = {(i, i): one for i in range(self.n)}
        inner = dict(unit)
        for term in range(TERMS, 0, -1):
            scaled = g.mul(m, g.constant(1.0 / (term + 1)))
            inner = {ij: g.mul(scaled, x) for ij, x in self._product(self.a, inner).items()}
            for i in range(self.n):
                inner[i, i] = g.add(inner[i, i], one)
        f = {ij: g.mul(m, x) for ij, x in inner.items()}
        e = self._product(self.a, f)
        for i in range(self.n):
            e[i, i] = g.add(e[i, i], one)
        jets = [j for j in c.jets if all(c.directions[a].leaf is not None for a in j)]
        self.series = {}
        for jet in jets:
            for kind, matrix in (("e", e), ("f", f)):
                self.series |= {(kind, ij, jet): c.of(x, jet) for ij, x in matrix.items()}
        self.series = {key: x for key, x in self.series.items() if not g.is_zero(x)}
        c.present |= set(self.series)
        while True:
            doubled = self._doubled(jets)
            if doubled.keys() <= c.present:
                break
            c.present |= doubled.keys()
            c.forget()
        self.doubled = doubled
        c.present |= {(kind.upper(), ij, jet) for kind, ij, jet in c.present if kind in ("e", "f")}
        c.propagated = self

    def _doubled(self, jets: list[Jet]) -> dict[Any, int]:
        c, g = self.calculus, self.calculus.graph
        n = range(self.n)
        e = {(i, j): c.leaf("e", (i, j)) for i in n for j in n}
        f = {(i, j): c.leaf("f", (i, j)) for i in n for j in n}
        twice = {"e": self._product(e, e), "f": {ij: g.add(f[ij], x) for ij, x in self._product(e, f).items()}}
        found = {
            (kind, ij, jet): c.of(x, jet) for kind, matrix in twice.items() for ij, x in matrix.items() for jet in jets
        }
        return {key: x for key, x in found.items() if not g.is_zero(x)}

    def lengthened(self, kind: str, entry: Entry, jet: Jet) -> int:
        """How a derivative of E or F by parameters changes with the step: that of A E, or of E."""
        c, g, (i, j) = self.calculus, self.calculus.graph, entry
        if kind == "F":
            return c.leaf("E", entry, jet)
        terms = []
        for k in range(self.n):
            if (i, k) in self.a:
                terms.append(c.leibniz(self.a[i, k], lambda rest, k=k: c.leaf("E", (k, j), rest), jet))
                terms.append(g.mul(self.a[i, k], c.leaf("E", (k, j), jet)))
        return g.total(terms)
