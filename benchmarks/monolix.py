"""Do SAEM, EM by importance sampling and FOCEI end where Monolix's SAEM ends? One JSON line per model and method.

Warfarin in 32 people: one compartment, a lag, an error whose standard deviation is a + b f (combined1); without covariates
(w1), with weight on volume and clearance (w2) and with sex on both (w3). `at Monolix's` evaluates its estimates by importance
sampling; `-2LL` contains the constant, as Monolix's does, whose own Monte Carlo error is `reference_error` (w2's is a
linearisation: no target). The likelihood is not smooth where a measurement meets the lag, and has several optima.

**Reference**: Monolix's demonstration runs of the data of O'Reilly & Aggeler 1968, Circulation 38:169.

Run as ``python benchmarks/monolix.py DATA [--only w1,w3] [--methods SAEM,ImportanceEM,FOCEI]``, where DATA is the folder of the
trials' folders.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import time
from pathlib import Path
from typing import Any

import jax
import pandas as pd

import twinjax as tj
from twinjax.models import OneCompartmentOral

NAMES = {"Tlag": "lag", "ka": "ka", "V": "v", "Cl": "cl"}
REFERENCE = {"w1": (657.358, 0.131), "w2": (622.031, None), "w3": (641.683, 0.097)}
IS = tj.ImportanceSampling(samples=8192)
METHODS = {"SAEM": tj.SAEM(), "ImportanceEM": tj.ImportanceEM(), "FOCEI": tj.FOCEI()}


def read(folder: Path) -> tj.TrialData:
    """Concentrations only; sex as 1 for women, as Monolix's effect has it. The file is the one that its runs read: 247
    values, where `warfarin.csv` of the same trial has 251, four of them zero, and other numbers for the people.
    """
    d = pd.read_csv(folder / "monolix_warfarin_data.csv", na_values=".", encoding="utf-8-sig")
    d = d[d.amt.notna() | (d.dvid == 1)].rename(columns=str.upper)
    d = d.assign(EVID=d.AMT.notna().astype(int), AMT=d.AMT.fillna(0.0), FEMALE=1.0 - d.SEX)
    return tj.read_nonmem(
        d[["ID", "TIME", "AMT", "DV", "EVID", "WT", "FEMALE"]], covariates=["WT", "FEMALE"], name="warfarin"
    )


def population(typical: dict[str, float], effects: dict[str, float]) -> tj.Population:
    """A model by Monolix's names of its parameters."""
    by: dict[str, list[Any]] = {}
    for name, value in effects.items():
        _, on, what = name.split("_", 2)
        effect = tj.Power("WT", 70.0, value) if what == "lw70" else tj.Exponential("FEMALE", 0.0, value)
        by.setdefault(NAMES[on], []).append(effect)
    return tj.Population(
        OneCompartmentOral(**{mine: typical[f"{n}_pop"] for n, mine in NAMES.items()}), covariates=by,
        variability={mine: typical[f"omega_{n}"] for n, mine in NAMES.items()},
        residual=tj.CombinedLinear(typical["a"], typical["b"]),
    )  # fmt: skip


def estimates(folder: Path, run: str) -> dict[str, float]:
    """Monolix's, by its names."""
    table = pd.read_csv(folder / f"monolix_{run}_populationParameters.txt").set_index("parameter")
    return {str(n): float(v) for n, v in table.value.items()}


def started(found: dict[str, float]) -> tj.Population:
    """From round numbers, without effects of covariates."""
    begin = {"Tlag_pop": 0.8, "ka_pop": 1.2, "V_pop": 8.0, "Cl_pop": 0.13, "a": 0.3, "b": 0.09}
    begin |= {"omega_Tlag": 0.6, "omega_ka": 0.8, "omega_V": 0.22, "omega_Cl": 0.3}
    return population(begin, {n: 0.0 for n in found if n.startswith("beta_")})


def main() -> None:
    """A line for each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--only", default=",".join(REFERENCE))
    parser.add_argument("--methods", default=",".join(METHODS))
    given = parser.parse_args()
    folder = given.data / "warfarin_pkpd"
    trial = read(folder)
    versions = {n: importlib.metadata.version(n) for n in ("jax", "twinjax")}
    about = {"device": str(jax.devices()[0].device_kind), "cpus": os.cpu_count(), "python": platform.python_version(), **versions}  # fmt: skip
    for run in given.only.split(","):
        found = estimates(folder, run)
        effects = {n: v for n, v in found.items() if n.startswith("beta_")}
        there, (reference, error) = population(found, effects), REFERENCE[run]
        todo = [("at Monolix's", there, IS)]
        todo += [(f"{m}, then IS", started(found), METHODS[m].then(IS)) for m in given.methods.split(",")]
        for name, begin, method in todo:
            began = time.perf_counter()
            fit = tj.fit(
                begin, trial, method=method, covariance=False, starts=5 if "FOCEI" in name else 1, spread=0.3, seed=1
            )
            print(json.dumps({
                "benchmark": "monolix", "run": run, "method": name, "-2LL": round(fit.minus_two_log_likelihood, 3),
                "monte_carlo_error": round(fit.evidence.error, 3), "least_effective": round(float(fit.evidence.size.min()), 1),
                "reference": reference, "reference_error": error, "estimates": {n: float(f"{fit.theta[n]:.5g}") for n in fit.estimated},
                "monolix": {n: float(f"{there.theta[n]:.5g}") for n in fit.estimated}, "whole": round(time.perf_counter() - began, 1),
                "verdict": fit.verdict, "load": round(os.getloadavg()[0], 1), **about,
            }), flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
