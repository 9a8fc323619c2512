"""pow: x**y = exp(y log x) with the logarithm in double words, so that large exponents keep their digits."""

from __future__ import annotations

from twinjax.solve.fused.functions.coefficients import POW
from twinjax.solve.fused.functions.exponential import reduce
from twinjax.solve.fused.functions.floats import (
    INFINITY,
    NAN,
    Pair,
    absolute,
    divide,
    form,
    in_words,
    multiply,
    ordered_sum,
    polynomial,
    scale,
    split,
    two_product,
)
from twinjax.solve.fused.ir import Builder, Value

THIRDS = 0.6666666666666666, 3.700743415417188e-17
"""2/3 in two words."""
STEEP = {"f64": (1e22, 800.0), "f32": (1e12, 120.0)}
"""An exponent, and the logarithm of a power, beyond which the power is 0 or infinite (unless the base is 1)."""


def log_double(b: Builder, x: str) -> Pair:
    """log(x), x > 0 and finite, in two words."""
    high_part, low_part = form(b).log2
    k, m = split(b, x)
    f = b.sub(m, 1.0)
    below, rest = ordered_sum(b, 2.0, f)
    s = ordered_sum(b, *divide(b, (f, 0.0), (below, rest)))
    z = multiply(b, s, s)
    third = multiply(b, z, in_words(b, *THIRDS))
    tail = b.mul(b.mul(z[0], z[0]), polynomial(b, z[0], POW[b.precision]))
    high, low = ordered_sum(b, third[0], tail)
    high, more = ordered_sum(b, 2.0, high)
    product = multiply(b, s, (high, b.add(more, b.add(low, third[1]))))
    first, lost = ordered_sum(b, b.mul(k, high_part), product[0])
    return ordered_sum(b, first, b.add(lost, b.fma(k, low_part, product[1])))


def whole(b: Builder, y: Value) -> str:
    """A mask: y is a whole number (or infinite)."""
    size, large = absolute(b, y), 2.0 ** form(b).digits
    return b.either(b.compare("oge", size, large), b.compare("oeq", b.sub(b.add(size, large), large), size))


def pow(b: Builder, x: str, y: str) -> str:
    """x**y as C's pow."""
    steep, furthest = STEEP[b.precision]
    size = absolute(b, x)
    log = log_double(b, size)
    held_y = b.maximum(-steep, b.minimum(steep, y))
    high, low = two_product(b, held_y, log[0])
    low = b.fma(held_y, log[1], low)
    inside = b.compare("olt", absolute(b, high), furthest)
    low = b.select(inside, low, 0.0)
    high = b.select(inside, high, b.select(b.compare("ogt", high, 0.0), furthest, -furthest))
    parts = reduce(b, high, low)
    slot = b.slot()
    b.store(slot, scale(b, b.add(1.0, b.add(parts.r, parts.rest)), parts.n, parts.held))
    usual = b.both(b.compare("ogt", x, 0.0), b.compare("olt", x, INFINITY))
    usual = b.both(usual, b.compare("olt", absolute(b, y), INFINITY))
    with b.when(b.any(b.invert(usual))):
        b.store(slot, _special(b, x, y, size, b.load(slot)))
    return b.load(slot)


def _special(b: Builder, x: str, y: str, size: str, value: str) -> str:
    """The power where base or exponent are zero, infinite, negative or not numbers."""
    shrinks = b.differs(b.compare("ogt", size, 1.0), b.compare("ogt", y, 0.0))
    extreme = b.select(shrinks, 0.0, INFINITY)
    ends = b.either(b.compare("oeq", size, 0.0), b.compare("oeq", size, INFINITY))
    value = b.select(b.either(ends, b.compare("oeq", absolute(b, y), INFINITY)), extreme, value)
    negative = b.compare_integers("slt", b.as_bits(x), 0)
    odd = b.both(whole(b, y), b.invert(whole(b, b.mul(0.5, y))))
    value = b.select(b.both(negative, odd), b.neg(value), value)
    broken = b.both(b.compare("olt", x, 0.0), b.invert(whole(b, y)))
    value = b.select(b.both(broken, b.compare("olt", size, INFINITY)), NAN, value)
    value = b.select(b.compare("uno", x, y), NAN, value)
    one = b.both(b.compare("oeq", size, 1.0), b.compare("oeq", absolute(b, y), INFINITY))
    one = b.either(one, b.either(b.compare("oeq", y, 0.0), b.compare("oeq", x, 1.0)))
    return b.select(one, 1.0, value)
