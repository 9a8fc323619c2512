"""One step of an integrator as nodes: the state reached with its derivatives, the error, and the states in between."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Protocol

from twinjax.solve.fused.elimination import eliminate
from twinjax.solve.fused.jets import Calculus
from twinjax.solve.fused.propagator import Propagator
from twinjax.solve.fused.tableaus import RODAS5P, TSIT5, ExplicitTableau, RosenbrockTableau


class Step(Protocol):
    """What the kernel's loop needs of a method.

    A step goes from the leaves `y`, `u`, `t` over `h`; `keeps_slopes` if it also takes the leaves `k`, the slopes
    where it starts. `fastest` bounds how much longer the next step may be. An `exact` step is a `Propagator`'s: it has
    no error, and goes no further than the next sample.
    """

    fastest: float
    keeps_slopes: bool
    exact: bool
    calculus: Calculus
    reached: list[int]
    slopes: list[int]
    error: list[int]

    def dense(self, since: int) -> list[int]:
        """The states at the time `since` the step began."""
        ...


def _between(c: Calculus, since: int, y: list[int], y1: list[int], d: list[list[int]]) -> list[int]:
    """The interpolant that both tableaus share."""
    g, found = c.graph, []
    x = g.div(since, c.leaf("h"))
    left = g.sub(g.constant(1.0), x)
    for start, end, d0, d1, d2 in zip(y, y1, *d, strict=True):
        inner = g.add(d0, g.mul(x, g.add(d1, g.mul(x, d2))))
        found.append(g.add(g.mul(left, start), g.mul(x, g.add(end, g.mul(left, inner)))))
    return found


def later(c: Calculus, slopes: list[int], order: int) -> list[int]:
    """The states a time `s` later by their Taylor series: where `s` is zero, exact with derivatives up to the order."""
    g, apart = c.graph, c.leaf("s")
    change, factor, found = slopes, g.constant(1.0), c.state()
    for power in range(1, order + 1):
        if power > 1:
            inner = [[g.mul(c.by(d, "y", j), f) for j, f in enumerate(slopes)] for d in change]
            change = [g.add(c.by(d, "t"), g.total(terms)) for d, terms in zip(change, inner, strict=True)]
        factor = g.mul(g.mul(factor, apart), g.constant(1.0 / power))
        found = [g.add(y, g.mul(factor, d)) for y, d in zip(found, change, strict=True)]
    return found


class _Explicit:
    """Tsitouras' pair; its last slopes serve the next step."""

    fastest = 10.0
    keeps_slopes = True
    exact = False

    def __init__(self, calculus: Calculus, tableau: ExplicitTableau = TSIT5) -> None:
        c, g, eq = calculus, calculus.graph, calculus.equations
        self.calculus, self.tableau = c, tableau
        t, h, u, y = c.leaf("t"), c.leaf("h"), c.state("u"), c.state()
        k, stage = [c.state("k")], y
        for row, node in zip(tableau.a[1:], tableau.c[1:], strict=True):
            moved = [g.weighted(zip(row, slopes, strict=True)) for slopes in zip(*k, strict=True)]
            stage = [g.add(a, g.mul(h, b)) for a, b in zip(y, moved, strict=True)]
            k.append(eq.derivative(g, g.add(t, g.mul(g.constant(node), h)), stage, u))
        self.reached, self.slopes, self._k = stage, k[-1], k
        self.error = self._sums(tableau.error)

    def _sums(self, weights: tuple[float, ...]) -> list[int]:
        g, h = self.calculus.graph, self.calculus.leaf("h")
        return [g.mul(h, g.weighted(zip(weights, slopes, strict=True))) for slopes in zip(*self._k, strict=True)]

    def dense(self, since: int) -> list[int]:
        """The states at the time `since` the step began."""
        d = [self._sums(row) for row in self.tableau.dense]
        return _between(self.calculus, since, self.calculus.state(), self.reached, d)


