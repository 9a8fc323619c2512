"""What a drug and a conductance do to a beat has gradients: against central differences, and at work in a calibration."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from twinjax.electrophysiology.calibrate import calibrate
from twinjax.electrophysiology.drugs import Drug, Hill, under
from twinjax.electrophysiology.pace import pace
from twinjax.models import CiPACell
from twinjax.models.heart.herg import Binding
from twinjax.naming import bind, get
from twinjax.solve.fused import Fused
from twinjax.solve.fused.steps import Rodas5P

FINE = Fused(rtol=1e-8, atol=1e-11, method=Rodas5P())
"""Fine enough for differences."""
once = functools.partial(pace, beats=1, backend=FINE)


def test_slopes_in_ic50_and_concentration():
    """Of net charge and APD90, in two IC50s and the free concentration of a drug that also binds to hERG."""

    def beat(x):
        blocks = {"ICaL": Hill(30290.0 * x[0], 1.98), "INaL": Hill(2359.0 * x[1], 0.9)}
        drug = Drug("quinidine", 3237.0, blocks, Binding.tabled(275.7, 0.004103, 0.8488, 53830.0, -61.35))
        cell = under(CiPACell.endocardial(), [(drug, 3237.0 * x[2])])
        found = once(jax.tree.map(lambda a: jnp.reshape(a, (1,)), cell), 2000.0).beat
        return jnp.stack([found.qnet[0, 0], found.apd90[0, 0]])

    here = jnp.ones(3)
    slopes = np.asarray(jax.jacfwd(beat)(here))
    for i in range(3):
        h = 1e-3 * jnp.eye(3)[i]
        difference = np.asarray(beat(here + h) - beat(here - h)) / 2e-3
        # tolerances of 1e-8 over a step of 1e-3, and its square
        np.testing.assert_allclose(slopes[:, i], difference, rtol=1e-3)


def test_conductances_are_found_from_a_beat():
    """Five biomarkers of a cell with three other conductances give the three back."""
    cell = CiPACell.endocardial()
    truth = {"ikr.g": 0.8, "ical.p": 1.15, "iks.g": 1.3}
    made = once(bind(cell, {n: get(cell, n) * f for n, f in truth.items()}), 1000.0).beat
    sd = {"apd90": 0.1, "apd50": 0.1, "apd30": 0.1, "qnet": 2e-5, "ca_amplitude": 1e-7}
    observed = {n: (float(getattr(made, n)[0, 0]), s) for n, s in sd.items()}
    found = calibrate(cell, observed, 1000.0, names=list(truth), rhythm=once)
    assert found.converged
    for name, factor in truth.items():
        # the prior pulls by (error / spread)^2 of the logarithm, less than 1e-2
        assert found.factors[name] == pytest.approx(factor, rel=1e-2)
        assert abs(np.log(found.factors[name] / factor)) < 3.0 * found.errors[name]
    assert float(found.cell.ikr.g) == pytest.approx(float(cell.ikr.g) * found.factors["ikr.g"])


def test_calibration_refuses_in_words():
    cell = CiPACell.endocardial()
    with pytest.raises(ValueError, match=r"there is no conductance 'ikr\.x'"):
        calibrate(cell, {"apd90": (300.0, 5.0)}, 1000.0, names=["ikr.x"])
    with pytest.raises(ValueError, match="an sd above zero"):
        calibrate(cell, {"apd90": (300.0, 0.0)}, 1000.0, names=["ikr.g"])
