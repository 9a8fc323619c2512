"""`twinjax fit`: a study calibrated, watched while it runs, and kept in a run's folder."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from twinjax.cli.terminal import INTERRUPTED, Debug, Json, friendly, print_json, say, short

if TYPE_CHECKING:
    from twinjax.estimation.result import Fit
    from twinjax.io.study import Study
    from twinjax.population.population import Population
    from twinjax.progress import Search
    from twinjax.runs import Run


@friendly
def fit(
    study: Annotated[
        str | None, typer.Argument(help="A study file, or a study that ships, such as theophylline.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the run; default runs/NAME-TIME.")] = None,
    method: Annotated[
        str | None,
        typer.Option(help="FOCEI, FOCE, FO, Laplace, SAEM ...; several in turn as SAEM,ImportanceSampling."),
    ] = None,
    starts: Annotated[int | None, typer.Option(help="How many starting points; default the study's.")] = None,
    seed: Annotated[int | None, typer.Option(help="Of the starting points; default the study's.")] = None,
    resume: Annotated[
        Path | None, typer.Option(help="Go on from where this run ended or was stopped; its study if none is given.")
    ] = None,
    plots: Annotated[bool, typer.Option(help="Save the usual pictures in the run.")] = True,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Fit a study's model to its data, show the estimates and how far to believe them.

    Everything is kept in the folder of the run. Ctrl-C stops the search and keeps the best point so far, from which
    --resume goes on.

    Examples:
    - `twinjax fit theophylline`
    - `twinjax fit study.toml --method FOCE --starts 5 --seed 7 --out runs/trial-1`
    - `twinjax fit study.toml --method SAEM,ImportanceSampling`
    - `twinjax fit --resume runs/trial-1`
    - `twinjax fit study.toml --json | jq .objective`
    """
    from twinjax.cli.cache import keep_compiled

    keep_compiled()
    from twinjax.cli.method import method_of
    from twinjax.io.study import read_study
    from twinjax.progress import Search
    from twinjax.runs import PARTIAL, Run

    before = None if resume is None else Run.open(resume)
    if study is None and before is None:
        raise ValueError("fit what? Give a study, or --resume with the folder of a run")
    asked = {"method": None if method is None else [m.strip() for m in method.split(",")], "starts": starts,
             "seed": seed}  # fmt: skip
    if before is not None and starts is None:
        asked["starts"] = 1
    given = read_study(study) if study is not None else cast("Run", before).study()
    chosen = given.overriding(fit={k: v for k, v in asked.items() if v is not None})
    if before is not None and method is None:
        chosen = _from_stage(chosen, before)
    method_of(chosen.fit)
    trial, population = chosen.trial(), chosen.population()
    if before is not None:
        population = _resumed(population, before)
    run = Run.create("fit", chosen, out=out, command=sys.argv, seed=chosen.fit.seed, inputs=[chosen.source()])
    if before is not None:
        run.note(resumed=str(before.folder))
    saved = 0.0

    def keep(search: Search) -> None:
        nonlocal saved
        last = search.history[-1]
        run.log(
            f"start {last.start + 1} iteration {last.step} objective {last.objective:.4f} gradient {last.gradient:.2g}"
        )
        if time.monotonic() - saved > 1.0:
            run.write_json(PARTIAL, search.to_dict())
            saved = time.monotonic()

    search = Search(population, starts=chosen.fit.starts, changed=keep)
    try:
        with run.recording():
            try:
                found = _watched(chosen, population, trial, search)
            except BaseException:
                run.write_json(PARTIAL, search.to_dict())
                raise
            run.store(found)
            if plots:
                _draw(run, found)
    except KeyboardInterrupt:
        _say_interrupted(run, json)
        raise typer.Exit(INTERRUPTED) from None
    results = run.results
    assert results is not None, "the run has just stored them"
    if json:
        print_json({"run": str(run.folder), **results})
        return
    from twinjax.cli.report import show_fit

    show_fit(results)
    say(f"Kept in {short(run.folder)}")


def _resumed(population: Population, before: Run) -> Population:
    """The population at the point where a run ended.

    **Raises** `ValueError` for a run of another model, and for one that has found nothing.
    """
    theta = before.theta()
    if set(theta) != set(population.theta):
        other = ", ".join(sorted(set(theta) ^ set(population.theta)))
        raise ValueError(f"{before.folder} has other parameters than the study, so it cannot go on: {other}")
    return population.with_theta(theta)


def _from_stage(study: Study, before: Run) -> Study:
    """The study with the methods of a chain that an interrupted run had not got through."""
    stage = 0 if before.results is not None else (before.partial or {}).get("stage", 0)
    left = study.fit.methods[stage:]
    return study.overriding(fit={"method": [{m.name: m.options} for m in left]}) if stage and left else study


def _watched(study: Study, population: Population, trial: Any, search: Search) -> Fit:
    """The fit, with a live trace on a terminal."""
    import twinjax
    from twinjax.cli.live import progress
    from twinjax.cli.method import method_of

    plan = study.fit
    backend = {"exact": twinjax.Exact, "diffrax": twinjax.Diffrax}.get(plan.backend)
    with progress(search):
        return twinjax.fit(
            population, trial, method=method_of(plan), optimiser=search.optimiser, priors=plan.priors,
            backend=None if backend is None else backend(), starts=plan.starts, spread=plan.spread, seed=plan.seed,
            covariance=plan.covariance, progress=search.note,
        )  # fmt: skip


def _draw(run: Run, found: Fit) -> None:
    """The usual pictures. One that cannot be drawn is left out, and the log says why."""
    from twinjax.reports.pictures import pictures

    for picture in pictures(found, replicates=200, seed=found.seed):
        try:
            run.save_plot(picture.name, picture.draw())
        except (ValueError, RuntimeError, TypeError, ArithmeticError, LookupError) as error:
            run.log(f"no picture {picture.name}: {type(error).__name__}: {error}")


def _say_interrupted(run: Run, json: bool) -> None:
    from twinjax.cli.report import show_fit, show_partial

    if json:
        print_json({"run": str(run.folder), "status": run.status, "results": run.results, "partial": run.partial})
        return
    say("Interrupted.")
    if run.results is not None:
        show_fit(run.results)
    else:
        show_partial(run.partial)
    say(f"Kept in {short(run.folder)}")
