"""The contract's second extreme: the ToR-ORd ventricular cell with dynamic chloride, 45 states.

Translated from ToRORd_dynCl_endo.cellml (endocardial cell). Empirical fits are functions of the number of millivolts,
``x = v / mV``, and give numbers of milliseconds: literals read as published. Everything with a dimension of its
own is declared. CellML's own units do not close in many places (concentrations in 1/ms, say); those here do.
Dimensions: 1 uA/uF = 1 mV/ms, F in uA*ms/nmol, a permeability in uL/ms/uF (the same number as in cm/s, at 1 uF/cm^2).
"""

from __future__ import annotations

import math
from typing import Annotated, ClassVar

import equinox as eqx
from jax.numpy import exp, expm1, log, sqrt, where

from twinjax.models.base import AbstractModel, Balance
from twinjax.units import Bounds, Fraction, Number, Real, Scalar, Unit

Potential = Annotated[Scalar, Unit("mV"), Bounds(-math.inf, math.inf)]
PotentialRate = Annotated[Scalar, Unit("mV/ms")]
Duration = Annotated[Scalar, Unit("ms")]
PerTime = Annotated[Scalar, Unit("1/ms")]
Molarity = Annotated[Scalar, Unit("mM")]
MolarityRate = Annotated[Scalar, Unit("mM/ms")]
PerMolarityTime = Annotated[Scalar, Unit("1/mM/ms")]
Conductance = Annotated[Scalar, Unit("mS/uF")]
Density = Annotated[Scalar, Unit("uA/uF")]
Charge = Annotated[Scalar, Unit("uA*ms/uF")]
Permeability = Annotated[Scalar, Unit("uL/ms/uF")]
Length = Annotated[Scalar, Unit("cm")]


class AbstractMechanism(eqx.Module):
    """What mechanisms share: units as numbers, and the constants of physics."""

    mV: ClassVar[Annotated[float, Unit("mV")]] = 1.0
    ms: ClassVar[Annotated[float, Unit("ms")]] = 1.0
    mM: ClassVar[Annotated[float, Unit("mM")]] = 1.0
    R: ClassVar[Annotated[float, Unit("mV*uA*ms/nmol/K")]] = 8314.0
    T: ClassVar[Annotated[float, Unit("K")]] = 310.0
    F: ClassVar[Annotated[float, Unit("uA*ms/nmol")]] = 96485.0

    def reduced(self, v):
        """``v F / (R T)``."""
        return v * self.F / (self.R * self.T)

    def nernst(self, outside, inside, charge=1):
        """The potential at which an ion is in equilibrium."""
        return self.R * self.T / (charge * self.F) * log(outside / inside)

    def drift(self, v, inside, outside, charge=1):
        """Goldman, Hodgkin and Katz: flux through one unit of permeability, finite at ``v = 0``."""
        z = charge * self.reduced(v)
        small = abs(z) < 1e-6
        safe = where(small, 1.0, z)
        return charge * self.F * (inside * exp(z) - outside) / where(small, 1.0 + z / 2.0, expm1(safe) / safe)


def relax(target, gate, time):
    """A gate on its way to a target."""
    return (target - gate) / time


def sigmoid(x):
    """1 / (1 + exp(x))."""
    return 1.0 / (1.0 + exp(x))


def blend(phosphorylated, plain, other):
    """Channels that CaMK has phosphorylated, and those that it has not."""
    return (1.0 - phosphorylated) * plain + phosphorylated * other


class FastSodium(AbstractMechanism):
    """I_Na."""

    g: Conductance = 11.7802

    class State(eqx.Module):
        m: Fraction
        h: Fraction
        j: Fraction
        hp: Fraction
        jp: Fraction

    def current(self, v, y, reversal, phosphorylated):
        gates = blend(phosphorylated, y.h * y.j, y.hp * y.jp)
        return self.g * (v - reversal) * y.m**3 * gates

    def rates(self, v, y):
        x, ms = v / self.mV, self.ms
        tm = activation_time(x) * ms
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
            m=relax(sigmoid(-(x + 56.86) / 9.03) ** 2, y.m, tm),
            h=relax(hss, y.h, th),
            j=relax(hss, y.j, tj),
            hp=relax(sigmoid((x + 77.55) / 7.43) ** 2, y.hp, th),
            jp=relax(hss, y.jp, 1.46 * tj),
        )


