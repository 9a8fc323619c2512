"""What belongs to a drug wherever it is: binding in blood, and what it does with enzymes."""

from __future__ import annotations

import abc
from collections.abc import Iterator
from typing import Any

import equinox as eqx

from twinjax.units import Fraction, MolarConcentration, Number, PerEnzyme, Rate


class AbstractKinetics(eqx.Module):
    """How fast one umol of an enzyme turns a drug over.

    **Parameters**: `metabolite`, the name of the drug that forms, None where it is not followed.
    """

    metabolite: str | None = eqx.field(static=True, default=None, kw_only=True)

    @abc.abstractmethod
    def turnover(self, unbound: MolarConcentration, inhibition: Number) -> Any:
        """umol/h by a umol of enzyme, where inhibitors raise Km by a factor."""


class LinearKinetics(AbstractKinetics):
    """``clearance C / inhibition``, far below Km.

    **Parameters**: `clearance`, unbound intrinsic clearance by a umol of enzyme (L/h/umol; 60 for one in
    uL/min/pmol).
    """

    clearance: PerEnzyme

    def turnover(self, unbound, inhibition):
        """Proportional to concentration."""
        return self.clearance * unbound / inhibition


class MichaelisMenten(AbstractKinetics):
    """``kcat C / (Km inhibition + C)``: competitive inhibitors raise Km.

    **Parameters**: `kcat` (1/h), `km` unbound (umol/L).
    """

    kcat: Rate
    km: MolarConcentration

    def turnover(self, unbound, inhibition):
        """Saturable."""
        return self.kcat * unbound / (self.km * inhibition + unbound)


class Inactivation(eqx.Module):
    """Mechanism-based: enzyme is lost at ``kinact C / (KI + C)``.

    **Parameters**: `kinact` (1/h), `ki` unbound (umol/L).
    """

    kinact: Rate
    ki: MolarConcentration


class Induction(eqx.Module):
    """Synthesis of enzyme grows by ``emax C / (ec50 + C)`` of its baseline.

    **Parameters**: `emax` (fold above 1), `ec50` unbound (umol/L).
    """

    emax: Number
    ec50: MolarConcentration


class Solute(eqx.Module):
    """A drug in blood.

    **Parameters**: `fu`, unbound fraction in plasma; `blood_to_plasma`, ratio of concentrations; by enzyme (or uptake
    transporter): `kinetics` as a substrate (a tuple where the enzyme makes several things of it), `inhibits` the
    competitive and `noncompetitive` the other constant (unbound, umol/L), `inactivates`, `induces`.
    **Assumptions**: unbound drug acts; perpetrators act independently of each other, and on all substrates alike.
    """

    fu: Fraction
    blood_to_plasma: Number
    kinetics: dict[str, AbstractKinetics | tuple[AbstractKinetics, ...]] = eqx.field(default_factory=dict)
    inhibits: dict[str, MolarConcentration] = eqx.field(default_factory=dict)
    inactivates: dict[str, Inactivation] = eqx.field(default_factory=dict)
    induces: dict[str, Induction] = eqx.field(default_factory=dict)
    noncompetitive: dict[str, MolarConcentration] = eqx.field(default_factory=dict)

    def pathways(self) -> Iterator[tuple[str, AbstractKinetics]]:
        """Every enzyme with what it does, once for each thing that it makes."""
        for enzyme, kinetics in self.kinetics.items():
            for one in kinetics if isinstance(kinetics, tuple) else (kinetics,):
                yield enzyme, one

    @property
    def unbound(self) -> Any:
        """Unbound plasma concentration over that in blood."""
        return self.fu / self.blood_to_plasma
