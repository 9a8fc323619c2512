"""Diagnostics against closed forms written out in plain NumPy, and predictive checks against the laws they obey."""

import dataclasses
import functools

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg

from twinjax import (
    FO,
    FOCE,
    FOCEI,
    Additive,
    Combined,
    Exact,
    LogNormalError,
    Measurements,
    NaivePooled,
    Population,
    Power,
    Regimen,
    Subject,
    TrialData,
    fit,
)
from twinjax.datasets import theophylline
from twinjax.estimation.diagnosis import predictive_check as module
from twinjax.estimation.diagnosis import simulation
from twinjax.estimation.diagnosis.residuals import curves, diagnose, etas, time_after_dose
from twinjax.estimation.diagnosis.simulation import simulate_measurements as draws
from twinjax.estimation.diagnosis.simulation import simulate_trial as simulated_trial
from twinjax.estimation.engine import Engine
from twinjax.models import OneCompartment, OneCompartmentOral
from twinjax.solve.problem import AbstractBackend, Solution


class Closed(AbstractBackend):
    """One compartment, with or without absorption, written out: an oracle of `Exact`, and quick to compile."""

    def refusal(self, problem):
        return None

    def solve(self, problem):
        m, d = problem.model, problem.doses
        since = problem.time[:, :, None] - d.time[:, None, :]
        first = jnp.where(d.additional, -1.0, d.order)[:, None, :] < problem.order[:, :, None]
        given = d.given[:, None, :] & ((since > 0) | ((since == 0) & first))
        since = jnp.where(given, since, 0.0)
        cl, v = m.cl[:, :, None], m.v[:, :, None]
        if hasattr(m, "ka"):
            ka, k = m.ka[:, :, None], cl / v
            shape = ka / (v * (ka - k)) * (jnp.exp(-k * since) - jnp.exp(-ka * since))
        else:
            shape = jnp.exp(-cl / v * since) / v
        plasma = jnp.sum(jnp.where(given, d.amount[:, None, :] * shape, 0.0), axis=2)
        none = jnp.zeros(problem.patients, int)
        return Solution(problem.time, type(m).Output(plasma=plasma), None, none, none)


simulate_measurements = functools.partial(draws, backend=Closed())
simulate_trial = functools.partial(simulated_trial, backend=Closed())
predictive_check = functools.partial(module.predictive_check, backend=Closed(), chunk=20)
OMEGA = {"ka": 0.63, "cl": 0.26, "v": 0.14}


def population(residual=None, **more):
    model = OneCompartmentOral(ka=1.59, cl=2.75, v=31.8)
    return Population(model, variability=OMEGA, residual=residual or Additive(0.69), **more)


@pytest.fixture(scope="module")
def fitted():
    return fit(population(), theophylline(), covariance=False, backend=Closed())


@functools.cache
def small():
    """Three people with two doses each of one compartment, measured at the same five times: quick to simulate."""
    dose = Regimen.repeat(100, every=12, count=2)
    times = [0.5, 2, 6, 12.5, 24]
    return TrialData(
        tuple(Subject(str(i), dose, Measurements.of(times, np.full(5, np.nan))) for i in range(40)), "small"
    )


def bolus(residual=None, **more):
    return Population(
        OneCompartment(cl=3.0, v=20.0), variability={"cl": 0.3, "v": 0.2}, residual=residual or Additive(0.2), **more
    )


@functools.cache
def check(corrected=False, chunk=20):
    data = simulate_trial(bolus(), small(), 11)
    return predictive_check(bolus(), data, replicates=200, seed=5, prediction_corrected=corrected, chunk=chunk)


# ------------------------------------------------------------------------------------------------------------- oracle


def oral(time, dose, ka, cl, v):
    k = cl / v
    return dose * ka / (v * (ka - k)) * (np.exp(-k * time) - np.exp(-ka * time))


