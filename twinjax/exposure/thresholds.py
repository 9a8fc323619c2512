"""The dose at which something happens: by Newton's steps on exact derivatives, and differentiable itself."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeVar

import jax
import jax.numpy as jnp

from twinjax.context.statements import ACETAMINOPHEN_CELL
from twinjax.dosing import Regimen
from twinjax.models.liver.acetaminophen import AcetaminophenToxicity
from twinjax.solve.simulate import simulate
from twinjax.units import Scalar

M = TypeVar("M")
ACETAMINOPHEN = 151.163
"""g/mol."""


def threshold(
    measure: Callable[[M, Any], Any], model: M, level: float, *, between: tuple[float, float], steps: int = 60
) -> Any:
    """Dose at which ``measure(model, dose)`` is `level`, a number with the model's gradient.

    Newton's steps in the logarithm of the dose, kept inside a bracket that shrinks; the derivative in the model's
    parameters is that of the implicit function, ``-(d measure / d p) / (d measure / d dose)``.

    **Parameters**: `measure`, monotonic in the dose `between` these two; `steps` at most.
    **Raises** `ValueError` where the measure is not on both sides of the level at the ends.
    """
    free = jax.lax.stop_gradient(model)
    slope = jax.jit(jax.value_and_grad(lambda log: measure(free, jnp.exp(log))))
    low, high = (math.log(d) for d in between)
    at_low, at_high = (float(measure(free, d)) - level for d in between)
    if not at_low * at_high <= 0.0:
        raise ValueError(
            f"the measure is {at_low + level:g} at a dose of {between[0]:g} and {at_high + level:g} at {between[1]:g}, "
            f"both on one side of {level:g}; give doses that bracket it"
        )
    x = best = 0.5 * (low + high)
    for _ in range(steps):
        value, gradient = (float(v) for v in slope(x))
        low, high = (x, high) if (value - level) * at_low > 0.0 else (low, x)
        step = x - (value - level) / gradient if gradient else math.inf
        best = step if low < step < high else 0.5 * (low + high)
        if abs(best - x) < 1e-12:
            break
        x = best
    dose = jnp.exp(jnp.asarray(best))
    there = jax.grad(lambda d: measure(free, d))(dose)
    return dose - (measure(model, dose) - jax.lax.stop_gradient(measure(model, dose))) / there


def cell_dose(grams: Scalar, cells: float = 2e11) -> Any:
    """Acetaminophen (umol for 1e9 cells) of a dose that the cells of a liver share at once: 132 of 4 g.

    **Warns** of a dose beyond those whose course was compared.
    """
    dose = grams / ACETAMINOPHEN * 1e6 / (cells / 1e9)
    ACETAMINOPHEN_CELL.warn(dose=dose)
    return dose


def critical_dose(model: AcetaminophenToxicity, share: float = 0.3) -> Any:
    """Dose of acetaminophen (umol for 1e9 cells) that brings glutathione down to a share of its baseline within a day.

    **Warns** of a dose beyond those whose course was compared.
    **Parameters**: `share`, 0.3 by itself, below which the liver of animals was seen to die.
    **Reference**: Mitchell et al. 1973, J Pharmacol Exp Ther 187:211 (glutathione below 30 %).
    """
    times = jnp.linspace(0.0, 24.0, 97)

    def left(m: AcetaminophenToxicity, dose: Any) -> Any:
        gsh = simulate(m, Regimen.dose(dose, into="drug"), times).output.gsh[0]
        return jnp.min(gsh) / gsh[0]

    dose = threshold(left, model, share, between=(10.0, 2000.0))
    ACETAMINOPHEN_CELL.warn(dose=dose)
    return dose
