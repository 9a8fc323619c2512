"""FOCE and FOCEI: a population linearised at each subject's own eta-hat, with an exact gradient.

Each subject's eta-hat is found at frozen `x`, and how it moves with `x` follows from the implicit function theorem, so
the gradient of the objective is exact. The covariance step differences that gradient.
"""

from __future__ import annotations

from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp

from twinjax.estimation.implicit import second_derivative
from twinjax.estimation.likelihood import Observations, penalty, terms
from twinjax.estimation.methods.base import AbstractObjective, Evaluation
from twinjax.estimation.prediction import Design, Local, Predictor, expand
from twinjax.estimation.small import cholesky, inverse, log_determinant
from twinjax.models.base import output_names
from twinjax.population.population import Population


class FOCEI(AbstractObjective):
    """First-order conditional estimation with interaction: linearised at each subject's own eta-hat.

    **Parameters**: `max_inner`, turns of the search for eta-hat; `tolerance`, expected decrease of the objective at
    which it ends.
    **Reference**: Lindstrom & Bates 1990, doi:10.2307/2532087; Wang 2007, doi:10.1007/s10928-007-9060-6; gradient
    through eta-hat: Almquist, Leander & Jirstrand 2015, doi:10.1007/s10928-015-9409-1.
    """

    conditional: ClassVar[bool] = True
    max_inner: int = eqx.field(static=True, default=60)
    tolerance: float = eqx.field(static=True, default=1e-10)

    @property
    def interaction(self) -> bool:
        """Whether the residual variance follows the individual prediction."""
        return True

    def check(self, population: Population, observed: Observations) -> None:
        """Refuses likelihoods of several predictions, of whose curvature it would know too little. One of a single
        prediction counts by its information.
        """
        super().check(population, observed)
        several = [n for n, e in population.errors(population.theta).likelihoods.items() if e.reads]
        if several:
            raise ValueError(f"{self.name} has only an expected curvature, which says too little of the likelihood of "
                             f"{', '.join(several)}; use Laplace()")  # fmt: skip

    def evaluate(self, predictor: Predictor, design: Design, x: Any, eta: Any) -> Evaluation:
        """Eta-hat for every subject, then the objective by the polynomial about it."""
        x = jax.lax.stop_gradient(x)
        typical = None
        if not self.interaction:
            zero = predictor.every(x, jnp.zeros_like(eta), design)
            typical = predictor.local(zero, x, design, order=1)
        eta, settled = self.eta_hat(predictor, design, x, jax.lax.stop_gradient(eta), typical)
        local = predictor.local(predictor.every(x, eta, design), x, design, order=2)

        def subject(x: Any, eta: Any, local: Local, typical: Any, o: Observations, own: Any) -> tuple[Any, Any, Any]:
            def joint(eta: Any, x: Any) -> Any:
                return self._joint(predictor, x, eta, local, typical, o, own)

            def marginal(eta: Any, x: Any) -> Any:
                return joint(eta, x) + log_determinant(self._curvature(predictor, x, eta, local, typical, o, own))

            slope = jax.grad(joint)
            hessian = jax.jacfwd(slope)(eta, x)
            regular = jnp.all(jnp.isfinite(cholesky(hessian)))
            gauss_newton = 2.0 * self._curvature(predictor, x, eta, local, typical, o, own)
            newton = inverse(jnp.where(regular, hessian, gauss_newton))
            eta = eta - newton @ slope(eta, x)  # a last Newton step, by the polynomial
            value, (by_eta, by_x) = jax.value_and_grad(marginal, argnums=(0, 1))(eta, x)
            # d eta-hat / dx = -joint_ee^-1 joint_ex (implicit function theorem), applied to the slope in eta
            pull = newton @ by_eta
            through = jax.grad(lambda x: jax.jvp(lambda e: joint(e, x), (eta,), (pull,))[1])(x)
            return value, by_x - through, eta

        axes = (None, 0, 0, 0, 0, 0)
        value, gradient, refined = jax.vmap(subject, in_axes=axes)(
            x, eta, local, typical, design.observed, design.covariates
        )
        return Evaluation(value, gradient, refined, local.result, settled)

    def second_derivatives(self, predictor: Predictor, design: Design, x: Any, eta: Any) -> Any:
        """By third derivatives of the predictions."""
        x, eta = jax.lax.stop_gradient(x), jax.lax.stop_gradient(eta)
        typical = None
        if not self.interaction:
            zero = predictor.every(x, jnp.zeros_like(eta), design)
            typical = predictor.local(zero, x, design, order=2)
        local = predictor.local(predictor.every(x, eta, design), x, design, order=3)

        def subject(eta: Any, local: Local, typical: Any, o: Observations, own: Any) -> Any:
            def joint(eta: Any, x: Any) -> Any:
                return self._joint(predictor, x, eta, local, typical, o, own)

            def marginal(eta: Any, x: Any) -> Any:
                return joint(eta, x) + log_determinant(self._curvature(predictor, x, eta, local, typical, o, own))

            return second_derivative(joint, marginal, eta, x)

        return jax.vmap(subject)(eta, local, typical, design.observed, design.covariates)

    def _predict(self, predictor: Predictor, x: Any, eta: Any, local: Local, own: Any) -> Any:
        return expand(local, predictor.coordinates(x, eta, own))

    def _variance_at(self, predictor: Predictor, x: Any, typical: Any, own: Any) -> Any:
        if typical is None:
            return None
        return expand(typical, predictor.coordinates(x, jnp.zeros(len(predictor.population.etas)), own))

    def _joint(
        self, predictor: Predictor, x: Any, eta: Any, local: Local, typical: Any, o: Observations, own: Any
    ) -> Any:
        """-2 log of the joint density of data and eta, `local` predictions."""
        p = predictor.population
        theta = predictor.transform.unpack(x, p.theta)
        f = self._predict(predictor, x, eta, local, own)
        data = terms(p.errors(theta), output_names(p.model), o, f, self._variance_at(predictor, x, typical, own))
        return jnp.sum(data.objective) + penalty(p.omega(theta), eta)

    def _curvature(
        self, predictor: Predictor, x: Any, eta: Any, local: Local, typical: Any, o: Observations, own: Any
    ) -> Any:
        """Half the expected second derivative of `_joint` in eta, `(etas, etas)`."""
        p = predictor.population
        theta = predictor.transform.unpack(x, p.theta)
        f = self._predict(predictor, x, eta, local, own)
        slope = jax.jacfwd(lambda e: self._predict(predictor, x, e, local, own))(eta)
        data = terms(p.errors(theta), output_names(p.model), o, f, self._variance_at(predictor, x, typical, own))
        return data.curvature(slope) + inverse(p.omega(theta))

    def eta_hat(self, predictor: Predictor, design: Design, x: Any, eta: Any, typical: Any) -> tuple[Any, Any]:
        """Every subject's mode by a damped Gauss-Newton search, one solve for all subjects a turn; whether each
        settled.
        """

        def assess(eta: Any, local: Local, typical: Any, o: Observations, own: Any) -> tuple[Any, Any, Any]:
            joint, slope = jax.value_and_grad(lambda e: self._joint(predictor, x, e, local, typical, o, own))(eta)
            return joint, slope, self._curvature(predictor, x, eta, local, typical, o, own)

        def pending(c: _Search) -> Any:
            return jnp.any(~c.done) & (c.turns < self.max_inner)

        def turn(c: _Search) -> _Search:
            local = predictor.local(predictor.every(x, c.trial, design), x, design, order=1)
            joint, slope, curvature = jax.vmap(assess)(c.trial, local, typical, design.observed, design.covariates)
            better = (joint <= c.joint) & jnp.isfinite(joint)
            damping = jnp.where(better, c.damping * 0.1, jnp.maximum(c.damping, 1e-3) * 10.0)

            def keep(new: Any, old: Any) -> Any:
                return jnp.where(better.reshape((-1,) + (1,) * (new.ndim - 1)), new, old)

            eta, slope, curvature = keep(c.trial, c.eta), keep(slope, c.slope), keep(curvature, c.curvature)

            def step(slope: Any, curvature: Any, damping: Any) -> tuple[Any, Any]:
                damped = curvature + damping * jnp.diag(jnp.diag(curvature))
                move = -0.5 * inverse(damped) @ slope
                return move, -jnp.dot(move, slope)

            move, decrease = jax.vmap(step)(slope, curvature, damping)
            done = c.done | (better & (decrease < self.tolerance)) | (damping > 1e8)
            joint = jnp.where(better, joint, c.joint)
            settled = decrease < 1e-4 * (1.0 + jnp.abs(joint))  # in rounding, no turn may be better than the last
            trial = jnp.where(done[:, None], eta, eta + move)
            return _Search(eta, trial, joint, slope, curvature, damping, done, settled, c.turns + 1)

        subjects, etas = eta.shape
        begin = _Search(
            eta, eta, jnp.full(subjects, jnp.inf), jnp.zeros_like(eta),
            jnp.broadcast_to(jnp.eye(etas), (subjects, etas, etas)),
            jnp.full(subjects, 1e-3), jnp.zeros(subjects, bool), jnp.zeros(subjects, bool), jnp.zeros((), int),
        )  # fmt: skip
        found = jax.lax.while_loop(pending, turn, begin)
        return found.eta, found.settled


class FOCE(FOCEI):
    """First-order conditional estimation without interaction: the residual variance is that of the typical prediction
    (eta = 0).
    """

    @property
    def interaction(self) -> bool:
        """No."""
        return False


class _Search(eqx.Module):
    eta: Any
    trial: Any
    joint: Any
    slope: Any
    curvature: Any
    damping: Any
    done: Any
    settled: Any
    turns: Any
