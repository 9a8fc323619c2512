"""Mean and variance of measurements that are a prediction plus a residual error."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from twinjax.estimation.observed import Observations
from twinjax.observation import Errors


class Moments(eqx.Module):
    """Mean and variance of the transformed measurements, and their derivatives in the prediction, `(samples,)` each."""

    mean: Any
    slope: Any
    variance: Any
    variance_slope: Any


def moments(errors: Errors | Mapping[str, Any], outputs: tuple[str, ...], o: Observations, f: Any) -> Moments:
    """What the residual errors say of one subject's measurements at predictions `f` `(rows,)`; of rows that are no
    measurement, at 1: a prediction of zero, as before any dose, has no logarithm and would spoil the derivatives.
    """
    residuals = Errors.known(errors).residuals
    f = jnp.where(o.there, f, 1.0)

    def both(f: Any) -> tuple[Any, Any]:
        mean, variance = jnp.zeros(f.shape), jnp.ones(f.shape)
        for i, name in enumerate(outputs):
            if name in residuals:
                mean = jnp.where(o.output == i, residuals[name].transform(f), mean)
                variance = jnp.where(o.output == i, residuals[name].variance(f), variance)
        return mean, variance

    (mean, variance), (slope, variance_slope) = jax.jvp(both, (f,), (jnp.ones(f.shape),))
    return Moments(mean, slope, variance, variance_slope)


def transformed(errors: Errors | Mapping[str, Any], outputs: tuple[str, ...], o: Observations, y: Any) -> Any:
    """Values on the scale of their outputs' residual errors, `(rows,)`."""
    moved, residuals = y, Errors.known(errors).residuals
    for i, name in enumerate(outputs):
        if name in residuals:
            moved = jnp.where(o.output == i, residuals[name].transform(jnp.where(o.output == i, y, 1.0)), moved)
    return moved
