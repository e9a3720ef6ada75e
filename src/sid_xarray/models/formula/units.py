"""Units of parameters from where they stand in a formula."""

from __future__ import annotations

from fractions import Fraction

from sid_xarray.models.formula.graph import Graph, Op

__all__ = ["solve_units"]

# An exponent of y or x: a sum of unknown ones, and a constant under the key None.
_Sum = dict[str | None, Fraction]
_BARE = frozenset("exp log sin cos tan sinh cosh tanh arcsin arccos arctan erf langevin langevin_slope power".split())


def solve_units(graph: Graph, value: int, parameters: tuple[str, ...], axis: str) -> dict[str, tuple[int, int]]:
    """Return the exponents of the units of y and of x of the parameters that a formula determines.

    What is added or compared has the same units, functions take pure numbers, and the whole has the units of y.
    Numbers that are added may have any. Parameters that this leaves open, or that would need a root of a unit, are
    left out; all are if the formula contradicts itself.
    """
    found = []
    for own in (0, 1):
        equations: list[_Sum] = []
        powers = {i: _of(graph, i, graph.ops[i], axis, own) for i in graph.reachable([value])}
        sums: dict[int, _Sum] = {}
        for i, rule in powers.items():
            sums[i] = rule(sums, equations)
        equations.append(_plus(sums[value], {None: Fraction(own == 0)}, -1))
        solved = _solve(equations)
        if solved is None:
            return {}
        found.append(solved)
    out = {}
    for name in parameters:
        exponents = [solved.get(name) for solved in found]
        if all(e is not None and e.denominator == 1 for e in exponents):
            out[name] = (int(exponents[0] or 0), int(exponents[1] or 0))
    return out


def _plus(a: _Sum, b: _Sum, factor: Fraction | int = 1) -> _Sum:
    return {k: v for k in {**a, **b} if (v := a.get(k, Fraction(0)) + factor * b.get(k, Fraction(0))) != 0}


def _of(graph: Graph, i: int, op: Op, axis: str, own: int):  # type: ignore[no-untyped-def]
    """Return how the exponent of a value follows from those of its arguments, and what it demands of them."""

    def rule(sums: dict[int, _Sum], equations: list[_Sum]) -> _Sum:
        args = [sums[k] for k in op.args]
        match op.name:
            case "number":
                return {f"#{i}": Fraction(1)}  # free, until something is demanded
            case "symbol":
                return {None: Fraction(own)} if op.value == axis else {str(op.value): Fraction(1)}
            case "multiply":
                a, b = (_bare_number(graph, k, s) for k, s in zip(op.args, args, strict=True))
                return _plus(a, b)
            case "inverse":
                return _plus({}, _bare_number(graph, op.args[0], args[0]), -1)
            case "add" | "subtract" | "less" | "less_equal" | "hypot":
                equations.append(_plus(args[0], args[1], -1))
                return {} if op.name.startswith("less") else args[0]
            case "where":
                equations.append(_plus(args[1], args[2], -1))
                return args[1]
            case "sqrt":
                return _plus({}, args[0], Fraction(1, 2))
            case "negative" | "abs" | "real" | "imag" | "conj":
                return args[0]
            case "voigt_real" | "voigt_imag":
                equations.extend(args)
                return {}
        if op.name in _BARE:
            equations.extend(args)
        return {}

    return rule


def _bare_number(graph: Graph, k: int, exponent: _Sum) -> _Sum:
    """A number that multiplies is a pure one."""
    return {} if graph.ops[k].name == "number" else exponent


def _solve(equations: list[_Sum]) -> dict[str, Fraction] | None:
    """Return the unknowns that linear equations determine; None if they contradict each other."""
    rows: list[tuple[str, _Sum]] = []
    for equation in equations:
        for name, row in rows:
            equation = _plus(equation, row, -equation.get(name, Fraction(0)))
        names = [k for k in equation if k is not None]
        if not names:
            if equation:
                return None
            continue
        # Numbers first: what is asked for are the parameters.
        pivot = min(names, key=lambda name: (not name.startswith("#"), name))
        new = {k: v / equation[pivot] for k, v in equation.items()}
        rows = [(name, _plus(row, new, -row.get(pivot, Fraction(0)))) for name, row in rows]
        rows.append((pivot, new))
    return {name: -row.get(None, Fraction(0)) for name, row in rows if set(row) <= {name, None}}
