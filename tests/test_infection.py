"""Viral dynamics: closed forms of the published papers, what they report of R0, and drugs by composition."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.optimize import brentq

import twinjax as tj
from twinjax.models import AcuteInfection, ChronicInfection, OneCompartment, OneCompartmentOral, coupled

DAY = 24.0
TIGHT = tj.Fused(rtol=1e-10, atol=1e-13)


def under(model, concentration, times):
    """A model under a constant concentration: drug that is not eliminated, in 1 L."""
    driven = coupled({"virus.concentration": "drug.plasma"}, drug=OneCompartment(cl=1e-30, v=1.0), virus=model)
    given = tj.Regimen.dose(concentration, into="drug.central")
    found = tj.simulate(driven, given, np.asarray(times), backend=TIGHT)
    return found.output.virus, found.state.virus


def test_influenza_grows_peaks_and_ends_as_published():
    """R0 of about 22 (abstract); its final size and first growth are closed forms of the equations."""
    m = AcuteInfection.typical()
    r0 = float(m.reproduction)
    assert r0 == pytest.approx(22.0, abs=0.5)  # the abstract's whole number
    assert (1 / m.k, 1 / m.delta) == pytest.approx((6.0, 4.6), abs=0.05)  # h: "about 6 h", "about 5 h"
    days = np.linspace(0.0, 20.0, 2001)
    found = tj.simulate(m, times=days * DAY, backend=TIGHT)
    virus, target = np.asarray(found.output.virus)[0], np.asarray(found.state.target)[0]
    assert 2.0 < days[virus.argmax()] < 3.0  # volunteers shed most on days 2 to 3
    spared = brentq(lambda x: np.log(x) + r0 * (1 - x) + m.beta * m.virus0 / m.c, 1e-300, 0.5)
    assert target[-1] / m.target0 == pytest.approx(spared, rel=1e-6)
    grows = brentq(lambda x: (m.k + x) * (m.delta + x) * (m.c + x) - m.p * m.beta * m.target0 * m.k, 0.0, 10.0)
    early = (days > 0.8) & (days < 1.0)
    slope = np.polyfit(days[early] * DAY, np.log(virus[early]), 1)[0]
    assert slope == pytest.approx(grows, rel=1e-3)  # cells are not yet used up


@pytest.mark.parametrize("step", ["block_infection", "block_production"])
def test_infection_goes_out_below_one(step):
    """A drug that leaves (1 - block) R0 below 1 lets an infection shrink, above 1 not: eigenvalues at its beginning."""
    m = dataclasses.replace(AcuteInfection.typical(), block_infection=0.0, block_production=0.0)
    drug = m.Input(concentration=1e12)
    for factor in (0.9, 1.1):
        blocked = dataclasses.replace(m, **{step: 1.0 - factor / float(m.reproduction)})

        def rates(y, blocked=blocked):
            d = blocked.derivative(0.0, blocked.State(m.target0, *y), drug)
            return jnp.stack([d.eclipse, d.infected, d.virus])

        grows = np.linalg.eigvals(np.asarray(jax.jacfwd(rates)(jnp.zeros(3)))).real.max()
        assert (grows > 0.0) == (factor > 1.0)


def steady(model):
    """The same infection with cells so many and so lasting that therapy does not change their number."""
    return dataclasses.replace(
        model, source=model.source * 1e-7, death=model.death * 1e-7, beta=model.beta * 1e-7, p=model.p * 1e7
    )


@pytest.mark.parametrize("efficacy", [0.81, 0.95, 0.96])
def test_hepatitis_c_declines_in_two_phases(efficacy):
    """Neumann's closed form, at the abstract's efficacies of 5, 10 and 15 million units, with target cells constant."""
    m = ChronicInfection.typical()
    c, d = float(m.c), float(m.delta)
    assert np.log(2) / c == pytest.approx(2.7)
    t = np.array([0.0, 3.0, 12.0, 24.0, 48.0, 168.0, 336.0])
    found, _ = under(dataclasses.replace(steady(m), block_production=efficacy), 1e12, t)
    root = np.sqrt((c - d) ** 2 + 4 * (1 - efficacy) * c * d)
    fast, slow = (c + d + root) / 2, (c + d - root) / 2
    share = (efficacy * c - slow) / (fast - slow)
    want = 5.0 * (share * np.exp(-fast * t) + (1 - share) * np.exp(-slow * t))
    np.testing.assert_allclose(np.asarray(found.plasma)[0, 1:], want[1:], rtol=1e-5)  # cells change by 1e-7 an hour
    assert float(found.plasma[0, 2] / 5.0) == pytest.approx(1 - efficacy, abs=0.06)  # the first phase: to 1 - efficacy


def test_hiv_under_a_protease_inhibitor():
    """Perelson's closed form with the abstract's half-lives of 0.24 and 1.6 days: a shoulder, then the cells' decline."""
    c, d = np.log(2) / 0.24 / DAY, np.log(2) / 1.6 / DAY
    m = ChronicInfection.typical()
    m = dataclasses.replace(
        m, c=c, delta=d, beta=m.beta * c * d / (m.c * m.delta), block_production=0.0, block_maturation=1.0
    )
    t = np.array([0.0, 2.0, 6.0, 12.0, 24.0, 72.0, 168.0])
    found, state = under(steady(m), 1e12, t)
    both = np.exp(-d * t) - np.exp(-c * t)
    want = np.exp(-c * t) + c / (c - d) * (c / (c - d) * both - d * t * np.exp(-c * t))
    got = np.asarray(found.plasma)[0]
    np.testing.assert_allclose(got[1:] / float(m.p * m.initial().infected / m.c), want[1:], rtol=1e-5)
    assert float(state.virus[0, -1] / got[-1]) < 1e-6  # what is left cannot infect


def test_a_drug_that_comes_and_goes_against_scipy():
    """Daily doses, by composition with a PK model: rebound between doses, both solvers to 1e-7."""
    pk, virus = OneCompartmentOral(ka=1.0, cl=5.0, v=20.0), ChronicInfection.typical()
    both = coupled({"virus.concentration": "pk.plasma"}, pk=pk, virus=virus)
    t = np.linspace(0.0, 96.0, 33)
    regimen = tj.Regimen.repeat(1.0, into="pk.depot", every=24.0, count=4)
    found = tj.simulate(both, regimen, t, backend=tj.Fused(rtol=1e-10, atol=1e-12)).output.virus.plasma[0]

    def rhs(s, y):
        plasma = y[1] / 20.0
        e = plasma / (0.01 + plasma)
        enters = float(virus.beta) * y[2] * y[4]
        return [
            -y[0], y[0] - 5.0 * plasma, float(virus.source) - float(virus.death) * y[2] - enters,
            enters - float(virus.delta) * y[3], (1 - e) * float(virus.p) * y[3] - float(virus.c) * y[4],
        ]  # fmt: skip

    start = virus.initial()
    y, seen = [0.0, 0.0, float(start.target), float(start.infected), float(start.virus)], [float(start.virus)]
    for day in range(4):
        y[0] += 1.0
        within = t[(t > 24 * day) & (t <= 24 * (day + 1))]
        solved = solve_ivp(rhs, (24 * day, 24 * (day + 1)), y, "LSODA", within, rtol=1e-10, atol=1e-13)
        seen, y = [*seen, *solved.y[4]], list(solved.y[:, -1])
    np.testing.assert_allclose(found, seen, rtol=1e-7)
    assert seen[8] > min(seen[:8])  # virus rises before the next dose
