"""`twinjax brain`: what of a drug reaches the brain, as a table."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from twinjax.cli.terminal import Debug, Json, friendly, print_json, say, show_table


@friendly
def brain(
    out: Annotated[Path, typer.Argument(help="The .csv file to write.")],
    drugs: Annotated[Path | None, typer.Option(help="A TOML file of drugs; the six that ship if left out.")] = None,
    only: Annotated[list[str] | None, typer.Option(help="Only this drug; repeatable.")] = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Write Cmax, AUC and Kp,uu in plasma and the brain's fluids, for every drug and permeability.

    Examples:
    - `twinjax brain metrics.csv`
    - `twinjax brain metrics.csv --drugs mine.toml --only morphine`
    """
    from twinjax.cli.cache import keep_compiled
    from twinjax.exposure.brain import brain_metrics
    from twinjax.io.brain import read_brain_drugs
    from twinjax.naming import resolve
    from twinjax.runs import atomic

    keep_compiled()
    if out.suffix != ".csv":
        raise ValueError(f"{out}: the file ends in .csv")
    known = read_brain_drugs(drugs)
    wanted = [resolve(n, known, "drug") for n in only or known]
    table = brain_metrics({n: known[n] for n in wanted})
    with atomic(out) as part:
        table.to_csv(part, index=False)
    if json:
        print_json({"rows": len(table), "columns": table.to_dict(orient="list")})
        return
    shown = table[table["source"] == "optimized"]
    show_table(shown.itertuples(index=False), shown.columns, title=f"{len(shown)} of {len(table)} rows")
    say(f"Written to {out}")
