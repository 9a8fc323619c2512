"""Tumour size in trials: exponential growth, and a drug effect that wears off."""

from __future__ import annotations

from typing import Annotated, ClassVar

import equinox as eqx

from twinjax.models.base import AbstractModel, Balance
from twinjax.units import Fraction, Rate, Response, Scalar, Unit

Shrinkage = Annotated[Scalar, Unit("L/mg/h")]
"""A rate constant of shrinking per exposure, where exposure is a concentration."""


class ClaretTumour(AbstractModel):
    """Tumour growth inhibition in trials, with resistance that develops in time.

    .. code-block:: text

        tumour'    = growth tumour - shrinkage sensitivity exposure tumour          tumour(0) = size0
        sensitivity' = -resistance sensitivity                                      sensitivity(0) = 1

    The drug's effect wears off as exp(-resistance t), t the time since the start of treatment, which is the start here.

    **Parameters** (scalars): `size0` at the start (au, as sizes are measured), `growth` (1/h), `shrinkage` per exposure
    (L/mg/h), `resistance`, rate at which the effect wears off (1/h).
    **Assumptions**: treatment begins at the start; exposure is whatever concentration (an average, or a dose per
    litre) drives it.
    **Reference**: Claret et al. 2009, J Clin Oncol 27:4103, doi:10.1200/JCO.2008.21.0807. Typical values are
    illustrative.
    """

    size0: Response
    growth: Rate
    shrinkage: Shrinkage
    resistance: Rate

    quiescent: ClassVar[bool] = False

    class State(eqx.Module):
        """The tumour's size, and how much of the drug's effect is left."""

        tumour: Response
        sensitivity: Fraction

    class Input(eqx.Module):
        """The exposure that shrinks the tumour."""

        exposure: Annotated[Scalar, Unit("mg/L")] = 0.0

    class Output(eqx.Module):
        """The tumour's size."""

        size: Response

    def _change(self, y, u):
        return (self.growth - self.shrinkage * y.sensitivity * u.exposure) * y.tumour

    def derivative(self, t, y, u):
        """Growth, and an effect that wears off."""
        return self.State(tumour=self._change(y, u), sensitivity=-self.resistance * y.sensitivity)

    def output(self, t, y, u):
        """The size."""
        return self.Output(size=y.tumour)

    def initial(self):
        """A sensitive tumour."""
        return self.State(self.size0, 0.0 * self.size0 / self.size0 + 1.0)

    def balances(self, t, y, u):
        """What grows less what shrinks."""
        return {"tumour": Balance(("tumour",), gain=self._change(y, u))}

    @classmethod
    def typical(cls):
        """Illustrative values, of the size of those of chemotherapy, per week over 168."""
        return cls(size0=60.0, growth=0.02 / 168, shrinkage=0.04 / 168, resistance=0.05 / 168)
