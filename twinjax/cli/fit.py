"""`twinjax fit`: a study calibrated, watched while it runs, and kept in a run's folder."""

from __future__ import annotations

import contextlib
import math
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from twinjax.cli.terminal import INTERRUPTED, Debug, Json, duration, friendly, print_json, say, short, stderr

if TYPE_CHECKING:
    from twinjax.estimation.result import Fit
    from twinjax.io.study import Study
    from twinjax.progress import Search
    from twinjax.runs import Run


@friendly
def fit(
    study: Annotated[str, typer.Argument(help="A study file, or a study that ships, such as theophylline.")],
    out: Annotated[Path | None, typer.Option(help="Folder of the run; default runs/NAME-TIME.")] = None,
    method: Annotated[str | None, typer.Option(help="FOCEI, FOCE, FO or NaivePooled; default the study's.")] = None,
    starts: Annotated[int | None, typer.Option(help="How many starting points; default the study's.")] = None,
    seed: Annotated[int | None, typer.Option(help="Of the starting points; default the study's.")] = None,
    plots: Annotated[bool, typer.Option(help="Save the usual pictures in the run.")] = True,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Fit a study's model to its data, show the estimates and how far to believe them.

    Everything is kept in the folder of the run. Ctrl-C stops the search and keeps the best point so far.

    Examples:
    - `twinjax fit theophylline`
    - `twinjax fit study.toml --method FOCE --starts 5 --seed 7 --out runs/trial-1`
    - `twinjax fit study.toml --json | jq .objective`
    """
    from twinjax.cli.cache import keep_compiled

    keep_compiled()
    from twinjax.io.study import read_study
    from twinjax.progress import Search
    from twinjax.runs import PARTIAL, Run

    asked = {"method": method, "starts": starts, "seed": seed}
    chosen = read_study(study).overriding(fit={k: v for k, v in asked.items() if v is not None})
    trial, population = chosen.trial(), chosen.population()
    run = Run.create("fit", chosen, out=out, command=sys.argv, seed=chosen.fit.seed, inputs=[chosen.source()])
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


def _watched(study: Study, population: Any, trial: Any, search: Search) -> Fit:
    """The fit, with a line of progress on a terminal."""
    import twinjax

    plan = study.fit
    method = None if plan.method is None else getattr(twinjax, plan.method)()
    backend = {"exact": twinjax.Exact, "diffrax": twinjax.Diffrax}.get(plan.backend)
    with _progress(search):
        return twinjax.fit(
            population, trial, method=method, optimiser=search.optimiser, priors=plan.priors,
            backend=None if backend is None else backend(), starts=plan.starts, spread=plan.spread, seed=plan.seed,
            covariance=plan.covariance, progress=search.note,
        )  # fmt: skip


def _progress(search: Search) -> Any:
    """A live line on stderr; nothing where stderr is no terminal."""
    from rich.live import Live
    from rich.spinner import Spinner
    from rich.text import Text

    console, began, spinner = stderr(), time.monotonic(), Spinner("dots")

    def line() -> Any:
        spinner.update(text=Text(progress_line(search, time.monotonic() - began)))
        return spinner

    if not console.is_terminal:
        return contextlib.nullcontext()
    return Live(get_renderable=line, console=console, refresh_per_second=8, transient=True)


def progress_line(search: Search, elapsed: float) -> str:
    """Where a search is: iteration, objective, gradient, rate, and about how long it may still take."""
    if not search.history:
        return f"compiling, and a first look at the data: {duration(elapsed)}"
    last = search.history[-1]
    if not search.searching:
        return f"objective {last.objective:.3f}; standard errors, about {duration(search.covariance_seconds)}"
    start = f"start {last.start + 1} of {search.starts}, " if search.starts > 1 else ""
    parts = [
        f"{start}iteration {last.step}",
        f"objective {last.objective:.3f}",
        f"largest gradient {last.gradient:.2g}",
    ]
    if math.isfinite(search.rate):
        parts.append(f"{search.rate:.1f} iterations/s")
    if math.isfinite(search.remaining):
        parts.append(f"about {duration(search.remaining)} left")
    return ", ".join(parts)


def _draw(run: Run, found: Fit) -> None:
    """The usual pictures. One that cannot be drawn is left out, and the log says why."""
    import twinjax.plots as plots
    from twinjax.estimation.diagnosis.predictive_check import predictive_check

    pictures = {
        "goodness_of_fit": lambda: plots.goodness_of_fit(found),
        "individual_fits": lambda: plots.individual_fits(found),
        "convergence": lambda: plots.convergence(found),
    }
    if found.population.etas:
        pictures["etas"] = lambda: plots.etas(found)
        pictures["vpc"] = lambda: plots.vpc(predictive_check(found, replicates=200, seed=found.seed))
    for name, draw in pictures.items():
        try:
            run.save_plot(name, draw())
        except (ValueError, RuntimeError, TypeError, ArithmeticError, LookupError) as error:
            run.log(f"no picture {name}: {type(error).__name__}: {error}")


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
