"""Residual errors that vary between people (an eta on epsilon): beside the joint density written out in NumPy."""

import jax
import numpy as np
import pytest
import scipy.optimize
import scipy.stats
from test_estimation import gradient_errors
from test_marginal import start
from test_search import Bolus

import twinjax as tj
from twinjax.assimilation.twin import random_key
from twinjax.models import OneCompartment

DOSES, TIMES = tj.Regimen.dose(200.0), np.array([2.0, 6.0, 12.0, 24.0, 36.0])
VALUES = np.array([[4.4, 3.3, 2.2, 0.9, 0.31], [6.1, 2.0, 2.9, 1.2, 0.25], [4.9, 3.9, 2.6, 1.2, 0.5]])
ADDITIVE, PROPORTIONAL, OMEGA = 0.1, 0.15, np.array([0.3, 0.5])

POPULATION = tj.Population(
    OneCompartment(cl=3.0, v=40.0), variability={"cl": OMEGA[0], "plasma.proportional": OMEGA[1]},
    residual=tj.Combined(ADDITIVE, PROPORTIONAL),
)  # fmt: skip
TRIAL = tj.TrialData(tuple(tj.Subject(str(i), DOSES, tj.Measurements.of(TIMES, y)) for i, y in enumerate(VALUES)))


def moments(eta):
    """Predictions and variances, at random effects `(..., 2)`."""
    eta = np.asarray(eta)[..., None]
    f = 5.0 * np.exp(-3.0 / 40.0 * np.exp(eta[..., 0, :]) * TIMES)
    return f, ADDITIVE**2 + np.square(PROPORTIONAL * np.exp(eta[..., 1, :]) * f)


def joint(eta, y):
    """-2 log of the density of data and random effects, without the constants of the data's."""
    f, v = moments(eta)
    data = np.sum(np.square(y - f) / v + np.log(v), axis=-1)
    return data + np.sum(np.square(eta / OMEGA), axis=-1) + 2.0 * np.sum(np.log(OMEGA))


def differences(function, at, h=1e-4):
    return np.stack([(function(at + h * e) - function(at - h * e)) / (2 * h) for e in np.eye(2)], axis=-1)


def mode(y):
    return scipy.optimize.minimize(joint, np.zeros(2), (y,), method="Nelder-Mead",
                                   options={"xatol": 1e-9, "fatol": 1e-13}).x  # fmt: skip


def almquist(y):
    """FOCEI: with a = df/d eta and c = d log R/d eta, the curvature is a a'/R + c c'/2 + Omega^-1."""
    at = mode(y)
    a, c = (differences(lambda e, k=k: (moments(e)[0], np.log(moments(e)[1]))[k], at) for k in (0, 1))
    curvature = a.T @ (a / moments(at)[1][:, None]) + 0.5 * c.T @ c + np.diag(OMEGA**-2.0)
    return joint(at, y) + np.linalg.slogdet(curvature)[1]


def test_focei_is_almquists():
    engine, x = start(POPULATION, TRIAL, tj.FOCEI(), Bolus())
    assert engine(x)[0] == pytest.approx(sum(almquist(y) for y in VALUES), abs=1e-6)  # what differences leave
    assert gradient_errors(engine, x).max() < 1e-5


@pytest.fixture(scope="module")
def twin():
    before = tj.Twin.of(POPULATION, doses=DOSES, backend=Bolus())
    return before, tj.assimilate(before, tj.Measurements.of(TIMES, VALUES[1]))


def test_a_twin_learns_how_its_patient_scatters(twin):
    """The mode and its curvature, what the news were against what was foreseen, and the band of measurements to come."""
    before, after = twin
    at = mode(VALUES[1])
    np.testing.assert_allclose(after.belief.mean[0], at, atol=1e-6)
    assert at[1] > 0.3  # twice a measurement is far off
    hessian = differences(lambda e: differences(lambda q: joint(q, VALUES[1]), e), at)
    np.testing.assert_allclose(after.belief.covariance[0], 2.0 * np.linalg.inv(hessian), rtol=1e-4)  # by differences

    eta = np.asarray(before.belief.draw(jax.random.fold_in(random_key(before.seed, 1, "learn"), 1), 256)[0])
    f, v = moments(eta)
    first = after.trail[-1]["innovations"][0]
    assert first["sd"] ** 2 == pytest.approx(np.mean(v[:, 0]) + np.var(f[:, 0]), rel=1e-9)
    assert first["quantile"] == pytest.approx(
        np.mean(scipy.stats.norm.cdf((6.1 - f[:, 0]) / np.sqrt(v[:, 0]))), rel=1e-9
    )

    ahead = tj.forecast(after, np.array([3.0]), draws=20_000)
    drawn = np.asarray(after.belief.draw(random_key(after.seed, len(after.trail), "forecast"), 20_000)[0])
    f = 5.0 * np.exp(-3.0 / 40.0 * np.exp(drawn[:, 0]) * 3.0)
    sd = np.sqrt(ADDITIVE**2 + np.square(PROPORTIONAL * np.exp(drawn[:, 1]) * f))
    inside = scipy.stats.norm.cdf((ahead.band(measured=True)[:, 0][:, None] - f) / sd).mean(axis=1)
    np.testing.assert_allclose(inside, [0.05, 0.5, 0.95], atol=0.012)  # four standard errors of a quantile by draws


