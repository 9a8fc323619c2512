"""`pace`: a cell, or many, stimulated again and again."""

from __future__ import annotations

import dataclasses
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from twinjax.dosing import Regimen
from twinjax.electrophysiology.beats import following, solved
from twinjax.electrophysiology.biomarkers import BEATS, OK, UNSOLVED, Beat, Trace, beat_times, biomarkers
from twinjax.models.base import AbstractModel
from twinjax.naming import leaves
from twinjax.solve.compiling import compiled
from twinjax.solve.fused import Fused
from twinjax.solve.fused.steps import Rodas5P
from twinjax.solve.problem import AbstractBackend

BACKEND = Fused(rtol=1e-6, atol=1e-9, method=Rodas5P())
"""How beats are integrated unless told otherwise.

Measured on the CiPA cell at 2 s, qNet of the third beat against 1e-9 (benchmarks/heart.py): 2e-7 at 1e-6, 6e-7 at 1e-5
and 3e-6 at 1e-4, which is 2.7 times as quick. 442 steps a beat at 1e-6. The fastest rate, of hERG's inactivation at
rest, is above 100 per ms, and holds an explicit method to steps of some 0.02 ms.
"""


def stimulus(density: float = 80.0, duration: float = 0.5, into: str = "v") -> Regimen:
    """A current of so many uA/uF for so many ms, at the start of a beat."""
    return Regimen.infusion(density * duration, over=duration, into=into)


class Rhythm(eqx.Module):
    """What pacing came to.

    **Parameters**: `cell`, as it was paced; `state`, before the next stimulus, leaves `(cells,)`; `beat`, the
    biomarkers of the last beats, leaves `(cells, kept)`; `times` `(times,)` and `trace`, leaves `(cells, times)`, of
    the last beat; `cycle_length` (ms); `beats`, how many there were; `drift` `(cells,)`, the largest relative change of
    a concentration over the last beat; `result` `(cells,)`, 0 or the solver's code (`twinjax.solve.problem.RESULTS`).
    """

    cell: AbstractModel
    state: Any
    beat: Beat
    times: Any
    trace: Trace
    cycle_length: float = eqx.field(static=True)
    beats: Any
    drift: Any
    result: Any

    @property
    def alternans(self) -> Any:
        """By how much APD90 differs between the last two beats (ms), `(cells,)`; NaN where one has none."""
        if self.beat.apd90.shape[1] < 2:
            raise ValueError("alternans needs two beats; pace with keep=2 or more")
        return jnp.abs(self.beat.apd90[:, -1] - self.beat.apd90[:, -2])

    def paced(self) -> AbstractModel:
        """The cell with the state it came to as its start."""
        return dataclasses.replace(self.cell, start=self.state)

    def summary(self) -> dict[str, Any]:
        """Over the cells whose last beat has a meaning: median and 5th and 95th percentile of every biomarker.

        With ``counts``, how many last beats came to each result, in words. Without such a cell the numbers are left
        out: there is no NaN.
        """
        last = {n: np.asarray(x)[:, -1] for n, x in leaves(self.beat).items()}
        good = last["result"] == OK
        counts = {BEATS[code]: int(np.sum(last["result"] == code)) for code in BEATS}
        numbers = {}
        for name, x in last.items():
            kept = x[good & np.isfinite(x)]
            if name not in ("result", "ead") and len(kept):
                numbers[name] = tuple(float(q) for q in np.percentile(kept, (50, 5, 95)))
        return {**numbers, "ead": int(np.sum(last["ead"])), "counts": {w: n for w, n in counts.items() if n}}


