"""What must hold of the records of a data file, and what is worth a note."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from twinjax.io.problems import Findings


def spans_of(subjects: np.ndarray, column: str, findings: Findings) -> list[slice]:
    """The records of each subject. A subject that comes back after another one is a problem."""
    starts = [0, *(np.flatnonzero(subjects[1:] != subjects[:-1]) + 1).tolist()]
    spans = [slice(a, b) for a, b in zip(starts, [*starts[1:], len(subjects)], strict=True)]
    first: dict[str, int] = {}
    again = np.zeros(len(subjects), bool)
    for span in spans:
        if subjects[span.start]:
            again[span.start] = first.setdefault(subjects[span.start], span.start) != span.start
    findings.where(subjects == "", column, "the record has no ID; every record says whose it is")
    findings.where(
        again, column,
        lambda i: f"subject {subjects[i]} already has records from row {findings.rows[first[subjects[i]]]} on, and "
        "others' between; sort the rows by subject and time, or give two people two ids",
    )  # fmt: skip
    return spans


def check_time(time: np.ndarray, bad: np.ndarray, column: str, findings: Findings) -> None:
    """Every record has a time, and it is not negative."""
    findings.where(np.isnan(time) & ~bad, column, "the record has no time; give one")
    findings.where(
        time < 0, column,
        lambda i: f"the time {time[i]:g} is negative; shift the subject's clock so that its first record is at 0",
    )  # fmt: skip


def check_doses(
    dosed: np.ndarray, evid: np.ndarray, n: Mapping[str, np.ndarray], bad: Mapping[str, np.ndarray],
    columns: Mapping[str, str], findings: Findings,
) -> None:  # fmt: skip
    """AMT, RATE, II, ADDL and SS of doses (EVID 1, 4), and that resets and observations have no amount."""
    amount, rate, interval, additional, steady = (n[r] for r in ("AMT", "RATE", "II", "ADDL", "SS"))
    constant = (steady == 1) & (amount == 0) & (rate > 0)  # an infusion since long ago that ends at the record
    name = {r: columns.get(r, r) for r in n}

    findings.where(
        dosed & np.isnan(amount) & ~bad["AMT"], name["AMT"],
        "the dose has no AMT; give its amount, or EVID 2 if nothing was given",
    )  # fmt: skip
    findings.where(dosed & (amount < 0), name["AMT"], lambda i: f"the dose is {amount[i]:g}; it cannot be negative")
    findings.where(
        dosed & (rate < 0) & ~np.isin(rate, (-1, -2)), name["RATE"],
        lambda i: f"RATE {rate[i]:g}: give a rate above 0, 0 (bolus), -1 (modelled rate) or -2 (modelled duration)",
    )  # fmt: skip
    findings.where(
        dosed & (amount == 0) & (rate != 0) & ~np.isnan(rate) & ~constant, name["AMT"],
        "an infusion of nothing; give its AMT (0 only for a constant infusion at steady state, SS = 1)",
    )  # fmt: skip
    findings.where(
        dosed & ((additional > 0) | np.isin(steady, (1, 2))) & ~(interval > 0) & ~constant & ~bad["II"], name["II"],
        lambda i: f"{'ADDL' if additional[i] > 0 else 'SS'} needs the dosing interval II, above 0",
    )  # fmt: skip
    findings.where(
        dosed & ((additional < 0) | (additional % 1 != 0)) & ~np.isnan(additional), name["ADDL"],
        lambda i: f"ADDL {additional[i]:g} is not a number of further doses (0, 1, 2, ...)",
    )  # fmt: skip
    findings.where(
        dosed & ~np.isin(steady, (0, 1, 2)) & ~np.isnan(steady),
        name["SS"],
        lambda i: f"SS {steady[i]:g} is not 0, 1 or 2",
    )
    findings.where(
        (evid == 3) & (np.nan_to_num(amount) != 0), name["AMT"],
        "EVID 3 is a reset without a dose; use EVID 4 to reset and dose",
    )  # fmt: skip
    findings.where(
        (evid == 0) & (np.nan_to_num(amount) != 0), name["AMT"],
        lambda i: f"an observation (EVID 0) with AMT {amount[i]:g}; say EVID 1 if it is a dose, else AMT 0",
    )  # fmt: skip
    findings.where(dosed & (amount == 0) & ~constant & (np.nan_to_num(rate) == 0), name["AMT"], "a dose of 0", "note")


def check_values(
    observed: np.ndarray, dosed: np.ndarray, value: np.ndarray, bad: np.ndarray, columns: Mapping[str, str],
    findings: Findings,
) -> None:  # fmt: skip
    """Every observation has a value; what stands in DV of a dose is ignored."""
    column = columns.get("DV", "DV")
    said = "the observation has no DV; give the value, or MDV = 1 (EVID 2) if there is none"
    if "AMT" not in columns:
        said += '; if it is a dose, say which column has its amount with columns={"AMT": ...}'
    findings.where(observed & np.isnan(value) & ~bad, column, said)
    ignored = dosed & (np.nan_to_num(value) != 0)
    if ignored.any():
        said = f"{ignored.sum()} dose records have a DV, which is ignored; an observation needs a row of its own"
        findings.add(said, column=column, severity="note")


def note_unusual(
    spans: Sequence[slice], time: np.ndarray, evid: np.ndarray, observed: np.ndarray, output: np.ndarray,
    columns: Mapping[str, str], findings: Findings,
) -> None:  # fmt: skip
    """Notes: a subject without observations, one observed before the first dose, one thing observed twice at a time."""
    early, twice, empty = (np.zeros(len(time), bool) for _ in range(3))
    for span in spans:
        seen, occasion = set(), 0
        doses = np.flatnonzero(np.isin(evid[span], (1, 4)))
        if len(doses):
            early[span.start : span.start + doses[0]] = observed[span.start : span.start + doses[0]]
        empty[span.start] = not observed[span].any()
        for i in range(span.start, span.stop):
            occasion += evid[i] in (3, 4)
            if observed[i]:
                twice[i] = (occasion, time[i], output[i]) in seen
                seen.add((occasion, time[i], output[i]))
    findings.where(
        early,
        columns.get("TIME"),
        "an observation before the first dose: the model's initial state must explain it",
        "note",
    )
    findings.where(
        twice, columns.get("TIME"), lambda i: f"a second observation of output {output[i]} at time {time[i]:g}", "note"
    )
    findings.where(empty, None, "the subject has no observations", "note")
