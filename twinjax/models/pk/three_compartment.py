"""Three compartments: a central one in exchange with a quick and a slow peripheral one."""

from __future__ import annotations

import equinox as eqx

from twinjax.models.base import AbstractModel, Balance, Route
from twinjax.units import Amount, Clearance, Concentration, Fraction, Rate, Time, Volume


class ThreeCompartment(AbstractModel):
    """Three compartments with linear elimination from the first; bolus or infusion into `central`.

    .. code-block:: text

        central'     = -cl c1 - q2 (c1 - c2) - q3 (c1 - c3)          c1 = central / v1 = plasma
        peripheral2' =          q2 (c1 - c2)                         c2 = peripheral2 / v2
        peripheral3' =                         q3 (c1 - c3)          c3 = peripheral3 / v3

    **Parameters** (scalars): `cl` clearance (L/h), `v1` central volume (L), `q2`, `q3` intercompartmental clearances
    (L/h), `v2`, `v3` peripheral volumes (L).
    **Assumptions**: each compartment well-stirred; linear elimination and exchange; the second and third exchange with
    the first only.
    **Reference**: Gibaldi & Perrier, Pharmacokinetics, 2nd ed. 1982; NONMEM ADVAN11 TRANS4. Typical values:
    remifentanil, Minto et al. 1997, Anesthesiology 86:10, doi:10.1097/00000542-199701000-00004 (per minute there, per
    hour here).
    """

    cl: Clearance
    v1: Volume
    q2: Clearance
    v2: Volume
    q3: Clearance
    v3: Volume

    class State(eqx.Module):
        """Drug in the central, the quick and the slow compartment."""

        central: Amount
        peripheral2: Amount
        peripheral3: Amount

    class Output(eqx.Module):
        """Plasma concentration."""

        plasma: Concentration

    def derivative(self, t, y, u):
        """Elimination and exchange are first order."""
        c1, c2, c3 = y.central / self.v1, y.peripheral2 / self.v2, y.peripheral3 / self.v3
        to2, to3 = self.q2 * (c1 - c2), self.q3 * (c1 - c3)
        return self.State(
            central=u.central - self.cl * c1 - to2 - to3,
            peripheral2=u.peripheral2 + to2,
            peripheral3=u.peripheral3 + to3,
        )

    def output(self, t, y, u):
        """Concentration in the central volume."""
        return self.Output(plasma=y.central / self.v1)

    def balances(self, t, y, u):
        """The drug leaves by clearance alone."""
        return {"drug": Balance(("central", "peripheral2", "peripheral3"), gain=-self.cl * y.central / self.v1)}

    @classmethod
    def typical(cls):
        """Remifentanil in an adult of 40 years and 55 kg lean body mass."""
        return cls(cl=2.6 * 60, v1=5.1, q2=2.05 * 60, v2=9.82, q3=0.076 * 60, v3=5.42)


class ThreeCompartmentOral(AbstractModel):
    """First-order absorption into three compartments.

    .. code-block:: text

        depot'       = -ka depot
        central'     =  ka depot - cl c1 - q2 (c1 - c2) - q3 (c1 - c3)          c1 = central / v1 = plasma
        peripheral2' =                     q2 (c1 - c2)                         c2 = peripheral2 / v2
        peripheral3' =                                    q3 (c1 - c3)          c3 = peripheral3 / v3

    **Parameters** (scalars): `ka` absorption rate constant (1/h), `cl` clearance (L/h), `v1` central volume (L), `q2`,
    `q3` intercompartmental clearances (L/h), `v2`, `v3` peripheral volumes (L), `lag` absorption lag time (h),
    `bioavailability` of doses into the depot.
    **Assumptions**: as `ThreeCompartment`; linear absorption.
    **Reference**: Gibaldi & Perrier, Pharmacokinetics, 2nd ed. 1982; NONMEM ADVAN12 TRANS4 (whose V2 to V4 are v1 to v3
    here). Typical values are illustrative.
    """

    ka: Rate
    cl: Clearance
    v1: Volume
    q2: Clearance
    v2: Volume
    q3: Clearance
    v3: Volume
    lag: Time = 0.0
    bioavailability: Fraction = 1.0

    class State(eqx.Module):
        """Drug at the absorption site and in the central, the quick and the slow compartment."""

        depot: Amount
        central: Amount
        peripheral2: Amount
        peripheral3: Amount

    class Output(eqx.Module):
        """Plasma concentration."""

        plasma: Concentration

    def derivative(self, t, y, u):
        """Absorption, elimination and exchange are first order."""
        c1, c2, c3 = y.central / self.v1, y.peripheral2 / self.v2, y.peripheral3 / self.v3
        absorbed = self.ka * y.depot
        to2, to3 = self.q2 * (c1 - c2), self.q3 * (c1 - c3)
        return self.State(
            depot=u.depot - absorbed,
            central=u.central + absorbed - self.cl * c1 - to2 - to3,
            peripheral2=u.peripheral2 + to2,
            peripheral3=u.peripheral3 + to3,
        )

    def output(self, t, y, u):
        """Concentration in the central volume."""
        return self.Output(plasma=y.central / self.v1)

    def routes(self):
        """Lag and bioavailability belong to the depot."""
        return {"depot": Route(lag=self.lag, bioavailability=self.bioavailability)}

    def balances(self, t, y, u):
        """The drug leaves by clearance alone."""
        states = ("depot", "central", "peripheral2", "peripheral3")
        return {"drug": Balance(states, gain=-self.cl * y.central / self.v1)}

    @classmethod
    def typical(cls):
        """Illustrative values of a lipophilic small molecule."""
        return cls(ka=0.8, cl=10.0, v1=20.0, q2=15.0, v2=40.0, q3=3.0, v3=150.0)
