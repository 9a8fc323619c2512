"""Exposure in numbers: areas, and how far predictions lie from observations."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np


def area(time: Any, concentration: Any) -> Any:
    """Area under a curve by trapezoids, over the last axis."""
    return jnp.trapezoid(jnp.asarray(concentration), jnp.asarray(time), axis=-1)


class FoldErrors(eqx.Module):
    """Geometric means of predicted over observed: signed (`gmr`, bias), unsigned (`gmfe`, error); `count` of them."""

    gmr: float
    gmfe: float
    count: int


def fold_errors(predicted: Any, observed: Any) -> FoldErrors:
    """Over the observations above zero.

    **Raises** `ValueError` where there is none, or numbers differ.
    """
    predicted, observed = np.asarray(predicted, float), np.asarray(observed, float)
    if predicted.shape != observed.shape:
        raise ValueError(f"{predicted.size} predictions beside {observed.size} observations; give one each")
    seen = observed > 0.0
    if not seen.any():
        raise ValueError("no observation is above zero; a fold error needs one")
    logs = np.log(predicted[seen] / observed[seen])
    return FoldErrors(float(np.exp(logs.mean())), float(np.exp(np.abs(logs).mean())), int(seen.sum()))
