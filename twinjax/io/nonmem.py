"""NONMEM-style data files <-> `TrialData`: the usual door for pharmacometric data.

A file has a header and a row for every dose, observation or other record; commas, semicolons, tabs or spaces between
cells; plain or gzip. Everything wrong with it is found before anything is used, and reported at once (`DataError`).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from twinjax.dosing import BOLUS, GIVEN_RATE, MODELLED_DURATION, MODELLED_RATE, Regimen
from twinjax.io.censoring import Limit
from twinjax.io.covariates import Wanted, segments
from twinjax.io.problems import Problem
from twinjax.io.records import Options, Records, Source, read_records
from twinjax.io.routing import Routing
from twinjax.observation import Measurements
from twinjax.population.subject import Subject, TrialData


def read_nonmem(
    data: Source,
    *,
    columns: Mapping[str, str | None] | None = None,
    outputs: Routing = None,
    doses: Routing = None,
    covariates: Wanted = None,
    units: Mapping[str, Any] | None = None,
    lloq: Limit = None,
    name: str | None = None,
) -> TrialData:
    """Subjects with their regimens, measurements and covariates, read from a NONMEM-style file or data frame.

    Columns are known by name, in any case: ID, TIME, AMT, DV, EVID, MDV, CMT, RATE, II, ADDL, SS, CENS, LIMIT, BLQ
    (BLOQ), LLOQ (LOQ), DVID; ID and TIME are required. ``.``, NA or nothing is a missing cell. Comment rows begin with
    ``#``, ``@`` or a cell ``C``. A missing EVID follows from AMT, RATE and MDV. Records with MDV = 1 or EVID = 2 are
    not observations, but carry covariates. rxode2's classic event codes are understood: EVID 101 is a dose into
    compartment 101 // 100. A clock that restarts at a reset (EVID 3, 4) is made to go on from the record before;
    elsewhere times never decrease.

    **Parameters**:

    - `data`: path, or data frame.
    - `columns`: part -> column of the file, ``{"ID": "subject", "DV": "cp"}``; None says that there is no such column.
    - `outputs`: what DVID, or CMT where there is no DVID, means for observations, ``{"cp": "plasma", 2: "response"}``;
      one name or number for all. Default: DVID n is output n, a text DVID is a name; without DVID all are output 1.
    - `doses`: the same for CMT of doses, ``{1: "depot"}``. Default: CMT n is state n, a text is a name, missing or 0 is
      1.
    - `covariates`: columns, or name -> column. Default: every column that plays no other part. One that changes in time
      becomes an array by segment (NONMEM's convention: a record's values hold over the interval that ends at it).
      Missing values are carried forward, then backward. Text is coded 0, 1, ... in alphabetical order; `levels` tells
      the codes.
    - `units`: units of the file, ``{"TIME": "day", "AMT": "ug", "DV": "ng/mL"}``, converted to h, mg, mg/L (molar
      amounts to umol, umol/L), or to another target by a pair, ``{"TIME": ("s", "ms"), "WT": ("lb", "kg")}``; by
      output, ``{"DV": {"plasma": "ng/mL"}}``. II and RATE follow TIME and AMT.
    - `lloq`: lower limit of quantification (one, or by output; in the file's unit) where the file has no LLOQ: for BLQ
      = 1, and values less than it are censored.
    - `name`: of the trial; default: the file's.

    Censored values are kept, as the limit they lie below (CENS = 1 or BLQ = 1) or above (CENS = -1).
    Each record's `order` is its number among the subject's rows, from 0, so ties of time resolve as in the file.

    **Raises** `DataError` (a `ValueError`) with every problem found; `ValueError` for a unit that cannot be converted
    and for names in the arguments that mean nothing. Notes (`validate` shows them) do not raise.
    """
    records, findings = read_records(data, Options(columns, outputs, doses, covariates, units, lloq))
    findings.raise_errors()
    assert records is not None, "no records without an error"
    subjects = tuple(_subject(records, span) for span in records.spans)
    default = "trial" if isinstance(data, pd.DataFrame) else Path(data).name.removesuffix(".gz").rsplit(".", 1)[0]
    return TrialData(subjects, default if name is None else name)


def validate(data: Source, **how: Any) -> list[Problem]:
    """Everything worth knowing about a file, errors and notes, in file order; empty if there is nothing.

    **Parameters**: `data` and `how` (but for `name`), as in `read_nonmem`.
    """
    return list(read_records(data, Options(**how))[1].problems)


def levels(data: Source, **how: Any) -> dict[str, dict[str, int]]:
    """The codes of covariates that are text, ``{"sex": {"female": 0, "male": 1}}``; arguments as in `read_nonmem`.

    **Raises** `DataError` where the file cannot be read.
    """
    records, findings = read_records(data, Options(**how))
    findings.raise_errors()
    assert records is not None, "no records without an error"
    return records.levels


def _subject(r: Records, span: slice) -> Subject:
    given = span.start + np.flatnonzero(r.dosed[span])
    seen = span.start + np.flatnonzero(r.observed[span])
    covariates, last = segments({n: v[span] for n, v in r.covariates.items()})
    return Subject(
        str(r.subject[span.start]),
        _regimen(r, given, span.start),
        Measurements(
            r.time[seen], r.value[seen], tuple(r.output[seen]), censored=r.censored[seen], limit=r.limit[seen],
            order=seen - span.start,
        ),
        covariates,
        switch_time=r.time[span][last],
        switch_order=last + 0.5,
    )  # fmt: skip


def _regimen(r: Records, at: np.ndarray, first: int) -> Regimen:
    if not len(at):
        return Regimen.none()
    rate = np.where(r.evid[at] == 3, 0.0, r.rate[at])
    mode = np.select([rate > 0, rate == -1, rate == -2], [GIVEN_RATE, MODELLED_RATE, MODELLED_DURATION], BOLUS)
    dose = r.evid[at] != 3
    return Regimen.records(
        r.time[at].tolist(), r.amount[at].tolist(), np.maximum(rate, 0.0).tolist(),
        np.where(dose, r.interval[at], 0.0).tolist(),
        evid=r.evid[at].astype(int).tolist(), into=list(r.into[at]), mode=mode.tolist(),
        additional=np.where(dose, r.additional[at], 0).astype(int).tolist(),
        steady_state=np.where(dose, r.steady_state[at], 0).astype(int).tolist(), order=(at - first).tolist(),
    )  # fmt: skip
