"""A chronic infection in balance, and how virus declines when drugs block infection, production or maturation."""

from __future__ import annotations

from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp

from twinjax.models.base import AbstractModel, Balance
from twinjax.models.virus.antiviral import Cells, CellSource, Infectivity, Production, Virus, blocked
from twinjax.units import Concentration, Fraction, Number, Rate


class ChronicInfection(AbstractModel):
    """Hepatitis C or HIV in its steady state, and a drug against it.

    .. code-block:: text

        target'   = source - death target - (1 - eta) beta target virus
        infected' = (1 - eta) beta target virus - delta infected
        virus'    = (1 - epsilon) (1 - mu) p infected - c virus
        unripe'   = (1 - epsilon) mu p infected - c unripe          plasma holds both
        eta, epsilon, mu = block_infection, block_production, block_maturation  times  x^gamma / (ec50^gamma + x^gamma)

    x is the drug's concentration. It starts where nothing changes without drug: target = c delta / (p beta). A drug
    acts by composition: ``coupled({"virus.concentration": "pk.plasma"}, pk=..., virus=ChronicInfection(...))``.

    **Parameters** (scalars): `source` of target cells and their `death` (1/h); `beta` infectivity, `delta` death of
    infected cells (1/h), `p` what one makes, `c` clearance of virus (1/h); `block_infection` (entry, reverse
    transcriptase), `block_production` (interferon) and `block_maturation` (HIV's protease), the share of each step that
    the highest concentrations block, `ec50` (mg/L), `gamma`.
    **Assumptions**: virus that enters cells is not counted as lost; no eclipse, no long-lived cells, no resistance;
    where source / death is below c delta / (p beta) there is no infection to begin with.
    **Reference**: Neumann et al. 1998, Science 282:103, doi:10.1126/science.282.5386.103 (hepatitis C under interferon;
    typical values are its mean c, half-life 2.7 h, and delta, 0.14 a day; the others give 5e6 IU/mL and 5 % of cells
    infected, and are illustrative; au is 1e9 IU); Perelson et al. 1996, Science 271:1582,
    doi:10.1126/science.271.5255.1582 (HIV, maturation).
    """

    source: CellSource
    death: Rate
    beta: Infectivity
    delta: Rate
    p: Production
    c: Rate
    block_infection: Fraction
    block_production: Fraction
    block_maturation: Fraction
    ec50: Concentration
    gamma: Number

    quiescent: ClassVar[bool] = False

    class State(eqx.Module):
        """Cells, infected cells, virus that infects and virus that cannot."""

        target: Cells
        infected: Cells
        virus: Virus
        unripe: Virus

    class Input(eqx.Module):
        """The concentration that drives the effect."""

        concentration: Concentration = 0.0

    class Output(eqx.Module):
        """All virus in plasma, and infected cells."""

        plasma: Virus
        infected: Cells

    def derivative(self, t, y, u):
        """Mass action."""
        most = (self.block_infection, self.block_production, self.block_maturation)
        eta, epsilon, mu = (blocked(m, u.concentration, self.ec50, self.gamma) for m in most)
        entered = (1.0 - eta) * self.beta * y.target * y.virus
        made = (1.0 - epsilon) * self.p * y.infected
        return self.State(
            target=self.source - self.death * y.target - entered,
            infected=entered - self.delta * y.infected,
            virus=(1.0 - mu) * made - self.c * y.virus,
            unripe=mu * made - self.c * y.unripe,
        )

    def output(self, t, y, u):
        """Assays count both kinds of virus."""
        return self.Output(y.virus + y.unripe, y.infected)

    def initial(self):
        """Where nothing changes without drug."""
        target = self.c * self.delta / (self.p * self.beta)
        infected = jnp.maximum(self.source - self.death * target, 0.0) / self.delta
        return self.State(target, infected, self.p * infected / self.c, 0.0 * self.p * infected / self.c)

    def balances(self, t, y, u):
        """Cells are born and die."""
        born = self.source - self.death * y.target - self.delta * y.infected
        return {"cells": Balance(("target", "infected"), gain=born)}

    @classmethod
    def typical(cls):
        """Hepatitis C before interferon; a day is 24 h."""
        day, c, delta, virus, target = 24.0, 24.0 * 0.6931471805599453 / 2.7, 0.14, 5.0, 2.6
        source, death = 0.026, 0.002
        p = c * virus * delta / (source - death * target)
        return cls(
            source=source / day, death=death / day, beta=c * delta / (p * target) / day, delta=delta / day, p=p / day,
            c=c / day, block_infection=0.0, block_production=1.0, block_maturation=0.0, ec50=0.01, gamma=1.0,
        )  # fmt: skip
