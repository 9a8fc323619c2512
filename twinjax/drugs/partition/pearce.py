"""Pearce's calibration of Schmitt's method: cells and interstitium, then a regression on measured coefficients."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax.numpy as jnp

from twinjax.drugs.compound import Compound
from twinjax.drugs.partition.base import AbstractPartition
from twinjax.units import Fraction, Number, Real, Scalar


class Cells(eqx.Module):
    """Fractions of a tissue that are cells and interstitium; of cells: water, lipid, protein; of lipid: neutral lipid,
    neutral and acidic phospholipid; pH of cells.
    """

    cells: Fraction
    interstitium: Fraction
    water: Fraction
    lipid: Fraction
    protein: Fraction
    neutral_lipid: Fraction
    neutral_phospholipid: Fraction
    acidic_phospholipid: Fraction
    ph: Real


class Pearce(AbstractPartition):
    """Tissue:plasma ratio by Schmitt's mechanisms, corrected by a line in logarithms for each tissue.

    .. code-block:: text

        Kpu = interstitium (w + 0.37 (1/fu - w)) + kappa cells (w_c + D nl + K npl + K_apl apl + K_p protein)
        log10 Kp = intercept + slope log10(fu Kpu)        kappa = uncharged in plasma over uncharged in cells

    w is plasma's water, D the neutral lipid's affinity (charged molecules 1/1000 of it), K the membrane affinity (from
    log P where it was not measured), K_apl that of acidic phospholipid (cations 20, anions 1/20 of it), K_p that of
    protein, 0.163 + 0.0221 K.
    **Parameters**: `tissues`, composition by name; `regression`, intercept and slope by name (none, no correction);
    `protein`, volume fraction of plasma; `alpha`, what of a charged molecule's affinity for neutral lipid remains.
    **Assumptions**: `fu` is corrected for lipid in the assay; charge states follow macroscopic constants.
    **Reference**: Pearce et al. 2017, J Pharmacokinet Pharmacodyn 44:549, doi:10.1007/s10928-017-9548-7; Schmitt 2008,
    doi:10.1016/j.tiv.2007.09.010; membrane affinity Yun and Edginton 2013, Xenobiotica 43:839,
    doi:10.3109/00498254.2013.770182. Numbers: httk 2.7 (MIT).
    """

    tissues: dict[str, Cells] = eqx.field(default_factory=lambda: dict(HUMAN))
    regression: dict[str, tuple[Scalar, Scalar]] = eqx.field(default_factory=lambda: dict(REGRESSION))
    protein: Fraction = 0.06951
    alpha: Number = 1e-3

    def coefficient(self, drug: Compound, tissue: str) -> Any:
        """Tissue:plasma ratio of total concentrations."""
        part, k = self.tissues[tissue], membrane_affinity(drug)
        neutral, anion, cation, zwitterion = charge_states(drug.acids, drug.bases, part.ph)
        in_plasma = charge_states(drug.acids, drug.bases, 7.4)
        lipid = 10.0**drug.log_p * (1.0 + (self.alpha - 1.0) * (anion + cation))
        acidic = k * (neutral + zwitterion + 20.0 * cation + 0.05 * anion)
        water = 1.0 - self.protein
        outside = water + 0.37 * (1.0 / drug.fu - water)
        inside = part.water + (0.163 + 0.0221 * k) * part.protein
        inside = inside + part.lipid * (
            lipid * part.neutral_lipid + k * part.neutral_phospholipid + acidic * part.acidic_phospholipid
        )
        kappa = self._uncharged(in_plasma) / self._uncharged((neutral, anion, cation, zwitterion))
        whole = part.cells + part.interstitium
        ratio = drug.fu * (part.interstitium * outside + kappa * part.cells * inside) / whole
        if tissue not in self.regression:
            return ratio
        intercept, slope = self.regression[tissue]
        return 10.0 ** (intercept + slope * jnp.log10(ratio))

    def _uncharged(self, states: tuple[Any, Any, Any, Any]) -> Any:
        neutral, anion, cation, zwitterion = states
        return neutral + zwitterion + self.alpha * (anion + cation)


def membrane_affinity(drug: Compound) -> Any:
    """Phosphatidylcholine:water coefficient: measured, else ``10^(1.294 + 0.304 log P)``."""
    return 10.0 ** (1.294 + 0.304 * drug.log_p if drug.log_ma is None else drug.log_ma)


def charge_states(acids: Sequence[Scalar], bases: Sequence[Scalar], ph: Scalar) -> tuple[Any, Any, Any, Any]:
    """Fractions neutral, negative, positive and both, of molecules that lose protons in the order of their pKa.

    **Assumptions**: constants are macroscopic, so that each describes the next proton of the whole molecule.
    **Raises** `ValueError` where pKa are traced: their order is part of the equations.
    """
    try:
        points = sorted([(float(a), -1) for a in acids] + [(float(b), 1) for b in bases])
    except Exception as traced:
        raise ValueError("charge_states needs known pKa values, for their order") from traced
    accepted, donated, exponent = len(bases), 0, 0.0
    weights: list[tuple[int, int, Any]] = [(accepted, donated, 1.0)]
    for pka, kind in points:
        exponent = exponent + ph - pka
        accepted, donated = (accepted - 1, donated) if kind > 0 else (accepted, donated + 1)
        weights.append((accepted, donated, 10.0**exponent))
    total = sum(w for *_, w in weights)
    neutral = sum(w for a, d, w in weights if a == d == 0) / total
    negative = sum(w for a, d, w in weights if d > a) / total
    positive = sum(w for a, d, w in weights if a > d) / total
    return neutral, negative, positive, sum(w for a, d, w in weights if a == d > 0) / total


HUMAN = {
    "adipose": Cells(0.86, 0.14, 0.02002, 0.934, 0.04601, 0.9361, 0.05607, 0.007859, 7.1),
    "bone": Cells(0.9, 0.1, 0.26, 0.02, 0.21, 0.85, 0.11, 0.04, 7.0),
    "brain": Cells(0.995, 0.005, 0.8043, 0.1123, 0.08341, 0.3734, 0.4588, 0.1678, 7.1),
    "gut": Cells(0.9, 0.096, 0.78, 0.07, 0.15, 0.69, 0.26, 0.05, 7.0),
    "heart": Cells(0.75, 0.25, 0.6957, 0.1375, 0.1668, 0.8901, 0.07901, 0.0309, 7.1),
    "kidney": Cells(0.835, 0.165, 0.7661, 0.06407, 0.1698, 0.6375, 0.294, 0.06853, 7.22),
    "liver": Cells(0.77, 0.23, 0.7244, 0.09231, 0.1833, 0.7244, 0.2251, 0.05051, 7.23),
    "lung": Cells(0.8, 0.2, 0.8038, 0.01316, 0.183, 0.3, 0.56, 0.14, 6.6),
    "muscle": Cells(0.85, 0.15, 0.7991, 0.02387, 0.177, 0.5394, 0.3817, 0.07884, 6.81),
    "skin": Cells(0.4, 0.6, 0.427, 0.2831, 0.2898, 0.3599, 0.5019, 0.1382, 7.0),
    "spleen": Cells(0.745, 0.255, 0.7699, 0.03946, 0.1907, 0.5341, 0.393, 0.07287, 7.0),
    "erythrocytes": Cells(1.0, 0.0, 0.6643, 0.00501, 0.3307, 0.4, 0.5, 0.1, 7.2),
}
"""Tissues of man."""

_OTHERS = (
    Cells(0.724, 0.276, 0.793, 0.0083, 0.1535, 0.6273, 0.2987, 0.0738, 7.32),
    Cells(0.86, 0.14, 0.69, 0.05, 0.16, 0.92, 0.064, 0.014, 7.3),
)
"""Placenta and thyroid, which count in the mean that stands for the rest of the body."""

_MEAN = [*(c for n, c in HUMAN.items() if n != "erythrocytes"), *_OTHERS]
HUMAN["rest"] = Cells(*(sum(getattr(c, f) for c in _MEAN) / len(_MEAN) for f in vars(_MEAN[0])))

REGRESSION = {
    "brain": (-0.167, 0.543), "adipose": (-0.325, 0.574), "gut": (0.143, 0.764), "heart": (0.116, 0.683),
    "kidney": (0.452, 0.673), "liver": (0.475, 0.621), "lung": (0.087, 0.866), "muscle": (-0.022, 0.658),
    "skin": (-0.09, 0.566), "spleen": (0.034, 0.765), "bone": (0.036, 0.781),
}  # fmt: skip
"""Intercept and slope of measured against predicted ratios, for an fu that is corrected for lipid (Pearce, table 4)."""
