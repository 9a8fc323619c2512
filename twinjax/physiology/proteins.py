"""Proteins of blood, liver and gut that bind and clear drugs: how much of them there is, and when."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp

from twinjax.naming import suggestion
from twinjax.physiology.person import Person
from twinjax.units import Scalar

ONTOGENY: dict[tuple[str, str], tuple[float, float, float, float, float]] = {
    # tissue, enzyme: at birth, at most, age of half (years), Hill exponent, age from which it is constant
    ("liver", "CYP2B6"): (0.277, 1.0, 1.537, 1.73, 25.0),
    ("liver", "CYP2C8"): (0.41, 1.053, 0.366, 0.68, 20.0),
    ("liver", "CYP2C9"): (0.17, 0.98, 0.0157, 0.53, 5.0),
    ("liver", "CYP2C19"): (0.30, 0.98, 0.29, 2.44, 5.0),
    ("liver", "CYP2D6"): (0.036, 1.0, 0.1, 1.0, 10.0),
    ("liver", "CYP2E1"): (0.0, 0.99, 0.23, 0.5, 18.0),
    ("liver", "CYP3A4"): (0.11, 1.06, 0.64, 1.91, 25.0),
    ("gut", "CYP3A4"): (0.42, 1.059, 2.357, 1.0, 18.0),
}


def maturity(enzyme: str, who: Person, tissue: str = "liver") -> Any:
    """Abundance (gut) or activity (liver) of an enzyme as a fraction of the adult's.

    ``birth + (most - birth) age^n / (half^n + age^n)`` over its value at the age from which it is constant. CYP1A2,
    which rises beyond the adult's and falls again, is not here: what falls is not in the table at hand.
    **Raises** `ValueError` for an enzyme whose ontogeny is not in `ONTOGENY`.
    **Reference**: CYP3A4 Salem et al. 2014, Clin Pharmacokinet 53:625, doi:10.1007/s40262-014-0140-7; others
    of the liver Upreti and Wahlstrom 2016, J Clin Pharmacol 56:266, doi:10.1002/jcph.585; gut Johnson et al. 2006, Clin
    Pharmacokinet 45:931, doi:10.2165/00003088-200645090-00005.
    """
    if (tissue, enzyme) not in ONTOGENY:
        known = [f"{e} of the {t}" for t, e in ONTOGENY]
        raise ValueError(f"the ontogeny of {enzyme} of the {tissue} is not known{suggestion(enzyme, known)}")
    birth, most, half, n, constant = ONTOGENY[tissue, enzyme]

    def activity(age: Any) -> Any:
        return birth + (most - birth) * age**n / (half**n + age**n)

    return activity(jnp.clip(who.age, 1e-6, constant)) / activity(constant)


def albumin(who: Person) -> Any:
    """Albumin in plasma (g/L): ``1.1287 ln(age in days) + 33.746`` to 20 years of age, then as at 20.

    **Reference**: Johnson et al. 2006, Clin Pharmacokinet 45:931, doi:10.2165/00003088-200645090-00005.
    """
    return 1.1287 * jnp.log(jnp.clip(who.age, 1.0 / 365.25, 20.0) * 365.25) + 33.746


def unbound(fu: Scalar, who: Person) -> Any:
    """Fraction unbound in this person's plasma of a drug that binds to albumin, from an adult's.

    ``1 / (1 + (1 - fu) / fu albumin / adult albumin)``.
    **Reference**: McNamara and Alcorn 2002, AAPS PharmSci 4:19, doi:10.1208/ps040104.
    """
    adult = 1.1287 * jnp.log(20.0 * 365.25) + 33.746
    return 1.0 / (1.0 + (1.0 - fu) / fu * albumin(who) / adult)


def microsomal_protein(who: Person) -> Any:
    """Microsomal protein in liver (mg/g).

    **Reference**: Barter et al. 2008, Drug Metab Dispos 36:2405, doi:10.1124/dmd.108.021311.
    """
    return 10.0 ** (1.407 + 0.0158 * who.age - 0.00038 * who.age**2 + 0.0000024 * who.age**3)


def hepatocytes(who: Person) -> Any:
    """Million cells per gram of liver: ``10^(3.10 - 0.66 log10 age)``, at 19 years below.

    **Reference**: Barter et al. 2007, Curr Drug Metab 8:33, doi:10.2174/138920007779315053.
    """
    return 10.0 ** (3.10 - 0.66 * jnp.log10(jnp.maximum(who.age, 19.0)))
