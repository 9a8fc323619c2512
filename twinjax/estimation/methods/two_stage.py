"""Two stages: every subject fitted alone, all at once, then the mean and covariance of what was found."""

from __future__ import annotations

import dataclasses
import operator
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd

from twinjax.estimation.engine import Engine
from twinjax.estimation.evidence.protocol import AbstractEvidence
from twinjax.estimation.evidence.uncertainty import Uncertainty, reported
from twinjax.estimation.likelihood import Observations, terms
from twinjax.estimation.methods.algorithm import AbstractAlgorithm, Estimate, Task
from twinjax.estimation.methods.base import AbstractObjective, Evaluation
from twinjax.estimation.methods.conditional import FOCEI
from twinjax.estimation.optimisers import BFGS
from twinjax.estimation.prediction import Design, Local, Predictor, expand
from twinjax.models.base import output_names
from twinjax.naming import names
from twinjax.population.population import Population
from twinjax.population.variability import LogitScale, LogScale, NaturalScale
from twinjax.solve.compiling import compiled

_WIDE = 300.0
"""How much wider than the starting omegas the random effects may roam: a subject alone knows nothing of the others."""

_UNKNOWN = 10.0
"""A subject is left out whose own random effects are uncertain by more than so many starting omegas in a direction."""

_STEP = 1e-3


class EachAlone(AbstractObjective):
    """-2 log likelihood of every subject at its own best random effects, a function of what all subjects share.

    **Parameters**: `shared` `(free,)`, which parameters those are: residual errors, and the model's without a random
    effect. In the others it is flat, as random effects make up for them.
    """

    shared: tuple[bool, ...] = eqx.field(static=True)

    def evaluate(self, predictor: Predictor, design: Design, x: Any, eta: Any) -> Evaluation:
        """Every subject's own search, then the slope in the shared parameters at its end."""
        x, p = jax.lax.stop_gradient(x), predictor.population
        apart, wide = _apart(predictor, x)
        eta, settled = FOCEI().eta_hat(apart, design, wide, jax.lax.stop_gradient(eta), None)
        local = predictor.local(predictor.every(x, eta, design), x, design, order=1)

        def subject(x: Any, eta: Any, local: Local, o: Observations, own: Any) -> Any:
            theta = predictor.transform.unpack(x, p.theta)
            f = expand(local, predictor.coordinates(x, eta, own))
            return jnp.sum(terms(p.errors(theta), output_names(p.model), o, f).objective)

        value, gradient = jax.vmap(jax.value_and_grad(subject), in_axes=(None, 0, 0, 0, 0))(
            x, eta, local, design.observed, design.covariates
        )
        return Evaluation(value, gradient * jnp.asarray(self.shared), eta, local.result, settled)


def _apart(predictor: Predictor, x: Any) -> tuple[Predictor, Any]:
    """The predictor and vector with omegas so wide that they hold nobody."""
    p, transform = predictor.population, predictor.transform
    theta = dict(transform.unpack(x, p.theta))
    theta |= {n: _WIDE * p.theta[n] for n in theta if n.startswith("omega.")}
    theta |= {n: jnp.zeros(()) for n in theta if n.startswith("corr.")}
    return eqx.tree_at(lambda q: q.population, predictor, p.with_theta(theta)), transform.pack(theta)


@compiled
def _information(predictor: Predictor, design: Design, x: Any, eta: Any) -> Any:
    """Of each subject's measurements about its own random effects, `(subjects, etas, etas)`."""
    p = predictor.population
    theta, outputs = predictor.transform.unpack(x, p.theta), output_names(p.model)
    local = predictor.local(predictor.every(x, eta, design), x, design, order=1)

    def subject(eta: Any, local: Local, o: Observations, own: Any) -> Any:
        slope = jax.jacfwd(lambda e: expand(local, predictor.coordinates(x, e, own)))(eta)
        f = expand(local, predictor.coordinates(x, eta, own))
        return terms(p.errors(theta), outputs, o, f).curvature(slope)

    return jax.vmap(subject)(eta, local, design.observed, design.covariates)


