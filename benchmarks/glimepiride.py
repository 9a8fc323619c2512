"""Do clinical data of glimepiride bring its body back from perturbed parameters? One question, one JSON line per run.

Mean concentrations in serum after 1, 2, 4 and 8 mg by mouth (Malerczyk 1994) and 1 mg by mouth and into a vein (Badian 1994), pooled
as of one person: absorption, exchange with tissue, partition and CYP2C9's capacity are fitted by exact gradients, from the published
values and from each of them doubled or halved at random. Fold errors are over all samples above zero.

Run as ``python benchmarks/glimepiride.py DATA``, DATA the folder of the digitised studies (glimepiride_data of
https://github.com/matthiaskoenig/glimepiride-model, tsv).
"""

import argparse
import importlib.metadata
import json
import os
import platform
import time
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
import pandas as pd

import twinjax as tj
from twinjax.exposure import fold_errors
from twinjax.models.body.glimepiride import Glimepiride, glimepiride
from twinjax.naming import bind, leaves, names

FITTED = ("absorption", "exchange", "kp", "vmax")
STUDIES = [("Malerczyk1994", f"GLI{d}", float(d), "stomach") for d in (1, 2, 4, 8)]
STUDIES += [("Badian1994", "GLI1po", 1.0, "stomach"), ("Badian1994", "GLI1iv", 1.0, "drug.plasma.venous")]
MASS = 0.490616


def trial(folder: Path) -> tj.TrialData:
    """The studies as one subject each, umol and umol/L."""
    found = []
    for study, arm, dose, into in STUDIES:
        table = pd.read_csv(folder / f"{study}_glimepiride_{arm}.tsv", sep="\t")
        table = table[(table["mean"] > 0.0) & (table["time"] > 0.0)].sort_values("time")
        seen = tj.Measurements.of(table["time"], 1e3 * table["mean"], "plasma")
        found.append(tj.Subject(f"{study} {arm}", tj.Regimen.dose(dose / MASS, into=into), seen))
    return tj.TrialData(tuple(found), "glimepiride")


def errors(model: Glimepiride, data: tj.TrialData) -> float:
    """Geometric mean fold error of a body over all samples."""
    predicted = [
        np.asarray(tj.simulate(model, s.regimen, s.measurements.time, throw=True).output.plasma[0]) for s in data
    ]
    return fold_errors(np.concatenate(predicted), np.concatenate([s.measurements.value for s in data])).gmfe


def fitted(start: Glimepiride, data: tj.TrialData) -> dict[str, Any]:
    """One fit, from a start."""
    population = tj.Population(
        start, residual={"plasma": tj.LogNormalError(0.4)},
        fixed=[n for n in names(start) if n not in FITTED],
    )  # fmt: skip
    began = time.perf_counter()
    fit = tj.fit(population, data, method=tj.NaivePooled(), backend=tj.Fused(rtol=1e-6, atol=1e-9))
    found = {n: float(fit.population.theta[n]) for n in FITTED}
    best = bind(start, {n: jnp.asarray(v) for n, v in found.items()})
    published = leaves(glimepiride())
    return {
        "start_gmfe": errors(start, data), "gmfe": errors(best, data), "objective": float(fit.objective),
        "over_published": {n: round(v / float(published[n]), 4) for n, v in found.items()},
        "seconds": time.perf_counter() - began,
    }  # fmt: skip


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("data", type=Path)
    data = trial(asked.parse_args().data)
    published = glimepiride()
    factors = np.random.default_rng(1).choice([0.5, 2.0], len(FITTED))
    away = bind(published, {n: leaves(published)[n] * f for n, f in zip(FITTED, factors, strict=True)})
    print(json.dumps({
        "benchmark": "glimepiride", "machine": platform.machine(), "load": os.getloadavg(),
        "versions": {"python": platform.python_version(), **{p: importlib.metadata.version(p) for p in ("jax", "twinjax")}},
        "states": 52, "studies": len(data), "samples": data.observations, "published_gmfe": errors(published, data),
        "from_published": fitted(published, data), "from_perturbed": fitted(away, data),
        "factors": dict(zip(FITTED, factors.tolist(), strict=True)),
    }))  # fmt: skip


if __name__ == "__main__":
    main()
