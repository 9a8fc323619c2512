"""What each record of a data file is: an observation, a dose, a reset or neither. EVID, and what stands in for it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from twinjax.io.problems import Findings


def infer_evid(
    evid: np.ndarray, amount: np.ndarray, rate: np.ndarray, mdv: np.ndarray, bad: np.ndarray, findings: Findings
) -> np.ndarray:
    """EVID; where it is missing, as in NONMEM, a dose has an amount or a rate, and the rest 2 if MDV = 1, else 0."""
    unknown = np.isnan(evid) & ~bad
    doses = (np.nan_to_num(amount) != 0) | (np.nan_to_num(rate) != 0)
    findings.where(
        unknown & doses & (mdv == 0),
        "AMT",
        "the record is a dose (AMT) and an observation (MDV = 0); write it as two rows",
    )
    inferred = np.where(doses, 1.0, np.where(mdv == 1, 2.0, 0.0))
    return np.where(unknown, inferred, evid)


def read_classic(
    evid: np.ndarray, amount: np.ndarray, rate: np.ndarray, time: np.ndarray, steady: np.ndarray, into: np.ndarray,
    spans: Sequence[slice], findings: Findings,
) -> None:  # fmt: skip
    """Rewrite, in place, the event codes of rxode2's classic files (EVID of 100 or more) as NONMEM's.

    The code is ``10000 i + 100 c + e``: a dose into compartment c, at steady state where e is 10 or 20 (SS 1, 2; else
    1); i = 1 is an infusion, whose AMT is its rate: a later record with the negative AMT ends it.
    """
    classic = evid >= 100
    if not classic.any():
        return
    code = np.where(classic, evid, 0.0).astype(int)
    infusion, ending = code // 10000, code % 100
    unknown = classic & (~np.isin(infusion, (0, 1)) | ~np.isin(ending, (1, 10, 20)) | (code // 100 % 100 == 0))
    findings.where(
        unknown,
        "EVID",
        lambda i: f"EVID {evid[i]:g} is no event code that is known: 0 to 4, or an rxode2 code such as 101",
    )
    evid[unknown], classic = np.nan, classic & ~unknown
    evid[classic] = 1
    steady[classic & (ending >= 10)] = (ending // 10)[classic & (ending >= 10)]
    into[classic] = (code // 100 % 100)[classic]
    running = classic & (infusion == 1)
    for span in spans:
        rows = [i for i in range(span.start, span.stop) if running[i]]
        while rows:
            start = rows.pop(0)
            stop = next((j for j in rows if amount[j] == -amount[start] and code[j] == code[start]), None)
            if not amount[start] > 0 or stop is None:
                lone = np.arange(len(evid)) == start
                findings.where(lone, "AMT", "the infusion has no second record, with the negative AMT, that ends it")
                evid[start] = np.nan
                continue
            rows.remove(stop)
            rate[start], evid[stop] = amount[start], 2
            amount[start] *= time[stop] - time[start]
            amount[stop] = 0.0


def after_resets(time: np.ndarray, evid: np.ndarray, spans: Sequence[slice], findings: Findings) -> np.ndarray:
    """Times that never decrease: a clock that restarts at a reset (EVID 3, 4) is made to go on from the last record.

    The body is empty after a reset, so only the clock changes. Elsewhere a time that decreases is a problem.
    """
    going_on = time.copy()
    restart, backwards = np.zeros(len(time), bool), np.zeros(len(time), bool)
    for span in spans:
        added = 0.0
        for i in range(span.start + 1, span.stop):
            if time[i] < time[i - 1]:
                if evid[i] in (3, 4):
                    added, restart[i] = going_on[i - 1] - time[i], True
                else:
                    backwards[i] = True
            going_on[i] = time[i] + added
            if added and not backwards[i]:
                going_on[i] = max(going_on[i], going_on[i - 1])  # rounding must not turn a tie around
    findings.where(
        restart, "TIME",
        lambda i: f"the clock restarts here, at a reset; {going_on[i] - time[i]:g} is added from here on", "note",
    )  # fmt: skip
    findings.where(
        backwards, "TIME",
        lambda i: f"the time goes back to {time[i]:g}; sort the rows by time, or, where a new occasion begins "
        "with an empty body, make its first dose EVID 4",
    )  # fmt: skip
    return going_on
