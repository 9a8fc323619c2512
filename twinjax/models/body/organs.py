"""Organs of a body: tissues limited by perfusion or permeability, with or without elimination, and the gut."""

from __future__ import annotations

from typing import Annotated, Any

import equinox as eqx

from twinjax.models.body.elimination import AbstractElimination
from twinjax.models.body.organ import AbstractOrgan, Flow, total
from twinjax.units import (
    Amount,
    AmountRate,
    Bounds,
    Clearance,
    Concentration,
    Fraction,
    Number,
    Rate,
    Scalar,
    Unit,
    Volume,
)

Transit = Annotated[Scalar, Unit("1/h"), Bounds(0.0)]


class Contents(eqx.Module):
    """Drug in a well-stirred organ."""

    amount: Amount


class Cleared(eqx.Module):
    """Drug in an organ, and what it has removed."""

    amount: Amount
    removed: Amount


class Two(eqx.Module):
    """Drug in an organ's blood, and in its tissue."""

    blood: Amount
    tissue: Amount


class GutContents(eqx.Module):
    """Drug undissolved, dissolved in the lumen, in the mucosa, in the rest of the wall; excreted; metabolised."""

    solid: Amount
    lumen: Amount
    mucosa: Amount
    wall: Amount
    faeces: Amount
    removed: Amount


class Tissue(AbstractOrgan):
    """Perfusion-limited, well-stirred; no elimination.

    ``amount' = Q (C_in - amount / (volume kp))``
    **Parameters**: `volume` (L); `kp`, tissue:blood ratio at steady state.
    """

    volume: Volume
    kp: Number

    def initial(self):
        """Empty."""
        return Contents(0.0)

    def removed(self, y, unbound):
        """Nothing."""
        return 0.0

    def exchange(self, y, inflow):
        """Blood leaves in equilibrium with the tissue."""
        outflow = Flow(inflow.rate, y.amount / (self.volume * self.kp), inflow.unbound)
        return Contents(inflow.flux - outflow.flux), outflow


class ClearingTissue(AbstractOrgan):
    """A perfusion-limited tissue that removes unbound drug: a liver, a kidney.

    ``amount' = Q (C_in - C_out) - sum of pathways at unbound C_out``, ``C_out = amount / (volume kp)``
    **Parameters**: `volume` (L); `kp`, tissue:blood; `pathways` by name.
    """

    volume: Volume
    kp: Number
    pathways: dict[str, AbstractElimination]

    def initial(self):
        """Empty."""
        return Cleared(0.0, 0.0)

    def unbound(self, y: Any, unbound: Fraction) -> Concentration:
        """Unbound concentration that the pathways meet."""
        return unbound * y.amount / (self.volume * self.kp)

    def rates(self, y: Any, unbound: Fraction) -> dict[str, AmountRate]:
        """Drug removed by each pathway."""
        return {n: p.rate(self.unbound(y, unbound)) for n, p in self.pathways.items()}

    def removed(self, y, unbound):
        """By all pathways."""
        return total(list(self.rates(y, unbound).values()))

    def exchange(self, y, inflow):
        """Blood leaves in equilibrium with the tissue."""
        outflow = Flow(inflow.rate, y.amount / (self.volume * self.kp), inflow.unbound)
        removed = self.removed(y, inflow.unbound)
        return Cleared(inflow.flux - outflow.flux - removed, removed), outflow


class PermeableTissue(AbstractOrgan):
    """Permeability-limited: blood in the organ, and tissue behind a membrane.

    .. code-block:: text

        blood'  = Q (C_in - C_blood) - ps unbound (C_blood - C_tissue / kp)
        tissue' = ps unbound (C_blood - C_tissue / kp)

    **Parameters**: `blood`, `tissue`, volumes (L); `ps`, permeability-surface product (L/h); `kp`, tissue:blood.
    """

    blood: Volume
    tissue: Volume
    ps: Clearance
    kp: Number

    def initial(self):
        """Empty."""
        return Two(0.0, 0.0)

    def removed(self, y, unbound):
        """Nothing."""
        return 0.0

    def exchange(self, y, inflow):
        """The organ's blood leaves as it is."""
        blood = y.blood / self.blood
        across = self.ps * inflow.unbound * (blood - y.tissue / (self.tissue * self.kp))
        outflow = Flow(inflow.rate, blood, inflow.unbound)
        return Two(inflow.flux - outflow.flux - across, across), outflow


class Gut(AbstractOrgan):
    """A gut: lumen with dissolution and first-order absorption, a mucosa that metabolises, and the rest of its wall.

    .. code-block:: text

        solid' = -dissolution solid      lumen' = dissolution solid - (ka + transit) lumen      faeces' = transit lumen
        mucosa' = ka lumen + s Q C_in - s Q C_mucosa - sum of pathways at unbound C_mucosa
        wall'   = (1 - s) Q (C_in - C_wall)              C_x = amount / (volume kp), s the share of blood to the mucosa

    **Parameters**: `volume` of the whole wall, `mucosa` of its mucosa (L); `kp`, tissue:blood; `share` of its blood;
    `dissolution`, `ka`, `transit` (1/h); `pathways` of the mucosa by name.
    **Assumptions**: one well-stirred lumen; what is dissolved is absorbed or lost in proportion ka : transit.
    """

    volume: Volume
    mucosa: Volume
    kp: Number
    share: Fraction
    dissolution: Rate
    ka: Rate
    transit: Transit
    pathways: dict[str, AbstractElimination]

    def initial(self):
        """Empty."""
        return GutContents(0.0, 0.0, 0.0, 0.0, 0.0, 0.0)

    def unbound(self, y: Any, unbound: Fraction) -> Concentration:
        """Unbound concentration in the mucosa."""
        return unbound * y.mucosa / (self.mucosa * self.kp)

    def rates(self, y: Any, unbound: Fraction) -> dict[str, AmountRate]:
        """Drug removed by each pathway."""
        return {n: p.rate(self.unbound(y, unbound)) for n, p in self.pathways.items()}

    def removed(self, y, unbound):
        """By all pathways."""
        return total(list(self.rates(y, unbound).values()))

    def exchange(self, y, inflow):
        """Mucosal and other blood join in the portal vein."""
        removed = self.removed(y, inflow.unbound)
        dissolved, absorbed, lost = self.dissolution * y.solid, self.ka * y.lumen, self.transit * y.lumen
        mucosa, wall = y.mucosa / (self.mucosa * self.kp), y.wall / ((self.volume - self.mucosa) * self.kp)
        concentration = self.share * mucosa + (1.0 - self.share) * wall
        outflow = Flow(inflow.rate, concentration, inflow.unbound)
        rates = GutContents(
            solid=-dissolved,
            lumen=dissolved - absorbed - lost,
            mucosa=absorbed + self.share * inflow.rate * (inflow.concentration - mucosa) - removed,
            wall=(1.0 - self.share) * inflow.rate * (inflow.concentration - wall),
            faeces=lost,
            removed=removed,
        )
        return rates, outflow
