"""The courses of benchmarks/dosing: patients who cannot be solved, and the evidence beside a twin that is right."""

import sys
from pathlib import Path

import jax
import numpy as np
import pytest
import scipy.stats
from test_search import Bolus

import twinjax as tj
from twinjax.assimilation.belief import NormalBelief
from twinjax.models import OneCompartment

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks" / "dosing"))
import course

PATIENTS, TIMES = 150, np.array([1.0, 4.0, 8.0, 12.0, 24.0, 36.0])


@pytest.fixture(scope="module")
def planned():
    population = tj.Population(
        OneCompartment(cl=3.0, v=40.0), variability={"cl": 0.6, "v": 0.4, "plasma.proportional": 0.5},
        residual=tj.Proportional(0.2),
    )  # fmt: skip
    every = np.broadcast_to(TIMES, (PATIENTS, len(TIMES)))
    return course.Course(population, {}, tj.Regimen.dose(1.0), every, "plasma", backend=Bolus())


def test_a_patient_without_solution_has_no_measurements(planned):
    values = np.where(np.arange(PATIENTS)[:, None] == 3, np.nan, np.ones((PATIENTS, len(TIMES))))
    b = planned.under(np.full((PATIENTS, 1), 100.0), values, known=4, fresh=2)
    there, new = np.asarray(b.design.observed.there), np.asarray(b.fresh)
    assert not there[3].any()
    assert not new[3].any()
    np.testing.assert_array_equal(there[0].nonzero()[0], [1, 2, 3, 4])
    np.testing.assert_array_equal(new[0].nonzero()[0], [3, 4])


def test_evidence_of_a_right_twin_is_uniform(planned):
    """Values of one visit are foreseen together: their sum of squares is as wide as it says, and not as chi-square's."""
    rng, given = np.random.default_rng(5), np.full((PATIENTS, 1), 100.0)
    eta = course.drawn(planned.population, PATIENTS, rng)
    scatter = 0.2 * np.exp(eta[:, planned.population.etas.index("plasma.proportional")])
    values = planned.predicted(eta, given) * (1.0 + scatter[:, None] * rng.standard_normal((PATIENTS, len(TIMES))))
    values[7] = np.nan
    b = planned.under(given, values, known=len(TIMES), fresh=len(TIMES))
    z, quantile, p = planned.judge(b, NormalBelief.prior(planned.population, PATIENTS), jax.random.key(1))
    seen = np.arange(PATIENTS) != 7
    assert np.isnan(z[7]).all()
    assert p[7] == 1.0
    assert scipy.stats.kstest(p[seen], "uniform").pvalue > 0.01
    naive = scipy.stats.chi2.sf(np.sum(z[seen] ** 2, axis=1), len(TIMES))
    assert scipy.stats.kstest(naive, "uniform").pvalue < 1e-4
    share = np.mean(np.abs(quantile[seen] - 0.5) <= 0.45, axis=1)  # a patient's six values have their effects in common
    assert abs(share.mean() - 0.9) < 4.0 * share.std(ddof=1) / np.sqrt(len(share))  # errors of a mean over 149 patients
