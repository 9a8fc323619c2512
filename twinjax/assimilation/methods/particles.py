"""A particle filter over a patient's random effects: reweighted by every new measurement, resampled and moved."""

from __future__ import annotations

from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.scipy.special import logsumexp

from twinjax.assimilation.bedside import Bedside
from twinjax.assimilation.belief import Particles, effective, systematic
from twinjax.assimilation.methods.base import (
    LEARNT,
    UNEXPLAINED,
    UNFINISHED,
    UNSOLVED,
    AbstractAssimilation,
    Learnt,
)
from twinjax.estimation.joint import data_given
from twinjax.estimation.likelihood import terms
from twinjax.estimation.prediction import Design
from twinjax.estimation.small import cholesky, inverse
from twinjax.models.base import output_names
from twinjax.population.population import Population
from twinjax.solve.compiling import compiled

_BISECTIONS = 40
_SMALLEST = -80.0
"""Logarithm of the smallest share of the news that is brought in by a step."""


class ParticleFilter(AbstractAssimilation):
    """Iterated batch importance sampling: particles are random effects, weighted by the likelihood of what is new.

    Where that leaves too few of them, it is brought in by steps (tempering), after each of which particles are
    resampled and moved by Metropolis steps that keep the posterior of all data so far. Neither linear nor normal, and
    exact as particles grow in number. The order in which data come changes only the random numbers.

    A measurement of zero probability by every particle (none is solved, or its density is less than the smallest
    number), and news that `max_steps` do not bring in, are left out: the belief is that given all others, the update
    does not count as settled, and the trail's entry says under `left` which and why. They are tried again with the next
    news, until they are learnt.

    **Parameters**: `particles`; `enough`, share of them below which the effective sample size does not fall between
    resamplings; `moves`, Metropolis steps after each; `max_steps` of tempering in one update.
    **Reference**: Chopin 2002, Biometrika 89:539, doi:10.1093/biomet/89.3.539; resample-move: Gilks & Berzuini 2001,
    J R Stat Soc B 63:127, doi:10.1111/1467-9868.00280; tempering: Del Moral, Doucet & Jasra 2006, J R Stat Soc B
    68:411, doi:10.1111/j.1467-9868.2006.00553.x.
    """

    particles: int = eqx.field(static=True, default=1000)
    enough: float = eqx.field(static=True, default=0.5)
    moves: int = eqx.field(static=True, default=8)
    max_steps: int = eqx.field(static=True, default=40)
    tries_again: ClassVar[frozenset[int]] = frozenset({UNEXPLAINED, UNSOLVED, UNFINISHED})

    def __post_init__(self) -> None:
        if self.particles < 10 or not 0.0 < self.enough < 1.0 or self.moves < 1:
            raise ValueError("a particle filter has 10 particles at least, `enough` between 0 and 1, and one move or "
                             f"more; not {self.particles}, {self.enough} and {self.moves}")  # fmt: skip

    def prior(self, population: Population, patients: int, key: Any) -> Particles:
        """Particles drawn from Omega."""
        return Particles.prior(population, patients, self.particles, key)

    def learn(self, bedside, belief, key):
        """Reweighted, and where needed resampled and moved."""
        assert isinstance(belief, Particles)
        found, acceptance, left = _learn(self, bedside, belief, key)
        settled = jnp.all(jnp.isfinite(found.mean), axis=1)
        return Learnt(found, settled, found.effective, acceptance, left=left)


class _Step(eqx.Module):
    eta: Any
    log_weight: Any
    old: Any
    new: Any
    reached: Any
    accepted: Any
    tried: Any
    key: Any
    steps: Any


