"""A body from a person and drugs: anatomy, partition, permeability, enzymes, plugged together by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from twinjax.bodies.abundance import ENTEROCYTES, LIVER_CELLS, LIVER_REST, MEASURED, Abundance
from twinjax.bodies.composition import HUMAN_TISSUES
from twinjax.bodies.context import WHOLE_BODY
from twinjax.bodies.substance import Substance, blood_to_plasma
from twinjax.drugs.partition import AbstractPartition, partition
from twinjax.models.pbpk import (
    Enzymes,
    Intestine,
    Kidney,
    Liver,
    PermeableLiver,
    PermeableTissue,
    Solute,
    Tissue,
    WholeBody,
)
from twinjax.physiology import ONTOGENY, PORTAL, Anatomy, People, Person, anatomy, filtration, gut, maturity

CELLS = {
    "adipose": (14.2, 5.0), "bone": (28.2, 10.0), "brain": (1.671, 0.0006), "heart": (1.2, 7.54), "liver": (10.0, 82.0),
    "muscle": (110.1, 7.54), "pancreas": (1.3, 1000.0), "skin": (43.4, 0.12), "spleen": (1.3, 1000.0),
    "stomach": (1.1, 1000.0), "large_intestine": (11.1, 1000.0), "rest": (110.1, 7.54),
}  # fmt: skip
"""Surface of cells: ``(V / V0)^0.75 s``, V0 in mL and s in m2 of the rat (Kawai et al. 1994, as PK-Sim scales it); the
`rest` as muscle."""

PARTS, AT_ONCE = 5.0, 60.0
"""Parts of the small intestine between which a bolus is divided (an assumption): what is dissolved when it comes from
the stomach meets the fluid of one at a time, what dissolves along the way (slower than so much, 1/h) that of all."""

_LIKE = {"small_intestine": "gut", "large_intestine": "gut", "stomach": "gut", "rest": "muscle"}
"""Tissues that take another's composition where a method does not know them."""


def body(
    who: Person | People,
    drugs: Mapping[str, Substance],
    *,
    method: AbstractPartition | None = None,
    abundance: Abundance = MEASURED,
    organs: Anatomy | None = None,
    cardiac_output: Any = None,
    tight: bool = False,
) -> WholeBody:
    """A body with these drugs in it; doses in umol (`Substance.umol`), into ``venous.drug``, ``stomach.drug``,
    ``tablet.drug``.

    Tissues are perfusion- or permeability-limited, whichever is slower, by the predicted permeability of their cells;
    the liver has a membrane where a drug is a substrate of an uptake transporter. Enzymes turn over where a drug of
    this body induces or inactivates them, and are constant elsewhere: without that and without saturation the body is
    linear, and is solved exactly.

    **Parameters**: `who`, a person or drawn people (whose body has a patient axis); `drugs` by name, metabolites too;
    `method` of partition, by default `RodgersRowland` with human tissues; `abundance` of enzymes, in children times
    their maturity; `organs`, an anatomy of one's own; `cardiac_output` (L/h), to check that its flows add up to it;
    `tight`, whether the membranes of enterocytes hold drugs back on both sides (`Intestine`): what is measured after
    doses by mouth comes out closer, interactions in the gut come out stronger than observed (`WHOLE_BODY`).
    **Warns** outside `WHOLE_BODY`, the context of use: of an age or renal function not compared with data.
    **Raises** `ValueError` for flows that do not add up, masses that are not positive, a drug that lacks what a dose by
    mouth or its partition needs, an enzyme whose abundance is not known.
    """
    if not drugs:
        raise ValueError("give at least one drug, by name")
    method = HUMAN_TISSUES if method is None else method
    _in_context(who.who if isinstance(who, People) else who)
    own = organs if organs is not None else who.body if isinstance(who, People) else anatomy(who)
    someone = who.who if isinstance(who, People) else who
    gfr = who.gfr if isinstance(who, People) else filtration(who)
    _whole(own, cardiac_output)
    solutes = {n: _solute(d, own) for n, d in drugs.items()}
    kp = _partition(drugs, solutes, method)
    volumes, flows = own.volumes, own.flows
    tissues: dict[str, Any] = {
        n: _tissue(n, volumes[n], kp[n], drugs) for n in ("adipose", "bone", "brain", "heart", "muscle", "skin", "rest")
    }
    tissues["kidney"] = Kidney(
        volumes["kidney"], kp["kidney"], gfr, {n: d.filtered for n, d in drugs.items()},
        {n: d.secretion for n, d in drugs.items()},
    )  # fmt: skip
    portal: dict[str, Any] = {n: _tissue(n, volumes[n], kp[n], drugs) for n in PORTAL if n != "small_intestine"}
    portal["small_intestine"] = _intestine(someone, own, kp, drugs, abundance, tight)
    liver, extra = _liver(someone, own, kp, drugs, abundance)
    return WholeBody(
        tissues=tissues,
        portal=portal,
        liver=liver,
        lung=Tissue(volumes["lung"], kp["lung"]),
        perfusion={n: flows[n] for n in (*tissues, *portal, "liver")},
        arterial_volume=own.blood * own.arterial,
        venous_volume=own.blood * (1.0 - own.arterial) - extra,
        solutes=solutes,
    )


