"""The covariates of a data file: numbers or coded text, filled where missing, cut into segments where they change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from twinjax.io.problems import Findings
from twinjax.io.table import Table
from twinjax.naming import suggestion

Wanted = Sequence[str] | Mapping[str, str] | None
"""Which covariates: names of columns, or new name -> column; None is every column that plays no other part."""

_CORRECT = "correct it, or name the covariates you want with covariates=[...]"


def read_covariates(
    table: Table, taken: set[str], wanted: Wanted, spans: Sequence[slice], findings: Findings
) -> tuple[dict[str, np.ndarray], dict[str, dict[str, int]]]:
    """Covariates by name, one value per record, and the codes of those that are text.

    **Parameters**: `taken`, columns that play another part; `spans`, the records of each subject.
    """
    chosen = _choose(table, taken, wanted, findings)
    values: dict[str, np.ndarray] = {}
    levels: dict[str, dict[str, int]] = {}
    for name, column in chosen.items():
        numbers, bad = table.number(column)
        present = bad | ~np.isnan(numbers)
        if bad.any() and bad.sum() == present.sum():
            codes = _levels(table.text(column))
            if wanted is None and len(codes) > max(20, len(spans)):
                findings.add(
                    f"is text with {len(codes)} different values (dates? comments?), so it is left out as a covariate",
                    column=column, severity="note",
                )  # fmt: skip
                continue
            numbers = np.array([codes.get(t, np.nan) for t in table.text(column)], float)
            levels[name] = codes
            listed = ", ".join(f"{t} = {c}" for t, c in codes.items())
            findings.add(f"is text, coded as {listed}", column=column, severity="note")
        elif bad.any():
            text = table.text(column)
            findings.where(bad, column, lambda i, text=text: f"{text[i]!r} is not a number; {_CORRECT}")
        findings.where(np.isinf(numbers), column, "is infinite; give a finite number, or . where it is not known")
        if not present.any():
            said = "has no value at all, so it is left out of the covariates"
            findings.add(said, column=column, severity="note" if wanted is None else "error")
            continue
        values[name] = np.full(len(numbers), np.nan)
        for span in spans:
            values[name][span] = _filled(numbers[span])
            if np.isnan(values[name][span]).all() and not bad[span].any():
                _nothing(column, span, wanted is None, findings)
        _looks_like_a_clock(column, numbers, spans, findings)
    return values, levels


def segments(values: Mapping[str, np.ndarray]) -> tuple[dict[str, float | np.ndarray], np.ndarray]:
    """One subject's covariates, a number each or an array by segment; and the last record of each segment but the last.

    NONMEM's convention: a record's covariates hold over the interval that ends at it.
    A covariate that this subject lacks (NaN throughout) is left out.
    """
    known = {n: v for n, v in values.items() if not np.isnan(v).all()}
    if not known:
        return {}, np.zeros(0, int)
    table = np.stack(list(known.values()))
    last = np.flatnonzero((table[:, 1:] != table[:, :-1]).any(axis=0))
    starts = np.concatenate([[0], last + 1])
    cut = {n: v[starts] for n, v in known.items()}
    return {n: float(v[0]) if (v == v[0]).all() else v for n, v in cut.items()}, last


def _choose(table: Table, taken: set[str], wanted: Wanted, findings: Findings) -> dict[str, str]:
    if wanted is None:
        return {n: n for n in table.names if n and n not in taken}
    if isinstance(wanted, str):
        raise ValueError(f"covariates is a list of columns or a mapping of names to columns; write [{wanted!r}]")
    folded = {n.casefold(): n for n in reversed(table.names) if n}
    chosen: dict[str, str] = {}
    for name, column in wanted.items() if isinstance(wanted, Mapping) else ((c, c) for c in wanted):
        if column.casefold() in folded:
            chosen[name] = folded[column.casefold()]
        else:
            near = suggestion(column, list(folded.values()))
            findings.add(f"there is no column {column!r}, which `covariates` names{near}", column=column)
    return chosen


def _levels(text: np.ndarray) -> dict[str, int]:
    """Codes 0, 1, ... in alphabetical order."""
    return {t: i for i, t in enumerate(sorted({t for t in text if t}))}


def _filled(values: np.ndarray) -> np.ndarray:
    """Missing values carried forward, and those before the first one carried backward."""
    known = np.flatnonzero(~np.isnan(values))
    if not len(known):
        return values
    before = np.searchsorted(known, np.arange(len(values)), side="right") - 1
    return values[known[np.maximum(before, 0)]]


def _nothing(column: str, span: slice, optional: bool, findings: Findings) -> None:
    said = "the subject has no value of this covariate in any record; give one"
    if optional:
        said = "the subject has no value of this covariate in any record, so lacks it"
    first = np.zeros(len(findings.rows), bool)
    first[span.start] = True
    findings.where(first, column, said, "note" if optional else "error")


def _looks_like_a_clock(column: str, values: np.ndarray, spans: Sequence[slice], findings: Findings) -> None:
    steps = sum(s.stop - s.start - 1 for s in spans)
    changes = sum(int((np.diff(values[s]) != 0).sum()) for s in spans)
    if steps >= 10 and changes > 0.8 * steps:
        said = (
            "changes at nearly every record, like a clock or a row number; if it is no covariate, name those that are"
        )
        findings.add(f"{said} with covariates=[...]", column=column, severity="note")
