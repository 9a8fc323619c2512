"""Quantiles of an output over time, as a run has them in its table: the picture of a cohort of any size."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from twinjax.naming import resolve
from twinjax.plots import style
from twinjax.units import Unit


def quantile_band(
    table: pd.DataFrame,
    output: str | None = None,
    *,
    log: bool = False,
    time_unit: Unit | str = "h",
    unit: Unit | str | None = None,
    ax: Axes | None = None,
) -> Figure:
    """The middle quantile of an output as a line, the outer ones as the edges of a band.

    **Parameters**: `table`, with columns ``time`` and ``plasma.q05``, ``plasma.q50``, ... (a cohort's `quantiles`);
    `output`, by name (default the first); `log`, a logarithmic axis; `time_unit`, `unit`; `ax`, where to draw.
    **Raises** `ValueError` for an output that is not there.
    """
    levels: dict[str, dict[float, str]] = {}
    for column in table.columns:
        name, mark, level = column.rpartition(".q")
        if mark and level.replace(".", "", 1).isdigit():
            levels.setdefault(name, {})[float(level)] = column
    if not levels:
        raise ValueError("the table has no quantiles: columns such as plasma.q50")
    chosen = next(iter(levels)) if output is None else resolve(output, levels, "output")
    own = sorted(levels[chosen].items())
    ax, time = style.panel(ax), table["time"].to_numpy()
    pairs = [(own[i], own[-1 - i]) for i in range(len(own) // 2)]
    for number, ((low, lower), (high, upper)) in enumerate(pairs):
        shade = {"color": style.INDIVIDUAL, "alpha": 0.18 + 0.1 * number, "lw": 0}
        label = f"{_ordinal(low)} to {_ordinal(high)} percentile"
        ax.fill_between(time, table[lower], table[upper], label=label, **shade)
    if len(own) % 2:
        level, middle = own[len(own) // 2]
        label = "median" if level == 50 else f"{_ordinal(level)} percentile"
        ax.plot(time, table[middle], color=style.INDIVIDUAL, lw=1.6, label=label)
    if log:
        ax.set_yscale("log")
    count = table.get(f"{chosen}.patients")
    title = "" if count is None or not len(table) else f"{int(np.max(count)):,} patients"
    style.name(ax, style.axis("time", time_unit), style.axis(chosen, unit), title)
    style.legend(ax)
    return style.root(ax.figure)


def _ordinal(level: float) -> str:
    text = f"{level:g}"
    last = "th" if text[-2:] in ("11", "12", "13") else {"1": "st", "2": "nd", "3": "rd"}.get(text[-1], "th")
    return text + last
