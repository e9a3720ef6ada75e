"""Common words: numbers in the units of the word, text as it is, nothing that is not known."""

from __future__ import annotations

import pytest

from sid_xarray.errors import MetadataError
from sid_xarray.schema import units
from sid_xarray.schema.vocabulary import TERMS, describe


def test_every_word_has_units_that_are_read() -> None:
    for name, term in TERMS.items():
        section, _, word = name.partition("/")
        assert section in ("instrument", "acquisition", "probe", "beam", "stage", "detector", "sample")
        assert word.islower() or "_" in word
        assert term.meaning
        assert term.nexus.startswith("NX")
        if term.units:
            assert units.normalise(term.units).canonical == term.units


def test_numbers_are_converted() -> None:
    found = describe({"probe/bias": (50, "mV"), "acquisition/scan_size_x": (4, "nm"), "probe/q_factor": 200})
    assert found["probe"]["bias"] == pytest.approx(0.05)
    assert found["acquisition"]["scan_size_x"] == pytest.approx(4e-9)
    assert describe({"acquisition/sweeps": 3.0})["acquisition"]["sweeps"] == 3


def test_what_is_not_known_is_left_out() -> None:
    assert describe({"probe/bias": None, "sample/name": "  ", "beam/energy": float("nan")}) == {}
    # A set-point in percent of something is no voltage: the vendor's words keep it.
    assert describe({"probe/bias": (3, "nm")}) == {}


def test_what_is_wrong_is_said() -> None:
    with pytest.raises(MetadataError, match=r"no common word 'probe/bais'. Did you mean 'probe/bias'"):
        describe({"probe/bais": 1})
    with pytest.raises(MetadataError, match="probe/bias is a number, got 'high'"):
        describe({"probe/bias": "high"})
