"""Timing of programs that JAX compiles: tracing, lowering and XLA apart; chunks of one size, compiled once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from measure import Task, Timing, repeat, stages

_KEPT = 1024
"""Patients whose results are looked at: those of the reference come first."""


def chunked(parameters: np.ndarray, chunk: int) -> list[Any]:
    """Parameters on the device, in equal chunks as large as allowed; what does not fill a chunk is left out."""
    size = min(chunk, len(parameters))
    return [jax.device_put(parameters[i : i + size]) for i in range(0, len(parameters) - size + 1, size)]


def timed(
    function: Callable[..., Any], task: Task, *others: Any, options: dict[str, Any] | None = None, **notes: Any
) -> Timing:
    """`function(parameters, *others)` over every chunk; results stay on the device, and all but the last are dropped."""
    chunks = chunked(task.parameters(), task.chunk)
    compiling, compiled = stages(
        ("trace", lambda _: jax.jit(function).trace(chunks[0], *others)),
        ("lower", lambda traced: traced.lower()),
        ("xla", lambda lowered: lowered.compile(compiler_options=options or None)),
    )

    def run() -> None:
        result = None
        for chunk in chunks:
            result = compiled(chunk, *others)
        jax.block_until_ready(result)

    seconds = repeat(run, task) if task.repeats else []
    found = compiled(chunks[0], *others)
    if str(found.dtype) != task.precision:
        raise RuntimeError(f"asked for {task.precision}, computed in {found.dtype}")
    size = len(chunks[0])
    about = {"device": device(), "chunk": size, "patients": size * len(chunks)}
    return Timing(compiling, seconds, np.asarray(found[:_KEPT]), about | notes)


def device() -> str:
    """What computes."""
    first = jax.devices()[0]
    return f"{first.platform}: {first.device_kind}"
