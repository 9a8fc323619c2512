"""Monte Carlo EM by importance sampling: maximum likelihood without linearising anything."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from twinjax.estimation.engine import Engine
from twinjax.estimation.evidence.protocol import AbstractEvidence
from twinjax.estimation.evidence.uncertainty import judged
from twinjax.estimation.methods.algorithm import AbstractAlgorithm, Estimate, Task
from twinjax.estimation.methods.base import AbstractObjective
from twinjax.estimation.methods.classes import designs, mixed, of_most_probable
from twinjax.estimation.methods.importance import ImportanceSampling, Proposal
from twinjax.estimation.methods.mode import AbstractConditional, Modes
from twinjax.estimation.methods.points import joint_at, scale, solved
from twinjax.estimation.prediction import Design, Local, Predictor
from twinjax.population.population import Population
from twinjax.solve.compiling import compiled

_STEP = 1e-3
"""Step of the central differences of the gradient, in unconstrained parameters."""
_LONGEST = 0.5
"""The longest step in an unconstrained parameter, as a share of its size where that is above 1."""
_SHORTEST = 1.0 / 16
"""The least share of a step that is taken where steps turn back on themselves."""


@dataclasses.dataclass(frozen=True)
class Averages(AbstractEvidence):
    """How an EM search ended.

    **Parameters**: `iterates` `(iterations, free)`; `window`, over how many they are averaged; `moved`, by how much two
    averages in a row differ at the end, in standard errors, at most; `tolerance` of that.
    """

    iterates: np.ndarray
    window: int
    moved: float
    tolerance: float

    @property
    def statement(self) -> str:
        """When they no longer move."""
        return f"Converged: averages of {self.window} iterates in a row differ by {self.moved:.2g} standard errors."

    @property
    def doubts(self) -> tuple[str, ...]:
        """When they still do."""
        if self.moved <= self.tolerance:
            return ()
        return (
            f"Not converged: after {len(self.iterates)} iterations, averages of {self.window} in a row still differ by "
            f"{self.moved:.2g} standard errors. Take more steps, or more samples.",
        )


class Expectation(eqx.Module):
    """What an E-step finds.

    **Parameters**: `objective` `(subjects,)`; `gradient` `(subjects, free)` of it; `eta`, the modes; `second`
    `(subjects, etas, etas)`, moments about zero of the random effects given the data; `classes` `(classes, subjects)`,
    how probable each class of a mixture is, None without one.
    """

    objective: Any
    gradient: Any
    eta: Any
    second: Any
    classes: Any = None


class ImportanceEM(AbstractAlgorithm):
    """Maximum likelihood by EM whose expectations are taken by importance sampling about each subject's mode.

    An iteration draws random effects anew. Omega's blocks that are estimated (and have no prior) become their second
    moments given the data, and the probabilities of a mixture's classes their means, the closed forms; every other
    parameter takes a Newton step along the gradient of the
    marginal likelihood as the draws have it. Draws move with the mode and the curvature, whose part in the gradient is
    zero in expectation: it is Fisher's identity (the conditional mean of the complete data's gradient) with far less
    variance. So parameters need neither random effects nor a form that is linear in them. Second derivatives are
    differences of that gradient at the same draws, renewed every `window` iterations; at first, and where they are not
    positive definite, the subjects' gradients' products stand in. Where a step turns back on the one before, steps
    become shorter, and longer again where they agree.

    The search ends where averages of `window` iterates no longer differ from those before by more than `tolerance`
    standard errors, nor the iterates among themselves by more than ten times that; their average is the estimate,
    evaluated by `final`.

    **Parameters**: `samples` of each subject in an iteration; `max_steps`; `window`; `tolerance`; `proposal`, where
    they are drawn; `final`, how the objective at the estimates is evaluated.
    **Reference**: Wei & Tanner 1990, doi:10.1080/01621459.1990.10474930; Lange 1995,
    doi:10.1111/j.2517-6161.1995.tb02037.x (gradient steps); Kesten 1958, doi:10.1214/aoms/1177706705 (their length).
    """

    conditional: ClassVar[bool] = True
    mixtures: ClassVar[bool] = True
    samples: int = eqx.field(static=True, default=256)
    max_steps: int = eqx.field(static=True, default=200)
    window: int = eqx.field(static=True, default=10)
    tolerance: float = eqx.field(static=True, default=0.05)
    proposal: Proposal = eqx.field(default_factory=Proposal)
    final: ImportanceSampling = eqx.field(default_factory=ImportanceSampling)

    @property
    def objective(self) -> AbstractObjective:
        """Its proposal's."""
        return self.proposal.about

    def estimate(self, task: Task) -> Estimate:
        """Search from `task.x`."""
        engine = task.engine
        engine.eta = jnp.asarray(task.eta)
        engine.check(task.x)
        x, path, r = np.array(task.x, float), [], None
        moved, before, share, last = np.inf, x, 1.0, np.zeros_like(x)
        for step in range(1, self.max_steps + 1):
            found = self._expect(engine, x, task.seed, step)
            if found is None:  # a step into what cannot be solved
                x = 0.5 * (x + before)
                continue
            prior, slope = engine.prior(x)
            gradient = np.asarray(found.gradient)
            task.watch(step, x, float(np.sum(found.objective)) + prior, np.sum(gradient, axis=0) + slope)
            if step > 1 and len(path) % self.window == 2:
                r = self._information(engine, x, task.seed, step)
            products = 0.25 * gradient.T @ gradient
            matrix = r if r is not None and _definite(r) else products
            change, general = _stepped(engine, x, found, matrix)
            turn = _agreement(change * general, last, matrix)
            share = max(_SHORTEST, 0.5 * share) if turn < -0.3 else min(1.0, 1.5 * share) if turn > 0.3 else share
            last = change * general
            before, x = x, x + np.where(general, share, 1.0) * change
            path.append(x)
            if len(path) >= 2 * self.window:
                moved = _moved(np.array(path), matrix, self.window)
                if moved <= self.tolerance:
                    break
        x = np.mean(path[-self.window :], axis=0) if path else x
        last = self.final.evaluate(engine, x, task.seed)
        averages = Averages(np.array(path), self.window, float(moved), self.tolerance)
        last = dataclasses.replace(last, evidence=dataclasses.replace(last.evidence, before=averages))
        found = self._expect(engine, x, task.seed, 0)
        if not task.covariance or found is None:
            return last
        half = 0.5 * np.asarray(found.gradient)
        known = judged(engine, x, self._information(engine, x, task.seed, 0), half.T @ half)
        return dataclasses.replace(last, uncertainty=known)

    def _expect(self, engine: Engine, x: np.ndarray, seed: int, step: int) -> Expectation | None:
        """One E-step; None where a subject cannot be evaluated."""
        subjects, etas = engine.eta.shape
        stream = np.random.SeedSequence(seed, spawn_key=(1_000_000 + step,))
        standard, density = self.proposal.draw(subjects, self.samples, etas, stream)
        each = [
            _expectation(
                self.proposal.about, engine.predictor, design, jnp.asarray(x), engine.eta, jnp.asarray(standard),
                jnp.asarray(density),
            )
            for design in designs(engine.predictor, engine.design)
        ]  # fmt: skip
        found = each[0] if len(each) == 1 else _together(engine.predictor, jnp.asarray(x), each)
        if not (np.all(np.isfinite(found.objective)) and np.all(np.isfinite(found.gradient))):
            return None
        engine.eta = found.eta
        return found

    def _information(self, engine: Engine, x: np.ndarray, seed: int, step: int) -> np.ndarray:
        """Half the second derivatives of the objective, by central differences at one step's draws; NaN where a
        difference cannot be evaluated.
        """
        rows = []
        for k in range(len(x)):
            each = []
            for sign in (1.0, -1.0):
                moved = np.array(x)
                moved[k] += sign * _STEP
                found = self._expect(engine, moved, seed, step)
                if found is None:
                    return np.full((len(x), len(x)), np.nan)
                each.append(np.sum(np.asarray(found.gradient), axis=0) + engine.prior(moved)[1])
            rows.append((each[0] - each[1]) / (2 * _STEP))
        return 0.25 * (np.array(rows) + np.array(rows).T)


