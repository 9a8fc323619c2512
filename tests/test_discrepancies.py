"""NPDE and the numerical check: against the published formulas written out, a closed form, and the laws they obey."""

import dataclasses
import functools

import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg
import scipy.stats

from tests.lines import Line
from twinjax import (
    FOCEI,
    Additive,
    Exact,
    LogNormalError,
    Measurements,
    NaturalScale,
    Poisson,
    Population,
    Proportional,
    Regimen,
    Subject,
    TrialData,
)
from twinjax.estimation.diagnosis import npde as module
from twinjax.estimation.diagnosis.individual import eta_covariates, individual_objectives
from twinjax.estimation.diagnosis.npde import npde_tests
from twinjax.estimation.diagnosis.numerical_check import numerical_check as check
from twinjax.estimation.diagnosis.simulation import simulate_measurements, simulate_trial
from twinjax.estimation.evidence.uncertainty import Uncertainty
from twinjax.estimation.result import Fit
from twinjax.models import OneCompartment
from twinjax.solve.problem import AbstractBackend, Solution

TIMES = np.array([0.5, 2.0, 6.0, 12.5, 24.0])


class Bolus(AbstractBackend):
    """One compartment after boluses, written out: quick to compile."""

    def refusal(self, problem):
        return None

    def solve(self, problem):
        m, d = problem.model, problem.doses
        since = problem.time[:, :, None] - d.time[:, None, :]
        given = d.given[:, None, :] & (since >= 0)
        shape = jnp.exp(-m.cl[:, :, None] / m.v[:, :, None] * jnp.where(given, since, 0.0)) / m.v[:, :, None]
        plasma = jnp.sum(jnp.where(given, d.amount[:, None, :] * shape, 0.0), axis=2)
        none = jnp.zeros(problem.patients, int)
        return Solution(problem.time, type(m).Output(plasma=plasma), None, none, none)


npde = functools.partial(module.npde, backend=Bolus())
numerical_check = functools.partial(check, backend=Bolus())


@functools.cache
def design(people=60):
    dose, blank = Regimen.dose(100), Measurements.of(TIMES, np.full(5, np.nan))
    return TrialData(tuple(Subject(str(i), dose, blank, {"weight": 50.0 + i, "sex": i % 2.0}) for i in range(people)))


def population(residual=None, **theta):
    p = Population(
        OneCompartment(cl=3.0, v=20.0), variability={"cl": 0.3, "v": 0.2}, residual=residual or Additive(0.2)
    )
    return p.with_theta({**p.theta, **theta})


@functools.cache
def simulated(lloq=None, seed=3):
    return simulate_trial(population(), design(), seed, lloq=lloq, backend=Bolus())


def columns(table, name, people=60):
    return table[name].to_numpy(float).reshape(people, 5)


# ----------------------------------------------------------------------------------------------------------------- NPDE


def test_npde_by_the_published_formulas():
    """Brendel 2006, equations 2 to 5, with loops and an explicit inverse, from the same simulations."""
    for p in (population(), population(LogNormalError(0.1))):
        moved = np.log if isinstance(p.residuals["plasma"], LogNormalError) else np.asarray
        trial = simulate_trial(p, design(), 8, backend=Bolus())
        table = npde(p, trial, replicates=200, seed=4)
        drawn = simulate_measurements(p, trial, replicates=200, seed=4, backend=Bolus())
        for i in (0, 7, 59):
            y, s = moved(trial.subjects[i].measurements.value), moved(drawn[:, i])
            mean, root = s.mean(axis=0), np.linalg.inv(scipy.linalg.cholesky(np.cov(s.T, ddof=1), lower=True))
            own, each = root @ (y - mean), (s - mean) @ root.T
            expected, plain = [], []
            for j in range(5):
                pde, pd = (sum(k < v for k in column) / 200 for v, column in ((own[j], each[:, j]), (y[j], s[:, j])))
                expected.append(scipy.stats.norm.ppf(min(max(pde, 1 / 400), 1 - 1 / 400)))
                plain.append(scipy.stats.norm.ppf(min(max(pd, 1 / 400), 1 - 1 / 400)))
            np.testing.assert_allclose(columns(table, "NPDE")[i], expected, rtol=1e-12, atol=1e-12)
            np.testing.assert_allclose(columns(table, "NPD")[i], plain, rtol=1e-12, atol=1e-12)
            np.testing.assert_allclose(columns(table, "EPRED")[i], drawn[:, i].mean(axis=0), rtol=1e-12)
        assert table["ID"].tolist() == [s.id for s in trial for _ in range(5)]


