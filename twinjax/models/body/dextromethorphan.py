"""Dextromethorphan and what CYP2D6 makes of it: three substances in one body, blood in every organ and vein."""

from __future__ import annotations

import functools
import operator
from collections.abc import Sequence
from typing import Annotated, Any, ClassVar

import equinox as eqx
import jax.numpy as jnp

from twinjax.context.statements import DEXTROMETHORPHAN
from twinjax.models.base import AbstractModel, Balance
from twinjax.naming import names
from twinjax.units import (
    Amount,
    Bounds,
    Clearance,
    Concentration,
    ConcentrationRate,
    Fraction,
    MolarMass,
    Number,
    Rate,
    Real,
    Scalar,
    Unit,
    Volume,
)

ORGANS = ("forearm", "gut", "kidney", "liver", "lung", "pancreas", "rest", "spleen")
_VEIN = {"gut": "portal", "spleen": "portal", "pancreas": "portal", "kidney": "renal", "rest": "systemic",
         "liver": "hepatic", "forearm": "brachial"}  # fmt: skip

Activity = Annotated[Scalar, Unit("1"), Bounds(0.0, 12.0)]


class Two(eqx.Module):
    """A substance in an organ's plasma, and in its tissue."""

    blood: Amount
    tissue: Amount


class Substance(eqx.Module):
    """How one substance spreads: `ps` (L/h) across every organ's membrane, `kp` tissue:plasma, `kp_forearm` there."""

    ps: Clearance
    kp: Number
    kp_forearm: Number
    excretion: Rate
    molar_mass: MolarMass


class Spread(eqx.Module):
    """One substance in the body: organs, veins that drain them, arterial and venous blood, urine."""

    organs: dict[str, Two]
    veins: dict[str, Amount]
    arterial: Amount
    venous: Amount
    urine: Amount


def total(terms: Sequence[Any]) -> Any:
    """Their sum, without a zero to start from, which would have no unit."""
    return functools.reduce(operator.add, terms)


