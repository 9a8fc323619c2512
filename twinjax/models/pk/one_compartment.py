"""One compartment, bolus or infusion and first-order absorption: the smallest models, and the pattern of all others."""

from __future__ import annotations

import equinox as eqx

from twinjax.models.base import AbstractModel, Balance, Route
from twinjax.units import Amount, Clearance, Concentration, Fraction, Rate, Time, Volume


class OneCompartment(AbstractModel):
    """One compartment with linear elimination; bolus or infusion into `central`.

    .. code-block:: text

        central' = -cl/v central          plasma = central / v

    **Parameters** (scalars): `cl` clearance (L/h), `v` volume of distribution (L).
    **Assumptions**: well-stirred; linear elimination.
    **Reference**: Gabrielsson & Weiner, Pharmacokinetic and Pharmacodynamic Data Analysis; NONMEM ADVAN1 TRANS2.
    Typical values: phenobarbital, 0.0047 L/h/kg and 0.984 L/kg, NONMEM 7.5.1 by FOCEI on the data of Grasela & Donn
    1985 (pharmpy's example ``pheno_real``).
    """

    cl: Clearance
    v: Volume

    class State(eqx.Module):
        """Drug in the body."""

        central: Amount

    class Output(eqx.Module):
        """Plasma concentration."""

        plasma: Concentration

    def derivative(self, t, y, u):
        """Elimination is first order."""
        return self.State(central=u.central - self.cl * y.central / self.v)

    def output(self, t, y, u):
        """Concentration in the volume of distribution."""
        return self.Output(plasma=y.central / self.v)

    def balances(self, t, y, u):
        """The drug leaves by clearance alone."""
        return {"drug": Balance(("central",), gain=-self.cl * y.central / self.v)}

    @classmethod
    def typical(cls):
        """Phenobarbital in a newborn of 1.5 kg."""
        return cls(cl=0.0047 * 1.5, v=0.984 * 1.5)


class OneCompartmentOral(AbstractModel):
    """First-order absorption into one compartment.

    .. code-block:: text

        depot'   = -ka depot
        central' =  ka depot - cl/v central          plasma = central / v

    **Parameters** (scalars): `ka` absorption rate constant (1/h), `cl` clearance (L/h), `v` volume of distribution (L),
    `lag` absorption lag time (h), `bioavailability` of doses into the depot.
    **Assumptions**: well-stirred; linear elimination.
    **Reference**: Gabrielsson & Weiner, Pharmacokinetic and Pharmacodynamic Data Analysis; NONMEM ADVAN2 TRANS2.
    Typical values: theophylline, rounded from the FOCEI fit of the data that ship with twinjax.
    """

    ka: Rate
    cl: Clearance
    v: Volume
    lag: Time = 0.0
    bioavailability: Fraction = 1.0

    class State(eqx.Module):
        """Drug at the absorption site and in the body."""

        depot: Amount
        central: Amount

    class Output(eqx.Module):
        """Plasma concentration."""

        plasma: Concentration

    def derivative(self, t, y, u):
        """Absorption and elimination are first order."""
        absorbed = self.ka * y.depot
        eliminated = self.cl * y.central / self.v
        return self.State(depot=u.depot - absorbed, central=u.central + absorbed - eliminated)

    def output(self, t, y, u):
        """Concentration in the volume of distribution."""
        return self.Output(plasma=y.central / self.v)

    def routes(self):
        """Lag and bioavailability belong to the depot."""
        return {"depot": Route(lag=self.lag, bioavailability=self.bioavailability)}

    def balances(self, t, y, u):
        """The drug leaves by clearance alone."""
        return {"drug": Balance(("depot", "central"), gain=-self.cl * y.central / self.v)}

    @classmethod
    def typical(cls):
        """Theophylline in adults."""
        return cls(ka=1.5, cl=2.8, v=32.0)
