"""The data that ship: what they say must be what was published."""

import csv

import numpy as np

from twinjax.datasets import theophylline
from twinjax.io import check_against, to_frame
from twinjax.models import OneCompartmentOral

DOSE_PER_KG = (4.02, 4.4, 4.53, 4.4, 5.86, 4.0, 4.95, 4.53, 3.1, 5.5, 4.92, 5.3)


def test_theophylline_counts():
    trial = theophylline()
    assert trial.name == "theophylline"
    assert trial.summary() == {"subjects": 12, "observations": 132, "censored": 0, "dose_records": 12}
    assert trial.ids == tuple(str(i) for i in range(1, 13))
    assert trial.covariate_names == ("WT",)
    assert all(len(s.measurements) == 11 for s in trial)
    assert check_against(trial, OneCompartmentOral.typical(), covariates=("WT",)) == []


def test_theophylline_doses_are_per_kg_times_weight():
    for s, per_kg in zip(theophylline(), DOSE_PER_KG, strict=True):
        np.testing.assert_allclose(np.asarray(s.regimen.amount), [per_kg * s.covariates["WT"]], rtol=1e-15)
        assert np.asarray(s.regimen.time) == [0.0]


def test_theophylline_is_the_published_table(shared_data):
    with (shared_data / "trials/theo_sd/theo_sd.csv").open() as file:
        published = list(csv.DictReader(file))
    trial = theophylline()
    dosed = [row for row in published if row["EVID"] == "101"]
    amounts = [float(np.asarray(s.regimen.amount)[0]) for s in trial]
    np.testing.assert_allclose(amounts, [float(row["AMT"]) for row in dosed], rtol=1e-15)
    seen = [(r["ID"], float(r["TIME"]), float(r["DV"]), float(r["WT"])) for r in published if r["EVID"] == "0"]
    ours = [(s.id, t, v, s.covariates["WT"]) for s in trial for t, v in zip(*_series(s), strict=True)]
    assert ours == seen
    assert sum(t == 0 for _, t, _, _ in ours) == 12


def test_theophylline_as_a_frame():
    frame = to_frame(theophylline())
    assert frame["EVID"].tolist() == 12 * [1, *11 * [0]]
    assert frame["DV"].count() == 132


def _series(subject):
    return subject.measurements.time.tolist(), subject.measurements.value.tolist()
