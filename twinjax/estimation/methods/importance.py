"""The marginal likelihood by importance sampling, with its Monte Carlo error."""

from __future__ import annotations

import dataclasses
import math
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import scipy.special
import scipy.stats

from twinjax.estimation.engine import Engine
from twinjax.estimation.evidence.protocol import AbstractEvidence
from twinjax.estimation.evidence.uncertainty import Uncertainty
from twinjax.estimation.methods.algorithm import AbstractAlgorithm, Estimate, Task
from twinjax.estimation.methods.base import AbstractObjective
from twinjax.estimation.methods.classes import designs, mixed, of_most_probable
from twinjax.estimation.methods.conditional import FOCEI
from twinjax.estimation.methods.mode import AbstractConditional, Modes
from twinjax.estimation.methods.points import Scale, joint_at, scale, solved
from twinjax.estimation.prediction import Design, Predictor
from twinjax.solve.compiling import compiled

_FEW = 20.0
"""An effective sample size below which a subject's part is not to be believed."""


@dataclasses.dataclass(frozen=True)
class MonteCarlo(AbstractEvidence):
    """How sure a likelihood by importance sampling is.

    **Parameters**: `error`, standard error of the total objective; `errors` `(subjects,)`, of each subject's; `size`
    `(subjects,)`, effective sample sizes (of `samples`); `mean`, `sd` `(subjects, etas)` of the random effects given
    the data; `ids` of the subjects; `before`, the evidence of the search that it evaluates.
    """

    error: float
    errors: np.ndarray
    size: np.ndarray
    samples: int
    mean: np.ndarray
    sd: np.ndarray
    ids: tuple[str, ...]
    before: AbstractEvidence | None = None

    @property
    def statement(self) -> str:
        """The search's, and the Monte Carlo error."""
        search = "Converged: nothing was searched." if self.before is None else self.before.statement
        return f"{search} The objective's Monte Carlo error is {self.error:.2g}."

    @property
    def doubts(self) -> tuple[str, ...]:
        """What stands against it, in words."""
        known = () if self.before is None else self.before.doubts
        few = np.flatnonzero(~(self.size >= _FEW))
        if not few.size:
            return known
        who = ", ".join(f"{self.ids[i]} ({self.size[i]:.1f})" for i in few[:5])
        return (
            *known,
            f"The Monte Carlo error is not to be trusted: the effective sample size of subject {who} is below "
            f"{_FEW:.0f} of {self.samples}. Take more samples, or a wider proposal.",
        )


class Proposal(eqx.Module):
    """Where random effects are drawn: about each subject's mode, on the scale of the curvature there.

    **Parameters**: `df`, degrees of freedom of a Student t density, None for a normal one; `widen`, a factor on its
    standard deviations; `about`, which finds the modes and says the curvature: `FOCEI()`, or `Laplace()`.
    """

    df: float | None = eqx.field(static=True, default=4.0)
    widen: float = eqx.field(static=True, default=1.0)
    about: AbstractConditional = eqx.field(default_factory=FOCEI)

    def __check_init__(self) -> None:
        """Refuses what is no density."""
        if self.df is not None and not self.df > 0:
            raise ValueError(f"degrees of freedom are {self.df}: above zero, or None for a normal proposal")
        if not self.widen > 0:
            raise ValueError(f"widen is {self.widen}: a factor above zero")

    def draw(self, subjects: int, samples: int, etas: int, stream: np.random.SeedSequence) -> tuple[Any, Any]:
        """Standard coordinates `(subjects, samples, etas)`, and the logarithm of their density times (2 pi)^(etas / 2).

        A Sobol sequence under a random digital shift of its own for each subject, which depends on the stream and the
        subject's place alone. **Reference**: L'Ecuyer & Lemieux 2002, doi:10.1007/0-306-48102-2_20.
        """
        dimensions = etas + (self.df is not None)
        sobol = scipy.stats.qmc.Sobol(dimensions, scramble=False, bits=32)
        base = sobol.random_base2(max(0, math.ceil(math.log2(samples))))[:samples]
        whole = np.asarray(np.round(base * 2.0**32), dtype=np.uint64)
        root = tuple(stream.spawn_key)
        own = [np.random.SeedSequence(stream.entropy, spawn_key=(*root, i)) for i in range(subjects)]
        shifts = [np.random.default_rng(s).integers(2**32, size=dimensions, dtype=np.uint64) for s in own]
        uniform = ((whole[None] ^ np.stack(shifts)[:, None]).astype(float) + 0.5) / 2.0**32
        normal = scipy.special.ndtri(uniform[..., :etas])
        if self.df is None:
            u = normal
            density = -0.5 * np.sum(np.square(u), axis=-1)
        else:
            chi2 = 2.0 * scipy.special.gammaincinv(0.5 * self.df, uniform[..., etas])
            u = normal * np.sqrt(self.df / chi2)[..., None]
            constant = scipy.special.gammaln(0.5 * (self.df + etas)) - scipy.special.gammaln(0.5 * self.df)
            constant -= 0.5 * etas * np.log(0.5 * self.df)
            density = constant - 0.5 * (self.df + etas) * np.log1p(np.sum(np.square(u), axis=-1) / self.df)
        return u * self.widen, density - etas * np.log(self.widen)


