"""The command line: every command, JSON that parses, errors that a person can act on."""

import base64
import json
import os
import re
import signal
import subprocess
import sys
import time
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from twinjax.cli import app
from twinjax.cli.cache import cache_folder
from twinjax.runs import Run


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return str(tmp_path_factory.mktemp("cache"))


@pytest.fixture
def cli(tmp_path, monkeypatch):
    """Run a command in an empty folder; without a cache, which is a global setting of JAX."""
    monkeypatch.setenv("TWINJAX_CACHE", "off")
    monkeypatch.chdir(tmp_path)

    def run(*words, code=0):
        done = CliRunner().invoke(app, [str(w) for w in words])
        assert done.exit_code == code, done.output
        return done

    return run


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    """The folder of a fit of theophylline, and what the command said."""
    folder = tmp_path_factory.mktemp("fit") / "theo"
    os.environ["TWINJAX_CACHE"] = "off"
    try:
        done = CliRunner().invoke(app, ["fit", "theophylline", "--out", str(folder), "--json"])
    finally:
        del os.environ["TWINJAX_CACHE"]
    assert done.exit_code == 0, done.output
    return folder, done


# ----------------------------------------------------------------------------------------------------------------- fit


def test_fit_theophylline(fitted):
    folder, done = fitted
    told = json.loads(done.stdout)
    assert told["objective"] == pytest.approx(116.803, abs=0.005)
    assert told["converged"]
    assert told["trial"]["observations"] == 132
    assert told["run"] == str(folder.resolve())


def test_what_the_run_holds(fitted):
    folder, _ = fitted
    tables = {f"{n}.{e}" for n in ("estimates", "etas", "predictions") for e in ("csv", "parquet")}
    assert {f.name for f in folder.iterdir()} == {
        "manifest.json",
        "study.toml",
        "results.json",
        "log.txt",
        "plots",
        *tables,
    }
    names = ("goodness_of_fit", "individual_fits", "convergence", "etas", "vpc", "pcvpc", "npde", "npc", "objectives")
    pictures = {f"{n}.png" for n in names}
    assert {f.name for f in (folder / "plots").iterdir()} == pictures
    assert all((folder / "plots" / p).read_bytes().startswith(b"\x89PNG") for p in pictures)
    run = Run.open(folder)
    assert run.status == "finished"
    assert run.theta()["cl"] == pytest.approx(2.75, abs=0.01)
    predictions = pd.read_parquet(folder / "predictions.parquet")
    assert len(predictions) == 132
    assert {"PRED", "IPRED", "CWRES"} <= set(predictions.columns)
    estimates = pd.read_csv(folder / "estimates.csv").set_index("parameter")
    assert estimates.loc["ka", "unit"] == "1/h"
    assert "iteration 1 objective" in (folder / "log.txt").read_text()


def test_methods_and_their_options():
    from twinjax import FOCE, FOCEI, Combined, NaivePooled
    from twinjax.cli.method import method_of, named
    from twinjax.io.study import read_study

    study = read_study("theophylline")
    assert method_of(study.fit) == FOCEI()
    chain = study.overriding(fit={"method": ["FOCE", {"NaivePooled": {}}], "foce": {"max_inner": 20}})
    assert method_of(chain.fit) == FOCE(max_inner=20).then(NaivePooled())
    assert method_of(study.overriding(fit={"method": {"focei": {"tolerance": 1}}}).fit) == FOCEI(tolerance=1.0)
    with pytest.raises(ValueError, match="FOCEI has no option 'max_iner'; did you mean 'max_inner'"):
        named("FOCEI", {"max_iner": 3})
    with pytest.raises(ValueError, match=r"FOCEI: max_inner is 2\.5; write a whole number, such as 60"):
        named("FOCEI", {"max_inner": 2.5})
    with pytest.raises(ValueError, match="FOCEI: max_inner is 'ten'; write a whole number"):
        named("FOCEI", {"max_inner": "ten"})
    with pytest.raises(ValueError, match="NaivePooled has no option 'chains'; it has none"):
        named("NaivePooled", {"chains": 3})
    assert named("FOCEI", {}) is not Combined


def test_every_public_method_can_be_named():
    import twinjax
    from twinjax.estimation.methods.base import AbstractMethod
    from twinjax.io.study.plans import METHODS

    public = {n for n in twinjax.__all__ if isinstance(getattr(twinjax, n), type)}
    assert {n for n in public if issubclass(getattr(twinjax, n), AbstractMethod)} <= set(METHODS)


