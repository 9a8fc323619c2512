"""What every filter of states does at a turn: go on to where something is measured, and read the model there."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import logsumexp, ndtr

from twinjax.assimilation.bedside import Bedside
from twinjax.assimilation.innovation import Innovations
from twinjax.assimilation.states.stretches import Course, Stretches, Target
from twinjax.estimation.contributions import cumulative, spread
from twinjax.estimation.likelihood import terms
from twinjax.estimation.moments import moments, transformed
from twinjax.estimation.observed import Observations, select
from twinjax.models.base import no_input, output_names
from twinjax.observation import QUANTIFIED, Errors
from twinjax.solve.flat import unravel
from twinjax.solve.problem import Problem


def course(bedside: Bedside) -> Course:
    """Of the patients at the bedside."""
    return Course(bedside.population, bedside.predictor.backend, bedside.design.problem, bedside.design.covariates)


def starts(problem: Problem, time: np.ndarray, known: np.ndarray) -> list[tuple[float, float]]:
    """Where each patient is: at `time` `(patients,)`, after all rows that are `known`; before anything, where its
    history begins.
    """
    at, order = np.asarray(problem.time), np.asarray(problem.order)
    found = []
    for i, t in enumerate(np.asarray(time).tolist()):
        if not math.isfinite(t):
            found.append((float(at[i, 0]), -math.inf))
            continue
        own = order[i][known[i] & (at[i] == t)]
        found.append((t, float(own.max()) if len(own) else -math.inf))
    return found


def stretches(bedside: Bedside, time: Any, step: float) -> Stretches:
    """From what is known to every fresh measurement in turn."""
    problem, fresh = bedside.design.problem, np.asarray(bedside.fresh)
    assert problem.place is None  # histories come sorted
    known = np.asarray(bedside.design.observed.there) & ~fresh
    at, order = np.asarray(problem.time), np.asarray(problem.order)
    targets: list[list[Target]] = [
        [(float(at[i, r]), float(order[i, r]), int(r)) for r in np.flatnonzero(own)] for i, own in enumerate(fresh)
    ]
    return Stretches.of(problem, starts(problem, np.asarray(time), known), targets, step)


class Reading(eqx.Module):
    """What the model says of one measurement: mean and variance of what would be measured, what was (all transformed as
    the residual error is), how probable a smaller one is, and -2 log of its density.
    """

    mean: Any
    variance: Any
    value: Any
    below: Any
    objective: Any


def read(course: Course, o: Observations, own: dict[str, Any], time: Any, state: Any, eta: Any) -> Reading:
    """Of one patient at one state `(states,)` and random effects `(etas,)`; `o` holds that row alone."""
    p = course.population
    outputs, errors = output_names(p.model), p.errors(p.theta)
    model = p.individual(p.theta, eta, own)
    shown = model.output(time, unravel(model, state), no_input(model))
    f = select(jax.tree.map(lambda v: jnp.reshape(v, (1,)), shown), o)
    m = moments(errors, outputs, o, f)
    y = transformed(errors, outputs, o, jnp.where(o.there, o.value, 1.0))
    variance = m.variance * spread(errors, outputs, o)
    below = cumulative(errors, outputs, o, (y - m.mean) / jnp.sqrt(m.variance))
    return Reading(m.mean[0], variance[0], y[0], below[0], terms(errors, outputs, o, f).objective[0])


def row_of(o: Observations, row: Any) -> Observations:
    """One row of one patient's observations."""
    one = jax.tree.map(lambda a: jnp.take(a, jnp.maximum(row, 0), axis=0)[None], o)
    return dataclasses.replace(one, row=None, reads=None)


def told(log_weight: Any, r: Reading, solved: Any) -> tuple[Any, ...]:
    """Expected value, standard deviation, z, quantile and log density of one measurement, by those parts of a mixture
    `(parts,)` that are `solved`; NaN where none is.
    """
    log_weight = jnp.where(solved, log_weight, -jnp.inf)
    log_weight = log_weight - logsumexp(log_weight)
    weight, value = jnp.exp(log_weight), r.value[0]
    mean, variance, below = (jnp.where(solved, a, 0.0) for a in (r.mean, r.variance, r.below))
    expected = jnp.sum(weight * mean)
    sd = jnp.sqrt(jnp.sum(weight * (variance + jnp.square(mean - expected))))
    return expected, sd, (value - expected) / sd, jnp.sum(weight * below), logsumexp(log_weight - 0.5 * r.objective)


def told_normal(mean: Any, variance: Any, value: Any) -> tuple[Any, ...]:
    """The same by one normal distribution."""
    sd = jnp.sqrt(variance)
    z = (value - mean) / sd
    return mean, sd, z, ndtr(z), -0.5 * ((value - mean) ** 2 / variance + jnp.log(variance))


def innovations_of(bedside: Bedside, line: Stretches, found: tuple[Any, ...]) -> Innovations:
    """Those of every turn, `(turns, patients)` each, at their rows."""
    p, o = bedside.population, bedside.design.observed
    outputs, errors = output_names(p.model), p.errors(p.theta)
    row, fresh = np.asarray(line.row), np.asarray(bedside.fresh)
    residual = np.isin(np.asarray(o.output), [outputs.index(n) for n in errors.residuals])
    known = residual & (np.asarray(o.censored) == QUANTIFIED)
    turn, who = np.nonzero(row >= 0)
    made = []
    for values, said in zip(found[:4], (residual, residual, known, known), strict=True):
        table = np.full(fresh.shape, np.nan)
        table[who, row[turn, who]] = np.asarray(values)[turn, who]
        made.append(np.where(said, table, np.nan))
    density = np.where(row >= 0, np.asarray(found[4]), 0.0).sum(axis=0)
    return Innovations(*made, log_density=density)


def refused(errors: Errors, name: str) -> None:
    """**Raises** `ValueError` for measurements that depend on others'."""
    if errors.correlated or any(e.reads for e in errors.likelihoods.values()):
        raise ValueError(f"{name} learns measurements one by one, and these depend on each other; use MAP() or "
                         "ParticleFilter()")  # fmt: skip
