"""Complex formulas as two real ones: compiled loops and BLAS are fastest on real numbers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from sid_xarray.errors import ModelError
from sid_xarray.models.formula.graph import Graph, Op

__all__ = ["Parts"]


@dataclass(slots=True)
class Parts:
    """Splits values of a graph into real and imaginary parts, which become values of the same graph."""

    graph: Graph
    _done: dict[int, tuple[int, int | None]] = field(default_factory=dict)

    def split(self, value: int) -> tuple[int, int | None]:
        """Return the parts; None for the imaginary part of something real.

        Raises
        ------
        ModelError
            If a function is asked for that has no complex form here, for instance ``erf`` of a complex number.
        """
        for i in self.graph.reachable([value]):
            if i not in self._done:
                op = self.graph.ops[i]
                self._done[i] = self._split(i, op, [self._done[k] for k in op.args])
        return self._done[value]

    def _split(self, i: int, op: Op, args: list[tuple[int, int | None]]) -> tuple[int, int | None]:
        g = self.graph
        if op.name == "number" and isinstance(op.value, complex):
            return g.number(op.value.real), g.number(op.value.imag)
        if op.name in ("symbol", "number"):
            return i, None
        if all(imag is None for _, imag in args):
            return self._rebuilt(i, op, [real for real, _ in args])
        match op.name:
            case "add" | "subtract":
                return self._sum(op.name, args)
            case "negative":
                return self._each(g.negative, args[0])
            case "multiply":
                return self._product(args[0], args[1])
            case "inverse":
                return self._inverse(args[0])
            case "where":
                return self._where(args)
        return self._function(op.name, args)

    def _rebuilt(self, i: int, op: Op, args: list[int]) -> tuple[int, int | None]:
        """Return a real operation on real arguments."""
        g = self.graph
        if op.name in ("real", "conj"):
            return args[0], None
        if op.name == "imag":
            return g.number(0), None
        if tuple(args) == op.args:
            return i, None
        match op.name:
            case "add":
                return g.add(*args), None
            case "subtract":
                return g.subtract(*args), None
            case "multiply":
                return g.multiply(*args), None
            case "negative":
                return g.negative(*args), None
            case "inverse":
                return g.inverse(*args), None
            case "power":
                return g.power(*args), None
        return (g.function(op.name, args[0]) if len(args) == 1 else g.call(op.name, *args)), None

    @staticmethod
    def _each(operation: Callable[[int], int], value: tuple[int, int | None]) -> tuple[int, int | None]:
        real, imag = value
        return operation(real), None if imag is None else operation(imag)

    def _sum(self, name: str, args: list[tuple[int, int | None]]) -> tuple[int, int | None]:
        g, zero = self.graph, self.graph.number(0)
        (a, b), (c, d) = args
        join = g.add if name == "add" else g.subtract
        return join(a, c), join(zero if b is None else b, zero if d is None else d)

    def _product(self, p: tuple[int, int | None], q: tuple[int, int | None]) -> tuple[int, int | None]:
        g, (a, b), (c, d) = self.graph, p, q
        if b is None or d is None:
            scale, (real, imag) = (a, q) if b is None else (c, p)
            assert imag is not None
            return g.multiply(scale, real), g.multiply(scale, imag)
        return (
            g.subtract(g.multiply(a, c), g.multiply(b, d)),
            g.add(g.multiply(a, d), g.multiply(b, c)),
        )

    def _inverse(self, value: tuple[int, int | None]) -> tuple[int, int | None]:
        g, (a, b) = self.graph, value
        assert b is not None
        scale = g.inverse(g.add(g.multiply(a, a), g.multiply(b, b)))
        return g.multiply(a, scale), g.negative(g.multiply(b, scale))

    def _where(self, args: list[tuple[int, int | None]]) -> tuple[int, int | None]:
        g, zero = self.graph, self.graph.number(0)
        (condition, _), (a, b), (c, d) = args
        return (
            g.call("where", condition, a, c),
            g.call("where", condition, zero if b is None else b, zero if d is None else d),
        )

    def _function(self, name: str, args: list[tuple[int, int | None]]) -> tuple[int, int | None]:
        g, (a, b) = self.graph, args[0]
        if b is None or len(args) > 1:
            raise ModelError(f"{name} takes real numbers here; a formula may call real() or abs() first")
        match name:
            case "exp":
                size = g.function("exp", a)
                return (
                    g.multiply(size, g.function("cos", b)),
                    g.multiply(size, g.function("sin", b)),
                )
            case "real":
                return a, None
            case "imag":
                return b, None
            case "conj":
                return a, g.negative(b)
            case "abs":
                return g.function("sqrt", g.add(g.multiply(a, a), g.multiply(b, b))), None
        raise ModelError(f"{name} takes real numbers here; a formula may call real() or abs() first")
