"""Bile: drug that the liver hands to the gut, held back by the gallbladder until a meal."""

from __future__ import annotations

from typing import Any

import equinox as eqx

from twinjax.units import Clearance, Rate


class Bile(eqx.Module):
    """What hepatocytes secrete, and when it reaches the gut's lumen.

    .. code-block:: text

        bile'    = secretion Cu - (emptying + sum ejection_k eating_k) bile
        meals_k' = eating_k                                                     the hours spent at meals of each kind

    A meal is an infusion at a rate of 1 into the hours of its kind, so that solvers know when it begins and ends:
    ``twinjax.bodies.meal("lunch", at=150.0, count=3)`` is a lunch of half an hour at 150 h and on the two days after.
    **Parameters**: by drug, `secretion`, unbound intrinsic clearance into bile (L/h); `emptying` of bile ducts and
    gallbladder between meals (1/h), and `ejection` (1/h), what meals add to it while they last, by kind; `becomes`,
    conjugates that the gut's bacteria turn back, by the name of what appears in the lumen.
    **Assumptions**: ducts and gallbladder are one tank; all of a conjugate named in `becomes` is turned back, at once.
    **Reference**: Roberts et al. 2002, Clin Pharmacokinet 41:751, doi:10.2165/00003088-200241100-00005.
    """

    secretion: dict[str, Clearance]
    emptying: Rate
    ejection: dict[str, Rate] = eqx.field(default_factory=dict)
    becomes: tuple[tuple[str, str], ...] = eqx.field(static=True, default=())

    def initial(self) -> dict[str, Any]:
        """Nothing eaten."""
        return dict.fromkeys(self.ejection, 0.0)

    def secretes(self, unbound: dict[str, Any]) -> dict[str, Any]:
        """Drug into bile (umol/h), zero for what is not named."""
        return {n: self.secretion[n] * c if n in self.secretion else 0.0 * c for n, c in unbound.items()}

    def empties(self, meals: dict[str, Any], stored: dict[str, Any]) -> dict[str, Any]:
        """Drug out of bile (umol/h) where `meals` holds 1 for each kind that is being eaten, 0 for the others."""
        rate = self.emptying
        for kind, ejection in self.ejection.items():
            rate = rate + ejection * meals[kind]
        return {n: rate * a for n, a in stored.items()}

    def arrives(self, released: dict[str, Any]) -> dict[str, Any]:
        """What appears in the lumen of it, conjugates turned back."""
        back = dict(self.becomes)
        found = {n: 0.0 * r if n in back else r for n, r in released.items()}
        for conjugate, drug in back.items():
            found[drug] = found[drug] + released[conjugate]
        return found
