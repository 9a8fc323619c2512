"""A `Fit`: a calibrated population with its evidence."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd

from twinjax.estimation.doubts import at_bounds, ill_conditioned, local_optima
from twinjax.estimation.evidence.protocol import AbstractEvidence
from twinjax.estimation.evidence.recorded import Recorded
from twinjax.estimation.evidence.uncertainty import Uncertainty
from twinjax.estimation.methods.base import AbstractMethod
from twinjax.estimation.transform import Transform
from twinjax.models.base import AbstractModel, output_names, parameter_units, zeros
from twinjax.naming import resolve
from twinjax.population.cohort import Cohort, assigned, subjects
from twinjax.population.distributions import AbstractDistribution
from twinjax.population.population import Population
from twinjax.population.subject import TrialData
from twinjax.solve.problem import RESULTS, AbstractBackend
from twinjax.units import declared


@dataclasses.dataclass(frozen=True)
class Iteration:
    """One step of a search: which start, which step, the objective and the largest |gradient| (NaN where the method
    has none), seconds since the beginning, the unconstrained vector, which method of a chain, and how many steps that
    will take (0 where it cannot say).
    """

    start: int
    step: int
    objective: float
    gradient: float
    seconds: float
    x: tuple[float, ...] = ()
    stage: int = 0
    of: int = 0


@dataclasses.dataclass(frozen=True)
class Fit:
    """Estimates and why to believe them. `print(fit)` shows both.

    **Parameters**: `population`, at the estimates; `objective`, -2 log L without N log(2 pi) (NONMEM's OFV), priors
    included; `by_subject` `(subjects,)`; `gradient` `(free,)` in unconstrained parameters; `eta` `(subjects, etas)`,
    the empirical Bayes estimates; `ends`, the objectives that the starts ended at; `seconds` for compiling, searching
    and covariance; `evidence`, what is the method's own (a posterior, a Monte Carlo error), None for most; where it is
    an `AbstractEvidence` and the method has no gradient (NaN), convergence is judged by it; `classes` `(subjects,
    classes)`, how probable each class of a mixture is for each subject, None without a mixture. With one, the trial's
    subjects have the most probable as their covariate, and eta is given that.
    """

    population: Population
    trial: TrialData
    method: AbstractMethod
    backend: AbstractBackend
    objective: float
    by_subject: np.ndarray
    gradient: np.ndarray
    eta: np.ndarray
    settled: np.ndarray
    result: np.ndarray
    uncertainty: Uncertainty
    history: tuple[Iteration, ...]
    ends: tuple[float, ...]
    seconds: Mapping[str, float]
    seed: int
    priors: Mapping[str, AbstractDistribution]
    evidence: Any = None
    classes: np.ndarray | None = None

    # --------------------------------------------------------------------------------------------------- estimates

    @property
    def theta(self) -> dict[str, float]:
        """Every named value of the population at the estimates."""
        return {n: float(v) for n, v in self.population.theta.items()}

    @property
    def estimated(self) -> tuple[str, ...]:
        """Names of the estimated parameters, in the order of the covariance matrix."""
        return Transform.of(self.population).reported

    @property
    def table(self) -> pd.DataFrame:
        """One row an estimated parameter: estimate, unit, se, rse (%), 95 % interval, shrinkage (%) of its random
        effect.
        """
        se = np.sqrt(np.diag(self.uncertainty.covariance))
        units, outputs = parameter_units(self.population.model), declared(zeros(type(self.population.model).Output))
        units |= {f"{n}.additive": str(u) for n, (u, _) in outputs.items() if u}
        shrinkage = {f"omega.{n}": s for n, s in self.shrinkage.items()}
        known = self.evidence.intervals if isinstance(self.evidence, AbstractEvidence) else {}
        rows = []
        for name, error in zip(self.estimated, se, strict=True):
            value = self.theta[name]
            lower, upper = value - 1.96 * error, value + 1.96 * error
            if value > 0 and not name.startswith("corr."):  # the interval of a positive parameter, from its logarithm
                reach = math.exp(min(1.96 * error / value, 700.0))
                lower, upper = value / reach, value * reach
            lower, upper = known.get(name, (lower, upper))
            rows.append({
                "parameter": name, "estimate": value, "unit": units.get(name, ""), "se": error,
                "rse": 100 * error / abs(value) if value else float("nan"), "lower": lower, "upper": upper,
                "shrinkage": shrinkage.get(name, float("nan")),
            })  # fmt: skip
        return pd.DataFrame(rows).set_index("parameter")

    @property
    def correlation(self) -> pd.DataFrame:
        """Correlations of the estimates, by R^-1; NaN where it is not positive definite."""
        covariance, names = self.uncertainty.covariance, list(self.estimated)
        sd = np.sqrt(np.diag(covariance))
        return pd.DataFrame(covariance / sd[:, None] / sd[None, :], index=names, columns=names)

    @property
    def standard_errors(self) -> pd.DataFrame:
        """One row an estimated parameter: standard errors by R^-1 (those of `table`), by S^-1, and by the sandwich
        R^-1 S R^-1.
        """
        of = {"r": self.uncertainty.covariance, "s": self.uncertainty.from_gradients,
              "sandwich": self.uncertainty.sandwich}  # fmt: skip
        columns = {n: np.sqrt(np.diag(c)) for n, c in of.items()}
        return pd.DataFrame(columns, index=pd.Index(self.estimated, name="parameter"))

    @property
    def shrinkage(self) -> dict[str, float]:
        """Eta shrinkage in %, 100 (1 - sd(eta-hat) / omega), by random effect; between occasions (``cl.occasion``) over
        those that there were. **Reference**: Savic & Karlsson 2009, doi:10.1208/s12248-009-9133-0.
        """
        if len(self.trial) < 2 or not self.method.steps[-1].conditional:
            return {}
        p, drawn = self.population, np.ones(self.eta.shape, bool)
        if p.occasions is not None:  # an occasion that a subject does not have says nothing
            seen = [np.isin(p.occasions.levels, s.covariates[p.occasions.covariate]) for s in self.trial]
            within = np.repeat(np.stack(seen), len(p.occasions.variability), axis=1)
            drawn[:, -len(p.occasions.levels) * len(p.occasions.variability) :] = within
        found = {}
        for name in dict.fromkeys(p.deviations):
            of = np.asarray([d == name for d in p.deviations])
            eta = self.eta[:, of][drawn[:, of]]
            if len(eta) > 1:
                found[name.removeprefix("omega.")] = 100 * (1 - eta.std(ddof=1) / self.theta[name])
        return found

    @property
    def aic(self) -> float:
        """Objective + 2 parameters."""
        return self.objective + 2 * len(self.estimated)

    @property
    def bic(self) -> float:
        """Objective + parameters log(observations)."""
        return self.objective + len(self.estimated) * math.log(self.trial.observations)

    @property
    def minus_two_log_likelihood(self) -> float:
        """With the constant N log(2 pi), as Monolix counts it: N measurements that are a prediction plus an error."""
        outputs, normal = output_names(self.population.model), self.population.errors(self.population.theta).residuals
        named = [o if isinstance(o, str) else outputs[o - 1] for s in self.trial for o in s.measurements.output]
        return self.objective + sum(resolve(o, outputs) in normal for o in named) * math.log(2 * math.pi)

    # ----------------------------------------------------------------------------------------------------- verdict

    @property
    def converged(self) -> bool:
        """No doubt raised about the search itself."""
        return not any(d.startswith("Not converged") for d in self.doubts)

    @property
    def doubts(self) -> tuple[str, ...]:
        """What stands against the estimates, in words; empty if nothing."""
        found = list(self.evidence.doubts) if isinstance(self.evidence, AbstractEvidence) else []
        steepest = int(np.argmax(np.abs(self.gradient)))
        if not self._judged and not (abs(self.gradient[steepest]) <= 0.05 or self.left_to_fall <= 1e-3):
            found.append(
                f"Not converged: the gradient in {self.estimated[steepest]} is still {self.gradient[steepest]:.2g}."
            )
        if (bad := np.flatnonzero(self.result)).size:
            who = ", ".join(f"{self.trial.ids[i]} ({RESULTS[int(self.result[i])]})" for i in bad[:5])
            found.append(f"Not converged: subjects could not be solved: {who}.")
        if not self.settled.all():
            who = ", ".join(self.trial.ids[i] for i in np.flatnonzero(~self.settled)[:5])
            found.append(f"Not converged: the random effects of subject {who} did not settle.")
        found += [
            f"The variability of {n.removeprefix('omega.')} went to zero (omega {self.theta[n]:.1e}): leave it out."
            for n in dict.fromkeys(self.population.deviations)
            if n in self.estimated and self.theta[n] < 1e-3
        ]
        found += at_bounds(self.population, self.theta, self.estimated)
        found += ill_conditioned(self.uncertainty, self.population, self.theta, self.estimated)
        found += local_optima(self.ends)
        high = [f"{n} ({s:.0f} %)" for n, s in self.shrinkage.items() if s > 30]
        if high:
            found.append(f"High shrinkage of {', '.join(high)}: plots of these etas against covariates can mislead.")
        return tuple(found)

    @property
    def _remarks(self) -> tuple[str, ...]:
        said = self.evidence.remarks if isinstance(self.evidence, AbstractEvidence) else ""
        return (said,) if said else ()

    @property
    def left_to_fall(self) -> float:
        """How far the objective would fall to its minimum, were it quadratic with R: g' R^-1 g / 4. Unlike the
        gradient it does not depend on parameters' scales. NaN where R is not positive definite.
        """
        if not self.uncertainty.known:
            return math.nan
        return 0.25 * float(self.gradient @ np.linalg.solve(self.uncertainty.r, self.gradient))

    @property
    def _judged(self) -> bool:
        """Whether the evidence says if the method converged, as there is no gradient."""
        return isinstance(self.evidence, AbstractEvidence) and bool(np.all(np.isnan(self.gradient)))

    @property
    def verdict(self) -> str:
        """Whether the search converged, and every doubt, in plain words."""
        largest = float(np.max(np.abs(self.gradient)))
        head = self.evidence.statement if self._judged else f"Converged: largest gradient {largest:.1e}."
        head = head if self.converged else ""
        return " ".join(x for x in (head, *self.doubts) if x)

    def __str__(self) -> str:
        n = self.trial.summary()
        shown = self.table.map(
            lambda v: "" if isinstance(v, float) and math.isnan(v) else f"{v:.4g}" if isinstance(v, float) else v
        )
        shown.columns = ["estimate", "unit", "se", "rse %", "2.5 %", "97.5 %", "shrinkage %"]
        times = ", ".join(f"{k} {v:.1f} s" for k, v in self.seconds.items())
        return "\n".join([
            f"{type(self.population.model).__name__} fitted to {self.trial.name} ({n['subjects']} subjects, "
            f"{n['observations']} observations" + (f", {n['censored']} censored" if n["censored"] else "")
            + f") by {self.method.name}, {type(self.backend).__name__} backend",
            "no objective: the method computes none" if math.isnan(self.objective) else
            f"objective {self.objective:.3f}   AIC {self.aic:.3f}   BIC {self.bic:.3f}   "
            f"-2LL with constant {self.minus_two_log_likelihood:.3f}",
            "", shown.to_string(), *self._remarks, "", self.verdict, times,
        ])  # fmt: skip

    @property
    def trace(self) -> pd.DataFrame:
        """How the search went, a row for each iteration: start, stage (of a chain), step, objective, gradient, seconds,
        and every estimated parameter.
        """
        transform, theta = Transform.of(self.population), self.population.theta
        kept = [h for h in self.history if len(h.x) == len(transform.reported)]
        columns = ("start", "stage", "step", "objective", "gradient", "seconds")
        found = pd.DataFrame([[getattr(h, n) for n in columns] for h in kept], columns=list(columns))
        x = jnp.asarray([h.x for h in kept]).reshape(len(kept), len(transform.reported))
        values = np.asarray(jax.vmap(lambda x: transform.report(x, theta))(x))
        return found.assign(**{n: values[:, i] for i, n in enumerate(transform.reported)})

    # --------------------------------------------------------------------------------------------------------- use

    def individual(self, id: str) -> AbstractModel:
        """One subject's model at that subject's eta-hat (and first covariates)."""
        i = self.trial.ids.index(str(id))
        own = {n: jnp.ravel(jnp.asarray(self.trial[id].covariates[n]))[0] for n in self.population.covariate_names}
        return self.population.individual(self.population.theta, jnp.asarray(self.eta[i]), own)

    def subjects(self, *, typical: bool = False) -> Cohort:
        """The trial's subjects at their eta-hats, or at eta = 0, ready for `simulate`."""
        return subjects(self.population, self.trial, None if typical else self.eta)

    # ----------------------------------------------------------------------------------------------------- storage

    def to_dict(self) -> dict[str, Any]:
        """Everything but the population's structure and the data, in plain numbers."""
        return {
            "method": self.method.name, "backend": type(self.backend).__name__, "objective": self.objective,
            "aic": self.aic, "bic": self.bic, "theta": self.theta, "estimated": list(self.estimated),
            "table": json.loads(self.table.reset_index().to_json(orient="records", double_precision=15) or "[]"),
            "ids": list(self.trial.ids), "etas": list(self.population.etas), "eta": self.eta.tolist(),
            "by_subject": self.by_subject.tolist(), "gradient": self.gradient.tolist(),
            "settled": self.settled.tolist(), "classes": None if self.classes is None else self.classes.tolist(),
            "result": self.result.tolist(), "r": self.uncertainty.r.tolist(), "s": self.uncertainty.s.tolist(),
            "report": self.uncertainty.report.tolist(), "eigenvalues": self.uncertainty.eigenvalues.tolist(),
            "history": [dataclasses.asdict(h) for h in self.history], "ends": list(self.ends),
            "seconds": dict(self.seconds), "seed": self.seed, "verdict": self.verdict,
            "evidence": Recorded.of(self.evidence),
        }  # fmt: skip

    def save(self, file: str | Path) -> Path:
        """Write as JSON. `Fit.load` needs the population and the trial again, which a study file describes."""
        file = Path(file)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(self.to_dict(), indent=1))
        return file

    @staticmethod
    def load(
        file: str | Path, population: Population, trial: TrialData, *, method: AbstractMethod, backend: AbstractBackend
    ) -> Fit:
        """A saved fit, with the population and trial that it was made from. Priors are not in the file, and of the
        method's own evidence only what it said (`Recorded`).

        **Raises** `ValueError` where they do not have the parameters or subjects of the file.
        """
        saved = _numbers(json.loads(Path(file).read_text()))
        if set(saved["theta"]) != set(population.theta):
            raise ValueError(
                f"{file} holds {', '.join(saved['theta'])}; the population has {', '.join(population.theta)}"
            )
        if saved["ids"] != list(trial.ids):
            raise ValueError(f"{file} was fitted to other subjects than {trial.name}'s")

        def array(name: str) -> np.ndarray:
            return np.asarray(saved[name], dtype=float)

        classes = None if saved.get("classes") is None else array("classes")
        if classes is not None:
            trial = assigned(population, trial, classes)
        said = saved.get("evidence")
        return Fit(
            population=population.with_theta({n: jnp.asarray(v) for n, v in saved["theta"].items()}), trial=trial,
            method=method, backend=backend, objective=saved["objective"], by_subject=array("by_subject"),
            gradient=array("gradient"), eta=array("eta").reshape(len(trial), -1), settled=np.asarray(saved["settled"]),
            result=np.asarray(saved["result"], int),
            uncertainty=Uncertainty(array("r"), array("s"), array("report"), array("eigenvalues")),
            history=tuple(Iteration(**{**h, "x": tuple(h.get("x", ()))}) for h in saved["history"]),
            ends=tuple(saved["ends"]), seconds=saved["seconds"],
            seed=saved["seed"], priors={}, evidence=None if said is None else Recorded(said), classes=classes,
        )  # fmt: skip


def _numbers(saved: dict[str, Any]) -> dict[str, Any]:
    """A saved fit, its unknown numbers NaN again where the file, as that of a run, has null."""

    def number(value: Any) -> Any:
        return float("nan") if value is None else value

    history = [{k: number(v) for k, v in h.items()} for h in saved["history"]]
    ends = [number(e) for e in saved["ends"]]
    return {**saved, "objective": number(saved["objective"]), "history": history, "ends": ends}
