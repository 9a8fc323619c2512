"""Organs of a person: masses that add up to the weight, flows that add up to the cardiac output."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from twinjax.physiology.person import Person
from twinjax.physiology.reference import (
    AGES,
    ARTERIAL,
    BLOOD,
    DENSITY,
    HAEMATOCRIT,
    HEIGHTS,
    MASSES,
    PERFUSION,
    WEIGHTS,
    at_age,
    rest_of,
)
from twinjax.units import Clearance, Fraction, Scalar, Volume

PORTAL = ("large_intestine", "pancreas", "small_intestine", "spleen", "stomach")
"""Organs whose veins lead to the liver."""

HEIGHT_EXPONENT = {"bone": 2.0, "brain": 0.0, "muscle": 2.0, "skin": 1.6}
"""How masses grow with height beyond that of the reference of that age; 0.75 for the others."""

LEAST_FAT = 0.05


class Anatomy(eqx.Module):
    """A body, drug-free.

    **Parameters**: `masses` of organs without their blood (kg), `blood` (L) of which `arterial` is a fraction, `flows`
    of blood through organs (L/h; `liver` is the hepatic artery alone, the lung takes all), `haematocrit`.
    """

    masses: dict[str, Scalar]
    flows: dict[str, Clearance]
    blood: Volume
    arterial: Fraction
    haematocrit: Fraction

    @property
    def volumes(self) -> dict[str, Any]:
        """Volumes of organs without their blood (L)."""
        return {n: m / DENSITY[n] for n, m in self.masses.items()}

    @property
    def weight(self) -> Any:
        """Body mass (kg): organs and blood."""
        return sum(self.masses.values()) + DENSITY["blood"] * self.blood

    @property
    def cardiac_output(self) -> Any:
        """All flows together (L/h)."""
        return sum(self.flows.values())

    @property
    def hepatic_flow(self) -> Any:
        """Blood through the liver (L/h): artery and portal vein."""
        return self.flows["liver"] + sum(self.flows[n] for n in PORTAL)


def anatomy(who: Person, vary: dict[str, Scalar] | None = None) -> Anatomy:
    """Organs and blood flows of a person.

    .. code-block:: text

        mass = reference(age, sex) (height / reference height)^e      e: `HEIGHT_EXPONENT`
        adipose = weight - everything else, at least 5 % of weight: a thin person's muscle gives way
        flow = perfusion(age, sex) mass, less 0.5 % for every year beyond 35

    **Parameters**: `vary` multiplies the masses (``"liver"``) and perfusions (``"flow.liver"``) so named: what people
    of one size differ by.
    **Assumptions**: linear between the reference ages; adults of 20 and above have one anatomy, but for cardiac output;
    organ masses exclude blood, of which all is in arteries and veins; a fat person's organs are those of a thin one of
    that height, and fat takes its blood from a larger cardiac output.
    **Raises** `ValueError` where a known weight would leave less than half of the muscle of that height and age.
    **Reference**: ICRP 89 (`twinjax.physiology.reference`); Willmann et al. 2007, J Pharmacokinet Pharmacodyn 34:401,
    doi:10.1007/s10928-007-9053-5 (exponents of height); Ring et al. 2017, Environ Int 106:105,
    doi:10.1016/j.envint.2017.06.004 (cardiac output of age).
    """
    vary = {} if vary is None else vary
    size = who.height / at_age(HEIGHTS, who.age, who.female)

    def scaled(name: str, columns: Any) -> Any:
        grown = at_age(columns, who.age, who.female) * size ** HEIGHT_EXPONENT.get(name, 0.75)
        return grown * vary.get(name, 1.0)

    masses = {n: scaled(n, c) for n, c in MASSES.items() if n != "adipose"}
    masses["rest"] = scaled("rest", rest_of(WEIGHTS, MASSES, BLOOD))
    blood = scaled("blood", BLOOD)
    lean = sum(masses.values()) + DENSITY["blood"] * blood
    adipose = jnp.maximum(who.weight - lean, LEAST_FAT * who.weight)
    thin = masses["muscle"] - (adipose + lean - who.weight)
    _room_for_muscle(who.weight, lean, thin, masses["muscle"])
    masses = {"adipose": adipose, **masses, "muscle": thin}
    ageing = 1.0 - 0.005 * jnp.maximum(who.age - 35.0, 0.0)
    flows = {
        n: at_age(q, who.age, who.female) * ageing * masses[n] * vary.get(f"flow.{n}", 1.0)
        for n, q in PERFUSION.items()
    }
    return Anatomy(masses, flows, blood, jnp.asarray(ARTERIAL), haematocrit(who))


def haematocrit(who: Person) -> Any:
    """Fraction of blood that is cells: adults' of ICRP 89; children have women's, boys grow to men's from 10 to 20."""
    male = jnp.interp(who.age, AGES, np.array([HAEMATOCRIT["female"]] * 4 + [HAEMATOCRIT["male"]] * 2))
    return (1.0 - who.female) * male + who.female * HAEMATOCRIT["female"]


def _room_for_muscle(weight: Any, lean: Any, muscle: Any, usual: Any) -> None:
    if any(isinstance(x, Tracer) for x in (weight, lean, muscle, usual)):
        return
    weight, lean, muscle, usual = np.broadcast_arrays(weight, lean, muscle, usual)
    if np.any(muscle < 0.5 * usual):
        i = np.unravel_index(np.argmin(muscle / usual), muscle.shape)
        least = (lean[i] - 0.5 * usual[i]) / (1.0 - LEAST_FAT)
        raise ValueError(
            f"a weight of {weight[i]:g} kg is too small: organs, bones, blood and half the muscle of this height and "
            f"age weigh {least:.1f} kg; give a larger weight, or a smaller height"
        )
