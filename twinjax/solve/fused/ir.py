"""LLVM IR as text, written by structured Python: vector arithmetic over lanes, slots, loops and conditions.

A kernel serves as many patients at once as it has lanes, each its own. One lane makes code for a GPU thread. Values
are SSA names; whatever outlives a block lies in a slot on the stack, which LLVM turns back into registers.
"""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Iterator
from typing import Any

Value = str | float
"""An SSA name, or a number that is the same in every lane."""

_FLAGS = "contract"
"""Multiply and add may fuse; nothing may be reordered, so that lanes, chunks and machines agree."""


class Builder:
    """Text of one function in the making.

    **Parameters**: `lanes`, patients at once; `precision`, "f64" or "f32"; `flags`, what arithmetic may be changed;
    `fused`, whether the machine has a fused multiply-add (without one LLVM would call the C library's).
    """

    def __init__(self, lanes: int, precision: str, flags: str = _FLAGS, fused: bool = True) -> None:
        self.lanes, self.precision = lanes, precision
        self.flags, self.fused = flags, fused
        self.scalar = "double" if precision == "f64" else "float"
        self.bits = 64 if precision == "f64" else 32
        self.whole = f"i{self.bits}"
        self.real, self.int, self.mask = (f"<{lanes} x {t}>" for t in (self.scalar, self.whole, "i1"))
        self.entry: list[str] = []
        self.lines: list[str] = []
        self.declared: dict[str, None] = {}
        self.called: dict[str, None] = {}
        self._names = 0
        self._blocks = 0

    # ------------------------------------------------------------------------------------------------- raw material

    def value(self, text: str) -> str:
        """A new SSA value."""
        name = f"%v{self._names}"
        self._names += 1
        self.lines.append(f"  {name} = {text}")
        return name

    def do(self, text: str) -> None:
        """An instruction without a value."""
        self.lines.append(f"  {text}")

    def number(self, x: float) -> str:
        """A scalar constant, exact in hexadecimal."""
        if self.precision == "f32":
            x = struct.unpack("<f", struct.pack("<f", max(min(x, 3.4028234663852886e38), -3.4028234663852886e38)
                                                if x == x and abs(x) != float("inf") else x))[0]  # fmt: skip
        return f"0x{struct.unpack('<Q', struct.pack('<d', x))[0]:016X}"

    def operand(self, x: Value) -> str:
        """A vector operand: the name itself, or the constant in every lane."""
        return x if isinstance(x, str) else f"splat ({self.scalar} {self.number(float(x))})"

    def single(self, x: Value) -> str:
        """A scalar operand."""
        return x if isinstance(x, str) else self.number(float(x))

    # --------------------------------------------------------------------------------------------- vector arithmetic

    def binary(self, name: str, a: Value, b: Value) -> str:
        """`fadd`, `fsub`, `fmul` or `fdiv` of vectors."""
        return self.value(f"{name} {self.flags} {self.real} {self.operand(a)}, {self.operand(b)}")

    def add(self, a: Value, b: Value) -> str:
        """A + b."""
        return self.binary("fadd", a, b)

    def sub(self, a: Value, b: Value) -> str:
        """A - b."""
        return self.binary("fsub", a, b)

    def mul(self, a: Value, b: Value) -> str:
        """A b."""
        return self.binary("fmul", a, b)

    def div(self, a: Value, b: Value) -> str:
        """A / b."""
        return self.binary("fdiv", a, b)

    def neg(self, a: Value) -> str:
        """-a."""
        return self.value(f"fneg {self.real} {self.operand(a)}")

    def fma(self, a: Value, b: Value, c: Value) -> str:
        """A b + c, rounded once if the machine can."""
        if not self.fused:
            return self.add(self.mul(a, b), c)
        return self.intrinsic("fma", a, b, c)

    def intrinsic(self, name: str, *args: Value) -> str:
        """An LLVM intrinsic on vectors of reals: `fma`, `fabs`, `sqrt`, `floor`, `copysign`, ..."""
        full = f"@llvm.{name}.v{self.lanes}f{self.bits}"
        self.declared[f"declare {self.real} {full}({', '.join([self.real] * len(args))})"] = None
        return self.value(f"call {self.real} {full}({', '.join(f'{self.real} {self.operand(a)}' for a in args)})")

    def call(self, name: str, *args: Value) -> str:
        """A function of the library `functions`, e.g. `exp`."""
        self.called[name] = None
        given = ", ".join(f"{self.real} {self.operand(a)}" for a in args)
        return self.value(f"call {self.real} @tj.{name}({given})")

    def compare(self, predicate: str, a: Value, b: Value) -> str:
        """A mask: `oeq`, `une`, `olt`, `ole`, `ogt`, `oge`, `uno`, `ord`, ..."""
        return self.value(f"fcmp {predicate} {self.real} {self.operand(a)}, {self.operand(b)}")

    def select(self, mask: str, a: Value, b: Value) -> str:
        """A where the mask holds, else b."""
        return self.value(f"select {self.mask} {mask}, {self.real} {self.operand(a)}, {self.real} {self.operand(b)}")

    def maximum(self, a: Value, b: Value) -> str:
        """The larger; b where a is not a number."""
        return self.select(self.compare("ogt", a, b), a, b)

    def minimum(self, a: Value, b: Value) -> str:
        """The smaller; b where a is not a number."""
        return self.select(self.compare("olt", a, b), a, b)

    # ------------------------------------------------------------------------------------------------ bits and masks

    def integer(self, name: str, a: str | int, b: str | int) -> str:
        """An integer instruction (`add`, `sub`, `and`, `or`, `shl`, `lshr`, `ashr`) on vectors."""
        return self.value(f"{name} {self.int} {self._whole(a)}, {self._whole(b)}")

    def compare_integers(self, predicate: str, a: str | int, b: str | int) -> str:
        """A mask: `eq`, `ne`, `slt`, `ult`, ..."""
        return self.value(f"icmp {predicate} {self.int} {self._whole(a)}, {self._whole(b)}")

    def select_integers(self, mask: str, a: str | int, b: str | int) -> str:
        """A where the mask holds, else b."""
        return self.value(f"select {self.mask} {mask}, {self.int} {self._whole(a)}, {self.int} {self._whole(b)}")

    def _whole(self, x: str | int) -> str:
        return x if isinstance(x, str) else f"splat ({self.whole} {x})"

    def as_bits(self, a: Value) -> str:
        """The bits of reals."""
        return self.value(f"bitcast {self.real} {self.operand(a)} to {self.int}")

    def from_bits(self, a: str) -> str:
        """Reals of bits."""
        return self.value(f"bitcast {self.int} {a} to {self.real}")

    def from_integer(self, a: str) -> str:
        """Reals of signed integers."""
        return self.value(f"sitofp {self.int} {a} to {self.real}")

    def both(self, a: str, b: str) -> str:
        """A and b."""
        return self.value(f"and {self.mask} {a}, {b}")

    def either(self, a: str, b: str) -> str:
        """A or b."""
        return self.value(f"or {self.mask} {a}, {b}")

    def differs(self, a: str, b: str) -> str:
        """Exactly one of a and b."""
        return self.value(f"xor {self.mask} {a}, {b}")

    def invert(self, a: str) -> str:
        """Not a."""
        return self.value(f"xor {self.mask} {a}, splat (i1 true)")

    def any(self, mask: str) -> str:
        """Whether any lane holds, i1."""
        full = f"@llvm.vector.reduce.or.v{self.lanes}i1"
        self.declared[f"declare i1 {full}({self.mask})"] = None
        return self.value(f"call i1 {full}({self.mask} {mask})")

    # ------------------------------------------------------------------------------------------------------- slots

    def slot(self, kind: str | None = None, count: int = 1) -> str:
        """Room on the stack for `count` vectors of reals (or another type)."""
        name = f"%s{self._names}"
        self._names += 1
        kind = self.real if kind is None else kind
        self.entry.append(f"  {name} = alloca [{max(count, 1)} x {kind}], align 64")
        return name

    def at(self, slot: str, index: int | str, kind: str | None = None) -> str:
        """The address of an element."""
        if index == 0:
            return slot
        return self.value(f"getelementptr inbounds {self.real if kind is None else kind}, ptr {slot}, i64 {index}")

    def load(self, slot: str, index: int | str = 0, kind: str | None = None) -> str:
        """What a slot holds."""
        kind = self.real if kind is None else kind
        return self.value(f"load {kind}, ptr {self.at(slot, index, kind)}")

    def store(self, slot: str, value: Value | int, index: int | str = 0, kind: str | None = None) -> None:
        """Put a vector of reals (or another type) into a slot."""
        text = self.operand(value) if kind is None else str(value)
        kind = self.real if kind is None else kind
        self.do(f"store {kind} {text}, ptr {self.at(slot, index, kind)}")

    # ---------------------------------------------------------------------------------------- addresses and counters

    def count_of(self, name: str, a: str | int, b: str | int) -> str:
        """An instruction on whole numbers of 64 bits: `add`, `sub`, `mul`."""
        return self.value(f"{name} i64 {a}, {b}")

    def offset(self, address: str, index: str | int, kind: str | None = None) -> str:
        """The address of an element of a buffer of scalars (or of another type)."""
        return self.at(address, index, self.scalar if kind is None else kind)

    def read(self, address: str, index: str | int = 0, kind: str | None = None) -> str:
        """An element of a buffer of scalars (or of another type)."""
        kind = self.scalar if kind is None else kind
        return self.value(f"load {kind}, ptr {self.offset(address, index, kind)}")

    def write(self, value: str | float, address: str, index: str | int = 0, kind: str | None = None) -> None:
        """Put a scalar into a buffer."""
        text = self.single(value) if kind is None else str(value)
        kind = self.scalar if kind is None else kind
        self.do(f"store {kind} {text}, ptr {self.offset(address, index, kind)}")

    def choose(self, condition: str, a: str | float, b: str | float, kind: str | None = None) -> str:
        """The scalar a if the condition (i1) holds, else b."""
        x, y = (self.single(v) if kind is None else str(v) for v in (a, b))
        kind = self.scalar if kind is None else kind
        return self.value(f"select i1 {condition}, {kind} {x}, {kind} {y}")

    def test(self, predicate: str, a: str | float, b: str | float) -> str:
        """A comparison of scalars, i1."""
        return self.value(f"fcmp {predicate} {self.scalar} {self.single(a)}, {self.single(b)}")

    def none(self, mask: str) -> str:
        """Whether no lane holds, i1."""
        return self.value(f"xor i1 {self.any(mask)}, true")

    def lane(self, slot: str, lane: str, index: int | str = 0, kind: str | None = None) -> str:
        """The address of one lane of an element."""
        kind = self.scalar if kind is None else kind
        base = f"mul i64 {index}, {self.lanes}" if isinstance(index, str) else None
        start = self.value(base) if base else str(index * self.lanes if isinstance(index, int) else 0)
        where = lane if start == "0" else self.value(f"add i64 {start}, {lane}")
        return self.value(f"getelementptr inbounds {kind}, ptr {slot}, i64 {where}")

    # ------------------------------------------------------------------------------------------------- control flow

    def _label(self, what: str) -> str:
        self._blocks += 1
        return f"{what}{self._blocks}"

    def place(self, label: str) -> None:
        """Begin a block."""
        self.lines.append(f"{label}:")

    @contextlib.contextmanager
    def when(self, condition: str) -> Iterator[None]:
        """Run the body if the condition (i1) holds."""
        body, after = self._label("then"), self._label("after")
        self.do(f"br i1 {condition}, label %{body}, label %{after}")
        self.place(body)
        yield
        self.do(f"br label %{after}")
        self.place(after)

    @contextlib.contextmanager
    def forever(self) -> Iterator[Any]:
        """Repeat the body until `leave(condition)`, a function that it is given, is told to."""
        head, after = self._label("loop"), self._label("after")
        self.do(f"br label %{head}")
        self.place(head)

        def leave(condition: str) -> None:
            on = self._label("on")
            self.do(f"br i1 {condition}, label %{after}, label %{on}")
            self.place(on)

        yield leave
        self.do(f"br label %{head}")
        self.place(after)

    @contextlib.contextmanager
    def each_lane(self, mask: str) -> Iterator[str]:
        """Run the body for every lane in the mask; gives its number, i64."""
        if self.lanes == 1:
            with self.when(self.value(f"extractelement {self.mask} {mask}, i32 0")):
                yield "0"
            return
        bits = f"i{self.lanes}"
        packed = self.value(f"bitcast {self.mask} {mask} to {bits}")
        left = self.slot("i64")
        self.store(left, packed if bits == "i64" else self.value(f"zext {bits} {packed} to i64"), kind="i64")
        self.declared["declare i64 @llvm.cttz.i64(i64, i1)"] = None
        with self.forever() as leave:
            now = self.load(left, kind="i64")
            leave(self.value(f"icmp eq i64 {now}, 0"))
            lane = self.value(f"call i64 @llvm.cttz.i64(i64 {now}, i1 true)")
            self.store(left, self.value(f"and i64 {now}, {self.value(f'sub i64 {now}, 1')}"), kind="i64")
            yield lane

    @contextlib.contextmanager
    def count(self, start: str | int, stop: str | int) -> Iterator[str]:
        """Run the body for every whole number from `start` up to, without, `stop`, i64."""
        at = self.slot("i64")
        self.store(at, start, kind="i64")
        with self.forever() as leave:
            now = self.load(at, kind="i64")
            leave(self.value(f"icmp sge i64 {now}, {stop}"))
            yield now
            self.store(at, self.value(f"add i64 {now}, 1"), kind="i64")

    def body(self) -> str:
        """The function's text, slots first."""
        return "\n".join([*self.entry, *self.lines])
