"""The visual predictive check: the data's percentiles over those that the model would have given."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from twinjax.estimation.diagnosis.predictive_check import PredictiveCheck
from twinjax.observation import QUANTIFIED
from twinjax.plots import style


def vpc(
    check: PredictiveCheck, *, log: bool = False, points: bool = True, figure: style.Canvas | None = None
) -> Figure:
    """Observed percentiles (lines) over the interval of the simulated ones (bands), a column for each stratum.

    Where data are censored, a lower row shows the fraction below the limit of quantification, which is the dashed
    line above.

    **Parameters**: `log`, a logarithmic axis; `points`, whether to show the measurements; `figure`, where to draw.
    """
    strata = tuple(check.table["stratum"].unique())
    rows = 1 if check.below is None else 2
    figure = style.canvas(figure, 1.2 + 4.2 * len(strata), 3.8 + 1.5 * (rows - 1))
    heights = [3.0, 1.0][:rows]
    grid = figure.subplots(rows, len(strata), squeeze=False, sharex="col", sharey="row", height_ratios=heights)
    time = style.axis("time after dose" if check.after_dose else "time", check.time_unit)
    what = f"prediction-corrected {check.output}" if check.prediction_corrected else check.output
    for column, stratum in enumerate(strata):
        ax = style.quiet(grid[0, column])
        _percentiles(ax, check.table.loc[check.table["stratum"] == stratum], check.interval)
        if points:
            _points(ax, check.points.loc[check.points["stratum"] == stratum])
        if check.lloq is not None:
            ax.axhline(check.lloq, color=style.CENSORED, lw=0.9, ls="--", label="limit of quantification")
        if log:
            ax.set_yscale("log")
        style.name(ax, y=style.axis(what, check.unit) if column == 0 else "", title=stratum)
        if check.below is not None:
            low = style.quiet(grid[1, column])
            _below(low, check.below.loc[check.below["stratum"] == stratum])
            style.name(low, y="fraction\nbelow limit" if column == 0 else "")
        style.name(grid[-1, column], time)
    handles, labels = grid[0, 0].get_legend_handles_labels()
    style.legend(figure, handles=handles, labels=labels, loc="outside upper center", ncols=2)
    return style.root(figure)


def _percentiles(ax: Axes, table: pd.DataFrame, interval: float) -> None:
    """Band and line of every quantile."""
    quantiles = np.unique(table["quantile"].to_numpy(float))
    central = float(quantiles[np.argmin(np.abs(quantiles - 0.5))])
    outer = " and ".join(f"{100 * q:g}th" for q in quantiles if q != central)
    width = f"{100 * interval:g} % interval"
    named: set[bool] = set()
    for q in sorted(quantiles, key=lambda q: q != central):
        own, middle = table.loc[table["quantile"] == q].sort_values("time"), q == central
        colour = style.INDIVIDUAL if middle else style.TYPICAL
        which = "median" if middle and q == 0.5 else f"{100 * q:g}th" if middle else outer
        first = middle not in named
        named.add(middle)
        ax.fill_between(own["time"], own["lower"], own["upper"], color=colour, alpha=0.2, lw=0,
                        label=f"simulated {which} ({width})" if first else None)  # fmt: skip
        ax.plot(own["time"], own["observed"], color=colour, lw=1.5, ls="-" if middle else (0, (5, 2)),
                marker="o", markersize=3.0, label=f"observed {which}" if first else None)  # fmt: skip


def _points(ax: Axes, points: pd.DataFrame) -> None:
    known = points["CENS"].to_numpy() == QUANTIFIED
    x, y = points["TIME"].to_numpy(float), points["DV"].to_numpy(float)
    ax.plot(x[known], y[known], **{**style.POINT, "markersize": 2.6, "color": style.QUIET, "alpha": 0.6}, zorder=1)
    if not known.all():
        ax.plot(x[~known], y[~known], **{**style.LIMIT, "markersize": 3.4}, zorder=1)


def _below(ax: Axes, table: pd.DataFrame) -> None:
    """Observed and simulated fraction below the limit."""
    table = table.sort_values("time")
    ax.fill_between(table["time"], table["lower"], table["upper"], color=style.CENSORED, alpha=0.25, lw=0)
    ax.plot(table["time"], table["observed"], color=style.CENSORED, lw=1.5, marker="o", markersize=3.0)
    ax.set_ylim(-0.03, 1.03)
