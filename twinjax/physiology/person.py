"""Who a body belongs to: age, sex, height and weight."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import equinox as eqx
import jax.numpy as jnp
from jax.core import Tracer

from twinjax.physiology.ethnicity import Ethnicity, build
from twinjax.physiology.reference import HEIGHTS, WEIGHTS, at_age
from twinjax.units import Fraction, Scalar, Unit

Years = Annotated[Scalar, Unit("1")]
"""Age in years: a covariate of empirical equations, not a time of the model."""


class Person(eqx.Module):
    """One person, or many where the leaves have an axis.

    **Parameters**: `age` (years), `female` (0 for a man, 1 for a woman), `height` (cm), `weight` (kg), `kidney`, renal
    function as a fraction of what is healthy at this age and size.
    """

    age: Years
    female: Fraction
    height: Scalar
    weight: Scalar
    kidney: Fraction


def person(
    age: Scalar = 30.0,
    sex: Literal["male", "female"] = "male",
    *,
    height: Scalar | None = None,
    weight: Scalar | None = None,
    kidney: Scalar = 1.0,
    ethnicity: Ethnicity | None = None,
) -> Person:
    """A person; without a height, of the reference height of that age and sex; without a weight, of its mass index.

    Height and mass index are those of ICRP's reference people, or of an ethnicity: the mean height and median mass
    index of Americans of 2011 to 2018 (`twinjax.physiology.ethnicity`). These are heavier than ICRP's, so compare an
    ethnicity with another one, not with none. Organs follow height and weight by the same equations for all. Genotypes
    are drawn apart, by ancestry: `twinjax.genetics.draw`.

    **Parameters**: `age` in years, 0 to 100; `height` in cm; `weight` in kg; `kidney`, renal function as a fraction of
    healthy (`twinjax.physiology.kidney.impaired` gives it for a stage of kidney disease); `ethnicity`, for adults of 20
    to 80: ``"asian"``, ``"black"``, ``"hispanic"`` or ``"white"``.
    **Raises** `ValueError` for an age outside 0 to 100, a sex that is neither, a height or weight that is not positive
    or that looks like metres or pounds, a renal function outside 0 to 2, and an ethnicity or an age of it that is not
    known.
    **Reference**: ICRP Publication 89, doi:10.1016/S0146-6453(03)00002-2; `twinjax.physiology.ethnicity.BUILD`.
    """
    if sex not in ("male", "female"):
        raise ValueError(f"sex is {sex!r}; give 'male' or 'female' (reference anatomy exists for these two)")
    checked("age", age, 0.0, 100.0, "years")
    checked("height", height, 30.0, 230.0, "cm; is it in metres or inches?")
    checked("weight", weight, 1.0, 350.0, "kg; is it in grams or pounds?")
    checked("kidney", kidney, 0.0, 2.0, "a fraction of healthy renal function; is it a GFR?")
    female = 1.0 if sex == "female" else 0.0
    if ethnicity is None:
        usual = at_age(HEIGHTS, age, female)
        height = usual if height is None else height
        weight = at_age(WEIGHTS, age, female) * (height / usual) ** 2 if weight is None else weight
    else:
        theirs = build(ethnicity, age, female)
        height = theirs.mean if height is None else height
        weight = theirs.weight(height) if weight is None else weight
    return Person(*(jnp.asarray(x, jnp.result_type(float)) for x in (age, female, height, weight, kidney)))


def checked(name: str, value: Any, low: float, high: float, unit: str) -> None:
    """Raise `ValueError` where a number that can be looked at lies outside its range."""
    if value is None or isinstance(value, Tracer) or jnp.ndim(value):
        return
    if not low <= float(value) <= high:
        raise ValueError(f"{name} is {float(value):g}; it lies between {low:g} and {high:g} {unit}")
