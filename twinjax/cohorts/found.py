"""What a run found: quantiles over time, who responds, each patient; read shard by shard, so size does not matter."""

from __future__ import annotations

import collections
import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from twinjax.cohorts.shard import Shard
from twinjax.cohorts.tables import OUTPUTS, PATIENTS, STATISTICS, Statistics, column_names, values_of
from twinjax.cohorts.tally import COARSE
from twinjax.naming import resolve
from twinjax.runs import Run


@dataclasses.dataclass(frozen=True)
class Found:
    """A cohort that was simulated, in its run's folder.

    The folder holds ``outputs.parquet`` (a row for each patient and time) and ``patients.parquet`` (a row for each
    patient), folders of one Parquet file a shard, which pandas, polars and DuckDB read as one table; ``statistics``,
    from which quantiles of any level follow; and the tables of `quantiles` and `responders` as they were asked for.

    **Parameters**: `run`; `shards`, those that are done, in order.
    """

    run: Run
    shards: tuple[Shard, ...]

    @staticmethod
    def open(folder: str | Path) -> Found:
        """Of a run that ended.

        **Raises** `FileNotFoundError` where the folder is no run; `ValueError` where it is none of a cohort, or has
        not ended.
        """
        run = Run.open(folder)
        said = run.manifest.get("shards")
        if said is None:
            raise ValueError(f"{run.folder} is no cohort's run that has ended ({run.manifest['kind']}, {run.status})")
        return Found(run, tuple(Shard.of(s) for s in said))

    @property
    def codes(self) -> dict[int, int]:
        """How many patients had which result."""
        total: collections.Counter[int] = collections.Counter()
        for shard in self.shards:
            total.update(shard.codes)
        return dict(sorted(total.items()))

    @property
    def error(self) -> float:
        """Largest relative error of a quantile of values that are not zero: 0 where all were kept."""
        return 0.0 if self._exact else 2.0 ** -(COARSE + 1)

    def quantiles(self, levels: Iterable[float] = (0.05, 0.5, 0.95)) -> pd.DataFrame:
        """A row for each time: number, mean, standard deviation and quantiles of each output, of those solved."""
        return Statistics.read(self.files(STATISTICS), exact=self._exact).frame(levels)

    def responders(self, thresholds: Mapping[str, float | Sequence[float]]) -> pd.DataFrame:
        """How many patients lie above each threshold of a summary (or any number a patient has), of those solved, with
        the 95 % interval that their number leaves.

        **Reference**: Wilson 1927, doi:10.1080/01621459.1927.10502953.
        """
        names = column_names(self.files(PATIENTS)[0])
        asked = {resolve(n, names, "column of patients"): np.atleast_1d(t).astype(float) for n, t in thresholds.items()}
        above = {n: np.zeros(len(t), np.int64) for n, t in asked.items()}
        solved = 0
        for file in self.files(PATIENTS):
            own = values_of(file, ["result", *asked])
            good = own["result"] == 0
            solved += int(good.sum())
            for name, t in asked.items():
                above[name] += (own[name][good, None] > t).sum(axis=0)
        rows = [
            {"summary": name, "above": float(t), "responders": int(n), "patients": solved, **_fraction(int(n), solved)}
            for name, each in asked.items()
            for t, n in zip(each, above[name], strict=True)
        ]
        return pd.DataFrame(rows)

    def patients(self, columns: Iterable[str] | None = None) -> pd.DataFrame:
        """A row for each patient; all of them, in memory."""
        return pd.read_parquet(self.run.folder / PATIENTS, columns=None if columns is None else list(columns))

    def outputs(self, first: int = 0, count: int = 1000) -> pd.DataFrame:
        """The trajectories of some patients."""
        ids = [("id", ">=", first), ("id", "<", first + count)]
        return pd.read_parquet(self.run.folder / OUTPUTS, filters=ids)

    def files(self, kind: str) -> list[Path]:
        """The shards' files of a kind, in order.

        **Raises** `ValueError` where that was not asked for.
        """
        names = [n for s in self.shards for n in s.files if n.startswith(f"{kind}/")]
        if not names:
            raise ValueError(f"{self.run.folder} holds no {kind}: it was not asked for, or no shard is done")
        return [self.run.folder / n for n in names]

    @property
    def _exact(self) -> bool:
        return bool(self.run.manifest["plan"]["exact"])


def _fraction(responders: int, patients: int) -> dict[str, Any]:
    if patients == 0:
        return {"fraction": math.nan, "lower": math.nan, "upper": math.nan}
    z = 1.959963984540054
    share = responders / patients
    middle = (share + z * z / (2 * patients)) / (1 + z * z / patients)
    half = z * math.sqrt(share * (1 - share) / patients + (z / (2 * patients)) ** 2) / (1 + z * z / patients)
    return {"fraction": share, "lower": max(middle - half, 0.0), "upper": min(middle + half, 1.0)}
