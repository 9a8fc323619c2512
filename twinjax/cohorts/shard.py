"""One shard of a cohort: solved, counted, written. What a thread does here, a worker of a cluster does there."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from twinjax.cohorts.programs import Programs
from twinjax.cohorts.tables import OUTPUTS, PATIENTS, STATISTICS, Statistics, Table, write_outputs, write_patients
from twinjax.runs import atomic, sha256


class Stopped(Exception):
    """A shard was given up because the run stops."""


@dataclasses.dataclass(frozen=True)
class Shard:
    """What a run knows of a shard that is done.

    **Parameters**: `number`; `first` patient; `patients`, how many; `codes`, how many had which result; `files`, by
    path within the run: bytes, rows and hash.
    """

    number: int
    first: int
    patients: int
    codes: dict[int, int]
    files: dict[str, dict[str, Any]]

    def to_dict(self) -> dict[str, Any]:
        """In plain numbers."""
        return {**vars(self), "codes": {str(c): n for c, n in self.codes.items()}}

    @staticmethod
    def of(said: dict[str, Any]) -> Shard:
        """From plain numbers."""
        return Shard(**{**said, "codes": {int(c): n for c, n in said["codes"].items()}})

    def kept(self, folder: Path) -> bool:
        """Whether its files are there as they were written."""
        for name, known in self.files.items():
            file = folder / name
            if not file.is_file() or file.stat().st_size != known["bytes"] or sha256(file) != known["sha256"]:
                return False
        return True


def solve_shard(
    programs: Programs, number: int, folder: Path, solved: Callable[[int], bool] = lambda patients: True
) -> Shard:
    """Solve a shard and write its files, each under another name until it is complete.

    **Parameters**: `solved`, called with the number of patients after each group; where it says False the shard is
    given up.
    **Raises** `Stopped` where it was.
    """
    plan = programs.plan
    first, count = plan.bounds(number)
    name = f"{number:0{max(5, len(str(plan.shards - 1)))}d}.parquet"
    wanted = {OUTPUTS: plan.trajectories, STATISTICS: plan.bands, PATIENTS: True}
    paths = [f"{kind}/{name}" for kind, asked in wanted.items() if asked]
    codes: collections.Counter[int] = collections.Counter()
    statistics = Statistics(plan.outputs, plan.times[plan.watched], exact=plan.exact) if plan.bands else None
    with contextlib.ExitStack() as stack:
        tables: dict[str, Table] = {}
        for path in paths:
            (folder / path).parent.mkdir(exist_ok=True)
            tables[path.split("/")[0]] = Table(stack.enter_context(atomic(folder / path)))
        with contextlib.ExitStack() as open_tables:  # closed before they get their names
            for table in tables.values():
                open_tables.callback(table.close)
            for group in programs.groups(first, count):
                codes.update(_counted(group.result))
                write_patients(tables[PATIENTS], plan, group)
                if plan.trajectories:
                    write_outputs(tables[OUTPUTS], plan, group)
                if statistics is not None:
                    statistics.add(group, plan.watched)
                if not solved(len(group)):
                    raise Stopped
            if statistics is not None:
                statistics.write(tables[STATISTICS])
        files = {
            path: {"rows": t.rows, "bytes": t.file.stat().st_size, "sha256": sha256(t.file)}
            for path, t in zip(paths, tables.values(), strict=True)
        }
    return Shard(number, first, count, dict(sorted(codes.items())), files)


def _counted(result: np.ndarray) -> dict[int, int]:
    code, number = np.unique(result, return_counts=True)
    return dict(zip(code.tolist(), number.tolist(), strict=True))
