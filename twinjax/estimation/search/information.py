"""`fisher_information`: what a design will say about a population, before anyone is dosed."""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd

from twinjax.dosing import Regimen
from twinjax.estimation.evidence.uncertainty import reported
from twinjax.estimation.likelihood import Observations, moments, observations
from twinjax.estimation.prediction import Design, Local, Predictor, expand
from twinjax.estimation.transform import Transform
from twinjax.models.base import output_names
from twinjax.observation import Measurements
from twinjax.population.cohort import Cohort, covariate_table
from twinjax.population.cohort import subjects as people
from twinjax.population.population import Population
from twinjax.population.subject import Subject, TrialData
from twinjax.solve.compiling import compiled
from twinjax.solve.problem import RESULTS, AbstractBackend
from twinjax.solve.simulate import choose, pose


@dataclasses.dataclass(frozen=True)
class SamplingGroup:
    """People with one regimen, one set of covariates and one set of sampling times: an elementary design.

    **Parameters**: `subjects`, how many; `regimen`; `times`, of the model's first output, or by output
    (``{"plasma": [1, 4, 24], "effect": [24]}``); `covariates`, by name.
    """

    subjects: float
    regimen: Regimen
    times: Any
    covariates: Mapping[str, float] = dataclasses.field(default_factory=dict)

    @property
    def by_output(self) -> dict[str | int, np.ndarray]:
        """Sampling times by output, each sorted."""
        given = self.times if isinstance(self.times, Mapping) else {1: self.times}
        return {o: np.sort(np.asarray(t, float).reshape(-1)) for o, t in given.items()}

    def at(self, times: np.ndarray, dose: float = 1.0) -> SamplingGroup:
        """The same with other times (those of one output after those of another) and all doses times a factor."""
        each, at = {}, 0
        for output, own in self.by_output.items():
            each[output] = np.sort(times[at : at + len(own)])
            at += len(own)
        moved = each if isinstance(self.times, Mapping) else each[1]
        return dataclasses.replace(self, times=moved, regimen=_scaled(self.regimen, dose))


class AbstractForm(eqx.Module):
    """How the information about fixed effects and that about variances hang together."""

    @abc.abstractmethod
    def combine(self, mean: Any, covariance: Any, fixed: Any) -> Any:
        """One subject's information, of what the mean and the covariance say; `fixed` marks the fixed effects."""


class BlockDiagonal(AbstractForm):
    """Fixed effects are informed by the mean alone, variances by the covariance alone: simpler, and nearer to the
    standard errors of simulated trials (Nyberg et al. 2015).

    **Reference**: Mentré, Mallet & Baccar 1997, doi:10.1093/biomet/84.2.429; Retout & Mentré 2003,
    doi:10.1081/BIP-120019267.
    """

    def combine(self, mean: Any, covariance: Any, fixed: Any) -> Any:
        """Zero between the blocks."""
        both = fixed[:, None] & fixed[None, :]
        neither = ~fixed[:, None] & ~fixed[None, :]
        return jnp.where(both, mean, jnp.where(neither, covariance, 0.0))


class FullInformation(AbstractForm):
    """Everything that the linearised model implies: the covariance informs fixed effects too.

    **Reference**: Retout & Mentré 2003, doi:10.1081/BIP-120019267.
    """

    def combine(self, mean: Any, covariance: Any, fixed: Any) -> Any:
        """Both everywhere."""
        return mean + covariance


