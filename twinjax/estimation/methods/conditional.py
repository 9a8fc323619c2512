"""FOCE and FOCEI: a population linearised at each subject's own eta-hat, with an exact gradient.

The covariance step differences that gradient.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from twinjax.estimation.implicit import second_derivative
from twinjax.estimation.likelihood import Observations
from twinjax.estimation.methods.mode import AbstractConditional, Case
from twinjax.estimation.prediction import Design, Predictor
from twinjax.estimation.small import log_determinant
from twinjax.population.population import Population


class FOCEI(AbstractConditional):
    """First-order conditional estimation with interaction: linearised at each subject's own eta-hat.

    **Parameters**: `max_inner`, turns of the search for eta-hat; `tolerance`, expected decrease of the objective at
    which it ends.
    **Reference**: Lindstrom & Bates 1990, doi:10.2307/2532087; Wang 2007, doi:10.1007/s10928-007-9060-6; gradient
    through eta-hat: Almquist, Leander & Jirstrand 2015, doi:10.1007/s10928-015-9409-1.
    """

    def check(self, population: Population, observed: Observations) -> None:
        """Refuses likelihoods of several predictions, of whose curvature it would know too little. One of a single
        prediction counts by its information.
        """
        super().check(population, observed)
        if population.varying_errors and observed.censoring:
            raise ValueError(
                f"{self.name}, by which SAEM and importance sampling find modes too, knows too little of a censored "
                "value whose residual error varies between people; use Laplace()"
            )
        several = [n for n, e in population.errors(population.theta).likelihoods.items() if e.reads]
        if several:
            raise ValueError(f"{self.name} has only an expected curvature, which says too little of the likelihood of "
                             f"{', '.join(several)}; use Laplace()")  # fmt: skip

    def curvature(self, predictor: Predictor, x: Any, eta: Any, case: Case) -> tuple[Any, Any]:
        """The expected one, of predictions linear in eta."""
        return self.gauss_newton(predictor, x, eta, case), jnp.array(True)

    def second_derivatives(self, predictor: Predictor, design: Design, x: Any, eta: Any) -> Any:
        """By third derivatives of the predictions."""
        x, eta = jax.lax.stop_gradient(x), jax.lax.stop_gradient(eta)
        typical = None
        if not self.interaction:
            zero = predictor.every(x, jnp.zeros_like(eta), design)
            typical = predictor.local(zero, x, design, order=2)
        local = predictor.local(predictor.every(x, eta, design), x, design, order=3, eta=1)

        def subject(eta: Any, case: Case) -> Any:
            def joint(eta: Any, x: Any) -> Any:
                return self.joint(predictor, x, eta, case)

            def marginal(eta: Any, x: Any) -> Any:
                return joint(eta, x) + log_determinant(self.gauss_newton(predictor, x, eta, case))

            return second_derivative(joint, marginal, eta, x)

        return jax.vmap(subject)(eta, Case(local, typical, design.observed, design.covariates))


class FOCE(FOCEI):
    """First-order conditional estimation without interaction: the residual variance is that of the typical prediction
    (eta = 0).
    """

    @property
    def interaction(self) -> bool:
        """No."""
        return False
