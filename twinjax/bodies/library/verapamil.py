"""Verapamil: two enantiomers and the metabolite of each, all of which inactivate the enzyme that clears them."""

from __future__ import annotations

import math

from twinjax.bodies.substance import Substance
from twinjax.drugs import Compound
from twinjax.models.pbpk import Inactivation, MichaelisMenten

VERAPAMIL = ("r_verapamil", "s_verapamil", "r_norverapamil", "s_norverapamil")

FORMULATIONS = {"immediate release": None, "sustained release": 155.2445}
"""Time in which half dissolves (min)."""

HYDROCHLORIDE = 454.611 / 491.072
"""Verapamil in a dose that is given as its hydrochloride, as tablets' are: 80 mg hold 37.03 mg of each enantiomer."""


def verapamil(formulation: str = "immediate release") -> dict[str, Substance]:
    """Both verapamils with their norverapamils, by name, to be joined with other drugs of a body: of tablets of
    hydrochloride ``0.5 * HYDROCHLORIDE * mg`` (base) into ``stomach.r_verapamil``, as much into
    ``stomach.s_verapamil``, or into ``tablet`` where release is sustained.

    **Parameters**: `formulation`, of `FORMULATIONS`.
    **Assumptions**: release is first order with the half-life that the published Weibull function gives; P-gp is left
    out. Its efflux in the gut all four inhibit far below the concentrations that reach it at these doses (Ki
    0.04 umol/L), but what it excretes with bile counts once CYP3A4 is inactivated: repeated doses accumulate too much
    (`context`). Blood:plasma is the racemate's for all; permeability of cells is predicted (as published it is
    faster still: perfusion limits either way). The published model has each inactivator compete for CYP3A4 too, with
    Ki = KI, except against itself; that is left out.
    **Raises** `ValueError` for a formulation that is not there.
    **Reference**: Open Systems Pharmacology, Verapamil-Model (Hanke et al. 2020, Clin Pharmacol Ther): fu Sanaee 2011,
    Km, kinact and KI Wang 2013 and Tracy 1999, lipophilicity, turnover numbers and intestinal permeability identified
    by its authors from profiles of verapamil alone; blood:plasma 0.77, Sternbeck 2012, as httk lists it.
    """
    if formulation not in FORMULATIONS:
        raise ValueError(f"there is no formulation {formulation!r} of verapamil; known: {', '.join(FORMULATIONS)}")
    half = FORMULATIONS[formulation]
    r, s, nor_r, nor_s = VERAPAMIL
    pathways = {
        #      kcat (1/min) Km (umol/L), metabolite
        r: ((34.93525, 19.59, nor_r), (43.98123, 35.34, None)),
        s: ((26.17434, 9.72, nor_s), (56.42458, 23.64, None)),
        nor_r: ((145.63854, 144.0, None),),
        nor_s: ((41.0994, 36.0, None),),
    }
    inactivation = {r: (0.038, 27.63), s: (0.034, 3.85), nor_r: (0.048, 6.1), nor_s: (0.08, 2.9)}
    return {
        name: Substance(
            Compound(log_p=2.840745, fu=0.051 if name in (r, nor_r) else 0.11, bases=8.75, blood_to_plasma=0.77),
            molar_mass=454.611 if name in (r, s) else 440.584,
            kinetics={
                "CYP3A4": tuple(MichaelisMenten(kcat * 60.0, km, metabolite=m) for kcat, km, m in pathways[name])
            },
            inactivates={"CYP3A4": Inactivation(inactivation[name][0] * 60.0, inactivation[name][1])},
            intestinal=3.544716e-6,
            dissolution=60.0 if half is None else math.log(2.0) / half * 60.0,
            context="verapamil" if name in (r, s) else None,
        )
        for name in VERAPAMIL
    }
