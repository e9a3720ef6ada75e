"""Formulas as the source of compiled loops: the only place that writes code.

What is written is made of the operations of a checked graph, of numbers, and of names that are made up here; no text
of a user gets in.
"""

from __future__ import annotations

from collections.abc import Sequence

from sid_xarray.models.formula.graph import ON_AXES, ON_PARAMETERS, Graph

__all__ = ["write_source"]

_INFIX = {"add": "+", "subtract": "-", "multiply": "*", "power": "**", "less": "<", "less_equal": "<="}
# Once a curve, the functions of the standard library do; along a curve, those that become vector instructions.
_ONCE = {"arcsin": "math.asin", "arccos": "math.acos", "arctan": "math.atan", "abs": "abs"} | {
    name: f"math.{name}" for name in "exp log sqrt sin cos tan sinh cosh tanh erf".split()
}
_ALONG = _ONCE | {name: f"maths.{name}" for name in "exp log erf tanh".split()}
_PARTS_OF_W = ("voigt_real", "voigt_imag")
_TWO_AT_ONCE = ("faddeeva", "erf_and_bell")


def write_source(
    graph: Graph, outputs: Sequence[int], parameters: Sequence[str], *, parts: int
) -> tuple[str, tuple[int, ...]]:
    """Write a function that sets residuals and derivatives of one curve.

    Parameters
    ----------
    graph : Graph
        Real.
    outputs : sequence of int
        For every part, real then imaginary: the value, and its derivatives with respect to the parameters.
    parameters : sequence of str
    parts : int
        2 if the values are complex.

    Returns
    -------
    source : str
        Of ``model(rows, y, p, r, jac)``: rows (k, n), y and r (m,), p (p,), jac (p, m), where ``m = n * parts``.
    rows : tuple of int
        The values that have to be in ``rows``: those that depend on the axes alone.
    """
    needed = graph.reachable(outputs)
    both = ON_AXES | ON_PARAMETERS
    depends = [graph.ops[i].depends for i in range(len(graph.ops))]
    along = [i for i in needed if depends[i] == both]
    asked = dict.fromkeys(k for i in along for k in graph.ops[i].args) | dict.fromkeys(outputs)
    rows = tuple(k for k in asked if depends[k] == ON_AXES)
    names = {i: f"v{i}" for i in needed}
    for i in needed:
        value = graph.constant(i)
        if value is not None:
            names[i] = repr(value.real) if value.real >= 0 else f"({value.real!r})"
    lines = ["def model(rows, y, p, r, jac):"]
    lines += [f"    row{n} = rows[{n}]" for n in range(len(rows))]
    once = [i for i in needed if not depends[i] & ON_AXES and graph.ops[i].name != "number"]
    positions = {name: k for k, name in enumerate(parameters)}
    for i in once:
        op = graph.ops[i]
        if op.name == "symbol":
            lines.append(f"    {names[i]} = p[{positions[str(op.value)]}]")
        else:
            lines += _statements(graph, i, names, _ONCE, "    ")
    lines.append(f"    n = {'row0.size' if rows else 'y.size' if parts == 1 else 'y.size // 2'}")
    count = len(parameters)
    for part in range(parts):
        here = "" if parts == 1 else "[:n]" if part == 0 else "[n:]"
        lines += [f"    y{part} = y{here}", f"    r{part} = r{here}"]
        lines += [f"    jac{part}_{k} = jac[{k}]{here}" for k in range(count)]
    lines.append("    for i in range(n):")
    lines += [f"        {names[k]} = row{n}[i]{_as_condition(graph, k)}" for n, k in enumerate(rows)]
    pairs = _with_bells(graph, along)
    for i in along:
        if i in pairs:
            erf, bell = pairs[i]
            call = f"maths.erf_and_bell({names[graph.ops[erf].args[0]]})"
            lines.append(f"        {names[erf]}, {names[bell]} = {call}")
        else:
            lines += _statements(graph, i, names, _ALONG, "        ")
    for part in range(parts):
        value, *slopes = outputs[part * (count + 1) : (part + 1) * (count + 1)]
        lines.append(f"        r{part}[i] = y{part}[i] - {names[value]}")
        lines += [f"        jac{part}_{k}[i] = {names[slope]}" for k, slope in enumerate(slopes)]
    # A call whose result is known already is left out.
    return "\n".join(_without_repeats(lines)) + "\n", rows


def _without_repeats(lines: list[str]) -> list[str]:
    return [line for n, line in enumerate(lines) if not any(c in line for c in _TWO_AT_ONCE) or line not in lines[:n]]


def _with_bells(graph: Graph, values: Sequence[int]) -> dict[int, tuple[int, int]]:
    """Return the error functions of ``a``, and the ``exp(-a**2)`` of their slopes, which one call gives, by either."""
    erfs = {graph.ops[i].args[0]: i for i in values if graph.ops[i].name == "erf"}
    found: dict[int, tuple[int, int]] = {}
    for i in values:
        op = graph.ops[i]
        below = graph.ops[op.args[0]] if op.name == "exp" else None
        square = graph.ops[below.args[0]] if below is not None and below.name == "negative" else None
        if square is not None and square.name == "multiply" and square.args[0] == square.args[1]:
            erf = erfs.get(square.args[0])
            if erf is not None:
                found[i] = found[erf] = erf, i
    return found


def _statements(graph: Graph, i: int, names: dict[int, str], functions: dict[str, str], indent: str) -> list[str]:
    """Return the lines that work out one value."""
    op = graph.ops[i]
    args = [names[k] for k in op.args]
    if op.name in _PARTS_OF_W:
        # Both parts come from one call, the first time that one is asked for.
        parts = [f"w{part}_{op.args[0]}_{op.args[1]}" for part in ("r", "i")]
        call = f"{indent}{', '.join(parts)} = maths.faddeeva({', '.join(args)})"
        return [call, f"{indent}{names[i]} = {parts[_PARTS_OF_W.index(op.name)]}"]
    return [f"{indent}{names[i]} = {_written(op.name, args, functions)}"]


def _as_condition(graph: Graph, i: int) -> str:
    return " != 0.0" if graph.ops[i].name in ("less", "less_equal") else ""


def _written(name: str, args: list[str], functions: dict[str, str]) -> str:
    if name in _INFIX:
        return f"{args[0]} {_INFIX[name]} {args[1]}"
    if name == "negative":
        return f"-{args[0]}"
    if name == "inverse":
        return f"1.0 / {args[0]}"
    if name == "where":
        return f"{args[1]} if {args[0]} else {args[2]}"
    return f"{functions.get(name, f'maths.{name}')}({', '.join(args)})"
