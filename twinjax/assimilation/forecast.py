"""`forecast` and `what_if`: what a twin foresees, and what it would foresee under other doses."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd

from twinjax.assimilation.bedside import posed
from twinjax.assimilation.history import History
from twinjax.assimilation.states.ahead import ahead
from twinjax.assimilation.states.belief import StateBelief
from twinjax.assimilation.twin import Twin, random_key
from twinjax.dosing import Regimen
from twinjax.estimation.diagnosis.measuring import measured
from twinjax.estimation.likelihood import Observations
from twinjax.naming import leaves, resolve
from twinjax.observation import Errors
from twinjax.population.cohort import individuals
from twinjax.population.population import Population
from twinjax.solve.compiling import compiled
from twinjax.solve.problem import AbstractBackend, Problem

_POINTS = 101


@dataclasses.dataclass(frozen=True)
class Forecast:
    """What a twin foresees of every output.

    **Parameters**: `time` `(times,)`; `predicted`, by output `(draws, times)`: the model's own values at draws of what
    is believed, equally probable (NaN for a draw that could not be solved); `measured`, with residual error besides,
    for outputs that have one; `level`, of the bands that `table` shows.
    """

    time: np.ndarray
    predicted: dict[str, np.ndarray]
    measured: dict[str, np.ndarray]
    level: float = 0.9

    def band(self, output: str | None = None, level: float | None = None, *, measured: bool = False) -> np.ndarray:
        """Lower end, median and upper end of a central credible band `(3, times)`: of the model's value, or of what
        would be measured.

        **Raises** `ValueError` for an output that is not there, or has no residual error where `measured`.
        """
        known = self.measured if measured else self.predicted
        name = next(iter(known)) if output is None else resolve(output, known, "output")
        tail = 0.5 * (1.0 - (self.level if level is None else level))
        return np.nanquantile(known[name], [tail, 0.5, 1.0 - tail], axis=0)

    @property
    def table(self) -> pd.DataFrame:
        """A row for every output and time: median, ends of the band, and of that of measurements (NaN where none)."""
        frames = []
        for name in self.predicted:
            lower, median, upper = self.band(name)
            low, _, high = self.band(name, measured=True) if name in self.measured else np.full((3, len(lower)), np.nan)
            frames.append(pd.DataFrame({"output": name, "time": self.time, "median": median, "lower": lower,
                                        "upper": upper, "measured_lower": low, "measured_upper": high}))  # fmt: skip
        return pd.concat(frames, ignore_index=True)

    def probability(self, output: str, *, above: float = -np.inf, below: float = np.inf) -> np.ndarray:
        """The probability that the model's value lies between two limits, at every time `(times,)`."""
        own = self.predicted[resolve(output, self.predicted, "output")]
        return np.mean((own >= above) & (own <= below), axis=0)


def forecast(twin: Twin, horizon: Any, *, draws: int = 500, level: float = 0.9) -> Forecast:
    """What the twin foresees, its doses given as planned, and, of a method with process noise, with the noise to come.

    **Parameters**: `horizon`, how far ahead from the latest measurement, in the model's time unit, or the times
    themselves `(times,)`, those of the past included; `draws` of what is believed; `level` of the credible bands.
    **Raises** `ValueError` for times before the twin's start; of a filter of states, before its latest measurement.
    """
    return _foreseen(twin, [twin.history], horizon, draws, level)[0]


def what_if(
    twin: Twin, regimen: Regimen, horizon: Any, *, after: float | None = None, draws: int = 500, level: float = 0.9
) -> Forecast:
    """What the twin foresees if from a time on these doses are given instead of those planned. The twin stays as it is.

    The same draws as those of `forecast`, so that the difference is that of the doses.

    **Parameters**: `regimen`, in the twin's time; `after`, from when on planned doses are left out (default: after the
    latest measurement); the rest as in `forecast`.
    """
    return _foreseen(twin, [altered(twin, regimen, after)], horizon, draws, level)[0]


def altered(twin: Twin, regimen: Regimen, after: float | None = None) -> History:
    """The twin's history with other doses from a time on; what was given by then stays."""
    return twin.history.with_doses(regimen, np.nextafter(twin.now, np.inf) if after is None else after)


