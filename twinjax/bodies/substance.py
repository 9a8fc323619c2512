"""A drug as a body needs it: the molecule, and what the body does to it."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jax.core import Tracer

from twinjax.bodies.composition import ERYTHROCYTES
from twinjax.bodies.context import DRUGS
from twinjax.drugs.compound import Compound, check_fraction, known
from twinjax.drugs.ionisation import ionised_to_neutral
from twinjax.drugs.partition import AbstractPartition
from twinjax.models.pbpk.solute import AbstractKinetics, Inactivation, Induction
from twinjax.naming import suggestion
from twinjax.units import Clearance, Fraction, MolarConcentration, Number, Rate, Scalar


def _number(value: Any) -> Any:
    return value if value is None else jnp.asarray(value, jnp.result_type(float))


class Substance(eqx.Module):
    """A drug and its behaviour in a body.

    **Parameters**: `compound`; `molar_mass` (g/mol); `halogens`, what they make the molecule smaller for membranes
    (g/mol: 17 for each F, 22 Cl, 62 Br, 98 I); by enzyme or uptake transporter: `kinetics` (a tuple where an enzyme
    makes several things of it), `inhibits` (competitive Ki, umol/L), `noncompetitive`, `inactivates`, `induces`;
    `clint`, unbound intrinsic clearance of the whole liver by what is not named (L/h);
    `filtered`, what of its glomerular filtrate reaches the urine; `secretion`, unbound renal clearance beside it (L/h);
    `charged`, how fast charged molecules cross the membranes of cells, over neutral ones (1, PK-Sim's standard; 0.001
    after Schmitt).
    For doses by mouth: `intestinal`, specific permeability of the small intestine (cm/min), or `ka` (1/h);
    `dissolution` of a tablet (1/h); `solubility` (mg/L), where it limits. `method` of partition, the body's unless
    this drug has its own; `context`, the name of its context of use among `twinjax.bodies.DRUGS`, if it has one.
    **Raises** `ValueError` for numbers that are not positive and fractions outside 0 to 1, and a
    context that is not known.
    """

    compound: Compound
    molar_mass: Scalar = eqx.field(converter=_number)
    halogens: Scalar = eqx.field(converter=_number, default=0.0)
    kinetics: dict[str, AbstractKinetics | tuple[AbstractKinetics, ...]] = eqx.field(default_factory=dict)
    inhibits: dict[str, MolarConcentration] = eqx.field(default_factory=dict)
    inactivates: dict[str, Inactivation] = eqx.field(default_factory=dict)
    induces: dict[str, Induction] = eqx.field(default_factory=dict)
    noncompetitive: dict[str, MolarConcentration] = eqx.field(default_factory=dict)
    clint: Clearance = eqx.field(converter=_number, default=0.0)
    filtered: Fraction = eqx.field(converter=_number, default=1.0)
    secretion: Clearance = eqx.field(converter=_number, default=0.0)
    intestinal: Scalar | None = eqx.field(converter=_number, default=None)
    ka: Rate | None = eqx.field(converter=_number, default=None)
    dissolution: Rate = eqx.field(converter=_number, default=60.0)
    solubility: Number | None = eqx.field(converter=_number, default=None)
    charged: Fraction = eqx.field(converter=_number, default=1.0)
    method: AbstractPartition | None = None
    context: str | None = eqx.field(static=True, default=None)

    def __check_init__(self) -> None:
        """Bad numbers are refused in words."""
        for name in ("molar_mass", "intestinal", "ka", "dissolution", "solubility"):
            number = known(getattr(self, name))
            if number is not None and not number > 0.0:
                raise ValueError(f"{name} is {number:g}; it must be above zero")
        mass = known(self.molar_mass)
        if mass is not None and mass < 10.0:
            raise ValueError(f"molar_mass is {mass:g}; give it in g/mol")
        for name in ("clint", "secretion", "halogens"):
            number = known(getattr(self, name))
            if number is not None and number < 0.0:
                raise ValueError(f"{name} is {number:g}; it cannot be negative")
        if self.context is not None and self.context not in DRUGS:
            raise ValueError(f"there is no context of use {self.context!r}{suggestion(self.context, DRUGS)}")
        check_fraction("charged", self.charged)
        if known(self.filtered) != 0.0:
            check_fraction("filtered", self.filtered)

    def umol(self, mg: Scalar) -> Any:
        """A dose in mg as the umol that a body takes.

        **Warns** of a dose outside the drug's context of use.
        """
        if self.context is not None and not isinstance(mg, Tracer):
            DRUGS[self.context].warn(dose_mg=mg)
        return mg / self.molar_mass * 1000.0

    @property
    def cell_permeability(self) -> Any:
        """Permeability of cells' membranes (cm/min), ``(M / 336)^-6 10^logMA / 5 x 1e-4``, M without halogens; times
        ``neutral + charged (1 - neutral)`` with the neutral share outside of cells, at pH 7.4.

        **Assumptions**: as fast out of cells as into them, though a base is more charged inside.
        **Reference**: PK-Sim's methods, standard and charge-dependent; Kawai et al. 1994, J Pharmacokinet Biopharm
        22:327, doi:10.1007/BF02353860; Schmitt 2008, Toxicol In Vitro 22:457, doi:10.1016/j.tiv.2007.09.010.
        """
        effective = self.molar_mass - self.halogens
        neutral = 1.0 / (1.0 + ionised_to_neutral(self.compound.acids, self.compound.bases, 7.4))
        crossing = neutral + self.charged * (1.0 - neutral)
        return (effective / 336.0) ** -6.0 * self.compound.membrane_affinity / 5.0 * 1e-4 * crossing

    @property
    def default_intestinal(self) -> Any:
        """Predicted specific permeability of the intestine (cm/min), ``266 M^-4.5 10^logMA x 60``.

        **Reference**: Willmann et al. 2004, J Med Chem 47:4022, doi:10.1021/jm030999b; PK-Sim's standard method.
        """
        return 266.0 * (self.molar_mass - self.halogens) ** -4.5 * self.compound.membrane_affinity * 60.0


def blood_to_plasma(compound: Compound, haematocrit: Scalar) -> Any:
    """Ratio of concentrations: as measured, else by Rodgers and Rowland's erythrocyte without binding.

    ``1 - H + H fu (water (1 + Z)/(1 + Y) + lipids / (1 + Y))``.
    **Reference**: Rodgers and Rowland 2006, J Pharm Sci 95:1238, doi:10.1002/jps.20502.
    """
    if compound.blood_to_plasma is not None:
        return compound.blood_to_plasma
    cells, p = ERYTHROCYTES, 10.0**compound.log_p
    inside = ionised_to_neutral(compound.acids, compound.bases, 7.22)
    plasma = ionised_to_neutral(compound.acids, compound.bases, 7.4)
    lipid = p * cells.neutral_lipid + (0.3 * p + 0.7) * cells.phospholipid
    held = ((1.0 + inside) * cells.intracellular_water + lipid) / (1.0 + plasma)
    return 1.0 - haematocrit + haematocrit * compound.fu * held
