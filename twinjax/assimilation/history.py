"""What is known of one patient: doses, measurements and covariates as they come in, in whatever order."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from twinjax.dosing import BOLUS, Regimen
from twinjax.observation import Measurements
from twinjax.population.subject import Subject

Changes = tuple[tuple[float, float], ...]


@dataclasses.dataclass(frozen=True)
class News:
    """What has become known of a patient since.

    **Parameters**: `measurements`, of any times, in any order (a value that is NaN is missing and says nothing);
    `doses`, given or planned; `covariates`, by name the value that holds from `at` on (None: from always); `source`,
    where it comes from, for the audit trail.
    """

    measurements: Measurements = dataclasses.field(default_factory=lambda: _no_measurements())
    doses: Regimen = dataclasses.field(default_factory=lambda: _no_doses())
    covariates: Mapping[str, float] = dataclasses.field(default_factory=dict)
    at: float | None = None
    source: str = ""

    @staticmethod
    def of(data: News | Measurements | Regimen) -> News:
        """As given, or made of measurements or doses alone."""
        if isinstance(data, News):
            return data
        return News(measurements=data) if isinstance(data, Measurements) else News(doses=data)


@dataclasses.dataclass(frozen=True)
class History:
    """All that is known of one patient.

    **Parameters**: `id`; `start`, the time at which the model's initial state holds, nothing known is earlier; `doses`,
    every one written out, by time; `measurements`, by time; `covariates`, by name (time, value) of every change, the
    first at -inf.
    """

    id: str
    start: float = 0.0
    doses: Regimen = dataclasses.field(default_factory=lambda: _no_doses())
    measurements: Measurements = dataclasses.field(default_factory=lambda: _no_measurements())
    covariates: Mapping[str, Changes] = dataclasses.field(default_factory=dict)

    @property
    def last(self) -> float:
        """The time of the latest measurement; where there is none, the start."""
        return float(self.measurements.time[-1]) if len(self.measurements) else self.start

    def joined(self, news: News) -> tuple[History, np.ndarray, int]:
        """With the news: the new history, which of its measurements are new `(measurements,)`, how many were missing.

        Sorted by time. A measurement whose `order` is negative is taken before the doses of its time, others after.
        **Raises** `ValueError` for a measurement whose time is not finite, a covariate that is not, anything before
        the start.
        """
        m, given = news.measurements, len(news.doses) > 0
        for what, times in (("measurement", m.time), ("dose", np.asarray(news.doses.time) if given else m.time[:0])):
            if (times < self.start).any():
                raise ValueError(
                    f"patient {self.id}: a {what} at {np.min(times):g} is before {self.start:g}, where the history "
                    "begins; begin the twin with an earlier start"
                )
        if not np.isfinite(m.time).all():
            raise ValueError(f"patient {self.id}: a measurement's time is not finite; leave it out until it is known")
        kept = np.isfinite(m.value).nonzero()[0]
        m = m if len(kept) == len(m) else _chosen(m, kept)
        both = _stacked(self.measurements, m)  # arrays of its own, whatever becomes of those of the news
        by = np.lexsort((np.arange(len(both)), both.order >= 0, both.time))
        doses = sorted_doses(self.doses + written_out(news.doses)) if given else self.doses
        covariates = {n: tuple(c) for n, c in self.covariates.items()}
        for name, value in news.covariates.items():
            if not np.isfinite(value):
                raise ValueError(f"patient {self.id}: covariate {name} is {value}; give a finite number")
            covariates[name] = _changed(covariates.get(name, ()), news.at, float(value))
        missing = len(news.measurements) - len(kept)
        fresh = by >= len(self.measurements)
        return History(self.id, self.start, doses, _chosen(both, by), covariates), fresh, missing

    def with_doses(self, doses: Regimen, after: float) -> History:
        """The doses before a time as they were, and from then on these instead of what was planned."""
        time = np.asarray(self.doses.time)
        kept = _records(self.doses, np.flatnonzero(time < after))
        return dataclasses.replace(self, doses=sorted_doses(kept + written_out(doses)))

    def subject(self) -> Subject:
        """As a population wants it: records numbered in the order of time, covariates by segment."""
        m, d = self.measurements, self.doses
        switches = sorted({t for c in self.covariates.values() for t, _ in c if np.isfinite(t)})
        time = np.concatenate([m.time, np.asarray(d.time), switches])
        rank = np.concatenate([np.where(m.order < 0, 0, 3), np.full(len(d), 2), np.full(len(switches), 1)])
        place = np.empty(len(time))
        place[np.lexsort((np.arange(len(time)), rank, time))] = np.arange(len(time))
        measured, given, switched = np.split(place, [len(m), len(m) + len(d)])
        values = {n: _by_segment(c, switches) for n, c in self.covariates.items()}
        kinds = tuple(dataclasses.replace(k, order=int(o)) for k, o in zip(d.kinds, given, strict=True))
        return Subject(
            self.id, Regimen(d.time, d.amount, d.rate, d.interval, kinds),
            Measurements(m.time, m.value, m.output, m.censored, m.limit, measured),
            values if switches else {n: v[0] for n, v in values.items()}, np.asarray(switches), switched,
        )  # fmt: skip

    def to_dict(self) -> dict[str, Any]:
        """In plain numbers."""
        m, d = self.measurements, self.doses
        given = zip(
            *(np.asarray(c, float).tolist() for c in (d.time, d.amount, d.rate, d.interval)), d.kinds, strict=True
        )
        columns = (m.time, m.value, m.censored, m.limit, m.order)
        measured = zip(*(c.tolist() for c in columns), m.output, strict=True)
        return {
            "id": self.id,
            "start": self.start,
            "doses": [
                {"time": time, "amount": amount, "rate": rate, "interval": interval, "evid": k.evid, "into": k.into,
                 "mode": k.mode, "additional": k.additional, "steady_state": k.steady_state}
                for time, amount, rate, interval, k in given
            ],
            "measurements": [
                {"time": time, "value": value, "output": output, "censored": censored, "limit": _plain(limit),
                 "before_dose": order < 0}
                for time, value, censored, limit, order, output in measured
            ],
            "covariates": {n: [[_plain(t), v] for t, v in c] for n, c in self.covariates.items()},
        }  # fmt: skip

    @staticmethod
    def from_dict(saved: Mapping[str, Any]) -> History:
        """The inverse of `to_dict`."""
        d, m = saved["doses"], saved["measurements"]

        def column(rows: Any, name: str) -> list[Any]:
            return [r[name] for r in rows]

        doses = Regimen.records(
            *(column(d, n) for n in ("time", "amount", "rate", "interval")), evid=column(d, "evid"),
            into=column(d, "into"), mode=column(d, "mode"), additional=column(d, "additional"),
            steady_state=column(d, "steady_state"),
        )  # fmt: skip
        measurements = Measurements(
            column(m, "time"), column(m, "value"), tuple(column(m, "output")), column(m, "censored"),
            [-np.inf if x is None else x for x in column(m, "limit")],
            [-1.0 if x else np.inf for x in column(m, "before_dose")],
        )  # fmt: skip
        covariates = {
            n: tuple((-np.inf if t is None else float(t), float(v)) for t, v in c)
            for n, c in saved["covariates"].items()
        }
        return History(saved["id"], saved["start"], doses, measurements, covariates)

    @property
    def hash(self) -> str:
        """SHA-256 of everything known."""
        return digest(self.to_dict())


@functools.cache
def _no_doses() -> Regimen:
    return Regimen.none()


@functools.cache
def _no_measurements() -> Measurements:
    return Measurements.none()


_written = json.JSONEncoder(sort_keys=True).encode


def digest(plain: Any) -> str:
    """SHA-256 of plain data."""
    return hashlib.sha256(_written(plain).encode()).hexdigest()


def news_dict(news: News) -> dict[str, Any]:
    """News in plain numbers; the measurements that are missing too, as null."""
    m = news.measurements
    there = np.isfinite(m.value)
    kept = m if there.all() else _chosen(m, np.flatnonzero(there))
    known = History("", doses=written_out(news.doses), measurements=kept)
    plain = {n: v for n, v in known.to_dict().items() if n in ("doses", "measurements")}
    missing = [{"time": _plain(m.time[i]), "output": m.output[i]} for i in np.flatnonzero(~there)]
    own = {"covariates": dict(news.covariates), "at": news.at, "source": news.source}
    return {**plain, "missing": missing, **own}


def written_out(regimen: Regimen) -> Regimen:
    """Every additional dose as a record of its own. What a later reset or SS = 1 cancels is left out."""
    if not any(k.additional for k in regimen.kinds):
        return regimen
    time, interval = np.asarray(regimen.time), np.asarray(regimen.interval)
    clears = [float(time[i]) for i, k in enumerate(regimen.kinds) if k.evid in (3, 4) or k.steady_state == 1]
    rows, times, kinds = [], [], []
    for i, k in enumerate(regimen.kinds):
        for n in range(k.additional + 1):
            at = float(time[i] + n * interval[i])
            if n and any(time[i] < c <= at for c in clears):
                break
            rows.append(i)
            times.append(at)
            own = {"additional": 0, "order": len(rows)} | ({"evid": 1, "steady_state": 0} if n else {})
            kinds.append(dataclasses.replace(k, **own))
    chosen = _records(regimen, np.asarray(rows, int))
    return Regimen(np.asarray(times), chosen.amount, chosen.rate, chosen.interval, tuple(kinds))


def sorted_doses(regimen: Regimen) -> Regimen:
    """By time, those of one time in the order given."""
    return _records(regimen, np.argsort(np.asarray(regimen.time), kind="stable"))


def scaled(regimen: Regimen, factor: float) -> Regimen:
    """The same doses by a factor; infusions take as long."""
    rate = [r * (factor if k.mode != BOLUS else 1.0) for r, k in zip(regimen.rate, regimen.kinds, strict=True)]
    amount = np.asarray(regimen.amount) * factor
    return Regimen(np.asarray(regimen.time), amount, np.asarray(rate, float), regimen.interval, regimen.kinds)


def _records(r: Regimen, at: np.ndarray) -> Regimen:
    time, amount, rate, interval = (np.asarray(c)[at] for c in (r.time, r.amount, r.rate, r.interval))
    kinds = tuple(dataclasses.replace(r.kinds[i], order=n) for n, i in enumerate(at.tolist()))
    return Regimen(time, amount, rate, interval, kinds)


def _chosen(m: Measurements, at: np.ndarray) -> Measurements:
    rows, order = at.tolist(), m.order
    if rows == list(range(len(order))) and ((order == -1.0) | (order == np.inf)).all():
        return m
    return Measurements.known(
        m.time[at], m.value[at], tuple([m.output[i] for i in rows]), m.censored[at], m.limit[at],
        np.where(m.order[at] < 0, -1.0, np.inf),
    )  # fmt: skip


def _stacked(a: Measurements, b: Measurements) -> Measurements:
    one, other = vars(a), vars(b)
    time, value, censored, limit, order = [
        np.concatenate([one[n], other[n]]) for n in ("time", "value", "censored", "limit", "order")
    ]
    return Measurements.known(time, value, a.output + b.output, censored, limit, order)


def _changed(changes: Changes, at: float | None, value: float) -> Changes:
    """With a value from `at` on; the same from always where none was known before."""
    if at is None or not changes:
        return ((-np.inf, value),) if not changes else ((-np.inf, value), *(c for c in changes if np.isfinite(c[0])))
    return tuple(sorted({**dict(changes), float(at): value}.items()))


def _by_segment(changes: Changes, switches: list[float]) -> np.ndarray:
    starts = [-np.inf, *switches]
    times = np.asarray([t for t, _ in changes])
    return np.asarray([changes[int(np.searchsorted(times, s, side="right")) - 1][1] for s in starts])


def _plain(x: float) -> float | None:
    return float(x) if math.isfinite(x) else None
