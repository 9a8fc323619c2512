"""Second derivatives of a function at a mode that moves with its parameters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from twinjax.estimation.small import inverse


def second_derivative(joint: Callable[[Any, Any], Any], marginal: Callable[[Any, Any], Any], eta: Any, x: Any) -> Any:
    """Second derivative `(free, free)` in `x` of ``marginal(eta-hat(x), x)``, where eta-hat minimises `joint`.

    .. code-block:: text

        D2 [ marginal(eta + eta' d, x + d) - joint_e(eta + eta' d, x + d) . joint_ee^-1 marginal_e ]     at d = 0

    with eta' = -joint_ee^-1 joint_ex. Along the mode joint_e stays zero, so that the second term has what the second
    derivative of eta-hat adds to the first.

    **Parameters**: `joint` and `marginal`, of eta and x; `eta` `(etas,)`, the mode at `x` `(free,)`.
    """
    slope = jax.grad(joint)
    newton = inverse(jax.jacfwd(slope)(eta, x))
    pull = newton @ jax.grad(marginal)(eta, x)
    moves = -newton @ jax.jacfwd(slope, argnums=1)(eta, x)

    def along(d: Any) -> Any:
        at, there = eta + moves @ d, x + d
        return marginal(at, there) - jax.jvp(lambda e: joint(e, there), (at,), (pull,))[1]

    return jax.hessian(along)(jnp.zeros_like(x))
