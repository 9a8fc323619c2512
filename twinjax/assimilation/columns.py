"""Many patients' histories as arrays at once, where nothing about them is out of the ordinary.

What `Bedside.of` makes patient by patient, by way of subjects and trials, takes a millisecond each; in columns it takes
a twentieth of that. It is the same to the bit, or it is None: then whatever is special, or wrong, is left to the other.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from twinjax.assimilation.history import History
from twinjax.dosing import BOLUS, Regimen
from twinjax.estimation.likelihood import Observations
from twinjax.models.base import input_names, output_names, state_names
from twinjax.observation import QUANTIFIED, Errors
from twinjax.population.population import Population
from twinjax.solve.building import build
from twinjax.solve.problem import Doses, Problem

Built = tuple[Problem, Observations, dict[str, Any]]


def columns(population: Population, histories: Sequence[History], rows: int, dose_rows: int) -> Built | None:
    """What to solve, what was observed and covariates, with `rows` of measurements, the first of which is none, and
    `dose_rows` of doses.

    None for covariates that change, occasions, resets, steady states, residuals that are correlated, likelihoods, and
    anything that has to be refused.
    """
    errors = population.errors(population.theta)
    if population.occasions is not None or errors.likelihoods or errors.correlated:
        return None
    if not all(len(h.covariates[n]) == 1 if n in h.covariates else False
               for n in population.covariate_names for h in histories):  # fmt: skip
        return None
    kinds = [k for h in histories for k in h.doses.kinds]
    if any(k.evid != 1 or k.steady_state or k.additional for k in kinds):
        return None
    measured, given = _Ragged.of([len(h.measurements.time) for h in histories]), _Ragged.of(
        [len(h.doses.kinds) for h in histories])  # fmt: skip
    observed = _observed(population, errors, histories, measured, rows)
    compartments = _compartments(population, kinds)
    if observed is None or compartments is None or any(any(np.isfinite(t) for c in h.covariates.values() for t, _ in c)
                                                       for h in histories):  # fmt: skip
        return None
    m_time = measured.flat([h.measurements.time for h in histories])
    d_time = given.flat([np.asarray(h.doses.time) for h in histories])
    before = measured.flat([h.measurements.order for h in histories]) < 0
    # records in the order of time; at one time measurements before doses, doses, measurements after them
    time = np.concatenate([m_time, d_time])
    rank = np.concatenate([np.where(before, 0, 3), np.full(len(d_time), 2)])
    who = np.concatenate([measured.who, given.who])
    by = np.lexsort((np.concatenate([measured.column, measured.lengths[given.who] + given.column]), rank, time, who))
    place = np.empty(len(by))
    begins = np.cumsum(measured.lengths + given.lengths) - measured.lengths - given.lengths
    place[by] = np.arange(len(by)) - begins[who[by]]
    start = np.asarray([h.start for h in histories])
    last = np.asarray([h.measurements.time[-1] if len(h.measurements.time) else h.start for h in histories])
    sample = measured.padded(m_time, rows, last, shift=1)
    order = measured.padded(place[: len(m_time)], rows, np.full(len(histories), np.inf), shift=1)
    sample[:, 0], order[:, 0] = start, -1.0
    problem = build(population.model, Regimen.none(), sample, order=order)
    zero = np.zeros(len(histories))

    def dosed(flat: Any, kind: Any = float) -> Any:
        return jnp.asarray(given.padded(np.asarray(flat, kind), dose_rows, zero.astype(kind)))

    amount, rate = (given.flat([np.asarray(getattr(h.doses, n)) for h in histories]) for n in ("amount", "rate"))
    flag = np.ones(len(kinds), bool)
    doses = Doses(
        time=dosed(d_time), record=dosed(d_time), amount=dosed(amount), rate=dosed(rate),
        compartment=dosed(compartments, int), mode=dosed([k.mode for k in kinds], int),
        order=dosed(place[len(m_time) :]), additional=dosed(~flag, bool), segment=dosed(np.zeros(len(kinds)), int),
        given=dosed(flag, bool),
    )  # fmt: skip
    problem = dataclasses.replace(problem, doses=doses, infusions=any(k.mode != BOLUS for k in kinds))
    covariates = {n: jnp.asarray([[h.covariates[n][0][1]] for h in histories], float)
                  for n in population.covariate_names}  # fmt: skip
    return problem, observed, covariates


@dataclasses.dataclass(frozen=True)
class _Ragged:
    """Rows of different lengths, one of each patient, one after another: whose each is, and which of theirs."""

    lengths: np.ndarray
    who: np.ndarray
    column: np.ndarray

    @staticmethod
    def of(lengths: Sequence[int]) -> _Ragged:
        own = np.asarray(lengths, int)
        who = np.repeat(np.arange(len(own)), own)
        return _Ragged(own, who, np.arange(len(who)) - (np.cumsum(own) - own)[who])

    def flat(self, parts: Sequence[np.ndarray]) -> np.ndarray:
        return np.concatenate([np.zeros(0), *parts])

    def padded(self, flat: np.ndarray, rows: int, fill: np.ndarray, shift: int = 0) -> np.ndarray:
        """`(patients, rows)`, the first of each patient in column `shift`, and `fill` where there is nothing."""
        out = np.repeat(fill[:, None], rows, axis=1).astype(flat.dtype)
        out[self.who, self.column + shift] = flat
        return out


def _observed(
    population: Population, errors: Errors, histories: Sequence[History], measured: _Ragged, rows: int
) -> Observations | None:
    """Measurements; None where there may be something to refuse."""
    outputs = output_names(population.model)
    numbers = {o: i for i, o in enumerate(outputs)} | {i + 1: i for i in range(len(outputs))}
    said = [numbers.get(o, -1) for h in histories for o in h.measurements.output]
    index = np.asarray(said, int)
    used = set(said)
    if -1 in used or not {outputs[i] for i in used} <= set(errors.residuals) or not errors.residuals:
        return None
    value = measured.flat([h.measurements.value for h in histories])
    censored = measured.flat([h.measurements.censored for h in histories]).astype(int)
    if np.any(value <= 0) and used:  # some residual errors have none of these
        return None
    limit = measured.flat([h.measurements.limit for h in histories])
    many, first = len(histories), outputs.index(next(n for n in errors.residuals if n not in errors.correlated))

    def column(flat: np.ndarray, fill: float) -> Any:
        return measured.padded(flat, rows, np.full(many, fill, flat.dtype), shift=1)

    arrays = {
        "value": column(value, 1.0), "output": column(index, first), "censored": column(censored, 0),
        "limit": column(limit, -np.inf), "there": column(np.ones(len(value), bool), 0),
    }  # fmt: skip
    return Observations(
        **{n: jnp.asarray(a) for n, a in arrays.items()}, censoring=bool(np.any(censored != QUANTIFIED))
    )


def _compartments(population: Population, kinds: Sequence[Any]) -> list[int] | None:
    """The state that each dose enters; None where one may have to be refused."""
    states = state_names(population.model)
    dosable = set(input_names(population.model))
    known: dict[Any, int] = {}
    for into in {k.into for k in kinds}:
        name = states[into - 1] if isinstance(into, int) and 1 <= into <= len(states) else into
        if name not in states or name not in dosable:
            return None
        known[into] = states.index(name)
    return [known[k.into] for k in kinds]
