"""How well does the whole body predict drug interactions? Ratios of midazolam's AUC and Cmax, beside what was observed.

Every row of the table of observed interactions (`DDI_observed_OSP.csv`) is run or listed with the reason why not: the body of a
man of 30 years and 73 kg (of the study's own size where its design says so), midazolam alone and with its perpetrator at the
doses and times of the row. The same drug parameters serve every study, and nothing is fitted. PK-Sim's own predictions stand
beside ours where they are published.

Run as ``python benchmarks/interactions.py DATA OUT.csv [--table OTHER.csv] [--profiles]``, where DATA is the folder of the open
interaction data (`osp_ddi`). A row of one's own needs the columns ID, Study ID, Victim, Perpetrator, Route Victim, Route
Perpetrator, Dose, Dose Unit, Times of Administration, t_treatment_0, t_treatment_end; with a column Victim Dose (mg) it needs no
design file. `--profiles` also compares midazolam alone with its observed profiles. Prints one JSON line.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import importlib.metadata
import json
import platform
import re
import time
from pathlib import Path
from typing import Any

import jax
import numpy as np

import twinjax as tj
from twinjax.bodies import body, library
from twinjax.bodies.library import VERAPAMIL, itraconazole, midazolam, verapamil
from twinjax.bodies.library.fluvoxamine import MALEATE
from twinjax.bodies.library.verapamil import HYDROCHLORIDE
from twinjax.drugs import agreement
from twinjax.models.pbpk import WholeBody
from twinjax.physiology import person

WEIGHT = 73.0
SUBJECTS = {"Yu 2004": (23.3, 172.9, 66.9)}
"""Age, height and weight of studies that the designs say differ: Koreans (Midazolam-Model, individuals)."""
PERPETRATORS = ("Carbamazepine", "Cimetidine", "Clarithromycin", "Efavirenz", "Erythromycin", "Fluconazole", "Fluvoxamine",
                "Rifampicin")  # fmt: skip
"""Those that are one drug and have parameters: functions of `twinjax.bodies.library`."""
TABLETS = ("Carbamazepine", "Efavirenz")
"""Those of them whose tablets do not dissolve at once."""
SALTS = {"Fluvoxamine": MALEATE}
"""Base in a dose of those that are given as a salt."""
WHY_NOT = {
    "Hyperforin": "extracts of St John's wort differ, and hyperforin has no parameters in twinjax.bodies.library",
}
_UP, _FAST = "S0-T12-R4 (100 mg), S48-T12-R4 (200 mg), S96-T12-", "S0-T12-R6 (100 mg), S72-T12-R6 (200 mg), S144-T12-"
COURSES = {
    "1089": "S0-T12-R11 (50 mg), S132-T12-R12 (100 mg)", "1460": f"{_UP}R44 (300 mg)", "943": f"{_UP}R34 (300 mg)",
    "1133": f"{_UP}R36 (300 mg)", "1464": f"{_FAST}R8 (300 mg)", "1465": f"{_FAST}R14 (300 mg)",
}  # fmt: skip
"""Of rows whose columns do not say which dose is when: as their design or description does."""
BEFORE = {"829": 1.0}
"""When midazolam was given (h) in rows whose columns say only from when on its area was taken, as the design does."""
ASKED = ("Itraconazole", "Rifampicin")
"""Perpetrators whose parameters came with the table; others are reported apart."""
LONGEST = 168.0
"""Hours over which an AUC to infinity is followed before its tail is extrapolated."""


class Left(Exception):
    """Why a study is not run."""


def administrations(text: str) -> list[tuple[float, float | None]]:
    """Times (h), with the dose where the text names it: ``0-24-48``, ``S0-T24-R4``, ``S0-T24-R18 (10 mg), S432-...``."""
    text = re.sub(r"\(([\d.]+)mg\): (?=[\d.\-]+(?:;|$))", r"\1: ", text).replace(";", ",")  # (200mg): 0-6; (400mg): 18
    text = re.sub(r"(\d),(\d+)$", r"\1.\2", text)  # a decimal comma
    run = r"\(?S-?(\d+)[-,]\s*T-?(\d+)[-,]\s*R-?(\d+)\)?\s*(?:\(\s*([\d.]+)\s*mg\))?"
    found = [
        (float(s) + i * float(t), float(d) if d else None)
        for s, t, r, d in re.findall(run, text)
        for i in range(int(r))
    ]
    rest = re.sub(run, "", text)
    for dose, times in re.findall(r"([\d.]+): ([\d.\-]+)", rest):
        found += [(float(t), float(dose)) for t in times.split("-")]
    rest = re.sub(r"[\d.]+: [\d.\-]+", "", rest)
    if re.fullmatch(r"[\d.\-, ]*", rest) and (found or rest.strip()):
        return sorted(found + [(float(x), None) for x in re.findall(r"[\d.]+", rest)], key=lambda x: x[0])
    raise Left(f"its times of administration are not understood: {text!r}")


def milligrams(text: str, unit: str) -> float:
    """A dose in mg, of a man of 73 kg where it is per kg."""
    if not re.fullmatch(r"[\d.]+", text.strip()):
        raise Left(f"its dose {text!r} is not one number, and its times do not say which is when")
    scale = {"mg": 1.0, "µg": 1e-3, "ug": 1e-3, "mg/kg": WEIGHT, "µg/kg": 1e-3 * WEIGHT, "g": 1e3}
    if unit.strip() not in scale:
        raise Left(f"its unit of dose is {unit!r}")
    return float(text) * scale[unit.strip()]


def victim_doses(folder: Path) -> dict[str, float]:
    """Midazolam's dose (mg) by study, from the designs."""
    doses = {}
    for file in folder.glob("*-Midazolam-DDI.md"):
        for line in file.read_text().splitlines():
            found = re.match(r"\|\s*(\d+)\s*\|.*?Midazolam:\s*\**([\d.]+)\**\s*(µg/kg|mg/kg|µg|mg)", line)
            if found:
                doses[found[1]] = milligrams(found[2], found[3])
    return doses


