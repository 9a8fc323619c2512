"""Do NUTS's posteriors say what they should? Simulation-based calibration: one question, one JSON line.

Truths are drawn from the priors, a small trial is simulated at each, and its posterior sampled. If sampler, priors, Jacobians and
likelihood are all right, the rank of the truth among (thinned) posterior draws is uniform: `p` is the chi-square test's for each
parameter, over 10 bins, and `smallest_p` over all of them is to be compared with 0.05 / parameters (`bonferroni`). One compiled
program serves all trials.

12 subjects, 4 samples each, one compartment, a block Omega of two, proportional error.

Run as ``python benchmarks/calibration_of_bayes.py [--trials 100] [--first 0] [--out results/bayes-cpu.jsonl]``.

**Reference**: Talts, Betancourt, Simpson, Vehtari & Gelman 2018, arXiv:1804.06788.
"""

import argparse
import importlib.metadata
import json
import platform
import sys
import time
from pathlib import Path

import jax
import numpy as np
import scipy.stats

import twinjax as tj
from twinjax.models import OneCompartment

PRIORS = {
    "cl": tj.LogNormal(3.0, 0.5),
    "v": tj.LogNormal(30.0, 0.5),
    "plasma.proportional": tj.Gamma(4.0, 40.0),
    "omega.cl": tj.HalfNormal(0.4),
    "omega.v": tj.HalfNormal(0.4),
}
LKJ = 2.0
TIMES = np.array([0.5, 2.0, 6.0, 12.0])
SUBJECTS, DRAWS, KEPT, BINS = 12, 250, 99, 10
DOSE = tj.Regimen.dose(300.0, into="central")


def truth(key):
    """From the priors; for two correlated effects, LKJ's correlation is a beta on (-1, 1)."""
    keys = jax.random.split(key, len(PRIORS) + 1)
    found = {n: float(d.sample(k)) for (n, d), k in zip(PRIORS.items(), keys[1:], strict=True)}
    return {**found, "corr.cl.v": float(2.0 * jax.random.beta(keys[0], LKJ, LKJ) - 1.0)}


def simulated(population, seed):
    people = tj.cohort(population, SUBJECTS, seed=seed)
    clean = np.asarray(tj.simulate(people, DOSE, TIMES).output.plasma)
    error = float(population.theta["plasma.proportional"])
    noisy = clean * (1.0 + error * np.random.default_rng(seed).standard_normal(clean.shape))
    return tj.TrialData(
        tuple(tj.Subject(i, DOSE, tj.Measurements.of(TIMES, y)) for i, y in zip(people.ids, noisy, strict=True))
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=100)
    parser.add_argument("--first", type=int, default=0, help="number of the first trial, so that runs add up")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    start = tj.Population(
        OneCompartment(cl=3.0, v=30.0), variability={"cl": 0.3, "v": 0.3}, correlations={("cl", "v"): 0.0},
        residual=tj.Proportional(0.1),
    )  # fmt: skip
    method = tj.NUTS(warmup=300, draws=DRAWS, acceptance=0.9, lkj=LKJ)
    ranks, divergent, rhat, seconds = [], 0, [], []
    for trial in range(args.first, args.first + args.trials):
        true = truth(jax.random.fold_in(jax.random.key(2026), trial))
        data = simulated(start.with_theta({**start.theta, **true}), trial)
        begin = time.perf_counter()
        found = tj.fit(start, data, method=method, priors=PRIORS, seed=trial).evidence
        seconds.append(time.perf_counter() - begin)
        flat = found.draws.reshape(-1, len(found.names))
        thinned = flat[np.linspace(0, len(flat) - 1, KEPT).round().astype(int)]
        ranks.append((thinned < np.array([true[n] for n in found.names])).sum(axis=0))
        divergent += found.divergences
        rhat.append(max(found.rhat.values()))
        print(f"trial {trial}: ranks {ranks[-1].tolist()}, {seconds[-1]:.1f} s", file=sys.stderr)
    counts = [np.histogram(r, BINS, (-0.5, KEPT + 0.5))[0] for r in np.array(ranks).T]
    p = {n: round(float(scipy.stats.chisquare(c).pvalue), 4) for n, c in zip(found.names, counts, strict=True)}
    line = {
        "benchmark": "calibration_of_bayes", "device": str(jax.devices()[0].device_kind), "python": platform.python_version(),
        **{n: importlib.metadata.version(n) for n in ("jax", "blackjax", "twinjax")}, "first": args.first, "trials": args.trials, "subjects": SUBJECTS,
        "draws_a_trial": method.chains * DRAWS, "ranks_of": KEPT + 1, "p": p, "smallest_p": min(p.values()),
        "bonferroni": round(0.05 / len(p), 4), "bins": {n: c.tolist() for n, c in zip(found.names, counts, strict=True)},
        "divergent_share": divergent / (args.trials * method.chains * DRAWS), "rhat_above_1.01": sum(r > 1.01 for r in rhat),
        "largest_rhat": round(max(rhat), 4), "first_s": round(seconds[0], 2), "later_median_s": round(float(np.median(seconds[1:])), 2),
    }  # fmt: skip
    print(json.dumps(line))
    if args.out:
        with args.out.open("a") as file:
            file.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    main()
