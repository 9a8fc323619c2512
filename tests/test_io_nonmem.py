"""NONMEM-style files: what is read from published data, what a round trip keeps, and how every mistake is named."""

import dataclasses
import gzip
import re

import equinox as eqx
import hypothesis.strategies as st
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings

from twinjax.dosing import GIVEN_RATE, MODELLED_DURATION, MODELLED_RATE, Regimen
from twinjax.io import DataError, Problem, check_against, levels, read_nonmem, to_frame, validate
from twinjax.models import OneCompartmentOral
from twinjax.observation import ABOVE, BELOW, Measurements
from twinjax.population.subject import Subject, TrialData

HEADER = "ID,TIME,AMT,DV,EVID,RATE,II,ADDL,SS,WT"
GOOD = ("1,0,100,.,1,0,0,0,0,70", "1,1,0,5,0,0,0,0,0,70")


@pytest.fixture
def write(tmp_path):
    def _write(*lines, name="data.csv"):
        (tmp_path / name).write_text("".join(f"{line}\n" for line in lines))
        return tmp_path / name

    return _write


def same(a, b):
    """Equal subjects, but for the numbers of records that a round trip leaves out."""
    assert a.ids == b.ids
    for x, y in zip(a, b, strict=True):
        for field in ("time", "amount", "rate", "interval"):
            np.testing.assert_array_equal(getattr(x.regimen, field), getattr(y.regimen, field))
        strip = [[(k.evid, k.into, k.mode, k.additional, k.steady_state) for k in s.regimen.kinds] for s in (x, y)]
        assert strip[0] == strip[1]
        for field in ("time", "value", "censored", "limit"):
            np.testing.assert_array_equal(getattr(x.measurements, field), getattr(y.measurements, field))
        assert x.measurements.output == y.measurements.output
        assert set(x.covariates) == set(y.covariates)
        for name, value in x.covariates.items():
            np.testing.assert_array_equal(value, y.covariates[name])
        np.testing.assert_array_equal(x.switch_time, y.switch_time)
        np.testing.assert_array_equal(*(_in_time(s) for s in (x, y)))


def _in_time(s):
    """Doses, measurements and switches in the order in which they happen."""
    time = np.concatenate([np.asarray(s.regimen.time), s.measurements.time, s.switch_time])
    order = np.concatenate([[k.order for k in s.regimen.kinds], s.measurements.order, s.switch_order])
    return np.lexsort((order, time))


# ------------------------------------------------------------------------------------------------------ published data

PUBLISHED = [
    ("theo_sd/theo_sd.csv", {}, (12, 132, 0, 12)),
    ("theo_sd/theo_md.csv", {}, (12, 264, 0, 84)),
    ("theo_sd/monolix_theophylline_data.txt", {}, (12, 120, 0, 12)),
    ("phenobarbital/pheno.dta", {}, (59, 155, 0, 589)),
    ("phenobarbital/pheno_sd_nlmixr2.csv", {}, (59, 155, 0, 589)),
    ("phenobarbital/monolix_phenobarbital_data.csv", {"columns": {"AMT": "dose"}}, (59, 155, 0, 589)),
    ("warfarin_pkpd/warfarin.csv", {}, (32, 483, 0, 32)),
    ("warfarin_pkpd/warfarin_PKS.csv", {}, (32, 251, 0, 32)),
    ("warfarin_pkpd/nonmem743_pkturnoveremax3.csv", {"covariates": ()}, (32, 483, 0, 32)),
    ("nmtest_events/nmtest.csv.gz", {"columns": {"DV": "cp"}}, (26, 3406, 0, 33)),
    ("wang2007_ofv/Wang2007.csv", {}, (10, 20, 0, 0)),
    ("schnider_propofol/data.csv", {"units": {"TIME": "min"}}, (24, 1006, 0, 96)),
    ("nimotuzumab_tmdd/nimoData.csv", {"covariates": ["WGT", "OCC"]}, (12, 321, 0, 120)),
    ("friberg_wbc_sim/wbcSim.csv", {}, (45, 176, 0, 52)),
    ("bauer2019_nonmem_tutorial/402.csv", {}, (30, 360, 0, 30)),
    ("bauer2019_nonmem_tutorial/501.csv", {}, (60, 240, 0, 60)),
    (
        "bauer2019_nonmem_tutorial/ad3tr4.csv",
        {"columns": {"DV": "LOGC", "LLOQ": None}, "lloq": -3.5, "covariates": ()},
        (100, 500, 104, 100),
    ),
    (
        "bauer2019_nonmem_tutorial/r2comp.csv.gz",
        {"outputs": {1: "plasma", 3: "response"}, "covariates": ()},
        (50, 1568, 0, 100),
    ),
    (
        "hiv_actg315/actg315raw.csv",
        {
            "columns": {"ID": "Patid", "TIME": "Day", "DV": "log10.RNA."},
            "lloq": 2.0,
            "covariates": (),
            "units": {"time": "day"},
        },
        (46, 361, 40, 0),
    ),
]


