"""The numerical predictive check: how many measurements lie below and above the prediction intervals of their own."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import scipy.stats

from twinjax.estimation.diagnosis.npde import limits, normal_outputs, sources
from twinjax.estimation.diagnosis.simulation import design_of, draw_measurements
from twinjax.estimation.likelihood import observations
from twinjax.estimation.result import Fit
from twinjax.models.base import output_names
from twinjax.naming import resolve
from twinjax.observation import ABOVE, BELOW
from twinjax.population.population import Population
from twinjax.population.subject import TrialData
from twinjax.solve.problem import AbstractBackend
from twinjax.solve.simulate import choose


def numerical_check(
    source: Fit | Population,
    trial: TrialData | None = None,
    *,
    replicates: int = 1000,
    seed: int = 0,
    intervals: Sequence[float] = (0.0, 0.2, 0.4, 0.5, 0.6, 0.8, 0.9, 0.95),
    confidence: float = 0.95,
    output: str | None = None,
    chunk: int | None = None,
    backend: AbstractBackend | None = None,
) -> pd.DataFrame:
    """A numerical predictive check: each measurement against the prediction intervals simulated for it alone.

    **Parameters**: `source`, a fit or a population; `trial`, the data (default: those fitted); `intervals`, central
    prediction intervals (0 is the median); `confidence`, of the interval of the simulated counts; `output`, only this
    one; `chunk`, `backend` as in `simulate_measurements`.
    **Returns** a row for each interval and side: `interval`, `side` (below, above), and in % of the measurements
    `observed`, and what simulated trials have against the same intervals: `expected` (on average: half of what is
    outside the interval, but for ties of censored values), `lower` and `upper`; `ratio`, observed / expected;
    `inside`, whether observed lies between.
    **Assumptions**: outputs that have a likelihood instead of a residual error are left out. Values beyond an output's
    limit of quantification rank lowest (highest) in data and simulations alike, and count half of their ties;
    replicates with a subject that could not be solved are left out.
    **Raises** `ValueError` for an output that is not there.
    **Reference**: Karlsson & Holford 2008, PAGE 17 abstr 1434 (a tutorial on predictive checks).
    """
    population, trial, backend = sources(source, trial, backend)
    design, outputs = design_of(population, trial), output_names(population.model)
    drawn = draw_measurements(population, design, range(replicates), seed, chunk, choose(design.problem, backend))
    o = observations(population, trial)
    index, value, censored = (np.asarray(a) for a in (o.output, o.value, o.censored))
    keep = np.asarray(o.there) & np.isin(index, normal_outputs(population))
    if output is not None:
        there = [outputs[k] for k in np.unique(index[keep])]
        keep = keep & (index == outputs.index(resolve(output, there, "measured output")))
    low, high = (a[index[keep]] for a in limits(index, value, censored, len(outputs)))

    def ranked(y: np.ndarray) -> np.ndarray:
        return np.where(y < low, -np.inf, np.where(y > high, np.inf, y))

    simulated = drawn[:, keep]
    simulated = ranked(simulated[np.all(np.isfinite(simulated), axis=1)])
    own = np.where(censored[keep] == BELOW, -np.inf, np.where(censored[keep] == ABOVE, np.inf, ranked(value[keep])))
    at = np.mean(simulated < own, axis=0) + 0.5 * np.mean(simulated == own, axis=0)
    each = (scipy.stats.rankdata(simulated, axis=0) - 0.5) / max(len(simulated), 1)
    ends, rows = (0.5 - confidence / 2, 0.5 + confidence / 2), []
    for interval in intervals:
        tail = 0.5 - interval / 2
        for side, out, outs in (("below", at < tail, each < tail), ("above", at > 1 - tail, each > 1 - tail)):
            lower, upper = 100 * np.quantile(outs.mean(axis=1), ends)
            observed, expected = 100 * float(np.mean(out)), 100 * float(np.mean(outs))
            rows.append({
                "interval": interval, "side": side, "expected": expected, "observed": observed, "lower": lower,
                "upper": upper, "ratio": observed / expected if expected else np.nan,
                "inside": bool(lower <= observed <= upper),
            })  # fmt: skip
    return pd.DataFrame(rows)
