"""Residual errors: how far a measurement may lie from the model."""

from __future__ import annotations

import abc

import equinox as eqx
import jax.numpy as jnp

from twinjax.units import Scalar


class AbstractResidual(eqx.Module):
    """A residual error: normal about the prediction, on the scale of `transform`, with a variance that may depend on
    it.

    Its fields are parameters with names: those of the output ``plasma`` are ``plasma.additive`` and so on.
    """

    @abc.abstractmethod
    def variance(self, prediction: Scalar) -> Scalar:
        """Variance of a transformed measurement, given the (untransformed) prediction."""

    def transform(self, x: Scalar) -> Scalar:
        """The scale on which the error is normal; the identity unless overridden."""
        return x

    def inverse(self, x: Scalar) -> Scalar:
        """Back from the scale of `transform`, which an error that overrides it overrides too."""
        return x


class Additive(AbstractResidual):
    """Constant standard deviation `additive`, in the output's unit."""

    additive: Scalar

    def variance(self, prediction):
        """additive^2."""
        return jnp.square(self.additive) + 0.0 * prediction


class Proportional(AbstractResidual):
    """Standard deviation proportional to the prediction: `proportional` times |f|."""

    proportional: Scalar

    def variance(self, prediction):
        """(proportional f)^2."""
        return jnp.square(self.proportional * prediction)


class Combined(AbstractResidual):
    """Additive and proportional errors, independent: their variances add (Monolix's and nlmixr2's combined2)."""

    additive: Scalar
    proportional: Scalar

    def variance(self, prediction):
        """additive^2 + (proportional f)^2."""
        return jnp.square(self.additive) + jnp.square(self.proportional * prediction)


class CombinedLinear(AbstractResidual):
    """One error whose standard deviation is additive + proportional |f| (Monolix's and nlmixr2's combined1)."""

    additive: Scalar
    proportional: Scalar

    def variance(self, prediction):
        """(additive + proportional |f|)^2."""
        return jnp.square(self.additive + self.proportional * jnp.abs(prediction))


class PowerError(AbstractResidual):
    """Standard deviation `proportional` times |f| to the `exponent`."""

    proportional: Scalar
    exponent: Scalar

    def variance(self, prediction):
        """(proportional |f|^exponent)^2; zero at f = 0."""
        positive = jnp.abs(prediction) > 0
        safe = jnp.where(positive, jnp.abs(prediction), 1.0)
        return jnp.where(positive, jnp.square(self.proportional * safe**self.exponent), 0.0)


class LogNormalError(AbstractResidual):
    """Normal on the log scale with standard deviation `lognormal`; measurements and predictions are positive.

    The objective is that of the logarithms (as in NONMEM with log-transformed data): it lacks 2 sum(log y).
    """

    lognormal: Scalar

    def variance(self, prediction):
        """lognormal^2."""
        return jnp.square(self.lognormal) + 0.0 * prediction

    def transform(self, x):
        """The logarithm, floored where the argument is not positive so that a bad step stays finite."""
        return jnp.log(jnp.maximum(x, 1e-300))

    def inverse(self, x):
        """The exponential."""
        return jnp.exp(x)
