"""The minimal model of glucose after an intravenous glucose load: how insulin and glucose itself lower it."""

from __future__ import annotations

from typing import Annotated, ClassVar

import equinox as eqx

from twinjax.models.base import AbstractModel, Balance
from twinjax.units import Concentration, ConcentrationRate, Rate, Scalar, Unit

Insulin = Annotated[Scalar, Unit("IU/L")]
InsulinRate = Annotated[Scalar, Unit("IU/L/h")]
Sensitivity = Annotated[Scalar, Unit("L/IU/h")]


class BergmanMinimal(AbstractModel):
    """Glucose disappearance under measured insulin.

    .. code-block:: text

        glucose' = sg gb - (sg + action) glucose
        action'  = p2 (si (insulin - ib) - action)
        insulin  = risen - fallen

    Insulin is a signal: `Regimen.follow(times, values, rise="risen", fall="fallen")` makes it the straight lines
    between its measurements.

    **Parameters** (scalars): `g0` glucose at time 0 if the load mixed at once (mg/L), `gb`, `ib` basal glucose (mg/L)
    and insulin (IU/L), `sg` glucose effectiveness at basal insulin (1/h), `si` insulin sensitivity (L/IU/h), `p2` rate
    at which insulin's action follows it (1/h).
    **Assumptions**: one compartment of glucose, so that the first minutes after a load are to be left out; insulin acts
    from a remote compartment; basal values hold before the load and long after.
    **Reference**: Bergman et al. 1979, Am J Physiol 236:E667, doi:10.1152/ajpendo.1979.236.6.E667; typical values are
    the least-squares fit to the example of Pacini & Bergman 1986, doi:10.1016/0169-2607(86)90106-9, from 8 min on.
    """

    quiescent: ClassVar[bool] = False
    signed: ClassVar[tuple[str, ...]] = ("action",)

    g0: Concentration
    gb: Concentration
    ib: Insulin
    sg: Rate
    si: Sensitivity
    p2: Rate

    class State(eqx.Module):
        """Glucose in plasma, insulin's action, and insulin as what rose less what fell."""

        glucose: Concentration
        action: Rate
        risen: Insulin
        fallen: Insulin

    class Input(eqx.Module):
        """Glucose given, as a rate of its concentration, and the slopes of insulin."""

        glucose: ConcentrationRate = 0.0
        risen: InsulinRate = 0.0
        fallen: InsulinRate = 0.0

    class Output(eqx.Module):
        """Glucose and insulin in plasma."""

        glucose: Concentration
        insulin: Insulin

    def derivative(self, t, y, u):
        """Glucose falls by itself and by insulin's action."""
        insulin = y.risen - y.fallen
        return self.State(
            glucose=u.glucose + self.sg * self.gb - (self.sg + y.action) * y.glucose,
            action=self.p2 * (self.si * (insulin - self.ib) - y.action),
            risen=u.risen,
            fallen=u.fallen,
        )

    def output(self, t, y, u):
        """What is measured."""
        return self.Output(glucose=y.glucose, insulin=y.risen - y.fallen)

    def initial(self):
        """The load mixed, no action yet, no insulin until the signal says."""
        return self.State(glucose=self.g0, action=0.0 * self.p2, risen=0.0 * self.ib, fallen=0.0 * self.ib)

    def balances(self, t, y, u):
        """Glucose is made and used."""
        gain = self.sg * self.gb - (self.sg + y.action) * y.glucose
        return {"glucose": Balance(("glucose",), gain=gain)}

    @classmethod
    def typical(cls):
        """The example's fit: SG 0.0189 1/min, SI 8.07e-4 per min and mU/L, p2 0.0214 1/min."""
        return cls(g0=2612.15, gb=920.0, ib=0.011, sg=1.13274, si=48.4235, p2=1.28536)
