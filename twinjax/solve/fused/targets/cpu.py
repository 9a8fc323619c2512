"""Kernels on a CPU: compiled for this very processor and registered with XLA under a name that tells their content.

The name and not an address stands in JAX's programs, so JAX's own compilation cache may keep them: in another process
the lowering, which JAX does before it looks in its cache, registers the same name again.
"""

from __future__ import annotations

import ctypes
import threading
from typing import Any

import jax

from twinjax.solve.fused.targets import llvm
from twinjax.solve.fused.targets.cache import digest, kept
from twinjax.solve.fused.targets.handler import HANDLER, handler_ir
from twinjax.solve.fused.targets.seam import Kernel

_LOCK = threading.RLock()
_REGISTERED: set[str] = set()


def lower(ctx: Any, *operands: Any, kernel: Kernel) -> Any:
    """The rule by which JAX puts a kernel into a program for a CPU."""
    return jax.ffi.ffi_lowering(target(kernel))(ctx, *operands)


def target(kernel: Kernel) -> str:
    """Compile a kernel, or load it from disk, and register it with XLA: the name by which XLA calls it.

    **Raises**
    - ValueError: llvmlite is missing or too old, or the text calls a function from outside
    """
    why = llvm.missing()
    if why is not None:
        raise ValueError(why)
    handler = handler_ir(kernel)
    content = digest(kernel.key, kernel.lanes, handler, llvm.compiler(), *llvm.host())
    name = f"twinjax.{content}"
    with _LOCK:
        if name not in _REGISTERED:
            code = kept(f"{content}.o", lambda: llvm.object_code(kernel.emit(kernel.lanes) + handler))
            address = llvm.load(code, HANDLER)
            jax.ffi.register_ffi_target(name, jax.ffi.pycapsule(ctypes.c_void_p(address)), platform="cpu")
            _REGISTERED.add(name)
    return name
