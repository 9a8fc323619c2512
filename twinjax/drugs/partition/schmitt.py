"""Schmitt's method: water, lipid, neutral and acidic phospholipid and protein, at the pH of a tissue's cells."""

from __future__ import annotations

from typing import Any

import equinox as eqx

from twinjax.drugs.compound import Compound
from twinjax.drugs.ionisation import species
from twinjax.drugs.partition.base import AbstractPartition
from twinjax.drugs.partition.pksim import protein_affinity
from twinjax.units import Fraction, Number, Real


class Membranes(eqx.Module):
    """Volume fractions of neutral lipids, neutral and acidic phospholipids, proteins and water; pH of cells."""

    neutral_lipid: Fraction
    neutral_phospholipid: Fraction
    acidic_phospholipid: Fraction
    protein: Fraction
    water: Fraction
    ph: Real


class Schmitt(AbstractPartition):
    """``Kp = fu (w + K_nl nl + K npl + K_apl apl + K_protein protein)``, K the membrane affinity.

    .. code-block:: text

        K_nl = K (neutral + alpha charged)      K_apl = K (neutral and zwitterion + 0.05 anion + 20 cation)

    over the fractions of molecules so charged at the tissue's pH. Needs no blood:plasma.
    **Parameters**: `tissues`, composition by name; `alpha`, how much less charged molecules dissolve in neutral lipid.
    **Assumptions**: the groups of a molecule dissociate independently; a zwitterion meets neutral lipids as a neutral
    molecule does.
    **Reference**: Schmitt 2008, Toxicol In Vitro 22:457, doi:10.1016/j.tiv.2007.09.010. Composition: PK-Sim's table as
    printed by Utsey et al. 2020, doi:10.1124/dmd.120.090498.
    """

    tissues: dict[str, Membranes] = eqx.field(default_factory=lambda: dict(HUMAN))
    alpha: Number = 1e-3

    def coefficient(self, drug: Compound, tissue: str) -> Any:
        """Tissue:plasma ratio."""
        part, k = self.tissues[tissue], drug.membrane_affinity
        neutral, anion, cation, zwitterion = species(drug.acids, drug.bases, part.ph)
        lipid = k * (neutral + zwitterion + self.alpha * (anion + cation)) * part.neutral_lipid
        acidic = k * (neutral + zwitterion + 0.05 * anion + 20.0 * cation) * part.acidic_phospholipid
        rest = part.water + k * part.neutral_phospholipid + protein_affinity(k) * part.protein
        return drug.fu * (rest + lipid + acidic)


HUMAN = {
    "bone": Membranes(0.017, 0.0022, 0.0008, 0.21, 0.26, 7.0),
    "brain": Membranes(0.0429, 0.0528, 0.0143, 0.08, 0.79, 7.1),
    "adipose": Membranes(0.92, 0.002024, 0.000552, 0.06, 0.03, 7.1),
    "heart": Membranes(0.0528, 0.0473, 0.0099, 0.19, 0.7, 7.1),
    "kidney": Membranes(0.0156, 0.0366, 0.0078, 0.21, 0.73, 7.22),
    "stomach": Membranes(0.0483, 0.0182, 0.0035, 0.15, 0.78, 7.4),
    "small_intestine": Membranes(0.0483, 0.0182, 0.0035, 0.15, 0.78, 7.4),
    "large_intestine": Membranes(0.0483, 0.0182, 0.0035, 0.15, 0.78, 7.4),
    "liver": Membranes(0.0232, 0.0472, 0.0088, 0.21, 0.68, 7.23),
    "lung": Membranes(0.0204, 0.0152, 0.0044, 0.11, 0.74, 6.6),
    "muscle": Membranes(0.0049, 0.0042, 0.0009, 0.19, 0.76, 6.81),
    "pancreas": Membranes(0.0403, 0.009, 0.00167, 0.13, 0.71, 7.4),
    "skin": Membranes(0.126, 0.0112, 0.0028, 0.41, 0.47, 7.0),
    "spleen": Membranes(0.006, 0.0108, 0.003, 0.23, 0.75, 7.0),
}
"""PK-Sim's fractions in man."""
