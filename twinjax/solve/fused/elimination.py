"""In which order to eliminate the unknowns of a sparse system, and which entries that takes, from its pattern alone.

A kernel writes its factorisation out entry by entry, so zeros that stay zero cost nothing; the order decides how few
the others are.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from dataclasses import dataclass

Entry = tuple[int, int]


@dataclass(frozen=True)
class Pivot:
    """One unknown's elimination: `rows` still hold it when its turn comes, and its own row holds `columns` besides."""

    index: int
    rows: tuple[int, ...]
    columns: tuple[int, ...]


@dataclass(frozen=True)
class Elimination:
    """A factorisation of W in place, and the solution of W x = b, without exchanges of rows.

    **Parameters**: `pivots`, in order of elimination; `pattern`, the entries `(row, column)` that are stored, row by
    row: those of W, the whole diagonal and the `fill`, which starts at zero.

    **Equations**, where `w` holds W at first and its factors at the end, the diagonal as reciprocals

        for p in pivots:                          k = p.index
            w[k, k] = 1 / w[k, k]
            for i in p.rows:
                w[i, k] = w[i, k] w[k, k]
                for j in p.columns:               w[i, j] = w[i, j] - w[i, k] w[k, j]

        for p in pivots:                          for i in p.rows:  b[i] = b[i] - w[i, k] b[k]
        for p in reversed(pivots):                b[k] = (b[k] - sum_{j in p.columns} w[k, j] b[j]) w[k, k]

    **Assumptions**: no pivot is small beside what it eliminates. I / (h gamma) - J meets this for any J when h is
    small, and at any h where J is that of flows between compartments (a column's off-diagonal entries add up to no
    more than its diagonal). Otherwise digits can be lost, by a rotation as many as h gamma |J| has.
    """

    pivots: tuple[Pivot, ...]
    pattern: tuple[Entry, ...]
    fill: tuple[Entry, ...]

    @property
    def order(self) -> tuple[int, ...]:
        """The unknowns as they are eliminated."""
        return tuple(p.index for p in self.pivots)

    @property
    def factor_operations(self) -> int:
        """Multiplications of one factorisation, each but the scalings with a subtraction; reciprocals not counted."""
        return sum(len(p.rows) * (1 + len(p.columns)) for p in self.pivots)

    @property
    def solve_operations(self) -> int:
        """Multiplications of one solution."""
        return sum(len(p.rows) + len(p.columns) + 1 for p in self.pivots)


def eliminate(size: int, pattern: Iterable[Entry]) -> Elimination:
    """The order that fills least, step by step, for a system of `size` unknowns and non-zeros at `pattern`.

    The diagonal is taken as present. Each turn takes the unknown whose elimination touches fewest entries (rows times
    columns, Markowitz), of these the one with the fewest rows, of these the first.

    **Raises**: `ValueError` for an entry outside the system.

    **Reference**: Markowitz (1957), Manage. Sci. 3, 255-269, doi:10.1287/mnsc.3.3.255.
    """
    given = {(i, i) for i in range(size)}
    rows: list[set[int]] = [set() for _ in range(size)]  # of each column, off the diagonal, not yet eliminated
    columns: list[set[int]] = [set() for _ in range(size)]
    for i, j in pattern:
        if not (0 <= i < size and 0 <= j < size):
            raise ValueError(f"entry ({i}, {j}) is outside a system of {size} unknowns")
        given.add((i, j))
        if i != j:
            rows[j].add(i)
            columns[i].add(j)

    def cost(k: int) -> tuple[int, int, int]:
        return len(rows[k]) * len(columns[k]), len(rows[k]), k

    waiting = [cost(k) for k in range(size)]
    heapq.heapify(waiting)
    left, pivots, stored = set(range(size)), [], set(given)
    while left:
        claim = heapq.heappop(waiting)
        k = claim[-1]
        if k not in left or claim != cost(k):  # an older claim: its neighbours have changed since
            continue
        left.remove(k)
        pivots.append(Pivot(k, tuple(sorted(rows[k])), tuple(sorted(columns[k]))))
        for i in rows[k]:
            columns[i].update(columns[k])
            columns[i].difference_update((i, k))
            stored.update((i, j) for j in columns[k])
        for j in columns[k]:
            rows[j].update(rows[k])
            rows[j].difference_update((j, k))
        for i in rows[k] | columns[k]:
            heapq.heappush(waiting, cost(i))
    return Elimination(tuple(pivots), tuple(sorted(stored)), tuple(sorted(stored - given)))
