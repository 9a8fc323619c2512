"""Heart cells under pacing, against the FDA's code, Myokit's runs, and closed forms."""

import csv
import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import lambertw

from twinjax.electrophysiology.biomarkers import Trace, beat_times, biomarkers
from twinjax.electrophysiology.pace import pace
from twinjax.models import CiPACell


def made(times, apd90=300.0, slope=0.5):
    """A beat whose biomarkers are known: an upstroke, a plateau, a straight fall, and a bump of calcium."""
    t = jnp.asarray(times)
    fall = 40.0 - slope * (t - 1.0) ** 2 / apd90
    return Trace(
        v=jnp.where(t < 1.0, -88.0 + 128.0 * (3 * t**2 - 2 * t**3), fall),
        v_rate=jnp.where(t < 1.0, 128.0 * 6 * (t - t**2), -2.0 * slope * (t - 1.0) / apd90),
        calcium=1e-4 * (1.0 + t / 50.0 * jnp.exp(1.0 - t / 50.0)),
        calcium_rate=1e-4 * jnp.exp(1.0 - t / 50.0) / 50.0 * (1.0 - t / 50.0),
        qnet=70.0 * t / t[-1],
    )


measured = jax.jit(biomarkers)


def test_biomarkers_of_a_known_beat():
    """Cubic and quadratic pieces are found exactly; calcium, no cubic, to what the grid leaves."""
    times = beat_times(1000.0)
    beat = measured(times, made(times))
    found = 0.5 + np.sqrt(300.0 / 0.5 * 128.0 * np.asarray([0.3, 0.4, 0.5, 0.9]))
    got = [beat.apd30, beat.apd40, beat.apd50, beat.apd90]
    np.testing.assert_allclose(got, found, rtol=1e-12)
    assert float(beat.dvdt) == pytest.approx(192.0, rel=1e-12)
    assert (float(beat.peak), float(beat.rest)) == pytest.approx((40.0, -88.0), rel=1e-12)
    assert float(beat.qnet) == pytest.approx(0.07)
    assert float(beat.ca_peak) == pytest.approx(2e-4, rel=1e-9)
    assert int(beat.result) == 0
    assert not bool(beat.ead)
    # x e^(1 - x) = y at x = -W(-y / e), times 50 ms; 2 ms apart a cubic leaves 1e-5 ms
    rise = -50.0 * lambertw(-0.9 / np.e, 0).real
    assert float(beat.cad50) == pytest.approx(-50.0 * lambertw(-0.5 / np.e, -1).real - rise, abs=1e-4)
    assert float(beat.cad90) == pytest.approx(-50.0 * lambertw(-0.1 / np.e, -1).real - rise, abs=1e-4)


def test_biomarkers_have_gradients():
    times = beat_times(1000.0)
    apd90 = jax.jit(jax.value_and_grad(lambda a: biomarkers(times, made(times, a)).apd90))
    assert float(apd90(300.0)[1]) == pytest.approx(0.5 * np.sqrt(1.8 * 128.0 / 300.0), rel=1e-9)


@pytest.mark.parametrize(
    ("change", "result"),
    [
        (lambda s: s, 0),
        (lambda s: jax.tree.map(lambda x: 0.1 * x - 60.0, s), 1),
        (lambda s: dataclasses.replace(s, v=jnp.where(s.v_rate < 0.0, jnp.maximum(s.v, -60.0), s.v)), 2),
        (lambda s: jax.tree.map(lambda x: x * jnp.nan, s), 3),
    ],
)
def test_a_beat_says_what_it_is(change, result):
    times = beat_times(1000.0)
    beat = measured(times, change(made(times)))
    assert int(beat.result) == result
    assert bool(jnp.isnan(beat.apd90)) == (result > 0)


@pytest.fixture(scope="module")
def control():
    return pace(CiPACell.endocardial(), 2000.0, beats=3)


def test_control_is_the_fdas(control, shared_data):
    """Their beat 1,000 from the same state, on a grid of 1 ms, at their rtol of 1e-6: to the grid in times."""
    lines = (shared_data / "physiology" / "heart_cipa" / "control_reference.csv").read_text().splitlines()
    known = {row["metric"]: float(row["value"]) for row in csv.DictReader(lines)}
    beat = jax.tree.map(lambda x: float(x[0, -1]), control.beat)
    assert beat.qnet == pytest.approx(known["qNet"], rel=2e-4)  # its four digits
    assert beat.apd90 == pytest.approx(known["APD90"], abs=1.0)
    assert beat.apd50 == pytest.approx(known["APD50"], abs=1.5)
    assert beat.cad50 == pytest.approx(known["CaTD50"], abs=1.0)
    assert beat.cad90 == pytest.approx(known["CaTD90"], abs=1.0)
    assert beat.peak == pytest.approx(known["Vmax"], abs=0.05)
    assert beat.rest == pytest.approx(known["Vrest"], abs=2e-3)
    assert 1e6 * beat.ca_rest == pytest.approx(known["Ca_diastolic"], abs=0.01)
    assert 1e6 * beat.ca_peak == pytest.approx(known["Ca_systolic"], abs=0.02)
    assert beat.result == 0
    assert float(control.drift[0]) < 1e-6


def test_a_rhythm_goes_on_where_it_ended(control):
    """Three beats, and two more, are five beats: to the rounding of the same steps."""
    on = pace(control.paced(), 2000.0, beats=2)
    both = pace(CiPACell.endocardial(), 2000.0, beats=5)
    for a, b in zip(jax.tree.leaves(on.state), jax.tree.leaves(both.state), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"cycle_length": 0.0}, "the cycle is 0 ms; give the time from stimulus to stimulus"),
        ({"cycle_length": 1000.0, "beats": 1, "keep": 2}, "keep is 2 of 1 beats"),
    ],
)
def test_pace_refuses_in_words(how, message):
    with pytest.raises(ValueError, match=message):
        pace(CiPACell.endocardial(), **how)
