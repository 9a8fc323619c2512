"""What the functions share: the parts of a floating-point number, polynomials, and arithmetic in double words.

A double word is an unevaluated sum `(high, low)` of two numbers, with `|low|` around half a unit in the last place of
`high`: twice the digits. Its steps are exact only as they are written, so nothing here may be contracted or reordered.

References: Dekker, Numer. Math. 18, 224 (1971), doi:10.1007/BF01397083; Joldes, Muller and Popescu, ACM Trans. Math.
Softw. 44, 15 (2017), doi:10.1145/3121432.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from twinjax.solve.fused.ir import Builder, Value

INFINITY = float("inf")
NAN = float("nan")

Pair = tuple[str, str]
"""A double word: high and low part."""
Words = tuple[Value, ...]
"""One that may be a constant."""


@dataclass(frozen=True)
class Format:
    """A binary format of IEEE 754.

    `digits`, bits of the significand that are stored; `bias` of the exponent; `log2`, ln 2 in two parts, the first
    short enough for its product with any exponent to be exact.
    """

    digits: int
    bias: int
    log2: tuple[float, float]

    @property
    def one(self) -> int:
        """The bits of 1."""
        return self.bias << self.digits

    @property
    def magic(self) -> float:
        """1.5 * 2**digits: a number that is added to it is rounded to a whole one, which the last bits hold."""
        return 1.5 * 2.0**self.digits

    @property
    def tiny(self) -> float:
        """The smallest normal number."""
        return 2.0 ** (1 - self.bias)


_FORMATS = {
    "f64": Format(52, 1023, (0.6931471805598903, 5.497923018708371e-14)),
    "f32": Format(23, 127, (0.693115234375, 3.1946184945309415e-05)),
}


def form(b: Builder) -> Format:
    """The format of a builder's reals."""
    return _FORMATS[b.precision]


def in_words(b: Builder, *words: float) -> tuple[float, ...]:
    """A constant that is given as a sum of doubles, as a sum of as many numbers of the builder's format."""
    left, parts = sum(map(Fraction, words)), []
    for _ in words:
        nearest = float(left)
        parts.append(nearest if b.precision == "f64" else struct.unpack("<f", struct.pack("<f", nearest))[0])
        left -= Fraction(parts[-1])
    return tuple(parts)


# ----------------------------------------------------------------------------------------------------- parts of numbers


def absolute(b: Builder, x: Value) -> str:
    """|x|."""
    return b.intrinsic("fabs", x)


def with_sign(b: Builder, x: Value, sign: Value) -> str:
    """|x| with the sign of `sign`."""
    return b.intrinsic("copysign", x, sign)


def nearest(b: Builder, x: Value) -> Pair:
    """X rounded to a whole number n, |n| < 2**(digits - 2), and a number whose last bits are n."""
    magic = form(b).magic
    held = b.add(x, magic)
    return b.sub(held, magic), held


def exponent_bits(b: Builder, held: str) -> str:
    """Of a whole number n, in the last bits of `held`: what to add to the bits of a number to multiply it by 2**n."""
    return b.integer("shl", b.as_bits(held), form(b).digits)


def power_of_two(b: Builder, held: str) -> str:
    """2**n of a normal exponent n, in the last bits of `held`."""
    return b.from_bits(b.integer("add", exponent_bits(b, held), form(b).one))


def scale(b: Builder, x: str, n: Value, held: str) -> str:
    """X 2**n for x around 1, rounded once: to infinity or through the subnormal numbers to zero, if it must be.

    `n` whole, up to twice the largest exponent, and in the last bits of `held`.
    """
    half = b.fma(n, 0.5, form(b).magic)
    first = b.from_bits(b.integer("add", b.as_bits(x), exponent_bits(b, half)))
    rest = b.integer("shl", b.integer("sub", b.as_bits(held), b.as_bits(half)), form(b).digits)
    return b.mul(first, b.from_bits(b.integer("add", rest, form(b).one)))


