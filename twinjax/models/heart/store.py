"""Calcium inside the cell: release from and uptake into the sarcoplasmic reticulum, buffers, spaces."""

from __future__ import annotations

from typing import Annotated, ClassVar

import equinox as eqx
from jax.numpy import maximum

from twinjax.models.heart.membrane import AbstractMechanism, Duration, Length, Molarity, MolarityRate, blend, relax
from twinjax.units import Number, Scalar, Unit


class Release(AbstractMechanism):
    """Ryanodine receptors: the flux out of the junctional store, plain and phosphorylated, follows I_CaL.

    .. code-block:: text

        target = -gain 0.5 bt I_CaL / (1 + (half / Ca_jsr)^8),      in the time  bt / (1 + 0.0123 mM / Ca_jsr)

    **Parameters**: `gain`, of the target; `scale`, of the flux; `half` (mM).
    **Reference**: O'Hara et al. 2011, text S1, page 17, doi:10.1371/journal.pcbi.1002061.
    """

    gain: Number = 1.0
    scale: Number = 1.0
    half: Molarity = 1.5
    bt: ClassVar[Duration] = 4.75
    slope: ClassVar[Annotated[Scalar, Unit("mM/ms/mV")]] = 0.5
    quick: ClassVar[Molarity] = 0.0123
    shortest: ClassVar[Duration] = 0.001

    class State(eqx.Module):
        """Fluxes out of the store."""

        plain: MolarityRate
        phosphorylated: MolarityRate

    def flux(self, y, phosphorylated):
        """Out of the store (mM/ms)."""
        return self.scale * blend(phosphorylated, y.plain, y.phosphorylated)

    def rates(self, y, ical, cajsr):
        """Of change of the fluxes."""
        target = -self.gain * self.slope * ical / (1.0 + (self.half / cajsr) ** 8)

        def toward(now, bt):
            return relax(target * bt, now, maximum(bt / (1.0 + self.quick / cajsr), self.shortest))

        return self.State(toward(y.plain, self.bt), toward(y.phosphorylated, 1.25 * self.bt))


class Uptake(AbstractMechanism):
    """SERCA, with the leak of its store.

    **Parameters**: `vmax` (mM/ms); `leak` (mM/ms), of a store at 15 mM.
    **Reference**: O'Hara et al. 2011, text S1, page 17, doi:10.1371/journal.pcbi.1002061.
    """

    vmax: MolarityRate = 0.004375
    leak: MolarityRate = 0.0039375
    half: ClassVar[Molarity] = 0.00092
    shift: ClassVar[Molarity] = 0.00017
    full: ClassVar[Molarity] = 15.0

    def flux(self, ca, cansr, phosphorylated):
        """Into the network store (mM/ms)."""
        plain = self.vmax * ca / (ca + self.half)
        other = 2.75 * self.vmax * ca / (ca + self.half - self.shift)
        return blend(phosphorylated, plain, other) - self.leak * cansr / self.full


class Buffers(AbstractMechanism):
    """What binds calcium at once: the share of a change that stays free.

    **Parameters**: `cmdn` (mM), calmodulin.
    **Reference**: O'Hara et al. 2011, text S1, page 18, doi:10.1371/journal.pcbi.1002061.
    """

    cmdn: Molarity = 0.05
    kcmdn: ClassVar[Molarity] = 0.00238
    trpn: ClassVar[Molarity] = 0.07
    ktrpn: ClassVar[Molarity] = 0.0005
    bsr: ClassVar[Molarity] = 0.047
    kbsr: ClassVar[Molarity] = 0.00087
    bsl: ClassVar[Molarity] = 1.124
    kbsl: ClassVar[Molarity] = 0.0087
    csqn: ClassVar[Molarity] = 10.0
    kcsqn: ClassVar[Molarity] = 0.8

    def bulk_total(self, ca):
        """Free and bound calcium of the bulk (mM)."""
        return ca + self.cmdn * ca / (self.kcmdn + ca) + self.trpn * ca / (self.ktrpn + ca)

    def subspace_total(self, ca):
        """Free and bound calcium of the subspace (mM)."""
        return ca + self.bsr * ca / (self.kbsr + ca) + self.bsl * ca / (self.kbsl + ca)

    def store_total(self, ca):
        """Free and bound calcium of the junctional store (mM)."""
        return ca + self.csqn * ca / (self.kcsqn + ca)

    def bulk(self, ca):
        """By calmodulin and troponin."""
        cmdn, trpn = self.cmdn * self.kcmdn / (self.kcmdn + ca) ** 2, self.trpn * self.ktrpn / (self.ktrpn + ca) ** 2
        return 1.0 / (1.0 + cmdn + trpn)

    def subspace(self, ca):
        """By the two membranes about the subspace."""
        bsr, bsl = self.bsr * self.kbsr / (self.kbsr + ca) ** 2, self.bsl * self.kbsl / (self.kbsl + ca) ** 2
        return 1.0 / (1.0 + bsr + bsl)

    def store(self, ca):
        """By calsequestrin."""
        return 1.0 / (1.0 + self.csqn * self.kcsqn / (self.kcsqn + ca) ** 2)


class Geometry(AbstractMechanism):
    """A cylinder, its spaces and its membrane.

    **Parameters**: `length`, `radius` (cm).
    **Reference**: O'Hara et al. 2011, text S1, page 6, doi:10.1371/journal.pcbi.1002061.
    """

    length: Length = 0.01
    radius: Length = 0.0011
    cubic: ClassVar[Annotated[Scalar, Unit("uL/cm^3")]] = 1000.0
    capacity: ClassVar[Annotated[Scalar, Unit("uF/cm^2")]] = 1.0
    bulk: ClassVar[Number] = 0.68
    nsr: ClassVar[Number] = 0.0552
    jsr: ClassVar[Number] = 0.0048
    subspace: ClassVar[Number] = 0.02

    @property
    def volume(self):
        """Of the whole (uL)."""
        return self.cubic * 3.14 * self.radius * self.radius * self.length

    @property
    def membrane(self):
        """Twice the geometric area, for its folds, as a capacity (uF)."""
        flat = 2.0 * 3.14 * self.radius * self.radius + 2.0 * 3.14 * self.radius * self.length
        return self.capacity * 2.0 * flat

    @property
    def into_bulk(self):
        """The rate of concentration that a density of current brings (mM/ms per uA/uF and charge)."""
        return self.membrane / (self.F * self.bulk * self.volume)

    @property
    def into_subspace(self):
        """The same, in the subspace."""
        return self.membrane / (self.F * self.subspace * self.volume)


class Stores(eqx.Module):
    """Calcium of the sarcoplasmic reticulum: network and junctional."""

    nsr: Molarity
    jsr: Molarity
