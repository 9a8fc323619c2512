"""Potassium currents of O'Hara and Rudy's cell: transient outward, rapid, slow and inward rectifiers."""

from __future__ import annotations

from typing import Annotated, ClassVar

import equinox as eqx
from jax.numpy import exp, minimum, sqrt

from twinjax.models.heart.membrane import AbstractMechanism, Conductance, Molarity, blend, relax, sigmoid
from twinjax.units import Fraction, Scalar, Unit


class TransientOutward(AbstractMechanism):
    """I_to, with fast and slow inactivation.

    .. code-block:: text

        I = g (v - E_K) ((1 - p) a i + p ap ip),      i = A fast + (1 - A) slow,  A falls with v

    **Parameters**: `g` (mS/uF); `epicardial`, by what share inactivation is quicker at negative potentials (0.95 in
    the epicardium, else 0).
    **Reference**: O'Hara et al. 2011, text S1, page 8, doi:10.1371/journal.pcbi.1002061.
    """

    g: Conductance = 0.02
    epicardial: Fraction = 0.0

    class State(eqx.Module):
        """Gates."""

        a: Fraction
        fast: Fraction
        slow: Fraction
        ap: Fraction
        fastp: Fraction
        slowp: Fraction

    def current(self, v, y, reversal, phosphorylated):
        """Density (uA/uF)."""
        share = sigmoid((v / self.mV - 213.6) / 151.2)
        plain = y.a * (share * y.fast + (1.0 - share) * y.slow)
        other = y.ap * (share * y.fastp + (1.0 - share) * y.slowp)
        return self.g * (v - reversal) * blend(phosphorylated, plain, other)

    def rates(self, v, y):
        """Of change of the gates."""
        x, ms = v / self.mV, self.ms
        opening = sigmoid(-(x - 18.4099) / 29.3814) / 1.2089 + 3.5 * sigmoid((x + 100.0) / 29.3814)
        ta = 1.0515 / opening * ms
        iss = sigmoid((x + 43.94) / 5.711)
        quicker = 1.0 - self.epicardial * sigmoid((x + 70.0) / 5.0)
        fast = 4.562 + 1.0 / (0.3933 * exp(-(x + 100.0) / 100.0) + 0.08004 * exp((x + 50.0) / 16.59))
        slow = 23.62 + 1.0 / (0.001416 * exp(-(x + 96.52) / 59.05) + 1.780e-8 * exp((x + 114.1) / 8.079))
        fast, slow = fast * quicker * ms, slow * quicker * ms
        steep = exp(minimum(-(x - 12.23) / 0.2154, 300.0))  # would overflow below -130 mV, where 1 / steep is 0
        longer = (1.354 + 1e-4 / (exp((x - 167.4) / 15.89) + steep)) * (1.0 - 0.5 * sigmoid((x + 70.0) / 20.0))
        return self.State(
            a=relax(sigmoid(-(x - 14.34) / 14.82), y.a, ta),
            fast=relax(iss, y.fast, fast),
            slow=relax(iss, y.slow, slow),
            ap=relax(sigmoid(-(x - 24.34) / 14.82), y.ap, ta),
            fastp=relax(iss, y.fastp, longer * fast),
            slowp=relax(iss, y.slowp, longer * slow),
        )


