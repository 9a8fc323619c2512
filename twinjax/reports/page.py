"""`report`: a fit as one HTML page that opens anywhere, without a network."""

from __future__ import annotations

import datetime
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
from markupsafe import Markup

from twinjax.estimation.diagnosis.individual import eta_covariates, individual_objectives
from twinjax.estimation.diagnosis.residuals import etas as eta_table
from twinjax.estimation.result import Fit
from twinjax.reports import tables
from twinjax.reports.pictures import Checks, inline, pictures
from twinjax.reports.tables import Table
from twinjax.runs import Run, atomic, made_with

_ROWS = 1000
"""Rows of a table of every measurement or person that the page shows; files hold the rest."""


def report(
    fit: Fit, file: str | Path, *, run: Run | None = None, replicates: int = 300, seed: int | None = None
) -> Path:
    """Write a fit's report: one HTML file that holds everything and asks for nothing from elsewhere.

    It has the verdict, the model's equations and parameters with units, a summary of the data, estimates with standard
    errors, intervals and shrinkage, every diagnostic picture with how to read it, tables of residuals and people, and
    what it was made with.

    **Parameters**: `file`, where to write; `run`, whose manifest (versions, hashes, command) is shown, None for this
    session's; `replicates`, simulated trials of each predictive check; `seed`, of the simulations (default the fit's).
    **Returns** the file. A picture that cannot be drawn is left out, and the page says why.
    """
    file, seed = Path(file), fit.seed if seed is None else seed
    parts, failed, checks = [], [], Checks(fit, replicates, seed)
    for picture in pictures(fit, replicates=replicates, seed=seed, checks=checks):
        try:
            parts.append((picture, inline(picture.draw(), fit.trial.observations)))
        except (ValueError, RuntimeError, TypeError, ArithmeticError, LookupError) as error:
            failed.append(f"{picture.title}: {error}")
    residuals, discrepancies = checks.residuals, checks.discrepancies if fit.population.etas else None
    text = _template().render(
        title=f"{type(fit.population.model).__name__} fitted to {fit.trial.name}", fit=fit, summary=_summary(fit, run),
        verdict=_verdict(fit, run), equations=tables.equations(fit.population.model),
        parameters=tables.parameters(fit), errors=tables.residual_errors(fit), data=tables.data(fit),
        estimates=tables.estimates(fit), correlations=tables.correlations(fit), pictures=parts, failed=failed,
        residuals=tables.residual_summary(residuals, discrepancies),
        tests=None if discrepancies is None else tables.tests(discrepancies),
        covariates=_some(eta_covariates(fit)), people=_people(fit), rows=_measurements(residuals, discrepancies),
        made=_made(run), written=datetime.datetime.now().astimezone().isoformat(timespec="minutes"),
    )  # fmt: skip
    file.parent.mkdir(parents=True, exist_ok=True)
    with atomic(file) as part:
        part.write_text(text, encoding="utf-8")
    return file


def _template() -> jinja2.Template:
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True,
                                     undefined=jinja2.StrictUndefined)  # fmt: skip
    environment.globals["table"] = _drawn
    return environment.from_string(resources.files("twinjax.reports").joinpath("page.html").read_text(encoding="utf-8"))


def _drawn(table: Table) -> Markup:
    """A table as HTML."""
    side = ["num" if n else "txt" for n in table.numeric]
    head = Markup("").join(
        Markup('<th class="{}">{}</th>').format(s, h) for s, h in zip(side, table.heads, strict=True)
    )
    body = Markup("").join(
        Markup("<tr>{}</tr>").format(Markup("").join(
            Markup('<td class="{}">{}</td>').format(s, v) for s, v in zip(side, row, strict=True)
        )) for row in table.rows
    )  # fmt: skip
    note = Markup('<p class="note">{}</p>').format(table.note) if table.note else Markup("")
    shown = Markup('<div class="scroll"><table><thead><tr>{}</tr></thead><tbody>{}</tbody></table></div>')
    return shown.format(head, body) + note


def _summary(fit: Fit, run: Run | None) -> list[tuple[str, str]]:
    """The numbers at the head of the page."""
    condition, n = fit.uncertainty.condition_number, fit.trial.summary()
    found = [
        ("method", fit.method.name), ("backend", type(fit.backend).__name__),
        ("data", f"{n['subjects']} subjects, {n['observations']} observations, {n['censored']} censored"),
    ]  # fmt: skip
    for name, value, digits in (
        ("objective", fit.objective, 3), ("AIC", fit.aic, 3), ("BIC", fit.bic, 3),
        ("-2LL with constant", fit.minus_two_log_likelihood, 3), ("condition number", condition, 1),
    ):  # fmt: skip
        found.append((name, f"{value:.{digits}f}" if value == value else "not computed"))
    found.append(("seconds", ", ".join(f"{k} {v:.1f}" for k, v in fit.seconds.items())))
    if run is not None:
        found.append(("run", f"{run.folder.name}, {run.manifest['started']}, {run.status}"))
    return found


def _verdict(fit: Fit, run: Run | None) -> dict[str, Any]:
    """What the run said when it ended, which knew the method's own evidence; else what the fit says."""
    said = {} if run is None or run.results is None else run.results
    doubts, converged = said.get("doubts", list(fit.doubts)), said.get("converged", fit.converged)
    head = said.get("verdict", fit.verdict)
    for doubt in doubts:
        head = head.replace(doubt, "")
    remarks = said.get("remarks", getattr(fit.evidence, "remarks", ""))
    return {"converged": converged, "doubts": doubts, "head": head.strip(), "remarks": remarks}


def _some(frame: pd.DataFrame) -> Table | None:
    note = "A screen of what the model leaves; p is not corrected for how many are looked at."
    return Table.frame(frame.sort_values("p"), note) if len(frame) else None


def _people(fit: Fit) -> Table:
    """Every person: objective, etas, parameters."""
    found = individual_objectives(fit).merge(eta_table(fit), on="ID")
    found = found.sort_values("per_observation", ascending=False)
    return Table.frame(found, f"The first {_ROWS} of {len(found)}." if len(found) > _ROWS else "", _ROWS)


def _measurements(residuals: pd.DataFrame, discrepancies: pd.DataFrame | None) -> Table:
    """Every measurement with its predictions and residuals."""
    found = residuals
    if discrepancies is not None:
        found = found.assign(EPRED=discrepancies["EPRED"], NPD=discrepancies["NPD"], NPDE=discrepancies["NPDE"])
    return Table.frame(found, f"The first {_ROWS} of {len(found)}." if len(found) > _ROWS else "", _ROWS)


def _made(run: Run | None) -> list[tuple[str, Table]]:
    """Versions, device, command, hashes."""
    manifest: dict[str, Any] = dict(made_with()) if run is None else run.manifest
    keys = ("name", "kind", "status", "started", "ended", "seed", "python", "platform", "xla_flags")
    about = [(k.replace("_", " "), manifest[k]) for k in keys if manifest.get(k) not in (None, "")]
    if manifest.get("command"):
        about.append(("command", " ".join(manifest["command"])))
    about += [(f"device {k}", v) for k, v in manifest["device"].items()]
    found = [("Made with", Table.of(("", ""), [(k, str(v)) for k, v in about]))]
    found.append(("Versions", Table.of(("package", "version"), manifest["versions"].items())))
    if manifest.get("inputs"):
        rows = [(Path(k).name, v) for k, v in manifest["inputs"].items()]
        changed = "" if run is None else "; ".join(run.changed_inputs())
        found.append(("Inputs", Table.of(("file", "SHA-256"), rows, f"Note: {changed}." if changed else "")))
    return found
