"""Predictions of a population's subjects, and their exact derivatives as a local polynomial.

An estimator needs predictions, their slopes in eta and the slopes of those slopes. All come from one solve with
forward sensitivities in a few numbers per subject, `z`: the individual parameters that vary, or (when they change in
time) eta and theta themselves. The solve is replaced by its second-order polynomial about the current point, whose
value, first and second derivatives there are exact; everything else is algebra that JAX differentiates in
microseconds.
"""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from twinjax.estimation.likelihood import Observations, select
from twinjax.estimation.transform import Transform
from twinjax.models.base import AbstractModel
from twinjax.naming import bind, leaves, names
from twinjax.population.cohort import individuals
from twinjax.population.population import Population
from twinjax.solve.problem import AbstractBackend, Problem


class Design(eqx.Module):
    """What is fixed while a population is fitted: subjects' doses, sampling times, covariates and measurements.

    `problem` is that of the subjects, whose model leaves are replaced; `covariates` `(subjects, segments)` by name.
    """

    problem: Problem
    observed: Observations
    covariates: dict[str, Any]


class Local(eqx.Module):
    """Predictions near a point: value `(subjects, samples)`, first and second derivatives in `z` there, and result
    codes.
    """

    z: Any
    value: Any
    slope: Any
    bend: Any
    result: Any


class Predictor(eqx.Module):
    """Predictions of a population's subjects in terms of `z` `(subjects, directions)`."""

    population: Population
    transform: Transform
    backend: AbstractBackend
    active: tuple[str, ...] = eqx.field(static=True)
    by_segment: bool = eqx.field(static=True)

    @staticmethod
    def of(population: Population, transform: Transform, backend: AbstractBackend, design: Design) -> Predictor:
        """With the fewest directions: individual parameters if they are constant in time, else eta and theta."""
        varying = set(population.scales) | set(population.effects) | set(transform.names)
        own = names(population.model)
        active = tuple(n for n in own if n in varying) if population.write_out is None else own
        return Predictor(population, transform, backend, active, design.problem.segments > 1)

    def coordinates(self, x: Any, eta: Any, covariates: Any) -> Any:
        """`z` of one subject, at parameters `x` and `eta`; `covariates` `(segments,)` by name."""
        if self.by_segment:
            return jnp.concatenate([eta, x])
        theta = self.transform.unpack(x, self.population.theta)
        model = self.population.individual(theta, eta, {n: v[0] for n, v in covariates.items()})
        found = leaves(model)
        return jnp.stack([jnp.asarray(found[n], float) for n in self.active])

    def every(self, x: Any, eta: Any, design: Design) -> Any:
        """`z` of every subject, at `eta` `(subjects, etas)`."""
        return jax.vmap(lambda e, own: self.coordinates(x, e, own))(eta, design.covariates)

    def models(self, z: Any, x: Any, covariates: Any) -> AbstractModel:
        """Every subject's model, leaves `(subjects, segments)`."""
        if self.by_segment:
            etas = len(self.population.etas)

            def one(z: Any, own: Any) -> AbstractModel:
                theta = self.transform.unpack(z[etas:], self.population.theta)
                return jax.tree.map(lambda m: m[0], individuals(self.population, theta, z[None, :etas], own))

            return jax.vmap(lambda z, own: one(z, jax.tree.map(lambda v: v[None], own)))(z, covariates)
        theta = self.transform.unpack(x, self.population.theta)
        base = jax.tree.map(
            lambda m: jnp.broadcast_to(jnp.asarray(m, float), (z.shape[0],)),
            bind(self.population.model, _known(theta, self.population)),
        )
        model = bind(base, {n: z[:, i] for i, n in enumerate(self.active)})
        return jax.tree.map(lambda m: m[:, None], model)

    def solve(self, z: Any, x: Any, design: Design) -> tuple[Any, Any]:
        """Predictions `(subjects, samples)` of what was observed, and result codes."""
        problem = eqx.tree_at(lambda p: p.model, design.problem, self.models(z, x, design.covariates))
        solution = self.backend.solve(problem)
        return jax.vmap(select)(solution.output, design.observed.output), solution.result

    def local(self, z: Any, x: Any, design: Design, order: int) -> Local:
        """Value and derivatives in `z` up to `order` (0, 1 or 2)."""
        x = jax.lax.stop_gradient(x)
        basis = jnp.eye(z.shape[1])

        def value(z: Any) -> tuple[Any, Any]:
            return self.solve(z, x, design)

        def with_slope(function: Any, z: Any) -> tuple[Any, Any]:
            def one(direction: Any) -> tuple[Any, Any, Any]:
                return jax.jvp(function, (z,), (jnp.broadcast_to(direction, z.shape),), has_aux=True)

            f, slope, result = jax.vmap(one, out_axes=(None, -1, None))(basis)
            return (f, slope), result

        if order == 0:
            f, result = value(z)
            return Local(z, f, None, None, result)
        if order == 1:
            (f, slope), result = with_slope(value, z)
            return Local(z, f, slope, None, result)
        ((f, slope), (_, bend)), result = with_slope(lambda z: with_slope(value, z), z)
        return Local(z, f, slope, bend, result)


def _known(theta: Any, population: Population) -> dict[str, Any]:
    return {n: theta[n] for n in names(population.model) if n in theta}


def expand(local: Local, z: Any) -> Any:
    """One subject's predictions at `z` by the polynomial, `(samples,)`."""
    step = z - local.z
    f = local.value
    if local.slope is not None:
        f = f + local.slope @ step
    if local.bend is not None:
        f = f + 0.5 * jnp.einsum("tij,i,j->t", local.bend, step, step)
    return f
