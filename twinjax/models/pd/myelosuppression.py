"""Chemotherapy and the neutrophils it spares: proliferation, maturation, circulation and feedback."""

from __future__ import annotations

import equinox as eqx
import jax.numpy as jnp

from twinjax.models.base import AbstractModel, Balance
from twinjax.models.pd.effect import PerConcentration
from twinjax.units import CellCount, Concentration, Number, Time


class FribergMyelosuppression(AbstractModel):
    """Semi-mechanistic myelosuppression: a drug that stops proliferation in the bone marrow.

    .. code-block:: text

        prol'     = ktr prol (1 - slope concentration) (circ0 / circ)^gamma - ktr prol          ktr = 4 / mtt
        transit1' = ktr (prol - transit1)
        transit2' = ktr (transit1 - transit2)
        transit3' = ktr (transit2 - transit3)
        circ'     = ktr (transit3 - circ)          every state starts at circ0;  neutrophils = circ

    **Parameters** (scalars): `circ0` baseline count (1e9/L), `mtt` mean transit time through the marrow (h), `gamma`
    strength of the feedback, `slope` of the linear drug effect (L/mg).
    **Assumptions**: three transit compartments; cells proliferate, mature and leave the blood at one rate constant;
    drug effect linear in the concentration (above 1/slope cells are killed); the feedback sees no fewer than 1e-6 of
    the baseline, so that it stays finite.
    **Reference**: Friberg et al. 2002, J Clin Oncol 20:4713, doi:10.1200/JCO.2002.02.140. Typical values are
    illustrative, of the size reported there for docetaxel (0.80788 mg/umol).
    """

    circ0: CellCount
    mtt: Time
    gamma: Number
    slope: PerConcentration

    class State(eqx.Module):
        """Cells that proliferate, mature (three stages) and circulate."""

        prol: CellCount
        transit1: CellCount
        transit2: CellCount
        transit3: CellCount
        circ: CellCount

    class Input(eqx.Module):
        """The concentration that drives the effect."""

        concentration: Concentration = 0.0

    class Output(eqx.Module):
        """Circulating neutrophils."""

        neutrophils: CellCount

    def derivative(self, t, y, u):
        """Fewer circulating cells, more proliferation."""
        ktr = 4.0 / self.mtt
        return self.State(
            prol=self._proliferated(y, u) - ktr * y.prol,
            transit1=ktr * (y.prol - y.transit1),
            transit2=ktr * (y.transit1 - y.transit2),
            transit3=ktr * (y.transit2 - y.transit3),
            circ=ktr * (y.transit3 - y.circ),
        )

    def _proliferated(self, y, u):
        feedback = jnp.maximum(y.circ / self.circ0, 1e-6) ** (-self.gamma)
        return 4.0 / self.mtt * y.prol * (1.0 - self.slope * u.concentration) * feedback

    def output(self, t, y, u):
        """The count in blood."""
        return self.Output(neutrophils=y.circ)

    def initial(self):
        """Every stage at the baseline."""
        return self.State(self.circ0, self.circ0, self.circ0, self.circ0, self.circ0)

    def balances(self, t, y, u):
        """Cells are made by proliferation and leave from the blood."""
        states = ("prol", "transit1", "transit2", "transit3", "circ")
        return {"cells": Balance(states, gain=self._proliferated(y, u) - 4.0 / self.mtt * y.circ)}

    @classmethod
    def typical(cls):
        """Illustrative values of a drug like docetaxel."""
        return cls(circ0=5.05, mtt=88.7, gamma=0.161, slope=8.58 / 0.80788)
