"""A data file as a table of text, each row with the line it stands on.

Lines are split here rather than by pandas, which stops at the first ragged line and loses line numbers where it skips
comments: here every bad line is reported, with the number that an editor shows.
"""

from __future__ import annotations

import csv
import dataclasses
import gzip
import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from twinjax.io.problems import Findings

MISSING = frozenset({"", ".", "na", "nan", "n/a", "null", "none", "<na>"})
"""What a missing cell may hold, in any case."""

_C_ROW = re.compile(r"\s*C(?:[,;\s]|$)")


@dataclasses.dataclass(frozen=True)
class Table:
    """Cells by column (text, ``""`` where missing; or numbers, NaN where missing), and the line of each row.

    **Parameters**: `names`, the header as the file spells it; `cells`, by name; `rows`, `(n,)`.
    """

    names: tuple[str, ...]
    cells: dict[str, np.ndarray]
    rows: np.ndarray

    def number(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """A column as numbers (NaN where there is none), and where it holds something that is not a number."""
        cells = self.cells[name]
        if cells.dtype != object:
            return cells.astype(float), np.zeros(len(cells), bool)
        values, bad = np.full(len(cells), np.nan), np.zeros(len(cells), bool)
        for i, cell in enumerate(cells):
            if cell:
                try:
                    values[i] = float(cell)
                    bad[i] = "_" in cell
                except ValueError:
                    bad[i] = True
        return values, bad

    def text(self, name: str) -> np.ndarray:
        """A column as text; a whole number without its decimals (``1.0`` is ``1``), ``""`` where missing."""
        return np.array([_label(c) for c in self.cells[name]] or [], dtype=object)


def _label(cell: Any) -> str:
    text = cell if isinstance(cell, str) else repr(float(cell))
    if text.isdigit() or text in ("", "nan"):
        return "" if text == "nan" else text
    try:
        return str(int(float(text))) if float(text).is_integer() else text
    except ValueError:
        return text


def read_table(data: str | os.PathLike[str] | pd.DataFrame, words: set[str], findings: Findings) -> Table | None:
    """The table in a file (commas, semicolons, tabs or spaces; plain or gzip) or a data frame.

    **Parameters**: `words`, folded names that mark a line as the header.
    Adds a problem, and returns None where there is no table at all: an empty file, no header, a header only.
    """
    if isinstance(data, pd.DataFrame):
        names, body, rows = _of_frame(data)
    else:
        read = _of_lines(_lines(Path(data)), words, findings)
        if read is None:
            return None
        names, body, rows = read
    seen: set[str] = set()
    for name in names:
        if name and name.casefold() in seen:
            findings.add("two columns have this name (case does not count); rename or remove one", column=name)
        seen.add(name.casefold())
    if not len(rows):
        findings.add("there is a header but no data row below it; give at least one record")
        return None
    unnamed = sum(not n and c.dtype == object and any(c) for n, c in zip(names, body, strict=True))
    if unnamed:
        findings.add(f"{unnamed} columns have no name in the header and are left out", severity="note")
    return Table(tuple(names), {n: c for n, c in zip(names, body, strict=True) if n}, np.asarray(rows, int))


def _of_frame(frame: pd.DataFrame) -> tuple[list[str], list[np.ndarray], np.ndarray]:
    labelled = pd.api.types.is_integer_dtype(frame.index.dtype)
    rows = (np.asarray(frame.index) if labelled else np.arange(len(frame))) + 2
    return (
        [str(c).strip() for c in frame.columns],
        [_frame_column(frame.iloc[:, i]) for i in range(frame.shape[1])],
        rows,
    )


def _frame_column(column: Any) -> np.ndarray:
    if pd.api.types.is_numeric_dtype(column.dtype):
        return column.to_numpy(dtype=float, na_value=np.nan)
    blank = column.isna().to_numpy()
    texts = [
        "" if b or str(c).strip().lower() in MISSING else str(c).strip() for c, b in zip(column, blank, strict=True)
    ]
    return np.array(texts, dtype=object)


def _lines(path: Path) -> list[str]:
    raw = path.read_bytes()
    if raw[:2] == b"PK":
        raise ValueError(f"{path.name} is a spreadsheet or a zip archive; save the table as CSV")
    text = (gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw).decode("utf-8-sig", errors="replace")
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")


def _of_lines(
    lines: list[str], words: set[str], findings: Findings
) -> tuple[list[str], list[np.ndarray], list[int]] | None:
    filled = [i for i, line in enumerate(lines) if line.strip(" \t,;")]
    if not filled:
        findings.add("the file is empty; it needs a header (ID, TIME, DV, ...) and a row for every record")
        return None
    at = _header(lines, filled, words)
    if at is None:
        findings.add(
            "there is no header: the first line must name the columns (ID, TIME, AMT, DV, ...)", row=filled[0] + 1
        )
        return None
    header = _unmarked(lines[at])
    separator = _separator(header)
    names = _split(header, separator)
    # A row that begins with C is a comment, unless subjects have text for ids, of which C may be one.
    texts = any(re.match(r"\s*(?!C[,;\s])(?!TABLE NO)[A-Za-z]", lines[i]) for i in filled if i > at)
    data = [i for i in filled if i > at and not _comment(lines[i], c_is_text=texts)]
    split = [_split(lines[i], separator) for i in data]
    if names[0] == "C" and _comment(lines[at]) and split:
        names = names[1:] if len(split[0]) == len(names) - 1 else ["", *names[1:]]
    kept: list[list[str]] = []
    for i, cells in zip(data, split, strict=True):
        while len(cells) > len(names) and not cells[-1]:
            cells.pop()
        if len(cells) != len(names):
            findings.add(
                f"has {len(cells)} cells where the header has {len(names)}; write . for a missing cell", row=i + 1
            )
        kept.append((cells + [""] * len(names))[: len(names)])
    rows = [i + 1 for i in data]
    body = [np.array([r[j] for r in kept] or [], dtype=object) for j in range(len(names))]
    return names, body, rows


def _split(line: str, separator: str | None) -> list[str]:
    if separator is None:
        return [_blank(c) for c in line.split()]
    return [_blank(c.strip()) for c in next(csv.reader([line], delimiter=separator, skipinitialspace=True))]


def _blank(cell: str) -> str:
    return "" if cell.lower() in MISSING else cell


def _comment(line: str, c_is_text: bool = False) -> bool:
    start = line.lstrip()
    return start[:1] in "#@" or start.startswith("TABLE NO") or (not c_is_text and bool(_C_ROW.match(line)))


def _header(lines: list[str], filled: list[int], words: set[str]) -> int | None:
    """The header's line: the first that is no comment, if it names columns; else a comment above it that does."""
    first = next((i for i in filled if not _comment(lines[i])), None)
    if first is None:
        return next((i for i in reversed(filled) if _known(lines[i], words) >= 2), None)
    if _known(lines[first], words) >= 2:
        return first
    width = len(_split(lines[first], _separator(lines[first])))
    for i in (i for i in reversed(filled) if i < first):
        cells = _split(_unmarked(lines[i]), _separator(lines[i]))
        if _known(lines[i], words) >= 2 and len(cells) - width in ((0, 1) if cells[0] == "C" else (0,)):
            return i
    cells = [c for c in _split(lines[first], _separator(lines[first])) if c]
    return None if any(re.fullmatch(r"[-+.\d][-+.\deEdD]*", c) for c in cells) else first


def _known(line: str, words: set[str]) -> int:
    return sum(c.strip('"# @').casefold() in words for c in re.split(r"[,;\s]+", line))


def _unmarked(line: str) -> str:
    return line.lstrip().lstrip("#@") if line.lstrip()[:1] in ("#", "@") else line


def _separator(line: str) -> str | None:
    return next((s for s in (",", ";", "\t") if s in line), None)