def split(b: Builder, x: str) -> Pair:
    """K and m of x = m 2**k with sqrt(1/2) <= m < sqrt(2), for any positive finite x; subnormal numbers too."""
    f = form(b)
    low = b.compare("olt", x, f.tiny)
    x = b.select(low, b.mul(x, 2.0 ** (f.digits + 2)), x)
    root = 0x3FE6A09E667F3BCD if f.digits == 52 else 0x3F3504F3
    moved = b.integer("add", b.as_bits(x), f.one - root)
    m = b.integer("add", b.integer("and", moved, (1 << f.digits) - 1), root)
    shift = 2.0**f.digits
    k = b.from_bits(b.integer("or", b.integer("lshr", moved, f.digits), (f.bias + f.digits) << f.digits))
    bias = b.select(low, shift + f.bias + f.digits + 2, shift + f.bias)
    return b.sub(k, bias), b.from_bits(m)


# ---------------------------------------------------------------------------------------------------------- polynomials


def polynomial(b: Builder, x: str, coefficients: Sequence[float]) -> str:
    """The sum of coefficients[i] x**i; the long ones in two interleaved halves, for a processor's pipeline."""
    if len(coefficients) < 6:
        return _horner(b, x, coefficients)
    square = b.mul(x, x)
    return b.fma(_horner(b, square, coefficients[1::2]), x, _horner(b, square, coefficients[::2]))


def _horner(b: Builder, x: str, coefficients: Sequence[float]) -> str:
    value: Value = coefficients[-1]
    for c in coefficients[-2::-1]:
        value = b.fma(value, x, c)
    return b.operand(value) if not isinstance(value, str) else value


# --------------------------------------------------------------------------------------------------------- double words


def ordered_sum(b: Builder, x: Value, y: Value) -> Pair:
    """X + y exactly, for |x| >= |y| or x = 0."""
    high = b.add(x, y)
    return high, b.sub(y, b.sub(high, x))


def two_sum(b: Builder, x: Value, y: Value) -> Pair:
    """X + y exactly."""
    high = b.add(x, y)
    part = b.sub(high, x)
    return high, b.add(b.sub(x, b.sub(high, part)), b.sub(y, part))


def two_product(b: Builder, x: Value, y: Value) -> Pair:
    """X y exactly, unless it under- or overflows."""
    high = b.mul(x, y)
    if b.fused:
        return high, b.fma(x, y, b.neg(high))
    (x1, x2), (y1, y2) = _halves(b, x), _halves(b, y)
    low = b.sub(b.mul(x1, y1), high)
    low = b.add(b.add(low, b.mul(x1, y2)), b.mul(x2, y1))
    return high, b.add(low, b.mul(x2, y2))


def residual(b: Builder, c: Value, x: Value, y: Value) -> str:
    """C - x y where that is a number, so exactly: c near the product."""
    if b.fused:
        return b.fma(b.neg(x), y, c)
    high, low = two_product(b, x, y)
    return b.sub(b.sub(c, high), low)


def _halves(b: Builder, x: Value) -> Pair:
    """X in two parts of half the digits (Veltkamp)."""
    large = b.mul(x, 2.0 ** ((form(b).digits + 2) // 2) + 1)
    high = b.sub(large, b.sub(large, x))
    return high, b.sub(x, high)


def multiply(b: Builder, x: Words, y: Words) -> Pair:
    """The product of double words, not normalised."""
    high, low = two_product(b, x[0], y[0])
    return high, b.fma(x[1], y[0], b.fma(x[0], y[1], low))


def add(b: Builder, x: Words, y: Words) -> Pair:
    """The sum of double words, normalised."""
    high, low = two_sum(b, x[0], y[0])
    return ordered_sum(b, high, b.add(low, b.add(x[1], y[1])))


def divide(b: Builder, x: Words, y: Words) -> Pair:
    """The quotient of double words, not normalised, by one division; the high part may miss its last bit."""
    inverse = b.div(1.0, y[0])
    high = b.mul(x[0], inverse)
    left = b.fma(b.neg(high), y[1], b.add(residual(b, x[0], high, y[0]), x[1]))
    return high, b.mul(left, inverse)
