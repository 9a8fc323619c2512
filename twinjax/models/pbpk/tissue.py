"""Tissues that hold drug and give it back; kidneys that also let it go."""

from __future__ import annotations

from typing import Any

import equinox as eqx

from twinjax.models.pbpk.flow import AbstractOrgan
from twinjax.units import Clearance, MolarAmount, Number, Rate, Volume


def nothing(names: Any) -> dict[str, Any]:
    """No drug, by name."""
    return {n: 0.0 for n in names}


class Contents(eqx.Module):
    """Drugs in a well-stirred organ."""

    amount: dict[str, MolarAmount]


class Tissue(AbstractOrgan):
    """Perfusion-limited and well-stirred: blood leaves at ``amount / volume / kp``.

    **Parameters**: `volume` (L); `kp`, ratio of concentrations of tissue to blood, by drug.
    """

    volume: Volume
    kp: dict[str, Number]

    def initial(self):
        """Empty."""
        return Contents(nothing(self.kp))

    def exchange(self, y, inflow):
        """In less out."""
        out = inflow.leaving({n: inflow.rate * a / self.volume / self.kp[n] for n, a in y.amount.items()})
        entered, left = inflow.flux, out.flux
        return Contents({n: entered[n] - left[n] for n in y.amount}), out


class PermeableTissue(AbstractOrgan):
    """Permeability-limited: drug crosses from capillaries of no volume at ``D (C - amount / volume / kp)``.

    ``D = Q PS unbound / (Q + PS unbound)``: flow Q and permeability in series, either may limit.
    **Parameters**: as `Tissue`, and `permeability`, the permeability-surface product for unbound drug (L/h), by drug.
    **Reference**: Rowland and Tozer, Clinical Pharmacokinetics, 4th ed. 2010, chapter 4.
    """

    volume: Volume
    kp: dict[str, Number]
    permeability: dict[str, Clearance]

    def initial(self):
        """Empty."""
        return Contents(nothing(self.kp))

    def exchange(self, y, inflow):
        """What crosses stays or leaves."""
        crossed = {}
        for n, a in y.amount.items():
            cross = self.permeability[n] * inflow.solutes[n].unbound
            both = inflow.rate * cross / (inflow.rate + cross)
            crossed[n] = both * (inflow.concentration[n] - a / self.volume / self.kp[n])
        entered = inflow.flux
        return Contents(crossed), inflow.leaving({n: entered[n] - x for n, x in crossed.items()})


class Absorbing(eqx.Module):
    """Drugs in the lumen of the gut, and in its wall."""

    lumen: dict[str, MolarAmount]
    amount: dict[str, MolarAmount]


class AbsorbingTissue(AbstractOrgan):
    """A perfusion-limited wall that takes up all of its lumen's drug, ``ka lumen``.

    **Parameters**: as `Tissue`, and `ka` (1/h) by drug.
    """

    volume: Volume
    kp: dict[str, Number]
    ka: dict[str, Rate]

    def initial(self):
        """Empty."""
        return Absorbing(nothing(self.kp), nothing(self.kp))

    def exchange(self, y, inflow):
        """In and from the lumen, less out."""
        absorbed = {n: k * y.lumen[n] for n, k in self.ka.items()}
        out = inflow.leaving({n: inflow.rate * a / self.volume / self.kp[n] for n, a in y.amount.items()})
        entered, left = inflow.flux, out.flux
        return Absorbing(
            {n: -a for n, a in absorbed.items()}, {n: entered[n] + a - left[n] for n, a in absorbed.items()}
        ), out


class Excreting(eqx.Module):
    """Drugs in the kidneys, and those that they passed to urine."""

    amount: dict[str, MolarAmount]
    urine: dict[str, MolarAmount]


class Kidney(AbstractOrgan):
    """A perfusion-limited tissue that filters plasma water and secretes.

    .. code-block:: text

        urine' = filtration passed Cu arriving + secretion Cu leaving          Cu, unbound concentrations of blood

    **Parameters**: as `Tissue`; `filtration`, glomerular (L/h); by drug, `passed`, what of its filtered drug reaches
    the urine (below 1 with reabsorption), and `secretion`, unbound clearance (L/h).
    """

    volume: Volume
    kp: dict[str, Number]
    filtration: Clearance
    passed: dict[str, Number]
    secretion: dict[str, Clearance]

    def initial(self):
        """Empty."""
        return Excreting(nothing(self.kp), nothing(self.kp))

    def exchange(self, y, inflow):
        """In less out less urine."""
        blood = {n: a / self.volume / self.kp[n] for n, a in y.amount.items()}
        arriving, leaving = inflow.unbound(inflow.concentration), inflow.unbound(blood)
        cleared = {
            n: self.filtration * self.passed[n] * arriving[n] + self.secretion[n] * c for n, c in leaving.items()
        }
        out = inflow.leaving({n: inflow.rate * c for n, c in blood.items()})
        entered, left = inflow.flux, out.flux
        return Excreting({n: entered[n] - left[n] - cleared[n] for n in y.amount}, cleared), out
