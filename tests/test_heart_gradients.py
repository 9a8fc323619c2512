"""Gradients of a heart's rhythm, which take a kernel that carries derivatives."""

import jax
import jax.numpy as jnp
import numpy as np

from twinjax.electrophysiology.orbit import orbit
from twinjax.models import CiPACell
from twinjax.naming import bind, leaves


def test_gradients_through_the_orbit():
    """Net charge and APD90 of the periodic beat, backward, against central differences of orbits over 1 %.

    Steps at 1e-6 that change between neighbouring orbits leave 1e-4 of a difference, and h^2 1e-5.
    """
    cell, known, h = CiPACell.endocardial(), ("ikr.g", "ical.p", "inak.p"), 5e-3
    at = jnp.stack([leaves(cell)[n] for n in known])

    def measured(x):
        r = orbit(bind(cell, dict(zip(known, x, strict=True))), 2000.0)
        return jnp.stack([r.beat.qnet[:, 0], r.beat.apd90[:, 0]], axis=-1)

    slope = jax.jacrev(lambda x: measured(x)[0])(at) * at
    moved = measured(at[:, None] * (1.0 + h * jnp.concatenate([jnp.eye(3), -jnp.eye(3)], axis=1)))
    np.testing.assert_allclose(slope, (moved[:3] - moved[3:]).T / (2.0 * h), rtol=1e-3)
