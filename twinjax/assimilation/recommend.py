"""`recommend` and `compare_therapies`: which doses reach the goals of this patient, and how probably."""

from __future__ import annotations

import dataclasses
import itertools
import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
import pandas as pd

from twinjax.assimilation.aims import Aims, optimum
from twinjax.assimilation.bedside import bucket, posed
from twinjax.assimilation.comparable import uneven
from twinjax.assimilation.forecast import altered, trajectories
from twinjax.assimilation.goals import Goal
from twinjax.assimilation.history import History
from twinjax.assimilation.prescription import Constraints, Schedule
from twinjax.assimilation.states.belief import StateBelief
from twinjax.assimilation.twin import Twin, random_key
from twinjax.dosing import Regimen
from twinjax.models.base import state_names
from twinjax.naming import resolve


@dataclasses.dataclass(frozen=True)
class Candidate:
    """One way to treat the patient, and what is to be expected of it.

    **Parameters**: `name`; `regimen`; `amounts` (those of the first doses if they differ, then that of every other) and
    `schedule`, None for a therapy that was given as a regimen; `tablets` of the last amount, by strength; `probability`
    that every goal is met, `toxicity` that any harm is done, `both` that goals are met without harm; `quantities`, of
    every goal (5 %, 50 %, 95 %) of what is believed, by its place among goals and then harms.
    """

    name: str
    regimen: Regimen
    probability: float
    toxicity: float
    both: float
    quantities: tuple[tuple[float, float, float], ...]
    amounts: tuple[float, ...] = ()
    schedule: Schedule | None = None
    tablets: Mapping[float, int] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Recommendation:
    """Candidates, the best first: those whose toxicity is within the risk that was accepted, by the probability that
    goals are met without harm; equal ones by the smaller amount.

    **Parameters**: `candidates`; `risk`, the largest probability of harm that was accepted.
    """

    candidates: tuple[Candidate, ...]
    risk: float

    @property
    def best(self) -> Candidate:
        """The first."""
        return self.candidates[0]

    @property
    def acceptable(self) -> bool:
        """Whether the best is within the risk."""
        return self.best.toxicity <= self.risk

    @property
    def table(self) -> pd.DataFrame:
        """A row for each candidate, the best first."""
        rows = []
        for c in self.candidates:
            row: dict[str, Any] = {"name": c.name, "target": c.probability, "toxicity": c.toxicity, "both": c.both}
            for k, (low, middle, high) in enumerate(c.quantities):
                row |= {f"quantity{k + 1}": middle, f"quantity{k + 1}_lower": low, f"quantity{k + 1}_upper": high}
            rows.append(row)
        return pd.DataFrame(rows)


Goals = Goal | Sequence[Goal] | Callable[[Schedule], Goal | Sequence[Goal]]


