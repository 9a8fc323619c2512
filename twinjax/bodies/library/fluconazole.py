"""Fluconazole: the noncompetitive inhibitor that the kidneys excrete."""

from __future__ import annotations

from twinjax.bodies.substance import Substance
from twinjax.drugs import Compound


def fluconazole() -> Substance:
    """Fluconazole, mostly reabsorbed after filtration, a little glucuronidated; inhibits CYP3A4 noncompetitively.

    **Reference**: Open Systems Pharmacology, Fluconazole-Model 1.0: Ki Sakaeda et al. 2005, fu of its maker,
    clearances of Watt et al. 2018.
    """
    return Substance(
        Compound(log_p=0.8302, fu=0.89, bases=2.03),
        molar_mass=306.328,
        halogens=2 * 17.0,
        noncompetitive={"CYP3A4": 13.1},
        clint=0.008 * 60.0,
        filtered=0.1433,
        intestinal=0.000213 * 60.0,
        context="fluconazole",
    )
