"""Assertions that fail when they should."""

from __future__ import annotations

import numpy as np
import pytest

import sid_xarray as sid
from sid_xarray.testing import assert_lazy, assert_roundtrip, assert_same, no_compute

CHANGES = {
    "a value": lambda da: da.copy(data=np.nextafter(da.values, np.inf)),
    "the sign of zero": lambda da: da.where(da != 0, -0.0),
    "the type": lambda da: da.astype("f8"),
    "byte order": lambda da: da.copy(data=da.values.astype(">f4")),
    "an attribute": lambda da: da.assign_attrs(units="nA"),
    "the type of an attribute": lambda da: da.assign_attrs(number=np.float32(1)),
    "the order of attributes": lambda da: da.assign_attrs(dict(reversed(da.attrs.items()))).drop_attrs(deep=False),
    "the name": lambda da: da.rename("other"),
    "an axis": lambda da: da.assign_coords(x=da.x + 1),
    "the text of an axis": lambda da: da.assign_coords(x=da.x.assign_attrs(units="um")),
    "an index": lambda da: da.reset_index("x"),
}


@pytest.fixture
def da():
    out = sid.datasets.peak_map().assign_attrs(number=1.0).copy()
    out[0, 0, 0] = 0.0
    return out


@pytest.mark.parametrize("change", CHANGES)
def test_the_same_is_the_same_and_nothing_else_is(da, change):
    assert_same(da, da.copy(deep=True))
    with pytest.raises(AssertionError):
        assert_same(da, CHANGES[change](da))


@pytest.mark.parametrize("change", ["a value", "the sign of zero"])
def test_tolerance_is_for_values_only(da, change):
    assert_same(da, CHANGES[change](da), rtol=1e-5, atol=1e-9)
    for other in ("the type", "an attribute", "an axis"):
        with pytest.raises(AssertionError):
            assert_same(da, CHANGES[other](da), rtol=1e-5)


def test_other_recipes_are_not_the_same(da):
    a, b = da.sid.calibrate(x={"offset": 0}), da.sid.calibrate(x={"scale": 1})
    with pytest.raises(AssertionError, match="recipes differ"):
        assert_same(a, b)
    assert_same(a, da.sid.calibrate(x={"offset": 0}))


def test_arrays_inside_of_attributes_are_compared(da):
    one, two = (da.assign_attrs(odd=(np.array([], bool), {"a": np.arange(n)})) for n in (2, 3))
    assert_same(one, one.copy(deep=True))
    with pytest.raises(AssertionError):
        assert_same(one, two)


def test_computing_is_noticed(da):
    lazy = da.chunk()
    with no_compute():
        out = lazy * 2
        with pytest.raises(AssertionError, match="something was computed that should have stayed lazy"):
            out.compute()
    assert_lazy(out)
    with pytest.raises(AssertionError, match="not lazy: b"):
        assert_lazy(lazy.to_dataset(name="a").assign(b=da))


def test_a_round_trip_gives_back_what_was_read(da, tmp_path):
    assert_same(assert_roundtrip(da, str(tmp_path / "a.h5")), da)
    assert_roundtrip(da.to_dataset())
