"""The permeability-limited brain: exposure metrics and clinical errors as published, Kp,uu in closed form, its table."""

import dataclasses
import json

import jax
import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from twinjax import Regimen, simulate
from twinjax.cli import app
from twinjax.exposure import brain_metrics, fold_errors
from twinjax.io.brain import read_brain_drugs
from twinjax.models import OneCompartment, PermeabilityLimitedBrain, ThreeCompartment, check_units, coupled
from twinjax.models.base import no_input
from twinjax.models.brain.brain import BarrierBrain, Barriers, BrainAnatomy
from twinjax.models.brain.rat import RatBrainAcetaminophen, RatBrainMorphine
from twinjax.models.pbpk import WholeBody
from twinjax.naming import leaves

pytestmark = pytest.mark.filterwarnings("ignore:outside the context of use")  # many published scenarios are

SITES = {"brain ECF": "ecf", "scsf": "spinal_csf"}
TO_MG_PER_L = {"paracetamol": 1.0, "ibuprofen": 1e-3, "mannitol": 1e3}
FILES = {"paracetamol": "mg_per_L", "ibuprofen": "ng_per_mL", "mannitol": "g_per_L"}


@pytest.fixture(scope="module")
def drugs():
    return read_brain_drugs()


@pytest.fixture(scope="module")
def curves(drugs):
    """Sampled as the published metrics were, each run once."""
    known = {}

    def of(name, source):
        if (name, source) not in known:
            time = np.arange(0.0, drugs[name].hours + 0.05, 0.1)
            output = simulate(drugs[name].model(source), drugs[name].regimen, time, throw=True).output
            known[name, source] = time, jax.tree.map(lambda x: np.asarray(x[0]), output.brain)
        return known[name, source]

    return of


@pytest.mark.parametrize("name", ["paracetamol", "ibuprofen", "mannitol"])
def test_published_exposure_metrics(shared_data, curves, name):
    """Cmax and AUC of every listed source and site, from another program; its solver's tolerance shows at 1e-5."""
    table = pd.read_csv(shared_data / "physiology/bbb_cns_pbpk/reference_exposure_metrics.csv")
    table = table[table["Compound"] == name.capitalize()]
    assert len(table) == {"paracetamol": 14, "ibuprofen": 4, "mannitol": 4}[name]
    for row in table.itertuples():
        time, output = curves(name, row.Source)
        curve = getattr(output, SITES[row.Site]) / TO_MG_PER_L[name]
        assert curve.max() == pytest.approx(row.Cmax, rel=2e-5)
        assert np.trapezoid(curve, time) == pytest.approx(row.AUC, rel=2e-5)


@pytest.mark.parametrize("name", ["paracetamol", "ibuprofen", "mannitol"])
def test_published_errors_against_clinical_csf(shared_data, curves, name):
    """Predictions between samples on a straight line, as the published errors took them."""
    folder = shared_data / "physiology/bbb_cns_pbpk"
    seen = pd.read_csv(folder / f"clinical_{name}_{FILES[name]}.csv").query("site == 'scsf'")
    table = pd.read_csv(folder / "reference_fold_errors.csv")
    for row in table[table["Compound"] == name.capitalize()].itertuples():
        time, output = curves(name, row.Source)
        found = fold_errors(np.interp(seen.time_h, time, output.spinal_csf), seen.conc * TO_MG_PER_L[name])
        assert found.gmr == pytest.approx(row.GMR, rel=1e-6)
        assert found.gmfe == pytest.approx(row.GMFE, rel=1e-6)


def steady_kp_uu(**how):
    """Kp,uu of a constant infusion, at steady state."""
    brain = PermeabilityLimitedBrain(BrainAnatomy.man(), Barriers.of(1.0, unbound_icf=0.3, **how), 46.8, 0.4, 1.0)
    model = coupled({"brain.plasma": "pk.plasma"}, pk=OneCompartment(cl=5.0, v=20.0), brain=brain)
    return simulate(model, Regimen.infusion(1e5, over=1e4, into="central"), [9e3]).output.brain.kp_uu[0, 0]


@pytest.mark.parametrize(("efflux", "uptake"), [((0.0, 0.0), (0.0, 0.0)), ((3.0, 0.7), (0.5, 0.1))])
def test_kp_uu_in_closed_form(efflux, uptake):
    """In over out, where extracellular fluid and CSF are as one: passive, active and bulk flow."""
    found = steady_kp_uu(efflux=efflux, uptake=uptake)
    passive, made = 1.5, 0.021
    # blood in the brain differs from arterial blood by what the CSF's production takes, 0.021 of 46.8 L/h
    expected = (passive + sum(uptake)) / (passive + sum(efflux) + made)
    assert float(found) == pytest.approx(expected, rel=3e-3)  # 1 / (300 L/h of ependyma over 2 L/h of barriers)


