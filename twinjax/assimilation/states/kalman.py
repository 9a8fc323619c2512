"""Kalman's filter of states and random effects together, with process noise: by a linearisation, or by an ensemble."""

from __future__ import annotations

from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from twinjax.assimilation.bedside import Bedside
from twinjax.assimilation.methods.base import Learnt
from twinjax.assimilation.methods.kalman import AbstractKalman, EnsembleKalman
from twinjax.assimilation.states.belief import StateNormal, StateParticles
from twinjax.assimilation.states.noise import ProcessNoise
from twinjax.assimilation.states.stretches import Course, Stretches, check
from twinjax.assimilation.states.walk import course, innovations_of, read, row_of, stretches, told_normal
from twinjax.models.base import state_names
from twinjax.population.population import Population
from twinjax.solve.compiling import compiled

_SOLVED = 0.9
"""With fewer members solved than this share, an update does not count as settled."""


class StateExtendedKalman(AbstractKalman):
    """The extended Kalman filter of states and random effects: between measurements their covariance goes on by the
    derivative of the solution and grows by the noise.

    Exact for linear equations, kicks at the ends of stretches, linear outputs and constant residual variance.

    **Parameters**: `noise`.
    **Reference**: Jazwinski 1970, Stochastic Processes and Filtering Theory, chapter 8, ISBN 978-0-12-381550-7.
    """

    noise: ProcessNoise
    judges: ClassVar[bool] = True

    def prior(self, population: Population, patients: int, key: Any) -> StateNormal:
        """Omega about zero."""
        self.noise.variances(population)
        return StateNormal.prior(population, patients)

    def check(self, bedside: Bedside) -> None:
        """**Raises** `ValueError` as every Kalman filter here, and for what no filter of states knows."""
        super().check(bedside)
        check(bedside.design.problem, bedside.population)

    def learn(self, bedside, belief, key):
        """The fresh measurements, by time."""
        assert isinstance(belief, StateNormal)
        line = stretches(bedside, belief.time, self.noise.step)
        variance = self.noise.variances(bedside.population)
        new, solved, found = _extended(course(bedside), bedside.design.observed, line, belief, jnp.asarray(variance))
        none = jnp.full(solved.shape, jnp.nan)
        return Learnt(new, solved, none, none, innovations_of(bedside, line, found))


class StateEnsembleKalman(AbstractKalman):
    """The ensemble square-root Kalman filter of states and random effects.

    No derivatives. Kicks are random, made to have their covariance and to be uncorrelated with the ensemble, to the
    bit, so that it equals Kalman's filter where `StateExtendedKalman` does.

    **Parameters**: `noise`; `members` of the ensemble, more than all states, random effects and kicks.
    **Reference**: Whitaker & Hamill 2002, Mon Weather Rev 130:1913,
    doi:10.1175/1520-0493(2002)130<1913:EDAWPO>2.0.CO;2.
    """

    noise: ProcessNoise
    members: int = eqx.field(static=True, default=200)
    judges: ClassVar[bool] = True

    def prior(self, population: Population, patients: int, key: Any) -> StateParticles:
        """Draws made to have the mean and the covariance of Omega."""
        kicks = int(np.sum(self.noise.variances(population) > 0))
        least = len(state_names(population.model)) + len(population.etas) + kicks + 2
        if self.members < least:
            raise ValueError(f"an ensemble of {self.members} is too small for the states, random effects and kicks; "
                             f"take {least} at least, better {5 * least}")  # fmt: skip
        if not population.etas:
            return StateParticles.of(population, jnp.zeros((patients, self.members, 0)))
        return StateParticles.of(population, EnsembleKalman(self.members).prior(population, patients, key).eta)

    def check(self, bedside: Bedside) -> None:
        """**Raises** `ValueError` as every Kalman filter here, and for what no filter of states knows."""
        super().check(bedside)
        check(bedside.design.problem, bedside.population)

    def learn(self, bedside, belief, key):
        """The fresh measurements, by time."""
        assert isinstance(belief, StateParticles)
        line = stretches(bedside, belief.time, self.noise.step)
        variance = self.noise.variances(bedside.population)
        kicked = tuple(np.flatnonzero(variance).tolist())
        c, o = course(bedside), bedside.design.observed
        new, solved, found = _ensemble(c, o, line, belief, jnp.asarray(variance), kicked, key)
        none = jnp.full(solved.shape, jnp.nan)
        return Learnt(new, solved, none, none, innovations_of(bedside, line, found))


