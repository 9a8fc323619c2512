"""Rifampicin: the inducer, of its own elimination too."""

from __future__ import annotations

from twinjax.bodies.substance import Substance
from twinjax.drugs import Compound
from twinjax.models.pbpk import Induction, MichaelisMenten


def rifampicin() -> Substance:
    """Rifampicin, taken up by OATP1B1, hydrolysed by AADAC and filtered; induces CYP3A4, AADAC and OATP1B1.

    **Assumptions**: efflux by P-gp, in gut and liver some 5 % of what else leaves there, is left out.
    **Reference**: Open Systems Pharmacology, Rifampicin-Model 1.1 (Hanke et al. 2018, CPT Pharmacometrics Syst
    Pharmacol 7:647, doi:10.1002/psp4.12343): fu Templeton 2011, Emax and unbound EC50 Templeton 2011 and Shou 2008, Ki
    Kajosaari 2005 and Hirano 2006, Km in vitro, turnover numbers and intestinal permeability identified from profiles
    of rifampicin alone; blood:plasma Loos 1985.
    """
    ec50 = 0.34
    return Substance(
        Compound(log_p=2.5, fu=0.17, acids=1.7, bases=7.9, blood_to_plasma=0.9),
        molar_mass=822.94,
        kinetics={"AADAC": MichaelisMenten(9.865 * 60.0, 195.1), "OATP1B1": MichaelisMenten(7.796 * 60.0, 1.5)},
        inhibits={"CYP3A4": 18.5},
        induces={"CYP3A4": Induction(9.0, ec50), "AADAC": Induction(0.985, ec50), "OATP1B1": Induction(0.383, ec50)},
        intestinal=1.24e-5,
        solubility=2800.0,
        context="rifampicin",
    )
