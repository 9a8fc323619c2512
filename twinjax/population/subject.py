"""One person of a trial, and the trial."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import equinox as eqx
import numpy as np

from twinjax.dosing import Regimen
from twinjax.observation import Measurements


class Subject(eqx.Module):
    """One person's covariates, regimen and measurements.

    **Parameters**: `id`, as the data file has it; `regimen`; `measurements`; `covariates`, by name a number, or
    `(segments,)` where it changes in time; `switch_time` and `switch_order`, `(segments - 1,)`, where one segment
    ends and the next begins (order as of the records: between those of the last record before and the first after).
    NONMEM's convention, which its reader follows: a record's covariates hold over the interval that *ends* at it.
    """

    id: str = eqx.field(static=True)
    regimen: Regimen = eqx.field(default_factory=Regimen.none)
    measurements: Measurements = eqx.field(default_factory=Measurements.none)
    covariates: dict[str, Any] = eqx.field(default_factory=dict)
    switch_time: Any = eqx.field(default_factory=lambda: np.zeros(0))
    switch_order: Any = eqx.field(default_factory=lambda: np.zeros(0))

    @property
    def segments(self) -> int:
        """How many segments of constant covariates there are."""
        return len(self.switch_time) + 1


class TrialData(eqx.Module):
    """Many subjects, in file order.

    **Parameters**: `subjects`; `name`, for titles and reports.
    """

    subjects: tuple[Subject, ...]
    name: str = eqx.field(static=True, default="trial")

    def __len__(self) -> int:
        return len(self.subjects)

    def __iter__(self) -> Iterator[Subject]:
        return iter(self.subjects)

    def __getitem__(self, id: str) -> Subject:
        """The subject called `id`; `KeyError` with the known ids where there is none."""
        for s in self.subjects:
            if s.id == str(id):
                return s
        raise KeyError(f"no subject {id!r} in {self.name}; there are {', '.join(s.id for s in self.subjects[:20])}")

    @property
    def ids(self) -> tuple[str, ...]:
        """The subjects' ids."""
        return tuple(s.id for s in self.subjects)

    @property
    def covariate_names(self) -> tuple[str, ...]:
        """Covariates that every subject has."""
        common = [set(s.covariates) for s in self.subjects]
        return tuple(n for n in self.subjects[0].covariates if all(n in c for c in common)) if common else ()

    @property
    def observations(self) -> int:
        """How many measurements there are in all."""
        return sum(len(s.measurements) for s in self.subjects)

    def where(self, keep: Callable[[Subject], bool]) -> TrialData:
        """The subjects for which `keep` is true."""
        return TrialData(tuple(s for s in self.subjects if keep(s)), self.name)

    def summary(self) -> Mapping[str, int]:
        """Counts for a log line or a report: subjects, observations, censored ones, dose records."""
        return {
            "subjects": len(self),
            "observations": self.observations,
            "censored": int(sum((s.measurements.censored != 0).sum() for s in self.subjects)),
            "dose_records": sum(len(s.regimen) for s in self.subjects),
        }
