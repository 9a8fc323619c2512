"""A drug's effect on the rhythm as a function of its concentration, and, with a regimen, of time."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import scipy.interpolate


def free_nanomolar(plasma: Any, *, unbound: float, molar_mass: float) -> np.ndarray:
    """Free concentration (nM) of a plasma concentration in mg/L.

    **Parameters**: `plasma`, an output of any PK or PBPK model (mg/L), any shape; `unbound`, the fraction that proteins
    do not hold; `molar_mass` (g/mol).
    **Raises** `ValueError` for a fraction outside 0 to 1 or a mass that is not above zero.
    """
    if not 0.0 < unbound <= 1.0:
        raise ValueError(f"the unbound fraction is {unbound:g}; give a number above 0, at most 1")
    if not molar_mass > 0.0:
        raise ValueError(f"the molar mass is {molar_mass:g}; give it in g/mol, above zero")
    return np.asarray(plasma, float) * unbound * 1e6 / molar_mass


@dataclasses.dataclass(frozen=True)
class Sweep:
    """Steady rhythms over concentrations.

    **Parameters**: `name` of the drug; `concentration` (nM) `(levels,)`, rising from zero; `qnet` (uC/uF), `apd90`
    (ms) `(levels,)`, NaN where a beat has none; `failures`, whether the cell fails to repolarise there.
    """

    name: str
    concentration: np.ndarray
    qnet: np.ndarray
    apd90: np.ndarray
    failures: np.ndarray

    def _at(self, values: np.ndarray, free: Any) -> np.ndarray:
        """Between the levels a monotone cubic in the logarithm of 1 + c / c1; NaN beyond the last level, or a NaN."""
        known = np.isfinite(values)
        reach = self.concentration[: int(np.argmin(known)) if not known.all() else None]
        if len(reach) < 2:
            return np.full(np.shape(free), np.nan)
        first = self.concentration[1]
        curve = scipy.interpolate.PchipInterpolator(np.log1p(reach / first), values[: len(reach)], extrapolate=False)
        return curve(np.log1p(np.asarray(free, float) / first))

    def qnet_at(self, free: Any) -> np.ndarray:
        """Net charge (uC/uF) of the steady rhythm at free concentrations (nM), any shape."""
        return self._at(self.qnet, free)

    def apd90_at(self, free: Any) -> np.ndarray:
        """APD90 (ms), likewise."""
        return self._at(self.apd90, free)

    def score_at(self, free: Any, multiples: tuple[float, ...] = (1.0, 2.0, 3.0, 4.0)) -> np.ndarray:
        """The torsade metric score with the free concentration in place of the therapeutic maximum: the mean net
        charge at these multiples of it. NaN where the last multiple lies beyond the sweep.
        """
        free = np.asarray(free, float)
        return np.mean([self.qnet_at(m * free) for m in multiples], axis=0)
