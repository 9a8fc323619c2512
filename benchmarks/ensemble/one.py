"""One measurement in a process of its own: reads a task, prints one line of JSON. `python one.py TASK`; `__main__.py` calls it."""

from __future__ import annotations

import importlib
import importlib.metadata
import json
import os
import platform
import resource
import statistics
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import numpy as np
from measure import Absent, Task, error

ENGINES = {
    "twinjax": "by_twinjax", "vmap(diffrax)": "by_diffrax", "mrgsolve": "by_mrgsolve", "numbalsoda": "by_numbalsoda",
    "libRoadRunner": "by_roadrunner", "scipy": "by_scipy", "gradsolve": "by_gradsolve", "nvqsp": "by_nvqsp",
}  # fmt: skip
"""Which file runs an engine, by the first word of its name."""


_LIBRARIES = (
    "twinjax", "jax", "diffrax", "llvmlite", "numba", "numbalsoda", "scipy", "gradsolve", "nvqsp",
)  # fmt: skip


def pin(task: Task) -> None:
    """To the task's cores, before any library counts them."""
    if task.cores:
        if hasattr(os, "sched_setaffinity"):  # Linux
            os.sched_setaffinity(0, set(task.cores))
        threads = str(len(task.cores))
        os.environ.update(OMP_NUM_THREADS=threads, OPENBLAS_NUM_THREADS=threads, NUMBA_NUM_THREADS=threads)
        if threads == "1":
            os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "") + " --xla_cpu_multi_thread_eigen=false"
    os.environ["JAX_ENABLE_X64"] = "1" if task.precision == "float64" else "0"


def line(task: Task) -> dict[str, object]:
    """What the task's engine did, or why it did not."""
    try:
        engine = importlib.import_module(ENGINES[task.engine.split(".")[0].split(" ")[0]])
        timing = engine.measured(task)
    except Absent as why:
        return {"absent": str(why)}
    except Exception as failure:  # one engine's failure, or a device's memory, must not end the others' run
        return {"failed": f"{type(failure).__name__}: {failure}"[-500:]}
    if not np.all(np.isfinite(timing.found)):
        return {
            "failed": f"{np.sum(~np.isfinite(timing.found).all(axis=1))} of {len(timing.found)} patients are not finite"
        }
    notes = {"patients": task.patients, **timing.notes, "versions": versions()}
    notes["load"] = round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None
    notes["peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    found: dict[str, object] = {"compile_s": {n: round(s, 4) for n, s in timing.compiling.items()}}
    if timing.runs:
        median, least = statistics.median(timing.runs), min(timing.runs)
        found["run_s"] = {"median": float(f"{median:.4g}"), "least": float(f"{least:.4g}"), "runs": len(timing.runs)}
        found["patients_per_s"] = float(f"{notes['patients'] / median:.5g}")
        found["most_patients_per_s"] = float(f"{notes['patients'] / least:.5g}")
        worked = getattr(timing.runs, "cpu", [])
        if worked and len(task.cores) == 1:
            found["cpu_s"] = {"median": float(f"{statistics.median(worked):.4g}"), "least": float(f"{min(worked):.4g}")}
            found["patients_per_cpu_s"] = float(f"{notes['patients'] / statistics.median(worked):.5g}")
        found["error"] = float(f"{error(task, timing.found):.3g}")
    return notes | found


def versions() -> dict[str, str]:
    """Of what this process uses."""
    used = {n for n in _LIBRARIES if n in sys.modules}
    return {"python": platform.python_version()} | {n: importlib.metadata.version(n) for n in sorted(used)}


if __name__ == "__main__":
    given = Task.read(sys.argv[1])
    pin(given)
    print(json.dumps(line(given)))
