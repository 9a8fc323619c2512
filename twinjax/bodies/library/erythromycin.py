"""Erythromycin: a mechanism-based inhibitor, incompletely absorbed."""

from __future__ import annotations

from twinjax.bodies.substance import Substance
from twinjax.drugs import Compound
from twinjax.drugs.partition import Schmitt
from twinjax.models.pbpk import Inactivation, MichaelisMenten


def erythromycin() -> Substance:
    """Erythromycin, metabolised by CYP3A4, which it inactivates, otherwise cleared by the liver, and filtered.

    **Assumptions**: what CYP3A4 and filtration do not clear makes up a plasma clearance of 30 L/h by vein (Austin 1980,
    Pasic 1987), without OATP1B1; partition by Schmitt's method, as no blood:plasma ratio is at hand; film-coated
    tablets of the stearate, that dissolve at once as far as their solubility lets them.
    **Reference**: Open Systems Pharmacology, Erythromycin-Model: lipophilicity the mean of three, fu Barre 1987, Km and
    Vmax the mean of Wang 1997 and Riley 1997 (over 108 pmol/mg); kinact and KI, within the range measured in vitro,
    permeability and solubility identified by its authors, from profiles and from the study of Olkkola 1993.
    """
    return Substance(
        Compound(log_p=2.82, fu=0.305, bases=8.88),
        molar_mass=733.927,
        kinetics={"CYP3A4": MichaelisMenten(918.333 / 108.0 * 60.0, 70.0)},
        inactivates={"CYP3A4": Inactivation(0.0296261 * 60.0, 7.60074)},
        clint=90.0,
        intestinal=3.86684e-4,
        solubility=28.0709,
        method=Schmitt(),
        context="erythromycin",
    )
