"""What a page asks of a patient's twin, in plain data: no HTTP here, and nothing that changes the ward."""

from __future__ import annotations

import datetime
import math
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from twinjax.assimilation.forecast import Forecast, altered, foreseen
from twinjax.assimilation.history import History
from twinjax.assimilation.recommend import Recommendation
from twinjax.assimilation.states.belief import StateBelief
from twinjax.assimilation.twin import Twin
from twinjax.dosing import Regimen
from twinjax.io.messages import Clock, output_units, read_message
from twinjax.models.base import parameter_units
from twinjax.page.asked import DAY, MOST_DOSES, Question, answered, begin, question, takers
from twinjax.page.due import still_to_come
from twinjax.page.shown import curves, doses_in, doses_of, grid, plain, plan_of, repeats
from twinjax.stream import Ward

_DRAWS = 200
_SHOWN = 6
"""Candidates that are set side by side."""


class Desk:
    """One patient's twin and what may be asked of it.

    The twin is read again whenever the file has a newer one. Answers are plain data, ready for JSON.

    **Parameters** of the constructor: `ward`; `patient`; `horizon`, how far a forecast looks ahead, in the model's time
    unit; `draws`, of what is believed; `clock`, which says what time it is (None: this computer's).
    **Raises** `ValueError`, in words, for a patient who is not there and for whatever is asked that cannot be answered.
    """

    def __init__(
        self, ward: Ward, patient: str, *, horizon: float = 72.0, draws: int = _DRAWS,
        clock: Callable[[], datetime.datetime] | None = None,
    ):  # fmt: skip
        self.ward, self.patient, self.draws, self.clock = ward, patient, draws, clock
        self.horizon = _between(horizon, "the horizon", 1e-3, 1e6)
        self._hash, self._known, self._ahead, self._from = "", None, None, 0.0
        self.routes, self.units = takers(ward.population.model), output_units(ward.population.model)
        if isinstance(self.twin.belief, StateBelief):
            raise ValueError(
                f"the twins of this file learn by {self.twin.method.name}, which believes in states at the latest "
                "measurement, and the page shows the past too and seeks doses; take MAP(), LaplaceImportance() or "
                "ParticleFilter() for the page, or `twinjax twin forecast` for this file"
            )

    @staticmethod
    def opened(open_ward: Callable[[], Ward], patient: str, **options: Any) -> Desk:
        """At a ward that is opened for it, and closed again where the desk cannot be had. Parameters as above."""
        ward = open_ward()
        try:
            return Desk(ward, patient, **options)
        except BaseException:
            ward.close()
            raise

    @property
    def hash(self) -> str:
        """Of the twin as the file has it now."""
        try:
            return self.ward.ledger.state(self.patient)["twin"]["trail"][-1]["hash"]
        except KeyError as error:
            raise ValueError(error.args[0]) from None

    @property
    def twin(self) -> Twin:
        """As the file has it now."""
        now = self.hash
        if self._known is None or self._hash != now:
            self._known, self._hash, self._ahead = self.ward.twin(self.patient), now, None
        return self._known

    @property
    def begin(self) -> float:
        """From when on doses may be changed."""
        return begin(self.twin, self.ward.epoch(self.patient), self.clock() if self.clock else None)

    # ------------------------------------------------------------------------------------------------------ answers

    def view(self) -> dict[str, Any]:
        """Everything that the page shows before anything is asked."""
        twin = self.twin
        model, epoch, begin = twin.population.model, self.ward.epoch(self.patient), self.begin
        unit = parameter_units(model)
        measurable = set(twin.population.errors(twin.population.theta))
        return plain({
            "patient": self.patient, "model": type(model).__name__, "time_unit": str(type(model).time_unit),
            "epoch": None if epoch is None else epoch.isoformat(), "start": twin.history.start, "now": twin.now,
            "begin": begin, "hash": twin.hash, "method": twin.method.name, "level": 0.9, "horizon": self.horizon,
            "outputs": [{"name": n, "unit": u, "measured": n in measurable} for n, u in self.units.items()],
            "routes": [{"name": n, "unit": u} for n, u in self.routes.items()],
            "covariates": twin.covariates, "measurements": _measurements(twin, list(self.units)),
            "doses": doses_of(twin.history, self.routes), "plan": plan_of(twin.history, begin, self.routes),
            "parameters": [
                {"name": str(n), "unit": unit[str(n)], **dict(r)} for n, r in twin.parameters.iterrows()
            ],
            "audit": _audit(twin), "refusals": [r for r in self.ward.ledger.refusals() if r["patient"] == self.patient],
            "forecast": self.forecast(),
        })  # fmt: skip

    def forecast(self) -> dict[str, Any]:
        """What is foreseen with the doses that are planned."""
        twin, begin = self.twin, self.begin
        if self._ahead is None or begin > self._from + 0.25:
            self._ahead, self._from = self._answer(twin, [twin.history], begin, self.horizon)[0], begin
        return self._ahead

    def what_if(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """What would be foreseen with other doses from now on.

        **Parameters**: `asked`, with `doses`, as a message has them, and perhaps `horizon`, and `begin`, from when on
        doses could be changed as the asker knows it: those that have come due since are no error. What is on record
        then is given, what is not is left out, and the answer says so (`passed`, and `kept`, what is left of each).
        """
        began = time.perf_counter()
        twin, begin = self.twin, self.begin
        since, record = _between(asked.get("begin", begin), "begin", -1e9, 1e9), doses_of(twin.history, self.routes)
        doses, kept, passed = still_to_come(asked.get("doses"), since, begin, record, next(iter(self.routes), ""))
        regimen = self._regimen(twin, begin, doses)
        horizon = _between(asked.get("horizon", self.horizon), "the horizon", 1e-3, 1e6)
        history = altered(twin, regimen, float(np.nextafter(begin, np.inf)))
        found = self._answer(twin, [history], begin, horizon)[0]
        return {**found, "hash": twin.hash, "doses": plain(doses_in(regimen, self.routes)), "begin": begin,
                "kept": kept, "passed": passed, "milliseconds": round(1e3 * (time.perf_counter() - began))}  # fmt: skip

    def recommend(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """Doses that reach a target, the best first, each with what it would lead to. See `question` for `asked`."""
        began = time.perf_counter()
        twin, begin = self.twin, self.begin
        q: Question = question(asked, twin, list(self.units), list(self.routes), self.ward.epoch(self.patient), begin)
        found = answered(twin, q, draws=self.draws, keep=_SHOWN)
        start = q.limits.start
        cut = None if start == twin.now else start  # a dose on record at the latest measurement stays
        histories = [altered(twin, c.regimen, cut) for c in found.candidates]
        before = [d for d in doses_of(twin.history, self.routes, after=begin) if d["time"] < start]
        ahead = self._answer(twin, histories + histories[-1:] * (_SHOWN - len(histories)), begin, q.until - begin)
        return plain({
            "hash": twin.hash, "acceptable": found.acceptable, "risk": found.risk, "output": q.output,
            "lower": q.lower, "upper": q.upper, "peak": q.peak,
            "candidates": [
                {**_candidate(found, k), "doses": repeats([*before, *doses_in(c.regimen, self.routes)]), "forecast": a}
                for k, (c, a) in enumerate(zip(found.candidates, ahead, strict=False))
            ],
            "milliseconds": round(1e3 * (time.perf_counter() - began)),
        })  # fmt: skip

    def warm(self) -> Iterator[str]:
        """Compile what is needed, saying before each part what it is: bands, few and many other doses, candidates.
        What cannot be had beyond the forecast is said and left out.
        """
        yield "compiling the forecast"
        self.view()
        for what, step in self._steps():
            yield f"compiling {what}"
            try:
                step()
            except (ValueError, RuntimeError, ArithmeticError) as error:
                yield f"left out {what}: {error}"

    def _steps(self) -> Iterator[tuple[str, Callable[[], Any]]]:
        twin, begin, into = self.twin, self.begin, next(iter(self.routes), None)
        if into is None:
            return
        for count in (1, 9, 17):
            for over in (None, 1.0):
                doses = Regimen.repeat(1.0, every=1.0, count=count, into=into, at=begin + 1.0, duration=over)
                yield (f"other doses, {'to ' + str(8 * (1 + count // 8))}{', infused' if over else ''}",
                       lambda d=doses: self._answer(twin, [altered(twin, d)], begin, self.horizon))  # fmt: skip
        output = next((n for n in self.units if n in twin.population.errors(twin.population.theta)), "")
        known = [x for x in self.forecast()["outputs"][output]["median"] if x is not None] if output else []
        if max(known, default=0.0) > 0:
            upper = max(known)
            asked = {"output": output, "lower": 0.5 * upper, "upper": upper, "until": begin + 49.0}
            for more in ({}, {"peak": 2.0 * upper}):
                yield f"candidates{' without harm' if more else ''}", lambda m=more: self.recommend({**asked, **m})

    # ------------------------------------------------------------------------------------------------------ in parts

    def _answer(self, twin: Twin, histories: list[History], begin: float, horizon: float) -> list[dict[str, Any]]:
        start, stop = twin.history.start, begin + horizon
        times = grid(start, begin, stop, [np.asarray(h.doses.time) for h in histories])
        found = foreseen(twin, histories, times, draws=self.draws)
        return [self._curves(f, len(histories)) for f in found]

    def _curves(self, found: Forecast, many: int) -> dict[str, Any]:
        failed = float(np.mean([np.isnan(v).any(axis=1) for v in found.predicted.values()]))
        if failed == 1.0:
            raise ValueError("the model's equations could not be solved with these doses: are the amounts and their "
                             "units as they should be?")  # fmt: skip
        said = [] if failed == 0.0 else [
            f"{failed:.1%} of the draws of what is believed could not be solved and are left out of the bands"
        ]  # fmt: skip
        return curves(found, said, measured=many == 1)

    def _regimen(self, twin: Twin, begin: float, doses: Any) -> Regimen:
        """Doses that may still be given, in the model's units."""
        if not isinstance(doses, list):
            raise ValueError("doses are a list; an empty one means that no more are given")
        if not doses:
            return Regimen.none()
        for i, d in enumerate(doses, 1):
            if not isinstance(d, Mapping):
                raise ValueError(f"dose {i} is no object with an amount and a time")
            count = d.get("count", 1)
            if isinstance(count, int | float) and (count != int(count) or not 1 <= count <= 60):
                raise ValueError(f"dose {i}: the number of doses is {count:g}; give a whole number from 1 to 60")
            if count != 1 and not d.get("every"):
                raise ValueError(f"dose {i} is given {count:g} times: every how long? Give the interval")
        clock = Clock(self.ward.epoch(self.patient))
        said = {"id": "page", "patient": self.patient, "doses": doses}
        found = read_message(said, twin.population.model, clock).doses
        for i, at in enumerate(np.asarray(found.time), 1):
            if at < begin:
                since = "the latest measurement is at" if begin == twin.now else "it is now"
                raise ValueError(
                    f"dose {i} is at {_told(at)}, which is in the past: {since} {_told(begin)}. A dose that was given "
                    "belongs in a message to the ward; here are those to come"
                )
            if at > begin + 400 * DAY:
                raise ValueError(f"dose {i} is at {at:g}, more than 400 days ahead")
        if sum(k.additional + 1 for k in found.kinds) > MOST_DOSES:
            raise ValueError(f"these are more than {MOST_DOSES} doses; look less far ahead")
        return found


def _measurements(twin: Twin, outputs: list[str]) -> list[dict[str, Any]]:
    m, kinds = twin.history.measurements, {0: "measured", 1: "below", -1: "above"}
    judged = {(r["time"], r["output"], r["value"]): r for e in twin.trail for r in e.get("innovations", ())}
    rows = []
    for i in range(len(m)):
        name = m.output[i] if isinstance(m.output[i], str) else outputs[int(m.output[i]) - 1]
        own = judged.get((float(m.time[i]), m.output[i], float(m.value[i])), {})
        row = {"time": float(m.time[i]), "output": name, "value": float(m.value[i]), "kind": kinds[int(m.censored[i])]}
        rows.append({**row, **{n: own.get(n) for n in ("expected", "z", "quantile")}})
    return rows


def _audit(twin: Twin) -> list[dict[str, Any]]:
    sources = [e.get("news", {}).get("source", "") for e in twin.trail]
    rows = [{str(n): v for n, v in r.items()} for r in twin.audit.to_dict("records")]
    return [{**r, "source": s} for r, s in zip(rows, sources, strict=True)]


def _candidate(found: Recommendation, k: int) -> dict[str, Any]:
    c = found.candidates[k]
    low, middle, high = c.quantities[0]
    return {
        "name": c.name, "amounts": list(c.amounts), "every": None if c.schedule is None else c.schedule.every,
        "start": None if c.schedule is None else c.schedule.start,
        "tablets": [{"strength": s, "count": n} for s, n in c.tablets.items()], "target": c.probability,
        "toxicity": c.toxicity, "both": c.both, "quantity": middle, "quantity_lower": low, "quantity_upper": high,
    }  # fmt: skip


def _told(time: float) -> str:
    return f"{time:.10g}"


def _between(value: Any, what: str, low: float, high: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{what} is {value!r}, which is no number")
    if not low <= value <= high:
        raise ValueError(f"{what} is {value:g}; give {low:g} to {high:g}")
    return float(value)
