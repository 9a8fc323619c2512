"""The human ventricular cell of O'Hara and Rudy, and what the CiPA cell shares with it."""

from __future__ import annotations

import abc
from collections.abc import Mapping
from typing import Any, ClassVar

import equinox as eqx

from twinjax.models.heart.calcium import CalciumPump, CaMK, LType
from twinjax.models.heart.cell import AbstractCell, Stimulus
from twinjax.models.heart.exchange import AbstractPump, CorrectedPump, PublishedPump, SodiumCalciumExchange
from twinjax.models.heart.membrane import (
    AbstractMechanism,
    Charge,
    Conductance,
    Density,
    Duration,
    Molarity,
    Permeability,
    Potential,
    sigmoid,
)
from twinjax.models.heart.potassium import InwardRectifier, RapidRectifier, SlowRectifier, TransientOutward
from twinjax.models.heart.sodium import FastSodium, LateSodium
from twinjax.models.heart.store import Buffers, Geometry, Release, Stores, Uptake
from twinjax.naming import bind, get
from twinjax.units import Fraction


class Ions(eqx.Module):
    """Concentrations of one space."""

    na: Molarity
    k: Molarity
    ca: Molarity


class Currents(eqx.Module):
    """Densities through the membrane, outward positive (uA/uF); ``_ss`` into the subspace."""

    ina: Density
    inal: Density
    ito: Density
    ical: Density
    icana: Density
    icak: Density
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

    @property
    def total(self):
        """Of the whole membrane."""
        return (
            self.ina + self.inal + self.ito + self.ical + self.icana + self.icak + self.ikr + self.iks + self.ik1
            + self.inaca + self.inaca_ss + self.inak + self.inab + self.ikb + self.ipca + self.icab
        )  # fmt: skip

    @property
    def net(self):
        """Of the six currents whose integral over a beat is qNet (Dutta et al. 2017, doi:10.3389/fphys.2017.00616)."""
        return self.inal + self.ical + self.ito + self.ikr + self.iks + self.ik1


class Background(AbstractMechanism):
    """Background currents.

    **Parameters**: `gkb` (mS/uF); `pnab`, `pcab` (uL/ms/uF).
    **Reference**: O'Hara et al. 2011, text S1, page 15, doi:10.1371/journal.pcbi.1002061.
    """

    gkb: Conductance = 0.003
    pnab: Permeability = 3.75e-10
    pcab: Permeability = 2.5e-8

    def potassium(self, v, reversal):
        """I_Kb."""
        return self.gkb * sigmoid(-(v / self.mV - 14.48) / 18.34) * (v - reversal)

    def sodium(self, v, inside, outside):
        """I_Nab."""
        return self.pnab * self.drift(v, inside, outside)

    def calcium(self, v, inside, outside):
        """I_Cab, the activity outside 0.341 of the concentration."""
        return self.pcab * self.drift(v, inside, 0.341 * outside, charge=2)


