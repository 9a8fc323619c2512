"""Parameters that drift: a random walk of a person's random effects, as a population like any other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from twinjax.models.base import AbstractModel
from twinjax.naming import resolve
from twinjax.population.population import Population
from twinjax.population.variability import NaturalScale

STAGE = "drift"
"""The covariate that counts the steps of the walk."""


def drifting(population: Population, deviations: Mapping[str, float], times: Sequence[float]) -> Population:
    """The same population, some of whose random effects walk at random in time.

    .. code-block:: text

        eta(t) = eta + step_1 + ... + step_k,  k the steps up to t        step_k ~ N(0, deviation^2 (t_k - t_(k-1)))

    The steps are random effects with names of their own (``cl.step1``), so that every method that learns random
    effects learns the walk: what is learnt late smooths what was before, and a forecast widens by the steps to come.
    Its parameters are held as they are. A twin of it is told when the steps are: ``Twin.of(drifting(...),
    covariates=stages(times))``.

    **Parameters**: `deviations`, parameter with variability -> standard deviation of its walk on the scale of eta, per
    square root of a time unit; `times`, when it steps; the first step counts from 0.
    **Raises** `ValueError` for a parameter without variability, times that do not increase from above 0, and a
    population with occasions, a mixture or a general form, which walks do not go with.
    """
    t = np.asarray(times, float)
    if population.occasions is not None or population.mixture is not None or population.write_out is not None:
        raise ValueError("a drift goes with a population of tables, without occasions and mixtures")
    if not len(t) or np.any(np.diff(np.append(0.0, t)) <= 0) or not np.all(np.isfinite(t)):
        raise ValueError("times are when the walk steps: one at least, increasing, above 0")
    free = [n for n in population.scales if n not in population.varying_errors]
    walks = {resolve(n, free, "parameter with variability"): float(sd) for n, sd in deviations.items()}
    for name, sd in walks.items():
        if not sd > 0:
            raise ValueError(f"the deviation of {name} is {sd:g}; it is above zero, or leave the parameter out")
    lengths, etas = np.diff(np.append(0.0, t)), population.etas
    steps = {n: [f"{n}.step{k}" for k in range(1, len(t) + 1)] for n in walks}

    def individual(theta: Mapping[str, Any], random: Mapping[str, Any], covariates: Mapping[str, Any]) -> AbstractModel:
        stage = covariates[STAGE]

        def walked(name: str) -> Any:
            own = [jnp.where(stage >= k, random[s], 0.0) for k, s in enumerate(steps.get(name, ()), 1)]
            return sum(own, random[name])

        eta = jnp.stack([walked(n) for n in etas]) if etas else jnp.zeros(0)
        return population.individual(theta, eta, covariates)

    scales: dict[str, Any] = dict(population.scales)
    for name, own in steps.items():
        scales |= {s: NaturalScale(walks[name] * float(np.sqrt(d))) for s, d in zip(own, lengths, strict=True)}
    named = {f"omega.{n}" for n in population.scales} | population.residual_names
    named |= {n for n in population.theta if n.startswith("corr.")}
    named |= {n for n in population.theta if n.rpartition(".")[0] in population.scales and n.endswith(".shape")}
    whole: dict[str, Any] = {
        "variability": scales, "residual": population.residuals, "quantification": population.quantification or None,
        "correlations": {
            (a, b): float(population.theta[f"corr.{a}.{b}"])
            for block in population.blocks for i, a in enumerate(block) for b in block[i + 1 :]
        },
        "thetas": {n: float(v) for n, v in population.theta.items() if n not in named}, "individual": individual,
        "reads": (*population.covariate_names, STAGE),
    }  # fmt: skip
    made = Population(population.model, **whole)
    return Population(population.model, **whole, fixed=tuple(made.theta))


def stages(times: Sequence[float]) -> dict[str, list[tuple[float, float]]]:
    """The covariate by which a twin of a drifting population knows its steps."""
    return {STAGE: [(-np.inf, 0.0), *((float(t), float(k)) for k, t in enumerate(times, 1))]}
