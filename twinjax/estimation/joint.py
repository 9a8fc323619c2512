"""The joint density of a subject's measurements and random effects, by the solve itself: what sampling methods need.

Methods that linearise use a polynomial instead (`prediction`).
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from twinjax.estimation.likelihood import Observations, penalty, terms
from twinjax.estimation.prediction import Design, Predictor
from twinjax.models.base import output_names


def data_term(predictor: Predictor, design: Design, x: Any, eta: Any) -> tuple[Any, Any]:
    """-2 log of the density of every subject's measurements given `eta` `(subjects, etas)`, and result codes.

    Without N log(2 pi); `(subjects,)` each. Differentiable in `x` and `eta` by JAX. A subject that cannot be solved has
    +inf (or NaN), and its code.
    """
    f, result = predictor.solve(predictor.every(x, eta, design), x, design)
    return data_given(predictor, design, x, f, eta), result


def data_given(predictor: Predictor, design: Design, x: Any, f: Any, eta: Any) -> Any:
    """-2 log of the density of every subject's measurements at predictions `f` `(subjects, samples)`, whose residual
    errors are those of `eta` `(subjects, etas)`.
    """
    p = predictor.population
    theta, outputs = predictor.transform.unpack(x, p.theta), output_names(p.model)

    def one(o: Observations, f: Any, eta: Any) -> Any:
        return jnp.sum(terms(p.errors(theta, eta), outputs, o, f).objective)

    return jax.vmap(one)(design.observed, f, eta)


def joint(predictor: Predictor, design: Design, x: Any, eta: Any) -> tuple[Any, Any]:
    """-2 log of the joint density of measurements and `eta` `(subjects, etas)`, and result codes; `(subjects,)` each.

    Without N log(2 pi) and k log(2 pi) of N measurements and k random effects.
    """
    value, result = data_term(predictor, design, x, eta)
    p = predictor.population
    omega = p.omega(predictor.transform.unpack(x, p.theta))
    return value + jax.vmap(lambda e: penalty(omega, e))(eta), result
