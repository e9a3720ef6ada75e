"""Public functions are documented as numpydoc wants it. Run by the lint lane, where numpydoc is installed."""

from __future__ import annotations

import importlib
import tomllib
from pathlib import Path

import pytest
from numpydoc.validate import validate

import sid_xarray
from sid_xarray.accessors._method import method, view
from sid_xarray.accessors.dataarray import SidDataArray
from sid_xarray.accessors.dataset import SidDataset
from sid_xarray.accessors.datatree import SidDataTree

ROOT = Path(__file__).parents[2]
CHECKS = set(tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["numpydoc_validation"]["checks"])


def public() -> list[str]:
    """Return the import paths of everything that users call."""
    places = {
        value.place.replace(":", ".")
        for cls in (SidDataArray, SidDataset, SidDataTree)
        for base in cls.__mro__
        for value in vars(base).values()
        if isinstance(value, method | view)
    }
    for name in sid_xarray.__all__:
        found = getattr(sid_xarray, name)
        if callable(found):
            places.add(f"{found.__module__}.{found.__qualname__}")
    for module in ("sid_xarray.testing.assertions", "sid_xarray.testing.strategies", "sid_xarray.datasets"):
        places |= {f"{module}.{name}" for name in importlib.import_module(module).__all__}
    return sorted(p for p in places if p.startswith("sid_xarray"))


@pytest.mark.parametrize("place", public())
def test_docstring(place: str) -> None:
    errors = [f"{code}: {text}" for code, text in validate(place)["errors"] if code in CHECKS]
    assert not errors, "\n".join(errors)
