"""Replicates of a bootstrap side by side: one program evaluates one in each of its lanes, and a lane whose search has
ended takes the next.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from twinjax.estimation.engine import Engine
from twinjax.estimation.evidence.again import Weighted
from twinjax.estimation.methods.base import AbstractObjective, Evaluation
from twinjax.estimation.methods.classes import evaluate
from twinjax.estimation.prediction import Design, Predictor
from twinjax.solve.compiling import compiled

_ARMIJO = 1e-4
"""The part of the decrease that a slope foretells which a step must make."""

_TRIES = 12
"""Steps that are tried along one direction."""

_TURNS = 400
"""Evaluations of a search."""

_LONGEST = 3.0
"""Of a step, in coordinates in which the fit's objective has the unit matrix for its second derivative."""


class End(NamedTuple):
    """Where a replicate's search ended: the vector, the objective and the largest gradient in round coordinates; not
    `settled`, where it did not get to the tolerance.
    """

    number: int
    x: np.ndarray
    objective: float
    gradient: float
    settled: bool


class Pool:
    """Searches in lanes: BFGS with a backtracking line search in each, all of them evaluated by one call a turn.

    **Parameters**: `engine`, of the fit; `x`, where searches begin; `roundness`, as of `again.roundness`; `lanes`, how
    many side by side; `tolerance`, largest gradient in round coordinates.
    """

    def __init__(self, engine: Engine, x: np.ndarray, roundness: np.ndarray, lanes: int, tolerance: float) -> None:
        self.engine, self.x, self.roundness = engine, x, roundness
        self.lanes, self.tolerance = lanes, tolerance
        self.own: list[_Lane | None] = [None] * lanes
        self._structure = jax.tree.structure(engine.design)

    def search(self, numbers: Iterable[int], draw: Callable[[int], Weighted]) -> Iterator[End]:
        """The end of each replicate, as they end. One that cannot be drawn or evaluated ends where it began."""
        queue = iter(numbers)
        while True:
            for k in range(self.lanes):
                while self.own[k] is None and (number := next(queue, None)) is not None:
                    try:
                        self.own[k] = _Lane(number, draw(number), len(self.x))
                    except FloatingPointError:
                        yield End(number, self.x, np.nan, np.inf, False)
            if not any(self.own):
                return
            values = self._evaluated()
            for k, lane in enumerate(self.own):
                if lane is not None and lane.told(*values[k], self.tolerance):
                    self.own[k] = None
                    yield End(lane.number, self.x + self.roundness @ lane.u, lane.f, lane.steepest, lane.settled)

    def _evaluated(self) -> list[tuple[float, np.ndarray, Any]]:
        """Objective, gradient in round coordinates and random effects of every lane at the point it tries."""
        some = next(lane for lane in self.own if lane is not None)
        lanes = [lane or some for lane in self.own]  # one that stands idle repeats another
        points = np.stack([self.x + self.roundness @ lane.trial for lane in lanes])
        each = [jax.tree.leaves(lane.objective.engine.design) for lane in lanes]
        design, axes = [], []
        for i, leaf in enumerate(jax.tree.leaves(self.engine.design)):
            varies = any(own[i] is not leaf for own in each)
            design.append(jnp.stack([own[i] for own in each]) if varies else leaf)
            axes.append(0 if varies else None)
        found = _evaluate(
            self.engine.method, self.engine.predictor, jax.tree.unflatten(self._structure, design), tuple(axes),
            jnp.asarray(points), jnp.stack([lane.eta for lane in lanes]),
        )  # fmt: skip
        objective, gradient, eta, settled = (
            np.asarray(a) for a in (found.objective, found.gradient, found.eta, found.settled)
        )
        values = []
        for k, lane in enumerate(lanes):
            used = lane.weights > 0
            prior, slope = self.engine.prior(points[k])
            total = float(lane.weights[used] @ objective[k][used]) + prior
            sound = np.isfinite(total) and settled[k][used].all() and np.isfinite(eta[k][used]).all()
            by_x = lane.weights[used] @ gradient[k][used] + slope
            next_from = np.where(np.isfinite(eta[k]), eta[k], lane.eta)  # of those without weight too
            values.append((total if sound else np.inf, self.roundness.T @ by_x, next_from))
        return values


class _Lane:
    """The search of one replicate: where it is, what it tries next."""

    def __init__(self, number: int, objective: Weighted, free: int) -> None:
        self.number, self.objective = number, objective
        self.eta = np.asarray(objective.begin)
        weights = objective.weights
        self.weights = np.ones(len(self.eta)) if weights is None else weights
        self.u, self.trial = np.zeros(free), np.zeros(free)
        self.f, self.g = np.inf, np.full(free, np.inf)
        self.inverse, self.move = np.eye(free), np.zeros(free)
        self.length, self.tries, self.turn, self.settled = 1.0, 0, 0, False

    @property
    def steepest(self) -> float:
        """The largest gradient."""
        return float(np.max(np.abs(self.g), initial=0.0))

    def told(self, f: float, g: np.ndarray, eta: np.ndarray, tolerance: float) -> bool:
        """What the point tried has; whether the search has ended."""
        self.turn += 1
        first = self.turn == 1
        foretold = float(self.g @ self.move) * self.length if not first else 0.0
        if np.isfinite(f) and np.all(np.isfinite(g)) and (first or f <= self.f + _ARMIJO * foretold):
            self._learn(self.trial - self.u, g - self.g if not first else np.zeros_like(g))
            self.u, self.f, self.g, self.eta, self.tries = self.trial, f, g, eta, 0
            self.settled = self.steepest <= tolerance
            self._turn_to()
            return self.settled or self.turn >= _TURNS
        self.settled = False
        self.tries += 1
        rise = f - self.f - foretold
        self.length *= np.clip(-0.5 * foretold / rise, 0.1, 0.5) if np.isfinite(rise) and rise > 0 else 0.2
        self.trial = self.u + self.length * self.move
        return first or self.tries >= _TRIES or self.turn >= _TURNS

    def _learn(self, step: np.ndarray, change: np.ndarray) -> None:
        """BFGS's update of the inverse second derivative."""
        along = float(step @ change)
        if along <= 1e-10 * float(np.linalg.norm(step) * np.linalg.norm(change)):
            return
        turn = np.eye(len(step)) - np.outer(step, change) / along
        self.inverse = turn @ self.inverse @ turn.T + np.outer(step, step) / along

    def _turn_to(self) -> None:
        """The next direction."""
        self.move = -self.inverse @ self.g
        self.length = min(1.0, _LONGEST / max(float(np.linalg.norm(self.move)), 1e-300))
        self.trial = self.u + self.length * self.move


@compiled
def _evaluate(
    method: AbstractObjective, predictor: Predictor, design: Design, axes: tuple[int | None, ...], x: Any, eta: Any
) -> Evaluation:
    """Every lane's `(lanes, subjects, ...)`; `axes`, which leaves of the design are each lane's own."""
    leaves, structure = jax.tree.flatten(design)

    def one(x: Any, eta: Any, *leaves: Any) -> Evaluation:
        return evaluate(method, predictor, jax.tree.unflatten(structure, leaves), x, eta)

    return jax.vmap(one, in_axes=(0, 0, *axes))(x, eta, *leaves)
