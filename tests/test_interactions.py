"""The script that predicts interactions by the whole body: how it reads studies, and three of them against what was seen."""

import csv
import importlib.util
from pathlib import Path

import numpy as np
import pytest

from twinjax.bodies import body
from twinjax.bodies.abundance import MEASURED
from twinjax.bodies.library import erythromycin, midazolam, rifampicin
from twinjax.drugs import guest_limit
from twinjax.physiology import person

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "interactions.py"
spec = importlib.util.spec_from_file_location("interactions", SCRIPT)
script = importlib.util.module_from_spec(spec)
spec.loader.exec_module(script)

ROW = {
    "ID": "7", "Study ID": "Own 2024", "Victim": "Midazolam", "Perpetrator": "Rifampicin", "Route Victim": "PO",
    "Route Perpetrator": "PO", "Dose": "600", "Dose Unit": "mg", "Times of Administration": "S0-T24-R5",
    "t_treatment_0": "113", "t_treatment_end": "inf", "Victim Dose (mg)": "3",
}  # fmt: skip


@pytest.mark.parametrize(
    ("text", "times", "doses"),
    [
        ("0-24-48", [0, 24, 48], [None] * 3),
        ("(S-0,T-24,R-4)", [0, 24, 48, 72], [None] * 4),
        ("S0-T12-R3", [0, 12, 24], [None] * 3),
        ("0-(S12-T12-R2)", [0, 12, 24], [None] * 3),
        ("(S0-T8-R2)-16-26", [0, 8, 16, 26], [None] * 4),
        ("400: 0, 200: 24-48", [0, 24, 48], [400.0, 200.0, 200.0]),
        ("(200mg): 0-6; (400mg): 18", [0, 6, 18], [200.0, 200.0, 400.0]),
        ("0-12-24,5", [0, 12, 24.5], [None] * 3),
        ("S0-T24-R2 (10 mg), S432-T24-R2 (75 mg)", [0, 24, 432, 456], [10.0, 10.0, 75.0, 75.0]),
    ],
)
def test_times_of_administration(text, times, doses):
    assert script.administrations(text) == list(zip(times, doses, strict=True))


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"Victim": "Triazolam"}, "the victim Triazolam has no parameters"),
        ({"Perpetrator": "Grapefruit"}, "the perpetrator Grapefruit has no parameters"),
        ({"Times of Administration": "twice"}, "times of administration are not understood: 'twice'"),
        ({"Dose Unit": "IU"}, "its unit of dose is 'IU'"),
        ({"Dose": "50/100"}, "its dose '50/100' is not one number"),
        ({"Perpetrator": "Hyperforin"}, "extracts of St John's wort differ"),
        ({"Route Perpetrator": "IV"}, "its routes are PO and IV"),
        ({"Victim Dose (mg)": ""}, "midazolam's dose is not in the design"),
        ({"t_treatment_0": ""}, "does not say when midazolam was given"),
    ],
)
def test_a_study_left_out_has_its_reason(change, why):
    with pytest.raises(script.Left, match=why):
        script.Study({**ROW, **change}, {})


def test_a_racemate_is_two_drugs():
    """Half of 80 mg of hydrochloride as each enantiomer: 37.03 mg, what the published model gives of each."""
    study = script.Study({**ROW, "Perpetrator": "Verapamil", "Dose": "80", "Formulation type": "tabl. (SR, 80 mg)"}, {})
    assert list(study.into) == ["tablet.r_verapamil", "tablet.s_verapamil"]
    given = script.regimen(study, 6, True, 113.0)
    molar = float(study.drugs["r_verapamil"].molar_mass)
    np.testing.assert_allclose(np.asarray(given.amount)[[0, 6]] * molar / 1e3, 37.03069, rtol=2e-5)  # molar masses
    assert np.asarray(given.amount)[5] == 0.0  # padded


