"""One beat as a differentiable function of a cell and the state it begins in."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.custom_derivatives import SymbolicZero

from twinjax.dosing import Regimen
from twinjax.models.along import along
from twinjax.solve.building import build
from twinjax.solve.problem import AbstractBackend


def solved(
    backend: AbstractBackend, cell: Any, state: Any, stimulus: Regimen, times: Any, *, states: bool
) -> tuple[Any, Any]:
    """One beat from a state: the states, or the outputs, at times, leaves `(cells, times)`, and codes `(cells,)`.

    Derivatives in every number of the cell and the state, of first order, forward and backward: exact derivatives of
    the discrete solution, along as many directions at once as there are numbers to differentiate by.
    """
    cell = dataclasses.replace(cell, start=dataclasses.replace(state, qnet=jnp.zeros_like(state.qnet)))
    flat, structure = jax.tree.flatten(cell)
    form = jax.tree.structure(jax.eval_shape(lambda: _tree(backend, cell, stimulus, times, states)[0]))

    @jax.custom_jvp
    def values(times: Any, stimulus: Regimen, *leaves: Any) -> tuple[Any, Any]:
        found, result = _tree(backend, jax.tree.unflatten(structure, leaves), stimulus, times, states)
        return jnp.stack(jax.tree.leaves(found), axis=-1), result

    def rule(primals: Sequence[Any], tangents: Sequence[Any]) -> tuple[Any, Any]:
        times, stimulus, *leaves = primals
        active = [i for i, t in enumerate(tangents[2:]) if not isinstance(t, SymbolicZero)]
        value, result = values(*primals)
        moved = jnp.zeros_like(value)
        if active:
            model = jax.tree.unflatten(structure, leaves)
            by = slopes(backend, model, active, stimulus, times, states)
            moving = jnp.stack([tangents[2 + i] for i in active])
            moved = jnp.einsum("acts,ac->cts", by, moving)
        return (value, result), (moved, np.zeros(result.shape, jax.dtypes.float0))

    values.defjvp(rule, symbolic_zeros=True)
    value, result = values(times, stimulus, *flat)
    return jax.tree.unflatten(form, [value[..., i] for i in range(value.shape[-1])]), result


def following(backend: AbstractBackend, cell: Any, state: Any, stimulus: Regimen, cycle: Any) -> tuple[Any, Any]:
    """The beat map: the state a cycle later, leaves `(cells,)`, and result codes `(cells,)`."""
    found, result = solved(backend, cell, state, stimulus, jnp.reshape(cycle, 1), states=True)
    return jax.tree.map(lambda x: x[:, 0], found), result


def _tree(backend: AbstractBackend, cell: Any, stimulus: Regimen, times: Any, states: bool) -> tuple[Any, Any]:
    problem = build(cell, stimulus, times)
    solution = backend.solve(dataclasses.replace(problem, states=states))
    return (solution.state if states else solution.output), solution.result


def slopes(
    backend: AbstractBackend, cell: Any, active: Sequence[int], stimulus: Regimen, times: Any, states: bool
) -> Any:
    """Derivatives by each of the leaves numbered, `(active, cells, times, saved)`: every leaf is a direction, and a
    cell of its own.
    """
    flat, structure = jax.tree.flatten(cell)
    count, cells = len(active), flat[0].shape[0]
    tiled = jax.tree.unflatten(structure, [jnp.tile(x, count) for x in flat])
    of = np.repeat(np.asarray(active), cells)
    directions = jax.tree.unflatten(structure, [jnp.asarray(of == i, float) for i in range(len(flat))])
    model = along(tiled, directions)

    def moved(s: Any) -> Any:
        found, _ = _tree(backend, dataclasses.replace(model, s=s), stimulus, times, states)
        return jnp.stack(jax.tree.leaves(found), axis=-1)

    here = jnp.zeros(count * cells)
    found = jax.jvp(moved, (here,), (jnp.ones_like(here),))[1]
    return found.reshape(count, cells, *found.shape[1:])
