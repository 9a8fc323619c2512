"""Enzymes of an organ: what they do to drugs, and drugs to them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from twinjax.models.pbpk.solute import Solute
from twinjax.units import MolarAmount, Rate


class Enzymes(eqx.Module):
    """The enzymes of one organ.

    .. code-block:: text

        rate = amount E / (1 + sum_p C_p / Kn_p) kcat C / (Km (1 + sum_p C_p / Ki_p) + C)              of each substrate
        E'   = kdeg (1 + sum_p Emax C_p / (EC50 + C_p)) - (kdeg + sum_p kinact C_p / (KI + C_p)) E

    E is activity over baseline, all concentrations unbound, p any number of perpetrators, competitive (Ki) or not (Kn).
    **Parameters**: by enzyme, `amount` in the organ (umol), `kdeg` turnover (1/h) of those whose amount may change; an
    enzyme without it stays at its baseline.
    **Reference**: Rowland Yeo et al. 2011, Eur J Pharm Sci 43:160, doi:10.1016/j.ejps.2011.04.008.
    """

    amount: dict[str, MolarAmount] = eqx.field(default_factory=dict)
    kdeg: dict[str, Rate] = eqx.field(default_factory=dict)

    def initial(self) -> dict[str, Any]:
        """Every changing enzyme at its baseline."""
        return {e: jnp.ones((), jnp.result_type(float)) for e in self.kdeg}

    def rates(self, active: dict[str, Any], unbound: dict[str, Any], solutes: dict[str, Solute]) -> Turnover:
        """What happens at these activities and unbound concentrations."""
        zero = {n: 0.0 for n in solutes}
        gained, lost, gone = dict(zero), dict(zero), dict(zero)
        for name, solute in solutes.items():
            for enzyme, kinetics in solute.pathways():
                if enzyme not in self.amount:
                    continue
                present = self.amount[enzyme] * active.get(enzyme, 1.0) / self.idle(enzyme, unbound, solutes)
                rate = present * kinetics.turnover(unbound[name], self.inhibition(enzyme, unbound, solutes))
                lost[name] = lost[name] + rate
                to, where = (gone, name) if kinetics.metabolite is None else (gained, kinetics.metabolite)
                to[where] = to[where] + rate
        change = {e: self._change(e, active[e], unbound, solutes) for e in self.kdeg}
        return Turnover(gained, lost, gone, change)

    @staticmethod
    def inhibition(enzyme: str, unbound: dict[str, Any], solutes: dict[str, Solute]) -> Any:
        """The factor on Km; exactly 1 where nothing inhibits."""
        return 1.0 + sum(unbound[n] / s.inhibits[enzyme] for n, s in solutes.items() if enzyme in s.inhibits)

    @staticmethod
    def idle(enzyme: str, unbound: dict[str, Any], solutes: dict[str, Solute]) -> Any:
        """The factor by which noncompetitive inhibitors divide activity."""
        acting = [unbound[n] / s.noncompetitive[enzyme] for n, s in solutes.items() if enzyme in s.noncompetitive]
        return 1.0 + sum(acting)

    def _change(self, enzyme: str, active: Any, unbound: dict[str, Any], solutes: dict[str, Solute]) -> Any:
        made, loss = 1.0, self.kdeg[enzyme]
        for name, solute in solutes.items():
            c = unbound[name]
            if enzyme in solute.induces:
                act = solute.induces[enzyme]
                made = made + act.emax * c / (act.ec50 + c)
            if enzyme in solute.inactivates:
                kill = solute.inactivates[enzyme]
                loss = loss + kill.kinact * c / (kill.ki + c)
        return self.kdeg[enzyme] * made - loss * active


def check_shares(what: str, shares: Mapping[str, Any], places: Sequence[str], total: float) -> None:
    """Refuse shares that miss a place, are negative or do not add up to their total, a rounding of 0.2 % aside.

    What is traced, and what is no number, is let through.
    """
    if set(shares) != set(places):
        raise ValueError(f"{what} is of {sorted(shares)}; give it of {', '.join(places)}")
    known = [s for s in shares.values() if isinstance(s, jax.Array | np.ndarray | float | int)]
    if len(known) < len(shares) or any(isinstance(s, Tracer) for s in known):
        return
    if any(np.any(np.asarray(s) < 0.0) for s in known):
        raise ValueError(f"{what} has a number below zero")
    if not np.allclose(found := sum(np.asarray(s) for s in known), total, rtol=2e-3):
        raise ValueError(f"{what} adds up to {float(np.max(found)):.4g}; it must be {total:g}")


class Turnover(eqx.Module):
    """Drug that forms, goes and leaves for good by drug (umol/h), and rates of change of activities by enzyme."""

    gained: dict[str, Any]
    lost: dict[str, Any]
    gone: dict[str, Any]
    enzymes: dict[str, Any]
