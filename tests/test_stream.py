"""Streams: kills lose nothing and repeat nothing, refusals are explained, and a ward's twin is that of its messages."""

import datetime
import json
import random
import signal
import subprocess
import sys

import numpy as np
import pytest
from typer.testing import CliRunner

import twinjax as tj
from twinjax.cli import app
from twinjax.io.fhir import Codes, bundled, forecast_bundle
from twinjax.io.messages import Clock, output_units
from twinjax.models import OneCompartment
from twinjax.stream import Ledger, Ward
from twinjax.stream import ledger as ledger_module

DRUG = tj.Population(
    OneCompartment(cl=3.0, v=40.0), variability={"cl": 0.4, "v": 0.25},
    covariates={"cl": tj.Power("weight", 70.0, 0.75)}, residual=tj.Combined(0.05, 0.15),
)  # fmt: skip
EPOCH = datetime.datetime(2026, 1, 2, 8, tzinfo=datetime.UTC)
NOW = EPOCH + datetime.timedelta(hours=40)
CODES = Codes({"20578-1": "plasma"}, {"29463-7": ("weight", "kg")}, {"11124": "central"})

CHILD = """
import importlib.util, sys, time
spec = importlib.util.spec_from_file_location("ledger", sys.argv[1])
ledger = importlib.util.module_from_spec(spec)
sys.modules["ledger"] = ledger
spec.loader.exec_module(ledger)
book = ledger.Ledger(sys.argv[2])
for i in range(int(sys.argv[3])):
    def change(state, i=i):
        time.sleep(0.002)
        return {"total": state["total"] + i, "seen": state["seen"] + [i]}
    book.apply(f"m{i}", "p", {"number": i}, change)
"""


def test_kills_at_any_moment_lose_nothing_and_repeat_nothing(tmp_path):
    """A process that applies 120 messages from the first is killed again and again; each leaves its trace once."""
    file, many, rng = tmp_path / "book.sqlite", 120, random.Random(4)
    Ledger(file).begin("p", {"total": 0, "seen": []})
    command = [sys.executable, "-S", "-c", CHILD, ledger_module.__file__, str(file), str(many)]
    kills = 0
    for turn in range(200):
        child = subprocess.Popen(command)
        try:
            child.wait(timeout=1e3 if turn >= 30 else rng.uniform(0.02, 0.4))
        except subprocess.TimeoutExpired:
            child.send_signal(signal.SIGKILL)
            child.wait()
            kills += 1
            continue
        assert child.returncode == 0
        if turn >= 30:
            break
    assert kills >= 5
    book = Ledger(file)
    assert book.state("p") == {"total": sum(range(many)), "seen": list(range(many))}
    assert [m["id"] for m in book.messages()] == [f"m{i}" for i in range(many)]
    assert [m["version"] for m in book.messages()] == list(range(1, many + 1))
    assert book._connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def message(id, **more):
    return {"id": id, "patient": "P1", **more}


GOOD = [
    message("d", time=0.0, doses=[{"amount": 200000, "unit": "ug", "every": 12, "count": 4}]),
    message("a", at="2026-01-02T11:00:00+01:00", measurements=[{"output": "plasma", "value": 0.41, "unit": "mg/dL"}]),
    message(
        "b", time=26.0, measurements=[{"value": 6.5}, {"value": 0.3, "unit": "ug/mL", "time": 1000.0, "below": True}]
    ),
]


@pytest.fixture(scope="module")
def ward(tmp_path_factory):
    """With one patient, who has had the good messages: tests come in any order, on any worker."""
    ward = Ward(tmp_path_factory.mktemp("ward") / "ward.sqlite", DRUG, codes=CODES)
    ward.admit("P1", covariates={"weight": 70.0}, epoch=EPOCH)
    for m in GOOD:
        assert ward.receive(json.dumps(m), now=NOW)[0].status == "applied"
    yield ward
    ward.close()


