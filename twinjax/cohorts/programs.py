"""A plan's two programs, drawing patients and solving them, compiled once for a fixed number and called many times.

Compilers round differently for different shapes. So patient `i` is always drawn in block ``i // 1024`` and solved in
block ``i // batch`` at the same place, whatever the chunk, the shard or the size of the cohort: the last block is
filled up with the patients who would follow.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from twinjax.cohorts.plan import Plan, digest
from twinjax.cohorts.summaries import measured
from twinjax.naming import leaves
from twinjax.solve.compiling import compiler_options
from twinjax.solve.problem import AbstractBackend, Problem
from twinjax.solve.simulate import choose, pose

_DRAWN = 1024
"""How many patients are drawn at once."""
_PROBED = 16
"""On how many the backend is chosen."""


@dataclasses.dataclass(frozen=True)
class Group:
    """Patients in a row, in the computer's own memory.

    **Parameters**: `first`, index of the first; `parameters`, `covariates`, `outputs`, `summaries`, by name, each with
    a leading patient axis; `eta` `(patients, etas)`; `result` `(patients,)`. Outputs are empty where nobody asks.
    """

    first: int
    parameters: dict[str, np.ndarray]
    covariates: dict[str, np.ndarray]
    eta: np.ndarray
    outputs: dict[str, np.ndarray]
    summaries: dict[str, np.ndarray]
    result: np.ndarray

    def __len__(self) -> int:
        return len(self.result)

    def cut(self, start: int, stop: int) -> Group:
        """Some of them."""
        arrays = jax.tree.map(lambda x: x[start:stop], self._arrays())
        return Group(self.first + start, *arrays)

    @staticmethod
    def joined(parts: list[Group]) -> Group:
        """Neighbours as one."""
        if len(parts) == 1:
            return parts[0]
        arrays = jax.tree.map(lambda *x: np.concatenate(x), *(p._arrays() for p in parts))
        return Group(parts[0].first, *arrays)

    def _arrays(self) -> tuple[Any, ...]:
        return tuple(getattr(self, f.name) for f in dataclasses.fields(self)[1:])


class Programs:
    """A plan settled (its backend chosen, its sizes in numbers), with what solves it on one device.

    **Parameters**: `plan`; `device`, default JAX's.
    **Raises** `ValueError` where no backend can serve.
    """

    plan: Plan
    backend: AbstractBackend

    def __init__(self, plan: Plan, device: Any = None) -> None:
        self.device = jax.devices()[0] if device is None else device
        drawing, how = eqx.partition(plan.drawing(), eqx.is_array)

        def draw(drawing: Any, first: Any) -> Any:
            return eqx.combine(drawing, how)(first + jnp.arange(_DRAWN))

        self._drawing = self._put(drawing)
        self._draw, drawn = self._compiled(draw, self._drawing, self._put(np.int64(0)))
        some = self._draw(self._drawing, self._put(np.int64(0)))
        few: Any = jax.tree.map(lambda x: np.asarray(x)[:_PROBED], some[0])
        posed = dataclasses.replace(pose(few, plan.regimen, plan.times), states=False)  # only outputs are kept
        backend = choose(posed, plan.backend)
        lanes = backend.batch
        if lanes < 1 or max(lanes, _DRAWN) % min(lanes, _DRAWN):
            raise ValueError(f"{type(backend).__name__}.batch is {lanes}; it must be a power of two")
        plan = plan.settled(backend)
        lanes = min(lanes, plan.block)
        self.plan, self.backend, self._lanes = plan, backend, lanes

        # Doses and times are everybody's: those of one patient are those of a block.
        rest, shape = eqx.partition(eqx.tree_at(lambda p: p.model, posed, None), eqx.is_array)
        shared = jax.tree.map(lambda x: np.repeat(np.asarray(x)[:1], lanes, axis=0), rest)

        def solve(shared: Any, drawn: Any, start: Any) -> Any:
            joined = jax.tree.map(lambda *x: jnp.concatenate(x), *drawn)
            model, eta, covariates = jax.tree.map(lambda x: jax.lax.dynamic_slice_in_dim(x, start, lanes), joined)
            one_segment = jax.tree.map(lambda x: x[:, None], model)
            problem = eqx.combine(shared, shape)
            problem = eqx.tree_at(lambda p: p.model, problem, one_segment, is_leaf=lambda x: x is None)
            kept, summaries, result = _solved(plan, backend, problem)
            return leaves(model), covariates, eta, kept, summaries, result

        self._shared = self._put(shared)
        pieces = (some,) * max(lanes // _DRAWN, 1)
        self._solve, solved = self._compiled(solve, self._shared, pieces, self._put(np.int64(0)))
        self.fingerprint = {
            "backend": type(backend).__name__,
            "equations": digest(drawn, solved),
            "numbers": digest(drawing, shared),
        }

    def groups(self, first: int, count: int) -> Iterator[Group]:
        """So many patients from `first` on, a group of the plan at a time; while one is used the next is solved."""
        size, held, there = self.plan.group, list[Group](), 0
        for chunk in self._chunks(first, first + count):
            held.append(chunk)
            there += len(chunk)
            while there >= size:
                whole = Group.joined(held)
                yield whole.cut(0, size)
                held, there = ([whole.cut(size, there)] if there > size else []), there - size
        if there:
            yield Group.joined(held)

    def _chunks(self, first: int, stop: int) -> Iterator[Group]:
        """Whole blocks, as many as a chunk holds, without those who are not asked for."""
        lanes = self._lanes
        blocks = max((self.plan.chunk or lanes) // lanes, 1)
        waiting: tuple[int, Any] | None = None
        for block in range(first // lanes, -(-stop // lanes), blocks):
            start = block * lanes
            begun = self._begun(range(start, min(start + blocks * lanes, stop), lanes))
            if waiting is not None:
                yield self._fetched(*waiting, first, stop)
            waiting = start, begun
        if waiting is not None:
            yield self._fetched(*waiting, first, stop)

    def _begun(self, starts: range) -> list[Any]:
        """Blocks on their way."""
        begun, drawn = [], {}
        for start in starts:
            needed = range(start // _DRAWN, -(-(start + self._lanes) // _DRAWN))
            drawn = {k: drawn.get(k) or self._draw(self._drawing, self._put(np.int64(k * _DRAWN))) for k in needed}
            begun.append(self._solve(self._shared, tuple(drawn.values()), self._put(np.int64(start % _DRAWN))))
        return begun

    @staticmethod
    def _fetched(start: int, begun: list[Any], first: int, stop: int) -> Group:
        whole = Group.joined([Group(start, *jax.tree.map(np.asarray, block)) for block in begun])
        return whole.cut(max(first - start, 0), min(stop - start, len(whole)))

    def _put(self, what: Any) -> Any:
        return jax.device_put(what, self.device)

    def _compiled(self, function: Any, *args: Any) -> tuple[Any, str]:
        """The program for this device, and its text."""
        lowered = jax.jit(function, compiler_options=compiler_options() or None).lower(*args)
        return lowered.compile(), lowered.as_text()


def _solved(plan: Plan, backend: AbstractBackend, problem: Problem) -> tuple[dict[str, Any], dict[str, Any], Any]:
    """Outputs where they are kept, summaries, and result codes."""
    wanted, summaries, codes = plan.trajectories or plan.bands, {}, []
    if plan.continuous:
        tracks = [t for t in (s.track() for s in plan.summaries) if t is not None]
        numbers, code = backend.track(problem, tracks)
        summaries, codes = {s.name: numbers[:, i] for i, s in enumerate(plan.summaries)}, [code]
    outputs: dict[str, Any] = {}
    if wanted or not plan.continuous:
        found = backend.solve(problem)
        outputs, codes = leaves(found.output), [*codes, found.result]
        summaries = summaries or measured(plan.summaries, plan.times, outputs)
    return {n: outputs[n] for n in plan.outputs} if wanted else {}, summaries, functools.reduce(jnp.maximum, codes)
