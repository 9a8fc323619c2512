"""The family of methods that are no smooth objective to minimise: they search, sample or evaluate in their own way."""

from __future__ import annotations

import abc
import dataclasses
from typing import Any, ClassVar

import numpy as np

from twinjax.estimation.engine import Engine
from twinjax.estimation.evidence.uncertainty import Uncertainty
from twinjax.estimation.methods.base import AbstractMethod, AbstractObjective
from twinjax.estimation.methods.conditional import FOCEI
from twinjax.estimation.optimisers import Watch


@dataclasses.dataclass(frozen=True)
class Task:
    """What a method is asked to do.

    **Parameters**: `engine`, population, trial and compiled functions; `x` `(free,)`, where to start; `eta`
    `(subjects, etas)`, random effects to start from; `seed`; `watch`, to be called after each iteration with its
    number, the vector, the objective (NaN where the method has none) and the gradient (NaN likewise); `uncertainty`,
    that of the method before, None where this is the first; `covariance`, whether standard errors are wanted; `before`,
    all that the method before found.
    """

    engine: Engine
    x: np.ndarray
    eta: np.ndarray
    seed: int
    watch: Watch
    uncertainty: Uncertainty | None
    covariance: bool
    before: Estimate | None = None


@dataclasses.dataclass(frozen=True)
class Estimate:
    """What a method found.

    **Parameters**: `x` `(free,)`; `by_subject` `(subjects,)`, the objective of each, NaN where the method computes
    none; `gradient` `(free,)`, NaN likewise; `eta` `(subjects, etas)`; `settled` `(subjects,)`; `result` `(subjects,)`,
    solver codes; `uncertainty`; `evidence`, what is the method's own: a posterior, a Monte Carlo error; `classes`
    `(subjects, classes)`, how probable each class of a mixture is.
    """

    x: np.ndarray
    by_subject: np.ndarray
    gradient: np.ndarray
    eta: np.ndarray
    settled: np.ndarray
    result: np.ndarray
    uncertainty: Uncertainty
    evidence: Any = None
    classes: np.ndarray | None = None


class AbstractAlgorithm(AbstractMethod):
    """A method that runs by itself."""

    mixtures: ClassVar[bool] = False
    """Whether it serves mixtures of subpopulations."""

    @property
    def objective(self) -> AbstractObjective:
        """The objective function that its engine offers, for eta-hats and linearised standard errors."""
        return FOCEI()

    @property
    def iterations(self) -> int:
        """How many it will take; 0 where it cannot say."""
        return 0

    @abc.abstractmethod
    def estimate(self, task: Task) -> Estimate:
        """Do it. **Raises** `RuntimeError` naming the subjects that cannot be evaluated where it starts."""
