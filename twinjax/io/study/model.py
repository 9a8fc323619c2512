"""The [model] table: a model of the library, of the user's own file, or several coupled; and what varies about it."""

from __future__ import annotations

import dataclasses
import importlib.util
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from twinjax.io.study.tables import Table
from twinjax.models import REGISTRY, Molar, coupled
from twinjax.models.base import AbstractModel, output_names, parameter_units
from twinjax.naming import bind, names, suggestion
from twinjax.observation import (
    AbstractLikelihood,
    AbstractResidual,
    Additive,
    Binary,
    Combined,
    CombinedLinear,
    Logistic,
    LogNormalError,
    NegativeBinomial,
    Ordered,
    Poisson,
    PowerError,
    Proportional,
    TimeToEvent,
)
from twinjax.population.effects import (
    AbstractEffect,
    Allometry,
    Categorical,
    Exponential,
    Linear,
    Maturation,
    Power,
)
from twinjax.population.population import Population
from twinjax.population.variability import AbstractScale, LogitScale, LogScale, NaturalScale

Pair = tuple[str, str]


def read_model(table: Table, folder: Path) -> tuple[AbstractModel | None, tuple[Path, ...]]:
    """The model at the study's starting values, and the user's own files it comes from; None where there is none."""
    files: list[Path] = []
    if "drives" in table and "name" not in table:
        template = _coupled(table, folder, files)
    else:
        cls = model_class(table, "name", folder, files)
        template = None if cls is None else cls.typical()
    start = table.table("start")
    if template is None:
        return None, tuple(files)
    return _started(template, start), tuple(files)


def model_class(table: Table, key: str, folder: Path, files: list[Path]) -> type[AbstractModel] | None:
    """The class that a key names: one of the library, or ``file.py:Class``."""
    known = {c.__name__: c for c in REGISTRY}
    return class_of(table, key, folder, files, known, AbstractModel, "model", "`twinjax models` lists them; ")


def class_of(
    table: Table, key: str, folder: Path, files: list[Path], known: Mapping[str, Any], base: type, what: str, more: str
) -> Any:
    """The class that a key names: one of `known`, or a `base` of the user's, ``file.py:Class``; None for neither."""
    said = table.text(key)
    if not said:
        return None
    if said in known:
        return known[said]
    if ":" not in said:
        hint = suggestion(said, known).partition(" Known:")[0].rstrip(".")
        table.problem(key, f"there is no {what} {said!r}{hint} {more}your own is file.py:Class")
        return None
    name, _, wanted = said.rpartition(":")
    file = (folder / name).resolve()
    if not file.is_file():
        table.problem(key, f"there is no file {name!r}{suggestion(name, _beside(file, '*.py'))}")
        return None
    files.append(file)
    try:
        own = _load(file)
    except Exception as error:
        table.problem(key, f"{name} cannot be imported: {type(error).__name__}: {error}")
        return None
    classes = {n: c for n, c in vars(own).items() if isinstance(c, type) and issubclass(c, base)}
    found = classes.get(wanted)
    if found is None or found is base:
        mine = [n for n, c in classes.items() if c.__module__ == own.__name__]
        table.problem(key, f"{name} has no {what} {wanted!r}{suggestion(wanted, mine)}")
        return None
    return found


def _load(file: Path) -> Any:
    name = f"twinjax_study_{file.stem}_{abs(hash(file))}"
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None, "a .py file has a loader"
    assert spec.loader is not None, "a .py file has a loader"
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # annotations of its models are resolved through this
    spec.loader.exec_module(module)
    return module


def _beside(file: Path, pattern: str) -> list[str]:
    return sorted(f.name for f in file.parent.glob(pattern)) if file.parent.is_dir() else []


