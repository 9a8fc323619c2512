"""What a shard writes: three Parquet files, the same bytes for the same numbers.

Trajectories have a row for each patient and time, which every tool reads without a word of explanation. Measured on
a million patients at 57 times: a row for each patient, with a column for each time or a list, would be written in half
the time; but ids written as differences and times as a dictionary cost next to nothing in the file, and the long form
is already several times as fast as it has to be. Concentrations do not compress: LZ4 gives up soonest (zstd saves
5 % in size and takes a third longer); ids as text would be five times slower to read.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from twinjax.cohorts.plan import Plan
from twinjax.cohorts.programs import Group
from twinjax.cohorts.tally import AbstractTally, Counts, Exactly, Moments, Tally

OUTPUTS, PATIENTS, STATISTICS = "outputs.parquet", "patients.parquet", "statistics"
"""Folders of a run's shards. The first two are tables that readers of Parquet take as one."""

_DELTA = "DELTA_BINARY_PACKED"


class Table:
    """A Parquet file that grows by row groups."""

    def __init__(self, file: Path) -> None:
        self.file, self.rows = file, 0
        self._writer: Any = None

    def add(self, columns: dict[str, Any], *, few: Iterable[str] = (), whole: Iterable[str] = ()) -> None:
        """A row group. `few` columns have few different values, `whole` ones hold increasing whole numbers."""
        table = pa.table(columns)
        if self._writer is None:
            how: Any = {"use_dictionary": list(few), "column_encoding": dict.fromkeys(whole, _DELTA)}
            self._writer = pq.ParquetWriter(self.file, table.schema, compression="lz4", **how)
        self._writer.write_table(table, row_group_size=max(len(table), 1))
        self.rows += len(table)

    def close(self) -> None:
        """All is there."""
        if self._writer is not None:
            self._writer.close()


def write_outputs(table: Table, plan: Plan, group: Group) -> None:
    """A row for each patient and time: ``id``, ``time``, a column for each output."""
    samples, n = len(plan.times), len(group)
    columns: dict[str, Any] = {"id": np.repeat(_ids(plan, group), samples), "time": np.tile(plan.times, n)}
    columns |= {name: group.outputs[name].reshape(-1) for name in plan.outputs}
    table.add(columns, few=["time"], whole=["id"])


def write_patients(table: Table, plan: Plan, group: Group) -> None:
    """A row for each patient: ``id``, ``result`` (a code), covariates, random effects, parameters, summaries."""
    columns: dict[str, Any] = {"id": _ids(plan, group), "result": group.result.astype(np.int32)}
    columns |= {f"covariate.{name}": v for name, v in group.covariates.items()}
    columns |= {f"eta.{name}": np.ascontiguousarray(group.eta[:, i]) for i, name in enumerate(plan.population.etas)}
    columns |= group.parameters
    failed = group.result != 0
    columns |= {name: np.where(failed, np.nan, v) if failed.any() else v for name, v in group.summaries.items()}
    table.add(columns, few=["result"], whole=["id"])


def _ids(plan: Plan, group: Group) -> np.ndarray:
    small = plan.patients < 2**31
    return np.arange(group.first, group.first + len(group), dtype=np.int32 if small else np.int64)


