"""The search for doses: what is aimed at as numbers, and Gauss-Newton steps on exact derivatives."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from twinjax.assimilation.forecast import trajectories
from twinjax.assimilation.goals import AbstractQuantity, Goal
from twinjax.models.base import output_names
from twinjax.naming import resolve
from twinjax.population.population import Population
from twinjax.solve.compiling import compiled
from twinjax.solve.problem import AbstractBackend, Problem

_TURNS = 12


class Aims(eqx.Module):
    """Goals and harms as programs need them: numbers that may change from one question to the next without a program
    being compiled again, and what their form depends on.

    **Parameters**: `aim`, `lower`, `upper`, one of each goal and then harm; `rows`, which samples each reads;
    `quantities`, whose times count from zero; `outputs`; `signs`, whether aim, lower and upper are above zero, and
    `ends`, whether the latter two are finite; `goals`, how many are no harms.
    """

    aim: Any
    lower: Any
    upper: Any
    rows: tuple[Any, ...]
    quantities: tuple[AbstractQuantity, ...] = eqx.field(static=True)
    outputs: tuple[str, ...] = eqx.field(static=True)
    signs: tuple[tuple[bool, bool, bool], ...] = eqx.field(static=True)
    ends: tuple[tuple[bool, bool], ...] = eqx.field(static=True)
    goals: int = eqx.field(static=True)

    @staticmethod
    def of(population: Population, goals: tuple[Goal, ...], harms: tuple[Goal, ...]) -> tuple[Aims, np.ndarray]:
        """And the times at which outputs have to be known."""
        known, every = output_names(population.model), goals + harms
        times = np.unique(np.concatenate([g.quantity.times for g in every]))
        numbers = [(g.value, g.lower, g.upper) for g in every]
        columns = [jnp.asarray(c, float) for c in zip(*numbers, strict=True)]
        return Aims(
            columns[0], columns[1], columns[2],
            quantities=tuple(g.quantity.from_zero for g in every),
            rows=tuple(jnp.asarray(1 + np.searchsorted(times, g.quantity.times)) for g in every),
            outputs=tuple(resolve(g.quantity.output, known, "output") for g in every),
            signs=tuple((v > 0, low > 0, high > 0) for v, low, high in numbers),
            ends=tuple((math.isfinite(low), math.isfinite(high)) for _, low, high in numbers), goals=len(goals),
        ), times  # fmt: skip

    def values(self, outputs: Mapping[str, Any]) -> list[Any]:
        """The quantities, of outputs `(..., samples)`, the first of which is where the history begins."""
        parts = zip(self.quantities, self.rows, self.outputs, strict=True)
        return [q.of(outputs[name][..., rows]) for q, rows, name in parts]

    def residuals(self, outputs: Mapping[str, Any]) -> Any:
        """Distances from aims and beyond limits `(..., goals and harms)`."""
        found = []
        for k, q in enumerate(self.values(outputs)):
            signs, ends = self.signs[k], self.ends[k]
            if k < self.goals:
                found.append(apart(q, self.aim[k], signs[0]))
            else:
                over = jnp.maximum(apart(q, self.upper[k], signs[2]), 0.0) if ends[1] else 0.0
                under = jnp.minimum(apart(q, self.lower[k], signs[1]), 0.0) if ends[0] else 0.0
                found.append(3.0 * (over + under))
        return jnp.stack(found, axis=-1)


def apart(q: Any, aim: Any, positive: bool) -> Any:
    """How far a quantity is from a value, in logarithms where that is positive."""
    return jnp.log(jnp.maximum(q, 1e-9 * aim)) - jnp.log(aim) if positive else q - aim


@compiled
def optimum(
    population: Population, backend: AbstractBackend, problem: Problem, covariates: dict[str, Any], eta: Any,
    aims: Aims, rows: Any, start: Any, ends: Any,
) -> Any:  # fmt: skip
    """Logarithms of the amounts `(schedules, variables)` at which the expected squared distance is least."""
    schedules, variables = start.shape

    def residuals(v: Any) -> Any:
        factor = jnp.where(rows >= 0, jnp.take_along_axis(jnp.exp(v), jnp.maximum(rows, 0), axis=1), 1.0)
        doses = dataclasses.replace(
            problem.doses, amount=problem.doses.amount * factor, rate=problem.doses.rate * factor
        )
        own = dataclasses.replace(problem, doses=doses)
        outputs, code = trajectories(population, backend, own, covariates, eta)
        found = aims.residuals(outputs)
        return jnp.where((code == 0)[..., None] & jnp.isfinite(found), found, 0.0)

    def assess(v: Any) -> tuple[Any, Any, Any]:
        slopes = []
        r = jnp.zeros(())
        for i in range(variables):
            r, slope = jax.jvp(residuals, (v,), (jnp.zeros_like(v).at[:, i].set(1.0),))
            slopes.append(slope)
        j = jnp.stack(slopes, axis=-1)
        return jnp.mean(jnp.sum(r * r, -1), 1), jnp.einsum("sngi,sng->si", j, r), jnp.einsum("sngi,sngj->sij", j, j)

    def turn(_: int, c: tuple[Any, ...]) -> tuple[Any, ...]:
        v, trial, cost, slope, curve, damping = c
        new, new_slope, new_curve = assess(trial)
        better = new <= cost
        v = jnp.where(better[:, None], trial, v)
        cost, damping = jnp.minimum(cost, new), jnp.where(better, damping * 0.2, damping * 8.0)
        slope = jnp.where(better[:, None], new_slope, slope)
        curve = jnp.where(better[:, None, None], new_curve, curve)
        diagonal = jnp.einsum("sii->si", curve)
        damped = curve + jnp.einsum("si,ij->sij", damping[:, None] * diagonal + 1e-9, jnp.eye(variables))
        move = -jnp.linalg.solve(damped, slope[..., None])[..., 0]
        return v, jnp.clip(v + jnp.clip(move, -2.0, 2.0), ends[0], ends[1]), cost, slope, curve, damping

    zero = jnp.zeros((schedules, variables))
    begin = (start, start, jnp.full(schedules, jnp.inf), zero, jnp.zeros((schedules, variables, variables)),
             jnp.full(schedules, 1e-2))  # fmt: skip
    return jax.lax.fori_loop(0, _TURNS, turn, begin)[0]
