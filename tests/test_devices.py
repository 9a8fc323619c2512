"""Monitors and pumps: errors of readings as the public simulator makes them, insulin in steps."""

import numpy as np
import pytest

from twinjax.devices import MONITORS, PUMPS, GlucoseMonitor, InsulinPump
from twinjax.models import GlucoseSensor, UVAPadova, coupled
from twinjax.models.base import no_input

SIMGLUCOSE = {0: 14.43533868, 1: 10.15751168, 2: 7.47964394, 28: 2.01325012, 29: 9.46474643, 30: -0.3023032,
              31: -5.824792, 39: -4.60618564}  # fmt: skip
"""Errors (mg/dL) of simglucose 0.2.11's CGMNoise of GuardianRT, seed 1, by reading."""


def test_errors_are_those_of_the_simulator():
    """To the eight digits listed, across the end of a block of ten steps."""
    found = MONITORS["GuardianRT"].errors(40, np.random.RandomState(1)) / 10.0
    for k, value in SIMGLUCOSE.items():
        assert found[k] == pytest.approx(value, abs=1e-8)


def test_the_model_s_error_has_the_published_variance_and_memory():
    """Kicks of `deviation` keep the variance 0.49 / 0.51, and 0.7 of the error is left after 15 min, by closed forms."""
    sensor = GlucoseSensor.typical()
    assert float(np.exp(-sensor.forget * 0.25)) == pytest.approx(0.7, rel=1e-12)
    for step in (1 / 60, 1 / 12, 0.25):
        left = 0.7 ** (2 * step / 0.25)
        kept = GlucoseSensor.deviation(step) ** 2 * step / (1.0 - left)
        assert kept == pytest.approx(0.49 / 0.51, rel=1e-12)
    rng = np.random.default_rng(3)
    errors = GlucoseMonitor(0.25).errors(40_000, rng)[10:]
    drawn = np.asarray(sensor.stretched(np.sqrt(0.49 / 0.51) * rng.standard_normal(60_000)))
    assert np.std(errors) == pytest.approx(np.std(drawn), rel=0.05)  # kurtosis 6, 13,000 independent: 0.04 is 4 errors


def test_readings_are_glucose_and_an_error_cut_at_the_range():
    rng = np.random.default_rng(1)
    shown = MONITORS["Navigator"].read(np.full(200, 300.0), rng)
    assert shown.min() == 320.0
    with pytest.raises(ValueError, match="every 15 min"):
        GlucoseMonitor(0.2)
    model = coupled({"sensor.glucose": "patient.sensor"}, patient=UVAPadova.typical(), sensor=GlucoseSensor.typical())
    out = model.output(0.0, model.initial(), no_input(model))
    assert float(out.sensor.reading - out.patient.sensor) == pytest.approx(
        -54.7 + 159.574 * np.sinh(0.5444 / 1.6898), rel=1e-9
    )


def test_a_pump_gives_whole_steps_within_limits():
    pump = PUMPS["Insulet"]
    assert pump.bolus(4.276) == pytest.approx(4.3)
    assert pump.basal(1.2719) == pytest.approx(1.25)
    assert (pump.bolus(50.0), PUMPS["Cozmo"].bolus(50.0), pump.bolus(-1.0)) == (30.0, 50.0, 0.0)
    given = pump.regimen([(0.0, 1.0), (6.0, 0.01), (8.0, 0.52)], [(7.0, 3.33), (9.0, 0.01)], until=24.0)
    np.testing.assert_allclose(given.time, [0.0, 8.0, 7.0])
    np.testing.assert_allclose(given.amount, [6.0, 8.0, 3.35])
    np.testing.assert_allclose(given.rate, [1.0, 0.5, 3.35 * 60.0])
    with pytest.raises(ValueError, match="increase"):
        pump.regimen([(0.0, 1.0), (0.0, 2.0)], until=1.0)


def test_a_pump_refuses_what_is_no_number_and_what_comes_after_its_end():
    pump = PUMPS["Insulet"]
    for basal, boluses in ((np.nan, ()), ([(0.0, np.inf)], ()), (1.0, [(1.0, np.nan)])):
        with pytest.raises(ValueError, match="give a finite number"):
            pump.regimen(basal, boluses, until=24.0)
    for at in (24.0, np.nan):
        with pytest.raises(ValueError, match="does not come before 24"):
            pump.regimen(1.0, [(at, 2.0)], until=24.0)
    with pytest.raises(ValueError, match="increase"):
        pump.regimen([(0.0, 1.0), (np.nan, 2.0)], until=24.0)
    with pytest.raises(ValueError, match="above zero"):
        InsulinPump(basal_step=np.nan)
    with pytest.raises(ValueError, match="limits are zero or above"):
        InsulinPump(bolus_most=np.nan)
