"""What dosing records mean, against oracles that share no code with twinjax.

A case writes down, by hand and in order, what should happen to the body (`add`, `rate`, `empty`, `switch`) and lets
scipy integrate between; the regimen says the same in twinjax's words. Every case is one patient of a batch, for every
backend.
"""

import dataclasses
import itertools
import math

import equinox as eqx
import jax
import numpy as np
import pytest
from scipy.integrate import solve_ivp

from twinjax.dosing import Regimen
from twinjax.models import AbstractModel, OneCompartmentTransit, Route
from twinjax.solve.building import build
from twinjax.solve.diffrax import Diffrax
from twinjax.solve.exact import Exact
from twinjax.solve.fused import Fused
from twinjax.solve.problem import NO_STEADY_STATE, NOT_FINITE, OK, OVERLAP
from twinjax.units import Amount, AmountRate, Clearance, Concentration, Fraction, Rate, Time, Volume

# The oracle integrates to 1e-11; twinjax's Diffrax to 1e-8 per step, whose errors add up over some hundred steps.
RTOL, ATOL = 2e-7, 1e-8
BACKENDS = {"exact": Exact(), "diffrax": Diffrax(), "fused": Fused()}
DEPOT, CENTRAL = 0, 1


class Routed(AbstractModel):
    """One compartment with a depot, everything modelled on `central`; elimination saturates unless `linear`."""

    ka: Rate
    cl: Clearance
    v: Volume
    start: Amount
    lag: Time
    bioavailability: Fraction
    rate: AmountRate
    duration: Time

    class State(eqx.Module):
        depot: Amount
        central: Amount

    class Output(eqx.Module):
        plasma: Concentration

    def initial(self):
        return self.State(0.0 * self.start, self.start)

    def derivative(self, t, y, u):
        absorbed = self.ka * y.depot
        return self.State(u.depot - absorbed, u.central + absorbed - self.eliminated(y.central / self.v))

    def eliminated(self, c):
        return self.cl * c

    def output(self, t, y, u):
        return self.Output(y.central / self.v)

    def routes(self):
        return {"central": Route(self.lag, self.bioavailability, self.rate, self.duration)}

    @classmethod
    def typical(cls):
        return cls(**TYPICAL)


class Saturable(Routed):
    """The same with Michaelis-Menten elimination of intrinsic clearance `cl` and km 20 mg/L."""

    def eliminated(self, c):
        return self.cl * c / (1.0 + c / 20.0)


TYPICAL = {
    "ka": 1.2,
    "cl": 2.0,
    "v": 10.0,
    "start": 0.0,
    "lag": 0.0,
    "bioavailability": 1.0,
    "rate": 25.0,
    "duration": 4.0,
}


# ----------------------------------------------------------------------------------------------------------- the oracle


def add(at, state, amount):
    """An amount arrives at once."""
    return at, "add", state, amount


def rate(at, state, change):
    """The rate into a state changes."""
    return at, "rate", state, change


def empty(at, start=0.0):
    """Everything starts again and every infusion stops."""
    return at, "empty", CENTRAL, start


def switch(at, **values):
    """Parameters change."""
    return at, "switch", None, values


def infusion(at, state, amount, length):
    """A constant infusion as two happenings."""
    return [rate(at, state, amount / length), rate(at + length, state, -amount / length)]


def in_time(happenings):
    """Sorted by time; those at the same time stay as written."""
    return sorted(happenings, key=lambda h: h[0])


def integrate(happenings, samples, values=None, saturable=False):
    """Amounts at samples ``(time, how many happenings come before it)``, and plasma there."""
    values = TYPICAL | (values or {})
    t = happenings[0][0] if happenings else 0.0
    t = min([t, *(s for s, _ in samples)])
    y, rates, found = np.array([0.0, values["start"]]), np.zeros(2), {}

    def move(y, until):
        def rhs(_, y):
            c = y[1] / values["v"]
            out = values["cl"] * (c / (1.0 + c / 20.0) if saturable else c)
            return rates + np.array([-values["ka"] * y[0], values["ka"] * y[0] - out])

        return solve_ivp(rhs, (t, until), y, "DOP853", rtol=1e-11, atol=1e-12).y[:, -1] if until > t else y

    for k in range(len(happenings) + 1):
        for time, i in sorted((s, i) for i, (s, before) in enumerate(samples) if before == k):
            y, t = move(y, time), time
            found[i] = (*y, y[1] / values["v"])
        if k == len(happenings):
            break
        at, what, state, value = happenings[k]
        y, t = move(y, at), at
        if what == "add":
            y = y + value * np.eye(2)[state]
        elif what == "rate":
            rates[state] += value
        elif what == "empty":
            y, rates = np.array([0.0, value]), np.zeros(2)
        else:
            values = values | value
    return np.array([found[i] for i in range(len(samples))])


