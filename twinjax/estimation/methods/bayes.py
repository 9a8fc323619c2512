"""Full Bayes: draws from the posterior of a population's parameters and of every subject's random effects."""

from __future__ import annotations

from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from twinjax.estimation.evidence.posterior import Posterior
from twinjax.estimation.evidence.uncertainty import Uncertainty, reported
from twinjax.estimation.methods.algorithm import AbstractAlgorithm, Estimate, Task
from twinjax.estimation.methods.base import AbstractObjective
from twinjax.estimation.methods.pooled import NaivePooled
from twinjax.estimation.methods.sampling import Chains, Trace, advance, begin, blackjax, schedule
from twinjax.estimation.posterior import PosteriorDensity
from twinjax.estimation.priors import completed
from twinjax.solve.compiling import compiled
from twinjax.solve.problem import RESULTS

_LEAST = 10
"""Draws a chain below which an interruption leaves nothing to report."""
_FEW = 400
"""Draws over which the probabilities of a mixture's classes are averaged."""


class NUTS(AbstractAlgorithm):
    """Full Bayes by the no-U-turn sampler, of a population or (without random effects) of one patient.

    Every estimated parameter has a prior: that of ``fit(priors=...)``, or else a weakly informative one
    (`twinjax.estimation.priors.completed` says which; `fit.evidence.table` lists them). The estimates are posterior
    means, their covariance that of the posterior, the intervals its quantiles, and `fit.evidence` the draws with R-hat,
    effective sample sizes and divergences. There is no objective. An interruption once draws are being kept ends
    the sampling and keeps them. Of a mixture no class is drawn: they are summed over in the density, and
    `fit.classes` are mean probabilities. To exchange the classes leaves the likelihood as it is; where R-hat says that
    chains have done so, tell them apart by their priors.

    **Parameters**: `chains`, run side by side; `warmup`, iterations of each to learn step size and mass matrix,
    which the chains share; `draws` kept of each; `dense`, learn a full mass matrix instead of its diagonal;
    `acceptance`, the mean acceptance that the step size aims at: nearer one for fewer divergences; `lkj`, shape of the
    LKJ prior of each block's correlations (1 is flat, more is nearer zero), unless one of them is given a prior of
    its own, which makes the block's others flat; `spread`, standard deviation of the starting points about the start,
    in unconstrained parameters; `doublings`, most doublings of a trajectory; `every`, iterations between
    reports of progress.
    **Reference**: Hoffman & Gelman 2014, J Mach Learn Res 15:1593; windows of the warm-up: Carpenter et al. 2017,
    doi:10.18637/jss.v076.i01.
    """

    conditional: ClassVar[bool] = True
    mixtures: ClassVar[bool] = True
    chains: int = eqx.field(static=True, default=4)
    warmup: int = eqx.field(static=True, default=500)
    draws: int = eqx.field(static=True, default=1000)
    dense: bool = eqx.field(static=True, default=False)
    acceptance: float = 0.8
    lkj: float = eqx.field(static=True, default=2.0)
    spread: float = eqx.field(static=True, default=0.3)
    doublings: int = eqx.field(static=True, default=10)
    every: int = eqx.field(static=True, default=25)

    def __check_init__(self) -> None:
        for name, least in (("chains", 1), ("warmup", 0), ("draws", _LEAST), ("doublings", 1), ("every", 1)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} is {getattr(self, name)}: at least {least}")
        if not 0 < float(self.acceptance) < 1:
            raise ValueError(f"acceptance is {self.acceptance}: a share between 0 and 1, such as 0.8")
        if not self.lkj > 0:
            raise ValueError(f"lkj is {self.lkj}: the shape of a density, above zero")

    @property
    def objective(self) -> AbstractObjective:
        """None is needed; one that serves every population."""
        return NaivePooled()

    @property
    def iterations(self) -> int:
        """Of each chain, warm-up included."""
        return self.warmup + self.draws

    def estimate(self, task: Task) -> Estimate:
        """Sample."""
        blackjax()
        density = self.density(task)
        chains = self._begun(task, density)
        transform, theta = density.predictor.transform, density.predictor.population.theta
        subjects = density.design.problem.patients
        plan = schedule(self.warmup, self.draws, self.every)
        acceptance = jnp.asarray(self.acceptance)
        traces, done, stopped = list[Trace](), 0, False
        try:
            while done < self.iterations:
                rows = jnp.asarray(plan[done : done + self.every])
                chains, trace = advance(density, chains, rows, acceptance, self.dense, self.doublings)
                traces.append(jax.tree.map(np.asarray, trace))
                done = min(done + self.every, self.iterations)
                x = np.asarray(jnp.mean(chains.state.position, axis=0))[: density.free]
                task.watch(done, x, -2.0 * float(traces[-1].density.mean()), np.full(density.free, np.nan))
        except KeyboardInterrupt:
            if done - self.warmup < _LEAST:
                raise
            stopped = True
        every = jax.tree.map(lambda *parts: np.concatenate(parts)[self.warmup : done], *traces)
        posterior = self._posterior(task, density, every, stopped)
        means = {**theta, **dict(zip(transform.reported, posterior.draws.mean((0, 1)), strict=True))}
        x = np.asarray(transform.pack({n: jnp.asarray(v) for n, v in means.items()}))
        eta = posterior.eta.mean((0, 1))
        return Estimate(
            x=x, by_subject=np.full(subjects, np.nan), gradient=np.full(len(x), np.nan), eta=eta,
            settled=np.ones(subjects, bool), result=np.zeros(subjects, int),
            uncertainty=_uncertainty(density, x, posterior.draws), evidence=posterior,
            classes=None if density.predictor.population.mixture is None else _classes(density, posterior),
        )  # fmt: skip

    def density(self, task: Task) -> PosteriorDensity:
        """The posterior that a task asks for."""
        predictor, given = task.engine.predictor, task.engine.priors
        own = [any(f"corr.{a}.{b}" in given for a in block for b in block) for block in predictor.transform.blocks]
        priors = completed(predictor.population, predictor.transform, given)
        priors = jax.tree.map(jnp.asarray, priors)  # numbers that are no part of the program, to compile it once
        return PosteriorDensity(predictor, task.engine.design, priors, tuple(1.0 if g else self.lkj for g in own))

    def _begun(self, task: Task, density: PosteriorDensity) -> Chains:
        """Chains about the start, where the density is finite."""
        begun, key = jax.random.split(jax.random.key(task.seed))
        center = density.join(jnp.asarray(task.x), jnp.asarray(task.eta))
        # log parameters of a population are known about to a half over the root of its subjects
        known = 0.5 / np.sqrt(density.design.problem.patients)
        scale = jnp.where(jnp.arange(density.size) < density.free, known, 1.0)
        offset = self.spread * jax.random.normal(begun, (self.chains, density.size))
        for _ in range(8):
            chains = begin(density, center + offset, scale, self.dense, key)
            fine = np.isfinite(np.asarray(chains.state.logdensity))
            if fine.all():
                return chains
            offset = jnp.where(fine[:, None], offset, 0.25 * offset)
        data, result = _data(density, jnp.asarray(task.x), jnp.asarray(task.eta))
        bad = np.flatnonzero(~np.isfinite(np.asarray(data)))
        raise RuntimeError(
            "the posterior cannot be evaluated at the starting values; start nearer, or look at the data and priors"
            + "".join(f"\n  {task.engine.ids[i]}: {RESULTS[int(result[i])]}" for i in bad[:10])
        )

    def _posterior(self, task: Task, density: PosteriorDensity, trace: Trace, stopped: bool) -> Posterior:
        def by_chain(a: np.ndarray) -> np.ndarray:
            return np.swapaxes(a, 0, 1)

        transform = density.predictor.transform
        priors: dict[str, Any] = dict(density.priors)
        for block, shape in zip(transform.blocks, density.shape, strict=True):
            pairs = [f"corr.{a}.{b}" for i, a in enumerate(block) for b in block[i + 1 :]]
            priors |= {n: shape for n in pairs if n not in priors}
        return Posterior(
            names=transform.reported, draws=by_chain(trace.values), etas=density.predictor.population.etas,
            ids=task.engine.ids, eta=by_chain(trace.eta), density=by_chain(trace.density),
            diverged=by_chain(trace.diverged), steps=by_chain(trace.steps), acceptance=by_chain(trace.acceptance),
            energy=by_chain(trace.energy), capped=by_chain(trace.doublings) >= self.doublings,
            step_size=float(trace.step_size[-1]), warmup=self.warmup, asked=self.draws, stopped=stopped,
            priors={n: priors[n] for n in transform.reported}, given=tuple(task.engine.priors),
        )  # fmt: skip


