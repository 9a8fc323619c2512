"""The M-step of stochastic EM: every parameter by the shortest way that its place in the model allows.

- centred (typical values and covariate coefficients that enter as ``phi = eta + C x``): generalised least squares;
- Omega: the second moments of phi about its mean;
- probabilities of a mixture's classes: their means given the data;
- an additive, proportional or log-normal error of quantified values: the mean square;
- everything else (no random effect, combined errors, censored values): a Newton step along the gradient of the
  complete data, whose conditional mean is the gradient of the likelihood (Fisher's identity). Its curvature is that of
  predictions linear in the parameters, corrected by how the gradient changed along the last steps, at the same draws:
  where several parameters bend a prediction alike, the first says next to nothing of the differences between them.

Of a mixture every subject takes part once in each class, as much as that class is probable at its draws (Lavielle &
Mbogning 2014, doi:10.1007/s11222-013-9396-2): `members` are subjects, class after class.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from twinjax.estimation.centring import centring
from twinjax.estimation.chains import Chains
from twinjax.estimation.likelihood import Observations, moments, terms, transformed
from twinjax.estimation.methods.classes import log_shares
from twinjax.estimation.prediction import Design, Predictor
from twinjax.estimation.small import inverse, log_determinant
from twinjax.models.base import output_names
from twinjax.observation import Additive, LogNormalError, Proportional
from twinjax.population.distributions import AbstractDistribution
from twinjax.population.variability import BoxCoxScale, LogScale

_CLOSED = {Additive: "additive", Proportional: "proportional", LogNormalError: "lognormal"}
_LONGEST = 0.3
"""The longest Newton step in an unconstrained parameter, 35 % for positive ones."""
_KEPT = 0.95
"""Of what the last steps met of curvature, from one iteration to the next, as parameters move on."""
_WIDER = 1.35
"""The most that a residual error grows in an iteration while variances cool: one bad step of the rest cannot turn all
data into noise.
"""
_SMALLEST = 1e-5
"""The least standard deviation of a random effect: Omega stays invertible where one goes to zero."""
_FEWEST = 1e-6
"""The least probability of a mixture's class, whose logarithm is a number."""


class Split(eqx.Module):
    """Which way each free parameter goes: indices in the vector.

    **Parameters**: `centre` `(members, etas, centred)`; `closed`, index and output of each error with a mean square;
    `reaching`, those of `general` that reach the predictions.
    """

    centre: Any
    centred: tuple[int, ...] = eqx.field(static=True)
    closed: tuple[tuple[int, str], ...] = eqx.field(static=True)
    general: tuple[int, ...] = eqx.field(static=True)
    reaching: tuple[int, ...] = eqx.field(static=True)

    @staticmethod
    def of(predictor: Predictor, design: Design, x: np.ndarray) -> Split:
        """Found from derivatives (`centring`) and the kinds of residual error; `design` is of every class."""
        population, transform = predictor.population, predictor.transform
        c, reaches = centring(predictor, design, x)
        count = len(transform.names)
        centred = tuple(i for i in range(count) if np.any(c[:, :, i] != 0.0))
        closed, errors = [], population.errors(population.theta)
        for output, error in errors.residuals.items():
            name = f"{output}.{_CLOSED.get(type(error), '')}"
            plain = not design.observed.censoring and output not in errors.correlated | errors.above_zero
            plain &= isinstance(population.scales.get(name, LogScale(0.0)), LogScale | BoxCoxScale)  # a factor
            if name in transform.names and plain:
                closed.append((transform.names.index(name), output))
        done = {*centred, *(i for i, _ in closed)}
        general = tuple(i for i in range(count) if i not in done)
        return Split(
            jnp.asarray(c[:, :, list(centred)]), centred, tuple(closed), general,
            tuple(i for i in general if reaches[i]),
        )  # fmt: skip


class Statistics(eqx.Module):
    """What the M-step needs of the draws, averaged over iterations.

    **Parameters**: `share` `(members,)`, how probable the class is; `first` `(members, etas)` and `second` `(members,
    etas, etas)`, conditional moments of phi in it, times that; `squares` and `counts` `(closed,)`, mean squared
    standardised residuals and of how many; `curvature` and `rest` `(general, general)`, that of predictions
    linear in the parameters and what the last steps met beyond it.
    """

    share: Any
    first: Any
    second: Any
    squares: Any
    counts: Any
    curvature: Any
    rest: Any

    @staticmethod
    def none(split: Split) -> Statistics:
        """Before the first draw."""
        members, etas, _ = split.centre.shape
        closed, square = jnp.zeros(len(split.closed)), jnp.zeros((len(split.general), len(split.general)))
        first, second = jnp.zeros((members, etas)), jnp.zeros((members, etas, etas))
        return Statistics(jnp.zeros(members), first, second, closed, closed, square, square)

    def moments(self, mu: Any, subjects: int) -> tuple[Any, Any]:
        """Conditional mean `(subjects, etas)` and variance of each random effect, phi less its mean `mu`."""
        mean = self.first - self.share[:, None] * mu
        square = jnp.diagonal(self.second, axis1=1, axis2=2) - 2.0 * self.first * mu + self.share[:, None] * mu * mu
        mean, square = (a.reshape(-1, subjects, a.shape[1]).sum(axis=0) for a in (mean, square))
        return mean, jnp.maximum(square - mean * mean, 0.0)


