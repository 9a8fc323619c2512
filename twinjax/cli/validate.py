"""`twinjax validate`: everything that is wrong with a data file, at once."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated, Any

import typer

from twinjax.cli.terminal import Debug, Json, assignments, friendly, print_json, say, show_table


@friendly
def validate(
    data: Annotated[str, typer.Argument(help="A NONMEM-style data file, a study file, or a data set that ships.")],
    model: Annotated[str | None, typer.Option(help="Check the doses and outputs against this model.")] = None,
    column: Annotated[list[str] | None, typer.Option(help="Part=column, such as ID=subject; repeatable.")] = None,
    unit: Annotated[list[str] | None, typer.Option(help="Column=unit, such as TIME=day; repeatable.")] = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """List every problem of a data file, with its row, column and subject. Exit status 1 if there are errors.

    Examples:
    - `twinjax validate trial.csv`
    - `twinjax validate trial.csv --model OneCompartmentOral --column ID=subject --unit TIME=day`
    - `twinjax validate study.toml` checks the study's data as the study reads them
    """
    from twinjax.io import read_nonmem
    from twinjax.io import validate as find_problems

    file, how, target, covariates = _what(data, model)
    how |= {
        k: v
        for k, v in (("columns", assignments(column or (), "--column")), ("units", assignments(unit or (), "--unit")))
        if v
    }
    problems = list(find_problems(file, **how))
    summary: dict[str, Any] = {}
    if not any(p.severity == "error" for p in problems):
        trial = read_nonmem(file, **how)
        summary = {**trial.summary(), "covariates": list(trial.covariate_names)}
        if target is not None:
            from twinjax.io import check_against

            problems += check_against(trial, target, covariates=covariates)
    errors = sum(p.severity == "error" for p in problems)
    if json:
        told = [dataclasses.asdict(p) for p in problems]
        print_json(
            {"file": file.name, "errors": errors, "notes": len(problems) - errors, "problems": told, "summary": summary}
        )
    else:
        if problems:
            rows = [(p.severity, p.row, p.column, p.subject, p.message) for p in problems]
            show_table(rows, ("", "row", "column", "subject", "what"), title=file.name)
        if summary:
            counts = (
                "{subjects} subjects, {observations} observations, {censored} censored, {dose_records} dose records"
            )
            known = ", ".join(summary["covariates"]) or "none"
            say(f"{file.name}: {counts.format(**summary)}; covariates: {known}")
        notes = len(problems) - errors
        say(
            f"{errors} error{'s' * (errors != 1)}, {notes} note{'s' * (notes != 1)}."
            if problems
            else "No problems found."
        )
    if errors:
        raise typer.Exit(1)


def _what(said: str, model: str | None) -> tuple[Path, dict[str, Any], Any, tuple[str, ...]]:
    """The data file, how to read it, and the model and covariates to check it against."""
    from twinjax.io.study import Study, data_file, read_study

    if said.endswith(".toml"):
        study = read_study(said)
        how = dict(study.data.how) if study.data else {}
        how.pop("name", None)
        return study.source(), how, study.model, study.population().covariate_names
    file = data_file(said)
    if model is None:
        return file, {}, None, ()
    return file, {}, Study.of_model(model).model, ()
