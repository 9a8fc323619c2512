"""Marginal likelihoods where linearising is not enough: the simulated trials of Bauer's NONMEM tutorial. One JSON line per run.

`m3`: two compartments, a fifth of the values below a limit of quantification. `infusion`: covariates of clearance and volume.
`receptor`: drug, its receptor and 8 random effects in one block, by ODE. Each is evaluated at NONMEM 7.4.3's own estimates by
several methods, and with `--fit` fitted from the tutorial's starting values, beside what NONMEM ended at (`reference`, with
`reference_s` from its authors' machine). NONMEM's fit of `m3` by Laplace was terminated: one subject's second derivative is nearly
singular at its estimates, where Laplace's objective falls without end; it is no target.

**Reference**: Bauer 2019, CPT Pharmacometrics Syst Pharmacol 8:538, doi:10.1002/psp4.12422.

Run as ``python benchmarks/tutorial.py DATA [--only m3,receptor] [--fit]``, where DATA is the tutorial's folder.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import numpy as np
import pandas as pd

import twinjax as tj
from twinjax.estimation.engine import Engine
from twinjax.estimation.methods.algorithm import AbstractAlgorithm
from twinjax.models import AbstractModel, OneCompartment, TwoCompartment
from twinjax.units import Amount, Concentration, Rate, Volume

Run = tuple[str, tj.Population, Any, float, float]
"""A name, estimates, a method, NONMEM's objective and seconds of its fit."""


def table(file: Path) -> dict[str, float]:
    """The final estimates of a NONMEM .ext file."""
    frame = pd.read_csv(file, sep=r"\s+", skiprows=1).set_index("ITERATION")
    return {str(n): float(v) for n, v in frame.loc[-1000000000].items()}


def block(names: tuple[str, ...], final: dict[str, float]) -> dict[str, Any]:
    """Standard deviations and correlations from NONMEM's variances and covariances."""
    sd = {n: final[f"OMEGA({i},{i})"] ** 0.5 for i, n in enumerate(names, 1)}
    pairs = [(i, j) for i in range(len(names)) for j in range(i)]
    r = {(names[j], names[i]): final[f"OMEGA({i + 1},{j + 1})"] / sd[names[i]] / sd[names[j]] for i, j in pairs}
    return {"variability": sd, "correlations": r}


# -------------------------------------------------------------------------------------------------- censored by method M3


def m3(folder: Path) -> tuple[tj.TrialData, list[Run], tj.Population]:
    """Log concentrations below -3.5 are censored there; the file's LOQ column is not used."""
    frame = pd.read_csv(folder / "ad3tr4.csv", skiprows=1).rename(columns={"CONC": "DV"})
    frame = frame[["ID", "TIME", "DV", "AMT", "EVID", "MDV"]]
    trial = tj.read_nonmem(frame, lloq=float(np.exp(-3.5)), covariates=[], name="ad3tr4")
    names = ("cl", "v1", "q", "v2")

    def population(final: dict[str, float]) -> tj.Population:
        typical = {n: float(np.exp(final[f"THETA{i}"])) for i, n in enumerate(names, 1)}
        return tj.Population(
            TwoCompartment(**typical), residual=tj.LogNormalError(final["THETA5"]), **block(names, final)
        )

    laplace, imp = (population(table(folder / f"ad3tr4_loqb_{n}.ext")) for n in ("lap", "imp"))
    runs: list[Run] = [("NONMEM's Laplace", laplace, tj.Laplace(), -131.094, 10.4)]
    more = (tj.Laplace(), tj.ImportanceSampling(samples=16_384), tj.Quadrature(7))
    runs += [("NONMEM's IMP", imp, m, -125.345, 29.0) for m in more]
    variances = {f"OMEGA({i},{j})": 0.2 if i == j else 0.01 for i in range(1, 5) for j in range(1, i + 1)}
    return trial, runs, population({f"THETA{i}": 2.0 for i in range(1, 5)} | {"THETA5": 0.5} | variances)


# ---------------------------------------------------------------------------------------------------------------- infusion


