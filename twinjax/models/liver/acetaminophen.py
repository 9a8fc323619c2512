"""Acetaminophen in a liver cell: conjugation, the toxic metabolite, and the glutathione that stands against it."""

from __future__ import annotations

from typing import Annotated, ClassVar

import equinox as eqx

from twinjax.models.base import AbstractModel, Balance
from twinjax.units import Rate, Scalar, Unit

PerCells = Annotated[Scalar, Unit("umol/cells")]
PerCellsRate = Annotated[Scalar, Unit("umol/cells/h")]
Bimolecular = Annotated[Scalar, Unit("cells/umol/h")]


class AcetaminophenToxicity(AbstractModel):
    """Acetaminophen, its cofactors and protein adducts in hepatocytes.

    .. code-block:: text

        drug'     = -(k450 + kg) drug - ks drug paps + kn napqi
        paps'     = bs - ds paps - ks drug paps
        napqi'    = k450 drug - (kn + kpsh) napqi - kgsh napqi gsh
        gsh'      = bg - dg gsh - kgsh napqi gsh
        adducts'  = kpsh napqi                              paps and gsh start at bs/ds and bg/dg

    Doses go into ``drug`` (umol for each 1e9 cells: 132 is 4 g shared by a liver of 2e11 cells).
    **Parameters**: `k450` oxidation to NAPQI, `kg` glucuronidation, `kn` reduction of NAPQI back, `kpsh` its binding to
    protein (1/h); `ks` sulphation and `kgsh` conjugation with glutathione (1e9 cells/umol/h); `bs`, `bg` synthesis of
    sulphate and glutathione (umol/1e9 cells/h), `ds`, `dg` their decay (1/h).
    **Assumptions**: the dose is in the cells at once; adducts are not repaired; no cell dies, no antidote.
    **Reference**: Reddyhoff et al. 2015, J Theor Biol 386:132, doi:10.1016/j.jtbi.2015.08.021 (PMID 26348886), with the
    typical values, from mol/cell and days.
    """

    k450: Rate
    kg: Rate
    kn: Rate
    kpsh: Rate
    ks: Bimolecular
    kgsh: Bimolecular
    bs: PerCellsRate
    ds: Rate
    bg: PerCellsRate
    dg: Rate

    stiff: ClassVar[bool] = True

    class State(eqx.Module):
        """Drug, sulphate cofactor, NAPQI, glutathione and protein adducts in the cells."""

        drug: PerCells
        paps: PerCells
        napqi: PerCells
        gsh: PerCells
        adducts: PerCells

    class Output(eqx.Module):
        """Drug, glutathione and adducts in the cells."""

        drug: PerCells
        gsh: PerCells
        adducts: PerCells

    def initial(self):
        """Cofactors where synthesis and decay balance."""
        return self.State(0.0, self.bs / self.ds, 0.0, self.bg / self.dg, 0.0)

    def derivative(self, t, y, u):
        """Mass action."""
        sulphated, conjugated = self.ks * y.drug * y.paps, self.kgsh * y.napqi * y.gsh
        oxidised, reduced = self.k450 * y.drug, self.kn * y.napqi
        bound = self.kpsh * y.napqi
        return self.State(
            drug=u.drug - oxidised - self.kg * y.drug - sulphated + reduced,
            paps=u.paps + self.bs - self.ds * y.paps - sulphated,
            napqi=u.napqi + oxidised - reduced - bound - conjugated,
            gsh=u.gsh + self.bg - self.dg * y.gsh - conjugated,
            adducts=u.adducts + bound,
        )

    def output(self, t, y, u):
        """As they are."""
        return self.Output(drug=y.drug, gsh=y.gsh, adducts=y.adducts)

    def balances(self, t, y, u):
        """The drug is in the cells, on protein, or conjugated."""
        lost = self.kg * y.drug + self.ks * y.drug * y.paps + self.kgsh * y.napqi * y.gsh
        return {"drug": Balance(("drug", "napqi", "adducts"), gain=-lost)}

    @classmethod
    def typical(cls):
        """The paper's values; a day is 24 h and 1 mol/cell is 1e15 umol in 1e9 cells."""
        day, mol = 24.0, 1e15
        return cls(
            k450=0.315 / day, kg=2.99 / day, kn=0.0315 / day, kpsh=110.0 / day, ks=2.26e14 / mol / day,
            kgsh=1.6e18 / mol / day, bs=2.65e-14 * mol / day, ds=2.0 / day, bg=1.374e-14 * mol / day, dg=2.0 / day,
        )  # fmt: skip
