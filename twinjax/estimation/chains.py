"""Many Metropolis chains of every subject's random effects, all of them one batch of the solver.

Chains are folded into the patient axis: row ``subject * chains + chain`` of a design that repeats each subject. Every
step solves all rows once, whatever the kernel, so a compiled program holds one solve however many kernels it uses.
"""

from __future__ import annotations

import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from twinjax.estimation.joint import data_given
from twinjax.estimation.methods.classes import log_shares
from twinjax.estimation.prediction import Design, Predictor
from twinjax.estimation.small import cholesky, lower_inverse

REFRESH, PRIOR, COMPONENT, BLOCK, INDEPENDENT = range(5)
"""Kinds of steps: predictions anew where the chains are; a draw from the population; a random walk in one random
effect; one in all; a draw about the subject's own conditional mean."""

_TAILS = 4
"""Degrees of freedom of the independent proposal: heavier tails than any posterior that data inform."""

_TARGET = np.array([0.0, 0.0, 0.44, 0.3, 0.0])


class Chains(eqx.Module):
    """Where the chains are, and what their proposals have learnt.

    **Parameters**: `eta` `(rows, etas)`; `f` `(classes * rows, samples)`, predictions there (one class, without a
    mixture); `solved` and `weight` `(classes * rows,)`, how probable each class is there (0 where it is not solved);
    `mean` `(subjects, etas)` and `spread` `(subjects, etas, etas)`, running conditional moments; `scale` `(kinds,
    etas)`, logarithms of step sizes; `accepted` `(kinds,)`, shares accepted in the last iteration (NaN for a kind not
    used).
    """

    eta: Any
    f: Any
    solved: Any
    weight: Any
    mean: Any
    spread: Any
    scale: Any
    accepted: Any

    @staticmethod
    def begin(eta: np.ndarray, omega: np.ndarray, chains: int, samples: int, classes: int = 1) -> Chains:
        """All chains of a subject at its `eta` `(subjects, etas)`."""
        subjects, etas = eta.shape
        rows = subjects * chains
        return Chains(
            eta=jnp.repeat(jnp.asarray(eta), chains, axis=0), f=jnp.full((classes * rows, samples), jnp.nan),
            solved=jnp.zeros(classes * rows, bool), weight=jnp.zeros(classes * rows), mean=jnp.asarray(eta),
            spread=jnp.tile(jnp.asarray(omega), (subjects, 1, 1)), scale=jnp.zeros((len(_TARGET), etas)),
            accepted=jnp.full(len(_TARGET), jnp.nan),
        )  # fmt: skip


class Steps(eqx.Module):
    """Which kernels run in one iteration, in order: `kind` `(steps,)`, and `moved` `(steps, etas)`, the random effects
    that a random walk moves.
    """

    kind: Any
    moved: Any

    @staticmethod
    def of(etas: int, *, prior: int, component: int, block: int, independent: int) -> Steps:
        """So many sweeps of each kind; a `component` sweep moves every random effect in turn. The first step is a
        refreshment.
        """
        every, single = np.ones((1, etas)), np.eye(etas)
        rows = [(REFRESH, 0.0 * every)]
        for turn in range(max(prior, component, block, independent)):
            rows += [(PRIOR, every)] * (turn < prior) + [(INDEPENDENT, every)] * (turn < independent)
            rows += [(COMPONENT, single)] * (turn < component) + [(BLOCK, every)] * (turn < block)
        return Steps(
            jnp.asarray(np.concatenate([np.full(len(m), k) for k, m in rows])),
            jnp.asarray(np.concatenate([m for _, m in rows])),
        )


def tiled(design: Design, chains: int) -> Design:
    """The design with every subject repeated, once a chain."""
    return jax.tree.map(lambda a: jnp.repeat(jnp.asarray(a), chains, axis=0), design)


