"""A sensor of glucose under the skin whose error lasts: what a continuous monitor shows."""

from __future__ import annotations

import math
from typing import Annotated, ClassVar

import equinox as eqx
import jax.numpy as jnp

from twinjax.models.base import AbstractModel
from twinjax.units import Bounds, Concentration, Number, Rate, Scalar, Unit

Signed = Annotated[Scalar, Unit("mg/L"), Bounds(-math.inf, math.inf)]
SignedNumber = Annotated[Scalar, Unit("1"), Bounds(-math.inf, math.inf)]


class GlucoseSensor(AbstractModel):
    """A reading that is off by a normal error which is forgotten slowly, stretched into Johnson's unbounded form.

    .. code-block:: text

        error'  = -forget error                     (and noise: `deviation`)
        reading = glucose + xi + scale sinh((error - gamma) / delta)

    The published error moves every 15 min, ``e = 0.7 (e + v)`` with v standard normal. Left alone the error here fades
    at the same rate; with process noise on `error` it is that process at whatever times (`deviation` says how large).
    `twinjax.devices.GlucoseMonitor` simulates readings.

    **Parameters** (scalars): `forget` (1/h); `xi`, `scale` (mg/L), `gamma`, `delta` of Johnson's transformation.
    **Assumptions**: no drift of calibration, no loss of signal; the lag from plasma to the sensor's site belongs to the
    patient; readings are not cut at the ends of the sensor's range.
    **Reference**: Breton & Kovatchev 2008, J Diabetes Sci Technol 2:853, PMCID PMC2740661; values as the public
    simulator simglucose (0.2.11, MIT licence) has them.
    """

    quiescent: ClassVar[bool] = False
    signed: ClassVar[tuple[str, ...]] = ("error",)
    innovation: ClassVar[float] = 0.7
    """Of the published process: how much of the error, and of what comes to it, is left after 15 min."""

    forget: Rate
    xi: Signed
    scale: Concentration
    gamma: SignedNumber
    delta: Number

    class State(eqx.Module):
        """The error before it is stretched."""

        error: SignedNumber

    class Input(eqx.Module):
        """Glucose at the sensor's site."""

        glucose: Concentration = 0.0

    class Output(eqx.Module):
        """What the monitor shows."""

        reading: Concentration

    def derivative(self, t, y, u):
        """The error fades."""
        return self.State(error=-self.forget * y.error)

    def output(self, t, y, u):
        """Glucose and the stretched error."""
        return self.Output(reading=u.glucose + self.stretched(y.error))

    def stretched(self, error):
        """The error of a reading (mg/L)."""
        x = (error - self.gamma) / self.delta
        return self.xi + self.scale * (jnp.exp(x) - jnp.exp(-x)) / 2.0

    def initial(self):
        """No error."""
        return self.State(error=0.0 * self.delta)

    @classmethod
    def deviation(cls, step: float) -> float:
        """The deviation of process noise on `error`, per square root of an hour, that keeps its published variance with
        a kick every `step` (h).
        """
        stationary = cls.innovation**2 / (1.0 - cls.innovation**2)
        return math.sqrt(stationary * (1.0 - cls.innovation ** (2.0 * step / 0.25)) / step)

    @classmethod
    def typical(cls):
        """The published process: lambda 15.9574 and xi -5.47 mg/dL, gamma -0.5444, delta 1.6898."""
        return cls(forget=-math.log(cls.innovation) / 0.25, xi=-54.7, scale=159.574, gamma=-0.5444, delta=1.6898)
