"""Residuals by simulation: NPDE (or NPD) against time and prediction, and against the standard normal."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from twinjax.estimation.diagnosis.npde import npde_tests
from twinjax.models.base import AbstractModel
from twinjax.naming import resolve
from twinjax.observation import QUANTIFIED
from twinjax.plots import style
from twinjax.plots.goodness import quantiles


def npde(
    table: pd.DataFrame,
    model: AbstractModel | None = None,
    *,
    output: str | None = None,
    column: str = "NPDE",
    figure: style.Canvas | None = None,
) -> Figure:
    """Four panels: against the normal's quantiles, histogram, against time, against the mean prediction.

    A model that is right gives a standard normal: points within the band, bars along the curve, half of the points
    above the line and 95 % within the dotted ones, at any time. Imputed values of censored measurements are marked.

    **Parameters**: `table`, that of `npde(fit)`; `model`, for units on the axes; `output`, which, where several are
    measured (default the first); `column`, NPDE or NPD; `figure`, where to draw.
    """
    there = tuple(table["OUTPUT"].unique())
    chosen = there[0] if output is None else resolve(output, there, "measured output")
    own = pd.DataFrame(table.loc[table["OUTPUT"] == chosen])
    figure = style.canvas(figure, 7.2, 6.0)
    panels = [style.quiet(figure.add_subplot(2, 2, i)) for i in range(1, 5)]
    x = own[column].to_numpy(float)
    quantiles(panels[0], x)
    tests = npde_tests(own, column).loc[chosen]
    said = f"{chosen}: " if len(there) > 1 else ""
    if "mean" in tests:
        said += f"mean {tests['mean']:.2f}, variance {tests['variance']:.2f}, p {tests['p']:.2g}"
    style.name(panels[0], "quantile of a standard normal", column, said)
    _histogram(panels[1], x[np.isfinite(x)])
    style.name(panels[1], column, "density")
    unit = None if model is None else style.output_units(model)[chosen]
    time = style.axis("time", None if model is None else type(model).time_unit)
    known = own["CENS"].to_numpy() == QUANTIFIED
    for ax, against, what in (
        (panels[2], "TIME", time), (panels[3], "EPRED", style.axis("mean of the simulated", unit)),
    ):  # fmt: skip
        _against(ax, own[against].to_numpy(float), x, known)
        style.name(ax, what, column)
    if not known.all():
        style.legend(panels[2], loc="upper right")
    return style.root(figure)


def _histogram(ax: Axes, x: np.ndarray) -> None:
    bins = int(np.clip(np.ceil(1.5 * np.sqrt(len(x))), 5, 30))
    ax.hist(x, bins=bins, density=True, color=style.INDIVIDUAL, alpha=0.35, edgecolor="white", linewidth=0.8)
    z = np.linspace(-3.5, 3.5, 200)
    ax.plot(z, np.exp(-0.5 * z * z) / np.sqrt(2 * np.pi), color=style.TYPICAL, lw=1.4)
    ax.set_yticks([])


def _against(ax: Axes, at: np.ndarray, x: np.ndarray, known: np.ndarray) -> None:
    """Points about zero with a smooth line; imputed ones marked."""
    ax.axhline(0.0, color=style.QUIET, lw=1.0, zorder=1)
    for limit in (-1.96, 1.96):
        ax.axhline(limit, color=style.QUIET, lw=0.8, ls=":", zorder=1)
    ax.plot(at[known], x[known], label="measured", **style.POINT)
    if not known.all():
        ax.plot(at[~known], x[~known], label="imputed", **style.LIMIT)
    ax.plot(*style.smooth(at, x), color=style.TREND, lw=1.5)
    reach = 1.1 * max(2.5, float(np.nanmax(np.abs(x), initial=0.0)))
    ax.set_ylim(-reach, reach)
