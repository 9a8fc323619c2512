"""The twin: what is known of one patient, what is believed of them, and how both came about."""

from __future__ import annotations

import dataclasses
import datetime
import functools
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd

from twinjax.assimilation.bedside import posed
from twinjax.assimilation.belief import AbstractBelief
from twinjax.assimilation.fingerprint import fingerprint
from twinjax.assimilation.history import History, News, digest, news_dict
from twinjax.assimilation.methods.base import AbstractAssimilation
from twinjax.assimilation.methods.mode import MAP
from twinjax.dosing import Regimen
from twinjax.estimation.result import Fit
from twinjax.models.base import AbstractModel
from twinjax.naming import leaves, suggestion
from twinjax.population.population import Population
from twinjax.solve.problem import AbstractBackend
from twinjax.solve.simulate import choose

_SPAN = 168.0
"""Over so long a time, in the model's unit, a patient is looked at when the backend is chosen."""


Covariate = float | Sequence[tuple[float, float]]


@dataclasses.dataclass(frozen=True, eq=False)
class Twin:
    """A patient's model kept in step with that patient's data.

    Frozen: `assimilate` returns a new one. Its parameters are the population's, but for the random effects, of which
    it has a belief; how uncertain the population's own numbers are is not in it.

    **Parameters**: `population`, the prior; `history`, everything known; `belief`, of one patient; `method`, how it
    learns; `backend`, how it solves; `seed` of its random numbers; `trail`, an entry for every step that led here
    (`audit` shows it as a table).
    """

    population: Population
    history: History
    belief: AbstractBelief
    method: AbstractAssimilation
    backend: AbstractBackend
    seed: int
    trail: tuple[dict[str, Any], ...]

    @staticmethod
    def of(
        prior: Population | Fit,
        *,
        id: str = "patient",
        covariates: Mapping[str, Covariate] | None = None,
        doses: Regimen | None = None,
        start: float = 0.0,
        method: AbstractAssimilation | None = None,
        backend: AbstractBackend | None = None,
        seed: int = 0,
        when: datetime.datetime | None = None,
    ) -> Twin:
        """A twin that knows no measurement yet.

        **Parameters**: `prior`, a population, or a fit, whose estimates are taken as known; `covariates`, by name
        (genotypes and other categories by their numbers), or (time, value) of every change that is known, the first
        value from always; `doses`, given or planned; `start`, the time at which the
        model's initial state holds; `method`, None for `MAP()`; `backend`, None for the automatic choice; `when`, the
        clock of the audit trail (default now).
        **Raises** `ValueError` for a covariate that the population needs and is not given, a mixture.
        """
        population, said = prior, "a population"
        if isinstance(prior, Fit):
            population, said = prior.population, f"a fit by {prior.method.name} to {prior.trial.name}"
        assert isinstance(population, Population)
        if population.mixture is not None:
            raise ValueError("a twin's belief is of random effects and not of a mixture's classes; take one class's "
                             "population for the prior")  # fmt: skip
        # a Python number would be compiled in
        population = jax.tree.map(lambda leaf: jnp.asarray(leaf, float), population)
        news = News(doses=doses or Regimen.none())
        history, method = _begun(population, str(id), float(start), news, covariates or {}), method or MAP()
        problem, _ = posed(population, [history], np.linspace(start, start + _SPAN, 7)[None])
        belief = jax.device_get(method.prior(population, 1, random_key(seed, 0, "prior")))
        twin = Twin(population, history, belief, method, choose(problem, backend), seed, ())
        return noted(twin, "begun", {"prior": said, "news": news_dict(news), "known": _known(history)}, twin, when)

    def another(
        self,
        id: str,
        *,
        covariates: Mapping[str, Covariate] | None = None,
        doses: Regimen | None = None,
        start: float = 0.0,
        when: datetime.datetime | None = None,
    ) -> Twin:
        """A twin of another patient, that knows no measurement yet: same prior, method, backend and seed."""
        news = News(doses=doses or Regimen.none())
        history, belief = _begun(self.population, str(id), float(start), news, covariates or {}), self.belief
        if self.trail[-1]["step"]:  # else it is the prior still
            belief = jax.device_get(self.method.prior(self.population, 1, random_key(self.seed, 0, "prior")))
        twin = dataclasses.replace(self, history=history, belief=belief, trail=())
        known = {n: self.trail[0][n] for n in ("prior", "population")}
        return noted(twin, "begun", {**known, "news": news_dict(news), "known": _known(history)}, twin, when)

    @property
    def id(self) -> str:
        """The patient's."""
        return self.history.id

    @property
    def now(self) -> float:
        """The time of the latest measurement, from which the twin looks ahead."""
        return self.history.last

    @property
    def hash(self) -> str:
        """SHA-256 of the last entry of the trail, which has that of the one before in it, and so on."""
        return self.trail[-1]["hash"] if self.trail else ""

    @property
    def quantiles(self) -> np.ndarray:
        """Where every measurement learnt so far fell in what was foreseen, for `calibration`."""
        rows = [m for e in self.trail for m in e.get("innovations", ())]
        return np.asarray([np.nan if m["quantile"] is None else m["quantile"] for m in rows], float)

    @property
    def covariates(self) -> dict[str, float]:
        """Those that hold last."""
        return {n: c[-1][1] for n, c in self.history.covariates.items()}

    def individual(self, eta: Any = None) -> AbstractModel:
        """The patient's model at random effects `(etas,)`, by default the mean of what is believed."""
        eta = jnp.asarray(self.belief.mean[0] if eta is None else eta)
        own = {n: jnp.asarray(self.covariates[n], float) for n in self.population.covariate_names}
        return self.population.individual(self.population.theta, eta, own)

    @property
    def parameters(self) -> pd.DataFrame:
        """The individual parameters that vary: a row each, with the typical value for the patient's covariates, the
        patient's own (median of what is believed) and the ends of a central 90 % interval.
        """
        eta = self.belief.draw(random_key(self.seed, len(self.trail), "parameters"), 1000)[0]
        typical = leaves(self.individual(jnp.zeros(eta.shape[1])))
        drawn = leaves(jax.vmap(self.individual)(eta))
        rows = {
            n: [float(typical[n]), *np.quantile(np.asarray(v), [0.5, 0.05, 0.95])]
            for n, v in drawn.items()
            if float(np.ptp(np.asarray(v))) > 0.0
        }
        return pd.DataFrame.from_dict(rows, orient="index", columns=["typical", "patient", "lower", "upper"])

    @property
    def audit(self) -> pd.DataFrame:
        """The trail as a table: step, when, what, measurements and doses that came, how many measurements are left out
        of the belief since, evidence, what moved, hash.
        """
        rows = []
        for e in self.trail:
            came = {n: len(e.get("news", {}).get(n, ())) for n in ("measurements", "doses")}
            said = {n: e.get(n) for n in ("log_density", "effective", "settled", "moved", "hash")}
            left = len(e.get("left", ()))
            rows.append({"step": e["step"], "when": e["when"], "what": e["what"], **came, "left": left, **said})
        return pd.DataFrame(rows)


