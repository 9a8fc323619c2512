"""A gut-liver chip: drug crosses an intestinal cell layer, and both sides' cells conjugate it."""

from __future__ import annotations

from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp

from twinjax.models.base import AbstractModel
from twinjax.units import Clearance, MolarConcentration, Rate, Time, Volume


class Sides(eqx.Module):
    """Concentrations in the apical medium, in the intestinal cells, and in the basolateral medium with liver cells."""

    apical: MolarConcentration
    gut: MolarConcentration
    basolateral: MolarConcentration


class GutLiverChip(AbstractModel):
    """Acetaminophen, its sulphate and glucuronide, on a chip of Caco-2 over HepG2 cells.

    .. code-block:: text

        apical' = -ps (apical - gut) / V_apical
        gut'    = (ps (apical - gut) - ps (gut - basolateral)) / V_gut - (sulphation_gut + glucuronidation_gut) gut
        basolateral' = ps (gut - basolateral) / V_basolateral - (sulphation_liver + glucuronidation_liver) basolateral

    and the same for each metabolite, with its own ps and what is formed of it. After `sampled`, both media are smaller
    by `sample`, their concentrations unchanged.
    **Parameters**: `ps_*`, permeability times area (L/h); first-order formation in the cells of each side (1/h);
    volumes (L); `sampled` (h), `sample` (L).
    **Assumptions**: each side well stirred; formation in proportion to the side's concentration; metabolites stay.
    **Reference**: Lee et al. 2017, a model of first-pass metabolism on a chip, PMID 29116458 (BioModels
    BIOMD0000000947, CC0), with the typical values from uL/h and uL; the cells are given 2500 umol/L apically.
    """

    ps_drug: Clearance
    ps_sulphate: Clearance
    ps_glucuronide: Clearance
    sulphation_gut: Rate
    glucuronidation_gut: Rate
    sulphation_liver: Rate
    glucuronidation_liver: Rate
    apical: Volume
    gut: Volume
    basolateral: Volume
    sample: Volume
    sampled: Time

    stiff: ClassVar[bool] = True

    class State(eqx.Module):
        """Drug and its two conjugates on both sides and in the cells between."""

        drug: Sides
        sulphate: Sides
        glucuronide: Sides

    class Output(eqx.Module):
        """Drug and its two conjugates on both sides."""

        drug_apical: MolarConcentration
        drug_basolateral: MolarConcentration
        sulphate_apical: MolarConcentration
        sulphate_basolateral: MolarConcentration
        glucuronide_apical: MolarConcentration
        glucuronide_basolateral: MolarConcentration

    def initial(self):
        """Fresh medium."""
        return self.State(*(Sides(0.0, 0.0, 0.0) for _ in range(3)))

    def derivative(self, t, y, u):
        """Permeation and formation."""
        taken = jnp.where(t > self.sampled, self.sample, 0.0 * self.sample)
        above, below = self.apical - taken, self.basolateral - taken

        def permeate(ps, c, entering):
            inward, onward = ps * (c.apical - c.gut), ps * (c.gut - c.basolateral)
            return Sides(
                apical=entering.apical - inward / above,
                gut=entering.gut + (inward - onward) / self.gut,
                basolateral=entering.basolateral + onward / below,
            )

        def form(rates, gut, liver):
            return Sides(rates.apical, rates.gut + gut * y.drug.gut, rates.basolateral + liver * y.drug.basolateral)

        lost_gut = -(self.sulphation_gut + self.glucuronidation_gut)
        lost_liver = -(self.sulphation_liver + self.glucuronidation_liver)
        return self.State(
            drug=form(permeate(self.ps_drug, y.drug, u.drug), lost_gut, lost_liver),
            sulphate=form(
                permeate(self.ps_sulphate, y.sulphate, u.sulphate), self.sulphation_gut, self.sulphation_liver
            ),
            glucuronide=form(
                permeate(self.ps_glucuronide, y.glucuronide, u.glucuronide),
                self.glucuronidation_gut,
                self.glucuronidation_liver,
            ),
        )

    def output(self, t, y, u):
        """What sampling sees."""
        return self.Output(
            y.drug.apical, y.drug.basolateral, y.sulphate.apical, y.sulphate.basolateral, y.glucuronide.apical,
            y.glucuronide.basolateral,
        )  # fmt: skip

    @classmethod
    def typical(cls):
        """Lee's chip."""
        area = 0.33 * 1e-6
        return cls(
            ps_drug=103.8 * area, ps_sulphate=49.9 * area, ps_glucuronide=58.9 * area, sulphation_gut=14.9,
            glucuronidation_gut=17.6, sulphation_liver=0.35, glucuronidation_liver=0.59, apical=500e-6, gut=0.33e-6,
            basolateral=380e-6, sample=100e-6, sampled=6.0,
        )  # fmt: skip
