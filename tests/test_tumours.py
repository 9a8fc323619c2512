"""Tumour models against published tables, archived reference runs and closed forms."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

import twinjax as tj
from twinjax.models import (
    BertalanffyGrowth,
    CARTKinetics,
    CARTTumour,
    ClaretTumour,
    ExponentialGrowth,
    GompertzGrowth,
    LinearGrowth,
    LogisticGrowth,
    Molar,
    MyelomaBone,
    MyelomaClones,
    MyelomaImmunity,
    OneCompartment,
    RibbaGlioma,
    SimeoniGrowth,
    ThamLungCancer,
    ZhuPancreaticCells,
    coupled,
)
from twinjax.models.base import no_input

DAY, WEEK, MONTH = 24.0, 168.0, 730.5


def dish(model, drives):
    """A model under constant concentrations: drug that is not eliminated, in 1 L."""
    parts = {f"drug{i}": OneCompartment(cl=1e-30, v=1.0) for i in range(len(drives))}
    return coupled({f"effect.{signal}": f"drug{i}.plasma" for i, signal in enumerate(drives)}, effect=model, **parts)


def test_growth_laws_are_their_closed_forms():
    t = np.array([0.0, 500.0, 3000.0, 9000.0])
    e, li, lo, g, b = (
        c.typical() for c in (ExponentialGrowth, LinearGrowth, LogisticGrowth, GompertzGrowth, BertalanffyGrowth)
    )
    n, k = 20.0, 100.0
    closed = [
        (e, n * np.exp(e.rate * t)),
        (li, n + li.rate * t),
        (lo, k / (1 + (k / n - 1) * np.exp(-lo.rate * t))),
        (g, k * np.exp(np.log(n / k) * np.exp(-g.rate * t))),
        (b, k * (1 + ((n / k) ** (-1 / 3) - 1) * np.exp(-b.rate * t)) ** -3.0),
    ]
    for model, want in closed:
        got = np.asarray(tj.simulate(model, times=t).output.size)[0]
        np.testing.assert_allclose(got, want, rtol=1e-6)  # of rtol 1e-8 a step


def test_simeoni(shared_data):
    """Five concentrations to six digits; at lambda0 / potency = 434.02 ng/mL a tumour neither grows nor shrinks in the
    end."""
    table = pd.read_csv(shared_data / "physiology/tumour_tgi/simeoni2004_constant_concentration.csv")
    model = SimeoniGrowth.typical()
    assert float(model.lambda0 / model.potency) * 1000 == pytest.approx(434.02, abs=0.005)
    doses = [0.0, 0.2, 0.43402, 0.6, 1.0]
    found = tj.simulate(
        dish(model, ["concentration"]), [tj.Regimen.dose(d, into="drug0.central") for d in doses],
        table.t_day.to_numpy() * DAY,
    ).output.effect.weight  # fmt: skip
    for i, name in enumerate(["C0", "C200", "C434", "C600", "C1000"]):
        want = table[f"w_g_{name}"].to_numpy() * 1000
        np.testing.assert_allclose(np.asarray(found)[i], want, rtol=1e-3, err_msg=name)


def test_ribba(shared_data):
    table = pd.read_csv(shared_data / "physiology/tumour_tgi/ribba2012_kPQ0.0295_1dose.csv")
    found = tj.simulate(RibbaGlioma.typical(), tj.Regimen.dose(1.0, into="drug"), table.t_month.to_numpy() * MONTH)
    for column, got in {"Pstar": found.output.diameter, "C": found.state.drug, "P": found.state.proliferating,
                        "Q": found.state.quiescent, "Qp": found.state.damaged}.items():  # fmt: skip
        np.testing.assert_allclose(np.asarray(got)[0], table[column], rtol=1e-4, atol=1e-6)


def test_stein(shared_data):
    table = pd.read_csv(shared_data / "physiology/tumour_tgi/stein2019_cart_typical.csv")
    model = CARTKinetics.typical()
    found = tj.simulate(model, times=table.t_day.to_numpy() * DAY).output.copies
    np.testing.assert_allclose(np.asarray(found)[0], table.CART_copies_per_ug, rtol=1e-6)

    def copies(tmax):
        moved = dataclasses.replace(model, tmax=tmax)
        return jnp.sum(tj.simulate(moved, times=np.array([100.0, 400.0])).output.copies)

    h = 1e-3
    difference = (copies(model.tmax + h) - copies(model.tmax - h)) / (2 * h)
    assert float(jax.grad(copies)(model.tmax)) == pytest.approx(float(difference), rel=1e-6)


def test_claret_is_its_closed_form():
    model = dish(ClaretTumour.typical(), ["exposure"])
    t = np.array([0.0, 200.0, 1500.0, 5000.0])
    m = ClaretTumour.typical()
    got = tj.simulate(model, tj.Regimen.dose(1.5, into="drug0.central"), t).output.effect.size
    want = m.size0 * np.exp(m.growth * t - m.shrinkage * 1.5 / m.resistance * (1 - np.exp(-m.resistance * t)))
    np.testing.assert_allclose(np.asarray(got)[0], want, rtol=1e-6)


# ------------------------------------------------------------------------------------------------------------ BioModels


@pytest.fixture(scope="module")
def archived(shared_data):
    """A reference run of libroadrunner, a row every so many."""

    def read(name, every=1):
        table = pd.read_csv(shared_data / f"physiology/biomodels/reference_runs/{name}.csv")
        return table.rename(columns=lambda c: c.strip("[]")).iloc[::every]

    return read


def test_tham_234(archived):
    """Doses at weeks 1 and 3 of every cycle of three, six cycles; the archived model gives none at time 0."""
    table = archived("BIOMD0000000234", 7)
    times = sorted({float(w) for w in range(1, 18, 3)} | {float(w) for w in range(3, 18, 3)})
    regimen = tj.Regimen.none()
    for w in times:
        regimen = regimen + tj.Regimen.dose(5203.84, into="effect", at=w * WEEK)
    t = table.time.to_numpy()
    aside = ~np.isin(t, times)  # at a dose: before or after it
    found = tj.simulate(ThamLungCancer.typical(), regimen, t[aside] * WEEK)
    np.testing.assert_allclose(np.asarray(found.output.size)[0], table.TumorSize[aside], rtol=1e-4)
    np.testing.assert_allclose(np.asarray(found.state.effect)[0], table.Ce[aside], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(("g", "b"), [(0, 0), (0, 100), (20, 0), (20, 100)])
def test_zhu_668(archived, g, b):
    # The archived model has psi of 0.583 and 0.582 where both drugs are there at the start; the reference run set the
    # concentrations after that was decided, so psi is 1.
    table = archived(f"BIOMD0000000668_g{g}_b{b}", 8)
    model = ZhuPancreaticCells.typical()
    regimen = tj.Regimen.dose(g, into="drug0.central") + tj.Regimen.dose(b, into="drug1.central")
    found = tj.simulate(dish(model, ["gemcitabine", "birinapant"]), regimen, table.time.to_numpy())
    for column, got in {"Ra": found.output.effect.live, "Rd": found.output.effect.dead,
                        "Sti_g4": found.state.effect.signal_g4, "Sti_b4": found.state.effect.signal_b4}.items():  # fmt: skip
        np.testing.assert_allclose(np.asarray(got)[0], table[column], rtol=1e-4, atol=1e-6)


def test_gallaher_743(archived):
    """As archived, with M-protein and killers exchanged where they stimulate T cells."""
    table = archived("BIOMD0000000743", 9)
    m = MyelomaImmunity.typical()
    # exchanged: killers stimulate by 5 and half at 3 cells/uL, M-protein by 1 and half at 150
    m = dataclasses.replace(m, a_mt=m.a_nt, b_mt=m.b_nt * 1000, a_nt=m.a_mt, b_nt=m.b_mt / 1000)
    found = tj.simulate(m, times=table.time.to_numpy() * DAY).output
    for column, got, scale in (("M", found.protein, 1), ("Tc", found.cytotoxic, 1e3), ("N", found.killers, 1e3),
                               ("Tr", found.regulatory, 1e3)):  # fmt: skip
        np.testing.assert_allclose(np.asarray(got)[0] * scale, table[column], rtol=1e-4)


def test_cart_1025(archived):
    """The switch at the peak takes 15 minutes instead of no time."""
    table = archived("BIOMD0000001025", 5)
    found = tj.simulate(CARTTumour.typical(), times=table.time.to_numpy() * DAY)
    near = np.abs(table.time - 9.3) < 0.02
    for column, got in {"Tumor_cells": found.state.tumour, "Expanding_CAR_T_cells": found.state.expanding,
                        "Persistent_CAR_T_cells": found.state.persistent}.items():  # fmt: skip
        scale = table[column].abs().max()
        np.testing.assert_allclose(np.asarray(got)[0][~near], table[column][~near], rtol=1e-4, atol=1e-4 * scale)


# -------------------------------------------------------------------------------------------------------------- myeloma

AYATI = np.array([
    [0, 13, 300, 100, 1],
    # day, osteoclasts, osteoblasts, bone, tumour: libRoadRunner's run of BIOMD0000000403 (rtol 1e-10), drug from day 600
    [100, 0.005408809, 228.12299514, 107.772374306, 6.122639381],
    [300, 18.89470415, 454.657404755, 99.414637495, 35.788185497],
    [600, 1.431947974, 556.314445635, 76.266496346, 79.510752417],
    [800, 5.149295094, 663.025865362, 59.403500268, 65.851260637],
    [1000, 7.85069851, 608.503709322, 54.823027194, 46.709177888],
    [1200, 8.751721577, 462.961980775, 57.227530142, 24.981101045],
])  # fmt: skip


def test_myeloma_bone_disease():
    """Bone loss that treatment slows, per each column's peak; both solvers step over the corners of max(x, 0)."""
    driven = coupled({"bone.concentration": "drug.plasma"}, drug=OneCompartment(cl=1e-30, v=1.0),
                     bone=MyelomaBone.typical())  # fmt: skip
    drug = tj.Regimen.dose(1.0, into="drug.central", at=600 * DAY)
    found = tj.simulate(driven, drug, AYATI[:, 0] * DAY, backend=tj.Fused(rtol=1e-9, atol=1e-9)).output.bone
    for i, got in enumerate((found.clasts, found.blasts, found.bone, found.tumour), 1):
        np.testing.assert_allclose(np.asarray(got)[0], AYATI[:, i], rtol=0, atol=1e-4 * AYATI[:, i].max())


