"""What an exposure depends on: derivatives at a point, one parameter at a time over a range, and all at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from scipy.stats import qmc

from twinjax.naming import bind, leaves, names, resolve

M = TypeVar("M")


def elasticities(measure: Callable[[M], Any], model: M, parameters: Iterable[str] | None = None) -> dict[str, float]:
    """Per cent by which a measure changes for one per cent of each parameter, ``d ln measure / d ln p``, exact.

    **Parameters**: `measure`, of a model to a number, such as an AUC from `simulate`; `parameters`, all by themselves.
    **Raises** `ValueError` for an unknown parameter, or a measure that is zero or not a number at the model's values.
    """
    values = leaves(model)
    wanted = list(values) if parameters is None else [resolve(p, values) for p in parameters]

    def of(chosen: dict[str, Any]) -> Any:
        return jnp.reshape(measure(bind(model, chosen)), ())

    value, gradient = jax.value_and_grad(of)({n: jnp.asarray(values[n], float) for n in wanted})
    if not np.isfinite(value) or value == 0.0:
        raise ValueError(f"the measure is {float(value):g} at the model's values; relative changes of it mean nothing")
    return {n: float(gradient[n] * values[n] / value) for n in wanted}


def tornado(measure: Callable[[M], Any], model: M, ranges: Mapping[str, tuple[float, float]]) -> pd.DataFrame:
    """A measure at the ends of each parameter's range, the others as they are; the widest first.

    **Parameters**: `measure`, of a model with a leading axis of people to `(people,)`; `ranges`, ends by parameter.
    **Returns** a table by parameter: low, high (ends), at_low, at_high, base, span. `plots.tornado` draws it.
    **Raises** `ValueError` for a range that is none.
    """
    known = _checked(model, ranges)
    ends = np.array(list(known.values()))
    base = np.array([float(leaves(model)[n]) for n in known])
    points = np.tile(base, (2 * len(known) + 1, 1))
    for i in range(len(known)):
        points[1 + 2 * i, i], points[2 + 2 * i, i] = ends[i]
    found = _measured(measure, model, list(known), points)
    table = pd.DataFrame(
        {"low": ends[:, 0], "high": ends[:, 1], "at_low": found[1::2], "at_high": found[2::2], "base": found[0]},
        index=pd.Index(list(known), name="parameter"),
    )
    table["span"] = (table["at_high"] - table["at_low"]).abs()
    return table.sort_values("span", ascending=False)


def sobol(
    measure: Callable[[M], Any], model: M, ranges: Mapping[str, tuple[float, float]], *, samples: int = 1024,
    seed: int = 0, resamples: int = 200,
) -> pd.DataFrame:  # fmt: skip
    """Shares of a measure's variance: of each parameter alone, and with all that it takes part in.

    Parameters are uniform and independent over their `ranges`; ``samples (parameters + 2)`` models are run at once.

    **Parameters**: `measure`, of a model with a leading axis of people to `(people,)`; `samples`, a power of two;
    `resamples`, for the standard errors (bootstrap).
    **Returns** a table by parameter: first, first_se, total, total_se.
    **Raises** `ValueError` for a range that is none, samples that are no power of two, a measure that is not finite
    somewhere or does not vary.
    **Reference**: Saltelli et al. 2010, Comput Phys Commun 181:259, doi:10.1016/j.cpc.2009.09.018 (first, b; total, f:
    Jansen's).
    """
    known = _checked(model, ranges)
    if samples < 2 or samples & (samples - 1):
        raise ValueError(f"samples is {samples}; give a power of two, as Sobol's points need")
    a, b = _points(len(known), samples, seed)
    low, high = np.array(list(known.values())).T
    mixed = [np.where(np.arange(len(known)) == i, b, a) for i in range(len(known))]
    points = low + (high - low) * np.concatenate([a, b, *mixed])
    found = _measured(measure, model, list(known), points).reshape(len(known) + 2, samples)
    if not np.ptp(found) > 0.0:
        raise ValueError("the measure is the same everywhere in these ranges; there is no variance to share out")
    first, total = indices(found[0], found[1], found[2:])
    again = np.random.default_rng(seed).integers(samples, size=(resamples, samples))
    drawn = [indices(found[0, i], found[1, i], found[2:, i]) for i in again]
    errors = np.std(np.array(drawn), axis=0, ddof=1)
    columns = {"first": first, "first_se": errors[0], "total": total, "total_se": errors[1]}
    return pd.DataFrame(columns, index=pd.Index(list(known), name="parameter"))


def indices(at_a: Any, at_b: Any, mixed: Any) -> tuple[np.ndarray, np.ndarray]:
    """First-order and total indices from a function at A, at B, and at A with each column of B, `(parameters, n)`."""
    at_a, at_b, mixed = (np.asarray(x, float) for x in (at_a, at_b, mixed))
    variance = np.concatenate([at_a, at_b]).var()
    centre = np.concatenate([at_a, at_b, *mixed]).mean()
    first = np.mean((at_b - centre) * (mixed - at_a), axis=1) / variance
    return first, 0.5 * np.mean((at_a - mixed) ** 2, axis=1) / variance


def _points(parameters: int, samples: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    both = qmc.Sobol(2 * parameters, rng=np.random.default_rng(seed)).random(samples)
    return both[:, :parameters], both[:, parameters:]


def _checked(model: Any, ranges: Mapping[str, tuple[float, float]]) -> dict[str, tuple[float, float]]:
    if not ranges:
        raise ValueError("give the range of at least one parameter")
    known = {resolve(n, names(model)): (float(r[0]), float(r[1])) for n, r in ranges.items()}
    for n, (low, high) in known.items():
        if not low < high:
            raise ValueError(f"the range of {n} is {low:g} to {high:g}; give the lower end first")
    return known


def _measured(measure: Callable[[Any], Any], model: Any, wanted: list[str], points: np.ndarray) -> np.ndarray:
    """The measure of the model at each row of parameter values."""
    many = jax.tree.map(lambda x: jnp.broadcast_to(x, (len(points),)), model)
    found = np.asarray(measure(bind(many, dict(zip(wanted, jnp.asarray(points.T), strict=True)))), float)
    if found.shape != (len(points),):
        raise ValueError(f"the measure gave shape {found.shape} for {len(points)} people; it gives one number each")
    if not np.isfinite(found).all():
        raise ValueError(f"the measure is not finite for {int((~np.isfinite(found)).sum())} of {len(points)} people")
    return found
