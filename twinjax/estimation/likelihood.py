"""The likelihood of measurements, given predictions. Objective functions are in NONMEM's convention: -2 log L without
N log(2 pi).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import log_ndtr

from twinjax.estimation.small import inverse, log_determinant
from twinjax.models.base import output_names
from twinjax.naming import resolve
from twinjax.observation import ABOVE, BELOW, QUANTIFIED, AbstractResidual
from twinjax.population.population import Population
from twinjax.population.subject import TrialData


class Observations(eqx.Module):
    """A trial's measurements as arrays `(subjects, samples)`; padding is not `there`. `output` indexes the model's
    outputs.

    `censoring` says whether any value is censored: without, its part of the likelihood is not even compiled.
    """

    value: Any
    output: Any
    censored: Any
    limit: Any
    there: Any
    censoring: bool = eqx.field(static=True)


def observations(population: Population, trial: TrialData) -> Observations:
    """A trial's measurements, padded.

    **Raises** `ValueError` for an output that the model has not, or one observed without a residual error; for a
    value that a log-normal error cannot have.
    """
    outputs = output_names(population.model)
    samples = max((len(s.measurements) for s in trial), default=0)
    if samples == 0:
        raise ValueError(f"{trial.name} has no measurements to fit")

    def number(output: str | int, who: str) -> int:
        if isinstance(output, int):
            if not 1 <= output <= len(outputs):
                raise ValueError(
                    f"subject {who}: output {output} of a model with {len(outputs)} ({', '.join(outputs)})"
                )
            return output - 1
        return outputs.index(resolve(output, outputs, f"output (subject {who})"))

    columns: dict[str, list[np.ndarray]] = {n: [] for n in ("value", "output", "censored", "limit", "there")}
    for s in trial:
        m, more = s.measurements, samples - len(s.measurements)
        index = np.asarray([number(o, s.id) for o in m.output], dtype=int)
        for i in set(index.tolist()):
            if outputs[i] not in population.residuals:
                raise ValueError(
                    f"{outputs[i]} is measured (subject {s.id}) but has no residual error: name it in residual"
                )
            error = population.residuals[outputs[i]]
            own = m.value[index == i]
            if np.any(own <= 0) and not np.all(np.isfinite(np.asarray(error.transform(jnp.asarray(0.0))))):
                raise ValueError(
                    f"subject {s.id}: a measurement of {outputs[i]} is not positive, which {type(error).__name__} needs"
                )
        for name, values in (("value", m.value), ("output", index), ("censored", m.censored), ("limit", m.limit)):
            columns[name].append(np.pad(np.asarray(values), (0, more)))
        columns["there"].append(np.arange(samples) < len(m))
    arrays = {n: np.stack(c) for n, c in columns.items()}
    return Observations(
        **{n: jnp.asarray(a) for n, a in arrays.items()}, censoring=bool(np.any(arrays["censored"] != QUANTIFIED))
    )


def select(outputs: Any, observed: Any) -> Any:
    """Of a model's outputs, `(samples,)` each, the one observed at each sample."""
    chosen = jnp.zeros(observed.shape)
    for i, o in enumerate(jax.tree.leaves(outputs)):
        chosen = jnp.where(observed == i, o, chosen)
    return chosen


class Moments(eqx.Module):
    """Mean and variance of the transformed measurements, and their derivatives in the prediction, `(samples,)` each."""

    mean: Any
    slope: Any
    variance: Any
    variance_slope: Any


def moments(errors: Mapping[str, AbstractResidual], outputs: tuple[str, ...], o: Observations, f: Any) -> Moments:
    """What the residual errors say of one subject's measurements at predictions `f` `(samples,)`."""

    def both(f: Any) -> tuple[Any, Any]:
        mean, variance = jnp.zeros(f.shape), jnp.ones(f.shape)
        for i, name in enumerate(outputs):
            if name in errors:
                mean = jnp.where(o.output == i, errors[name].transform(f), mean)
                variance = jnp.where(o.output == i, errors[name].variance(f), variance)
        return mean, variance

    (mean, variance), (slope, variance_slope) = jax.jvp(both, (f,), (jnp.ones(f.shape),))
    return Moments(mean, slope, variance, variance_slope)


def transformed(errors: Mapping[str, AbstractResidual], outputs: tuple[str, ...], o: Observations, y: Any) -> Any:
    """Values on the scale of their outputs' residual errors, `(samples,)`."""
    moved = y
    for i, name in enumerate(outputs):
        if name in errors:
            moved = jnp.where(o.output == i, errors[name].transform(jnp.where(o.output == i, y, 1.0)), moved)
    return moved


