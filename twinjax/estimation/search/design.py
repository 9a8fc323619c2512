"""`optimise_design`: sampling times and doses that say most about a population."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import scipy.optimize

from twinjax.estimation.search.information import (
    AbstractForm,
    BlockDiagonal,
    Information,
    Plan,
    SamplingGroup,
    listed,
)
from twinjax.population.population import Population
from twinjax.solve.compiling import compiled
from twinjax.solve.problem import AbstractBackend


@dataclasses.dataclass(frozen=True)
class DesignSpace:
    """Where a design may lie.

    **Parameters**: `times`, the earliest and the latest sample, None to leave times as they are; `spacing`, the least
    time between two samples of one output in one group; `dose`, the smallest and the largest first dose of a group
    (its other doses keep their ratio to it), None to leave doses as they are.
    """

    times: tuple[float, float] | None = None
    spacing: float = 0.0
    dose: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        if self.times is None and self.dose is None:
            raise ValueError("nothing to optimise: give bounds of times, of dose, or of both")
        for what, bounds in (("times", self.times), ("dose", self.dose)):
            if bounds is not None and not bounds[0] < bounds[1]:
                raise ValueError(f"{what} lie between {bounds[0]:g} and {bounds[1]:g}: the lower is below the upper")


@dataclasses.dataclass(frozen=True)
class OptimisedDesign:
    """The best design found.

    **Parameters**: `information` at it and `before` at the one to start from; `ends`, the D-criterion that each start
    ended at, best first.
    """

    information: Information
    before: Information
    ends: tuple[float, ...]

    @property
    def groups(self) -> tuple[SamplingGroup, ...]:
        """The groups with their best times and doses."""
        return self.information.groups

    @property
    def efficiency(self) -> float:
        """How many times as many people the first design would need for the same information."""
        return self.information.criterion / self.before.criterion

    def __str__(self) -> str:
        lines = [f"D-criterion {self.before.criterion:.4g} -> {self.information.criterion:.4g}: the first design needs "
                 f"{self.efficiency:.2f} times as many people"]  # fmt: skip
        for i, g in enumerate(self.groups, 1):
            dose = float(np.asarray(g.regimen.amount)[0]) if len(g.regimen) else 0.0
            for output, times in g.by_output.items():
                at = ", ".join(f"{t:.4g}" for t in times)
                lines.append(f"group {i}: {g.subjects:g} people, first dose {dose:.4g}, output {output} at {at}")
        return "\n".join([*lines, self.information.table.to_string()])


def optimise_design(
    population: Population,
    groups: SamplingGroup | Sequence[SamplingGroup],
    space: DesignSpace,
    *,
    form: AbstractForm | None = None,
    backend: AbstractBackend | None = None,
    starts: int = 5,
    seed: int = 0,
    max_steps: int = 100,
    progress: Callable[[int, float], None] | None = None,
) -> OptimisedDesign:
    """D-optimal sampling times and doses, by exact gradients under constraints.

    Times stay within their bounds, in order, and apart. What a sample's time and a group's dose do to its predictions
    is differentiated once, forward, and the criterion backward from there.

    **Parameters**: `groups`, where to start, how many people and samples there are; `space`; `form`, as in
    `fisher_information`; `starts`, the first from `groups`, others from random times and doses; `progress`, called
    with the number of the start and its D-criterion after each step.
    **Raises** `ValueError` for bounds that leave no room; `RuntimeError` where the first design cannot be evaluated.
    **Reference**: Fedorov 1972, Theory of Optimal Experiments; Kraft 1988 (SLSQP, by SciPy).
    """
    each = listed(groups)
    plan = Plan.of(population, each, form or BlockDiagonal(), backend)
    whole = _Space(plan, each, space)
    where = np.asarray(plan.observed.there)

    def criterion(v: np.ndarray) -> tuple[float, np.ndarray, np.ndarray, np.ndarray]:
        time, dose = whole.arrays(v)
        value, slope, matrix, result = _criterion(plan, jnp.asarray(time), jnp.asarray(dose))
        return float(value), whole.vector(*map(np.asarray, slope)), np.asarray(matrix), np.asarray(result)

    begin = whole.vector(np.asarray(plan.who.timing["time"]), np.ones(len(each)))
    first = criterion(begin)
    before = plan.information(first[2], first[3], each)
    reported = before.criterion / np.exp(first[0])  # from unconstrained to reported parameters
    rng, found = np.random.default_rng(seed), list[tuple[float, np.ndarray]]()
    for start in range(starts):
        v = whole.inside(begin if start == 0 else whole.random(rng))
        best = [np.inf, v]

        def falls(y: np.ndarray, best: list[Any] = best) -> tuple[float, np.ndarray]:
            v = whole.lower + y * whole.width
            f, g, _, result = criterion(v)
            if not np.isfinite(f) or result.any():
                return 1e3, np.zeros_like(y)
            if -f < best[0] and whole.holds(v):
                best[:] = [-f, v]
            return -f, -g * whole.width

        def tell(_: Any, start: int = start, best: list[Any] = best) -> None:
            if progress is not None:
                progress(start, float(reported * np.exp(-best[0])))

        scipy.optimize.minimize(
            falls, (v - whole.lower) / whole.width, jac=True, method="SLSQP", bounds=[(0.0, 1.0)] * len(v),
            constraints=whole.constraints(), callback=tell, options={"maxiter": max_steps, "ftol": 1e-10},
        )  # fmt: skip
        if np.isfinite(best[0]):
            found.append((best[0], np.asarray(best[1])))
    if not found:
        raise RuntimeError("no start could be evaluated; narrow the bounds of times")
    least, v = min(found, key=lambda e: e[0])
    if least > -first[0] and whole.holds(begin):
        v = begin
    time, dose = whole.arrays(v)
    value = criterion(v)
    best_groups = tuple(g.at(time[i, where[i]], dose[i]) for i, g in enumerate(each))
    ends = tuple(sorted((float(reported * np.exp(-f)) for f, _ in found), reverse=True))
    return OptimisedDesign(plan.information(value[2], value[3], best_groups), before, ends)


class _Space:
    """Times and doses as one vector, within bounds and linear constraints.

    `width` is that of the bounds, so that every coordinate runs from 0 to 1.
    """

    def __init__(self, plan: Plan, groups: Sequence[SamplingGroup], space: DesignSpace) -> None:
        self.there = np.asarray(plan.observed.there)
        self.given = np.asarray(plan.who.timing["time"], float)
        self.first = np.asarray([float(np.asarray(g.regimen.amount)[0]) if len(g.regimen) else 0.0 for g in groups])
        self.space, lower, upper = space, [], []
        self.count = int(self.there.sum()) if space.times is not None else 0
        if space.times is not None:
            lower += [np.full(self.count, space.times[0])]
            upper += [np.full(self.count, space.times[1])]
        if space.dose is not None:
            if np.any(self.first <= 0):
                raise ValueError("doses can be optimised where every group's first record is a dose above zero")
            lower += [space.dose[0] / self.first]
            upper += [space.dose[1] / self.first]
        self.lower, self.upper = np.concatenate(lower), np.concatenate(upper)
        self.width = self.upper - self.lower
        self.pairs, at = list[int](), 0
        for g in groups if space.times is not None else ():
            for output, own in g.by_output.items():
                room = self.width[at]
                if (len(own) - 1) * space.spacing > room:
                    raise ValueError(f"{len(own)} samples of output {output} do not fit {space.spacing:g} apart in "
                                     f"{room:g}")  # fmt: skip
                self.pairs += range(at, at + len(own) - 1)
                at += len(own)

    def arrays(self, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Times `(groups, samples)` and doses `(groups,)` as factors."""
        time, dose = self.given.copy(), np.ones(len(self.first))
        if self.space.times is not None:
            time[self.there] = v[: self.count]
        if self.space.dose is not None:
            dose = v[self.count :]
        return time, dose

    def vector(self, time: np.ndarray, dose: np.ndarray) -> np.ndarray:
        """And back, of values or of derivatives."""
        parts = [time[self.there]] if self.space.times is not None else []
        return np.concatenate([*parts, dose] if self.space.dose is not None else parts)

    def random(self, rng: np.random.Generator) -> np.ndarray:
        """A design anywhere in the bounds, early times as likely as late ones on a logarithmic scale."""
        share = rng.random(len(self.lower))
        share[: self.count] = share[: self.count] ** 3
        return self.lower + share * self.width

    def inside(self, v: np.ndarray) -> np.ndarray:
        """The design moved into the bounds, its times in order and apart."""
        v, d = np.clip(v, self.lower, self.upper), self.space.spacing
        ends = [k for k in range(self.count) if k not in self.pairs]
        begin = 0
        for end in ends:
            own = np.sort(v[begin : end + 1])
            for i in range(1, len(own)):
                own[i] = max(own[i], own[i - 1] + d)
            own[-1] = min(own[-1], self.upper[end])
            for i in range(len(own) - 1, 0, -1):
                own[i - 1] = min(own[i - 1], own[i] - d)
            v[begin : end + 1] = own
            begin = end + 1
        return v

    def holds(self, v: np.ndarray) -> bool:
        """Whether a design is within its bounds and its times apart, to rounding."""
        slack = 1e-9 * self.width
        if np.any(v < self.lower - slack) or np.any(v > self.upper + slack):
            return False
        return all(v[k + 1] - v[k] >= self.space.spacing - 2 * slack[k] for k in self.pairs)

    def constraints(self) -> list[dict[str, Any]]:
        """Spacing, in coordinates from 0 to 1."""
        if not self.pairs:
            return []
        a = np.zeros((len(self.pairs), len(self.lower)))
        for row, k in enumerate(self.pairs):
            a[row, k], a[row, k + 1] = -1.0, 1.0
        least = self.space.spacing / self.width[0]
        return [{"type": "ineq", "fun": lambda y: a @ y - least, "jac": lambda y: a}]


