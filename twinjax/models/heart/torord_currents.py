"""The currents that ToR-ORd has of its own: fast sodium, L-type calcium, rapid and inward rectifiers, chloride."""

from __future__ import annotations

from typing import Annotated, ClassVar

import equinox as eqx
from jax.numpy import exp, sqrt, where

from twinjax.models.heart.calcium import AbstractLType
from twinjax.models.heart.membrane import (
    AbstractMechanism,
    Conductance,
    Duration,
    Molarity,
    Permeability,
    PerTime,
    blend,
    relax,
    sigmoid,
)
from twinjax.units import Fraction, Number, Scalar, Unit


class GrandiSodium(AbstractMechanism):
    """I_Na, after Grandi et al., with CaMK.

    .. code-block:: text

        I = g (v - E_Na) m^3 ((1 - p) h j + p hp jp)

    **Parameters**: `g` (mS/uF).
    **Reference**: Grandi et al. 2010, doi:10.1016/j.yjmcc.2009.09.019; Tomek et al. 2019, doi:10.7554/eLife.48890.
    """

    g: Conductance = 11.7802

    class State(eqx.Module):
        """Gates."""

        m: Fraction
        h: Fraction
        j: Fraction
        hp: Fraction
        jp: Fraction

    def current(self, v, y, reversal, phosphorylated):
        """Density (uA/uF)."""
        return self.g * (v - reversal) * y.m**3 * blend(phosphorylated, y.h * y.j, y.hp * y.jp)

    def opening(self, v):
        """The time in which fast and late channels open (ms)."""
        x = v / self.mV
        time = 0.1292 * exp(-(((x + 45.79) / 15.54) ** 2)) + 0.06487 * exp(-(((x - 4.823) / 51.12) ** 2))
        return time * self.ms

    def rates(self, v, y):
        """Of change of the gates."""
        x, ms = v / self.mV, self.ms
        hss = sigmoid((x + 71.55) / 7.43) ** 2
        above = x >= -40.0
        ah = where(above, 0.0, 0.057 * exp(-(x + 80.0) / 6.8))
        bh = where(above, 0.77 / 0.13 * sigmoid(-(x + 10.66) / 11.1), 2.7 * exp(0.079 * x) + 3.1e5 * exp(0.3485 * x))
        rise = (-2.5428e4 * exp(0.2444 * x) - 6.948e-6 * exp(-0.04391 * x)) * (x + 37.78)
        aj = where(above, 0.0, rise * sigmoid(0.311 * (x + 79.23)))
        bj = where(
            above,
            0.6 * exp(0.057 * x) * sigmoid(-0.1 * (x + 32.0)),
            0.02424 * exp(-0.01052 * x) * sigmoid(-0.1378 * (x + 40.14)),
        )
        th, tj = ms / (ah + bh), ms / (aj + bj)
        return self.State(
            m=relax(sigmoid(-(x + 56.86) / 9.03) ** 2, y.m, self.opening(v)),
            h=relax(hss, y.h, th),
            j=relax(hss, y.j, tj),
            hp=relax(sigmoid((x + 77.55) / 7.43) ** 2, y.hp, th),
            jp=relax(hss, y.jp, 1.46 * tj),
        )


class Activities(AbstractMechanism):
    """Activity coefficients after Davies; ionic strength in mol/L.

    **Reference**: Tomek et al. 2019, doi:10.7554/eLife.48890.
    """

    molar: ClassVar[Annotated[Scalar, Unit("mM")]] = 1000.0
    debye: ClassVar[Annotated[Scalar, Unit("K^1.5")]] = 1.82e6
    dielectric: ClassVar[Number] = 74.0

    def coefficient(self, na, k, cl, ca, charge):
        """Of an ion of that charge among these concentrations."""
        strength = 0.5 * (na + k + cl + 4.0 * ca) / self.molar
        a = self.debye * (self.dielectric * self.T) ** -1.5
        return exp(-a * charge**2 * (sqrt(strength) / (1.0 + sqrt(strength)) - 0.3 * strength))


class SpreadLType(AbstractLType):
    """I_CaL of which a fifth lies outside the subspace, driven by activities.

    **Parameters**: `p`, the permeability to calcium (uL/ms/uF); `subspace`, the share of channels that lies there.
    **Reference**: Tomek et al. 2019, doi:10.7554/eLife.48890.
    """

    p: Permeability = 8.3757e-05
    subspace: Fraction = 0.8
    tjca: ClassVar[Duration] = 72.5
    k2n: ClassVar[PerTime] = 500.0

    class State(eqx.Module):
        """Gates."""

        d: Fraction
        ff: Fraction
        fs: Fraction
        fcaf: Fraction
        fcas: Fraction
        jca: Fraction
        ffp: Fraction
        fcafp: Fraction
        nca_ss: Fraction
        nca_i: Fraction

    def currents(self, v, inside, outside, opening):
        """Densities (uA/uF) of calcium, sodium and potassium were all channels here, from activities."""
        open = self.p * opening
        ca = open * self.drift(v, inside.ca, outside.ca, charge=2)
        na = self.sodium * open * self.drift(v, inside.na, outside.na)
        k = self.potassium * open * self.drift(v, inside.k, outside.k)
        return ca, na, k

    def rates(self, v, y, cass, cai):
        """Of change of the gates; calcium of the subspace and of the bulk."""
        x = v / self.mV
        dss = where(x >= 31.4978, 1.0, 1.0763 * exp(-1.0070 * exp(-0.0829 * x)))
        return self.State(
            d=relax(dss, y.d, self.activation_time(v)),
            jca=relax(sigmoid((x + 18.08) / 2.7916), y.jca, self.tjca),
            nca_ss=self.bound(cass, y.jca, y.nca_ss),
            nca_i=self.bound(cai, y.jca, y.nca_i),
            **self.inactivation(v, y),
        )


