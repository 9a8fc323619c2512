"""A patient's myeloma: two clones of plasma cells, what marrow and immune cells do to them, what serum shows."""

from __future__ import annotations

import math
from typing import Annotated, ClassVar

import equinox as eqx
import jax.numpy as jnp

from twinjax.models.base import AbstractModel, Balance
from twinjax.models.pd.effect import hill
from twinjax.models.tumour.two_clones import named_by_clone
from twinjax.naming import bind
from twinjax.units import Bounds, Concentration, Fraction, MolarConcentration, Number, Rate, Scalar, Unit

Cells = Annotated[Scalar, Unit("cells")]
Density = Annotated[Scalar, Unit("cells/L")]
Growth = Annotated[Scalar, Unit("1/h"), Bounds(-math.inf, math.inf)]
Secretion = Annotated[Scalar, Unit("mg/L/h/cells")]


class MyelomaClones(AbstractModel):
    """Sensitive and resistant plasma cells, M-protein, light chains, support by IL-6, killing by T and NK cells.

    .. code-block:: text

        clone'   = (growth support (1 - load / capacity) + effect - attack) clone         load = sensitive + resistant
        effect   = log(survival + (1 - survival) / (1 + (x / ec50)^hill)) / h                        of each clone
        support  = il6 (1 + half_il6) / (half_il6 + il6)
        il6'     = turnover_il6 (1 + induced load / (half_load + load) - il6)
        attack   = kill_t T / (half_t + T) + kill_n N / (half_n + N)
        healthy' = turnover_healthy (healthy0 / (1 + load / crowding) - healthy)
        protein' = secretion load - catabolism protein              light' = shedding load - filtration light

    x is the unbound drug, T and N are effector T cells and natural killers: signals, of a PK model and of a model of
    immune cells by composition, and options (nothing drives them by itself; ``induced=0`` leaves IL-6 out).

    **Parameters** (scalars): of each clone (`s`, `r`), as in `TwoClones`, `growth` (1/h), `survival`, `ec50` (umol/L)
    and `hill`; `cells` of myeloma at the start (1e9), the `resistant` share of them, `capacity`; `induced`, the
    greatest rise of IL-6 over the healthy, `half_load` (1e9 cells) and `turnover_il6` (1/h), `half_il6`, of its effect
    on growth; greatest `kill` (1/h) by effectors and `half` (1e9 cells/L) of it; `healthy0` plasma cells without
    myeloma, `turnover_healthy`, `crowding`; `secretion`, `shedding` (mg/L/h for 1e9 cells), `catabolism` and
    `filtration` (1/h).
    **Assumptions**: M-protein and light chains start in balance with the cells; all clones secrete, shed and are killed
    alike; the drug does in the patient what the same unbound concentration did in the dish; IL-6 is relative to the
    healthy (1). Put together of published parts, not published as a whole.
    **Reference**: clones and drug: Kohn-Luque et al. 2023, Cell Rep Methods 3:100417,
    doi:10.1016/j.crmeth.2023.100417; logistic growth and saturable, additive killing: Gallaher et al. 2018, J Theor
    Biol 458:31, doi:10.1016/j.jtbi.2018.08.037; IL-6 of the marrow that myeloma induces and grows by, as a saturable
    activator: Wang et al. 2011, PLoS One 6:e27494, doi:10.1371/journal.pone.0027494; M-protein in proportion to cells:
    Sullivan and Salmon 1972, J Clin Invest 51:1697, doi:10.1172/JCI106971. Typical values: growth and effectors' halves
    of Gallaher; half-lives of 21 days (IgG) and 4 h (light chains); the rest illustrative: 40 g/L of M-protein at 1e12
    cells, a drug that halves sensitive cells in two days.
    """

    quiescent: ClassVar[bool] = False
    per_hour: ClassVar[Annotated[float, Unit("1/h")]] = 1.0

    cells: Cells
    resistant: Fraction
    capacity: Cells
    growth_s: Growth
    survival_s: Fraction
    ec50_s: MolarConcentration
    hill_s: Number
    growth_r: Growth
    survival_r: Fraction
    ec50_r: MolarConcentration
    hill_r: Number
    induced: Number
    half_load: Cells
    turnover_il6: Rate
    half_il6: Number
    kill_t: Rate
    half_t: Density
    kill_n: Rate
    half_n: Density
    healthy0: Cells
    turnover_healthy: Rate
    crowding: Cells
    secretion: Secretion
    catabolism: Rate
    shedding: Secretion
    filtration: Rate

    class State(eqx.Module):
        """Clones, healthy plasma cells, IL-6 over the healthy, M-protein and light chains in serum."""

        sensitive: Cells
        resistant: Cells
        healthy: Cells
        il6: Number
        protein: Concentration
        light: Concentration

    class Input(eqx.Module):
        """What drives it: the unbound drug, effector T cells and natural killers."""

        concentration: MolarConcentration = 0.0
        cytotoxic: Density = 0.0
        killers: Density = 0.0

    class Output(eqx.Module):
        """What serum and marrow show: of all plasma cells the `infiltrated` share is myeloma."""

        protein: Concentration
        light: Concentration
        cells: Cells
        fraction: Fraction
        infiltrated: Fraction

    def _rates(self, y, u):
        """Net rates of both clones."""
        load = y.sensitive + y.resistant
        support = y.il6 * (1.0 + self.half_il6) / (self.half_il6 + y.il6)
        room = support * (1.0 - load / self.capacity)
        attack = self.kill_t * u.cytotoxic / (self.half_t + u.cytotoxic)
        attack = attack + self.kill_n * u.killers / (self.half_n + u.killers)

        def net(growth, survival, ec50, gamma):
            effect = jnp.log(1.0 - (1.0 - survival) * hill(u.concentration / ec50, gamma))
            return growth * room + self.per_hour * effect - attack

        return (
            net(self.growth_s, self.survival_s, self.ec50_s, self.hill_s),
            net(self.growth_r, self.survival_r, self.ec50_r, self.hill_r),
        )

    def derivative(self, t, y, u):
        """Clones, and what follows them."""
        rate_s, rate_r = self._rates(y, u)
        load = y.sensitive + y.resistant
        told = 1.0 + self.induced * load / (self.half_load + load)
        return self.State(
            sensitive=rate_s * y.sensitive,
            resistant=rate_r * y.resistant,
            healthy=self.turnover_healthy * (self.healthy0 / (1.0 + load / self.crowding) - y.healthy),
            il6=self.turnover_il6 * (told - y.il6),
            protein=self.secretion * load - self.catabolism * y.protein,
            light=self.shedding * load - self.filtration * y.light,
        )

    def output(self, t, y, u):
        """Serum and marrow."""
        load = y.sensitive + y.resistant
        some = load > 0.0
        fraction = jnp.where(some, y.resistant / jnp.where(some, load, self.cells), 0.0)
        whole = jnp.where(some, load + y.healthy, self.cells)
        return self.Output(y.protein, y.light, load, fraction, load / whole)

    def initial(self):
        """Everything in balance with the cells there are."""
        told = 1.0 + self.induced * self.cells / (self.half_load + self.cells)
        return self.State(
            sensitive=(1.0 - self.resistant) * self.cells,
            resistant=self.resistant * self.cells,
            healthy=self.healthy0 / (1.0 + self.cells / self.crowding),
            il6=told,
            protein=self.secretion * self.cells / self.catabolism,
            light=self.shedding * self.cells / self.filtration,
        )

    def balances(self, t, y, u):
        """Cells are born and die."""
        rate_s, rate_r = self._rates(y, u)
        return {"cells": Balance(("sensitive", "resistant"), gain=rate_s * y.sensitive + rate_r * y.resistant)}

    @classmethod
    def typical(cls):
        """A trillion cells, one in a thousand resistant."""
        d, slow, quick = 24.0, math.log(2.0) / (21.0 * 24.0), math.log(2.0) / 4.0
        return cls(
            cells=1000.0, resistant=1e-3, capacity=2500.0, growth_s=0.0175 / d, survival_s=math.exp(-0.0144),
            ec50_s=0.1, hill_s=2.0, growth_r=0.015 / d, survival_r=math.exp(-1e-4), ec50_r=5.0, hill_r=2.0, induced=2.0,
            half_load=500.0, turnover_il6=0.5, half_il6=2.0, kill_t=0.01 / d, half_t=0.375, kill_n=0.01 / d,
            half_n=0.15, healthy0=50.0, turnover_healthy=0.03 / d, crowding=300.0,
            secretion=40000.0 * slow / 1000.0, catabolism=slow, shedding=500.0 * quick / 1000.0, filtration=quick,
        )  # fmt: skip

    @classmethod
    def from_clones(cls, clones, cells=1000.0, **others):
        """The myeloma of `cells` (1e9) made of the two clones that a dish showed, concentrations in umol/L.

        **Parameters**: `others` replace typical values, such as ``capacity=1500.0``; growth of cells in a dish may be
        far from that in marrow: give ``growth_s`` and ``growth_r`` where it is known, and keep the drug's effect.
        **Raises** `ValueError` for another number of clones, or a parameter that is not there.
        """
        return bind(cls.typical(), {"cells": cells, **named_by_clone(clones), **others})