def recommend(
    twin: Twin,
    goals: Goals,
    constraints: Constraints,
    *,
    toxicity: Goals = (),
    risk: float = 0.1,
    draws: int = 300,
    keep: int = 10,
) -> Recommendation:
    """Doses for this patient.

    For every schedule the amounts are found by Gauss-Newton steps on exact derivatives of the solution in the doses:
    they minimise the expected squared distance of the goals' quantities from their aims (in logarithms where these are
    positive) and of harms beyond their limits, over draws of what is believed. The amounts that can be given next to
    the optimum are then tried one by one; where each does more harm than is accepted, smaller ones too.

    Schedules are compared by the same hours where goals are given as they are. Beware of several intervals then: a
    window that is shorter than one of them, or reaches past the dose that would follow a schedule's last, favours some
    schedules for what it does not see, and a warning says so. Give a function of the `Schedule` instead, as
    ``lambda s: Goal(Average("plasma", s.times[-1], s.times[-1] + s.every), 8, 12)``: each is then sought and judged by
    goals of its own.

    **Parameters**: `goals`, what is to be reached; `toxicity`, what is to stay within its range, harm being beyond it;
    each one or several, or a function that makes them of a schedule; `constraints`; `risk`, the probability of harm
    that is accepted; `draws`; `keep`, how many candidates to return.
    **Raises** `ValueError` for goals beyond what can be foreseen, or constraints that nothing fulfils.
    """
    schedules = constraints.schedules
    if callable(goals) or callable(toxicity):
        return _each(twin, schedules, goals, constraints, toxicity, risk, draws, keep)
    wanted, harms = _many(goals), _many(toxicity)
    if not wanted:
        raise ValueError("goals says what is to be reached: one Goal at least")
    if (why := uneven(wanted + harms, schedules)) is not None:
        warnings.warn(
            f"schedules are not compared alike: {why}; give goals as a function of the schedule", stacklevel=2
        )
    aims, times = Aims.of(twin.population, wanted, harms)
    variables = 2 if constraints.loading else 1
    unit = (1.0,) * variables
    regimens = [s.regimen(unit, constraints.into, constraints.over) for s in schedules]
    cut = _cut(twin, constraints)
    histories = [altered(twin, r, cut) for r in regimens]
    problem, covariates = posed(twin.population, histories, np.broadcast_to(times, (len(regimens), len(times))))
    room = problem.doses.given.shape[1]
    rows = np.stack([_rows(h, len(r), variables, room) for h, r in zip(histories, regimens, strict=True)])
    eta = _drawn(twin, draws)
    before = _before(twin, constraints)
    known = constraints.amounts
    begin = float(np.median(known)) if known is not None else _middle(constraints)
    low = max(constraints.lower, 1e-3 * begin)
    high = constraints.upper if math.isfinite(constraints.upper) else 1e6 * begin
    start = jnp.full((len(schedules), variables), math.log(begin))
    ends = jnp.log(jnp.asarray([low, high]))
    found = optimum(twin.population, twin.backend, problem, covariates, eta, aims, jnp.asarray(rows), start,
                     ends)  # fmt: skip
    tried: list[tuple[Schedule, tuple[float, ...]]] = []
    for s, best in zip(schedules, np.exp(np.asarray(found)), strict=True):
        choices = [constraints.near(float(max(x, best[-1]))) for x in best]  # a first dose may be larger, not smaller
        tried += [(s, c) for c in itertools.product(*choices) if constraints.allowed(s, c, before)]
        if not any(t is s for t, _ in tried):  # the daily amount is less than the optimum
            most = constraints.most_of(s, before)
            fine = [most] if known is None else [float(a) for a in known if a <= most * (1 + 1e-9)]
            tried += [(s, (fine[-1],) * variables)] if fine and fine[-1] >= max(constraints.lower, 1e-12) else []
    if not tried:
        raise ValueError("no amount is within the daily limit; raise it, or allow smaller tablets or longer intervals")

    def judged(tried: Sequence[tuple[Schedule, tuple[float, ...]]]) -> list[Candidate]:
        regimens, made = [s.regimen(c, constraints.into, constraints.over) for s, c in tried], []
        found = _judged(twin, [altered(twin, r, cut) for r in regimens], wanted, harms, eta)
        for (s, c), r, (p, harm, both, quantities) in zip(tried, regimens, found, strict=True):
            name = " then ".join(f"{a:g}" for a in dict.fromkeys(c)) + f" every {s.every:g} from {s.start:g}"
            made.append(Candidate(name, r, p, harm, both, quantities, c, s, constraints.tablets_of(c[-1])))
        return made

    made = judged(tried)
    if not any(c.toxicity <= risk for c in made):  # aims within reach, but not without more harm than is accepted
        least = {s: min(c[-1] for t, c in tried if t is s) for s, _ in tried}
        smaller = [(s, (a,) * variables) for s, amount in least.items() for a in constraints.below(amount)]
        made += judged(smaller) if smaller else []
    return ranked(made, risk, keep)


def _each(
    twin: Twin, schedules: Sequence[Schedule], goals: Goals, constraints: Constraints, toxicity: Goals, risk: float,
    draws: int, keep: int,
) -> Recommendation:  # fmt: skip
    """Every schedule by goals of its own. **Raises** `ValueError` where none has a dose that is allowed."""
    made, refused = [], None
    for s in schedules:
        own, harms = (g(s) if callable(g) else g for g in (goals, toxicity))
        limits = dataclasses.replace(constraints, every=(s.every,))
        try:
            found = recommend(twin, own, limits, toxicity=harms, risk=risk, draws=draws, keep=keep)
        except ValueError as error:
            refused = refused or error
        else:
            made += found.candidates
    if not made and refused is not None:
        raise refused
    return ranked(made, risk, keep)


def compare_therapies(
    twin: Twin,
    therapies: Mapping[str, Regimen | tuple[Twin, Regimen]],
    goals: Goal | Sequence[Goal],
    *,
    toxicity: Goal | Sequence[Goal] = (),
    after: float | None = None,
    risk: float = 0.1,
    draws: int = 500,
) -> Recommendation:
    """Therapies ranked for this patient by the same goals.

    **Parameters**: `therapies`, by name a regimen, or one with the twin that it is given to, where it acts by another
    model (a twin of the same patient whose outputs have the same names); `after`, from when on what was planned is left
    out; the rest as in `recommend`.
    """
    if not therapies:
        raise ValueError("therapies names what is to be compared: one regimen at least")
    wanted, harms, made = _many(goals), _many(toxicity), []
    for name, given in therapies.items():
        own, regimen = (twin, given) if isinstance(given, Regimen) else given
        eta = _drawn(own, draws)
        p, harm, both, quantities = _judged(own, [altered(own, regimen, after)], wanted, harms, eta)[0]
        made.append(Candidate(name, regimen, p, harm, both, quantities))
    return ranked(made, risk, len(made))