def test_a_ward_learns_each_message_once(tmp_path):
    ward = Ward(tmp_path / "ward.sqlite", DRUG, codes=CODES)
    ward.admit("P1", covariates={"weight": 70.0}, epoch=EPOCH)
    for m in GOOD:
        assert ward.receive(json.dumps(m), now=NOW)[0].status == "applied"
    own = tj.Twin.of(DRUG, id="P1", covariates={"weight": 70.0}, doses=tj.Regimen.repeat(200, every=12, count=4))
    own = tj.assimilate(own, tj.Measurements.of([2.0], [4.1]))
    own = tj.assimilate(own, tj.Measurements([26.0, 1000.0], [6.5, 0.3], (1, 1), [0, 1]))
    twin = ward.twin("P1")
    np.testing.assert_allclose(twin.belief.mean, own.belief.mean, atol=1e-7)
    assert [e["news"]["source"] for e in twin.trail[1:]] == ["d", "a", "b"]
    again = ward.receive(json.dumps(GOOD[1]), now=NOW)[0]
    assert again.status == "duplicate"
    assert "nothing was done" in again.why
    assert ward.twin("P1").hash == twin.hash
    other = Ward(ward.ledger.file, DRUG)  # as after a restart
    assert other.twin("P1").hash == twin.hash
    assert other.codes == CODES
    other.close()
    with pytest.raises(ValueError, match="another population"):
        Ward(ward.ledger.file, DRUG.with_theta({"cl": 3.5}))
    with pytest.raises(ValueError, match="has a twin already"):
        ward.admit("P1", covariates={"weight": 70.0})
    ward.close()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{", "no JSON"),
        ("[1]", "a message is a JSON object"),
        (json.dumps({"patient": "P1"}), "no 'id'"),
        (json.dumps(message("x")), "says nothing"),
        (json.dumps(message("x", time=1.0, measurments=[])), "did you mean 'measurements'"),
        (json.dumps({**GOOD[1], "measurements": [{"value": 9.0}]}), "its content differs"),
        (json.dumps({"id": "x", "patient": "P2", "time": 1.0, "measurements": [{"value": 1.0}]}), "no twin of patient 'P2'"),
        (json.dumps(message("x", time=1.0, measurements=[{"value": 1.0, "unit": "umol/L"}])), "does not convert to the model's mg/L"),
        (json.dumps(message("x", time=1.0, measurements=[{"value": "high"}])), "no finite number"),
        (json.dumps(message("x", measurements=[{"value": 1.0}])), "has no time"),
        (json.dumps(message("x", at="2026-01-05T00:00:00Z", measurements=[{"value": 1.0}])), "ahead of this clock"),
        (json.dumps(message("x", at="2026-01-02T09:00:00", measurements=[{"value": 1.0}])), "has no zone"),
        (json.dumps(message("x", at="2026-01-02T07:00:00Z", measurements=[{"value": 1.0}])), "before 0, where the history begins"),
        (json.dumps(message("x", time=1.0, measurements=[{"output": "serum", "value": 1.0}])), "there is no output"),
        (json.dumps(message("x", time=1.0, doses=[{"amount": -5}])), "a dose is above zero"),
    ],
)  # fmt: skip
def test_refusals_are_explained_and_change_nothing(ward, text, why):
    before = ward.ledger.state("P1")["twin"]["trail"]
    outcome = ward.receive(text, now=NOW)[0]
    assert outcome.status == "refused"
    assert why in outcome.why
    assert ward.ledger.refusals()[-1]["why"] == outcome.why
    assert ward.ledger.state("P1")["twin"]["trail"] == before


def quantity(value, unit):
    return {"value": value, "unit": unit, "system": "http://unitsofmeasure.org", "code": unit}


def observation(id, code, value, unit, when="2026-01-03T10:00:00Z", **more):
    return {"resource": {
        "resourceType": "Observation", "id": id, "status": "final", "subject": {"reference": "Patient/P1"},
        "code": {"coding": [{"system": "http://loinc.org", "code": code}]}, "effectiveDateTime": when,
        "valueQuantity": {**quantity(value, unit), **more}}}  # fmt: skip


