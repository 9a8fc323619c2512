"""The human ventricular cell ToR-ORd, with dynamic chloride."""

from __future__ import annotations

from typing import Any, ClassVar

import equinox as eqx
import jax

from twinjax.models.base import Balance
from twinjax.models.heart.calcium import CalciumPump, CaMK
from twinjax.models.heart.cell import AbstractCell, Stimulus
from twinjax.models.heart.exchange import AbstractPump, CorrectedPump, PublishedPump, SodiumCalciumExchange
from twinjax.models.heart.membrane import Charge, Density, Duration, Molarity, Potential
from twinjax.models.heart.ohara_rudy import EPICARDIAL, MIDMYOCARDIAL, scaled
from twinjax.models.heart.potassium import SlowRectifier, TransientOutward
from twinjax.models.heart.sodium import LateSodium
from twinjax.models.heart.store import Buffers, Geometry, Release, Stores, Uptake
from twinjax.models.heart.torord_currents import (
    Activities,
    GrandiSodium,
    InstantRectifier,
    MarkovRectifier,
    Quiet,
    SpreadLType,
)
from twinjax.naming import bind
from twinjax.units import Fraction


class Ions(eqx.Module):
    """Concentrations of one space, or activities there."""

    na: Molarity
    k: Molarity
    cl: Molarity
    ca: Molarity


class Currents(eqx.Module):
    """Densities through the membrane, outward positive (uA/uF); ``_ss`` into the subspace."""

    ina: Density
    inal: Density
    ito: Density
    ical: Density
    icana: Density
    icak: Density
    ical_ss: Density
    icana_ss: Density
    icak_ss: Density
    ikr: Density
    iks: Density
    ik1: Density
    inaca: Density
    inaca_ss: Density
    inak: Density
    inab: Density
    ikb: Density
    ipca: Density
    icab: Density
    iclca: Density
    iclca_ss: Density
    iclb: Density
    ikatp: Density

    @property
    def total(self):
        """Of the whole membrane."""
        return (
            self.ina + self.inal + self.ito + self.ical_ss + self.ical + self.icana_ss + self.icana + self.icak_ss
            + self.icak + self.ikr + self.iks + self.ik1 + self.inaca + self.inaca_ss + self.inak + self.inab
            + self.ikb + self.ipca + self.icab + self.iclca_ss + self.iclca + self.iclb + self.ikatp
        )  # fmt: skip

    @property
    def net(self):
        """Of the six currents whose integral over a beat is qNet (Dutta et al. 2017, doi:10.3389/fphys.2017.00616)."""
        return self.inal + self.ical + self.ical_ss + self.ito + self.ikr + self.iks + self.ik1