@dataclasses.dataclass(frozen=True)
class OwnFits(AbstractEvidence):
    """The first stage.

    **Parameters**: `ids`, `etas`, names; `eta` `(kept, etas)`, each subject's own estimates about the population's
    typical values; `covariance` `(kept, etas, etas)` of them; `left_out`, id -> why; `weighted`, whether the second
    stage took the first's errors out.
    """

    ids: tuple[str, ...]
    etas: tuple[str, ...]
    eta: np.ndarray
    covariance: np.ndarray
    left_out: dict[str, str]
    weighted: bool

    @property
    def table(self) -> pd.DataFrame:
        """One row a subject: its random effects by name, and their standard errors."""
        se = np.sqrt(np.diagonal(self.covariance, axis1=1, axis2=2))
        columns = {n: self.eta[:, i] for i, n in enumerate(self.etas)}
        columns |= {f"{n}.se": se[:, i] for i, n in enumerate(self.etas)}
        return pd.DataFrame(columns, index=pd.Index(self.ids, name="subject"))

    @property
    def statement(self) -> str:
        """How many subjects were fitted."""
        return f"Converged: {len(self.ids)} subjects fitted alone."

    @property
    def doubts(self) -> tuple[str, ...]:
        """Who was left out, and why."""
        if not self.left_out:
            return ()
        who = "; ".join(f"{i}: {why}" for i, why in list(self.left_out.items())[:5])
        more = f" and {len(self.left_out) - 5} more" if len(self.left_out) > 5 else ""
        return (f"{len(self.left_out)} subjects were left out, as alone they do not say what their parameters are "
                f"({who}{more}).",)  # fmt: skip

    @property
    def remarks(self) -> str:
        """What the omegas hold."""
        if self.weighted:
            return "omegas are without the errors of the subjects' own estimates (global two-stage)"
        return "omegas hold the errors of the subjects' own estimates too: too large unless data are rich"


class TwoStage(AbstractAlgorithm):
    """Standard two-stage: each subject's own maximum likelihood, then the mean and covariance of those estimates.

    All subjects are fitted at once. What they share (residual errors, parameters without a random effect) is estimated
    from all of them together; residual errors are corrected for the degrees of freedom that individual
    parameters take. A subject whose data do not determine its parameters is left out, and named. For rich data, or as
    a start for other methods: ``TwoStage().then(FOCEI())``. It serves no mixtures: fitted alone, a subject has the
    parameters that suit its data best in every class, so that nothing says which it is of.

    **Parameters**: `weighted`, the global two-stage: an EM that weights each subject by the precision of its own
    estimate and takes those errors out of Omega.
    **Raises** `ValueError` for covariate coefficients or scale shapes to estimate, and for the general form: fix them,
    or take another method; for residual errors that vary between people; for priors of what is read off the subjects'
    own estimates, which have none.
    **Reference**: Steimer, Mallet, Golmard & Boisvieux 1984, doi:10.3109/03602538409015066.
    """

    conditional: ClassVar[bool] = True
    weighted: bool = eqx.field(static=True, default=False)

    def estimate(self, task: Task) -> Estimate:
        """Both stages."""
        predictor = task.engine.predictor
        p, transform = predictor.population, predictor.transform
        _served(p, transform.names)
        own = set(p.etas)
        believed = [n for n in task.engine.priors if n in own or n.startswith(("omega.", "corr."))]
        if believed:
            raise ValueError(
                f"TwoStage takes no prior of {', '.join(believed)}, a mean or spread of the subjects' own estimates: "
                "take a method that estimates everything together, such as FOCEI()"
            )
        alone = EachAlone(tuple(n not in own and not n.startswith(("omega.", "corr.")) for n in transform.reported))
        _enough(len(task.engine.ids), p)
        engine, x, eta, left_out = _first(task, alone)
        keep = np.asarray([i not in left_out for i in task.engine.ids])
        _enough(int(keep.sum()), p)
        theta = {n: float(v) for n, v in transform.unpack(jnp.asarray(x), p.theta).items()}
        observations = int(np.sum(np.asarray(engine.design.observed.there)))
        freedom = observations - int(keep.sum()) * len(p.etas)
        if freedom > 0:
            deviations = {f"{o}.{n}" for o, r in p.residuals.items() for n in names(r) if n != "exponent"}
            larger = np.sqrt(observations / freedom)
            theta |= {n: theta[n] * larger for n in deviations if n in transform.names}
        x = np.asarray(transform.pack({n: jnp.asarray(v) for n, v in theta.items()}))
        errors = np.linalg.inv(np.asarray(_information(predictor, engine.design, jnp.asarray(x), jnp.asarray(eta))))
        mean, omega = _global(eta, errors) if self.weighted else (eta.mean(axis=0), np.atleast_2d(np.cov(eta.T)))
        free = [(i, n) for i, n in enumerate(p.etas) if n in transform.names]
        theta |= {n: float(p.scales[n].individual(theta[n], mean[i])) for i, n in free}
        theta |= _spread(p, omega)
        end = np.asarray(transform.pack({n: jnp.asarray(v) for n, v in theta.items()}))
        centred = np.zeros((len(keep), len(p.etas)))
        centred[keep] = eta - mean
        spread = Uncertainty.none(len(x))
        if task.covariance:
            spread = _uncertainty(engine, alone, x, end, omega, int(keep.sum()))
        ids = tuple(i for i in task.engine.ids if i not in left_out)
        task.watch(1, end, np.nan, np.full(len(x), np.nan))
        return Estimate(
            x=end, by_subject=np.full(len(keep), np.nan), gradient=np.full(len(x), np.nan), eta=centred,
            settled=np.ones(len(keep), bool), result=np.zeros(len(keep), int), uncertainty=spread,
            evidence=OwnFits(ids, p.etas, eta - mean, errors, left_out, self.weighted),
        )  # fmt: skip


