"""Models of tests whose predictions are straight lines, so that what they should give is a formula."""

import equinox as eqx

from twinjax.models.base import AbstractModel
from twinjax.units import Real


class Line(AbstractModel):
    """level = base + (integral of slope)."""

    base: Real
    slope: Real

    class State(eqx.Module):
        x: Real

    class Output(eqx.Module):
        level: Real
        double: Real

    def derivative(self, t, y, u):
        return self.State(x=u.x + self.slope)

    def output(self, t, y, u):
        return self.Output(level=self.base + y.x, double=2.0 * (self.base + y.x))

    @classmethod
    def typical(cls):
        return cls(base=1.0, slope=0.5)
