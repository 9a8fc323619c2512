"""How long do the population fits of the ACoP 2016 grid take, and do they end where NONMEM and nlmixr2 end?

One JSON line per case: twelve simulated data sets (bolus, infusion or oral; one or two compartments; linear or
Michaelis-Menten elimination; 120 subjects, 27 to 58 samples each, by subset), FOCEI, log-normal random effects on every
parameter, proportional error, the starting values of `START`. `compile` is everything before the search (reading the data
apart), `search` the minimisation, `covariance` the standard errors. `worse_by` is the objective less the better of
NONMEM 7.4.3 (ODE) and nlmixr2 2.1.4 (FOCEI), from their authors' machines, whose seconds stand beside ours as published. A
last line sums up.

**Reference**: Schoemaker et al. 2019, CPT Pharmacometrics Syst Pharmacol 8:923, doi:10.1002/psp4.12471; the table of results is
that of nlmixr2test.

Run as ``python benchmarks/acop.py DATA [--only 023,031] [--backend fused|exact|diffrax] [--no-covariance]``, where DATA is a
folder with the data sets (``Oral_1CPT.csv.gz`` and so on) and ``cross_software_acop2016.csv``.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import math
import os
import platform
import time
from pathlib import Path

import jax
import pandas as pd

import twinjax as tj
from twinjax import models

MODELS = {
    "1CPT": models.OneCompartment,
    "1CPTMM": models.OneCompartmentMichaelisMenten,
    "2CPT": models.TwoCompartment,
    "2CPTMM": models.TwoCompartmentMichaelisMenten,
    "Oral_1CPT": models.OneCompartmentOral,
    "Oral_1CPTMM": models.OneCompartmentOralMichaelisMenten,
    "Oral_2CPT": models.TwoCompartmentOral,
    "Oral_2CPTMM": models.TwoCompartmentOralMichaelisMenten,
}
START = {"ka": 1.2, "cl": 5.0, "v": 90.0, "v1": 90.0, "q": 7.4, "v2": 55.0, "vmax": 1100.0, "km": 400.0}
"""In the data's units: amounts in ug, concentrations in ug/L. The data were simulated with ka 1, cl 4, v 70, q 4, v2 50, vmax
1000, km 250, and standard deviations of 0.3."""
SUBSETS = {
    "SD==1": lambda d: d[d.SD == 1],
    "SD==0": lambda d: d[d.SD == 0],
    "all": lambda d: d,
    "SS": lambda d: d[d.SS != 99],
}
BACKENDS = {"fused": tj.Fused, "exact": tj.Exact, "diffrax": tj.Diffrax, None: lambda: None}
STEADY = {
    "003": "Bolus_1CPT",
    "014": "Infusion_1CPT",
    "025": "Oral_1CPT",
    "034": "Bolus_2CPT",
    "048": "Infusion_2CPT",
    "062": "Oral_2CPT",
}


def population(data: str) -> tj.Population:
    """The model of a data set."""
    name = data if data.startswith("Oral") else data.partition("_")[2]
    model = MODELS[name]
    own = {n: v for n, v in START.items() if n in model.__dataclass_fields__}
    return tj.Population(model(**own), variability=dict.fromkeys(own, 0.3), residual=tj.Proportional(0.2))


def read(folder: Path, data: str, subset: str) -> tj.TrialData:
    """A subset of a data set. Its SS and II columns mean what they say in the steady-state cases only."""
    frame = SUBSETS[subset](pd.read_csv(folder / f"{data}.csv.gz"))
    wanted = ["ID", "TIME", "DV", "AMT", "RATE", "EVID", "MDV", "CMT"] + (["SS", "II"] if subset == "SS" else [])
    return tj.read_nonmem(frame[[c for c in wanted if c in frame]], outputs=1, covariates=[], name=f"{data} {subset}")


def fitted(case: pd.Series, folder: Path, backend: str | None, covariance: bool) -> dict[str, object]:
    """One case."""
    data, subset = (
        (str(case.data).removesuffix(".csv"), case.subset) if case.case not in STEADY else (STEADY[case.case], "SS")
    )
    trial, began = read(folder, data, subset), time.perf_counter()
    fit = tj.fit(population(data), trial, backend=BACKENDS[backend](), covariance=covariance)
    whole = time.perf_counter() - began
    published = [x for x in (case.nonmem743_ode_ofv, case.nlmixr2_focei_ofv) if not math.isnan(x)]
    return {
        "case": case.case, "data": data, "subset": subset, "observations": trial.observations, "whole": round(whole, 2),
        **{k: round(v, 2) for k, v in fit.seconds.items()}, "iterations": len(fit.history), "objective": round(fit.objective, 3),
        "worse_by": round(fit.objective - min(published), 3), "nonmem": case.nonmem743_ode_ofv, "nlmixr2": case.nlmixr2_focei_ofv,
        "nonmem_s_published": case.nonmem743_ode_sec, "nlmixr2_s_published": case.nlmixr2_focei_sec,
        "backend": type(fit.backend).__name__, "converged": fit.converged, "verdict": fit.verdict,
        "estimates": {n: float(f"{fit.theta[n]:.5g}") for n in fit.estimated},
    }  # fmt: skip


def line(found: dict[str, object]) -> None:
    """Print it as JSON."""
    versions = {n: importlib.metadata.version(n) for n in ("jax", "diffrax", "llvmlite", "twinjax")}
    plain = {k: None if isinstance(v, float) and math.isnan(v) else v for k, v in found.items()}
    about = {"device": str(jax.devices()[0].device_kind), "cpus": os.cpu_count(), "python": platform.python_version()}
    print(
        json.dumps({"benchmark": "acop", **plain, **about, "load": round(os.getloadavg()[0], 1), **versions}),
        flush=True,
    )


def main() -> None:
    """Every case, then their sum."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--only", help="cases, such as 023,031")
    parser.add_argument("--backend", choices=[b for b in BACKENDS if b])
    parser.add_argument("--no-covariance", dest="covariance", action="store_false")
    given = parser.parse_args()
    table = pd.read_csv(given.data / "cross_software_acop2016.csv", dtype={"case": str})
    if given.only:
        table = table[table.case.isin(given.only.split(","))]
    found = []
    for _, case in table.iterrows():
        found.append(fitted(case, given.data, given.backend, given.covariance))
        line(found[-1])
    line({
        "case": "sum", "cases": len(found), "whole": round(sum(f["whole"] for f in found), 1),
        **{k: round(sum(f[k] for f in found), 1) for k in ("compile", "search", "covariance")},
        "worst": max(found, key=lambda f: f["worse_by"])["case"], "worst_by": max(f["worse_by"] for f in found),
        "nonmem_s_published": round(float(table.nonmem743_ode_sec.sum()), 1), "nlmixr2_s_published": round(float(table.nlmixr2_focei_sec.sum()), 1),
    })  # fmt: skip


if __name__ == "__main__":
    main()
