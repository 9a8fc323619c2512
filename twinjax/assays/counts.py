"""An experiment in wells: living cells counted at several times under several concentrations of one drug."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np


@dataclasses.dataclass(frozen=True)
class TwoLevels:
    """Where counts are noisier: at concentrations up to `concentration` from `time` (h) on, where cells are many.

    Reference: Kohn-Luque et al. 2023, doi:10.1016/j.crmeth.2023.100417. Infinite `concentration` with `time` 0 is one
    level for all.
    """

    concentration: float = 10.0
    time: float = 48.0

    def high(self, time: np.ndarray, concentration: np.ndarray) -> np.ndarray:
        """Which cells of a table `(times, concentrations)` have the higher level."""
        return (concentration[None, :] <= self.concentration) & (time[:, None] >= self.time)


@dataclasses.dataclass(frozen=True)
class Counts:
    """Counts of living cells.

    **Parameters**: `count` `(times, replicates, concentrations)`, missing ones NaN; `time` `(times,)`, h, the first of
    them 0; `concentration` `(concentrations,)`, in any unit, which is that of the fitted concentrations; `name`.
    **Raises** `ValueError` where shapes disagree, times do not ascend from 0, a concentration or count is negative, or
    nothing was counted at time 0 or after it.
    """

    count: np.ndarray
    time: np.ndarray
    concentration: np.ndarray
    name: str = "counts"

    def __post_init__(self) -> None:
        count, time, concentration = (np.asarray(x, float) for x in (self.count, self.time, self.concentration))
        for field, value in (("count", count), ("time", time), ("concentration", concentration)):
            object.__setattr__(self, field, value)
        if count.ndim != 3 or count.shape[::2] != (len(time), len(concentration)):
            raise ValueError(
                f"{self.name}: counts are {count.shape}, wanted (times, replicates, concentrations) = "
                f"({len(time)}, replicates, {len(concentration)})"
            )
        if time[0] != 0 or np.any(np.diff(time) <= 0):
            raise ValueError(f"{self.name}: times must start at 0 and ascend, not {time.tolist()}")
        if np.any(~(concentration >= 0)) or np.any(count < 0):
            raise ValueError(f"{self.name}: concentrations and counts cannot be negative or, concentrations, missing")
        if not np.any(self.seen):
            raise ValueError(f"{self.name}: no well was counted both at time 0 and later")

    @property
    def seen(self) -> np.ndarray:
        """Which counts after time 0 can be compared with a prediction: those whose well was also counted at 0."""
        return np.isfinite(self.count[1:]) & np.isfinite(self.count[:1])

    @classmethod
    def stacked(
        cls, table: np.ndarray, time: Sequence[float], concentration: Sequence[float], name: str = "counts"
    ) -> Counts:
        """From rows that hold every replicate of the first time, then of the next, and so on.

        **Raises** `ValueError` where the rows are no multiple of the times.
        """
        rows = np.atleast_2d(np.asarray(table, float))
        if len(rows) % len(time):
            raise ValueError(
                f"{name}: {len(rows)} rows cannot be the replicates of {len(time)} times; give the times that were "
                "counted (the first rows are all replicates at time 0, then all of the next time)"
            )
        if rows.shape[1] != len(concentration):
            raise ValueError(f"{name}: {rows.shape[1]} columns but {len(concentration)} concentrations")
        whole = rows.reshape(len(time), -1, len(concentration))
        return cls(whole, np.asarray(time, float), np.asarray(concentration, float), name)