def activation_time(x):
    """Of fast and late sodium channels (ms)."""
    return 0.1292 * exp(-(((x + 45.79) / 15.54) ** 2)) + 0.06487 * exp(-(((x - 4.823) / 51.12) ** 2))


class LateSodium(AbstractMechanism):
    """I_NaL."""

    g: Conductance = 0.0279
    th: Duration = 200.0

    class State(eqx.Module):
        m: Fraction
        h: Fraction
        hp: Fraction

    def current(self, v, y, reversal, phosphorylated):
        return self.g * (v - reversal) * y.m * blend(phosphorylated, y.h, y.hp)

    def rates(self, v, y):
        x = v / self.mV
        return self.State(
            m=relax(sigmoid(-(x + 42.85) / 5.264), y.m, activation_time(x) * self.ms),
            h=relax(sigmoid((x + 87.61) / 7.488), y.h, self.th),
            hp=relax(sigmoid((x + 93.81) / 7.488), y.hp, 3.0 * self.th),
        )


class TransientOutward(AbstractMechanism):
    """I_to."""

    g: Conductance = 0.16

    class State(eqx.Module):
        a: Fraction
        fast: Fraction
        slow: Fraction
        ap: Fraction
        fastp: Fraction
        slowp: Fraction

    def current(self, v, y, reversal, phosphorylated):
        share = sigmoid((v / self.mV - 213.6) / 151.2)
        plain = y.a * (share * y.fast + (1.0 - share) * y.slow)
        other = y.ap * (share * y.fastp + (1.0 - share) * y.slowp)
        return self.g * (v - reversal) * blend(phosphorylated, plain, other)

    def rates(self, v, y):
        x, ms = v / self.mV, self.ms
        opening = 1.0 / (1.2089 * (1.0 + exp(-(x - 18.4099) / 29.3814))) + 3.5 * sigmoid((x + 100.0) / 29.3814)
        ta = 1.0515 / opening * ms
        iss = sigmoid((x + 43.94) / 5.711)
        fast = 4.562 + 1.0 / (0.3933 * exp(-(x + 100.0) / 100.0) + 0.08004 * exp((x + 50.0) / 16.59))
        slow = 23.62 + 1.0 / (0.001416 * exp(-(x + 96.52) / 59.05) + 1.78e-8 * exp((x + 114.1) / 8.079))
        develop = 1.354 + 1e-4 / (exp((x - 167.4) / 15.89) + exp(-(x - 12.23) / 0.2154))
        recover = 1.0 - 0.5 * sigmoid((x + 70.0) / 20.0)
        longer = develop * recover
        return self.State(
            a=relax(sigmoid(-(x - 14.34) / 14.82), y.a, ta),
            fast=relax(iss, y.fast, fast * ms),
            slow=relax(iss, y.slow, slow * ms),
            ap=relax(sigmoid(-(x - 24.34) / 14.82), y.ap, ta),
            fastp=relax(iss, y.fastp, longer * fast * ms),
            slowp=relax(iss, y.slowp, longer * slow * ms),
        )


class Activities(AbstractMechanism):
    """Activity coefficients after Davies; ionic strength in mol/L."""

    molar: ClassVar[Annotated[float, Unit("mM")]] = 1000.0
    debye: ClassVar[Annotated[float, Unit("K^1.5")]] = 1.82e6
    dielectric: Number = 74.0

    def coefficient(self, na, k, cl, ca, charge):
        strength = 0.5 * (na + k + cl + 4.0 * ca) / self.molar
        a = self.debye * (self.dielectric * self.T) ** -1.5
        return exp(-a * charge**2 * (sqrt(strength) / (1.0 + sqrt(strength)) - 0.3 * strength))


