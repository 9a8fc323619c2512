"""From a torsade metric score to the probabilities of low, intermediate and high risk: ordinal logistic regression."""

from __future__ import annotations

import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import scipy.optimize

from twinjax.units import Scalar

CLASSES = ("low", "intermediate", "high")


class OrdinalLogistic(eqx.Module):
    """``P(class >= k) = 1 / (1 + exp(-(a_k + slope score)))``, k = 1, 2.

    **Parameters**: `a1`, `a2`; `slope` (uF/uC), negative: a larger net charge is safer.
    **Reference**: Li et al. 2019, Clin Pharmacol Ther 105:466, doi:10.1002/cpt.1184.
    """

    a1: Scalar
    a2: Scalar
    slope: Scalar

    def probabilities(self, score: Any) -> jax.Array:
        """Of low, intermediate and high risk, on a new last axis; `score` in uC/uF."""
        above = [jax.nn.sigmoid(a + self.slope * jnp.asarray(score)) for a in (self.a1, self.a2)]
        return jnp.stack([1.0 - above[0], above[0] - above[1], above[1]], axis=-1)

    def classify(self, score: Any) -> jax.Array:
        """The most probable class, 0 low, 1 intermediate, 2 high."""
        return jnp.argmax(self.probabilities(score), axis=-1)

    @property
    def thresholds(self) -> tuple[float, float]:
        """Scores below which risk is most probably high, and above which it is most probably low (uC/uF).

        Where two classes are as probable, ``exp(slope score)`` is (A - 2 B) / (A B), or 1 / (A - 2 B), with A and B
        the exponentials of a1 and a2. NaN where no score makes intermediate risk the most probable.
        """
        a, b, slope = (float(x) for x in (self.a1, self.a2, self.slope))
        if a - b <= math.log(2.0):
            return math.nan, math.nan
        gap = a + math.log1p(-2.0 * math.exp(b - a))
        return (gap - a - b) / slope, -gap / slope


MANUAL = OrdinalLogistic(20.01199509307, 15.665426847338, -292.539547635619)
"""The FDA's coefficients, from all 28 drugs by manual patch clamp (github.com/FDA/CiPA, branch of 2020)."""


def fit_ordinal(score: Any, risk: Any) -> OrdinalLogistic:
    """Coefficients of largest likelihood, by gradient.

    **Parameters**: `score` (uC/uF) `(drugs,)`; `risk` `(drugs,)`, 0, 1 or 2.
    **Raises** `ValueError` where a class is missing, or where the scores separate the classes: the likelihood then
    grows without end with the slope.
    """
    x, y = np.asarray(score, float), np.asarray(risk, int)
    for k, name in enumerate(CLASSES):
        if not np.any(y == k):
            raise ValueError(f"no drug of {name} risk; each class needs one, at least")
    centre, scale = x.mean(), x.std()
    z = jnp.asarray((x - centre) / scale)

    def deviance(p: Any) -> Any:
        above = jnp.stack([jnp.full(z.shape, jnp.inf), p[0] + p[2] * z, p[0] - jnp.exp(p[1]) + p[2] * z])
        upper, lower = (
            jnp.take_along_axis(above, jnp.asarray(y)[None], 0)[0],
            jnp.where(
                jnp.asarray(y) == 2,
                -jnp.inf,
                jnp.take_along_axis(above, jnp.minimum(jnp.asarray(y) + 1, 2)[None], 0)[0],
            ),
        )
        return -jnp.sum(jnp.log(jax.nn.sigmoid(upper) - jax.nn.sigmoid(lower)))

    sign = np.sign(np.corrcoef(x, y)[0, 1])
    both = jax.jit(jax.value_and_grad(deviance))
    found = scipy.optimize.minimize(
        lambda p: [np.asarray(v, float) for v in both(p)], np.array([1.0, 0.7, sign]), jac=True, method="BFGS",
        options={"gtol": 1e-9, "maxiter": 500},
    )  # fmt: skip
    a1, gap, slope = found.x
    if abs(slope) > 50.0 or not np.all(np.isfinite(found.x)):
        raise ValueError("the scores separate the classes, so that no slope is the best; add drugs that overlap")
    slope /= scale
    return OrdinalLogistic(a1 - slope * centre, a1 - math.exp(gap) - slope * centre, slope)
