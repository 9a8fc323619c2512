"""What a bootstrap draws: people anew, or measurements anew. Replicate i depends on the seed and i alone."""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from twinjax.estimation.diagnosis.simulation import draw_measurements
from twinjax.estimation.engine import Engine
from twinjax.estimation.evidence.again import Weighted
from twinjax.estimation.likelihood import Observations
from twinjax.estimation.result import Fit
from twinjax.naming import resolve
from twinjax.observation import ABOVE, BELOW, QUANTIFIED

Draw = Callable[[int], Weighted]
"""The objective of replicate i. **Raises** `FloatingPointError` where it cannot be drawn."""


class AbstractResampling(eqx.Module):
    """How a bootstrap makes another data set of a trial."""

    @abc.abstractmethod
    def draw(self, fit: Fit, engine: Engine, seed: int) -> Draw:
        """Objectives by number of the replicate, of the shapes that the engine is compiled for."""


class Case(AbstractResampling):
    """Subjects drawn with replacement, as many as there are: free of the model's assumptions about their variation.

    A subject drawn twice counts twice in the objective, so the program is that of the fit.

    **Parameters**: `within`, a covariate: as many are drawn of each of its values as there are (stratification); None
    for no strata.
    **Reference**: Efron 1979, doi:10.1214/aos/1176344552.
    """

    within: str | None = None

    def weights(self, fit: Fit, seed: int, replicate: int) -> np.ndarray:
        """How often each subject is drawn, `(subjects,)`."""
        rng = np.random.default_rng([seed, replicate])
        counts = np.zeros(len(fit.trial))
        for stratum in self._strata(fit):
            counts += np.bincount(rng.choice(stratum, len(stratum)), minlength=len(counts))
        return counts

    def _strata(self, fit: Fit) -> list[np.ndarray]:
        if self.within is None:
            return [np.arange(len(fit.trial))]
        name = resolve(self.within, fit.trial.covariate_names, "covariate")
        values = np.asarray([np.ravel(s.covariates[name])[0] for s in fit.trial], float)
        levels = np.unique(values)
        if 2 * len(levels) > len(values):
            raise ValueError(
                f"{name} has {len(levels)} values among {len(values)} subjects: stratify by a covariate of few values"
            )
        return [np.flatnonzero(values == v) for v in levels]

    def draw(self, fit: Fit, engine: Engine, seed: int) -> Draw:
        """The same measurements with weights."""
        self._strata(fit)
        begin = engine.eta
        return lambda i: Weighted(engine, self.weights(fit, seed, i), begin)


class Parametric(AbstractResampling):
    """Measurements simulated from the fit, at the trial's doses, times and covariates: right where the model is.

    A simulated value beyond its limit of quantification is censored there: the limit of a record that was censored, or
    else that of the output's censored records where they all have the same, else none.

    **Reference**: Efron & Tibshirani 1986, doi:10.1214/ss/1177013815.
    """

    def draw(self, fit: Fit, engine: Engine, seed: int) -> Draw:
        """Other measurements, each subject once."""
        below, above = (_limits(engine.design.observed, kind) for kind in (BELOW, ABOVE))
        there, begin = np.asarray(engine.design.observed.there), jnp.zeros_like(engine.eta)

        def one(replicate: int) -> Weighted:
            numbers = range(replicate, replicate + 1)
            y = draw_measurements(fit.population, engine.design, numbers, seed, 1, engine.predictor.backend)[0]
            if not np.all(np.isfinite(y[there])):
                raise FloatingPointError("a subject could not be simulated")
            y = np.where(there, y, 0.0)
            censored = np.where(y < below, BELOW, np.where(y > above, ABOVE, QUANTIFIED))
            value = np.where(censored == BELOW, below, np.where(censored == ABOVE, above, y))
            observed = dataclasses.replace(
                engine.design.observed, value=jnp.asarray(value),
                censored=jnp.asarray(censored, engine.design.observed.censored.dtype),
            )  # fmt: skip
            design = eqx.tree_at(lambda d: d.observed, engine.design, observed)
            other = Engine(engine.method, engine.predictor, design, engine.priors, engine.ids)
            return Weighted(other, begin=begin)

        return one


def _limits(o: Observations, kind: int) -> np.ndarray:
    """Limit of quantification of each measurement, `(subjects, samples)`; infinite where it has none."""
    none = -np.inf if kind == BELOW else np.inf
    value, censored, output, there = (np.asarray(a) for a in (o.value, o.censored, o.output, o.there))
    own = there & (censored == kind)
    limits = np.where(own, value, none)
    for i in np.unique(output):
        known = np.unique(value[own & (output == i)])
        if len(known) == 1:
            limits = np.where(output == i, known[0], limits)
    return limits


def described(kind: AbstractResampling) -> dict[str, Any]:
    """A kind of resampling in plain words, for a record."""
    return {"kind": type(kind).__name__, **{f.name: getattr(kind, f.name) for f in dataclasses.fields(kind)}}
