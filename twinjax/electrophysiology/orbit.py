"""`orbit`: the rhythm that pacing leads to, found in tens of beats instead of thousands, with its gradients."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.custom_derivatives import SymbolicZero

from twinjax.dosing import Regimen
from twinjax.electrophysiology.beats import following, slopes
from twinjax.electrophysiology.biomarkers import beat_times
from twinjax.electrophysiology.pace import BACKEND, Rhythm, check, paced, widened
from twinjax.electrophysiology.pace import stimulus as plain_stimulus
from twinjax.models.base import AbstractModel
from twinjax.naming import names
from twinjax.solve.compiling import compiled
from twinjax.solve.problem import NO_STEADY_STATE, AbstractBackend

MEMORY = 8
"""Earlier beats that Anderson's method combines."""
SMALL = 1e-4
"""What a state is measured against where it is small: gates are shares, concentrations from 1e-4 mM."""


def orbit(
    cell: AbstractModel, cycle_length: float, *, keep: int = 1, stimulus: Regimen | None = None,
    backend: AbstractBackend | None = None, warm: int = 10, limit: int = 400, tolerance: float = 1e-8,
) -> Rhythm:  # fmt: skip
    """The periodic rhythm of cells: the state that a beat maps to itself, with the charge that `start` has.

    By Anderson's acceleration of the beat map, after `warm` plain beats; a step that leaves the range of a state is a
    plain beat. The cell's charge is conserved by every beat and so is kept (`AbstractCell.conserved`): without that,
    the rhythm would not be one but a family. Derivatives of all that the `Rhythm` holds, of first order, forward and
    backward, in every parameter, by the implicit function theorem, from the derivative of one beat.

    **Parameters**: as `pace`; `limit`, the most beats; `tolerance`, the largest change of a state over a beat,
    relative to its size and 1e-4.
    **Assumptions**: the rhythm repeats with every beat. Where the cell alternates or skips beats, an orbit found may be
    one that pacing leaves (`pace` with ``keep=2`` from it shows that), or none is found. ToR-ORd's chloride takes
    very many beats to settle: from a start far from its rhythm the limit is reached first.
    **Returns** a `Rhythm`, whose `beats` is how many were taken; `result` is `NO_STEADY_STATE` where none was found.
    **Raises** `ValueError` as `pace`.
    **Reference**: Walker & Ni 2011, SIAM J Numer Anal 49:1715, doi:10.1137/10078356X.
    """
    check(cell, cycle_length)
    if keep < 1 or warm < 1 or limit <= warm:
        raise ValueError(f"keep {keep}, warm {warm}, limit {limit}: give one beat or more of each, and a limit above")
    stimulus = plain_stimulus() if stimulus is None else stimulus
    backend = BACKEND if backend is None else backend
    cells, cycle, times = widened(cell), jnp.asarray(float(cycle_length)), beat_times(cycle_length)
    state, missed, beats = periodic(backend, cells, stimulus, cycle, warm, limit, tolerance)
    at = dataclasses.replace(cells, start=state)
    state, beat, trace, drift, result = paced(backend, at, stimulus, cycle, times, None, keep)
    result = jnp.where((result == 0) & missed, NO_STEADY_STATE, result)
    return Rhythm(cells, state, beat, times, trace, float(cycle_length), beats, drift, result)


def periodic(
    backend: AbstractBackend, cell: Any, stimulus: Regimen, cycle: Any, warm: int, limit: int, tolerance: float
) -> tuple[Any, Any, Any]:
    """The fixed point of the beat map, leaves `(cells,)`; whether it was missed, `(cells,)`; how many beats it took."""
    flat, structure = jax.tree.flatten(cell)
    form = jax.tree.structure(cell.start)
    starts = [i for i, n in enumerate(names(cell)) if n.startswith("start.")]

    @jax.custom_jvp
    def found(cycle: Any, stimulus: Regimen, *leaves: Any) -> tuple[Any, Any, Any]:
        own = jax.tree.unflatten(structure, leaves)
        return _accelerated(backend, own, stimulus, cycle, warm, limit, tolerance)

    def rule(primals: Sequence[Any], tangents: Sequence[Any]) -> tuple[Any, Any]:
        cycle, stimulus, *leaves = primals
        y, missed, beats = found(*primals)
        own = jax.tree.unflatten(structure, leaves)
        here = dataclasses.replace(own, start=jax.tree.unflatten(form, list(y.T)))
        moving = tangents[2:]
        active = [i for i, t in enumerate(moving) if not isinstance(t, SymbolicZero)]
        others = [i for i in active if i not in starts]
        found_slopes = slopes(backend, here, [*starts, *others], stimulus, jnp.reshape(cycle, 1), True)[:, :, 0, :]
        by_state, by_other = found_slopes[: len(starts)], found_slopes[len(starts) :]
        still = [i for i, n in enumerate(names(own.start)) if n == "qnet"]  # a beat begins without charge
        by_state = by_state.at[jnp.asarray(still)].set(0.0)
        pushed = jnp.einsum("acn,ac->cn", by_other, jnp.stack([moving[i] for i in others])) if others else 0.0 * y
        kept = _kept_moves(own, here, structure, active, moving)
        size = jnp.abs(y) + SMALL
        weights = jax.vmap(jax.jacfwd(lambda v, m: _conserved(m, jax.tree.unflatten(form, list(v)))))(y, own)
        weights = weights * size[:, None, :]
        norm = jnp.linalg.norm(weights, axis=-1, keepdims=True)
        weights, kept = weights / norm, kept / norm[..., 0]
        jacobian = jnp.einsum("acn->cna", by_state) * size[:, None, :] / size[:, :, None]
        held = jnp.einsum("ckn,ckm->cnm", weights, weights)
        right = pushed / size + jnp.einsum("ckn,ck->cn", weights, kept)
        moved = jnp.linalg.solve(jnp.eye(y.shape[1]) - jacobian + held, right[..., None])[..., 0] * size
        none = np.zeros(missed.shape, jax.dtypes.float0)
        return (y, missed, beats), (moved, none, np.zeros((), jax.dtypes.float0))

    found.defjvp(rule, symbolic_zeros=True)
    y, missed, beats = found(cycle, stimulus, *flat)
    return jax.tree.unflatten(form, list(y.T)), missed, beats


