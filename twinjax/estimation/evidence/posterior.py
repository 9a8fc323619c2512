"""A posterior as draws, and whether to believe them."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from twinjax.estimation.evidence.protocol import AbstractEvidence
from twinjax.estimation.priors import described

_RHAT, _ESS = 1.01, 100
"""R-hat above which chains disagree, and effective draws a chain below which an estimate is coarse."""


@dataclasses.dataclass(frozen=True)
class Posterior(AbstractEvidence):
    """Draws from a posterior, `(chains, draws, ...)`.

    **Parameters**: `names` of the parameters; `draws` `(..., parameters)`; `etas`, `ids`, names of random effects and
    subjects; `eta` `(..., subjects, etas)`; `density`, its logarithm in the unconstrained vector but for a constant;
    `diverged`, trajectories whose energy was lost; `steps`, gradients taken; `acceptance`; `energy`; `capped`,
    trajectories that were cut off; `step_size`; `warmup`, iterations before the first draw; `asked`, how many draws a
    chain were; `stopped`, by an interruption; `priors` by parameter (of a correlation without its own, the shape of
    the LKJ density of its block); `given`, names whose priors were given, not defaults.
    **Reference**: rank-normalised R-hat and effective sample sizes, and their thresholds: Vehtari et al. 2021,
    doi:10.1214/20-BA1221.
    """

    names: tuple[str, ...]
    draws: np.ndarray
    etas: tuple[str, ...]
    ids: tuple[str, ...]
    eta: np.ndarray
    density: np.ndarray
    diverged: np.ndarray
    steps: np.ndarray
    acceptance: np.ndarray
    energy: np.ndarray
    capped: np.ndarray
    step_size: float
    warmup: int
    asked: int
    stopped: bool
    priors: Mapping[str, Any]
    given: tuple[str, ...]

    @functools.cached_property
    def table(self) -> pd.DataFrame:
        """One row a parameter: mean, sd, quantiles, Monte Carlo error of the mean, effective draws of bulk and tail,
        R-hat, prior, and whether that was given.
        """
        from arviz_stats.base import array_stats

        def by(function: Any, **more: Any) -> list[float]:
            return [float(function(self.draws[..., i], chain_axis=0, draw_axis=1, **more)) for i in range(len(names))]

        names = self.names
        flat = self.draws.reshape(-1, len(names))
        low, middle, high = np.quantile(flat, [0.025, 0.5, 0.975], axis=0)
        return pd.DataFrame({
            "mean": flat.mean(axis=0), "sd": flat.std(axis=0, ddof=1), "2.5 %": low, "50 %": middle, "97.5 %": high,
            "mcse": by(array_stats.mcse, method="mean"), "ess_bulk": by(array_stats.ess, method="bulk"),
            "ess_tail": by(array_stats.ess, method="tail", prob=(0.05, 0.95)),
            "rhat": by(array_stats.rhat, method="rank"),
            "prior": [self._prior(n) for n in names], "given": [n in self.given for n in names],
        }, index=pd.Index(names, name="parameter"))  # fmt: skip

    def _prior(self, name: str) -> str:
        prior = self.priors[name]
        return f"LKJ({prior:g})" if isinstance(prior, float) else described(prior)

    @property
    def rhat(self) -> dict[str, float]:
        """Rank-normalised R-hat by parameter: above 1.01 the chains disagree."""
        return dict(zip(self.names, self.table["rhat"].tolist(), strict=True))

    @property
    def ess(self) -> dict[str, float]:
        """Effective number of draws by parameter: the smaller of bulk and tail."""
        return dict(zip(self.names, self.table[["ess_bulk", "ess_tail"]].min(axis=1).tolist(), strict=True))

    @property
    def divergences(self) -> int:
        """Draws whose trajectory diverged."""
        return int(self.diverged.sum())

    @property
    def intervals(self) -> dict[str, tuple[float, float]]:
        """Between the 2.5 % and 97.5 % quantiles."""
        low, high = np.quantile(self.draws, [0.025, 0.975], axis=(0, 1))
        return {n: (float(a), float(b)) for n, a, b in zip(self.names, low, high, strict=True)}

    @property
    def statement(self) -> str:
        """Of R-hat and effective draws."""
        return (
            f"Converged: R-hat at most {max(self.rhat.values()):.3f}, at least {min(self.ess.values()):.0f} effective "
            f"of {self.diverged.size} draws. Estimates are posterior means."
        )

    @property
    def doubts(self) -> tuple[str, ...]:
        """Of chains that disagree, few effective draws, divergences, trajectories cut off, an interruption."""
        found, chains = [], self.draws.shape[0]
        rhat, ess = self.rhat, self.ess
        worst, fewest = max(rhat, key=lambda n: np.nan_to_num(rhat[n], nan=np.inf)), min(ess, key=lambda n: ess[n])
        if not rhat[worst] <= _RHAT:
            found.append(
                f"Not converged: R-hat of {worst} is {rhat[worst]:.3f}, above {_RHAT}: the chains have not yet seen "
                "the same posterior. Draw more, warm up longer, or give tighter priors."
            )
        if not ess[fewest] >= _ESS * chains:
            found.append(
                f"Only {ess[fewest]:.0f} effective draws of {fewest} (of {self.diverged.size}; {_ESS * chains} "
                "wanted): its estimate is coarse. Draw more."
            )
        if self.divergences:
            found.append(
                f"{self.divergences} of {self.diverged.size} draws diverged: parts of the posterior may be missing. "
                "Raise acceptance to 0.95 or 0.99, or give tighter priors."
            )
        if self.capped.mean() > 0.01:
            found.append(
                f"{100 * self.capped.mean():.0f} % of trajectories were cut off at the limit of doublings: slow, not "
                "wrong. Learn a dense mass matrix, or start nearer."
            )
        if self.stopped:
            found.append(f"Interrupted: {self.draws.shape[1]} of {self.asked} draws a chain.")
        return tuple(found)

    @property
    def remarks(self) -> str:
        """Every prior, and which are defaults."""
        said = [f"{n} ~ {self._prior(n)}" + ("" if n in self.given else " (default)") for n in self.names]
        return "priors: " + ", ".join(said)

    @property
    def frames(self) -> dict[str, pd.DataFrame]:
        """``draws``, a row a draw: chain, draw, lp, diverging and every parameter. Draws of etas are in `to_arviz`."""
        chains, draws, _ = self.draws.shape
        place = {"chain": np.repeat(np.arange(chains), draws), "draw": np.tile(np.arange(draws), chains)}
        more = {"lp": self.density.ravel(), "diverging": self.diverged.ravel()}
        return {
            "draws": pd.DataFrame(
                {**place, **more, **{n: self.draws[..., i].ravel() for i, n in enumerate(self.names)}}
            )
        }

    def to_arviz(self) -> Any:
        """The draws as ArviZ data (an xarray `DataTree`): groups `posterior` and `sample_stats`.

        **Raises** `ImportError` that says what to install.
        """
        try:
            from arviz_base import from_dict
        except ImportError as error:
            raise ImportError("ArviZ is not installed: pip install 'twinjax[bayes]'") from error
        posterior: dict[str, Any] = {n: self.draws[..., i] for i, n in enumerate(self.names)}
        dims: dict[str, list[str]] = {}
        coords: dict[str, Any] = {}
        if self.etas:
            posterior["eta"] = self.eta
            dims, coords = {"eta": ["subject", "effect"]}, {"subject": list(self.ids), "effect": list(self.etas)}
        stats = {
            "lp": self.density, "diverging": self.diverged, "n_steps": self.steps, "acceptance_rate": self.acceptance,
            "energy": self.energy, "reached_max_treedepth": self.capped,
        }  # fmt: skip
        return from_dict({"posterior": posterior, "sample_stats": stats}, dims=dims, coords=coords)
