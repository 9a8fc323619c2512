"""Whether data fit a model: compartments, outputs, routes and covariates that both must know."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from twinjax.dosing import MODELLED_DURATION, MODELLED_RATE
from twinjax.io.problems import Problem
from twinjax.models.base import AbstractModel, input_names, output_names, state_names
from twinjax.naming import resolve, suggestion
from twinjax.population.subject import TrialData


def check_against(trial: TrialData, model: AbstractModel, *, covariates: Iterable[str] = ()) -> list[Problem]:
    """What of the data the model cannot take, one problem per subject and cause; empty if there is nothing.

    **Parameters**: `covariates`, the names that a population needs.
    Found are: doses into a compartment that is unknown or takes none, modelled rates and durations that the model's
    route does not declare, observations of an unknown output, and subjects without a covariate.
    """
    needed, outputs = tuple(covariates), output_names(model)
    doses = {(k.into, k.mode) for s in trial for k in s.regimen.kinds if k.evid != 3}
    refused = {dose: _refusal(*dose, model) for dose in doses}
    seen = {o for s in trial for o in s.measurements.output}
    unknown = {o: f"an observation of {o!r}: {why}" for o in seen if (why := _named(o, outputs, "output")[1])}
    found: list[Problem] = []
    for s in trial:
        said = [refused[k.into, k.mode] for k in s.regimen.kinds if k.evid != 3]
        said += [("DVID", unknown[o]) for o in s.measurements.output if o in unknown]
        said += [("covariates", _lacking(n, s.covariates)) for n in needed if n not in s.covariates]
        found += [Problem(None, p[0], s.id, p[1]) for p in dict.fromkeys(said) if p is not None]
    return found


def _refusal(into: str | int, mode: int, model: AbstractModel) -> tuple[str, str] | None:
    """The column, and why the model does not take a dose like this; None if it does."""
    states, name = state_names(model), type(model).__name__
    state, why = _named(into, states, "compartment")
    if state is None:
        return "CMT", f"a dose into {into!r}: {why}"
    dosed = [n for n in input_names(model) if n in states]
    if state not in dosed:
        return "CMT", f"a dose into {state!r}, which {name} does not let be dosed{suggestion(state, dosed)}"
    if mode not in (MODELLED_RATE, MODELLED_DURATION):
        return None
    what, code = ("rate", -1) if mode == MODELLED_RATE else ("duration", -2)
    route = model.routes().get(state)
    if route is not None and getattr(route, what) is not None:
        return None
    cannot = f"RATE = {code}, but {name} has no modelled {what} for doses into {state!r}"
    return "RATE", f"{cannot}; declare `{what}` in its routes, or give the rate in the data"


def _named(said: str | int, known: tuple[str, ...], what: str) -> tuple[str | None, str]:
    """The full name that a name or a number stands for; or None, and why there is none."""
    if isinstance(said, int):
        if 1 <= said <= len(known):
            return known[said - 1], ""
        return None, f"the model has {what}s 1 to {len(known)} ({', '.join(known)})"
    try:
        return resolve(said, known, what), ""
    except ValueError as error:
        return None, str(error)


def _lacking(name: str, there: Mapping[str, object]) -> str:
    return f"the population needs a covariate {name!r}, which the subject lacks{suggestion(name, there)}"