def infusion(folder: Path) -> tuple[tj.TrialData, list[Run], tj.Population]:
    """Clearance and volume by weight, age and sex."""
    frame = pd.read_csv(folder / "501.csv", skiprows=1).drop(columns=["C"])
    trial = tj.read_nonmem(frame, covariates=["WT", "AGE", "SEX"], name="501")

    def population(theta: list[float], sigma: float, cl: float, both: float, v: float) -> tj.Population:
        def effects(wt: float, age: float, sex: float) -> list[Any]:
            return [tj.Power("WT", 70.0, wt), tj.Power("AGE", 50.0, age), tj.Exponential("SEX", 0.0, sex)]

        return tj.Population(
            OneCompartment(cl=float(np.exp(theta[0])), v=float(np.exp(theta[1]))),
            variability={"cl": cl**0.5, "v": v**0.5}, correlations={("cl", "v"): both / (cl * v) ** 0.5},
            covariates={"cl": effects(*theta[2::2]), "v": effects(*theta[3::2])}, residual=tj.Proportional(sigma**0.5),
        )  # fmt: skip

    focei = population([1.109, 3.4777, 0.65976, 1.3215, -0.53404, 0.052291, -0.10106, -0.054776],
                       0.050258, 0.030724, 0.0014787, 0.04661)  # fmt: skip
    saem = population([1.0713, 3.4671, 0.64432, 1.3113, -0.5438, 0.06013, -0.10078, -0.056691],
                      0.049857, 0.029553, 0.00029862, 0.049861)  # fmt: skip
    runs: list[Run] = [("NONMEM's FOCEI", focei, tj.FOCEI(), 1058.304, 1.9)]
    runs += [("NONMEM's SAEM", saem, m, 1051.790, 9.5) for m in (tj.ImportanceSampling(), tj.Quadrature(15))]
    return trial, runs, population([0.7, 3.0, 0.8, 0.8, -0.1, 0.1, 0.7, 0.7], 0.04, 0.1, 0.001, 0.1)


# ---------------------------------------------------------------------------------------------------------------- receptor


class Receptor(AbstractModel):
    """Drug in two compartments, eliminated in proportion to a receptor that it uses up.

    bound = a1 a3 / (a1 + km vc), a1' = -(k10 + k12) a1 + k21 a2 - vm bound, a2' = k12 a1 - k21 a2, a3' = k03 - k30 a3
    - (vm - k30) bound; a3 begins at k03 / k30. Outputs are a1 / vc and a3 / vc. **Reference**: the tutorial's example
    r2comp.
    """

    vc: Volume
    k10: Rate
    k12: Rate
    k21: Rate
    vm: Rate
    kmc: Concentration
    k03: Rate
    k30: Rate

    class State(eqx.Module):
        central: Amount
        peripheral: Amount
        receptor: Amount

    class Output(eqx.Module):
        plasma: Concentration
        receptor: Concentration

    def initial(self):
        return self.State(0.0 * self.vc, 0.0 * self.vc, self.k03 / self.k30)

    def derivative(self, t, y, u):
        bound = y.central * y.receptor / (y.central + self.kmc * self.vc)
        exchanged = self.k12 * y.central - self.k21 * y.peripheral
        return self.State(
            central=u.central - self.k10 * y.central - exchanged - self.vm * bound,
            peripheral=u.peripheral + exchanged,
            receptor=u.receptor + self.k03 - self.k30 * y.receptor - (self.vm - self.k30) * bound,
        )

    def output(self, t, y, u):
        return self.Output(plasma=y.central / self.vc, receptor=y.receptor / self.vc)

    @classmethod
    def typical(cls):
        return cls(vc=49.0, k10=0.11, k12=1.8, k21=0.84, vm=10.0, kmc=1.3, k03=39.0, k30=0.49)


NAMES = ("vc", "k10", "k12", "k21", "vm", "kmc", "k03", "k30")
# NONMEM's FOCEI estimates (r2complb_foce.ext): logarithms of typical values; standard deviations and correlations, by rows
THETA = (3.8934, -2.2305, 0.58763, -0.1683, 2.3102, 0.26813, 3.6644, -0.72064)
ROWS = (
    (0.492943,), (-0.196520, 0.424048), (0.323516, -0.165265, 0.296825), (0.123143, 0.307222, -0.0455697, 0.482047),
    (0.166347, 0.170520, -0.0224173, -0.164249, 0.394597),
    (-0.109643, 0.0633675, 0.193591, 0.0943642, -0.479755, 0.432456),
    (0.122583, -0.285909, 0.189288, -0.350355, 0.176689, 0.0307213, 0.458709),
    (0.443314, 0.445394, 0.328763, 0.213216, 0.0702684, -0.254744, 0.234798, 0.423618),
)  # fmt: skip


