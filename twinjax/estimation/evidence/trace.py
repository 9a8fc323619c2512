"""How a stochastic search went: its trace, whether it levelled out, and how far chance moves its end."""

from __future__ import annotations

import dataclasses

import numpy as np

from twinjax.estimation.evidence.protocol import AbstractEvidence

_BATCHES = 10
_UNINFORMED = 0.9
"""Share of a variance that is conditional above which data say next to nothing of the random effects."""


@dataclasses.dataclass(frozen=True)
class Trace(AbstractEvidence):
    """What a stochastic EM leaves besides its estimates.

    **Parameters**: `names` `(free,)`, of the parameters; `x` `(iterations, free)`, the unconstrained vector after each;
    `explored`, how many iterations had a full gain, before averaging began; `level` `(free,)`, whether each parameter
    had levelled out by then; `error` `(free,)`, Monte Carlo standard error of the end, in unconstrained parameters;
    `mean` and `sd` `(subjects, etas)`, conditional means and standard deviations of the random effects; `deviations`
    `(etas,)`, the name of each one's omega; `accepted`, share of proposals accepted, by kernel; `interrupted`.
    """

    names: tuple[str, ...]
    x: np.ndarray
    explored: int
    level: np.ndarray
    error: np.ndarray
    mean: np.ndarray
    sd: np.ndarray
    deviations: tuple[str, ...]
    accepted: dict[str, float]
    interrupted: bool = False

    @property
    def doubts(self) -> tuple[str, ...]:
        """What stands against the end of the search, in words."""
        found = []
        if self.interrupted:
            found.append(
                f"Not converged: interrupted after {len(self.x)} iterations; fit again from this fit to go on."
            )
        elif not self.level.all():
            who = ", ".join(n for n, ok in zip(self.names, self.level, strict=True) if not ok)
            found.append(f"Not converged: the trace of {who} had not levelled out after {self.explored} iterations: "
                         "raise explore, or chains.")  # fmt: skip
        for name in dict.fromkeys(self.deviations):
            if name in self.names and self.uninformed(name) > _UNINFORMED:
                found.append(f"The variability of {name.removeprefix('omega.')} may be zero: conditional variances are "
                             f"{100 * self.uninformed(name):.0f} % of it, and EM nears zero slowly.")  # fmt: skip
        return tuple(found)

    def uninformed(self, name: str) -> float:
        """The mean conditional variance of random effects as a share of their variance, by the name of their omega."""
        of = np.asarray([d == name for d in self.deviations])
        within = float(np.square(self.sd[:, of]).mean())
        return within / max(within + float(np.square(self.mean[:, of]).mean()), 1e-300)

    @property
    def statement(self) -> str:
        """That it levelled out, and how far chance moves its end."""
        worst = int(np.argmax(self.error)) if len(self.error) else 0
        return (
            f"Converged: the trace levelled out after {self.explored} of {len(self.x)} iterations; Monte Carlo error "
            f"up to {self.error[worst]:.1g} (unconstrained {self.names[worst]})."
        )


def level(trace: np.ndarray, least: float = 0.01) -> np.ndarray:
    """Whether each column of `(iterations, free)` has levelled out: its halves differ by no more than chance, or by
    less than `least`.

    Chance is judged from steps between the means of neighbouring batches, which a drift hardly widens and which allow
    for iterations that resemble the ones before.
    """
    means = _batches(trace)
    half = len(means) // 2
    difference = np.abs(means[:half].mean(axis=0) - means[half:].mean(axis=0))
    chance = np.sqrt(2.0 / half * _noise(means))
    return (difference < 3.0 * chance) | (difference < least)


def long_run_variance(trace: np.ndarray) -> np.ndarray:
    """Variance of a mean of `(iterations, free)` times their number."""
    return _noise(_batches(trace)) * (len(trace) // _BATCHES)


def _noise(means: np.ndarray) -> np.ndarray:
    """Variance of batch means about a slow drift (von Neumann)."""
    return 0.5 * np.square(np.diff(means, axis=0)).mean(axis=0)


def _batches(trace: np.ndarray) -> np.ndarray:
    size = len(trace) // _BATCHES
    return trace[len(trace) - size * _BATCHES :].reshape(_BATCHES, size, -1).mean(axis=1)
