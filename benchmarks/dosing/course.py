"""A course of treatment of many patients at once, as arrays: doses at fixed times whose amounts are chosen as it goes on,
and measurements at fixed times; and a trial of ways to choose.

A twin's belief is that of `tj.Twin` with the same prior and data (tacrolimus: ``as_twin`` is the largest difference of two patients'):
`MAP().learn` of the same `Bedside`, all patients in one compiled program, without the audit trail.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import scipy.stats

import twinjax as tj
from twinjax.assimilation.bedside import Bedside
from twinjax.assimilation.belief import NormalBelief
from twinjax.assimilation.history import History, written_out
from twinjax.assimilation.innovation import innovations

DRAWS = 64


class Quick(tj.FOCEI):
    """The mode by first derivatives of the solution alone, which compiles sooner: the belief's spread is that of a
    polynomial of first order.
    """

    order: ClassVar[int] = 1


QUICK = tj.MAP(search=Quick())


class Course:
    """Every patient's doses (of amount one until they are chosen) and measurements under one population."""

    def __init__(
        self,
        population: tj.Population,
        covariates: dict[str, np.ndarray],
        doses: tj.Regimen,
        times: np.ndarray,
        output: str,
        method: tj.MAP = QUICK,
        backend: Any = None,
    ):
        self.population = jax.tree.map(lambda a: jnp.asarray(a, float), population)
        self.covariates = {n: jnp.asarray(v, float) for n, v in covariates.items()}
        self.doses, self.times, self.output = written_out(doses), times, output
        self.patients = len(times)
        self.method = method
        own = self.known(0)
        self.twin = tj.Twin.of(self.population, covariates=own, doses=doses, method=method, backend=backend)
        seen = [tj.Measurements.of(t, np.ones(len(t)), output) for t in times]
        histories = [History(str(i), doses=self.doses, measurements=m, covariates={n: ((-np.inf, v),) for n, v in self.known(i).items()})
                     for i, m in enumerate(seen)]  # fmt: skip
        self.bedside = Bedside.of(self.population, self.twin.backend, histories, [np.ones(len(t), bool) for t in times])

    def known(self, i: int) -> dict[str, float]:
        """One patient's covariates that the population reads."""
        return {n: float(self.covariates[n][i]) for n in self.population.covariate_names}

    def under(self, amounts: np.ndarray, values: np.ndarray, known: int, fresh: int) -> Bedside:
        """With these amounts given and the first `known` values measured, the last `fresh` of them new."""
        rows = self.bedside.design.observed.value.shape[1]
        place = np.arange(rows)[None] - 1  # the first row is where the history begins
        full = np.ones((self.patients, rows))
        full[:, 1 : 1 + values.shape[1]] = np.where(np.isfinite(values), values, 1.0)
        there = np.broadcast_to((place >= 0) & (place < known), full.shape)
        new = np.broadcast_to((place >= known - fresh) & (place < known), full.shape)
        b = eqx.tree_at(lambda b: b.design.observed.value, self.bedside, jnp.asarray(full))
        b = eqx.tree_at(lambda b: (b.design.observed.there, b.fresh), b, (jnp.asarray(there), jnp.asarray(new)))
        given = self.bedside.design.problem.doses
        factor = np.zeros(given.amount.shape)
        factor[:, : amounts.shape[1]] = np.maximum(amounts, 1e-9)
        factor = jnp.asarray(factor)
        return eqx.tree_at(lambda b: (b.design.problem.doses.amount, b.design.problem.doses.rate), b,
                           (given.amount * factor, given.rate * factor))  # fmt: skip

    def apart(self, amounts: np.ndarray, values: np.ndarray, mean: Any, who: int) -> float:
        """How far a belief's mean is from that of a `tj.Twin` that learnt the same at once."""
        given = np.maximum(amounts[who], 1e-9)
        doses = [tj.Regimen.records([t], [a * f], [r * f], [0.0], evid=[1], into=[k.into], mode=[k.mode], additional=[0], steady_state=[0])
                 for t, a, r, k, f in zip(self.doses.time, self.doses.amount, self.doses.rate, self.doses.kinds, given, strict=True)]  # fmt: skip
        twin = self.twin.another(str(who), covariates=self.known(who), doses=sum(doses, tj.Regimen.none()))
        twin = tj.assimilate(twin, tj.Measurements.of(self.times[who], values[who], self.output))
        return float(np.max(np.abs(np.asarray(twin.belief.mean[0]) - np.asarray(mean[who]))))

    def predicted(self, eta: Any, amounts: np.ndarray) -> np.ndarray:
        """What a measurement would be without error `(patients, measurements)`, at random effects `(patients, etas)`."""
        b = self.under(amounts, np.ones(self.times.shape), self.times.shape[1], 0)
        return np.asarray(_predicted(b, jnp.asarray(eta)))[:, 1 : 1 + self.times.shape[1]]

    def models(self, eta: Any) -> Any:
        """Models at `(patients, draws, etas)`, leaves `(patients, draws)`."""
        return _models(self.population, eta, {n: self.covariates[n] for n in self.population.covariate_names})


@eqx.filter_jit
def _predicted(b: Bedside, eta: Any) -> Any:
    f, code = b.predictor.solve(b.predictor.every(b.x, eta, b.design), b.x, b.design)
    return jnp.where((code == 0)[:, None], f, jnp.nan)


