"""Cohorts in shards: what `cohort` and `simulate` give, in files whose bytes depend on nothing but what was asked."""

import dataclasses
import json
import os
from pathlib import Path

import jax
import numpy as np
import pandas as pd
import pytest

from twinjax import Diffrax, Exact, LogNormal, Normal, Population, Power, Regimen, cohort, cohorts, simulate
from twinjax.cohorts import plan as planning
from twinjax.cohorts.programs import Programs
from twinjax.cohorts.run import stream
from twinjax.cohorts.shard import Shard, solve_shard
from twinjax.datasets import theophylline
from twinjax.models import OneCompartmentMichaelisMenten, OneCompartmentOral
from twinjax.naming import leaves
from twinjax.runs import Run
from twinjax.solve.fused import Fused

TIMES = np.array([0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 12.0, 24.0])
DOSES = Regimen.repeat(100.0, every=12.0, count=2)


def oral(**changes):
    population = Population(
        OneCompartmentOral(ka=1.5, cl=2.8, v=32.0),
        variability={"ka": 0.5, "cl": 0.3, "v": 0.2},
        correlations={("cl", "v"): 0.4},
        covariates={"cl": Power("weight", 70.0, 0.75)},
    )
    given = {
        "population": population, "patients": 300, "seed": 5, "covariates": {"weight": LogNormal(70.0, 0.2)},
        "regimen": DOSES, "times": TIMES, "backend": Exact(), "summaries": cohorts.standard("plasma", above=(1.0,)), "shard": 128,
    }  # fmt: skip
    return cohorts.Plan(**(given | changes))


def saturable(**changes):
    population = Population(
        OneCompartmentMichaelisMenten(vmax=8.0, km=2.0, v=32.0), variability={"vmax": 0.3, "km": 0.5, "v": 0.2}
    )
    return oral(**{"population": population, "covariates": None, "backend": Diffrax(rtol=1e-5, atol=1e-7)} | changes)


def automatic(**changes):
    return saturable(backend=None, **changes)


def contents(found):
    """The bytes of every table, by name."""
    folder = found if isinstance(found, Path) else found.run.folder
    files = [f for f in sorted(folder.rglob("*")) if f.suffix in (".parquet", ".csv") and f.is_file()]
    return {str(f.relative_to(folder)): f.read_bytes() for f in files}


@pytest.fixture(scope="module")
def programs():
    """What solves three shards, compiled once."""
    return Programs(oral())


