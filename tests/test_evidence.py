"""What a fit rests on: profiles, bootstraps, importance resampling and shrinkage, against closed forms and against fits
done another way.
"""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize
import scipy.stats

import twinjax as tj
from twinjax.datasets import theophylline
from twinjax.estimation.engine import Engine
from twinjax.estimation.evidence import pool
from twinjax.estimation.evidence.again import engine_of
from twinjax.models import OneCompartmentOral
from twinjax.solve.problem import AbstractBackend, Solution


class Closed(AbstractBackend):
    """One oral dose into one compartment, written out: quick to compile."""

    def refusal(self, problem):
        return None

    def solve(self, problem):
        m, d = problem.model, problem.doses
        k, ka, v = m.cl / m.v, m.ka, m.v
        t = problem.time - d.time
        plasma = d.amount / v * ka / (ka - k) * (jnp.exp(-k * t) - jnp.exp(-ka * t))
        none = jnp.zeros(problem.patients, int)
        return Solution(problem.time, type(m).Output(plasma=plasma), None, none, none)


OMEGA = {"ka": 0.63, "cl": 0.26, "v": 0.14}


def population(**more):
    return tj.Population(
        OneCompartmentOral(ka=1.59, cl=2.75, v=31.8), variability=OMEGA, residual=tj.Additive(0.69), **more
    )


@pytest.fixture(scope="module")
def theo():
    return tj.fit(population(), theophylline(), backend=Closed())


@functools.cache
def correlated():
    """A trial whose clearances and volumes go together, fitted with a block of Omega."""
    truth = population(correlations={("cl", "v"): 0.6}).with_theta({"omega.v": 0.3, "omega.cl": 0.4})
    trial = tj.simulate_trial(truth, tj.TrialData(theophylline().subjects * 3), 5, backend=Closed())
    return tj.fit(truth, trial, backend=Closed())


def compilations(function):
    """What a call returns, and how many programs of XLA it compiled."""
    seen = []
    jax.monitoring.register_event_duration_secs_listener(
        lambda event, seconds, **more: seen.append(event) if event.endswith("backend_compile_duration") else None
    )
    found = function()
    return found, len(seen)


# ------------------------------------------------------------------------------------------------------------ profiles


def test_limits_of_a_profile_are_where_a_fit_with_the_parameter_fixed_has_risen(theo):
    found = tj.profile(theo, ["ka", "omega.v"])
    for side in ("lower", "upper"):
        limit = float(found.table.loc["omega.v", side])
        fixed = population(fixed=["omega.v"]).with_theta({**theo.theta, "omega.v": limit})
        other = tj.fit(fixed, theophylline(), backend=Closed(), covariance=False)
        # a limit is found to 0.01 of the objective, and both searches end some 1e-4 above their minima
        assert other.objective - theo.objective == pytest.approx(scipy.stats.chi2.ppf(0.95, 1), abs=0.011)
    assert found.lower_than_fit == 0.0
    inner = found.trace[found.trace.change < 1.0]
    for name, own in inner.groupby("parameter"):
        z = (own.value / theo.theta[name]).map(np.log) * theo.theta[name] / theo.table.se[name]
        # near the minimum the rise is the square of Wald's; cubic terms of these 12 subjects leave a quarter of it
        np.testing.assert_allclose(own.change, z**2, atol=0.25)
    assert "95 % limits" in str(found)


def test_a_second_profile_compiles_nothing(theo):
    tj.profile(theo, ["ka"], points=0)
    _, count = compilations(lambda: tj.profile(theo, ["cl", "plasma.additive"], points=0))
    assert count == 0


@pytest.mark.parametrize("name", ["corr.cl.v", "omega.v"])
def test_profile_of_a_parameter_inside_a_block_of_omega(name):
    fit = correlated()
    found = tj.profile(fit, [name], points=0)
    engine, x = engine_of(fit)
    k, transform, theta = fit.estimated.index(name), engine.predictor.transform, fit.population.theta

    def held(v):
        return float(transform.report(v, theta)[k])

    slope = jax.jit(jax.grad(lambda v: transform.report(v, theta)[k]))
    for side in ("lower", "upper"):
        limit = float(found.table.loc[name, side])
        other = scipy.optimize.minimize(
            engine, x, jac=True, method="SLSQP", options={"ftol": 1e-9, "maxiter": 200},
            constraints={"type": "eq", "fun": lambda v, limit=limit: held(v) - limit, "jac": lambda v: np.asarray(slope(v))},
        )  # fmt: skip
        assert other.success
        assert other.fun - fit.objective == pytest.approx(scipy.stats.chi2.ppf(0.95, 1), abs=0.011)
        moved = found.trace.iloc[(found.trace.value - limit).abs().argmin()]
        np.testing.assert_allclose(
            moved[list(fit.estimated)].astype(float), transform.report(other.x, theta), rtol=0.02
        )