@compiled
def _criterion(plan: Plan, time: Any, dose: Any) -> tuple[Any, tuple[Any, Any], Any, Any]:
    """Log determinant over the number of parameters, its derivatives in times and doses, the matrix, result codes."""

    def predicted(time: Any, dose: Any) -> tuple[Any, Any]:
        local = plan.local(time, dose)
        return (local.value, local.slope, local.bend), local

    def along(by_time: Any, by_dose: Any) -> Any:
        tangents = (by_time * jnp.ones_like(time), by_dose * jnp.ones_like(dose))
        return jax.jvp(predicted, (time, dose), tangents, has_aux=True)

    # A prediction depends on its own time and its own group's dose alone: one direction each has all derivatives.
    found, moved, local = jax.vmap(along, out_axes=(None, 0, None))(jnp.array([1.0, 0.0]), jnp.array([0.0, 1.0]))

    def value(step: Any, factor: Any) -> tuple[Any, Any]:
        def expanded(f: Any, d: Any) -> Any:
            more = (1,) * (f.ndim - 2)
            return f + d[0] * step.reshape(*step.shape, *more) + d[1] * factor.reshape(-1, 1, *more)

        value, slope, bend = jax.tree.map(expanded, found, moved)
        matrix = plan.total(plan.x, dataclasses.replace(local, value=value, slope=slope, bend=bend))
        return jnp.linalg.slogdet(matrix)[1] / matrix.shape[0], matrix

    (f, matrix), slope = jax.value_and_grad(value, argnums=(0, 1), has_aux=True)(
        jnp.zeros_like(time), jnp.zeros_like(dose)
    )
    return f, slope, matrix, local.result
