"""Does the search for clones reach the published maxima? One JSON line an experiment of PhenoPop's Ba/F3 and myeloma data.

`above` is our negative log likelihood less the listed one, by number of clones: negative is better than published. Data,
times, levels of noise and bounds are those of the listed runs; `clones` is what BIC chooses among one to four.

**Reference**: Kohn-Luque et al. 2023, Cell Rep Methods 3:100417, doi:10.1016/j.crmeth.2023.100417.

Run as ``python benchmarks/clones.py DATA [--up-to 3] [--starts 200]``, where DATA holds BaF3/, MM/ and the two tables.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

import jax

from twinjax.assays import CloneBounds, Counts, TwoLevels, find_clones
from twinjax.io.counts import read_counts

IMATINIB = [0, 0.03125, 0.0625, 0.125, 0.25, 0.375, 0.5, 1.25, 2.5, 3.75, 5.0]
BAF3 = CloneBounds(growth=(0.0, 0.1), ec50=(1e-6, 50), hill=(1e-3, 20), share=(0, 0.5), shares=0.9, noise=(1e-6, 2500))
NOISE = {"MM130120": 1e6, "MM1420": 1.5e5, "MM19520": 1.5e5, "MM210819": 5e4, "MM3620": 1.5e5}


def experiments(folder: Path) -> Iterator[tuple[str, Counts, TwoLevels, CloneBounds]]:
    """Every mixture and patient, with the noise and bounds of its listed run."""
    for name in ("BF_11", "BF_12", "BF_21", "BF_41"):
        file = folder / f"BaF3/DATA-{name}.csv"
        yield name, read_counts(file, times=range(0, 40, 3), concentrations=IMATINIB)[0], TwoLevels(6.0, 14.0), BAF3
    for file in sorted((folder / "MM").glob("DATA-*.csv")):
        patient, drug = file.stem.removeprefix("DATA-").split("-")
        times = [0, 24, 48, 72] if patient == "MM210819" else None
        bounds = CloneBounds(ec50=(1e-6, 1e4), noise=(1e-6, NOISE[patient]))
        yield f"{patient}-drug-{drug}", read_counts(file, times=times)[0], TwoLevels(), bounds


def main() -> None:
    """Search and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--up-to", type=int, default=3)
    parser.add_argument("--starts", type=int, default=200)
    asked = parser.parse_args()
    jax.config.update("jax_enable_x64", True)
    listed = {}
    for table in ("BaF3_inferred_parameters.csv", "MM_inferred_parameters.csv"):
        for row in csv.DictReader((asked.data / table).read_text().splitlines()):
            if float(row["NLL"]):
                listed[row["data"], int(row["K"])] = float(row["NLL"])
    for name, counts, level, bounds in experiments(asked.data):
        began, cpu = time.perf_counter(), time.process_time()
        found = find_clones(counts, up_to=asked.up_to, level=level, bounds=bounds, starts=asked.starts)
        line = {
            "benchmark": "clones", "experiment": name, "clones": len(found.best.clones.share),
            "nll": [round(f.nll, 4) for f in found.fits],
            "above": {k: round(f.nll - listed[name, k], 4) for k, f in enumerate(found.fits, 1) if (name, k) in listed},
            "agreeing": [f.agreeing for f in found.fits], "bic": [round(f.bic, 2) for f in found.fits],
            "shares": [round(float(s), 3) for s in found.best.clones.share],
            "ec50": [round(float(s), 4) for s in found.best.clones.ec50],
            "seconds": round(time.perf_counter() - began, 1), "cpu": round(time.process_time() - cpu, 1),
            "starts": asked.starts, "jax": jax.__version__, "device": jax.devices()[0].device_kind,
            "load": round(os.getloadavg()[0], 1),
        }  # fmt: skip
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
