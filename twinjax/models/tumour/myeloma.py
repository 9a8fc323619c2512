"""Multiple myeloma and the immune system: M-protein, cytotoxic T cells, natural killers and regulatory T cells."""

from __future__ import annotations

from typing import Annotated, ClassVar

import equinox as eqx

from twinjax.models.base import AbstractModel, Balance
from twinjax.units import Number, Rate, Response, ResponseRate, Scalar, Unit

Cells = Annotated[Scalar, Unit("cells/L")]
CellRate = Annotated[Scalar, Unit("cells/L/h")]


class MyelomaImmunity(AbstractModel):
    """M-protein of multiple myeloma, and the immune cells that keep it in check or are held off by it.

    .. code-block:: text

        M' = source_m + growth_m M (1 - M / capacity_m) - loss_m M
             - loss_m M (a_nm n + a_cm c + a_cnm n c) (1 - a_mm M / (b_mm + M) - a_rm R / (b_rm + R))
        T' = growth_t T (1 - T / capacity_t) (1 + a_mt M / (b_mt + M) + a_nt N / (b_nt + N)) - loss_t T
        N' = source_n + growth_n N (1 - N / capacity_n) (1 + a_tn T / (b_tn + T)) - loss_n N
        R' = growth_r R (1 - R / capacity_r) (1 + a_mr M / (b_mr + M)) - loss_r R
        n  = N / (b_nm + N)                                                  c = T / (b_cm + T)

    **Parameters** (scalars): `m0`, `t0`, `n0`, `r0` at the start; of each population its `source`, `growth` (1/h),
    `capacity` and `loss` (1/h); greatest effects `a` (without unit) and half-effects `b`, named by what acts and on
    what: m myeloma, t (or c on myeloma) cytotoxic T cells, n natural killers, r regulatory T cells. M-protein in au
    (g/dL), cells in 1e9 cells/L (the source's cells/uL over 1000).
    **Assumptions**: M-protein stands for the burden of myeloma cells; numbers of cells as in peripheral blood.
    **Reference**: Gallaher et al. 2018, J Theor Biol 458:31, doi:10.1016/j.jtbi.2018.08.037; BioModels BIOMD0000000743,
    whose numbers these are, per day over 24. The archived file has M and N exchanged where they stimulate T cells: it
    is this model with ``a_mt``, ``b_mt`` and ``a_nt``, ``b_nt`` exchanged.
    """

    m0: Response
    t0: Cells
    n0: Cells
    r0: Cells
    source_m: ResponseRate
    growth_m: Rate
    capacity_m: Response
    loss_m: Rate
    a_nm: Number
    b_nm: Cells
    a_cm: Number
    b_cm: Cells
    a_cnm: Number
    a_mm: Number
    b_mm: Response
    a_rm: Number
    b_rm: Cells
    growth_t: Rate
    capacity_t: Cells
    loss_t: Rate
    a_mt: Number
    b_mt: Response
    a_nt: Number
    b_nt: Cells
    source_n: CellRate
    growth_n: Rate
    capacity_n: Cells
    loss_n: Rate
    a_tn: Number
    b_tn: Cells
    growth_r: Rate
    capacity_r: Cells
    loss_r: Rate
    a_mr: Number
    b_mr: Response

    quiescent: ClassVar[bool] = False

    class State(eqx.Module):
        """M-protein and cells."""

        protein: Response
        cytotoxic: Cells
        killers: Cells
        regulatory: Cells

    class Input(eqx.Module):
        """Nothing drives it."""

    class Output(eqx.Module):
        """What blood shows."""

        protein: Response
        cytotoxic: Cells
        killers: Cells
        regulatory: Cells

    def _protein(self, y):
        m, kill = y.protein, y.killers / (self.b_nm + y.killers)
        toxic = y.cytotoxic / (self.b_cm + y.cytotoxic)
        attack = self.a_nm * kill + self.a_cm * toxic + self.a_cnm * kill * toxic
        spared = 1.0 - self.a_mm * m / (self.b_mm + m) - self.a_rm * y.regulatory / (self.b_rm + y.regulatory)
        grown = self.source_m + self.growth_m * m * (1.0 - m / self.capacity_m)
        return grown - self.loss_m * m * (1.0 + attack * spared)

    def derivative(self, t, y, u):
        """Growth, stimulation, loss and attack."""
        m, c, n, r = y.protein, y.cytotoxic, y.killers, y.regulatory
        told = 1.0 + self.a_mt * m / (self.b_mt + m) + self.a_nt * n / (self.b_nt + n)
        helped = 1.0 + self.a_tn * c / (self.b_tn + c)
        drawn = 1.0 + self.a_mr * m / (self.b_mr + m)
        return self.State(
            protein=self._protein(y),
            cytotoxic=self.growth_t * c * (1.0 - c / self.capacity_t) * told - self.loss_t * c,
            killers=self.source_n + self.growth_n * n * (1.0 - n / self.capacity_n) * helped - self.loss_n * n,
            regulatory=self.growth_r * r * (1.0 - r / self.capacity_r) * drawn - self.loss_r * r,
        )

    def output(self, t, y, u):
        """All of it."""
        return self.Output(y.protein, y.cytotoxic, y.killers, y.regulatory)

    def initial(self):
        """As given."""
        return self.State(self.m0, self.t0, self.n0, self.r0)

    def balances(self, t, y, u):
        """The protein's own."""
        return {"protein": Balance(("protein",), gain=self._protein(y))}

    @classmethod
    def typical(cls):
        """The published numbers."""
        d, k = 24.0, 1000.0
        return cls(
            m0=4.0, t0=464 / k, n0=227 / k, r0=42 / k,
            source_m=0.001 / d, growth_m=0.0175 / d, capacity_m=10.0, loss_m=0.002 / d,
            a_nm=5.0, b_nm=150 / k, a_cm=5.0, b_cm=375 / k, a_cnm=8.0, a_mm=0.5, b_mm=3.0, a_rm=0.5, b_rm=25 / k,
            growth_t=0.013 / d, capacity_t=800 / k, loss_t=0.02 / d, a_mt=5.0, b_mt=3.0, a_nt=1.0, b_nt=150 / k,
            source_n=0.03 / d / k, growth_n=0.04 / d, capacity_n=450 / k, loss_n=0.025 / d, a_tn=1.0, b_tn=375 / k,
            growth_r=0.0831 / d, capacity_r=80 / k, loss_r=0.0757 / d, a_mr=2.0, b_mr=3.0,
        )  # fmt: skip
