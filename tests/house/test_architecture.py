"""What the house rules say about every file."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path

import pytest

import sid_xarray
from sid_xarray import models, ops
from sid_xarray.core.registry import VERBS, Registry, load
from sid_xarray.errors import RegistryError
from sid_xarray.io import readers
from sid_xarray.viz import views

SRC = Path(sid_xarray.__file__).parent
FILES = sorted(SRC.rglob("*.py"))
MODULES = pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(SRC)))
TABLES = {"models": models.TABLE, "ops": ops.TABLE, "views": views.TABLE, "readers": readers.TABLE}


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


@MODULES
def test_no_module_is_longer_than_a_sitting(path):
    assert len(path.read_text().splitlines()) <= 420


@MODULES
def test_no_print_no_exec_no_bare_except(path):
    allowed = {"cli.py"}  # talks to people, through rich
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and path.name not in allowed:
            assert node.func.id not in ("print", "eval", "exec", "breakpoint"), f"line {node.lineno}"
        if isinstance(node, ast.ExceptHandler):
            assert node.type is not None, f"bare except in line {node.lineno}"


@MODULES
def test_functions_have_few_positional_parameters_and_fit_a_screen(path):
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            doc = ast.get_docstring(node, clean=False)
            code = node.end_lineno - node.lineno + 1 - (doc.count("\n") + 1 if doc else 0)
            assert code <= 60, f"{node.name} has {code} lines"


@MODULES
def test_every_module_says_what_it_is_for_and_what_it_gives(path):
    module = tree(path)
    assert ast.get_docstring(module)
    names = [t.id for n in module.body if isinstance(n, ast.Assign) for t in n.targets if isinstance(t, ast.Name)]
    defines = any(isinstance(n, ast.FunctionDef | ast.ClassDef) and not n.name.startswith("_") for n in module.body)
    assert not defines or path.name == "__init__.py" or "__all__" in names


@MODULES
def test_what_a_module_gives_is_there(path):
    if path.name == "__init__.py" or "viz" in path.parts or path.name == "cli.py":
        pytest.skip("needs packages that may not be here")
    if "compiled" in path.parts:
        pytest.importorskip("numba")
    name = ".".join(("sid_xarray", *path.relative_to(SRC).with_suffix("").parts))
    module = importlib.import_module(name)
    assert not [n for n in getattr(module, "__all__", ()) if not hasattr(module, n)]


@pytest.mark.parametrize("name", ops.VERBS)
def test_every_verb_of_a_history_can_be_found_from_core(name):
    row = VERBS[name]
    assert row is ops.VERBS[name]
    assert callable(load(row.place))
    assert not row.recall or callable(load(row.recall))
    assert load(row.place).__name__ == name


@pytest.mark.parametrize(("kind", "name"), [(k, n) for k, t in TABLES.items() for n in t])
def test_every_row_of_a_table_can_be_imported(kind, name):
    row = TABLES[kind][name]
    place = row if isinstance(row, str) else getattr(row, "place", None) or row.draws
    module, _, attribute = place.partition(":")
    if kind == "views":
        pytest.importorskip("holoviews")
    assert hasattr(importlib.import_module(module), attribute)


def test_an_unknown_name_suggests_the_nearest():
    with pytest.raises(RegistryError, match=r"no model 'gausian'. Did you mean 'gaussian'\?"):
        Registry("model", models.TABLE, "sid_xarray.models")["gausian"]


def test_a_name_is_given_once():
    registry = Registry("model", models.TABLE, "sid_xarray.models")
    registry.register("mine", object())
    assert "mine" in registry
    with pytest.raises(RegistryError, match="there is a model 'mine' already"):
        registry.register("mine", object())
