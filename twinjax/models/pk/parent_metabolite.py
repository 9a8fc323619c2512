"""A drug and the metabolite it turns into."""

from __future__ import annotations

import equinox as eqx

from twinjax.models.base import AbstractModel, Balance, Route
from twinjax.units import Amount, Clearance, Concentration, Fraction, MolarMass, Rate, Time, Volume


class ParentMetabolite(AbstractModel):
    """First-order absorption of a parent drug, a fraction of which is eliminated as one metabolite.

    .. code-block:: text

        depot'      = -ka depot
        central'    =  ka depot - cl c                                               c = central / v = parent
        metabolite' =  fm cl c (molar_mass_metabolite / molar_mass) - cl_metabolite m
                                                                 m = metabolite / v_metabolite

    Every state is a mass; a molecule of parent gives a molecule of metabolite, so masses are bridged by molar masses.

    **Parameters** (scalars): `ka` absorption rate constant (1/h), `cl` clearance of the parent (L/h), `v` its volume
    (L), `fm` fraction of the parent eliminated as the metabolite, `cl_metabolite` clearance (L/h) and `v_metabolite`
    volume (L) of the metabolite, `molar_mass`, `molar_mass_metabolite` (mg/umol), `lag` absorption lag time (h),
    `bioavailability` of doses into the depot.
    **Assumptions**: one compartment each; linear; no metabolite before the parent reaches the blood. From plasma data
    of the parent's doses alone only `fm / v_metabolite` is identifiable.
    **Reference**: Gabrielsson & Weiner, Pharmacokinetic and Pharmacodynamic Data Analysis. Typical values are
    illustrative; the molar masses are those of caffeine and paraxanthine.
    """

    ka: Rate
    cl: Clearance
    v: Volume
    fm: Fraction
    cl_metabolite: Clearance
    v_metabolite: Volume
    molar_mass: MolarMass
    molar_mass_metabolite: MolarMass
    lag: Time = 0.0
    bioavailability: Fraction = 1.0

    class State(eqx.Module):
        """Parent at the absorption site, parent and metabolite in the body."""

        depot: Amount
        central: Amount
        metabolite: Amount

    class Output(eqx.Module):
        """Plasma concentrations of parent and metabolite, each in its own mass."""

        plasma: Concentration
        metabolite: Concentration

    def derivative(self, t, y, u):
        """The metabolite forms molecule by molecule."""
        absorbed = self.ka * y.depot
        eliminated = self.cl * y.central / self.v
        formed = self.fm * eliminated * self.molar_mass_metabolite / self.molar_mass
        return self.State(
            depot=u.depot - absorbed,
            central=u.central + absorbed - eliminated,
            metabolite=u.metabolite + formed - self.cl_metabolite * y.metabolite / self.v_metabolite,
        )

    def output(self, t, y, u):
        """Concentrations in the volumes of distribution."""
        return self.Output(plasma=y.central / self.v, metabolite=y.metabolite / self.v_metabolite)

    def routes(self):
        """Lag and bioavailability belong to the depot."""
        return {"depot": Route(lag=self.lag, bioavailability=self.bioavailability)}

    def balances(self, t, y, u):
        """Molecules leave by the other paths of the parent and the clearance of the metabolite."""
        parent, metabolite = 1.0 / self.molar_mass, 1.0 / self.molar_mass_metabolite
        lost = (1.0 - self.fm) * self.cl * y.central / self.v * parent
        cleared = self.cl_metabolite * y.metabolite / self.v_metabolite * metabolite
        weights = {"depot": parent, "central": parent, "metabolite": metabolite}
        return {"molecules": Balance(weights, gain=-lost - cleared)}

    @classmethod
    def typical(cls):
        """Illustrative values of caffeine and paraxanthine in an adult."""
        return cls(
            ka=4.0,
            cl=6.0,
            v=40.0,
            fm=0.8,
            cl_metabolite=8.0,
            v_metabolite=45.0,
            molar_mass=0.19419,
            molar_mass_metabolite=0.18016,
        )
