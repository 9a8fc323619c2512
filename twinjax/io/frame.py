"""`TrialData` as a data frame in NONMEM's columns, which `read_nonmem` reads back."""

from __future__ import annotations

import bisect
from typing import Any

import numpy as np
import pandas as pd

from twinjax.dosing import MODELLED_DURATION, MODELLED_RATE
from twinjax.observation import QUANTIFIED
from twinjax.population.subject import Subject, TrialData

_COLUMNS = ("ID", "TIME", "EVID", "AMT", "RATE", "II", "ADDL", "SS", "CMT", "DV", "MDV", "DVID", "CENS", "LIMIT")


def to_frame(trial: TrialData) -> pd.DataFrame:
    """A row for every dose, reset and measurement, in time order; `read_nonmem` reads it back to the same trial.

    Columns: ID, TIME, EVID, AMT, RATE, II, ADDL, SS, CMT (of doses), DV, MDV, DVID (of measurements), CENS and LIMIT if
    anything is censored, and the covariates. A record that only carries covariates is there (EVID 2) where a segment
    needs it. Times after a reset go on, as the reader made them; coded text stays coded.

    **Raises** `ValueError` for a covariate that has the name of one of these columns.
    """
    covariates = list(dict.fromkeys(n for s in trial for n in s.covariates))
    for name in covariates:
        if name.upper() in _COLUMNS:
            raise ValueError(
                f"a covariate called {name!r} would be read back as NONMEM's column {name.upper()}; rename it"
            )
    rows = [row for s in trial for row in _rows(s)]
    frame = pd.DataFrame(rows, columns=pd.Index([*_COLUMNS, *covariates]))
    if all(row["CENS"] == QUANTIFIED for row in rows):
        frame = frame.drop(columns=["CENS", "LIMIT"])
    return frame


def _rows(s: Subject) -> list[dict[str, Any]]:
    blank = {
        "ID": s.id, "EVID": 2, "AMT": 0.0, "RATE": 0.0, "II": 0.0, "ADDL": 0, "SS": 0, "CMT": None,
        "DV": np.nan, "MDV": 1, "DVID": None, "CENS": QUANTIFIED, "LIMIT": np.nan,
    }  # fmt: skip
    time, amount, rate, interval = (
        np.asarray(a, float) for a in (s.regimen.time, s.regimen.amount, s.regimen.rate, s.regimen.interval)
    )
    at: list[tuple[float, float, int, dict[str, Any]]] = []
    for i, k in enumerate(s.regimen.kinds):
        given = {MODELLED_RATE: -1.0, MODELLED_DURATION: -2.0}.get(k.mode, float(rate[i]))
        dose = {"EVID": k.evid, "AMT": float(amount[i]), "RATE": given, "II": float(interval[i]), "ADDL": k.additional}
        dose |= {"SS": k.steady_state, "CMT": k.into}
        at.append((float(time[i]), float(k.order), 0, dose))
    m = s.measurements
    for i, output in enumerate(m.output):
        limit = float(m.limit[i]) if np.isfinite(m.limit[i]) else np.nan
        seen = {
            "EVID": 0,
            "DV": float(m.value[i]),
            "MDV": 0,
            "DVID": output,
            "CENS": int(m.censored[i]),
            "LIMIT": limit,
        }
        at.append((float(m.time[i]), float(m.order[i]), 1, seen))
    switches = [(float(t), float(o)) for t, o in zip(s.switch_time, s.switch_order, strict=True)]
    at += _carriers(switches, {(t, o) for t, o, _, _ in at})
    at.sort(key=lambda row: row[:3])
    return [blank | {"TIME": t} | record | _values(s, bisect.bisect_left(switches, (t, o))) for t, o, _, record in at]


def _carriers(switches: list[tuple[float, float]], there: set[tuple[float, float]]) -> list[Any]:
    """Records without an event, where a switch of covariates is not just after some record, or not before any."""
    found: list[Any] = []
    for time, order in switches:
        if (time, order - 0.5) not in there:
            found.append((time, order - 0.5, 2, {}))
    if switches and not any(record > switches[-1] for record in there):
        found.append((switches[-1][0], switches[-1][1] + 0.5, 2, {}))
    return found


def _values(s: Subject, segment: int) -> dict[str, float]:
    columns = {n: np.asarray(v, float).reshape(-1) for n, v in s.covariates.items()}
    return {n: float(v[segment] if len(v) > 1 else v[0]) for n, v in columns.items()}
