"""Direct effects: the response follows the concentration without delay, so nothing integrates."""

from __future__ import annotations

import equinox as eqx
import jax.numpy as jnp

from twinjax.models.base import AbstractModel
from twinjax.models.pd.effect import Change, Slope, hill
from twinjax.units import Concentration, Number, Response


class LinearEffect(AbstractModel):
    """An effect in proportion to the concentration.

    .. code-block:: text

        effect = e0 + slope concentration

    **Parameters** (scalars): `e0` baseline (au), `slope` (au L/mg), negative where the drug lowers the response.
    **Assumptions**: no delay; concentrations far below saturation.
    **Reference**: Holford & Sheiner 1981, Clin Pharmacokinet 6:429, doi:10.2165/00003088-198106060-00002. Typical
    values are illustrative.
    """

    e0: Response
    slope: Slope

    class State(eqx.Module):
        """Nothing integrates."""

    class Input(eqx.Module):
        """The concentration that drives the effect."""

        concentration: Concentration = 0.0

    class Output(eqx.Module):
        """The response."""

        effect: Response

    def derivative(self, t, y, u):
        """Nothing integrates."""
        return self.State()

    def output(self, t, y, u):
        """The response to the concentration now."""
        return self.Output(effect=self.e0 + self.slope * u.concentration)

    @classmethod
    def typical(cls):
        """Illustrative values."""
        return cls(e0=10.0, slope=2.0)


class LogLinearEffect(AbstractModel):
    """An effect in proportion to the logarithm of the concentration.

    .. code-block:: text

        effect = e0 + slope log(1 + concentration / c0)

    **Parameters** (scalars): `e0` baseline (au), `slope` change per factor e of concentration (au), `c0` concentration
    (mg/L) above which the logarithm sets in.
    **Assumptions**: no delay; the one added keeps the effect finite, and equal to `e0`, without drug.
    **Reference**: Holford & Sheiner 1981, Clin Pharmacokinet 6:429, doi:10.2165/00003088-198106060-00002. Typical
    values are illustrative.
    """

    e0: Response
    slope: Change
    c0: Concentration

    class State(eqx.Module):
        """Nothing integrates."""

    class Input(eqx.Module):
        """The concentration that drives the effect."""

        concentration: Concentration = 0.0

    class Output(eqx.Module):
        """The response."""

        effect: Response

    def derivative(self, t, y, u):
        """Nothing integrates."""
        return self.State()

    def output(self, t, y, u):
        """The response to the concentration now."""
        return self.Output(effect=self.e0 + self.slope * jnp.log1p(u.concentration / self.c0))

    @classmethod
    def typical(cls):
        """Illustrative values."""
        return cls(e0=10.0, slope=5.0, c0=1.0)


class EmaxEffect(AbstractModel):
    """An effect that saturates.

    .. code-block:: text

        effect = e0 + emax concentration / (ec50 + concentration)

    **Parameters** (scalars): `e0` baseline (au), `emax` greatest change (au), negative where the drug lowers the
    response, `ec50` concentration at half of it (mg/L).
    **Assumptions**: no delay; one binding site.
    **Reference**: Holford & Sheiner 1981, Clin Pharmacokinet 6:429, doi:10.2165/00003088-198106060-00002. Typical
    values are illustrative.
    """

    e0: Response
    emax: Change
    ec50: Concentration

    class State(eqx.Module):
        """Nothing integrates."""

    class Input(eqx.Module):
        """The concentration that drives the effect."""

        concentration: Concentration = 0.0

    class Output(eqx.Module):
        """The response."""

        effect: Response

    def derivative(self, t, y, u):
        """Nothing integrates."""
        return self.State()

    def output(self, t, y, u):
        """The response to the concentration now."""
        return self.Output(effect=self.e0 + self.emax * u.concentration / (self.ec50 + u.concentration))

    @classmethod
    def typical(cls):
        """Illustrative values."""
        return cls(e0=10.0, emax=90.0, ec50=2.0)


class SigmoidEmaxEffect(AbstractModel):
    """An effect that saturates, more or less steeply.

    .. code-block:: text

        effect = e0 + emax concentration^gamma / (ec50^gamma + concentration^gamma)

    **Parameters** (scalars): `e0` baseline (au), `emax` greatest change (au), negative where the drug lowers the
    response, `ec50` concentration at half of it (mg/L), `gamma` steepness (Hill coefficient).
    **Assumptions**: no delay.
    **Reference**: Hill 1910, J Physiol 40:iv; Holford & Sheiner 1981, Clin Pharmacokinet 6:429,
    doi:10.2165/00003088-198106060-00002. Typical values are illustrative.
    """

    e0: Response
    emax: Change
    ec50: Concentration
    gamma: Number

    class State(eqx.Module):
        """Nothing integrates."""

    class Input(eqx.Module):
        """The concentration that drives the effect."""

        concentration: Concentration = 0.0

    class Output(eqx.Module):
        """The response."""

        effect: Response

    def derivative(self, t, y, u):
        """Nothing integrates."""
        return self.State()

    def output(self, t, y, u):
        """The response to the concentration now."""
        return self.Output(effect=self.e0 + self.emax * hill(u.concentration / self.ec50, self.gamma))

    @classmethod
    def typical(cls):
        """Illustrative values."""
        return cls(e0=10.0, emax=90.0, ec50=2.0, gamma=1.8)
