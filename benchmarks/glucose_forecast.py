"""Half an hour of glucose foreseen, for every virtual patient of the UVA/Padova table: ``glucose_forecast.py DATA``.

Two simulated days each, or as many as ``--days`` (DATA is the folder of the table): three meals and a snack a day, of the
sizes and hours of the public simulator's random scenario; boluses by its rule (carbohydrate over the patient's ratio, a
correction above 150 mg/dL by the reading) given by a pump in steps of 0.05 IU, basal insulin in steps of 0.05 IU/h;
readings every 5 min with the errors of Breton & Kovatchev's sensor. The first day is to learn from; after it, every 15
min, the reading 30 min ahead is foreseen.

A twin of each patient: the same equations, whose parameters it does not know. Its prior are the other patients of the
table: medians of the nine others of the patient's age group, deviations of the 29 others about their groups' medians.
It knows body weight, the pump's log (a basal rate that holds glucose fasting), and each meal's size once it begins; with
``--carbs 0.2`` sizes are said with an error of 20 %, and for the twin the share of a meal that is absorbed walks. It
never sees glucose, only every third reading. States and parameters are learnt by the ensemble Kalman filter with process
noise, of which the sensor's error is one state.

Beside it: holding the last reading, a line through the last two, and lines fitted to the last 15 and 30 min. Errors are
of readings to come (rmse, mae) and of glucose at the sensor's site (true). The filter's noise was chosen on days of
seed 0, figures are of other seeds.

**Reference**: Dalla Man et al. 2014, J Diabetes Sci Technol 8:26, doi:10.1177/1932296813514502; Breton & Kovatchev 2008,
J Diabetes Sci Technol 2:853, PMCID PMC2740661; scenario, rule and table: simglucose 0.2.11 (MIT licence).
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd

import twinjax as tj
from twinjax.devices import MONITORS, PUMPS
from twinjax.io.virtual_patients import read_virtual_patients
from twinjax.models import GlucoseSensor, UVAPadova, coupled
from twinjax.naming import bind, leaves

MINUTE, DL = 1.0 / 60.0, 10.0
EVERY, LEARNT, HORIZON = 5 * MINUTE, 3, 0.5
"""From reading to reading, every which is learnt, and how far to look ahead."""
MONITOR, PUMP = MONITORS["GuardianRT"], PUMPS["Insulet"]


def times(many: int) -> np.ndarray:
    """When readings come, in so many days."""
    return EVERY * np.arange(1, 288 * many + 1)


MEALS = ((7.0, 1.0, 5.0, 9.0, 45.0, 10.0), (12.0, 1.0, 10.0, 14.0, 70.0, 10.0), (15.0, 0.5, 14.0, 16.0, 10.0, 5.0),
         (18.0, 1.0, 16.0, 20.0, 80.0, 10.0))  # fmt: skip
"""Hour, its deviation and limits, and grams of carbohydrate with their deviation."""
KNOWN = ("f", "fcns", "ke1", "ke2", "heb", "bw", "ib")
"""Parameters that are the same for all patients of the table, known, or follow from what is known."""
BACKEND = tj.Fused(rtol=1e-5, atol=1e-5)


def eaten(meals: list[tuple[float, float]]) -> tj.Regimen:
    """Meals (time, grams) at 5 g/min; each but the first is begun a minute before."""
    given = tj.Regimen.none()
    for k, (at, grams) in enumerate(meals):
        if k:
            given = given + tj.Regimen.dose(1.0, into="starting", at=at - MINUTE)
        given = given + tj.Regimen.infusion(1e3 * grams, over=grams / 5.0 * MINUTE, into="solid", at=at)
    return given


@dataclasses.dataclass(frozen=True)
class Day:
    """One patient's days: meals as said, what the pump gave and its basal rate, glucose and readings at `times`."""

    said: tj.Regimen
    pump: tj.Regimen
    basal: float
    times: np.ndarray
    glucose: np.ndarray
    readings: np.ndarray


NOTHING = 1e-6
"""Stands for a meal or a bolus that is not known yet, so that every simulation has one shape."""


def days(patient: UVAPadova, ratio: float, factor: float, rng: Any, carbs: float, many: int) -> Day:
    """Meals as they come, each bolus by the reading before it."""
    meals, said, all_ = [], [], times(many)
    for day in range(many):
        for hour, sd, low, high, grams, spread in MEALS:
            at = 24.0 * day + np.round(np.clip(rng.normal(hour, sd), low, high) / MINUTE) * MINUTE
            size = max(np.round(rng.normal(grams, spread)), 3.0)
            meals.append((float(at), float(size)))
            said.append((float(at), float(size * np.exp(carbs * rng.standard_normal()))))
    errors, basal = MONITOR.errors(len(all_), rng), PUMP.basal(float(patient.basal_rate()))
    boluses, end = [(at, NOTHING) for at, _ in said], 24.0 * many

    def glucose() -> np.ndarray:
        given = tj.Regimen.infusion(basal * end, over=end, into="depot1")
        for at, units in boluses:
            given = given + tj.Regimen.infusion(max(PUMP.bolus(units), NOTHING), over=PUMP.over, into="depot1", at=at)
        found = tj.simulate(patient, eaten(meals) + given, np.append(0.0, all_))
        return np.asarray(found.output.sensor)[0, 1:]

    for k, (at, size) in enumerate(said):
        last = np.flatnonzero(at >= all_)[-1]  # what comes later does not act before
        reading = np.clip(glucose()[last] + errors[last], MONITOR.low, MONITOR.high) / DL
        boluses[k] = (at, size / ratio + (reading > 150.0) * (reading - 140.0) / factor)
    found = glucose()
    pump = PUMP.regimen(basal, boluses, until=end)
    return Day(eaten(said), pump, basal, all_, found / DL, np.clip(found + errors, MONITOR.low, MONITOR.high))


