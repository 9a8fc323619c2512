"""Every mistake in a data file is named, with its row, and all of them at once."""

import dataclasses
import re

import numpy as np
import pandas as pd
import pytest

from twinjax.io import DataError, Problem, read_nonmem, validate

HEADER = "ID,TIME,AMT,DV,EVID,RATE,II,ADDL,SS,WT"
GOOD = ("1,0,100,.,1,0,0,0,0,70", "1,1,0,5,0,0,0,0,0,70")


@pytest.fixture
def write(tmp_path):
    def _write(*lines):
        (tmp_path / "data.csv").write_text("\n".join(lines) + "\n" if lines else "")
        return tmp_path / "data.csv"

    return _write


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
        (("ID,TIME,DV,TINF,AMT", "1,0,.,2,5"), "make a column RATE = AMT / TINF"),
        (("ID,TIME,DV,BLQ", "1,0,0,1"), "add a column LLOQ or give lloq="),
        (("ID,TIME,DV,CENS", "1,0,0,2"), "CENS 2 is not 0 (measured), 1 (below DV) or -1 (above DV)"),
        (("ID,TIME,DV,CENS,LIMIT", "1,0,1,1,3"), "LIMIT 3 is the other end"),
        (("ID,TIME,DV,DVID", "1,0,1,."), "the observation has no DVID"),
        (("ID,TIME,DV,DVID", "1,0,1,0"), "DVID 0 is no output; outputs count from 1"),
        (("ID,TIME,DV,CMT", "1,0,1,2", "1,0,1,3"), "give outputs={2: ..., 3: ...}, or outputs=1"),
        (("ID,TIME,AMT,CMT", "1,0,1,-2"), "a dose into compartment -2; compartments count from 1"),
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