@pytest.mark.parametrize(("file", "how", "counts"), PUBLISHED, ids=[p[0] for p in PUBLISHED])
def test_published_data(shared_data, file, how, counts):
    trial = read_nonmem(shared_data / "trials" / file, **how)
    assert tuple(trial.summary().values()) == counts
    frame = to_frame(trial)
    again = read_nonmem(frame)
    same(trial, again)
    pd.testing.assert_frame_equal(to_frame(again), frame)


def test_a_written_frame_reads_back(shared_data, tmp_path):
    trial = read_nonmem(shared_data / "trials/warfarin_pkpd/warfarin.csv")
    to_frame(trial).to_csv(tmp_path / "w.csv", index=False)
    same(trial, read_nonmem(tmp_path / "w.csv"))


def test_classic_codes_and_full_precision(shared_data):
    first = read_nonmem(shared_data / "trials/theo_sd/theo_sd.csv")["1"]
    assert float(first.regimen.amount[0]) == 4.02 * 79.6
    assert first.regimen.kinds[0].into == 1
    assert first.regimen.kinds[0].order == 0
    assert first.measurements.time[0] == 0.0
    assert first.measurements.order[0] == 1
    assert set(first.measurements.output) == {1}
    assert first.covariates == {"WT": 79.6}


def test_classic_infusions_are_paired(shared_data):
    regimen = read_nonmem(shared_data / "trials/friberg_wbc_sim/wbcSim.csv")["1"].regimen
    assert {k.mode for k in regimen.kinds} == {GIVEN_RATE}
    np.testing.assert_allclose(regimen.rate[0], 137.0)
    np.testing.assert_allclose(regimen.amount[0], 137 * 2.992701, rtol=1e-6)


def test_event_oracle_records(shared_data):
    trial = read_nonmem(shared_data / "trials/nmtest_events/nmtest.csv.gz", columns={"DV": "cp"})
    assert trial["5"].regimen.kinds[0].mode == MODELLED_DURATION
    assert [k.evid for k in trial["23"].regimen.kinds] == [1, 3, 1]
    assert [k.steady_state for k in trial["25"].regimen.kinds] == [1, 2]
    constant = trial["26"].regimen
    assert (float(constant.amount[0]), float(constant.rate[0]), constant.kinds[0].steady_state) == (0.0, 100.0, 1)
    changing = trial["17"]
    np.testing.assert_array_equal(changing.covariates["lagt"], [1.0, 0.0])
    assert changing.covariates["bioav"] == 1.0
    assert changing.segments == 2
    assert changing.switch_time[0] <= 13.0
    dose = changing.regimen.kinds[1]
    assert changing.switch_order[0] < dose.order


def test_two_outputs_and_text(shared_data):
    path = shared_data / "trials/warfarin_pkpd/warfarin.csv"
    trial = read_nonmem(path)
    outputs = [o for s in trial for o in s.measurements.output]
    assert (outputs.count("cp"), outputs.count("pca")) == (251, 232)
    assert levels(path) == {"sex": {"female": 0, "male": 1}}
    assert trial["1"].covariates == {"wt": 66.7, "age": 50.0, "sex": 1.0}
    mapped = read_nonmem(path, outputs={"cp": "plasma", "pca": 2})
    assert {o for s in mapped for o in s.measurements.output} == {"plasma", 2}


