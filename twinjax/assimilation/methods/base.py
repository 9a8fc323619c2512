"""What a way to learn from a patient's data is."""

from __future__ import annotations

import abc
from typing import Any, ClassVar

import equinox as eqx
import jax

from twinjax.assimilation.bedside import Bedside
from twinjax.assimilation.belief import AbstractBelief, NormalBelief
from twinjax.assimilation.innovation import Innovations
from twinjax.population.population import Population

LEARNT, UNEXPLAINED, UNSOLVED, UNFINISHED = range(4)
WHY = {
    LEARNT: "learnt",
    UNEXPLAINED: "no particle explains it: its probability is zero by all of them",
    UNSOLVED: "the model's equations could be solved for no particle up to it",
    UNFINISHED: "it is so surprising that it could not be brought in within the steps allowed; raise max_steps",
}
"""What became of a measurement, in words."""


class Learnt(eqx.Module):
    """What came of an update.

    **Parameters**: `belief`; `settled` `(patients,)`, whether it can be relied on: a mode was found, enough particles
    are left, a solve did not fail; `effective`, effective sample size `(patients,)`, NaN where there are no particles;
    `acceptance`, share of moves accepted, NaN where there were none; `found`, what the news were against what was
    foreseen, of a method that judges them itself; `left` `(patients, rows)`, a code of `WHY` for every measurement that
    was to be learnt, of a method that may have to leave some out: the belief is then that given the others.
    """

    belief: AbstractBelief
    settled: Any
    effective: Any
    acceptance: Any
    found: Innovations | None = None
    left: Any = None


class AbstractAssimilation(eqx.Module):
    """A way to learn random effects from a patient's data. Methods are frozen objects; options are their fields."""

    ordered: ClassVar[bool] = False
    """Whether measurements have to be learnt in the order of their times: a late one means to begin anew."""
    judges: ClassVar[bool] = False
    """Whether it says itself what every measurement was against what it foresaw, one after another."""
    tries_again: ClassVar[frozenset[int]] = frozenset()
    """With which codes a measurement that was left out waits, to be learnt with the next news."""

    @property
    def name(self) -> str:
        """As tables show it."""
        return type(self).__name__

    def prior(self, population: Population, patients: int, key: Any) -> AbstractBelief:
        """What is believed before any data: Omega about zero, unless overridden."""
        return NormalBelief.prior(population, patients)

    def check(self, bedside: Bedside) -> None:
        """**Raises** `ValueError` for data that the method cannot learn from."""

    @abc.abstractmethod
    def learn(self, bedside: Bedside, belief: AbstractBelief, key: jax.Array) -> Learnt:
        """The belief given all measurements; `belief` is that given those which are not fresh."""
