"""Absorption through a chain of transit compartments of any (not only whole) number."""

from __future__ import annotations

import equinox as eqx

from twinjax.models.base import AbstractModel, Balance, Route, Transit
from twinjax.units import Amount, Clearance, Concentration, Fraction, Number, Rate, Time, Volume


class OneCompartmentTransit(AbstractModel):
    """Transit compartments, then first-order absorption into one compartment.

    .. code-block:: text

        depot'   = F dose ktr (ktr s)^n exp(-ktr s) / gamma(n + 1) - ka depot          ktr = (n + 1) / mtt
        central' = ka depot - cl/v central                                             plasma = central / v

    with s the time since each dose; the first term is the route of doses into `depot`, summed over doses.

    **Parameters** (scalars): `ka` absorption rate constant (1/h), `cl` clearance (L/h), `v` volume of distribution (L),
    `mtt` mean transit time (h), `n` number of transit compartments (not necessarily whole), `bioavailability`.
    **Assumptions**: equal transit rates; linear absorption and elimination.
    **Reference**: Savic et al. 2007, J Pharmacokinet Pharmacodyn 34:711, doi:10.1007/s10928-007-9066-0. Typical values
    are illustrative.
    """

    ka: Rate
    cl: Clearance
    v: Volume
    mtt: Time
    n: Number
    bioavailability: Fraction = 1.0

    class State(eqx.Module):
        """Drug at the absorption site and in the body."""

        depot: Amount
        central: Amount

    class Output(eqx.Module):
        """Plasma concentration."""

        plasma: Concentration

    def derivative(self, t, y, u):
        """What leaves the transit chain is in the input of the depot."""
        absorbed = self.ka * y.depot
        return self.State(depot=u.depot - absorbed, central=u.central + absorbed - self.cl * y.central / self.v)

    def output(self, t, y, u):
        """Concentration in the volume of distribution."""
        return self.Output(plasma=y.central / self.v)

    def routes(self):
        """Doses into the depot come through the transit chain."""
        transit = Transit(rate=(self.n + 1.0) / self.mtt, number=self.n)
        return {"depot": Route(bioavailability=self.bioavailability, transit=transit)}

    def balances(self, t, y, u):
        """The drug leaves by clearance alone."""
        return {"drug": Balance(("depot", "central"), gain=-self.cl * y.central / self.v)}

    @classmethod
    def typical(cls):
        """Illustrative values of a small molecule with delayed absorption."""
        return cls(ka=1.5, cl=5.0, v=40.0, mtt=1.0, n=4.5)
