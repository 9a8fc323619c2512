"""What measurements say of predictions: limits of quantification, correlated residuals, likelihoods of other data."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.integrate
import scipy.optimize
import scipy.stats
from lines import Line, Weibull

import twinjax as tj
from twinjax.estimation.diagnosis.residuals import diagnose
from twinjax.estimation.diagnosis.simulation import simulate_measurements
from twinjax.estimation.engine import Engine
from twinjax.estimation.likelihood import Observations, terms
from twinjax.observation import Errors

LOG_2PI = np.log(2 * np.pi)


def engine(population, trial, method=None):
    return Engine.of(population, trial, method or tj.FOCEI(), {}, None)


def packed(population, e):
    return np.asarray(e.predictor.transform.pack(population.theta))


def rows(value, output, **more):
    n = len(value)
    given = {"censored": np.zeros(n, int), "limit": np.full(n, -np.inf), "there": np.ones(n, bool), **more}
    arrays = {k: jnp.asarray(v) for k, v in given.items()}
    return Observations(jnp.asarray(value), jnp.asarray(output), **arrays, censoring=bool(np.any(given["censored"])))


# ------------------------------------------------------------------------------------------------------- method M4

ABOVE_ZERO = Errors({"plasma": tj.Combined(0.3, 0.1)}, quantification={"plasma": tj.M4()})
PLAIN = Errors({"plasma": tj.Additive(0.4)}, quantification={"plasma": tj.M4()})
SD = float(np.sqrt(0.3**2 + 0.05**2))  # of Combined(0.3, 0.1) at f = 0.5


def test_m4_is_the_likelihood_given_a_value_above_zero():
    o = rows([0.4, 0.2, 0.2, 0.9], [0, 0, 0, 0], censored=[0, 1, 1, -1], limit=[-np.inf, -np.inf, 0.1, -np.inf])
    n = scipy.stats.norm(0.5, SD)
    want = -2 * np.array([
        n.logpdf(0.4) + LOG_2PI / 2, np.log(n.cdf(0.2) - n.cdf(0.0)), np.log(n.cdf(0.2) - n.cdf(0.1)), n.logsf(0.9),
    ]) + 2 * n.logsf(0.0)  # fmt: skip
    np.testing.assert_allclose(terms(ABOVE_ZERO, ("plasma",), o, jnp.full(4, 0.5)).objective, want, rtol=1e-12)


@pytest.mark.parametrize(("censored", "limit"), [(0, -np.inf), (1, -np.inf), (1, 0.1)])
def test_information_given_a_value_above_zero_is_the_curvature(censored, limit):
    def half(f, value):
        o = rows([value], [0], censored=[censored], limit=[limit])
        return 0.5 * terms(PLAIN, ("plasma",), o, f[None]).objective[0]

    f = jnp.asarray(0.5)
    found = terms(PLAIN, ("plasma",), rows([0.3], [0], censored=[censored], limit=[limit]), f[None]).information[0]
    # with an additive error the curvature of a quantified value is the same for all values, so the expected one
    np.testing.assert_allclose(found, jax.grad(jax.grad(half))(f, 0.3), rtol=1e-9)


def test_m4_in_a_population_objective():
    """Against quadrature over the one random effect, at a small variability where Laplace's form is close."""
    m = tj.Measurements.of([1.0, 2.0, 3.0], [0.9, 0.5, 0.4], censored=[0, 0, 1])
    trial = tj.TrialData((tj.Subject("1", measurements=m),))
    given = {"variability": {"base": tj.NaturalScale(0.02)}, "residual": {"level": tj.Additive(0.4)}}
    p = tj.Population(Line(1.0, -0.2), **given, quantification=tj.M4())
    e = engine(p, trial)

    def density(eta):
        n = scipy.stats.norm(1.0 + eta - 0.2 * (np.arange(3.0)), 0.4)
        whole = np.prod(n.sf(0.0))
        part = n.pdf([0.9, 0.5, 0.4])
        return part[0] * part[1] * (n.cdf(0.4) - n.cdf(0.0))[2] / whole * scipy.stats.norm.pdf(eta, 0, 0.02)

    want = -2 * np.log(scipy.integrate.quad(density, -0.2, 0.2, epsabs=0, epsrel=1e-10, points=[0.0])[0]) - 2 * LOG_2PI
    assert e(packed(p, e))[0] == pytest.approx(want, abs=1e-5)  # Laplace's error, of order omega^4
    with pytest.raises(ValueError, match="above zero"):
        engine(p, tj.TrialData((tj.Subject("1", measurements=tj.Measurements.of([1.0], [0.9])),)), tj.FO())
    with pytest.raises(ValueError, match="negative, which method M4 rules out"):
        engine(p, tj.TrialData((tj.Subject("1", measurements=tj.Measurements.of([1.0], [-0.9])),)))


