"""The cell of the CiPA initiative: O'Hara and Rudy's, with hERG channels that drugs bind and are trapped in."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax

from twinjax.models.base import Balance
from twinjax.models.heart.calcium import CaMK, LType
from twinjax.models.heart.cell import Stimulus
from twinjax.models.heart.exchange import PublishedPump
from twinjax.models.heart.herg import Binding, DynamicHERG
from twinjax.models.heart.membrane import Charge, Molarity, Potential
from twinjax.models.heart.ohara_rudy import (
    AbstractOharaRudy,
    Ions,
    epicardial,
    mechanisms,
    midmyocardial,
    scaled,
)
from twinjax.models.heart.potassium import InwardRectifier, SlowRectifier, TransientOutward
from twinjax.models.heart.sodium import FastSodium, LateSodium
from twinjax.models.heart.store import Release, Stores


class CiPACell(AbstractOharaRudy):
    """The FDA's CiPA v1.0 ventricular cell: O'Hara and Rudy's with dynamic hERG and rescaled conductances, 50 states.

    .. code-block:: text

        v' = stimulus - sum of membrane currents          uA/uF = mV/ms

    **Parameters**: mechanisms by name, with their conductances (``inal.g``, ``ical.p``, ``ikr.g``, ...), and a drug's
    binding to hERG in ``ikr.binding``; `drug`, its free concentration (mM); `na_o`, `k_o`, `ca_o` outside (mM);
    `start`, the state before the first stimulus, drug-free and paced at 0.5 Hz. `endocardial`, `epicardial` and
    `midmyocardial` are the three types of cell.
    **Assumptions**: a stimulus, an infusion into `v`, is carried by potassium. The sodium-potassium pump is
    `PublishedPump`, as in the FDA's code, and so is I_Na.
    **Reference**: Li et al. 2017, Circ Arrhythm Electrophysiol 10:e004628, doi:10.1161/CIRCEP.116.004628; conductances:
    Dutta et al. 2017, Front Physiol 8:616, doi:10.3389/fphys.2017.00616.
    """

    ikr: DynamicHERG
    drug: Molarity = 0.0
    Input = Stimulus

    class State(eqx.Module):
        """What integrates."""

        v: Potential
        ina: FastSodium.State
        inal: LateSodium.State
        ito: TransientOutward.State
        ical: LType.State
        ikr: DynamicHERG.State
        iks: SlowRectifier.State
        ik1: InwardRectifier.State
        camk: CaMK.State
        ryr: Release.State
        bulk: Ions
        subspace: Ions
        store: Stores
        qnet: Charge

    def _rapid_current(self, v: Any, y: Any, reversal: Any) -> Any:
        return self.ikr.current(v, y, reversal, self.k_o)

    def _rapid_rates(self, v: Any, y: Any) -> Any:
        return self.ikr.rates(v, y, self.drug)

    def _channels(self, y: Any) -> dict[str, Any]:
        """Of the rapid rectifier."""
        return {"ikr": sum(jax.tree.leaves(y.ikr))}

    def balances(self, t, y, u):
        """Every channel is in one of its states."""
        names = ("ic1", "ic2", "c1", "c2", "o", "io", "iobound", "obound", "cbound")
        return {"hERG": Balance(tuple(f"ikr.{n}" for n in names))}

    @classmethod
    def endocardial(cls) -> CiPACell:
        """Of the inner wall."""
        start = cls.State(
            v=-88.0145,
            ina=FastSodium.State(0.00733485, 0.698542, 0.698542, 0.698542, 0.455526, 0.698541),
            inal=LateSodium.State(0.000187813, 0.513396, 0.307923),
            ito=TransientOutward.State(0.00100025, 0.999555, 0.871715, 0.000509652, 0.999555, 0.905466),
            ical=LType.State(2.33382e-09, 1.0, 0.971897, 1.0, 1.0, 1.0, 1.0, 1.0, 0.0015391),
            ikr=DynamicHERG.State(
                ic1=0.999637, ic2=6.83208e-05, c1=1.80145e-08, c2=8.26619e-05, o=0.00015551, io=5.67623e-05,
                iobound=0.0, obound=0.0, cbound=0.0,
            ),
            iks=SlowRectifier.State(0.130941, 0.000192517),
            ik1=InwardRectifier.State(0.996756),
            camk=CaMK.State(0.00325232),
            ryr=Release.State(1.46507e-07, 1.83132e-07),
            bulk=Ions(6.46961, 145.501, 7.45321e-05),
            subspace=Ions(6.46967, 145.501, 7.30454e-05),
            store=Stores(1.37897, 1.37944),
            qnet=0.0,
        )  # fmt: skip
        cell = cls(**mechanisms(), ikr=DynamicHERG(binding=Binding(ku=1e-3)), inak=PublishedPump(), start=start)
        return scaled(cell, {"ikr.g": 1.114 / 1.1, "inal.g": 2.661, "iks.g": 1.870, "ik1.g": 1.698, "ical.p": 1.007})

    @classmethod
    def epicardial(cls) -> CiPACell:
        """Of the outer wall."""
        return epicardial(cls.endocardial())

    @classmethod
    def midmyocardial(cls) -> CiPACell:
        """Of the middle of the wall."""
        return midmyocardial(cls.endocardial())

    @classmethod
    def typical(cls) -> CiPACell:
        """The endocardial cell."""
        return cls.endocardial()
