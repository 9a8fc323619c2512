"""The contract held against its extremes: a body of fourteen organs and a heart cell of 46 states."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from extremes.body import Body, Contents, Flow, Tissue
from scipy.integrate import solve_ivp

from twinjax import Diffrax, Exact, Fused, Regimen, simulate
from twinjax.models import AbstractModel, ToRORd, check_units
from twinjax.models.base import input_names, no_input, output_names, parameter_units, state_names
from twinjax.models.heart.torord_currents import Quiet
from twinjax.naming import bind, leaves, names
from twinjax.solve.flat import field, ravel
from twinjax.solve.simulate import choose, pose
from twinjax.units import Amount, UnitError

ORGANS = ("adipose", "bone", "brain", "gonads", "heart", "kidney", "muscle", "skin")
REGIMEN = Regimen.dose(100.0, into="lumen") + Regimen.infusion(50.0, over=2.0, into="venous", at=12.0)
TIMES = np.linspace(0.0, 24.0, 13)


@pytest.fixture(scope="module")
def body():
    return Body.typical()


@pytest.fixture(scope="module")
def cell():
    """As the CellML file starts it, whose C1 and C3 of I_Kr have changed places."""
    cell = ToRORd.typical()
    return bind(cell, {"start.ikr.c1": cell.start.ikr.c3, "start.ikr.c3": cell.start.ikr.c1})


# ----------------------------------------------------------------------------------------------------------------- body


def test_body_names(body):
    assert state_names(body)[:8] == tuple(f"tissues.{n}.amount" for n in ORGANS)
    assert state_names(body)[-4:] == ("arterial", "venous", "lumen", "eliminated")
    assert {"tissues.kidney.clint", "liver.kp", "perfusion.brain", "fu"} <= set(names(body))
    assert output_names(body) == ("arterial", "venous", "liver")
    assert all(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(body))


def test_body_takes_doses_into_every_organ(body):
    """Without an `Input` of its own, a nested State gives a nested Input."""
    assert input_names(body) == state_names(body)
    u = bind(no_input(body), {"tissues.muscle.amount": 3.0, "liver.amount": 5.0, "venous": 7.0})
    rates = leaves(body.derivative(0.0, body.initial(), u))
    assert {n: float(x) for n, x in rates.items() if x} == {"tissues.muscle.amount": 3, "liver.amount": 5, "venous": 7}


def test_body_units_close(body):
    units = check_units(body)
    assert units == parameter_units(body)
    assert units["tissues.kidney.clint"] == units["perfusion.brain"] == "L/h"
    assert list(units) == list(names(body))


class Leaky(Tissue):
    def exchange(self, y, inflow):
        outflow = Flow(inflow.rate, y.amount / self.kp, inflow.unbound)
        return Contents(inflow.flux - outflow.flux), outflow


def test_body_units_name_the_line(body):
    broken = dataclasses.replace(body, tissues={**body.tissues, "heart": Leaky(0.33, 0.7)})
    with pytest.raises(UnitError, match=r"sub of mg/h and L\*mg/h, at .*test_extremes\.py:\d+ \(Leaky.exchange\)"):
        check_units(broken)


def simulated(body, backend):
    return simulate(body, REGIMEN, TIMES, backend=backend)


@pytest.fixture(scope="module")
def by_diffrax(body):
    return simulated(body, Diffrax(rtol=1e-9, atol=1e-11)).raise_failures()


def test_body_conserves_drug(by_diffrax):
    total = sum(np.asarray(x) for x in jax.tree.leaves(by_diffrax.state))[0]
    np.testing.assert_allclose(
        total, np.where(TIMES < 12.0, 100.0, np.clip(100.0 + 25.0 * (TIMES - 12.0), 0.0, 150.0)), 1e-10
    )


def test_body_is_linear_and_exact_serves(body, by_diffrax):
    assert Exact().refusal(pose(body, REGIMEN, TIMES)) is None
    exact = simulated(body, Exact()).raise_failures()
    for name, x in leaves(exact.state).items():
        np.testing.assert_allclose(leaves(by_diffrax.state)[name], x, rtol=1e-7, atol=1e-8, err_msg=name)


def test_body_gradient(body):
    """Against central differences, in organ, drug and plumbing parameters."""
    chosen = ("liver.clint", "tissues.muscle.kp", "perfusion.gut", "fu", "ka")
    start = jnp.stack([leaves(body)[n] for n in chosen])

    @jax.jit
    def exposure(values):
        at = bind(body, dict(zip(chosen, values, strict=True)))
        return jnp.log(simulate(at, REGIMEN, TIMES[1:], backend=Exact()).output.venous).sum()

    gradient = jax.jit(jax.grad(exposure))(start)
    h = 1e-5 * start
    difference = [(exposure(start + d) - exposure(start - d)) / 2.0 for d in jnp.diag(h)]
    np.testing.assert_allclose(gradient * h, difference, rtol=1e-5)


# ----------------------------------------------------------------------------------------------------------------- cell


def test_cell_names(cell):
    assert len(state_names(cell)) == 46
    assert {"v", "ina.m", "ical.fcaf", "ikr.open", "bulk.ca", "store.jsr"} <= set(state_names(cell))
    assert {"ikr.g", "ical.p", "inak.p", "outside.k", "start.v"} <= set(names(cell))
    assert input_names(cell) == ("v",)


def test_cell_units_close(cell):
    units = check_units(cell)
    assert "?" not in units.values()
    assert units["start.v"] == "mV"


class NoTime(Quiet):
    def potassium(self, v, reversal):
        return self.gkb * (v - reversal) / self.ms


def test_cell_units_name_the_line(cell):
    with pytest.raises(UnitError, match=r"mV/ms and mV/ms\^2, at .*torord\.py:\d+ \(ToRORd.derivative\)"):
        check_units(dataclasses.replace(cell, background=NoTime()))


def test_cell_is_refused_by_exact(cell):
    pace = Regimen.repeat(53.0, every=1000.0, count=2, into="v", duration=1.0)
    problem = pose(cell, pace, np.asarray([1.0]))
    assert "not linear" in Exact().refusal(problem)
    assert isinstance(choose(problem), Fused)


@pytest.mark.parametrize("case", ["stimulus", "plateau"])
def test_cell_rates_are_those_of_the_cellml(cell, case):
    """Every rate, against the CellML's MathML evaluated in plain Python; 1e-10 for what cancels near rest."""
    y, u = cell.initial(), no_input(cell)
    if case == "stimulus":
        u = bind(u, {"v": 53.0})
    else:
        y = jax.tree.map(lambda x: 1.01 * x, y)
        y = bind(y, {"v": 10.0, "ical.d": 0.3, "ina.m": 0.5, "ical.nca_ss": 0.2, "subspace.ca": 0.01})
    rates = leaves(cell.derivative(0.0, y, u))
    assert set(rates) == {*RATES[case], "qnet"}
    for name in RATES[case]:
        rate = rates[name]
        assert float(rate) == pytest.approx(RATES[case][name], rel=1e-10), name


