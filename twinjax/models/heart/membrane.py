"""What every heart cell is built of: its units, the constants of physics, and the forms that currents share.

Dimensions: 1 uA/uF = 1 mV/ms, F in uA*ms/nmol, a permeability in uL/ms/uF (the same number as in cm/s, at 1 uF/cm^2).
Empirical fits are functions of the number of millivolts, ``x = v / mV``, and give numbers of milliseconds, so that
their literals read as published; everything else carries its unit.
"""

from __future__ import annotations

import math
from typing import Annotated, ClassVar

import equinox as eqx
from jax.numpy import exp, expm1, log, where

from twinjax.units import Bounds, Scalar, Unit

Potential = Annotated[Scalar, Unit("mV"), Bounds(-math.inf, math.inf)]
PotentialRate = Annotated[Scalar, Unit("mV/ms")]
Duration = Annotated[Scalar, Unit("ms")]
PerTime = Annotated[Scalar, Unit("1/ms")]
Molarity = Annotated[Scalar, Unit("mM")]
MolarityRate = Annotated[Scalar, Unit("mM/ms")]
PerMolarityTime = Annotated[Scalar, Unit("1/mM/ms")]
Conductance = Annotated[Scalar, Unit("mS/uF")]
Density = Annotated[Scalar, Unit("uA/uF"), Bounds(-math.inf, math.inf)]
Charge = Annotated[Scalar, Unit("uA*ms/uF"), Bounds(-math.inf, math.inf)]
Permeability = Annotated[Scalar, Unit("uL/ms/uF")]
Length = Annotated[Scalar, Unit("cm")]


class AbstractMechanism(eqx.Module):
    """What mechanisms share: units as numbers, and the constants of physics (at 37 degrees Celsius)."""

    mV: ClassVar[Annotated[float, Unit("mV")]] = 1.0
    ms: ClassVar[Annotated[float, Unit("ms")]] = 1.0
    mM: ClassVar[Annotated[float, Unit("mM")]] = 1.0
    R: ClassVar[Annotated[float, Unit("mV*uA*ms/nmol/K")]] = 8314.0
    T: ClassVar[Annotated[float, Unit("K")]] = 310.0
    F: ClassVar[Annotated[float, Unit("uA*ms/nmol")]] = 96485.0

    def reduced(self, v: Potential) -> Scalar:
        """``v F / (R T)``."""
        return v * self.F / (self.R * self.T)

    def nernst(self, outside: Molarity, inside: Molarity, charge: int = 1) -> Potential:
        """The potential at which an ion is in equilibrium."""
        return self.R * self.T / (charge * self.F) * log(outside / inside)

    def drift(self, v: Potential, inside: Molarity, outside: Molarity, charge: int = 1) -> Scalar:
        """Goldman, Hodgkin and Katz: the current through one unit of permeability.

        ``z F (inside e^z - outside) / ((e^z - 1) / z)`` with ``z = charge v F / (R T)``: finite, with its derivatives,
        where ``z`` is 0.
        """
        z = charge * self.reduced(v)
        small = abs(z) < 1e-6
        safe = where(small, 1.0, z)
        return charge * self.F * (inside * exp(z) - outside) / where(small, 1.0 + z / 2.0, expm1(safe) / safe)


def relax(target: Scalar, gate: Scalar, time: Duration) -> PerTime:
    """The rate of a gate on its way to a target."""
    return (target - gate) / time


def sigmoid(x: Scalar) -> Scalar:
    """``1 / (1 + exp(x))``: falls with x."""
    return 1.0 / (1.0 + exp(x))


def blend(phosphorylated: Scalar, plain: Scalar, other: Scalar) -> Scalar:
    """Channels that CaMK has not phosphorylated, and those that it has."""
    return (1.0 - phosphorylated) * plain + phosphorylated * other