def test_myeloma_clones_are_their_closed_forms():
    """With room to grow and without IL-6 each clone is an exponential, and serum follows as its convolution."""
    m = dataclasses.replace(MyelomaClones.typical(), capacity=1e15, induced=0.0, resistant=0.01)
    driven = coupled({"myeloma.concentration": Molar("drug.plasma", 0.5)}, drug=OneCompartment(cl=1e-30, v=1.0),
                     myeloma=m)  # fmt: skip
    t = np.array([0.0, 12.0, 72.0, 500.0, 2000.0])
    backend = tj.Fused(rtol=1e-9, atol=1e-12)
    found = tj.simulate(driven, tj.Regimen.dose(0.15, into="drug.central"), t, backend=backend).output.myeloma
    x = 0.3  # umol/L
    want = {"cells": 0.0, "protein": 0.0, "light": 0.0}
    for n, growth, survival, ec50 in (
        (990.0, m.growth_s, m.survival_s, m.ec50_s),
        (10.0, m.growth_r, m.survival_r, m.ec50_r),
    ):
        rate = float(growth + jnp.log(survival + (1 - survival) / (1 + (x / ec50) ** 2)))
        want["cells"] += n * np.exp(rate * t)
        for serum, made, lost in (("protein", m.secretion, m.catabolism), ("light", m.shedding, m.filtration)):
            made, lost = float(made), float(lost)
            swept = (np.exp(rate * t) - np.exp(-lost * t)) / (rate + lost)
            want[serum] += n * made * (np.exp(-lost * t) / lost + swept)
    for name, values in want.items():  # a dose at time 0 is seen at once, the state before it as well
        np.testing.assert_allclose(np.asarray(getattr(found, name))[0], values, rtol=1e-6, err_msg=name)
    assert want["light"][2] / want["light"][0] < want["protein"][2] / want["protein"][0]  # light chains fall first
    assert want["cells"].argmin() == 3  # and the resistant clone comes back


