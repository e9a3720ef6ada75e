"""Datasets and trees that are put together directly are those that xarray makes."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest
import xarray as xr

from sid_xarray.io import _assemble

COORDS: dict[str, xr.Variable] = {
    "y": xr.Variable("y", np.arange(3.0), {"units": "nm"}),
    "x": xr.Variable("x", np.arange(4, dtype="i4")),
    "small": xr.Variable("small", np.arange(2, dtype="i1")),
    "half": xr.Variable("half", np.arange(2, dtype="f2")),
    "text": xr.Variable("text", np.array(["a", "b"], object)),
    "fixed": xr.Variable("fixed", np.array(["a", "b"])),
    "when": xr.Variable("when", np.array(["2020-01-01", "2021-01-01"], "M8[ns]")),
    "since": xr.Variable("since", np.array([1, 2], "m8[ns]")),
    "flag": xr.Variable("flag", np.array([True, False])),
    "complex": xr.Variable("complex", np.array([1j, 2])),
    "big": xr.Variable("big", np.arange(2.0).astype(">f8")),
    "empty": xr.Variable("empty", np.zeros(0)),
    "scalar": xr.Variable((), 5.0, {"units": "K"}),
    "drift": xr.Variable(("y", "x"), np.zeros((3, 4))),
    "other": xr.Variable("y", np.arange(3.0)),
}


def public(data: Any, coords: Any, indexed: Any) -> xr.Dataset:
    ds = xr.Dataset(data, coords=xr.Coordinates(coords, indexes={}))
    for name in indexed:
        ds = ds.set_xindex([name])
    return ds


def assert_same(ours: xr.Dataset, theirs: xr.Dataset) -> None:
    xr.testing.assert_identical(ours, theirs)
    assert list(ours.variables) == list(theirs.variables)
    assert dict(ours.sizes) == dict(theirs.sizes)
    assert set(ours.coords) == set(theirs.coords)
    assert set(ours.xindexes) == set(theirs.xindexes)
    for name, index in ours.xindexes.items():
        assert index.equals(theirs.xindexes[name])
        assert ours.indexes[name].name == theirs.indexes[name].name
        assert ours.indexes[name].dtype == theirs.indexes[name].dtype
    for name, var in ours.variables.items():
        assert type(var) is type(theirs.variables[name])
        assert var.dtype == theirs.variables[name].dtype
        assert type(var._data) is type(theirs.variables[name]._data)
    xr.testing.assert_identical(pickle.loads(pickle.dumps(ours)), ours)
    xr.testing.assert_identical(copy.deepcopy(ours), ours)


HALF = pytest.mark.filterwarnings("ignore:`pandas.Index` does not support the `float16` dtype")


@HALF
@pytest.mark.parametrize("name", COORDS)
@pytest.mark.parametrize("index", [True, False])
def test_dataset(name: str, index: bool) -> None:
    coords = {name: COORDS[name]}
    dims = {"y": 3, "x": 4} | dict(zip(COORDS[name].dims, COORDS[name].shape, strict=True))
    data = {"signal": xr.Variable(tuple(dims), np.zeros(tuple(dims.values()), "f4"), {"a": 1}, {"source": "f"})}
    indexed = [name] if index and len(COORDS[name].dims) == 1 else []
    assert_same(_assemble.dataset(data, coords, indexed), public(data, coords, indexed))


@HALF
def test_dataset_of_all() -> None:
    indexed = [k for k, v in COORDS.items() if len(v.dims) == 1]
    data = {"a": xr.Variable(("y", "x"), np.zeros((3, 4))), "b": xr.Variable((), 1)}
    assert_same(_assemble.dataset(data, COORDS, indexed), public(data, COORDS, indexed))
    assert_same(_assemble.dataset({}, {}, []), xr.Dataset())


@pytest.mark.parametrize(
    ("data", "coords"),
    [
        ({"y": xr.Variable("y", [1.0, 2])}, {}),
        ({"a": xr.Variable(("y", "x"), np.zeros((2, 2)))}, {"y": xr.Variable(("y", "x"), np.zeros((2, 2)))}),
        ({3: xr.Variable("y", [1.0, 2])}, {"y": xr.Variable("y", [1.0, 2])}),
    ],
)
def test_odd_datasets_are_left_to_xarray(data: Any, coords: Any) -> None:
    assert_same(_assemble.dataset(data, coords, []), public(data, coords, []))


def test_what_contradicts_itself() -> None:
    with pytest.raises(ValueError, match="conflicting sizes"):
        _assemble.dataset({"a": xr.Variable("y", [1, 2])}, {"y": xr.Variable("y", [1.0, 2, 3])}, ["y"])
    with pytest.raises(ValueError, match="a"):
        _assemble.dataset({"a": xr.Variable("y", [1, 2])}, {"a": xr.Variable("y", [1.0, 2])}, [])


def nodes() -> dict[str, xr.Dataset]:
    leaf = public({"s": xr.Variable(("y", "x"), np.zeros((3, 4)))}, {k: COORDS[k] for k in "yx"}, "yx")
    return {
        "/": xr.Dataset(attrs={"file": 1}),
        "/b": xr.Dataset(attrs={"k": "v"}),
        "/b/two": leaf,
        "/b/one": leaf.isel(x=slice(2)),
        "/a": leaf.isel(y=0),
        "/b/deep": xr.Dataset(),
        "/b/deep/er": leaf,
    }


def test_tree() -> None:
    ours, theirs = _assemble.tree(nodes()), xr.DataTree.from_dict(nodes())
    assert ours.identical(theirs)
    assert ours.groups == theirs.groups
    assert ours["b/deep/er"].path == "/b/deep/er"
    assert ours["b/deep/er"].root is ours
    assert ours["b"].parent is ours
    assert repr(ours) == repr(theirs)
    for tree in (ours, theirs):
        tree["b/new"] = xr.Dataset({"q": 1})
        tree["b"].children = {k: v for k, v in tree["b"].children.items() if k != "two"}
        tree["a"]["t"] = xr.DataArray(2.0)
    assert ours.identical(theirs)
    assert pickle.loads(pickle.dumps(ours)).identical(theirs)
    assert ours.copy(deep=True).identical(theirs)
    assert ours.map_over_datasets(lambda ds: ds * 2).identical(theirs.map_over_datasets(lambda ds: ds * 2))
    with pytest.raises(ValueError, match="not aligned"):
        ours["a/under"] = xr.Dataset({"x": ("x", np.arange(4.0) + 1), "q": ("x", np.zeros(4))})


def test_a_parent_with_variables_is_left_to_xarray() -> None:
    both = {"/": xr.Dataset(coords={"y": [1.0, 2]}), "/a": xr.Dataset({"s": ("y", [1, 2])}, coords={"y": [1.0, 2]})}
    ours = _assemble.tree(both)
    assert ours.identical(xr.DataTree.from_dict(both))
    assert "y" not in ours["a"].to_dataset(inherit=False).coords
    with pytest.raises(ValueError, match="not aligned"):
        _assemble.tree(both | {"/b": xr.Dataset(coords={"y": [5.0, 6]})})


def test_closing_is_that_of_the_root() -> None:
    closed: list[str] = []
    found = nodes()
    found["/a"].set_close(lambda: closed.append("a"))
    tree = _assemble.tree(found)
    tree.set_close(lambda: closed.append("/"))
    tree.close()
    assert closed == ["/"]


def test_another_xarray(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where xarray has none of the inner ways, its public ones give the same."""
    data = {"signal": xr.Variable(("y", "x"), np.zeros((3, 4)))}
    coords = {k: COORDS[k] for k in ("y", "x", "drift", "scalar")}
    here = _assemble.dataset(data, coords, "yx"), _assemble.bare({"a": 1}), _assemble.tree(nodes())
    monkeypatch.setattr(_assemble, "_direct", lambda *_: None)
    monkeypatch.setattr(_assemble, "_can_be_linked", lambda: False)
    there = _assemble.dataset(data, coords, "yx"), _assemble.bare({"a": 1}), _assemble.tree(nodes())
    assert_same(there[0], here[0])
    xr.testing.assert_identical(here[1], there[1])
    assert here[2].identical(there[2])


