"""Whether a model is linear in its state with constant coefficients, read off its jaxpr."""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import ClosedJaxpr

from twinjax.models.base import AbstractModel, no_input
from twinjax.naming import names
from twinjax.units import _CALLS

CONSTANT, LINEAR, NONLINEAR = range(3)
_PASS = {"neg", "convert_element_type", "broadcast_in_dim", "copy", "copy_p", "reshape", "squeeze", "stop_gradient"}
_SUM = {"add", "sub", "add_any"}


def nonlinearity(model: AbstractModel) -> str | None:
    """Why the equations are not linear with constant coefficients, in words; None if they are.

    Read once for every form of a model, of one patient or many: it does not depend on the numbers.
    """
    return _nonlinearity(jax.tree.structure(model))


@functools.cache
def _nonlinearity(form: Any) -> str | None:
    t = jax.ShapeDtypeStruct((), jnp.result_type(float))
    model = jax.tree.unflatten(form, [t] * form.num_leaves)
    y, u = jax.eval_shape(lambda m: m.initial(), model), jax.eval_shape(no_input, model)
    closed = jax.make_jaxpr(lambda m, t, y, u: m.derivative(t, y, u))(model, t, y, u)
    count = [len(jax.tree.leaves(x)) for x in (model, t, y, u)]
    by_state = _degrees(closed, [CONSTANT] * count[0] + [NONLINEAR] + [LINEAR] * (count[2] + count[3]))
    by_time = _degrees(closed, [CONSTANT] * count[0] + [LINEAR] + [CONSTANT] * (count[2] + count[3]))
    for name, of_state, of_time in zip(names(y), by_state, by_time, strict=True):
        if of_time != CONSTANT:
            return f"the derivative of {name} depends on time"
        if of_state == NONLINEAR:
            return f"the derivative of {name} is not linear in the state"
    return None


def _degrees(closed: Any, degrees: list[int]) -> list[int]:
    """The degree in the arguments marked LINEAR of every result of a jaxpr."""
    jaxpr = closed.jaxpr
    env: dict[Any, int] = dict(zip(jaxpr.invars, degrees, strict=True))
    env.update(dict.fromkeys(jaxpr.constvars, CONSTANT))

    def read(atom: Any) -> int:
        return CONSTANT if hasattr(atom, "val") else env[atom]

    for eqn in jaxpr.eqns:
        d, name = [read(a) for a in eqn.invars], eqn.primitive.name
        if name in _CALLS:
            inner = eqn.params.get("jaxpr") or eqn.params.get("call_jaxpr")
            results = _degrees(inner if hasattr(inner, "consts") else ClosedJaxpr(inner, ()), d)
        elif name in _SUM or name in _PASS:
            results = [max(d)]
        elif name == "mul":
            results = [min(sum(d), NONLINEAR)]
        elif name == "div":
            results = [d[0] if d[1] == CONSTANT else NONLINEAR]
        elif name == "select_n":
            results = [max(d[1:]) if d[0] == CONSTANT else NONLINEAR]
        else:
            results = [CONSTANT if max(d, default=CONSTANT) == CONSTANT else NONLINEAR]
        env.update(zip(eqn.outvars, results, strict=True))
    return [read(v) for v in jaxpr.outvars]
