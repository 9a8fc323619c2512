"""What a method of estimation is, and the family of those that minimise a smooth objective function."""

from __future__ import annotations

import abc
from typing import Any, ClassVar

import equinox as eqx

from twinjax.estimation.likelihood import Observations
from twinjax.estimation.prediction import Design, Predictor
from twinjax.population.population import Population


class Evaluation(eqx.Module):
    """The objective at one point.

    **Parameters**: `objective` `(subjects,)`; `gradient` `(subjects, free)`, in the unconstrained parameters; `eta`
    `(subjects, etas)`; `result` `(subjects,)`, solver codes; `settled` `(subjects,)`, whether eta-hat converged;
    `classes` `(subjects, classes)`, how probable each class of a mixture is, None where there is no mixture; `joint`
    `(subjects,)`, -2 log of the joint density of data and eta, None where the method works about no mode.
    """

    objective: Any
    gradient: Any
    eta: Any
    result: Any
    settled: Any
    classes: Any = None
    joint: Any = None


class AbstractMethod(eqx.Module):
    """A way to estimate a population from data. Methods are frozen objects; their options are their fields."""

    conditional: ClassVar[bool] = False
    """Whether it finds each subject's random effects."""

    @property
    def name(self) -> str:
        """As tables and reports show it."""
        return type(self).__name__

    @property
    def steps(self) -> tuple[AbstractMethod, ...]:
        """The methods that run one after another, each from where the last ended: itself, unless it is a chain."""
        return (self,)

    def then(self, following: AbstractMethod) -> Chain:
        """This method, and then another from where it ended."""
        return Chain((*self.steps, *following.steps))


class Chain(AbstractMethod):
    """Methods one after another: ``SAEM().then(ImportanceSampling())``."""

    methods: tuple[AbstractMethod, ...]

    @property
    def name(self) -> str:
        """Every step's."""
        return ", then ".join(m.name for m in self.methods)

    @property
    def steps(self) -> tuple[AbstractMethod, ...]:
        """Every step."""
        return self.methods


class AbstractObjective(AbstractMethod):
    """A way to say how far a population is from the data: an objective function with its exact gradient, which an
    optimiser minimises.
    """

    def check(self, population: Population, observed: Observations) -> None:
        """**Raises** `ValueError` for a population or data that the method has no likelihood for."""
        if not population.etas:
            raise ValueError(
                f"{self.name} needs random effects, and this population has none: give it variability, or use "
                "NaivePooled()"
            )

    @abc.abstractmethod
    def evaluate(self, predictor: Predictor, design: Design, x: Any, eta: Any) -> Evaluation:
        """Objective and exact gradient at `x`, searching eta-hat from `eta`. Inside `jit`."""

    def second_derivatives(self, predictor: Predictor, design: Design, x: Any, eta: Any) -> Any:
        """Exact second derivatives `(subjects, free, free)` of the objective at `x`, where `eta` are the modes; None
        where the method has only its gradient. Inside `jit`.
        """
        return None
