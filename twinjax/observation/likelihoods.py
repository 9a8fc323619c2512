"""Likelihoods of data that are no prediction plus a residual error: binary, counts, ordered categories, events.

Given in place of a residual error, ``residual={"response": Logistic()}``. The likelihood is the whole of what is said
of a measurement given the random effects: write one out with `log_density`, and `fit` does the rest.
"""

from __future__ import annotations

import abc
import math
from typing import Annotated, Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import gammaln

from twinjax.units import Bounds, Scalar

_TINY = 1e-100  # whose square is a number too


class Read(eqx.Module):
    """A prediction that a likelihood reads besides that of its own output.

    **Parameters**: `output`, which; `before`, at the subject's previous record of the likelihood's own output (zero
    for the first) rather than at the record itself.
    """

    output: str = eqx.field(static=True)
    before: bool = eqx.field(static=True, default=False)


class AbstractLikelihood(eqx.Module):
    """The probability (or density) of a measurement, given predictions.

    Its fields are parameters with names: ``count.dispersion`` of the output ``count``.
    """

    @property
    def reads(self) -> tuple[Read, ...]:
        """Which other predictions it needs; none unless overridden."""
        return ()

    @abc.abstractmethod
    def log_density(self, y: Any, *predictions: Any) -> Any:
        """Log probability of `y`, given its output's prediction and then those that it `reads`."""

    @abc.abstractmethod
    def sample(self, key: Any, *predictions: Any) -> Any:
        """A random measurement."""

    def valid(self, y: np.ndarray) -> np.ndarray:
        """Which values it has a probability for; all unless overridden."""
        return np.ones(y.shape, bool)

    def information(self, y: Any, *predictions: Any) -> tuple[Any, ...]:
        """Information about each prediction, for searches (and FOCEI): the observed one, or zero where it is negative,
        unless overridden by the expected one.
        """

        def slope(k: int) -> Any:
            def along(p: Any) -> Any:
                return self.log_density(y, *predictions[:k], p, *predictions[k + 1 :])

            return jnp.maximum(-jax.jvp(jax.grad(along), (predictions[k],), (jnp.ones_like(predictions[k]),))[1], 0.0)

        return tuple(slope(k) for k in range(len(predictions)))


class Binary(AbstractLikelihood):
    """Yes (1) or no (0); the prediction is the probability of yes."""

    def log_density(self, y, probability):
        """Of a Bernoulli variable."""
        p = jnp.clip(probability, 1e-15, 1.0 - 1e-15)
        return jnp.where(y > 0.5, jnp.log(p), jnp.log1p(-p))

    def sample(self, key, probability):
        """0 or 1."""
        return jax.random.bernoulli(key, jnp.clip(probability, 0.0, 1.0)).astype(float)

    def valid(self, y):
        """0 and 1."""
        return (y == 0) | (y == 1)

    def information(self, y, probability):
        """1 / (p (1 - p))."""
        p = jnp.clip(probability, 1e-15, 1.0 - 1e-15)
        return (1.0 / (p * (1.0 - p)),)


class Logistic(AbstractLikelihood):
    """Yes (1) or no (0); the prediction is the log odds of yes, any real number."""

    def log_density(self, y, log_odds):
        """-log(1 + exp(-f)) for yes, -log(1 + exp(f)) for no."""
        return -jax.nn.softplus(jnp.where(y > 0.5, -log_odds, log_odds))

    def sample(self, key, log_odds):
        """0 or 1."""
        return jax.random.bernoulli(key, jax.nn.sigmoid(log_odds)).astype(float)

    def valid(self, y):
        """0 and 1."""
        return (y == 0) | (y == 1)

    def information(self, y, log_odds):
        """P (1 - p)."""
        p = jax.nn.sigmoid(log_odds)
        return (p * (1.0 - p),)


class Poisson(AbstractLikelihood):
    """A count; the prediction is its mean."""

    def log_density(self, y, mean):
        """Y log(m) - m - log(y!)."""
        return y * jnp.log(jnp.maximum(mean, _TINY)) - mean - gammaln(y + 1.0)

    def sample(self, key, mean):
        """A count."""
        return jax.random.poisson(key, jnp.maximum(mean, 0.0)).astype(float)

    def valid(self, y):
        """0, 1, 2, ..."""
        return _whole(y)

    def information(self, y, mean):
        """1 / m."""
        return (1.0 / jnp.maximum(mean, 1e-15),)


