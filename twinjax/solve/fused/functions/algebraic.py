"""The cube root, and the remainder of a division."""

from __future__ import annotations

from twinjax.solve.fused.functions.coefficients import CBRT
from twinjax.solve.fused.functions.floats import (
    INFINITY,
    NAN,
    absolute,
    form,
    nearest,
    polynomial,
    power_of_two,
    residual,
    scale,
    split,
    two_product,
    with_sign,
)
from twinjax.solve.fused.ir import Builder


def cbrt(b: Builder, x: str) -> str:
    """The real cube root: a polynomial's guess, and a step of Halley's method, which triples the digits."""
    size = absolute(b, x)
    k, m = split(b, size)
    third, held = nearest(b, b.mul(k, 1.0 / 3.0))
    left = b.fma(-3.0, third, k)
    guess = polynomial(b, m, CBRT[b.precision])
    for sign, root in ((-1.0, 0.7937005259840998), (1.0, 1.2599210498948732)):
        here = b.compare("oeq", left, sign)
        guess = b.select(here, b.mul(guess, root), guess)
        m = b.select(here, b.mul(m, 2.0**sign), m)
    square, low = two_product(b, guess, guess)
    missed = b.fma(low, guess, b.neg(residual(b, m, square, guess)))
    step = b.div(b.mul(missed, guess), b.fma(2.0, b.mul(square, guess), m))
    value = b.mul(b.sub(guess, step), power_of_two(b, held))
    usual = b.both(b.compare("ogt", size, 0.0), b.compare("olt", size, INFINITY))
    return with_sign(b, b.select(usual, value, size), x)


def rem(b: Builder, x: str, y: str) -> str:
    """What is left of x after the whole multiples of y in it, exactly, with the sign of x: C's fmod.

    A quotient is whole and exact up to the digits of a number; beyond, multiples of y times a power of two go first.
    """
    digits = form(b).digits
    size, d = absolute(b, x), absolute(b, y)
    sound = b.both(b.compare("olt", size, INFINITY), b.compare("ogt", d, 0.0))
    left = b.slot()
    b.store(left, size)
    kd, md = split(b, d)
    with b.forever() as leave:
        r = b.load(left)
        active = b.both(sound, b.compare("oge", r, d))
        leave(b.value(f"xor i1 {b.any(active)}, true"))
        kr, _ = split(b, r)
        shift = b.sub(kr, float(digits - 3))
        whole, held = nearest(b, shift)
        unit = b.select(b.compare("ogt", shift, kd), scale(b, md, whole, held), d)
        large = 2.0**digits
        quotient = b.sub(b.add(b.div(r, unit), large), large)
        r2 = residual(b, r, quotient, unit)
        r2 = b.select(b.compare("olt", r2, 0.0), b.add(r2, unit), r2)
        b.store(left, b.select(active, r2, r))
    return with_sign(b, b.select(sound, b.load(left), NAN), x)