def control_doses(folder: Path) -> dict[str, float]:
    """Midazolam's dose (mg) alone, by study, where the designs say that it was another."""
    doses = {}
    for file in folder.glob("*-Midazolam-DDI.md"):
        for line in file.read_text().splitlines():
            found = re.match(r"\|\s*(\d+)\s*\|.*received ([\d.]+) mg midazolam \w+ in control phase", line)
            if found:
                doses[found[1]] = float(found[2])
    return doses


def perpetrators(row: dict[str, str]) -> tuple[str, dict[str, Any], dict[str, float]]:
    """A name for the body, the drugs of it, and the states that the perpetrator is given into, with their shares."""
    name = row["Perpetrator"]
    if name == "Itraconazole":
        text = f"{row.get('Administered form', '')} {row.get('Formulation type', '')}".lower()
        form = "solution fasted" if "solution" in text else "capsule fasted"
        into = "stomach.itraconazole" if "solution" in form else "tablet.itraconazole"
        return f"{name}, {form}", itraconazole(form), {into: 1.0}
    if name == "Verapamil":
        slow = "sr" in re.split(r"\W", row.get("Formulation type", "").lower())
        form, into = ("sustained release", "tablet") if slow else ("immediate release", "stomach")
        shares = {f"{into}.{drug}": 0.5 * HYDROCHLORIDE for drug in VERAPAMIL[:2]}
        return f"{name}, {form}", verapamil(form), shares
    if name not in PERPETRATORS:
        raise Left(WHY_NOT.get(name, f"the perpetrator {name} has no parameters in twinjax.bodies.library"))
    own = name.lower()
    into = f"{'tablet' if name in TABLETS else 'stomach'}.{own}"
    return name, {own: getattr(library, own)()}, {into: SALTS.get(name, 1.0)}


