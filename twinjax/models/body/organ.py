"""The organ contract: blood in, blood out, by one signature for every organ."""

from __future__ import annotations

import abc
import functools
import operator
from collections.abc import Sequence
from typing import Any

import equinox as eqx

from twinjax.units import AmountRate, Clearance, Concentration, Fraction


class Flow(eqx.Module):
    """Blood that carries drug.

    **Parameters**: `rate` (L/h); `concentration` in blood (mg/L); `unbound`, the fraction unbound in blood, which
    travels with the blood: it belongs to the drug and not to an organ.
    """

    rate: Clearance
    concentration: Concentration
    unbound: Fraction

    @property
    def flux(self) -> AmountRate:
        """Drug carried (mg/h)."""
        return self.rate * self.concentration


def total(terms: Sequence[Any]) -> Any:
    """Their sum, without a zero to start from, which would have no unit."""
    return functools.reduce(operator.add, terms)


def merge(flows: Sequence[Flow]) -> Flow:
    """Blood of several vessels joining."""
    rate = total([f.rate for f in flows])
    return Flow(rate, total([f.flux for f in flows]) / rate, flows[0].unbound)


class AbstractOrgan(eqx.Module):
    """Takes blood in and gives blood back; what it removes it says."""

    @abc.abstractmethod
    def initial(self) -> Any:
        """The organ's state without drug."""

    @abc.abstractmethod
    def exchange(self, y: Any, inflow: Flow) -> tuple[Any, Flow]:
        """Rate of change of the organ's state, and the blood that leaves."""

    @abc.abstractmethod
    def removed(self, y: Any, unbound: Fraction) -> AmountRate:
        """Drug that the organ eliminates (mg/h)."""
