"""Laplace's approximation, quadrature and importance sampling against published values, each other and differences."""

import numpy as np
import pandas as pd
import pytest
import scipy.integrate
import scipy.stats
from test_estimation import gradient_errors
from test_likelihood import SD, WangModel

import twinjax as tj
from twinjax.datasets import theophylline
from twinjax.estimation.engine import Engine
from twinjax.models import OneCompartment, OneCompartmentOral, TwoCompartment


def start(population, trial, method, backend=None):
    engine = Engine.of(population, trial, method, {}, backend)
    return engine, np.asarray(engine.predictor.transform.pack(population.theta))


# -------------------------------------------------------------------------------------------------- published values

# SOURCE.md of wang2007_ofv, found by quadrature that is not ours. By error: Laplace, exact marginal; FOCEI as published.
WANG = {"proportional": ((0.0, SD), 39.2268, 39.3548, 39.458), "additive": ((SD, 0.0), -1.9361, -1.9896, -2.059)}


@pytest.fixture(scope="module")
def wang(shared_data):
    frame = pd.read_csv(shared_data / "trials/wang2007_ofv/Wang2007.csv")
    people = [tj.Subject(str(i), tj.Regimen.none(), tj.Measurements.of(g.Time, g.Y)) for i, g in frame.groupby("ID")]
    trial = tj.TrialData(tuple(people), "Wang 2007")
    population = tj.Population(WangModel(0.5), variability={"ke": 0.2}, residual={"ipre": tj.Combined(SD, SD)})
    return population, trial


def wang_objectives(wang, method):
    population, trial = wang
    found = {}
    engine, _ = start(population, trial, method, tj.Exact())
    for error, ((additive, proportional), *_) in WANG.items():
        tiny = 1e-9  # an error of nothing, whose logarithm is finite
        moved = population.with_theta({"ipre.additive": additive or tiny, "ipre.proportional": proportional or tiny})
        found[error] = engine(np.asarray(engine.predictor.transform.pack(moved.theta)))[0]
    assert gradient_errors(engine, np.log([0.4, 0.3, 0.2, 0.25])).max() < 1e-5  # what differences leave: below 1e-7
    return found


def test_wang_2007_by_laplace(wang):
    for error, value in wang_objectives(wang, tj.Laplace()).items():
        assert value == pytest.approx(WANG[error][1], abs=1e-4)  # published digits


def test_wang_2007_by_quadrature(wang):
    one, many = (wang_objectives(wang, tj.Quadrature(n)) for n in (1, 15))
    for error, (_, _, exact, focei) in WANG.items():
        assert one[error] == pytest.approx(focei, abs=1e-3)  # a single node is Laplace's with that curvature
        assert many[error] == pytest.approx(exact, abs=1e-4)  # published digits


THEOPHYLLINE = tj.Population(  # SOURCE.md of theo_sd: FOCEI estimates
    OneCompartmentOral(ka=float(np.exp(0.46445)), cl=float(np.exp(1.01205)), v=float(np.exp(3.45997))),
    variability={"ka": 0.40463**0.5, "cl": 0.068796**0.5, "v": 0.019222**0.5},
    residual=tj.Additive(0.69384),
)


@pytest.mark.parametrize(
    ("method", "want"), [(tj.Laplace(), 118.530), (tj.Quadrature(7), 118.125)], ids=lambda m: getattr(m, "name", "")
)
def test_theophylline_through_a_kernel(method, want):
    """SOURCE.md: 118.124 from 7 nodes on, about another curvature; ours comes to it within 0.001 at 7, 1e-4 at 11."""
    engine, x = start(THEOPHYLLINE, theophylline(), method, tj.Fused(rtol=1e-10, atol=1e-12))
    assert engine(x)[0] == pytest.approx(want, abs=1.2e-3)  # the last digit
    assert gradient_errors(engine, x).max() < 1e-5  # differences themselves leave 1e-8


