"""What is wrong with a data file: every problem with its row, column and subject, all of them reported at once."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from typing import Any, Literal

import numpy as np

Severity = Literal["error", "note"]
SHOWN = 20


@dataclasses.dataclass(frozen=True)
class Problem:
    """One thing that a reader of the data should know.

    **Parameters**: `row`, the line of the file as an editor counts it (the first line is 1; for a data frame with
    integer labels, label + 2), None where it is about the whole file; `column`, as the file spells it; `subject`;
    `message`, what it is and what to do; `severity`, ``"error"`` (the data cannot be used) or ``"note"`` (they can).
    """

    row: int | None
    column: str | None
    subject: str | None
    message: str
    severity: Severity = "error"

    def __str__(self) -> str:
        parts = [("row", self.row), ("column", self.column), ("subject", self.subject)]
        where = ", ".join(f"{what} {value}" for what, value in parts if value is not None)
        return f"{where}: {self.message}" if where else self.message


class DataError(ValueError):
    """The data cannot be used as they are; the message lists what to correct.

    **Parameters**: `problems`, all of them (the message shows the first 20); `source`, the name of the file.
    """

    problems: tuple[Problem, ...]

    def __init__(self, problems: Iterable[Problem], source: str = "the data") -> None:
        self.problems = tuple(problems)
        n = len(self.problems)
        lines = [f"{source}: {n} problem{'s' if n != 1 else ''}"]
        lines += [f"  {p}" for p in self.problems[:SHOWN]]
        if n > SHOWN:
            lines.append(f"  ... and {n - SHOWN} more (the error's `problems` has them all)")
        if any(p.row is not None for p in self.problems):
            lines.append("Correct these rows (row 1 is the file's first line) and read it again.")
        super().__init__("\n".join(lines))


class Findings:
    """Problems as they are found, in whatever order the checks run.

    **Parameters**: `source`, the name of the file; `rows` and `subjects`, the line and the subject of every record,
    once known.
    """

    def __init__(self, source: str) -> None:
        self.source = source
        self.rows: np.ndarray = np.zeros(0, int)
        self.subjects: np.ndarray | None = None
        self._found: list[Problem] = []

    def add(
        self, message: str, *, row: int | None = None, column: str | None = None, subject: str | None = None,
        severity: Severity = "error",
    ) -> None:  # fmt: skip
        """One problem."""
        self._found.append(Problem(row, column, subject, message, severity))

    def where(
        self, mask: Any, column: str | None, say: str | Callable[[int], str], severity: Severity = "error"
    ) -> None:
        """A problem at every record where `mask` holds; `say` is the message, or makes it from the record's number."""
        for i in np.flatnonzero(mask).tolist():
            subject = None if self.subjects is None else str(self.subjects[i]) or None
            message = say if isinstance(say, str) else say(i)
            self._found.append(Problem(int(self.rows[i]), column, subject, message, severity))

    @property
    def problems(self) -> tuple[Problem, ...]:
        """All of them, in file order; those of the whole file first."""
        return tuple(sorted(self._found, key=lambda p: -1 if p.row is None else p.row))

    @property
    def errors(self) -> tuple[Problem, ...]:
        """Those for which the data cannot be used."""
        return tuple(p for p in self.problems if p.severity == "error")

    def raise_errors(self) -> None:
        """Raise `DataError` if there is any error."""
        if self.errors:
            raise DataError(self.errors, self.source)
