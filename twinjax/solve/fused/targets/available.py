"""Can kernels run here? Asked once for each platform, and tried rather than looked up."""

from __future__ import annotations

import functools
from typing import Any

import jax
import numpy as np

from twinjax.solve.fused.targets import cpu, cuda, llvm
from twinjax.solve.fused.targets.launch import launch
from twinjax.solve.fused.targets.seam import Buffer, Kernel


@functools.cache
def available(platform: str) -> str | None:
    """Why kernels cannot run on a platform ("cpu", "cuda", or "gpu" as `jax.default_backend` says), in words; None if
    they can.

    On a CPU a small kernel is compiled and registered with XLA. Where there is a CUDA device it runs there, and its
    numbers are compared; where there is none, programs can still be lowered and exported for one.
    """
    if platform not in ("cpu", "cuda", "gpu"):
        return f"fused kernels run on CPUs and CUDA devices, not on {platform}"
    why = llvm.missing()
    if why is not None:
        return why
    try:
        if platform == "cpu":
            cpu.target(_PROBE)
        elif cuda.devices():
            return works(cuda.devices()[0])
        elif platform == "gpu":
            return "fused kernels run on CUDA devices, and JAX finds none"
        else:
            cuda.ptx(_PROBE, 1)
    except Exception as error:  # whatever LLVM or XLA refuses, another backend can serve
        return f"a small kernel could not be compiled for {platform}: {error}"
    return None


def works(device: Any) -> str | None:
    """Run a small kernel on a device: None if its numbers are right, or what was wrong. The two inputs are one array,
    which XLA may not make one argument.
    """
    x = np.arange(130, dtype=np.float32)
    try:
        with jax.ensure_compile_time_eval():  # the question may be asked while a program is traced
            given = jax.device_put(x, device)
            total, difference = (np.asarray(a)[:, 0] for a in launch(_PROBE, given, given))
    except Exception as error:
        return f"a small kernel could not run on {device}: {error}"
    if np.array_equal(total, 2 * x) and not difference.any():
        return None
    return f"a small kernel gave wrong numbers on {device}"


_TEXT = """
define void @solve(ptr %in, ptr %out, i64 %begin, i64 %end) #0 {
start:
  %second.in = getelementptr ptr, ptr %in, i64 1
  %second.out = getelementptr ptr, ptr %out, i64 1
  %xs = load ptr, ptr %in
  %ys = load ptr, ptr %second.in
  %sums = load ptr, ptr %out
  %differences = load ptr, ptr %second.out
  br label %head
head:
  %i = phi i64 [ %begin, %start ], [ %next, %body ]
  %more = icmp slt i64 %i, %end
  br i1 %more, label %body, label %stop
body:
  %x.at = getelementptr float, ptr %xs, i64 %i
  %y.at = getelementptr float, ptr %ys, i64 %i
  %sum.at = getelementptr float, ptr %sums, i64 %i
  %difference.at = getelementptr float, ptr %differences, i64 %i
  %x = load float, ptr %x.at
  %y = load float, ptr %y.at
  %sum = fadd float %x, %y
  %difference = fsub float %x, %y
  store float %sum, ptr %sum.at
  store float %difference, ptr %difference.at
  %next = add i64 %i, 1
  br label %head
stop:
  ret void
}
attributes #0 = { nounwind }
"""
_PROBE = Kernel("twinjax.probe", (Buffer(1, "f32"),) * 2, (Buffer(1, "f32"),) * 2, lambda lanes: _TEXT, lanes=1)
