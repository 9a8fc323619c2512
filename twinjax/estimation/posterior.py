"""The posterior density of a population's parameters and its subjects' random effects, as samplers want it: of one
vector without constraints, with its gradient.
"""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from twinjax.estimation.likelihood import Observations, terms
from twinjax.estimation.methods.classes import log_shares, of_every_class
from twinjax.estimation.prediction import Design, Predictor, expand
from twinjax.estimation.small import cholesky
from twinjax.models.base import output_names
from twinjax.population.distributions import AbstractDistribution


class PosteriorDensity(eqx.Module):
    """Log density of a vector `(free + subjects * etas,)`: the parameters as `Transform` has them, then every
    subject's random effects as unit normals u, eta = chol(Omega) u (non-centred).

    Priors are densities of the natural parameters, so the log-determinant of the transform's derivative is added. The
    correlations of Omega that have no prior of their own have density det(R)^(shape - 1) by block (LKJ). Without the
    constants of the data's density and of u's. Of a mixture, which class a subject is of is summed over.

    **Parameters**: `priors` by name; `shape` of LKJ, `(blocks,)`: 1 for a block whose correlations have their own.
    **Reference**: non-centred: Betancourt & Girolami 2015, doi:10.1201/b18502-5; LKJ: Lewandowski, Kurowicka & Joe
    2009, doi:10.1016/j.jmva.2009.04.008.
    """

    predictor: Predictor
    design: Design
    priors: dict[str, AbstractDistribution]
    shape: tuple[float, ...] = eqx.field(static=True)

    @property
    def free(self) -> int:
        """How many parameters come first."""
        return len(self.predictor.transform.reported)

    @property
    def size(self) -> int:
        """Length of the vector."""
        return self.free + self.design.problem.patients * len(self.predictor.population.etas)

    def split(self, vector: Any) -> tuple[Any, Any]:
        """Parameters `(free,)` and random effects `(subjects, etas)`, no longer unit normals."""
        x, p = vector[: self.free], self.predictor.population
        unit = vector[self.free :].reshape(self.design.problem.patients, len(p.etas))
        if not p.etas:
            return x, unit
        return x, unit @ cholesky(p.omega(self.predictor.transform.unpack(x, p.theta))).T

    def join(self, x: Any, eta: Any) -> Any:
        """The vector of parameters and random effects."""
        p = self.predictor.population
        if not p.etas:
            return jnp.asarray(x)
        root = cholesky(p.omega(self.predictor.transform.unpack(x, p.theta)))
        return jnp.concatenate([x, jax.scipy.linalg.solve_triangular(root, eta.T, lower=True).T.reshape(-1)])

    def __call__(self, vector: Any) -> Any:
        """The log density; -inf where a subject cannot be solved. First derivatives in it only."""
        x, eta = self.split(vector)
        unit = vector[self.free :]
        found = -0.5 * jnp.sum(self.data(x, eta)[0]) - 0.5 * jnp.sum(unit * unit) + self.prior(x)
        return jnp.where(jnp.isfinite(found), found, -jnp.inf)

    def data(self, x: Any, eta: Any) -> tuple[Any, Any]:
        """`joint.data_term` `(subjects,)` and result codes, differentiable once; of a mixture, of all its classes."""
        weighed, result = self._by_class(x, eta)
        return -2.0 * (weighed[0] if weighed.shape[0] == 1 else jax.nn.logsumexp(weighed, axis=0)), result

    def classes(self, x: Any, eta: Any) -> Any:
        """How probable each class of a mixture is, given a subject's data and random effects, `(classes, subjects)`."""
        return jax.nn.softmax(self._by_class(x, eta)[0], axis=0)

    def _by_class(self, x: Any, eta: Any) -> tuple[Any, Any]:
        """Log of the probability of each class times the density given it `(classes, subjects)`, and result codes.

        Predictions are replaced by their tangent in the few numbers that individuals have, which costs one solve
        with that many forward sensitivities: several times less than reverse mode through a solve.
        """
        predictor, p = self.predictor, self.predictor.population
        design, shares = of_every_class(predictor, self.design), log_shares(predictor, x)
        eta = jnp.tile(eta, (shares.shape[0], 1))
        theta = predictor.transform.unpack(x, p.theta)
        outputs = output_names(p.model)
        z = predictor.every(x, eta, design)
        local = jax.lax.stop_gradient(predictor.local(jax.lax.stop_gradient(z), x, design, order=1))
        f = jax.vmap(expand)(local, z)

        def one(o: Observations, f: Any, eta: Any) -> Any:
            return jnp.sum(terms(p.errors(theta, eta), outputs, o, f).objective)

        value = jax.vmap(one)(design.observed, f, eta).reshape(shares.shape[0], -1)
        return shares[:, None] - 0.5 * value, jnp.max(local.result.reshape(value.shape), axis=0)

    def prior(self, x: Any) -> Any:
        """Log density of the parameters, in the vector."""
        transform = self.predictor.transform
        theta = transform.unpack(x, self.predictor.population.theta)
        found = transform.log_jacobian(x)
        for name, prior in self.priors.items():
            found = found + prior.log_density(theta[name])
        for shape, determinant in zip(self.shape, transform.log_correlations(x), strict=True):
            found = found + (shape - 1.0) * determinant
        return found
