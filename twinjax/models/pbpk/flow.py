"""What organs exchange: blood, and the drugs in it."""

from __future__ import annotations

import abc
from collections.abc import Sequence
from typing import Any

import equinox as eqx

from twinjax.models.pbpk.solute import Solute
from twinjax.units import Clearance, MolarConcentration


class Flow(eqx.Module):
    """Blood that carries drugs. What belongs to a drug and not to an organ (`Solute`) travels with it.

    **Parameters**: `rate` (L/h); `concentration` of each drug in blood (umol/L); `solutes`.
    """

    rate: Clearance
    concentration: dict[str, MolarConcentration]
    solutes: dict[str, Solute]

    @property
    def flux(self) -> dict[str, Any]:
        """Drug carried (umol/h)."""
        return {n: self.rate * c for n, c in self.concentration.items()}

    def leaving(self, flux: dict[str, Any]) -> Flow:
        """The same blood with other contents."""
        return Flow(self.rate, {n: f / self.rate for n, f in flux.items()}, self.solutes)

    def unbound(self, concentration: dict[str, Any]) -> dict[str, Any]:
        """Unbound concentrations at these of blood."""
        return {n: self.solutes[n].unbound * c for n, c in concentration.items()}


def merge(flows: Sequence[Flow]) -> Flow:
    """Blood of several veins joining."""
    rate = sum(f.rate for f in flows)
    flux = [f.flux for f in flows]
    joined = {n: sum(f[n] for f in flux) / rate for n in flux[0]}
    return Flow(rate, joined, flows[0].solutes)


class AbstractOrgan(eqx.Module):
    """Takes blood in, gives blood back: the same signature for every organ.

    An organ's own parameters are its anatomy and what its tissue does to each drug by name; its State holds the drugs
    in it by name, and those that left the body there.
    """

    @abc.abstractmethod
    def initial(self) -> Any:
        """Its State without drug."""

    @abc.abstractmethod
    def exchange(self, y: Any, inflow: Flow) -> tuple[Any, Flow]:
        """Rate of change of its State, and the blood that leaves."""


class AbstractGut(AbstractOrgan):
    """An organ with a lumen, into which bile flows."""

    @abc.abstractmethod
    def poured(self, change: Any, bile: dict[str, Any]) -> Any:
        """Its rate of change with bile added (umol/h, by drug)."""
