"""A model's named scalars and one flat vector, each made of the other: what the solvers work on."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from twinjax.models.base import AbstractModel, input_names, no_input, state_names


def ravel(tree: Any) -> Any:
    """A State as a vector, `(states,)`. Inside the implicit solvers named scalars cost 3 times the compile time."""
    parts = [jnp.asarray(x, jnp.result_type(float)) for x in jax.tree.leaves(tree)]
    return jnp.stack(parts, axis=-1) if parts else jnp.zeros((0,))


def unravel(model: AbstractModel, vector: Any) -> Any:
    """A vector, `(..., states)`, as the model's State."""
    structure = jax.tree.structure(jax.eval_shape(model.initial))
    return jax.tree.unflatten(structure, [vector[..., i] for i in range(structure.num_leaves)])


def as_input(model: AbstractModel, rates: Any) -> Any:
    """Rates into every state, `(..., states)`, as the model's Input; driving signals are zero."""
    states = state_names(model)
    empty = no_input(model)
    values = [
        rates[..., states.index(n)] if n in states else jnp.broadcast_to(z, rates.shape[:-1])
        for n, z in zip(input_names(model), jax.tree.leaves(empty), strict=True)
    ]
    return jax.tree.unflatten(jax.tree.structure(empty), values)


def field(model: AbstractModel, t: Any, y: Any, rates: Any) -> Any:
    """`derivative` on vectors: `(states,)` in, `(states,)` out."""
    return ravel(model.derivative(t, unravel(model, y), as_input(model, rates)))
