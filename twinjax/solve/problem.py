"""The seam: a `Problem` goes in, a `Solution` comes out, and every `AbstractBackend` agrees on what they mean."""

from __future__ import annotations

import abc
from collections.abc import Sequence
from typing import Any

import equinox as eqx
import numpy as np

from twinjax.models.base import AbstractModel
from twinjax.solve.tracks import AbstractTrack

OK, MAX_STEPS, NOT_FINITE, STEP_TOO_SMALL, NO_STEADY_STATE, OVERLAP, TOO_STIFF, BEFORE_START = range(8)
RESULTS = {
    OK: "solved",
    MAX_STEPS: "the step limit was reached; raise max_steps, or choose a stiff method",
    NOT_FINITE: "a parameter, a dose or the model's equations gave a value that is not finite, "
    "or a lag or duration is below zero, or a modelled rate not above it",
    STEP_TOO_SMALL: "the step size fell to rounding error; the equations are discontinuous or blow up",
    NO_STEADY_STATE: "no steady state was found to the tolerance; does the model have one under this dosing?",
    OVERLAP: "steady-state infusions overlap more often than was planned for; pass a larger overlap",
    TOO_STIFF: "rates times the time between two events or samples exceed the 4e6 to which a matrix exponential keeps "
    "its digits; choose Fused() or Diffrax()",
    BEFORE_START: "a dose or sample is before the start, where the initial state holds; give an earlier start",
}
"""What each result code means, in words."""


class Doses(eqx.Module):
    """Every dose of every patient, additional ones written out. All `(patients, rows)`; rows of padding are not
    `given`.

    `time` is the dose's own, `record` that of the record it comes from.
    """

    time: Any
    record: Any
    amount: Any
    rate: Any
    compartment: Any
    mode: Any
    order: Any
    additional: Any
    segment: Any
    given: Any


class Jumps(eqx.Module):
    """Resets and steady states. All `(patients, rows)`. `clears` is false for SS = 2; `steady` true for SS = 1, 2."""

    time: Any
    amount: Any
    rate: Any
    interval: Any
    compartment: Any
    mode: Any
    order: Any
    segment: Any
    clears: Any
    steady: Any
    given: Any


class Problem(eqx.Module):
    """A batch of patients to integrate; the patient axis always leads.

    **Parameters**: `model`, leaves `(patients, segments)`; `doses`, `jumps`; `time`, `order`, `(patients, samples)`,
    where outputs are wanted and how they rank among records of the same time, sorted; `place` `(patients, asked)`,
    where each sample of the caller's is among them, None if they came sorted (where they are fewer, the first is only
    where `initial` holds); `switch_time`, `switch_order`,
    `(patients, segments - 1)`, when the next segment's parameters take over. `infusions` and `steady` say whether
    there can be any; `overlap` bounds how many steady-state infusions run at once; `states`, whether the states are
    wanted at the samples too.
    """

    model: AbstractModel
    doses: Doses
    jumps: Jumps
    time: Any
    order: Any
    place: Any
    switch_time: Any
    switch_order: Any
    infusions: bool = eqx.field(static=True)
    steady: bool = eqx.field(static=True)
    overlap: int = eqx.field(static=True)
    states: bool = eqx.field(static=True, default=True)

    @property
    def patients(self) -> int:
        """How many patients."""
        return self.time.shape[0]

    @property
    def segments(self) -> int:
        """How many parameter segments each patient has."""
        return self.switch_time.shape[1] + 1


class Solution(eqx.Module):
    """What a backend found.

    **Parameters**: `time` `(patients, samples)`; `output` and `state` (None where the problem did not want it), the
    model's classes with leaves of that shape;
    `result` `(patients,)`, a code that `RESULTS` puts in words; `steps` `(patients,)`, steps taken (0 for closed
    forms). Rows of a patient whose result is not 0 are NaN from where it failed.
    """

    time: Any
    output: Any
    state: Any
    result: Any
    steps: Any

    @property
    def failed(self) -> np.ndarray:
        """Indices of the patients that were not solved."""
        return np.flatnonzero(np.asarray(self.result))

    def raise_failures(self, names: Sequence[str] | None = None) -> Solution:
        """Itself, or `RuntimeError` naming the patients that failed and why."""
        failed = self.failed
        if len(failed):
            who = [f"{names[i] if names else i}: {RESULTS[int(self.result[i])]}" for i in failed[:10]]
            more = f" and {len(failed) - 10} more" if len(failed) > 10 else ""
            raise RuntimeError(f"{len(failed)} of {len(self.result)} patients failed{more}:\n  " + "\n  ".join(who))
        return self


class AbstractBackend(eqx.Module):
    """A way to integrate. Backends are frozen objects passed as an argument; their options are their fields."""

    @abc.abstractmethod
    def refusal(self, problem: Problem) -> str | None:
        """Why this backend cannot serve the problem, in words; None if it can."""

    def prepared(self, problem: Problem) -> AbstractBackend:
        """This backend with the choices made that need the problem's numbers, which are not known inside `jit`."""
        return self

    @property
    def batch(self) -> int:
        """How many patients one call serves best, a power of two: a long cohort is solved by so many."""
        return 256

    def track(self, problem: Problem, tracks: Sequence[AbstractTrack]) -> tuple[Any, Any]:
        """What outputs come to in continuous time, `(patients, tracks)`, and result codes `(patients,)`.

        **Raises** `ValueError` where the backend has samples only.
        """
        raise ValueError(f"{type(self).__name__} has outputs at the sampling times only; Fused has them in between")

    @abc.abstractmethod
    def solve(self, problem: Problem) -> Solution:
        """Integrate. Inside `jit`, `vmap`, `grad` and `jvp` alike."""


# ------------------------------------------------------------------------------------------------------------ building
