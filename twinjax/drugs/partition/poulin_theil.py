"""Poulin and Theil's method, and Berezhkovskiy's correction of it for drugs that bind in tissue."""

from __future__ import annotations

from typing import Any

import equinox as eqx

from twinjax.drugs.compound import Compound
from twinjax.drugs.ionisation import ionised_to_neutral
from twinjax.drugs.partition.base import AbstractPartition
from twinjax.units import Fraction, Number, Real


class Lipids(eqx.Module):
    """Volume fractions of water, neutral lipids and phospholipids, as a share of the tissue."""

    water: Fraction
    neutral_lipid: Fraction
    phospholipid: Fraction

    def holds(self, lipophilicity: Any, unbound: Any = 1.0) -> tuple[Any, Any]:
        """What lipids and what waters hold, of a drug at unit concentration in water; phospholipids are 30 % lipid."""
        lipid = lipophilicity * (self.neutral_lipid + 0.3 * self.phospholipid)
        return lipid, self.water / unbound + 0.7 * self.phospholipid


class PoulinTheil(AbstractPartition):
    """Lipids and water of a tissue beside those of plasma, times the unbound fractions.

    .. code-block:: text

        Kp = (P (nl + 0.3 pl) + w + 0.7 pl)_tissue / (the same of plasma) x fu / fut    fut = 1 / (1 + 0.5 (1 - fu)/fu)
        adipose: fut = 1 and P = D*, olive oil's: log D = 1.115 log P - 1.35, less what is ionised

    **Parameters**: `tissues`, composition by name; `plasma`; `ph` at which adipose meets the drug; `protein`, what
    tissue binds of what plasma does (0.5 off adipose).
    **Assumptions**: needs no blood:plasma; no binding to acidic phospholipids, so strong bases come out low.
    **Reference**: Poulin and Theil 2002, J Pharm Sci 91:129 and 1358, doi:10.1002/jps.10005 and 10.1002/jps.10128.
    """

    tissues: dict[str, Lipids] = eqx.field(default_factory=lambda: dict(HUMAN))
    plasma: Lipids = eqx.field(default_factory=lambda: HUMAN_PLASMA)
    ph: Real = 7.1
    protein: Number = 0.5

    def coefficient(self, drug: Compound, tissue: str) -> Any:
        """Tissue:plasma ratio."""
        lipophilicity, unbound = _meets(self, drug, tissue)
        held = sum(self.tissues[tissue].holds(lipophilicity))
        return drug.fu / unbound * held / sum(self.plasma.holds(lipophilicity))


class Berezhkovskiy(AbstractPartition):
    """As `PoulinTheil`, with binding to proteins as a part of the water's share.

    .. code-block:: text

        Kp = (P (nl + 0.3 pl) + w/fut + 0.7 pl)_tissue / (P (nl + 0.3 pl) + w/fu + 0.7 pl)_plasma

    **Parameters**, **Assumptions**: as `PoulinTheil`.
    **Reference**: Berezhkovskiy 2004, J Pharm Sci 93:1628, doi:10.1002/jps.20073. Composition: PK-Sim's table as
    printed by Utsey et al. 2020, doi:10.1124/dmd.120.090498.
    """

    tissues: dict[str, Lipids] = eqx.field(default_factory=lambda: dict(PKSIM))
    plasma: Lipids = eqx.field(default_factory=lambda: HUMAN_PLASMA)
    ph: Real = 7.4
    protein: Number = 0.5

    def coefficient(self, drug: Compound, tissue: str) -> Any:
        """Tissue:plasma ratio."""
        lipophilicity, unbound = _meets(self, drug, tissue)
        held = sum(self.tissues[tissue].holds(lipophilicity, unbound))
        return held / sum(self.plasma.holds(lipophilicity, drug.fu))


def _meets(method: PoulinTheil | Berezhkovskiy, drug: Compound, tissue: str) -> tuple[Any, Any]:
    """Lipophilicity that counts in a tissue, and the fraction unbound there."""
    if tissue != "adipose":
        return 10.0**drug.log_p, bound_half(drug.fu, method.protein)
    charged = ionised_to_neutral(drug.acids, drug.bases, method.ph)
    return vegetable_oil(drug.log_p) / (1.0 + charged), 1.0


def bound_half(fu: Any, share: Any = 0.5) -> Any:
    """Fraction unbound in a tissue that has a `share` of plasma's binding proteins."""
    return 1.0 / (1.0 + share * (1.0 - fu) / fu)


def vegetable_oil(log_p: Any) -> Any:
    """Oil:water partition coefficient of the neutral form, from octanol's; for adipose."""
    return 10.0 ** (1.115 * log_p - 1.35)


HUMAN_PLASMA = Lipids(0.945, 0.0035, 0.00225)

HUMAN = {
    "adipose": Lipids(0.18, 0.79, 0.002),
    "bone": Lipids(0.439, 0.074, 0.0011),
    "brain": Lipids(0.77, 0.051, 0.0565),
    "gut": Lipids(0.718, 0.0487, 0.0163),
    "heart": Lipids(0.758, 0.0115, 0.0166),
    "kidney": Lipids(0.783, 0.0207, 0.0162),
    "liver": Lipids(0.751, 0.0348, 0.0252),
    "lung": Lipids(0.811, 0.003, 0.009),
    "muscle": Lipids(0.76, 0.0238, 0.0072),
    "skin": Lipids(0.718, 0.0284, 0.0111),
    "spleen": Lipids(0.788, 0.0201, 0.0198),
}
"""Poulin and Theil's fractions in man."""

RAT_PLASMA = Lipids(0.96, 0.00147, 0.00083)

RAT = {
    "adipose": Lipids(0.12, 0.853, 0.002),
    "bone": Lipids(0.446, 0.0273, 0.0027),
    "brain": Lipids(0.788, 0.0392, 0.0533),
    "gut": Lipids(0.749, 0.0292, 0.0138),
    "heart": Lipids(0.779, 0.014, 0.0118),
    "kidney": Lipids(0.771, 0.0123, 0.0281),
    "liver": Lipids(0.705, 0.0138, 0.0303),
    "lung": Lipids(0.79, 0.0219, 0.014),
    "muscle": Lipids(0.756, 0.01, 0.009),
    "skin": Lipids(0.651, 0.0239, 0.018),
    "spleen": Lipids(0.771, 0.0077, 0.0136),
}
"""Poulin and Theil's fractions in the rat."""

PKSIM = {
    "bone": Lipids(0.439, 0.074, 0.0011),
    "brain": Lipids(0.77, 0.051, 0.0565),
    "adipose": Lipids(0.18, 0.79, 0.002),
    "heart": Lipids(0.758, 0.0115, 0.0166),
    "kidney": Lipids(0.783, 0.0207, 0.0162),
    "stomach": Lipids(0.718, 0.0487, 0.0163),
    "small_intestine": Lipids(0.718, 0.0487, 0.0163),
    "large_intestine": Lipids(0.718, 0.0487, 0.0163),
    "liver": Lipids(0.751, 0.0348, 0.0252),
    "lung": Lipids(0.811, 0.003, 0.009),
    "muscle": Lipids(0.76, 0.0238, 0.0072),
    "pancreas": Lipids(0.71, 0.0403, 0.01067),
    "skin": Lipids(0.718, 0.0284, 0.0111),
    "spleen": Lipids(0.788, 0.0201, 0.0198),
}
"""PK-Sim's fractions in man."""
