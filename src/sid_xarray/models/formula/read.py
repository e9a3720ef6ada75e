"""Formulas from text: read by Python's own parser, checked node by node, never run."""

from __future__ import annotations

import ast
import math
from collections.abc import Callable, Mapping

from sid_xarray.errors import ModelError, nearest
from sid_xarray.models.formula.graph import FUNCTIONS, ON_AXES, Graph

__all__ = ["CALLS", "names_in", "read", "rename", "to_graph"]

_LONGEST = 20_000
_LARGEST_POWER = 64.0
_ALIASES = {"atan": "arctan", "asin": "arcsin", "acos": "arccos"}
# Functions of several arguments, and how many.
_SEVERAL = {"where": 3, "minimum": 2, "maximum": 2, "voigt": 2, "hypot": 2, "heaviside": 2}
CALLS = FUNCTIONS | frozenset(_ALIASES) | frozenset(_SEVERAL) | {"log10", "fermi", "expm1", "log1p"}
"""Names of functions that a formula may call."""

_OPERATORS: dict[type[ast.operator], Callable[[Graph, int, int], int]] = {
    ast.Add: Graph.add,
    ast.Sub: Graph.subtract,
    ast.Mult: Graph.multiply,
    ast.Div: Graph.divide,
    ast.Pow: Graph.power,
}
_COMPARISONS: dict[type[ast.cmpop], tuple[str, bool]] = {
    ast.Lt: ("less", False),
    ast.LtE: ("less_equal", False),
    ast.Gt: ("less", True),
    ast.GtE: ("less_equal", True),
}


def read(text: str) -> ast.expr:
    """Parse a formula and refuse what is none.

    Raises
    ------
    ModelError
        If it holds anything but numbers, names, ``+ - * / **``, comparisons, and calls of `CALLS`.
    """
    try:
        if len(text) > _LONGEST:
            raise ValueError(f"{len(text)} characters")
        tree = ast.parse(text.strip(), mode="eval").body
        for node in ast.walk(tree):
            _check(node, text)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        if isinstance(error, ModelError):
            raise
        short = text if len(text) < 80 else text[:77] + "..."
        raise ModelError(f"cannot read the formula {short!r}. Write, for instance, 'a * exp(-x / t) + b'.") from error
    return tree


def _check(node: ast.AST, text: str) -> None:
    if isinstance(node, ast.Constant):
        # A truth value is an int to isinstance, and no number here.
        value = node.value
        if isinstance(value, int | float | complex) and not isinstance(value, bool) and abs(value) < math.inf:
            return None
    elif isinstance(node, ast.BinOp):
        if type(node.op) in _OPERATORS:
            return None
    elif isinstance(node, ast.UnaryOp):
        if isinstance(node.op, ast.UAdd | ast.USub):
            return None
    elif isinstance(node, ast.Compare):
        if len(node.ops) == 1 and type(node.ops[0]) in _COMPARISONS:
            return None
    elif isinstance(node, ast.Call):
        return _check_call(node, text)
    elif isinstance(node, ast.Name | ast.expr_context | ast.operator | ast.unaryop | ast.cmpop):
        return None
    found = ast.get_source_segment(text.strip(), node) if isinstance(node, ast.expr) else None
    raise ModelError(
        f"a formula is made of numbers, names, + - * / **, comparisons and functions; found "
        f"{found or type(node).__name__!r} in {text!r}. Functions: {', '.join(sorted(CALLS))}."
    )


def _check_call(node: ast.Call, text: str) -> None:
    name = node.func.id if isinstance(node.func, ast.Name) else None
    if name is None or node.keywords or any(isinstance(arg, ast.Starred) for arg in node.args):
        raise ModelError(
            f"a formula calls functions by name, without keywords; found {ast.unparse(node)!r} in {text!r}"
        )
    if name not in CALLS:
        raise ModelError(
            f"a formula knows no function {name!r}.{nearest(name, CALLS)} Functions: {', '.join(sorted(CALLS))}."
        )
    wanted = _SEVERAL.get(name, 1)
    if len(node.args) != wanted:
        raise ModelError(f"{name} takes {wanted} argument{'s' * (wanted > 1)}, got {len(node.args)} in {text!r}")


