"""The table of readers and files in the documentation is what happens."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
import make_reader_table as made
import truth

PEERS = os.environ.get("SID_PEERS_PYTHON")


def rows(shared: Path) -> dict[str, str]:
    """Return what the page says of us, by file."""
    names = {p.name for paths in truth.files(shared).values() for p in paths}
    out = {}
    for line in made.PAGE.read_text(encoding="utf-8").splitlines():
        cells = [c.strip() for c in line.strip("|").split("|")]
        if cells[0].strip("`") in names:
            out[cells[0].strip("`")] = cells[1]
    return out


@pytest.mark.parametrize("form", made.COLUMNS)
def test_we_read_every_file_right(form: str, shared: Path) -> None:
    paths = truth.files(shared)[form]
    found = made.judged("ours", paths, sys.executable)
    wrong = {p.name: d for p, d in zip(paths, found, strict=True) if d}
    assert not wrong
    said = rows(shared)
    assert {p.name: said.get(p.name) for p in paths} == {p.name: "right" for p in paths}


@pytest.mark.peers
def test_page_is_what_happens(shared: Path) -> None:
    if PEERS is None:
        pytest.skip("SID_PEERS_PYTHON is not set to the interpreter of an environment with the older packages")
    there = truth.files(shared)
    columns = {
        form: {r: made.judged(r, there[form], sys.executable if r == "ours" else PEERS) for r in readers}
        for form, readers in made.COLUMNS.items()
    }
    assert made.page(columns, shared) == made.PAGE.read_text(encoding="utf-8"), (
        "run: python tests/conformance/make_reader_table.py"
    )
