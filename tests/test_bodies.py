"""Organs and bodies: published trajectories of acetaminophen, a gut-liver chip and dextromethorphan; mass balance."""

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

from twinjax import Regimen, simulate
from twinjax.models import AcetaminophenToxicity, Body, GutLiverChip, check_units
from twinjax.models.base import no_input, state_names
from twinjax.models.body.body import acetaminophen_body
from twinjax.models.body.dextromethorphan import dextromethorphan
from twinjax.models.body.elimination import LinearElimination, SaturableElimination
from twinjax.models.body.glimepiride import glimepiride
from twinjax.models.body.organ import Flow, merge
from twinjax.models.body.organs import ClearingTissue, Gut, PermeableTissue, Tissue
from twinjax.naming import bind, leaves, resolve
from twinjax.solve.exact import Exact
from twinjax.solve.simulate import choose, pose


@pytest.fixture(scope="module")
def runs(shared_data):
    """Trajectories by libRoadRunner (CVODE, rtol 1e-9)."""
    return lambda name: pd.read_csv(shared_data / f"physiology/biomodels/reference_runs/{name}.csv")


def apart(found, reference):
    """Largest difference, per the reference's own peak."""
    return float(np.abs(np.asarray(found) - np.asarray(reference)).max() / np.max(reference))


# --------------------------------------------------------------------------------------------------------- acetaminophen


@pytest.mark.parametrize("dose", [1.0, 0.25, 0.5, 2.0, 4.0, 8.0, 16.0])
def test_acetaminophen_in_a_cell(runs, dose):
    """Five states at seven doses, in umol per 1e9 cells and hours; both integrators' tolerances show (NAPQI: 6e-7)."""
    table = runs(f"BIOMD0000000609_dose{dose:g}x")
    found = simulate(
        AcetaminophenToxicity.typical(),
        Regimen.dose(132.0 * dose, into="drug"),
        table.time.to_numpy() * 24.0,
        throw=True,
    ).state
    columns = {
        "drug": "Paracetamol_APAP",
        "paps": "Sulphate__PAPS",
        "napqi": "NAPQI",
        "gsh": "GSH",
        "adducts": "Protein_adducts",
    }
    for name, column in columns.items():
        assert apart(getattr(found, name)[0] * 1e-15, table[f"[{column}]"]) < 5e-6, name


def test_an_overdose_is_where_glutathione_runs_out():
    """The paper's critical dose: adducts per gram rise more than tenfold from 4 to 16 g, and glutathione is gone."""
    model, times = AcetaminophenToxicity.typical(), np.linspace(0.0, 48.0, 97)
    low, high = (simulate(model, Regimen.dose(132.0 * n, into="drug"), times).state for n in (1.0, 4.0))
    assert high.gsh[0].min() < 0.01 * high.gsh[0, 0]
    assert low.gsh[0].min() > 0.2 * low.gsh[0, 0]
    assert high.adducts[0, -1] > 10.0 * 4.0 * low.adducts[0, -1]


def test_acetaminophen_in_a_body(runs):
    """All eight states of Sluka's model, by exact algebra (moles of 151.2 g)."""
    table = runs("BIOMD0000000619")
    model, regimen = acetaminophen_body(), Regimen.dose(1400.0, into="portal.gut.lumen")
    times = table.time.to_numpy()
    assert isinstance(choose(pose(model, regimen, times)), Exact)
    s = simulate(model, regimen, times).state
    kidney = s.tissues["kidney"]
    pairs = {
        "CVen": s.venous, "CArt": s.arterial, "CLiver": s.liver.amount, "CMetabolized": s.liver.removed,
        "CKidney": kidney.amount, "CTubules": kidney.removed, "CRest": s.tissues["rest"].amount,
        "AGutlumen": s.portal["gut"].lumen,
    }  # fmt: skip
    for column, amount in pairs.items():
        assert apart(amount[0] / 151200.0, table[column]) < 1e-8, column  # the reference's rtol of 1e-9


