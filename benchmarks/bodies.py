"""How fast is a whole body, and how exactly, beside libRoadRunner on the same model? One question, one JSON line per run.

Dextromethorphan and two metabolites in eight permeability-limited organs (76 states, saturable, stiff), seven daily doses of 30 mg by
mouth, venous concentration every hour of a week; people differ in CYP2D6 activity, absorption and partition.

- twinjax: one person, and a cohort at once, through `Fused`; and the derivative of the area in one parameter of one person;
- libRoadRunner 2 (CVODE) on the archived SBML of the same body, one person, and a few persons one after another, scaled.

Errors are the largest over the week per the person's peak, against libRoadRunner at rtol 1e-12 for the first person; tolerances are
chosen so that twinjax errs no more. libRoadRunner is not among twinjax's dependencies: ``pip install libroadrunner``.
Run as ``python benchmarks/bodies.py MODEL2301090002.xml [--people 10000] [--quick]``, the file from BioModels (CC0).
"""

import argparse
import importlib.metadata
import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from twinjax.dosing import Regimen
from twinjax.models.body.dextromethorphan import Dextromethorphan, dextromethorphan
from twinjax.naming import bind
from twinjax.solve.fused import Fused
from twinjax.solve.simulate import pose

jax.config.update("jax_enable_x64", True)
TIMES = np.arange(0.0, 168.1, 1.0)
REGIMEN = Regimen.repeat(30.0, every=24.0, count=7, into="stomach")
MASS = 271.404


def people(number: int) -> dict[str, np.ndarray]:
    """CYP2D6 activity uniform from 0.25 to 3; absorption and partition log-normal, standard deviation 0.3."""
    rng = np.random.default_rng(1)
    spread = np.exp(0.3 * rng.normal(size=(2, number)))
    return {
        "activity": rng.uniform(0.25, 3.0, number),
        "dissolution": 30.0 / 23.0 * spread[0],
        "kp": 8.7346 * spread[1],
    }


def cohort(drawn: dict[str, np.ndarray]) -> Dextromethorphan:
    """Their bodies; `leak` as in the archived file."""
    number = len(drawn["activity"])
    typical = jax.tree.map(lambda x: jnp.broadcast_to(x, (number,)), dextromethorphan(leak=1.0))
    values = {"activity": drawn["activity"], "dissolution": drawn["dissolution"], "drug.kp": drawn["kp"]}
    return bind(typical, {n: jnp.asarray(v) for n, v in values.items()})


def timed(run: Callable[[], Any], repeats: int) -> tuple[float, float, Any]:
    """Seconds of the first call, and the median of the others."""
    start = time.perf_counter()
    result = jax.block_until_ready(run())
    first, later = time.perf_counter() - start, []
    for _ in range(repeats):
        start = time.perf_counter()
        result = jax.block_until_ready(run())
        later.append(time.perf_counter() - start)
    return first, statistics.median(later), result


def roadrunner(path: str, rtol: float) -> Callable[[float, float, float], np.ndarray]:
    """One person's week in libRoadRunner, mmol/L."""
    import roadrunner

    model = roadrunner.RoadRunner(path)
    model.integrator.relative_tolerance, model.integrator.absolute_tolerance = rtol, 1e-6 * rtol
    model.integrator.maximum_num_steps = 1_000_000
    model.timeCourseSelections = ["[Cve_dxm]"]

    def week(activity: float, dissolution: float, kp: float) -> np.ndarray:
        model.resetAll()
        model["LI__cyp2d6_allele1"] = model["LI__cyp2d6_allele2"] = -1
        model["LI__cyp2d6_ac"], model["Ka_dis_dxm"], model["Kp_dxm"] = activity, dissolution, kp
        found = []
        for day in range(7):
            model["PODOSE_dxm"] = model["PODOSE_dxm"] + 30.0
            rows = np.asarray(model.simulate(day * 1440, (day + 1) * 1440, 25))[:, 0]
            found.append(rows[:-1] if day < 6 else rows)
        return np.concatenate(found)

    return week


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("sbml")
    asked.add_argument("--people", type=int, default=10_000)
    asked.add_argument("--peer", type=int, default=20, help="people that libRoadRunner runs one after another")
    asked.add_argument("--rtol", type=float, default=1e-6, help="of twinjax")
    asked.add_argument("--quick", action="store_true")
    given = asked.parse_args()
    count, few, repeats = (16, 2, 1) if given.quick else (given.people, given.peer, 5)
    drawn = people(count)
    first = tuple(float(v[0]) for v in drawn.values())

    exact = roadrunner(given.sbml, 1e-12)(*first)
    week = roadrunner(given.sbml, 1e-6)
    peak = exact.max()
    peer_error = float(np.abs(week(*first) - exact).max() / peak)
    alone = [_seconds(lambda: week(*first)) for _ in range(repeats)]
    many = _seconds(lambda: [week(*(float(v[i]) for v in drawn.values())) for i in range(few)])

    backend = Fused(rtol=given.rtol, atol=1e-4 * given.rtol)
    one = jax.tree.map(lambda x: x[:1], cohort(drawn))
    solve = jax.jit(lambda m: backend.solve(pose(m, REGIMEN, TIMES)).output.drug)
    compile_s, one_s, found = timed(lambda: solve(one), repeats)
    error = float(np.abs(np.asarray(found)[0] / MASS - exact).max() / peak)
    area = jax.jit(jax.grad(lambda a: jnp.sum(solve(bind(one, {"activity": a})))))
    _, gradient_s, _ = timed(lambda: area(one.activity), repeats)
    everyone = cohort(drawn)
    cohort_first, cohort_s, _ = timed(lambda: solve(everyone), 1)

    print(json.dumps({
        "benchmark": "bodies", "device": str(jax.devices()[0]), "machine": platform.machine(), "load": os.getloadavg(),
        "versions": {"python": platform.python_version(),
                     **{p: importlib.metadata.version(p) for p in ("jax", "twinjax", "libroadrunner")}},
        "states": 76, "doses": 7, "samples": len(TIMES), "people": count,
        "libroadrunner": {"rtol": 1e-6, "error": peer_error, "one_s": statistics.median(alone),
                          "people_per_s": few / many, "people_measured": few},
        "twinjax": {"rtol": given.rtol, "error": error, "compile_s": compile_s - one_s, "one_s": one_s,
                    "gradient_over_solve": gradient_s / one_s, "cohort_s": cohort_s, "people_per_s": count / cohort_s,
                    "cohort_first_s": cohort_first},
        "one_over_peer": one_s / statistics.median(alone), "throughput_over_peer": count / cohort_s / (few / many),
    }))  # fmt: skip


def _seconds(run: Callable[[], Any]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
