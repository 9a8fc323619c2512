"""How many bodies a second? A drug by mouth, once a day for 7 days, in bodies of 14 organs: one person, and many.

twinjax (compiled kernels with Rodas5P, and exact matrix exponentials) beside libRoadRunner (CVODE on SBML of the same equations) in
the same run. Every tolerance is the loosest of a few at which plasma is within 1e-5 of the exact solution, at 28 times; the best of
ten runs counts, compiling apart. `inside_jit_s` is one person's solve in a jitted function, without posing the problem anew.
libRoadRunner's equations are the body's own rates, its patients differ in the liver's clearance, and it takes a sample of them, one
after another.

Run as ``python benchmarks/organs.py [--people 10000] [--sample 40] [--one]``. Prints one JSON line.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import time
from collections.abc import Callable
from typing import Any

import antimony
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import roadrunner

import twinjax as tj
from twinjax.bodies import Substance, body
from twinjax.drugs import Compound
from twinjax.models.base import state_names
from twinjax.models.pbpk import WholeBody
from twinjax.solve.flat import field

EVERY, DOSES, DOSE, INTO = 24.0, 7, 100.0, "stomach.drug"
TIMES = np.arange(6.0, 169.0, 6.0)
WANTED = 1e-5
REGIMEN = tj.Regimen.repeat(DOSE, every=EVERY, count=DOSES, into=INTO)


def drug(clint: Any) -> dict[str, Substance]:
    """A lipophilic drug that the liver clears."""
    return {"drug": Substance(Compound(log_p=2.0, fu=0.1), 300.0, clint=clint, ka=1.0)}


def antimony_text(model: WholeBody) -> str:
    """The body's linear rates, with the clearance of the liver as a parameter."""
    names = state_names(model)
    zero = jnp.zeros(len(names))

    def rates(y: Any, clint: Any) -> Any:
        return field(with_clint(model, clint), 0.0, y, zero)

    still = np.asarray(jax.jacfwd(rates)(zero, 0.0))
    unit = np.asarray(jax.jacfwd(rates)(zero, 1.0)) - still
    symbols = [f"x{i}" for i in range(len(names))]
    lines = ["model peer()", "  clint = 60.0;"]
    for i, symbol in enumerate(symbols):
        terms = [f"{float(still[i, j])!r}*{symbols[j]}" for j in range(len(names)) if still[i, j]]
        terms += [f"clint*{float(unit[i, j])!r}*{symbols[j]}" for j in range(len(names)) if unit[i, j]]
        lines.append(f"  {symbol} = 0; {symbol}' = {' + '.join(terms) or '0'};")
    into = symbols[[n.endswith(INTO) for n in names].index(True)]
    lines += [f"  at time >= {EVERY * k!r}, t0=false: {into} = {into} + {DOSE!r};" for k in range(DOSES)]
    return "\n".join([*lines, "end"])


def with_clint(model: WholeBody, clint: Any) -> WholeBody:
    """The body with another clearance."""
    return eqx.tree_at(lambda m: m.liver.clint["drug"], model, jnp.asarray(clint, float))


def timed(f: Callable[[], Any]) -> tuple[Any, float, float]:
    """A result, the seconds of the first call, and of a later one."""
    start = time.perf_counter()
    f()
    first = time.perf_counter() - start
    again = []
    for _ in range(10):
        start = time.perf_counter()
        result = f()
        again.append(time.perf_counter() - start)
    return result, first, min(again)


def ours(model: WholeBody, backend: Any) -> Callable[[], np.ndarray]:
    """Plasma of all."""
    return lambda: np.asarray(tj.simulate(model, REGIMEN, TIMES, backend=backend).output.plasma["drug"])


