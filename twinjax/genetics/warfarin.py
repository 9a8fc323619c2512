"""Warfarin by genotype and age: the model of one person, and the dose that brings the INR to its target."""

from __future__ import annotations

from typing import Any

import equinox as eqx

from twinjax.context.statements import WARFARIN
from twinjax.models.pd.warfarin import WarfarinINR
from twinjax.naming import suggestion
from twinjax.units import Scalar

CYP2C9 = {"*1/*1": 0.0, "*1/*2": -0.315, "*1/*3": -0.453, "*2/*2": -0.722, "*2/*3": -0.690, "*3/*3": -0.852}
"""Change of S-warfarin's clearance with the diplotype, a fraction of that of two normal alleles."""

VKORC1 = {"GG": 4.61, "GA": 3.02, "AA": 2.20}
"""EC50 of S-warfarin (mg/L) by the genotype at -1639."""

AGED, CENTRE = -0.0091, 71.0
"""Change of clearance with each year of age, from that at 71 years."""


def warfarin(cyp2c9: str = "*1/*1", vkorc1: str = "GG", age: Scalar = 71.0) -> WarfarinINR:
    """One person's S-warfarin and INR.

    **Parameters**: `cyp2c9`, a diplotype of ``*1``, ``*2`` and ``*3``; `vkorc1`, GG, GA or AA, or as `draw` writes it
    (G/A); `age` in years.
    **Warns** of an age beyond the published table's.
    **Raises** `ValueError` for a genotype that the source did not study, with those it did.
    **Reference**: Hamberg et al. 2007, Clin Pharmacol Ther 81:529, doi:10.1038/sj.clpt.6100084.
    """
    diplotype = "/".join(sorted(cyp2c9.replace(" ", "").split("/")))
    genotype = "".join(sorted(vkorc1.upper().replace("/", ""), reverse=True))
    if diplotype not in CYP2C9:
        raise ValueError(f"warfarin's clearance is not known for CYP2C9 {cyp2c9!r}{suggestion(diplotype, CYP2C9)}")
    if genotype not in VKORC1:
        raise ValueError(f"there is no VKORC1 genotype {vkorc1!r}{suggestion(genotype, VKORC1)}")
    WARFARIN.warn(age=age)
    typical = WarfarinINR.typical()
    cl = typical.cl * (1.0 + CYP2C9[diplotype]) * (1.0 + AGED * (age - CENTRE))
    return eqx.tree_at(lambda m: (m.cl, m.ec50), typical, (cl, VKORC1[genotype] + 0.0 * typical.ec50))


def warfarin_dose(model: WarfarinINR, inr: Scalar = 2.5) -> Any:
    """Daily dose of racemic warfarin (mg) that holds the INR at a target, from the average concentration.

    .. code-block:: text

        left = sqrt(1 - ((inr - base) / top)^(1 / lambda))      C = ec50 ((1 - left) / left)^(1 / gamma)
        dose = 2 cl C 24 h

    **Assumptions**: steady state; the swing of concentration within a day is small beside its average.
    **Warns** of a target for which no dose is published.
    """
    WARFARIN.warn(inr=inr)
    left = (1.0 - ((inr - model.base) / model.top) ** (1.0 / model.exponent)) ** 0.5
    concentration = model.ec50 * ((1.0 - left) / left) ** (1.0 / model.gamma)
    return 2.0 * model.cl * concentration * 24.0