@pytest.mark.parametrize(
    ("perpetrator", "mg", "into", "umol"),
    [
        ("Fluvoxamine", "100", "stomach.fluvoxamine", 73.28 / 318.335e-3),  # mg and g/mol as the published models have
        ("Carbamazepine", "400", "tablet.carbamazepine", 400.0 / 236.2686e-3),
        ("Erythromycin", "500", "stomach.erythromycin", 500.0 / 733.927e-3),
        ("Verapamil", "80", "stomach.r_verapamil", 37.03069 / 454.611e-3),
    ],
)
def test_doses_are_the_published_ones(perpetrator, mg, into, umol):
    study = script.Study({**ROW, "Perpetrator": perpetrator, "Dose": mg}, {})
    given = script.regimen(study, len(study.times), True, 113.0)
    assert next(iter(study.into)) == into
    np.testing.assert_allclose(np.asarray(given.amount)[0], umol, rtol=2e-5)  # masses of salts, to five digits


def test_abundance_is_what_turnover_numbers_were_identified_with():
    """Reference concentrations (umol/L) of carbamazepine's, erythromycin's and verapamil's models; CYP2D6 as PK-Sim has it."""
    published = {"CYP1A2": 1.8, "CYP2B6": 1.56, "CYP2D6": 0.4, "CYP3A4": 4.32, "UGT2B7": 3.372}
    assert {n: MEASURED.liver[n] for n in published} == published
    assert MEASURED.uptake == {"OATP1B1": 1.0}
    kcat = erythromycin().kinetics["CYP3A4"].kcat / 60.0
    np.testing.assert_allclose(kcat * MEASURED.liver["CYP3A4"] * 1e3 / 40.0, 918.333, rtol=1e-6)  # pmol/min/mg, 40 mg/g


def test_an_area_may_begin_after_midazolam_was_given():
    """Carls 2014: given at 1 h, an area from 3 to 5 h beside one from 2 to 4 h without erythromycin."""
    row = {**ROW, "ID": "829", "t_treatment_0": "3", "t_treatment_end": "5", "t_placebo_0": "2"}
    study = script.Study({**row, "Perpetrator": "Erythromycin"}, {})
    assert (study.given, study.skipped, study.window, study.control) == (1.0, 2.0, 4.0, None)


def test_doses_that_climb_are_those_of_the_design():
    """Kanefendt 2023, whose row has no doses: 2 x 100, 200 and 300 mg of carbamazepine for 2, 2 and 17 days."""
    study = script.Study({**ROW, "ID": "943", "Perpetrator": "Carbamazepine", "Dose": ""}, {})
    assert (len(study.times), sum(study.amounts), study.times[-1]) == (42, 400.0 + 800.0 + 34 * 300.0, 492.0)


def test_doses_of_the_control_phase_are_read(shared_data):
    """Okudaira 2007: 2.5 mg of midazolam with erythromycin, 5 mg without."""
    data = shared_data / "physiology" / "osp_ddi" / "qualification_designs"
    assert script.control_doses(data)["362"] == 5.0
    assert script.victim_doses(data)["362"] == 2.5


def test_three_studies_of_rifampicin(shared_data):
    """By mouth 17 h after the last dose and 4 days later, and by vein: inside Guest's limits of what was observed."""
    data = shared_data / "physiology" / "osp_ddi"
    doses = script.victim_doses(data / "qualification_designs")
    with (data / "DDI_observed_OSP.csv").open() as file:
        rows = {r["ID"]: r for r in csv.DictReader(file)}
    chosen = [rows[i] for i in ("54", "57", "276")]
    studies = [script.Study(r, doses) for r in chosen]
    model = body(person(30.0), {"midazolam": midazolam(), "rifampicin": rifampicin()})
    found = np.array([auc for auc, _ in script.predicted(studies, model)])
    observed = np.array([float(r["AUCR Avg"]) for r in chosen])
    fold = np.exp(np.abs(np.log(found / observed)))
    assert np.all(fold <= np.asarray(guest_limit(observed)))
    # what this version predicts, to the two digits in which solvers and machines agree
    np.testing.assert_allclose(found, [0.0633, 0.1555, 0.428], rtol=0.02)
