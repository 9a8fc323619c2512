"""What methods share that work about each subject's own mode: the search for it, and how it moves with the parameters.

Each subject's eta-hat, the mode of the joint density of data and eta, is found at frozen `x`; how it moves with `x`
follows from the implicit function theorem, so gradients through it are exact.
"""

from __future__ import annotations

import abc
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp

from twinjax.estimation.likelihood import Observations, moments, penalty, terms
from twinjax.estimation.methods.base import AbstractObjective, Evaluation
from twinjax.estimation.prediction import Design, Local, Predictor, expand
from twinjax.estimation.small import cholesky, inverse, log_determinant
from twinjax.models.base import output_names
from twinjax.observation import QUANTIFIED
from twinjax.population.population import Population

_NEAR = 1e-6
"""A mode is found where a step is expected to lower the joint -2 log density by less than this share of it."""


class Case(eqx.Module):
    """One subject near a point: predictions there, those at eta = 0 that the residual variance follows (None where it
    follows the individual's), measurements and covariates. All subjects' with a leading axis.
    """

    local: Local
    typical: Local | None
    observed: Observations
    covariates: dict[str, Any]


class Modes(eqx.Module):
    """Every subject at its mode, all with a leading subject axis.

    **Parameters**: `eta` `(etas,)`, the mode; `case`; `newton` `(etas, etas)`, the inverse second derivative of the
    joint -2 log density in eta there (the expected one where it is not positive definite); `settled`, whether the
    search ended at a mode.
    """

    eta: Any
    case: Case
    newton: Any
    settled: Any