@compiled
def _extended(c: Course, o: Any, line: Stretches, belief: StateNormal, variance: Any) -> Any:
    patients, states = belief.state.shape
    own = {n: v[:, 0] for n, v in c.covariates.items()}

    def slopes(function: Any, z: Any) -> tuple[Any, Any, Any]:
        """A function of `z` `(patients, both)`, its slopes `(patients, states, both)`, and what it says besides."""

        def one(direction: Any) -> Any:
            return jax.jvp(function, (z,), (jnp.broadcast_to(direction, z.shape),), has_aux=True)

        return jax.vmap(one, out_axes=(None, 2, None))(jnp.eye(z.shape[1]))

    def beyond(slope: Any, spread: Any) -> Any:
        """Covariance of a new state, by its slope, and the old random effects."""
        same = jnp.eye(spread.shape[1])[states:]
        rest = jnp.broadcast_to(same, (patients, *same.shape))
        whole = jnp.concatenate([slope, rest], axis=1)
        return jnp.einsum("pij,pjk,plk->pil", whole, spread, whole)

    def turn(carry: Any, w: Stretches) -> Any:
        z, spread, solved = carry

        def onward(z: Any) -> tuple[Any, Any]:
            state, code = c.onward(w, z[:, None, :states], z[:, None, states:])
            return state[:, 0], code[:, 0]

        state, slope, code = slopes(onward, z)
        spread = beyond(slope, spread) + (w.end - w.begin)[:, None, None] * jnp.diag(variance)
        z = jnp.concatenate([jnp.maximum(state, c.least), z[:, states:]], axis=1)

        def one(z: Any, spread: Any, o: Any, own: Any, time: Any, row: Any) -> Any:
            at = row_of(o, row)
            r = read(c, at, own, time, z[:states], z[states:])
            slope = jax.jacfwd(lambda z: read(c, at, own, time, z[:states], z[states:]).mean)(z)
            total = slope @ spread @ slope + r.variance
            gain = spread @ slope / total
            left = jnp.eye(z.shape[0]) - jnp.outer(gain, slope)  # Joseph's form keeps it positive
            new = left @ spread @ left.T + r.variance * jnp.outer(gain, gain)
            moved = z + gain * (r.value - r.mean)
            moved = moved.at[:states].max(c.least)
            said = told_normal(r.mean, total, r.value)
            return jnp.where(row >= 0, moved, z), jnp.where(row >= 0, new, spread), said

        z, spread, said = jax.vmap(one)(z, spread, o, own, w.end, w.row)
        return (z, spread, solved & (code == 0)), said

    def initial(z: Any) -> tuple[Any, Any]:
        return c.initial(z[:, None, states:])[:, 0], jnp.zeros(())

    first, slope, _ = slopes(initial, jnp.concatenate([belief.state, belief.eta], axis=1))
    fresh = ~jnp.isfinite(belief.time)
    state = jnp.where(fresh[:, None], first, belief.state)
    spread = jnp.where(fresh[:, None, None], beyond(slope, belief.spread), belief.spread)
    begin = (jnp.concatenate([state, belief.eta], axis=1), spread, jnp.ones(patients, bool))
    (z, spread, solved), said = jax.lax.scan(turn, begin, line)
    solved = solved & jnp.all(jnp.isfinite(z), axis=1)
    return StateNormal(z[:, :states], z[:, states:], spread, line.end[-1]), solved, said


@compiled
def _ensemble(
    c: Course, o: Any, line: Stretches, belief: StateParticles, variance: Any, kicked: tuple[int, ...], key: Any
) -> Any:
    def turn(carry: Any, w: Any) -> Any:
        (z, solved), (stretch, key) = carry, w
        z, good, said = ensemble_turn(c, o, stretch, z, variance, kicked, key)
        return (z, solved & (good >= _SOLVED)), said

    keys = jax.random.split(key, line.row.shape[0])
    begin = (begun(c, belief), jnp.ones(belief.eta.shape[0], bool))
    (z, solved), said = jax.lax.scan(turn, begin, (line, keys))
    states = belief.state.shape[2]
    new = StateParticles(z[..., :states], z[..., states:], belief.log_weight, line.end[-1])
    return new, solved & jnp.all(jnp.isfinite(z), axis=(1, 2)), said


