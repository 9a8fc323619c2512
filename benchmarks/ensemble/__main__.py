"""How many patients a second, on one core and on two, and how far ahead of the peers? One question, a JSON line per measurement.

Two compartments (P1), a physiology of fourteen states (P2) and target-mediated disposition (P3), with 57 samples and 7 daily (P3:
4 fortnightly) doses; P1 in closed form; the gradient of the sum of squares in 5 parameters (P1, P3); Lorenz's ensemble in single
precision; what bodies in a row cost to compile; what the kernels ask of a GPU (`ptx`, by `ptxas`, without one). All at rtol 1e-6
and atol 1e-9, errors against a reference at 1e-12, each engine in a process of its own on cores of its own.

    python benchmarks/ensemble [--only P1,P2] [--peers mrgsolve,numbalsoda] [--out FILE] [--quick]

Peers that are not installed are reported as absent: `pip install numbalsoda libroadrunner antimony` (numbalsoda needs gfortran),
and gradsolve[warp], nvqsp, in any environment that `--peer-python` names; mrgsolve, an R package, where `Rscript` finds it. With `--out`, lines are appended
to a file and what stands there is not measured again. Where JAX finds a GPU, or with `--sweep`, the sizes of the sweep are
measured in both precisions on JAX's device instead.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import reference
from measure import Task
from plan import MATCHED, PEERS, SECTIONS, TOOLS, Choice
from problems import CASES

_OWN = ("twinjax", "vmap(diffrax)")


def main() -> None:
    """Print a line per measurement, then one per comparison."""
    given = _arguments()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(given.references or scratch)
        folder.mkdir(parents=True, exist_ok=True)
        sweep = [int(float(n)) for n in given.sweep.split(",")] if given.sweep else _sizes_of_gpu(given.quick)
        cores = tuple(int(c) for c in given.cores.split(",")) if given.cores else _cores()
        choice = Choice(given.only, given.peers, cores, given.quick, sweep, given.seconds, folder)
        known = [json.loads(text) for text in Path(given.out).read_text().splitlines()] if _exists(given.out) else []
        lines = [line for line in known if "compared" not in line and line["quick"] == given.quick]
        for task in choice.tasks():
            if not any(_key(line) == _key(_about(task, given.quick)) and "failed" not in line for line in lines):
                lines.append(_shown(_measured(task, choice, given), given.out))
        for comparison in compared(lines):
            _shown(comparison, given.out)


def _measured(task: Task, choice: Choice, given: argparse.Namespace) -> dict[str, Any]:
    if not choice.reference(task.case).exists():
        patients, gradients = (8, 2) if choice.quick else (64, 16)
        gradients *= task.case in ("P1", "P3")
        reference.write(CASES[task.case], patients, gradients, choice.reference(task.case))
    ours = task.engine.startswith(_OWN)
    with tempfile.TemporaryDirectory() as cache:  # nothing compiled is found there the first time, all of it the second
        found = _child(task, sys.executable if ours else given.peer_python, cache)
        if task.engine == "twinjax.Fused" and task.what != "ptx" and "compile_s" in found:
            again = _child(task, sys.executable, cache, repeats=0)
            found["compile_from_disk_s"] = again.get("compile_s")
    return _about(task, choice.quick) | found


def _child(task: Task, python: str, cache: str, **change: Any) -> dict[str, Any]:
    text = json.dumps(json.loads(task.text()) | change)
    environment = os.environ | {"TWINJAX_CACHE": cache, "PYTHONWARNINGS": "ignore"}
    command = [python, str(Path(__file__).with_name("one.py")), text]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    try:
        return json.loads(done.stdout.splitlines()[-1])
    except (IndexError, ValueError):
        return {"failed": f"exit status {done.returncode}: {done.stderr[-500:]}"}


def _about(task: Task, quick: bool) -> dict[str, Any]:
    case = task.problem
    return {
        "benchmark": "ensemble", "case": task.case, "what": task.what, "engine": task.engine, "cores": len(task.cores),
        "precision": task.precision, "asked": task.patients, "bodies": task.bodies, "outputs": len(case.times),
        "doses": case.doses if case.into else 0, "rtol": task.rtol, "atol": task.atol, "processor": _processor(),
        "quick": quick,
    }  # fmt: skip


def _key(line: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(line[n] for n in ("case", "what", "engine", "cores", "precision", "asked", "bodies"))


def compared(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """For each ensemble, size and precision: patients per second by engine, and how many times those of others. On one
    core seconds are the processor's, where they are known: others' work on the same machine does not count.
    """
    found = []
    groups = {(x["case"], x["what"], x["precision"], x["asked"] if x["cores"] == 0 else 0) for x in lines}
    for case, what, precision, size in sorted(groups):
        mine = [x for x in lines if (x["case"], x["what"], x["precision"]) == (case, what, precision)]
        mine = [x for x in mine if "patients_per_s" in x and (size == 0 or x["asked"] == size)]
        one = {x["engine"]: x.get("patients_per_cpu_s", x["patients_per_s"]) for x in mine if x["cores"] < 2}
        two = {x["engine"]: x["patients_per_s"] for x in mine if x["cores"] == 2}
        engine = "twinjax.Fused" if "twinjax.Fused" in one else "twinjax.Exact"
        if engine not in one:
            continue
        stock = {n: r for n, r in one.items() if n.startswith("vmap(diffrax)")}
        tools = {n: r for n, r in one.items() if n in TOOLS}
        line = {"benchmark": "ensemble", "compared": case, "what": what, "precision": precision}
        line |= {"patients": size} if size else {}
        line["patients_per_s"] = one
        line["error"] = {x["engine"]: x.get("error") for x in mine if x["cores"] < 2}
        for name, others in (("over_diffrax", stock), ("over_best_tool", tools)):
            if others:
                line[name] = round(one[engine] / max(others.values()), 1)
            errors = [x["error"] for x in mine if x["engine"] in others]
            if others and MATCHED in one and line["error"][MATCHED] <= min(errors):
                line[f"{name}_at_matched_error"] = round(one[MATCHED] / max(others.values()), 1)
        if engine in two:
            line["two_cores_over_one"] = round(two[engine] / one[engine], 2)
        forward = [x for x in lines if _forward_of(x, case, engine, precision, size)]
        forward = [x.get("patients_per_cpu_s", x["patients_per_s"]) for x in forward]
        if what == "gradient" and forward:
            line["cost_in_forward_solves"] = round(forward[-1] / one[engine], 2)
        found.append(line)
    return found


def _forward_of(line: dict[str, Any], case: str, engine: str, precision: str, size: int) -> bool:
    same = (line["case"], line["what"], line["engine"], line["precision"]) == (case, "forward", engine, precision)
    whole = line["bodies"] == 0 and line["cores"] < 2 and "patients_per_s" in line
    return same and whole and (size == 0 or line["asked"] == size)


def _shown(line: dict[str, Any], out: str | None) -> dict[str, Any]:
    text = json.dumps(line)
    print(text, flush=True)
    if out:
        with open(out, "a") as file:
            file.write(text + "\n")
    return line


def _exists(out: str | None) -> bool:
    return out is not None and Path(out).exists()


def _sizes_of_gpu(quick: bool) -> list[int]:
    """The sweep of a GPU, or nothing where JAX finds none."""
    ask = [sys.executable, "-c", "import jax; print(jax.default_backend())"]
    if subprocess.run(ask, capture_output=True, text=True).stdout.strip() != "gpu":
        return []
    return [1000, 10_000] if quick else [10**n for n in range(3, 8)]


def _cores() -> tuple[int, ...]:
    """Those that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return tuple(sorted(os.sched_getaffinity(0)))
    return tuple(range(os.cpu_count() or 1))


