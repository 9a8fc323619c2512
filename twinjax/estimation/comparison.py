"""`compare`: fits side by side."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from twinjax.estimation.result import Fit


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Fits side by side. `print(comparison)` shows all of it.

    **Parameters**: `runs`, a row for each fit: model, method, backend, data, subjects, observations, parameters,
    objective, change (from the first), aic, bic, condition (number), converged, doubts (how many), seconds;
    `estimates`, a row for each parameter and for each fit the columns ``estimate`` and ``rse`` (%), NaN where a fit
    has not estimated it (its value stands all the same); `notes`, what forbids to compare objectives, in words.
    """

    runs: pd.DataFrame
    estimates: pd.DataFrame
    notes: tuple[str, ...]

    def rows(self) -> list[list[str]]:
        """The table as text, a row for each quantity, the first cell its name: what `print` and reports show."""
        shown = []
        for key, digits in (
            ("model", 0), ("method", 0), ("data", 0), ("subjects", 0), ("observations", 0), ("parameters", 0),
            ("objective", 3), ("change", 3), ("aic", 3), ("bic", 3), ("condition", 1), ("converged", 0), ("doubts", 0),
            ("seconds", 1),
        ):  # fmt: skip
            shown.append([_CALLED.get(key, key), *(_cell(v, digits) for v in self.runs[key])])
        for name in self.estimates.index:
            row = [str(name)]
            for run in self.runs.index:
                value, rse = (float(self.estimates.loc[name, (run, what)]) for what in ("estimate", "rse"))
                known = "" if math.isnan(rse) else f" ({rse:.0f} %)"
                row.append("" if math.isnan(value) else f"{value:.4g}{known}")
            shown.append(row)
        return shown

    def __str__(self) -> str:
        table = [["", *map(str, self.runs.index)], *self.rows()]
        wide = [max(len(row[i]) for row in table) for i in range(len(table[0]))]
        lines = [
            "  ".join([row[0].ljust(wide[0]), *(c.rjust(w) for c, w in zip(row[1:], wide[1:], strict=True))])
            for row in table
        ]
        return "\n".join([*lines, "", *self.notes]).rstrip()


_CALLED = {"change": "change of objective", "aic": "AIC", "bic": "BIC", "condition": "condition number"}


def compare(*fits: Fit | Mapping[str, Any], names: Sequence[str] | None = None) -> Comparison:
    """Fits side by side: objectives, information criteria, estimates with their relative standard errors.

    **Parameters**: `fits`, two or more, or what their runs keep of them (`Run.results`); `names`, what to call them
    (default: numbers and methods).
    **Raises** `ValueError` for fewer than two, or names that do not go with them.
    """
    if len(fits) < 2:
        raise ValueError(f"a comparison needs at least two fits, not {len(fits)}")
    told = [_told(f) for f in fits]
    if names is None:
        names = [f"{i} {t['method']}" for i, t in enumerate(told, 1)]
    if len(names) != len(fits) or len(set(names)) < len(names):
        raise ValueError(f"{len(fits)} fits need as many different names; these are {', '.join(names)}")
    runs = pd.DataFrame([_row(t) for t in told], index=pd.Index(list(names)))
    runs.insert(7, "change", runs["objective"] - runs["objective"].iloc[0])
    known = [{row["parameter"]: row for row in t["table"]} for t in told]
    parameters = list(dict.fromkeys(n for rows in known for n in rows))
    columns = {}
    for name, t, rows in zip(names, told, known, strict=True):
        columns[name, "estimate"] = [
            _number(rows[n]["estimate"] if n in rows else t["theta"].get(n)) for n in parameters
        ]
        columns[name, "rse"] = [_number(rows[n]["rse"]) if n in rows else math.nan for n in parameters]
    return Comparison(runs, pd.DataFrame(columns, index=pd.Index(parameters)), tuple(_notes(told)))


def _told(fit: Fit | Mapping[str, Any]) -> dict[str, Any]:
    if not isinstance(fit, Fit):
        return dict(fit)
    trial = {"name": fit.trial.name, **fit.trial.summary()}
    more = {"model": type(fit.population.model).__name__, "trial": trial, "converged": fit.converged}
    return {**fit.to_dict(), **more, "doubts": list(fit.doubts)}


def _row(told: Mapping[str, Any]) -> dict[str, Any]:
    eigenvalues = np.asarray([_number(v) for v in told["eigenvalues"]])
    known = len(eigenvalues) > 0 and bool(np.all(eigenvalues > 0))
    return {
        "model": told["model"], "method": told["method"], "backend": told["backend"], "data": told["trial"]["name"],
        "subjects": told["trial"]["subjects"], "observations": told["trial"]["observations"],
        "parameters": len(told["estimated"]), "objective": _number(told["objective"]), "aic": _number(told["aic"]),
        "bic": _number(told["bic"]), "condition": eigenvalues[-1] / eigenvalues[0] if known else math.nan,
        "converged": told["converged"], "doubts": len(told["doubts"]),
        "seconds": float(sum(_number(s) for s in told["seconds"].values())),
    }  # fmt: skip


def _notes(told: Sequence[Mapping[str, Any]]) -> list[str]:
    """Why objectives may not be compared."""
    found = []
    if len({(t["trial"]["observations"], *t["ids"]) for t in told}) > 1:
        found.append("The fits are of different data: objectives and information criteria are not comparable.")
    methods = dict.fromkeys(t["method"] for t in told)
    if len(methods) > 1:
        found.append(f"{', '.join(methods)} approximate the likelihood differently: between them, evaluate the "
                     "estimates by one method before comparing objectives.")  # fmt: skip
    scales = {tuple(sorted(n for n in t["theta"] if n.endswith(".lognormal"))) for t in told}
    if len(scales) > 1:
        found.append("Log-normal residual errors have the objective of logarithms, which lacks 2 sum(log y): not "
                     "comparable with that of others.")  # fmt: skip
    return found


def _number(value: Any) -> float:
    return math.nan if value is None else float(value)


def _cell(value: Any, digits: int) -> str:
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:.{digits}f}"
    return str(value)