def test_profile_says_what_is_not_estimated(theo):
    with pytest.raises(ValueError, match=r"no estimated parameter 'kb'; did you mean"):
        tj.profile(theo, ["kb"])


# ----------------------------------------------------------------------------------------------------------- bootstrap


def test_a_replicate_of_cases_is_the_fit_of_the_subjects_drawn(theo):
    one = tj.bootstrap(theo, 1, seed=4, first=2).replicates[0]
    counts = tj.Case().weights(theo, 4, 2).astype(int)
    assert counts.sum() == 12
    assert counts.max() > 1
    drawn = [s for s, n in zip(theo.trial, counts, strict=True) for _ in range(n)]
    people = tuple(tj.Subject(str(i), s.regimen, s.measurements, s.covariates) for i, s in enumerate(drawn))
    other = tj.fit(theo.population, tj.TrialData(people), backend=Closed(), covariance=False)
    assert one.objective == pytest.approx(other.objective, abs=1e-3)  # both searches end some 1e-4 above the minimum
    np.testing.assert_allclose(one.estimates, [other.theta[n] for n in other.estimated], rtol=5e-3)


def test_a_parametric_replicate_is_the_fit_of_the_measurements_drawn(theo):
    one = tj.bootstrap(theo, 1, tj.Parametric(), seed=4, first=3).replicates[0]
    y = tj.simulate_measurements(theo.population, theo.trial, replicates=1, seed=4, first=3, backend=Closed())[0]
    people = tuple(
        tj.Subject(s.id, s.regimen, tj.Measurements.of(s.measurements.time, v[: len(s.measurements)]))
        for s, v in zip(theo.trial, y, strict=True)
    )
    other = tj.fit(theo.population, tj.TrialData(people), backend=Closed(), covariance=False)
    assert one.objective == pytest.approx(other.objective, abs=1e-3)
    np.testing.assert_allclose(one.estimates, [other.theta[n] for n in other.estimated], rtol=5e-3)


def test_bootstrap_goes_on_from_its_file_and_compiles_nothing(theo, tmp_path):
    tj.bootstrap(theo, 1, seed=0)
    whole, count = compilations(lambda: tj.bootstrap(theo, 6, seed=1))
    assert count == 0
    file = tmp_path / "replicates.jsonl"

    def stop(pace):
        assert pace.rate > 0
        if pace.done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tj.bootstrap(theo, 6, seed=1, keep=file, progress=stop)
    file.write_text(file.read_text()[:-40])  # torn by a crash
    paces = []
    again = tj.bootstrap(theo, 6, seed=1, keep=file, progress=paces.append)
    assert [p.done for p in paces] == [3, 4, 5, 6]
    np.testing.assert_array_equal(again.values, whole.values)
    parts = [tj.bootstrap(theo, 3, seed=1, first=n) for n in (3, 0)]
    np.testing.assert_array_equal(parts[0].joined(parts[1]).values, whole.values)
    with pytest.raises(ValueError, match="of another bootstrap"):
        tj.bootstrap(theo, 6, seed=2, keep=file)
    with pytest.raises(ValueError, match="not parts of one"):
        whole.joined(tj.bootstrap(theo, 1, seed=2))


@pytest.mark.parametrize("kind", [tj.Case(), tj.Parametric()], ids=["case", "parametric"])
def test_replicates_side_by_side_end_where_they_do_one_by_one(theo, kind, tmp_path):
    file = tmp_path / "replicates.jsonl"
    tj.bootstrap(theo, 2, kind, seed=1, keep=file)
    exact = tj.BFGS(gradient_tolerance=1e-5, max_steps=200)
    together = tj.bootstrap(
        theo, 7, kind, seed=1, together=3, keep=file, optimiser=exact
    )  # the other five, in three lanes
    alone = tj.bootstrap(theo, 7, kind, seed=1, optimiser=exact)
    assert [r.number for r in together.replicates] == list(range(7))
    assert not together.failures
    for one, other in zip(together.replicates, alone.replicates, strict=True):
        by_default = one.number < 2  # ends some 1e-4 above the minimum, a hundredth of a standard error from it
        assert one.objective == pytest.approx(other.objective, abs=1e-3 if by_default else 1e-8)
        np.testing.assert_allclose(one.estimates, other.estimates, rtol=5e-3 if by_default else 1e-5)