@dataclasses.dataclass(frozen=True)
class Information:
    """Expected information of a design, and what follows from it.

    **Parameters**: `names` of the estimated parameters and their values `theta`; `matrix` `(free, free)`, in these
    parameters (standard deviations, not variances); `groups`; `form`.
    """

    names: tuple[str, ...]
    theta: np.ndarray
    matrix: np.ndarray
    groups: tuple[SamplingGroup, ...]
    form: AbstractForm

    @property
    def log_determinant(self) -> float:
        """Of the matrix; -inf where the design cannot identify every parameter."""
        sign, value = np.linalg.slogdet(self.matrix)
        return float(value) if sign > 0 else -np.inf

    @property
    def criterion(self) -> float:
        """The D-criterion, det(matrix)^(1 / parameters)."""
        return float(np.exp(self.log_determinant / len(self.names)))

    @property
    def covariance(self) -> np.ndarray:
        """The least that an unbiased estimator can have, the inverse; NaN where there is none."""
        if not np.isfinite(self.log_determinant):
            return np.full_like(self.matrix, np.nan)
        return np.linalg.inv(self.matrix)

    @property
    def table(self) -> pd.DataFrame:
        """One row a parameter: value, expected se and rse (%)."""
        se = np.sqrt(np.diag(self.covariance))
        with np.errstate(divide="ignore"):
            rse = 100 * se / np.abs(self.theta)
        return pd.DataFrame({"value": self.theta, "se": se, "rse": rse}, index=pd.Index(self.names, name="parameter"))

    def __str__(self) -> str:
        samples = sum(len(t) for g in self.groups for t in g.by_output.values())
        return (
            f"Expected information ({type(self.form).__name__}), {len(self.groups)} groups of "
            f"{', '.join(f'{g.subjects:g}' for g in self.groups)} people with {samples} sampling times, "
            f"D-criterion {self.criterion:.4g}\n{self.table.to_string()}"
        )


def fisher_information(
    population: Population,
    groups: SamplingGroup | Sequence[SamplingGroup],
    *,
    form: AbstractForm | None = None,
    backend: AbstractBackend | None = None,
) -> Information:
    """The expected Fisher information of a design, by the model linearised at eta = 0 (FO).

    .. code-block:: text

        mu = f(theta, 0)    V = J Omega J' + R(mu)    J = df/deta at 0
        F_kl = mu_k' V^-1 mu_l + 1/2 tr(V^-1 V_k V^-1 V_l)     (_k: derivative in parameter k)

    Derivatives are exact. Measurements are on the scale of their residual error's transform.

    **Parameters**: `population`, at the values that are expected; what it estimates is what information is about;
    `form`, `BlockDiagonal()` (default) or `FullInformation()`.
    **Raises** `ValueError` for outputs and covariates that are not there; `RuntimeError` where a group cannot be solved
    or a measurement has neither a prediction nor an error.
    **Reference**: as of the forms; Nyberg et al. 2015, doi:10.1111/bcp.12352.
    """
    each = listed(groups)
    plan = Plan.of(population, each, form or BlockDiagonal(), backend)
    matrix, result = _information(plan, plan.x)
    return plan.information(np.asarray(matrix), np.asarray(result), each)


def listed(groups: SamplingGroup | Sequence[SamplingGroup]) -> tuple[SamplingGroup, ...]:
    """One group or several, as several."""
    return (groups,) if isinstance(groups, SamplingGroup) else tuple(groups)


