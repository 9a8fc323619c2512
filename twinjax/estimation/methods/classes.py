"""A mixture of subpopulations, by any method that has something to say of each of them."""

from __future__ import annotations

import dataclasses
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from twinjax.estimation.methods.base import AbstractObjective, Evaluation
from twinjax.estimation.prediction import Design, Predictor


def evaluate(method: AbstractObjective, predictor: Predictor, design: Design, x: Any, eta: Any) -> Evaluation:
    """A method's objective and gradient at `x`; of a mixture, by all its classes.

    .. code-block:: text

        -2 log L = -2 log sum over k of pi_k exp(-O_k / 2),     w_k = pi_k exp(-O_k / 2) / sum
        gradient = sum over k of w_k (dO_k / dx - 2 d log pi_k / dx)

    with O_k the method's objective of class k, and w_k the probability that the subject is of it. Etas are those of
    the most probable class. Every class is searched from the same etas; the classes of a subject are solved side by
    side. A class that cannot be evaluated leaves the subject without an objective.
    """
    mixture = predictor.population.mixture
    if mixture is None:
        return method.evaluate(predictor, design, x, eta)
    count, subjects = mixture.classes, eta.shape[0]
    found = method.evaluate(predictor, of_every_class(predictor, design), x, jnp.tile(eta, (count, 1)))
    parts = jax.tree.map(lambda a: a.reshape(count, subjects, *a.shape[1:]), found)
    objective, gradient, weight = mixed(predictor, x, parts.objective, parts.gradient)
    return dataclasses.replace(
        found,
        objective=objective,
        gradient=gradient,
        eta=of_most_probable(weight, parts.eta),
        result=jnp.max(parts.result, axis=0),
        settled=jnp.all(parts.settled | (weight < 1e-8), axis=0),
        classes=weight.T,
        joint=None,  # one mode for each class
    )


def of_every_class(predictor: Predictor, design: Design) -> Design:
    """The design of everyone as a member of the first class, then of the second, and so on `(classes * subjects, ...)`;
    as it is without a mixture.
    """
    mixture = predictor.population.mixture
    if mixture is None:
        return design
    many = jax.tree.map(lambda a: jnp.tile(a, (mixture.classes,) + (1,) * (a.ndim - 1)), design)
    own = many.covariates[mixture.covariate]
    kind = jnp.repeat(jnp.arange(1.0, mixture.classes + 1.0), own.shape[0] // mixture.classes)
    return eqx.tree_at(lambda d: d.covariates[mixture.covariate], many, jnp.broadcast_to(kind[:, None], own.shape))


def log_shares(predictor: Predictor, x: Any) -> Any:
    """Logarithms of the classes' probabilities `(classes,)`; of one class without a mixture."""
    p = predictor.population
    if p.mixture is None:
        return jnp.zeros(1)
    return jnp.log(p.mixture.at(predictor.transform.unpack(x, p.theta)))


def mixed(predictor: Predictor, x: Any, objective: Any, gradient: Any) -> tuple[Any, Any, Any]:
    """The objective `(subjects,)` and gradient `(subjects, free)` of a mixture, and how probable each class is
    `(classes, subjects)`, from those of the classes, `(classes, subjects)` and `(classes, subjects, free)`.
    """
    weighed = log_shares(predictor, x)[:, None] - 0.5 * objective
    weight = jax.nn.softmax(weighed, axis=0)
    by_share = weight.T @ jax.jacfwd(lambda x: log_shares(predictor, x))(x)
    slope = jnp.einsum("ks,ksx->sx", weight, gradient) - 2.0 * by_share
    return -2.0 * jax.nn.logsumexp(weighed, axis=0), slope, weight


def designs(predictor: Predictor, design: Design) -> tuple[Design, ...]:
    """The design of everyone, once for each class of a mixture, which is their covariate; as it is without one."""
    mixture = predictor.population.mixture
    if mixture is None:
        return (design,)
    name = mixture.covariate
    own = design.covariates[name]
    return tuple(
        eqx.tree_at(lambda d: d.covariates[name], design, jnp.full(own.shape, k + 1.0)) for k in range(mixture.classes)
    )


def of_most_probable(weight: Any, each: Any) -> Any:
    """Of `each` `(classes, subjects, ...)`, every subject's own, by `weight` `(classes, subjects)`."""
    best = jnp.argmax(weight, axis=0).reshape((1, -1) + (1,) * (jnp.ndim(each) - 2))
    return jnp.take_along_axis(jnp.asarray(each), best, axis=0)[0]