def test_a_search_that_does_not_settle_beside_others_is_done_again_alone(theo, monkeypatch):
    monkeypatch.setattr(pool, "_ARMIJO", 1e9)  # no step is good enough
    found = tj.bootstrap(theo, 2, seed=1, together=3, optimiser=Halting(begins=False))
    assert set(found.failures.values()) == {"not today"}
    with pytest.raises(ValueError, match="at least 1, not 0"):
        tj.bootstrap(theo, 2, together=0)


def test_standard_errors_of_a_bootstrap(theo):
    found = tj.bootstrap(theo, 60, tj.Parametric(), seed=2)
    assert not found.failures
    ratio = found.table.se / theo.table.se
    # a standard deviation of 60 is good to 9 %; R's errors of 12 subjects are off by as much again
    np.testing.assert_allclose(ratio[["cl", "v", "plasma.additive"]], 1.0, atol=0.3)
    assert (found.table.lower < found.table["median"]).all()
    assert (found.table["median"] < found.table.upper).all()
    assert "60 replicates" in str(found)


def test_strata_keep_their_sizes_and_bad_ones_are_refused(theo):
    arms = tuple(
        tj.Subject(s.id, s.regimen, s.measurements, {"arm": float(i % 3 == 0), "WT": s.covariates["WT"]})
        for i, s in enumerate(theo.trial)
    )
    fit = dataclasses.replace(theo, trial=tj.TrialData(arms))
    arm = np.arange(12) % 3 == 0
    for i in range(20):
        w = tj.Case("arm").weights(fit, 0, i)
        assert w[arm].sum() == 4
        assert w[~arm].sum() == 8
    with pytest.raises(ValueError, match="few values"):
        tj.Case("WT").draw(fit, None, 0)


class Halting(tj.BFGS):
    """A search that never begins, or never ends."""

    begins: bool = True

    def minimise(self, objective, x, watch):
        if not self.begins:
            raise FloatingPointError("not today")
        return x


def test_replicates_that_fail_are_reported_and_left_out(theo):
    assert set(tj.bootstrap(theo, 2, optimiser=Halting(begins=False)).failures.values()) == {"not today"}
    still = tj.bootstrap(theo, 2, optimiser=Halting())
    assert "did not settle" in still.failures[0]
    assert len(still.values) == 0


# ------------------------------------------------------------------------------------------- importance resampling


def test_sir_draws_from_the_likelihood_that_a_grid_integrates():
    alone = tj.Population(OneCompartmentOral(ka=1.5, cl=2.8, v=32.0), residual=tj.Additive(0.7), fixed=["ka", "v"])
    patient = theophylline()["2"]
    fit = tj.fit(alone, patient, backend=Closed())
    found = tj.sir(fit, samples=(1000, 4000), resamples=(500, 1000), inflation=1.5, seed=3)
    engine, x = engine_of(fit)
    sd = np.sqrt(np.diag(np.linalg.inv(fit.uncertainty.r)))
    axes = [np.linspace(c - 5 * s, c + 7 * s, 40) for c, s in zip(x, sd, strict=True)]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
    weight = np.exp(-0.5 * (np.reshape([engine(v)[0] for v in grid.reshape(-1, 2)], grid.shape[:2]) - fit.objective))
    weight /= weight.sum()
    for k, name in enumerate(("cl", "plasma.additive")):
        own = weight.sum(axis=1 - k)
        mean = own @ axes[k]
        deviation = np.sqrt(own @ (axes[k] - mean) ** 2)
        drawn = np.log(found.values[name])
        # four Monte Carlo errors of 1000 draws; a deviation is good to 2 % of each
        assert drawn.mean() == pytest.approx(mean, abs=4 * deviation / np.sqrt(1000))
        assert drawn.std() == pytest.approx(deviation, rel=0.09)
    assert found.iterations.effective.iloc[1] > found.iterations.effective.iloc[0] / 2
    assert (
        found.table.loc["plasma.additive", "upper"] > fit.table.loc["plasma.additive", "upper"]
    )  # skewed to the right
    at_once = tj.sir(fit, samples=(50,), resamples=(20,), seed=3, chunk=32)
    np.testing.assert_allclose(
        at_once.values, tj.sir(fit, samples=(50,), resamples=(20,), seed=3).values, rtol=1e-9
    )  # rounding
    with pytest.raises(ValueError, match="no more of these than of those"):
        tj.sir(fit, samples=(10,), resamples=(20,))
    with pytest.raises(ValueError, match="needs a covariance"):
        tj.sir(tj.fit(alone, patient, backend=Closed(), covariance=False))


# ----------------------------------------------------------------------------------------------------------- shrinkage