class Plan(eqx.Module):
    """A design as arrays, ready to be evaluated at other times and doses.

    **Parameters**: `who`, one typical person a group; `weight` `(groups,)`, how many they are; `fixed` `(free,)`, which
    parameters are fixed effects.
    """

    predictor: Predictor
    who: Cohort
    observed: Observations
    covariates: dict[str, Any]
    weight: Any
    x: Any
    fixed: Any
    form: AbstractForm

    @staticmethod
    def of(
        population: Population, each: Sequence[SamplingGroup], form: AbstractForm, backend: AbstractBackend | None
    ) -> Plan:
        """Of groups as people write them."""
        trial = TrialData(tuple(_typical(str(i + 1), g) for i, g in enumerate(each)), "design")
        observed, who = observations(population, trial), people(population, trial)
        transform = Transform.of(population)
        if not transform.reported:
            raise ValueError("nothing is estimated: every parameter is fixed")
        table = covariate_table(population, trial)
        problem = pose(who)
        predictor = Predictor.of(population, transform, choose(problem, backend), Design(problem, observed, table))
        _normal(population)
        fixed = np.zeros(len(transform.reported), bool)
        fixed[: len(transform.names)] = [n not in population.residual_names for n in transform.names]
        return Plan(
            predictor, who, observed, table, jnp.asarray([float(g.subjects) for g in each]),
            transform.pack(population.theta), jnp.asarray(fixed), form,
        )  # fmt: skip

    def design(self, time: Any, dose: Any) -> Design:
        """At sampling times `(groups, samples)`, all doses of a group times `dose` `(groups,)`."""
        assert self.who.regimens is not None
        regimens = tuple(_scaled(r, dose[i]) for i, r in enumerate(self.who.regimens))
        who = dataclasses.replace(self.who, regimens=regimens, timing={**self.who.timing, "time": time})
        return Design(pose(who), self.observed, self.covariates)

    def total(self, x: Any, local: Local) -> Any:
        """The information `(free, free)` of all groups in unconstrained parameters, from predictions about eta = 0."""
        p, outputs = self.predictor.population, output_names(self.predictor.population.model)
        nothing = jnp.zeros(len(p.etas))

        def group(local: Local, o: Observations, own: Any) -> Any:
            def both(x: Any) -> tuple[Any, Any]:
                theta = self.predictor.transform.unpack(x, p.theta)

                def predict(eta: Any) -> Any:
                    return expand(local, self.predictor.coordinates(x, eta, own))

                m = moments(p.errors(theta), outputs, o, predict(nothing))
                slope = jax.jacfwd(predict)(nothing) * m.slope[:, None]
                c = (slope @ p.omega(theta) @ slope.T) * o.there[:, None] * o.there[None, :]
                return jnp.where(o.there, m.mean, 0.0), c + jnp.diag(jnp.where(o.there, m.variance, 1.0))

            _, c = both(x)
            by_mean, by_covariance = jax.jacfwd(both)(x)
            inverse = jnp.linalg.inv(c)
            spread = jnp.einsum("ij,jkp->ikp", inverse, by_covariance)
            mean = by_mean.T @ inverse @ by_mean
            return self.form.combine(mean, 0.5 * jnp.einsum("ijp,jiq->pq", spread, spread), self.fixed)

        each = jax.vmap(group)(local, self.observed, self.covariates)
        return jnp.einsum("g,gpq->pq", self.weight, each)

    def local(self, time: Any, dose: Any) -> Local:
        """Predictions about eta = 0."""
        design = self.design(time, dose)
        zero = jnp.zeros((self.weight.shape[0], len(self.predictor.population.etas)))
        return self.predictor.local(self.predictor.every(self.x, zero, design), self.x, design, order=2, eta=1)

    def information(self, matrix: np.ndarray, result: np.ndarray, groups: tuple[SamplingGroup, ...]) -> Information:
        """In reported parameters. **Raises** `RuntimeError` where it could not be evaluated."""
        if result.any():
            k = int(np.flatnonzero(result)[0])
            raise RuntimeError(f"group {k + 1} cannot be solved: {RESULTS[int(result[k])]}")
        if not np.all(np.isfinite(matrix)):
            raise RuntimeError(
                "the information is not finite: a sample may be where the prediction and so its residual error is "
                "zero (before absorption); sample later, or give the error an additive part"
            )
        transform, theta = self.predictor.transform, self.predictor.population.theta
        value, slope = (np.asarray(a) for a in reported(transform, theta, self.x))
        back = np.linalg.inv(slope)
        return Information(transform.reported, value, back.T @ matrix @ back, groups, self.form)


def _normal(population: Population) -> None:
    """**Raises** `ValueError` for what is not normal, with independent residuals, about a linearised prediction."""
    errors = population.errors(population.theta)
    what = {
        f"the likelihood of {', '.join(errors.likelihoods)}": errors.likelihoods,
        f"the heavy tails of {', '.join(errors.tailed)}": errors.tailed,
        "method M4": errors.above_zero,
        "correlated residuals": errors.correlated,
        "residual errors that vary between people": population.varying_errors,
        "a mixture of subpopulations": population.mixture,
    }
    if said := [n for n, there in what.items() if there]:
        raise ValueError(f"the expected information is not known for {', '.join(said)}; leave that out of the design")


def _typical(id: str, group: SamplingGroup) -> Subject:
    time = np.concatenate([t for t in group.by_output.values()])
    output = tuple(o for o, t in group.by_output.items() for _ in t)
    return Subject(id, group.regimen, Measurements(time, np.full(len(time), np.nan), output), dict(group.covariates))


def _scaled(regimen: Regimen, factor: Any) -> Regimen:
    return eqx.tree_at(lambda r: (r.amount, r.rate), regimen, (regimen.amount * factor, regimen.rate * factor))


@compiled
def _information(plan: Plan, x: Any) -> tuple[Any, Any]:
    local = plan.local(plan.who.timing["time"], jnp.ones(plan.weight.shape))
    return plan.total(x, local), local.result
