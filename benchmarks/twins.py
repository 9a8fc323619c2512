"""How quickly do twins learn, and how well do they foresee? One JSON line a question, as ``twins.py QUESTION [DATA]``.

``latency``: one patient's update by each method, measurement by measurement, and thousands of patients at once (medians
of seven).
``first``: a patient's first update by MAP and the one after it, of a two-compartment model that drives Friberg's (7 states,
5 random effects), where nothing was compiled before and no cache is kept.
``tumours``: lesions of Laleh et al. 2022 (DATA is the folder of the table) with six scans or more; the last two foreseen
from the others by a population's twins, the last value, a line, and six classical models fitted to each lesion alone.
``persistence``: why the last value is hard to beat, and whether it can be: how often a diameter is recorded unchanged, and the
regression of least absolute deviations of the change on trends, fitted to half of the lesions and scored once on the others; with
bands of the changes of the first half.

Cycles of chemotherapy are foreseen in ``neutropenia.py``, glucose in ``glucose_forecast.py``.

**Reference**: Laleh et al. 2022, PLoS Comput Biol 18:e1009822, doi:10.1371/journal.pcbi.1009822.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import scipy.optimize

import twinjax as tj
from twinjax.assimilation.bedside import Bedside
from twinjax.models import (
    ClaretTumour,
    FribergMyelosuppression,
    OneCompartment,
    OneCompartmentOral,
    TwoCompartment,
    coupled,
)

METHODS = {
    "MAP": tj.MAP(), "LaplaceImportance": tj.LaplaceImportance(), "ParticleFilter": tj.ParticleFilter(),
    "ExtendedKalman": tj.ExtendedKalman(), "EnsembleKalman": tj.EnsembleKalman(),
}  # fmt: skip


def said(**what: Any) -> None:
    """One line, with where it ran."""
    print(json.dumps({
        "benchmark": "twins", **what, "device": jax.devices()[0].device_kind, "jax": jax.__version__,
        "load": round(os.getloadavg()[0], 1),
    }), flush=True)  # fmt: skip


# ------------------------------------------------------------------------------------------------------------- latency


def latency(names: list[str]) -> None:
    """Updates of one patient after warm-up, by wall clock; then many patients."""
    population = tj.Population(
        OneCompartmentOral(ka=1.5, cl=2.8, v=32.0), variability={"ka": 0.6, "cl": 0.3, "v": 0.2},
        residual=tj.Combined(0.1, 0.1),
    )  # fmt: skip
    doses = tj.Regimen.repeat(320, into="depot", every=24, count=3)
    people = tj.cohort(population, 2048, seed=1)
    times = np.array([1.0, 4.0, 12.0, 23.9, 36.0, 47.0])
    f = np.asarray(tj.simulate(people, doses, times).output.plasma)
    y = f * np.exp(0.1 * np.random.default_rng(2).standard_normal(f.shape))
    for name in names:
        first = tj.Twin.of(population, doses=doses, method=METHODS[name])
        began = time.perf_counter()
        tj.assimilate(first, tj.Measurements.of(times[:1], y[0, :1]))
        compiled = time.perf_counter() - began
        each = []
        for who in range(5):
            twin = first.another(str(who), doses=doses)
            for k in range(len(times)):
                began, cpu = time.perf_counter(), time.process_time()
                twin = tj.assimilate(twin, tj.Measurements.of(times[k : k + 1], y[who, k : k + 1]))
                each.append((time.perf_counter() - began, time.process_time() - cpu))
        wall, cpu = np.median(np.asarray(each), axis=0)
        said(question="latency", method=name, first=round(compiled, 2), update_ms=round(1e3 * wall, 1),
             update_cpu_ms=round(1e3 * cpu, 1), updates=len(each))  # fmt: skip
    first = tj.Twin.of(population, doses=doses)
    for many in (256, 2048):
        twins = [first.another(str(i), doses=doses) for i in range(many)]
        news = [tj.Measurements.of(times[:3], own[:3]) for own in y[:many]]
        tj.assimilate_each(twins, news)
        wall, cpu = timed(lambda twins=twins, news=news: tj.assimilate_each(twins, news))
        histories, fresh = zip(
            *((h, f) for h, f, _ in (t.history.joined(tj.News(m)) for t, m in zip(twins, news, strict=True))),
            strict=True,
        )
        bedside = Bedside.of(first.population, first.backend, histories, fresh)
        belief = first.method.prior(first.population, many, jax.random.key(0))
        learn = functools.partial(first.method.learn, bedside, belief, jax.random.key(0))
        jax.block_until_ready(learn())
        own, own_cpu = timed(lambda learn=learn: jax.block_until_ready(learn()))
        said(question="throughput", method="MAP", patients=many, seconds=round(wall, 2), cpu=round(cpu, 2), repeats=7,
             patients_per_second=round(many / wall), patients_per_cpu_second=round(many / cpu),
             learnt_per_second=round(many / own), learnt_per_cpu_second=round(many / own_cpu))  # fmt: skip


def timed(what: Callable[[], Any], repeats: int = 7) -> tuple[float, float]:
    """Medians of wall clock and of processor time."""
    each = []
    for _ in range(repeats):
        began, cpu = time.perf_counter(), time.process_time()
        what()
        each.append((time.perf_counter() - began, time.process_time() - cpu))
    wall, cpu = np.median(np.asarray(each), axis=0)
    return float(wall), float(cpu)


def first() -> None:
    """What a patient's first update costs where nothing was compiled before, and the second."""
    os.environ["TWINJAX_CACHE"] = "off"
    model = coupled(
        {"pd.concentration": "pk.plasma"}, pk=TwoCompartment(cl=285.0, v1=290.0, q=204.0, v2=995.0),
        pd=FribergMyelosuppression(circ0=7.21, mtt=124.0, gamma=0.239, slope=28.9),
    )  # fmt: skip
    population = tj.Population(
        model, variability={"cl": 0.3, "v1": 0.3, "circ0": 0.33, "mtt": 0.17, "slope": 0.42},
        residual={"pk.plasma": tj.Proportional(0.2), "pd.neutrophils": tj.Proportional(0.286)},
    )  # fmt: skip
    doses = tj.Regimen.repeat(370.0, every=504.0, count=2, into="pk.central", duration=3.0)
    seconds = [(time.perf_counter(), time.process_time())]
    twin = tj.Twin.of(population, doses=doses)
    seconds.append((time.perf_counter(), time.process_time()))
    for at, value, output in ((24.0, 0.1, "pk.plasma"), (168.0, 3.5, "pd.neutrophils"), (240.0, 2.0, "pd.neutrophils")):
        twin = tj.assimilate(twin, tj.Measurements.of([at], [value], output))
        seconds.append((time.perf_counter(), time.process_time()))
    wall, cpu = np.diff(np.asarray(seconds), axis=0).T.round(2).tolist()
    said(question="first", method="MAP", states=7, etas=5, settled=[e["settled"] for e in twin.trail[1:]],
         begun_cpu=cpu[0], first=wall[1], first_cpu=cpu[1], second=wall[2], second_cpu=cpu[2], third_cpu=cpu[3])  # fmt: skip


