"""A history cut into stretches of time, each with its doses: what a filter walks along."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from twinjax.assimilation.bedside import bucket
from twinjax.dosing import GIVEN_RATE
from twinjax.models.base import state_names
from twinjax.models.resumed import resumed
from twinjax.population.cohort import individuals
from twinjax.population.population import Population
from twinjax.solve.flat import unravel
from twinjax.solve.problem import AbstractBackend, Doses, Jumps, Problem

Target = tuple[float, float, int]
"""A time, its place among records of that time, and the row that is of it, -1 for none."""


class Stretches(eqx.Module):
    """Stretches of time, one after another, `(turns, patients)`, those of padding of no length.

    **Parameters**: `begin`, `end`; `order`, the place of the end among records of its time; `row`, what is measured
    there, -1 for nothing; `doses`, those that come after the beginning and not after the end, and the rest of infusions
    that run already, `(turns, patients, few)`.
    """

    begin: Any
    end: Any
    order: Any
    row: Any
    doses: Doses

    @staticmethod
    def of(
        problem: Problem, starts: Sequence[tuple[float, float]], targets: Sequence[Sequence[Target]], step: float
    ) -> Stretches:
        """From where each patient is (time and order) to its targets in turn, none longer than `step`."""
        lines = [_cut(s, t, step) for s, t in zip(starts, targets, strict=True)]
        turns = bucket(max((len(line) for line in lines), default=0), 1)
        given = {n: np.asarray(getattr(problem.doses, n)) for n in _DOSES}
        whole = np.zeros((4, turns, len(lines)))
        row = np.full((turns, len(lines)), -1)
        each: list[list[dict[str, np.ndarray]]] = [[] for _ in range(turns)]
        for i, line in enumerate(lines):
            own, last = {n: v[i] for n, v in given.items()}, starts[i]
            for k in range(turns):
                time, order, at = line[k] if k < len(line) else (*last, -1)
                whole[:, k, i], row[k, i] = (*last, time, order), at
                each[k].append(_within(own, last, (time, order)))
                last = (time, order)
        few = bucket(max((len(d["time"]) for turn in each for d in turn), default=0), 1)
        doses = {n: np.stack([np.stack([_wide(d[n], few) for d in turn]) for turn in each]) for n in _DOSES}
        given_ = np.stack([np.stack([_wide(np.ones(len(d["time"]), bool), few) for d in turn]) for turn in each])
        table = Doses(**{n: jnp.asarray(v) for n, v in doses.items()}, given=jnp.asarray(given_))
        begin, _, end, order = (jnp.asarray(w) for w in whole)
        return Stretches(begin, end, order, jnp.asarray(row), table)


_DOSES = ("time", "record", "amount", "rate", "compartment", "mode", "order", "additional", "segment")
_RUNNING = -1e6
"""The order of an infusion that runs already: before all records of the time."""


def _cut(start: tuple[float, float], targets: Sequence[Target], step: float) -> list[Target]:
    """The targets and instants between, evenly spaced."""
    line, at = [], start[0]
    for time, order, row in targets:
        many = max(1, math.ceil((time - at) / step - 1e-9))
        line += [(at + k * (time - at) / many, math.inf, -1) for k in range(1, many)]
        line.append((time, order, row))
        at = time
    return line


def _within(d: dict[str, np.ndarray], begin: tuple[float, float], end: tuple[float, float]) -> dict[str, np.ndarray]:
    """One patient's doses of one stretch; padding has an amount and a rate of zero."""
    time, order, amount, rate = d["time"], d["order"], d["amount"], d["rate"]
    after = (time > begin[0]) | ((time == begin[0]) & (order > begin[1]))
    before = (time < end[0]) | ((time == end[0]) & (order <= end[1]))
    endless = (d["mode"] == GIVEN_RATE) & (rate > 0)
    until = time + np.where(endless, amount / np.where(endless, rate, 1.0), 0.0)
    running = endless & ~after & (until > begin[0])
    keep = (after & before & (amount > 0)) | running
    chosen = {n: v[keep] for n, v in d.items()}
    on = running[keep]
    chosen["amount"] = np.where(on, chosen["rate"] * (until[keep] - begin[0]), chosen["amount"])
    chosen["order"] = np.where(on, _RUNNING, chosen["order"])
    for name in ("time", "record"):
        chosen[name] = np.where(on, begin[0], chosen[name])
    return chosen


