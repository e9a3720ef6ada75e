"""xarray's `to_zarr` takes our arrays as they are: what comes back, and what does not."""

from __future__ import annotations

import datetime as dt
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

import sid_xarray as sid
from sid_xarray.testing import assert_roundtrip, assert_same

zarr = pytest.importorskip("zarr")


def back(obj: Any) -> Any:
    """Return what xarray reads from what it wrote."""
    store = zarr.storage.MemoryStore()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # dtypes that zarr has no specification of
        obj.to_zarr(store, consolidated=False)
        opened = xr.open_dataarray if isinstance(obj, xr.DataArray) else xr.open_dataset
        return opened(store, engine="zarr", chunks=None, consolidated=False).load()


def line(**attrs: Any) -> xr.DataArray:
    return xr.DataArray(np.arange(3.0), dims="x", name="v", attrs=attrs)


def test_arrays_with_metadata_and_history() -> None:
    da = sid.datasets.peak_map(ny=3, nx=4, ne=32).sid.with_metadata(
        beam={"energy": 200.0, "aberrations": [None, {"order": 2**70}]}, größe=np.arange(6, dtype="i2").reshape(2, 3)
    )
    result = da.sid.rebin(energy=2)
    found = assert_roundtrip(result, to="zarr")
    assert_same(found, result)
    assert found.sid.metadata["beam/aberrations"] == result.sid.metadata["beam/aberrations"]
    assert found.sid.kind == result.sid.kind
    assert [s.op for s in found.sid.provenance.steps] == [s.op for s in result.sid.provenance.steps]


def test_results_and_their_variances() -> None:
    result = sid.datasets.peak_map(ny=3, nx=4, ne=32).sid.fit("gaussian + constant")
    xr.testing.assert_identical(back(result), result)  # but for flag_values, an array, which is a list now


def test_files_of_ours(tmp_path: Path) -> None:
    da = sid.datasets.peak_map(ny=3, nx=4, ne=32)
    da.sid.to_nsid(tmp_path / "a.h5")
    opened = sid.open_dataarray(tmp_path / "a.h5")
    found = assert_roundtrip(opened, str(tmp_path / "a.zarr"), to="zarr")
    xr.testing.assert_identical(found, da)


def test_a_tree(tmp_path: Path) -> None:
    tree = xr.DataTree.from_dict(
        {"/Measurement_000/Channel_000": sid.datasets.peak_map(ny=3, nx=4, ne=32).to_dataset()}
    )
    tree.to_zarr(tmp_path / "a.zarr", consolidated=False)
    found = xr.open_datatree(tmp_path / "a.zarr", engine="zarr", consolidated=False)
    xr.testing.assert_identical(found.load(), tree)


# -- what docs/formats/support.md says of the limits -------------------------------------------------------------------


@pytest.mark.parametrize("value", [1j, b"a", {1}, dt.datetime(2020, 1, 1)], ids=str)
def test_attributes_that_are_refused(value: Any) -> None:
    with pytest.raises(TypeError):
        back(line(q=value))


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ((1, 2), [1, 2]),
        (np.arange(2), [0, 1]),
        (np.float32(1.5), 1.5),
        (None, None),
        (2**80, 2**80),
        ("\ud800", "\ud800"),
    ],
    ids=str,
)
def test_attributes_that_come_back(value: Any, found: Any) -> None:
    got = back(line(q=value)).attrs["q"]
    assert got == found
    assert type(got) is type(found)


def test_names_of_attributes_become_text() -> None:
    assert back(line().assign_attrs({1: 2})).attrs == {"1": 2}


@pytest.mark.parametrize(
    "name", ["_FillValue", "missing_value", "scale_factor", "add_offset", "coordinates", "_Unsigned"]
)
def test_attributes_that_xarray_takes(name: str) -> None:
    assert name not in back(line(**{name: "x" if name == "coordinates" else 2.0})).attrs


def test_units_that_make_times() -> None:
    assert back(line(units="days since 2000-01-01")).dtype.kind == "M"
    assert back(line(units="days")).dtype == float


@pytest.mark.parametrize("name", [1, "", "a/b"])
def test_names_that_zarr_cannot_hold(name: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        back(line().rename(name))


def test_a_blank_in_the_name_of_a_coordinate() -> None:
    assert "a b" in back(line().assign_coords({"a b": ("x", [1, 2, 3])}).to_dataset()).data_vars


def test_indexes_are_made() -> None:
    da = line().assign_coords(x=[3, 1, 2]).drop_indexes("x")
    assert not da.xindexes
    assert list(back(da).xindexes) == ["x"]


def test_dtypes() -> None:
    assert back(line().astype(">f4")).dtype == np.dtype("f4")
    assert back(line().astype(object).astype(str).astype(object)).dtype.kind == "T"
    assert back(line().astype("S1")).ndim == 0
    assert back(line().astype("i8").astype("M8[s]")).dtype == "M8[ns]"
    with pytest.raises((OverflowError, ValueError, KeyError)):
        back(xr.DataArray(np.array([-(2**63) + 1, 2**63 - 1]).view("M8[ns]"), dims="x", name="v"))


def test_bits_that_get_lost_in_a_chunk_of_one_value() -> None:
    zeros = line().astype(complex) * 0
    zeros.values.real[:] = -0.0
    assert not np.signbit(back(zeros).values.real).any()
    assert np.signbit(back(line() * -0.0).values).all()
    odd = np.full(3, 0x7FF8000000000001, dtype="u8")
    assert (back(line().copy(data=odd.view("f8"))).values.view("u8") != odd).all()
