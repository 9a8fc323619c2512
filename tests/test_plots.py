"""Pictures: what is drawn is what the tables say, labels carry units, and files are written."""

import dataclasses
import functools

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from matplotlib.figure import Figure

from twinjax import (
    FOCEI,
    Additive,
    Exact,
    Measurements,
    NaivePooled,
    Population,
    Regimen,
    Subject,
    TrialData,
    plots,
)
from twinjax.datasets import theophylline
from twinjax.estimation.diagnosis.predictive_check import PredictiveCheck
from twinjax.estimation.evidence.uncertainty import Uncertainty
from twinjax.estimation.result import Fit, Iteration
from twinjax.models import OneCompartmentOral
from twinjax.plots import concentration, goodness, individuals, style
from twinjax.solve.problem import Solution
from twinjax.units import Unit


@functools.cache
def fitted():
    """A fit as `fit` would give it, put together by hand: pictures do not ask where it came from."""
    model = OneCompartmentOral(ka=1.59, cl=2.75, v=31.8)
    p = Population(model, variability={"ka": 0.63, "cl": 0.26, "v": 0.14}, residual=Additive(0.69))
    subjects = []
    for i, s in enumerate(theophylline()):
        m = s.measurements
        marked = Measurements.of(m.time, m.value, censored=(np.arange(11) == 10) & (i < 3), order=m.order)
        subjects.append(Subject(s.id, s.regimen, marked, {**s.covariates, "SEX": float(i % 2), "SITE": 1.0}))
    history = [Iteration(0, k, 120 - k, 10.0**-k, k) for k in range(4)] + [
        Iteration(1, k, 125 - k, 1.0, k) for k in range(3)
    ]
    return Fit(
        population=p, trial=TrialData(tuple(subjects), "theophylline"), method=FOCEI(), backend=Exact(),
        objective=117.0, by_subject=np.zeros(12), gradient=np.zeros(7),
        eta=0.3 * np.random.default_rng(1).standard_normal((12, 3)),
        settled=np.ones(12, bool), result=np.zeros(12, int), uncertainty=Uncertainty.none(7), history=tuple(history),
        ends=(117.0, 123.0), seconds={}, seed=0, priors={},
    )  # fmt: skip


@functools.cache
def residuals():
    """A table of `diagnose`'s columns."""
    rng, rows = np.random.default_rng(2), []
    for s in fitted().trial:
        m = s.measurements
        rows.append(pd.DataFrame({"ID": s.id, "TIME": m.time, "OUTPUT": "plasma", "DV": m.value, "CENS": m.censored}))
    table = pd.concat(rows, ignore_index=True)
    table["PRED"], table["IPRED"] = table["DV"] * 0.9, table["DV"] * 1.1
    for name in ("CWRES", "IWRES"):
        table[name] = np.where(table["CENS"] == 0, rng.standard_normal(len(table)), np.nan)
    return table


def lines(ax, label):
    return [line for line in ax.get_lines() if line.get_label() == label]


def written(figure, folder, name="picture.png"):
    assert isinstance(figure, Figure)
    figure.savefig(folder / name)
    content = (folder / name).read_bytes()
    assert content.startswith(b"\x89PNG")
    assert len(content) > 5000


# ----------------------------------------------------------------------------------------------------- goodness of fit


def test_goodness_of_fit_draws_its_table(tmp_path):
    table = residuals()
    figure = plots.goodness_of_fit(fitted(), table=table)
    written(figure, tmp_path)
    a, b, e, c, d, f = figure.axes
    assert (a.get_xlabel(), a.get_ylabel()) == ("population prediction (mg/L)", "observed plasma (mg/L)")
    assert b.get_xlabel() == "individual prediction (mg/L)"
    assert (c.get_xlabel(), c.get_ylabel()) == ("time (h)", "CWRES")
    known = table[table["CENS"] == 0]
    for ax, column in ((a, "PRED"), (b, "IPRED")):
        (points,), (marks,) = lines(ax, "measured"), lines(ax, "beyond the limit")
        np.testing.assert_array_equal(points.get_xydata(), known[[column, "DV"]])
        np.testing.assert_array_equal(marks.get_xydata(), table.loc[table["CENS"] != 0, [column, "DV"]])
    for ax, column in ((c, "TIME"), (d, "PRED")):
        (points,) = [line for line in ax.get_lines() if line.get_marker() == "o"]
        np.testing.assert_array_equal(points.get_xydata(), known[[column, "CWRES"]])
        assert -ax.get_ylim()[0] == ax.get_ylim()[1] > known["CWRES"].abs().max()
    (points,) = [line for line in e.get_lines() if line.get_marker() == "o"]
    np.testing.assert_array_equal(points.get_xydata(), np.stack([known["IPRED"], known["IWRES"].abs()], 1))
    assert (e.get_xlabel(), e.get_ylabel()) == ("individual prediction (mg/L)", "|IWRES|")
    (points,) = [line for line in f.get_lines() if line.get_marker() == "o"]
    n = len(known)
    np.testing.assert_array_equal(points.get_ydata(), np.sort(known["CWRES"]))
    np.testing.assert_allclose(
        points.get_xdata(), scipy.stats.norm.ppf((np.arange(n) + 0.5) / n), rtol=1e-9, atol=1e-12
    )
    with pytest.raises(ValueError, match="no measured output 'urine'"):
        plots.goodness_of_fit(fitted(), output="urine", table=table)


