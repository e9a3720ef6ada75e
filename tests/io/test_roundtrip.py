"""What is written is what is read: every dtype, shape, name, coordinate and attribute that we promise to keep."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest
import xarray as xr

import sid_xarray as sid
from sid_xarray.errors import FormatError
from sid_xarray.testing import assert_roundtrip

RNG = np.random.default_rng(0)


def ramp(shape: tuple[int, ...], dtype: Any = "f8") -> np.ndarray:
    return np.arange(int(np.prod(shape, dtype=int))).reshape(shape).astype(dtype)


def image(**attrs: Any) -> xr.DataArray:
    return xr.DataArray(ramp((2, 3)), dims=("y", "x"), coords={"y": [0.0, 1], "x": [0.0, 1, 2]}, name="z", attrs=attrs)


NUMBERS = ["?", "i1", "u1", "<i2", ">i2", "<u2", ">u2", "<i4", ">i4", "<u4", ">u4", "<i8", ">i8", "<u8", ">u8"]
NUMBERS += ["<f2", ">f2", "<f4", ">f4", "<f8", ">f8", "<c8", ">c8", "<c16", ">c16"]
TIMES = [f"{o}{k}8[{u}]" for k in "Mm" for u in ("s", "ms", "us", "ns") for o in "<>"]
TEXTS = ["U1", "<U7", ">U7", "S1", "S7", "O"]


def values(dtype: str, shape: tuple[int, ...]) -> np.ndarray:
    kind = np.dtype(dtype).kind
    if kind == "b":
        return ramp(shape) % 2 == 0
    if kind in "iu":
        bounds = np.iinfo(dtype)
        return RNG.integers(
            bounds.min, bounds.max, shape, endpoint=True, dtype=np.dtype(dtype).newbyteorder("=")
        ).astype(dtype)
    if kind in "US":
        return np.array(
            [f"{i}é"[: i % 4] if kind == "U" else f"{i}" for i in range(int(np.prod(shape)))], dtype
        ).reshape(shape)
    if kind == "O":
        out = np.empty(shape, object)
        out[...] = "text é 𝕩"
        return out
    if kind in "Mm":
        return RNG.integers(-(2**40), 2**40, shape).astype(dtype)
    out = RNG.normal(size=shape) * (1 + 2j if kind == "c" else 1)
    return np.asarray(out).astype(dtype)


@pytest.mark.parametrize("shape", [(3, 4), (), (0, 3), (1, 1)], ids=str)
@pytest.mark.parametrize("dtype", [*NUMBERS, *TIMES, *TEXTS])
def test_dtype_as_values_and_coordinates(dtype: str, shape: tuple[int, ...]) -> None:
    data = values(dtype, shape)
    dims = ("y", "x")[: len(shape)]
    da = xr.DataArray(data, dims=dims, name="v", coords={"scalar": ((), values(dtype, ()))})
    if shape and np.dtype(dtype) != np.float16:
        da = da.assign_coords(x=values(dtype, shape[1:]), near=("y", values(dtype, shape[:1])), far=(dims, data))
    assert_roundtrip(da)
    assert_roundtrip(da.to_dataset())


@pytest.mark.parametrize("special", [np.nan, np.inf, -np.inf, -0.0, 5e-324, np.finfo("f8").max])
def test_special_floats(special: float) -> None:
    assert_roundtrip(xr.DataArray([special, 1.0], dims="x", coords={"x": [special, 2.0]}, name="v"))


def test_not_a_time() -> None:
    times = np.array(["NaT", "2020-01-01"], "M8[ns]")
    assert_roundtrip(xr.DataArray(times, dims="t", coords={"t": times, "d": ("t", times - times[1])}, name="v"))


@pytest.mark.parametrize("ndim", range(8))
@pytest.mark.parametrize("labelled", [True, False])
def test_dimensions(ndim: int, labelled: bool) -> None:
    shape = (2, 3, 1, 2, 2, 1, 2)[:ndim]
    dims = [f"d{i}" for i in range(ndim)]
    coords = {d: ramp((n,)) for d, n in zip(dims, shape, strict=True)} if labelled else {}
    assert_roundtrip(xr.DataArray(ramp(shape), dims=dims, coords=coords, name="v"))


NAMES: list[Any] = [
    None,
    "",
    " ",
    "I/V",
    "/",
    ".",
    "..",
    "a b",
    " a ",
    "ε_r",
    "$\\sqrt E$",
    "x-y",
    "-",
    "_x",
    "__x",
    "x" * 300,
]
NAMES += [
    "metadata",
    "original_metadata",
    "_sid_xarray",
    "T",
    "name",
    "size",
    "real",
    "A",
    "a",
    "b",
    "c",
    "dim_0",
    "units",
]
NAMES += [0, 1.5, (1, "a"), True, "x", "y", "名前", "a\nb", "nul\x00", "\ud800", "0", "coords", "values", "𝕩", "title"]


@pytest.mark.parametrize("name", NAMES, ids=repr)
def test_name_of_the_array(name: Any) -> None:
    assert_roundtrip(image().rename(name) if name not in ("x", "y") else image().rename(y="u", x="v").rename(name))


@pytest.mark.parametrize("name", ["x", "y"])
def test_array_named_like_its_dimension(name: str) -> None:
    assert_roundtrip(xr.DataArray(ramp((2, 3)), dims=("y", "x"), name=name))
    assert_roundtrip(
        xr.DataArray(
            ramp((2, 3)), dims=("y", "x"), name=name, coords={("x" if name == "y" else "y"): [0] * (3 - (name != "y"))}
        )
    )


@pytest.mark.parametrize("name", NAMES, ids=repr)
@pytest.mark.parametrize("role", ["dim", "bare dim", "coordinate", "variable"])
def test_name_of_a_part(name: Any, role: str) -> None:
    ds = image().to_dataset()
    if role == "dim" and isinstance(name, str):  # xarray makes no index for another name
        ds = ds.rename(x=name) if name not in ds.variables else ds
    elif role == "bare dim":
        ds = ds.drop_vars("x").rename(x=name) if name != "y" else ds
    elif role == "coordinate":
        ds = ds.assign_coords({name: (("y", "x"), ramp((2, 3)))}) if name not in ds.variables else ds
    else:
        ds = ds.assign({name: ("y", [1.0, 2.0])}) if name not in ds.variables else ds
    assert_roundtrip(ds)


def test_two_names_that_become_one() -> None:
    ds = xr.Dataset(
        {"a/b": ("p/q", [1]), "a_b": ("p_q", [1, 2]), "a b": ((), 0)}, coords={"c d": 1, "c_d": 2, "c/d": 3}
    )
    assert_roundtrip(ds)


def test_variable_named_like_the_dimension_of_another() -> None:
    assert_roundtrip(xr.Dataset({"x": ("y", [1.0, 2]), "v": ("x", [1.0, 2, 3])}))
    assert_roundtrip(xr.Dataset({"v": ("x", [1.0, 2, 3])}, coords={"x": ("y", [1.0, 2])}))
    assert_roundtrip(xr.Dataset({"v": (("x", "y"), ramp((3, 2)))}, coords={"x": (("x", "y"), ramp((3, 2)))}))


def test_names_in_a_tree_have_no_slash(tmp_path: Path) -> None:
    xr.Dataset({"I/V": ("q (1/nm)", [1.0, 2])}, coords={"q (1/nm)": [0.0, 1]}).sid.to_nsid(tmp_path / "a.h5", group="g")
    ds = sid.open(tmp_path / "a.h5")["g"]
    assert ds["I_V"].dims == ("q (1_nm)",)
    assert ds["I_V"].attrs["sid_name_original"] == "I/V"
    assert ds["q (1_nm)"].attrs["sid_name_original"] == "q (1/nm)"


@pytest.mark.parametrize(
    "x",
    [
        [2.0, 1.0, 0.0],
        [0.0, 5.0, 1.0],
        [1.0, 1.0, 1.0],
        [np.nan, 1.0, np.inf],
        ["b", "a", "c"],
        ["", "", ""],
        pd.date_range("2020", periods=3),
        pd.to_timedelta([1, 2, 3], "s"),
        [True, False, True],
        [1 + 1j, 2, 3],
        pd.RangeIndex(3, 9, 2),
        pd.Index([1, 2, 3], dtype="u2"),
        np.array([1, 2, 3], ">f4"),
        np.array([2**63 + 1, 0, 1], "u8"),
    ],
    ids=repr,
)
def test_index_coordinates(x: Any) -> None:
    assert_roundtrip(image().assign_coords(x=x))


def test_coordinates_of_every_kind() -> None:
    da = image().assign_coords(
        scalar=5,
        text="word",
        when=np.datetime64("2020-01-01T00:00:00.123456789"),
        pixel=("x", ["a", "b", "c"], {"units": "1", "long_name": "letters"}),
        lat=(("y", "x"), ramp((2, 3)), {"units": "degree"}),
        flipped=(("x", "y"), ramp((3, 2), "i2")),
        complex=("x", ramp((3,)) * 1j),
    )
    assert_roundtrip(da)
    assert_roundtrip(da.to_dataset())
    assert_roundtrip(da.drop_vars("x"))


def test_coordinate_with_an_index_of_its_own() -> None:
    assert_roundtrip(image().assign_coords(other=("x", [5, 6, 7])).set_xindex("other"))


def test_coordinate_without_index(tmp_path: Path) -> None:
    da = image().drop_indexes("x")
    place = da.sid.to_nsid(tmp_path / "a.h5")
    found = xr.open_dataset(tmp_path / "a.h5", engine="nsid", group=place, create_default_indexes=False)
    assert set(found.xindexes) == {"y"}
    np.testing.assert_array_equal(found.x, da.x)


ATTRS: dict[str, Any] = {
    "text": "a",
    "empty": "",
    "blank": " ",
    "unicode": "Å µ 𝕩",
    "lines": "a\nb\r\n",
    "nul": "a\x00b",
    "surrogate": "\ud800",
    "long": "x" * 200_000,
    "int": 3,
    "negative": -(2**62),
    "huge": 2**100,
    "float": 0.1,
    "nan": float("nan"),
    "inf": float("-inf"),
    "bool": True,
    "complex": 1 - 2j,
    "none": None,
    "bytes": b"a\x00\xff",
    "np int": np.int64(3),
    "np small": np.int8(-3),
    "np unsigned": np.uint64(2**64 - 1),
    "np float": np.float32(0.1),
    "np half": np.float16(0.1),
    "np bool": np.bool_(True),
    "np complex": np.complex64(1j),
    "np text": np.str_("abc"),
    "np bytes": np.bytes_(b"abc"),
    "np time": np.datetime64("2020-01-01", "us"),
    "np step": np.timedelta64(5, "ms"),
    "ints": [1, 2, 3],
    "floats": [1.0, float("nan")],
    "mixed": [1, 2.5, "a", None, True],
    "bools": [True, False],
    "texts": ["a", "", "é"],
    "many texts": [f"text {i}" for i in range(6000)],
    "nothing": [],
    "one": [1],
    "nested": [[1, 2], [3]],
    "tuple": (1, 2),
    "tuple of texts": ("a", "b"),
    "no tuple": (),
    "array": np.arange(6).reshape(2, 3),
    "array big endian": np.arange(3, dtype=">i4"),
    "array half": np.arange(3, dtype="f2"),
    "array bool": np.array([True, False]),
    "array complex": np.array([1j, 2]),
    "array 0d": np.array(5.0),
    "array empty": np.zeros((0, 3), "i2"),
    "array large": np.arange(20_000.0),
    "array text": np.array(["a", "bcd"]),
    "array objects": np.array(["a", None, 3], dtype=object),
    "array bytes": np.array([b"a", b"bc"]),
    "array times": np.array(["2020", "NaT"], "M8[ns]"),
    "dict": {"z": 1, "a": {"b": [1, (2, 3)], 5: None}, "np": np.float32(2), "~": 1},
    "set": {1, 2},
    "date": dt.date(2020, 1, 2),
    "datetime": dt.datetime(2020, 1, 2, 3, 4, tzinfo=dt.UTC),
    "slice": slice(1, None, 2),
}


@pytest.mark.parametrize("key", ATTRS)
def test_attribute_values(key: str) -> None:
    value = {key: ATTRS[key]}
    ds = image(**value).to_dataset()
    ds.attrs = dict(value)
    ds.x.attrs = dict(value)
    found = assert_roundtrip(ds).attrs[key]
    assert not isinstance(found, np.ndarray) or found.flags.writeable
    assert_roundtrip(image(**value))


KEYS: list[Any] = [
    "quantity",
    "units",
    "title",
    "_FillValue",
    "scale_factor",
    "add_offset",
    "missing_value",
    "coordinates",
]
KEYS += [
    "CLASS",
    "NAME",
    "DIMENSION_LIST",
    "DIMENSION_LABELS",
    "REFERENCE_LIST",
    "_Netcdf4Dimid",
    "name",
    "dimension_type",
]
KEYS += [
    "data_type",
    "modality",
    "source",
    "main_data_name",
    "pyNSID_version",
    "platform",
    "timestamp",
    "signal",
    "axes",
    "default",
]
KEYS += [
    "NX_class",
    "x_indices",
    "long_name",
    "calendar",
    "dtype",
    "_Unsigned",
    "",
    " ",
    "a/b",
    "/",
    ".",
    "é",
    "n\x00",
    "\ud800",
]
KEYS += [
    5,
    (1, 2),
    None,
    1.5,
    "x" * 300,
    "tool",
    "source_000",
    "source_000_path",
    "id",
    "sid_title",
    "sid_problems",
    "sid_version",
]


@pytest.mark.parametrize("value", ["text", "generic", "", 5, 2.5, None], ids=repr)
@pytest.mark.parametrize("key", KEYS, ids=repr)
def test_attribute_names(key: Any, value: Any) -> None:
    ds = image().to_dataset()
    ds.z.attrs = {key: value}
    ds.attrs = {key: value}
    ds.x.attrs = {key: value}
    assert_roundtrip(
        ds.assign_coords(c=(("y", "x"), ramp((2, 3)), {key: value}), t=("x", pd.date_range("2020", periods=3), {}))
    )


def test_order_of_attributes() -> None:
    assert_roundtrip(image(z=1, a="b", units="nm", long_name="q", b=None, quantity="Q", source="s", sid_title="t"))


def test_encoding_of_another_file_is_no_matter(tmp_path: Path) -> None:
    packed = xr.Dataset({"v": ("x", [1.0, np.nan, 3.0])})
    packed.to_netcdf(
        tmp_path / "a.nc", encoding={"v": {"dtype": "i2", "scale_factor": 0.1, "_FillValue": -1, "chunksizes": (2,)}}
    )
    with xr.open_dataset(tmp_path / "a.nc") as found:
        assert_roundtrip(found)
        assert_roundtrip(found.v)


def test_lazy_arrays(tmp_path: Path) -> None:
    da = xr.DataArray(ramp((40, 30, 20), "f4"), dims=("y", "x", "energy"), name="v")
    for chunks in ({"y": 7}, {"y": (1, 9, 30), "x": (29, 1)}, {"energy": 1}, {"y": 40}):
        assert_roundtrip(da.chunk(chunks))
        assert_roundtrip(da.chunk(chunks).astype("f2"))
    da.sid.to_nsid(tmp_path / "a.h5")
    assert_roundtrip(sid.open_dataarray(tmp_path / "a.h5"))
    assert_roundtrip(sid.open_dataarray(tmp_path / "a.h5", chunks={}))
    assert_roundtrip(sid.open_dataarray(tmp_path / "a.h5").isel(y=slice(None, None, -3), x=[5, 1, 1]))


def test_lazy_coordinates_text_and_times() -> None:
    da = image().assign_coords(
        c=(("y", "x"), ramp((2, 3))), t=("x", pd.date_range("2020", periods=3)), s=("x", ["a", "é", ""]), n=3
    )
    assert_roundtrip(da.to_dataset().chunk(x=2))
    assert_roundtrip(
        xr.Dataset({"t": da.t.drop_vars("x"), "s": da.s.variable, "o": da.s.variable.astype(object)}).chunk(x=1)
    )
    assert_roundtrip(xr.DataArray(ramp(()), name="v").chunk())
    assert_roundtrip(xr.DataArray(ramp((0, 3)), dims=("y", "x"), name="v").chunk())


def test_masked_arrays_become_nan_in_xarray_already() -> None:
    import dask.array as dka

    assert_roundtrip(xr.DataArray(dka.ma.masked_array(dka.ones((4,), chunks=2), mask=[0, 1, 0, 1]), dims="x", name="v"))


def test_several_grids_with_ancillary_variables() -> None:
    ds = xr.Dataset(
        {
            "signal": (
                ("y", "x", "energy"),
                ramp((2, 3, 4)),
                {"units": "count", "ancillary_variables": "signal_variance mask"},
            ),
            "signal_variance": (("y", "x", "energy"), ramp((2, 3, 4)), {"units": "count^2"}),
            "mask": (("y", "x"), ramp((2, 3)) > 2),
            "survey": (("row", "col"), ramp((5, 6), "u2")),
            "label": ("row", list("abcde")),
            "number": ((), 4),
        },
        coords={"energy": ("energy", ramp((4,)), {"units": "eV"}), "row": ramp((5,))},
        attrs={"title": "all"},
    )
    assert_roundtrip(ds)


@pytest.mark.parametrize(
    "ds",
    [
        xr.Dataset({"t": ("x", ["a", "b"])}),
        xr.Dataset(coords={"x": [1, 2]}),
        xr.Dataset(coords={"s": 5}),
        xr.Dataset(attrs={"a": 1}),
        xr.Dataset({"v": ((), 1.0)}),
    ],
    ids=["text", "coordinates", "scalar", "attributes", "number"],
)
def test_datasets_without_an_array(ds: xr.Dataset) -> None:
    assert_roundtrip(ds, group="some/where")


def tree() -> xr.DataTree:
    ds = image(units="nA").to_dataset()
    return xr.DataTree.from_dict(
        {
            "/": xr.Dataset(attrs={"session": "monday", "n": np.int16(3), "NX_class": "mine"}),
            "/sample": xr.Dataset(attrs={"material": "STO", "none": None}),
            "/sample/scan": ds,
            "/sample/spectrum": xr.Dataset({"s": ("energy", [1.0, 2])}, coords={"energy": [0.0, 1]}),
            "/sample/later": xr.Dataset(),
            "/a b/ü": ds.rename(z="w"),
            "/empty/deep": xr.Dataset(attrs={"x": {"y": 1}}),
        }
    )


def test_tree() -> None:
    assert_roundtrip(tree())
    assert_roundtrip(tree(), group="Measurement_000/Channel_000")
    assert_roundtrip(tree()["sample"])


def test_tree_with_coordinates_of_parents() -> None:
    shared = xr.Dataset(coords={"x": [0.0, 1, 2], "c": ("x", [5, 6, 7]), "s": 1}, attrs={"a": "b"})
    child = xr.Dataset({"v": (("y", "x"), ramp((2, 3)))}, coords={"y": [1, 2]})
    assert_roundtrip(xr.DataTree.from_dict({"/": shared, "/one": child, "/two/three": child * 2}))
    assert_roundtrip(xr.DataTree.from_dict({"/p": shared, "/p/one": child, "/p/two/three": child * 2}))
    assert_roundtrip(xr.DataTree.from_dict({"/": shared, "/one": child}), group="base")


def test_tree_with_variables_at_the_root() -> None:
    assert_roundtrip(xr.DataTree(image().to_dataset()))
    assert_roundtrip(xr.DataTree(image().to_dataset()), group="here")


def test_history_survives() -> None:
    da = sid.dataarray(
        ramp((3, 4)), dims={"y": (1, "nm"), "x": (1, "nm")}, units="nA", quantity="current", metadata={"a": {"b": 1}}
    )
    found = assert_roundtrip(da)
    assert found.sid.provenance.status == "verified"
    out = assert_roundtrip(da.sid.rebin(x=2))
    assert out.sid.provenance.operations == ("input", "rebin")


class Odd:
    pass


def refused() -> dict[str, tuple[Any, str]]:
    import dask.array as dka

    index = pd.MultiIndex.from_product([["a", "b"], [1, 2]], names=["p", "q"])
    objects = np.array([1, None], dtype=object)
    unknown = dka.from_array(ramp((6,)), chunks=3)
    unknown = unknown[unknown > 2]
    stacked = image().stack(p=("y", "x"))
    return {
        "multi-index": (stacked, r"MultiIndex.*reset_index"),
        "multi-index pandas": (
            xr.Dataset({"v": ("pq", ramp((4,)))}).assign_coords(xr.Coordinates.from_pandas_multiindex(index, "pq")),
            "MultiIndex",
        ),
        "objects": (xr.DataArray(objects, dims="x"), "int objects; only text"),
        "structured": (xr.DataArray(np.zeros(2, "i4,f4"), dims="x"), "one variable of every field"),
        "long double": (xr.DataArray(np.zeros(2, "f16"), dims="x"), r"\.astype\(float\)"),
        "long complex": (xr.DataArray(np.zeros(2, "c32"), dims="x"), r"\.astype\(complex\)"),
        "nul in text": (xr.DataArray(np.array(["a\x00b"], object), dims="x"), "NUL"),
        "surrogate in text": (xr.DataArray(np.array(["\ud800"], object), dims="x"), "not Unicode"),
        "dimension twice": (xr.DataArray(ramp((2, 2)), dims=("x", "x")), "dimension twice"),
        "unknown chunks": (xr.DataArray(unknown, dims="x"), "compute_chunk_sizes"),
        "attribute": (image(odd=Odd()), r"attrs\['odd'\].*Odd.*del"),
        "deep attribute": (image(odd={"a": [len]}), r"attrs\['odd'\]"),
        "coordinate attribute": (image().assign_coords(x=("x", [1, 2, 3], {"f": Odd()})), r"\[x\.attrs\['f'\]\]"),
        "odd name": (xr.Dataset({Odd(): 1}), "a name of type Odd"),
        "periods": (image().assign_coords(x=pd.period_range("2020", periods=3)), "Period objects|pandas array"),
        "categories": (xr.Dataset({"v": ("x", pd.Categorical(["a", "b"]))}), "pandas array"),
        "intervals": (image().assign_coords(x=pd.interval_range(0, 3)), "Interval objects|pandas array"),
        "nothing": (xr.Dataset(), "nothing to write"),
        "empty tree": (xr.DataTree(), "nothing to write"),
        "children of arrays": (
            xr.DataTree.from_dict({"/a": image().to_dataset(), "/a/b": xr.Dataset({"q": 1})}),
            "variables and children",
        ),
        "name of ours": (xr.DataTree.from_dict({"/_sid_xarray": image().to_dataset()}), "cannot be the name"),
    }


@pytest.mark.filterwarnings("ignore:Duplicate dimension names:UserWarning")
@pytest.mark.parametrize("case", refused())
def test_refused_before_the_file_is_touched(case: str, tmp_path: Path) -> None:
    obj, message = refused()[case]
    path = tmp_path / "a.h5"
    for _ in range(2):
        with pytest.raises(FormatError, match=message) as caught:
            obj.sid.to_nsid(path)
        assert str(path) in str(caught.value)
        assert not path.exists() or path.read_bytes() == b"untouched"
        assert [p.name for p in tmp_path.iterdir()] in ([], ["a.h5"])
        path.write_bytes(b"untouched")


def test_lazy_text_that_cannot_be_stored_leaves_the_old_file(tmp_path: Path) -> None:
    image().sid.to_nsid(tmp_path / "a.h5")
    before = (tmp_path / "a.h5").read_bytes()
    bad = xr.DataArray(np.array(["a", 5], object), dims="x", name="t").chunk(x=1)
    with pytest.raises(FormatError, match=r"\[t\]: holds int objects"):
        bad.sid.to_nsid(tmp_path / "a.h5")
    assert (tmp_path / "a.h5").read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["a.h5"]


def test_pint_arrays_are_refused_with_the_way_out(tmp_path: Path) -> None:
    pint = pytest.importorskip("pint")
    nano = pint.UnitRegistry().Quantity(1, "nA")
    for da in (image(), image().chunk(x=1)):
        with pytest.raises(FormatError, match=r"obj\.pint\.dequantify"):
            da.copy(data=da.data * nano).sid.to_nsid(tmp_path / "a.h5")


@pytest.mark.parametrize(
    "compression", ["auto", None, "gzip", "lzf", 9, {"compression": "gzip", "shuffle": True}], ids=str
)
def test_compression(compression: Any) -> None:
    assert_roundtrip(
        xr.Dataset({"i": (("y", "x"), ramp((400, 500), "i4")), "s": ((), 1), "f": ("x", ramp((500,)))}),
        compression=compression,
    )


def test_encoding_is_checked_and_used(tmp_path: Path) -> None:
    import h5py

    da = xr.DataArray(ramp((40, 50)), dims=("y", "x"), name="v")
    place = da.sid.to_nsid(
        tmp_path / "a.h5", encoding={"v": {"chunks": (7, 50), "compression": "gzip", "fletcher32": True}}
    )
    with h5py.File(tmp_path / "a.h5") as file:
        assert file[f"{place}/v"].chunks == (7, 50)
        assert file[f"{place}/v"].fletcher32
    for bad, message in (
        ({"w": {}}, "not there; there are 'v'"),
        ({"v": {"dtype": "i4"}}, "encoding has 'dtype'; it can have chunks"),
        ({"v": {"chunks": (70, 50)}}, "HDF5 does not take"),
        ({"v": {"compression": "zip"}}, "compression is one of"),
    ):
        with pytest.raises(FormatError, match=message):
            da.sid.to_nsid(tmp_path / "a.h5", encoding=bad)


@pytest.mark.parametrize("index", [True, False])
def test_axis_of_complex_numbers_is_no_scale(tmp_path: Path, index: bool) -> None:
    """pyNSID and SciFiReaders read nothing of a file with such a scale: it is an array beside it."""
    da = xr.DataArray(np.arange(6.0).reshape(2, 3), dims=("y", "q"), name="v", coords={"q": [1j, 2, 3 - 1j]})
    da = da if index else da.drop_indexes("q")
    assert_roundtrip(da)
    assert_roundtrip(da.to_dataset().assign(other=("q", [1, 2, 3])))
    place = da.sid.to_nsid(tmp_path / "a.h5")
    with h5py.File(tmp_path / "a.h5") as file:
        assert file[place]["q"][()].tolist() == [0, 1, 2]
        assert file[place]["q_"][()].tolist() == da.q.values.tolist()
    with xr.open_dataset(tmp_path / "a.h5", engine="h5netcdf", group=place) as ds:
        np.testing.assert_array_equal(ds.q_, da.q)