def pace(
    cell: AbstractModel, cycle_length: float, *, beats: int = 1000, keep: int = 1, stimulus: Regimen | None = None,
    backend: AbstractBackend | None = None,
) -> Rhythm:  # fmt: skip
    """Stimulate cells so many times, from their `start`, and measure the last beats.

    **Parameters**: `cell`, leaves scalar or `(cells,)`, with states `v` and `qnet` and outputs as `OharaRudy`'s;
    `cycle_length` from stimulus to stimulus (ms); `beats`, how many; `keep`, of how many last ones to take biomarkers;
    `stimulus`, what happens at the start of every beat (default: 80 uA/uF for 0.5 ms); `backend`, default `BACKEND`.
    **Returns** a `Rhythm`. A cell that fails keeps its result code and has no beats; the others are not touched.
    **Raises** `ValueError` for a cycle, numbers of beats or a cell that make no sense.
    """
    check(cell, cycle_length)
    if not 1 <= keep <= beats:
        raise ValueError(f"keep is {keep} of {beats} beats; give 1 or more, no more than there are")
    stimulus = _stimulus() if stimulus is None else stimulus
    backend = BACKEND if backend is None else backend
    cells = widened(cell)
    times = beat_times(cycle_length)
    before = jnp.asarray(beats - keep) if beats > keep else None
    found = paced(backend, cells, stimulus, jnp.asarray(float(cycle_length)), times, before, keep)
    state, beat, trace, drift, result = found
    return Rhythm(cells, state, beat, times, trace, float(cycle_length), beats, drift, result)


_stimulus = stimulus


def check(cell: AbstractModel, cycle_length: float) -> None:
    """Raises `ValueError` for what cannot be paced."""
    for name in ("start", "currents"):
        if not hasattr(cell, name):
            raise ValueError(
                f"{type(cell).__name__} is no cell with a membrane: it has no {name}; give an OharaRudy, ..."
            )
    if not np.isfinite(cycle_length) or cycle_length <= 1.0:
        raise ValueError(f"the cycle is {cycle_length:g} ms; give the time from stimulus to stimulus in ms, above 1")


def widened(cell: AbstractModel) -> AbstractModel:
    """The cell with leaves `(cells,)`."""
    sizes = {leaf.shape[0] for leaf in map(jnp.asarray, jax.tree.leaves(cell)) if leaf.ndim} - {1}
    if len(sizes) > 1:
        raise ValueError(f"how many cells? Its parameters say {', '.join(map(str, sorted(sizes)))}")
    count = max(sizes, default=1)
    return jax.tree.map(lambda x: jnp.broadcast_to(jnp.asarray(x, jnp.result_type(float)), (count,)), cell)


@compiled
def paced(
    backend: AbstractBackend, cell: Any, stimulus: Regimen, cycle: Any, times: Any, before: Any, keep: int
) -> Any:
    """`before` plain beats (None for none), and `keep` measured ones."""
    count = cell.start.v.shape[0]

    def one(_: Any, carried: tuple[Any, Any]) -> tuple[Any, Any]:
        state, result = carried
        state, now = following(backend, cell, state, stimulus, cycle)
        return state, jnp.where(result == 0, now, result)

    carried = cell.start, jnp.zeros(count, jnp.int32)
    if before is not None:
        carried = jax.lax.fori_loop(0, before, one, carried)
    beats, state, trace = [], carried[0], None
    for _ in range(keep):
        state = carried[0]
        trace, _ = solved(backend, cell, state, stimulus, times, states=False)
        trace = Trace(trace.v, trace.v_rate, trace.calcium, trace.calcium_rate, trace.qnet)
        carried = one(0, carried)
        beat = biomarkers(times, trace)
        beats.append(dataclasses.replace(beat, result=jnp.where(carried[1] == 0, beat.result, UNSOLVED)))
    after, result = carried
    beat = jax.tree.map(lambda *x: jnp.stack(x, axis=1), *beats)
    moved = [jnp.abs(b / a - 1.0) for a, b in zip(*map(_concentrations, (state, after)), strict=True)]
    return after, beat, trace, jnp.max(jnp.stack(moved), axis=0), result


def _concentrations(state: Any) -> list[Any]:
    return jax.tree.leaves((state.bulk, state.store))
