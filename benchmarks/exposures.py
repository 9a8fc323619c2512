"""How well does the whole body predict each perpetrator's own concentrations, beside its observed mean profiles?

Doses, times, infusions and observed profiles are those of simulations in a snapshot of the open PK-Sim model library
(``Rifampicin-Model.json``, zipped or not): what its authors compared their model with. The body is a man of 30 years and 73 kg
throughout; drugs are those of `twinjax.bodies.library`. Nothing is fitted.

Run as ``python benchmarks/exposures.py Rifampicin-Model.json.gz [Verapamil-Model.json ...]``. Prints one JSON line.
"""

from __future__ import annotations

import argparse
import gzip
import importlib.metadata
import json
import os
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np

import twinjax as tj
from twinjax.bodies import body, library
from twinjax.bodies.substance import Substance
from twinjax.drugs import agreement
from twinjax.physiology import person

HOURS = {"h": 1.0, "min": 1.0 / 60.0, "day(s)": 24.0, "s": 1.0 / 3600.0, None: 1.0 / 60.0}
INTERVALS = {"DI_24": 24.0, "DI_12_12": 12.0, "DI_8_8_8": 8.0, "DI_6_6_6_6": 6.0}
LITRE = {"mg/l": 1.0, "µg/ml": 1.0, "µg/l": 1e-3, "ng/ml": 1e-3}
WEIGHT = 73.0
QUICK = 0.5 / 60.0
"""Hours that an intravenous bolus takes."""
MOST = 60
"""Doses at most; longer courses are left out."""

MOLECULES = {
    "Hydroxy-Itraconazole": ("hydroxyitraconazole",), "Keto-Itraconazole": ("ketoitraconazole",),
    "N-desalkyl-Itraconazole": ("desalkylitraconazole",), "Verapamil": ("r_verapamil", "s_verapamil"),
    "Norverapamil": ("r_norverapamil", "s_norverapamil"),
}  # fmt: skip
"""Drugs of the body, added up, by the molecule that was measured; others have its name."""


def alone(name: str) -> Callable[..., dict[str, Substance]]:
    """A drug that is one substance."""
    return lambda formulation: {name: getattr(library, name)()}


def itraconazole(formulation: str) -> dict[str, Substance]:
    """As the formulation says."""
    return library.itraconazole(formulation or "solution fasted")


def verapamil(formulation: str) -> dict[str, Substance]:
    """Both enantiomers with their metabolites."""
    return library.verapamil(formulation or "immediate release")


DRUGS = {
    "Carbamazepine": alone("carbamazepine"),
    "Verapamil": verapamil,
    "Midazolam": alone("midazolam"),
    "Rifampicin": alone("rifampicin"),
    "Erythromycin": alone("erythromycin"),
    "Itraconazole": itraconazole,
}
FORMS: dict[str, tuple[str, str]] = {
    "Solution": ("", "stomach"), "Oral solution": ("", "stomach"), "Tablet (Dormicum)": ("", "stomach"),
    "Retard Tablet Verapamil (Knoll)": ("sustained release", "tablet"),
    "Capsule fed": ("capsule fed", "tablet"), "Capsule fasted": ("capsule fasted", "tablet"),
    "Erythromycin_Weibull_filmtablet": ("", "stomach"), "CBZ_tabletIR_fasted (Tegretol)": ("", "tablet"),
}  # fmt: skip
"""Of a published formulation: ours, and the state that takes it; others are left out."""


def doses(protocol: dict[str, Any]) -> list[tuple[float, float, float]]:
    """Times (h), doses (mg) and durations (h) of a protocol."""

    def given(parameters: list[dict[str, Any]]) -> dict[str, float]:
        found = {p["Name"]: p["Value"] * HOURS.get(p.get("Unit"), 1.0) for p in parameters if "Value" in p}
        dose = next(p for p in parameters if p["Name"] == "InputDose")
        found["InputDose"] = dose["Value"] * {"mg": 1.0, "g": 1e3, "µg": 1e-3, "mg/kg": WEIGHT}[dose.get("Unit", "mg")]
        return found

    if "Schemas" in protocol:
        found = []
        for schema in protocol["Schemas"]:
            own = {p["Name"]: (p["Value"], p.get("Unit")) for p in schema["Parameters"]}
            start, every = (own.get(n, (0.0, "h")) for n in ("Start time", "TimeBetweenRepetitions"))
            for i in range(int(own.get("NumberOfRepetitions", (1, None))[0])):
                at = start[0] * HOURS[start[1]] + i * every[0] * HOURS[every[1]]
                for item in schema["SchemaItems"]:
                    g = given(item["Parameters"])
                    found.append((at + g.get("Start time", 0.0), g["InputDose"], g.get("Infusion time", 0.0)))
        return found
    g = given(protocol["Parameters"])
    every = INTERVALS.get(protocol.get("DosingInterval", "Single"))
    count = 1 if every is None else int(np.ceil((g["End time"] - g["Start time"]) / every))
    return [(g["Start time"] + i * (every or 0.0), g["InputDose"], g.get("Infusion time", 0.0)) for i in range(count)]