class LType(AbstractMechanism):
    """I_CaL, with its sodium and potassium parts, in the subspace and in the bulk."""

    p: Permeability = 8.3757e-05
    fast: Fraction = 0.6
    subspace: Fraction = 0.8
    tjca: Duration = 72.5
    kmn: Molarity = 0.002
    k2n: PerTime = 500.0

    class State(eqx.Module):
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

    def opening(self, v, y, nca, phosphorylated):
        """Open channels; phosphorylated ones pass a tenth more."""
        share = 0.3 + 0.6 * sigmoid((v / self.mV - 10.0) / 10.0)
        f = self.fast * y.ff + (1.0 - self.fast) * y.fs
        fp = self.fast * y.ffp + (1.0 - self.fast) * y.fs
        fca = share * y.fcaf + (1.0 - share) * y.fcas
        fcap = share * y.fcafp + (1.0 - share) * y.fcas
        plain = y.d * (f * (1.0 - nca) + y.jca * fca * nca)
        other = y.d * (fp * (1.0 - nca) + y.jca * fcap * nca)
        return blend(phosphorylated, plain, 1.1 * other)

    def currents(self, v, inside, outside, opening):
        """Calcium, sodium, potassium; `inside` and `outside` are activities."""
        open = self.p * opening
        ca = open * self.drift(v, inside.ca, outside.ca, charge=2)
        na = 0.00125 * open * self.drift(v, inside.na, outside.na)
        k = 3.574e-4 * open * self.drift(v, inside.k, outside.k)
        return ca, na, k

    def rates(self, v, y, cass, cai):
        x, ms = v / self.mV, self.ms
        dss = where(x >= 31.4978, 1.0, 1.0763 * exp(-1.0070 * exp(-0.0829 * x)))
        td = (0.6 + 1.0 / (exp(-0.05 * (x + 6.0)) + exp(0.09 * (x + 14.0)))) * ms
        fss = sigmoid((x + 19.58) / 3.696)
        tff = (7.0 + 1.0 / (0.0045 * exp(-(x + 20.0) / 10.0) + 0.0045 * exp((x + 20.0) / 10.0))) * ms
        tfs = (1000.0 + 1.0 / (0.000035 * exp(-(x + 5.0) / 4.0) + 0.000035 * exp((x + 5.0) / 6.0))) * ms
        tfcaf = (7.0 + 1.0 / (0.04 * exp(-(x - 4.0) / 7.0) + 0.04 * exp((x - 4.0) / 7.0))) * ms
        tfcas = (100.0 + 1.0 / (0.00012 * exp(-x / 3.0) + 0.00012 * exp(x / 7.0))) * ms
        km2n = y.jca / ms

        def bound(ca, nca):
            return self.k2n / (self.k2n / km2n + (1.0 + self.kmn / ca) ** 4) - nca * km2n

        return self.State(
            d=relax(dss, y.d, td),
            ff=relax(fss, y.ff, tff),
            fs=relax(fss, y.fs, tfs),
            fcaf=relax(fss, y.fcaf, tfcaf),
            fcas=relax(fss, y.fcas, tfcas),
            jca=relax(sigmoid((x + 18.08) / 2.7916), y.jca, self.tjca),
            ffp=relax(fss, y.ffp, 2.5 * tff),
            fcafp=relax(fss, y.fcafp, 2.5 * tfcaf),
            nca_ss=bound(cass, y.nca_ss),
            nca_i=bound(cai, y.nca_i),
        )


class RapidRectifier(AbstractMechanism):
    """I_Kr, a Markov chain."""

    g: Conductance = 0.0321
    alpha_1: PerTime = 0.154375
    beta_1: PerTime = 0.1911
    normal: ClassVar[Annotated[float, Unit("mM")]] = 5.0

    class State(eqx.Module):
        c1: Fraction
        c2: Fraction
        c3: Fraction
        inactive: Fraction
        open: Fraction

    def current(self, v, y, reversal, ko):
        return self.g * sqrt(ko / self.normal) * y.open * (v - reversal)

    def rates(self, v, y):
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


class SlowRectifier(AbstractMechanism):
    """I_Ks."""

    g: Conductance = 0.0011
    half: ClassVar[Annotated[float, Unit("mM")]] = 3.8e-5

    class State(eqx.Module):
        x1: Fraction
        x2: Fraction

    def current(self, v, y, reversal, cai):
        calcium = 1.0 + 0.6 / (1.0 + (self.half / cai) ** 1.4)
        return self.g * calcium * y.x1 * y.x2 * (v - reversal)

    def rates(self, v, y):
        x, ms = v / self.mV, self.ms
        xss = sigmoid(-(x + 11.6) / 8.932)
        t1 = 817.3 + 1.0 / (2.326e-4 * exp((x + 48.28) / 17.8) + 0.001292 * exp(-(x + 210.0) / 230.0))
        t2 = 1.0 / (0.01 * exp((x - 50.0) / 20.0) + 0.0193 * exp(-(x + 66.54) / 31.0))
        return self.State(x1=relax(xss, y.x1, t1 * ms), x2=relax(xss, y.x2, t2 * ms))


