"""Formulas as graphs: every value that occurs, once, after those it is made of."""

from __future__ import annotations

import cmath
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

__all__ = ["FUNCTIONS", "ON_AXES", "ON_PARAMETERS", "Graph", "Op"]

ON_AXES, ON_PARAMETERS = 1, 2

# Functions of one argument. Those of two are built from operations here, or named in the graph by hand.
FUNCTIONS = frozenset(
    "exp log sqrt sin cos tan sinh cosh tanh arcsin arccos arctan erf abs sign real imag conj langevin rising".split()
)
_FOLDED: dict[str, Callable[[Any], Any]] = {
    "exp": cmath.exp, "log": cmath.log, "sqrt": cmath.sqrt, "sin": cmath.sin, "cos": cmath.cos, "tan": cmath.tan,
    "sinh": cmath.sinh, "cosh": cmath.cosh, "tanh": cmath.tanh, "arctan": cmath.atan, "abs": abs,
    "real": lambda v: v.real, "imag": lambda v: v.imag, "conj": lambda v: v.conjugate(),
}  # fmt: skip
_MOST_FACTORS = 8


@dataclass(frozen=True, slots=True)
class Op:
    """One value: an operation on earlier ones, a ``number`` or a ``symbol``.

    Parameters
    ----------
    name : str
    args : tuple of int
    value : float, complex or str, optional
        Of a number or symbol.
    depends : int, default: 0
        `ON_AXES` and `ON_PARAMETERS`, or-ed: a value that depends on parameters alone is worked out once a curve, one
        that depends on the axes alone once for all curves.
    """

    name: str
    args: tuple[int, ...] = ()
    value: float | complex | str | None = None
    depends: int = 0