def centre(split: Split, x: Any) -> Any:
    """Means of phi, `(members, etas)`."""
    return split.centre @ x[jnp.asarray(split.centred, int)]


def maximise(
    predictor: Predictor,
    design: Design,
    split: Split,
    priors: Mapping[str, AbstractDistribution],
    x: Any,
    chains: Chains,
    past: Statistics,
    gain: Any,
    cooling: Any,
) -> tuple[Any, Statistics]:
    """New parameters and statistics.

    **Parameters**: `design`, a row for every class and chain; `gain`, the weight of this iteration's draws; `cooling`,
    standard deviations shrink by no more than this factor (simulated annealing; 0 for no limit).
    **Reference**: Delyon, Lavielle & Moulines 1999, doi:10.1214/aos/1018031103.
    """
    subjects, etas = chains.mean.shape
    weight = chains.weight.reshape(-1, subjects, chains.eta.shape[0] // subjects)  # (classes, subjects, chains)
    weight = weight / jnp.maximum(jnp.sum(chains.solved.reshape(weight.shape).any(axis=0), axis=1), 1)[:, None]
    classes = weight.shape[0]
    weight = weight.reshape(classes * subjects, -1)  # (members, chains)
    phi = jnp.tile(chains.eta.reshape(subjects, -1, etas), (classes, 1, 1)) + centre(split, x)[:, None]
    slope, new_curvature, _ = _newton(predictor, design, split, x, chains, weight.reshape(-1))
    now = Statistics(
        jnp.sum(weight, axis=1), jnp.einsum("sc,sci->si", weight, phi), jnp.einsum("sc,sci,scj->sij", weight, phi, phi),
        *_squares(predictor, design, split, x, chains, weight.reshape(-1)), new_curvature,
        past.rest,
    )  # fmt: skip
    stats = jax.tree.map(lambda old, new: old + gain * (new - old), past, now)
    found = _closed_form(predictor, split, x, stats, subjects, cooling)
    if split.general:
        at = jnp.asarray(split.general)
        known = _definite(stats.curvature + past.rest)
        g, h = slope, known
        if priors:
            by, twice = _prior(predictor, priors, x)
            g, h = g + by[at], h + twice[at][:, at]
        step = -gain * _step(g, h)
        found = found.at[at].set(x[at] + step)
        if split.reaching:
            there, _, sound = _newton(predictor, design, split, x.at[at].add(step), chains, weight.reshape(-1))
            met = jnp.where(sound, _corrected(known, step, there - slope), known) - stats.curvature
            stats = eqx.tree_at(lambda s: s.rest, stats, _KEPT * met)
    if priors:
        found = _with_priors(predictor, split, priors, found, stats, subjects)
    return found, stats


def _closed_form(predictor: Predictor, split: Split, x: Any, stats: Statistics, subjects: int, cooling: Any) -> Any:
    """Centred parameters, Omega, shares and plain errors at the maximum of what the statistics say."""
    transform, theta = predictor.transform, predictor.population.theta
    at = jnp.asarray(split.centred, int)
    if split.centred:
        values = transform.unpack(x, theta)
        weighed = jnp.einsum("ska,kl->sla", split.centre, inverse(predictor.population.omega(values)))
        normal = jnp.einsum("s,sla,slb->ab", stats.share, weighed, split.centre)
        normal = normal + 1e-12 * jnp.diag(jnp.diag(normal))
        x = x.at[at].set(jnp.linalg.solve(normal, jnp.einsum("sla,sl->a", weighed, stats.first)))
    values = transform.unpack(x, theta)
    covariance = _about(split, x, stats) / subjects
    deviations = predictor.population.deviations
    for block in transform.blocks:
        places = [[i for i, d in enumerate(deviations) if d == f"omega.{n}"] for n in block]
        each = [jnp.asarray(k) for k in zip(*places, strict=True)]  # one a level: occasions share their Omega
        part = sum((covariance[jnp.ix_(k, k)] for k in each), jnp.zeros(())) / len(each)
        raw = jnp.sqrt(jnp.maximum(jnp.diag(part), _SMALLEST**2))
        correlation = part / raw[:, None] / raw[None, :]
        for i, a in enumerate(block):
            values[f"omega.{a}"] = jnp.maximum(raw[i], cooling * values[f"omega.{a}"])
            for j in range(i + 1, len(block)):
                values[f"corr.{a}.{block[j]}"] = correlation[i, j] * (1.0 - 1e-9)
    shares = jnp.mean(stats.share.reshape(-1, subjects), axis=1)
    shares = jnp.maximum(shares, _FEWEST)
    values |= {n: shares[k] / jnp.sum(shares) for k, n in enumerate(transform.shares)}
    for n, (i, _) in enumerate(split.closed):
        name = transform.names[i]
        most = jnp.where(cooling > 0, _WIDER * values[name], jnp.inf)
        values[name] = jnp.clip(jnp.sqrt(jnp.maximum(stats.squares[n], 1e-300)), cooling * values[name], most)
    return transform.pack(values) if transform.reported else x


def _about(split: Split, x: Any, stats: Statistics) -> Any:
    """Sum over subjects of the conditional second moment of eta = phi - C x, `(etas, etas)`."""
    mu = centre(split, x)
    cross = stats.first.T @ mu
    return jnp.sum(stats.second, axis=0) - cross - cross.T + (stats.share[:, None] * mu).T @ mu


def _squares(
    predictor: Predictor, design: Design, split: Split, x: Any, chains: Chains, weight: Any
) -> tuple[Any, Any]:
    """Mean of ``(y - f)^2 / h(f)^2`` for each error whose variance is ``s^2 h(f)^2``, and of how many values."""
    if not split.closed:
        return jnp.zeros(0), jnp.zeros(0)
    p = predictor.population
    outputs = output_names(p.model)
    theta = predictor.transform.unpack(x, p.theta)
    safe = jnp.where(chains.solved[:, None] & jnp.isfinite(chains.f), chains.f, 1.0)

    def one(o: Observations, f: Any, eta: Any) -> tuple[Any, Any]:
        errors = p.errors(theta, eta)
        m = moments(errors, outputs, o, f)
        there = o.there & (m.variance > 0)
        value = transformed(errors, outputs, o, jnp.where(o.there, o.value, 1.0))
        ratio = jnp.where(there, jnp.square(value - m.mean) / jnp.where(there, m.variance, 1.0), 0.0)
        return ratio, there

    ratio, there = jax.vmap(one)(design.observed, safe, _each(chains, safe))
    found, counts = [], []
    for i, output in split.closed:
        own = (design.observed.output == outputs.index(output)) * there * weight[:, None]
        counts.append(jnp.sum(own))
        sd = theta[predictor.transform.names[i]]
        found.append(jnp.square(sd) * jnp.sum(own * ratio) / jnp.maximum(counts[-1], 1e-12))
    return jnp.stack(found), jnp.stack(counts)


def _each(chains: Chains, f: Any) -> Any:
    """Random effects of every row of predictions: those of every class."""
    return jnp.tile(chains.eta, (f.shape[0] // chains.eta.shape[0], 1))


def _newton(
    predictor: Predictor, design: Design, split: Split, x: Any, chains: Chains, weight: Any
) -> tuple[Any, Any, Any]:
    """Gradient and curvature of the complete data's -2 log L in the general parameters, eta held; whether all draws
    that are solved where they were made are solved at `x`.
    """
    if not split.general:
        return jnp.zeros(0), jnp.zeros((0, 0)), jnp.array(True)
    p, outputs, f = predictor.population, output_names(predictor.population.model), chains.f
    slope = jnp.zeros((*f.shape, 0))
    if split.reaching:

        def solve(x: Any) -> Any:
            return predictor.solve(predictor.every(x, _each(chains, f), design), x, design)[0]

        basis = jnp.eye(len(x))[jnp.asarray(split.reaching)]
        f, slope = jax.vmap(lambda d: jax.jvp(solve, (x,), (d,)), out_axes=(None, -1))(basis)
    lost = chains.solved & jnp.any(~jnp.isfinite(f) & design.observed.there, axis=1)
    f = jnp.where(chains.solved[:, None], f, 1.0)
    slope = jnp.where(jnp.isfinite(slope) & chains.solved[:, None, None], slope, 0.0)
    into = jnp.eye(len(x))[:, jnp.asarray(split.general)]
    rank = jnp.asarray([split.general.index(i) for i in split.reaching], int)

    def one(o: Observations, f: Any, slope: Any, eta: Any) -> tuple[Any, Any]:
        def objective(step: Any) -> Any:
            errors = p.errors(predictor.transform.unpack(x + into @ step, p.theta), eta)
            return jnp.sum(terms(errors, outputs, o, f + slope @ step[rank]).objective)

        zero = jnp.zeros(len(split.general))
        return jax.grad(objective)(zero), jax.hessian(objective)(zero)

    g, h = jax.vmap(one)(design.observed, f, slope, _each(chains, f))
    g, h = (jnp.where(jnp.isfinite(a), a, 0.0) for a in (g, h))
    return jnp.einsum("r,ri->i", weight, g), jnp.einsum("r,rij->ij", weight, h), ~jnp.any(lost)


def _corrected(curvature: Any, moved: Any, bent: Any) -> Any:
    """A positive definite curvature made to agree with how the gradient changed along a step, where it rose: BFGS's
    update, which stays so.
    """
    expected = curvature @ moved
    ours, theirs = moved @ expected, moved @ bent
    rose = (theirs > 1e-8 * jnp.sqrt((moved @ moved) * (bent @ bent))) & (ours > 0)
    more = jnp.outer(bent, bent) / jnp.where(rose, theirs, 1.0)
    return curvature + jnp.where(rose, more - jnp.outer(expected, expected) / jnp.where(rose, ours, 1.0), 0.0)


def _axes(h: Any) -> tuple[Any, Any, Any]:
    """Eigenvalues and vectors of a curvature in units in which its diagonal is one, and these units; none of the values
    negative or next to nothing.
    """
    scale = jnp.sqrt(jnp.maximum(jnp.abs(jnp.diag(h)), 1e-12))
    values, vectors = jnp.linalg.eigh(h / scale[:, None] / scale[None, :])
    return jnp.maximum(jnp.abs(values), 1e-3), vectors, scale


def _definite(h: Any) -> Any:
    """A positive definite curvature in place of one that may be none."""
    values, vectors, scale = _axes(h)
    return scale[:, None] * (vectors * values @ vectors.T) * scale[None, :]


def _step(g: Any, h: Any) -> Any:
    """A Newton step, downhill though the curvature be negative, and not too long along any of its axes: one that is
    nearly flat takes nothing from the others.
    """
    values, vectors, scale = _axes(h)
    each = vectors / scale[:, None] * (vectors.T @ (g / scale) / values)
    step = jnp.sum(each * jnp.minimum(1.0, _LONGEST / jnp.maximum(jnp.max(jnp.abs(each), axis=0), 1e-12)), axis=1)
    return step * jnp.minimum(1.0, _LONGEST / jnp.maximum(jnp.max(jnp.abs(step)), 1e-12))


def _prior(predictor: Predictor, priors: Mapping[str, AbstractDistribution], x: Any) -> tuple[Any, Any]:
    """Gradient and second derivative of -2 log density of the priors."""

    def penalty(x: Any) -> Any:
        values = predictor.transform.unpack(x, predictor.population.theta)
        return -2.0 * sum((d.log_density(values[n]) for n, d in priors.items()), jnp.zeros(()))

    return jax.grad(penalty)(x), jax.hessian(penalty)(x)


def _with_priors(
    predictor: Predictor, split: Split, priors: Mapping[str, AbstractDistribution], x: Any, stats: Statistics,
    subjects: int,
) -> Any:  # fmt: skip
    """Centred parameters, Omega, shares and plain errors moved from their closed form to where the priors draw them."""
    population, transform = predictor.population, predictor.transform
    own = [i for i in range(len(x)) if i not in split.general]
    into = jnp.eye(len(x))[:, jnp.asarray(own, int)]

    def objective(step: Any) -> Any:
        moved = x + into @ step
        values = transform.unpack(moved, population.theta)
        omega = population.omega(values)
        total = subjects * log_determinant(omega) + jnp.sum(inverse(omega) * _about(split, moved, stats))
        for n, (i, _) in enumerate(split.closed):
            sd = values[transform.names[i]]
            total = total + stats.counts[n] * (stats.squares[n] / jnp.square(sd) + 2.0 * jnp.log(sd))
        if transform.shares:
            total = total - 2.0 * stats.share.reshape(-1, subjects).sum(axis=1) @ log_shares(predictor, moved)
        return total - 2.0 * sum((d.log_density(values[k]) for k, d in priors.items()), jnp.zeros(()))

    def turn(_: Any, step: Any) -> Any:
        return step - _step(jax.grad(objective)(step), jax.hessian(objective)(step))

    return x + into @ jax.lax.fori_loop(0, 4, turn, jnp.zeros(len(own)))
