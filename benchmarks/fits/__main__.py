"""How long do population fits take, beside other engines on the same machine? One question, a JSON line per engine and case.

Theophylline, phenobarbital, warfarin and eight cases of the ACoP 2016 grid from the same starting values: twinjax by FOCEI
(`compile` apart: what the first fit of a shape costs before its search; median of `--repeats` fits for the rest), R's nlme,
saemix and OpenPMX where they are installed. As each minimises something else, `at_estimates` is twinjax's FOCEI objective at
an engine's estimates, and `worse_by` that less the best objective known; of OpenPMX only its own objective is known, which is
another. What is published of NONMEM and nlmixr2, on their authors' machines, stands in `published_s`.

Run as ``python benchmarks/fits DATA [--only theophylline] [--engines twinjax,nlme,saemix,openpmx] [--openpmx PROGRAM]``. saemix is
found where ``R_LIBS`` says.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import by_openpmx
import jax
import numpy as np
from cases import Case, cases

import twinjax as tj
from twinjax.estimation.engine import Engine


def by_twinjax(case: Case, repeats: int) -> dict[str, Any]:
    """FOCEI, by the backend chosen."""
    began = time.perf_counter()
    first = tj.fit(case.population, case.trial)
    whole = time.perf_counter() - began
    again = [tj.fit(case.population, case.trial) for _ in range(repeats)]
    return {
        "whole": round(whole, 2), "compile": round(first.seconds["compile"] - statistics.median(f.seconds["compile"] for f in again), 2),
        "seconds": round(statistics.median(f.seconds["search"] for f in again), 3),
        "covariance": round(statistics.median(f.seconds["covariance"] for f in again), 3),
        "objective": round(first.objective, 3), "backend": type(first.backend).__name__, "converged": first.converged,
        "estimates": {n: first.theta[n] for n in first.estimated},
    }  # fmt: skip


def by_r(case: Case, engine: str) -> dict[str, Any]:
    """Nlme or saemix, in closed form."""
    if case.structure.endswith("mm"):
        return {"failed": "no closed form, and no ODE solver of its own"}
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder) / "table.csv"
        case.table.to_csv(table, index=False)
        words = ["Rscript", str(Path(__file__).with_name("peers.R")), engine, str(table), case.structure, case.error]
        done = subprocess.run([*words, *(f"{n}={v!r}" for n, v in case.start.items())], capture_output=True, text=True)
    line = next((x for x in done.stdout.splitlines() if x.startswith("RESULT")), None)
    if line is None:
        return {"failed": done.stderr.strip()[-300:]}
    _, seconds, *rest = line.split()
    estimates = {n: float(v) for n, v in (x.split("=") for x in rest if "=" in x)}
    (output, error), *_ = case.population.residuals.items()
    named = [n for n in ("additive", "proportional") if hasattr(error, n)]
    estimates |= {f"{output}.{n}": float(v) for n, v in zip(named, [x for x in rest if "=" not in x], strict=True)}
    return {"seconds": float(seconds), "estimates": estimates}


def at(case: Case, estimates: dict[str, float]) -> float:
    """The FOCEI objective at some estimates."""
    there = case.population.with_theta({n: max(v, 1e-8) for n, v in estimates.items()})
    engine = Engine.of(there, case.trial, tj.FOCEI(), {}, None)
    return engine(np.asarray(engine.predictor.transform.pack(there.theta)))[0]


def main() -> None:
    """A line for each engine and case."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--only", help="cases, by name, separated by commas")
    parser.add_argument("--engines", default="twinjax,nlme,saemix,openpmx")
    parser.add_argument("--openpmx", type=Path, help="the program `openpmx` that its installation wrote")
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()
    versions = {n: importlib.metadata.version(n) for n in ("jax", "llvmlite", "twinjax")}
    about = {
        "device": str(jax.devices()[0].device_kind),
        "cpus": os.cpu_count(),
        "python": platform.python_version(),
        **versions,
    }
    wanted = given.engines.split(",")
    for case in cases(given.data):
        if given.only and case.name not in given.only.split(","):
            continue
        found: dict[str, dict[str, Any]] = {}
        if "twinjax" in wanted:
            found["twinjax FOCEI"] = by_twinjax(case, given.repeats)
        for engine in ("nlme", "saemix"):
            if engine in wanted and shutil.which("Rscript"):
                found[f"R {engine}"] = by_r(case, engine)
        if "openpmx" in wanted and given.openpmx is not None:
            found["OpenPMX"] = by_openpmx.fitted(case, given.openpmx.resolve())
        for engine, line in found.items():
            reached = at(case, line["estimates"]) if "estimates" in line else None
            if reached is not None:
                line |= {"at_estimates": round(reached, 3), "worse_by": round(reached - case.target, 3)}
            load = round(os.getloadavg()[0], 1)
            print(json.dumps({"benchmark": "fits", "case": case.name, "engine": engine, **line, "published_s": case.published, "load": load, **about}),
                  flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
