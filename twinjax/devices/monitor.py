"""A continuous glucose monitor: readings, with errors that last, of glucose under the skin."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from scipy.interpolate import CubicSpline

from twinjax.models.glucose.sensor import GlucoseSensor

_NODE = 0.25
"""The published error moves so often (h)."""
_BLOCK = 10
"""A curve is drawn through so many of its steps at a time, as the simulator does."""


@dataclasses.dataclass(frozen=True)
class GlucoseMonitor:
    """Reads glucose at even times, cut at the ends of its range.

    Between the 15 min of the published process a cubic spline is drawn through its errors, ten steps at a time, as the
    simulator simglucose does.

    **Parameters**: `every`, from reading to reading (h), a whole part of 15 min; `low`, `high`, its range (mg/L);
    `sensor`, whose error it has.
    **Raises** `ValueError` for another interval.
    **Reference**: see `GlucoseSensor`.
    """

    every: float = 1.0 / 12.0
    low: float = 390.0
    high: float = 6000.0
    sensor: GlucoseSensor = dataclasses.field(default_factory=GlucoseSensor.typical)

    def __post_init__(self) -> None:
        per = _NODE / self.every
        if not per >= 1.0 - 1e-9 or abs(per - round(per)) > 1e-9:
            raise ValueError(f"readings every {self.every:g} h do not meet every 15 min; take a whole part of 0.25 h")

    def errors(self, count: int, rng: Any) -> np.ndarray:
        """Errors of so many readings (mg/L), the first a step after the process begins.

        **Parameters**: `rng`, anything with `standard_normal`, asked for one number at a time.
        """
        per = round(_NODE / self.every)
        blocks = -(-count // (_BLOCK * per))
        error = [float(rng.standard_normal())]
        for _ in range(_BLOCK * blocks):
            error.append(self.sensor.innovation * (error[-1] + float(rng.standard_normal())))
        nodes, found = np.asarray(self.sensor.stretched(np.asarray(error))), []
        for k in range(0, _BLOCK * blocks, _BLOCK):
            spline = CubicSpline(np.arange(_BLOCK + 1.0), nodes[k : k + _BLOCK + 1], bc_type="not-a-knot")
            found.append(spline(np.arange(1, _BLOCK * per + 1) / per))
        return np.concatenate(found)[:count]

    def read(self, glucose: np.ndarray, rng: Any) -> np.ndarray:
        """Readings (mg/L) of glucose `(readings,)` at the sensor's site."""
        return np.clip(glucose + self.errors(len(glucose), rng), self.low, self.high)


MONITORS = {
    "Dexcom": GlucoseMonitor(0.05), "GuardianRT": GlucoseMonitor(1.0 / 12.0),
    "Navigator": GlucoseMonitor(1.0 / 60.0, low=320.0),
}  # fmt: skip
"""Those of the table that the public simulators share, which all have one sensor's error."""
