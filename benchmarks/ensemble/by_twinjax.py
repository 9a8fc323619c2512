"""twinjax through one of its backends, as `simulate` calls them; what its kernels cost to compile, and what they ask of a GPU."""

from __future__ import annotations

import contextlib
import dataclasses
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from by_jax import chunked, device, timed
from measure import Absent, Task, Timing, stages
from models import MODELS, Row

import twinjax as tj
from twinjax.cli.cache import keep_compiled
from twinjax.models import AbstractModel
from twinjax.naming import bind
from twinjax.solve.compiling import compiler_options
from twinjax.solve.fused import Rodas5P, Tsit5
from twinjax.solve.fused.targets import cpu, cuda, llvm
from twinjax.solve.problem import AbstractBackend, Problem
from twinjax.solve.simulate import pose


def backend(task: Task) -> AbstractBackend:
    """The backend that the engine's name asks for: with steps by the case's method, or for a closed form as it chooses."""
    name = task.engine.removeprefix("twinjax.")
    if name == "Exact":
        return tj.Exact()
    if name == "Diffrax":
        return tj.Diffrax(rtol=task.rtol, atol=task.atol)
    method = None if task.what == "closed" else Rodas5P() if task.problem.stiff else Tsit5()
    return tj.Fused(rtol=task.rtol, atol=task.atol, method=method)


def problem(task: Task, model: AbstractModel | None = None) -> Problem:
    """One chunk of patients, to whom the others' parameters are given in turn; outputs only, as of every peer."""
    case = task.problem
    if model is None:
        columns = chunked(task.parameters(), task.chunk)[0].T
        model = MODELS[task.case][0](**dict(zip(case.equations.parameters, columns, strict=True)))
    into = case.into if task.bodies == 0 else f"bodies.0.{case.into}"
    regimen = tj.Regimen.repeat(case.amount, every=case.every, count=case.doses, into=into) if case.into else None
    return dataclasses.replace(pose(model, regimen, case.times), states=False)


def measured(task: Task) -> Timing:
    """Outputs, or the gradient of every patient's sum of squares; compilation alone of bodies in a row."""
    keep_compiled()
    model = Row.typical(task.bodies) if task.bodies else None
    posed, chosen = problem(task, model), backend(task)
    why = chosen.refusal(posed)
    if why is not None:
        raise Absent(f"{task.engine} refuses: {why}")
    chosen = chosen.prepared(posed)
    output, names = "venous" if task.bodies else MODELS[task.case][1], task.problem.equations.parameters
    observed = jnp.asarray(task.known().get("observed", 0.0))
    if task.what == "closed" and isinstance(getattr(chosen, "method", None), Rodas5P | Tsit5):
        raise Absent(f"{task.engine} has no closed form")
    notes = {"method": type(chosen.method).__name__} if hasattr(chosen, "method") else {}

    def forward(p, posed):
        if not task.bodies:
            held = bind(posed.model, dict(zip(names, p.T[..., None], strict=True)))
            posed = eqx.tree_at(lambda x: x.model, posed, held)
        return getattr(chosen.solve(posed).output, output)

    def squares(p, posed):
        return jnp.sum((forward(p, posed) - observed) ** 2)

    function = jax.grad(squares) if task.what == "gradient" else forward
    if task.what == "ptx":
        return asked_of_gpu(function, task, posed)
    with kernels() as spent:
        timing = timed(function, task, posed, options=compiler_options(), **notes)
    timing.compiling.update(spent)
    return timing


@contextlib.contextmanager
def kernels() -> Iterator[dict[str, float]]:
    """Seconds, out of those of tracing and lowering, in which kernels are made: in all (`kernel`) and by LLVM (`llvm`)."""
    spent: dict[str, float] = {}

    def watched(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            began = time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                spent[name] = spent.get(name, 0.0) + time.perf_counter() - began

        return call

    places = [(cpu, "target", "kernel"), (cuda, "ptx", "kernel"), (llvm, "object_code", "llvm"), (llvm, "ptx", "llvm")]
    before = [getattr(module, name) for module, name, _ in places]
    for (module, name, label), function in zip(places, before, strict=True):
        setattr(module, name, watched(label, function))
    try:
        yield spent
    finally:
        for (module, name, _), function in zip(places, before, strict=True):
            setattr(module, name, function)


def asked_of_gpu(function: Callable[..., Any], task: Task, posed: Problem) -> Timing:
    """Registers, spills and occupancy of the kernels on an H100 (sm_90), told by `ptxas`; no GPU is needed."""
    assembler = shutil.which("ptxas")
    if assembler is None:
        raise Absent("there is no ptxas")
    texts, make = [], cuda.ptx

    def keep(kernel: Any, patients: int, architecture: str | None = None) -> str:
        text = make(kernel, patients, "sm_90")
        texts.append((kernel.threads, text))
        return text

    cuda.ptx = keep
    p = chunked(task.parameters(), task.chunk)[0]
    compiling, _ = stages(
        ("trace", lambda _: jax.jit(function).trace(p, posed)),
        ("lower", lambda traced: traced.lower(lowering_platforms=("cuda",))),
    )
    told = [_assembled(assembler, threads, text) for threads, text in texts]
    return Timing(compiling, [], np.zeros((0, 1)), {"device": device(), "architecture": "sm_90", "kernels": told})


def _assembled(assembler: str, threads: int, text: str) -> dict[str, float]:
    with tempfile.NamedTemporaryFile("w", suffix=".ptx") as file:
        file.write(text)
        file.flush()
        began = time.perf_counter()
        command = [assembler, "-v", "-arch=sm_90", "-o", "/dev/null", file.name]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stderr
    spent = time.perf_counter() - began

    def number(pattern: str) -> int:
        return sum(int(n) for n in re.findall(pattern, said))

    registers = number(r"Used (\d+) registers")
    warps = 65536 // (-(-registers // 8) * 8 * 32)  # a warp is given registers in eights for each thread
    resident = min(64, warps) // -(-threads // 32) * -(-threads // 32)
    return {
        "registers": registers, "stack_bytes": number(r"(\d+) bytes stack frame"),
        "spill_store_bytes": number(r"(\d+) bytes spill stores"), "spill_load_bytes": number(r"(\d+) bytes spill loads"),
        "threads_per_block": threads, "occupancy": round(resident / 64, 3), "ptxas_s": round(spent, 2),
    }  # fmt: skip