class AbstractOharaRudy(AbstractCell):
    """The cell but for its rapid rectifier, which is `_rapid_current` and `_rapid_rates`."""

    ina: FastSodium
    inal: LateSodium
    ito: TransientOutward
    ical: LType
    ikr: Any
    iks: SlowRectifier
    ik1: InwardRectifier
    inaca: SodiumCalciumExchange
    inak: AbstractPump
    background: Background
    ipca: CalciumPump
    camk: CaMK
    ryr: Release
    serca: Uptake
    buffers: Buffers
    geometry: Geometry
    na_o: Molarity
    k_o: Molarity
    ca_o: Molarity

    pkna: ClassVar[Fraction] = 0.01833
    ions: ClassVar[Duration] = 2.0
    calcium: ClassVar[Duration] = 0.2
    translocation: ClassVar[Duration] = 100.0

    @abc.abstractmethod
    def _rapid_current(self, v: Any, y: Any, reversal: Any) -> Any:
        """I_Kr (uA/uF)."""

    @abc.abstractmethod
    def _rapid_rates(self, v: Any, y: Any) -> Any:
        """Rates of change of its states."""

    def currents(self, y: Any) -> Currents:
        """Every current at a state, as in text S1."""
        v, bulk, near, nernst = y.v, y.bulk, y.subspace, self.ina.nernst
        p = self.camk.phosphorylated(y.camk, near.ca)
        ena, ek = nernst(self.na_o, bulk.na), nernst(self.k_o, bulk.k)
        eks = nernst(self.k_o + self.pkna * self.na_o, bulk.k + self.pkna * bulk.na)
        ical, icana, icak = self.ical.currents(v, y.ical, near, self.na_o, self.k_o, self.ca_o, p)
        exchange, share = self.inaca.current, self.inaca.subspace
        return Currents(
            ina=self.ina.current(v, y.ina, ena, p),
            inal=self.inal.current(v, y.inal, ena, p),
            ito=self.ito.current(v, y.ito, ek, p),
            ical=ical,
            icana=icana,
            icak=icak,
            ikr=self._rapid_current(v, y.ikr, ek),
            iks=self.iks.current(v, y.iks, eks, bulk.ca),
            ik1=self.ik1.current(v, y.ik1, ek, self.k_o),
            inaca=(1.0 - share) * exchange(v, bulk.na, bulk.ca, self.na_o, self.ca_o),
            inaca_ss=share * exchange(v, near.na, near.ca, self.na_o, self.ca_o),
            inak=self.inak.current(v, bulk.na, bulk.k, self.na_o, self.k_o),
            inab=self.background.sodium(v, bulk.na, self.na_o),
            ikb=self.background.potassium(v, ek),
            ipca=self.ipca.current(bulk.ca),
            icab=self.background.calcium(v, bulk.ca, self.ca_o),
        )

    def derivative(self, t, y, u):
        """Rates of change."""
        v, bulk, near, store, i = y.v, y.bulk, y.subspace, y.store, self.currents(y)
        p, g, b = self.camk.phosphorylated(y.camk, near.ca), self.geometry, self.buffers
        jna, jk = (near.na - bulk.na) / self.ions, (near.k - bulk.k) / self.ions
        jca = (near.ca - bulk.ca) / self.calcium
        jrel, jup = self.ryr.flux(y.ryr, p), self.serca.flux(bulk.ca, store.nsr, p)
        jtr = (store.nsr - store.jsr) / self.translocation
        sodium = i.ina + i.inal + 3.0 * i.inaca + 3.0 * i.inak + i.inab
        potassium = i.ito + i.ikr + i.iks + i.ik1 + i.ikb - 2.0 * i.inak - u.v
        into, into_near, thin = g.into_bulk, g.into_subspace, g.subspace / g.bulk
        return type(self).State(
            v=u.v - i.total,
            ina=self.ina.rates(v, y.ina),
            inal=self.inal.rates(v, y.inal, self.ina.opening(v)),
            ito=self.ito.rates(v, y.ito),
            ical=self.ical.rates(v, y.ical, near.ca),
            ikr=self._rapid_rates(v, y.ikr),
            iks=self.iks.rates(v, y.iks),
            ik1=self.ik1.rates(v, y.ik1, self.k_o),
            camk=self.camk.rates(y.camk, near.ca),
            ryr=self.ryr.rates(y.ryr, i.ical, store.jsr),
            bulk=Ions(
                na=-sodium * into + jna * thin,
                k=-potassium * into + jk * thin,
                ca=b.bulk(bulk.ca)
                * (-(i.ipca + i.icab - 2.0 * i.inaca) * into / 2.0 - jup * g.nsr / g.bulk + jca * thin),
            ),
            subspace=Ions(
                na=-(i.icana + 3.0 * i.inaca_ss) * into_near - jna,
                k=-i.icak * into_near - jk,
                ca=b.subspace(near.ca)
                * (-(i.ical - 2.0 * i.inaca_ss) * into_near / 2.0 + jrel * g.jsr / g.subspace - jca),
            ),
            store=Stores(nsr=jup - jtr * g.jsr / g.nsr, jsr=b.store(store.jsr) * (jtr - jrel)),
            qnet=i.net,
        )


