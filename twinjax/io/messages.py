"""Messages of patients' data: what was measured, given and weighed, checked and in the model's units.

A message is a JSON object::

    {"id": "lab-17", "patient": "P1", "at": "2026-01-02T08:30:00Z",
     "measurements": [{"output": "plasma", "value": 4.1, "unit": "mg/L"}],
     "doses": [{"amount": 200, "unit": "mg", "into": "central", "duration": 1, "every": 12, "count": 3}],
     "covariates": {"weight": 71}}

`at` is a date and time with its zone, or `time` the hours since the patient's epoch; each measurement and dose may have
its own. ``"below": true`` or ``"above": true`` says that a value is only a limit.
"""

from __future__ import annotations

import dataclasses
import datetime
import math
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from twinjax.dosing import Regimen
from twinjax.io.conversion import converted
from twinjax.models.base import AbstractModel, no_input, output_names
from twinjax.naming import resolve, suggestion
from twinjax.observation import ABOVE, BELOW, QUANTIFIED, Measurements
from twinjax.units import declared

AHEAD = datetime.timedelta(minutes=5)
"""A measurement further ahead of this clock than so has a wrong time."""

_CELLS = {"10*9/L": "cells/L", "10^9/L": "cells/L", "1e9/L": "cells/L", "G/L": "cells/L"}
_KEYS = {
    "message": {"id", "patient", "at", "time", "measurements", "doses", "covariates"},
    "measurement": {"output", "value", "unit", "at", "time", "below", "above", "before_dose"},
    "dose": {"amount", "unit", "into", "at", "time", "duration", "every", "count"},
}


@dataclasses.dataclass(frozen=True)
class Clock:
    """What times count from.

    **Parameters**: `epoch`, the patient's time 0, None where only hours are used; `now`, None for this computer's.
    """

    epoch: datetime.datetime | None = None
    now: datetime.datetime | None = None

    def hours(self, said: Mapping[str, Any], outer: Mapping[str, Any], what: str, *, planned: bool = False) -> float:
        """The time of a part of a message, in h since the epoch.

        **Raises** `ValueError` for a time that is missing, is no time, has no zone, or lies in the future though it is
        not `planned`.
        """
        own = said if said.get("at") is not None or said.get("time") is not None else outer
        if own.get("time") is not None:
            return _number(own["time"], f"time of {what}")
        if own.get("at") is None:
            raise ValueError(f'{what} has no time; give "at" (a date and time with its zone) or "time" (hours)')
        when = instant(str(own["at"]), what)
        now = self.now or datetime.datetime.now(datetime.UTC)
        if not planned and when > now + AHEAD:
            raise ValueError(f"{what} is said to be of {own['at']}, which is {when - now} ahead of this clock; is the "
                             "sender's clock right?")  # fmt: skip
        if self.epoch is None:
            raise ValueError(
                f"{what} has a date, and the patient has no epoch to count hours from; begin the twin with one, or "
                'send "time"'
            )
        return (when - self.epoch).total_seconds() / 3600.0


@dataclasses.dataclass(frozen=True)
class Message:
    """A message that was understood: `at` is when covariates hold from, None where there are none."""

    id: str
    patient: str
    measurements: Measurements
    doses: Regimen
    covariates: dict[str, float]
    at: float | None


def addressed(plain: Any) -> tuple[str, str]:
    """The id and the patient of a message. **Raises** `ValueError` where it has none."""
    if not isinstance(plain, Mapping):
        raise ValueError(f"a message is a JSON object, not {type(plain).__name__}")
    for name in ("id", "patient"):
        if not isinstance(plain.get(name), str) or not plain[name]:
            raise ValueError(
                f"the message has no {name!r}: a text that names {'it' if name == 'id' else 'who it is of'}"
            )
    return plain["id"], plain["patient"]


