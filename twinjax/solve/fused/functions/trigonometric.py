"""Sines and their inverses.

An angle is reduced to within pi / 4 by a multiple of pi / 2 that is subtracted in three words, so that what is left has
all its digits wherever the angle lies between -`FURTHEST` and `FURTHEST`. Beyond, the result is not a number.
"""

from __future__ import annotations

from typing import NamedTuple

from twinjax.solve.fused.functions.coefficients import ASIN, ATAN, COS, SIN
from twinjax.solve.fused.functions.floats import (
    INFINITY,
    NAN,
    Pair,
    absolute,
    form,
    in_words,
    nearest,
    ordered_sum,
    polynomial,
    residual,
    two_product,
    two_sum,
    with_sign,
)
from twinjax.solve.fused.ir import Builder, Value

FURTHEST = {"f64": 2.0**30, "f32": 2.0**17}
"""The largest angle, in radians, of sin, cos and tan."""

HALF_PI = 1.5707963267948966, 6.123233995736766e-17, -1.4973849048591698e-33
PI = 3.141592653589793, 1.2246467991473532e-16


class Angle(NamedTuple):
    """x = n pi / 2 + r + low, n whole and in the last bits of `held`, |r| about pi / 4 at most."""

    held: str
    r: str
    low: str


def reduce(b: Builder, x: str) -> Angle:
    """An angle's place within a quarter turn."""
    first, second, third = in_words(b, *HALF_PI)
    n, held = nearest(b, b.mul(x, 0.6366197723675814))
    left = residual(b, x, n, first)  # exact: both are whole multiples of the last bit of `first`
    high, low = two_product(b, n, second)
    r, lost = two_sum(b, left, b.neg(high))
    return Angle(held, *ordered_sum(b, r, b.fma(b.neg(n), third, b.sub(lost, low))))


def sine(b: Builder, r: str, low: Value) -> str:
    """sin(r + low) for |r| up to pi / 4."""
    z = b.mul(r, r)
    return b.add(r, b.fma(b.mul(r, z), polynomial(b, z, SIN[b.precision]), b.mul(low, b.fma(-0.5, z, 1.0))))


def cosine(b: Builder, r: str, low: Value) -> str:
    """cos(r + low) for |r| up to pi / 4."""
    z = b.mul(r, r)
    half = b.mul(0.5, z)
    high, lost = ordered_sum(b, 1.0, b.neg(half))
    tail = b.fma(b.mul(z, z), polynomial(b, z, COS[b.precision]), b.fma(b.neg(r), low, lost))
    return b.add(high, tail)


def _quarter(b: Builder, x: str, turns: int) -> str:
    """sin(x + turns pi / 2)."""
    angle = reduce(b, x)
    quarter = b.integer("add", b.as_bits(angle.held), turns)
    odd = b.compare_integers("ne", b.integer("and", quarter, 1), 0)
    value = b.select(odd, cosine(b, angle.r, angle.low), sine(b, angle.r, angle.low))
    sign = b.integer("shl", b.integer("and", quarter, 2), b.bits - 2)
    return _in_range(b, x, b.from_bits(b.integer("xor", b.as_bits(value), sign)))


def _in_range(b: Builder, x: str, value: str) -> str:
    return b.select(b.compare("ole", absolute(b, x), FURTHEST[b.precision]), value, NAN)


