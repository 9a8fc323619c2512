"""Values only known to lie below or above a limit: CENS and LIMIT, BLQ and LLOQ, or a limit given to the reader."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from twinjax.io.problems import Findings
from twinjax.observation import ABOVE, BELOW, QUANTIFIED

Limit = float | Mapping[str | int, float] | None


def read_censoring(
    observed: np.ndarray, value: np.ndarray, output: np.ndarray, numbers: Mapping[str, np.ndarray],
    columns: Mapping[str, str], lloq: Limit, findings: Findings,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:  # fmt: skip
    """Value, CENS and LIMIT of every record. A censored value is its limit of quantification; none is dropped.

    CENS (1 below DV, -1 above it) comes before BLQ (1: below LLOQ), and both before `lloq` (values less than it).
    """
    n = len(observed)
    missing = np.full(n, np.nan)
    lower = np.where(np.isnan(numbers.get("LLOQ", missing)), _given(output, lloq), numbers.get("LLOQ", missing))
    flag = np.nan_to_num(numbers.get("CENS", np.zeros(n)))
    blq = np.nan_to_num(numbers.get("BLQ", np.zeros(n)))
    values = value.copy()

    findings.where(
        observed & ~np.isin(flag, (QUANTIFIED, BELOW, ABOVE)), columns.get("CENS"),
        lambda i: f"CENS {flag[i]:g} is not 0 (measured), 1 (below DV) or -1 (above DV)",
    )  # fmt: skip
    findings.where(observed & ~np.isin(blq, (0, 1)), columns.get("BLQ"), lambda i: f"BLQ {blq[i]:g} is not 0 or 1")

    by_flag = (blq == 1) & (flag == QUANTIFIED)
    findings.where(
        observed & by_flag & np.isnan(lower), columns.get("BLQ"),
        "the value is below the limit of quantification (BLQ = 1), but which? Add a column LLOQ or give lloq=...",
    )  # fmt: skip
    values = np.where((by_flag | ((flag == BELOW) & np.isnan(values))) & ~np.isnan(lower), lower, values)
    by_limit = (flag == QUANTIFIED) & ~by_flag & (value < _given(output, lloq)) & ("LLOQ" not in numbers)
    values = np.where(by_limit, lower, values)
    censored = np.where(by_flag | by_limit, BELOW, flag).astype(int)

    under = observed & (censored == QUANTIFIED) & (value < lower)
    if under.any():
        said = f"{under.sum()} values lie below LLOQ without BLQ = 1 or CENS = 1; they are read as measured"
        findings.add(said, column=columns.get("LLOQ"), severity="note")

    end = np.where(censored == QUANTIFIED, np.nan, numbers.get("LIMIT", missing))
    crossed = ((censored == BELOW) & (end >= values)) | ((censored == ABOVE) & (end <= values))
    findings.where(
        observed & crossed, columns.get("LIMIT"),
        lambda i: f"LIMIT {end[i]:g} is the other end of the interval that DV {values[i]:g} bounds; "
        f"it must be {'less' if censored[i] == BELOW else 'greater'}",
    )  # fmt: skip
    return values, censored, np.where(np.isnan(end), -np.inf, end)


def _given(output: np.ndarray, lloq: Limit) -> np.ndarray:
    if isinstance(lloq, Mapping):
        return np.array([lloq.get(o, np.nan) for o in output], float)
    return np.full(len(output), np.nan if lloq is None else float(lloq))