def test_the_band_of_ordered_residuals_holds_each_of_them(tmp_path):
    """95 % of each order statistic of normal samples, by sampling: 4 standard errors of 2,000 samples are 0.02."""
    ax = Figure().add_subplot()
    goodness.quantiles(ax, np.linspace(-2, 2, 40))
    corners = ax.collections[0].get_paths()[0].vertices
    z = ax.get_lines()[0].get_xdata()
    low, high = (np.array([pick(corners[np.isclose(corners[:, 0], x), 1]) for x in z]) for pick in (np.min, np.max))
    drawn = np.sort(np.random.default_rng(0).standard_normal((2000, 40)), axis=1)
    inside = np.mean((drawn > low) & (drawn < high), axis=0)
    np.testing.assert_allclose(inside, 0.95, atol=0.02)


def discrepancies():
    table = residuals().rename(columns={"PRED": "EPRED"})
    return table.assign(NPDE=np.random.default_rng(4).standard_normal(len(table)))


def test_npde_draws_its_table(tmp_path):
    table = discrepancies()
    figure = plots.npde(table, fitted().population.model)
    written(figure, tmp_path)
    a, b, c, d = figure.axes
    np.testing.assert_array_equal(a.get_lines()[1].get_ydata(), np.sort(table["NPDE"]))
    assert a.get_title(loc="left").startswith(f"mean {table['NPDE'].mean():.2f}, variance")
    assert sum(p.get_height() * p.get_width() for p in b.patches) == pytest.approx(1.0)
    for ax, column in ((c, "TIME"), (d, "EPRED")):
        for label, keep in (("measured", table["CENS"] == 0), ("imputed", table["CENS"] != 0)):
            np.testing.assert_array_equal(lines(ax, label)[0].get_xydata(), table.loc[keep, [column, "NPDE"]])
    assert (c.get_xlabel(), d.get_xlabel()) == ("time (h)", "mean of the simulated (mg/L)")
    with pytest.raises(ValueError, match="no measured output 'urine'"):
        plots.npde(table, output="urine")


def test_objectives_name_the_worst(tmp_path):
    each = np.arange(12.0) * 11
    found = dataclasses.replace(fitted(), by_subject=each)
    figure = plots.objectives(found)
    written(figure, tmp_path)
    left, right = figure.axes
    np.testing.assert_allclose(left.get_lines()[0].get_ydata(), np.arange(12.0))
    distance = np.sqrt(np.sum((found.eta / [0.63, 0.26, 0.14]) ** 2, axis=1))
    np.testing.assert_allclose(right.get_lines()[0].get_xdata(), distance)
    assert {t.get_text() for t in left.texts} == set(found.trial.ids[-5:])
    with pytest.raises(ValueError, match="no objective of each person"):
        plots.objectives(dataclasses.replace(found, by_subject=np.full(12, np.nan)))


def test_a_numerical_check_draws_its_table(tmp_path):
    rows = [
        {"interval": i, "side": side, "expected": e, "observed": o, "lower": 0.5 * e, "upper": 1.5 * e, "inside": o < 1.5 * e}
        for side in ("below", "above") for i, e, o in ((0.0, 50.0, 40.0), (0.5, 25.0, 30.0), (0.9, 5.0, 10.0))
    ]  # fmt: skip
    figure = plots.numerical_check(pd.DataFrame(rows))
    written(figure, tmp_path)
    for ax in figure.axes:
        np.testing.assert_allclose(lines(ax, "observed")[0].get_xydata(), [[0, 0.8], [50, 1.2], [90, 2.0]])
        np.testing.assert_allclose(lines(ax, "outside the band")[0].get_xydata(), [[90, 2.0]])
        assert {*ax.collections[0].get_paths()[0].vertices[:, 1]} == {0.5, 1.5}