class InwardRectifier(AbstractMechanism):
    """I_K1."""

    g: Conductance = 0.6992
    normal: ClassVar[Annotated[float, Unit("mM")]] = 5.0

    def current(self, v, reversal, ko):
        x = (v - reversal) / self.mV
        a = 4.094 * sigmoid(0.1217 * (x - 49.934))
        b = (15.72 * exp(0.0674 * (x - 3.257)) + exp(0.0618 * (x - 594.31))) * sigmoid(-0.1629 * (x + 14.207))
        return self.g * sqrt(ko / self.normal) * a / (a + b) * (v - reversal)


class SodiumCalciumExchange(AbstractMechanism):
    """I_NaCa, in the subspace and in the bulk."""

    g: Charge = 0.0034
    subspace: Fraction = 0.35
    kna1: Molarity = 15.0
    kna2: Molarity = 5.0
    kna3: Molarity = 88.12
    kasymm: Number = 12.5
    wna: PerTime = 6e4
    wca: PerTime = 6e4
    wnaca: PerTime = 5e3
    kcaon: PerMolarityTime = 1.5e6
    kcaoff: PerTime = 5e3
    qna: Number = 0.5224
    qca: Number = 0.167
    kmcaact: Molarity = 150e-6

    def current(self, v, na, ca, nao, cao):
        """Per cell whose whole exchange happens here."""
        x = self.reduced(v)
        hca, hna = exp(self.qca * x), exp(self.qna * x)
        h1 = 1.0 + na / self.kna3 * (1.0 + hna)
        h2 = na * hna / (self.kna3 * h1)
        h3 = 1.0 / h1
        h4 = 1.0 + na / self.kna1 * (1.0 + na / self.kna2)
        h5 = na * na / (h4 * self.kna1 * self.kna2)
        h6 = 1.0 / h4
        h7 = 1.0 + nao / self.kna3 * (1.0 + 1.0 / hna)
        h8 = nao / (self.kna3 * hna * h7)
        h9 = 1.0 / h7
        h10 = self.kasymm + 1.0 + nao / self.kna1 * (1.0 + nao / self.kna2)
        h11 = nao * nao / (h10 * self.kna1 * self.kna2)
        h12 = 1.0 / h10
        k1, k2, k5 = h12 * cao * self.kcaon, self.kcaoff, self.kcaoff
        k3p, k3pp = h9 * self.wca, h8 * self.wnaca
        k4p, k4pp = h3 * self.wca / hca, h2 * self.wnaca
        k3, k4 = k3p + k3pp, k4p + k4pp
        k6, k7, k8 = h6 * ca * self.kcaon, h5 * h2 * self.wna, h8 * h11 * self.wna
        x1 = k2 * k4 * (k7 + k6) + k5 * k7 * (k2 + k3)
        x2 = k1 * k7 * (k4 + k5) + k4 * k6 * (k1 + k8)
        x3 = k1 * k3 * (k7 + k6) + k8 * k6 * (k2 + k3)
        x4 = k2 * k8 * (k4 + k5) + k3 * k5 * (k1 + k8)
        total = x1 + x2 + x3 + x4
        e1, e2, e3, e4 = x1 / total, x2 / total, x3 / total, x4 / total
        active = 1.0 / (1.0 + (self.kmcaact / ca) ** 2)
        sodium = 3.0 * (e4 * k7 - e1 * k8) + e3 * k4pp - e2 * k3pp
        calcium = e2 * k2 - e1 * k1
        return self.g * active * (sodium + 2.0 * calcium)


