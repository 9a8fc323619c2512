"""`fit`: a population, or one patient's model, calibrated to measurements."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from twinjax.estimation.engine import AtModes, Engine
from twinjax.estimation.evidence.uncertainty import AbstractCurvature, Uncertainty, uncertainty
from twinjax.estimation.methods.algorithm import AbstractAlgorithm, Estimate, Task
from twinjax.estimation.methods.base import AbstractMethod, AbstractObjective
from twinjax.estimation.methods.conditional import FOCEI
from twinjax.estimation.methods.pooled import NaivePooled
from twinjax.estimation.optimisers import BFGS, AbstractOptimiser, Watch
from twinjax.estimation.result import Fit, Iteration
from twinjax.estimation.transform import Transform, scatter
from twinjax.population.cohort import assigned
from twinjax.population.distributions import AbstractDistribution
from twinjax.population.population import Population
from twinjax.population.subject import Subject, TrialData
from twinjax.solve.problem import AbstractBackend

_TURNS = 3
"""Searches that go on because a subject has a more probable mode at their end."""

_PRECISION = 1e-3
"""Of an optimiser: an end that is lower by less is the same."""


def fit(
    population: Population | Fit,
    data: TrialData | Subject,
    *,
    method: AbstractMethod | None = None,
    optimiser: AbstractOptimiser | None = None,
    priors: Mapping[str, AbstractDistribution] | None = None,
    backend: AbstractBackend | None = None,
    starts: int = 1,
    spread: float = 0.5,
    seed: int = 0,
    covariance: bool | AbstractCurvature = True,
    progress: Callable[[Iteration], None] | None = None,
) -> Fit:
    """Calibrate a population to a trial by gradients, or one patient's model to that patient's data.

    **Parameters**: `population`, starting values and what is estimated, or an earlier `Fit` to go on from; `data`, a
    trial or one subject; `method`, default `FOCEI()` with random effects and `NaivePooled()` without (maximum
    likelihood), or several, one from where the other ends (``SAEM().then(ImportanceSampling())``); `optimiser`,
    default `BFGS()`, for methods that minimise an objective; `priors`, name -> distribution, which makes it maximum a
    posteriori; `backend`, None for the automatic choice; `starts`, how many starting points (the first is the
    population's own, others are normal about it with standard deviation `spread` in logarithms, drawn by `seed`), the
    best end of which is kept; `covariance`, compute standard errors, by `GradientDifferences()` (what True means) or
    `SecondDerivatives()`; `progress`, called after each iteration.
    **Returns** a `Fit`.
    **Raises** `ValueError` for names, outputs or covariates that are not there, a method without random effects to
    work on, a prior of a fixed parameter; `RuntimeError` naming subjects whose solve fails at the starting values.
    """
    trial = TrialData((data,), f"subject {data.id}") if isinstance(data, Subject) else data
    before = population if isinstance(population, Fit) else None
    known = population.population if isinstance(population, Fit) else population
    method = method or (FOCEI() if known.etas else NaivePooled())
    if not Transform.of(known).reported:
        raise ValueError("nothing is estimated: every parameter is fixed")
    clock, history = _Clock(), list[Iteration]()

    def watched(stage: int, index: int) -> Watch:
        own = method.steps[stage]
        many = own.iterations if isinstance(own, AbstractAlgorithm) else 0

        def watch(count: int, x: np.ndarray, f: float, g: np.ndarray) -> None:
            at, steepest = tuple(float(v) for v in x), float(np.max(np.abs(g), initial=0.0))
            step = Iteration(index, count, float(f), steepest, clock.now, at, stage, many)
            history.append(step)
            if progress is not None:
                progress(step)

        return watch

    engine, found, ends = None, None, tuple[float, ...]()
    for stage, step in enumerate(method.steps):
        objective = step.objective if isinstance(step, AbstractAlgorithm) else step
        assert isinstance(objective, AbstractObjective)
        if engine is None:
            engine = Engine.of(known, trial, objective, priors or {}, backend)
        elif objective != engine.method:
            engine = engine.by(objective)
        x, eta = _start(engine, found, before)
        clock.lap("compile")
        if isinstance(step, AbstractAlgorithm):
            if known.mixture is not None and not step.mixtures:
                raise ValueError(f"{step.name} does not serve mixtures of subpopulations: a subject fitted alone "
                                 "has its own parameters, whatever its class; use FOCEI() or SAEM()")  # fmt: skip
            last = None if found is None else found.uncertainty
            wanted = covariance is not False
            found = step.estimate(Task(engine, x, eta, seed, watched(stage, 0), last, wanted, found))
            ends = (float(np.sum(found.by_subject)),)
            clock.lap("search")
        else:
            engine.begin(eta)
            engine.check(x)
            clock.lap("compile")
            points = scatter(x, spread, starts if found is None else 1, seed)
            found, ends = _minimised(engine, points, optimiser or BFGS(), partial(watched, stage), covariance, clock)
    assert engine is not None
    assert found is not None
    theta = engine.predictor.transform.unpack(jnp.asarray(found.x), known.theta)
    return Fit(
        population=known.with_theta({n: theta[n] for n in engine.predictor.transform.reported}),
        trial=trial if found.classes is None else assigned(known, trial, found.classes),
        method=method,
        backend=engine.predictor.backend,
        objective=float(np.sum(found.by_subject)) + engine.prior(found.x)[0],
        by_subject=found.by_subject,
        gradient=found.gradient,
        eta=found.eta,
        settled=found.settled,
        result=found.result,
        uncertainty=found.uncertainty,
        history=tuple(history),
        ends=ends,
        seconds=clock.seconds,
        seed=seed,
        priors=dict(priors or {}),
        evidence=found.evidence,
        classes=found.classes,
    )


def _start(engine: Engine, found: Estimate | None, before: Fit | None) -> tuple[np.ndarray, np.ndarray]:
    """The vector and the random effects to start from: those of the step before, of an earlier fit, or zero."""
    if found is not None:
        return found.x, found.eta
    x = np.asarray(engine.predictor.transform.pack(engine.predictor.population.theta))
    eta = np.asarray(engine.eta)
    if before is not None and before.trial.ids == engine.ids and before.eta.shape == eta.shape:
        eta = before.eta
    return x, eta


def _minimised(
    engine: Engine,
    points: np.ndarray,
    optimiser: AbstractOptimiser,
    watched: Callable[[int], Watch],
    covariance: bool | AbstractCurvature,
    clock: _Clock,
) -> tuple[Estimate, tuple[float, ...]]:
    """The best end of the starts, and the objectives of all ends.

    At an end the etas found there are kept: searched from those of another start they may be other modes. Where a
    subject has a more probable one, the search goes on from it; and where one has another that is nearly as probable,
    the objective may have a lower end beyond the point where they change places, so it is searched from there as well.
    """
    found = [(engine(end)[0], end, engine.eta) for _, end in optimiser.search(engine, points, watched)]
    (_, x, eta), *others = sorted(found, key=lambda e: e[0])
    searches = map(watched, itertools.count(len(points)))
    best = _settled(engine, x, eta, optimiser, searches)
    rivals = best.at.rivals
    for rival in rivals:
        engine.begin(rival)
        try:
            x = optimiser.minimise(engine, best.x, next(searches))
        except FloatingPointError:  # nothing to search from there
            continue
        end = _settled(engine, x, engine.eta, optimiser, searches)
        if end.objective < best.objective - _PRECISION:
            best = end
    x = best.x
    evaluation = engine.at_modes(x, best.at.found.eta).found if rivals else best.at.found
    ends = (engine(x)[0], *(f for f, *_ in others))
    clock.lap("search")
    by = covariance if isinstance(covariance, AbstractCurvature) else None
    spread = Uncertainty.none(len(x)) if covariance is False else uncertainty(engine, x, evaluation, by)
    clock.lap("covariance")
    return Estimate(
        x=x,
        by_subject=np.asarray(evaluation.objective),
        gradient=engine.gradient(x, evaluation),
        eta=np.asarray(evaluation.eta),
        settled=np.asarray(evaluation.settled),
        result=np.asarray(evaluation.result),
        uncertainty=spread,
        classes=None if evaluation.classes is None else np.asarray(evaluation.classes),
    ), tuple(sorted(ends))


class _End(NamedTuple):
    """Where a search ended, its subjects at their most probable modes, and the objective there, priors included."""

    x: np.ndarray
    at: AtModes
    objective: float


def _settled(engine: Engine, x: np.ndarray, eta: Any, optimiser: AbstractOptimiser, searches: Iterator[Watch]) -> _End:
    """The point, or where the search goes on to if a subject has a more probable mode there. One that never settles
    is left with the gradient that its verdict tells of.
    """
    at = engine.at_modes(x, eta)
    for _ in range(_TURNS):
        if not at.moved:
            break
        x = optimiser.minimise(engine, x, next(searches))
        at = engine.at_modes(x, engine.eta)
    return _End(x, at, float(jnp.sum(at.found.objective)) + engine.prior(x)[0])


class _Clock:
    """Seconds by what they went on."""

    def __init__(self) -> None:
        self._began = self._last = time.perf_counter()
        self.seconds = {"compile": 0.0, "search": 0.0, "covariance": 0.0}

    @property
    def now(self) -> float:
        return time.perf_counter() - self._began

    def lap(self, what: str) -> None:
        """The time since the last lap went on this."""
        now = time.perf_counter()
        self.seconds[what] += now - self._last
        self._last = now
