"""Derivatives of formulas, and what follows from them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from sid_xarray.errors import ModelError
from sid_xarray.models.formula.graph import Graph, Op

__all__ = ["derivative", "linear_together"]


def derivative(graph: Graph, value: int, name: str) -> int:
    """Return the derivative of a value with respect to a symbol."""
    zero = graph.number(0)
    slopes: dict[int, int] = {}
    for i in graph.reachable([value]):
        op = graph.ops[i]
        if op.name == "symbol":
            slopes[i] = graph.number(float(op.value == name))
        elif all(slopes[k] == zero for k in op.args):
            slopes[i] = zero
        else:
            slopes[i] = _of_quotient(graph, i, op, slopes) or _slope(graph, i, op, [slopes[k] for k in op.args])
    return slopes[value]


def _of_quotient(g: Graph, i: int, op: Op, slopes: dict[int, int]) -> int | None:
    """Return the derivative of a complex quotient from the quotient itself, which saves complex products."""
    if op.name != "multiply" or not g.is_complex():
        return None
    for k, other in (op.args, op.args[::-1]):
        divisor = g.ops[k].args[0] if g.ops[k].name == "inverse" else -1
        if divisor >= 0 and not g.is_number(slopes[divisor], 0):
            above = g.multiply(slopes[other], k)
            return g.subtract(above, g.product(i, g.product(k, slopes[divisor])))
    return None


def _slope(graph: Graph, i: int, op: Op, slopes: list[int]) -> int:
    """Return the derivative of one operation from those of its arguments."""
    g, args = graph, op.args
    if op.name in ("add", "subtract"):
        return (g.add if op.name == "add" else g.subtract)(*slopes)
    if op.name == "multiply":
        if args[0] == args[1]:
            return g.multiply(g.number(2), g.multiply(args[0], slopes[0]))
        return g.add(g.multiply(slopes[0], args[1]), g.multiply(args[0], slopes[1]))
    if op.name in ("negative", "real", "imag", "conj"):
        return g.negative(slopes[0]) if op.name == "negative" else g.function(op.name, slopes[0])
    if op.name == "where":
        return g.call("where", args[0], slopes[1], slopes[2])
    if op.name == "power":
        return _of_power(g, i, args, slopes)
    if op.name in ("less", "less_equal", "sign"):
        return g.number(0)
    if op.name in ("voigt_real", "voigt_imag"):
        return _of_voigt(g, op.name, args, slopes)
    return (
        g.multiply(_of_function(g, i, op.name, args[0]), slopes[0])
        if op.name != "abs"
        else _of_abs(g, args[0], slopes[0], i)
    )


def _of_abs(g: Graph, a: int, slope: int, value: int) -> int:
    """Return the derivative of ``|a|`` for real and for complex a, 0 where a is 0."""
    along = g.function("real", g.multiply(g.function("conj", a), slope))
    nothing = g.number(0)
    return g.call("where", g.call("less", nothing, value), g.multiply(along, g.inverse(value)), nothing)


def _of_power(g: Graph, i: int, args: Sequence[int], slopes: Sequence[int]) -> int:
    base, exponent = args
    out = g.number(0)
    if not g.is_number(slopes[0], 0):
        lower = g.power(base, g.subtract(exponent, g.number(1)))
        out = g.multiply(g.multiply(exponent, lower), slopes[0])
    if not g.is_number(slopes[1], 0):
        out = g.add(out, g.multiply(g.multiply(i, g.function("log", base)), slopes[1]))
    return out


def _of_voigt(g: Graph, name: str, args: Sequence[int], slopes: Sequence[int]) -> int:
    """Return the derivative of the Faddeeva function w, by ``w' = 2i/sqrt(pi) - 2 z w``."""
    x, y = args
    u, v = g.call("voigt_real", x, y), g.call("voigt_imag", x, y)
    two = g.number(2)
    u_x = g.multiply(two, g.subtract(g.multiply(y, v), g.multiply(x, u)))
    v_x = g.subtract(g.number(2 / math.sqrt(math.pi)), g.multiply(two, g.add(g.multiply(x, v), g.multiply(y, u))))
    by_x, by_y = (u_x, g.negative(v_x)) if name == "voigt_real" else (v_x, u_x)
    return g.add(g.multiply(by_x, slopes[0]), g.multiply(by_y, slopes[1]))


def _of_function(g: Graph, i: int, name: str, a: int) -> int:
    """Return the derivative of a function of one argument with respect to that; i is its value."""
    if name not in _SLOPES:
        raise ModelError(f"the derivative of {name} is not known")
    return _SLOPES[name](g, i, a)


def _of_erf(g: Graph, i: int, a: int) -> int:
    bell = g.function("exp", g.negative(g.multiply(a, a)))
    return g.multiply(g.number(2 / math.sqrt(math.pi)), bell)


def _of_arcsin(g: Graph, i: int, a: int) -> int:
    return g.inverse(g.function("sqrt", g.subtract(g.number(1), g.multiply(a, a))))


_SLOPES: dict[str, Callable[[Graph, int, int], int]] = {
    "exp": lambda g, i, a: i,
    "log": lambda g, i, a: g.inverse(a),
    "inverse": lambda g, i, a: g.negative(g.multiply(i, i)),
    "sqrt": lambda g, i, a: g.multiply(g.number(0.5), g.inverse(i)),
    "sin": lambda g, i, a: g.function("cos", a),
    "cos": lambda g, i, a: g.negative(g.function("sin", a)),
    "tan": lambda g, i, a: g.add(g.number(1), g.multiply(i, i)),
    "sinh": lambda g, i, a: g.function("cosh", a),
    "cosh": lambda g, i, a: g.function("sinh", a),
    "tanh": lambda g, i, a: g.subtract(g.number(1), g.multiply(i, i)),
    "arctan": lambda g, i, a: g.inverse(g.add(g.number(1), g.multiply(a, a))),
    "arcsin": _of_arcsin,
    "arccos": lambda g, i, a: g.negative(_of_arcsin(g, i, a)),
    "erf": _of_erf,
    "langevin": lambda g, i, a: g.function("langevin_slope", a),
}


def linear_together(graph: Graph, value: int, names: Sequence[str]) -> tuple[str, ...]:
    """Return names in which a value is linear while the others are held: the most that are linear together.

    Of sets of the same size, the one that begins first. Names are added one by one to each, which finds the largest set
    unless products of many parameters hide it.
    """
    inside: dict[str, frozenset[str]] = {name: graph.symbols(derivative(graph, value, name)) for name in names}
    apart = [name for name in names if name not in inside[name]]
    best: list[str] = []
    for first in apart:
        taken = [first]
        for name in apart:
            if name != first and not any(name in inside[t] or t in inside[name] for t in taken):
                taken.append(name)
        best = taken if len(taken) > len(best) else best
    return tuple(name for name in names if name in best)
