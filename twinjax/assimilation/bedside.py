"""Patients' histories as the arrays that estimators work on, padded so that one more measurement compiles nothing."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from twinjax.assimilation.columns import columns
from twinjax.assimilation.history import History
from twinjax.estimation.likelihood import Observations, observations
from twinjax.estimation.prediction import Design, Predictor
from twinjax.estimation.transform import Transform
from twinjax.models.base import output_names
from twinjax.observation import Measurements
from twinjax.population.cohort import covariate_table, sampling
from twinjax.population.population import Population
from twinjax.population.subject import Subject, TrialData
from twinjax.solve.building import build
from twinjax.solve.compiling import compiled
from twinjax.solve.problem import AbstractBackend, Problem

_LEAST = 8
"""The fewest rows that are set aside for measurements and for doses."""


class Bedside(eqx.Module):
    """Several patients of one population as arrays.

    **Parameters**: `predictor`; `design`, whose first row is no measurement but where every history begins; `x`, the
    population's parameters as a vector; `fresh` `(patients, rows)`, which measurements are new.
    """

    predictor: Predictor
    design: Design
    x: Any
    fresh: Any

    @staticmethod
    def of(
        population: Population, backend: AbstractBackend, histories: Sequence[History], fresh: Sequence[np.ndarray]
    ) -> Bedside:
        """Of these patients, every measurement marked as new or not.

        **Raises** `ValueError` for a measurement that the population has no residual error or likelihood for, or that
        these cannot have; a covariate that is missing.
        """
        rows = bucket(1 + max(len(h.measurements) for h in histories))
        transform = Transform.of(population)
        doses = bucket(max(len(h.doses) for h in histories))
        problem, observed, covariates = columns(population, histories, rows, doses) or _one_by_one(
            population, histories, rows
        )
        new = np.zeros(observed.there.shape, bool)
        for i, own in enumerate(fresh):
            new[i, 1 : 1 + len(own)] = own
        design = Design(problem, observed, covariates)
        x = _packed(transform, population.theta)
        return Bedside(Predictor.of(population, transform, backend, design, known=True), design, x, jnp.asarray(new))

    @property
    def population(self) -> Population:
        """The population that they are of."""
        return self.predictor.population

    def times(self, many: int) -> Bedside:
        """Every patient so many times, one after another along the leading axis."""
        design, fresh = jax.tree.map(lambda a: jnp.repeat(a, many, axis=0), (self.design, self.fresh))
        return Bedside(self.predictor, design, self.x, fresh)

    def seen(self, rows: Any) -> Design:
        """The design with only these measurements `(patients, rows)`."""
        return eqx.tree_at(lambda d: d.observed.there, self.design, self.design.observed.there & rows)


def _one_by_one(
    population: Population, histories: Sequence[History], rows: int
) -> tuple[Problem, Observations, dict[str, Any]]:
    """As `columns`, of whatever a history may have."""
    trial = TrialData(tuple(_filled(population, h, rows) for h in histories), "patients")
    observed = observations(population, trial)
    there = np.zeros(observed.there.shape, bool)
    for i, h in enumerate(histories):
        there[i, 1 : 1 + len(h.measurements)] = True
    observed = eqx.tree_at(lambda o: o.there, observed, jnp.asarray(there))
    problem, covariates = _problem(population, trial, rows)
    return problem, observed, covariates


@compiled
def _packed(transform: Transform, theta: Any) -> Any:
    return transform.pack(theta)


def posed(population: Population, histories: Sequence[History], times: np.ndarray) -> tuple[Problem, dict[str, Any]]:
    """What to solve for predictions at `times` `(patients, samples)`, and covariates `(patients, segments)` by name.

    A first sample, where the history begins, and samples of padding come besides.
    """
    output = output_names(population.model)[0]
    made = []
    for h, at in zip(histories, times, strict=True):
        own = np.concatenate([[h.start], np.asarray(at, float)])
        if np.any(own < h.start):
            raise ValueError(f"patient {h.id}: what is asked for is before {h.start:g}, where the history begins")
        made.append(_measured(h.subject(), Measurements.of(own, np.zeros(len(own)), output)))
    return _problem(population, TrialData(tuple(made), "patients"), bucket(1 + times.shape[1]))


def _problem(population: Population, trial: TrialData, rows: int) -> tuple[Problem, dict[str, Any]]:
    """What is to be solved at a trial's measurements, parameters to be filled in; everything padded."""
    segments = max(s.segments for s in trial)
    segments = segments if segments == 1 else bucket(segments, 2)
    timing: dict[str, Any] = {n: np.asarray(v) for n, v in sampling(trial).items()}
    lengths = {"time": rows, "order": rows, "switch_time": segments - 1, "switch_order": segments - 1}
    for name, own in timing.items():
        last = own[:, -1:] if name == "time" else np.full((len(own), 1), np.inf)
        timing[name] = np.concatenate([own, np.repeat(last, max(0, lengths[name] - own.shape[1]), axis=1)], axis=1)
    problem = build(population.model, tuple(s.regimen for s in trial), **timing)
    jumps = problem.jumps.given.shape[1]
    problem = dataclasses.replace(
        problem,
        doses=_padded(problem.doses, bucket(problem.doses.given.shape[1])),
        jumps=_padded(problem.jumps, bucket(jumps, 1)) if jumps else problem.jumps,
    )
    return problem, {n: _edge(v, segments) for n, v in covariate_table(population, trial).items()}


def _filled(population: Population, history: History, rows: int) -> Subject:
    """With rows that are no measurements: one where the history begins, and after the last as many as make `rows`.

    **Raises** `ValueError` where the population has no output for them, of independent residuals.
    """
    errors = population.errors(population.theta)
    free = [n for n in errors.residuals if n not in errors.correlated]
    if not free:
        raise ValueError("a twin needs an output with a residual error that is not correlated with others'; the "
                         "population has none")  # fmt: skip
    s = history.subject()
    m, left = s.measurements, rows - 1 - len(s.measurements)
    last = float(m.time[-1]) if len(m) else history.start

    def column(first: float, values: np.ndarray, after: float) -> np.ndarray:
        return np.concatenate([[first], values, np.full(left, after)])

    output = (free[0], *m.output, *(free[0],) * left)
    return _measured(s, Measurements(
        column(history.start, m.time, last), column(1.0, m.value, 1.0), output, column(0, m.censored, 0),
        column(-np.inf, m.limit, -np.inf), column(-1.0, m.order, np.inf),
    ))  # fmt: skip


def _measured(s: Subject, m: Measurements) -> Subject:
    return Subject(s.id, s.regimen, m, s.covariates, s.switch_time, s.switch_order)


def bucket(count: int, least: int = _LEAST) -> int:
    """Room for so many: a power of two."""
    room = least
    while room < count:
        room *= 2
    return room


def _padded(tree: Any, rows: int) -> Any:
    """Arrays `(patients, few, ...)` as `(patients, rows, ...)`, zeros at the end."""

    def one(a: Any) -> Any:
        a = np.asarray(a)
        return jnp.asarray(np.pad(a, [(0, 0), (0, rows - a.shape[1])] + [(0, 0)] * (a.ndim - 2)))

    return jax.tree.map(one, tree)


def _edge(values: Any, segments: int) -> Any:
    own = np.asarray(values)
    return jnp.asarray(np.pad(own, ((0, 0), (0, segments - own.shape[1])), mode="edge"))
