"""What each new measurement says of the twin: how far it was from what was expected, before it was learnt."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import scipy.stats
from jax.scipy.special import logsumexp

from twinjax.assimilation.bedside import Bedside
from twinjax.estimation.contributions import cumulative, spread
from twinjax.estimation.likelihood import terms
from twinjax.estimation.moments import moments, transformed
from twinjax.estimation.observed import Observations
from twinjax.models.base import output_names
from twinjax.observation import QUANTIFIED, Errors
from twinjax.solve.compiling import compiled

_AT_ONCE = 8192
"""Draws of all patients that are looked at together."""


class Innovations(eqx.Module):
    """Of several patients' new measurements, `(patients, rows)`; NaN where a row is none.

    **Parameters**: `expected` and `sd`, mean and standard deviation of what the twin foresaw, residual error included,
    on the scale of the residual error; `z`, how many of these the measurement was off; `quantile`, where it fell in
    what was foreseen, uniform where the twin is right (NaN for censored values and likelihoods); `log_density`
    `(patients,)`, of all new measurements together given those before, without N log(2 pi) / 2: differences between
    models of the same data are log Bayes factors.
    """

    expected: Any
    sd: Any
    z: Any
    quantile: Any
    log_density: Any


@compiled
def innovations(bedside: Bedside, eta: Any, log_weight: Any) -> Innovations:
    """Of the fresh measurements, by draws `eta` `(patients, draws, etas)` of the belief before them.

    Patients are taken some at a time: what their draws need stays in a processor's cache, and memory does not grow with
    the number of patients.
    """
    patients, many, _ = eta.shape
    some = max(1, _AT_ONCE // many)
    if patients <= some:
        return _innovations(bedside, eta, log_weight)
    turns = -(-patients // some)
    at = jnp.minimum(jnp.arange(turns * some), patients - 1).reshape(turns, some)

    def turn(at: Any) -> Innovations:
        design, fresh, *own = jax.tree.map(lambda a: a[at], (bedside.design, bedside.fresh, eta, log_weight))
        return _innovations(Bedside(bedside.predictor, design, bedside.x, fresh), *own)

    found = jax.lax.map(turn, at)
    return jax.tree.map(lambda a: a.reshape(turns * some, *a.shape[2:])[:patients], found)


def _innovations(bedside: Bedside, eta: Any, log_weight: Any) -> Innovations:
    patients, many, etas = eta.shape
    people = bedside.times(many)
    outputs, p = output_names(bedside.population.model), bedside.population
    theta = people.predictor.transform.unpack(bedside.x, p.theta)
    z = people.predictor.every(bedside.x, eta.reshape(-1, etas), people.design)
    f, code = people.predictor.solve(z, bedside.x, people.design)
    old, all_ = people.seen(~people.fresh).observed, people.design.observed

    def one(eta: Any, f: Any, code: Any, o: Any, before: Any, fresh: Any) -> tuple[Any, ...]:
        errors = p.errors(theta, eta)
        m = moments(errors, outputs, o, f)
        y = transformed(errors, outputs, o, jnp.where(o.there, o.value, 1.0))
        sd = jnp.sqrt(m.variance)
        each = terms(errors, outputs, o, f).objective
        if errors.correlated:  # then a row of its own says nothing
            new = jnp.sum(each) - jnp.sum(terms(errors, outputs, before, f).objective)
        else:
            new = jnp.sum(jnp.where(fresh, each, 0.0))
        fine = (code == 0) & jnp.isfinite(new)
        wide = m.variance * spread(errors, outputs, o)
        return m.mean, wide, (y - m.mean) / sd, jnp.where(fine, -0.5 * new, -jnp.inf), fine, y

    mean, variance, off, new, fine, y = jax.vmap(one)(eta.reshape(-1, etas), f, code, all_, old, people.fresh)
    below = _below(p.errors(theta), outputs, all_, off, people.fresh)
    mean, variance, below, y = (a.reshape(patients, many, -1) for a in (mean, variance, below, y))
    fine = fine.reshape(patients, many)
    log_weight = jnp.where(fine, log_weight, -jnp.inf)
    weight = jax.nn.softmax(log_weight, axis=1)[:, :, None]
    mean, variance, below = (jnp.where(fine[:, :, None], a, 0.0) for a in (mean, variance, below))
    expected = jnp.sum(weight * mean, axis=1)
    sd = jnp.sqrt(jnp.sum(weight * (variance + jnp.square(mean - expected[:, None, :])), axis=1))
    o = bedside.design.observed
    normal = jnp.isin(o.output, jnp.asarray([outputs.index(n) for n in p.errors(theta).residuals], int))
    there = bedside.fresh & normal
    known = there & (o.censored == QUANTIFIED)
    log_density = logsumexp(log_weight + new.reshape(patients, many), axis=1) - logsumexp(log_weight, axis=1)
    return Innovations(
        jnp.where(there, expected, jnp.nan), jnp.where(there, sd, jnp.nan),
        jnp.where(known, (y[:, 0] - expected) / sd, jnp.nan),
        jnp.where(known, jnp.sum(weight * below, axis=1), jnp.nan), log_density,
    )  # fmt: skip


def _below(errors: Errors, outputs: tuple[str, ...], o: Observations, off: Any, fresh: Any) -> Any:
    """The probability of a smaller standardised residual than `off` `(cases, rows)`; in rows that are fresh for none of
    these cases it is not needed, and costs more than all else.
    """

    def row(k: Any) -> Any:
        own = jax.tree.map(lambda a: a[:, k, None], dataclasses.replace(o, row=None, reads=None))

        def needed(z: Any) -> Any:
            return jax.vmap(lambda o, z: cumulative(errors, outputs, o, z))(own, z)

        return jax.lax.cond(jnp.any(fresh[:, k]), needed, jnp.zeros_like, off[:, k, None])

    return jax.lax.map(row, jnp.arange(off.shape[1]))[:, :, 0].T


def calibration(
    quantiles: Sequence[float] | np.ndarray, levels: Sequence[float] = (0.5, 0.8, 0.9, 0.95)
) -> pd.DataFrame:
    """How often central bands held what came, against how often they say they do.

    **Parameters**: `quantiles`, those of innovations, of one patient or many (NaN are left out).
    **Returns** a row for each level: band, covered, lower and upper of the exact 95 % interval of what share is covered
    (Clopper & Pearson), measurements, and p of a Kolmogorov-Smirnov test that quantiles are uniform (the same in every
    row).
    **Reference**: Dawid 1984, J R Stat Soc A 147:278, doi:10.2307/2981683.
    """
    q = np.asarray(quantiles, float)
    q = q[np.isfinite(q)]
    if not len(q):
        raise ValueError("there are no quantiles of quantified measurements to judge by")
    p = float(scipy.stats.kstest(q, "uniform").pvalue)
    rows = []
    for level in levels:
        inside = int(np.sum(np.abs(q - 0.5) <= level / 2))
        interval = scipy.stats.binomtest(inside, len(q)).proportion_ci()
        rows.append({"band": level, "covered": inside / len(q), "lower": interval.low, "upper": interval.high,
                     "measurements": len(q), "p": p})  # fmt: skip
    return pd.DataFrame(rows)
