"""What the page's own scripts make of answers: of a server in its place that says what each test wants."""

import importlib.resources
import json

import pytest
from browser import Browser

FILES = importlib.resources.files("twinjax.page").joinpath("files")
NOW = 123.75


def forecast(low, high, start=0.0):
    """A straight line from the start to 72 h from now."""
    line = {"lower": [low, high], "median": [low, high], "upper": [low, high]}
    return {"time": [start, NOW + 72.0], "outputs": {"plasma": line, "tissue": line}, "said": []}


def view(twin, level):
    measured = {"time": NOW, "output": "plasma", "value": 100.5, "kind": "measured", "expected": 99.123, "z": 0.1}
    dose = {"time": 130.123456, "amount": 112.5, "into": "central", "duration": None}
    return {
        "patient": "P1", "model": "M", "time_unit": "h", "epoch": None, "start": 0.0, "now": NOW, "begin": NOW, "hash": twin,
        "method": "EKF", "level": 0.9, "horizon": 72.0, "covariates": {"weight": 72.25}, "measurements": [measured],
        "outputs": [{"name": n, "unit": "mg/L", "measured": n == "plasma"} for n in ("plasma", "tissue")],
        "routes": [{"name": "central", "unit": "mg"}], "doses": [dose], "plan": [{**dose, "every": 0.0, "count": 1}],
        "parameters": [], "refusals": [], "forecast": forecast(level, level),
        "audit": [{"step": 10752, "when": "2026-01-02T08:00", "what": "learn", "source": "", "measurements": 1,
                   "doses": 0, "moved": 0.1, "settled": True, "hash": twin}],
    }  # fmt: skip


def candidates(twin, output="plasma"):
    own = {"name": "112.5 mg", "tablets": [{"strength": 112.5, "count": 1}], "target": 0.8, "toxicity": 0.0,
           "both": 0.8, "quantity": 5.0, "quantity_lower": 4.0, "quantity_upper": 6.0, "doses": [],
           "forecast": forecast(5.0, 5.0)}  # fmt: skip
    return {"hash": twin, "acceptable": True, "risk": 0.1, "output": output, "lower": 4.0, "upper": 8.0, "peak": None,
            "candidates": [own]}  # fmt: skip


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    browser = Browser(tmp_path_factory.mktemp("profile"))
    yield browser
    browser.close()


@pytest.fixture
def page(browser):
    """The page of twin `a`; `say(path, answer)` sets what is answered, and `asked` is what was sent."""
    html = FILES.joinpath("page.html").read_text("utf-8")
    body = html[html.index("<body>") : html.index("<script")]
    browser.errors.clear()
    browser.open("about:blank")
    browser.run(f"document.body.innerHTML = {json.dumps(body)}")
    browser.run("""var answers = {}, asked = [], held = null;
        window.fetch = async (path, sent) => {
          const said = answers[path];
          if (sent.body) asked.push(JSON.parse(sent.body));
          if (held) await held;
          return { ok: !said.error, status: 200, json: async () => said };
        }""")
    say(browser, "/api/view", view("a", 10.0))
    for name in ("figure.js", "page.js"):
        browser.run(FILES.joinpath(name).read_text("utf-8"))
    browser.until("document.body.dataset.ready === 'yes'")
    yield browser
    assert browser.errors == []


def say(page, path, answer):
    page.run(f"answers['{path}'] = {json.dumps(answer)}")


def text(page, name):
    return page.run(f"document.getElementById('{name}').textContent")


def fill(page, **values):
    page.run(f"Object.entries({json.dumps(values)}).forEach(([n, v]) => {{ $('target').elements[n].value = v; }})")


# ------------------------------------------------------------------------------------------------------ whose answers


def test_doses_of_a_newer_twin_are_not_drawn_on_the_old_forecast(page):
    say(page, "/api/view", {"error": "the file is gone"})
    say(page, "/api/what-if", {**forecast(30.0, 30.0), "hash": "b", "doses": []})
    page.run("simulate()")
    assert page.run("[state.view.hash, state.other]") == ["a", None]
    assert (text(page, "trouble"), "could not be read" in text(page, "dose-said")) == ("the file is gone", True)
    say(page, "/api/view", view("b", 20.0))
    page.run("simulate()")
    assert page.run("[state.view.hash, state.other, document.querySelector('.line-orange')]") == ["b", None, None]
    assert "New data had come" in text(page, "dose-said")
    page.run("simulate()")
    assert page.run("state.other.hash") == "b"
    assert text(page, "dose-said") == ""