def test_a_smooth_line_keeps_a_straight_line_and_follows_a_curve():
    x = np.sort(np.random.default_rng(0).uniform(0, 10, 200))
    at, y = style.smooth(x, 3 - 2 * x)
    np.testing.assert_allclose(y, 3 - 2 * at, atol=1e-9)
    at, y = style.smooth(x, np.sin(x), span=0.15)
    assert np.max(np.abs(y - np.sin(at))) < 0.1
    assert len(style.smooth(np.array([1.0, 1.0, 2.0]), np.zeros(3))[0]) == 0


# ------------------------------------------------------------------------------------------------------------- profiles


@functools.cache
def fine():
    """What `curves` would give, quickly."""
    time = np.linspace(0, 24, 30)
    return pd.concat(
        [
            pd.DataFrame({"ID": id, "TIME": time, "OUTPUT": "plasma", "PRED": time + 1, "IPRED": time + i})
            for i, id in enumerate(fitted().trial.ids, 1)
        ],
        ignore_index=True,
    )


def test_individual_fits_draw_their_curves(tmp_path, monkeypatch):
    asked = []

    def curves(fit, ids, *, points):
        asked.append((ids, points))
        return fine().loc[fine()["ID"].isin(ids)]

    monkeypatch.setattr(individuals, "curves", curves)
    figure = plots.individual_fits(fitted(), [2, "11", "5"], columns=2, points=30)
    written(figure, tmp_path)
    assert asked == [(["2", "11", "5"], 30)]
    shown = [ax for ax in figure.axes if ax.get_visible()]
    assert [ax.get_title(loc="left") for ax in shown] == ["2", "11", "5"]
    assert figure.get_supxlabel() == "time (h)"
    assert figure.get_supylabel() == "plasma (mg/L)"
    for ax, id in zip(shown, ("2", "11", "5"), strict=True):
        own, m = fine()[fine()["ID"] == id], fitted().trial[id].measurements
        for label, column in (("typical", "PRED"), ("individual", "IPRED")):
            np.testing.assert_array_equal(lines(ax, label)[0].get_xydata(), own[["TIME", column]])
        known = m.censored == 0
        np.testing.assert_array_equal(lines(ax, "measured")[0].get_xydata(), np.stack([m.time, m.value], 1)[known])
        assert len(lines(ax, "beyond the limit")) == int(not known.all())
    everyone = plots.individual_fits(fitted(), log=True)
    assert len(everyone.axes) == 12
    assert everyone.axes[0].get_yscale() == "log"


def test_individual_fits_solve_for_themselves(tmp_path):
    figure = plots.individual_fits(fitted(), ["1"], points=40)
    written(figure, tmp_path)
    (line,) = lines(figure.axes[0], "typical")
    time, value = line.get_xydata().T
    k, dose = 2.75 / 31.8, float(fitted().trial["1"].regimen.amount[0])
    expected = dose * 1.59 / (31.8 * (1.59 - k)) * (np.exp(-k * time) - np.exp(-1.59 * time))
    np.testing.assert_allclose(value, expected, rtol=1e-9, atol=1e-12)


def solution(patients, same=True):
    time = np.linspace(0, 24, 7) + (0.0 if same else 0.1 * np.arange(patients)[:, None])
    value = np.exp(-0.1 * time) * (1 + np.arange(patients))[:, None]
    result = np.zeros(patients, int)
    result[-1] = int(patients > 1)
    value[result != 0] = np.nan
    return Solution(np.broadcast_to(time, value.shape), OneCompartmentOral.Output(plasma=value), None, result, result)


def test_a_cohort_is_its_median_and_band(tmp_path):
    many = solution(40)
    figure = plots.concentration_time(many)
    written(figure, tmp_path)
    (ax,) = figure.axes
    low, middle, high = np.quantile(many.output.plasma[:-1], (0.05, 0.5, 0.95), axis=0)
    (median,) = lines(ax, "median")
    np.testing.assert_array_equal(median.get_xydata(), np.stack([many.time[0], middle], 1))
    corners = ax.collections[0].get_paths()[0].vertices
    assert {*low} | {*high} <= {*corners[:, 1]}
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("time (h)", "plasma (mg/L)")
    assert "5th to 95th percentile, 39 patients" in ax.get_legend_handles_labels()[1]


