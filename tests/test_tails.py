"""Residual errors with heavy tails: beside SciPy's laws, the posterior written out, and what an outlier does."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize
import scipy.stats

import twinjax as tj
from twinjax.assimilation.twin import random_key
from twinjax.estimation.likelihood import observations, terms
from twinjax.models import OneCompartment

Z = np.array([-300.0, -20.0, -3.0, -0.7, 0.0, 0.4, 2.5, 9.0])
INNER = tj.Additive(1.0)


def mixture(z, share=0.1, times=6.0):
    return (1 - share) * scipy.stats.norm.pdf(z) + share * scipy.stats.norm.pdf(z, scale=times)


@pytest.mark.parametrize("df", [2.5, 4.0, 30.0])
def test_student_is_scipys(df):
    error, law = tj.StudentT(INNER, df), scipy.stats.t(df)
    np.testing.assert_allclose(error.log_density(Z), law.logpdf(Z), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(error.log_cumulative(Z), law.logcdf(Z), rtol=1e-10)  # of the incomplete beta function
    hazard = jax.jvp(error.log_cumulative, (Z,), (np.ones_like(Z),))[1]
    np.testing.assert_allclose(hazard, law.pdf(Z) / law.cdf(Z), rtol=1e-9)
    assert error.spread == pytest.approx(law.var())
    place, scale = error.information
    u = (np.arange(200_000) + 0.5) / 200_000  # the mean over quantiles: of bounded functions, to 1e-5
    z = law.ppf(u)
    score = (df + 1) * z / (df + z * z)
    assert place == pytest.approx(np.mean(score**2), abs=1e-4)
    assert scale == pytest.approx(np.mean(0.25 * (z * score - 1) ** 2), abs=1e-4)


def test_a_contaminated_normal_is_the_mixture():
    error = tj.ContaminatedNormal(INNER, 0.1, 6.0)
    z = Z[1:]
    np.testing.assert_allclose(error.log_density(z), np.log(mixture(z)), rtol=1e-12)
    cdf = 0.9 * scipy.stats.norm.cdf(z) + 0.1 * scipy.stats.norm.cdf(z / 6.0)
    np.testing.assert_allclose(error.log_cumulative(z), np.log(cdf), rtol=1e-12)
    fine = np.linspace(-60.0, 60.0, 60_001)
    assert error.spread == pytest.approx(np.trapezoid(fine**2 * mixture(fine), fine))
    place, _ = error.information
    own = np.trapezoid(np.asarray(error.score(fine)) ** 2 * mixture(fine), fine)
    assert own < place < 1.0  # that of knowing which are contaminated is more


@pytest.mark.parametrize(
    "error", [tj.StudentT(INNER), tj.ContaminatedNormal(INNER, 0.1, 6.0)], ids=lambda e: type(e).__name__
)
def test_what_errors_share(error):
    slope = jax.jvp(error.log_density, (Z,), (np.ones_like(Z),))[1]
    np.testing.assert_allclose(error.score(Z), -slope, rtol=1e-10, atol=1e-12)
    drawn = error.deviate(jax.random.key(3), jax.random.normal(jax.random.key(4), (20000,)))
    below = np.exp(np.asarray(error.log_cumulative(jnp.asarray(drawn))))
    assert scipy.stats.kstest(below, "uniform").pvalue > 0.01


# ------------------------------------------------------------------------------------------------------------ a patient


def population(error):
    return tj.Population(OneCompartment(cl=3.0, v=40.0), variability={"cl": 0.4, "v": 0.25}, residual=error)


DOSES = tj.Regimen.dose(200.0)
TIMES, VALUES = np.array([2.0, 6.0, 12.0, 24.0]), np.array([4.4, 3.3, 2.2, 0.9])


def posterior(eta, law, limit=None, values=VALUES):
    """Minus its logarithm; the last time is below a limit, or between one and another."""
    v = 40.0 * np.exp(eta[1])
    f = 200.0 / v * np.exp(-3.0 * np.exp(eta[0]) / v * np.append(TIMES, 40.0))
    scale = 0.1 * f
    data = law.logpdf((values - f[:4]) / scale[:4]).sum() - np.log(scale[:4]).sum()
    if limit is not None:
        data += np.log(law.cdf((limit[1] - f[4]) / scale[4]) - law.cdf((limit[0] - f[4]) / scale[4]))
    return -data - scipy.stats.norm.logpdf(eta, scale=[0.4, 0.25]).sum()


def learnt(error, values, *more):
    twin = tj.Twin.of(population(error), doses=DOSES)
    return tj.assimilate(
        twin, tj.Measurements(np.append(TIMES, 40.0), np.append(values, 0.3), (1,) * 5, [0, 0, 0, 0, 1], *more)
    )


@pytest.mark.parametrize("low", [-np.inf, 0.0])
def test_the_mode_is_that_of_the_posterior(low):
    """With a value below its limit, and between two."""
    twin = learnt(tj.StudentT(tj.Proportional(0.1), 4.0), VALUES, [-np.inf] * 4 + [low])
    found = scipy.optimize.minimize(posterior, np.zeros(2), (scipy.stats.t(4.0), (low, 0.3)), method="Nelder-Mead",
                                    options={"xatol": 1e-8, "fatol": 1e-13})  # fmt: skip
    assert twin.trail[-1]["settled"]
    np.testing.assert_allclose(twin.belief.mean[0], found.x, atol=1e-6)
    first = twin.trail[-1]["innovations"][0]
    before = tj.Twin.of(population(tj.StudentT(tj.Proportional(0.1), 4.0)), doses=DOSES)
    eta = before.belief.draw(jax.random.fold_in(random_key(before.seed, 1, "learn"), 1), 256)[0]  # those it judges by
    v = 40.0 * np.exp(eta[:, 1])
    f = 200.0 / v * np.exp(-3.0 * np.exp(eta[:, 0]) / v * 2.0)
    assert first["quantile"] == pytest.approx(np.mean(scipy.stats.t(4.0).cdf((4.4 - f) / (0.1 * f))), rel=1e-9)
    variance = np.mean(2.0 * (0.1 * f) ** 2) + np.var(f)  # Student's is twice the square of its scale
    assert first["sd"] ** 2 == pytest.approx(variance, rel=1e-9)


def test_a_gross_outlier_moves_the_twin_little():
    """A value ten times too large: by less than a standard deviation, where it drags a normal error's mode away."""
    wrong = VALUES * np.array([1.0, 1.0, 10.0, 1.0])
    error = tj.StudentT(tj.Proportional(0.1), 4.0)
    clean, dirty = learnt(error, VALUES), learnt(error, wrong)
    sd = np.sqrt(np.diag(clean.belief.covariance[0]))
    normal = [
        scipy.optimize.minimize(posterior, np.zeros(2), (scipy.stats.norm(), (-np.inf, 0.3), v), method="Nelder-Mead").x
        for v in (VALUES, wrong)
    ]
    assert np.max(np.abs(dirty.belief.mean[0] - clean.belief.mean[0]) / sd) < 1.0
    assert np.max(np.abs(normal[1] - normal[0]) / sd) > 3.0


