"""What happens to one patient: doses, resets, infusions and parameter switches as elementary events.

Everything here is for a single patient and traced: times may depend on parameters (lags, modelled durations), so
sorting happens inside jit (`timeline.py`). Backends walk the timeline; between two events the inputs are constant.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from twinjax.dosing import BOLUS
from twinjax.models.base import AbstractModel, state_names
from twinjax.solve.flat import ravel
from twinjax.solve.problem import NO_STEADY_STATE, NOT_FINITE, OK, OVERLAP, Problem
from twinjax.solve.routes import RouteTable, Spread, amount_and_duration, route_table
from twinjax.solve.timeline import EARLY, Rows, Timeline


class Steady(eqx.Module):
    """One steady-state record: constant pieces of one dosing interval that starts at the record.

    Over ``pieces`` the rate into `compartment` is constant; `bolus` arrives after the first two (after the lag).
    """

    time: Any
    lengths: Any
    rates: Any
    bolus: Any
    compartment: Any
    segment: Any


class Agenda(eqx.Module):
    """What happens to one patient, not yet in order, and what is known with it.

    **Parameters**: `rows`, the elementary events; `start`, when `initial` holds; `end`, the last sample; `code`, a
    result code; `spread`, the doses that enter as gamma densities.
    """

    rows: Any
    start: Any
    end: Any
    code: Any
    spread: Spread | None


SteadyState = Callable[[AbstractModel, Steady, Any], tuple[Any, Any]]
"""`steady_state(model, steady, initial)`: the state that a dosing interval maps to itself, and whether it was found."""


def timeline(p: Problem, steady_state: SteadyState) -> tuple[Timeline, Spread | None]:
    """The timeline of one patient: `p` without its patient axis."""
    known = agenda(p, steady_state)
    line = known.rows.sorted(known.start, known.end, p.time, p.order, known.code)
    code = jnp.where(_finite(p, line.segment[-1]), line.code, NOT_FINITE)
    return eqx.tree_at(lambda x: x.code, line, code), known.spread


def agenda(p: Problem, steady_state: SteadyState) -> Agenda:
    """The elementary events of one patient: `p` without its patient axis."""
    states = len(state_names(p.model))
    table = route_table(p.model, p.switch_time.shape[0] + 1)
    d, j = p.doses, p.jumps
    amount, duration, lag = amount_and_duration(table, d)
    begin = d.time + lag
    until = _cleared(j, d.record, d.order)
    given = d.given & (begin <= until)  # one that begins as it is cleared is still seen by records in between
    first = [jnp.where(d.given, d.time, jnp.inf), jnp.where(j.given, j.time, jnp.inf), p.time]
    start = jnp.min(jnp.concatenate(first))

    spread = None
    bolus = given & ~(duration > 0)
    if any(table.spread):
        spreads = bolus & jnp.asarray(table.spread)[d.compartment]
        spread = Spread(
            begin, until, jnp.where(spreads, amount, 0.0), table.at("transit_rate", d.segment, d.compartment),
            table.at("transit_number", d.segment, d.compartment), d.compartment,
        )  # fmt: skip
        bolus = bolus & ~spreads

    rows = Rows(states)
    sound = jnp.isfinite(amount + begin + duration) & (lag >= 0) & (duration >= 0)
    code = jnp.where(jnp.all(sound | ~d.given), OK, NOT_FINITE)
    late = jnp.where((lag > 0) | d.additional, EARLY, d.order)
    rows.add(begin, late, given, amount=jnp.where(bolus, amount, 0.0), compartment=d.compartment,
             rate=jnp.where(given & (duration > 0), amount / jnp.where(duration > 0, duration, 1.0), 0.0),
             sequence=2)  # fmt: skip
    if p.infusions:
        running = given & (duration > 0)
        length = jnp.where(duration > 0, duration, 1.0)
        rows.add(jnp.minimum(begin + duration, until), EARLY, running, compartment=d.compartment,
                 rate=-amount / length, sequence=0)  # fmt: skip
    if j.given.shape[0]:
        reached, found = _jump_states(p, table, steady_state)
        code = jnp.maximum(code, found)
        rows.add(j.time, j.order, j.given, keep=jnp.where(j.clears, 0.0, 1.0), state=reached, sequence=1)
        if p.steady and p.infusions and p.overlap:
            code = jnp.maximum(code, _add_overlaps(rows, p, table))
    for k in range(p.switch_time.shape[0]):
        rows.add(p.switch_time[k : k + 1], p.switch_order[k : k + 1], jnp.array([True]), switch=k + 1, sequence=3)
    return Agenda(rows, start, jnp.max(p.time), code, spread)


def _finite(p: Problem, last: Any) -> Any:
    """Whether the parameters of every segment that is reached are finite."""
    leaves = (
        jnp.stack([jnp.isfinite(x) for x in jax.tree.leaves(p.model)])
        if jax.tree.leaves(p.model)
        else jnp.ones((1, 1), bool)
    )
    return jnp.all(leaves | (jnp.arange(leaves.shape[1]) > last))


def _cleared(j: Any, record: Any, order: Any) -> Any:
    """When a later reset, or SS = 1, ends what each record began; infinity where none does."""
    later = (j.time[None, :] > record[:, None]) | (
        (j.time[None, :] == record[:, None]) & (j.order[None, :] > order[:, None])
    )
    ends = later & (j.given & j.clears)[None, :]
    return jnp.min(jnp.where(ends, j.time[None, :], jnp.inf), axis=1, initial=jnp.inf)


def _jump_states(p: Problem, table: RouteTable, steady_state: Any) -> tuple[Any, Any]:
    """The state added at every jump: `initial` for a reset, the steady state for SS; and a result code."""
    j = p.jumps

    def initial(segment: Any) -> Any:
        model = jax.tree.map(lambda x: x[segment], p.model)
        return ravel(model.initial())

    begin = jax.vmap(initial)(j.segment)
    if not p.steady:
        return begin, OK
    amount, duration, lag = amount_and_duration(table, j)
    constant = (j.amount == 0) & (j.interval == 0)
    interval = jnp.where(j.interval > 0, j.interval, 24.0)  # a constant infusion is steady over any interval
    rate = jnp.where(duration > 0, amount / jnp.where(duration > 0, duration, 1.0), 0.0)
    whole = jnp.where(constant, 0.0, jax.lax.stop_gradient(jnp.floor(duration / interval)))
    rest = duration - whole * interval
    # From the record: [0, lag) is the end of the interval before, then the dose, then the interval's first part.
    tail = jnp.clip(rest - (interval - lag), 0.0, lag)
    head = jnp.minimum(rest, interval - lag)
    lengths = jnp.stack([tail, lag - tail, head, interval - lag - head], axis=1)
    base, more = whole * rate, (whole + 1) * rate
    rates = jnp.stack([more, base, more, base], axis=1)
    rates = jnp.where(constant[:, None], j.rate[:, None], rates)
    bolus = jnp.where(j.mode == BOLUS, amount, 0.0)

    def one(time: Any, lengths: Any, rates: Any, bolus: Any, compartment: Any, segment: Any, start: Any) -> Any:
        model = jax.tree.map(lambda x: x[segment], p.model)
        return steady_state(model, Steady(time, lengths, rates, bolus, compartment, segment), start)

    found, solved = jax.vmap(one)(j.time, lengths, rates, bolus, j.compartment, j.segment, begin)
    wanted = j.given & j.steady
    code = jnp.max(jnp.where(wanted & ~(solved & (lag <= interval)), NO_STEADY_STATE, OK), initial=OK)
    return jnp.where(j.steady[:, None], found, begin), code


def _add_overlaps(rows: Rows, p: Problem, table: RouteTable) -> Any:
    """Infusions of a steady-state regimen that began before the record and still run; and a result code."""
    j = p.jumps
    amount, duration, lag = amount_and_duration(table, j)
    steady = j.given & j.steady & (duration > 0) & (j.interval > 0)
    rate = jnp.where(steady, amount / jnp.where(duration > 0, duration, 1.0), 0.0)
    until = _cleared(j, j.time, j.order)
    for k in range(1, p.overlap + 1):
        finish = jnp.minimum(j.time + lag - k * j.interval + duration, until)
        runs = steady & (finish > j.time)
        rows.add(j.time, j.order, runs, compartment=j.compartment, rate=rate, sequence=2)
        rows.add(finish, EARLY, runs, compartment=j.compartment, rate=-rate, sequence=0)
    beyond = lag - (p.overlap + 1) * j.interval + duration
    return jnp.max(jnp.where(steady & (beyond > 0), OVERLAP, OK), initial=OK)
