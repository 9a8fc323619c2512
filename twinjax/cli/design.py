"""What `simulate` and `cohort` start from: a study, a run or a model, and doses and times given on the command line."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from twinjax.io.study import Study
    from twinjax.population.population import Population
    from twinjax.runs import Run

Dose = Annotated[float | None, typer.Option(help="Amount of a dose, in the unit of its state (mg).")]
Into = Annotated[str | None, typer.Option(help="State that the dose enters; default the first that takes doses.")]
Every = Annotated[float | None, typer.Option(help="Time from one dose to the next.")]
Count = Annotated[int, typer.Option(help="How many doses.")]
Over = Annotated[float | None, typer.Option(help="Duration of an infusion; a bolus if left out.")]
Until = Annotated[float | None, typer.Option(help="Last time to sample, in the model's unit.")]
Step = Annotated[float | None, typer.Option(help="Time between samples.")]


@dataclasses.dataclass(frozen=True)
class Source:
    """Where patients come from: a study, with the estimates of a run where there is one."""

    study: Study
    population: Population
    run: Run | None = None


def source(said: str, *, start: Mapping[str, float] | None = None, models: bool = False) -> Source:
    """A run's folder, a study (file, or one that ships), or a model of the library at its typical values.

    **Parameters**: `start`, values in place of the study's; `models`, whether a model will do.
    **Raises** `FileNotFoundError` with what it could be; `ValueError` for values given to a run.
    """
    from twinjax.io.study import Study, read_study, shipped
    from twinjax.models import REGISTRY
    from twinjax.naming import suggestion
    from twinjax.runs import MANIFEST, Run

    if (Path(said) / MANIFEST).is_file():
        if start:
            raise ValueError("a run has its own estimates; --set goes with a study or a model")
        run = Run.open(said)
        study = run.study()
        return Source(study, study.population().with_theta(run.theta()), run)
    library = {c.__name__ for c in REGISTRY}
    if models and (said in library or ".py:" in said):
        study = Study.of_model(said, start=start or {})
    elif Path(said).is_file() or said in shipped():
        study = read_study(said)
        study = study.starting(start) if start else study
    else:
        known = [*shipped(), *sorted(library)] if models else [*shipped()]
        what = "study, run or model" if models else "study or run"
        near = suggestion(said, known).partition(" Known:")[0].rstrip(".")
        raise FileNotFoundError(f"there is no {what} {said!r}{near}; studies that ship: {', '.join(shipped())}")
    return Source(study, study.population())


def designed(
    study: Study, *, dose: float | None, into: str | None, every: float | None, count: int, over: float | None,
    until: float | None, step: float | None,
) -> Study:  # fmt: skip
    """The study with the doses and times of the command line in place of its own, where any are given.

    **Raises** `ValueError` for a part of a dose without the dose.
    """
    change: dict[str, Any] = {}
    if dose is None and (into is not None or every is not None or over is not None or count != 1):
        raise ValueError("--into, --every, --count and --over belong to a dose; give --dose AMOUNT")
    if dose is not None:
        given = {"amount": dose, "into": into, "every": every, "count": count, "duration": over}
        change["regimen"] = [{k: v for k, v in given.items() if v is not None}]
    if until is not None or step is not None or study.cohort.times is None:
        last = until or max(24.0, (every or 0.0) * count)
        change["times"] = {"start": 0.0, "stop": last, "step": step or last / 240}
    return study.overriding(cohort=change) if change else study


def reference_covariates(population: Population, given: Mapping[str, float]) -> dict[str, float]:
    """The typical person's covariates: those given, else the references of the effects.

    **Raises** `ValueError` for a covariate that has neither.
    """
    found = dict(given)
    for effects in population.effects.values():
        for effect in effects:
            reference = getattr(effect, "reference", None)
            if effect.covariate not in found and reference is not None:
                found[effect.covariate] = reference
    missing = [n for n in population.covariate_names if n not in found]
    if missing:
        raise ValueError(
            f"who is typical? Give --covariate {missing[0]}=VALUE ({', '.join(missing)} have no reference)"
        )
    return found