class AbstractConditional(AbstractObjective):
    """Laplace's approximation of the marginal likelihood at each subject's mode, by some form of the curvature there.

    **Parameters**: `max_inner`, turns of the search for eta-hat; `tolerance`, expected decrease of the objective at
    which it ends.
    """

    conditional: ClassVar[bool] = True
    order: ClassVar[int] = 2
    """Derivatives of the predictions that its gradient needs."""
    polish: ClassVar[int] = 1
    """Newton steps by the polynomial that end a search for eta-hat."""
    max_inner: int = eqx.field(static=True, default=60)
    tolerance: float = eqx.field(static=True, default=1e-10)

    @property
    def interaction(self) -> bool:
        """Whether the residual variance follows the individual prediction."""
        return True

    def check(self, population: Population, observed: Observations) -> None:
        """Refuses residual errors that vary between people where their variance is that of eta = 0."""
        super().check(population, observed)
        if population.varying_errors and not self.interaction:
            raise ValueError(f"{self.name} takes residual errors at eta = 0, and {population.varying_errors[0]} varies "
                             "between people; use FOCEI or Laplace")  # fmt: skip

    @abc.abstractmethod
    def curvature(self, predictor: Predictor, x: Any, eta: Any, case: Case) -> tuple[Any, Any]:
        """Half the second derivative of the joint -2 log density in eta, `(etas, etas)`, in the method's own form, or a
        positive definite one in its place; whether it is its own.
        """

    def evaluate(self, predictor: Predictor, design: Design, x: Any, eta: Any) -> Evaluation:
        """Eta-hat for every subject, then the objective by the polynomial about it."""
        x = jax.lax.stop_gradient(x)
        modes = self.modes(predictor, design, x, eta)

        def subject(x: Any, m: Modes) -> tuple[Any, Any, Any, Any]:
            def marginal(eta: Any, x: Any) -> tuple[Any, Any]:
                scale, sound = self.curvature(predictor, x, eta, m.case)
                joint = self.joint(predictor, x, eta, m.case)
                return joint + log_determinant(scale), (sound, joint)

            by = jax.value_and_grad(marginal, argnums=(0, 1), has_aux=True)
            (value, (sound, joint)), (by_eta, by_x) = by(m.eta, x)
            # d eta-hat / dx = -joint_ee^-1 joint_ex (implicit function theorem), applied to the slope in eta
            pull = m.newton @ by_eta

            def along(x: Any) -> Any:
                return jax.jvp(lambda e: self.joint(predictor, x, e, m.case), (m.eta,), (pull,))[1]

            return value, by_x - jax.grad(along)(x), sound, joint

        value, gradient, sound, joint = jax.vmap(subject, in_axes=(None, 0))(x, modes)
        result = modes.case.local.result
        return Evaluation(value, gradient, modes.eta, result, modes.settled & sound, joint=joint)

    # ------------------------------------------------------------------------------------------------ one subject

    def joint(self, predictor: Predictor, x: Any, eta: Any, case: Case) -> Any:
        """-2 log of the joint density of data and eta, `local` predictions."""
        p = predictor.population
        theta = predictor.transform.unpack(x, p.theta)
        f = predicted(predictor, x, eta, case)
        at = _variance_at(predictor, x, case)
        data = terms(p.errors(theta, eta), output_names(p.model), case.observed, f, at)
        return jnp.sum(data.objective) + penalty(p.omega(theta), eta)

    def hessian(self, predictor: Predictor, x: Any, eta: Any, case: Case) -> Any:
        """The second derivative of `joint` in eta, `(etas, etas)`."""
        return jax.jacfwd(jax.grad(lambda e: self.joint(predictor, x, e, case)))(eta)

    def gauss_newton(self, predictor: Predictor, x: Any, eta: Any, case: Case) -> Any:
        """Half the expected second derivative of `joint` in eta, `(etas, etas)`."""
        p = predictor.population
        theta = predictor.transform.unpack(x, p.theta)
        f = predicted(predictor, x, eta, case)
        slope = jax.jacfwd(lambda e: predicted(predictor, x, e, case))(eta)
        at = _variance_at(predictor, x, case)
        data = terms(p.errors(theta, eta), output_names(p.model), case.observed, f, at)
        return data.curvature(slope) + _of_errors(p, theta, eta, case.observed, f, slope) + inverse(p.omega(theta))

    # ------------------------------------------------------------------------------------------------ all subjects

    def modes(self, predictor: Predictor, design: Design, x: Any, eta: Any) -> Modes:
        """Every subject's mode at frozen `x`, searched from `eta` `(subjects, etas)`."""
        x = jax.lax.stop_gradient(x)
        typical = None
        if not self.interaction:
            zero = predictor.every(x, jnp.zeros_like(eta), design)
            typical = predictor.local(zero, x, design, order=1)
        eta, settled = self.eta_hat(predictor, design, x, jax.lax.stop_gradient(eta), typical)
        local = predictor.local(predictor.every(x, eta, design), x, design, order=self.order, eta=self.order - 1)

        def subject(eta: Any, case: Case) -> tuple[Any, Any, Any]:
            value, slope = jax.value_and_grad(lambda e: self.joint(predictor, x, e, case))(eta)
            hessian = self.hessian(predictor, x, eta, case)
            regular = jnp.all(jnp.isfinite(cholesky(hessian)))
            newton = inverse(jnp.where(regular, hessian, 2.0 * self.gauss_newton(predictor, x, eta, case)))
            move = newton @ slope
            decrease = 0.5 * jnp.dot(slope, move) / (1.0 + jnp.abs(value))
            return eta - jnp.where(decrease < 100.0 * _NEAR, move, 0.0), newton, regular & (decrease < _NEAR)

        def polish(_: Any, found: tuple[Any, Any, Any]) -> tuple[Any, Any, Any]:
            """A last Newton step, by the polynomial."""
            eta, newton, near = jax.vmap(subject)(found[0], case)
            return eta, newton, found[2] | near

        case = Case(local, typical, design.observed, design.covariates)
        start = (eta, jnp.zeros((*eta.shape, eta.shape[1])), settled)
        eta, newton, settled = jax.lax.fori_loop(0, self.polish, polish, start)
        return Modes(eta, case, newton, settled)

    def eta_hat(self, predictor: Predictor, design: Design, x: Any, eta: Any, typical: Any) -> tuple[Any, Any]:
        """Every subject's mode by a damped Gauss-Newton search, its Hessian corrected by the last step; one solve for
        all subjects a turn; whether each settled.
        """

        def assess(eta: Any, case: Case) -> tuple[Any, Any, Any]:
            joint, slope = jax.value_and_grad(lambda e: self.joint(predictor, x, e, case))(eta)
            return joint, slope, self.gauss_newton(predictor, x, eta, case)

        def pending(c: _Search) -> Any:
            return jnp.any(~c.done) & (c.turns < self.max_inner)

        def turn(c: _Search) -> _Search:
            asked = _asked(design, c.done)
            local = predictor.local(predictor.every(x, c.trial, design), x, asked, order=1, eta=1)
            case = Case(local, typical, design.observed, design.covariates)
            joint, slope, curvature = jax.vmap(assess)(c.trial, case)
            better = ~c.done & (joint <= c.joint) & jnp.isfinite(joint)
            gained = (c.joint - joint) / c.expected
            less = jnp.where(gained > 0.5, 0.1, jnp.where(gained > 0.25, 0.3, 1.0))
            damping = jnp.where(better, c.damping * less, jnp.maximum(c.damping, 1e-2) * 5.0)

            def keep(new: Any, old: Any) -> Any:
                return jnp.where(better.reshape((-1,) + (1,) * (new.ndim - 1)), new, old)

            moved, bent = keep(c.trial - c.eta, c.moved), keep(slope - c.slope, c.bent)
            eta, slope, curvature = keep(c.trial, c.eta), keep(slope, c.slope), keep(curvature, c.curvature)

            def step(slope: Any, curvature: Any, damping: Any, moved: Any, bent: Any) -> tuple[Any, Any, Any]:
                hessian = _corrected(2.0 * curvature, moved, bent)
                damped = hessian + damping * jnp.diag(jnp.diag(hessian))
                move = -inverse(damped) @ slope
                return move, -(slope @ move + 0.5 * move @ hessian @ move), slope @ inverse(hessian) @ slope

            move, expected, decrease = jax.vmap(step)(slope, curvature, damping, moved, bent)
            done = c.done | (better & (decrease < self.tolerance)) | (damping > 1e8)
            joint = jnp.where(better, joint, c.joint)
            settled = decrease < _NEAR * (1.0 + jnp.abs(joint))  # in rounding, no turn may be better than the last
            trial = jnp.where(done[:, None], eta, eta + move)
            return _Search(
                eta, trial, joint, slope, curvature, moved, bent, damping, expected, done, settled, c.turns + 1
            )

        subjects, etas = eta.shape
        begin = _Search(
            eta, eta, jnp.full(subjects, jnp.inf), jnp.zeros_like(eta),
            jnp.broadcast_to(jnp.eye(etas), (subjects, etas, etas)), jnp.zeros_like(eta), jnp.zeros_like(eta),
            jnp.full(subjects, 1e-3), jnp.ones(subjects), jnp.zeros(subjects, bool), jnp.zeros(subjects, bool),
            jnp.zeros((), int),
        )  # fmt: skip
        found = jax.lax.while_loop(pending, turn, begin)
        return found.eta, found.settled


