"""Cimetidine: the weak reversible inhibitor that the kidneys secrete."""

from __future__ import annotations

from twinjax.bodies.substance import Substance
from twinjax.drugs import Compound


def cimetidine() -> Substance:
    """Cimetidine, secreted by the kidneys, the rest cleared by the liver; inhibits CYP3A4 competitively.

    **Assumptions**: clearances of unbound drug that give plasma clearances of 655 mL/min in all and 375 mL/min renal
    in a man of 73 kg with this body's flows. The Ki was adjusted to interactions by its authors (in vitro 268 umol/L).
    **Reference**: Open Systems Pharmacology, Cimetidine-Model (lipophilicity and pKa Avdeef 2001, fu Taylor 1978,
    blood:plasma Somogyi 1983, Ki and permeability as listed there); clearances Bodemar et al. 1981, Clin Pharmacokinet
    6:306, doi:10.2165/00003088-198106040-00005.
    """
    return Substance(
        Compound(log_p=1.655, fu=0.78, bases=6.93, acids=13.38, blood_to_plasma=0.98),
        molar_mass=252.34,
        inhibits={"CYP3A4": 30.51},
        clint=26.0,
        secretion=31.0,
        intestinal=5.2554e-6,
        context="cimetidine",
    )
