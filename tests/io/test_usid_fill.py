"""Scans that are not complete, as a full grid with a number where nothing was measured."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import xarray as xr

import sid_xarray as sid
from sid_xarray.testing import assert_roundtrip

SHAPE = (4, 5, 3)


def truth(dtype: str = "f4") -> np.ndarray[Any, Any]:
    return np.arange(1, 61).reshape(SHAPE).astype(dtype)


def write(
    path: Path,
    rows: np.ndarray[Any, Any],
    *,
    dtype: str = "f4",
    values: np.ndarray[Any, Any] | None = None,
    mark: bool = False,
    fields: Any = None,
) -> None:
    """Write the rows of a raster that were measured, in the order in which they were."""
    y, x = np.unravel_index(rows, SHAPE[:2])
    indices = np.stack([y, x], axis=1).astype("u4")
    values = indices * [2.0, 0.5] if values is None else values
    data = truth(dtype).reshape(20, 3)[rows]
    if fields is not None:
        data = np.array([tuple([v] * len(fields)) for v in data.ravel()], dtype=fields).reshape(data.shape)
    with h5py.File(path, "w") as file:
        main = file.create_dataset("Measurement_000/Channel_000/Raw_Data", data=data, chunks=(3, 3))
        main.attrs.update({"quantity": "height", "units": "nm"})
        for name, table, labels in (
            ("Position_Indices", indices, ["Y", "X"]),
            ("Position_Values", values, ["Y", "X"]),
            ("Spectroscopic_Indices", [np.arange(3)], ["bias"]),
            ("Spectroscopic_Values", [np.arange(3.0)], ["bias"]),
        ):
            side = file.create_dataset(f"Measurement_000/Channel_000/{name}", data=table)
            side.attrs.update(
                {k: np.array(v, dtype="S") for k, v in (("labels", labels), ("units", ["nm"] * len(labels)))}
            )
            if mark and name.startswith("Position"):
                side.attrs["incomplete_dimensions"] = np.array(labels, dtype="S")
            main.attrs[name] = side.ref


def expected(rows: np.ndarray[Any, Any], dtype: str = "f4") -> np.ndarray[Any, Any]:
    out = np.full((20, 3), np.nan, dtype)
    out[rows] = truth(dtype).reshape(20, 3)[rows]
    return out.reshape(SHAPE)


STOPPED = np.arange(13)
SHUFFLED = np.random.default_rng(0).permutation(20)[:12]
ROWS = pytest.mark.parametrize("rows", [STOPPED, SHUFFLED, STOPPED[::-1]], ids=["stopped", "shuffled", "backwards"])


@ROWS
@pytest.mark.parametrize("mark", [False, True])
def test_points_make_a_grid_again(tmp_path: Path, rows: np.ndarray[Any, Any], mark: bool) -> None:
    path = tmp_path / "a.h5"
    write(path, rows, mark=mark)
    flat = sid.open_dataarray(path)
    assert flat.dims == ("position", "bias"), "without being asked, nothing is made up"
    da = sid.open_dataarray(path, fill=np.nan)
    assert da.dims == ("Y", "X", "bias")
    assert da.dtype == np.float32
    assert not da.variable._in_memory
    there = [np.unique(np.unravel_index(rows, SHAPE[:2])[i]) for i in (0, 1)]
    np.testing.assert_array_equal(da, expected(rows)[np.ix_(*there)])
    np.testing.assert_array_equal(da.Y, there[0] * 2.0)
    np.testing.assert_array_equal(da.X, there[1] * 0.5)
    assert da.sid.kind == "spectral_image"
    unstacked = flat.set_index(position=["Y", "X"]).unstack("position").transpose("Y", "X", "bias")
    np.testing.assert_array_equal(da, unstacked)


@ROWS
def test_what_is_selected_is_what_is_read(tmp_path: Path, rows: np.ndarray[Any, Any]) -> None:
    write(tmp_path / "a.h5", rows)
    da = sid.open_dataarray(tmp_path / "a.h5", fill=np.nan)
    whole = da.copy(data=da.values)
    n, m = da.sizes["Y"], da.sizes["X"]
    for key in (
        {"Y": 0},
        {"Y": -1, "X": -1},
        {"Y": n - 1, "X": slice(None, None, -1)},
        {"X": [m - 1, 0, 0], "Y": slice(1, None)},
        {"bias": 1},
        {"bias": [2, 0], "Y": [n - 1]},
        {"Y": slice(0, 0)},
        {"Y": n - 1, "X": m - 1, "bias": 0},
    ):
        xr.testing.assert_equal(da.isel(key), whole.isel(key))
    lazy = sid.open_dataarray(tmp_path / "a.h5", fill=np.nan, chunks={"Y": 2})
    xr.testing.assert_equal(lazy.compute(), whole)
    xr.testing.assert_equal(pickle.loads(pickle.dumps(da)), whole)
    assert_roundtrip(da.load().drop_encoding())


@pytest.mark.parametrize(
    ("dtype", "fill", "found"),
    [
        ("i2", float("nan"), "f8"),
        ("i2", 0, "i2"),
        ("u1", 255, "u1"),
        ("i2", -1, "i2"),
        ("c8", float("nan"), "c8"),
        (">f4", float("nan"), "f4"),
        ("f4", 1.5, "f4"),
    ],
)
def test_the_dtype_stays_where_it_can_hold_the_filling(tmp_path: Path, dtype: str, fill: float, found: str) -> None:
    write(tmp_path / "a.h5", STOPPED, dtype=dtype)
    da = sid.open_dataarray(tmp_path / "a.h5", fill=fill)
    assert da.dtype == np.dtype(found)
    assert da.values[-1, -1, 0] == fill or (fill != fill and np.isnan(da.values[-1, -1, 0]))
    np.testing.assert_array_equal(da[0], truth(dtype)[0].astype(found))


def test_a_filling_that_does_not_fit_is_a_problem_and_hides_nothing(tmp_path: Path) -> None:
    write(tmp_path / "a.h5", STOPPED, dtype="u1")
    with pytest.raises(sid.FormatError, match=r"dtype uint8 cannot be filled with -1. Type: fill=float\('nan'\)"):
        sid.open(tmp_path / "a.h5", fill=-1)


def test_positions_that_drift_have_no_place_where_nothing_was_measured(tmp_path: Path) -> None:
    y, x = np.unravel_index(STOPPED, SHAPE[:2])
    write(tmp_path / "a.h5", STOPPED, values=np.stack([y * 2.0, x + 0.01 * y], axis=1))
    da = sid.open_dataarray(tmp_path / "a.h5", fill=np.nan)
    assert da.coords["Y"].dims == ("Y",)
    assert da.coords["X"].dims == ("Y", "X")
    np.testing.assert_array_equal(np.isnan(da.coords["X"]), np.isnan(da[..., 0]))


def test_lists_of_points_stay_lists(tmp_path: Path, shared: Path) -> None:
    spiral = shared / "corpus/u09_sparse_marked.h5"
    with_fill, without = sid.open(spiral, fill=np.nan), sid.open(spiral)
    for node in without.subtree:
        xr.testing.assert_identical(with_fill[node.path].to_dataset(), node.to_dataset())
    write(tmp_path / "a.h5", np.array([0, 1, 2, 2]))
    assert sid.open_dataarray(tmp_path / "a.h5", fill=0).dims == ("position", "bias"), "one place twice is no grid"


def test_complete_scans_do_not_care(tmp_path: Path) -> None:
    rows = np.random.default_rng(1).permutation(20)
    write(tmp_path / "a.h5", rows, dtype="i2")
    da = sid.open_dataarray(tmp_path / "a.h5", fill=np.nan)
    assert da.identical(sid.open_dataarray(tmp_path / "a.h5"))
    write(tmp_path / "b.h5", rows, dtype="i2", mark=True)
    marked = sid.open_dataarray(tmp_path / "b.h5", fill=np.nan)
    assert marked.dtype == np.int16
    np.testing.assert_array_equal(marked, truth("i2"))


def test_fields_and_histories(tmp_path: Path) -> None:
    write(tmp_path / "a.h5", STOPPED, fields=[("Amplitude [V]", "f4"), ("count", "i2")])
    ds = sid.open(tmp_path / "a.h5", fill=np.nan)["Measurement_000/Channel_000"].to_dataset()
    np.testing.assert_array_equal(ds.Amplitude, expected(STOPPED)[:3])
    assert ds["count"].dtype == np.float64
    flat = sid.open(tmp_path / "a.h5")["Measurement_000/Channel_000"].to_dataset()
    assert ds.Amplitude.sid.provenance.parameters(0)["fill"] == "nan"
    assert ds.Amplitude.attrs.keys() != flat.Amplitude.attrs.keys(), "another array has another history"


def test_the_scan_of_the_corpus(shared: Path) -> None:
    path = shared / "corpus/u22_incomplete_scan.h5"
    flat, full = sid.open_dataarray(path), sid.open_dataarray(path, fill=np.nan)
    assert "position" in flat.dims
    assert "position" not in full.dims
    assert int(full.notnull().any([d for d in full.dims if d not in ("X", "Y")]).sum()) == flat.sizes["position"]
    # The same through the engines.
    ds = xr.open_dataset(path, engine="usid", fill=np.nan)
    xr.testing.assert_equal(next(iter(ds.data_vars.values())), full)


def test_nsid_files_take_the_option(tmp_path: Path) -> None:
    da = sid.datasets.lattice_image()
    da.sid.to_nsid(tmp_path / "a.h5")
    xr.testing.assert_identical(sid.open_dataarray(tmp_path / "a.h5", fill=0), da)
    assert xr.open_dataset(tmp_path / "a.h5", engine="nsid", fill=0).intensity.shape == da.shape
