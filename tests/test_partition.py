"""Drugs: partition, ionisation and clearance against printed tables and closed forms; interactions against studies."""

import ast
import csv

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_bvp

from twinjax.drugs import (
    FDA_2020,
    ICH_M12,
    Berezhkovskiy,
    Compound,
    Dispersion,
    Hepatocytes,
    Microsomes,
    ParallelTube,
    Perpetrator,
    PKSimStandard,
    PoulinTheil,
    Recombinant,
    RodgersRowland,
    Schmitt,
    Victim,
    WellStirred,
    agreement,
    basic_interaction,
    guest_limit,
    hepatic_clearance,
    intrinsic_clearance,
    mechanistic_interaction,
    partition,
    steady_state_volume,
)
from twinjax.drugs.ionisation import ionised_to_neutral, species
from twinjax.naming import leaves

# ------------------------------------------------------------------------------------------------------------ partition

VOLUMES = {
    "adipose": 0.11957, "bone": 0.08563, "brain": 0.02, "gut": 0.0171, "heart": 0.0047, "kidney": 0.0044,
    "liver": 0.026, "lung": 0.0076, "muscle": 0.4, "spleen": 0.0026, "skin": 0.0371,
}  # fmt: skip
"""L/kg in man, Poulin and Theil 2002."""


def compound(row):
    """A drug of the reference table."""
    pka = ast.literal_eval(row["pKa"]) if row["pKa"] else None
    groups = {"a": {"acids": pka}, "b": {"bases": pka}}.get(row["type"], {})
    if row["type"] == "z":
        groups = {"acids": pka[0], "bases": pka[1]}
    ratio = float(row["BP"]) if row["BP"] else None
    return Compound(float(row["logP"]), float(row["fup"]), **groups, blood_to_plasma=ratio)


PREDICTED = {
    "RodgersRowland_Kpu_rat": RodgersRowland().unbound,
    "PKSim_standard_Kp": PKSimStandard().coefficient,
    "PoulinTheil_Vss_human_L/kg": lambda d, _: steady_state_volume(
        d, partition(d, PoulinTheil()), VOLUMES, 0.0424, 0.0347
    ),
}


@pytest.mark.parametrize(
    ("method", "count", "mean", "largest"),
    [
        ("PKSim_standard_Kp", 70, 1.003, 1.01),  # the printed two decimals
        ("PoulinTheil_Vss_human_L/kg", 20, 1.0225, 1.0775),
        ("RodgersRowland_Kpu_rat", 66, 1.0645, 1.365),
    ],
)
def test_partition_of_the_published_drugs(shared_data, method, count, mean, largest):
    """As far from the reported values as an independent program, and beside that program's own to its digits."""
    with open(shared_data / "physiology/kp_methods/kp_reference_values.csv") as file:
        rows = [r for r in csv.DictReader(file) if r["method"] == method]
    assert len(rows) == count
    found = np.array([float(PREDICTED[method](compound(r), r["tissue"].lower().replace(" ", "_"))) for r in rows])
    reported = np.array([float(r["reported"]) for r in rows])
    fold = np.exp(np.abs(np.log(found / reported)))
    assert np.exp(np.log(fold).mean()) < mean
    assert fold.max() < largest
    np.testing.assert_allclose(found, [float(r["independent_python"]) for r in rows], rtol=4e-4, atol=6e-5)


