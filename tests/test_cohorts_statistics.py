"""Counts, moments, summaries and responders of a cohort: right, and the same whatever the order."""

import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import quad

from twinjax.cohorts import AUC, Cmax, Cmin, TimeAbove, Tmax, standard
from twinjax.cohorts.found import _fraction
from twinjax.cohorts.summaries import checked, measured
from twinjax.cohorts.tables import level_name
from twinjax.cohorts.tally import COARSE, Exactly, Moments, Tally, middles

LEVELS = (0.0, 0.025, 0.05, 0.5, 0.95, 0.975, 1.0)
TIMES = np.array([0.0, 1.0, 2.0, 4.0, 8.0])


def sample(n=5000):
    """Series that differ: sixty decades, both signs, many zeros, whole numbers, powers of two and their neighbours."""
    rng = np.random.default_rng(1)
    edges = 2.0 ** rng.integers(-40, 40, n)
    return np.stack(
        [
            np.exp(rng.normal(size=n)),
            10.0 ** rng.uniform(-30, 30, n),
            rng.normal(size=n),
            np.where(rng.random(n) < 0.3, 0.0, rng.random(n)),
            rng.integers(-3, 4, n).astype(float),
            np.nextafter(edges, rng.choice([0.0, np.inf], n)),
            np.full(n, -0.0),
        ],
        axis=1,
    )


def same(a, b):
    assert a.bits == b.bits
    for name in ("series", "bin", "count"):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name))


# ------------------------------------------------------------------------------------------------------------- counts


def test_exact_counts_are_the_quantiles():
    values = sample()
    tally = Exactly(values.shape[1])
    for part in np.array_split(values, 7):
        tally.add(part)
    found = tally.counts().quantiles(LEVELS, values.shape[1])
    # a straight line between two doubles, rounded in another order
    np.testing.assert_allclose(found, np.quantile(values, LEVELS, axis=0), rtol=4e-16, atol=0)
    assert tally.counts().error == 0


def test_coarse_counts_err_by_a_thousandth_at_most():
    """Order statistics within the stated error; a level between two of them lies on a line between both."""
    values = sample()
    tally = Tally(values.shape[1], np.int32)
    tally.add(values)
    counts = tally.counts()
    assert counts.error == 2.0**-10 < 1e-3
    found = counts.quantiles(LEVELS, values.shape[1])
    ordered = np.sort(values, axis=0)
    for level, row in zip(LEVELS, found, strict=True):
        place = level * (len(values) - 1)
        low, high = ordered[int(np.floor(place))], ordered[int(np.ceil(place))]
        bound = counts.error * np.maximum(np.abs(low), np.abs(high)) * (1 + 1e-12)
        exact = low + (place - np.floor(place)) * (high - low)
        assert np.all(np.abs(row - exact) <= bound)


def test_every_bin_stands_for_what_lies_in_it():
    values = np.sort(np.concatenate([sample().ravel(), [5e-324, 1e-310, 1.7976931348623157e308]]))
    tally = Tally(1)
    tally.add(values[:, None])
    counts = tally.counts()
    assert counts.count.sum() == len(values)
    run, place = np.nonzero(counts.count)
    bins = counts.bin[run] + place
    assert np.all(np.diff(bins) > 0)
    stands = np.repeat(middles(bins, COARSE), counts.count[run, place])
    assert np.all(np.abs(stands - values) <= np.abs(values) * counts.error + 1e-300)


@pytest.mark.parametrize("kind", [Tally, Exactly])
def test_counts_are_the_same_whatever_the_order(kind):
    values = sample()
    whole = kind(values.shape[1])
    whole.add(values)
    parts = []
    for part in np.array_split(np.random.default_rng(2).permutation(values), 5):
        parts.append(kind(values.shape[1]))
        parts[-1].add(part)
    merged = kind(values.shape[1])
    for part in parts[::-1]:
        merged.merge(part.counts())
    same(merged.counts(), whole.counts())


@pytest.mark.parametrize("kind", [Tally, Exactly])
def test_no_values(kind):
    tally = kind(3)
    tally.add(np.zeros((0, 3)))
    tally.merge(kind(3).counts())
    assert np.isnan(tally.counts().quantiles((0.5,), 3)).all()


def test_moments():
    values = 1e6 + sample()[:, [0, 2]]
    total = Moments.none(2)
    for part in np.array_split(values, 9):
        total = total + Moments.of(part)
    assert list(total.number) == [len(values)] * 2
    # 1e6 from the origin, where sums of squares would lose twelve digits; 5000 roundings of 1e-16 of 1e6
    np.testing.assert_allclose(total.mean, values.mean(axis=0), rtol=1e-13)
    np.testing.assert_allclose(total.sd, values.std(axis=0, ddof=1), rtol=1e-9)
    assert np.isnan(Moments.of(values[:1]).sd).all()
    assert np.isnan(Moments.none(2).sd).all()


