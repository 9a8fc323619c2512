"""What does the contract cost at its extremes? One JSON line per measure.

python benchmarks/contract.py [body] [cell]          models and parts; default: both
"""

import json
import sys
import time
from pathlib import Path

import diffrax as dfx
import jax
import jax.numpy as jnp
import numpy as np

import twinjax
from twinjax import Diffrax, Exact, Regimen
from twinjax.models import ToRORd, check_units
from twinjax.models.base import no_input, state_names
from twinjax.naming import bind, leaves, names
from twinjax.solve.flat import field, ravel
from twinjax.solve.simulate import pose

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from extremes.body import Body

CASES = {
    "body": (
        Body,
        Regimen.dose(100.0, into="lumen") + Regimen.infusion(50.0, over=2.0, into="venous", at=12.0),
        np.linspace(0.0, 48.0, 25),
        {
            "exact": Exact(),
            "tsit5": Diffrax(rtol=1e-6, atol=1e-8, solver=dfx.Tsit5(scan_kind="lax"), max_steps=500_000),
            "kvaerno5": Diffrax(
                rtol=1e-6,
                atol=1e-8,
                solver=dfx.Kvaerno5(scan_kind="lax", root_finder=dfx.VeryChord(rtol=1e-6, atol=1e-8)),
            ),
        },
        ("liver.clint", "fu", "ka"),
        lambda output: jnp.log(output.venous[:, 1:]).sum(),
    ),
    "cell": (
        ToRORd,
        Regimen.repeat(53.0, every=1000.0, count=1, into="v", duration=1.0),
        np.concatenate([np.arange(0.0, 20.0, 0.05), np.arange(20.0, 1000.1, 0.5)]),
        {
            "kvaerno5": Diffrax(rtol=1e-6, atol=1e-8),
            "tsit5": Diffrax(rtol=1e-6, atol=1e-8, solver=dfx.Tsit5(scan_kind="lax"), max_steps=500_000),
        },
        ("ikr.g", "ical.p", "inal.g"),
        lambda output: output.v.mean(),
    ),
}


def timed(f, *args):
    begin = time.perf_counter()
    result = jax.block_until_ready(f(*args))
    return result, time.perf_counter() - begin


def compiled(f, *args):
    """Seconds to trace, compile and run, and the result."""
    traced, trace = timed(lambda: jax.jit(f).trace(*args))
    executable, compile_ = timed(lambda: traced.lower().compile())
    executable(*args)
    result, run = timed(executable, *args)
    return result, {"trace_s": trace, "compile_s": compile_, "run_s": run}


def show(**line):
    about = {"device": str(jax.devices()[0].platform), "jax": jax.__version__, "diffrax": dfx.__version__}
    print(json.dumps({**about, "twinjax": twinjax.__version__, **line}, default=float), flush=True)


def contract(name):
    """Everything but solving."""
    cls = CASES[name][0]
    model, construct = timed(cls.typical)
    known, naming = timed(lambda: (names(model), state_names(model)))
    _, check = timed(check_units, model)
    y = ravel(model.initial())
    equations = len(jax.make_jaxpr(model.derivative)(0.0, model.initial(), no_input(model)).jaxpr.eqns)
    show(
        model=name, what="contract", states=len(known[1]), parameters=len(known[0]), equations=equations,
        construct_s=construct, names_s=naming, check_units_s=check,
    )  # fmt: skip
    for what, f in (("derivative", lambda m, v: field(m, 0.0, v, 0.0 * v)), ("jacobian", jacobian)):
        _, seconds = compiled(f, model, y)
        show(model=name, what=what, **seconds)


def jacobian(model, y):
    return jax.jacfwd(lambda v: field(model, 0.0, v, jnp.zeros_like(v)))(y)


def solve(name, method):
    """Forward, and the gradient in three parameters."""
    cls, regimen, times, backends, chosen, summary = CASES[name]
    model, backend = cls.typical(), backends[method]
    start = jnp.stack([leaves(model)[n] for n in chosen])

    def solved(values):
        return backend.solve(pose(bind(model, dict(zip(chosen, values, strict=True))), regimen, times))

    solution, seconds = compiled(solved, start)
    result = {"steps": int(solution.steps[0]), "code": int(solution.result[0])}
    show(model=name, what="forward", method=method, rtol=1e-6, **seconds, **result)
    gradient, seconds = compiled(jax.grad(lambda values: summary(solved(values).output)), start)
    show(model=name, what="gradient", method=method, rtol=1e-6, **seconds, gradient=np.asarray(gradient).tolist())


if __name__ == "__main__":
    for name in [a for a in sys.argv[1:] if a in CASES] or CASES:
        contract(name)
        for method in [a for a in sys.argv[1:] if a in CASES[name][3]] or CASES[name][3]:
            solve(name, method)
