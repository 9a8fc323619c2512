"""A study file: what it means, and that every slip is named with its table, its key and the nearest name."""

import copy
import tomllib

import numpy as np
import pytest

from twinjax.datasets import theophylline
from twinjax.io.study import Study, StudyError, data_file, read_study, shipped
from twinjax.io.study.plans import MethodPlan
from twinjax.io.study.toml import to_toml
from twinjax.observation import (
    M4,
    Additive,
    Combined,
    CombinedLinear,
    Logistic,
    LogNormalError,
    NegativeBinomial,
    Ordered,
    PowerError,
    Proportional,
    TimeToEvent,
)
from twinjax.population.distributions import LogNormal
from twinjax.population.effects import Allometry, Categorical, Exponential, Linear, Maturation, Power
from twinjax.population.variability import LogitScale, LogScale, NaturalScale

ORAL = {
    "model": {
        "name": "OneCompartmentOral",
        "start": {"ka": 1.5, "cl": 2.8, "v": 32},
        "variability": {"ka": 0.6, "cl": 0.3, "v": 0.1},
        "residual": {"plasma": {"additive": 0.7}},
    }
}


def changed(path, value):
    """The study with one value set (or, for None, removed)."""
    tables = copy.deepcopy(ORAL)
    *parents, last = path.split("/")
    at = tables
    for key in parents:
        at = at.setdefault(key, {})
    if value is None:
        del at[last]
    else:
        at[last] = value
    return tables


def problems(tables):
    with pytest.raises(StudyError) as caught:
        Study.of(tables, name="mine")
    return str(caught.value)


# ------------------------------------------------------------------------------------------------------------- meaning


def test_the_study_that_ships():
    assert "theophylline" in shipped()
    study = read_study("theophylline")
    trial, own = study.trial(), theophylline()
    assert trial.summary() == own.summary()
    assert trial.name == own.name
    theta = study.population().theta
    assert float(theta["omega.ka"]) == 0.6
    assert float(theta["plasma.additive"]) == 0.7
    assert study.fit.method == "FOCEI"
    np.testing.assert_array_equal(study.cohort.times, np.arange(0, 193, 2))
    assert study.cohort.regimen.kinds[0].into == "depot"
    assert study.cohort.regimen.kinds[0].additional == 6


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ({"additive": 0.7}, Additive),
        ({"proportional": 0.1}, Proportional),
        ({"additive": 0.7, "proportional": 0.1}, Combined),
        ({"additive": 0.7, "proportional": 0.1, "kind": "combined2"}, Combined),
        ({"additive": 0.7, "proportional": 0.1, "kind": "combined1"}, CombinedLinear),
        ({"lognormal": 0.2}, LogNormalError),
        ({"proportional": 0.1, "exponent": 0.5}, PowerError),
    ],
)
def test_residual_errors(said, kind):
    assert type(Study.of(changed("model/residual/plasma", said)).residual["plasma"]) is kind


def test_residual_errors_that_vary_between_people():
    tables = changed("model/residual/plasma", {"additive": 0.7, "proportional": 0.1})
    tables["model"]["variability"] = {"cl": 0.3, "plasma.proportional": 0.4}
    study = Study.of(tables)
    assert study.population().varying_errors == ("plasma.proportional",)
    assert float(study.population().theta["omega.plasma.proportional"]) == 0.4
    assert Study.of(tomllib.loads(study.to_toml())).variability == study.variability
    tables["model"]["variability"] = {"plasma.lognormal": 0.4}
    assert "there is no parameter 'plasma.lognormal'" in problems(tables)


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ({"likelihood": "Logistic"}, Logistic()),
        ({"likelihood": "NegativeBinomial", "dispersion": 0.3}, NegativeBinomial(0.3)),
        ({"likelihood": "Ordered", "first": -1.0, "steps": [1.0, 2.0]}, Ordered(-1.0, (1.0, 2.0))),
        ({"likelihood": "TimeToEvent", "cumulative": "plasma"}, TimeToEvent("plasma")),
    ],
)
def test_likelihoods(said, kind):
    study = Study.of(changed("model/residual/plasma", said))
    assert study.residual["plasma"] == kind
    assert Study.of(tomllib.loads(study.to_toml())).residual == study.residual


