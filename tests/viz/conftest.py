"""Arrays of every kind, and a lazy array that counts what is read of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import xarray as xr
from xarray.backends import BackendArray
from xarray.core import indexing

from sid_xarray.core.create import dataarray

DIMS: dict[str, dict[str, tuple[int, float, str]]] = {
    "spectrum": {"energy": (40, 0.5, "eV")},
    "line_profile": {"x": (40, 1e-9, "m")},
    "line_profiles": {"x": (25, 1.0, "nm"), "energy": (30, 0.5, "eV")},
    "image": {"y": (12, 0.5, "nm"), "x": (16, 0.5, "nm")},
    "image_stack": {"time": (5, 1.0, "s"), "y": (12, 0.5, "nm"), "x": (16, 0.5, "nm")},
    "volume": {"z": (5, 1.0, "nm"), "y": (12, 0.5, "nm"), "x": (16, 0.5, "nm")},
    "spectral_image": {"y": (6, 1e-9, "m"), "x": (7, 1e-9, "m"), "bias": (9, 0.1, "V")},
    "image_4d": {"y": (3, 1.0, "nm"), "x": (4, 1.0, "nm"), "ky": (8, 0.1, "1/nm"), "kx": (9, 0.1, "1/nm")},
    "point_cloud": {"point": (20, 1.0, "1")},
    "multidimensional": {"a": (3, 1.0, "1"), "b": (4, 1.0, "1"), "c": (5, 1.0, "1")},
}
DTYPES = ("float32", "uint8", "complex64", "bool", "int64", "float64")


def make(kind: str, dtype: str = "float64", *, units: str = "nA", quantity: str = "current") -> xr.DataArray:
    """Return an array of a kind, with every value different."""
    dims = DIMS[kind]
    shape = tuple(n for n, _, _ in dims.values())
    values = np.arange(np.prod(shape, dtype=int)).reshape(shape) / 7
    if dtype.startswith("complex"):
        values = values * np.exp(1j * values)
    if dtype == "bool":
        values = np.sin(values) > 0
    spec = {dim: (step, unit) for dim, (_, step, unit) in dims.items()}
    return dataarray(values.astype(dtype), dims=spec, units=units, quantity=quantity)


class Counting(BackendArray):
    """Values in a file that is not there; every read is noted."""

    def __init__(self, values: np.ndarray) -> None:
        self.values, self.shape, self.dtype = values, values.shape, values.dtype
        self.reads: list[int] = []

    def __getitem__(self, key: indexing.ExplicitIndexer) -> Any:
        return indexing.explicit_indexing_adapter(key, self.shape, indexing.IndexingSupport.OUTER, self._get)

    def _get(self, key: tuple[Any, ...]) -> np.ndarray:
        out = self.values
        for dim, one in enumerate(key):
            # an outer indexer, one dimension after the other; ints are kept as slices until the end
            out = np.take(out, [one], dim) if isinstance(one, int | np.integer) else out[(slice(None),) * dim + (one,)]
        out = out[tuple(0 if isinstance(one, int | np.integer) else slice(None) for one in key)]
        self.reads.append(int(out.size))
        return out


@pytest.fixture
def counted() -> Callable[[xr.DataArray], tuple[xr.DataArray, Counting]]:
    """Return a function that makes an array lazy, as from a file."""

    def lazily(da: xr.DataArray) -> tuple[xr.DataArray, Counting]:
        backend = Counting(da.values)
        data = indexing.LazilyIndexedArray(backend)
        variable = xr.Variable(da.dims, indexing.MemoryCachedArray(data), da.attrs)
        return xr.DataArray(variable, coords=da.coords, name=da.name), backend

    return lazily


@pytest.fixture
def hv() -> Iterator[Any]:
    """Return holoviews with both backends; the current one is put back."""
    from sid_xarray.viz import _style

    found = _style.ready()
    before = found.Store.current_backend
    yield found
    found.Store.set_current_backend(before)


@pytest.fixture
def arrays() -> Callable[..., xr.DataArray]:
    """Return the maker of arrays."""
    return make


@pytest.fixture
def fit() -> xr.Dataset:
    """Return a Dataset as a fit gives it, with two failed pixels."""
    image = make("image")
    center = image.rename("center").assign_attrs(units="eV", long_name="center") + 500
    center.attrs = {"units": "eV", "long_name": "center"}
    center[3, 4:6] = np.nan
    height = image.rename("height").assign_attrs(units="count", long_name="height")
    stderr = xr.full_like(center, 0.1)
    redchi = xr.ones_like(image).assign_attrs(units="1", long_name="reduced chi-square")
    status = xr.zeros_like(image, dtype="int8").assign_attrs(units="1", long_name="status")
    return xr.Dataset({"center": center, "height": height, "center_stderr": stderr, "redchi": redchi, "status": status})


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Fill in ``kind`` and ``dtype`` from the tables above."""
    if "kind" in metafunc.fixturenames:
        metafunc.parametrize("kind", DIMS)
    if "dtype" in metafunc.fixturenames:
        metafunc.parametrize("dtype", DTYPES)
