"""Warfarin: an INR of 2 to 3 in the first four weeks, under half milligrams of racemate a day; overdose above 4."""

from __future__ import annotations

import time
from typing import Any

import course as c
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

import twinjax as tj
from twinjax.genetics.warfarin import CYP2C9, VKORC1, warfarin_dose
from twinjax.models import WarfarinINR

DAYS = np.array([3, 5, 8, 11, 15, 22, 29])
GIVEN = np.arange(DAYS[-1])
BLOCKS = np.searchsorted(DAYS, GIVEN, side="right")
LOW, HIGH, OVER = 2.0, 3.0, 4.0
GRID = np.arange(1, 41) * 0.5


def prior(kind: str = "") -> tj.Population:
    """Hamberg et al.: genotype and age by what they do to clearance and EC50. Wrong ones by `kind`."""
    cv = {"cl": 0.31, "v1": 0.262, "v2": 0.991, "mtt1": 0.141, "mtt2": 1.02, "ec50": 0.409}
    sd = {n: float(np.sqrt(np.log1p(v**2))) for n, v in cv.items()}
    model = WarfarinINR.typical()
    if kind == "structure":  # the chain's time taken for one compartment's, and no variability of turnover
        model = eqx.tree_at(lambda m: m.mtt1, model, 6.0 * model.mtt1)
        sd = {n: v for n, v in sd.items() if not n.startswith("mtt")}
    if kind == "biased":
        model = eqx.tree_at(lambda m: m.cl, model, 1.5 * model.cl)
    effects = {"cl": tj.Power("metabolism", 1.0, 1.0), "ec50": tj.Power("target", 1.0, 1.0)}
    found = tj.Population(model, variability=sd, covariates={} if kind == "no covariates" else effects,
                          residual={"inr": tj.LogNormalError(0.0325), "plasma": tj.Proportional(0.301)})  # fmt: skip
    return c.halved(found) if kind == "biased" else found


def held(m: Any, dose: Any) -> Any:
    """The INR that a daily dose of racemate comes to hold, from the average concentration."""
    ratio = (0.5 * dose / 24.0 / m.cl / m.ec50) ** m.gamma
    return m.base + m.top * (1.0 - 1.0 / (1.0 + ratio) ** 2) ** m.exponent


@jax.jit
def probable(models: Any) -> Any:
    """Of every dose of the grid the probability of the range less a quarter of that of an overdose."""
    inr = held(jax.tree.map(lambda x: x[..., None], models), GRID)
    return jnp.mean((inr >= LOW) & (inr <= HIGH), axis=1) - 0.25 * jnp.mean(inr > OVER, axis=1)


def run(patients: int, arms: list[str]) -> None:
    """Every arm asked for."""
    rng = np.random.default_rng(2)
    diplotypes, frequency = list(CYP2C9), np.array([0.65, 0.20, 0.11, 0.02, 0.015, 0.005])
    cyp, vk = rng.choice(6, patients, p=frequency), rng.choice(3, patients, p=[0.37, 0.48, 0.15])
    age = np.clip(rng.normal(66.0, 12.0, patients), 25.0, 95.0)
    metabolism = (1.0 + np.array([CYP2C9[d] for d in diplotypes]))[cyp] * (1.0 - 0.0091 * (age - 71.0))
    covariates = {"metabolism": metabolism, "target": (np.array(list(VKORC1.values())) / 4.61)[vk]}
    unit = tj.Regimen.repeat(0.5, every=24.0, count=len(GIVEN), into="depot")  # of S-warfarin, half of the racemate
    times = np.broadcast_to(24.0 * DAYS - 0.01, (patients, len(DAYS)))

    def planned(kind: str = "") -> c.Course:
        quick = tj.Fused(rtol=1e-4, atol=1e-7)
        return c.Course(prior(kind), covariates, unit, times, "inr", c.method(kind), backend=quick)

    truth = planned()
    eta = c.drawn(truth.population, patients, rng)
    persons = jax.tree.map(lambda x: x[:, 0], truth.models(jnp.asarray(eta)[:, None]))
    typical = jax.tree.map(lambda x: x[:, 0], truth.models(jnp.zeros((patients, 1, eta.shape[1]))))
    noise = np.exp(0.0325 * rng.standard_normal(times.shape))
    starts = {"label": np.full(patients, 5.0), "genotype": np.asarray(warfarin_dose(typical, 2.5))}

    def rule(first: np.ndarray) -> Any:
        """A nomogram in steps of 10 to 20 %; nothing is changed upwards before day 5."""

        def decide(k: int, amounts: np.ndarray, values: np.ndarray, models: Any) -> np.ndarray:
            dose = first if k == 0 else amounts[:, k - 1 == BLOCKS][:, 0]
            inr = np.full(patients, 2.5) if k == 0 else values[:, k - 1]
            step = np.select([inr < 1.5, inr < 2.0, inr <= 3.0, inr <= 4.0], [1.2, 1.1, 1.0, 0.9], 0.8)
            return np.clip(np.round(dose * np.where((k == 1) & (step > 1), 1.0, step) * 2) / 2, 0.5, 20.0)[:, None]

        return decide

    def twin(k: int, amounts: np.ndarray, values: np.ndarray, models: Any) -> np.ndarray:
        return GRID[np.argmax(np.round(np.asarray(probable(models)), 6), axis=1)][:, None]

    for arm in arms:
        began = time.perf_counter()
        kind = arm.removeprefix("twin").strip(", ")
        own = None if arm in starts else planned(kind)
        found, amounts, said = c.trial(
            truth,
            eta,
            lambda f: f * noise,
            list(range(len(DAYS) + 1)),
            BLOCKS,
            rule(starts[arm]) if arm in starts else twin,
            own,
        )
        steady = np.asarray(held(persons, amounts[:, -1]))
        shares = {
            "in_range_held": round(float(np.mean((steady >= LOW) & (steady <= HIGH))), 3),
            "overdosed_held": round(float(np.mean(steady > OVER)), 3),
        }
        c.judged("warfarin", arm, found[:, -1], found[:, DAYS >= 8], LOW, HIGH, OVER, began, **shares, **said)


ARMS = ["label", "genotype", "twin", "twin, importance", "twin, no covariates", "twin, biased", "twin, structure"]
