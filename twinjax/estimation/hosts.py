"""A population's subjects shared out among the processes of `jax.distributed`, so that a fit runs over several hosts.

Every process runs the same program on the same data, evaluates its own share of the subjects and is given everyone's
objectives and gradients, in the subjects' order: all of them take the same steps and come to the same fit. ::

    jax.distributed.initialize()  # on every host, before anything else
    fit = tj.fit(population, trial)

What passes between hosts is a few numbers a subject at each evaluation.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils


def share(subjects: int) -> np.ndarray | None:
    """The numbers of the subjects that this process evaluates; None if it is the only one.

    Every process has as many: where they do not come out even, the last subject is evaluated more than once.
    """
    if jax.process_count() == 1:
        return None
    size = -(-subjects // jax.process_count())
    return np.minimum(jax.process_index() * size + np.arange(size), subjects - 1)


def gathered(own: Any, subjects: int) -> Any:
    """Every process's share, one after another: leaves `(share, ...)` become `(subjects, ...)`."""
    every = multihost_utils.process_allgather(jax.device_get(own))
    return jax.tree.map(lambda x: jnp.asarray(x.reshape(-1, *x.shape[2:])[:subjects]), every)
