"""Doses in time. A `Regimen` holds data only: lag, bioavailability and modelled rates belong to the model."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from twinjax.units import Scalar

BOLUS, GIVEN_RATE, MODELLED_RATE, MODELLED_DURATION = range(4)
"""How an amount is given: at once, at a given rate (RATE > 0), by the route's `rate` (-1) or `duration` (-2)."""


@dataclasses.dataclass(frozen=True)
class _Kind:
    """What is fixed about one record: everything that is not a number with a gradient."""

    evid: int
    into: str | int
    mode: int
    additional: int
    steady_state: int
    order: int


class Regimen(eqx.Module):
    """One patient's doses and resets, with the full NONMEM meaning of EVID, AMT, RATE, II, ADDL and SS.

    Written by hand with `dose`, `repeat`, `infusion`, `steady_state` and `reset`, joined with ``+``::

        Regimen.repeat(320, into="depot", every=24, count=7) + Regimen.dose(100, at=36)

    **Parameters** (all `(records,)`, differentiable): `time`, `amount`, `rate` (0 unless the rate is given),
    `interval` (II). `kinds` holds the rest of each record. Times are in the model's time unit, amounts in the unit of
    the state that they enter.

    Meanings worth saying: a reset (EVID 3, 4) returns every state to `initial`, stops infusions, and cancels what
    earlier records still had to give (additional and lagged doses); so does SS = 1, which then sets the steady state.
    SS = 2 adds the steady state to what is there. With a lag the steady state is that of the lagged doses at the
    record's time. Additional doses of a steady-state or reset-and-dose record are ordinary doses. AMT = 0 with SS = 1
    and RATE > 0 is a constant infusion since long ago that ends at the record.

    **Reference**: NONMEM Users Guide Part VI, chapter V; NONMEM 7.4.3's predictions of 26 scenarios, in the tests.
    That a reset cancels as SS = 1 does is our reading: no scenario at hand decides it.
    """

    time: Any
    amount: Any
    rate: Any
    interval: Any
    kinds: tuple[_Kind, ...] = eqx.field(static=True)

    # ---------------------------------------------------------------------------------------------------- by hand

    @staticmethod
    def none() -> Regimen:
        """No doses at all."""
        empty = jnp.zeros((0,))
        return Regimen(empty, empty, empty, empty, ())

    @staticmethod
    def dose(
        amount: Scalar,
        *,
        into: str | int = 1,
        at: Scalar = 0.0,
        rate: Scalar | Literal["modelled"] | None = None,
        duration: Scalar | Literal["modelled"] | None = None,
        every: Scalar = 0.0,
        additional: int = 0,
        steady_state: Literal[0, 1, 2] = 0,
        reset: bool = False,
    ) -> Regimen:
        """One record: a bolus, or an infusion where `rate` or `duration` is given.

        **Parameters**: `into`, a state's name or number (1 is the first); ``rate="modelled"`` and
        ``duration="modelled"`` leave it to the model's route (RATE -1, -2); `every` and `additional` repeat it (II,
        ADDL); `steady_state` is SS; `reset` empties the body first (EVID 4).
        **Raises** `ValueError` where these contradict each other.
        """
        if rate is not None and duration is not None:
            raise ValueError("give an infusion's rate or its duration, not both")
        mode, given = BOLUS, 0.0
        if isinstance(rate, str) or isinstance(duration, str):
            if "modelled" not in (rate, duration):
                raise ValueError(
                    f"rate and duration are numbers or 'modelled', not {rate if duration is None else duration!r}"
                )
            mode = MODELLED_RATE if rate is not None else MODELLED_DURATION
        elif rate is not None:
            mode, given = GIVEN_RATE, rate
        elif duration is not None:
            if not _traced(duration) and not duration > 0:
                raise ValueError(
                    f"duration is {duration:g}; give a time above zero, or a bolus (neither rate nor duration)"
                )
            mode, given = GIVEN_RATE, amount / duration
        return Regimen.records(
            [at], [amount], [given], [every], evid=[4 if reset else 1], into=[into], mode=[mode],
            additional=[additional], steady_state=[steady_state],
        )  # fmt: skip

    @staticmethod
    def repeat(
        amount: Scalar, *, every: Scalar, count: int, into: str | int = 1, at: Scalar = 0.0, **how: Any
    ) -> Regimen:
        """`count` equal doses, `every` so many time units, the first `at`; `how` as in `dose`."""
        if count < 1:
            raise ValueError(f"count is the number of doses, at least 1; it is {count}")
        return Regimen.dose(amount, into=into, at=at, every=every, additional=count - 1, **how)

    @staticmethod
    def infusion(amount: Scalar, *, over: Scalar, into: str | int = 1, at: Scalar = 0.0, **how: Any) -> Regimen:
        """`amount` at a constant rate over a time; `how` as in `dose`."""
        return Regimen.dose(amount, into=into, at=at, duration=over, **how)

    @staticmethod
    def follow(times: Sequence[float], values: Sequence[float], *, rise: str, fall: str) -> Regimen:
        """A signal in straight lines between its values: doses whose sum over time, what entered `rise` less what
        entered `fall`, is the signal from the first time on. Both are states that only add up what enters.

        **Raises** `ValueError` for times that do not ascend, numbers that do not match, or a first value below zero.
        """
        known_times, known = np.asarray(times, float), np.asarray(values, float)
        if known_times.shape != known.shape or known.ndim != 1 or not len(known):
            raise ValueError(f"a signal has a value at each time: {known_times.shape} times, {known.shape} values")
        if np.any(np.diff(known_times) <= 0) or not np.all(np.isfinite(known)) or known[0] < 0:
            raise ValueError("a signal's times ascend, its values are finite, and the first is not negative")
        found = Regimen.dose(float(known[0]), into=rise, at=float(known_times[0]))
        for at, until, change in zip(known_times[:-1], known_times[1:], np.diff(known), strict=True):
            if change:
                where = rise if change > 0 else fall
                found += Regimen.infusion(float(abs(change)), over=float(until - at), into=where, at=float(at))
        return found

    @staticmethod
    def reset(*, at: Scalar) -> Regimen:
        """Every state back to its initial value, infusions stopped, pending doses cancelled (EVID 3)."""
        return Regimen.records(
            [at], [0.0], [0.0], [0.0], evid=[3], into=[1], mode=[BOLUS], additional=[0], steady_state=[0]
        )

    def __add__(self, other: Regimen) -> Regimen:
        """Both, as one regimen. At equal times the left one's records come first."""
        last = 1 + max((k.order for k in self.kinds), default=-1)
        moved = tuple(dataclasses.replace(k, order=k.order + last) for k in other.kinds)
        time, amount, rate, interval = (
            jnp.concatenate([a, b]) for a, b in zip(self._arrays(), other._arrays(), strict=True)
        )
        return Regimen(time, amount, rate, interval, self.kinds + moved)

    def _arrays(self) -> tuple[Any, Any, Any, Any]:
        return self.time, self.amount, self.rate, self.interval

    def __len__(self) -> int:
        return len(self.kinds)

    # --------------------------------------------------------------------------------------------------- from data

    @staticmethod
    def records(
        time: Sequence[Any], amount: Sequence[Any], rate: Sequence[Any], interval: Sequence[Any], *,
        evid: Iterable[int], into: Iterable[str | int], mode: Iterable[int], additional: Iterable[int],
        steady_state: Iterable[int], order: Iterable[int] | None = None,
    ) -> Regimen:  # fmt: skip
        """Records in columns, as a data file has them. `order` breaks ties of time; default: as listed.

        **Raises** `ValueError`, naming the record, for a negative amount, time or interval that is known, an infusion
        without a positive rate, ADDL or SS without II, and EVID 3 with an amount.
        """
        columns = [_column(c) for c in (time, amount, rate, interval)]
        n = len(columns[0])
        kinds = tuple(
            _Kind(*(int(e), i if isinstance(i, str) else int(i), int(m), int(a), int(s), int(o)))
            for e, i, m, a, s, o in zip(
                evid, into, mode, additional, steady_state, range(n) if order is None else order, strict=True
            )
        )
        self = Regimen(columns[0], columns[1], columns[2], columns[3], kinds)
        self._check()
        return self

    def _check(self) -> None:
        known = [np.asarray(c) if not _traced(c) else None for c in self._arrays()]
        for i, k in enumerate(self.kinds):
            time, amount, rate, interval = (c[i] if c is not None else None for c in known)
            where = f"dose record {i + 1}" + (f" (time {time:g})" if time is not None else "")
            for name, value in zip(("time", "amount", "rate", "interval"), (time, amount, rate, interval), strict=True):
                if value is not None and not np.isfinite(value):
                    raise ValueError(f"{where}: {name} is {value}; give a finite number")
                if value is not None and value < 0 and name != "time":
                    raise ValueError(f"{where}: {name} is {value:g}; it cannot be negative")
            constant = k.steady_state == 1 and amount == 0 and k.mode == GIVEN_RATE
            if k.evid not in (1, 3, 4):
                raise ValueError(f"{where}: EVID {k.evid} is not a dose or a reset (1, 3, 4)")
            if k.mode == GIVEN_RATE and rate is not None and rate == 0:
                raise ValueError(f"{where}: an infusion needs a rate above zero")
            if (k.additional or k.steady_state) and interval is not None and interval == 0 and not constant:
                what = "ADDL" if k.additional else "SS"
                raise ValueError(f"{where}: {what} needs the dosing interval II (`every`) above zero")
            if k.additional < 0:
                raise ValueError(f"{where}: ADDL is {k.additional}; it is a number of further doses")
            if k.steady_state not in (0, 1, 2):
                raise ValueError(f"{where}: SS is {k.steady_state}; it is 0, 1 or 2")
            if k.evid == 3 and amount:
                raise ValueError(f"{where}: EVID 3 is a reset without a dose; use EVID 4 to reset and dose")


def _traced(x: Any) -> bool:
    return isinstance(x, Tracer)


def _column(values: Sequence[Any]) -> Any:
    if any(_traced(v) for v in values):
        return jnp.stack([jnp.asarray(v, jnp.result_type(float)) for v in values])
    with jax.ensure_compile_time_eval():  # known inside jit too, so that they can be checked
        return jnp.asarray(np.asarray(values, dtype=float).reshape(-1), jnp.result_type(float))
