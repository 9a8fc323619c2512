"""Low-grade glioma: proliferating and quiescent tissue, and damage that is repaired or kills slowly."""

from __future__ import annotations

from typing import ClassVar

import equinox as eqx

from twinjax.models.base import AbstractModel, Balance
from twinjax.units import Number, Rate, Response


class RibbaGlioma(AbstractModel):
    """Diameter of low-grade gliomas under chemotherapy or radiation.

    .. code-block:: text

        drug'      = -kde drug                                                       drug(0) = 0
        proliferating' = lambda P (1 - (P + Q + D) / capacity) + repair D - quiescence P - gamma kde drug P
        quiescent' = quiescence P - gamma kde drug Q                                 P(0) = p0, Q(0) = q0
        damaged'   = gamma kde drug Q - repair D - death D                           diameter = P + Q + D

    P, Q and D are proliferating, quiescent and damaged quiescent tissue. A dose of 1 into `drug` is one cycle.

    **Parameters** (scalars): `p0`, `q0` at the start (au: mm of mean diameter), `growth` lambda (1/h), `capacity`
    (au), `quiescence`, `repair`, `death` rate constants (1/h), `gamma` damage per drug, `kde` loss of drug (1/h).
    **Assumptions**: drug is without unit (concentrations were not measured); proliferating tissue that is damaged dies
    at once.
    **Reference**: Ribba et al. 2012, Clin Cancer Res 18:5071, doi:10.1158/1078-0432.CCR-12-0084. Typical values are
    those of PCV chemotherapy, per month over 730.5 h. The archived BIOMD0000000521 has a rate ten times too small and
    a term without its state.
    """

    p0: Response
    q0: Response
    growth: Rate
    capacity: Response
    quiescence: Rate
    repair: Rate
    death: Rate
    gamma: Number
    kde: Rate

    quiescent: ClassVar[bool] = False

    class State(eqx.Module):
        """Drug, and the three kinds of tissue."""

        drug: Number
        proliferating: Response
        quiescent: Response
        damaged: Response

    class Input(eqx.Module):
        """Cycles of treatment."""

        drug: Rate = 0.0

    class Output(eqx.Module):
        """Mean tumour diameter."""

        diameter: Response

    def derivative(self, t, y, u):
        """Growth, rest, damage, repair and death."""
        hit = self.gamma * self.kde * y.drug
        total = y.proliferating + y.quiescent + y.damaged
        rests = self.quiescence * y.proliferating
        grown = self.growth * y.proliferating * (1.0 - total / self.capacity)
        repaired = self.repair * y.damaged
        return self.State(
            drug=u.drug - self.kde * y.drug,
            proliferating=grown + repaired - rests - hit * y.proliferating,
            quiescent=rests - hit * y.quiescent,
            damaged=hit * y.quiescent - repaired - self.death * y.damaged,
        )

    def output(self, t, y, u):
        """All tissue."""
        return self.Output(diameter=y.proliferating + y.quiescent + y.damaged)

    def initial(self):
        """Untreated."""
        zero = 0.0 * self.p0
        return self.State(0.0 * self.gamma, self.p0, self.q0, zero)

    def balances(self, t, y, u):
        """Tissue is made by growth, dies at once where it proliferates, and slowly where it was quiescent."""
        total = y.proliferating + y.quiescent + y.damaged
        grown = self.growth * y.proliferating * (1.0 - total / self.capacity)
        lost = self.gamma * self.kde * y.drug * y.proliferating + self.death * y.damaged
        return {"tissue": Balance(("proliferating", "quiescent", "damaged"), gain=grown - lost)}

    @classmethod
    def typical(cls):
        """PCV chemotherapy: 0.121, 0.0295, 0.0031, 0.00867 and 0.24 per month."""
        month = 730.5
        return cls(
            p0=7.13, q0=41.2, growth=0.121 / month, capacity=100.0, quiescence=0.0295 / month, repair=0.0031 / month,
            death=0.00867 / month, gamma=0.729, kde=0.24 / month,
        )  # fmt: skip