def test_a_likelihood_of_ones_own(tmp_path):
    (tmp_path / "own.py").write_text(
        "from twinjax.observation import Logistic\n\n\nclass Mine(Logistic):\n    scale: float = 1.0\n"
    )
    study = Study.of(changed("model/residual/plasma", {"likelihood": "own.py:Mine", "scale": 2.0}), folder=tmp_path)
    assert study.residual["plasma"].scale == 2.0
    assert tmp_path / "own.py" in study.files
    assert Study.of(tomllib.loads(study.to_toml())).residual["plasma"].scale == 2.0  # from anywhere
    text = problems(changed("model/residual/plasma", {"likelihood": "Logistics"}))
    assert "[model.residual.plasma] likelihood: there is no likelihood 'Logistics'" in text
    assert "'Logistic'" in text
    missing = problems(changed("model/residual/plasma", {"likelihood": "NegativeBinomial"}))
    assert "dispersion: is missing" in missing


def test_occasions_mixtures_and_limits_of_quantification():
    tables = changed("model/occasions", {"covariate": "OCC", "levels": [1, 2], "variability": {"cl": 0.2, "v": 0.1},
                                         "correlations": {"cl,v": 0.3}})  # fmt: skip
    tables["model"]["mixture"] = {"covariate": "kind", "probabilities": [0.7, 0.3]}
    tables["model"]["covariates"] = {"cl": {"categorical": "kind", "changes": {"2": -0.5}}}
    tables["model"]["quantification"] = {"plasma": "m4"}
    study = Study.of(tables)
    again = Study.of(tomllib.loads(study.to_toml()))
    for own in (study.population(), again.population()):
        assert own.etas[3:] == ("cl.occasion.1", "v.occasion.1", "cl.occasion.2", "v.occasion.2")
        assert float(own.theta["corr.cl.occasion.v.occasion"]) == 0.3
        assert float(own.theta["mixture.1"]) == 0.7
        assert own.quantification == {"plasma": M4()}


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("model/occasions", {"covariate": "OCC", "levels": 2, "variability": {"clx": 0.2}}, "clx"),
        ("model/occasions", {"covariate": "OCC", "variability": {"cl": 0.2}}, "levels: is missing"),
        ("model/occasions", {"covariate": "OCC", "levels": ["a"], "variability": {"cl": 0.2}}, "holds 'a'"),
        ("model/occasions", {"covariate": "OCC", "levels": 2}, "occasions need variability"),
        ("model/mixture", {"covariate": "kind", "probabilities": [0.7, 0.7]}, "have the sum 1"),
        ("model/mixture", {"covariate": "kind", "probabilities": [0.7, 0.3]}, "no effect reads 'kind'"),
        ("model/quantification", {"plasma": "M5"}, "there is no 'M5'"),
    ],
)
def test_slips_in_them_are_named(path, value, said):
    assert said in problems(changed(path, value))


@pytest.mark.parametrize(
    ("said", "effect"),
    [
        ({"power": "weight", "reference": 70, "exponent": 0.75}, Power("weight", 70.0, 0.75)),
        ({"allometry": "weight", "exponent": 0.75}, Allometry(0.75)),
        ({"linear": "age", "reference": 40, "slope": -0.01}, Linear("age", 40.0, -0.01)),
        ({"exponential": "age", "reference": 40, "rate": 0.1}, Exponential("age", 40.0, 0.1)),
        ({"categorical": "sex", "changes": {"1": 0.2}}, Categorical("sex", {1: 0.2})),
        ({"maturation": "pma", "tm50": 47.7, "hill": 3.4}, Maturation("pma", 47.7, 3.4)),
    ],
)
def test_covariate_effects(said, effect):
    study = Study.of(changed("model/covariates/cl", said))
    assert study.covariates["cl"] == (effect,)
    assert set(study.population().theta) > {n for n in study.population().theta if n.startswith("cl.")}


