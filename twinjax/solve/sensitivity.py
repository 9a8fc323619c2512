"""Forward sensitivities as the derivative rule of a solve, so that every mode and mix of differentiation works.

An adaptive loop has a forward-mode derivative only. Here its Jacobian in what is perturbed is computed forward,
patient by patient, and the rule multiplies by it: a linear map, which JAX transposes. So `grad`, `jvp`, `hessian` and
any nesting up to `order` work on the same solve, and steps are frozen (chosen by the values, not differentiated).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.custom_derivatives import SymbolicZero

PATIENTS = "patients"
"""The name of the mapped axis, for what a whole batch does together: `together`."""


def together(flag: Any) -> Any:
    """Whether any patient of the batch says so. A loop on this has no batched condition, so that `vmap` adds no
    copies.
    """
    return jax.lax.pmax(flag.astype(int), PATIENTS) > 0


def forward_sensitivities(one: Callable[..., tuple[Any, Any]], order: int) -> Callable[..., tuple[Any, Any]]:
    """The batched form of `one`, differentiable `order` times in any mode.

    **Parameters**: `one(*leaves)`, for a single patient, returns a pytree of real arrays and auxiliary results
    without a derivative; the function returned takes leaves with a leading patient axis.
    **Raises** `TypeError` where more than `order` derivatives in reverse mode are asked for (by JAX).
    """

    @jax.custom_jvp
    def batched(*leaves: Any) -> tuple[Any, Any]:
        return jax.vmap(one, axis_name=PATIENTS)(*leaves)

    def rule(primals: Sequence[Any], tangents: Sequence[Any]) -> tuple[Any, Any]:
        active = [i for i, t in enumerate(tangents) if not isinstance(t, SymbolicZero) and t.dtype != jax.dtypes.float0]
        sizes = [primals[i][0].size for i in active]

        def with_jacobian(*leaves: Any) -> tuple[Any, Any]:
            shapes = [leaves[i].shape for i in active]

            def along(flat: Any) -> tuple[Any, Any]:
                moved, at = list(leaves), 0
                for i, shape, size in zip(active, shapes, sizes, strict=True):
                    moved[i] = flat[at : at + size].reshape(shape)
                    at += size
                value, aux = one(*moved)
                return value, (value, aux)

            flat = jnp.concatenate([leaves[i].reshape(-1) for i in active])
            jacobian, (value, aux) = jax.jacfwd(along, has_aux=True)(flat)
            return (value, jacobian), aux

        inner = (
            forward_sensitivities(with_jacobian, order - 1)
            if order > 1
            else jax.vmap(with_jacobian, axis_name=PATIENTS)
        )
        (value, jacobian), aux = inner(*primals)
        patients = primals[active[0]].shape[0]
        direction = jnp.concatenate([jnp.asarray(tangents[i]).reshape(patients, -1) for i in active], axis=1)
        moved = jax.tree.map(lambda j: jnp.einsum("p...d,pd->p...", j, direction), jacobian)
        return (value, aux), (moved, jax.tree.map(_no_tangent, aux))

    batched.defjvp(rule, symbolic_zeros=True)
    return batched


def _no_tangent(x: Any) -> Any:
    import numpy as np

    return np.zeros(x.shape, jax.dtypes.float0)