def test_simulated_values_above_zero_are_truncated_normal():
    p = tj.Population(Line(0.2, 0.0), residual={"level": tj.Additive(0.4)}, quantification={"level": tj.M4()})
    trial = tj.TrialData((tj.Subject("1", measurements=tj.Measurements.of(np.arange(50.0), np.zeros(50))),))
    drawn = simulate_measurements(p, trial, replicates=40, seed=1).ravel()
    law = scipy.stats.truncnorm(-0.5, np.inf, loc=0.2, scale=0.4)
    assert scipy.stats.kstest(drawn, law.cdf).pvalue > 1e-3


# ---------------------------------------------------------------------------------------------- correlated residuals

TWO = {"level": tj.Additive(0.7), "double": tj.Combined(0.4, 0.3)}


def two_trial(people=3):
    rng = np.random.default_rng(2)
    made = []
    for i in range(people):
        time = np.array([0.0, 0.0, 1.0, 2.0, 2.0, 2.0][: 6 - i % 2])
        output = ("level", "double", "double", "level", "double", "level")[: 6 - i % 2]
        made.append(tj.Subject(str(i), measurements=tj.Measurements(time, rng.normal(1.5, 1.0, len(time)), output)))
    return tj.TrialData(tuple(made))


def two_covariance(s, theta, f):
    """Residual covariance of one subject's measurements at predictions f."""
    double = np.array([o == "double" for o in s.measurements.output])
    combined = np.hypot(theta["double.additive"], theta["double.proportional"] * f)
    sd = np.where(double, combined, theta["level.additive"])
    correlation = np.eye(len(f))
    for i, j in ((0, 1), (3, 4)):  # the pairs measured together; the second level of 2.0 is a replicate
        if j < len(f):
            correlation[i, j] = correlation[j, i] = theta["corr.level.double"]
    return correlation * np.outer(sd, sd)


def test_correlated_outputs_are_a_multivariate_normal():
    p = tj.Population(
        Line(1.0, 0.5), variability={"base": tj.NaturalScale(0.8)}, residual=TWO,
        residual_correlations={("level", "double"): 0.6},
    )  # fmt: skip
    trial, theta = two_trial(), {n: float(v) for n, v in p.theta.items()}
    e = engine(p, trial, tj.FO())
    found = e.evaluate(packed(p, e))
    want = []
    for s in trial:
        factor = np.where([o == "double" for o in s.measurements.output], 2.0, 1.0)
        f = factor * (1.0 + 0.5 * s.measurements.time)
        v = two_covariance(s, theta, f) + theta["omega.base"] ** 2 * np.outer(factor, factor)
        density = scipy.stats.multivariate_normal(f, v).logpdf(s.measurements.value)
        want.append(-2 * density - len(f) * LOG_2PI)
    np.testing.assert_allclose(found.objective, want, rtol=1e-8)  # the integration's tolerance
    x, h = packed(p, e), 1e-4
    for k, slope in enumerate(e(x)[1]):
        step = h * np.eye(len(x))[k]
        assert slope == pytest.approx((e(x + step)[0] - e(x - step)[0]) / (2 * h), rel=1e-5, abs=1e-5)  # h^2


def test_information_of_correlated_residuals_is_the_expected_one():
    p = tj.Population(Line(1.0, 0.5), residual=TWO, residual_correlations={("level", "double"): 0.6})
    trial = two_trial(1)
    o = jax.tree.map(lambda a: a[0], engine(p, trial, tj.NaivePooled()).design.observed)
    f = jnp.asarray([1.0, 2.0, 3.0, 2.0, 4.0, 2.0])
    found = terms(p.errors(p.theta), ("level", "double"), o, f)
    theta = {n: float(v) for n, v in p.theta.items()}
    s, n = trial.subjects[0], len(f)
    v = two_covariance(s, theta, np.asarray(f))
    density = scipy.stats.multivariate_normal(np.asarray(f), v).logpdf(s.measurements.value)
    assert float(jnp.sum(found.objective)) == pytest.approx(-2 * density - n * LOG_2PI, rel=1e-12)
    h, inverse = 1e-5, np.linalg.inv(v)

    def moved(i):
        step = h * np.eye(n)[i]
        return (two_covariance(s, theta, np.asarray(f) + step) - two_covariance(s, theta, np.asarray(f) - step)) / (
            2 * h
        )

    by = [inverse @ moved(i) for i in range(n)]
    want = inverse + 0.5 * np.array([[np.trace(a @ b) for b in by] for a in by])
    np.testing.assert_allclose(found.information, want, rtol=1e-7, atol=1e-9)  # of the differences