class _Rosenbrock:
    """Steinebach's Rodas5P; one sparse factorisation a step, written out, serves every stage and every derivative."""

    fastest = 6.0
    keeps_slopes = False
    exact = False

    def __init__(self, calculus: Calculus, tableau: RosenbrockTableau = RODAS5P) -> None:
        c, g, eq = calculus, calculus.graph, calculus.equations
        self.calculus, self.tableau = c, tableau
        n = range(eq.states)
        t, h, u, y = c.leaf("t"), c.leaf("h"), c.state("u"), c.state()
        slope = eq.derivative(g, t, y, u)
        changing = [g.mul(h, c.by(f, "t")) for f in slope]
        self.jacobian = {(i, j): c.by(f, "y", j) for i, f in enumerate(slope) for j in n}
        self.jacobian = {ij: x for ij, x in self.jacobian.items() if not g.is_zero(x)}
        inverse = g.div(g.constant(1.0), h)
        self._diagonal = g.mul(g.constant(1.0 / tableau.gamma), inverse)
        solve = self._factorised()
        self._u: list[list[int]] = []
        for stage in range(tableau.stages):
            before = range(stage)
            place = [g.add(y[i], g.weighted((tableau.a[stage][j], self._u[j][i]) for j in before)) for i in n]
            f = slope if stage == 0 else eq.derivative(g, g.add(t, g.mul(g.constant(tableau.c[stage]), h)), place, u)
            pull = [g.weighted((tableau.coupling[stage][j], self._u[j][i]) for j in before) for i in n]
            right = [
                g.add(g.add(f[i], g.mul(inverse, pull[i])), g.mul(g.constant(tableau.d[stage]), changing[i])) for i in n
            ]
            for jet in c.jets:
                if not any(c.directions[a].sample for a in jet):
                    self._solve(stage, jet, right, solve)
            self._u.append([c.solved[stage, i, ()] for i in n])
        self.reached = [g.add(y[i], g.weighted((b, x[i]) for b, x in zip(tableau.b, self._u, strict=True))) for i in n]
        self.error = [g.weighted((e, x[i]) for e, x in zip(tableau.error, self._u, strict=True)) for i in n]
        self.slopes = slope

    def dense(self, since: int) -> list[int]:
        """The states at the time `since` the step began."""
        g, stages = self.calculus.graph, self._u
        d = [[g.weighted(zip(row, u, strict=True)) for u in zip(*stages, strict=True)] for row in self.tableau.dense]
        return _between(self.calculus, since, self.calculus.state(), self.reached, d)

    def _solve(
        self, stage: int, jet: tuple[int, ...], right: list[int], solve: Callable[[list[int]], list[int]]
    ) -> None:
        """One stage's solution, or a derivative of it: W x = right side, plus what changes in W's derivatives."""
        c, g = self.calculus, self.calculus.graph
        n = range(c.equations.states)
        b = [c.of(x, jet) for x in right]
        if jet:
            for i in n:
                b[i] = g.sub(b[i], c.leibniz(self._diagonal, lambda rest, i=i: c.solved[stage, i, rest], jet))
            for (i, j), entry in self.jacobian.items():
                b[i] = g.add(b[i], c.leibniz(entry, lambda rest, j=j: c.solved[stage, j, rest], jet))
        for i, x in enumerate(solve(b)):
            c.solved[stage, i, jet] = g.opaque(x, ("U", stage, i, jet))

    def _factorised(self) -> Callable[[list[int]], list[int]]:
        """The solution of W x = b as nodes, with W = I / (h gamma) - J factorised once."""
        g = self.calculus.graph
        plan = eliminate(self.calculus.equations.states, self.jacobian)
        w = {ij: g.constant(0.0) for ij in plan.pattern}
        w |= {ij: g.neg(x) for ij, x in self.jacobian.items()}
        for k in plan.order:
            w[k, k] = g.add(self._diagonal, w[k, k])
        for p in plan.pivots:
            k = p.index
            w[k, k] = g.div(g.constant(1.0), w[k, k])
            for i in p.rows:
                w[i, k] = g.mul(w[i, k], w[k, k])
                for j in p.columns:
                    w[i, j] = g.sub(w[i, j], g.mul(w[i, k], w[k, j]))

        def solve(b: list[int]) -> list[int]:
            b = list(b)
            for p in plan.pivots:
                for i in p.rows:
                    b[i] = g.sub(b[i], g.mul(w[i, p.index], b[p.index]))
            for p in reversed(plan.pivots):
                k = p.index
                b[k] = g.mul(g.sub(b[k], g.total(g.mul(w[k, j], b[j]) for j in p.columns)), w[k, k])
            return b

        return solve


class Method(Protocol):
    """A choice of integrator: a frozen object that writes its step. Its text is part of a kernel's key."""

    def step(self, calculus: Calculus) -> Step:
        """The step's nodes."""
        ...


@dataclasses.dataclass(frozen=True)
class Tsit5:
    """Explicit, of order 5: for equations that are not stiff.

    **Reference**: Tsitouras 2011, doi:10.1016/j.camwa.2011.06.002.
    """

    def step(self, calculus: Calculus) -> Step:
        """The step's nodes."""
        return _Explicit(calculus)


@dataclasses.dataclass(frozen=True)
class Rodas5P:
    """Linearly implicit, L-stable, of order 5: for stiff equations.

    **Reference**: Steinebach 2023, doi:10.1007/s10543-023-00967-x.
    """

    def step(self, calculus: Calculus) -> Step:
        """The step's nodes."""
        return _Rosenbrock(calculus)


@dataclasses.dataclass(frozen=True)
class Linear:
    """Exact, by the matrix exponential: for up to 8 states, linear with coefficients that are constant between events.

    **Reference**: scaling and squaring, Moler & Van Loan 2003, doi:10.1137/S00361445024180.
    """

    def step(self, calculus: Calculus) -> Step:
        """The step's nodes."""
        return Propagator(calculus)