def _served(p: Population, free: tuple[str, ...]) -> None:
    kinds = (LogScale, LogitScale, NaturalScale)
    other = [n for n, s in p.scales.items() if type(s) not in kinds]
    moved = [n for n in p.effects if n in p.scales and type(p.scales[n]) is not LogScale]
    known = set(names(p.model)) | {f"{o}.{n}" for o, r in p.residuals.items() for n in names(r)}
    coefficients = [n for n in free if n not in known]
    if p.varying_errors:
        raise ValueError(
            f"TwoStage has no residual errors that vary between people, and {p.varying_errors[0]} does: use FOCEI()"
        )
    if p.write_out is not None or p.occasions is not None or other or moved or coefficients:
        what = ", ".join([*other, *moved, *coefficients]) or "the general form, or occasions"
        raise ValueError(
            f"TwoStage estimates typical values, Omega and residual errors, not {what}: fix them, or take another "
            "method, such as FOCEI()"
        )


def _enough(subjects: int, p: Population) -> None:
    if subjects <= len(p.etas) + 1:
        raise RuntimeError(
            f"only {subjects} subjects can be fitted alone, too few for the covariance of {len(p.etas)} random "
            "effects: take a method that shares what subjects know, such as FOCEI()"
        )


def _first(task: Task, alone: EachAlone) -> tuple[Engine, np.ndarray, np.ndarray, dict[str, str]]:
    """An engine of the subjects that can be fitted alone, the shared parameters, those subjects' etas; who cannot."""
    engine, ids = task.engine.by(alone), task.engine.ids
    left_out: dict[str, str] = {}
    x = np.asarray(task.x)
    while True:
        bad = _unfit(engine, x)
        if not bad:
            end = BFGS().minimise(engine, x, task.watch) if any(alone.shared) else x
            bad = _unfit(engine, end)
            if not bad:
                return engine, end, np.asarray(engine.evaluate(end).eta), left_out
        left_out |= bad
        keep = np.flatnonzero([i not in left_out for i in ids])
        if not len(keep):
            return engine, x, np.zeros((0, len(engine.predictor.population.etas))), left_out
        design = jax.tree.map(operator.itemgetter(keep), task.engine.design)
        engine = Engine(alone, task.engine.predictor, design, task.engine.priors, tuple(ids[i] for i in keep))


