"""The tables in the docs are those of the code."""

from __future__ import annotations

import pytest
from make_table import DOCS, ELSEWHERE, filled, formats, words

from sid_xarray.io.readers import TABLE


@pytest.mark.parametrize(("page", "mark", "make"), [("vendors.md", "table", formats), ("metadata.md", "words", words)])
def test_docs_are_up_to_date(page: str, mark: str, make: object) -> None:
    text = (DOCS / page).read_text()
    assert text == filled(text, mark, make()), "run: python tests/io/readers/make_table.py"


def test_every_reader_has_a_row() -> None:
    assert set(ELSEWHERE) == set(TABLE)
    for name, reader in TABLE.items():
        assert reader.name == name
        assert bool(reader.needs) == bool(reader.extra)
