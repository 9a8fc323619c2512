"""One patient's doses, resets, infusions and parameter switches as a sorted timeline of elementary events.

Everything here is for a single patient and traced: times may depend on parameters (lags, modelled durations), so
sorting happens inside jit. Backends walk the timeline; between two events the inputs are constant.

Rules of coincidence (NONMEM, PREDPP): at equal times, lagged doses, additional doses and ends of infusions come
before records; records keep their order.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from twinjax.dosing import BOLUS, GIVEN_RATE, MODELLED_DURATION, MODELLED_RATE
from twinjax.models.base import AbstractModel, Route, input_names, no_input, state_names
from twinjax.naming import resolve
from twinjax.solve.problem import NO_STEADY_STATE, NOT_FINITE, OK, OVERLAP, Problem

EARLY = -1.0
"""Order of events that come before every record of the same time."""


class Timeline(eqx.Module):
    """Sorted events of one patient, `(events,)`; after an event the state becomes ``keep * state + jump``.

    **Parameters**: `time`; `keep` (0 at a reset); `jump` `(events, states)`; `inputs` `(events + 1, states)`, the
    rate into each state before the first event and after each; `segment` `(events + 1,)`, the parameter segment
    likewise; `rank` `(samples,)`, how many events come before each sample; `start`, when `initial` holds; `code`, a
    result code.
    """

    time: Any
    keep: Any
    jump: Any
    inputs: Any
    segment: Any
    rank: Any
    start: Any
    code: Any


class Spread(eqx.Module):
    """Doses that enter as gamma densities (transit absorption), `(rows,)` each; `until` is when a reset ends them."""

    time: Any
    until: Any
    amount: Any
    rate: Any
    number: Any
    compartment: Any

    def into(self, t: Any, states: int) -> Any:
        """The rate into each state at time `t`, `(states,)`. Savic et al. 2007, doi:10.1007/s10928-007-9066-0."""
        s = t - self.time
        on = (s > 0) & (t < self.until) & (self.amount > 0)
        x = jnp.where(on, self.rate * s, 1.0)
        log_density = self.number * jnp.log(x) - x - jax.scipy.special.gammaln(self.number + 1.0)
        rate = jnp.where(on, self.amount * self.rate * jnp.exp(log_density), 0.0)
        return jnp.zeros(states, rate.dtype).at[self.compartment].add(rate)

    def longest(self, t: Any) -> Any:
        """The longest step from `t` that overlooks no density: its standard deviation, until eight of them past the
        mean.
        """
        shape = self.number + 1.0
        deviation = jnp.sqrt(shape) / self.rate
        on = (t >= self.time) & (t < self.until) & (self.amount > 0)
        on = on & (t < self.time + shape / self.rate + 8.0 * deviation)
        return jnp.min(jnp.where(on, deviation, jnp.inf), initial=jnp.inf)


class RouteTable(eqx.Module):
    """A model's routes, each column `(segments, states)`, or a number where no route declares it; `spread` says which
    states take gamma-shaped doses.
    """

    lag: Any
    bioavailability: Any
    rate: Any
    duration: Any
    transit_rate: Any
    transit_number: Any
    spread: tuple[bool, ...] = eqx.field(static=True)

    def at(self, name: str, segment: Any, compartment: Any) -> Any:
        """One column, looked up for every row of a table."""
        column = getattr(self, name)
        return column if isinstance(column, float) else column[segment, compartment]


def route_table(model: AbstractModel, segments: int) -> RouteTable:
    """The routes of one patient's model, whose leaves are `(segments,)`."""
    states = state_names(model)
    routes = {resolve(n, states, "state in routes()"): r for n, r in model.routes().items()}

    def column(pick: Callable[[Route], Any], default: float) -> Any:
        found = [pick(routes[n]) if n in routes else None for n in states]
        if all(f is None for f in found):
            return default
        wide = [jnp.broadcast_to(jnp.asarray(default if f is None else f, float), (segments,)) for f in found]
        return jnp.stack(wide, axis=1) if wide else jnp.zeros((segments, 0))

    return RouteTable(
        lag=column(lambda r: r.lag, 0.0),
        bioavailability=column(lambda r: r.bioavailability, 1.0),
        rate=column(lambda r: r.rate, jnp.nan),
        duration=column(lambda r: r.duration, jnp.nan),
        transit_rate=column(lambda r: r.transit.rate if r.transit else None, 1.0),
        transit_number=column(lambda r: r.transit.number if r.transit else None, 0.0),
        spread=tuple(n in routes and routes[n].transit is not None for n in states),
    )


