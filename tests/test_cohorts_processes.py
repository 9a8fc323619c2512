"""A cohort is killed, resumed, shared between devices and between processes, and its bytes are always the same."""

import json
import os
import random
import signal
import subprocess
import sys
import textwrap
import time

import pytest

from twinjax.runs import Run

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals")

STUDY = """
[model]
name = "own.py:Saturable"
[model.variability]
vmax = 0.3
v = 0.2
[cohort]
patients = 6000
seed = 3
regimen = [{ amount = 100, every = 12, count = 2 }]
times = { start = 0, stop = 24, step = 2 }
[model.start]
vmax = 8
km = 2
v = 32
"""

MODEL = """
import equinox as eqx
from twinjax.models.base import AbstractModel
from twinjax.units import Amount, Concentration, Volume
from typing import Annotated
from twinjax.units import Scalar, Unit

Elimination = Annotated[Scalar, Unit("mg/h")]

class Saturable(AbstractModel):
    '''Michaelis-Menten elimination, in a file of the user's own.'''

    vmax: Elimination
    km: Concentration
    v: Volume

    class State(eqx.Module):
        central: Amount

    class Output(eqx.Module):
        plasma: Concentration

    def derivative(self, t, y, u):
        c = y.central / self.v
        return self.State(central=u.central - self.vmax * c / (self.km + c))

    def output(self, t, y, u):
        return self.Output(plasma=y.central / self.v)

    @classmethod
    def typical(cls):
        return cls(vmax=8.0, km=2.0, v=32.0)
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a study, a model of the user's own, and a cache of what was compiled."""
    folder = tmp_path_factory.mktemp("place")
    (folder / "study.toml").write_text(STUDY)
    (folder / "own.py").write_text(MODEL)
    return folder


def environment(place, **more):
    return {**os.environ, "TWINJAX_CACHE": str(place / "cache"), **more}


def command(place, *words, **more):
    """`twinjax cohort`, not yet ended."""
    words = [sys.executable, "-m", "twinjax", "cohort", *map(str, words)]
    return subprocess.Popen(
        words, cwd=place, env=environment(place, **more), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def finished(process):
    said, _ = process.communicate(timeout=300)
    assert process.returncode == 0, said
    return said


def contents(folder):
    """The bytes of every table."""
    files = [f for f in sorted(folder.rglob("*")) if f.suffix in (".parquet", ".csv") and f.is_file()]
    return {str(f.relative_to(folder)): f.read_bytes() for f in files}


ASKED = ("study.toml", "--shard", 256, "--above", "plasma=2", "--no-plots")


@pytest.fixture(scope="module")
def whole(place):
    """The cohort without any trouble, by one thread."""
    finished(command(place, *ASKED, "--workers", 1, "--out", "whole"))
    return contents(place / "whole")


def test_killed_at_random_moments_and_resumed(place, whole):
    """Killed when a random number of shards more is done and a random moment later, until it ends by itself: wherever
    a kill falls, in solving, writing, renaming or recording, the bytes are those of the cohort that was left alone.
    """
    chance, kills = random.Random(20), 0
    process = command(place, *ASKED, "--workers", 2, "--out", "killed")
    folder = place / "killed"
    journal = folder / "shards.jsonl"
    for _ in range(4):
        already = len(journal.read_text().splitlines()) if journal.is_file() else 0
        goal, until = already + chance.randint(1, 4), time.monotonic() + 120
        while process.poll() is None and time.monotonic() < until:
            if journal.is_file() and len(journal.read_text().splitlines()) >= goal:
                break
            time.sleep(0.002)
        time.sleep(chance.uniform(0, 0.03))
        if process.poll() is not None:
            break
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=60)
        kills += 1
        assert Run.open(folder).status == "unfinished"
        process = command(place, folder, "--resume", "--no-plots")
    said = finished(process)
    assert "6000 virtual patients of 6000" in said
    assert kills == 4
    assert contents(folder) == whole
    assert not list(folder.rglob("*.part"))
    assert (folder / "log.txt").read_text().count("goes on with") == kills


def test_ctrl_c_and_resume(place, whole):
    process = command(place, *ASKED, "--workers", 2, "--out", "stopped")
    journal, until = place / "stopped" / "shards.jsonl", time.monotonic() + 120
    while time.monotonic() < until and not (journal.is_file() and journal.read_text().count("\n") > 2):
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=120)
    assert process.returncode == 130, said
    assert "Interrupted; what was done is in stopped" in said
    run = Run.open(place / "stopped")
    assert run.status == "interrupted"
    assert 256 * 3 <= run.results["patients"] < 6000
    assert run.results["patients"] == sum(s["patients"] for s in run.manifest["shards"])
    finished(command(place, "stopped", "--resume", "--no-plots"))
    assert contents(place / "stopped") == whole


def test_two_devices(place, whole):
    """Each thread has a device of its own; the flag that pretends there are two is none of those that matter."""
    flags = os.environ.get("XLA_FLAGS", "") + " --xla_force_host_platform_device_count=2"
    finished(command(place, *ASKED, "--workers", 2, "--out", "devices", XLA_FLAGS=flags))
    assert Run.open(place / "devices").manifest["device"]["count"] == 2
    assert contents(place / "devices") == whole


DASK = """
    import json, os, signal, sys

    from distributed import Client, LocalCluster, get_worker

    from twinjax import cohorts
    from twinjax.cli.cohort import _plan
    from twinjax.cohorts.cluster import Dask
    from twinjax.io.study import read_study

    def where(dask_worker):
        return os.getpid()

    if __name__ == "__main__":
        study = read_study("study.toml")
        options = {"shard": 256, "chunk": None, "trajectories": True, "above": {"plasma": [2.0]}}
        plan = _plan(study, study.population(), options)
        with LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None) as cluster:
            client = Client(cluster)
            pids, seen = set(client.run(where).values()), []

            def note(pace):
                seen.append(pace.done)
                if len(seen) == 5:
                    os.kill(min(pids), signal.SIGKILL)

            cohorts.run(plan, "dask", workers=Dask(client), progress=note)
            after = set(client.run(where).values())
        print(json.dumps({"before": sorted(pids), "after": sorted(after), "shards": len(seen)}))
"""


def test_two_workers_of_dask_one_of_which_is_killed(place, whole):
    """The model is in a file that the workers cannot import: it travels with the plan."""
    pytest.importorskip("distributed")
    (place / "by_dask.py").write_text(textwrap.dedent(DASK))
    done = subprocess.run(
        [sys.executable, "by_dask.py"], cwd=place, env=environment(place), capture_output=True, text=True, timeout=400
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert len(told["before"]) == 2
    assert min(told["before"]) not in told["after"]
    assert contents(place / "dask") == whole