def test_shrinkage_by_its_definition(theo):
    found = tj.shrinkage(theo)
    p = theo.population
    iwres = []
    for s, eta in zip(theo.trial, theo.eta, strict=True):
        ka, cl, v = (theo.theta[n] * np.exp(e) for n, e in zip(p.etas, eta, strict=True))
        t, dose, k = s.measurements.time, float(s.regimen.amount[0]), cl / v
        f = dose / v * ka / (ka - k) * (np.exp(-k * t) - np.exp(-ka * t))
        iwres += list((s.measurements.value - f) / theo.theta["plasma.additive"])
    assert found.sd["epsilon.plasma"] == pytest.approx(100 * (1 - np.std(iwres, ddof=1)), abs=1e-6)  # rounding
    for i, n in enumerate(p.etas):
        ratio = np.std(theo.eta[:, i], ddof=1) / theo.theta[f"omega.{n}"]
        assert found.sd[f"eta.{n}"] == pytest.approx(100 * (1 - ratio), abs=1e-9)
        assert found.variance[f"eta.{n}"] == pytest.approx(100 * (1 - ratio**2), abs=1e-9)


# ----------------------------------------------------------------------------------------------------- second derivatives


@pytest.mark.parametrize(
    ("method", "tolerance"),
    # FOCEI's gradient is good to the eta-hats: searched to rounding here, as its differences would show them
    [(tj.FOCEI(tolerance=1e-18), 1e-6), (tj.FO(), 1e-9), (tj.NaivePooled(), 1e-9)],
    ids=["FOCEI", "FO", "NaivePooled"],
)
def test_exact_second_derivatives_are_those_of_the_gradient(method, tolerance):
    engine = Engine.of(population(), theophylline(), method, {"cl": tj.LogNormal(2.5, 0.2)}, Closed())
    x = np.asarray(engine.predictor.transform.pack(population().theta))
    engine(x)
    exact = tj.SecondDerivatives().r(engine, x, engine.evaluate(x))
    coarse, fine = (tj.GradientDifferences(h).r(engine, x, None) for h in (4e-3, 2e-3))
    differences = (4 * fine - coarse) / 3  # Richardson: what is left is of the fourth order
    scale = np.sqrt(np.outer(np.diag(exact), np.diag(exact)))
    where = scale > 0
    assert np.max(np.abs(exact - differences)[where] / scale[where]) < tolerance
    assert not np.any(exact[~where])


def test_a_fit_by_exact_second_derivatives_and_its_other_covariances():
    alone = tj.Population(OneCompartmentOral(ka=1.5, cl=2.8, v=32.0), residual=tj.Additive(0.7))
    data = theophylline()
    exact, usual = (
        tj.fit(alone, data, backend=Closed(), covariance=c) for c in (tj.SecondDerivatives(), tj.GradientDifferences())
    )
    np.testing.assert_allclose(exact.table.se, usual.table.se, rtol=1e-5)  # differences of step 0.001 leave its square
    np.testing.assert_array_equal(exact.standard_errors["r"], exact.table.se)
    u = exact.uncertainty
    r, s, j = u.r, u.s, u.report
    for name, c in (("s", np.linalg.inv(s)), ("sandwich", np.linalg.solve(r, s) @ np.linalg.inv(r))):
        np.testing.assert_allclose(exact.standard_errors[name], np.sqrt(np.diag(j @ c @ j.T)), rtol=1e-9)  # rounding
    np.testing.assert_allclose(
        np.linalg.eigvalsh(exact.correlation), u.eigenvalues, rtol=1e-9
    )  # both scales are logarithms
    np.testing.assert_allclose(np.diag(exact.correlation), 1.0)
    quick = Engine.of(population(), theophylline(), tj.FOCEI(), {}, Closed())

    class Other(tj.NaivePooled):
        def second_derivatives(self, predictor, design, x, eta):
            return None

    with pytest.raises(ValueError, match="has no exact second derivatives"):
        tj.SecondDerivatives().r(quick.by(Other()), np.zeros(7), quick)


# ------------------------------------------------------------------------------------------------------------ pictures


def test_pictures_of_profiles_and_bootstrap(theo):
    from twinjax.plots import bootstrap_estimates, likelihood_profiles

    found = tj.profile(theo, ["ka", "omega.v"], points=2)
    axes = likelihood_profiles(found).axes
    assert [ax.get_xlabel() for ax in axes] == ["ka", "omega.v"]
    shown = axes[0].lines[1].get_xydata()
    np.testing.assert_array_equal(shown[:, 1], found.trace[found.trace.parameter == "ka"].change)
    again = tj.bootstrap(theo, 5)
    axes = bootstrap_estimates(again).axes
    assert [ax.get_xlabel() for ax in axes] == list(theo.estimated)
    assert sum(p.get_height() for p in axes[0].patches) == 5
