"""The verdict in words, and fits side by side: each doubt where it belongs and only there."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

from twinjax import FO, FOCE, FOCEI, Additive, Exact, NaivePooled, Population, compare, fit, plots
from twinjax.datasets import theophylline
from twinjax.estimation.evidence.protocol import AbstractEvidence
from twinjax.estimation.evidence.uncertainty import Uncertainty
from twinjax.estimation.methods.algorithm import AbstractAlgorithm, Estimate
from twinjax.estimation.result import Fit
from twinjax.estimation.transform import Transform
from twinjax.models import OneCompartmentOral
from twinjax.progress import Search
from twinjax.runs import plain


def uncertain(r, scale):
    """What `uncertainty` would give for logarithms of parameters of this scale, in closed form."""
    eigenvalues = np.full(len(r), np.nan)
    if np.all(np.linalg.eigvalsh(r) > 0):
        covariance = np.linalg.inv(r)
        sd = np.sqrt(np.diag(covariance))
        eigenvalues = np.linalg.eigvalsh(covariance / np.outer(sd, sd))
    return Uncertainty(r, r, np.diag(scale), eigenvalues)


def fitted(theta=None, r=None, **more):
    model = OneCompartmentOral(ka=1.5, cl=2.8, v=32.0, bioavailability=0.5)
    p = Population(
        model, variability={"ka": 0.6, "cl": 0.3, "v": 0.2}, residual=Additive(0.7), correlations={("cl", "v"): 0.5},
        estimate=["bioavailability"],
    )  # fmt: skip
    p = p.with_theta({**p.theta, **{n: jnp.asarray(v) for n, v in (theta or {}).items()}})
    names = Transform.of(p).reported
    eta = np.random.default_rng(0).standard_normal((12, 3))
    eta *= [0.6, 0.3, 0.2] / eta.std(axis=0, ddof=1)
    free = len(names)
    scale = np.array([float(p.theta[n]) for n in names])
    spread = uncertain(100 * np.eye(free) if r is None else r(names), scale)
    given = {
        "population": p, "trial": theophylline(), "method": FOCEI(), "backend": Exact(), "objective": 116.8,
        "by_subject": np.full(12, 116.8 / 12), "gradient": np.zeros(free), "eta": eta,
        "settled": np.ones(12, bool), "result": np.zeros(12, int), "uncertainty": spread, "history": (), "ends": (116.8,),
        "seconds": {"compile": 2.0, "search": 1.0}, "seed": 0, "priors": {}, **more,
    }  # fmt: skip
    return Fit(**given)


def test_nothing_to_doubt():
    assert fitted().doubts == ()
    assert fitted().verdict == "Converged: largest gradient 0.0e+00."


@pytest.mark.parametrize(
    ("theta", "said"),
    [
        ({"corr.cl.v": 0.995}, "The random effects of cl and v go together (correlation 0.995)"),
        ({"corr.cl.v": -0.999}, "The random effects of cl and v go together (correlation -0.999)"),
        ({"ka": 1e-10}, "ka is at its bound (1e-10, bound 0)"),
        ({"omega.v": 1e-5}, "The variability of v went to zero (omega 1.0e-05): leave it out."),
    ],
)
def test_boundaries(theta, said):
    doubts = fitted(theta).doubts
    assert any(d.startswith(said) for d in doubts), doubts
    assert fitted(theta).converged


def test_a_parameter_at_the_end_of_its_interval():
    inside, at = fitted({"bioavailability": 0.99}), fitted({"bioavailability": 1 - 1e-5})
    assert inside.doubts == ()
    assert at.doubts[0].startswith("bioavailability is at its bound (1, bound 1)")


def test_directions_that_the_data_do_not_fix():
    def ridge(names):
        """Nearly only cl / v is known, and nothing when `flat`."""
        r = 100 * np.eye(len(names))
        i, j = names.index("cl"), names.index("v")
        r[i, j] = r[j, i] = -100 * (1 - 1e-4)
        return r

    def saddle(names):
        r = ridge(names)
        i, j = names.index("cl"), names.index("v")
        r[i, j] = r[j, i] = -101
        return r

    ill = fitted(r=ridge)
    # eigenvalues of the two-by-two block are 1 +- (1 - 1e-4), those of its inverse correlation alike
    assert ill.uncertainty.condition_number == pytest.approx((2 - 1e-4) / 1e-4, rel=1e-6)
    assert "Ill-conditioned (condition number 19999): cl and v are hard to tell apart." in ill.doubts
    (flat,) = fitted(r=saddle).doubts
    assert "(R is not positive definite)" in flat
    assert "along cl and v: these" in flat or "along v and cl: these" in flat


def test_parameters_that_data_set_no_limit_to():
    def flat(names):
        return np.diag([0.0 if n == "ka" else 100.0 for n in names])

    (said,) = fitted({"ka": 4.7e43}, r=flat).doubts
    assert said.startswith("The objective does not change with ka (4.7e+43): no standard errors.")

    def small(names):  # a second derivative that is small in the units of a parameter that is no logarithm
        return np.diag([1e-9 if n == "bioavailability" else -1.0 if n == "ka" else 100.0 for n in names])

    (said,) = fitted(r=small).doubts
    assert "does not change" not in said


def test_poorly_known_parameters():
    def loose(names):
        return np.diag([0.5 if n == "ka" else 100.0 for n in names])

    (said,) = fitted(r=loose).doubts
    assert said == "Poorly known (relative standard error): ka (141 %)."


def test_other_optima():
    assert fitted(ends=(116.8, 116.801, 116.81)).doubts == ()
    (said,) = fitted(ends=(116.8, 116.85, 120.3, 150.0)).doubts
    assert said == "2 of 4 starts ended in worse local optima; the nearest is 3.5 above; 1 other reached the best one."
    (said,) = fitted(ends=(116.8, 120.3, np.inf)).doubts
    assert said.endswith(
        "2 of 3 starts ended in worse local optima; the nearest is 3.5 above; no other reached the best one."
    )


def test_gradients_and_failures_deny_convergence():
    steep = np.zeros(9)
    steep[1] = -2.0  # with R = 100, the minimum is 0.01 lower
    found = fitted(gradient=steep)
    assert found.left_to_fall == pytest.approx(0.01)
    assert not found.converged
    assert found.verdict.startswith("Not converged: the gradient in cl is still -2.")
    assert not fitted(settled=np.arange(12) > 0).converged


# --------------------------------------------------------------------------------------------------------- comparison


def test_compare_by_hand():
    base = fitted()
    full = fitted({"cl": 3.0}, objective=110.0, method=FOCE(), ends=(110.0, 120.0))
    c = compare(base, full, names=["base", "full"])
    assert c.runs.loc["full", "change"] == pytest.approx(-6.8)
    k, n = len(base.estimated), 132
    np.testing.assert_allclose(c.runs["aic"], [116.8 + 2 * k, 110.0 + 2 * k])
    np.testing.assert_allclose(c.runs["bic"], [116.8 + k * np.log(n), 110.0 + k * np.log(n)])
    assert c.runs["condition"].tolist() == [1.0, 1.0]
    assert c.runs["doubts"].tolist() == [0, 1]
    assert c.runs["seconds"].tolist() == [3.0, 3.0]
    np.testing.assert_allclose(c.estimates.loc["cl"], [2.8, 10.0, 3.0, 10.0])  # R = 100 of the logarithm: 10 %
    assert len(c.notes) == 1
    assert c.notes[0].startswith("FOCEI, FOCE approximate")
    text = str(c)
    assert "change of objective" in text
    assert "3 (10 %)" in text
    # of what a run keeps, nothing is lost
    kept = [
        plain({**f.to_dict(), "model": "OneCompartmentOral", "trial": {"name": f.trial.name, **f.trial.summary()},
               "converged": f.converged, "doubts": list(f.doubts)}) for f in (base, full)
    ]  # fmt: skip
    assert str(compare(*kept, names=["base", "full"])) == text


def test_compare_says_what_it_cannot():
    other = fitted(trial=theophylline().where(lambda s: s.id != "1"), objective=float("nan"), eta=np.zeros((11, 3)),
                   settled=np.ones(11, bool), result=np.zeros(11, int), by_subject=np.full(11, np.nan))  # fmt: skip
    c = compare(fitted(), other)
    assert c.runs.index.tolist() == ["1 FOCEI", "2 FOCEI"]
    assert np.isnan(c.runs["change"].iloc[1])
    assert any("different data" in n for n in c.notes)
    with pytest.raises(ValueError, match="at least two fits, not 1"):
        compare(fitted())
    with pytest.raises(ValueError, match="as many different names"):
        compare(fitted(), fitted(), names=["a", "a"])


# --------------------------------------------------------------------------------------------------------- NaN objectives


def test_a_fit_without_an_objective_is_kept(tmp_path):
    found = fitted(
        objective=float("nan"), by_subject=np.full(12, np.nan), gradient=np.full(9, np.nan), ends=(float("nan"),)
    )
    assert np.isnan(found.aic)
    assert np.isnan(found.bic)
    again = Fit.load(found.save(tmp_path / "f.json"), found.population, found.trial, method=FO(), backend=Exact())
    assert np.isnan(again.objective)
    assert again.evidence is None
    np.testing.assert_array_equal(again.table["estimate"], found.table["estimate"])
    assert "no objective" in str(again)


class Draws(AbstractEvidence):
    """What a sampling method would keep."""

    statement = "Converged: R-hat at most 1.001."
    doubts = ("Only 30 effective draws of ka.",)
    intervals = {"ka": (1.0, 2.0)}
    remarks = "priors: none"


def test_what_evidence_said_is_kept(tmp_path):
    found = fitted(gradient=np.full(9, np.nan), evidence=Draws())
    again = Fit.load(found.save(tmp_path / "f.json"), found.population, found.trial, method=FOCEI(), backend=Exact())
    assert again.verdict == found.verdict
    assert again.converged
    assert again.doubts[0] == "Only 30 effective draws of ka."
    assert again.table.loc["ka", ["lower", "upper"]].tolist() == [1.0, 2.0]
    assert str(again) == str(found)


# ------------------------------------------------------------------------------------------------------------ the trace


class Drifting(AbstractAlgorithm):
    """No method: it moves every parameter by a tenth, twice, and computes no objective."""

    @property
    def objective(self):
        return NaivePooled()

    def estimate(self, task):
        x, people, unknown = task.x, len(task.engine.ids), np.full(len(task.x), np.nan)
        for k in (1, 2):
            x = x + 0.1
            task.watch(k, x, float("nan"), unknown)
        return Estimate(x, np.full(people, np.nan), unknown, task.eta, np.ones(people, bool), np.zeros(people, int),
                        Uncertainty.none(len(x)))  # fmt: skip


def test_a_chain_keeps_its_trace_and_an_interrupted_one_goes_on(tmp_path):
    p = Population(OneCompartmentOral(ka=1.5, cl=2.8, v=32.0), residual=Additive(0.7))
    search = Search(p)
    found = fit(p, theophylline(), method=Drifting().then(NaivePooled()), covariance=False, backend=Exact(),
                optimiser=search.optimiser, progress=search.note)  # fmt: skip
    trace = found.trace
    assert trace["stage"].tolist()[:3] == [0, 0, 1]
    np.testing.assert_allclose(trace["cl"][:2], 2.8 * np.exp([0.1, 0.2]))
    assert trace["objective"][:2].isna().all()
    assert trace["objective"].iloc[-1] == pytest.approx(found.objective, abs=1e-6)
    np.testing.assert_allclose(trace["cl"].iloc[-1], found.theta["cl"], rtol=1e-6)
    again = Fit.load(found.save(tmp_path / "f.json"), p, found.trial, method=found.method, backend=Exact())
    pd.testing.assert_frame_equal(again.trace, trace, check_exact=False, rtol=1e-12)
    # what a stopped search leaves can be gone on from
    told = search.to_dict()
    assert told["stage"] == 1
    resumed = fit(p.with_theta(told["theta"]), theophylline(), covariance=False, backend=Exact())
    assert resumed.objective == pytest.approx(found.objective, abs=1e-6)
    assert len(resumed.history) <= 2
    figure = plots.convergence(dataclasses.replace(found, history=found.history[:2]))
    assert {ax.get_ylabel() for ax in figure.axes} == {"ka (1/h)", "cl (L/h)", "v (L)", "plasma.additive"}
