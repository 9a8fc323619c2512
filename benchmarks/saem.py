"""Does SAEM end where NONMEM and nlmixr2 end, and how long does it take? One JSON line per case of the ACoP 2016 grid.

Data, models and starting values are those of ``acop.py``. `worse_by` is FOCEI's objective at our estimates less NONMEM's
optimum of FOCEI, and `nlmixr2_worse_by` the same for nlmixr2's SAEM: the two methods maximise different likelihoods, so neither
is zero. `outside` says how far logarithms of our typical values lie outside the interval between NONMEM (FOCEI) and nlmixr2
(SAEM), and `apart` how far these two are from each other. `first` is the time to the end of the first iteration (centring and
compiling), `search` that of all others, `cpu` the processor's seconds of both.

**Reference**: Schoemaker et al. 2019, CPT Pharmacometrics Syst Pharmacol 8:923, doi:10.1002/psp4.12471; the table of results is
that of nlmixr2test.

Run as ``python benchmarks/saem.py DATA [--only 023,009,046]``, where DATA is the folder that ``acop.py`` takes.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import math
import platform
import time
from pathlib import Path

import jax
import numpy as np
import pandas as pd
from acop import population, read

import twinjax as tj
from twinjax.estimation.engine import Engine

OURS = {"lCl": "cl", "lVc": "v", "lKA": "ka", "lVM": "vmax", "lKM": "km", "lQ": "q", "lVp": "v2"}


def numbers(text: str) -> dict[str, float]:
    """``lCl=1.36 lVc=4.2`` as a dictionary."""
    return {n: float(v) for n, _, v in (item.partition("=") for item in text.split())}


def published(case: pd.Series) -> dict[str, tuple[float, float]]:
    """Logarithms of typical values by NONMEM's FOCEI and nlmixr2's SAEM, which list them in the same order."""
    saem, nonmem = numbers(case.nlmixr2_saem_theta), list(numbers(case.nonmem_theta).values())
    return {OURS[n]: (nonmem[i], v) for i, (n, v) in enumerate(saem.items()) if n in OURS}


def fitted(case: pd.Series, folder: Path) -> dict[str, object]:
    """One case."""
    data = str(case.data).removesuffix(".csv")
    trial, start, times = read(folder, data, case.subset), population(data), []
    began, cpu = time.perf_counter(), time.process_time()
    fit = tj.fit(start, trial, method=tj.SAEM(), covariance=False, progress=lambda _: times.append(time.perf_counter()))
    cpu = time.process_time() - cpu
    engine = Engine.of(start, trial, tj.FOCEI(), {}, None)
    objective = engine(np.asarray(engine.predictor.transform.pack(fit.population.theta)))[0]
    found = {n: math.log(fit.theta["v1" if n == "v" and "v1" in fit.theta else n]) for n in published(case)}
    others = {n: (min(pair), max(pair)) for n, pair in published(case).items()}
    return {
        "case": case.case, "data": data, "subset": case.subset, "iterations": len(fit.history),
        "first": round(times[0] - began, 2), "search": round(times[-1] - times[0], 2), "cpu": round(cpu, 2),
        "converged": fit.converged, "monte_carlo_error": round(float(fit.evidence.error.max()), 4),
        "worse_by": round(objective - case.nonmem743_ode_ofv, 3),
        "nlmixr2_worse_by": round(case.nlmixr2_saem_ofv - case.nonmem743_ode_ofv, 3),
        "published_seconds": {"nlmixr2 SAEM": case.nlmixr2_saem_sec, "NONMEM FOCEI": case.nonmem743_ode_sec},
        "log_typical": {n: round(x, 4) for n, x in found.items()},
        "outside": {n: round(max(others[n][0] - x, x - others[n][1], 0.0), 4) for n, x in found.items()},
        "apart": {n: round(high - low, 4) for n, (low, high) in others.items()},
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--only", default="023,009,046")
    asked = parser.parse_args()
    table = pd.read_csv(asked.data / "cross_software_acop2016.csv", dtype={"case": str}).set_index("case", drop=False)
    about = {"device": str(jax.devices()[0].device_kind), "python": platform.python_version()}
    about |= {n: importlib.metadata.version(n) for n in ("jax", "diffrax", "twinjax")}
    for number in asked.only.split(","):
        print(json.dumps({"benchmark": "saem", **about, **fitted(table.loc[number], asked.data)}), flush=True)


if __name__ == "__main__":
    main()