def _in_context(someone: Person) -> None:
    """Warn where nothing was compared with data."""
    if not isinstance(someone.age, Tracer) and not isinstance(someone.kidney, Tracer):
        WHOLE_BODY.warn(age_years=someone.age, kidney_function=someone.kidney)


def _whole(own: Anatomy, cardiac_output: Any) -> None:
    """The anatomy has everything, positive, and its flows add up."""
    for what, values in (("mass", own.masses), ("flow", own.flows)):
        for name, value in values.items():
            if not isinstance(value, Tracer) and np.any(~(np.asarray(value) > 0.0)):
                raise ValueError(f"the {what} of {name} is {float(np.min(value)):g}; it must be above zero")
    total = own.cardiac_output
    if cardiac_output is None or isinstance(total, Tracer) or isinstance(cardiac_output, Tracer):
        return
    if not np.allclose(total, cardiac_output, rtol=1e-6):
        raise ValueError(
            f"the flows add up to {float(np.max(total)):.4g} L/h, not to the cardiac output of "
            f"{float(np.max(cardiac_output)):.4g} L/h; put what is missing into flows['rest']"
        )


def _solute(drug: Substance, own: Anatomy) -> Solute:
    ratio = blood_to_plasma(drug.compound, own.haematocrit)
    acts = (drug.kinetics, drug.inhibits, drug.inactivates, drug.induces, drug.noncompetitive)
    return Solute(drug.compound.fu, ratio, *acts)


def _partition(
    drugs: Mapping[str, Substance], solutes: dict[str, Solute], method: AbstractPartition
) -> dict[str, dict[str, Any]]:
    """Tissue to blood, by tissue and drug."""
    wanted = ("adipose", "bone", "brain", "heart", "kidney", "liver", "lung", "muscle", "skin", "rest", *PORTAL)

    def of(drug: Substance) -> dict[str, Any]:
        own = method if drug.method is None else drug.method
        source = {t: t if t in own.tissues else _LIKE.get(t, t) for t in wanted}
        found = partition(drug.compound, own, sorted(set(source.values())))
        return {t: found[s] for t, s in source.items()}

    found = {n: of(d) for n, d in drugs.items()}
    return {t: {n: found[n][t] / solutes[n].blood_to_plasma for n in drugs} for t in wanted}


def _tissue(name: str, volume: Any, kp: dict[str, Any], drugs: Mapping[str, Substance]) -> PermeableTissue:
    rat, surface = CELLS[name]
    square_metres = (volume * 1000.0 / rat) ** 0.75 * surface
    return PermeableTissue(volume, kp, {n: d.cell_permeability * square_metres * 600.0 for n, d in drugs.items()})


def _changing(drugs: Mapping[str, Substance]) -> set[str]:
    return {e for d in drugs.values() for e in (*d.induces, *d.inactivates)}


