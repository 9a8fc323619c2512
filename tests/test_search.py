"""Searches for covariates against published models and simulated truths, and designs against published figures."""

import jax.numpy as jnp
import numpy as np
import pytest

import twinjax as tj
from twinjax.models import OneCompartment
from twinjax.solve.problem import AbstractBackend, Solution


class Bolus(AbstractBackend):
    """Boluses into one compartment, written out: quick to compile."""

    def refusal(self, problem):
        return None

    def solve(self, problem):
        m, d = problem.model, problem.doses
        since = problem.time[:, :, None] - d.time[:, None, :]
        first = jnp.where(d.additional, -1.0, d.order)[:, None, :] < problem.order[:, :, None]
        given = d.given[:, None, :] & ((since > 0) | ((since == 0) & first))
        shape = jnp.exp(-m.cl[:, :, None] / m.v[:, :, None] * jnp.where(given, since, 0.0)) / m.v[:, :, None]
        plasma = jnp.sum(jnp.where(given, d.amount[:, None, :] * shape, 0.0), axis=2)
        none = jnp.zeros(problem.patients, int)
        return Solution(problem.time, type(m).Output(plasma=plasma), None, none, none)


# ---------------------------------------------------------------------------------------------------------- covariates


def test_phenobarbital_by_stepwise_covariates(shared_data, tmp_path):
    """SOURCE.md of phenobarbital: 730.895 without covariates, 586.276 with weight on both and Apgar below 5 on v
    (NONMEM 7.5.1).
    """
    raw = tj.read_nonmem(shared_data / "trials/phenobarbital/pheno.dta", covariates=["WGT", "APGR"])
    people = []
    for s in raw:
        weight, apgar = (float(np.ravel(s.covariates[n])[0]) for n in ("WGT", "APGR"))
        people.append(tj.Subject(s.id, s.regimen, s.measurements, {"WGT": weight, "low": float(apgar < 5)}))
    trial = tj.TrialData(tuple(people), "phenobarbital")
    base = tj.Population(
        OneCompartment(cl=0.005, v=1.4), variability={"cl": 0.4, "v": 0.4}, residual=tj.Proportional(0.15)
    )
    effects = [tj.Allometry(1.0, "WGT", 1.0), tj.Categorical("low", {1: 0.0})]
    file, seen = tmp_path / "models.jsonl", []

    def stop(step):
        seen.append(step)
        if len(seen) == 6:
            raise KeyboardInterrupt

    def search(**how):
        return tj.search_covariates(
            base, trial, {"cl": effects, "v": effects}, backward=0.05, backend=Bolus(), covariance=False, **how
        )

    with pytest.raises(KeyboardInterrupt):
        search(keep=file, progress=stop)
    done = len(file.read_text().splitlines())
    found = search(keep=file)
    assert len(file.read_text().splitlines()) > done
    assert found.start == pytest.approx(730.895, abs=1e-3)
    assert found.fit.objective == pytest.approx(586.276, abs=1e-3)
    forward = found.steps[(found.steps.direction == "forward") & found.steps.accepted]
    assert list(zip(forward.parameter, forward.covariate, strict=True)) == [("v", "WGT"), ("cl", "WGT"), ("v", "low")]
    assert not found.steps[found.steps.direction == "backward"].accepted.any()
    assert found.fit.theta["v.low.1"] == pytest.approx(0.15892, rel=2e-3)  # NONMEM's three digits
    assert found.fit.theta["cl"] == pytest.approx(0.0046955, rel=1e-3)
    assert found.fit.theta["v"] == pytest.approx(0.98426, rel=1e-3)
    for name, variance in (("omega.cl", 0.029351), ("omega.v", 0.027906), ("plasma.proportional", 0.013241)):
        assert found.fit.theta[name] ** 2 == pytest.approx(variance, rel=5e-3)
    for round_, own in found.steps.groupby("round"):  # the models before are recalled, not fitted again
        assert own.seconds.is_monotonic_increasing, round_
    with pytest.raises(ValueError, match="of another search"):
        tj.search_covariates(base, trial, {"cl": effects}, backend=Bolus(), keep=file)
    assert "586.276 with Allometry of WGT on cl" in str(found)


def test_weight_is_found_in_a_simulated_trial_and_noise_is_not():
    rng = np.random.default_rng(7)
    dose, times = tj.Regimen.dose(100.0), [0.5, 2.0, 6.0, 12.0, 24.0]
    people = tuple(
        tj.Subject(str(i), dose, tj.Measurements.of(times, np.full(5, np.nan)),
                   {"weight": float(70 * np.exp(0.25 * rng.standard_normal())), "noise": float(rng.standard_normal())})
        for i in range(50)
    )  # fmt: skip
    truth = tj.Population(
        OneCompartment(cl=3.0, v=30.0), variability={"cl": 0.25, "v": 0.2}, residual=tj.Proportional(0.1),
        covariates={"cl": tj.Power("weight", 70.0, 0.75), "v": tj.Power("weight", 70.0, 1.0)},
    )  # fmt: skip
    trial = tj.simulate_trial(truth, tj.TrialData(people), 3, backend=Bolus())
    base = tj.Population(
        OneCompartment(cl=3.0, v=30.0), variability={"cl": 0.4, "v": 0.4}, residual=tj.Proportional(0.2)
    )
    pool = [tj.Power("weight", 70.0), tj.Linear("weight", 70.0), tj.Linear("noise", 0.0)]
    found = tj.search_covariates(base, trial, {"cl": pool, "v": pool}, backend=Bolus())
    assert {p: {e.covariate for e in own} for p, own in found.selected.items()} == {"cl": {"weight"}, "v": {"weight"}}
    last = found.steps[found.steps.accepted & (found.steps.direction == "forward")].iloc[-1]
    assert found.fit.objective == pytest.approx(last.objective, abs=1e-3)  # both end some 1e-4 above the minimum
    # the coefficient of the other form of weight on the same parameter is not tried once one is in
    later = found.steps[(found.steps["round"] == 2) & (found.steps.direction == "forward")]
    first = found.steps[found.steps.accepted].iloc[0]
    assert not ((later.parameter == first.parameter) & (later.covariate == "weight")).any()
    assert found.fit.converged, found.fit.verdict


def test_covariate_search_says_what_is_wrong():
    trial = tj.TrialData((tj.Subject("1", tj.Regimen.dose(1.0), tj.Measurements.of([1.0], [1.0]), {"age": 2.0}),))
    base = tj.Population(OneCompartment(cl=3.0, v=30.0), variability={"cl": 0.4}, residual=tj.Additive(0.2))
    with pytest.raises(ValueError, match=r"no parameter 'k'"):
        tj.search_covariates(base, trial, {"k": tj.Linear("age", 2.0)})
    with pytest.raises(ValueError, match=r"no covariate 'weight'"):
        tj.search_covariates(base, trial, {"cl": tj.Linear("weight", 2.0)})
    with pytest.raises(ValueError, match="cannot be tested by leaving it out"):
        tj.search_covariates(base, trial, {"cl": tj.Maturation("age", 40.0, 3.0)})
    with pytest.raises(ValueError, match="no candidates"):
        tj.search_covariates(base, trial, {})
    with_age = tj.Population(OneCompartment(cl=3.0, v=30.0), covariates={"cl": tj.Linear("age", 2.0)})
    with pytest.raises(ValueError, match="has an effect of age already"):
        with_age.with_effects({"cl": [tj.Linear("age", 3.0)]})
