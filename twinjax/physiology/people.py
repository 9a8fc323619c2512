"""People drawn at random, whose organs vary together as those of real people do."""

from __future__ import annotations

import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from twinjax.physiology.anatomy import LEAST_FAT, Anatomy, anatomy
from twinjax.physiology.ethnicity import Ethnicity, build, known
from twinjax.physiology.kidney import filtration
from twinjax.physiology.person import Person, checked
from twinjax.physiology.reference import FLOWS, HEIGHTS, MASSES, WEIGHTS, at_age

SPREAD = {
    "blood": 0.05, "bone": 0.011, "brain": 0.05, "heart": 0.192, "kidney": 0.246, "large_intestine": 0.195,
    "liver": 0.234, "lung": 0.267, "muscle": 0.0955, "pancreas": 0.269, "skin": 0.05, "small_intestine": 0.117,
    "spleen": 0.423, "stomach": 0.15, "rest": 0.05,
}  # fmt: skip
"""Coefficient of variation of masses among people of one age, sex and height."""

ADIPOSE, PERFUSED, HEIGHT, FILTRATION = 0.423, 0.05, 0.04, 0.228
"""Coefficients of variation of fat at a given height, of perfusions, of height and of filtration."""

LEAST_MUSCLE = 0.6
"""Fraction of the muscle of their height that drawn people keep, however thin; `anatomy` refuses less than a half."""


class People(eqx.Module):
    """Many people: leaves `(people,)`. `gfr` is filtration (L/h) with its own variation."""

    who: Person
    body: Anatomy
    gfr: Any


def people(
    count: int, *, seed: int, age: tuple[float, float] = (20.0, 50.0), women: float = 0.5, kidney: float = 1.0,
    first: int = 0, ethnicity: Ethnicity | None = None,
) -> People:  # fmt: skip
    """People of random age, sex and build. Each depends on `seed` and its index alone, not on how many are drawn.

    Height varies about the reference of age and sex; organs follow height, and vary beyond it lognormally (`SPREAD`),
    as do fat (at a given height), perfusions and filtration; weight is what all adds up to, so that tall people have
    large organs and fat ones more blood flow. People of an ethnicity have the heights and mass indices of Americans of
    2011 to 2018 (`twinjax.physiology.ethnicity`): organs vary as before, and fat is what the drawn weight leaves. As
    organs do not grow with weight, it is too much in the fattest, and a thin person's muscle gives way (to three
    fifths; then the weight is raised). Genotypes are drawn apart, by ancestry (`twinjax.genetics.draw`): which ancestry
    goes with an ethnicity is for you to say.

    **Parameters**: `age`, the range (years) in which ages are uniform; `women`, their fraction; `kidney`, renal
    function as a fraction of healthy; `first`, index of the first person, for drawing in parts;
    `ethnicity`, for ages of 20 to 80: ``"asian"``, ``"black"``, ``"hispanic"`` or ``"white"``.
    **Raises** `ValueError` for no people, an age range that is none, a fraction outside 0 to 1, and an ethnicity or an
    age of it that is not known.
    **Reference**: Willmann et al. 2007, J Pharmacokinet Pharmacodyn 34:401, doi:10.1007/s10928-007-9053-5; coefficients
    of variation of PK-Sim 6 for a man of 30 years (all
    lognormal here; height 4 %).
    """
    if count < 1:
        raise ValueError(f"draw at least one person, not {count}")
    if not 0.0 <= age[0] <= age[1] <= 100.0:
        raise ValueError(f"age is {age}; give the youngest and the oldest, in years, between 0 and 100")
    checked("women", women, 0.0, 1.0, "(a fraction)")
    checked("kidney", kidney, 0.0, 2.0, "a fraction of healthy renal function; is it a GFR?")
    if ethnicity is not None:
        known(ethnicity, age)
    draws = _draws(jax.random.key(seed), jnp.arange(first, first + count))
    years = age[0] + (age[1] - age[0]) * draws.age
    female = (draws.sex < women) * 1.0
    deviates = iter(draws.normal.T)
    taller, fatter, filters = next(deviates), next(deviates), _spread(FILTRATION, next(deviates))
    vary = {n: _spread(cv, next(deviates)) for n, cv in SPREAD.items()}
    vary |= {f"flow.{n}": _spread(PERFUSED, next(deviates)) for n in FLOWS}
    theirs = None if ethnicity is None else build(ethnicity, years, female)
    reference = at_age(HEIGHTS, years, female)
    height = reference * _spread(HEIGHT, taller) if theirs is None else theirs.height(taller)
    tall = height / reference
    draft = Person(years, female, height, 2.0 * at_age(WEIGHTS, years, female) * tall**2, jnp.full(count, kidney))
    masses = anatomy(draft, vary).masses
    lean = draft.weight - masses["adipose"]
    if theirs is None:
        weight = lean + at_age(MASSES["adipose"], years, female) * tall**2 * _spread(ADIPOSE, fatter)
    else:
        least = (lean - (1.0 - LEAST_MUSCLE) * masses["muscle"]) / (1.0 - LEAST_FAT)
        weight = jnp.maximum(theirs.weight(height, fatter), least)
    who = eqx.tree_at(lambda p: p.weight, draft, weight)
    return People(who, anatomy(who, vary), filtration(who) * filters)


def _spread(cv: float, deviate: Any) -> Any:
    """Factors of mean 1 and this coefficient of variation, lognormal."""
    sd = math.sqrt(math.log1p(cv**2))
    return jnp.exp(sd * deviate - 0.5 * sd**2)


class _Draws(eqx.Module):
    age: Any
    sex: Any
    normal: Any


@jax.jit
def _draws(root: Any, indices: Any) -> _Draws:
    """Everything random about people of these indices."""

    def one(index: Any) -> _Draws:
        when, sex, build = jax.random.split(jax.random.fold_in(root, index), 3)
        normal = jax.random.normal(build, (3 + len(SPREAD) + len(FLOWS),))
        return _Draws(jax.random.uniform(when), jax.random.uniform(sex), normal)

    return jax.vmap(one)(indices)