class Terms(eqx.Module):
    """One subject's data term and what estimators need of it, `(samples,)` each.

    **Parameters**: `objective`, -2 log L of each measurement; `information`, the curvature of half of it in the
    prediction: the expected information for a quantified value (mean and, with interaction, variance), the curvature
    for a censored one.
    """

    objective: Any
    information: Any


def terms(
    errors: Mapping[str, AbstractResidual], outputs: tuple[str, ...], o: Observations, f: Any, variance_at: Any = None
) -> Terms:
    """The data term of one subject at predictions `f` `(samples,)`.

    **Parameters**: `variance_at`, predictions at which the residual variance is taken instead (FOCE: those at eta =
    0), which also leaves the variance's own information out; None for interaction (FOCEI).
    **Reference**: Wang 2007, J Pharmacokinet Pharmacodyn 34:575, doi:10.1007/s10928-007-9060-6; censoring: method M3
    of Beal 2001, J Pharmacokinet Pharmacodyn 28:481, doi:10.1023/A:1012299115260.
    """
    m = moments(errors, outputs, o, f)
    mean, slope, variance, variance_slope = m.mean, m.slope, m.variance, m.variance_slope
    if variance_at is not None:
        variance, variance_slope = moments(errors, outputs, o, variance_at).variance, jnp.zeros(f.shape)
    # A prediction of zero has no proportional error; keep it finite so that one point cannot void a subject.
    floor = variance <= 0
    variance = jnp.where(floor, 1.0, variance)
    variance_slope = jnp.where(floor, 0.0, variance_slope)
    value = transformed(errors, outputs, o, jnp.where(o.there & (o.censored == QUANTIFIED), o.value, 1.0))
    quantified = jnp.square(value - mean) / variance + jnp.log(variance)
    information = jnp.square(slope) / variance + 0.5 * jnp.square(variance_slope / variance)

    if o.censoring:
        log_p, curvature = _censored(errors, outputs, o, Moments(mean, slope, variance, variance_slope))
        quantified = jnp.where(o.censored == QUANTIFIED, quantified, -2.0 * log_p)
        information = jnp.where(o.censored == QUANTIFIED, information, curvature)
    return Terms(jnp.where(o.there, quantified, 0.0), jnp.where(o.there, information, 0.0))


def penalty(omega: Any, eta: Any) -> Any:
    """-2 log of the normal density of one subject's `eta` `(etas,)`, without its constant."""
    return eta @ inverse(omega) @ eta + log_determinant(omega)


def _censored(
    errors: Mapping[str, AbstractResidual], outputs: tuple[str, ...], o: Observations, m: Moments
) -> tuple[Any, Any]:
    """Log probability of the censoring interval, and the curvature of its negative in the prediction."""
    bound = transformed(errors, outputs, o, jnp.where(o.there, o.value, 1.0))
    finite = jnp.isfinite(o.limit)
    other = jnp.where(finite, transformed(errors, outputs, o, jnp.where(finite, o.limit, 1.0)), -jnp.inf)
    sd = jnp.sqrt(m.variance)
    sign = jnp.where(o.censored == ABOVE, -1.0, 1.0)
    z = sign * (bound - m.mean) / sd
    bounded = (o.censored == BELOW) & jnp.isfinite(other)
    z_other = jnp.where(bounded, (jnp.where(bounded, other, 0.0) - m.mean) / sd, z - 1.0)
    log_p = jnp.where(bounded, _log_difference(z, z_other), log_ndtr(z))
    hazard = jnp.exp(-0.5 * z * z - 0.5 * jnp.log(2 * jnp.pi) - log_ndtr(z))
    z_slope = -sign * m.slope / sd - 0.5 * z * m.variance_slope / m.variance
    return log_p, jnp.square(z_slope) * jnp.maximum(hazard * (hazard + z), 0.0)


def _log_difference(upper: Any, lower: Any) -> Any:
    """log(Phi(upper) - Phi(lower)) for lower < upper, without cancellation."""
    flip = lower > 0  # in the upper tail, by symmetry
    a, b = jnp.where(flip, -lower, upper), jnp.where(flip, -upper, lower)
    log_a, log_b = log_ndtr(a), log_ndtr(b)
    return log_a + jnp.log1p(-jnp.exp(jnp.minimum(log_b - log_a, -1e-12)))
