"""Two drugs at once: effects of both from the effect of each, by Bliss, Loewe or shifts of potency (GPDI)."""

from __future__ import annotations

import math
from typing import Annotated

import equinox as eqx
import jax.numpy as jnp
from jax import lax

from twinjax.models.base import AbstractModel
from twinjax.models.pd.effect import hill
from twinjax.units import Bounds, Concentration, Fraction, Number, Scalar, Unit

Shift = Annotated[Scalar, Unit("1"), Bounds(-1.0, math.inf)]
"""The most by which another drug changes an EC50, relative to it: -1 abolishes it, 0 leaves it."""

STEPS = 8
"""Newton's steps to Loewe's effect: quadratic from a distance of at most log 2 Hill exponents, below rounding by six,
and two more so that second derivatives are too.
"""


def bliss(a, b):
    """Both effects, fractions, of drugs that act independently: ``a + b - a b``. Bliss 1939, Ann Appl Biol 26:585."""
    return a + b - a * b


def loewe(ratio_a, ratio_b, gamma_a, gamma_b):
    """The effect e, a fraction, of drugs that are dilutions of one another in effect.

    .. code-block:: text

        ratio_a / (e / (1 - e))^(1 / gamma_a) + ratio_b / (e / (1 - e))^(1 / gamma_b) = 1        ratio = c / ec50

    Solved for ``log(e / (1 - e))`` by Newton's method from the stronger of the two alone, below the root of a falling
    convex function, so that every step comes closer; one drug alone has its Hill effect.
    **Reference**: Loewe & Muischnek 1926, doi:10.1007/BF01952257; general isobole for Hill curves of one maximum.
    """
    some_a, some_b = ratio_a > 0.0, ratio_b > 0.0
    log_a, log_b = (jnp.log(jnp.where(s, r, 1.0)) for s, r in ((some_a, ratio_a), (some_b, ratio_b)))
    x = jnp.maximum(gamma_a * log_a, gamma_b * log_b)
    for _ in range(STEPS):
        part_a, part_b = jnp.exp(log_a - x / gamma_a), jnp.exp(log_b - x / gamma_b)
        x = x + (part_a + part_b - 1.0) / (part_a / gamma_a + part_b / gamma_b)
    alone = jnp.where(some_a, hill(ratio_a, gamma_a), hill(ratio_b, gamma_b))
    return jnp.where(some_a & some_b, lax.logistic(x), alone)


def shifted(ec50, interaction, ratio, gamma):
    """An EC50 under another drug: ``ec50 (1 + interaction hill(ratio, gamma))``, ratio the other's concentration over
    that of half the interaction.
    """
    return ec50 * (1.0 + interaction * hill(ratio, gamma))


class _Two(eqx.Module):
    """The two concentrations that drive an effect."""

    a: Concentration = 0.0
    b: Concentration = 0.0


class _Nothing(eqx.Module):
    """Nothing integrates."""


class _Effect(eqx.Module):
    """A fraction of the greatest effect."""

    effect: Fraction


class BlissEffect(AbstractModel):
    """Two drugs that act independently of each other.

    .. code-block:: text

        effect = ea + eb - ea eb        ea = a^gamma_a / (ec50_a^gamma_a + a^gamma_a), eb likewise

    **Parameters** (scalars): `ec50_a`, `ec50_b` concentrations of half the effect (mg/L), `gamma_a`, `gamma_b`
    steepness.
    **Assumptions**: each drug alone reaches the whole effect; no delay; independent action.
    **Reference**: Bliss 1939, Ann Appl Biol 26:585, doi:10.1111/j.1744-7348.1939.tb06990.x. Typical values are
    illustrative.
    """

    ec50_a: Concentration
    ec50_b: Concentration
    gamma_a: Number
    gamma_b: Number

    State = _Nothing
    Input = _Two
    Output = _Effect

    def derivative(self, t, y, u):
        """Nothing integrates."""
        return self.State()

    def output(self, t, y, u):
        """Independent action."""
        return self.Output(effect=bliss(hill(u.a / self.ec50_a, self.gamma_a), hill(u.b / self.ec50_b, self.gamma_b)))

    @classmethod
    def typical(cls):
        """Illustrative values."""
        return cls(ec50_a=1.0, ec50_b=5.0, gamma_a=1.5, gamma_b=2.0)