def _coupled(table: Table, folder: Path, files: list[Path]) -> AbstractModel | None:
    drives: dict[str, str | Molar] = {}
    wiring = table.table("drives")
    for signal in wiring.values:
        how = 'an output such as "pk.plasma", or { output = "pk.plasma", mass = 0.18 } with its molar mass in mg/umol'
        said = wiring.any(signal, (str, dict), how)
        if isinstance(said, dict):
            own = Table(said, f"{wiring.where}.{signal}", table.problems)
            drives[signal] = Molar(own.text("output"), own.number("mass"))
            own.done()
        elif said:
            drives[signal] = said
    keys = [k for k, v in table.values.items() if isinstance(v, str)]
    parts = {key: model_class(table, key, folder, files) for key in keys}
    if not parts:
        table.problem("", 'drives couples models: name them, as in pk = "TwoCompartmentOral"')
        return None
    if None in parts.values():
        return None
    try:
        return coupled(drives, **{key: cls.typical() for key, cls in parts.items() if cls is not None})
    except ValueError as error:
        wiring.problem("", str(error))
        return None


def _started(template: AbstractModel, table: Table) -> AbstractModel:
    """The model with the study's starting values in place of the typical ones; every value without a default."""
    known, units = names(template), parameter_units(template)
    named = table.names(known, "parameter")
    values = {full: table.number(key) for key, full in named.items()}
    defaults = Population(template).fixed
    missing = [n for n in known if n not in values and n not in defaults]
    if missing:
        said = ", ".join(f"{n} ({units[n]})" for n in missing)
        table.problem("", f"{type(template).__name__} needs a starting value for {said}")
    return bind(template, values)


# ------------------------------------------------------------------------------------------- variability and covariates


def read_variability(table: Table, known: Iterable[str]) -> dict[str, AbstractScale]:
    """Parameter -> scale: a number is log-normal; ``{ natural = 2.0 }``, ``{ logit = 0.5, lower = 0, upper = 1 }``."""
    found: dict[str, AbstractScale] = {}
    for key, full in table.names(known, "parameter").items():
        how = "a number (log-normal), { natural = 2.0 } or { logit = 0.5, lower = 0, upper = 1 }"
        said = table.any(key, (int, float, dict), how)
        if isinstance(said, dict):
            own = Table(said, f"{table.where}.{key}", table.problems)
            if "natural" in own:
                found[full] = NaturalScale(own.number("natural"))
            elif "logit" in own:
                found[full] = LogitScale(own.number("logit"), own.number("lower", 0.0), own.number("upper", 1.0))
            else:
                found[full] = LogScale(own.number("log"))
            own.done()
        elif said is not None:
            found[full] = LogScale(said)
    return found


def read_correlations(table: Table, known: Iterable[str]) -> dict[Pair, float]:
    """``"cl,v" = 0.5``."""
    known, found = tuple(known), {}
    for key, value in table.numbers().items():
        pair = [p.strip() for p in key.split(",")]
        if len(pair) != 2:
            table.problem(key, 'write two names, as in "cl,v" = 0.5')
            continue
        full = [table.known(p, known, "parameter with variability", key) for p in pair]
        if full[0] is not None and full[1] is not None:
            found[full[0], full[1]] = value
    return found


def read_effects(table: Table, known: Iterable[str]) -> dict[str, tuple[AbstractEffect, ...]]:
    """Parameter -> effects: ``{ power = "weight", reference = 70 }``, or a list of such."""
    found = {}
    for key, full in table.names(known, "parameter").items():
        said = table.any(key, (dict, list), 'a table, such as { power = "weight", reference = 70 }, or a list of them')
        each = said if isinstance(said, list) else [] if said is None else [said]
        read = [_effect(Table(one, f"{table.where}.{key}", table.problems)) for one in each]
        found[full] = tuple(e for e in read if e is not None)
    return found


_EFFECTS = ("power", "allometry", "linear", "exponential", "categorical", "maturation")