# ------------------------------------------------------------------------------------------------------------ the cases

GRID = tuple(np.arange(0.5, 30.0, 1.25))


@dataclasses.dataclass
class Case:
    """A regimen, what it should do, and where to look: ``(time, order, happenings before)``."""

    regimen: Regimen
    happenings: list
    looks: list = dataclasses.field(default_factory=list)
    values: dict = dataclasses.field(default_factory=dict)
    switches: list = dataclasses.field(default_factory=list)
    before: list = dataclasses.field(default_factory=list)

    def samples(self):
        """Looks, and a grid that is after everything at the same time."""
        grid = [(t, math.inf, sum(h[0] <= t for h in self.happenings)) for t in GRID]
        return sorted(self.looks + grid, key=lambda s: s[0])


def steady(at, state, amount, every, *, length=0.0, lag=0.0, doses=60):
    """Doses since long ago, the last one at `at`."""
    times = [at + lag - n * every for n in range(doses, -1, -1)]
    each = [infusion(t, state, amount, length) if length else [add(t, state, amount)] for t in times]
    return in_time(itertools.chain(*each))


def cases():
    """Name -> case, for the linear and the saturable model alike."""
    dose, inf = Regimen.dose, math.inf
    found = {}
    found["modelled rate"] = Case(
        dose(100.0, into="central", rate="modelled", every=12.0, additional=1),
        infusion(0.0, CENTRAL, 100.0, 4.0) + infusion(12.0, CENTRAL, 100.0, 4.0),
    )
    found["bioavailability shortens an infusion of modelled rate"] = Case(
        dose(100.0, into="central", rate="modelled"), infusion(0.0, CENTRAL, 50.0, 2.0), values={"bioavailability": 0.5}
    )
    found["bioavailability shortens an infusion of given rate"] = Case(
        dose(100.0, into="central", rate=20.0), infusion(0.0, CENTRAL, 50.0, 2.5), values={"bioavailability": 0.5}
    )
    found["bioavailability thins an infusion of modelled duration"] = Case(
        dose(100.0, into="central", duration="modelled"),
        infusion(0.0, CENTRAL, 50.0, 4.0),
        values={"bioavailability": 0.5},
    )
    found["a modelled duration of zero is a bolus"] = Case(
        dose(100.0, into="central", duration="modelled", at=2.0), [add(2.0, CENTRAL, 100.0)], values={"duration": 0.0}
    )
    # EVID 2: parameters change without a dose. A sample before the switch's record sees the old volume, one after it
    # the new.
    found["parameters switch without a dose"] = Case(
        Regimen.dose(100.0, into="depot"), [add(0.0, DEPOT, 100.0), switch(6.0, cl=0.8, v=5.0)],
        looks=[(6.0, 4.0, 1), (6.0, 6.0, 2)], switches=[(6.0, 5.0, {"cl": 0.8, "v": 5.0})],
    )  # fmt: skip
    found["a dose has the bioavailability of its own record"] = Case(
        Regimen.records([0.0, 6.0], [80.0, 80.0], [0.0, 0.0], [0.0, 0.0], evid=[1, 1], into=["central"] * 2, mode=[0, 0],
                        additional=[0, 0], steady_state=[0, 0], order=[0, 10]),
        [add(0.0, CENTRAL, 80.0), add(6.0, CENTRAL, 20.0)], switches=[(3.0, 5.0, {"bioavailability": 0.25})],
    )  # fmt: skip
    found["a reset stops an infusion"] = Case(
        dose(100.0, into="central", duration=10.0) + Regimen.reset(at=4.0),
        [rate(0.0, CENTRAL, 10.0), empty(4.0, 3.0)], values={"start": 3.0},
    )  # fmt: skip
    found["a reset cancels additional doses"] = Case(
        dose(50.0, every=12.0, additional=3) + Regimen.reset(at=14.0),
        [add(0.0, DEPOT, 50.0), add(12.0, DEPOT, 50.0), empty(14.0)],
    )
    found["a reset written first cancels as one written last"] = Case(
        Regimen.reset(at=14.0) + dose(50.0, into="central", every=12.0, additional=3, duration=4.0),
        [*infusion(0.0, CENTRAL, 50.0, 4.0), rate(12.0, CENTRAL, 12.5), empty(14.0)],
    )
    found["a reset cancels a lagged dose"] = Case(
        dose(50.0, into="central") + dose(70.0, into="central", at=12.0) + Regimen.reset(at=14.0),
        [add(3.0, CENTRAL, 50.0), empty(14.0)], values={"lag": 3.0},
    )  # fmt: skip
    found["reset and dose stops an infusion and cancels the rest"] = Case(
        dose(100.0, into="central", duration=10.0, every=11.0, additional=2) + dose(80.0, at=4.0, reset=True),
        [rate(0.0, CENTRAL, 10.0), empty(4.0), add(4.0, DEPOT, 80.0)],
    )
    found["reset and infusion, twice"] = Case(
        dose(100.0, into="central", duration=10.0) + dose(80.0, into="central", at=4.0, duration=8.0, reset=True)
        + dose(60.0, into="central", at=7.0, duration=3.0, reset=True),
        [rate(0.0, CENTRAL, 10.0), empty(4.0), rate(4.0, CENTRAL, 10.0), empty(7.0), *infusion(7.0, CENTRAL, 60.0, 3.0)],
    )  # fmt: skip
    found["a steady-state record stops what ran before"] = Case(
        dose(100.0, into="central", duration=10.0, every=11.0, additional=2)
        + dose(80.0, at=4.0, every=8.0, steady_state=1, additional=1),
        [*steady(4.0, DEPOT, 80.0, 8.0), add(12.0, DEPOT, 80.0)],
        before=[(t, [rate(0.0, CENTRAL, 10.0)]) for t in GRID if t < 4.0],
    )  # fmt: skip
    extra = integrate(steady(0.0, CENTRAL, 60.0, 12.0, length=3.0)[:-2], [(0.0, 120)])[0, :2]
    found["SS = 2 adds the steady state of infusions"] = Case(
        dose(100.0, every=12.0, steady_state=1, additional=2)
        + dose(60.0, into="central", at=5.0, duration=3.0, every=12.0, steady_state=2),
        in_time([*steady(0.0, DEPOT, 100.0, 12.0), add(5.0, DEPOT, extra[0]), add(5.0, CENTRAL, extra[1]),
                 *infusion(5.0, CENTRAL, 60.0, 3.0), add(12.0, DEPOT, 100.0), add(24.0, DEPOT, 100.0)]),
        # The saturable body has another steady state; it is checked by brute force below.
    )  # fmt: skip
    found["a lag crosses an observation"] = Case(
        dose(100.0, into="central", at=1.0),
        [add(3.6, CENTRAL, 100.0)],
        values={"lag": 2.6},
        looks=[(2.0, inf, 0), (3.6, inf, 1)],
    )
    found["a lag crosses the next dose"] = Case(
        Regimen.records([0.0, 3.0], [80.0, 30.0], [0.0, 0.0], [0.0, 0.0], evid=[1, 1], into=["central"] * 2, mode=[0, 0],
                        additional=[0, 0], steady_state=[0, 0], order=[0, 10]),
        [add(3.5, CENTRAL, 30.0), add(5.0, CENTRAL, 80.0)], values={"lag": 5.0}, switches=[(2.0, 5.0, {"lag": 0.5})],
    )  # fmt: skip
    found["an additional dose comes before an observation of its time"] = Case(
        Regimen.repeat(60.0, into="central", every=6.0, count=3),
        [add(t, CENTRAL, 60.0) for t in (0.0, 6.0, 12.0)], looks=[(0.0, -0.5, 0), (0.0, 0.5, 1), (6.0, -0.5, 2), (12.0, 0.5, 3)],
    )  # fmt: skip
    found["a lagged dose comes before an observation of its time"] = Case(
        dose(60.0, into="central", at=2.0), [add(6.0, CENTRAL, 60.0)], values={"lag": 4.0}, looks=[(6.0, -0.5, 1)]
    )
    found["a lagged dose, an observation and a reset of one time"] = Case(
        dose(60.0, into="central", at=2.0) + Regimen.reset(at=6.0), [add(6.0, CENTRAL, 60.0), empty(6.0)],
        values={"lag": 4.0}, looks=[(6.0, 0.5, 1), (6.0, 1.5, 2)],
    )  # fmt: skip
    found["an infusion ends where the next begins"] = Case(
        dose(60.0, into="central", duration=3.0) + dose(45.0, into="central", duration=3.0, at=3.0) + dose(30.0, at=6.0),
        [*infusion(0.0, CENTRAL, 60.0, 3.0), *infusion(3.0, CENTRAL, 45.0, 3.0), add(6.0, DEPOT, 30.0)],
    )  # fmt: skip
    happens = {"dose": add(6.0, CENTRAL, 50.0), "reset": empty(6.0)}
    for order in itertools.permutations(("dose", "reset", "look")):
        at = {what: i + 1.0 for i, what in enumerate(order)}
        records = sorted(
            [("dose", 0.0, 100.0, 0.0), ("dose", 6.0, 50.0, at["dose"]), ("reset", 6.0, 0.0, at["reset"])],
            key=lambda r: r[3],
        )
        columns = [[r[k] for r in records] for k in (1, 2)]
        after = [add(0.0, CENTRAL, 100.0), *(happens[w] for w in order if w != "look")]
        found["at one time: " + ", ".join(order)] = Case(
            Regimen.records(*columns, [0.0] * 3, [0.0] * 3, evid=[1 if r[0] == "dose" else 3 for r in records],
                            into=["central"] * 3, mode=[0] * 3, additional=[0] * 3, steady_state=[0] * 3,
                            order=[int(r[3]) for r in records]),
            after, looks=[(6.0, at["look"], 1 + order.index("look"))],
        )  # fmt: skip
    found["steady state of a bolus with a lag"] = Case(
        dose(100.0, into="central", every=8.0, steady_state=1, additional=2),
        in_time([*steady(0.0, CENTRAL, 100.0, 8.0, lag=2.5), add(10.5, CENTRAL, 100.0), add(18.5, CENTRAL, 100.0)]),
        values={"lag": 2.5}, looks=[(0.0, inf, 60), (2.5, inf, 61)],
    )  # fmt: skip
    found["steady state of an infusion with a lag, running at the record"] = Case(
        dose(100.0, into="central", every=8.0, duration=6.0, steady_state=1),
        steady(0.0, CENTRAL, 100.0, 8.0, length=6.0, lag=3.0), values={"lag": 3.0},
    )  # fmt: skip
    found["overlapping infusions in steady state"] = Case(
        dose(100.0, into="central", every=6.0, duration=15.0, steady_state=1), steady(0.0, CENTRAL, 100.0, 6.0, length=15.0),
    )  # fmt: skip
    found["overlapping infusions in steady state, with a lag, stopped by a reset"] = Case(
        dose(100.0, into="central", every=6.0, duration="modelled", steady_state=1) + Regimen.reset(at=7.0),
        [h for h in steady(0.0, CENTRAL, 100.0, 6.0, length=9.5, lag=2.0) if h[0] < 7.0] + [empty(7.0)],
        values={"lag": 2.0, "duration": 9.5},
    )  # fmt: skip
    found["a constant infusion since long ago ends at its record"] = Case(
        dose(0.0, into="central", rate=12.0, steady_state=1, at=1.0),
        [rate(-400.0, CENTRAL, 12.0), rate(1.0, CENTRAL, -12.0)], before=[(0.5, [])], looks=[(1.0, inf, 2)],
    )  # fmt: skip
    return found