@compiled
def _learn(method: ParticleFilter, bedside: Bedside, belief: Particles, key: Any) -> tuple[Particles, Any, Any]:
    patients, many, etas = belief.eta.shape
    people = bedside.times(many)
    before = people.seen(~people.fresh)
    p = bedside.population
    omega = p.omega(people.predictor.transform.unpack(bedside.x, p.theta))
    precision = inverse(omega)

    def every(eta: Any) -> Any:
        return eta.reshape(patients * many, etas)

    def solved(eta: Any) -> tuple[Any, Any]:
        z = people.predictor.every(bedside.x, every(eta), people.design)
        return people.predictor.solve(z, bedside.x, people.design)

    def weighed(eta: Any, f: Any, code: Any) -> tuple[Any, Any]:
        """Log likelihood of what was known and of what is to be learnt, `(patients, particles)` each."""
        whole = data_given(people.predictor, after, bedside.x, f, every(eta))
        known = data_given(people.predictor, before, bedside.x, f, every(eta))
        bad = (code != 0) | ~jnp.isfinite(whole) | ~jnp.isfinite(known)
        old, all_ = (jnp.where(bad, -jnp.inf, -0.5 * v).reshape(patients, many) for v in (known, whole))
        return old, jnp.where(jnp.isfinite(all_), all_ - jnp.where(jnp.isfinite(old), old, 0.0), -jnp.inf)

    def likelihood(eta: Any) -> tuple[Any, Any]:
        return weighed(eta, *solved(eta))

    def prior(eta: Any) -> Any:
        return -0.5 * jnp.einsum("pni,ij,pnj->pn", eta, precision, eta)

    def left(s: _Step, share: Any) -> Any:
        """How many particles would count after so large a share of the news, `(patients,)`."""
        return effective(s.log_weight + share[:, None] * s.new)

    def share(s: _Step) -> Any:
        """The largest part of what is left to learn that leaves enough particles."""
        rest = 1.0 - s.reached

        def halve(_: int, ends: tuple[Any, Any]) -> tuple[Any, Any]:
            low, high = ends
            middle = 0.5 * (low + high)
            fine = left(s, jnp.exp(middle)) >= method.enough * many
            return jnp.where(fine, middle, low), jnp.where(fine, high, middle)

        begin = (jnp.full(patients, _SMALLEST), jnp.log(jnp.maximum(rest, jnp.exp(_SMALLEST))))
        low, _ = jax.lax.fori_loop(0, _BISECTIONS, halve, begin)
        whole = left(s, rest) >= method.enough * many
        return jnp.where(whole, rest, jnp.exp(low))

    def moved(eta: Any, old: Any, new: Any, reached: Any, live: Any, key: Any) -> tuple[Any, ...]:
        """Metropolis steps of the patients that are `live`, about the particles' own covariance."""
        center = jnp.mean(eta, axis=1, keepdims=True)
        spread = jnp.einsum("pni,pnj->pij", eta - center, eta - center) / many
        root = cholesky(spread + 1e-10 * omega)

        def one(c: tuple[Any, ...], key: Any) -> tuple[Any, None]:
            eta, old, new, accepted, size = c
            first, second = jax.random.split(key)
            step = jnp.einsum("pij,pnj->pni", root, jax.random.normal(first, eta.shape))
            to = eta + size[:, None, None] * step
            to_old, to_new = likelihood(to)
            gain = prior(to) + to_old - prior(eta) - old + reached[:, None] * (to_new - new)
            take = jnp.log(jax.random.uniform(second, gain.shape)) < gain
            take = take & live[:, None]
            rate = jnp.mean(take, axis=1)
            size = size * jnp.where(rate < 0.15, 0.6, jnp.where(rate > 0.5, 1.4, 1.0))
            eta = jnp.where(take[:, :, None], to, eta)
            return (eta, jnp.where(take, to_old, old), jnp.where(take, to_new, new), accepted + rate, size), None

        size = jnp.full(patients, 2.38 / max(etas, 1) ** 0.5)
        start = (eta, old, new, jnp.zeros(patients), size)
        (eta, old, new, accepted, _), _ = jax.lax.scan(one, start, jax.random.split(key, method.moves))
        return eta, old, new, accepted

    def pending(s: _Step) -> Any:
        return jnp.any(s.reached < 1.0) & (s.steps < method.max_steps)

    def turn(s: _Step) -> _Step:
        live = s.reached < 1.0
        part = jnp.where(live, share(s), 0.0)
        reached = jnp.where(part >= 1.0 - s.reached, 1.0, s.reached + part)
        weight = s.log_weight + part[:, None] * jnp.where(part[:, None] > 0, s.new, 0.0)
        weight = weight - logsumexp(weight, axis=1, keepdims=True)
        key, first, second = jax.random.split(s.key, 3)
        poor = live & ((effective(weight) < 1.05 * method.enough * many) | (reached < 1.0))
        at = jax.vmap(lambda k, w: systematic(k, w, many))(jax.random.split(first, patients), weight)
        at = jnp.where(poor[:, None], at, jnp.arange(many))
        eta = jnp.take_along_axis(s.eta, at[:, :, None], axis=1)
        old, new = (jnp.take_along_axis(x, at, axis=1) for x in (s.old, s.new))
        weight = jnp.where(poor[:, None], -jnp.log(many), weight)

        def go(c: tuple[Any, ...]) -> tuple[Any, ...]:
            return moved(c[0], c[1], c[2], reached, poor, second)

        def stay(c: tuple[Any, ...]) -> tuple[Any, ...]:
            return (*c, jnp.zeros(patients))

        eta, old, new, accepted = jax.lax.cond(jnp.any(poor), go, stay, (eta, old, new))
        tried = s.tried + jnp.where(poor, method.moves, 0)
        return _Step(eta, weight, old, new, reached, s.accepted + accepted, tried, key, s.steps + 1)

    f, code = solved(belief.eta)
    left_out = _left_out(bedside, people, before, belief, f, code)
    taken = bedside.fresh & (left_out == LEARNT)
    after = people.seen(~people.fresh | jnp.repeat(taken, many, axis=0))
    old, new = weighed(belief.eta, f, code)
    possible = jnp.any(jnp.isfinite(belief.log_weight + new), axis=1)
    idle = ~jnp.any(taken, axis=1) | ~possible
    begin = _Step(
        belief.eta, belief.log_weight, old, new, jnp.where(idle, 1.0, 0.0), jnp.zeros(patients),
        jnp.zeros(patients, int), key, jnp.zeros((), int),
    )  # fmt: skip
    end = jax.lax.while_loop(pending, turn, begin)
    acceptance = jnp.where(end.tried > 0, end.accepted / jnp.maximum(end.tried, 1), jnp.nan)
    fine = jnp.all(jnp.isfinite(end.eta), axis=(1, 2)) & ~jnp.any(jnp.isnan(end.log_weight), axis=1)
    fine = fine & (end.reached >= 1.0)
    learnt = fine & ~idle
    eta = jnp.where(learnt[:, None, None], end.eta, belief.eta)
    found = Particles(eta, jnp.where(learnt[:, None], end.log_weight, belief.log_weight))
    rest = jnp.where(possible, jnp.where(fine, LEARNT, UNFINISHED), UNEXPLAINED)
    return found, acceptance, jnp.where(taken, rest[:, None], left_out)


