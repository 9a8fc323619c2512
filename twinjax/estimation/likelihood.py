"""The likelihood of measurements, given predictions. Objective functions are in NONMEM's convention: -2 log L without
N log(2 pi).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import equinox as eqx
import jax.numpy as jnp

from twinjax.estimation.contributions import above_zero, beyond, jointly, of_likelihoods, with_tails
from twinjax.estimation.moments import Moments, moments, transformed
from twinjax.estimation.observed import Observations, observations, select
from twinjax.estimation.small import inverse, log_determinant
from twinjax.observation import QUANTIFIED, Errors

__all__ = [
    "Moments", "Observations", "Terms", "moments", "observations", "penalty", "select", "terms", "transformed",
]  # fmt: skip


class Terms(eqx.Module):
    """One subject's data term and what estimators need of it.

    **Parameters**: `objective` `(rows,)`, parts whose sum is -2 log L (of each measurement, where independent);
    `information`, the curvature of half of it in the predictions: the expected information for a quantified value (mean
    and, with interaction, variance), the curvature for a censored one. `(rows,)`, or `(rows, rows)` where residuals
    are correlated.
    """

    objective: Any
    information: Any

    def curvature(self, slope: Any) -> Any:
        """The same in numbers that predictions depend on by `slope` `(rows, numbers)`; `(numbers, numbers)`."""
        weighted = self.information[:, None] * slope if self.information.ndim == 1 else self.information @ slope
        return slope.T @ weighted


def terms(
    errors: Errors | Mapping[str, Any],
    outputs: tuple[str, ...],
    o: Observations,
    f: Any,
    variance_at: Any = None,
) -> Terms:
    """The data term of one subject at predictions `f` `(rows,)`.

    **Parameters**: `variance_at`, predictions at which the residual variance is taken instead (FOCE: those at eta =
    0), which also leaves the variance's own information out; None for interaction (FOCEI).
    **Reference**: Wang 2007, J Pharmacokinet Pharmacodyn 34:575, doi:10.1007/s10928-007-9060-6; censoring: methods M3
    and M4 of Beal 2001, J Pharmacokinet Pharmacodyn 28:481, doi:10.1023/A:1012299115260.
    """
    errors = Errors.known(errors)
    m = moments(errors, outputs, o, f)
    mean, slope, variance, variance_slope = m.mean, m.slope, m.variance, m.variance_slope
    if variance_at is not None:
        variance, variance_slope = moments(errors, outputs, o, variance_at).variance, jnp.zeros(f.shape)
    # A prediction of zero has no proportional error; keep it finite so that one point cannot void a subject.
    floor = variance <= 0
    variance = jnp.where(floor, 1.0, variance)
    variance_slope = jnp.where(floor, 0.0, variance_slope)
    m = Moments(mean, slope, variance, variance_slope)
    value = transformed(errors, outputs, o, jnp.where(o.there & (o.censored == QUANTIFIED), o.value, 1.0))
    objective = jnp.square(value - mean) / variance + jnp.log(variance)
    information = jnp.square(slope) / variance + 0.5 * jnp.square(variance_slope / variance)
    if errors.tailed:
        objective, information = with_tails(errors, outputs, o, value, m, objective, information)

    if o.censoring:
        log_p, curvature = beyond(errors, outputs, o, m)
        objective = jnp.where(o.censored == QUANTIFIED, objective, -2.0 * log_p)
        information = jnp.where(o.censored == QUANTIFIED, information, curvature)
    if errors.above_zero:
        log_p, curvature = above_zero(errors, outputs, o, m)
        objective, information = objective + 2.0 * log_p, jnp.maximum(information - curvature, 0.0)
    objective, information = jnp.where(o.there, objective, 0.0), jnp.where(o.there, information, 0.0)
    if errors.likelihoods:
        objective, information = of_likelihoods(errors, outputs, o, f, objective, information)
    if errors.correlated:
        objective, information = jointly(errors, outputs, o, value, m, objective, information)
    return Terms(objective, information)


def penalty(omega: Any, eta: Any) -> Any:
    """-2 log of the normal density of one subject's `eta` `(etas,)`, without its constant."""
    return eta @ inverse(omega) @ eta + log_determinant(omega)
