"""The hERG channel against the FDA's C code, and under a clamp against its exact solution."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from twinjax.dosing import Regimen
from twinjax.models import HERGClamp
from twinjax.models.heart.herg import Binding, DynamicHERG
from twinjax.solve.fused import Fused
from twinjax.solve.simulate import simulate

FDA = {
    -20.0: (
        *(0.5828000293, -0.3224986634, -0.6216576382, 0.3536498676, -0.08904616513, 0.09674752924),
        *(-3.954128553e-06, 4.347332083e-06, 4.647326789e-06),
    ),
    30.0: (
        *(-1.135754213, -0.2990496752, 1.096536465, 0.3285494266, -0.1381429091, 0.1478674584),
        *(-1.065273011e-05, 9.241971407e-06, -5.141951859e-06),
    ),
}
"""Rates of change that hergmod.c of github.com/FDA/CiPA (v1.0), compiled, gives at this potential, in the state below,
under dofetilide at 10 nM; ten digits.
"""


@pytest.mark.parametrize("v", FDA)
def test_rates_are_those_of_the_fdas_code(v):
    clamp = HERGClamp.typical()
    state = DynamicHERG.State(0.05, 0.15, 0.1, 0.1, 0.2, 0.1, 0.1, 0.05, 0.15)
    found = jax.tree.leaves(clamp.channel.rates(v, state, 1e-5))
    np.testing.assert_allclose(found, FDA[v], rtol=1e-9)  # the digits printed


def test_at_rest_the_channel_is_where_the_fdas_cell_is(shared_data):
    """initial_states_CL2000.txt, after 1,000 beats: the six unbound states keep balance with each other."""
    lines = (shared_data / "physiology/heart_cipa/initial_states_CL2000.txt").read_text().splitlines()
    given = {name: float(value) for name, value in map(str.split, lines)}
    names = ("IC1", "IC2", "C1", "C2", "O", "IO", "IObound", "Obound", "Cbound")
    state = DynamicHERG.State(*(given[n] for n in names))
    rates = DynamicHERG().rates(given["v"], state, 0.0)
    # the file's six digits, times the quickest rate, 172/ms from IC2 to IC1
    for rate, value in zip(jax.tree.leaves(rates), jax.tree.leaves(state), strict=True):
        assert abs(rate) <= 172.0 * 1e-5 * value


def test_no_drug_has_finite_gradients():
    """The power of a concentration of zero has none of its own."""
    binding = Binding(35.1, 1.8e-5, 0.5, 1e-4, -1.0)
    slopes = eqx.filter_grad(lambda b: b.rate(0.0))(jax.tree.map(jnp.asarray, binding))
    assert all(jnp.isfinite(x) for x in jax.tree.leaves(slopes))
    assert float(binding.rate(0.0)) == 0.0


def moved(clamp, y, v, time):
    """The states `time` ms later, at a constant potential: the matrix exponential of the rates."""

    def rates(z):
        return jnp.stack(jax.tree.leaves(clamp.channel.rates(v, DynamicHERG.State(*z), clamp.drug)))

    return jax.scipy.linalg.expm(jax.jacfwd(rates)(y) * time, max_squarings=40) @ y


def test_steps_of_the_clamp_are_doses():
    clamp = HERGClamp.typical()
    steps = Regimen.dose(80.0, into="up", at=940.0) + Regimen.dose(80.0, into="down", at=2940.0)
    found = simulate(
        clamp, steps, jnp.array([0.0, 939.0, 2000.0, 2939.0, 3000.0]), backend=Fused(rtol=1e-8, atol=1e-10)
    )
    y = moved(clamp, jnp.zeros(9).at[2].set(1.0), -80.0, 940.0)
    y = moved(clamp, y, 0.0, 1060.0)
    assert float(found.output.open[0, 2]) == pytest.approx(float(y[4]), rel=1e-6)  # 100 local errors of 1e-8
    assert float(found.output.bound[0, 2]) == pytest.approx(float(y[6:].sum()), rel=1e-6)
    assert found.output.v[0].tolist() == [-80.0, -80.0, 0.0, 0.0, -80.0]