def test_report(fitted, cli):
    folder, done = fitted
    told = json.loads(cli("report", folder, "--json").stdout)
    assert told["status"] == "finished"
    assert told["results"]["theta"] == json.loads(done.stdout)["theta"]
    assert told["changed_inputs"] == []
    text = cli("report", folder).stdout
    assert "objective 116.803" in text
    assert "Converged" in text
    assert "plasma.additive" in text


class Addresses(HTMLParser):
    """Every address that a page refers to, and its text."""

    def __init__(self, text):
        super().__init__()
        self.found, self.pictures, self.text = [], 0, ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        assert tag not in ("script", "link", "iframe", "object", "embed", "base")
        self.pictures += tag == "img"
        self.found += [v for k, v in attrs if k in ("src", "href", "srcset", "data", "action", "poster", "background")]

    def handle_data(self, data):
        self.text += data


def test_a_page_that_needs_no_network(fitted, cli, tmp_path):
    folder, done = fitted
    page = tmp_path / "page.html"
    told = json.loads(cli("report", folder, "--out", page, "--json").stdout)
    assert told["report"] == str(page)
    text = page.read_text(encoding="utf-8")
    addresses = Addresses(text)
    assert addresses.pictures == 9
    anchors = {a for a in addresses.found if a.startswith("#")}
    assert all(a.startswith("data:image/") for a in addresses.found if a not in anchors)
    assert all(f'id="{a[1:]}"' in text for a in anchors)
    style = text[text.index("<style>") : text.index("</style>")]
    assert "url(" not in style
    assert "@import" not in style
    # an SVG of its own refers to nothing outside either, but for the names of its formats
    for svg in re.findall(r"data:image/svg\+xml;base64,([A-Za-z0-9+/=]+)", text):
        inner = base64.b64decode(svg).decode()
        assert not re.search(r"(?:href|src)=.(?!#)", inner)
        assert "url(http" not in inner
    found = json.loads(done.stdout)
    for said in ("objective", "116.803", "Converged: largest gradient", "central' =  ka depot - cl/v central",
                 "eliminated = self.cl * y.central / self.v", "mg/L", "SHA-256", "theophylline.csv", "jaxlib"):  # fmt: skip
        assert said in addresses.text, said
    estimates = pd.DataFrame(found["table"]).set_index("parameter")
    for value in estimates[["estimate", "se", "rse", "lower", "upper"]].to_numpy().ravel():
        assert f"{value:.4g}" in addresses.text
    assert "Not drawn" not in addresses.text
    assert "holds no fit that ended" in cli("compare", folder, _cohort(folder, cli, tmp_path), code=2).stderr


def _cohort(folder, cli, tmp_path):
    cli("cohort", folder, "--patients", 3, "--no-plots", "--out", tmp_path / "people")
    return tmp_path / "people"


def test_runs_side_by_side(fitted, cli, tmp_path):
    folder, _ = fitted
    cli("fit", "theophylline", "--method", "NaivePooled", "--no-plots", "--out", tmp_path / "pooled")
    told = json.loads(cli("compare", folder, tmp_path / "pooled", "--json").stdout)
    base, pooled = (Run.open(f).results for f in (folder, tmp_path / "pooled"))
    assert told["runs"]["pooled"]["change"] == pytest.approx(pooled["objective"] - base["objective"])
    assert told["runs"]["theo"]["method"] == "FOCEI"
    assert told["estimates"]["theo"]["cl"]["estimate"] == pytest.approx(base["theta"]["cl"])
    assert any("FOCEI, NaivePooled approximate" in n for n in told["notes"])
    text = cli("compare", folder, tmp_path / "pooled").stdout
    assert "change of objective" in text
    assert "Note: FOCEI, NaivePooled" in text
    assert "at least two fits" in cli("compare", folder, code=2).stderr