class ImportanceSampling(AbstractAlgorithm):
    """The marginal likelihood at the estimates it is given, by importance sampling; estimates nothing.

    For each subject, the mean over draws of the joint density over the proposal's. Draws are quasi-random, in
    `replicates` independent randomisations, whose spread gives the Monte Carlo error (in the fit's `evidence`, a
    `MonteCarlo`). The same seed gives the same value, however the solves are chunked. The logarithm of a mean is biased
    by a quarter of the squared error in all: with an error of 0.2, by 0.01.

    Of a mixture, every class is evaluated, and the errors of its parts add up by how probable they are.
    ``SAEM().then(ImportanceSampling())`` gives SAEM's estimates an objective, and keeps their gradient, standard errors
    and evidence.

    **Parameters**: `samples` for each subject, in all (best `replicates` times a power of two); `replicates`;
    `proposal`; `chunk`, how many solves at once.
    **Reference**: Pinheiro & Bates 1995, doi:10.1080/10618600.1995.10474663; Kuhn & Lavielle 2005,
    doi:10.1016/j.csda.2004.07.002.
    """

    conditional: ClassVar[bool] = True
    mixtures: ClassVar[bool] = True
    samples: int = eqx.field(static=True, default=2048)
    replicates: int = eqx.field(static=True, default=16)
    proposal: Proposal = eqx.field(default_factory=Proposal)
    chunk: int = eqx.field(static=True, default=16_384)

    def __check_init__(self) -> None:
        """Refuses too few samples."""
        if self.replicates < 2 or self.samples < self.replicates:
            raise ValueError(
                f"{self.samples} samples in {self.replicates} replicates: an error needs two replicates or more, and "
                "each a sample"
            )

    @property
    def objective(self) -> AbstractObjective:
        """Its proposal's."""
        return self.proposal.about

    def estimate(self, task: Task) -> Estimate:
        """Evaluate at `task.x`."""
        engine = task.engine
        engine.eta = jnp.asarray(task.eta)
        engine.check(task.x)
        found = self.evaluate(engine, task.x, task.seed)
        free = len(task.x)
        task.watch(1, task.x, float(np.sum(found.by_subject)), np.full(free, np.nan))
        if task.before is None:
            return found
        known = task.before.evidence
        evidence = dataclasses.replace(found.evidence, before=known if isinstance(known, AbstractEvidence) else None)
        return dataclasses.replace(
            found, gradient=task.before.gradient, uncertainty=task.before.uncertainty, evidence=evidence
        )

    def evaluate(self, engine: Engine, x: np.ndarray, seed: int) -> Estimate:
        """The same, about modes searched from the engine's; of a mixture, of all its classes."""
        each = [self._evaluate(engine, d, x, seed) for d in designs(engine.predictor, engine.design)]
        return each[0] if len(each) == 1 else _together(engine.predictor, x, each)

    def _evaluate(self, engine: Engine, design: Design, x: np.ndarray, seed: int) -> Estimate:
        """Of one class."""
        predictor, at = engine.predictor, jnp.asarray(x)
        modes, placed = centred(self.proposal.about, predictor, design, at, engine.eta)
        subjects, etas = modes.eta.shape
        each = -(-self.samples // self.replicates)
        draws = [
            self.proposal.draw(subjects, each, etas, np.random.SeedSequence(seed, spawn_key=(r,)))
            for r in range(self.replicates)
        ]
        standard = np.concatenate([u for u, _ in draws], axis=1)
        density = np.concatenate([q for _, q in draws], axis=1)
        joint = self._joint(predictor, design, at, placed, standard)
        log_w = -0.5 * joint - density - 0.5 * np.asarray(placed.log_determinant)[:, None]
        eta = np.asarray(jax.vmap(lambda s, u: s(u))(placed, jnp.asarray(standard)))
        value, evidence = summarised(log_w, eta, self.replicates, engine.ids)
        return Estimate(
            x=x, by_subject=value, gradient=np.full(len(x), np.nan), eta=np.asarray(modes.eta),
            settled=np.asarray(modes.settled & placed.sound), result=np.asarray(modes.case.local.result),
            uncertainty=Uncertainty.none(len(x)), evidence=evidence,
        )  # fmt: skip

    def _joint(self, predictor: Predictor, design: Design, x: Any, placed: Scale, standard: np.ndarray) -> np.ndarray:
        """-2 log of the joint density at every draw, `(subjects, samples)`, in chunks of one size."""
        subjects, samples, _ = standard.shape
        size = min(samples, max(1, self.chunk // subjects))
        padded = np.pad(standard, ((0, 0), (0, -samples % size), (0, 0)))
        parts = [
            np.asarray(_joints(predictor, design, x, placed, jnp.asarray(padded[:, at : at + size])))
            for at in range(0, padded.shape[1], size)
        ]
        return np.concatenate(parts, axis=1)[:, :samples]


def _together(predictor: Predictor, x: np.ndarray, each: list[Estimate]) -> Estimate:
    """A mixture's, from its classes'; moments are those of the most probable class."""
    objective = np.stack([e.by_subject for e in each])
    value, _, weight = mixed(predictor, jnp.asarray(x), objective, np.zeros((*objective.shape, len(x))))

    def chosen(a: list[Any]) -> np.ndarray:
        return np.asarray(of_most_probable(weight, np.stack(a)))

    known: list[MonteCarlo] = [e.evidence for e in each]
    errors = np.sqrt(np.sum(np.square(weight * np.stack([k.errors for k in known])), axis=0))
    evidence = dataclasses.replace(
        known[0], error=float(np.sqrt(np.sum(np.square(errors)))), errors=errors, size=chosen([k.size for k in known]),
        mean=chosen([k.mean for k in known]), sd=chosen([k.sd for k in known]),
    )  # fmt: skip
    return dataclasses.replace(
        each[0], by_subject=np.asarray(value), eta=chosen([e.eta for e in each]),
        settled=chosen([e.settled for e in each]), result=np.max([e.result for e in each], axis=0), evidence=evidence,
        classes=np.asarray(weight).T,
    )  # fmt: skip


def summarised(
    log_w: np.ndarray, eta: np.ndarray, replicates: int, ids: tuple[str, ...]
) -> tuple[np.ndarray, MonteCarlo]:
    """-2 log of the mean weight of each subject, and how sure it is."""
    subjects, samples = log_w.shape
    top = np.max(log_w, axis=1, keepdims=True)
    w = np.exp(log_w - top)
    mean = np.mean(w, axis=1)
    by_replicate = np.mean(w.reshape(subjects, replicates, -1), axis=2)
    errors = 2.0 * np.std(by_replicate, axis=1, ddof=1) / np.sqrt(replicates) / mean
    share = w / np.sum(w, axis=1, keepdims=True)
    center = np.einsum("sn,snk->sk", share, eta)
    spread = np.einsum("sn,snk->sk", share, np.square(eta - center[:, None]))
    evidence = MonteCarlo(
        float(np.sqrt(np.sum(np.square(errors)))), errors, 1.0 / np.sum(np.square(share), axis=1), samples, center,
        np.sqrt(spread), ids,
    )  # fmt: skip
    return -2.0 * (top[:, 0] + np.log(mean)), evidence


@compiled
def centred(about: AbstractConditional, predictor: Predictor, design: Design, x: Any, eta: Any) -> tuple[Modes, Scale]:
    """Every subject's mode, and the scale there."""
    modes = about.modes(predictor, design, x, eta)
    return modes, jax.vmap(lambda m: scale(about, predictor, x, m))(modes)


@compiled
def _joints(predictor: Predictor, design: Design, x: Any, placed: Scale, standard: Any) -> Any:
    at = jax.vmap(lambda s, u: s(u))(placed, standard)
    local, good = solved(predictor, design, x, at, order=0)

    def one(eta: Any, local: Any, good: Any, o: Any, own: Any) -> Any:
        return joint_at(predictor, x, eta, local, good, o, own)

    return jax.vmap(one)(at, local, good, design.observed, design.covariates)
