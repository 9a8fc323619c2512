"""Toxicokinetics from what a screen measures: hepatocyte clearance and unbound fraction of many chemicals (httk)."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax.numpy as jnp

from twinjax.drugs.compound import Compound
from twinjax.drugs.partition.base import partition
from twinjax.drugs.partition.pearce import Pearce, charge_states
from twinjax.models.pbpk import AbsorbingTissue, Enzymes, Kidney, Liver, Solute, Tissue, WholeBody
from twinjax.units import Fraction, Number, Scalar


class Chemical(eqx.Module):
    """What is measured of a chemical.

    **Parameters**: `compound` (its fu as the assay gave it; `blood_to_plasma` where measured); `molar_mass` (g/mol);
    `clint` in hepatocytes (uL/min/10^6 cells); `caco2`, permeability (1e-6 cm/s); `fabs`, `fgut`, `fhep`, `foral`,
    fractions seen in man that replace predictions.
    """

    compound: Compound
    molar_mass: Scalar
    clint: Scalar
    caco2: Scalar = 1.6
    fabs: Fraction | None = None
    fgut: Fraction | None = None
    fhep: Fraction | None = None
    foral: Fraction | None = None


class Species(eqx.Module):
    """An animal: everything per kg or per kg^(3/4).

    **Parameters**: `weight` (kg); `cardiac_output`, `filtration`, `flows` (L/h/kg^0.75; `liver` is all of its blood,
    the gut's too), `volumes` of tissues and `plasma` (L/kg), `haematocrit`, `protein`, volume fraction of plasma,
    `lipid`, its effective neutral lipid.
    """

    weight: Scalar
    cardiac_output: Scalar
    filtration: Scalar
    flows: dict[str, Scalar]
    volumes: dict[str, Scalar]
    plasma: Scalar
    haematocrit: Fraction
    protein: Fraction
    lipid: Number


_L = 0.06  # mL/min in L/h

HUMAN = Species(
    weight=70.0,
    cardiac_output=231.4 * _L,
    filtration=5.165 * _L,
    flows={"gut": 47.52 * _L, "liver": 59.92 * _L, "kidney": 51.24 * _L},
    volumes={
        "adipose": 0.2086, "bone": 0.07231, "brain": 0.01931, "gut": 0.0158, "heart": 0.004563, "kidney": 0.00419,
        "liver": 0.02448, "lung": 0.007235, "muscle": 0.3842, "skin": 0.0332, "spleen": 0.002467, "rest": 0.05182,
    },
    plasma=0.04286,
    haematocrit=0.44,
    protein=0.06951,
    lipid=0.0073,
)  # fmt: skip
"""Davies and Morris 1993, Pharm Res 10:1093, doi:10.1023/A:1018943613122; volumes ILSI 1994; as httk tabulates them."""

RAT = Species(
    weight=0.25,
    cardiac_output=209.3 * _L,
    filtration=3.705 * _L,
    flows={"gut": 21.21 * _L, "liver": 39.03 * _L, "kidney": 26.02 * _L},
    volumes={
        "adipose": 0.07, "bone": 0.073, "brain": 0.0057, "gut": 0.027, "heart": 0.0033, "kidney": 0.0073,
        "liver": 0.0366, "lung": 0.005, "muscle": 0.4043, "skin": 0.1903, "spleen": 0.002, "rest": 0.10,
    },
    plasma=0.0312,
    haematocrit=0.46,
    protein=0.05871,
    lipid=0.00174,
)  # fmt: skip
"""Flows Davies and Morris 1993; volumes Brown et al. 1997, Toxicol Ind Health 13:407, doi:10.1177/074823379701300401.
"""

CELLS, DENSITY = 110.0, 1.05
"""10^6 hepatocytes per gram of liver (Carlile et al. 1997), and its kg/L."""


class Kinetics(eqx.Module):
    """What follows for a chemical in a species.

    **Parameters**: `fu`, corrected for lipid; `blood_to_plasma`; `clearance`, unbound intrinsic of the liver times fu
    (L/h/kg); `hepatic`, plasma clearance by it; `escapes`, what of a dose passes the liver once; `absorbed`, what of it
    reaches the liver; `ka` (1/h); `kpu`, tissue over unbound plasma, `rest` lumped.
    """

    fu: Any
    blood_to_plasma: Any
    clearance: Any
    hepatic: Any
    escapes: Any
    absorbed: Any
    ka: Any
    kpu: dict[str, Any]


def kinetics(chemical: Chemical, species: Species = HUMAN) -> Kinetics:
    """Clearance, absorption and partition of a chemical, as httk 2.7 predicts them by default.

    .. code-block:: text

        fu' = 1 / (lipid D + 1 / fu)                                    D, the distribution coefficient at pH 7.4
        fu cells = 1 / (1 + 0.625 10^(0.072 d^2 + 0.067 d - 1.126))     d = log D; of a base log P
        Peff = 10^(0.4926 log10 Pab - 0.1454) 1e-4 cm/s                 Fabs = 1 - (1 + 2 Peff T / 7 R)^-7
        Fgut = Qgut / (Qgut + fu' CLint / 100) Qgut / (Qgut + 0.1 (M / 70)^0.75)

    **Reference**: Pearce et al. 2017, J Stat Softw 79(4), doi:10.18637/jss.v079.i04; Kilford et al. 2008, Drug Metab
    Dispos 36:1194, doi:10.1124/dmd.107.019042; Yang et al. 2007, doi:10.2174/138920007782109733; Yu and Amidon 1999,
    Int J Pharm 186:119, doi:10.1016/S0378-5173(99)00147-7.
    """
    drug = chemical.compound
    _, anion, cation, _ = charge_states(drug.acids, drug.bases, 7.4)
    log_p = jnp.minimum(drug.log_p, 6.0)
    dissolved = 10.0**log_p * (1.0 - 0.999 * (anion + cation))
    fu = jnp.maximum(1.0 / (dissolved * species.lipid + 1.0 / drug.fu), 1e-4)
    d = log_p if float(cation) > 0.5 else jnp.log10(dissolved)
    bound = 1.0 / (1.0 + 125.0 * 0.005 * 10.0 ** (0.072 * d**2 + 0.067 * d - 1.126))
    cleared = chemical.clint / bound * CELLS * species.volumes["liver"] * 1000.0 * DENSITY / 1e6 * 60.0 * fu
    corrected = eqx.tree_at(lambda c: c.fu, drug, fu)
    ratios = partition(corrected, Pearce(protein=species.protein))
    kpu = {n: r / fu for n, r in ratios.items()}
    lumped = [n for n in species.volumes if n not in ("gut", "kidney", "liver", "lung")]
    whole = sum(species.volumes[n] for n in lumped)
    kpu["rest"] = sum(kpu[n] * species.volumes[n] for n in lumped) / whole
    h = species.haematocrit
    ratio = 1.0 - h + h * kpu["erythrocytes"] * fu if drug.blood_to_plasma is None else drug.blood_to_plasma
    flow = species.flows["liver"] / species.weight**0.25
    escapes = flow / (flow + cleared / ratio)
    absorbed, ka = _absorption(chemical, species, fu, cleared, escapes)
    return Kinetics(fu, ratio, cleared, flow * cleared / (flow + cleared / ratio), escapes, absorbed, ka, kpu)


def _absorption(chemical: Chemical, species: Species, fu: Any, cleared: Any, escapes: Any) -> tuple[Any, Any]:
    """What of a dose reaches the liver, and how fast (1/h)."""
    permeability = 10.0 ** (0.4926 * jnp.log10(chemical.caco2) - 0.1454)
    residence, radius = 199.2, 1.75  # min, cm
    fabs = 1.0 - (1.0 + 2.0 * permeability * residence / 7.0 / radius * 60.0 / 1e4) ** -7.0
    through = permeability * 0.66 / 70.0 * species.weight * 1000.0 / 1e4 / 100.0 * 3600.0
    villi = 18.0 / 86.96 * species.flows["liver"] * species.weight**0.75
    gut = villi * through / (villi + through)
    # httk multiplies by fu twice: once in the unscaled clearance, once here.
    fgut = gut / (gut + fu * cleared * species.weight / 100.0)
    fgut = fgut * gut / (gut + 0.1 * (species.weight / 70.0) ** 0.75)
    passed = escapes if chemical.fhep is None else chemical.fhep
    if chemical.foral is not None:
        return jnp.minimum(chemical.foral / passed, 1.0), 2.0 * permeability / radius * 3600.0 / 1e4
    fabs = fabs if chemical.fabs is None else chemical.fabs
    fgut = fgut if chemical.fgut is None else chemical.fgut
    return jnp.minimum(fabs * fgut, 1.0), 2.0 * permeability / radius * 3600.0 / 1e4


def steady_state(chemical: Chemical, species: Species = HUMAN, daily: Scalar = 1.0) -> Any:
    """Plasma concentration (umol/L) at a constant oral dose (mg/kg a day), cleared by liver and filtration alone."""
    k = kinetics(chemical, species)
    dose = daily / 24.0 / chemical.molar_mass * 1000.0
    filtered = species.filtration / species.weight**0.25 * k.fu
    return dose * k.absorbed * k.escapes / (filtered + k.hepatic)


def screened_body(chemical: Chemical, species: Species = HUMAN) -> WholeBody:
    """The body of gut, liver, kidney, lung and rest; doses, times what is absorbed, into ``gut.lumen.chemical``.

    **Reference**: Pearce et al. 2017, doi:10.18637/jss.v079.i04, the model ``pbtk``.
    """
    k, m = kinetics(chemical, species), species.weight
    name = "chemical"
    kp = {n: {name: v * k.fu / k.blood_to_plasma} for n, v in k.kpu.items()}
    volume = {n: v * m for n, v in species.volumes.items()}
    rest = sum(v for n, v in volume.items() if n not in ("gut", "kidney", "liver", "lung"))
    blood = species.plasma / (1.0 - species.haematocrit) / 2.0 * m
    size = m**0.75
    flows = {n: q * size for n, q in species.flows.items()}
    artery = flows["liver"] - flows["gut"]
    other = species.cardiac_output * size - flows["liver"] - flows["kidney"]
    one: dict[str, Any] = {name: 1.0}
    none: dict[str, Any] = {name: 0.0}
    return WholeBody(
        tissues={
            "kidney": Kidney(volume["kidney"], kp["kidney"], species.filtration * size, one, none),
            "rest": Tissue(rest, kp["rest"]),
        },
        portal={"gut": AbsorbingTissue(volume["gut"], kp["gut"], {name: k.ka})},
        liver=Liver(volume["liver"], kp["liver"], {name: k.clearance / k.fu * m}, Enzymes()),
        lung=Tissue(volume["lung"], kp["lung"]),
        perfusion={"kidney": flows["kidney"], "rest": other, "gut": flows["gut"], "liver": artery},
        arterial_volume=blood,
        venous_volume=blood,
        solutes={name: Solute(k.fu, k.blood_to_plasma)},
    )
