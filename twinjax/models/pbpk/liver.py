"""Livers: well-stirred, in zones, or with a membrane between blood and hepatocytes; all may secrete bile."""

from __future__ import annotations

from typing import Any

import equinox as eqx

from twinjax.models.pbpk.bile import Bile
from twinjax.models.pbpk.enzymes import Enzymes, check_shares
from twinjax.models.pbpk.flow import AbstractOrgan
from twinjax.models.pbpk.tissue import nothing
from twinjax.units import Clearance, MolarAmount, Number, Time, Volume


class Metabolising(eqx.Module):
    """Drugs in an organ, those that it turned into what is not followed, activities of its enzymes; bile and meals."""

    amount: dict[str, MolarAmount]
    metabolised: dict[str, MolarAmount]
    enzymes: dict[str, Number]
    bile: dict[str, MolarAmount]
    meals: dict[str, Time]


class Liver(AbstractOrgan):
    """Perfusion-limited and well-stirred: enzymes see the unbound drug of the blood that leaves.

    **Parameters**: `volume` (L); by drug, `kp` tissue to blood and `clint`, unbound intrinsic clearance by what is no
    named enzyme (L/h); `enzymes`; `bile`, None for a liver that secretes none.
    **Reference**: Pang and Rowland 1977, J Pharmacokinet Biopharm 5:625, doi:10.1007/BF01059688.
    """

    volume: Volume
    kp: dict[str, Number]
    clint: dict[str, Clearance]
    enzymes: Enzymes
    bile: Bile | None = None

    def initial(self):
        """Empty, enzymes at baseline."""
        none = nothing(self.kp)
        return Metabolising(none, none, self.enzymes.initial(), none if self.bile else {}, meals(self.bile))

    def exchange(self, y, inflow):
        """In less out less metabolism."""
        blood = {n: a / self.volume / self.kp[n] for n, a in y.amount.items()}
        unbound = inflow.unbound(blood)
        met = self.enzymes.rates(y.enzymes, unbound, inflow.solutes)
        other = {n: c * unbound[n] for n, c in self.clint.items()}
        out = inflow.leaving({n: inflow.rate * c for n, c in blood.items()})
        entered, left = inflow.flux, out.flux
        secreted = secretes(self.bile, unbound)
        amount = {n: entered[n] - left[n] + met.gained[n] - met.lost[n] - other[n] for n in y.amount}
        amount = {n: a - secreted.get(n, 0.0) for n, a in amount.items()}
        gone = {n: met.gone[n] + other[n] for n in y.amount}
        return Metabolising(amount, gone, met.enzymes, secreted, meals(self.bile)), out


def secretes(bile: Bile | None, unbound: dict[str, Any]) -> dict[str, Any]:
    """Drug into bile (umol/h); nothing at all for a liver without."""
    return bile.secretes(unbound) if bile else {}


def meals(bile: Bile | None) -> dict[str, Any]:
    """What was eaten, at first and what a liver adds to it: nothing, it is given."""
    return bile.initial() if bile else {}


class Hepatic(eqx.Module):
    """Drugs in blood and in hepatocytes, those that were turned into what is not followed, enzymes; bile and meals."""

    blood: dict[str, MolarAmount]
    cells: dict[str, MolarAmount]
    metabolised: dict[str, MolarAmount]
    enzymes: dict[str, Number]
    bile: dict[str, MolarAmount]
    meals: dict[str, Time]


class PermeableLiver(AbstractOrgan):
    """Drug enters hepatocytes through a membrane, by itself and by transporters; enzymes see what is unbound inside.

    .. code-block:: text

        enters = permeability (Cu blood - Cu cells) + amount E kcat Cu / (Km (1 + sum Cu / Ki) + Cu)

    **Parameters**: `volume` of blood and interstitium, in which all is at the concentration of blood (L); `cells`,
    volume of hepatocytes (L); by drug, `kpu`, concentration in cells over unbound in cells, `permeability` (L/h, for
    unbound drug), `clint` as in `Liver`; `enzymes` in the cells; `uptake`, transporters into them (their substrates'
    kinetics and inhibitors are the solutes'); `bile`, as in `Liver`.
    """

    volume: Volume
    cells: Volume
    kpu: dict[str, Number]
    permeability: dict[str, Clearance]
    clint: dict[str, Clearance]
    enzymes: Enzymes
    uptake: Enzymes
    bile: Bile | None = None

    def initial(self):
        """Empty, enzymes at baseline."""
        none = nothing(self.kpu)
        enzymes = self.enzymes.initial() | self.uptake.initial()
        return Hepatic(none, none, none, enzymes, none if self.bile else {}, meals(self.bile))

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
        secreted = secretes(self.bile, inside)
        change = Hepatic(
            {n: entered[n] - left[n] - enters[n] for n in y.blood},
            {n: enters[n] + met.gained[n] - met.lost[n] - other[n] - secreted.get(n, 0.0) for n in y.cells},
            {n: met.gone[n] + other[n] for n in y.cells},
            met.enzymes | turned,
            secreted,
            meals(self.bile),
        )
        return change, out