def test_a_few_patients_are_lines_with_data(tmp_path):
    few = solution(3)
    figure = plots.concentration_time(few, data=fitted().trial, log=True, time_unit="ms")
    written(figure, tmp_path)
    (ax,) = figure.axes
    drawn = [line for line in ax.get_lines() if line.get_linestyle() == "-"]
    assert len(drawn) == 2  # the third failed
    np.testing.assert_array_equal(drawn[1].get_ydata(), few.output.plasma[1])
    assert len(lines(ax, "measured")[0].get_xdata()) == 129
    assert len(lines(ax, "beyond the limit")[0].get_xdata()) == 3
    assert (ax.get_yscale(), ax.get_xlabel()) == ("log", "time (ms)")
    own = Figure().add_subplot()
    assert plots.concentration_time(solution(1), ax=own) is own.figure
    assert len(own.get_lines()) == 1
    with pytest.raises(ValueError, match="sampled at the same times"):
        plots.concentration_time(solution(20, same=False), band=True)
    assert len(plots.concentration_time(solution(20, same=False)).axes[0].get_lines()) == 19
    with pytest.raises(ValueError, match="no output 'plasm'"):
        plots.concentration_time(few, output="plasm")
    with pytest.raises(ValueError, match="no output 3; there are plasma"):
        plots.concentration_time(few, output=3)


def test_data_and_fits_against_time(tmp_path, monkeypatch):
    figure = plots.concentration_time(fitted().trial, unit="mg/L")
    written(figure, tmp_path)
    (ax,) = figure.axes
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("time (h)", "output 1 (mg/L)")
    assert len(ax.get_lines()) == 12 + 2
    monkeypatch.setattr(concentration, "curves", lambda fit: fine())
    figure = plots.concentration_time(fitted())
    written(figure, tmp_path)
    (ax,) = figure.axes
    assert len(ax.get_lines()) == 12 + 2
    np.testing.assert_array_equal(ax.get_lines()[4].get_ydata(), fine().loc[fine()["ID"] == "5", "IPRED"])
    assert ax.get_ylabel() == "plasma (mg/L)"


# -------------------------------------------------------------------------------------------- predictive check


def check(strata=("",), below=False, corrected=False):
    rows, low = [], []
    for s, stratum in enumerate(strata):
        for b in range(4):
            where = {"stratum": stratum, "bin": b, "time": 2.0 * b, "left": 0.0, "right": 8.0, "count": 9}
            for q in (0.05, 0.5, 0.95):
                rows.append(
                    where
                    | {
                        "quantile": q,
                        "observed": q + b,
                        "median": q + b,
                        "lower": q + b - 0.1 - s,
                        "upper": q + b + 0.1,
                    }
                )
            low.append(where | {"observed": 0.1 * b, "median": 0.1, "lower": 0.0, "upper": 0.3})
    points = pd.DataFrame(
        {"ID": "1", "TIME": [0.0, 2.0], "DV": [1.0, 2.0], "CENS": [0, 1], "stratum": strata[0], "bin": [0, 1]}
    )
    return PredictiveCheck(
        table=pd.DataFrame(rows), below=pd.DataFrame(low) if below else None, points=points, name="trial",
        output="plasma",
        unit=Unit("mg/L"), time_unit=Unit("h"), after_dose=corrected, prediction_corrected=corrected,
        stratified_by=None, lloq=0.5 if below else None, interval=0.9, replicates=100, seed=0, failed=0,
    )  # fmt: skip


def test_a_predictive_check_draws_its_table(tmp_path):
    c = check(below=True)
    figure = plots.vpc(c)
    written(figure, tmp_path)
    ax, lower = figure.axes
    t = c.table.set_index("quantile")
    (median,) = lines(ax, "observed median")
    np.testing.assert_array_equal(median.get_xydata(), t.loc[0.5, ["time", "observed"]])
    (outer,) = lines(ax, "observed 5th and 95th")
    np.testing.assert_array_equal(outer.get_xydata(), t.loc[0.05, ["time", "observed"]])
    for band, q in zip(ax.collections, (0.5, 0.05, 0.95), strict=True):
        corners = band.get_paths()[0].vertices
        assert {*t.loc[q, "lower"]} | {*t.loc[q, "upper"]} == {*corners[:, 1]}
    np.testing.assert_array_equal(lower.get_lines()[0].get_ydata(), c.below["observed"])
    assert ax.get_ylabel() == "plasma (mg/L)"
    assert (lower.get_xlabel(), lower.get_ylabel()) == ("time (h)", "fraction\nbelow limit")