def test_signals_with_the_same_axes_share_their_index() -> None:
    def one(values: Any, **attrs: Any) -> xr.Dataset:
        x = xr.Variable("x", np.asarray(values), attrs)
        return _assemble.dataset({"v": xr.Variable("x", np.zeros(len(values)))}, {"x": x}, ["x"])

    first, again = one([0.0, 0.5], units="nm"), one([0.0, 0.5], units="m")
    assert first.indexes["x"] is again.indexes["x"]
    again.x.attrs["units"] = "um"
    assert first.x.attrs == {"units": "nm"}
    with pytest.raises(ValueError, match="read-only"):
        first.x.values[0] = 1
    for values in ([-0.0, 0.5], np.array([0, 0.5], "f4"), [0, 1], np.zeros(0)):
        other = one(values)
        assert other.indexes["x"] is not first.indexes["x"]
        assert other.x.dtype == np.asarray(values).dtype
        xr.testing.assert_identical(other, xr.Dataset({"v": ("x", np.zeros(len(values)))}, {"x": np.asarray(values)}))
    copied = pickle.loads(pickle.dumps(first))
    xr.testing.assert_identical(copied, first)
    assert copied.sel(x=0.5).v.size == 1
    assert first.assign_coords(x=[5.0, 6.0]).indexes["x"][0] == 5
    assert again.indexes["x"][0] == 0
