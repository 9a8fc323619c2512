"""The page of one patient: who may ask, what is answered, and what a browser shows."""

import datetime
import http.client
import json
import shutil
import socket
import ssl
import subprocess
import threading

import jax
import jax.monitoring
import numpy as np
import pytest
from browser import CHROMIUM, Browser
from typer.testing import CliRunner

import twinjax as tj
from twinjax.assimilation.forecast import altered
from twinjax.assimilation.recommend import _cut, _rows
from twinjax.cli import app
from twinjax.models import OneCompartment
from twinjax.page import Desk, Gate, Page
from twinjax.page.asked import question
from twinjax.page.due import still_to_come
from twinjax.page.shown import POINTS, grid, plain, plan_of
from twinjax.stream import Ward

DRUG = tj.Population(
    OneCompartment(cl=3.0, v=40.0), variability={"cl": 0.4}, fixed=["v"], residual=tj.Proportional(0.15)
)  # fmt: skip
EPOCH = datetime.datetime(2026, 1, 2, 8, tzinfo=datetime.UTC)
NOW = EPOCH + datetime.timedelta(hours=40)
TOKEN = "correct-horse-battery-staple"
TARGET = {"lower": 4.0, "upper": 8.0, "until": 60.0, "start": 30.0, "every": [12.0], "tablets": [50, 100]}


def begun(file):
    ward = Ward(file, DRUG, method=tj.ExtendedKalman())
    if not ward.ledger.patients:
        ward.admit("Anna <b>", epoch=EPOCH, now=NOW)
        for m in (
            {"id": "d", "time": 0.0, "doses": [{"amount": 200, "every": 12, "count": 5}]},
            {"id": "a", "time": 2.0, "measurements": [{"value": 4.1}]},
            {"id": "b", "time": 26.0, "measurements": [{"value": 6.5}]},
            {"id": "c", "time": 26.0, "measurements": [{"value": 6.5, "unit": "umol/L"}]},
        ):
            ward.receive(json.dumps({**m, "patient": "Anna <b>"}), now=NOW)
    return Desk(ward, "Anna <b>", draws=40, clock=lambda: NOW - datetime.timedelta(hours=20))


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    return tmp_path_factory.mktemp("page") / "ward.sqlite"


