"""What measurements contribute to a likelihood that are not simply normal: censored ones, those known to be positive,
those with heavy tails, those with correlated residuals, and those with a likelihood of their own.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.scipy.special import log_ndtr

from twinjax.estimation.moments import Moments, transformed
from twinjax.estimation.observed import Observations
from twinjax.observation import ABOVE, BELOW, AbstractTailed, Errors


def beyond(errors: Errors, outputs: tuple[str, ...], o: Observations, m: Moments) -> tuple[Any, Any]:
    """Log probability of the censoring interval, and the curvature of its negative in the prediction, `(rows,)`."""
    bound = transformed(errors, outputs, o, jnp.where(o.there, o.value, 1.0))
    limit = jnp.where(_in(errors.above_zero, outputs, o), jnp.maximum(o.limit, 0.0), o.limit)
    finite = jnp.isfinite(limit)
    other = jnp.where(finite, transformed(errors, outputs, o, jnp.where(finite, limit, 1.0)), -jnp.inf)
    sd = jnp.sqrt(m.variance)
    sign = jnp.where(o.censored == ABOVE, -1.0, 1.0)
    z = sign * (bound - m.mean) / sd
    bounded = (o.censored == BELOW) & jnp.isfinite(other)
    low = jnp.where(bounded, (jnp.where(bounded, other, 0.0) - m.mean) / sd, z - 1.0)
    law = _Standard(errors, outputs, o)
    between = _log_difference(law, z, low)
    below = law.log_cumulative(z)
    log_p = jnp.where(bounded, between, below)
    z_slope = -sign * m.slope / sd - 0.5 * z * m.variance_slope / m.variance
    low_slope = -m.slope / sd - 0.5 * low * m.variance_slope / m.variance
    hazard = jnp.exp(law.log_density(z) - below)
    one_sided = jnp.square(z_slope) * hazard * (hazard + law.score(z))
    upper, lower = (jnp.exp(law.log_density(x) - jnp.where(bounded, between, 0.0)) for x in (z, low))
    slope = upper * z_slope - lower * low_slope
    two_sided = (
        jnp.square(slope) + law.score(z) * upper * jnp.square(z_slope) - law.score(low) * lower * jnp.square(low_slope)
    )
    return log_p, jnp.maximum(jnp.where(bounded, two_sided, one_sided), 0.0)


def above_zero(errors: Errors, outputs: tuple[str, ...], o: Observations, m: Moments) -> tuple[Any, Any]:
    """Log probability that a measurement is above zero where that is known (M4), else 0, and the curvature of its
    negative in the prediction; `(rows,)`.
    """
    known = _in(errors.above_zero, outputs, o)
    zero = transformed(errors, outputs, o, jnp.zeros(m.mean.shape))
    sd = jnp.sqrt(m.variance)
    z = (m.mean - zero) / sd
    hazard = jnp.exp(_log_normal(z) - log_ndtr(z))
    slope = m.slope / sd - 0.5 * z * m.variance_slope / m.variance
    return jnp.where(known, log_ndtr(z), 0.0), jnp.where(known, jnp.square(slope) * hazard * (hazard + z), 0.0)


def of_likelihoods(
    errors: Errors, outputs: tuple[str, ...], o: Observations, f: Any, objective: Any, information: Any
) -> tuple[Any, Any]:
    """`objective` and `information` `(rows,)` with those of the outputs that have a likelihood of their own."""
    for name, likelihood in errors.likelihoods.items():
        mine = o.there & (o.output == outputs.index(name))
        # elsewhere the likelihood sees one of its own records, so that its derivatives are numbers there too
        at = jnp.where(mine, jnp.arange(mine.shape[0]), jnp.argmax(mine))
        some = jnp.any(mine)
        predictions = [jnp.where(some, f[at], 0.5)]
        for k in range(len(likelihood.reads)):
            read = o.reads[at, k]
            predictions.append(jnp.where(read >= 0, f[jnp.maximum(read, 0)], 0.0))
        y = jnp.where(some, o.value[at], 1.0)
        log_p = jax.vmap(likelihood.log_density)(y, *predictions)
        known = jax.vmap(likelihood.information)(y, *predictions)
        objective = jnp.where(mine, -2.0 * log_p, objective)
        information = jnp.where(mine, known[0], information)
        for k, own in enumerate(known[1:]):
            read = o.reads[at, k]
            information = information.at[jnp.maximum(read, 0)].add(jnp.where(mine & (read >= 0), own, 0.0))
    return objective, information


def correlation(errors: Errors, outputs: tuple[str, ...], o: Observations) -> Any:
    """Correlation of one subject's residuals, `(rows, rows)`.

    Of two outputs measured at the same time, as given; of one output at times t and s, ``r ** |t - s|``.
    """
    rows = o.there.shape[0]
    total = jnp.eye(rows)
    there = o.there[:, None] & o.there[None, :] & ~jnp.eye(rows, dtype=bool)
    for (a, b), r in errors.correlations.items():
        is_a, is_b = (o.output == outputs.index(n) for n in (a, b))
        pair = is_a[:, None] & is_b[None, :]
        pair = (pair | pair.T) & there & (o.group[:, None] == o.group[None, :])
        total = jnp.where(pair, r, total)
    for name, r in errors.autocorrelation.items():
        mine = o.output == outputs.index(name)
        pair = mine[:, None] & mine[None, :] & there
        apart = jnp.where(pair, jnp.abs(o.time[:, None] - o.time[None, :]), 1.0)
        total = jnp.where(pair, r**apart, total)
    return total


def residual_covariance(errors: Errors, outputs: tuple[str, ...], o: Observations, variance: Any) -> Any:
    """Covariance of one subject's residuals, `(rows, rows)`, from their variances."""
    if not errors.correlated:
        return jnp.diag(variance)
    sd = jnp.sqrt(variance)
    return correlation(errors, outputs, o) * sd[:, None] * sd[None, :]


