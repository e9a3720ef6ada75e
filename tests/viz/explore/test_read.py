"""How the app reads: what is shown, and not more."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
import xarray as xr

from sid_xarray.core.cut import Cut
from sid_xarray.viz.explore._read import reduced


@pytest.mark.parametrize("stored", ["uint8", "int32", "float32", "float64", "complex64", "bool"])
@pytest.mark.parametrize("how", ["mean", "sum", "max", "min"])
def test_where_nothing_is_reduced_values_stay(stored: str, how: str) -> None:
    values = np.random.default_rng(0).uniform(0, 9, (4, 5)).astype(stored)
    da = xr.DataArray(values, dims=("y", "x"))
    found = reduced(da, Cut({}), ["x", "y"], how=how)
    np.testing.assert_array_equal(found.values, np.abs(values).T if values.dtype.kind == "c" else values.T)
    assert found.values.dtype.kind == "f"
    assert found.n == 1
    assert found.values.shape == found.spread.shape
    assert not found.spread.any()
    with pytest.raises(ValueError, match="read-only"):
        found.values[0, 0] = 1
    assert da.values.flags.writeable


def test_a_large_image_is_not_copied() -> None:
    da = xr.DataArray(np.ones((2048, 2048), dtype="f4"), dims=("y", "x"))
    tracemalloc.start()
    try:
        reduced(da, Cut({}), ["y", "x"])
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < da.nbytes / 2