class RapidRectifier(AbstractMechanism):
    """I_Kr, with fast and slow activation and instantaneous inactivation.

    .. code-block:: text

        I = g sqrt(K_o / 5.4 mM) (A fast + (1 - A) slow) r (v - E_K),      A and r fall with v

    **Parameters**: `g` (mS/uF).
    **Reference**: O'Hara et al. 2011, text S1, page 11, doi:10.1371/journal.pcbi.1002061.
    """

    g: Conductance = 0.046
    normal: ClassVar[Molarity] = 5.4

    class State(eqx.Module):
        """Gates."""

        fast: Fraction
        slow: Fraction

    def current(self, v, y, reversal, ko):
        """Density (uA/uF)."""
        x = v / self.mV
        share = sigmoid((x + 54.81) / 38.21)
        open = (share * y.fast + (1.0 - share) * y.slow) * sigmoid((x + 55.0) / 75.0) * sigmoid((x - 10.0) / 30.0)
        return self.g * sqrt(ko / self.normal) * open * (v - reversal)

    def rates(self, v, y):
        """Of change of the gates."""
        x, ms = v / self.mV, self.ms
        fast = 12.98 + 1.0 / (0.3652 * exp((x - 31.66) / 3.869) + 4.123e-5 * exp(-(x - 47.78) / 20.38))
        slow = 1.865 + 1.0 / (0.06629 * exp((x - 34.70) / 7.355) + 1.128e-5 * exp(-(x - 29.74) / 25.94))
        xss = sigmoid(-(x + 8.337) / 6.789)
        return self.State(fast=relax(xss, y.fast, fast * ms), slow=relax(xss, y.slow, slow * ms))


class SlowRectifier(AbstractMechanism):
    """I_Ks, raised by calcium.

    .. code-block:: text

        I = g (1 + 0.6 / (1 + (3.8e-5 mM / Ca)^1.4)) x1 x2 (v - E_Ks)

    **Parameters**: `g` (mS/uF).
    **Reference**: O'Hara et al. 2011, text S1, page 11, doi:10.1371/journal.pcbi.1002061.
    """

    g: Conductance = 0.0034
    half: ClassVar[Molarity] = 3.8e-5

    class State(eqx.Module):
        """Gates."""

        x1: Fraction
        x2: Fraction

    def current(self, v, y, reversal, ca):
        """Density (uA/uF)."""
        calcium = 1.0 + 0.6 / (1.0 + (self.half / ca) ** 1.4)
        return self.g * calcium * y.x1 * y.x2 * (v - reversal)

    def rates(self, v, y):
        """Of change of the gates."""
        x, ms = v / self.mV, self.ms
        xss = sigmoid(-(x + 11.60) / 8.932)
        t1 = 817.3 + 1.0 / (2.326e-4 * exp((x + 48.28) / 17.80) + 0.001292 * exp(-(x + 210.0) / 230.0))
        t2 = 1.0 / (0.01 * exp((x - 50.0) / 20.0) + 0.0193 * exp(-(x + 66.54) / 31.0))
        return self.State(x1=relax(xss, y.x1, t1 * ms), x2=relax(xss, y.x2, t2 * ms))


class InwardRectifier(AbstractMechanism):
    """I_K1, with slow inactivation at negative potentials.

    .. code-block:: text

        I = g sqrt(K_o / mM) x r (v - E_K),      r falls with v

    **Parameters**: `g` (mS/uF).
    **Reference**: O'Hara et al. 2011, text S1, page 12, doi:10.1371/journal.pcbi.1002061.
    """

    g: Conductance = 0.1908
    steep: ClassVar[Annotated[Scalar, Unit("mV/mM")]] = 1.5692
    shift: ClassVar[Annotated[Scalar, Unit("mV/mM")]] = 2.5538
    rectifying: ClassVar[Annotated[Scalar, Unit("mV/mM")]] = 2.6

    class State(eqx.Module):
        """Gates."""

        x: Fraction

    def current(self, v, y, reversal, ko):
        """Density (uA/uF)."""
        r = sigmoid((v + 105.8 * self.mV - self.rectifying * ko) / (9.493 * self.mV))
        return self.g * sqrt(ko / self.mM) * r * y.x * (v - reversal)

    def rates(self, v, y, ko):
        """Of change of the gate."""
        x = v / self.mV
        target = sigmoid(-(v + self.shift * ko + 144.59 * self.mV) / (self.steep * ko + 3.8115 * self.mV))
        time = 122.2 / (exp(-(x + 127.2) / 20.36) + exp((x + 236.8) / 69.33)) * self.ms
        return self.State(x=relax(target, y.x, time))
