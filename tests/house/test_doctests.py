"""Examples in docstrings run."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
import warnings
from pathlib import Path

import pytest

import sid_xarray

MODULES = sorted(
    m.name
    for m in pkgutil.walk_packages(sid_xarray.__path__, "sid_xarray.")
    if ".viz" not in m.name and "cli" not in m.name
)


@pytest.mark.parametrize("name", MODULES)
def test_examples(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if ".kernels.compiled." in name:
        pytest.importorskip("numba")
    monkeypatch.chdir(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = doctest.testmod(importlib.import_module(name), optionflags=doctest.ELLIPSIS)
    assert found.failed == 0
