"""The error function, its complement and its inverse."""

from __future__ import annotations

from twinjax.solve.fused.functions.coefficients import ERF, ERF_INV, ERF_INV_TAIL, ERFC
from twinjax.solve.fused.functions.exponential import reduce
from twinjax.solve.fused.functions.floats import (
    INFINITY,
    absolute,
    divide,
    form,
    polynomial,
    scale,
    two_product,
    two_sum,
    with_sign,
)
from twinjax.solve.fused.ir import Builder

FURTHEST = {"f64": 28.0, "f32": 10.5}
"""Where erfc is zero."""
HALF_ROOT_PI = 0.886226925452758


def _near(b: Builder, x: str) -> str:
    """erf(x) for |x| <= 1."""
    return b.fma(x, polynomial(b, b.mul(x, x), ERF[b.precision]), x)


def _tail(b: Builder, x: str) -> str:
    """erfc(x) for x >= 1/2."""
    x = b.minimum(FURTHEST[b.precision], x)
    high, low = two_product(b, x, x)
    parts = reduce(b, b.neg(high), b.neg(low))
    q = b.div(b.sub(x, 3.0), b.add(x, 3.0))
    value, lost = divide(b, (polynomial(b, q, ERFC[b.precision]), 0.0), two_sum(b, b.mul(2.0, x), 1.0))
    return scale(b, b.add(value, b.fma(value, b.add(parts.r, parts.rest), lost)), parts.n, parts.held)


def erf(b: Builder, x: str) -> str:
    """The error function."""
    size = absolute(b, x)
    value = b.select(b.compare("olt", size, 1.0), _near(b, size), b.sub(1.0, _tail(b, size)))
    return with_sign(b, value, x)


def erfc(b: Builder, x: str) -> str:
    """1 - erf(x), exact where it is small."""
    size = absolute(b, x)
    tail = _tail(b, size)
    tail = b.select(b.compare("olt", x, 0.0), b.sub(2.0, tail), tail)
    return b.select(b.compare("olt", size, 0.5), b.sub(1.0, _near(b, x)), tail)


def erf_inv(b: Builder, x: str) -> str:
    """The y with erf(y) = x: a first guess, and a step of Halley's method from there."""
    size = absolute(b, x)
    rest = b.sub(1.0, size)
    w = b.neg(b.call("log", b.mul(rest, b.add(1.0, size))))
    near = b.compare("olt", w, 7.0)
    y = b.select(near, b.mul(size, polynomial(b, w, ERF_INV)), polynomial(b, b.intrinsic("sqrt", w), ERF_INV_TAIL))
    below, above = b.sub(b.call("erf", y), size), b.sub(rest, b.call("erfc", y))
    missed = b.select(b.compare("olt", size, 0.5), below, above)
    step = b.mul(b.mul(missed, b.call("exp", b.mul(y, y))), HALF_ROOT_PI)
    value = b.sub(y, b.div(step, b.fma(y, step, 1.0)))
    value = b.select(b.compare("oeq", size, 1.0), INFINITY, value)
    return with_sign(b, b.select(b.compare("olt", size, form(b).tiny), b.mul(HALF_ROOT_PI, size), value), x)
