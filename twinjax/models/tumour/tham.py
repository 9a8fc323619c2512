"""Lung cancer under gemcitabine: turnover that the drug holds back through an effect compartment."""

from __future__ import annotations

from typing import Annotated, ClassVar

import equinox as eqx

from twinjax.models.base import AbstractModel, Balance
from twinjax.units import Amount, AmountRate, Response, Time, Unit


class ThamLungCancer(AbstractModel):
    """Tumour size in non-small-cell lung cancer under gemcitabine, driven by the dose through a virtual compartment.

    .. code-block:: text

        effect' = -log(2) / teq effect                               doses go into effect
        tumour' = (size0 (1 - effect / (ae50 + effect)) - tumour) / turnover tumour / unit size      tumour(0) = size0

    The size regulates its own growth, a logistic law about `size0`.

    **Parameters** (scalars): `size0` at the start (au: cm), `turnover` time (h), `ae50` amount at half the effect (mg),
    `teq` half-life of the effect (h).
    **Assumptions**: no plasma concentrations; sizes are relative to one unit of size.
    **Reference**: Tham et al. 2008, Clin Cancer Res 14:4213, doi:10.1158/1078-0432.CCR-07-4754; BioModels
    BIOMD0000000234, whose numbers these are, per week over 168.
    """

    size0: Response
    turnover: Time
    ae50: Amount
    teq: Time

    ONE: ClassVar[Annotated[float, Unit("au")]] = 1.0

    class State(eqx.Module):
        """Drug at the site of its effect, and the tumour's size relative to one unit."""

        effect: Amount
        tumour: Response

    class Input(eqx.Module):
        """Doses."""

        effect: AmountRate = 0.0

    class Output(eqx.Module):
        """The tumour's size."""

        size: Response

    def _change(self, y):
        held = 1.0 - y.effect / (self.ae50 + y.effect)
        return (self.size0 * held - y.tumour) / self.turnover * (y.tumour / self.ONE)

    def derivative(self, t, y, u):
        """Loss of the effect, turnover of the tumour."""
        return self.State(effect=u.effect - 0.6931471805599453 / self.teq * y.effect, tumour=self._change(y))

    def output(self, t, y, u):
        """The size."""
        return self.Output(size=y.tumour)

    def initial(self):
        """Untreated."""
        return self.State(0.0 * self.ae50, self.size0)

    def balances(self, t, y, u):
        """Growth and loss of the tumour."""
        return {"tumour": Balance(("tumour",), gain=self._change(y))}

    @classmethod
    def typical(cls):
        """Of BIOMD0000000234."""
        return cls(size0=6.66, turnover=21.8 * 168, ae50=10600.0, teq=7.67 * 168)