def test_npde_of_a_linear_model_are_its_exact_standardised_residuals():
    """y = 100 u exp(-0.15 t) + e with u normal: E and the covariance are known, and NPDE tend to L^-1 (y - E)."""
    p = Population(
        OneCompartment(cl=3.0, v=20.0), thetas={"u": 0.05}, variability={"u": NaturalScale(0.01)},
        residual=Additive(0.2),
        individual=lambda theta, eta, _: OneCompartment(cl=0.15 / (theta["u"] + eta["u"]), v=1 / (theta["u"] + eta["u"])),
    )  # fmt: skip
    trial = simulate_trial(p, design(10), 1, backend=Bolus())
    table = npde(p, trial, replicates=20_000, seed=2, chunk=400)
    f = 100 * np.exp(-0.15 * TIMES)
    chol = np.linalg.cholesky(np.outer(f, f) * 0.01**2 + 0.2**2 * np.eye(5))
    exact = np.stack([np.linalg.solve(chol, s.measurements.value - 0.05 * f) for s in trial])
    inside = np.abs(exact) < 2
    assert inside.sum() > 40
    # the error of a quantile of 20,000 normal draws at 2 is 0.02; 4 of them, and that of the covariance
    np.testing.assert_allclose(columns(table, "NPDE", 10)[inside], exact[inside], atol=0.1)


def test_npde_of_data_from_the_model_are_standard_normal():
    table = npde(population(), simulated(), replicates=1000, seed=9)
    assert scipy.stats.kstest(table["NPDE"], "norm").pvalue > 0.05
    tests = npde_tests(table).loc["plasma"]
    assert tests["count"] == 300
    assert tests["p"] > 0.05
    assert abs(tests["mean"]) < 3 / np.sqrt(300)
    together = np.corrcoef(columns(table, "NPDE").T)
    before = np.corrcoef(columns(table, "NPD").T)
    assert np.max(np.abs(together - np.eye(5))) < 4 / np.sqrt(60)  # decorrelated: 4 standard errors
    assert before[0, 1] > 4 / np.sqrt(60)  # as the discrepancies are not


def test_npde_of_a_wrong_model_are_not():
    table = npde(population(cl=4.0), simulated(), replicates=500, seed=9)
    assert npde_tests(table).loc["plasma", "p"] < 1e-6
    assert npde_tests(table, "NPD").loc["plasma", "p mean"] < 1e-6


def test_censored_values_are_imputed_within_their_interval():
    trial = simulated(lloq=1.0)
    censored = np.stack([s.measurements.censored for s in trial]).astype(bool)
    assert 40 < censored.sum() < 200
    table, plain = (
        npde(population(), trial, replicates=1000, seed=9),
        npde(population(), simulated(), replicates=1000, seed=9),
    )
    drawn = simulate_measurements(population(), trial, replicates=1000, seed=9, backend=Bolus())
    below = scipy.stats.norm.ppf(np.clip(np.mean(drawn < 1.0, axis=0), 5e-4, 1 - 5e-4))
    npd = columns(table, "NPD")
    assert np.all(npd[censored] <= below[censored] + 1e-9)
    np.testing.assert_allclose(npd[~censored], columns(plain, "NPD")[~censored])
    for name in ("NPD", "NPDE"):
        assert scipy.stats.kstest(table[name], "norm").pvalue > 0.01
    # as if they were measured at the limit, they are not
    at = TrialData(
        tuple(dataclasses.replace(s, measurements=Measurements.of(TIMES, s.measurements.value)) for s in trial)
    )
    assert scipy.stats.kstest(npde(population(), at, replicates=1000, seed=9)["NPDE"], "norm").pvalue < 1e-3


