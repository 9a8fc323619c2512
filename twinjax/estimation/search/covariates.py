"""`search_covariates`: which covariates explain how people differ, by forward selection and backward elimination.

All candidates are in one population from the start, those not selected held where they have no effect. So every model
of the search is the same compiled program, started from the estimates of the model before it.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pandas as pd
import scipy.stats

from twinjax.estimation.engine import Engine
from twinjax.estimation.evidence.again import ROUND, Weighted, minimised
from twinjax.estimation.evidence.uncertainty import hessian
from twinjax.estimation.fit import fit as fitted
from twinjax.estimation.methods.base import AbstractObjective
from twinjax.estimation.methods.conditional import FOCEI
from twinjax.estimation.optimisers import AbstractOptimiser
from twinjax.estimation.result import Fit
from twinjax.naming import resolve
from twinjax.population.effects import AbstractEffect
from twinjax.population.population import Population
from twinjax.population.subject import TrialData
from twinjax.solve.problem import AbstractBackend


@dataclasses.dataclass(frozen=True)
class Step:
    """One model tried.

    **Parameters**: `round` of the search; `direction`, forward or backward; `parameter`, `covariate` and `effect` that
    were added or left out; `objective`; `change` from the model of the round before; `df`, how many coefficients; `p`
    of the likelihood ratio; `accepted`; `seconds` since the search began.
    """

    round: int
    direction: str
    parameter: str
    covariate: str
    effect: str
    objective: float
    change: float
    df: int
    p: float
    accepted: bool
    seconds: float


@dataclasses.dataclass(frozen=True)
class CovariateSearch:
    """What a search for covariates found.

    **Parameters**: `steps`, one row a model tried, as `Step` has it; `start`, the objective without any candidate;
    `selected`, the effects by parameter; `fit`, of the population with them.
    """

    steps: pd.DataFrame
    start: float
    selected: dict[str, tuple[AbstractEffect, ...]]
    fit: Fit

    def __str__(self) -> str:
        chosen = [f"{type(e).__name__} of {e.covariate} on {p}" for p, own in self.selected.items() for e in own]
        shown = self.steps.drop(columns="seconds").to_string(index=False, float_format=lambda v: f"{v:.4g}")
        return (
            f"Objective {self.start:.3f} without covariates, {self.fit.objective:.3f} with "
            + (", ".join(chosen) or "none: no candidate was significant")
            + f"\n{shown}\n\n{self.fit}"
        )


def search_covariates(
    start: Population | Fit,
    trial: TrialData,
    candidates: Mapping[str, AbstractEffect | Sequence[AbstractEffect]],
    *,
    forward: float = 0.05,
    backward: float = 0.01,
    method: AbstractObjective | None = None,
    backend: AbstractBackend | None = None,
    optimiser: AbstractOptimiser = ROUND,
    covariance: bool = True,
    keep: str | Path | None = None,
    progress: Callable[[Step], None] | None = None,
) -> CovariateSearch:
    """Stepwise covariate modelling on the likelihood ratio.

    Forward, the candidate with the smallest p below `forward` is added, until there is none. Backward, the selected
    candidate with the largest p above `backward` is left out, until there is none. Of several candidates of one
    covariate on one parameter, one can be selected. An effect whose coefficients are constants (`Allometry`) counts as
    one coefficient.

    **Parameters**: `start`, the population without the candidates, or a fit of it; `candidates`, by parameter;
    `method`, an objective function, default that of the fit, else `FOCEI()`; `covariance`, standard errors of the
    selected model; `keep`, a file to which each model is written when it is done: a search that was stopped goes on
    from it; `progress`, called after each model.
    **Raises** `ValueError` for a parameter or covariate that is not there, an effect that no coefficients make 1
    (`Maturation`), and a file of another search.
    **Reference**: Jonsson & Karlsson 1998, doi:10.1023/A:1011970125687; how p depends on the approximation: Wahlby,
    Jonsson & Karlsson 2001, doi:10.1023/A:1011527125570.
    """
    base = start.population if isinstance(start, Fit) else start
    if method is None:
        last = start.method.steps[-1] if isinstance(start, Fit) else FOCEI()
        method = last if isinstance(last, AbstractObjective) else FOCEI()
    wanted = _candidates(base, trial, candidates)
    models = _Models(base, trial, wanted, method, backend, optimiser, keep)
    steps, began, number = list[Step](), time.perf_counter(), 0
    active, current = frozenset[int](), models.objective(frozenset())
    models.settle(active)
    first = current

    def tried(direction: str, i: int) -> tuple[Step, float]:
        own = active | {i} if direction == "forward" else active - {i}
        f, c = models.objective(own), wanted[i]
        drop = current - f if direction == "forward" else f - current
        log_p = float(scipy.stats.chi2.logsf(max(drop, 0.0), c.df)) if np.isfinite(f) else (
            0.0 if direction == "forward" else -math.inf
        )  # fmt: skip
        said = type(c.effect).__name__
        step = Step(number, direction, c.parameter, c.effect.covariate, said, f, f - current, c.df, math.exp(log_p),
                    False, time.perf_counter() - began)  # fmt: skip
        if progress is not None:
            progress(step)
        return step, log_p

    for direction, limit in (("forward", forward), ("backward", backward)):
        while True:
            number += 1
            held = {(wanted[i].parameter, wanted[i].effect.covariate) for i in active}
            pool = sorted(active) if direction == "backward" else [
                i for i, c in enumerate(wanted) if (c.parameter, c.effect.covariate) not in held
            ]  # fmt: skip
            found = [tried(direction, i) for i in pool]
            if not found:
                break
            best = min(range(len(pool)), key=lambda n: found[n][1] if direction == "forward" else -found[n][1])
            step, log_p = found[best]
            good = log_p < math.log(limit) if direction == "forward" else log_p > math.log(limit)
            steps += [dataclasses.replace(s, accepted=good and n == best) for n, (s, _) in enumerate(found)]
            if not good:
                break
            active = active | {pool[best]} if direction == "forward" else active - {pool[best]}
            current = step.objective
            models.settle(active)
    selected: dict[str, tuple[AbstractEffect, ...]] = {}
    for i in sorted(active):
        selected[wanted[i].parameter] = (*selected.get(wanted[i].parameter, ()), wanted[i].effect)
    end = base.with_effects(selected).with_theta(models.theta(active))
    final = fitted(end, trial, method=method, backend=models.engine.predictor.backend, covariance=covariance)
    columns = [f.name for f in dataclasses.fields(Step)]
    table = pd.DataFrame([dataclasses.asdict(s) for s in steps], columns=columns)
    return CovariateSearch(table, first, selected, final)


@dataclasses.dataclass(frozen=True)
class _Candidate:
    parameter: str
    effect: AbstractEffect
    coefficients: tuple[tuple[str, str], ...]
    """Names of its coefficients in the population of all candidates, and in that of the selected."""

    @property
    def df(self) -> int:
        return max(1, 0 if self.effect.fixed else len(self.coefficients))


class _Marked(AbstractEffect):
    """An effect whose coefficients are named apart from those of other candidates, and free to be held."""

    inner: AbstractEffect
    mark: str = eqx.field(static=True)

    @property
    def covariate(self) -> str:
        """The inner effect's."""
        return self.inner.covariate

    def coefficients(self):
        """Those of the inner effect at zero, where it is 1."""
        return {f"{self.mark}.{n}" if n else self.mark: 0.0 for n in self.inner.coefficients()}

    def factor(self, x, c):
        """As the inner effect."""
        return self.inner.factor(x, {n: c[f"{self.mark}.{n}" if n else self.mark] for n in self.inner.coefficients()})