class Dextromethorphan(AbstractModel):
    """Parent, dextrorphan and its glucuronide; eight permeability-limited organs, five veins.

    .. code-block:: text

        stomach' = -dissolution stomach                lumen' = dissolution stomach - ka lumen
        absorbed into the gut's tissue  fa ka lumen;   the gut loses    vmax C / (km + C), CYP3A4
        the liver makes dextrorphan     a vmax C / (a^lambda km + C) by CYP2D6 + vmax C / (km + C) by CYP3A4
        and its glucuronide             vmax C / (km + C), UGT; the kidney excretes each in proportion

    Doses go into ``stomach`` (mg) or a vein. Each C is the tissue's concentration.
    **Parameters**: `activity`, the CYP2D6 activity score of a diplotype (0 poor, 2 for two normal alleles);
    `lambda_`, how km moves with it; `vmax_*` (mg/L tissue/h), `km_*` (mg/L); `dissolution`, `ka` (1/h), `fa`; volumes
    of `blood` (plasma) and `tissue` by organ, of `vessels` (L); `flow` by organ, the liver's from its artery (L/h);
    `shunt`, share of the forearm's blood that passes by its tissue; `drug`, `metabolite`, `glucuronide`, how each
    spreads.
    `leak`: 1 takes from artery and forearm each all that enters the forearm's vein, as the archived file does (which
    loses drug); 0 keeps the balance.
    **Assumptions**: total blood flow carries plasma's concentrations, as published; no quinidine.
    **Reference**: Grzegorzewski et al. 2022, Front Pharmacol 13:1029073, doi:10.3389/fphar.2022.1029073 (BioModels
    MODEL2301090002, CC0) with typical values; dissolution 1.3043/h, of which the file holds a sixtieth.
    """

    activity: Activity
    lambda_: Real
    vmax_2d6: ConcentrationRate
    km_2d6: Concentration
    vmax_3a4: ConcentrationRate
    km_3a4: Concentration
    vmax_gut: ConcentrationRate
    km_gut: Concentration
    vmax_ugt: ConcentrationRate
    km_ugt: Concentration
    dissolution: Rate
    ka: Rate
    fa: Fraction
    blood: dict[str, Volume]
    tissue: dict[str, Volume]
    vessels: dict[str, Volume]
    flow: dict[str, Clearance]
    shunt: Fraction
    leak: Fraction
    drug: Substance
    metabolite: Substance
    glucuronide: Substance

    stiff: ClassVar[bool] = True

    class State(eqx.Module):
        """Drug undissolved and dissolved in the gut, excreted, lost in its wall; three substances in the body."""

        stomach: Amount
        lumen: Amount
        faeces: Amount
        wall: Amount
        drug: Spread
        metabolite: Spread
        glucuronide: Spread

    class Input(eqx.Module):
        """Doses by mouth."""

        stomach: Annotated[Scalar, Unit("mg/h")] = 0.0
        lumen: Annotated[Scalar, Unit("mg/h")] = 0.0

    class Output(eqx.Module):
        """Concentrations in venous blood, and what is in urine."""

        drug: Concentration
        metabolite: Concentration
        urine_drug: Amount
        urine_metabolite: Amount
        urine_glucuronide: Amount

    def initial(self):
        """No drug."""

        def empty():
            return Spread({n: Two(0.0, 0.0) for n in ORGANS}, dict.fromkeys(_VESSELS, 0.0), 0.0, 0.0, 0.0)

        return self.State(0.0, 0.0, 0.0, 0.0, empty(), empty(), empty())

    def derivative(self, t, y, u):
        """Circulation of each substance, and the reactions between them."""
        c = {n: self._tissue(getattr(y, n), "liver") for n in ("drug", "metabolite")}
        reach = jnp.maximum(self.activity, 1e-9)
        km = self.km_2d6 * reach**self.lambda_
        oxidised = self.vmax_2d6 * self.activity * c["drug"] / (km + c["drug"])
        oxidised = (oxidised + self.vmax_3a4 * c["drug"] / (self.km_3a4 + c["drug"])) * self.tissue["liver"]
        conjugated = self.vmax_ugt * c["metabolite"] / (self.km_ugt + c["metabolite"]) * self.tissue["liver"]
        gut = self._tissue(y.drug, "gut")
        wall = self.vmax_gut * gut / (self.km_gut + gut) * self.tissue["gut"]
        dissolved, absorbed = self.dissolution * y.stomach, self.ka * y.lumen
        m1 = self.metabolite.molar_mass / self.drug.molar_mass
        m2 = self.glucuronide.molar_mass / self.metabolite.molar_mass
        return self.State(
            stomach=u.stomach - dissolved,
            lumen=u.lumen + dissolved - absorbed,
            faeces=(1.0 - self.fa) * absorbed,
            wall=wall,
            drug=self._circulate(y.drug, self.drug, {"gut": self.fa * absorbed - wall, "liver": -oxidised}),
            metabolite=self._circulate(y.metabolite, self.metabolite, {"liver": m1 * oxidised - conjugated}),
            glucuronide=self._circulate(y.glucuronide, self.glucuronide, {"liver": m2 * conjugated}),
        )

    def _tissue(self, spread, organ):
        return spread.organs[organ].tissue / self.tissue[organ]

    def _circulate(self, y, what, formed):
        """One substance once around; `formed` enters the tissue of an organ (mg/h)."""
        arterial, venous = y.arterial / self.vessels["arterial"], y.venous / self.vessels["venous"]
        veins = {n: y.veins[n] / self.vessels[n] for n in _VESSELS}
        portal = total([self.flow[n] for n in ORGANS if _VEIN.get(n) == "portal"])
        outer = (1.0 - self.shunt) * self.flow["forearm"]
        passed = self.shunt * self.flow["forearm"]
        hepatic = self.flow["liver"] + portal
        whole = total([self.flow[n] for n in ORGANS if n != "lung"])
        rate = {**self.flow, "forearm": outer, "liver": hepatic, "lung": whole}
        entering = {n: rate[n] * arterial for n in ORGANS}
        entering["liver"] = self.flow["liver"] * arterial + portal * veins["portal"]
        entering["lung"] = whole * venous
        organs, out = {}, {}
        for n in ORGANS:
            kp = what.kp_forearm if n == "forearm" else what.kp
            blood, tissue = y.organs[n].blood / self.blood[n], y.organs[n].tissue / self.tissue[n]
            across = what.ps * (blood * kp - tissue)
            out[n] = rate[n] * blood
            organs[n] = Two(entering[n] - out[n] - across, across)
        organs["forearm"] = Two(organs["forearm"].blood - self.leak * passed * arterial, organs["forearm"].tissue)
        excreted = what.excretion * y.organs["kidney"].tissue
        for n, gained in {**formed, "kidney": -excreted}.items():
            organs[n] = Two(organs[n].blood, organs[n].tissue + gained)
        drained = {v: total([out[n] for n in ORGANS if _VEIN.get(n) == v]) for v in _VESSELS}
        drained["brachial"] = drained["brachial"] + passed * arterial
        through = {v: total([rate[n] for n in ORGANS if _VEIN.get(n) == v]) for v in _VESSELS}
        through["brachial"] = self.flow["forearm"]
        returning = total([through[v] * veins[v] for v in _VESSELS if v != "portal"])
        return Spread(
            organs=organs,
            veins={v: drained[v] - through[v] * veins[v] for v in _VESSELS},
            arterial=out["lung"] - whole * arterial - self.leak * out["forearm"],
            venous=returning - whole * venous,
            urine=excreted,
        )

    def output(self, t, y, u):
        """Venous blood and urine."""
        venous = self.vessels["venous"]
        return self.Output(
            y.drug.venous / venous, y.metabolite.venous / venous, y.drug.urine, y.metabolite.urine, y.glucuronide.urine
        )

    def balances(self, t, y, u):
        """Molecules are somewhere, but for what `leak` takes."""
        moles = {"drug": self.drug, "metabolite": self.metabolite, "glucuronide": self.glucuronide}
        drug = self.drug.molar_mass
        weights: dict[str, Scalar] = dict.fromkeys(("stomach", "lumen", "faeces", "wall"), drug / drug)
        for part, what in moles.items():
            weights |= dict.fromkeys((f"{part}.{n}" for n in names(getattr(y, part))), drug / what.molar_mass)
        gain = 0.0
        for part, what in moles.items():
            s = getattr(y, part)
            lost = (1.0 - self.shunt) * s.organs["forearm"].blood / self.blood["forearm"]
            lost = lost + self.shunt * s.arterial / self.vessels["arterial"]
            gain = gain - self.leak * self.flow["forearm"] * lost * drug / what.molar_mass
        return {"molecules": Balance(weights, gain=gain)}

    @classmethod
    def typical(cls):
        """A man of 75 kg with two normal alleles, drug kept in balance."""
        return dextromethorphan(activity=2.0)