def begun(c: Course, belief: StateParticles) -> Any:
    """States and random effects `(patients, particles, both)`; where nothing was learnt, as histories begin."""
    fresh = ~jnp.isfinite(belief.time)
    state = jnp.where(fresh[:, None, None], c.initial(belief.eta), belief.state)
    return jnp.concatenate([state, belief.eta], axis=2)


def ensemble_turn(
    c: Course, o: Any, w: Stretches, z: Any, variance: Any, kicked: tuple[int, ...], key: Any
) -> tuple[Any, Any, Any]:
    """The ensemble `(patients, members, both)` after one stretch and what was measured at its end; the share of members
    that could be solved.
    """
    states = c.least.shape[0]
    own = {n: v[:, 0] for n, v in c.covariates.items()}
    state, code = c.onward(w, z[..., :states], z[..., states:])
    z, good = _mended(jnp.concatenate([state, z[..., states:]], axis=2), code)
    keys = jax.random.split(key, z.shape[0])

    def one(z: Any, o: Any, own: Any, w: Any, key: Any) -> Any:
        begin, time, row = w
        z = z + _kicks(key, z, variance * (time - begin), kicked)
        z = z.at[:, :states].max(c.least)
        at = row_of(o, row)
        r = jax.vmap(lambda z: read(c, at, own, time, z[:states], z[states:]))(z)
        noise, value = jnp.mean(r.variance), r.value[0]
        center, middle = jnp.mean(z, axis=0), jnp.mean(r.mean)
        away, off = z - center, r.mean - middle
        total = jnp.mean(off * off) + noise
        gain = away.T @ off / z.shape[0] / total
        less = 1.0 / (1.0 + jnp.sqrt(noise / total))
        new = center + gain * (value - middle) + away - less * jnp.outer(off, gain)
        new = new.at[:, :states].max(c.least)
        return jnp.where(row >= 0, new, z), told_normal(middle, total, value)

    z, said = jax.vmap(one)(z, o, own, (w.begin, w.end, w.row), keys)
    return z, good, said


def _mended(z: Any, code: Any) -> tuple[Any, Any]:
    """The ensemble, a member that could not be solved put at the mean of the others; which share could."""
    good = (code == 0) & jnp.all(jnp.isfinite(z), axis=2)
    count = jnp.maximum(jnp.sum(good, axis=1), 1)[:, None]
    middle = jnp.sum(jnp.where(good[..., None], z, 0.0), axis=1) / count
    return jnp.where(good[..., None], z, middle[:, None, :]), jnp.mean(good, axis=1)


def _kicks(key: Any, z: Any, variance: Any, kicked: tuple[int, ...]) -> Any:
    """Kicks `(members, both)` of mean zero and of this covariance, uncorrelated with the ensemble."""
    if not kicked:
        return jnp.zeros_like(z)
    many, at = z.shape[0], jnp.asarray(kicked)
    away = z - jnp.mean(z, axis=0)
    size = jnp.sqrt(jnp.mean(away * away, axis=0))
    away = jnp.where(size > 0, away / jnp.where(size > 0, size, 1.0), 0.0)
    value, vector = jnp.linalg.eigh(away.T @ away / many)
    inverse = jnp.where(value > 1e-10 * value[-1], 1.0 / jnp.where(value > 0, value, 1.0), 0.0)
    unit = jax.random.normal(key, (many, len(kicked)))
    unit = unit - jnp.mean(unit, axis=0)
    for _ in range(2):  # once more for what rounding left
        unit = unit - away @ (vector @ (inverse[:, None] * (vector.T @ (away.T @ unit / many))))
    low = jnp.linalg.cholesky(unit.T @ unit / many)
    unit = jax.scipy.linalg.solve_triangular(low, unit.T, lower=True).T
    return jnp.zeros_like(z).at[:, at].set(unit * jnp.sqrt(variance[at]))
