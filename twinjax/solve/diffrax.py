"""Any model, by diffrax's Runge-Kutta methods: the reference solve. The only file that knows diffrax.

diffrax steps and interpolates; the loop is ours, so that one patient's whole history (doses, infusions, resets, lags,
samples) runs in one loop at its own pace, and a batch needs only as many turns as its slowest patient.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import diffrax as dfx
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from twinjax.dosing import BOLUS
from twinjax.models.base import AbstractModel, state_names
from twinjax.solve.events import Steady, timeline
from twinjax.solve.exact import finish
from twinjax.solve.flat import field, ravel
from twinjax.solve.problem import MAX_STEPS, NOT_FINITE, OK, STEP_TOO_SMALL, AbstractBackend, Problem, Solution
from twinjax.solve.routes import Spread, transits, undeclared
from twinjax.solve.sensitivity import forward_sensitivities, together
from twinjax.solve.steady import fixed_point
from twinjax.solve.stiffness import is_stiff

_WRITTEN_OUT = 24
"""The most states for which a step is written out stage by stage: two to three times as fast, but longer to compile."""


class Diffrax(AbstractBackend):
    """Adaptive Runge-Kutta with error control per patient.

    **Parameters**: `rtol`, `atol`, local error tolerances (`atol` in the states' units); `solver`, a diffrax solver
    with an error estimate, None for Tsit5 or, where the equations are stiff, Kvaerno5; `max_steps` per patient.
    Stiffness is measured on the first patients' Jacobians when numbers are known, and taken from `model.stiff` inside
    jit. Steady states (SS) are found by Newton's method on one dosing interval to ten times `rtol`, and
    differentiated by the implicit function theorem. Gradients are exact derivatives of the discrete solution with its
    steps frozen.
    """

    rtol: float = 1e-8
    atol: float = 1e-10
    solver: dfx.AbstractSolver | None = None
    max_steps: int = eqx.field(static=True, default=20_000)
    order: int = eqx.field(static=True, default=3)

    def refusal(self, problem: Problem) -> str | None:
        """Refuses only what has no meaning."""
        spread = transits(problem.model)
        if problem.steady and any(spread):
            return "a steady state of doses with transit absorption is not available; give the doses one by one"
        d = problem.doses
        if problem.infusions and not isinstance(d.mode, Tracer):
            mode, compartment, given = (np.asarray(x) for x in (d.mode, d.compartment, d.given))
            for c in set(compartment[(mode != BOLUS) & given].tolist()):
                if spread[c]:
                    name = state_names(problem.model)[c]
                    return f"an infusion into {name}, whose doses come by transit absorption, is not available"
        return undeclared(problem)

    def prepared(self, problem: Problem) -> Diffrax:
        """With the solver chosen."""
        if self.solver is not None:
            return self
        chosen = _implicit(self.rtol, self.atol) if is_stiff(problem) else dfx.Tsit5(scan_kind="lax")
        return Diffrax(self.rtol, self.atol, chosen, self.max_steps, self.order)

    def solve(self, problem: Problem) -> Solution:
        """Every patient in one loop."""
        leaves, structure = jax.tree.flatten(problem)
        solver = self.prepared(problem).solver

        def one(*leaves: Any) -> tuple[Any, Any]:
            p = jax.tree.unflatten(structure, leaves)
            y, code, steps = _Loop(p, solver, self.rtol, self.atol, self.max_steps, self.order).run()
            return y, (code, steps)

        y, (code, steps) = forward_sensitivities(one, self.order)(*leaves)

        def close(p: Problem, y: Any, code: Any, steps: Any) -> Solution:
            line, _ = timeline(p, lambda model, steady, start: (start, jnp.array(True)))
            return finish(p, line, y, steps=steps, code=code)

        return jax.vmap(close)(problem, y, code, steps)

    def interval(self, model: AbstractModel, steady: Steady, y: Any) -> Any:
        """The state after one dosing interval that begins in the state `y` `(states,)`."""
        solver = self.solver or (_implicit(self.rtol, self.atol) if type(model).stiff else dfx.Tsit5(scan_kind="lax"))
        return _Loop(None, solver, self.rtol, self.atol, self.max_steps, self.order).interval(model, steady, y)


def _implicit(rtol: float, atol: float) -> dfx.AbstractSolver:
    return dfx.Kvaerno5(scan_kind="lax", root_finder=dfx.VeryChord(rtol=rtol, atol=atol, kappa=1.0))


@functools.cache
def _tsit5_weights() -> list[list[float]]:
    """Each slope's weight in Tsit5's interpolation, a polynomial of degree 4: its coefficients from the constant up."""
    x = np.linspace(0.0, 1.0, 5)
    with jax.ensure_compile_time_eval():  # interpolation is linear in the slopes: unit slopes show their weights
        unit = dfx.Tsit5.interpolation_cls(t0=0.0, t1=1.0, y0=jnp.zeros(7), y1=None, k=jnp.eye(7))
        values = np.stack([np.asarray(unit.evaluate(float(t))) for t in x])
    return np.linalg.solve(np.vander(x, increasing=True), values).T.tolist()


def _tsit5_step(
    f: Callable[[Any, Any], Any], t0: Any, t1: Any, reached: Any, y: Any
) -> tuple[Any, Any, Callable[[Any], Any]]:
    """Diffrax's Tsit5, written out by stage and state: the state reached, its error, and what lies between."""
    table, h, n = dfx.Tsit5.tableau, t1 - t0, y.shape[0]
    start = [y[i] for i in range(n)]

    def moved(weights: Any) -> list[Any]:
        return [sum(w * x[i] for w, x in zip(weights, k, strict=False)) for i in range(n)]

    def slope(t: Any, y: list[Any]) -> list[Any]:
        d = f(t, jnp.stack(y))
        return [h * d[i] for i in range(n)]

    k, stage = [slope(t0, start)], start
    for row, c in zip(table.a_lower, table.c, strict=True):
        stage = [a + b for a, b in zip(start, moved(row.tolist()), strict=True)]
        k.append(slope(t1 if c == 1.0 else t0 + c * h, stage))

    def dense(t: Any) -> Any:
        x = (t - t0) / (reached - t0)
        weights = [functools.reduce(lambda high, low: high * x + low, w[::-1]) for w in _tsit5_weights()]
        return y + jnp.stack(moved(weights))

    return jnp.stack(stage), jnp.stack(moved(table.b_error.tolist())), dense


class _Carry(eqx.Module):
    t: Any
    y: Any
    h: Any
    event: Any
    sample: Any
    look: Any
    jumped: Any
    inner: Any
    saved: Any
    steps: Any
    code: Any


class _Loop:
    """One patient's integration, for `jax.vmap`. Its main loop turns until every patient is done; who is done stands
    still.
    """

    def __init__(self, p: Any, solver: Any, rtol: Any, atol: Any, max_steps: int, order: int) -> None:
        self.p, self.solver, self.rtol, self.atol, self.max_steps, self.order = p, solver, rtol, atol, max_steps, order

    def run(self) -> tuple[Any, Any, Any]:
        """States at the samples `(samples, states)`, a result code, and how many steps were tried."""
        p = self.p
        line, spread = timeline(p, self.steady_state)
        begin = ravel(jax.tree.map(lambda x: x[0], p.model).initial())
        samples, end = p.time.shape[0], jnp.max(p.time)
        if begin.shape[0] == 0:
            return jnp.zeros((samples, 0)), line.code, jnp.zeros((), int)
        events, switches = line.time.shape[0], p.switch_time.shape[0]

        n = begin.shape[0]
        # What a turn looks up, as one row for each event and each sample: gathers are dear beside arithmetic.
        following = jnp.append(line.time, end)[:, None]
        keep = jnp.append(line.keep, 1.0)[:, None]
        jump = jnp.concatenate([line.jump, jnp.zeros((1, n))])
        agenda = jnp.concatenate([following, keep, jump, line.inputs], axis=1)
        wanted = jnp.stack([jnp.append(p.time, jnp.inf), jnp.append(line.rank, -1).astype(float)], axis=1)

        def moment(event: Any) -> tuple[Any, Any, Any, Any, Any]:
            model = jax.tree.map(lambda x: x[line.segment[event] if switches else 0], p.model)
            row = agenda[event]
            return model, row[2 + n :], row[0], row[1], row[2 : 2 + n]

        def pending(c: _Carry) -> Any:
            return (c.sample < samples) & (c.code == OK)

        def turn(state: tuple[_Carry, Any]) -> tuple[_Carry, Any]:
            c, _ = state
            on = pending(c)
            model, inputs, barrier, keep, jump = moment(c.event)
            step = self.attempt(model, inputs, spread, c, barrier)
            accepted = on & step.accepted
            saved, sample, look = self.save(wanted, c, step, accepted)
            hit = accepted & step.landed & (c.event < events)
            y = jnp.where(accepted, step.y, c.y)
            y = jnp.where(hit, keep * y + jump, y)
            code = jnp.where((c.steps + 1 >= self.max_steps) & (sample < samples), MAX_STEPS, step.code)
            following = _Carry(
                t=jnp.where(accepted, step.t, c.t), y=y, h=jnp.where(on, step.h, c.h), event=c.event + hit,
                sample=sample, look=look,
                jumped=jnp.where(accepted, hit, c.jumped),
                inner=jax.tree.map(lambda a, b: jnp.where(accepted, a, b), step.inner, c.inner),
                saved=saved, steps=c.steps + on, code=jnp.where(on, code, c.code),
            )  # fmt: skip
            return following, together(pending(following))

        model, inputs, *_ = moment(0)
        term = self.term(spread)
        inner = self.solver.init(term, line.start, line.start + 1.0, begin, (model, inputs))
        span = jax.lax.stop_gradient(end - line.start)
        carry = _Carry(
            t=line.start, y=begin, h=jnp.where(span > 0, 1e-3 * span, 1.0), event=jnp.zeros((), int),
            sample=jnp.zeros((), int), look=wanted[0], jumped=jnp.array(True), inner=inner,
            saved=jnp.full((samples, begin.shape[0]), jnp.nan), steps=jnp.zeros((), int), code=line.code,
        )  # fmt: skip
        done, _ = jax.lax.while_loop(lambda state: state[1], turn, (carry, together(pending(carry))))
        return done.saved, done.code, done.steps

    def term(self, spread: Spread | None) -> dfx.ODETerm:
        """The vector field on flat vectors, with inputs as arguments."""

        def vector_field(t: Any, y: Any, args: Any) -> Any:
            model, inputs = args
            return field(model, t, y, inputs if spread is None else inputs + spread.into(t, y.shape[0]))

        return dfx.ODETerm(vector_field)

    def attempt(self, model: AbstractModel, inputs: Any, spread: Spread | None, c: _Carry, barrier: Any) -> _Step:
        """One step toward the barrier, its error, and the step size to try next. Step sizes are frozen."""
        t, stopped = jax.lax.stop_gradient((c.t, barrier))
        nothing = stopped <= t
        reach = c.h if spread is None else jnp.minimum(c.h, jax.lax.stop_gradient(spread.longest(t)))
        landed = t + reach >= stopped - 1e-12 * jnp.abs(stopped)
        # An event that is due now makes a step of no length, but with a derivative.
        until = jnp.where(landed, barrier, c.t + reach)
        term, args = self.term(spread), (model, inputs)
        # An empty step has nothing to interpolate; give it a length so that 0/0 meets no gradient.
        reached = jnp.where(nothing, c.t + 1.0, until)
        if isinstance(self.solver, dfx.Tsit5) and c.y.shape[0] <= _WRITTEN_OUT:
            y, error, dense = _tsit5_step(lambda t, y: term.vf(t, y, args), c.t, until, reached, c.y)
            inner = c.inner
        else:
            y, error, info, inner, _ = self.solver.step(term, c.t, until, c.y, args, c.inner, c.jumped)
            dense = self.solver.interpolation_cls(t0=c.t, t1=reached, **info).evaluate
        tried = jax.lax.stop_gradient(jnp.where(nothing, c.h, until - c.t))
        magnitude = self.atol + self.rtol * jnp.maximum(jnp.abs(c.y), jnp.abs(y))
        relative = jnp.square(error / magnitude)
        n = relative.shape[0]
        total = sum(relative[i] for i in range(n)) if n <= _WRITTEN_OUT else jnp.sum(relative)
        ratio = jax.lax.stop_gradient(jnp.sqrt(total / n))
        accepted = nothing | (ratio <= 1.0)
        order: Any = self.solver.error_order(term)
        factor = 0.9 * jnp.exp(-jnp.log(jnp.maximum(ratio, 1e-10)) / order)
        factor = jnp.where(jnp.isfinite(ratio), jnp.clip(factor, 0.2, 10.0), 0.2)
        h = jnp.where(
            accepted, jnp.maximum(factor * tried, jnp.where(landed, c.h, 0.0)), jnp.minimum(factor, 0.9) * tried
        )
        h = jnp.where(nothing, c.h, h)
        small = ~accepted & (h < 1e-13 * jnp.maximum(jnp.abs(t), tried * 1e-3))
        small = small | (~accepted & (h < 1e-200)) | (~accepted & (t + h == t))
        code = jnp.where(small, jnp.where(jnp.isfinite(ratio), STEP_TOO_SMALL, NOT_FINITE), OK)
        return _Step(until, y, h, accepted, landed | nothing, inner, dense, nothing, code)

    def save(self, wanted: Any, c: _Carry, step: _Step, accepted: Any) -> tuple[Any, Any, Any]:
        """Samples that lie in the step, by the solver's own interpolation."""
        samples = self.p.time.shape[0]

        def due(look: Any) -> Any:
            return accepted & (look[1] == c.event) & (look[0] <= step.t)

        def take(carry: Any) -> Any:
            saved, sample, look, _ = carry
            now = due(look)
            y = jnp.where(step.nothing, step.y, step.dense(jnp.where(now & ~step.nothing, look[0], c.t)))
            saved = saved.at[jnp.where(now, sample, samples)].set(y, mode="drop")
            sample = sample + now
            look = wanted[sample]
            return saved, sample, look, together(due(look))

        found = (c.saved, c.sample, c.look, together(due(c.look)))
        return jax.lax.while_loop(lambda carry: carry[3], take, found)[:3]

    # ------------------------------------------------------------------------------------------------ steady state

    def flow(self, model: AbstractModel, t: Any, length: Any, y: Any, inputs: Any) -> Any:
        """The state after `length` at constant inputs."""
        end = t + length
        begin = _Carry(
            t=t, y=y, h=jax.lax.stop_gradient(jnp.where(length > 0, 1e-2 * length, 1.0)), event=0, sample=0, look=0,
            jumped=jnp.array(True), inner=self.solver.init(self.term(None), t, t + 1.0, y, (model, inputs)),
            saved=0, steps=jnp.zeros((), int), code=jnp.array(OK),
        )  # fmt: skip

        def pending(c: _Carry) -> Any:
            return (c.t < end) & (c.code == OK)

        def turn(c: _Carry) -> _Carry:
            s = self.attempt(model, inputs, None, c, end)
            code = jnp.where(c.steps + 1 >= self.max_steps, MAX_STEPS, s.code)
            return _Carry(
                t=jnp.where(s.accepted, s.t, c.t), y=jnp.where(s.accepted, s.y, c.y), h=s.h, event=0, sample=0, look=0,
                jumped=jnp.array(False), inner=jax.tree.map(lambda a, b: jnp.where(s.accepted, a, b), s.inner, c.inner),
                saved=0, steps=c.steps + 1, code=code,
            )  # fmt: skip

        return jax.lax.while_loop(pending, turn, begin).y

    def steady_state(self, model: AbstractModel, steady: Steady, start: Any) -> tuple[Any, Any]:
        """The state that one dosing interval maps to itself."""
        return fixed_point(self.interval, model, steady, start, self.rtol, self.atol, self.order)

    def interval(self, model: AbstractModel, steady: Steady, y: Any) -> Any:
        """The state after one dosing interval."""
        one_hot = jnp.zeros(y.shape[0]).at[steady.compartment].set(1.0)

        def piece(c: Any, k: Any) -> tuple[Any, None]:
            t, y = c
            y = self.flow(model, t, steady.lengths[k], y, one_hot * steady.rates[k])
            return (t + steady.lengths[k], y + jnp.where(k == 1, steady.bolus, 0.0) * one_hot), None

        return jax.lax.scan(piece, (steady.time, y), jnp.arange(4))[0][1]


class _Step(eqx.Module):
    t: Any
    y: Any
    h: Any
    accepted: Any
    landed: Any
    inner: Any
    dense: Any
    nothing: Any
    code: Any