@pytest.fixture(scope="module")
def beat(cell):
    """One beat after 1 ms of 53 uA/uF, by LSODA: `simulate` takes minutes to compile (benchmarks/contract.py)."""
    rates = jax.jit(lambda y, u: field(cell, 0.0, y, jnp.zeros_like(y).at[0].set(u)))
    y, t, v = np.asarray(ravel(cell.initial())), [], []
    for u, begin, end, step in ((53.0, 0.0, 1.0, 0.01), (0.0, 1.0, 20.0, 0.01), (0.0, 20.0, 1000.0, 0.5)):
        at = np.linspace(begin, end, round((end - begin) / step) + 1)
        found = solve_ivp(lambda _, y, u=u: np.asarray(rates(y, u)), (begin, end), y, "LSODA", at, rtol=1e-6, atol=1e-9)
        y, t, v = found.y[:, -1], [*t, *at[1:]], [*v, *found.y[0, 1:]]
    return np.asarray(t), np.asarray(v)


def test_cell_beat(beat):
    """Peak, rest and APD90 of a beat from the published initial state.

    Against the CellML integrated on its own (LSODA, 1e-7): to the sampling of the two. Against Myokit's run in
    myokit_reference_runs.csv (tomek-2020, 500 beats): APD90 to 1 % and voltages to 0.5 mV, because its stimulus is
    not that of the CellML file (upstroke 242 against 347 mV/ms), nor is its beat the first.
    """
    t, v = beat
    peak, low = v.max(), v.min()
    after = np.flatnonzero(t > t[v.argmax()])
    late = t[after[np.argmax(v[after] < peak - 0.9 * (peak - low))]]
    apd90 = late - t[np.argmax(np.diff(v) / np.diff(t))]
    assert (peak, v[-1]) == pytest.approx((33.198, -89.7483), abs=0.01)
    assert apd90 == pytest.approx(270.58, abs=0.6)
    assert apd90 == pytest.approx(272.6, rel=0.01)
    assert (peak, v[-1]) == pytest.approx((32.86, -89.75), abs=0.5)


# --------------------------------------------------------------------------------------------------------- the contract


def test_nested_states_that_are_modules_give_nested_inputs():
    assert leaves(no_input(Nested())) == {"part.amount": 0.0, "alone": 0.0}
    assert check_units(Nested()) == {}


class Nested(AbstractModel):
    class State(eqx.Module):
        part: Contents
        alone: Amount

    class Output(eqx.Module):
        alone: Amount

    def derivative(self, t, y, u):
        return self.State(part=Contents(u.part.amount), alone=u.alone)

    def output(self, t, y, u):
        return self.Output(y.alone)

    @classmethod
    def typical(cls):
        return cls()


