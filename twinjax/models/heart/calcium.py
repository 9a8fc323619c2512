"""The L-type calcium channel, in O'Hara and Rudy's form; what ToR-ORd shares of it is in the abstract class."""

from __future__ import annotations

from typing import Annotated, ClassVar

import equinox as eqx
from jax.numpy import exp

from twinjax.models.heart.membrane import (
    AbstractMechanism,
    Duration,
    Molarity,
    Permeability,
    PerTime,
    blend,
    relax,
    sigmoid,
)
from twinjax.units import Fraction, Number, Scalar, Unit


class AbstractLType(AbstractMechanism):
    """I_CaL, with its sodium and potassium parts: gates d, f (voltage), fca (calcium), j (recovery), and n, the share
    of channels that calcium inactivates.

    .. code-block:: text

        I = p O GHK(v, inside, outside),      O = d (f (1 - n) + j fca n), a tenth more if phosphorylated
        f = 0.6 ff + 0.4 fs                   fca = A fcaf + (1 - A) fcas,  A falls with v

    **Reference**: O'Hara et al. 2011, text S1, page 9, doi:10.1371/journal.pcbi.1002061.
    """

    sodium: ClassVar[Fraction] = 0.00125
    potassium: ClassVar[Fraction] = 3.574e-4
    kmn: ClassVar[Molarity] = 0.002
    unit: ClassVar[PerTime] = 1.0
    tjca: ClassVar[Duration]
    k2n: ClassVar[PerTime]

    def opening(self, v, y, nca, phosphorylated):
        """The share of open channels; phosphorylated ones pass a tenth more."""
        share = 0.3 + 0.6 * sigmoid((v / self.mV - 10.0) / 10.0)
        f, fp = 0.6 * y.ff + 0.4 * y.fs, 0.6 * y.ffp + 0.4 * y.fs
        fca = share * y.fcaf + (1.0 - share) * y.fcas
        fcap = share * y.fcafp + (1.0 - share) * y.fcas
        plain = y.d * (f * (1.0 - nca) + y.jca * fca * nca)
        other = y.d * (fp * (1.0 - nca) + y.jca * fcap * nca)
        return blend(phosphorylated, plain, 1.1 * other)

    def bound(self, ca, jca, nca):
        """The rate of change of the share that calcium inactivates."""
        unbind = jca * self.unit
        return self.k2n / (self.k2n / unbind + (1.0 + self.kmn / ca) ** 4) - nca * unbind

    def inactivation(self, v, y):
        """Rates of change of f and fca, by name."""
        x, ms = v / self.mV, self.ms
        fss = sigmoid((x + 19.58) / 3.696)
        tff = (7.0 + 1.0 / (0.0045 * exp(-(x + 20.0) / 10.0) + 0.0045 * exp((x + 20.0) / 10.0))) * ms
        tfs = (1000.0 + 1.0 / (0.000035 * exp(-(x + 5.0) / 4.0) + 0.000035 * exp((x + 5.0) / 6.0))) * ms
        tfcaf = (7.0 + 1.0 / (0.04 * exp(-(x - 4.0) / 7.0) + 0.04 * exp((x - 4.0) / 7.0))) * ms
        tfcas = (100.0 + 1.0 / (0.00012 * exp(-x / 3.0) + 0.00012 * exp(x / 7.0))) * ms
        return {
            "ff": relax(fss, y.ff, tff),
            "fs": relax(fss, y.fs, tfs),
            "fcaf": relax(fss, y.fcaf, tfcaf),
            "fcas": relax(fss, y.fcas, tfcas),
            "ffp": relax(fss, y.ffp, 2.5 * tff),
            "fcafp": relax(fss, y.fcafp, 2.5 * tfcaf),
        }

    def activation_time(self, v):
        """Of d (ms)."""
        x = v / self.mV
        return (0.6 + 1.0 / (exp(-0.05 * (x + 6.0)) + exp(0.09 * (x + 14.0)))) * self.ms


class LType(AbstractLType):
    """I_CaL as O'Hara and Rudy's: all channels in the subspace.

    **Parameters**: `p`, the permeability to calcium (uL/ms/uF).
    """

    p: Permeability = 1e-4
    tjca: ClassVar[Duration] = 75.0
    k2n: ClassVar[PerTime] = 1000.0

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
        nca: Fraction

    def currents(self, v, y, inside, nao, ko, cao, phosphorylated):
        """Densities (uA/uF) of calcium, sodium and potassium; activity coefficients 0.341, 0.75 and 0.75."""
        open = self.p * self.opening(v, y, y.nca, phosphorylated)
        ca = open * self.drift(v, inside.ca, 0.341 * cao, charge=2)
        na = self.sodium * open * self.drift(v, 0.75 * inside.na, 0.75 * nao)
        k = self.potassium * open * self.drift(v, 0.75 * inside.k, 0.75 * ko)
        return ca, na, k

    def rates(self, v, y, ca):
        """Of change of the gates; `ca`, in the subspace."""
        x = v / self.mV
        return self.State(
            d=relax(sigmoid(-(x + 3.940) / 4.230), y.d, self.activation_time(v)),
            jca=relax(sigmoid((x + 19.58) / 3.696), y.jca, self.tjca),
            nca=self.bound(ca, y.jca, y.nca),
            **self.inactivation(v, y),
        )


class CaMK(AbstractMechanism):
    """Calcium-calmodulin kinase: the share of subunits that is trapped is the state.

    .. code-block:: text

        active = bound + trapped             channels phosphorylated: 1 / (1 + 0.15 / active)

    **Reference**: Hund & Rudy 2004, doi:10.1161/01.CIR.0000147231.69595.D3; O'Hara et al. 2011, text S1, page 16.
    """

    a: ClassVar[PerTime] = 0.05
    b: ClassVar[PerTime] = 0.00068
    share: ClassVar[Fraction] = 0.05
    kmcam: ClassVar[Molarity] = 0.0015
    half: ClassVar[Number] = 0.15

    class State(eqx.Module):
        """Gates."""

        trapped: Fraction

    def binding(self, y, ca):
        """The share of subunits that calmodulin has bound."""
        return self.share * (1.0 - y.trapped) / (1.0 + self.kmcam / ca)

    def phosphorylated(self, y, ca):
        """The share of a channel's population."""
        active = self.binding(y, ca) + y.trapped
        return active / (active + self.half)

    def rates(self, y, ca):
        """Of change of the trapped share."""
        bound = self.binding(y, ca)
        return self.State(trapped=self.a * bound * (bound + y.trapped) - self.b * y.trapped)


class CalciumPump(AbstractMechanism):
    """I_pCa.

    **Parameters**: `g` (uA/uF).
    **Reference**: O'Hara et al. 2011, text S1, page 15.
    """

    g: Annotated[Scalar, Unit("uA/uF")] = 5e-4
    half: ClassVar[Molarity] = 5e-4

    def current(self, ca):
        """Density (uA/uF)."""
        return self.g * ca / (self.half + ca)
