"""SAEM: maximum likelihood by stochastic approximation of EM, without linearisation."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from twinjax.estimation.chains import BLOCK, COMPONENT, INDEPENDENT, PRIOR, Chains, Steps, sweep, tiled
from twinjax.estimation.evidence.trace import Trace, level, long_run_variance
from twinjax.estimation.evidence.uncertainty import Uncertainty, uncertainty
from twinjax.estimation.methods.algorithm import AbstractAlgorithm, Estimate, Task
from twinjax.estimation.methods.classes import of_every_class
from twinjax.estimation.methods.maximisation import Split, Statistics, centre, maximise
from twinjax.estimation.prediction import Design, Predictor
from twinjax.population.distributions import AbstractDistribution
from twinjax.solve.compiling import compiled

_ROWS = 256
"""Rows that the chains of all subjects fill at least where `chains` is not given: a choice of ours."""
_SPARSE, _MANY = 1.2, 16
"""With fewer measurements a random effect, that many chains."""
_WINDOW = 60
"""Fewest iterations over which a trace is judged level: the last half of it, once that is longer."""


class SAEM(AbstractAlgorithm):
    """Stochastic approximation EM: random effects are drawn, parameters follow their sufficient statistics.

    First *exploration*: full gain, standard deviations held up by simulated annealing, until the trace has levelled
    out. Then *averaging*: the gain falls as ``k ** -decay``. No parametrisation is asked for: typical values and
    coefficients that enter only together with a random effect are found by themselves, and the others move by a
    stochastic Newton step (`maximisation`). It has no objective of its own; importance sampling after it gives one
    (``SAEM().then(ImportanceSampling())``). Standard errors are those of FOCEI, linearised at the estimates.

    **Parameters**: `chains` of each subject (None: two, or as many as make 256 in all; 16 where there are fewer than
    1.2 measurements a random effect, as few chains drew a variance of DATASIM's that is nearly none to zero; in trials
    of our own as sparse, 16 level out in three quarters of the iterations and end no worse; with 1.5 measurements
    there is no difference: `benchmarks/chains.py`); `explore`
    and `average`, the most iterations of each phase; `tolerance`, Monte Carlo error of an unconstrained parameter (a
    relative one for most) at which averaging ends; `decay`; `cooling`, the least ratio of a variance to the one
    before in the first iterations; `prior`, `component`, `block` and `independent`, sweeps of each Metropolis kernel
    in an iteration. The independent kernel draws about each subject's running conditional moments; measured, it is
    worth three of the random walks a solve, and a Laplace approximation in its place a tenth more, for sensitivities.
    `eta` of the fit are conditional means; its `evidence` is a `Trace`. Of a mixture no class is drawn: all are summed
    over at each draw of the random effects, which the classes share, and `fit.classes` are conditional means.
    **Reference**: Delyon, Lavielle & Moulines 1999, doi:10.1214/aos/1018031103; Kuhn & Lavielle 2005,
    doi:10.1016/j.csda.2004.07.002; mixtures: Lavielle & Mbogning 2014, doi:10.1007/s11222-013-9396-2.
    """

    conditional: ClassVar[bool] = True
    mixtures: ClassVar[bool] = True
    chains: int | None = eqx.field(static=True, default=None)
    explore: int = eqx.field(static=True, default=500)
    average: int = eqx.field(static=True, default=300)
    tolerance: float = eqx.field(static=True, default=0.01)
    decay: float = eqx.field(static=True, default=0.8)
    cooling: float = eqx.field(static=True, default=0.95)
    prior: int = eqx.field(static=True, default=1)
    component: int = eqx.field(static=True, default=0)
    block: int = eqx.field(static=True, default=2)
    independent: int = eqx.field(static=True, default=3)

    def estimate(self, task: Task) -> Estimate:
        """Both phases, then standard errors. `eta` of the estimate are conditional means.

        Ctrl-C ends the search where it is: the fit says so, and can be gone on from.
        """
        search = _Search(self, task)
        try:
            search.explore()
            search.average()
        except KeyboardInterrupt:
            search.interrupted = True
        return search.ended()


def _enough(subjects: int, measured: float) -> int:
    """How many chains, of subjects with so many measurements a random effect."""
    return max(2, math.ceil(_ROWS / subjects), _MANY if measured < _SPARSE else 0)


class _State(eqx.Module):
    x: Any
    chains: Chains
    statistics: Statistics


class _Search:
    """A run of SAEM: its state and its trace."""

    def __init__(self, method: SAEM, task: Task) -> None:
        engine = task.engine
        self.method, self.task = method, task
        self.subjects, etas = task.eta.shape
        there = np.asarray(engine.design.observed.there)
        self.chains = method.chains or _enough(self.subjects, float(np.sum(there)) / there.shape[0] / max(etas, 1))
        self.design = of_every_class(engine.predictor, tiled(engine.design, self.chains))
        self.split = Split.of(engine.predictor, of_every_class(engine.predictor, engine.design), task.x)
        self.steps = Steps.of(
            etas, prior=method.prior, component=method.component, block=method.block, independent=method.independent
        )
        population = engine.predictor.population
        omega = np.asarray(population.omega(engine.predictor.transform.unpack(jnp.asarray(task.x), population.theta)))
        samples = engine.design.observed.there.shape[1]
        self.classes = 1 if population.mixture is None else population.mixture.classes
        self.state = _State(
            jnp.asarray(task.x), Chains.begin(task.eta, omega, self.chains, samples, self.classes),
            Statistics.none(self.split),
        )  # fmt: skip
        self.trace: list[np.ndarray] = []
        self.explored, self.interrupted = 0, False
        self.level = np.zeros(len(task.x), bool)
        self.variance = np.full(len(task.x), np.nan)
        self.gain = 1.0
        self.key = jax.random.key(task.seed)

    def iterate(self, gain: float, rate: float, cooling: float) -> None:
        """One more."""
        task, count = self.task, len(self.trace)
        state = _iterate(
            task.engine.predictor, self.design, self.split, task.engine.priors, self.steps, self.state,
            jnp.asarray(gain), jnp.asarray(rate), jnp.asarray(cooling), jax.random.fold_in(self.key, count),
        )  # fmt: skip
        x = np.asarray(state.x)
        if not np.all(np.isfinite(x)):
            raise FloatingPointError(
                f"SAEM left the numbers at iteration {count + 1}: start nearer, or fix a parameter"
            )
        if count == 0:
            self._check(state)
        self.state, self.gain = state, gain
        self.trace.append(x)
        task.watch(count + 1, x, math.nan, np.full(len(x), math.nan))

    def explore(self) -> None:
        """Full gain, until the trace is level."""
        cold = max(_WINDOW, self.method.explore // 10)
        for k in range(self.method.explore):
            self.iterate(1.0, max(0.05, 1.0 / (k + 2)), math.sqrt(self.method.cooling) if k < cold else 0.0)
            self.explored = k + 1
            if k + 1 >= cold + _WINDOW and (k + 1) % 10 == 0:
                window = np.stack(self.trace[cold:][-max(_WINDOW, (k + 1) // 2) :])
                self.level, self.variance = level(window), long_run_variance(window)
                if self.level.all():
                    return

    def average(self) -> None:
        """Falling gain, until chance moves the end by less than the tolerance."""
        for k in range(1, self.method.average + 1):
            self.iterate(k**-self.method.decay, max(0.02, 0.05 / k), 0.0)
            if k >= _WINDOW and not np.any(self.error > self.method.tolerance):
                return

    @property
    def error(self) -> np.ndarray:
        """Monte Carlo standard error of the vector at this gain."""
        return np.sqrt(self.variance * self.gain / 2.0)

    def _check(self, state: _State) -> None:
        solved = self._solved(state)
        if not solved.all():
            who = ", ".join(self.task.engine.ids[i] for i in np.flatnonzero(~solved)[:10])
            raise RuntimeError(
                f"{(~solved).sum()} of {self.subjects} subjects cannot be solved at the starting values, nor near "
                f"them; start nearer, or look at their data: {who}"
            )

    def _solved(self, state: _State) -> np.ndarray:
        """Whether any draw of each subject is."""
        solved = np.asarray(state.chains.solved).reshape(self.classes, self.subjects, -1)
        return np.any(np.any(solved, axis=2), axis=0)

    def ended(self) -> Estimate:
        """The estimate."""
        state, task = self.state, self.task
        x, free = np.asarray(state.x), len(task.x)
        mean, variance = (np.asarray(a) for a in state.statistics.moments(centre(self.split, state.x), self.subjects))
        mean, sd = mean if self.trace else task.eta, np.sqrt(variance)
        share = np.asarray(state.chains.accepted)
        kernels = {"prior": PRIOR, "component": COMPONENT, "block": BLOCK, "independent": INDEPENDENT}
        spread = Uncertainty.none(free)
        if task.covariance and not self.interrupted:
            task.engine.eta = jnp.asarray(mean)
            spread = uncertainty(task.engine, x, task.engine.evaluate(x))
        classes = np.asarray(state.statistics.share).reshape(self.classes, self.subjects).T
        return Estimate(
            x=x, by_subject=np.full(self.subjects, math.nan), gradient=np.full(free, math.nan), eta=mean,
            settled=self._solved(state), result=np.zeros(self.subjects, int), uncertainty=spread,
            classes=classes if self.classes > 1 else None,
            evidence=Trace(
                names=task.engine.predictor.transform.reported, x=np.stack(self.trace or [x]), explored=self.explored,
                level=self.level, error=self.error, mean=mean, sd=sd,
                deviations=task.engine.predictor.population.deviations, interrupted=self.interrupted,
                accepted={n: float(share[i]) for n, i in kernels.items() if np.isfinite(share[i])},
            ),
        )  # fmt: skip


@compiled
def _iterate(
    predictor: Predictor, design: Design, split: Split, priors: Mapping[str, AbstractDistribution], steps: Steps,
    state: _State, gain: Any, rate: Any, cooling: Any, key: Any,
) -> _State:  # fmt: skip
    """Draws and M-step: all of an iteration in one program."""
    chains = sweep(predictor, design, state.x, state.chains, steps, rate, key)
    x, statistics = maximise(predictor, design, split, priors, state.x, chains, state.statistics, gain, cooling)
    subjects, etas = chains.mean.shape
    shift = centre(split, state.x) - centre(split, x)  # phi stays where it is; of a mixture, its mean over classes
    if shift.shape[0] > subjects:
        shift = jnp.sum((statistics.share[:, None] * shift).reshape(-1, subjects, etas), axis=0)
    many = chains.eta.shape[0] // subjects
    chains = eqx.tree_at(
        lambda c: (c.eta, c.mean), chains, (chains.eta + jnp.repeat(shift, many, axis=0), chains.mean + shift)
    )
    return _State(x, chains, statistics)
