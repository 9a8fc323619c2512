"""Predictive checks: what the model says would have been measured, against what was. Also simulated trials."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from twinjax.estimation.diagnosis.residuals import time_after_dose
from twinjax.estimation.diagnosis.simulation import design_of, draw_measurements, typical_predictions
from twinjax.estimation.prediction import Design
from twinjax.estimation.result import Fit
from twinjax.models.base import output_names, zeros
from twinjax.naming import resolve, suggestion
from twinjax.observation import ABOVE, BELOW, QUANTIFIED
from twinjax.population.population import Population
from twinjax.population.subject import Subject, TrialData
from twinjax.solve.problem import AbstractBackend
from twinjax.solve.simulate import choose
from twinjax.units import Unit, declared

_COLUMNS = ("quantile", "observed", "median", "lower", "upper")


# --------------------------------------------------------------------------------------------------------------- check


@dataclasses.dataclass(frozen=True)
class PredictiveCheck:
    """Percentiles of the data, by bins of time, against those of data simulated from the model.

    **Parameters**: `table`, a row for each stratum, bin and quantile: `stratum`, `bin`, `time` (median of the bin),
    `left` and `right` (its edges), `count`, `quantile`, `observed`, and of the simulated percentile `median`,
    `lower`, `upper` (`interval`); `below`, likewise, the fraction below the limit of quantification, None where
    nothing is censored; `points`, the measurements: ID, TIME, DV (corrected if `prediction_corrected`), CENS,
    `stratum`, `bin`; `failed`, how many simulated subjects could not be solved and are left out. A percentile that
    lies beyond a limit of quantification is NaN.
    """

    table: pd.DataFrame
    below: pd.DataFrame | None
    points: pd.DataFrame
    name: str
    output: str
    unit: Unit | None
    time_unit: Unit
    after_dose: bool
    prediction_corrected: bool
    stratified_by: str | None
    lloq: float | None
    interval: float
    replicates: int
    seed: int
    failed: int

    @property
    def coverage(self) -> float:
        """Fraction of the observed percentiles that lie inside the interval of the simulated ones."""
        observed, lower, upper = (self.table[n].to_numpy(float) for n in ("observed", "lower", "upper"))
        known = np.isfinite(observed + lower + upper)
        return float(np.mean(((observed >= lower) & (observed <= upper))[known])) if known.any() else float("nan")

    def __str__(self) -> str:
        kind = (
            "Prediction-corrected visual predictive check" if self.prediction_corrected else "Visual predictive check"
        )
        return (
            f"{kind} of {self.output} in {self.name}: {100 * self.coverage:.0f} % of the observed percentiles "
            f"lie inside the {100 * self.interval:.0f} % interval of {self.replicates} simulated trials"
        )


def predictive_check(
    source: Fit | Population,
    trial: TrialData | None = None,
    *,
    replicates: int = 500,
    seed: int = 0,
    prediction_corrected: bool = False,
    bins: int | Sequence[float] | None = None,
    quantiles: Sequence[float] = (0.05, 0.5, 0.95),
    interval: float = 0.90,
    stratify: str | None = None,
    output: str | None = None,
    after_dose: bool = False,
    chunk: int | None = None,
    backend: AbstractBackend | None = None,
) -> PredictiveCheck:
    """A visual predictive check: percentiles of the data within bins of time, against simulations of the same design.

    **Parameters**: `source`, a fit or a population; `trial`, the data (default: those fitted); `bins`, a number of
    bins of about equal count, or edges, or None: the times themselves where few and shared, else as many bins as a
    subject has measurements; `interval`, of each simulated percentile over replicates; `stratify`, a covariate, by
    value if it has at most six, else by its median; `output`, which, where several are measured; `after_dose`,
    against time since the last dose; `chunk`, `backend` as in `simulate_measurements`.
    **Assumptions**: values below (above) the limit of quantification rank lowest (highest), in data and simulations
    alike; the limit is the highest (lowest) that the data have, for every sample. Prediction correction multiplies a
    value by median prediction of its bin / its own prediction; where that prediction is zero and the median is not,
    it is left out.
    **Raises** `ValueError` for an output or covariate that is not there, and for correcting negative predictions.
    **Reference**: Holford 2005, PAGE 14 abstr 738; Bergstrand et al. 2011, AAPS J 13:143,
    doi:10.1208/s12248-011-9255-z; censoring: Bergstrand & Karlsson 2009, AAPS J 11:371,
    doi:10.1208/s12248-009-9112-5.
    """
    if isinstance(source, Fit):
        population, trial, backend = source.population, trial or source.trial, backend or source.backend
    else:
        population = source
    if trial is None:
        raise ValueError("a population needs data to be checked against: give a trial")
    design = design_of(population, trial)
    backend = choose(design.problem, backend)
    which = _measured(population, design, output)
    drawn = draw_measurements(population, design, range(replicates), seed, chunk, backend)

    keep = np.asarray(design.observed.there & (design.observed.output == output_names(population.model).index(which)))
    parts = [_columns(s, keep[i, : len(s.measurements)], after_dose) for i, s in enumerate(trial)]
    known = np.isfinite(np.concatenate(parts, axis=1)[0])
    time, value, cens = np.concatenate(parts, axis=1)[:, known]
    row, simulated = np.nonzero(keep)[0][known], drawn[:, keep][:, known]
    typical = np.ones(len(row))
    if prediction_corrected:
        typical = np.asarray(typical_predictions(population, backend, design))[keep][known]
    strata, stratum_of = _strata(trial, stratify)
    stratum_of = stratum_of[row]

    lloq, uloq = np.max(value[cens == BELOW], initial=-np.inf), np.min(value[cens == ABOVE], initial=np.inf)
    low, high = (cens == BELOW) | (value < lloq), (cens == ABOVE) | (value > uloq)
    shown, number = value.copy(), np.zeros(len(row), int)
    ends = (0.5, 0.5 - interval / 2, 0.5 + interval / 2)
    rows, below = [], []
    for stratum, bin, left, right, at in _bins(stratum_of, row, time, bins):
        number[at] = bin
        factor, here = _correction(typical[at]), simulated[:, at]
        shown[at] = np.where(cens[at] == QUANTIFIED, value[at] * factor, value[at])
        where = {"stratum": strata[stratum], "bin": bin, "time": np.median(time[at]), "left": left, "right": right}
        where["count"] = len(at)
        observed = _percentile(_ranked(value[at], factor, low[at], high[at]), quantiles)
        drawn_percentiles = _percentile(_ranked(here, factor, here < lloq, here > uloq), quantiles)
        columns = zip(quantiles, observed, *_percentile(drawn_percentiles, ends), strict=True)
        rows += [where | dict(zip(_COLUMNS, map(_finite, c), strict=True)) for c in columns]
        band = _percentile(np.mean(here < lloq, axis=1), ends)
        below.append(where | dict(zip(_COLUMNS[1:], (np.mean(low[at]), *band), strict=True)))
    points = {"ID": np.asarray(trial.ids)[row], "TIME": time, "DV": shown, "CENS": cens.astype(int)}
    some = np.isfinite(lloq)
    return PredictiveCheck(
        table=pd.DataFrame(rows), below=pd.DataFrame(below) if some else None,
        points=pd.DataFrame({**points, "stratum": np.asarray(strata)[stratum_of], "bin": number}), name=trial.name,
        output=which, unit=declared(zeros(type(population.model).Output))[which][0],
        time_unit=type(population.model).time_unit, after_dose=after_dose,
        prediction_corrected=prediction_corrected, stratified_by=stratify,
        lloq=float(lloq) if some else None, interval=interval, replicates=replicates, seed=seed,
        failed=int(np.sum(np.any(np.isnan(drawn) & np.asarray(design.observed.there), axis=2))),
    )  # fmt: skip


def _columns(s: Subject, keep: np.ndarray, after_dose: bool) -> np.ndarray:
    """Time, value and censoring of one subject's measurements of one output, `(3, measurements)`."""
    m = s.measurements
    return np.stack([time_after_dose(s) if after_dose else m.time, m.value, m.censored])[:, keep]


