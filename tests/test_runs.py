"""A run's folder: complete or said not to be, and readable either way."""

import hashlib
import json
import math

import numpy as np
import pytest

from twinjax.cohorts.pace import Pace
from twinjax.io.study import read_study
from twinjax.progress import Search
from twinjax.runs import Run, atomic, plain, sha256


@pytest.fixture
def run(tmp_path):
    study = read_study("theophylline")
    return Run.create("fit", study, out=tmp_path / "r", command=["twinjax", "fit"], seed=1, inputs=[study.source()])


def test_what_a_run_says_of_itself(run):
    m = run.manifest
    assert m["status"] == "running"
    assert run.status == "unfinished"
    assert {"jax", "jaxlib", "diffrax", "equinox", "numpy", "twinjax"} <= set(m["versions"])
    assert m["seed"] == 1
    assert m["command"] == ["twinjax", "fit"]
    assert m["python"].startswith("3.")
    assert m["device"]["count"] >= 1
    assert len(m["inputs"]) == 2
    assert all(len(h) == 64 for h in m["inputs"].values())
    assert run.changed_inputs() == []
    assert run.results is None
    assert run.study().population().theta.keys() == read_study("theophylline").population().theta.keys()


@pytest.mark.parametrize(
    ("error", "status"), [(None, "finished"), (KeyboardInterrupt(), "interrupted"), (ValueError("no"), "failed")]
)
def test_how_it_ended(run, error, status):
    def work():
        with run.recording():
            if error is not None:
                raise error

    if error is None:
        work()
    else:
        with pytest.raises(type(error)):
            work()
    opened = Run.open(run.folder)
    assert opened.status == status
    assert opened.manifest["ended"] >= opened.manifest["started"]
    assert status in (run.folder / "log.txt").read_text()


def test_a_run_without_a_study(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = Run.create("cohort", seed=4)
    assert run.folder.name.startswith("cohort-2")
    assert not (run.folder / "study.toml").exists()
    assert run.manifest["name"] == "cohort"
    run.note(plan={"patients": 3})
    assert run.manifest["plan"] == {"patients": 3}
    assert run.manifest["seed"] == 4


def test_folders(run, tmp_path, monkeypatch):
    study = read_study("theophylline")
    with pytest.raises(FileExistsError, match="not empty"):
        Run.create("fit", study, out=run.folder)
    monkeypatch.chdir(tmp_path)
    folders = {Run.create("fit", study).folder.name for _ in range(3)}
    assert len(folders) == 3
    assert all(f.startswith("theophylline-") for f in folders)
    with pytest.raises(FileNotFoundError, match=r"is not a run.*there are r$"):
        Run.open(tmp_path / "q")
    with pytest.raises(ValueError, match="holds no estimates"):
        run.theta()


def test_changed_inputs(run, tmp_path):
    data = tmp_path / "d.csv"
    data.write_text("x")
    other = Run.create("fit", read_study("theophylline"), out=tmp_path / "s", inputs=[data])
    data.write_text("y")
    assert "has changed since" in other.changed_inputs()[0]
    data.unlink()
    assert "is gone" in other.changed_inputs()[0]


def test_nothing_is_half_written(tmp_path):
    file = tmp_path / "a.txt"
    with pytest.raises(RuntimeError), atomic(file) as part:  # noqa: PT012
        part.write_text("half")
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []
    with atomic(file) as part:
        part.write_text("whole")
    assert [f.name for f in tmp_path.iterdir()] == ["a.txt"]
    assert sha256(file) == hashlib.sha256(b"whole").hexdigest()


def test_plain():
    value = plain({"a": np.array([1.0, np.nan]), "b": (math.inf, np.float64(2), {"c": None})})
    assert json.loads(json.dumps(value, allow_nan=False)) == {"a": [1.0, None], "b": [None, 2.0, {"c": None}]}


def test_pace(monkeypatch):
    now = iter([10.0, 12.0, 14.0, 14.0])
    monkeypatch.setattr("twinjax.progress.time.perf_counter", lambda: next(now))
    pace = Pace(100, before=40)
    assert math.isnan(pace.remaining)
    pace.note(20)
    pace.note(10)
    assert pace.rate == 30 / 2.0
    assert pace.remaining == 30 / (30 / 4.0)
    assert pace.seconds == 4.0


def test_a_search_that_is_watched():
    seen = []
    search = Search(read_study("theophylline").population(), changed=lambda s: seen.append(s.best[0]))
    goal = np.linspace(0.1, 0.7, 7)

    class Objective:
        def __call__(self, x):
            return value(x)

        def curvature(self, x):
            return None

    def value(x):
        return float(np.sum((x - goal) ** 2 * np.arange(1, 8))), 2 * (x - goal) * np.arange(1, 8)

    def watch(count, x, f, g):
        from twinjax.estimation.result import Iteration

        search.note(Iteration(0, count, f, float(np.max(np.abs(g))), 0.1 * count))

    assert search.searching
    assert math.isnan(search.rate)
    end = search.optimiser.minimise(Objective(), np.zeros(7), watch)
    np.testing.assert_allclose(end, goal, atol=1e-3)
    assert not search.searching
    assert seen == sorted(seen, reverse=True)
    assert search.rate == pytest.approx(10.0)
    assert search.remaining >= 0
    assert search.covariance_seconds > 0
    told = search.to_dict()
    assert told["iterations"] == len(seen)
    assert told["theta"]["ka"] == pytest.approx(np.exp(end[0]))
