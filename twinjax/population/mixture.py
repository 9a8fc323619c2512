"""A mixture of subpopulations: people of several kinds, and no telling beforehand who is of which."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jax.core import Tracer

from twinjax.units import Scalar


class Mixture(eqx.Module):
    """Classes of people whose parameters differ by what effects make of a covariate that nobody has measured.

    .. code-block:: text

        p(y) = sum over k of pi_k p(y | class k)

    A person's class is a covariate 1, 2, ..., K; ``covariates={"cl": Categorical("class", {2: -0.6})}`` with
    ``mixture=Mixture("class", (0.7, 0.3))`` makes the second class eliminate by 0.4 of the first. Probabilities are
    parameters ``mixture.1``, ..., ``mixture.K-1``; that of the last class is the rest.

    **Parameters**: `covariate`, what effects call the class; `probabilities`, of each class, with sum 1.
    **Assumptions**: which class is called the first is decided by where the search starts: to exchange the classes
    leaves the likelihood as it is.
    **Raises** `ValueError` for probabilities that are none.
    **Reference**: Carlsson et al. 2009, AAPS J 11:148, doi:10.1208/s12248-009-9093-4.
    """

    covariate: str = eqx.field(static=True)
    probabilities: tuple[Scalar, ...]

    def __init__(self, covariate: str, probabilities: tuple[Scalar, ...] | list[Scalar]) -> None:
        """See the class."""
        self.covariate, self.probabilities = covariate, tuple(probabilities)
        if len(self.probabilities) < 2:
            raise ValueError("a mixture has at least two classes: give the probability of each")
        if not any(isinstance(p, Tracer) for p in self.probabilities):
            total = sum(float(p) for p in self.probabilities)
            if min(float(p) for p in self.probabilities) <= 0 or abs(total - 1) > 1e-9:
                raise ValueError(f"the probabilities of the classes are above zero and have the sum 1, not {total:g}")

    @property
    def classes(self) -> int:
        """How many."""
        return len(self.probabilities)

    @property
    def named(self) -> tuple[str, ...]:
        """The names of the probabilities that are parameters."""
        return tuple(f"mixture.{k + 1}" for k in range(self.classes - 1))

    def at(self, theta: Any) -> Any:
        """The probability of every class, `(classes,)`, at the given values."""
        known = jnp.stack([jnp.asarray(theta[n], float) for n in self.named])
        return jnp.concatenate([known, 1.0 - jnp.sum(known, keepdims=True)])