def test_a_bundle_of_fhir(ward):
    given = {"resource": {
        "resourceType": "MedicationAdministration", "id": "m1", "status": "completed",
        "subject": {"reference": "Patient/P1"}, "medicationCodeableConcept": {"coding": [{"code": "11124"}]},
        "effectivePeriod": {"start": "2026-01-04T08:00:00Z", "end": "2026-01-04T09:00:00Z"},
        "dosage": {"dose": quantity(0.2, "g")}}}  # fmt: skip
    wrong = observation("o9", "20578-1", 4.4, "mg/L")
    wrong["resource"]["status"] = "entered-in-error"
    entries = [
        {"resource": {"resourceType": "Patient", "id": "P1"}},
        observation("o1", "20578-1", 4.4, "ug/mL"),
        observation("o2", "20578-1", 0.2, "mg/L", comparator="<", when="2026-01-08T08:00:00Z"),
        given,
        observation("o1", "20578-1", 4.4, "ug/mL"),
        observation("o1", "20578-1", 4.5, "ug/mL"),
        wrong,
        observation("o4", "718-7", 14.0, "g/dL"),
        {"resource": {"resourceType": "Condition", "id": "c"}},
        {"fullUrl": "urn:uuid:1"},
        {"resource": {"resourceType": "Observation", "id": "o5", "status": "final"}},
    ]
    later = NOW + datetime.timedelta(days=10)
    found = ward.receive(json.dumps({"resourceType": "Bundle", "type": "message", "entry": entries}), now=later)
    assert [o.status for o in found] == ["applied"] * 3 + ["duplicate"] + ["refused"] * 6
    reasons = ["content differs", "'entered-in-error'", "means nothing here", "Condition is not read", "no resource with",
               "no subject.reference"]  # fmt: skip
    assert all(r in o.why for r, o in zip(reasons, found[4:], strict=True))
    twin = ward.twin("P1")
    m = twin.history.measurements
    at = list(m.time).index(26.0 + 0.0)
    assert (m.time[at + 1], m.value[at + 1]) == (26.0, 4.4)
    assert m.censored[list(m.time).index(144.0)] == 1
    weighed = next(bundled(observation("o3", "29463-7", 72000, "g")["resource"], CODES))
    assert weighed == {
        "id": "Observation/o3",
        "patient": "P1",
        "at": "2026-01-03T10:00:00Z",
        "covariates": {"weight": 72.0},
    }
    assert (float(twin.history.doses.time[-1]), float(twin.history.doses.amount[-1])) == (48.0, 200.0)
    assert float(twin.history.doses.rate[-1]) == 200.0
    ahead = tj.forecast(twin, twin.now + np.array([1.0, 2.0]))
    out = forecast_bundle(ahead.table, CODES, output_units(DRUG.model), patient="P1", epoch=EPOCH, made=twin.hash)
    first = out["entry"][0]["resource"]
    assert first["valueQuantity"]["code"] == "mg/L"
    assert first["valueQuantity"]["value"] == pytest.approx(ahead.table["median"][0])
    assert datetime.datetime.fromisoformat(first["effectiveDateTime"]) == EPOCH + datetime.timedelta(hours=twin.now + 1)
    assert len({e["resource"]["id"] for e in out["entry"]}) == 2
    assert all(len(e["resource"]["id"]) <= 64 for e in out["entry"])  # FHIR's limit


def without(entry, *names):
    return {"resource": {k: v for k, v in entry["resource"].items() if k not in names}}


def changed(entry, **more):
    return {"resource": {**entry["resource"], **more}}


GIVEN = {"resource": {
    "resourceType": "MedicationAdministration", "id": "f2", "status": "completed",
    "subject": {"reference": "Patient/P1"}, "medicationCodeableConcept": {"coding": [{"code": "11124"}]},
    "effectiveDateTime": "2026-01-03T08:00:00Z", "dosage": {"dose": quantity(200, "mg")}}}  # fmt: skip
MEASURED = observation("f1", "20578-1", 4.4, "mg/L")


