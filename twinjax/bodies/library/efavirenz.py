"""Efavirenz: the inducer that stays for weeks."""

from __future__ import annotations

import math

from twinjax.bodies.substance import Substance
from twinjax.drugs import Compound
from twinjax.drugs.partition import Schmitt
from twinjax.models.pbpk import Induction, MichaelisMenten


def efavirenz() -> Substance:
    """Efavirenz, metabolised by five CYPs of the liver, above all CYP2B6; induces CYP2B6 and CYP3A4.

    **Assumptions**: tablets dissolve by first order, half of them in an hour.
    **Reference**: Open Systems Pharmacology, Efavirenz-Model: Km Ward 2003 and Ogburn 2010, Emax Shou 2008 and Ke 2016;
    turnover numbers, EC50, lipophilicity, fu and permeability identified by its authors, from profiles and from the
    studies with midazolam of Mikus 2017 (day 1) and Katzenmaier 2010.
    """
    turnover = {
        #          1/min      umol/L
        "CYP2B6": (1.601452, 6.4), "CYP1A2": (0.1910198, 8.3), "CYP3A4": (0.0509386, 23.5),
        "CYP3A5": (0.1910198, 19.1), "CYP2A6": (0.3183664, 7.7),
    }  # fmt: skip
    return Substance(
        Compound(log_p=3.436975, fu=0.005955369, acids=10.1),
        molar_mass=315.675,
        halogens=22.0 + 3 * 17.0,
        kinetics={enzyme: MichaelisMenten(kcat * 60.0, km) for enzyme, (kcat, km) in turnover.items()},
        induces={"CYP3A4": Induction(5.21, 0.07128), "CYP2B6": Induction(5.2, 0.0116534)},
        intestinal=2.972058e-5,
        solubility=39.92178,
        dissolution=math.log(2.0),
        method=Schmitt(),
        context="efavirenz",
    )
