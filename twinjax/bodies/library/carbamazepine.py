"""Carbamazepine: the inducer of the enzymes that clear it."""

from __future__ import annotations

import math

from twinjax.bodies.substance import Substance
from twinjax.drugs import Compound
from twinjax.models.pbpk import Induction, MichaelisMenten


def carbamazepine() -> Substance:
    """Carbamazepine, metabolised by CYP3A4, CYP2B6 and UGT2B7, a little filtered; induces CYP3A4 and CYP2B6.

    **Assumptions**: UGT2B7 of the liver alone; tablets of immediate release dissolve by first order, half of them in
    109 min, as the published Weibull function has it.
    **Reference**: Open Systems Pharmacology, Carbamazepine-Model: fu Morselli 1975, Km Sakamoto 2013, Pearce 2002 and
    Staines 2004, solubility in fluid of the intestine the mean of three, induction of CYP2B6 (linear) Faucette 2004,
    Emax of CYP3A4 from cells; lipophilicity, turnover numbers, EC50 of CYP3A4 and dissolution identified by its
    authors from profiles of carbamazepine alone.
    """
    return Substance(
        Compound(log_p=2.0067753, fu=0.243),
        molar_mass=236.2686,
        kinetics={
            "CYP3A4": MichaelisMenten(5.0088763 * 60.0, 808.0),
            "CYP2B6": MichaelisMenten(0.93617905 * 60.0, 235.0),
            "UGT2B7": MichaelisMenten(0.066869932 * 60.0, 234.0),
        },
        induces={"CYP3A4": Induction(5.3929778, 27.193363), "CYP2B6": Induction(148.7284, 1000.0)},
        filtered=0.02401088,
        solubility=308.3333,
        dissolution=math.log(2.0) / 109.30898 * 60.0,
        context="carbamazepine",
    )
