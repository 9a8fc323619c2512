"""Counts of cells in wells from a folder of CSV tables, as PhenoPop lays them out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from twinjax.assays.counts import Counts


def read_counts(
    source: str | Path, *, times: Sequence[float] | None = None, concentrations: Sequence[float] | None = None
) -> list[Counts]:
    """The experiments of a folder, in the order of their names, or of one file.

    ``DATA-NAME.csv`` holds no header: rows are every replicate of the first time, then of the next, and so on; columns
    are concentrations; an empty field or ``NaN`` is a count that is missing. ``Time.csv`` (h) and ``Conc-NAME.csv``
    hold one row each; `times` and `concentrations` stand in for them.

    **Raises** `FileNotFoundError` where there is no such table, or its times or concentrations are neither given nor
    beside it; `ValueError` with file, row and column for a field that is no number.
    """
    path = Path(source)
    files = [path] if path.is_file() else sorted(path.glob("DATA-*.csv"))
    if not files:
        raise FileNotFoundError(f"{path} is neither a table of counts nor a folder with DATA-NAME.csv in it")
    found = []
    for file in files:
        name = file.stem.removeprefix("DATA-")
        hours = times if times is not None else _row(file.with_name("Time.csv"), "times")
        doses = (
            concentrations if concentrations is not None else _row(file.with_name(f"Conc-{name}.csv"), "concentrations")
        )
        found.append(Counts.stacked(_table(file), list(hours), list(doses), name))
    return found


def _row(file: Path, what: str) -> list[float]:
    if not file.is_file():
        raise FileNotFoundError(f"there is no {file.name} beside the counts: give the {what} instead")
    return _table(file)[0].tolist()


def _table(file: Path) -> np.ndarray:
    rows = []
    for number, line in enumerate(file.read_text(encoding="utf-8-sig").splitlines(), 1):
        if line.strip():
            rows.append([_number(f, file, number, column) for column, f in enumerate(line.split(","), 1)])
            if len(rows[-1]) != len(rows[0]):
                raise ValueError(
                    f"{file}, row {number}: {len(rows[-1])} fields, where the first row has {len(rows[0])}"
                )
    if not rows:
        raise ValueError(f"{file} is empty")
    return np.asarray(rows)


def _number(field: str, file: Path, row: int, column: int) -> float:
    text = field.strip()
    try:
        return float(text) if text else float("nan")
    except ValueError:
        raise ValueError(f"{file}, row {row}, column {column}: {text!r} is not a number") from None