def oracle(f, variance, moved=lambda x: x, interaction=True):
    """PRED, IPRED, IWRES, WRES and CWRES of every theophylline subject: closed form, central differences, `sqrtm`."""
    theta, rows = f.theta, []
    omega = np.diag([theta[f"omega.{n}"] ** 2 for n in ("ka", "cl", "v")])
    for s, eta in zip(f.trial, f.eta, strict=True):
        time, dose = s.measurements.time, float(s.regimen.amount[0])

        def predict(eta, time=time, dose=dose):
            return oral(time, dose, *(theta[n] * np.exp(e) for n, e in zip(("ka", "cl", "v"), eta, strict=True)))

        def slope(eta, predict=predict):
            steps = 1e-5 * np.eye(3)
            return np.stack([(moved(predict(eta + h)) - moved(predict(eta - h))) / 2e-5 for h in steps], axis=1)

        def weighted(residual, j, v):
            return np.linalg.inv(scipy.linalg.sqrtm(j @ omega @ j.T + np.diag(v)).real) @ residual

        y, f0, f1 = moved(s.measurements.value), predict(np.zeros(3)), predict(eta)
        v0 = variance(f0)
        v = variance(f1) if interaction else v0
        wres = weighted(y - moved(f0), slope(np.zeros(3)), v0)
        cwres = weighted(y - moved(f1) + slope(eta) @ eta, slope(eta), v)
        rows.append(np.stack([f0, f1, (y - moved(f1)) / np.sqrt(v), wres, cwres]))
    return np.concatenate(rows, axis=1)


def agree(table, expected):
    for name, column in zip(("PRED", "IPRED", "IWRES", "WRES", "CWRES"), expected, strict=True):
        np.testing.assert_allclose(table[name], column, rtol=1e-6, atol=2e-7, err_msg=name)


# --------------------------------------------------------------------------------------------------------- residuals


def test_theophylline_residuals_are_those_of_plain_numpy(fitted):
    table = diagnose(dataclasses.replace(fitted, backend=Exact()))
    assert list(table) == [
        "ID", "TIME", "TAD", "OUTPUT", "DV", "CENS", "PRED", "IPRED", "RES", "IRES", "IWRES", "WRES", "CWRES",
    ]  # fmt: skip
    assert len(table) == 132
    assert table["ID"].tolist() == [s.id for s in fitted.trial for _ in range(11)]
    assert set(table["OUTPUT"]) == {"plasma"}
    np.testing.assert_array_equal(table["TAD"], table["TIME"])
    agree(table, oracle(fitted, lambda f: np.full(f.shape, fitted.theta["plasma.additive"] ** 2)))
    np.testing.assert_allclose(table["RES"], table["DV"] - table["PRED"])
    np.testing.assert_allclose(table["IRES"], table["DV"] - table["IPRED"])
    assert abs(table["CWRES"].mean()) < 0.2
    assert 0.8 < table["CWRES"].std() < 1.2


def test_residual_variance_with_and_without_interaction(fitted):
    p = population(Combined(0.3, 0.1))

    def variance(f):
        return 0.09 + (0.1 * f) ** 2

    for method, interaction in ((FOCEI(), True), (FOCE(), False)):
        other = dataclasses.replace(fitted, population=p, method=method)
        agree(diagnose(other), oracle(other, variance, interaction=interaction))


