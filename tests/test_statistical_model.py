"""The statistical model: scales, bounds and variability between occasions, against formulas."""

import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from lines import Line

import twinjax as tj
from twinjax import plots
from twinjax.datasets import theophylline
from twinjax.estimation.diagnosis.residuals import diagnose, etas
from twinjax.estimation.diagnosis.simulation import simulate_measurements
from twinjax.estimation.engine import Engine
from twinjax.models import OneCompartmentOral


def engine(population, trial, method=None, backend=None):
    return Engine.of(population, trial, method or tj.FOCEI(), {}, backend)


def packed(population, e):
    return np.asarray(e.predictor.transform.pack(population.theta))


def fourth_order_difference(function, x, k, h=2e-3):
    def at(step):
        moved = np.array(x)
        moved[k] += step
        return function(moved)

    return (8 * (at(h) - at(-h)) - (at(2 * h) - at(-2 * h))) / (12 * h)


# -------------------------------------------------------------------------------------------------- scales and bounds


@pytest.mark.parametrize("shape", [-1.5, -1e-5, 0.0, 1e-5, 0.7])
def test_box_cox_scale_is_scipys_transform(shape):
    eta = np.linspace(-1.5, 1.5, 7)
    found = tj.BoxCoxScale(0.3, shape).individual(2.0, eta)
    np.testing.assert_allclose(found, 2.0 * np.exp(scipy.stats.boxcox(np.exp(eta), lmbda=shape)), rtol=1e-9)


def test_the_shape_of_a_scale_is_a_parameter():
    model = OneCompartmentOral(ka=1.0, cl=2.0, v=30.0)
    given = {"cl": tj.BoxCoxScale(0.3, -0.4), "v": 0.2}
    p = tj.Population(model, variability=given, residual=tj.Additive(0.5))
    assert float(p.theta["cl.shape"]) == -0.4
    assert "cl.shape" not in p.fixed
    assert "cl.shape" in tj.Population(model, variability=given, residual=tj.Additive(0.5), fixed=["cl.shape"]).fixed
    moved = p.with_theta({"cl.shape": 0.8}).individual({**p.theta, "cl.shape": 0.8}, jnp.array([0.5, 0.0]), {})
    assert float(moved.cl) == pytest.approx(2.0 * np.exp(scipy.stats.boxcox(np.exp([0.5]), lmbda=0.8)[0]), rel=1e-12)


def test_estimates_stay_within_the_bounds_given():
    model = OneCompartmentOral(ka=1.0, cl=2.0, v=30.0)
    p = tj.Population(model, residual=tj.Additive(0.5), bounds={"ka": (0.5, 4.0), "v": (10.0, np.inf)})
    e = Engine.of(p, theophylline(), tj.NaivePooled(), {}, None)
    x = packed(p, e)
    assert float(e.predictor.transform.unpack(x, p.theta)["ka"]) == pytest.approx(1.0, rel=1e-14)
    for far in (-40.0, 40.0):
        theta = e.predictor.transform.unpack(x + far, p.theta)
        assert 0.5 <= float(theta["ka"]) <= 4.0
        assert float(theta["v"]) >= 10.0


@pytest.mark.parametrize(
    ("bounds", "said"),
    [
        ({"ka": (2.0, 3.0)}, "so start inside"),
        ({"ka": (3.0, 2.0)}, "the lower is below the upper"),
        ({"ka": (-1.0, 2.0)}, "beyond what it can be"),
        ({"omega.cl": (0.1, 2.0)}, "Omega is kept positive definite"),
        ({"v": (1.0, 90.0)}, "is fixed"),
        ({"kaa": (0.1, 10.0)}, "did you mean 'ka'"),
    ],
)
def test_bounds_that_cannot_be_are_refused(bounds, said):
    with pytest.raises(ValueError, match=said):
        tj.Population(OneCompartmentOral(1.0, 2.0, 30.0), variability={"cl": 0.3}, fixed=["v"], bounds=bounds)


# -------------------------------------------------------------------------------------------------- between occasions

TIMES = np.array([0.5, 1.0, 2.0, 4.0, 5.0, 6.0, 8.0])
CHANGE = 3.0  # the second occasion begins


def line_trial(people=4, seed=1):
    rng = np.random.default_rng(seed)
    made = []
    for i in range(people):
        times = TIMES[: len(TIMES) - i % 2]
        y = 1.0 + 0.5 * times + rng.normal(0, 1.0, len(times))
        made.append(tj.Subject(
            str(i), measurements=tj.Measurements.of(times, y), covariates={"OCC": np.array([1.0, 2.0]), "sex": i % 2},
            switch_time=np.array([CHANGE]), switch_order=np.array([0.0]),
        ))  # fmt: skip
    return tj.TrialData(tuple(made))