def _measured(population: Population, design: Design, output: str | None) -> str:
    outputs = output_names(population.model)
    there = [outputs[i] for i in np.unique(np.asarray(design.observed.output)[np.asarray(design.observed.there)])]
    if output is None and len(there) > 1:
        raise ValueError(f"several outputs are measured: choose one of {', '.join(there)} by output=")
    return there[0] if output is None else resolve(output, there, "measured output")


def _strata(trial: TrialData, covariate: str | None) -> tuple[list[str], np.ndarray]:
    """The strata, in order of the covariate, and which each subject is in."""
    if covariate is None:
        return [""], np.zeros(len(trial), int)
    known = trial.covariate_names
    if covariate not in known:
        raise ValueError(f"there is no covariate {covariate!r} to stratify by{suggestion(covariate, known)}")
    own = np.asarray([np.ravel(s.covariates[covariate])[0] for s in trial], float)
    levels = np.unique(own)
    if len(levels) <= 6:
        return [f"{covariate} {v:g}" for v in levels], np.searchsorted(levels, own)
    middle = float(np.median(own))
    return [f"{covariate} ≤ {middle:g}", f"{covariate} > {middle:g}"], (own > middle).astype(int)


def _bins(
    stratum_of: np.ndarray, row: np.ndarray, time: np.ndarray, bins: int | Sequence[float] | None
) -> Iterator[tuple[int, int, float, float, np.ndarray]]:
    """Stratum, number, edges and members of every bin that holds data."""
    for stratum in np.unique(stratum_of):
        part = np.flatnonzero(stratum_of == stratum)
        own = time[part]
        if bins is None or isinstance(bins, int):
            edges = _edges(own, bins, int(np.median(np.unique(row[part], return_counts=True)[1])))
        else:
            edges = np.asarray(bins, float)
            if np.any(np.diff(edges) <= 0) or own.min() < edges[0] or own.max() > edges[-1]:
                raise ValueError(f"bins are edges that increase from at most {own.min():g} to at least {own.max():g}")
        number = np.clip(np.searchsorted(edges, own, side="right") - 1, 0, len(edges) - 2)
        for k in np.unique(number):
            yield int(stratum), int(k), float(edges[k]), float(edges[k + 1]), part[number == k]


