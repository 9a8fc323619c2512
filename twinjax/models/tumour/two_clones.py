"""A patient's tumour of two clones, each with the drug response that cells in a dish showed."""

from __future__ import annotations

import math
from typing import Annotated, ClassVar

import equinox as eqx
import jax.numpy as jnp

from twinjax.models.base import AbstractModel, Balance
from twinjax.models.pd.effect import hill
from twinjax.units import Bounds, Fraction, MolarConcentration, Number, Rate, Scalar, Unit

Cells = Annotated[Scalar, Unit("cells")]
Growth = Annotated[Scalar, Unit("1/h"), Bounds(-math.inf, math.inf)]


class TwoClones(AbstractModel):
    """Two clones that grow or die exponentially, at rates that fall with a drug's concentration.

    .. code-block:: text

        sensitive' = rate_s sensitive        rate = growth + log(survival + (1 - survival) / (1 + (c / ec50)^hill)) / h
        resistant' = rate_r resistant        tumour = sensitive + resistant

    The model behind `find_clones`: its estimates are these parameters (`from_clones`), and a regimen takes the place of
    constant concentrations.

    **Parameters** (scalars): `cells` at the start (1e9 cells), `resistant` share of them, and for each clone its net
    `growth` without drug (1/h), `survival`, the factor by which the highest concentrations multiply an hour's growth,
    `ec50` of that factor (umol/L) and its steepness `hill`.
    **Assumptions**: clones neither interact nor turn into each other; growth has no limit; what a concentration does in
    a dish, the same unbound concentration does in the patient, at once.
    **Reference**: Kohn-Luque et al. 2023, Cell Rep Methods 3:100417, doi:10.1016/j.crmeth.2023.100417. Typical values
    are its fit of Ba/F3 cells under imatinib, mixed two sensitive to one resistant.
    """

    quiescent: ClassVar[bool] = False
    per_hour: ClassVar[Annotated[float, Unit("1/h")]] = 1.0

    cells: Cells
    resistant: Fraction
    growth_s: Growth
    survival_s: Fraction
    ec50_s: MolarConcentration
    hill_s: Number
    growth_r: Growth
    survival_r: Fraction
    ec50_r: MolarConcentration
    hill_r: Number

    class State(eqx.Module):
        """Cells of each clone."""

        sensitive: Cells
        resistant: Cells

    class Input(eqx.Module):
        """The unbound concentration that drives the effect."""

        concentration: MolarConcentration = 0.0

    class Output(eqx.Module):
        """All cells, and the share of the resistant clone."""

        tumour: Cells
        fraction: Fraction

    def derivative(self, t, y, u):
        """Each clone by itself."""
        rate_s, rate_r = self._rates(u)
        return self.State(sensitive=rate_s * y.sensitive, resistant=rate_r * y.resistant)

    def _rates(self, u) -> tuple[Rate, Rate]:
        each = (
            (self.growth_s, self.survival_s, self.ec50_s, self.hill_s),
            (self.growth_r, self.survival_r, self.ec50_r, self.hill_r),
        )
        sensitive, resistant = (
            growth + self.per_hour * jnp.log(1.0 - (1.0 - survival) * hill(u.concentration / ec50, gamma))
            for growth, survival, ec50, gamma in each
        )
        return sensitive, resistant

    def output(self, t, y, u):
        """The burden and what it is made of; an extinct tumour has no resistant share."""
        tumour = y.sensitive + y.resistant
        some = tumour > 0.0
        return self.Output(
            tumour=tumour, fraction=jnp.where(some, y.resistant / jnp.where(some, tumour, self.cells), 0.0)
        )

    def initial(self):
        """Mixed at the start."""
        return self.State(sensitive=(1.0 - self.resistant) * self.cells, resistant=self.resistant * self.cells)

    def balances(self, t, y, u):
        """Cells are born and die."""
        rate_s, rate_r = self._rates(u)
        return {"cells": Balance(("sensitive", "resistant"), gain=rate_s * y.sensitive + rate_r * y.resistant)}

    @classmethod
    def typical(cls):
        """The published fit of a two to one mixture."""
        return cls(
            cells=1.0, resistant=0.2587337,
            growth_s=0.03750234742, survival_s=0.91974046551, ec50_s=0.37731564300, hill_s=1.33508251314,
            growth_r=0.06732668556, survival_r=0.98579942341, ec50_r=4.01495957451, hill_r=18.42045195,
        )  # fmt: skip

    @classmethod
    def from_clones(cls, clones, cells=1.0):
        """The tumour of `cells` (1e9) that a mixture of two clones, in umol/L, would be.

        **Raises** `ValueError` for another number of clones.
        """
        return cls(cells=cells, **named_by_clone(clones))


def named_by_clone(clones):
    """Parameters of both clones of a dish by name: `resistant`, and `growth_s` to `hill_r`.

    **Raises** `ValueError` for another number of clones.
    """
    if len(clones.share) != 2:
        raise ValueError(f"{len(clones.share)} clones; this tumour has two: take that fit of `find_clones`")
    named = {
        f"{name}_{end}": getattr(clones, name)[i]
        for name in ("growth", "survival", "ec50", "hill")
        for i, end in enumerate("sr")
    }
    return {"resistant": clones.share[1], **named}
