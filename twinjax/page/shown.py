"""Twins' numbers as a page draws them: curves at times that miss no peak, doses as repeats, and nothing that is NaN."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from twinjax.assimilation.forecast import Forecast
from twinjax.assimilation.history import History
from twinjax.dosing import BOLUS, Regimen

POINTS = 127
"""Times of a curve; with that where the history begins they fill a program of 128."""


def grid(start: float, now: float, stop: float, doses: Sequence[np.ndarray]) -> np.ndarray:
    """Times `(POINTS,)` from start to stop: evenly spaced before and after `now`, two thirds of them at least after it,
    and just before and at each dose where there is room: the next ones first, then the latest of those given.
    """
    at = np.unique(np.concatenate([np.zeros(0), *doses]))
    at = at[(at > start) & (at < stop)]
    at = np.concatenate([at[at >= now], at[at < now][::-1]])[: POINTS // 4]
    marks = np.concatenate([at - 1e-6 * (stop - start), at])
    room = POINTS - len(marks)
    ahead = room if now <= start else math.ceil(room * max(2.0 / 3.0, (stop - now) / (stop - start)))
    past = np.linspace(start, now, room - ahead, endpoint=False) if now > start else np.zeros(0)
    return np.sort(np.concatenate([past, np.linspace(now, stop, ahead), marks]))


def curves(found: Forecast, said: Sequence[str], *, measured: bool) -> dict[str, Any]:
    """A forecast's bands by output, and what is to be said about it."""
    outputs = {}
    for name in found.predicted:
        lower, median, upper = found.band(name)
        own = {"lower": lower, "median": median, "upper": upper}
        if measured and name in found.measured and not np.isnan(found.measured[name]).all():
            own["measured_lower"], _, own["measured_upper"] = found.band(name, measured=True)
        outputs[name] = {n: _short(v) for n, v in own.items()}
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
    """Doses later than a time as repeats."""
    return repeats(doses_of(history, routes, after))


def doses_in(regimen: Regimen, routes: Mapping[str, str]) -> list[dict[str, Any]]:
    """Every dose of a regimen, one a row, by time."""
    return doses_of(History("").with_doses(regimen, 0.0), routes)


def repeats(doses: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Doses, one a row by time, of which equal ones, evenly spaced, become one row with `every` and `count`."""
    rows: list[dict[str, Any]] = []
    for dose in doses:
        last = next((r for r in reversed(rows) if all(r[n] == dose[n] for n in ("amount", "into", "duration"))), None)
        if last is not None:
            gap = dose["time"] - (last["time"] + last["every"] * (last["count"] - 1))
            if gap > 0.0 and (last["count"] == 1 or math.isclose(gap, last["every"], abs_tol=1e-6)):
                last["every"], last["count"] = gap if last["count"] == 1 else last["every"], last["count"] + 1
                continue
        rows.append({**dose, "every": 0.0, "count": 1})
    return rows


def plain(value: Any) -> Any:
    """As JSON has it: every number as it is, null where it is not finite."""
    if isinstance(value, Mapping):
        return {str(n): plain(v) for n, v in value.items()}
    if isinstance(value, np.ndarray | list | tuple):
        return [plain(v) for v in value]
    if isinstance(value, bool | np.bool_):
        return bool(value)
    if isinstance(value, int | np.integer):
        return int(value)
    if isinstance(value, float | np.floating):
        return float(value) if math.isfinite(value) else None
    return value


def _short(values: np.ndarray) -> list[float]:
    """To the seven digits that a curve needs."""
    return [float(f"{v:.7g}") for v in np.asarray(values, float)]
