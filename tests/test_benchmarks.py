"""The ensembles of benchmarks/ensemble: one thing, said three ways, and a run of the script itself."""

import json
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

from twinjax.models import check_units
from twinjax.models.base import no_input

FOLDER = Path(__file__).parents[1] / "benchmarks" / "ensemble"
sys.path.insert(0, str(FOLDER))
from by_nvqsp import polynomial
from measure import error, save
from models import MODELS, Row
from plan import Choice
from problems import CASES
from reference import gradient, walk


@pytest.mark.parametrize("name", MODELS)
def test_model_says_what_the_text_says(name):
    """Every rate at a random state, and the start: the same arithmetic in another order, so to rounding."""
    case, model = CASES[name], MODELS[name][0]
    p = case.parameters(3, seed=5)[1]
    y = np.random.default_rng(6).uniform(0.1, 5.0, len(case.start))
    one = model(**dict(zip(case.equations.parameters, p, strict=True)))
    check_units(one)
    rates = jax.tree.leaves(one.derivative(0.0, model.State(*y), no_input(one)))
    expected = case.equations.function()(0.0, tuple(y), tuple(p))
    np.testing.assert_allclose(rates, expected, rtol=1e-12)
    np.testing.assert_array_equal(jax.tree.leaves(one.initial()), case.start)
    derived = case.equations.with_derived(p[None])[0]
    np.testing.assert_allclose(
        case.equations.function(derive=False)(0.0, tuple(y), tuple(derived)), expected, rtol=1e-12
    )


def test_bodies_in_a_row_close_in_units():
    assert len(check_units(Row.typical(2))) == 16


@pytest.mark.parametrize("name", ["P1", "P3", "lorenz"])
def test_polynomial_is_the_rates(name):
    """What nvQSP is given. 1e-9: coefficients come as differences of rates, which cancel."""
    case = CASES[name]
    p, y = case.parameters(4, seed=7), np.random.default_rng(8).uniform(0.1, 5.0, len(case.start))
    constant, linear, bilinear = polynomial(case, p)
    rates = constant + linear @ y + np.einsum("pijk,j,k->pi", bilinear, y, y)
    expected = np.stack([np.broadcast_to(r, 4) for r in case.equations.function()(0.0, tuple(y), tuple(p.T))], axis=1)
    np.testing.assert_allclose(rates, expected, rtol=1e-9, atol=1e-9)


def test_reference_gradient_is_that_of_the_reference():
    """Against central differences: their own error is about 1e-7 with a step of 1e-4."""
    case = CASES["P1"]
    p, typical = case.parameters(1, seed=9)[0], np.array(case.typical)

    def output(p):
        rates = case.equations.function()
        return case.output(
            walk(case, p, case.start, lambda t, y: np.array(rates(t, tuple(y), tuple(p))))[None], p[None]
        )[0]

    observed = output(typical)
    steps = np.diag(1e-4 * p)
    differences = [(sum((output(p + h) - observed) ** 2) - sum((output(p - h) - observed) ** 2)) / 2e-4 for h in steps]
    np.testing.assert_allclose(gradient(case, p, observed) * p, differences, rtol=1e-5, atol=1e-6)


def test_error_is_relative_to_each_patients_peak(tmp_path):
    choice = Choice(("P1",), (), (0,), True, (), 1.0, tmp_path)
    exact = np.array([[0.0, 2.0, 1.0], [0.0, 4.0, 8.0]])
    save(choice.reference("P1"), parameters=np.ones((2, 5)), output=exact)
    task = next(choice.tasks())
    assert error(task, exact + [[0.0, 0.0, 0.5], [0.4, 0.0, 0.0]]) == pytest.approx(0.25)


def test_the_script_runs_and_resumes(tmp_path):
    """Lorenz's ensemble in single precision, by the kernel alone; a second run measures nothing again."""
    out = tmp_path / "lines.jsonl"
    command = [sys.executable, str(FOLDER), "--quick", "--only", "lorenz", "--peers", "scipy", "--cores", "0"]
    command += ["--out", str(out), "--references", str(tmp_path)]
    subprocess.run(command, check=True, capture_output=True, text=True)
    first, second = (json.loads(line) for line in out.read_text().splitlines())
    assert "failed" not in first
    assert (first["engine"], first["precision"], first["patients"]) == ("twinjax.Fused", "float32", 256)
    assert first["error"] < 1e-4  # the steps of a solve at 1e-8 in a precision of 6e-8 add up
    assert first["patients_per_s"] > 0
    assert set(first["compile_from_disk_s"]) >= {"trace", "lower", "xla", "kernel"}
    assert second["compared"] == "lorenz"
    subprocess.run(command, check=True, capture_output=True, text=True)
    assert len(out.read_text().splitlines()) == 3
