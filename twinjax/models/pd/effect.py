"""What the effects share: the saturable (Hill) term and the annotations of effect parameters."""

from __future__ import annotations

import math
from typing import Annotated

import jax.numpy as jnp
from jax import lax

from twinjax.units import Bounds, Scalar, Unit

Change = Annotated[Scalar, Unit("au"), Bounds(-math.inf, math.inf)]
"""A change of a response, of either sign."""

Slope = Annotated[Scalar, Unit("au*L/mg"), Bounds(-math.inf, math.inf)]
"""A change of a response per concentration, of either sign."""

PerConcentration = Annotated[Scalar, Unit("L/mg")]
"""A relative effect per concentration."""


def hill(ratio, gamma):
    """``ratio^gamma / (1 + ratio^gamma)`` for a ratio of concentrations c / ec50; zero where the ratio is not positive.

    Written as a logistic of the logarithm, so that a great power neither overflows nor gives a NaN gradient; at zero
    concentration, where the gradient in the concentration may be infinite (gamma < 1), it is zero.
    """
    positive = ratio > 0.0
    safe = jnp.where(positive, ratio, 1.0)
    return jnp.where(positive, lax.logistic(gamma * jnp.log(safe)), 0.0)
