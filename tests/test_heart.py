"""Heart cells under pacing, against the FDA's code, Myokit's runs, and closed forms."""

import csv
import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import lambertw

from twinjax import Fused
from twinjax.electrophysiology.biomarkers import BEATS, NO_REPOLARISATION, Trace, beat_times, biomarkers
from twinjax.electrophysiology.orbit import orbit
from twinjax.electrophysiology.pace import pace, stimulus
from twinjax.models import CiPACell, OharaRudy, ToRORd
from twinjax.naming import bind, leaves
from twinjax.solve.fused.steps import Rodas5P


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
    # x e^(1 - x) = y at x = -W(-y / e), times 50 ms; a cubic leaves 1e-5 ms
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
    assert 1e6 * beat.ca_peak == pytest.approx(known["Ca_systolic"], abs=0.03)
    assert beat.result == 0
    assert float(control.drift[0]) < 1e-6


def test_a_rhythm_goes_on_where_it_ended(control):
    """Three beats, and two more, are five beats: to the rounding of the same steps."""
    on = pace(control.paced(), 2000.0, beats=2)
    both = pace(CiPACell.endocardial(), 2000.0, beats=5)
    for a, b in zip(jax.tree.leaves(on.state), jax.tree.leaves(both.state), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)


def several(*cells):
    return jax.tree.map(lambda *x: jnp.stack([jnp.asarray(v) for v in x]), *cells)


TYPES = ("endocardial", "epicardial", "midmyocardial")


@pytest.mark.parametrize(("cls", "name", "density"), [(OharaRudy, "ohara-2011", 116.0), (ToRORd, "tomek-2020", 106.0)])
def test_cells_repolarise_as_myokits(cls, name, density, shared_data):
    """Its runs of so many beats, by CVODES, with its correction of I_NaK and its stimulus; at 300 and 1,000 ms.

    Its digits for potentials; APD90 to 0.3 ms, as it counts from another instant of the upstroke; calcium to 1e-3.
    """
    lines = (shared_data / "physiology" / "heart_cells" / "myokit_reference_runs.csv").read_text().splitlines()
    rows = [row for row in csv.DictReader(lines) if row["model"] == name]
    assert len(rows) in (3, 6)
    for cycle in sorted({float(row["CL_ms"]) for row in rows} & {300.0, 1000.0}):
        own = [row for row in rows if float(row["CL_ms"]) == cycle]
        made = several(*(getattr(cls, TYPES[int(row["mode"])])(corrected=True) for row in own))
        rhythm = pace(made, cycle, beats=int(own[0]["beats"]), stimulus=stimulus(density))
        assert rhythm.result.tolist() == [0] * len(own)
        for i, row in enumerate(own):
            beat = jax.tree.map(lambda x, i=i: float(x[i, 0]), rhythm.beat)
            assert beat.apd90 == pytest.approx(float(row["APD90"]), abs=0.3)
            assert beat.apd50 == pytest.approx(float(row["APD50"]), abs=0.3)
            assert (beat.peak, beat.rest) == pytest.approx((float(row["Vmax"]), float(row["Vrest"])), abs=0.03)
            assert 1e6 * beat.ca_rest == pytest.approx(float(row["Ca_dia_nM"]), rel=1e-3)
            assert 1e6 * beat.ca_peak == pytest.approx(float(row["Ca_sys_nM"]), rel=1e-3)


@pytest.fixture(scope="module")
def drugged():
    """Cells with half their I_Kr, and two thirds of their I_CaL."""
    cell = CiPACell.endocardial()
    return several(bind(cell, {"ikr.g": 0.5 * cell.ikr.g}), bind(cell, {"ical.p": 0.67 * cell.ical.p}))


def test_orbit_is_where_pacing_leads(drugged):
    """1,000 plain beats, which still move by 3e-9 a beat, slowing over some 300 more: 1e-6 of the way is left to them."""
    plain, found = pace(drugged, 2000.0), orbit(drugged, 2000.0)
    assert int(found.beats) < 60
    assert found.result.tolist() == [0, 0]
    np.testing.assert_allclose(found.beat.qnet, plain.beat.qnet, rtol=5e-6)
    np.testing.assert_allclose(found.beat.apd90, plain.beat.apd90, atol=1e-3)
    for name, x in leaves((found.state.bulk, found.state.store)).items():
        np.testing.assert_allclose(x, leaves((plain.state.bulk, plain.state.store))[name], rtol=5e-6, err_msg=name)
    assert float(jnp.max(found.drift)) < 1e-7
    for name, x in found.cell.conserved(found.state).items():
        np.testing.assert_allclose(x, found.cell.conserved(found.cell.start)[name], rtol=1e-9, err_msg=name)


def test_tolerances_agree():
    """One beat's net charge at 1e-6 and at 1e-9: better than 1e-4, which CiPA's classes never see."""
    tight = Fused(rtol=1e-9, atol=1e-11, method=Rodas5P())
    loose, exact = (pace(CiPACell.endocardial(), 2000.0, beats=1, backend=b).beat for b in (None, tight))
    assert float(loose.qnet[0, 0]) == pytest.approx(float(exact.qnet[0, 0]), rel=1e-6)
    assert float(loose.apd90[0, 0]) == pytest.approx(float(exact.apd90[0, 0]), abs=1e-3)


def test_a_cell_that_does_not_repolarise_in_time():
    """A cycle of 350 ms is too short for the cell with half its I_Kr, whose action potential is longer: a code, no NaN."""
    cell = CiPACell.endocardial()
    rhythm = pace(several(cell, bind(cell, {"ikr.g": 0.5 * cell.ikr.g})), 350.0, beats=1)
    assert rhythm.beat.result[:, -1].tolist() == [0, NO_REPOLARISATION]
    summary = rhythm.summary()
    assert all(np.isfinite(x) for numbers in summary.values() if isinstance(numbers, tuple) for x in numbers)
    assert summary["counts"] == {BEATS[0]: 1, BEATS[NO_REPOLARISATION]: 1}


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
