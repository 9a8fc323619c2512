"""How many chains does SAEM need where data are sparse? One JSON line a fit: estimates, and -2 log L there by importance
sampling, whose draws are the same for all ends of a trial.

Phenobarbital (59 neonates, 155 measurements: 1.3 a random effect) by the default number of chains and more; and trials of our own,
of 60 people after one dose: two random effects measured twice or three times (1 and 1.5 a random effect), and three of them
measured three times, with an absorption that these times hardly see. Their true deviations are 0.3, that of `ka` 0.5.
`worse_by` is the objective less the least of the same trial's, `cpu` the processor's seconds, compilation included.

Run as ``python benchmarks/chains.py PHENO.DTA [--trials 3] [--only oral]``, where PHENO.DTA is NONMEM's own file.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import platform
import time
from collections.abc import Iterator
from pathlib import Path

import jax
import numpy as np

import twinjax as tj
from twinjax.estimation.diagnosis.simulation import simulate_trial
from twinjax.models import OneCompartment, OneCompartmentOral

Case = tuple[str, tj.Population, tj.TrialData, tuple[int | None, ...]]


def cases(pheno: Path, trials: int) -> Iterator[Case]:
    """A name, where to start, the data, and numbers of chains."""
    neonates = tj.read_nonmem(pheno, covariates=["WGT", "APGR"])
    start = tj.Population(
        OneCompartment(cl=0.005, v=1.4), variability={"cl": 0.4, "v": 0.4}, residual=tj.Proportional(0.15)
    )
    yield "phenobarbital", start, neonates, (None, 16, 64)
    given = tj.Proportional(0.15)
    bolus = tj.Population(OneCompartment(cl=3.0, v=30.0), variability={"cl": 0.3, "v": 0.3}, residual=given)
    oral = tj.Population(
        OneCompartmentOral(ka=1.0, cl=3.0, v=30.0), variability={"ka": 0.5, "cl": 0.3, "v": 0.3}, residual=given
    )
    for about, truth, times in (
        ("bolus, 2 measurements", bolus, [2.0, 18.0]), ("bolus, 3 measurements", bolus, [2.0, 9.0, 18.0]),
        ("oral, 3 measurements", oral, [2.0, 9.0, 18.0]),
    ):  # fmt: skip
        empty, into = tj.Measurements.of(times, np.full(len(times), np.nan)), "depot" if truth is oral else "central"
        people = (tj.Subject(str(i), tj.Regimen.dose(300.0, into=into), empty) for i in range(60))
        design = tj.TrialData(tuple(people))
        for number in range(trials):
            yield f"{about}, trial {number}", truth, simulate_trial(truth, design, number), (5, 16)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pheno", type=Path)
    parser.add_argument("--trials", type=int, default=3)
    parser.add_argument("--only", default="", help="cases whose names begin so")
    asked = parser.parse_args()
    about = {"device": str(jax.devices()[0].device_kind), "python": platform.python_version()}
    about |= {n: importlib.metadata.version(n) for n in ("jax", "twinjax")}
    jax.config.update("jax_enable_x64", True)
    for name, start, trial, numbers in cases(asked.pheno, asked.trials):
        if not name.startswith(asked.only):
            continue
        lines = []
        for chains in numbers:
            cpu = time.process_time()
            method = tj.SAEM(chains=chains).then(tj.ImportanceSampling(samples=4096))
            fit = tj.fit(start, trial, method=method, covariance=False)
            lines.append({
                "case": name, "chains": chains or "default", "objective": round(fit.objective, 3),
                "monte_carlo_error": round(fit.evidence.error, 3), "iterations": len(fit.history) - 1,
                "theta": {n: round(float(fit.theta[n]), 5) for n in fit.estimated},
                "cpu": round(time.process_time() - cpu, 1),
            })  # fmt: skip
        least = min(line["objective"] for line in lines)
        for line in lines:
            worse = round(line["objective"] - least, 3)
            print(json.dumps({"benchmark": "chains", **about, **line, "worse_by": worse}), flush=True)


if __name__ == "__main__":
    main()
