"""The table of dtypes and shapes in the documentation is what happens."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
import make_support_table as made
import support

PEERS = os.environ.get("SID_PEERS_PYTHON")
RUN = "run: python tests/conformance/make_support_table.py"


def test_page_is_made_of_the_record() -> None:
    assert made.page(support.record()) == made.PAGE.read_text(encoding="utf-8"), RUN


@pytest.mark.parametrize("form", support.READERS)
def test_what_we_and_xarray_read(form: str) -> None:
    names = [r for r in support.READERS[form] if r in support.OURS]
    found = support.table(form, names, sys.executable)
    assert {cell for row in found["ours"].values() for cell in row.values()} == {support.RIGHT, support.REFUSED}
    assert found == {r: support.record()[form][r] for r in names}, RUN


def test_zarr() -> None:
    assert support.through_zarr() == support.record()["zarr"], RUN


@pytest.mark.peers
@pytest.mark.parametrize("form", support.READERS)
def test_what_the_peers_read(form: str) -> None:
    if PEERS is None:
        pytest.skip("SID_PEERS_PYTHON is not set to the interpreter of an environment with the older packages")
    names = [r for r in support.READERS[form] if r not in support.OURS]
    assert support.table(form, names, PEERS) == {r: support.record()[form][r] for r in names}, RUN