def _enzymes(
    tissue: str, concentration: dict[str, Any], kdeg: dict[str, Any], cells: Any, someone: Person,
    drugs: Mapping[str, Substance],
) -> Enzymes:  # fmt: skip
    """The proteins of a tissue that some drug of this body is a substrate of."""
    used = {e for d in drugs.values() for e in d.kinetics}
    amount = {}
    for name in sorted(used & set(concentration)):
        grown = maturity(name, someone, tissue) if (tissue, name) in ONTOGENY else 1.0
        amount[name] = concentration[name] * cells * grown
    return Enzymes(amount, {e: kdeg[e] for e in sorted(_changing(drugs) & set(amount) & set(kdeg))})


def _known(drugs: Mapping[str, Substance], abundance: Abundance) -> None:
    known = {*abundance.liver, *abundance.gut, *abundance.uptake}
    for name, drug in drugs.items():
        for enzyme in drug.kinetics:
            if enzyme not in known:
                raise ValueError(
                    f"{name} is a substrate of {enzyme}, whose abundance is not known; add it to abundance, or give "
                    f"its clearance as clint, which needs none. Known: {', '.join(sorted(known))}"
                )


def _liver(
    someone: Person, own: Anatomy, kp: dict[str, dict[str, Any]], drugs: Mapping[str, Substance], abundance: Abundance
) -> tuple[Liver | PermeableLiver, Any]:
    """The liver, and the volume of blood in it that is not in veins."""
    _known(drugs, abundance)
    mass = own.masses["liver"]
    cells = LIVER_CELLS * mass
    enzymes = _enzymes("liver", abundance.liver, abundance.liver_kdeg, cells, someone, drugs)
    uptake = _enzymes("liver", abundance.uptake, abundance.liver_kdeg, cells, someone, drugs)
    clint = {n: d.clint for n, d in drugs.items()}
    if not uptake.amount:
        return Liver(own.volumes["liver"], kp["liver"], clint, enzymes), 0.0
    square_metres = ((LIVER_CELLS + LIVER_REST) * mass * 1000.0 / CELLS["liver"][0]) ** 0.75 * CELLS["liver"][1]
    permeability = {n: d.cell_permeability * square_metres * 600.0 for n, d in drugs.items()}
    rest = LIVER_REST * mass
    made = PermeableLiver(rest, cells, _unbound(kp["liver"], drugs, own), permeability, clint, enzymes, uptake)
    return made, 0.5 * rest


def _unbound(kp: dict[str, Any], drugs: Mapping[str, Substance], own: Anatomy) -> dict[str, Any]:
    """Concentration in tissue over unbound concentration."""
    return {n: k * blood_to_plasma(drugs[n].compound, own.haematocrit) / drugs[n].compound.fu for n, k in kp.items()}


def _intestine(
    someone: Person, own: Anatomy, kp: dict[str, dict[str, Any]], drugs: Mapping[str, Substance], abundance: Abundance,
    tight: bool,
) -> Intestine:  # fmt: skip
    facts = gut(someone)
    cells = ENTEROCYTES * own.masses["small_intestine"]
    ka, soluble, meets = {}, {}, {}
    for name, drug in drugs.items():
        if drug.ka is not None:
            ka[name] = drug.ka * jnp.ones_like(facts.fluid)
        elif drug.intestinal is not None:
            ka[name] = drug.intestinal * 0.1 * facts.surface / facts.fluid * 60.0
        else:
            ka[name] = drug.default_intestinal * 0.1 * facts.surface / facts.fluid * 60.0
        if drug.solubility is not None:
            soluble[name] = drug.solubility / drug.molar_mass * 1000.0 * facts.fluid
            meets[name] = jnp.where(drug.dissolution < AT_ONCE, 1.0, 1.0 / PARTS) * jnp.ones_like(facts.fluid)
    return Intestine(
        volume=own.volumes["small_intestine"],
        cells=cells,
        villous=facts.villous,
        emptying=facts.emptying,
        passing=facts.passing,
        transit=facts.transit,
        kp=kp["small_intestine"],
        ka=ka,
        dissolution={n: d.dissolution for n, d in drugs.items()},
        soluble=soluble,
        meets=meets,
        enzymes=_enzymes("gut", abundance.gut, abundance.gut_kdeg, cells, someone, drugs),
        fluid=facts.fluid if tight else None,
    )
