"""Predictions are differentiated only where parameters or random effects move them, and as often as a gradient needs."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest

import twinjax as tj
from twinjax.estimation.engine import Engine
from twinjax.models import OneCompartmentOral

TIMES = np.array([0.5, 1.5, 4.0, 9.0, 20.0])


def individual(theta, eta, covariates):
    """Absorption has no random effect, the volume is the covariate's alone."""
    return OneCompartmentOral(ka=theta["ka"], cl=theta["cl"] * jnp.exp(eta["cl"]), v=0.5 * covariates["weight"])


@pytest.fixture(scope="module")
def written_out() -> tuple[tj.Population, tj.TrialData]:
    drawn = np.random.default_rng(3)
    people = []
    for i, weight in enumerate((55.0, 70.0, 90.0)):
        ke = 3.0 * np.exp(0.3 * drawn.standard_normal()) / (0.5 * weight)
        f = 100.0 / (0.5 * weight) * 1.2 / (1.2 - ke) * (np.exp(-ke * TIMES) - np.exp(-1.2 * TIMES))
        values = tj.Measurements.of(TIMES, f * np.exp(0.1 * drawn.standard_normal(5)))
        people.append(tj.Subject(str(i), tj.Regimen.dose(100.0, into="depot"), values, {"weight": weight}))
    population = tj.Population(
        OneCompartmentOral.typical(), thetas={"ka": 1.5, "cl": 2.5}, individual=individual, reads=("weight",),
        variability={"cl": 0.3}, residual=tj.Combined(0.2, 0.1), bounds={"ka": (0.0, np.inf), "cl": (0.0, np.inf)},
    )  # fmt: skip
    return population, tj.TrialData(tuple(people), "written out")


def made(written_out, method, backend=None):
    population, trial = written_out
    engine = Engine.of(population, trial, method, {}, backend or tj.Exact())
    return engine, np.asarray(engine.predictor.transform.pack(engine.predictor.population.theta))


def test_what_moves_is_read_off_the_equations(written_out):
    engine, x = made(written_out, tj.FOCEI())
    predictor = engine.predictor
    where = {n: i for i, (n, _) in enumerate(predictor.active)}
    moved, random = predictor._directions(jnp.asarray(x), engine.design)
    assert set(moved) == {where["ka"], where["cl"]}
    assert set(random) == {where["cl"]}


def test_derivatives_left_out_are_those_that_nothing_needs(written_out):
    engine, x = made(written_out, tj.FOCEI())
    p, design = engine.predictor, engine.design
    z = p.every(jnp.asarray(x), jnp.zeros((3, 1)) + 0.1, design)
    moved, random = p._directions(jnp.asarray(x), design)
    local = eqx.filter_jit(p.local)
    every = local(z, jnp.asarray(x), design, 3)
    assert np.any(np.asarray(every.slope)[..., moved[0]] != 0.0)
    for order, by_eta in ((2, 1), (3, 1), (3, 2)):
        some = local(z, jnp.asarray(x), design, order, by_eta)
        for degree, name in enumerate(("slope", "bend", "twist")[:order], start=1):
            one, other = np.asarray(getattr(some, name)), np.asarray(getattr(every, name))
            needed = max(0, by_eta - (order - degree))  # how many of its directions are random effects' at least
            for place in np.ndindex(one.shape[2:]):
                known = all(k in moved for k in place) and sum(k in random for k in place) >= needed
                where = (slice(None), slice(None), *place)
                # the same solve differentiated in another order: rounding
                np.testing.assert_allclose(one[where], other[where] if known else 0.0, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("method", [tj.FO(), tj.FOCEI(), tj.Laplace()], ids=lambda m: m.name)
def test_gradient_is_that_of_the_objective(written_out, method):
    engine, x = made(written_out, method)
    gradient, numeric, step = engine(x)[1], [], 1e-4
    for i in range(len(x)):
        move = step * np.eye(len(x))[i]
        numeric.append((engine(x + move)[0] - engine(x - move)[0]) / (2 * step))
    # differences of step 1e-4: the third derivative's share is 1e-8 of numbers of order 10, rounding's 1e-10
    np.testing.assert_allclose(gradient, numeric, rtol=1e-6, atol=1e-6)


def test_second_derivatives_are_those_of_the_gradient(written_out):
    engine, x = made(written_out, tj.FOCEI())
    found = engine.evaluate(x)
    exact, numeric = (c.r(engine, x, found) for c in (tj.SecondDerivatives(), tj.GradientDifferences(step=1e-3)))
    np.testing.assert_allclose(exact, numeric, rtol=1e-5, atol=1e-5 * np.abs(exact).max())  # their step squared


def test_a_kernel_carries_no_more_than_that(written_out, monkeypatch):
    from twinjax.solve.fused import carry

    carried, whole = [], carry._carried

    def counted(source, tables, scalars, moved):
        carried.append([len(level) for level in scalars])
        return whole(source, tables, scalars, moved)

    monkeypatch.setattr(carry, "_carried", counted)
    engine, x = made(written_out, tj.FOCEI(), tj.Fused())
    other, _ = made(written_out, tj.FOCEI())
    # the kernel's exponentials are those of the closed form, to the series' rounding
    np.testing.assert_allclose(engine(x)[0], other(x)[0], rtol=1e-9)
    assert [1] in carried
    assert [1, 2] in carried
    assert not [own for own in carried if len(own) == 2 and min(own) > 1]