def test_foce_counts_correlated_residuals():
    """Linear, with a constant covariance: FOCEI is exact too."""
    given = {"variability": {"base": tj.NaturalScale(0.8)}, "residual": {**TWO, "double": tj.Additive(0.9)}}
    p = tj.Population(Line(1.0, 0.5), **given, residual_correlations={("level", "double"): -0.4})
    found = [e(packed(p, e))[0] for e in (engine(p, two_trial(), m) for m in (tj.FO(), tj.FOCEI()))]
    assert found[0] == pytest.approx(found[1], rel=1e-8)  # the integration's tolerance


def test_residuals_correlated_in_time():
    p = tj.Population(Line(1.0, 0.5), residual={"level": tj.Additive(0.7)}, autocorrelation={"level": 0.6})
    time = np.array([0.0, 0.5, 2.0, 2.25])
    y = np.array([1.4, 1.6, 1.5, 2.9])
    trial = tj.TrialData((tj.Subject("1", measurements=tj.Measurements.of(time, y, "level")),))
    e = engine(p, trial, tj.NaivePooled())
    v = 0.49 * 0.6 ** np.abs(time[:, None] - time[None, :])
    want = -2 * scipy.stats.multivariate_normal(1.0 + 0.5 * time, v).logpdf(y) - 4 * LOG_2PI
    assert e(packed(p, e))[0] == pytest.approx(want, rel=1e-8)  # the integration's tolerance
    drawn = simulate_measurements(p, trial, replicates=3000, seed=5)[:, 0]
    error = np.sqrt((v**2 + 0.49**2) / 3000)
    assert np.max(np.abs(np.cov(drawn.T) - v) / error) < 4.5  # of 16 standardised errors
    twice = tj.Subject("1", measurements=tj.Measurements.of([0.0, 0.0], [1.0, 1.0], "level"))
    with pytest.raises(ValueError, match="measured twice at one time"):
        engine(p, tj.TrialData((twice,)), tj.NaivePooled())


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"residual_correlations": {("level", "level"): 0.2}}, "it is of two outputs"),
        ({"residual_correlations": {("level", "double"): 1.0}}, "between -1 and 1"),
        ({"autocorrelation": {"level": -0.2}}, "between 0 and 1"),
        ({"autocorrelation": {"plasma": 0.2}}, "no output with a residual error 'plasma'"),
        ({"residual_correlations": {("level", "double"): 0.1}, "autocorrelation": {"level": 0.2}}, "not both"),
        ({"quantification": {"plasma": tj.M4()}}, "no output with a residual error 'plasma'"),
    ],
)
def test_correlations_that_cannot_be_are_refused(given, said):
    with pytest.raises(ValueError, match=said):
        tj.Population(Line(1.0, 0.5), residual=TWO, **given)


# --------------------------------------------------------------------------------------------------------- other data

ORDERED = tj.Ordered(-0.5, (1.0, 0.7))
CUTS = np.array([-np.inf, -0.5, 0.5, 1.2, np.inf])


def ordered(k, f):
    return scipy.stats.logistic.cdf(CUTS[k + 1] - f) - scipy.stats.logistic.cdf(CUTS[k] - f)


@pytest.mark.parametrize(
    ("likelihood", "prediction", "law"),
    [
        (tj.Binary(), 0.3, lambda k: scipy.stats.bernoulli.pmf(k, 0.3)),
        (tj.Logistic(), 0.4, lambda k: scipy.stats.bernoulli.pmf(k, 1 / (1 + np.exp(-0.4)))),
        (tj.Poisson(), 2.3, lambda k: scipy.stats.poisson.pmf(k, 2.3)),
        (tj.NegativeBinomial(0.6), 2.3, lambda k: scipy.stats.nbinom.pmf(k, 1 / 0.6, 1 / (1 + 0.6 * 2.3))),
        (ORDERED, 0.4, lambda k: ordered(k, 0.4)),
    ],
    ids=lambda x: type(x).__name__,
)
def test_likelihoods_of_other_data(likelihood, prediction, law):
    values = [float(k) for k in range(40) if likelihood.valid(np.array([k]))[0]]
    found = np.array([likelihood.log_density(y, jnp.asarray(prediction)) for y in values])
    p = np.array([law(int(y)) for y in values])
    np.testing.assert_allclose(found, np.log(p), rtol=1e-9)
    if not isinstance(likelihood, tj.Ordered):  # whose information is the observed one
        slope = jax.vmap(lambda y: jax.grad(lambda f: likelihood.log_density(y, f))(prediction))(jnp.asarray(values))
        information = likelihood.information(0.0, jnp.asarray(prediction))[0]
        assert float(information) == pytest.approx(float(np.sum(p * slope**2)), rel=1e-6)  # the sum ends at 40
    drawn = jax.vmap(lambda k: likelihood.sample(k, jnp.asarray(prediction)))(jax.random.split(jax.random.key(3), 4000))
    count = np.array([np.sum(np.asarray(drawn) == y) for y in values])
    assert count.sum() == 4000
    some = 4000 * p > 5
    assert scipy.stats.chisquare(count[some], 4000 * p[some] * count[some].sum() / (4000 * p[some]).sum()).pvalue > 1e-3


