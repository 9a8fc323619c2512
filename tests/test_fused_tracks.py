"""Summaries in continuous time against a very fine closed-form trajectory."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import simpson
from scipy.stats import norm

from twinjax.dosing import Regimen
from twinjax.models import OneCompartmentMichaelisMenten, TwoCompartmentOral
from twinjax.solve.exact import Exact
from twinjax.solve.fused import Fused, Rodas5P, Tsit5
from twinjax.solve.problem import NOT_FINITE, OK
from twinjax.solve.simulate import pose
from twinjax.solve.tracks import Area, Largest, LogLikelihood, Smallest, TimeAbove, WhenLargest

FINE = np.linspace(0.0, 72.0, 72_001)
STEP = FINE[1]
REGIMEN = Regimen.repeat(100.0, every=24.0, count=3) + Regimen.infusion(40.0, over=3.0, at=30.0, into="central")
PEOPLE = TwoCompartmentOral(ka=jnp.array([1.0, 0.5, jnp.nan, 2.0]), cl=5.0, v1=50.0, q=10.0, v2=100.0)
TRACKS = (
    Largest("plasma"),
    WhenLargest("plasma"),
    Smallest("plasma", 5.0, 70.0),
    Area("plasma"),
    Area("plasma", 24.0, 60.0),
    TimeAbove("plasma", threshold=1.0),
    TimeAbove("plasma", 10.0, 50.0, 0.5),
)


def above(values, inside, threshold):
    """Hours above a threshold, with straight lines between points 3.6 s apart."""
    t, over = FINE[inside], values[:, inside] - threshold
    grid = np.linspace(0.0, 1.0, 11)[:-1] + 0.05
    between = over[:, :-1, None] * (1 - grid) + over[:, 1:, None] * grid
    return np.sum(np.mean(between > 0, axis=2) * np.diff(t), axis=1)


@pytest.fixture(scope="module")
def want():
    c = np.asarray(jax.jit(Exact().solve)(pose(PEOPLE, REGIMEN, FINE)).output.plasma)
    late, middle, window = FINE >= 5.0, (FINE >= 24.0) & (FINE <= 60.0), (FINE >= 10.0) & (FINE <= 50.0)
    return np.stack([
        c.max(axis=1), FINE[np.nanargmax(np.nan_to_num(c), axis=1)], c[:, late & (FINE <= 70.0)].min(axis=1),
        simpson(c, x=FINE, axis=1), simpson(c[:, middle], x=FINE[middle], axis=1),
        above(c, FINE >= 0.0, 1.0), above(c, window, 0.5),
    ], axis=1)  # fmt: skip


@pytest.mark.parametrize("method", [Tsit5(), Rodas5P()])
def test_tracks_are_those_of_a_fine_trajectory(method, want):
    backend, problem = Fused(rtol=1e-8, atol=1e-10, method=method), pose(PEOPLE, REGIMEN, [72.0])
    numbers, code = jax.jit(lambda p: backend.track(p, TRACKS))(problem)
    numbers = np.asarray(numbers)
    assert code.tolist() == [OK, OK, NOT_FINITE, OK]
    assert np.isnan(numbers[2]).all()
    good = [0, 1, 3]
    # Values: 1e-8 of the integration and (step / 4)^4 of a parabola at a smooth peak. Simpson over 3.6 s adds 1e-12.
    np.testing.assert_allclose(numbers[good][:, [0, 2, 3, 4]], want[good][:, [0, 2, 3, 4]], rtol=2e-7)
    # A peak is flat: an error of 1e-8 in value is sqrt(1e-8) hours in time, the fine grid is 1e-3 apart.
    np.testing.assert_allclose(numbers[good, 1], want[good, 1], atol=2e-3)
    # Crossings counted in tenths of the fine grid: a tenth of a millihour each, eight of them at most.
    np.testing.assert_allclose(numbers[good][:, 5:], want[good][:, 5:], atol=8 * STEP / 10)


def test_a_bolus_is_a_peak_at_once_and_an_area_is_dose_over_clearance():
    model = OneCompartmentMichaelisMenten(vmax=8.0, km=2.0, v=40.0)
    problem = pose(model, Regimen.dose(100.0, at=3.0), [400.0])
    backend = Fused(rtol=1e-9, atol=1e-11).prepared(problem)
    (peak, when, area), *_ = np.asarray(
        backend.track(problem, (Largest("plasma"), WhenLargest("plasma"), Area("plasma")))[0]
    )
    assert peak == pytest.approx(2.5, rel=1e-14)
    assert when == pytest.approx(3.0, rel=1e-14)
    # Wagner 1973: AUC = (dose / V) (dose / (2 V) + km) V / vmax for elimination by Michaelis-Menten.
    assert area == pytest.approx(2.5 * (1.25 + 2.0) * 40.0 / 8.0, rel=1e-8)


def test_an_output_that_is_not_there():
    problem = pose(PEOPLE, REGIMEN, [72.0])
    with pytest.raises(ValueError, match="plasma"):
        Fused(method=Tsit5()).track(problem, (Largest("plasm"),))


def test_they_have_no_derivatives():
    backend = Fused(method=Tsit5())

    def area(cl):
        model = TwoCompartmentOral(ka=1.0, cl=cl, v1=50.0, q=10.0, v2=100.0)
        return backend.track(pose(model, REGIMEN, [72.0]), (Area("plasma"),))[0][0, 0]

    with pytest.raises(ValueError, match="no derivatives"):
        jax.grad(area)(5.0)


MEASURED = LogLikelihood("plasma", times=(0.0, 1.5, 24.0, 31.7, 72.0), values=(0.1, 1.1, 0.4, 2.0, 0.9), additive=0.2,
                         proportional=0.1)  # fmt: skip


@pytest.mark.parametrize("method", [Tsit5(), Rodas5P()])
def test_likelihood_is_that_of_the_samples(method):
    """At the start, between steps, at a dose (after it), in an infusion and at the end; one measurement too late for the
    solve is no number.
    """
    backend, problem = Fused(rtol=1e-9, atol=1e-11, method=method), pose(PEOPLE, REGIMEN, [72.0])
    late = LogLikelihood("plasma", times=(1.5, 72.1), values=(1.1, 0.9), additive=0.2)
    numbers, _ = jax.jit(lambda p: backend.track(p, (MEASURED, late, TRACKS[3])))(problem)
    c = np.asarray(jax.jit(Exact().solve)(pose(PEOPLE, REGIMEN, list(MEASURED.times))).output.plasma)
    want = norm.logpdf(np.array(MEASURED.values), c, np.hypot(0.2, 0.1 * c)).sum(axis=1)
    np.testing.assert_allclose(numbers[:, 0], want, rtol=1e-7)  # 1e-9 a step, squared residuals of a few deviations
    assert np.isnan(numbers[:, 1]).all()


@pytest.mark.parametrize("change", [{"times": ()}, {"values": (1.0,)}, {"additive": 0.0, "proportional": 0.0}])
def test_a_likelihood_that_cannot_be(change):
    with pytest.raises(ValueError, match=r"give as many|standard deviation"):
        dataclasses.replace(MEASURED, **change)
