"""Are the 28 CiPA drugs classed as by the FDA's own code, how long does it take, and how far is beat 1,000 from the orbit?

One JSON line, and with --table every drug and dose as CSV. The 28 drugs come from the FDA's tables alone (manual patch
clamp of 2020), nothing is tuned to a drug: 112 cells, 1,000 beats each at 0.5 Hz from the drug-free state, one batch.
`errors` compare the 12 training drugs with rows of the FDA's C code (the peer's numbers; its own run is not repeated
here). `orbit_gap` is beat 1,000 against the periodic orbit, the largest of the four doses of each drug: net charge
(relative) and APD90 (ms), null where no orbit was found.

Run as ``python benchmarks/cipa.py FOLDER [--table risk.csv] [--out results/cipa-cpu.jsonl]``, FOLDER with the tables.
"""

import argparse
import csv
import importlib.metadata
import json
import os
import platform
import time
from pathlib import Path

import jax
import numpy as np

from twinjax.electrophysiology.cipa import DOSES, batch, cipa
from twinjax.electrophysiology.orbit import orbit
from twinjax.electrophysiology.pace import pace
from twinjax.io.drugs import read_drugs
from twinjax.models import CiPACell

TABLES = ("cmax_28drugs_class_of_training12.csv", "hill_IC50_28drugs_manual_chantest_2020.csv",
          "herg_dynamic_pars_28drugs_2020.csv")  # fmt: skip
CYCLE, BEATS = 2000.0, 1000


def rows(path):
    return [r for r in csv.DictReader(path.read_text().splitlines()) if r["paramset"] == "manual_2020"]


def against_the_fda(found, folder):
    """Largest deviations from the FDA's code, and how many training drugs are in the class that clinicians gave them."""
    qnet, apd90 = [], []
    for r in rows(folder / "fda_c_code_reference_run_training12.csv"):
        v, j = found[r["drug"]], int(r["dose"]) - 1
        qnet.append(abs(1e3 * v.qnet[0, j] / float(r["qNet_nC_per_uF"]) - 1.0))
        apd90.append(abs(v.apd90[0, j] - float(r["APD90"])))
    scores = rows(folder / "torsade_metric_score_training12.csv")
    score = [abs(found[r["drug"]].score[0] - float(r["TMS_uC_per_uF"])) for r in scores]
    right = sum(found[r["drug"]].level == found[r["drug"]].drug.risk for r in scores)
    return {"rows": len(qnet), "qnet_relative": max(qnet), "apd90_ms": max(apd90), "score_uC_per_uF": max(score),
            "classed_right": right, "of": len(scores)}  # fmt: skip


def gaps(found, cells):
    """Beat 1,000 against the periodic orbit, by drug."""
    start = time.perf_counter()
    settled = orbit(cells, CYCLE)
    seconds = time.perf_counter() - start
    there = np.asarray(settled.result) == 0
    charge = np.where(there, np.asarray(settled.beat.qnet[:, 0]), np.nan).reshape(len(found.verdicts), len(DOSES))
    apd90 = np.where(there, np.asarray(settled.beat.apd90[:, 0]), np.nan).reshape(charge.shape)
    gap = {}
    for i, v in enumerate(found):
        q, a = np.abs(v.qnet[0] / charge[i] - 1.0), np.abs(v.apd90[0] - apd90[i])
        gap[v.drug.name] = [None, None] if np.isnan(q).any() else [float(q.max()), float(a.max())]
    return {"beats": int(settled.beats), "found": int(there.sum()), "of": len(there), "seconds": seconds}, gap


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--table", type=Path)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    load = os.getloadavg()[0]
    drugs = read_drugs(*(args.folder / t for t in TABLES))
    cells = batch(CiPACell.endocardial(), drugs.values(), DOSES)
    start = time.perf_counter()
    pace(cells, CYCLE, beats=2).beat.qnet.block_until_ready()
    compiled = time.perf_counter()
    cpu = time.process_time()
    found = cipa(drugs, beats=BEATS)
    run, cpu = time.perf_counter() - compiled, time.process_time() - cpu
    solved, gap = gaps(found, cells)
    count = len(drugs) * len(DOSES) * BEATS
    line = {
        "benchmark": "cipa", "device": jax.devices()[0].device_kind, "machine": platform.machine(),
        "cpus": os.cpu_count(), "load_before": load,
        "versions": {"python": platform.python_version(), **{p: importlib.metadata.version(p) for p in ("jax", "numpy")}},
        "drugs": len(drugs), "cells": len(drugs) * len(DOSES), "beats": BEATS,
        "compile_s": compiled - start, "run_s": run, "cpu_s": cpu, "cell_beats_per_cpu_s": count / cpu,
        "errors": against_the_fda(found, args.folder), "orbit": solved, "orbit_gap": gap,
        "classes": {v.drug.name: v.level for v in found},
    }  # fmt: skip
    if args.table:
        found.table().to_csv(args.table, index=False)
    print(json.dumps(line))
    if args.out:
        with args.out.open("a") as file:
            file.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    main()