class OharaRudy(AbstractOharaRudy):
    """O'Hara and Rudy's human ventricular cell of 2011, 42 states.

    .. code-block:: text

        v' = stimulus - sum of membrane currents          uA/uF = mV/ms

    **Parameters**: mechanisms by name, with their conductances (``ina.g``, ``ical.p``, ...); `na_o`, `k_o`, `ca_o`
    outside (mM); `start`, the state before the first stimulus. `endocardial`, `epicardial` and `midmyocardial` are
    the three types of cell.
    **Assumptions**: a stimulus, an infusion into `v`, is carried by potassium. The sodium-potassium pump is
    `PublishedPump` unless another is given (`CorrectedPump`, as in Myokit's file).
    **Reference**: O'Hara et al. 2011, PLoS Comput Biol 7:e1002061, doi:10.1371/journal.pcbi.1002061.
    """

    ikr: RapidRectifier
    Input = Stimulus

    class State(eqx.Module):
        """What integrates."""

        v: Potential
        ina: FastSodium.State
        inal: LateSodium.State
        ito: TransientOutward.State
        ical: LType.State
        ikr: RapidRectifier.State
        iks: SlowRectifier.State
        ik1: InwardRectifier.State
        camk: CaMK.State
        ryr: Release.State
        bulk: Ions
        subspace: Ions
        store: Stores
        qnet: Charge

    def _rapid_current(self, v: Any, y: Any, reversal: Any) -> Any:
        return self.ikr.current(v, y, reversal, self.k_o)

    def _rapid_rates(self, v: Any, y: Any) -> Any:
        return self.ikr.rates(v, y)

    @classmethod
    def endocardial(cls, *, corrected: bool = False) -> OharaRudy:
        """Of the inner wall; `corrected` takes `CorrectedPump`."""
        start = cls.State(
            v=-87.0,
            ina=FastSodium.State(0.0, 1.0, 1.0, 1.0, 1.0, 1.0),
            inal=LateSodium.State(0.0, 1.0, 1.0),
            ito=TransientOutward.State(0.0, 1.0, 1.0, 0.0, 1.0, 1.0),
            ical=LType.State(0.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.0),
            ikr=RapidRectifier.State(0.0, 0.0),
            iks=SlowRectifier.State(0.0, 0.0),
            ik1=InwardRectifier.State(1.0),
            camk=CaMK.State(0.0),
            ryr=Release.State(0.0, 0.0),
            bulk=Ions(7.0, 145.0, 1e-4),
            subspace=Ions(7.0, 145.0, 1e-4),
            store=Stores(1.2, 1.2),
            qnet=0.0,
        )
        pump = CorrectedPump() if corrected else PublishedPump()
        return cls(**mechanisms(), ikr=RapidRectifier(), inak=pump, start=start)

    @classmethod
    def epicardial(cls, *, corrected: bool = False) -> OharaRudy:
        """Of the outer wall."""
        return epicardial(cls.endocardial(corrected=corrected))

    @classmethod
    def midmyocardial(cls, *, corrected: bool = False) -> OharaRudy:
        """Of the middle of the wall."""
        return midmyocardial(cls.endocardial(corrected=corrected))

    @classmethod
    def typical(cls) -> OharaRudy:
        """The endocardial cell."""
        return cls.endocardial()


def mechanisms() -> dict[str, Any]:
    """What the endocardial cells share, by field."""
    return {
        "ina": FastSodium(), "inal": LateSodium(), "ito": TransientOutward(), "ical": LType(), "iks": SlowRectifier(),
        "ik1": InwardRectifier(), "inaca": SodiumCalciumExchange(), "background": Background(), "ipca": CalciumPump(),
        "camk": CaMK(), "ryr": Release(), "serca": Uptake(), "buffers": Buffers(), "geometry": Geometry(),
        "na_o": 140.0, "k_o": 5.4, "ca_o": 1.8,
    }  # fmt: skip


def scaled(cell: Any, factors: Mapping[str, float]) -> Any:
    """The cell with the named parameters multiplied."""
    return bind(cell, {name: get(cell, name) * factor for name, factor in factors.items()})


def epicardial(cell: Any) -> Any:
    """An endocardial cell's parameters made those of the epicardium (text S1, table of cell types)."""
    return bind(scaled(cell, EPICARDIAL), {"ito.epicardial": 0.95})


def midmyocardial(cell: Any) -> Any:
    """An endocardial cell's parameters made those of the middle of the wall (text S1, table of cell types)."""
    return scaled(cell, MIDMYOCARDIAL)


EPICARDIAL = {
    "inal.g": 0.6, "ito.g": 4.0, "ical.p": 1.2, "ikr.g": 1.3, "iks.g": 1.4, "ik1.g": 1.2, "inaca.g": 1.1, "inak.p": 0.9,
    "background.gkb": 0.6, "serca.vmax": 1.3, "buffers.cmdn": 1.3,
}  # fmt: skip
MIDMYOCARDIAL = {
    "ito.g": 4.0, "ical.p": 2.5, "ikr.g": 0.8, "ik1.g": 1.3, "inaca.g": 1.4, "inak.p": 0.7, "ryr.gain": 1.7,
}  # fmt: skip
