"""`twinjax compare`: runs side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from twinjax.cli.terminal import Debug, Json, friendly, print_json, say, show_table


@friendly
def compare(
    runs: Annotated[list[Path], typer.Argument(help="Folders of two or more runs of fit.")],
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Compare runs: objective and its change from the first, AIC, BIC, estimates with RSE, conditioning, seconds.

    Example: `twinjax compare runs/base runs/weight-on-cl`
    """
    from twinjax.estimation.comparison import compare as side_by_side
    from twinjax.runs import Run

    opened = [Run.open(r) for r in runs]
    for run in opened:
        if run.manifest["kind"] != "fit" or run.results is None:
            raise ValueError(f"{run.folder} holds no fit that ended (its {run.manifest['kind']} is {run.status})")
    names = [run.folder.name for run in opened]
    if len(set(names)) < len(names):
        names = [str(run.folder) for run in opened]
    found = side_by_side(*(run.results or {} for run in opened), names=names)
    if json:
        estimates = {
            run: {n: {what: found.estimates.loc[n, (run, what)] for what in ("estimate", "rse")}
                  for n in found.estimates.index} for run in names
        }  # fmt: skip
        print_json({"runs": found.runs.to_dict("index"), "estimates": estimates, "notes": list(found.notes)})
        return
    show_table(found.rows(), ("", *names))
    for note in found.notes:
        say(f"Note: {note}")
