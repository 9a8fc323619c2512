"""The tables of a report: cells are text or numbers, shown alike everywhere."""

from __future__ import annotations

import dataclasses
import inspect
import math
import re
import textwrap
from collections.abc import Iterable, Sequence
from typing import Any

import jax
import numpy as np
import pandas as pd

from twinjax.estimation.diagnosis.npde import npde_tests
from twinjax.estimation.result import Fit
from twinjax.models.base import AbstractModel, output_names, parameter_units, zeros
from twinjax.naming import leaves, resolve
from twinjax.observation import QUANTIFIED
from twinjax.population.effects import AbstractEffect
from twinjax.population.variability import LogitScale, LogScale, NaturalScale
from twinjax.units import declared


@dataclasses.dataclass(frozen=True)
class Table:
    """Heads and rows as text, which columns are numbers, and what to say of it."""

    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numeric: tuple[bool, ...]
    note: str = ""

    @staticmethod
    def of(heads: Sequence[str], rows: Iterable[Sequence[Any]], note: str = "") -> Table:
        """Of any cells: numbers to four digits, nothing where a number is not known."""
        rows = [tuple(row) for row in rows]
        numeric = tuple(
            any(_number(row[k]) for row in rows) and all(_number(row[k]) or row[k] in ("", None) for row in rows)
            for k in range(len(heads))
        )
        return Table(tuple(heads), tuple(tuple(cell(v) for v in row) for row in rows), numeric, note)

    @staticmethod
    def frame(frame: pd.DataFrame, note: str = "", rows: int | None = None) -> Table:
        """Of a frame, at most the first `rows`."""
        shown = frame if rows is None else frame.iloc[:rows]
        return Table.of(list(map(str, frame.columns)), shown.itertuples(index=False), note)


def cell(value: Any) -> str:
    """A value as text."""
    if value is None or (isinstance(value, float | np.floating) and math.isnan(value)):
        return ""
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    return f"{value:.4g}" if isinstance(value, float | np.floating) else str(value)


def _number(value: Any) -> bool:
    return isinstance(value, int | float | np.number) and not isinstance(value, bool | np.bool_)


# ------------------------------------------------------------------------------------------------------ model and data


def equations(model: AbstractModel) -> list[tuple[str, str, str]]:
    """Name, description and source of the equations of a model and of every model that it couples."""
    parts = [p for p in jax.tree.leaves(model, is_leaf=lambda x: isinstance(x, AbstractModel) and x is not model)
             if isinstance(p, AbstractModel)]  # fmt: skip
    found, seen = [], set[type]()
    for part in [*parts, *([] if parts else [model])]:
        cls = type(part)
        if cls in seen:
            continue
        seen.add(cls)
        found.append((cls.__name__, _plain(inspect.getdoc(cls) or ""), _source(cls)))
    return found


def _plain(doc: str) -> str:
    """A docstring without its marks."""
    doc = re.sub(r"\n*\.\. code-block::.*\n", "\n", doc)
    return re.sub(r"\*\*|`", "", doc)


def _source(cls: type) -> str:
    """What `initial`, `derivative`, `output` and `routes` compute, without their own descriptions."""
    parts = []
    for name in ("initial", "derivative", "output", "routes"):
        owner = next(c for c in cls.__mro__ if name in vars(c))
        if owner is AbstractModel:
            continue
        try:
            source = textwrap.dedent(inspect.getsource(vars(owner)[name]))
        except (OSError, TypeError):
            continue
        doc = inspect.getdoc(vars(owner)[name])
        lines = source.splitlines()
        if doc and len(lines) > 1 and lines[1].lstrip().startswith('"""'):
            end = next(k for k in range(1, len(lines)) if lines[k].rstrip().endswith('"""'))
            lines = [lines[0], *lines[end + 1 :]]
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


_SCALES = {LogScale: "log-normal", NaturalScale: "normal", LogitScale: "logit-normal"}


def parameters(fit: Fit) -> Table:
    """Every parameter of the model: unit, value, whether it is estimated, how individuals vary, what covariates do."""
    p, units = fit.population, parameter_units(fit.population.model)
    rows = []
    for name in leaves(p.model) if p.write_out is None else [n for n, _ in p.bounds]:
        scale = p.scales.get(name)
        varies = "" if scale is None else _SCALES.get(type(scale), type(scale).__name__)
        effects = ", ".join(_effect(fit, name, e) for e in p.effects.get(name, ()))
        how = "estimated" if name in fit.estimated else "fixed"
        rows.append((name, units.get(name, ""), fit.theta.get(name), how, varies, effects))
    return Table.of(("parameter", "unit", "typical value", "", "between people", "covariates"), rows)


def _effect(fit: Fit, name: str, effect: AbstractEffect) -> str:
    """An effect with the values of its coefficients."""
    named = {s: ".".join(x for x in (name, effect.covariate, s) if x) for s in effect.coefficients()}
    values = ", ".join(f"{s} {fit.theta[n]:.4g}".strip() for s, n in named.items())
    return f"{type(effect).__name__} of {effect.covariate} ({values})"