def _candidates(
    base: Population, trial: TrialData, given: Mapping[str, AbstractEffect | Sequence[AbstractEffect]]
) -> list[_Candidate]:
    found = []
    for name, own in given.items():
        parameter = resolve(name, base.theta)
        for effect in (own,) if isinstance(own, AbstractEffect) else own:
            covariate = resolve(effect.covariate, trial.covariate_names, "covariate")
            values = jnp.asarray(np.concatenate([np.ravel(s.covariates[covariate]) for s in trial]), float)
            one = effect.factor(values, dict.fromkeys(effect.coefficients(), 0.0))
            if not np.all(np.abs(np.asarray(one) - 1.0) < 1e-12):
                raise ValueError(
                    f"{type(effect).__name__} of {covariate} on {parameter} has an effect with coefficients of zero "
                    "too, so that it cannot be tested by leaving it out"
                )
            mark = f"candidate{len(found)}"
            names = tuple(
                (".".join(x for x in (parameter, covariate, mark, s) if x),
                 ".".join(x for x in (parameter, covariate, s) if x)) for s in effect.coefficients()
            )  # fmt: skip
            found.append(_Candidate(parameter, effect, names))
    if not found:
        raise ValueError("there are no candidates: give {parameter: [effects]}")
    return found


class _Models:
    """Every model of a search, by which candidates are in it."""

    def __init__(
        self, base: Population, trial: TrialData, wanted: Sequence[_Candidate], method: AbstractObjective,
        backend: AbstractBackend | None, optimiser: AbstractOptimiser, keep: str | Path | None,
    ) -> None:  # fmt: skip
        marked: dict[str, tuple[AbstractEffect, ...]] = {}
        for i, c in enumerate(wanted):
            marked[c.parameter] = (*marked.get(c.parameter, ()), _Marked(c.effect, f"candidate{i}"))
        self.base, self.wanted, self.optimiser = base, wanted, optimiser
        self.engine = Engine.of(base.with_effects(marked), trial, method, {}, backend)
        population, transform = self.engine.predictor.population, self.engine.predictor.transform
        self.x = np.asarray(transform.pack(population.theta))
        self.engine.check(self.x)
        self.begin = self.engine.eta
        where = {n: k for k, n in enumerate(transform.names)}
        self.places = [[where[n] for n, _ in c.coefficients] for c in wanted]
        self.ends: dict[frozenset[int], tuple[float, np.ndarray]] = {}
        self.curved = np.eye(len(self.x))
        self.journal = None if keep is None else _Journal(Path(keep), self)
        if self.journal is not None:
            self.ends |= self.journal.read()

    def objective(self, active: frozenset[int]) -> float:
        """Of the model with these candidates; +inf where it cannot be evaluated."""
        if active not in self.ends:
            self.ends[active] = self._search(active)
            if self.journal is not None:
                self.journal.write(active, *self.ends[active])
        return self.ends[active][0]

    def settle(self, active: frozenset[int]) -> None:
        """Start the models to come from this one."""
        self.x = self.ends[active][1]
        self.engine.begin(self.begin)
        self.engine(self.x)
        self.begin = self.engine.eta
        self.curved = hessian(self.engine, self.x)

    def theta(self, active: frozenset[int]) -> dict[str, Any]:
        """Values of a model, named as in the population of the selected."""
        population, transform = self.engine.predictor.population, self.engine.predictor.transform
        found = transform.unpack(jnp.asarray(self.ends[active][1]), population.theta)
        theta = {n: found[n] for n in self.base.theta}
        for i in active:
            theta |= {own: found[n] for n, own in self.wanted[i].coefficients}
        return theta

    def _search(self, active: frozenset[int]) -> tuple[float, np.ndarray]:
        x, free = self.x.copy(), np.ones(len(self.x), bool)
        for i, (c, places) in enumerate(zip(self.wanted, self.places, strict=True)):
            initial = np.asarray([float(v) for v in c.effect.coefficients().values()])
            free[places] = i in active and not c.effect.fixed
            if i not in active:
                x[places] = 0.0
            elif c.effect.fixed or np.all(x[places] == 0.0):
                x[places] = initial
        objective = Weighted(self.engine, begin=self.begin)
        objective.restart()
        try:
            end, f, _ = minimised(objective, x, _rounded(self.curved, free), self.optimiser)
        except FloatingPointError:
            return math.inf, x
        return f, end