def _unfit(engine: Engine, x: np.ndarray) -> dict[str, str]:
    """Subjects that cannot be fitted alone at these shared parameters, and why."""
    found = engine.evaluate(x)
    p = engine.predictor.population
    information = np.asarray(_information(engine.predictor, engine.design, jnp.asarray(x), found.eta))
    start = np.asarray([float(p.theta[f"omega.{n}"]) for n in p.etas])
    there = np.asarray(engine.design.observed.there).sum(axis=1)
    bad = {}
    for i, who in enumerate(engine.ids):
        scaled = information[i] * np.outer(start, start)
        if there[i] < len(p.etas):
            bad[who] = f"{there[i]} measurements for {len(p.etas)} parameters"
        elif int(found.result[i]) or not np.all(np.isfinite(scaled)):
            bad[who] = "not solved"
        elif np.linalg.eigvalsh(scaled)[0] < _UNKNOWN**-2:
            direction = np.linalg.eigh(scaled)[1][:, 0]
            bad[who] = f"nothing known of {p.etas[int(np.argmax(np.abs(direction)))]}"
        elif not bool(found.settled[i]):
            bad[who] = "its search did not end"
    return bad


def _global(eta: np.ndarray, errors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and covariance of subjects' true values, of which `eta` `(subjects, etas)` are estimates with these errors,
    by EM.
    """
    mean, omega = eta.mean(axis=0), np.atleast_2d(np.cov(eta.T))
    inverse = np.linalg.inv(errors)
    for _ in range(1000):
        before = omega
        within = np.linalg.inv(inverse + np.linalg.inv(omega))
        at = np.einsum("sij,sj->si", within, np.einsum("sij,sj->si", inverse, eta) + np.linalg.solve(omega, mean))
        mean = at.mean(axis=0)
        omega = within.mean(axis=0) + (at - mean).T @ (at - mean) / (len(eta) - 1)
        if np.max(np.abs(omega - before)) < 1e-8 * np.max(np.diag(omega)):
            break
    return mean, omega


def _spread(p: Population, omega: np.ndarray) -> dict[str, float]:
    """The estimated standard deviations and correlations of a covariance, as far as the population has them."""
    sd = np.sqrt(np.diag(omega))
    found = {f"omega.{n}": float(sd[i]) for i, n in enumerate(p.etas)}
    at = {n: i for i, n in enumerate(p.etas)}
    for block in p.blocks:
        for k, a in enumerate(block):
            for b in block[k + 1 :]:
                found[f"corr.{a}.{b}"] = float(omega[at[a], at[b]] / (sd[at[a]] * sd[at[b]]))
    return {n: v for n, v in found.items() if n not in p.fixed}


def _uncertainty(
    engine: Engine, alone: EachAlone, x: np.ndarray, end: np.ndarray, omega: np.ndarray, subjects: int
) -> Uncertainty:
    """Of a sample's mean and covariance; of shared parameters, the second derivative of the first stage."""
    p, transform = engine.predictor.population, engine.predictor.transform
    at = {n: i for i, n in enumerate(p.etas)}
    values, report = (np.asarray(a) for a in reported(transform, p.theta, jnp.asarray(end)))
    free, covariance = len(x), np.zeros((len(x), len(x)))
    shared = np.flatnonzero(alone.shared)
    if len(shared):
        rows = [(engine(x + h)[1] - engine(x - h)[1])[shared] / (2 * _STEP) for h in _STEP * np.eye(free)[shared]]
        hessian = 0.25 * (np.array(rows) + np.array(rows).T)
        covariance[np.ix_(shared, shared)] = np.linalg.pinv(hessian)
        covariance = report @ covariance @ report.T
    typical = {k: (at[n], float(jax.grad(p.scales[n].individual, argnums=1)(float(values[k]), 0.0)))
               for k, n in enumerate(transform.reported) if n in at}  # fmt: skip
    for k, (i, slope) in typical.items():
        for m, (j, other) in typical.items():
            covariance[k, m] = slope * other * omega[i, j] / subjects
    for k, n in enumerate(transform.reported):
        if n.startswith("omega."):
            covariance[k, k] = values[k] ** 2 / (2 * (subjects - 1))
        elif n.startswith("corr."):
            covariance[k, k] = (1 - values[k] ** 2) ** 2 / (subjects - 1)
    sd = np.sqrt(np.diag(covariance))
    if not (np.all(np.isfinite(covariance)) and np.all(np.linalg.eigvalsh(covariance / sd / sd[:, None]) > 0)):
        return Uncertainty.none(free)
    eigenvalues = np.linalg.eigvalsh(covariance / sd / sd[:, None])
    unknown = np.full((free, free), np.nan)
    return Uncertainty(report.T @ np.linalg.inv(covariance) @ report, unknown, report, eigenvalues)