def test_several_effects_and_correlations_and_scales():
    tables = changed("model/covariates/cl", [{"power": "weight", "reference": 70}, {"linear": "age", "reference": 40}])
    tables["model"]["correlations"] = {"cl,v": 0.5}
    tables["model"]["variability"] = {"cl": 0.3, "v": {"natural": 2.0}, "bioavailability": {"logit": 0.5}}
    tables["model"]["start"]["bioavailability"] = 0.8
    study = Study.of(tables)
    assert len(study.covariates["cl"]) == 2
    assert [type(s) for s in study.variability.values()] == [LogScale, NaturalScale, LogitScale]
    assert float(study.population().theta["corr.cl.v"]) == 0.5


def test_fit_and_cohort_tables():
    tables = changed("fit", {"method": "foce", "fixed": ["v"], "estimate": ["lag"], "starts": 3, "seed": 7,
                             "priors": {"cl": {"lognormal": [2.8, 0.5]}}, "backend": "exact"})  # fmt: skip
    tables["model"]["start"]["lag"] = 0.1
    tables["cohort"] = {
        "covariates": {"weight": {"lognormal": [70, 0.2]}, "sex": {"bernoulli": 0.5}, "age": 40},
        "regimen": [{"amount": 100}, {"amount": 50, "at": 24, "duration": 2, "into": "central"}],
        "times": [0, 1, 2],
    }
    study = Study.of(tables)
    assert study.fit.method == "FOCE"
    assert study.fit.priors["cl"] == LogNormal(2.8, 0.5)
    assert {"v"} <= set(study.population().fixed)
    assert "lag" not in study.population().fixed
    assert list(study.cohort.covariates) == ["weight", "sex", "age"]
    assert len(study.cohort.regimen) == 2
    assert np.asarray(study.cohort.regimen.rate).tolist() == [0.0, 25.0]


def test_methods_one_after_another():
    tables = changed("fit", {"method": ["saem", {"importancesampling": {"samples": 100}}], "saem": {"chains": 4}})
    study = Study.of(tables)
    assert study.fit.methods == (MethodPlan("SAEM", {"chains": 4}), MethodPlan("ImportanceSampling", {"samples": 100}))
    assert study.fit.method == "SAEM, then ImportanceSampling"
    inline = Study.of(changed("fit/method", {"SAEM": {"chains": 4}, "Laplace": {}}))
    assert inline.fit.methods == (MethodPlan("SAEM", {"chains": 4}), MethodPlan("Laplace", {}))
    assert Study.of(ORAL).fit.methods == ()
    assert Study.of(ORAL).fit.method is None
    # options of a method that is not used now stay where they are
    other = study.overriding(fit={"method": "FOCEI"})
    assert other.fit.methods == (MethodPlan("FOCEI", {}),)
    again = Study.of(tomllib.loads(study.to_toml()))
    assert again.fit == study.fit


def test_coupled_models():
    start = {"pk.cl": 5, "pk.v": 50, "circ0": 5, "mtt": 120, "gamma": 0.17, "slope": 0.1}
    tables = {"model": {"pk": "OneCompartment", "pd": "FribergMyelosuppression",
                        "drives": {"pd.concentration": "pk.plasma"}, "start": start}}  # fmt: skip
    study = Study.of(tables)
    assert float(study.population().theta["pd.circ0"]) == 5.0
    assert "pk.plasam" in problems({"model": {**tables["model"], "drives": {"pd.concentration": "pk.plasam"}}})


OWN = """
from twinjax.models import OneCompartmentOral


class Slow(OneCompartmentOral):
    '''Mine.'''

    @classmethod
    def typical(cls):
        return cls(ka=0.1, cl=1.0, v=10.0)
"""


