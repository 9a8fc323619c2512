"""The page of a fit: what stands on it is what the fit says, whatever the names, and nothing is fetched."""

import dataclasses
import functools

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from twinjax import (
    FOCEI,
    Additive,
    Allometry,
    Combined,
    Exact,
    Measurements,
    Population,
    Power,
    Regimen,
    Subject,
    TrialData,
    report,
)
from twinjax.estimation.evidence.uncertainty import Uncertainty
from twinjax.estimation.result import Fit
from twinjax.estimation.transform import Transform
from twinjax.models import InhibitionOfProduction, OneCompartmentOral, coupled
from twinjax.reports import page, tables
from twinjax.reports.pictures import Picture, inline, pictures

TIMES = np.array([1.0, 6.0, 24.0, 72.0])


@functools.cache
def fitted():
    """A fit as `fit` would give it, put together by hand: two outputs, covariates, a censored value."""
    pk = OneCompartmentOral(ka=0.8, cl=0.135, v=8.0)
    model = coupled({"pd.concentration": "pk.plasma"}, pk=pk, pd=InhibitionOfProduction.typical())
    p = Population(
        model, variability={"pk.cl": 0.3, "pd.ic50": 0.4}, residual={"pk.plasma": Combined(0.3, 0.1), "pd.response": Additive(4.0)},
        covariates={"pk.cl": [Allometry(0.75, "wt", 70.0), Power("age", 40.0, -0.2)]},
    )  # fmt: skip
    people = []
    for i in range(4):
        plasma, response = np.array([2.0, 9.0, 6.0, 1.0]) + i, np.array([95.0, 60.0, 25.0, 40.0])
        m = Measurements(np.tile(TIMES, 2), np.concatenate([plasma, response]), (1,) * 4 + ("response",) * 4,
                         censored=np.arange(8) == 3 if i == 0 else np.zeros(8))  # fmt: skip
        people.append(Subject(f"s{i}", Regimen.dose(100, into="pk.depot"), m, {"wt": 60.0 + i, "age": 30.0}))
    free = len(Transform.of(p).reported)
    return Fit(
        population=p, trial=TrialData(tuple(people), "a <b>bold</b> trial"), method=FOCEI(), backend=Exact(),
        objective=50.0, by_subject=np.array([20.0, 10.0, 15.0, 5.0]), gradient=np.zeros(free),
        eta=np.array([[0.3, -0.4], [-0.3, 0.4], [0.31, 0.4], [-0.31, -0.4]]), settled=np.ones(4, bool),
        result=np.zeros(4, int), uncertainty=Uncertainty.none(free), history=(), ends=(50.0, 58.0),
        seconds={"search": 2.0}, seed=0, priors={},
    )  # fmt: skip


def rows(table):
    return [dict(zip(table.heads, row, strict=True)) for row in table.rows]


def test_equations_are_shown_part_by_part():
    (pk, described, source), (pd_, _, other) = tables.equations(fitted().population.model)
    assert (pk, pd_) == ("OneCompartmentOral", "InhibitionOfProduction")
    assert "central' =  ka depot - cl/v central" in described
    assert "**" not in described
    assert "`" not in described
    assert "code-block" not in described
    assert source.startswith("def derivative(self, t, y, u):\n    absorbed = self.ka * y.depot")
    assert '"""' not in source + other
    assert "def initial(self):\n    return self.State(response=self.kin / self.kout)" in other


def test_parameters_say_their_unit_variability_and_covariates():
    found = {r["parameter"]: r for r in rows(tables.parameters(fitted()))}
    assert found["pk.cl"] == {
        "parameter": "pk.cl", "unit": "L/h", "typical value": "0.135", "": "estimated", "between people": "log-normal",
        "covariates": "Allometry of wt (0.75), Power of age (-0.2)",
    }  # fmt: skip
    assert found["pk.lag"][""] == "fixed"
    errors = rows(tables.residual_errors(fitted()))
    assert errors[0]["at"] == "additive 0.3, proportional 0.1"
    assert {r["parameter"]: r["unit"] for r in rows(tables.estimates(fitted()))}["pd.response.additive"] == "au"