CASES = cases()
SATURABLE = [n for n in CASES if not n.startswith("SS = 2")]


def expected(case, saturable):
    """Depot, central and plasma at every sample of a case."""
    samples = case.samples()
    found = integrate(case.happenings, [(t, k) for t, _, k in samples], case.values, saturable)
    for at, happenings in case.before:  # what an SS record makes forget
        i = next(i for i, s in enumerate(samples) if s[0] == at)
        found[i] = integrate(happenings, [(at, len(happenings))], case.values, saturable)[0]
    return found


def posed(names, model=Routed):
    """All cases as one problem, with shorter ones padded: samples repeat the last, switches never come."""
    chosen = [CASES[n] for n in names]
    samples = [c.samples() for c in chosen]
    most = max(map(len, samples))
    samples = [s + [s[-1]] * (most - len(s)) for s in samples]
    segments = 1 + max(len(c.switches) for c in chosen)
    switches = [c.switches + [(math.inf, math.inf, {})] * (segments - 1 - len(c.switches)) for c in chosen]

    def parameter(name):
        rows = []
        for c, s in zip(chosen, switches, strict=True):
            row = [(TYPICAL | c.values)[name]]
            for _, _, changed in s:
                row.append(changed.get(name, row[-1]))
            rows.append(row)
        return np.array(rows)

    return build(
        model(**{n: parameter(n) for n in TYPICAL}), [c.regimen for c in chosen],
        np.array([[t for t, _, _ in s] for s in samples]), order=np.array([[o for _, o, _ in s] for s in samples]),
        switch_time=np.array([[t for t, _, _ in s] for s in switches]),
        switch_order=np.array([[o for _, o, _ in s] for s in switches]),
    )  # fmt: skip


