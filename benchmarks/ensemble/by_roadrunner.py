"""libRoadRunner: SBML made from the equations by Antimony, CVODE, doses as events, patients one after another."""

from __future__ import annotations

import numpy as np
from measure import Absent, Task, Timing, repeat, stages
from problems import Case

try:
    import antimony
    import roadrunner
except ImportError as missing:
    raise Absent(str(missing)) from missing


def antimony_text(case: Case) -> str:
    """The model, its parameters at their typical values."""
    e = case.equations
    lines = ["model peer()", *(f"  {n} = {v!r};" for n, v in zip(e.parameters, case.typical, strict=True))]
    lines += [f"  {n} := {text};" for n, text in (e.derived | e.algebra).items()]
    lines += [f"  {n} = {case.initial.get(n, 0.0)!r}; {n}' = {e.rates[n]};" for n in e.states]
    if case.into:
        begin = [k * case.every for k in range(case.doses)]
        lines += [f"  at time >= {b!r}, t0=false: {case.into} = {case.into} + {case.amount!r};" for b in begin]
    return "\n".join([*lines, "end"])


def measured(task: Task) -> Timing:
    """Outputs."""
    if task.what != "forward":
        raise Absent("libRoadRunner has neither closed forms nor gradients of this kind")
    case, p = task.problem, task.parameters()

    def sbml(_):
        if antimony.loadAntimonyString(antimony_text(case)) < 0:
            raise RuntimeError(antimony.getLastError())
        return antimony.getSBMLString("peer")

    compiling, model = stages(("antimony", sbml), ("roadrunner", roadrunner.RoadRunner))
    model.integrator.relative_tolerance, model.integrator.absolute_tolerance = task.rtol, task.atol
    model.integrator.stiff = case.stiff
    model.timeCourseSelections = ["time", case.observed]
    after = np.zeros((len(p), len(case.times)))

    def run() -> None:
        for row, values in zip(after, p.tolist(), strict=True):
            model.reset()
            for name, value in zip(case.equations.parameters, values, strict=True):
                model[name] = value
            row[:] = model.simulate(0.0, case.times[-1], len(case.times))[:, 1]

    seconds = repeat(run, task)
    over = p[:, [case.equations.parameters.index(case.over)]] if case.over else 1.0
    return Timing(compiling, seconds, after / over, {"version": roadrunner.__version__})
