"""Glimepiride and its two metabolites in a body: CYP2C9, kidney function and cirrhosis as parameters."""

from __future__ import annotations

from typing import Annotated

import equinox as eqx

from twinjax.context.statements import GLIMEPIRIDE
from twinjax.models.base import AbstractModel, Balance
from twinjax.naming import names
from twinjax.units import (
    Bounds,
    Clearance,
    Fraction,
    MolarAmount,
    MolarConcentration,
    Number,
    Rate,
    Scalar,
    Unit,
    Volume,
)

PLASMA = ("arterial", "gut", "hepatic", "kidney", "liver", "lung", "portal", "rest", "venous")
TISSUE = ("lung", "rest")

Capacity = Annotated[Scalar, Unit("umol/L/h")]
Loss = Annotated[Scalar, Unit("1"), Bounds(0.0, 0.95)]


class Substance(eqx.Module):
    """One substance: in plasma and tissue by place, in liver cells, in the gut's lumen, in urine and faeces."""

    plasma: dict[str, MolarAmount]
    tissue: dict[str, MolarAmount]
    cells: MolarAmount
    lumen: MolarAmount
    urine: MolarAmount
    faeces: MolarAmount


class Glimepiride(AbstractModel):
    """Drug, hydroxy-metabolite M1 and carboxy-metabolite M2 of a person.

    .. code-block:: text

        stomach' = -dissolution stomach      lumen' = dissolution stomach - absorption lumen, into the gut's plasma
        organ plasma of kidney, liver, gut, lung and rest of the body; lung and rest exchange with tissue at
        exchange (kp C_plasma - C_tissue); all by the circulation of plasma at the flows of blood
        liver cells: drug in by import_ V (C_plasma - C_cells); M1 made by f_cyp2c9 vmax V C / (km + C), of which M2
        by m1_to_m2 V C; both leave into plasma by export_m1, export_m2; V of the cells less `cirrhosis`
        metabolites: kidney to urine at f_renal excretion V C; gut plasma to lumen at secretion V C, to faeces from it

    Doses go into ``stomach`` (by mouth) or ``drug.plasma.venous`` (umol).
    **Parameters**: `volume` of plasma by place and `kidney`, `liver_cells`, `gut`, `lung`, `rest` of tissue (L);
    `cardiac` output and shares of it to gut, kidney and liver; rates (1/h), `exchange` (L/h), `kp`; `vmax` (umol/L/h),
    `km` (umol/L); `f_cyp2c9`, `f_renal`, shares of normal function; `cirrhosis`, share of cells lost and blood shunted.
    **Assumptions**: as published: metabolites spread in tissue as the drug does; total flow carries plasma.
    **Reference**: glimepiride model of M. König and others, https://github.com/matthiaskoenig/glimepiride-model (SBML
    CC BY-SA 4.0; numbers of it).
    """

    volume: dict[str, Volume]
    kidney: Volume
    liver_cells: Volume
    gut: Volume
    lung: Volume
    rest: Volume
    cardiac: Clearance
    to_gut: Fraction
    to_kidney: Fraction
    to_liver: Fraction
    dissolution: Rate
    absorption: Rate
    exchange: Clearance
    kp: Number
    import_: Rate
    vmax: Capacity
    km: MolarConcentration
    m1_to_m2: Rate
    export_m1: Rate
    export_m2: Rate
    excretion_m1: Rate
    excretion_m2: Rate
    secretion: Rate
    faecal: Rate
    f_cyp2c9: Number
    f_renal: Number
    cirrhosis: Loss

    stiff = True

    class State(eqx.Module):
        """Drug undissolved; three substances in the body."""

        stomach: MolarAmount
        drug: Substance
        m1: Substance
        m2: Substance

    class Output(eqx.Module):
        """Concentrations in venous plasma; metabolites in urine."""

        plasma: MolarConcentration
        m1: MolarConcentration
        m2: MolarConcentration
        urine_m1: MolarAmount
        urine_m2: MolarAmount

    def initial(self):
        """No drug."""

        def empty():
            return Substance(dict.fromkeys(PLASMA, 0.0), dict.fromkeys(TISSUE, 0.0), 0.0, 0.0, 0.0, 0.0)

        return self.State(0.0, empty(), empty(), empty())

    def derivative(self, t, y, u):
        """Circulation of each substance, and what organs do to them."""
        cells = (1.0 - self.cirrhosis) * self.liver_cells
        conc = {n: getattr(y, n).cells / cells for n in ("drug", "m1", "m2")}
        plasma = {n: getattr(y, n).plasma["liver"] / self.volume["liver"] for n in ("drug", "m1", "m2")}
        taken = self.import_ * cells * (plasma["drug"] - conc["drug"])
        made = self.f_cyp2c9 * self.vmax * cells * conc["drug"] / (self.km + conc["drug"])
        further = self.m1_to_m2 * cells * conc["m1"]
        left = {n: k * cells * (conc[n] - plasma[n]) for n, k in (("m1", self.export_m1), ("m2", self.export_m2))}
        dissolved, absorbed = self.dissolution * y.stomach, self.absorption * y.drug.lumen
        drug = self._spread(y.drug, u.drug, {"liver": -taken, "gut": absorbed})
        drug = self._rest(drug, u.drug, cells=taken - made, lumen=dissolved - absorbed)
        return self.State(
            stomach=u.stomach - dissolved,
            drug=drug,
            m1=self._metabolite(y.m1, u.m1, left["m1"], made - further, self.excretion_m1),
            m2=self._metabolite(y.m2, u.m2, left["m2"], further, self.excretion_m2),
        )

    def _metabolite(self, y, u, left, formed, excretion):
        """A metabolite: out of liver cells, into urine, and by the gut into faeces."""
        excreted = self.f_renal * excretion * self.kidney * y.plasma["kidney"] / self.volume["kidney"]
        secreted = self.secretion * self.gut * y.plasma["gut"] / self.volume["gut"]
        lost = self.faecal * y.lumen
        spread = self._spread(y, u, {"liver": left, "kidney": -excreted, "gut": -secreted})
        return self._rest(spread, u, cells=formed - left, lumen=secreted - lost, urine=excreted, faeces=lost)

    def _rest(self, spread, u, **rates):
        """The spaces outside the circulation, with what enters them."""
        zero = 0.0 * rates["cells"]
        found = {n: rates.get(n, zero) + getattr(u, n) for n in ("cells", "lumen", "urine", "faeces")}
        return Substance(spread[0], spread[1], **found)

    def _spread(self, y, u, gained):
        """One substance once around; `gained` enters the plasma of an organ."""
        c = {n: y.plasma[n] / self.volume[n] for n in PLASMA}
        gut, kidney, whole = self.to_gut * self.cardiac, self.to_kidney * self.cardiac, self.cardiac
        liver = self.to_liver * self.cardiac
        artery, rest, through = liver - gut, whole - kidney - liver, 1.0 - self.cirrhosis
        size = {"lung": self.lung, "rest": self.rest}
        across = {n: self.exchange * (self.kp * c[n] - y.tissue[n] / size[n]) for n in TISSUE}
        moved = {
            "arterial": whole * (c["lung"] - c["arterial"]),
            "gut": gut * (c["arterial"] - c["gut"]),
            "portal": gut * (c["gut"] - c["portal"]),
            "kidney": kidney * (c["arterial"] - c["kidney"]),
            "liver": through * (artery * c["arterial"] + gut * c["portal"] - liver * c["liver"]),
            "hepatic": through * liver * c["liver"]
            + self.cirrhosis * (artery * c["arterial"] + gut * c["portal"])
            - liver * c["hepatic"],
            "rest": rest * (c["arterial"] - c["rest"]) - across["rest"],
            "lung": whole * (c["venous"] - c["lung"]) - across["lung"],
            "venous": liver * c["hepatic"] + kidney * c["kidney"] + rest * c["rest"] - whole * c["venous"],
        }
        for organ, gain in gained.items():
            moved[organ] = moved[organ] + gain
        return (
            {n: moved[n] + u.plasma[n] for n in PLASMA},
            {n: across[n] + u.tissue[n] for n in TISSUE},
        )

    def output(self, t, y, u):
        """Venous plasma, urine."""
        venous = self.volume["venous"]
        c = [getattr(y, n).plasma["venous"] / venous for n in ("drug", "m1", "m2")]
        return self.Output(c[0], c[1], c[2], y.m1.urine, y.m2.urine)

    def balances(self, t, y, u):
        """Every molecule is somewhere."""
        return {"molecules": Balance(names(y))}

    @classmethod
    def typical(cls):
        """A healthy man of 75 kg."""
        return glimepiride()


