"""Kernels on a CUDA device: the same text for one lane, compiled to PTX, which XLA loads and launches itself.

The PTX travels inside the program, so that it lowers, exports and is cached on a machine without a GPU. XLA's custom
call for it is a name of its own that no document promises: `available` tries it on a device, where there is one.
"""

from __future__ import annotations

import functools
import os
import re
from typing import Any

import jax
import numpy as np

from twinjax.solve.fused.targets import llvm
from twinjax.solve.fused.targets.cache import digest, kept
from twinjax.solve.fused.targets.seam import Kernel

TARGET = "__gpu$xla.gpu.ptx"
"""XLA's custom call: to export a program needs ``jax.export.DisabledSafetyCheck.custom_call(TARGET)``."""

ENTRY = "twinjax_entry"

_PTX = {70: 63, 75: 63, 80: 70, 86: 71, 87: 74, 89: 78, 90: 78}
"""The oldest version of PTX that knows each architecture. A later device runs what was written for an earlier one: the
newest here is no limit, and the text of a double-precision solve is the same for all of them."""


def lower(ctx: Any, *operands: Any, kernel: Kernel) -> Any:
    """The rule by which JAX puts a kernel into a program for a CUDA device."""
    patients = ctx.avals_in[0].shape[0]
    attributes = {
        "name": ENTRY,
        "kernel_type": "ptx",
        "kernel_data": ptx(kernel, patients),
        "shared_mem_bytes": np.int32(0),
        # without these places XLA may merge arguments that share a buffer, and pass fewer than the entry takes
        "output_indices": [len(kernel.inputs) + i for i in range(len(kernel.outputs))],
    }
    grid = {"x": -(-patients // kernel.threads), "y": 1, "z": 1}
    block = {"x": kernel.threads, "y": 1, "z": 1}
    attributes |= {f"grid_{axis}": np.int32(n) for axis, n in grid.items()}
    attributes |= {f"block_{axis}": np.int32(n) for axis, n in block.items()}
    return jax.ffi.ffi_lowering(TARGET)(ctx, *operands, **attributes)


def ptx(kernel: Kernel, patients: int, architecture: str | None = None) -> str:
    """A kernel's PTX for a number of patients.

    **Parameters**
    - architecture: such as ``sm_90``; unsaid, that of the oldest CUDA device here, or ``TWINJAX_CUDA_ARCH`` where there
      is none, or ``sm_75``. Devices of that architecture and all later ones can run it
    """
    wanted = architecture or _device() or os.environ.get("TWINJAX_CUDA_ARCH", "sm_75")
    number = _number(wanted)
    known = max((n for n in _PTX if n <= number), default=None)
    if known is None:
        raise ValueError(f"sm_{number} is too old: kernels need sm_{min(_PTX)} or later")
    return _for_patients(_text(kernel, known), patients)


@functools.cache
def _text(kernel: Kernel, number: int) -> str:
    """The PTX of a kernel for one patient; the number of patients is a constant in memory, so as to be replaced."""
    entry = _entry(kernel)
    name = digest(kernel.key, number, entry, llvm.compiler())
    make = functools.partial(_compile, kernel, entry, number)
    return kept(f"{name}.ptx", make).decode()


def _compile(kernel: Kernel, entry: str, number: int) -> bytes:
    text = llvm.ptx(kernel.emit(1) + entry, f"sm_{number}", _PTX[number])
    _for_patients(text, 1)
    return text.encode()


def _for_patients(text: str, patients: int) -> str:
    replaced, times = re.subn(r"(\.u64 twinjax_patients) = \d+;", rf"\1 = {patients};", text)
    if times != 1:
        raise ValueError(f"the number of patients stands {times} times in the PTX")
    return replaced


def _entry(kernel: Kernel) -> str:
    """One thread serves one patient; LLVM inlines `solve` and the arrays of pointers vanish."""
    buffers = [("in", i) for i in range(len(kernel.inputs))] + [("out", i) for i in range(len(kernel.outputs))]
    parameters = ", ".join(f"ptr noalias {'readonly ' if side == 'in' else ''}%{side}{i}" for side, i in buffers)
    stores = "\n".join(
        f"  %{side}{i}.at = getelementptr ptr, ptr %{side}, i64 {i}\n  store ptr %{side}{i}, ptr %{side}{i}.at"
        for side, i in buffers
    )
    return f"""
@twinjax_patients = addrspace(4) externally_initialized global i64 1
declare i32 @llvm.nvvm.read.ptx.sreg.tid.x()
declare i32 @llvm.nvvm.read.ptx.sreg.ctaid.x()
define ptx_kernel void @{ENTRY}({parameters}) #91 {{
  %in = alloca [{len(kernel.inputs)} x ptr], align 8
  %out = alloca [{len(kernel.outputs)} x ptr], align 8
{stores}
  %thread = call i32 @llvm.nvvm.read.ptx.sreg.tid.x()
  %block = call i32 @llvm.nvvm.read.ptx.sreg.ctaid.x()
  %thread.wide = zext i32 %thread to i64
  %block.wide = zext i32 %block to i64
  %first = mul nuw nsw i64 %block.wide, {kernel.threads}
  %patient = add nuw nsw i64 %first, %thread.wide
  %next = add nuw nsw i64 %patient, 1
  %patients = load i64, ptr addrspace(4) @twinjax_patients
  %serves = icmp slt i64 %patient, %patients
  br i1 %serves, label %serve, label %end
serve:
  call void @solve(ptr %in, ptr %out, i64 %patient, i64 %next)
  br label %end
end:
  ret void
}}
attributes #91 = {{ nounwind "nvvm.maxntid"="{kernel.threads}" "nvvm.minctasm"="1" }}
"""


@functools.cache
def devices() -> tuple[Any, ...]:
    """The CUDA devices of this process."""
    try:
        return tuple(jax.local_devices(backend="cuda"))
    except RuntimeError:
        return ()


def _device() -> str | None:
    """The least compute capability of the CUDA devices here, such as 90 for 9.0; None without any."""
    return min((d.compute_capability.replace(".", "") for d in devices()), key=int, default=None)


def _number(architecture: str) -> int:
    found = re.fullmatch(r"(?:sm_)?(\d+)", architecture)
    if not found:
        raise ValueError(f"a CUDA architecture is such as sm_90, not {architecture!r}")
    return int(found[1])
