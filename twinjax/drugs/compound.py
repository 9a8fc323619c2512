"""What is known of a molecule: the numbers that partition, binding and clearance are predicted from."""

from __future__ import annotations

import math
from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jax.core import Tracer

from twinjax.units import Fraction, Number, Real, Scalar


def _number(value: Any) -> Any:
    return value if value is None else jnp.asarray(value, jnp.result_type(float))


def _group(values: Any) -> Any:
    """One pKa or several, as a tuple of numbers."""
    groups = () if values is None else tuple(values) if isinstance(values, tuple | list) else (values,)
    if any(isinstance(v, str) for v in groups):
        raise ValueError(f"pKa values are numbers, one or a tuple of them; {values!r} holds text")
    return tuple(_number(v) for v in groups)


class Compound(eqx.Module):
    """A drug molecule.

    **Parameters**: `log_p`, decimal logarithm of the octanol:water partition coefficient of the neutral form; `fu`,
    fraction unbound in plasma; `acids`, `bases`, pKa of every acidic and basic group (one number or a tuple; none for
    a neutral molecule); `blood_to_plasma`, ratio of concentrations, where it was measured; `log_ma`, membrane
    affinity (phosphatidylcholine:water), `log_p` where it was not measured.
    **Raises** `ValueError` for a fraction unbound outside (0, 1], a pKa that is text or outside -10 to 25, and a
    blood:plasma ratio below zero. Traced values are not checked.
    """

    log_p: Real = eqx.field(converter=_number)
    fu: Fraction = eqx.field(converter=_number)
    acids: tuple[Real, ...] = eqx.field(converter=_group, default=())
    bases: tuple[Real, ...] = eqx.field(converter=_group, default=())
    blood_to_plasma: Number | None = eqx.field(converter=_number, default=None)
    log_ma: Real | None = eqx.field(converter=_number, default=None)

    def __check_init__(self) -> None:
        """Bad numbers are refused in words."""
        check_fraction("fu", self.fu)
        for what, pkas in (("acids", self.acids), ("bases", self.bases)):
            for pka in map(known, pkas):
                if pka is not None and not -10.0 <= pka <= 25.0:
                    raise ValueError(f"{what} holds a pKa of {pka:g}; a pKa lies between -10 and 25")
        ratio = known(self.blood_to_plasma)
        if ratio is not None and not ratio > 0.0:
            raise ValueError(f"blood_to_plasma is {ratio:g}; it is a ratio of concentrations, above zero")
        log_p = known(self.log_p)
        if log_p is not None and not -15.0 <= log_p <= 15.0:
            raise ValueError(f"log_p is {log_p:g}; it is the decimal logarithm of a ratio, between -15 and 15")

    @property
    def membrane_affinity(self) -> Any:
        """Phosphatidylcholine:water partition coefficient; octanol's where it was not measured."""
        return 10.0 ** (self.log_p if self.log_ma is None else self.log_ma)


def known(value: Any) -> float | None:
    """A number where it can be looked at, None inside a transformation."""
    if value is None or isinstance(value, Tracer) or jnp.ndim(value):
        return None
    return float(value)


def check_fraction(name: str, value: Scalar) -> None:
    """Raise `ValueError` unless `value` is a fraction above zero and not above one."""
    number = known(value)
    if number is not None and (math.isnan(number) or not 0.0 < number <= 1.0):
        hint = "; is it in percent?" if number > 1.0 else ""
        raise ValueError(f"{name} is {number:g}; a fraction lies above 0 and is at most 1{hint}")