def glimepiride(weight: float = 75.0, **changed: float) -> Glimepiride:
    """The published body for a weight (kg), `changed` parameters by name (`f_cyp2c9`, `f_renal`, `cirrhosis`, ...).

    **Warns** of shares of normal function outside those that were compared.
    """
    GLIMEPIRIDE.warn(**{n: v for n, v in changed.items() if n in GLIMEPIRIDE.ranges})
    share = {"gut": 0.0171, "kidney": 0.0044, "liver": 0.021, "lung": 0.0076}
    blood, plasma, arterial, venous, vein = 0.02, 1.0 - 0.51, 0.0257, 0.0514, 0.001
    share["rest"] = 1.0 - sum(share.values()) - arterial - venous
    large = 1.0 - blood / (arterial + venous) * (1.0 - arterial - venous)
    every = arterial + venous + 2.0 * vein
    small = plasma * (1.0 - blood / every * (1.0 - every))
    volume: dict[str, Volume] = {n: weight * s * blood * plasma for n, s in share.items()}
    volume |= {"arterial": weight * arterial * large, "venous": weight * venous * large}
    volume |= {"portal": weight * vein * small, "hepatic": weight * vein * small}
    tissue = {n: weight * s * (1.0 - blood) for n, s in share.items()}
    hour = 60.0
    values = {
        "cardiac": weight * 1.548 * 3.6, "to_gut": 0.18, "to_kidney": 0.19, "to_liver": 0.215, "dissolution": 2.0,
        "absorption": 0.015900835518328 * hour, "exchange": 0.00070864179236918 * hour, "kp": 10.0205965652822,
        "import_": 100.0 * hour, "vmax": 5.36203611928566e-05 * 1e3 * hour, "km": 2.25,
        "m1_to_m2": 0.014851987496533 * hour, "export_m1": 0.0777434597719034 * hour,
        "export_m2": 99.9981744786616 * hour, "excretion_m1": 0.148009816248971 * hour,
        "excretion_m2": 0.0984926326381094 * hour, "secretion": 0.0159201837887391 * hour,
        "faecal": 0.000171930078446119 * hour, "f_cyp2c9": 1.0, "f_renal": 1.0, "cirrhosis": 0.0,
    }  # fmt: skip
    unknown = sorted(set(changed) - set(values))
    if unknown:
        raise ValueError(f"glimepiride's body has no {unknown[0]!r}; it has {', '.join(values)}")
    return Glimepiride(
        volume=volume, kidney=tissue["kidney"], liver_cells=tissue["liver"], gut=weight * share["gut"],
        lung=tissue["lung"], rest=tissue["rest"], **{**values, **changed},
    )  # fmt: skip
