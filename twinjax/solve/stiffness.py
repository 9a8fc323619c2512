"""Whether a problem needs an implicit method, by measurement where its numbers are known."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from twinjax.models.base import AbstractModel
from twinjax.solve.flat import field, ravel
from twinjax.solve.problem import Problem

_STIFF = 3e4
"""Rate times duration above which an implicit method is chosen: an explicit one needs about a third as many steps."""


def is_stiff(problem: Problem, threshold: float = _STIFF) -> bool:
    """Whether the fastest rate of the first patients' Jacobians, times the duration, is above a threshold; inside jit,
    what the model says of itself.
    """
    known = not any(isinstance(x, Tracer) for x in jax.tree.leaves((problem.model, problem.time, problem.doses)))
    if not known:
        return type(problem.model).stiff
    if type(problem.model).stiff:
        return True
    few = jax.tree.map(lambda x: x[:4], problem)
    with jax.ensure_compile_time_eval():  # numbers that are known inside jit are measured there too
        jacobians = np.asarray(_first_jacobians(few))
    spans = np.ptp(np.asarray(few.time), axis=1)
    finite = np.all(np.isfinite(jacobians), axis=(1, 2))
    fastest = np.abs(np.linalg.eigvals(jacobians[finite])).max(axis=1, initial=0.0)
    return bool(np.any(fastest * spans[finite] > threshold))


@eqx.filter_jit
def _first_jacobians(p: Problem) -> Any:
    """Every patient's Jacobian with all doses given at once."""

    def one(model: AbstractModel, d: Any) -> Any:
        y = ravel(model.initial())
        y = y.at[d.compartment].add(jnp.where(d.given, d.amount, 0.0))
        return jax.jacfwd(lambda v: field(model, 0.0, v, jnp.zeros_like(v)))(y)

    return jax.vmap(one)(jax.tree.map(lambda x: x[:, 0], p.model), p.doses)
