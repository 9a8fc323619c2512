"""How sure the estimates are: the R and S matrices, and what follows from them."""

from __future__ import annotations

import abc
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from twinjax.estimation.transform import Transform
from twinjax.solve.compiling import compiled

_FLAT, _ROUNDING = 1e-150, 1e-13
"""A second derivative that is none, and an eigenvalue of their correlations that rounding makes."""


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
    def from_gradients(self) -> np.ndarray:
        """Covariance by S^-1, from the subjects' gradients alone; NaN where S is not positive definite (fewer subjects
        than parameters).
        """
        if not np.all(np.isfinite(self.s)) or np.linalg.cond(self.s) > 1e14:
            return np.full_like(self.s, np.nan)
        return self.report @ np.linalg.inv(self.s) @ self.report.T

    @property
    def condition_number(self) -> float:
        """Largest over smallest eigenvalue of the correlation matrix of the estimates."""
        return float(self.eigenvalues[-1] / self.eigenvalues[0]) if self.known else float("nan")


class AbstractCurvature(eqx.Module):
    """How the second derivative of the objective is found, for R."""

    @abc.abstractmethod
    def r(self, engine: Any, x: np.ndarray, evaluation: Any) -> np.ndarray:
        """R `(free, free)`: half the second derivative, priors included."""


class GradientDifferences(AbstractCurvature):
    """Central differences of the exact gradient: nothing more to compile, two evaluations a parameter.

    **Parameters**: `step`, in unconstrained parameters (logarithms mostly).
    """

    step: float = 1e-3

    def r(self, engine: Any, x: np.ndarray, evaluation: Any) -> np.ndarray:
        """Good to some six digits."""
        return 0.5 * hessian(engine, x, self.step)


class SecondDerivatives(AbstractCurvature):
    """Exact second derivatives, by third derivatives of the predictions: a program of its own to compile."""

    def r(self, engine: Any, x: np.ndarray, evaluation: Any) -> np.ndarray:
        """**Raises** `ValueError` for a method that has only its gradient, and for mixtures."""
        if engine.predictor.population.mixture is not None:
            raise ValueError("a mixture has no exact second derivatives; use covariance=GradientDifferences()")
        each = _second(engine.method, engine.predictor, engine.design, jnp.asarray(x), evaluation.eta)
        if each is None:
            raise ValueError(
                f"{engine.method.name} has no exact second derivatives; use covariance=GradientDifferences()"
            )
        prior = np.zeros((len(x), len(x)))
        if engine.priors:
            for k, step in enumerate(1e-4 * np.eye(len(x))):
                prior[k] = (engine.prior(x + step)[1] - engine.prior(x - step)[1]) / 2e-4
        return 0.5 * (np.asarray(jnp.sum(each, axis=0)) + 0.5 * (prior + prior.T))


def uncertainty(engine: Any, x: np.ndarray, evaluation: Any, by: AbstractCurvature | None = None) -> Uncertainty:
    """R as `by` finds it (default `GradientDifferences()`), S from the subjects' gradients."""
    half = 0.5 * np.asarray(evaluation.gradient)
    return judged(engine, x, (by or GradientDifferences()).r(engine, x, evaluation), half.T @ half)


def judged(engine: Any, x: np.ndarray, r: np.ndarray, s: np.ndarray) -> Uncertainty:
    """What R and S at `x` say of the reported parameters."""
    predictor = engine.predictor
    report = np.asarray(reported(predictor.transform, predictor.population.theta, jnp.asarray(x))[1])
    eigenvalues = np.full(len(x), np.nan)
    if _definite(r):
        covariance = np.linalg.inv(r)
        sd = np.sqrt(np.diag(covariance))
        eigenvalues = np.linalg.eigvalsh(covariance / sd[:, None] / sd[None, :])
    return Uncertainty(r, s, report, eigenvalues)


def _definite(r: np.ndarray) -> bool:
    """Whether it is positive definite, by more than rounding: a variance of zero leaves a direction flat."""
    size = np.diag(r)
    if not (np.all(np.isfinite(r)) and np.all(size > _FLAT)):
        return False
    scale = np.sqrt(size)
    return bool(np.linalg.eigvalsh(r / scale[:, None] / scale)[0] > _ROUNDING)


@compiled
def _second(method: Any, predictor: Any, design: Any, x: Any, eta: Any) -> Any:
    return method.second_derivatives(predictor, design, x, eta)


def hessian(engine: Any, x: np.ndarray, size: float = 1e-3) -> np.ndarray:
    """Second derivatives `(free, free)` of the objective by central differences of its gradient."""
    found = np.zeros((len(x), len(x)))
    for k in range(len(x)):
        step = np.zeros(len(x))
        step[k] = size
        found[k] = (engine(x + step)[1] - engine(x - step)[1]) / (2 * size)
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