def test_a_restarting_clock_goes_on(shared_data):
    path = shared_data / "trials/schnider_propofol/data.csv"
    trial = read_nonmem(path)
    for s in trial:
        assert [k.evid for k in s.regimen.kinds].count(4) == 2
        times = [(t, k.order) for t, k in zip(s.regimen.time.tolist(), s.regimen.kinds, strict=True)]
        times += zip(s.measurements.time.tolist(), s.measurements.order.tolist(), strict=True)
        by_order = [t for t, _ in sorted(times, key=lambda x: x[1])]
        assert by_order == sorted(by_order)
    assert len([p for p in validate(path) if "clock restarts" in p.message]) == 24


def test_weight_changes_over_the_interval_that_ends_at_the_record(write):
    path = write("ID,TIME,AMT,DV,EVID,WT", "1,0,100,.,1,70", "1,1,.,5,0,70", "1,2,.,.,2,72", "1,3,.,4,0,74")
    s = read_nonmem(path)["1"]
    np.testing.assert_array_equal(s.covariates["WT"], [70, 72, 74])
    np.testing.assert_array_equal(s.switch_time, [1, 2])
    np.testing.assert_array_equal(s.switch_order, [1.5, 2.5])
    np.testing.assert_array_equal(s.measurements.order, [1, 3])
    same(TrialData((s,)), read_nonmem(to_frame(TrialData((s,)))))


def test_missing_covariates_are_carried(write):
    path = write("ID,TIME,DV,WT,FED", "1,0,1,.,yes", "1,1,1,70,.", "1,2,1,.,no", "1,3,1,71,no")
    s = read_nonmem(path)["1"]
    np.testing.assert_array_equal(s.covariates["WT"], [70, 70, 71])
    np.testing.assert_array_equal(s.covariates["FED"], [1, 0, 0])
    np.testing.assert_array_equal(s.switch_time, [1, 2])


# ---------------------------------------------------------------------------------------------------------- file forms

RECORDS = (("ID", "TIME", "AMT", "DV"), ("S1", "0", "10", "."), ("S1", "1", "0", "2.5"), ("S2", "0.5", "0", "1E0"))


@pytest.mark.parametrize("separator", [",", ";", "\t", "   ", ", "])
def test_separators(write, separator):
    trial = read_nonmem(write(*(separator.join(r) for r in RECORDS)))
    assert trial.ids == ("S1", "S2")
    assert trial.summary() == {"subjects": 2, "observations": 2, "censored": 0, "dose_records": 1}


def test_comments_blank_lines_and_gzip(tmp_path):
    text = "# made by hand\r\n\r\nC,ID,TIME,DV\r\n.,1,0,1\r\nC,1,1,99\r\n@ aside\r\n.,1,2,3\r\n,,,\r\n"
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(b"\xef\xbb\xbf" + text.encode()))
    trial = read_nonmem(tmp_path / "a.csv.gz")
    np.testing.assert_array_equal(trial["1"].measurements.value, [1, 3])
    assert trial.name == "a"


def test_commented_header_and_text_ids(write):
    trial = read_nonmem(write("#ID,TIME,DV", "A,0,1", "B,0,1", "C,0,1"))
    assert trial.ids == ("A", "B", "C")


def test_nonmem_table_output(write):
    path = write("TABLE NO.  1", " ID TIME DV", "  1.0000E+00  0.0000E+00  3.5000E-01")
    assert read_nonmem(path)["1"].measurements.value.tolist() == [0.35]


def test_renamed_columns_of_a_frame():
    frame = pd.DataFrame({"subject": ["a", "a"], "hours": [0, 1], "mg": [5.0, None], "y": [None, 2.0], "wt": [60, 60]})
    columns = {"ID": "subject", "TIME": "hours", "amt": "mg"}
    s = read_nonmem(frame, columns=columns, covariates={"weight": "WT"})["a"]
    assert s.covariates == {"weight": 60.0}
    assert float(s.regimen.amount[0]) == 5.0
    with pytest.raises(ValueError, match="no part 'WEIGHT'"):
        read_nonmem(frame, columns={"weight": "wt"})


