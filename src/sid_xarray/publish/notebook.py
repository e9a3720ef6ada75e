"""A history as a notebook that does it again."""

from __future__ import annotations

import ast
import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from sid_xarray.core.calls import Call
from sid_xarray.core.provenance import Provenance
from sid_xarray.publish.methods import explained, methods_text

__all__ = ["cells", "to_notebook"]

Cell = tuple[str, str]


def to_notebook(history: Provenance, path: str | os.PathLike[str] | None = None, *, paths: Any = None) -> str:
    """Notebook that makes the array again, from the raw file: the script of ``to_script``, a cell for every step.

    Parameters
    ----------
    history : Provenance
    path : str, optional
        File to write to, such as ``"analysis.ipynb"``.
    paths : str or mapping, optional
        Where the raw files are, as for ``to_script``.

    Returns
    -------
    str
        JSON of nbformat 4.5. The first cell tells the methods, each step has its sentence above it. Outputs are
        empty: run it.

    Raises
    ------
    ProvenanceError
        As ``to_script``: if there is no history, or the values were changed after its last step.
    """
    parts = [("markdown", f"# Analysis\n\n{methods_text(history)}"), *cells(history.to_script(paths), history)]
    text = json.dumps(_notebook(parts), indent=1, ensure_ascii=False)
    if path is not None:
        Path(path).write_text(text + "\n", encoding="utf-8")
    return text


def cells(script: str, history: Provenance | None = None) -> list[Cell]:
    """Cut a script of ``to_script`` into cells.

    Parameters
    ----------
    script : str
    history : Provenance, optional
        That it was made of: then a sentence stands above every step.

    Returns
    -------
    list of (kind, source)
        ``"markdown"`` or ``"code"``: what the script says of itself, imports, raw files, steps, and the result. Where
        the steps have to stay in a function, since a trace runs them, that is one cell.
    """
    tree, lines = ast.parse(script), script.splitlines()
    function = next((n for n in tree.body if isinstance(n, ast.FunctionDef)), None)
    imports = [n for n in tree.body if isinstance(n, ast.Import | ast.ImportFrom) and not _is_import(n, "sys")]
    # What runs it as a program has no place in a notebook.
    rest = [n for n in tree.body if not isinstance(n, ast.Import | ast.ImportFrom | ast.FunctionDef | ast.If)]
    call = rest[-1] if rest else None
    out: list[Cell] = [("markdown", _header(lines)), ("code", "\n".join(ast.unparse(n) for n in imports))]
    start = imports if function is None else [function]
    out.append(("code", "\n".join(_source(lines, n, after) for n, after in _after(rest[:-1], start))))
    if function is None or not isinstance(call, ast.Assign) or not _is_called(call, function):
        out += [("code", _source(lines, n)) for n in (function, call) if n is not None]
        out.append(("code", "result"))
    else:
        out += _steps(function, lines, history)
    return [(kind, source) for kind, source in out if source.strip()]


def _is_import(node: ast.Import | ast.ImportFrom, name: str) -> bool:
    return isinstance(node, ast.Import) and [alias.name for alias in node.names] == [name]


def _is_called(call: ast.Assign, function: ast.FunctionDef) -> bool:
    """Tell whether a statement calls the function on the variables that its parameters are named after."""
    value = call.value
    if not isinstance(value, ast.Call) or not isinstance(value.func, ast.Name) or value.func.id != function.name:
        return False
    return [ast.unparse(a) for a in value.args] == [a.arg for a in function.args.args]


def _after(nodes: Sequence[ast.stmt], before: Sequence[ast.stmt]) -> Iterator[tuple[ast.stmt, int]]:
    """Yield every statement, and the line where what stands before it ends: comments in between are its own."""
    end = max((n.end_lineno or 0 for n in before), default=0)
    for node in nodes:
        yield node, end
        end = node.end_lineno or end


def _source(lines: Sequence[str], node: ast.stmt, after: int | None = None) -> str:
    start = node.lineno - 1 if after is None else after
    text = [
        line[node.col_offset :] if line[: node.col_offset].isspace() else line
        for line in lines[start : node.end_lineno]
    ]
    return "\n".join(text).strip("\n")


def _header(lines: Sequence[str]) -> str:
    head = []
    for line in lines:
        if not line.startswith("#"):
            break
        if not line.startswith("# Run it"):  # as a program
            head.append(line.lstrip("# "))
    return "\n".join(head)


def _steps(function: ast.FunctionDef, lines: Sequence[str], history: Provenance | None) -> Iterator[Cell]:
    waiting = list(explained(history)) if history is not None else []
    for node, after in _after(
        function.body, [ast.Pass(lineno=function.lineno, end_lineno=function.body[0].lineno - 1)]
    ):
        first = after if node is not function.body[0] else function.lineno
        source = _source(lines, node, first)
        if isinstance(node, ast.Return):
            yield "code", f"result = {ast.unparse(node.value)}\nresult" if node.value is not None else ""
            continue
        said = _sentence(source, waiting)
        if said:
            yield "markdown", said
        yield "code", source


def _sentence(source: str, waiting: list[tuple[Call, str]]) -> str:
    """Return what is said of the next call that a piece of the script is about, and all calls before it."""
    for i, (call, _) in enumerate(waiting):
        if f".{call.name}(" in source or f"({call.name!r})" in source:
            said = [text for _, text in waiting[: i + 1]]
            del waiting[: i + 1]
            return said[-1]
    return ""


def _notebook(parts: Sequence[Cell]) -> dict[str, Any]:
    def cell(i: int, kind: str, source: str) -> dict[str, Any]:
        name = hashlib.sha256(f"{i}{source}".encode()).hexdigest()[:8]
        empty: dict[str, Any] = {"execution_count": None, "outputs": []} if kind == "code" else {}
        return {"cell_type": kind, "id": name, "metadata": {}, **empty, "source": source.splitlines(keepends=True)}

    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    return {
        "cells": [cell(i, *part) for i, part in enumerate(parts)],
        "metadata": {"kernelspec": kernel, "language_info": {"name": "python"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