def _conserved(cell: Any, state: Any) -> Any:
    return jnp.stack(jax.tree.leaves(cell.conserved(state)))


def _kept_moves(own: Any, here: Any, structure: Any, active: Sequence[int], moving: Sequence[Any]) -> Any:
    """How far the conserved numbers of the fixed point have to move, `(cells, numbers)`: as those of the start do."""
    leaves = jax.tree.leaves(own)

    def apart(*some: Any) -> Any:
        full = list(leaves)
        for i, x in zip(active, some, strict=True):
            full[i] = x
        moved = jax.tree.unflatten(structure, full)
        return jax.vmap(lambda m, s: _conserved(m, m.start) - _conserved(m, s))(moved, here.start)

    return jax.jvp(apart, [leaves[i] for i in active], [moving[i] for i in active])[1]


@compiled
def _accelerated(
    backend: AbstractBackend, cell: Any, stimulus: Regimen, cycle: Any, warm: int, limit: int, tolerance: float
) -> tuple[Any, Any, Any]:
    cell = jax.lax.stop_gradient(cell)
    form = jax.tree.structure(cell.start)
    labels = names(cell.start)
    signed = np.asarray([n in ("v", "qnet") for n in labels])
    potassium, qnet = labels.index("bulk.k"), labels.index("qnet")
    charge = jax.vmap(lambda m, s: m.conserved(s)["charge"])
    first = charge(cell, cell.start)
    room = cell.geometry.volume * cell.geometry.bulk

    def tree(y: Any) -> Any:
        return jax.tree.unflatten(form, list(y.T))

    def beat(y: Any) -> Any:
        return jnp.stack(jax.tree.leaves(following(backend, cell, tree(y), stimulus, cycle)[0]), axis=-1)

    def kept(y: Any) -> Any:
        return y.at[:, potassium].add((first - charge(cell, tree(y))) / room)

    def pending(c: Any) -> Any:
        return (c[-1] < limit) & jnp.any(~c[-2])

    def step(c: Any) -> Any:
        y, images, misses, best, known, done, beats = c
        image = beat(y)
        size = (jnp.abs(image) + SMALL).at[:, qnet].set(jnp.inf)  # a beat begins without charge
        miss = (image - y) / size
        worst = jnp.max(jnp.abs(miss), axis=1)
        done = done | (worst <= tolerance) | ~jnp.isfinite(worst)
        known = jnp.where(worst[:, None] > 3.0 * best[:, None], False, known)  # lost the way: begin anew
        change, moved = miss[None] - misses, image[None] - images
        change = jnp.where(known.T[:, :, None], change, 0.0)
        normal = jnp.einsum("icn,jcn->cij", change, change)
        ridge = 1e-13 * jnp.einsum("cii->c", normal)[:, None, None] + 1e-300
        right = jnp.einsum("icn,cn->ci", change, miss)
        weight = jnp.linalg.solve(normal + ridge * jnp.eye(MEMORY), right[..., None])[..., 0]
        weight = jnp.where(known, weight, 0.0)
        aim = kept(image - jnp.einsum("ci,icn->cn", weight, moved))
        near = jnp.abs(aim - image) <= 0.5 * (jnp.abs(image) + 1e-2)
        good = jnp.all(near & ((aim >= 0.0) | signed), axis=1)
        following_y = jnp.where(good[:, None], aim, image)
        at = jnp.mod(beats, MEMORY)
        return (
            jnp.where(done[:, None], image, following_y),
            images.at[at].set(image),
            misses.at[at].set(miss),
            jnp.minimum(best, worst),
            known.at[:, at].set(True),
            done,
            beats + 1,
        )

    y = jnp.stack(jax.tree.leaves(cell.start), axis=-1)
    y = jax.lax.fori_loop(0, warm, lambda _, y: beat(y), y)
    cells, many = y.shape
    empty = jnp.zeros((MEMORY, cells, many))
    begin = (y, empty, empty, jnp.full(cells, jnp.inf), jnp.zeros((cells, MEMORY), bool), jnp.zeros(cells, bool), warm)
    y, _, _, _, _, done, beats = jax.lax.while_loop(pending, step, begin)
    return y, ~done | ~jnp.isfinite(y[:, 0]), beats
