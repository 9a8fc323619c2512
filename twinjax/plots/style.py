"""How every picture looks: one palette safe for the colour-blind, quiet axes, units on every label.

Colours are those of Okabe & Ito 2008, Color Universal Design (https://jfly.uni-koeln.de/color/), and mean the same
everywhere.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from twinjax.models.base import AbstractModel, zeros
from twinjax.units import Unit, declared

DATA = "#404040"
"""What was measured."""
INDIVIDUAL = "#0072B2"
"""The model at a person's own parameters; simulated medians."""
TYPICAL = "#D55E00"
"""The model of the typical person; simulated outer percentiles."""
CENSORED = "#CC79A7"
"""Known only to lie beyond a limit."""
TREND = "#009E73"
"""A smooth line through points."""
QUIET = "#9A9A9A"
"""Lines of reference and unobtrusive text."""

POINT = {"marker": "o", "linestyle": "none", "markersize": 3.6, "markeredgewidth": 0.0, "color": DATA, "alpha": 0.75}
"""How a measurement is drawn."""
LIMIT = {"marker": "v", "linestyle": "none", "markersize": 4.6, "markeredgewidth": 0.9, "markerfacecolor": "none",
         "markeredgecolor": CENSORED}  # fmt: skip
"""How a censored measurement is drawn, at its limit."""

Canvas = Figure | SubFigure


def canvas(figure: Canvas | None, width: float, height: float) -> Canvas:
    """The figure given, or a new one of this size in inches."""
    return Figure(figsize=(width, height), dpi=150, layout="constrained") if figure is None else figure


def panel(ax: Axes | None, width: float = 5.2, height: float = 3.6) -> Axes:
    """The axes given, or those of a new figure, made quiet."""
    return quiet(Figure(figsize=(width, height), dpi=150, layout="constrained").add_subplot() if ax is None else ax)


def quiet(ax: Axes) -> Axes:
    """Two thin spines, a faint grid, small text."""
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        ax.spines[side].set(color="#707070", linewidth=0.7)
    ax.tick_params(which="both", color="#707070", labelcolor="#303030", labelsize=8, width=0.7, length=3)
    ax.grid(visible=True, color="#EBEBEB", linewidth=0.6)
    ax.set_axisbelow(True)
    return ax


def name(ax: Axes, x: str = "", y: str = "", title: str = "") -> None:
    """Labels of the axes, and a title on the left."""
    if x:
        ax.set_xlabel(x, fontsize=9, color="#303030")
    if y:
        ax.set_ylabel(y, fontsize=9, color="#303030")
    if title:
        ax.set_title(title, fontsize=9, loc="left", color="#303030")


def legend(on: Any, **where: Any) -> None:
    """A legend without a frame."""
    on.legend(frameon=False, fontsize=8, labelcolor="#303030", handlelength=1.8, **where)


def root(figure: Canvas) -> Figure:
    """The whole figure that a part belongs to."""
    whole = figure.get_figure(root=True)
    if not isinstance(whole, Figure):
        raise ValueError("these axes belong to no figure")
    return whole


def axis(quantity: str, unit: Unit | str | None) -> str:
    """``plasma (mg/L)``; only the quantity where it has no unit."""
    text = "" if unit is None else str(unit)
    return quantity if text in ("", "1") else f"{quantity} ({text})"


def output_units(model: AbstractModel) -> dict[str, Unit | None]:
    """Unit of each of a model's outputs, by name."""
    return {n: u for n, (u, _) in declared(zeros(type(model).Output)).items()}


def smooth(x: np.ndarray, y: np.ndarray, span: float = 0.66, points: int = 80) -> tuple[np.ndarray, np.ndarray]:
    """A local straight line through points, tricube weights over the nearest `span` of them, on `points` places.

    **Reference**: Cleveland 1979, J Am Stat Assoc 74:829, doi:10.1080/01621459.1979.10481038 (without robust
    repeats).
    """
    known = np.isfinite(x) & np.isfinite(y)
    x, y = np.asarray(x, float)[known], np.asarray(y, float)[known]
    if len(np.unique(x)) < 4:
        return np.zeros(0), np.zeros(0)
    at = np.linspace(x.min(), x.max(), points)
    distance = np.abs(x - at[:, None])
    reach = np.sort(distance, axis=1)[:, max(3, int(np.ceil(span * len(x)))) - 1]
    reach = np.maximum(reach * 1.0001, 0.05 * (x.max() - x.min()))
    weight = np.clip(1 - (distance / reach[:, None]) ** 3, 0, None) ** 3
    total = weight.sum(axis=1)
    middle, level = (weight @ x) / total, (weight @ y) / total
    spread = (weight * (x - middle[:, None]) ** 2).sum(axis=1)
    lean = (weight * (x - middle[:, None]) * (y - level[:, None])).sum(axis=1)
    return at, level + np.where(spread > 0, lean / np.where(spread > 0, spread, 1.0), 0.0) * (at - middle)
