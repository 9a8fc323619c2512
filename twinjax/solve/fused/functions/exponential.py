"""exp, log and their kin near zero, tanh and logistic, and the step-size controller's power.

An exponential is 2**n exp(r) with n whole and |r| <= ln(2) / 2; a logarithm k ln(2) + log(m) with m around 1.
"""

from __future__ import annotations

from typing import NamedTuple

from twinjax.solve.fused.functions.coefficients import EXP, EXP2, LOG, LOG2
from twinjax.solve.fused.functions.floats import (
    INFINITY,
    NAN,
    Pair,
    absolute,
    divide,
    exponent_bits,
    form,
    nearest,
    ordered_sum,
    polynomial,
    power_of_two,
    scale,
    split,
    two_sum,
    with_sign,
)
from twinjax.solve.fused.ir import Builder, Value

LOG2E = 1.4426950408889634
LN2 = 0.6931471805599453
LARGEST = {"f64": (-750.0, 711.0), "f32": (-110.0, 90.0)}
"""Beyond these the exponential is zero, and infinite."""


class Reduced(NamedTuple):
    """exp(x) = 2**n (1 + r + rest): n whole and `held` in the last bits of a number, |r| <= ln(2) / 2."""

    n: str
    held: str
    r: str
    rest: str


def reduce(b: Builder, x: Value, low: Value | None = None) -> Reduced:
    """The parts of exp(x), or of exp(x + low); `rest` keeps what `r` loses."""
    high_part, low_part = form(b).log2
    n, held = nearest_multiple(b, x)
    first = b.fma(n, -high_part, x)
    if low is None:
        r = b.fma(n, -low_part, first)
        lost = b.fma(n, -low_part, b.sub(first, r))
    else:
        r, lost = ordered_sum(b, first, b.fma(n, -low_part, low))
    return Reduced(n, held, r, b.fma(b.mul(r, r), polynomial(b, r, EXP[b.precision]), lost))


def nearest_multiple(b: Builder, x: Value) -> Pair:
    """How often ln 2 is in x."""
    magic = form(b).magic
    held = b.fma(x, LOG2E, magic)
    return b.sub(held, magic), held


def within(b: Builder, x: Value, lowest: float, highest: float) -> str:
    """X no less than `lowest` and no more than `highest`; not a number if x is not."""
    return b.maximum(lowest, b.minimum(highest, x))


def exp(b: Builder, x: str) -> str:
    """The exponential."""
    high_part, low_part = form(b).log2
    x = within(b, x, *LARGEST[b.precision])
    n, held = nearest_multiple(b, x)
    r = b.fma(n, -low_part, b.fma(n, -high_part, x))
    return scale(b, b.add(1.0, b.fma(b.mul(r, r), polynomial(b, r, EXP[b.precision]), r)), n, held)


def exp2(b: Builder, x: str) -> str:
    """2**x."""
    lowest, highest = LARGEST[b.precision]
    x = within(b, x, round(lowest * LOG2E), round(highest * LOG2E))
    n, held = nearest(b, x)
    r = b.mul(b.sub(x, n), LN2)
    return scale(b, b.add(1.0, b.fma(b.mul(r, r), polynomial(b, r, EXP[b.precision]), r)), n, held)


def expm1_parts(b: Builder, x: str, halvings: int = 1) -> Pair:
    """(exp(x) - 1) / 2**halvings in two words: from -44 to where that is no longer a number."""
    parts = reduce(b, x)
    unit = 2.0**-halvings
    power = b.from_bits(b.integer("add", exponent_bits(b, parts.held), form(b).one - (halvings << form(b).digits)))
    high, low = two_sum(b, b.sub(power, unit), b.mul(power, parts.r))
    return ordered_sum(b, high, b.fma(power, parts.rest, low))


def expm1(b: Builder, x: str) -> str:
    """exp(x) - 1."""
    high, _ = expm1_parts(b, within(b, x, -44.0, 710.0 if b.precision == "f64" else 89.0))
    return b.select(b.compare("olt", absolute(b, x), 2.0 ** -(form(b).digits + 2)), x, b.mul(2.0, high))


def tanh(b: Builder, x: str) -> str:
    """The hyperbolic tangent, -E / (2 + E) with E = exp(-2 |x|) - 1, in double words."""
    high, low = expm1_parts(b, b.mul(-2.0, b.minimum(22.0, absolute(b, x))))
    below, rest = ordered_sum(b, 1.0, high)
    value, correction = divide(b, (high, low), (below, b.add(rest, low)))
    return with_sign(b, b.add(value, correction), x)


def logistic(b: Builder, x: str) -> str:
    """1 / (1 + exp(-x)); for negative x exp(x) / (1 + exp(x)), so that it keeps its digits."""
    small = b.call("exp", b.neg(absolute(b, x)))
    return b.div(b.select(b.compare("olt", x, 0.0), small, 1.0), b.add(1.0, small))


# ----------------------------------------------------------------------------------------------------------- logarithms


def log_parts(b: Builder, f: str, k: str) -> tuple[str, str, str]:
    """log(1 + f) + k ln 2 = first + (f - rest): the parts in which to add a correction to `rest`."""
    high_part, low_part = form(b).log2
    s = b.div(f, b.add(2.0, f))
    z = b.mul(s, s)
    half = b.mul(b.mul(0.5, f), f)
    tail = b.fma(z, polynomial(b, z, LOG[b.precision]), half)
    return b.mul(k, high_part), f, b.sub(half, b.fma(s, tail, b.mul(k, low_part)))


def at_the_ends(b: Builder, x: str, value: str, zero: Value) -> str:
    """A logarithm's value for x > 0, and what it is at infinity, at 0 (where x = `zero`) and below."""
    value = b.select(b.compare("olt", x, INFINITY), value, x)
    return b.select(b.compare("ole", x, zero), b.select(b.compare("oeq", x, zero), -INFINITY, NAN), value)


def log(b: Builder, x: str) -> str:
    """The natural logarithm."""
    k, m = split(b, x)
    first, f, rest = log_parts(b, b.sub(m, 1.0), k)
    return at_the_ends(b, x, b.add(first, b.sub(f, rest)), 0.0)


def log1p(b: Builder, x: str) -> str:
    """log(1 + x): of the rounded sum u, with what the sum lost."""
    u = b.add(1.0, x)
    larger = b.compare("ogt", x, 1.0)
    lost = b.sub(b.select(larger, 1.0, x), b.sub(u, b.select(larger, x, 1.0)))
    k, m = split(b, u)
    near = b.compare("oeq", k, 0.0)
    f = b.select(near, x, b.sub(m, 1.0))
    first, f, rest = log_parts(b, f, k)
    rest = b.sub(rest, b.select(near, 0.0, b.div(lost, u)))
    value = at_the_ends(b, x, b.add(first, b.sub(f, rest)), -1.0)
    return b.select(b.compare("oeq", x, 0.0), x, value)


def inverse_tenth_root(b: Builder, x: str) -> str:
    """x**(-1/10) to a relative 1e-6, x taken to be within 1e-20 and 1e20."""
    k, m = split(b, within(b, x, 1e-20, 1e20))
    f = b.sub(m, 1.0)
    y = b.mul(b.fma(f, polynomial(b, f, LOG2), k), -0.1)
    n, held = nearest(b, y)
    value = b.mul(polynomial(b, b.sub(y, n), EXP2), power_of_two(b, held))
    return b.select(b.compare("uno", x, x), NAN, value)
