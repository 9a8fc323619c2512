"""Hearts: action potentials and calcium, currents, net charge over doses and classes of risk, APD90 of many hearts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from twinjax.electrophysiology.cipa import Assessment
from twinjax.electrophysiology.pace import Rhythm
from twinjax.electrophysiology.risk import CLASSES, MANUAL, OrdinalLogistic
from twinjax.naming import leaves
from twinjax.plots import style
from twinjax.solve.problem import Solution

COLOURS = (style.INDIVIDUAL, style.TYPICAL, style.TREND, style.CENSORED, style.DATA, "#E69F00", "#56B4E9", style.QUIET)
"""Of lines side by side, in order."""
RISK_COLOURS = (style.TREND, "#E69F00", style.TYPICAL)
"""Of low, intermediate and high risk."""


def action_potential(
    rhythms: Mapping[str, Rhythm | tuple[Rhythm, int]], *, figure: style.Canvas | None = None
) -> Figure:
    """Potential and free calcium of the last beat, a line each: ``{"control": (rhythm, 0), "drug": (rhythm, 1)}``.

    **Parameters**: `rhythms`, by label, what `pace` gave, and which of its cells (default the first); `figure`, where
    to draw.
    """
    figure = style.canvas(figure, 7.6, 3.2)
    left, right = (style.quiet(ax) for ax in figure.subplots(1, 2))
    for (label, given), colour in zip(rhythms.items(), _cycled(len(rhythms)), strict=True):
        rhythm, cell = given if isinstance(given, tuple) else (given, 0)
        left.plot(rhythm.times, np.asarray(rhythm.trace.v[cell]), color=colour, lw=1.4, label=label)
        right.plot(rhythm.times, 1e6 * np.asarray(rhythm.trace.calcium[cell]), color=colour, lw=1.4)
    style.name(left, "time since the stimulus (ms)", "potential (mV)")
    style.name(right, "time since the stimulus (ms)", "free calcium (nM)")
    style.legend(left)
    return style.root(figure)


def membrane_currents(
    beats: Mapping[str, tuple[Any, Solution]],
    *,
    currents: Sequence[str] = ("ikr", "iks", "ik1", "ito", "ical", "inal"),
    since: float = 0.0,
    figure: style.Canvas | None = None,
) -> Figure:
    """Currents over time, a panel for each.

    **Parameters**: `beats`, by label, a cell with a method `currents` and its solution with states; `currents`, by name
    (default: those of the net charge); `since`, the time of the stimulus, which becomes 0.
    """
    columns = min(3, len(currents))
    rows = -(-len(currents) // columns)
    figure = style.canvas(figure, 2.7 * columns, 2.1 * rows)
    grid = figure.subplots(rows, columns, squeeze=False, sharex=True)
    for (label, (cell, beat)), colour in zip(beats.items(), _cycled(len(beats)), strict=True):
        found = leaves(cell.currents(beat.state))
        for ax, name in zip(grid.flat, currents, strict=False):
            ax.plot(np.asarray(beat.time[0]) - since, np.asarray(found[name][0]), color=colour, lw=1.2, label=label)
    for ax, name in zip(grid.flat, currents, strict=False):
        style.name(style.quiet(ax), "time (ms)", "uA/uF", name)
    for ax in grid.flat[len(currents) :]:
        ax.set_visible(False)
    style.legend(grid.flat[0])
    return style.root(figure)


def charge_by_dose(assessment: Assessment, *, drugs: Sequence[str] | None = None, ax: Axes | None = None) -> Figure:
    """Net charge against multiples of the therapeutic maximum, over bands of the class that the score would have.

    With draws, the median and the middle 95 %.

    **Parameters**: `drugs`, which (default: all); `ax`, where to draw.
    """
    ax = style.panel(ax, 5.6, 4.0)
    chosen = [v for v in assessment if drugs is None or v.drug.name in drugs]
    _bands(ax, chosen[0].risk, np.concatenate([v.qnet.ravel() for v in chosen]))
    for v, colour in zip(chosen, _cycled(len(chosen)), strict=True):
        lower, middle, upper = (1e3 * x for x in np.nanquantile(v.qnet, (0.025, 0.5, 0.975), axis=0))
        ax.plot(v.doses, middle, color=colour, lw=1.4, marker="o", markersize=3.5, label=v.drug.name)
        if len(v.qnet) > 1:
            ax.fill_between(v.doses, lower, upper, color=colour, alpha=0.2, lw=0)
    style.name(ax, "dose (times free Cmax)", "net charge (nC/uF)")
    style.legend(ax, ncols=1 + (len(chosen) > 6))
    return style.root(ax.figure)


def score_over_time(
    time: Any, free: Any, score: Any, *, risk: OrdinalLogistic = MANUAL, time_unit: str = "h",
    figure: style.Canvas | None = None,
) -> Figure:  # fmt: skip
    """Free concentration over the torsade metric score that it makes, with the bands of the classes.

    **Parameters**: `time`, `free` (nM) and `score` (uC/uF, as `Sweep.score_at` gives it) `(times,)`; `risk`, the
    regression whose bands are shown; `figure`, where to draw.
    """
    figure = style.canvas(figure, 5.6, 4.4)
    above, below = (style.quiet(ax) for ax in figure.subplots(2, 1, sharex=True, height_ratios=[1.0, 1.6]))
    above.plot(time, np.asarray(free), color=style.INDIVIDUAL, lw=1.4)
    _bands(below, risk, np.asarray(score))
    below.plot(time, 1e3 * np.asarray(score), color=style.INDIVIDUAL, lw=1.4)
    style.name(above, "", "free (nM)")
    style.name(below, style.axis("time", time_unit), "torsade metric score (nC/uF)")
    return style.root(figure)


def apd_distribution(durations: Mapping[str, Any], *, ax: Axes | None = None) -> Figure:
    """How APD90 is distributed over hearts, a histogram for each entry; hearts without one are counted in the legend.

    **Parameters**: `durations`, by label, APD90 (ms) `(hearts,)`; `ax`, where to draw.
    **Raises** `ValueError` where no heart has one.
    """
    ax = style.panel(ax)
    values = {label: np.asarray(v, float) for label, v in durations.items()}
    known = [v[np.isfinite(v)] for v in values.values()]
    if not sum(len(v) for v in known):
        raise ValueError("no heart has an APD90; nothing repolarised")
    edges = np.histogram_bin_edges(np.concatenate(known), bins=30).tolist()
    for (label, v), colour in zip(values.items(), _cycled(len(values)), strict=True):
        lost = int(np.sum(~np.isfinite(v)))
        text = f"{label}, {len(v)} hearts" + (f" ({lost} do not repolarise)" if lost else "")
        ax.hist(v[np.isfinite(v)], edges, color=colour, alpha=0.45, label=text)
    style.name(ax, "APD90 (ms)", "hearts")
    style.legend(ax)
    return style.root(ax.figure)


def _bands(ax: Axes, risk: OrdinalLogistic, shown: np.ndarray) -> None:
    """Bands of the classes, behind values in uC/uF, with room for all three; the axis is in nC/uF."""
    high, low = (1e3 * t for t in risk.thresholds)
    known = 1e3 * shown[np.isfinite(shown)]
    bottom, top = min([high - 8.0, *known - 3.0]), max([low + 8.0, *known + 3.0])
    for (a, b), colour, name in zip(((low, top), (high, low), (bottom, high)), RISK_COLOURS, CLASSES, strict=True):
        ax.axhspan(a, b, color=colour, alpha=0.12, lw=0)
        ax.annotate(f"{name} risk", (1.0, b), xycoords=("axes fraction", "data"), ha="right", va="top", fontsize=8,
                    color=style.QUIET, xytext=(-3, -3), textcoords="offset points")  # fmt: skip
    ax.set_ylim(bottom, top)


def _cycled(count: int) -> list[str]:
    return [COLOURS[i % len(COLOURS)] for i in range(count)]
