"""A tumour as a mixture of clones, each with a growth rate of its own that falls with the drug's concentration."""

from __future__ import annotations

from typing import Annotated, Any

import equinox as eqx
import jax
import jax.numpy as jnp

from twinjax.units import Bounds, Unit


class Clones(eqx.Module):
    """Clones of a tumour and what a drug does to each.

    .. code-block:: text

        cells(t, x) = cells(0) sum_i share_i exp(t rate_i(x))
        rate_i(x)   = growth_i + log(survival_i + (1 - survival_i) / (1 + (x / ec50_i)^hill_i))

    **Parameters**, `(clones,)` each: `share` of the cells at time 0, which add up to 1; `growth`, net rate without drug
    (1/h); `survival`, the factor by which the highest concentrations multiply an hour's growth; `ec50`, concentration
    of half the effect on that factor, in the experiment's unit; `hill`, its steepness.
    **Assumptions**: clones neither interact nor turn into each other; no limit of growth; the drug does not decay.
    **Reference**: Kohn-Luque et al. 2023, Cell Rep Methods 3:100417, doi:10.1016/j.crmeth.2023.100417
    (there alpha, b, E, n, p).
    """

    share: Annotated[Any, Unit("1"), Bounds(0.0, 1.0)]
    growth: Annotated[Any, Unit("1/h"), Bounds(-jnp.inf, jnp.inf)]
    survival: Annotated[Any, Unit("1"), Bounds(0.0, 1.0)]
    ec50: Annotated[Any, Unit("umol/L")]
    hill: Annotated[Any, Unit("1")]

    def rate(self, concentration: Any) -> Any:
        """Net growth rate of each clone, 1/h, `(..., clones)`."""
        x = jnp.asarray(concentration)[..., None] / self.ec50
        some = x > 0
        effect = jnp.where(some, jnp.exp(self.hill * jnp.log(jnp.where(some, x, 1.0))), 0.0)
        return self.growth + jnp.log(self.survival + (1.0 - self.survival) / (1.0 + effect))

    def multiplier(self, time: Any, concentration: Any) -> Any:
        """How many times the cells of time 0 there are, `(times, concentrations)`."""
        grown = jnp.exp(jnp.asarray(time)[:, None, None] * self.rate(concentration))
        return jnp.sum(self.share * grown, axis=-1)

    def gr50(self, highest: float) -> jax.Array:
        """Concentration where each clone grows halfway between no drug and the `highest` concentration, `(clones,)`."""
        ends = self.rate(jnp.asarray([0.0, highest]))
        factor = jnp.exp(jnp.mean(ends, axis=0) - self.growth)
        inside = (1.0 - self.survival) / jnp.maximum(factor - self.survival, 1e-300) - 1.0
        return self.ec50 * jnp.maximum(inside, 0.0) ** (1.0 / self.hill)