class Statistics:
    """How each output is distributed at each watched time, over the patients who were solved.

    **Parameters**: `outputs`, their names; `times` `(watched,)`; `exact`, whether every value is kept; `counter`, the
    whole number that a bin is counted with.
    """

    def __init__(self, outputs: tuple[str, ...], times: np.ndarray, *, exact: bool, counter: Any = np.int32) -> None:
        self.outputs, self.times, self.series = outputs, times, len(outputs) * len(times)
        self.tally: AbstractTally = Exactly(self.series) if exact else Tally(self.series, counter)
        self.moments = Moments.none(self.series)

    def add(self, group: Group, watched: np.ndarray) -> None:
        """More patients, of whose samples `watched` are the indices."""
        good = group.result == 0
        columns = [group.outputs[n][:, watched] for n in self.outputs]
        values = np.concatenate(columns, axis=1) if len(columns) > 1 else columns[0]
        values = np.ascontiguousarray(values if good.all() else values[good], np.float64)
        self.tally.add(values)
        self.moments = self.moments + Moments.of(values)

    def write(self, table: Table) -> None:
        """A row for each output and time: ``output``, ``time``, ``patients``, ``mean``, ``squares`` (the sum of squared
        deviations), and the runs of `Counts` as lists ``bin`` and ``count``.
        """
        counts, m = self.tally.counts(), self.moments
        ends = np.searchsorted(counts.series, np.arange(self.series + 1)).astype(np.int32)
        flat = ends * np.int32(self.tally.width)
        table.add(
            {
                "output": np.repeat(np.asarray(self.outputs, dtype=object), len(self.times)),
                "time": np.tile(self.times, len(self.outputs)), "patients": m.number, "mean": m.mean,
                "squares": m.squares, "bin": pa.ListArray.from_arrays(ends, counts.bin),
                "count": pa.ListArray.from_arrays(flat, counts.count.reshape(-1)),
            },
            few=["output", "time"], whole=["bin.list.element", "count.list.element"],
        )  # fmt: skip

    @staticmethod
    def read(files: Iterable[Path], *, exact: bool) -> Statistics:
        """What several shards found together, in their order."""
        found: Statistics | None = None
        for file in files:
            table = pq.read_table(file)
            if found is None:
                outputs = tuple(dict.fromkeys(table["output"].to_pylist()))
                times = table["time"].to_numpy()[: len(table) // len(outputs)]
                found = Statistics(outputs, times, exact=exact, counter=np.int64)
            found._merge(table)
        if found is None:
            raise ValueError("no shard is done yet")
        return found

    def _merge(self, table: Any) -> None:
        number, mean, squares = (table[n].to_numpy() for n in ("patients", "mean", "squares"))
        self.moments = self.moments + Moments(number, mean, squares)
        lists, count = (table[n].combine_chunks() for n in ("bin", "count"))
        series = np.repeat(np.arange(self.series), np.diff(lists.offsets.to_numpy()))
        bin = lists.flatten().to_numpy()
        count = count.flatten().to_numpy().reshape(-1, self.tally.width)
        self.tally.merge(Counts(self.tally.bits, series, bin, count))

    def frame(self, levels: Iterable[float]) -> pd.DataFrame:
        """A row for each time: ``time``, and for each output ``plasma.patients``, ``plasma.mean``, ``plasma.sd``,
        ``plasma.q05``, ...
        """
        levels = tuple(levels)
        shape = (len(self.outputs), len(self.times))
        found = self.tally.counts().quantiles(levels, self.series).reshape(len(levels), *shape)
        m = self.moments
        mean = np.where(m.number > 0, m.mean, np.nan)
        columns: dict[str, Any] = {"time": self.times}
        for i, name in enumerate(self.outputs):
            own = {"patients": m.number, "mean": mean, "sd": m.sd}
            columns |= {f"{name}.{key}": x.reshape(shape)[i] for key, x in own.items()}
            columns |= {f"{name}.{level_name(q)}": found[k, i] for k, q in enumerate(levels)}
        return pd.DataFrame(columns)


def level_name(level: float) -> str:
    """``q05``, ``q50``, ``q97.5``."""
    text = f"{100 * level:g}"
    return f"q{'0' if len(text.partition('.')[0]) < 2 else ''}{text}"


def values_of(file: Path, columns: Iterable[str]) -> dict[str, np.ndarray]:
    """Some columns of a shard's table."""
    table = pq.read_table(file, columns=list(columns))
    return {n: table[n].to_numpy() for n in table.column_names}


def column_names(file: Path) -> tuple[str, ...]:
    """What a table has."""
    return tuple(pq.read_schema(file).names)