def running(file, gate, **files):
    page = Page(lambda: begun(file), gate, 0, **files)
    thread = threading.Thread(target=page.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    return page, thread


@pytest.fixture(scope="module")
def page(file):
    page, thread = running(file, Gate("127.0.0.1"))
    yield page
    page.shutdown()
    page.server_close()
    thread.join()


def asked(page, path, body=None, **headers):
    """Status, headers and JSON of an answer."""
    connection = http.client.HTTPConnection("127.0.0.1", page.server_address[1], timeout=120)
    if body is not None:
        headers = {"Content-Type": "application/json"} | headers
        body = body if isinstance(body, str) else json.dumps(body)
    connection.request("GET" if body is None else "POST", path, body, headers)
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.status, answer.headers, json.loads(text) if "json" in answer.headers["Content-Type"] else text


# -------------------------------------------------------------------------------------------------------- who may ask


def test_an_address_beyond_this_computer_needs_a_token():
    for host in ("0.0.0.0", "192.0.2.7", "::", "ward.example"):
        with pytest.raises(ValueError, match="set TWINJAX_TOKEN to a secret of 16"):
            Gate(host)
        with pytest.raises(ValueError, match="take 16 or more"):
            Gate(host, "secret")
        Gate(host, TOKEN)
    for host in ("127.0.0.1", "::1", "localhost", "127.0.0.5"):
        assert Gate(host).lets_in({})


def test_the_command_refuses_before_it_opens_anything(tmp_path, monkeypatch):
    for token in ("", "secret"):
        monkeypatch.setenv("TWINJAX_TOKEN", token)
        found = CliRunner().invoke(app, ["twin", "serve", str(tmp_path / "none.sqlite"), "P1", "--host", "0.0.0.0"])
        assert found.exit_code == 2
        assert "take 16 or more" in found.stderr or "can be reached from other computers" in found.stderr
    assert not list(tmp_path.iterdir())


def test_what_a_gate_says_and_takes(tmp_path):
    assert TOKEN not in repr(Gate("127.0.0.1", TOKEN))
    with pytest.raises(ValueError, match="leave --name out"):
        Gate("127.0.0.1", None, ("ward.example",))
    wide = Gate("Ward.Example", TOKEN, ("Clinic.Example",))
    assert wide.known_host("ward.example:8765")
    assert wide.known_host("clinic.example:8765")
    with pytest.raises(ValueError, match="give both"):  # and not plain HTTP
        Page(lambda: pytest.fail("opened"), Gate("127.0.0.1"), 0, key=tmp_path / "key.pem")


def test_another_name_that_leads_here_is_not_answered():
    local, wide = Gate("127.0.0.1"), Gate("0.0.0.0", TOKEN, ("ward.example",))
    for said in ("127.0.0.1:8765", "localhost:8765", "[::1]:8765", "LOCALHOST"):
        assert local.known_host(said), said
    for said in (
        "evil.example:8765",
        "192.0.2.7:8765",
        "127.0.0.1.evil.example",
        "",
        None,
        "[::1",
        "localhost.evil.example",
    ):
        assert not local.known_host(said), said
    assert wide.known_host("ward.example:8765")
    assert wide.known_host("192.0.2.7:8765")
    assert not wide.known_host("evil.example:8765")


def test_only_the_page_itself_may_ask(page):
    port = page.server_address[1]
    assert asked(page, "/api/hash", Host="evil.example")[0] == 421
    body = {"doses": []}
    assert asked(page, "/api/what-if", body, Origin="https://evil.example")[0] == 403
    assert asked(page, "/api/what-if", body, **{"Sec-Fetch-Site": "cross-site"})[0] == 403
    assert asked(page, "/api/what-if", body, **{"Content-Type": "text/plain"})[0] == 415
    assert asked(page, "/api/what-if", "{" + " " * 70_000)[0] == 413
    assert asked(page, "/api/what-if", "[1]")[2] == {"error": "a question is a JSON object"}
    assert "no JSON" in asked(page, "/api/what-if", "{")[2]["error"]
    assert "brackets" in asked(page, "/api/what-if", "[" * 60_000)[2]["error"]
    assert asked(page, "/api/what-if", "", **{"Content-Length": "\xb2"})[0] == 411
    assert asked(page, "/api/what-if", body, Origin="http://[")[0] == 403
    assert asked(page, "/../pyproject.toml")[0] == asked(page, "/api/else")[0] == asked(page, "/api/else", {})[0] == 404
    status, headers, found = asked(page, "/api/what-if", body, Origin=f"http://127.0.0.1:{port}")
    assert (status, found["doses"]) == (200, [])
    assert "default-src 'none'; script-src 'self'" in headers["Content-Security-Policy"]
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert (headers["X-Content-Type-Options"], headers["Cache-Control"]) == ("nosniff", "no-store")


def test_a_token_is_asked_for_and_becomes_a_cookie(file, monkeypatch):
    monkeypatch.setattr("twinjax.page.server.time.sleep", lambda _: None)  # a wrong one costs a second
    page, thread = running(file, Gate("127.0.0.1", TOKEN))
    try:
        text = asked(page, "/")[2]
        assert "asks for the token" in text
        assert "Anna" not in text
        assert asked(page, "/api/hash")[0] == 401
        assert asked(page, "/api/what-if", {"doses": []})[0] == 401
        wrong = asked(page, "/token", {"token": TOKEN + "r"})
        assert (wrong[0], wrong[2], wrong[1]["Set-Cookie"]) == (401, {"error": "this is not the token"}, None)
        assert asked(page, "/api/hash", Authorization="Bearer " + TOKEN[:-1])[0] == 401
        assert asked(page, "/api/hash", Cookie=f"twinjax_{page.server_address[1]}=" + "0" * 64)[0] == 401
        assert asked(page, "/api/hash?token=" + TOKEN)[0] == 401
        assert asked(page, "/api/hash", Authorization="Bearer " + TOKEN)[0] == 200
        cookie = asked(page, "/token", {"token": TOKEN})[1]["Set-Cookie"]
        assert TOKEN not in cookie
        assert {"HttpOnly", "SameSite=Strict"} <= set(cookie.split("; "))
        assert asked(page, "/api/hash", Cookie=cookie.partition(";")[0])[0] == 200
        # another page's on another port, and an application's that no parser takes
        others = "twinjax_1=" + "0" * 64 + '; {"a b": [1]}="; '
        assert asked(page, "/api/hash", Cookie=others + cookie.partition(";")[0])[0] == 200
        assert asked(page, "/token", '{"token": "\\ud800"}')[0] == 401
        assert "To the forecast" in asked(page, "/", Cookie=cookie.partition(";")[0])[2]
    finally:
        page.shutdown()
        page.server_close()
        thread.join()


@pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl here, by which a certificate could be made")
def test_https_by_a_certificate_of_its_own(file, tmp_path):
    """The token and the page over TLS, to one who trusts the certificate; nothing to others, to plain HTTP, and to one
    who connects and says nothing, for whom nobody waits.
    """
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate],
        check=True, capture_output=True,
    )  # fmt: skip
    page, thread = running(file, Gate("127.0.0.1", TOKEN), certificate=certificate, key=key)
    port = page.server_address[1]
    trusting = ssl.create_default_context(cafile=certificate)

    def answer(context, method="GET", path="/api/hash", **more):
        connection = http.client.HTTPSConnection("127.0.0.1", port, context=context, timeout=60)
        connection.request(method, path, **more)
        found = connection.getresponse()
        found.read()
        connection.close()
        return found

    try:
        assert page.url == f"https://127.0.0.1:{port}/"
        with socket.create_connection(("127.0.0.1", port)):  # says nothing
            assert answer(trusting).status == 401
            body = json.dumps({"token": TOKEN})
            found = answer(trusting, "POST", "/token", body=body, headers={"Content-Type": "application/json"})
            cookie = found.headers["Set-Cookie"]
            assert "Secure" in cookie.split("; ")
            assert answer(trusting, headers={"Cookie": cookie.partition(";")[0]}).status == 200
        with pytest.raises(ssl.SSLCertVerificationError):
            answer(ssl.create_default_context())
        with pytest.raises((http.client.HTTPException, OSError)):
            asked(page, "/api/hash")
        assert answer(trusting).status == 401  # it is there still
    finally:
        page.shutdown()
        page.server_close()
        thread.join()
    for files, why in (({"certificate": key}, "cannot be used"), ({"key": key}, "that is not given")):
        with pytest.raises(ValueError, match=why):
            Page(lambda: begun(file), Gate("127.0.0.1"), 0, **files)


