"""Hill curves against the FDA's estimates and its Markov chains; dynamic binding recovered from its own recordings."""

import csv
import gzip

import numpy as np
import pytest

from twinjax.electrophysiology.hill import fit_hill
from twinjax.electrophysiology.milnes import MilnesProtocol, Recordings, _predicted, fit_binding, fractional_current
from twinjax.models.heart.herg import Binding

CURRENTS = ("ICaL", "IK1", "IKs", "INa", "INaL", "Ito", "hERG")
QUANTILES = (0.025, 0.25, 0.5, 0.75, 0.975)


def rows(path):
    data = path.read_bytes()
    return list(csv.DictReader((gzip.decompress(data) if path.suffix == ".gz" else data).decode().splitlines()))


@pytest.fixture(scope="module")
def bench(shared_data):
    folder = shared_data / "physiology/heart_cipa"
    measured = {}
    for r in rows(folder / "hill_block_training12/drug_block.csv"):
        if r["block"] != "NA":
            measured.setdefault((r["drug"], r["channel"]), []).append((float(r["conc"]), float(r["block"])))
    return folder, measured


@pytest.mark.parametrize("drug", ["quinidine", "dofetilide", "verapamil"])
def test_hill_curves_are_those_of_the_fda(bench, drug):
    """Estimates to the table's four digits, draws over those of the FDA's Markov chains."""
    folder, measured = bench
    table = next(r for r in rows(folder / "hill_IC50_12training_v1_2017.csv") if r["drug"] == drug)
    samples = rows(folder / f"hill_block_training12/{drug}_IC50_samples.csv.gz")
    determined = 0
    for current in CURRENTS:
        if table[f"{current}_IC50"] == "NA":
            continue
        found = fit_hill(*zip(*measured[drug, current], strict=True))
        # four digits of the table, and a little for where the FDA's search stopped
        assert found.ic50 == pytest.approx(float(table[f"{current}_IC50"]), rel=1e-3)
        assert found.h == pytest.approx(float(table[f"{current}_h"]), rel=1e-3)
        if not found.determined:
            continue
        determined += 1
        theirs = np.array([[np.log10(float(s[f"{current}_IC50"])), float(s[f"{current}_h"])] for s in samples])
        ours = np.stack([np.log10(found.samples[:, 0]), found.samples[:, 1]], axis=1)
        spread = np.ptp(np.quantile(theirs, (0.16, 0.84), axis=0), axis=0) / 2
        off = np.abs(np.quantile(ours, QUANTILES, axis=0) - np.quantile(theirs, QUANTILES, axis=0)) / spread
        # 2,000 draws know a quartile to 0.03 sd and a 2.5 % point to 0.07 sd; theirs are correlated, and both err
        assert np.all(off[1:4] < 0.15), (current, off)
        assert np.all(off[[0, 4]] < 0.6), (current, off)
    assert determined >= 1


def test_a_curve_that_the_data_do_not_determine_says_so(bench):
    """Dofetilide does not touch I_NaL: any half-maximal concentration will do."""
    _, measured = bench
    assert not fit_hill(*zip(*measured["dofetilide", "INaL"], strict=True)).determined
    assert fit_hill(*zip(*measured["dofetilide", "hERG"], strict=True)).determined


def test_hill_says_what_it_needs():
    with pytest.raises(ValueError, match="2 measurements at 2 concentrations"):
        fit_hill([1.0, 10.0], [5.0, 50.0])
    with pytest.raises(ValueError, match="-1 nM"):
        fit_hill([1.0, 10.0, -1.0, 3.0], [5.0, 50.0, 0.0, 4.0])


TABLED = {
    "dofetilide": ((35.1, 1.816e-05, 1.08, 216.6, -1.0), (1.0, 3.0, 10.0, 30.0)),
    "bepridil": ((5594000.0, 0.0001719, 0.9374, 147200000.0, -61.34), (10.0, 30.0, 100.0, 300.0)),
}
"""hERG_fitting/results of github.com/FDA/CiPA, v1.0, and four concentrations about its half-maximal block (nM)."""
PROTOCOL = MilnesProtocol(samples=5)


def test_binding_is_recovered():
    """All five parameters, from exact recordings at four concentrations about the half-maximal one."""
    table, levels = TABLED["dofetilide"]
    truth, levels = Binding.tabled(*table), np.array(levels)
    exact = np.asarray(fractional_current(truth, levels, PROTOCOL))
    found = fit_binding(Recordings(levels, exact), PROTOCOL).binding
    for name in ("ku", "n", "vhalf", "kmax", "ec50"):
        # the search's own tolerance, in a flat valley
        assert float(getattr(found, name)) == pytest.approx(getattr(truth, name), rel=1e-3), name


def test_resampled_cells_hold_the_truth():
    """Eight noisy cells a concentration: ten draws lie on both sides of the truth, and not far from it."""
    table, levels = TABLED["bepridil"]
    truth, levels = Binding.tabled(*table), np.array(levels)
    exact = np.repeat(np.asarray(fractional_current(truth, levels, PROTOCOL)), 8, axis=0)
    rng = np.random.default_rng(1)
    noisy = exact + 0.03 * rng.standard_normal((32, 1, 1)) + 0.02 * rng.standard_normal(exact.shape)
    found = fit_binding(Recordings(np.repeat(levels, 8), noisy), PROTOCOL, draws=10)
    assert len(found.samples.ku) + found.failed == 10
    assert found.failed <= 1
    for name in ("ku", "n"):
        draws = np.asarray(getattr(found.samples, name))
        assert draws.min() < getattr(truth, name) < draws.max(), draws
        assert np.std(draws) < 0.5 * getattr(truth, name)


def test_slopes_of_recordings():
    """In every parameter, of every current, against central differences."""
    levels = np.array(TABLED["dofetilide"][1])
    x = np.array([1.5, -4.7, 1.08, 2.3, -20.0])
    slopes = np.asarray(_predicted(x, levels, PROTOCOL)[1])
    for i in range(5):
        h = 1e-4 * np.eye(5)[i]
        up, down = (np.asarray(_predicted(x + s * h, levels, PROTOCOL)[0]) for s in (1, -1))
        # currents are good to 1e-10, over a step of 1e-4
        np.testing.assert_allclose(slopes[..., i], (up - down) / 2e-4, rtol=1e-4, atol=1e-6)


def test_recordings_have_the_protocols_shape():
    with pytest.raises(ValueError, match=r"10 sweeps of 20 samples"):
        fit_binding(Recordings(np.ones(3), np.ones((3, 4, 5))))
    with pytest.raises(ValueError, match="under 0 nM"):
        fit_binding(Recordings(np.zeros(3), np.ones((3, 10, 20))))
