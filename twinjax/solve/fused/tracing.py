"""From a model's jaxpr to the graph: what a model wrote once, read off for the kernel; or, in words, why not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend import core, source_info_util

from twinjax.solve.fused.graph import COMPARISONS, Graph


class Unsupported(Exception):
    """What a kernel cannot compute, in words."""


_SAME = {
    **{n: n for n in ("add", "sub", "mul", "div", "neg", "max", "min", "pow", "atan2", "rem", "abs", "sign", "floor")},
    **{n: n for n in ("ceil", "exp", "exp2", "expm1", "log", "log1p", "sqrt", "cbrt", "logistic", "tanh", "tan")},
    **{n: n for n in ("sin", "cos", "sinh", "cosh", "asin", "acos", "atan", "asinh", "acosh", "atanh", "erf", "erfc")},
    **{n: n for n in ("lgamma", "digamma", "erf_inv", *COMPARISONS)},
    "add_any": "add", "is_finite": "finite", "stop_gradient": "stop",
}  # fmt: skip
"""Primitives that are an operation of the graph."""

_CALLS = {"jit": "jaxpr", "pjit": "jaxpr", "closed_call": "call_jaxpr", "core_call": "call_jaxpr", "remat": "jaxpr",
          "checkpoint": "jaxpr", "custom_vjp_call": "call_jaxpr", "custom_vjp_call_jaxpr": "fun_jaxpr"}  # fmt: skip
_PLAIN = {"copy", "copy_p", "broadcast_in_dim", "reshape", "squeeze", "reduce_precision", "optimization_barrier"}
"""Primitives that do nothing to a scalar."""


def trace(graph: Graph, function: Callable[..., Any], arguments: Sequence[int]) -> list[int]:
    """The nodes of `function(*scalars)`, a flat sequence of scalars, applied to nodes.

    **Raises** `Unsupported`, naming primitive and source line, for arrays and for operations no kernel has.
    """
    scalars = [jax.ShapeDtypeStruct((), jnp.result_type(float))] * len(arguments)
    closed = jax.make_jaxpr(function)(*scalars)
    return read(graph, closed.jaxpr, closed.consts, arguments)


def read(graph: Graph, jaxpr: Any, consts: Sequence[Any], arguments: Sequence[int]) -> list[int]:
    """The nodes of a jaxpr's outputs, given those of its inputs."""
    known: dict[Any, int] = {}

    def node(atom: Any) -> int:
        return _literal(graph, atom.val) if isinstance(atom, core.Literal) else known[atom]

    for var, value in zip(jaxpr.constvars, consts, strict=True):
        known[var] = _literal(graph, value)
    known.update(zip(jaxpr.invars, arguments, strict=True))
    for eqn in jaxpr.eqns:
        known.update(zip(eqn.outvars, _equation(graph, eqn, [node(a) for a in eqn.invars]), strict=True))
    return [node(v) for v in jaxpr.outvars]


def _literal(graph: Graph, value: Any) -> int:
    if np.size(value) != 1:
        raise Unsupported(f"it holds an array of shape {np.shape(value)}; a kernel needs named scalars")
    return graph.constant(float(np.asarray(value).reshape(())))


def _equation(graph: Graph, eqn: Any, given: list[int]) -> list[int]:
    name, params = eqn.primitive.name, eqn.params
    for v in [*eqn.invars, *eqn.outvars]:
        if getattr(v.aval, "size", 1) != 1:
            raise Unsupported(f"{name} works on an array of shape {v.aval.shape}{_where(eqn)}")
    if name in _CALLS:
        inner = params[_CALLS[name]]
        return read(graph, getattr(inner, "jaxpr", inner), getattr(inner, "consts", ()), given)
    if name == "custom_jvp_call":
        return _custom(graph, eqn, given)
    found = _scalar(graph, eqn, name, params, given)
    if found is None:
        raise Unsupported(f"no kernel has the operation {name}{_where(eqn)}")
    return [found]


