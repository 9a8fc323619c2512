"""Concentration, or any output, against time: profiles of people, a cohort's band, and data."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from twinjax.estimation.diagnosis.residuals import curves
from twinjax.estimation.result import Fit
from twinjax.models.base import output_names
from twinjax.naming import leaves, resolve
from twinjax.observation import QUANTIFIED
from twinjax.plots import style
from twinjax.population.subject import TrialData
from twinjax.solve.problem import Solution
from twinjax.units import Unit, declared

_LINES = 12
"""More people than this with the same times are shown as a band."""


def concentration_time(
    what: Solution | Fit | TrialData,
    *,
    output: str | int | None = None,
    data: TrialData | None = None,
    log: bool = False,
    band: bool | None = None,
    time_unit: Unit | str = "h",
    unit: Unit | str | None = None,
    ax: Axes | None = None,
) -> Figure:
    """Profiles of a `Solution`, the individual curves of a `Fit` with its data, or the data of a trial joined by
    person.

    **Parameters**: `output`, by name, or number in a trial (default the first); `data`, measurements to add to a
    solution; `log`, a logarithmic axis; `band`, median with the 5th to 95th percentile instead of lines (default: for
    more than twelve patients); `time_unit` and `unit`, where they are not known from what is shown; `ax`, where to
    draw.
    **Raises** `ValueError` for an output that is not there, and for a band of patients sampled at different times.
    """
    ax = style.panel(ax)
    if isinstance(what, Fit):
        model = what.population.model
        outputs = output_names(model)
        chosen = _chosen(output, outputs, next(iter(what.population.residuals)))
        unit, time_unit = style.output_units(model)[chosen], type(model).time_unit
        lines = curves(what)
        for number, (_, line) in enumerate(lines[lines["OUTPUT"] == chosen].groupby("ID", sort=False)):
            label = "individual fits" if number == 0 else None
            ax.plot(line["TIME"], line["IPRED"], color=style.INDIVIDUAL, lw=0.9, alpha=0.55, label=label)
        _measured(ax, what.trial, chosen, outputs, joined=False)
    elif isinstance(what, Solution):
        outputs = tuple(leaves(what.output))
        chosen = _chosen(output, outputs, outputs[0])
        unit = unit or declared(what.output)[chosen][0]
        _profiles(ax, what, np.asarray(leaves(what.output)[chosen], float), band)
        if data is not None:
            _measured(ax, data, chosen, outputs, joined=False)
    else:
        there = tuple(dict.fromkeys(str(o) for s in what for o in s.measurements.output))
        chosen = _chosen(None if output is None else str(output), there, there[0] if there else "")
        _measured(ax, what, chosen, (), joined=True)
        chosen = f"output {chosen}" if chosen.isdigit() else chosen
    if log:
        ax.set_yscale("log")
    style.name(ax, style.axis("time", time_unit), style.axis(chosen, unit))
    if len(ax.get_legend_handles_labels()[0]) > 1:
        style.legend(ax)
    return style.root(ax.figure)


def _chosen(output: str | int | None, outputs: tuple[str, ...], default: str) -> str:
    if output is None:
        return default
    if isinstance(output, int):
        if not 1 <= output <= len(outputs):
            raise ValueError(f"there is no output {output}; there are {', '.join(outputs)}")
        return outputs[output - 1]
    return resolve(output, outputs, "output")


def _profiles(ax: Axes, solution: Solution, value: np.ndarray, band: bool | None) -> None:
    """Lines of the solved patients, or their median and band."""
    time, good = np.asarray(solution.time, float), np.asarray(solution.result) == 0
    same = bool(np.all(time == time[:1]))
    if band and not same:
        raise ValueError("a band needs patients sampled at the same times; give simulate one array of times")
    band = same and len(time) > _LINES if band is None else band
    if band:
        low, middle, high = np.quantile(value[good], (0.05, 0.5, 0.95), axis=0)
        shade = {"color": style.INDIVIDUAL, "alpha": 0.18, "lw": 0}
        ax.fill_between(time[0], low, high, label=f"5th to 95th percentile, {good.sum()} patients", **shade)
        ax.plot(time[0], middle, color=style.INDIVIDUAL, lw=1.6, label="median")
        return
    alone = len(time) == 1
    for t, y in zip(time[good], value[good], strict=True):
        ax.plot(t, y, color=style.INDIVIDUAL, lw=1.6 if alone else 0.9, alpha=1.0 if alone else 0.6)


def _measured(ax: Axes, trial: TrialData, chosen: str, outputs: tuple[str, ...], *, joined: bool) -> None:
    """Points of a trial; `joined` by a line for each person. `outputs` give names to numbers."""

    def called(o: Any) -> str:
        if isinstance(o, int):
            return outputs[o - 1] if outputs else str(o)
        return resolve(o, outputs, "output") if outputs else o

    seen: list[np.ndarray] = []
    for s in trial:
        m = s.measurements
        own = np.asarray([called(o) == chosen for o in m.output], bool)
        seen.append(np.stack([m.time[own], m.value[own], m.censored[own]]))
        if joined:
            ax.plot(m.time[own], m.value[own], color=style.QUIET, lw=0.7, alpha=0.7)
    time, value, censored = np.concatenate(seen, axis=1)
    known = censored == QUANTIFIED
    ax.plot(time[known], value[known], label="measured", **style.POINT)
    if not known.all():
        ax.plot(time[~known], value[~known], label="beyond the limit", **style.LIMIT)