def line_population(**more):
    given = {
        "variability": {"base": tj.NaturalScale(0.8), "slope": tj.NaturalScale(0.3)},
        "correlations": {("base", "slope"): 0.3},
        "occasions": tj.Occasions("OCC", 2, {"base": 0.6, "slope": 0.2}, {("base", "slope"): -0.5}),
        "residual": {"level": tj.Additive(0.7)}, **more,
    }  # fmt: skip
    return tj.Population(Line(1.0, 0.5), **given)


def line_covariance(s, theta):
    """Of one subject's measurements."""
    t = s.measurements.time - 0.5  # the state is zero at the first record
    before, after = np.minimum(t, CHANGE - 0.5), np.maximum(t - (CHANGE - 0.5), 0.0)
    second = s.measurements.time > CHANGE
    z = np.stack([np.ones_like(t), t], 1)  # between people
    w = np.stack([~second, before, second, after], 1).astype(float)  # base and slope of each occasion

    def level(base, slope, correlation):
        sd = np.array([theta[base], theta[slope]])
        return np.outer(sd, sd) * np.array([[1.0, theta[correlation]], [theta[correlation], 1.0]])

    omega = level("omega.base", "omega.slope", "corr.base.slope")
    pi = level("omega.base.occasion", "omega.slope.occasion", "corr.base.occasion.slope.occasion")
    return z @ omega @ z.T + w @ np.kron(np.eye(2), pi) @ w.T + theta["level.additive"] ** 2 * np.eye(len(t))


def line_density(trial, theta):
    """-2 log of the multivariate normal density, without N log(2 pi), of each subject."""
    found = []
    for s in trial:
        mean = theta["base"] + theta["slope"] * (s.measurements.time - 0.5)
        density = scipy.stats.multivariate_normal(mean, line_covariance(s, theta))
        found.append(-2 * density.logpdf(s.measurements.value) - len(mean) * np.log(2 * np.pi))
    return np.array(found)


@pytest.mark.parametrize("method", [tj.FOCEI(), tj.FO()], ids=["FOCEI", "FO"])
def test_two_levels_of_variability_are_a_multivariate_normal(method):
    trial, p = line_trial(), line_population()
    e = engine(p, trial, method)
    assert p.etas[2:] == ("base.occasion.1", "slope.occasion.1", "base.occasion.2", "slope.occasion.2")
    found = e.evaluate(packed(p, e))
    # the integration's tolerance; linear in every random effect, so both methods are exact
    np.testing.assert_allclose(
        found.objective, line_density(trial, {n: float(v) for n, v in p.theta.items()}), rtol=1e-8
    )


def test_the_gradient_between_occasions_is_exact():
    p = line_population(
        variability={"base": 0.3, "slope": tj.NaturalScale(0.3)}, correlations={},
        occasions=tj.Occasions("OCC", 2, {"base": 0.2}), covariates={"slope": tj.Linear("sex", 0.0, 0.2)},
    )  # fmt: skip
    e = engine(p, line_trial())
    x = packed(p, e) + 0.1
    gradient = e(x)[1]
    found = [fourth_order_difference(lambda v: e(v)[0], x, k) for k in range(len(x))]
    np.testing.assert_allclose(gradient, found, rtol=1e-5, atol=1e-6)  # of the differences


