"""What is written as USID is what is read back, and what the older readers see."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import xarray as xr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import sid_xarray as sid
from sid_xarray.errors import DimensionError
from sid_xarray.io.backends import USIDBackendEntrypoint
from sid_xarray.io.checksum import verify_file
from sid_xarray.io.usid import to_usid
from sid_xarray.io.usid.read import open_groups
from sid_xarray.testing.assertions import _assert_equal

PEERS = os.environ.get("SID_PEERS_PYTHON")
CHECK = Path(__file__).parents[3] / "shared/corpus/peer_check.py"
SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large]
SOON = settings(max_examples=100, deadline=None, suppress_health_check=SLOW)


def opened(path: Any) -> xr.DataTree:
    return xr.open_datatree(path, engine=USIDBackendEntrypoint)


def read_back(path: Any, place: str) -> xr.DataArray | xr.Dataset:
    """Return what was written to a group: a DataArray if it was one, with its name."""
    ds = open_groups(str(path), exact=True)[place]
    if "sid_array" not in ds.encoding:
        return ds
    return next(iter(ds.data_vars.values())).rename(*ds.encoding["sid_array"])


def assert_roundtrip_usid(obj: Any, path: Any, **options: Any) -> str:
    """Assert that nothing is lost: values, dtype, byte order, names, order, types of attributes, indexes."""
    place = to_usid(obj, path, mode="w", **options)
    assert [str(finding) for finding in verify_file(path) if finding.bad] == []
    if isinstance(obj, xr.DataTree):
        found = open_groups(str(path), exact=True)
        for node in obj.subtree:
            if node.data_vars or node.attrs:
                _assert_equal(node.to_dataset(), found[node.path].load(), node.path)
    else:
        _assert_equal(obj, read_back(path, place).load(), place)
    return place


def without_model(path: Any) -> xr.DataTree:
    """Open a file as that of another program."""
    with h5py.File(path, "r+") as file:
        models: list[str] = []
        file.visit(lambda name: models.append(name) if name.endswith("_sid_xarray") else None)
        for name in models:
            del file[name]
    return opened(path)


def cube(dims: str = "yxe", sizes: tuple[int, ...] = (3, 4, 5), dtype: Any = "f4") -> xr.DataArray:
    full = {"y": "y", "x": "x", "e": "energy", "t": "time", "b": "bias", "f": "frame"}
    names = [full[d] for d in dims]
    values = np.arange(np.prod(sizes)).reshape(sizes).astype(dtype)
    units = {n: {"units": "nm" if n in "xy" else "eV"} for n in names}
    coords = {n: (n, np.linspace(0, 1, s), units[n]) for n, s in zip(names, sizes, strict=True)}
    return xr.DataArray(values, dims=names, coords=coords, name="signal", attrs={"units": "nA", "long_name": "current"})


# -- tables ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "dtype", ["?", "i1", "u1", "i2", "u2", "<i4", ">i4", "u4", "i8", "u8", "f2", "<f4", ">f4", "f8", ">f8", "c8", "c16"]
)
def test_every_dtype_comes_back(tmp_path: Path, dtype: str) -> None:
    da = cube(dtype=dtype) if dtype[0] != "?" else cube() > 10
    assert_roundtrip_usid(da, tmp_path / "a.h5")


@pytest.mark.parametrize("dims", ["yxe", "eyx", "yex", "xey", "xye", "exy"])
def test_every_order_of_dimensions_comes_back_and_is_right_for_others(tmp_path: Path, dims: str) -> None:
    da = cube(dims)
    assert_roundtrip_usid(da, tmp_path / "a.h5")
    (seen,) = without_model(tmp_path / "a.h5")["/Measurement_000/Channel_000"].data_vars.values()
    np.testing.assert_array_equal(seen.transpose(*da.dims).values, da.values)
    for dim in da.dims:
        np.testing.assert_array_equal(seen[dim].values, da[dim].values)
        assert seen[dim].attrs["sid_dimension_type"] == ("spatial" if dim in ("x", "y") else "spectral")


@pytest.mark.parametrize(
    ("dims", "sizes"),
    [("", ()), ("y", (4,)), ("e", (4,)), ("yx", (1, 1)), ("yxe", (1, 1, 5)), ("yxe", (1, 3, 2)), ("ebf", (2, 1, 3)),
     ("ebf", (2, 1, 1)), ("yxebft", (2, 1, 3, 1, 2, 2)), ("yx", (0, 3)), ("e", (0,)), ("yb", (3, 1)), ("y", (1,))],
)  # fmt: skip
def test_every_shape_comes_back(tmp_path: Path, dims: str, sizes: tuple[int, ...]) -> None:
    assert_roundtrip_usid(cube(dims, sizes), tmp_path / "a.h5")


COORDS: dict[str, Any] = {
    "text": ("y", np.array(["a", "bb", "µ"])),
    "objects": ("y", np.array(["a", "", "c"], dtype=object)),
    "when": ("y", np.array(["2024-01-01", "NaT", "2024-01-03"], dtype="M8[ns]")),
    "since": ("energy", np.arange(5).astype("m8[s]")),
    "scalar": ((), np.float32(0.1)),
    "over both": (("x", "energy"), np.arange(20.0).reshape(4, 5)),
    "turned": (("x", "y"), np.arange(12).reshape(4, 3)),
    "flags": ("x", np.array([True, False, True, True])),
    "large": ("x", np.array([2**63 - 1, 0, 1, 2], dtype="i8")),
    "complex": ("x", np.array([1j, 2, 3, np.nan])),
    "bytes": ("x", np.array([b"a", b"bc", b"", b"d"])),
}


@pytest.mark.parametrize("name", COORDS)
def test_every_coordinate_comes_back(tmp_path: Path, name: str) -> None:
    assert_roundtrip_usid(cube().assign_coords({name: COORDS[name]}), tmp_path / "a.h5")


@pytest.mark.parametrize(
    "values",
    [np.array(["a", "b", "c", "d"]), np.array([4, 3, 2, 1], dtype=">i4"), np.array([1.0, np.nan, np.inf, -0.0]),
     np.arange(4).astype("M8[ns]"), np.array([2**60, 2**60 + 1, 0, 1]), np.array([0.1, 0.1, 0.1, 0.2], dtype="f4")],
)  # fmt: skip
def test_every_index_comes_back(tmp_path: Path, values: Any) -> None:
    assert_roundtrip_usid(cube().assign_coords(x=values), tmp_path / "a.h5")
    assert_roundtrip_usid(cube().assign_coords(x=values).drop_indexes("x"), tmp_path / "a.h5")
    assert_roundtrip_usid(cube().assign_coords(other=("x", values)).set_xindex("other"), tmp_path / "a.h5")


ATTRS: dict[str, Any] = {
    "text": "Å", "empty": "", "int": 3, "big": 2**70, "float": 0.1, "nan": float("nan"), "bool": True, "none": None,
    "complex": 1 + 2j, "list": [1, 2], "mixed": [1, "a", None], "tuple": (1, 2), "numpy": np.float32(1.5),
    "array": np.arange(3, dtype="i2"), "texts": ["a", "b"], "dict": {"b": 1, "a": [None, {"c": 2}]}, "bytes": b"\x00",
    "units": "nA", "long_name": "current (dc)", "quantity": "a user's own", "Position_Indices": "mine", "type": "x",
    "labels": ["q"], "timestamp": "now", "tool": "hammer", "source_000_path": "/x", "_FillValue": 1.0,
    "scale_factor": 2.0,
}  # fmt: skip


def test_attributes_come_back_with_their_types(tmp_path: Path) -> None:
    da = cube().assign_attrs(ATTRS)
    da.x.attrs.update(ATTRS)
    assert_roundtrip_usid(da, tmp_path / "a.h5")
    assert_roundtrip_usid(da.to_dataset().assign_attrs(ATTRS), tmp_path / "a.h5")


@pytest.mark.parametrize("name", [None, "", "a/b", "Raw_Data", "x-y", 3, ("a", 1), "µ (nA)", "Position_Indices"])
def test_every_name_comes_back(tmp_path: Path, name: Any) -> None:
    assert_roundtrip_usid(cube().rename(name), tmp_path / "a.h5")


@pytest.mark.parametrize("dim", ["T", "size", "b", "a/b", "(V)", "dim_0", "labels", "$\\sqrt E$", "arb_pos", " blank "])
def test_every_dimension_name_comes_back(tmp_path: Path, dim: Any) -> None:
    da = cube().rename(x=dim)
    assert_roundtrip_usid(da, tmp_path / "a.h5")
    assert_roundtrip_usid(da.drop_vars(dim), tmp_path / "a.h5")


def test_a_dataset_shares_its_tables_and_has_a_channel_for_every_main(tmp_path: Path) -> None:
    da = sid.datasets.peak_map(ny=3, nx=4, ne=32)
    ds = da.sid.fit("gaussian + constant").assign(signal=da, note=("y", ["a", "b", "c"]), one=1)
    place = assert_roundtrip_usid(ds, tmp_path / "a.h5")
    assert place == "/Measurement_000"
    with h5py.File(tmp_path / "a.h5") as file:
        group = file[place]
        tables = [n for n in group if n.startswith("Position_Indices")]
        channels = [n for n in group if n.startswith("Channel_")]
        assert len(tables) == 2  # those of the maps, and the placeholder of `one`
        assert len(channels) == len(ds.data_vars) - 1  # text can be no main
        assert group["Channel_000/height"].shape == (12, 1)
        for i in range(len(channels)):
            (main,) = group[f"Channel_{i:03d}"].values()
            assert file[main.attrs["Position_Indices"]].name.rpartition("/")[2] in tables


def test_points_without_a_grid_become_sparse_positions(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    da = xr.DataArray(rng.normal(size=(9, 4)), dims=("point", "bias"), name="current").assign_coords(
        x=("point", rng.normal(size=9), {"units": "nm"}), y=("point", np.arange(9)), label=("point", list("abcdefghi"))
    )
    assert_roundtrip_usid(da, tmp_path / "a.h5")
    with h5py.File(tmp_path / "a.h5") as file:
        group = file["/Measurement_000/Channel_000"]
        assert group["Raw_Data_current"].shape == (9, 4)
        assert group["Position_Values"].attrs["labels"].tolist() == [b"x", b"y"]
        assert group["Position_Indices"].attrs["incomplete_dimensions"].tolist() == [b"x", b"y"]
        np.testing.assert_array_equal(group["Position_Indices"][()], np.repeat(np.arange(9)[:, np.newaxis], 2, axis=1))
    (seen,) = without_model(tmp_path / "a.h5")["/Measurement_000/Channel_000"].data_vars.values()
    assert seen.dims == ("position", "bias")
    np.testing.assert_array_equal(seen["x"].values, da["x"].values)
    np.testing.assert_array_equal(seen.values, da.values)


def test_drifting_positions_are_columns(tmp_path: Path) -> None:
    da = cube().drop_vars("x")
    da = da.assign_coords(xr.Coordinates({"x": (("y", "x"), np.random.default_rng(0).normal(size=(3, 4)))}, indexes={}))
    assert_roundtrip_usid(da, tmp_path / "a.h5")
    (seen,) = without_model(tmp_path / "a.h5")["/Measurement_000/Channel_000"].data_vars.values()
    np.testing.assert_array_equal(seen["x"].values, da["x"].values)


def test_position_dims_override_the_types(tmp_path: Path) -> None:
    da = cube("tyx", (2, 3, 4))
    assert_roundtrip_usid(da, tmp_path / "a.h5", position_dims=["time", "y"])
    with h5py.File(tmp_path / "a.h5") as file:
        assert file["/Measurement_000/Channel_000/signal"].shape == (6, 4)
    with pytest.raises(DimensionError, match="position_dims names 'q'; there are 'time', 'y', 'x'"):
        to_usid(da, tmp_path / "a.h5", position_dims=["q"])


def test_trees_keep_their_paths_and_their_links(tmp_path: Path) -> None:
    tree = xr.DataTree.from_dict(
        {
            "/": xr.Dataset(attrs={"operator": "me"}),
            "/Measurement_000": xr.Dataset(attrs={"run": 1}),
            "/Measurement_000/Channel_000": cube().to_dataset(),
            "/Measurement_000/Channel_001": cube("yx", (2, 2)).to_dataset(name="a").assign(b=("e", [1, 2])),
            "/else/where": cube("e", (3,)).to_dataset(),
        }
    )
    assert_roundtrip_usid(tree, tmp_path / "a.h5")
    again = opened(tmp_path / "a.h5")
    assert_roundtrip_usid(again, tmp_path / "b.h5")


@pytest.mark.parametrize(
    "obj",
    [cube().astype("g"), cube().expand_dims(z=[object()]), cube().stack(p=("y", "x")), xr.Dataset()],
    ids=["longdouble", "objects", "MultiIndex", "nothing"],
)
def test_what_cannot_be_stored_is_refused_before_a_file_is_touched(tmp_path: Path, obj: Any) -> None:
    with pytest.raises(sid.FormatError):
        to_usid(obj, tmp_path / "a.h5")
    assert not os.listdir(tmp_path)


# -- any of them, together ---------------------------------------------------------------------------------------------

NAMES = st.one_of(st.sampled_from(["y", "x", "energy", "T", "a", "bias", "point"]), st.text(min_size=1, max_size=4))
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=3), inner, max_size=3)),
    max_leaves=5,
)
KEYS = st.one_of(st.sampled_from(["units", "long_name", "sid_title"]), st.text(max_size=4))
ATTRIBUTES = st.dictionaries(KEYS, VALUES, max_size=4)
DTYPES = st.sampled_from(["?", "u1", "i2", ">i4", "i8", "f4", "f8", "c8", "M8[ns]", "U3"])


def clean(text: Any) -> bool:
    return not isinstance(text, str) or ("\x00" not in text and not any("\ud800" <= c <= "\udfff" for c in text))


def filled(draw: Any, shape: tuple[int, ...], dtype: str) -> Any:
    raw = np.arange(int(np.prod(shape))) * draw(st.integers(-3, 3))
    return raw.reshape(shape).astype("i8").astype(dtype)


@st.composite
def datasets(draw: Any) -> xr.Dataset:
    dims = draw(st.lists(NAMES.filter(clean), min_size=0, max_size=4, unique=True))
    sizes = {d: draw(st.integers(1, 4)) for d in dims}
    ds = xr.Dataset()
    for d in dims:
        kind = draw(st.sampled_from(["none", "float", "int", "text", "bare"]))
        if kind != "none":
            dtype = {"float": "f8", "int": "i4", "text": "U3", "bare": "f4"}[kind]
            ds = ds.assign_coords({d: (d, filled(draw, (sizes[d],), dtype), draw(ATTRIBUTES))})
            ds = ds.drop_indexes(d) if kind == "bare" else ds
    for i in range(draw(st.integers(1, 3))):
        over = draw(st.permutations(dims).map(lambda p: p[: draw(st.integers(0, len(p)))]))
        name = draw(st.one_of(st.just("v"), NAMES.filter(clean))) + str(i)
        if name not in ds.variables and name not in dims:
            shape = tuple(sizes[d] for d in over)
            ds = ds.assign({name: (over, filled(draw, shape, draw(DTYPES)), draw(ATTRIBUTES))})
    if dims and draw(st.booleans()):
        over = dims[: draw(st.integers(1, len(dims)))]
        ds = ds.assign_coords(extra=(over, filled(draw, tuple(sizes[d] for d in over), draw(DTYPES))))
    return ds.assign_attrs(draw(ATTRIBUTES)) if ds.variables else ds.assign(v=1.0)


@SOON
@given(datasets())
def test_any_dataset_comes_back(tmp_path_factory: Any, ds: xr.Dataset) -> None:
    path = tmp_path_factory.mktemp("usid") / "a.h5"
    assert_roundtrip_usid(ds, path)
    for key in ds.data_vars:
        assert_roundtrip_usid(ds[key], path)


@SOON
@given(st.data())
def test_any_order_of_rows_is_put_right(tmp_path_factory: Any, data: Any) -> None:
    """Rows in any order, labels in any order, indices from anywhere: the array is the same."""
    sizes = data.draw(st.lists(st.integers(1, 4), min_size=1, max_size=3))
    count = int(np.prod(sizes))
    truth = np.random.default_rng(0).normal(size=(*sizes, 3))
    indices = np.stack(np.unravel_index(np.arange(count), sizes), axis=1)
    rows = np.array(data.draw(st.permutations(range(count))))
    labels = np.array(data.draw(st.permutations(range(len(sizes)))))
    offset, step = data.draw(st.integers(0, 5)), data.draw(st.integers(1, 3))
    path = tmp_path_factory.mktemp("usid") / "a.h5"
    with h5py.File(path, "w") as file:
        main = file.create_dataset("Channel_000/Raw_Data", data=truth.reshape(count, 3)[rows])
        tables = {
            "Position_Indices": (indices[rows] * step + offset)[:, labels].astype("u2"),
            "Position_Values": (indices[rows] * 0.5)[:, labels],
            "Spectroscopic_Indices": np.arange(3)[np.newaxis],
            "Spectroscopic_Values": np.arange(3.0)[np.newaxis],
        }
        for name, table in tables.items():
            side = file.create_dataset(f"Channel_000/{name}", data=table)
            spec = name.startswith("S")
            side.attrs["labels"] = np.array(["bias"] if spec else [f"p{k}" for k in labels], dtype="S")
            side.attrs["units"] = np.array(["V"] if spec else ["nm"] * len(labels), dtype="S")
            main.attrs[name] = side.ref
        main.attrs["quantity"], main.attrs["units"] = "current", "nA"
    da = opened(path)["/Channel_000/Raw_Data"]
    wanted = xr.DataArray(truth, dims=[*(f"p{k}" for k in range(len(sizes))), "bias"])
    np.testing.assert_array_equal(da.transpose(*wanted.dims).values, truth)
    for k, n in enumerate(sizes):
        np.testing.assert_array_equal(da[f"p{k}"].values, np.arange(n) * 0.5)
    key = {d: data.draw(st.one_of(st.integers(0, n - 1), st.slices(n), st.lists(st.integers(0, n - 1), max_size=4)))
           for d, n in wanted.sizes.items()}  # fmt: skip
    np.testing.assert_array_equal(da.isel(key).transpose(*wanted.isel(key).dims).values, wanted.isel(key).values)


# -- the older readers -------------------------------------------------------------------------------------------------

_MANY = """
import contextlib, io, json, runpy, sys
check, *files = sys.argv[1:]
names = runpy.run_path(check, run_name="check")
for file in files:
    sys.argv = [check, file, "--format", "usid", "--strict", "--require-nd", "--hyperspy", "--full"]
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        code = names["main"]()
    print(json.dumps({"code": code, **json.loads(out.getvalue())}))
