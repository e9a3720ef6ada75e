"""What an array may hold comes back through both formats, written once or again and again."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

import sid_xarray as sid
from sid_xarray.io.validate import check_file

METADATA: dict[Any, Any] = {
    "zz": 1,
    "aa": {"z": 1, "y": {"b": None, "a": [None, {"c": "ü"}]}},
    "none": None,
    "flags": [True, False, None],
    "big": 2**70,
    "edge": [-(2**63), 2**64 - 1, 2**63],
    "numbers": [0.1, float("inf"), -0.0, 5e-324],
    "not a number": float("nan"),
    "text": "grüße µ ∑ 日本 🎉\n\ttab",
    "empty": ["", {}, []],
    "dicts": [{"a": 1, "b": [None, {"c": "ü"}]}, {"a": 2}],
    "many": [{"i": i} for i in range(12)],
    "odd keys": {"a/b": 1, "": "x", " blank ": 2, ".": 3, "..": 4, "~": 5, "nul\x00": 6, "measurement": {"n": 1}},
    "tuple": (1, (2, "x")),
    "set": {1, 2},
    "f4": np.array([1.5, np.nan], "f4"),
    "u8": np.array([2**63 + 1], "u8"),
    "c8": np.array([1j], "c8"),
    "nothing": np.zeros((0, 3), "i2"),
    "scalar": np.float32(1.5),
    "complex": 1 + 2j,
    "bytes": b"\x00\xff",
    "when": dt.datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=dt.UTC),
    "day": dt.date(2020, 1, 1),
    "delta": dt.timedelta(1, 2, 3),
    "dt64": np.datetime64("2020-01-01T00:00:01.5"),
    7: "a number for a key",
}


def signal() -> xr.DataArray:
    return sid.datasets.peak_map(ny=3, nx=4, ne=16)


def with_metadata() -> xr.DataArray:
    da = signal().sid.with_metadata(METADATA)
    return da.assign_attrs(sid_original_metadata=da.attrs["sid_metadata"])


def described() -> xr.DataArray:
    words = {"sid_title": "Ein Titel / 1", "long_name": "Strom", "units": "nA", "source": "STM", "sid_modality": "cAFM"}
    return signal().assign_attrs(words)


def with_variance() -> xr.Dataset:
    da = signal()
    variance = (da * 0 + 2).rename("intensity_variance").assign_attrs(units="count^2")
    return xr.Dataset({"intensity": da.assign_attrs(ancillary_variables="intensity_variance"), variance.name: variance})


def with_coordinates() -> xr.Dataset:
    da = signal().drop_vars("x")
    times = np.array(["2020-01-01T00:00:00.000000001", "NaT", "2030-01-01"], "M8[ns]")
    coords = {
        "time": ("y", times),
        "lapse": ("y", np.array([1, -(2**62), 3], "m8[us]")),
        "label": ("x", ["a", "", "ü 🎉", "日本"]),
        "good": ("x", [True, False, True, False]),
        "lat": (("y", "x"), np.arange(12.0).reshape(3, 4), {"units": "degree"}),
        "drift": (("energy", "x"), np.ones((16, 4), "f4")),
        "phase": ("energy", np.exp(1j * np.arange(16))),
        "temperature": ((), np.float32(293.5), {"units": "K"}),
        "raw": ("x", np.array([b"a", b"\xff", b"", b"cd"])),
    }
    return da.assign_coords(coords).to_dataset().assign(words=("x", list("abcd")), empty=("none", np.zeros(0)))


def of_other_dtypes() -> xr.Dataset:
    dims = ("y", "x", "energy")
    values = np.arange(24).reshape(2, 3, 4)
    data = {f"v_{dtype}": (dims, values.astype(dtype)) for dtype in ("?", "i1", "u8", "f2", "f4", "c8", "c16", ">i4")}
    return xr.Dataset(data)


OBJECTS: dict[str, Callable[[], Any]] = {
    "metadata": with_metadata,
    "title, quantity, modality, source": described,
    "variance": with_variance,
    "coordinates of every kind": with_coordinates,
    "dtypes, no coordinates": of_other_dtypes,
}


def read(path: Path, place: str, like: Any) -> Any:
    if isinstance(like, xr.DataArray):
        return sid.open_dataarray(path, place).load()
    return sid.open(path)[place].to_dataset().load()


@pytest.mark.parametrize("writer", ["to_nsid", "to_usid"])
@pytest.mark.parametrize("name", OBJECTS)
def test_it_comes_back_and_goes_on(tmp_path: Path, name: str, writer: str) -> None:
    obj = OBJECTS[name]()
    first, second = tmp_path / "a.h5", tmp_path / "b.h5"
    place = getattr(obj.sid, writer)(first)
    found = read(first, place, obj)
    xr.testing.assert_identical(found, obj)
    assert {k: v.dtype.str for k, v in found.coords.items()} == {k: v.dtype.str for k, v in obj.coords.items()}
    # Once more, from the file and through the other format.
    other = "to_usid" if writer == "to_nsid" else "to_nsid"
    tree = sid.open(first)
    lazy = tree[place].to_dataset() if isinstance(obj, xr.Dataset) else sid.open_dataarray(first, place)
    again = getattr(lazy.sid, other)(second)
    xr.testing.assert_identical(read(second, again, obj), obj)
    for path in (first, second):
        assert not [f for f in check_file(path) if f.level == "error"]


@pytest.mark.parametrize("writer", ["to_nsid", "to_usid"])
def test_metadata_word_for_word(tmp_path: Path, writer: str) -> None:
    da = with_metadata()
    getattr(da.sid, writer)(tmp_path / "a.h5")
    found = sid.open_dataarray(tmp_path / "a.h5").sid.metadata.to_dict()
    assert list(found) == list(METADATA), "the order of keys"
    assert list(found["aa"]) == ["z", "y"]
    for key, value in METADATA.items():
        if isinstance(value, np.ndarray | np.generic):
            np.testing.assert_array_equal(found[key], value)
            assert np.asarray(found[key]).dtype == value.dtype
        else:
            assert repr(found[key]) == repr(value), key
