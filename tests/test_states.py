"""Filters of states with process noise against Kalman's, written down from the textbook, and what they foresee."""

import dataclasses
import datetime
import json
from typing import Annotated

import equinox as eqx
import jax
import numpy as np
import pytest
import scipy.linalg
import scipy.stats

import twinjax as tj
from twinjax.assimilation.states.belief import StateParticles
from twinjax.assimilation.storage import from_dict, to_dict
from twinjax.models.base import AbstractModel
from twinjax.units import Bounds, Number, Rate, Unit

WHEN = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
FREE = Bounds(-np.inf, np.inf)


class Relay(AbstractModel):
    """Two states that decay, the first into the second: linear in the states and in where they begin."""

    level: Annotated[float, Unit("1"), FREE]
    k: Rate

    nonnegative = False
    quiescent = False

    class State(eqx.Module):
        first: Number
        second: Number

    class Output(eqx.Module):
        first: Number
        second: Number

    def derivative(self, t, y, u):
        return self.State(first=u.first - self.k * y.first, second=u.second + self.k * (y.first - y.second))

    def output(self, t, y, u):
        return self.Output(first=y.first, second=y.second)

    def initial(self):
        return self.State(first=self.level, second=0.5 * self.level)

    @classmethod
    def typical(cls):
        return cls(level=2.0, k=0.3)


RELAY = tj.Population(
    Relay.typical(), variability={"level": tj.NaturalScale(0.8)},
    residual={"first": tj.Additive(0.4), "second": tj.Additive(0.3)},
)  # fmt: skip
NOISE = tj.ProcessNoise({"first": 0.5, "second": 0.2}, walks={"level": 0.1})
DOSES = tj.Regimen.dose(3.0, into="first", at=1.0) + tj.Regimen.infusion(4.0, into="second", at=2.0, over=4.0)
TIMES = np.array([1.0, 2.5, 2.5, 7.0])
OUTPUTS = ("first", "first", "second", "second")
VALUES = np.array([4.0, 2.6, 2.9, 2.2])


def seen(of=slice(None)):
    return tj.Measurements(TIMES[of], VALUES[of], OUTPUTS[of])


Q = np.diag([0.25, 0.04, 0.01])
TRANSITION = np.array([[-0.3, 0.0], [0.3, -0.3]])


def onward(mean, cov, begin, end, doses=True):
    """Exact moments at the end, the kick there: matrix exponentials between the doses' events. The infusion begins at 2,
    the bolus comes at 1; without `doses`, neither does.
    """
    for a, b in zip(cuts := [begin, *[t for t in (1.0, 2.0, 6.0) if begin < t < end], end], cuts[1:], strict=False):
        rate = np.array([0.0, 1.0 if doses and 2.0 <= a < 6.0 else 0.0])
        block = np.zeros((3, 3))
        block[:2, :2], block[:2, 2] = TRANSITION, rate
        move = scipy.linalg.expm(block * (b - a))
        whole = np.eye(3)
        whole[:2, :2] = move[:2, :2]
        mean, cov = whole @ mean + np.append(move[:2, 2], 0.0), whole @ cov @ whole.T
        if doses and b == 1.0:
            mean = mean + np.array([3.0, 0.0, 0.0])
    return mean, cov + Q * (end - begin)


def kalman(times=TIMES, outputs=OUTPUTS, values=VALUES):
    """States and eta: mean, covariance, and log density without its constant."""
    lift = np.array([1.0, 0.5, 1.0])
    mean, cov, at, log = np.array([2.0, 1.0, 0.0]), 0.64 * np.outer(lift, lift), 0.0, []
    for t, name, y in zip(times, outputs, values, strict=True):
        if t > at:
            mean, cov = onward(mean, cov, at, t)
            at = t
        h = np.array([1.0, 0.0, 0.0] if name == "first" else [0.0, 1.0, 0.0])
        s = h @ cov @ h + (0.16 if name == "first" else 0.09)
        gain = cov @ h / s
        log.append(-0.5 * ((y - h @ mean) ** 2 / s + np.log(s)))
        mean, cov = mean + gain * (y - h @ mean), cov - np.outer(gain, h @ cov)
    return mean, cov, log


