"""The small intestine in seven segments: transit, dissolution and absorption one after the other."""

from __future__ import annotations

import dataclasses
from typing import Any

import equinox as eqx
import jax.numpy as jnp

from twinjax.models.pbpk.enzymes import Enzymes, check_shares
from twinjax.models.pbpk.flow import AbstractGut
from twinjax.models.pbpk.tissue import nothing
from twinjax.units import Clearance, MolarAmount, Number, Rate, Volume

SEGMENTS = ("duodenum", "jejunum_1", "jejunum_2", "ileum_1", "ileum_2", "ileum_3", "ileum_4")
"""In the order in which contents pass."""


class Passing(eqx.Module):
    """Drugs undissolved and dissolved in the stomach; undissolved, dissolved and in enterocytes of each segment; in the
    wall; those that left with faeces or were turned into what is not followed; enzymes of each segment.
    """

    tablet: dict[str, MolarAmount]
    stomach: dict[str, MolarAmount]
    solid: dict[str, dict[str, MolarAmount]]
    lumen: dict[str, dict[str, MolarAmount]]
    enterocytes: dict[str, dict[str, MolarAmount]]
    amount: dict[str, MolarAmount]
    faeces: dict[str, MolarAmount]
    metabolised: dict[str, MolarAmount]
    enzymes: dict[str, dict[str, Number]]


class SegmentedIntestine(AbstractGut):
    """Compartmental absorption and transit, with dissolution and metabolism in each segment.

    .. code-block:: text

        solid_i'  = k solid_{i-1} - k solid_i - dissolved_i                                    k = 7 transit
        lumen_i'  = k lumen_{i-1} - k lumen_i + dissolved_i - absorbed_i
        absorbed_i = ka absorbs_i min(lumen_i, soluble / 7)
        dissolved_i = dissolution solid_i (1 - lumen_i / (soluble / 7))       (...) is 1 where solubility does not limit
        enterocytes_i' = absorbed_i - villous / 7 (Cu enterocytes_i - Cu blood) - metabolism_i

    Of a dissolved drug ``1 - (1 + ka / k)^-7`` is absorbed. The stomach is as in `Intestine`.

    **Parameters**: as `Intestine` (`transit`, of the whole small intestine, and `soluble`, in all of its fluid);
    `absorbs`, absorption of each segment over the mean, which add up to 7, and `shares` of enzymes by segment, to 1.
    **Assumptions**: segments have equal fluid, cells, blood and transit; what leaves the last is lost to faeces.
    **Raises** `ValueError` for segments that are missing, and numbers that do not add up.
    **Reference**: transit Yu and Amidon 1999, Int J Pharm 186:119, doi:10.1016/S0378-5173(99)00147-7; dissolution and
    metabolism by segment as in Agoram et al. 2001, Adv Drug Deliv Rev 50:S41, doi:10.1016/S0169-409X(01)00179-X.
    """

    volume: Volume
    cells: Volume
    villous: Clearance
    emptying: Rate
    passing: Rate
    transit: Rate
    kp: dict[str, Number]
    ka: dict[str, Rate]
    dissolution: dict[str, Rate]
    soluble: dict[str, MolarAmount]
    enzymes: Enzymes
    absorbs: dict[str, Number]
    shares: dict[str, Number]

    def __check_init__(self) -> None:
        """Every segment is named, and enzymes and absorption are there once."""
        check_shares("absorbs", self.absorbs, SEGMENTS, float(len(SEGMENTS)))
        check_shares("shares", self.shares, SEGMENTS, 1.0)

    def initial(self):
        """Empty, enzymes at baseline."""
        none = nothing(self.kp)
        each: dict[str, Any] = dict.fromkeys(SEGMENTS, none)
        enzymes: dict[str, Any] = dict.fromkeys(SEGMENTS, self.enzymes.initial())
        return Passing(none, none, each, each, each, none, none, none, enzymes)

    def exchange(self, y, inflow):
        """Contents move on, and what is absorbed joins the blood that leaves."""
        even, k = 1.0 / len(SEGMENTS), len(SEGMENTS) * self.transit
        arriving = inflow.unbound(inflow.concentration)
        entering = {n: self.passing * a for n, a in y.tablet.items()}
        arrived = {n: self.emptying * a for n, a in y.stomach.items()}
        change: dict[str, dict[str, Any]] = {"solid": {}, "lumen": {}, "enterocytes": {}, "enzymes": {}}
        handed: dict[str, Any] = {n: 0.0 for n in self.kp}
        gone: dict[str, Any] = {n: 0.0 for n in self.kp}
        for segment in SEGMENTS:
            solid, lumen = y.solid[segment], y.lumen[segment]
            dissolved = {n: self.dissolution[n] * a * self._room(n, lumen[n]) for n, a in solid.items()}
            absorbed = {n: self.ka[n] * self.absorbs[segment] * self._solved(n, a) for n, a in lumen.items()}
            inside = {n: a / (self.cells * even) for n, a in y.enterocytes[segment].items()}
            here = Enzymes({e: a * self.shares[segment] for e, a in self.enzymes.amount.items()}, self.enzymes.kdeg)
            met = here.rates(y.enzymes[segment], inside, inflow.solutes)
            out = {n: even * self.villous * (inside[n] - arriving[n]) for n in inside}
            change["solid"][segment] = {n: entering[n] - k * a - dissolved[n] for n, a in solid.items()}
            change["lumen"][segment] = {n: arrived[n] - k * a + dissolved[n] - absorbed[n] for n, a in lumen.items()}
            change["enterocytes"][segment] = {n: absorbed[n] - out[n] + met.gained[n] - met.lost[n] for n in inside}
            change["enzymes"][segment] = met.enzymes
            entering, arrived = {n: k * a for n, a in solid.items()}, {n: k * a for n, a in lumen.items()}
            handed = {n: h + out[n] for n, h in handed.items()}
            gone = {n: g + met.gone[n] for n, g in gone.items()}
        entered = inflow.flux
        left = {n: inflow.rate * a / self.volume / self.kp[n] for n, a in y.amount.items()}
        made = Passing(
            tablet={n: -(self.dissolution[n] + self.passing) * a for n, a in y.tablet.items()},
            stomach={n: self.dissolution[n] * y.tablet[n] - self.emptying * a for n, a in y.stomach.items()},
            amount={n: entered[n] - left[n] for n in y.amount},
            faeces={n: entering[n] + arrived[n] for n in y.faeces},
            metabolised=gone,
            **change,
        )
        return made, inflow.leaving({n: left[n] + handed[n] for n in left})

    def _solved(self, drug: str, lumen: Any) -> Any:
        """What of a segment's contents its fluid can hold in solution."""
        return jnp.minimum(lumen, self.soluble[drug] / len(SEGMENTS)) if drug in self.soluble else lumen

    def _room(self, drug: str, dissolved: Any) -> Any:
        """How far a segment is from saturation; 1 where solubility does not limit."""
        return 1.0 - dissolved * len(SEGMENTS) / self.soluble[drug] if drug in self.soluble else 1.0

    def poured(self, change, bile):
        """Bile joins what is dissolved in the duodenum."""
        first = {n: r + bile[n] for n, r in change.lumen[SEGMENTS[0]].items()}
        return dataclasses.replace(change, lumen={**change.lumen, SEGMENTS[0]: first})