# ------------------------------------------------------------------------------------------------------------- tumours


def lesions(folder: Path) -> list[tuple[np.ndarray, np.ndarray]]:
    """Weeks and diameters (mm) of every lesion with six scans or more."""
    table = pd.read_csv(folder / "flat_patient_data.csv.gz")
    found = []
    for _, own in table.groupby("Pt_hashID"):
        own = own.sort_values("T_weeks").drop_duplicates("T_weeks")
        t, y = own.T_weeks.to_numpy(float), own.Lesion_diam.to_numpy(float)
        if len(t) >= 6:
            found.append((t - t[0], y))
    return found


CLASSICAL = {
    "exponential": (lambda t, p: p[0] * np.exp(p[1] * t), [0.0]),
    "logistic": (lambda t, p: p[0] * p[2] / (p[0] + (p[2] - p[0]) * np.exp(-p[1] * t)), [0.02, 2.0]),
    "bertalanffy": (lambda t, p: p[2] * np.maximum(1 + ((p[0] / p[2]) ** (1 / 3) - 1) * np.exp(-p[1] * t), 0) ** 3, [0.02, 1.2]),
    "general bertalanffy": (
        lambda t, p: p[2] * np.maximum(1 + ((p[0] / p[2]) ** p[3] - 1) * np.exp(-p[1] * t), 1e-9) ** (1 / p[3]), [0.02, 1.2, 0.5],
    ),
    "gompertz": (lambda t, p: p[2] * np.exp(np.log(p[0] / p[2]) * np.exp(-p[1] * t)), [0.02, 1.2]),
    "general gompertz": (
        lambda t, p: p[2] * np.exp(np.log(p[0] / p[2]) * np.exp(-p[1] * t)) ** p[3], [0.02, 1.2, 1.0],
    ),
}  # fmt: skip
"""Size at the start, a rate, and for some a size at the end (relative to the start) and a power, and where to begin."""


