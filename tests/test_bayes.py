"""Priors, the posterior's density, and draws from it: against SciPy, quadrature and a published reference posterior."""

import json
import sys
from typing import Annotated

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
import scipy.integrate
import scipy.optimize
import scipy.stats

import twinjax as tj
from twinjax.estimation.engine import Engine
from twinjax.estimation.methods.algorithm import Task
from twinjax.estimation.transform import Transform
from twinjax.models import OneCompartment, OneCompartmentOral
from twinjax.models.base import AbstractModel
from twinjax.progress import Search
from twinjax.runs import Run
from twinjax.units import Amount, Bounds, Concentration, Rate, Unit, Volume

# ------------------------------------------------------------------------------------------------------ distributions

KNOWN = [
    (tj.Normal(1.0, 2.0), scipy.stats.norm(1.0, 2.0)),
    (tj.LogNormal(3.0, 0.5), scipy.stats.lognorm(0.5, scale=3.0)),
    (tj.HalfNormal(0.7), scipy.stats.halfnorm(scale=0.7)),
    (tj.HalfCauchy(0.7), scipy.stats.halfcauchy(scale=0.7)),
    (tj.Gamma(2.5, 1.5), scipy.stats.gamma(2.5, scale=1 / 1.5)),
    (tj.InverseGamma(2.5, 1.5), scipy.stats.invgamma(2.5, scale=1.5)),
    (tj.Beta(2.0, 3.0), scipy.stats.beta(2.0, 3.0)),
    (tj.Uniform(-1.0, 3.0), scipy.stats.uniform(-1.0, 4.0)),
    (tj.TruncatedNormal(1.0, 2.0), scipy.stats.truncnorm(-0.5, np.inf, 1.0, 2.0)),
    (tj.TruncatedNormal(-9.0, 1.0, 0.0, 2.0), scipy.stats.truncnorm(9.0, 11.0, -9.0, 1.0)),
]


@pytest.mark.parametrize(("ours", "theirs"), KNOWN, ids=lambda d: type(d).__name__ if hasattr(d, "sample") else "")
def test_distribution_is_scipys(ours, theirs):
    x = np.array([-2.0, -0.5, 0.0, 0.2, 0.6, 1.7, 4.0])
    x = x[(x != 0.0) | (theirs.support()[0] < 0.0)]  # at the edge of a support a density is a matter of convention
    np.testing.assert_allclose(jax.vmap(ours.log_density)(x), theirs.logpdf(x), rtol=1e-9)
    draws = np.asarray(jax.vmap(ours.sample)(jax.random.split(jax.random.key(1), 2000)))
    # a false alarm once in 1,000 seeds, and this seed is fixed
    assert scipy.stats.kstest(draws, theirs.cdf).pvalue > 1e-3
    low, high = theirs.support()
    assert ours.support == Bounds(low, high)


def test_a_prior_that_is_zero_where_its_parameter_may_be_is_an_error():
    population = tj.Population(OneCompartment(cl=2.8, v=32.0), residual=tj.Additive(1.0))
    patient = tj.Subject("1", tj.Regimen.dose(320.0, into="central"), tj.Measurements.of([1.0, 4.0], [9.0, 7.0]))
    with pytest.raises(
        ValueError, match="on cl, Uniform, is zero outside 1 to 5, and cl is estimated between 0 and inf"
    ):
        tj.fit(population, patient, priors={"cl": tj.Uniform(1.0, 5.0)})
    with pytest.raises(ValueError, match="on v, Beta, is zero outside 0 to 1"):
        tj.fit(population, patient, priors={"v": tj.Beta(2.0, 2.0)}, method=tj.NUTS())


# ------------------------------------------------------------------------------------------------------------ density