@pytest.mark.parametrize(
    "method", [tj.StateExtendedKalman(NOISE), tj.StateEnsembleKalman(NOISE, members=16)], ids=lambda m: m.name
)
def test_linear_and_normal_equals_kalman_with_process_noise(method):
    """To 1e-8, step by step and at once, late data too; what was foreseen of each measurement, to rounding."""
    twin = tj.Twin.of(RELAY, doses=DOSES, method=method, when=WHEN)
    for k in (slice(0, 2), slice(2, 4)):
        twin = tj.assimilate(twin, seen(k))
    mean, cov, log = kalman()
    b = twin.belief
    if method.name == "StateExtendedKalman":
        found, spread = np.append(b.state[0], b.eta[0]), b.spread[0]
    else:
        z = np.concatenate([b.state[0], b.eta[0]], axis=1)
        found, spread = z.mean(axis=0), np.cov(z.T, bias=True)
    np.testing.assert_allclose(found, mean, atol=1e-8)
    np.testing.assert_allclose(spread, cov, atol=1e-8)
    said = [e["log_density"] for e in twin.trail[1:]]
    np.testing.assert_allclose(said, [sum(log[:2]), sum(log[2:])], atol=1e-8)
    assert all(e["settled"] for e in twin.trail[1:])
    # files keep it
    again = from_dict(json.loads(json.dumps(to_dict(twin))), RELAY, method=method)
    np.testing.assert_array_equal(again.belief.state, b.state)
    assert again.hash == twin.hash
    if method.name == "StateExtendedKalman":
        return
    late = tj.Twin.of(RELAY, doses=DOSES, method=method, when=WHEN)
    late = tj.assimilate(late, seen(slice(2, 4)))
    late = tj.assimilate(late, seen(slice(0, 2)))
    assert late.trail[-1]["again"]
    np.testing.assert_allclose(late.belief.mean[0], mean[2:], atol=1e-8)


def test_particles_converge_to_kalman():
    """Mean and covariance within 4 standard errors, of a quarter of 4,000 particles: resampling correlates them."""
    method = tj.StateParticleFilter(NOISE, particles=4000)
    twin = tj.assimilate(tj.Twin.of(RELAY, doses=DOSES, method=method, seed=2), seen())
    mean, cov, log = kalman()
    state, eta = (np.asarray(x[0]) for x in twin.belief.both(jax.random.key(1), 4000))
    z = np.concatenate([state, eta], axis=1)
    sd = np.sqrt(np.diag(cov))
    assert np.all(np.abs(z.mean(axis=0) - mean) < 4 * sd / np.sqrt(1000))
    np.testing.assert_allclose(np.cov(z.T) / np.outer(sd, sd), cov / np.outer(sd, sd), atol=4 * np.sqrt(2 / 1000))
    assert twin.trail[-1]["log_density"] == pytest.approx(sum(log), abs=0.15)
    assert twin.trail[-1]["settled"]


def weighted(values, wrong):
    """A twin whose 100 weighted particles are known, some of them `wrong`, after a value and one that is censored, both
    where the particles are; and the particles' states and weights.
    """
    residual = {"first": tj.StudentT(tj.Additive(0.8), 4.0), "second": tj.Additive(0.3)}
    tails = tj.Population(Relay.typical(), variability={"level": tj.NaturalScale(0.8)}, residual=residual)
    rng = np.random.default_rng(4)
    state, weight = rng.normal([[2.0, 1.0]], 0.4, (100, 2)), rng.uniform(0.5, 1.0, 100)
    state[wrong], weight = np.nan, weight / weight.sum()
    twin = tj.Twin.of(tails, doses=DOSES, method=tj.StateParticleFilter(NOISE, particles=100), when=WHEN)
    belief = StateParticles(state[None], np.zeros((1, 100, 1)), np.log(weight)[None], np.zeros(1))
    both = tj.Measurements([0.0, 0.0], values, ("first", "second"), [0, 1])
    return tj.assimilate(dataclasses.replace(twin, belief=belief), both), state, weight


