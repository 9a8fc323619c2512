"""Stock diffrax in its simplest idiom: one `diffeqsolve` per dosing interval, scanned, under `vmap`.

The best of what was tried: Tsit5 where the equations are not stiff, Kvaerno5 where they are, with full Newton steps on P3 (its
default, a chord, takes ten times as many steps there) and the default on P2 (Newton's factor there is 1.8, against it).
"""

from __future__ import annotations

import diffrax
import jax
import jax.numpy as jnp
import optimistix
from by_jax import timed
from measure import Absent, Task, Timing


def measured(task: Task) -> Timing:
    """Outputs, or the gradient of every patient's sum of squares in reverse or forward mode, by the engine's name."""
    if task.what == "closed":
        raise Absent("diffrax has no closed forms")
    case, rates = task.problem, task.problem.equations.function()
    over = case.equations.parameters.index(case.over) if case.over else None
    dose, start = jnp.asarray(case.dose), jnp.asarray(case.start)
    at = jnp.linspace(0.0, case.every, case.samples + 1)[1:]
    end = diffrax.SubSaveAt(t1=True)
    controller = diffrax.PIDController(rtol=task.rtol, atol=task.atol)
    solver = diffrax.Tsit5()
    if case.stiff:
        newton = optimistix.Newton(rtol=1e-2 * task.rtol, atol=1e-2 * task.atol)
        solver = diffrax.Kvaerno5(root_finder=newton) if task.case == "P3" else diffrax.Kvaerno5()
    gradient = task.what == "gradient"
    adjoint = diffrax.ForwardMode() if "forward" in task.engine else diffrax.RecursiveCheckpointAdjoint()

    def rhs(t, y, p):
        return jnp.stack(rates(t, tuple(y), tuple(p)))

    def forward(p):
        def interval(y, begin):
            found = diffrax.diffeqsolve(
                diffrax.ODETerm(rhs), solver, begin, begin + case.every, case.first_step, y + dose, p,
                stepsize_controller=controller, adjoint=adjoint, max_steps=1024 if gradient else 8192,
                saveat=diffrax.SaveAt(
                    subs=[end, diffrax.SubSaveAt(ts=begin + at, fn=lambda t, y, _: y[case.index])]
                    if case.samples > 1
                    else [end]
                ),
            )  # fmt: skip
            last = found.ys[0][0]
            return last, found.ys[1] if case.samples > 1 else last[case.index][None]

        _, found = jax.lax.scan(interval, start, case.every * jnp.arange(float(case.doses)))
        found = jnp.concatenate([start[case.index][None], found.reshape(-1)])
        if case.observed == case.into:
            found = found.at[0 : -1 : case.samples].add(case.amount)
        return found if over is None else found / p[over]

    def squares(p):
        return jnp.sum((forward(p) - jnp.asarray(task.known()["observed"])) ** 2)

    method = type(solver).__name__ + (" with Newton" if task.case == "P3" else "")
    if not gradient:
        return timed(jax.vmap(forward), task, solver=method)
    differentiate = jax.jacfwd if "forward" in task.engine else jax.grad
    return timed(jax.vmap(differentiate(squares)), task, solver=method)