def test_own_model(tmp_path):
    (tmp_path / "mine.py").write_text(OWN)
    tables = changed("model/name", "mine.py:Slow")
    study = Study.of(tables, folder=tmp_path)
    assert type(study.model).__name__ == "Slow"
    assert study.files[-1].name == "mine.py"
    tables["model"]["name"] = "mine.py:Slwo"
    with pytest.raises(StudyError, match="did you mean 'Slow'"):
        Study.of(tables, folder=tmp_path)
    tables["model"]["name"] = "mien.py:Slow"
    with pytest.raises(StudyError, match=r"no file 'mien.py'; did you mean 'mine.py'"):
        Study.of(tables, folder=tmp_path)
    (tmp_path / "mine.py").write_text("import nothing_of_that_name")
    tables["model"]["name"] = "mine.py:Slow"
    with pytest.raises(StudyError, match="cannot be imported: ModuleNotFoundError"):
        Study.of(tables, folder=tmp_path)


def test_written_out_and_read_again(tmp_path):
    study = read_study("theophylline").overriding(fit={"method": "FO", "priors": {"cl": {"normal": [2.8, 1.0]}}})
    (tmp_path / "again.toml").write_text(study.to_toml())
    again = read_study(tmp_path / "again.toml")
    assert again.fit == study.fit
    assert again.tables == study.tables
    assert to_toml({"a": {"cl,v": [1, 'x\n"', True, {"b": float("inf")}]}}) == (
        '[a]\n"cl,v" = [1, "x\\n\\"", true, { b = inf }]\n'
    )


def test_data_beside_the_study(tmp_path):
    (tmp_path / "d.csv").write_text("subject,TIME,AMT,CP,KG\n1,0,100000,.,70\n1,60,.,2,70\n")
    tables = {**ORAL, "data": {
        "file": "d.csv", "columns": {"ID": "subject", "DV": "CP"}, "units": {"TIME": "min", "AMT": "ug"},
        "covariates": {"weight": "KG"},
    }}  # fmt: skip
    trial = Study.of(tables, folder=tmp_path).trial()
    assert trial["1"].measurements.time.tolist() == [1.0]
    assert trial["1"].covariates["weight"] == 70.0
    assert np.asarray(trial["1"].regimen.amount).tolist() == [100.0]


# --------------------------------------------------------------------------------------------------------------- slips


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("model/name", "OneCompartmentOrl", "[model] name: there is no model 'OneCompartmentOrl'; did you mean 'OneC"),
        ("model/start/kaa", 1.0, "[model.start] there is no parameter 'kaa'; did you mean 'ka'?"),
        ("model/start/v", None, "[model.start] OneCompartmentOral needs a starting value for v (L)"),
        ("model/start/v", "32", "[model.start] v: is text, '32'; write a number, without quotes"),
        ("model/start/v", -3.0, "[model] parameter v is -3; it is estimated between 0 and inf"),
        ("model/variability/kq", 0.3, "[model.variability] there is no parameter 'kq'"),
        ("model/variability/ka", -0.3, "[model] variability of ka is -0.3: it must be above zero"),
        ("model/correlations", {"cl": 0.3}, '[model.correlations] cl: write two names, as in "cl,v" = 0.5'),
        ("model/correlations", {"cl,lag": 0.3}, "there is no parameter with variability 'lag'"),
        ("model/residual/plasm", {"additive": 1}, "[model.residual] there is no output 'plasm'; did you mean 'plasma'"),
        ("model/residual/plasma", {"addtive": 1}, "did you mean 'additive'"),
        ("model/covariates", {"cl": {"powr": "w"}}, "[model.covariates.cl] say one kind of effect with its covariate"),
        ("model/covariates", {"cl": {"power": "w"}}, "[model.covariates.cl] reference: is missing"),
        ("model/strat", {}, "[model] there is no table 'strat' here; did you mean 'start'?"),
        ("ftt", {}, "there is no table 'ftt'; did you mean 'fit'?"),
        ("fit/sed", 3, "[fit] there is no key 'sed' here; did you mean 'seed'"),
        ("fit/method", "FOCIE", "[fit] method: there is no 'FOCIE'; did you mean 'FOCE' or 'FOCEI'"),
        ("fit/method", ["FOCE", "SAME"], "[fit] method: there is no 'SAME'; did you mean 'SAEM'"),
        ("fit/method", ["FOCE", 3], "[fit] method: holds 3; write a name in quotes, a list of them, or a table"),
        ("fit/method", {"SAEM": 3}, "[fit] method: SAEM = 3; write its options as a table, such as { SAEM = {} }"),
        ("fit/sam", {}, "[fit] there is no table 'sam' here; did you mean 'saem'"),
        ("fit/fixed", ["kaa"], "[fit] fixed: there is no parameter 'kaa'; did you mean 'ka'"),
        ("fit/starts", 0, "[fit] starts: is 0; write a whole number of at least 1"),
        ("fit/priors", {"cl": {"lognorm": [1, 1]}}, "[fit.priors.cl] write a distribution"),
        ("fit/priors", {"cl": {"normal": [1]}}, "[fit.priors.cl] normal: write normal = [mean, sd]"),
        ("data/flie", "x.csv", "[data] there is no key 'flie' here; did you mean 'file'"),
        ("cohort/regimen", [{"amount": 1, "into": "depott"}], "into: there is no state to dose into 'depott'; did you"),
        ("cohort/regimen", [{"amount": 1, "count": 3}], "every: 3 doses need the time from one to the next"),
        ("cohort/times", {"start": 5, "stop": 1, "step": 1}, "[cohort.times] start 5, stop 1, step 1"),
        ("cohort/covariates", "dta", "[cohort] covariates: is 'dta'"),
    ],
)  # fmt: skip
def test_slips_are_named(path, value, said):
    assert said in problems(changed(path, value))


