"""Laws of growth of an untreated tumour, each with a drug that kills in proportion to its concentration."""

from __future__ import annotations

import math
from typing import Annotated, ClassVar

import equinox as eqx
import jax.numpy as jnp

from twinjax.models.base import AbstractModel, Balance
from twinjax.units import Bounds, Concentration, Number, Rate, Response, ResponseRate, Scalar, Unit

Kill = Annotated[Scalar, Unit("L/mg/h"), Bounds(-math.inf, math.inf)]
"""A rate constant of killing per concentration."""


class State(eqx.Module):
    """How large the tumour is."""

    tumour: Response


class Input(eqx.Module):
    """The concentration that kills."""

    concentration: Concentration = 0.0


class Output(eqx.Module):
    """How large the tumour is."""

    size: Response


class AbstractGrowth(AbstractModel):
    """One state, the tumour's size in whatever unit it is measured (mm, mL, cells), that grows by a law and is killed.

    .. code-block:: text

        tumour' = growth(tumour) - kill concentration tumour          tumour(0) = size0
    """

    State: ClassVar[type] = State
    Input: ClassVar[type] = Input
    Output: ClassVar[type] = Output
    quiescent: ClassVar[bool] = False

    def grown(self, y):
        """The law of growth."""
        raise NotImplementedError

    def killed(self, y, u):
        """What the drug kills."""
        return self.kill * u.concentration * y.tumour  # type: ignore[attr-defined]

    def derivative(self, t, y, u):
        """Growth less killing."""
        return State(tumour=self.grown(y) - self.killed(y, u))

    def output(self, t, y, u):
        """The size."""
        return Output(size=y.tumour)

    def initial(self):
        """The size at the start."""
        return State(tumour=self.size0)  # type: ignore[attr-defined]

    def balances(self, t, y, u):
        """Growth and killing are all that happens."""
        return {"tumour": Balance(("tumour",), gain=self.grown(y) - self.killed(y, u))}


class ExponentialGrowth(AbstractGrowth):
    """Every cell divides at one rate.

    .. code-block:: text

        tumour' = rate tumour - kill concentration tumour

    **Parameters** (scalars): `size0` at the start (au), `rate` of growth (1/h), `kill` per concentration (L/mg/h).
    **Assumptions**: nothing limits growth; the drug kills in proportion to its concentration, without delay.
    **Reference**: Laleh et al. 2022, PLoS Comput Biol 18:e1009822, doi:10.1371/journal.pcbi.1009822. Typical values are
    illustrative.
    """

    size0: Response
    rate: Rate
    kill: Kill = 0.0

    def grown(self, y):
        """In proportion to the size."""
        return self.rate * y.tumour

    @classmethod
    def typical(cls):
        """A doubling in about 70 days."""
        return cls(size0=20.0, rate=0.01 / 24.0, kill=1e-3)


class LinearGrowth(AbstractGrowth):
    """A shell of constant thickness grows.

    .. code-block:: text

        tumour' = rate - kill concentration tumour

    **Parameters** (scalars): `size0` at the start (au), `rate` of growth (au/h), `kill` per concentration (L/mg/h).
    **Assumptions**: growth does not depend on the size; the drug kills in proportion to its concentration.
    **Reference**: Laleh et al. 2022, PLoS Comput Biol 18:e1009822, doi:10.1371/journal.pcbi.1009822. Typical values are
    illustrative.
    """

    size0: Response
    rate: ResponseRate
    kill: Kill = 0.0

    def grown(self, y):
        """The same at every size."""
        return self.rate + 0.0 * y.tumour / self.size0 * self.rate

    @classmethod
    def typical(cls):
        """A millimetre in a month."""
        return cls(size0=20.0, rate=1.0 / 720.0, kill=1e-3)


class LogisticGrowth(AbstractGrowth):
    """Growth that slows in proportion to how much of the room is filled.

    .. code-block:: text

        tumour' = rate tumour (1 - tumour / capacity) - kill concentration tumour

    **Parameters** (scalars): `size0` at the start (au), `rate` of growth of a small tumour (1/h), `capacity`, the size
    at which growth ends (au), `kill` per concentration (L/mg/h).
    **Assumptions**: as the equation says; the drug kills in proportion to its concentration.
    **Reference**: Laleh et al. 2022, PLoS Comput Biol 18:e1009822, doi:10.1371/journal.pcbi.1009822. Typical values are
    illustrative.
    """

    size0: Response
    rate: Rate
    capacity: Response
    kill: Kill = 0.0

    def grown(self, y):
        """Less the fuller the room."""
        return self.rate * y.tumour * (1.0 - y.tumour / self.capacity)

    @classmethod
    def typical(cls):
        """Illustrative values."""
        return cls(size0=20.0, rate=0.01 / 24.0, capacity=100.0, kill=1e-3)


class GompertzGrowth(AbstractGrowth):
    """Growth whose rate falls with the logarithm of the size.

    .. code-block:: text

        tumour' = rate tumour log(capacity / tumour) - kill concentration tumour

    **Parameters** (scalars): `size0` at the start (au), `rate` at which growth slows (1/h), `capacity`, the size at
    which it ends (au), `kill` per concentration (L/mg/h).
    **Assumptions**: a tumour of less than 1e-12 of the capacity grows no faster than one of that size; the drug kills
    in proportion to its concentration.
    **Reference**: Laleh et al. 2022, PLoS Comput Biol 18:e1009822, doi:10.1371/journal.pcbi.1009822. Typical values are
    illustrative.
    """

    size0: Response
    rate: Rate
    capacity: Response
    kill: Kill = 0.0

    def grown(self, y):
        """By the logarithm of the room left."""
        return -self.rate * y.tumour * jnp.log(jnp.maximum(y.tumour / self.capacity, 1e-12))

    @classmethod
    def typical(cls):
        """Illustrative values."""
        return cls(size0=20.0, rate=0.005 / 24.0, capacity=100.0, kill=1e-3)


class BertalanffyGrowth(AbstractGrowth):
    """Growth by a power of the size (a surface that feeds), and loss in proportion to it: the general law.

    .. code-block:: text

        tumour' = rate tumour (1 - (tumour / capacity)^(power)) / power - kill concentration tumour

    With `power` 1 it is the logistic law, with 1/3 (in volumes) von Bertalanffy's own of a surface that feeds, with
    `power` to 0 Gompertz's.

    **Parameters** (scalars): `size0` at the start (au), `rate` (1/h), `capacity`, the size at which growth ends (au),
    `power`, `kill` per concentration (L/mg/h).
    **Assumptions**: a tumour of less than 1e-12 of the capacity grows no faster than one of that size; `power` is not
    zero; the drug kills in proportion to its concentration.
    **Reference**: Laleh et al. 2022, PLoS Comput Biol 18:e1009822, doi:10.1371/journal.pcbi.1009822. Typical values are
    illustrative.
    """

    size0: Response
    rate: Rate
    capacity: Response
    power: Number
    kill: Kill = 0.0

    def grown(self, y):
        """By what a power of the size leaves."""
        filled = jnp.exp(self.power * jnp.log(jnp.maximum(y.tumour / self.capacity, 1e-12)))
        return self.rate * y.tumour * (1.0 - filled) / self.power

    @classmethod
    def typical(cls):
        """Illustrative values."""
        return cls(size0=20.0, rate=0.005 / 24.0, capacity=100.0, power=1.0 / 3.0, kill=1e-3)