def others(patients: Mapping[str, UVAPadova], name: str) -> tuple[dict[str, float], dict[str, float]]:
    """Medians and deviations of logarithms (of logits for shares) without this patient, by parameter."""
    table = pd.DataFrame({n: {k: float(v) for k, v in leaves(p).items()} for n, p in patients.items() if n != name}).T
    table = table[[c for c in table if c not in KNOWN]]
    scaled = np.log(table / (1.0 - table[["b", "d"]].reindex(columns=table.columns).fillna(0.0)))
    group = [n.split("#")[0] for n in table.index]
    center = scaled.groupby(group).transform("median")
    deviation = np.sqrt(((scaled - center) ** 2).sum() / (len(table) - 3))
    own = scaled[[g == name.split("#")[0] for g in group]].median()
    typical = {n: float(1.0 / (1.0 + np.exp(-v)) if n in "bd" else np.exp(v)) for n, v in own.items()}
    return typical, {str(n): float(v) for n, v in deviation.items()}


BASE = coupled(
    {"sensor.glucose": "patient.sensor"}, patient=UVAPadova.typical(), sensor=GlucoseSensor.typical()
)  # fmt: skip


def individual(theta: Mapping[str, Any], eta: Mapping[str, Any], covariates: Mapping[str, Any]) -> Any:
    """A person of this weight, whose insulin in plasma is what the pump's basal rate keeps up."""
    scale = {n: tj.LogitScale(0.0) if n[-2:] in (".b", ".d") else tj.LogScale(0.0) for n in eta}
    own = {n: s.individual(theta[n], eta[n]) for n, s in scale.items()}
    made = bind(BASE, {**own, "patient.bw": covariates["weight"], "patient.ib": jnp.ones(())})
    return bind(made, {"patient.ib": covariates["basal"] / made.patient.basal_rate()})


def prior(patients: Mapping[str, UVAPadova], name: str, residual: float, carbs: float) -> tj.Population:
    """What is believed of the patient before any reading; where sizes of meals are not sure, what share is absorbed is
    not either.
    """
    typical, deviation = others(patients, name)
    if carbs:
        typical, deviation = typical | {"f": float(UVAPadova.typical().f)}, deviation | {"f": carbs}
    return tj.Population(
        BASE, variability={f"patient.{n}": (tj.LogitScale if n in "bd" else tj.LogScale)(v) for n, v in deviation.items()},
        residual={"sensor.reading": tj.Additive(residual)}, individual=individual, reads=("weight", "basal"),
        thetas={f"patient.{n}": v for n, v in typical.items()},
    )  # fmt: skip


def rivals(readings: np.ndarray, at: np.ndarray) -> dict[str, np.ndarray]:
    """Forecasts by readings alone, of the readings `at` these indices."""
    steps = HORIZON / EVERY

    def line(many: int) -> np.ndarray:
        x = np.arange(-(many - 1.0), 1.0)
        return np.asarray([np.polyval(np.polyfit(x, readings[i - many + 1 : i + 1], 1), steps) for i in at])

    return {"hold": readings[at], "line_2_readings": line(2), "line_15_min": line(4), "line_30_min": line(7)}


@dataclasses.dataclass(frozen=True)
class Noise:
    """The twin's process noise: of glucose in plasma (mg/kg), of random effects, per square root of an hour, of the share
    of a meal that is absorbed, where sizes are not sure, in units of their error, and the residual error of readings
    (mg/L).
    """

    plasma: float = 4.0
    walk: float = 0.01
    meals: float = 1.0
    residual: float = 10.0


def foreseen(
    day: Day, population: tj.Population, name: str, weight: float, noise: Noise, members: int, seed: int, carbs: float
) -> Any:
    """The twin's forecasts after every reading that it learns, and the indices of these readings."""
    moves = {"sensor.error": GlucoseSensor.deviation(LEARNT * EVERY), "patient.plasma": noise.plasma}
    walks = dict.fromkeys(population.etas, noise.walk) | ({"patient.f": noise.meals * carbs} if carbs else {})
    process = tj.ProcessNoise(moves, walks=walks, step=LEARNT * EVERY + 1e-6)
    twin = tj.Twin.of(
        population, id=name, covariates={"weight": weight, "basal": day.basal}, doses=day.said + day.pump,
        backend=BACKEND, method=tj.StateEnsembleKalman(process, members=members), seed=seed,
    )  # fmt: skip
    at = np.arange(LEARNT - 1, len(day.times), LEARNT)
    news = tj.Measurements.of(day.times[at], day.readings[at], "reading")
    return tj.hindcast([twin], [news], HORIZON, planned=False)[0], at