def test_cohort_of_a_fit(fitted, cli, tmp_path):
    folder, _ = fitted
    options = (
        "--patients",
        25,
        "--chunk",
        10,
        "--seed",
        5,
        "--until",
        48,
        "--step",
        4,
        "--out",
        tmp_path / "c",
        "--json",
    )
    told = json.loads(cli("cohort", folder, *options).stdout)
    assert told["status"] == "finished"
    assert told["results"] == [{"code": 0, "patients": 25, "meaning": "solved"}]
    outputs = pd.read_parquet(tmp_path / "c" / "outputs.parquet")
    assert list(outputs.columns) == ["id", "time", "plasma"]
    assert len(outputs) == 25 * 13
    people = pd.read_parquet(tmp_path / "c" / "patients.parquet")
    assert people["id"].tolist() == list(range(25))
    estimate = Run.open(folder).theta()["cl"]
    np.testing.assert_allclose(people["cl"], estimate * np.exp(people["eta.cl"]), rtol=1e-12)
    quantiles = pd.read_csv(tmp_path / "c" / "quantiles.csv")
    middle = outputs[outputs["time"] == 8.0]["plasma"].median()
    assert quantiles.set_index("time").loc[8.0, "plasma.q50"] == pytest.approx(middle)
    assert (tmp_path / "c" / "plots" / "plasma.png").is_file()
    assert "25 virtual patients of 25" in cli("report", tmp_path / "c").stdout


def test_cohort_goes_on(fitted, cli, tmp_path, monkeypatch):
    """Stopped after a shard and resumed from its own folder, estimates included: the files are those of one go."""
    from twinjax.cohorts import Found
    from twinjax.cohorts.shard import solve_shard
    from twinjax.cohorts.workers import Threads

    folder, _ = fitted
    options = (
        "--patients",
        60,
        "--shard",
        20,
        "--until",
        24,
        "--step",
        6,
        "--above",
        "plasma=4",
        "--above",
        "plasma=8",
    )
    whole = json.loads(cli("cohort", folder, *options, "--out", tmp_path / "a", "--json").stdout)
    assert [r["above"] for r in whole["responders"]] == [4, 8]

    def stop(self, programs, shards, folder, *, done, solved):
        done(solve_shard(programs, shards[1], folder))
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Threads, "work", stop)
        done = cli("cohort", folder, *options, "--out", tmp_path / "b", code=130)
        assert "20 virtual patients of 60" in done.stdout
        assert "--resume" in done.stdout
    assert "leave --patients out" in cli("cohort", tmp_path / "b", "--resume", "--patients", 50, code=2).stderr
    cli("cohort", tmp_path / "b", "--resume", "--chunk", 7)
    assert Found.open(tmp_path / "b").codes == {0: 60}
    for name in ("quantiles.csv", "responders.csv", *(f"outputs.parquet/0000{k}.parquet" for k in range(3))):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    plan = json.loads((tmp_path / "a" / "manifest.json").read_text())
    plan["plan"]["theta"]["cl"] = 3.0
    (tmp_path / "a" / "manifest.json").write_text(json.dumps(plan))
    assert "numbers: not the same" in cli("cohort", tmp_path / "a", "--resume", code=2).stderr
    assert "no cohort's run that could go on" in cli("cohort", folder, "--resume", code=2).stderr


def test_cohort_without_trajectories(cli, tmp_path):
    cli("cohort", "theophylline", "--patients", 5, "--no-trajectories", "--no-plots", "--out", tmp_path / "c")
    files = {f.name for f in (tmp_path / "c").iterdir()}
    assert "outputs.parquet" not in files
    assert {"patients.parquet", "quantiles.csv"} <= files


def test_subjects_of_a_fit(fitted, cli, tmp_path):
    folder, _ = fitted
    cli("simulate", folder, "--subjects", "--out", tmp_path / "s.parquet", "--plot", tmp_path / "s.png")
    frame = pd.read_parquet(tmp_path / "s.parquet")
    ipred = pd.read_parquet(folder / "predictions.parquet")["IPRED"]
    np.testing.assert_allclose(frame["plasma"], ipred, rtol=1e-8, atol=1e-10)
    assert (tmp_path / "s.png").read_bytes().startswith(b"\x89PNG")