def test_the_gut_liver_chip(runs):
    """Nine concentrations, media sampled at 6 h."""
    table = runs("BIOMD0000000947")
    regimen = Regimen.dose(2500.0, into="drug.apical") + Regimen.dose(5.0, into="drug.basolateral")
    s = simulate(GutLiverChip.typical(), regimen, table.time.to_numpy(), throw=True).state
    for short, name in (("para", "drug"), ("sulf", "sulphate"), ("glu", "glucuronide")):
        sides = getattr(s, name)
        below = [c for c in table.columns if c.startswith(f"C_{short}__Basolateral")]
        for column, values in (
            (f"C_{short}_Apical", sides.apical),
            (f"C_{short}_Caco_2", sides.gut),
            (below[0], sides.basolateral),
        ):
            assert apart(values[0], table[column]) < 1e-6, column


# ------------------------------------------------------------------------------------------------------ dextromethorphan


def test_dextromethorphan_by_cyp2d6_activity(runs):
    """Every listed metric of seven activity scores, 30 mg by mouth, to the printed six digits; 76 states."""
    table = runs("MODEL2301090002_cyp2d6_activity_scan_30mg")
    table = table[table.Ka_dis_dxm > 1.0]
    assert len(table) == 7
    times = np.arange(0.0, 1441.0, 5.0) / 60.0
    scores = jnp.asarray(table.AS.to_numpy())
    one = dextromethorphan(leak=1.0)
    many = bind(jax.tree.map(lambda x: jnp.broadcast_to(x, scores.shape), one), {"activity": scores})
    out = jax.tree.map(np.asarray, simulate(many, Regimen.dose(30.0, into="stomach"), times, throw=True).output)
    drug, metabolite, glucuronide = 271.404, 257.37066, 433.49478
    at = 96  # 8 h
    formed = out.urine_metabolite[:, at] / metabolite + out.urine_glucuronide[:, at] / glucuronide
    np.testing.assert_allclose(out.drug.max(1) / drug, table.Cmax_dxm_mM, rtol=5e-6)
    np.testing.assert_allclose(times[out.drug.argmax(1)] * 60.0, table.tmax_min, atol=1e-9)
    np.testing.assert_allclose(np.trapezoid(out.drug, times * 60.0) / drug, table.AUC24_dxm_mM_min, rtol=5e-6)
    np.testing.assert_allclose(out.metabolite.max(1) / metabolite, table.Cmax_dxo_mM, rtol=5e-6)
    np.testing.assert_allclose(out.urine_drug[:, at] / drug / formed, table.UMR_8h, rtol=5e-6)


def test_dextromethorphan_keeps_its_molecules():
    """Units close; molecules are conserved without `leak`, and with it lost only as declared."""
    for leak in (0.0, 1.0):
        model = dextromethorphan(leak=leak)
        check_units(model)
        y = draws(model.initial(), 3)
        rates = leaves(model.derivative(0.0, y, no_input(model)))
        balance = model.balances(0.0, y, no_input(model))["molecules"]
        changes = [w * rates[resolve(n, rates)] for n, w in balance.weights().items()]
        assert float(sum(changes) - balance.gain) == pytest.approx(0.0, abs=1e-12 * max(abs(float(c)) for c in changes))
        assert (float(balance.gain) == 0.0) == (leak == 0.0)


# ------------------------------------------------------------------------------------------------------------ glimepiride


