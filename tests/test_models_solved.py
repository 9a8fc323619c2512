"""Laws of every model in the registry, solved: states stay non-negative, backends agree, gradients are exact."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from twinjax.dosing import Regimen
from twinjax.models import REGISTRY, OneCompartmentTransit, WholeBody
from twinjax.models.base import input_names, output_names, state_names
from twinjax.models.heart.cell import AbstractCell
from twinjax.naming import bind, leaves
from twinjax.solve.diffrax import Diffrax
from twinjax.solve.exact import Exact
from twinjax.solve.fused import Fused
from twinjax.solve.simulate import choose, pose

TIMES = np.array([0.5, 3.0, 11.0, 24.0, 25.0, 48.0])
RTOL = ATOL = 1e-9


AMOUNT = {"BergmanMinimal": 0.05}
"""Where 20 units would be a thousand times what occurs: insulin in IU/L."""


def dosed(model):
    """A dose into every state that takes one (bolus), repeated once; none for a model that is only driven."""
    states = state_names(model)
    into = [n for n in input_names(model) if n in states]
    regimen = Regimen.none()
    for n in into[:2]:
        regimen = regimen + Regimen.repeat(AMOUNT.get(type(model).__name__, 20.0), every=24.0, count=2, into=n)
    return regimen


SOLVED = [c for c in REGISTRY if not issubclass(c, AbstractCell | WholeBody)]
"""Heart cells, whose compilation by XLA takes minutes, are solved in test_heart.py; whole bodies in test_whole_body.py,
against closed forms and scipy.
"""


@pytest.mark.parametrize("cls", SOLVED, ids=lambda c: c.__name__)
def test_model_keeps_its_laws_when_solved(cls):
    model = cls.typical()
    problem = pose(model, dosed(model), TIMES)
    backend = choose(problem, Diffrax(rtol=RTOL, atol=ATOL))
    # One parameter on the trip to the outputs, for a gradient.
    name = next(iter(leaves(model)))
    value = float(leaves(model)[name])

    @jax.jit
    def solved(x):
        s = backend.solve(pose(bind(model, {name: x}), dosed(model), TIMES))
        total = sum(jnp.sum(o) for o in jax.tree.leaves(s.output))
        return total, s

    (_, solution), slope = jax.value_and_grad(solved, has_aux=True)(jnp.asarray(value))
    assert solution.result.tolist() == [0]
    assert set(leaves(solution.output)) == set(output_names(model))
    if cls.nonnegative:
        for state, y in leaves(solution.state).items():
            if state in cls.signed:
                continue
            scale = max(1.0, float(jnp.max(jnp.abs(y))))
            assert float(jnp.min(y)) > -10 * ATOL * scale, state
    h = 1e-4 * abs(value)
    difference = (solved(value + h)[0] - solved(value - h)[0]) / (2 * h)
    # central differences leave h^2 (1e-8 relative) and solver noise of 1e-9 / 1e-4 of the sum of outputs
    noise = 3e-5 * abs(float(solved(value)[0])) / abs(value)
    assert float(slope) == pytest.approx(float(difference), rel=1e-5, abs=noise)
    if Exact().refusal(problem) is None:
        exact = jax.jit(Exact().solve)(problem)
        for (output, a), b in zip(leaves(exact.output).items(), jax.tree.leaves(solution.output), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-7, err_msg=output)  # global error of rtol 1e-9 locally
    kernel = Fused(rtol=RTOL, atol=ATOL)
    if kernel.refusal(problem) is not None:
        assert cls is OneCompartmentTransit or not state_names(model)
        return

    def outputs(x):
        found = kernel.solve(pose(bind(model, {name: x}), dosed(model), TIMES))
        return found.output, found.state, found.result

    (output, state, result), (moved, *_) = jax.jvp(jax.jit(outputs), (jnp.asarray(value),), (jnp.ones(()),))
    assert result.tolist() == [0]
    for a, b in zip(jax.tree.leaves((output, state)), jax.tree.leaves((solution.output, solution.state)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-6)  # global errors of both
    total = sum(float(jnp.sum(x)) for x in jax.tree.leaves(moved))
    assert total == pytest.approx(float(slope), rel=1e-5, abs=noise)
