"""gradsolve: fused Warp kernels, on final states only; forward by its fastest engine for an explicit method."""

from __future__ import annotations

import types

import numpy as np
from measure import Absent, Task, Timing, repeat, stages

try:
    import gradsolve
    import jax
    import jax.numpy as jnp
except ImportError as missing:
    raise Absent(str(missing)) from missing


def measured(task: Task) -> Timing:
    """The state at the end, on the host, as it gives it."""
    case, p = task.problem, task.parameters()
    if task.what != "forward" or case.samples > 1 or case.into:
        raise Absent("gradsolve's kernels have neither doses nor outputs in between")
    rates = case.equations.function()

    def right_hand_side(t, y, p):
        states, parameters = range(len(case.start)), range(len(case.typical))
        return jnp.stack(rates(t, tuple(y[i] for i in states), tuple(p[i] for i in parameters)))

    problem = types.SimpleNamespace(
        name=f"ensemble_{task.case}",
        dim=len(case.start),
        t0=0.0,
        t1=float(case.times[-1]),
        is_stiff=case.stiff,
        f_jax=right_hand_side,
    )
    start = np.tile(case.start, (len(p), 1))
    gpu = jax.default_backend() == "gpu"

    def run(_: object = None) -> np.ndarray:
        found = gradsolve.solve(
            problem,
            start,
            p,
            device="gpu" if gpu else "cpu",
            rtol=task.rtol,
            atol=task.atol,
            engine="warp_ode",
            fused=True,
        )
        return np.asarray(found.y_final)[:, case.index]

    def register(_: object) -> None:
        gradsolve.register_jax_field(f"ensemble_{task.case}", right_hand_side, len(case.start), len(case.typical))

    compiling, _ = stages(("field", register), ("first", run))
    seconds = repeat(run, task)
    before = np.stack([np.full(len(p), case.start[case.index]), run()], axis=1)
    return Timing(compiling, seconds, case.output(before, p), {"to_host": True, "computed_in": "float64"})
