"""Fluvoxamine: a competitive inhibitor that saturates its own elimination."""

from __future__ import annotations

from twinjax.bodies.substance import Substance
from twinjax.drugs import Compound
from twinjax.drugs.partition import Schmitt
from twinjax.models.pbpk import MichaelisMenten

MALEATE = 318.335 / 434.41
"""Fluvoxamine in a dose that is given as its maleate, as tablets' are: 73.28 mg in 100 mg."""


def fluvoxamine() -> Substance:
    """Fluvoxamine, metabolised by CYP1A2, at high affinity, and CYP2D6, and filtered; inhibits CYP3A4 competitively.

    **Assumptions**: an extensive metaboliser of CYP2D6 who does not smoke; its inhibition of CYP1A2 is left out, which
    is no enzyme of midazolam; tablets dissolve at once. Doses are of the base (`MALEATE`).
    **Reference**: Open Systems Pharmacology, Fluvoxamine-Model: fu Claassen 1983, pKa Hallifax 2007, Km of CYP2D6 Miura
    2007, Ki Olesen 2000; lipophilicity, turnover numbers, Km of CYP1A2 and intestinal permeability identified by its
    authors from profiles of fluvoxamine alone.
    """
    return Substance(
        Compound(log_p=3.5726508, fu=0.23, bases=9.4),
        molar_mass=318.335,
        halogens=3 * 17.0,
        kinetics={
            "CYP1A2": MichaelisMenten(0.0155448 * 60.0, 0.00734608),
            "CYP2D6": MichaelisMenten(110.55619 * 60.0, 76.3),
        },
        inhibits={"CYP3A4": 1.6},
        intestinal=2.7380789e-5,
        method=Schmitt(),
        context="fluvoxamine",
    )