def test_efflux_lowers_and_uptake_raises_kp_uu():
    alone = steady_kp_uu()
    assert float(steady_kp_uu(efflux=(2.0, 0.0))) < 0.5 * float(alone)
    assert float(steady_kp_uu(uptake=(2.0, 0.0))) > 2.0 * float(alone)


@pytest.fixture(scope="module")
def body():
    """A whole body whose brain has barriers: the parent is pumped out of it, the metabolite hardly enters."""
    drugs = {
        "drug": Barriers.of(1.0, unbound_icf=0.3, efflux=(3.0, 0.7), uptake=(0.5, 0.1)),
        "metabolite": Barriers.of(0.01, unbound_icf=1.0),
    }
    whole = WholeBody.typical()
    return dataclasses.replace(whole, tissues={**whole.tissues, "brain": BarrierBrain(BrainAnatomy.man(), drugs)})


def test_a_brain_in_a_body_loses_nothing(body):
    """Units close; in a random state each family of drugs is conserved, urine and faeces included."""
    check_units(body)
    rng = np.random.default_rng(2)
    y = jax.tree.map(lambda _: rng.uniform(0.1, 1.0), body.initial())
    rates = leaves(body.derivative(0.0, y, no_input(body)))
    for balance in body.balances(0.0, y, no_input(body)).values():
        changes = [w * float(rates[n]) for n, w in balance.weights().items()]
        assert sum(changes) == pytest.approx(0.0, abs=1e-12 * max(map(abs, changes)))


def test_kp_uu_in_a_body(body):
    """At the steady state of an infusion, by linear algebra: what the driven brain's closed form says."""
    size = len(jax.tree.leaves(body.initial()))
    structure = jax.tree.structure(body.initial())

    def rates(y):
        found = body.derivative(0.0, jax.tree.unflatten(structure, list(y)), no_input(body))
        return jax.numpy.stack(jax.tree.leaves(found))

    matrix = np.asarray(jax.jit(jax.jacfwd(rates))(jax.numpy.zeros(size)))
    names = list(leaves(body.initial()))
    sinks = [i for i, n in enumerate(names) if not np.any(matrix[:, i])]  # urine and faeces: nothing comes back
    kept = [i for i in range(size) if i not in sinks]
    entering = np.array([n == "venous.drug" for n in names], float)
    steady = np.zeros(size)
    steady[kept] = np.linalg.solve(matrix[np.ix_(kept, kept)], -entering[kept])
    state = jax.tree.unflatten(structure, list(steady))
    solute = body.solutes["drug"]
    arterial = state.arterial["drug"] / body.arterial_volume / solute.blood_to_plasma
    found = body.tissues["brain"].kp_uu(state.tissues["brain"], arterial, solute.fu, "drug")
    assert float(found) == pytest.approx((1.5 + 0.6) / (1.5 + 3.7 + 0.021), rel=6e-3)  # the ependyma's 300 L/h


MORPHINE = """
[morphine]
dose = 10.0
into = 'central'
hours = 6.0
[morphine.kinetics]
model = 'OneCompartment'
cl = 70.0
v = 230.0
[morphine.binding]
fu = 0.65
blood_to_plasma = 1.0
unbound_icf = 0.4
bases = [8.2]
[morphine.ps_bbb]
optimized = 2.0
"""


def test_the_command_writes_every_drug_and_takes_ones_own(tmp_path):
    file, out = tmp_path / "mine.toml", tmp_path / "mine.csv"
    file.write_text(MORPHINE)
    result = CliRunner().invoke(app, ["brain", str(out), "--drugs", str(file), "--json"])
    assert result.exit_code == 0, result.output
    table = pd.read_csv(out)
    assert json.loads(result.output)["rows"] == len(table) == 5
    assert list(table.columns) == ["drug", "source", "ps_bbb", "site", "cmax", "tmax", "auc", "kp_uu", "outside"]
    assert table.auc[0] == pytest.approx(10.0 / 70.0 * (1 - np.exp(-70.0 / 230.0 * 6.0)), rel=1e-3)  # trapezoids


