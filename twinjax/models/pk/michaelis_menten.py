"""Saturable elimination."""

from __future__ import annotations

import equinox as eqx

from twinjax.models.base import AbstractModel, Balance, Route
from twinjax.units import Amount, AmountRate, Clearance, Concentration, Fraction, Rate, Time, Volume


class OneCompartmentMichaelisMenten(AbstractModel):
    """One compartment with Michaelis-Menten elimination; bolus or infusion into `central`.

    .. code-block:: text

        central' = -vmax c / (km + c)          c = central / v = plasma

    **Parameters** (scalars): `vmax` greatest rate of elimination (mg/h), `km` concentration at half of it (mg/L), `v`
    volume of distribution (L).
    **Assumptions**: well-stirred; a single saturable path.
    **Reference**: Wagner 1973, J Pharmacokinet Biopharm 1:103, doi:10.1007/BF01059625. Typical values: phenytoin, vmax
    415 mg/day and km 5.7 mg/L, Grasela et al. 1983, Clin Pharmacokinet 8:355, doi:10.2165/00003088-198308040-00006;
    the volume of 0.65 L/kg is illustrative.
    """

    vmax: AmountRate
    km: Concentration
    v: Volume

    class State(eqx.Module):
        """Drug in the body."""

        central: Amount

    class Output(eqx.Module):
        """Plasma concentration."""

        plasma: Concentration

    def derivative(self, t, y, u):
        """Elimination saturates."""
        c = y.central / self.v
        return self.State(central=u.central - self.vmax * c / (self.km + c))

    def output(self, t, y, u):
        """Concentration in the volume of distribution."""
        return self.Output(plasma=y.central / self.v)

    def balances(self, t, y, u):
        """The drug leaves by the saturable path alone."""
        c = y.central / self.v
        return {"drug": Balance(("central",), gain=-self.vmax * c / (self.km + c))}

    @classmethod
    def typical(cls):
        """Phenytoin in an adult of 70 kg."""
        return cls(vmax=415.0 / 24, km=5.7, v=0.65 * 70)


class OneCompartmentOralMichaelisMenten(AbstractModel):
    """First-order absorption into one compartment with Michaelis-Menten elimination.

    .. code-block:: text

        depot'   = -ka depot
        central' =  ka depot - vmax c / (km + c)          c = central / v = plasma

    **Parameters** (scalars): `ka` absorption rate constant (1/h), `vmax` greatest rate of elimination (mg/h), `km`
    concentration at half of it (mg/L), `v` volume of distribution (L), `lag` absorption lag time (h), `bioavailability`
    of doses into the depot.
    **Assumptions**: well-stirred; a single saturable path.
    **Reference**: as `OneCompartmentMichaelisMenten`; the absorption rate constant is illustrative.
    """

    ka: Rate
    vmax: AmountRate
    km: Concentration
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
        """Absorption is first order, elimination saturates."""
        c = y.central / self.v
        absorbed = self.ka * y.depot
        eliminated = self.vmax * c / (self.km + c)
        return self.State(depot=u.depot - absorbed, central=u.central + absorbed - eliminated)

    def output(self, t, y, u):
        """Concentration in the volume of distribution."""
        return self.Output(plasma=y.central / self.v)

    def routes(self):
        """Lag and bioavailability belong to the depot."""
        return {"depot": Route(lag=self.lag, bioavailability=self.bioavailability)}

    def balances(self, t, y, u):
        """The drug leaves by the saturable path alone."""
        c = y.central / self.v
        return {"drug": Balance(("depot", "central"), gain=-self.vmax * c / (self.km + c))}

    @classmethod
    def typical(cls):
        """Phenytoin in an adult of 70 kg."""
        return cls(ka=0.5, vmax=415.0 / 24, km=5.7, v=0.65 * 70)