def test_what_does_not_vary_takes_no_part():
    early = TrialData(tuple(
        Subject(s.id, Regimen.dose(100, at=1.0), Measurements.of(TIMES, np.maximum(s.measurements.value, 0.01)))
        for s in simulated().subjects[:10]
    ))  # fmt: skip
    table = npde(population(Proportional(0.2)), early, replicates=100, seed=1)
    assert np.isnan(columns(table, "NPDE", 10)[:, 0]).all()
    assert np.isfinite(columns(table, "NPDE", 10)[:, 1:]).all()
    with pytest.raises(ValueError, match="5 measurements, whose covariance 5 replicates cannot give"):
        npde(population(), simulated(), replicates=5)
    with pytest.raises(ValueError, match="give a trial"):
        npde(population())


def test_counts_take_no_part():
    """NPDE of an output with a residual error are those without the counts measured beside it."""
    p = Population(
        Line(base=1.0, slope=0.5), variability={"base": NaturalScale(0.5)}, residual={"level": Additive(0.3), "double": Poisson()}
    )  # fmt: skip
    rng, level, both = np.random.default_rng(5), [], []
    for i in range(8):
        y = 1.0 + 0.5 * rng.standard_normal() + 0.5 * TIMES + 0.3 * rng.standard_normal(5)
        level.append(Subject(str(i), measurements=Measurements(TIMES, y, ("level",) * 5)))
        m = Measurements(np.tile(TIMES, 2), np.append(y, [1, 2, 0, 3, 8]), ("level",) * 5 + ("double",) * 5)
        both.append(Subject(str(i), measurements=m))
    alone, table = (module.npde(p, TrialData(tuple(t)), replicates=100, seed=2, backend=Exact()) for t in (level, both))
    counts = table["OUTPUT"] == "double"
    assert table.loc[counts, ["NPD", "NPDE"]].isna().all(axis=None)
    assert table.loc[counts, "EPRED"].notna().all()
    np.testing.assert_allclose(table.loc[~counts, ["NPD", "NPDE"]], alone[["NPD", "NPDE"]], rtol=1e-9, atol=1e-9)
    few = check(p, TrialData(tuple(both)), replicates=100, seed=2, backend=Exact(), intervals=(0.5,))
    assert few["observed"].sum() == pytest.approx(100 * np.mean(np.abs(alone["NPD"]) > scipy.stats.norm.ppf(0.75)))


# ------------------------------------------------------------------------------------------------------ numerical check


def test_numerical_check_counts_what_lies_outside():
    table = numerical_check(population(), simulated(), replicates=400, seed=6, intervals=(0.0, 0.5, 0.9))
    drawn = simulate_measurements(population(), simulated(), replicates=400, seed=6, backend=Bolus())
    y = np.stack([s.measurements.value for s in simulated()])
    for row in table.to_dict("records"):
        tail = 0.5 - row["interval"] / 2
        pd = np.mean(drawn < y, axis=0)
        out = pd < tail if row["side"] == "below" else pd > 1 - tail
        assert row["observed"] == pytest.approx(100 * out.mean(), abs=100 / 300)
        assert row["expected"] == pytest.approx(100 * tail, abs=100 / 400)
        assert row["lower"] < row["expected"] < row["upper"]
    assert table["inside"].mean() >= 5 / 6