def test_what_was_foreseen_is_of_the_particles_solved_by_the_error_s_own_law():
    """One particle is not solved, one error Student's, one value below a limit: sums over the others by SciPy's laws,
    to rounding.
    """
    twin, state, weight = weighted([2.6, 0.9], wrong=slice(3, 4))
    first, second = (e := twin.trail[-1])["innovations"]
    left = np.arange(100) != 3
    (a, b), w = state[left].T, weight[left] / weight[left].sum()
    law = scipy.stats.t(4.0, loc=a, scale=0.8)
    sd = np.sqrt(w @ (2 * 0.8**2 + (a - w @ a) ** 2))
    found = [first[n] for n in ("expected", "sd", "z", "quantile")]
    np.testing.assert_allclose(found, [w @ a, sd, (2.6 - w @ a) / sd, w @ law.cdf(2.6)], rtol=1e-9)
    each = w * law.pdf(2.6) * np.sqrt(2 * np.pi)
    assert second["expected"] == pytest.approx(each @ b / each.sum(), rel=1e-9)
    assert second["z"] is None
    assert second["quantile"] is None
    each = each * scipy.stats.norm.cdf((0.9 - b) / 0.3)
    assert e["log_density"] == pytest.approx(np.log(each.sum()), rel=1e-9)
    assert e["settled"]
    np.testing.assert_allclose(np.exp(twin.belief.log_weight[0][left]), each / each.sum(), rtol=1e-9)


def test_a_value_that_no_particle_explains_is_passed_by():
    """It overflows every density; the next one is learnt all the same."""
    twin, state, weight = weighted([1e200, 1.1], wrong=slice(0, 0))
    each = weight * scipy.stats.norm.cdf((1.1 - state[:, 1]) / 0.3)
    np.testing.assert_allclose(np.exp(twin.belief.log_weight[0]), each / each.sum(), rtol=1e-9)
    assert twin.trail[-1]["log_density"] is None
    assert not twin.trail[-1]["settled"]
    lost, _, weight = weighted([2.6, 0.9], wrong=slice(None))
    np.testing.assert_allclose(np.exp(lost.belief.log_weight[0]), weight, rtol=1e-12)
    assert lost.trail[-1]["innovations"][0]["expected"] is None
    assert not lost.trail[-1]["settled"]


def test_where_no_particle_can_be_solved_the_belief_stays():
    """Two doses overflow every state after 3 h: what is believed is, to the bit, what the same filter believes at 2.5 h
    without them, never NaN; what came later waits, and is said. A particle that alone has no solution is given no weight and the state of another.
    """
    wild = tj.Regimen.dose(1e308, into="first", at=3.0) + tj.Regimen.dose(1e308, into="first", at=3.0)
    method = tj.StateParticleFilter(NOISE, particles=100)
    twin = tj.assimilate(tj.Twin.of(RELAY, doses=DOSES + wild, method=method), seen())
    well = tj.assimilate(tj.Twin.of(RELAY, doses=DOSES, method=method), seen(slice(0, 3)))
    (left,) = twin.trail[-1]["left"]
    assert (left["time"], left["waits"], twin.trail[-1]["settled"]) == (7.0, True, False)
    assert "could be solved for no particle" in left["why"]
    assert twin.belief.time == 2.5
    assert [m["expected"] is None for m in twin.trail[-1]["innovations"]] == [False, False, False, True]
    for a, b in zip(jax.tree.leaves(twin.belief), jax.tree.leaves(well.belief), strict=True):
        np.testing.assert_array_equal(a, b)
        assert np.isfinite(a).all()
    later = tj.assimilate(twin, tj.Measurements([8.0], [2.0], ("first",)))
    assert [m["time"] for m in later.trail[-1]["left"]] == [7.0, 8.0]
    for a, b in zip(jax.tree.leaves(later.belief), jax.tree.leaves(twin.belief), strict=True):
        np.testing.assert_array_equal(a, b)
    assert not np.isfinite(tj.forecast(later, 2.0).predicted["first"]).any()
    some, _, _ = weighted([2.6, 0.9], wrong=slice(3, 4))
    assert np.isfinite(some.belief.state).all()
    assert some.belief.log_weight[0, 3] == -np.inf


