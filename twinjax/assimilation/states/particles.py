"""A particle filter of states and random effects, with process noise."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import logsumexp

from twinjax.assimilation.bedside import Bedside
from twinjax.assimilation.belief import Particles, effective, systematic
from twinjax.assimilation.methods.base import LEARNT, UNEXPLAINED, UNSOLVED, AbstractAssimilation, Learnt
from twinjax.assimilation.states.belief import StateParticles
from twinjax.assimilation.states.kalman import begun
from twinjax.assimilation.states.noise import ProcessNoise
from twinjax.assimilation.states.stretches import Course, Stretches, check
from twinjax.assimilation.states.walk import course, innovations_of, read, refused, row_of, stretches, told
from twinjax.population.population import Population
from twinjax.solve.compiling import compiled


class StateParticleFilter(AbstractAssimilation):
    """The bootstrap filter: particles go on by the equations and the noise, and are weighted by what is measured.

    Neither linear nor normal. Where too few particles count they are resampled, and their random effects, which no
    noise renews, drawn from a kernel about each that keeps their mean and covariance.

    A measurement that no particle can explain is passed by for good, as the particles go on. Where the equations can be
    solved for none of them, the belief stays that of the last measurement that was reached, and those after it wait for
    the next news. In both cases the update does not count as settled, and the trail's entry says under `left` which and
    why. A particle that alone could not be solved has no weight, and the state of one that could.

    **Parameters**: `noise`; `particles`; `enough`, share of them below which the effective sample size leads to
    resampling; `discount`, how narrow the kernel is, 1 for none.
    **Reference**: Gordon, Salmond & Smith 1993, IEE Proc F 140:107, doi:10.1049/ip-f-2.1993.0015; the kernel: Liu &
    West 2001, in Sequential Monte Carlo Methods in Practice, chapter 10, doi:10.1007/978-1-4757-3437-9_10.
    """

    noise: ProcessNoise
    particles: int = eqx.field(static=True, default=1000)
    enough: float = eqx.field(static=True, default=0.5)
    discount: float = eqx.field(static=True, default=0.98)
    ordered: ClassVar[bool] = True
    judges: ClassVar[bool] = True
    tries_again: ClassVar[frozenset[int]] = frozenset({UNSOLVED})

    def prior(self, population: Population, patients: int, key: Any) -> StateParticles:
        """Random effects drawn from Omega."""
        self.noise.variances(population)
        return StateParticles.of(population, Particles.prior(population, patients, self.particles, key).eta)

    def check(self, bedside: Bedside) -> None:
        """**Raises** `ValueError` for measurements that depend on others', and for what no filter of states knows."""
        p = bedside.population
        refused(p.errors(p.theta), self.name)
        check(bedside.design.problem, p)

    def learn(self, bedside, belief, key):
        """The fresh measurements, by time."""
        assert isinstance(belief, StateParticles)
        line = stretches(bedside, belief.time, self.noise.step)
        variance = jnp.asarray(self.noise.variances(bedside.population))
        c, o = course(bedside), bedside.design.observed
        new, least, codes, found = _filtered(self, c, o, line, belief, variance, key)
        settled = (np.asarray(least) >= 10.0) & np.isfinite(np.asarray(new.mean)).all(axis=1)
        none, row = jnp.full(settled.shape, jnp.nan), np.asarray(line.row)
        left, (turn, who) = np.zeros(bedside.fresh.shape, int), np.nonzero(row >= 0)
        left[who, row[turn, who]] = np.asarray(codes)[turn, who]
        return Learnt(new, jnp.asarray(settled), new.effective, none, innovations_of(bedside, line, found), left)