def _edges(time: np.ndarray, bins: int | None, per_subject: int) -> np.ndarray:
    """Edges between the times where these are few and shared, else at the widest gaps near equal counts."""
    ordered = np.sort(time)
    changes = np.flatnonzero(np.diff(ordered) > 0) + 1
    middles, gaps = 0.5 * (ordered[changes - 1] + ordered[changes]), ordered[changes] - ordered[changes - 1]
    if bins is None and len(changes) < 40 and len(time) >= 5 * (len(changes) + 1):
        inner = middles
    else:
        count = bins or max(1, min(per_subject, len(time) // 5))
        chosen = []
        for k in range(1, count):
            target, reach = k * len(time) / count, len(time) / count / 4
            near = np.abs(changes - target)
            if len(changes):
                chosen.append(int(np.argmax(np.where(near <= reach, gaps, -near))))
        inner = middles[np.unique(chosen)] if chosen else np.zeros(0)
    return np.concatenate([[ordered[0]], inner, [ordered[-1]]])


def _correction(prediction: np.ndarray) -> np.ndarray:
    """Median prediction of the bin over each prediction; one where both are zero, NaN where only the latter is."""
    if np.any(prediction < 0):
        raise ValueError(
            "prediction correction divides by predictions, and some are negative: this output has no natural zero"
        )
    known = prediction[np.isfinite(prediction)]
    middle = np.median(known) if len(known) else np.nan
    positive = prediction > 0
    return np.where(positive, middle / np.where(positive, prediction, 1.0), 1.0 if middle == 0 else np.nan)


def _ranked(values: np.ndarray, factor: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Corrected values, those beyond a limit at infinity, those that cannot be corrected NaN."""
    ranked = np.where(low, -np.inf, np.where(high, np.inf, values * factor))
    return np.where(np.isfinite(factor), ranked, np.nan)


def _finite(x: Any) -> float:
    return float(x) if np.isfinite(x) else float("nan")


def _percentile(values: np.ndarray, quantiles: Sequence[float]) -> np.ndarray:
    """Quantiles along the last axis, `(quantiles, ...)`, by linear interpolation; NaN left out, infinities ranked."""
    ordered = np.sort(values, axis=-1)
    count = np.sum(~np.isnan(ordered), axis=-1)
    found = []
    for q in quantiles:
        place = q * (np.maximum(count, 1) - 1)
        low = np.floor(place + 1e-9).astype(int)
        a = np.take_along_axis(ordered, low[..., None], -1)[..., 0]
        b = np.take_along_axis(ordered, np.minimum(low + 1, np.maximum(count, 1) - 1)[..., None], -1)[..., 0]
        weight = np.maximum(place - low, 0.0)
        straight = np.isinf(a) | (weight < 1e-9)
        step = np.where(straight, 0.0, b) - np.where(straight, 0.0, a)
        found.append(np.where(straight, a, np.where(straight, 0.0, a) + weight * step))
    return np.stack(found)
