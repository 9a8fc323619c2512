"""People to simulate: virtual patients drawn from a population, and the subjects of a trial."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, overload

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from twinjax.dosing import Regimen
from twinjax.models.base import AbstractModel
from twinjax.naming import suggestion
from twinjax.population.distributions import AbstractDistribution
from twinjax.population.population import Population
from twinjax.population.subject import Subject, TrialData


@dataclasses.dataclass(frozen=True)
class Numbered(Sequence[str]):
    """Ids ``"0"``, ``"1"``, ... of drawn patients, written when asked for: those of a million cost nothing.

    **Parameters**: `first`, the first number; `count`, how many.
    """

    first: int
    count: int

    def __len__(self) -> int:
        return self.count

    @overload
    def __getitem__(self, index: int) -> str: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[str, ...]: ...

    def __getitem__(self, index: int | slice) -> str | tuple[str, ...]:
        numbers = range(self.first, self.first + self.count)
        return tuple(map(str, numbers[index])) if isinstance(index, slice) else str(numbers[index])


class Cohort(eqx.Module):
    """Patients as one model whose varying leaves have a patient axis.

    **Parameters**: `model`, leaves `(patients,)` or `(patients, segments)`; `eta` `(patients, etas)`; `covariates`,
    by name `(patients,)` or `(patients, segments)`; `ids`; `regimens`, one each, and `timing` (sample times, their
    order, parameter switches) where the patients are a trial's subjects.
    """

    model: AbstractModel
    eta: Any
    covariates: dict[str, Any]
    ids: Sequence[str] = eqx.field(static=True)
    regimens: tuple[Regimen, ...] | None = None
    timing: dict[str, Any] = eqx.field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.ids)

    def schedule(self) -> dict[str, Any]:
        """Sample times, orders and switches of their own."""
        return dict(self.timing)


def cohort(
    population: Population,
    patients: int,
    *,
    seed: int,
    covariates: Mapping[str, float | AbstractDistribution] | TrialData | None = None,
    first: int = 0,
) -> Cohort:
    """Virtual patients. A patient depends on `seed` and its index alone, never on how many others are drawn with it.

    **Parameters**: `patients`, how many; `covariates`, for each name a constant or a distribution, or a trial whose
    subjects' covariates are resampled whole (which keeps their correlations; what changes in time is as it was at
    first); a patient is in the first occasion unless the occasion's covariate is given, and of a class of a mixture
    drawn by its probability unless it is; `first`, index of the first patient, for drawing in parts.
    **Raises** `ValueError` for a covariate that the population needs and is not given.
    """
    if patients < 1:
        raise ValueError(f"a cohort has at least one patient, not {patients}")
    drawing = Drawing.of(population, seed=seed, covariates=covariates)
    model, eta, own = _draw(drawing, jnp.arange(first, first + patients))
    return Cohort(model, eta, own, Numbered(first, patients))


class Drawing(eqx.Module):
    """How patients are drawn: what `cohort` does, for any indices and inside jit.

    **Parameters**: `population`; `given`, by covariate a constant or a distribution; `donors`, by covariate the
    values `(subjects,)` of a trial's subjects, which are resampled whole; `root`, the seed's key.
    """

    population: Population
    given: dict[str, Any]
    donors: dict[str, Any]
    root: Any

    @staticmethod
    def of(
        population: Population,
        *,
        seed: int,
        covariates: Mapping[str, float | AbstractDistribution] | TrialData | None = None,
    ) -> Drawing:
        """As `cohort` takes them.

        **Raises** `ValueError` for a covariate that the population needs and is not given.
        """
        given = covariates if covariates is not None else {}
        occasions = population.occasions
        if occasions is not None and not isinstance(given, TrialData):
            given = {occasions.covariate: occasions.levels[0], **given}
        known = given.covariate_names if isinstance(given, TrialData) else tuple(given)
        for needed in population.covariate_names:
            if needed not in known and not (population.mixture and needed == population.mixture.covariate):
                raise ValueError(f"the population needs the covariate {needed!r}{suggestion(needed, known)}")
        donors, drawn = {}, {}
        if isinstance(given, TrialData):
            donors = {n: jnp.asarray([np.ravel(s.covariates[n])[0] for s in given]) for n in known}
        else:
            drawn = {n: v if isinstance(v, AbstractDistribution) else jnp.asarray(v, float) for n, v in given.items()}
        return Drawing(population, drawn, donors, jax.random.key(seed))

    def __call__(self, indices: Any) -> tuple[Any, Any, Any]:
        """Models, etas and covariates of the patients with these indices, `(patients,)`."""
        population, donors = self.population, self.donors
        omega = population.omega(population.theta)
        chol = jnp.linalg.cholesky(omega) if population.etas else jnp.zeros((0, 0))

        def one(index: Any) -> tuple[Any, Any, Any]:
            key, other = jax.random.split(jax.random.fold_in(self.root, index))
            eta = chol @ jax.random.normal(key, (len(population.etas),))
            own = {
                n: v.sample(jax.random.fold_in(other, i)) if isinstance(v, AbstractDistribution) else v
                for i, (n, v) in enumerate(self.given.items())
            }
            if donors:
                donor = jax.random.randint(other, (), 0, next(iter(donors.values())).shape[0])
                own = {n: v[donor] for n, v in donors.items()}
            mixture = population.mixture
            if mixture is not None and mixture.covariate not in self.given:
                p = mixture.at(population.theta)
                own[mixture.covariate] = 1.0 + jax.random.categorical(jax.random.fold_in(key, 1), jnp.log(p))
            return population.individual(population.theta, eta, own), eta, own

        return jax.vmap(one)(indices)


@eqx.filter_jit
def _draw(drawing: Drawing, indices: Any) -> tuple[Any, Any, Any]:
    return drawing(indices)


def subjects(population: Population, trial: TrialData, eta: Any = None) -> Cohort:
    """A trial's subjects, to be simulated at their own doses and sampling times.

    **Parameters**: `eta` `(subjects, etas)`, default zero: the typical person with each subject's covariates.
    **Raises** `ValueError` for a subject without a covariate that the population needs.
    """
    values, timing = covariate_table(population, trial), sampling(trial)
    eta = jnp.zeros((len(trial), len(population.etas))) if eta is None else jnp.asarray(eta)
    model = individuals(population, population.theta, eta, values)
    return Cohort(model, eta, values, trial.ids, tuple(s.regimen for s in trial), timing)


def individuals(population: Population, theta: Any, eta: Any, covariates: Mapping[str, Any]) -> AbstractModel:
    """Models with leaves `(patients, segments)`, from `eta` `(patients, etas)` and covariates like it."""

    def one(eta: Any, own: Any) -> AbstractModel:
        if not own:
            return jax.tree.map(lambda x: jnp.asarray(x)[None], population.individual(theta, eta, own))
        return jax.vmap(lambda c: population.individual(theta, eta, c))(own)

    return jax.vmap(one)(eta, dict(covariates))


def assigned(population: Population, trial: TrialData, classes: np.ndarray) -> TrialData:
    """The trial with every subject's most probable class of a mixture as a covariate, from their probabilities
    `(subjects, classes)`.
    """
    assert population.mixture is not None
    name, made = population.mixture.covariate, []
    for s, probable in zip(trial, classes, strict=True):
        own = {**s.covariates, name: float(np.argmax(probable) + 1)}
        made.append(Subject(s.id, s.regimen, s.measurements, own, s.switch_time, s.switch_order))
    return TrialData(tuple(made), trial.name)


def covariate_table(population: Population, trial: TrialData) -> dict[str, Any]:
    """The covariates that the population reads, `(subjects, segments)` each, the last segment repeated to equal
    length. A subject whose class of a mixture is not known is of the first.

    **Raises** `ValueError` for a subject that lacks one, or that has an occasion which the population does not know.
    """
    segments = max((s.segments for s in trial), default=1)
    table = {}
    for name in population.covariate_names:
        rows = []
        for s in trial:
            if name not in s.covariates and population.mixture is not None and name == population.mixture.covariate:
                rows.append(np.ones(segments))
                continue
            if name not in s.covariates:
                raise ValueError(f"subject {s.id} has no covariate {name!r}{suggestion(name, s.covariates)}")
            own = np.broadcast_to(np.asarray(s.covariates[name], float), (s.segments,))
            if population.occasions is not None and name == population.occasions.covariate:
                population.occasions.check(f"subject {s.id}", own)
            rows.append(np.pad(own, (0, segments - s.segments), mode="edge"))
        table[name] = jnp.asarray(np.stack(rows))
    return table


def sampling(trial: TrialData) -> dict[str, Any]:
    """Sample times and orders `(subjects, samples)` and switches `(subjects, segments - 1)`, padded to equal length."""
    samples = max((len(s.measurements) for s in trial), default=0)
    segments = max((s.segments for s in trial), default=1)

    def pad(values: Sequence[float], length: int, fill: float) -> np.ndarray:
        return np.concatenate([np.asarray(values, float), np.full(length - len(values), fill)])

    def last(s: Any) -> float:
        return (
            float(np.max(s.measurements.time))
            if len(s.measurements)
            else float(s.regimen.time[0])
            if len(s.regimen)
            else 0.0
        )

    timing: dict[str, Any] = {
        "time": np.stack([pad(s.measurements.time, samples, last(s)) for s in trial]),
        "order": np.stack([pad(s.measurements.order, samples, np.inf) for s in trial]),
    }
    if segments > 1:
        timing["switch_time"] = np.stack([pad(s.switch_time, segments - 1, np.inf) for s in trial])
        timing["switch_order"] = np.stack([pad(s.switch_order, segments - 1, np.inf) for s in trial])
    return timing