def test_every_shipped_drug_has_all_that_a_run_needs(drugs):
    assert len(drugs) == 6
    assert sum(len(d.ps_bbb) for d in drugs.values()) == 36
    for drug in drugs.values():
        for source in drug.ps_bbb:
            drug.model(source)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("fu = 0.65", "fu = 65.0", "morphine.binding.fu is 65; .* is it in percent"),
        ("unbound_icf = 0.4", "", "morphine.binding needs unbound_icf"),
        ("cl = 70.0", "clearance = 70.0", "morphine.kinetics has no 'clearance'"),
        ("'OneCompartment'", "'OneCompartmnt'", "no model 'OneCompartmnt' of plasma; did you mean 'OneCompartment'"),
        ("hours = 6.0", "hours = 6.0\nour = 1", "morphine has no 'our'; did you mean"),
    ],
)
def test_a_wrong_table_is_refused_in_words(tmp_path, old, new, message):
    file = tmp_path / "mine.toml"
    file.write_text(MORPHINE.replace(old, new))
    with pytest.raises(ValueError, match=message):
        read_brain_drugs(file)


def test_an_unknown_source_is_refused(drugs):
    with pytest.raises(ValueError, match="paracetamol has no ps_bbb of 'optimised'; did you mean 'optimized'"):
        drugs["paracetamol"].model("optimised")


# ------------------------------------------------------------------------------------------------------------------- rats


def test_acetaminophen_in_a_rats_ventricles(shared_data):
    """Six concentrations over 4 h beside another program's run (six printed digits), and its listed ratios of areas."""
    table = pd.read_csv(shared_data / "physiology/bbb_cns_pbpk/westerhout2012_rat_acetaminophen_15mgkg_run.csv")
    model, dose = RatBrainAcetaminophen.typical(), 15.0 * 0.25
    check_units(model)
    bile = Regimen.infusion(2.5e-4 * 240.0 * dose, over=4.0, into="plasma")
    times = table.t_min.to_numpy() / 60.0
    out = simulate(model, Regimen.infusion(dose, over=1.0 / 6.0, into="plasma") + bile, times, throw=True).output
    columns = {"plasma": "C_plasma_u", "ecf": "C_brainECF", "lv": "C_LV", "tfv": "C_TFV", "cm": "C_CM", "sas": "C_SAS"}
    for name, column in columns.items():
        found = 1e3 * np.asarray(getattr(out, name)[0])
        np.testing.assert_allclose(found, table[column], rtol=1e-4, atol=1e-5 * table[column].max(), err_msg=name)
    area = {n: np.trapezoid(np.asarray(getattr(out, n)[0]), times) for n in ("plasma", "ecf", "lv", "cm")}
    for name, listed in (("ecf", 0.831), ("lv", 0.425), ("cm", 0.294)):
        assert area[name] / area["plasma"] == pytest.approx(listed, abs=6e-4)


def test_morphine_in_a_rats_striatum(shared_data):
    """Four runs: 4 mg/kg without and with elacridar, 10 and 40 mg/kg, as listed to six digits (samples each minute)."""
    table = pd.read_csv(shared_data / "physiology/bbb_cns_pbpk/groenendaal2007_rat_morphine_runs.csv")
    ml = 0.06
    blood = ThreeCompartment(cl=20.0 * ml, v1=68.1e-3, q2=15.5 * ml, v2=0.739, q3=17.8 * ml, v3=0.133)
    times = np.arange(0.0, 241.0) / 60.0
    check_units(RatBrainMorphine.typical())
    for row in table.itertuples():
        brain = RatBrainMorphine.typical()
        if row.elacridar:
            brain = dataclasses.replace(brain, keff=0.0113 * 60.0)
        model = coupled({"brain.blood": "pk.plasma"}, pk=blood, brain=brain)
        regimen = Regimen.infusion(row.dose_mg_kg * 0.3, over=1.0 / 6.0, into="pk.central")
        out = simulate(model, regimen, times, throw=True).output
        ecf = 1e3 * np.asarray(out.brain.ecf[0])
        assert 1e3 * float(out.pk.plasma.max()) == pytest.approx(row.Cblood_max, rel=1e-4)
        assert ecf.max() == pytest.approx(row.ECF_max, rel=1e-4)
        assert np.trapezoid(ecf[:166]) == pytest.approx(row.AUC_ECF_0_165_ng_min_mL, rel=1e-4)
        assert ecf[[60, 240]] == pytest.approx([row.C_ECF_60, row.C_ECF_240], rel=1e-4)


def test_a_brain_warns_outside_its_context_by_itself(drugs):
    with pytest.warns(UserWarning, match=r"ps bbb of 4698: compared with data at 0.0238 to 1242 only"):
        Barriers.of(4698.0, unbound_icf=0.3)
    with pytest.warns(UserWarning, match=r"hours of 48: compared with data at 0 to 25 only"):
        brain_metrics({"none": dataclasses.replace(drugs["mannitol"], hours=48.0, ps_bbb={})})
