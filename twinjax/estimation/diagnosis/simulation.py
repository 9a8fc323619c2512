"""Simulated measurements of a trial's design, and simulated trials."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from twinjax.estimation.diagnosis.measuring import measured
from twinjax.estimation.likelihood import observations, select
from twinjax.estimation.prediction import Design
from twinjax.models.base import output_names
from twinjax.naming import resolve
from twinjax.observation import BELOW, QUANTIFIED, Measurements
from twinjax.population.cohort import covariate_table, individuals, subjects
from twinjax.population.population import Population
from twinjax.population.subject import Subject, TrialData
from twinjax.solve.problem import AbstractBackend
from twinjax.solve.simulate import choose, pose

_LANES = 4096
"""About how many patients are simulated at once where `chunk` is not given."""


def simulate_measurements(
    population: Population,
    trial: TrialData,
    *,
    replicates: int,
    seed: int,
    first: int = 0,
    chunk: int | None = None,
    backend: AbstractBackend | None = None,
) -> np.ndarray:
    """Measurements of new people of the same design: a trial's doses, times and covariates, new etas, classes of a
    mixture and residual errors.

    A draw depends on `seed`, the replicate's and subject's index and the measurement's place alone: not on
    `replicates`, `chunk` or the other subjects. Nothing is censored.

    **Parameters**: `first`, number of the first replicate; `chunk`, how many replicates are solved at once (memory,
    not results); `backend`, None for the automatic choice.
    **Returns** `(replicates, subjects, samples)`, padded with NaN; NaN too for a draw that could not be solved.
    """
    design = design_of(population, trial)
    return draw_measurements(
        population, design, range(first, first + replicates), seed, chunk, choose(design.problem, backend)
    )


def draw_measurements(
    population: Population, design: Design, replicates: range, seed: int, chunk: int | None, backend: AbstractBackend
) -> np.ndarray:
    """`simulate_measurements` of a design that is at hand."""
    chunk = min(len(replicates), chunk or max(1, _LANES // design.problem.patients))
    # numbers as arrays, so that another value of a parameter does not compile again
    population, root = jax.tree.map(lambda x: jnp.asarray(x, float), population), jax.random.key(seed)
    found = [_draw(population, backend, design, root, jnp.arange(at, at + chunk)) for at in replicates[::chunk]]
    return np.concatenate([np.asarray(f) for f in found])[: len(replicates)]


def simulate_trial(
    population: Population,
    trial: TrialData,
    seed: int,
    *,
    lloq: float | Mapping[str, float] | None = None,
    backend: AbstractBackend | None = None,
) -> TrialData:
    """A trial with every measurement replaced by a simulated one, as `simulate_measurements` draws replicate 0.

    **Parameters**: `trial`, the design, whose values may be NaN; `lloq`, limit of quantification (by output): what is
    simulated below it is recorded as `BELOW` it. Otherwise all are quantified.
    **Raises** `RuntimeError` naming the subjects whose simulation failed.
    """
    design = design_of(population, trial)
    values = draw_measurements(population, design, range(1), seed, 1, choose(design.problem, backend))[0]
    outputs = output_names(population.model)
    given = lloq if isinstance(lloq, Mapping) else {} if lloq is None else dict.fromkeys(outputs, lloq)
    limits = {resolve(n, outputs, "output"): v for n, v in given.items()}
    index = np.asarray(design.observed.output)
    bad = [s.id for i, s in enumerate(trial) if not np.all(np.isfinite(values[i, : len(s.measurements)]))]
    if bad:
        raise RuntimeError(f"{len(bad)} subjects could not be simulated: {', '.join(bad[:10])}")
    made = []
    for i, s in enumerate(trial):
        m, y = s.measurements, values[i, : len(s.measurements)]
        limit = np.asarray([limits.get(outputs[k], -np.inf) for k in index[i, : len(y)]], float)
        below = np.where(y < limit, BELOW, QUANTIFIED)
        new = Measurements(m.time, np.maximum(y, limit), m.output, censored=below, order=m.order)
        made.append(Subject(s.id, s.regimen, new, s.covariates, s.switch_time, s.switch_order))
    return TrialData(tuple(made), f"{trial.name}, simulated")


def design_of(population: Population, trial: TrialData) -> Design:
    """The trial's design, without its values: they do not matter here."""
    blank = tuple(eqx.tree_at(lambda s: s.measurements.value, s, np.full(len(s.measurements), np.nan)) for s in trial)
    observed = observations(population, TrialData(blank, trial.name))
    return Design(pose(subjects(population, trial)), observed, covariate_table(population, trial))


@eqx.filter_jit
def _draw(population: Population, backend: AbstractBackend, design: Design, root: Any, replicates: Any) -> Any:
    """Simulated measurements `(replicates, subjects, samples)`: the replicates are folded into the patient axis."""
    many, (people, samples), etas = replicates.shape[0], design.observed.there.shape, len(population.etas)
    chol = jnp.linalg.cholesky(population.omega(population.theta)) if etas else jnp.zeros((0, 0))

    def noise(replicate: Any, who: Any) -> tuple[Any, Any, Any]:
        key = jax.random.fold_in(jax.random.fold_in(root, replicate), who)
        drawn = jax.vmap(lambda k: jax.random.normal(jax.random.fold_in(key, k)))(jnp.arange(etas + samples))
        return chol @ drawn[:etas], drawn[etas:], jax.random.fold_in(key, 2**31 - 1)

    tiled = jax.tree.map(lambda a: jnp.tile(a, (many,) + (1,) * (a.ndim - 1)), design)
    eta, error, key = jax.vmap(noise)(jnp.repeat(replicates, people), jnp.tile(jnp.arange(people), many))
    mixture = population.mixture
    if mixture is not None:
        log_share = jnp.log(mixture.at(population.theta))
        kind = 1.0 + jax.vmap(lambda k: jax.random.categorical(jax.random.fold_in(k, 2**31 - 1), log_share))(key)
        own = jnp.broadcast_to(kind[:, None], tiled.covariates[mixture.covariate].shape)
        tiled = eqx.tree_at(lambda d: d.covariates[mixture.covariate], tiled, own)
    f, solved = _predict(population, backend, tiled, eta)
    outputs = output_names(population.model)
    y = jax.vmap(lambda e, *own: measured(population.errors(population.theta, e), outputs, *own))(
        eta, tiled.observed, f, error, key
    )
    return jnp.where(tiled.observed.there & solved[:, None], y, jnp.nan).reshape(many, people, samples)


def _predict(population: Population, backend: AbstractBackend, design: Design, eta: Any) -> tuple[Any, Any]:
    """Predictions of what is observed `(patients, samples)`, and whether each patient was solved."""
    model = individuals(population, population.theta, eta, design.covariates)
    segments = design.problem.segments
    model = jax.tree.map(lambda m: jnp.broadcast_to(m, (m.shape[0], segments)), model)
    solution = backend.solve(eqx.tree_at(lambda p: p.model, design.problem, model))
    return jax.vmap(select)(solution.output, design.observed), solution.result == 0


@eqx.filter_jit
def typical_predictions(population: Population, backend: AbstractBackend, design: Design) -> Any:
    """Predictions at eta = 0, `(subjects, samples)`."""
    return _predict(population, backend, design, jnp.zeros((design.problem.patients, len(population.etas))))[0]