def solution(backend, problem):
    assert backend.refusal(problem) is None
    return jax.jit(backend.solve)(problem)


@pytest.fixture(scope="module")
def linear():
    return {name: solution(b, posed(list(CASES))) for name, b in BACKENDS.items()}


@pytest.fixture(scope="module")
def saturable():
    return solution(Diffrax(), posed(SATURABLE, Saturable))


def agrees(s, i, want):
    got = np.stack([np.asarray(x)[i, : len(want)] for x in (s.state.depot, s.state.central, s.output.plasma)], axis=1)
    assert s.result[i] == OK
    np.testing.assert_allclose(got, want, rtol=RTOL, atol=ATOL)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("backend", BACKENDS)
def test_linear(linear, backend, name):
    agrees(linear[backend], list(CASES).index(name), expected(CASES[name], saturable=False))


@pytest.mark.parametrize("name", SATURABLE)
def test_saturable(saturable, name):
    agrees(saturable, SATURABLE.index(name), expected(CASES[name], saturable=True))


# -------------------------------------------------------------------------------------------------------- steady states


@pytest.mark.parametrize("backend", BACKENDS)
def test_no_steady_state_is_reported_for_that_patient_only(backend):
    regimen = Regimen.dose(100.0, into="central", every=8.0, steady_state=1)
    both = Routed(**(TYPICAL | {"cl": np.array([0.0, 2.0])}))  # without elimination the amount grows for ever
    s = solution(BACKENDS[backend], build(both, regimen, np.array([0.0, 3.0])))
    assert s.result.tolist() == [NO_STEADY_STATE, OK]
    steady_amount = 100.0 / -np.expm1(-0.2 * 8.0)
    np.testing.assert_allclose(s.state.central[1], steady_amount * np.exp([0.0, -0.6]), rtol=RTOL)


