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

from twinjax.solve.dependence import movers
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


@dataclasses.dataclass(frozen=True, eq=False)
class Source:
    """Where a kernel's tables come from.

    **Parameters**: `tables(*leaves)`, of one patient's leaves; `parameter`, for each leaf the model parameter it is the
    segments of, None if it is none; `sampled`, the leaf that is the sorted sample times, None if there is none;
    `otherwise(*leaves)`, of all patients, what is saved by a way that needs no kernel, for derivatives in more
    directions than kernels can carry.
    """

    tables: Callable[..., Tables]
    parameter: tuple[int | None, ...]
    sampled: int | None
    settings: Settings
    otherwise: Callable[..., Any]


Levels = tuple[tuple[int, ...], ...]
"""For each order of differentiation, the leaves that it is by."""


def carry(source: Source, leaves: Sequence[Any], levels: Levels = ()) -> tuple[Any, Any]:
    """What is saved, `(patients, samples, saved, 1 + directions of each level...)`; result codes, steps and tracks.

    Along a level's axis the first place holds the value and the others the derivatives. `leaves` have a leading
    patient axis.
    """

    @jax.custom_jvp
    def solved(*leaves: Any) -> tuple[Any, Any]:
        return _solved(source, leaves, levels)

    def rule(primals: Sequence[Any], tangents: Sequence[Any]) -> tuple[Any, Any]:
        active = tuple(
            i for i, t in enumerate(tangents) if not isinstance(t, SymbolicZero) and t.dtype != jax.dtypes.float0
        )
        whole = np.zeros(primals[0].shape[:1], jax.dtypes.float0)
        if source.settings.tracks:
            raise ValueError("tracks have no derivatives; differentiate a solution's samples")
        none = (whole, whole, jnp.zeros((*primals[0].shape[:1], 0), jnp.result_type(float)))
        if _kernels(source, primals, (*levels, active)) > KERNELS:
            moving = [i for i, _ in enumerate(primals) if i in active]

            def other(*some: Any) -> Any:
                own = list(primals)
                for i, x in zip(moving, some, strict=True):
                    own[i] = x
                return _otherwise(source, own, levels)

            given = [primals[i] for i in moving], [tangents[i] for i in moving]
            value, moved = jax.jvp(other, *given)
            return (value, carry(source, primals)[1]), (moved, none)
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
        return (value, aux), (moved, none)

    solved.defjvp(rule, symbolic_zeros=True)
    return solved(*leaves)


# ---------------------------------------------------------------------------------------------------------- directions

Scalar = tuple[int, int]
"""A leaf, and the place of one of its numbers."""

MOST = 120
"""States and their derivatives that one kernel carries; more directions are shared out among several kernels."""
KERNELS = 4
"""The most kernels that a derivative is shared out among."""
MORE = 360
"""What one carries where derivatives of derivatives would take more than so many kernels: it compiles in a quarter of
the time that nested derivatives of an adaptive loop take. A first derivative of such a loop costs the same to compile
in any number of directions.
"""


def _scalars(source: Source, leaves: Sequence[Any], level: Sequence[int]) -> list[Scalar]:
    """The directions of a level. Sample times are one: each sample has its own derivative only."""
    sizes = {i: 1 if i == source.sampled else int(np.prod(leaves[i].shape[1:], dtype=int)) for i in level}
    return [(i, element) for i in level for element in range(sizes[i])]


