"""The numerical predictive check: what lies outside the prediction intervals, of what the model expects."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from twinjax.plots import style


def numerical_check(table: pd.DataFrame, *, figure: style.Canvas | None = None) -> Figure:
    """Measurements below and above each prediction interval over those expected, in the band of simulated trials.

    A model that is right has points in the band about one. Points outside it are filled.

    **Parameters**: `table`, that of `numerical_check(fit)`; `figure`, where to draw.
    """
    figure = style.canvas(figure, 7.2, 3.0)
    for ax, side in zip(figure.subplots(1, 2, sharey=True), ("below", "above"), strict=True):
        style.quiet(ax)
        own = table.loc[(table["side"] == side) & (table["expected"] > 0)].sort_values("interval")
        x, expected = 100 * own["interval"].to_numpy(float), own["expected"].to_numpy(float)
        lower, upper, ratio = (own[n].to_numpy(float) / expected for n in ("lower", "upper", "observed"))
        ax.fill_between(x, lower, upper, color=style.INDIVIDUAL, alpha=0.2, lw=0, label="simulated trials")
        ax.axhline(1.0, color=style.QUIET, lw=1.0)
        ax.plot(x, ratio, color=style.DATA, lw=1.2, label="observed")
        outside = ~own["inside"].to_numpy(bool)
        how = {"linestyle": "none", "marker": "o", "markersize": 4.5, "markeredgecolor": style.DATA}
        ax.plot(x[~outside], ratio[~outside], markerfacecolor="white", **how)
        ax.plot(x[outside], ratio[outside], **{**how, "markerfacecolor": style.TYPICAL},
                label="outside the band" if outside.any() else None)  # fmt: skip
        style.name(
            ax, "prediction interval (%)", "observed / expected" if side == "below" else "", f"measurements {side}"
        )
        if side == "above":
            style.legend(ax, loc="upper left")
    return style.root(figure)
