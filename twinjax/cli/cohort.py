"""`twinjax cohort`: virtual patients of a study or a fit, by the million if need be."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from twinjax.cli.design import Count, Dose, Every, Into, Over, Step, Until, designed, source
from twinjax.cli.terminal import INTERRUPTED, Debug, Json, duration, friendly, print_json, say, short, stderr

Patients = Annotated[int | None, typer.Option(help="How many; default the study's.")]
Seed = Annotated[int | None, typer.Option(help="A patient depends on it and its index alone; default the study's.")]
Chunk = Annotated[int | None, typer.Option(help="About how many are in memory at once (not in results).")]
Shard = Annotated[int | None, typer.Option(help="How many are in one file; what a kill can cost.")]
Resume = Annotated[bool, typer.Option("--resume", help="WHAT is a cohort's run that was killed or stopped: go on.")]
Trajectories = Annotated[bool, typer.Option(help="Write every patient's outputs, or only what sums them up.")]
Bands = Annotated[bool, typer.Option(help="Keep mean, spread and quantiles over time.")]
Continuous = Annotated[
    bool, typer.Option("--continuous", help="Cmax, Tmax, AUC and time above between the samples too.")
]
Above = Annotated[
    list[str] | None, typer.Option(help="Output=threshold: time above it, and who gets there; repeatable.")
]
Workers = Annotated[int | None, typer.Option(help="Threads of this computer; default one for each core.")]
Scheduler = Annotated[str | None, typer.Option(help="Address of a dask scheduler, whose workers solve instead.")]


@friendly
def cohort(
    what: Annotated[str, typer.Argument(help="A study (file, or one that ships), or the folder of a fit.")],
    patients: Patients = None,
    seed: Seed = None,
    dose: Dose = None,
    into: Into = None,
    every: Every = None,
    count: Count = 1,
    over: Over = None,
    until: Until = None,
    step: Step = None,
    trajectories: Trajectories = True,
    bands: Bands = True,
    continuous: Continuous = False,
    above: Above = None,
    chunk: Chunk = None,
    shard: Shard = None,
    workers: Workers = None,
    scheduler: Scheduler = None,
    resume: Resume = False,
    out: Annotated[Path | None, typer.Option(help="Folder of the run; default runs/NAME-cohort-TIME.")] = None,
    plots: Annotated[bool, typer.Option(help="Draw the quantile bands.")] = True,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Simulate virtual patients, who differ as the population's variability and covariates say.

    The run holds outputs.parquet (a row for each patient and time), patients.parquet (result code, covariates, etas,
    parameters, Cmax, Tmax and AUC of each patient), quantiles and their picture, responders. The two tables are folders
    of one Parquet file for each shard, which pandas, polars and DuckDB read as one. Patients that cannot be solved are
    kept, with their codes. Ctrl-C keeps the shards that are done, and --resume goes on with the rest, also of a run
    that was killed: the files are the same as if it had not been.

    Examples:
    - `twinjax cohort theophylline --patients 10000 --seed 1`
    - `twinjax cohort runs/theophylline-20260101-120000 --patients 1000 --dose 300 --every 12 --count 14`
    - `twinjax cohort big.toml --patients 1000000 --no-trajectories --continuous --above plasma=10`
    - `twinjax cohort runs/big-cohort-20260101-120000 --resume`
    """
    from twinjax.cli.cache import keep_compiled

    keep_compiled()
    from twinjax.cohorts.programs import Programs
    from twinjax.cohorts.run import stream
    from twinjax.runs import RESULTS, Run

    if resume:
        given = {"patients": patients, "seed": seed, "dose": dose, "into": into, "every": every, "over": over,
                 "count": None if count == 1 else count, "until": until, "step": step, "above": above,
                 "shard": shard, "out": out}  # fmt: skip
        _nothing_else(n for n, v in given.items() if v is not None)
        run, plan = _resumed(what, chunk)
        programs = Programs(plan)
    else:
        found = source(what)
        study = designed(found.study, dose=dose, into=into, every=every, count=count, over=over, until=until, step=step)
        change = {k: v for k, v in (("patients", patients), ("seed", seed)) if v is not None}
        study = study.overriding(cohort=change) if change else study
        options = {"shard": shard, "chunk": chunk, "trajectories": trajectories, "bands": bands,
                   "continuous": continuous, "above": _thresholds(above or ())}  # fmt: skip
        plan = _plan(study, found.population, options)
        programs = Programs(plan)
        inputs = [study.source()] if study.cohort.covariates is None else []
        inputs += [found.run.folder / RESULTS] if found.run is not None and found.run.results is not None else []
        run = Run.create("cohort", study, out=out, command=sys.argv, seed=plan.seed, inputs=inputs)
        run.note(options=options)
    interrupted = False
    try:
        with _bar() as bar:
            stream(programs, run, workers=_workers(workers, scheduler), progress=bar)
    except KeyboardInterrupt:
        if run.results is None:
            raise
        interrupted = True
    results = run.results or {}
    if plots and plan.bands:
        _draw(run, plan.population.model)
    if json:
        print_json({"run": str(run.folder), "status": run.status, **results})
    else:
        from twinjax.cli.report import show_cohort

        show_cohort(results)
        say(f"{'Interrupted; what was done is' if interrupted else 'Kept'} in {short(run.folder)}")
        if interrupted:
            say(f"To go on: twinjax cohort {short(run.folder)} --resume")
    if interrupted:
        raise typer.Exit(INTERRUPTED)


