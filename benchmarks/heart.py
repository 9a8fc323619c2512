"""How many beats of how many heart cells a second, beside Myokit with CVODE, at one accuracy of qNet?

The CiPA cell (endocardial, 0.5 Hz) with the sodium-potassium pump as Myokit's file has it, the hERG conductance spread
over 0.7 to 1.3 times its own. Both start where the FDA's file does, or Myokit's, and are judged by the third beat's
qNet against their own run at 1e-9: Myokit gets the loosest tolerances that come within 1e-4 (`--peer-rtol`, `--peer-atol`).
Processor seconds are counted besides seconds, as other work may share the machine; rates are per processor second.

One JSON line. Run as ``taskset -c 0 python benchmarks/heart.py [--mmt ohara-cipa-v1-2017.mmt] [--cells 1 64 1024]``;
the file is of https://github.com/myokit/models (c/), and Myokit needs SUNDIALS.
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib.metadata
import json
import os
import platform
import time

import jax
import jax.numpy as jnp
import numpy as np

from twinjax import Fused
from twinjax.electrophysiology.pace import pace, stimulus
from twinjax.models import CiPACell
from twinjax.models.heart.exchange import CorrectedPump
from twinjax.naming import bind, get
from twinjax.solve.fused.steps import Rodas5P, Tsit5

CYCLE = 2000.0


def clocked(f):
    """What it returns, seconds, and processor seconds of all threads."""
    wall, cpu = time.perf_counter(), time.process_time()
    found = f()
    return found, time.perf_counter() - wall, time.process_time() - cpu


def cells(count):
    """As many, no two alike."""
    cell = dataclasses.replace(CiPACell.endocardial(), inak=CorrectedPump())
    spread = np.linspace(0.7, 1.3, count) if count > 1 else np.ones(1)
    return bind(cell, {"ikr.g": get(cell, "ikr.g") * spread})


def paced(count, beats, backend):
    """QNet of the last beat, uC/uF."""
    return np.asarray(
        pace(cells(count), CYCLE, beats=beats, stimulus=stimulus(116.0), backend=backend).beat.qnet[:, -1]
    )


def ours(sizes, beats, backend, exact):
    """Rates by number of cells, and the error."""
    found = {"method": type(backend.method).__name__, "rtol": backend.rtol, "atol": backend.atol}
    found["error"] = float(np.max(np.abs(paced(8, 3, backend) / exact - 1.0)))
    found["rates"] = {}
    for count in sizes:
        _, first, _ = clocked(lambda count=count: paced(count, 2, backend))
        _, _, few = clocked(lambda count=count: paced(count, 2, backend))
        _, wall, cpu = clocked(lambda count=count: paced(count, 2 + beats, backend))
        # the measured beat and its biomarkers are in both: plain beats are the difference
        found["rates"][str(count)] = {
            "first_s": round(first, 2), "beats": beats, "run_s": round(wall, 3), "cpu_s": round(cpu, 3),
            "cell_beats_per_cpu_s": round(count * beats / max(cpu - few, 1e-9), 1),
            "with_biomarkers_per_cpu_s": round(count * (2 + beats) / cpu, 1),
        }  # fmt: skip
    return found


def peer(path, beats, rtol, atol):
    """Myokit, one cell after the other."""
    import myokit

    model = myokit.load_model(path)
    model.get("cell.mode").set_rhs(0)
    charge = model.get("membrane").add_variable(
        "qnet", rhs="inal.INaL + ical.ICaLCa + ito.Ito + ikr.IKr + iks.IKs + ik1.IK1"
    )
    charge.promote(0)
    protocol = myokit.pacing.blocktrain(CYCLE, 0.5)
    simulation, compiled, _ = clocked(lambda: myokit.Simulation(model, protocol))
    base = float(model.get("ikr.gKr").eval())

    def run(factor, beats):
        simulation.reset()
        simulation.set_constant("ikr.gKr", base * factor)
        log = simulation.run(
            beats * CYCLE + 1e-6, log=["membrane.qnet"], log_times=[(beats - 1) * CYCLE, beats * CYCLE]
        )
        q = log["membrane.qnet"]
        return (q[1] - q[0]) / 1000.0

    spread = np.linspace(0.7, 1.3, 8)
    simulation.set_tolerance(1e-10, 1e-10)
    exact = np.asarray([run(f, 3) for f in spread])
    simulation.set_tolerance(atol, rtol)
    error = float(np.max(np.abs(np.asarray([run(f, 3) for f in spread]) / exact - 1.0)))
    _, wall, cpu = clocked(lambda: [run(f, beats) for f in spread])
    return {
        "version": myokit.__version__, "rtol": rtol, "atol": atol, "error": error, "compile_s": round(compiled, 2),
        "cells": len(spread), "beats": beats, "run_s": round(wall, 3), "cpu_s": round(cpu, 3),
        "cell_beats_per_cpu_s": round(len(spread) * beats / cpu, 1), "qnet": [round(float(q), 6) for q in exact],
    }  # fmt: skip


def main():
    """One run."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--mmt")
    parser.add_argument("--cells", type=int, nargs="+", default=[1, 64, 1024])
    parser.add_argument("--beats", type=int, default=20)
    parser.add_argument("--explicit", action="store_true", help="measure Tsit5 on one cell, too")
    parser.add_argument("--peer-rtol", type=float, default=1e-4)
    parser.add_argument("--peer-atol", type=float, default=1e-6)
    given = parser.parse_args()
    tight = Fused(rtol=1e-9, atol=1e-11, method=Rodas5P(), max_steps=100_000)
    exact = paced(8, 3, tight)
    line = {
        "benchmark": "heart", "model": "CiPACell", "cycle_ms": CYCLE, "machine": platform.machine(),
        "cpus": len(os.sched_getaffinity(0)), "load_before": round(os.getloadavg()[0], 1),
        "versions": {"python": platform.python_version(), **{n: importlib.metadata.version(n) for n in ("jax", "twinjax")}},
        "device": jax.devices()[0].platform, "precision": str(jnp.ones(()).dtype), "runs": [],
    }  # fmt: skip
    for rtol, atol in ((1e-4, 1e-7), (1e-5, 1e-8), (1e-6, 1e-9)):
        sizes = given.cells if rtol == 1e-4 else [64]
        line["runs"].append(ours(sizes, given.beats, Fused(rtol=rtol, atol=atol, method=Rodas5P()), exact))
    if given.explicit:
        line["runs"].append(ours([1], 1, Fused(rtol=1e-6, atol=1e-9, method=Tsit5(), max_steps=10_000_000), exact))
    if given.mmt:
        line["myokit"] = peer(given.mmt, given.beats, given.peer_rtol, given.peer_atol)
        line["qnet"] = [round(float(q), 6) for q in exact]
    print(json.dumps(line))


if __name__ == "__main__":
    main()