@compiled
def _data(density: PosteriorDensity, x: Any, eta: Any) -> tuple[Any, Any]:
    return density.data(x, eta)


def _classes(density: PosteriorDensity, posterior: Posterior) -> np.ndarray:
    """How probable each class of a mixture is `(subjects, classes)`, over some of the draws."""
    values = posterior.draws.reshape(-1, posterior.draws.shape[-1])
    few = np.linspace(0, len(values) - 1, min(len(values), _FEW)).astype(int)
    eta = posterior.eta.reshape(len(values), *posterior.eta.shape[2:])
    return np.asarray(_mean_classes(density, jnp.asarray(values[few]), jnp.asarray(eta[few]))).T


@compiled
def _mean_classes(density: PosteriorDensity, values: Any, eta: Any) -> Any:
    transform, theta = density.predictor.transform, density.predictor.population.theta

    def one(draw: tuple[Any, Any]) -> Any:
        own = {**theta, **dict(zip(transform.reported, draw[0], strict=True))}
        return density.classes(transform.pack(own), draw[1])

    return jnp.mean(jax.lax.map(one, (values, eta)), axis=0)


def _uncertainty(density: PosteriorDensity, x: np.ndarray, draws: np.ndarray) -> Uncertainty:
    """The covariance of the draws, as the second derivative that a normal posterior would have."""
    free, predictor = len(x), density.predictor
    report = np.asarray(reported(predictor.transform, predictor.population.theta, jnp.asarray(x))[1])
    covariance = np.atleast_2d(np.cov(draws.reshape(-1, free), rowvar=False))
    unknown = np.full((free, free), np.nan)
    sd = np.sqrt(np.diag(covariance))
    if not (np.all(np.isfinite(sd)) and np.all(sd > 0)):
        return Uncertainty(unknown, unknown, report, np.full(free, np.nan))
    eigenvalues = np.linalg.eigvalsh(covariance / sd[:, None] / sd[None, :])
    if not eigenvalues[0] > 0:
        return Uncertainty(unknown, unknown, report, np.full(free, np.nan))
    return Uncertainty(report.T @ np.linalg.inv(covariance) @ report, unknown, report, eigenvalues)
