"""The elementary and special functions that kernels call, as LLVM text for any number of lanes: no C library in it.

A kernel is one text for every processor and for CUDA devices, and gives the same numbers in 1, 8 or 16 lanes. The C
library has no vectors, differs between machines, and is not there on a device, so the functions are written here.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable

from twinjax.solve.fused.functions import algebraic, error, exponential, gamma, hyperbolic, power, trigonometric
from twinjax.solve.fused.ir import Builder

_BODIES: dict[str, Callable[..., str]] = {
    f.__name__: f
    for f in (
        *(exponential.exp, exponential.exp2, exponential.expm1, exponential.log, exponential.log1p),
        *(exponential.tanh, exponential.logistic, exponential.inverse_tenth_root, power.pow),
        *(trigonometric.sin, trigonometric.cos, trigonometric.tan),
        *(trigonometric.asin, trigonometric.acos, trigonometric.atan, trigonometric.atan2),
        *(hyperbolic.sinh, hyperbolic.cosh, hyperbolic.asinh, hyperbolic.acosh, hyperbolic.atanh),
        *(error.erf, error.erfc, error.erf_inv, algebraic.cbrt, algebraic.rem),
        *(gamma.lgamma, gamma.digamma, gamma.trigamma),
    )
}
_DOUBLE = frozenset({"lgamma", "digamma", "trigamma"})
"""What a kernel in single precision computes in double."""

FUNCTIONS = frozenset(_BODIES)
"""The names that `Builder.call` takes."""

Text = tuple[str, tuple[str, ...], tuple[str, ...]]
"""A definition, the names of the functions that it calls, and the declarations of intrinsics that it needs."""


def definition(name: str, lanes: int, precision: str, fused: bool = True) -> str:
    """The text of ``define internal <W x T> @tj.name(<W x T> %x)``, or of ``(%x, %y)``."""
    return _text(name, lanes, precision, fused)[0]


def needed(names: Iterable[str], lanes: int, precision: str, fused: bool = True) -> tuple[str, tuple[str, ...]]:
    """The definitions of functions and of all they call, each once, and the ``declare`` lines of their intrinsics.

    `fused=False` is for processors without a fused multiply-add: slower, and here and there a unit less exact.

    **Raises** `KeyError` for a name that is not in `FUNCTIONS`.
    """
    texts: dict[str, str] = {}
    declares: dict[str, None] = {}
    waiting = sorted(set(names), reverse=True)
    while waiting:
        name = waiting.pop()
        if name not in texts:
            texts[name], calls, intrinsics = _text(name, lanes, precision, fused)
            waiting.extend(calls)
            declares |= dict.fromkeys(intrinsics)
    return "\n".join(texts.values()), tuple(declares)


@functools.cache
def _text(name: str, lanes: int, precision: str, fused: bool) -> Text:
    if name.startswith(_WIDE):
        text, calls, intrinsics = _text(name.removeprefix(_WIDE), lanes, "f64", fused)
        return text.replace("@tj.", f"@tj.{_WIDE}"), tuple(_WIDE + c for c in calls), intrinsics
    body = _BODIES[name]
    b = Builder(lanes, precision, flags="", fused=fused)
    names = ["%x", "%y"][: len(inspect.signature(body).parameters) - 1]
    value = _through_double(b, name) if precision == "f32" and name in _DOUBLE else body(b, *names)
    given = ", ".join(f"{b.real} {n}" for n in names)
    head = f"define internal {b.real} @tj.{name}({given}) nounwind willreturn memory(none) {{"
    text = "\n".join([head, b.body(), f"  ret {b.real} {value}", "}", ""])
    return text, tuple(b.called), tuple(b.declared)


_WIDE = "double."
"""Before the names of functions in double precision that a kernel in single precision has."""


def _through_double(b: Builder, name: str) -> str:
    double = f"<{b.lanes} x double>"
    b.called[_WIDE + name] = None
    x = b.value(f"fpext {b.real} %x to {double}")
    return b.value(f"fptrunc {double} {b.value(f'call {double} @tj.{_WIDE}{name}({double} {x})')} to {b.real}")
