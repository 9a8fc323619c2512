"""Which arguments can move which results, read off a jaxpr."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp


def movers(closed: Any) -> list[frozenset[int]]:
    """For each result the places of the arguments that it may have a derivative in.

    None are left out, though some may have none: every operation counts as depending on all that it reads, if what it
    gives is a real number and no derivative is stopped there.
    """
    known: dict[Any, frozenset[int]] = {v: frozenset({i}) for i, v in enumerate(closed.jaxpr.invars)}

    def of(atom: Any) -> frozenset[int]:
        return frozenset() if hasattr(atom, "val") else known.get(atom, frozenset())

    for eqn in closed.jaxpr.eqns:
        come = frozenset().union(*map(of, eqn.invars))
        for v in eqn.outvars:
            real = jnp.issubdtype(v.aval.dtype, jnp.inexact) and eqn.primitive.name != "stop_gradient"
            known[v] = come if real else frozenset()
    return [of(v) for v in closed.jaxpr.outvars]
