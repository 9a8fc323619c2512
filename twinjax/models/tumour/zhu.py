"""Pancreatic cancer cells under gemcitabine and birinapant: growth inhibition, and death after a delay."""

from __future__ import annotations

from typing import ClassVar

import equinox as eqx

from twinjax.models.base import AbstractModel, Balance
from twinjax.models.pd.effect import hill
from twinjax.units import Concentration, Fraction, Number, Rate, Response


class ZhuPancreaticCells(AbstractModel):
    """Live and dead cells in a dish under two drugs, which inhibit growth and, through four delays each, cause death.

    .. code-block:: text

        inhibited_d  = imax_d H(c_d / (psi_inhibition ic50_d))          stimulus_d = smax_d H(c_d / (psi_death sc50_d))
        live' = (1 - inhibited_g) (1 - inhibited_b) growth live (1 - live / capacity) - dies
        dies  = (1 + signal_g4) (1 + signal_b4) death live              dead' = dies - death dead
        signal_d1' = delay_d (stimulus_d - signal_d1)                   signal_dk' = delay_d (signal_d(k-1) - signal_dk)

    with H a Hill function; g is gemcitabine and b birinapant. `psi` below one is synergy: half-effects at lower
    concentrations when both are there, which a user sets for a combination.

    **Parameters** (scalars): `live0`, `dead0`, `capacity` (au: cells), `growth`, `death` (1/h), of each drug greatest
    inhibition `imax`, `ic50` (mg/L here; the source has nM and ng/mL as they come), exponents `hi` and `hs`, greatest
    stimulation of death `smax`, `sc50`, rate constant `delay` (1/h); `psi_inhibition`, `psi_death`.
    **Assumptions**: concentrations in the dish are constant, or as what drives them says.
    **Reference**: Zhu et al. 2015, J Pharmacokinet Pharmacodyn 42:477, doi:10.1007/s10928-015-9429-x; BioModels
    BIOMD0000000668, whose numbers these are.
    """

    live0: Response
    dead0: Response
    capacity: Response
    growth: Rate
    death: Rate
    imax_g: Fraction
    ic50_g: Concentration
    hi_g: Number
    smax_g: Number
    sc50_g: Concentration
    hs_g: Number
    delay_g: Rate
    imax_b: Fraction
    ic50_b: Concentration
    hi_b: Number
    smax_b: Number
    sc50_b: Concentration
    hs_b: Number
    delay_b: Rate
    psi_inhibition: Number = 1.0
    psi_death: Number = 1.0

    quiescent: ClassVar[bool] = False

    class State(eqx.Module):
        """Cells, and the signals of death on their way."""

        live: Response
        dead: Response
        signal_g1: Number
        signal_g2: Number
        signal_g3: Number
        signal_g4: Number
        signal_b1: Number
        signal_b2: Number
        signal_b3: Number
        signal_b4: Number

    class Input(eqx.Module):
        """Concentrations in the dish."""

        gemcitabine: Concentration = 0.0
        birinapant: Concentration = 0.0

    class Output(eqx.Module):
        """Live and dead cells."""

        live: Response
        dead: Response

    def _grown(self, y, u):
        by_g = self.imax_g * hill(u.gemcitabine / (self.psi_inhibition * self.ic50_g), self.hi_g)
        by_b = self.imax_b * hill(u.birinapant / (self.psi_inhibition * self.ic50_b), self.hi_b)
        return (1.0 - by_g) * (1.0 - by_b) * self.growth * y.live * (1.0 - y.live / self.capacity)

    def derivative(self, t, y, u):
        """Growth, death, and two chains of delay."""
        told_g = self.smax_g * hill(u.gemcitabine / (self.psi_death * self.sc50_g), self.hs_g)
        told_b = self.smax_b * hill(u.birinapant / (self.psi_death * self.sc50_b), self.hs_b)
        dies = (1.0 + y.signal_g4) * (1.0 + y.signal_b4) * self.death * y.live
        return self.State(
            live=self._grown(y, u) - dies,
            dead=dies - self.death * y.dead,
            signal_g1=self.delay_g * (told_g - y.signal_g1),
            signal_g2=self.delay_g * (y.signal_g1 - y.signal_g2),
            signal_g3=self.delay_g * (y.signal_g2 - y.signal_g3),
            signal_g4=self.delay_g * (y.signal_g3 - y.signal_g4),
            signal_b1=self.delay_b * (told_b - y.signal_b1),
            signal_b2=self.delay_b * (y.signal_b1 - y.signal_b2),
            signal_b3=self.delay_b * (y.signal_b2 - y.signal_b3),
            signal_b4=self.delay_b * (y.signal_b3 - y.signal_b4),
        )

    def output(self, t, y, u):
        """Cells."""
        return self.Output(live=y.live, dead=y.dead)

    def initial(self):
        """Cells seeded, no signal."""
        zero = 0.0 * self.hi_g
        return self.State(self.live0, self.dead0, zero, zero, zero, zero, zero, zero, zero, zero)

    def balances(self, t, y, u):
        """Cells are made by growth and vanish when dead."""
        return {"cells": Balance(("live", "dead"), gain=self._grown(y, u) - self.death * y.dead)}

    @classmethod
    def typical(cls):
        """Of BIOMD0000000668."""
        return cls(
            live0=307000.0, dead0=1940.0, capacity=5490000.0, growth=0.0209, death=0.000385,
            imax_g=0.991, ic50_g=20.8, hi_g=3.57, smax_g=4.09, sc50_g=14.0, hs_g=5.0, delay_g=0.086,
            imax_b=0.375, ic50_b=145.0, hi_b=1.06, smax_b=17.5, sc50_b=168.0, hs_b=0.984, delay_b=0.611,
        )  # fmt: skip
