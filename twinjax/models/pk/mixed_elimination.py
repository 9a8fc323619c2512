"""Linear and saturable elimination side by side, as of many antibodies."""

from __future__ import annotations

import equinox as eqx

from twinjax.models.base import AbstractModel, Balance, Route
from twinjax.units import Amount, AmountRate, Clearance, Concentration, Fraction, Rate, Time, Volume


class OneCompartmentOralMixed(AbstractModel):
    """First-order absorption into one compartment with linear and Michaelis-Menten elimination.

    .. code-block:: text

        depot'   = -ka depot
        central' =  ka depot - cl c - vmax c / (km + c)          c = central / v = plasma

    **Parameters** (scalars): `ka` absorption rate constant (1/h), `cl` linear clearance (L/h), `vmax` greatest rate of
    saturable elimination (mg/h), `km` concentration at half of it (mg/L), `v` volume of distribution (L), `lag`
    absorption lag time (h), `bioavailability` of doses into the depot.
    **Assumptions**: well-stirred; the two paths of elimination are independent.
    **Reference**: Gibaldi & Perrier, Pharmacokinetics, 2nd ed. 1982, chapter 7. Typical values are illustrative.
    """

    ka: Rate
    cl: Clearance
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
        """Two paths of elimination, one of which saturates."""
        c = y.central / self.v
        absorbed = self.ka * y.depot
        eliminated = self.cl * c + self.vmax * c / (self.km + c)
        return self.State(depot=u.depot - absorbed, central=u.central + absorbed - eliminated)

    def output(self, t, y, u):
        """Concentration in the volume of distribution."""
        return self.Output(plasma=y.central / self.v)

    def routes(self):
        """Lag and bioavailability belong to the depot."""
        return {"depot": Route(lag=self.lag, bioavailability=self.bioavailability)}

    def balances(self, t, y, u):
        """The drug leaves by both paths."""
        c = y.central / self.v
        return {"drug": Balance(("depot", "central"), gain=-self.cl * c - self.vmax * c / (self.km + c))}

    @classmethod
    def typical(cls):
        """Illustrative values of a small molecule."""
        return cls(ka=1.0, cl=1.0, vmax=20.0, km=4.0, v=40.0)


class TwoCompartmentMixed(AbstractModel):
    """Two compartments with linear and Michaelis-Menten elimination; bolus or infusion into `central`.

    .. code-block:: text

        central'    = -cl c1 - vmax c1 / (km + c1) - q (c1 - c2)          c1 = central / v1 = plasma
        peripheral' =                                q (c1 - c2)          c2 = peripheral / v2

    **Parameters** (scalars): `cl` linear clearance (L/h), `vmax` greatest rate of saturable elimination (mg/h), `km`
    concentration at half of it (mg/L), `v1` central volume (L), `q` intercompartmental clearance (L/h), `v2` peripheral
    volume (L).
    **Assumptions**: each compartment well-stirred; the two paths of elimination are independent; the target-mediated
    path of an antibody at constant target.
    **Reference**: typical values: pembrolizumab, Elassaiss-Schaap et al. 2017, CPT Pharmacometrics Syst Pharmacol 6:21,
    doi:10.1002/psp4.12132 (per day there, per hour here).
    """

    cl: Clearance
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
        """Two paths of elimination, one of which saturates."""
        c1, c2 = y.central / self.v1, y.peripheral / self.v2
        eliminated = self.cl * c1 + self.vmax * c1 / (self.km + c1)
        exchanged = self.q * (c1 - c2)
        return self.State(central=u.central - eliminated - exchanged, peripheral=u.peripheral + exchanged)

    def output(self, t, y, u):
        """Concentration in the central volume."""
        return self.Output(plasma=y.central / self.v1)

    def balances(self, t, y, u):
        """The drug leaves by both paths."""
        c1 = y.central / self.v1
        return {"drug": Balance(("central", "peripheral"), gain=-self.cl * c1 - self.vmax * c1 / (self.km + c1))}

    @classmethod
    def typical(cls):
        """Pembrolizumab in an adult of 78 kg."""
        return cls(cl=0.168 / 24, vmax=0.114 / 24, km=0.0784, v1=2.88, q=0.384 / 24, v2=2.85)


class TwoCompartmentOralMixed(AbstractModel):
    """First-order absorption into two compartments with linear and Michaelis-Menten elimination.

    .. code-block:: text

        depot'      = -ka depot
        central'    =  ka depot - cl c1 - vmax c1 / (km + c1) - q (c1 - c2)          c1 = central / v1 = plasma
        peripheral' =                                           q (c1 - c2)          c2 = peripheral / v2

    **Parameters** (scalars): `ka` absorption rate constant (1/h), `lag` absorption lag time (h), `bioavailability` of
    doses into the depot; the others as in `TwoCompartmentMixed`.
    **Assumptions**: as `TwoCompartmentMixed`; linear absorption, oral or subcutaneous.
    **Reference**: as `TwoCompartmentMixed`; the absorption rate constant and bioavailability are illustrative of a
    subcutaneous antibody.
    """

    ka: Rate
    cl: Clearance
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
        """Two paths of elimination, one of which saturates."""
        c1, c2 = y.central / self.v1, y.peripheral / self.v2
        absorbed = self.ka * y.depot
        eliminated = self.cl * c1 + self.vmax * c1 / (self.km + c1)
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
        """The drug leaves by both paths."""
        c1 = y.central / self.v1
        gain = -self.cl * c1 - self.vmax * c1 / (self.km + c1)
        return {"drug": Balance(("depot", "central", "peripheral"), gain=gain)}

    @classmethod
    def typical(cls):
        """Pembrolizumab in an adult of 78 kg, given under the skin."""
        return cls(
            ka=0.3 / 24,
            cl=0.168 / 24,
            vmax=0.114 / 24,
            km=0.0784,
            v1=2.88,
            q=0.384 / 24,
            v2=2.85,
            bioavailability=0.65,
        )
