"""Maximum likelihood without random effects: one patient's own fit, or data pooled as of one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from twinjax.estimation.likelihood import Observations, terms
from twinjax.estimation.methods.base import AbstractObjective, Evaluation
from twinjax.estimation.prediction import Design, Local, Predictor, expand
from twinjax.models.base import output_names
from twinjax.population.population import Population


class NaivePooled(AbstractObjective):
    """Maximum likelihood with every random effect at zero: one patient's own fit, or data pooled as of one."""

    def check(self, population: Population, observed: Observations) -> None:
        """Serves every population."""

    def evaluate(self, predictor: Predictor, design: Design, x: Any, eta: Any) -> Evaluation:
        """-2 log likelihood at eta = 0."""
        (value, gradient), local = self._each(jax.value_and_grad, predictor, design, x, eta, order=1)
        return Evaluation(value, gradient, jnp.zeros_like(eta), local.result, jnp.ones(value.shape, bool))

    def second_derivatives(self, predictor: Predictor, design: Design, x: Any, eta: Any) -> Any:
        """By second derivatives of the predictions."""
        return self._each(jax.hessian, predictor, design, x, eta, order=2)[0]

    def _each(
        self, derived: Callable[..., Any], predictor: Predictor, design: Design, x: Any, eta: Any, order: int
    ) -> tuple[Any, Local]:
        """A function made from every subject's objective, and the predictions behind it."""
        p, outputs = predictor.population, output_names(predictor.population.model)
        zero = jnp.zeros_like(eta)
        local = predictor.local(predictor.every(x, zero, design), x, design, order=order)

        def subject(x: Any, eta: Any, local: Local, o: Observations, own: Any) -> Any:
            theta = predictor.transform.unpack(x, p.theta)
            f = expand(local, predictor.coordinates(x, eta, own))
            return jnp.sum(terms(p.errors(theta), outputs, o, f).objective)

        axes = (None, 0, 0, 0, 0)
        return jax.vmap(derived(subject), in_axes=axes)(x, zero, local, design.observed, design.covariates), local
