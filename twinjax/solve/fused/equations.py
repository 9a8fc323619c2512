"""A model's equations, traced once, to be written into a graph wherever a kernel needs them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from twinjax.models.base import AbstractModel, input_names, no_input, state_names
from twinjax.naming import leaves
from twinjax.solve.fused.graph import Graph
from twinjax.solve.fused.tracing import Unsupported, read


class Equations:
    """`initial`, `derivative` and `output` of a model as functions of nodes.

    **Parameters**: `model`, with scalar leaves or their shapes; `states_too`, whether the states follow the outputs in
    `output`. `parameters`, `states` and `outputs` count them.
    **Raises** `Unsupported` for what no kernel computes.
    """

    def __init__(self, model: AbstractModel, *, states_too: bool = False) -> None:
        flat, structure = jax.tree.flatten(model)
        self.parameters = len(flat)
        for name, leaf in leaves(model).items():
            if jnp.shape(leaf) != ():
                raise Unsupported(
                    f"the parameter {name} is an array of shape {jnp.shape(leaf)}; a kernel needs scalars"
                )
        self.states = len(state_names(model))
        if not self.states:
            raise Unsupported("it has no states")
        state = jax.tree.structure(jax.eval_shape(model.initial))
        inputs, empty = input_names(model), no_input(model)
        names = state_names(model)
        entered = [names.index(n) if n in names else None for n in inputs]
        self.entered = frozenset(i for i in entered if i is not None)

        def unpack(values: Sequence[Any]) -> tuple[AbstractModel, Any, Any, Any]:
            p, (t, *rest) = values[: self.parameters], values[self.parameters :]
            y, u = rest[: self.states], rest[self.states :]
            rates = [jnp.zeros_like(t) if i is None else u[i] for i in entered]
            return (jax.tree.unflatten(structure, p), t, jax.tree.unflatten(state, y),
                    jax.tree.unflatten(jax.tree.structure(empty), rates))  # fmt: skip

        def scalars(tree: Any) -> list[Any]:
            return [jnp.asarray(x, jnp.result_type(float)) for x in jax.tree.leaves(tree)]

        def derivative(*values: Any) -> list[Any]:
            model, t, y, u = unpack(values)
            return scalars(model.derivative(t, y, u))

        def output(*values: Any) -> list[Any]:
            model, t, y, u = unpack(values)
            return scalars(model.output(t, y, u)) + (scalars(y) if states_too else [])

        def initial(*p: Any) -> list[Any]:
            return scalars(jax.tree.unflatten(structure, p).initial())

        one = jax.ShapeDtypeStruct((), jnp.result_type(float))
        every = [one] * (self.parameters + 1 + 2 * self.states)
        self._derivative = jax.make_jaxpr(derivative)(*every)
        self._output = jax.make_jaxpr(output)(*every)
        self._initial = jax.make_jaxpr(initial)(*[one] * self.parameters)
        self.outputs = len(self._output.jaxpr.outvars)
        self.observables = self.outputs - (self.states if states_too else 0)
        scratch = Graph()
        some = [scratch.leaf(("p", i)) for i in range(len(every))]
        for closed in (self._derivative, self._output):
            read(scratch, closed.jaxpr, closed.consts, some)
        read(scratch, self._initial.jaxpr, self._initial.consts, some[: self.parameters])

    def text(self) -> str:
        """What the equations are, for a content key."""
        return "\n".join(f"{c.jaxpr.pretty_print(source_info=False)} {[float(x) for x in c.consts]}"
                         for c in (self._derivative, self._output, self._initial))  # fmt: skip

    def derivative(self, g: Graph, t: int, y: Sequence[int], u: Sequence[int]) -> list[int]:
        """Nodes of the rate of change."""
        return read(g, self._derivative.jaxpr, self._derivative.consts, [*self.leaves(g), t, *y, *u])

    def output(self, g: Graph, t: int, y: Sequence[int], u: Sequence[int]) -> list[int]:
        """Nodes of what is saved."""
        return read(g, self._output.jaxpr, self._output.consts, [*self.leaves(g), t, *y, *u])

    def initial(self, g: Graph) -> list[int]:
        """Nodes of the initial state."""
        return read(g, self._initial.jaxpr, self._initial.consts, self.leaves(g))

    def leaves(self, g: Graph) -> list[int]:
        """The parameters' leaves."""
        return [g.leaf(("p", i)) for i in range(self.parameters)]
