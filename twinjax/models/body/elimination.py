"""Ways out of an organ: what removes unbound drug, at which rate."""

from __future__ import annotations

import abc
from typing import Any

import equinox as eqx

from twinjax.units import AmountRate, Clearance, Concentration


class AbstractElimination(eqx.Module):
    """A pathway that takes unbound drug from an organ."""

    @abc.abstractmethod
    def rate(self, unbound: Concentration) -> AmountRate:
        """Drug removed (mg/h) at an unbound concentration (mg/L)."""

    @abc.abstractmethod
    def scaled(self, activity: Any) -> AbstractElimination:
        """The pathway with that much more or less enzyme."""

    @abc.abstractmethod
    def inhibited(self, factor: Any) -> AbstractElimination:
        """The pathway with its affinity lowered by ``factor = 1 + I / Ki``."""


class LinearElimination(AbstractElimination):
    """``clint C``: an intrinsic clearance of unbound drug, a filtration."""

    clint: Clearance

    def rate(self, unbound):
        """Proportional."""
        return self.clint * unbound

    def scaled(self, activity):
        """More enzyme, more clearance."""
        return LinearElimination(self.clint * activity)

    def inhibited(self, factor):
        """Clearance divided."""
        return LinearElimination(self.clint / factor)


class SaturableElimination(AbstractElimination):
    """``vmax C / (km + C)``, Michaelis and Menten's; an inhibitor competes."""

    vmax: AmountRate
    km: Concentration

    def rate(self, unbound):
        """Saturable."""
        return self.vmax * unbound / (self.km + unbound)

    def scaled(self, activity):
        """More enzyme, a higher vmax."""
        return SaturableElimination(self.vmax * activity, self.km)

    def inhibited(self, factor):
        """Competitive: km multiplied."""
        return SaturableElimination(self.vmax, self.km * factor)
