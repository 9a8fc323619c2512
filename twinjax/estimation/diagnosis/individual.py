"""What a fit says of each person: the objective of each, and what covariates might explain of the random effects."""

from __future__ import annotations

import numpy as np
import pandas as pd
import scipy.stats

from twinjax.estimation.diagnosis.residuals import etas
from twinjax.estimation.result import Fit

LEVELS = 5
"""A covariate of at most this many values is taken as groups."""


def individual_objectives(fit: Fit) -> pd.DataFrame:
    """One row a subject, in the order of the trial: how well each is described, and who decides the fit.

    **Returns** columns ID; observations; censored; objective, its part of the total (NaN where the method computes
    none); per_observation; distance, ``sqrt(eta' Omega^-1 eta)`` at eta-hat, of which a normal eta exceeds
    sqrt(chi2(0.95, etas)) in one person of twenty; settled; solved.
    """
    omega = np.asarray(fit.population.omega(fit.population.theta))
    counts = np.asarray([len(s.measurements) for s in fit.trial])
    objective = np.asarray(fit.by_subject, float)
    distance = np.sqrt(np.sum(fit.eta * np.linalg.solve(omega, fit.eta.T).T, axis=1)) if omega.size else np.nan
    return pd.DataFrame({
        "ID": list(fit.trial.ids), "observations": counts,
        "censored": [int(np.sum(s.measurements.censored != 0)) for s in fit.trial], "objective": objective,
        "per_observation": np.where(counts > 0, objective / np.maximum(counts, 1), np.nan), "distance": distance,
        "settled": np.asarray(fit.settled, bool), "solved": np.asarray(fit.result) == 0,
    })  # fmt: skip


def eta_covariates(fit: Fit, table: pd.DataFrame | None = None) -> pd.DataFrame:
    """What covariates explain of the random effects that the model leaves: a screen, not a test of the covariate.

    **Parameters**: `table`, that of `etas(fit)` if it is at hand.
    **Returns** a row for each eta and covariate that varies between people: eta, covariate, groups (of a covariate of
    at most five values, else 0), r2, the part of eta's variance that a line (or the groups' means) explains; r, the
    correlation, of a line; p, of no association (correlation or analysis of variance).
    **Assumptions**: eta-hats stand for etas; where shrinkage is high they hide or make associations (Savic & Karlsson
    2009, doi:10.1208/s12248-009-9133-0). p is not corrected for how many are looked at.
    """
    table = etas(fit) if table is None else table
    known = {n: f"covariate.{n}" if f"covariate.{n}" in table else n for n in fit.trial.covariate_names}
    rows = []
    for eta in fit.population.etas:
        y = table[f"eta.{eta}"].to_numpy(float)
        for name, column in known.items():
            x = table[column].to_numpy(float)
            if len(np.unique(x)) > 1 and np.ptp(y) > 0:
                rows.append({"eta": eta, "covariate": name, **_association(x, y)})
    return pd.DataFrame(rows, columns=["eta", "covariate", "groups", "r2", "r", "p"])


def _association(x: np.ndarray, y: np.ndarray) -> dict[str, float]:
    levels = np.unique(x)
    if len(levels) > LEVELS:
        r, p = map(float, scipy.stats.pearsonr(x, y))
        return {"groups": 0, "r2": r * r, "r": r, "p": p}
    groups = [y[x == v] for v in levels]
    left = sum(float(np.sum((g - g.mean()) ** 2)) for g in groups)
    p = float(scipy.stats.f_oneway(*groups).pvalue) if len(y) > len(groups) else np.nan
    return {"groups": len(levels), "r2": 1 - left / float(np.sum((y - y.mean()) ** 2)), "r": np.nan, "p": p}
