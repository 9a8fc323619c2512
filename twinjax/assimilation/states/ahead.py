"""What comes of states and random effects that are believed, with the noise to come."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from twinjax.assimilation.bedside import posed
from twinjax.assimilation.history import History
from twinjax.assimilation.states.stretches import Course, Stretches
from twinjax.models.base import no_input
from twinjax.naming import leaves
from twinjax.solve.compiling import compiled
from twinjax.solve.flat import unravel

if TYPE_CHECKING:
    from twinjax.assimilation.twin import Twin


def ahead(
    twin: Twin, histories: Sequence[History], times: np.ndarray, draws: int, key: Any
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Outputs by name `(histories, draws, times)` from what the twin believes now, and codes `(histories, draws)`.

    **Raises** `ValueError` for a time before its latest measurement.
    """
    belief: Any = twin.belief
    method: Any = twin.method
    if np.any(times < twin.now):
        raise ValueError(f"a filter of states looks ahead only, from {twin.now:g}; {times.min():g} is past")
    by = np.argsort(times, kind="stable")
    problem, covariates = posed(twin.population, histories, np.broadcast_to(times[by], (len(histories), len(times))))
    since = float(np.asarray(belief.time)[0])
    start = (since, _last_order(twin.history, since)) if np.isfinite(since) else (twin.history.start, -np.inf)
    targets = [[(float(t), np.inf, k) for k, t in enumerate(times[by])]] * len(histories)
    line = Stretches.of(problem, [start] * len(histories), targets, method.noise.step)
    course = Course(twin.population, twin.backend, problem, covariates)
    state, eta = belief.both(jax.random.fold_in(key, 1), draws)
    begun = bool(np.isfinite(np.asarray(belief.time)[0]))
    variance = jnp.asarray(method.noise.variances(twin.population))
    outputs, code = _onward(course, line, state, eta, begun, variance, jax.random.fold_in(key, 2))
    row = np.asarray(line.row)[:, 0]
    at = np.flatnonzero(row >= 0)
    place = np.empty(len(times), int)
    place[by] = at
    return {n: np.asarray(v)[:, :, place] for n, v in outputs.items()}, np.asarray(code)


def _last_order(history: History, time: float) -> float:
    """The place of the latest measurement of a time among the records of that time."""
    m = history.subject().measurements
    return float(np.max(m.order[m.time == time], initial=-np.inf))


@compiled
def _onward(c: Course, line: Stretches, state: Any, eta: Any, begun: bool, variance: Any, key: Any) -> Any:
    many, patients = eta.shape[1], line.row.shape[1]
    state = state if begun else c.initial(jnp.broadcast_to(eta, (patients, *eta.shape[1:])))
    z = jnp.concatenate([jnp.broadcast_to(x, (patients, *x.shape[1:])) for x in (state, eta)], axis=2)

    def turn(carry: Any, w: Any) -> Any:
        (z, code), (stretch, key) = carry, w
        z, new = pushed(c, stretch, z, variance, key)
        return (z, jnp.maximum(code, new)), shown(c, stretch.end, z)

    keys = jax.random.split(key, line.row.shape[0])
    (_, code), outputs = jax.lax.scan(turn, (z, jnp.zeros((patients, many), int)), (line, keys))
    return {n: jnp.moveaxis(v, 0, -1) for n, v in outputs.items()}, code


def pushed(c: Course, stretch: Stretches, z: Any, variance: Any, key: Any) -> tuple[Any, Any]:
    """States and random effects `(patients, draws, both)` at the end of a stretch, kicked; and codes."""
    states = c.least.shape[0]
    state, code = c.onward(stretch, z[..., :states], z[..., states:])
    # the same kicks for every history of a patient, so that differences are those of the doses
    kick = jax.random.normal(key, z.shape[1:])
    z = jnp.concatenate([state, z[..., states:]], axis=2)
    z = z + jnp.sqrt(variance * (stretch.end - stretch.begin)[:, None, None]) * kick
    return z.at[..., :states].max(c.least), code


def shown(c: Course, time: Any, z: Any) -> dict[str, Any]:
    """Outputs by name `(patients, draws)` at states and random effects, at `time` `(patients,)`."""
    p, states = c.population, c.least.shape[0]

    def one(z: Any, time: Any, own: Any) -> dict[str, Any]:
        model = p.individual(p.theta, z[states:], own)
        return leaves(model.output(time, unravel(model, z[:states]), no_input(model)))

    own = {n: v[:, 0] for n, v in c.covariates.items()}
    return jax.vmap(lambda z, t, own: jax.vmap(lambda z: one(z, t, own))(z))(z, time, own)
