"""People of an ethnicity: heights and weights of surveys that did not make the table, and bodies that add up."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from twinjax.physiology import ETHNICITIES, anatomy, filtration, people, person
from twinjax.physiology.ethnicity import BUILD, build

BANDS = ((20.0, 40.0), (40.0, 60.0), (60.0, 80.0))
STANDARD = np.array([0.3966, 0.3718, 0.2316])
"""Shares of ages 20-39, 40-59 and 60 and above among adults of the year 2000, to which NCHS adjusts prevalences."""

LATER = {
    ("asian", "male"): ((173.1, 169.9, 166.7), (25.6, 26.4, 24.1), (37, 52, 53)),
    ("asian", "female"): ((159.3, 157.0, 154.0), (22.7, 24.0, 24.6), (65, 56, 67)),
    ("black", "male"): ((176.5, 176.2, 173.2), (28.1, 31.8, 28.6), (85, 96, 137)),
    ("black", "female"): ((162.4, 162.5, 161.3), (29.5, 33.4, 30.1), (140, 120, 148)),
    ("hispanic", "male"): ((172.4, 170.4, 168.8), (27.9, 30.2, 29.2), (158, 150, 140)),
    ("hispanic", "female"): ((159.4, 157.7, 155.2), (28.8, 29.1, 29.5), (194, 186, 173)),
    ("white", "male"): ((177.9, 177.6, 174.6), (27.3, 29.0, 28.7), (338, 415, 830)),
    ("white", "female"): ((165.3, 163.1, 160.1), (26.6, 29.6, 28.4), (409, 524, 1012)),
}
"""Mean height (cm), median mass index (kg/m2) and people by age in the survey that followed, NHANES of August 2021 to
August 2023 (public domain), from the extract NHANES_2021_2023.txt of github.com/IntroStats7e, by its sampling weights,
pregnant women among them: its counts of heights are those of NCHS's report on all Americans (Vital Health Stat 3(50),
doi:10.15620/cdc/174595), and its means by sex and decade of age are within 0.2 cm and, of weight,
0.5 kg of the report's."""

OBESE = {
    ("asian", "male"): 10.1, ("black", "male"): 36.9, ("white", "male"): 37.9, ("hispanic", "male"): 43.1,
    ("asian", "female"): 14.8, ("white", "female"): 38.0, ("hispanic", "female"): 50.6, ("black", "female"): 54.8,
}  # fmt: skip
"""Adults of 30 kg/m2 or more in 2015-2016, per cent, adjusted for age: Fryar et al. 2018, NCHS Health E-Stat,
Prevalence of Overweight, Obesity, and Severe Obesity among Adults Aged 20 and Over."""


@pytest.fixture(scope="module")
def drawn():
    """Of each ethnicity 6,000 people, whose ages are uniform from 20 to 80."""
    return {e: people(6000, seed=11, age=(20.0, 80.0), ethnicity=e) for e in ETHNICITIES}


def of(drawn, ethnicity, sex, ages=(20.0, 80.0)):
    who = drawn[ethnicity].who
    age, female, height, weight = (np.asarray(x) for x in (who.age, who.female, who.height, who.weight))
    some = (female == (sex == "female")) & (age >= ages[0]) & (age <= ages[1])
    return height[some], weight[some] / (height[some] / 100.0) ** 2


@pytest.mark.parametrize(("ethnicity", "sex"), LATER)
def test_drawn_people_are_those_of_the_next_survey(drawn, ethnicity, sex):
    """Tolerance: three standard errors of the survey's means (SD 7 cm) and medians (SD 6.5 kg/m2; a median's error is
    1.25 times the mean's), with a design effect of 2: of each age, and of all three together."""
    heights, indices, count = (np.array(x) for x in LATER[ethnicity, sex])
    groups = [of(drawn, ethnicity, sex, ages) for ages in BANDS]
    taller = np.array([np.mean(h) for h, _ in groups]) - heights
    fatter = np.array([np.median(b) for _, b in groups]) - indices
    for difference, sd in ((taller, 7.0), (fatter, 1.25 * 6.5)):
        assert np.all(np.abs(difference) < 3 * sd * np.sqrt(2.0 / count))
        assert abs(np.mean(difference)) < 3 * sd * np.sqrt(2.0 * np.sum(1.0 / count)) / 3