def test_brute_force_of_500_doses_near_saturation():
    # Doses at 80 % of the greatest elimination (40 mg/h): plain dosing needs hundreds of doses, and Newton's method
    # not.
    case = Case(Regimen.dose(256.0, every=8.0, steady_state=1), steady(0.0, DEPOT, 256.0, 8.0, doses=500))
    beyond = Regimen.dose(340.0, every=8.0, steady_state=1)  # more than can be eliminated
    time = np.array([0.0, 1.0, 4.0, 7.5])
    s = solution(Diffrax(), build(Saturable.typical(), [case.regimen, beyond], time))
    want = integrate(case.happenings, [(t, 501) for t in time], saturable=True)
    assert s.result.tolist() == [OK, NO_STEADY_STATE]
    np.testing.assert_allclose(s.state.central[0], want[:, 1], rtol=RTOL)


def test_more_overlap_than_planned_is_a_result_and_more_can_be_planned():
    regimen = Regimen.dose(100.0, into="central", every=6.0, duration="modelled", steady_state=1)
    times = np.array([0.5, 5.0, 20.0])
    both = Routed(**(TYPICAL | {"duration": np.array([40.0, 4.0])}))
    unplanned = solution(Exact(), build(both, regimen, times))
    planned = solution(Exact(), build(both, regimen, times, overlap=7))
    assert unplanned.result.tolist() == [OVERLAP, OK]
    assert planned.result.tolist() == [OK, OK]
    happenings = steady(0.0, CENTRAL, 100.0, 6.0, length=40.0)
    want = integrate(happenings, [(t, sum(h[0] <= t for h in happenings)) for t in times])
    np.testing.assert_allclose(planned.state.central[0], want[:, 1], rtol=RTOL)


