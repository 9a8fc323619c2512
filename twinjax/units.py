"""Units as annotations, and the check that a model's equations close.

A quantity is declared once, in an annotation: ``cl: Clearance``. Nothing of it remains at run time.
`check` walks the jaxpr of a model's equations with units in place of numbers, and fails with file and
line where they do not close. Within a model every dimension has one scale, so no factor is ever needed:
numbers in another scale are converted at the doors (file readers, published tables).
"""

from __future__ import annotations

import dataclasses
import math
import re
import typing
from fractions import Fraction as _Rational
from typing import Annotated, Any, ClassVar

import equinox as eqx
import jax
import jax.extend

Scalar = jax.Array | float

_DIMENSIONS = {
    "h": "time",
    "ms": "time",
    "L": "volume",
    "uL": "volume",
    "mg": "mass",
    "umol": "substance",
    "nmol": "substance",
    "mV": "potential",
    "uA": "current",
    "cm": "length",
    "K": "temperature",
    "kg": "body mass",
    "mmHg": "pressure",
    "IU": "international units",
    "cells": "cell count (1e9 cells)",
    "au": "arbitrary response",
}
"""Every symbol a unit may be built of, and its dimension. Whole bodies use h, L, mg, umol; cells ms, mV, uL, nmol."""

_DERIVED = {"uF": "uA*ms/mV", "mS": "uA/mV", "mM": "nmol/uL", "uM": "umol/L"}

_FOREIGN = {
    **dict.fromkeys(("s", "sec", "min", "d", "day", "days", "hr", "hour", "week"), "h (or ms in a cell)"),
    **dict.fromkeys(("mL", "ml", "dL", "l"), "L (or uL in a cell)"),
    **dict.fromkeys(("g", "ug", "ng", "pg"), "mg"),
    **dict.fromkeys(("mol", "mmol", "pmol"), "umol (or nmol in a cell)"),
    "V": "mV",
    "nM": "umol/L",
    "%": "1",
}


class Unit:
    """A unit: a product of powers of the symbols that `twinjax.units` knows.

    Written as text, such as ``Unit("L/h")``, ``Unit("mg*h/L")``, ``Unit("1/h")`` or ``Unit("mg^0.5")``; ``"1"`` is
    dimensionless. Every factor after a ``/`` divides until the next ``*`` or ``/``.

    **Raises** `ValueError` for a symbol in another scale (``g``, ``min``, ``mL``), naming the one to use.
    """

    __slots__ = ("powers",)
    powers: dict[str, _Rational]

    def __init__(self, text: str = "1") -> None:
        self.powers = _parse(text)

    @classmethod
    def _of(cls, powers: dict[str, _Rational]) -> Unit:
        self = cls.__new__(cls)
        self.powers = {s: p for s, p in powers.items() if p}
        return self

    def __mul__(self, other: Unit) -> Unit:
        symbols = {**self.powers, **other.powers}
        return Unit._of({s: self.powers.get(s, _Rational(0)) + other.powers.get(s, _Rational(0)) for s in symbols})

    def __pow__(self, exponent: _Rational | int) -> Unit:
        return Unit._of({s: p * exponent for s, p in self.powers.items()})

    def __truediv__(self, other: Unit) -> Unit:
        return self * other**-1

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Unit) and self.powers == other.powers

    def __hash__(self) -> int:
        return hash(frozenset(self.powers.items()))

    def __str__(self) -> str:
        def side(sign: int) -> list[str]:
            shown = ((s, p * sign) for s, p in self.powers.items() if p * sign > 0)
            return [s if p == 1 else f"{s}^{p if p.denominator == 1 else float(p)}" for s, p in shown]

        top, bottom = side(1), side(-1)
        return "/".join(["*".join(top) or "1", *bottom])

    def __repr__(self) -> str:
        return f'Unit("{self}")'


def _parse(text: str) -> dict[str, _Rational]:
    powers: dict[str, _Rational] = {}
    tokens = re.findall(r"\s*([*/]|1(?![\d.])|[A-Za-z%]+(?:\^-?\d+(?:\.\d+)?)?)\s*", text)
    alternate = len(tokens) % 2 and all((token in "*/") == bool(i % 2) for i, token in enumerate(tokens))
    if "".join(tokens) != re.sub(r"\s+", "", text) or not alternate:
        raise ValueError(f"cannot read the unit {text!r}; write it like 'mg/L', '1/h' or 'L/h'")
    sign = 1
    for token in tokens:
        if token in "*/":
            sign = 1 if token == "*" else -1
            continue
        if token == "1":
            continue
        symbol, _, exponent = token.partition("^")
        power = sign * _Rational(exponent or 1)
        if symbol in _DERIVED:
            for s, p in _parse(_DERIVED[symbol]).items():
                powers[s] = powers.get(s, _Rational(0)) + p * power
        elif symbol in _DIMENSIONS:
            powers[symbol] = powers.get(symbol, _Rational(0)) + power
        elif symbol in _FOREIGN:
            raise ValueError(
                f"unit {text!r}: {symbol!r} is another scale of {_FOREIGN[symbol]}; "
                "inside a model each dimension has one scale, so convert where the number enters"
            )
        else:
            raise ValueError(f"unit {text!r}: unknown symbol {symbol!r}; known are {', '.join(_DIMENSIONS)}")
    return {s: p for s, p in powers.items() if p}


