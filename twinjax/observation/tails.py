"""Residual errors with heavy tails: a gross outlier is believed less the farther off it is, and moves a fit little."""

from __future__ import annotations

import abc
import functools
import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.scipy.special import betainc, log_ndtr

from twinjax.observation.residual import AbstractResidual
from twinjax.units import Scalar

_HALF_LOG_2PI = 0.5 * math.log(2.0 * math.pi)


class AbstractTailed(AbstractResidual):
    """A residual error whose standardised values are not normal: `error` says their scale, and on what scale.

    Parameters of `error` keep their names behind its own: ``plasma.error.proportional``. The shape is known and not
    estimated: compare fits of several.
    """

    error: AbstractResidual

    def variance(self, prediction: Scalar) -> Scalar:
        """The square of the scale: of the error without its tails."""
        return self.error.variance(prediction)

    def transform(self, x: Scalar) -> Scalar:
        """That of `error`."""
        return self.error.transform(x)

    def inverse(self, x: Scalar) -> Scalar:
        """That of `error`."""
        return self.error.inverse(x)

    @property
    @abc.abstractmethod
    def spread(self) -> float:
        """Variance of a standardised value."""

    @property
    @abc.abstractmethod
    def information(self) -> tuple[float, float]:
        """Expected information about the place and about the logarithm of the variance, in units of the scale."""

    @abc.abstractmethod
    def log_density(self, z: Any) -> Any:
        """Of a standardised value."""

    @abc.abstractmethod
    def log_cumulative(self, z: Any) -> Any:
        """Logarithm of the probability of a smaller one, exact in the lower tail."""

    @abc.abstractmethod
    def score(self, z: Any) -> Any:
        """Minus the slope of `log_density`."""

    @abc.abstractmethod
    def deviate(self, key: Any, normal: Any) -> Any:
        """Standardised values made of standard normal ones."""


class StudentT(AbstractTailed):
    """Student's t with `df` degrees of freedom about the prediction, its scale that of `error`.

    .. code-block:: text

        -2 log p = (df + 1) log(1 + z^2 / df) + 2 log scale + constant          z = (y - f) / scale

    **Parameters**: `error`, such as ``Proportional(0.2)``; `df`, above 2: 4 is customary, a large one is normal.
    **Raises** `ValueError` for two degrees or fewer, which have no variance.
    **Reference**: Lange, Little & Taylor 1989, J Am Stat Assoc 84:881, doi:10.1080/01621459.1989.10478852.
    """

    error: AbstractResidual
    df: float = eqx.field(static=True, default=4.0)

    def __check_init__(self) -> None:
        if not self.df > 2.0:
            raise ValueError(f"Student's t of {self.df:g} degrees of freedom has no variance; take more than 2, as 4")

    @property
    def spread(self):
        """Df / (df - 2)."""
        return self.df / (self.df - 2.0)

    @property
    def information(self):
        """(df + 1) / (df + 3) and half of df / (df + 3)."""
        return (self.df + 1.0) / (self.df + 3.0), 0.5 * self.df / (self.df + 3.0)

    def log_density(self, z):
        """See the class."""
        half = 0.5 * (self.df + 1.0)
        constant = math.lgamma(half) - math.lgamma(0.5 * self.df) - 0.5 * math.log(self.df * math.pi)
        return constant - half * jnp.log1p(z * z / self.df)

    def log_cumulative(self, z):
        """By the incomplete beta function."""
        return _log_cumulative(self, z)

    def score(self, z):
        """(df + 1) z / (df + z^2)."""
        return (self.df + 1.0) * z / (self.df + z * z)

    def deviate(self, key, normal):
        """Divided by the root of a mean square of `df` others."""
        square = 2.0 * jax.random.gamma(key, 0.5 * self.df, jnp.shape(normal))
        return normal * jnp.sqrt(self.df / square)


class ContaminatedNormal(AbstractTailed):
    """Normal, but for a `share` of measurements that err `times` as much.

    **Parameters**: `error`, that of the others; `share`, between 0 and 1; `times`, above 1.
    **Assumptions**: the information that searches use is that of knowing which are contaminated, more than there is;
    methods that take second derivatives (`Laplace`, `MAP`) have the exact one.
    **Raises** `ValueError` for a share or a factor that is none.
    **Reference**: Lange, Little & Taylor 1989, doi:10.1080/01621459.1989.10478852.
    """

    error: AbstractResidual
    share: float = eqx.field(static=True, default=0.05)
    times: float = eqx.field(static=True, default=5.0)

    def __check_init__(self) -> None:
        if not 0.0 < self.share < 1.0 or not self.times > 1.0:
            raise ValueError(f"a share of {self.share:g} that errs {self.times:g} times as much: the share is between "
                             "0 and 1, the factor above 1")  # fmt: skip

    @property
    def spread(self):
        """(1 - share) + share times^2."""
        return 1.0 - self.share + self.share * self.times**2

    @property
    def information(self):
        """(1 - share) + share / times^2, and a half."""
        return 1.0 - self.share + self.share / self.times**2, 0.5

    def _both(self, z: Any) -> tuple[Any, Any]:
        clean = math.log1p(-self.share) - 0.5 * z * z - _HALF_LOG_2PI
        return clean, math.log(self.share / self.times) - 0.5 * jnp.square(z / self.times) - _HALF_LOG_2PI

    def log_density(self, z):
        """Of the mixture."""
        return jnp.logaddexp(*self._both(z))

    def log_cumulative(self, z):
        """Of the mixture."""
        return jnp.logaddexp(math.log1p(-self.share) + log_ndtr(z), math.log(self.share) + log_ndtr(z / self.times))

    def score(self, z):
        """Each part's, by its probability."""
        clean, gross = self._both(z)
        weight = jax.nn.sigmoid(gross - clean)
        return (1.0 - weight) * z + weight * z / self.times**2

    def deviate(self, key, normal):
        """Some of them larger."""
        return normal * jnp.where(jax.random.bernoulli(key, self.share, jnp.shape(normal)), self.times, 1.0)


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def _log_cumulative(error: StudentT, z: Any) -> Any:
    tail = 0.5 * betainc(0.5 * error.df, 0.5, error.df / (error.df + z * z))
    return jnp.where(z > 0, jnp.log1p(-tail), jnp.log(tail))


@_log_cumulative.defjvp
def _(error: StudentT, primals: tuple[Any], tangents: tuple[Any]) -> tuple[Any, Any]:
    (z,), (move,) = primals, tangents
    value = _log_cumulative(error, z)
    return value, jnp.exp(error.log_density(z) - value) * move