class SodiumPotassiumPump(AbstractMechanism):
    """I_NaK."""

    p: Charge = 15.4509
    k1p: PerTime = 949.5
    k1m: PerMolarityTime = 182.4
    k2p: PerTime = 687.2
    k2m: PerTime = 39.4
    k3p: PerTime = 1899.0
    k3m: Annotated[Scalar, Unit("1/mM^2/ms")] = 79300.0
    k4p: PerTime = 639.0
    k4m: PerTime = 40.0
    knai0: Molarity = 9.073
    knao0: Molarity = 27.78
    delta: Real = -0.155
    kki: Molarity = 0.5
    kko: Molarity = 0.3582
    mgadp: Molarity = 0.05
    mgatp: Molarity = 9.8
    kmgatp: Molarity = 1.698e-7
    h: Molarity = 1e-7
    ep: Molarity = 4.2
    khp: Molarity = 1.698e-7
    knap: Molarity = 224.0
    kxkur: Molarity = 292.0

    def current(self, v, nai, ki, nao, ko):
        x = self.reduced(v)
        na_in = nai / (self.knai0 * exp(self.delta * x / 3.0))
        na_out = nao / (self.knao0 * exp((1.0 - self.delta) * x / 3.0))
        k_in, k_out, atp = ki / self.kki, ko / self.kko, self.mgatp / self.kmgatp
        p = self.ep / (1.0 + self.h / self.khp + nai / self.knap + ki / self.kxkur)
        inside = (1.0 + na_in) ** 3 + (1.0 + k_in) ** 2 - 1.0
        outside = (1.0 + na_out) ** 3 + (1.0 + k_out) ** 2 - 1.0
        a1, b1 = self.k1p * na_in**3 / inside, self.k1m * self.mgadp
        a2, b2 = self.k2p, self.k2m * na_out**3 / outside
        a3, b3 = self.k3p * k_out**2 / outside, self.k3m * p * self.h / (1.0 + atp)
        a4, b4 = self.k4p * atp / (1.0 + atp), self.k4m * k_in**2 / inside
        x1 = a4 * a1 * a2 + b2 * b4 * b3 + a2 * b4 * b3 + b3 * a1 * a2
        x2 = b2 * b1 * b4 + a1 * a2 * a3 + a3 * b1 * b4 + a2 * a3 * b4
        x3 = a2 * a3 * a4 + b3 * b2 * b1 + b2 * b1 * a4 + a3 * a4 * b1
        x4 = b4 * b3 * b2 + a3 * a4 * a1 + b2 * a4 * a1 + b3 * b2 * a1
        total = x1 + x2 + x3 + x4
        e1, e2, e3, e4 = x1 / total, x2 / total, x3 / total, x4 / total
        return self.p * (3.0 * (e1 * a3 - e2 * b3) + 2.0 * (e4 * b1 - e3 * a1))


class Background(AbstractMechanism):
    """Background currents, the calcium pump of the membrane, chloride currents and the ATP-sensitive channel."""

    gkb: Conductance = 0.0189
    pnab: Permeability = 1.9239e-09
    pcab: Permeability = 5.9194e-08
    gpca: Density = 5e-04
    kmcap: Molarity = 0.0005
    gclca: Conductance = 0.2843
    gclb: Conductance = 1.98e-3
    kdclca: Molarity = 0.1
    junction: Fraction = 1.0
    gkatp: Conductance = 4.3195
    fkatp: Fraction = 0.0
    normal: Molarity = 5.0
    atp: Molarity = 2.0
    katp: Molarity = 0.25

    def potassium(self, v, reversal):
        return self.gkb * sigmoid(-(v / self.mV - 10.8968) / 23.9871) * (v - reversal)

    def atp_sensitive(self, v, reversal, ko):
        closed = 1.0 / (1.0 + (self.atp / self.katp) ** 2)
        return self.fkatp * self.gkatp * (ko / self.normal) ** 0.24 * closed * (v - reversal)

    def chloride(self, v, reversal, ca):
        """Activated by calcium."""
        return self.gclca / (1.0 + self.kdclca / ca) * (v - reversal)


class CaMK(AbstractMechanism):
    """Calcium-calmodulin kinase: the trapped share is the state."""

    a: PerTime = 0.05
    b: PerTime = 0.00068
    bound: Fraction = 0.05
    kmcam: Molarity = 0.0015
    half: Number = 0.15

    class State(eqx.Module):
        trapped: Fraction

    def binding(self, y, cass):
        return self.bound * (1.0 - y.trapped) / (1.0 + self.kmcam / cass)

    def phosphorylated(self, y, cass):
        """The share of a channel's population."""
        return 1.0 / (1.0 + self.half / (self.binding(y, cass) + y.trapped))

    def rates(self, y, cass):
        bound = self.binding(y, cass)
        return self.State(trapped=self.a * bound * (bound + y.trapped) - self.b * y.trapped)


