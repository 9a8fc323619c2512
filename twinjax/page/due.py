"""Doses that have come due while a page was open: what was on record is taken as given, the rest of an edit stands."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any


def still_to_come(
    doses: Any, since: float, begin: float, record: Sequence[Mapping[str, Any]], into: str
) -> tuple[Any, list[dict[str, Any] | None], list[str]]:
    """Of doses as a page asks them the ones from `begin` on, where the page was read at `since`, before that.

    **Parameters**: `doses`, in plain data, as they may be written; `record`, a row for each dose that the twin knows
    of; `into`, where one goes that does not say.
    **Returns** the doses; for each that was asked its time and count now, None where it is past as a whole (empty where
    none came due); and what is to be said of those that did, in words. Doses from before `since`, and what is not
    understood, are left as they are.
    """
    if not since < begin or not isinstance(doses, list):
        return doses, [], []
    left, kept, said = [], [], []
    for d in doses:
        numbers = _numbers(d)
        if numbers is None or not since <= numbers[0] < begin:
            left.append(d)
            kept.append({n: d[n] for n in ("time", "count") if n in d} if isinstance(d, Mapping) else {})
            continue
        time, every, count = numbers
        due = min(count, math.ceil((begin - time) / every - 1e-9)) if count > 1 else 1
        for t in (time + k * every for k in range(due)):
            known = any(abs(r["time"] - t) < 1e-6 and _same(r, d, into) for r in record)
            what = "counts as given, as it was planned" if known else (
                "is left out, as it is not on record: if it was given, send it to the ward in a message"
            )  # fmt: skip
            said.append(f"The dose of {d.get('amount')} at {t:.10g} has come due since the page was read: it {what}.")
        if due == count:
            kept.append(None)
            continue
        now = {"time": time + due * every, "count": count - due}
        kept.append(now)
        left.append({**d, **now})
    return left, (kept if said else []), said


def _numbers(d: Any) -> tuple[float, float, int] | None:
    """Time, interval and count of a dose that says them rightly."""
    if not isinstance(d, Mapping):
        return None
    given: list[Any] = [d.get("time"), d.get("every") or 0.0, d.get("count", 1)]
    numbers: list[float] = []
    for x in given:
        if isinstance(x, bool) or not isinstance(x, int | float) or not math.isfinite(x):
            return None
        numbers.append(float(x))
    time, every, count = numbers
    if count != int(count) or not 1 <= count <= 60 or (count > 1 and not every > 0):
        return None
    return time, every, int(count)


def _same(record: Mapping[str, Any], d: Mapping[str, Any], into: str) -> bool:
    """Whether a dose on record is the one that was asked, in the model's units."""
    amount, over = d.get("amount"), d.get("duration")
    alike = isinstance(amount, int | float) and math.isclose(record["amount"], amount, rel_tol=1e-6)
    return alike and record["into"] == d.get("into", into) and (record["duration"] is None) == (not over) and (
        "unit" not in d)  # fmt: skip