@dataclass(slots=True)
class Graph:
    """Values, found again when they are asked for twice, and simplified as they are built.

    Numbers are worked out, signs and factors that do not depend on the axes move outwards, and there is no division
    but `inverse`, so that all that is divided by the same value shares one.

    Parameters
    ----------
    axes : tuple of str
        Symbols that vary along a curve. All others are parameters.
    """

    axes: tuple[str, ...] = ("x",)
    ops: list[Op] = field(default_factory=list)
    _known: dict[tuple[str, tuple[int, ...], float | complex | str | None, type], int] = field(default_factory=dict)

    def number(self, value: complex) -> int:
        """Return a number; a complex one without imaginary part is real."""
        value = complex(value)
        return self._new("number", (), value.real if value.imag == 0 else value)

    def symbol(self, name: str) -> int:
        """Return an axis or a parameter."""
        return self._new("symbol", (), name, ON_AXES if name in self.axes else ON_PARAMETERS)

    def constant(self, i: int) -> complex | None:
        """Return the value of a number, None for anything else."""
        op = self.ops[i]
        return complex(op.value) if op.name == "number" and op.value is not None else None

    def is_number(self, i: int, value: complex) -> bool:
        """Tell whether a node is this number."""
        return self.constant(i) == value

    def add(self, a: int, b: int) -> int:
        """Return ``a + b``."""
        p, q = self.constant(a), self.constant(b)
        if p is not None and q is not None:
            return self.number(p + q)
        if p == 0 or q == 0:
            return b if p == 0 else a
        if self.ops[b].name == "negative":
            return self.subtract(a, self.ops[b].args[0])
        if self.ops[a].name == "negative":
            return self.subtract(b, self.ops[a].args[0])
        return self._new("add", (min(a, b), max(a, b)))

    def subtract(self, a: int, b: int) -> int:
        """Return ``a - b``."""
        p, q = self.constant(a), self.constant(b)
        if p is not None and q is not None:
            return self.number(p - q)
        if q == 0:
            return a
        if p == 0 or a == b:
            return self.negative(b) if a != b else self.number(0)
        if self.ops[b].name == "negative":
            return self.add(a, self.ops[b].args[0])
        return self._new("subtract", (a, b))

    def negative(self, a: int) -> int:
        """Return ``-a``."""
        value = self.constant(a)
        if value is not None:
            return self.number(-value)
        op = self.ops[a]
        if op.name == "negative":
            return op.args[0]
        if op.name == "multiply" and self._is_slow(op.args[0]) and not self._is_slow(op.args[1]):
            return self.multiply(self.negative(op.args[0]), op.args[1])
        if op.name == "multiply" and self.constant(op.args[0]) is not None:
            return self.multiply(self.negative(op.args[0]), op.args[1])
        if op.name == "subtract" and self._is_slow(a):
            return self.subtract(op.args[1], op.args[0])
        return self._new("negative", (a,))

    def multiply(self, a: int, b: int) -> int:
        """Return ``a * b``."""
        p, q = self.constant(a), self.constant(b)
        if p is not None and q is not None:
            return self.number(p * q)
        if q is not None or (p is None and self._is_slow(b) and not self._is_slow(a)):
            a, b, p = b, a, q
        if p == 0:
            return a
        if p == 1:
            return b
        if p == -1:
            return self.negative(b)
        apart = self._is_slow(a) and not self._is_slow(b)
        for this, other in ((b, a), (a, b)):
            # A sign goes outwards; next to a factor that is worked out once a curve, it is for nothing.
            if self.ops[this].name == "negative":
                inner = self.ops[this].args[0]
                if apart and this == a:
                    # Only if there is that product already: then it costs nothing to turn it round.
                    known = self._known.get(("multiply", (inner, b), None, type(None)))
                    if known is None:
                        continue
                    return self._new("negative", (known,))
                return self.multiply(self.negative(a), inner) if apart else self.negative(self.multiply(inner, other))
        return self._grouped(a, b)

    def inverse(self, a: int) -> int:
        """Return ``1 / a``."""
        value = self.constant(a)
        if value is not None and value != 0:
            return self.number(1 / value)
        op = self.ops[a]
        if op.name == "inverse":
            return op.args[0]
        if op.name == "negative":
            return self.negative(self.inverse(op.args[0]))
        if op.name == "multiply" and self._is_slow(op.args[0]) and not self._is_slow(a):
            return self.multiply(self.inverse(op.args[0]), self.inverse(op.args[1]))
        return self._new("inverse", (a,))

    def divide(self, a: int, b: int) -> int:
        """Return ``a / b``."""
        return self.multiply(a, self.inverse(b))

    def power(self, a: int, b: int) -> int:
        """Return ``a ** b``: by multiplication for small whole numbers, by a root for halves."""
        exponent = self.constant(b)
        if exponent is None or exponent.imag != 0:
            return self._new("power", (a, b))
        n = exponent.real
        if n < 0:
            return self.inverse(self.power(a, self.number(-n)))
        if n == 0.5:
            return self.function("sqrt", a)
        if n != int(n) or n > _MOST_FACTORS:
            return self._new("power", (a, b))
        out = self.number(1)
        for digit in f"{int(n):b}":
            out = self.multiply(out, out)
            out = self.multiply(out, a) if digit == "1" else out
        return out

    def function(self, name: str, a: int) -> int:
        """Return a function of `FUNCTIONS`."""
        value = self.constant(a)
        if value is not None and name in _FOLDED:
            try:
                return self.number(_FOLDED[name](value))
            except (ValueError, OverflowError):
                pass
        if value is not None and name == "erf" and value.imag == 0:
            return self.number(math.erf(value.real))
        return self._new(name, (a,))

    def call(self, name: str, *args: int) -> int:
        """Return an operation of several arguments: ``where``, ``less``, ``less_equal``, ``voigt_real`` …"""
        if name == "where" and args[1] == args[2]:
            return args[1]
        return self._new(name, args)

    def is_complex(self) -> bool:
        """Tell whether an imaginary number occurs."""
        return any(isinstance(op.value, complex) for op in self.ops)

    def product(self, a: int, b: int) -> int:
        """Return ``a * b`` as it stands: factors that do not vary along a curve are not moved out of a or b."""
        if self.constant(a) is not None or self.constant(b) is not None:
            return self.multiply(a, b)
        return self._new("multiply", (min(a, b), max(a, b)))

    def reachable(self, outputs: Sequence[int]) -> list[int]:
        """Return what the outputs need, in an order in which it can be worked out."""
        needed = set(outputs)
        for i in range(len(self.ops) - 1, -1, -1):
            if i in needed:
                needed.update(self.ops[i].args)
        return sorted(needed)

    def symbols(self, i: int) -> frozenset[str]:
        """Return the names that a value depends on."""
        names = (self.ops[k] for k in self.reachable([i]))
        return frozenset(str(op.value) for op in names if op.name == "symbol")

    def _is_slow(self, i: int) -> bool:
        return not self.ops[i].depends & ON_AXES

    def _grouped(self, a: int, b: int) -> int:
        """Multiply with the factors that do not vary along a curve in front and together."""
        other = self.ops[b]
        if self._is_slow(a) and not self._is_slow(b):
            if other.name == "multiply" and self._is_slow(other.args[0]):
                return self._grouped(self.multiply(a, other.args[0]), other.args[1])
            return self._new("multiply", (a, b))
        if not self._is_slow(a):
            for this, that in ((a, b), (b, a)):
                op = self.ops[this]
                if op.name == "multiply" and self._is_slow(op.args[0]) and not self._is_slow(op.args[1]):
                    return self.multiply(op.args[0], self.multiply(op.args[1], that))
        elif other.name == "multiply" and self.constant(a) is not None:
            inner = self.constant(other.args[0])
            if inner is not None:
                return self.multiply(self.multiply(a, other.args[0]), other.args[1])
        return self._new("multiply", (min(a, b), max(a, b)))

    def _new(
        self, name: str, args: tuple[int, ...], value: float | complex | str | None = None, depends: int = 0
    ) -> int:
        key = (name, args, value, type(value))
        if key not in self._known:
            for i in args:
                depends |= self.ops[i].depends
            self._known[key] = len(self.ops)
            self.ops.append(Op(name, args, value, depends))
        return self._known[key]
