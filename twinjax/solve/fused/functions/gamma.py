"""The logarithm of the gamma function and its first two derivatives, in double precision.

Stirling's series from 10 on; an argument below 10 is moved there by ten steps of the recurrence, a negative one
reflected. A kernel in single precision calls them in double.

Reference: Abramowitz and Stegun, Handbook of Mathematical Functions (1964), 6.1.15 to 6.4.12.
"""

from __future__ import annotations

from twinjax.solve.fused.functions.coefficients import DIGAMMA, STIRLING, TRIGAMMA
from twinjax.solve.fused.functions.floats import (
    INFINITY,
    NAN,
    Pair,
    absolute,
    add,
    multiply,
    ordered_sum,
    polynomial,
    two_sum,
)
from twinjax.solve.fused.functions.power import log_double
from twinjax.solve.fused.functions.trigonometric import PI, half_turns
from twinjax.solve.fused.ir import Builder

STEPS = 10
"""How far an argument is moved, and from where it need not be."""
HALF_LOG_TWO_PI = 0.9189385332046728, -3.8782941580672414e-17
SMALL = 2.0**-60
"""Where only the pole counts."""


def lgamma(b: Builder, x: str) -> str:
    """The logarithm of |Gamma(x)|; infinite at 0, -1, -2, ..."""
    size = absolute(b, x)
    high, low = _positive(b, size)
    value = b.add(high, low)
    slot = b.slot()
    b.store(slot, value)
    with b.when(b.any(b.compare("olt", x, 0.0))):
        _, (s, _) = half_turns(b, size)
        area = b.div(PI[0], b.mul(b.maximum(size, SMALL), s))
        reflected = add(b, log_double(b, area), (b.neg(high), b.neg(low)))[0]
        reflected = b.select(b.compare("oeq", s, 0.0), INFINITY, reflected)
        mirrored = b.both(b.compare("olt", x, 0.0), b.compare("ogt", size, SMALL))
        b.store(slot, b.select(mirrored, reflected, value))
    value = b.select(b.compare("olt", size, INFINITY), b.load(slot), size)
    value = b.select(b.either(b.compare("oeq", x, 1.0), b.compare("oeq", x, 2.0)), 0.0, value)
    return b.select(b.compare("oeq", x, 0.0), INFINITY, value)


def _positive(b: Builder, x: str) -> Pair:
    """The logarithm of Gamma(x) in two words, 0 < x < infinity."""
    moved = b.compare("olt", x, float(STEPS))
    y = tuple(b.select(moved, v, w) for v, w in zip(two_sum(b, x, float(STEPS)), (x, 0.0), strict=True))
    logarithm = log_double(b, y[0])
    inverse = b.div(1.0, y[0])
    series = b.mul(inverse, polynomial(b, b.mul(inverse, inverse), STIRLING))
    # what the sum x + 10 lost moves the value by the derivative, log(y) - 1 / (2 y)
    series = b.fma(y[1], b.fma(-0.5, inverse, logarithm[0]), series)
    total = multiply(b, two_sum(b, y[0], -0.5), logarithm)
    total = add(b, add(b, ordered_sum(b, *total), HALF_LOG_TWO_PI), (b.neg(y[0]), series))
    product = _rising(b, b.select(moved, x, 1.0))
    passed = add(b, log_double(b, product[0]), (b.div(product[1], product[0]), 0.0))
    below = add(b, total, (b.neg(passed[0]), b.neg(passed[1])))
    far = b.compare("ogt", x, 2.0**70)  # where the parts above might overflow
    high = b.select(far, b.mul(y[0], b.sub(logarithm[0], 1.0)), b.select(moved, below[0], total[0]))
    return high, b.select(far, 0.0, b.select(moved, below[1], total[1]))


def _rising(b: Builder, x: str) -> Pair:
    """The product x (x + 1) ... (x + 9) in two words."""
    product: Pair = x, b.operand(0.0)
    for i in range(1, STEPS):
        product = ordered_sum(b, *multiply(b, product, two_sum(b, x, float(i))))
    return product


def _moved(b: Builder, x: str, power: int) -> tuple[str, str]:
    """An argument from 10 on, and the sum of 1 / (x + i)**power over the steps to there (0 without any)."""
    small = b.compare("olt", x, float(STEPS))
    held = b.select(small, x, 1.0)
    above, below = b.operand(1.0), held if power == 1 else b.mul(held, held)
    for i in range(1, STEPS):
        term = b.add(held, float(i))
        term = term if power == 1 else b.mul(term, term)
        above, below = b.fma(above, term, below), b.mul(below, term)
    return b.select(small, b.add(x, float(STEPS)), x), b.select(small, b.div(above, below), 0.0)


def digamma(b: Builder, x: str) -> str:
    """The derivative of log Gamma; not a number at 0, -1, -2, ..."""
    negative = b.compare("olt", x, 0.0)
    size = absolute(b, x)
    start = b.select(negative, b.add(1.0, size), x)
    y, passed = _moved(b, start, 1)
    inverse = b.div(1.0, y)
    square = b.mul(inverse, inverse)
    tail = b.fma(square, polynomial(b, square, DIGAMMA), b.mul(0.5, inverse))
    value = b.sub(b.sub(b.call("log", y), tail), passed)
    slot = b.slot()
    b.store(slot, value)
    with b.when(b.any(negative)):
        r, (s, c) = half_turns(b, size)
        slope = b.div(b.mul(PI[0], c), b.intrinsic("copysign", s, r))
        b.store(slot, b.select(negative, b.add(value, slope), value))
        pole = b.both(negative, b.compare("oeq", s, 0.0))
        b.store(slot, b.select(pole, NAN, b.load(slot)))
    return b.select(b.compare("oeq", x, 0.0), NAN, b.load(slot))


def trigamma(b: Builder, x: str) -> str:
    """The second derivative of log Gamma; infinite at 0, -1, -2, ..."""
    negative = b.compare("olt", x, 0.0)
    size = absolute(b, x)
    y, passed = _moved(b, b.select(negative, b.add(1.0, size), x), 2)
    inverse = b.div(1.0, y)
    square = b.mul(inverse, inverse)
    tail = b.fma(b.mul(square, inverse), polynomial(b, square, TRIGAMMA), b.mul(0.5, square))
    value = b.add(passed, b.add(inverse, tail))
    slot = b.slot()
    b.store(slot, value)
    with b.when(b.any(negative)):
        _, (s, _) = half_turns(b, size)
        ratio = b.div(PI[0], s)
        b.store(slot, b.select(negative, b.sub(b.mul(ratio, ratio), value), value))
    return b.select(b.compare("oeq", x, 0.0), INFINITY, b.load(slot))
