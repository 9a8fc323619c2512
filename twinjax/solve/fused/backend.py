"""`Fused`: a whole cohort in one kernel, compiled from the model's own equations."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from twinjax.models.base import AbstractModel, output_names, state_names
from twinjax.naming import resolve
from twinjax.solve.diffrax import Diffrax
from twinjax.solve.events import Agenda, Steady, agenda
from twinjax.solve.flat import as_input, ravel
from twinjax.solve.fused.carry import Source, Tables, carry
from twinjax.solve.fused.compiled import Settings, equations
from twinjax.solve.fused.lanes import ADD, GIVE, SET, SWITCH
from twinjax.solve.fused.propagator import LARGEST, is_linear
from twinjax.solve.fused.steps import Linear, Method, Rodas5P, Tsit5
from twinjax.solve.fused.targets import available
from twinjax.solve.fused.tracing import Unsupported
from twinjax.solve.problem import NOT_FINITE, OK, AbstractBackend, Problem, Solution
from twinjax.solve.routes import transits, undeclared
from twinjax.solve.steady import fixed_point
from twinjax.solve.stiffness import is_stiff
from twinjax.solve.tracks import AbstractTrack

_STIFF = 3e3
"""Rate times duration above which `Rodas5P` is chosen: its step costs two of `Tsit5`, which is stable to a rate times
step of 3.3.
"""


class Fused(AbstractBackend):
    """Adaptive steps of every patient in one compiled loop, on the CPU's vector lanes or a GPU's threads.

    The model's `derivative` and `output` are read off their jaxpr and compiled with the integrator, doses, samples and
    derivatives into one kernel.

    **Parameters**: `rtol`, `atol`, local error tolerances (`atol` in the states' units); `method`, `Linear()`,
    `Tsit5()` or `Rodas5P()`, None for the automatic choice: the first for up to 8 states with linear equations, the
    last where the equations are stiff, measured as `Diffrax` does; `max_steps` per patient; `precision`, "f64" or
    "f32" inside the kernel, None for that of the problem; `lanes`, patients side by side on a CPU, None to let the
    size of the model decide. Gradients are exact derivatives of the discrete solution with its steps frozen, to any
    order, in parameters, doses and times; by `Diffrax` where the states and their derivatives in that many directions
    are more than four kernels carry (some 480 of first order, some 1,000 of higher ones). The time of the first sample,
    where no dose is earlier, is when the model begins: derivatives in it take that beginning as fixed (those of
    `Diffrax` move it).
    """

    rtol: float = eqx.field(static=True, default=1e-8)
    atol: float = eqx.field(static=True, default=1e-10)
    method: Method | None = eqx.field(static=True, default=None)
    max_steps: int = eqx.field(static=True, default=20_000)
    precision: str | None = eqx.field(static=True, default=None)
    lanes: int | None = eqx.field(static=True, default=None)

    @property
    def batch(self) -> int:
        """Enough for a lane to go from patient to patient: one that has none left stands idle."""
        return 2048

    def refusal(self, problem: Problem) -> str | None:
        """Names what no kernel computes: arrays, an operation and its line, transit absorption."""
        why = available(jax.default_backend())
        if why is not None:
            return why
        name = type(problem.model).__name__
        if any(transits(problem.model)):
            return f"{name} has transit absorption, an input that varies in time"
        try:
            eq = equations(jax.tree.structure(problem.model), problem.states)
        except Unsupported as why:
            return f"{name} cannot be compiled: {why}"
        if self.method == Linear() and (eq.states > LARGEST or not is_linear(eq)):
            return f"{name} is not linear with constant coefficients, of up to {LARGEST} states"
        return undeclared(problem)

    def prepared(self, problem: Problem) -> Fused:
        """With the method chosen."""
        if self.method is not None:
            return self
        eq = equations(jax.tree.structure(problem.model), problem.states)
        if eq.states <= LARGEST and is_linear(eq):
            method: Method = Linear()
        else:
            method = Rodas5P() if is_stiff(problem, _STIFF) else Tsit5()
        return Fused(self.rtol, self.atol, method, self.max_steps, self.precision, self.lanes)

    def solve(self, problem: Problem) -> Solution:
        """Every patient in one kernel."""
        values, (code, steps, _) = self._carried(problem, ())
        return _solution(problem, values, code, steps)

    def track(self, problem: Problem, tracks: Sequence[AbstractTrack]) -> tuple[Any, Any]:
        """Summaries `(patients, tracks)` in continuous time to the last sample, and result codes `(patients,)`.

        No trajectory is stored. NaN for patients that failed; no derivatives. A method with steps between events is
        needed: where the automatic choice is `Linear()`, `Tsit5()` serves.
        **Raises** `ValueError` for an output that is not there.
        """
        names = output_names(jax.tree.map(lambda x: x[0, 0], problem.model))
        placed = tuple((t, names.index(resolve(t.output, names, "output"))) for t in tracks)
        begun = problem.place is not None and problem.place.shape[1] < problem.time.shape[1]  # by a start of its own
        time, order = (x[:, [0, -1]] if begun else x[:, -1:] for x in (problem.time, problem.order))
        end = dataclasses.replace(problem, time=time, order=order, place=None, states=False)
        method = self.prepared(end).method
        own = dataclasses.replace(self, method=Tsit5() if method == Linear() else method)
        _, (code, _, numbers) = own._carried(end, placed)
        return numbers, code

    def _carried(self, problem: Problem, tracks: tuple[Any, ...]) -> tuple[Any, Any]:
        leaves, structure = jax.tree.flatten(problem)
        settings = dataclasses.replace(self._settings(problem), tracks=tracks)
        count = len(jax.tree.leaves(problem.model))
        numbers = jax.tree.unflatten(structure, range(len(leaves)))
        source = Source(
            tables=functools.partial(self._tables, structure),
            parameter=tuple(i if i < count else None for i in range(len(leaves))),
            sampled=numbers.time,
            settings=settings,
            otherwise=functools.partial(self._otherwise, structure),
        )
        assert jax.tree.leaves(numbers.model) == list(range(count))
        return carry(source, leaves)

    def _settings(self, problem: Problem) -> Settings:
        method = self.prepared(problem).method
        assert method is not None
        precision = self.precision or {8: "f64", 4: "f32"}[jnp.asarray(problem.time).dtype.itemsize]
        return Settings(jax.tree.structure(problem.model), problem.states, method, float(self.rtol), float(self.atol),
                        self.max_steps, precision, self.lanes)  # fmt: skip

    def _tables(self, structure: Any, *leaves: Any) -> Tables:
        """One patient's tables."""
        p = jax.tree.unflatten(structure, leaves)
        known = agenda(p, self._steady_state)
        return _tabulated(p, known)

    def _otherwise(self, structure: Any, *leaves: Any) -> Any:
        """What is saved, by diffrax: its derivatives cost less to compile where there are very many."""
        problem = jax.tree.unflatten(structure, leaves)
        if problem.place is not None:  # the caller's order is restored at the end
            problem = dataclasses.replace(problem, place=None)
        found = Diffrax(self.rtol, self.atol, max_steps=self.max_steps).solve(problem)
        return jnp.stack(jax.tree.leaves((found.output, found.state)), axis=-1)

    def _steady_state(self, model: AbstractModel, steady: Steady, start: Any) -> tuple[Any, Any]:
        """The state that one dosing interval maps to itself."""
        return fixed_point(self._interval, model, steady, start, self.rtol, self.atol, 3)

    def _interval(self, model: AbstractModel, steady: Steady, y: Any) -> Any:
        """The state after one dosing interval, a kernel of its own."""
        flat, structure = jax.tree.flatten(model)
        method = self.method or (Rodas5P() if type(model).stiff else Tsit5())
        precision = self.precision or {8: "f64", 4: "f32"}[y.dtype.itemsize]
        settings = Settings(
            structure, True, method, float(self.rtol), float(self.atol), self.max_steps, precision, None, follow=True
        )
        eq = equations(structure, True)

        def otherwise(*leaves: Any) -> Any:
            own = [x[0] for x in leaves]
            model = jax.tree.unflatten(structure, own[: len(flat)])
            time, lengths, rates, bolus, compartment, y = own[len(flat) :]
            piece = Steady(time, lengths, rates, bolus, compartment, segment=0)
            found = Diffrax(self.rtol, self.atol, max_steps=self.max_steps).interval(model, piece, y)
            return jnp.concatenate([jnp.zeros(eq.observables), found])[None, None]

        rest = [steady.time, steady.lengths, steady.rates, steady.bolus, steady.compartment, y]
        source = Source(
            tables=_one_interval,
            parameter=tuple(i if i < len(flat) else None for i in range(len(flat) + len(rest))),
            sampled=None,
            settings=settings,
            otherwise=otherwise,
        )
        values, _ = carry(source, [jnp.asarray(x)[None] for x in (*flat, *rest)])
        return values[0, 0, eq.observables :]


def _tabulated(p: Problem, known: Agenda) -> Tables:
    rows, j = known.rows.columns(), p.jumps
    jumps = known.rows.reached
    kind = jnp.where(rows["switch"] > 0, SWITCH, GIVE)
    kind = jnp.where(rows["jumps"], jnp.where(rows["keep"] == 0, SET, ADD), kind)
    number = jnp.arange(kind.shape[0]) - known.rows.first_jump
    place = jnp.where(rows["switch"] > 0, rows["switch"], jnp.where(rows["jumps"], number, rows["compartment"]))
    flat = jax.tree.leaves(p.model)
    finite = (
        jnp.stack([jnp.isfinite(x) for x in flat], axis=1) if flat else jnp.ones((p.switch_time.shape[0] + 1, 1), bool)
    )
    reached = jnp.append(-jnp.inf, p.switch_time) <= known.end
    code = jnp.where(jnp.all(finite | ~reached[:, None]), known.code, NOT_FINITE)
    return Tables(
        parameters=jnp.stack(flat, axis=1) if flat else jnp.zeros((finite.shape[0], 0)),
        time=jnp.where(rows["valid"], rows["time"], jnp.inf), order=rows["order"], sequence=rows["sequence"],
        kind=kind, place=place, amount=rows["amount"], rate=rows["rate"],
        jumps=jnp.zeros((j.given.shape[0], len(state_names(p.model)))) if jumps is None else jumps,
        samples=p.time, sample_order=p.order, start=known.start, code=code,
    )  # fmt: skip


def _one_interval(*leaves: Any) -> Tables:
    """The tables of one dosing interval that starts in a given state: four pieces of constant rate, a bolus between."""
    *flat, time, lengths, rates, bolus, compartment, y = leaves
    ends = time + jnp.cumsum(lengths)
    begins = jnp.append(time, ends[:-1])  # to the bit the ends before them: none may come before the start
    one = jnp.ones(1)

    def column(first: Any, begin: Any, end: Any, given: Any) -> Any:
        return jnp.concatenate([first * one, begin * jnp.ones(4), end * jnp.ones(4), given * one])

    return Tables(
        parameters=jnp.stack(flat)[None] if flat else jnp.zeros((1, 0)),
        time=column(time, begins, ends, ends[1]), order=jnp.zeros(10), sequence=column(0.0, 2.0, 1.0, 2.0),
        kind=column(SET, GIVE, GIVE, GIVE), place=column(0, compartment, compartment, compartment),
        amount=column(0.0, 0.0, 0.0, bolus), rate=column(0.0, rates, -rates, 0.0), jumps=y[None],
        samples=ends[3:], sample_order=jnp.full(1, jnp.inf), start=time, code=jnp.asarray(OK),
    )  # fmt: skip


def _solution(p: Problem, values: Any, code: Any, steps: Any) -> Solution:
    one = jax.tree.map(lambda x: x[0, 0], p.model)
    state = jax.eval_shape(one.initial)
    flat = ravel(jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), state))
    empty = as_input(one, flat)
    output = jax.eval_shape(lambda m: m.output(p.time[0, 0], m.initial(), empty), one)
    shown = [values[..., i] for i in range(values.shape[-1])]
    size = jax.tree.structure(output).num_leaves
    if p.place is not None:
        shown = [jnp.take_along_axis(x, p.place, axis=1) for x in shown]
    time = p.time if p.place is None else jnp.take_along_axis(p.time, p.place, axis=1)
    return Solution(
        time=time,
        output=jax.tree.unflatten(jax.tree.structure(output), shown[:size]),
        state=jax.tree.unflatten(jax.tree.structure(state), shown[size:]) if p.states else None,
        result=code,
        steps=steps,
    )
