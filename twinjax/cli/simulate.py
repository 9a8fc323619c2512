"""`twinjax simulate`: one typical patient, or a trial's subjects, over time."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from twinjax.cli.design import (
    Count,
    Dose,
    Every,
    Into,
    Over,
    Source,
    Step,
    Until,
    designed,
    reference_covariates,
    source,
)
from twinjax.cli.terminal import Debug, Json, friendly, numbers, print_json, say, show_table


@friendly
def simulate(
    what: Annotated[str, typer.Argument(help="A study, the folder of a fit, or a model (at its typical values).")],
    dose: Dose = None,
    into: Into = None,
    every: Every = None,
    count: Count = 1,
    over: Over = None,
    until: Until = None,
    step: Step = None,
    value: Annotated[list[str] | None, typer.Option("--set", help="Parameter=value; repeatable.")] = None,
    covariate: Annotated[list[str] | None, typer.Option(help="Covariate=value of the patient; repeatable.")] = None,
    subjects: Annotated[
        bool, typer.Option("--subjects", help="The data's subjects instead, as they were dosed and sampled.")
    ] = False,
    out: Annotated[Path | None, typer.Option(help="Write the table to this .parquet or .csv file.")] = None,
    plot: Annotated[Path | None, typer.Option(help="Draw it to this .png file.")] = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Simulate one typical patient, or the subjects of a study's data.

    With the folder of a fit, at its estimates; --subjects then at each subject's own parameters.

    Examples:
    - `twinjax simulate OneCompartmentOral --dose 320 --every 24 --count 7 --set ka=1.2 --plot week.png`
    - `twinjax simulate theophylline --out typical.csv`
    - `twinjax simulate runs/theophylline-20260101-120000 --subjects --out subjects.parquet`
    """
    from twinjax.cli.cache import keep_compiled

    keep_compiled()
    if out is not None and out.suffix not in (".parquet", ".csv"):
        raise ValueError(f"--out {out}: the file ends in .parquet or .csv")
    found = source(what, start=numbers(value or (), "--set"), models=True)
    if subjects:
        if dose is not None or until is not None or step is not None:
            raise ValueError("--subjects have doses and times of their own; leave --dose, --until and --step out")
        ids, solution, data = _subjects(found)
    else:
        study = designed(found.study, dose=dose, into=into, every=every, count=count, over=over, until=until, step=step)
        ids, solution, data = ("typical",), _typical(found, study, numbers(covariate or (), "--covariate")), None
    frame = output_frame(ids, solution)
    if out is not None:
        from twinjax.runs import atomic

        with atomic(out) as part:
            frame.to_csv(part, index=False) if out.suffix == ".csv" else frame.to_parquet(part, index=False)
    if plot is not None:
        import twinjax.plots as plots

        plots.concentration_time(solution, data=data, time_unit=type(found.study.model).time_unit).savefig(plot)
    if json:
        print_json({"study": found.study.name, "unit_of_time": str(type(found.study.model).time_unit),
                    "rows": len(frame), "columns": frame.to_dict(orient="list")})  # fmt: skip
        return
    shown = frame.iloc[sorted({round(k * (len(frame) - 1) / 11) for k in range(12)})]
    show_table(shown.itertuples(index=False), frame.columns, title=f"{len(shown)} of {len(frame)} rows")
    for file in (out, plot):
        if file is not None:
            say(f"Written to {file}")


def _typical(found: Source, study: Any, given: dict[str, float]) -> Any:
    """One patient without random effects."""
    import jax.numpy as jnp

    from twinjax.dosing import Regimen
    from twinjax.solve.simulate import simulate as solve

    population = found.population
    own = reference_covariates(population, given)
    model = population.individual(population.theta, jnp.zeros(len(population.etas)), own)
    regimen = study.cohort.regimen
    return solve(model, Regimen.none() if regimen is None else regimen, study.cohort.times, throw=True)


def _subjects(found: Source) -> tuple[tuple[str, ...], Any, Any]:
    """The data's subjects, at eta-hat where they were fitted."""
    import numpy as np

    from twinjax.population.cohort import subjects
    from twinjax.solve.simulate import simulate as solve

    trial = found.study.trial()
    results = found.run.results if found.run is not None else None
    eta = None if results is None else np.asarray(results["eta"], float).reshape(len(trial), -1)
    who: Any = subjects(found.population, trial, eta)
    return trial.ids, solve(who, throw=True), trial


def output_frame(ids: tuple[str, ...], solution: Any) -> Any:
    """One row a patient and time, one column an output."""
    import numpy as np
    import pandas as pd

    from twinjax.naming import leaves

    patients, samples = solution.time.shape
    columns = {"id": np.repeat(np.asarray(ids, dtype=object), samples), "time": np.asarray(solution.time).ravel()}
    columns |= {n: np.asarray(v).reshape(patients, samples).ravel() for n, v in leaves(solution.output).items()}
    return pd.DataFrame(columns)
