"""Sodium currents of O'Hara and Rudy's cell: fast and late."""

from __future__ import annotations

from typing import ClassVar

import equinox as eqx
from jax.numpy import exp

from twinjax.models.heart.membrane import AbstractMechanism, Conductance, Duration, blend, relax, sigmoid
from twinjax.units import Fraction


class FastSodium(AbstractMechanism):
    """I_Na, with fast and slow inactivation h and recovery j; ``hsp`` and ``jp`` of channels that CaMK phosphorylated.

    .. code-block:: text

        I = g (v - E_Na) m^3 ((1 - p) h j + p hp jp),      h = 0.99 hf + 0.01 hs,  hp = 0.99 hf + 0.01 hsp

    **Parameters**: `g` (mS/uF).
    **Reference**: O'Hara et al. 2011, text S1, page 6, doi:10.1371/journal.pcbi.1002061.
    """

    g: Conductance = 75.0

    class State(eqx.Module):
        """Gates."""

        m: Fraction
        hf: Fraction
        hs: Fraction
        j: Fraction
        hsp: Fraction
        jp: Fraction

    def current(self, v, y, reversal, phosphorylated):
        """Density (uA/uF)."""
        h, hp = 0.99 * y.hf + 0.01 * y.hs, 0.99 * y.hf + 0.01 * y.hsp
        return self.g * (v - reversal) * y.m**3 * blend(phosphorylated, h * y.j, hp * y.jp)

    def rates(self, v, y):
        """Of change of the gates."""
        x, ms = v / self.mV, self.ms
        hss = sigmoid((x + 82.90) / 6.086)
        thf = ms / (1.432e-5 * exp(-(x + 1.196) / 6.285) + 6.149 * exp((x + 0.5096) / 20.27))
        ths = ms / (0.009794 * exp(-(x + 17.95) / 28.05) + 0.3343 * exp((x + 5.730) / 56.66))
        tj = (2.038 + 1.0 / (0.02136 * exp(-(x + 100.6) / 8.281) + 0.3052 * exp((x + 0.9941) / 38.45))) * ms
        return self.State(
            m=relax(sigmoid(-(x + 39.57) / 9.871), y.m, self.opening(v)),
            hf=relax(hss, y.hf, thf),
            hs=relax(hss, y.hs, ths),
            j=relax(hss, y.j, tj),
            hsp=relax(sigmoid((x + 89.1) / 6.086), y.hsp, 3.0 * ths),
            jp=relax(hss, y.jp, 1.46 * tj),
        )

    def opening(self, v):
        """The time in which fast and late channels open (ms)."""
        x = v / self.mV
        return self.ms / (6.765 * exp((x + 11.64) / 34.77) + 8.552 * exp(-(x + 77.42) / 5.955))


class LateSodium(AbstractMechanism):
    """I_NaL.

    .. code-block:: text

        I = g (v - E_Na) m ((1 - p) h + p hp)

    **Parameters**: `g` (mS/uF).
    **Reference**: O'Hara et al. 2011, text S1, page 7, doi:10.1371/journal.pcbi.1002061.
    """

    g: Conductance = 0.0075
    th: ClassVar[Duration] = 200.0

    class State(eqx.Module):
        """Gates."""

        m: Fraction
        h: Fraction
        hp: Fraction

    def current(self, v, y, reversal, phosphorylated):
        """Density (uA/uF)."""
        return self.g * (v - reversal) * y.m * blend(phosphorylated, y.h, y.hp)

    def rates(self, v, y, opening):
        """Of change of the gates; `opening`, the time that fast channels take."""
        x = v / self.mV
        return self.State(
            m=relax(sigmoid(-(x + 42.85) / 5.264), y.m, opening),
            h=relax(sigmoid((x + 87.61) / 7.488), y.h, self.th),
            hp=relax(sigmoid((x + 93.81) / 7.488), y.hp, 3.0 * self.th),
        )
