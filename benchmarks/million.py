"""How long do a million virtual patients take, from starting the program to files on disk, and how much memory?

One JSON line. Two compartments by mouth (P1 of benchmarks/ensemble), 7 daily doses, 57 samples, every trajectory
written, with quantiles and summaries; and a physiology of fourteen states (P2), likewise, of which only summaries in
continuous time are kept. `Fused` at rtol 1e-6 and atol 1e-9, or the backend given. Whole runs are processes of their
own, imports included; the peak of their memory is what the system says. For P1 also the parts, one after the other on
one thread: drawing, drawing and solving, counting, writing.

Run as ``python benchmarks/million.py [--patients 1000000] [--backend fused] [--workers 2] [--quick]``.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent / "ensemble"))
BACKENDS = ("fused", "exact", "diffrax")


def plan(problem: str, patients: int, backend: str) -> Any:
    """What is asked."""
    import numpy as np
    from models import MODELS
    from problems import CASES

    import twinjax as tj
    from twinjax import cohorts
    from twinjax.solve.fused import Fused

    case, (model, output) = CASES[problem], MODELS[problem]
    names = case.equations.parameters
    full = problem == "P1"
    how: Any = {"rtol": 1e-6, "atol": 1e-9}
    return cohorts.Plan(
        population=tj.Population(
            model(**dict(zip(names, case.typical, strict=True))), variability=dict(zip(names, case.spread, strict=True))
        ),
        patients=patients, seed=1, times=np.arange(0.0, 168.1, 3.0),
        regimen=tj.Regimen.repeat(case.amount, every=case.every, count=case.doses, into=case.into),
        backend={"fused": Fused(**how), "exact": tj.Exact(), "diffrax": tj.Diffrax(**how)}[backend],
        summaries=cohorts.standard(output, above=(1.0,)), responders={f"{output}.cmax": (1.0, 2.0, 3.0)},
        trajectories=full, bands=full, continuous=not full,
    )  # fmt: skip


def whole(problem: str, given: argparse.Namespace) -> dict[str, Any]:
    """A run in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        words = [sys.executable, __file__, "--one", problem, "--out", str(out), "--patients", str(given.patients)]
        words += ["--backend", given.backend] + (["--workers", str(given.workers)] if given.workers else [])
        began = time.perf_counter()
        done = subprocess.run(words, check=True, capture_output=True, text=True)
        seconds = time.perf_counter() - began
        written = sum(f.stat().st_size for f in out.rglob("*.parquet") if f.is_file())
    told = json.loads(done.stdout.splitlines()[-1])
    return {"seconds": round(seconds, 2), **told, "written_mb": round(written / 1e6)}


def one(problem: str, given: argparse.Namespace) -> None:
    """What that process does."""
    began = time.perf_counter()
    from twinjax import cohorts
    from twinjax.cohorts.programs import Programs
    from twinjax.cohorts.run import stream
    from twinjax.runs import Run

    asked = plan(problem, given.patients, given.backend)
    imported = time.perf_counter()
    programs = Programs(asked)
    compiled = time.perf_counter()
    found = stream(programs, Run.create("cohort", out=given.out), workers=cohorts.Threads(given.workers))
    ended = time.perf_counter()
    print(json.dumps({
        "import_s": round(imported - began, 2), "compile_s": round(compiled - imported, 2),
        "run_s": round(ended - compiled, 2), "cpu_s": round(time.process_time(), 1),
        "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)),
        "codes": found.codes,
    }))  # fmt: skip


def parts(given: argparse.Namespace) -> dict[str, float]:
    """Seconds of each part of P1, scaled to all patients from at most 131,072."""
    import jax

    import twinjax as tj
    from twinjax.cohorts.programs import Programs
    from twinjax.cohorts.tables import Statistics, Table, write_outputs, write_patients

    some = min(given.patients, 131_072)
    programs = Programs(plan("P1", given.patients, given.backend))
    asked = programs.plan
    spent = dict.fromkeys(("draw", "draw_and_solve", "count", "write"), 0.0)

    def timed(part: str, work: Any) -> Any:
        began = time.perf_counter()
        result = work()
        spent[part] += time.perf_counter() - began
        return result

    def draw() -> Any:
        return jax.block_until_ready(tj.cohort(asked.population, some, seed=1).model)

    draw()
    timed("draw", draw)
    statistics = Statistics(asked.outputs, asked.times[asked.watched], exact=asked.exact)
    with tempfile.TemporaryDirectory() as folder:
        outputs, patients = Table(Path(folder) / "outputs"), Table(Path(folder) / "patients")
        groups = programs.groups(0, some)
        while (group := timed("draw_and_solve", lambda: next(groups, None))) is not None:
            timed("count", lambda g=group: statistics.add(g, asked.watched))
            timed("write", lambda g=group: (write_outputs(outputs, asked, g), write_patients(patients, asked, g)))
        timed("write", lambda: (outputs.close(), patients.close()))
    return {part: round(seconds / some * given.patients, 2) for part, seconds in spent.items()}


def main() -> None:
    """Print one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--patients", type=int, default=1_000_000)
    parser.add_argument("--backend", choices=BACKENDS, default="fused")
    parser.add_argument("--workers", type=int, help="threads; default one for each core")
    parser.add_argument("--quick", action="store_true", help="20,000 patients")
    parser.add_argument("--one", choices=("P1", "P2"), help=argparse.SUPPRESS)
    parser.add_argument("--out", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        one(given.one, given)
        return
    given.patients = 20_000 if given.quick else given.patients
    load = os.getloadavg()[0]
    runs = {"P1 trajectories": whole("P1", given)}
    if given.backend == "fused":
        runs["P2 summaries"] = whole("P2", given)
    print(json.dumps({
        "benchmark": "million", "patients": given.patients, "backend": given.backend,
        "machine": platform.machine(), "cpus": os.cpu_count(), "load_before": round(load, 1),
        "versions": {"python": platform.python_version()}
        | {n: importlib.metadata.version(n) for n in ("jax", "numpy", "pyarrow", "twinjax")},
        "runs": runs, "P1_parts_s": parts(given),
    }))  # fmt: skip


if __name__ == "__main__":
    main()
