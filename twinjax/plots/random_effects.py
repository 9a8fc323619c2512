"""Random effects: their distribution against what the model assumes, and what covariates might explain of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from twinjax.estimation.diagnosis.individual import LEVELS
from twinjax.estimation.diagnosis.residuals import etas as eta_table
from twinjax.estimation.result import Fit
from twinjax.naming import suggestion
from twinjax.plots import style


def etas(
    fit: Fit,
    *,
    covariates: Sequence[str] | None = None,
    table: pd.DataFrame | None = None,
    figure: style.Canvas | None = None,
) -> Figure:
    """A row for each random effect: histogram under the normal density that the model assumes, then eta against each
    covariate.

    A covariate of at most five values shows group medians, another a smooth line. With high shrinkage, which
    the panel states, etas against covariates can mislead (Savic & Karlsson 2009, doi:10.1208/s12248-009-9133-0).

    **Parameters**: `covariates` (default: the first four of those that vary between people); `table`, that of
    `diagnostics.etas(fit)` if it is at hand; `figure`, where to draw.
    **Raises** `ValueError` for a fit without random effects, and for a covariate that is not there.
    """
    names = fit.population.etas
    if not names:
        raise ValueError("this fit has no random effects to show")
    table = eta_table(fit) if table is None else table
    known = {n: f"covariate.{n}" if f"covariate.{n}" in table else n for n in fit.trial.covariate_names}
    if covariates is None:
        covariates = [n for n, column in known.items() if len(np.unique(table[column].to_numpy(float))) > 1][:4]
    for n in covariates:
        if n not in known:
            raise ValueError(f"there is no covariate {n!r}{suggestion(n, known)}")
    figure = style.canvas(figure, 0.6 + 2.5 * (1 + len(covariates)), 0.4 + 1.9 * len(names))
    grid = figure.subplots(len(names), 1 + len(covariates), squeeze=False)
    for row, (n, deviation) in enumerate(zip(names, fit.population.deviations, strict=True)):
        eta, sd = table[f"eta.{n}"].to_numpy(float), fit.theta[deviation]
        shrinkage = fit.shrinkage.get(deviation.removeprefix("omega."))
        _histogram(grid[row, 0], eta, sd, "" if shrinkage is None else f"shrinkage {shrinkage:.0f} %")
        style.name(grid[row, 0], f"eta of {n}", "density")
        for column, covariate in enumerate(covariates, 1):
            ax = style.quiet(grid[row, column])
            _against(ax, table[known[covariate]].to_numpy(float), eta)
            style.name(ax, covariate, f"eta of {n}")
    return style.root(figure)


def _histogram(ax: Axes, eta: np.ndarray, sd: float, note: str) -> None:
    style.quiet(ax)
    bins = int(np.clip(np.ceil(1.5 * np.sqrt(len(eta))), 5, 30))
    ax.hist(eta, bins=bins, density=True, color=style.INDIVIDUAL, alpha=0.35, edgecolor="white", linewidth=0.8)
    ax.plot(eta, np.zeros(len(eta)), "|", color=style.DATA, markersize=7, markeredgewidth=0.8)
    reach = max(3.0 * sd, 1.05 * float(np.max(np.abs(eta))))
    x = np.linspace(-reach, reach, 200)
    ax.plot(x, np.exp(-0.5 * (x / sd) ** 2) / (sd * np.sqrt(2 * np.pi)), color=style.TYPICAL, lw=1.4)
    ax.set_yticks([])
    ax.xaxis.set_major_locator(MaxNLocator(5))
    style.name(ax, title=note)


def _against(ax: Axes, x: np.ndarray, eta: np.ndarray) -> None:
    ax.axhline(0.0, color=style.QUIET, lw=1.0, zorder=1)
    ax.plot(x, eta, **style.POINT)
    levels = np.unique(x)
    if len(levels) <= LEVELS:
        ax.plot(
            levels, [np.median(eta[x == v]) for v in levels], "_", color=style.TREND, markersize=18, markeredgewidth=2.0
        )
        ax.set_xticks(levels)
        ax.margins(x=0.3)
    else:
        ax.plot(*style.smooth(x, eta, span=0.9), color=style.TREND, lw=1.5)