_VESSELS = ("brachial", "hepatic", "portal", "renal", "systemic")


def dextromethorphan(activity: float = 2.0, leak: float = 0.0, weight: float = 75.0) -> Dextromethorphan:
    """The published body for a weight (kg) and CYP2D6 activity; forearm and its vein are 1 L each, as archived.

    **Warns** of an activity outside those that were compared.
    """
    DEXTROMETHORPHAN.warn(activity=activity)
    share = {"forearm": 0.00482857142857143, "gut": 0.0171, "kidney": 0.0044, "liver": 0.021, "lung": 0.0076,
             "pancreas": 0.01, "spleen": 0.0026}  # fmt: skip
    blood, cells, water = 0.02, 0.51, 1.0 - 0.51
    arterial, venous, vein = 0.0257, 0.0514, 0.001
    volume = {n: weight * s for n, s in share.items()}
    volume["rest"] = weight * (1.0 - sum(share.values()) - arterial - venous)
    volume["forearm"] = 1.0
    large = 1.0 - blood / (arterial + venous) * (1.0 - arterial - venous)
    every = arterial + venous + 5.0 * vein
    small = water * (1.0 - blood / every * (1.0 - every))
    vessels: dict[str, Volume] = {"arterial": weight * arterial * large, "venous": weight * venous * large,
               "portal": weight * vein * small, "hepatic": weight * vein * small, "brachial": 1.0,
               "systemic": weight * vein * large, "renal": weight * vein * large}  # fmt: skip
    output = weight * 1.548 * 3.6
    flow = {"forearm": 0.0146153846153846, "gut": 0.146, "kidney": 0.19, "pancreas": 0.017, "spleen": 0.017}
    flow["liver"] = 0.215 - flow["gut"] - flow["pancreas"] - flow["spleen"]
    flow["rest"] = 1.0 - 0.19 - 0.215 - flow["forearm"]
    mass = {"drug": 0.271404, "metabolite": 0.25737066, "glucuronide": 0.43349478}
    hour, mm, umol = 60.0, 1000.0 * mass["drug"], 1000.0 * mass["metabolite"]
    return Dextromethorphan(
        activity=activity, lambda_=-0.4, vmax_2d6=0.003 * mm * hour, km_2d6=0.0079 * mm, vmax_3a4=0.0004 * mm * hour,
        km_3a4=0.157 * mm, vmax_gut=0.0002 * mm * hour, km_gut=0.7 * mm, vmax_ugt=0.895285026249854 * umol * hour,
        km_ugt=0.69 * umol, dissolution=30.0 / 23.0, ka=3.42854395495006 * volume["gut"] * (1.0 - blood), fa=0.55,
        blood={n: v * blood * (1.0 - cells) for n, v in volume.items()},
        tissue={n: v * (1.0 - blood) for n, v in volume.items()}, vessels=vessels,
        flow={n: output * f for n, f in flow.items()}, shunt=0.279517545017716, leak=leak,
        drug=Substance(1000.0 * hour, 8.73461301162365, 10.0, 0.017 * hour, mass["drug"]),
        metabolite=Substance(100.0 * hour, 4.0, 4.0, 0.3 * hour, mass["metabolite"]),
        glucuronide=Substance(3.0 * hour, 0.08, 0.08, 10.0 * hour, mass["glucuronide"]),
    )  # fmt: skip