def theirs(model: WholeBody, clints: Any, rtol: float) -> tuple[Callable[[], np.ndarray], float]:
    """Plasma of a sample by libRoadRunner, and the seconds it took to compile."""
    start = time.perf_counter()
    if antimony.loadAntimonyString(antimony_text(model)) < 0:
        raise RuntimeError(antimony.getLastError())
    runner = roadrunner.RoadRunner(antimony.getSBMLString("peer"))
    compiling = time.perf_counter() - start
    runner.integrator.relative_tolerance, runner.integrator.absolute_tolerance = rtol, rtol * 1e-3
    runner.integrator.maximum_num_steps = 10**7
    venous = f"x{[n == 'venous.drug' for n in state_names(model)].index(True)}"
    scale = float(model.venous_volume * model.solutes["drug"].blood_to_plasma)

    def run() -> np.ndarray:
        found = []
        for clint in clints:
            runner.resetAll()
            runner["clint"] = float(clint)
            rows = runner.simulate(times=[0.0, *TIMES], selections=["time", venous])
            found.append(np.asarray(rows)[1:, 1] / scale)
        return np.stack(found)

    return run, compiling


def best(make: Callable[[float], Callable[[], np.ndarray]], reference: np.ndarray) -> dict[str, Any]:
    """The loosest tolerance that is accurate enough, with its seconds."""
    for rtol in (1e-4, 1e-5, 1e-6, 1e-7, 1e-8, 1e-9, 1e-10):
        result, first, run = timed(make(rtol))
        error = float(np.max(np.abs(result / reference - 1.0)))
        if error <= WANTED:
            break
    return {"rtol": rtol, "error": error, "first_s": first, "run_s": run}


def main() -> None:
    """One person, then many."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, default=10_000)
    parser.add_argument("--sample", type=int, default=40)
    parser.add_argument("--one", action="store_true", help="one person only")
    asked = parser.parse_args()
    single = body(tj.person(30.0), drug(60.0))
    exact = ours(single, tj.Exact())()
    out: dict[str, Any] = {"benchmark": "organs", "states": len(state_names(single)), "organs": 15}
    out["one"] = {
        "fused": best(lambda r: ours(single, tj.Fused(rtol=r, atol=r * 1e-3)), exact),
        "exact": dict(zip(("first_s", "run_s"), timed(ours(single, tj.Exact()))[1:], strict=True)),
        "roadrunner": best(lambda r: theirs(single, [60.0], r)[0], exact),
    }
    out |= {"device": platform.processor() or platform.machine(), "cores": os.cpu_count(), "load": os.getloadavg()[0]}
    out["versions"] = {p: importlib.metadata.version(p) for p in ("jax", "twinjax", "libroadrunner")}
    if asked.one:
        print(json.dumps(out))
        return
    clints = np.random.default_rng(3).lognormal(np.log(60.0), 0.5, asked.people)
    many = jax.tree.map(lambda x: jnp.broadcast_to(x, (asked.people,)), single)
    many = with_clint(many, clints)
    sample = jax.tree.map(lambda x: x[: asked.sample], many)
    reference = ours(sample, tj.Exact())()
    rtol = best(lambda r: ours(sample, tj.Fused(rtol=r, atol=r * 1e-3)), reference)["rtol"]
    _, first, run = timed(ours(many, tj.Fused(rtol=rtol, atol=rtol * 1e-3)))
    peer = best(lambda r: theirs(single, clints[: asked.sample], r)[0], reference)
    out["many"] = {
        "people": asked.people,
        "fused": {"rtol": rtol, "first_s": first, "run_s": run, "per_s": asked.people / run},
        "roadrunner": peer | {"of": asked.sample, "per_s": asked.sample / peer["run_s"]},
        "ratio": asked.people / run * peer["run_s"] / asked.sample,
    }

    def exposure(clint: Any) -> Any:
        solved = tj.simulate(with_clint(single, clint), REGIMEN, TIMES, backend=tj.Fused(rtol=rtol, atol=rtol * 1e-3))
        return solved.output.plasma["drug"].sum()

    gradient = jax.jit(jax.grad(exposure))
    _, _, cost = timed(lambda: np.asarray(gradient(60.0)))
    forward = jax.jit(exposure)
    _, _, plain = timed(lambda: np.asarray(forward(60.0)))
    out["gradient_over_solve"], out["one"]["inside_jit_s"] = cost / plain, plain
    out["load"] = os.getloadavg()[0]
    print(json.dumps(out))


if __name__ == "__main__":
    main()
