"""How the objective rises about the estimates, and how the estimates scatter."""

from __future__ import annotations

import math

import numpy as np
from matplotlib.figure import Figure

from twinjax.estimation.evidence.bootstrap import Bootstrap
from twinjax.estimation.evidence.profile import Profiles
from twinjax.plots import style


def likelihood_profiles(profiles: Profiles, *, figure: style.Canvas | None = None) -> Figure:
    """A panel for each parameter: the rise of the objective, its limits, and the parabola of the standard error."""
    names = list(profiles.table.index)
    figure, axes = _grid(len(names), figure)
    for name, ax in zip(names, axes, strict=True):
        row, here = profiles.table.loc[name], (profiles.trace["parameter"] == name).to_numpy()
        x, rise = (profiles.trace[c].to_numpy(float)[here] for c in ("value", "change"))
        ax.axhline(profiles.rise, color=style.QUIET, lw=1.0)
        ax.plot(x, rise, color=style.INDIVIDUAL, lw=1.5, marker="o", markersize=2.8)
        for limit in (row["lower"], row["upper"]):
            if math.isfinite(limit):
                ax.axvline(limit, color=style.INDIVIDUAL, lw=0.8, ls=":")
        half = (math.log(row["wald_upper"]) - math.log(row["wald_lower"])) / 2 if row["wald_lower"] > 0 else math.nan
        if math.isfinite(half) and half > 0:
            at = np.linspace(x.min(), x.max(), 80)
            ax.plot(
                at, profiles.rise * (np.log(at / row["estimate"]) / half) ** 2, color=style.TYPICAL, lw=1.0, ls="--"
            )
        ax.set_ylim(-0.05 * profiles.rise, 1.6 * profiles.rise)
        style.name(ax, name, "rise of the objective")
    return style.root(figure)


def bootstrap_estimates(found: Bootstrap, *, figure: style.Canvas | None = None) -> Figure:
    """A histogram for each parameter: the replicates' estimates, the fit's, and the percentile interval."""
    values, table = found.values, found.table
    figure, axes = _grid(len(found.names), figure)
    for name, ax in zip(found.names, axes, strict=True):
        own = values[name].to_numpy(float)
        bins = int(np.clip(np.ceil(1.5 * np.sqrt(len(own))), 5, 40))
        ax.hist(own, bins=bins, color=style.INDIVIDUAL, alpha=0.35, edgecolor="white", linewidth=0.6)
        ax.axvline(table.loc[name, "estimate"], color=style.TYPICAL, lw=1.5)
        for limit in (table.loc[name, "lower"], table.loc[name, "upper"]):
            ax.axvline(limit, color=style.INDIVIDUAL, lw=0.8, ls=":")
        style.name(ax, name, "replicates")
    return style.root(figure)


def _grid(count: int, figure: style.Canvas | None) -> tuple[style.Canvas, list]:
    """A figure with so many quiet panels, at most four in a row."""
    columns = min(count, 4)
    rows = -(-count // columns)
    figure = style.canvas(figure, 0.4 + 2.3 * columns, 0.3 + 2.0 * rows)
    return figure, [style.quiet(figure.add_subplot(rows, columns, i + 1)) for i in range(count)]