def test_glimepiride_healthy_and_not(shared_data):
    """Drug and both metabolites over 48 h: healthy, CYP2C9 at 0.7 and 0.3, kidneys at 0.3, cirrhosis of 0.4; all in one run."""
    cases = {
        "": {}, "_LI__f_cyp2c90.7": {"f_cyp2c9": 0.7}, "_LI__f_cyp2c90.3": {"f_cyp2c9": 0.3},
        "_KI__f_renal_function0.3": {"f_renal": 0.3}, "_f_cirrhosis0.4": {"cirrhosis": 0.4},
    }  # fmt: skip
    folder = shared_data / "physiology/koenig_pbpk/reference_runs"
    tables = [pd.read_csv(folder / f"glimepiride_4mg{c}.csv") for c in cases]
    people = jax.tree.map(lambda *x: jnp.stack(x), *(glimepiride(**changed) for changed in cases.values()))
    times = tables[0].time.to_numpy() / 60.0
    out = simulate(people, Regimen.dose(4.0 / 0.490616, into="stomach"), times, throw=True).output
    for i, table in enumerate(tables):
        for output, column in ((out.plasma, "gli"), (out.m1, "m1"), (out.m2, "m2")):
            assert apart(output[i] * 1e-3, table[f"[Cve_{column}]"]) < 1e-6, (i, column)
    # the listed areas (mM min, 48 h), to their five digits
    for i, listed in ((0, 0.20776), (1, 0.27508), (2, 0.47175)):
        assert float(np.trapezoid(out.plasma[i], times)) * 60e-3 == pytest.approx(listed, rel=5e-5)


def test_glimepiride_keeps_its_molecules():
    """Units close, and nothing is lost in a random state, cirrhosis included."""
    model = glimepiride(cirrhosis=0.4)
    check_units(model)
    y = draws(model.initial(), 7)
    rates = jax.tree.leaves(model.derivative(0.0, y, no_input(model)))
    assert float(sum(rates)) == pytest.approx(0.0, abs=1e-12 * max(abs(float(r)) for r in rates))
    with pytest.raises(ValueError, match="glimepiride's body has no 'cyp2c9'"):
        glimepiride(cyp2c9=0.3)


# ----------------------------------------------------------------------------------------------------------------- organs


def draws(tree, seed):
    """The tree with every leaf drawn anew."""
    rng = np.random.default_rng(seed)
    return jax.tree.map(lambda _: jnp.asarray(rng.uniform(0.1, 1.0)), tree)


BLOOD = Flow(rate=80.0, concentration=2.0, unbound=0.25)


def test_veins_that_join_carry_what_they_carried():
    joined = merge([BLOOD, Flow(20.0, 7.0, 0.25)])
    assert float(joined.rate) == 100.0
    assert float(joined.flux) == pytest.approx(80.0 * 2.0 + 20.0 * 7.0)


@pytest.mark.parametrize(
    "organ",
    [
        Tissue(2.0, 3.0),
        PermeableTissue(0.2, 2.0, 5.0, 3.0),
        ClearingTissue(2.0, 3.0, {"a": LinearElimination(40.0), "b": SaturableElimination(30.0, 0.7)}),
        Gut(1.0, 0.3, 2.0, 0.4, 1.1, 0.9, 0.1, {"a": SaturableElimination(30.0, 0.7)}),
    ],
    ids=lambda o: type(o).__name__,
)
def test_an_organ_loses_nothing(organ):
    """What blood brings less what it takes is what the organ gains, what it has removed included."""
    y = draws(organ.initial(), 5)
    rates, outflow = organ.exchange(y, BLOOD)
    assert float(sum(jax.tree.leaves(rates))) == pytest.approx(float(BLOOD.flux - outflow.flux), rel=1e-12)


def test_a_well_stirred_liver_clears_as_its_closed_form():
    """At steady state ``E = fu CLint / (Q + fu CLint)``."""
    organ = ClearingTissue(2.0, 3.0, {"a": LinearElimination(40.0)})
    held = 2.0 * 3.0 * 2.0 / (1.0 + 0.25 * 40.0 / 80.0)
    rates, outflow = organ.exchange(type(organ.initial())(held, 0.0), BLOOD)
    assert float(rates.amount) == pytest.approx(0.0, abs=1e-12)
    assert float(1.0 - outflow.concentration / BLOOD.concentration) == pytest.approx(10.0 / 90.0)


