"""What stands against estimates, in words: parameters at a bound, directions that data do not fix, other optima."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from twinjax.estimation.evidence.uncertainty import Uncertainty
from twinjax.population.population import Population

_EDGE = 1e-3
"""How near to a bound a parameter is called at it, as a part of its interval."""
_ONE = 0.99
"""A correlation above this is as good as one."""
_POOR = 100.0
"""A relative standard error (%) above which a positive parameter is called poorly known."""
_ILL = 1e3
"""A condition number of the correlation matrix above which it is called ill-conditioned."""
_NOTHING = 1e-6
"""Half a second derivative in the logarithm of a parameter below which data say nothing of it: whatever its value, the
objective is the same.
"""
_WORSE = 0.1
"""Ends whose objectives differ by less are the same optimum."""


def at_bounds(population: Population, theta: Mapping[str, float], estimated: Sequence[str]) -> list[str]:
    """Estimated parameters at a bound of their interval or next to nothing, correlations near one."""
    found, bounds = [], dict(population.bounds)
    for n in estimated:
        value = theta[n]
        if n.startswith("corr.") and n not in bounds:
            if abs(value) > _ONE:
                a, b = _pair(n, population)
                found.append(f"The random effects of {a} and {b} go together (correlation {value:.3f}): "
                             "let one be a multiple of the other, or leave the correlation out.")  # fmt: skip
        elif n in bounds:
            low, high = bounds[n].lower, bounds[n].upper
            if math.isfinite(low) and math.isfinite(high):
                place = (value - low) / (high - low)
                if not _EDGE < place < 1 - _EDGE:
                    end = low if place < 0.5 else high
                    found.append(f"{n} is at its bound ({value:.4g}, bound {end:g}): fix it there, or widen the bound.")
            elif math.isfinite(low) and value - low < 1e-8 * max(1.0, abs(low)):
                found.append(f"{n} is at its bound ({value:.2g}, bound {low:g}): leave out what it stands for.")
            elif math.isfinite(high) and high - value < 1e-8 * max(1.0, abs(high)):
                found.append(f"{n} is at its bound ({value:.4g}, bound {high:g}): leave out what it stands for.")
    return found


def ill_conditioned(
    uncertainty: Uncertainty, population: Population, theta: Mapping[str, float], estimated: Sequence[str]
) -> list[str]:
    """A surface that is no minimum, or nearly flat along some direction; parameters hardly known."""
    if not np.all(np.isfinite(uncertainty.r)) or not len(estimated):
        return []
    if not uncertainty.known:
        positive = {n for n, b in population.bounds if b.lower == 0.0 and math.isinf(b.upper)}  # those in logarithms
        ran = [f"{n} ({theta[n]:.2g})" for n, r in zip(estimated, np.diag(uncertainty.r), strict=True)
               if n in positive and abs(r) < _NOTHING]  # fmt: skip
        if ran:
            return [f"The objective does not change with {' and '.join(ran)}: no standard errors. These data set them "
                    "no limit: fix them, or leave out what they stand for."]  # fmt: skip
        along = _named(np.linalg.eigh(uncertainty.r)[1][:, 0], estimated)
        return ["The objective is not at a minimum in every direction (R is not positive definite): no standard "
                f"errors. It is flat or falls along {along}: these data may not tell them."]  # fmt: skip
    found, sd = [], np.sqrt(np.diag(uncertainty.covariance))
    if uncertainty.condition_number > _ILL:
        r = np.abs(uncertainty.covariance / sd[:, None] / sd[None, :]) - np.eye(len(sd))
        i, j = np.unravel_index(np.argmax(r), r.shape)
        found.append(f"Ill-conditioned (condition number {uncertainty.condition_number:.0f}): {estimated[int(i)]} and "
                     f"{estimated[int(j)]} are hard to tell apart.")  # fmt: skip
    bounds = dict(population.bounds)
    poor = [
        f"{n} ({100 * s / theta[n]:.0f} %)" for n, s in zip(estimated, sd, strict=True)
        if not n.startswith("corr.") and (n not in bounds or bounds[n].lower == 0.0) and s > _POOR / 100 * theta[n] > 0
    ]  # fmt: skip
    if poor:
        found.append(f"Poorly known (relative standard error): {', '.join(poor)}.")
    return found


def local_optima(ends: Sequence[float]) -> list[str]:
    """Starts that ended elsewhere than the best one."""
    if len(ends) < 2:
        return []
    above = np.asarray(ends) - min(ends)
    worse = int(np.sum(~(above <= _WORSE)))
    if not worse:
        return []
    again = len(ends) - worse - 1
    best = "no other reached the best one" if again == 0 else f"{again} other{'s' * (again > 1)} reached the best one"
    finite = above[np.isfinite(above) & (above > _WORSE)]
    near = f"; the nearest is {finite.min():.3g} above" if len(finite) else ""
    return [f"{worse} of {len(ends)} starts ended in worse local optima{near}; {best}."]


def _pair(name: str, population: Population) -> tuple[str, str]:
    """The two random effects of a correlation, whose names may have dots of their own."""
    for block in population.blocks:
        for a in block:
            for b in block:
                if name == f"corr.{a}.{b}":
                    return a, b
    first, _, second = name.removeprefix("corr.").partition(".")
    return first, second


def _named(direction: np.ndarray, names: Sequence[str]) -> str:
    """The parameters that a direction moves most."""
    size = np.abs(direction)
    most = [i for i in np.argsort(-size) if size[i] > 0.3 * size.max()][:3]
    return " and ".join(names[int(i)] for i in most)