def ran(programs, out, **how):
    """As `cohorts.run`, with programs that are there."""
    return stream(programs, Run.open(out) if out.exists() else Run.create("cohort", out=out, seed=5), **how)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A cohort in three shards."""
    return cohorts.run(oral(), tmp_path_factory.mktemp("whole") / "run")


@pytest.fixture
def small_groups(monkeypatch):
    """Row groups of 32 patients, so that shards have several."""
    monkeypatch.setattr(planning, "_ROWS", 32 * len(TIMES))


def test_ids_of_drawn_patients_are_written_when_asked_for():
    who = cohort(oral().population, 5, seed=1, covariates={"weight": 70.0}, first=3)
    assert list(who.ids) == ["3", "4", "5", "6", "7"]
    assert (who.ids[0], who.ids[-1], who.ids[1:3], len(who)) == ("3", "7", ("4", "5"), 5)
    assert "9" not in who.ids
    with pytest.raises(IndexError):
        who.ids[5]


# --------------------------------------------------------------------------------------------------- what is in the files


def test_the_files_hold_what_simulate_gives(whole):
    p = oral()
    who = cohort(p.population, 300, seed=5, covariates=p.covariates)
    solution = simulate(who, DOSES, TIMES, backend=Exact())
    outputs = pd.read_parquet(whole.run.folder / "outputs.parquet")
    assert list(outputs.columns) == ["id", "time", "plasma"]
    np.testing.assert_array_equal(outputs["id"], np.repeat(np.arange(300), len(TIMES)))
    np.testing.assert_array_equal(outputs["time"], np.tile(TIMES, 300))
    # one program solves 256 patients at once and another 300: a compiler may round them differently
    np.testing.assert_allclose(outputs["plasma"], np.ravel(solution.output.plasma), rtol=1e-12, atol=1e-14)
    patients = pd.read_parquet(whole.run.folder / "patients.parquet")
    np.testing.assert_array_equal(patients["id"], np.arange(300))
    assert (patients["result"] == 0).all()
    for name, value in leaves(who.model).items():
        np.testing.assert_array_equal(patients[name], value)
    np.testing.assert_array_equal(patients[["eta.ka", "eta.cl", "eta.v"]], who.eta)
    np.testing.assert_array_equal(patients["covariate.weight"], who.covariates["weight"])
    plasma = outputs["plasma"].to_numpy().reshape(300, -1)
    np.testing.assert_array_equal(patients["plasma.cmax"], plasma.max(axis=1))
    np.testing.assert_allclose(patients["plasma.auc"], np.trapezoid(plasma, TIMES, axis=1), rtol=1e-13)
    assert whole.outputs(first=130, count=2)["id"].unique().tolist() == [130, 131]
    assert list(whole.patients(["id", "cl"]).columns) == ["id", "cl"]


def test_quantiles_and_responders(whole):
    plasma = pd.read_parquet(whole.run.folder / "outputs.parquet")["plasma"].to_numpy().reshape(300, -1)
    frame = pd.read_csv(whole.run.folder / "quantiles.csv")
    assert list(frame.columns) == ["time", *(f"plasma.{n}" for n in ("patients", "mean", "sd", "q05", "q50", "q95"))]
    for name, level in (("q05", 0.05), ("q50", 0.5), ("q95", 0.95)):
        np.testing.assert_allclose(frame[f"plasma.{name}"], np.quantile(plasma, level, axis=0), rtol=1e-14)
    np.testing.assert_allclose(frame["plasma.mean"], plasma.mean(axis=0), rtol=1e-13)
    np.testing.assert_allclose(frame["plasma.sd"], plasma.std(axis=0, ddof=1), rtol=1e-12)
    assert whole.error == 0
    assert list(whole.quantiles((0.25,)).columns)[-1] == "plasma.q25"
    cmax = plasma.max(axis=1)
    table = whole.responders({"cmax": (2.0, 3.0), "cl": 2.8})
    assert table["responders"].tolist() == [(cmax > 2).sum(), (cmax > 3).sum(), (whole.patients()["cl"] > 2.8).sum()]
    assert table["summary"].tolist() == ["plasma.cmax", "plasma.cmax", "cl"]
    with pytest.raises(ValueError, match="did you mean"):
        whole.responders({"plasma.cmx": 1.0})


def test_covariates_resampled_from_a_trial(tmp_path):
    trial = theophylline()
    (weight,) = trial.covariate_names
    population = Population(
        OneCompartmentOral(ka=1.5, cl=2.8, v=32.0),
        variability={"ka": 0.5},
        covariates={"cl": Power(weight, 70.0, 0.75)},
    )
    plan = oral(population=population, covariates=trial)
    found = cohorts.run(plan, tmp_path / "run").patients()
    who = cohort(population, 300, seed=5, covariates=trial)
    np.testing.assert_array_equal(found[f"covariate.{weight}"], who.covariates[weight])
    assert plan.told()["covariates"] == f"resampled from 12 subjects of {trial.name}"


def test_many_values_are_counted_in_bins(tmp_path, monkeypatch, small_groups):
    monkeypatch.setattr(planning, "_FEW", 0)
    found = cohorts.run(oral(), tmp_path / "run")
    plasma = pd.read_parquet(found.run.folder / "outputs.parquet")["plasma"].to_numpy().reshape(300, -1)
    assert found.error == 2.0**-10
    assert found.run.results["quantile_error"] == 2.0**-10
    frame = found.quantiles((0.05, 0.5, 0.95))
    for name, level in (("q05", 0.05), ("q50", 0.5), ("q95", 0.95)):
        np.testing.assert_allclose(frame[f"plasma.{name}"], np.quantile(plasma, level, axis=0), rtol=2.0**-10)
    assert frame["plasma.q50"][0] == 0
    np.testing.assert_allclose(frame["plasma.mean"], plasma.mean(axis=0), rtol=1e-13)


def test_too_many_series_are_thinned(monkeypatch):
    monkeypatch.setattr(planning, "_FEW", 0)
    monkeypatch.setattr(planning, "_SERIES", 3)
    assert oral().watched.tolist() == [0, 3, 6]


def test_what_the_manifest_says(whole):
    m = whole.run.manifest
    assert m["status"] == "finished"
    assert (m["seed"], m["plan"]["patients"], m["plan"]["shard"]) == (5, 300, 128)
    assert m["plan"]["theta"]["cl.weight"] == 0.75
    assert m["plan"]["regimen"][0]["amount"] == 100.0
    assert m["program"]["backend"] == "Exact"
    assert {len(m["program"][k]) for k in ("equations", "numbers")} == {64}
    assert {"jax", "pyarrow", "twinjax"} <= set(m["versions"])
    assert m["device"]["platform"] == "cpu"
    assert [(s["number"], s["first"], s["patients"]) for s in m["shards"]] == [(0, 0, 128), (1, 128, 128), (2, 256, 44)]
    for said in m["shards"]:
        assert said["codes"] == {"0": said["patients"]}
        assert {f: k["rows"] for f, k in said["files"].items()} == {
            f"outputs.parquet/0000{said['number']}.parquet": said["patients"] * len(TIMES),
            f"patients.parquet/0000{said['number']}.parquet": said["patients"],
            f"statistics/0000{said['number']}.parquet": len(TIMES),
        }
        assert Shard.of(said).kept(whole.run.folder)
    files = {f.name for f in whole.run.folder.iterdir()}
    assert files == {
        "manifest.json", "log.txt", "results.json", "outputs.parquet", "patients.parquet", "statistics",
        "quantiles.parquet", "quantiles.csv",
    }  # fmt: skip
    assert cohorts.Found.open(whole.run.folder).codes == {0: 300}


# -------------------------------------------------------------------------------------- what the bytes do not depend on


@pytest.mark.parametrize("plan", [oral, saturable, automatic])
def test_bytes_do_not_depend_on_the_chunk(plan, tmp_path, small_groups):
    """Chunks that hold a part of a shard or several groups of it, that do not fit, that are larger than all."""
    sizes = {"patients": 1500, "shard": 1000}
    found = [contents(cohorts.run(plan(**sizes, chunk=chunk), tmp_path / str(chunk))) for chunk in (None, 7, 600, 9999)]
    assert len(found[0]) == 3 * 2 + 2
    assert all(f == found[0] for f in found)


class Backwards(cohorts.AbstractWorkers):
    """One shard after another, the last first, each done twice."""

    def work(self, programs, shards, folder, *, done, solved):
        for shard in reversed(shards):
            solve_shard(programs, shard, folder)
            done(solve_shard(programs, shard, folder))


@pytest.mark.parametrize("workers", [cohorts.Threads(1), cohorts.Threads(3), Backwards()])
def test_bytes_do_not_depend_on_workers_or_order(workers, programs, whole, tmp_path):
    assert contents(ran(programs, tmp_path / "run", workers=workers)) == contents(whole)


@pytest.mark.parametrize("shard", [50, 300, 1000])
def test_numbers_do_not_depend_on_the_shard(shard, whole, tmp_path):
    found = cohorts.run(oral(shard=shard), tmp_path / "run")
    assert len(found.shards) == -(-300 // shard)
    for table in ("outputs.parquet", "patients.parquet"):
        ours, theirs = (pd.read_parquet(f.run.folder / table) for f in (found, whole))
        pd.testing.assert_frame_equal(ours, theirs, check_exact=True)
    ours, theirs = found.quantiles(), whole.quantiles()
    quantile = [c for c in ours if ".q" in c]
    pd.testing.assert_frame_equal(ours[quantile], theirs[quantile], check_exact=True)
    pd.testing.assert_frame_equal(ours, theirs, rtol=1e-13)  # means are sums in another order


def test_the_last_block_is_filled_up_with_those_who_would_follow(whole, tmp_path):
    """An executable has fixed shapes, so a block that is not full would be refused; nor does it change the others."""
    found = cohorts.run(oral(patients=131), tmp_path / "run")
    assert [s.patients for s in found.shards] == [128, 3]
    for table, rows in (("outputs.parquet", 131 * len(TIMES)), ("patients.parquet", 131)):
        ours, theirs = (pd.read_parquet(f.run.folder / table) for f in (found, whole))
        pd.testing.assert_frame_equal(ours, theirs.head(rows), check_exact=True)


def test_nothing_of_the_size_of_trajectories_is_kept(tmp_path):
    """Only what sums them up is on disk, and says the same."""
    alone = cohorts.run(oral(trajectories=False, responders={"cmax": (2.0,)}), tmp_path / "run")
    both = cohorts.run(oral(responders={"cmax": (2.0,)}), tmp_path / "both")
    ours, theirs = contents(alone), contents(both)
    assert ours == {name: data for name, data in theirs.items() if not name.startswith("outputs.parquet")}
    assert "responders.csv" in ours
    with pytest.raises(ValueError, match=r"holds no outputs.parquet"):
        alone.files("outputs.parquet")
    bare = cohorts.run(oral(trajectories=False, bands=False), tmp_path / "bare")
    assert set(contents(bare)) == {f"patients.parquet/0000{k}.parquet" for k in range(3)}


def test_summaries_in_continuous_time(tmp_path):
    """Area and peak of one compartment with first-order absorption, by closed form; samples have missed the peak."""
    plan = oral(
        population=Population(OneCompartmentOral(ka=1.5, cl=2.8, v=32.0), variability={"ka": 0.3, "cl": 0.3}),
        covariates=None, regimen=Regimen.dose(100.0), continuous=True, backend=Fused(rtol=1e-9, atol=1e-11),
        summaries=cohorts.standard("plasma"), trajectories=False, bands=False,
    )  # fmt: skip
    found = cohorts.run(plan, tmp_path / "run").patients()
    ka, k, v = found["ka"], found["cl"] / found["v"], found["v"]

    def curve(t):
        return 100 * ka / v / (ka - k) * (np.exp(-k * t) - np.exp(-ka * t))

    peak = np.log(ka / k) / (ka - k)
    area = 100 * ka / v / (ka - k) * (-np.expm1(-k * 24) / k + np.expm1(-ka * 24) / ka)
    np.testing.assert_allclose(found["plasma.cmax"], curve(peak), rtol=1e-5)  # a parabola at the top of a step
    np.testing.assert_allclose(found["plasma.tmax"], peak, rtol=5e-3)
    np.testing.assert_allclose(found["plasma.auc"], area, rtol=1e-7)
    both = cohorts.run(dataclasses.replace(plan, bands=True), tmp_path / "both")
    pd.testing.assert_frame_equal(both.patients(), found, rtol=1e-12)
    assert both.quantiles()["plasma.q50"].max() < found["plasma.cmax"].median()
    with pytest.raises(ValueError, match="Exact has outputs at the sampling times only"):
        cohorts.run(dataclasses.replace(plan, backend=Exact()), tmp_path / "exact")


@pytest.mark.skipif(not Path("/proc/self/statm").is_file(), reason="reads the memory of this process from Linux")
def test_memory_does_not_grow_with_the_number_of_patients(tmp_path):
    """Sixty shards of 1024; between the tenth and the last nothing accumulates. They hold 16 MB of outputs and
    parameters, which a leak of any of them would show.
    """
    seen = []

    def look(pace):
        seen.append(int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE"))

    plan = oral(patients=60 * 1024, shard=1024, times=TIMES[:6])
    cohorts.run(plan, tmp_path / "run", workers=cohorts.Threads(2), progress=look)
    assert len(seen) == 60
    assert max(seen[10:]) - max(seen[:10]) < 8e6


# -------------------------------------------------------------------------------------------------------------- failures


def test_patients_that_fail_among_good_ones(tmp_path):
    """A weight below zero has no power of 0.75: those patients are recorded with their code, all others are solved."""
    plan = oral(covariates={"weight": Normal(70.0, 60.0)})
    found = cohorts.run(plan, tmp_path / "run")
    patients = found.patients()
    bad = patients["covariate.weight"] < 0
    assert 10 < bad.sum() < 100
    np.testing.assert_array_equal(patients["result"], np.where(bad, 2, 0))
    assert found.codes == {0: (~bad).sum(), 2: bad.sum()}
    assert found.run.results["results"][1]["meaning"].startswith("a parameter, a dose or the model's equations")
    assert patients.loc[bad, ["plasma.cmax", "plasma.auc"]].isna().all(axis=None)
    assert patients.loc[~bad].notna().all(axis=None)
    plasma = pd.read_parquet(found.run.folder / "outputs.parquet")["plasma"].to_numpy().reshape(300, -1)
    frame = found.quantiles()
    assert (frame["plasma.patients"] == (~bad).sum()).all()
    np.testing.assert_allclose(frame["plasma.q50"], np.quantile(plasma[~bad], 0.5, axis=0), rtol=1e-14)
    np.testing.assert_allclose(frame["plasma.mean"], plasma[~bad].mean(axis=0), rtol=1e-13)
    assert found.responders({"cmax": 0.0})["patients"].tolist() == [(~bad).sum()]
    who = cohort(plan.population, 300, seed=5, covariates=plan.covariates)
    good = np.flatnonzero(~bad)[:5]
    alone = simulate(jax.tree.map(lambda x: x[good], who.model), DOSES, TIMES)
    np.testing.assert_allclose(plasma[good], alone.output.plasma, rtol=1e-12, atol=1e-14)


def test_when_all_fail(tmp_path):
    found = cohorts.run(oral(covariates={"weight": -1.0}), tmp_path / "run")
    assert found.codes == {2: 300}
    assert found.quantiles()["plasma.q50"].isna().all()
    assert found.responders({"cmax": 1.0})["responders"].tolist() == [0]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"patients": 0}, "at least one patient"),
        ({"patients": 2**32}, "at most 4294967295"),
        ({"times": [0.0, 2.0, 1.0]}, "finite, increasing, at least one"),
        ({"times": []}, "finite, increasing, at least one"),
        ({"outputs": ("plasme",)}, "did you mean 'plasma'"),
        ({"shard": 0}, "a shard holds at least one patient"),
        ({"chunk": 0}, "a chunk holds at least one patient"),
        ({"levels": (0.5, 50)}, "quantiles lie between 0 and 1"),
        ({"responders": {"plasma.cmin": (1.0,)}}, "there is no summary 'plasma.cmin'"),
    ],
)
def test_plans_that_cannot_be(change, said):
    with pytest.raises(ValueError, match=said):
        oral(**change)


def test_a_plan_that_cannot_be_served_makes_no_folder(tmp_path):
    with pytest.raises(ValueError, match="the population needs the covariate 'weight'"):
        cohorts.run(oral(covariates=None), tmp_path / "run")
    with pytest.raises(ValueError, match="Exact cannot serve"):
        cohorts.run(saturable(backend=Exact()), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_shards_follow_from_the_size_of_the_cohort():
    backend = Exact()

    def sizes(**given):
        p = oral(**({"shard": None} | given)).settled(backend)
        return p.shards, p.shard

    assert sizes(patients=25) == (1, 1024)
    assert sizes(patients=10_000) == (5, 2048)
    assert sizes(patients=1_000_000) == (62, 16384)
    assert sizes(patients=1_000_000, shard=10**6) == (1, 10**6)
    blocks = [(25, None), (1000, None), (6000, None), (10_000, None), (10_000, 300), (10_000, 100_000), (10**6, None)]
    found = [oral(patients=n, shard=shard).settled(backend).block for n, shard in blocks]
    assert found == [256, 1024, 1024, 2048, 256, 256, 16384]
    plan = oral(patients=1000, shard=300)
    assert [plan.bounds(k) for k in range(plan.shards)] == [(0, 300), (300, 300), (600, 300), (900, 100)]


# --------------------------------------------------------------------------------------------------------- stop, go on


def stopped_after(shards):
    """What raises once so many shards are done."""

    class Stop(cohorts.AbstractWorkers):
        def work(self, programs, numbers, folder, *, done, solved):
            for k in numbers[:shards]:
                done(solve_shard(programs, k, folder))
            raise KeyboardInterrupt

    return Stop()


def test_stopped_and_resumed(programs, whole, tmp_path):
    out = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        ran(programs, out, workers=stopped_after(2))
    run = Run.open(out)
    assert run.status == "interrupted"
    assert run.results["patients"] == 256
    assert len(cohorts.Found.open(out).shards) == 2
    asked = []
    found = cohorts.run(oral(), out, resume=True, progress=lambda pace: asked.append((pace.before, pace.done)))
    assert asked == [(256, 44)]
    assert contents(found) == contents(whole)
    assert found.run.status == "finished"
    assert "goes on with 2 of 3 shards done" in (out / "log.txt").read_text()


def test_what_is_damaged_is_made_again(programs, whole, tmp_path):
    """A file that is gone, one whose content changed, a torn journal, and leftovers of what was being written."""
    out = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        ran(programs, out, workers=stopped_after(3))
    (out / "outputs.parquet" / "00000.parquet").unlink()
    file = out / "patients.parquet" / "00002.parquet"
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(bytes(data))
    with (out / "shards.jsonl").open("a") as journal:
        journal.write('{"number": 7, "fir')
    (out / "statistics" / ".00001.parquet.1-aa.part").write_bytes(b"half")
    asked = []
    found = ran(programs, out, workers=cohorts.Threads(1), progress=lambda pace: asked.append(pace.done))
    assert asked == [128, 172]
    assert contents(found) == contents(whole)


def test_resuming_what_is_finished_does_nothing(programs, tmp_path):
    out = tmp_path / "run"
    first = ran(programs, out)
    before = {f: f.stat().st_mtime_ns for f in out.rglob("*.*") if f.name != "log.txt"}
    again = ran(programs, out)
    assert {f: f.stat().st_mtime_ns for f in out.rglob("*.*") if f.name != "log.txt"} == before
    assert again.codes == first.codes


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"patients": 301}, "patients was 300, now 301"),
        ({"seed": 6}, "seed was 5, now 6"),
        ({"shard": 64}, "shard was 128, now 64"),
        ({"regimen": Regimen.repeat(101.0, every=12.0, count=2)}, "regimen: not the same"),
        ({"backend": Diffrax()}, "backend was Exact, now Diffrax; equations: not the same"),
        ({"trajectories": False}, "trajectories was True, now False"),
        ({"covariates": {"weight": LogNormal(71.0, 0.2)}}, "covariates weight was LogNormal"),
    ],
)
def test_another_plan_is_refused_in_words(change, said, whole):
    with pytest.raises(ValueError, match="it would not be one cohort: ") as error:
        cohorts.run(oral(**change), whole.run.folder, resume=True)
    assert said in str(error.value)


def test_other_versions_are_refused_in_words(programs, tmp_path):
    out = tmp_path / "run"
    ran(programs, out)
    manifest = json.loads((out / "manifest.json").read_text())
    manifest["versions"]["jax"] = "0.0.1"
    (out / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(ValueError, match=f"versions jax was 0.0.1, now {jax.__version__}"):
        ran(programs, out)


def test_what_cannot_be_resumed(tmp_path, whole):
    with pytest.raises(ValueError, match="out says which run to resume"):
        cohorts.run(oral(), resume=True)
    with pytest.raises(FileNotFoundError, match="is not a run"):
        cohorts.run(oral(), tmp_path / "nothing", resume=True)
    with pytest.raises(FileExistsError, match="not empty"):
        cohorts.run(oral(), whole.run.folder)
    other = Run.create("fit", out=tmp_path / "fit")
    with pytest.raises(ValueError, match="is a fit, not a cohort"):
        cohorts.run(oral(), other.folder, resume=True)
    with pytest.raises(ValueError, match="no cohort's run that has ended"):
        cohorts.Found.open(other.folder)


def test_an_error_in_a_thread_is_the_run_s(programs, tmp_path, monkeypatch):
    """The others are given up, nothing half written stays, and the run says what happened."""
    from twinjax.cohorts import shard as shards
    from twinjax.cohorts.tables import write_outputs

    def write(table, plan, group):
        if group.first >= 128:
            raise OSError(28, "No space left on device")
        write_outputs(table, plan, group)

    monkeypatch.setattr(shards, "write_outputs", write)
    with pytest.raises(OSError, match="No space left"):
        ran(programs, tmp_path / "run", workers=cohorts.Threads(2))
    assert Run.open(tmp_path / "run").status == "failed"
    assert not list((tmp_path / "run").rglob("*.part"))


def test_a_cohort_can_be_pickled_for_a_cluster(programs):
    from twinjax.cohorts.cluster import _packed, _programs

    pytest.importorskip("cloudpickle")
    assert _programs(_packed(programs.plan)).fingerprint == programs.fingerprint
