"""Leukocytes under paclitaxel: the published model's nadirs, and a cycle foreseen from the one before."""

import sys
from pathlib import Path

import jax
import numpy as np
import pandas as pd

import twinjax as tj
from twinjax.models import FribergMyelosuppression, TwoCompartment, coupled

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
import neutropenia


def test_nadirs_after_one_infusion(shared_data):
    """Four doses over 3 h, in umol in place of mg throughout: peaks, nadirs and weekly counts to the digits listed."""
    table = pd.read_csv(shared_data / "physiology/neutropenia_friberg/friberg2002_paclitaxel_leukocyte_runs.csv")
    model = coupled(
        {"pd.concentration": "pk.plasma"},
        pk=TwoCompartment(cl=285.0, v1=290.0, q=204.0, v2=995.0),
        pd=FribergMyelosuppression(circ0=7.21, mtt=124.0, gamma=0.239, slope=28.9),
    )
    hours = np.concatenate([[3.0], np.arange(100.0, 400.0), 24.0 * np.array([7, 14, 21, 28])])
    doses = [tj.Regimen.infusion(d, over=3.0, into="pk.central") for d in table.dose_umol]
    found = tj.simulate(model, doses, hours).output
    np.testing.assert_allclose(np.asarray(found.pk.plasma)[:, 0], table.Cmax_uM, rtol=1e-5)
    cells = np.asarray(found.pd.neutrophils)
    course, weekly = cells[:, 1:-4], cells[:, -4:]
    np.testing.assert_allclose(course.min(axis=1), table.nadir, rtol=1e-5)
    np.testing.assert_allclose(hours[1:-4][course.argmin(axis=1)], table.t_nadir_h, atol=1.0)  # listed by the hour
    days = [f"WBC_day{d}" for d in (7, 14, 21, 28)]
    np.testing.assert_allclose(weekly, table[days].to_numpy(), rtol=1e-5)


def test_cycle_2_is_foreseen_from_cycle_1():
    """Of 60 simulated patients by the mode and Laplace's spread, counts on three days learnt: 90 % bands hold 85 to 95 %
    of 420 new counts, and nadirs are nearer than the population's own.
    """
    population, rng = neutropenia.paclitaxel(), np.random.default_rng(4)
    spread = np.sqrt(np.diag(np.asarray(population.omega(population.theta))))
    eta = rng.standard_normal((60, 3)) * spread
    days = np.concatenate([[0.0, 7.0, 14.0], np.arange(21.0, 42.0, 3.0)])
    true = neutropenia.courses(population, eta, days)
    counts = true * (1.0 + neutropenia.RESIDUAL * rng.standard_normal(true.shape))
    first = tj.Twin.of(population, doses=neutropenia.DOSES, backend=neutropenia.BACKEND)
    twins = [first.another(str(i), doses=neutropenia.DOSES) for i in range(60)]
    news = [tj.Measurements.of(days[:3] * 24, own[:3], "neutrophils") for own in counts]
    twins = tj.assimilate_each(twins, news)
    assert all(t.trail[-1]["settled"] for t in twins)
    drawn = np.stack([t.belief.draw(jax.random.key(i), 100)[0] for i, t in enumerate(twins)])
    ahead = neutropenia.courses(population, drawn.reshape(-1, 3), days).reshape(60, 100, -1)[:, :, 3:]
    noisy = ahead * (1.0 + neutropenia.RESIDUAL * rng.standard_normal(ahead.shape))
    low, high = np.quantile(noisy, [0.05, 0.95], axis=1)
    assert 0.85 <= np.mean((low <= counts[:, 3:]) & (counts[:, 3:] <= high)) <= 0.95
    typical = neutropenia.courses(population, np.zeros((1, 3)), days)[:, 3:].min(axis=1)
    nadir = true[:, 3:].min(axis=1)
    off = np.abs(np.log(np.median(ahead, axis=1).min(axis=1) / nadir)).mean()
    assert off < 0.75 * np.abs(np.log(typical / nadir)).mean()
