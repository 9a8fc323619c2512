"""Between-occasion variability: how one person differs from one occasion to the next."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from twinjax.units import Scalar


class Occasions(eqx.Module):
    """A second level of random effects: every occasion of a person has its own, with the same covariance.

    On the scale of the parameter (log-normal unless `variability` of the population says otherwise)

    .. code-block:: text

        p(person, occasion) = typical * exp(eta(person) + kappa(person, occasion))
        eta ~ N(0, Omega),  kappa ~ N(0, Pi),  all independent

    The standard deviations of ``Occasions("OCC", 2, {"cl": 0.2})`` are ``omega.cl.occasion``, the random effects
    ``cl.occasion.1`` and ``cl.occasion.2``.

    **Parameters**: `covariate`, which says what occasion it is, and may change in time; `levels`, its values, or
    their number if they are 1, 2, ...; `variability`, parameter -> standard deviation of kappa; `correlations`, pair
    of parameters -> correlation of their kappas, as between subjects.
    **Raises** `ValueError` for levels that are too few or the same, and for no or a negative variability.
    **Reference**: Karlsson & Sheiner 1993, J Pharmacokinet Biopharm 21:735, doi:10.1007/BF01113502.
    """

    covariate: str = eqx.field(static=True)
    levels: tuple[float, ...] = eqx.field(static=True)
    variability: dict[str, Scalar]
    correlations: tuple[tuple[tuple[str, str], float], ...] = eqx.field(static=True)

    def __init__(
        self,
        covariate: str,
        levels: int | tuple[float, ...] | list[float],
        variability: Mapping[str, float],
        correlations: Mapping[tuple[str, str], float] | None = None,
    ) -> None:
        """See the class."""
        self.covariate = covariate
        self.levels = tuple(float(x) for x in (range(1, levels + 1) if isinstance(levels, int) else levels))
        self.variability, self.correlations = dict(variability), tuple((correlations or {}).items())
        if not self.levels or len(set(self.levels)) < len(self.levels):
            raise ValueError(f"levels of {covariate} are its values, each once, or how many there are; not {levels}")
        if not self.variability:
            raise ValueError("occasions need variability: which parameters differ between them, {name: sd}")

    def pick(self, values: Any, occasion: Any) -> Any:
        """Of `values`, one a level, that of an occasion; NaN for an occasion that is none of the levels."""
        chosen = jnp.full((), jnp.nan)
        for level, value in zip(self.levels, values, strict=True):
            chosen = jnp.where(occasion == level, value, chosen)
        return chosen

    def check(self, who: str, occasions: Any) -> None:
        """**Raises** `ValueError` for a subject with an occasion that is none of the levels."""
        other = sorted(set(np.ravel(np.asarray(occasions, float)).tolist()) - set(self.levels))
        if other:
            known = ", ".join(f"{x:g}" for x in self.levels)
            raise ValueError(f"{who}: {self.covariate} is {other[0]:g}, which is none of the occasions {known}: name "
                             "every one in levels=")  # fmt: skip