def test_numerical_check_covers_at_its_confidence():
    """Over trials, 95 % of the counts of each side lie inside: of six trials at most one fails (P = 0.98 for both)."""
    drawn = simulate_measurements(population(), design(30), replicates=6, seed=20, backend=Bolus())
    inside = []
    for y in drawn:
        own = (Subject(s.id, s.regimen, Measurements.of(TIMES, v)) for s, v in zip(design(30), y, strict=True))
        found = numerical_check(population(), TrialData(tuple(own)), replicates=400, seed=6, intervals=(0.8,))
        inside.append(found["inside"].to_numpy())
    assert np.sum(inside, axis=0).min() >= 5
    wrong = numerical_check(population(cl=4.0), simulated(), replicates=400, seed=6)
    assert not wrong["inside"].all()
    with pytest.raises(ValueError, match="no measured output 'urine'"):
        numerical_check(population(), simulated(), replicates=20, output="urine")


def test_numerical_check_of_censored_data():
    trial = simulated(lloq=1.0)
    table = numerical_check(population(), trial, replicates=400, seed=6)
    assert table["inside"].mean() > 0.8
    assert ((table["lower"] <= table["expected"]) & (table["expected"] <= table["upper"])).all()
    # what is known only to lie below the limit is not below its interval where half of the simulated are below too
    drawn = simulate_measurements(population(), trial, replicates=400, seed=6, backend=Bolus())
    y, censored = (np.stack([getattr(s.measurements, n) for s in trial]) for n in ("value", "censored"))
    at = np.where(censored == 1, 0.5 * np.mean(drawn < 1.0, axis=0), np.mean(drawn < y, axis=0))
    row = table[(table["interval"] == 0.8) & (table["side"] == "below")].iloc[0]
    assert row["observed"] == pytest.approx(100 * np.mean(at < 0.1))


# ------------------------------------------------------------------------------------------------------ the individuals


def fitted():
    rng, p, people = np.random.default_rng(0), population(), 60
    weight, sex = np.arange(people) + 50.0, np.arange(people) % 2.0
    eta = np.stack(
        [0.01 * (weight - 80) + 0.05 * rng.standard_normal(people), 0.1 * sex + 0.02 * rng.standard_normal(people)], 1
    )
    return Fit(
        population=p, trial=simulated(lloq=1.0), method=FOCEI(), backend=Bolus(), objective=600.0,
        by_subject=np.arange(60.0), gradient=np.zeros(5), eta=eta, settled=np.ones(60, bool), result=np.zeros(60, int),
        uncertainty=Uncertainty.none(5), history=(), ends=(), seconds={}, seed=0, priors={},
    )  # fmt: skip


def test_individual_objectives():
    f = fitted()
    table = individual_objectives(f)
    np.testing.assert_array_equal(table["objective"], np.arange(60.0))
    np.testing.assert_allclose(table["per_observation"], np.arange(60.0) / 5)
    assert table["censored"].sum() == f.trial.summary()["censored"]
    np.testing.assert_allclose(table["distance"], np.hypot(f.eta[:, 0] / 0.3, f.eta[:, 1] / 0.2))
    assert table["solved"].all()
    assert table["settled"].all()


def test_etas_against_covariates_by_scipy():
    f = fitted()
    table = eta_covariates(f).set_index(["eta", "covariate"])
    line = scipy.stats.linregress(np.arange(60) + 50.0, f.eta[:, 0])
    row = table.loc["cl", "weight"]
    np.testing.assert_allclose([row["r"], row["r2"], row["p"]], [line.rvalue, line.rvalue**2, line.pvalue], rtol=1e-9)
    row = table.loc["v", "sex"]
    assert row["groups"] == 2
    two = scipy.stats.ttest_ind(f.eta[::2, 1], f.eta[1::2, 1])  # two groups: the analysis of variance is Student's test
    np.testing.assert_allclose(row["p"], two.pvalue, rtol=1e-9)
    assert row["r2"] > 0.5 > table.loc["cl", "sex"]["r2"]