@compiled
def _expectation(
    about: AbstractConditional, predictor: Predictor, design: Design, x: Any, eta: Any, standard: Any, density: Any
) -> Expectation:
    modes = about.modes(predictor, design, x, eta)
    at = jax.vmap(lambda m, u: scale(about, predictor, x, m)(u))(modes, standard)
    local, good = solved(predictor, design, x, at, order=1)

    def subject(x: Any, m: Modes, u: Any, density: Any, local: Local, good: Any) -> tuple[Any, Any]:
        placed = scale(about, predictor, x, m)
        eta = placed(u)
        joint = joint_at(predictor, x, eta, local, good, m.case.observed, m.case.covariates)
        log_w = -0.5 * joint - density - 0.5 * placed.log_determinant
        total = jax.nn.logsumexp(log_w)
        share = jnp.exp(log_w - total)
        return -2.0 * (total - jnp.log(log_w.shape[0])), (share[:, None] * eta).T @ eta

    by = jax.vmap(jax.value_and_grad(subject, has_aux=True), in_axes=(None, 0, 0, 0, 0, 0))
    (value, second), gradient = by(x, modes, standard, density, local, good)
    return Expectation(value, gradient, modes.eta, second)


def _together(predictor: Predictor, x: Any, each: list[Expectation]) -> Expectation:
    """A mixture's, from its classes'."""
    parts = jax.tree.map(lambda *a: jnp.stack(a), *each)
    value, gradient, weight = mixed(predictor, x, parts.objective, parts.gradient)
    second = jnp.einsum("ks,ksij->sij", weight, parts.second)
    return Expectation(value, gradient, of_most_probable(weight, parts.eta), second, weight)


