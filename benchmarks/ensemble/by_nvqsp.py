"""nvQSP: sparse RODAS4 on a CUDA device, for rates that are polynomials of degree two, with one list of doses for everyone."""

from __future__ import annotations

import numpy as np
from measure import Absent, Task, Timing, repeat
from problems import Case


def polynomial(case: Case, p: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Coefficients of the rates for each patient: constant `(patients, n)`, linear `(patients, n, n)`, and bilinear
    `(patients, n, n, n)` with zeros below the diagonal of the last two axes; exact where the rates are such polynomials.
    """
    n, rates, columns = len(case.start), case.equations.function(), tuple(p.T)

    def at(y: np.ndarray) -> np.ndarray:
        found = rates(0.0, tuple(y), columns)
        return np.stack([np.broadcast_to(f, len(p)) for f in found], axis=1)

    unit, zero = np.eye(n), at(np.zeros(n))
    up, down = np.stack([at(e) for e in unit], axis=2), np.stack([at(-e) for e in unit], axis=2)
    linear, bilinear = (up - down) / 2, np.zeros((len(p), n, n, n))
    for j in range(n):
        bilinear[:, :, j, j] = (up + down)[:, :, j] / 2 - zero
        for k in range(j + 1, n):
            bilinear[:, :, j, k] = at(unit[j] + unit[k]) - up[:, :, j] - up[:, :, k] + zero
    return zero, linear, bilinear


def measured(task: Task) -> Timing:
    """Outputs, from and to the host, as it takes and gives them."""
    try:
        from nvqsp import sparse
        from nvqsp.options import SparseOptions
    except ImportError as missing:
        raise Absent(str(missing)) from missing
    case, p = task.problem, task.parameters()
    if task.what != "forward" or task.case not in ("P1", "P3"):
        raise Absent("nvQSP takes polynomials of degree two, and its doses enter the first state")
    constant, linear, bilinear = polynomial(case, p)
    doses = [(k * case.every, case.amount) for k in range(case.doses)]
    row, column = np.nonzero(np.any(linear, axis=0))
    a1 = (_pointers(row, len(case.start)), column.astype(np.int32), np.ascontiguousarray(linear[:, row, column]))
    row, first, second = np.nonzero(np.any(np.abs(bilinear) > 1e-12 * np.abs(linear).max(), axis=0))
    values = bilinear[:, row, first, second]
    if len(row) == 0:  # it wants at least one
        row, first, second, values = (np.zeros(1, int),) * 3 + (np.full((len(p), 1), 1e-30),)
    a2 = (
        _pointers(row, len(case.start)),
        first.astype(np.int32),
        second.astype(np.int32),
        np.ascontiguousarray(values),
    )
    options = SparseOptions(rtol=task.rtol, atol=task.atol)

    def run() -> np.ndarray:
        found = sparse.solve(constant, a1, a2, np.tile(case.start, (len(p), 1)), case.times[1:], doses, options)
        return found.y[:, :, case.index]

    seconds = repeat(run, task)
    first_row = np.full((len(p), 1), (case.start + case.dose)[case.index])
    after = np.concatenate([first_row, run()], axis=1)
    over = p[:, [case.equations.parameters.index(case.over)]] if case.over else 1.0
    return Timing({}, seconds, after / over, {"to_host": True})


def _pointers(rows: np.ndarray, n: int) -> np.ndarray:
    """Where each row begins among entries sorted by row."""
    return np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=n))]).astype(np.int32)