def _effect(table: Table) -> AbstractEffect | None:
    kinds = [k for k in _EFFECTS if k in table]
    if len(kinds) != 1:
        near = suggestion(next(iter(table.values), ""), _EFFECTS)
        table.problem("", f'say one kind of effect with its covariate, as in power = "weight"{near}')
        return None
    kind = kinds[0]
    covariate = table.text(kind)
    effect: AbstractEffect
    if kind == "power":
        effect = Power(covariate, table.number("reference"), table.number("exponent", 0.0))
    elif kind == "allometry":
        effect = Allometry(table.number("exponent"), covariate, table.number("reference", 70.0))
    elif kind == "linear":
        effect = Linear(covariate, table.number("reference"), table.number("slope", 0.0))
    elif kind == "exponential":
        effect = Exponential(covariate, table.number("reference"), table.number("rate", 0.0))
    elif kind == "categorical":
        changes = table.table("changes")
        if not changes.values:
            table.problem("changes", 'give the relative change of each level, as in changes = { "1" = 0.1 }')
        numbers = {level: changes.number(level) for level in changes.values}
        wrong = [level for level in numbers if not _is_number(level)]
        for level in wrong:
            changes.problem(level, "is not a level; levels are coded numbers, such as 0 and 1")
        effect = Categorical(covariate, {float(k): v for k, v in numbers.items() if k not in wrong})
    else:
        effect = Maturation(covariate, table.number("tm50"), table.number("hill"))
    table.done()
    return effect


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


# ------------------------------------------------------------------------------------------------------ residual errors

_RESIDUALS: Mapping[frozenset[str], Any] = {
    frozenset({"additive"}): Additive,
    frozenset({"proportional"}): Proportional,
    frozenset({"additive", "proportional"}): Combined,
    frozenset({"lognormal"}): LogNormalError,
    frozenset({"proportional", "exponent"}): PowerError,
}


_LIKELIHOODS = {c.__name__: c for c in (Binary, Logistic, Poisson, NegativeBinomial, Ordered, TimeToEvent)}


def read_likelihood(table: Table, folder: Path, files: list[Path]) -> AbstractLikelihood | None:
    """One of the library, or ``likelihood = "file.py:Class"``; the other keys are its parameters."""
    cls = class_of(table, "likelihood", folder, files, _LIKELIHOODS, AbstractLikelihood, "likelihood", "")
    if cls is None:
        return None
    values: dict[str, Any] = {}
    for f in dataclasses.fields(cls):
        how = "what the likelihood asks for: a number, a list of numbers or an output's name"
        required = f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING
        if required or f.name in table:
            said = table.any(f.name, (int, float, str, list), how)
            values[f.name] = tuple(said) if isinstance(said, list) else said
    table.done()
    return None if None in values.values() else cls(**values)


def read_residuals(
    table: Table, model: AbstractModel, folder: Path, files: list[Path]
) -> dict[str, AbstractResidual | AbstractLikelihood]:
    """Output -> residual error, whose keys say which: ``{ additive = 0.7, proportional = 0.1 }``; or a likelihood with
    its parameters: ``{ likelihood = "Ordered", first = -1, steps = [1, 2] }``.
    """
    found = {}
    for key, full in table.names(output_names(model), "output").items():
        own = table.table(key)
        error = read_likelihood(own, folder, files) if "likelihood" in own else _residual(own)
        if error is not None:
            found[full] = error
    return found


def _residual(table: Table) -> AbstractResidual | None:
    kind = table.text("kind", None, choices=("combined1", "combined2"))
    said = frozenset(table.values) - {"kind"}
    cls = CombinedLinear if kind == "combined1" else _RESIDUALS.get(said)
    if cls is None or (kind is not None and said != {"additive", "proportional"}):
        known = dict.fromkeys(k for keys in _RESIDUALS for k in keys)
        unknown = [k for k in said if k not in known]
        hint = suggestion(unknown[0], known) if unknown else ""
        table.problem(
            "", "a residual error has additive, proportional, both (combined1 or combined2 by kind), lognormal, or "
            "proportional and exponent, and other data a likelihood; here is "
            f"{', '.join(sorted(said)) or 'nothing'}{hint}",
        )  # fmt: skip
        return None
    error = cls(**{name: table.number(name) for name in sorted(said)})
    table.done()
    return error