def _drawn(twin: Twin, draws: int) -> Any:
    """Random effects that are believed `(draws, etas)`.

    **Raises** `ValueError` for a filter of states, whose belief is not of random effects alone.
    """
    if isinstance(twin.belief, StateBelief):
        raise ValueError(f"{twin.method.name} believes in states too, and doses are weighed from the beginning on; "
                         "look ahead by what_if, or take a twin of MAP() or ParticleFilter()")  # fmt: skip
    return twin.belief.draw(random_key(twin.seed, len(twin.trail), "recommend"), draws)[0]


def _judged(
    twin: Twin, histories: Sequence[History], goals: tuple[Goal, ...], harms: tuple[Goal, ...], eta: Any
) -> list[tuple[float, float, float, tuple[tuple[float, float, float], ...]]]:
    """Of every history the probabilities and quantiles of a `Candidate`."""
    (aims, times), room = Aims.of(twin.population, goals, harms), bucket(len(histories), 1)
    padded = [*histories, *[histories[-1]] * (room - len(histories))]
    problem, covariates = posed(twin.population, padded, np.broadcast_to(times, (room, len(times))))
    outputs, code = trajectories(twin.population, twin.backend, problem, covariates, eta)
    quantities = [np.asarray(q) for q in aims.values(outputs)]
    solved, made = np.asarray(code) == 0, []
    for i in range(len(histories)):
        fine = solved[i]
        if not fine.any():
            made.append((math.nan, math.nan, math.nan, ((math.nan,) * 3,) * len(quantities)))
            continue
        own = [q[i][fine] for q in quantities]
        met = np.all([g.met(q) for g, q in zip(goals, own, strict=False)], axis=0)
        harm = np.any([~h.met(q) for h, q in zip(harms, own[len(goals) :], strict=True)] or [met & False], axis=0)
        bands = tuple(tuple(float(x) for x in np.quantile(q, [0.05, 0.5, 0.95])) for q in own)
        made.append((float(met.mean()), float(harm.mean()), float((met & ~harm).mean()), bands))
    return made


def ranked(made: Sequence[Candidate], risk: float, keep: int) -> Recommendation:
    """The best so many: those within the accepted risk first, then by the probability of all goals without harm."""

    def merit(c: Candidate) -> tuple[bool, float, float]:
        both = c.both if math.isfinite(c.both) else -1.0
        return not c.toxicity <= risk, -both, float(np.sum(np.asarray(c.regimen.amount)))

    return Recommendation(tuple(sorted(made, key=merit)[:keep]), risk)


def _cut(twin: Twin, constraints: Constraints) -> float:
    """From when on what was planned is left out; a dose on record at the latest measurement stays."""
    return float(np.nextafter(twin.now, np.inf)) if constraints.start == twin.now else constraints.start


def _rows(history: History, new: int, variables: int, room: int) -> np.ndarray:
    """Which variable scales each dose row, -1 for none: the last for every new dose (the last `new` of the history),
    those before for the first.
    """
    found = np.full(room, -1)
    for k, row in enumerate(range(len(history.doses) - new, len(history.doses))):
        found[row] = min(k, variables - 1)
    return found


def _before(twin: Twin, constraints: Constraints) -> list[tuple[float, float]]:
    """Doses of the same kind in the day before, which count to the daily amount."""
    doses, start, states = twin.history.doses, constraints.start, state_names(twin.population.model)
    cut = _cut(twin, constraints)

    def state(into: str | int) -> str:
        return states[into - 1] if isinstance(into, int) else resolve(into, states)

    each, own = zip(np.asarray(doses.time), np.asarray(doses.amount), doses.kinds, strict=True), state(constraints.into)
    return [(float(t), float(a)) for t, a, k in each if start - 24.0 < t < cut and state(k.into) == own]


def _middle(constraints: Constraints) -> float:
    if math.isfinite(constraints.upper):
        return math.sqrt(max(constraints.lower, 1e-3 * constraints.upper) * constraints.upper)
    return max(constraints.lower, 1.0)


def _many(goals: Goal | Sequence[Goal]) -> tuple[Goal, ...]:
    return (goals,) if isinstance(goals, Goal) else tuple(goals)