def test_candidates_of_a_newer_twin_are_not_set_beside_the_old_forecast(page):
    say(page, "/api/recommend", candidates("a"))
    fill(page, lower="4", upper="8")
    page.run("seek(new Event('submit'))")
    assert page.run("[state.goal, $('side').hidden]") == [[4, 8], False]
    assert "1 \N{MULTIPLICATION SIGN} 112.5" in text(page, "candidates")
    say(page, "/api/view", view("b", 20.0))
    say(page, "/api/recommend", candidates("b"))
    page.run("seek(new Event('submit'))")
    assert page.run("[state.view.hash, state.goal, $('side').hidden]") == ["b", None, True]
    assert "find doses again" in text(page, "target-said")


def test_a_dose_that_comes_due_leaves_the_others_as_they_were_typed(page):
    """While doses are edited, and while none is; the field that is typed in stays."""
    page.run("$('add').click()")
    page.run(
        "var typed2 = document.querySelectorAll('.dose')[1].querySelector('[name=amount]'); typed2.value = '77'; typed2.focus()"
    )
    later = {**view("a", 10.0), "begin": 135.0, "plan": []}
    answer = {**forecast(30.0, 30.0), "hash": "a", "doses": [], "begin": 135.0, "kept": [None, {}],
              "passed": ["The dose of 112.5 at 130.123456 has come due."]}  # fmt: skip
    say(page, "/api/view", later)
    say(page, "/api/hash", {"hash": "a", "begin": 135.0})
    say(page, "/api/what-if", answer)
    page.run("watch()")
    assert page.run("asked[asked.length - 1].begin") == NOW
    assert "has come due" in text(page, "dose-said")
    assert page.run("[state.view.begin, document.querySelectorAll('.dose').length, document.activeElement === typed2]") == [
        135.0, 1, True]  # fmt: skip
    assert page.run("[document.querySelector('.dose [name=amount]').value, $('news').hidden]") == ["77", True]
    say(page, "/api/view", view("a", 10.0))
    page.run("load()")
    assert page.run("document.querySelectorAll('.dose').length") == 1
    say(page, "/api/view", later)
    many = page.run("asked.length")
    page.run("watch()")
    assert page.run("[document.querySelectorAll('.dose').length, asked.length, state.view.begin]") == [0, many, 135.0]
    assert "counts as given" in text(page, "dose-said")
    say(page, "/api/hash", {"hash": "b", "begin": 135.0})
    page.run("watch()")
    assert page.run("$('news').hidden") is False


def test_a_dose_that_is_being_typed_stays_as_it_is(page):
    """While an answer is under way in which another has come due, and where what is typed so far is in the past."""
    page.run("$('add').click()")
    page.run("var time = document.querySelectorAll('.dose')[1].querySelector('[name=time]'); time.focus(); 0")
    say(page, "/api/view", {**view("a", 10.0), "begin": 135.0, "plan": []})
    answer = {**forecast(30.0, 30.0), "hash": "a", "doses": [], "begin": 135.0, "passed": ["One has come due."]}
    say(page, "/api/what-if", {**answer, "kept": [None, {"time": 150}]})
    page.run("var free; held = new Promise((done) => { free = done; }); state.other = null; var under = simulate(); 0")
    page.run(
        "held = null; time.value = '144'; time.dispatchEvent(new Event('input', { bubbles: true })); clearTimeout(waiting)"
    )
    page.run("free(); under.then(() => 0)")
    assert page.run("[time.value, state.other, document.querySelectorAll('.dose').length]") == ["144", None, 2]
    page.run("time.value = '13'; 0")
    say(page, "/api/what-if", {**answer, "kept": [None, None]})
    page.run("simulate()")
    assert page.run("[time.value, document.activeElement === time, document.querySelectorAll('.dose').length]") == [
        "13", True, 1]  # fmt: skip
    assert text(page, "dose-said") == "One has come due."


def test_what_was_asked_of_another_twin_or_output_is_dropped_when_it_comes(page):
    page.run("var free; held = new Promise((done) => { free = done; }); 0")
    say(page, "/api/what-if", {**forecast(30.0, 30.0), "hash": "a", "doses": []})
    say(page, "/api/recommend", candidates("a"))
    page.run("var both = Promise.all([simulate(), seek(new Event('submit'))]); held = null; 0")
    page.run("$('output').value = 'tissue'; $('output').dispatchEvent(new Event('change'))")
    say(page, "/api/view", view("a", 20.0))
    page.run("load()")
    page.run("free(); both.then(() => 0)")
    assert page.run("[state.other, state.goal, state.limit, $('side').hidden]") == [None, None, None, True]
    assert "for plasma, which is no longer shown" in text(page, "target-said")