def test_jacobian_of_the_transform_and_determinant_of_the_correlations():
    population = tj.Population(
        OneCompartmentOral(ka=1.2, cl=3.0, v=30.0, bioavailability=0.6),
        variability={"ka": 0.4, "cl": 0.3, "v": 0.2, "bioavailability": tj.LogitScale(0.3)},
        correlations={("cl", "v"): 0.5, ("ka", "cl"): 0.2, ("ka", "v"): 0.1},
        covariates={"cl": [tj.Power("weight", 70.0, 0.75), tj.Categorical("kind", {2: 0.5, 3: 0.2})]},
        residual=tj.Combined(0.1, 0.1), mixture=tj.Mixture("kind", (0.5, 0.3, 0.2)),
    )  # fmt: skip
    transform = Transform.of(population)
    x = transform.pack(population.theta) + 0.3 * np.random.default_rng(0).standard_normal(len(transform.reported))
    want = np.linalg.slogdet(jax.jacfwd(lambda v: transform.report(v, population.theta))(x))[1]
    assert float(transform.log_jacobian(x)) == pytest.approx(want, rel=1e-12)
    omega = np.asarray(population.omega(transform.unpack(x, population.theta)))
    sd = np.sqrt(np.diag(omega))
    assert float(sum(transform.log_correlations(x))) == pytest.approx(np.linalg.slogdet(omega / np.outer(sd, sd))[1])


def posterior_density(population, trial, priors=None, method=None):
    method = method or tj.NUTS()
    engine = Engine.of(population, trial, method.objective, priors or {}, tj.Exact())
    return method.density(Task(engine, None, None, 0, None, None, False))


PATIENT = tj.Subject("1", tj.Regimen.dose(100.0, into="central"), tj.Measurements.of([1.0, 3.0, 6.0], [8.0, 7.3, 5.5]))


def test_density_of_one_parameter_against_quadrature():
    """Normal error, log-normal prior: the mean by the density in log v, and by SciPy in v itself."""
    population = tj.Population(
        OneCompartment(cl=1.0, v=10.0), residual=tj.Additive(0.5), fixed=["cl", "plasma.additive"]
    )
    density = posterior_density(population, tj.TrialData((PATIENT,)), {"v": tj.LogNormal(12.0, 0.4)})
    x = np.linspace(np.log(2.0), np.log(60.0), 801)
    log_p = np.asarray(jax.jit(jax.vmap(density))(x[:, None]))

    def unnormalised(v):
        f = 100.0 / v * np.exp(-1.0 / v * PATIENT.measurements.time)
        likely = scipy.stats.norm(f, 0.5).logpdf(PATIENT.measurements.value).sum()
        return np.exp(likely + scipy.stats.lognorm(0.4, scale=12.0).logpdf(v))

    whole = scipy.integrate.quad(unnormalised, 2.0, 60.0, points=[9.0, 12.0])[0]
    mean = scipy.integrate.quad(lambda v: v * unnormalised(v), 2.0, 60.0, points=[9.0, 12.0])[0] / whole
    p = np.exp(log_p - log_p.max())
    found = scipy.integrate.simpson(p * np.exp(x), x=x) / scipy.integrate.simpson(p, x=x)
    assert found == pytest.approx(mean, rel=1e-6)  # Simpson's rule of 800 intervals over a smooth peak
    shape = [unnormalised(v) * v for v in np.exp(x[300:500:20])]
    constant = log_p[300:500:20] - np.log(shape)
    np.testing.assert_allclose(constant, constant[0], atol=1e-9)


def test_gradient_of_the_density_is_exact():
    population = tj.Population(
        OneCompartmentOral(ka=1.2, cl=3.0, v=30.0),
        variability={"cl": 0.3, "v": 0.2, "ka": 0.5},
        correlations={("cl", "v"): 0.3},
        residual=tj.Combined(0.3, 0.1),
    )
    from twinjax.datasets import theophylline

    density = posterior_density(population, theophylline())
    vector = 0.3 * jax.random.normal(jax.random.key(0), (density.size,))
    vector = vector.at[: density.free].add(density.predictor.transform.pack(population.theta))
    both = jax.jit(jax.value_and_grad(density))
    gradient = both(vector)[1]
    for k in (0, 1, 5, 6, 8, 9, 12, density.size - 1):
        h = 1e-4 * jnp.eye(density.size)[k]
        slope = (
            8 * (both(vector + h)[0] - both(vector - h)[0]) - both(vector + 2 * h)[0] + both(vector - 2 * h)[0]
        ) / 12e-4
        assert float(gradient[k]) == pytest.approx(float(slope), rel=1e-6, abs=1e-6)  # what differences resolve
    x, eta = density.split(vector)
    np.testing.assert_allclose(density.join(x, eta), vector, atol=1e-12)