TISSUES = (
    "bone", "brain", "adipose", "heart", "kidney", "stomach", "small_intestine", "large_intestine", "liver", "lung",
    "muscle", "pancreas", "skin", "spleen",
)  # fmt: skip
DRUGS = {
    "quinidine": Compound(2.3, 0.33, bases=8.6),
    "acebutolol": Compound(1.4, 0.79, bases=9.7),
    "alprazolam": Compound(2.5, 0.35, bases=2.4),
    "phenobarbital": Compound(0.8, 0.78, acids=7.35),
    "digoxin": Compound(1.48, 0.87),
    "ofloxacin": Compound(-0.4, 0.77, acids=5.97, bases=9.28),
}
PKSIM = {  # PK-Sim's own values, as printed in the figure data of Utsey et al. 2020, doi:10.1124/dmd.120.090498
    Schmitt: {
        "quinidine": [1.6, 22.23, 2.85, 16.4, 12.89, 6.22, 6.22, 6.22, 14.85, 7.17, 1.99, 3.26, 5.32, 5.17],
        "acebutolol": [0.69, 7.38, 0.38, 5.52, 4.51, 2.45, 2.45, 2.45, 5.08, 2.69, 1.15, 1.48, 1.94, 2.13],
        "alprazolam": [2.83, 12.65, 102.27, 12.9, 7.42, 8.4, 8.4, 8.4, 9.53, 4.96, 1.85, 6.21, 16.68, 3.03],
        "phenobarbital": [0.32, 1.08, 2.95, 1.02, 0.87, 0.85, 0.85, 0.85, 0.9, 0.78, 0.68, 0.73, 0.96, 0.72],
        "digoxin": [0.9, 3.64, 24.31, 3.64, 2.36, 2.63, 2.63, 2.63, 2.82, 1.77, 1.06, 2.05, 4.38, 1.34],
        "ofloxacin": [0.23, 0.66, 0.29, 0.6, 0.61, 0.64, 0.64, 0.64, 0.58, 0.6, 0.61, 0.58, 0.46, 0.62],
    },
    Berezhkovskiy: {  # printed with adipose first
        "acebutolol": [1.82, 2.01, 0.16, 0.99, 1.18, 1.67, 1.67, 1.67, 1.48, 0.82, 1.17, 1.46, 1.24, 1.2],
        "alprazolam": [6.06, 5.72, 7.75, 1.66, 2.39, 4.56, 4.56, 4.56, 3.7, 0.84, 2.41, 3.76, 2.84, 2.43],
        "phenobarbital": [0.78, 1.09, 0.26, 0.79, 0.86, 0.94, 0.94, 0.94, 0.92, 0.78, 0.84, 0.88, 0.83, 0.87],
        "digoxin": [2.24, 2.4, 1.61, 1.09, 1.34, 1.98, 1.98, 1.98, 1.73, 0.87, 1.32, 1.72, 1.43, 1.36],
        "ofloxacin": [0.43, 0.77, 0.15, 0.72, 0.75, 0.7, 0.7, 0.7, 0.73, 0.76, 0.72, 0.68, 0.69, 0.76],
    },
}


@pytest.mark.parametrize(("method", "drug"), [(m, d) for m in PKSIM for d in PKSIM[m]], ids=str)
def test_schmitt_and_berezhkovskiy_as_pksim(method, drug):
    """Every coefficient to the printed two decimals."""
    found = partition(DRUGS[drug], method(), TISSUES)
    np.testing.assert_allclose(list(found.values()), PKSIM[method][drug], atol=0.0051, rtol=1e-4)


def test_partition_has_gradients():
    """In lipophilicity, binding and pKa, by the methods that need each; against central differences."""

    def kp(log_p, fu, pka):
        drug = Compound(log_p, fu, bases=pka, blood_to_plasma=1.1)
        return sum(m.coefficient(drug, "liver") for m in (RodgersRowland(), Schmitt(), PoulinTheil(), PKSimStandard()))

    at = (2.0, 0.3, 8.1)
    gradient = jax.grad(kp, argnums=(0, 1, 2))(*at)
    for i, slope in enumerate(gradient):
        up, down = list(at), list(at)
        up[i], down[i] = at[i] + 1e-6, at[i] - 1e-6
        assert float(slope) == pytest.approx(float(kp(*up) - kp(*down)) / 2e-6, rel=1e-6)  # h^2 and rounding / h


# ----------------------------------------------------------------------------------------------------------- ionisation


def test_ionisation_of_a_diprotic_acid_counts_both_steps():
    """Masses of H2A, HA-, A2- from the two equilibria themselves."""
    h, first, second = 10.0**-7.4, 10.0**-6.3, 10.0**-9.1
    single, double = first / h, first * second / h**2
    assert float(ionised_to_neutral((9.1, 6.3), (), 7.4)) == pytest.approx(single + double, rel=1e-12)


