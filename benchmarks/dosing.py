"""Does a twin dose better? Simulated patients under (a) the label's dose, (b) the dose of covariates and genotype, both
adjusted by the usual rule at every visit, and (c) a twin's; and (d) a twin whose model is wrong. One JSON line each.

``tacrolimus``: troughs of 10 to 15 ug/L in the first two weeks after a kidney transplant (the target of Andrews et al.'s
hospital), capsules of 0.5 mg twice a day, troughs measured on days 3, 5, 8, 11 and 14. Label: 0.1 mg/kg twice a day;
the rule: in proportion to the last trough. Wrong: one compartment in place of two, and clearance 30 % too low.
``warfarin``: INR of 2 to 3 under half milligrams of racemate a day, measured on days 4, 7, 10, 14, 21, 28; label: 5 mg;
the rule: a nomogram in steps of 10 to 20 %. Judged is the INR that the last dose holds. Wrong: no variability of the
clotting factors' turnover, EC50 40 % too high and a steeper curve.

A twin knows a patient's covariates, doses and measurements, its prior is the published population, and it gives the
dose whose probability of the target is greatest over draws of what it believes. Overdose: above 20 ug/L, above INR 4.

**Reference**: Andrews et al. 2019, doi:10.1007/s40262-019-00747-6 (variability 38.6, 49.2, 78.7 and 53.0 % of CL, V1, Q
and V2; residual 24.5 %); Hamberg et al. 2007, doi:10.1038/sj.clpt.6100084 (31 % of CL, 40.9 % of EC50, 102 % of MTT2;
residual of log INR 0.0325); genotype frequencies: 20 % CYP3A5 expressers; CYP2C9 and VKORC1 of Europeans, rounded.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

import twinjax as tj
from twinjax.genetics.warfarin import CYP2C9, VKORC1, warfarin_dose
from twinjax.models import OneCompartmentOral, TwoCompartmentOral
from twinjax.models.pd.warfarin import WarfarinINR

DRAWS = 60


def said(**what: Any) -> None:
    """One line, with where it ran."""
    print(json.dumps({"benchmark": "dosing", **what, "device": jax.devices()[0].device_kind, "jax": jax.__version__,
                      "load": round(os.getloadavg()[0], 1)}), flush=True)  # fmt: skip


def judged(drug: str, arm: str, values: np.ndarray, low: float, high: float, over: float, began: float) -> None:
    """Shares in range, above it, and overdosed; of the last visit and of all."""
    said(drug=drug, arm=arm, patients=len(values), in_range_last=round(float(np.mean((values[:, -1] >= low) & (values[:, -1] <= high))), 3),
         in_range_all=round(float(np.mean((values >= low) & (values <= high))), 3),
         overdosed_last=round(float(np.mean(values[:, -1] > over)), 3), overdosed_all=round(float(np.mean(values > over)), 3),
         below_last=round(float(np.mean(values[:, -1] < low)), 3), seconds=round(time.perf_counter() - began, 1))  # fmt: skip


def believed(prior: tj.Population, twins: list[tj.Twin], covariates: dict[str, np.ndarray]) -> Any:
    """Every twin's draws of its patient's model, leaves `(patients, draws)` where they vary."""
    belief = jax.tree.map(lambda *x: np.concatenate(x), *[t.belief for t in twins])
    drawn = belief.draw(jax.random.key(len(twins[0].trail)), DRAWS)
    each = jax.vmap(lambda e, c: prior.individual(prior.theta, e, c), (0, None))
    return jax.vmap(each)(drawn, {n: jnp.asarray(x) for n, x in covariates.items()})


def best(p: np.ndarray, grid: np.ndarray) -> np.ndarray:
    """The amount of the greatest probability `(patients, amounts)`, the smaller of equal ones."""
    return grid[np.argmax(np.round(p, 6), axis=1)]


# ---------------------------------------------------------------------------------------------------------- tacrolimus


VISITS = np.array([3.0, 5.0, 8.0, 11.0, 14.0]) * 24.0
BLOCKS = np.concatenate([[0.0], VISITS[:-1]])


def tacrolimus_prior(wrong: bool = False) -> tj.Population:
    """Andrews et al.; concentrations in ug/L of doses in ug."""
    cv = {n: float(np.sqrt(np.log1p(v**2))) for n, v in (("cl", 0.386), ("v1", 0.492), ("q", 0.787), ("v2", 0.53))}
    effects = {"cl": [tj.Categorical("cyp3a5", {1: 1.631}), tj.Power("bsa", 1.93, 0.88), tj.Power("age", 55.72, -0.43)]}
    error = tj.Proportional(0.245)
    if wrong:
        return tj.Population(OneCompartmentOral(ka=3.58, cl=16.0, v=900.0), variability={"cl": 0.4, "v": 0.5},
                             covariates=effects, residual=error)  # fmt: skip
    model = TwoCompartmentOral(ka=3.58, cl=23.0, v1=692.0, q=11.6, v2=5340.0, lag=0.38)
    return tj.Population(model, variability=cv, covariates=effects, residual=error)


def block(k: int, amount: float = 1.0) -> tj.Regimen:
    """Doses twice a day from one visit to the next."""
    return tj.Regimen.repeat(
        amount, every=12.0, count=round((VISITS[k] - BLOCKS[k]) / 12.0), at=BLOCKS[k], into="depot"
    )


def responses(models: Any) -> np.ndarray:
    """Troughs at every visit per ug of each block `(patients, blocks, visits)`, by superposition."""
    return np.stack([
        np.asarray(tj.simulate(models, block(k), VISITS - 1e-3).output.plasma) for k in range(len(BLOCKS))
    ], axis=1)  # fmt: skip


def tacrolimus(patients: int) -> None:
    """All arms."""
    truth = tacrolimus_prior()
    rng = np.random.default_rng(1)
    covariates = {"cyp3a5": (rng.uniform(size=patients) < 0.2).astype(float), "bsa": np.clip(rng.normal(1.93, 0.2, patients), 1.4, 2.5),
                  "age": np.clip(rng.normal(55.0, 12.0, patients), 20.0, 80.0)}  # fmt: skip
    weight = 75.0 * (covariates["bsa"] / 1.93) ** 2
    omega = np.asarray(truth.omega(truth.theta))
    eta = rng.standard_normal((patients, len(omega))) @ np.linalg.cholesky(omega).T
    models = jax.vmap(lambda e, c: truth.individual(truth.theta, e, c))(
        jnp.asarray(eta), {n: jnp.asarray(v) for n, v in covariates.items()}
    )
    real = responses(models)
    noise = 1.0 + 0.245 * rng.standard_normal((patients, len(VISITS)))
    grid = np.arange(1, 61) * 500.0
    genotype = 222.0 * 22.5 * np.where(covariates["cyp3a5"] > 0, 1.631, 1.0)  # ug, of the starting-dose model

    def rule(first: np.ndarray) -> np.ndarray:
        dose, seen = np.round(first / 500.0) * 500.0, []
        given = np.zeros((patients, 0))
        for v in range(len(VISITS)):
            given = np.concatenate([given, dose[:, None]], axis=1)
            trough = np.einsum("pb,pb->p", given, real[:, : v + 1, v])
            seen.append(trough)
            dose = np.clip(
                np.round(dose * np.clip(12.2 / np.maximum(trough * noise[:, v], 0.5), 0.5, 2.0) / 500) * 500, 500, 30000
            )
        return np.stack(seen, axis=1)

    began = time.perf_counter()
    judged("tacrolimus", "label", rule(100.0 * weight), 10.0, 15.0, 20.0, began)
    judged("tacrolimus", "genotype", rule(genotype), 10.0, 15.0, 20.0, began)
    for arm, wrong in (("twin", False), ("twin, wrong model", True)):
        began = time.perf_counter()
        prior = tacrolimus_prior(wrong)
        own = [{n: float(v[i]) for n, v in covariates.items()} for i in range(patients)]
        first = tj.Twin.of(prior, covariates=own[0])
        twins = [first.another(str(i), covariates=c) for i, c in enumerate(own)]
        given, seen = np.zeros((patients, 0)), []
        for v in range(len(VISITS)):
            many = believed(prior, twins, covariates)
            flat = jax.tree.map(lambda x: jnp.broadcast_to(x, (patients, DRAWS)).reshape(-1), many)
            r = responses(flat).reshape(patients, DRAWS, len(BLOCKS), len(VISITS))
            carried = np.einsum("pb,pdb->pd", given, r[:, :, :v, v])
            ahead = carried[:, :, None] + r[:, :, v, v][:, :, None] * grid
            harm = 0.25 * np.mean(ahead > 20.0, axis=1)
            dose = best(np.mean((ahead >= 10.0) & (ahead <= 15.0), axis=1) - harm, grid)
            given = np.concatenate([given, dose[:, None]], axis=1)
            trough = np.einsum("pb,pb->p", given, real[:, : v + 1, v])
            seen.append(trough)
            news = [tj.News(tj.Measurements.of([VISITS[v] - 1e-3], [max(y, 0.1)]), block(v, float(d)))
                    for y, d in zip(trough * noise[:, v], dose, strict=True)]  # fmt: skip
            twins = tj.assimilate_each(twins, news)
        judged("tacrolimus", arm, np.stack(seen, axis=1), 10.0, 15.0, 20.0, began)


# ------------------------------------------------------------------------------------------------------------ warfarin


DAYS = np.array([4.0, 7.0, 10.0, 14.0, 21.0, 28.0])


def warfarin_prior(wrong: bool = False) -> tj.Population:
    """Hamberg et al.: genotype and age by what they do to clearance and EC50, given as covariates."""
    model = WarfarinINR.typical()
    if wrong:
        model = eqx.tree_at(lambda m: (m.ec50, m.gamma), model, (model.ec50 * 1.4, model.gamma * 1.3))
    spread = {"cl": 0.303, "ec50": 0.394} | ({} if wrong else {"mtt2": 0.845})
    return tj.Population(model, variability=spread, covariates={"cl": tj.Power("metabolism", 1.0, 1.0), "ec50": tj.Power("target", 1.0, 1.0)},
                         residual={"inr": tj.LogNormalError(0.0325), "plasma": tj.Proportional(0.3)})  # fmt: skip


def steady_inr(m: Any, dose: Any) -> Any:
    """The INR that a daily dose of racemate holds, from the average concentration."""
    c = 0.5 * dose / 24.0 / m.cl
    left = 1.0 / (1.0 + (c / m.ec50) ** m.gamma)
    return m.base + m.top * (1.0 - left**2) ** m.exponent


def warfarin(patients: int) -> None:
    """All arms."""
    truth = warfarin_prior()
    rng = np.random.default_rng(2)
    diplotypes, frequency = list(CYP2C9), np.array([0.65, 0.20, 0.11, 0.02, 0.015, 0.005])
    cyp, vk = rng.choice(6, patients, p=frequency), rng.choice(3, patients, p=[0.37, 0.48, 0.15])
    age = np.clip(rng.normal(66.0, 12.0, patients), 25.0, 95.0)
    metabolism = (1.0 + np.array([CYP2C9[d] for d in diplotypes]))[cyp] * (1.0 - 0.0091 * (age - 71.0))
    target = (np.array(list(VKORC1.values())) / 4.61)[vk]
    covariates = {"metabolism": metabolism, "target": target}
    eta = rng.standard_normal((patients, 3)) @ np.linalg.cholesky(np.asarray(truth.omega(truth.theta))).T
    models = jax.vmap(lambda e, c: truth.individual(truth.theta, e, c))(
        jnp.asarray(eta), {n: jnp.asarray(v) for n, v in covariates.items()}
    )
    noise = np.exp(0.0325 * rng.standard_normal((patients, len(DAYS))))
    grid = np.arange(1, 41) * 0.5

    def stretch(k: int, dose: float) -> tj.Regimen:
        begin = 0.0 if k == 0 else DAYS[k - 1]
        return tj.Regimen.repeat(0.5 * dose, every=24.0, count=int(DAYS[k] - begin), at=24.0 * begin, into="depot")

    def measured(given: list[tj.Regimen], k: int) -> np.ndarray:
        return np.asarray(tj.simulate(models, given, np.array([24.0 * DAYS[k] - 0.01])).output.inr)[:, 0]

    def rule(first: np.ndarray) -> np.ndarray:
        dose = np.clip(np.round(first * 2) / 2, 0.5, 20.0)
        given = [tj.Regimen.none()] * patients
        for k in range(len(DAYS)):
            given = [g + stretch(k, float(d)) for g, d in zip(given, dose, strict=True)]
            inr = measured(given, k) * noise[:, k]
            step = np.select([inr < 1.5, inr < 2.0, inr <= 3.0, inr <= 4.0], [1.2, 1.1, 1.0, 0.9], 0.8)
            dose = np.clip(np.round(dose * step * 2) / 2, 0.5, 20.0)
        return np.asarray(steady_inr(models, dose))[:, None]

    began = time.perf_counter()
    judged("warfarin", "label", rule(np.full(patients, 5.0)), 2.0, 3.0, 4.0, began)
    typical = jax.vmap(lambda c: truth.individual(truth.theta, jnp.zeros(3), c))(
        {n: jnp.asarray(v) for n, v in covariates.items()}
    )
    judged("warfarin", "genotype", rule(np.asarray(warfarin_dose(typical, 2.5))), 2.0, 3.0, 4.0, began)
    for arm, wrong in (("twin", False), ("twin, wrong model", True)):
        began = time.perf_counter()
        prior = warfarin_prior(wrong)
        own = [{n: float(v[i]) for n, v in covariates.items()} for i in range(patients)]
        first = tj.Twin.of(prior, covariates=own[0])
        twins = [first.another(str(i), covariates=c) for i, c in enumerate(own)]
        given = [tj.Regimen.none()] * patients
        dose = grid[:1]
        for k in range(len(DAYS) + 1):
            many = believed(prior, twins, covariates)
            wide = jax.tree.map(lambda x: jnp.broadcast_to(x, (patients, DRAWS))[..., None], many)
            inr = np.asarray(steady_inr(wide, grid))
            harm = 0.25 * np.mean(inr > 4.0, axis=1)
            dose = best(np.mean((inr >= 2.0) & (inr <= 3.0), axis=1) - harm, grid)
            if k == len(DAYS):
                break
            fresh = [stretch(k, float(d)) for d in dose]
            given = [g + f for g, f in zip(given, fresh, strict=True)]
            seen = measured(given, k) * noise[:, k]
            twins = tj.assimilate_each(
                twins,
                [
                    tj.News(tj.Measurements.of([24.0 * DAYS[k] - 0.01], [y], "inr"), f)
                    for y, f in zip(seen, fresh, strict=True)
                ],
            )
        judged("warfarin", arm, np.asarray(steady_inr(models, dose))[:, None], 2.0, 3.0, 4.0, began)


def main() -> None:
    """Ask."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("drug", choices=["tacrolimus", "warfarin"])
    parser.add_argument("--patients", type=int, default=1000)
    asked = parser.parse_args()
    {"tacrolimus": tacrolimus, "warfarin": warfarin}[asked.drug](asked.patients)


if __name__ == "__main__":
    main()
