"""Two stages: against each subject's own least squares by SciPy, and against the truth."""

import numpy as np
import pytest
import scipy.optimize

import twinjax as tj
from twinjax.models import OneCompartment

TRUTH = tj.Population(
    OneCompartment(cl=3.0, v=30.0), variability={"cl": 0.3, "v": 0.2}, correlations={("cl", "v"): 0.6},
    residual=tj.Proportional(0.1),
)  # fmt: skip
START = TRUTH.with_theta({**TRUTH.theta, "cl": 2.0, "v": 40.0, "omega.cl": 0.5, "omega.v": 0.5, "corr.cl.v": 0.0,
                          "plasma.proportional": 0.3})  # fmt: skip
DOSE = tj.Regimen.dose(300.0, into="central")
TIMES = np.array([0.5, 1.0, 2.0, 4.0, 8.0, 12.0, 18.0, 24.0])


def trial(subjects=100, seed=3):
    people = tj.cohort(TRUTH, subjects, seed=seed)
    clean = np.asarray(tj.simulate(people, DOSE, TIMES).output.plasma)
    noisy = clean * (1 + 0.1 * np.random.default_rng(seed).standard_normal(clean.shape))
    return tj.TrialData(
        tuple(tj.Subject(i, DOSE, tj.Measurements.of(TIMES, y)) for i, y in zip(people.ids, noisy, strict=True))
    )


@pytest.fixture(scope="module")
def found():
    return tj.fit(START, trial(), method=tj.TwoStage())


def test_two_stage_recovers_the_truth(found):
    assert found.converged, found.verdict
    table = found.table
    for name in found.estimated:
        # four standard errors: a false alarm once in 2,600 over the six parameters
        assert abs(table.estimate[name] - float(TRUTH.theta[name])) < 4 * table.se[name], name
    assert np.isfinite(table.se).all()
    # 100 subjects: a mean's error is omega / 10, an omega's omega / sqrt(198)
    assert table.se["cl"] == pytest.approx(found.theta["cl"] * found.theta["omega.cl"] / 10, rel=1e-6)
    assert table.se["omega.v"] == pytest.approx(found.theta["omega.v"] / np.sqrt(198), rel=1e-6)


def test_first_stage_is_everybodys_own_fit(found):
    """SciPy's minimum of one subject's own -2 log L at the pooled error (before the correction for degrees of freedom)."""
    error = found.theta["plasma.proportional"] * np.sqrt(1 - 2 / len(TIMES))
    for subject in list(found.trial)[:3]:

        def objective(x, y=subject.measurements.value):
            cl, v = np.exp(x)
            f = 300.0 / v * np.exp(-cl / v * TIMES)
            return np.sum(((y - f) / (error * f)) ** 2 + np.log((error * f) ** 2))

        best = scipy.optimize.minimize(objective, np.log([3.0, 30.0]), method="Nelder-Mead", tol=1e-9).x
        own = found.individual(subject.id)
        # the random effects' omega is 300 times the starting one, not infinite: 1e-5
        np.testing.assert_allclose(np.log([float(own.cl), float(own.v)]), best, atol=1e-4)
    eta = found.evidence.table[["cl", "v"]].to_numpy()
    np.testing.assert_allclose(eta.mean(axis=0), 0.0, atol=1e-12)
    np.testing.assert_allclose(
        np.cov(eta.T)[0, 1], found.theta["corr.cl.v"] * found.theta["omega.cl"] * found.theta["omega.v"], rtol=1e-6
    )


def test_global_two_stage_takes_the_errors_of_the_estimates_out(found):
    weighted = tj.fit(found, trial(), method=tj.TwoStage(weighted=True))
    for name in ("cl", "v"):
        spread = found.theta[f"omega.{name}"] ** 2 - weighted.theta[f"omega.{name}"] ** 2
        # about the mean squared error of the subjects' own estimates; weighting moves it by its own variation, a third
        assert spread == pytest.approx((found.evidence.table[f"{name}.se"] ** 2).mean(), rel=0.35), name
    assert "global two-stage" in str(weighted)


def test_subjects_that_do_not_know_their_parameters_are_left_out_and_named():
    rich = trial(12)
    early, one = np.array([0.01, 0.02]), np.array([4.0])
    poor = tj.Subject("early", DOSE, tj.Measurements.of(early, [10.2, 9.7]))
    poorer = tj.Subject("single", DOSE, tj.Measurements.of(one, [7.0]))
    found = tj.fit(START, tj.TrialData((*rich, poor, poorer)), method=tj.TwoStage())
    assert set(found.evidence.left_out) == {"early", "single"}
    assert "nothing known of cl" in found.evidence.left_out["early"]
    assert "single: 1 measurements for 2 parameters" in found.verdict
    same = tj.fit(START, rich, method=tj.TwoStage(), covariance=False)
    for name, value in same.theta.items():
        assert found.theta[name] == pytest.approx(value, rel=1e-3)  # both stop where the gradient is below 1e-3
    np.testing.assert_array_equal(found.eta[-2:], 0.0)


def test_what_two_stage_cannot_estimate_is_said():
    data = trial(4)
    varied = tj.Population(
        TRUTH.model, variability={"cl": 0.3}, covariates={"cl": tj.Power("weight", 70.0)}, residual=tj.Proportional(0.1)
    )
    people = tj.TrialData(tuple(tj.Subject(s.id, s.regimen, s.measurements, {"weight": 70.0}) for s in data))
    with pytest.raises(ValueError, match=r"not cl\.weight: fix them"):
        tj.fit(varied, people, method=tj.TwoStage())
    with pytest.raises(RuntimeError, match="only 3 subjects can be fitted alone"):
        tj.fit(START, trial(3), method=tj.TwoStage())
    with pytest.raises(ValueError, match=r"takes no prior of cl, a mean or spread"):
        tj.fit(START, data, method=tj.TwoStage(), priors={"cl": tj.LogNormal(3.0, 0.2)})