def jointly(
    errors: Errors, outputs: tuple[str, ...], o: Observations, value: Any, m: Moments, objective: Any, information: Any
) -> tuple[Any, Any]:
    """`objective` `(rows,)` and `information` `(rows, rows)` where residuals are correlated.

    With V = D R D, D the standard deviations, R the correlation and a = D' / D: the expected information about the
    predictions is ``f' V^-1 f' + a (1 + V * V^-1) a``, products by element.
    """
    mine = o.there & _in(errors.correlated, outputs, o)
    v = residual_covariance(errors, outputs, o, jnp.where(mine, m.variance, 1.0))
    low = jnp.linalg.cholesky(v)  # as wide as a subject has samples
    half = jax.scipy.linalg.solve_triangular(low, jnp.where(mine, value - m.mean, 0.0), lower=True)
    part = jnp.square(half) + 2.0 * jnp.log(jnp.diagonal(low))
    inverse = jax.scipy.linalg.cho_solve((low, True), jnp.eye(v.shape[0]))
    slope = jnp.where(mine, m.slope, 0.0)
    relative = jnp.where(mine, 0.5 * m.variance_slope / m.variance, 0.0)
    joint = inverse * slope[:, None] * slope[None, :]
    joint = joint + (jnp.eye(v.shape[0]) + v * inverse) * relative[:, None] * relative[None, :]
    return jnp.where(mine, part, objective), joint + jnp.diag(jnp.where(mine, 0.0, information))


def _in(names: frozenset[str], outputs: tuple[str, ...], o: Observations) -> Any:
    """Which rows are of one of the named outputs."""
    if not names:
        return jnp.zeros(o.output.shape, bool)
    return jnp.isin(o.output, jnp.asarray([outputs.index(n) for n in sorted(names)], int))


def with_tails(
    errors: Errors, outputs: tuple[str, ...], o: Observations, value: Any, m: Moments, objective: Any, information: Any
) -> tuple[Any, Any]:
    """`objective` and `information` `(rows,)` with those of the outputs whose residuals are not normal."""
    z = (value - m.mean) / jnp.sqrt(m.variance)
    for name, error in errors.tailed.items():
        mine = o.output == outputs.index(name)
        place, scale = error.information
        own = -2.0 * error.log_density(z) - _LOG_2PI + jnp.log(m.variance)
        known = place * jnp.square(m.slope) / m.variance + scale * jnp.square(m.variance_slope / m.variance)
        objective, information = jnp.where(mine, own, objective), jnp.where(mine, known, information)
    return objective, information


_LOG_2PI = math.log(2.0 * math.pi)


@dataclasses.dataclass(frozen=True)
class _Standard:
    """The law of every row's standardised residual: normal, or that of its output's error."""

    errors: Errors
    outputs: tuple[str, ...]
    o: Observations

    def _chosen(self, normal: Any, of: Callable[[AbstractTailed], Any]) -> Any:
        for name, error in self.errors.tailed.items():
            normal = jnp.where(self.o.output == self.outputs.index(name), of(error), normal)
        return normal

    def log_density(self, z: Any) -> Any:
        return self._chosen(-0.5 * z * z - 0.5 * _LOG_2PI, lambda e: e.log_density(z))

    def log_cumulative(self, z: Any) -> Any:
        return self._chosen(log_ndtr(z), lambda e: e.log_cumulative(z))

    def score(self, z: Any) -> Any:
        return self._chosen(z, lambda e: e.score(z))


def cumulative(errors: Errors, outputs: tuple[str, ...], o: Observations, z: Any) -> Any:
    """The probability of a smaller standardised residual, `(rows,)`."""
    return jnp.exp(_Standard(errors, outputs, o).log_cumulative(z))


def spread(errors: Errors, outputs: tuple[str, ...], o: Observations) -> Any:
    """The variance of standardised residuals, `(rows,)`: one where they are normal."""
    found = jnp.ones(o.output.shape)
    for name, error in errors.tailed.items():
        found = jnp.where(o.output == outputs.index(name), error.spread, found)
    return found


def _log_normal(z: Any) -> Any:
    return -0.5 * z * z - 0.5 * _LOG_2PI


def _log_difference(law: _Standard, upper: Any, lower: Any) -> Any:
    """log(F(upper) - F(lower)) for lower < upper of a symmetric law, without cancellation."""
    flip = lower > 0  # in the upper tail, by symmetry
    a, b = jnp.where(flip, -lower, upper), jnp.where(flip, -upper, lower)
    log_a, log_b = law.log_cumulative(a), law.log_cumulative(b)
    return log_a + jnp.log1p(-jnp.exp(jnp.minimum(log_b - log_a, -1e-12)))
