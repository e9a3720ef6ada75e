"""Groups of ours keep the order of what is in them, whatever is done to them."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
import xarray as xr

import sid_xarray as sid
from sid_xarray.io._groups import ordered_group


@pytest.mark.parametrize("count", [3, 9, 63, 64, 65, 200])
def test_attributes_keep_their_order(tmp_path: Path, count: int) -> None:
    names = [f"{(i * 37) % 997:03d} é" for i in range(count)]
    with h5py.File(tmp_path / "a.h5", "w") as file:
        group = ordered_group(file, "a/b é/c")
        for i, name in enumerate(names):
            group.attrs[name] = i
    with h5py.File(tmp_path / "a.h5", "r+") as file:  # which other programs may do
        group = file["a/b é/c"]
        assert list(group.attrs) == names
        group.attrs[names[0]] = "another"
        group.attrs.modify(names[1], 7)
        del group.attrs[names[2]]
        group.attrs["added"] = np.arange(3)
    with h5py.File(tmp_path / "a.h5") as file:
        attrs = dict(file["a/b é/c"].attrs)
    assert attrs[names[0]] == "another"
    assert attrs[names[1]] == 7
    assert names[2] not in attrs
    np.testing.assert_array_equal(attrs["added"], [0, 1, 2])
    assert set(attrs) == {*names, "added"} - {names[2]}


def test_an_attribute_may_be_larger_than_a_header(tmp_path: Path) -> None:
    large = np.arange(100_000.0)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        group = ordered_group(file, "g")
        group.attrs["small"], group.attrs["large"], group.attrs["text"] = 1, large, "eV"
    with h5py.File(tmp_path / "a.h5") as file:
        assert list(file["g"].attrs) == ["small", "large", "text"]
        np.testing.assert_array_equal(file["g"].attrs["large"], large)


def test_there_is_something_already(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        ordered_group(file, "g")
        with pytest.raises(ValueError, match="exists"):
            ordered_group(file, "g")


def test_many_attributes_come_back_in_order(tmp_path: Path) -> None:
    ds = sid.datasets.peak_map(ny=2, nx=2, ne=4).to_dataset(name="counts")
    ds.attrs |= {f"{(i * 37) % 101:03d}": i for i in range(80)} | {"spectrum": np.arange(20_000.0)}
    for write in (ds.sid.to_nsid, ds.sid.to_usid):
        write(tmp_path / "a.h5", mode="w")
        back = sid.open(tmp_path / "a.h5")
        node = next(n for n in back.subtree if n.data_vars)
        xr.testing.assert_identical(node.to_dataset().drop_vars([*node.coords, "counts"]).drop_attrs(), xr.Dataset())
        assert list(node.attrs)[: len(ds.attrs)] == list(ds.attrs)
        np.testing.assert_array_equal(node.attrs["spectrum"], ds.attrs["spectrum"])
        back.close()
