"""Which model and which population: a hash of equations, parameters and variability."""

from __future__ import annotations

import functools
import inspect
from typing import Any

import equinox as eqx
import jax

from twinjax.assimilation.history import digest
from twinjax.naming import leaves
from twinjax.population.population import Population


def fingerprint(population: Population) -> str:
    """SHA-256 of a population: its model's source code and every number, name and form of it."""
    plain = {
        "model": sorted({_source(type(m)) for m in _modules(population.model)}),
        "values": {n: float(v) for n, v in leaves(population.model).items()},
        "theta": {n: float(v) for n, v in sorted(population.theta.items())},
        "forms": {
            what: {n: _form(v) for n, v in sorted(getattr(population, what).items())}
            for what in ("scales", "effects", "residuals", "quantification")
        },
        "across": [population.crosswise, population.in_time, population.blocks, str(population.occasions)],
        "mixture": str(population.mixture),
        "individual": "" if population.write_out is None else _source(population.write_out),
    }
    return digest(plain)


def _form(thing: Any) -> str:
    """A module's class and what is fixed about it; its numbers are in theta."""
    if isinstance(thing, tuple):
        return ", ".join(map(_form, thing))
    return type(thing).__name__ + str(jax.tree.structure(thing))


def _modules(model: Any) -> list[Any]:
    inner = [x for x in jax.tree.leaves(model, is_leaf=lambda x: isinstance(x, eqx.Module) and x is not model)]
    return [model, *(m for x in inner if isinstance(x, eqx.Module) for m in _modules(x))]


@functools.lru_cache(maxsize=256)
def _source(thing: Any) -> str:
    """The source code of a class or function; its name where there is none to read."""
    try:
        return inspect.getsource(thing)
    except (OSError, TypeError):
        code = getattr(thing, "__code__", None)
        return f"{getattr(thing, '__qualname__', type(thing).__name__)}{code.co_code.hex() if code else ''}"
