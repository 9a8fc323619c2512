"""Random measurements about predictions: what residual errors and likelihoods say, the other way round."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jax.scipy.special import ndtr, ndtri

from twinjax.estimation.contributions import correlation
from twinjax.estimation.observed import Observations
from twinjax.observation import Errors


def measured(errors: Errors, outputs: tuple[str, ...], o: Observations, f: Any, error: Any, key: Any) -> Any:
    """One subject's measurements at predictions `f` `(rows,)`.

    **Parameters**: `error` `(rows,)`, independent standard normal numbers, which become residuals; `key`, for what is
    not normal.
    """
    if errors.correlated:
        error = jnp.linalg.cholesky(correlation(errors, outputs, o)) @ error
    y = f
    for i, name in enumerate(outputs):
        if name in errors.residuals:
            e = errors.residuals[name]
            mean, sd, own = e.transform(f), jnp.sqrt(e.variance(f)), error
            if name in errors.above_zero:  # the same quantile of the normal above zero, from its upper end
                own = -ndtri(ndtr((mean - e.transform(jnp.zeros(()))) / sd) * ndtr(-error))
            if name in errors.tailed:
                own = errors.tailed[name].deviate(jax.random.fold_in(key, f.shape[0] + i), own)
            y = jnp.where(o.output == i, e.inverse(mean + sd * own), y)
        elif name in errors.likelihoods:
            likelihood = errors.likelihoods[name]
            predictions = [f]
            for k in range(len(likelihood.reads)):
                predictions.append(jnp.where(o.reads[:, k] >= 0, f[jnp.maximum(o.reads[:, k], 0)], 0.0))
            keys = jax.vmap(lambda k: jax.random.fold_in(key, k))(jnp.arange(f.shape[0]))
            y = jnp.where(o.output == i, jax.vmap(likelihood.sample)(keys, *predictions), y)
    return y
