"""How fast is a cohort simulated, and how exactly? One question, one JSON line per run.

A two-compartment oral model, 7 daily doses, 57 samples over a week (0, 3, ..., 168 h), log-normal parameters:

- twinjax through `Exact` and through `Diffrax` (rtol 1e-6);
- the same work by stock diffrax: `jax.vmap(diffrax.diffeqsolve)`, scanned over the dosing intervals, same tolerance;
- the same work by scipy's `solve_ivp` (LSODA), patient by patient, for a few patients, scaled.

Errors are relative to the largest concentration of each patient, against `Diffrax` at rtol 1e-12.
Run as ``python benchmarks/simulate.py [--patients 10000] [--quick]``.
"""

import argparse
import importlib.metadata
import json
import platform
import statistics
import time
from collections.abc import Callable
from typing import Any

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
from scipy.integrate import solve_ivp

from twinjax.dosing import Regimen
from twinjax.models import TwoCompartmentOral
from twinjax.naming import leaves
from twinjax.solve.diffrax import Diffrax
from twinjax.solve.exact import Exact
from twinjax.solve.problem import Problem
from twinjax.solve.simulate import pose

jax.config.update("jax_enable_x64", True)
DOSES, EVERY, AMOUNT, TIMES = 7, 24.0, 100.0, np.arange(0.0, 168.1, 3.0)
RTOL, ATOL = 1e-6, 1e-8
FITTED = ("ka", "cl", "v1", "q", "v2")


def patients(number: int) -> TwoCompartmentOral:
    """Log-normal parameters, standard deviation 0.3, about the typical values."""
    typical = leaves(TwoCompartmentOral.typical())
    rng = np.random.default_rng(1)
    return TwoCompartmentOral(**{n: float(typical[n]) * np.exp(0.3 * rng.normal(size=number)) for n in FITTED})


def ours(problem: Problem, backend: Any) -> tuple[Callable[[Any], Any], Any]:
    """A backend's solve as a function of a problem."""
    prepared = backend.prepared(problem)
    return lambda p: prepared.solve(p).output.plasma, problem


def stock(problem: Problem) -> tuple[Callable[[Any], Any], Any]:
    """Stock diffrax in its simplest idiom: one `diffeqsolve` per dosing interval, scanned, under `vmap`."""
    per_interval = int(EVERY / 3)
    saves = jnp.arange(1, per_interval + 1) * 3.0

    def rhs(t: Any, y: Any, p: Any) -> Any:
        ka, cl, v1, q, v2 = p
        exchanged = q * (y[1] / v1 - y[2] / v2)
        return jnp.stack([-ka * y[0], ka * y[0] - cl * y[1] / v1 - exchanged, exchanged])

    def one(*p: Any) -> Any:
        def interval(y: Any, _: Any) -> Any:
            y = y.at[0].add(AMOUNT)
            found = diffrax.diffeqsolve(
                diffrax.ODETerm(rhs), diffrax.Tsit5(), 0.0, EVERY, None, y, p, saveat=diffrax.SaveAt(ts=saves),
                stepsize_controller=diffrax.PIDController(rtol=RTOL, atol=ATOL), adjoint=diffrax.ForwardMode(),
            ).ys  # fmt: skip
            return found[-1], found[:, 1]

        _, central = jax.lax.scan(interval, jnp.zeros(3), None, length=DOSES)
        return jnp.concatenate([jnp.zeros(1), central.reshape(-1)]) / p[2]

    def run(model: Any) -> Any:
        return jax.vmap(one)(*(leaves(model)[n] for n in FITTED))

    return run, jax.tree.map(lambda x: x[:, 0], problem.model)


def by_scipy(model: TwoCompartmentOral, number: int) -> np.ndarray:
    """Scipy's LSODA, one patient and dosing interval after another."""
    columns = np.stack([np.asarray(leaves(model)[n])[:number] for n in FITTED], axis=1)
    plasma = np.zeros((number, len(TIMES)))
    for row, (ka, cl, v1, q, v2) in zip(plasma, columns, strict=True):
        a = np.array([[-ka, 0.0, 0.0], [ka, -(cl + q) / v1, q / v2], [0.0, q / v1, -q / v2]])
        y = np.zeros(3)
        for k in range(DOSES):
            y = y + [AMOUNT, 0.0, 0.0]
            found = solve_ivp(
                lambda t, y, a=a: a @ y, (0.0, EVERY), y, "LSODA", np.arange(3.0, 24.1, 3.0), rtol=RTOL, atol=ATOL
            ).y
            y = found[:, -1]
            row[8 * k + 1 : 8 * k + 9] = found[1] / v1
    return plasma


def timed(run: Callable[[Any], Any], data: Any) -> tuple[np.ndarray, float, float]:
    """The result, seconds to compile, and median seconds of three runs."""
    began = time.perf_counter()
    compiled = jax.jit(run).lower(data).compile()
    compile_s, seconds = time.perf_counter() - began, []
    for _ in range(4):
        began = time.perf_counter()
        found = jax.block_until_ready(compiled(data))
        seconds.append(time.perf_counter() - began)
    return np.asarray(found), compile_s, statistics.median(seconds[1:])


def main() -> None:
    """Print one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--patients", type=int, default=10_000)
    parser.add_argument("--quick", action="store_true", help="200 patients")
    given = parser.parse_args()
    number = 200 if given.quick else given.patients
    model, regimen = patients(number), Regimen.repeat(AMOUNT, every=EVERY, count=DOSES)
    problem = pose(model, regimen, TIMES)
    checked = min(number, 500)
    few = pose(jax.tree.map(lambda x: x[:checked] if np.ndim(x) else x, model), regimen, TIMES)
    reference, *_ = timed(*ours(few, Diffrax(rtol=1e-12, atol=1e-12)))
    peak = reference.max(axis=1, keepdims=True)

    def line(found: np.ndarray, compile_s: float, run_s: float, solved: int) -> dict[str, float]:
        same = min(checked, solved)
        error = np.abs(found[:same] - reference[:same]) / peak[:same]
        return {"compile_s": round(compile_s, 2), "run_s": round(run_s, 4), "patients_per_s": round(solved / run_s),
                "max_relative_error": float(f"{error.max():.2e}")}  # fmt: skip

    runs = {
        "twinjax.Exact": ours(problem, Exact()),
        "twinjax.Diffrax": ours(problem, Diffrax(rtol=RTOL, atol=ATOL)),
        "stock diffrax": stock(problem),
    }
    results = {name: line(*timed(*run), number) for name, run in runs.items()}
    few_by_scipy = min(number, 50)
    began = time.perf_counter()
    found = by_scipy(model, few_by_scipy)
    results["scipy LSODA"] = line(found, 0.0, time.perf_counter() - began, few_by_scipy)
    device = jax.devices()[0]
    print(json.dumps({
        "benchmark": "simulate", "device": f"{device.platform}: {device.device_kind}", "machine": platform.machine(),
        "versions": {"python": platform.python_version()}
        | {n: importlib.metadata.version(n) for n in ("jax", "diffrax", "scipy", "twinjax")},
        "patients": number, "doses": DOSES, "outputs": len(TIMES), "rtol": RTOL, "atol": ATOL, "runs": results,
    }))  # fmt: skip


if __name__ == "__main__":
    main()