RATES = {
    "stimulus": {
        "v": 52.99988874852427,
        "ina.m": 1.527019019612752e-07,
        "ina.h": 2.037024518485182e-06,
        "ina.j": 3.1089233379990964e-06,
        "ina.hp": 3.452788009494464e-06,
        "ina.jp": 5.450881110420333e-06,
        "inal.m": 1.3092924605123589e-08,
        "inal.h": 7.150389203520014e-05,
        "inal.hp": 9.344507530427186e-05,
        "ito.a": -6.386267393327951e-09,
        "ito.fast": 3.423555383765763e-09,
        "ito.slow": 0.0004915002325080763,
        "ito.ap": -3.228737932263737e-09,
        "ito.fastp": 3.9773874071282985e-09,
        "ito.slowp": 0.0004809975747659499,
        "ical.d": -2.5827026966442967e-31,
        "ical.ff": -7.891732100500093e-10,
        "ical.fs": 5.982089323686238e-05,
        "ical.fcaf": -8.125970800059493e-10,
        "ical.fcas": 9.85943117885433e-07,
        "ical.jca": 2.124136953517392e-07,
        "ical.ffp": -3.156692840200037e-10,
        "ical.fcafp": -3.250388320023797e-10,
        "ical.nca_ss": -1.0405973509361888e-07,
        "ical.nca_i": -1.307028119957622e-07,
        "ikr.c1": -0.1928497035896641,
        "ikr.c2": 0.14822744441275404,
        "ikr.c3": 0.04241582848849596,
        "ikr.inactive": 2.3813729902928636e-07,
        "ikr.open": 0.0022061925511150976,
        "iks.x1": -0.00011690856501260997,
        "iks.x2": -2.355085271813059e-09,
        "camk.trapped": -6.1112929205473315e-06,
        "ryr.plain": -3.8375280565565946e-23,
        "ryr.phosphorylated": -7.399994430548741e-22,
        "bulk.na": -2.1875303223382184e-05,
        "bulk.k": 0.0032802574092278877,
        "bulk.cl": -5.902374252030778e-06,
        "bulk.ca": -8.32027718392439e-09,
        "subspace.na": -2.2525927039411455e-05,
        "subspace.k": 5.000000000165983e-05,
        "subspace.cl": -7.77754827019469e-06,
        "subspace.ca": -7.717378073349098e-09,
        "store.nsr": -1.898704944715435e-05,
        "store.jsr": 1.5516646282057766e-05,
    },
    "plateau": {
        "v": 58.335395442593786,
        "ina.m": 7.768197708352869,
        "ina.h": -4.386908281712723,
        "ina.j": -0.8943853827899932,
        "ina.hp": -3.6337004351950934,
        "ina.jp": -0.6124016103588161,
        "inal.m": 15.57147536740518,
        "inal.h": -0.002810827677803675,
        "inal.hp": -0.0005244393964521909,
        "ito.a": 0.17669131855359102,
        "ito.fast": -0.20673022488956974,
        "ito.slow": -0.017004624958661105,
        "ito.ap": 0.1139102562604341,
        "ito.fastp": -0.15406664862528444,
        "ito.slowp": -0.014009830417436971,
        "ical.d": 0.5544962600642301,
        "ical.ff": -0.05597922534535663,
        "ical.fs": -0.0002841403327225511,
        "ical.fcaf": -0.06314259865343765,
        "ical.fcas": -0.00048533032145466856,
        "ical.jca": -0.013930229492562176,
        "ical.ffp": -0.022391690138142656,
        "ical.fcafp": -0.025257039461375058,
        "ical.nca_ss": 0.8037747740735058,
        "ical.nca_i": 1.5670815064861487e-05,
        "ikr.c1": -0.27646405789496,
        "ikr.c2": 0.19252800283381274,
        "ikr.c3": 2.170279644970998e-05,
        "ikr.inactive": 0.00018574549073761698,
        "ikr.open": 0.08372860677395988,
        "iks.x1": 0.0006941215039362075,
        "iks.x2": 0.0027426014846703576,
        "camk.trapped": 0.00010869524148182008,
        "ryr.plain": 0.4556597549298987,
        "ryr.phosphorylated": 0.45565975492989874,
        "bulk.na": 0.0033779691529775063,
        "bulk.k": -9.308551127290475e-06,
        "bulk.cl": 6.212728047780893e-06,
        "bulk.ca": 1.162278784674344e-05,
        "subspace.na": 0.008803288851770062,
        "subspace.k": -0.00018114012259138696,
        "subspace.cl": 0.0028992149400061057,
        "subspace.ca": -0.0016868594867821595,
        "store.nsr": 0.0001564199038815654,
        "store.jsr": 1.5794241880217554e-05,
    },
}
"""Rates of change from ToRORd_dynCl_endo.cellml: at its initial state under the stimulus, and on a plateau."""
