"""What exchanges and pumps ions across the membrane: sodium for calcium, sodium for potassium."""

from __future__ import annotations

import abc
from typing import Annotated, ClassVar

from jax.numpy import exp

from twinjax.models.heart.membrane import AbstractMechanism, Charge, Molarity, PerMolarityTime, PerTime
from twinjax.units import Fraction, Number, Real, Scalar, Unit


class SodiumCalciumExchange(AbstractMechanism):
    """I_NaCa: a cycle of states E1 to E4, of which a share lies in the subspace.

    .. code-block:: text

        I = g / (1 + (0.15 uM / Ca)^2) (J_Na + 2 J_Ca)

    **Parameters**: `g` (uA*ms/uF); `subspace`, the share that lies there.
    **Reference**: Kang & Hilgemann 2004, doi:10.1038/nature02271; O'Hara et al. 2011, text S1, page 12,
    doi:10.1371/journal.pcbi.1002061.
    """

    g: Charge = 0.0008
    subspace: Fraction = 0.2
    kna1: ClassVar[Molarity] = 15.0
    kna2: ClassVar[Molarity] = 5.0
    kna3: ClassVar[Molarity] = 88.12
    kasymm: ClassVar[Number] = 12.5
    wna: ClassVar[PerTime] = 6e4
    wca: ClassVar[PerTime] = 6e4
    wnaca: ClassVar[PerTime] = 5e3
    kcaon: ClassVar[PerMolarityTime] = 1.5e6
    kcaoff: ClassVar[PerTime] = 5e3
    qna: ClassVar[Number] = 0.5224
    qca: ClassVar[Number] = 0.167
    kmcaact: ClassVar[Molarity] = 150e-6

    def current(self, v, na, ca, nao, cao):
        """Density (uA/uF) of a cell whose whole exchange happens at these concentrations."""
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


class AbstractPump(AbstractMechanism):
    """I_NaK: a cycle of four states, turned by ATP.

    .. code-block:: text

        I = p (3 (E1 a3 - E2 b3) + 2 (E4 b1 - E3 a1))

    **Parameters**: `p` (uA*ms/uF).
    **Reference**: Smith & Crampin 2004, doi:10.1016/j.pbiomolbio.2004.01.010; O'Hara et al. 2011, text S1, page 14,
    doi:10.1371/journal.pcbi.1002061.
    """

    p: Charge = 30.0
    h: ClassVar[Molarity] = 1e-7
    k1p: ClassVar[PerTime] = 949.5
    k1m: ClassVar[PerMolarityTime] = 182.4
    k2p: ClassVar[PerTime] = 687.2
    k2m: ClassVar[PerTime] = 39.4
    k3p: ClassVar[PerTime] = 1899.0
    k3m: ClassVar[Annotated[Scalar, Unit("1/mM^2/ms")]] = 79300.0
    k4p: ClassVar[PerTime] = 639.0
    k4m: ClassVar[PerTime] = 40.0
    knai0: ClassVar[Molarity] = 9.073
    knao0: ClassVar[Molarity] = 27.78
    delta: ClassVar[Real] = -0.155
    kki: ClassVar[Molarity] = 0.5
    kko: ClassVar[Molarity] = 0.3582
    mgadp: ClassVar[Molarity] = 0.05
    mgatp: ClassVar[Molarity] = 9.8
    kmgatp: ClassVar[Molarity] = 1.698e-7
    ep: ClassVar[Molarity] = 4.2
    khp: ClassVar[Molarity] = 1.698e-7
    knap: ClassVar[Molarity] = 224.0
    kxkur: ClassVar[Molarity] = 292.0

    @abc.abstractmethod
    def second(self, b1, b2):
        """The rate that leads to the first state by its second path."""

    def current(self, v, na, k, nao, ko):
        """Density (uA/uF)."""
        x = self.reduced(v)
        na_in = na / (self.knai0 * exp(self.delta * x / 3.0))
        na_out = nao / (self.knao0 * exp((1.0 - self.delta) * x / 3.0))
        k_in, k_out, atp = k / self.kki, ko / self.kko, self.mgatp / self.kmgatp
        p = self.ep / (1.0 + self.h / self.khp + na / self.knap + k / self.kxkur)
        inside = (1.0 + na_in) ** 3 + (1.0 + k_in) ** 2 - 1.0
        outside = (1.0 + na_out) ** 3 + (1.0 + k_out) ** 2 - 1.0
        a1, b1 = self.k1p * na_in**3 / inside, self.k1m * self.mgadp
        a2, b2 = self.k2p, self.k2m * na_out**3 / outside
        a3, b3 = self.k3p * k_out**2 / outside, self.k3m * p * self.h / (1.0 + atp)
        a4, b4 = self.k4p * atp / (1.0 + atp), self.k4m * k_in**2 / inside
        x1 = a4 * a1 * a2 + self.second(b1, b2) * b4 * b3 + a2 * b4 * b3 + b3 * a1 * a2
        x2 = b2 * b1 * b4 + a1 * a2 * a3 + a3 * b1 * b4 + a2 * a3 * b4
        x3 = a2 * a3 * a4 + b3 * b2 * b1 + b2 * b1 * a4 + a3 * a4 * b1
        x4 = b4 * b3 * b2 + a3 * a4 * a1 + b2 * a4 * a1 + b3 * b2 * a1
        total = x1 + x2 + x3 + x4
        e1, e2, e3, e4 = x1 / total, x2 / total, x3 / total, x4 / total
        return self.p * (3.0 * (e1 * a3 - e2 * b3) + 2.0 * (e4 * b1 - e3 * a1))


class PublishedPump(AbstractPump):
    """I_NaK as O'Hara and Rudy's, the FDA's and ToR-ORd's own codes have it: ``b2`` in the first state's second path,
    and protons at 1e-7 mM.
    """

    def second(self, b1, b2):
        """Of the published code."""
        return b2


class CorrectedPump(AbstractPump):
    """I_NaK with two slips of the published code put right: ``b1`` in that path, and protons at pH 7, 1e-4 mM.

    As in Myokit's curated file; APD90 at 2 s is some 3 ms shorter.
    """

    h: ClassVar[Molarity] = 1e-4

    def second(self, b1, b2):
        """Of the diagram method."""
        return b1
