"""`simulate`: one patient, a cohort or a trial's subjects, by the backend that serves best."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from twinjax.dosing import Regimen
from twinjax.models.base import AbstractModel
from twinjax.solve.building import build
from twinjax.solve.compiling import compiled
from twinjax.solve.diffrax import Diffrax
from twinjax.solve.exact import Exact
from twinjax.solve.fused import Fused
from twinjax.solve.problem import BEFORE_START, AbstractBackend, Problem, Solution


@runtime_checkable
class Patients(Protocol):
    """Many patients at once: a cohort, or the subjects of a trial."""

    @property
    def model(self) -> AbstractModel:
        """Leaves with a leading patient axis."""
        ...

    @property
    def regimens(self) -> Sequence[Regimen] | None:
        """One each, where they have their own."""
        ...

    def schedule(self) -> dict[str, Any]:
        """Sample times, orders and parameter switches, as `build` takes them; empty where there are none of their
        own.
        """
        ...


def choose(problem: Problem, backend: AbstractBackend | None = None) -> AbstractBackend:
    """The backend that will serve, its own choices made: `Fused` where the model can be compiled into a kernel, `Exact`
    where it cannot and is linear with constant coefficients, `Diffrax` elsewhere; or the one given.

    Up to 8 states a kernel is itself exact for a linear model. Above, its steps cost a tenth of matrix exponentials at
    10 states and a twentieth at 26, and less to compile; so the choice depends on the model alone, and a patient is
    solved alike in any company.
    **Raises** `ValueError` with every backend's refusal if none can serve, or that of the one given.
    """
    if backend is not None:
        why = backend.refusal(problem)
        if why is not None:
            raise ValueError(f"{type(backend).__name__} cannot serve: {why}")
        return backend.prepared(problem)
    refusals = []
    for candidate in (Fused(), Exact(), Diffrax()):
        why = candidate.refusal(problem)
        if why is None:
            return candidate.prepared(problem)
        refusals.append(f"{type(candidate).__name__}: {why}")
    raise ValueError("no backend can serve this problem:\n  " + "\n  ".join(refusals))


def simulate(
    who: AbstractModel | Patients,
    regimen: Regimen | Sequence[Regimen] | None = None,
    times: Any = None,
    *,
    start: Any = None,
    backend: AbstractBackend | None = None,
    throw: bool = False,
) -> Solution:
    """States and outputs of one patient or many over time.

    **Parameters**: `who`, a model (leaves scalar, or with a leading patient axis), or patients: a `Cohort`, a trial's
    subjects; `regimen`, one for all or one each (default: the patients' own, else no doses); `times`, `(samples,)` or
    `(patients, samples)`, in any order, in the model's time unit (default: the patients' own). A sample at the time
    of a dose is taken after it, except where a trial's own records say otherwise. `start`, when the model's `initial`
    state holds, one for all or `(patients,)`; None for the first dose or sample, whichever is earlier. Give it where a
    model moves by itself: a tumour asked for at `times=[100, 200]` and never dosed has its initial size at 100.
    `backend`, None for the automatic choice (`choose`); `throw`, raise if any patient fails rather than return its
    result code.
    **Returns** a `Solution` whose leaves have a leading patient axis.
    **Raises** `ValueError` for a dose into an unknown compartment, times that are not finite, a dose or sample from
    before the start (where its time is traced, that patient's result is `BEFORE_START` and its numbers are NaN), and a
    backend that cannot serve; with `throw`, `RuntimeError` naming the patients that failed.
    """
    problem = pose(who, regimen, times, start=start)
    solution = _solve(choose(problem, backend), problem)
    if start is not None and any(isinstance(x, Tracer) for x in (problem.time, problem.doses.time, problem.jumps.time)):
        solution = _from_the_start(problem, solution)
    return solution.raise_failures(getattr(who, "ids", None)) if throw else solution


def pose(
    who: AbstractModel | Patients, regimen: Regimen | Sequence[Regimen] | None = None, times: Any = None, *,
    start: Any = None,
) -> Problem:  # fmt: skip
    """The `Problem` that `simulate` would solve."""
    if isinstance(who, AbstractModel):
        model, schedule = who, {}
    else:
        model, schedule = who.model, dict(who.schedule())
        regimen = who.regimens if regimen is None else regimen
    if times is not None:
        for own in ("time", "order"):
            schedule.pop(own, None)
        schedule["time"] = times
    if "time" not in schedule:
        raise ValueError("times says when to sample: an array of times in the model's unit")
    if not any(np.size(x) for x in jax.tree.leaves(schedule["time"])):
        raise ValueError("times is empty; give at least one time to sample at")
    return build(model, Regimen.none() if regimen is None else regimen, start=start, **schedule)


def _from_the_start(problem: Problem, solution: Solution) -> Solution:
    """The solution without patients of whom something is before the start, which is a problem's first sample."""
    begin = problem.time[:, :1]
    early = jnp.any(problem.time < begin, axis=1)
    for r in (problem.doses, problem.jumps):
        early |= jnp.any(r.given & (r.time < begin), axis=1)
    nan = functools.partial(jax.tree.map, lambda x: jnp.where(early[:, None], jnp.nan, x))
    result = jnp.where(early, BEFORE_START, solution.result)
    return Solution(solution.time, nan(solution.output), nan(solution.state), result, solution.steps)


@compiled
def _solve(backend: AbstractBackend, problem: Problem) -> Solution:
    return backend.solve(problem)
