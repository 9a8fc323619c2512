"""PK-Sim's own method: lipid and protein as two phases beside water."""

from __future__ import annotations

from typing import Any

import equinox as eqx

from twinjax.drugs.compound import Compound
from twinjax.drugs.partition.base import AbstractPartition
from twinjax.units import Fraction


class Phases(eqx.Module):
    """Volume fractions of lipids, proteins and water."""

    lipid: Fraction
    protein: Fraction
    water: Fraction


class PKSimStandard(AbstractPartition):
    """``Kp = fu (water + K lipid + K_protein protein)``, K the membrane affinity.

    ``K_protein = 5 (0.81 + 0.11 K) / 24.92``. Needs neither pKa nor blood:plasma.
    **Parameters**: `tissues`, composition by name.
    **Assumptions**: charged and neutral molecules partition alike; the proteins bind as muscle's do.
    **Reference**: Willmann, Lippert and Schmitt 2005, Expert Opin Drug Metab Toxicol 1:159,
    doi:10.1517/17425255.1.1.159; K_protein after Schmitt 2008, doi:10.1016/j.tiv.2007.09.010, in PK-Sim's digits.
    Composition: PK-Sim's table as printed by Utsey et al. 2020, doi:10.1124/dmd.120.090498.
    """

    tissues: dict[str, Phases] = eqx.field(default_factory=lambda: dict(HUMAN))

    def coefficient(self, drug: Compound, tissue: str) -> Any:
        """Tissue:plasma ratio."""
        part, lipid = self.tissues[tissue], drug.membrane_affinity
        return drug.fu * (part.water + lipid * part.lipid + protein_affinity(lipid) * part.protein)


def protein_affinity(membrane_affinity: Any) -> Any:
    """Protein:water partition coefficient from the membrane affinity."""
    return 5.0 * (0.81 + 0.11 * membrane_affinity) / 24.92


HUMAN = {
    "bone": Phases(0.268, 0.268, 0.465),
    "brain": Phases(0.11, 0.081, 0.808),
    "adipose": Phases(0.8, 0.05, 0.15),
    "heart": Phases(0.1, 0.168, 0.731),
    "kidney": Phases(0.052, 0.171, 0.774),
    "stomach": Phases(0.062, 0.133, 0.792),
    "small_intestine": Phases(0.062, 0.133, 0.792),
    "large_intestine": Phases(0.062, 0.133, 0.792),
    "liver": Phases(0.069, 0.184, 0.747),
    "lung": Phases(0.01, 0.183, 0.807),
    "muscle": Phases(0.013, 0.177, 0.811),
    "pancreas": Phases(0.08, 0.13, 0.71),
    "skin": Phases(0.1, 0.288, 0.612),
    "spleen": Phases(0.016, 0.194, 0.776),
}
"""Fractions by volume in man."""
