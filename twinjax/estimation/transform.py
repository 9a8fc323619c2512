"""Named parameters <-> one unconstrained vector, which optimisers move freely."""

from __future__ import annotations

import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from twinjax.population.population import Population
from twinjax.units import Bounds


class Transform(eqx.Module):
    """The estimated parameters of a population as a vector `(free,)` without constraints.

    Positive parameters enter as logarithms, those in an interval as logits, others as they are; a block of Omega as its
    Cholesky factor with logarithms on the diagonal, so that it stays positive definite; probabilities of a mixture's
    classes as the logarithms of their ratios to the last.
    """

    names: tuple[str, ...] = eqx.field(static=True)
    bounds: tuple[Bounds, ...] = eqx.field(static=True)
    blocks: tuple[tuple[str, ...], ...] = eqx.field(static=True)
    shares: tuple[str, ...] = eqx.field(static=True, default=())

    @staticmethod
    def of(population: Population) -> Transform:
        """Of everything in `population.theta` that is not fixed.

        **Raises** `ValueError` where part of an Omega block, or of a mixture's probabilities, is fixed and part is not.
        """
        free = [(n, b) for n, b in population.bounds if n not in population.fixed]
        blocks = []
        for block in population.blocks:
            own = [f"omega.{n}" for n in block]
            own += [f"corr.{a}.{b}" for i, a in enumerate(block) for b in block[i + 1 :]]
            held = [n for n in own if n in population.fixed]
            if held and len(held) < len(own):
                raise ValueError(
                    f"{', '.join(held)} cannot be fixed alone: fix the whole block {', '.join(own)}, or none of it"
                )
            if not held:
                blocks.append(block)
        shares = () if population.mixture is None else population.mixture.named
        if held := [n for n in shares if n in population.fixed]:
            if len(held) < len(shares):
                raise ValueError(f"{', '.join(held)} cannot be fixed alone: fix all of {', '.join(shares)}, or none")
            shares = ()
        return Transform(tuple(n for n, _ in free), tuple(b for _, b in free), tuple(blocks), shares)

    @property
    def reported(self) -> tuple[str, ...]:
        """Names of the estimated parameters as people read them, as many as the vector is long."""
        found = list(self.names)
        for block in self.blocks:
            found += [f"omega.{n}" for n in block]
            found += [f"corr.{a}.{b}" for i, a in enumerate(block) for b in block[i + 1 :]]
        return (*found, *self.shares)

    def pack(self, theta: Any) -> Any:
        """The vector of these values."""
        parts = [_out(theta[n], b) for n, b in zip(self.names, self.bounds, strict=True)]
        for block in self.blocks:
            sd = jnp.stack([theta[f"omega.{n}"] for n in block])
            r = jnp.stack([jnp.stack([_correlation(theta, a, b) for b in block]) for a in block])
            chol = jnp.linalg.cholesky(r * sd[:, None] * sd[None, :])
            parts += [jnp.log(chol[i, i]) for i in range(len(block))]
            parts += [chol[i, j] for i in range(len(block)) for j in range(i)]
        rest = 1.0 - sum((theta[n] for n in self.shares), jnp.zeros(()))
        parts += [jnp.log(theta[n]) - jnp.log(rest) for n in self.shares]
        return jnp.stack(parts) if parts else jnp.zeros(0)

    def unpack(self, x: Any, theta: Any) -> dict[str, Any]:
        """`theta` with the estimated values replaced by those of the vector."""
        values = dict(theta)
        for i, (n, b) in enumerate(zip(self.names, self.bounds, strict=True)):
            values[n] = _in(x[i], b)
        at = len(self.names)
        for block in self.blocks:
            k = len(block)
            rows = [[jnp.zeros(())] * k for _ in range(k)]
            for i in range(k):
                rows[i][i] = jnp.exp(x[at + i])
            at += k
            for i in range(k):
                for j in range(i):
                    rows[i][j] = x[at]
                    at += 1
            chol = jnp.stack([jnp.stack(r) for r in rows])
            covariance = chol @ chol.T
            sd = [jnp.sqrt(covariance[i, i]) for i in range(k)]
            for i, a in enumerate(block):
                values[f"omega.{a}"] = sd[i]
                for j in range(i + 1, k):
                    values[f"corr.{a}.{block[j]}"] = covariance[i, j] / (sd[i] * sd[j])
        if self.shares:
            share = jax.nn.softmax(jnp.concatenate([x[at:], jnp.zeros(1)]))
            values |= {n: share[k] for k, n in enumerate(self.shares)}
        return values

    def report(self, x: Any, theta: Any) -> Any:
        """The reported values `(free,)` of a vector, in the order of `reported`."""
        values = self.unpack(x, theta)
        return jnp.stack([values[n] for n in self.reported])

    def log_jacobian(self, x: Any) -> Any:
        """Logarithm of the determinant of the derivative of the reported values in the vector."""
        found = jnp.zeros(())
        for i, b in enumerate(self.bounds):
            found = found + _log_slope(x[i], b)
        at = len(self.names)
        for block in self.blocks:
            k = len(block)
            lower = at + k
            for i in range(k):
                # from the Cholesky factor to the covariance and on to deviations and correlations; a row of the
                # factor has the length of its deviation
                row = jnp.concatenate([x[lower : lower + i], jnp.exp(x[at + i])[None]])
                found = found + (k - i + 1) * x[at + i] - 0.5 * k * jnp.log(jnp.sum(row * row))
                lower += i
            at = lower
        if self.shares:
            found = found + jnp.sum(jax.nn.log_softmax(jnp.concatenate([x[at:], jnp.zeros(1)])))
        return found

    def log_correlations(self, x: Any) -> tuple[Any, ...]:
        """Logarithm of the determinant of the correlation matrix of every block of Omega."""
        found, at = [], len(self.names)
        for block in self.blocks:
            lower, own = at + len(block), jnp.zeros(())
            for i in range(len(block)):
                row = jnp.concatenate([x[lower : lower + i], jnp.exp(x[at + i])[None]])
                own = own + 2.0 * x[at + i] - jnp.log(jnp.sum(row * row))
                lower += i
            at = lower
            found.append(own)
        return tuple(found)


