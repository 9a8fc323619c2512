"""How an objective function with its gradient is minimised. Each is a frozen object, by a well-kept library."""

from __future__ import annotations

import abc
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import optax
import scipy.optimize

Objective = Callable[[np.ndarray], tuple[float, np.ndarray]]
"""From a vector to the objective and its gradient; +inf where it cannot be evaluated."""
Watch = Callable[[int, np.ndarray, float, np.ndarray], None]
"""Called after each iteration with its number, the vector, the objective and the gradient."""


class AbstractOptimiser(eqx.Module):
    """A minimiser of a smooth function of a vector."""

    @abc.abstractmethod
    def minimise(self, objective: Objective, x: np.ndarray, watch: Watch) -> np.ndarray:
        """The vector where it stopped."""


class BFGS(AbstractOptimiser):
    """Quasi-Newton (SciPy). **Parameters**: `gradient_tolerance`, largest |gradient| at the end; `max_steps`."""

    gradient_tolerance: float = 1e-3
    max_steps: int = 300

    def minimise(self, objective: Objective, x: np.ndarray, watch: Watch) -> np.ndarray:
        """Dense BFGS with a strong Wolfe line search. Where the objective cannot be evaluated the search steps back."""
        best: dict[str, Any] = {"f": np.inf, "x": x, "g": np.zeros_like(x)}

        def guarded(x: np.ndarray) -> tuple[float, np.ndarray]:
            f, g = objective(x)
            if not (np.isfinite(f) and np.all(np.isfinite(g))):
                if not np.isfinite(best["f"]):
                    raise FloatingPointError("the objective is not finite at the starting values")
                toward = (x - best["x"]) / max(float(np.linalg.norm(x - best["x"])), 1e-12)
                wall = 1e3 * (1.0 + abs(best["f"]))
                return best["f"] + wall, toward * wall  # a wall that slopes back to the best point
            if f < best["f"]:
                best.update(f=f, x=np.array(x), g=g)
            return f, g

        count = 0

        def callback(intermediate_result: Any) -> None:
            nonlocal count
            count += 1
            watch(count, best["x"], best["f"], best["g"])

        scipy.optimize.minimize(
            guarded, x, jac=True, method="BFGS", callback=callback,
            options={"gtol": self.gradient_tolerance, "maxiter": self.max_steps},
        )  # fmt: skip
        return best["x"]


class Optax(AbstractOptimiser):
    """First-order steps by optax, for pooled or noisy objectives.

    **Parameters**: `steps`, how many; `learning_rate`, the peak of a cosine schedule with warm-up; `transformation`,
    any optax transformation instead of Adam under that schedule.
    """

    steps: int = 500
    learning_rate: float = 0.05
    transformation: Any = None

    def minimise(self, objective: Objective, x: np.ndarray, watch: Watch) -> np.ndarray:
        """The best point met in `steps` steps. A step that cannot be evaluated is halved toward the best point."""
        schedule = optax.warmup_cosine_decay_schedule(
            0.1 * self.learning_rate,
            self.learning_rate,
            max(1, self.steps // 20),
            self.steps,
            1e-3 * self.learning_rate,
        )
        method = self.transformation or optax.adam(schedule)
        state, x, best_f, best_x = method.init(jnp.asarray(x)), np.asarray(x), np.inf, np.asarray(x)
        for step in range(1, self.steps + 1):
            f, g = objective(x)
            if not (np.isfinite(f) and np.all(np.isfinite(g))):
                if not np.isfinite(best_f):
                    raise FloatingPointError("the objective is not finite at the starting values")
                x = 0.5 * (x + best_x)
                continue
            if f < best_f:
                best_f, best_x = f, x
            watch(step, x, f, g)
            move, state = method.update(jnp.asarray(g), state, jnp.asarray(x))
            x = np.asarray(optax.apply_updates(jnp.asarray(x), move))
        return best_x
