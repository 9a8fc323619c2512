"""Xenografts: growth that turns from exponential to linear, and damaged cells that die on the way through transit."""

from __future__ import annotations

from typing import Annotated, ClassVar

import equinox as eqx
import jax.numpy as jnp

from twinjax.models.base import AbstractModel, Balance
from twinjax.models.tumour.growth import Kill
from twinjax.units import Amount, AmountRate, Bounds, Concentration, Rate, Scalar, Unit

_FLOOR = 1e-9

Exponent = Annotated[Scalar, Unit("1"), Bounds(0.0)]


class SimeoniGrowth(AbstractModel):
    """Tumour growth inhibition of xenografts: cycling cells, damaged by the drug, die after three transit stages.

    .. code-block:: text

        weight   = cycling + damaged1 + damaged2 + damaged3
        cycling' = lambda0 cycling / (1 + (lambda0 weight / lambda1)^psi)^(1/psi) - potency c cycling
        damaged1' = potency c cycling - k1 damaged1          damaged2' = k1 (damaged1 - damaged2)
        damaged3' = k1 (damaged2 - damaged3)                 cycling(0) = weight0

    At a constant concentration above ``lambda0 / potency`` the tumour disappears.

    **Parameters** (scalars): `weight0` at the start (mg), `lambda0` rate of exponential growth (1/h), `lambda1` of
    linear growth (mg/h), `psi` how sharply one turns into the other, `potency` of the drug (L/mg/h), `k1` rate constant
    of the stages of death (1/h).
    **Assumptions**: the drug damages cycling cells in proportion to its concentration; damaged cells weigh as much.
    **Reference**: Simeoni et al. 2004, Cancer Res 64:1094, doi:10.1158/0008-5472.CAN-03-2524. Typical values are those
    of paclitaxel, experiment 1, in hours and mg; `weight0` is assumed.
    """

    weight0: Amount
    lambda0: Rate
    lambda1: AmountRate
    potency: Kill
    k1: Rate
    psi: Exponent = 20.0

    quiescent: ClassVar[bool] = False

    class State(eqx.Module):
        """Cells that divide, and those in the stages of death."""

        cycling: Amount
        damaged1: Amount
        damaged2: Amount
        damaged3: Amount

    class Input(eqx.Module):
        """The concentration that damages."""

        concentration: Concentration = 0.0

    class Output(eqx.Module):
        """The tumour's weight."""

        weight: Amount

    def _grown(self, y):
        weight = y.cycling + y.damaged1 + y.damaged2 + y.damaged3
        # (1 + x^psi)^(1/psi) by its logarithm: x^20 overflows where x is large, and has no gradient at zero
        x = self.psi * jnp.log(jnp.maximum(self.lambda0 * weight / self.lambda1, _FLOOR))
        both = jnp.maximum(x, 0.0) + jnp.log1p(jnp.exp(-jnp.abs(x)))
        return self.lambda0 * y.cycling * jnp.exp(-both / self.psi)

    def derivative(self, t, y, u):
        """Growth, damage and death."""
        damage = self.potency * u.concentration * y.cycling
        return self.State(
            cycling=self._grown(y) - damage,
            damaged1=damage - self.k1 * y.damaged1,
            damaged2=self.k1 * (y.damaged1 - y.damaged2),
            damaged3=self.k1 * (y.damaged2 - y.damaged3),
        )

    def output(self, t, y, u):
        """All cells."""
        return self.Output(weight=y.cycling + y.damaged1 + y.damaged2 + y.damaged3)

    def initial(self):
        """Only cycling cells."""
        zero = 0.0 * self.weight0
        return self.State(self.weight0, zero, zero, zero)

    def balances(self, t, y, u):
        """Cells are made by growth and leave from the last stage."""
        states = ("cycling", "damaged1", "damaged2", "damaged3")
        return {"cells": Balance(states, gain=self._grown(y) - self.k1 * y.damaged3)}

    @classmethod
    def typical(cls):
        """Paclitaxel, experiment 1: 0.273 /d, 814 mg/d, 6.29e-4 /d per ng/mL, 0.968 /d."""
        return cls(weight0=55.0, lambda0=0.273 / 24, lambda1=814.0 / 24, potency=0.629 / 24, k1=0.968 / 24)
