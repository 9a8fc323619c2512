"""How many clones a tumour has and how each answers to a drug: maximum likelihood by gradient from many starts."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import scipy.optimize

from twinjax.assays.clones import Clones
from twinjax.assays.counts import Counts, TwoLevels

SMALLEST = 1e-8
"""An hour's survival factor stays this far from 0 and 1, where its logarithm is searched."""

ROUGH, FINE, FINISHED = 1e-5, 1e-10, 12
"""Every start descends to the one tolerance of the objective, relative to it; the best few go on to the other."""


@dataclasses.dataclass(frozen=True)
class CloneBounds:
    """Where each value may lie, low and high.

    **Parameters**: `growth` (1/h); `survival`; `ec50`, in the experiment's unit, above 0; `hill`, above 0; `share` of
    every clone but the last, and the most they may add up to, `shares`; `noise`, the standard deviations, in cells.
    **Raises** `ValueError` for bounds that are out of order or not above 0 where a logarithm is searched.
    """

    growth: tuple[float, float] = (-0.1, 0.1)
    survival: tuple[float, float] = (0.0, 1.0)
    ec50: tuple[float, float] = (1e-6, 2e3)
    hill: tuple[float, float] = (1e-2, 100.0)
    share: tuple[float, float] = (0.0, 1.0)
    shares: float = 1.0
    noise: tuple[float, float] = (1e-6, 5e4)

    def __post_init__(self) -> None:
        for name in ("growth", "survival", "ec50", "hill", "share", "noise"):
            low, high = getattr(self, name)
            if not low < high:
                raise ValueError(f"bounds of {name}: {low} is not below {high}")
            if name in ("ec50", "hill", "noise") and low <= 0:
                raise ValueError(
                    f"the lower bound of {name} is {low}; its logarithm is searched: give a small value > 0"
                )

    def box(self, clones: int) -> tuple[np.ndarray, np.ndarray]:
        """Low and high of the vector that is searched."""
        kill = [np.log(-np.log(np.clip(s, SMALLEST, 1 - SMALLEST))) for s in self.survival[::-1]]
        pairs = [self.growth, tuple(kill), tuple(np.log(self.ec50)), tuple(np.log(self.hill))]
        return tuple(
            np.concatenate([np.repeat([p[end] for p in pairs], clones), np.repeat(self.share[end], clones - 1)])
            for end in (0, 1)
        )  # type: ignore[return-value]


@dataclasses.dataclass(frozen=True)
class ClonesFit:
    """The most likely mixture of a number of clones.

    **Parameters**: `clones`; `noise`, the higher and the lower standard deviation (cells); `nll`, the negative log
    likelihood without its constant; `parameters`, how many were free; `observations`, how many counts; `starts` that
    were made, and how many were `agreeing` with the best to 0.1.
    """

    clones: Clones
    noise: tuple[float, float]
    nll: float
    parameters: int
    observations: int
    starts: int
    agreeing: int

    @property
    def aic(self) -> float:
        """Akaike's criterion, ``2 nll + 2 parameters``."""
        return 2.0 * self.nll + 2.0 * self.parameters

    @property
    def bic(self) -> float:
        """Bayes' criterion, ``2 nll + parameters log(observations)``."""
        return 2.0 * self.nll + self.parameters * float(np.log(self.observations))


@dataclasses.dataclass(frozen=True)
class ClonesFound:
    """Fits by number of clones, one to the most that was asked for."""

    counts: Counts
    fits: tuple[ClonesFit, ...]

    @property
    def best(self) -> ClonesFit:
        """The fit of least BIC."""
        return min(self.fits, key=lambda fit: fit.bic)

    def rows(self) -> list[dict[str, float | int | str]]:
        """One row a clone of every fit: the mixture's likelihood and criteria, then the clone's values."""
        highest = float(np.max(self.counts.concentration))
        return [
            {"data": self.counts.name, "clones": len(fit.clones.share), "best": fit is self.best, "nll": fit.nll,
             "aic": fit.aic, "bic": fit.bic, "noise_high": fit.noise[0], "noise_low": fit.noise[1],
             "starts": fit.starts, "agreeing": fit.agreeing, "clone": i + 1,
             **{n: float(getattr(fit.clones, n)[i]) for n in ("share", "growth", "survival", "ec50", "hill")},
             "gr50": float(fit.clones.gr50(highest)[i])}
            for fit in self.fits for i in range(len(fit.clones.share))
        ]  # fmt: skip