class LoeweEffect(AbstractModel):
    """Two drugs of which one acts like a dilution of the other.

    .. code-block:: text

        a / (ec50_a x^(1 / gamma_a)) + b / (ec50_b x^(1 / gamma_b)) = 1        x = effect / (1 - effect)

    **Parameters** (scalars): `ec50_a`, `ec50_b` concentrations of half the effect (mg/L), `gamma_a`, `gamma_b`
    steepness.
    **Assumptions**: each drug alone reaches the whole effect; no delay; no interaction in Loewe's sense.
    **Reference**: Loewe & Muischnek 1926, Naunyn-Schmiedebergs Arch 114:313, doi:10.1007/BF01952257. Typical values
    are illustrative.
    """

    ec50_a: Concentration
    ec50_b: Concentration
    gamma_a: Number
    gamma_b: Number

    State = _Nothing
    Input = _Two
    Output = _Effect

    def derivative(self, t, y, u):
        """Nothing integrates."""
        return self.State()

    def output(self, t, y, u):
        """Loewe additivity."""
        effect = loewe(u.a / self.ec50_a, u.b / self.ec50_b, self.gamma_a, self.gamma_b)
        return self.Output(effect=effect)

    @classmethod
    def typical(cls):
        """Illustrative values."""
        return cls(ec50_a=1.0, ec50_b=5.0, gamma_a=1.5, gamma_b=2.0)


class GPDIEffect(AbstractModel):
    """Two drugs that shift each other's potency (general pharmacodynamic interaction model).

    .. code-block:: text

        ec50_a* = ec50_a (1 + int_ab b / (ec50_ab + b))        b changes a's potency; ec50_b* likewise by a
        effect  = ea + eb - ea eb                              ea = hill(a / ec50_a*, gamma_a), eb likewise

    **Parameters** (scalars): `ec50_a`, `ec50_b` concentrations of half the effect alone (mg/L), `gamma_a`, `gamma_b`
    steepness, `int_ab`, `int_ba` greatest relative changes of the EC50 of a by b and of b by a (above -1; negative is
    synergy), `ec50_ab`, `ec50_ba` concentrations of b and of a at which half of them is reached (mg/L).
    **Assumptions**: interactions saturate with exponent one; where they are zero, Bliss independence; no delay.
    **Reference**: Wicha et al. 2017, Nat Commun 8:2129, doi:10.1038/s41467-017-01929-y. Typical values are
    illustrative.
    """

    ec50_a: Concentration
    ec50_b: Concentration
    gamma_a: Number
    gamma_b: Number
    int_ab: Shift
    int_ba: Shift
    ec50_ab: Concentration
    ec50_ba: Concentration

    State = _Nothing
    Input = _Two
    Output = _Effect

    def derivative(self, t, y, u):
        """Nothing integrates."""
        return self.State()

    def output(self, t, y, u):
        """Independent action of drugs that each have the other's shift of potency."""
        ec50_a = shifted(self.ec50_a, self.int_ab, u.b / self.ec50_ab, 1.0)
        ec50_b = shifted(self.ec50_b, self.int_ba, u.a / self.ec50_ba, 1.0)
        return self.Output(effect=bliss(hill(u.a / ec50_a, self.gamma_a), hill(u.b / ec50_b, self.gamma_b)))

    @classmethod
    def typical(cls):
        """Illustrative values: b makes a twice as potent, a leaves b nearly alone."""
        return cls(1.0, 5.0, 1.5, 2.0, int_ab=-0.5, int_ba=0.1, ec50_ab=2.0, ec50_ba=1.0)
