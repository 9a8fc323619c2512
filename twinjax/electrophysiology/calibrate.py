"""`calibrate`: one heart's conductances from what was observed of its beats, by gradient."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, TypeVar, cast

import jax
import jax.numpy as jnp
import numpy as np
import scipy.optimize

from twinjax.electrophysiology.orbit import orbit
from twinjax.electrophysiology.pace import Rhythm
from twinjax.models.base import AbstractModel
from twinjax.naming import bind, get, leaves, resolve, suggestion

Cell = TypeVar("Cell", bound=AbstractModel)


@dataclasses.dataclass(frozen=True)
class CalibratedCell(Generic[Cell]):
    """A cell made to have the beats that were observed.

    **Parameters**: `cell`; `factors`, by conductance, what each was multiplied by; `errors`, standard errors of their
    logarithms, from the curvature at the estimate, prior included; `found`, the biomarkers that it has; `deviance`, the
    sum of squared deviations in units of their sd, prior included; `converged`, whether the search ended by itself.
    """

    cell: Cell
    factors: dict[str, float]
    errors: dict[str, float]
    found: dict[str, float]
    deviance: float
    converged: bool


def calibrate(
    cell: Cell,
    observed: Mapping[str, tuple[float, float]],
    cycle_length: float,
    *,
    names: Sequence[str],
    spread: float = 0.3,
    rhythm: Callable[[Any, float], Rhythm] = orbit,
    steps: int = 50,
) -> CalibratedCell[Cell]:
    """The most probable factors of conductances, given observed biomarkers of the rhythm.

    .. code-block:: text

        minimise  sum ((biomarker(factors) - value) / sd)^2 + sum (log factor / spread)^2

    By Levenberg-Marquardt steps, with the exact derivatives of the rhythm in every conductance.

    **Parameters**: `observed`, by name of a biomarker (`Beat`), its value and standard deviation; `names`, the
    conductances that may differ; `spread`, how much hearts differ in the logarithm of each; `rhythm`, from a cell and a
    cycle length to a `Rhythm` (default: the periodic `orbit`; ``functools.partial(pace, beats=10)`` for plain beats).
    **Raises** `ValueError` for a biomarker or a conductance that is not there, an sd that is not above zero, and for a
    cell that has no beat to begin with.
    """
    known = leaves(cell)
    full = tuple(resolve(n, known, "conductance") for n in names)
    values = jnp.asarray([float(v) for v, _ in observed.values()])
    sds = jnp.asarray([float(s) for _, s in observed.values()])
    if not len(values) or not bool(jnp.all(sds > 0.0)):
        raise ValueError("give a biomarker at least, each as (value, sd) with an sd above zero")

    def biomarkers(x: Any) -> Any:
        scaled = bind(cell, {n: get(cell, n) * jnp.exp(x[i]) for i, n in enumerate(full)})
        beat = rhythm(jax.tree.map(lambda a: jnp.reshape(jnp.asarray(a), (1,)), scaled), cycle_length).beat
        there = leaves(beat)
        for name in observed:
            if name not in there:
                raise ValueError(f"there is no biomarker {name!r}{suggestion(name, there)}")
        return jnp.stack([there[name][0, -1] for name in observed])

    def residual(x: Any) -> Any:
        return jnp.concatenate([(biomarkers(x) - values) / sds, x / spread])

    value, slope = residual, jax.jacfwd(residual)  # `rhythm` is compiled; around it there is little to do
    start = np.zeros(len(full))
    if not np.all(np.isfinite(value(start))):
        raise ValueError(
            "the cell has no beat with these biomarkers to begin with; choose another cell or cycle length"
        )
    wall = 1e3 * np.ones(len(values) + len(full))

    def finite(x: np.ndarray) -> np.ndarray:
        found = np.asarray(value(x))
        return found if np.all(np.isfinite(found)) else wall  # a step too far: the search turns back

    found = scipy.optimize.least_squares(
        finite, start, jac=cast(Any, lambda x: np.asarray(slope(x))), xtol=1e-8, ftol=1e-10, gtol=1e-8, max_nfev=steps
    )
    curvature = np.linalg.inv(found.jac.T @ found.jac)
    factors = {n: float(f) for n, f in zip(full, np.exp(found.x), strict=True)}
    return CalibratedCell(
        cell=bind(cell, {n: get(cell, n) * f for n, f in factors.items()}),
        factors=factors,
        errors={n: float(e) for n, e in zip(full, np.sqrt(np.diag(curvature)), strict=True)},
        found={n: float(b) for n, b in zip(observed, biomarkers(found.x), strict=True)},
        deviance=float(2.0 * found.cost),
        converged=bool(found.status > 0),
    )
