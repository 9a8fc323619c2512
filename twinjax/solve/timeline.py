"""Elementary events put in order: rows are gathered in groups and sorted once, inside jit, into a `Timeline`.

Rules of coincidence (NONMEM, PREDPP): at equal times, lagged doses, additional doses and ends of infusions come
before records; records keep their order.
"""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

EARLY = -1.0
"""Order of events that come before every record of the same time."""


class Timeline(eqx.Module):
    """Sorted events of one patient, `(events,)`; after an event the state becomes ``keep * state + jump``.

    **Parameters**: `time`; `keep` (0 at a reset); `jump` `(events, states)`; `inputs` `(events + 1, states)`, the
    rate into each state before the first event and after each; `segment` `(events + 1,)`, the parameter segment
    likewise; `rank` `(samples,)`, how many events come before each sample; `start`, when `initial` holds; `code`, a
    result code.
    """

    time: Any
    keep: Any
    jump: Any
    inputs: Any
    segment: Any
    rank: Any
    start: Any
    code: Any


class Rows:
    """Elementary events in the making: appended in groups, then sorted once.

    Each adds `amount` to a compartment's state and `rate` to its input, or makes the state ``keep * state + state``,
    or begins parameter segment number `switch`.
    """

    def __init__(self, states: int) -> None:
        self.states = states
        self.groups: list[dict[str, Any]] = []
        self.reached: Any = None
        self.first_jump = 0

    def add(
        self, time: Any, order: Any, valid: Any, *, sequence: int, compartment: Any = 0, amount: Any = 0.0,
        rate: Any = 0.0, keep: Any = 1.0, state: Any = None, switch: int = 0,
    ) -> None:  # fmt: skip
        """Append events of the same kind; those with a `state` `(events, states)` are one group."""
        n = time.shape[0]
        valid = jnp.broadcast_to(jnp.asarray(valid, bool), (n,))

        def column(x: Any, kind: Any = float) -> Any:
            return jnp.broadcast_to(jnp.asarray(x, kind), (n,))

        self.groups.append({
            "time": time, "order": column(order), "valid": valid, "sequence": column(sequence),
            "compartment": column(compartment, int), "amount": jnp.where(valid, column(amount), 0.0),
            "rate": jnp.where(valid, column(rate), 0.0), "keep": jnp.where(valid, column(keep), 1.0),
            "switch": column(switch, int), "jumps": column(state is not None, bool),
        })  # fmt: skip
        if state is not None:
            self.first_jump = sum(g["time"].shape[0] for g in self.groups[:-1])
            self.reached = jnp.where(valid[:, None], state, 0.0)

    def columns(self) -> dict[str, Any]:
        """Every group's columns, one after another, `(events,)` each."""
        return {k: jnp.concatenate([g[k] for g in self.groups]) for k in self.groups[0]}

    def sorted(self, start: Any, end: Any, sample: Any, sample_order: Any, code: Any) -> Timeline:
        """In order of time, at one time in their order; those after the end are of no effect."""
        rows = self.columns()
        one_hot = rows["compartment"][:, None] == jnp.arange(self.states)[None, :]
        moved = rows["amount"][:, None] * one_hot
        if self.reached is not None:
            moved = jax.lax.dynamic_update_slice(moved, self.reached, (self.first_jump, 0))
        used = rows["valid"] & (rows["time"] <= end)
        time = jnp.where(used, rows["time"], end)
        order = jnp.where(used, rows["order"], jnp.inf)
        by = jax.lax.stop_gradient(jnp.lexsort((rows["sequence"], order, time)))
        time, order, used = time[by], order[by], used[by]
        rate = jnp.where(used[:, None], (rows["rate"][:, None] * one_hot)[by], 0.0)
        running = jnp.cumsum(jnp.sign(jax.lax.stop_gradient(rate)), axis=0)
        inputs = jnp.where(running > 0.5, jnp.cumsum(rate, axis=0), 0.0)  # no residue of rounding once all have ended
        segment = jnp.cumsum(jnp.where(used & (rows["switch"][by] > 0), 1, 0))
        before = (time[None, :] < sample[:, None]) | (
            (time[None, :] == sample[:, None]) & (order[None, :] <= sample_order[:, None]) & used[None, :]
        )
        return Timeline(
            time=time,
            keep=jnp.where(used, rows["keep"][by], 1.0),
            jump=jnp.where(used[:, None], moved[by], 0.0),
            inputs=jnp.concatenate([jnp.zeros((1, self.states)), inputs]),
            segment=jnp.concatenate([jnp.zeros(1, segment.dtype), segment]),
            rank=jnp.sum(before & used[None, :], axis=1),
            start=start,
            code=code,
        )