def test_a_diprotic_base_is_the_mirror_of_an_acid():
    acid = ionised_to_neutral((6.0, 8.5), (), 7.0)
    assert float(ionised_to_neutral((), (14.0 - 6.0, 14.0 - 8.5), 7.0)) == pytest.approx(float(acid), rel=1e-12)


def test_species_add_up_and_independent_groups_multiply():
    fractions = species((4.0, 9.0), (8.2,), 7.4)
    assert sum(float(f) for f in fractions) == pytest.approx(1.0, rel=1e-14)
    assert float(fractions[0]) == pytest.approx(1 / (1 + 10**3.4) / (1 + 10**-1.6) / (1 + 10**0.8), rel=1e-12)


# ------------------------------------------------------------------------------------------------------------ clearance


def test_dispersion_solves_its_own_equation():
    """Convection, dispersion and loss along the liver with Danckwerts' boundaries, by collocation in SciPy."""
    number, efficiency = 0.17, 2.3

    def equations(x, y):
        return np.vstack([y[1], (y[1] + efficiency * y[0]) / number])

    def ends(left, right):
        return np.array([left[0] - number * left[1] - 1.0, right[1]])

    x = np.linspace(0.0, 1.0, 30)
    solved = solve_bvp(equations, ends, x, np.vstack([np.exp(-x), -np.exp(-x)]), tol=1e-9)
    assert float(Dispersion(number).availability(efficiency)) == pytest.approx(solved.y[0, -1], rel=1e-7)


@pytest.mark.parametrize(("number", "limit"), [(1e-4, ParallelTube()), (1e5, WellStirred())])
def test_dispersion_has_its_limits(number, limit):
    # first-order corrections: R^2 Dn for a tube, R / Dn of the mixing left undone for a tank
    assert float(Dispersion(number).availability(1.7)) == pytest.approx(float(limit.availability(1.7)), rel=1e-3)


def test_liver_models_are_ordered_and_clear_no_more_than_flows_in():
    """A tube extracts most, a tank least; little enzyme is all the same to them."""
    tube, mixed, tank = (
        float(hepatic_clearance(300.0, 90.0, 0.6, m)) for m in (ParallelTube(), Dispersion(), WellStirred())
    )
    assert 90.0 > tube > mixed > tank > 0.0
    for m in (ParallelTube(), Dispersion(), WellStirred()):
        assert float(hepatic_clearance(1e-3, 90.0, 0.6, m)) == pytest.approx(0.6e-3, rel=1e-4)


def test_scaling_of_each_preparation():
    """10 uL/min by its unit, a liver of 1800 g, in L/h; by hand."""
    assert float(intrinsic_clearance(10.0, Hepatocytes(), 1800.0)) == pytest.approx(10 * 99 * 1800 * 60e-6)
    assert float(intrinsic_clearance(10.0, Microsomes(), 1800.0, 0.5)) == pytest.approx(20 * 32 * 1800 * 60e-6)
    enzyme = Recombinant(abundance=137.0, activity=0.24)
    assert float(intrinsic_clearance(0.1, enzyme, 1800.0)) == pytest.approx(0.1 * 137 * 0.24 * 32 * 1800 * 60e-6)


# --------------------------------------------------------------------------------------------------------- interactions


def test_agreement_of_the_published_qualification(shared_data):
    """PK-Sim's own predictions of 115 studies, judged study by study as the file's own columns say."""
    with open(shared_data / "physiology/osp_ddi/pksim_predicted_vs_observed_AUCR.csv") as file:
        rows = list(csv.DictReader(file))
    observed = np.array([float(r["obs_AUCR"]) for r in rows])
    predicted = np.array([float(r["pksim_pred_AUCR"]) for r in rows])
    found = agreement(predicted, observed)
    assert found.count == len(rows) == 115
    assert found.within_guest == sum(int(r["within_Guest_delta1"]) for r in rows)
    assert found.within_two_fold == sum(int(r["within_2fold"]) for r in rows)
    pair = [
        i
        for i, r in enumerate(rows)
        if r["victim"] == "Midazolam" and r["perpetrator"] in ("Itraconazole", "Rifampicin")
    ]
    both = agreement(predicted[pair], observed[pair])
    assert (both.count, both.within_guest, both.within_two_fold) == (37, 21, 25)
    assert both.gmfe == pytest.approx(1.70, abs=0.005)


