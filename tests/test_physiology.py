"""Bodies of people: masses that add up to the weight, flows to the cardiac output, and the published reference."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from twinjax.physiology import (
    albumin,
    anatomy,
    estimated,
    filtration,
    impaired,
    maturity,
    microsomal_protein,
    people,
    person,
    unbound,
)
from twinjax.physiology.reference import CARDIAC_OUTPUT, FLOWS, MASSES, WEIGHTS

AGES = [0.0, 0.3, 1.0, 4.0, 7.5, 12.0, 17.0, 33.0, 80.0]


@pytest.mark.parametrize("sex", ["male", "female"])
def test_reference_adults_are_the_published_ones(sex):
    column = 6 if sex == "male" else 7
    body = anatomy(person(30.0, sex))
    # the table's own digits, up to rounding of the interpolation
    for organ, row in MASSES.items():
        np.testing.assert_allclose(body.masses[organ], row[column], rtol=1e-12)
    for organ, percent in FLOWS.items():
        np.testing.assert_allclose(body.flows[organ], percent[column - 6] / 100 * CARDIAC_OUTPUT[column], rtol=1e-12)
    np.testing.assert_allclose(body.weight, WEIGHTS[column], rtol=1e-12)


@pytest.mark.parametrize("sex", ["male", "female"])
@pytest.mark.parametrize("age", AGES)
def test_masses_and_flows_add_up(age, sex):
    usual = person(age, sex)
    for tall, heavy in ((1.0, 1.0), (0.95, 1.0), (1.06, 1.3), (1.0, 0.9)):
        who = person(age, sex, height=usual.height * tall, weight=usual.weight * heavy)
        body = anatomy(who)
        np.testing.assert_allclose(body.weight, who.weight, rtol=1e-12)
        assert all(float(m) > 0.0 for m in body.masses.values())
        assert all(float(q) > 0.0 for q in body.flows.values())
        assert set(body.flows) == set(body.masses) - {"lung"}
        arms = sum(q for n, q in body.flows.items() if n in ("brain", "kidney", "muscle"))
        assert float(arms + body.hepatic_flow) < float(body.cardiac_output)


@pytest.mark.parametrize(("age", "column"), [(0.0, 0), (1.0, 1), (5.0, 2), (10.0, 3), (15.0, 4)])
def test_children_have_the_cardiac_output_of_their_age(age, column):
    np.testing.assert_allclose(anatomy(person(age)).cardiac_output, CARDIAC_OUTPUT[column], rtol=1e-12)


def test_published_equations_at_published_points():
    """Whole numbers as their authors print them; half a unit of the last digit."""
    adult = person(30.0, weight=70.0)
    assert abs(float(microsomal_protein(adult)) - 40.0) < 0.5  # Barter 2008: 40 mg/g at 30 years
    assert abs(float(filtration(adult)) / 0.06 - 121.0) < 0.5  # Rhodin 2009: mature 121 mL/min/70 kg
    half = person(7.7 / 52.18, weight=70.0)  # at a postmenstrual age of 47.7 weeks half of it
    np.testing.assert_allclose(filtration(half) / 0.06, 121.2 / 2, rtol=1e-12)
    assert abs(float(estimated(1.0, person(50.0))) - 92.0) < 0.5  # the NKF's calculator
    assert abs(float(estimated(1.0, person(50.0, "female"))) - 69.0) < 0.5
    np.testing.assert_allclose(estimated(0.5, person(10.0, height=140.0)), 0.413 * 140.0 / 0.5, rtol=1e-12)
    grown = 0.11 + 0.95 * 25.0**1.91 / (0.64**1.91 + 25.0**1.91)
    np.testing.assert_allclose(maturity("CYP3A4", person(0.64)), (0.11 + 0.95 / 2) / grown, rtol=1e-12)
    np.testing.assert_allclose(maturity("CYP3A4", person(40.0)), 1.0, rtol=1e-12)
    assert abs(float(albumin(person(20.0))) - 43.8) < 0.05
    np.testing.assert_allclose(unbound(0.1, person(40.0)), 0.1, rtol=1e-12)
    assert float(unbound(0.1, person(0.1))) > 0.1


def test_the_old_and_the_ill_filter_less():
    assert float(filtration(person(80.0))) < float(filtration(person(40.0)))
    ill = person(40.0, kidney=impaired("severe"))
    np.testing.assert_allclose(filtration(ill), 0.225 * filtration(person(40.0)), rtol=1e-12)
    assert float(anatomy(person(75.0)).cardiac_output) == pytest.approx(
        0.8 * float(anatomy(person(35.0)).cardiac_output)
    )


@pytest.fixture(scope="module")
def many():
    return people(2000, seed=5, age=(20.0, 60.0))


def test_drawn_people_add_up(many):
    np.testing.assert_allclose(many.body.weight, many.who.weight, rtol=1e-12)
    assert all(float(jnp.min(m)) > 0.0 for m in jax.tree.leaves(many.body))


def test_a_person_depends_on_seed_and_index_alone(many):
    part = people(3, seed=5, age=(20.0, 60.0), first=700)
    for a, b in zip(jax.tree.leaves(part), jax.tree.leaves(many), strict=True):
        # two batch sizes of one elementwise program: to rounding
        np.testing.assert_allclose(a, b[700:703] if jnp.ndim(b) else b, rtol=1e-13)
    other = people(3, seed=6, age=(20.0, 60.0))
    assert not np.allclose(other.who.height, many.who.height[:3])


def test_drawn_people_look_like_people(many):
    """Medians and correlations of adults; bounds are four standard errors of 2,000 people about what is put in."""
    men = many.who.female == 0
    assert abs(float(jnp.mean(men)) - 0.5) < 4 * 0.5 / np.sqrt(2000)
    assert abs(float(jnp.median(many.who.height[men])) - 176.0) < 4 * 1.25 * 7.0 / np.sqrt(1000)
    bmi = many.who.weight / (many.who.height / 100) ** 2
    assert 18.0 < float(jnp.percentile(bmi, 5)) < 21.0
    assert 26.0 < float(jnp.percentile(bmi, 95)) < 31.0
    liver, output = many.body.masses["liver"], many.body.cardiac_output
    assert np.corrcoef(many.who.height, many.who.weight)[0, 1] > 0.5
    assert np.corrcoef(many.who.height, liver)[0, 1] > 0.2
    assert np.corrcoef(many.who.weight, output)[0, 1] > 0.5
    beyond = liver / (many.who.height**0.75)
    cv = float(jnp.std(beyond[men]) / jnp.mean(beyond[men]))
    assert abs(cv - 0.234) < 4 * 0.234 / np.sqrt(2 * 1000)


def test_gradients_in_age_and_size():
    def clearance(values):
        who = eqx.tree_at(lambda p: (p.age, p.height, p.weight), person(8.0), tuple(values))
        return filtration(who) + anatomy(who).hepatic_flow

    at, step = jnp.array([8.2, 127.0, 27.0]), 1e-5
    gradient = jax.grad(clearance)(at)
    difference = [(clearance(at + d) - clearance(at - d)) / (2 * step) for d in step * jnp.eye(3)]
    np.testing.assert_allclose(gradient, jnp.stack(difference), rtol=1e-7)  # central differences of 1e-5 in float64


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (lambda: person(150.0), "age is 150; it lies between 0 and 100 years"),
        (lambda: person(30.0, "man"), "sex is 'man'; give 'male' or 'female'"),
        (lambda: person(30.0, height=1.76), "height is 1.76.*is it in metres"),
        (lambda: person(30.0, weight=-3.0), "weight is -3; it lies between"),
        (lambda: person(30.0, kidney=90.0), "kidney is 90; it lies between 0 and 2 a fraction"),
        (lambda: anatomy(person(30.0, height=190.0, weight=40.0)), "a weight of 40 kg is too small"),
        (lambda: impaired("light"), "no stage 'light' of renal impairment"),
        (lambda: maturity("CYP4F2", person(1.0)), "the ontogeny of CYP4F2 of the liver is not known"),
        (lambda: people(0, seed=1), "at least one person, not 0"),
        (lambda: people(5, seed=1, age=(60.0, 20.0)), "the youngest and the oldest"),
        (lambda: people(5, seed=1, women=50.0), "women is 50; it lies between 0 and 1"),
    ],
)
def test_bad_people_are_refused_in_words(wrong, says):
    with pytest.raises(ValueError, match=says):
        wrong()
