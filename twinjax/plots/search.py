"""How the search for the estimates went."""

from __future__ import annotations

import math

from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

from twinjax.estimation.result import Fit
from twinjax.models.base import parameter_units
from twinjax.plots import style


def convergence(fit: Fit, *, figure: style.Canvas | None = None) -> Figure:
    """The objective above its best value, and the largest |gradient|, by iteration, a line for each start (the best
    one bold).

    A step that ended at the best value itself is not shown on the logarithmic axis of the left panel. Of a chain, the
    method of most iterations is shown; where it has no objective, every parameter by iteration.
    """
    stages = [h.stage for h in fit.history]
    stage = max(set(stages), key=stages.count, default=0)
    history = [h for h in fit.history if h.stage == stage]
    if any(math.isnan(h.objective) for h in history):
        return _parameters(fit, stage, figure)
    figure = style.canvas(figure, 7.2, 2.9)
    left, right = (style.quiet(figure.add_subplot(1, 2, i)) for i in (1, 2))
    starts = sorted({h.start for h in history})
    least = min((h.objective for h in history), default=fit.objective)
    best = min(starts, key=lambda s: min(h.objective for h in history if h.start == s), default=0)
    for start in starts:
        own = [h for h in history if h.start == start]
        colour = style.INDIVIDUAL if start == best else style.QUIET
        how = {"color": colour, "lw": 1.5 if start == best else 0.9, "marker": "o", "markersize": 2.8,
               "zorder": 3 if start == best else 2}  # fmt: skip
        label = ("best start" if len(starts) > 1 else None) if start == best else None
        above = [(h.step, h.objective - least) for h in own if h.objective > least]
        left.plot([s for s, _ in above], [f for _, f in above], label=label, **how)
        right.plot([h.step for h in own], [h.gradient for h in own], **how)
    if history and not any(h.gradient > 0 for h in history):
        right.set_visible(False)
    for ax, what in ((left, f"objective above {least:.3f}"), (right, "largest |gradient|")):
        ax.set_yscale("log")
        ax.yaxis.set_major_locator(LogLocator(numticks=6))
        ax.yaxis.set_minor_locator(NullLocator())
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        style.name(ax, "iteration", what)
    if len(starts) > 1:
        style.legend(left)
    return style.root(figure)


def _parameters(fit: Fit, stage: int, figure: style.Canvas | None) -> Figure:
    """A panel for each estimated parameter: its value by iteration, and the estimate."""
    trace, units = fit.trace, parameter_units(fit.population.model)
    trace, names = trace.loc[trace["stage"] == stage], fit.estimated
    columns = min(4, len(names))
    rows = -(-len(names) // columns)
    figure = style.canvas(figure, 2.3 * columns, 0.4 + 1.6 * rows)
    for k, n in enumerate(names):
        ax = style.quiet(figure.add_subplot(rows, columns, k + 1))
        ax.axhline(fit.theta[n], color=style.QUIET, lw=1.0)
        for _, own in trace.groupby("start", sort=False):
            ax.plot(own["step"], own[n], color=style.INDIVIDUAL, lw=1.0)
        ax.xaxis.set_major_locator(MaxNLocator(4, integer=True))
        style.name(ax, "iteration" if k >= len(names) - columns else "", style.axis(n, units.get(n)))
    return style.root(figure)