class Release(AbstractMechanism):
    """Ryanodine receptors."""

    bt: Duration = 4.75
    half: Molarity = 1.7
    scale: Number = 1.5378
    gain: ClassVar[Annotated[float, Unit("mM/ms/mV")]] = 0.5
    quick: ClassVar[Annotated[float, Unit("mM")]] = 0.0123
    shortest: ClassVar[Annotated[float, Unit("ms")]] = 0.001

    class State(eqx.Module):
        plain: MolarityRate
        phosphorylated: MolarityRate

    def flux(self, y, phosphorylated):
        return self.scale * blend(phosphorylated, y.plain, y.phosphorylated)

    def rates(self, y, ical, cajsr):
        def toward(now, bt):
            target = -self.gain * bt * ical / (1.0 + (self.half / cajsr) ** 8)
            time = bt / (1.0 + self.quick / cajsr)
            return relax(target, now, where(time < self.shortest, self.shortest, time))

        return self.State(toward(y.plain, self.bt), toward(y.phosphorylated, 1.25 * self.bt))


class Uptake(AbstractMechanism):
    """SERCA, with its leak."""

    vmax: MolarityRate = 0.005425
    half: Molarity = 0.00092
    shift: Molarity = 0.00017
    leak: MolarityRate = 0.0048825
    full: Molarity = 15.0
    scale: Number = 1.0

    def flux(self, cai, cansr, phosphorylated):
        plain = self.vmax * cai / (cai + self.half)
        other = 2.75 * self.vmax * cai / (cai + self.half - self.shift)
        return self.scale * (blend(phosphorylated, plain, other) - self.leak * cansr / self.full)


class Buffers(AbstractMechanism):
    """What binds calcium at once."""

    cmdn: Molarity = 0.05
    kcmdn: Molarity = 0.00238
    trpn: Molarity = 0.07
    ktrpn: Molarity = 0.0005
    bsr: Molarity = 0.047
    kbsr: Molarity = 0.00087
    bsl: Molarity = 1.124
    kbsl: Molarity = 0.0087
    csqn: Molarity = 10.0
    kcsqn: Molarity = 0.8

    def bulk(self, ca):
        return 1.0 / (
            1.0 + self.cmdn * self.kcmdn / (self.kcmdn + ca) ** 2 + self.trpn * self.ktrpn / (self.ktrpn + ca) ** 2
        )

    def subspace(self, ca):
        return 1.0 / (1.0 + self.bsr * self.kbsr / (self.kbsr + ca) ** 2 + self.bsl * self.kbsl / (self.kbsl + ca) ** 2)

    def store(self, ca):
        return 1.0 / (1.0 + self.csqn * self.kcsqn / (self.kcsqn + ca) ** 2)


class Geometry(AbstractMechanism):
    """A cylinder; volumes in uL, membrane in uF."""

    length: Length = 0.01
    radius: Length = 0.0011
    cubic: ClassVar[Annotated[float, Unit("uL/cm^3")]] = 1000.0
    capacity: ClassVar[Annotated[float, Unit("uF/cm^2")]] = 1.0

    @property
    def volume(self):
        return self.cubic * 3.14 * self.radius * self.radius * self.length

    @property
    def membrane(self):
        """Twice the geometric area, for its folds."""
        flat = 2.0 * 3.14 * self.radius * self.radius + 2.0 * 3.14 * self.radius * self.length
        return self.capacity * 2.0 * flat


class Ions(eqx.Module):
    """Concentrations of one space, or activities there."""

    na: Molarity
    k: Molarity
    cl: Molarity
    ca: Molarity


class Stores(eqx.Module):
    """Calcium of the sarcoplasmic reticulum."""

    nsr: Molarity
    jsr: Molarity


class Diffusion(AbstractMechanism):
    """Between the subspace and the bulk."""

    na: Duration = 2.0
    k: Duration = 2.0
    cl: Duration = 2.0
    ca: Duration = 0.2
    store: Duration = 60.0