@pytest.mark.parametrize(
    "error", [tj.StudentT(tj.Proportional(0.1), 5.0), tj.ContaminatedNormal(tj.LogNormalError(0.1))]
)
def test_terms_of_the_likelihood(error):
    """Density of each measurement, less log(2 pi) of the normal's convention; the information in the prediction."""
    trial = tj.TrialData((tj.Subject("a", DOSES, tj.Measurements.of(TIMES, VALUES)),), "one")
    own = jax.tree.map(lambda a: a[0], observations(population(error), trial))
    f = np.array([4.0, 3.5, 1.0, 0.9])
    found = terms({"plasma": error}, ("plasma",), own, jnp.asarray(f))
    place, scale = error.information
    if isinstance(error, tj.StudentT):
        log_p = scipy.stats.t(5.0).logpdf((VALUES - f) / (0.1 * f)) - np.log(0.1 * f)
        information = (place / 0.01 + 4.0 * scale) / f**2
    else:
        log_p = np.log(mixture((np.log(VALUES) - np.log(f)) / 0.1, 0.05, 5.0) / 0.1)
        information = place / 0.01 / f**2
    np.testing.assert_allclose(found.objective, -2.0 * log_p - np.log(2 * np.pi), rtol=1e-10)
    np.testing.assert_allclose(found.information, information, rtol=1e-10)


def test_what_tails_cannot_do():
    with pytest.raises(ValueError, match="no variance"):
        tj.StudentT(INNER, 2.0)
    with pytest.raises(ValueError, match="between 0 and 1"):
        tj.ContaminatedNormal(INNER, 1.5)
    with pytest.raises(ValueError, match="heavy tails; correlations"):
        tj.Population(OneCompartment(cl=3.0, v=40.0), variability={"cl": 0.4}, residual=tj.StudentT(INNER),
                      autocorrelation={"plasma": 0.5})  # fmt: skip
    with pytest.raises(ValueError, match="independent normal residual errors"):
        tj.assimilate(tj.Twin.of(population(tj.StudentT(INNER)), doses=DOSES, method=tj.ExtendedKalman()),
                      tj.Measurements.of([2.0], [4.0]))  # fmt: skip
    trial = tj.TrialData((tj.Subject("a", DOSES, tj.Measurements.of(TIMES, VALUES)),), "one")
    with pytest.raises(ValueError, match="have heavy tails"):
        tj.fit(population(tj.StudentT(INNER)), trial, method=tj.FO())
