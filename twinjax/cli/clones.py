"""`twinjax clones`: how many clones answer to a drug in a dish, and how."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from twinjax.cli.terminal import Debug, Json, friendly, print_json, say, short, show_table

Pair = tuple[float, float]


@friendly
def clones(
    source: Annotated[Path, typer.Argument(help="Folder of DATA-NAME.csv, Time.csv and Conc-NAME.csv, or a file.")],
    out: Annotated[Path | None, typer.Option(help="Write every fit's clones to this CSV.")] = None,
    up_to: Annotated[int, typer.Option(help="Most clones to try.")] = 4,
    times: Annotated[str | None, typer.Option(help="Hours counted, such as 0,24,48; default Time.csv.")] = None,
    concentrations: Annotated[str | None, typer.Option(help="Concentrations; default Conc-NAME.csv.")] = None,
    noisy_from: Annotated[float, typer.Option(help="Hours from which counts have the higher noise ...")] = 48.0,
    noisy_up_to: Annotated[float, typer.Option(help="... at concentrations up to this.")] = 10.0,
    growth: Annotated[Pair, typer.Option(help="Bounds of the growth rate, 1/h.")] = (-0.1, 0.1),
    ec50: Annotated[Pair, typer.Option(help="Bounds of EC50.")] = (1e-6, 2e3),
    hill: Annotated[Pair, typer.Option(help="Bounds of the Hill exponent.")] = (1e-2, 100.0),
    share: Annotated[Pair, typer.Option(help="Bounds of every share but the last.")] = (0.0, 1.0),
    shares: Annotated[float, typer.Option(help="The most those shares may add up to.")] = 1.0,
    noise: Annotated[Pair, typer.Option(help="Bounds of the noise's standard deviations, in cells.")] = (1e-6, 5e4),
    starts: Annotated[int, typer.Option(help="Random starts of each search.")] = 200,
    seed: int = 0,
    json: Json = False,
    debug: Debug = False,
) -> None:  # fmt: skip
    """Find the clones in counts of living cells over time and concentration (PhenoPop's model), by maximum likelihood.

    Example: `twinjax clones MM --up-to 3 --noise 1e-6 150000 --ec50 1e-6 10000 --out clones.csv`
    """
    import pandas as pd

    from twinjax.assays import CloneBounds, TwoLevels, find_clones
    from twinjax.io.counts import read_counts

    bounds = CloneBounds(growth=growth, ec50=ec50, hill=hill, share=share, shares=shares, noise=noise)
    experiments = read_counts(
        source, times=_list(times, "--times"), concentrations=_list(concentrations, "--concentrations")
    )
    rows: list[dict[str, Any]] = []
    with typer.progressbar(
        length=len(experiments) * up_to, label="mixtures", file=typer.get_text_stream("stderr")
    ) as bar:
        for counts in experiments:
            found = find_clones(
                counts, up_to=up_to, level=TwoLevels(noisy_up_to, noisy_from), bounds=bounds, starts=starts, seed=seed,
                progress=lambda *_: bar.update(1),
            )  # fmt: skip
            rows += found.rows()
            if out is not None:
                pd.DataFrame(rows).to_csv(out, index=False)  # so far
    if json:
        print_json(rows)
        return
    best = [r for r in rows if r["best"]]
    shown = ("data", "clones", "nll", "bic", "clone", "share", "growth", "survival", "ec50", "hill", "gr50")
    show_table(([r[c] for c in shown] for r in best), shown, title="The mixture of least BIC")
    lonely = sorted({f"{r['data']} with {r['clones']}" for r in best if r["agreeing"] < 2})
    if lonely:
        say(f"Note: only one start found the best of {', '.join(lonely)}; try more --starts.")
    if out is not None:
        say(f"Every fit: {short(out)}")


def _list(said: str | None, option: str) -> list[float] | None:
    if said is None:
        return None
    try:
        return [float(x) for x in said.split(",")]
    except ValueError:
        raise ValueError(f"{option} {said!r}: write numbers with commas between, such as 0,24,48") from None