def test_all_slips_at_once():
    tables = changed("fit/sed", 3)
    tables["model"]["start"]["kaa"] = 1.0
    tables["cohort"] = {"patients": "many"}
    text = problems(tables)
    assert text.startswith("mine: 3 problems")
    assert all(s in text for s in ("'sed'", "'kaa'", "[cohort] patients"))


def test_files_that_are_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match="did you mean 'theophylline'"):
        read_study("theofylline")
    (tmp_path / "study.toml").write_text(to_toml({**ORAL, "data": {"file": "theophyline"}}))
    with pytest.raises(StudyError, match=r"study.toml: a problem\n  \[data\] file: .* did you mean 'theophylline'"):
        read_study(tmp_path / "study.toml").trial()
    with pytest.raises(FileNotFoundError, match="no data file"):
        data_file("nothing.csv", tmp_path)
    with pytest.raises(StudyError, match=r"there is no \[data\]"):
        Study.of(ORAL).trial()


def test_bad_toml(tmp_path):
    (tmp_path / "study.toml").write_text("[model]\nname = OneCompartmentOral\n")
    with pytest.raises(StudyError, match=r"study.toml: a problem\n  is not TOML: .*line 2.*needs quotes"):
        read_study(tmp_path / "study.toml")


def test_wrong_unit():
    with pytest.raises(StudyError, match=r"\[data\] units\['DV'\]: 'mgg/L' does not convert to mg/L"):
        read_study("theophylline").overriding(data={"units": {"DV": "mgg/L"}}).trial()


def test_data_that_do_not_fit_the_model(tmp_path):
    (tmp_path / "d.csv").write_text("ID,TIME,AMT,DV,CMT\n1,0,100,.,5\n1,1,.,2,.\n")
    with pytest.raises(ValueError, match="a dose into 5: the model has compartments 1 to 2"):
        Study.of({**ORAL, "data": {"file": "d.csv"}}, folder=tmp_path).trial()


def test_a_model_as_a_study():
    study = Study.of_model("OneCompartmentOral", {"ka": 9.0})
    assert float(study.model.ka) == 9.0
    with pytest.raises(ValueError, match="did you mean 'ka'"):
        Study.of_model("OneCompartmentOral", {"kaa": 9.0})
