"""Clones in a dish: the published likelihoods of PhenoPop (Kohn-Luque et al. 2023), and recovery of a known mixture."""

import csv
import json

import jax
import jax.flatten_util
import jax.numpy as jnp
import numpy as np
import pytest
from typer.testing import CliRunner

from twinjax.assays import CloneBounds, Clones, Counts, TwoLevels, find_clones
from twinjax.assays.finding import Likelihood
from twinjax.cli import app
from twinjax.dosing import Regimen
from twinjax.io.counts import read_counts
from twinjax.models import Molar, OneCompartment, TwoClones, coupled
from twinjax.solve.simulate import simulate

IMATINIB = [0, 0.03125, 0.0625, 0.125, 0.25, 0.375, 0.5, 1.25, 2.5, 3.75, 5.0]
BAF3 = CloneBounds(growth=(0.0, 0.1), ec50=(1e-6, 50), hill=(1e-3, 20), share=(0, 0.5), shares=0.9, noise=(1e-6, 2500))
NOISE = {"MM130120": 1e6, "MM1420": 1.5e5, "MM19520": 1.5e5, "MM210819": 5e4}
"""Where the listed noise levels of each patient end: the bounds of those runs."""


def published(folder, table):
    """Name, clones, listed NLL and the listed mixture with its two noise levels."""
    for row in csv.DictReader((folder / table).read_text().splitlines()):
        x = [float(row[f"x{i}"]) for i in range(20) if row.get(f"x{i}")]
        if not float(row["NLL"]):
            continue  # listed as zero: not run
        k = int(row["K"])
        each = [x[5 * i : 5 * i + 4] for i in range(k)]
        share = [x[5 * i + 4] for i in range(k - 1)]
        growth, survival, ec50, hill = jnp.asarray(each).T
        yield (
            row["data"],
            k,
            float(row["NLL"]),
            Clones(jnp.asarray([*share, 1 - sum(share)]), growth, survival, ec50, hill),
            x[-2:],
        )


def experiment(folder, name):
    """Counts, and where the noise is high, of a listed run."""
    if name.startswith("BF"):
        (counts,) = read_counts(folder / f"BaF3/DATA-{name}.csv", times=range(0, 40, 3), concentrations=IMATINIB)
        return counts, TwoLevels(6.0, 14.0)
    patient, drug = name.split("-drug-")
    times = [0, 24, 48, 72] if patient == "MM210819" else None  # four times of five replicates, not five of four
    (counts,) = read_counts(folder / f"MM/DATA-{patient}-{drug}.csv", times=times)
    return counts, TwoLevels()


@pytest.fixture(scope="module")
def folder(shared_data):
    return shared_data / "physiology/phenopop_myeloma"


@pytest.mark.parametrize("table", ["BaF3_inferred_parameters.csv", "MM_inferred_parameters.csv"])
def test_listed_parameters_give_the_listed_likelihood(folder, table):
    """Every row, to the sixteen digits listed less the rounding of two thousand sums."""
    rows = list(published(folder, table))
    assert len(rows) in (9, 32)
    for name, k, nll, clones, noise in rows:
        counts, level = experiment(folder, name)
        found = Likelihood(counts, level, (1e-6, 1e7))(clones, tuple(jnp.asarray(s) for s in noise))
        np.testing.assert_allclose(found, nll, rtol=1e-10, err_msg=f"{name} with {k}")


@pytest.mark.parametrize(("name", "best"), [("BF_11", 2), ("MM1420-drug-1", 2), ("MM210819-drug-2", 1)])
def test_search_reaches_the_listed_maximum(folder, name, best):
    """No worse than the listed optimum by more than 0.01 in the log likelihood: a hundredth of a standard error's
    worth; and BIC counts the clones that were mixed (BF_11 is one to one), or that the listed optima say.
    """
    listed = {k: nll for n, k, nll, *_ in published(folder, "BaF3_inferred_parameters.csv") if n == name}
    listed |= {k: nll for n, k, nll, *_ in published(folder, "MM_inferred_parameters.csv") if n == name}
    counts, level = experiment(folder, name)
    bounds = BAF3 if name == "BF_11" else CloneBounds(ec50=(1e-6, 1e4), noise=(1e-6, NOISE[name.partition("-")[0]]))
    found = find_clones(counts, up_to=2, level=level, bounds=bounds, starts=40)
    for k, fit in enumerate(found.fits, 1):
        assert fit.nll <= listed[k] + 0.01
    assert len(found.best.clones.share) == best
    assert min(found.best.clones.share) > 0.05


TRUE = Clones(*(jnp.asarray(x) for x in ([0.4, 0.6], [0.05, 0.06], [0.9, 0.95], [0.3, 5.0], [2.0, 3.0])))
TIME, DOSES = np.arange(0.0, 73.0, 12.0), np.array([0.0, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6])


def made(seed=0, noise=1.0):
    """Five wells a concentration of a known mixture."""
    rng = np.random.default_rng(seed)
    start = rng.uniform(900, 1100, (1, 5, len(DOSES)))
    grown = np.asarray(TRUE.multiplier(TIME, DOSES))[:, None] * start
    return Counts(np.concatenate([start, grown[1:] + rng.normal(0, noise, grown[1:].shape)]), TIME, DOSES)


def test_a_known_mixture_is_recovered():
    """With a noise of one cell in thousands, to a few hundredths: about three standard errors by simulation."""
    found = find_clones(made(), up_to=2, bounds=CloneBounds(ec50=(1e-3, 100), hill=(0.1, 20)), starts=10)
    assert found.best is found.fits[1]
    for name in ("share", "growth", "survival", "ec50", "hill"):
        np.testing.assert_allclose(getattr(found.best.clones, name), getattr(TRUE, name), rtol=0.03, err_msg=name)
    assert found.best.noise[0] == pytest.approx(1.0, rel=0.2)