def test_interrupted(cli, tmp_path, monkeypatch):
    """Ctrl-C after some iterations: the run is readable, says so, and has the best point."""
    from twinjax.progress import Search

    note = Search.note

    def stop(self, step):
        note(self, step)
        if len(self.history) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(Search, "note", stop)
    options = ("--method", "NaivePooled", "--no-plots", "--out", tmp_path / "r")
    text = cli("fit", "theophylline", *options, code=130).stdout
    assert "Interrupted." in text
    assert "Best point of 3 iterations" in text
    told = json.loads(cli("report", tmp_path / "r", "--json").stdout)
    assert told["status"] == "interrupted"
    assert told["results"] is None
    assert told["partial"]["iterations"] == 3
    assert told["partial"]["theta"]["cl"] > 0
    assert "These are no estimates" in cli("report", tmp_path / "r").stdout

    monkeypatch.setattr(Search, "note", note)
    cli("fit", "--resume", tmp_path / "r", "--no-plots", "--out", tmp_path / "s")
    again = Run.open(tmp_path / "s")
    assert again.manifest["resumed"] == str(tmp_path / "r")
    assert again.study().fit.method == "NaivePooled"
    assert again.results["converged"]
    # the first point is at most the last one left, within what the line search may have moved
    assert again.results["history"][0]["objective"] <= told["partial"]["objective"]
    other = 'tables = 1\n[model]\nname = "OneCompartment"\n[model.start]\ncl = 2.8\nv = 32\n'.replace(
        "tables = 1\n", ""
    )
    (tmp_path / "other.toml").write_text(other + '[data]\nfile = "theophylline"\n')
    assert "other parameters than the study" in cli("fit", "other.toml", "--resume", tmp_path / "r", code=2).stderr
    assert "fit what?" in cli("fit", "--no-plots", code=2).stderr


def test_resume_skips_the_methods_that_are_done(tmp_path, monkeypatch):
    from twinjax.cli.fit import _from_stage
    from twinjax.io.study import read_study

    monkeypatch.chdir(tmp_path)
    chain = ["FO", {"FOCEI": {"max_inner": 30}}]
    study = read_study("theophylline").overriding(fit={"method": chain})
    run = Run.create("fit", study, out=tmp_path / "r")
    run.write_json("partial.json", {"stage": 1})
    assert [(m.name, m.options) for m in _from_stage(study, run).fit.methods] == [("FOCEI", {"max_inner": 30})]
    run.write_json("partial.json", {"stage": 0})
    assert _from_stage(study, run) is study


# --------------------------------------------------------------------------------------------------------- live trace


def searched(history, starts=1):
    from twinjax.io.study import read_study
    from twinjax.progress import Search

    search = Search(read_study("theophylline").population(), starts=starts)
    for step in history:
        search.note(step)
    return search


def test_sparkline():
    from twinjax.cli.live import sparkline

    assert sparkline([0, 1, 2, 3, 4, 5, 6, 7], 8) == "▁▂▃▄▅▆▇█"
    assert sparkline(np.arange(800), 8) == "▁▂▃▄▅▆▇█"
    assert sparkline([1.0, np.nan, 1.0], 5) == "▁ ▁"
    assert sparkline([np.nan, np.inf], 5) == "  "
    assert sparkline([], 5) == ""


def test_the_live_trace_of_an_objective():
    from twinjax.cli.live import progress_line, trace_lines
    from twinjax.estimation.result import Iteration

    search = searched([Iteration(0, k, 116.8 + 10.0**-k, 10.0 ** (1 - k), 0.5 * k) for k in range(5)])
    objective, gradient = trace_lines(search, 40)
    assert objective == "objective  █▇▆▄▁  116.800, from 117.800"
    assert gradient.startswith("gradient   █▇▅▃▁  0.001, from 10")
    assert progress_line(search, 3.0).startswith(
        "iteration 4, objective 116.800, largest gradient 0.001, 2.0 iterations/s"
    )
    assert trace_lines(searched([]), 40) == []
    assert "compiling" in progress_line(searched([]), 3.0)


def test_the_live_trace_of_a_method_without_objective():
    """Parameters instead, and the last point is the best."""
    from twinjax.cli.live import progress_line, trace_lines
    from twinjax.estimation.result import Iteration

    nan = float("nan")
    x = np.asarray(np.log([1.5, 2.8, 32.0, 0.7, 0.6, 0.3, 0.1]))
    steps = [Iteration(0, k, nan, nan, 0.5 * k, tuple(x + 0.1 * k * (np.arange(7) == 1)), 0) for k in range(4)]
    search = searched(steps, starts=3)
    lines = trace_lines(search, 40)
    assert len(lines) == 7
    (cl,) = [line for line in lines if line.startswith("cl ")]
    assert cl.split() == ["cl", "▁▃▆█", f"{2.8 * np.exp(0.3):.4g}"]
    assert progress_line(search, 3.0) == "start 1 of 3, iteration 3, 2.0 iterations/s"
    told = json.loads(json.dumps(search.to_dict()))
    assert told["theta"]["cl"] == pytest.approx(2.8 * np.exp(0.3))
    assert told["iterations"] == 4
    # the next method of the chain begins anew
    search.note(Iteration(0, 1, 120.0, nan, 3.0, tuple(x), 1))
    assert search.best[0] == 120.0
    assert search.theta["cl"] == pytest.approx(2.8)
    assert progress_line(search, 3.0) == "iteration 1, objective 120.000"