def predicted(predictor: Predictor, x: Any, eta: Any, case: Case) -> Any:
    """One subject's predictions by the polynomial, `(samples,)`."""
    return expand(case.local, predictor.coordinates(x, eta, case.covariates))


def _of_errors(p: Population, theta: Any, eta: Any, o: Observations, f: Any, slope: Any) -> Any:
    """What is known of eta besides, `(etas, etas)`, where quantified values' residual errors vary with it themselves.

    Of a normal value of variance V it is half the outer product of d log V / d eta, less the part by way of the
    predictions alone, which `Terms.information` holds.
    """
    if not p.varying_errors:
        return jnp.zeros(())
    outputs = output_names(p.model)

    def log_variance(eta: Any) -> Any:
        variance = moments(p.errors(theta, eta), outputs, o, f).variance
        known = o.there & (o.censored == QUANTIFIED) & (variance > 0)
        return jnp.where(known, jnp.log(jnp.where(known, variance, 1.0)), 0.0)

    own, m = jax.jacfwd(log_variance)(eta), moments(p.errors(theta, eta), outputs, o, f)
    there = m.variance > 0
    through = jnp.where(there, m.variance_slope / jnp.where(there, m.variance, 1.0), 0.0)[:, None] * slope
    both = own.T @ through
    return 0.5 * (own.T @ own + both + both.T)


def _variance_at(predictor: Predictor, x: Any, case: Case) -> Any:
    if case.typical is None:
        return None
    return expand(case.typical, predictor.coordinates(x, jnp.zeros(len(predictor.population.etas)), case.covariates))


def _asked(design: Design, done: Any) -> Design:
    """The design of a turn: those who are done are solved no further than to their first sample, and not looked at."""
    time = design.problem.time
    return eqx.tree_at(lambda d: d.problem.time, design, jnp.where(done[:, None], time[:, :1], time))


def _corrected(hessian: Any, moved: Any, bent: Any) -> Any:
    """A second derivative made to agree with how the slope changed over the last step, where that keeps it positive.

    The expected information alone lets the search crawl where residuals are large. BFGS's update of a structured
    Hessian: Dennis, Gay & Welsch 1981, ACM Trans Math Softw 7:348, doi:10.1145/355958.355965.
    """
    expected = hessian @ moved
    ours, theirs = moved @ expected, moved @ bent
    sound = (theirs > 1e-3 * ours) & (ours > 0) & (theirs < 1e3 * ours)
    update = jnp.outer(bent, bent) / jnp.where(sound, theirs, 1.0) - jnp.outer(expected, expected) / jnp.where(
        sound, ours, 1.0
    )
    return hessian + jnp.where(sound, update, 0.0)


class _Search(eqx.Module):
    eta: Any
    trial: Any
    joint: Any
    slope: Any
    curvature: Any
    moved: Any
    bent: Any
    damping: Any
    expected: Any
    done: Any
    settled: Any
    turns: Any
