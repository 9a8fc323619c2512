"""What a search has found so far: to watch it, and to stop it."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from twinjax.estimation.optimisers import BFGS, AbstractOptimiser, Objective, Watch
from twinjax.estimation.result import Iteration
from twinjax.estimation.transform import Transform
from twinjax.population.population import Population


class Search:
    """The state of a `fit` while it runs: pass `optimiser` and `note` to it, read the rest at any time.

    **Parameters**: `population`, what is fitted; `starts`, how many there will be; `optimiser`, what minimises;
    `changed`, called with this search after each iteration.
    """

    def __init__(
        self, population: Population, *, starts: int = 1, optimiser: AbstractOptimiser | None = None,
        changed: Callable[[Search], None] | None = None,
    ) -> None:  # fmt: skip
        self.population, self.starts, self.changed = population, starts, changed
        self.inner = optimiser or BFGS()
        self.optimiser = _Watched(self.inner, self)
        self.history: list[Iteration] = []
        self.best: tuple[float, np.ndarray] | None = None
        self.ended = self.evaluations = self.stage = 0
        self.evaluating = 0.0
        self._values: list[np.ndarray] = []
        transform = Transform.of(population)
        self._report = jax.jit(lambda x: transform.report(x, population.theta))

    def note(self, step: Iteration) -> None:
        """One more iteration: what `fit` calls as its `progress`."""
        if step.stage != self.stage:  # the next method of a chain, whose objective is another
            self.stage, self.ended, self.starts, self.best = step.stage, 0, 1, None
            self._values.clear()
        self.history.append(step)
        if step.x:
            self.saw(step.objective, np.asarray(step.x))
            if math.isnan(step.objective):
                self._values.append(np.asarray(self._report(jnp.asarray(step.x))))
        if self.changed is not None:
            self.changed(self)

    def saw(self, objective: float, x: np.ndarray) -> None:
        """A point met: the best is the one of least objective, or the last where the method has none."""
        if self.best is None or not self.best[0] <= objective:
            self.best = (float(objective), np.array(x))

    @property
    def theta(self) -> dict[str, float]:
        """Every named value at the best point met so far; the starting values before there is one."""
        theta = self.population.theta
        if self.best is not None:
            theta = Transform.of(self.population).unpack(jnp.asarray(self.best[1]), theta)
        return {n: float(v) for n, v in theta.items()}

    @property
    def traces(self) -> dict[str, np.ndarray]:
        """Every estimated parameter over the iterations of a method without an objective, by name."""
        reported = Transform.of(self.population).reported
        found = np.reshape(self._values, (len(self._values), len(reported)))
        return {n: found[:, i] for i, n in enumerate(reported)}

    @property
    def searching(self) -> bool:
        """Whether a start is still under way (else standard errors are being computed)."""
        return self.ended < self.starts

    @property
    def rate(self) -> float:
        """Iterations a second, the first (which waits for compilation) left out; nan before there are two."""
        own = [h for h in self.history if h.stage == self.stage]
        if len(own) < 2:
            return math.nan
        span = own[-1].seconds - own[0].seconds
        steps = sum(b.step - a.step if a.start == b.start else b.step for a, b in itertools.pairwise(own))
        return steps / span if span > 0 else math.nan

    @property
    def remaining(self) -> float:
        """Seconds that the search may still take, nan where nothing can be said.

        Of a method that knows how many iterations it takes, from their rate. Else read off how fast the logarithm of
        the gradient has fallen over the last ten iterations of this start, with the starts still to come as long as
        the mean of those that ended; a rough guess, and shown as one.
        """
        if self.history and self.history[-1].of:
            return (self.history[-1].of - self.history[-1].step) / self.rate
        own = [h for h in self.history if (h.stage, h.start) == (self.stage, self.history[-1].start)][-10:]
        tolerance = getattr(self.inner, "gradient_tolerance", None)
        if tolerance is None or len(own) < 4 or not all(h.gradient > 0 for h in own):
            return math.nan
        steps = np.arange(len(own))
        slope = float(np.polyfit(steps, np.log([h.gradient for h in own]), 1)[0])
        if slope >= -0.02:
            return math.nan
        left = max(0.0, math.log(own[-1].gradient / tolerance) / -slope) / self.rate
        if self.starts > 1:
            done = max(self.ended, 1)
            left += (self.starts - self.ended - 1) * (self.history[-1].seconds - self.history[0].seconds) / done
        return left

    @property
    def covariance_seconds(self) -> float:
        """Seconds that standard errors take: two evaluations a free parameter, and two more."""
        free = len(Transform.of(self.population).reported)
        return 2 * (free + 1) * self.evaluating / self.evaluations if self.evaluations else math.nan

    def to_dict(self) -> dict[str, Any]:
        """What was found so far, in plain numbers."""
        return {
            "objective": None if self.best is None else self.best[0], "theta": self.theta,
            "estimated": list(Transform.of(self.population).reported), "iterations": len(self.history),
            "gradient": self.history[-1].gradient if self.history else None,
            "stage": self.stage, "history": [vars(h) for h in self.history],
        }  # fmt: skip


class _Watched(AbstractOptimiser):
    """Another optimiser, every point of which the search sees."""

    inner: AbstractOptimiser
    seen_by: Any = eqx.field(static=True)

    def minimise(self, objective: Objective, x: np.ndarray, watch: Watch) -> np.ndarray:
        """As the inner one."""
        search = self.seen_by

        def seen(count: int, x: np.ndarray, f: float, g: np.ndarray) -> None:
            search.saw(f, x)
            watch(count, x, f, g)

        try:
            return self.inner.minimise(_Timed(objective, search), x, seen)
        finally:
            search.ended += 1


class _Timed:
    """An objective whose evaluations a search counts and times."""

    def __init__(self, objective: Objective, search: Any) -> None:
        self.objective, self.seen_by = objective, search

    def __call__(self, x: np.ndarray, /) -> tuple[float, np.ndarray]:
        began = time.perf_counter()
        found = self.objective(x)
        self.seen_by.evaluations += 1
        self.seen_by.evaluating += time.perf_counter() - began
        return found

    @property
    def traced(self) -> Any:
        return self.objective.traced

    def restart(self) -> None:
        self.objective.restart()

    def curvature(self, x: np.ndarray, /) -> np.ndarray | None:
        return self.objective.curvature(x)
