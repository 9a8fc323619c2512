"""Are cycles 2 and 3 of chemotherapy foreseen from the first? One JSON line a method and design, as ``neutropenia.py``.

Simulated patients of the published population of leukocytes under paclitaxel (DDMODEL00000186: Friberg's model), three
cycles of 21 days, 370 umol over 3 h each (175 mg/m2 at 1.8 m2). A twin of each, whose prior is the population, learns
the counts of cycle 1, every third day or on days 0, 7 and 14, and foresees cycles 2 and 3, of which it learns nothing.

Methods: the mode alone (``MAP, no spread``: residual error is its only uncertainty), the mode with Laplace's
covariance, the same corrected by importance, particles, and the population itself (``prior``). Figures: share of new
counts, every third day with residual error, inside central 90 % bands; error of each cycle's nadir (mean absolute
difference of logarithms) and share of nadirs inside; share of nadirs whose grade (leukopenia, CTCAE: 3, 2 and 1 e9/L)
the median has right, and Brier's score of the probability of grade 3 or more.

**Reference**: Friberg et al. 2002, J Clin Oncol 20:4713, doi:10.1200/JCO.2002.02.140; the question: Maier et al. 2020,
CPT Pharmacometrics Syst Pharmacol 9:153, doi:10.1002/psp4.12492.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import twinjax as tj
from twinjax.models import FribergMyelosuppression, TwoCompartment, coupled

CYCLE, RESIDUAL = 21.0, 0.286
FINE = np.arange(CYCLE, 3 * CYCLE, 0.25)
NEW = np.arange(CYCLE, 3 * CYCLE, 3.0)
DESIGNS = {"every third day": np.arange(0.0, CYCLE, 3.0), "days 0, 7, 14": np.array([0.0, 7.0, 14.0])}
DOSES = tj.Regimen.repeat(370.0, every=24 * CYCLE, count=3, into="pk.central", duration=3.0)
BACKEND = tj.Fused(rtol=1e-6, atol=1e-8)
METHODS: dict[str, Any] = {
    "MAP, no spread": tj.MAP(), "MAP": tj.MAP(), "LaplaceImportance": tj.LaplaceImportance(draws=400),
    "ParticleFilter": tj.ParticleFilter(particles=300, moves=3), "prior": None,
}  # fmt: skip


def paclitaxel() -> tj.Population:
    """With umol in place of mg throughout; every number is known, only random effects are learnt."""
    model = coupled(
        {"pd.concentration": "pk.plasma"}, pk=TwoCompartment(cl=285.0, v1=290.0, q=204.0, v2=995.0),
        pd=FribergMyelosuppression(circ0=7.21, mtt=124.0, gamma=0.239, slope=28.9),
    )  # fmt: skip
    own: dict[str, Any] = {
        "variability": {"circ0": 0.107**0.5, "mtt": 0.0296**0.5, "slope": 0.176**0.5},
        "residual": {"pd.neutrophils": tj.Proportional(RESIDUAL)},
    }
    return tj.Population(model, **own, fixed=tuple(tj.Population(model, **own).theta))


def courses(population: tj.Population, eta: np.ndarray, days: np.ndarray) -> np.ndarray:
    """True counts `(people, days)` of random effects `(people, etas)`."""
    persons = jax.vmap(lambda e: population.individual(population.theta, e, {}))(jnp.asarray(eta))
    return np.asarray(tj.simulate(persons, DOSES, days * 24.0, backend=BACKEND).output.pd.neutrophils)


def grade(count: np.ndarray) -> np.ndarray:
    """Of leukopenia: 0 or 1 together, then 2, 3, 4."""
    return (count < 3.0).astype(int) + (count < 2.0) + (count < 1.0)


def by_cycle(x: np.ndarray, days: np.ndarray) -> list[np.ndarray]:
    """What is of cycle 2 and of cycle 3."""
    return [x[..., days < 2 * CYCLE], x[..., days >= 2 * CYCLE]]


def judged(ahead: np.ndarray, noisy: np.ndarray, true: np.ndarray, new: np.ndarray) -> dict[str, Any]:
    """Figures of forecasts `(people, draws, days)` of fine days and of new counts, against what came."""
    low, high = np.quantile(noisy, [0.05, 0.95], axis=1)
    found: dict[str, Any] = {}
    inside = [i.mean() for i in by_cycle((low <= new) & (new <= high), NEW)]
    nadirs = zip(by_cycle(ahead, FINE), by_cycle(true, FINE), strict=True)
    for k, (a, t) in enumerate(nadirs):
        draws, nadir = a.min(axis=2), t.min(axis=1)
        middle, (lower, upper) = np.median(draws, axis=1), np.quantile(draws, [0.05, 0.95], axis=1)
        severe = np.mean(draws < 2.0, axis=1)
        found[f"cycle {k + 2}"] = {
            "inside_90": round(float(inside[k]), 3), "nadir_error": round(float(np.mean(np.abs(np.log(middle / nadir)))), 3),
            "nadirs_inside_90": round(float(np.mean((lower <= nadir) & (nadir <= upper))), 3),
            "grade_right": round(float(np.mean(grade(middle) == grade(nadir))), 3),
            "brier_grade_3": round(float(np.mean((severe - (nadir < 2.0)) ** 2)), 3),
        }  # fmt: skip
    return {"inside_90": round(float(np.mean(inside)), 3), **found}


def main() -> None:
    """Every design and method."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--patients", type=int, default=300)
    parser.add_argument("--draws", type=int, default=200)
    parser.add_argument("--seed", type=int, default=11)
    parser.add_argument("--only", default="", help="designs whose names contain this")
    asked = parser.parse_args()
    population, rng = paclitaxel(), np.random.default_rng(asked.seed)
    spread = np.sqrt(np.diag(np.asarray(population.omega(population.theta))))
    eta = rng.standard_normal((asked.patients, len(spread))) * spread
    true, exact = courses(population, eta, FINE), courses(population, eta, NEW)

    def measured(f: np.ndarray) -> np.ndarray:
        return np.maximum(f * (1.0 + RESIDUAL * rng.standard_normal(f.shape)), 0.05)

    new = measured(exact)
    for design, days in DESIGNS.items():
        if asked.only not in design:
            continue
        counts = measured(courses(population, eta, days))
        for name, method in METHODS.items():
            began, cpu, settled, seconds, used = time.perf_counter(), time.process_time(), None, None, None
            if method is None:
                drawn = rng.standard_normal((asked.patients, asked.draws, len(spread))) * spread
            else:
                first = tj.Twin.of(population, doses=DOSES, method=method, backend=BACKEND)
                twins = [first.another(str(i), doses=DOSES) for i in range(asked.patients)]
                twins = tj.assimilate_each(twins, [tj.Measurements.of(days * 24, v, "neutrophils") for v in counts])
                seconds, used = time.perf_counter() - began, time.process_time() - cpu
                keys = jax.random.split(jax.random.key(asked.seed), asked.patients)
                drawn = np.stack([t.belief.draw(k, asked.draws)[0] for t, k in zip(twins, keys, strict=True)])
                settled = round(float(np.mean([t.trail[-1]["settled"] for t in twins])), 3)
                if name == "MAP, no spread":
                    drawn = np.repeat(np.concatenate([t.belief.mean for t in twins])[:, None], asked.draws, axis=1)
            flat = drawn.reshape(-1, drawn.shape[2])
            both = courses(population, flat, np.concatenate([FINE, NEW])).reshape(*drawn.shape[:2], -1)
            ahead, at = both[..., : len(FINE)], both[..., len(FINE) :]
            print(json.dumps({
                "benchmark": "neutropenia", "method": name, "design": design, "patients": asked.patients, "seed": asked.seed,
                "new_counts": new.size, **judged(ahead, measured(at), true, new), "settled": settled,
                "learn_seconds": seconds and round(seconds, 1), "learn_cpu": used and round(used, 1),
                "device": jax.devices()[0].device_kind, "jax": jax.__version__, "load": round(os.getloadavg()[0], 1),
            }), flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