def receptor(folder: Path) -> tuple[tj.TrialData, list[Run], tj.Population]:
    """Eight random effects in one block."""
    frame = pd.read_csv(folder / "r2comp.csv.gz", skiprows=1).iloc[:, :11].drop(columns=["C", "SET", "JID"])
    where = {1: "plasma", 3: "receptor"}
    trial = tj.read_nonmem(frame, covariates=[], outputs=where, doses={1: "central"}, name="r2comp")

    def population(theta: Any, sd: Any, corr: Any, cp: float, cr: float) -> tj.Population:
        pairs = {(NAMES[j], NAMES[i]): float(corr(i, j)) for i in range(8) for j in range(i)}
        return tj.Population(
            Receptor(**{n: float(np.exp(t)) for n, t in zip(NAMES, theta, strict=True)}),
            variability={n: float(sd(i)) for i, n in enumerate(NAMES)}, correlations=pairs,
            residual={"plasma": tj.Proportional(cp), "receptor": tj.Proportional(cr)},
        )  # fmt: skip

    end = population(THETA, lambda i: ROWS[i][i], lambda i, j: ROWS[i][j], 0.0970633, 0.150786)
    begin = population(
        (4.0, -3.1, 0.5, -0.2, 3.2, 0.01, 4.0, -0.1), lambda i: 0.5**0.5, lambda i, j: 0.02, 0.3162, 0.3162
    )
    runs: list[Run] = [("NONMEM's FOCEI", end, tj.FOCEI(), -4702.751, 475.0)]
    runs.append(("NONMEM's FOCEI", end, tj.ImportanceSampling(samples=4096), -4706.233, 239.0))
    return trial, runs, begin


CASES: dict[str, Callable[[Path], tuple[tj.TrialData, list[Run], tj.Population]]] = {
    "m3": m3,
    "infusion": infusion,
    "receptor": receptor,
}
FITS: dict[str, tuple[tuple[Any, float, float], ...]] = {
    "m3": ((tj.Laplace(), -131.094, 10.4), (tj.ImportanceEM(), -125.345, 29.0)),
    "infusion": ((tj.FOCEI(), 1058.304, 1.9), (tj.ImportanceEM(), 1051.790, 9.5)),
    "receptor": ((tj.FOCEI().then(tj.ImportanceSampling(samples=1024)), -4706.233, 475.0 + 239.0),),
}
"""Methods, with NONMEM's objective and seconds."""


def evaluated(population: tj.Population, trial: tj.TrialData, method: Any) -> dict[str, Any]:
    """The objective at the population's own values."""
    began = time.perf_counter()
    if isinstance(method, AbstractAlgorithm):
        run = tj.fit(population, trial, method=method)
        return {"objective": run.objective, "error": run.evidence.error, "least_effective": float(run.evidence.size.min()),
                "s": time.perf_counter() - began}  # fmt: skip
    engine = Engine.of(population, trial, method, {}, None)
    x = np.asarray(engine.predictor.transform.pack(population.theta))
    engine.evaluate(x)
    found = engine.evaluate(x)  # eta-hats searched on from those found
    return {"objective": float(np.sum(found.objective)), "settled": bool(np.all(found.settled)),
            "steepest": float(np.max(np.abs(np.sum(np.asarray(found.gradient), axis=0)))),
            "s": time.perf_counter() - began}  # fmt: skip


def main() -> None:
    """Every case asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--only", default=",".join(CASES))
    parser.add_argument("--fit", action="store_true")
    args = parser.parse_args()
    versions = {n: importlib.metadata.version(n) for n in ("jax", "twinjax")}
    about = {"device": str(jax.devices()[0].device_kind), "cpus": os.cpu_count(), "python": platform.python_version(), **versions}  # fmt: skip

    def say(line: dict[str, Any]) -> None:
        print(json.dumps({"benchmark": "tutorial", **line, "load": round(os.getloadavg()[0], 1), **about}), flush=True)

    for name in args.only.split(","):
        trial, runs, begin = CASES[name](args.data)
        for where, population, method, reference, _ in runs:
            line = {"case": name, "at": where, "method": method.name, "reference": reference}
            say(line | evaluated(population, trial, method))
        for method, reference, seconds in FITS[name] if args.fit else ():
            began = time.perf_counter()
            fit = tj.fit(begin, trial, method=method)
            searched = [h.objective for h in fit.history if h.stage == 0]
            line = {"case": name, "fit": method.name, "objective": fit.objective, "searched": min(searched, default=None),
                    "iterations": len(searched), "reference": reference, "reference_s": seconds,
                    "s": time.perf_counter() - began, "seconds": dict(fit.seconds), "converged": fit.converged,
                    "theta": {n: float(f"{fit.theta[n]:.5g}") for n in fit.estimated}, "verdict": fit.verdict}  # fmt: skip
            say(line)


if __name__ == "__main__":
    main()