def foreseen(
    twin: Twin, histories: Sequence[History], horizon: Any, *, draws: int = 500, level: float = 0.9
) -> list[Forecast]:
    """Forecasts of several histories of one patient by the same draws, in one program."""
    return _foreseen(twin, histories, horizon, draws, level)


def _foreseen(twin: Twin, histories: Sequence[History], horizon: Any, draws: int, level: float) -> list[Forecast]:
    times = np.asarray(horizon, float)
    if times.ndim == 0:
        if not times > 0:
            raise ValueError(f"horizon is {float(times):g}; give how far to look ahead, above zero, or times")
        times = twin.now + np.linspace(0.0, float(times), _POINTS)
    if not np.all(np.isfinite(times)):
        raise ValueError("a time to foresee is not finite")
    key = random_key(twin.seed, len(twin.trail), "forecast")
    population, errors = twin.population, twin.population.errors(twin.population.theta)
    own_errors = None
    if isinstance(twin.belief, StateBelief):
        found, code = ahead(twin, histories, times, draws, key)
    else:
        problem, covariates = posed(twin.population, histories, np.broadcast_to(times, (len(histories), len(times))))
        eta = twin.belief.draw(key, draws)[0]
        outputs, code = trajectories(twin.population, twin.backend, problem, covariates, eta)
        if population.varying_errors:
            own_errors = _of_draws(population, eta)
        samples = slice(1, 1 + len(times))
        found = {n: np.asarray(v)[..., samples] for n, v in outputs.items()}
    solved = np.asarray(code) == 0
    made = []
    for i in range(len(histories)):
        own = {n: np.where(solved[i][:, None], v[i], np.nan) for n, v in found.items()}
        measured_ = {
            n: noisy(errors, tuple(own), n, own[n], jax.random.fold_in(key, k), own_errors)
            for k, n in enumerate(errors)
        }
        made.append(Forecast(times, own, measured_, level))
    return made


def noisy(
    errors: Errors, outputs: tuple[str, ...], name: str, f: np.ndarray, key: Any, own: Errors | None = None
) -> np.ndarray:
    """What would be measured of one output at predictions `(draws, times)`; errors of one time independent of others'.
    Correlations of residuals are left out: they do not change the bands. `own`, each draw's errors, where they vary.
    """
    error = jax.random.normal(key, f.shape)
    free = dataclasses.replace(errors, correlations={}, autocorrelation={}) if own is None else own
    likelihood = errors.likelihoods.get(name)
    if likelihood is not None and likelihood.reads:
        return np.full(f.shape, np.nan)
    blank = jnp.zeros(f.shape[1])
    index = jnp.full(f.shape[1], outputs.index(name))
    o = Observations(blank, index, blank.astype(int), blank, blank == 0, False)
    return np.asarray(_measured(free, own is not None, outputs, o, jnp.asarray(f), error, key))


@compiled
def _measured(
    errors: Errors, each: bool, outputs: tuple[str, ...], o: Observations, f: Any, error: Any, key: Any
) -> Any:
    keys = jax.random.split(key, f.shape[0])
    one = jax.vmap(lambda own, f, e, k: measured(own, outputs, o, f, e, k), in_axes=(0 if each else None, 0, 0, 0))
    return one(errors, f, error, keys)


@compiled
def _of_draws(population: Population, eta: Any) -> Errors:
    """Every draw's residual errors, leaves `(draws,)`; correlations left out."""

    def one(eta: Any) -> Errors:
        return dataclasses.replace(population.errors(population.theta, eta), correlations={}, autocorrelation={})

    return jax.vmap(one)(eta)


@compiled
def trajectories(
    population: Population, backend: AbstractBackend, problem: Problem, covariates: dict[str, Any], eta: Any
) -> tuple[dict[str, Any], Any]:
    """Outputs by name `(histories, draws, samples)` of every history at each of `eta` `(draws, etas)`, and codes."""
    many, histories = eta.shape[0], problem.patients
    each, own = jax.tree.map(lambda a: jnp.repeat(a, many, axis=0), (problem, covariates))
    model = individuals(population, population.theta, jnp.tile(eta, (histories, 1)), own)
    model = jax.tree.map(lambda m: jnp.broadcast_to(m, (m.shape[0], problem.segments)), model)
    solution = backend.solve(dataclasses.replace(each, model=model, states=False))
    found = {n: v.reshape(histories, many, -1) for n, v in leaves(solution.output).items()}
    return found, solution.result.reshape(histories, many)
