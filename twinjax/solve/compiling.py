"""How twinjax compiles its own programs, once for each shape of problem, and where it keeps what was compiled."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
from jax.core import Tracer

_QUICK = {"xla_cpu_use_fusion_emitters": False, "xla_backend_optimization_level": 1}
"""On a CPU: the older emitter and LLVM's first level halve the time to compile, and measured no slower to run, as the
work is many small matrices and short vectors."""


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """`equinox.filter_jit` with twinjax's compiler options. Inside another jit it is a plain part of that program."""
    filter_jit: Any = eqx.filter_jit  # its type does not show that it passes options on to jax.jit
    inner = filter_jit(function)

    @functools.cache
    def outer() -> Callable[..., Any]:
        return filter_jit(function, compiler_options=compiler_options()) if compiler_options() else inner

    @functools.wraps(function)
    def call(*args: Any) -> Any:
        traced = any(isinstance(x, Tracer) for x in jax.tree.leaves(args))
        return inner(*args) if traced else outer()(*args)

    return call


@functools.cache
def compiler_options() -> dict[str, Any]:
    """Those of `_QUICK` that this XLA knows and that XLA_FLAGS does not set already; none where the default device is
    not a CPU.
    """
    if jax.default_backend() != "cpu":
        return {}
    known = {}
    for name, value in _QUICK.items():
        if name in os.environ.get("XLA_FLAGS", ""):
            continue
        try:
            jax.jit(lambda x: x, compiler_options={name: value}).lower(0.0).compile()
        except Exception:  # an option that another version of XLA has dropped
            continue
        known[name] = value
    return known


def cache_folder() -> Path | None:
    """``TWINJAX_CACHE``; where that is empty or ``on``, a folder in the user's caches; None where it is ``off``. A
    folder of such a name is meant by ``./on``.
    """
    said = os.environ.get("TWINJAX_CACHE", "").strip()
    if said.lower() in ("off", "0", "false", "no"):
        return None
    if said.lower() not in ("", "on", "1", "true", "yes"):
        return Path(said).expanduser()
    if sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    elif sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "twinjax" / "compiled"