def _share(source: Source, leaves: Sequence[Any], scalars: list[list[Scalar]]) -> tuple[int, int]:
    """Among how many kernels a level's directions are shared out, and how many each carries."""
    if not scalars or not scalars[-1]:
        return 1, 0
    states = equations(source.settings.structure, source.settings.states_too).states
    others = len(products(_numbered(scalars[:-1])))

    def pieces(most: int) -> int:
        return -(-len(scalars[-1]) // max(1, (most // states - others) // others))

    found = pieces(MOST)
    if found > KERNELS and len(scalars) > 1:
        found = pieces(MORE)
    return found, -(-len(scalars[-1]) // found)


def _kernels(source: Source, leaves: Sequence[Any], levels: Levels) -> int:
    return _share(source, leaves, [_scalars(source, leaves, level) for level in levels])[0]


def _otherwise(source: Source, leaves: Sequence[Any], levels: Levels) -> Any:
    """The same numbers without a kernel, differentiated by JAX."""
    if not levels:
        return source.otherwise(*leaves)
    *before, last = levels
    scalars = _scalars(source, leaves, last)

    def displaced(by: Any) -> Any:
        own = list(leaves)
        for k, (i, element) in enumerate(scalars):
            flat = own[i].reshape(own[i].shape[0], -1)
            own[i] = (flat + by[k] if i == source.sampled else flat.at[:, element].add(by[k])).reshape(own[i].shape)
        value = _otherwise(source, own, tuple(before))
        return value, value

    slopes, value = jax.jacfwd(displaced, has_aux=True)(jnp.zeros(len(scalars)))
    return jnp.concatenate([value[..., None], slopes], axis=-1)


def _solved(source: Source, leaves: Sequence[Any], levels: Levels) -> tuple[Any, Any]:
    """By as few kernels as can carry the derivatives."""
    scalars = [_scalars(source, leaves, level) for level in levels]
    moves = _moves(source, leaves, {i for level in levels for i in level}) if levels else {}
    moved = _Moved(source, leaves, scalars, moves)
    tables = jax.vmap(source.tables)(*leaves)
    pieces, size = _share(source, leaves, scalars)
    if pieces == 1:
        return _carried(source, tables, scalars, moved)
    *before, last = scalars
    found = [_carried(source, tables, [*before, last[at : at + size]], moved) for at in range(0, len(last), size)]
    values = [found[0][0], *(value[..., 1:] for value, _ in found[1:])]
    return jnp.concatenate(values, axis=-1), found[0][1]


def _numbered(levels: Sequence[Sequence[Scalar]]) -> list[list[int]]:
    """Every direction as a number, the same for the same scalar, level by level."""
    numbers: dict[Scalar, int] = {}
    return [[numbers.setdefault(scalar, len(numbers)) for scalar in level] for level in levels]


def _moves(source: Source, leaves: Sequence[Any], active: set[int]) -> dict[int, frozenset[str]]:
    """Which columns of the tables each active leaf can move, read off the jaxpr that makes them."""
    one = [jax.ShapeDtypeStruct(x.shape[1:], x.dtype) for x in leaves]
    closed, columns = jax.make_jaxpr(lambda *x: source.tables(*x).columns(), return_shape=True)(*one)
    moves: dict[int, set[str]] = {i: set() for i in active}
    names = jax.tree.leaves({name: name for name in columns})  # in the order in which a tree is flattened
    for name, come in zip(names, movers(closed), strict=True):
        for i in active & come:
            if i != source.sampled:
                moves[i].add(name)
    return {i: frozenset(m) for i, m in moves.items()}


# ------------------------------------------------------------------------------------------------------------- solving


def _carried(source: Source, tables: Tables, scalars: list[list[Scalar]], moved: _Moved) -> tuple[Any, Any]:
    """By one kernel."""
    own = _numbered(scalars)
    places = list(dict.fromkeys(scalar for level in scalars for scalar in level))
    every = tuple(moved.direction(scalar) for scalar in places)
    jets = products(own)
    layout = Layout(tables.parameters.shape[1], tables.time.shape[1], tables.jumps.shape[1], tables.samples.shape[1])
    made = kernel(source.settings, layout, every, tuple(jets))
    real = {"f64": jnp.float64, "f32": jnp.float32}[source.settings.precision]
    patients = tables.start.shape[0]

    def columns(column: str) -> list[Any]:
        """The derivatives of a column that the kernel reads."""
        jets_of_it = [j for j in jets[1:] if all(column in every[a].moves for a in j)]
        return [moved.derivative(column, [places[a] for a in j]) for j in jets_of_it]

    def flat(*parts: Any) -> Any:
        wide = [jnp.asarray(p, real).reshape(patients, -1) for p in parts]
        return jnp.concatenate(wide, axis=1) if len(wide) > 1 else wide[0]

    rows = (tables.time, tables.order, tables.sequence, tables.kind, tables.place, tables.amount, tables.rate)
    events = jnp.stack([jnp.asarray(c, real) for c in rows], axis=-1)
    jumps = jnp.stack([tables.jumps, *columns(STATE)], axis=2)
    times = columns(TIME)  # the last entry is that of the start
    extra = [*(t[:, :-1] for t in times), *columns(AMOUNT), *columns(RATE)]
    start = [t[:, -1] for t in times]
    derivatives = jnp.stack(extra, axis=-1) if extra else jnp.zeros((patients, 0))
    values, code, steps, _, tracks = launch(
        made, flat(tables.parameters), flat(events), flat(jumps), flat(tables.samples), flat(tables.sample_order),
        flat(tables.code, tables.start, *start), flat(derivatives),
    )  # fmt: skip
    values = values.reshape(patients, layout.samples, -1, len(jets)).astype(tables.start.dtype)
    return _arranged(values, jets, own), (code[:, 0], steps[:, 0], tracks)


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


class _Moved:
    """The derivatives of the tables' columns by the scalars that move them, to the order of the levels."""

    def __init__(self, source: Source, leaves: Sequence[Any], scalars: list[list[Scalar]], moves: Any) -> None:
        self.source, self.moves = source, moves
        self.sizes = [int(np.prod(x.shape[1:], dtype=int)) for x in leaves]
        every = dict.fromkeys(scalar for level in scalars for scalar in level)
        self.moving = [scalar for scalar in every if moves[scalar[0]]]
        self.found = jax.vmap(lambda *x: self._differentiated(x, len(scalars)))(*leaves) if self.moving else []

    def direction(self, scalar: Scalar) -> Direction:
        """What a kernel has to know of it."""
        i, element = scalar
        leaf = self.source.parameter[i]
        segment = element if leaf is not None and self.sizes[i] > 1 else None
        return Direction(leaf, segment, self.moves[i], sample=i == self.source.sampled)

    def derivative(self, column: str, scalars: list[Scalar]) -> Any:
        """A column's derivative, with a leading patient axis."""
        entry = self.found[len(scalars) - 1][column]
        for scalar in reversed(scalars):
            entry = entry[..., self.moving.index(scalar)]
        return entry

    def _differentiated(self, leaves: Sequence[Any], highest: int) -> list[Any]:
        """For each order, the derivatives of every column, with an axis for each differentiation."""

        def displaced(by: Any) -> dict[str, Any]:
            own = list(leaves)
            for k, (i, element) in enumerate(self.moving):
                own[i] = own[i].reshape(-1).at[element].add(by[k]).reshape(own[i].shape)
            return self.source.tables(*own).columns()

        function, found = displaced, []
        for _ in range(highest):
            function = jax.jacfwd(function)
            found.append(function(jnp.zeros(len(self.moving))))
        return found
