"""From a model and regimens as people write them to a `Problem`: tables of doses, samples in order, a row a patient."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from twinjax.dosing import BOLUS, GIVEN_RATE, Regimen
from twinjax.models.base import AbstractModel, input_names, state_names
from twinjax.naming import resolve
from twinjax.solve.problem import Doses, Jumps, Problem


def build(
    model: AbstractModel,
    regimens: Regimen | Sequence[Regimen],
    time: Any,
    *,
    order: Any = None,
    switch_time: Any = None,
    switch_order: Any = None,
    overlap: int | None = None,
    start: Any = None,
) -> Problem:
    """A `Problem` from a model and regimens as people write them.

    **Parameters**: `model`, leaves scalar, `(patients,)` or `(patients, segments)`; `regimens`, one for all or one
    each; `time`, `(samples,)` for all or `(patients, samples)`, sorted or not; `order` likewise (default: after every
    record of the same time); `switch_time` and `switch_order` `(patients, segments - 1)`, infinite for a switch that
    never comes; `overlap`, how many infusions of a steady-state regimen may run at once (default: from the data, at
    least 2); `start`, when `initial` holds, one for all or `(patients,)` (default: the earliest sample or dose).
    **Raises** `ValueError` for a dose into a compartment that is not there, shapes that do not agree, a time that
    is not finite, and a sample or dose from before the start; where times are traced that is not known here, and
    `simulate` says it by a result code.
    """
    time = _numbers(time, jnp.result_type(float))
    time = time.reshape(1) if time.ndim == 0 else time
    if time.ndim > 2:
        raise ValueError(f"sample times are (samples,) or (patients, samples), not of shape {time.shape}")
    sizes = {len(x) for x in ([regimens] if not isinstance(regimens, Regimen) else [])}
    sizes |= {x.shape[0] for x in (time, switch_time) if x is not None and np.ndim(x) == 2}
    sizes |= {np.shape(start)[0]} if np.ndim(start) == 1 else set()
    sizes |= {leaf.shape[0] for leaf in jax.tree.leaves(model) if jnp.ndim(leaf) > 0}
    if len(sizes - {1}) > 1:
        raise ValueError(f"how many patients? The model, regimens and times say {', '.join(map(str, sorted(sizes)))}")
    patients = max(sizes, default=1)
    shared = isinstance(regimens, Regimen)
    each = [regimens] if isinstance(regimens, Regimen) else list(regimens)
    _finite("sample time", time)
    samples = _broadcast(time, (patients, time.shape[-1]))
    order = _broadcast(_numbers(np.inf if order is None else order, samples.dtype), samples.shape)
    samples, order, place = _sorted(samples, order)
    if (switch_time is None) != (switch_order is None):
        raise ValueError(
            "give both switch_time and switch_order, the place of each switch among the records, or neither"
        )
    known_order = None if switch_order is None else np.asarray(switch_order)
    none = np.zeros((patients, 0), samples.dtype)
    switch_time = none if switch_time is None else _numbers(switch_time, samples.dtype)
    switch_order = none if switch_order is None else _numbers(switch_order, samples.dtype)
    segments = switch_time.shape[1] + 1

    def widen(leaf: Any) -> Any:
        leaf = _numbers(leaf)
        return _broadcast(leaf.reshape(leaf.shape + (1,) * (2 - leaf.ndim)), (patients, segments))

    states = state_names(model)
    dosable = tuple(n for n in input_names(model) if n in states)
    tables = [_tables(states, dosable, r, None if known_order is None else known_order[i]) for i, r in enumerate(each)]
    doses = _pad([t[0] for t in tables])
    jumps = _pad([t[1] for t in tables])
    if shared and patients > 1:
        doses, jumps = jax.tree.map(lambda a: _broadcast(a, (patients, *a.shape[1:])), (doses, jumps))
    if start is not None:
        samples, order, place = _begun(samples, order, place, start, (doses, jumps))
    kinds = [k for r in each for k in r.kinds]
    return Problem(
        model=jax.tree.map(widen, model),
        doses=doses,
        jumps=jumps,
        time=samples,
        order=order,
        place=place,
        switch_time=switch_time,
        switch_order=switch_order,
        infusions=any(k.mode != BOLUS for k in kinds),
        steady=any(k.steady_state for k in kinds),
        overlap=overlap if overlap is not None else max((_overlap(r) for r in each), default=0),
    )


def _numbers(x: Any, dtype: Any = None) -> Any:
    """An array: NumPy's where the numbers are known and at hand, as its single operations cost a hundredth of JAX's.

    What is traced stays so; arrays on accelerators and on many devices stay where they are.
    """
    if isinstance(x, jax.Array) and (
        isinstance(x, Tracer) or (x.ndim and (len(x.devices()) > 1 or next(iter(x.devices())).platform != "cpu"))
    ):
        return jnp.asarray(x, dtype)
    if isinstance(x, list | tuple) and any(isinstance(v, Tracer) for v in jax.tree.leaves(x)):
        return jnp.asarray(x, dtype)
    kind = jnp.result_type(x) if dtype is None else dtype
    return np.asarray(x, kind) if isinstance(x, jax.Array) else np.array(x, kind)


def _broadcast(x: Any, shape: tuple[int, ...]) -> Any:
    return (np if isinstance(x, np.ndarray) else jnp).broadcast_to(x, shape)


def _sorted(time: Any, order: Any) -> tuple[Any, Any, Any]:
    """Samples sorted by time and order, and where each came to; None if they are known to be sorted already."""
    if isinstance(time, np.ndarray) and isinstance(order, np.ndarray):
        later = time[:, 1:] > time[:, :-1]
        if np.all(later | ((time[:, 1:] == time[:, :-1]) & (order[:, 1:] >= order[:, :-1]))):
            return time, order, None
        by = np.lexsort((order, time), axis=-1)
        return np.take_along_axis(time, by, -1), np.take_along_axis(order, by, -1), np.argsort(by, axis=-1)
    by = jax.lax.stop_gradient(jnp.lexsort((order, time), axis=-1))
    return jnp.take_along_axis(time, by, axis=-1), jnp.take_along_axis(order, by, axis=-1), jnp.argsort(by, axis=-1)


def _begun(samples: Any, order: Any, place: Any, start: Any, records: Sequence[Any]) -> tuple[Any, Any, Any]:
    """Samples, orders and places with one sample more, first, which nobody is shown."""
    if any(isinstance(x, Tracer) for x in jax.tree.leaves(start)):
        raise ValueError("start is a number that is known: it is not traced, and has no derivatives")
    start = _numbers(start, samples.dtype)
    _finite("start", start)
    begin = _broadcast(start.reshape(-1, 1), (samples.shape[0], 1))
    for what, time, given in (("sample", samples, True), *(("dose", r.time, r.given) for r in records)):
        if not isinstance(time, Tracer):
            early = np.asarray(given & (time < begin))
            if early.any():
                first = float(np.asarray(time)[early].min())
                raise ValueError(f"a {what} at {first:g} is before the start, where the initial state holds; give an "
                                 "earlier start")  # fmt: skip
    join = np.concatenate if all(isinstance(x, np.ndarray) for x in (samples, order)) else jnp.concatenate
    at = np.broadcast_to(np.arange(samples.shape[1]), samples.shape) if place is None else place
    first = _broadcast(_numbers(-np.inf, order.dtype), begin.shape)
    return join([begin, samples], axis=1), join([first, order], axis=1), at + 1


def _finite(what: str, values: Any) -> None:
    if not isinstance(values, Tracer) and not np.all(np.isfinite(values)):
        raise ValueError(f"a {what} is not finite")


def _overlap(regimen: Regimen) -> int:
    """How many earlier infusions of a steady-state dose can still run when it is given, with one to spare."""
    most = 0
    for i, k in enumerate(regimen.kinds):
        if not k.steady_state or k.mode == BOLUS:
            continue
        known = [c[i] for c in (regimen.amount, regimen.rate, regimen.interval)]
        if k.mode == GIVEN_RATE and not any(isinstance(c, Tracer) for c in known) and known[2] > 0:
            most = max(most, math.ceil(float(known[0] / known[1] / known[2])) + 1)
        else:
            most = max(most, 2)
    return most


def _tables(
    states: tuple[str, ...], dosable: tuple[str, ...], regimen: Regimen, switch_order: np.ndarray | None
) -> tuple[Doses, Jumps]:
    """One patient's records as rows, `(rows,)` each: NumPy's where the numbers are known, which is much quicker."""
    known = {n: getattr(regimen, n) for n in ("time", "amount", "rate", "interval")}
    known = {n: c if isinstance(c, Tracer) else np.asarray(c) for n, c in known.items()}

    def compartment(into: str | int, record: int) -> int:
        name = into
        if isinstance(into, int):
            if not 1 <= into <= len(states):
                raise ValueError(
                    f"dose record {record + 1}: compartment {into} of a model with {len(states)}: "
                    + ", ".join(f"{i} {n}" for i, n in enumerate(states, 1))
                )
            name = states[into - 1]
        full = resolve(str(name), states, f"compartment (dose record {record + 1})")
        if full not in dosable:
            raise ValueError(f"dose record {record + 1}: {full} takes no doses; these do: {', '.join(dosable)}")
        return states.index(full)

    def segment(order: int) -> int:
        return 0 if switch_order is None else int(np.sum(switch_order < order))

    rows = [(i, k, n) for i, k in enumerate(regimen.kinds) if k.evid != 3 for n in range(k.additional + 1)]
    # A constant infusion since long ago (AMT = 0, SS = 1) ends at its record: it is a jump only.
    constant = [
        i
        for i, k in enumerate(regimen.kinds)
        if k.mode == GIVEN_RATE and k.steady_state and _is_zero(known["amount"][i])
    ]
    rows = [r for r in rows if r[0] not in constant]
    at = np.asarray([i for i, _, _ in rows], dtype=int)
    repeat = np.asarray([n for _, _, n in rows], dtype=float)

    def ints(values: list[Any], kind: Any = int) -> np.ndarray:
        return np.asarray(values, dtype=kind)

    doses = Doses(
        time=known["time"][at] + repeat * known["interval"][at],
        record=known["time"][at],
        amount=known["amount"][at],
        rate=known["rate"][at],
        compartment=ints([compartment(k.into, i) for i, k, _ in rows]),
        mode=ints([k.mode for _, k, _ in rows]),
        order=ints([k.order for _, k, _ in rows], float),
        additional=ints([n > 0 for _, _, n in rows], bool),
        segment=ints([segment(k.order) for _, k, _ in rows]),
        given=ints([True for _ in rows], bool),
    )
    jump = [(i, k) for i, k in enumerate(regimen.kinds) if k.evid in (3, 4) or k.steady_state]
    at = np.asarray([i for i, _ in jump], dtype=int)
    jumps = Jumps(
        time=known["time"][at],
        amount=known["amount"][at],
        rate=known["rate"][at],
        interval=known["interval"][at],
        compartment=ints([0 if k.evid == 3 else compartment(k.into, i) for i, k in jump]),
        mode=ints([k.mode for _, k in jump]),
        order=ints([k.order for _, k in jump], float),
        segment=ints([segment(k.order) for _, k in jump]),
        clears=ints([k.evid in (3, 4) or k.steady_state == 1 for _, k in jump], bool),
        steady=ints([k.steady_state > 0 for _, k in jump], bool),
        given=ints([True for _ in jump], bool),
    )
    return doses, jumps


def _is_zero(x: Any) -> bool:
    return not isinstance(x, Tracer) and float(x) == 0.0


def _pad(tables: list[Any]) -> Any:
    """Tables of different lengths as one, `(patients, rows)`, padded with zeros."""
    rows = max((t.given.shape[0] for t in tables), default=0)

    def stack(*columns: Any) -> Any:
        if all(isinstance(c, np.ndarray | jax.Array) and not isinstance(c, Tracer) for c in columns):
            out = np.zeros((len(columns), rows), np.asarray(columns[0]).dtype)
            for i, c in enumerate(columns):
                out[i, : c.shape[0]] = c
            return out  # NumPy's is known inside jit too, so that backends can read it and refuse
        return jnp.stack([jnp.pad(c, (0, rows - c.shape[0])) for c in columns])

    return jax.tree.map(stack, *tables)