def test_progress_is_quiet_without_a_terminal(capsys):
    from twinjax.cli.live import progress

    with progress(searched([])):
        pass
    assert capsys.readouterr() == ("", "")


def test_an_interrupted_search_without_objective_shows_its_last_point(capsys):
    from twinjax.cli.report import show_partial

    show_partial({"iterations": 4, "objective": None, "gradient": None, "theta": {"cl": 2.9}, "estimated": ["cl"]})
    said = capsys.readouterr().out
    assert "Last point of 4 iterations. These are no estimates" in said
    assert "2.9" in said


# ------------------------------------------------------------------------------------------ simulate, validate, models


def test_simulate_a_model(cli, tmp_path):
    options = ("--dose", 100, "--set", "ka=1.2", "--until", 10, "--step", 2.5)
    told = json.loads(cli("simulate", "OneCompartmentOral", *options, "--json").stdout)
    time, plasma = (np.asarray(told["columns"][n]) for n in ("time", "plasma"))
    ka, k, v = 1.2, 2.8 / 32, 32.0
    np.testing.assert_allclose(plasma, 100 * ka / v / (ka - k) * (np.exp(-k * time) - np.exp(-ka * time)), atol=1e-9)
    cli("simulate", "OneCompartmentOral", *options, "--out", tmp_path / "a.csv")
    np.testing.assert_allclose(pd.read_csv(tmp_path / "a.csv")["plasma"], plasma, rtol=1e-12, atol=1e-15)


def test_validate(cli, tmp_path):
    bad = tmp_path / "bad.csv"
    bad.write_text("ID,TIME,AMT,DV\n1,0,100,.\n1,1,.,x\n2,1,.,.\n")
    told = json.loads(cli("validate", bad, "--json", code=1).stdout)
    assert told["errors"] == 2
    assert {(p["row"], p["column"], p["subject"]) for p in told["problems"]} >= {(3, "DV", "1"), (4, "DV", "2")}
    text = cli("validate", bad, code=1).stdout
    assert "'x' is not a number" in text
    assert "2 errors" in text
    good = json.loads(cli("validate", "theophylline", "--model", "OneCompartmentOral", "--json").stdout)
    assert good["summary"]["subjects"] == 12
    wrong = cli("validate", "theophylline", "--model", "LinearEffect", code=1).stdout
    assert "a dose into 1" in wrong
    assert "'furlong'" in cli("validate", "theophylline", "--unit", "TIME=furlong", code=2).stderr


