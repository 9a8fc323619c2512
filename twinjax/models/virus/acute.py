"""An acute infection that ends for want of cells: target cells, an eclipse phase, and drugs against two steps."""

from __future__ import annotations

from typing import ClassVar

import equinox as eqx

from twinjax.models.base import AbstractModel, Balance
from twinjax.models.virus.antiviral import Cells, Infectivity, Production, Virus, blocked
from twinjax.units import Concentration, Fraction, Number, Rate


class AcuteInfection(AbstractModel):
    """Target-cell-limited infection with an eclipse phase.

    .. code-block:: text

        target'   = -(1 - eta) beta target virus
        eclipse'  = (1 - eta) beta target virus - k eclipse
        infected' = k eclipse - delta infected
        virus'    = (1 - epsilon) p infected - c virus            R0 = p beta target0 / (c delta)
        eta, epsilon = block_infection, block_production  times  x^gamma / (ec50^gamma + x^gamma)

    x is the drug's concentration, by composition: ``coupled({"virus.concentration": "pk.plasma"}, pk=..., virus=...)``.

    **Parameters** (scalars): `target0` cells and `virus0` at infection; `beta` infectivity, `k` end of the eclipse
    (1/h), `delta` death of cells that make virus (1/h), `p` what such a cell makes, `c` clearance of virus (1/h);
    `block_infection` and `block_production`, the share of each step that the highest concentrations block, `ec50`
    (mg/L), `gamma`.
    **Assumptions**: no cells are born and none are protected; immunity is in delta and c; virus that enters cells is
    not counted as lost; all in one well-stirred place, counted by litre of it.
    **Reference**: Baccam et al. 2006, J Virol 80:7590, doi:10.1128/JVI.01623-05: the mean of six volunteers with
    influenza A, virus in TCID50 of a mL of nasal wash, 4e8 cells; so that au/L is TCID50/mL and a litre stands for all
    of the epithelium. The drug's `ec50` is illustrative.
    """

    target0: Cells
    virus0: Virus
    beta: Infectivity
    k: Rate
    delta: Rate
    p: Production
    c: Rate
    block_infection: Fraction
    block_production: Fraction
    ec50: Concentration
    gamma: Number

    quiescent: ClassVar[bool] = False

    class State(eqx.Module):
        """Cells not yet infected, infected but silent, making virus; virus."""

        target: Cells
        eclipse: Cells
        infected: Cells
        virus: Virus

    class Input(eqx.Module):
        """The concentration that drives the effect."""

        concentration: Concentration = 0.0

    class Output(eqx.Module):
        """Virus, and the cells that make it."""

        virus: Virus
        infected: Cells

    def derivative(self, t, y, u):
        """Mass action."""
        eta = blocked(self.block_infection, u.concentration, self.ec50, self.gamma)
        epsilon = blocked(self.block_production, u.concentration, self.ec50, self.gamma)
        entered = (1.0 - eta) * self.beta * y.target * y.virus
        return self.State(
            target=-entered,
            eclipse=entered - self.k * y.eclipse,
            infected=self.k * y.eclipse - self.delta * y.infected,
            virus=(1.0 - epsilon) * self.p * y.infected - self.c * y.virus,
        )

    def output(self, t, y, u):
        """As they are."""
        return self.Output(y.virus, y.infected)

    def initial(self):
        """Virus has come, no cell has it yet."""
        return self.State(self.target0, 0.0, 0.0, self.virus0)

    def balances(self, t, y, u):
        """Cells die after they made virus."""
        return {"cells": Balance(("target", "eclipse", "infected"), gain=-self.delta * y.infected)}

    @property
    def reproduction(self):
        """R0: cells that one infected cell infects among target cells alone, without drug."""
        return self.p * self.beta * self.target0 / (self.c * self.delta)

    @classmethod
    def typical(cls):
        """Influenza A; a day is 24 h, and cells are counted in 1e9."""
        day = 24.0
        return cls(
            target0=0.4, virus0=7.5e-2, beta=3.2e-5 / day, k=4.0 / day, delta=5.2 / day, p=4.6e-2 * 1e9 / day,
            c=5.2 / day, block_infection=0.0, block_production=1.0, ec50=0.5, gamma=1.0,
        )  # fmt: skip