class NegativeBinomial(AbstractLikelihood):
    """A count that varies more than a Poisson one: mean m (the prediction), variance m + dispersion m^2."""

    dispersion: Scalar

    def log_density(self, y, mean):
        """Of a gamma mixture of Poisson counts with shape r = 1 / dispersion."""
        r, m = 1.0 / self.dispersion, jnp.maximum(mean, _TINY)
        counted = gammaln(y + r) - gammaln(r) - gammaln(y + 1.0)
        return counted + y * (jnp.log(m) - jnp.log(r + m)) - r * jnp.log1p(m / r)

    def sample(self, key, mean):
        """A Poisson count of a gamma mean."""
        first, second = jax.random.split(key)
        rate = jax.random.gamma(first, 1.0 / self.dispersion) * self.dispersion
        return jax.random.poisson(second, jnp.maximum(mean, 0.0) * rate).astype(float)

    def valid(self, y):
        """0, 1, 2, ..."""
        return _whole(y)

    def information(self, y, mean):
        """1 / (m + dispersion m^2)."""
        m = jnp.maximum(mean, 1e-15)
        return (1.0 / (m + self.dispersion * m * m),)


class Ordered(AbstractLikelihood):
    """An ordered category 0, 1, ..., K by proportional odds: ``logit P(y <= k) = c_k - f``, f the prediction.

    The cut points increase: ``c_0 = first``, ``c_k = c_(k-1) + steps[k-1]``. A constant in f and `first` cannot both
    be estimated: fix one.

    **Parameters**: `first`, any real number; `steps`, positive, K - 1 of them.
    **Reference**: McCullagh 1980, J R Stat Soc B 42:109.
    """

    first: Annotated[Scalar, Bounds(-math.inf, math.inf)]
    steps: tuple[Scalar, ...]

    def _cuts(self) -> list[Any]:
        cuts = [jnp.asarray(self.first)]
        for step in self.steps:
            cuts.append(cuts[-1] + step)
        return cuts

    def log_density(self, y, f):
        """``log(s(c_k - f) - s(c_(k-1) - f))``, s the logistic function, without cancellation."""
        cuts = self._cuts()
        total = jax.nn.log_sigmoid(f - cuts[-1])  # the highest category
        for k, cut in enumerate(cuts):
            upper = jax.nn.log_sigmoid(cut - f)
            if k > 0:
                upper = upper + jax.nn.log_sigmoid(f - cuts[k - 1]) + jnp.log(-jnp.expm1(-self.steps[k - 1]))
            total = jnp.where(y == k, upper, total)
        return total

    def sample(self, key, f):
        """How many cut points a logistic variable about f exceeds."""
        drawn = f + jax.random.logistic(key)
        return sum((jnp.where(drawn > cut, 1.0, 0.0) for cut in self._cuts()), jnp.zeros(()))

    def valid(self, y):
        """0 to K."""
        return _whole(y) & (y <= len(self.steps) + 1)


class TimeToEvent(AbstractLikelihood):
    """Events in time. Its output is the hazard h(t); the model integrates it to the cumulative hazard H, an output too.

    A record says what happened since the subject's previous record of the output (the first: since H was zero), s:

    .. code-block:: text

        0   nothing (right-censored at t if it is the last)     log p = -(H(t) - H(s))
        1   an event at t itself                                log p = log h(t) - (H(t) - H(s))
        2   an event between the two (interval-censored)        log p = log(1 - exp(-(H(t) - H(s))))

    H is zero where a subject's records begin (a dose, or a measurement): begin with a 0 where the observation starts.
    A subject seen at 2 without event and at 5 with one is two records, 0 at 2 and 2 at 5. Repeated events are
    records that go on.

    **Parameters**: `cumulative`, the name of the output that is H.
    **Assumptions**: `sample` tells at each record whether there was an event since the one before (2) or not (0): in
    simulated data events are interval-censored by the design's times.
    **Reference**: Holford 2013, CPT Pharmacometrics Syst Pharmacol 2:e43, doi:10.1038/psp.2013.18.
    """

    cumulative: str = eqx.field(static=True)

    @property
    def reads(self):
        """H now and at the record before."""
        return Read(self.cumulative), Read(self.cumulative, before=True)

    def log_density(self, y, hazard, now, before):
        """See the class."""
        risk = now - before
        some = jnp.where(y == 2, jnp.maximum(risk, _TINY), 1.0)
        exact = jnp.log(jnp.where(y == 1, jnp.maximum(hazard, _TINY), 1.0)) - risk
        return jnp.where(y == 1, exact, jnp.where(y == 2, jnp.log(-jnp.expm1(-some)), -risk))

    def sample(self, key, hazard, now, before):
        """2 with probability 1 - exp(-(H - H before)), else 0."""
        return 2.0 * jax.random.bernoulli(key, -jnp.expm1(-(now - before)))

    def valid(self, y):
        """0, 1 and 2."""
        return (y == 0) | (y == 1) | (y == 2)


def _whole(y: np.ndarray) -> np.ndarray:
    return (y >= 0) & (y == np.round(y))
