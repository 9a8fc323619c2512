"""Propofol by Eleveld's model beside its published individuals, and the index that it foresees."""

import numpy as np
import pandas as pd
import pytest

from twinjax.models import PropofolBIS
from twinjax.models.pd.propofol import delay, propofol, schnider


def test_the_published_individuals(shared_data):
    """Of 1,033 people, from preterm infants on: three digits of each coefficient are printed, which leaves 0.3 %."""
    folder = shared_data / "trials/eleveld_propofol"
    want = pd.read_csv(folder / "eleveld_modelparams.csv.gz").set_index("ID")
    who = pd.read_csv(folder / "dataframe.csv.gz").groupby("ID").first().loc[want.index]
    own = {n: who[n].to_numpy() for n in who}
    found = propofol(
        own["AGE"], own["WGT"], own["HT"], female=own["M1F2"] == 2, opioids=own["NOADD1ADD2"] == 2,
        venous=own["A1V2"] == 2, postmenstrual=52.0 * own["PMA"],
    )  # fmt: skip
    for name in ("V1", "V2", "V3"):
        np.testing.assert_allclose(getattr(found, name.lower()), want[name], rtol=3e-3)
    for name in ("Q2", "Q3"):
        np.testing.assert_allclose(np.asarray(getattr(found, name.lower())) / 60.0, want[name], rtol=3e-3)
    # the maturation of clearance is steep in the preterm: a power of 9 of a rounded half-way age
    ratio = np.asarray(found.cl) / 60.0 / want["CL"]
    np.testing.assert_allclose(ratio[own["PMA"] * 52.0 > 60.0], 1.0, rtol=3e-3)
    np.testing.assert_allclose(ratio, 1.0, rtol=2e-2)


def test_the_reference():
    """Clearances of the correction (Q2 1.83 L/min); the index awake, at ce50 and at twice and half of it."""
    model = PropofolBIS.typical()
    assert [float(x) for x in (model.v1, model.v2, model.v3)] == pytest.approx([6.28, 25.5, 273.0])
    assert [float(x) / 60.0 for x in (model.cl, model.q2, model.q3)] == pytest.approx([1.79, 1.83, 1.11], rel=1e-3)
    y = model.initial()
    for ratio, share in ((0.0, 1.0), (1.0, 0.5), (2.0, 1 / (1 + 2**1.47)), (0.5, 1 / (1 + 0.5**1.89))):
        at = type(y)(0.0, 0.0, 0.0, ratio * model.ce50)
        assert float(model.output(0.0, at, None).bis) == pytest.approx(93.0 * share, rel=1e-9)
    assert 3600.0 * float(delay(35.0)) == pytest.approx(15.0 + np.exp(0.0517 * 35.0))
    old = schnider(53.0, 77.0, 177.0)
    lean = 1.1 * 77.0 - 128.0 * (77.0 / 177.0) ** 2
    assert float(old.cl) / 60.0 == pytest.approx(1.89 - 0.0681 * (lean - 59.0))
    assert [float(x) for x in (old.v1, old.v2, old.v3, old.q2 / 60.0)] == pytest.approx([4.27, 18.9, 238.0, 1.29])
