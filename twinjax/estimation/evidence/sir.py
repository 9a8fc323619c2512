"""`sir`: sampling importance resampling, the uncertainty of estimates without a normal approximation."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd

from twinjax.estimation.engine import Engine
from twinjax.estimation.evidence.again import engine_of
from twinjax.estimation.methods.base import AbstractObjective
from twinjax.estimation.methods.classes import evaluate
from twinjax.estimation.prediction import Design, Predictor
from twinjax.estimation.result import Fit
from twinjax.estimation.transform import Transform
from twinjax.solve.compiling import compiled


@dataclasses.dataclass(frozen=True)
class Resampled:
    """Parameter vectors drawn with the likelihood as their weight.

    **Parameters**: `names` and `estimate` `(free,)`; `values`, a row each resampled vector, of reported parameters;
    `rises`, how far above the fit's objective each lies; `iterations`, one row each: `samples`, `resamples`, `failed`
    (vectors that could not be evaluated), `effective` (sample size, Kish's ``1 / sum(w^2)``), `largest` (weight), and
    the mean `rise` of the proposals and of the resampled beside `expected`, that of a likelihood normal in as many
    parameters; `best`, how far below the fit's objective a sample was, 0 where none; `level` of the intervals; `seed`.
    """

    names: tuple[str, ...]
    estimate: np.ndarray
    values: pd.DataFrame
    rises: np.ndarray
    iterations: pd.DataFrame
    best: float
    level: float
    seed: int

    @property
    def covariance(self) -> np.ndarray:
        """Of the resampled vectors, `(free, free)`."""
        return np.atleast_2d(np.cov(self.values.to_numpy(), rowvar=False))

    @property
    def table(self) -> pd.DataFrame:
        """One row a parameter: estimate, mean, median, se, rse (%), and the percentile interval `lower`, `upper`."""
        v, tail = self.values.to_numpy(), (1 - self.level) / 2
        lower, median, upper = np.quantile(v, [tail, 0.5, 1 - tail], axis=0)
        se = v.std(axis=0, ddof=1)
        return pd.DataFrame({
            "parameter": self.names, "estimate": self.estimate, "mean": v.mean(axis=0), "median": median, "se": se,
            "rse": 100 * se / np.abs(self.estimate), "lower": lower, "upper": upper,
        }).set_index("parameter")  # fmt: skip

    @property
    def doubts(self) -> tuple[str, ...]:
        """What stands against these intervals, in words; empty if nothing."""
        last, found = self.iterations.iloc[-1], []
        if last["effective"] < last["resamples"]:
            found.append(
                f"The last iteration's effective sample size, {last['effective']:.0f}, is below its "
                f"{last['resamples']:.0f} resamples: take more samples, or one iteration more."
            )
        if self.best > 0.01:
            found.append(f"A sample lies {self.best:.2f} below the fit: it was not at the minimum; fit again.")
        return tuple(found)

    def __str__(self) -> str:
        return "\n".join([
            f"Sampling importance resampling, {len(self.values)} vectors, seed {self.seed}", self.table.to_string(), "",
            self.iterations.to_string(), *self.doubts,
        ])  # fmt: skip


def sir(
    fit: Fit,
    *,
    samples: Sequence[int] = (1000, 1000, 1000),
    resamples: Sequence[int] = (200, 400, 500),
    inflation: float = 1.0,
    seed: int = 0,
    level: float = 0.95,
    chunk: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Resampled:
    """Vectors drawn about the estimates and kept in proportion to their likelihood over the density they came from.

    Vectors are drawn and weighed in unconstrained parameters (logarithms mostly), in which the likelihood counts as it
    is: a flat prior there. Each iteration's proposal is normal; the first has the covariance of R, the next those of
    what was resampled before. Vectors are resampled without replacement.

    **Parameters**: `samples` and `resamples`, how many in each iteration; `inflation`, of the first proposal's
    covariance; `chunk`, how many vectors are evaluated at once by a program compiled for it, which pays on a GPU; None
    for one after the other by the program that the fit compiled; `progress`, called with how many vectors are done of
    how many.
    **Raises** `ValueError` where R is not positive definite or was not computed, where fewer samples are drawn than
    resampled, and for a method with no objective at its end.
    **Reference**: Dosne, Bergstrand, Harling & Karlsson 2016, doi:10.1007/s10928-016-9487-8; the automated procedure:
    Dosne, Bergstrand & Karlsson 2017, doi:10.1007/s10928-017-9542-0 (whose Box-Cox proposals the unconstrained scale
    stands for).
    """
    if not np.isfinite(fit.objective):
        raise ValueError(f"{fit.method.name} ended without an objective to weigh by; end with FOCEI() or the like")
    if not fit.uncertainty.known:
        raise ValueError("sir needs a covariance to draw from: fit with covariance=True, at a minimum of the objective")
    if len(samples) != len(resamples) or any(m > n for n, m in zip(samples, resamples, strict=True)):
        raise ValueError("give as many samples as resamples, and in each iteration no more of these than of those")
    engine, center = engine_of(fit)
    rng, base, done = np.random.default_rng(seed), engine(center)[0], 0
    mean, covariance = center, inflation * np.linalg.inv(fit.uncertainty.r)
    rows, kept, rises, best = [], np.zeros((0, len(center))), np.zeros(0), 0.0
    for count, keep in zip(samples, resamples, strict=True):
        root = np.linalg.cholesky(covariance)
        z = rng.standard_normal((count, len(center)))
        x = mean + z @ root.T
        before = done

        def note(n: int, before: int = before) -> None:
            if progress is not None:
                progress(before + n, sum(samples))

        rise = objectives(engine, x, chunk, note) - base
        done += count
        log_weight = np.where(np.isfinite(rise), -0.5 * rise + 0.5 * np.sum(z * z, axis=1), -np.inf)
        weight = np.exp(log_weight - log_weight.max())
        weight /= weight.sum()
        able = int(np.sum(weight > 0))
        chosen = rng.choice(count, min(keep, able), replace=False, p=weight)
        kept, rises, best = x[chosen], rise[chosen], max(best, float(-np.min(rise[np.isfinite(rise)])))
        rows.append({
            "samples": count, "resamples": len(chosen), "failed": int(np.sum(~np.isfinite(rise))),
            "effective": 1.0 / float(np.sum(weight**2)), "largest": float(weight.max()),
            "rise_proposed": float(np.mean(rise[np.isfinite(rise)])), "rise": float(rises.mean()),
            "expected": float(len(center)),
        })  # fmt: skip
        mean, covariance = kept.mean(axis=0), np.atleast_2d(np.cov(kept, rowvar=False))
    transform, theta = engine.predictor.transform, engine.predictor.population.theta
    values = np.asarray(_every(transform, theta, jnp.asarray(kept)))
    return Resampled(
        names=fit.estimated,
        estimate=np.asarray([fit.theta[n] for n in fit.estimated]),
        values=pd.DataFrame(values, columns=list(fit.estimated)),
        rises=rises,
        iterations=pd.DataFrame(rows, index=pd.RangeIndex(1, len(rows) + 1, name="iteration")),
        best=best,
        level=level,
        seed=seed,
    )


def objectives(
    engine: Engine, x: np.ndarray, chunk: int | None = None, note: Callable[[int], None] | None = None
) -> np.ndarray:
    """The total objective at each vector `(vectors, free)`, +inf where it cannot be evaluated; random effects are
    searched from those of the engine.
    """
    found, begin = np.full(len(x), np.inf), engine.eta
    if chunk is None:
        for i, v in enumerate(x):
            engine.begin(begin)
            found[i] = engine(v)[0]
            if note is not None:
                note(i + 1)
    else:
        for at in range(0, len(x), chunk):
            part = x[at : at + chunk]
            padded = np.concatenate([part, np.repeat(part[:1], chunk - len(part), axis=0)])
            own = _batch(engine.method, engine.predictor, engine.design, jnp.asarray(padded), begin)
            total = np.asarray(own)[: len(part)] + np.asarray([engine.prior(v)[0] for v in part])
            found[at : at + chunk] = np.where(np.isfinite(total), total, np.inf)
            if note is not None:
                note(at + len(part))
    engine.begin(begin)
    return found


@compiled
def _batch(method: AbstractObjective, predictor: Predictor, design: Design, x: Any, eta: Any) -> Any:
    return jax.vmap(lambda v: jnp.sum(evaluate(method, predictor, design, v, eta).objective))(x)


@compiled
def _every(transform: Transform, theta: Any, x: Any) -> Any:
    return jax.vmap(lambda v: transform.report(v, theta))(x)