def test_a_body_at_rest_holds_its_volume_of_distribution():
    """Constant infusion to steady state: amount over plasma concentration is the sum of volumes and ratios."""
    body = bind(
        acetaminophen_body(), {"liver.pathways.metabolism.clint": 1e-9, "kidney.pathways.filtration.clint": 1e-9}
    )
    s = simulate(body, Regimen.dose(100.0, into="venous"), [200.0])
    body_of = {n: float(v[0, 0]) for n, v in leaves(s.state).items()}
    blood = float(s.output.venous[0, 0])
    organs = sum(float(o.volume * o.kp) for o in (*body.tissues.values(), body.portal["gut"], body.liver, body.lung))
    assert sum(body_of.values()) == pytest.approx(100.0, rel=1e-9)  # rounding of 200 h in one exponential
    assert 100.0 / blood == pytest.approx(organs + float(body.arterial + body.venous), rel=1e-6)


def test_permeability_becomes_perfusion_where_it_is_large():
    """A permeable tissue of large ps tends to a perfusion-limited one."""
    parts = {"volume": 2.0, "kp": 3.0}
    fast = PermeableTissue(1e-2, parts["volume"], 1e4, parts["kp"])
    slow = Tissue(**parts)
    base = acetaminophen_body()
    flows = {**base.perfusion, "muscle": jnp.asarray(30.0)}

    def venous(organ):
        body = Body({**base.tissues, "muscle": organ}, base.portal, base.liver, base.lung, flows, base.arterial,
                    base.venous, base.fu, base.blood_to_plasma)  # fmt: skip
        return simulate(body, Regimen.dose(100.0, into="venous"), [0.2, 1.0, 2.0]).output.venous[0]

    np.testing.assert_allclose(venous(fast), venous(slow), rtol=5e-3)  # Q / (ps unbound)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"perfusion": {"gut": 60.0}}, "no perfusion is given of kidney, liver, rest"),
        (
            {"perfusion": {"gut": 1.0, "kidney": 1.0, "liver": 1.0, "rest": 1.0, "brain": 1.0}},
            "perfusion of brain has no such organ",
        ),
        ({"arterial": 0.0}, "arterial is 0; it must be above zero"),
        (
            {"liver": ClearingTissue(-1.8, 1.0, {"a": LinearElimination(1.0)})},
            "liver.volume is -1.8; it must be above zero",
        ),
        ({"fu": 1.2}, "fu is 1.2; a fraction is at most 1"),
        (
            {"tissues": {"gut": Tissue(1.0, 1.0), "kidney": Tissue(1.0, 1.0), "rest": Tissue(1.0, 1.0)}},
            "gut is among the tissues and the portal",
        ),
    ],
)
def test_a_body_that_cannot_be_is_refused(change, message):
    base = acetaminophen_body()
    parts = {
        n: getattr(base, n)
        for n in ("tissues", "portal", "liver", "lung", "perfusion", "arterial", "venous", "fu", "blood_to_plasma")
    }
    with pytest.raises(ValueError, match=message):
        Body(**{**parts, **change})


def test_a_body_keeps_the_laws_of_models():
    """Units close, drug is conserved, doses reach every state."""
    model = acetaminophen_body()
    check_units(model)
    y, silent = draws(model.initial(), 8), no_input(model)
    rates = jax.tree.leaves(model.derivative(0.0, y, silent))
    assert float(sum(rates)) == pytest.approx(0.0, abs=1e-12 * max(abs(float(r)) for r in rates))
    given = jax.tree.leaves(model.derivative(0.0, y, jax.tree.map(lambda x: x + 1.0, silent)))
    np.testing.assert_allclose(np.subtract(given, rates), 1.0, rtol=1e-9)


def test_states_of_a_body_are_named_by_organ():
    assert {"portal.gut.solid", "portal.gut.lumen", "venous", "liver.removed", "tissues.kidney.removed"} <= set(
        state_names(acetaminophen_body())
    )