def test_mdv_and_inferred_events(write):
    path = write(
        "ID,TIME,AMT,RATE,DV,MDV,CMT,ADDL,II",
        "1,0,10,5,.,1,2,3,12",
        "1,1,0,0,.,1,1,0,0",
        "1,2,0,0,7,0,1,0,0",
        "1,3,10,-1,0,1,central,0,0",
    )
    s = read_nonmem(path)["1"]
    assert [(k.mode, k.into, k.additional) for k in s.regimen.kinds] == [
        (GIVEN_RATE, 2, 3),
        (MODELLED_RATE, "central", 0),
    ]
    assert s.measurements.order.tolist() == [2.0]
    named = read_nonmem(path, doses={2: "depot", "central": "plasma_state"})["1"]
    assert [k.into for k in named.regimen.kinds] == ["depot", "plasma_state"]


# ----------------------------------------------------------------------------------------------------------- censoring


def test_cens_and_limit(write):
    path = write("ID,TIME,DV,CENS,LIMIT", "1,0,9,-1,.", "1,1,5,0,.", "1,2,0.5,1,0", "1,3,0.5,1,.")
    trial = read_nonmem(path)
    m = trial["1"].measurements
    assert m.censored.tolist() == [ABOVE, 0, BELOW, BELOW]
    assert m.limit.tolist() == [-np.inf, -np.inf, 0.0, -np.inf]
    assert m.value.tolist() == [9, 5, 0.5, 0.5]
    same(trial, read_nonmem(to_frame(trial)))


@pytest.mark.parametrize("flag", ["BLQ", "BLOQ"])
def test_blq_with_a_limit(write, flag):
    m = read_nonmem(write(f"ID,TIME,DV,{flag},LLOQ", "1,0,9,0,0.5", "1,1,0,1,0.5", "1,2,.,1,0.1"))["1"].measurements
    assert m.censored.tolist() == [0, BELOW, BELOW]
    assert m.value.tolist() == [9, 0.5, 0.1]


def test_a_limit_by_output(write):
    path = write("ID,TIME,DV,DVID", "1,0,0.5,1", "1,0,0.5,2", "1,1,1,1")
    m = read_nonmem(path, lloq={1: 1.0})["1"].measurements
    assert m.censored.tolist() == [BELOW, 0, 0]
    assert m.value.tolist() == [1.0, 0.5, 1.0]


# --------------------------------------------------------------------------------------------------------------- units


def test_units_are_converted(write):
    path = write("ID,TIME,AMT,RATE,II,ADDL,DV,WT", "1,0,1000,240,1,2,.,220", "1,2,0,0,0,0,50,220")
    units = {"TIME": "day", "AMT": "ug", "DV": "ng/mL", "WT": ("lb", "kg")}
    s = read_nonmem(path, units=units)["1"]
    np.testing.assert_allclose(s.measurements.time, [48.0])
    np.testing.assert_allclose(s.measurements.value, [0.05])
    np.testing.assert_allclose([s.regimen.amount[0], s.regimen.rate[0], s.regimen.interval[0]], [1.0, 0.01, 24.0])
    np.testing.assert_allclose(s.covariates["WT"], 99.79032, rtol=1e-6)


def test_targets_and_units_by_output(write):
    path = write("ID,TIME,DV,DVID", "1,2,3,1", "1,2,3,2", "1,2,3,3")
    s = read_nonmem(path, units={"TIME": ("s", "ms"), "DV": {1: "nmol/L", 2: ("g/L", "mg/L")}})["1"]
    np.testing.assert_allclose(s.measurements.time, 2000.0)
    np.testing.assert_allclose(s.measurements.value, [0.003, 3000.0, 3.0])


