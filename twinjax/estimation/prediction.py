"""Predictions of a population's subjects, and their exact derivatives as a local polynomial.

An estimator needs predictions, their slopes in eta and the slopes of those slopes. All come from one solve with
forward sensitivities in a few numbers per subject, `z`: the individual parameters that vary (each as often as it
changes in time), or eta and theta themselves, whichever are fewer. The solve is replaced by its polynomial of second
order (third, where a gradient needs it) about the current point, whose value and derivatives there are exact;
everything else is algebra that JAX differentiates in microseconds.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from twinjax.estimation.observed import Observations, select
from twinjax.estimation.transform import Transform
from twinjax.models.base import AbstractModel
from twinjax.naming import bind, leaves, names
from twinjax.population.cohort import individuals
from twinjax.population.population import Population
from twinjax.solve.dependence import movers
from twinjax.solve.problem import AbstractBackend, Problem


class Design(eqx.Module):
    """What is fixed while a population is fitted: subjects' doses, sampling times, covariates and measurements.

    `problem` is that of the subjects, whose model leaves are replaced; `covariates` `(subjects, segments)` by name.
    """

    problem: Problem
    observed: Observations
    covariates: dict[str, Any]


class Local(eqx.Module):
    """Predictions near a point: value `(subjects, samples)`, first, second and third derivatives in `z` there (None
    beyond the order asked for), and result codes.
    """

    z: Any
    value: Any
    slope: Any
    bend: Any
    twist: Any
    result: Any


class Predictor(eqx.Module):
    """Predictions of a population's subjects in terms of `z` `(subjects, directions)`.

    **Parameters**: `active`, the model's parameters that `z` holds, each with its place in time: None for one that is
    constant; `places`, how many of these there are (segments, or occasions if `by_occasion`); or, where fewer, `z` is
    eta and the estimated parameters that individuals depend on, whose indices in `x` are `structural` (none of them
    where nothing is estimated but eta).
    """

    population: Population
    transform: Transform
    backend: AbstractBackend
    active: tuple[tuple[str, int | None], ...] = eqx.field(static=True)
    places: int = eqx.field(static=True)
    by_occasion: bool = eqx.field(static=True)
    structural: tuple[int, ...] | None = eqx.field(static=True)

    @staticmethod
    def of(
        population: Population, transform: Transform, backend: AbstractBackend, design: Design, *, known: bool = False
    ) -> Predictor:
        """With the fewest directions that serve; `known`, where the population's parameters are, and only eta moves:
        then derivatives in them are neither carried nor compiled.
        """
        p, occasions = population, population.occasions
        if known:
            return Predictor(p, transform, backend, (), 1, False, ())
        own = names(p.model)
        varying = (
            set(p.scales) | set(p.effects) | set(transform.names) | set(occasions.variability if occasions else ())
        )
        active = tuple(n for n in own if n in varying) if p.write_out is None else own
        structural = tuple(i for i, n in enumerate(transform.names) if n not in p.residual_names)
        changing = {n for n, v in design.covariates.items() if _changes(v)}
        moving = {n for n, effects in p.effects.items() if any(e.covariate in changing for e in effects)}
        if occasions is not None and occasions.covariate in changing:
            moving |= set(occasions.variability)
        if p.write_out is not None:
            moving = set(own) if changing else set()
        if design.problem.segments == 1 or not moving:
            return Predictor(p, transform, backend, tuple((n, None) for n in active), 1, False, None)
        by_occasion = occasions is not None and changing <= {occasions.covariate}
        places = len(occasions.levels) if occasions is not None and by_occasion else design.problem.segments
        held = [(n, k) for n in active for k in (range(places) if n in moving else [None])]
        if len(p.etas) + len(structural) < len(held):
            return Predictor(p, transform, backend, (), 1, False, structural)
        return Predictor(p, transform, backend, tuple(held), places, by_occasion, None)

    def coordinates(self, x: Any, eta: Any, covariates: Any) -> Any:
        """`z` of one subject, at parameters `x` and `eta`; `covariates` `(segments,)` by name."""
        found = self._coordinates(x, eta, covariates)
        return jnp.stack(found) if found else jnp.zeros(0)

    def _coordinates(self, x: Any, eta: Any, covariates: Any) -> list[Any]:
        """One by one."""
        if self.structural is not None:
            return [*(eta[i] for i in range(len(self.population.etas))), *(x[i] for i in self.structural)]
        theta, p = self.transform.unpack(x, self.population.theta), self.population
        if self.places == 1:
            found = leaves(p.individual(theta, eta, {n: v[0] for n, v in covariates.items()}))
            return [jnp.asarray(found[n], float) for n, _ in self.active]
        at = dict(covariates)
        if self.by_occasion:
            assert p.occasions is not None
            at = {n: jnp.broadcast_to(v[0], (self.places,)) for n, v in covariates.items()}
            at[p.occasions.covariate] = jnp.asarray(p.occasions.levels)
        model = jax.vmap(lambda own: p.individual(theta, eta, own))(at)
        found = {n: jnp.broadcast_to(v, (self.places,)) for n, v in leaves(model).items()}
        return [found[n][k or 0] for n, k in self.active]

    def every(self, x: Any, eta: Any, design: Design) -> Any:
        """`z` of every subject, at `eta` `(subjects, etas)`."""
        return jax.vmap(lambda e, own: self.coordinates(x, e, own))(eta, design.covariates)

    def models(self, columns: Sequence[Any], x: Any, design: Design) -> AbstractModel:
        """Every subject's model, leaves `(subjects, segments)`, from the columns of `z`."""
        covariates, subjects = design.covariates, design.problem.patients
        if self.structural is not None:
            etas, where = len(self.population.etas), jnp.asarray(self.structural, int)

            def one(z: Any, own: Any) -> AbstractModel:
                theta = self.transform.unpack(x.at[where].set(z[etas:]), self.population.theta)
                return jax.tree.map(lambda m: m[0], individuals(self.population, theta, z[None, :etas], own))

            z = jnp.stack(columns, axis=1) if columns else jnp.zeros((subjects, 0))
            return jax.vmap(lambda z, own: one(z, jax.tree.map(lambda v: v[None], own)))(z, covariates)
        theta = self.transform.unpack(x, self.population.theta)
        base = jax.tree.map(
            lambda m: jnp.broadcast_to(jnp.asarray(m, float), (subjects,)),
            bind(self.population.model, _known(theta, self.population)),
        )
        if self.places == 1:
            model = bind(base, {n: column for (n, _), column in zip(self.active, columns, strict=True)})
            return jax.tree.map(lambda m: m[:, None], model)
        place = self._place(covariates)
        held: dict[str, list[Any]] = {}
        for (n, _), column in zip(self.active, columns, strict=True):
            held.setdefault(n, []).append(column)
        values = {
            n: jnp.take_along_axis(jnp.stack(own, axis=1), place * (len(own) > 1), axis=1) for n, own in held.items()
        }
        return bind(jax.tree.map(lambda m: jnp.broadcast_to(m[:, None], place.shape), base), values)

    def _place(self, covariates: Any) -> Any:
        """Which place in time each segment is, `(subjects, segments)`."""
        if self.by_occasion:
            assert self.population.occasions is not None
            occasion = covariates[self.population.occasions.covariate]
            return jnp.argmax(occasion[:, :, None] == jnp.asarray(self.population.occasions.levels), axis=2)
        subjects = next(iter(covariates.values())).shape[0]
        return jnp.broadcast_to(jnp.arange(self.places), (subjects, self.places))

    def solve(self, z: Any, x: Any, design: Design) -> tuple[Any, Any]:
        """Predictions `(subjects, samples)` of what was observed, and result codes."""
        return self._solve([z[:, i] for i in range(z.shape[1])], x, design)

    def _solve(self, columns: Sequence[Any], x: Any, design: Design) -> tuple[Any, Any]:
        model = self.models(columns, x, design)
        model = jax.tree.map(lambda m: jnp.broadcast_to(m, (m.shape[0], design.problem.segments)), model)
        problem = eqx.tree_at(lambda p: p.model, design.problem, model)
        solution = self.backend.solve(problem)
        return jax.vmap(select)(solution.output, design.observed), solution.result

    def local(self, z: Any, x: Any, design: Design, order: int, eta: int = 0) -> Local:
        """Value and derivatives in `z` up to `order` (0 to 3), of which `eta` are by random effects.

        What a gradient in the parameters needs of second derivatives is how slopes in eta move, not how those in
        parameters without a random effect do: with ``eta=1`` a second derivative has one of its two directions among
        those of `z` that eta moves. Others, and those in what neither eta nor the parameters move, are left at zero.
        """
        x = jax.lax.stop_gradient(x)
        moved, random = self._directions(x, design)
        columns = tuple(z[:, i] for i in range(z.shape[1]))
        taken = [random] * eta + [moved] * (order - eta)

        def value(*columns: Any) -> tuple[Any, Any]:
            f, result = self._solve(columns, x, design)
            return (f,), result

        for along in taken:
            value = _with_slope(value, along)
        found, result = value(*columns)
        whole = [_filled(d, taken[order - k - 1 :], z.shape[1]) for k, d in enumerate(found[1:])]
        slope, bend, twist = (*whole, None, None, None)[:3]
        return Local(z, found[0], slope, bend, twist, result)

    def _directions(self, x: Any, design: Design) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """The places in `z` of what parameters or random effects can move, and of what random effects can."""
        own = {n: jax.ShapeDtypeStruct(v.shape[1:], v.dtype) for n, v in design.covariates.items()}
        eta = jax.ShapeDtypeStruct((len(self.population.etas),), jnp.result_type(float))
        by = movers(jax.make_jaxpr(self._coordinates)(jax.ShapeDtypeStruct(x.shape, x.dtype), eta, own))
        return tuple(i for i, m in enumerate(by) if m & {0, 1}), tuple(i for i, m in enumerate(by) if 1 in m)


