"""Solves and objectives lower for CUDA on a machine without one: nothing in them is of the CPU alone."""

import equinox as eqx
import jax
import jax.export
import jax.numpy as jnp
import numpy as np
import pytest

import twinjax as tj
from twinjax.datasets import theophylline
from twinjax.estimation.engine import Engine
from twinjax.models import OneCompartmentOral, QuasiSteadyStateTMDD
from twinjax.solve.simulate import choose, pose

TIMES = np.linspace(0.0, 48.0, 7)
DOSES = tj.Regimen.dose(10.0, every=12.0, steady_state=1, additional=2) + tj.Regimen.infusion(5.0, over=2.0, at=7.0)


# A kernel's call is XLA's own, which export cannot know to stay stable from version to version.
KERNELS = jax.export.DisabledSafetyCheck.custom_call("__gpu$xla.gpu.ptx")


def lowered(function, *args):
    dynamic, static = eqx.partition(args, eqx.is_array)

    def program(dynamic):
        return eqx.filter(function(*eqx.combine(dynamic, static)), eqx.is_array)

    exported = jax.export.export(
        jax.jit(lambda x: jax.tree.leaves(program(x))), platforms=["cuda"], disabled_checks=[KERNELS]
    )(dynamic)
    assert exported.platforms == ("cuda",)
    return exported.mlir_module()


@pytest.mark.parametrize("backend", [tj.Exact(), tj.Diffrax(), tj.Fused()], ids=["exact", "diffrax", "fused"])
def test_a_cohort_lowers(backend):
    model = OneCompartmentOral(ka=jnp.linspace(1.0, 2.0, 3), cl=2.8, v=32.0)
    problem = pose(model, DOSES, TIMES)
    assert "stablehlo" in lowered(choose(problem, backend).solve, problem)


def test_a_stiff_nonlinear_model_lowers():
    model = QuasiSteadyStateTMDD.typical()
    problem = pose(model, tj.Regimen.dose(1.0), TIMES)
    assert "stablehlo" in lowered(choose(problem, tj.Diffrax(solver=None)).solve, problem)


def test_a_population_objective_lowers():
    population = tj.Population(
        OneCompartmentOral(ka=1.5, cl=2.8, v=32.0), variability={"cl": 0.3, "v": 0.2}, residual=tj.Additive(0.7)
    )
    engine = Engine.of(population, theophylline(), tj.FOCEI(), {}, None)
    x = engine.predictor.transform.pack(population.theta)

    def evaluate(design, x, eta):
        return tj.FOCEI().evaluate(engine.predictor, design, x, eta)

    assert "stablehlo" in lowered(evaluate, engine.design, x, engine.eta)
