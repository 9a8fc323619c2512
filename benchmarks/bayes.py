"""Does NUTS find NONMEM's posterior, and how long does it take? One question, one JSON line.

The 501 data of Bauer's NONMEM tutorial (60 subjects, 240 observations; one compartment, infusion; weight, age and sex on both
parameters; a block Omega; proportional error), whose listed means and standard deviations by METHOD=NUTS and METHOD=BAYES (NONMEM
7.4.3, 26 s and 35 s on its author's machine) are below. Priors differ: NONMEM's are flat thetas and inverse Wishart Omega (2
degrees of freedom, 0.04 on the diagonal) and Sigma (1 degree, 0.05), ours the defaults. So the draws are also weighted by the ratio
of the priors: `as_nonmem`, with `weights_ess` the effective number of draws left. `off` is the largest distance of a mean from
NONMEM's NUTS, in posterior standard deviations, `sd_ratio` the range of the ratios of standard deviations; `between_theirs` the
distance of NONMEM's own two methods, which have the same priors.

**Reference**: Bauer 2019, CPT Pharmacometrics Syst Pharmacol 8:538, doi:10.1002/psp4.12422.

Run as ``python benchmarks/bayes.py 501.csv [--draws 1000] [--out results/bayes-cpu.jsonl]``.
"""

import argparse
import importlib.metadata
import json
import platform
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import scipy.stats

import twinjax as tj
from twinjax.models import OneCompartment

LISTED = {  # mean (sd) by NUTS, by BAYES
    "log cl": ((1.0684, 0.0407), (1.0706, 0.0391)),
    "log v": ((3.4642, 0.0511), (3.4664, 0.0498)),
    "cl.WT": ((0.64438, 0.166), (0.64069, 0.165)),
    "v.WT": ((1.3169, 0.21), (1.3147, 0.204)),
    "cl.AGE": ((-0.55734, 0.111), (-0.55672, 0.106)),
    "v.AGE": ((0.059464, 0.138), (0.055468, 0.132)),
    "cl.SEX": ((-0.10402, 0.0599), (-0.1025, 0.0589)),
    "v.SEX": ((-0.049596, 0.0746), (-0.051766, 0.0734)),
    "sigma2": ((0.052172, 0.00702), (0.054507, 0.00761)),
    "omega11": ((0.033989, 0.0107), (0.028547, 0.00936)),
    "omega21": ((-0.0008979, 0.00861), (-0.0018012, 0.00772)),
    "omega22": ((0.052499, 0.0153), (0.046258, 0.0143)),
}


def quantities(draws):
    """NONMEM's parameters, of ours by name `(draws,)`."""
    found = {n: draws[n] for n in LISTED if n in draws}
    found |= {f"log {n}": np.log(draws[n]) for n in ("cl", "v")}
    a, b = draws["omega.cl"], draws["omega.v"]
    return found | {
        "sigma2": draws["plasma.proportional"] ** 2, "omega11": a**2, "omega21": draws["corr.cl.v"] * a * b,
        "omega22": b**2,
    }  # fmt: skip


def log_weight(draws, found, posterior):
    """Log of NONMEM's prior over ours, both as densities of our parameters."""
    a, b, r, s = (draws[n] for n in ("omega.cl", "omega.v", "corr.cl.v", "plasma.proportional"))
    omega = np.stack([np.stack([a**2, found["omega21"]], -1), np.stack([found["omega21"], b**2], -1)], -2)
    inverse = np.linalg.inv(omega)
    degrees, scale = 2, 2 * 0.04
    theirs = -0.5 * (degrees + 3) * np.log(np.linalg.det(omega)) - 0.5 * scale * np.trace(inverse, axis1=1, axis2=2)
    theirs += np.log(4 * a**2 * b**2)  # from Omega to deviations and correlation
    theirs += scipy.stats.invgamma(0.5, scale=0.5 * 0.05).logpdf(s**2) + np.log(2 * s)
    theirs -= np.log(draws["cl"] * draws["v"])  # flat in the logarithms
    ours = (posterior.priors["corr.cl.v"] - 1.0) * np.log1p(-(r**2))
    for name, prior in posterior.priors.items():
        if not isinstance(prior, float):
            ours = ours + np.asarray(jax.vmap(prior.log_density)(jnp.asarray(draws[name])))
    return theirs - ours


def compared(found, weight):
    """Means and sds, the largest distance from NONMEM's NUTS in sds, and the ratios of the sds."""
    mean = {n: float(np.average(v, weights=weight)) for n, v in found.items()}
    sd = {n: float(np.sqrt(np.average((v - mean[n]) ** 2, weights=weight))) for n, v in found.items()}
    off = {n: abs(mean[n] - LISTED[n][0][0]) / LISTED[n][0][1] for n in LISTED}
    ratio = [sd[n] / LISTED[n][0][1] for n in LISTED]
    return {
        "posterior": {n: [round(mean[n], 5), round(sd[n], 5)] for n in LISTED}, "off": round(max(off.values()), 3),
        "off_by": max(off, key=lambda n: off[n]), "sd_ratio": [round(min(ratio), 3), round(max(ratio), 3)],
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--draws", type=int, default=1000)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    trial = tj.read_nonmem(args.data, covariates=["WT", "AGE", "SEX"])
    effects = (tj.Power("WT", 70.0), tj.Power("AGE", 50.0), tj.Exponential("SEX", 0.0))
    population = tj.Population(
        OneCompartment(cl=2.0, v=20.0), variability={"cl": 0.3, "v": 0.3}, correlations={("cl", "v"): 0.0},
        covariates={"cl": effects, "v": effects}, residual=tj.Proportional(0.2),
    )  # fmt: skip
    clock = [time.perf_counter()]
    fit = tj.fit(
        population,
        trial,
        method=tj.NUTS(draws=args.draws),
        seed=1,
        progress=lambda _: clock.append(time.perf_counter()),
    )
    posterior = fit.evidence
    draws = dict(zip(posterior.names, posterior.draws.reshape(-1, len(posterior.names)).T, strict=True))
    found = quantities(draws)
    log_w = log_weight(draws, found, posterior)
    weight = np.exp(log_w - log_w.max())
    between = {n: abs(u[0] - b[0]) / u[1] for n, (u, b) in LISTED.items()}
    seconds = np.diff(clock)
    line = {
        "benchmark": "bayes", "device": str(jax.devices()[0].device_kind), "python": platform.python_version(),
        **{n: importlib.metadata.version(n) for n in ("jax", "blackjax", "twinjax")}, "data": args.data.name,
        "backend": type(fit.backend).__name__, "chains": 4, "draws": args.draws, "first_chunk_s": round(float(seconds[0]), 1),
        "rest_s": round(float(seconds[1:].sum()), 1), "gradients_a_draw": round(float(posterior.steps.mean()), 1),
        "largest_rhat": round(max(posterior.rhat.values()), 4), "least_ess": round(min(posterior.ess.values())),
        "divergences": posterior.divergences, "ours": compared(found, np.ones_like(weight)),
        "as_nonmem": compared(found, weight), "weights_ess": round(float(weight.sum() ** 2 / (weight**2).sum())),
        "between_theirs": round(max(between.values()), 3),
    }  # fmt: skip
    print(json.dumps(line))
    if args.out:
        with args.out.open("a") as file:
            file.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    main()
