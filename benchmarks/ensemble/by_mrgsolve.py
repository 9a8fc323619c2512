"""mrgsolve: LSODA on equations compiled by R, or its closed form of two compartments; timed within R by mrgsolve.R."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np
from measure import Absent, Task, Timing
from problems import Case

_CLOSED = """$PKMODEL cmt = "depot central peripheral", depot = TRUE, ncmt = 2, trans = 11
$PARAM ka = 1, cl = 5, v1 = 50, q = 10, v2 = 100
$MAIN
double CLi = cl; double V2i = v1; double Qi = q; double V3i = v2; double KAi = ka;
"""
"""Trans 11: mrgsolve takes its parameters from these names, which leaves ours to us."""


def model(case: Case) -> str:
    """The model file; what depends on parameters alone is worked out once for each record, not in every step."""
    e = case.equations
    parameters = ", ".join(f"{n} = {v!r}" for n, v in zip(e.parameters, case.typical, strict=True))
    lines = [f"$PARAM {parameters}", f"$CMT {' '.join(e.states)}", "$MAIN"]
    lines += [f"double {n} = {text};" for n, text in e.derived.items()]
    lines += [f"{n}_0 = {value!r};" for n, value in case.initial.items()]
    lines += ["$ODE", *(f"double {n} = {text};" for n, text in e.algebra.items())]
    return "\n".join([*lines, *(f"dxdt_{n} = {text};" for n, text in e.rates.items()), ""])


def measured(task: Task) -> Timing:
    """Outputs."""
    if task.what == "gradient":
        raise Absent("mrgsolve has no gradients")
    if shutil.which("Rscript") is None:
        raise Absent("there is no Rscript")
    case, p = task.problem, task.parameters()
    with tempfile.TemporaryDirectory() as folder:
        at = Path(folder)
        (at / "model.cpp").write_text(_CLOSED if task.what == "closed" else model(case))
        header = ",".join(case.equations.parameters)
        np.savetxt(at / "parameters.csv", p, "%.17g", ",", header=header, comments="")
        settings = {
            "rtol": task.rtol, "atol": task.atol, "amount": case.amount, "into": case.into, "every": case.every,
            "doses": case.doses, "end": case.times[-1], "delta": case.times[1], "observed": case.observed,
            "repeats": task.repeats, "seconds": task.seconds,
        }  # fmt: skip
        lines = [f"{name},{value}" for name, value in settings.items()]
        (at / "settings.csv").write_text("\n".join(["name,value", *lines, ""]))
        script = Path(__file__).with_name("mrgsolve.R")
        done = subprocess.run(["Rscript", "--vanilla", script, folder], capture_output=True, text=True, env=os.environ)
        if done.returncode == 3:
            raise Absent("R has no package mrgsolve")
        if done.returncode:
            raise RuntimeError(done.stderr[-2000:])
        told = json.loads((at / "told.json").read_text())
        found = np.fromfile(at / "found.bin").reshape(len(p), -1)
    compiling = {"model": told["compile"]}
    return Timing(compiling, told["runs"], found / p[:, [2]] if case.over else found, {"version": told["version"]})
