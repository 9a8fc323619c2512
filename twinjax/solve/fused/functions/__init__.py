"""The elementary and special functions that kernels call, as LLVM text for any number of lanes: no C library in it.

A kernel is one text for every processor and for CUDA devices, and gives the same numbers in 1, 8 or 16 lanes. The C
library has no vectors, differs between machines, and is not there on a device, so the functions are written here.

Largest errors measured, double and single precision, in units of the last place against twice the digits (a correctly
rounded value has 0.5); in the tests each has a bound:

    exp 1.1, 1.1    exp2 1.2, 1.1   expm1 1.4, 1.3  log 0.9, 0.8    log1p 0.9, 0.8  pow 1.1, 1.0     logistic 2.3, 2.4
    sin 0.9, 0.8    cos 0.9, 0.8    tan 2.2, 2.2    asin 1.2, 1.1   acos 0.8, 0.8   atan 1.9, 1.9    atan2 2.0, 2.0
    sinh 1.6, 1.6   cosh 1.4, 1.3   tanh 1.5, 1.5   asinh 1.7, 1.6  acosh 2.2, 2.3  atanh 1.6, 1.9   cbrt 0.6, 0.6
    erf 1.3, 1.1    erfc 2.8, 3.3   erf_inv 2.3, 2.1                rem 0, 0        trigamma 7.4, 0.5

    lgamma      relative 4e-16 where |value| > 1e-2 (4e-14 for negative x), absolute nearer to its zeros; single 0.5
    digamma     relative 2e-14 where |value| > 0.1, absolute nearer to its zeros; single 0.5
    inverse_tenth_root      relative 1e-6, for step sizes

What is not a number, infinite, zero or subnormal goes in and comes out as in C's library; sin, cos and tan beyond
2**30 (single: 2**17) give NaN. `floor`, `ceil`, `roundeven`, `fabs` and `sqrt` are intrinsics of LLVM.
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
