"""Itraconazole and the three metabolites that follow each other, all inhibitors of the enzyme that makes them."""

from __future__ import annotations

import math

from twinjax.bodies.substance import Substance
from twinjax.drugs import Compound
from twinjax.models.pbpk import MichaelisMenten

ITRACONAZOLE = ("itraconazole", "hydroxyitraconazole", "ketoitraconazole", "desalkylitraconazole")

FORMULATIONS = {
    "solution fasted": (8.0, None),
    "solution fed": (1.58, None),
    "capsule fasted": (0.9728, 406.3),
    "capsule fed": (0.70, 138.95),
}
"""Solubility (mg/L) and time in which half dissolves (min)."""


def itraconazole(formulation: str = "solution fasted") -> dict[str, Substance]:
    """Itraconazole with its metabolites, by name, to be joined with other drugs of a body.

    **Parameters**: `formulation`, of `FORMULATIONS`: it sets solubility and dissolution of itraconazole. A solution is
    given into ``stomach``, a capsule into ``tablet``.
    **Assumptions**: dissolution is first order with the half-life that the published Weibull function gives; each
    compound also inhibits its own elimination, as the others do.
    **Raises** `ValueError` for a formulation that is not there.
    **Reference**: Open Systems Pharmacology, Itraconazole-Model 1.3, sections 2.2 and 2.3: unbound Ki and Km
    Isoherranen et al. 2004, Drug Metab Dispos 32:1121, doi:10.1124/dmd.104.000315, fu Riccardi 2015; lipophilicities,
    fu of itraconazole, turnover numbers, solubilities and dissolution identified by its authors from profiles of
    itraconazole alone.
    """
    if formulation not in FORMULATIONS:
        raise ValueError(f"there is no formulation {formulation!r} of itraconazole; known: {', '.join(FORMULATIONS)}")
    solubility, half = FORMULATIONS[formulation]
    first, second, third, last = ITRACONAZOLE
    chain = {
        #        logP   fu        molar mass  kcat     Km (nM)  Ki (nM)
        first: (4.624, 0.006016, 705.633, 0.040294, 2.0688, 1.3, second),
        second: (3.718, 0.017, 721.633, 0.020337, 4.1716, 14.4, third),
        third: (4.2109, 0.010, 719.617, 0.39339, 2.2215, 5.12, last),
        last: (5.1838, 0.011, 649.527, 0.060587, 0.62843, 0.32, None),
    }
    return {
        name: Substance(
            Compound(log_p=log_p, fu=fu, bases=3.7),
            molar_mass=mass,
            halogens=2 * 22.0,
            kinetics={"CYP3A4": MichaelisMenten(kcat * 60.0, km * 1e-3, metabolite=metabolite)},
            inhibits={"CYP3A4": ki * 1e-3},
            intestinal=5.3262e-4 if name == first else None,
            solubility=solubility if name == first else None,
            dissolution=math.log(2.0) / half * 60.0 if name == first and half is not None else 60.0,
            context=first if name == first else None,
        )
        for name, (log_p, fu, mass, kcat, km, ki, metabolite) in chain.items()
    }
