"""How much of a molecule is charged at a pH, for any number of acidic and basic groups."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp

from twinjax.units import Scalar


def ionised_to_neutral(acids: Sequence[Scalar], bases: Sequence[Scalar], ph: Scalar) -> Any:
    """Amount of charged over neutral molecules, from macroscopic dissociation constants (Henderson-Hasselbalch).

    .. code-block:: text

        sum_k 10^(k pH - (pKa_1 + ... + pKa_k))  +  sum_k 10^((pKa_1 + ... + pKa_k) - k pH)

    over the acids from the strongest and the bases from the strongest.
    **Parameters**: `acids`, `bases`, pKa of each group, in any order; `ph`.
    **Assumptions**: of an ampholyte, forms with both charges count as neutral (for one acid and one base this is exact
    for macroscopic constants, whatever its zwitterion).
    **Reference**: Rodgers and Rowland 2006, J Pharm Sci 95:1238, doi:10.1002/jps.20502 (their X, Y, Z less one).
    """
    acids, bases = _by_strength(acids, bases)
    return _ladder(acids, ph, -1.0) + _ladder(bases, ph, 1.0)


def _ladder(pkas: Sequence[Any], ph: Scalar, sign: float) -> Any:
    total, exponent = 0.0, 0.0
    for pka in pkas:
        exponent = exponent + sign * (pka - ph)
        total = total + 10.0**exponent
    return total


def _by_strength(acids: Sequence[Scalar], bases: Sequence[Scalar]) -> tuple[list[Any], list[Any]]:
    """Acids with the lowest pKa first, bases with the highest first; traced values too."""
    return (
        list(jnp.sort(jnp.stack([jnp.asarray(a, float) for a in acids]))) if acids else [],
        list(-jnp.sort(-jnp.stack([jnp.asarray(b, float) for b in bases]))) if bases else [],
    )


def species(acids: Sequence[Scalar], bases: Sequence[Scalar], ph: Scalar) -> tuple[Any, Any, Any, Any]:
    """Fractions of molecules that are neutral, only negative, only positive, and both (zwitterions); they add up to 1.

    **Assumptions**: groups dissociate independently of each other, as in Schmitt's method.
    **Reference**: Schmitt 2008, Toxicol In Vitro 22:457, doi:10.1016/j.tiv.2007.09.010.
    """
    acid, base = 1.0, 1.0
    for pka in acids:
        acid = acid / (1.0 + 10.0 ** (ph - pka))
    for pka in bases:
        base = base / (1.0 + 10.0 ** (pka - ph))
    return acid * base, (1.0 - acid) * base, acid * (1.0 - base), (1.0 - acid) * (1.0 - base)