def test_data_are_counted_by_output():
    counts, outputs, covariates = tables.data(fitted())
    assert ("censored", "1") in counts.rows
    plasma, response = rows(outputs)
    assert (plasma["output"], plasma["unit"], plasma["measurements"], plasma["censored"]) == (
        "pk.plasma",
        "mg/L",
        "16",
        "1",
    )
    assert (plasma["least"], plasma["greatest"], plasma["last time"]) == ("2", "12", "72")  # 1.0 is a limit
    assert response["median"] == "50"
    assert rows(covariates)[0] == {
        "covariate": "wt",
        "least": "60",
        "median": "61.5",
        "greatest": "63",
        "different values": "4",
    }


def test_residuals_are_summed_up():
    z = np.random.default_rng(0).standard_normal(50)
    table = pd.DataFrame({"OUTPUT": "plasma", "CWRES": z, "WRES": 2 * z, "IWRES": np.nan})
    cwres, wres, iwres = rows(tables.residual_summary(table, None))
    assert cwres["deviation"] == f"{z.std(ddof=1):.4g}"
    assert wres["beyond 1.96 (%)"] == f"{100 * np.mean(np.abs(2 * z) > 1.96):.4g}"
    assert iwres["mean"] == ""


def test_each_output_has_its_pictures():
    names = [p.name for p in pictures(fitted())]
    for each in ("goodness_of_fit", "individual_fits", "vpc", "pcvpc", "npde", "npc"):
        assert f"{each}-pk.plasma" in names
        assert f"{each}-pd.response" in names
    assert names[-3:] == ["etas", "objectives", "convergence"]
    plain = Population(fitted().population.model, residual=fitted().population.residuals)
    without = dataclasses.replace(fitted(), population=plain, eta=np.zeros((4, 0)))
    assert [p.name for p in pictures(without) if "vpc" in p.name or "npde" in p.name] == []


def test_many_measurements_are_pixels():
    assert inline(Figure(), 100).startswith("data:image/svg+xml;base64,")
    assert inline(Figure(), 100_000).startswith("data:image/png;base64,")


class Stub:
    """Residuals that nothing was solved for."""

    def __init__(self, fit, replicates, seed):
        size = fit.trial.observations
        base = pd.DataFrame({"ID": "s0", "TIME": 0.0, "OUTPUT": "pk.plasma", "DV": 1.0, "CENS": 0}, index=range(size))
        z = np.random.default_rng(1).standard_normal(size)
        self.residuals = base.assign(CWRES=z, WRES=z, IWRES=z)
        self.discrepancies = base.assign(EPRED=1.0, NPD=z, NPDE=z)


@pytest.fixture
def written(tmp_path, monkeypatch):
    def refuse():
        raise ValueError("no <i>reason</i>")

    drawn = [Picture("one", "One", "Look.", Figure), Picture("two", "Two", "Look.", refuse)]
    monkeypatch.setattr(page, "pictures", lambda *_, **__: drawn)
    monkeypatch.setattr(page, "Checks", Stub)
    return lambda fit: report(fit, tmp_path / "deep" / "page.html").read_text(encoding="utf-8")


def test_the_page_says_what_the_fit_says(written):
    text = written(fitted())
    for doubt in fitted().doubts:
        assert f"<li>{doubt}</li>" in text
    assert "no other reached the best one" in text
    assert "a &lt;b&gt;bold&lt;/b&gt; trial" in text
    assert "<b>bold" not in text
    assert "Two: no &lt;i&gt;reason&lt;/i&gt;" in text
    assert text.count("<img") == 1
    assert text.index(">s0</td>") < text.index(">s2</td>") < text.index(">s3</td>")  # the worst described first
    assert "Correlations of the estimates" not in text  # not known


def test_a_fit_without_objective_has_a_page(written):
    unknown = np.full(4, np.nan)

    class Evidence:
        remarks = "chains: 4 & all <mixed>"

    found = dataclasses.replace(
        fitted(), objective=float("nan"), by_subject=unknown, evidence=Evidence(), ends=(float("nan"),)
    )
    text = written(found)
    assert "<dt>objective</dt><dd>not computed</dd>" in text
    assert "chains: 4 &amp; all &lt;mixed&gt;" in text
