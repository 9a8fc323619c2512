"""Absorption that is not a single first-order process: zero-order, sequential, parallel.

The shape of the input is a matter of routes (`twinjax.models.base.Route`): the equations stay those of one compartment.
"""

from __future__ import annotations

import equinox as eqx

from twinjax.models.base import AbstractModel, Balance, Route
from twinjax.units import Amount, Clearance, Concentration, Fraction, Rate, Time, Volume


class OneCompartmentZeroOrder(AbstractModel):
    """Zero-order absorption into one compartment: the dose enters at a constant rate for `duration`.

    .. code-block:: text

        central' = F dose / duration (lag < s < lag + duration) - cl/v central          plasma = central / v

    with s the time since the dose, for doses into `central` with a modelled duration (RATE = -2).

    **Parameters** (scalars): `cl` clearance (L/h), `v` volume of distribution (L), `duration` of absorption (h),
    `lag` absorption lag time (h), `bioavailability`.
    **Assumptions**: well-stirred; absorption at a constant rate; linear elimination.
    **Reference**: Holford, Ambros & Stoeckel 1992, J Pharmacokinet Biopharm 20:421; NONMEM ADVAN1 TRANS2 with D1.
    Typical values are illustrative.
    """

    cl: Clearance
    v: Volume
    duration: Time
    lag: Time = 0.0
    bioavailability: Fraction = 1.0

    class State(eqx.Module):
        """Drug in the body."""

        central: Amount

    class Output(eqx.Module):
        """Plasma concentration."""

        plasma: Concentration

    def derivative(self, t, y, u):
        """The constant rate of absorption is in the input."""
        return self.State(central=u.central - self.cl * y.central / self.v)

    def output(self, t, y, u):
        """Concentration in the volume of distribution."""
        return self.Output(plasma=y.central / self.v)

    def routes(self):
        """Doses into the central compartment take `duration` to enter."""
        return {"central": Route(lag=self.lag, bioavailability=self.bioavailability, duration=self.duration)}

    def balances(self, t, y, u):
        """The drug leaves by clearance alone."""
        return {"drug": Balance(("central",), gain=-self.cl * y.central / self.v)}

    @classmethod
    def typical(cls):
        """Illustrative values of a small molecule."""
        return cls(cl=5.0, v=40.0, duration=3.0)


class OneCompartmentSequential(AbstractModel):
    """Zero-order release into a depot, then first-order absorption into one compartment.

    .. code-block:: text

        depot'   = F dose / duration (lag < s < lag + duration) - ka depot
        central' = ka depot - cl/v central                                   plasma = central / v

    with s the time since the dose, for doses into `depot` with a modelled duration (RATE = -2).

    **Parameters** (scalars): `ka` absorption rate constant (1/h), `cl` clearance (L/h), `v` volume of distribution (L),
    `duration` of release (h), `lag` absorption lag time (h), `bioavailability`.
    **Assumptions**: release at a constant rate; linear absorption and elimination.
    **Reference**: Holford, Ambros & Stoeckel 1992, J Pharmacokinet Biopharm 20:421; NONMEM ADVAN2 TRANS2 with D1.
    Typical values are illustrative.
    """

    ka: Rate
    cl: Clearance
    v: Volume
    duration: Time
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
        """The constant rate of release is in the input."""
        absorbed = self.ka * y.depot
        return self.State(depot=u.depot - absorbed, central=u.central + absorbed - self.cl * y.central / self.v)

    def output(self, t, y, u):
        """Concentration in the volume of distribution."""
        return self.Output(plasma=y.central / self.v)

    def routes(self):
        """Doses into the depot take `duration` to be released."""
        return {"depot": Route(lag=self.lag, bioavailability=self.bioavailability, duration=self.duration)}

    def balances(self, t, y, u):
        """The drug leaves by clearance alone."""
        return {"drug": Balance(("depot", "central"), gain=-self.cl * y.central / self.v)}

    @classmethod
    def typical(cls):
        """Illustrative values of a small molecule in a slow-release tablet."""
        return cls(ka=1.2, cl=5.0, v=40.0, duration=4.0)


class OneCompartmentParallel(AbstractModel):
    """Parallel absorption: a fraction first order through a depot, the rest zero order into the central compartment.

    .. code-block:: text

        depot'   = -ka depot                                                        from F fraction dose
        central' =  ka depot + F (1 - fraction) dose / duration - cl/v central      plasma = central / v

    A dose is given as two records of the same amount: one into `depot`, and one into `central` with a modelled
    duration (RATE = -2). The split is in their bioavailabilities.

    **Parameters** (scalars): `ka` absorption rate constant (1/h), `cl` clearance (L/h), `v` volume of distribution (L),
    `fraction` absorbed first order, `duration` of the zero-order part (h), `lag` of the first-order part (h),
    `lag_zero` of the zero-order part (h), `bioavailability` of the whole dose.
    **Assumptions**: the two processes are independent; linear elimination.
    **Reference**: Zhou 2003, J Clin Pharmacol 43:211, doi:10.1177/0091270002250613. Typical values are illustrative.
    """

    ka: Rate
    cl: Clearance
    v: Volume
    fraction: Fraction
    duration: Time
    lag: Time = 0.0
    lag_zero: Time = 0.0
    bioavailability: Fraction = 1.0

    class State(eqx.Module):
        """Drug at the first-order absorption site and in the body."""

        depot: Amount
        central: Amount

    class Output(eqx.Module):
        """Plasma concentration."""

        plasma: Concentration

    def derivative(self, t, y, u):
        """The zero-order part of absorption is in the input."""
        absorbed = self.ka * y.depot
        return self.State(depot=u.depot - absorbed, central=u.central + absorbed - self.cl * y.central / self.v)

    def output(self, t, y, u):
        """Concentration in the volume of distribution."""
        return self.Output(plasma=y.central / self.v)

    def routes(self):
        """The fraction goes through the depot, the rest takes `duration` into the central compartment."""
        first, zero = self.bioavailability * self.fraction, self.bioavailability * (1.0 - self.fraction)
        return {
            "depot": Route(lag=self.lag, bioavailability=first),
            "central": Route(lag=self.lag_zero, bioavailability=zero, duration=self.duration),
        }

    def balances(self, t, y, u):
        """The drug leaves by clearance alone."""
        return {"drug": Balance(("depot", "central"), gain=-self.cl * y.central / self.v)}

    @classmethod
    def typical(cls):
        """Illustrative values of a small molecule."""
        return cls(ka=1.2, cl=5.0, v=40.0, fraction=0.6, duration=5.0)
