"""Each person's part of the objective: who is badly described, and who decides the fit."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from twinjax.estimation.diagnosis.individual import individual_objectives
from twinjax.estimation.result import Fit
from twinjax.plots import style

_NAMED = 5


def objectives(fit: Fit, *, table: pd.DataFrame | None = None, figure: style.Canvas | None = None) -> Figure:
    """Objective per measurement of each person, in order, and against how far their random effects lie from zero.

    The worst five are named.

    **Parameters**: `table`, that of `individual_objectives(fit)` if it is at hand; `figure`, where to draw.
    **Raises** `ValueError` for a fit by a method that computes no objective of each person.
    """
    every = individual_objectives(fit) if table is None else table
    table = pd.DataFrame(every.loc[np.isfinite(every["per_observation"].to_numpy(float))])
    if not len(table):
        raise ValueError(f"{fit.method.name} computes no objective of each person")
    ordered = table.sort_values("per_observation")
    far = bool(np.all(np.isfinite(table["distance"].to_numpy(float)))) and fit.method.steps[-1].conditional
    figure = style.canvas(figure, 7.2 if far else 4.2, 3.1)
    grid = figure.subplots(1, 1 + far, squeeze=False)[0]
    value = ordered["per_observation"].to_numpy(float)
    for ax, x, what in (
        (grid[0], np.arange(1.0, len(ordered) + 1), "people, in order"),
        *([(grid[1], ordered["distance"].to_numpy(float), "distance of eta from zero")] if far else []),
    ):
        style.quiet(ax)
        ax.plot(x, value, **style.POINT)
        for at, y, id in list(zip(x, value, ordered["ID"], strict=True))[-_NAMED:]:
            right = at > 0.5 * (np.min(x) + np.max(x))
            ax.annotate(str(id), (at, y), xytext=(-4 if right else 4, 0), textcoords="offset points", fontsize=7,
                        ha="right" if right else "left", va="center", color=style.TYPICAL)  # fmt: skip
        style.name(ax, what, "objective per measurement" if ax is grid[0] else "")
    grid[0].xaxis.set_major_locator(MaxNLocator(integer=True))
    return style.root(figure)
