"""What the code generator hands to the targets: a kernel's buffers, its name by content, and how to write its text."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

DTYPES = {"f64": np.dtype("float64"), "f32": np.dtype("float32"), "i64": np.dtype("int64"), "i32": np.dtype("int32")}
"""The types of elements that a buffer can have, by the name LLVM gives them (but for the f of the floats)."""


@dataclass(frozen=True)
class Buffer:
    """What one patient has in an array: ``size`` elements of ``dtype``, a name of `DTYPES`. The array is
    (patients, size), row after row.
    """

    size: int
    dtype: str = "f64"

    def __post_init__(self) -> None:
        if self.dtype not in DTYPES:
            raise ValueError(f"a buffer's dtype is one of {', '.join(DTYPES)}, not {self.dtype!r}")
        if self.size < 0:
            raise ValueError(f"a buffer has {self.size} elements per patient")

    def matches(self, array: Any) -> bool:
        """Is this an array (patients, ...) of such elements?"""
        return array.ndim > 0 and prod(array.shape[1:]) == self.size and array.dtype == DTYPES[self.dtype]

    def __str__(self) -> str:
        return f"{DTYPES[self.dtype]} of {self.size} per patient"


@dataclass(frozen=True, eq=False)
class Kernel:
    """A function of each patient's own rows, as text that can be written for any number of lanes.

    ``emit(lanes)`` gives LLVM IR that defines ``void @solve(ptr %in, ptr %out, i64 %begin, i64 %end)``, its own
    declarations of LLVM's intrinsics and the groups of attributes that it uses (any number but #90 and #91; for Windows
    they should hold "no-stack-arg-probe"). ``%in`` and ``%out`` are arrays of pointers to the buffers, which are
    aligned to their elements only and do not overlap; it serves the patients from ``%begin`` up to and without
    ``%end``, reads and writes the rows of these alone, and calls nothing from outside. On a GPU it is the text for one
    lane, inlined into an entry that serves one patient: indices into ``%in`` and ``%out`` must be constants there.

    **Parameters**
    - key: says everything about the kernel but the target: equal keys mean equal inputs, outputs and text. It must
      change whenever the code that writes the text does, for objects are kept on disk under it
    - lanes: patients side by side in one vector on a CPU, at most
    - block: patients that one thread takes at a time on a CPU, at most; 0 keeps the whole call on one thread. The
      results do not depend on it
    - threads: patients in one block of a GPU's grid
    """

    key: str
    inputs: tuple[Buffer, ...]
    outputs: tuple[Buffer, ...]
    emit: Callable[[int], str]
    lanes: int = 8
    block: int = 512
    threads: int = 64

    def __post_init__(self) -> None:
        if not self.inputs or not self.outputs:
            raise ValueError("a kernel has at least one input and one output")
        if self.lanes < 1 or self.block < 0 or not 1 <= self.threads <= 1024:
            raise ValueError(f"no kernel has {self.lanes} lanes, blocks of {self.block} and {self.threads} GPU threads")

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, Kernel) and self._identity() == other._identity())

    def __hash__(self) -> int:
        return hash(self.key)

    def _identity(self) -> tuple[Any, ...]:
        return self.key, self.inputs, self.outputs, self.lanes, self.block, self.threads

    def __repr__(self) -> str:
        return f"Kernel({self.key[:12]}, {len(self.inputs)} -> {len(self.outputs)})"
