"""What an outcome depends on most: bars from the lower to the upper end of each parameter's range."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from twinjax.plots import style


def tornado(table: pd.DataFrame, *, what: str = "measure", figure: style.Canvas | None = None) -> Figure:
    """A bar for each parameter, the widest on top; orange where the parameter is at its lower end, blue at its upper.

    **Parameters**: `table`, of `exposure.tornado`; `what`, the label of the axis, with its unit; `figure`, where to
    draw.
    **Raises** `ValueError` for a table without parameters.
    """
    if not len(table):
        raise ValueError("the table has no parameters to draw")
    figure = style.canvas(figure, 5.2, 0.9 + 0.28 * len(table))
    ax = style.quiet(figure.subplots())
    base = float(table["base"].iloc[0])
    for at, (_, row) in enumerate(table.iloc[::-1].iterrows()):
        for end, colour in (("at_low", style.TYPICAL), ("at_high", style.INDIVIDUAL)):
            ax.barh(at, float(row[end]) - base, left=base, height=0.62, color=colour, alpha=0.85)
    ax.axvline(base, color=style.QUIET, linewidth=0.9)
    ax.set_yticks(range(len(table)), list(table.index[::-1]), fontsize=8)
    ax.set_xlabel(what, fontsize=9)
    return ax.figure  # type: ignore[return-value]