def test_myeloma_in_marrow_and_under_attack():
    """IL-6 at the healthy level changes nothing and has a ceiling; effectors of another model kill by composition."""
    m = dataclasses.replace(MyelomaClones.typical(), capacity=1e15, kill_n=0.0)

    def growth(il6, **driven):
        y = dataclasses.replace(m.initial(), il6=il6)
        u = dataclasses.replace(m.Input(), **driven)
        return float(m.derivative(0.0, y, u).sensitive / y.sensitive)

    assert growth(1.0) == pytest.approx(float(m.growth_s), rel=1e-9)
    assert growth(1e12) == pytest.approx(float(m.growth_s) * 3.0, rel=1e-9)  # 1 + half_il6
    assert growth(1.0, cytotoxic=0.375) == pytest.approx(float(m.growth_s - m.kill_t / 2), rel=1e-9)
    both = coupled({"myeloma.cytotoxic": "immunity.cytotoxic", "myeloma.killers": "immunity.killers"},
                   immunity=MyelomaImmunity.typical(), myeloma=MyelomaClones.typical())  # fmt: skip
    y, u = both.initial(), no_input(both)
    alone = MyelomaClones.typical()
    helped = both.derivative(0.0, y, u).myeloma.sensitive / y.myeloma.sensitive
    free = alone.derivative(0.0, alone.initial(), alone.Input()).sensitive / y.myeloma.sensitive
    t, n = both.immunity.t0, both.immunity.n0
    killed = alone.kill_t * t / (alone.half_t + t) + alone.kill_n * n / (alone.half_n + n)
    assert float(free - helped) == pytest.approx(float(killed), rel=1e-9)
