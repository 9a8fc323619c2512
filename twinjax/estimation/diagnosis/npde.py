"""Normalised prediction discrepancies and distribution errors: residuals by simulation, without linearisation."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
import pandas as pd
import scipy.special
import scipy.stats

from twinjax.estimation.diagnosis.residuals import time_after_dose
from twinjax.estimation.diagnosis.simulation import design_of, draw_measurements
from twinjax.estimation.likelihood import observations
from twinjax.estimation.result import Fit
from twinjax.models.base import output_names
from twinjax.observation import ABOVE, BELOW, QUANTIFIED
from twinjax.population.population import Population
from twinjax.population.subject import TrialData
from twinjax.solve.problem import AbstractBackend
from twinjax.solve.simulate import choose


def npde(
    source: Fit | Population,
    trial: TrialData | None = None,
    *,
    replicates: int = 1000,
    seed: int = 0,
    chunk: int | None = None,
    backend: AbstractBackend | None = None,
) -> pd.DataFrame:
    """Where each measurement lies among those simulated for it, as a standard normal number if the model is right.

    .. code-block:: text

        NPD  = Phi^-1(fraction of the K simulated y below y)
        NPDE = the same of y* = L^-1 (y - E) and of the simulated y* alike; E, L L' mean and covariance of a subject's y

    **Parameters**: `source`, a fit or a population; `trial`, the data (default: those fitted); `replicates`, K;
    `chunk`, `backend` as in `simulate_measurements`.
    **Returns** one row a measurement in the order of the trial: ID, TIME, TAD, OUTPUT, DV, CENS, EPRED (mean of the
    simulated, in the output's unit), NPD, NPDE, which are NaN for outputs that have a likelihood instead of an error.
    **Assumptions**: E and L are of values on the scale of the residual error's transform. A fraction of 0 or 1 counts
    as 1/(2K) or 1 - 1/(2K). A censored value is imputed: its fraction is drawn evenly from those that its interval
    allows, and its y is that quantile of the simulated; the simulated beyond the output's limit (the highest that the
    data have; the lowest, above) are drawn anew from their like, so that they are no better correlated than the
    imputed. A measurement that does not vary between simulations (a proportional error at zero) has NaN and takes no
    part; so has a subject that could not be simulated.
    **Raises** `ValueError` where a subject has as many measurements as there are replicates.
    **Reference**: Brendel et al. 2006, Pharm Res 23:2036, doi:10.1007/s11095-006-9067-5; Comets, Brendel & Mentré
    2008, Comput Methods Programs Biomed 90:154, doi:10.1016/j.cmpb.2007.12.002; censoring: Nguyen, Comets & Mentré
    2012, J Pharmacokinet Pharmacodyn 39:499, doi:10.1007/s10928-012-9264-2.
    """
    population, trial, backend = sources(source, trial, backend)
    longest = max(len(s.measurements) for s in trial)
    if replicates <= longest:
        raise ValueError(f"a subject has {longest} measurements, whose covariance {replicates} replicates cannot give: "
                         "ask for replicates=1000 or so")  # fmt: skip
    design, outputs = design_of(population, trial), output_names(population.model)
    drawn = draw_measurements(population, design, range(replicates), seed, chunk, choose(design.problem, backend))
    observed = observations(population, trial)
    index = np.asarray(observed.output)
    low, high = limits(index, np.asarray(observed.value), np.asarray(observed.censored), len(outputs))
    known = normal_outputs(population)
    rng, frames = np.random.default_rng(seed), []
    for i, s in enumerate(trial):
        m, n = s.measurements, len(s.measurements)
        simulated, own = drawn[:, i, :n], np.isin(index[i, :n], known)
        simulated = simulated[np.all(np.isfinite(simulated[:, own]), axis=1)]
        npd = npde = mean = np.full(n, np.nan)
        if n and len(simulated) > n:
            at = _fractions(simulated, m.value, m.censored, m.limit, rng)
            mean, npd = simulated.mean(axis=0), _normal(at, len(simulated))
            y = np.where(m.censored == QUANTIFIED, m.value, _quantile(simulated, at))
            y, moved = (
                _moved(population, outputs, index[i, :n], v)
                for v in (y, _redrawn(simulated, low[index[i, :n]], high[index[i, :n]], rng))
            )
            npde = _decorrelated(moved, np.where(own, y, np.nan))
            still = ~own | (np.ptp(simulated, axis=0) == 0)
            npd, npde = (np.where(still, np.nan, e) for e in (npd, npde))
        frames.append(pd.DataFrame({
            "ID": s.id, "TIME": m.time, "TAD": time_after_dose(s), "OUTPUT": [outputs[k] for k in index[i, :n]],
            "DV": m.value, "CENS": m.censored, "EPRED": mean, "NPD": npd, "NPDE": npde,
        }))  # fmt: skip
    return pd.concat([f for f in frames if len(f)], ignore_index=True)


def npde_tests(table: pd.DataFrame, column: str = "NPDE") -> pd.DataFrame:
    """Whether `npde`'s values are those of a standard normal, a row for each output.

    **Returns** columns count, mean, variance, skewness, kurtosis (0 for a normal); p-values of mean zero (Student),
    variance one (chi-squared) and normality (Shapiro-Wilk), and `p`, three times the least of them (at most 1).
    **Assumptions**: the values are independent. NPD of one subject are not; with many data small departures show.
    **Reference**: Comets, Brendel & Mentré 2008, doi:10.1016/j.cmpb.2007.12.002.
    """
    rows = []
    for output, own in table.groupby("OUTPUT", sort=False):
        x = own[column].to_numpy(float)
        x = x[np.isfinite(x)]
        row: dict[str, Any] = {"output": output, "count": len(x)}
        if len(x) >= 3 and np.ptp(x) > 0:
            left = scipy.stats.chi2.cdf((len(x) - 1) * x.var(ddof=1), len(x) - 1)
            student: Any = scipy.stats.ttest_1samp(x, 0.0)
            shapiro: Any = scipy.stats.shapiro(x[:5000])
            p = (student.pvalue, 2 * min(left, 1 - left), shapiro.pvalue)
            row |= {"mean": x.mean(), "variance": x.var(ddof=1), "skewness": scipy.stats.skew(x)}
            row |= {"kurtosis": scipy.stats.kurtosis(x), "p mean": p[0], "p variance": p[1], "p normal": p[2]}
            row["p"] = min(1.0, 3 * min(p))
        rows.append(row)
    return pd.DataFrame(rows).set_index("output")


def sources(
    source: Fit | Population, trial: TrialData | None, backend: AbstractBackend | None
) -> tuple[Population, TrialData, AbstractBackend | None]:
    """Population, data and backend of a check, which a fit brings along.

    **Raises** `ValueError` for a population without data.
    """
    if isinstance(source, Fit):
        return source.population, trial or source.trial, backend or source.backend
    if trial is None:
        raise ValueError("a population needs data to be checked against: give a trial")
    return source, trial, backend


def normal_outputs(population: Population) -> list[int]:
    """Which of the model's outputs have a residual error."""
    errors = population.errors(population.theta).residuals
    return [i for i, name in enumerate(output_names(population.model)) if name in errors]


