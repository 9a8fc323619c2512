"""XLA's side of a CPU kernel: the handler that XLA calls, as LLVM IR, written without headers or a compiler.

A typed handler of XLA's foreign function interface is one C function, `XLA_FFI_Error* handler(XLA_FFI_CallFrame*)`. The
offsets in handler.ll and sharing.ll are those of ``xla/ffi/api/c_api.h``, which jaxlib ships (``jax.ffi.include_dir()``
says where). They are equal from version 0.3 of the interface (jax 0.10) to 0.5 (jax 0.12). A handler says when it is
registered which version it was written for, and XLA refuses one that it cannot serve.

The handler cuts the patients into blocks and offers them to XLA's own threads. A block is claimed from an atomic
counter by whichever thread is free, the calling one too, so that nobody waits for a task that has not started: at the
end the caller waits for blocks that others are at work on, never for tasks. A task that starts late finds no block left
and only gives its share of the job back. Jobs are a fixed array in the module, and a call that finds none free works
alone, so there is nothing to allocate and no symbol from outside.
"""

from __future__ import annotations

import functools
import platform
from importlib import resources
from string import Template

from twinjax.solve.fused.targets.seam import DTYPES, Buffer, Kernel

HANDLER = "twinjax_handler"
"""The symbol that XLA calls."""

API = (0, 3)
"""The version of XLA's foreign function interface that the offsets belong to."""

_CODES = {"f64": 12, "f32": 11, "i64": 5, "i32": 4}  # XLA_FFI_DataType
_JOBS = 32  # calls that can share their work out at the same time
_SHARE = 16  # blocks for each thread, where the patients are enough: the threads then end nearly together


def handler_ir(kernel: Kernel) -> str:
    """The text of the handler, to follow in one module the text that defines ``@solve``."""
    sides = (("in", kernel.inputs), ("out", kernel.outputs))
    buffers = [(side, i, buffer) for side, those in sides for i, buffer in enumerate(those)]
    messages = {
        "begin": "this kernel can only be executed",
        "version": f"this kernel needs version {API[0]}.{API[1]} or later of XLA's foreign function interface",
        "counts": f"this kernel takes {len(kernel.inputs)} inputs and gives {len(kernel.outputs)} outputs",
    }
    checks = ""
    for n, (side, i, buffer) in enumerate(buffers):
        shape = f"({'patients' if n else 'any number of patients'}, {buffer.size})"
        messages[f"check.{n}"] = f"{side}put {i} must be {DTYPES[buffer.dtype]} of shape {shape}"
        checks += _check(n, side, i, buffer, last=n == len(buffers) - 1)
    return _template().substitute(
        handler=HANDLER,
        messages="\n".join(_constant(name, f"twinjax: {text}") for name, text in messages.items()),
        checks=checks,
        refusals=", ".join(f"[ @message.{name}, %{name} ]" for name in messages),
        inputs=len(kernel.inputs),
        outputs=len(kernel.outputs),
        major=API[0],
        minor=API[1],
        block=kernel.block,
        lanes=kernel.lanes,
        lanes_less_one=kernel.lanes - 1,
        share=_SHARE,
        jobs=_JOBS,
        **_machine(),
    )


@functools.cache
def _template() -> Template:
    here = resources.files("twinjax.solve.fused.targets")
    return Template("".join(here.joinpath(name).read_text(encoding="utf-8") for name in ("sharing.ll", "handler.ll")))


def _constant(name: str, text: str) -> str:
    return f'@message.{name} = private constant [{len(text) + 1} x i8] c"{text}\\00"'


def _check(n: int, side: str, i: int, buffer: Buffer, last: bool) -> str:
    """Test the n-th buffer and put its pointer in its place; the first says how many patients there are."""
    patients = "%patients" if n else "-1"
    count = f"""
  %shape.at = getelementptr i8, ptr %buffer.{n}, i64 40
  %shape = load ptr, ptr %shape.at
  %patients = load i64, ptr %shape"""
    return f"""check.{n}:
  %buffer.{n}.at = getelementptr ptr, ptr %{side}s, i64 {i}
  %buffer.{n} = load ptr, ptr %buffer.{n}.at
  %fits.{n} = call i1 @fits(ptr %buffer.{n}, i32 {_CODES[buffer.dtype]}, i64 {buffer.size}, i64 {patients})
  br i1 %fits.{n}, label %take.{n}, label %refuse
take.{n}:{"" if n else count}
  %data.{n}.at = getelementptr i8, ptr %buffer.{n}, i64 24
  %data.{n} = load ptr, ptr %data.{n}.at
  %{side}.{i} = getelementptr ptr, ptr %{side}, i64 {i}
  store ptr %data.{n}, ptr %{side}.{i}
  br label %{"checked" if last else f"check.{n + 1}"}
"""


def _machine() -> dict[str, str]:
    """How this processor is told to rest in a loop that waits."""
    name = platform.machine().lower()
    if name in ("x86_64", "amd64"):
        return {"declare": "declare void @llvm.x86.sse2.pause()", "pause": "call void @llvm.x86.sse2.pause()"}
    if name in ("arm64", "aarch64"):
        return {"declare": "declare void @llvm.aarch64.hint(i32)", "pause": "call void @llvm.aarch64.hint(i32 1)"}
    return {"declare": "", "pause": ""}
