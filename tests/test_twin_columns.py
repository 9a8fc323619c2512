"""Many histories as columns are, to the bit, what each makes on its own; what is special is left to the other way."""

import dataclasses

import jax
import numpy as np
import pytest

import twinjax as tj
from twinjax.assimilation.bedside import _one_by_one
from twinjax.assimilation.columns import columns
from twinjax.models import OneCompartmentOral

DRUG = tj.Population(
    OneCompartmentOral(ka=1.5, cl=2.8, v=32.0), variability={"ka": 0.6, "cl": 0.3},
    covariates={"cl": tj.Power("weight", 70.0, 0.75)}, residual=tj.Combined(0.1, 0.1),
)  # fmt: skip


def history(i, *, doses=None, start=0.0, value=None):
    """Of patient `i`: so many measurements, some of one time, some before the doses of theirs, some censored."""
    rng = np.random.default_rng(i)
    given = (
        tj.Regimen.none() if i % 4 == 0 else tj.Regimen.repeat(100, into="depot" if i % 2 else 1, every=12, count=i % 4)
    )
    given = given + (tj.Regimen.infusion(50, over=2.0, into="central", at=12.0) if i == 5 else tj.Regimen.none())
    begun = tj.Twin.of(DRUG, id=str(i), covariates={"weight": 60.0 + i}, doses=doses or given, start=start)
    m = tj.Measurements(
        rng.choice([0.0, 12.0, 24.0, 3.0, 40.0], i), rng.uniform(1, 5, i) if value is None else np.full(i, value),
        (1 if i == 4 else "plasma",) * i, rng.integers(0, 2, i), None, rng.choice([-1.0, np.inf], i),
    )  # fmt: skip
    return begun.history.joined(tj.News(m))[0]


@pytest.mark.parametrize("rows", [8, 16])
def test_columns_are_what_each_makes(rows):
    histories = [history(i, start=-1.0 * (i == 3)) for i in range(7)]
    fast, slow = columns(DRUG, histories, rows, 8), _one_by_one(DRUG, histories, rows)
    assert jax.tree.structure(fast) == jax.tree.structure(slow)
    for a, b in zip(jax.tree.leaves(fast), jax.tree.leaves(slow), strict=True):
        assert (a.dtype, a.shape) == (b.dtype, b.shape)
        np.testing.assert_array_equal(a, b)


def test_what_is_special_is_left_to_the_other_way():
    plain = history(2)
    moved = plain.joined(tj.News(covariates={"weight": 80.0}, at=5.0))[0]
    steady = history(1, doses=tj.Regimen.dose(100, every=12, steady_state=1))
    emptied = history(1, doses=tj.Regimen.dose(100) + tj.Regimen.reset(at=5.0))
    lost = dataclasses.replace(plain, doses=tj.Regimen.dose(1.0, into="liver"))
    for special in (moved, steady, emptied, lost, history(2, value=-1.0)):
        assert columns(DRUG, [plain, special], 8, 8) is None
    with pytest.raises(ValueError, match="there is no compartment"):
        _one_by_one(DRUG, [plain, lost], 8)


def test_a_history_has_arrays_of_its_own():
    time, value = np.array([1.0, 2.0]), np.array([3.0, 4.0])
    known = history(0).joined(tj.News(tj.Measurements.of(time, value)))[0]
    before = known.hash
    time[:], value[:] = 9.0, 9.0
    assert known.hash == before