def _moved(population: Population, outputs: tuple[str, ...], index: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Values on the scale of their outputs' residual errors."""
    moved, errors = np.array(y, float), population.errors(population.theta).residuals
    for i, name in enumerate(outputs):
        if name in errors and np.any(own := index == i):
            moved[..., own] = np.asarray(errors[name].transform(jnp.asarray(moved[..., own])))
    return moved


def _fractions(
    simulated: np.ndarray, value: np.ndarray, censored: np.ndarray, limit: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Fraction of the simulated below each measurement; of a censored one, drawn from those its interval allows."""

    def below(y: np.ndarray) -> np.ndarray:
        return np.mean(simulated < y, axis=0) + 0.5 * np.mean(simulated == y, axis=0)

    at = below(value)
    low = np.where(censored == BELOW, below(limit), at)
    high = np.where(censored == ABOVE, 1.0, at)
    return np.where(censored == QUANTIFIED, at, low + (high - low) * rng.uniform(size=len(at)))


def limits(index: np.ndarray, value: np.ndarray, censored: np.ndarray, outputs: int) -> tuple[np.ndarray, np.ndarray]:
    """Limits of quantification of each output, the highest lower one and the lowest upper one; infinite if none."""
    low = [np.max(value[(censored == BELOW) & (index == k)], initial=-np.inf) for k in range(outputs)]
    high = [np.min(value[(censored == ABOVE) & (index == k)], initial=np.inf) for k in range(outputs)]
    return np.asarray(low), np.asarray(high)


def _redrawn(simulated: np.ndarray, low: np.ndarray, high: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The simulated, those beyond a limit drawn anew from those beyond it, each column by itself."""
    found = simulated.copy()
    for j in range(simulated.shape[1]):
        for beyond in (simulated[:, j] < low[j], simulated[:, j] > high[j]):
            if beyond.any():
                found[beyond, j] = rng.choice(simulated[beyond, j], beyond.sum())
    return found


def _quantile(simulated: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Of each column, the quantile at its own place."""
    return np.asarray([np.quantile(simulated[:, j], q) for j, q in enumerate(at)])


def _decorrelated(simulated: np.ndarray, y: np.ndarray) -> np.ndarray:
    """NPDE of one subject: its values and the simulated ones made uncorrelated by the latter's covariance."""
    out = np.full(y.shape, np.nan)
    keep = np.isfinite(y) & (np.ptp(simulated, axis=0) > 0)
    if not keep.any():
        return out
    s = simulated[:, keep]
    mean = s.mean(axis=0)
    try:
        chol = np.linalg.cholesky(np.atleast_2d(np.cov(s, rowvar=False)))
    except np.linalg.LinAlgError:
        return out
    white = np.linalg.solve(chol, (s - mean).T)
    own = np.linalg.solve(chol, y[keep] - mean)
    out[keep] = _normal(np.mean(white < own[:, None], axis=1), len(s))
    return out


def _normal(fraction: np.ndarray, replicates: int) -> np.ndarray:
    """The standard normal's quantile of a fraction of `replicates`."""
    half = 0.5 / replicates
    return scipy.special.ndtri(np.clip(fraction, half, 1 - half))