def _scalar(graph: Graph, eqn: Any, name: str, params: Any, given: list[int]) -> int | None:
    """One operation with one result; None if it is unknown."""
    boolean = eqn.invars and getattr(eqn.invars[0].aval, "dtype", None) == np.bool_
    if name in ("add", "sub", "mul", "div", "neg", "add_any"):
        return getattr(graph, {"add_any": "add"}.get(name, name))(*given)
    if name in ("eq", "ne") and boolean:
        return _logic(graph, "xor", given) if name == "ne" else _logic(graph, "not", [_logic(graph, "xor", given)])
    if name in _SAME:
        return graph.apply(_SAME[name], *given)
    if name in ("and", "or", "xor", "not") and boolean:
        return _logic(graph, name, given)
    if name in _PLAIN:
        return given[0]
    if name == "square":
        return graph.mul(given[0], given[0])
    if name == "integer_pow":
        return graph.power(given[0], params["y"])
    if name == "rsqrt":
        return graph.div(graph.constant(1.0), graph.apply("sqrt", given[0]))
    if name == "round":
        return graph.apply("round", given[0]) if int(params["rounding_method"]) == 1 else None
    if name == "clamp":
        low, x, high = given
        return graph.apply("min", graph.apply("max", x, low), high)
    if name == "select_n":
        return graph.select(given[0], given[2], given[1]) if boolean and len(given) == 3 else None
    if name == "convert_element_type":
        return _converted(graph, given[0], eqn.invars[0].aval.dtype, np.dtype(params["new_dtype"]))
    return None


def _converted(graph: Graph, x: int, old: Any, new: Any) -> int | None:
    if old == new or (jnp.issubdtype(new, jnp.floating) and old != np.bool_):
        return x
    if old == np.bool_:
        return graph.select(x, graph.constant(1.0), graph.constant(0.0))
    if new == np.bool_:
        return graph.apply("ne", x, graph.constant(0.0))
    return x if graph.number(x) is not None else None


def _logic(graph: Graph, name: str, given: list[int]) -> int:
    """A connective of masks; numbers 1 and 0 stand for true and false."""
    known = [graph.number(x) for x in given]
    true, false = graph.constant(1.0), graph.constant(0.0)
    if name == "not":
        return graph.apply("not", given[0]) if known[0] is None else (false if known[0] else true)
    for value, other in ((known[0], given[1]), (known[1], given[0])):
        if value is None:
            continue
        if name == "and":
            return other if value else false
        if name == "or":
            return true if value else other
        return _logic(graph, "not", [other]) if value else other
    return graph.apply(name, *given)


def _custom(graph: Graph, eqn: Any, given: list[int]) -> list[int]:
    """A function whose author wrote its derivative: the value from its body, the derivative from the author's rule."""
    inner = eqn.params["call_jaxpr"]
    values = read(graph, inner.jaxpr, inner.consts, given)
    found = {v: x for v, x in zip(eqn.invars, given, strict=True) if not isinstance(v, core.Literal)}
    function = core.jaxpr_as_fun(core.ClosedJaxpr(core.Jaxpr((), list(found), eqn.outvars, [eqn]), ()))
    shapes = [jax.ShapeDtypeStruct((), v.aval.dtype) for v in found]
    moving = [i for i, s in enumerate(shapes) if jnp.issubdtype(s.dtype, jnp.inexact)]

    def along(x: Sequence[Any], moved: Sequence[Any]) -> Sequence[Any]:
        def only(*some: Any) -> Any:
            full = list(x)
            for i, v in zip(moving, some, strict=True):
                full[i] = v
            return function(*full)

        return jax.jvp(only, tuple(x[i] for i in moving), tuple(moved))[1]

    def rule(graph: Graph, args: Sequence[int], tangents: Sequence[int]) -> Sequence[int]:
        closed = jax.make_jaxpr(along)(shapes, [shapes[i] for i in moving])
        return read(graph, closed.jaxpr, closed.consts, [*args, *(tangents[i] for i in moving)])

    return [graph.custom(v, rule, tuple(found.values()), i) for i, v in enumerate(values)]


def _where(eqn: Any) -> str:
    found = source_info_util.summarize(eqn.source_info)
    return f" ({found})" if found else ""