def _correlation(theta: Any, a: str, b: str) -> Any:
    if a == b:
        return jnp.ones(())
    return theta[f"corr.{a}.{b}"] if f"corr.{a}.{b}" in theta else theta[f"corr.{b}.{a}"]


def _out(value: Any, b: Bounds) -> Any:
    value = jnp.asarray(value, float)
    if math.isinf(b.lower) and math.isinf(b.upper):
        return value
    if math.isinf(b.upper):
        return jnp.log(value - b.lower)
    if math.isinf(b.lower):
        return -jnp.log(b.upper - value)
    return jnp.log(value - b.lower) - jnp.log(b.upper - value)


def _in(x: Any, b: Bounds) -> Any:
    if math.isinf(b.lower) and math.isinf(b.upper):
        return x
    if math.isinf(b.upper):
        return b.lower + jnp.exp(x)
    if math.isinf(b.lower):
        return b.upper - jnp.exp(-x)
    return b.lower + (b.upper - b.lower) / (1.0 + jnp.exp(-x))


def _log_slope(x: Any, b: Bounds) -> Any:
    """Logarithm of the derivative of `_in`."""
    if math.isinf(b.lower) and math.isinf(b.upper):
        return jnp.zeros(())
    if math.isinf(b.upper):
        return x
    if math.isinf(b.lower):
        return -x
    return math.log(b.upper - b.lower) - jnp.logaddexp(0.0, x) - jnp.logaddexp(0.0, -x)


def scatter(center: Any, spread: float, count: int, seed: int) -> np.ndarray:
    """Starting vectors about `center`, `(count, free)`: the first is `center` itself, the others normal about it."""
    rng = np.random.default_rng(seed)
    center = np.asarray(center)
    return np.concatenate([center[None], center + spread * rng.standard_normal((count - 1, len(center)))])