class MarkovRectifier(AbstractMechanism):
    """I_Kr, a chain of three closed states, an open and an inactivated one.

    .. code-block:: text

        C3 -- C2 -- C1 -- O -- I -- C1

    **Parameters**: `g` (mS/uF) at 5 mM outside.
    **Reference**: Lu et al. 2001, doi:10.1113/jphysiol.2001.012690, as in Tomek et al. 2019.
    """

    g: Conductance = 0.0321
    alpha_1: ClassVar[PerTime] = 0.154375
    beta_1: ClassVar[PerTime] = 0.1911
    normal: ClassVar[Molarity] = 5.0

    class State(eqx.Module):
        """Shares of all channels."""

        c1: Fraction
        c2: Fraction
        c3: Fraction
        inactive: Fraction
        open: Fraction

    def current(self, v, y, reversal, ko):
        """Density (uA/uF)."""
        return self.g * sqrt(ko / self.normal) * y.open * (v - reversal)

    def rates(self, v, y):
        """Of change of the shares."""
        x, ms = self.reduced(v), self.ms
        alpha, beta = 0.1161 * exp(0.2990 * x) / ms, 0.2442 * exp(-1.604 * x) / ms
        alpha_2, beta_2 = 0.0578 * exp(0.9710 * x) / ms, 0.349e-3 * exp(-1.062 * x) / ms
        alpha_i, beta_i = 0.2533 * exp(0.5953 * x) / ms, 0.06525 * exp(-0.8209 * x) / ms
        to_inactive = 0.52e-4 * exp(1.525 * x) / ms
        from_inactive = beta_2 * beta_i * to_inactive / (alpha_2 * alpha_i)
        c3_c2 = alpha * y.c3 - beta * y.c2
        c2_c1 = self.alpha_1 * y.c2 - self.beta_1 * y.c1
        c1_open = alpha_2 * y.c1 - beta_2 * y.open
        c1_inactive = to_inactive * y.c1 - from_inactive * y.inactive
        open_inactive = alpha_i * y.open - beta_i * y.inactive
        return self.State(
            c1=c2_c1 - c1_open - c1_inactive,
            c2=c3_c2 - c2_c1,
            c3=-c3_c2,
            inactive=c1_inactive + open_inactive,
            open=c1_open - open_inactive,
        )


class InstantRectifier(AbstractMechanism):
    """I_K1, without a gate of its own.

    **Parameters**: `g` (mS/uF) at 5 mM outside.
    **Reference**: Tomek et al. 2019, doi:10.7554/eLife.48890.
    """

    g: Conductance = 0.6992
    normal: ClassVar[Molarity] = 5.0

    def current(self, v, reversal, ko):
        """Density (uA/uF)."""
        x = (v - reversal) / self.mV
        a = 4.094 * sigmoid(0.1217 * (x - 49.934))
        b = (15.72 * exp(0.0674 * (x - 3.257)) + exp(0.0618 * (x - 594.31))) * sigmoid(-0.1629 * (x + 14.207))
        return self.g * sqrt(ko / self.normal) * a / (a + b) * (v - reversal)


class Quiet(AbstractMechanism):
    """Background currents, chloride's among them, and the channel that ATP keeps closed.

    **Parameters**: `gkb` (mS/uF); `pnab`, `pcab` (uL/ms/uF); `gclca` (mS/uF), activated by calcium, in the share
    `junction` in the subspace; `gclb`; `gkatp`, of which the share `fkatp` is there.
    **Reference**: Tomek et al. 2019, doi:10.7554/eLife.48890, and 2020, doi:10.1101/2020.06.01.127043.
    """

    gkb: Conductance = 0.0189
    pnab: Permeability = 1.9239e-09
    pcab: Permeability = 5.9194e-08
    gclca: Conductance = 0.2843
    gclb: Conductance = 1.98e-3
    junction: Fraction = 1.0
    gkatp: Conductance = 4.3195
    fkatp: Fraction = 0.0
    kdclca: ClassVar[Molarity] = 0.1
    normal: ClassVar[Molarity] = 5.0
    atp: ClassVar[Molarity] = 2.0
    katp: ClassVar[Molarity] = 0.25

    def potassium(self, v, reversal):
        """I_Kb."""
        return self.gkb * sigmoid(-(v / self.mV - 10.8968) / 23.9871) * (v - reversal)

    def atp_sensitive(self, v, reversal, ko):
        """I_KATP."""
        closed = 1.0 / (1.0 + (self.atp / self.katp) ** 2)
        return self.fkatp * self.gkatp * (ko / self.normal) ** 0.24 * closed * (v - reversal)

    def chloride(self, v, reversal, ca):
        """I_ClCa, were all of it here."""
        return self.gclca / (1.0 + self.kdclca / ca) * (v - reversal)