def test_particles_agree_with_the_grid(twin):
    """Mean of the posterior within four of its Monte Carlo errors."""
    grid = np.stack(np.meshgrid(*(np.linspace(-6.0 * s, 6.0 * s, 401) for s in OMEGA), indexing="ij"), axis=-1)
    weight = np.exp(-0.5 * (joint(grid, VALUES[1]) - joint(mode(VALUES[1]), VALUES[1])))
    mean = np.einsum("ab,abi->i", weight, grid) / weight.sum()
    sd = np.sqrt(np.einsum("ab,abi->i", weight, np.square(grid - mean)) / weight.sum())
    filtered = tj.Twin.of(POPULATION, doses=DOSES, backend=Bolus(), method=tj.ParticleFilter(particles=2000))
    filtered = tj.assimilate(filtered, tj.Measurements.of(TIMES, VALUES[1]))
    off = np.abs(np.asarray(filtered.belief.mean[0]) - mean) / sd
    assert np.all(off < 4.0 / np.sqrt(filtered.trail[-1]["effective"]))


TRUTH = tj.Population(
    OneCompartment(cl=3.0, v=40.0), variability={"cl": 0.3, "plasma.proportional": 0.6}, residual=tj.Proportional(0.15)
)
FAR = {"cl": 2.0, "omega.cl": 0.6, "plasma.proportional": 0.4, "omega.plasma.proportional": 0.2}


@pytest.fixture(scope="module")
def fit():
    design = tj.TrialData(tuple(
        tj.Subject(str(i), DOSES, tj.Measurements.of(np.arange(1.0, 13.0), np.ones(12))) for i in range(80)
    ))  # fmt: skip
    trial = tj.simulate_trial(TRUTH, design, 5, backend=Bolus())
    return tj.fit(TRUTH.with_theta(FAR), trial, method=tj.SAEM(), backend=Bolus(), covariance=False)


def test_saem_finds_what_data_were_made_with(fit):
    """From far off; within three standard errors of logarithms, which by the numbers of people and values are at least
    omega / sqrt(80) of typical values and 1 / sqrt(160) of deviations, each here with a quarter more for shrinkage.
    """
    for name, error in (("cl", 0.3 / 80**0.5), ("omega.cl", 160**-0.5), ("plasma.proportional", 0.6 / 80**0.5),
                        ("omega.plasma.proportional", 160**-0.5)):  # fmt: skip
        assert abs(np.log(fit.theta[name] / TRUTH.theta[name])) < 3.0 * 1.25 * error


def test_standardised_residuals_are_each_persons(fit):
    table, etas = tj.diagnose(fit), np.asarray(fit.eta)[:, list(fit.population.etas).index("plasma.proportional")]
    sd = fit.theta["plasma.proportional"] * np.repeat(np.exp(etas), 12) * table.IPRED
    np.testing.assert_allclose(table.IWRES, table.IRES / sd, rtol=1e-9)
    scatter = np.log(table.IWRES.to_numpy().reshape(-1, 12).std(axis=1))
    naive = np.log((table.IRES / table.IPRED).to_numpy().reshape(-1, 12).std(axis=1))
    assert scatter.std() < 0.5 * naive.std()  # else some people's would be wide


def test_what_does_not_go_with_it_is_refused_in_words():
    both = {"variability": {"cl": 0.3, "plasma.additive": 0.5}}
    with pytest.raises(ValueError, match="independent normal residual errors only"):
        tj.Population(
            OneCompartment(cl=3.0, v=40.0), residual=tj.Additive(0.1), autocorrelation={"plasma": 0.5}, **both
        )
    with pytest.raises(ValueError, match="independent normal residual errors only"):
        tj.Population(
            OneCompartment(cl=3.0, v=40.0), residual=tj.StudentT(tj.Additive(0.1)),
            variability={"plasma.error.additive": 0.5},
        )  # fmt: skip
    with pytest.raises(ValueError, match=r"no parameter 'plasma\.addtive'; did you mean"):
        tj.Population(OneCompartment(cl=3.0, v=40.0), residual=tj.Additive(0.1), variability={"plasma.addtive": 0.5})
    for method, why in ((tj.FO(), "at eta = 0"), (tj.FOCE(), "at eta = 0"), (tj.TwoStage(), r"that vary.*use FOCEI")):
        with pytest.raises(ValueError, match=why):
            tj.fit(POPULATION, TRIAL, method=method)
    below = tj.Subject("0", DOSES, tj.Measurements([1.0, 30.0], [4.0, 0.2], ("plasma",) * 2, [0, 1]))
    with pytest.raises(ValueError, match="use Laplace"):
        tj.fit(POPULATION, tj.TrialData((below,)), method=tj.FOCEI())
    for method in (tj.EnsembleKalman(), tj.StateEnsembleKalman(tj.ProcessNoise({"central": 1.0}))):
        twin = tj.Twin.of(POPULATION, doses=DOSES, method=method)
        with pytest.raises(ValueError, match="alike in everybody"):
            tj.assimilate(twin, tj.Measurements.of(TIMES, VALUES[0]))
    for method in (tj.MAP(search=tj.FOCE()), tj.LaplaceImportance(search=tj.FOCE())):
        twin = tj.Twin.of(POPULATION, doses=DOSES, method=method)
        with pytest.raises(ValueError, match=r"FOCE searches modes .* at eta = 0, and plasma\.proportional varies"):
            tj.assimilate(twin, tj.Measurements.of(TIMES, VALUES[0]))
    with pytest.raises(ValueError, match="there is no parameter with variability"):
        tj.drifting(POPULATION, {"plasma.proportional": 0.1}, [10.0])
