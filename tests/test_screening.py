"""Toxicokinetics from in vitro data: httk 2.7.1's own printed values, to the four digits to which it rounds every step."""

import numpy as np
import pytest

from twinjax import Exact, Regimen, simulate
from twinjax.bodies.screening import Chemical, kinetics, screened_body, steady_state
from twinjax.drugs import Compound, partition
from twinjax.drugs.partition.pearce import Pearce, charge_states

BISPHENOL_A = Chemical(Compound(3.32, 0.0385, acids=(9.78, 10.4), blood_to_plasma=0.7702, log_ma=4.46), 228.3, 19.9)
AMINOPTERIN = Chemical(Compound(-0.05046, 0.75, acids=(3.38, 4.18), bases=(2.25, 1.57)), 440.4, 0.0)
NICOTINE = Chemical(
    Compound(1.171, 0.406, bases=(8.58, 2.7), blood_to_plasma=0.8238, log_ma=0.7), 162.2, 4.44, fabs=1.0, fgut=0.86,
    fhep=0.35, foral=0.3,
)  # fmt: skip
DIGITS = 6e-4
"""Half a unit of the fourth digit, which is up to 5e-4, and what rounding of steps adds."""


@pytest.fixture(scope="module")
def bisphenol():
    return screened_body(BISPHENOL_A), 70.0 / 228.3 * 1000.0 * float(kinetics(BISPHENOL_A).absorbed)


def test_charge_states():
    """`ionization_tests`: an acid of 5, a base of 5, an acid of 10, at pH 7."""
    np.testing.assert_allclose(charge_states((5.0,), (), 7.0)[:2], (0.009901, 0.9901), rtol=1e-4)
    np.testing.assert_allclose(charge_states((), (5.0,), 7.0)[0::2], (0.9901, 0.009901), rtol=1e-4)
    np.testing.assert_allclose(charge_states((10.0,), (), 7.0)[:2], (0.999, 0.000999), rtol=1e-4)


def test_steady_state_of_bisphenol_a():
    """`3compss_test`: 0.9429 uM."""
    np.testing.assert_allclose(steady_state(BISPHENOL_A), 0.9429, rtol=DIGITS)


def test_constant_dosing_of_the_body(bisphenol):
    """`pbtk_test`: 0.9432 uM."""
    model, daily = bisphenol
    regimen = Regimen.infusion(daily / 24.0 * 2000.0, over=2000.0, into="gut.lumen.chemical")
    found = simulate(model, regimen, [1999.0], backend=Exact(), throw=True).output.plasma["chemical"]
    np.testing.assert_allclose(found[0, 0], 0.9432, rtol=DIGITS)


def test_time_course_of_the_body(bisphenol):
    """`pbtk_test`: the printed table, at its printed times, to four digits (slower tissues add the steps' rounding)."""
    model, daily = bisphenol
    np.testing.assert_allclose(daily, 197.5, rtol=DIGITS)
    times = np.array([0.0104, 0.0208, 0.0312, 0.0416]) * 24.0
    solved = simulate(model, Regimen.dose(daily, into="gut.lumen.chemical"), times, backend=Exact(), throw=True)
    state = solved.state
    printed = {
        "Agutlumen": (state.portal["gut"].lumen, 1.0, [180.0, 164.1, 149.6, 136.3]),
        "Cgut": (state.portal["gut"].amount, model.portal["gut"].volume, [10.26, 13.89, 15.10, 15.35]),
        "Cliver": (state.liver.amount, model.liver.volume, [3.008, 7.542, 11.12, 13.47]),
        "Cven": (state.venous, model.venous_volume, [0.03451, 0.09812, 0.1562, 0.2007]),
        "Clung": (state.lung.amount, model.lung.volume, [0.2897, 0.8739, 1.417, 1.836]),
        "Cart": (state.arterial, model.arterial_volume, [0.02956, 0.09249, 0.1516, 0.1973]),
        "Crest": (state.tissues["rest"].amount, model.tissues["rest"].volume, [0.007507, 0.05349, 0.1435, 0.2658]),
        "Ckidney": (state.tissues["kidney"].amount, model.tissues["kidney"].volume, [0.3657, 1.707, 3.245, 4.528]),
        "Atubules": (state.tissues["kidney"].urine, 1.0, [0.000565, 0.004129, 0.01139, 0.02176]),
        "Ametabolized": (state.liver.metabolised, 1.0, [0.1325, 0.7483, 1.843, 3.281]),
    }
    for name, (amount, volume, values) in printed.items():
        np.testing.assert_allclose(amount["chemical"][0] / volume, values, rtol=1e-3, err_msg=name)


def test_parameters_of_aminopterin():
    """`pbtk_test`, `3compss_test`: an ampholyte whose membrane affinity is predicted."""
    k = kinetics(AMINOPTERIN)
    found = [
        k.absorbed,
        k.ka,
        k.blood_to_plasma,
        *(k.kpu[n] for n in ("gut", "kidney", "liver", "lung", "erythrocytes", "rest")),
    ]
    printed = [0.6448, 0.3711, 0.8587, 1.713, 3.522, 3.720, 1.331, 0.9051, 0.9473]
    np.testing.assert_allclose(found, printed, rtol=DIGITS)


def test_partition_of_nicotine():
    """`other_tests`: twelve tissues."""
    k = kinetics(NICOTINE)
    printed = {
        "adipose": 1.194, "bone": 1.355, "brain": 2.616, "gut": 3.846, "heart": 2.970, "kidney": 5.886, "liver": 6.190,
        "lung": 5.620, "muscle": 2.952, "skin": 3.226, "spleen": 2.677, "erythrocytes": 1.254,
    }  # fmt: skip
    for tissue, value in printed.items():
        np.testing.assert_allclose(k.kpu[tissue], value, rtol=DIGITS, err_msg=tissue)
    whole = Compound(1.171, float(k.fu), bases=(8.58, 2.7), log_ma=0.7)
    np.testing.assert_allclose(partition(whole, Pearce(), ["rest"])["rest"] / k.fu, 3.496, rtol=DIGITS)


def test_ten_days_of_nicotine():
    """`other_tests`, `calc_tkstats`: AUC 5.737 uM d and peak 1.695 uM at 1 mg/kg a day."""
    dose = 70.0 / 162.2 * 1000.0 * float(kinetics(NICOTINE).absorbed)
    times = np.concatenate([24.0 * day + np.linspace(0.0, 24.0, 400, endpoint=False) for day in range(10)])
    regimen = Regimen.repeat(dose, every=24.0, count=10, into="gut.lumen.chemical")
    plasma = np.asarray(
        simulate(screened_body(NICOTINE), regimen, times, backend=Exact(), throw=True).output.plasma["chemical"]
    )[0]
    np.testing.assert_allclose(plasma.max(), 1.695, rtol=DIGITS)
    np.testing.assert_allclose(np.trapezoid(plasma, times) / 24.0, 5.737, rtol=DIGITS)  # trapezoids: 1e-4


def test_what_was_seen_replaces_what_is_predicted():
    np.testing.assert_allclose(kinetics(NICOTINE).absorbed, 0.3 / 0.35, rtol=1e-12)
