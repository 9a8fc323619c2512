"""A model's equations as a graph of scalar operations: shared subexpressions, folded constants, exact derivatives.

A node is a number, its place in the graph; a node's arguments come before it. Equal expressions are one node, and a
derivative that is structurally zero is the constant 0, so that neither costs anything in a kernel.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any

import numpy as np

CONSTANT, LEAF, OPAQUE = "constant", "leaf", "opaque"

Rule = Callable[["Graph", Sequence[int], Sequence[int]], Sequence[int]]
"""The derivatives of a function whose author wrote them: from its arguments and their tangents."""

_NUMBERS: dict[str, Callable[..., Any]] = {
    "add": np.add, "sub": np.subtract, "mul": np.multiply, "div": np.divide, "neg": np.negative, "exp": np.exp,
    "log": np.log, "log1p": np.log1p, "expm1": np.expm1, "sqrt": np.sqrt, "tanh": np.tanh, "sin": np.sin,
    "cos": np.cos, "pow": np.power, "abs": np.abs, "sign": np.sign, "floor": np.floor, "ceil": np.ceil,
}  # fmt: skip
COMPARISONS = {"lt": "olt", "le": "ole", "gt": "ogt", "ge": "oge", "eq": "oeq", "ne": "une"}
"""Comparisons, whose nodes are masks, and LLVM's names for them."""
MASKS = frozenset({*COMPARISONS, "and", "or", "xor", "not", "finite"})
"""Operations whose nodes are masks."""