def test_maximum_a_posteriori_is_that_of_the_natural_parameters():
    """FOCEI of a model without error in its linearisation: log v is normal, so the marginal density is known."""
    times, value = [0.0, 0.0], np.array([[8.0, 9.0], [12.0, 11.0], [10.0, 14.0]])
    trial = tj.TrialData(tuple(
        tj.Subject(str(i), tj.Regimen.dose(100.0, into="central"), tj.Measurements.of(times, v))
        for i, v in enumerate(value)
    ))  # fmt: skip
    population = tj.Population(
        OneCompartment(cl=1.0, v=10.0), variability={"v": 0.3}, residual=tj.LogNormalError(0.1),
        fixed=["cl", "plasma.lognormal"],
    )  # fmt: skip
    priors = {"v": tj.LogNormal(8.0, 0.1), "omega.v": tj.HalfCauchy(0.2)}
    found = tj.fit(population, trial, priors=priors, covariance=False)

    def objective(x):
        v, omega = np.exp(x)
        spread = scipy.stats.multivariate_normal([np.log(100.0 / v)] * 2, omega**2 + 0.01 * np.eye(2))
        beliefs = scipy.stats.lognorm(0.1, scale=8.0).logpdf(v) + scipy.stats.halfcauchy(scale=0.2).logpdf(omega)
        return -spread.logpdf(np.log(value)).sum() - beliefs

    best = np.exp(scipy.optimize.minimize(objective, np.log([9.0, 0.2]), method="Nelder-Mead", tol=1e-10).x)
    np.testing.assert_allclose([found.theta["v"], found.theta["omega.v"]], best, rtol=1e-3)  # BFGS's own stopping


# -------------------------------------------------------------------------------------------------------------- draws


def hierarchy():
    """Log-normal volumes, measured twice at the time of the dose: y = log(dose / v) is normal about a normal mean."""
    rng = np.random.default_rng(4)
    truth = np.log(10.0) + 0.4 * rng.standard_normal(8)
    y = np.log(100.0) - truth[:, None] + 0.3 * rng.standard_normal((8, 2))
    trial = tj.TrialData(tuple(
        tj.Subject(f"s{i}", tj.Regimen.dose(100.0, into="central"), tj.Measurements.of([0.0, 0.0], np.exp(v)))
        for i, v in enumerate(y)
    ))  # fmt: skip
    population = tj.Population(
        OneCompartment(cl=1.0, v=12.0), variability={"v": 0.5}, residual=tj.LogNormalError(0.3),
        fixed=["cl", "plasma.lognormal"],
    )  # fmt: skip
    return population, trial, y


def by_quadrature(y):
    """Posterior means of v, omega and the first subject's eta: log v normal(log 12, 2), omega half-Cauchy(0.5), the
    defaults; etas integrated in closed form, the rest on a grid.
    """
    mean, error = y.mean(axis=1), 0.3 / np.sqrt(2)
    mu, omega = np.meshgrid(np.linspace(1.0, 3.6, 500), np.linspace(1e-3, 6.0, 3000), indexing="ij")
    log_p = scipy.stats.norm(np.log(12.0), 2.0).logpdf(mu) + scipy.stats.halfcauchy(scale=0.5).logpdf(omega)
    for m in mean:
        log_p += scipy.stats.norm(np.log(100.0) - mu, np.sqrt(omega**2 + error**2)).logpdf(m)
    p = np.exp(log_p - log_p.max())
    p /= p.sum()
    eta = (np.log(100.0) - mu - mean[0]) * omega**2 / (omega**2 + error**2)
    return [(p * f).sum() for f in (np.exp(mu), omega, eta, omega**2)]


@pytest.fixture(scope="module")
def posterior():
    population, trial, _ = hierarchy()
    return tj.fit(population, trial, method=tj.NUTS(warmup=300, draws=1000, acceptance=0.95))


def test_posterior_of_a_population_against_quadrature(posterior):
    v, omega, eta, square = by_quadrature(hierarchy()[2])
    table = posterior.evidence.table
    # four Monte Carlo errors: a false alarm once in 5,000 (and the seed is fixed)
    assert table["mean"]["v"] == pytest.approx(v, abs=4 * table.mcse["v"])
    assert table["mean"]["omega.v"] == pytest.approx(omega, abs=4 * table.mcse["omega.v"])
    draws = posterior.evidence.eta[..., 0, 0]
    assert posterior.eta[0, 0] == pytest.approx(eta, abs=4 * draws.std() / np.sqrt(400))
    assert table.sd["omega.v"] == pytest.approx(np.sqrt(square - omega**2), rel=0.15)  # its own Monte Carlo error
    assert table.mcse["omega.v"] < 0.02