@pytest.mark.parametrize(
    ("entry", "why"),
    [
        # units
        (observation("f1", "20578-1", 4.4, "umol/L"), "does not convert to the model's mg/L"),
        (observation("f1", "20578-1", 4.4, "mg"), "does not convert to the model's mg/L"),
        (observation("f1", "29463-7", 70.0, "mg/L"), "does not convert to the model's kg"),
        (observation("f1", "20578-1", 4.4, "mg/L", system="http://example.org/units"), "send UCUM"),
        (changed(MEASURED, valueQuantity={"value": 4.4}), "has no unit"),
        (changed(GIVEN, dosage={"dose": quantity(200, "umol")}), "does not convert to the model's mg"),
        (changed(GIVEN, dosage={"dose": quantity(1, "{tablet}")}), "does not convert to the model's mg"),
        # clocks
        (observation("f1", "20578-1", 4.4, "mg/L", when="2026-01-04T00:06:00Z"), "ahead of this clock, is the sender's"),
        (observation("f1", "20578-1", 4.4, "mg/L", when="2026-01-04T01:30:00+01:00"), "ahead of this clock"),
        (observation("f1", "20578-1", 4.4, "mg/L", when="2026-01-03"), "has no zone"),
        (observation("f1", "20578-1", 4.4, "mg/L", when="2026-01-03T10:00:00"), "has no zone"),
        (observation("f1", "20578-1", 4.4, "mg/L", when="yesterday"), "no date and time"),
        (observation("f1", "20578-1", 4.4, "mg/L", when="1999-01-03T10:00:00Z"), "where the history begins"),
        (changed(GIVEN, effectivePeriod={"start": "2026-01-03T09:00:00Z", "end": "2026-01-03T08:00:00Z"}), "ends before"),
        # malformed
        (without(MEASURED, "id"), "has no id"),
        (without(MEASURED, "subject"), "no subject.reference"),
        (without(MEASURED, "effectiveDateTime"), "no effectiveDateTime"),
        (without(MEASURED, "valueQuantity"), "no valueQuantity"),
        (without(MEASURED, "code"), "means nothing here"),
        (changed(MEASURED, subject=[1]), "it is malformed"),
        (changed(MEASURED, valueQuantity=quantity("4,4", "mg/L")), "no finite number"),
        (changed(MEASURED, valueQuantity={**quantity(4.4, "mg/L"), "comparator": "~"}), "none of <, <=, >, >="),
        (changed(MEASURED, status="amended"), "not taken back"),
        (changed(MEASURED, subject={"reference": "Patient/P9"}), "no twin of patient 'P9'"),
        (changed(GIVEN, status="in-progress"), "only completed ones"),
        (without(GIVEN, "dosage"), "no dosage.dose"),
        (changed(GIVEN, dosage={"dose": quantity(-200, "mg")}), "a dose is above zero"),
        ({"resource": {"resourceType": "Bundle", "entry": []}}, "Bundle is not read here"),
    ],
)  # fmt: skip
def test_faulty_fhir_is_explained_and_changes_nothing(ward, entry, why):
    """The clock of these is 2026-01-04T00:00Z; one ahead by up to five minutes is taken to be right."""
    before = ward.ledger.state("P1"), len(ward.ledger.messages())
    (outcome,) = ward.receive(json.dumps({"resourceType": "Bundle", "type": "message", "entry": [entry]}), now=NOW)
    assert outcome.status == "refused"
    assert all(part in outcome.why for part in why.split(", is the "))
    assert ward.ledger.refusals()[-1]["why"] == outcome.why
    assert (ward.ledger.state("P1"), len(ward.ledger.messages())) == before


@pytest.mark.parametrize(("bundle", "why"), [
    ({"resourceType": "Bundle", "entry": {"resource": 1}}, "entry is not a list"),
    ({"resourceType": "Bundle", "entry": [1]}, "entry 1 of the bundle has no resource"),
    ({"resourceType": ["Bundle"]}, "is not read here"),
])  # fmt: skip
def test_a_bundle_that_is_none_is_explained(ward, bundle, why):
    (outcome,) = ward.receive(json.dumps(bundle), now=NOW)
    assert outcome.status == "refused"
    assert why in outcome.why


def test_what_could_not_be_learnt_is_said_until_it_is(tmp_path):
    """A value that no particle explains is on record, and the messages after it are learnt."""
    own = tj.Population(OneCompartment(cl=3.0, v=40.0), variability={"cl": 0.4}, fixed=["v"], residual=tj.Additive(0.5))
    ward = Ward(tmp_path / "ward.sqlite", own, method=tj.ParticleFilter(particles=50, moves=1))
    ward.admit("P", doses=tj.Regimen.dose(200.0), now=NOW)

    def sent(id, time, value):
        message = {"id": id, "patient": "P", "time": time, "measurements": [{"value": value}]}
        (outcome,) = ward.receive(json.dumps(message), now=NOW)
        return outcome.status, outcome.why

    assert sent("a", 1.0, 4.6) == ("applied", "")
    status, why = sent("b", 2.0, 1e200)
    assert status == "applied"
    assert why.startswith("1e+200 at 2 is on record and not in the belief: no particle explains it")
    ward.close()
    ward = Ward(tmp_path / "ward.sqlite", own, method=tj.ParticleFilter(particles=50, moves=1))  # from its file
    assert sent("c", 3.0, 4.0) == ("applied", why)
    assert ward.twin("P").trail[-1]["settled"]
    assert sent("b", 2.0, 1e200)[0] == "duplicate"
    ward.close()


