"""What editors are told is what is there."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

import sid_xarray

SPEC = importlib.util.spec_from_file_location("make_stubs", Path(__file__).with_name("make_stubs.py"))
assert SPEC is not None
assert SPEC.loader is not None
make_stubs = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(make_stubs)


@pytest.mark.parametrize("module", make_stubs.PLACES)
def test_the_stub_is_what_the_accessor_offers(module: str) -> None:
    committed = Path(sid_xarray.__file__).with_name("accessors") / f"{module}.pyi"
    assert committed.read_text(encoding="utf-8") == make_stubs.stub(module), "run: python tests/house/make_stubs.py"
