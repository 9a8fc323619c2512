"""Tacrolimus after a kidney transplantation: troughs of 10 to 15 ug/L in the first two weeks; overdose above 20."""

from __future__ import annotations

import time
from typing import Any

import course as c
import jax
import numpy as np

import twinjax as tj
from twinjax.genetics.tacrolimus import tacrolimus_starting_dose
from twinjax.models import OneCompartmentOral, TwoCompartmentOral

VISITS = np.array([3.0, 5.0, 8.0, 11.0, 14.0]) * 24.0
DOSES = np.arange(0.0, VISITS[-1], 12.0)
BLOCKS = np.searchsorted(VISITS, DOSES, side="right")
LOW, HIGH, OVER = 10.0, 15.0, 20.0
GRID = np.arange(1, 61) * 500.0


def prior(kind: str = "") -> tj.Population:
    """Andrews et al.; ug/L of doses in ug. Wrong ones by `kind`."""
    cv = {n: float(np.sqrt(np.log1p(v**2))) for n, v in (("cl", 0.386), ("v1", 0.492), ("q", 0.787), ("v2", 0.53))}
    effects = {"cl": [tj.Categorical("cyp3a5", {1: 1.631}), tj.Power("bsa", 1.93, 0.88), tj.Power("age", 55.72, -0.43)]}
    cl = 23.0 * (1.5 if kind == "biased" else 1.0)
    model: Any = TwoCompartmentOral(ka=3.58, cl=cl, v1=692.0, q=11.6, v2=5340.0, lag=0.38)
    if kind == "structure":
        model, cv = OneCompartmentOral(ka=3.58, cl=23.0, v=692.0), {"cl": cv["cl"], "v": cv["v1"]}
    found = tj.Population(
        model, variability=cv, covariates={} if kind == "no covariates" else effects, residual=tj.Proportional(0.245)
    )
    return c.halved(found) if kind == "biased" else found


def troughs(models: Any, patients: int) -> np.ndarray:
    """Troughs at every visit per ug of each block `(patients, draws, blocks, visits)`: one dose's decline, superposed."""
    flat = jax.tree.map(lambda x: x.reshape(-1), models)
    late = 12.0 * np.arange(1, len(DOSES) + 1) - 1e-3
    one = np.asarray(tj.simulate(flat, tj.Regimen.dose(1.0, into="depot"), late).output.plasma).reshape(
        patients, -1, len(late)
    )
    found = np.zeros((*one.shape[:2], len(VISITS), len(VISITS)))
    for v, at in enumerate(VISITS):
        for i in np.flatnonzero(at > DOSES):
            found[:, :, BLOCKS[i], v] += one[:, :, round((at - DOSES[i]) / 12.0) - 1]
    return found


def run(patients: int, arms: list[str]) -> None:
    """Every arm asked for."""
    rng = np.random.default_rng(1)
    covariates = {"cyp3a5": (rng.uniform(size=patients) < 0.2).astype(float), "bsa": np.clip(rng.normal(1.93, 0.2, patients), 1.4, 2.5),
                  "age": np.clip(rng.normal(55.0, 12.0, patients), 20.0, 80.0)}  # fmt: skip
    weight = 75.0 * (covariates["bsa"] / 1.93) ** 2
    unit = sum((tj.Regimen.dose(1.0, into="depot", at=float(t)) for t in DOSES), tj.Regimen.none())
    times = np.broadcast_to(VISITS - 1e-3, (patients, len(VISITS)))

    def planned(kind: str = "") -> c.Course:
        return c.Course(prior(kind), covariates, unit, times, "plasma", c.method(kind, tj.MAP()))

    truth = planned()
    eta = c.drawn(truth.population, patients, rng)
    noise = 1.0 + 0.245 * rng.standard_normal(times.shape)
    starts = {
        "label": 100.0 * weight,
        "genotype": 1000.0 * np.asarray([tacrolimus_starting_dose(12.5, "*1/*3" if g else "*3/*3", age=a, bsa=b)
                                         for g, a, b in zip(covariates["cyp3a5"], covariates["age"], covariates["bsa"], strict=True)]),
    }  # fmt: skip

    def rule(first: np.ndarray) -> Any:
        """In proportion to the last trough, by no more than a factor of two."""

        def decide(k: int, amounts: np.ndarray, values: np.ndarray, models: Any) -> np.ndarray:
            new = first if k == 0 else amounts[:, k - 1 == BLOCKS][:, 0] * np.clip(12.2 / values[:, k - 1], 0.5, 2.0)
            return np.clip(np.round(new / 500.0) * 500.0, 500.0, 30000.0)[:, None]

        return decide

    def twin(k: int, amounts: np.ndarray, values: np.ndarray, models: Any) -> np.ndarray:
        r = troughs(models, patients)
        given = np.stack([amounts[:, b == BLOCKS][:, 0] for b in range(len(VISITS))], axis=1)
        carried = np.einsum("pb,pdb->pd", given[:, :k], r[:, :, :k, k])
        return c.best(carried[:, :, None] + r[:, :, k, k][:, :, None] * GRID, GRID, LOW, HIGH, OVER)[:, None]

    for arm in arms:
        began = time.perf_counter()
        kind = arm.removeprefix("twin").strip(", ")
        own = None if arm in starts else planned(kind)
        found, _, said = c.trial(
            truth, eta, lambda f: np.maximum(f * noise, 0.5), list(range(len(VISITS) + 1)), BLOCKS,
            rule(starts[arm]) if arm in starts else twin, own, arm == "twin",
        )  # fmt: skip
        c.judged("tacrolimus", arm, found[:, -1], found, LOW, HIGH, OVER, began, **said)


ARMS = ["label", "genotype", "twin", "twin, importance", "twin, no covariates", "twin, biased", "twin, structure"]
