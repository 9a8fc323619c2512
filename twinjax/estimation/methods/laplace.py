"""Laplace's approximation with the exact second derivative at each subject's mode."""

from __future__ import annotations

from typing import Any, ClassVar

import jax
import jax.numpy as jnp

from twinjax.estimation.methods.mode import AbstractConditional, Case
from twinjax.estimation.prediction import Predictor
from twinjax.estimation.small import cholesky


class Laplace(AbstractConditional):
    """Laplace's approximation: -2 log of the joint density at eta-hat, plus log det of half its exact second derivative
    in eta.

    The gradient needs third derivatives of the predictions in the individual parameters, so a fit costs several times
    one by `FOCEI`, which differs by taking the expected second derivative.

    Where a subject's second derivative is not positive definite at eta-hat (a saddle, or a ridge that data and Omega do
    not bound), Laplace's approximation does not exist; the expected one, which always is, stands in, and the subject
    counts as not settled.

    **Parameters**: `max_inner`, turns of the search for eta-hat; `tolerance`, expected decrease of the objective at
    which it ends.
    **Reference**: Tierney & Kadane 1986, doi:10.1080/01621459.1986.10478240; Wolfinger 1993,
    doi:10.1093/biomet/80.4.791; Wang 2007, doi:10.1007/s10928-007-9060-6.
    """

    order: ClassVar[int] = 3
    polish: ClassVar[int] = 4  # where the second derivative is nearly singular, the search without it is slow

    def curvature(self, predictor: Predictor, x: Any, eta: Any, case: Case) -> tuple[Any, Any]:
        """Half the exact one where that is positive definite."""
        hessian = 0.5 * self.hessian(predictor, x, eta, case)
        definite = jnp.all(jnp.isfinite(cholesky(jax.lax.stop_gradient(hessian))))
        return jnp.where(definite, hessian, self.gauss_newton(predictor, x, eta, case)), definite
