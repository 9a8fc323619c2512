"""Genotypes: warfarin's published dose table, tacrolimus' figures, activity and frequency of diplotypes."""

import jax
import numpy as np
import pandas as pd
import pytest

from twinjax import Regimen, simulate
from twinjax.genetics import (
    activity,
    diplotypes,
    draw,
    phenotype,
    tacrolimus,
    tacrolimus_starting_dose,
    warfarin,
    warfarin_dose,
)
from twinjax.genetics.frequencies import ANCESTRIES, FREQUENCY


def test_warfarin_dose_table(shared_data):
    """Every visible cell of the published table within 5 % (it was made by simulation; the closed form neglects swings)."""
    table = pd.read_csv(shared_data / "physiology/pgx/hamberg2007_table5_visible.csv")
    assert len(table) == 36
    for row in table.itertuples():
        dose = float(warfarin_dose(warfarin(row.CYP2C9, row.VKORC1, row.age)))
        assert dose == pytest.approx(row[4], rel=0.05), row


def test_warfarin_reaches_its_target_by_simulation():
    """A hundred days of the closed form's dose: the last day's mean INR is the target, within the day's swing."""
    model = warfarin("*1/*3", "GA", 60.0)
    dose = float(warfarin_dose(model, 2.5))
    times = np.linspace(99 * 24.0, 100 * 24.0, 25)
    inr = simulate(model, Regimen.repeat(dose / 2.0, every=24.0, count=100, into="depot"), times, throw=True).output.inr
    assert float(inr.mean()) == pytest.approx(2.5, rel=0.01)


@pytest.mark.filterwarnings("ignore:outside the context of use")
def test_warfarin_dose_has_a_gradient():
    slope = jax.grad(lambda inr: warfarin_dose(warfarin(), inr))(2.5)
    difference = (warfarin_dose(warfarin(), 2.5001) - warfarin_dose(warfarin(), 2.4999)) / 2e-4
    assert float(slope) == pytest.approx(float(difference), rel=1e-6)  # h^2


def test_tacrolimus_figures(shared_data):
    """Clearances, starting doses and AUC as listed."""
    table = pd.read_csv(shared_data / "physiology/pgx/andrews2019_tacrolimus.csv").set_index("parameter").value
    model = tacrolimus()
    for name, field in (("tlag", "lag"), ("ka", "ka"), ("CL/F", "cl"), ("V1/F", "v1"), ("Q/F", "q"), ("V2/F", "v2")):
        assert float(getattr(model, field)) == float(table[name])
    assert float(tacrolimus("*1/*3").cl / model.cl) == pytest.approx(float(table["CYP3A5_expresser_factor"]))
    assert float(tacrolimus(cyp3a4="*22/*1").cl / model.cl) == pytest.approx(float(table["CYP3A4*22_factor"]))
    assert tacrolimus_starting_dose() == pytest.approx(4.995)
    # Andrews et al. 2019, equation 3: factors of the genotypes, age and body surface
    assert tacrolimus_starting_dose(10.0, "*1/*3", "*1/*22", age=112.0, bsa=2 * 1.93) == pytest.approx(
        4.995 * 1.62 * 0.814 * 2**-0.50 * 2**0.72
    )
    older = tacrolimus(age=2 * 55.72, haematocrit=0.17)
    assert float(older.cl / model.cl) == pytest.approx(2**-0.43 * 0.5**-0.76)


@pytest.mark.parametrize(
    ("gene", "diplotype", "score", "name"),
    [
        ("CYP2C9", "*1/*1", 2.0, "normal"),
        ("CYP2C9", "*2/*1", 1.5, "intermediate"),
        ("CYP2C9", "*2/*3", 0.5, "poor"),
        ("CYP2D6", "*4/*5", 0.0, "poor"),
        ("CYP2D6", "*10/*41", 0.75, "intermediate"),
        ("CYP2D6", "*1/*2x2", 3.0, "ultrarapid"),
        ("CYP3A5", "*3/*3", 0.0, "poor"),
    ],
)
def test_activity_of_diplotypes(gene, diplotype, score, name):
    assert activity(gene, diplotype) == score
    assert phenotype(gene, score) == name


@pytest.mark.parametrize("ancestry", ANCESTRIES)
def test_frequencies_of_cyp2c9(shared_data, ancestry):
    """Diplotypes and activity scores beside PharmGKB's tables; alleles below 0.5 % are left out here."""
    folder = shared_data / "physiology/pgx"
    column = "African American/Afro-Caribbean" if ancestry == "African American" else ancestry
    found = diplotypes("CYP2C9", ancestry)
    assert sum(found.values()) == pytest.approx(1.0, abs=5e-5)  # five decimals
    table = pd.read_csv(folder / "CYP2C9_phenotype_frequency_by_population.csv", skiprows=1, index_col=0)[column]
    table.index = pd.to_numeric(table.index, errors="coerce")
    rare = 0.045 if ancestry == "East Asian" else 0.012  # *42, *55 and others have 4 % there
    for score in (2.0, 1.5, 1.0, 0.5, 0.0):
        share = sum(f for d, f in found.items() if "other" not in d and activity("CYP2C9", d) == score)
        assert share == pytest.approx(table[score], abs=rare)  # what alleles not listed here hold


