"""The records of a data file, typed, checked and in one clock: what lies between a table of text and the subjects."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from twinjax.io import checks
from twinjax.io.censoring import Limit, read_censoring
from twinjax.io.columns import find, header_words, missing, wanted
from twinjax.io.conversion import factors
from twinjax.io.covariates import Wanted, read_covariates
from twinjax.io.events import after_resets, infer_evid, read_classic
from twinjax.io.problems import Findings
from twinjax.io.routing import Routing, compartments_of, outputs_of
from twinjax.io.table import Table, read_table

Source = str | os.PathLike[str] | pd.DataFrame


@dataclasses.dataclass(frozen=True)
class Options:
    """How to read a file: the arguments of `read_nonmem`, which says what they mean."""

    columns: Mapping[str, str | None] | None = None
    outputs: Routing = None
    doses: Routing = None
    covariates: Wanted = None
    units: Mapping[str, Any] | None = None
    lloq: Limit = None


@dataclasses.dataclass(frozen=True)
class Records:
    """Every record of a file in columns, `(n,)` each.

    **Parameters**: `spans`, the records of each subject; `dosed`, doses and resets (EVID 1, 3, 4); `observed`,
    observations with a value; `covariates`, by name; `levels`, the codes of those that are text.
    """

    subject: np.ndarray
    spans: list[slice]
    time: np.ndarray
    evid: np.ndarray
    amount: np.ndarray
    rate: np.ndarray
    interval: np.ndarray
    additional: np.ndarray
    steady_state: np.ndarray
    into: np.ndarray
    dosed: np.ndarray
    observed: np.ndarray
    value: np.ndarray
    output: np.ndarray
    censored: np.ndarray
    limit: np.ndarray
    covariates: dict[str, np.ndarray]
    levels: dict[str, dict[str, int]]


def read_records(data: Source, options: Options) -> tuple[Records | None, Findings]:
    """The records of a file, and everything found on the way; None where there is not even a table with ID and TIME."""
    findings = Findings("the data frame" if isinstance(data, pd.DataFrame) else Path(data).name)
    table = read_table(data, header_words(options.columns), findings)
    if table is None:
        return None, findings
    columns = find(table.names, options.columns, findings)
    if "ID" not in columns or "TIME" not in columns:
        return None, findings
    findings.rows, findings.subjects = table.rows, table.text(columns["ID"])
    return _records(table, columns, findings.subjects, options, findings), findings


def _records(
    table: Table, columns: dict[str, str], subject: np.ndarray, options: Options, findings: Findings
) -> Records | None:
    spans = checks.spans_of(subject, columns["ID"], findings)
    n, bad = _numbers(table, columns, findings)
    cmt, dvid = (table.text(columns[r]) if r in columns else None for r in ("CMT", "DVID"))
    time = n["TIME"]
    checks.check_time(time, bad["TIME"], columns["TIME"], findings)

    evid, given = n["EVID"], np.zeros(len(time), dtype=object)
    read_classic(evid, n["AMT"], n["RATE"], time, n["SS"], given, spans, findings)
    unread = bad["EVID"] | (np.isnan(evid) & (table.text(columns["EVID"]) != "" if "EVID" in columns else False))
    evid = infer_evid(evid, n["AMT"], n["RATE"], n["MDV"], unread, findings)
    findings.where(
        ~np.isnan(evid) & ~np.isin(evid, range(5)), columns.get("EVID"),
        lambda i: f"EVID {evid[i]:g} is none of 0 observation, 1 dose, 2 other, 3 reset, 4 reset and dose",
    )  # fmt: skip

    doses, dosed = np.isin(evid, (1, 4)), np.isin(evid, (1, 3, 4))
    observed = (evid == 0) & (n["MDV"] != 1)
    mdv = n["MDV"]
    findings.where(
        ~np.isnan(mdv) & ~np.isin(mdv, (0, 1)), columns.get("MDV"), lambda i: f"MDV {mdv[i]:g} is not 0 or 1"
    )
    for role, needed, what in (("AMT", doses, "dose"), ("DV", observed, "observation")):
        if role not in columns and needed.any():
            if wanted(options.columns).get(role) is None:
                missing(role, table.names, findings, f"there are {what} records but no column {role}")
            return None
    checks.check_doses(doses, evid, n, bad, columns, findings)
    said = np.where(given != 0, given.astype(str), "" if cmt is None else cmt).astype(object)
    into = compartments_of(doses, said, options.doses, columns.get("CMT"), findings)
    output = outputs_of(observed, dvid, cmt, options.outputs, columns, findings)
    present = {r: n[r] for r in ("CENS", "BLQ", "LLOQ", "LIMIT") if r in columns}
    value, censored, limit = read_censoring(observed, n["DV"], output, present, columns, options.lloq, findings)
    checks.check_values(observed, doses, value, bad["DV"], columns, findings)

    going_on = after_resets(time, evid, spans, findings)
    taken = set(columns.values()) | {c for c in _dropped(table, options.columns)}
    covariates, levels = read_covariates(table, taken, options.covariates, spans, findings)
    checks.note_unusual(spans, going_on, evid, observed, output, columns, findings)
    if options.covariates is None and "RATE" not in columns and "TINF" in covariates:
        findings.add(
            "is Monolix's duration of infusion, which is not read; give a column RATE = AMT / TINF", column="TINF"
        )
    if "AMT" not in columns:
        findings.add("there is no column AMT, so nobody is given a dose", severity="note")

    k = factors(options.units, covariates, columns)
    amount, rate, interval = (np.nan_to_num(n[r]) for r in ("AMT", "RATE", "II"))
    dv = _by_output(k.get("DV", 1.0), output)
    return Records(
        subject=subject, spans=spans, time=going_on * k.get("TIME", 1.0), evid=evid, amount=amount * k.get("AMT", 1.0),
        rate=np.where(rate > 0, rate * k["RATE"], rate), interval=interval * k["II"],
        additional=np.nan_to_num(n["ADDL"]), steady_state=np.nan_to_num(n["SS"]), into=into, dosed=dosed,
        observed=observed, value=value * dv, output=output, censored=censored, limit=limit * dv,
        covariates={c: v * k.get(c, 1.0) for c, v in covariates.items()}, levels=levels,
    )  # fmt: skip


def _numbers(
    table: Table, columns: Mapping[str, str], findings: Findings
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """The numeric columns (NaN where there is none, or no number), and where cells are bad."""
    numbers, bad = {}, {}
    for role in ("TIME", "AMT", "DV", "EVID", "MDV", "RATE", "II", "ADDL", "SS", "CENS", "LIMIT", "BLQ", "LLOQ"):
        if role not in columns:
            numbers[role], bad[role] = np.full(len(table.rows), np.nan), np.zeros(len(table.rows), bool)
            continue
        column = columns[role]
        values, wrong = table.number(column)
        cells = table.cells[column]
        hint = "; a clock time must be converted to hours" if role == "TIME" else ""
        findings.where(wrong, column, lambda i, c=cells, h=hint: f"{c[i]!r} is not a number; . is a missing one{h}")
        infinite = np.isinf(values)
        findings.where(infinite, column, "is infinite; give a finite number, or . where it is missing")
        numbers[role], bad[role] = np.where(infinite, np.nan, values), wrong | infinite
    return numbers, bad


def _dropped(table: Table, columns: Mapping[str, str | None] | None) -> list[str]:
    """Columns that `columns` says are not there (``{"MDV": None}``)."""
    parts = {role.casefold() for role, column in (columns or {}).items() if column is None}
    return [n for n in table.names if n.casefold() in parts]


def _by_output(factor: float | Mapping[str | int, float], output: np.ndarray) -> Any:
    return np.array([factor.get(o, 1.0) for o in output]) if isinstance(factor, Mapping) else factor