class Study:
    """A row that can be run."""

    def __init__(self, row: dict[str, str], doses: dict[str, float], alone: dict[str, float] | None = None) -> None:
        if row["Victim"] != "Midazolam":
            raise Left(f"the victim {row['Victim']} has no parameters in twinjax.bodies.library")
        self.body, self.drugs, self.into = perpetrators(row)
        if row["Route Perpetrator"] != "PO" or row["Route Victim"] not in ("PO", "IV"):
            raise Left(f"its routes are {row['Route Victim']} and {row['Route Perpetrator']}; PO and IV are known")
        if row.get("Compartment", "Plasma") not in ("Plasma", "Serum", "Whole Blood", "."):
            raise Left(f"it was observed in {row['Compartment']}")
        taken = administrations(COURSES.get(row["ID"], row["Times of Administration"]))
        self.times = [t for t, _ in taken]
        self.amounts = [milligrams(row["Dose"], row["Dose Unit"]) if d is None else d for _, d in taken]
        self.perpetrator = row["Perpetrator"]
        start, end = row["t_treatment_0"], row["t_treatment_end"]
        if not start or start == "NA":
            raise Left("the table does not say when midazolam was given")
        self.given = BEFORE.get(row["ID"], float(start))
        self.skipped = float(start) - self.given
        self.window = LONGEST if end in ("inf", "", "9999") else float(end) - self.given
        self.open = end in ("inf", "", "9999")
        control = float(row.get("t_placebo_0") or 0.0) - self.skipped
        self.control = control if control > self.given else None
        own = row.get("Victim Dose (mg)")
        if not own and row["ID"] not in doses:
            raise Left("midazolam's dose is not in the design; give a column Victim Dose (mg)")
        self.dose = float(own) if own else doses[row["ID"]]
        self.alone = (alone or {}).get(row["ID"], self.dose)
        self.factor = float(row.get("R Dose correction factor") or 1.0)
        self.route = row["Route Victim"]
        self.subject = SUBJECTS.get(row["Study ID"], (30.0, 176.0, WEIGHT))


def regimen(study: Study, doses: int, with_perpetrator: bool, at: float) -> tj.Regimen:
    """Everything taken, padded to a common number of records so that all studies share one program."""
    amounts, times, into = [], [], []
    for state, share in study.into.items():
        molar = float(study.drugs[state.split(".")[1]].molar_mass)
        amounts += [share * a * 1000.0 / molar * with_perpetrator for a in study.amounts]
        amounts += [0.0] * (doses - len(study.amounts))
        times += study.times + [study.times[-1]] * (doses - len(study.times))
        into += [state] * doses
    victim = (study.dose if with_perpetrator or study.control is not None else study.alone) * 1000.0 / 325.78
    into += ["stomach.midazolam", "venous.midazolam"]
    given = [victim * (study.route == "PO"), victim * (study.route == "IV")]
    n = len(into)
    return tj.Regimen.records(
        [*times, at, at], [*amounts, *given], [0.0] * n, [0.0] * n, evid=[1] * n, into=into, mode=[0] * n,
        additional=[0] * n, steady_state=[0] * n,
    )  # fmt: skip


def exposure(time_: Any, concentration: Any, open_ended: bool) -> tuple[float, float]:
    """AUC, by trapezoids and a tail from the last tenth where it goes to infinity, and Cmax."""
    area = np.trapezoid(concentration, time_)
    last = len(time_) * 9 // 10
    if open_ended and concentration[-1] > 0.0:
        slope = np.log(concentration[last] / concentration[-1]) / (time_[-1] - time_[last])
        area += concentration[-1] / slope if slope > 0.0 else 0.0
    return float(area), float(np.max(concentration))