def test_guest_limit_of_no_interaction_and_of_a_strong_one():
    assert float(guest_limit(1.0)) == pytest.approx(1.0)
    assert float(guest_limit(0.25)) == float(guest_limit(4.0)) == pytest.approx(7.0 / 4.0)


INHIBITOR = Perpetrator(cmax=2.0, fu=0.05, dose=400.0, ki=0.02)


def test_basic_models_by_hand():
    drug = Perpetrator(cmax=2.0, fu=0.05, dose=400.0, ki=4.0, kinact=3.0, ki_inactivation=10.0, emax=8.0, ec50=0.5)
    fda, ich = basic_interaction(drug, kdeg=0.02, cutoffs=FDA_2020), basic_interaction(drug, kdeg=0.02, cutoffs=ICH_M12)
    assert float(fda.reversible) == pytest.approx(1.025)
    assert float(fda.gut) == pytest.approx(1 + 1600 / 4)
    assert float(fda.inactivation) == pytest.approx((3 * 5 / 15 + 0.02) / 0.02)
    assert float(ich.inactivation) == pytest.approx((3 * 0.5 / 10.5 + 0.02) / 0.02)
    assert float(fda.induction) == pytest.approx(1 / (1 + 8 * 1 / 1.5))
    assert all(bool(v) for v in fda.flagged.values())


def test_a_drug_without_a_mechanism_flags_nothing():
    found = basic_interaction(Perpetrator(cmax=2.0, fu=0.05, dose=400.0), kdeg=0.02)
    assert not any(bool(v) for v in found.flagged.values())


def test_mechanistic_limits():
    """One pathway, all in the liver: AUCR = 1 + I/Ki; with gut: the wall cannot pass more than all of it."""
    rates = {"kdeg_liver": 0.02, "kdeg_gut": 0.03}
    inlet = 0.05 * (2.0 + 6.0 * 400.0 / 97.0)
    alone = mechanistic_interaction(Victim(fm=1.0), [INHIBITOR], **rates)
    assert float(alone) == pytest.approx(1.0 + inlet / 0.02)
    gut = mechanistic_interaction(Victim(fm=1.0, fg=0.5), [INHIBITOR], **rates)
    assert float(alone) < float(gut) < 2.0 * float(alone)
    capped = mechanistic_interaction(Victim(fm=0.9), [Perpetrator(cmax=1e6, fu=1.0, dose=1.0, ki=1e-3)], **rates)
    assert float(capped) == pytest.approx(10.0, rel=1e-6)  # the other tenth remains
    both = mechanistic_interaction(Victim(fm=1.0), [INHIBITOR, INHIBITOR], **rates)
    assert float(both) == pytest.approx(1.0 + 2.0 * inlet / 0.02)
    none = mechanistic_interaction(Victim(fm=0.7, fg=0.4), [Perpetrator(cmax=1.0, fu=1.0, dose=1.0)], **rates)
    assert float(none) == pytest.approx(1.0, rel=1e-12)


def test_inducer_lowers_and_inhibitor_raises_exposure():
    rates = {"kdeg_liver": 0.02, "kdeg_gut": 0.03}
    inducer = Perpetrator(cmax=5.0, fu=0.17, dose=700.0, emax=9.0, ec50=0.3)
    slow = Perpetrator(cmax=1.0, fu=0.3, dose=500.0, kinact=2.0, ki_inactivation=20.0)
    assert float(mechanistic_interaction(Victim(0.9, 0.6), [inducer], **rates)) < 0.3
    assert float(mechanistic_interaction(Victim(0.9, 0.6), [slow], **rates)) > 3.0