# ----------------------------------------------------------------------------------------------- values without meaning


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_route_without_meaning_is_a_result(backend):
    def kinds(into, **how):
        return Regimen.dose(100.0, into=into, **how)

    regimens = [kinds("central", rate="modelled"), kinds("central", duration="modelled"), kinds("central")] * 2
    wrong = {"rate": [0.0] + [25.0] * 5, "duration": [4.0, -1.0] + [4.0] * 4, "lag": [0.0, 0.0, -1.0] + [0.0] * 3}
    model = Routed(**(TYPICAL | {k: np.array(v) for k, v in wrong.items()}))
    s = solution(BACKENDS[backend], build(model, regimens, np.array([1.0, 2.0])))
    assert s.result.tolist() == [NOT_FINITE] * 3 + [OK] * 3


# --------------------------------------------------------------------------------------------------- transit absorption


def savic(doses, times, *, ka, cl, v, mtt, n, reset=math.inf):
    """Depot and central by scipy: doses ``(time, amount)`` each enter as a gamma density."""
    ktr = (n + 1.0) / mtt

    def entering(t):
        on = [(t - at, amount) for at, amount in doses if t > at and (t < reset or at >= reset)]
        return sum(a * ktr * math.exp(n * math.log(ktr * s) - ktr * s - math.lgamma(n + 1.0)) for s, a in on)

    def rhs(t, y):
        return [entering(t) - ka * y[0], ka * y[0] - cl / v * y[1]]

    stops = sorted({at for at, _ in doses} | {reset} - {math.inf} | set(times))
    y, t, found = np.zeros(2), stops[0], {}
    for stop in stops:
        if stop > t:
            y = solve_ivp(rhs, (t, stop), y, "DOP853", rtol=1e-11, atol=1e-13, max_step=mtt / 10).y[:, -1]
        y, t = (np.zeros(2) if stop == reset else y), stop
        found[stop] = y
    return np.array([found[t] for t in times])


TRANSIT = {"ka": 1.5, "cl": 5.0, "v": 40.0}
TRANSIT_CASES = {
    "overlapping pulses": ({"mtt": 3.0, "n": 4.5}, [(0.0, 100.0), (2.0, 50.0), (5.0, 80.0)], math.inf),
    "short pulses far apart": ({"mtt": 0.1, "n": 10.0}, [(0.0, 100.0), (70.0, 80.0)], math.inf),
    "one pulse, late": ({"mtt": 0.5, "n": 30.0}, [(61.0, 100.0)], math.inf),
    "fewer than one compartment": ({"mtt": 1.0, "n": 0.4}, [(0.0, 100.0), (48.0, 80.0)], math.inf),
    "a reset in the pulse": ({"mtt": 3.0, "n": 2.0}, [(0.0, 100.0), (4.0, 50.0)], 2.5),
}


@pytest.fixture(scope="module")
def transit():
    regimens = []
    for _, doses, reset in TRANSIT_CASES.values():
        parts = [(at, Regimen.dose(amount, at=at)) for at, amount in doses]
        parts += [(reset, Regimen.reset(at=reset))] if reset < math.inf else []
        first, *rest = [r for _, r in sorted(parts, key=lambda p: p[0])]
        regimens.append(sum(rest, first))
    columns = {k: np.array([c[0][k] for c in TRANSIT_CASES.values()]) for k in ("mtt", "n")}
    times = np.array([0.0, 1.0, 3.0, 8.0, 24.0, 48.5, 61.2, 62.0, 70.2, 75.0, 100.0])
    return times, solution(Diffrax(), build(OneCompartmentTransit(**TRANSIT, **columns), regimens, times))


@pytest.mark.parametrize("name", TRANSIT_CASES)
def test_transit(transit, name):
    times, s = transit
    i = list(TRANSIT_CASES).index(name)
    values, doses, reset = TRANSIT_CASES[name]
    want = savic(doses, times, **TRANSIT, **values, reset=reset)
    assert s.result[i] == OK
    np.testing.assert_allclose(np.stack([s.state.depot[i], s.state.central[i]], axis=1), want, rtol=1e-6, atol=1e-7)


def test_transit_takes_no_infusions_and_no_steady_state():
    model = OneCompartmentTransit.typical()
    infused = build(model, Regimen.infusion(100.0, over=2.0), np.array([1.0]))
    assert "infusion into depot" in Diffrax().refusal(infused)
    steady = build(model, Regimen.dose(100.0, every=12.0, steady_state=1), np.array([1.0]))
    assert "steady state of doses with transit absorption" in Diffrax().refusal(steady)
    assert "varies in time" in Exact().refusal(infused)