def laplace(y, log_density, base, sd):
    """-2 log of Laplace's approximation of one subject's likelihood with a normal random intercept, by scipy."""

    def joint(eta):
        return -2 * np.sum(log_density(y, base + eta)) + (eta / sd) ** 2 + 2 * np.log(sd)

    eta = scipy.optimize.minimize_scalar(joint, bounds=(-4, 4), method="bounded", options={"xatol": 1e-10}).x
    h = 1e-4
    return joint(eta) + np.log(0.5 * (joint(eta + h) - 2 * joint(eta) + joint(eta - h)) / h**2)


def log_logistic(y, f):
    return -np.log1p(np.exp(np.where(y > 0.5, -f, f)))


def log_poisson(y, f):
    return scipy.stats.poisson.logpmf(y, np.exp(f))


@pytest.mark.parametrize(
    ("output", "likelihood", "density", "y"),
    [
        ("odds", tj.Logistic(), log_logistic, [0, 1, 1, 1, 0, 1.0]),
        ("mean", tj.Poisson(), log_poisson, [0, 3, 2, 1, 4, 1.0]),
    ],
)
def test_random_intercepts_of_other_data(output, likelihood, density, y):
    """With their canonical links the expected information is the observed one, so FOCEI is Laplace's approximation."""
    trial = tj.TrialData(tuple(
        tj.Subject(str(i), measurements=tj.Measurements.of(np.arange(6.0)[: 6 - i], np.array(y)[: 6 - i], output))
        for i in range(3)
    ))  # fmt: skip
    p = tj.Population(Weibull(0.1, 1.0, 0.3), variability={"base": tj.NaturalScale(0.9)}, residual={output: likelihood},
                      fixed=["rate", "shape"])  # fmt: skip
    e = engine(p, trial)
    want = [laplace(np.array(y)[: 6 - i], density, 0.3, 0.9) for i in range(3)]
    np.testing.assert_allclose(e.evaluate(packed(p, e)).objective, want, rtol=1e-6)  # of scipy's second difference
    with pytest.raises(ValueError, match="FO has no likelihood for"):
        engine(p, trial, tj.FO())


# ------------------------------------------------------------------------------------------------------ time to event

LIVES = [(3.0, 1), (5.0, 1), (8.0, 0), (1.5, 1), (8.0, 0), (6.2, 1)]
"""Times, and 1 for an event, 0 for the end of observation."""


def lives(records=None):
    records = [[(0.0, 0), life] for life in LIVES] if records is None else records
    return tj.TrialData(tuple(
        tj.Subject(str(i), measurements=tj.Measurements.of([t for t, _ in r], [float(y) for _, y in r], "hazard"))
        for i, r in enumerate(records)
    ))  # fmt: skip


def lifetimes(**more):
    given = {"residual": {"hazard": tj.TimeToEvent("cumulative")}, "fixed": ["base", "shape"], **more}
    return tj.Population(Weibull(0.08, 1.0, 0.3), **given)


def test_exponential_lifetimes_have_events_over_exposure():
    fit = tj.fit(lifetimes(), lives(), method=tj.NaivePooled(), optimiser=tj.BFGS(1e-7))
    events, exposure = sum(y for _, y in LIVES), sum(t for t, _ in LIVES)
    assert fit.theta["rate"] == pytest.approx(events / exposure, rel=1e-6)
    assert fit.objective == pytest.approx(-2 * (events * np.log(events / exposure) - events), rel=1e-8)
    assert fit.minus_two_log_likelihood == fit.objective  # no normal density, no constant
    assert fit.table.se["rate"] == pytest.approx(np.sqrt(events) / exposure, rel=1e-4)  # of the second difference
    assert diagnose(fit)[["RES", "CWRES"]].isna().all(axis=None)