# ------------------------------------------------------------------------------------------------------------ bad input


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Compound(1.0, 1.2), "fu is 1.2; a fraction lies above 0 and is at most 1; is it in percent"),
        (lambda: Compound(1.0, 0.0), "fu is 0; a fraction lies above 0"),
        (lambda: Compound(1.0, 0.5, acids="4.4"), "pKa values are numbers, one or a tuple of them; '4.4' holds text"),
        (lambda: Compound(1.0, 0.5, bases=("weak",)), "pKa values are numbers"),
        (lambda: Compound(1.0, 0.5, bases=44.0), "bases holds a pKa of 44; a pKa lies between -10 and 25"),
        (lambda: Compound(1.0, 0.5, blood_to_plasma=0.0), "blood_to_plasma is 0; it is a ratio"),
        (lambda: Compound(250.0, 0.5), "log_p is 250; it is the decimal logarithm"),
        (lambda: intrinsic_clearance(5.0, Hepatocytes(), 1.8), "liver_grams is 1.8; is that kilograms"),
        (lambda: intrinsic_clearance(-5.0, Hepatocytes(), 1800.0), "it cannot be negative"),
        (lambda: hepatic_clearance(5.0, 90.0, 1.3, WellStirred()), "fu_blood is 1.3"),
        (lambda: hepatic_clearance(5.0, 0.0, 0.3, WellStirred()), "the liver's blood flow is 0"),
        (lambda: Perpetrator(1.0, 0.5, 10.0, kinact=1.0), "kinact and ki_inactivation belong together"),
        (lambda: Perpetrator(1.0, 0.5, 10.0, ki=0.0), "ki is 0; it must be above zero"),
        (lambda: Victim(fm=1.4), "fm is 1.4; a fraction"),
        (lambda: agreement([1.0], [1.0, 2.0]), "1 predictions beside 2 observations"),
    ],
)
def test_bad_numbers_are_refused_in_words(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_a_missing_parameter_names_the_methods_that_do_without():
    base = Compound(2.0, 0.3, bases=9.1)
    with pytest.raises(
        ValueError, match=r"needs blood_to_plasma of a base .*; PoulinTheil, Berezhkovskiy, Schmitt and"
    ):
        partition(base, RodgersRowland())
    for method in (PoulinTheil(), Berezhkovskiy(), Schmitt(), PKSimStandard()):
        assert all(jnp.isfinite(k) and k > 0.0 for k in partition(base, method).values())
    with pytest.raises(ValueError, match="blood_to_plasma is needed for what its erythrocytes hold"):
        steady_state_volume(base, {"liver": 2.0}, {"liver": 1.8}, 3.0, 2.0)


def test_a_weak_base_needs_no_blood_to_plasma():
    weak = Compound(2.5, 0.35, bases=2.4)
    assert float(RodgersRowland().coefficient(weak, "liver")) > 0.0


def test_unknown_tissues_and_bad_volumes():
    drug = Compound(1.0, 0.5, blood_to_plasma=1.0)
    with pytest.raises(ValueError, match="there is no tissue 'livr'; did you mean 'liver'"):
        partition(drug, PoulinTheil(), ["livr"])
    with pytest.raises(ValueError, match="no volume is given of liver"):
        steady_state_volume(drug, {"liver": 2.0}, {}, 3.0, 2.0)
    with pytest.raises(ValueError, match="the volume of liver is -1"):
        steady_state_volume(drug, {"liver": 2.0}, {"liver": -1.0}, 3.0, 2.0)
    with pytest.raises(ValueError, match="below 1 - haematocrit"):
        steady_state_volume(Compound(1.0, 0.5, blood_to_plasma=0.3), {}, {}, 3.0, 2.0)


def test_compositions_are_parameters_too():
    """A method is a pytree: its composition can be varied and differentiated."""
    assert "tissues.liver.neutral_lipid" in leaves(RodgersRowland())