class TwoCompartmentMichaelisMenten(AbstractModel):
    """Two compartments with Michaelis-Menten elimination; bolus or infusion into `central`.

    .. code-block:: text

        central'    = -vmax c1 / (km + c1) - q (c1 - c2)          c1 = central / v1 = plasma
        peripheral' =                        q (c1 - c2)          c2 = peripheral / v2

    **Parameters** (scalars): `vmax` greatest rate of elimination (mg/h), `km` concentration at half of it (mg/L), `v1`
    central volume (L), `q` intercompartmental clearance (L/h), `v2` peripheral volume (L).
    **Assumptions**: each compartment well-stirred; a single saturable path, out of the central compartment.
    **Reference**: as `OneCompartmentMichaelisMenten`; the distribution is illustrative.
    """

    vmax: AmountRate
    km: Concentration
    v1: Volume
    q: Clearance
    v2: Volume

    class State(eqx.Module):
        """Drug in the central and the peripheral compartment."""

        central: Amount
        peripheral: Amount

    class Output(eqx.Module):
        """Plasma concentration."""

        plasma: Concentration

    def derivative(self, t, y, u):
        """Elimination saturates; distribution is linear."""
        c1, c2 = y.central / self.v1, y.peripheral / self.v2
        eliminated = self.vmax * c1 / (self.km + c1)
        exchanged = self.q * (c1 - c2)
        return self.State(central=u.central - eliminated - exchanged, peripheral=u.peripheral + exchanged)

    def output(self, t, y, u):
        """Concentration in the central volume."""
        return self.Output(plasma=y.central / self.v1)

    def balances(self, t, y, u):
        """The drug leaves by the saturable path alone."""
        c1 = y.central / self.v1
        return {"drug": Balance(("central", "peripheral"), gain=-self.vmax * c1 / (self.km + c1))}

    @classmethod
    def typical(cls):
        """Phenytoin's elimination in an adult of 70 kg."""
        return cls(vmax=415.0 / 24, km=5.7, v1=25.0, q=10.0, v2=20.0)


class TwoCompartmentOralMichaelisMenten(AbstractModel):
    """First-order absorption into two compartments with Michaelis-Menten elimination.

    .. code-block:: text

        depot'      = -ka depot
        central'    =  ka depot - vmax c1 / (km + c1) - q (c1 - c2)          c1 = central / v1 = plasma
        peripheral' =                                   q (c1 - c2)          c2 = peripheral / v2

    **Parameters** (scalars): `ka` absorption rate constant (1/h), `vmax` greatest rate of elimination (mg/h), `km`
    concentration at half of it (mg/L), `v1` central volume (L), `q` intercompartmental clearance (L/h), `v2` peripheral
    volume (L), `lag` absorption lag time (h), `bioavailability` of doses into the depot.
    **Assumptions**: each compartment well-stirred; a single saturable path, out of the central compartment.
    **Reference**: as `TwoCompartmentMichaelisMenten`; the absorption rate constant is illustrative.
    """

    ka: Rate
    vmax: AmountRate
    km: Concentration
    v1: Volume
    q: Clearance
    v2: Volume
    lag: Time = 0.0
    bioavailability: Fraction = 1.0

    class State(eqx.Module):
        """Drug at the absorption site, in the central and in the peripheral compartment."""

        depot: Amount
        central: Amount
        peripheral: Amount

    class Output(eqx.Module):
        """Plasma concentration."""

        plasma: Concentration

    def derivative(self, t, y, u):
        """Absorption is first order, elimination saturates."""
        c1, c2 = y.central / self.v1, y.peripheral / self.v2
        absorbed = self.ka * y.depot
        eliminated = self.vmax * c1 / (self.km + c1)
        exchanged = self.q * (c1 - c2)
        return self.State(
            depot=u.depot - absorbed,
            central=u.central + absorbed - eliminated - exchanged,
            peripheral=u.peripheral + exchanged,
        )

    def output(self, t, y, u):
        """Concentration in the central volume."""
        return self.Output(plasma=y.central / self.v1)

    def routes(self):
        """Lag and bioavailability belong to the depot."""
        return {"depot": Route(lag=self.lag, bioavailability=self.bioavailability)}

    def balances(self, t, y, u):
        """The drug leaves by the saturable path alone."""
        c1 = y.central / self.v1
        return {"drug": Balance(("depot", "central", "peripheral"), gain=-self.vmax * c1 / (self.km + c1))}

    @classmethod
    def typical(cls):
        """Phenytoin's elimination in an adult of 70 kg."""
        return cls(ka=0.5, vmax=415.0 / 24, km=5.7, v1=25.0, q=10.0, v2=20.0)