class Zoned(eqx.Module):
    """Drugs in each zone of a liver, those turned into what is not followed, enzymes by zone; bile and meals."""

    amount: dict[str, dict[str, MolarAmount]]
    metabolised: dict[str, MolarAmount]
    enzymes: dict[str, dict[str, Number]]
    bile: dict[str, MolarAmount]
    meals: dict[str, Time]


ZONES = ("periportal", "midzonal", "pericentral")
"""In the order in which blood meets them."""


class ZonedLiver(AbstractOrgan):
    """Three well-stirred zones one after the other, each with its share of the enzymes.

    Of a drug that is not saturated ``1 / ((1 + s1 R) (1 + s2 R) (1 + s3 R))`` passes, at shares s and
    ``R = fu CLint / Q``: between the well-stirred liver (all in one zone) and the parallel tube.

    **Parameters**: as `Liver`, and `shares` of an enzyme by zone, which add up to 1, for those that are not spread
    evenly (``{"CYP3A4": {"periportal": 0.2, "midzonal": 0.3, "pericentral": 0.5}}``).
    **Assumptions**: zones have equal volumes; other clearance (`clint`) and bile are spread evenly.
    **Raises** `ValueError` for shares that do not name the three zones, or do not add up.
    **Reference**: tanks in series: Gray and Tam 1987, Drug Metab Dispos 15:27.
    """

    volume: Volume
    kp: dict[str, Number]
    clint: dict[str, Clearance]
    enzymes: Enzymes
    shares: dict[str, dict[str, Number]] = eqx.field(default_factory=dict)
    bile: Bile | None = None

    def __check_init__(self) -> None:
        """Every share has its zone, and an enzyme is there once."""
        for enzyme, shares in self.shares.items():
            check_shares(f"the division of {enzyme}", shares, ZONES, 1.0)

    def initial(self):
        """Empty, enzymes at baseline in every zone."""
        none = nothing(self.kp)
        return Zoned(
            dict.fromkeys(ZONES, none), none, dict.fromkeys(ZONES, self.enzymes.initial()), none if self.bile else {},
            meals(self.bile),
        )  # fmt: skip

    def exchange(self, y, inflow):
        """Blood of each zone enters the next."""
        even = 1.0 / len(ZONES)
        amount, enzymes, flow = {}, {}, inflow
        gone: dict[str, Any] = {n: 0.0 for n in self.kp}
        secreted: dict[str, Any] = {n: 0.0 for n in self.kp} if self.bile else {}
        for zone in ZONES:
            of = {e: self.shares[e][zone] if e in self.shares else even for e in self.enzymes.amount}
            here = Enzymes({e: a * of[e] for e, a in self.enzymes.amount.items()}, self.enzymes.kdeg)
            blood = {n: a / (self.volume * even) / self.kp[n] for n, a in y.amount[zone].items()}
            unbound = inflow.unbound(blood)
            met = here.rates(y.enzymes[zone], unbound, inflow.solutes)
            other = {n: even * c * unbound[n] for n, c in self.clint.items()}
            into = {n: even * r for n, r in secretes(self.bile, unbound).items()}
            entered, out = flow.flux, inflow.leaving({n: inflow.rate * c for n, c in blood.items()})
            left = out.flux
            amount[zone] = {
                n: entered[n] - left[n] + met.gained[n] - met.lost[n] - other[n] - into.get(n, 0.0) for n in blood
            }
            enzymes[zone], flow = met.enzymes, out
            gone = {n: g + met.gone[n] + other[n] for n, g in gone.items()}
            secreted = {n: s + into[n] for n, s in secreted.items()}
        return Zoned(amount, gone, enzymes, secreted, meals(self.bile)), flow
