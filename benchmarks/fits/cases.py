"""What is fitted: theophylline, phenobarbital, warfarin and eight cases of the ACoP 2016 grid.

A case is told once, as a twinjax population and trial and a table of records; peers read the table, the names and starting
values of the parameters, and the structure and residual error by the words of `Case`.
"""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

import pandas as pd

import twinjax as tj
from twinjax.datasets import theophylline
from twinjax.models import OneCompartment, OneCompartmentOral

sys.path.insert(0, str(Path(__file__).parents[1]))

from acop import SUBSETS
from acop import population as acop_population
from acop import read as acop_read


@dataclasses.dataclass(frozen=True)
class Case:
    """**Parameters**: `table`, records (ID, TIME, DV, AMT, RATE, EVID, CMT); `structure`, what peers call the model:
    "oral", "bolus" or "infusion", with the number of compartments and "mm" for Michaelis-Menten; `published`, seconds of others on
    their machines; `target`, the objective that others reach.
    """

    name: str
    population: tj.Population
    trial: tj.TrialData
    table: pd.DataFrame
    structure: str
    target: float
    published: dict[str, float]

    @property
    def error(self) -> str:
        """The residual error: "additive", "proportional" or "combined"."""
        (only,) = self.population.residuals.values()
        return {tj.Additive: "additive", tj.Proportional: "proportional", tj.Combined: "combined"}[type(only)]

    @property
    def start(self) -> dict[str, float]:
        """Typical values to start from, of the parameters that vary between people."""
        return {n: float(self.population.theta[n]) for n in self.population.scales}


def _records(trial: tj.TrialData) -> pd.DataFrame:
    """A trial's records, doses before measurements of the same time."""
    rows = []
    for s in trial:
        r = s.regimen
        for i, k in enumerate(r.kinds):
            rows += [
                (s.id, float(r.time[i]) + n * float(r.interval[i]), 0.0, float(r.amount[i]), float(r.rate[i]), 1, 1)
                for n in range(k.additional + 1)
            ]
        rows += [(s.id, t, y, 0.0, 0.0, 0, 1) for t, y in zip(s.measurements.time, s.measurements.value, strict=True)]
    table = pd.DataFrame(rows, columns=["ID", "TIME", "DV", "AMT", "RATE", "EVID", "CMT"])
    return table.sort_values(["ID", "TIME", "EVID"], ascending=[True, True, False], kind="stable", key=_numbers)


def _numbers(column: pd.Series) -> pd.Series:
    return pd.to_numeric(column)


def cases(data: Path) -> list[Case]:
    """All of them, from the folder of the trials' folders."""
    found = []

    def add(name, population, trial, structure, target, published):
        found.append(Case(name, population, trial, _records(trial), structure, target, published))

    oral = OneCompartmentOral(ka=1.57, cl=2.7, v=31.5)
    spread = {"ka": 0.7, "cl": 0.5, "v": 0.3}
    add(
        "theophylline",
        tj.Population(oral, variability=spread, residual=tj.Additive(0.7)),
        theophylline(),
        "oral1",
        116.803,
        {},
    )

    d = pd.read_csv(data / "phenobarbital/pheno.dta", sep=r"\s+|,", engine="python")
    trial = tj.read_nonmem(d[["ID", "TIME", "AMT", "DV"]], covariates=[], name="phenobarbital")
    population = tj.Population(
        OneCompartment(cl=0.005, v=1.4), variability={"cl": 0.3, "v": 0.4}, residual=tj.Proportional(0.13)
    )
    add("phenobarbital", population, trial, "bolus1", 730.8947, {})

    d = pd.read_csv(data / "warfarin_pkpd/warfarin.csv")
    d = d[d.dvid == "cp"].rename(columns=str.upper)[["ID", "TIME", "AMT", "DV", "EVID"]]
    trial = tj.read_nonmem(d, covariates=[], name="warfarin")
    population = tj.Population(
        OneCompartmentOral(ka=0.6, cl=0.13, v=8.0),
        variability={"ka": 0.7, "cl": 0.3, "v": 0.2},
        residual=tj.Combined(0.7, 0.1),
    )
    add("warfarin", population, trial, "oral1", 423.3273, {"NONMEM 7.4.3 ODE": 25.0})

    grid = data / "acop2016_grid"
    table = pd.read_csv(grid / "cross_software_acop2016.csv", dtype={"case": str}).set_index("case")
    for number in ("001", "012", "023", "032", "024", "009", "029", "040"):
        row = table.loc[number]
        name = str(row.data).removesuffix(".csv")
        way, _, rest = name.partition("_")
        structure = way.lower() + rest[0] + ("mm" if rest.endswith("MM") else "")
        assert row.subset in SUBSETS
        add(
            f"{name} {row.subset}", acop_population(name), acop_read(grid, name, row.subset), structure,
            min(row.nonmem743_ode_ofv, row.nlmixr2_focei_ofv),
            {"NONMEM 7.4.3 ODE": row.nonmem743_ode_sec, "nlmixr2 FOCEI": row.nlmixr2_focei_sec, "nlmixr2 SAEM": row.nlmixr2_saem_sec},
        )  # fmt: skip
    return found