@pytest.mark.parametrize(
    ("units", "message"),
    [
        ({"DV": "kg"}, r"units\['DV'\]: 'kg' does not convert to mg/L or umol/L; give a concentration such as mg/L"),
        ({"TIME": "fortnite"}, r"'fortnite' does not convert to h; give a time such as h, min, day"),
        ({"WT": "lb"}, r"units\['WT'\] of a covariate is a pair"),
        ({"WT": ("lb", "L")}, r"give a unit that converts to L"),
        ({"TIM": "h"}, r"nothing called 'TIM'; did you mean 'TIME'"),
        ({"TIME": {1: "h"}}, r"only DV has units by output"),
    ],
)
def test_impossible_units(write, units, message):
    path = write("ID,TIME,DV,WT", "1,0,1,70")
    with pytest.raises(ValueError, match=message):
        read_nonmem(path, units=units)


# ------------------------------------------------------------------------------------------------------ against a model


def test_data_against_a_model(write):
    model = OneCompartmentOral.typical()
    path = write(
        "ID,TIME,AMT,DV,CMT,DVID,RATE", "1,0,10,.,depo,.,0", "1,1,.,2,.,plasma,.", "2,0,10,.,3,.,0", "2,0,10,.,1,.,-2"
    )
    trial = read_nonmem(path)
    problems = [str(p) for p in check_against(trial, model, covariates=["WT"])]
    assert len(problems) == 5
    assert problems[0].startswith(
        "column CMT, subject 1: a dose into 'depo': there is no compartment 'depo'; did you mean 'depot'"
    )
    assert "needs a covariate 'WT', which the subject lacks" in problems[1]
    assert "a dose into 3: the model has compartments 1 to 2 (depot, central)" in problems[2]
    assert "RATE = -2, but OneCompartmentOral has no modelled duration for doses into 'depot'" in problems[3]
    wrong = read_nonmem(path, doses=1, outputs="plasm")
    assert any("no output 'plasm'; did you mean 'plasma'" in p.message for p in check_against(wrong, model))


# ---------------------------------------------------------------------------------------------------------- round trip

finite = st.floats(0, 1e6, allow_nan=False, width=64)
positive = st.floats(1e-3, 1e6, allow_nan=False)


@st.composite
def subjects(draw, id):
    times = sorted(draw(st.lists(finite, min_size=1, max_size=6)))
    doses, seen = [], []
    for order, t in enumerate(times):
        if draw(st.booleans()):
            doses.append((t, order, draw(positive), draw(st.sampled_from([1, 4])), draw(st.sampled_from([1, "depot"]))))
        else:
            seen.append((t, order, draw(finite), draw(st.sampled_from([1, "cp"])), draw(st.sampled_from([-1, 0, 1]))))
    regimen = Regimen.none()
    if doses:
        n = len(doses)
        t, order, amount, evid, into = zip(*doses, strict=True)
        regimen = Regimen.records(
            t, amount, [0.0] * n, [12.0] * n, evid=evid, into=into, mode=[0] * n, additional=[2] * n,
            steady_state=[0] * n, order=order,
        )  # fmt: skip
    measurements = Measurements.none()
    if seen:
        t, order, value, output, censored = zip(*seen, strict=True)
        measurements = Measurements(t, value, output, censored=censored, order=order)
    switches = sorted(draw(st.sets(st.integers(0, len(times) - 1), max_size=3)))
    weights = [float(60 + (i % 2)) for i in range(len(switches) + 1)]
    covariates = {"WT": np.array(weights) if switches else weights[0], "SEX": float(draw(st.integers(0, 1)))}
    return Subject(
        id, regimen, measurements, covariates,
        switch_time=np.array([times[i] for i in switches]), switch_order=np.array([i + 0.5 for i in switches]),
    )  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(st.tuples(subjects("1"), subjects("b")))
def test_round_trip(people):
    trial = TrialData(people)
    frame = to_frame(trial)
    again = read_nonmem(frame)
    same(trial, again)
    pd.testing.assert_frame_equal(to_frame(again), frame)