def _plan(study: Any, population: Any, options: dict[str, Any]) -> Any:
    """What a study asks for, with the command's own options."""
    import numpy as np

    from twinjax.cohorts.plan import Plan
    from twinjax.cohorts.summaries import Cmax, standard
    from twinjax.models.base import output_names
    from twinjax.naming import resolve

    asked = study.cohort
    if asked.regimen is None:
        raise ValueError(f"{study.name} has no regimen: give --dose AMOUNT, or write [cohort] regimen in the study")
    outputs = output_names(population.model)
    above: dict[str, list[float]] = {}
    for name, values in options["above"].items():
        above.setdefault(resolve(name, outputs, "output"), []).extend(values)
    responders = {Cmax(name).name: values for name, values in above.items()}
    times = np.unique(asked.times)
    each = [s for name in outputs for s in standard(name, above=above.get(name, ()))]
    if len(times) == 1 and not options.get("continuous"):  # there is no area under one sample
        each = [s for s in each if isinstance(s, Cmax)]
    return Plan(
        population=population, patients=asked.patients, seed=asked.seed, regimen=asked.regimen, times=times,
        covariates=study.trial() if asked.covariates is None else asked.covariates,
        **{k: v for k, v in options.items() if k != "above"}, summaries=tuple(each), responders=responders,
    )  # fmt: skip


def _resumed(what: str, chunk: int | None) -> tuple[Any, Any]:
    """A run to go on with, and its plan, from its own folder alone."""
    from twinjax.runs import Run

    run = Run.open(what)
    manifest = run.manifest
    if manifest["kind"] != "cohort" or "options" not in manifest or "plan" not in manifest:
        raise ValueError(f"{what} is no cohort's run that could go on; simulate it anew")
    study = run.study()
    population = study.population().with_theta(manifest["plan"]["theta"])
    options = manifest["options"] | {"shard": manifest["plan"]["shard"], "chunk": chunk}
    return run, _plan(study, population, options)


def _nothing_else(given: Iterable[str]) -> None:
    said = [f"--{name}" for name in given]
    if said:
        raise ValueError(f"--resume goes on with what the run was asked for; leave {', '.join(said)} out")


def _thresholds(given: Any) -> dict[str, list[float]]:
    """``plasma=10`` options by output, as often as each comes."""
    from twinjax.cli.terminal import numbers

    found: dict[str, list[float]] = {}
    for one in given:
        for name, value in numbers([one], "--above").items():
            found.setdefault(name, []).append(value)
    return found


def _workers(threads: int | None, scheduler: str | None) -> Any:
    if scheduler is not None:
        import importlib.util

        from twinjax.cohorts.cluster import Dask

        if importlib.util.find_spec("distributed") is None:
            raise ValueError("--scheduler needs dask.distributed: pip install 'twinjax[cluster]'")
        return Dask(scheduler)
    from twinjax.cohorts.workers import Threads

    if threads is not None and threads < 1:
        raise ValueError(f"--workers {threads}: at least one thread")
    return Threads(threads)


def _draw(run: Any, model: Any) -> None:
    """A picture of each output's quantiles."""
    import pandas as pd

    import twinjax.plots as plots
    from twinjax.plots.style import output_units

    frame = pd.read_parquet(run.folder / "quantiles.parquet")
    for name, unit in output_units(model).items():
        try:
            run.save_plot(name, plots.quantile_band(frame, name, unit=unit, time_unit=type(model).time_unit))
        except (ValueError, RuntimeError, TypeError, LookupError) as error:
            run.log(f"no picture of {name}: {type(error).__name__}: {error}")


@contextlib.contextmanager
def _bar() -> Iterator[Callable[[Any], None]]:
    """A bar with the rate and the time left, on a terminal; gives what the pace is shown by."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    console = stderr()
    text, rate, left = (TextColumn(t) for t in ("patients", "{task.fields[rate]}", "{task.fields[left]} left"))
    columns = (text, BarColumn(), MofNCompleteColumn(), rate, left)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("patients", total=None, rate="", left="?")

        def show(pace: Any) -> None:
            done = pace.before + pace.done
            rate, left = f"{pace.rate:.0f} patients/s", duration(pace.remaining)
            progress.update(task, total=pace.asked, completed=done, rate=rate, left=left)

        yield show