class Graph:
    """Nodes, made once each.

    **Parameters**: `steady`, the kinds of leaves (the first part of their names) that do not change from step to step.
    `op`, `args` and `extra` say what each node is; `constant_in_time`, whether it depends on steady leaves alone. A
    division by such a node is a multiplication by its reciprocal, which a kernel computes once.
    """

    def __init__(self, steady: Sequence[str] = ()) -> None:
        self.op: list[str] = []
        self.args: list[tuple[int, ...]] = []
        self.extra: list[Any] = []
        self.constant_in_time: list[bool] = []
        self._steady = frozenset(steady)
        self._index: dict[Hashable, int] = {}

    def _node(self, op: str, args: tuple[int, ...] = (), extra: Hashable = None) -> int:
        key = (op, args, extra)
        found = self._index.get(key)
        if found is None:
            found = self._index[key] = len(self.op)
            self.op.append(op)
            self.args.append(args)
            self.extra.append(extra)
            steady = (
                isinstance(extra, tuple) and extra[0] in self._steady
                if op == LEAF
                else all(self.constant_in_time[a] for a in args)
            )
            self.constant_in_time.append(steady)
        return found

    # ----------------------------------------------------------------------------------------------------- making

    def constant(self, x: float) -> int:
        """A number."""
        x = float(x)
        return self._node(CONSTANT, extra="nan" if math.isnan(x) else x.hex())

    def number(self, node: int) -> float | None:
        """The number that a node is, None if it is not one."""
        if self.op[node] != CONSTANT:
            return None
        return math.nan if self.extra[node] == "nan" else float.fromhex(self.extra[node])

    def leaf(self, name: Hashable) -> int:
        """A value that comes from outside."""
        return self._node(LEAF, extra=name)

    def opaque(self, value: int, name: Hashable) -> int:
        """`value` under a name of its own, by which it is differentiated; constants stay what they are."""
        return value if self.op[value] == CONSTANT else self._node(OPAQUE, (value,), name)

    def is_zero(self, node: int) -> bool:
        """Whether a node is the constant 0."""
        return self.number(node) == 0.0

    def add(self, a: int, b: int) -> int:
        """A + b."""
        if self.is_zero(a):
            return b
        if self.is_zero(b):
            return a
        return self.apply("add", *sorted((a, b)))

    def sub(self, a: int, b: int) -> int:
        """A - b."""
        if self.is_zero(b):
            return a
        if self.is_zero(a):
            return self.neg(b)
        return self.apply("sub", a, b)

    def mul(self, a: int, b: int) -> int:
        """A b; a structural zero absorbs."""
        x, y = self.number(a), self.number(b)
        if x == 0.0 or y == 0.0:
            return self.constant(0.0)
        for one, other in ((x, b), (y, a)):
            if one == 1.0:
                return other
            if one == -1.0:
                return self.neg(other)
        return self.apply("mul", *sorted((a, b)))

    def div(self, a: int, b: int) -> int:
        """A / b."""
        x, y = self.number(a), self.number(b)
        if x == 0.0 and y != 0.0:
            return self.constant(0.0)
        if y == 1.0:
            return a
        if y == -1.0:
            return self.neg(a)
        if self.constant_in_time[b] and not self.constant_in_time[a]:
            return self.mul(a, self.apply("div", self.constant(1.0), b))
        return self.apply("div", a, b)

    def neg(self, a: int) -> int:
        """-a."""
        return self.args[a][0] if self.op[a] == "neg" else self.apply("neg", a)

    def power(self, a: int, whole: int) -> int:
        """A to a whole power, by multiplication."""
        if whole < 0:
            return self.div(self.constant(1.0), self.power(a, -whole))
        if whole == 0:
            return self.constant(1.0)
        half = self.power(a, whole // 2) if whole > 1 else None
        square = a if half is None else self.mul(half, half)
        return self.mul(square, a) if whole % 2 and half is not None else square

    def select(self, mask: int, a: int, b: int) -> int:
        """A where the mask holds, else b."""
        known = self.number(mask)
        if known is not None:
            return a if known else b
        return a if a == b else self._node("select", (mask, a, b))

    def total(self, terms: Iterable[int]) -> int:
        """The sum of many."""
        found = self.constant(0.0)
        for term in terms:
            found = self.add(found, term)
        return found

    def weighted(self, terms: Iterable[tuple[float, int]]) -> int:
        """The sum of nodes times numbers."""
        return self.total(self.mul(self.constant(w), x) for w, x in terms if w != 0.0)

    def apply(self, op: str, *args: int) -> int:
        """An operation by name; folded where all arguments are numbers."""
        numbers = [self.number(a) for a in args]
        if op in _NUMBERS and all(x is not None for x in numbers):
            with np.errstate(all="ignore"):
                return self.constant(float(_NUMBERS[op](*(np.float64(x) for x in numbers))))
        if op in COMPARISONS and all(x is not None for x in numbers):
            x, y = numbers
            held = {"lt": x < y, "le": x <= y, "gt": x > y, "ge": x >= y, "eq": x == y, "ne": x != y}[op]  # type: ignore[operator]
            return self.constant(float(held))
        return self._node(op, args)

    def custom(self, value: int, rule: Rule, args: tuple[int, ...], which: int) -> int:
        """`value`, a function of `args` whose author gave it a derivative: `rule(graph, tangents, which)`."""
        return value if self.op[value] == CONSTANT else self._node("custom", (value, *args), (rule, which))

    # --------------------------------------------------------------------------------------------------- walking

    def reach(self, targets: Iterable[int]) -> list[int]:
        """Every node that the targets need, in an order in which they can be computed."""
        seen, stack = set(), list(targets)
        while stack:
            node = stack.pop()
            if node not in seen:
                seen.add(node)
                stack.extend(self.needs(node))
        return sorted(seen)

    def needs(self, node: int) -> tuple[int, ...]:
        """The nodes whose values a node is computed from."""
        return self.args[node][:1] if self.op[node] == "custom" else self.args[node]


class Derivative:
    """Forward differentiation along one direction.

    **Parameters**: `tangent(name)` gives the derivative of the leaf (or opaque node) of that name, a node. Derivatives
    are kept, so that what many expressions share is differentiated once.
    """

    def __init__(self, graph: Graph, tangent: Callable[[Hashable], int]) -> None:
        self.graph, self.tangent = graph, tangent
        self.known: dict[int, int] = {}

    def of(self, target: int) -> int:
        """The derivative of a node."""
        graph, stack = self.graph, [target]
        while stack:  # depth first without recursion: a step is thousands of operations deep
            node = stack[-1]
            if node in self.known:
                stack.pop()
                continue
            op = graph.op[node]
            inner = () if op in (LEAF, OPAQUE, CONSTANT) or op in _FLAT else _differentiated(graph, node)
            missing = [a for a in inner if a not in self.known]
            if missing:
                stack.extend(missing)
                continue
            self.known[node] = self._one(node, [self.known[a] for a in inner])
            stack.pop()
        return self.known[target]

    def _one(self, node: int, tangents: list[int]) -> int:
        g = self.graph
        op, args = g.op[node], g.args[node]
        if op == CONSTANT or op in _FLAT:
            return g.constant(0.0)
        if op in (LEAF, OPAQUE):
            return self.tangent(g.extra[node])
        if all(g.is_zero(t) for t in tangents):
            return g.constant(0.0)
        if op == "custom":
            rule, which = g.extra[node]
            return rule(g, args[1:], tangents)[which]
        if op == "select":
            return g.select(args[0], *tangents)
        return _RULES[op](g, node, args, tangents)


def _differentiated(graph: Graph, node: int) -> tuple[int, ...]:
    """The arguments whose derivatives a node's derivative needs."""
    args = graph.args[node]
    return args[1:] if graph.op[node] in ("custom", "select") else args


_FLAT = MASKS | {"sign", "floor", "ceil", "round", "stop"}
"""Operations whose derivative is zero."""


def _scaled(factor: Callable[[Graph, int, int], int]) -> Callable[..., int]:
    """The rule of a function of one argument: its derivative (from graph, node, argument) times the tangent."""
    return lambda g, node, args, tangents: g.mul(factor(g, node, args[0]), tangents[0])


def _over(factor: Callable[[Graph, int, int], int]) -> Callable[..., int]:
    """The rule of a function whose derivative is one over something."""
    return lambda g, node, args, tangents: g.div(tangents[0], factor(g, node, args[0]))


def _product(g: Graph, node: int, args: Any, tangents: Any) -> int:
    return g.add(g.mul(tangents[0], args[1]), g.mul(args[0], tangents[1]))


def _quotient(g: Graph, node: int, args: Any, tangents: Any) -> int:
    return g.div(g.sub(tangents[0], g.mul(node, tangents[1])), args[1])


def _power(g: Graph, node: int, args: Any, tangents: Any) -> int:
    x, y = args
    zero, one = g.constant(0.0), g.constant(1.0)
    lowered = g.select(g.apply("eq", y, zero), one, g.sub(y, one))  # x^0 has slope 0, not 0/0
    by_base = zero if g.is_zero(tangents[0]) else g.mul(g.mul(y, g.apply("pow", x, lowered)), tangents[0])
    if g.is_zero(tangents[1]):
        return by_base
    safe = g.select(g.apply("eq", x, zero), one, x)
    return g.add(by_base, g.mul(g.mul(g.apply("log", safe), node), tangents[1]))


def _extreme(comparison: str) -> Callable[..., int]:
    def rule(g: Graph, node: int, args: Any, tangents: Any) -> int:
        half = g.mul(g.constant(0.5), g.add(*tangents))
        other = g.select(g.apply("eq", *args), half, tangents[1])
        return g.select(g.apply(comparison, *args), tangents[0], other)

    return rule


def _atan2(g: Graph, node: int, args: Any, tangents: Any) -> int:
    y, x = args
    return g.div(g.sub(g.mul(x, tangents[0]), g.mul(y, tangents[1])), g.add(g.mul(x, x), g.mul(y, y)))


def _remainder(g: Graph, node: int, args: Any, tangents: Any) -> int:
    return g.sub(tangents[0], g.mul(tangents[1], g.div(g.sub(args[0], node), args[1])))


def _square_plus(g: Graph, x: int, number: float, sign: float = 1.0) -> int:
    """Number + sign x^2."""
    return g.add(g.constant(number), g.mul(g.constant(sign), g.mul(x, x)))


def _gauss(sign: float) -> Callable[[Graph, int, int], int]:
    def factor(g: Graph, node: int, x: int) -> int:
        return g.mul(g.constant(sign * 2.0 / math.sqrt(math.pi)), g.apply("exp", g.neg(g.mul(x, x))))

    return factor


_RULES: dict[str, Callable[..., int]] = {
    "add": lambda g, n, a, t: g.add(*t),
    "sub": lambda g, n, a, t: g.sub(*t),
    "mul": _product,
    "div": _quotient,
    "neg": lambda g, n, a, t: g.neg(t[0]),
    "max": _extreme("gt"),
    "min": _extreme("lt"),
    "pow": _power,
    "atan2": _atan2,
    "rem": _remainder,
    "abs": _scaled(lambda g, n, x: g.apply("sign", x)),
    "exp": _scaled(lambda g, n, x: n),
    "exp2": _scaled(lambda g, n, x: g.mul(g.constant(math.log(2.0)), n)),
    "expm1": _scaled(lambda g, n, x: g.add(n, g.constant(1.0))),
    "log": _over(lambda g, n, x: x),
    "log1p": _over(lambda g, n, x: g.add(g.constant(1.0), x)),
    "sqrt": _over(lambda g, n, x: g.mul(g.constant(2.0), n)),
    "cbrt": _over(lambda g, n, x: g.mul(g.constant(3.0), g.mul(n, n))),
    "logistic": _scaled(lambda g, n, x: g.mul(n, g.sub(g.constant(1.0), n))),
    "tanh": _scaled(lambda g, n, x: _square_plus(g, n, 1.0, -1.0)),
    "tan": _scaled(lambda g, n, x: _square_plus(g, n, 1.0)),
    "sin": _scaled(lambda g, n, x: g.apply("cos", x)),
    "cos": _scaled(lambda g, n, x: g.neg(g.apply("sin", x))),
    "sinh": _scaled(lambda g, n, x: g.apply("cosh", x)),
    "cosh": _scaled(lambda g, n, x: g.apply("sinh", x)),
    "asin": _over(lambda g, n, x: g.apply("sqrt", _square_plus(g, x, 1.0, -1.0))),
    "acos": _over(lambda g, n, x: g.neg(g.apply("sqrt", _square_plus(g, x, 1.0, -1.0)))),
    "atan": _over(lambda g, n, x: _square_plus(g, x, 1.0)),
    "asinh": _over(lambda g, n, x: g.apply("sqrt", _square_plus(g, x, 1.0))),
    "acosh": _over(lambda g, n, x: g.apply("sqrt", _square_plus(g, x, -1.0))),
    "atanh": _over(lambda g, n, x: _square_plus(g, x, 1.0, -1.0)),
    "erf": _scaled(_gauss(1.0)),
    "erfc": _scaled(_gauss(-1.0)),
    "lgamma": _scaled(lambda g, n, x: g.apply("digamma", x)),
    "digamma": _scaled(lambda g, n, x: g.apply("trigamma", x)),
    "erf_inv": _scaled(lambda g, n, x: g.mul(g.constant(math.sqrt(math.pi) / 2.0), g.apply("exp", g.mul(n, n)))),
}
"""The derivative of each operation, from graph, node, arguments and their tangents."""