def test_theophylline_by_importance_sampling():
    runs = [
        tj.fit(THEOPHYLLINE, theophylline(), method=tj.ImportanceSampling(chunk=c), seed=s)
        for s, c in ((0, 16_384), (0, 700), (1, 16_384), (2, 16_384))
    ]
    assert runs[0].objective == pytest.approx(runs[1].objective, abs=1e-9)  # chunks change rounding only
    assert len({round(r.objective, 6) for r in runs}) == 3
    assert runs[0].converged, runs[0].verdict
    for run in runs:
        assert 0 < run.evidence.error < 0.1
        assert abs(run.objective - 118.124) < 3 * run.evidence.error + 1e-3  # a false alarm in 400; the digits
        assert run.evidence.size.min() > 0.5 * run.evidence.samples
        assert run.theta == pytest.approx({n: float(v) for n, v in THEOPHYLLINE.theta.items()})


def test_phenobarbital_by_importance_sampling(shared_data):
    trial = tj.read_nonmem(shared_data / "trials/phenobarbital/pheno.dta", covariates=[])
    population = tj.Population(  # FOCEI's estimates by NONMEM, as in pharmpy's pheno_multEST.ext
        OneCompartment(cl=0.00581756, v=1.44555), variability={"cl": 0.111053**0.5, "v": 0.201526**0.5},
        residual=tj.Proportional(0.0164177**0.5),
    )  # fmt: skip
    run = tj.fit(population, trial, method=tj.ImportanceSampling())
    # NONMEM drew 300 times for each of 59 subjects, worth 120 (its listing): an error of 2 sqrt(59 (1 / 120 - 1 / 300))
    # = 1.1. At its first iteration, worth 305, it has 729.674.
    assert abs(run.objective - 729.955) < 1.1


# ---------------------------------------------------------- censored values, two outputs, a covariate that changes in time

TIMES, LIMIT = np.array([1.0, 3.0, 6.0]), 1.2
VALUES = {"1": ([6.0, 0.50, LIMIT], (90.0, 60.0)), "2": ([5.1, 0.35, 1.9], (120.0, 40.0))}
SPREAD, POWER, PROPORTIONAL, ADDITIVE = 0.3, 0.7, 0.2, 0.1


@pytest.fixture(scope="module")
def rich():
    people = []
    for who, (values, crcl) in VALUES.items():
        censored = (np.array(values) == LIMIT).astype(int)
        measured = tj.Measurements(TIMES, np.array(values), ("ipre", "f2", "ipre"), censored=censored, order=[1, 2, 3])
        switch = {"switch_time": np.array([2.0]), "switch_order": np.array([1.5])}
        people.append(tj.Subject(who, tj.Regimen.none(), measured, {"crcl": np.array(crcl)}, **switch))
    population = tj.Population(
        WangModel(0.4), variability={"ke": SPREAD}, covariates={"ke": tj.Power("crcl", 90.0, POWER)},
        residual={"ipre": tj.Proportional(PROPORTIONAL), "f2": tj.Additive(ADDITIVE)}, fixed=["f2.additive"],
    )  # fmt: skip
    return population, tj.TrialData(tuple(people), "rich")


def marginal(who):
    """By scipy's adaptive integration, from the closed form."""
    values, crcl = VALUES[who]

    def density(eta):
        ke = 0.4 * np.exp(eta) * (np.array(crcl) / 90.0) ** POWER
        f = 10 * np.exp(-np.where(TIMES <= 2.0, 0.0, ke[0] + ke[1] * (TIMES - 2.0)))  # it begins at the first sample
        sd = PROPORTIONAL * f
        log_p = scipy.stats.norm.logpdf(values[0], f[0], sd[0])
        log_p += scipy.stats.norm.logpdf(values[1], f[1] / (f[1] + 5.0), ADDITIVE)
        below = values[2] == LIMIT
        log_p += (
            scipy.stats.norm.logcdf(LIMIT, f[2], sd[2]) if below else scipy.stats.norm.logpdf(values[2], f[2], sd[2])
        )
        return np.exp(log_p + scipy.stats.norm.logpdf(eta, 0.0, SPREAD)), 3 - below

    p, _ = scipy.integrate.quad(lambda e: density(e)[0], -3.0, 3.0, epsabs=0.0, epsrel=1e-10)
    return -2 * np.log(p) - density(0.0)[1] * np.log(2 * np.pi)