def _stepped(engine: Engine, x: np.ndarray, found: Expectation, matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The M-step as a difference, and which of it are Newton steps; `matrix` is half the second derivatives of the
    objective, or in their place.
    """
    transform, population = engine.predictor.transform, engine.predictor.population
    theta = transform.unpack(jnp.asarray(x), population.theta)
    second = np.mean(np.asarray(found.second), axis=0)
    closed = not any(n.startswith(("omega.", "corr.", "mixture.")) for n in engine.priors)
    for block in transform.blocks if closed else ():
        covariance = _moments(population, block, second)
        sd = np.sqrt(np.diag(covariance))
        for i, a in enumerate(block):
            theta[f"omega.{a}"] = jnp.asarray(sd[i])
            for j in range(i + 1, len(block)):
                theta[f"corr.{a}.{block[j]}"] = jnp.asarray(covariance[i, j] / (sd[i] * sd[j]))
    for k, name in enumerate(transform.shares if closed else ()):
        theta[name] = jnp.mean(found.classes[k])
    moved = np.array(transform.pack(theta))
    rest = np.arange(len(transform.names) if closed else len(x))
    if rest.size:
        slope = -0.5 * (np.sum(np.asarray(found.gradient), axis=0) + engine.prior(x)[1])[rest]
        own = matrix[np.ix_(rest, rest)]
        size = np.sqrt(np.maximum(np.diag(own), 1e-12))
        step = np.linalg.solve(own / size[:, None] / size + 1e-3 * np.eye(len(rest)), slope / size) / size
        longest = np.max(np.abs(step) / (_LONGEST * np.maximum(1.0, np.abs(x[rest]))))
        moved[rest] = x[rest] + step / max(1.0, longest)
    return moved - x, np.isin(np.arange(len(x)), rest)


def _agreement(step: np.ndarray, last: np.ndarray, matrix: np.ndarray) -> float:
    """Cosine of the angle between two steps in the metric of `matrix`; 0 where there is none."""
    size = np.sqrt(max(step @ matrix @ step, 0.0) * max(last @ matrix @ last, 0.0))
    return float(step @ matrix @ last / size) if size > 0 else 0.0


def _definite(matrix: np.ndarray) -> bool:
    return bool(np.all(np.isfinite(matrix)) and np.linalg.eigvalsh(matrix)[0] > 0)


def _moments(population: Population, block: tuple[str, ...], second: np.ndarray) -> np.ndarray:
    """Second moments of a block's random effects; those of every occasion together."""
    places = [[i for i, o in enumerate(population.deviations) if o == f"omega.{n}"] for n in block]
    each = [second[np.ix_(at, at)] for at in zip(*places, strict=True)]
    return np.mean(each, axis=0)


def _moved(path: np.ndarray, matrix: np.ndarray, window: int) -> float:
    """The largest difference of the last two averages, or a tenth of the iterates' spread about the last, in standard
    errors.
    """
    recent = path[-window:]
    difference = np.abs(np.mean(recent, axis=0) - np.mean(path[-2 * window : -window], axis=0))
    difference = np.maximum(difference, 0.1 * np.std(recent, axis=0))
    se = np.sqrt(np.maximum(np.diag(np.linalg.pinv(matrix, hermitian=True)), 0.0))
    return float(np.max(difference[se > 0] / se[se > 0], initial=0.0))
