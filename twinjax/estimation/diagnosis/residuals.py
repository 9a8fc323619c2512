"""Residuals, individual parameters and smooth profiles of a fit, as tables: what its plots and its report show."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd

from twinjax.estimation.contributions import residual_covariance
from twinjax.estimation.likelihood import moments, observations, transformed
from twinjax.estimation.methods.pooled import NaivePooled
from twinjax.estimation.prediction import Design, Predictor
from twinjax.estimation.result import Fit
from twinjax.estimation.transform import Transform
from twinjax.models.base import output_names
from twinjax.naming import leaves
from twinjax.observation import QUANTIFIED
from twinjax.population.cohort import covariate_table, subjects
from twinjax.population.subject import Subject, TrialData
from twinjax.solve.compiling import compiled
from twinjax.solve.simulate import pose, simulate


def diagnose(fit: Fit) -> pd.DataFrame:
    """One row a measurement: data, predictions and residuals, in the order of the trial.

    .. code-block:: text

        RES   = y - f(0)         WRES  = C0^(-1/2) (y - f(0)),              C0 = J0 Omega J0' + V
        IRES  = y - f(eta)       CWRES = C^(-1/2) (y - f(eta) + J eta),     C  = J  Omega J'  + V
        IWRES = IRES / sqrt(V)   J = df/deta at eta-hat (J0 at 0); the root of C is the symmetric one

    **Returns** columns ID; TIME; TAD, time since the last dose was given (lags not counted; NaN before the first);
    OUTPUT; DV; CENS (0, 1 below, -1 above DV); PRED at eta = 0 and IPRED at eta-hat, in the output's unit; and the
    residuals above, *on the scale of the residual error's transform* (of logarithms for `LogNormalError`), NaN for
    censored values and for outputs that have a likelihood instead.

    **Assumptions**: V is the residual variance at eta-hat; at eta = 0 for FOCE (no interaction), FO and WRES. Without
    random effects, or after `NaivePooled` which does not estimate any, Omega is zero. Where V is zero it counts as
    one, as in the likelihood. Measurements of a subject that cannot be solved have NaN predictions.
    **Reference**: Hooker, Staatz & Karlsson 2007, Pharm Res 24:2187, doi:10.1007/s11095-007-9361-x.
    """
    p, trial = fit.population, fit.trial
    transform = Transform.of(p)
    design = Design(pose(subjects(p, trial)), observations(p, trial), covariate_table(p, trial))
    predictor = Predictor.of(p, transform, fit.backend, design)
    x, eta = transform.pack(p.theta), jnp.asarray(fit.eta)
    o, outputs = design.observed, output_names(p.model)
    errors = p.errors(p.theta)
    typical, typical_slope = _linear(predictor, design, x, jnp.zeros_like(eta))
    own, own_slope = _linear(predictor, design, x, eta)
    omega = np.asarray(p.omega(p.theta)) * (0.0 if isinstance(fit.method.steps[-1], NaivePooled) else 1.0)

    there = jnp.where(o.there, o.value, 1.0)
    value = np.asarray(jax.vmap(lambda o, y: transformed(errors, outputs, o, y))(o, there))
    m0, m = (
        _numpy(jax.vmap(lambda o, f, e: moments(p.errors(p.theta, e), outputs, o, f))(o, f, e))
        for f, e in ((typical, jnp.zeros_like(eta)), (own, eta))
    )
    mean0, scale0, variance0 = m0.mean, m0.slope, m0.variance
    mean, scale, variance = m.mean, m.slope, m.variance
    if not getattr(fit.method.steps[-1], "interaction", True):
        variance = variance0
    variance, variance0 = (np.where(v > 0, v, np.where(np.isnan(v), np.nan, 1.0)) for v in (variance, variance0))
    seen = np.asarray(o.there & (o.censored == QUANTIFIED))
    seen = seen & np.isin(np.asarray(o.output), [outputs.index(n) for n in errors.residuals])
    spread, spread0 = (
        np.asarray(jax.vmap(lambda o, v: residual_covariance(errors, outputs, o, v))(o, jnp.asarray(v)))
        for v in (variance, variance0)
    )
    frames = []
    for i, s in enumerate(trial):
        n, keep = len(s.measurements), seen[i]
        j0, j = scale0[i, :, None] * typical_slope[i], scale[i, :, None] * own_slope[i]
        wres = _decorrelated(value[i] - mean0[i], j0, spread0[i], omega, keep)
        cwres = _decorrelated(value[i] - mean[i] + j @ np.asarray(fit.eta[i]), j, spread[i], omega, keep)
        res, ires = (np.where(keep, value[i] - m[i], np.nan) for m in (mean0, mean))
        columns = {"PRED": typical[i], "IPRED": own[i], "RES": res, "IRES": ires, "IWRES": ires / np.sqrt(variance[i]),
                   "WRES": wres, "CWRES": cwres}  # fmt: skip
        frames.append(pd.DataFrame({
            "ID": s.id, "TIME": s.measurements.time, "TAD": time_after_dose(s),
            "OUTPUT": [outputs[k] for k in np.asarray(o.output[i, :n])],
            "DV": s.measurements.value, "CENS": s.measurements.censored,
            **{k: np.asarray(c)[:n] for k, c in columns.items()},
        }))  # fmt: skip
    return pd.concat([f for f in frames if len(f)], ignore_index=True)


def etas(fit: Fit) -> pd.DataFrame:
    """One row a subject: ID, eta-hats (``eta.cl``), covariates by name, and individual parameters by name (``cl``).

    What changes in time is shown at the subject's first value. A covariate called like a parameter becomes
    ``covariate.cl``.
    """
    p, trial = fit.population, fit.trial
    first = {n: jnp.asarray([np.ravel(s.covariates[n])[0] for s in trial], float) for n in trial.covariate_names}
    used = {n: first[n] for n in p.covariate_names}
    model = jax.vmap(lambda e, own: p.individual(p.theta, e, own))(jnp.asarray(fit.eta), used)
    parameters = {n: np.broadcast_to(np.asarray(v), (len(trial),)) for n, v in leaves(model).items()}
    columns: dict[str, Any] = {"ID": list(trial.ids)}
    columns |= {f"eta.{n}": np.asarray(fit.eta)[:, i] for i, n in enumerate(p.etas)}
    columns |= {f"covariate.{n}" if n in parameters else n: np.asarray(v) for n, v in first.items()}
    return pd.DataFrame({**columns, **parameters})


def curves(fit: Fit, chosen: list[str] | None = None, *, points: int = 200) -> pd.DataFrame:
    """Smooth profiles: PRED (eta = 0) and IPRED (eta-hat) on a fine grid from a subject's first record to the last
    measurement.

    **Parameters**: `chosen`, ids of the subjects (default all); `points`, of the even part of the grid, to which
    sampling times and both sides of every dose are added.
    **Returns** columns ID, TIME, OUTPUT, PRED, IPRED, for every output that has a residual error.
    """
    where = [i for i, s in enumerate(fit.trial) if len(s.measurements)]
    if chosen is not None:
        for id in chosen:
            fit.trial[id]
        where = [fit.trial.ids.index(str(id)) for id in chosen]
    part = TrialData(tuple(fit.trial.subjects[i] for i in where), fit.trial.name)
    time, order = _grid(part, points)
    found = []
    for eta in (jnp.zeros((len(where), len(fit.population.etas))), jnp.asarray(fit.eta)[np.asarray(where)]):
        who = subjects(fit.population, part, eta)
        who = eqx.tree_at(lambda c: c.timing, who, {**who.timing, "time": time, "order": order})
        found.append(leaves(simulate(who, backend=fit.backend).output))
    frames = [
        pd.DataFrame({
            "ID": s.id, "TIME": time[i], "OUTPUT": name,
            "PRED": np.asarray(found[0][name][i]), "IPRED": np.asarray(found[1][name][i]),
        })
        for i, s in enumerate(part) for name in fit.population.residuals
    ]  # fmt: skip
    return pd.concat(frames, ignore_index=True)


def time_after_dose(subject: Subject) -> np.ndarray:
    """Time since the last dose was given, `(measurements,)`; NaN before the first. Lags do not count."""
    m, (time, order) = subject.measurements, _doses(subject)
    before = (time < m.time[:, None]) | ((time == m.time[:, None]) & (order < m.order[:, None]))
    last = np.max(np.where(before, time, -np.inf), axis=1, initial=-np.inf)
    return np.where(np.isfinite(last), m.time - np.where(np.isfinite(last), last, 0.0), np.nan)


def _doses(subject: Subject) -> tuple[np.ndarray, np.ndarray]:
    """Times of all doses, additional ones written out, and their order among records of the same time."""
    r = subject.regimen
    start, interval, amount = (np.asarray(c, float) for c in (r.time, r.interval, r.amount))
    resets = [(start[i], k.order) for i, k in enumerate(r.kinds) if k.evid in (3, 4) or k.steady_state == 1]
    times, orders = [], []
    for i, k in enumerate(r.kinds):
        if k.evid == 3 or amount[i] == 0:
            continue
        until = min((t for t, o in resets if (t, o) > (start[i], k.order)), default=np.inf)
        for n in range(k.additional + 1):
            at = start[i] + n * interval[i]
            if n == 0 or at < until:
                times.append(at)
                orders.append(k.order if n == 0 else -1)
    return np.asarray(times, float), np.asarray(orders, float)


def _grid(trial: TrialData, points: int) -> tuple[np.ndarray, np.ndarray]:
    """Times and orders `(subjects, samples)`: even, plus sampling times, plus just before and after each dose."""
    rows = []
    for s in trial:
        doses, own = _doses(s)[0], np.asarray(s.measurements.time, float)
        first, last = min([*doses[:1], *own], default=0.0), max(own, default=1.0)
        doses = doses[doses <= last]
        even = np.unique(np.concatenate([np.linspace(first, last, points), own, doses]))
        time, order = (
            np.concatenate([even, doses]),
            np.concatenate([np.full(len(even), np.inf), np.full(len(doses), -np.inf)]),
        )
        by = np.lexsort((order, time))
        rows.append((time[by], order[by]))
    samples = max(len(t) for t, _ in rows)
    time = np.stack([np.pad(t, (0, samples - len(t)), mode="edge") for t, _ in rows])
    order = np.stack([np.pad(o, (0, samples - len(o)), mode="edge") for _, o in rows])
    return time, order


@compiled
def _linear(predictor: Predictor, design: Design, x: Any, eta: Any) -> tuple[Any, Any]:
    """Predictions `(subjects, samples)` at `eta` and their derivatives in it `(subjects, samples, etas)`."""

    def coordinates(eta: Any, own: Any) -> Any:
        return predictor.coordinates(x, eta, own)

    z = jax.vmap(coordinates)(eta, design.covariates)
    if eta.shape[1] == 0:
        f = predictor.local(z, x, design, order=0).value
        return f, jnp.zeros((*f.shape, 0))
    local = predictor.local(z, x, design, order=1)
    return local.value, local.slope @ jax.vmap(jax.jacfwd(coordinates))(eta, design.covariates)


def _numpy(tree: Any) -> Any:
    return jax.tree.map(np.asarray, tree)


def _decorrelated(
    residual: np.ndarray, slope: np.ndarray, spread: np.ndarray, omega: np.ndarray, keep: np.ndarray
) -> np.ndarray:
    """``C^(-1/2) r`` of the kept measurements by the symmetric root, NaN elsewhere."""
    out = np.full(residual.shape, np.nan)
    slope, r = slope[keep], residual[keep]
    c = slope @ omega @ slope.T + spread[np.ix_(keep, keep)]
    if np.all(np.isfinite(c)) and len(r):
        values, vectors = np.linalg.eigh(c)
        out[keep] = vectors @ ((vectors.T @ r) / np.sqrt(values))
    return out