"""


def for_peers() -> dict[str, xr.Dataset | xr.DataArray]:
    """Arrays that the older readers can hold: at least two points somewhere, and no name that they fall over."""
    ones = {f"size 1 {s}": cube("yxe", s) for s in [(1, 3, 2), (3, 1, 2), (1, 1, 5), (2, 2, 1), (1, 2, 1)]}
    return {
        **{f"order {d}": cube(d) for d in ("yxe", "eyx", "exy", "yex")},
        **{f"dtype {d}": cube(dtype=d) for d in ("u1", ">i4", "f8", "c8", "f2")},
        **ones,
        "spectrum": cube("e", (6,)),
        "image": cube("yx", (4, 5)),
        "line": cube("y", (7,)),
        "5-D": cube("yxebt", (2, 3, 4, 2, 3)),
        "two axes of two": cube("eb", (2, 2)),
        "bool": cube() > 3,
        "names": cube().rename(y="T", x="size", energy="b").rename("a-b (c)"),
        "units": cube()
        .assign_attrs(units="(V/m)", long_name="field (dc)")
        .assign_coords(x=("x", range(4), {"units": "(a)"})),
        "text axis": cube().assign_coords(x=list("abcd")),
        "no coordinates": cube().drop_vars(["x", "energy"]),
        "falling": cube().isel(x=slice(None, None, -1), energy=slice(None, None, -1)),
        "repeated": cube().assign_coords(energy=[0.0, 1.0, 1.0, 0.0, -1.0]),
        "not a number": cube().assign_coords(x=[0.0, np.nan, 1.0, 2.0]),
        "lazy": cube("yxe", (6, 7, 8)).chunk(y=4, x=3, energy=5),
        "maps": cube("yx", (3, 4)).to_dataset(name="a").assign(b=cube("yx", (3, 4)) * 2, c=cube()),
    }


def any_cubes() -> dict[str, xr.DataArray]:
    """Arrays of many shapes, most of them with dimensions of one point somewhere."""
    rng = np.random.default_rng(0)
    out: dict[str, xr.DataArray] = {}
    for i in range(20):
        dims = rng.permutation(["y", "x", "energy", "T", "a", "b", "c"])[: rng.integers(0, 6)].tolist()
        da = xr.DataArray(rng.normal(size=rng.choice([1, 1, 2, 3], size=len(dims))), dims=dims, name="q")
        out[f"random {i}: {dict(da.sizes)}"] = da
    return out


@pytest.mark.peers
@pytest.mark.skipif(PEERS is None or not CHECK.exists(), reason="SID_PEERS_PYTHON names no interpreter")
def test_the_older_readers_see_the_same_array(tmp_path: Path) -> None:
    wanted = {**for_peers(), **any_cubes()}
    files = []
    for i, obj in enumerate(wanted.values()):
        files.append(str(tmp_path / f"{i}.h5"))
        to_usid(obj, files[-1])
    run = subprocess.run([str(PEERS), "-c", _MANY, str(CHECK), *files], capture_output=True, text=True, check=False)
    lines = [json.loads(line) for line in run.stdout.splitlines()]
    assert len(lines) == len(files), run.stderr[-2000:]
    for (name, obj), seen in zip(wanted.items(), lines, strict=True):
        assert seen["code"] == 0, f"{name}: {seen}"
        arrays = {"": obj} if isinstance(obj, xr.DataArray) else dict(obj.data_vars)
        for da, found in zip(arrays.values(), seen["peers"]["pyUSID"]["datasets"], strict=True):
            same_as_peer(name, da, found)
        for da, found in zip(arrays.values(), seen["peers"]["Usid_reader"]["datasets"], strict=True):
            assert found["sha256"] == checksum(in_file_order(da, found["shape"])), f"{name}: Usid_reader"
        for da, found in zip(arrays.values(), seen["peers"]["hyperspy"]["datasets"], strict=True):
            if da.size == 1:
                continue  # HyperSpy makes one axis of nothing
            squeezed = in_file_order(da, None)
            assert found["shape"] == list(squeezed.shape), f"{name}: HyperSpy"
            assert found["sha256"] == checksum(squeezed), f"{name}: HyperSpy"


def in_file_order(da: xr.DataArray, shape: Any) -> np.ndarray:
    rows = [d for d in da.dims if da.sid.dimension_types[d] == "spatial"]
    values = da.transpose(*rows, *(d for d in da.dims if d not in rows)).values
    return values.squeeze() if shape is None else values.reshape(shape)


def checksum(values: np.ndarray) -> str:
    import hashlib

    form = "<c8" if values.dtype.kind == "c" else "<f8"
    return hashlib.sha256(np.ascontiguousarray(values.astype(form)).tobytes()).hexdigest()


def same_as_peer(name: str, da: xr.DataArray, found: dict[str, Any]) -> None:
    assert found["sha256"] == checksum(in_file_order(da, found["shape"])), f"{name}: pyUSID"
    labels = {d["name"]: d for d in found["dims"]}
    for dim in da.dims:
        label = labels.get(str(dim)) or labels.get(f"{dim}_")
        if label is None:
            assert da.sizes[dim] == 1, f"{name}: {dim} is missing"
        elif dim in da.coords and da[dim].dtype.kind == "f":
            seen = np.array(label["values"], dtype=float)
            np.testing.assert_array_equal(seen, da[dim].values, err_msg=f"{name}: {dim}")
