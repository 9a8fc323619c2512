"""A fit's objective, taken up again: the program that the fit compiled, its subjects weighted, in coordinates in which
it is round.

Profiles, bootstraps and importance resampling evaluate one objective thousands of times near its minimum. They call the
engine that the fit has compiled; nothing is compiled anew.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from twinjax.estimation.engine import Engine
from twinjax.estimation.methods.algorithm import AbstractAlgorithm
from twinjax.estimation.methods.base import AbstractObjective
from twinjax.estimation.optimisers import BFGS, AbstractOptimiser
from twinjax.estimation.result import Fit

ROUND = BFGS(gradient_tolerance=1e-2, max_steps=100)
"""Where coordinates are round, a gradient of 0.01 leaves the objective some 1e-4 above its minimum."""


def engine_of(fit: Fit) -> tuple[Engine, np.ndarray]:
    """The engine of a fit, with its random effects, and its vector of estimates.

    For a method that minimises no smooth objective it is that of the method's linearised standard errors.
    """
    last = fit.method.steps[-1]
    objective = last.objective if isinstance(last, AbstractAlgorithm) else last
    assert isinstance(objective, AbstractObjective)
    engine = Engine.of(fit.population, fit.trial, objective, fit.priors, fit.backend)
    engine.begin(fit.eta)
    return engine, np.asarray(engine.predictor.transform.pack(fit.population.theta))


def roundness(fit: Fit) -> np.ndarray:
    """A matrix `(free, free)` L with ``x + L u`` the coordinates in which the objective is round, near the estimates:
    of R, whose half inverse is L L'; the identity where R is not positive definite.
    """
    if not fit.uncertainty.known:
        return np.eye(len(fit.estimated))
    return np.linalg.cholesky(0.5 * np.linalg.inv(fit.uncertainty.r))


class Weighted:
    """An engine's objective with a weight for each subject.

    **Parameters**: `weights` `(subjects,)`, None for one each; a subject without weight need not be solvable; `begin`,
    the random effects that a restart returns to, None for those that the engine has now.
    """

    def __init__(self, engine: Engine, weights: np.ndarray | None = None, begin: Any = None) -> None:
        self.engine, self.weights = engine, weights
        self.begin = engine.eta if begin is None else begin

    def __call__(self, x: np.ndarray, /) -> tuple[float, np.ndarray]:
        """The weighted total and its gradient, priors included."""
        if self.weights is None:
            return self.engine(x)
        found, (prior, slope) = self.engine.evaluate(x), self.engine.prior(x)
        used = self.weights > 0
        own, gradient = np.asarray(found.objective)[used], np.asarray(found.gradient)[used]
        total = float(self.weights[used] @ own)
        return (total + prior if np.isfinite(total) else np.inf), self.weights[used] @ gradient + slope

    @property
    def traced(self) -> Callable[[Any], tuple[Any, Any]]:
        """Not offered: weights change from one search to the next."""
        raise ValueError("Vmapped compiles its objective anew for every search; use BFGS() here")

    def curvature(self, x: np.ndarray, /) -> np.ndarray | None:
        """None: it is searched in round coordinates."""
        return None

    def restart(self) -> None:
        """Back to those random effects."""
        self.engine.begin(self.begin)


class Moved:
    """An objective in other coordinates: ``x = to(u)``, whose derivative, transposed, is `back(u, gradient)`."""

    def __init__(
        self,
        inner: Weighted,
        to: Callable[[np.ndarray], np.ndarray],
        back: Callable[[np.ndarray, np.ndarray], np.ndarray],
    ) -> None:
        self.inner, self.to, self.back = inner, to, back

    def __call__(self, u: np.ndarray, /) -> tuple[float, np.ndarray]:
        """The value, and the gradient in the other coordinates."""
        f, g = self.inner(self.to(u))
        return f, self.back(u, g)

    @property
    def traced(self) -> Callable[[Any], tuple[Any, Any]]:
        """Not offered."""
        return self.inner.traced

    def curvature(self, u: np.ndarray, /) -> np.ndarray | None:
        """None: these coordinates are round."""
        return None

    def restart(self) -> None:
        """As the inner one."""
        self.inner.restart()


def minimised(
    objective: Weighted, x: np.ndarray, roundness: np.ndarray, optimiser: AbstractOptimiser
) -> tuple[np.ndarray, float, float]:
    """Where the objective is least, its value there, and the largest gradient in round coordinates.

    **Raises** `FloatingPointError` where it cannot be evaluated at `x`.
    """
    moved = Moved(objective, lambda u: x + roundness @ u, lambda u, g: roundness.T @ g)
    end = optimiser.minimise(moved, np.zeros(len(x)), _unwatched)
    f, g = moved(end)
    return moved.to(end), f, float(np.max(np.abs(g), initial=0.0))


def _unwatched(count: int, x: np.ndarray, f: float, g: np.ndarray) -> None: ...
