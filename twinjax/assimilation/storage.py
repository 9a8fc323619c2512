"""Twins in files: everything but the population, which is code, and by which a file is checked when it is read."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from pathlib import Path
from typing import Any

import jax
import numpy as np

from twinjax.assimilation.belief import AbstractBelief, NormalBelief, Particles
from twinjax.assimilation.fingerprint import fingerprint
from twinjax.assimilation.history import History
from twinjax.assimilation.methods.base import AbstractAssimilation
from twinjax.assimilation.methods.mode import MAP
from twinjax.assimilation.states.belief import StateNormal, StateParticles
from twinjax.assimilation.twin import Twin, broken
from twinjax.estimation.result import Fit
from twinjax.population.population import Population
from twinjax.solve.problem import AbstractBackend

_BELIEFS: dict[str, type[AbstractBelief]] = {
    c.__name__: c for c in (NormalBelief, Particles, StateNormal, StateParticles)
}
FORMAT = 1


def to_dict(twin: Twin) -> dict[str, Any]:
    """A twin in plain numbers, without its population."""
    return {
        "format": FORMAT, "history": twin.history.to_dict(), "method": repr(twin.method), "seed": twin.seed,
        "belief": {"kind": type(twin.belief).__name__, "leaves": [np.asarray(x).tolist() for x in jax.tree.leaves(
            twin.belief)]},
        "trail": list(twin.trail),
    }  # fmt: skip


def from_dict(
    saved: dict[str, Any],
    prior: Population | Fit,
    *,
    method: AbstractAssimilation | None = None,
    backend: AbstractBackend | None = None,
) -> Twin:
    """The inverse, with the population that the twin is of.

    **Raises** `ValueError` for a file of another format, an audit trail that was altered, another method, or another
    population than that of the trail.
    """
    if saved.get("format") != FORMAT:
        raise ValueError(f"this is no twin of format {FORMAT}")
    trail = tuple(saved["trail"])
    if (at := broken(trail)) is not None:
        raise ValueError(f"entry {at} of the audit trail is not as it was written; do not rely on this twin")
    method = method or MAP()
    if saved["method"] != repr(method):
        raise ValueError(f"the twin learns by {saved['method']}; give it as method")
    history = History.from_dict(saved["history"])
    if history.hash != trail[-1]["data"]:
        raise ValueError("the data are not those that the audit trail ends with; do not rely on this twin")
    fresh = Twin.of(
        prior, id=history.id, covariates=dict(history.covariates), start=history.start,
        method=method, backend=backend, seed=saved["seed"],
    )  # fmt: skip
    if fingerprint(fresh.population) != trail[-1]["population"]:
        raise ValueError("the twin is of another population: its model, its numbers or their forms have changed since. "
                         "Begin a twin of the new one and give it the data of this one's history")  # fmt: skip
    kind = _BELIEFS[saved["belief"]["kind"]]
    belief = kind(*(np.asarray(x, float) for x in saved["belief"]["leaves"]))
    return Twin(fresh.population, history, belief, method, fresh.backend, saved["seed"], trail)


def save_twin(twin: Twin, file: str | Path) -> Path:
    """Write as JSON: the file is whole or is not there, whenever the process is stopped."""
    file = Path(file)
    file.parent.mkdir(parents=True, exist_ok=True)
    handle, part = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    try:
        with os.fdopen(handle, "w") as stream:
            json.dump(to_dict(twin), stream)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(part, file)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(part)
        raise
    return file


def load_twin(
    file: str | Path,
    prior: Population | Fit,
    *,
    method: AbstractAssimilation | None = None,
    backend: AbstractBackend | None = None,
) -> Twin:
    """A saved twin, with the population that it is of. See `from_dict` for what is refused."""
    return from_dict(json.loads(Path(file).read_text()), prior, method=method, backend=backend)