def residual_errors(fit: Fit) -> Table:
    """The residual error of each output."""
    rows = []
    theta = fit.theta
    varying = {n: f" (between people {theta[f'omega.{n}']:.4g})" for n in fit.population.varying_errors}
    for output, error in fit.population.residuals.items():
        said = _plain((inspect.getdoc(type(error)) or "").split("\n\n")[0].replace("\n", " "))
        named = {n: f"{output}.{n}" for n in leaves(error)}
        values = ", ".join(f"{n} {theta[full]:.4g}{varying.get(full, '')}" for n, full in named.items())
        rows.append((output, type(error).__name__, values, said))
    return Table.of(("output", "residual error", "at", "what it is"), rows)


def measured(fit: Fit) -> dict[str, np.ndarray]:
    """Time, value and censoring `(3, measurements)` of every output that is measured, in the order of the model's."""
    outputs, found = output_names(fit.population.model), dict[str, list[np.ndarray]]()
    for s in fit.trial:
        m = s.measurements
        named = np.asarray([outputs[o - 1] if isinstance(o, int) else resolve(o, outputs, "output") for o in m.output])
        for name in np.unique(named):
            own = named == name
            found.setdefault(str(name), []).append(np.stack([m.time[own], m.value[own], m.censored[own]]))
    return {n: np.concatenate(found[n], axis=1) for n in outputs if n in found}


def data(fit: Fit) -> tuple[Table, Table, Table]:
    """Counts; measurements by output; covariates of the people."""
    trial, rows = fit.trial, []
    counts = Table.of(("what", "how many"), [(k.replace("_", " "), v) for k, v in trial.summary().items()])
    units = {n: str(u) if u else "" for n, (u, _) in declared(zeros(type(fit.population.model).Output)).items()}
    for output, (time, value, censored) in measured(fit).items():
        seen = value[censored == QUANTIFIED]
        spread = (np.min(seen), np.median(seen), np.max(seen)) if len(seen) else (math.nan,) * 3
        beyond = int(np.sum(censored != QUANTIFIED))
        rows.append((output, units.get(output, ""), len(value), beyond, *spread, np.min(time), np.max(time)))
    heads = ("output", "unit", "measurements", "censored", "least", "median", "greatest", "first time", "last time")
    by_output = Table.of(heads, rows)
    own = {c: np.asarray([np.ravel(s.covariates[c])[0] for s in trial], float) for c in trial.covariate_names}
    covariates = Table.of(
        ("covariate", "least", "median", "greatest", "different values"),
        [(c, x.min(), np.median(x), x.max(), len(np.unique(x))) for c, x in own.items()],
    )
    return counts, by_output, covariates


# ------------------------------------------------------------------------------------------------ estimates, residuals


def estimates(fit: Fit) -> Table:
    """Estimates with their standard errors, intervals and shrinkage."""
    heads = ("parameter", "estimate", "unit", "se", "rse %", "2.5 %", "97.5 %", "shrinkage %")
    return Table.frame(fit.table.reset_index().set_axis(list(heads), axis=1))


def correlations(fit: Fit) -> Table | None:
    """Correlations of the estimates; None where they are not known."""
    if not fit.uncertainty.known:
        return None
    covariance = fit.uncertainty.covariance
    sd = np.sqrt(np.diag(covariance))
    r = covariance / sd[:, None] / sd[None, :]
    rows = [(n, *(f"{v:.2f}" if i > j else "" for j, v in enumerate(r[i]))) for i, n in enumerate(fit.estimated)]
    return Table(("", *fit.estimated), tuple(rows), (False, *(True for _ in fit.estimated)))


def residual_summary(residuals: pd.DataFrame, discrepancies: pd.DataFrame | None) -> Table:
    """How residuals are distributed, by output: those of a model that is right have mean 0 and deviation 1."""
    rows = []
    for output, own in residuals.groupby("OUTPUT", sort=False):
        for name in ("CWRES", "WRES", "IWRES"):
            rows.append((output, name, *_spread(own[name].to_numpy(float))))
        if discrepancies is not None:
            of = discrepancies.loc[discrepancies["OUTPUT"] == output]
            for name in ("NPDE", "NPD"):
                rows.append((output, name, *_spread(of[name].to_numpy(float))))
    heads = ("output", "residual", "count", "mean", "deviation", "beyond 1.96 (%)", "least", "greatest")
    return Table.of(heads, rows, "Standard normal residuals have mean 0, deviation 1, and 5 % beyond 1.96.")


def _spread(x: np.ndarray) -> tuple[Any, ...]:
    x = x[np.isfinite(x)]
    if len(x) < 2:
        return len(x), math.nan, math.nan, math.nan, math.nan, math.nan
    return len(x), x.mean(), x.std(ddof=1), 100 * np.mean(np.abs(x) > 1.96), x.min(), x.max()


def tests(discrepancies: pd.DataFrame) -> Table:
    """Whether NPDE are standard normal."""
    note = "p: three times the least of the three p-values. With many measurements, small departures show."
    return Table.frame(npde_tests(discrepancies).reset_index(), note)
