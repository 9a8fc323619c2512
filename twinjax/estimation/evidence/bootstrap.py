"""`bootstrap`: how the estimates scatter when the trial is drawn anew."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from twinjax.estimation.evidence.again import ROUND, engine_of, minimised, roundness
from twinjax.estimation.evidence.pool import End, Pool
from twinjax.estimation.evidence.resampling import AbstractResampling, Case, described
from twinjax.estimation.evidence.uncertainty import reported
from twinjax.estimation.optimisers import AbstractOptimiser
from twinjax.estimation.result import Fit


@dataclasses.dataclass(frozen=True)
class Replicate:
    """One replicate: its number, the vector and reported estimates `(free,)`, the objective, the largest gradient in
    round coordinates, and why it failed ("" if it did not).
    """

    number: int
    x: np.ndarray
    estimates: np.ndarray
    objective: float
    gradient: float
    failure: str


@dataclasses.dataclass(frozen=True)
class Pace:
    """How far a bootstrap is. **Parameters**: `done` of `asked` replicates, `failed` of them, `before`, how many an
    earlier session had done; `seconds`, of this session.
    """

    done: int
    asked: int
    failed: int
    before: int
    seconds: float

    @property
    def rate(self) -> float:
        """Replicates a second."""
        return (self.done - self.before) / max(self.seconds, 1e-9)

    @property
    def remaining(self) -> float:
        """Seconds that the rest will take at this rate."""
        return (self.asked - self.done) / self.rate if self.rate else math.nan


@dataclasses.dataclass(frozen=True)
class Bootstrap:
    """Estimates of a trial drawn anew many times.

    **Parameters**: `names` of the estimated parameters and their `estimate` `(free,)`; `replicates`, in order of their
    numbers; `kind` and `seed`; `level` of the intervals in `table`.
    """

    names: tuple[str, ...]
    estimate: np.ndarray
    replicates: tuple[Replicate, ...]
    kind: AbstractResampling
    seed: int
    level: float = 0.95

    @property
    def values(self) -> pd.DataFrame:
        """Estimates of the replicates that did not fail, a row each."""
        good = [r for r in self.replicates if not r.failure]
        table = np.reshape([r.estimates for r in good], (len(good), len(self.names)))
        return pd.DataFrame(table, index=pd.Index([r.number for r in good], name="replicate"), columns=list(self.names))

    @property
    def failures(self) -> dict[int, str]:
        """Why replicates failed, by number."""
        return {r.number: r.failure for r in self.replicates if r.failure}

    @property
    def covariance(self) -> np.ndarray:
        """Of the estimates, `(free, free)`."""
        return np.atleast_2d(np.cov(self.values.to_numpy(), rowvar=False))

    @property
    def table(self) -> pd.DataFrame:
        """One row a parameter: estimate, mean, median, bias (mean less estimate), se, rse (%), and the percentile
        interval `lower`, `upper`. Failed replicates are left out.
        """
        v = self.values.to_numpy()
        tail = (1 - self.level) / 2
        lower, median, upper = np.quantile(v, [tail, 0.5, 1 - tail], axis=0)
        mean, se = v.mean(axis=0), v.std(axis=0, ddof=1)
        return pd.DataFrame({
            "parameter": self.names, "estimate": self.estimate, "mean": mean, "median": median,
            "bias": mean - self.estimate, "se": se, "rse": 100 * se / np.abs(self.estimate), "lower": lower,
            "upper": upper,
        }).set_index("parameter")  # fmt: skip

    def joined(self, *others: Bootstrap) -> Bootstrap:
        """With the replicates of others: parts of one bootstrap, done in several places.

        **Raises** `ValueError` where they are not parts of one.
        """
        for other in others:
            same = (other.names, other.seed, described(other.kind)) == (self.names, self.seed, described(self.kind))
            if not (same and np.array_equal(other.estimate, self.estimate)):
                raise ValueError("these are not parts of one bootstrap: fit, kind and seed must be the same")
        every = {r.number: r for part in (self, *others) for r in part.replicates}
        return dataclasses.replace(self, replicates=tuple(every[n] for n in sorted(every)))

    def __str__(self) -> str:
        failed = f", {len(self.failures)} of them failed" if self.failures else ""
        return (
            f"{type(self.kind).__name__} bootstrap, {len(self.replicates)} replicates{failed}, seed {self.seed}\n"
            + self.table.to_string()
        )


def bootstrap(
    fit: Fit,
    replicates: int = 200,
    kind: AbstractResampling | None = None,
    *,
    seed: int = 0,
    first: int = 0,
    optimiser: AbstractOptimiser = ROUND,
    together: int = 1,
    level: float = 0.95,
    keep: str | Path | None = None,
    progress: Callable[[Pace], None] | None = None,
) -> Bootstrap:
    """Estimate anew from a trial drawn anew, many times, each search from the fit's own estimates.

    Replicate i depends on `seed` and i alone: not on how many there are, nor where they are done. The program that the
    fit compiled is used throughout, or one that evaluates several replicates at once (`together`), which has to be
    compiled: it pays for hundreds of replicates of a small trial, and on a GPU. Their ends are then the same within the
    optimiser's tolerance, not to the digit.

    **Parameters**: `kind`, default `Case()`, or `Parametric()`; `first`, number of the first replicate, to do them in
    parts (`Bootstrap.joined`); `optimiser`, in coordinates in which the objective is round; `together`, how many are
    searched side by side, to its gradient tolerance (those that do not settle so are searched again by `optimiser`; a
    trial that is divided into buckets or among hosts is searched one by one all the same); `level` of the intervals;
    `keep`, a file to which each replicate is written when it is done: a bootstrap that was stopped goes on from it;
    `progress`, called after each replicate.
    **Raises** `ValueError` for a method with no objective at its end, a stratum that is not one, `together` below one,
    and a file of another bootstrap; `KeyboardInterrupt` passes, with what was done in `keep`.
    """
    if not np.isfinite(fit.objective):
        raise ValueError(
            f"{fit.method.name} ended without an objective to minimise again; end with FOCEI() or the like"
        )
    if together < 1:
        raise ValueError(f"together is how many replicates are searched side by side, at least 1, not {together}")
    kind = kind or Case()
    engine, x = engine_of(fit)
    engine(x)
    draw, rounded = kind.draw(fit, engine, seed), roundness(fit)
    transform, theta = engine.predictor.transform, engine.predictor.population.theta

    def one(number: int) -> Replicate:
        try:
            objective = draw(number)
            objective.restart()
            end, f, g = minimised(objective, x, rounded, optimiser)
        except FloatingPointError as failed:
            unknown = np.full(len(x), np.nan)
            return Replicate(number, unknown, unknown, math.nan, math.nan, str(failed))
        settled = g <= 10 * getattr(optimiser, "gradient_tolerance", math.inf)
        why = "" if settled else f"the search did not settle (largest gradient {g:.2g})"
        return Replicate(number, end, np.asarray(reported(transform, theta, end)[0]), f, g, why)

    def replicate(end: End) -> Replicate:
        estimates = np.asarray(reported(transform, theta, end.x)[0])
        return Replicate(end.number, end.x, estimates, end.objective, end.gradient, "")

    journal = None if keep is None else _Journal(Path(keep), fit, x, kind, seed)
    wanted = range(first, first + replicates)
    known = {} if journal is None else {r.number: r for r in journal.read() if r.number in wanted}
    found, began, before = dict(known), time.perf_counter(), len(known)
    left = [number for number in wanted if number not in known]
    if together > 1 and engine.whole:
        pool = Pool(engine, x, rounded, together, getattr(optimiser, "gradient_tolerance", ROUND.gradient_tolerance))
        each = (replicate(end) if end.settled else one(end.number) for end in pool.search(left, draw))
    else:
        each = map(one, left)
    for new in each:
        found[new.number] = new
        if journal is not None:
            journal.write(new)
        if progress is not None:
            failed = sum(bool(r.failure) for r in found.values())
            progress(Pace(len(found), replicates, failed, before, time.perf_counter() - began))
    estimate = np.asarray([fit.theta[n] for n in fit.estimated])
    return Bootstrap(fit.estimated, estimate, tuple(found[n] for n in wanted), kind, seed, level)


class _Journal:
    """A file of one line for the bootstrap and one for each replicate done; the last line may be torn."""

    def __init__(self, file: Path, fit: Fit, x: np.ndarray, kind: AbstractResampling, seed: int) -> None:
        text = repr((fit.estimated, x.tolist(), fit.trial.ids, fit.method.name, fit.objective))
        self.head = {"bootstrap": described(kind), "seed": seed, "fit": hashlib.sha256(text.encode()).hexdigest()}
        self.file = file
        if file.exists() and file.stat().st_size:
            if next(self._lines(), None) != self.head:
                raise ValueError(f"{file} is of another bootstrap: another fit, kind or seed; choose another file")
            if not file.read_bytes().endswith(b"\n"):
                file.write_bytes(file.read_bytes() + b"\n")
        else:
            file.parent.mkdir(parents=True, exist_ok=True)
            self._append(self.head)

    def read(self) -> Iterator[Replicate]:
        """The replicates that are done."""
        for line in list(self._lines())[1:]:
            arrays = {k: np.asarray(line[k], float) for k in ("x", "estimates")}
            yield Replicate(**{**line, **arrays})

    def write(self, replicate: Replicate) -> None:
        """One more."""
        line = dataclasses.asdict(replicate)
        self._append({k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in line.items()})

    def _append(self, line: dict[str, Any]) -> None:
        with self.file.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    def _lines(self) -> Iterator[dict[str, Any]]:
        for text in self.file.read_text(encoding="utf-8").splitlines():
            try:
                yield json.loads(text)
            except json.JSONDecodeError:
                continue