def predicted(studies: list[Study], model: WholeBody) -> list[tuple[float, float]]:
    """Ratios of AUC and Cmax of every study, all in one call."""
    doses = max(len(s.times) for s in studies)
    regimens, times = [], []
    for s in studies:
        for with_perpetrator in (False, True):
            background = with_perpetrator or s.control is not None
            at = s.given if with_perpetrator or s.control is None else s.control
            regimens.append(regimen(s, doses, background, at))
            times.append(at + np.concatenate([[0.0], np.geomspace(0.01, s.window, 240)]))
    solved = tj.simulate(model, regimens, np.stack(times), throw=True)
    plasma = np.asarray(solved.output.plasma["midazolam"])
    found = []
    for i, (t, c) in enumerate(zip(times, plasma, strict=True)):
        since = t - t[0]
        counted = since >= studies[i // 2].skipped
        found.append(exposure(since[counted], c[counted], studies[i // 2].open))
    return [
        (found[2 * i + 1][0] / found[2 * i][0] * s.factor, found[2 * i + 1][1] / found[2 * i][1] * s.factor)
        for i, s in enumerate(studies)
    ]


def run(data: Path, table: Path, out: Path, tight: bool = False) -> dict[str, Any]:
    """All rows, into a CSV; the agreement with what was observed."""
    rows = list(csv.DictReader(table.open()))
    theirs = {r["ID"]: r for r in csv.DictReader((data / "pksim_predicted_vs_observed_AUCR.csv").open())}
    doses, alone = (f(data / "qualification_designs") for f in (victim_doses, control_doses))
    studies: dict[str, Study] = {}
    reasons: dict[str, str] = {}
    for row in rows:
        try:
            studies[row["ID"]] = Study(row, doses, alone)
        except Left as why:
            reasons[row["ID"]] = str(why)
    ratios: dict[str, tuple[float, float]] = {}
    for name, subject in sorted({(s.body, s.subject) for s in studies.values()}):
        group = {i: s for i, s in studies.items() if (s.body, s.subject) == (name, subject)}
        who = person(subject[0], "male", height=subject[1], weight=subject[2])
        model = body(who, {"midazolam": midazolam(), **next(iter(group.values())).drugs}, tight=tight)
        ratios.update(zip(group, predicted(list(group.values()), model), strict=True))
    with out.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(
            ["ID", "study", "perpetrator", "victim", "route", "observed_AUCR", "predicted_AUCR", "pksim_AUCR",
             "observed_CmaxR", "predicted_CmaxR", "left_out"]
        )  # fmt: skip
        for row in rows:
            mine = ratios.get(row["ID"], ("", ""))
            writer.writerow(
                [row["ID"], row["Study ID"], row["Perpetrator"], row["Victim"], row["Route Victim"], row.get("AUCR Avg"),
                 mine[0], theirs.get(row["ID"], {}).get("pksim_pred_AUCR", ""), row.get("CmaxR Avg"), mine[1],
                 reasons.get(row["ID"], "")]
            )  # fmt: skip
    observed = {r["ID"]: r for r in rows}
    shared = [i for i in ratios if i in theirs and studies[i].perpetrator in ASKED]
    apart = [i for i in ratios if i in theirs and studies[i].perpetrator not in ASKED]
    groups: dict[str, list[str]] = {}
    for i in ratios:
        groups.setdefault(studies[i].perpetrator, []).append(i)
    groups = {n: [i for i in own if i in theirs] or own for n, own in groups.items()}  # those that PK-Sim's table has
    both = [i for i in ratios if observed[i].get("CmaxR Avg") and observed[i]["Route Victim"] == "PO"]
    return {
        "run": len(ratios),
        "left_out": len(reasons),
        "shared": _agreement([ratios[i][0] for i in shared], [theirs[i]["obs_AUCR"] for i in shared]),
        "apart": _agreement([ratios[i][0] for i in apart], [theirs[i]["obs_AUCR"] for i in apart]),
        "apart_pksim": _agreement(
            [theirs[i]["pksim_pred_AUCR"] for i in apart], [theirs[i]["obs_AUCR"] for i in apart]
        ),
        "by_perpetrator": {name: _both(ratios, observed, theirs, own) for name, own in sorted(groups.items())},
        "everything": _both(ratios, observed, theirs, [*shared, *apart]),
        "pksim": _agreement([theirs[i]["pksim_pred_AUCR"] for i in shared], [theirs[i]["obs_AUCR"] for i in shared]),
        "cmax_po": _agreement([ratios[i][1] for i in both], [observed[i]["CmaxR Avg"] for i in both]),
    }


def _both(ratios: dict[str, Any], observed: dict[str, Any], theirs: dict[str, Any], own: list[str]) -> dict[str, Any]:
    """Ours, and PK-Sim's where it has them."""
    known = [i for i in own if i in theirs]
    return {
        "twinjax": _agreement([ratios[i][0] for i in own], [observed[i]["AUCR Avg"] for i in own]),
        "pksim": _agreement([theirs[i]["pksim_pred_AUCR"] for i in known], [theirs[i]["obs_AUCR"] for i in known]),
    }


def profiles(data: Path) -> dict[str, Any]:
    """Midazolam alone: predicted against observed concentrations, and AUCs to the last sample, of mean profiles.

    Fasted or unknown, plasma or whole blood, single doses given at time zero; concentrations below a hundredth of the
    peak, which single points of digitised figures hold, count like all others.
    """
    with gzip.open(data / "Midazolam" / "Midazolam-Model.json.gz") as file:
        model = json.load(file)
    minutes = {}
    for simulation in model["Simulations"]:
        found = re.search(r"\((\d+) (min|sec)\)", simulation["Name"])
        for name in simulation.get("ObservedData") or []:
            minutes[name] = float(found[1]) / (1.0 if found[2] == "min" else 60.0) if found else 0.5
    cases = []
    for series in model["ObservedData"]:
        facts = {p["Name"]: p["Value"] for p in series["ExtendedProperties"]}
        dose = re.fullmatch(r"([\d.]+) (mg/kg|µg|mg)", str(facts["Dose"]))
        column = series["Columns"][0]
        scale = {"mg/l": 1000.0, "µg/l": 1.0, "ng/ml": 1.0, "pg/ml": 1e-3}.get(column.get("Unit"))
        wanted = facts["Molecule"] == "Midazolam" and facts["Compartment"] in ("Plasma", "Whole Blood")
        alone = series["Name"] in minutes and facts["Data type"] == "aggregated" and "meal" not in series["Name"]
        if not (wanted and alone and dose and scale and facts["Route"] in ("IV", "PO")):
            continue
        time_, value = np.array(series["BaseGrid"]["Values"], float), np.array(column["Values"], float) * scale
        keep = (time_ > 0.0) & (value > 0.0)
        if facts["Times of Administration [h]"] == 0.0 and keep.sum() > 2:
            cases.append((series["Name"], facts, milligrams(dose[1], dose[2]), time_[keep], value[keep]))
    drug = body(person(30.0, "male"), {"midazolam": midazolam()})
    ratio = float(drug.solutes["midazolam"].blood_to_plasma)
    points, areas = [], []
    for route in ("IV", "PO"):
        group = [c for c in cases if c[1]["Route"] == route]
        longest = max(len(c[3]) for c in group)
        times = np.stack([np.pad(c[3], (0, longest - len(c[3])), mode="edge") for c in group])
        molar = [c[2] * 1000.0 / 325.78 for c in group]
        given = [
            tj.Regimen.infusion(m, over=minutes[c[0]] / 60.0, into="venous.midazolam")
            if route == "IV"
            else tj.Regimen.dose(m, into="stomach.midazolam")
            for m, c in zip(molar, group, strict=True)
        ]
        plasma = np.asarray(tj.simulate(drug, given, times, throw=True).output.plasma["midazolam"]) * 325.78
        for c, row in zip(group, plasma, strict=True):
            mine = row[: len(c[3])] * (ratio if c[1]["Compartment"] == "Whole Blood" else 1.0)
            points.append((route, mine, c[4]))
            areas.append((np.trapezoid(mine, c[3]), np.trapezoid(c[4], c[3])))
    both = {r: [p for p in points if p[0] == r] for r in ("IV", "PO")}
    return {
        "studies": len(cases),
        **{
            f"concentrations_{r.lower()}": _agreement(
                list(np.concatenate([m for _, m, _ in p])), list(np.concatenate([o for _, _, o in p]))
            )
            for r, p in both.items()
        },
        "auc": _agreement([a for a, _ in areas], [b for _, b in areas]),
    }


def _agreement(ours: list[Any], observed: list[Any]) -> dict[str, Any] | None:
    if not ours:
        return None
    found = agreement(np.array(ours, float), np.array(observed, float))
    return {"gmfe": found.gmfe, "guest": found.within_guest, "two_fold": found.within_two_fold, "of": found.count}


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--table", type=Path)
    parser.add_argument("--profiles", action="store_true")
    parser.add_argument("--tight", action="store_true", help="with enterocytes whose membranes hold drugs back")
    asked = parser.parse_args()
    start = time.perf_counter()
    found = run(asked.data, asked.table or asked.data / "DDI_observed_OSP.csv", asked.out, asked.tight)
    if asked.profiles:
        found["midazolam_alone"] = profiles(asked.data)
    found |= {"seconds": time.perf_counter() - start, "device": platform.machine(), "cores": len(jax.devices())}
    found |= {"versions": {p: importlib.metadata.version(p) for p in ("jax", "twinjax")}}
    print(json.dumps({"benchmark": "interactions", "tight": asked.tight, **found}))


if __name__ == "__main__":
    main()
