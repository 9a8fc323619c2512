"""Twins' numbers as a page draws them: curves at times that miss no peak, doses as repeats, and nothing that is NaN."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from twinjax.assimilation.forecast import Forecast
from twinjax.assimilation.history import History
from twinjax.dosing import BOLUS

POINTS = 127
"""Times of a curve; with that where the history begins they fill a program of 128."""


def grid(start: float, stop: float, doses: Sequence[np.ndarray]) -> np.ndarray:
    """Times `(POINTS,)` from start to stop: evenly spaced, and just before and at each dose, where there is room."""
    at = np.unique(np.concatenate([np.zeros(0), *doses]))
    at = at[(at > start) & (at < stop)][: POINTS // 4]
    marks = np.concatenate([at - 1e-6 * (stop - start), at])
    even = np.linspace(start, stop, POINTS - len(marks))
    return np.sort(np.concatenate([even, marks]))


def curves(found: Forecast, said: Sequence[str], *, measured: bool) -> dict[str, Any]:
    """A forecast's bands by output, and what is to be said about it."""
    outputs = {}
    for name in found.predicted:
        lower, median, upper = found.band(name)
        own = {"lower": lower, "median": median, "upper": upper}
        if measured and name in found.measured and not np.isnan(found.measured[name]).all():
            own["measured_lower"], _, own["measured_upper"] = found.band(name, measured=True)
        outputs[name] = own
    return plain({"time": found.time, "outputs": outputs, "said": list(said)})


def doses_of(history: History, routes: Mapping[str, str], after: float = -math.inf) -> list[dict[str, Any]]:
    """Every dose later than a time, one a row."""
    d, names, rows = history.doses, list(routes), []
    for i, k in enumerate(d.kinds):
        if k.evid == 3 or not float(d.time[i]) > after:
            continue
        into = k.into if isinstance(k.into, str) else names[k.into - 1] if k.into <= len(names) else str(k.into)
        amount, rate = float(d.amount[i]), float(d.rate[i])
        duration = None if k.mode == BOLUS or not rate > 0 else amount / rate
        rows.append({"time": float(d.time[i]), "amount": amount, "into": into, "duration": duration})
    return rows


def plan_of(history: History, after: float, routes: Mapping[str, str]) -> list[dict[str, Any]]:
    """Doses later than a time as repeats: equal ones, evenly spaced, are one row with `every` and `count`."""
    rows: list[dict[str, Any]] = []
    for dose in doses_of(history, routes, after):
        last = next((r for r in reversed(rows) if all(r[n] == dose[n] for n in ("amount", "into", "duration"))), None)
        if last is not None:
            gap = dose["time"] - (last["time"] + last["every"] * (last["count"] - 1))
            if last["count"] == 1 or math.isclose(gap, last["every"], abs_tol=1e-6):
                last["every"], last["count"] = gap if last["count"] == 1 else last["every"], last["count"] + 1
                continue
        rows.append({**dose, "every": 0.0, "count": 1})
    return rows


def plain(value: Any) -> Any:
    """As JSON has it: numbers to seven digits, null where they are not finite."""
    if isinstance(value, Mapping):
        return {str(n): plain(v) for n, v in value.items()}
    if isinstance(value, np.ndarray | list | tuple):
        return [plain(v) for v in value]
    if isinstance(value, bool | np.bool_):
        return bool(value)
    if isinstance(value, int | np.integer):
        return int(value)
    if isinstance(value, float | np.floating):
        return float(f"{float(value):.7g}") if math.isfinite(value) else None
    return value
