"""Linear algebra of small symmetric positive definite matrices, unrolled into scalar arithmetic.

The matrices of an estimator are as wide as its random effects: two to ten. LAPACK calls and their derivatives cost
more to compile than everything else in an objective; unrolled, they fuse. Wider matrices go to `jax.numpy.linalg`.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

_WIDEST = 8


def cholesky(a: Any) -> Any:
    """Lower Cholesky factor of `(n, n)`; NaN where the matrix is not positive definite."""
    n = a.shape[-1]
    if n > _WIDEST or n == 0:
        return jnp.linalg.cholesky(a)
    rows = [[jnp.zeros(a.shape[:-2], a.dtype)] * n for _ in range(n)]
    for j in range(n):
        pivot = a[..., j, j] - sum((rows[j][k] ** 2 for k in range(j)), jnp.zeros((), a.dtype))
        rows[j][j] = jnp.where(pivot > 0, jnp.sqrt(jnp.where(pivot > 0, pivot, 1.0)), jnp.nan)
        for i in range(j + 1, n):
            rest = a[..., i, j] - sum((rows[i][k] * rows[j][k] for k in range(j)), jnp.zeros((), a.dtype))
            rows[i][j] = rest / rows[j][j]
    return jnp.stack([jnp.stack(r, axis=-1) for r in rows], axis=-2)


@jax.custom_jvp
def log_determinant(a: Any) -> Any:
    """Logarithm of the determinant of a symmetric positive definite matrix; NaN where it is none."""
    return 2.0 * jnp.sum(jnp.log(jnp.diagonal(cholesky(a), axis1=-2, axis2=-1)), axis=-1)


@log_determinant.defjvp
def _log_determinant_rule(primals: Any, tangents: Any) -> tuple[Any, Any]:
    """By Jacobi's formula: differentiating the factorisation would be most of what an objective compiles."""
    (a,), (moved,) = primals, tangents
    return log_determinant(a), jnp.sum(inverse(a) * moved, axis=(-2, -1))


@jax.custom_jvp
def inverse(a: Any) -> Any:
    """Inverse of a symmetric positive definite matrix; NaN where it is none."""
    n = a.shape[-1]
    if n > _WIDEST or n == 0:
        return jnp.linalg.inv(a)
    low = lower_inverse(cholesky(a))
    return jnp.swapaxes(low, -1, -2) @ low


@inverse.defjvp
def _inverse_rule(primals: Any, tangents: Any) -> tuple[Any, Any]:
    (a,), (moved,) = primals, tangents
    inverted = inverse(a)
    return inverted, -inverted @ moved @ inverted


def lower_inverse(low: Any) -> Any:
    """Inverse of a lower triangular matrix."""
    n = low.shape[-1]
    if n > _WIDEST or n == 0:
        return jax.scipy.linalg.solve_triangular(low, jnp.eye(n, dtype=low.dtype), lower=True)
    zero = jnp.zeros(low.shape[:-2], low.dtype)
    rows = [[zero] * n for _ in range(n)]
    for i in range(n):
        rows[i][i] = 1.0 / low[..., i, i]
        for j in range(i):
            rows[i][j] = -rows[i][i] * sum((low[..., i, k] * rows[k][j] for k in range(j, i)), zero)
    return jnp.stack([jnp.stack(r, axis=-1) for r in rows], axis=-2)