def test_gradient_equals_finite_difference_without_drug_too():
    likelihood = Likelihood(made(), TwoLevels(), (1e-6, 1e6))
    flat, back = jax.flatten_util.ravel_pytree(TRUE)
    near = flat * 1.1
    gradient = jax.grad(lambda x: likelihood(back(x)))(near)
    step = 1e-6 * near
    difference = [(likelihood(back(near + d)) - likelihood(back(near - d))) / (2 * d.sum()) for d in jnp.diag(step)]
    np.testing.assert_allclose(gradient, difference, rtol=1e-5, atol=1e-6)  # the rounding of a thousand over 1e-6


def test_gr50_is_halfway():
    rate = TRUE.rate(TRUE.gr50(25.6))  # (clones, clones), the diagonal its own
    ends = TRUE.rate(jnp.asarray([0.0, 25.6]))
    np.testing.assert_allclose(jnp.diagonal(rate), ends.mean(axis=0), rtol=1e-12)


def test_same_seed_same_clones_and_order_by_sensitivity():
    first, again = (find_clones(made(), up_to=2, starts=5, seed=3).fits[1].clones for _ in range(2))
    assert jax.tree.all(jax.tree.map(lambda a, b: bool((a == b).all()), first, again))
    assert first.gr50(25.6)[0] <= first.gr50(25.6)[1]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Counts.stacked(np.ones((7, 3)), [0, 24], [0, 1, 2]), "7 rows cannot be the replicates of 2 times"),
        (lambda: Counts.stacked(np.ones((4, 2)), [0, 24], [0, 1, 2]), "2 columns but 3 concentrations"),
        (lambda: Counts(np.ones((2, 1, 1)), np.array([1.0, 2.0]), np.array([0.0])), "start at 0"),
        (lambda: Counts(np.full((2, 1, 1), np.nan), np.array([0.0, 2.0]), np.array([0.0])), "no well was counted"),
        (lambda: Counts(-np.ones((2, 1, 1)), np.array([0.0, 2.0]), np.array([0.0])), "negative"),
        (lambda: CloneBounds(ec50=(0.0, 1.0)), "give a small value > 0"),
        (lambda: CloneBounds(growth=(0.1, 0.0)), "is not below"),
        (lambda: find_clones(made(), up_to=0), "at least one clone"),
        (lambda: find_clones(made(), up_to=3, bounds=CloneBounds(share=(0.4, 0.5), shares=0.6)), "exceed 0.6"),
    ],
)
def test_misuse_is_refused_in_words(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_the_mixture_becomes_a_patients_tumour():
    """At a constant concentration the tumour grows as the wells did: closed form, to the integrator's tolerance."""
    tumour = TwoClones.from_clones(TRUE, cells=2.0)
    driven = coupled(
        bath=OneCompartment(cl=0.0, v=2.0), tumour=tumour, drives={"tumour.concentration": Molar("bath.plasma", 0.5)}
    )
    solution = simulate(driven, Regimen.dose(3.0, into="bath.central"), jnp.asarray(TIME))
    grown = 2.0 * np.asarray(TRUE.multiplier(TIME, np.array([3.0])))[:, 0]  # 3 mg in 2 L of 0.5 mg/umol: 3 umol/L
    np.testing.assert_allclose(solution.output.tumour.tumour[0, 1:], grown[1:], rtol=1e-5)
    with pytest.raises(ValueError, match="1 clones; this tumour has two"):
        TwoClones.from_clones(jax.tree.map(lambda x: x[:1], TRUE))


def write(folder, counts):
    rows = counts.count.reshape(-1, counts.count.shape[2])
    (folder / "DATA-one.csv").write_text("\n".join(",".join(map(str, r)) for r in rows))
    (folder / "Time.csv").write_text(",".join(map(str, counts.time)))
    (folder / "Conc-one.csv").write_text(",".join(map(str, counts.concentration)))


def test_folder_is_read_and_its_faults_are_named(tmp_path):
    write(tmp_path, made())
    (counts,) = read_counts(tmp_path)
    assert counts.name == "one"
    np.testing.assert_array_equal(counts.count, made().count)
    (tmp_path / "Conc-one.csv").unlink()
    with pytest.raises(FileNotFoundError, match=r"no Conc-one\.csv beside the counts: give the concentrations"):
        read_counts(tmp_path)
    (tmp_path / "DATA-one.csv").write_text("1,2\n3,x")
    with pytest.raises(ValueError, match=r"row 2, column 2: 'x' is not a number"):
        read_counts(tmp_path, concentrations=[0, 1])
    with pytest.raises(FileNotFoundError, match="neither a table of counts nor a folder"):
        read_counts(tmp_path / "nowhere")


def test_command_writes_every_fit(tmp_path):
    write(tmp_path, made())
    out = tmp_path / "clones.csv"
    said = CliRunner().invoke(
        app, ["clones", str(tmp_path), "--up-to", "2", "--starts", "5", "--out", str(out), "--json"]
    )
    assert said.exit_code == 0, said.output
    rows = json.loads(said.stdout)
    assert [(r["clones"], r["clone"]) for r in rows] == [(1, 1), (2, 1), (2, 2)]
    assert len(out.read_text().splitlines()) == 4
    wrong = CliRunner().invoke(app, ["clones", str(tmp_path), "--times", "0;24"])
    assert wrong.exit_code == 2
