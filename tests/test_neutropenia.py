"""Leukocytes under paclitaxel: the published model's nadirs."""

import numpy as np
import pandas as pd

import twinjax as tj
from twinjax.models import FribergMyelosuppression, TwoCompartment, coupled


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
