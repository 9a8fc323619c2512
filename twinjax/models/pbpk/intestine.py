"""The gut: a lumen that empties, enterocytes that absorb and metabolise, and the wall around them."""

from __future__ import annotations

import dataclasses

import equinox as eqx
import jax.numpy as jnp

from twinjax.models.pbpk.enzymes import Enzymes
from twinjax.models.pbpk.flow import AbstractGut
from twinjax.models.pbpk.tissue import nothing
from twinjax.units import Clearance, Fraction, MolarAmount, Number, Rate, Volume


class Digesting(eqx.Module):
    """Drugs undissolved in stomach and small intestine, dissolved in both, in enterocytes and in the wall; those
    that left with faeces or were turned into what is not followed; enzymes.
    """

    tablet: dict[str, MolarAmount]
    solid: dict[str, MolarAmount]
    stomach: dict[str, MolarAmount]
    lumen: dict[str, MolarAmount]
    enterocytes: dict[str, MolarAmount]
    amount: dict[str, MolarAmount]
    faeces: dict[str, MolarAmount]
    metabolised: dict[str, MolarAmount]
    enzymes: dict[str, Number]


class Intestine(AbstractGut):
    """First-order absorption through metabolising enterocytes.

    .. code-block:: text

        tablet'      = -(dissolution + passing) tablet                                doses of a tablet
        solid'       = passing tablet - (dissolution + transit) solid
        stomach'     = dissolution tablet - emptying stomach                          doses of a solution
        lumen'       = emptying stomach + dissolution solid - ka lumen - transit lumen
        enterocytes' = ka lumen - villous (Cu enterocytes - Cu blood) - metabolism
        faeces'      = transit (solid + lumen)

    Where solubility limits a drug it is absorbed at ka min(lumen, meets soluble). Where membranes hold drugs back
    (`fluid` is given) P = ka fluid crosses either side of enterocytes: P Cu enterocytes returns to the lumen, and
    villous P / (villous + P) takes the place of villous.
    **Parameters**: `volume` of the wall (L); `cells`, volume of enterocytes (L); `villous`, blood flow that carries
    drug away from them (L/h); `emptying` of the stomach, `passing` of what is solid there, `transit` of the small
    intestine (1/h); by drug, `kp` wall to blood, `ka` and `dissolution` (1/h); of drugs that it limits, `soluble`,
    the most that the lumen's fluid holds (umol), and `meets`, the share of that fluid that they meet (1 unless given);
    `enzymes`; `fluid` of the lumen (L), None where membranes hold nothing back.
    **Assumptions**: drug in enterocytes is unbound and, without `fluid`, leaves them with the villi's blood as fast as
    that flows (the Qgut model of a permeable drug); the lumen is one tank and enterocytes are another; a tablet's
    pieces travel as its solution does.
    **Reference**: Yang et al. 2007, Curr Drug Metab 8:676, doi:10.2174/138920007782109733.
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
    meets: dict[str, Fraction] = eqx.field(default_factory=dict)
    fluid: Volume | None = None

    def initial(self):
        """Empty, enzymes at baseline."""
        none = nothing(self.kp)
        return Digesting(none, none, none, none, none, none, none, none, self.enzymes.initial())

    def exchange(self, y, inflow):
        """What is absorbed joins the blood that leaves."""
        inside = {n: a / self.cells for n, a in y.enterocytes.items()}
        met = self.enzymes.rates(y.enzymes, inside, inflow.solutes)
        absorbed, handed, left = {}, {}, {}
        arriving = inflow.unbound(inflow.concentration)
        for n, lumen in y.lumen.items():
            absorbed[n] = self.ka[n] * (
                jnp.minimum(lumen, self.meets.get(n, 1.0) * self.soluble[n]) if n in self.soluble else lumen
            )
            handed[n] = self.villous * (inside[n] - arriving[n])
            if self.fluid is not None:
                crossing = self.ka[n] * self.fluid
                absorbed[n] = absorbed[n] - crossing * inside[n]
                handed[n] = handed[n] * crossing / (self.villous + crossing)
            left[n] = inflow.rate * y.amount[n] / self.volume / self.kp[n]
        entered = inflow.flux
        dissolved = {n: self.dissolution[n] * a for n, a in y.solid.items()}
        emptied = {n: self.emptying * a for n, a in y.stomach.items()}
        passed = {n: self.transit * (a + y.solid[n]) for n, a in y.lumen.items()}
        change = Digesting(
            tablet={n: -(self.dissolution[n] + self.passing) * a for n, a in y.tablet.items()},
            solid={n: self.passing * a - dissolved[n] - self.transit * y.solid[n] for n, a in y.tablet.items()},
            stomach={n: self.dissolution[n] * y.tablet[n] - e for n, e in emptied.items()},
            lumen={n: emptied[n] + dissolved[n] - absorbed[n] - self.transit * a for n, a in y.lumen.items()},
            enterocytes={n: absorbed[n] - handed[n] + met.gained[n] - met.lost[n] for n in y.lumen},
            amount={n: entered[n] - left[n] for n in y.amount},
            faeces=passed,
            metabolised=met.gone,
            enzymes=met.enzymes,
        )
        return change, inflow.leaving({n: left[n] + handed[n] for n in left})

    def poured(self, change, bile):
        """Bile joins what is dissolved."""
        return dataclasses.replace(change, lumen={n: r + bile[n] for n, r in change.lumen.items()})
