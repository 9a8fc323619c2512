"""The joint density at many points for each subject, all in one batch of solves: quadrature nodes, random draws.

Points are placed about each subject's mode on the scale of the curvature there: with C half the second derivative of
the joint -2 log density and C = L L', the point of standard coordinates u is mode + L^-T u.
"""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from twinjax.estimation.likelihood import penalty, terms
from twinjax.estimation.methods.mode import AbstractConditional, Modes
from twinjax.estimation.prediction import Design, Local, Predictor, expand
from twinjax.estimation.small import cholesky, log_determinant, lower_inverse
from twinjax.models.base import output_names
from twinjax.solve.problem import OK


class Scale(eqx.Module):
    """How one subject's points are placed.

    **Parameters**: `center` `(etas,)`; `lower` `(etas, etas)`, L^-1; `log_determinant` of C; `sound`, whether the
    curvature is the method's own.
    """

    center: Any
    lower: Any
    log_determinant: Any
    sound: Any

    def __call__(self, standard: Any) -> Any:
        """Points `(points, etas)` from standard coordinates of that shape."""
        return self.center + standard @ self.lower


def scale(about: AbstractConditional, predictor: Predictor, x: Any, modes: Modes) -> Scale:
    """One subject's, which moves with `x`: its mode by the implicit function theorem."""

    def slope(x: Any) -> Any:
        return jax.grad(lambda e: about.joint(predictor, x, e, modes.case))(modes.eta)

    moved = slope(x)
    eta = modes.eta - modes.newton @ (moved - jax.lax.stop_gradient(moved))
    curvature, sound = about.curvature(predictor, x, eta, modes.case)
    return Scale(eta, lower_inverse(cholesky(curvature)), log_determinant(curvature), sound)


def repeated(design: Design, count: int) -> Design:
    """Every subject `count` times over, one after the other."""
    return jax.tree.map(lambda leaf: jnp.repeat(leaf, count, axis=0), design)


def solved(predictor: Predictor, design: Design, x: Any, eta: Any, order: int) -> tuple[Local, Any]:
    """Predictions at `eta` `(subjects, points, etas)` by the solve itself, with derivatives up to `order`, and which
    points were solved; `(subjects, points)` lead. What failed is finite, but says nothing.
    """
    subjects, points, etas = eta.shape
    many = repeated(design, points)
    local = predictor.local(predictor.every(x, eta.reshape(-1, etas), many), x, many, order)
    good = (local.result == OK) & jnp.all(jnp.isfinite(local.value), axis=-1)

    def tidy(leaf: Any, instead: float) -> Any:
        leaf = jnp.where(good.reshape((-1,) + (1,) * (leaf.ndim - 1)), leaf, instead)
        return leaf.reshape((subjects, points, *leaf.shape[1:]))

    slope, bend, twist = (None if d is None else tidy(d, 0.0) for d in (local.slope, local.bend, local.twist))
    result = local.result.reshape(subjects, points)
    z = local.z.reshape(subjects, points, -1)
    return Local(z, tidy(local.value, 1.0), slope, bend, twist, result), good.reshape(subjects, points)


def joint_at(predictor: Predictor, x: Any, eta: Any, local: Local, good: Any, observed: Any, own: Any) -> Any:
    """-2 log of one subject's joint density at points `eta` `(points, etas)`, solved near there; +inf where the solve
    failed.
    """
    p = predictor.population
    theta = predictor.transform.unpack(x, p.theta)
    outputs, omega = output_names(p.model), p.omega(theta)

    def one(eta: Any, local: Local) -> Any:
        f = expand(local, predictor.coordinates(x, eta, own))
        return jnp.sum(terms(p.errors(theta, eta), outputs, observed, f).objective) + penalty(omega, eta)

    return jnp.where(good, jax.vmap(one)(eta, local), jnp.inf)
