"""How sure the estimates are: the R and S matrices, and what follows from them."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from twinjax.estimation.transform import Transform
from twinjax.solve.compiling import compiled

_STEP = 1e-3
"""Step of the central differences of the exact gradient, in unconstrained parameters (logarithms mostly)."""


class Uncertainty(eqx.Module):
    """Second derivatives of the objective and what they say, in reported parameters.

    **Parameters**: `r`, `s`, `(free, free)`, in unconstrained parameters: half the second derivative of the
    objective, and the sum of products of half the subjects' gradients; `report` `(free, free)`, derivative of the
    reported parameters in the unconstrained ones; `eigenvalues` of the correlation matrix of the estimates.
    """

    r: np.ndarray
    s: np.ndarray
    report: np.ndarray
    eigenvalues: np.ndarray

    @staticmethod
    def none(free: int) -> Uncertainty:
        """Not computed."""
        unknown = np.full((free, free), np.nan)
        return Uncertainty(unknown, unknown, unknown, np.full(free, np.nan))

    @property
    def known(self) -> bool:
        """Whether R was computed and is positive definite."""
        return bool(np.all(np.isfinite(self.r)) and np.all(np.linalg.eigvalsh(self.r) > 0))

    @property
    def covariance(self) -> np.ndarray:
        """Covariance of the reported estimates from the observed information (R); NaN where R is not positive
        definite.
        """
        if not self.known:
            return np.full_like(self.r, np.nan)
        return self.report @ np.linalg.inv(self.r) @ self.report.T

    @property
    def sandwich(self) -> np.ndarray:
        """Covariance by R^-1 S R^-1, which NONMEM shows by default: robust to a wrong model, noisy in small trials."""
        if not self.known:
            return np.full_like(self.r, np.nan)
        inverse = np.linalg.inv(self.r)
        return self.report @ inverse @ self.s @ inverse @ self.report.T

    @property
    def condition_number(self) -> float:
        """Largest over smallest eigenvalue of the correlation matrix of the estimates."""
        return float(self.eigenvalues[-1] / self.eigenvalues[0]) if self.known else float("nan")


def uncertainty(engine: Any, x: np.ndarray, evaluation: Any) -> Uncertainty:
    """R by central differences of the exact gradient, S from the subjects' gradients."""
    free = len(x)
    r = 0.5 * hessian(engine, x)
    half = 0.5 * np.asarray(evaluation.gradient)
    predictor = engine.predictor
    report = np.asarray(reported(predictor.transform, predictor.population.theta, jnp.asarray(x))[1])
    eigenvalues = np.full(free, np.nan)
    if np.all(np.isfinite(r)) and np.all(np.linalg.eigvalsh(r) > 0):
        covariance = np.linalg.inv(r)
        sd = np.sqrt(np.diag(covariance))
        eigenvalues = np.linalg.eigvalsh(covariance / sd[:, None] / sd[None, :])
    return Uncertainty(r, half.T @ half, report, eigenvalues)


def hessian(engine: Any, x: np.ndarray) -> np.ndarray:
    """Second derivatives `(free, free)` of the objective by central differences of its gradient."""
    found = np.zeros((len(x), len(x)))
    for k in range(len(x)):
        step = np.zeros(len(x))
        step[k] = _STEP
        found[k] = (engine(x + step)[1] - engine(x - step)[1]) / (2 * _STEP)
    engine(x)
    return 0.5 * (found + found.T)


@compiled
def reported(transform: Transform, theta: Any, x: Any) -> tuple[Any, Any]:
    """Reported parameters `(free,)` of a vector, and their derivatives in it `(free, free)`."""

    def report(v: Any) -> tuple[Any, Any]:
        found = transform.report(v, theta)
        return found, found

    slope, value = jax.jacfwd(report, has_aux=True)(x)
    return value, slope