def _with_slope(function: Any, along: tuple[int, ...]) -> Any:
    """A function's value and its derivatives, each with one more by the arguments `along`, its last axis."""

    def extended(*columns: Any) -> tuple[Any, Any]:
        if not along:
            known, result = function(*columns)
            return (known[0], *(jnp.zeros((*k.shape, 0)) for k in known)), result

        def at(*own: Any) -> Any:
            every = list(columns)
            for i, column in zip(along, own, strict=True):
                every[i] = column
            return function(*every)

        def one(direction: Any) -> tuple[Any, Any, Any]:
            own = tuple(columns[i] for i in along)
            moves = tuple(jnp.broadcast_to(direction[k], c.shape) for k, c in enumerate(own))
            return jax.jvp(at, own, moves, has_aux=True)

        known, moved, result = jax.vmap(one, out_axes=(None, -1, None))(jnp.eye(len(along)))
        return (known[0], *moved), result

    return extended


def _filled(derivative: Any, along: Sequence[tuple[int, ...]], count: int) -> Any:
    """A derivative `(subjects, samples, ...)` by directions `along`, in all `count`, by symmetry where it is known."""
    if all(len(own) == count for own in along):
        return derivative
    whole = jnp.zeros((*derivative.shape[:2], *[count] * len(along)), derivative.dtype)
    for order in itertools.permutations(range(len(along))):
        where = np.ix_(*(along[k] for k in order))
        whole = whole.at[:, :, *where].set(jnp.transpose(derivative, (0, 1, *(2 + k for k in order))))
    return whole


def _changes(values: Any) -> bool:
    """Whether a covariate `(subjects, segments)` changes in time; one that is traced may."""
    return isinstance(values, Tracer) or bool(np.any(np.asarray(values) != np.asarray(values)[:, :1]))


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
    if local.twist is not None:
        f = f + jnp.einsum("tijk,i,j,k->t", local.twist, step, step, step) / 6.0
    return f
