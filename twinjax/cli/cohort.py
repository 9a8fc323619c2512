"""`twinjax cohort`: virtual patients of a study or a fit, by the million if need be."""

from __future__ import annotations

import collections
import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from twinjax.cli.design import Count, Dose, Every, Into, Over, Source, Step, Until, designed, source
from twinjax.cli.terminal import INTERRUPTED, Debug, Json, friendly, print_json, say, short, stderr

QUANTILES = (0.05, 0.5, 0.95)
HELD = 50_000_000
"""How many values are held for quantiles and pictures; of more patients than that, the first ones serve."""


@friendly
def cohort(
    what: Annotated[str, typer.Argument(help="A study (file, or one that ships), or the folder of a fit.")],
    patients: Annotated[int | None, typer.Option(help="How many; default the study's.")] = None,
    seed: Annotated[
        int | None, typer.Option(help="A patient depends on it and its index alone; default the study's.")
    ] = None,
    dose: Dose = None,
    into: Into = None,
    every: Every = None,
    count: Count = 1,
    over: Over = None,
    until: Until = None,
    step: Step = None,
    chunk: Annotated[int, typer.Option(help="How many are solved at once (memory, not results).")] = 4096,
    out: Annotated[Path | None, typer.Option(help="Folder of the run; default runs/NAME-cohort-TIME.")] = None,
    plots: Annotated[bool, typer.Option(help="Draw the quantile bands.")] = True,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Simulate virtual patients, who differ as the population's variability and covariates say.

    The run holds outputs.parquet (a row for each patient and time), patients.parquet (parameters, etas, covariates and
    the result code of each patient), quantiles and their picture. Patients that cannot be solved are kept, with their
    codes. Ctrl-C keeps the chunks that are done.

    Examples:
    - `twinjax cohort theophylline --patients 10000 --seed 1`
    - `twinjax cohort runs/theophylline-20260101-120000 --patients 1000 --dose 300 --every 12 --count 14`
    """
    from twinjax.cli.cache import keep_compiled

    keep_compiled()
    from twinjax.runs import RESULTS, Run

    found = source(what)
    change = {k: v for k, v in (("patients", patients), ("seed", seed)) if v is not None}
    study = designed(found.study, dose=dose, into=into, every=every, count=count, over=over, until=until, step=step)
    study = study.overriding(cohort=change) if change else study
    plan = study.cohort
    if plan.regimen is None:
        raise ValueError(f"{study.name} has no regimen: give --dose AMOUNT, or write [cohort] regimen in the study")
    if chunk < 1:
        raise ValueError(f"--chunk {chunk}: at least one patient at a time")
    covariates = study.trial() if plan.covariates is None else plan.covariates
    inputs = [study.source()] if plan.covariates is None else []
    inputs += [found.run.folder / RESULTS] if found.run is not None and found.run.results is not None else []
    from twinjax.population.cohort import cohort as draw

    virtual = draw(found.population, plan.patients, seed=plan.seed, covariates=covariates)
    run = Run.create("cohort", study, out=out, command=sys.argv, seed=plan.seed, inputs=inputs)
    interrupted = False
    with run.recording():
        results, kept = _stream(run, found, virtual, plan, chunk)
        interrupted = results["patients"] < plan.patients
        frame = quantiles(kept)
        run.write_frame("quantiles", frame)
        results |= {
            "theta": {n: float(v) for n, v in found.population.theta.items()},
            "quantiles": frame.to_dict("records"),
        }
        run.write_json(RESULTS, results)
        if plots:
            _draw(run, kept, type(study.model).time_unit)
    if interrupted:
        run.close("interrupted", f"stopped by the user after {results['patients']} of {plan.patients} patients")
    if json:
        print_json({"run": str(run.folder), "status": run.status, **results})
    else:
        from twinjax.cli.report import show_cohort

        show_cohort(results)
        say(f"{'Interrupted; what was done is' if interrupted else 'Kept'} in {short(run.folder)}")
    if interrupted:
        raise typer.Exit(INTERRUPTED)


def _stream(run: Any, found: Source, virtual: Any, plan: Any, chunk: int) -> tuple[dict[str, Any], Any]:
    """Solve chunk by chunk, writing as it goes; what became of the patients, and the solutions held for quantiles."""
    import numpy as np

    from twinjax.cli.simulate import output_frame
    from twinjax.naming import leaves
    from twinjax.progress import in_chunks, joined, take
    from twinjax.solve.problem import RESULTS as MEANINGS
    from twinjax.solve.simulate import choose, pose

    first: Any = take(virtual, np.arange(1))
    backend = choose(pose(first, plan.regimen, plan.times))
    codes: collections.Counter[int] = collections.Counter()
    held, values, pace = [], 0, Pace()
    with _bar(len(virtual)) as bar, run.frames("outputs") as outputs, run.frames("patients") as people:
        try:
            for part, solution in in_chunks(virtual, plan.regimen, plan.times, size=chunk, backend=backend):
                outputs(output_frame(part.ids, solution))
                people(patient_frame(part, solution, found.population.etas))
                codes.update(int(c) for c in solution.result)
                values += solution.time.size * len(leaves(solution.output))
                if not held or values <= HELD:
                    held.append(solution)
                pace.note(len(part))
                bar(len(part), pace.rate)
        except KeyboardInterrupt:
            if not held:
                raise
    done = sum(codes.values())
    told = [{"code": c, "patients": n, "meaning": MEANINGS[c]} for c, n in sorted(codes.items())]
    run.log(f"{done} patients in {pace.seconds:.2f} s; " + ", ".join(f"{t['patients']} {t['meaning']}" for t in told))
    return {"patients": done, "asked": len(virtual), "seed": plan.seed, "backend": type(backend).__name__,
            "seconds": pace.seconds, "rate": pace.rate, "results": told}, joined(held)  # fmt: skip


def patient_frame(part: Any, solution: Any, etas: tuple[str, ...]) -> Any:
    """One row a patient: result code, covariates, random effects, parameters."""
    import numpy as np
    import pandas as pd

    from twinjax.naming import leaves

    n = len(part)
    columns: dict[str, Any] = {"id": list(part.ids), "result": np.asarray(solution.result, int)}
    columns |= {f"covariate.{name}": np.asarray(v) for name, v in part.covariates.items()}
    columns |= {f"eta.{name}": np.asarray(part.eta[:, i]) for i, name in enumerate(etas)}
    columns |= {name: np.broadcast_to(np.asarray(v), (n,)) for name, v in leaves(part.model).items()}
    return pd.DataFrame(columns)


def quantiles(kept: Any) -> Any:
    """Of the solved patients, by time: a column ``plasma.q05`` for each output and quantile."""
    import numpy as np
    import pandas as pd

    from twinjax.naming import leaves

    good = np.asarray(kept.result) == 0
    columns: dict[str, Any] = {"time": np.asarray(kept.time[0])}
    for name, value in leaves(kept.output).items():
        own = np.asarray(value)[good]
        found = np.quantile(own, QUANTILES, axis=0) if len(own) else np.full((3, value.shape[1]), np.nan)
        columns |= {f"{name}.q{round(100 * q):02d}": row for q, row in zip(QUANTILES, found, strict=True)}
    return pd.DataFrame(columns)


def _draw(run: Any, kept: Any, time_unit: Any) -> None:
    import twinjax.plots as plots
    from twinjax.naming import leaves

    for name in leaves(kept.output):
        try:
            run.save_plot(
                name, plots.concentration_time(kept, output=name, band=len(kept.result) > 1, time_unit=time_unit)
            )
        except (ValueError, RuntimeError, TypeError, LookupError) as error:
            run.log(f"no picture of {name}: {type(error).__name__}: {error}")


@contextlib.contextmanager
def _bar(total: int) -> Iterator[Callable[[int, float], None]]:
    """A bar with the rate and the time left, on a terminal; gives what advances it."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = stderr()
    text, rate = TextColumn("patients"), TextColumn("{task.fields[rate]}")
    columns = (text, BarColumn(), MofNCompleteColumn(), rate, TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("patients", total=total, rate="compiling")
        yield lambda n, rate: progress.update(task, advance=n, rate=f"{rate:.0f} patients/s")


class Pace:
    """Patients a second, the first chunk (which waits for compilation) left out once there are more."""

    def __init__(self) -> None:
        self.began = self.first = self.last = time.perf_counter()
        self.done: list[int] = []

    def note(self, patients: int) -> None:
        """A chunk is done."""
        self.last = time.perf_counter()
        if not self.done:
            self.first = self.last
        self.done.append(patients)

    @property
    def seconds(self) -> float:
        """In all."""
        return self.last - self.began

    @property
    def rate(self) -> float:
        """Patients a second."""
        if len(self.done) > 1:
            return sum(self.done[1:]) / (self.last - self.first)
        return sum(self.done) / max(self.seconds, 1e-9)
