"""What a `Fit` asks of the evidence that a method without a gradient keeps: whether to believe it."""

from __future__ import annotations

import abc

import pandas as pd


class AbstractEvidence(abc.ABC):
    """The judgement of a method that has no gradient to judge by: a posterior, a stochastic approximation."""

    @property
    @abc.abstractmethod
    def statement(self) -> str:
        """What speaks for convergence, in one sentence that begins with "Converged"."""

    @property
    @abc.abstractmethod
    def doubts(self) -> tuple[str, ...]:
        """What stands against the estimates, in words; those that begin with "Not converged" deny `statement`."""

    @property
    def intervals(self) -> dict[str, tuple[float, float]]:
        """95 % intervals by parameter, where it has better ones than those from the standard errors."""
        return {}

    @property
    def remarks(self) -> str:
        """What a printed fit adds below its table; empty for none."""
        return ""

    @property
    def frames(self) -> dict[str, pd.DataFrame]:
        """Tables by name that a run's folder keeps besides the usual ones."""
        return {}
