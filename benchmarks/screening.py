"""How far off are predictions from in vitro data alone? Clearance, AUC and Cmax of many chemicals, beside httk's own errors.

Every concentration curve that httk's authors fitted (`invivo_PK_summary.csv`), in rats and people, of a chemical whose hepatocyte
clearance and unbound fraction were measured in human material: a body of gut, liver, kidney, lung and rest at the dose given,
followed for ten days as httk's benchmark does. Root mean squared errors of decimal logarithms, beside those that httk 2.7.1
reports over its own choice of curves, with rat binding where it has it. Curves left out are counted with their reasons.

Run as ``python benchmarks/screening.py DATA``, where DATA is the folder of httk's tables. Prints one JSON line.
"""

from __future__ import annotations

import argparse
import collections
import csv
import importlib.metadata
import json
import platform
import time
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import twinjax as tj
from twinjax.bodies.screening import HUMAN, RAT, Chemical, kinetics, screened_body
from twinjax.drugs import Compound

SPECIES = {"human": HUMAN, "rat": RAT}


def numbers(text: str) -> tuple[float, ...]:
    """Comma-separated numbers; none where the field is empty."""
    return tuple(float(x) for x in text.split(",") if x.strip() not in ("", "NA"))


def chemical(row: dict[str, str]) -> Chemical | str:
    """A chemical of the table, or why it cannot be used."""
    clint, fu = numbers(row["Human.Clint"]), numbers(row["Human.Funbound.plasma"])
    if not clint or not fu or not row["logP"]:
        return "clearance, binding or lipophilicity was not measured"
    if fu[0] <= 0.0:
        return "its unbound fraction was below detection"
    doubt = clint[3] if len(clint) == 4 else (numbers(row["Human.Clint.pValue"]) or (0.0,))[0]
    ratio, affinity, caco2 = (numbers(row[n]) for n in ("Human.Rblood2plasma", "logMA", "Human.Caco2.Pab"))
    seen = {f: (numbers(row[f"Human.F{f[1:]}"]) or (None,))[0] for f in ("fabs", "fgut", "fhep", "foral")}
    return Chemical(
        Compound(
            log_p=float(row["logP"]), fu=min(fu[0], 1.0), acids=numbers(row["pKa_Donor"]),
            bases=numbers(row["pKa_Accept"]), blood_to_plasma=ratio[0] if ratio else None,
            log_ma=affinity[0] if affinity else None,
        ),
        float(row["MW"]), 0.0 if doubt > 0.05 else clint[0], caco2[0] if caco2 else 1.6, **seen,
    )  # fmt: skip


def run(data: Path) -> dict[str, Any]:
    """All curves at once: every one a patient with a body of its own."""
    table = {r["CAS"]: r for r in csv.DictReader((data / "human_invitro_clint_fup.csv").open(encoding="utf-8"))}
    reasons: collections.Counter[str] = collections.Counter()
    curves, bodies, regimens = [], [], []
    built: dict[tuple[str, str], Any] = {}
    for row in csv.DictReader((data / "invivo_PK_summary.csv").open(encoding="utf-8")):
        if row["Species"] not in SPECIES:
            reasons[f"its species is {row['Species']}"] += 1
        elif row["CAS"] not in table:
            reasons["the chemical has no in vitro data here"] += 1
        elif isinstance(made := built.get((row["CAS"], row["Species"])) or chemical(table[row["CAS"]]), str):
            reasons[made] += 1
        else:
            if isinstance(made, Chemical):
                species = SPECIES[row["Species"]]
                made = built[row["CAS"], row["Species"]] = (
                    screened_body(made, species),
                    float(kinetics(made, species).absorbed) * species.weight / float(made.molar_mass) * 1000.0,
                    float(made.molar_mass) / 1000.0,
                    float(kinetics(made, species).absorbed),
                )
            curves.append((row, made))
    times = np.concatenate([[0.0], np.geomspace(0.01, 240.0, 300)])
    for row, (body, umol, _, absorbed) in curves:
        dose = float(row["Dose"]) * umol
        oral = row["Route"] == "oral"
        bodies.append(body)
        regimens.append(
            tj.Regimen.dose(dose if oral else 0.0, into="gut.lumen.chemical")
            + tj.Regimen.dose(0.0 if oral else dose / absorbed, into="venous.chemical")
        )
    stacked = jax.tree.map(lambda *x: jnp.stack([jnp.asarray(v, float) for v in x]), *bodies)
    plasma = np.asarray(tj.simulate(stacked, regimens, times, throw=True).output.plasma["chemical"])
    logs: dict[str, list[float]] = {"auc": [], "cmax": [], "clearance": []}
    for (row, (_, _, mass, _)), c in zip(curves, plasma, strict=True):
        area, peak = np.trapezoid(c, times) * mass / 24.0, c.max() * mass  # mg/L d, mg/L
        for what, mine, theirs in (
            ("auc", area, row["AUC_infinity.tkstats"]),
            ("cmax", peak, row["Cmax.tkstats"]),
            ("clearance", float(row["Dose"]) / area if row["Route"] == "iv" else None, row["CLtot.tkstats"]),
        ):
            if mine and numbers(theirs) and 0.0 < numbers(theirs)[0] < np.inf:
                logs[what].append(np.log10(mine / numbers(theirs)[0]))
    last = list(csv.DictReader((data / "httk_performance_by_version.csv").open()))[-1]
    return {
        "rmsle": {n: round(float(np.sqrt(np.mean(np.square(v)))), 3) for n, v in logs.items() if v},
        "bias": {n: round(float(np.mean(v)), 3) for n, v in logs.items() if v},
        "curves": {n: len(v) for n, v in logs.items()},
        "chemicals": len({c for c, _ in built}),
        "httk": {"auc": float(last["RMSLE.InVivoAUC"]), "cmax": float(last["RMSLE.InVivoCmax"]), "n_auc": 112, "n_cmax": 156},
        "left_out": dict(reasons),
    }  # fmt: skip


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    start, asked = time.perf_counter(), parser.parse_args()
    found = run(asked.data) | {"seconds": time.perf_counter() - start, "device": platform.machine()}
    versions = {p: importlib.metadata.version(p) for p in ("jax", "twinjax")}
    print(json.dumps({"benchmark": "screening", **found, "versions": versions}))


if __name__ == "__main__":
    main()
