"""A kernel as a differentiable JAX function: its derivatives come from kernels that carry them along.

The derivative rule of a solve computes its Jacobian in the active scalars, forward, in the kernel, and multiplies by
it: a linear map, which JAX transposes. That solve with its Jacobian has the same rule, so derivatives nest.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.custom_derivatives import SymbolicZero

from twinjax.solve.fused.compiled import Settings, equations, kernel
from twinjax.solve.fused.jets import AMOUNT, RATE, STATE, TIME, Direction, products
from twinjax.solve.fused.lanes import Layout
from twinjax.solve.fused.targets import launch


class Tables(eqx.Module):
    """What a kernel reads for one patient.

    **Parameters**: `parameters` `(segments, parameters)`; `time`, `order`, `sequence`, `kind`, `place`, `amount` and
    `rate` of its events, `(events,)`, in any order; `jumps` `(jumps, states)`; `samples` and `sample_order`, sorted,
    `(samples,)`; `start`, when it begins; `code`, a result code.
    """

    parameters: Any
    time: Any
    order: Any
    sequence: Any
    kind: Any
    place: Any
    amount: Any
    rate: Any
    jumps: Any
    samples: Any
    sample_order: Any
    start: Any
    code: Any

    def columns(self) -> dict[str, Any]:
        """What derivatives can move, by column."""
        return {TIME: jnp.append(self.time, self.start), AMOUNT: self.amount, RATE: self.rate, STATE: self.jumps}


@dataclasses.dataclass(frozen=True)
class Source:
    """Where a kernel's tables come from.

    **Parameters**: `tables(*leaves)`, of one patient's leaves; `parameter`, for each leaf the model parameter it is the
    segments of, None if it is none; `sampled`, the leaf that is the sorted sample times, None if there is none.
    Compared by identity.
    """

    tables: Callable[..., Tables] = dataclasses.field(hash=False, compare=False)
    parameter: tuple[int | None, ...]
    sampled: int | None
    settings: Settings


Levels = tuple[tuple[int, ...], ...]
"""For each order of differentiation, the leaves that it is by."""


def carry(source: Source, leaves: Sequence[Any], levels: Levels = ()) -> tuple[Any, tuple[Any, Any]]:
    """What is saved, `(patients, samples, saved, 1 + directions of each level...)`, and result codes and steps.

    Along a level's axis the first place holds the value and the others the derivatives. `leaves` have a leading
    patient axis.
    """

    @jax.custom_jvp
    def solved(*leaves: Any) -> tuple[Any, tuple[Any, Any]]:
        return _solved(source, leaves, levels)

    def rule(primals: Sequence[Any], tangents: Sequence[Any]) -> tuple[Any, Any]:
        active = tuple(
            i for i, t in enumerate(tangents) if not isinstance(t, SymbolicZero) and t.dtype != jax.dtypes.float0
        )
        full, aux = carry(source, primals, (*levels, active))
        value, slopes, at, moved = full[..., 0], full[..., 1:], 0, 0.0
        for i in active:
            size = 1 if i == source.sampled else int(np.prod(primals[i].shape[1:], dtype=int))
            part = slopes[..., at : at + size]
            at += size
            if i == source.sampled:
                tangent = jnp.expand_dims(tangents[i], tuple(range(2, value.ndim)))
                moved = moved + part[..., 0] * tangent
            else:
                moved = moved + jnp.einsum("p...d,pd->p...", part, jnp.reshape(tangents[i], (value.shape[0], size)))
        none = jax.tree.map(lambda x: np.zeros(x.shape, jax.dtypes.float0), aux)
        return (value, aux), (moved, none)

    solved.defjvp(rule, symbolic_zeros=True)
    return solved(*leaves)


# ---------------------------------------------------------------------------------------------------------- directions

Scalar = tuple[int, int]
"""A leaf, and the place of one of its numbers."""

MOST = 240
"""States and their derivatives that one kernel carries; more directions are shared out among several."""


def _scalars(source: Source, leaves: Sequence[Any], level: Sequence[int]) -> list[Scalar]:
    """The directions of a level. Sample times are one: each sample has its own derivative only."""
    sizes = {i: 1 if i == source.sampled else int(np.prod(leaves[i].shape[1:], dtype=int)) for i in level}
    return [(i, element) for i in level for element in range(sizes[i])]


def _solved(source: Source, leaves: Sequence[Any], levels: Levels) -> tuple[Any, tuple[Any, Any]]:
    """By as few kernels as can carry the derivatives."""
    scalars = [_scalars(source, leaves, level) for level in levels]
    moves = _moves(source, leaves, {i for level in levels for i in level}) if levels else {}
    if not scalars or not scalars[-1]:
        return _carried(source, leaves, scalars, moves)
    states = equations(source.settings.structure, source.settings.states_too).states
    *before, last = scalars
    others = len(products(_numbered(before)))
    size = max(1, (MOST // states - others) // others)
    pieces = -(-len(last) // size)
    size = -(-len(last) // pieces)
    found = [_carried(source, leaves, [*before, last[at : at + size]], moves) for at in range(0, len(last), size)]
    values = [found[0][0], *(value[..., 1:] for value, _ in found[1:])]
    return jnp.concatenate(values, axis=-1) if len(values) > 1 else values[0], found[0][1]


def _numbered(levels: Sequence[Sequence[Scalar]]) -> list[list[int]]:
    """Every direction as a number, the same for the same scalar, level by level."""
    numbers: dict[Scalar, int] = {}
    return [[numbers.setdefault(scalar, len(numbers)) for scalar in level] for level in levels]


def _direction(source: Source, leaves: Sequence[Any], scalar: Scalar, moves: Any) -> Direction:
    i, element = scalar
    leaf = source.parameter[i]
    segments = int(np.prod(leaves[i].shape[1:], dtype=int))
    segment = element if leaf is not None and segments > 1 else None
    return Direction(leaf, segment, moves[i], sample=i == source.sampled)


def _moves(source: Source, leaves: Sequence[Any], active: set[int]) -> dict[int, frozenset[str]]:
    """Which columns of the tables each active leaf can move, read off the jaxpr that makes them."""
    one = [jax.ShapeDtypeStruct(x.shape[1:], x.dtype) for x in leaves]
    closed, columns = jax.make_jaxpr(lambda *x: source.tables(*x).columns(), return_shape=True)(*one)
    known: dict[Any, set[int]] = {v: {i} for i, v in enumerate(closed.jaxpr.invars)}
    for eqn in closed.jaxpr.eqns:
        come = set().union(*(known.get(v, set()) for v in eqn.invars if not hasattr(v, "val")))
        for v in eqn.outvars:  # what is not real has no derivative
            real = jnp.issubdtype(v.aval.dtype, jnp.inexact) and eqn.primitive.name != "stop_gradient"
            known[v] = come if real else set()
    moves: dict[int, set[str]] = {i: set() for i in active}
    names = jax.tree.leaves({name: name for name in columns})  # in the order in which a tree is flattened
    for name, v in zip(names, closed.jaxpr.outvars, strict=True):
        for i in active & (set() if hasattr(v, "val") else known.get(v, set())):
            if i != source.sampled:
                moves[i].add(name)
    return {i: frozenset(m) for i, m in moves.items()}


# ------------------------------------------------------------------------------------------------------------- solving


def _carried(
    source: Source, leaves: Sequence[Any], scalars: list[list[Scalar]], moves: Any
) -> tuple[Any, tuple[Any, Any]]:
    """By one kernel."""
    own = _numbered(scalars)
    places = list(dict.fromkeys(scalar for level in scalars for scalar in level))
    every = tuple(_direction(source, leaves, scalar, moves) for scalar in places)
    jets = products(own)
    tables = jax.vmap(source.tables)(*leaves)
    layout = Layout(tables.parameters.shape[1], tables.time.shape[1], tables.jumps.shape[1], tables.samples.shape[1])
    made = kernel(source.settings, layout, every, tuple(jets))
    real = {"f64": jnp.float64, "f32": jnp.float32}[source.settings.precision]
    patients = tables.start.shape[0]
    moved = _moved_tables(source, leaves, every, places, jets) if any(d.moves for d in every) else {}

    def flat(*parts: Any) -> Any:
        wide = [jnp.asarray(p, real).reshape(patients, -1) for p in parts]
        return jnp.concatenate(wide, axis=1) if len(wide) > 1 else wide[0]

    columns = (tables.time, tables.order, tables.sequence, tables.kind, tables.place, tables.amount, tables.rate)
    events = jnp.stack([jnp.asarray(c, real) for c in columns], axis=-1)
    jumps = jnp.stack([tables.jumps, *(moved[STATE, j] for j in jets if (STATE, j) in moved)], axis=2)
    extra = [moved[TIME, j][:, :-1] for j in jets if (TIME, j) in moved]
    extra += [moved[column, j] for column in (AMOUNT, RATE) for j in jets if (column, j) in moved]
    start = [moved[TIME, j][:, -1] for j in jets if (TIME, j) in moved]
    derivatives = jnp.stack(extra, axis=-1) if extra else jnp.zeros((patients, 0))
    values, code, steps, _ = launch(
        made, flat(tables.parameters), flat(events), flat(jumps), flat(tables.samples), flat(tables.sample_order),
        flat(tables.code, tables.start, *start), flat(derivatives),
    )  # fmt: skip
    values = values.reshape(patients, layout.samples, -1, len(jets)).astype(tables.start.dtype)
    return _arranged(values, jets, own), (code[:, 0], steps[:, 0])


def _arranged(values: Any, jets: list[tuple[int, ...]], own: list[list[int]]) -> Any:
    """Derivatives by multi-index as an axis for each level."""
    if not own:
        return values[..., 0]
    number = {jet: at for at, jet in enumerate(jets)}
    grid = np.zeros([1 + len(level) for level in own], int)
    for index in np.ndindex(*grid.shape):
        grid[index] = number[tuple(sorted(level[i - 1] for i, level in zip(index, own, strict=True) if i))]
    if grid.ndim == 1 and np.array_equal(grid, np.arange(grid.size)):
        return values
    return values[..., grid]


def _moved_tables(source: Source, leaves: Sequence[Any], every: Any, places: Any, jets: Any) -> dict[Any, Any]:
    """The derivatives of the tables' columns, by column and multi-index, with a leading patient axis."""
    moving = [a for a, d in enumerate(every) if d.moves]
    wanted = [(column, jet) for jet in jets[1:] for column in (TIME, AMOUNT, RATE, STATE)
              if all(column in every[a].moves for a in jet)]  # fmt: skip
    highest = max((len(jet) for _, jet in wanted), default=0)

    def one(*leaves: Any) -> Any:
        def displaced(by: Any) -> dict[str, Any]:
            own = list(leaves)
            for k, a in enumerate(moving):
                i, element = places[a]
                own[i] = own[i].reshape(-1).at[element].add(by[k]).reshape(own[i].shape)
            return source.tables(*own).columns()

        function, found = displaced, []
        for _ in range(highest):
            function = jax.jacfwd(function)
            found.append(function(jnp.zeros(len(moving))))
        return found

    found = jax.vmap(one)(*leaves)
    at, result = {a: k for k, a in enumerate(moving)}, {}
    for column, jet in wanted:
        entry = found[len(jet) - 1][column]
        for a in reversed(jet):
            entry = entry[..., at[a]]
        result[column, jet] = entry
    return result