class Likelihood:
    """Negative log likelihood of counts, each well's own count at time 0 times the multiplier, normal about it:
    ``sum r^2 / (2 s^2) + N_high log s_high + N_low log s_low``. Every cell of the table counts in N, missing ones too,
    as in the reference's program; missing residuals are left out.

    Residuals need only three sums over replicates a time and concentration, and for given residuals the most likely
    standard deviations are known: the search is over the clones alone.
    """

    def __init__(self, counts: Counts, level: TwoLevels, noise: tuple[float, float]) -> None:
        seen = counts.seen
        later, first = (np.where(seen, x, 0.0) for x in (counts.count[1:], counts.count[:1]))
        self.sums = tuple(jnp.asarray(x.sum(axis=1)) for x in (later**2, later * first, first**2))
        self.time, self.concentration = jnp.asarray(counts.time[1:]), jnp.asarray(counts.concentration)
        high = level.high(counts.time[1:], counts.concentration)
        self.masks = tuple(jnp.asarray(m, float) for m in (high, ~high))
        self.numbers = tuple(float(m.sum() * counts.count.shape[1]) for m in (high, ~high))
        self.noise = noise

    def deviations(self, clones: Clones) -> tuple[jax.Array, ...]:
        """The most likely standard deviations within their bounds; of a level with no counts, the lower bound."""
        return tuple(
            jnp.clip(jnp.sqrt(s / max(n, 1.0)), *self.noise)
            for s, n in zip(self._squares(clones), self.numbers, strict=True)
        )

    def __call__(self, clones: Clones, deviations: tuple[jax.Array, ...] | None = None) -> jax.Array:
        """At the given standard deviations, or the most likely ones (where its derivative in them is zero or they are
        at a bound).
        """
        squares = self._squares(clones)
        spread = jax.lax.stop_gradient(self.deviations(clones)) if deviations is None else deviations
        each = zip(squares, spread, self.numbers, strict=True)
        return sum((s / (2.0 * d**2) + n * jnp.log(d) for s, d, n in each if n), jnp.asarray(0.0))

    def _squares(self, clones: Clones) -> tuple[jax.Array, ...]:
        m = clones.multiplier(self.time, self.concentration)
        later, both, first = self.sums
        each = later - 2.0 * m * both + m**2 * first
        return tuple(jnp.sum(each * mask) for mask in self.masks)


def find_clones(
    counts: Counts, *, up_to: int = 4, level: TwoLevels | None = None, bounds: CloneBounds | None = None,
    starts: int = 200, seed: int = 0, progress: Callable[[int, int], None] | None = None,
) -> ClonesFound:  # fmt: skip
    """The most likely mixtures of one to `up_to` clones, and by BIC how many there are.

    **Parameters**: `level`, where counts are noisier; `bounds`; `starts`, how many random starts each number of
    clones has besides those grown from the mixture of one clone fewer; `seed`; `progress(done, all)`.
    **Raises** `ValueError` for no clones or starts asked for, or bounds that the shares cannot satisfy.
    """
    level, bounds = level or TwoLevels(), bounds or CloneBounds()
    if up_to < 1 or starts < 1:
        raise ValueError(f"ask for at least one clone and one start, not {up_to} and {starts}")
    if bounds.share[0] * (up_to - 1) > bounds.shares:
        raise ValueError(f"{up_to - 1} shares of at least {bounds.share[0]} exceed {bounds.shares}")
    likelihood, fits = Likelihood(counts, level, bounds.noise), []
    for k in range(1, up_to + 1):
        fits.append(_fit(likelihood, counts, k, bounds, starts, seed, fits[-1].clones if fits else None))
        if progress is not None:
            progress(k, up_to)
    return ClonesFound(counts, tuple(fits))


def _clones(x: jax.Array, clones: int) -> Clones:
    growth, kill, ec50, hill = (x[i * clones : (i + 1) * clones] for i in range(4))
    share = x[4 * clones :]
    whole = jnp.concatenate([share, 1.0 - jnp.sum(share, keepdims=True)])
    return Clones(whole, growth, jnp.exp(-jnp.exp(kill)), jnp.exp(ec50), jnp.exp(hill))


