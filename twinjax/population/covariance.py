"""The covariance of random effects by name: standard deviations ``omega.cl``, correlations ``corr.cl.v``, blocks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp

from twinjax.naming import resolve

Pairs = Mapping[tuple[str, str], float]


def linked(etas: tuple[str, ...], correlations: Pairs) -> tuple[tuple[str, ...], ...]:
    """Random effects that are linked by correlations, as blocks, in the order given."""
    block = {n: {n} for n in etas}
    for a, b in correlations:
        a, b = (resolve(n, etas, "parameter with variability") for n in (a, b))
        joined = block[a] | block[b]
        for n in joined:
            block[n] = joined
    seen: set[str] = set()
    found = []
    for n in etas:
        if n not in seen:
            found.append(tuple(m for m in etas if m in block[n]))
            seen |= block[n]
    return tuple(found)


def correlated(blocks: tuple[tuple[str, ...], ...], correlations: Pairs) -> dict[str, float]:
    """The starting value of every correlation within the blocks, by name; 0 where none is given.

    **Raises** `ValueError` for one outside (-1, 1).
    """
    known = [n for block in blocks for n in block]
    given = {
        frozenset(resolve(n, known, "parameter with variability") for n in pair): r for pair, r in correlations.items()
    }
    found = {}
    for block in blocks:
        for i, a in enumerate(block):
            for b in block[i + 1 :]:
                r = given.get(frozenset((a, b)), 0.0)
                if not abs(float(r)) < 1:
                    raise ValueError(f"correlation of {a} and {b} is {r}; it lies between -1 and 1")
                found[f"corr.{a}.{b}"] = r
    return found


def covariance(etas: tuple[str, ...], theta: Mapping[str, Any]) -> Any:
    """Covariance matrix of the named random effects, `(etas, etas)`."""
    sd = jnp.stack([theta[f"omega.{n}"] for n in etas]) if etas else jnp.zeros(0)
    rows = []
    for a in etas:
        row = []
        for b in etas:
            pair = theta.get(f"corr.{a}.{b}", theta.get(f"corr.{b}.{a}"))
            row.append(jnp.ones(()) if a == b else jnp.zeros(()) if pair is None else pair)
        rows.append(jnp.stack(row))
    correlation = jnp.stack(rows) if rows else jnp.zeros((0, 0))
    return correlation * sd[:, None] * sd[None, :]