# ------------------------------------------------------------------------------------------------ what was typed, said


@pytest.mark.parametrize(
    ("typed", "read"),
    [("1000", 1000), ("0,5", 0.5), ("12,25", 12.25), ("0.125", 0.125), ("", None), ("a lot", "a lot")],
)
def test_a_number_may_have_a_decimal_comma(page, typed, read):
    assert page.run(f"typed({{value: '{typed}'}})") == read


@pytest.mark.parametrize(
    ("typed", "read"),
    [("12, 24", [12, 24]), ("12 24", [12, 24]), ("0,5; 1", [0.5, 1]), ("50;100", [50, 100]), ("62.5, 125", [62.5, 125]),
     ("", []), ("x", ["x"])],
)  # fmt: skip
def test_lists_are_read(page, typed, read):
    assert page.run(f"list({{value: '{typed}'}})") == read


def test_what_can_be_read_in_two_ways_is_refused(page):
    for call, typed in (
        ("typed", "1,000"), ("typed", "1,000.5"), ("list", "0,5"), ("list", "50,100"), ("list", "1 000"),
        ("list", "1,000; 2"),
    ):  # fmt: skip
        with pytest.raises(RuntimeError, match="can be read in two ways"):
            page.run(f"{call}({{value: '{typed}'}})")
    page.run("var amount = document.querySelector('.dose [name=amount]'); amount.value = '1,000'; simulate()")
    assert "“1,000” can be read in two ways" in text(page, "dose-said")
    assert page.run("amount.getAttribute('aria-invalid')") == "true"
    fill(page, lower="4", upper="8", tablets="0,5")
    page.run("seek(new Event('submit'))")
    assert "“0,5” can be read in two ways" in text(page, "target-said")
    assert page.run("asked") == []


# ---------------------------------------------------------------------------------------------------- what is shown


def test_a_curve_has_no_value_outside_its_times(page):
    page.run("var c = {time: [10, 20], median: [1, 3], upper: [2, null]}; 0")
    assert page.run("[9, 10, 15, 20, 21].map((t) => between(c, 'median', t))") == [None, 1, 2, 3, None]
    assert page.run("cropped(c, 15, 99)") == {"time": [15, 20], "median": [2, 3], "upper": [None, None]}
    say(page, "/api/what-if", {**forecast(0.0, 195.75), "hash": "a", "doses": []})  # at each time its own number
    page.run("simulate()")
    at = "(() => {{ state.cursor = {0}; draw(); return $('readout').textContent; }})()"
    assert page.run(at.format(50)) == "50 h: planned 10 (10 to 10) mg/L"
    assert page.run(at.format(150)) == "150 h: planned 10 (10 to 10); with these doses 150 (150 to 150) mg/L"
    row = "[...document.querySelectorAll('#numbers tbody tr')].map((r) => [...r.children].map((d) => d.textContent))[0]"
    assert page.run(row) == ["123.75", "10", "10", "10", "124", "124", "124"]


def test_times_and_measurements_are_shown_as_they_are(page):
    assert page.run("[10752, 0.1 + 0.2, 1e8, null].map(exact)") == ["10752", "0.3", "1e+8", ""]
    assert page.run("[123.75, 1234.568333, 72].map(moment)") == ["123.75", "1234.57", "72"]
    assert page.run("[...document.querySelectorAll('#facts dd')].map((d) => d.textContent)") == [
        "123.75 h", "1", "72.25", "a"
    ]  # fmt: skip
    assert page.run("document.querySelector('#facts dt').textContent") == "latest measurement"
    assert page.run("[...document.querySelectorAll('#figure title')].map((t) => t.textContent)") == [
        "112.5 at 130.12 h", "100.5 mg/L at 123.75 h"
    ]  # fmt: skip
    assert page.run("[...document.querySelectorAll('#measured td')].map((t) => t.textContent)") == [
        "123.75 h", "plasma", "100.5", "", "99.1", "0.1"
    ]  # fmt: skip
    assert page.run("document.querySelector('#audit td').textContent") == "10752"
    assert page.run("regimen()[0].time") == 130.123456
    page.run("state.view.forecast.outputs.plasma.upper = [10752, 10752]; draw()")
    shown = page.run("[...document.querySelectorAll('#figure text')].map((t) => t.textContent)")
    assert {"10000", "latest measurement"} <= set(shown)
