"""Tacrolimus after kidney transplantation, by CYP3A5 and CYP3A4 genotype."""

from __future__ import annotations

from typing import Any

from twinjax.context.statements import TACROLIMUS
from twinjax.genetics.alleles import activity
from twinjax.models.pk.two_compartment import TwoCompartmentOral
from twinjax.naming import suggestion
from twinjax.units import Scalar

CYP3A4 = {"*1/*1": 1.0, "*1/*22": 0.80, "*22/*22": 0.80}
"""Factor of clearance for a carrier of CYP3A4*22."""

EXPRESSER = 1.631
"""Factor of clearance with a CYP3A5*1 allele."""

AUC_OF_TROUGH = {10.0: 222.0, 12.5: 277.0, 15.0: 332.0}
"""AUC over 12 h (ug h/L) that goes with a trough (ug/L)."""


def tacrolimus(
    cyp3a5: str = "*3/*3", cyp3a4: str = "*1/*1", *, age: Scalar = 55.72, albumin: Scalar = 42.0, bsa: Scalar = 1.93,
    creatinine: Scalar = 134.98, haematocrit: Scalar = 0.34, lean_mass: Scalar = 58.94,
) -> TwoCompartmentOral:  # fmt: skip
    """One adult's tacrolimus: two compartments, apparent after oral doses (doses in mg, whole blood in mg/L).

    **Parameters**: genotypes; `age` (years), `albumin` (g/L), `bsa` (m2), `creatinine` (umol/L), `haematocrit`,
    `lean_mass` (kg).
    **Warns** of children.
    **Raises** `ValueError` for a genotype that is not known.
    **Reference**: Andrews et al. 2019, Br J Clin Pharmacol 85:601, doi:10.1111/bcp.13838, final model.
    """
    TACROLIMUS.warn(age=age)
    covariates = (age / 55.72) ** -0.43 * (albumin / 42.0) ** 0.43 * (bsa / 1.93) ** 0.88
    covariates = covariates * (creatinine / 134.98) ** -0.14 * (haematocrit / 0.34) ** -0.76
    cl = 23.0 * _genetic(cyp3a5, cyp3a4) * covariates
    return TwoCompartmentOral(ka=3.58, cl=cl, v1=692.0 * (lean_mass / 58.94) ** 1.52, q=11.6, v2=5340.0, lag=0.38)


def tacrolimus_starting_dose(
    trough: float = 10.0, cyp3a5: str = "*3/*3", cyp3a4: str = "*1/*1", *, age: Scalar = 56.0, bsa: Scalar = 1.93
) -> Any:
    """First dose (mg, twice a day) for a target trough (ug/L): its AUC over 12 h times the clearance that is foreseen
    before the transplantation.

    **Parameters**: genotypes; `age` (years), `bsa` (m2).
    **Warns** of children.
    **Raises** `ValueError` for a trough whose AUC is not listed, or an unknown genotype.
    **Reference**: Andrews et al. 2019, doi:10.1111/bcp.13838, equations 2 and 3, of the starting-dose model.
    """
    if trough not in AUC_OF_TROUGH:
        raise ValueError(
            f"the AUC of a trough of {trough:g} is not listed; known are {', '.join(map(str, AUC_OF_TROUGH))}"
        )
    TACROLIMUS.warn(age=age, trough=trough)
    factor = _genetic(cyp3a5, cyp3a4, expresser=1.62, carrier=0.814)
    return AUC_OF_TROUGH[trough] * 22.5 * factor * (age / 56.0) ** -0.50 * (bsa / 1.93) ** 0.72 / 1000.0


def _genetic(cyp3a5: str, cyp3a4: str, expresser: float = EXPRESSER, carrier: float = CYP3A4["*1/*22"]) -> float:
    diplotype = "/".join(sorted(cyp3a4.replace(" ", "").split("/")))
    if diplotype not in CYP3A4:
        raise ValueError(f"tacrolimus' clearance is not known for CYP3A4 {cyp3a4!r}{suggestion(diplotype, CYP3A4)}")
    return (carrier if CYP3A4[diplotype] < 1.0 else 1.0) * (expresser if activity("CYP3A5", cyp3a5) > 0.0 else 1.0)
