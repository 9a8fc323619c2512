"""`twinjax cipa`: the risk of torsade of the drugs of a safety panel, as a table."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from twinjax.cli.terminal import Debug, Json, friendly, print_json, say, show_table


@friendly
def cipa(
    cmax: Annotated[Path, typer.Argument(help="Free therapeutic maxima: columns drug, Cmax_free_nM.")],
    hill: Annotated[Path, typer.Argument(help="Block of currents: columns drug, hERG_IC50, hERG_h, ICaL_IC50, ...")],
    binding: Annotated[Path, typer.Argument(help="Binding to hERG: columns drug, Kmax, Ku, n, halfmax, Vhalf.")],
    out: Annotated[Path, typer.Option(help="The .csv file to write.")] = Path("risk.csv"),
    only: Annotated[list[str] | None, typer.Option(help="Only this drug; repeatable.")] = None,
    beats: Annotated[int, typer.Option(min=1, help="How many beats to pace, at 0.5 Hz.")] = 1000,
    periodic: Annotated[
        bool, typer.Option("--periodic", help="Find the periodic orbit: a fifth of the beats.")
    ] = False,
    analysed: Annotated[int, typer.Option(min=1, help="How many last beats to look at.")] = 1,
    draws: Annotated[int, typer.Option(min=0, help="Draws of the uncertainty; needs the two folders below.")] = 0,
    hill_samples: Annotated[Path | None, typer.Option(help="Folder of DRUG_IC50_samples.csv[.gz].")] = None,
    binding_samples: Annotated[Path | None, typer.Option(help="Folder of DRUG_boot_pars.csv[.gz].")] = None,
    context: Annotated[bool, typer.Option("--context", help="Print what this may be used for.")] = False,
    seed: Annotated[int, typer.Option(help="Of the draws.")] = 0,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Write net charge, APD90, torsade metric score and class of risk of every drug, at 1 to 4 times its free maximum.

    Concentrations are in nM. One row a drug and dose.

    Examples:
    - `twinjax cipa cmax.csv hill.csv binding.csv --out risk.csv`
    - `twinjax cipa cmax.csv hill.csv binding.csv --only quinidine --analysed 250`
    """
    from twinjax.cli.cache import keep_compiled
    from twinjax.electrophysiology.cipa import cipa as assess
    from twinjax.electrophysiology.context import CIPA
    from twinjax.io.drugs import read_binding_samples, read_drugs, read_hill_samples
    from twinjax.runs import atomic

    keep_compiled()
    if out.suffix != ".csv":
        raise ValueError(f"{out}: the file ends in .csv")
    if draws and (hill_samples is None or binding_samples is None):
        raise ValueError("--draws needs --hill-samples and --binding-samples, the folders of the drugs' draws")
    if analysed > beats:
        raise ValueError(f"--analysed {analysed} of {beats} beats; give no more than there are")
    drugs = read_drugs(cmax, hill, binding, only=only)
    if draws and hill_samples is not None and binding_samples is not None:
        for name, drug in drugs.items():
            blocks = read_hill_samples(_samples(hill_samples, f"{name}_IC50_samples.csv"))
            bound = read_binding_samples(_samples(binding_samples, f"{name}_boot_pars.csv"))
            drugs[name] = drug.sampled(blocks, bound, draws, seed)
    found = assess(drugs, beats=beats, analysed=analysed, periodic=periodic)
    table = found.table()
    with atomic(out) as part:
        table.to_csv(part, index=False)
    if json:
        print_json({"drugs": found.drugs().to_dict(orient="records"), "rows": len(table), "context": str(CIPA)})
        return
    short = {
        "drug": "drug", "score_uC_per_uF": "score", "score_low": "2.5 %", "score_high": "97.5 %", "p_low": "P(low)",
        "p_intermediate": "P(mid)", "p_high": "P(high)", "risk": "risk", "known_risk": "known",
    }  # fmt: skip
    shown = found.drugs()
    columns = [c for c in short if c in shown]
    show_table(shown[columns].itertuples(index=False), [short[c] for c in columns], title="score in uC/uF")
    if context:
        say(str(CIPA))
    say(f"Written to {out}: {len(table)} rows")


def _samples(folder: Path, name: str) -> Path:
    found = next((p for p in (folder / name, folder / f"{name}.gz") if p.is_file()), None)
    if found is None:
        raise FileNotFoundError(f"{folder} has neither {name} nor {name}.gz")
    return found