class Case:
    """A simulated course with what was measured in it."""

    def __init__(self, snapshot: dict[str, Any], simulation: dict[str, Any], name: str, drug: str) -> None:
        protocols = {p["Name"]: p for p in snapshot["Protocols"]}
        self.name, self.given, self.form = name, {}, ""
        if {c["Name"].split("-")[-1] for c in simulation["Compounds"] if "Protocol" in c} != {drug}:
            raise KeyError("another drug")
        for compound in simulation["Compounds"]:
            if "Protocol" in compound:
                used = compound["Protocol"]
                forms = {f["Name"] for f in used.get("Formulations", [])}
                form, into = FORMS[next(iter(forms))] if forms else ("", "venous")
                if "sustained" in name.lower() and form != "sustained release":
                    raise KeyError("sustained release, which the simulation gives as a solution")
                if "sol fed" in simulation["Name"].replace("  ", " "):
                    form = "solution fed"
                self.form, self.into = form, into
                name_here = compound["Name"].lower().replace("-", "_")
                if name_here not in DRUGS[drug](form):
                    raise KeyError("a labelled drug")
                self.given[name_here] = doses(protocols[used["Name"]])
        series = next(s for s in snapshot["ObservedData"] if s["Name"] == name)
        facts = {p["Name"]: p.get("Value") for p in series["ExtendedProperties"]}
        column, grid = series["Columns"][0], series["BaseGrid"]
        self.molecule = facts["Molecule"]
        molar = column.get("Dimension") == "Concentration (molar)"
        self.scale = {"µmol/l": 1.0, "nmol/l": 1e-3}[column["Unit"]] if molar else LITRE[column["Unit"]]
        self.molar = molar
        times, values = np.array(grid["Values"], float) * HOURS[grid.get("Unit")], np.array(column["Values"], float)
        keep = (times > 0.0) & (values > 0.0)
        self.times, self.values = times[keep], values[keep] * self.scale
        people = {i["Name"]: i["OriginData"].get("Age", {}).get("Value", 30.0) for i in snapshot["Individuals"]}
        if people.get(simulation.get("Individual"), 30.0) < 18.0:
            raise KeyError("children")
        if not keep.any() or max(at for d in self.given.values() for at, _, _ in d) > self.times[-1]:
            raise KeyError("times since the last dose, or of another course")
        wanted = facts["Compartment"] == "Plasma" and facts["Data type"] == "aggregated" and keep.sum() > 3
        if not wanted or "unbound" in str(facts.get("Grouping")) or max(len(d) for d in self.given.values()) > MOST:
            raise KeyError("what was measured")


def cases(snapshot: dict[str, Any], drug: str) -> tuple[list[Case], int]:
    """What can be run, and how many profiles cannot."""
    found, left, seen = [], 0, set()
    for simulation in snapshot["Simulations"]:
        for name in simulation.get("ObservedData") or []:
            if name in seen:
                continue
            try:
                found.append(Case(snapshot, simulation, name, drug))
            except KeyError:
                left += 1
            else:
                seen.add(name)
    return found, left


def regimen(case: Case, drugs: dict[str, Substance], names: list[str], count: int) -> tj.Regimen:
    """Its doses, padded so that all cases share one program."""
    rows: list[tuple[float, float, float, str]] = []
    for name in names:
        own = case.given.get(name, [])
        molar = float(drugs[name].molar_mass)
        last = own[-1][0] if own else 0.0
        for at, mg, over in [*own, *[(last, 0.0, 0.0)] * (count - len(own))]:
            amount = mg / molar * 1000.0
            rows.append((at, amount, amount / max(over, QUICK) or 1.0, f"{case.into}.{name}"))
    at, amount, rate, into = zip(*rows, strict=True)
    n, infused = len(rows), int(case.into == "venous")
    rate = [r * infused for r in rate]
    return tj.Regimen.records(
        list(at), list(amount), rate, [0.0] * n, evid=[1] * n, into=list(into), mode=[infused] * n,
        additional=[0] * n, steady_state=[0] * n,
    )  # fmt: skip


