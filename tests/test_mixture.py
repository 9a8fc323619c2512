"""Mixtures of subpopulations against direct evaluation by scipy."""

import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
import scipy.stats
from lines import Line

import twinjax as tj
from twinjax.estimation.diagnosis.residuals import diagnose
from twinjax.estimation.diagnosis.simulation import simulate_measurements
from twinjax.estimation.engine import Engine
from twinjax.estimation.methods.algorithm import Task

LOG_2PI = np.log(2 * np.pi)
TIME = np.array([0.0, 1.0, 2.0, 3.0])


def population(shares=(0.6, 0.4), changes=None, **more):
    given = {
        "variability": {"base": tj.NaturalScale(0.5)}, "residual": {"level": tj.Additive(0.4)},
        "covariates": {"slope": tj.Categorical("kind", changes or {2: 1.5})},
        "mixture": tj.Mixture("kind", shares), **more,
    }  # fmt: skip
    return tj.Population(Line(1.0, 0.8), **given)


def trial(people=40, seed=3):
    rng = np.random.default_rng(seed)
    made = []
    for i in range(people):
        slope = 0.8 if rng.uniform() < 0.6 else 2.0
        y = 1.0 + rng.normal(0, 0.5) + slope * TIME + rng.normal(0, 0.4, len(TIME))
        made.append(tj.Subject(str(i), measurements=tj.Measurements.of(TIME, y)))
    return tj.TrialData(tuple(made))


def densities(y, theta, shares, factors):
    """log(pi_k p(y | k)) of each subject and class."""
    v = theta["omega.base"] ** 2 * np.ones((4, 4)) + theta["level.additive"] ** 2 * np.eye(4)
    return np.stack([
        np.log(p) + scipy.stats.multivariate_normal(theta["base"] + theta["slope"] * c * TIME, v).logpdf(y)
        for p, c in zip(shares, factors, strict=True)
    ], axis=1)  # fmt: skip


def values(data):
    return np.stack([s.measurements.value for s in data])


@pytest.mark.parametrize("method", [tj.FOCEI(), tj.FO()], ids=["FOCEI", "FO"])
def test_the_objective_of_three_classes(method):
    p = population((0.5, 0.3, 0.2), {2: 1.5, 3: -0.7})
    data = trial(5)
    e = Engine.of(p, data, method, {}, None)
    x = np.asarray(e.predictor.transform.pack(p.theta))
    found = e.evaluate(x)
    theta = {n: float(v) for n, v in p.theta.items()}
    parts = densities(values(data), theta, (0.5, 0.3, 0.2), (1.0, 2.5, 0.3))
    # linear in the random effect, so both methods are exact; the integration's tolerance
    want = -2 * scipy.special.logsumexp(parts, axis=1) - 4 * LOG_2PI
    np.testing.assert_allclose(found.objective, want, rtol=1e-8)
    np.testing.assert_allclose(found.classes, scipy.special.softmax(parts, axis=1), rtol=1e-7, atol=1e-12)
    h = 1e-4
    for k, slope in enumerate(e(x)[1]):
        step = h * np.eye(len(x))[k]
        assert slope == pytest.approx((e(x + step)[0] - e(x - step)[0]) / (2 * h), rel=1e-5, abs=1e-5)  # h^2


@pytest.fixture(scope="module")
def mixed():
    return tj.fit(population((0.5, 0.5), {2: 1.0}), trial())


def test_a_mixture_is_recovered(mixed):
    assert mixed.converged
    theta = mixed.theta
    shares = (theta["mixture.1"], 1 - theta["mixture.1"])
    parts = densities(values(mixed.trial), theta, shares, (1.0, 1.0 + theta["slope.kind.2"]))
    assert mixed.objective == pytest.approx(np.sum(-2 * scipy.special.logsumexp(parts, axis=1) - 4 * LOG_2PI), rel=1e-8)
    np.testing.assert_allclose(mixed.classes, scipy.special.softmax(parts, axis=1), rtol=1e-6, atol=1e-9)
    for name, truth in {"mixture.1": 0.6, "slope": 0.8, "slope.kind.2": 1.5, "omega.base": 0.5}.items():
        assert abs(theta[name] - truth) < 3.5 * mixed.table.se[name]


def test_a_fit_shows_everyone_in_the_most_probable_class(mixed):
    kinds = np.array([float(s.covariates["kind"]) for s in mixed.trial])
    np.testing.assert_array_equal(kinds, 1.0 + np.argmax(mixed.classes, axis=1))
    table = diagnose(mixed)
    last = table[table.TIME == 3.0]
    slope = mixed.theta["slope"] * np.where(kinds == 2, 1 + mixed.theta["slope.kind.2"], 1.0)
    np.testing.assert_allclose(last.PRED, mixed.theta["base"] + 3.0 * slope, rtol=1e-7)
    again = tj.fit(mixed, mixed.trial, covariance=False, optimiser=tj.BFGS(max_steps=1))  # the classes are found anew
    assert again.objective == pytest.approx(mixed.objective, abs=1e-3)


def test_classes_are_drawn_in_simulations():
    p = population(residual={"level": tj.Additive(0.01)}, variability={})
    drawn = simulate_measurements(p, trial(4), replicates=1000, seed=1)
    steep = (drawn[:, :, 3] - drawn[:, :, 0]).ravel() > 4.0
    assert np.mean(steep) == pytest.approx(0.4, abs=4 * np.sqrt(0.24 / 4000))
    people = tj.cohort(population(), 4000, seed=1)
    assert np.mean(np.asarray(people.model.slope) > 1.4) == pytest.approx(0.4, abs=4 * np.sqrt(0.24 / 4000))


