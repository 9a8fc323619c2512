"""How doses enter: a model's lags, bioavailabilities, modelled rates and durations as columns, one per segment."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from twinjax.dosing import BOLUS, GIVEN_RATE, MODELLED_DURATION, MODELLED_RATE
from twinjax.models.base import AbstractModel, Route, route_kinds, state_names
from twinjax.naming import resolve
from twinjax.solve.problem import Problem


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
        spread=transits(model),
    )


def transits(model: AbstractModel) -> tuple[bool, ...]:
    """Which states take gamma-shaped doses."""
    states = state_names(model)
    routes = {resolve(n, states, "state in routes()"): r for n, r in route_kinds(model).items()}
    return tuple(n in routes and routes[n].transit is not None for n in states)


def undeclared(problem: Problem) -> str | None:
    """What the regimens ask of the routes that the model does not declare, in words."""
    if isinstance(problem.doses.mode, Tracer) or not problem.infusions:
        return None
    modes, compartments, given = (np.asarray(getattr(problem.doses, n)) for n in ("mode", "compartment", "given"))
    states, routes = state_names(problem.model), route_kinds(problem.model)
    declared = {n: r for s in states for n, r in ((s, r) for k, r in routes.items() if s == k or s.endswith("." + k))}
    for mode, field in ((MODELLED_RATE, "rate"), (MODELLED_DURATION, "duration")):
        for c in set(compartments[(modes == mode) & given].tolist()):
            if getattr(declared.get(states[c], Route()), field) is None:
                return f"a dose leaves its {field} to the model, but routes() declares no {field} for {states[c]}"
    return None


def amount_and_duration(table: RouteTable, d: Any) -> tuple[Any, Any, Any]:
    """Amount absorbed, how long it takes (0 for a bolus) and the lag, for every row of a table."""

    def at(name: str) -> Any:
        return table.at(name, d.segment, d.compartment)

    amount = d.amount * at("bioavailability")
    rate = jnp.where(d.mode == MODELLED_RATE, at("rate"), jnp.where(d.mode == GIVEN_RATE, d.rate, 1.0))
    by_rate = jnp.where(rate > 0, amount / jnp.where(rate > 0, rate, 1.0), jnp.nan)
    duration = jnp.where(d.mode == MODELLED_DURATION, at("duration"), by_rate)
    return amount, jnp.where(d.mode == BOLUS, 0.0, duration), at("lag")


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