def test_first_order_residuals_have_no_eta(fitted):
    other = dataclasses.replace(fitted, method=FO(), eta=np.zeros((12, 3)))
    table = diagnose(other)
    np.testing.assert_allclose(table["CWRES"], table["WRES"], rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(table["PRED"], table["IPRED"])


def test_pooled_residuals_are_divided_by_their_own_error(fitted):
    for p in (population(), Population(population().model, residual=Additive(0.69))):
        pooled = dataclasses.replace(fitted, population=p, method=NaivePooled(), eta=np.zeros((12, len(p.etas))))
        table = diagnose(pooled)
        np.testing.assert_allclose(table["CWRES"], table["RES"] / 0.69, rtol=1e-10, atol=1e-12)
    assert list(etas(pooled)) == ["ID", "WT", "ka", "cl", "v", "lag", "bioavailability"]


def late(trial):
    """Without the samples at the time of the dose, which have no logarithm."""
    return TrialData(tuple(
        eqx.tree_at(lambda s: s.measurements, s, Measurements.of(m.time[1:], m.value[1:], order=m.order[1:]))
        for s in trial for m in [s.measurements]
    ))  # fmt: skip


def test_log_normal_residuals_are_those_of_the_logarithms(fitted):
    other = dataclasses.replace(fitted, population=population(LogNormalError(0.2)), trial=late(fitted.trial))
    table = diagnose(other)
    agree(table, oracle(other, lambda f: np.full(f.shape, 0.04), moved=np.log))
    np.testing.assert_allclose(table["RES"], np.log(table["DV"] / table["PRED"]))


def test_censored_values_have_no_residual_and_leave_the_others_as_if_absent(fitted):
    def censor(s, drop):
        m = s.measurements
        keep = np.arange(11) != 10 if drop else np.ones(11, bool)
        censored = np.where(np.arange(11) == 10, 1, 0)[keep]
        new = Measurements.of(m.time[keep], m.value[keep], censored=censored, order=m.order[keep])
        return eqx.tree_at(lambda s: s.measurements, s, new)

    marked, dropped = (
        diagnose(dataclasses.replace(fitted, trial=TrialData(tuple(censor(s, drop) for s in fitted.trial))))
        for drop in (False, True)
    )
    last = marked["CENS"] == 1
    assert last.sum() == 12
    assert marked.loc[last, ["RES", "IRES", "IWRES", "WRES", "CWRES"]].isna().all(axis=None)
    assert marked.loc[last, ["PRED", "IPRED"]].notna().all(axis=None)
    np.testing.assert_allclose(marked.loc[~last, "CWRES"], dropped["CWRES"], rtol=1e-9, atol=1e-12)


def eta_hat(p, trial):
    """The modes of a population's subjects at its own parameters, without a fit."""
    engine = Engine.of(p, trial, FOCEI(), {}, Closed())
    predictor, x = engine.predictor, engine.predictor.transform.pack(p.theta)
    eta, settled = eqx.filter_jit(FOCEI().eta_hat)(predictor, engine.design, x, engine.eta, None)
    assert bool(jnp.all(settled))
    return np.asarray(eta)


def test_residuals_of_data_from_the_model_have_mean_zero_and_variance_one(fitted):
    trial = late(theophylline())
    many = TrialData(tuple(Subject(f"{k}.{s.id}", s.regimen, s.measurements) for k in range(12) for s in trial))
    p = population(Combined(0.1, 0.1))
    simulated = simulate_trial(p, many, 3)
    table = diagnose(dataclasses.replace(fitted, population=p, trial=simulated, eta=eta_hat(p, simulated)))
    n = len(table)
    assert n == 1440
    # independent to first order; 4 standard errors, and what linearisation leaves
    assert abs(table["CWRES"].mean()) < 4 / np.sqrt(n)
    assert abs(table["CWRES"].std() - 1) < 4 / np.sqrt(2 * n)


# ------------------------------------------------------------------------------------------------- etas, curves, doses


def test_etas_and_individual_parameters(fitted):
    table = etas(fitted)
    assert list(table) == ["ID", "eta.ka", "eta.cl", "eta.v", "WT", "ka", "cl", "v", "lag", "bioavailability"]
    np.testing.assert_array_equal(table[["eta.ka", "eta.cl", "eta.v"]], fitted.eta)
    np.testing.assert_allclose(table["cl"], fitted.theta["cl"] * np.exp(fitted.eta[:, 1]))
    assert table["v"][3] == pytest.approx(float(fitted.individual("4").v))


def test_a_covariate_called_like_a_parameter_keeps_apart(fitted):
    named = tuple(Subject(s.id, s.regimen, s.measurements, {"cl": s.covariates["WT"]}) for s in fitted.trial)
    effects = {"v": Power("cl", 70.0, 1.0)}
    other = dataclasses.replace(fitted, population=population(covariates=effects), trial=TrialData(named))
    table = etas(other)
    np.testing.assert_allclose(table["covariate.cl"], [s.covariates["WT"] for s in fitted.trial])
    np.testing.assert_allclose(table["v"], 31.8 * table["covariate.cl"] / 70 * np.exp(table["eta.v"]))


def test_curves_pass_through_the_predictions(fitted):
    table, fine = diagnose(fitted), curves(fitted, ["9", "1"], points=50)
    assert fine["ID"].unique().tolist() == ["9", "1"]
    for id in ("1", "9"):
        own, line = table[table["ID"] == id], fine[fine["ID"] == id]
        assert line["TIME"].is_monotonic_increasing
        found = line.drop_duplicates("TIME", keep="last").set_index("TIME").loc[own["TIME"]]
        np.testing.assert_allclose(found[["PRED", "IPRED"]], own[["PRED", "IPRED"]], rtol=1e-9, atol=1e-12)
    with pytest.raises(KeyError, match="no subject '77'"):
        curves(fitted, ["77"])


def test_curves_show_both_sides_of_a_dose(fitted):
    data = simulate_trial(bolus(), small(), 1)
    one = dataclasses.replace(fitted, population=bolus(), trial=data, eta=np.zeros((40, 2)))
    line = curves(dataclasses.replace(one, backend=Exact()), ["0"], points=20)
    before, after = line.loc[line["TIME"] == 12.0, "PRED"]
    np.testing.assert_allclose([before, after], [5 * np.exp(-1.8), 5 * np.exp(-1.8) + 5], rtol=1e-9)
    assert line["PRED"].iloc[0] == 0


def test_time_after_dose():
    doses = Regimen.repeat(10, every=12, count=3) + Regimen.dose(5, at=30, reset=True) + Regimen.reset(at=50)
    measured = Measurements.of([-1.0, 0.0, 3.0, 12.0, 13.0, 25.0, 29.0, 31.0, 60.0], np.zeros(9))
    expected = [np.nan, 0, 3, 0, 1, 1, 5, 1, 30]
    np.testing.assert_array_equal(time_after_dose(Subject("a", doses, measured)), expected)
    trough = Measurements.of([0.0, 12.0], [0.0, 0.0], order=[-1, 0.5])
    np.testing.assert_array_equal(
        time_after_dose(Subject("a", Regimen.repeat(10, every=12, count=3), trough)), [np.nan, 0]
    )
    stopped = Regimen.repeat(10, every=12, count=5) + Regimen.reset(at=20)
    after = Measurements.of([40.0], [0.0])
    np.testing.assert_array_equal(time_after_dose(Subject("a", stopped, after)), [28.0])
    np.testing.assert_array_equal(time_after_dose(Subject("a", Regimen.none(), after)), [np.nan])


# --------------------------------------------------------------------------------------------------------- simulation


def test_a_draw_depends_on_seed_replicate_and_subject_alone():
    p = bolus()
    many = simulate_measurements(p, small(), replicates=12, seed=7)
    assert many.shape == (12, 40, 5)
    # The last bit of an exponential differs between a vector's lanes and its remainder where tests compile unoptimised.
    np.testing.assert_allclose(simulate_measurements(p, small(), replicates=12, seed=7, chunk=10), many, rtol=1e-13)
    np.testing.assert_allclose(simulate_measurements(p, small(), replicates=10, seed=7, first=2), many[2:], rtol=1e-13)
    few = TrialData(tuple(
        eqx.tree_at(lambda s: s.measurements, s, Measurements.of(s.measurements.time[:3], np.zeros(3)))
        for s in small().subjects[:2]
    ))  # fmt: skip
    np.testing.assert_allclose(simulate_measurements(p, few, replicates=12, seed=7), many[:, :2, :3], rtol=1e-12)
    assert not np.any(simulate_measurements(p, small(), replicates=12, seed=8) == many)
    assert len(np.unique(many)) == many.size


def test_the_backend_of_the_automatic_choice_gives_the_same_draws():
    chosen = draws(bolus(), small(), replicates=10, seed=7)
    np.testing.assert_allclose(simulate_measurements(bolus(), small(), replicates=10, seed=7), chosen, rtol=1e-9)


def test_simulated_measurements_have_the_moments_of_the_model():
    """Against a Monte Carlo in NumPy of its own, and etas that are correlated."""
    residual = LogNormalError(0.1)
    p = Population(
        OneCompartment(cl=3.0, v=20.0),
        variability={"cl": 0.3, "v": 0.2},
        correlations={("cl", "v"): 0.8},
        residual=residual,
    )
    drawn = np.log(simulate_measurements(p, small(), replicates=250, seed=1).reshape(-1, 5))
    rng = np.random.default_rng(0)
    cov = np.array([[0.09, 0.048], [0.048, 0.04]])
    cl, v = np.array([[3.0], [20.0]]) * np.exp(rng.multivariate_normal([0, 0], cov, 100_000).T)
    time = np.array([0.5, 2, 6, 12.5, 24])[:, None]
    f = 100 / v * (np.exp(-cl / v * time) + np.where(time > 12, np.exp(-cl / v * (time - 12)), 0.0))
    peer = np.log(f.T) + 0.1 * rng.standard_normal((100_000, 5))
    np.testing.assert_allclose(drawn.mean(0), peer.mean(0), atol=0.025)
    np.testing.assert_allclose(np.cov(drawn.T), np.cov(peer.T), atol=0.012)


def test_many_replicates_compile_once(monkeypatch):
    traces = []
    predict = simulation._predict

    def counted(*args):
        traces.append(1)
        return predict(*args)

    monkeypatch.setattr(simulation, "_predict", counted)
    p = bolus()
    for seed in (1, 2):
        simulate_measurements(p, small(), replicates=35, seed=seed, chunk=9)
    simulate_measurements(p.with_theta({**p.theta, "cl": 4.0}), small(), replicates=35, seed=1, chunk=9)
    simulate_measurements(bolus(Additive(0.7)), small(), replicates=35, seed=1, chunk=9)
    assert len(traces) == 1


def test_a_simulated_trial_keeps_the_design_and_can_be_censored():
    p = bolus()
    values = simulate_measurements(p, small(), replicates=1, seed=2)[0]
    plain, cut = simulate_trial(p, small(), 2), simulate_trial(p, small(), 2, lloq={"plasma": 1.0})
    np.testing.assert_allclose(np.stack([s.measurements.value for s in plain]), values, rtol=1e-12)
    low = values < 1.0
    assert 0 < low.sum() == cut.summary()["censored"]
    np.testing.assert_allclose(np.stack([s.measurements.value for s in cut]), np.maximum(values, 1.0), rtol=1e-12)
    np.testing.assert_array_equal(np.stack([s.measurements.censored for s in cut]), low)
    assert plain.ids == small().ids
    assert plain.subjects[0].regimen is small().subjects[0].regimen
    with pytest.raises(ValueError, match="no output 'plasm'"):
        simulate_trial(p, small(), 2, lloq={"plasm": 1.0})


# ---------------------------------------------------------------------------------------------------- predictive check


def test_percentiles_of_data_from_the_model_lie_inside():
    """Nine in ten on average; the percentiles of one trial go together (sd 0.09 over 15), so take several trials."""
    coverage = [
        predictive_check(bolus(), simulate_trial(bolus(), small(), seed), replicates=200, seed=100).coverage
        for seed in range(6)
    ]
    assert abs(np.mean(coverage) - 0.9) < 4 * 0.09 / np.sqrt(6)


def test_observed_percentiles_are_those_of_the_data():
    c = check()
    assert c.table["time"].unique().tolist() == [0.5, 2, 6, 12.5, 24]
    assert (c.table["count"] == 40).all()
    assert c.failed == 0
    assert c.below is None
    assert "% of the observed percentiles lie inside the 90 % interval of 200 simulated trials" in str(c)
    values = np.stack([s.measurements.value for s in simulate_trial(bolus(), small(), 11)])
    observed = c.table.pivot(index="bin", columns="quantile", values="observed").to_numpy()
    np.testing.assert_allclose(observed, np.quantile(values, (0.05, 0.5, 0.95), axis=0).T, rtol=1e-12)


def test_bands_are_percentiles_of_simulated_percentiles():
    drawn = simulate_measurements(bolus(), small(), replicates=200, seed=5)
    of_each = np.quantile(drawn, (0.05, 0.5, 0.95), axis=1)
    for column, q in (("lower", 0.05), ("median", 0.5), ("upper", 0.95)):
        found = check().table.pivot(index="quantile", columns="bin", values=column).to_numpy()
        np.testing.assert_allclose(found, np.quantile(of_each, q, axis=1), rtol=1e-10)


def test_a_wrong_model_falls_outside():
    data = simulate_trial(bolus(), small(), 11)
    p = bolus()
    wrong = p.with_theta({**p.theta, "cl": jnp.asarray(5.0)})
    assert predictive_check(wrong, data, replicates=200, seed=5).coverage < 0.5


def test_the_same_seed_gives_the_same_check_whatever_the_chunk():
    a, b = (c.table.drop(columns="stratum") for c in (check(chunk=10), check()))
    np.testing.assert_allclose(a, b, rtol=1e-13)  # as above: the last bit


def test_correction_of_equal_predictions_changes_nothing():
    plain, corrected = check(), check(corrected=True)
    assert corrected.prediction_corrected
    np.testing.assert_allclose(corrected.table.drop(columns="stratum"), plain.table.drop(columns="stratum"), rtol=1e-12)
    np.testing.assert_allclose(corrected.points["DV"], plain.points["DV"], rtol=1e-12)


def doubled():
    """Half of the people at ten times the dose."""
    return TrialData(tuple(
        Subject(s.id, Regimen.repeat(1000 if i % 2 else 100, every=12, count=2), s.measurements, {"arm": float(i % 2)})
        for i, s in enumerate(small())
    ))  # fmt: skip


def test_prediction_correction_by_hand():
    """Bergstrand et al. 2011, equation 1, and the point of it: doses no longer spread the band."""
    p = bolus()
    data = simulate_trial(p, doubled(), 4)
    plain, corrected = (
        predictive_check(p, data, replicates=50, seed=1, prediction_corrected=on, bins=[0, 1, 4, 30])
        for on in (False, True)
    )
    time = np.array([0.5, 2, 6, 12.5, 24])
    each = 100 / 20 * (np.exp(-0.15 * time) + np.where(time > 12, np.exp(-0.15 * (time - 12)), 0.0))
    prediction = np.where(np.arange(40)[:, None] % 2, 10 * each, each)
    values = np.stack([s.measurements.value for s in data])
    last = values[:, 2:] * np.median(prediction[:, 2:]) / prediction[:, 2:]
    points = corrected.points[corrected.points["bin"] == 2]
    np.testing.assert_allclose(points["DV"], last.ravel(), rtol=1e-9)
    row = corrected.table[(corrected.table["bin"] == 2) & (corrected.table["quantile"] == 0.95)]
    np.testing.assert_allclose(row["observed"], np.quantile(last, 0.95), rtol=1e-9)

    def spread(c):
        wide = c.table[c.table["bin"] == 0].set_index("quantile")["observed"]
        return wide[0.95] / wide[0.05]

    assert spread(corrected) < 3 < 10 < spread(plain)


def test_strata_bins_and_time_after_dose():
    data = simulate_trial(bolus(), doubled(), 4)
    by_arm = predictive_check(bolus(), data, replicates=20, seed=1, stratify="arm")
    assert by_arm.table["stratum"].unique().tolist() == ["arm 0", "arm 1"]
    assert (by_arm.table["count"] == 20).all()
    since = predictive_check(bolus(), data, replicates=20, seed=1, after_dose=True, bins=2)
    assert since.points["TIME"].max() == 12.0
    assert len(since.table) == 6
    assert since.table["count"].sum() == 3 * 200


def test_bins_of_scattered_times_follow_the_visits():
    c = predictive_check(population(), theophylline(), replicates=20, seed=1, stratify="WT", bins=None)
    assert c.table["stratum"].unique().tolist() == ["WT ≤ 70.5", "WT > 70.5"]
    whole = module._edges(np.sort(np.concatenate([s.measurements.time for s in theophylline()])), None, 11)
    assert len(whole) == 12
    counts = np.histogram(np.concatenate([s.measurements.time for s in theophylline()]), whole)[0]
    np.testing.assert_array_equal(counts, 12)


def test_what_lies_below_the_limit_ranks_lowest_on_both_sides():
    p = bolus()
    data = simulate_trial(p, small(), 11, lloq=1.0)
    c = predictive_check(p, data, replicates=200, seed=5)
    plain = check().table
    assert c.lloq == 1.0
    assert c.below is not None
    drawn = simulate_measurements(p, small(), replicates=200, seed=5)
    values = np.stack([s.measurements.value for s in simulate_trial(p, small(), 11)])
    np.testing.assert_allclose(c.below["observed"], np.mean(values < 1.0, axis=0))
    np.testing.assert_allclose(c.below["median"], np.median(np.mean(drawn < 1.0, axis=1), axis=0))
    assert ((c.below["lower"] <= c.below["observed"]) & (c.below["observed"] <= c.below["upper"])).all()
    # percentiles above the limit are those without censoring, those below it are not known
    low = np.quantile(values, (0.05, 0.5, 0.95), axis=0, method="lower").T.ravel() < 1.0
    np.testing.assert_array_equal(c.table["observed"].isna(), low)
    np.testing.assert_allclose(c.table["observed"][~low], plain["observed"][~low], rtol=1e-12)


def test_percentiles_rank_infinities_and_skip_what_is_missing():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((7, 23))
    q = (0.0, 0.05, 0.5, 0.77, 1.0)
    np.testing.assert_allclose(module._percentile(x, q), np.quantile(x, q, axis=1), rtol=1e-12)
    x[:, 3] = np.nan
    np.testing.assert_allclose(module._percentile(x, q), np.nanquantile(x, q, axis=1), rtol=1e-12)
    y = np.array([-np.inf, -np.inf, 1.0, 2.0, np.inf])
    np.testing.assert_array_equal(
        module._percentile(y, (0.0, 0.3, 0.5, 0.75, 0.9)), [-np.inf, -np.inf, 1.0, 2.0, np.inf]
    )
    assert np.isnan(module._percentile(np.full(3, np.nan), (0.5,)))


def test_what_cannot_be_checked_says_so():
    data = simulate_trial(bolus(), doubled(), 4)
    with pytest.raises(ValueError, match="give a trial"):
        predictive_check(bolus())
    with pytest.raises(ValueError, match="no covariate 'arms' to stratify by; did you mean 'arm'"):
        predictive_check(bolus(), data, replicates=20, stratify="arms")
    with pytest.raises(ValueError, match=r"from at most 0.5 to at least 24"):
        predictive_check(bolus(), data, replicates=20, bins=[0, 1, 2])
    with pytest.raises(ValueError, match="no measured output"):
        predictive_check(bolus(), data, replicates=20, output="urine")
