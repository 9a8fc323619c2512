"""How well are the parameters of the DATASIM blind comparison estimated, by method? One JSON line per method.

Girard and Mentre's simulated trials (100 subjects, two to four samples each, one compartment with first-order absorption,
full Omega, log-normal error) are fitted one after another through one compiled program. Bias and root mean squared error are
in percent of the truth, and beside them stand the best published ones of ten methods; those summarise 100 replicates, of
which 50 are public. The standard error of our bias is RMSE / sqrt(replicates). `corr31` and `corr32` and omega33, whose truths
are near zero, are given as they are as well (`mean`).

**Reference**: Girard & Mentre, PAGE 14 (2005), abstract 834.

Run as ``python benchmarks/datasim.py DATA [--replicates 50] [--methods FOCEI,SAEM]``, where DATA is a folder with
``DATASIM.TXT.gz`` and ``datasim_paper_results.csv``.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import platform
import time
from pathlib import Path

import equinox as eqx
import jax
import numpy as np
import pandas as pd

import twinjax as tj
from twinjax.models import AbstractModel
from twinjax.units import Amount, Concentration, Rate, Volume


class Absorption(AbstractModel):
    """One compartment whose absorption exceeds its elimination by `excess`."""

    v: Volume
    ke: Rate
    excess: Rate

    class State(eqx.Module):
        depot: Amount
        central: Amount

    class Output(eqx.Module):
        plasma: Concentration

    def derivative(self, t, y, u):
        absorbed = (self.ke + self.excess) * y.depot
        return self.State(depot=u.depot - absorbed, central=u.central + absorbed - self.ke * y.central)

    def output(self, t, y, u):
        return self.Output(plasma=y.central / self.v)

    @classmethod
    def typical(cls):
        return cls(v=27.2, ke=0.232, excess=0.304)


TRUTH = {
    "THETA1": 27.2, "THETA2": 0.232, "THETA3": 0.304, "OMEGA.1.1.": 0.218, "OMEGA.2.2.": 0.655, "OMEGA.3.3.": 0.023,
    "corr21": 0.906, "corr31": 0.327, "corr32": 0.013, "SIGMA": 0.064,
}  # fmt: skip
OPTIONS = {
    "SAEM": {"explore": 500, "average": 200, "decay": 0.7},
    "ImportanceEM": {"final": tj.ImportanceSampling(samples=64)},
}
"""The objective of ImportanceEM's estimates is not looked at."""
ETAS = ("v", "ke", "excess")
POPULATION = tj.Population(
    Absorption(v=20.0, ke=0.3, excess=0.4),
    variability={"v": 0.5, "ke": 0.7, "excess": 0.3},
    correlations={("v", "ke"): 0.5, ("v", "excess"): 0.0, ("ke", "excess"): 0.0},
    residual=tj.LogNormalError(0.3),
)


def trials(file: Path, count: int) -> list[tj.TrialData]:
    """The first `count` replicates, padded alike so that one program serves all: doses in hundredths, as the values are."""
    data = pd.read_csv(file)
    data = data[data.DV > 0]
    return [
        tj.TrialData(tuple(
            tj.Subject(str(who), tj.Regimen.dose(100.0 * float(own.DOSE.iloc[0])), tj.Measurements.of(own.TIME, own.DV))
            for who, own in one.groupby("ID")
        ), f"DATASIM {number}")
        for number, one in list(data.groupby("NSIM"))[:count]
    ]  # fmt: skip


def found(fit: tj.Fit) -> dict[str, float]:
    """Estimates under the published names."""
    t = fit.theta
    values = dict(zip(("THETA1", "THETA2", "THETA3"), (t[n] for n in ETAS), strict=True))
    values |= {f"OMEGA.{i}.{i}.": t[f"omega.{n}"] ** 2 for i, n in enumerate(ETAS, 1)}
    values |= {"corr21": t["corr.v.ke"], "corr31": t["corr.v.excess"], "corr32": t["corr.ke.excess"]}
    return values | {"SIGMA": t["plasma.lognormal"] ** 2}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--replicates", type=int, default=50)
    parser.add_argument("--methods", default="FOCEI,SAEM")
    asked = parser.parse_args()
    published = pd.read_csv(asked.data / "datasim_paper_results.csv").set_index(["type", "name"])
    replicates = trials(asked.data / "DATASIM.TXT.gz", asked.replicates)
    truth = pd.Series(TRUTH)
    for name in asked.methods.split(","):
        method, rows, seconds = getattr(tj, name)(**OPTIONS.get(name, {})), [], []
        for trial in replicates:
            began = time.perf_counter()
            rows.append(found(tj.fit(POPULATION, trial, method=method, covariance=False)))
            seconds.append(time.perf_counter() - began)
        table = pd.DataFrame(rows)
        bias = 100 * (table.mean() / truth - 1)
        rmse = 100 * np.sqrt(np.square(table / truth - 1).mean())
        best = {
            kind: {n: float(published.loc[kind, n].iloc[np.argmin(np.abs(published.loc[kind, n]))]) for n in TRUTH}
            for kind in ("BIAS", "RMSE")
        }
        print(json.dumps({
            "benchmark": "datasim", "method": name, "options": {k: v for k, v in OPTIONS.get(name, {}).items() if k != "final"}, "replicates": len(table), "device": str(jax.devices()[0].device_kind),
            "python": platform.python_version(),
            **{n: importlib.metadata.version(n) for n in ("jax", "diffrax", "twinjax")},
            "bias": bias.round(2).to_dict(), "rmse": rmse.round(2).to_dict(), "mean": table.mean().round(4).to_dict(),
            "bias_error": (rmse / np.sqrt(len(table))).round(2).to_dict(),
            "best_published_bias": best["BIAS"], "best_published_rmse": best["RMSE"],
            "first_seconds": round(seconds[0], 2), "seconds": round(float(np.median(seconds[1:] or seconds)), 2),
        }), flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
