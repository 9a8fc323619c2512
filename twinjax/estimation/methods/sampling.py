"""Hamiltonian chains of a density, by blackjax: warm-up and draws by one compiled program, some iterations a call."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from twinjax.estimation.posterior import PosteriorDensity
from twinjax.solve.compiling import compiled


def blackjax() -> Any:
    """The library. **Raises** `ImportError` that says how to get it."""
    try:
        import blackjax
    except ImportError as error:
        raise ImportError("NUTS samples by blackjax, which is not installed: pip install 'twinjax[bayes]'") from error
    return blackjax


class Chains(eqx.Module):
    """Where the chains are and what they have learnt.

    **Parameters**: `state`, of every chain; `pace` and `mass`, adaptation of the step size and the inverse mass
    matrix, which all chains share and learn together; `step_size`; `key`.
    """

    state: Any
    pace: Any
    mass: Any
    step_size: Any
    key: Any


class Trace(eqx.Module):
    """Iterations of the chains, `(iterations, chains, ...)`.

    **Parameters**: `values` of the reported parameters; `eta` `(..., subjects, etas)`; `density`, its logarithm in
    the unconstrained vector; `diverged`; `steps`, gradients taken; `doublings` of the trajectory; `acceptance`;
    `energy`; `step_size` (without chains).
    """

    values: Any
    eta: Any
    density: Any
    diverged: Any
    steps: Any
    doublings: Any
    acceptance: Any
    energy: Any
    step_size: Any


def schedule(warmup: int, draws: int, every: int) -> np.ndarray:
    """What to learn at each iteration, `(iterations, 3)`: the mass matrix from its draw, whether to take the matrix
    learnt into use, and the step size. Stan's windows, and whole multiples of `every` iterations.
    """
    from blackjax.adaptation.staged_adaptation import build_schedule

    rows = np.zeros((-(-(warmup + draws) // every) * every, 3), bool)
    if warmup:
        rows[:warmup, :2] = np.asarray(build_schedule(warmup), bool)
        rows[:warmup, 2] = True
    return rows


@compiled
def begin(density: PosteriorDensity, vectors: Any, scale: Any, dense: bool, key: Any) -> Chains:
    """Chains at `vectors` `(chains, size)`; `scale` `(size,)`, rough standard deviations of the posterior."""
    import blackjax
    from blackjax.adaptation.mass_matrix import mass_matrix_adaptation
    from blackjax.adaptation.step_size import dual_averaging_adaptation

    guess = jnp.square(scale)
    state = jax.vmap(lambda v: blackjax.nuts.init(v, density))(vectors)
    mass = mass_matrix_adaptation(not dense)[0](density.size, jnp.diag(guess) if dense else guess)
    first = jnp.asarray(0.2)
    return _settled(Chains(state, dual_averaging_adaptation(0.8)[0](first), mass, first, key))


@compiled
def advance(
    density: PosteriorDensity, chains: Chains, plan: Any, acceptance: Any, dense: bool, doublings: int
) -> tuple[Chains, Trace]:
    """So many iterations as `plan` has rows, of every chain.

    **Reference**: Hoffman & Gelman 2014, J Mach Learn Res 15:1593.
    """
    import blackjax
    from blackjax.adaptation.mass_matrix import mass_matrix_adaptation
    from blackjax.adaptation.step_size import dual_averaging_adaptation

    kernel = blackjax.nuts.build_kernel()
    _, learn_mass, use_mass = mass_matrix_adaptation(not dense)
    begin_pace, learn_pace, end_pace = dual_averaging_adaptation(acceptance)
    reported = density.predictor.transform.report
    value = jax.jit(lambda vector: density(vector))  # traced once, however often the kernel calls it

    def where(flag: Any, new: Any, old: Any) -> Any:
        return jax.tree.map(lambda a, b: jnp.where(flag, a, b), new, old)

    def show(vector: Any) -> tuple[Any, Any]:
        x, eta = density.split(vector)
        return reported(x, density.predictor.population.theta), eta

    def iteration(c: Chains, row: Any) -> tuple[Chains, Trace]:
        slow, ends, adapting = row
        key, own = jax.random.split(c.key)

        def one(key: Any, state: Any) -> Any:
            return kernel(key, state, value, c.step_size, c.mass.inverse_mass_matrix, doublings)

        state, info = jax.vmap(one)(jax.random.split(own, c.state.position.shape[0]), c.state)
        learnt = jax.lax.scan(lambda m, v: (learn_mass(m, v), None), c.mass, state.position)[0]
        mass = where(slow, learnt, c.mass)
        accepted = jnp.nan_to_num(info.acceptance_rate)
        pace = where(adapting, learn_pace(c.pace, jnp.mean(accepted)), c.pace)
        mass, pace = where(ends, (use_mass(mass), begin_pace(end_pace(pace))), (mass, pace))
        step_size = jnp.exp(jnp.where(adapting, pace.log_step_size, pace.log_step_size_avg))
        values, eta = jax.vmap(show)(state.position)
        trace = Trace(
            values, eta, state.logdensity, info.is_divergent, info.num_integration_steps,
            info.num_trajectory_expansions, accepted, info.energy, c.step_size,
        )  # fmt: skip
        return Chains(state, pace, mass, step_size, key), trace

    after, trace = jax.lax.scan(iteration, chains, plan)
    return _settled(after), trace


def _settled(chains: Chains) -> Chains:
    """The same numbers with types of their own: one that follows another's is another program at the next call."""

    def own(x: Any) -> Any:
        x = jnp.asarray(x)
        return x if jnp.issubdtype(x.dtype, jax.dtypes.extended) else jax.lax.convert_element_type(x, x.dtype)

    return jax.tree.map(own, chains)