def test_models(cli):
    told = json.loads(cli("models", "--json").stdout)
    assert len(told) > 20
    one = json.loads(cli("models", "OneCompartmentOral", "--json").stdout)
    assert one["parameters"][0] == {"name": "ka", "unit": "1/h", "typical": 1.5, "role": ""}
    assert [s["name"] for s in one["states"]] == ["depot", "central"]
    assert one["outputs"] == [{"name": "plasma", "unit": "mg/L"}]
    assert "First-order absorption" in cli("models").stdout
    body = json.loads(cli("models", "WholeBody", "--json").stdout)
    assert {s["name"] for s in body["states"]} >= {"venous.drug", "liver.amount.metabolite"}  # of organs plugged in


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("models", "OneCompartmentOrl"), "did you mean 'OneCompartmentOral'"),
        (("fit", "theofylline"), "did you mean 'theophylline'"),
        (("fit", "theophylline", "--method", "FOCIE"), "there is no 'FOCIE'; did you mean 'FOCE' or 'FOCEI'"),
        (("fit", "slip.toml"), "[model.start] there is no parameter 'kaa'; did you mean 'ka'"),
        (("fit", "broken.toml"), "broken.toml: a problem\n  is not TOML"),
        (("simulate", "nothing"), "there is no study, run or model 'nothing'"),
        (("simulate", "OneCompartmentOral", "--set", "kaa=1"), "did you mean 'ka'"),
        (("simulate", "OneCompartmentOral", "--set", "ka"), "write NAME=VALUE"),
        (("simulate", "OneCompartmentOral", "--every", "24"), "give --dose AMOUNT"),
        (("simulate", "OneCompartmentOral", "--dose", "1", "--into", "depott"), "did you mean 'depot'"),
        (("simulate", "OneCompartmentOral", "--out", "a.xlsx"), "ends in .parquet or .csv"),
        (("cohort", "OneCompartmentOral"), "there is no study or run"),
        (("cohort", "slip-free.toml"), "has no regimen: give --dose AMOUNT"),
        (("cohort", "slip-free.toml", "--dose", "1", "--above", "plasme=1"), "did you mean 'plasma'"),
        (("cohort", "slip-free.toml", "--dose", "1", "--above", "plasma"), "write NAME=VALUE"),
        (("cohort", "slip-free.toml", "--dose", "1", "--shard", "0"), "a shard holds at least one patient"),
        (("cohort", "slip-free.toml", "--resume"), "is not a run"),
        (("report", "here"), "is not a run"),
        (("fit", "theophylline", "--method", "FOCE,SAME"), "there is no 'SAME'; did you mean 'SAEM'"),
        (("fit", "--resume", "here"), "is not a run"),
        (("validate", "nothing.csv"), "there is no data file 'nothing.csv'"),
    ],
)
def test_errors_are_sentences(cli, tmp_path, words, said):
    start = '[model]\nname = "OneCompartmentOral"\n[model.start]\ncl = 2.8\nv = 32\n'
    (tmp_path / "slip.toml").write_text(start + "ka = 1.5\nkaa = 1.5\n")
    (tmp_path / "slip-free.toml").write_text(start + "ka = 1.5\n")
    (tmp_path / "broken.toml").write_text("[model\n")
    done = cli(*words, code=2)
    assert said in done.stderr
    assert "Traceback" not in done.output
    assert done.stdout == ""
    assert not (tmp_path / "runs").exists()


def test_debug_shows_where(cli):
    done = CliRunner().invoke(app, ["fit", "theofylline", "--debug"])
    assert isinstance(done.exception, FileNotFoundError)


def test_help_and_version(cli):
    assert cli("--version").stdout.startswith("twinjax 0.")
    for command in ("validate", "fit", "simulate", "cohort", "report", "compare", "models"):
        assert f"twinjax {command} " in cli(command, "--help").stdout


def test_where_the_cache_is(monkeypatch, tmp_path):
    monkeypatch.setenv("TWINJAX_CACHE", "off")
    assert cache_folder() is None
    monkeypatch.setenv("TWINJAX_CACHE", str(tmp_path))
    assert cache_folder() == tmp_path
    monkeypatch.setenv("TWINJAX_CACHE", "./on")
    assert cache_folder() == Path("on")
    monkeypatch.delenv("TWINJAX_CACHE")
    own = cache_folder()
    assert own.name == "compiled"
    for said in ("on", "1", "True", "yes", " "):  # no folders of these names
        monkeypatch.setenv("TWINJAX_CACHE", said)
        assert cache_folder() == own


# ---------------------------------------------------------------------------------------------------- as a process


def test_help_does_not_load_what_is_slow():
    heavy = ("diffrax", "matplotlib", "pandas", "scipy", "optax")
    code = f"import sys, twinjax.cli; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_ctrl_c_of_a_process(tmp_path, cache):
    """A real interrupt, while it compiles or searches, leaves a run that can be read; what compiled is kept."""
    command = [
        sys.executable,
        "-m",
        "twinjax",
        "fit",
        "theophylline",
        "--method",
        "FO",
        "--starts",
        "500",
        "--out",
        "r",
    ]
    environment = {**os.environ, "TWINJAX_CACHE": cache}
    process = subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True)
    log = tmp_path / "r" / "log.txt"
    until = time.monotonic() + 100
    while time.monotonic() < until and not (log.is_file() and "iteration" in log.read_text()):
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Interrupted." in said
    assert Run.open(tmp_path / "r").status == "interrupted"
    assert Run.open(tmp_path / "r").partial["theta"]["v"] > 0
    assert any(name.endswith("-cache") for name in os.listdir(cache))
