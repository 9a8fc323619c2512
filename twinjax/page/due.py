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
    **Returns** the doses; for each that was asked its time and count now, where some of it came due, None where all of
    it did (empty where nothing did); and what is to be said, in words, of those that came due and of what is on record
    since then and was not asked. Doses from before `since`, and what is not understood, are left as they are.
    """
    if not since < begin or not isinstance(doses, list):
        return doses, [], []
    left, kept, said = [], [], []
    free = list(record)  # each is one dose that was given, and no more
    for d in doses:
        numbers = _numbers(d)
        if numbers is None or not since <= numbers[0] < begin:
            left.append(d)
            kept.append({})
            continue
        time, every, count = numbers
        past = min(count, math.ceil((begin - time) / every - 1e-9)) if count > 1 else 1
        for t in (time + k * every for k in range(past)):
            known = next((i for i, r in enumerate(free) if abs(r["time"] - t) < 1e-6 and _same(r, d, into)), None)
            if known is not None:
                del free[known]
            what = "counts as given, as it was planned" if known is not None else (
                "is left out, as it is not on record: if it was given, send it to the ward in a message"
            )  # fmt: skip
            said.append(f"The dose of {d.get('amount')} at {t:.10g} has come due since the page was read: it {what}.")
        if past == count:
            kept.append(None)
            continue
        now = {"time": time + past * every, "count": count - past}
        kept.append(now)
        left.append({**d, **now})
    due = bool(said)
    said += [f"The dose of {r['amount']:.10g} at {r['time']:.10g} has come due since the page was read: it counts as "
             "given, as it is on record, though it is not among these." for r in free
             if since < r["time"] < begin]  # fmt: skip
    return left, (kept if due else []), said


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
    if not isinstance(amount, int | float) or not isinstance(over or 0.0, int | float) or "unit" in d:
        return False
    alike = math.isclose(record["amount"], amount, rel_tol=1e-6)
    return alike and math.isclose(record["duration"] or 0.0, over or 0.0, rel_tol=1e-6) and (
        record["into"] == d.get("into", into))  # fmt: skip