def _rounded(curved: np.ndarray, free: np.ndarray) -> np.ndarray:
    """Coordinates `(parameters, parameters)` in which a function of this curvature is round; what is not free stays."""
    values, vectors = np.linalg.eigh(curved[np.ix_(free, free)])
    floor = 1e-4 * max(float(np.max(np.abs(values), initial=0.0)), 1e-8)
    root = np.zeros_like(curved)
    root[np.ix_(free, free)] = vectors / np.sqrt(np.maximum(np.abs(values), floor))
    return root


class _Journal:
    """A file of one line for the search and one for each model done; the last line may be torn."""

    def __init__(self, file: Path, models: _Models) -> None:
        engine = models.engine
        text = repr([models.x.tolist(), engine.ids, engine.method.name, [
            (c.parameter, type(c.effect).__name__, c.effect.covariate, c.coefficients) for c in models.wanted
        ]])  # fmt: skip
        self.file, self.head = file, {"covariates": hashlib.sha256(text.encode()).hexdigest()}
        if file.exists() and file.stat().st_size:
            if self._lines()[:1] != [self.head]:
                raise ValueError(f"{file} is of another search: other candidates, data or start; choose another file")
            if not file.read_bytes().endswith(b"\n"):
                file.write_bytes(file.read_bytes() + b"\n")
        else:
            file.parent.mkdir(parents=True, exist_ok=True)
            self._append(self.head)

    def read(self) -> dict[frozenset[int], tuple[float, np.ndarray]]:
        """The models that are done."""
        return {frozenset(d["in"]): (float(d["objective"]), np.asarray(d["x"], float)) for d in self._lines()[1:]}

    def write(self, active: frozenset[int], objective: float, x: np.ndarray) -> None:
        """One more."""
        self._append({"in": sorted(active), "objective": objective, "x": x.tolist()})

    def _append(self, line: dict[str, Any]) -> None:
        with self.file.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    def _lines(self) -> list[dict[str, Any]]:
        found = []
        for text in self.file.read_text(encoding="utf-8").splitlines():
            try:
                found.append(json.loads(text))
            except json.JSONDecodeError:
                continue
        return found
