"""Two drugs at once, against closed forms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize

from twinjax.models.pd.combination import bliss, loewe, shifted
from twinjax.models.pd.effect import hill

DOSES = np.geomspace(1e-4, 1e4, 9)


@pytest.mark.parametrize("gamma", [0.3, 1.0, 4.0, 20.0])
def test_a_drug_with_itself_is_the_sum_by_loewe(gamma):
    """The sham experiment, for every split of a dose; to rounding of logarithms times the exponent."""
    for whole in DOSES:
        part = whole * np.array([1e-9, 0.1, 0.5, 0.99])
        np.testing.assert_allclose(
            loewe(part, whole - part, gamma, gamma), hill(whole, gamma), rtol=1e-13 * (1 + gamma)
        )


@pytest.mark.parametrize(("gamma_a", "gamma_b"), [(1.5, 2.0), (0.5, 8.0), (10.0, 0.4)])
def test_loewe_solves_its_equation(gamma_a, gamma_b):
    """Beside SciPy's bracketing root finder, over eight decades of both doses."""
    for a in DOSES:
        for b in DOSES:

            def excess(x, a=a, b=b):
                return a * np.exp(-x / gamma_a) + b * np.exp(-x / gamma_b) - 1.0

            low = max(gamma_a * np.log(a), gamma_b * np.log(b))
            root = scipy.optimize.brentq(excess, low - 1.0, low + max(gamma_a, gamma_b), xtol=1e-13)
            found = float(loewe(a, b, gamma_a, gamma_b))
            assert found == pytest.approx(1.0 / (1.0 + np.exp(-root)), rel=1e-11)


def test_loewe_has_both_derivatives_of_the_implicit_equation():
    """By finite differences; one drug alone has the derivatives of its Hill curve."""
    x = jnp.asarray([0.7, 2.0, 1.5, 2.5])

    def f(v):
        return loewe(*v)

    step = 1e-5
    gradient = jax.grad(f)(x)
    difference = [(f(x + d) - f(x - d)) / (2 * step) for d in step * jnp.eye(4)]
    np.testing.assert_allclose(gradient, difference, rtol=1e-8, atol=1e-10)
    hessian = jax.hessian(f)(x)
    difference = [(jax.grad(f)(x + d) - jax.grad(f)(x - d)) / (2 * step) for d in step * jnp.eye(4)]
    np.testing.assert_allclose(hessian, difference, rtol=1e-7, atol=1e-9)
    alone = jax.grad(f)(x.at[1].set(0.0))
    np.testing.assert_allclose(alone[0], jax.grad(hill)(x[0], x[2]), rtol=1e-12)
    assert jnp.isfinite(alone).all()


def test_bliss_and_shifts_at_their_ends():
    assert bliss(0.3, 0.0) == 0.3
    assert bliss(0.5, 0.5) == 0.75
    assert shifted(4.0, -0.5, 0.0, 1.0) == 4.0
    assert float(shifted(4.0, -0.5, 1.0, 1.0)) == pytest.approx(3.0, rel=1e-15)
    assert float(shifted(4.0, 1.0, 1e12, 1.0)) == pytest.approx(8.0, rel=1e-11)
