"""FO: a population linearised at its typical individual."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from twinjax.estimation.contributions import residual_covariance
from twinjax.estimation.likelihood import Observations, moments, transformed
from twinjax.estimation.methods.base import AbstractObjective, Evaluation
from twinjax.estimation.prediction import Design, Local, Predictor, expand
from twinjax.models.base import output_names
from twinjax.population.population import Population


class FO(AbstractObjective):
    """First order: linearised at eta = 0. **Reference**: Sheiner & Beal 1980, doi:10.1007/BF01060053; Wang 2007."""

    def check(self, population: Population, observed: Observations) -> None:
        """Refuses what is not normal about a linearised prediction: censored values, likelihoods, method M4."""
        super().check(population, observed)
        errors = population.errors(population.theta)
        if errors.likelihoods:
            raise ValueError(f"FO has no likelihood for {', '.join(errors.likelihoods)}, which is no prediction plus a "
                             "residual error; use Laplace")  # fmt: skip
        if population.varying_errors:
            raise ValueError(f"FO takes residual errors at eta = 0, and {population.varying_errors[0]} varies between "
                             "people; use FOCEI or Laplace")  # fmt: skip
        if errors.tailed:
            raise ValueError(f"FO takes measurements for normal, and those of {', '.join(errors.tailed)} have heavy "
                             "tails; use FOCEI or Laplace")  # fmt: skip
        if errors.above_zero:
            raise ValueError("FO has no likelihood given that a value is above zero (M4); use FOCEI")
        if observed.censoring:
            raise ValueError("FO has no likelihood for censored values; use FOCEI")

    def evaluate(self, predictor: Predictor, design: Design, x: Any, eta: Any) -> Evaluation:
        """Each subject is normal with covariance J Omega J' + V(f), at eta = 0."""
        (value, gradient), local = self._each(jax.value_and_grad, predictor, design, x, eta, order=2)
        return Evaluation(value, gradient, jnp.zeros_like(eta), local.result, jnp.ones(value.shape, bool))

    def second_derivatives(self, predictor: Predictor, design: Design, x: Any, eta: Any) -> Any:
        """By third derivatives of the predictions."""
        return self._each(jax.hessian, predictor, design, x, eta, order=3)[0]

    def _each(
        self, derived: Callable[..., Any], predictor: Predictor, design: Design, x: Any, eta: Any, order: int
    ) -> tuple[Any, Local]:
        """A function made from every subject's objective, and the predictions behind it."""
        p, outputs = predictor.population, output_names(predictor.population.model)
        zero = jnp.zeros_like(eta)
        local = predictor.local(predictor.every(x, zero, design), x, design, order=order, eta=1)

        def subject(x: Any, local: Local, o: Observations, own: Any) -> Any:
            theta = predictor.transform.unpack(x, p.theta)
            nothing = jnp.zeros(len(p.etas))

            def predict(eta: Any) -> Any:
                return expand(local, predictor.coordinates(x, eta, own))

            f, slope = predict(nothing), jax.jacfwd(predict)(nothing)
            m = moments(p.errors(theta), outputs, o, f)
            slope = slope * m.slope[:, None]
            there = o.there & (o.censored == 0)
            c = (slope @ p.omega(theta) @ slope.T) * there[:, None] * there[None, :]
            c = c + residual_covariance(p.errors(theta), outputs, o, jnp.where(there, m.variance, 1.0))
            value = transformed(p.errors(theta), outputs, o, jnp.where(there, o.value, 1.0))
            r = jnp.where(there, value - m.mean, 0.0)
            chol = jnp.linalg.cholesky(c)  # as wide as a subject has samples
            half = jax.scipy.linalg.solve_triangular(chol, r, lower=True)
            return jnp.sum(half * half) + 2.0 * jnp.sum(jnp.log(jnp.diag(chol)))

        axes = (None, 0, 0, 0)
        return jax.vmap(derived(subject), in_axes=axes)(x, local, design.observed, design.covariates), local
