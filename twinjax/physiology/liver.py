"""A cirrhotic liver: what Child-Pugh's classes change of flows, cells, enzymes, binding and filtration."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax.numpy as jnp

from twinjax.naming import suggestion
from twinjax.physiology.anatomy import PORTAL, Anatomy
from twinjax.units import Fraction, Number


@dataclasses.dataclass(frozen=True)
class HepaticImpairment:
    """Factors on what is healthy.

    **Parameters**: `mass` of liver that works, blood flows `portal`, `arterial` (hepatic) and `renal`, cardiac
    `output`, `filtration`, `albumin`, `glycoprotein` (alpha-1-acid), `haematocrit`; activity of `enzymes` in what liver
    is left, by name.
    **Reference**: Edginton and Willmann 2008, Clin Pharmacokinet 47:743, doi:10.2165/00003088-200847110-00005, and, for
    the enzymes that it has not, Johnson et al. 2010, Clin Pharmacokinet 49:189, doi:10.2165/11318160-000000000-00000:
    as the Open Systems Pharmacology suite qualifies them (Qualification-HI, table 2; masses from the weights of its
    individuals).
    """

    mass: Fraction
    portal: Number
    arterial: Number
    renal: Number
    output: Number
    filtration: Fraction
    albumin: Fraction
    glycoprotein: Fraction
    haematocrit: Fraction
    enzymes: dict[str, float]

    def anatomy(self, healthy: Anatomy) -> Anatomy:
        """These organs and flows: what is not liver, kidney or brain takes the rest of the cardiac output.

        The mass that the liver lost is not replaced: the body weighs less, as in the source.
        """
        flows = dict(healthy.flows)
        fixed = {**dict.fromkeys(PORTAL, self.portal), "liver": self.arterial, "kidney": self.renal, "brain": 1.0}
        own = {n: flows[n] * f for n, f in fixed.items()}
        others = [n for n in flows if n not in fixed]
        left: Any = self.output * healthy.cardiac_output - sum(own.values())
        before: Any = sum(flows[n] for n in others)
        own |= {n: flows[n] * left / before for n in others}
        masses = {**healthy.masses, "liver": healthy.masses["liver"] * self.mass}
        return dataclasses.replace(
            healthy, masses=masses, flows={n: own[n] for n in flows}, haematocrit=healthy.haematocrit * self.haematocrit
        )

    def unbound(self, fu: Number, *, binder: str = "albumin") -> Any:
        """Fraction unbound of a drug that is bound to ``albumin`` or ``glycoprotein``, from the healthy one's.

        **Raises** `ValueError` for another protein.
        """
        known = {"albumin": self.albumin, "glycoprotein": self.glycoprotein}
        if binder not in known:
            raise ValueError(f"binding to {binder!r} is not known to change{suggestion(binder, known)}")
        fu = jnp.asarray(fu, jnp.result_type(float))
        return 1.0 / (1.0 + (1.0 - fu) / fu * known[binder])


CHILD_PUGH = {
    "A": HepaticImpairment(
        0.69, 0.40, 1.3, 0.88, 1.11, 1.0, 0.81, 0.60, 0.92,
        {"CYP3A4": 1.0, "CYP1A2": 1.0, "CYP2E1": 1.0, "CYP2A6": 0.89, "CYP2B6": 1.0, "CYP2C8": 0.69, "CYP2C9": 0.69,
         "CYP2C18": 0.32, "CYP2C19": 0.32, "CYP2D6": 0.76},
    ),
    "B": HepaticImpairment(
        0.55, 0.36, 2.3, 0.65, 1.27, 0.70, 0.68, 0.56, 0.88,
        {"CYP3A4": 0.4, "CYP1A2": 0.1, "CYP2E1": 0.83, "CYP2A6": 0.62, "CYP2B6": 0.9, "CYP2C8": 0.52, "CYP2C9": 0.51,
         "CYP2C18": 0.26, "CYP2C19": 0.26, "CYP2D6": 0.33},
    ),
    "C": HepaticImpairment(
        0.28, 0.04, 3.4, 0.48, 1.36, 0.36, 0.50, 0.30, 0.83,
        {"CYP3A4": 0.4, "CYP1A2": 0.1, "CYP2E1": 0.83, "CYP2A6": 0.32, "CYP2B6": 0.8, "CYP2C8": 0.32, "CYP2C9": 0.33,
         "CYP2C18": 0.12, "CYP2C19": 0.12, "CYP2D6": 0.11},
    ),
}  # fmt: skip
"""By class. Renal function falls beside what age and kidney disease do."""


def cirrhosis(child_pugh: str) -> HepaticImpairment:
    """What a class of Child and Pugh changes.

    **Raises** `ValueError` for another class than A, B and C.
    """
    if child_pugh not in CHILD_PUGH:
        raise ValueError(f"there is no class {child_pugh!r} of cirrhosis{suggestion(child_pugh, CHILD_PUGH)}")
    return CHILD_PUGH[child_pugh]
