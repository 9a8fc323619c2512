"""Goodness of fit at a glance: observations against predictions, residuals against time and prediction."""

from __future__ import annotations

import numpy as np
import pandas as pd
import scipy.special
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from twinjax.estimation.diagnosis.residuals import diagnose
from twinjax.estimation.result import Fit
from twinjax.naming import resolve
from twinjax.observation import QUANTIFIED
from twinjax.plots import style


def goodness_of_fit(
    fit: Fit, *, output: str | None = None, table: pd.DataFrame | None = None, figure: style.Canvas | None = None
) -> Figure:
    """Six panels: DV against PRED and IPRED with the identity, |IWRES| against IPRED; CWRES against time, PRED and the
    normal distribution.

    Censored measurements have no residual: they are marked at their limit in the upper panels only, and near the
    limit the residuals of the others lean upward even if the model is right. Dotted lines at plus and minus 1.96 hold
    95 % of the residuals of a model that is right; |IWRES| leans up where the residual error grows faster than the
    model says.

    **Parameters**: `output`, which, where several are measured (default the first); `table`, that of `diagnose(fit)`
    if it is at hand; `figure`, where to draw.
    """
    every = diagnose(fit) if table is None else table
    there = tuple(every["OUTPUT"].unique())
    chosen = there[0] if output is None else resolve(output, there, "measured output")
    table = pd.DataFrame(every.loc[every["OUTPUT"] == chosen])
    model = fit.population.model
    unit, time = style.output_units(model)[chosen], style.axis("time", type(model).time_unit)
    figure = style.canvas(figure, 10.2, 6.2)
    panels = [style.quiet(figure.add_subplot(2, 3, i)) for i in range(1, 7)]
    quantified = table["CENS"].to_numpy() == QUANTIFIED
    dv, cwres = table["DV"].to_numpy(float), table["CWRES"].to_numpy(float)
    for ax, column, what in zip(panels[:2], ("PRED", "IPRED"), ("population", "individual"), strict=True):
        _identity(ax, table[column].to_numpy(float), dv, quantified)
        style.name(ax, style.axis(f"{what} prediction", unit), style.axis(f"observed {chosen}", unit))
    _size(panels[2], table["IPRED"].to_numpy(float), np.abs(table["IWRES"].to_numpy(float)))
    style.name(panels[2], style.axis("individual prediction", unit), "|IWRES|")
    for ax, column in zip(panels[3:5], ("TIME", "PRED"), strict=True):
        residuals(ax, table[column].to_numpy(float), cwres)
    style.name(panels[3], time, "CWRES")
    style.name(panels[4], style.axis("population prediction", unit), "CWRES")
    quantiles(panels[5], cwres)
    style.name(panels[5], "quantile of a standard normal", "CWRES")
    if not quantified.all():
        style.legend(panels[0], loc="upper left")
    return style.root(figure)


def _identity(ax: Axes, prediction: np.ndarray, dv: np.ndarray, quantified: np.ndarray) -> None:
    """Observed against predicted, on equal scales."""
    ends = [np.nanmin([*prediction, *dv]), np.nanmax([*prediction, *dv])]
    ax.plot(ends, ends, color=style.QUIET, lw=1.0, zorder=1)
    ax.plot(prediction[quantified], dv[quantified], label="measured", **style.POINT)
    if not quantified.all():
        ax.plot(prediction[~quantified], dv[~quantified], label="beyond the limit", **style.LIMIT)
    else:  # a line through quantified values alone would bend where the others are missing
        ax.plot(*style.smooth(prediction, dv), color=style.TREND, lw=1.5)
    ax.set_aspect("equal", adjustable="datalim")


def _size(ax: Axes, x: np.ndarray, size: np.ndarray) -> None:
    """Sizes of residuals with a smooth line, and their mean if they are standard normal."""
    known = np.isfinite(size)
    ax.axhline(0.7979, color=style.QUIET, lw=1.0, zorder=1)  # sqrt(2 / pi), the mean of |z|
    ax.plot(x[known], size[known], **style.POINT)
    ax.plot(*style.smooth(x, size), color=style.TREND, lw=1.5)
    ax.set_ylim(0.0, 1.1 * max(2.5, float(np.max(size[known], initial=0.0))))


def residuals(ax: Axes, x: np.ndarray, residual: np.ndarray) -> None:
    """Residuals about zero with a smooth line, on a symmetric scale."""
    ax.axhline(0.0, color=style.QUIET, lw=1.0, zorder=1)
    for limit in (-1.96, 1.96):
        ax.axhline(limit, color=style.QUIET, lw=0.8, ls=":", zorder=1)
    known = np.isfinite(residual) & np.isfinite(x)
    ax.plot(x[known], residual[known], **style.POINT)
    ax.plot(*style.smooth(x, residual), color=style.TREND, lw=1.5)
    reach = 1.1 * max(2.5, float(np.max(np.abs(residual[known]), initial=0.0)))
    ax.set_ylim(-reach, reach)


def quantiles(ax: Axes, residual: np.ndarray) -> None:
    """Ordered residuals against the standard normal's quantiles, within the band where 95 % of each would lie."""
    ordered = np.sort(residual[np.isfinite(residual)])
    n = len(ordered)
    rank = np.arange(1, n + 1)
    z = scipy.special.ndtri((rank - 0.5) / max(n, 1))
    low, high = (scipy.special.ndtri(scipy.special.betaincinv(rank, n + 1 - rank, p)) for p in (0.025, 0.975))
    ax.fill_between(z, low, high, color=style.QUIET, alpha=0.25, lw=0)
    ax.plot(z, z, color=style.QUIET, lw=1.0, zorder=1)
    ax.plot(z, ordered, **style.POINT)