def read_message(plain: Mapping[str, Any], model: AbstractModel, clock: Clock) -> Message:
    """A message in the model's own units.

    **Raises** `ValueError`, in words, for a key that is not known, a value that is no number, an output, state or unit
    that is not there or does not fit, a time that cannot be.
    """
    id, patient = addressed(plain)
    _known(plain, "message", "the message")
    measured = _list(plain, "measurements")
    given = _list(plain, "doses")
    covariates = plain.get("covariates") or {}
    if not isinstance(covariates, Mapping):
        raise ValueError("covariates are an object of names and numbers")
    if not (measured or given or covariates):
        raise ValueError("the message says nothing: it has no measurements, doses or covariates")
    rows = [_measurement(m, i, model, clock, plain) for i, m in enumerate(measured, 1)]
    doses = Regimen.none()
    for i, d in enumerate(given, 1):
        doses = doses + _dose(d, i, model, clock, plain)
    columns = list(zip(*rows, strict=True)) if rows else [(), (), (), (), ()]
    return Message(
        id, patient, Measurements(columns[0], columns[1], tuple(columns[2]), columns[3], None, columns[4]), doses,
        {n: _number(v, f"covariate {n}") for n, v in covariates.items()},
        clock.hours(plain, plain, "the covariates") if covariates else None,
    )  # fmt: skip


def _measurement(m: Any, i: int, model: AbstractModel, clock: Clock, outer: Mapping[str, Any]) -> tuple[Any, ...]:
    what = f"measurement {i}"
    _known(m, "measurement", what)
    outputs = output_names(model)
    name = resolve(str(m.get("output", outputs[0] if len(outputs) == 1 else "")), outputs, "output")
    unit = output_units(model)[name]
    value = _number(m.get("value"), f"value of {what}") * factor(m.get("unit"), unit, what)
    censored = BELOW if m.get("below") else ABOVE if m.get("above") else QUANTIFIED
    return clock.hours(m, outer, what), value, name, censored, -1.0 if m.get("before_dose") else math.inf


def _dose(d: Any, i: int, model: AbstractModel, clock: Clock, outer: Mapping[str, Any]) -> Regimen:
    what = f"dose {i}"
    _known(d, "dose", what)
    inputs = {n: u for n, (u, _) in declared(no_input(model)).items()}
    states = {n: u for n, (u, _) in declared(model.initial()).items() if n in inputs}
    name = resolve(str(d.get("into", next(iter(states), ""))), states, "state that takes doses")
    amount = _number(d.get("amount"), f"amount of {what}") * factor(d.get("unit"), states[name], what)
    if not amount > 0:
        raise ValueError(f"{what} is {amount:g}; a dose is above zero")
    every, count = _number(d.get("every", 0.0), "every"), int(_number(d.get("count", 1), "count"))
    duration = d.get("duration")
    return Regimen.dose(
        amount, into=name, at=clock.hours(d, outer, what, planned=True), every=every, additional=count - 1,
        duration=None if duration is None else _number(duration, "duration"),
    )  # fmt: skip


def factor(given: Any, unit: Any, what: str) -> float:
    """How many of the model's unit one of the given unit is; 1 where none is given.

    **Raises** `ValueError` where it does not convert.
    """
    if given is None or unit is None:
        return 1.0
    target, source = str(unit), _CELLS.get(str(given), str(given))
    if source == target or (target == "au" and source in ("1", "au")):
        return 1.0
    found = converted(source.replace("{", "").replace("}", ""), target)
    if found is None:
        raise ValueError(f"{what} is in {given!r}, which does not convert to the model's {target}")
    return found


def instant(said: str, what: str) -> datetime.datetime:
    """A date and time with its zone. **Raises** `ValueError` for what is none, or has no zone."""
    try:
        when = datetime.datetime.fromisoformat(said)
    except ValueError:
        raise ValueError(f"{what}: {said!r} is no date and time such as 2026-01-02T08:30:00Z") from None
    if when.tzinfo is None:
        raise ValueError(f"{what}: {said!r} has no zone; write Z or an offset such as +01:00")
    return when


def output_units(model: AbstractModel) -> dict[str, str]:
    """The unit of every output, as text; ``au`` where none is declared."""
    shown = jax.eval_shape(model.output, jnp.zeros(()), jax.eval_shape(model.initial), no_input(model))
    return {n: "au" if u is None else str(u) for n, (u, _) in declared(shown).items()}


def _list(plain: Mapping[str, Any], name: str) -> list[Any]:
    found = plain.get(name) or []
    if not isinstance(found, list) or not all(isinstance(x, Mapping) for x in found):
        raise ValueError(f"{name} are a list of objects")
    return found


def _known(plain: Any, kind: str, what: str) -> None:
    for key in plain:
        if key not in _KEYS[kind]:
            raise ValueError(f"{what} has no key {key!r}{suggestion(str(key), sorted(_KEYS[kind]))}")


def _number(value: Any, what: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{what} is {value!r}, which is no finite number")
    return float(value)