@dataclasses.dataclass(frozen=True)
class Bounds:
    """The interval a parameter may lie in; its interior gives the unconstraining transform. Default: positive."""

    lower: float = 0.0
    upper: float = math.inf


DIMENSIONLESS = Unit("1")

Amount = Annotated[Scalar, Unit("mg")]
Concentration = Annotated[Scalar, Unit("mg/L")]
Volume = Annotated[Scalar, Unit("L")]
Clearance = Annotated[Scalar, Unit("L/h")]
Rate = Annotated[Scalar, Unit("1/h")]
Time = Annotated[Scalar, Unit("h"), Bounds(0.0)]
AmountRate = Annotated[Scalar, Unit("mg/h")]
ConcentrationRate = Annotated[Scalar, Unit("mg/L/h")]
MolarAmount = Annotated[Scalar, Unit("umol")]
MolarConcentration = Annotated[Scalar, Unit("umol/L")]
MolarMass = Annotated[Scalar, Unit("mg/umol")]
PerEnzyme = Annotated[Scalar, Unit("L/h/umol")]
Response = Annotated[Scalar, Unit("au")]
ResponseRate = Annotated[Scalar, Unit("au/h")]
CellCount = Annotated[Scalar, Unit("cells/L")]
Number = Annotated[Scalar, Unit("1")]
Fraction = Annotated[Scalar, Unit("1"), Bounds(0.0, 1.0)]
Real = Annotated[Scalar, Unit("1"), Bounds(-math.inf, math.inf)]


# ------------------------------------------------------------------------------------------------ reading annotations


def annotated_fields(cls: type) -> dict[str, Any]:
    """The annotated fields of a module class, resolved, without class variables and static fields."""
    hints = typing.get_type_hints(cls, include_extras=True)
    fields = {f.name: f for f in dataclasses.fields(cls)}
    return {
        n: hints[n]
        for n, f in fields.items()
        if typing.get_origin(hints[n]) is not ClassVar and not f.metadata.get("static", False)
    }


def _marks(hint: Any, kind: type) -> list[Any]:
    return [m for m in getattr(hint, "__metadata__", ()) if isinstance(m, kind)]


def declared(tree: eqx.Module) -> dict[str, tuple[Unit | None, Bounds]]:
    """Unit and bounds of every leaf of a module, by dotted name, read from the annotations.

    A leaf without a unit (an untyped array of a neural residual, say) has unit None.
    """
    found: dict[str, tuple[Unit | None, Bounds]] = {}

    def visit(node: Any, hint: Any, path: str) -> None:
        if dataclasses.is_dataclass(node):
            for name, inner in annotated_fields(type(node)).items():
                visit(getattr(node, name), inner, f"{path}.{name}" if path else name)
        elif isinstance(node, dict):
            args = typing.get_args(hint)
            for key, value in sorted(node.items()):  # as jax flattens
                visit(value, args[1] if len(args) == 2 else None, f"{path}.{key}")
        elif isinstance(node, tuple | list):
            args = typing.get_args(hint)
            for i, value in enumerate(node):
                visit(value, args[min(i, len(args) - 1)] if args else None, f"{path}.{i}")
        elif node is not None:
            units, bounds = _marks(hint, Unit), _marks(hint, Bounds)
            found[path] = (units[0] if units else None, bounds[0] if bounds else Bounds())

    visit(tree, None, "")
    return found


def one_scale(units: dict[str, Unit | None]) -> None:
    """Raise `ValueError` if two scales of one dimension (h and ms, L and uL) meet in one model."""
    seen: dict[str, tuple[str, str]] = {}
    for name, unit in units.items():
        for symbol in unit.powers if unit else ():
            dimension = _DIMENSIONS[symbol]
            first, where = seen.setdefault(dimension, (symbol, name))
            if first != symbol:
                raise ValueError(
                    f"{name} is in {symbol} but {where} is in {first}: within a model {dimension} has one scale"
                )


# ------------------------------------------------------------------------------------------------- checking equations


class UnitError(TypeError):
    """The units of an equation do not close; the message names the file and the line."""


_ANY = None  # a literal zero, infinity or a value without a declared unit fits every unit
_SAME = {"add", "sub", "max", "min", "add_any", "rem", "atan2", "nextafter", "clamp"}
_KEEP = {"neg", "abs", "convert_element_type", "copy", "copy_p", "broadcast_in_dim", "stop_gradient", "reshape",
         "squeeze", "floor", "ceil", "round"}  # fmt: skip