class Cell(AbstractModel):
    """ToR-ORd, endocardial, with dynamic chloride.

    .. code-block:: text

        v' = stimulus - sum of membrane currents          uA/uF = mV/ms

    **Parameters**: mechanisms by name; `outside` concentrations (mM); `start`, the state before the first stimulus.
    **Assumptions**: a stimulus, an infusion into `v` (53 mV over 1 ms), is carried by potassium.
    **Reference**: Tomek et al. 2019, eLife 8:e48890, doi:10.7554/eLife.48890; dynamic chloride: Tomek et al. 2020,
    bioRxiv 2020.06.01.127043.
    """

    ina: FastSodium
    inal: LateSodium
    ito: TransientOutward
    ical: LType
    ikr: RapidRectifier
    iks: SlowRectifier
    ik1: InwardRectifier
    inaca: SodiumCalciumExchange
    inak: SodiumPotassiumPump
    background: Background
    activities: Activities
    camk: CaMK
    ryr: Release
    serca: Uptake
    buffers: Buffers
    geometry: Geometry
    diffusion: Diffusion
    outside: Ions
    start: State
    pknai: Fraction = 0.01833

    time_unit: ClassVar[Unit] = Unit("ms")
    nonnegative: ClassVar[bool] = False
    stiff: ClassVar[bool] = True

    class State(eqx.Module):
        v: Potential
        ina: FastSodium.State
        inal: LateSodium.State
        ito: TransientOutward.State
        ical: LType.State
        ikr: RapidRectifier.State
        iks: SlowRectifier.State
        camk: CaMK.State
        ryr: Release.State
        bulk: Ions
        subspace: Ions
        store: Stores

    class Input(eqx.Module):
        v: PotentialRate = 0.0

    class Output(eqx.Module):
        v: Potential
        calcium: Molarity

    def initial(self):
        return self.start

    def _active(self, space):
        """Activities of one space."""

        def gamma(charge):
            return self.activities.coefficient(space.na, space.k, space.cl, space.ca, charge)

        one = gamma(1)
        return Ions(one * space.na, one * space.k, one * space.cl, gamma(2) * space.ca)

    def derivative(self, t, y, u):
        v, bulk, near, out = y.v, y.bulk, y.subspace, self.outside
        p = self.camk.phosphorylated(y.camk, near.ca)
        nernst = self.ina.nernst
        ena, ek = nernst(out.na, bulk.na), nernst(out.k, bulk.k)
        eks = nernst(out.k + self.pknai * out.na, bulk.k + self.pknai * bulk.na)
        ecl, eclss = nernst(out.cl, bulk.cl, -1), nernst(out.cl, near.cl, -1)
        outside, inside, below = self._active(out), self._active(bulk), self._active(near)

        ina = self.ina.current(v, y.ina, ena, p)
        inal = self.inal.current(v, y.inal, ena, p)
        ito = self.ito.current(v, y.ito, ek, p)
        near_ca, near_na, near_k = self.ical.currents(v, below, outside, self.ical.opening(v, y.ical, y.ical.nca_ss, p))
        bulk_ca, bulk_na, bulk_k = self.ical.currents(v, inside, outside, self.ical.opening(v, y.ical, y.ical.nca_i, p))
        ical_ss, icana_ss, icak_ss = (self.ical.subspace * i for i in (near_ca, near_na, near_k))
        ical_i, icana_i, icak_i = ((1.0 - self.ical.subspace) * i for i in (bulk_ca, bulk_na, bulk_k))
        ikr = self.ikr.current(v, y.ikr, ek, out.k)
        iks = self.iks.current(v, y.iks, eks, bulk.ca)
        ik1 = self.ik1.current(v, ek, out.k)
        inaca_i = (1.0 - self.inaca.subspace) * self.inaca.current(v, bulk.na, bulk.ca, out.na, out.ca)
        inaca_ss = self.inaca.subspace * self.inaca.current(v, near.na, near.ca, out.na, out.ca)
        inak = self.inak.current(v, bulk.na, bulk.k, out.na, out.k)
        b = self.background
        ikb, ikatp = b.potassium(v, ek), b.atp_sensitive(v, ek, out.k)
        inab = b.pnab * b.drift(v, bulk.na, out.na)
        icab = b.pcab * b.drift(v, inside.ca, outside.ca, charge=2)
        ipca = b.gpca * bulk.ca / (b.kmcap + bulk.ca)
        iclca_ss = b.junction * b.chloride(v, eclss, near.ca)
        iclca_i = (1.0 - b.junction) * b.chloride(v, ecl, bulk.ca)
        iclb = b.gclb * (v - ecl)
        sodium = ina + inal + 3.0 * inaca_i + 3.0 * inak + inab
        potassium = ito + ikr + iks + ik1 + ikb + ikatp - 2.0 * inak - u.v
        total = (
            ina + inal + ito + ical_ss + ical_i + icana_ss + icana_i + icak_ss + icak_i + ikr + iks + ik1
            + inaca_i + inaca_ss + inak + inab + ikb + ipca + icab + iclca_ss + iclca_i + iclb + ikatp
        )  # fmt: skip

        volume = self.geometry.volume
        vmyo, vnsr, vjsr, vss = 0.68 * volume, 0.0552 * volume, 0.0048 * volume, 0.02 * volume
        into_bulk = self.geometry.membrane / (b.F * vmyo)
        into_near = self.geometry.membrane / (b.F * vss)
        d = self.diffusion
        jna, jk = (near.na - bulk.na) / d.na, (near.k - bulk.k) / d.k
        jcl, jca = (near.cl - bulk.cl) / d.cl, (near.ca - bulk.ca) / d.ca
        jrel = self.ryr.flux(y.ryr, p)
        jup = self.serca.flux(bulk.ca, y.store.nsr, p)
        jtr = (y.store.nsr - y.store.jsr) / d.store
        return self.State(
            v=u.v - total,
            ina=self.ina.rates(v, y.ina),
            inal=self.inal.rates(v, y.inal),
            ito=self.ito.rates(v, y.ito),
            ical=self.ical.rates(v, y.ical, near.ca, bulk.ca),
            ikr=self.ikr.rates(v, y.ikr),
            iks=self.iks.rates(v, y.iks),
            camk=self.camk.rates(y.camk, near.ca),
            ryr=self.ryr.rates(y.ryr, ical_ss, y.store.jsr),
            bulk=Ions(
                na=-(sodium + icana_i) * into_bulk + jna * vss / vmyo,
                k=-(potassium + icak_i) * into_bulk + jk * vss / vmyo,
                cl=(iclb + iclca_i) * into_bulk + jcl * vss / vmyo,
                ca=self.buffers.bulk(bulk.ca)
                * (-(ical_i + ipca + icab - 2.0 * inaca_i) * into_bulk / 2.0 - jup * vnsr / vmyo + jca * vss / vmyo),
            ),
            subspace=Ions(
                na=-(icana_ss + 3.0 * inaca_ss) * into_near - jna,
                k=-icak_ss * into_near - jk,
                cl=iclca_ss * into_near - jcl,
                ca=self.buffers.subspace(near.ca)
                * (-(ical_ss - 2.0 * inaca_ss) * into_near / 2.0 + jrel * vjsr / vss - jca),
            ),
            store=Stores(nsr=jup - jtr * vjsr / vnsr, jsr=self.buffers.store(y.store.jsr) * (jtr - jrel)),
        )

    def output(self, t, y, u):
        return self.Output(v=y.v, calcium=y.bulk.ca)

    def balances(self, t, y, u):
        return {"ikr": Balance(("ikr.c1", "ikr.c2", "ikr.c3", "ikr.inactive", "ikr.open"))}

    @classmethod
    def typical(cls):
        """The endocardial cell, paced to rest at 1 Hz."""
        start = cls.State(
            v=-89.74808,
            ina=FastSodium.State(6.517154e-04, 8.473267e-01, 8.471657e-01, 7.018454e-01, 8.469014e-01),
            inal=LateSodium.State(1.351203e-04, 5.566017e-01, 3.115491e-01),
            ito=TransientOutward.State(
                8.899259e-04, 9.996716e-01, 5.988908e-01, 4.534165e-04, 9.996716e-01, 6.620692e-01
            ),
            ical=LType.State(
                1.588841e-31, 1.0, 9.401791e-01, 1.0, 9.999014e-01, 9.999846e-01, 1.0, 1.0, 4.899378e-04, 8.326009e-04
            ),
            ikr=RapidRectifier.State(9.982511e-01, 7.936020e-04, 6.532143e-04, 9.804083e-06, 2.922449e-04),
            iks=SlowRectifier.State(2.439590e-01, 1.586167e-04),
            camk=CaMK.State(1.095026e-02),
            ryr=Release.State(1.808248e-22, 4.358608e-21),
            bulk=Ions(na=1.239736e01, k=1.477115e02, cl=2.920698e01, ca=7.453481e-05),
            subspace=Ions(na=1.239770e01, k=1.477114e02, cl=2.920696e01, ca=6.497341e-05),
            store=Stores(nsr=1.528001, jsr=1.525693),
        )
        return cls(
            FastSodium(), LateSodium(), TransientOutward(), LType(), RapidRectifier(), SlowRectifier(),
            InwardRectifier(), SodiumCalciumExchange(), SodiumPotassiumPump(), Background(), Activities(), CaMK(),
            Release(), Uptake(), Buffers(), Geometry(), Diffusion(), Ions(na=140.0, k=5.0, cl=150.0, ca=1.8), start,
        )  # fmt: skip
