"""Beliefs about every estimated parameter: those given, checked, and weakly informative ones for the rest."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from twinjax.estimation.transform import Transform
from twinjax.population.distributions import (
    AbstractDistribution,
    HalfCauchy,
    LogNormal,
    Normal,
    TruncatedNormal,
    Uniform,
)
from twinjax.population.population import Population
from twinjax.units import Bounds

WIDE = 2.0
"""Standard deviation of a default prior's logarithm: 95 % within a factor of 50 of the starting value."""


def supported(priors: Mapping[str, AbstractDistribution], transform: Transform) -> None:
    """**Raises** `ValueError` for a prior on what is not estimated, and for one that is zero somewhere between the
    bounds of its parameter: a search, or a sampler, would meet a wall there. A prior that reaches beyond the bounds
    is cut off by them.
    """
    bounds = dict(zip(transform.names, transform.bounds, strict=True)) | dict.fromkeys(transform.shares, Bounds(0, 1))
    for name, prior in priors.items():
        if name not in transform.reported:
            raise ValueError(f"there is a prior on {name}, which is not estimated")
        own = bounds.get(name, Bounds(-1.0, 1.0) if name.startswith("corr.") else Bounds())
        support = prior.support
        if support.lower > own.lower or support.upper < own.upper:
            raise ValueError(
                f"the prior on {name}, {type(prior).__name__}, is zero outside {support.lower:g} to {support.upper:g}, "
                f"and {name} is estimated between {own.lower:g} and {own.upper:g}: give one that is positive there, or "
                "narrow Population(bounds=...)"
            )


def completed(
    population: Population, transform: Transform, given: Mapping[str, AbstractDistribution]
) -> dict[str, AbstractDistribution]:
    """A prior for every estimated parameter outside `corr.`: the one given, or a weakly informative one.

    Of a parameter that starts at s, by its bounds: positive, log-normal about s with standard deviation `WIDE` of the
    logarithm; between two bounds, uniform; any number, normal about s with standard deviation max(2, 2 |s|); with
    one bound elsewhere than zero, that normal cut off there. Standard deviations, of random effects (``omega.``) and
    residual errors: half-Cauchy with median s. Probabilities of a mixture's classes: uniform, each, and so flat where
    their sum is 1 (Dirichlet).
    """
    found: dict[str, AbstractDistribution] = {}
    bounds = dict(zip(transform.names, transform.bounds, strict=True)) | dict.fromkeys(transform.shares, Bounds(0, 1))
    residual = tuple(f"{o}." for o in population.residuals)
    for name in transform.reported:
        if name in given:
            found[name] = given[name]
        elif not name.startswith("corr."):
            start = float(population.theta[name])
            deviation = name.startswith(("omega.", *residual)) and bounds.get(name, Bounds()) == Bounds()
            found[name] = HalfCauchy(start) if deviation else _default(start, bounds[name])
    return found


def _default(start: float, b: Bounds) -> AbstractDistribution:
    wide = max(2.0, 2.0 * abs(start))
    if math.isfinite(b.lower) and math.isfinite(b.upper):
        return Uniform(b.lower, b.upper)
    if math.isinf(b.lower) and math.isinf(b.upper):
        return Normal(start, wide)
    return LogNormal(start, WIDE) if b == Bounds() else TruncatedNormal(start, wide, b.lower, b.upper)


def described(prior: Any) -> str:
    """A prior as a table shows it: ``LogNormal(2.8, 0.5)``."""
    numbers = ", ".join(f"{float(v):.4g}" for v in vars(prior).values())
    return f"{type(prior).__name__}({numbers})"
