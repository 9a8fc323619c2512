"""Dosing events against NONMEM 7.4.3: 26 scenarios of nlmixr2's nmtest, solved as one batch by each backend."""

import csv
import gzip

import equinox as eqx
import jax
import numpy as np
import pytest

from twinjax.dosing import BOLUS, GIVEN_RATE, MODELLED_DURATION, MODELLED_RATE, Regimen
from twinjax.models.base import AbstractModel, Route
from twinjax.solve.building import build
from twinjax.solve.diffrax import Diffrax
from twinjax.solve.exact import Exact
from twinjax.solve.fused import Fused
from twinjax.solve.problem import OK
from twinjax.units import Amount, AmountRate, Clearance, Concentration, Fraction, Rate, Time, Volume

# Five digits are printed, so the reference itself is good to 5e-5 relative; 1e-4 allows for that and for NONMEM's own
# integration. 1e-6 absolute (ng/mL) covers predictions that have decayed to nothing.
RTOL, ATOL = 1e-4, 1e-6
SCENARIOS = [str(i) for i in range(1, 27)]
BACKENDS = {"exact": Exact(), "diffrax": Diffrax(), "fused": Fused()}
ROUTE_COLUMNS = ("lagt", "bioav", "rat2", "dur2")


class Advan2(AbstractModel):
    """NONMEM's ADVAN2 TRANS2 with everything modelled on compartment 2, as 1001.ctl has it."""

    ka: Rate
    cl: Clearance
    v: Volume
    lag: Time
    bioavailability: Fraction
    rate: AmountRate
    duration: Time

    class State(eqx.Module):
        depot: Amount
        central: Amount

    class Output(eqx.Module):
        plasma: Concentration

    def derivative(self, t, y, u):
        absorbed = self.ka * y.depot
        return self.State(u.depot - absorbed, u.central + absorbed - self.cl * y.central / self.v)

    def output(self, t, y, u):
        return self.Output(y.central / self.v)

    def routes(self):
        return {"central": Route(self.lag, self.bioavailability, self.rate, self.duration)}

    @classmethod
    def typical(cls):
        return cls(1.5, 1.1, 20.0, 0.0, 1.0, 10.0, 2.0)


def read(shared_data):
    """The records of every scenario, in file order."""
    rows = {}
    with gzip.open(shared_data / "trials/nmtest_events/nmtest.csv.gz", "rt") as file:
        for row in csv.DictReader(file):
            rows.setdefault(row["id"], []).append(row)
    return rows


def mode(rate):
    return {-1.0: MODELLED_RATE, -2.0: MODELLED_DURATION}.get(rate, GIVEN_RATE if rate > 0 else BOLUS)


def regimen(records):
    """The dose records; a record's place in the file is its order."""
    doses = [(n, r) for n, r in enumerate(records) if r["evid"] != "0"]

    def column(name, kind=float):
        return [kind(r[name]) for _, r in doses]

    rates = column("rate")
    return Regimen.records(
        column("time"), column("amt"), [max(r, 0.0) for r in rates], column("ii"), evid=column("evid", int),
        into=column("cmt", int), mode=[mode(r) for r in rates], additional=column("addl", int),
        steady_state=column("ss", int), order=[n for n, _ in doses],
    )  # fmt: skip


def changes(records):
    """Where a route parameter changes: NONMEM's values hold up to and at their record, so between the two records."""
    values = [[float(r[c]) for c in ROUTE_COLUMNS] for r in records]
    at = [n for n in range(len(values) - 1) if values[n] != values[n + 1]]
    return at, [values[0]] + [values[n + 1] for n in at]


@pytest.fixture(scope="module")
def solved(shared_data):
    """Predictions and result codes of all scenarios by backend, and the reference predictions."""
    rows = list(read(shared_data).values())
    observed = [[(n, r) for n, r in enumerate(records) if r["evid"] == "0"] for records in rows]
    switches = [changes(records) for records in rows]
    segments = 1 + max(len(at) for at, _ in switches)
    time = np.array([[float(r["time"]) for _, r in o] for o in observed])
    order = np.array([[float(n) for n, _ in o] for o in observed])
    # A patient with fewer switches than the others is padded with switches that never come.
    switch_time = np.full((len(rows), segments - 1), np.inf)
    switch_order = np.full((len(rows), segments - 1), np.inf)
    values = np.empty((len(ROUTE_COLUMNS), len(rows), segments))
    for i, (at, found) in enumerate(switches):
        switch_time[i, : len(at)] = [float(rows[i][n]["time"]) for n in at]
        switch_order[i, : len(at)] = [n + 0.5 for n in at]
        values[:, i, : len(found)] = np.array(found).T
        values[:, i, len(found) :] = np.array(found[-1])[:, None]
    problem = build(
        Advan2(1.5, 1.1, 20.0, *values), [regimen(r) for r in rows], time, order=order,
        switch_time=switch_time, switch_order=switch_order,
    )  # fmt: skip
    reference = np.array([[float(r["cp"]) for _, r in o] for o in observed])
    found = {}
    for name, backend in BACKENDS.items():
        assert backend.refusal(problem) is None
        solution = jax.jit(backend.solve)(problem)
        found[name] = np.asarray(solution.output.plasma) * 1000.0, np.asarray(solution.result)
    return found, reference


def test_all_scenarios_are_there(shared_data):
    assert list(read(shared_data)) == SCENARIOS


@pytest.mark.parametrize("scenario", SCENARIOS)
@pytest.mark.parametrize("backend", BACKENDS)
def test_scenario(solved, backend, scenario):
    found, reference = solved
    i = SCENARIOS.index(scenario)
    plasma, result = found[backend]
    assert result[i] == OK
    np.testing.assert_allclose(plasma[i], reference[i], rtol=RTOL, atol=ATOL)


def test_backends_agree_beyond_the_printed_digits(solved):
    # 1e-7: the integration's rtol is 1e-8 per step, and errors of some steps add up.
    found, _ = solved
    np.testing.assert_allclose(found["diffrax"][0], found["exact"][0], rtol=1e-7, atol=1e-6)