def test_quadrature_is_the_integral_and_its_gradient_exact_through_the_ode(rich):
    engine, x = start(*rich, tj.Quadrature(40), tj.Diffrax(rtol=1e-10, atol=1e-12))
    found = engine.evaluate(x)
    np.testing.assert_allclose(found.objective, [marginal(w) for w in VALUES], atol=1e-5)  # 40 nodes leave 3e-7
    assert np.asarray(found.settled).all()
    assert gradient_errors(engine, x).max() < 1e-5


def test_laplace_gradient_through_the_ode(rich):
    engine, x = start(*rich, tj.Laplace(), tj.Diffrax(rtol=1e-10, atol=1e-12))
    assert gradient_errors(engine, x).max() < 1e-5


def test_importance_sampling_is_the_integral(rich):
    run = tj.fit(*rich, method=tj.ImportanceSampling(), backend=tj.Exact())
    off = np.abs(run.by_subject - [marginal(w) for w in VALUES])
    assert (off < 5 * run.evidence.errors).all()  # errors of 16 replicates, 15 degrees of freedom: once in 3,000
    assert run.evidence.error < 0.02


# ---------------------------------------------------------------------------------------------------------- estimation


def test_em_ends_where_the_marginal_likelihood_is_least():
    far = THEOPHYLLINE.with_theta({"ka": 1.2, "cl": 3.5, "v": 25.0, "omega.ka": 0.4, "omega.v": 0.3})
    run = tj.fit(far, theophylline(), method=tj.ImportanceEM(), seed=3)
    assert run.converged, run.verdict
    engine, x = start(run.population, theophylline(), tj.Quadrature(7), tj.Fused(rtol=1e-10, atol=1e-12))
    total, gradient = engine(x)
    assert abs(run.objective - total) < 3 * run.evidence.error + 1e-3
    # What Newton's method would still gain: averages are known to 0.05 standard errors in each of seven directions.
    assert 0.25 * gradient @ np.linalg.solve(run.uncertainty.r, gradient) < 0.05
    assert np.isfinite(run.table.se).all()


# ------------------------------------------------------------------------------------ published fits of simulated trials

TUTORIAL = "trials/bauer2019_nonmem_tutorial"


def test_infusions_of_the_nonmem_tutorial(shared_data):
    frame = pd.read_csv(shared_data / TUTORIAL / "501.csv", skiprows=1).drop(columns=["C"])
    trial = tj.read_nonmem(frame, covariates=["WT", "AGE", "SEX"], name="501")

    def population(log_cl, log_v, cl_wt, v_wt, cl_age, v_age, cl_sex, v_sex, sigma, cl, both, v):
        return tj.Population(
            OneCompartment(cl=np.exp(log_cl), v=np.exp(log_v)), variability={"cl": cl**0.5, "v": v**0.5},
            correlations={("cl", "v"): both / (cl * v) ** 0.5}, residual=tj.Proportional(sigma**0.5),
            covariates={
                "cl": [tj.Power("WT", 70.0, cl_wt), tj.Power("AGE", 50.0, cl_age), tj.Exponential("SEX", 0.0, cl_sex)],
                "v": [tj.Power("WT", 70.0, v_wt), tj.Power("AGE", 50.0, v_age), tj.Exponential("SEX", 0.0, v_sex)],
            },
        )  # fmt: skip

    # final_estimates.txt: 504_foce.ext and 504_saem.ext
    focei = population(1.109, 3.4777, 0.65976, 1.3215, -0.53404, 0.052291, -0.10106, -0.054776, 0.050258, 0.030724,
                       0.0014787, 0.04661)  # fmt: skip
    saem = population(1.0713, 3.4671, 0.64432, 1.3113, -0.5438, 0.06013, -0.10078, -0.056691, 0.049857, 0.029553,
                      0.00029862, 0.049861)  # fmt: skip
    engine, x = start(focei, trial, tj.FOCEI())
    assert engine(x)[0] == pytest.approx(1058.304, abs=2e-3)  # its digits, of rounded estimates
    run = tj.fit(saem, trial, method=tj.ImportanceSampling())
    # NONMEM's 1,000 normal draws a subject: were half of them effective, an error of 2 sqrt(60 / 1000) = 0.5
    assert abs(run.objective - 1051.79) < 0.5
    assert run.objective == pytest.approx(
        1051.52, abs=0.01 + 3 * run.evidence.error
    )  # our quadrature, 15 nodes and more