def _wide(column: np.ndarray, few: int) -> np.ndarray:
    return np.concatenate([column, np.zeros(few - len(column), column.dtype)])


def check(problem: Problem, population: Population) -> None:
    """**Raises** `ValueError` for what a filter of states cannot begin anew in the middle of."""
    if population.varying_errors:
        raise ValueError("a filter of states knows residual errors that are alike in everybody; use MAP() or "
                         "ParticleFilter()")  # fmt: skip
    if problem.segments > 1:
        raise ValueError("a filter of states knows covariates that do not change; use MAP() or ParticleFilter()")
    if problem.jumps.given.shape[1]:
        raise ValueError("a filter of states knows no resets and steady states; write the doses out, or use MAP() or "
                         "ParticleFilter()")  # fmt: skip
    if population.model.routes():
        raise ValueError(
            "a filter of states does not know how doses are delayed or scaled on their way, which "
            f"{type(population.model).__name__} declares in routes(); use MAP() or ParticleFilter()"
        )


class Course(eqx.Module):
    """How patients' states go on: `population`, its `backend`, `problem` of whatever times, and covariates
    `(patients, 1)` by name.
    """

    population: Population
    backend: AbstractBackend
    problem: Problem
    covariates: dict[str, Any]

    def models(self, eta: Any) -> Any:
        """Of random effects `(patients, particles, etas)`, leaves `(patients x particles, 1)`."""
        many = eta.shape[1]
        own = {n: jnp.repeat(v, many, axis=0) for n, v in self.covariates.items()}
        model = individuals(self.population, self.population.theta, eta.reshape(-1, eta.shape[2]), own)
        return jax.tree.map(lambda m: jnp.broadcast_to(m, (m.shape[0], 1)), model)

    def initial(self, eta: Any) -> Any:
        """States before anything `(patients, particles, states)`."""
        model = jax.tree.map(lambda m: m[:, 0], self.models(eta))
        state = jax.vmap(lambda m: m.initial())(model)
        return jnp.stack(jax.tree.leaves(state), axis=-1).reshape(*eta.shape[:2], -1)

    def onward(self, turn: Stretches, state: Any, eta: Any) -> tuple[Any, Any]:
        """States `(patients, particles, states)` at the end of one stretch, and result codes."""
        patients, many, states = state.shape
        one = jax.tree.map(lambda m: jnp.asarray(m), self.population.model)
        began = jax.tree.map(lambda x: x[:, None], unravel(one, state.reshape(-1, states)))
        model = resumed(self.models(eta), began)
        doses = jax.tree.map(lambda d: jnp.repeat(d, many, axis=0), turn.doses)
        time = jnp.repeat(jnp.stack([turn.begin, turn.end], axis=1), many, axis=0)
        order = jnp.repeat(jnp.stack([jnp.full(patients, -jnp.inf), turn.order], axis=1), many, axis=0)
        problem = dataclasses.replace(
            self.problem, model=model, doses=doses, jumps=_none(self.problem.jumps, patients * many), time=time,
            order=order, place=None, switch_time=jnp.zeros((patients * many, 0)),
            switch_order=jnp.zeros((patients * many, 0)), states=True,
        )  # fmt: skip
        solution = self.backend.solve(problem)
        found = jnp.stack([x[:, 1] for x in jax.tree.leaves(solution.state)], axis=-1)
        return found.reshape(patients, many, states), solution.result.reshape(patients, many)

    @property
    def least(self) -> Any:
        """The least value of every state `(states,)`: zero for those that cannot be negative."""
        names, kind = state_names(self.population.model), type(self.population.model)
        free = [not kind.nonnegative or n in kind.signed for n in names]
        return jnp.where(jnp.asarray(free, bool), -jnp.inf, 0.0)


def _none(jumps: Jumps, patients: int) -> Jumps:
    return jax.tree.map(lambda a: jnp.zeros((patients, 0, *a.shape[2:]), a.dtype), jumps)
