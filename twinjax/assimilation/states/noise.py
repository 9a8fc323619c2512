"""What moves a patient's states and parameters that the equations do not know of."""

from __future__ import annotations

import math
from collections.abc import Mapping

import equinox as eqx
import numpy as np

from twinjax.models.base import state_names
from twinjax.naming import resolve
from twinjax.population.population import Population


class ProcessNoise(eqx.Module):
    """Independent normal kicks of states, and steps of random effects, whose variances grow with time.

    .. code-block:: text

        x(t) = (what the equations make of x(s)) + w,   w ~ N(0, deviation^2 (t - s)),    t - s no longer than `step`

    A kick comes at the end of every stretch between measurements, or of every `step` of it.

    **Parameters**: `states`, state -> deviation in its unit per square root of a time unit; `walks`, the same for
    random effects, by parameter; `step`, the longest time without a kick.
    **Raises** `ValueError` for a deviation or a step that is not above zero.
    """

    states: tuple[tuple[str, float], ...] = eqx.field(static=True)
    walks: tuple[tuple[str, float], ...] = eqx.field(static=True)
    step: float = eqx.field(static=True)

    def __init__(
        self, states: Mapping[str, float] | None = None, *, walks: Mapping[str, float] | None = None,
        step: float = math.inf,
    ):  # fmt: skip
        self.states = tuple((n, float(v)) for n, v in (states or {}).items())
        self.walks = tuple((n, float(v)) for n, v in (walks or {}).items())
        self.step = float(step)
        for name, value in (*self.states, *self.walks, ("step", self.step)):
            if not value > 0.0:
                raise ValueError(f"process noise: {name} is {value:g}; it is above zero, or leave it out")

    def variances(self, population: Population) -> np.ndarray:
        """Variance per time unit of every state and then every random effect.

        **Raises** `ValueError` for a name that the population does not have.
        """
        states, etas = state_names(population.model), population.etas
        found = np.zeros(len(states) + len(etas))
        for name, value in self.states:
            found[states.index(resolve(name, states, "state with noise"))] = value**2
        for name, value in self.walks:
            found[len(states) + etas.index(resolve(name, etas, "random effect that walks"))] = value**2
        return found
