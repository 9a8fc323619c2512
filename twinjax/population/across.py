"""What goes across measurements: correlations of residuals, and how values beyond a limit of quantification count."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping

import numpy as np

from twinjax.naming import resolve
from twinjax.observation import AbstractQuantification
from twinjax.units import Bounds


@dataclasses.dataclass(frozen=True)
class Across:
    """Correlations of residuals.

    **Parameters**: `crosswise`, pairs of outputs; `in_time`, outputs; `values`, parameter name -> where it starts, and
    its bounds.
    """

    crosswise: tuple[tuple[str, str], ...]
    in_time: tuple[str, ...]
    values: Mapping[str, tuple[float, Bounds]]


def across_measurements(
    correlations: Mapping[tuple[str, str], float], autocorrelation: Mapping[str, float], outputs: Iterable[str]
) -> Across:
    """Correlations of the residuals of `outputs`, checked.

    **Raises** `ValueError` for an output without a residual error, a correlation that cannot be, and an output whose
    residuals would be correlated both with another's and in time.
    """
    outputs, what = tuple(outputs), "output with a residual error"
    pairs = {tuple(resolve(n, outputs, what) for n in pair): r for pair, r in correlations.items()}
    own = {resolve(n, outputs, what): r for n, r in autocorrelation.items()}
    linked = sorted({n for pair in pairs for n in pair})
    matrix, values = np.eye(len(linked)), {}
    for (a, b), r in pairs.items():
        if a == b or not abs(float(r)) < 1:
            raise ValueError(
                f"correlation of the residuals of {a} and {b} is {r}; it is of two outputs, between -1 and 1"
            )
        i, j = linked.index(a), linked.index(b)
        matrix[i, j] = matrix[j, i] = r
        values[f"corr.{a}.{b}"] = (r, Bounds(-1.0, 1.0))
    if len(linked) and np.min(np.linalg.eigvalsh(matrix)) <= 0:
        raise ValueError(f"the correlations of the residuals of {', '.join(linked)} contradict each other: as a matrix "
                         "they are not positive definite")  # fmt: skip
    for name, r in own.items():
        if not 0 < float(r) < 1:
            raise ValueError(f"autocorrelation of {name} is {r}; it lies between 0 and 1")
        if name in linked:
            raise ValueError(f"residuals of {name} are correlated with another output's or in time, not both")
        values[f"{name}.autocorrelation"] = (r, Bounds(0.0, 1.0))
    return Across(tuple((a, b) for a, b in pairs), tuple(own), values)


def quantified(
    given: AbstractQuantification | Mapping[str, AbstractQuantification] | None, outputs: Iterable[str]
) -> dict[str, AbstractQuantification]:
    """By full output name. **Raises** `ValueError` for an output without a residual error."""
    outputs = tuple(outputs)
    if isinstance(given, AbstractQuantification):
        return dict.fromkeys(outputs, given)
    return {resolve(n, outputs, "output with a residual error"): q for n, q in (given or {}).items()}
