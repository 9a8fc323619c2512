"""Which parameters enter a model only together with its random effects: what makes a closed M-step possible.

Where the individual model depends on eta and on some parameters x through ``phi = eta + C x`` alone (a typical value
that is multiplied by exp(eta), a power of a covariate on it), its data say nothing more of x once phi is known. Such
parameters are found from derivatives of the individual model, so nobody has to write a population in a special form.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from twinjax.estimation.prediction import Design, Predictor
from twinjax.naming import leaves
from twinjax.solve.compiling import compiled

_POINTS = 4
_SAME = 1e-8


def centring(predictor: Predictor, design: Design, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How parameters move the random effects' means, and which parameters do anything to the individual models.

    The derivatives of every subject's model are compared at several points about `x`: a column of C is kept where it
    is the same at all of them and explains all of the parameter's effect.

    **Returns** C `(subjects, etas, free)`, zero for a parameter that is not centred; whether each parameter reaches
    the models `(free,)`.
    """
    etas = len(predictor.population.etas)
    rng = np.random.default_rng(0)
    near = np.asarray(x) + 0.3 * rng.standard_normal((_POINTS, len(x)))
    about = 0.3 * rng.standard_normal((_POINTS, etas))
    value, by_x, by_eta = (
        np.asarray(a) for a in _derivatives(predictor, design, jnp.asarray(near), jnp.asarray(about))
    )
    scale = np.where(value[:1] == 0.0, 1.0, np.abs(value[:1]))[..., None]
    by_x, by_eta = by_x / scale, by_eta / scale  # (points, subjects, leaves, free or etas)
    size = np.abs(by_x).max(axis=(0, 1, 2))
    person = [i for i, n in enumerate(predictor.population.deviations) if not n.endswith(".occasion")]
    c, centred = _explained(by_x, by_eta, person, size)
    other, more = _explained(by_x, by_eta, list(range(etas)), size)
    return np.where(centred, c, np.where(more, other, 0.0)), size > 0


def _explained(by_x: np.ndarray, by_eta: np.ndarray, of: list[int], size: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """C with the random effects `of` alone, and for which parameters it is the same everywhere and explains all."""
    found = np.zeros((*by_x.shape[:2], by_eta.shape[-1], by_x.shape[-1]))
    found[:, :, of] = np.linalg.pinv(by_eta[..., of]) @ by_x
    left = np.abs(by_x - by_eta @ found).max(axis=(0, 1, 2))
    moved = np.abs(found - found[:1]).max(axis=(0, 1, 2))
    same = moved <= _SAME * (1.0 + np.abs(found).max(axis=(0, 1, 2)))
    return found[0], (size > 0) & (left <= _SAME * size) & same


@compiled
def _derivatives(predictor: Predictor, design: Design, x: Any, eta: Any) -> tuple[Any, Any, Any]:
    """Individual parameters `(points, subjects, leaves)` and their derivatives in x and eta."""
    p = predictor.population

    def individual(x: Any, eta: Any, own: Any) -> Any:
        theta = predictor.transform.unpack(x, p.theta)
        segments = design.problem.segments

        def one(c: Any) -> Any:
            return jnp.stack([jnp.asarray(v, float) for v in leaves(p.individual(theta, eta, c)).values()])

        return jnp.ravel(jax.vmap(one)(own) if own else jnp.tile(one(own), segments))

    def at(x: Any, eta: Any, own: Any) -> tuple[Any, Any, Any]:
        return individual(x, eta, own), *jax.jacfwd(individual, argnums=(0, 1))(x, eta, own)

    subjects = jax.vmap(at, in_axes=(None, None, 0), axis_size=design.problem.patients)
    return jax.vmap(subjects, in_axes=(0, 0, None))(x, eta, design.covariates)
