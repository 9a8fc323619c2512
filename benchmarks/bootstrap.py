"""How long do a fit and its bootstrap of a thousand replicates take on this machine's device? One JSON line a case.

Theophylline (12 people, 132 measurements), by exponentials and by Tsit5, and a simulated trial of 120 people with saturable
elimination, eight measurements each. `fit` is the second of two, once compiled. Replicates are drawn by cases and searched
one by one (`alone` of them) and `together`, so many side by side in one program as make `--rows` subjects, whose compilation is
`compile`. `apart` is
the largest difference in objective between the two, `se_ratio` the bootstrap's standard errors over those of R.

Run as ``python benchmarks/bootstrap.py [--replicates 1000] [--alone 100] [--rows 3000]``; with a CUDA device JAX takes it.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import time
from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np

import twinjax as tj
from twinjax.datasets import theophylline
from twinjax.estimation.diagnosis.simulation import simulate_trial
from twinjax.models import OneCompartmentOral, OneCompartmentOralMichaelisMenten
from twinjax.solve.fused import Tsit5


def cases() -> Iterator[tuple[str, tj.Population, tj.TrialData, tj.Fused]]:
    """A name, where to start, the data, and what solves it."""
    absorbed = tj.Population(
        OneCompartmentOral(ka=1.5, cl=2.8, v=32.0),
        variability={"ka": 0.6, "cl": 0.3, "v": 0.2},
        residual=tj.Additive(0.7),
    )
    yield "theophylline, exponentials", absorbed, theophylline(), tj.Fused()
    yield "theophylline, Tsit5", absorbed, theophylline(), tj.Fused(method=Tsit5())
    saturable = tj.Population(
        OneCompartmentOralMichaelisMenten(ka=1.0, vmax=40.0, km=8.0, v=30.0),
        variability={"ka": 0.3, "vmax": 0.3, "v": 0.2}, residual=tj.Proportional(0.1),
    )  # fmt: skip
    times = [0.5, 1.0, 2.0, 4.0, 8.0, 12.0, 18.0, 24.0]
    empty = tj.Measurements.of(times, np.full(8, np.nan))
    doses = [tj.Regimen.dose(a, into="depot") for a in (150.0, 300.0, 600.0)]
    people = (tj.Subject(str(i), doses[i % 3], empty) for i in range(120))
    yield "saturable, 120 people", saturable, simulate_trial(saturable, tj.TrialData(tuple(people)), 1), tj.Fused()


def timed(work: Callable[[], Any]) -> tuple[Any, float, float]:
    """What it gives, its seconds and the processor's."""
    began, cpu = time.perf_counter(), time.process_time()
    found = work()
    return found, time.perf_counter() - began, time.process_time() - cpu


def main() -> None:
    """A line for each case."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--replicates", type=int, default=1000)
    parser.add_argument("--alone", type=int, default=100)
    parser.add_argument("--rows", type=int, default=3000)
    asked = parser.parse_args()
    versions = {n: importlib.metadata.version(n) for n in ("jax", "diffrax", "llvmlite", "twinjax")}
    for name, population, trial, backend in cases():
        together = max(2, asked.rows // len(trial))
        first, compiled, _ = timed(lambda p=population, t=trial, b=backend: tj.fit(p, t, backend=b))
        fit, again, fit_cpu = timed(lambda p=population, t=trial, b=backend: tj.fit(p, t, backend=b))
        tj.bootstrap(fit, 1, seed=1)
        alone, alone_s, alone_cpu = timed(lambda f=fit: tj.bootstrap(f, asked.alone, seed=1))
        _, made, _ = timed(lambda f=fit, n=together: tj.bootstrap(f, 1, seed=2, together=n))
        many, many_s, many_cpu = timed(lambda f=fit, n=together: tj.bootstrap(f, asked.replicates, seed=1, together=n))
        same = [r for r, s in zip(alone.replicates, many.replicates, strict=False) if not (r.failure or s.failure)]
        apart = max(abs(r.objective - many.replicates[r.number].objective) for r in same)
        print(json.dumps({
            "benchmark": "bootstrap", "case": name, **trial.summary(), "objective": round(first.objective, 3),
            "fit_compile": round(compiled - again, 2), "fit": round(again, 3), "fit_cpu": round(fit_cpu, 3),
            "alone": asked.alone, "alone_s": round(alone_s, 2), "alone_cpu": round(alone_cpu, 2),
            "replicates": asked.replicates, "together": together, "compile": round(made, 2),
            "together_s": round(many_s, 2), "together_cpu": round(many_cpu, 2), "failed": len(many.failures),
            "a_second": [round(asked.alone / alone_s, 1), round(asked.replicates / many_s, 1)],
            "a_cpu_second": [round(asked.alone / alone_cpu, 1), round(asked.replicates / many_cpu, 1)],
            "apart": float(f"{apart:.2g}"),
            "se_ratio": {n: round(float(many.table.se[n] / fit.table.se[n]), 3) for n in fit.estimated},
            "device": str(jax.devices()[0].device_kind), "cpus": os.cpu_count(), "load": round(os.getloadavg()[0], 1),
            "python": platform.python_version(), **versions,
        }), flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