class ToRORd(AbstractCell):
    """ToR-ORd, with dynamic chloride, 46 states.

    .. code-block:: text

        v' = stimulus - sum of membrane currents          uA/uF = mV/ms

    **Parameters**: mechanisms by name, with their conductances (``ina.g``, ``ical.p``, ...); `outside` concentrations
    (mM); `start`, the state before the first stimulus, paced at 1 Hz. `endocardial`, `epicardial` and `midmyocardial`
    are the three types of cell.
    **Assumptions**: a stimulus, an infusion into `v`, is carried by potassium. The sodium-potassium pump is
    `PublishedPump`, as in the authors' CellML, unless another is given (`CorrectedPump`, as in Myokit's file).
    **Reference**: Tomek et al. 2019, eLife 8:e48890, doi:10.7554/eLife.48890; dynamic chloride: Tomek et al. 2020,
    bioRxiv, doi:10.1101/2020.06.01.127043.
    """

    ina: GrandiSodium
    inal: LateSodium
    ito: TransientOutward
    ical: SpreadLType
    ikr: MarkovRectifier
    iks: SlowRectifier
    ik1: InstantRectifier
    inaca: SodiumCalciumExchange
    inak: AbstractPump
    background: Quiet
    ipca: CalciumPump
    activities: Activities
    camk: CaMK
    ryr: Release
    serca: Uptake
    buffers: Buffers
    outside: Ions
    Input = Stimulus

    pkna: ClassVar[Fraction] = 0.01833
    ions: ClassVar[Duration] = 2.0
    calcium: ClassVar[Duration] = 0.2
    translocation: ClassVar[Duration] = 60.0

    class State(eqx.Module):
        """What integrates."""

        v: Potential
        ina: GrandiSodium.State
        inal: LateSodium.State
        ito: TransientOutward.State
        ical: SpreadLType.State
        ikr: MarkovRectifier.State
        iks: SlowRectifier.State
        camk: CaMK.State
        ryr: Release.State
        bulk: Ions
        subspace: Ions
        store: Stores
        qnet: Charge

    def _active(self, space: Ions) -> Ions:
        """Activities of one space."""

        def gamma(charge: int) -> Any:
            return self.activities.coefficient(space.na, space.k, space.cl, space.ca, charge)

        one = gamma(1)
        return Ions(one * space.na, one * space.k, one * space.cl, gamma(2) * space.ca)

    def currents(self, y: Any) -> Currents:
        """Every current at a state."""
        v, bulk, near, out, nernst = y.v, y.bulk, y.subspace, self.outside, self.ina.nernst
        p = self.camk.phosphorylated(y.camk, near.ca)
        ena, ek = nernst(out.na, bulk.na), nernst(out.k, bulk.k)
        eks = nernst(out.k + self.pkna * out.na, bulk.k + self.pkna * bulk.na)
        ecl, eclss = nernst(out.cl, bulk.cl, -1), nernst(out.cl, near.cl, -1)
        outside, inside, below = self._active(out), self._active(bulk), self._active(near)
        ical, share, b = self.ical, self.ical.subspace, self.background
        bulk_ca, bulk_na, bulk_k = ical.currents(v, inside, outside, ical.opening(v, y.ical, y.ical.nca_i, p))
        near_ca, near_na, near_k = ical.currents(v, below, outside, ical.opening(v, y.ical, y.ical.nca_ss, p))
        exchange, nearby = self.inaca.current, self.inaca.subspace
        return Currents(
            ina=self.ina.current(v, y.ina, ena, p),
            inal=self.inal.current(v, y.inal, ena, p),
            ito=self.ito.current(v, y.ito, ek, p),
            ical=(1.0 - share) * bulk_ca,
            icana=(1.0 - share) * bulk_na,
            icak=(1.0 - share) * bulk_k,
            ical_ss=share * near_ca,
            icana_ss=share * near_na,
            icak_ss=share * near_k,
            ikr=self.ikr.current(v, y.ikr, ek, out.k),
            iks=self.iks.current(v, y.iks, eks, bulk.ca),
            ik1=self.ik1.current(v, ek, out.k),
            inaca=(1.0 - nearby) * exchange(v, bulk.na, bulk.ca, out.na, out.ca),
            inaca_ss=nearby * exchange(v, near.na, near.ca, out.na, out.ca),
            inak=self.inak.current(v, bulk.na, bulk.k, out.na, out.k),
            inab=b.pnab * b.drift(v, bulk.na, out.na),
            ikb=b.potassium(v, ek),
            ipca=self.ipca.current(bulk.ca),
            icab=b.pcab * b.drift(v, inside.ca, outside.ca, charge=2),
            iclca=(1.0 - b.junction) * b.chloride(v, ecl, bulk.ca),
            iclca_ss=b.junction * b.chloride(v, eclss, near.ca),
            iclb=b.gclb * (v - ecl),
            ikatp=b.atp_sensitive(v, ek, out.k),
        )

    def derivative(self, t, y, u):
        """Rates of change."""
        v, bulk, near, store, i = y.v, y.bulk, y.subspace, y.store, self.currents(y)
        p, g, b = self.camk.phosphorylated(y.camk, near.ca), self.geometry, self.buffers
        jna, jk, jcl = (near.na - bulk.na) / self.ions, (near.k - bulk.k) / self.ions, (near.cl - bulk.cl) / self.ions
        jca = (near.ca - bulk.ca) / self.calcium
        jrel, jup = self.ryr.flux(y.ryr, p), self.serca.flux(bulk.ca, store.nsr, p)
        jtr = (store.nsr - store.jsr) / self.translocation
        sodium = i.ina + i.inal + i.icana + 3.0 * i.inaca + 3.0 * i.inak + i.inab
        potassium = i.ito + i.icak + i.ikr + i.iks + i.ik1 + i.ikb + i.ikatp - 2.0 * i.inak - u.v
        into, into_near, thin = g.into_bulk, g.into_subspace, g.subspace / g.bulk
        return self.State(
            v=u.v - i.total,
            ina=self.ina.rates(v, y.ina),
            inal=self.inal.rates(v, y.inal, self.ina.opening(v)),
            ito=self.ito.rates(v, y.ito),
            ical=self.ical.rates(v, y.ical, near.ca, bulk.ca),
            ikr=self.ikr.rates(v, y.ikr),
            iks=self.iks.rates(v, y.iks),
            camk=self.camk.rates(y.camk, near.ca),
            ryr=self.ryr.rates(y.ryr, i.ical_ss, store.jsr),
            bulk=Ions(
                na=-sodium * into + jna * thin,
                k=-potassium * into + jk * thin,
                cl=(i.iclb + i.iclca) * into + jcl * thin,
                ca=b.bulk(bulk.ca)
                * (-(i.ical + i.ipca + i.icab - 2.0 * i.inaca) * into / 2.0 - jup * g.nsr / g.bulk + jca * thin),
            ),
            subspace=Ions(
                na=-(i.icana_ss + 3.0 * i.inaca_ss) * into_near - jna,
                k=-i.icak_ss * into_near - jk,
                cl=i.iclca_ss * into_near - jcl,
                ca=b.subspace(near.ca)
                * (-(i.ical_ss - 2.0 * i.inaca_ss) * into_near / 2.0 + jrel * g.jsr / g.subspace - jca),
            ),
            store=Stores(nsr=jup - jtr * g.jsr / g.nsr, jsr=b.store(store.jsr) * (jtr - jrel)),
            qnet=i.net,
        )

    def _charge(self, space: Any) -> Any:
        """Chloride's too."""
        return space.na + space.k - space.cl

    def _channels(self, y: Any) -> dict[str, Any]:
        """Of the rapid rectifier."""
        return {"ikr": sum(jax.tree.leaves(y.ikr))}

    def balances(self, t, y, u):
        """Every channel is in one of its states."""
        return {"ikr": Balance(("ikr.c1", "ikr.c2", "ikr.c3", "ikr.inactive", "ikr.open"))}

    @classmethod
    def endocardial(cls, *, corrected: bool = False) -> ToRORd:
        """Of the inner wall, paced at 1 Hz; `corrected` takes `CorrectedPump`."""
        start = cls.State(
            v=-89.74808,
            ina=GrandiSodium.State(6.517154e-04, 8.473267e-01, 8.471657e-01, 7.018454e-01, 8.469014e-01),
            inal=LateSodium.State(1.351203e-04, 5.566017e-01, 3.115491e-01),
            ito=TransientOutward.State(
                8.899259e-04, 9.996716e-01, 5.988908e-01, 4.534165e-04, 9.996716e-01, 6.620692e-01
            ),
            ical=SpreadLType.State(
                1.588841e-31, 1.0, 9.401791e-01, 1.0, 9.999014e-01, 9.999846e-01, 1.0, 1.0, 4.899378e-04, 8.326009e-04
            ),
            ikr=MarkovRectifier.State(6.532143e-04, 7.936020e-04, 9.982511e-01, 9.804083e-06, 2.922449e-04),
            iks=SlowRectifier.State(2.439590e-01, 1.586167e-04),
            camk=CaMK.State(1.095026e-02),
            ryr=Release.State(1.808248e-22, 4.358608e-21),
            bulk=Ions(na=1.239736e01, k=1.477115e02, cl=2.920698e01, ca=7.453481e-05),
            subspace=Ions(na=1.239770e01, k=1.477114e02, cl=2.920696e01, ca=6.497341e-05),
            store=Stores(nsr=1.528001, jsr=1.525693),
            qnet=0.0,
        )
        return cls(
            geometry=Geometry(), start=start, ina=GrandiSodium(), inal=LateSodium(g=0.0279),
            ito=TransientOutward(g=0.16), ical=SpreadLType(), ikr=MarkovRectifier(), iks=SlowRectifier(g=0.0011),
            ik1=InstantRectifier(), inaca=SodiumCalciumExchange(g=0.0034, subspace=0.35),
            inak=(CorrectedPump if corrected else PublishedPump)(p=15.4509), background=Quiet(), ipca=CalciumPump(),
            activities=Activities(), camk=CaMK(), ryr=Release(scale=1.5378, half=1.7),
            serca=Uptake(vmax=0.005425, leak=0.0048825), buffers=Buffers(),
            outside=Ions(na=140.0, k=5.0, cl=150.0, ca=1.8),
        )  # fmt: skip

    @classmethod
    def epicardial(cls, *, corrected: bool = False) -> ToRORd:
        """Of the outer wall."""
        made = scaled(cls.endocardial(corrected=corrected), {**EPICARDIAL, "ito.g": 2.0})
        return bind(made, {"ito.epicardial": 0.95})

    @classmethod
    def midmyocardial(cls, *, corrected: bool = False) -> ToRORd:
        """Of the middle of the wall."""
        return scaled(cls.endocardial(corrected=corrected), {**MIDMYOCARDIAL, "ito.g": 2.0, "ical.p": 2.0})

    @classmethod
    def typical(cls) -> ToRORd:
        """The endocardial cell."""
        return cls.endocardial()