def _processor() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.machine()
    return next(
        (x.split(":", 1)[1].strip() for x in text.splitlines() if x.startswith("model name")), platform.machine()
    )


def _arguments() -> argparse.Namespace:
    def listed(allowed: tuple[str, ...]):
        def read(text: str) -> list[str]:
            names = [n for n in text.split(",") if n and n != "none"]
            unknown = set(names) - set(allowed)
            if unknown:
                raise argparse.ArgumentTypeError(f"{', '.join(unknown)}: known are {', '.join(allowed)}")
            return names

        return read

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", type=listed(SECTIONS), default=list(SECTIONS), help=", ".join(SECTIONS))
    parser.add_argument("--peers", type=listed(PEERS), default=list(PEERS), help=f"{', '.join(PEERS)}, or none")
    parser.add_argument(
        "--peer-python", default=sys.executable, help="the Python that has the peers other than diffrax"
    )
    parser.add_argument("--cores", help="numbers of the cores to use, at most two; default: the first of this process")
    parser.add_argument("--seconds", type=float, default=3.0, help="of repeated runs for each measurement")
    parser.add_argument("--sweep", help="sizes such as 1e3,1e4: measure these on JAX's device, in both precisions")
    parser.add_argument("--references", help="a folder to keep references in (a minute or two each)")
    parser.add_argument("--out", help="a file to append lines to; what stands there is not measured again")
    parser.add_argument("--quick", action="store_true", help="few patients, short runs: to see that everything works")
    return parser.parse_args()


if __name__ == "__main__":
    main()
