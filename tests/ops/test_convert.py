"""Other units, the same quantity."""

from __future__ import annotations

import numpy as np
import pytest

import sid_xarray as sid
from sid_xarray.errors import DimensionError, UnitsError


def test_numbers_change_with_the_units_and_nothing_else_does():
    da = sid.datasets.peak_map()
    out = da.sid.to_units(energy="meV", y="pm", data="count")
    np.testing.assert_allclose(out.energy, da.energy * 1000, rtol=1e-15)
    assert out.energy.attrs == {**da.energy.attrs, "units": "meV"}
    assert (out.y.units, out.x.units, out.units) == ("pm", "nm", "count")
    assert out.dtype == da.dtype
    assert out.sid.dimension_types == da.sid.dimension_types
    np.testing.assert_array_equal(out, da)


def test_values_keep_the_floating_type():
    da = sid.dataarray(np.array([1, 2], "f4"), dims={"x": (1, "nm")}, units="nA", quantity="current")
    out = da.sid.to_units(data="pA")
    assert out.dtype == np.float32
    assert out.units == "pA"
    np.testing.assert_allclose(out, [1000, 2000])
    counted = sid.dataarray(np.array([1, 2], "i4"), dims={"x": (1, "nm")}, units="nA").sid.to_units(data="uA")
    assert counted.dtype == np.float64
    np.testing.assert_allclose(counted, [1e-3, 2e-3])
    complex_ = sid.dataarray(np.array([1j], "c8"), dims={"x": (1, "nm")}, units="nA").sid.to_units(data="pA")
    assert complex_.dtype == np.complex64


def test_there_and_back_is_the_same_spectrum():
    da = sid.datasets.edge_map()
    out = da.sid.to_units(energy="keV").sid.to_units(energy="eV")
    np.testing.assert_allclose(out.energy, da.energy, rtol=1e-15)


@pytest.mark.parametrize(
    ("asked", "error", "said"),
    [
        ({}, DimensionError, "say what to convert"),
        ({"energy": "nm"}, UnitsError, "measure different things"),
        ({"energy": "furlong?"}, UnitsError, "not known"),
        ({"energy": 3}, UnitsError, "units are text"),
        ({"time": "s"}, DimensionError, "time"),
        ({"data": "nA"}, UnitsError, "measure different things"),
    ],
)
def test_what_cannot_be_converted(asked, error, said):
    with pytest.raises(error, match=said):
        sid.datasets.peak_map().sid.to_units(**asked)