def _small(b: Builder, x: str, value: str) -> str:
    """The value, or x where it is so small that it is the value: the steps above would lose its sign or last bits."""
    return b.select(b.compare("olt", absolute(b, x), 2.0 ** -(form(b).digits // 2 + 1)), x, value)


def sin(b: Builder, x: str) -> str:
    """The sine."""
    return _small(b, x, _quarter(b, x, 0))


def cos(b: Builder, x: str) -> str:
    """The cosine."""
    return _quarter(b, x, 1)


def tan(b: Builder, x: str) -> str:
    """The tangent."""
    angle = reduce(b, x)
    s, c = sine(b, angle.r, angle.low), cosine(b, angle.r, angle.low)
    odd = b.compare_integers("ne", b.integer("and", b.as_bits(angle.held), 1), 0)
    value = b.div(b.select(odd, b.neg(c), s), b.select(odd, s, c))
    return _small(b, x, _in_range(b, x, value))


def half_turns(b: Builder, x: str) -> tuple[str, Pair]:
    """What is left of x after the nearest whole number, r, and sin(pi |r|) and cos(pi |r|): x >= 0."""
    large = 2.0 ** form(b).digits
    r = b.select(b.compare("olt", x, large), b.sub(x, b.sub(b.add(x, large), large)), 0.0)
    size = absolute(b, r)
    far = b.compare("ogt", size, 0.25)
    left = b.select(far, b.sub(0.5, size), size)
    high, low = two_product(b, left, PI[0])
    low = b.fma(left, PI[1], low)
    s, c = sine(b, high, low), cosine(b, high, low)
    return r, (b.select(far, c, s), b.select(far, s, c))


# ------------------------------------------------------------------------------------------------------------- inverses


def asin(b: Builder, x: str) -> str:
    """The angle in [-pi / 2, pi / 2] with this sine."""
    near, s, rest = _arc(b, x)
    high, low = in_words(b, *HALF_PI)[:2]
    far = b.sub(high, b.fma(2.0, s, b.sub(b.mul(2.0, rest), low)))
    return with_sign(b, b.select(near, b.add(s, rest), far), x)


def acos(b: Builder, x: str) -> str:
    """The angle in [0, pi] with this cosine."""
    near, s, rest = _arc(b, x)
    high, low = in_words(b, *HALF_PI)[:2]
    s, rest = with_sign(b, s, x), b.mul(rest, with_sign(b, 1.0, x))
    middle = b.sub(high, b.add(s, b.sub(rest, low)))
    s, rest = b.mul(2.0, s), b.mul(2.0, rest)
    up = b.add(s, rest)
    down = b.fma(2.0, high, b.add(s, b.fma(2.0, low, rest)))
    return b.select(near, middle, b.select(b.compare("olt", x, 0.0), down, up))


def _arc(b: Builder, x: str) -> tuple[str, str, str]:
    """A mask |x| <= 1/2, and s + rest: asin(|x|) where it holds, else asin(sqrt((1 - |x|) / 2))."""
    size = absolute(b, x)
    near = b.compare("ole", size, 0.5)
    z = b.select(near, b.mul(size, size), b.mul(0.5, b.sub(1.0, size)))
    root = b.intrinsic("sqrt", z)
    lost = b.div(residual(b, z, root, root), b.add(root, root))
    lost = b.select(b.either(near, b.compare("oeq", root, 0.0)), 0.0, lost)
    s = b.select(near, size, root)
    return near, s, b.fma(b.mul(s, z), polynomial(b, z, ASIN[b.precision]), lost)


def atan(b: Builder, x: str) -> str:
    """The angle in (-pi / 2, pi / 2) with this tangent."""
    value = _direction(b, absolute(b, x), b.operand(1.0), None)
    return with_sign(b, value, x)


def atan2(b: Builder, y: str, x: str) -> str:
    """The angle of the point (x, y) from the x axis, in [-pi, pi]; signed zeros count, as in C."""
    left = b.compare_integers("slt", b.as_bits(x), 0)
    value = with_sign(b, _direction(b, absolute(b, y), absolute(b, x), left), y)
    return b.select(b.compare("uno", x, y), NAN, value)


def _direction(b: Builder, y: str, x: str, left: str | None) -> str:
    """The angle of (x, y), or of (-x, y) where the mask `left` holds; x, y >= 0.

    k pi / 4 + or - atan(t), with t no more than tan(pi / 8): from the ratio of the smaller to the larger of x and y,
    or, nearer to the diagonal, of their difference and sum.
    """
    steep = b.compare("ogt", y, x)
    small, large = b.select(steep, x, y), b.select(steep, y, x)
    alike = b.compare("oeq", small, INFINITY)
    down = b.select(b.compare("ogt", large, 2.0 ** (form(b).bias - 2)), 0.125, 1.0)
    small, large = b.select(alike, 1.0, b.mul(small, down)), b.select(alike, 1.0, b.mul(large, down))
    diagonal = b.compare("ogt", small, b.mul(0.41421356237309503, large))
    top = b.select(diagonal, b.sub(small, large), small)
    bottom = b.select(diagonal, b.add(large, small), large)
    t = b.div(top, b.select(b.compare("oeq", bottom, 0.0), 1.0, bottom))
    z = b.mul(t, t)
    turned = steep if left is None else b.differs(steep, left)
    rest = b.mul(b.mul(t, z), polynomial(b, z, ATAN[b.precision]))
    t, rest = (b.select(turned, b.neg(v), v) for v in (t, rest))
    high, low = _eighths(b, diagonal, steep, left)
    first, lost = ordered_sum(b, high, t)
    return b.select(b.compare("oeq", high, 0.0), b.add(t, rest), b.add(first, b.add(b.add(lost, low), rest)))


def _eighths(b: Builder, diagonal: str, steep: str, left: str | None) -> Pair:
    """The multiple of pi / 4 to start from, in two words."""
    parts = []
    for i in range(2):
        none, one, two, three, four = (in_words(b, *(k * w / 4 for w in PI))[i] for k in range(5))
        flat = b.select(steep, two, none if left is None else b.select(left, four, none))
        between = b.operand(one) if left is None else b.select(left, three, one)
        parts.append(b.select(diagonal, between, flat))
    return parts[0], parts[1]