def test_censored_values_of_the_nonmem_tutorial(shared_data):
    """AD3TR4: log concentrations below -3.5 are censored there, as its control stream has it (the file's own LOQ column
    is -5.8 and is not used).
    """
    frame = pd.read_csv(shared_data / TUTORIAL / "ad3tr4.csv", skiprows=1).rename(columns={"CONC": "DV"})
    frame = frame[["ID", "TIME", "DV", "AMT", "EVID", "MDV"]]
    trial = tj.read_nonmem(frame, lloq=float(np.exp(-3.5)), covariates=[], name="ad3tr4")
    assert sum(int(np.sum(s.measurements.censored == 1)) for s in trial) == 104
    table = pd.read_csv(shared_data / TUTORIAL / "ad3tr4_loqb_imp.ext", sep=r"\s+", skiprows=1).set_index("ITERATION")
    final, names = table.loc[-1000000000], ("cl", "v1", "q", "v2")
    sd = {n: final[f"OMEGA({i},{i})"] ** 0.5 for i, n in enumerate(names, 1)}
    pairs = {
        (names[j], names[i]): final[f"OMEGA({i + 1},{j + 1})"] / (sd[names[i]] * sd[names[j]])
        for i in range(4) for j in range(i)
    }  # fmt: skip
    population = tj.Population(
        TwoCompartment(**{n: float(np.exp(final[f"THETA{i}"])) for i, n in enumerate(names, 1)}), variability=sd,
        correlations=pairs, residual=tj.LogNormalError(final["THETA5"]),
    )  # fmt: skip
    run = tj.fit(population, trial, method=tj.ImportanceSampling())
    # NONMEM's -125.345 has an error as well, at least ours
    assert abs(run.objective + 125.345) < 3 * np.sqrt(2) * run.evidence.error
    assert run.evidence.error < 0.6


# ------------------------------------------------------------------------------------------------------ what goes wrong


def test_a_saddle_is_flagged_and_finite():
    """An individual parameter even in eta: eta = 0 is stationary, and here a maximum of the joint density's -2 log."""

    def even(theta, eta, covariates):
        return WangModel(theta["a"] + eta["e"] ** 2)

    population = tj.Population(
        WangModel(0.5), individual=even, thetas={"a": 0.1}, variability={"e": 0.5}, residual={"ipre": tj.Additive(0.5)}
    )
    trial = tj.TrialData((tj.Subject("1", tj.Regimen.none(), tj.Measurements.of([0.0, 2.0], [10.0, 3.0])),))
    found = {}
    for method in (tj.Laplace(), tj.FOCEI()):
        engine, x = start(population, trial, method, tj.Exact())
        found[method.name] = engine.evaluate(x)
    assert not found["Laplace"].settled.any()
    np.testing.assert_allclose(found["Laplace"].objective, found["FOCEI"].objective)  # the expected curvature stands in
    assert np.isfinite(found["Laplace"].gradient).all()


def test_misuse_says_what_to_do():
    population = THEOPHYLLINE
    with pytest.raises(ValueError, match="use 27 nodes or fewer, or ImportanceSampling"):
        Engine.of(population, theophylline(), tj.Quadrature(40), {}, tj.Exact())
    with pytest.raises(ValueError, match="at least one node"):
        Engine.of(population, theophylline(), tj.Quadrature(0), {}, tj.Exact())
    with pytest.raises(ValueError, match="two replicates or more"):
        tj.ImportanceSampling(samples=4)
    with pytest.raises(ValueError, match="degrees of freedom"):
        tj.Proposal(df=0.0)
