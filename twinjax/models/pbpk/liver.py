"""Livers: well-stirred, or with a membrane between blood and hepatocytes."""

from __future__ import annotations

from typing import Any

import equinox as eqx

from twinjax.models.pbpk.enzymes import Enzymes
from twinjax.models.pbpk.flow import AbstractOrgan
from twinjax.models.pbpk.tissue import nothing
from twinjax.units import Clearance, MolarAmount, Number, Volume


class Metabolising(eqx.Module):
    """Drugs in an organ, those that it turned into what is not followed, and activities of its enzymes."""

    amount: dict[str, MolarAmount]
    metabolised: dict[str, MolarAmount]
    enzymes: dict[str, Number]


class Liver(AbstractOrgan):
    """Perfusion-limited and well-stirred: enzymes see the unbound drug of the blood that leaves.

    **Parameters**: `volume` (L); by drug, `kp` tissue to blood and `clint`, unbound intrinsic clearance by what is no
    named enzyme (L/h); `enzymes`.
    **Reference**: Pang and Rowland 1977, J Pharmacokinet Biopharm 5:625, doi:10.1007/BF01059688.
    """

    volume: Volume
    kp: dict[str, Number]
    clint: dict[str, Clearance]
    enzymes: Enzymes

    def initial(self):
        """Empty, enzymes at baseline."""
        return Metabolising(nothing(self.kp), nothing(self.kp), self.enzymes.initial())

    def exchange(self, y, inflow):
        """In less out less metabolism."""
        blood = {n: a / self.volume / self.kp[n] for n, a in y.amount.items()}
        unbound = inflow.unbound(blood)
        met = self.enzymes.rates(y.enzymes, unbound, inflow.solutes)
        other = {n: c * unbound[n] for n, c in self.clint.items()}
        out = inflow.leaving({n: inflow.rate * c for n, c in blood.items()})
        entered, left = inflow.flux, out.flux
        amount = {n: entered[n] - left[n] + met.gained[n] - met.lost[n] - other[n] for n in y.amount}
        return Metabolising(amount, {n: met.gone[n] + other[n] for n in y.amount}, met.enzymes), out


class Hepatic(eqx.Module):
    """Drugs in blood and in hepatocytes, those that were turned into what is not followed, and enzymes."""

    blood: dict[str, MolarAmount]
    cells: dict[str, MolarAmount]
    metabolised: dict[str, MolarAmount]
    enzymes: dict[str, Number]


class PermeableLiver(AbstractOrgan):
    """Drug enters hepatocytes through a membrane, by itself and by transporters; enzymes see what is unbound inside.

    .. code-block:: text

        enters = permeability (Cu blood - Cu cells) + amount E kcat Cu / (Km (1 + sum Cu / Ki) + Cu)

    **Parameters**: `volume` of blood and interstitium, in which all is at the concentration of blood (L); `cells`,
    volume of hepatocytes (L); by drug, `kpu`, concentration in cells over unbound in cells, `permeability` (L/h, for
    unbound drug), `clint` as in `Liver`; `enzymes` in the cells; `uptake`, transporters into them (their substrates'
    kinetics and inhibitors are the solutes').
    """

    volume: Volume
    cells: Volume
    kpu: dict[str, Number]
    permeability: dict[str, Clearance]
    clint: dict[str, Clearance]
    enzymes: Enzymes
    uptake: Enzymes

    def initial(self):
        """Empty, enzymes at baseline."""
        none = nothing(self.kpu)
        return Hepatic(none, none, none, self.enzymes.initial() | self.uptake.initial())

    def exchange(self, y, inflow):
        """In less out less what cells take up."""
        blood = {n: a / self.volume for n, a in y.blood.items()}
        outside = inflow.unbound(blood)
        inside = {n: a / self.cells / self.kpu[n] for n, a in y.cells.items()}
        met = self.enzymes.rates(y.enzymes, inside, inflow.solutes)
        active = self.uptake.rates(y.enzymes, outside, inflow.solutes)
        enters = {n: p * (outside[n] - inside[n]) + active.lost[n] for n, p in self.permeability.items()}
        other: dict[str, Any] = {n: c * inside[n] for n, c in self.clint.items()}
        # Transporters turn over in the cells: what induces them acts from inside.
        turned = self.uptake.rates(y.enzymes, inside, inflow.solutes).enzymes
        out = inflow.leaving({n: inflow.rate * c for n, c in blood.items()})
        entered, left = inflow.flux, out.flux
        change = Hepatic(
            {n: entered[n] - left[n] - enters[n] for n in y.blood},
            {n: enters[n] + met.gained[n] - met.lost[n] - other[n] for n in y.cells},
            {n: met.gone[n] + other[n] for n in y.cells},
            met.enzymes | turned,
        )
        return change, out
