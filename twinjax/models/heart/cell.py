"""What pacing and biomarkers need of a heart cell, whatever its currents."""

from __future__ import annotations

import abc
from typing import Any, ClassVar

import equinox as eqx

from twinjax.models.base import AbstractModel
from twinjax.models.heart.membrane import Charge, Molarity, MolarityRate, Potential, PotentialRate
from twinjax.models.heart.store import Buffers, Geometry
from twinjax.units import Unit


class Stimulus(eqx.Module):
    """What a cell is driven by: a current into its potential."""

    v: PotentialRate = 0.0


class AbstractCell(AbstractModel):
    """A cell: states ``v``, ``bulk`` and ``subspace`` concentrations, ``store``, and ``qnet``, the charge so far."""

    geometry: Geometry
    buffers: Buffers
    start: Any

    time_unit: ClassVar[Unit] = Unit("ms")
    stiff: ClassVar[bool] = True
    signed: ClassVar[tuple[str, ...]] = ("v", "qnet", "store.jsr")  # release is a state: nothing stops it at no calcium
    quiescent: ClassVar[bool] = False

    class Output(eqx.Module):
        """Potential and free calcium of the bulk with their slopes, and the charge of qNet's currents so far."""

        v: Potential
        v_rate: PotentialRate
        calcium: Molarity
        calcium_rate: MolarityRate
        qnet: Charge

    @abc.abstractmethod
    def currents(self, y: Any) -> Any:
        """Every current at a state, by name, outward positive (uA/uF)."""

    def conserved(self, y: Any) -> dict[str, Any]:
        """What no beat changes: the charge of the cell, held by its ions and its membrane (nmol), and every channel.

        Every current is carried by an ion that is a state, and so is the stimulus. A rhythm keeps the charge that the
        cell began with: cells that began with another have a rhythm of their own.
        """
        g, b = self.geometry, self.buffers
        bulk = self._charge(y.bulk) + 2.0 * b.bulk_total(y.bulk.ca)
        near = self._charge(y.subspace) + 2.0 * b.subspace_total(y.subspace.ca)
        stored = 2.0 * (g.nsr * y.store.nsr + g.jsr * b.store_total(y.store.jsr))
        inside = g.volume * (g.bulk * bulk + g.subspace * near + stored)
        return {"charge": inside - g.membrane / g.F * y.v, **self._channels(y)}

    def _charge(self, space: Any) -> Any:
        """Of the ions of one space but calcium (mM)."""
        return space.na + space.k

    def _channels(self, y: Any) -> dict[str, Any]:
        """The sums of Markov chains, by name."""
        return {}

    def initial(self):
        """The state before the first stimulus."""
        return self.start

    def companions(self):
        """Potassium carries a stimulus."""
        return {"v": {"bulk.k": self.geometry.into_bulk}}

    def output(self, t, y, u):
        """What can be observed."""
        change = self.derivative(t, y, u)
        return self.Output(y.v, change.v, y.bulk.ca, change.bulk.ca, y.qnet)
