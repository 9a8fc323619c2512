"""numbalsoda: LSODA in C++ on right-hand sides compiled by numba, patients in a `prange`."""

from __future__ import annotations

import numpy as np
from measure import Absent, Task, Timing, repeat, stages
from problems import Case

try:
    import numba
    from numbalsoda import lsoda, lsoda_sig
except ImportError as missing:
    raise Absent(str(missing)) from missing


def compiled(case: Case):
    """The right-hand side as a C function."""
    e = case.equations
    given = (*e.parameters, *e.derived)
    lines = [
        "def rates(time, state, change, values):",
        "    state_, change_ = carray(state, ({n},)), carray(change, ({n},))".format(n=len(e.states)),
        f"    values_ = carray(values, ({len(given)},))",
        *(f"    {name} = values_[{i}]" for i, name in enumerate(given)),
        *(f"    {name} = state_[{i}]" for i, name in enumerate(e.states)),
        *(f"    {name} = {text}" for name, text in e.algebra.items()),
        *(f"    change_[{i}] = {e.rates[name]}" for i, name in enumerate(e.states)),
    ]
    space = {"carray": numba.carray}
    exec("\n".join(lines), space)
    return numba.cfunc(lsoda_sig)(space["rates"])


@numba.njit(parallel=True)
def _all(address, p, start, dose, at, observed, rtol, atol):
    doses, points = at.shape
    before = np.empty((len(p), 1 + doses * (points - 1)))
    for i in numba.prange(len(p)):
        y, values = start.copy(), p[i].copy()
        before[i, 0] = start[observed]
        for k in range(doses):
            y = y + dose
            found, _ = lsoda(address, y, at[k], data=values, rtol=rtol, atol=atol, mxstep=100000)
            before[i, 1 + k * (points - 1) : 1 + (k + 1) * (points - 1)] = found[1:, observed]
            y = found[points - 1].copy()
    return before


def measured(task: Task) -> Timing:
    """Outputs."""
    if task.what != "forward":
        raise Absent("numbalsoda has neither closed forms nor gradients")
    case, p = task.problem, task.parameters()
    ends = case.every * np.arange(case.doses)[:, None]
    at = ends + np.linspace(0.0, case.every, case.samples + 1)
    inputs = (case.equations.with_derived(p), case.start, case.dose, at, case.index, task.rtol, task.atol)
    numba.set_num_threads(len(task.cores) or numba.config.NUMBA_NUM_THREADS)
    compiling, function = stages(("equations", lambda _: compiled(case)))
    few, _ = stages(("loop", lambda _: _all(function.address, inputs[0][:1], *inputs[1:])))
    seconds = repeat(lambda: _all(function.address, *inputs), task)
    found = case.output(_all(function.address, *inputs), p)
    return Timing(compiling | few, seconds, found, {})
