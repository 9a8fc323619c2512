"""`fit`: a population, or one patient's model, calibrated to measurements."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from twinjax.estimation.likelihood import observations
from twinjax.estimation.mixed import FO, FOCEI, AbstractMethod, Evaluation, NaivePooled
from twinjax.estimation.optimisers import BFGS, AbstractOptimiser, Watch
from twinjax.estimation.prediction import Design, Predictor
from twinjax.estimation.result import Fit, Iteration
from twinjax.estimation.transform import Transform, scatter
from twinjax.estimation.uncertainty import Uncertainty, uncertainty
from twinjax.naming import resolve
from twinjax.population.cohort import covariate_table, subjects
from twinjax.population.distributions import AbstractDistribution
from twinjax.population.population import Population
from twinjax.population.subject import Subject, TrialData
from twinjax.solve.compiling import compiled
from twinjax.solve.problem import RESULTS, AbstractBackend
from twinjax.solve.simulate import choose, pose


def fit(
    population: Population,
    data: TrialData | Subject,
    *,
    method: AbstractMethod | None = None,
    optimiser: AbstractOptimiser | None = None,
    priors: Mapping[str, AbstractDistribution] | None = None,
    backend: AbstractBackend | None = None,
    starts: int = 1,
    spread: float = 0.5,
    seed: int = 0,
    covariance: bool = True,
    progress: Callable[[Iteration], None] | None = None,
) -> Fit:
    """Calibrate a population to a trial by gradients, or one patient's model to that patient's data.

    **Parameters**: `population`, starting values and what is estimated; `data`, a trial or one subject; `method`,
    default `FOCEI()` with random effects and `NaivePooled()` without (maximum likelihood); `optimiser`, default
    `BFGS()`; `priors`, name -> distribution, which makes it maximum a posteriori; `backend`, None for the automatic
    choice; `starts`, how many starting points (the first is the population's own, others are normal about it with
    standard deviation `spread` in logarithms, drawn by `seed`), the best end of which is kept; `covariance`, compute
    standard errors; `progress`, called after each iteration.
    **Returns** a `Fit`.
    **Raises** `ValueError` for names, outputs or covariates that are not there, a method without random effects to
    work on, a prior of a fixed parameter; `RuntimeError` naming subjects whose solve fails at the starting values.
    """
    trial = TrialData((data,), f"subject {data.id}") if isinstance(data, Subject) else data
    method = method or (FOCEI() if population.etas else NaivePooled())
    if not population.etas and not isinstance(method, NaivePooled):
        raise ValueError(
            f"{method.name} needs random effects, and this population has none: give it variability, or use "
            "NaivePooled()"
        )
    began = time.perf_counter()
    engine = Engine.of(population, trial, method, priors or {}, backend)
    transform = engine.predictor.transform
    start = np.asarray(transform.pack(population.theta))
    if not len(start):
        raise ValueError("nothing is estimated: every parameter is fixed")
    engine.check(start)
    compiled = time.perf_counter() - began

    history: list[Iteration] = []
    ends: list[tuple[float, np.ndarray]] = []
    optimiser = optimiser or BFGS()

    def watched(index: int) -> Watch:
        def watch(count: int, x: np.ndarray, f: float, g: np.ndarray) -> None:
            step = Iteration(index, count, float(f), float(np.max(np.abs(g))), time.perf_counter() - began)
            history.append(step)
            if progress is not None:
                progress(step)

        return watch

    for _, end in optimiser.search(engine, scatter(start, spread, starts, seed), watched):
        ends.append((engine(end)[0], end))
    objective, x = min(ends, key=lambda e: e[0])
    evaluation = engine.evaluate(x)
    searched = time.perf_counter() - began - compiled
    spread_of = uncertainty(engine, x, evaluation) if covariance else Uncertainty.none(len(x))
    theta = transform.unpack(jnp.asarray(x), population.theta)
    return Fit(
        population=population.with_theta({n: theta[n] for n in transform.reported}),
        trial=trial,
        method=method,
        backend=engine.predictor.backend,
        objective=float(objective),
        by_subject=np.asarray(evaluation.objective),
        gradient=engine.gradient(x, evaluation),
        eta=np.asarray(evaluation.eta),
        settled=np.asarray(evaluation.settled),
        result=np.asarray(evaluation.result),
        uncertainty=spread_of,
        history=tuple(history),
        ends=tuple(sorted(f for f, _ in ends)),
        seconds={
            "compile": compiled,
            "search": searched,
            "covariance": time.perf_counter() - began - compiled - searched,
        },
        seed=seed,
        priors=dict(priors or {}),
    )


class Engine:
    """One compiled objective of one population and trial, reused for search, covariance and diagnostics."""

    def __init__(
        self,
        method: AbstractMethod,
        predictor: Predictor,
        design: Design,
        priors: Mapping[str, AbstractDistribution],
        ids: tuple[str, ...],
    ):
        self.method, self.predictor, self.design, self.priors, self.ids = method, predictor, design, dict(priors), ids
        self.restart()

    @staticmethod
    def of(
        population: Population, trial: TrialData, method: AbstractMethod, priors: Mapping[str, AbstractDistribution],
        backend: AbstractBackend | None,
    ) -> Engine:  # fmt: skip
        """For a population, a trial and a method; chooses the backend and the directions of differentiation."""
        transform = Transform.of(population)
        observed = observations(population, trial)
        if isinstance(method, FO) and observed.censoring:
            raise ValueError("FO has no likelihood for censored values; use FOCEI")
        problem = pose(subjects(population, trial))
        backend = choose(problem, backend)
        design = Design(problem, observed, covariate_table(population, trial))
        named = {resolve(n, population.theta): d for n, d in priors.items()}
        for name in named:
            if name not in transform.reported:
                raise ValueError(f"there is a prior on {name}, which is not estimated")
        return Engine(method, Predictor.of(population, transform, backend, design), design, named, trial.ids)

    def restart(self) -> None:
        """Forget the etas found so far, so that a start does not depend on the one before."""
        self.eta = jnp.zeros((self.design.problem.patients, len(self.predictor.population.etas)))

    def evaluate(self, x: Any) -> Evaluation:
        """Objective and gradient of every subject, etas searched from the last ones found."""
        found = _evaluate(self.method, self.predictor, self.design, jnp.asarray(x), self.eta)
        if bool(jnp.all(jnp.isfinite(found.eta))):
            self.eta = found.eta
        return found

    def gradient(self, x: Any, evaluation: Evaluation) -> np.ndarray:
        """The total gradient, priors included."""
        return np.asarray(jnp.sum(evaluation.gradient, axis=0)) + self._prior(x)[1]

    def __call__(self, x: np.ndarray) -> tuple[float, np.ndarray]:
        """The total objective and gradient; +inf where a subject cannot be solved."""
        found = self.evaluate(x)
        total, prior = float(jnp.sum(found.objective)), self._prior(x)
        return (total + prior[0] if np.isfinite(total) else np.inf), np.asarray(
            jnp.sum(found.gradient, axis=0)
        ) + prior[1]

    @property
    def traced(self) -> Callable[[Any], tuple[Any, Any]]:
        """The same inside a compiled program, etas searched from zero."""
        return eqx.Partial(_traced, self.method, self.predictor, self.design, self.priors, jnp.zeros_like(self.eta))

    def _prior(self, x: Any) -> tuple[float, np.ndarray]:
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


@compiled
def _evaluate(method: AbstractMethod, predictor: Predictor, design: Design, x: Any, eta: Any) -> Evaluation:
    return method.evaluate(predictor, design, x, eta)


def _traced(method: Any, predictor: Predictor, design: Design, priors: Any, eta: Any, x: Any) -> tuple[Any, Any]:
    found = method.evaluate(predictor, design, x, eta)
    f, g = _prior(priors, predictor.transform, predictor.population.theta, x)
    return jnp.sum(found.objective) + f, jnp.sum(found.gradient, axis=0) + g


@compiled
def _prior(priors: dict[str, AbstractDistribution], transform: Transform, theta: Any, x: Any) -> tuple[Any, Any]:
    def penalty(x: Any) -> Any:
        values = transform.unpack(x, theta)
        return -2.0 * sum((d.log_density(values[n]) for n, d in priors.items()), jnp.zeros(()))

    return jax.value_and_grad(penalty)(x)
