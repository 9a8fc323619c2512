"""Subjects in buckets by their numbers of records: the same objective and gradient as in one table, in any order."""

import itertools

import numpy as np
import pytest

import twinjax as tj
from twinjax.estimation import buckets
from twinjax.estimation.engine import Engine
from twinjax.models import OneCompartment


def person(number: int, doses: int, samples: int) -> tj.Subject:
    drawn = np.random.default_rng(number)
    given = tj.Regimen.dose(100.0, every=12.0, additional=doses - 1)
    if doses > 20:  # with a reset of its own
        given = given + tj.Regimen.dose(80.0, at=12.0 * doses + 1.0, reset=True)
    time = drawn.uniform(0.5, 12.0 * doses, samples)  # in no order
    return tj.Subject(str(number), given, tj.Measurements.of(time, drawn.lognormal(1.0, 0.5, samples)))


def objective(people: list[tj.Subject]) -> tuple[list, np.ndarray, np.ndarray, np.ndarray]:
    population = tj.Population(
        OneCompartment(cl=5.0, v=50.0), variability={"cl": 0.3, "v": 0.2}, residual=tj.Proportional(0.4)
    )
    engine = Engine.of(population, tj.TrialData(tuple(people), "uneven"), tj.FO(), {}, tj.Exact())
    found = engine.evaluate(engine.predictor.transform.pack(population.theta))
    return engine._parts, *(np.asarray(x) for x in (found.objective, found.gradient, found.eta))


def test_buckets_give_what_one_table_gives(monkeypatch):
    sizes = [(2, 3)] * 7 + [(40, 25)] + [(2, 3)] * 6
    people = [person(k, *size) for k, size in enumerate(sizes)]
    parts, *whole = objective(people)
    assert len(parts) == 1  # a small trial stays in one table
    monkeypatch.setattr(buckets, "_LARGE", 1)
    parts, *divided = objective(people)
    assert len(parts) == 2
    widths = [d.problem.doses.time.shape[1] + d.observed.there.shape[1] for _, d in parts]
    assert sum(len(own) * w for (own, _), w in zip(parts, widths, strict=True)) < 0.2 * len(people) * 66
    assert all(np.isfinite(values).all() for values in whole)
    for one, other in zip(whole, divided, strict=True):
        # sums of at most 40 doses in another order: rounding, on numbers of order 100
        np.testing.assert_allclose(other, one, rtol=1e-9, atol=1e-9)
    order = np.random.default_rng(0).permutation(len(people))
    _, *shuffled = objective([people[k] for k in order])
    for one, other in zip(divided, shuffled, strict=True):
        np.testing.assert_allclose(other, one[order], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("seed", range(6))
def test_no_division_has_fewer_records(seed):
    drawn = np.random.default_rng(seed)
    size = drawn.choice([1, 2, 5, 9, 30, 80, 200], 40)
    edges, cost = buckets._edges(size)
    assert edges[-1] == size.max()
    least = min(  # every way to place up to three edges below the largest
        sum(np.sum((size > below) & (size <= edge)) * edge for below, edge in itertools.pairwise((0, *cut, size.max())))
        for many in range(4)
        for cut in itertools.combinations(np.unique(size)[:-1], many)
    )
    which = np.searchsorted(edges, size)
    assert cost == least == np.sum(edges[which])