def test_forecasts_and_hindcasts_go_on_with_noise():
    """Means and deviations of what is ahead, by the textbook, within 4 standard errors of 4,000 draws; a hindcast is the
    forecast that the twin would have made, and without plans knows of no dose that has not begun.
    """
    method, times = tj.StateEnsembleKalman(NOISE, members=4000), np.array([6.0, 3.0, 2.5])
    first = tj.Twin.of(RELAY, doses=DOSES, method=method, when=WHEN)
    twin = tj.assimilate(first, seen(slice(0, 3)))
    found = tj.forecast(twin, times, draws=4000).predicted
    mean, cov, _ = kalman(TIMES[:3], OUTPUTS[:3], VALUES[:3])
    at, order = 2.5, [2, 1, 0]
    for k in order:
        if times[k] > at:
            mean, cov = onward(mean, cov, at, times[k])
            at = times[k]
        for i, name in enumerate(("first", "second")):
            sd = np.sqrt(cov[i, i])
            assert abs(found[name][:, k].mean() - mean[i]) < 4 * sd / np.sqrt(4000)
            assert found[name][:, k].std() == pytest.approx(sd, rel=4 / np.sqrt(8000))
    with pytest.raises(ValueError, match=r"from before 2\.5"):
        tj.hindcast([twin], [seen(slice(0, 1))], 1.5)
    for planned in (True, False):
        ahead = tj.hindcast([first], [seen(slice(0, 3))], 1.5, every=1, planned=planned)[0]
        np.testing.assert_array_equal(ahead.time, TIMES[:3] + 1.5)
        mean, cov, _ = kalman(TIMES[:1], OUTPUTS[:1], VALUES[:1])
        mean, cov = onward(mean, cov, 1.0, 2.5, doses=planned)
        low, middle, high = ahead.band("second", 0.9)[:, 0]
        sd = np.sqrt(cov[1, 1])
        assert abs(middle - mean[1]) < 4 * 1.25 * sd / np.sqrt(4000)
        assert (high - low) / 2 / 1.645 == pytest.approx(sd, rel=4 * 1.5 / np.sqrt(8000))


def test_what_no_filter_of_states_knows_is_said():
    method = tj.StateExtendedKalman(NOISE)
    twin = tj.Twin.of(RELAY, doses=DOSES, method=method)
    with pytest.raises(ValueError, match="looks ahead only"):
        tj.forecast(dataclasses.replace(twin, history=twin.history.joined(tj.News(seen()))[0]), np.array([0.5]))
    with pytest.raises(ValueError, match="StateEnsembleKalman"):
        tj.hindcast([twin], [seen()], 1.0)
    ensemble = tj.Twin.of(RELAY, doses=DOSES, method=tj.StateEnsembleKalman(NOISE))
    with pytest.raises(ValueError, match="look ahead, above zero"):
        tj.hindcast([ensemble], [seen()], np.inf)
    with pytest.raises(ValueError, match="every 0 measurements"):
        tj.hindcast([ensemble], [seen()], 1.0, every=0)
    goal, limits = tj.Goal(tj.At("first", 8.0), 1.0, 2.0), tj.Constraints(start=8.0, until=20.0, tablets=(1.0,))
    with pytest.raises(ValueError, match="believes in states too"):
        tj.recommend(twin, goal, limits)
    other = twin.another("b", doses=tj.Regimen.dose(1.0, into="first", reset=True))
    with pytest.raises(ValueError, match="no resets"):
        tj.assimilate(other, seen())
    with pytest.raises(ValueError, match="state with noise"):
        tj.Twin.of(RELAY, method=tj.StateExtendedKalman(tj.ProcessNoise({"third": 1.0})))
    with pytest.raises(ValueError, match="above zero"):
        tj.ProcessNoise({"first": 0.0})
    with pytest.raises(ValueError, match="too small"):
        tj.Twin.of(RELAY, method=tj.StateEnsembleKalman(NOISE, members=6))