@eqx.filter_jit
def _models(population: tj.Population, eta: Any, covariates: Any) -> Any:
    each = jax.vmap(lambda e, c: population.individual(population.theta, e, c), (0, None))
    found = jax.vmap(each)(eta, covariates)
    return jax.tree.map(lambda a: jnp.broadcast_to(a, eta.shape[:2]), found)


def drawn(population: tj.Population, patients: int, rng: np.random.Generator) -> np.ndarray:
    """True random effects."""
    omega = np.asarray(population.omega(population.theta))
    return rng.standard_normal((patients, len(omega))) @ np.linalg.cholesky(omega).T


def trial(
    truth: Course, eta: np.ndarray, measure: Callable[[np.ndarray], np.ndarray], visits: list[int], blocks: np.ndarray,
    decide: Callable[..., np.ndarray], twin: Course | None, check: bool = False,
) -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:  # fmt: skip
    """One way to dose, from the first dose to the last measurement.

    **Parameters**: `measure`, from true values to measured ones; `visits`, how many measurements are known when each
    block of doses is chosen (0 first) and at the end; `blocks` `(doses,)`, the block of each; `decide(k, amounts, values, models)`
    gives the amounts of block k `(patients, doses of the block)`, `models` what the twin believes, leaves `(patients,
    draws)`, or None.
    **Returns** true values `(patients, measurements)`, amounts, and what a twin's evidence says.
    """
    patients, count = truth.times.shape
    amounts = np.zeros((patients, len(blocks)))
    values = np.full((patients, count), np.nan)
    z, quantile, settled = np.full((patients, count), np.nan), np.full((patients, count), np.nan), []
    belief = None if twin is None else NormalBelief.prior(twin.population, patients)
    key = jax.random.key(7)
    for k, known in enumerate(visits):
        if known:
            values = np.where(np.arange(count) < known, measure(truth.predicted(eta, amounts)), np.nan)
        if twin is not None and known:
            b = twin.under(amounts, values, known, known - visits[k - 1])
            before = belief.draw(jax.random.fold_in(key, k), DRAWS)
            found = innovations(b, before, jnp.full(before.shape[:2], -np.log(DRAWS)))
            new = slice(visits[k - 1], known)
            z[:, new], quantile[:, new] = (np.asarray(a)[:, 1 : 1 + count][:, new] for a in (found.z, found.quantile))
            learnt = twin.method.learn(b, belief, key)
            belief = learnt.belief
            settled.append(np.asarray(learnt.settled))
        if k < len(visits) - 1:
            models = None if twin is None else twin.models(belief.draw(jax.random.fold_in(key, 100 + k), DRAWS))
            amounts[:, blocks == k] = decide(k, amounts, values, models)
    said = {} if twin is None else evidence(z, quantile) | {"settled": round(float(np.mean(settled)), 3)}
    if check and twin is not None:
        said["as_twin"] = max(twin.apart(amounts, values, belief.mean, i) for i in (0, 1))
    return truth.predicted(eta, amounts), amounts, said


def evidence(z: np.ndarray, quantile: np.ndarray) -> dict[str, Any]:
    """Whether what came was what the twin had foreseen: share of measurements inside 90 % bands (0.9 if it is right), mean
    square of the innovations (1), and the share of patients whose sum of them is beyond the 99 % point (0.01).
    """
    each = np.nansum(z**2, axis=1)
    n = np.sum(np.isfinite(z), axis=1)
    return {"inside_90": round(float(np.nanmean(np.abs(quantile - 0.5) <= 0.45)), 3), "innovations_squared": round(float(np.nanmean(z**2)), 2),
            "flagged": round(float(np.mean(each > scipy.stats.chi2.ppf(0.99, n))), 3)}  # fmt: skip


def best(models_say: Any, grid: np.ndarray, low: float, high: float, over: float) -> np.ndarray:
    """The amount of the greatest P(in range) - P(overdose) / 4, by what each would come to `(patients, draws, amounts)`."""
    good = np.mean((models_say >= low) & (models_say <= high), axis=1) - 0.25 * np.mean(models_say > over, axis=1)
    return grid[np.argmax(np.round(good, 6), axis=1)]


def said(**what: Any) -> None:
    """One line, with where it ran."""
    print(json.dumps({"benchmark": "dosing", **what, "device": jax.devices()[0].device_kind, "jax": jax.__version__,
                      "load": round(os.getloadavg()[0], 1)}), flush=True)  # fmt: skip


def judged(
    drug: str,
    arm: str,
    last: np.ndarray,
    all_: np.ndarray,
    low: float,
    high: float,
    over: float,
    began: float,
    **more: Any,
) -> None:
    """Shares in range and overdosed: at the end, and over all times that count; and how many patients could not be
    solved, whose values are neither.
    """

    def shares(v: np.ndarray, name: str) -> dict[str, float]:
        return {
            f"in_range_{name}": round(float(np.mean((v >= low) & (v <= high))), 3),
            f"overdosed_{name}": round(float(np.mean(v > over if over > high else v < over)), 3),
        }

    said(
        drug=drug,
        arm=arm,
        patients=len(last),
        unsolved=int(np.sum(~np.isfinite(np.column_stack([last, all_])).all(axis=1))),
        **shares(last, "last"),
        **shares(all_, "all"),
        **more,
        seconds=round(time.perf_counter() - began, 1),
    )


def halved(population: tj.Population) -> tj.Population:
    """The same with half the standard deviation of every random effect."""
    return population.with_theta(
        {**population.theta, **{n: 0.5 * v for n, v in population.theta.items() if n.startswith("omega.")}}
    )