# --------------------------------------------------------------------------------------------------------------- errors


def record(time=0.0, amount=100.0, rate=0.0, interval=0.0, *, evid=1, mode=0, additional=0, steady_state=0):
    return Regimen.records(
        [time], [amount], [rate], [interval], evid=[evid], into=[1], mode=[mode], additional=[additional],
        steady_state=[steady_state],
    )  # fmt: skip


@pytest.mark.parametrize(
    ("write", "says"),
    [
        (lambda: Regimen.dose(-5.0, at=3.0), r"dose record 1 \(time 3\): amount is -5; it cannot be negative"),
        (lambda: Regimen.dose(math.nan), "amount is nan; give a finite number"),
        (lambda: Regimen.dose(1.0, at=math.inf), "time is inf; give a finite number"),
        (lambda: Regimen.dose(1.0, additional=2), r"ADDL needs the dosing interval II \(`every`\) above zero"),
        (lambda: Regimen.dose(1.0, steady_state=1), r"SS needs the dosing interval II \(`every`\) above zero"),
        (lambda: Regimen.dose(1.0, every=12.0, steady_state=3), "SS is 3; it is 0, 1 or 2"),
        (lambda: Regimen.dose(1.0, every=12.0, additional=-1), "ADDL is -1; it is a number of further doses"),
        (lambda: Regimen.dose(1.0, rate=0.0), "an infusion needs a rate above zero"),
        (lambda: Regimen.dose(1.0, rate=-1.0), "rate is -1; it cannot be negative"),
        (lambda: Regimen.dose(1.0, duration=0.0), "duration is 0; give a time above zero, or a bolus"),
        (lambda: Regimen.dose(1.0, rate=1.0, duration=1.0), "rate or its duration, not both"),
        (lambda: Regimen.dose(1.0, rate="modeled"), "rate and duration are numbers or 'modelled', not 'modeled'"),
        (lambda: Regimen.dose(1.0, rate="modelled", duration=2.0), "rate or its duration, not both"),
        (lambda: Regimen.repeat(1.0, every=12.0, count=0), "count is the number of doses, at least 1; it is 0"),
        (lambda: record(evid=3), "EVID 3 is a reset without a dose; use EVID 4 to reset and dose"),
        (lambda: record(evid=2), r"EVID 2 is not a dose or a reset \(1, 3, 4\)"),
    ],
)
def test_a_regimen_says_what_is_wrong(write, says):
    with pytest.raises(ValueError, match=says):
        write()


@pytest.mark.parametrize(
    ("into", "says"),
    [
        (3, r"dose record 1: compartment 3 of a model with 2: 1 depot, 2 central"),
        (0, r"compartment 0 of a model with 2"),
        ("centrl", r"no compartment \(dose record 1\) 'centrl'; did you mean 'central'\?"),
    ],
)
def test_an_unknown_compartment_says_which_there_are(into, says):
    with pytest.raises(ValueError, match=says):
        build(Routed.typical(), Regimen.dose(1.0, into=into), np.array([1.0]))


class Undosed(Routed):
    """Only the depot takes doses."""

    class State(eqx.Module):
        depot: Amount
        central: Amount

    class Input(eqx.Module):
        depot: AmountRate = 0.0

    def derivative(self, t, y, u):
        absorbed = self.ka * y.depot
        return self.State(u.depot - absorbed, absorbed - self.cl * y.central / self.v)


def test_a_state_that_is_no_input_takes_no_doses():
    with pytest.raises(ValueError, match="dose record 1: central takes no doses; these do: depot"):
        build(Undosed.typical(), Regimen.dose(1.0, into="central"), np.array([1.0]))


def test_modelled_rates_need_a_route():
    for how, field in (({"rate": "modelled"}, "rate"), ({"duration": "modelled"}, "duration")):
        problem = build(Routed.typical(), Regimen.dose(1.0, into="depot", **how), np.array([1.0]))
        for backend in BACKENDS.values():
            says = f"leaves its {field} to the model, but routes() declares no {field} for depot"
            assert says in backend.refusal(problem)


def test_a_switch_needs_its_place_among_the_records():
    with pytest.raises(ValueError, match="switch_time and switch_order"):
        build(Routed.typical(), Regimen.none(), np.array([1.0]), switch_time=np.array([[1.0]]))
