"""Steady states of repeated dosing: the state that one dosing interval, integrated, maps to itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from twinjax.models.base import AbstractModel, state_names
from twinjax.solve.events import Steady

Interval = Callable[[AbstractModel, Steady, Any], Any]
"""The state after one dosing interval that begins in a state `(states,)`; differentiable."""


def fixed_point(
    interval: Interval, model: AbstractModel, steady: Steady, start: Any, rtol: float, atol: float, order: int
) -> tuple[Any, Any]:
    """The steady state `(states,)`, and whether it was found to ten times `rtol`.

    Newton's method, with plain doses at first and where Newton does not help. Differentiable `order` times, by the
    implicit function theorem.
    """

    def interval_and_slope(y: Any) -> tuple[Any, Any]:
        def twice(v: Any) -> tuple[Any, Any]:
            moved = interval(frozen_model, frozen, v)
            return moved, moved

        slope, moved = jax.jacfwd(twice, has_aux=True)(y)
        return moved, slope

    frozen_model, frozen = jax.lax.stop_gradient((model, steady))
    one = jnp.eye(start.shape[0])
    signed = np.asarray([n in type(model).signed for n in state_names(model)])

    def distance(y: Any, moved: Any) -> Any:
        return jnp.max(jnp.abs(moved - y) / (atol + 10 * rtol * jnp.abs(moved)))

    def pending(c: Any) -> Any:
        _, _, gap, turns = c
        return ~(gap <= 1.0) & (turns < 60)

    def turn(c: Any) -> Any:
        y, fallback, gap, turns = c
        moved, slope = interval_and_slope(y)
        now = distance(y, moved)
        newton = y + jnp.linalg.solve(one - slope, moved - y)
        worse = ~(now < gap) & (turns > 3)
        good = jnp.all(jnp.isfinite(newton)) & (turns >= 3)
        if model.nonnegative:  # a fixed point elsewhere is not the one that doses lead to
            good = good & jnp.all((newton >= -(atol + rtol * jnp.max(jnp.abs(newton)))) | signed)
        following = jnp.where(now <= 1.0, y, jnp.where(worse, fallback, jnp.where(good, newton, moved)))
        return following, jnp.where(worse, fallback, moved), jnp.where(worse, gap, now), turns + 1

    start = jax.lax.stop_gradient(start)
    y, _, gap, _ = jax.lax.while_loop(pending, turn, (start, start, jnp.asarray(jnp.inf), 0))
    y = jax.lax.stop_gradient(y)
    moved, slope = jax.lax.stop_gradient(interval_and_slope(y))
    chord = jnp.linalg.inv(one - slope)
    # A small residual far out, where elimination saturates, is no fixed point: one is still far away.
    settled = (gap <= 1.0) & jnp.all(jnp.abs(chord @ (moved - y)) <= atol + 1e-3 * jnp.max(jnp.abs(y)))

    def refine(_: Any, y: Any) -> Any:
        return y + chord @ (interval(model, steady, y) - y)

    # Each step makes one more derivative of the fixed point exact.
    return jax.lax.fori_loop(0, order, refine, y), settled