def test_a_trial_written_by_hand():
    regimen = Regimen.repeat(100.0, every=12, count=3, into="depot") + Regimen.infusion(50.0, over=2, into=2, at=40)
    s = Subject("x", regimen + Regimen.reset(at=60), Measurements.of([1.0, 70.0], [2.0, 3.0], "plasma"), {"WT": 70.0})
    trial = read_nonmem(to_frame(TrialData((s,))))
    same(TrialData((s,)), trial)
    with pytest.raises(ValueError, match="rename it"):
        to_frame(TrialData((eqx.tree_at(lambda s: s.covariates, s, {"Rate": 1.0}),)))


# ------------------------------------------------------------------------------------------------------------ mistakes

ERRORS = [
    ("1,2,0,5x,0,0,0,0,0,70", "DV", "'5x' is not a number"),
    ("1,08:30,0,5,0,0,0,0,0,70", "TIME", "a clock time must be converted to hours"),
    ("1,-1,0,5,0,0,0,0,0,70", "TIME", "the time -1 is negative; shift the subject's clock"),
    ("1,.,0,5,0,0,0,0,0,70", "TIME", "the record has no time"),
    ("1,0.5,0,5,0,0,0,0,0,70", "TIME", "the time goes back to 0.5; sort the rows by time"),
    (".,2,0,5,0,0,0,0,0,70", "ID", "the record has no ID"),
    ("1,2,0,5,7,0,0,0,0,70", "EVID", "EVID 7 is none of 0 observation, 1 dose"),
    ("1,2,0,5,30101,0,0,0,0,70", "EVID", "EVID 30101 is no event code that is known"),
    ("1,2,5,0,10101,0,0,0,0,70", "AMT", "the infusion has no second record"),
    ("1,2,.,.,1,0,0,0,0,70", "AMT", "the dose has no AMT; give its amount, or EVID 2"),
    ("1,2,-5,.,1,0,0,0,0,70", "AMT", "the dose is -5; it cannot be negative"),
    ("1,2,5,.,1,0,0,3,0,70", "II", "ADDL needs the dosing interval II, above 0"),
    ("1,2,5,.,1,0,0,0,1,70", "II", "SS needs the dosing interval II, above 0"),
    ("1,2,5,.,1,0,12,2.5,0,70", "ADDL", "ADDL 2.5 is not a number of further doses"),
    ("1,2,5,.,1,0,12,0,3,70", "SS", "SS 3 is not 0, 1 or 2"),
    ("1,2,5,.,1,-3,0,0,0,70", "RATE", "RATE -3: give a rate above 0, 0 (bolus), -1 (modelled rate) or -2"),
    ("1,2,0,.,1,10,0,0,0,70", "AMT", "an infusion of nothing"),
    ("1,2,5,.,3,0,0,0,0,70", "AMT", "EVID 3 is a reset without a dose; use EVID 4"),
    ("1,2,5,1,0,0,0,0,0,70", "AMT", "an observation (EVID 0) with AMT 5; say EVID 1"),
    ("1,2,0,.,0,0,0,0,0,70", "DV", "the observation has no DV; give the value, or MDV = 1"),
    ("1,2,0,inf,0,0,0,0,0,70", "DV", "is infinite"),
    ("1,2,0,5,0,0,0,0,0,inf", "WT", "is infinite"),
    ("1,2,0,5,0,0,0,0,0,7o", "WT", "'7o' is not a number; correct it, or name the covariates you want"),
    ("1,2,0,5,0,0,0,0,70", None, "has 9 cells where the header has 10"),
]


@pytest.mark.parametrize(("line", "column", "message"), ERRORS, ids=[e[2][:40] for e in ERRORS])
def test_an_error_in_a_row(write, line, column, message):
    path = write("# a comment", HEADER, *GOOD, line)
    with pytest.raises(DataError) as caught:
        read_nonmem(path)
    assert message in str(caught.value)
    assert "data.csv: " in str(caught.value)
    problem = next(p for p in caught.value.problems if message in p.message)
    assert (problem.row, problem.column) == (5, column)
    assert f"row 5{f', column {column}' if column else ''}" in str(caught.value)


