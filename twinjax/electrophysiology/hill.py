"""`fit_hill`: half-maximal concentration and Hill coefficient from patch-clamp block, with their whole posterior."""

from __future__ import annotations

import dataclasses
from typing import Any, cast

import numpy as np
import scipy.optimize

BOUNDS = ((-10.0, 10.0), (0.0, 10.0))
"""Of log10 of the concentration in nM, and of the Hill coefficient: flat within, as the FDA takes them."""

_COARSE, _FINE = (400, 200), (500, 500)


def block(log_ic50: Any, h: Any, log_concentration: Any) -> Any:
    """Percent of a current that is blocked: ``100 / (1 + (ic50 / c)^h)``, from logarithms to base ten."""
    return 100.0 / (1.0 + 10.0 ** np.clip(h * (log_ic50 - log_concentration), -300.0, 300.0))


@dataclasses.dataclass(frozen=True)
class HillFit:
    """A concentration-block curve.

    **Parameters**: `ic50` (nM) and `h`, least squares; `sd` (percent of block), of the residuals; `samples`
    `(draws, 2)`, independent draws of ic50 and h from their posterior; `determined`, whether the middle 95 % of the
    draws of ic50 span less than a factor of ten: elsewhere only the draws say how little the data tell.
    """

    ic50: float
    h: float
    sd: float
    samples: np.ndarray
    determined: bool


def fit_hill(
    concentration: Any, blocked: Any, *, draws: int = 2000, seed: int = 0, variance_weight: float = 1.0
) -> HillFit:
    """The curve ``blocked = 100 / (1 + (ic50 / c)^h)`` through measurements of one current under one drug.

    The estimate is by least squares, from gradients. The posterior of (log10 ic50, h), flat within `BOUNDS`, the
    residual variance integrated out in closed form, is laid on a grid that closes in on where it lives; draws from it
    are exact to the grid's spacing and independent, so that no chain has to converge.

    .. code-block:: text

        log p = -(n0 + n) / 2 log(n0 s^2 + SS(log10 ic50, h))        n0 = variance_weight n,  s^2 = min SS / n

    **Parameters**: `concentration` (nM, above zero) and `blocked` (percent) `(measurements,)`; those that are not
    finite are left out; `variance_weight`, how many prior measurements of the variance there are to each real one (the
    FDA takes 1; 0 is Jeffreys' prior).
    **Raises** `ValueError` for fewer than four measurements, or two concentrations; for concentrations of zero or less.
    **Reference**: Chang et al. 2017, Front Physiol 8:917, doi:10.3389/fphys.2017.00917.
    """
    c, y = np.asarray(concentration, float), np.asarray(blocked, float)
    known = np.isfinite(c) & np.isfinite(y)
    c, y = c[known], y[known]
    if np.any(c <= 0.0):
        raise ValueError(f"a concentration is {c.min():g} nM; a curve over its logarithm needs them above zero")
    at, which = np.unique(c, return_inverse=True)
    if len(y) < 4 or len(at) < 2:
        raise ValueError(
            f"{len(y)} measurements at {len(at)} concentrations; a Hill curve needs 4 at 2 of them, at least"
        )
    x = np.log10(at)
    n = np.bincount(which).astype(float)
    mean = np.bincount(which, y) / n
    within = float(np.sum((y - mean[which]) ** 2))

    def squares(log_ic50: Any, h: Any) -> Any:
        off = mean - block(log_ic50[..., None], h[..., None], x)
        return within + np.sum(n * off * off, axis=-1)

    grid = _lattice(BOUNDS, _COARSE)
    best = np.unravel_index(np.argmin(squares(*grid)), grid[0].shape)
    fitted = _least_squares(x, n, mean, (float(grid[0][best]), float(grid[1][best])))
    smallest = float(squares(*(np.asarray(f) for f in fitted)))
    prior = variance_weight * smallest + 1e-9 * len(y)  # measurements on the curve leave no variance at all

    def density(log_ic50: Any, h: Any) -> Any:
        return -0.5 * (variance_weight + 1.0) * len(y) * np.log(prior + squares(log_ic50, h))

    samples = _drawn(density, draws, np.random.default_rng(seed))
    low, high = np.quantile(samples[:, 0], (0.025, 0.975))
    return HillFit(
        10.0 ** fitted[0], fitted[1], float(np.sqrt(smallest / max(len(y) - 2, 1))),
        np.stack([10.0 ** samples[:, 0], samples[:, 1]], axis=1), bool(high - low < 1.0),
    )  # fmt: skip


def _lattice(box: Any, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Midpoints of cells."""
    edges = [np.linspace(low, high, k + 1) for (low, high), k in zip(box, size, strict=True)]
    a, b = np.meshgrid(*(0.5 * (e[1:] + e[:-1]) for e in edges), indexing="ij")
    return a, b


def _least_squares(x: np.ndarray, n: np.ndarray, mean: np.ndarray, start: tuple[float, float]) -> tuple[float, float]:
    weight = np.sqrt(n)

    def residual(p: np.ndarray) -> np.ndarray:
        return weight * (block(p[0], p[1], x) - mean)

    def slope(p: np.ndarray) -> np.ndarray:
        share = block(p[0], p[1], x) / 100.0
        by_exponent = -100.0 * np.log(10.0) * share * (1.0 - share) * weight
        return np.stack([by_exponent * p[1], by_exponent * (p[0] - x)], axis=1)

    found = scipy.optimize.least_squares(
        residual,
        start,
        jac=cast(Any, slope),
        bounds=tuple(zip(*BOUNDS, strict=True)),
        x_scale=(0.1, 0.1),
        xtol=1e-12,
        ftol=1e-12,
    )
    return float(found.x[0]), float(found.x[1])


def _drawn(density: Any, draws: int, rng: np.random.Generator) -> np.ndarray:
    """Draws from a density on the plane: cells of a grid by their weight, then a place within the cell."""
    box, size = BOUNDS, _COARSE
    for _ in range(3):  # closes in on where the density lives
        grid, step, weight = _weighed(density, box, size)
        alive = weight > 1e-7
        box = tuple(
            (max(low, float(g[alive].min()) - s), min(high, float(g[alive].max()) + s))
            for g, s, (low, high) in zip(grid, step, BOUNDS, strict=True)
        )
        size = _FINE
    grid, step, weight = _weighed(density, box, size)
    cell = rng.choice(weight.size, draws, p=weight.ravel() / weight.sum())
    return np.stack([g.ravel()[cell] for g in grid], axis=1) + (rng.random((draws, 2)) - 0.5) * step


def _weighed(density: Any, box: Any, size: tuple[int, int]) -> tuple[Any, np.ndarray, np.ndarray]:
    grid = _lattice(box, size)
    logs = density(*grid)
    step = np.array([(high - low) / k for (low, high), k in zip(box, size, strict=True)])
    return grid, step, np.exp(logs - logs.max())
