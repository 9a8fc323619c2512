"""From nodes to instructions: each once, in the block where it is first needed and those that this one leads to."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Hashable, Iterable, Iterator

from twinjax.solve.fused.graph import COMPARISONS, CONSTANT, LEAF, MASKS, OPAQUE, Graph
from twinjax.solve.fused.ir import Builder, Value

_INTRINSICS = {"abs": "fabs", "sqrt": "sqrt", "floor": "floor", "ceil": "ceil", "round": "roundeven",
               "max": "maximum", "min": "minimum"}  # fmt: skip


class Emitter:
    """Writes a graph's nodes with a builder.

    **Parameters**: `load(name)`, the value of a leaf where it is needed. `hoisted` are the nodes that lie in slots
    already: the slot and the place in it.
    """

    def __init__(self, builder: Builder, graph: Graph, load: Callable[[Hashable], Value]) -> None:
        self.builder, self.graph, self.load = builder, graph, load
        self.hoisted: dict[int, tuple[str, int]] = {}
        self._scopes: list[dict[int, Value]] = [{}]

    @contextlib.contextmanager
    def scope(self, *, fresh: bool = False) -> Iterator[None]:
        """A block whose values are not known after it; `fresh` if those before are not known in it either."""
        outer = self._scopes
        self._scopes = [{}] if fresh else [*outer, {}]
        yield
        self._scopes = outer

    def known(self, node: int) -> Value | None:
        """The value of a node that has one here."""
        for scope in reversed(self._scopes):
            if node in scope:
                return scope[node]
        return None

    def emit(self, targets: Iterable[int]) -> list[Value]:
        """The values of nodes, computed here where they are not known yet."""
        targets = list(targets)
        for node in self.missing(targets):
            self._scopes[-1][node] = self._write(node)
        return [self._value(t) for t in targets]

    def missing(self, targets: Iterable[int]) -> list[int]:
        """The nodes that have to be computed for the targets, in order."""
        seen: set[int] = set()
        stack = list(targets)
        while stack:
            node = stack.pop()
            if node in seen or self.graph.op[node] == CONSTANT or self.known(node) is not None:
                continue
            seen.add(node)
            if node not in self.hoisted:
                stack.extend(self.graph.needs(node))
        return sorted(seen)

    def _value(self, node: int) -> Value:
        number = self.graph.number(node)
        if number is not None:
            return number
        value = self.known(node)
        assert value is not None
        return value

    def _write(self, node: int) -> Value:
        b, g = self.builder, self.graph
        if node in self.hoisted:
            return b.load(*self.hoisted[node])
        op = g.op[node]
        if op == LEAF:
            return self.load(g.extra[node])
        args = [self._value(a) for a in g.needs(node)]
        if op in (OPAQUE, "custom", "stop"):
            return args[0]
        if op in ("add", "sub", "mul", "div", "neg"):
            return getattr(b, op)(*args)
        if op in COMPARISONS:
            return b.compare(COMPARISONS[op], *args)
        if op == "select":
            return b.select(str(args[0]), *args[1:])
        if op in ("and", "or", "xor", "not"):
            return {"and": b.both, "or": b.either, "xor": b.differs, "not": b.invert}[op](*map(str, args))
        if op == "finite":
            return b.compare("olt", b.intrinsic("fabs", args[0]), float("inf"))
        if op == "sign":
            down = b.select(b.compare("olt", args[0], 0.0), -1.0, args[0])
            return b.select(b.compare("ogt", args[0], 0.0), 1.0, down)
        if op in _INTRINSICS:
            return b.intrinsic(_INTRINSICS[op], *args)
        return b.call(op, *args)


def hoisted(graph: Graph, targets: list[int]) -> list[int]:
    """The nodes to compute once for each patient and segment: of parameters alone, and used by others."""
    found: set[int] = set()
    seen: set[int] = set()
    stack = list(targets)
    while stack:
        node = stack.pop()
        if node in seen:
            continue
        seen.add(node)
        op = graph.op[node]
        if graph.constant_in_time[node] and op not in (CONSTANT, LEAF) and op not in MASKS:
            found.add(node)
        else:
            stack.extend(graph.needs(node))
    return sorted(found)


def apart(graph: Graph, missing: list[int], targets: list[int]) -> list[int]:
    """Of the nodes to compute, the ones that do not depend on when the sample is and that the others need."""
    own: set[int] = set()
    for node in missing:  # in order, arguments first
        if (graph.op[node] == LEAF and graph.extra[node][0] == "s") or any(a in own for a in graph.needs(node)):
            own.add(node)
    wanted = {a for node in own for a in graph.needs(node)} | set(targets)
    return sorted(wanted - own)