def classical(name: str, t: np.ndarray, y: np.ndarray, at: np.ndarray) -> np.ndarray:
    """One model fitted to one lesion by least squares, and its predictions."""
    law, start = CLASSICAL[name]

    def named(q: np.ndarray) -> np.ndarray:
        p = np.asarray(q, float).copy()
        p[0] = np.exp(q[0])
        if len(q) > 2:
            p[2] = p[0] * np.exp(q[2])
        if len(q) > 3:
            p[3] = np.exp(q[3])
        return p

    first = np.array([np.log(y[0] + 0.5), *start[:1], *[np.log(s) for s in start[1:]]])
    bounds = (np.array([-3.0, -1.0, -6.0, -3.0])[: len(first)], np.array([7.0, 1.0, 4.0, 2.0])[: len(first)])
    with np.errstate(all="ignore"):
        fit = scipy.optimize.least_squares(
            lambda q: np.nan_to_num(law(t, named(q)) - y, nan=1e3, posinf=1e3), first, bounds=bounds, max_nfev=200
        )
        return np.clip(np.nan_to_num(law(at, named(fit.x)), nan=y[-1]), 0.0, 500.0)


def tumours(folder: Path, fitted: int, alone: bool) -> None:
    """The last two scans of every lesion."""
    every = lesions(folder)
    models: dict[str, list[np.ndarray]] = {}
    truth = []
    for t, y in every:
        truth.append(y[-2:])
        models.setdefault("last value", []).append(np.repeat(y[-3], 2))
        models.setdefault("line", []).append(np.maximum(np.polyval(np.polyfit(t[:-2], y[:-2], 1), t[-2:]), 0.0))
    began = time.perf_counter()
    for name in CLASSICAL if alone else ():
        models[name] = [classical(name, t[:-2], y[:-2], t[-2:]) for t, y in every]
    said(question="tumours, each lesion alone", lesions=len(every), scans=2 * len(every), seconds=round(time.perf_counter() - began, 1),
         mae={n: round(float(np.mean(np.abs(np.stack(v) - np.stack(truth)))), 3) for n, v in models.items()},
         median={n: round(float(np.median(np.abs(np.stack(v) - np.stack(truth)))), 3) for n, v in models.items()})  # fmt: skip
    started = coupled(
        {"tumour.exposure": "drug.plasma"}, drug=OneCompartment(cl=1e-30, v=1.0),
        tumour=ClaretTumour(size0=40.0, growth=0.008 / 168, shrinkage=0.04 / 168, resistance=0.08 / 168),
    )  # fmt: skip
    population = tj.Population(
        started, variability={"size0": 0.5, "growth": 0.8, "shrinkage": 0.9, "resistance": 0.6},
        residual={"tumour.size": tj.Combined(2.0, 0.08)}, fixed=["drug.cl", "drug.v"],
    )  # fmt: skip
    dose = tj.Regimen.dose(1.0, into="drug.central")

    def subject(i: int, keep: slice) -> tj.Subject:
        t, y = every[i]
        return tj.Subject(str(i), dose, tj.Measurements.of(t[keep] * 168.0, y[keep], "tumour.size"))

    some = np.random.default_rng(3).permutation(len(every))[:fitted]
    began, cpu = time.perf_counter(), time.process_time()
    fit = tj.fit(population, tj.TrialData(tuple(subject(i, slice(0, -2)) for i in some)), covariance=False)
    said(question="tumours, population", lesions=fitted, theta={n: float(f"{v:.4g}") for n, v in fit.theta.items()},
         converged=fit.converged, seconds=round(time.perf_counter() - began, 1), cpu=round(time.process_time() - cpu, 1))  # fmt: skip
    first = tj.Twin.of(fit, doses=dose)
    twins = [first.another(str(i), doses=dose) for i in range(len(every))]
    began, cpu = time.perf_counter(), time.process_time()
    twins = tj.assimilate_each(twins, [tj.Measurements.of(t[:-2] * 168, y[:-2], "tumour.size") for t, y in every])
    last = tj.assimilate_each(twins, [tj.Measurements.of(t[-2:] * 168, y[-2:], "tumour.size") for t, y in every])
    # at the most probable random effects: the mean over what is believed has no bound where growth is uncertain
    eta = jnp.asarray(np.concatenate([t.belief.mean for t in twins]))
    persons = jax.vmap(lambda e: fit.population.individual(fit.population.theta, e, {}))(eta)
    times = np.stack([t[-2:] for t, _ in every]) * 168.0
    times = np.concatenate([np.zeros((len(every), 1)), times], axis=1)
    guess = np.asarray(tj.simulate(persons, dose, times).output.tumour.size)[:, 1:]
    settled = np.asarray([t.trail[-1]["settled"] for t in twins])
    # a twin that did not settle says so; then the last value
    guess = np.where(settled[:, None], guess, np.stack(models["last value"]))
    off = np.abs(guess - np.stack(truth))
    other = np.setdiff1d(np.arange(len(every)), some)
    q = np.concatenate([t.quantiles[-2:] for t in last])
    said(question="tumours, twins", lesions=len(every), mae=round(float(off.mean()), 3), median=round(float(np.median(off)), 3),
         mae_not_in_the_fit=round(float(off[other].mean()), 3) if len(other) else None,
         inside_90=round(float(np.mean(np.abs(q - 0.5) <= 0.45)), 3), not_settled=int(np.sum(~settled)),
         seconds=round(time.perf_counter() - began, 1), cpu=round(time.process_time() - cpu, 1))  # fmt: skip