def test_a_corrected_check_says_so_on_its_axes(tmp_path):
    figure = plots.vpc(check(strata=("SEX 0", "SEX 1"), corrected=True), log=True, points=False)
    written(figure, tmp_path)
    left, right = figure.axes
    assert left.get_ylabel() == "prediction-corrected plasma (mg/L)"
    assert left.get_xlabel() == right.get_xlabel() == "time after dose (h)"
    assert [ax.get_title(loc="left") for ax in (left, right)] == ["SEX 0", "SEX 1"]
    assert right.get_yscale() == "log"


# --------------------------------------------------------------------------------------- search, random effects


def test_convergence_draws_the_history(tmp_path):
    figure = plots.convergence(fitted())
    written(figure, tmp_path)
    left, right = figure.axes
    (best,) = lines(left, "best start")
    np.testing.assert_array_equal(best.get_xydata(), [[0, 3], [1, 2], [2, 1]])
    np.testing.assert_array_equal(right.get_lines()[0].get_xydata(), [[k, 10.0**-k] for k in range(4)])
    assert left.get_ylabel() == "objective above 117.000"
    assert len(right.get_lines()) == 2
    written(plots.convergence(dataclasses.replace(fitted(), history=())), tmp_path)


def eta_table():
    f = fitted()
    table = pd.DataFrame({f"eta.{n}": f.eta[:, i] for i, n in enumerate(f.population.etas)})
    return table.assign(**{n: [s.covariates[n] for s in f.trial] for n in ("WT", "SEX", "SITE")})


def test_etas_draw_their_table(tmp_path):
    table = eta_table()
    figure = plots.etas(fitted(), table=table)
    written(figure, tmp_path)
    grid = np.reshape(figure.axes, (3, 3))  # SITE does not vary
    for row, n in enumerate(("ka", "cl", "v")):
        assert grid[row, 0].get_xlabel() == f"eta of {n}"
        np.testing.assert_array_equal(grid[row, 0].get_lines()[0].get_xdata(), table[f"eta.{n}"])
        assert grid[row, 0].get_title(loc="left") == f"shrinkage {fitted().shrinkage[n]:.0f} %"
        areas = [p.get_height() * p.get_width() for p in grid[row, 0].patches]
        assert sum(areas) == pytest.approx(1.0)
        for ax, name in zip(grid[row, 1:], ("WT", "SEX"), strict=True):
            assert ax.get_xlabel() == name
            np.testing.assert_array_equal(ax.get_lines()[1].get_xydata(), table[[name, f"eta.{n}"]])
    medians = table.groupby("SEX")["eta.cl"].median()
    np.testing.assert_allclose(grid[1, 2].get_lines()[2].get_ydata(), medians)
    assert len(plots.etas(fitted(), covariates=(), table=table).axes) == 3
    with pytest.raises(ValueError, match="no covariate 'WTT'; did you mean 'WT'"):
        plots.etas(fitted(), covariates=["WTT"], table=table)
    plain = Population(fitted().population.model, residual=Additive(0.69))
    with pytest.raises(ValueError, match="no random effects"):
        plots.etas(dataclasses.replace(fitted(), population=plain, method=NaivePooled()))


def test_pictures_leave_matplotlib_alone():
    import matplotlib as mpl

    before = dict(mpl.rcParams)
    figure = Figure(layout="constrained").subfigures(1, 2)
    assert plots.vpc(check(), figure=figure[0]) is plots.convergence(fitted(), figure=figure[1])
    assert dict(mpl.rcParams) == before


def test_labels_carry_units():
    assert style.axis("plasma", Unit("mg/L")) == "plasma (mg/L)"
    assert style.axis("effect", Unit("1")) == "effect"
    assert style.axis("effect", None) == "effect"
    assert concentration_label(Regimen.none()) == "time (h)"


def concentration_label(regimen):
    trial = TrialData((Subject("1", regimen, Measurements.of([0.0, 1.0], [1.0, 2.0])),))
    return plots.concentration_time(trial).axes[0].get_xlabel()
