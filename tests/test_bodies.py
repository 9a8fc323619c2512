"""Bodies: published trajectories of acetaminophen, a gut-liver chip, dextromethorphan and glimepiride; mass balance."""

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

from twinjax import Regimen, simulate
from twinjax.models import AcetaminophenBody, AcetaminophenToxicity, GutLiverChip, check_units
from twinjax.models.base import no_input
from twinjax.models.body.dextromethorphan import dextromethorphan
from twinjax.models.body.glimepiride import glimepiride
from twinjax.naming import bind, leaves, resolve
from twinjax.solve.exact import Exact


@pytest.fixture(scope="module")
def runs(shared_data):
    """Trajectories by libRoadRunner (CVODE, rtol 1e-9)."""
    return lambda name: pd.read_csv(shared_data / f"physiology/biomodels/reference_runs/{name}.csv")


def apart(found, reference):
    """Largest difference, per the reference's own peak."""
    return float(np.abs(np.asarray(found) - np.asarray(reference)).max() / np.max(reference))


def draws(tree, seed):
    """The tree with every leaf drawn anew."""
    rng = np.random.default_rng(seed)
    return jax.tree.map(lambda _: jnp.asarray(rng.uniform(0.1, 1.0)), tree)


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
    model, regimen = AcetaminophenBody.typical(), Regimen.dose(1400.0, into="lumen")
    times = table.time.to_numpy()
    s = simulate(model, regimen, times, backend=Exact()).state
    pairs = {
        "CVen": s.venous, "CArt": s.arterial, "CLiver": s.liver, "CMetabolized": s.metabolised, "CKidney": s.kidney,
        "CTubules": s.urine, "CRest": s.rest, "AGutlumen": s.lumen,
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
