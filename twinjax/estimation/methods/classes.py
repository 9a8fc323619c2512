"""The objective of a mixture of subpopulations, by any method that has one for each of them."""

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
    p, mixture = predictor.population, predictor.population.mixture
    if mixture is None:
        return method.evaluate(predictor, design, x, eta)
    count, subjects = mixture.classes, eta.shape[0]

    def log_share(x: Any) -> Any:
        return jnp.log(mixture.at(predictor.transform.unpack(x, p.theta)))

    def repeated(a: Any) -> Any:
        return jnp.tile(a, (count,) + (1,) * (a.ndim - 1))

    many = jax.tree.map(repeated, design)
    own = many.covariates[mixture.covariate]
    kind = jnp.repeat(jnp.arange(1.0, count + 1.0), subjects)
    many = eqx.tree_at(lambda d: d.covariates[mixture.covariate], many, jnp.broadcast_to(kind[:, None], own.shape))
    found = method.evaluate(predictor, many, x, repeated(eta))
    parts = jax.tree.map(lambda a: a.reshape(count, subjects, *a.shape[1:]), found)
    weighed = log_share(x)[:, None] - 0.5 * parts.objective
    weight = jax.nn.softmax(weighed, axis=0)
    by_share = weight.T @ jax.jacfwd(log_share)(x)
    best = jnp.argmax(weight, axis=0)
    return dataclasses.replace(
        found,
        objective=-2.0 * jax.nn.logsumexp(weighed, axis=0),
        gradient=jnp.einsum("ks,ksx->sx", weight, parts.gradient) - 2.0 * by_share,
        eta=jnp.take_along_axis(parts.eta, best[None, :, None], axis=0)[0],
        result=jnp.max(parts.result, axis=0),
        settled=jnp.all(parts.settled | (weight < 1e-8), axis=0),
        classes=weight.T,
        joint=None,  # one mode for each class
    )