def predict(found: list[Case], drugs: dict[str, Substance], tight: bool) -> list[np.ndarray]:
    """Concentrations (umol/L or mg/L, as measured) of cases that are given alike."""
    model = body(person(30.0, "male"), drugs, tight=tight)
    names = sorted({n for c in found for n in c.given})
    count = max(len(d) for c in found for d in c.given.values())
    longest = max(len(c.times) for c in found)
    times = np.stack([np.pad(c.times, (0, longest - len(c.times)), mode="edge") for c in found])
    solved = tj.simulate(model, [regimen(c, drugs, names, count) for c in found], times, throw=True)
    plasma = solved.output.plasma
    result = []
    for i, c in enumerate(found):
        parts = MOLECULES.get(c.molecule, (c.molecule.lower().replace("-", "_"),))
        total = sum(np.asarray(plasma[p])[i] * (1.0 if c.molar else float(drugs[p].molar_mass) / 1e3) for p in parts)
        result.append(total[: len(c.times)])
    return result


def run(files: list[Path], each: bool, tight: bool) -> dict[str, Any]:
    """By drug, route and formulation."""
    table: dict[str, Any] = {}
    for file in files:
        with gzip.open(file) if file.suffix == ".gz" else file.open("rb") as stream:
            snapshot = json.load(stream)
        name = file.name.split("-")[0]
        found, left = cases(snapshot, name)
        table[f"{name}, left out"] = left
        for form, into in sorted({(c.form, c.into) for c in found}):
            own = [c for c in found if (c.form, c.into) == (form, into)]
            predicted = predict(own, DRUGS[name](form), tight)
            areas = [
                (np.trapezoid(p, c.times), np.trapezoid(c.values, c.times)) for p, c in zip(predicted, own, strict=True)
            ]
            if each:
                for c, (mine, theirs), p in zip(own, areas, predicted, strict=True):
                    print(
                        f"{c.molecule:24s} {mine / theirs:6.2f} {np.max(p) / np.max(c.values):6.2f}  {c.name}",
                        flush=True,
                    )
            for molecule in sorted({c.molecule for c in own}):
                chosen = [i for i, c in enumerate(own) if c.molecule == molecule]
                key = ", ".join(x for x in (molecule, {"venous": "IV"}.get(into, "PO"), form) if x)
                table[key] = {
                    "profiles": len(chosen),
                    "concentrations": _error([predicted[i] for i in chosen], [own[i].values for i in chosen]),
                    "auc": _error([[areas[i][0]] for i in chosen], [[areas[i][1]] for i in chosen]),
                }
                if again := [i for i in chosen if max(len(d) for d in own[i].given.values()) > 1]:
                    table[key]["auc_repeated_doses"] = _error(*([[areas[i][k]] for i in again] for k in (0, 1)))
    return table


def _error(ours: list[Any], observed: list[Any]) -> dict[str, float]:
    mine, theirs = np.concatenate(ours), np.concatenate(observed)
    found = agreement(mine, theirs)
    return {
        "gmfe": found.gmfe,
        "ratio": float(np.exp(np.mean(np.log(mine / theirs)))),
        "two_fold": found.within_two_fold,
        "of": found.count,
    }


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("snapshots", type=Path, nargs="+")
    parser.add_argument("--each", action="store_true", help="ratios of AUC and Cmax of every profile")
    parser.add_argument("--tight", action="store_true", help="with enterocytes whose membranes hold drugs back")
    asked = parser.parse_args()
    start, processor = time.perf_counter(), time.process_time()
    found = run(asked.snapshots, asked.each, asked.tight)
    print(
        json.dumps(
            {
                "benchmark": "exposures",
                "tight": asked.tight,
                **found,
                "seconds": time.perf_counter() - start,
                "processor_seconds": time.process_time() - processor,
                "load": os.getloadavg()[0],
                "device": platform.machine(),
                "cores": len(jax.devices()),
                "versions": {p: importlib.metadata.version(p) for p in ("jax", "twinjax")},
            }
        )
    )


if __name__ == "__main__":
    main()
