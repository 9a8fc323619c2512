"""Two compartments: a central one that is sampled and a peripheral one in exchange with it."""

from __future__ import annotations

import equinox as eqx

from twinjax.models.base import AbstractModel, Balance, Route
from twinjax.units import Amount, Clearance, Concentration, Fraction, Rate, Time, Volume


class TwoCompartment(AbstractModel):
    """Two compartments with linear elimination from the first; bolus or infusion into `central`.

    .. code-block:: text

        central'    = -cl c1 - q (c1 - c2)          c1 = central / v1 = plasma
        peripheral' =          q (c1 - c2)          c2 = peripheral / v2

    **Parameters** (scalars): `cl` clearance (L/h), `v1` central volume (L), `q` intercompartmental clearance (L/h),
    `v2` peripheral volume (L).
    **Assumptions**: each compartment well-stirred; linear elimination and exchange; no elimination from the periphery.
    **Reference**: Gibaldi & Perrier, Pharmacokinetics, 2nd ed. 1982; NONMEM ADVAN3 TRANS4. Typical values: vancomycin,
    Goti et al. 2018, Ther Drug Monit 40:212, doi:10.1097/FTD.0000000000000490.
    """

    cl: Clearance
    v1: Volume
    q: Clearance
    v2: Volume

    class State(eqx.Module):
        """Drug in blood and quickly perfused tissue, and in the rest of the body."""

        central: Amount
        peripheral: Amount

    class Output(eqx.Module):
        """Plasma concentration."""

        plasma: Concentration

    def derivative(self, t, y, u):
        """Elimination and exchange are first order."""
        c1, c2 = y.central / self.v1, y.peripheral / self.v2
        exchanged = self.q * (c1 - c2)
        return self.State(central=u.central - self.cl * c1 - exchanged, peripheral=u.peripheral + exchanged)

    def output(self, t, y, u):
        """Concentration in the central volume."""
        return self.Output(plasma=y.central / self.v1)

    def balances(self, t, y, u):
        """The drug leaves by clearance alone."""
        return {"drug": Balance(("central", "peripheral"), gain=-self.cl * y.central / self.v1)}

    @classmethod
    def typical(cls):
        """Vancomycin in an adult of 70 kg with a creatinine clearance of 120 mL/min, not on dialysis."""
        return cls(cl=4.5, v1=58.4, q=6.5, v2=38.4)


class TwoCompartmentOral(AbstractModel):
    """First-order absorption into two compartments.

    .. code-block:: text

        depot'      = -ka depot
        central'    =  ka depot - cl c1 - q (c1 - c2)          c1 = central / v1 = plasma
        peripheral' =                     q (c1 - c2)          c2 = peripheral / v2

    **Parameters** (scalars): `ka` absorption rate constant (1/h), `cl` clearance (L/h), `v1` central volume (L),
    `q` intercompartmental clearance (L/h), `v2` peripheral volume (L), `lag` absorption lag time (h),
    `bioavailability` of doses into the depot.
    **Assumptions**: each compartment well-stirred; linear absorption, elimination and exchange.
    **Reference**: Gibaldi & Perrier, Pharmacokinetics, 2nd ed. 1982; NONMEM ADVAN4 TRANS4 (which calls v1, v2 here
    V2, V3 there, since it numbers the depot). Typical values are illustrative.
    """

    ka: Rate
    cl: Clearance
    v1: Volume
    q: Clearance
    v2: Volume
    lag: Time = 0.0
    bioavailability: Fraction = 1.0

    class State(eqx.Module):
        """Drug at the absorption site, in blood and quickly perfused tissue, and in the rest of the body."""

        depot: Amount
        central: Amount
        peripheral: Amount

    class Output(eqx.Module):
        """Plasma concentration."""

        plasma: Concentration

    def derivative(self, t, y, u):
        """Absorption, elimination and exchange are first order."""
        c1, c2 = y.central / self.v1, y.peripheral / self.v2
        absorbed = self.ka * y.depot
        exchanged = self.q * (c1 - c2)
        return self.State(
            depot=u.depot - absorbed,
            central=u.central + absorbed - self.cl * c1 - exchanged,
            peripheral=u.peripheral + exchanged,
        )

    def output(self, t, y, u):
        """Concentration in the central volume."""
        return self.Output(plasma=y.central / self.v1)

    def routes(self):
        """Lag and bioavailability belong to the depot."""
        return {"depot": Route(lag=self.lag, bioavailability=self.bioavailability)}

    def balances(self, t, y, u):
        """The drug leaves by clearance alone."""
        return {"drug": Balance(("depot", "central", "peripheral"), gain=-self.cl * y.central / self.v1)}

    @classmethod
    def typical(cls):
        """Illustrative values of a small molecule."""
        return cls(ka=1.0, cl=5.0, v1=30.0, q=8.0, v2=60.0)
