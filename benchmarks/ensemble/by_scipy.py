"""SciPy's LSODA from Python, one patient and dosing interval after another."""

from __future__ import annotations

import numpy as np
from measure import Absent, Task, Timing, repeat
from scipy.integrate import solve_ivp


def measured(task: Task) -> Timing:
    """Outputs."""
    if task.what != "forward":
        raise Absent("not by scipy")
    case, p = task.problem, task.parameters()
    rates = case.equations.function(derive=False)
    before = np.zeros((len(p), len(case.times)))

    def run() -> None:
        for row, values in zip(before, case.equations.with_derived(p).tolist(), strict=True):
            y, row[0] = case.start, case.start[case.index]
            for k in range(case.doses):
                at = np.linspace(k * case.every, (k + 1) * case.every, case.samples + 1)
                found = solve_ivp(
                    lambda t, y, v=values: rates(t, y.tolist(), v), (at[0], at[-1]), y + case.dose, "LSODA", at[1:],
                    rtol=task.rtol, atol=task.atol,
                ).y  # fmt: skip
                row[k * case.samples + 1 : (k + 1) * case.samples + 1] = found[case.index]
                y = found[:, -1]

    seconds = repeat(run, task)
    return Timing({}, seconds, case.output(before, p), {})
