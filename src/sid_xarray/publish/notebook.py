"""A history as a notebook that does it again."""

from __future__ import annotations

import ast
import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sid_xarray.core.provenance import Provenance
from sid_xarray.publish.methods import methods_text

__all__ = ["cells", "to_notebook"]

MARK = "# %%"


def to_notebook(history: Provenance, path: str | os.PathLike[str] | None = None) -> str:
    """Notebook that reproduces the array from the raw file: the script of ``to_script``, a cell for every step.

    Parameters
    ----------
    history : Provenance
    path : str, optional
        File to write to, such as ``"analysis.ipynb"``.

    Returns
    -------
    str
        JSON of nbformat 4.5. The first cell tells the methods; outputs are empty: run it.

    Raises
    ------
    ProvenanceError
        As ``to_script``: if a step cannot be done again, such as an unrecorded one.
    """
    script: str = history.to_script()  # type: ignore[attr-defined,unused-ignore]
    text = json.dumps(_notebook([("markdown", _head(history)), *cells(script)]), indent=1, ensure_ascii=False)
    if path is not None:
        Path(path).write_text(text + "\n", encoding="utf-8")
    return text


def _head(history: Provenance) -> str:
    return f"# Analysis\n\n{methods_text(history)}"


def cells(script: str) -> list[tuple[str, str]]:
    """Cut a script at its ``# %%`` lines.

    Parameters
    ----------
    script : str
        In the percent format: ``# %% title`` starts a cell of code, ``# %% [markdown]`` one of text in comments.

    Returns
    -------
    list of (kind, source)
        ``"markdown"`` or ``"code"``. Titles, and the text at the top of the script, are cells of text.
    """
    out: list[tuple[str, str]] = []
    for title, lines in _chunks(script):
        body = "\n".join(lines).strip("\n")
        if title.startswith("[markdown]"):
            words = "\n".join(line.removeprefix("#").removeprefix(" ") for line in body.splitlines())
            out.append(("markdown", words.strip()))
            continue
        if title:
            out.append(("markdown", f"### {title}"))
        said = _docstring(body)
        if said is not None:
            out.append(("markdown", said))
        elif body.strip():
            out.append(("code", body))
    return [cell for cell in out if cell[1]]


def _chunks(script: str) -> Iterator[tuple[str, list[str]]]:
    title, lines = "", []
    quoted = _quoted(script)
    for number, line in enumerate(script.splitlines(), 1):
        if line.startswith(MARK) and number not in quoted:
            yield title, lines
            title, lines = line.removeprefix(MARK).strip(), []
        else:
            lines.append(line)
    yield title, lines


def _quoted(script: str) -> set[int]:
    """Return the lines that lie inside of text: a mark there is none."""
    inside: set[int] = set()
    for node in ast.walk(ast.parse(script)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.end_lineno is not None:
            inside |= set(range(node.lineno + 1, node.end_lineno + 1))
    return inside


def _docstring(body: str) -> str | None:
    """Return the text of a cell that is nothing but a docstring."""
    statements = ast.parse(body).body
    return ast.get_docstring(ast.parse(body)) if len(statements) == 1 else None


def _notebook(parts: list[tuple[str, str]]) -> dict[str, Any]:
    def cell(i: int, kind: str, source: str) -> dict[str, Any]:
        name = hashlib.sha256(f"{i}{source}".encode()).hexdigest()[:8]
        empty = {"execution_count": None, "outputs": []} if kind == "code" else {}
        return {"cell_type": kind, "id": name, "metadata": {}, **empty, "source": source.splitlines(keepends=True)}

    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    return {
        "cells": [cell(i, *part) for i, part in enumerate(parts)],
        "metadata": {"kernelspec": kernel, "language_info": {"name": "python"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
