"""Glomerular filtration: how it grows, ages and fails."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp

from twinjax.naming import suggestion
from twinjax.physiology.person import Person
from twinjax.units import Scalar

STAGES = {"normal": 1.0, "mild": 0.75, "moderate": 0.45, "severe": 0.225, "failure": 0.10}
"""Renal function as a fraction of 100 mL/min/1.73 m2, at the middle of KDIGO's G2 (60-89), G3 (30-59), G4 (15-29) and
G5 (below 15): KDIGO 2012, Kidney Int Suppl 3:1."""


def filtration(who: Person) -> Any:
    """Glomerular filtration rate (L/h).

    .. code-block:: text

        (121.2 mL/min PMA^3.4 / (47.7^3.4 + PMA^3.4) - 0.75 mL/min for every year beyond 40) (weight / 70)^0.75 kidney

    PMA is postmenstrual age in weeks, of a child born at term.
    **Reference**: Rhodin et al. 2009, Pediatr Nephrol 24:67, doi:10.1007/s00467-008-0997-5; Lindeman et al. 1985, J Am
    Geriatr Soc 33:278, doi:10.1111/j.1532-5415.1985.tb07117.x.
    """
    weeks = 40.0 + 52.18 * who.age
    mature = weeks**3.4 / (47.7**3.4 + weeks**3.4)
    aged = 121.2 * mature - 0.75 * jnp.maximum(who.age - 40.0, 0.0)
    return aged * 0.06 * (who.weight / 70.0) ** 0.75 * who.kidney


def impaired(stage: str) -> float:
    """Renal function as a fraction of healthy, for ``person(kidney=...)``.

    **Raises** `ValueError` for a stage that is not in `STAGES`.
    """
    if stage not in STAGES:
        raise ValueError(f"there is no stage {stage!r} of renal impairment{suggestion(stage, STAGES)}")
    return STAGES[stage]


def estimated(creatinine: Scalar, who: Person) -> Any:
    """Filtration (mL/min/1.73 m2) from serum creatinine (mg/dL).

    Adults by CKD-EPI 2021, without race; children (below 18) by the bedside Schwartz equation.
    **Reference**: Inker et al. 2021, N Engl J Med 385:1737, doi:10.1056/NEJMoa2102953; Schwartz et al. 2009, J Am Soc
    Nephrol 20:629, doi:10.1681/ASN.2008030287.
    """
    kappa = 0.9 - 0.2 * who.female
    alpha = -0.302 + 0.061 * who.female
    ratio = creatinine / kappa
    low, high = jnp.minimum(ratio, 1.0) ** alpha, jnp.maximum(ratio, 1.0) ** -1.200
    adult = 142.0 * low * high * 0.9938**who.age * (1.0 + 0.012 * who.female)
    return jnp.where(who.age < 18.0, 0.413 * who.height / creatinine, adult)
