"""Clarithromycin: the mechanism-based inhibitor, of its own elimination too."""

from __future__ import annotations

from twinjax.bodies.substance import Substance
from twinjax.drugs import Compound
from twinjax.models.pbpk import Inactivation, MichaelisMenten


def clarithromycin() -> Substance:
    """Clarithromycin, metabolised by CYP3A4, which it inactivates, and excreted by the kidneys.

    **Assumptions**: its renal plasma clearance of 1.75 mL/min/kg is filtration and the rest secretion, both of unbound
    drug; tablets dissolve at once. PK-Sim has an inactivator compete for its enzyme too, with Ki = KI, except against
    itself; that is left out.
    **Reference**: Open Systems Pharmacology, Clarithromycin-Model 1.2 (Moj et al. 2017, AAPS J 19:298,
    doi:10.1208/s12248-016-0009-9): fu Chu 1993; Km, turnover, kinact, permeability and renal clearance as listed there;
    blood:plasma 0.64 is a common value of body models, whose origin is not traced.
    """
    return Substance(
        Compound(log_p=2.3, fu=0.3, bases=8.99, blood_to_plasma=0.64),
        molar_mass=747.95,
        kinetics={"CYP3A4": MichaelisMenten(76.5 * 60.0, 48.7)},
        inactivates={"CYP3A4": Inactivation(0.04 * 60.0, 6.04)},
        secretion=1.75 * 71.5 * 0.06 / 0.4 - 7.0,
        intestinal=1.23e-5,
        context="clarithromycin",
    )
