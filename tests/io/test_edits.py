"""Files of ours that other programs worked on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import xarray as xr

import sid_xarray as sid
from sid_xarray.errors import FormatError, SidWarning
from sid_xarray.schema import records

GROUP = "/Measurement_000/Channel_000/current"
MAIN = f"{GROUP}/current"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    da = sid.dataarray(
        np.arange(6.0).reshape(2, 3),
        dims={"y": (1, "nm"), "x": (1, "nm")},
        units="nA",
        quantity="current",
        title="a scan",
        source="AFM",
        modality="cAFM",
        metadata={"tip": {"radius": 5}},
    )
    ds = (
        da.assign_attrs(note="first", number=np.int16(3), listed=[1, 2])
        .assign_coords(row=("y", ["a", "b"]))
        .to_dataset()
    )
    assert ds.sid.to_nsid(tmp_path / "a.h5") == GROUP
    return tmp_path / "a.h5"


def edited(path: Path, place: str, **attrs: Any) -> xr.DataArray:
    with h5py.File(path, "r+") as file:
        for key, value in attrs.items():
            if value is None:
                del file[place].attrs[key]
            else:
                file[place].attrs[key] = value
    return sid.open_dataarray(path)


@pytest.mark.parametrize(
    ("name", "value", "key", "found"),
    [
        ("quantity", "height", "long_name", "height"),
        ("quantity", "generic", "long_name", None),
        ("units", "pA", "units", "pA"),
        ("units", "", "units", ""),
        ("title", "another", "sid_title", "another"),
        ("modality", "STM", "sid_modality", "STM"),
        ("source", "STM 5", "source", "STM 5"),
        ("long_name", "width", "long_name", "width"),
        ("note", "second", "note", "second"),
        ("note", None, "note", None),
        ("number", 4, "number", 4),
        ("number", np.int32(3), "number", np.int16(3)),
        ("listed", [1, 3], "listed", [1, 3]),
        ("added", "new", "added", "new"),
        ("added", 2.5, "added", 2.5),
    ],
)
def test_attributes_of_values(path: Path, name: str, value: Any, key: str, found: Any) -> None:
    assert edited(path, MAIN, **{name: value}).attrs.get(key) == found


@pytest.mark.parametrize(
    ("name", "value", "key", "found"),
    [
        ("units", "um", "units", "um"),
        ("quantity", "distance", "long_name", "distance"),
        ("dimension_type", "RECIPROCAL", "sid_dimension_type", "reciprocal"),
        ("dimension_type", "nonsense", "sid_dimension_type", "spatial"),
    ],
)
def test_attributes_of_a_scale(path: Path, name: str, value: str, key: str, found: str) -> None:
    assert edited(path, f"{GROUP}/x", **{name: value}).x.attrs[key] == found


def test_values_of_a_scale(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        file[f"{GROUP}/x"][...] = [5, 6, 7]
    assert sid.open_dataarray(path).x.values.tolist() == [5, 6, 7]


def test_edited_values_no_longer_verify(path: Path) -> None:
    with sid.open(path) as tree:
        assert tree[MAIN].load().sid.provenance.status == "verified"
    with h5py.File(path, "r+") as file:
        file[MAIN][0, 0] = 99
    assert sid.open_dataarray(path).load().sid.provenance.status == "modified"


def test_variable_removed(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        del file[f"{GROUP}/row"]
    assert "row" not in sid.open(path)[GROUP].variables


def test_scale_removed(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        del file[f"{GROUP}/x"]
    da = sid.open_dataarray(path)
    assert "x" not in da.coords
    assert da.dims == ("y", "x")


def test_main_added_on_our_axes(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        group = file[GROUP]
        new = group.create_dataset("phase", data=np.ones((3, 2), "f4"))
        for i, label in enumerate(("x", "y")):
            new.dims[i].attach_scale(group[label])
            new.dims[i].label = label
        for key in (
            "quantity",
            "units",
            "main_data_name",
            "data_type",
            "modality",
            "source",
            "pyNSID_version",
            "title",
        ):
            new.attrs[key] = {"data_type": "IMAGE", "units": "degree"}.get(key, "phase")
    ds = sid.open(path)[GROUP]
    assert set(ds.data_vars) == {"current", "phase"}
    assert ds.phase.dims == ("x", "y")
    assert ds.phase.units == "degree"
    assert float(ds.phase.sum()) == 6


def test_main_added_on_other_axes_is_reported(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        new = file[GROUP].create_dataset("odd", data=np.ones(7))
        for key in ("quantity", "units", "main_data_name", "data_type", "modality", "source", "pyNSID_version"):
            new.attrs[key] = "SPECTRUM"
    with pytest.warns(SidWarning, match="odd: was added by another program"):
        tree = sid.open(path)
    assert set(tree[GROUP].data_vars) == {"current"}
    assert "odd" in tree.attrs["sid_problems"]


def damage(how: str) -> Any:
    def work(file: h5py.File) -> None:
        inner = file[f"{GROUP}/_sid_xarray"]
        text = inner["model"][()].decode()
        model = records.loads(text)
        del inner["model"]
        if how == "cut":
            inner["model"] = text[: len(text) // 2]
        elif how == "empty":
            inner["model"] = ""
        elif how == "numbers":
            inner["model"] = np.arange(5)
        elif how == "null":
            inner["model"] = h5py.Empty("f4")
        elif how == "group":
            inner.create_group("model")
        elif how == "newer":
            inner["model"] = records.dumps({**model, "v": 99})
        elif how == "bomb":
            inner["model"] = "data:application/json;zlib;base64,AAAA"
        elif how == "dims":
            model["variables"][-1]["dims"] = ["q"]
            inner["model"] = records.dumps(model)
        elif how == "dtype":
            model["variables"][-1]["restore"] = "O"
            inner["model"] = records.dumps(model)
        elif how == "rows":
            model["variables"] = [1, None, {"name": 3}]
            inner["model"] = records.dumps(model)
        elif how == "tags":
            model["variables"][-1]["attrs"] = [["a", {"~": "array", "dtype": "V9", "shape": [-5], "v": "!"}]]
            inner["model"] = records.dumps(model)

    return work


@pytest.mark.parametrize(
    "how", ["cut", "empty", "numbers", "null", "group", "newer", "bomb", "dims", "dtype", "rows", "tags"]
)
def test_damaged_model_loses_no_data(path: Path, how: str) -> None:
    with h5py.File(path, "r+") as file:
        damage(how)(file)
    with pytest.warns(SidWarning, match="read as the file of another program"):
        tree = sid.open(path)
    assert "_sid_xarray" in tree.attrs["sid_problems"] or "model" in tree.attrs["sid_problems"]
    da = tree[MAIN]
    assert da.values.tolist() == [[0, 1, 2], [3, 4, 5]]
    assert da.units == "nA"
    assert da.x.attrs["sid_dimension_type"] == "spatial"
    assert da.sid.metadata["tip/radius"] == 5


def test_model_removed(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        del file[f"{GROUP}/_sid_xarray"]
    da = sid.open_dataarray(path)
    assert float(da.sum()) == 15
    assert da.attrs["sid_title"] == "a scan"


def test_everything_removed_is_an_error(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        del file["Measurement_000"]
    with pytest.raises(FormatError, match="holds 0 dataset"):
        sid.open(path)


def test_array_replaced_after_opening_is_an_error_and_no_wrong_number(path: Path) -> None:
    lazy = sid.open_dataarray(path)
    new = xr.Dataset({"current": (("y", "x"), np.zeros((2, 3)))}, coords={"y": [0.0, 1], "x": [0.0, 1, 2]})
    new.sid.to_nsid(path, mode="w")
    with pytest.raises(FormatError, match=r"changed since it was opened. Open it again"):
        lazy.load()


def test_group_replaced_after_opening(path: Path) -> None:
    lazy = sid.open_dataarray(path)
    xr.Dataset({"current": (("y", "x"), np.zeros((2, 3)))}).sid.to_nsid(path, group=GROUP, overwrite=True)
    with pytest.raises(FormatError, match="changed since it was opened"):
        lazy.load()


def test_other_arrays_may_come_while_one_is_open(path: Path) -> None:
    lazy = sid.open_dataarray(path)
    (lazy * 2).rename("twice").sid.to_nsid(path)
    assert float(lazy.sum()) == 15