@compiled
def _filtered(
    method: StateParticleFilter, c: Course, o: Any, line: Stretches, belief: StateParticles, variance: Any, key: Any
) -> Any:
    states, many = belief.state.shape[2], method.particles
    own = {n: v[:, 0] for n, v in c.covariates.items()}
    shrink = (3.0 * method.discount - 1.0) / (2.0 * method.discount)

    def one(z: Any, log_weight: Any, code: Any, o: Any, own: Any, w: Any, key: Any) -> Any:
        (begin, time, row), (first, second, third) = w, jax.random.split(key, 3)
        z = z + jnp.sqrt(variance * (time - begin)) * jax.random.normal(first, z.shape)
        z = z.at[:, :states].max(c.least)
        at = row_of(o, row)
        r = jax.vmap(lambda z: read(c, at, own, time, z[:states], z[states:]))(z)
        solved = (code == 0) & jnp.all(jnp.isfinite(z), axis=1) & jnp.isfinite(r.mean)
        objective = jnp.where(solved & jnp.isfinite(r.objective), r.objective, jnp.inf)
        said = told(log_weight, dataclasses.replace(r, objective=objective), solved)
        before, _ = weighed(log_weight, jnp.where(solved, 0.0, -jnp.inf))
        new, learnt = weighed(before, jnp.where(row >= 0, -0.5 * objective, 0.0))
        z = jnp.where(solved[:, None], z, z[jnp.argmax(jnp.where(solved, new, -jnp.inf))])
        count = effective(new)
        poor = count < method.enough * many
        z = jnp.where(poor, kernel(third, z[systematic(second, new, many)], new, z), z)
        code = jnp.where(jnp.any(solved), jnp.where(learnt, LEARNT, UNEXPLAINED), UNSOLVED)
        count = jnp.where(code == LEARNT, count, 0.0)
        return z, jnp.where(poor, -jnp.log(many), new), jnp.where(row >= 0, count, jnp.inf), code, said

    def weighed(log_weight: Any, more: Any) -> tuple[Any, Any]:
        """Weights by what is learnt besides, as they were where that leaves none; whether it leaves one."""
        new = log_weight + more
        total = logsumexp(new)
        return jnp.where(jnp.isfinite(total), new - total, log_weight), jnp.isfinite(total)

    def kernel(key: Any, chosen: Any, log_weight: Any, z: Any) -> Any:
        """Random effects drawn anew about those chosen."""
        if z.shape[1] == states:
            return chosen
        weight, eta = jnp.exp(log_weight), z[:, states:]
        mean = weight @ eta
        away = eta - mean
        spread = (away * weight[:, None]).T @ away
        value, vector = jnp.linalg.eigh(spread)
        unit = jax.random.normal(key, eta.shape) * jnp.sqrt(jnp.maximum(value, 0.0))
        moved = shrink * chosen[:, states:] + (1.0 - shrink) * mean + (1.0 - shrink**2) ** 0.5 * unit @ vector.T
        return chosen.at[:, states:].set(moved)

    def turn(carry: Any, w: Any) -> Any:
        (now, kept, least, stopped), (stretch, key) = carry, w
        state, code = c.onward(stretch, now.state, now.eta)
        keys = jax.random.split(key, state.shape[0])
        at = (stretch.begin, stretch.end, stretch.row)
        z = jnp.concatenate([state, now.eta], axis=2)
        z, log_weight, count, code, said = jax.vmap(one)(z, now.log_weight, code, o, own, at, keys)
        stopped = stopped | (code == UNSOLVED)
        now = StateParticles(z[..., :states], z[..., states:], log_weight, stretch.end)
        kept = _where(~stopped & (stretch.row >= 0), now, kept)
        least = jnp.where(stopped, 0.0, jnp.minimum(least, count))
        said = jax.tree.map(lambda a: jnp.where(stopped, jnp.nan, a), said)
        return (now, kept, least, stopped), (jnp.where(stopped, UNSOLVED, code), said)

    z = begun(c, belief)
    begin = StateParticles(z[..., :states], z[..., states:], belief.log_weight, line.begin[0])
    none = jnp.zeros(belief.eta.shape[0], bool)
    keys = jax.random.split(key, line.row.shape[0])
    carry = (begin, belief, jnp.full(none.shape, jnp.inf), none)
    (now, kept, least, stopped), (codes, said) = jax.lax.scan(turn, carry, (line, keys))
    return _where(stopped, kept, now), least, codes, said


def _where(which: Any, one: StateParticles, other: StateParticles) -> StateParticles:
    """Of each patient `(patients,)` the one or the other."""
    return jax.tree.map(lambda a, b: jnp.where(which.reshape(-1, *(1,) * (a.ndim - 1)), a, b), one, other)