def test_a_subject_that_comes_back(write):
    with pytest.raises(DataError, match="row 5, column ID, subject 1: subject 1 already has records from row 2 on"):
        read_nonmem(write(HEADER, *GOOD, "2,0,0,1,0,0,0,0,0,70", "1,3,0,1,0,0,0,0,0,70"))


def test_all_at_once_and_cut_after_twenty(write):
    path = write(HEADER, *(f"1,{i},0,x,9,0,0,0,0,70" for i in range(30)))
    with pytest.raises(DataError) as caught:
        read_nonmem(path)
    error = caught.value
    assert isinstance(error, ValueError)
    assert isinstance(error.problems, tuple)
    assert len(error.problems) == 60
    text = str(error)
    assert text.count("\n  row ") == 20
    assert "data.csv: 60 problems" in text
    assert "and 40 more" in text
    assert "Correct these rows (row 1 is the file's first line) and read it again." in text
    with pytest.raises(dataclasses.FrozenInstanceError):
        error.problems[0].row = 3


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ((), "the file is empty; it needs a header"),
        (("", "  ", ",,,"), "the file is empty"),
        ((HEADER,), "there is a header but no data row below it"),
        (("1,0,5,2", "1,1,0,3"), "there is no header: the first line must name the columns"),
        (("ID,TIME,DV,dv", "1,0,1,2"), "two columns have this name"),
        (("ID,TIEM,DV", "1,0,1"), "the required column TIME is missing; did you mean 'TIEM'?"),
        (("IDD,HOURS,DV", "1,0,1"), "the required column ID is missing; did you mean 'IDD'?"),
        (("ID,TIME,AMNT,DV,EVID", "1,0,5,.,1"), "there are dose records but no column AMT; did you mean 'AMNT'?"),
        (("ID,TIME,DW", "1,0,5"), "there are observation records but no column DV; did you mean 'DW'?"),
        (("ID,TIME,DV,TINF,AMT", "1,0,.,2,5"), "column RATE = AMT / TINF"),
        (("ID,TIME,DV,BLQ", "1,0,0,1"), "add a column LLOQ or give lloq="),
        (("ID,TIME,DV,CENS", "1,0,0,2"), "CENS 2 is not 0 (measured), 1 (below DV) or -1 (above DV)"),
        (("ID,TIME,DV,CENS,LIMIT", "1,0,1,1,3"), "LIMIT 3 is the other end"),
        (("ID,TIME,DV,DVID", "1,0,1,."), "the observation has no DVID"),
        (("ID,TIME,DV,DVID", "1,0,1,0"), "DVID 0 is no output; outputs count from 1"),
        (("ID,TIME,DV,CMT", "1,0,1,2", "1,0,1,3"), "give outputs={2: ..., 3: ...}, or outputs=1"),
        (("ID,TIME,AMT,CMT", "1,0,1,-2"), "a dose into compartment -2; compartments count from 1"),
        (("ID,TIME,MDV,DV", "1,0,100,3"), "MDV 100 is not 0 or 1"),
        (("ID,TIME,AMT,MDV,DV", "1,0,1,0,3"), "is a dose (AMT) and an observation (MDV = 0); write it as two rows"),
    ],
)
def test_an_error_of_the_file(write, lines, message):
    with pytest.raises(DataError, match=re.compile(re.escape(message), re.IGNORECASE)):
        read_nonmem(write(*lines))


def test_outputs_must_map_the_compartments_there_are(write):
    path = write("ID,TIME,DV,CMT", "1,0,1,2", "1,0,1,3")
    with pytest.raises(DataError, match=r"row 3.*compartment 3, which `outputs` does not map; it maps 2"):
        read_nonmem(path, outputs={2: "plasma"})
    assert read_nonmem(path, outputs="plasma")["1"].measurements.output == ("plasma", "plasma")


