"""What a long simulation is asked to do: who, how dosed, when sampled, what is kept, and how it is cut into shards."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np

from twinjax.cohorts.summaries import AbstractSummary, checked
from twinjax.dosing import Regimen
from twinjax.models.base import output_names
from twinjax.naming import resolve
from twinjax.population.cohort import Drawing
from twinjax.population.distributions import AbstractDistribution
from twinjax.population.population import Population
from twinjax.population.subject import TrialData
from twinjax.solve.problem import AbstractBackend

_ROWS = 1 << 18
"""About how many rows of trajectories one group of a file has."""
_FEW = 1 << 20
"""Up to this many values quantiles are exact."""
_SERIES = 2048
"""Most outputs times sampling times whose quantiles are kept; with more, every second time, or every third, ..."""
_MOST = 1 << 32
"""Patients a seed can tell apart."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plan:
    """A cohort to simulate and what to keep of it.

    **Parameters**
        `population`, `patients`, `seed`, `covariates` as `cohort` takes them; `regimen`, for everybody; `times`
        `(samples,)`, increasing. `backend`, None for the automatic choice. `outputs`, those kept (default: all).
        `trajectories`, whether every patient's outputs are written; `bands`, whether mean, spread and quantiles over
        time are; `levels`, which quantiles are shown. `summaries` of each patient, at the sampling times, or with
        `continuous` in between too, where the backend can (with neither `trajectories` nor `bands` nothing else is
        then computed); `responders`, thresholds by summary, such as ``{"plasma.cmax": (10, 20)}``. `shard`, patients
        in a file (default: by the number of patients); `chunk`, about how many are in memory at once, which changes
        nothing else.

    A patient depends on `seed` and its own index alone. A run's files depend on the plan, the backend, the kind of
    device and the versions of what computes, not on workers, their number or order.
    **Raises** `ValueError` for what cannot be: an unknown output, times that do not increase, no patients.
    """

    population: Population
    patients: int
    seed: int
    regimen: Regimen
    times: np.ndarray
    covariates: Mapping[str, float | AbstractDistribution] | TrialData | None = None
    backend: AbstractBackend | None = None
    outputs: tuple[str, ...] = ()
    trajectories: bool = True
    bands: bool = True
    levels: tuple[float, ...] = (0.05, 0.5, 0.95)
    summaries: tuple[AbstractSummary, ...] = ()
    continuous: bool = False
    responders: Mapping[str, Sequence[float]] = dataclasses.field(default_factory=dict)
    shard: int | None = None
    chunk: int | None = None

    def __post_init__(self) -> None:
        known = output_names(self.population.model)
        asked = (self.outputs,) if isinstance(self.outputs, str) else tuple(self.outputs)
        outputs = tuple(dict.fromkeys(resolve(n, known, "output") for n in asked)) or known
        times = np.asarray(self.times, float)
        if times.ndim != 1 or not len(times) or not np.all(np.isfinite(times)) or np.any(np.diff(times) <= 0):
            raise ValueError("times are those at which everybody is sampled: finite, increasing, at least one")
        if not 1 <= self.patients < _MOST:
            raise ValueError(f"a cohort has at least one patient and at most {_MOST - 1}, not {self.patients}")
        for name, value in (("shard", self.shard), ("chunk", self.chunk)):
            if value is not None and value < 1:
                raise ValueError(f"a {name} holds at least one patient, not {value}")
        if not all(0 <= q <= 1 for q in self.levels):
            raise ValueError(f"quantiles lie between 0 and 1, not {self.levels}")
        summaries = checked(self.summaries, known, times, continuous=self.continuous)
        measured = tuple(s.name for s in summaries)
        responders = {
            resolve(n, measured, "summary"): tuple(map(float, np.atleast_1d(t))) for n, t in self.responders.items()
        }
        for name, value in {
            "outputs": outputs, "times": times, "summaries": summaries, "responders": responders,
            "levels": tuple(map(float, self.levels)),
        }.items():  # fmt: skip
            object.__setattr__(self, name, value)

    # ---------------------------------------------------------------------------------------------------- what follows

    def drawing(self) -> Drawing:
        """How its patients are drawn."""
        return Drawing.of(self.population, seed=self.seed, covariates=self.covariates)

    def settled(self, backend: AbstractBackend) -> Plan:
        """The plan with the size of its shards, which follows from the cohort's and the backend's batch alone: small
        cohorts too have several.
        """
        most = max(16 * 1024, backend.batch)
        shard = self.shard or min(max(-(-self.patients // (8 * 1024)) * 1024, 1024), most)
        return dataclasses.replace(self, shard=shard, chunk=self.chunk or max(1024, backend.batch))

    @property
    def shards(self) -> int:
        """How many files."""
        assert self.shard is not None, "a settled plan has a shard size"
        return -(-self.patients // self.shard)

    def bounds(self, shard: int) -> tuple[int, int]:
        """First patient of a shard, and how many it has."""
        assert self.shard is not None, "a settled plan has a shard size"
        first = shard * self.shard
        return first, min(self.shard, self.patients - first)

    @property
    def block(self) -> int:
        """The most patients to solve in one call, a power of two that shards are multiples of, so that none is solved
        for two of them; little more than there are. A quarter of a thousand is never too many.
        """
        assert self.shard is not None, "a settled plan has a shard size"
        return max(256, min(self.shard & -self.shard, 1 << (self.patients - 1).bit_length()))

    @property
    def group(self) -> int:
        """Patients written, counted and summed together: a row group of a file, whatever the chunk."""
        return max(1, 1 << (max(_ROWS // len(self.times), 1).bit_length() - 1))

    @property
    def exact(self) -> bool:
        """Whether values are few enough to keep quantiles exact."""
        return self.patients * len(self.times) * len(self.outputs) <= _FEW

    @property
    def watched(self) -> np.ndarray:
        """Indices of the times that have bands."""
        thin = 1 if self.exact else -(-len(self.times) * len(self.outputs) // _SERIES)
        return np.arange(0, len(self.times), thin)

    # ---------------------------------------------------------------------------------------------------- in words

    def told(self) -> dict[str, Any]:
        """What is asked, in plain numbers: what a run must have in common with the one it goes on with."""
        p = self.population
        covariates: Any = self.covariates
        if isinstance(covariates, TrialData):
            covariates = f"resampled from {len(covariates)} subjects of {covariates.name}"
        elif covariates is not None:
            covariates = {n: str(v) for n, v in covariates.items()}
        return {
            "patients": self.patients, "seed": self.seed, "shard": self.shard,
            "model": type(p.model).__name__, "theta": {n: float(v) for n, v in p.theta.items()},
            "covariates": covariates, "regimen": _records(self.regimen), "times": self.times.tolist(),
            "outputs": list(self.outputs), "trajectories": self.trajectories, "bands": self.bands, "exact": self.exact,
            "levels": list(self.levels), "summaries": [s.name for s in self.summaries], "continuous": self.continuous,
            "responders": {n: list(t) for n, t in self.responders.items()},
        }  # fmt: skip


def _records(regimen: Regimen) -> list[dict[str, Any]]:
    columns = {n: np.asarray(getattr(regimen, n)).tolist() for n in ("time", "amount", "rate", "interval")}
    return [
        {**{n: c[i] for n, c in columns.items()}, **dataclasses.asdict(kind)} for i, kind in enumerate(regimen.kinds)
    ]


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What two accounts (`Plan.told`) do not have in common, in words."""
    found = []
    for key in dict.fromkeys([*before, *now]):
        a, b = before.get(key), now.get(key)
        if a == b:
            continue
        if isinstance(a, Mapping) and isinstance(b, Mapping):
            found += [f"{key} {line}" for line in differences(a, b)]
        elif all(isinstance(x, str | int | float | None) and len(str(x)) < 60 for x in (a, b)):
            found.append(f"{key} was {a}, now {b}")
        else:
            found.append(f"{key}: not the same")
    return found


def digest(*parts: Any) -> str:
    """A hash of numbers in pytrees and of text."""
    total = hashlib.sha256()
    for part in parts:
        if isinstance(part, str):
            total.update(part.encode())
            continue
        for leaf in jax.tree.leaves(part):
            key = jax.dtypes.issubdtype(getattr(leaf, "dtype", np.dtype(float)), jax.dtypes.prng_key)
            array = np.asarray(jax.random.key_data(leaf) if key else leaf)
            total.update(f"{array.dtype} {array.shape}".encode())
            total.update(array.tobytes())
    return total.hexdigest()