# ---------------------------------------------------------------------------------------------------- what is answered


def test_the_view_is_that_of_the_twin(page):
    status, _, view = asked(page, "/api/view")
    assert status == 200
    twin = page.ask(lambda desk: desk.twin)
    assert (view["patient"], view["hash"], view["now"], view["time_unit"]) == ("Anna <b>", twin.hash, 26.0, "h")
    assert [(m["time"], m["value"], m["kind"]) for m in view["measurements"]] == [
        (2.0, 4.1, "measured"), (26.0, 6.5, "measured"),
    ]  # fmt: skip
    assert view["plan"] == [
        {"time": 36.0, "amount": 200.0, "into": "central", "duration": None, "every": 12.0, "count": 2}
    ]
    assert [a["source"] for a in view["audit"]] == ["", "d", "a", "b"]
    assert [a["hash"] for a in view["audit"]] == [e["hash"] for e in twin.trail]
    assert "does not convert" in view["refusals"][0]["why"]
    ahead = tj.forecast(twin, np.asarray(view["forecast"]["time"]), draws=40)
    # the page's numbers have seven digits
    np.testing.assert_allclose(view["forecast"]["outputs"]["plasma"]["median"], ahead.band()[1], rtol=1e-5, atol=1e-9)


def test_other_doses_are_those_of_what_if(page):
    doses = [{"amount": 0.4, "unit": "g", "time": 30, "every": 12, "count": 3}]
    status, _, found = asked(page, "/api/what-if", {"doses": doses})
    assert status == 200
    assert [(d["time"], d["amount"]) for d in found["doses"]] == [(30.0, 400.0), (42.0, 400.0), (54.0, 400.0)]
    twin = page.ask(lambda desk: desk.twin)
    own = tj.what_if(twin, tj.Regimen.repeat(400, every=12, count=3, at=30.0), np.asarray(found["time"]), draws=40)
    np.testing.assert_allclose(found["outputs"]["plasma"]["upper"], own.band()[2], rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize(
    ("path", "question", "why"),
    [
        ("what-if", {"doses": [{"amount": "abc", "time": 30}]}, "amount of dose 1 is 'abc', which is no finite number"),
        ("what-if", {"doses": [{"time": 30}]}, "amount of dose 1 is None"),
        ("what-if", {"doses": [{"amount": 1, "time": 30}, {"amount": 1, "time": 3}]}, "dose 2 is at 3, which is in the past"),
        ("what-if", {"doses": [{"amount": 1}]}, "dose 1 has no time"),
        ("what-if", {"doses": [{"amount": 1, "time": 30, "into": "centrl"}]}, "did you mean 'central'"),
        ("what-if", {"doses": [{"amount": 1, "time": 30, "drug": "x"}]}, "no key 'drug'"),
        ("what-if", {"doses": [{"amount": 1, "time": 30, "unit": "umol"}]}, "does not convert to the model's mg"),
        ("what-if", {"doses": [{"amount": 0, "time": 30}]}, "a dose is above zero"),
        ("what-if", {"doses": [{"amount": 1, "time": 30, "count": 3}]}, "every how long?"),
        ("what-if", {"doses": [{"amount": 1, "time": 30, "count": 1e6, "every": 1}]}, "whole number from 1 to 60"),
        ("what-if", {"doses": [{"amount": 1, "time": 1e6}]}, "more than 400 days ahead"),
        ("what-if", {"doses": [{"amount": 1e308, "time": 30, "count": 3, "every": 1}]}, "could not be solved"),
        ("what-if", {"doses": 3}, "doses are a list"),
        ("what-if", {}, "doses are a list"),
        ("recommend", {**TARGET, "lower": None}, "the target's lower end is missing"),
        ("recommend", {**TARGET, "lower": "low"}, "'low', which is no number"),
        ("recommend", {**TARGET, "upper": 1}, "its lower end comes first"),
        ("recommend", {**TARGET, "output": "serum"}, "there is no output"),
        ("recommend", {**TARGET, "until": 20}, "give an end after the start"),
        ("recommend", {**TARGET, "start": 20}, "in the past"),
        ("recommend", {**TARGET, "tablets": ["x"]}, "give numbers with commas between"),
        ("recommend", {**TARGET, "risk": 10}, "a probability from 0 to 1"),
        ("recommend", {**TARGET, "tablets": [0, 5]}, "each is above zero"),
        ("recommend", {**TARGET, "most": 11}, "whole number from 1 to 10"),
        ("recommend", {**TARGET, "every": [1], "until": 600}, "more than 240 doses"),
        ("recommend", {**TARGET, "tablet": [1]}, "did you mean 'tablets'"),
    ],
)  # fmt: skip
def test_what_cannot_be_answered_is_said_in_words(page, path, question, why):
    status, _, found = asked(page, f"/api/{path}", question)
    assert status == 400
    assert why in found["error"]


def test_candidates_reach_the_target(page):
    status, _, found = asked(page, "/api/recommend", {**TARGET, "peak": 14.0})
    assert status == 200, found
    assert found["acceptable"]
    best = found["candidates"][0]
    assert 4.0 < best["quantity"] < 8.0
    assert best["doses"][0]["time"] == 30.0
    assert sum(t["strength"] * t["count"] for t in best["tablets"]) == best["amounts"][0] == best["doses"][0]["amount"]
    order = [(c["toxicity"] > found["risk"], -c["both"]) for c in found["candidates"]]
    assert order == sorted(order)
    assert len(best["forecast"]["time"]) == POINTS


def test_schedules_are_judged_by_their_own_last_interval(page):
    """A 12-hourly one is not judged by hours in which it is given no more."""
    found = asked(page, "/api/recommend", {**TARGET, "every": [12, 24], "quantity": "lowest"})[2]["candidates"]
    assert {c["every"] for c in found} == {12.0, 24.0}
    for c in found:
        trough = 54.0 + c["every"]  # the last doses are at 54: of 30, 42, 54 and of 30, 54
        f = c["forecast"]
        # other draws of as many: three standard errors of the difference of two medians of 40 where cl is unsure by
        # 0.2; 12 h later it is 2.5 times lower
        own = np.interp(trough, f["time"], f["outputs"]["plasma"]["median"])
        assert c["quantity"] == pytest.approx(own, rel=3 * 0.2 * 1.25 * np.sqrt(2 / 40))


def test_a_candidate_from_now_on_keeps_all_its_doses(page):
    """Beside the plan it is the same as it was judged, that at the latest measurement included."""
    target = {**TARGET, "start": None}
    c = asked(page, "/api/recommend", target)[2]["candidates"][0]
    assert (c["start"], c["doses"][0]["time"], c["doses"][0]["count"]) == (26.0, 26.0, 3)
    beside = asked(page, "/api/what-if", {"doses": c["doses"]})[2]
    assert [d["time"] for d in beside["doses"]] == [26.0, 38.0, 50.0]
    at = 49.0, 58.0  # of both grids
    one, two = (np.interp(at, f["time"], f["outputs"]["plasma"]["median"]) for f in (c["forecast"], beside))
    np.testing.assert_allclose(one, two, rtol=0.01)  # straight lines between times 1.5 h apart


def test_a_dose_on_record_at_the_latest_measurement_stays():
    twin = tj.Twin.of(DRUG, doses=tj.Regimen.repeat(300, every=12, count=3))  # the first is at 0, which is now
    target = {**TARGET, "start": None}
    assert question(target, twin, ["plasma"], ["central"], None).limits.start == 12.0
    limits = question({**target, "start": 0.0}, twin, ["plasma"], ["central"], None).limits
    doses = tj.Regimen.repeat(10, every=12, count=6)
    history = altered(twin, doses, _cut(twin, limits))
    assert history.doses.amount[:2].tolist() == [300.0, 10.0]
    assert _rows(history, 6, 2, 8).tolist() == [-1, 0, 1, 1, 1, 1, 1, -1]


def test_an_edit_compiles_nothing(page):
    """Other amounts, times and numbers of doses, up to eight with those given, other targets: one program each."""
    asked(page, "/api/what-if", {"doses": [{"amount": 10, "time": 30}]})
    asked(page, "/api/recommend", {**TARGET, "peak": 14.0})
    seen = []

    def listen(name, *_, **__):
        seen.append(name)

    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        jax.jit(lambda x: 3.25 * x + 1.5)(np.ones(3))
        assert [n for n in seen if "backend_compile" in n]  # what is new is heard
        seen.clear()
        asked(page, "/api/what-if", {"doses": [{"amount": 77, "time": 31.5, "every": 6, "count": 3}]})
        found = asked(page, "/api/recommend", {**TARGET, "start": 32.0, "until": 61.0, "lower": 4.2, "peak": 13.0})[2]
    finally:
        jax.monitoring.unregister_event_duration_listener(listen)
    assert found["lower"] == 4.2
    assert not [n for n in seen if "backend_compile" in n]


def test_a_newer_twin_is_seen(file, page):
    before = asked(page, "/api/hash")[2]["hash"]
    ward = Ward(file, DRUG, method=tj.ExtendedKalman())  # as another process does
    m = {"id": "e", "patient": "Anna <b>", "time": 26.5, "measurements": [{"value": 6.0}]}
    assert ward.receive(json.dumps(m), now=NOW)[0].status == "applied"
    ward.close()
    after = asked(page, "/api/hash")[2]["hash"]
    assert after != before
    assert asked(page, "/api/view")[2]["hash"] == after


def test_a_patient_who_is_not_there(file):
    closed = []

    class Closing(Ward):
        def close(self):
            closed.append(self)
            super().close()

    with pytest.raises(ValueError, match="there is no patient 'P9'; there are Anna"):
        Page(lambda: Desk.opened(lambda: Closing(file, DRUG, method=tj.ExtendedKalman()), "P9"), Gate("127.0.0.1"), 0)
    assert len(closed) == 1


def test_what_was_given_since_the_latest_measurement_stays(page):
    """The clock says 40 h: of doses at 24, 36 and 48 that at 36 was given, though nothing was measured since 26.5."""
    desk = page.ask(lambda desk: desk)
    before, desk.clock = desk.clock, lambda: NOW
    try:
        view = asked(page, "/api/view")[2]
        assert (view["begin"], view["now"] < 36.0) == (40.0, True)
        assert [(d["time"], d["count"]) for d in view["plan"]] == [(48.0, 1)]
        assert view["forecast"]["time"][-1] == 40.0 + view["horizon"]
        none = asked(page, "/api/what-if", {"doses": []})[2]
        seen = [np.interp(37.0, f["time"], f["outputs"]["plasma"]["median"]) for f in (view["forecast"], none)]
        assert seen[1] == pytest.approx(seen[0], rel=0.01)  # straight lines between times 1.5 h apart; without it 2.2
        assert "it is now 40" in asked(page, "/api/what-if", {"doses": [{"amount": 1, "time": 39}]})[2]["error"]
        desk.clock = lambda: NOW + datetime.timedelta(days=300)  # a record of the past
        assert asked(page, "/api/view")[2]["begin"] == view["now"]
    finally:
        desk.clock = before


def test_doses_that_came_due_while_the_page_was_open_are_no_error(page):
    """Read at 26.5 h, asked at 40: of doses at 36 and 48 the first is on record and given; one at 39 is not, one at 25
    was past already.
    """
    desk = page.ask(lambda desk: desk)
    before, desk.clock = desk.clock, lambda: NOW
    plan = {"time": 36, "amount": 200, "every": 12, "count": 2, "into": "central"}
    doses = [plan, {"time": 39, "amount": 50}, {"time": 50, "amount": 70}]
    try:
        status, _, found = asked(page, "/api/what-if", {"doses": doses, "begin": 26.5})
        assert status == 200, found
        assert found["kept"] == [{"time": 48.0, "count": 1}, None, {}]
        assert "200 at 36 has come due since the page was read: it counts as given" in found["passed"][0]
        assert "50 at 39" in found["passed"][1]
        assert "not on record" in found["passed"][1]
        now = asked(page, "/api/what-if", {"doses": [{**plan, "time": 48, "count": 1}, doses[2]]})[2]
        assert (now["kept"], now["passed"]) == ([], [])
        assert found["outputs"] == now["outputs"]
        for begin in (26.5, 40.0):  # a page that was read later never had it among those to come
            past = asked(page, "/api/what-if", {"doses": [{"time": 25, "amount": 1}], "begin": begin})
            assert (past[0], "in the past" in past[2]["error"]) == (400, True)
        gone = asked(page, "/api/what-if", {"doses": doses[1:2], "begin": 26.5})[2]
        assert (gone["doses"], gone["kept"]) == ([], [None])
        assert asked(page, "/api/what-if", {"doses": [], "begin": "x"})[0] == 400
        assert asked(page, "/api/hash")[2]["begin"] == 40.0
    finally:
        desk.clock = before


def test_what_came_due_is_what_is_on_record_and_no_more():
    """Of two doses where one is on record one was given; an infusion is not another that takes longer; what is on
    record and was not asked is said.
    """
    once = {"time": 8.0, "amount": 100.0, "into": "central", "duration": None}
    hour = {**once, "time": 9.0, "duration": 1.0}
    ask = {"time": 8.0, "amount": 100.0}

    def said(*doses, record=(once,)):
        left, kept, words = still_to_come([*doses], 7.0, 10.0, record, "central")
        assert left == [d for d in doses if d["time"] > 10.0]
        return kept, ["as planned" if "as it was planned" in w else "not among" if "not among" in w else "left out"
                      for w in words]  # fmt: skip

    assert said(ask, ask) == ([None, None], ["as planned", "left out"])
    assert said(ask, ask, record=(once, once)) == ([None, None], ["as planned", "as planned"])
    assert said({**hour, "duration": 1.0 + 1e-9}, record=(hour,)) == ([None], ["as planned"])
    assert said({**hour, "duration": 6.0}, record=(hour,)) == ([None], ["left out", "not among"])
    assert said({"time": 12.0, "amount": 70.0}) == ([], ["not among"])
    assert said({"time": 12.0, "amount": 70.0}, record=({**once, "time": 7.0}, {**once, "time": 10.0})) == ([], [])


def test_a_filter_of_states_is_refused_in_words(tmp_path):
    ward = Ward(tmp_path / "ward.sqlite", DRUG, method=tj.StateExtendedKalman(tj.ProcessNoise({"central": 1.0})))
    ward.admit("P", now=NOW)
    with pytest.raises(ValueError, match=r"believes in states .* take MAP"):
        Desk(ward, "P")
    ward.close()


def test_what_cannot_be_compiled_is_left_out(monkeypatch):
    def fails():
        raise ValueError("no infusions here")

    desk = object.__new__(Desk)
    monkeypatch.setattr(Desk, "view", lambda _: {})
    monkeypatch.setattr(Desk, "_steps", lambda _: iter([("infusions", fails), ("candidates", dict)]))
    assert list(desk.warm()) == [
        "compiling the forecast", "compiling infusions", "left out infusions: no infusions here", "compiling candidates",
    ]  # fmt: skip


def test_a_fault_of_ours_is_said_and_logged(page, monkeypatch, caplog):
    monkeypatch.setattr(Desk, "view", lambda _: {}["gone"])
    status, _, found = asked(page, "/api/view")
    assert (status, "could not be answered" in found["error"]) == (500, True)
    assert "KeyError: 'gone'" in caplog.text


def test_times_of_curves_miss_no_dose():
    found = grid(0.0, 24.0, 96.0, [np.arange(0.0, 96.0, 12.0)])
    assert len(found) == POINTS
    assert np.all(np.diff(found) >= 0)
    assert set(np.arange(12.0, 96.0, 12.0)) <= set(found)
    assert len(grid(0.0, 0.0, 96.0, [np.arange(0.0, 96.0, 0.5)])) == POINTS


def test_a_long_history_leaves_the_forecast_its_times():
    """Fifty days of doses: those to come are all marked, and two thirds of the even times are ahead."""
    found = grid(0.0, 1200.0, 1272.0, [np.arange(0.0, 1272.0, 12.0)])
    assert len(found) == POINTS
    assert set(np.arange(1200.0, 1272.0, 12.0)) <= set(found)
    ahead = found[found >= 1200.0]
    assert len(ahead) > 45
    assert np.max(np.diff(ahead)) < 2.0


def test_numbers_stay_what_they_are():
    """A plan that is sent back as it came is not in the past, and two doses of one time stay two."""
    assert plain(1234.568333) == 1234.568333
    twice = tj.Regimen.dose(50, at=1234.568333) + tj.Regimen.dose(50, at=1234.568333)
    rows = plan_of(tj.Twin.of(DRUG, doses=twice).history, 0.0, {"central": "mg"})
    assert [(r["time"], r["every"], r["count"]) for r in rows] == [(1234.568333, 0.0, 1)] * 2


def test_doses_are_shown_as_repeats():
    history = tj.Twin.of(DRUG, doses=tj.Regimen.repeat(100, every=12, count=4)
                         + tj.Regimen.infusion(50, over=2.0, at=50.0)).history  # fmt: skip
    assert plan_of(history, 0.0, {"central": "mg"}) == [
        {"time": 12.0, "amount": 100.0, "into": "central", "duration": None, "every": 12.0, "count": 3},
        {"time": 50.0, "amount": 50.0, "into": "central", "duration": 2.0, "every": 0.0, "count": 1},
    ]


# ------------------------------------------------------------------------------------------------ what a browser shows


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    if CHROMIUM is None:
        pytest.skip("no Chromium is installed here, in which the page could be opened")
    browser = Browser(tmp_path_factory.mktemp("profile"))
    yield browser
    browser.close()


def test_the_page_in_a_browser(page, browser):
    browser.open(page.url)
    browser.until("document.body?.dataset.ready === 'yes'")
    assert browser.run("document.getElementById('patient').textContent") == "Anna <b>"  # as text, not as HTML
    assert browser.run("document.querySelectorAll('#figure .point').length") == browser.run(
        "state.view.measurements.length"
    )
    assert len(browser.run("document.querySelector('#figure .band-blue').getAttribute('d')")) > 1000
    assert browser.run("document.querySelectorAll('#audit tbody tr').length") >= 4
    assert "does not convert" in browser.run("document.getElementById('refusals').textContent")

    amount = "document.querySelector('.dose [name=amount]')"
    type_in = f"{amount}.value = '%s'; {amount}.dispatchEvent(new Event('input', {{bubbles: true}}))"
    browser.run(type_in % "600")
    browser.until("document.querySelector('#figure .line-orange')")
    lines = browser.run("['blue', 'orange'].map(c => document.querySelector(`#figure .line-${c}`).getAttribute('d'))")
    assert lines[0] != lines[1]
    top = browser.run(
        "Math.max(...state.other.outputs.plasma.median) / Math.max(...state.view.forecast.outputs.plasma.median)"
    )
    assert top > 2.0  # doses three times as large, on what is left of those before
    browser.run(type_in % "a lot")
    browser.until("document.getElementById('dose-said').textContent.includes('no finite number')")
    assert browser.run(f"{amount}.getAttribute('aria-invalid')") == "true"
    expected = len(browser.errors)  # a refusal is a status of 400, which the browser notes

    browser.run("Object.entries({lower: 4, upper: 8, start: 30, until: 60, every: 12, tablets: '50, 100', peak: 14})"
                ".forEach(([n, v]) => { document.getElementById('target').elements[n].value = v; });"
                "document.getElementById('seek').click()")  # fmt: skip
    browser.until("document.querySelectorAll('.candidate').length > 0 && document.querySelector('#figure .goal')")
    assert browser.run("document.querySelector('.candidate.best dd').textContent").endswith("%")
    browser.run("document.querySelector('.candidate.best button').click()")
    browser.until(
        "document.getElementById('dose-said').textContent === '' && document.querySelectorAll('.dose').length > 0"
    )
    assert len(browser.errors) == expected <= 1
    assert not [e for e in browser.errors if "400" not in str(e)]
    unnamed = "[...document.querySelectorAll('input, select')].filter(i => !i.labels.length && !i.ariaLabel).length"
    assert browser.run(unnamed) == 0


def test_the_page_on_a_phone(page, browser):
    browser.open(page.url, 360, 740)
    browser.until("document.body?.dataset.ready === 'yes' && window.innerWidth === 360")
    assert browser.run("document.documentElement.scrollWidth") <= 360
    wide = ("[...document.querySelectorAll('body *')].filter(e => !e.closest('.scroll, svg, .skip')"
            " && e.getBoundingClientRect().right > 360.5).map(e => e.outerHTML.slice(0, 80))")  # fmt: skip
    assert browser.run(wide) == []
    browser.run("document.getElementById('add').click()")
    browser.until("document.querySelector('#figure .line-orange')")
    assert browser.run("document.documentElement.scrollWidth") <= 360
