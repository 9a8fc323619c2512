"""Kernels by content: what decides one, and each made once."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
from importlib import metadata, resources
from typing import Any

import jax
import jax.numpy as jnp

from twinjax.solve.fused.equations import Equations
from twinjax.solve.fused.graph import Graph
from twinjax.solve.fused.jets import AMOUNT, RATE, STATE, TIME, Calculus, Direction, Jet
from twinjax.solve.fused.kernel import Loop
from twinjax.solve.fused.lanes import COLUMNS, Layout
from twinjax.solve.fused.steps import Method
from twinjax.solve.fused.targets import Buffer, Kernel
from twinjax.solve.fused.targets.llvm import has_fma, vector_bits
from twinjax.solve.fused.tracking import Place

SMALL = 12
"""States and derivatives up to which two vectors at once are faster than one: they still fit the registers."""


@dataclasses.dataclass(frozen=True)
class Settings:
    """What a kernel integrates and how: `structure` of the model, whose leaves are scalars.

    `follow` says whether derivatives move samples with the events before them.
    """

    structure: Any
    states_too: bool
    method: Method
    rtol: float
    atol: float
    max_steps: int
    precision: str
    lanes: int | None
    tracks: tuple[Place, ...] = ()
    follow: bool = False


@functools.lru_cache(maxsize=256)
def equations(structure: Any, states_too: bool) -> Equations:
    """A model's equations, traced once for each structure of model.

    **Raises** `Unsupported` for what no kernel computes.
    """
    one = jnp.ones(())
    return Equations(jax.tree.unflatten(structure, [one] * structure.num_leaves), states_too=states_too)


@functools.lru_cache(maxsize=512)
def kernel(settings: Settings, layout: Layout, directions: tuple[Direction, ...], jets: tuple[Jet, ...]) -> Kernel:
    """The kernel that carries these derivatives. Nothing is written or compiled yet."""
    eq = equations(settings.structure, settings.states_too)

    def moving(column: str) -> int:
        return sum(bool(j) and all(column in directions[a].moves for a in j) for j in jets)

    def emit(lanes: int) -> str:
        calculus = Calculus(Graph(steady=("p", "seed")), eq, directions, list(jets))
        step = settings.method.step(calculus)
        s = settings
        return Loop(step, layout, s.rtol, s.atol, s.max_steps, lanes, s.precision, s.tracks, has_fma(), s.follow).text()

    parts = [_code(), eq.text(), settings.method, settings.states_too, settings.rtol, settings.atol, settings.max_steps,
             settings.precision, settings.tracks, settings.follow, layout, [d.text() for d in directions],
             jets]  # fmt: skip
    real = settings.precision
    widths = [layout.segments * eq.parameters, layout.events * len(COLUMNS),
              layout.jumps * eq.states * (1 + moving(STATE)), layout.samples, layout.samples, 2 + moving(TIME),
              layout.events * sum(moving(c) for c in (TIME, AMOUNT, RATE))]  # fmt: skip
    return Kernel(
        key=hashlib.sha256("\n".join(map(str, parts)).encode()).hexdigest(),
        inputs=tuple(Buffer(w, real) for w in widths),
        outputs=(
            Buffer(layout.samples * eq.outputs * len(jets), real),
            Buffer(1, "i32"),
            Buffer(1, "i32"),
            Buffer(layout.events, "i32"),
            Buffer(len(settings.tracks), real),
        ),
        emit=emit,
        lanes=settings.lanes
        or vector_bits() // {"f64": 64, "f32": 32}[real] * (2 if eq.states * len(jets) <= SMALL else 1),
    )


@functools.cache
def _code() -> str:
    """A hash of the code that writes kernels."""
    found = hashlib.sha256(metadata.version("twinjax").encode())
    for folder in (
        resources.files("twinjax.solve.fused"),
        resources.files("twinjax.solve.fused").joinpath("functions"),
    ):
        for file in sorted(folder.iterdir(), key=lambda f: f.name):
            if file.name.endswith(".py"):
                found.update(file.read_bytes())
    return found.hexdigest()
