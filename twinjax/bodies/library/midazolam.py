"""Midazolam: the victim that interaction studies of CYP3A4 ask."""

from __future__ import annotations

from twinjax.bodies.substance import Substance
from twinjax.drugs import Compound
from twinjax.models.pbpk import MichaelisMenten


def midazolam() -> Substance:
    """Midazolam, metabolised by CYP3A4 in liver and gut and by UGT1A4 in the liver, and filtered.

    **Assumptions**: its binding to GABA receptors of the brain is left out; tablets dissolve at once.
    **Reference**: Open Systems Pharmacology, Midazolam-Model 1.1, sections 2.2 and 2.3: fu 3.1 % (Gertz et al. 2010),
    Km in vitro, the rest identified by its authors from profiles of midazolam alone.
    """
    return Substance(
        Compound(log_p=2.897, fu=0.031, acids=10.95, bases=6.2),
        molar_mass=325.78,
        halogens=17.0 + 22.0,
        kinetics={"CYP3A4": MichaelisMenten(8.761 * 60.0, 4.0), "UGT1A4": MichaelisMenten(3.591 * 60.0, 37.8)},
        filtered=0.6401,
        intestinal=1.555e-4,
        context="midazolam",
    )
