"""Adaptive Gauss-Hermite quadrature of the marginal likelihood, with an exact gradient."""

from __future__ import annotations

import itertools
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from twinjax.estimation.likelihood import Observations
from twinjax.estimation.methods.base import AbstractObjective, Evaluation
from twinjax.estimation.methods.conditional import FOCEI
from twinjax.estimation.methods.mode import AbstractConditional, Modes
from twinjax.estimation.methods.points import joint_at, scale, solved
from twinjax.estimation.prediction import Design, Local, Predictor
from twinjax.population.population import Population

_MOST = 20_000
"""The most nodes a subject may have."""


class Quadrature(AbstractObjective):
    """The marginal likelihood by adaptive Gauss-Hermite quadrature on a grid about each subject's mode.

    -2 log of ``integral exp(-joint / 2) d eta`` is ``log det C - 2 log sum_q w_q exp(|u_q|^2 / 2 - joint(eta_q) / 2)``
    with ``eta_q = mode + L^-T u_q``, C = L L' the curvature at the mode, u_q and w_q nodes and weights of the normal
    density. Predictions at the nodes come from the solve itself, all nodes of all subjects in one batch.

    One node is Laplace's approximation with that curvature; with more the value converges to the exact marginal, for
    any curvature. The gradient is that of the sum as it stands: nodes move with the mode (by the implicit function
    theorem) and with the curvature. So it is exact in the parameters for the quadrature's own value, converged or not,
    and an optimiser's search ends where that value is least. A node whose solve fails counts as impossible, and
    its subject as not settled.

    **Parameters**: `nodes` for each random effect; `about`, which finds the modes and says the curvature: `FOCEI()`,
    or `Laplace()`, whose exact curvature needs third derivatives.
    **Reference**: Pinheiro & Bates 1995, doi:10.1080/10618600.1995.10474663; Liu & Pierce 1994,
    doi:10.1093/biomet/81.3.624.
    """

    conditional: ClassVar[bool] = True
    nodes: int = eqx.field(static=True, default=5)
    about: AbstractConditional = eqx.field(default_factory=FOCEI)

    def check(self, population: Population, observed: Observations) -> None:
        """Refuses a grid that is too large."""
        super().check(population, observed)
        self.about.check(population, observed)
        if self.nodes < 1:
            raise ValueError(f"a quadrature has at least one node, not {self.nodes}")
        etas = len(population.etas)
        if self.nodes**etas > _MOST:
            fewer = max(n for n in range(1, self.nodes) if n**etas <= _MOST)
            raise ValueError(
                f"{self.nodes} nodes for each of {etas} random effects are {self.nodes**etas} solves a subject, more "
                f"than {_MOST}: use {fewer} nodes or fewer, or ImportanceSampling, whose cost does not grow so"
            )

    def evaluate(self, predictor: Predictor, design: Design, x: Any, eta: Any) -> Evaluation:
        """Modes, then the sum over the grid about them."""
        x = jax.lax.stop_gradient(x)
        modes = self.about.modes(predictor, design, x, eta)
        standard, log_weight = _grid(self.nodes, eta.shape[1])
        at = jax.vmap(lambda m: scale(self.about, predictor, x, m)(standard))(modes)
        local, good = solved(predictor, design, x, at, order=1)

        def subject(x: Any, m: Modes, local: Local, good: Any) -> tuple[Any, Any]:
            placed = scale(self.about, predictor, x, m)
            joint = joint_at(predictor, x, placed(standard), local, good, m.case.observed, m.case.covariates)
            total = jax.nn.logsumexp(log_weight + 0.5 * jnp.sum(jnp.square(standard), axis=1) - 0.5 * joint)
            return placed.log_determinant - 2.0 * total, placed.sound & jnp.all(good)

        by = jax.vmap(jax.value_and_grad(subject, has_aux=True), in_axes=(None, 0, 0, 0))
        (value, sound), gradient = by(x, modes, local, good)
        return Evaluation(value, gradient, modes.eta, modes.case.local.result, modes.settled & sound)


def _grid(nodes: int, etas: int) -> tuple[Any, Any]:
    """Nodes `(nodes ** etas, etas)` of a standard normal density and the logarithms of their weights."""
    u, w = np.polynomial.hermite_e.hermegauss(nodes)
    log_w = np.log(w / np.sum(w))
    points = np.array(list(itertools.product(u, repeat=etas)))
    weights = np.array([sum(each) for each in itertools.product(log_w, repeat=etas)])
    return jnp.asarray(points), jnp.asarray(weights)
