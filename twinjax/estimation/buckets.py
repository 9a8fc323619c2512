"""Subjects with alike numbers of records together, so that one with a thousand doses does not lengthen every table.

Arrays hold every subject's records padded to the longest subject's. Where a large trial has a few rich subjects nearly
all of that is padding: by buckets, each padded to its own longest, it takes a fraction of the time and memory, for a
compilation more a bucket.
"""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from twinjax.estimation.prediction import Design
from twinjax.solve.problem import Problem

_MOST = 4
"""Buckets: each is a program to compile."""

_LARGE = 50_000
"""Records, padding included, below which one table is quicker than compiling for several."""

_SAVED = 0.5
"""Of all records: what buckets must save."""


def buckets(design: Design) -> list[tuple[np.ndarray, Design]]:
    """The numbers of the subjects of each bucket, in order, and their design; all of them in one where that is as good.

    The padding of segments stays as it is, and trials with likelihoods that read several predictions are not divided.
    """
    p, everyone = design.problem, np.arange(design.problem.patients)
    if design.observed.row is not None:
        return [(everyone, design)]
    doses, jumps, samples = (_used(x) for x in (p.doses.given, p.jumps.given, design.observed.there))
    size = doses + jumps + samples
    if len(size) * size.max(initial=0) < _LARGE:
        return [(everyone, design)]
    edges, cost = _edges(size)
    if cost > (1.0 - _SAVED) * len(size) * size.max():
        return [(everyone, design)]
    which = np.searchsorted(edges, size)
    found = []
    for k in range(len(edges)):
        own = np.flatnonzero(which == k)
        rows, resets, read = (int(used[own].max()) for used in (doses, jumps, samples))
        found.append((own, _narrowed(design, own, rows, resets, max(read, 1))))
    return found


def together(parts: list[Any], numbers: list[np.ndarray]) -> Any:
    """Results of every bucket, leaves `(own, ...)`, as of everyone in order, `(subjects, ...)`."""
    if len(parts) == 1:
        return parts[0]
    back = np.argsort(np.concatenate(numbers))
    return jax.tree.map(lambda *x: jnp.concatenate(x)[back], *parts)


def _used(given: Any) -> np.ndarray:
    """Columns up to the last that is no padding, of each subject."""
    given = np.asarray(given, bool)
    if given.shape[1] == 0:
        return np.zeros(len(given), int)
    return np.where(given.any(axis=1), given.shape[1] - np.argmax(given[:, ::-1], axis=1), 0)


def _edges(size: np.ndarray) -> tuple[np.ndarray, int]:
    """The largest size of each of at most `_MOST` buckets that together have the fewest records, and how many."""
    sizes, count = np.unique(size, return_counts=True)
    below = np.concatenate([[0], np.cumsum(count)])
    least, last = below[1:] * sizes, [np.full(len(sizes), -1)]  # one bucket for all up to each size
    for _ in range(_MOST - 1):
        # subjects above size i and up to size j, in a bucket of their own after the best for those up to i
        own = (below[None, 1:] - below[1:, None]) * sizes[None, :]
        both = np.where(own > 0, least[:, None] + own, np.iinfo(np.int64).max)
        before = np.argmin(both, axis=0)
        fewer = both[before, np.arange(len(sizes))]
        last.append(np.where(fewer < least, before, -2))  # -2: no better than with one bucket fewer
        least = np.minimum(fewer, least)
    edges, j, k = list[int](), len(sizes) - 1, _MOST - 1
    while j >= 0:
        while last[k][j] == -2:
            k -= 1
        edges.append(int(sizes[j]))
        j, k = int(last[k][j]), k - 1
    return np.asarray(edges[::-1]), int(least[-1])


def _narrowed(design: Design, own: np.ndarray, doses: int, jumps: int, samples: int) -> Design:
    """The design of some subjects, without the columns that are padding for all of them."""

    def cut(tree: Any, columns: int) -> Any:
        return jax.tree.map(lambda a: a[:, :columns], tree)

    mine = jax.tree.map(lambda a: a[own], design)
    p = mine.problem
    cuts = cut(p.doses, doses), cut(p.jumps, jumps), cut(p.time, samples), cut(p.order, samples), cut(p.place, samples)
    problem = eqx.tree_at(_tables, p, cuts, is_leaf=lambda x: x is None)
    return Design(problem, cut(mine.observed, samples), mine.covariates)


def _tables(p: Problem) -> tuple[Any, ...]:
    return p.doses, p.jumps, p.time, p.order, p.place
