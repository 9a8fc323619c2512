"""How an objective function with its gradient is minimised. Each is a frozen object, by a well-kept library."""

from __future__ import annotations

import abc
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import optimistix
import scipy.optimize

Watch = Callable[[int, np.ndarray, float, np.ndarray], None]
"""Called after each iteration with its number, the vector, the objective and the gradient."""


class Objective(Protocol):
    """From a vector to a number and its gradient, +inf where it cannot be evaluated."""

    def __call__(self, x: np.ndarray, /) -> tuple[float, np.ndarray]:
        """Objective and gradient."""
        ...

    @property
    def traced(self) -> Callable[[Any], tuple[Any, Any]]:
        """The same, inside a compiled program."""
        ...

    def restart(self) -> None:
        """Forget what earlier calls found, so that a start does not depend on the one before."""
        ...

    def curvature(self, x: np.ndarray, /) -> np.ndarray | None:
        """A positive definite guess at the second derivative, which scales the first step; None where there is none."""
        ...


class AbstractOptimiser(eqx.Module):
    """A minimiser of a smooth function of a vector."""

    @abc.abstractmethod
    def minimise(self, objective: Objective, x: np.ndarray, watch: Watch) -> np.ndarray:
        """The vector where it stopped. **Raises** `FloatingPointError` where it cannot even start."""

    def search(
        self, objective: Objective, starts: np.ndarray, watch: Callable[[int], Watch]
    ) -> Iterator[tuple[int, np.ndarray]]:
        """Which start ended where, one after the other; a start other than the first that cannot begin is left out."""
        for index, x in enumerate(starts):
            objective.restart()
            try:
                yield index, self.minimise(objective, x, watch(index))
            except FloatingPointError:
                if index == 0:
                    raise


class BFGS(AbstractOptimiser):
    """Quasi-Newton (SciPy), in coordinates where the objective's own guess at its curvature is the identity: the first
    steps would be of any size otherwise.

    **Parameters**: `gradient_tolerance`, largest |gradient| at the end; `max_steps`.
    """

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
            if np.max(np.abs(best["g"])) <= self.gradient_tolerance:
                raise StopIteration

        guess = objective.curvature(x)
        scale = np.eye(len(x)) if guess is None else np.linalg.inv(np.linalg.cholesky(guess)).T

        def scaled(y: np.ndarray) -> tuple[float, np.ndarray]:
            f, g = guarded(x + scale @ y)
            return f, scale.T @ g

        scipy.optimize.minimize(
            scaled, np.zeros_like(x), jac=True, method="BFGS", callback=callback,
            options={"gtol": 0.0, "maxiter": self.max_steps},
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


class Vmapped(AbstractOptimiser):
    """All starts at once: an optimistix minimiser under `vmap`, compiled as a whole.

    For one patient or pooled data, whose objectives are quick; it shows no progress.

    **Parameters**: `solver`, an optimistix minimiser; `max_steps` of each start.
    """

    solver: Any = eqx.field(default_factory=lambda: optimistix.BFGS(rtol=1e-8, atol=1e-8))
    max_steps: int = eqx.field(static=True, default=256)

    def minimise(self, objective: Objective, x: np.ndarray, watch: Watch) -> np.ndarray:
        """One start."""
        return self._ends(objective, x[None])[0]

    def search(
        self, objective: Objective, starts: np.ndarray, watch: Callable[[int], Watch]
    ) -> Iterator[tuple[int, np.ndarray]]:
        """All of them at once."""
        for index, end in enumerate(self._ends(objective, starts)):
            objective.restart()
            f, g = objective(end)
            if np.isfinite(f):
                watch(index)(1, end, f, g)
                yield index, end

    def _ends(self, objective: Objective, starts: np.ndarray) -> np.ndarray:
        return np.asarray(_minimise_all(self.solver, self.max_steps, objective.traced, jnp.asarray(starts)))


@eqx.filter_jit
def _minimise_all(solver: Any, max_steps: int, traced: Callable[[Any], tuple[Any, Any]], starts: Any) -> Any:
    @jax.custom_jvp
    def value(x: Any) -> Any:
        return traced(x)[0]

    @value.defjvp
    def rule(primals: Any, tangents: Any) -> Any:
        f, g = traced(primals[0])
        return f, jnp.dot(g, tangents[0])

    def one(x: Any) -> Any:
        return optimistix.minimise(lambda x, _: value(x), solver, x, max_steps=max_steps, throw=False).value

    return jax.vmap(one)(starts)