def test_weibull_lifetimes_exact_censored_between_and_repeated():
    records = [
        [(0.0, 0), (3.0, 1)], [(0.0, 0), (8.0, 0)], [(0.0, 0), (2.0, 0), (5.0, 2)], [(0.0, 0), (2.5, 1), (6.0, 1), (7.0, 0)],
    ]  # fmt: skip
    p = lifetimes(fixed=["base"]).with_theta({"shape": 1.7})
    e = engine(p, lives(records), tj.NaivePooled())
    law = scipy.stats.weibull_min(1.7, scale=1 / 0.08)
    hazard = law.logpdf([2.5, 6.0]) - law.logsf([2.5, 6.0])
    want = -2 * np.array([
        law.logpdf(3.0), law.logsf(8.0), np.log(law.sf(2.0) - law.sf(5.0)), law.logsf(7.0) + hazard.sum(),
    ])  # fmt: skip
    x = packed(p, e)
    np.testing.assert_allclose(e.evaluate(x).objective, want, rtol=1e-6)  # the integration's tolerance
    h = 1e-5
    for k, slope in enumerate(e(x)[1]):
        step = h * np.eye(len(x))[k]
        assert slope == pytest.approx((e(x + step)[0] - e(x - step)[0]) / (2 * h), rel=1e-5)  # h^2 and the integration


def test_frailty_by_laplace():
    """A log-normal random effect on the rate: scipy's mode and second difference."""
    records = [[(0.0, 0), (3.0, 1), (5.0, 1), (8.0, 0)], [(0.0, 0), (8.0, 0)], [(0.0, 0), (2.0, 0), (5.0, 2), (6.0, 1)]]
    p = lifetimes(variability={"rate": 0.6}, fixed=["base"]).with_theta({"rate": 0.2, "shape": 1.3})
    e = engine(p, lives(records), tj.Laplace())
    x = packed(p, e)

    def joint(record, eta):
        law, total, before = scipy.stats.weibull_min(1.3, scale=1 / (0.2 * np.exp(eta))), 0.0, 0.0
        for t, y in record[1:]:
            survived = law.logsf(t) - law.logsf(before)
            own = (survived, survived + law.logpdf(t) - law.logsf(t), np.log1p(-np.exp(survived)))
            total, before = total + own[y], t
        return -2 * total + (eta / 0.6) ** 2 + 2 * np.log(0.6)

    want, h = [], 1e-3
    for r in records:
        at = scipy.optimize.minimize_scalar(lambda eta, r=r: joint(r, eta), bounds=(-4, 4), method="bounded").x
        want.append(joint(r, at) + np.log(0.5 * (joint(r, at + h) - 2 * joint(r, at) + joint(r, at - h)) / h**2))
    np.testing.assert_allclose(e.evaluate(x).objective, want, rtol=1e-6)  # scipy's mode and difference
    h = 1e-4
    for k, slope in enumerate(e(x)[1]):
        step = h * np.eye(len(x))[k]
        assert slope == pytest.approx((e(x + step)[0] - e(x - step)[0]) / (2 * h), rel=1e-4)  # h^2 and the integration


def test_simulated_lifetimes_are_seen_between_visits():
    p = lifetimes()
    drawn = simulate_measurements(p, lives([[(t, 0) for t in (0.0, 2.0, 5.0)]]), replicates=4000, seed=2)
    assert drawn.shape[:2] == (4000, 1)
    assert np.all(drawn[:, 0, 0] == 0)
    for k, risk in ((1, 0.16), (2, 0.24)):
        want = 1 - np.exp(-risk)
        assert np.mean(drawn[:, 0, k] == 2) == pytest.approx(want, abs=4 * np.sqrt(want * (1 - want) / 4000))


def test_events_that_cannot_be_are_refused():
    with pytest.raises(ValueError, match="use Laplace"):
        engine(lifetimes(variability={"rate": 0.2}), lives())
    with pytest.raises(ValueError, match="begin with a record of 0"):
        engine(lifetimes(), lives([[(3.0, 1)]]), tj.NaivePooled())
    with pytest.raises(ValueError, match="a value of hazard is 3"):
        engine(lifetimes(), lives([[(0.0, 0), (1.0, 3)]]), tj.NaivePooled())
    with pytest.raises(ValueError, match="no output that hazard reads 'sum'"):
        engine(lifetimes(residual={"hazard": tj.TimeToEvent("sum")}), lives(), tj.NaivePooled())
    m = tj.Measurements.of([0.0, 1.0], [0.0, 1.0], "hazard", censored=[0, 1])
    with pytest.raises(ValueError, match="is censored, which TimeToEvent knows nothing of"):
        engine(lifetimes(), tj.TrialData((tj.Subject("1", measurements=m),)), tj.NaivePooled())
