"""The most probable random effects, and how far they may be off: Laplace's approximation of the posterior."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from twinjax.assimilation.bedside import Bedside
from twinjax.assimilation.belief import NormalBelief
from twinjax.assimilation.methods.base import AbstractAssimilation, Learnt
from twinjax.estimation.methods.conditional import FOCEI
from twinjax.solve.compiling import compiled


class MAP(AbstractAssimilation):
    """Maximum a posteriori: the mode of the joint density of all measurements and the random effects, and the inverse
    of its curvature there as their covariance.

    Searched from where it was and from zero; the more probable end counts. Depends on all the data and not on the
    order in which they came.

    **Parameters**: `search`, how modes are found.
    **Reference**: Sheiner & Beal 1982, J Pharm Sci 71:1344, doi:10.1002/jps.2600711209; Laplace's approximation:
    Tierney & Kadane 1986, doi:10.1080/01621459.1986.10478240.
    """

    search: FOCEI = eqx.field(default_factory=FOCEI)

    def check(self, bedside):
        """Refuses a search whose errors are those of eta = 0 where they vary between people."""
        serves(self.search, bedside)

    def learn(self, bedside, belief, key):
        """The mode, anew from all the data: it costs no more than the news alone."""
        eta, spread, settled = modes(self.search, bedside, belief.mean)
        none = jnp.full(eta.shape[:1], jnp.nan)
        return Learnt(NormalBelief(eta, spread), settled, none, none)


def serves(search: FOCEI, bedside: Bedside) -> None:
    """**Raises** `ValueError` where a search takes residual errors at eta = 0 and they vary between people."""
    varying = bedside.population.varying_errors
    if varying and not search.interaction:
        raise ValueError(
            f"{search.name} searches modes with residual errors at eta = 0, and {varying[0]} varies between people; "
            "use search=FOCEI()"
        )


@compiled
def modes(search: FOCEI, bedside: Bedside, start: Any) -> tuple[Any, Any, Any]:
    """Modes, covariances and whether they settled, of every patient."""
    both = bedside.times(2)
    begin = jnp.stack([start, jnp.zeros_like(start)], axis=1)
    patients, etas = start.shape
    found = search.modes(both.predictor, both.design, bedside.x, begin.reshape(2 * patients, etas))
    value = jax.vmap(lambda e, case: search.joint(both.predictor, bedside.x, e, case))(found.eta, found.case)
    good = found.settled & (found.case.local.result == 0) & jnp.isfinite(value)
    value = jnp.where(good, value, jnp.where(jnp.isfinite(value), value + 1e6, jnp.inf)).reshape(patients, 2)
    at = jnp.argmin(value, axis=1)

    def chosen(x: Any) -> Any:
        return x.reshape(patients, 2, *x.shape[1:])[jnp.arange(patients), at]

    return chosen(found.eta), 2.0 * chosen(found.newton), chosen(good)