def sweep(predictor: Predictor, design: Design, x: Any, chains: Chains, steps: Steps, rate: Any, key: Any) -> Chains:
    """The chains after `steps`, their target the conditional distribution of eta at `x`.

    A draw that cannot be solved has no density: it is rejected, never NaN. Of a mixture the classes are summed over at
    every draw.

    **Parameters**: `design`, `tiled` and `of_every_class`; `rate`, how fast proposals learn.
    **Reference**: kernels as in Kuhn & Lavielle 2004, doi:10.1051/ps:2004007; conditional moments in the proposals:
    Haario, Saksman & Tamminen 2001, doi:10.2307/3318737.
    """
    subjects, etas = chains.mean.shape
    rows = chains.eta.shape[0]
    many, classes, shares = rows // subjects, chains.f.shape[0] // rows, log_shares(predictor, x)
    omega = predictor.population.omega(predictor.transform.unpack(x, predictor.population.theta))
    prior = cholesky(omega)
    whiten = lower_inverse(prior)
    own = jax.vmap(cholesky)(chains.spread + 0.02 * omega)
    unwhiten = jax.vmap(lower_inverse)(own)
    mean, own, unwhiten = (jnp.repeat(a, many, axis=0) for a in (chains.mean, own, unwhiten))
    sd = jnp.sqrt(jnp.sum(own * own, axis=-1))

    def penalty(eta: Any) -> Any:
        return jnp.sum(jnp.square(eta @ whiten.T), axis=-1)

    def about(eta: Any) -> Any:
        half = jnp.einsum("rij,rj->ri", unwhiten, eta - mean)
        return (_TAILS + etas) * jnp.log1p(jnp.sum(half * half, axis=-1) / _TAILS)

    def weighed(eta: Any, f: Any, solved: Any) -> Any:
        """Of the data, with each class."""
        found = data_given(predictor, design, x, f, jnp.tile(eta, (classes, 1)))
        found = jnp.where(solved & jnp.isfinite(found), found, jnp.inf).reshape(classes, rows)
        return shares[:, None] - 0.5 * found

    def energy(eta: Any, f: Any, solved: Any) -> Any:
        each = weighed(eta, f, solved)
        return penalty(eta) - 2.0 * (each[0] if classes == 1 else jax.nn.logsumexp(each, axis=0))

    def step(c: tuple[Any, ...], s: tuple[Any, Any, Any]) -> tuple[Any, Any]:
        eta, f, solved, now = c
        kind, moved, key = s
        first, second, third = jax.random.split(key, 3)
        z = jax.random.normal(first, (rows, etas))
        wide = jnp.sqrt(-2.0 * jnp.log(jax.random.uniform(second, (2, rows), minval=1e-12)).sum(axis=0) / _TAILS)
        shaped = jnp.einsum("rij,rj->ri", own, z)
        proposal = jnp.select(
            [kind == REFRESH, kind == PRIOR, kind == COMPONENT, kind == BLOCK],
            [
                eta,
                z @ prior.T,
                eta + moved * sd * z * 2.4 * jnp.exp(chains.scale[COMPONENT]),
                eta + shaped * (2.4 / math.sqrt(etas)) * jnp.exp(chains.scale[BLOCK]),
            ],
            mean + shaped / wide[:, None],
        )

        def towards(eta: Any) -> Any:
            return jnp.select([kind == PRIOR, kind == INDEPENDENT], [penalty(eta), about(eta)], 0.0)

        new_f, code = predictor.solve(predictor.every(x, jnp.tile(proposal, (classes, 1)), design), x, design)
        fine = (code == 0) & jnp.all(jnp.isfinite(new_f) | ~design.observed.there, axis=-1)
        new = energy(proposal, new_f, fine)
        gain = (new - now) - (towards(proposal) - towards(eta))
        better = jnp.log(jax.random.uniform(third, (rows,), minval=1e-300)) < -0.5 * gain
        take = (jnp.isfinite(new) & (better | ~jnp.isfinite(now))) | (kind == REFRESH)

        def keep(new: Any, old: Any) -> Any:
            own = jnp.tile(take, new.shape[0] // rows)
            return jnp.where(own.reshape((-1,) + (1,) * (new.ndim - 1)), new, old)

        found = keep(proposal, eta), keep(new_f, f), keep(fine, solved), keep(new, now)
        return found, jnp.mean(take)

    keys = jax.random.split(key, steps.kind.shape[0])
    begin = (chains.eta, chains.f, chains.solved, energy(chains.eta, chains.f, chains.solved))
    (eta, f, solved, _), share = jax.lax.scan(step, begin, (steps.kind, steps.moved, keys))

    used = steps.kind == jnp.arange(len(_TARGET))[:, None]  # (kinds, steps)
    accepted = jnp.sum(used * share, axis=1) / jnp.sum(used, axis=1)
    # a component's own share where it moves alone, everyone's for a block
    weight = used[:, :, None] * steps.moved
    by_eta = jnp.sum(weight * share[:, None], axis=1) / jnp.maximum(jnp.sum(weight, axis=1), 1.0)
    learn = jnp.any(weight > 0, axis=1) & (jnp.asarray(_TARGET) > 0)[:, None]
    scale = chains.scale + jnp.where(learn, rate * (by_eta - _TARGET[:, None]), 0.0)

    each = eta.reshape(subjects, many, etas)
    at = each.mean(axis=1)
    off = each - chains.mean[:, None]
    squares = jnp.einsum("sci,scj->sij", off, off) / many
    moved = rate * (at - chains.mean)
    weight = solved.astype(f.dtype) if classes == 1 else jax.nn.softmax(weighed(eta, f, solved), axis=0).reshape(-1)
    return Chains(
        eta, f, solved, jnp.where(jnp.isfinite(weight), weight, 0.0), chains.mean + moved,
        (1.0 - rate) * chains.spread + rate * squares, jnp.clip(scale, -6.0, 3.0), accepted,
    )  # fmt: skip
