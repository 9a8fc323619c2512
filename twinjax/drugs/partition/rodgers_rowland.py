"""Rodgers and Rowland's mechanistic method: waters of two pH, lipids, acidic phospholipids and binding proteins."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from twinjax.drugs.compound import Compound, known
from twinjax.drugs.ionisation import ionised_to_neutral
from twinjax.drugs.partition.base import AbstractPartition, erythrocytes_to_plasma
from twinjax.drugs.partition.poulin_theil import vegetable_oil
from twinjax.units import Fraction, Number, Real


class Constituents(eqx.Module):
    """What a tissue is made of: fractions by volume; `acidic_phospholipid` in mg/g; `albumin` and `lipoprotein` as
    tissue:plasma ratios.
    """

    neutral_lipid: Fraction
    phospholipid: Fraction
    extracellular_water: Fraction
    intracellular_water: Fraction
    acidic_phospholipid: Number
    albumin: Number
    lipoprotein: Number


class RodgersRowland(AbstractPartition):
    """Tissue:plasma ratio, ``Kp = fu Kpu``.

    .. code-block:: text

        Kpu = few + (1 + X)/(1 + Y) fiw + (P nl + (0.3 P + 0.7) npl)/(1 + Y) + binding
        binding = Ka_AP ap X/(1 + Y)          with a base of pKa >= 7: acidic phospholipids; Ka_AP from blood:plasma
                = Ka_PR albumin ratio         other acids, bases and ampholytes; Ka_PR from fu
                = Ka_PR lipoprotein ratio     neutral molecules

    X, Y and Z are ionised over neutral molecules at the pH of cells (7), plasma (7.4) and erythrocytes (7.22).
    **Parameters**: `tissues`, composition by name; `erythrocytes` and `plasma`, theirs; `haematocrit`.
    **Assumptions**: vegetable oil stands for the lipids of adipose; a drug bound more by the lipids of plasma than its
    fu says has no protein binding (Ka_PR = 0), and likewise for acidic phospholipids.
    **Raises** `ValueError` for a base of pKa >= 7 without `blood_to_plasma`.
    **Reference**: Rodgers, Leahy and Rowland 2005, J Pharm Sci 94:1259, doi:10.1002/jps.20322; Rodgers and Rowland
    2006, J Pharm Sci 95:1238, doi:10.1002/jps.20502. Composition of the rat as printed by Utsey et al. 2020,
    doi:10.1124/dmd.120.090498.
    """

    tissues: dict[str, Constituents] = eqx.field(default_factory=lambda: dict(RAT))
    erythrocytes: Constituents = eqx.field(default_factory=lambda: RAT_ERYTHROCYTES)
    plasma: Constituents = eqx.field(default_factory=lambda: RAT_PLASMA)
    haematocrit: Fraction = 0.45
    ph_cell: Real = 7.0
    ph_plasma: Real = 7.4
    ph_erythrocyte: Real = 7.22

    def coefficient(self, drug: Compound, tissue: str) -> Any:
        """Tissue:plasma ratio of total concentrations."""
        return drug.fu * self.unbound(drug, tissue)

    def unbound(self, drug: Compound, tissue: str) -> Any:
        """Kpu: concentration in the tissue over that in plasma water."""
        part = self.tissues[tissue]
        cell = ionised_to_neutral(drug.acids, drug.bases, self.ph_cell)
        plasma = ionised_to_neutral(drug.acids, drug.bases, self.ph_plasma)
        lipophilicity = vegetable_oil(drug.log_p) if tissue == "adipose" else 10.0**drug.log_p
        water = part.extracellular_water + (1.0 + cell) / (1.0 + plasma) * part.intracellular_water
        return water + _lipid(part, lipophilicity) / (1.0 + plasma) + self._binding(drug, part, cell, plasma)

    def _binding(self, drug: Compound, part: Constituents, cell: Any, plasma: Any) -> Any:
        if not drug.acids and not drug.bases:
            return self._protein(drug, plasma) * part.lipoprotein
        if not drug.bases:
            return self._protein(drug, plasma) * part.albumin
        strongest = jnp.max(jnp.stack(drug.bases))
        strong = known(strongest)
        if strong is not None and strong < 7.0:
            return self._protein(drug, plasma) * part.albumin
        if drug.blood_to_plasma is None:
            raise ValueError(
                "Rodgers and Rowland's method needs blood_to_plasma of a base of pKa 7 or above, for its binding to "
                "acidic phospholipids; PoulinTheil, Berezhkovskiy, Schmitt and PKSimStandard do without it"
            )
        bound = self._phospholipid(drug, plasma) * part.acidic_phospholipid * cell / (1.0 + plasma)
        return jnp.where(strongest >= 7.0, bound, self._protein(drug, plasma) * part.albumin)

    def _protein(self, drug: Compound, plasma: Any) -> Any:
        """Ka_PR, from what plasma binds beyond its lipids."""
        lipid = _lipid(self.plasma, 10.0**drug.log_p) / (1.0 + plasma)
        return jax.nn.relu(1.0 / drug.fu - 1.0 - lipid)

    def _phospholipid(self, drug: Compound, plasma: Any) -> Any:
        """Ka_AP, from what erythrocytes hold beyond their water and lipids."""
        cells, charged = self.erythrocytes, ionised_to_neutral(drug.acids, drug.bases, self.ph_erythrocyte)
        held = erythrocytes_to_plasma(drug, self.haematocrit) / drug.fu
        water = (1.0 + charged) / (1.0 + plasma) * cells.intracellular_water
        rest = held - water - _lipid(cells, 10.0**drug.log_p) / (1.0 + plasma)
        return jax.nn.relu(rest) * (1.0 + plasma) / (cells.acidic_phospholipid * charged)


def _lipid(part: Constituents, lipophilicity: Any) -> Any:
    return lipophilicity * part.neutral_lipid + (0.3 * lipophilicity + 0.7) * part.phospholipid


RAT_ERYTHROCYTES = Constituents(0.0017, 0.0029, 0.0, 0.603, 0.5, 0.0, 0.0)
RAT_PLASMA = Constituents(0.0023, 0.0013, 0.0, 0.0, 0.0, 0.0, 0.0)

RAT = {
    "adipose": Constituents(0.853, 0.0016, 0.135, 0.017, 0.4, 0.049, 0.068),
    "bone": Constituents(0.017, 0.0017, 0.1, 0.346, 0.67, 0.1, 0.05),
    "brain": Constituents(0.039, 0.0015, 0.162, 0.62, 0.4, 0.048, 0.041),
    "gut": Constituents(0.038, 0.0125, 0.282, 0.475, 2.41, 0.158, 0.141),
    "heart": Constituents(0.014, 0.0111, 0.32, 0.456, 2.25, 0.157, 0.16),
    "kidney": Constituents(0.012, 0.0242, 0.273, 0.483, 5.03, 0.13, 0.137),
    "liver": Constituents(0.014, 0.024, 0.161, 0.573, 4.56, 0.086, 0.161),
    "lung": Constituents(0.022, 0.0128, 0.336, 0.446, 3.91, 0.212, 0.168),
    "muscle": Constituents(0.01, 0.0072, 0.118, 0.63, 1.53, 0.064, 0.059),
    "pancreas": Constituents(0.041, 0.0093, 0.12, 0.664, 1.67, 0.06, 0.06),
    "skin": Constituents(0.06, 0.0044, 0.382, 0.291, 1.32, 0.277, 0.096),
    "spleen": Constituents(0.0077, 0.0113, 0.207, 0.579, 3.18, 0.097, 0.207),
    "thymus": Constituents(0.017, 0.0092, 0.15, 0.626, 2.3, 0.075, 0.075),
}
"""Rodgers and Rowland's rat."""