def _left_out(bedside: Bedside, people: Bedside, before: Design, belief: Particles, f: Any, code: Any) -> Any:
    """Codes `(patients, rows)`: which of the fresh measurements cannot be learnt, whatever becomes of the others.

    Where residuals are correlated a measurement has no probability of its own, and none is left out here.
    """
    patients, many = belief.log_weight.shape
    p = bedside.population
    theta, outputs = people.predictor.transform.unpack(bedside.x, p.theta), output_names(p.model)
    eta = belief.eta.reshape(patients * many, -1)
    known = data_given(people.predictor, before, bedside.x, f, eta)
    live = (code == 0) & jnp.isfinite(known) & jnp.isfinite(belief.log_weight.reshape(-1))
    each = jax.vmap(lambda o, f, e: terms(p.errors(theta, e), outputs, o, f).objective)(people.design.observed, f, eta)
    can = jnp.any((live[:, None] & jnp.isfinite(each)).reshape(patients, many, -1), axis=1)
    solved = jnp.any(live.reshape(patients, many), axis=1)
    can = can | bool(p.errors(theta).correlated)
    code = jnp.where(solved[:, None], jnp.where(can, LEARNT, UNEXPLAINED), UNSOLVED)
    return jnp.where(bedside.fresh, code, LEARNT)