def undeclared(problem: Problem) -> str | None:
    """What the regimens ask of the routes that the model does not declare, in words."""
    if isinstance(problem.doses.mode, Tracer) or not problem.infusions:
        return None
    modes, compartments, given = (np.asarray(getattr(problem.doses, n)) for n in ("mode", "compartment", "given"))
    one = jax.tree.map(lambda x: x[0], problem.model)
    states, routes = state_names(one), one.routes()
    declared = {n: r for s in states for n, r in ((s, r) for k, r in routes.items() if s == k or s.endswith("." + k))}
    for mode, field in ((MODELLED_RATE, "rate"), (MODELLED_DURATION, "duration")):
        for c in set(compartments[(modes == mode) & given].tolist()):
            if getattr(declared.get(states[c], Route()), field) is None:
                return f"a dose leaves its {field} to the model, but routes() declares no {field} for {states[c]}"
    return None


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
    amount, duration, lag = _amount_and_duration(table, d)
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


def _amount_and_duration(table: RouteTable, d: Any) -> tuple[Any, Any, Any]:
    """Amount absorbed, how long it takes (0 for a bolus) and the lag, for every row of a table."""

    def at(name: str) -> Any:
        return table.at(name, d.segment, d.compartment)

    amount = d.amount * at("bioavailability")
    rate = jnp.where(d.mode == MODELLED_RATE, at("rate"), jnp.where(d.mode == GIVEN_RATE, d.rate, 1.0))
    by_rate = jnp.where(rate > 0, amount / jnp.where(rate > 0, rate, 1.0), jnp.nan)
    duration = jnp.where(d.mode == MODELLED_DURATION, at("duration"), by_rate)
    return amount, jnp.where(d.mode == BOLUS, 0.0, duration), at("lag")


def _cleared(j: Any, record: Any, order: Any) -> Any:
    """When a later reset, or SS = 1, ends what each record began; infinity where none does."""
    later = (j.time[None, :] > record[:, None]) | (
        (j.time[None, :] == record[:, None]) & (j.order[None, :] > order[:, None])
    )
    ends = later & (j.given & j.clears)[None, :]
    return jnp.min(jnp.where(ends, j.time[None, :], jnp.inf), axis=1, initial=jnp.inf)


