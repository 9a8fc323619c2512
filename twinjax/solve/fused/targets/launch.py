"""The verb that runs a kernel on arrays, as one JAX primitive that is compiled for the device it is lowered for."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array
from jax.core import ShapedArray
from jax.extend.core import Primitive
from jax.interpreters import batching, mlir

from twinjax.solve.fused.targets import cpu, cuda
from twinjax.solve.fused.targets.seam import DTYPES, Kernel


def launch(kernel: Kernel, *arrays: Any) -> tuple[Array, ...]:
    """Run a kernel on every patient. It may stand in ``jit``, ``vmap``, ``scan``, ``cond`` and ``shard_map``
    (with ``check_vma=False``); it has no derivative of its own.

    Under ``vmap``, what is not batched is repeated in memory. Arrays that are spread over devices are gathered first,
    unless it stands in ``shard_map``.

    **Parameters**
    - kernel: what to run; nothing is compiled before a program that holds it is lowered
    - arrays: one for each input, (patients, ...) with as many elements per patient as the input has, of its dtype

    **Returns** one array for each output, (patients, size).

    **Raises**
    - ValueError: an array has another dtype or shape than its input
    """
    if len(arrays) != len(kernel.inputs):
        raise ValueError(f"the kernel takes {len(kernel.inputs)} arrays, not {len(arrays)}")
    given = [jnp.asarray(array) for array in arrays]
    patients = given[0].shape[0] if given[0].ndim else 0
    for i, (array, buffer) in enumerate(zip(given, kernel.inputs, strict=True)):
        if not buffer.matches(array) or array.shape[0] != patients:
            wide = "; switch on jax_enable_x64" if buffer.dtype.endswith("64") and array.dtype.itemsize == 4 else ""
            raise ValueError(
                f"input {i} must be {DTYPES[buffer.dtype]} of shape ({patients}, {buffer.size}), one row for each "
                f"patient, not {array.dtype} of shape {array.shape}{wide}"
            )
    shapes = [(patients, buffer.size) for buffer in kernel.inputs]
    return tuple(_run(kernel, [a if a.shape == s else a.reshape(s) for a, s in zip(given, shapes, strict=True)]))


def _run(kernel: Kernel, arrays: list[Array]) -> list[Array]:
    patients = arrays[0].shape[0]
    if patients == 0:  # a GPU has no empty grid
        return [jnp.zeros((0, b.size), DTYPES[b.dtype]) for b in kernel.outputs]
    return _launch.bind(*arrays, kernel=kernel)


def _shapes(*arrays: ShapedArray, kernel: Kernel) -> list[ShapedArray]:
    return [ShapedArray((arrays[0].shape[0], b.size), DTYPES[b.dtype]) for b in kernel.outputs]


@functools.cache
def _compiled(kernel: Kernel) -> Callable[..., list[Array]]:
    return jax.jit(functools.partial(_launch.bind, kernel=kernel))


def _eagerly(*arrays: Array, kernel: Kernel) -> list[Array]:
    return _compiled(kernel)(*arrays)


def _batched(arrays: list[Any], axes: list[int | None], *, kernel: Kernel) -> tuple[list[Array], list[int]]:
    """A further axis is further patients: what does not have it is repeated."""
    (count,) = {a.shape[axis] for a, axis in zip(arrays, axes, strict=True) if axis is not None}
    moved = [
        jnp.broadcast_to(a, (count, *a.shape)) if axis is None else jnp.moveaxis(a, axis, 0)
        for a, axis in zip(arrays, axes, strict=True)
    ]
    patients = moved[0].shape[1]
    results = _run(kernel, [a.reshape(count * patients, a.shape[2]) for a in moved])
    return [r.reshape(count, patients, r.shape[1]) for r in results], [0] * len(results)


_launch = Primitive("twinjax_launch")
_launch.multiple_results = True
_launch.def_impl(_eagerly)
_launch.def_abstract_eval(_shapes)
batching.primitive_batchers[_launch] = _batched
mlir.register_lowering(_launch, cpu.lower, platform="cpu")
mlir.register_lowering(_launch, cuda.lower, platform="cuda")
