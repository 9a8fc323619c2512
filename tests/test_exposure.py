"""Thresholds of dose, and contexts of use."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from twinjax import Regimen, simulate
from twinjax.exposure import CONTEXTS, cell_dose, critical_dose, threshold
from twinjax.models import AcetaminophenToxicity
from twinjax.models.body.dextromethorphan import dextromethorphan
from twinjax.models.body.glimepiride import glimepiride


def test_threshold_of_a_known_function_and_its_gradient():
    """``p dose^2 = 8``: dose = sqrt(8 / p), whose elasticity in p is -1/2."""

    def square(p, dose):
        return p * dose**2

    found, slope = jax.value_and_grad(lambda p: threshold(square, p, 8.0, between=(0.1, 100.0)))(2.0)
    assert float(found) == pytest.approx(2.0, rel=1e-12)
    assert float(slope) == pytest.approx(-0.5, rel=1e-12)


def test_critical_dose_of_acetaminophen():
    """At it, glutathione falls to 30 %."""
    model = AcetaminophenToxicity.typical()
    dose = critical_dose(model)
    gsh = simulate(model, Regimen.dose(dose, into="drug"), np.linspace(0.0, 24.0, 97)).output.gsh[0]
    assert float(jnp.min(gsh) / gsh[0]) == pytest.approx(0.3, rel=1e-6)
    assert cell_dose(1.0) < float(dose) < cell_dose(16.0)
    assert cell_dose(4.0) == pytest.approx(132.0, abs=0.5)  # Reddyhoff's 4 g, in three digits


def test_a_level_that_is_not_reached_is_refused():
    with pytest.raises(ValueError, match="both on one side of 8; give doses that bracket it"):
        threshold(lambda p, d: p * d, 1.0, 8.0, between=(1.0, 2.0))


@pytest.mark.parametrize("name", CONTEXTS)
def test_contexts_of_use_say_what_was_compared(name):
    context = CONTEXTS[name]
    assert all(len(getattr(context, part)) > 20 for part in ("question", "use", "risk", "verification", "validation"))
    inside = {n: 0.5 * (low + high) for n, (low, high) in context.ranges.items()}
    assert context.outside(**inside) == ()
    first = next(iter(context.ranges))
    with pytest.warns(UserWarning, match="outside the context of use"):
        context.warn(**{first: context.ranges[first][1] * 2.0 + 1.0})


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda: dextromethorphan(activity=4.0), "activity of 4: compared with data at 0 to 3 only"),
        (lambda: cell_dose(100.0), "dose of 3307.69: compared with data at 33 to 2112 only"),
        (lambda: glimepiride(f_renal=0.1), "f renal of 0.1: compared with data at 0.3 to 1 only"),
        (lambda: glimepiride(cirrhosis=0.8), "cirrhosis of 0.8: compared with data at 0 to 0.4 only"),
        (
            lambda: critical_dose(AcetaminophenToxicity.typical(), 0.95),
            "dose of .*: compared with data at 33 to 2112 only",
        ),
    ],
)
def test_models_warn_outside_their_context_by_themselves(ask, message):
    with pytest.warns(UserWarning, match=f"outside the context of use: {message}"):
        ask()