def test_names_of_levels():
    assert [level_name(q) for q in (0.0, 0.025, 0.05, 0.5, 0.975, 1.0)] == [
        "q00",
        "q02.5",
        "q05",
        "q50",
        "q97.5",
        "q100",
    ]


# ---------------------------------------------------------------------------------------------------------- summaries


def one(summary, value, times=TIMES):
    return float(measured((summary,), times, {"plasma": jnp.asarray(value)[None, :]})[summary.name][0])


def test_areas():
    line = 3.0 + 2.0 * TIMES
    assert one(AUC("plasma"), line) == pytest.approx(3.0 * 8 + 64.0, rel=1e-15)
    decay = 7.0 * np.exp(-0.3 * TIMES)
    exact = quad(lambda t: 7.0 * np.exp(-0.3 * t), 0, 8, epsrel=1e-13)[0]
    assert one(AUC("plasma", log=True), decay) == pytest.approx(exact, rel=1e-14)
    assert one(AUC("plasma"), decay) > exact * 1.01
    slow = 7.0 * np.exp(-1e-11 * TIMES)  # a fall of a few roundings
    assert one(AUC("plasma", log=True), slow) == pytest.approx(56.0, rel=1e-10)
    mixed = np.array([0.0, 2.0, 2.0, 1.0, 0.0])  # rises, level and the fall to zero are linear
    falling = (2.0 - 1.0) * 2 / np.log(2.0)
    assert one(AUC("plasma", log=True), mixed) == pytest.approx(1.0 + 2.0 + falling + 2.0, rel=1e-15)


def test_peaks_and_troughs():
    value = np.array([0.0, 5.0, 2.0, 5.0, 1.0])
    assert one(Cmax("plasma"), value) == 5.0
    assert one(Tmax("plasma"), value) == 1.0
    assert one(Tmax("plasma", start=2.0), value) == 4.0
    assert one(Cmin("plasma", start=1.0, stop=4.0), value) == 2.0


def test_time_above():
    value = np.array([0.0, 4.0, 4.0, 0.0, 2.0])
    assert one(TimeAbove("plasma", threshold=3.0), value) == pytest.approx(0.25 + 1.0 + 0.5)
    assert one(TimeAbove("plasma", threshold=0.0), value) == 8.0  # what only touches the threshold does not leave it
    assert one(TimeAbove("plasma", threshold=4.0), value) == 0.0
    assert one(TimeAbove("plasma", threshold=1.0), value) == pytest.approx(0.75 + 1.0 + 1.5 + 2.0)
    assert one(TimeAbove("plasma", threshold=-1.0, start=1.0, stop=4.0), value) == 3.0


def test_names():
    names = [s.name for s in standard("plasma", above=(10, 0.5))]
    assert names == ["plasma.cmax", "plasma.tmax", "plasma.auc", "plasma.above10", "plasma.above0.5"]
    assert AUC("plasma", start=144, stop=168, log=True).name == "plasma.auclog[144,168]"
    assert Cmin("plasma", start=144).name == "plasma.cmin[144,]"


@pytest.mark.parametrize(
    ("summaries", "said"),
    [
        ((Cmax("plasme"),), "did you mean 'plasma'"),
        ((Cmax("plasma", start=9.0),), "holds 0 of the sampling times"),
        ((AUC("plasma", start=8.0),), "holds 1 of the sampling times"),
        ((AUC("plasma", start=1.5),), "1.5 is no sampling time"),
        ((AUC("plasma", stop=7.0),), "7 is no sampling time"),
        ((Cmax("plasma"), Cmax("pk.plasma")), "two summaries are called pk.plasma.cmax"),
    ],
)
def test_summaries_that_cannot_be(summaries, said):
    outputs = ("pk.plasma",) if "two" in said else ("plasma",)
    with pytest.raises(ValueError, match=said):
        checked(summaries, outputs, TIMES, continuous=False)


def test_summaries_that_cannot_be_in_continuous_time():
    assert len(checked(standard("plasma", above=(1,)), ("plasma",), TIMES, continuous=True)) == 4
    checked((AUC("plasma", start=1.5, stop=1.75),), ("plasma",), TIMES, continuous=True)
    with pytest.raises(ValueError, match="no meaning in continuous time"):
        checked((AUC("plasma", log=True),), ("plasma",), TIMES, continuous=True)
    with pytest.raises(ValueError, match="begins after the last sampling time, 8"):
        checked((Cmax("plasma", start=8.0),), ("plasma",), TIMES, continuous=True)


@pytest.mark.parametrize(
    ("responders", "patients", "lower", "upper"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_interval_of_a_fraction(responders, patients, lower, upper):
    """Table I of Newcombe 1998, method 3; printed to four digits."""
    found = _fraction(responders, patients)
    assert found["lower"] == pytest.approx(lower, abs=5e-5)
    assert found["upper"] == pytest.approx(upper, abs=5e-5)
    assert np.isnan(_fraction(0, 0)["fraction"])
