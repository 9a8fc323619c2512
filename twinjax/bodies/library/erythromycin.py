"""Erythromycin: a mechanism-based inhibitor, incompletely absorbed, that a transporter carries into hepatocytes."""

from __future__ import annotations

from twinjax.bodies.abundance import LIVER_CELLS
from twinjax.bodies.substance import Substance
from twinjax.drugs import Compound
from twinjax.drugs.ionisation import ionised_to_neutral
from twinjax.drugs.partition import Schmitt
from twinjax.models.pbpk import Inactivation, MichaelisMenten

PKA = 8.88


def erythromycin() -> Substance:
    """Erythromycin, taken up by OATP1B1, in hepatocytes metabolised by CYP3A4, which it inactivates, and otherwise
    cleared; filtered, and a little secreted.

    **Assumptions**: charge slows its passage through membranes as Schmitt has it; partition by Schmitt's method, as no
    blood:plasma ratio is at hand; film-coated tablets of the stearate, that dissolve at once as far as their solubility
    lets them: published at pH 7, here at the 6.5 of fluid of the fasted intestine, where more of it is charged.
    The study that kinact and KI come from gave enteric-coated tablets of the base, which dissolve less; that is not
    followed. The published fraction of filtrate, 1.159, is filtration in full and the rest, of 7 L/h, secretion. The
    published model has erythromycin compete for CYP3A4 too, with Ki = KI, except against itself; that is left out.
    **Reference**: Open Systems Pharmacology, Erythromycin-Model: lipophilicity the mean of three, fu Barre 1987, Km and
    Vmax of CYP3A4 the mean of Wang 1997 and Riley 1997 (over 108 pmol/mg); uptake (of version 10, with unbound drug
    outside), other clearance (4.146/min of 1.8 kg of liver), permeability, solubility, kinact and KI, within the range
    measured in vitro, identified by its authors, from profiles and from the study of Olkkola 1993.
    """
    charged = [1.0 + ionised_to_neutral((), (PKA,), ph) for ph in (6.5, 7.0)]
    return Substance(
        Compound(log_p=2.82, fu=0.305, bases=PKA),
        molar_mass=733.927,
        charged=1e-3,
        kinetics={
            "CYP3A4": MichaelisMenten(918.333 / 108.0 * 60.0, 70.0),
            "OATP1B1": MichaelisMenten(1.350032 * 60.0, 0.7358365),
        },
        inactivates={"CYP3A4": Inactivation(0.0296261 * 60.0, 7.60074)},
        clint=4.146218 * 60.0 * LIVER_CELLS * 1.8,
        secretion=0.1591082 * 7.0,
        intestinal=3.86684e-4,
        solubility=28.0709 * charged[0] / charged[1],
        method=Schmitt(),
        context="erythromycin",
    )