def judged(ahead: Any, at: np.ndarray, day: Day) -> dict[str, Any]:
    """Errors and coverage from the second day on."""
    after = round(HORIZON / EVERY)
    fair = (day.times[at] >= 24.0 - 1e-9) & (at + after < len(day.times))
    now = at[fair]
    shown, true = day.readings[now + after] / DL, day.glucose[now + after]
    low, middle, high = ahead.band("reading", measured=True)[:, fair] / DL
    below, exact, above = ahead.band("patient.sensor")[:, fair] / DL
    guess = {"twin": middle, **rivals(day.readings / DL, now)}

    def rmse(of: dict[str, np.ndarray], to: np.ndarray) -> dict[str, float]:
        return {n: round(float(np.sqrt(np.mean((g - to) ** 2))), 2) for n, g in of.items()}

    return {
        "forecasts": len(now), "rmse": rmse(guess, shown), "rmse_true": rmse({**guess, "twin": exact}, true),
        "mae": {n: round(float(np.mean(np.abs(g - shown))), 2) for n, g in guess.items()},
        "inside_90": round(float(np.mean((low <= shown) & (shown <= high))), 3),
        "true_inside_90": round(float(np.mean((below <= true) & (true <= above))), 3),
        "width_90": round(float(np.mean(high - low)), 1), "lowest": round(float(day.glucose.min()), 1),
        "highest": round(float(day.glucose.max()), 1), "failed": int(np.isnan(ahead.predicted["sensor.reading"]).sum()),
    }  # fmt: skip


def together(table: list[dict[str, Any]]) -> dict[str, Any]:
    """All patients, and who is an exception."""
    names = list(table[0]["rmse"])

    def mean(of: str) -> float:
        return round(float(np.mean([r[of] for r in table])), 3)

    return {
        "benchmark": "glucose_forecast", "patient": "all", "patients": len(table),
        **{w: {n: round(float(np.sqrt(np.mean([r[w][n] ** 2 for r in table]))), 2) for n in names} for w in ("rmse", "rmse_true")},
        "not_beaten": {n: [r["patient"] for r in table if r["rmse"]["twin"] >= r["rmse"][n]] for n in names[1:]},
        "inside_90": mean("inside_90"), "true_inside_90": mean("true_inside_90"),
        "outside_85_to_95": {r["patient"]: r["inside_90"] for r in table if not 0.85 <= r["inside_90"] <= 0.95},
    }  # fmt: skip


def where() -> dict[str, Any]:
    """Where it ran."""
    device = jax.devices()[0].device_kind
    return {"device": device, "jax": jax.__version__, "load": round(os.getloadavg()[0], 1)}


def main() -> None:
    """Every patient, and all together."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--days", type=int, default=2)
    parser.add_argument("--members", type=int, default=300)
    parser.add_argument("--carbs", type=float, default=0.0, help="error of meals' sizes as they are said")
    parser.add_argument("--only", nargs="*", default=[""], help="patients whose names contain one of these")
    parser.add_argument(
        "--done", type=Path, nargs="*", default=[], help="lines of runs before, whose patients are not run"
    )
    asked = parser.parse_args()
    table = [r for f in asked.done for r in map(json.loads, f.read_text().splitlines()) if r["patient"] != "all"]
    patients = read_virtual_patients(asked.data / "vpatient_params.csv")
    quest = pd.read_csv(asked.data / "Quest.csv").set_index("Name")
    noise, done = Noise(), {r["patient"] for r in table}
    for number, (name, patient) in enumerate(patients.items()):
        if not any(o in name for o in asked.only) or name in done:
            continue
        began, cpu = time.perf_counter(), time.process_time()
        day = days(
            patient,
            quest.CR[name],
            quest.CF[name],
            np.random.default_rng([asked.seed, number]),
            asked.carbs,
            asked.days,
        )
        population = prior(patients, name, noise.residual, asked.carbs)
        ahead, at = foreseen(day, population, name, float(patient.bw), noise, asked.members, asked.seed, asked.carbs)
        row = {"patient": name, **judged(ahead, at, day)}
        table.append(row)
        print(json.dumps({
            "benchmark": "glucose_forecast", **row, "seed": asked.seed, "members": asked.members, "carbs": asked.carbs, "days": asked.days,
            "seconds": round(time.perf_counter() - began, 1), "cpu": round(time.process_time() - cpu, 1),
            **where(),
        }), flush=True)  # fmt: skip
    print(
        json.dumps(
            {
                **together(table),
                "seed": asked.seed,
                "members": asked.members,
                "carbs": asked.carbs,
                "days": asked.days,
                **where(),
            }
        )
    )


if __name__ == "__main__":
    main()
