"""The script that compares perpetrators' own concentrations: how it reads a snapshot of the open model library."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "exposures.py"
spec = importlib.util.spec_from_file_location("exposures", SCRIPT)
script = importlib.util.module_from_spec(spec)
spec.loader.exec_module(script)


def given(**values):
    return [{"Name": n.replace("_", " "), "Value": v, "Unit": u} for n, (v, u) in values.items()]


DAILY = {
    "Name": "daily", "Schemas": [{
        "SchemaItems": [{"Parameters": given(Start_time=(30.0, "min"), InputDose=(2.0, "mg/kg"))}],
        "Parameters": given(Start_time=(1.0, "day(s)"), NumberOfRepetitions=(3.0, None), TimeBetweenRepetitions=(24.0, "h")),
    }],
}  # fmt: skip
INFUSED = {"Name": "infused", "DosingInterval": "DI_12_12", "Parameters": given(
    Start_time=(0.0, "h"), InputDose=(600.0, "mg"), Infusion_time=(180.0, "min"), End_time=(2.0, "day(s)"),
)}  # fmt: skip


def test_doses_of_a_protocol():
    assert script.doses(DAILY) == [(24.5 + 24.0 * i, 146.0, 0.0) for i in range(3)]
    assert script.doses(INFUSED) == [(12.0 * i, 600.0, 3.0) for i in range(4)]


def snapshot(**changed):
    facts = {"Molecule": "Rifampicin", "Compartment": "Plasma", "Data type": "aggregated"} | changed
    return {
        "Protocols": [DAILY, INFUSED],
        "Individuals": [{"Name": "child", "OriginData": {"Age": {"Value": 7.0}}}],
        "Simulations": [{
            "Name": "course", "Individual": changed.get("who", "man"), "ObservedData": ["mean"],
            "Compounds": [{"Name": changed.get("drug", "Rifampicin"), "Protocol": {"Name": "infused"}}],
        }],
        "ObservedData": [{
            "Name": "mean", "ExtendedProperties": [{"Name": n, "Value": v} for n, v in facts.items()],
            "BaseGrid": {"Values": [0.0, 1.0, 12.0, 20.0, changed.get("last", 40.0)], "Unit": "h"},
            "Columns": [{"Values": [0.0, 5.0, 1.0, 2.0, 0.5], "Unit": "ng/ml", "Dimension": "Concentration (mass)"}],
        }],
    }  # fmt: skip


def test_a_course_with_its_profile():
    (case,), left = script.cases(snapshot(), "Rifampicin")
    assert left == 0
    assert (case.into, list(case.given)) == ("venous", ["rifampicin"])
    np.testing.assert_allclose(case.values, [0.005, 0.001, 0.002, 0.0005])  # mg/L, without the zero before the dose
    drugs = script.DRUGS["Rifampicin"]("")
    regimen = script.regimen(case, drugs, ["rifampicin"], 5)
    np.testing.assert_allclose(np.asarray(regimen.amount) * 822.94 / 1e3, [600.0] * 4 + [0.0])
    np.testing.assert_allclose(np.asarray(regimen.rate)[:4] * 3.0, np.asarray(regimen.amount)[:4])


def test_sustained_release_is_not_run_as_a_solution():
    told = snapshot()
    told["ObservedData"][0]["Name"] = told["Simulations"][0]["ObservedData"][0] = "Sustained release"
    assert script.cases(told, "Rifampicin") == ([], 1)


@pytest.mark.parametrize(
    "changed",
    [{"who": "child"}, {"drug": "Midazolam"}, {"Compartment": "Urine"}, {"Data type": "individual"}, {"last": 30.0}],
)
def test_what_is_left_out(changed):
    """Children, other drugs, urine, single people, and times before the last dose."""
    assert script.cases(snapshot(**changed), "Rifampicin") == ([], 1)