def _fit(
    likelihood: Likelihood, counts: Counts, clones: int, bounds: CloneBounds, starts: int, seed: int,
    fewer: Clones | None,
) -> ClonesFit:  # fmt: skip
    low, high = bounds.box(clones)
    wide = high - low
    slope = jax.jit(jax.value_and_grad(lambda z: likelihood(_clones(low + wide * z, clones))))
    weights = np.concatenate([np.zeros(4 * clones), np.full(clones - 1, wide[-1])]) if clones > 1 else np.zeros(4)
    spare = bounds.shares - bounds.share[0] * (clones - 1)
    limit = {"type": "ineq", "fun": lambda z: spare - weights @ z, "jac": lambda z: -weights}

    def objective(z: np.ndarray) -> tuple[float, np.ndarray]:
        value, gradient = slope(np.clip(z, 0.0, 1.0))
        return float(value), np.asarray(gradient)

    def descend(z: np.ndarray, tolerance: float) -> tuple[float, np.ndarray]:
        found = scipy.optimize.minimize(
            objective, z, jac=True, method="SLSQP", bounds=[(0.0, 1.0)] * len(low),
            constraints=[limit] if clones > 2 else [], options={"maxiter": 1000, "ftol": tolerance},
        )  # fmt: skip
        end = np.clip(found.x, 0.0, 1.0)
        return objective(end)[0], end

    rough = [descend(z, ROUGH) for z in _starts(low, high, clones, spare, starts, seed, fewer)]
    rough = sorted((e for e in rough if np.isfinite(e[0])), key=lambda e: e[0])
    ends = rough[FINISHED:]
    for _, end in rough[:FINISHED]:
        for _ in range(2):  # begun again, it forgets a poor guess at the curvature
            end = descend(end, FINE)[1]
        ends.append(descend(end, FINE))
    if not ends:
        raise FloatingPointError(f"{counts.name}: no start could be evaluated; are the bounds those of these data?")
    nll, z = min(ends, key=lambda e: e[0])
    best = _clones(jnp.asarray(low + wide * z), clones)
    order = jnp.argsort(best.gr50(float(np.max(counts.concentration))))
    high_noise, low_noise = (float(d) for d in likelihood.deviations(best))
    free = 5 * clones - 1 + sum(map(bool, likelihood.numbers))
    return ClonesFit(
        jax.tree.map(lambda v: v[order], best), (high_noise, low_noise), nll, free,
        int(counts.seen.sum()), len(ends), sum(e[0] < nll + 0.1 for e in ends),
    )  # fmt: skip


def _starts(
    low: np.ndarray, high: np.ndarray, clones: int, spare: float, starts: int, seed: int, fewer: Clones | None
) -> list[np.ndarray]:
    """Points of the unit box: random ones, and the mixture of one clone fewer with a new clone split off each."""
    rng = np.random.default_rng([seed, clones])
    wide, found = high - low, []
    for _ in range(starts):
        z = rng.random(len(low))
        if clones > 1:
            z[4 * clones :] = _within(rng.dirichlet(np.ones(clones))[:-1] - low[-1], wide[-1], spare)
        found.append(z)
    if fewer is None:
        return found
    columns = [fewer.growth, jnp.log(-jnp.log(fewer.survival)), jnp.log(fewer.ec50), jnp.log(fewer.hill)]
    known = np.asarray(jnp.stack(columns))  # (4, clones - 1)
    for parent in range(clones - 1):
        for _ in range(max(1, starts // 10)):
            child = low[: 4 * clones : clones] + wide[: 4 * clones : clones] * rng.random(4)
            share = np.append(np.asarray(fewer.share), 0.0)
            share[[parent, -1]] = share[parent] * np.array([0.7, 0.3])
            order = rng.permutation(clones)
            whole = np.concatenate([known, child[:, None]], axis=1)[:, order]
            z = (np.concatenate([whole.ravel(), share[order][:-1]]) - low) / wide
            z[4 * clones :] = _within(share[order][:-1] - low[-1], wide[-1], spare)
            found.append(np.clip(z, 0.0, 1.0))
    return found


def _within(share: np.ndarray, wide: float, spare: float) -> np.ndarray:
    """Shares above their lower bound as points of the unit box, shrunk until they fit."""
    inside = np.clip(share, 0.0, wide)
    return inside * min(1.0, spare / max(inside.sum(), 1e-12)) / wide