class Rows:
    """Elementary events in the making: appended in groups, then sorted once.

    Each adds `amount` to a compartment's state and `rate` to its input, or makes the state ``keep * state + state``,
    or begins parameter segment number `switch`.
    """

    def __init__(self, states: int) -> None:
        self.states = states
        self.groups: list[dict[str, Any]] = []
        self.reached: Any = None
        self.first_jump = 0

    def add(
        self, time: Any, order: Any, valid: Any, *, sequence: int, compartment: Any = 0, amount: Any = 0.0,
        rate: Any = 0.0, keep: Any = 1.0, state: Any = None, switch: int = 0,
    ) -> None:  # fmt: skip
        """Append events of the same kind; those with a `state` `(events, states)` are one group."""
        n = time.shape[0]
        valid = jnp.broadcast_to(jnp.asarray(valid, bool), (n,))

        def column(x: Any, kind: Any = float) -> Any:
            return jnp.broadcast_to(jnp.asarray(x, kind), (n,))

        self.groups.append({
            "time": time, "order": column(order), "valid": valid, "sequence": column(sequence),
            "compartment": column(compartment, int), "amount": jnp.where(valid, column(amount), 0.0),
            "rate": jnp.where(valid, column(rate), 0.0), "keep": jnp.where(valid, column(keep), 1.0),
            "switch": column(switch, int), "jumps": column(state is not None, bool),
        })  # fmt: skip
        if state is not None:
            self.first_jump = sum(g["time"].shape[0] for g in self.groups[:-1])
            self.reached = jnp.where(valid[:, None], state, 0.0)

    def columns(self) -> dict[str, Any]:
        """Every group's columns, one after another, `(events,)` each."""
        return {k: jnp.concatenate([g[k] for g in self.groups]) for k in self.groups[0]}

    def sorted(self, start: Any, end: Any, sample: Any, sample_order: Any, code: Any) -> Timeline:
        """In order of time, at one time in their order; those after the end are of no effect."""
        rows = self.columns()
        one_hot = rows["compartment"][:, None] == jnp.arange(self.states)[None, :]
        moved = rows["amount"][:, None] * one_hot
        if self.reached is not None:
            moved = jax.lax.dynamic_update_slice(moved, self.reached, (self.first_jump, 0))
        used = rows["valid"] & (rows["time"] <= end)
        time = jnp.where(used, rows["time"], end)
        order = jnp.where(used, rows["order"], jnp.inf)
        by = jax.lax.stop_gradient(jnp.lexsort((rows["sequence"], order, time)))
        time, order, used = time[by], order[by], used[by]
        rate = jnp.where(used[:, None], (rows["rate"][:, None] * one_hot)[by], 0.0)
        running = jnp.cumsum(jnp.sign(jax.lax.stop_gradient(rate)), axis=0)
        inputs = jnp.where(running > 0.5, jnp.cumsum(rate, axis=0), 0.0)  # no residue of rounding once all have ended
        segment = jnp.cumsum(jnp.where(used & (rows["switch"][by] > 0), 1, 0))
        before = (time[None, :] < sample[:, None]) | (
            (time[None, :] == sample[:, None]) & (order[None, :] <= sample_order[:, None]) & used[None, :]
        )
        return Timeline(
            time=time,
            keep=jnp.where(used, rows["keep"][by], 1.0),
            jump=jnp.where(used[:, None], moved[by], 0.0),
            inputs=jnp.concatenate([jnp.zeros((1, self.states)), inputs]),
            segment=jnp.concatenate([jnp.zeros(1, segment.dtype), segment]),
            rank=jnp.sum(before & used[None, :], axis=1),
            start=start,
            code=code,
        )


def _jump_states(p: Problem, table: RouteTable, steady_state: Any) -> tuple[Any, Any]:
    """The state added at every jump: `initial` for a reset, the steady state for SS; and a result code."""
    j = p.jumps

    def initial(segment: Any) -> Any:
        model = jax.tree.map(lambda x: x[segment], p.model)
        return ravel(model.initial())

    begin = jax.vmap(initial)(j.segment)
    if not p.steady:
        return begin, OK
    amount, duration, lag = _amount_and_duration(table, j)
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
    amount, duration, lag = _amount_and_duration(table, j)
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


# ------------------------------------------------------------------------------------ named scalars <-> one flat vector


def ravel(tree: Any) -> Any:
    """A State as a vector, `(states,)`. Inside the implicit solvers named scalars cost 3 times the compile time."""
    parts = [jnp.asarray(x, jnp.result_type(float)) for x in jax.tree.leaves(tree)]
    return jnp.stack(parts, axis=-1) if parts else jnp.zeros((0,))


def unravel(model: AbstractModel, vector: Any) -> Any:
    """A vector, `(..., states)`, as the model's State."""
    structure = jax.tree.structure(jax.eval_shape(model.initial))
    return jax.tree.unflatten(structure, [vector[..., i] for i in range(structure.num_leaves)])


def as_input(model: AbstractModel, rates: Any) -> Any:
    """Rates into every state, `(..., states)`, as the model's Input; driving signals are zero."""
    states = state_names(model)
    empty = no_input(model)
    values = [
        rates[..., states.index(n)] if n in states else jnp.broadcast_to(z, rates.shape[:-1])
        for n, z in zip(input_names(model), jax.tree.leaves(empty), strict=True)
    ]
    return jax.tree.unflatten(jax.tree.structure(empty), values)


def field(model: AbstractModel, t: Any, y: Any, rates: Any) -> Any:
    """`derivative` on vectors: `(states,)` in, `(states,)` out."""
    return ravel(model.derivative(t, unravel(model, y), as_input(model, rates)))
