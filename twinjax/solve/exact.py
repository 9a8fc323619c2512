"""Linear models with constant coefficients: matrix exponentials, exact to rounding, steady state included."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from twinjax.models.base import AbstractModel, state_names
from twinjax.solve.events import Steady, timeline
from twinjax.solve.flat import as_input, field, ravel, unravel
from twinjax.solve.linearity import nonlinearity
from twinjax.solve.matrix import expm, product, too_large
from twinjax.solve.problem import NOT_FINITE, OK, TOO_STIFF, AbstractBackend, Problem, Solution
from twinjax.solve.routes import transits, undeclared
from twinjax.solve.sensitivity import PATIENTS


class Exact(AbstractBackend):
    """Closed form for models that are linear in the state, with coefficients constant between events.

    Between events ``y' = A y + w``; with M = [[A, w], [0, 0]], ``exp(M dt)`` carries the state from one event to the
    next. A steady state is the fixed point of an affine map, one linear solve. Differentiable to any order in both
    modes.
    """

    def refusal(self, problem: Problem) -> str | None:
        """Names the first equation that is not linear in the state, or depends on time."""
        why = nonlinearity(problem.model)
        if why is None and any(transits(problem.model)):
            why = "its transit absorption is an input that varies in time"
        if why:
            return f"{type(problem.model).__name__} is not linear with constant coefficients: {why}"
        return undeclared(problem)

    def solve(self, problem: Problem) -> Solution:
        """Every patient by closed form."""
        return jax.vmap(_solve_one, axis_name=PATIENTS)(problem)


def _matrix(model: AbstractModel, rates: Any) -> Any:
    """M = [[A, w], [0, 0]], `(states + 1, states + 1)`, for constant rates `(states,)` into the states."""
    n = len(state_names(model))
    zero = jnp.zeros(n)
    a = jax.jacfwd(lambda y: field(model, 0.0, y, zero))(zero)
    w = field(model, 0.0, zero, rates)
    return jnp.zeros((n + 1, n + 1)).at[:n, :n].set(a).at[:n, n].set(w)


def _steady_state(model: AbstractModel, steady: Steady, start: Any) -> tuple[Any, Any]:
    n = start.shape[0]
    one_hot = jnp.zeros(n).at[steady.compartment].set(1.0)
    matrices = jax.vmap(lambda rate: _matrix(model, one_hot * rate))(steady.rates)
    moves = expm(matrices * steady.lengths[:, None, None])
    dose = jnp.eye(n + 1).at[:n, n].set(steady.bolus * one_hot)
    total = moves[3] @ moves[2] @ dose @ moves[1] @ moves[0]
    y = jnp.linalg.solve(jnp.eye(n) - total[:n, :n], total[:n, n])
    return y, jnp.all(jnp.isfinite(y))


def _solve_one(p: Problem) -> Solution:
    line, _ = timeline(p, _steady_state)
    n, events = line.jump.shape[1], line.time.shape[0]
    samples = p.time.shape[0]
    # Events and samples as one sorted list of points; `after` counts the events before each point.
    time = jnp.concatenate([line.time, p.time])
    after = jnp.concatenate([jnp.arange(events), line.rank])
    is_event = jnp.arange(events + samples) < events
    by = jax.lax.stop_gradient(jnp.lexsort((time, is_event, after)))
    time, after = time[by], after[by]
    segments = jax.vmap(lambda s: jax.tree.map(lambda x: x[s], p.model))(line.segment[after])
    matrices = jax.vmap(_matrix)(segments, line.inputs[after])
    steps = jnp.diff(time, prepend=line.start)
    exponents = matrices * steps[:, None, None]
    moves = expm(exponents, PATIENTS)
    beyond = jnp.all(jnp.isfinite(exponents)) & jnp.any(too_large(exponents))
    pad = jnp.zeros((samples,))
    keep = jnp.concatenate([line.keep, pad + 1.0])[by]
    jump = jnp.concatenate([line.jump, jnp.zeros((samples, n))])[by]

    def walk(y: Any, point: Any) -> tuple[Any, Any]:
        move, keep, jump = point
        reached = product(move, jnp.append(y, 1.0)[:, None])[:n, 0]
        return keep * reached + jump, reached

    start = ravel(jax.tree.map(lambda x: x[0], p.model).initial())
    _, reached = jax.lax.scan(walk, start, (moves, keep, jump))
    where = jnp.zeros(events + samples, int).at[by].set(jnp.arange(events + samples))[events:]
    y = reached[where]
    return finish(p, line, y, steps=jnp.zeros((), int), code=jnp.where(beyond, TOO_STIFF, OK))


def finish(p: Problem, line: Any, y: Any, *, steps: Any, code: Any) -> Solution:
    """One patient's solution from the states at its sorted samples, `(samples, states)`; the caller's order is
    restored.
    """
    at = jax.vmap(lambda s: jax.tree.map(lambda x: x[s], p.model))(line.segment[line.rank])
    state = unravel(p.model, y)
    inputs = as_input(p.model, line.inputs[line.rank])
    output = jax.vmap(lambda m, t, y, u: m.output(t, y, u))(at, p.time, state, inputs)
    output = jax.tree.map(lambda x: jnp.broadcast_to(x, p.time.shape), output)
    code = jnp.maximum(line.code, code)
    bad = ~jnp.all(jnp.isfinite(y)) | ~jnp.all(jnp.stack([jnp.all(jnp.isfinite(o)) for o in jax.tree.leaves(output)]))
    code = jnp.where((code == OK) & bad, NOT_FINITE, code)
    time, output, state = (
        (p.time, output, state) if p.place is None else jax.tree.map(lambda x: x[p.place], (p.time, output, state))
    )
    return Solution(time, output, state if p.states else None, code, steps)
