"""Sensitivity: derivatives against closed forms, Sobol's indices against SALib and the exact ones, the tornado."""

from typing import Annotated

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest

from twinjax import Regimen, simulate
from twinjax.exposure import elasticities, sobol, tornado
from twinjax.exposure.sensitivity import _points, indices
from twinjax.models import AcetaminophenBody, OneCompartmentOral
from twinjax.naming import names
from twinjax.plots import tornado as draw
from twinjax.units import Real

TIMES = np.linspace(0.0, 24.0, 49)


class Ishigami(eqx.Module):
    """sin x + 7 sin^2 y + 0.1 z^4 sin x: the usual test, whose indices are known."""

    x: Annotated[float, Real]
    y: Annotated[float, Real]
    z: Annotated[float, Real]


def ishigami(m):
    return jnp.sin(m.x) + 7.0 * jnp.sin(m.y) ** 2 + 0.1 * m.z**4 * jnp.sin(m.x)


RANGES = dict.fromkeys("xyz", (-np.pi, np.pi))


def test_sobol_has_the_exact_indices():
    """Ishigami and Homma 1990: 0.3139, 0.4424, 0 alone; 0.5576, 0.4424, 0.2437 in all; four standard errors."""
    found = sobol(ishigami, Ishigami(1.0, 1.0, 1.0), RANGES, samples=4096)
    for column, exact in (("first", [0.3139, 0.4424, 0.0]), ("total", [0.5576, 0.4424, 0.2437])):
        assert np.all(np.abs(found[column] - exact) < 4.0 * found[f"{column}_se"] + 1e-4)


def test_sobol_is_salibs():
    """The same evaluations in SALib's order: the same estimators, to rounding."""
    analyze = pytest.importorskip("SALib.analyze.sobol").analyze
    problem = {"num_vars": 3, "names": list("xyz"), "bounds": [[-np.pi, np.pi]] * 3}
    a, b = (-np.pi + 2.0 * np.pi * p for p in _points(3, 256, 0))
    mixed = np.stack([np.where(np.arange(3) == i, b, a) for i in range(3)])
    at = [np.asarray(ishigami(Ishigami(*p.T))) for p in (a, b, *mixed)]
    ours = indices(at[0], at[1], np.stack(at[2:]))
    theirs = analyze(problem, np.stack([at[0], *at[2:], at[1]], axis=1).ravel(), calc_second_order=False, seed=1)
    np.testing.assert_allclose(ours[0], theirs["S1"], rtol=1e-10, atol=1e-13)
    np.testing.assert_allclose(ours[1], theirs["ST"], rtol=1e-10)


def peak(model):
    """Cmax of each person."""
    regimen = Regimen.dose(1000.0, into="lumen")
    return jnp.max(simulate(model, regimen, TIMES).output.plasma, axis=-1)


def test_elasticity_of_an_area():
    """AUC of a whole dose is dose / cl: -1 in cl, 0 in ka and v; the tail beyond 400 h is nothing."""

    def auc(model):
        return simulate(model, Regimen.dose(100.0, into="depot"), jnp.array([400.0])).state.central

    model = OneCompartmentOral(ka=1.0, cl=2.0, v=30.0)
    cleared = elasticities(lambda m: (100.0 - auc(m)[0, 0]) / m.cl, model)
    assert cleared["cl"] == pytest.approx(-1.0, abs=1e-8)
    assert cleared["ka"] == pytest.approx(0.0, abs=1e-8)


def test_elasticities_of_a_body_add_up():
    """Concentrations double when all volumes and all flows halve: their elasticities add up to -1 (Euler)."""
    model = AcetaminophenBody.typical()
    sizes = [n for n in names(model) if n.startswith(("q_", "v_")) or n == "filtration"]
    found = elasticities(
        lambda m: simulate(m, Regimen.dose(1000.0, into="venous"), [3.0]).output.plasma[0, 0], model, sizes
    )
    assert sum(found.values()) == pytest.approx(-1.0, rel=1e-6)


def test_tornado_of_a_body():
    """Ends in order, the widest first, as two single runs find them; and it is drawn."""
    model = AcetaminophenBody.typical()
    ranges = {"metabolism": (5.0, 20.0), "ka": (0.7, 3.0), "v_lung": (0.4, 0.6)}
    table = tornado(peak, model, ranges)
    assert list(table.index)[-1] == "v_lung"
    assert table["span"].is_monotonic_decreasing
    assert table.loc["ka", "at_high"] > table.loc["ka", "base"] > table.loc["ka", "at_low"]
    figure = draw(table, what="Cmax (mg/L)")
    assert [t.get_text() for t in figure.axes[0].get_yticklabels()] == list(table.index[::-1])


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda m: sobol(ishigami, m, RANGES, samples=100), "samples is 100; give a power of two"),
        (lambda m: sobol(ishigami, m, {"x": (1.0, 1.0)}), "the range of x is 1 to 1; give the lower end first"),
        (lambda m: sobol(ishigami, m, {"w": (0.0, 1.0)}), "there is no parameter 'w'"),
        (lambda m: sobol(lambda n: 0.0 * n.x, m, RANGES, samples=4), "the measure is the same everywhere"),
        (lambda m: sobol(lambda n: 1.0 / (0.0 * n.x), m, RANGES, samples=4), "the measure is not finite for"),
        (lambda m: tornado(lambda n: jnp.zeros(3), m, RANGES), r"gave shape \(3,\) for 7 people"),
        (lambda m: elasticities(lambda n: 0.0 * n.x, m), "the measure is 0 at the model's values"),
        (lambda m: tornado(ishigami, m, {}), "give the range of at least one parameter"),
    ],
)
def test_what_cannot_be_asked_is_refused_in_words(ask, message):
    with pytest.raises(ValueError, match=message):
        ask(Ishigami(1.0, 1.0, 1.0))