_COMPARE = {"lt", "gt", "le", "ge", "eq", "ne"}
_PURE = {"exp", "exp2", "log", "log1p", "expm1", "tanh", "logistic", "sin", "cos", "tan", "sinh", "cosh", "asin",
         "acos", "atan", "asinh", "acosh", "atanh", "erf", "erfc", "erf_inv", "lgamma", "digamma"}  # fmt: skip
_FLAGS = {"and", "or", "not", "xor", "is_finite", "sign"}
_CALLS = {"pjit", "jit", "closed_call", "core_call", "custom_jvp_call", "custom_vjp_call", "remat", "checkpoint"}


def _agree(name: str, units: list[Unit | None]) -> Unit | None:
    real = [u for u in units if u is not _ANY]
    if any(u != real[0] for u in real):
        raise UnitError(f"{name} of " + " and ".join(str(u) for u in real))
    return real[0] if real else _ANY


def _rule(eqn: Any, units: list[Unit | None], values: list[Any]) -> list[Unit | None]:
    name, params = eqn.primitive.name, eqn.params
    if name in _CALLS:
        inner = params.get("jaxpr") or params.get("call_jaxpr")
        closed = inner if hasattr(inner, "consts") else jax.extend.core.ClosedJaxpr(inner, ())
        return interpret(closed, units)
    if name in _SAME:
        return [_agree(name, units)]
    if name in _KEEP:
        return [units[0]]
    if name in _COMPARE:
        _agree(name, units)
        return [DIMENSIONLESS]
    if name in _FLAGS:
        return [DIMENSIONLESS]
    if name in _PURE:
        _agree(name, [units[0], DIMENSIONLESS])
        return [DIMENSIONLESS]
    if name == "mul":
        return [_ANY if _ANY in units else units[0] * units[1]]  # type: ignore[operator]
    if name == "div":
        if units[1] is None:
            raise UnitError("division by a literal zero")
        return [_ANY if units[0] is None else units[0] / units[1]]
    if name in ("integer_pow", "square", "sqrt", "rsqrt", "cbrt"):
        powers = {"square": 2, "sqrt": _Rational(1, 2), "rsqrt": _Rational(-1, 2), "cbrt": _Rational(1, 3)}
        exponent = params["y"] if name == "integer_pow" else powers[name]
        return [_ANY if units[0] is None else units[0] ** exponent]
    if name == "pow":
        if values[1] is not None and units[0] is not None:
            return [units[0] ** _Rational(float(values[1])).limit_denominator(1000)]
        _agree("power", [*units, DIMENSIONLESS])
        return [DIMENSIONLESS]
    if name == "select_n":
        return [_agree("where", units[1:])]
    raise UnitError(
        f"{name} is no elementwise arithmetic on named scalars, so its unit is not known; "
        "a model's equations use + - * / ** exp log jnp.where and the like"
    )


def interpret(closed: Any, units: list[Unit | None]) -> list[Unit | None]:
    """Units of the results of a closed jaxpr, given those of its arguments.

    **Raises** `UnitError`, naming file and line, where units do not close or a primitive is unknown.
    """
    jaxpr = closed.jaxpr
    env: dict[Any, Unit | None] = dict(zip(jaxpr.invars, units, strict=True))
    for var, const in zip(jaxpr.constvars, closed.consts, strict=True):
        env[var] = _literal(const)

    def read(atom: Any) -> Unit | None:
        return _literal(atom.val) if hasattr(atom, "val") else env[atom]

    for eqn in jaxpr.eqns:
        values = [getattr(a, "val", None) for a in eqn.invars]
        try:
            results = _rule(eqn, [read(a) for a in eqn.invars], values)
        except UnitError as error:
            if " at " in str(error):
                raise
            raise UnitError(f"{error}, at {_where(eqn)}") from None
        env.update(zip(eqn.outvars, results, strict=True))
    return [read(v) for v in jaxpr.outvars]


def _literal(value: Any) -> Unit | None:
    try:
        return _ANY if float(value) == 0.0 or math.isinf(float(value)) else DIMENSIONLESS
    except TypeError:
        return DIMENSIONLESS


_LIBRARIES = ("/jax/", "/jaxlib/", "/equinox/", "/jaxtyping/", "/twinjax/units.py", "<frozen")


def _where(eqn: Any) -> str:
    """File and line of the equation in the author's code: the innermost frame that is no library's."""
    trace = getattr(eqn.source_info, "traceback", None)
    for frame in trace.frames if trace is not None else ():
        file = frame.file_name.replace("\\", "/")
        if not any(part in file for part in _LIBRARIES):
            return f"{file}:{frame.line_num} ({frame.function_name})"
    return "an unknown line"