def test_a_clock_may_be_a_little_ahead():
    at = {"at": (NOW + datetime.timedelta(minutes=4)).isoformat()}
    assert Clock(EPOCH, NOW).hours(at, {}, "x") == pytest.approx(40.0 + 4.0 / 60.0)
    late = {"at": (NOW + datetime.timedelta(minutes=6)).isoformat()}
    with pytest.raises(ValueError, match="ahead of this clock"):
        Clock(EPOCH, NOW).hours(late, {}, "x")
    assert Clock(EPOCH, NOW).hours(late, {}, "x", planned=True) > 40.0  # a dose may be planned


def test_a_kill_between_two_resources_of_a_bundle_is_no_trouble(tmp_path):
    """Each resource is a transaction of its own: the bundle sent again applies the rest, and nothing twice."""
    book = Ledger(tmp_path / "book.sqlite")
    book.begin("p", {"seen": []})

    def change(k):
        return lambda state: {"seen": state["seen"] + [k]}

    assert book.apply("Observation/0", "p", {"k": 0}, change(0)).status == "applied"
    book.close()  # killed here
    book = Ledger(tmp_path / "book.sqlite")
    said = [book.apply(f"Observation/{k}", "p", {"k": k}, change(k)).status for k in range(3)]
    assert said == ["duplicate", "applied", "applied"]
    assert book.state("p") == {"seen": [0, 1, 2]}


def test_the_command_line(tmp_path, monkeypatch):
    """From a study that ships to a recommended dose."""
    monkeypatch.setenv("TWINJAX_CACHE", "off")
    store, run = str(tmp_path / "ward.sqlite"), CliRunner().invoke

    def said(*arguments, status=0, **more):
        found = run(app, ["twin", *arguments], **more)
        assert found.exit_code == status, found.output
        return found.stdout

    said(
        "init", store, "P1", "--source", "theophylline", "--epoch", "2026-01-02T08:00:00Z", "--output", "4049-3=plasma"
    )
    lines = tmp_path / "labs.jsonl"
    lines.write_text("\n".join(json.dumps(m) for m in [
        message("d", time=0.0, doses=[{"amount": 320}]),
        message("a", time=1.0, measurements=[{"value": 7.0}]), message("b", time=9.0, measurements=[{"value": 6.0}]),
    ]))  # fmt: skip
    assert said("update", store, str(lines)).splitlines() == [f"applied: {i} of P1" for i in "dab"]
    assert (
        said(
            "update",
            store,
            "-",
            status=1,
            input="{\n" + json.dumps(message("a", time=1.0, measurements=[{"value": 7.0}])) + "\n",
        ).count("\n")
        == 2
    )
    ahead = json.loads(said("forecast", store, "P1", "--horizon", "24", "--json"))
    assert ahead["rows"][0]["time"] == 9.0
    assert ahead["rows"][0]["lower"] < 6.0 < ahead["rows"][0]["upper"]
    bundle = json.loads(said("forecast", store, "P1", "--horizon", "24", "--fhir"))
    assert bundle["entry"][0]["resource"]["effectiveDateTime"] == "2026-01-02T17:00:00+00:00"
    best = json.loads(said(
        "recommend", store, "P1", "--output", "plasma", "--lower", "8", "--upper", "12", "--until", "60", "--start", "12",
        "--every", "12", "--tablets", "50,100,200", "--json",
    ))["candidates"][0]  # fmt: skip
    assert 8.0 < best["quantity1"] < 12.0
    said("forecast", store, "P9", status=2)
    said("init", store, "P2", "--source", "elsewhere", status=2)