def test_a_posterior_as_a_fit(posterior):
    evidence, table = posterior.evidence, posterior.table
    assert posterior.converged, posterior.verdict
    assert posterior.verdict.startswith("Converged: R-hat at most 1.0")
    assert posterior.estimated == ("v", "omega.v")
    np.testing.assert_allclose(table.estimate, evidence.draws.mean((0, 1)), rtol=1e-9)
    np.testing.assert_allclose(table.se, evidence.draws.std((0, 1)), rtol=1e-3)
    np.testing.assert_allclose(table.lower, np.quantile(evidence.draws, 0.025, axis=(0, 1)))
    text = str(posterior)
    assert "no objective: the method computes none" in text
    assert "v ~ LogNormal(12, 2) (default), omega.v ~ HalfCauchy(0.5) (default)" in text
    assert posterior.history[-1].step == 1300
    assert (np.diff([h.step for h in posterior.history]) == 25).all()
    search = Search(posterior.population)
    for step in posterior.history[:20]:
        search.note(step)
    first, last = posterior.history[0], posterior.history[19]
    assert search.rate == pytest.approx(475 / (last.seconds - first.seconds))
    assert search.remaining == pytest.approx((1300 - 500) / search.rate)


def test_draws_as_arviz_data(posterior):
    import arviz_stats

    data = posterior.evidence.to_arviz()
    assert data.posterior["eta"].dims == ("chain", "draw", "subject", "effect")
    assert list(data.posterior["subject"].values[:2]) == ["s0", "s1"]
    assert data.sample_stats["diverging"].shape == (4, 1000)
    summary = arviz_stats.summary(data, var_names=["omega.v"], round_to="none")
    assert summary["mean"].iloc[0] == pytest.approx(posterior.theta["omega.v"])
    assert summary["r_hat"].iloc[0] == pytest.approx(posterior.evidence.rhat["omega.v"], abs=1e-6)


def test_a_run_keeps_the_draws(posterior, tmp_path):
    Run.create("fit", out=tmp_path / "r").store(posterior)
    kept = pd.read_parquet(tmp_path / "r" / "draws.parquet")
    assert kept.shape == (4000, 4 + len(posterior.evidence.names))
    second = kept[kept.chain == 1].sort_values("draw")
    np.testing.assert_array_equal(second["omega.v"], posterior.evidence.draws[1, :, 1])


def test_after_focei(posterior):
    """The same posterior: 400 draws of at least 100 effective, means within 4 of their errors."""
    population, trial, _ = hierarchy()
    method = tj.FOCEI().then(tj.NUTS(warmup=300, draws=1000, acceptance=0.95))

    def stop(step):
        if step.stage == 1 and step.step == 400:
            raise KeyboardInterrupt

    found = tj.fit(population, trial, method=method, progress=stop, covariance=False)
    assert {h.stage for h in found.history} == {0, 1}
    assert found.evidence.draws.shape == (4, 100, 2)
    table = posterior.evidence.table
    assert np.all(np.abs(found.evidence.table["mean"] - table["mean"]) < 0.4 * table["sd"])


def test_an_interruption_keeps_the_draws_so_far():
    population, trial, _ = hierarchy()

    def stop(step):
        if step.step == at:
            raise KeyboardInterrupt

    def sample():
        method = tj.NUTS(warmup=300, draws=1000, acceptance=0.95)
        return tj.fit(population, trial, method=method, progress=stop)

    at = 400
    found = sample()
    assert found.evidence.draws.shape == (4, 100, 2)
    assert any(d.startswith("Interrupted: 100 of 1000 draws a chain") for d in found.doubts)
    at = 300
    with pytest.raises(KeyboardInterrupt):
        sample()


