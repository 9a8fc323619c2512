"""Do FOCEI's standard errors mean what they say? Coverage of 90 % intervals over simulated trials: one question, one JSON line.

Every trial is simulated at the same truth and fitted from the same (wrong) starting values; `coverage` is the share of trials
whose interval (that of `Fit.table`: from the logarithm for a positive parameter) contains the truth, by parameter, with the
inverse of R, and of the sandwich, as the covariance. All parameters: 0.85 to 0.95 is the aim; `mean` is over parameters.
`skipped` are trials without standard errors. One compiled program serves all trials.

40 subjects, 6 samples each, one compartment with first-order absorption, log-normal ka, cl and v, proportional error.

Run as ``python benchmarks/coverage.py [--trials 200] [--out results/coverage-cpu.jsonl]``.
"""

import argparse
import importlib.metadata
import json
import platform
import time
from pathlib import Path

import jax
import numpy as np

import twinjax as tj
from twinjax.models import OneCompartmentOral

TRUTH = tj.Population(
    OneCompartmentOral(ka=1.0, cl=3.0, v=30.0),
    variability={"ka": 0.4, "cl": 0.3, "v": 0.2},
    residual=tj.Proportional(0.1),
)
START = TRUTH.with_theta(
    {**TRUTH.theta, "ka": 1.5, "cl": 2.0, "v": 40.0, "omega.ka": 0.6, "omega.cl": 0.5, "omega.v": 0.4}
)
TIMES = np.array([0.5, 1.0, 2.0, 4.0, 8.0, 16.0])
SUBJECTS, DOSE, Z = 40, tj.Regimen.dose(300.0), 1.6449


def simulated(seed):
    people = tj.cohort(TRUTH, SUBJECTS, seed=seed)
    clean = np.asarray(tj.simulate(people, DOSE, TIMES).output.plasma)
    noisy = clean * (1.0 + 0.1 * np.random.default_rng(seed).standard_normal(clean.shape))
    return tj.TrialData(
        tuple(tj.Subject(i, DOSE, tj.Measurements.of(TIMES, y)) for i, y in zip(people.ids, noisy, strict=True))
    )


def inside(found, covariance):
    """Whether each 90 % interval holds the truth."""
    estimate = np.array([found.theta[n] for n in found.estimated])
    true = np.array([float(TRUTH.theta[n]) for n in found.estimated])
    return np.abs(np.log(true / estimate)) < Z * np.sqrt(np.diag(covariance)) / estimate


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    by_r, by_sandwich, skipped, seconds = [], [], 0, []
    for trial in range(args.trials):
        data = simulated(trial)
        begin = time.perf_counter()
        found = tj.fit(START, data)
        seconds.append(time.perf_counter() - begin)
        if not found.uncertainty.known:
            skipped += 1
            continue
        by_r.append(inside(found, found.uncertainty.covariance))
        by_sandwich.append(inside(found, found.uncertainty.sandwich))
    coverage = np.mean(by_r, axis=0)
    line = {
        "benchmark": "coverage", "device": str(jax.devices()[0].device_kind), "python": platform.python_version(),
        **{n: importlib.metadata.version(n) for n in ("jax", "twinjax")}, "method": "FOCEI", "trials": args.trials,
        "subjects": SUBJECTS, "skipped": skipped, "nominal": 0.9,
        "coverage": {n: round(float(c), 4) for n, c in zip(found.estimated, coverage, strict=True)},
        "mean": round(float(coverage.mean()), 4), "monte_carlo_error": round(float(np.sqrt(0.09 / len(by_r))), 4),
        "sandwich": {n: round(float(c), 4) for n, c in zip(found.estimated, np.mean(by_sandwich, axis=0), strict=True)},
        "first_s": round(seconds[0], 2), "later_median_s": round(float(np.median(seconds[1:])), 3),
    }  # fmt: skip
    print(json.dumps(line))
    if args.out:
        with args.out.open("a") as file:
            file.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    main()
