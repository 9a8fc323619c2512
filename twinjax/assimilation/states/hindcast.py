"""`hindcast`: every forecast that twins would have made along a history, so that they can be judged by what came."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from twinjax.assimilation.bedside import Bedside
from twinjax.assimilation.forecast import Forecast, noisy
from twinjax.assimilation.history import News
from twinjax.assimilation.states.ahead import pushed, shown
from twinjax.assimilation.states.belief import StateParticles
from twinjax.assimilation.states.kalman import StateEnsembleKalman, begun, ensemble_turn
from twinjax.assimilation.states.stretches import Course, Stretches
from twinjax.assimilation.states.walk import course, stretches
from twinjax.assimilation.twin import Twin, random_key
from twinjax.observation import Measurements
from twinjax.solve.compiling import compiled


def hindcast(
    twins: Sequence[Twin], news: Sequence[Measurements], horizon: float, *, every: int = 1, planned: bool = True,
    level: float = 0.9,
) -> list[Forecast]:  # fmt: skip
    """What each twin would have foreseen at its measurements, just learnt, of the time `horizon` later.

    **Parameters**: `twins`, of one population and `StateEnsembleKalman`, before these measurements; `news`, each one's,
    in whatever order; `horizon` in the model's time unit; `every` so many measurements, the first after so many, a
    forecast; `planned`, whether doses after the measurement were known by
    then, or only those that had begun; `level` of the bands.
    **Returns** a forecast of each twin, whose times are those of these measurements, by time, plus the horizon.
    **Raises** `ValueError` for another method, for news from before what a twin has learnt, and as `assimilate`.
    """
    first, method = twins[0], twins[0].method
    if not isinstance(method, StateEnsembleKalman):
        raise ValueError(f"hindcasts are made by StateEnsembleKalman and not by {method.name}; assimilate and forecast "
                         "measurement by measurement instead")  # fmt: skip
    if not 0 < horizon < np.inf:
        raise ValueError(f"horizon is {horizon:g}; give how far to look ahead, above zero")
    if every < 1:
        raise ValueError(f"a forecast every {every} measurements; give 1 for each, or more")
    for t, n in zip(twins, news, strict=True):
        if len(t.history.measurements) and np.any(n.time < t.history.last):
            raise ValueError(
                f"patient {t.id}: a measurement at {np.nanmin(n.time):g} is from before {t.history.last:g}, up to "
                "which the twin has learnt; begin with the twin as it was then"
            )
    joined = [t.history.joined(News(measurements=n)) for t, n in zip(twins, news, strict=True)]
    bedside = Bedside.of(first.population, first.backend, [h for h, _, _ in joined], [f for _, f, _ in joined])
    method.check(bedside)
    belief = jax.tree.map(lambda *x: jnp.concatenate(x), *[t.belief for t in twins])
    line = stretches(bedside, belief.time, method.noise.step)
    row = np.asarray(line.row)
    asked = (row >= 0) & (np.cumsum(row >= 0, axis=0) % every == 0)
    later = _later(bedside, line, asked, float(horizon), method.noise.step, planned)
    variance = method.noise.variances(first.population)
    kicked = tuple(np.flatnonzero(variance).tolist())
    key = random_key(first.seed, len(first.trail), "hindcast")
    c, o, ahead = course(bedside), bedside.design.observed, (later, jnp.asarray(asked))
    outputs, code = jax.device_get(_along(c, o, line, ahead, belief, jnp.asarray(variance), kicked, key))
    errors, made = first.population.errors(first.population.theta), []
    for i, (history, fresh, _) in enumerate(joined):
        at = np.flatnonzero(asked[:, i])
        time = history.measurements.time[fresh][every - 1 :: every] + horizon
        own = {n: np.where(code[at, i].T == 0, v[at, i].T, np.nan) for n, v in outputs.items()}
        measured = {n: noisy(errors, tuple(own), n, own[n], jax.random.fold_in(key, k)) for k, n in enumerate(errors)}
        made.append(Forecast(time, own, measured, level))
    return made


def _later(
    bedside: Bedside, line: Stretches, asked: np.ndarray, horizon: float, step: float, planned: bool
) -> Stretches:
    """From the end of every turn to the horizon, `(turns, pieces, patients, ...)`; of no length where none is asked
    for.
    """
    problem, made = bedside.design.problem, []
    end, order = np.asarray(line.end), np.asarray(line.order)
    time, place = np.asarray(problem.doses.time), np.asarray(problem.doses.order)
    for k in range(len(asked)):
        own = problem
        if not planned:
            now, last = end[k][:, None], order[k][:, None]
            begun = (time < now) | ((time == now) & (place <= last))
            amount = jnp.where(jnp.asarray(begun), problem.doses.amount, 0.0)
            own = eqx.tree_at(lambda p: p.doses.amount, problem, amount)
        targets = [[(t + horizon * a, np.inf, 0)] for t, a in zip(end[k].tolist(), asked[k].tolist(), strict=True)]
        starts = list(zip(end[k].tolist(), order[k].tolist(), strict=True))
        made.append(Stretches.of(own, starts, targets, step))
    shapes = [max(m.row.shape[0] for m in made), max(m.doses.given.shape[2] for m in made)]
    return jax.tree.map(lambda *x: jnp.stack([_wide(a, *shapes) for a in x]), *made)


def _wide(a: Any, pieces: int, few: int) -> Any:
    """Of one turn, as many pieces and doses as any has; those added begin and end where the last one ends."""
    a = np.asarray(a)
    a = np.concatenate([a, np.repeat(a[-1:], pieces - a.shape[0], axis=0)])
    return np.pad(a, [(0, 0), (0, 0), (0, few - a.shape[2])]) if a.ndim == 3 else a


@compiled
def _along(
    c: Course, o: Any, line: Stretches, later: tuple[Stretches, Any], belief: StateParticles, variance: Any,
    kicked: tuple[int, ...], key: Any,
) -> tuple[dict[str, Any], Any]:  # fmt: skip
    def piece(carry: Any, w: Any) -> Any:
        (z, code), (stretch, key) = carry, w
        z, new = pushed(c, stretch, z, variance, key)
        return (z, jnp.maximum(code, new)), None

    def turn(z: Any, w: Any) -> Any:
        stretch, (after, asked), key = w
        first, second = jax.random.split(key)
        live = jnp.any(stretch.row >= 0) | jnp.any(stretch.end > stretch.begin)  # others are padding
        z = jax.lax.cond(live, lambda z: ensemble_turn(c, o, stretch, z, variance, kicked, first)[0], lambda z: z, z)
        code = jnp.zeros(z.shape[:2], int)
        keys = jax.random.split(second, after.row.shape[0])

        def foresee(z: Any, code: Any) -> Any:
            (foreseen, code), _ = jax.lax.scan(piece, (z, code), (after, keys))
            return shown(c, after.end[-1], foreseen), code

        def pass_by(z: Any, code: Any) -> Any:
            nothing = jax.eval_shape(lambda z: shown(c, stretch.end, z), z)
            return jax.tree.map(lambda n: jnp.zeros(n.shape, n.dtype), nothing), code

        return z, jax.lax.cond(jnp.any(asked), foresee, pass_by, z, code)

    keys = jax.random.split(key, line.row.shape[0])
    _, (outputs, code) = jax.lax.scan(turn, begun(c, belief), (line, later, keys))
    return outputs, code
