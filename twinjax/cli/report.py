"""`twinjax report`: a run's folder, read again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from twinjax.cli.terminal import Debug, Json, duration, friendly, print_json, say, short, show_table, stderr

if TYPE_CHECKING:
    from twinjax.runs import Run


@friendly
def report(
    run: Annotated[Path, typer.Argument(help="The folder of a run.")],
    html: Annotated[
        bool, typer.Option("--html", help="Write it as a page, RUN/report.html, that opens offline.")
    ] = False,
    out: Annotated[Path | None, typer.Option(help="Where to write the page instead.")] = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Show what a run found, how it ended, and what it was made with. An interrupted run shows its best point.

    Examples:
    - `twinjax report runs/theophylline-20260101-120000`
    - `twinjax report runs/theophylline-20260101-120000 --html`
    """
    from twinjax.runs import Run

    opened = Run.open(run)
    if html or out is not None:
        _page(opened, opened.folder / "report.html" if out is None else out, json)
        return
    changed = opened.changed_inputs()
    if json:
        print_json({
            "folder": str(opened.folder), "status": opened.status, "manifest": opened.manifest,
            "results": opened.results, "partial": opened.partial, "changed_inputs": changed,
        })  # fmt: skip
        return
    manifest = opened.manifest
    ended = "" if opened.status == "finished" else f" ({manifest['why'] or 'still running, or killed'})"
    say(f"{manifest['kind']} of {manifest['name']}, {manifest['started']}: {opened.status}{ended}", "")
    if opened.results is None:
        show_partial(opened.partial)
    elif manifest["kind"] == "fit":
        show_fit(opened.results)
    else:
        show_cohort(opened.results)
    versions = ", ".join(f"{n} {v}" for n, v in manifest["versions"].items() if n in ("twinjax", "jax", "diffrax"))
    device = manifest["device"]
    say("", f"{versions}, Python {manifest['python']}; {device['count']} {device['kind']}; seed {manifest['seed']}")
    for line in changed:
        say(f"Note: {line}.")


def _page(run: Run, file: Path, json: bool) -> None:
    """The report of a fit as a page."""
    from twinjax.cli.cache import keep_compiled

    keep_compiled()
    from twinjax.cli.method import fit_of
    from twinjax.reports.page import report as page

    with stderr().status("simulating and drawing"):
        written = page(fit_of(run), file, run=run)
    if json:
        print_json({"report": str(written)})
    else:
        say(f"Written to {short(written.resolve())}")


def show_fit(found: dict[str, Any]) -> None:
    """A fit as its results file has it: what was fitted, the table, the verdict."""
    trial, seconds = found["trial"], found["seconds"]
    counts = f"{trial['subjects']} subjects, {trial['observations']} observations"
    censored = f", {trial['censored']} censored" if trial["censored"] else ""
    say(
        f"{found['model']} fitted to {trial['name']} ({counts}{censored}) "
        f"by {found['method']}, {found['backend']} backend",
        "no objective: the method computes none"
        if found["objective"] is None
        else f"objective {found['objective']:.3f}   AIC {found['aic']:.3f}   BIC {found['bic']:.3f}   "
        f"-2LL with constant {found['minus_two_log_likelihood']:.3f}",
    )
    keys = ("parameter", "estimate", "unit", "se", "rse", "lower", "upper", "shrinkage")
    heads = ("parameter", "estimate", "unit", "se", "rse %", "2.5 %", "97.5 %", "shrink %")
    show_table(([row[k] for k in keys] for row in found["table"]), heads)
    if found.get("remarks"):
        say(found["remarks"], "")
    say(found["verdict"], ", ".join(f"{name} {duration(s)}" for name, s in seconds.items()))


def show_partial(found: dict[str, Any] | None) -> None:
    """Where a search that did not end had got to."""
    if not found or not found["iterations"]:
        say("It ended before the first iteration: nothing was found.")
        return
    at = f"Last point of {found['iterations']} iterations"
    if found["objective"] is not None:
        at = f"Best point of {found['iterations']} iterations: objective {found['objective']:.3f}"
    steep = "" if found["gradient"] is None else f", largest gradient {found['gradient']:.2g}"
    say(f"The search did not end. {at}{steep}. These are no estimates: go on with `twinjax fit --resume` of this run.")
    show_table(((n, found["theta"][n]) for n in found["estimated"]), ("parameter", "so far"))


def show_cohort(found: dict[str, Any]) -> None:
    """How many patients were simulated, and what became of them."""
    say(f"{found['patients']} virtual patients of {found['asked']}, seed {found['seed']}, {found['backend']} backend, "
        f"{duration(found['seconds'])} ({found['rate']:.0f} patients/s)")  # fmt: skip
    show_table(((c["patients"], c["code"], c["meaning"]) for c in found["results"]), ("patients", "code", "result"))
    if found.get("responders"):
        rows = found["responders"]
        show_table((r.values() for r in rows), rows[0].keys(), title="patients above, with the 95 % interval")
    if found.get("quantiles"):
        rows = found["quantiles"]
        shown = (
            [rows[i] for i in sorted({round(k * (len(rows) - 1) / 11) for k in range(12)})] if len(rows) > 12 else rows
        )
        show_table((r.values() for r in shown), rows[0].keys(), title="quantiles of the patients")