def trends(t: np.ndarray, y: np.ndarray, at: np.ndarray) -> np.ndarray:
    """What a lesion would change by `(times, 5)`: by its last step, its last four scans, its growth since the nadir, that where it is
    growing clearly, its shrinkage where it is at the nadir.
    """
    ahead, nadir = at - t[-1], len(y) - 1 - int(np.argmin(y[::-1]))
    near, size = t[-4:] - np.mean(t[-4:]), y[-4:]
    since = (y[-1] - y[nadir]) / max(t[-1] - t[nadir], 6.0)
    first = (y[nadir] - y[0]) / max(t[nadir], 6.0) * (nadir == len(y) - 1)
    rates = [
        (y[-1] - y[-2]) / (t[-1] - t[-2]),
        near @ size / (near @ near),
        since,
        since * (y[-1] > 1.2 * y[nadir] + 2.0),
        first,
    ]
    return ahead[:, None] * np.asarray(rates)


def persistence(folder: Path) -> None:
    """Half of the lesions say what trends are worth; the others, once, whether that is so."""
    every = lesions(folder)
    order = np.random.default_rng(0).permutation(len(every))
    halves = []
    for half in np.array_split(order, 2):
        some = [every[i] for i in half]
        x = np.concatenate([trends(t[:-2], y[:-2], t[-2:]) for t, y in some])
        halves.append(
            (
                some,
                x,
                np.concatenate([y[-2:] - y[-3] for _, y in some]),
                np.concatenate([np.repeat(y[-3], 2) for _, y in some]),
            )
        )
    (some, x, change, last), (other, x2, change2, last2) = halves
    rows, count = x.shape
    scale = x.std(axis=0)
    cost = np.concatenate([np.zeros(2 * count), np.ones(2 * rows)])
    equal = np.hstack([x / scale, -x / scale, np.eye(rows), -np.eye(rows)])
    found = scipy.optimize.linprog(cost, A_eq=equal, b_eq=change, method="highs").x
    weights = (found[:count] - found[count : 2 * count]) / scale
    steps = np.concatenate([np.diff(np.log(y + 3.0)) for _, y in some])
    low, high = np.quantile(np.log((last + change + 3.0) / (last + 3.0)), [0.05, 0.95])
    moved = np.log((last2 + change2 + 3.0) / (last2 + 3.0))
    said(
        question="persistence", lesions=[len(some), len(other)],
        unchanged=round(float(np.mean(np.concatenate([np.diff(y) == 0 for _, y in some]))), 3),
        kurtosis_of_steps=round(float(np.mean((steps - steps.mean()) ** 4) / steps.var() ** 2), 1),
        mae_fitted={"last value": round(float(np.mean(np.abs(change))), 3), "trends": round(float(np.mean(np.abs(change - x @ weights))), 3)},
        mae_held_out={"last value": round(float(np.mean(np.abs(change2))), 3), "trends": round(float(np.mean(np.abs(change2 - x2 @ weights))), 3)},
        inside_90_held_out=round(float(np.mean((moved >= low) & (moved <= high))), 3),
    )  # fmt: skip


def main() -> None:
    """Ask."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("question", choices=["latency", "first", "tumours", "persistence"])
    parser.add_argument("data", nargs="?", type=Path)
    parser.add_argument("--fitted", type=int, default=150, help="lesions by which the population is fitted")
    parser.add_argument("--twins-only", action="store_true", help="leave the classical models out")
    parser.add_argument(
        "--method", action="append", choices=list(METHODS), help="of the latency; repeatable, default all"
    )
    asked = parser.parse_args()
    if asked.question == "latency":
        latency(asked.method or list(METHODS))
    elif asked.question == "first":
        first()
    elif asked.question == "persistence":
        persistence(asked.data)
    else:
        tumours(asked.data, asked.fitted, not asked.twins_only)


if __name__ == "__main__":
    main()