def test_named_covariates_must_be_there(write):
    path = write("ID,TIME,DV,WT,SEX", "1,0,1,70,.", "2,0,1,70,1")
    with pytest.raises(DataError, match=r"no column 'WGT', which `covariates` names; did you mean 'WT'\?"):
        read_nonmem(path, covariates=["WGT"])
    with pytest.raises(DataError, match="row 2, column SEX, subject 1: the subject has no value of this covariate"):
        read_nonmem(path, covariates=["SEX"])
    assert [set(s.covariates) for s in read_nonmem(path)] == [{"WT"}, {"WT", "SEX"}]
    with pytest.raises(ValueError, match=r"write \['SEX'\]"):
        read_nonmem(path, covariates="SEX")


def test_a_renamed_column_must_be_there(write):
    with pytest.raises(DataError, match="there is no column 'conz', which `columns` names for DV; did you mean 'conc'"):
        read_nonmem(write("ID,TIME,conc", "1,0,1"), columns={"DV": "conz"})


def test_a_frame_has_the_rows_of_its_file():
    frame = pd.DataFrame({"ID": [1, 1, 1], "TIME": [0, 1, 2], "DV": [1.0, 2.0, np.inf]})
    with pytest.raises(DataError, match="the data frame: 1 problem\n  row 4, column DV, subject 1: is infinite"):
        read_nonmem(frame[frame["TIME"] > 0])


# --------------------------------------------------------------------------------------------------------------- notes

NOTES = [
    (("ID,TIME,AMT,DV", "1,0,0,5", "1,1,100,."), 2, "an observation before the first dose"),
    (("ID,TIME,AMT,DV", "1,0,10,."), 2, "the subject has no observations"),
    (("ID,TIME,DV", "1,1,5", "1,1,6"), 3, "a second observation of output 1 at time 1"),
    (("ID,TIME,AMT,DV", "1,1,5,6"), None, "1 dose records have a DV, which is ignored"),
    (("ID,TIME,DV", "1,1,5"), None, "there is no column AMT, so nobody is given a dose"),
    (("ID,TIME,AMT,DV,EVID", "1,1,0,.,1"), 2, "a dose of 0"),
    (("ID,TIME,DV,SEX", "1,1,5,m", "2,1,5,f"), None, "is text, coded as f = 0, m = 1"),
    (("ID,TIME,DV,LLOQ", "1,1,0.5,1"), None, "1 values lie below LLOQ without BLQ = 1 or CENS = 1"),
    (("ID,TIME,DV,", "1,1,0.5,3"), None, "1 columns have no name in the header"),
    (("ID,TIME,DV,WT", "1,1,0.5,."), None, "has no value at all, so it is left out of the covariates"),
    (("ID,TIME,DV,TAD", *(f"1,{i},1,{i}" for i in range(12))), None, "changes at nearly every record, like a clock"),
    (("ID,TIME,DV,NOTE", *(f"1,{i},1,n{i}" for i in range(25))), None, "is text with 25 different values"),
    (
        ("ID,TIME,AMT,DV,EVID", "1,0,1,.,1", "1,9,.,1,0", "1,0,1,.,4", "1,9,.,1,0"),
        4,
        "the clock restarts here, at a reset; 9",
    ),
]


@pytest.mark.parametrize(("lines", "row", "message"), NOTES, ids=[n[2][:40] for n in NOTES])
def test_a_note_does_not_raise(write, lines, row, message):
    path = write(*lines)
    read_nonmem(path)
    note = next(p for p in validate(path) if message in p.message)
    assert (note.row, note.severity) == (row, "note")


def test_validate_gives_errors_and_notes_in_file_order(write):
    found = validate(write("ID,TIME,AMT,DV", "1,0,0,5", "1,1,100,.", "1,2,0,x"))
    assert [(p.row, p.severity) for p in found] == [(2, "note"), (4, "error")]
    assert isinstance(found[0], Problem)


def test_a_clean_file_has_no_problems(write):
    assert validate(write(HEADER, *GOOD)) == []


def test_a_spreadsheet_is_refused(tmp_path):
    (tmp_path / "a.xlsx").write_bytes(b"PK\x03\x04")
    with pytest.raises(ValueError, match="save the table as CSV"):
        read_nonmem(tmp_path / "a.xlsx")