def names_in(tree: ast.expr) -> list[str]:
    """Return the names of values, in the order in which they are written first; ``pi`` is a number."""
    called = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    found = [node for node in ast.walk(tree) if isinstance(node, ast.Name) and id(node) not in called]
    found.sort(key=lambda node: (node.lineno, node.col_offset))
    return [name for name in dict.fromkeys(node.id for node in found) if name != "pi"]


def rename(text: str, names: Mapping[str, str]) -> str:
    """Return a formula with other names for its values; a name may become a formula in brackets."""
    tree = read(text)
    called = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}

    class Renamer(ast.NodeTransformer):
        def visit_Name(self, node: ast.Name) -> ast.expr:
            if id(node) in called or node.id not in names:
                return node
            return read(names[node.id])

    return ast.unparse(Renamer().visit(tree))


def to_graph(tree: ast.expr, graph: Graph) -> int:
    """Build a formula that `read` has let through; return its value."""
    if isinstance(tree, ast.Constant):
        assert isinstance(tree.value, int | float | complex)
        return graph.number(tree.value)
    if isinstance(tree, ast.Name):
        return graph.number(math.pi) if tree.id == "pi" else graph.symbol(tree.id)
    if isinstance(tree, ast.UnaryOp):
        value = to_graph(tree.operand, graph)
        return graph.negative(value) if isinstance(tree.op, ast.USub) else value
    if isinstance(tree, ast.BinOp):
        left, right = to_graph(tree.left, graph), to_graph(tree.right, graph)
        return _operate(graph, type(tree.op), left, right)
    if isinstance(tree, ast.Compare):
        name, swapped = _COMPARISONS[type(tree.ops[0])]
        left, right = to_graph(tree.left, graph), to_graph(tree.comparators[0], graph)
        return graph.call(name, right, left) if swapped else graph.call(name, left, right)
    assert isinstance(tree, ast.Call)
    assert isinstance(tree.func, ast.Name)
    name = _ALIASES.get(tree.func.id, tree.func.id)
    return _call(graph, name, [to_graph(arg, graph) for arg in tree.args])


def _operate(graph: Graph, kind: type[ast.operator], left: int, right: int) -> int:
    exponent = graph.constant(right) if kind is ast.Pow else None
    if exponent is not None and abs(exponent) > _LARGEST_POWER:
        raise ModelError(f"a power of {exponent.real:g} is more than a formula can work out")
    if kind is ast.Div and graph.is_number(right, 0):
        raise ModelError("a formula divides by zero")
    return _OPERATORS[kind](graph, left, right)


def _call(graph: Graph, name: str, args: list[int]) -> int:
    a = args[0]
    if name == "rising" and graph.ops[a].depends != ON_AXES:
        raise ModelError("rising() tells where an axis rises along the curve: it takes an axis, not parameters")
    if name in FUNCTIONS:
        return graph.function(name, a)
    one = graph.number(1)
    if name == "log10":
        return graph.multiply(graph.number(1 / math.log(10)), graph.function("log", a))
    if name == "expm1":
        return graph.subtract(graph.function("exp", a), one)
    if name == "log1p":
        return graph.function("log", graph.add(one, a))
    if name == "fermi":  # 1 / (exp(a) + 1), without overflow
        half = graph.number(0.5)
        return graph.subtract(half, graph.multiply(half, graph.function("tanh", graph.multiply(half, a))))
    if name == "hypot":
        squares = (graph.multiply(v, v) for v in args)
        return graph.function("sqrt", graph.add(*squares))
    if name == "heaviside":
        zero = graph.number(0)
        above = graph.call("where", graph.call("less", zero, a), one, args[1])
        return graph.call("where", graph.call("less", a, zero), zero, above)
    if name == "minimum":
        return graph.call("where", graph.call("less", a, args[1]), a, args[1])
    if name == "maximum":
        return graph.call("where", graph.call("less", a, args[1]), args[1], a)
    if name == "voigt":
        return graph.call("voigt_real", *args)
    return graph.call(name, *args)