def test_mixtures_that_cannot_be_are_refused():
    with pytest.raises(ValueError, match=r"have the sum 1, not 1\.1"):
        tj.Mixture("kind", (0.6, 0.5))
    with pytest.raises(ValueError, match="at least two classes"):
        tj.Mixture("kind", (1.0,))
    with pytest.raises(ValueError, match="no effect reads 'kind'"):
        population(covariates={})
    p = population((0.5, 0.3, 0.2), {2: 1.5, 3: -0.7}, fixed=["mixture.1"])
    with pytest.raises(ValueError, match=r"mixture\.1 cannot be fixed alone"):
        tj.fit(p, trial(3))


def test_importance_sampling_sums_the_classes(mixed):
    """Of a line the proposal is the conditional density itself, so a normal one has next to no error."""
    exact = tj.ImportanceSampling(samples=64, proposal=tj.Proposal(df=None))
    found = tj.fit(mixed, mixed.trial, method=exact)
    np.testing.assert_allclose(found.by_subject, mixed.by_subject, rtol=1e-7)
    np.testing.assert_allclose(found.classes, mixed.classes, atol=1e-7)
    assert found.evidence.error < 1e-6
    with pytest.raises(ValueError, match=r"TwoStage does not serve mixtures .* SAEM"):
        tj.fit(mixed, mixed.trial, method=tj.TwoStage())


def test_em_by_importance_sampling_finds_the_same_mixture(mixed):
    normal = tj.Proposal(df=None)
    final = tj.ImportanceSampling(samples=64, proposal=normal)
    method = tj.ImportanceEM(samples=32, proposal=normal, final=final)
    found = tj.fit(population((0.5, 0.5), {2: 1.0}), mixed.trial, method=method)
    assert found.objective == pytest.approx(mixed.objective, abs=0.05)  # its search ends within 0.05 standard errors
    apart = [abs(found.theta[n] - mixed.theta[n]) / mixed.table.se[n] for n in mixed.estimated]
    assert max(apart) < 0.2
    np.testing.assert_allclose(found.table.se, mixed.table.se, rtol=0.05)  # differences of a step of 1e-3


def test_saem_finds_the_same_mixture(mixed):
    found = tj.fit(population((0.5, 0.5), {2: 1.0}), mixed.trial, method=tj.SAEM(chains=4), covariance=False)
    assert found.converged, found.verdict
    # its Monte Carlo error is 0.01 in logarithms, where standard errors are from 0.05 to 0.3
    assert max(abs(found.theta[n] - mixed.theta[n]) / mixed.table.se[n] for n in mixed.estimated) < 0.3
    np.testing.assert_allclose(found.classes, mixed.classes, atol=0.03)
    np.testing.assert_allclose(found.eta, mixed.eta, atol=0.1)  # means over classes, for modes of one of them


def test_classes_are_summed_over_in_the_posterior():
    """At two points, as constants are left out of it: by scipy, given the random effects."""
    p, data = population((0.5, 0.3, 0.2), {2: 1.5, 3: -0.7}), trial(4)
    engine = Engine.of(p, data, tj.NUTS().objective, {}, None)
    density = tj.NUTS().density(Task(engine, None, None, 0, None, None, False))
    rng, transform = np.random.default_rng(2), engine.predictor.transform
    start = np.append(np.asarray(transform.pack(p.theta)), np.zeros(4))
    points = [start + 0.2 * rng.standard_normal(density.size) for _ in range(2)]

    def by_hand(vector):
        theta = {n: float(v) for n, v in transform.unpack(jnp.asarray(vector[: density.free]), p.theta).items()}
        unit, shares = vector[density.free :], np.array([theta["mixture.1"], theta["mixture.2"]])
        shares, factors = (
            np.append(shares, 1 - shares.sum()),
            1.0 + np.array([0, theta["slope.kind.2"], theta["slope.kind.3"]]),
        )
        f = (theta["base"] + theta["omega.base"] * unit)[:, None, None] + theta["slope"] * np.outer(factors, TIME)
        each = np.log(shares) + scipy.stats.norm(f, theta["level.additive"]).logpdf(values(data)[:, None]).sum(axis=2)
        shown = scipy.special.logsumexp(each, axis=1).sum() + scipy.stats.norm.logpdf(unit).sum()
        return shown + float(density.prior(jnp.asarray(vector[: density.free]))), scipy.special.softmax(each, axis=1)

    (first, weight), (second, _) = (by_hand(v) for v in points)
    ours = [float(density(jnp.asarray(v))) for v in points]
    assert ours[0] - ours[1] == pytest.approx(first - second, rel=1e-8)  # that of the integration
    x, eta = density.split(jnp.asarray(points[0]))
    np.testing.assert_allclose(density.classes(x, eta).T, weight, rtol=1e-7)


def test_nuts_samples_a_mixture(mixed):
    found = tj.fit(
        mixed.population, mixed.trial, method=tj.NUTS(chains=2, warmup=100, draws=100, acceptance=0.9), seed=1
    )
    apart = np.abs(found.evidence.table["mean"] - mixed.table.estimate[list(found.estimated)]) / found.evidence.table.sd
    assert apart.max() < 1.0  # flat priors: means are within a standard deviation of the most likely values
    assert np.abs(found.classes - mixed.classes).mean() < 0.05