def _begun(population: Population, id: str, start: float, news: News, covariates: Mapping[str, Covariate]) -> History:
    """**Raises** `ValueError` for a covariate that is needed and is not there, or is no number."""
    for name in population.covariate_names:
        if name not in covariates:
            raise ValueError(f"the population needs the covariate {name!r}{suggestion(name, covariates)}")
    changes = {}
    for name, given in covariates.items():
        own = [(-np.inf, given)] if isinstance(given, int | float) else sorted(given)
        values = [float(v) for _, v in own]
        if not np.all(np.isfinite(values)):
            raise ValueError(f"patient {id}: covariate {name} is {given}; give finite numbers")
        changes[name] = ((-np.inf, values[0]), *((float(t), float(v)) for t, v in own[1:]))
    return History(id, start, covariates=changes).joined(news)[0]


def _known(history: History) -> dict[str, Any]:
    """The covariates of a history, in plain numbers."""
    return history.to_dict()["covariates"]


def noted(twin: Twin, what: str, said: Mapping[str, Any], before: Twin, when: datetime.datetime | None) -> Twin:
    """The twin with one more entry in its trail."""
    mean, covariance = np.asarray(twin.belief.mean[0]), np.asarray(twin.belief.covariance[0])
    sd = np.sqrt(covariance.diagonal())
    moved = mean - np.asarray(before.belief.mean[0])
    known = twin.trail[-1]["population"] if twin.trail else said.get("population") or fingerprint(twin.population)
    entry = {
        "step": len(twin.trail), "when": (when or datetime.datetime.now(datetime.UTC)).isoformat(), "what": what,
        "version": _version(), "population": known, "method": twin.method.name,
        "eta": {n: [a, b] for n, a, b in zip(twin.population.etas, mean.tolist(), sd.tolist(), strict=True)},
        "moved": float(np.abs(moved).max(initial=0.0)), "data": twin.history.hash, "before": twin.hash, **said,
    }  # fmt: skip
    return dataclasses.replace(twin, trail=(*twin.trail, {**entry, "hash": digest(entry)}))


@functools.cache
def _version() -> str:
    return version("twinjax")


def broken(trail: tuple[dict[str, Any], ...]) -> int | None:
    """The first entry of a trail that was altered after it was written; None if there is none."""
    before = ""
    for i, entry in enumerate(trail):
        own = {n: v for n, v in entry.items() if n != "hash"}
        if entry["before"] != before or digest(own) != entry["hash"]:
            return i
        before = entry["hash"]
    return None


def random_key(seed: int, step: int, purpose: str) -> Any:
    """A key of a twin's random numbers: another for every step and purpose, the same whenever it is asked for."""
    key = jax.random.fold_in(jax.random.key(seed), step)
    return jax.random.fold_in(key, sum(ord(c) * 31**i for i, c in enumerate(purpose)) % 2**31)
