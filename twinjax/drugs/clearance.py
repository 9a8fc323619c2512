"""Clearance from test tubes: scaling to a whole liver, and the liver models that turn it into blood cleared."""

from __future__ import annotations

import abc
from typing import Any

import equinox as eqx
import jax.numpy as jnp

from twinjax.drugs.compound import check_fraction, known
from twinjax.units import Fraction, Number, Scalar

UL_PER_MIN = 60e-6
"""uL/min in L/h."""


class AbstractPreparation(eqx.Module):
    """What the drug was incubated with, and how much of it a gram of liver holds."""

    @abc.abstractmethod
    def per_gram(self) -> Any:
        """Incubated material in a gram of liver, in the unit that the clearance was measured by."""


class Hepatocytes(AbstractPreparation):
    """Cells; the measured clearance is in uL/min/10^6 cells.

    **Parameters**: `million_per_gram` of liver, Barter's mean of 99.
    **Reference**: Barter et al. 2007, Curr Drug Metab 8:33, doi:10.2174/138920007779315053.
    """

    million_per_gram: Number = 99.0

    def per_gram(self) -> Any:
        """10^6 cells in a gram of liver."""
        return self.million_per_gram


class Microsomes(AbstractPreparation):
    """Microsomal protein; the measured clearance is in uL/min/mg.

    **Parameters**: `protein_per_gram` of liver (mg), Barter's mean of 32.
    **Reference**: Barter et al. 2007, Curr Drug Metab 8:33, doi:10.2174/138920007779315053.
    """

    protein_per_gram: Number = 32.0

    def per_gram(self) -> Any:
        """Protein in a gram of liver."""
        return self.protein_per_gram


class Recombinant(AbstractPreparation):
    """One expressed enzyme; the measured clearance is in uL/min/pmol.

    **Parameters**: `abundance` in liver microsomes (pmol/mg); `activity`, of the liver's enzyme over the recombinant
    one (the inter-system extrapolation factor); `protein_per_gram` as in `Microsomes`.
    **Reference**: Proctor, Tucker and Rostami-Hodjegan 2004, Xenobiotica 34:151, doi:10.1080/00498250310001646353.
    """

    abundance: Number
    activity: Number = 1.0
    protein_per_gram: Number = 32.0

    def per_gram(self) -> Any:
        """Enzyme in a gram of liver, by its activity."""
        return self.abundance * self.activity * self.protein_per_gram


def intrinsic_clearance(
    measured: Scalar, preparation: AbstractPreparation, liver_grams: Scalar, fu_incubation: Scalar = 1.0
) -> Any:
    """Unbound intrinsic clearance of the whole liver (L/h) from what was measured in vitro.

    ``measured / fu_incubation x material in a gram x grams of liver``, in L/h.
    **Parameters**: `measured`, in uL/min by the preparation's unit; `fu_incubation`, fraction unbound in the tube.
    **Raises** `ValueError` for a negative clearance, a liver without weight, a fraction outside (0, 1].
    """
    check_fraction("fu_incubation", fu_incubation)
    value, grams = known(measured), known(liver_grams)
    if value is not None and value < 0.0:
        raise ValueError(f"the measured clearance is {value:g}; it cannot be negative")
    if grams is not None and not grams > 0.0:
        raise ValueError(f"liver_grams is {grams:g}; give the liver's weight in grams")
    if grams is not None and grams < 10.0:
        raise ValueError(f"liver_grams is {grams:g}; is that kilograms? A human liver weighs some 1800 g")
    return measured / fu_incubation * preparation.per_gram() * liver_grams * UL_PER_MIN


def from_chip(rate: Scalar, medium: Scalar, million_cells: Scalar) -> Any:
    """Clearance by cells on a chip (uL/min/10^6 cells, for `Hepatocytes`) from a first-order rate in their medium.

    ``rate x medium / cells``.
    **Parameters**: `rate` (1/h) at which drug leaves the medium, such as the sum of what `GutLiverChip` forms of it;
    `medium` (L) in which it was measured; `million_cells` in it.
    **Assumptions**: cells take it up as fast as they turn it over, and do in the body what they do on the chip: a cell
    line has other enzymes than a liver.
    **Raises** `ValueError` for a medium or cells that are not above zero, and a medium above 10 mL, which looks like mL
    or uL.
    """
    for name, value in (("medium", known(medium)), ("million_cells", known(million_cells))):
        if value is not None and not value > 0.0:
            raise ValueError(f"{name} is {value:g}; it must be above zero")
    litres = known(medium)
    if litres is not None and litres > 0.01:
        unit = "uL" if litres > 1.0 else "mL"
        raise ValueError(f"medium is {litres:g} L; is that {unit}? A chip holds some millilitres at most")
    return rate * medium / million_cells / UL_PER_MIN


class AbstractLiver(eqx.Module):
    """How blood and cells meet in the liver."""

    @abc.abstractmethod
    def availability(self, efficiency: Scalar) -> Any:
        """Share of drug that passes, at ``efficiency = fu CLint / Q``."""


class WellStirred(AbstractLiver):
    """``F = 1 / (1 + R)``: cells everywhere see the blood that leaves.

    **Reference**: Pang and Rowland 1977, J Pharmacokinet Biopharm 5:625, doi:10.1007/BF01059688.
    """

    def availability(self, efficiency: Scalar) -> Any:
        """Share that passes."""
        return 1.0 / (1.0 + efficiency)


class ParallelTube(AbstractLiver):
    """``F = exp(-R)``: blood flows along the cells without mixing.

    **Reference**: Pang and Rowland 1977, J Pharmacokinet Biopharm 5:625, doi:10.1007/BF01059688.
    """

    def availability(self, efficiency: Scalar) -> Any:
        """Share that passes."""
        return jnp.exp(-jnp.asarray(efficiency, jnp.result_type(float)))


class Dispersion(AbstractLiver):
    """Blood mixes as it flows: between a tube (`number` small) and a tank (`number` large).

    .. code-block:: text

        F = 4 a / ((1 + a)^2 exp((a - 1) / (2 Dn)) - (1 - a)^2 exp(-(a + 1) / (2 Dn)))        a = sqrt(1 + 4 R Dn)

    **Parameters**: `number`, the dispersion number Dn; 0.17 in man.
    **Reference**: Roberts and Rowland 1986, J Pharmacokinet Biopharm 14:227, doi:10.1007/BF01106706.
    """

    number: Number = 0.17

    def availability(self, efficiency: Scalar) -> Any:
        """Share that passes."""
        a = jnp.sqrt(1.0 + 4.0 * efficiency * self.number)
        forward = (1.0 + a) ** 2 * jnp.exp((a - 1.0) / (2.0 * self.number))
        return 4.0 * a / (forward - (1.0 - a) ** 2 * jnp.exp(-(a + 1.0) / (2.0 * self.number)))


def hepatic_clearance(intrinsic: Scalar, flow: Scalar, fu_blood: Fraction, liver: AbstractLiver) -> Any:
    """Blood cleared by the liver, ``Q (1 - F)``, in the unit of `flow`.

    **Parameters**: `intrinsic`, unbound intrinsic clearance; `flow`, of blood through the liver; `fu_blood`, fraction
    unbound in blood, ``fu / blood:plasma``.
    **Raises** `ValueError` for a flow that is not positive. A fraction unbound in blood may exceed that in plasma, but
    not 1.
    """
    check_fraction("fu_blood", fu_blood)
    number = known(flow)
    if number is not None and not number > 0.0:
        raise ValueError(f"the liver's blood flow is {number:g}; it must be above zero")
    return flow * (1.0 - liver.availability(fu_blood * intrinsic / flow))