def test_doubts_are_said(posterior):
    """The same draws, spoilt."""
    import dataclasses

    evidence, draws = posterior.evidence, posterior.evidence.draws.copy()
    draws[0] += 3.0 * draws.std((0, 1))
    diverged = np.zeros_like(evidence.diverged)
    diverged[1, :7] = True
    bad = dataclasses.replace(evidence, draws=draws, diverged=diverged, capped=np.ones_like(evidence.capped))
    found = dataclasses.replace(posterior, evidence=bad)
    assert not found.converged
    assert "Not converged: R-hat of" in found.verdict
    assert "7 of 4000 draws diverged" in found.verdict
    assert "effective draws of" in found.verdict
    assert "100 % of trajectories were cut off" in found.verdict


def test_misuse_and_a_missing_library(monkeypatch):
    population, trial, _ = hierarchy()
    for wrong, said in (({"chains": 0}, "chains is 0"), ({"acceptance": 1.0}, "acceptance"), ({"lkj": 0.0}, "lkj")):
        with pytest.raises(ValueError, match=said):
            tj.NUTS(**wrong)
    monkeypatch.setitem(sys.modules, "blackjax", None)
    with pytest.raises(ImportError, match=r"pip install 'twinjax\[bayes\]'"):
        tj.fit(population, trial, method=tj.NUTS(), backend=tj.Exact())


# -------------------------------------------------------------------------------------------------- published posterior


class SaturableOral(AbstractModel):
    """First-order absorption, Michaelis-Menten elimination: posteriordb's ``one_comp_mm_elim_abs``."""

    ka: Rate
    km: Concentration
    vm: Annotated[jax.Array | float, Unit("mg/h")]
    v: Volume = 2.0

    class State(eqx.Module):
        depot: Amount
        central: Amount

    class Output(eqx.Module):
        plasma: Concentration

    def derivative(self, t, y, u):
        absorbed, c = self.ka * y.depot, y.central / self.v
        return self.State(u.depot - absorbed, u.central + absorbed - self.vm * c / (self.km + c))

    def output(self, t, y, u):
        return self.Output(y.central / self.v)

    @classmethod
    def typical(cls):
        return cls(ka=0.7, km=1.0, vm=1.0)


def test_posteriordb_michaelis_menten(shared_data):
    """One patient without random effects, priors half-Cauchy; 10,000 draws by Stan are the reference."""
    folder = shared_data / "trials/posteriordb_pk_mm"
    data = json.loads((folder / "data.json").read_text())
    reference = pd.read_csv(folder / "reference_draw_quantiles.csv", index_col=0)
    errors = json.loads((folder / "mean_value.json").read_text())["mcse_mean"]
    patient = tj.Subject(
        "1", tj.Regimen.dose(data["D"], into="depot"), tj.Measurements.of(data["times"], data["C_hat"])
    )
    population = tj.Population(SaturableOral.typical(), residual=tj.LogNormalError(0.15))
    names = ["ka", "km", "vm", "plasma.lognormal"]
    method = tj.NUTS(chains=8, warmup=500, draws=3000, acceptance=0.98)
    fit = tj.fit(population, patient, method=method, priors=dict.fromkeys(names, tj.HalfCauchy(1.0)), seed=2)
    assert fit.converged, fit.verdict
    table, draws = fit.evidence.table, fit.evidence.draws.reshape(-1, 4)
    for i, (name, row, error) in enumerate(zip(names, reference.to_dict("records"), errors, strict=True)):
        # four Monte Carlo errors of both
        assert table["mean"][name] == pytest.approx(row["mean"], abs=4 * np.hypot(error, table.mcse[name])), name
        for q in (0.05, 0.5, 0.95):
            # a quantile's error is sqrt(q (1 - q) / n) in probability; n effective draws here and in the reference
            n = min(table.ess_bulk[name], table.ess_tail[name], 10_000) / 2
            found = np.mean(draws[:, i] <= row[f"{100 * q:.0f}%"])
            assert abs(found - q) < 4 * np.sqrt(q * (1 - q) / n), (name, q)
    for i, name in enumerate(["ka", "plasma.lognormal"]):
        n = min(table.ess_bulk[name], 10_000) / 2
        # of sds with finite fourth moments; km's and vm's have none, and are compared by quantiles
        assert table.sd[name] == pytest.approx(reference["std"].iloc[3 * i], rel=4 * np.sqrt(1.0 / n)), name