@pytest.mark.parametrize(
    ("gene", "ancestry", "diplotype", "frequency", "digits"),
    [
        ("CYP2D6", "African American", "*4/*35", 0.00085, 5),  # as BCyrius prints CPIC's table of diplotypes
        ("CYP2D6", "European", "*4/*35", 0.02022, 5),
        ("CYP2D6", "Latino", "*4/*35", 0.00641, 5),
        ("CYP3A5", "European", "*3/*3", 0.85451536, 4),  # as PAnno carries them, of frequencies of four decimals
        ("CYP3A5", "African American", "*3/*6", 0.0702784, 4),
        ("CYP3A5", "Sub-Saharan African", "*6/*7", 0.03338496, 4),
        ("VKORC1", "East Asian", "A/A", 0.75082225, 4),
        ("VKORC1", "Central/South Asian", "G/A", 0.26387808, 4),
    ],
)
def test_frequencies_of_other_genes(gene, ancestry, diplotype, frequency, digits):
    found = diplotypes(gene, ancestry)
    assert found[diplotype] == pytest.approx(frequency, abs=10.0**-digits)  # half a digit of either allele
    assert sum(found.values()) == pytest.approx(1.0, abs=1e-9)


@pytest.mark.parametrize(("ancestry", "a"), [("European", 0.388), ("Latino", 0.411), ("East Asian", 0.885)])
def test_vkorc1_beside_another_count(ancestry, a):
    """1000 Genomes, table 1 of Shendre et al. 2018, doi:10.2217/pgs-2018-0146: some 350 to 500 people an ancestry."""
    found = diplotypes("VKORC1", ancestry)
    mine = found["A/A"] + 0.5 * found["G/A"]
    assert mine == pytest.approx(a, abs=0.03)  # two standard errors of a half counted in 1,000 chromosomes


def test_alleles_that_nobody_counted(shared_data):
    """Blank cells of CPIC's table of CYP2C9 are None, zeros are 0; shares that add up to 1.00001 are divided by it."""
    table = pd.read_csv(
        shared_data / "physiology/pgx/CYP2C9_allele_frequency_by_population.csv", skiprows=1, index_col=0
    )
    for allele, shares in FREQUENCY["CYP2C9"].items():
        assert [s is None for s in shares] == list(table.loc[allele].isna())[:9]
    assert FREQUENCY["CYP2D6"]["*53"].count(None) == 5
    assert sum(diplotypes("CYP2C9", "Sub-Saharan African").values()) == pytest.approx(1.0, abs=1e-12)


def test_a_person_with_another_allele_is_refused_in_words():
    """Two in five sub-Saharan Africans hold an allele of CYP2D6 that is not listed."""
    table = diplotypes("CYP2D6", "Sub-Saharan African")
    assert sum(f for d, f in table.items() if "other" in d) == pytest.approx(0.384, abs=5e-4)  # as `draw` says
    with pytest.raises(ValueError, match="alleles of CYP2D6 whose activity is not known; draw such people again"):
        activity("CYP2D6", "*1/other")
    with pytest.raises(ValueError, match=r"clearance is not known for CYP2C9 '\*1/other'"):
        warfarin("*1/other")


def test_warfarin_by_what_is_drawn():
    """Far more East Asians than Europeans need the low dose of A/A."""
    east, europe = ([warfarin_dose(warfarin(vkorc1=g)) for g in draw("VKORC1", a, 200, seed=2)]
                    for a in ("East Asian", "European"))  # fmt: skip
    low = float(warfarin_dose(warfarin(vkorc1="AA")))
    assert np.mean(np.isclose(east, low)) > 2.0 * np.mean(np.isclose(europe, low))  # 75 % beside 17 %


def test_people_are_drawn_at_their_frequencies():
    people = draw("CYP2C9", "European", 20_000, seed=1)
    share = sum(d == "*1/*2" for d in people) / 20_000
    expected = diplotypes("CYP2C9", "European")["*1/*2"]
    assert share == pytest.approx(expected, abs=4 * np.sqrt(expected / 20_000))  # four standard errors
    assert people == draw("CYP2C9", "European", 20_000, seed=1)


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda: warfarin(age=30.0), "age of 30: compared with data at 50 to 90 only"),
        (lambda: warfarin_dose(warfarin(), 3.5), "inr of 3.5: compared with data at 2.5 only"),
        (lambda: tacrolimus(age=9.0), "age of 9: compared with data at 18 to inf only"),
        (lambda: tacrolimus_starting_dose(age=9.0), "age of 9"),
    ],
)
def test_models_warn_outside_their_context_by_themselves(ask, message):
    with pytest.warns(UserWarning, match=f"outside the context of use: {message}"):
        ask()


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda: activity("CYP2D7", "*1/*1"), "the alleles of CYP2D7 are not listed; did you mean 'CYP2D6'"),
        (lambda: activity("CYP2D6", "*1/*999"), r"CYP2D6 has no allele '\*999' of known activity"),
        (lambda: activity("CYP2D6", "*1"), r"'\*1' is no diplotype; write two alleles"),
        (lambda: warfarin("*1/*8"), r"warfarin's clearance is not known for CYP2C9 '\*1/\*8'"),
        (lambda: warfarin(vkorc1="GC"), "there is no VKORC1 genotype 'GC'"),
        (lambda: tacrolimus(cyp3a5="*1/*4"), r"CYP3A5 has no allele '\*4'"),
        (lambda: tacrolimus_starting_dose(11.0), "the AUC of a trough of 11 is not listed"),
        (lambda: diplotypes("CYP2B6", "European"), "no allele frequencies of CYP2B6 ship with twinjax"),
        (lambda: diplotypes("VKORC1", "Oceanian"), "CPIC's table of VKORC1 has no frequencies of the ancestry"),
        (lambda: diplotypes("CYP2C9", "Europe"), "there is no ancestry 'Europe'; did you mean 'European'"),
        (lambda: draw("CYP2C9", "European", 0, seed=1), "draw at least one person"),
    ],
)
def test_unknown_genotypes_are_refused_in_words(ask, message):
    with pytest.raises(ValueError, match=message):
        ask()
