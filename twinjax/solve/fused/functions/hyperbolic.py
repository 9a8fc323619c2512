"""Hyperbolic functions and their inverses, from exponentials and logarithms that are exact near zero."""

from __future__ import annotations

from twinjax.solve.fused.functions.exponential import LN2, expm1_parts, reduce
from twinjax.solve.fused.functions.floats import INFINITY, NAN, absolute, exponent_bits, form, with_sign
from twinjax.solve.fused.ir import Builder

LARGEST = {"f64": 710.7, "f32": 89.7}
"""Where sinh and cosh are infinite."""
FAR = {"f64": 2.0**60, "f32": 2.0**30}
"""Where 1 + x is x, and x**2 still a number."""


def sinh(b: Builder, x: str) -> str:
    """(exp(x) - exp(-x)) / 2."""
    size = absolute(b, x)
    held = b.minimum(LARGEST[b.precision], size)
    q, low = expm1_parts(b, held, halvings=2)
    below = b.add(1.0, b.mul(4.0, q))
    value = b.mul(2.0, b.add(q, b.add(b.div(q, below), low)))
    value = b.select(b.compare("olt", size, 2.0 ** -(form(b).digits // 2 + 1)), size, value)
    return with_sign(b, value, x)


def cosh(b: Builder, x: str) -> str:
    """(exp(x) + exp(-x)) / 2."""
    parts = reduce(b, b.minimum(LARGEST[b.precision], absolute(b, x)))
    quarter = b.from_bits(b.integer("add", exponent_bits(b, parts.held), form(b).one - (2 << form(b).digits)))
    high = b.mul(quarter, b.add(1.0, b.add(parts.r, parts.rest)))
    return b.mul(2.0, b.add(high, b.div(0.0625, high)))


def asinh(b: Builder, x: str) -> str:
    """log(x + sqrt(x**2 + 1)), odd in x."""
    size = absolute(b, x)
    far = b.compare("ogt", size, FAR[b.precision])
    square = b.mul(size, size)
    more = b.div(square, b.add(1.0, b.intrinsic("sqrt", b.add(1.0, square))))
    value = b.call("log1p", b.select(far, size, b.add(size, more)))
    return with_sign(b, b.select(far, b.add(value, LN2), value), x)


def acosh(b: Builder, x: str) -> str:
    """log(x + sqrt(x**2 - 1)), x >= 1."""
    far = b.compare("ogt", x, FAR[b.precision])
    t = b.sub(x, 1.0)
    more = b.intrinsic("sqrt", b.mul(t, b.add(t, 2.0)))
    value = b.call("log1p", b.select(far, x, b.add(t, more)))
    return b.select(b.compare("oge", x, 1.0), b.select(far, b.add(value, LN2), value), NAN)


def atanh(b: Builder, x: str) -> str:
    """log((1 + x) / (1 - x)) / 2, |x| <= 1."""
    size = absolute(b, x)
    value = b.call("log1p", b.div(b.mul(2.0, size), b.sub(1.0, size)))
    value = b.select(b.compare("olt", size, 2.0 ** -(form(b).digits // 2 + 1)), size, b.mul(0.5, value))
    return with_sign(b, b.select(b.compare("olt", size, INFINITY), value, NAN), x)
