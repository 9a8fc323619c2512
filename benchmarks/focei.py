"""How long does a population fit take, from start to estimates? One question, one JSON line per engine.

Theophylline (12 subjects, 132 observations), one compartment with first-order absorption, log-normal ka, cl and v, additive
error, FOCEI from the same starting values, by twinjax through kernels, the closed form and diffrax. `compile` is the first
evaluation of objective and gradient, less one that is compiled; `search` the whole minimisation once compiled; `covariance` the
standard errors; `whole_cpu` the processor's seconds of a whole fit once compiled, whatever else the machine does. The reference
objective is 116.803 (NONMEM), to which `error` is the distance.

Where R with nlme is installed, its fit of the same model and data (Lindstrom-Bates, maximum likelihood) is timed in the same
run, as a peer: it minimises a related objective, without gradients through eta-hat.

Run as ``python benchmarks/focei.py [--repeats 5]``.
"""

import argparse
import importlib.metadata
import json
import os
import platform
import shutil
import statistics
import subprocess
import time

import jax

import twinjax as tj
from twinjax.datasets import theophylline
from twinjax.models import OneCompartmentOral
from twinjax.solve.fused import Tsit5

REFERENCE = 116.803
R = """
library(nlme); d <- datasets::Theoph
f <- function() nlme(conc ~ SSfol(Dose, Time, lKe, lKa, lCl), data = d, fixed = lKe + lKa + lCl ~ 1,
  random = pdDiag(lKe + lKa + lCl ~ 1), start = c(-2.4, 0.45, -3.2), method = "ML",
  control = nlmeControl(returnObject = TRUE, msVerbose = FALSE))
s <- sapply(1:5, function(i) system.time(f())[["elapsed"]]); cat(median(s), as.numeric(logLik(f())))
"""


def line(**found: object) -> None:
    versions = {n: importlib.metadata.version(n) for n in ("jax", "diffrax", "twinjax")}
    device = str(jax.devices()[0].device_kind)
    about = {"device": device, "python": platform.python_version(), "load": round(os.getloadavg()[0], 1)}
    print(json.dumps({"benchmark": "focei", **about, **versions, **found}), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    repeats = parser.parse_args().repeats
    population = tj.Population(
        OneCompartmentOral(ka=1.57, cl=2.7, v=31.5),
        variability={"ka": 0.7, "cl": 0.5, "v": 0.3},
        residual=tj.Additive(0.7),
    )
    trial = theophylline()
    backends = {
        "Fused": tj.Fused(),
        "Fused Tsit5": tj.Fused(method=Tsit5()),
        "Exact": tj.Exact(),
        "Diffrax": tj.Diffrax(),
    }
    for name, backend in backends.items():
        begin = time.perf_counter()
        first = tj.fit(population, trial, backend=backend)
        whole = time.perf_counter() - begin
        worked = time.process_time()
        again = [tj.fit(population, trial, backend=backend) for _ in range(repeats)]
        worked = time.process_time() - worked
        line(
            engine=f"twinjax {name}",
            subjects=len(trial),
            compile=round(first.seconds["compile"] - statistics.median(f.seconds["compile"] for f in again), 3),
            search=round(statistics.median(f.seconds["search"] for f in again), 3),
            covariance=round(statistics.median(f.seconds["covariance"] for f in again), 3),
            first_fit_whole=round(whole, 3),
            whole_cpu=round(worked / repeats, 3),
            iterations=len(first.history),
            objective=round(first.objective, 5),
            error=round(abs(first.objective - REFERENCE), 5),
        )
    if shutil.which("Rscript"):
        out = subprocess.run(["Rscript", "-e", R], capture_output=True, text=True, check=True).stdout.split()
        line(engine="R nlme", search=float(out[0]), log_likelihood=float(out[1]))


if __name__ == "__main__":
    main()
