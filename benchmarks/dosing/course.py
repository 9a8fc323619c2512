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
from jax.scipy.special import ndtr

import twinjax as tj
from twinjax.assimilation.bedside import Bedside
from twinjax.assimilation.belief import AbstractBelief, NormalBelief
from twinjax.assimilation.history import History, written_out
from twinjax.estimation.moments import moments, transformed
from twinjax.models.base import output_names

DRAWS, JUDGES, AGAIN = 64, 128, 8
"""Draws of a belief to dose by; to judge it by; and the sets of measurements made up for each of the latter."""
TOGETHER = 50
"""Patients in one program: a search lasts until that of its last patient ends."""


class Quick(tj.FOCEI):
    """The mode by first derivatives of the solution alone, which compiles sooner: the belief's spread is that of a
    polynomial of first order.
    """

    order: ClassVar[int] = 1


QUICK = tj.MAP(search=Quick())
IMPORTANCE = tj.LaplaceImportance(draws=400, search=Quick())


def method(kind: str, usual: tj.MAP = QUICK) -> tj.MAP | tj.LaplaceImportance:
    """How a twin of this kind learns."""
    return IMPORTANCE if kind == "importance" else usual


class Course:
    """Every patient's doses (of amount one until they are chosen) and measurements under one population."""

    def __init__(
        self,
        population: tj.Population,
        covariates: dict[str, np.ndarray],
        doses: tj.Regimen,
        times: np.ndarray,
        output: str,
        method: tj.MAP | tj.LaplaceImportance = QUICK,
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
        solved = np.zeros(full.shape, bool)
        solved[:, 1 : 1 + values.shape[1]] = np.isfinite(values)  # nothing is measured of a patient without a solution
        there = solved & (place >= 0) & (place < known)
        new = there & (place >= known - fresh)
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

    def learn(self, b: Bedside, belief: AbstractBelief, key: Any) -> tuple[AbstractBelief, np.ndarray]:
        """What is believed then, and who settled."""

        def part(b: Bedside, belief: AbstractBelief) -> Any:
            found = self.method.learn(b, belief, key)
            return found.belief, found.settled

        return self._by_parts(part, b, belief)

    def judge(self, b: Bedside, belief: AbstractBelief, key: Any) -> tuple[np.ndarray, ...]:
        """Of the fresh measurements, as `_judge`; `(patients, measurements)` and `(patients,)`."""
        z, quantile, p = self._by_parts(lambda b, belief: _judge(b, belief.draw(key, JUDGES), key), b, belief)
        rows = slice(1, 1 + self.times.shape[1])
        return np.asarray(z)[:, rows], np.asarray(quantile)[:, rows], np.asarray(p)

    def _by_parts(self, function: Callable[..., Any], b: Bedside, belief: AbstractBelief) -> Any:
        count = min(TOGETHER, self.patients)
        found = []
        for part in (np.arange(-(-self.patients // count) * count) % self.patients).reshape(-1, count):
            design, fresh, own = jax.tree.map(lambda a, part=part: a[part], (b.design, b.fresh, belief))
            found.append(function(Bedside(b.predictor, design, b.x, fresh), own))
        return jax.tree.map(lambda *a: jnp.concatenate(a)[: self.patients], *found)

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


@eqx.filter_jit
def _judge(b: Bedside, eta: Any, key: Any) -> tuple[Any, Any, Any]:
    """Fresh measurements against what draws `eta` `(patients, draws, etas)` foresaw: `z` and `quantile`, as of
    `tj.assimilate`'s innovations, NaN where there are none; and the probability of a sum of squares of z as large, by
    measurements made up of every draw: those of one visit are foreseen together and not independent, nor normal.
    """
    patients, many, etas = eta.shape
    people, p = b.times(many), b.population
    theta, outputs = people.predictor.transform.unpack(b.x, p.theta), output_names(p.model)
    flat, o = eta.reshape(-1, etas), b.design.observed
    f, code = people.predictor.solve(people.predictor.every(b.x, flat, people.design), b.x, people.design)
    m = jax.vmap(lambda e, o, f: moments(p.errors(theta, e), outputs, o, f))(flat, people.design.observed, f)
    mean, sd = (a.reshape(patients, many, -1) for a in (m.mean, jnp.sqrt(m.variance)))
    solved = (code == 0).reshape(patients, many) & jnp.all(jnp.isfinite(mean + sd), axis=2)
    weight = (solved / jnp.maximum(jnp.sum(solved, axis=1, keepdims=True), 1))[:, :, None]
    mean, sd = (jnp.where(solved[:, :, None], a, 1.0) for a in (mean, sd))
    center = jnp.sum(weight * mean, axis=1, keepdims=True)
    wide = jnp.sqrt(jnp.sum(weight * (sd**2 + (mean - center) ** 2), axis=1, keepdims=True))
    y = jax.vmap(lambda o: transformed(p.errors(theta), outputs, o, o.value))(o)[:, None]
    new = b.fresh[:, None]

    def size(y: Any) -> Any:
        return jnp.sum(jnp.where(new, ((y - center) / wide) ** 2, 0.0), axis=2)

    made = jax.lax.map(lambda k: size(mean + sd * jax.random.normal(k, mean.shape)), jax.random.split(key, AGAIN))
    above = jnp.sum(solved * (made >= size(y)), axis=(0, 2))
    z, quantile = (y - center) / wide, jnp.sum(weight * ndtr((y - mean) / sd), axis=1)
    return (jnp.where(b.fresh, z[:, 0], jnp.nan), jnp.where(b.fresh, quantile, jnp.nan),
            (1.0 + above) / (1.0 + AGAIN * jnp.sum(solved, axis=1)))  # fmt: skip


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
    z, quantile, p, settled = np.full((patients, count), np.nan), np.full((patients, count), np.nan), [], []
    belief: Any = None if twin is None else NormalBelief.prior(twin.population, patients)
    key = jax.random.key(7)
    for k, known in enumerate(visits):
        if known:
            values = np.where(np.arange(count) < known, measure(truth.predicted(eta, amounts)), np.nan)
        if twin is not None and known:
            b = twin.under(amounts, values, known, known - visits[k - 1])
            new = slice(visits[k - 1], known)
            *found, surprise = twin.judge(b, belief, jax.random.fold_in(key, k))
            z[:, new], quantile[:, new] = (a[:, new] for a in found)
            p.append(surprise)
            belief, good = twin.learn(b, belief, key)
            settled.append(good)
        if k < len(visits) - 1:
            models = None if twin is None else twin.models(belief.draw(jax.random.fold_in(key, 100 + k), DRAWS))
            amounts[:, blocks == k] = decide(k, amounts, values, models)
    said = (
        {}
        if twin is None
        else evidence(z, quantile, np.stack(p, axis=1)) | {"settled": round(float(np.mean(settled)), 3)}
    )
    if check and twin is not None:
        said["as_twin"] = max(twin.apart(amounts, values, belief.mean, i) for i in (0, 1))
    return truth.predicted(eta, amounts), amounts, said


def evidence(z: np.ndarray, quantile: np.ndarray, p: np.ndarray) -> dict[str, Any]:
    """Whether what came was what the twin had foreseen: share of measurements inside 90 % bands (0.9 if it is right), mean
    square of the innovations (1), and the share of patients flagged: those whose visits' `p` `(patients, visits)`, taken
    together by Fisher's method, are beyond the 99 % point (0.01).
    """
    fisher = -2.0 * np.sum(np.log(p), axis=1)
    return {"inside_90": round(float(np.nanmean(np.abs(quantile - 0.5) <= 0.45)), 3), "innovations_squared": round(float(np.nanmean(z**2)), 2),
            "flagged": round(float(np.mean(fisher > scipy.stats.chi2.ppf(0.99, 2 * p.shape[1]))), 3)}  # fmt: skip


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