def test_a_fit_of_two_levels_and_one_of_residuals_correlated_in_time_by_nlme():
    """R's nlme 3.1, of the same numbers: lme(y ~ t, random = list(id = ~1, occ = ~1), method = "ML") and
    gls(y ~ t, correlation = corCAR1(form = ~ t | id), method = "ML").
    """
    rng, made = np.random.default_rng(7), []
    for i in range(12):
        b, t = rng.normal(0, 0.8), np.arange(8.0)
        k = rng.normal(0, 0.6, 2)[np.repeat([0, 1], 4)]
        y = 1 + b + k + 0.5 * t + rng.normal(0, 0.4, 8)
        made.append(tj.Subject(
            str(i), measurements=tj.Measurements.of(t, y, "level"), covariates={"OCC": np.array([1.0, 2.0])},
            switch_time=np.array([3.5]), switch_order=np.array([0.0]),
        ))  # fmt: skip
    trial, quiet = tj.TrialData(tuple(made)), {"covariance": False, "optimiser": tj.BFGS(1e-5)}
    levels = tj.Population(
        Line(1.0, 0.5), variability={"base": tj.NaturalScale(0.5)}, residual={"level": tj.Additive(0.5)},
        occasions=tj.Occasions("OCC", 2, {"base": 0.5}),
    )  # fmt: skip
    fit = tj.fit(levels, trial, method=tj.FO(), **quiet)
    assert fit.minus_two_log_likelihood == pytest.approx(146.9166459, abs=1e-6)  # the digits that R printed
    want = {"base": 0.9391031, "slope": 0.4775907, "omega.base": 0.8199426, "omega.base.occasion": 0.5418754,
            "level.additive": 0.3494107}  # fmt: skip
    for name, value in want.items():
        assert fit.theta[name] == pytest.approx(value, rel=2e-5)  # where both stop
    in_time = tj.Population(Line(1.0, 0.5), residual={"level": tj.Additive(0.9)}, autocorrelation={"level": 0.5})
    fit = tj.fit(in_time, trial, method=tj.NaivePooled(), **quiet)
    assert fit.minus_two_log_likelihood == pytest.approx(189.2086591, abs=1e-6)  # the digits that R printed
    assert fit.theta["level.autocorrelation"] == pytest.approx(0.80455942, rel=1e-6)
    assert fit.theta["level.additive"] == pytest.approx(1.0227326, rel=1e-6)


@pytest.fixture(scope="module")
def line_fit():
    return tj.fit(line_population(), line_trial(), optimiser=tj.BFGS(max_steps=2), covariance=False)


def test_residuals_and_shrinkage_know_occasions(line_fit):
    table, s, theta = diagnose(line_fit), line_fit.trial.subjects[0], line_fit.theta
    v = line_covariance(s, theta)
    values, vectors = np.linalg.eigh(v)
    t = s.measurements.time
    want = vectors @ (vectors.T @ (s.measurements.value - theta["base"] - theta["slope"] * (t - 0.5)) / np.sqrt(values))
    found = table[s.id == table.ID]
    np.testing.assert_allclose(found.WRES, want, rtol=1e-6)  # the integration's tolerance
    np.testing.assert_allclose(found.CWRES, want, rtol=1e-5)  # and that of the search for eta-hat
    assert set(line_fit.shrinkage) == {"base", "slope", "base.occasion", "slope.occasion"}
    pooled = line_fit.eta[:, [2, 4]]
    want = 100 * (1 - pooled.std(ddof=1) / theta["omega.base.occasion"])
    assert line_fit.shrinkage["base.occasion"] == pytest.approx(want, rel=1e-12)
    assert "omega.slope.occasion" in line_fit.table.index
    assert "eta.base.occasion.2" in etas(line_fit)
    assert plots.etas(line_fit).axes


def test_simulated_measurements_covary_between_occasions():
    p, trial = line_population(), line_trial(1)
    drawn = simulate_measurements(p, trial, replicates=4000, seed=3)[:, 0]
    want = line_covariance(trial.subjects[0], {n: float(v) for n, v in p.theta.items()})
    sd = np.sqrt(np.diag(want))
    error = np.sqrt((1 + (want / np.outer(sd, sd)) ** 2) / 4000) * np.outer(sd, sd)
    assert np.max(np.abs(np.cov(drawn.T) - want) / error) < 4.5  # of 49 standardised errors


def test_a_cohort_is_in_the_first_occasion_unless_told():
    p = line_population()
    first, second = (tj.cohort(p, 3, seed=1, covariates=c) for c in ({}, {"OCC": 2.0}))
    np.testing.assert_allclose(first.model.base, 1.0 + first.eta[:, 0] + first.eta[:, 2])
    np.testing.assert_allclose(second.model.base, 1.0 + second.eta[:, 0] + second.eta[:, 4])


def test_occasions_that_cannot_be_are_refused():
    with pytest.raises(ValueError, match="OCC is 2, which is none of the occasions 1"):
        engine(line_population(occasions=tj.Occasions("OCC", 1, {"base": 0.6})), line_trial())
    with pytest.raises(ValueError, match="no covariate 'period'"):
        engine(line_population(occasions=tj.Occasions("period", 2, {"base": 0.6})), line_trial())
    with pytest.raises(ValueError, match="must be above zero"):
        line_population(occasions=tj.Occasions("OCC", 2, {"base": 0.0}))
    with pytest.raises(ValueError, match="each once"):
        tj.Occasions("OCC", (1, 1), {"base": 0.1})
