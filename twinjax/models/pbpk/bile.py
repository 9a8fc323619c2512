"""Bile: drug that the liver hands to the gut, held back by the gallbladder until a meal."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax.numpy as jnp

from twinjax.units import Clearance, Rate, Time


class Bile(eqx.Module):
    """What hepatocytes secrete, and when it reaches the gut's lumen.

    .. code-block:: text

        bile' = secretion Cu - (emptying + meal) bile        meal = ejection within `lasting` after each of `meals`

    **Parameters**: by drug, `secretion`, unbound intrinsic clearance into bile (L/h); `emptying` of bile ducts and
    gallbladder between meals (1/h); `meals`, their times by name (h), `ejection` (1/h) and `lasting` (h) of each;
    `becomes`, conjugates that the gut's bacteria turn back, by the name of what appears in the lumen.
    **Assumptions**: ducts and gallbladder are one tank; all of a conjugate named in `becomes` is turned back, at once.
    **Reference**: Roberts et al. 2002, Clin Pharmacokinet 41:751, doi:10.2165/00003088-200241100-00005.
    """

    secretion: dict[str, Clearance]
    emptying: Rate
    meals: dict[str, Time] = eqx.field(default_factory=dict)
    ejection: Rate = 0.0
    lasting: Time = 0.0
    becomes: tuple[tuple[str, str], ...] = eqx.field(static=True, default=())

    def __check_init__(self) -> None:
        """Meals come with what they do."""
        if self.meals and any(isinstance(x, float) and x == 0.0 for x in (self.ejection, self.lasting)):
            raise ValueError("meals empty the gallbladder: give their ejection (1/h) and lasting (h)")

    def secretes(self, unbound: dict[str, Any]) -> dict[str, Any]:
        """Drug into bile (umol/h), zero for what is not named."""
        return {n: self.secretion[n] * c if n in self.secretion else 0.0 * c for n, c in unbound.items()}

    def empties(self, t: Any, stored: dict[str, Any]) -> dict[str, Any]:
        """Drug out of bile at time t (umol/h)."""
        rate = self.emptying
        for meal in self.meals.values():
            eating = (t >= meal) & (t < meal + self.lasting)
            rate = rate + jnp.where(eating, self.ejection, 0.0 * self.ejection)
        return {n: rate * a for n, a in stored.items()}

    def arrives(self, released: dict[str, Any]) -> dict[str, Any]:
        """What appears in the lumen of it, conjugates turned back."""
        back = dict(self.becomes)
        found = {n: 0.0 * r if n in back else r for n, r in released.items()}
        for conjugate, drug in back.items():
            found[drug] = found[drug] + released[conjugate]
        return found
