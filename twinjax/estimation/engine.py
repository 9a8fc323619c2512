"""What is compiled once for a population and a trial, and called through a whole fit and its covariance."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from twinjax.estimation import hosts
from twinjax.estimation.buckets import buckets, together
from twinjax.estimation.likelihood import observations
from twinjax.estimation.methods.base import AbstractObjective, Evaluation
from twinjax.estimation.methods.classes import evaluate
from twinjax.estimation.prediction import Design, Predictor
from twinjax.estimation.priors import supported
from twinjax.estimation.transform import Transform
from twinjax.naming import resolve
from twinjax.population.cohort import covariate_table, subjects
from twinjax.population.distributions import AbstractDistribution
from twinjax.population.population import Population
from twinjax.population.subject import TrialData
from twinjax.solve.compiling import compiled
from twinjax.solve.problem import RESULTS, AbstractBackend
from twinjax.solve.simulate import choose, pose

_RIDGE = 1e-2
"""Of the largest diagonal entry, added to the guess at the curvature: no direction is taken to be flatter than that."""


_SAME = 1e-4
"""Modes whose joint -2 log densities differ by less are the same."""

_APART = 0.05
"""Standard deviations of a random effect by which two modes differ at least."""

_HOPE = 2.0
"""How much farther than foreseen a search from a rival mode may bring it: what is foreseen is rough."""

_MOST = 3
"""Rivals that are looked at, the most promising first."""


class AtModes(NamedTuple):
    """Subjects at their most probable modes: the evaluation there; whether any has `moved` from where it was searched;
    `rivals`, each the etas of all subjects `(subjects, etas)` with one of them at another mode, which a search from
    there may make the more probable one.
    """

    found: Evaluation
    moved: bool
    rivals: list[Any]


class Engine:
    """One compiled objective of one population and trial, reused for search, covariance and diagnostics."""

    def __init__(
        self,
        method: AbstractObjective,
        predictor: Predictor,
        design: Design,
        priors: Mapping[str, AbstractDistribution],
        ids: tuple[str, ...],
    ):
        self.method, self.predictor, self.design, self.priors, self.ids = method, predictor, design, dict(priors), ids
        self._parts = buckets(design)
        self.begin(jnp.zeros((design.problem.patients, len(predictor.population.etas))))

    @staticmethod
    def of(
        population: Population, trial: TrialData, method: AbstractObjective, priors: Mapping[str, AbstractDistribution],
        backend: AbstractBackend | None,
    ) -> Engine:  # fmt: skip
        """For a population, a trial and a method; chooses the backend and the directions of differentiation."""
        population, priors = (_traceable(known) for known in (population, dict(priors)))
        transform = Transform.of(population)
        observed = observations(population, trial)
        method.check(population, observed)
        problem = jax.tree.map(jnp.asarray, pose(subjects(population, trial)))  # moved to the device once
        backend = choose(problem, backend)
        design = Design(problem, observed, covariate_table(population, trial))
        named = {resolve(n, population.theta): d for n, d in priors.items()}
        supported(named, transform)
        return Engine(method, Predictor.of(population, transform, backend, design), design, named, trial.ids)

    @property
    def whole(self) -> bool:
        """Whether all subjects are in one table, on this host."""
        return len(self._parts) == 1 and hosts.share(len(self.ids)) is None

    def by(self, objective: AbstractObjective) -> Engine:
        """The same trial and population by another objective function."""
        objective.check(self.predictor.population, self.design.observed)
        return Engine(objective, self.predictor, self.design, self.priors, self.ids)

    def begin(self, eta: Any) -> None:
        """Search etas from these `(subjects, etas)`, now and after each `restart`."""
        self._given = jnp.asarray(eta)
        self.restart()

    def restart(self) -> None:
        """Forget the etas found so far, so that a start does not depend on the one before."""
        self.eta = self._given
        self._best: tuple[float, Any, Any] = (np.inf, None, None)

    def evaluate(self, x: Any) -> Evaluation:
        """Objective and gradient of every subject, etas searched from the last ones found.

        Where that search fails a subject's etas are searched on from where it ended, then from zero, so that no bad
        step of an optimiser leaves a trace; and at the best vector so far they are searched from those found there, so
        that it evaluates the same.
        """
        x = jnp.asarray(x)
        at_best = self._best[1] is not None and bool(jnp.array_equal(x, self._best[1]))
        found = self._from(x, self._best[2] if at_best else self.eta)
        lost = _lost(found)
        sound = np.all(np.isfinite(np.asarray(found.eta)), axis=1)
        for instead in (jnp.where(sound[:, None], found.eta, 0.0), 0.0) if self.method.conditional else ():
            if not lost.any():
                break
            again = self._from(x, jnp.where(lost[:, None], instead, found.eta))
            better = lost & ~_lost(again)
            found = _merged(better, again, found)
            lost &= ~better
        self.eta = jnp.where(lost[:, None], self.eta, found.eta)
        total = float(jnp.sum(found.objective))
        if total < self._best[0] and not lost.any():
            self._best = (total, x, self.eta)
        return found

    def at_modes(self, x: Any, eta: Any) -> AtModes:
        """At `x`, each subject at the most probable of several modes: that found from `eta`, from zero, and from a
        standard deviation off in every random effect.

        A search that follows a mode from where it started may follow the wrong one.
        """
        x = jnp.asarray(x)
        found, moved = self._from(x, jnp.asarray(eta)), False
        others = [found]
        for start in self._starts(x) if found.joint is not None else ():
            fresh = self._from(x, jnp.broadcast_to(start, self.eta.shape))
            better = ~_lost(fresh) & ~(np.asarray(fresh.joint) >= np.asarray(found.joint) - _SAME)
            found, moved = _merged(better, fresh, found), moved or bool(better.any())
            others.append(fresh)
        self.begin(found.eta)
        total = float(jnp.sum(found.objective))
        if np.isfinite(total) and not _lost(found).any():
            self._best = (total, x, found.eta)
        return AtModes(found, moved, _rivals(found, others, self._deviations(x)) if found.joint is not None else [])

    def _starts(self, x: Any) -> list[np.ndarray]:
        sd = self._deviations(x)
        return [np.zeros(len(sd)), *np.diag(sd), *-np.diag(sd)]

    def _deviations(self, x: Any) -> np.ndarray:
        """Standard deviations of the random effects at `x`, `(etas,)`."""
        p = self.predictor.population
        return np.sqrt(np.diag(np.asarray(p.omega(self.predictor.transform.unpack(x, p.theta)))))

    def _from(self, x: Any, eta: Any) -> Evaluation:
        """Etas searched from these; each host has its share of the subjects."""
        found = [self._part(x, jnp.broadcast_to(eta, self.eta.shape)[own], design) for own, design in self._parts]
        return together(found, [own for own, _ in self._parts])

    def _part(self, x: Any, eta: Any, design: Design) -> Evaluation:
        own, subjects = hosts.share(len(eta)), len(eta)
        if own is None:
            return _evaluate(self.method, self.predictor, design, x, eta)
        design, eta = jax.tree.map(lambda leaf: leaf[own], (design, eta))
        return hosts.gathered(_evaluate(self.method, self.predictor, design, x, eta), subjects)

    def gradient(self, x: Any, evaluation: Evaluation) -> np.ndarray:
        """The total gradient, priors included."""
        return np.asarray(jnp.sum(evaluation.gradient, axis=0)) + self.prior(x)[1]

    def __call__(self, x: np.ndarray) -> tuple[float, np.ndarray]:
        """The total objective and gradient; +inf where a subject cannot be solved."""
        found = self.evaluate(x)
        total, prior = float(jnp.sum(found.objective)), self.prior(x)
        return (total + prior[0] if np.isfinite(total) else np.inf), np.asarray(
            jnp.sum(found.gradient, axis=0)
        ) + prior[1]

    def curvature(self, x: np.ndarray) -> np.ndarray | None:
        """Half the sum of products of the subjects' gradients: near an optimum, and in large trials, the second
        derivative of the objective (BHHH); a ridge makes it positive definite where there are few subjects.

        **Reference**: Berndt, Hall, Hall & Hausman 1974, Annals of Economic and Social Measurement 3:653.
        """
        return _products(self.evaluate(x))

    @property
    def traced(self) -> Callable[[Any], tuple[Any, Any]]:
        """The same inside a compiled program, etas searched from those that it was to begin from."""
        return eqx.Partial(_traced, self.method, self.predictor, self.design, self.priors, self._given)

    def prior(self, x: Any) -> tuple[float, np.ndarray]:
        """-2 log density of the priors at `x`, and its gradient."""
        if not self.priors:
            return 0.0, np.zeros(len(x))
        f, g = _prior(self.priors, self.predictor.transform, self.predictor.population.theta, jnp.asarray(x))
        return float(f), np.asarray(g)

    def check(self, x: np.ndarray) -> None:
        """Raise `RuntimeError` naming the subjects that cannot be evaluated at `x`."""
        found = self.evaluate(x)
        bad = ~np.isfinite(np.asarray(found.objective))
        if bad.any():
            lines = [f"{self.ids[i]}: {RESULTS[int(found.result[i])]}" for i in np.flatnonzero(bad)[:10]]
            raise RuntimeError(
                f"{bad.sum()} of {len(bad)} subjects cannot be evaluated at the starting values; start nearer, or look "
                "at their data:\n  " + "\n  ".join(lines)
            )


def _traceable(known: Any) -> Any:
    """The same with arrays for numbers: a Python number would be part of the program, another for every start."""
    return jax.tree.map(lambda leaf: jnp.asarray(leaf, float) if isinstance(leaf, int | float) else leaf, known)


def _lost(found: Evaluation) -> np.ndarray:
    """The subjects whose etas or objective were not found, `(subjects,)`."""
    finite = np.isfinite(np.asarray(found.objective)) & np.all(np.isfinite(np.asarray(found.eta)), axis=1)
    return ~(finite & np.asarray(found.settled))


def _products(found: Evaluation) -> np.ndarray | None:
    """The guess at the curvature, `(free, free)`."""
    slopes = np.asarray(found.gradient)
    products = 0.5 * slopes.T @ slopes
    scale = np.diag(products).max(initial=0.0)
    return products + _RIDGE * scale * np.eye(len(products)) if np.isfinite(scale) and scale > 0 else None


def _rivals(best: Evaluation, others: list[Evaluation], sd: np.ndarray) -> list[Any]:
    """Of each subject the most probable mode but its best, where a search from there may make it the best.

    Where a subject changes to a mode whose slope in the parameters is d more, a search moves them by -H^-1 d, with H
    the curvature, which lowers that mode's -2 log density by d' H^-1 d more than the other's: it has to make up for
    the distance between the two. In a large trial no one subject moves the parameters by much, and few are rivals.
    """
    curvature = _products(best)
    if curvature is None:
        return []
    above = []
    for other in others:
        apart = np.abs(np.asarray(other.eta) - np.asarray(best.eta)) > _APART * sd
        rival = ~_lost(other) & apart.any(axis=1)
        above.append(np.where(rival, np.asarray(other.joint) - np.asarray(best.joint), np.inf))
    which, least = np.argmin(above, axis=0), np.min(above, axis=0)
    there = np.stack([np.asarray(other.gradient) for other in others])[which, np.arange(len(which))]
    steeper = there - np.asarray(best.gradient)
    gained = np.einsum("si,is->s", steeper, np.linalg.solve(curvature, steeper.T))
    short = np.where(np.isfinite(least) & (gained > 0), least / np.where(gained > 0, gained, 1.0), np.inf)
    close = [i for i in np.argsort(short, kind="stable")[:_MOST] if short[i] < _HOPE]
    return [best.eta.at[i].set(others[which[i]].eta[i]) for i in close]


def _merged(which: np.ndarray, one: Evaluation, other: Evaluation) -> Evaluation:
    """One evaluation for some subjects, another for the rest."""
    return jax.tree.map(lambda a, b: jnp.where(which.reshape((-1,) + (1,) * (a.ndim - 1)), a, b), one, other)


@compiled
def _evaluate(method: AbstractObjective, predictor: Predictor, design: Design, x: Any, eta: Any) -> Evaluation:
    return evaluate(method, predictor, design, x, eta)


def _traced(method: Any, predictor: Predictor, design: Design, priors: Any, eta: Any, x: Any) -> tuple[Any, Any]:
    found = evaluate(method, predictor, design, x, eta)
    f, g = _prior(priors, predictor.transform, predictor.population.theta, x)
    return jnp.sum(found.objective) + f, jnp.sum(found.gradient, axis=0) + g


@compiled
def _prior(priors: dict[str, AbstractDistribution], transform: Transform, theta: Any, x: Any) -> tuple[Any, Any]:
    def penalty(x: Any) -> Any:
        values = transform.unpack(x, theta)
        return -2.0 * sum((d.log_density(values[n]) for n, d in priors.items()), jnp.zeros(()))

    return jax.value_and_grad(penalty)(x)