@pytest.mark.parametrize(("ethnicity", "sex"), OBESE)
def test_as_many_are_obese_as_was_published(drawn, ethnicity, sex):
    """Two standard errors of a prevalence of 40 % among 600 people, with a design effect of 2: 5.7 points."""
    share = STANDARD @ [np.mean(of(drawn, ethnicity, sex, ages)[1] >= 30.0) for ages in BANDS]
    assert abs(100.0 * share - OBESE[ethnicity, sex]) < 5.7


@pytest.mark.parametrize("ethnicity", ETHNICITIES)
def test_bodies_of_every_ethnicity_add_up(drawn, ethnicity):
    who, body = drawn[ethnicity].who, drawn[ethnicity].body
    np.testing.assert_allclose(body.weight, who.weight, rtol=1e-12)
    assert all(float(jnp.min(m)) > 0.0 for m in jax.tree.leaves(body))
    assert float(jnp.min(body.masses["adipose"] / who.weight)) > 0.05 - 1e-12
    arms = sum(q for n, q in body.flows.items() if n in ("brain", "kidney", "muscle"))
    assert bool(jnp.all(arms + body.hepatic_flow < body.cardiac_output))
    assert np.corrcoef(who.height, body.masses["liver"])[0, 1] > 0.2
    assert np.corrcoef(who.weight, body.cardiac_output)[0, 1] > 0.5


def test_the_distribution_is_the_one_that_is_stated(drawn):
    """Heights and 1/sqrt(mass index) of each age are standard normal and independent: five standard errors of 3,000."""
    age = np.asarray(drawn["white"].who.age)
    man = np.asarray(drawn["white"].who.female) == 0
    height, index = of(drawn, "white", "male")
    known = build("white", age[man], 0.0)
    z = (1.0 - np.sqrt(np.asarray(known.bmi) / index)) * 2.0 / np.asarray(known.spread)
    assert np.max(np.abs(z)) < 3.0 + 1e-9
    tall = (height - np.asarray(known.mean)) / np.asarray(known.deviation)
    for x in (z, tall):
        assert abs(np.mean(x)) < 5 / np.sqrt(3000)
        assert abs(np.std(x) - 1.0) < 5 / np.sqrt(6000)
    assert abs(np.corrcoef(z, tall)[0, 1]) < 5 / np.sqrt(3000)


@pytest.mark.parametrize("ethnicity", ETHNICITIES)
def test_a_person_without_height_or_weight_has_those_of_the_table(ethnicity):
    for sex, row in (("male", 0), ("female", 4)):
        who = person(50.0, sex, ethnicity=ethnicity)
        height, index = BUILD[ethnicity][row][1], BUILD[ethnicity][row + 2][1]
        np.testing.assert_allclose(who.height, height, rtol=1e-12)
        np.testing.assert_allclose(who.weight, index * (height / 100.0) ** 2, rtol=1e-12)
        np.testing.assert_allclose(anatomy(who).weight, who.weight, rtol=1e-12)
    given = person(50.0, ethnicity=ethnicity, height=180.0, weight=80.0)
    assert jax.tree.leaves(given) == jax.tree.leaves(person(50.0, height=180.0, weight=80.0))


def test_filtration_has_a_gradient_in_the_age_of_an_ethnicity():
    def rate(age):
        return filtration(person(age, "female", ethnicity="asian"))

    difference = (rate(61.0 + 1e-4) - rate(61.0 - 1e-4)) / 2e-4
    np.testing.assert_allclose(jax.grad(rate)(61.0), difference, rtol=1e-7)  # central differences of 1e-4 in float64


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (
            lambda: person(30.0, ethnicity="japanese"),
            "no ethnicity 'japanese'.*Known: asian, black, hispanic, white; of",
        ),
        (lambda: person(30.0, ethnicity="whit"), "did you mean 'white'"),
        (lambda: person(8.0, ethnicity="black"), "from 20 to 80 years, and not at all ages of 8 to 8"),
        (lambda: people(3, seed=1, age=(18.0, 40.0), ethnicity="asian"), "from 20 to 80 years"),
        (lambda: people(3, seed=1, ethnicity="European"), "no ethnicity 'European'"),
    ],
)
def test_what_the_survey_does_not_know_is_refused(wrong, says):
    with pytest.raises(ValueError, match=says):
        wrong()
