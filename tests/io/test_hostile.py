"""Files that are broken, or made to break readers: a result or a `FormatError`, soon, and nothing else."""

from __future__ import annotations

import contextlib
import faulthandler
import random
import re
import shutil
import time
import warnings
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import xarray as xr

import sid_xarray as sid
from sid_xarray.errors import FormatError, SidWarning

NATURAL = {
    "quantity": "q",
    "units": "nA",
    "main_data_name": "m",
    "data_type": "IMAGE",
    "modality": "",
    "source": "",
    "pyNSID_version": "0.0.7.2",
}


def main(group: h5py.Group, name: str, data: Any = None, labels: str = "yx", **kwargs: Any) -> h5py.Dataset:
    """A main as pyNSID writes it."""
    data = np.arange(6.0).reshape(2, 3) if data is None and not kwargs else data
    dataset = group.create_dataset(name, data=data, **kwargs)
    dataset.attrs.update(NATURAL)
    for i, label in enumerate(labels[: dataset.ndim if dataset.shape is not None else 0]):
        if label not in group:
            scale = group.create_dataset(label, data=np.arange(float(dataset.shape[i])))
            scale.attrs.update({"name": label, "units": "nm", "quantity": "Length", "dimension_type": "SPATIAL"})
            scale.make_scale(label)
        dataset.dims[i].attach_scale(group[label])
        dataset.dims[i].label = label
    return dataset


@pytest.fixture
def file(tmp_path: Path) -> Any:
    """A file with one good signal, open for mischief."""
    with h5py.File(tmp_path / "a.h5", "w") as file:
        main(file.create_group("Measurement_000/Channel_000/good"), "good")
        yield file


def opened(file: h5py.File, *, problems: bool) -> tuple[xr.DataTree, str]:
    path = file.filename
    file.close()
    with pytest.warns(SidWarning) if problems else contextlib.nullcontext():
        tree = sid.open(path)
    assert tree["/Measurement_000/Channel_000/good/good"].values.tolist() == [[0, 1, 2], [3, 4, 5]]
    return tree, tree.attrs.get("sid_problems", "")


def bad_datasets() -> dict[str, tuple[Any, str]]:
    vlen = h5py.vlen_dtype("i4")
    return {
        "null": (lambda g: main(g, "bad", h5py.Empty("f8")), "has no values"),
        "reference": (lambda g: main(g, "bad", shape=(2,), dtype=h5py.ref_dtype), "holds references"),
        "region": (lambda g: main(g, "bad", shape=(2,), dtype=h5py.regionref_dtype), "holds references"),
        "vlen": (lambda g: main(g, "bad", shape=(2,), dtype=vlen), "lists of varying length"),
        "opaque": (lambda g: main(g, "bad", np.zeros(2, "V5")), "opaque bytes"),
        "array": (lambda g: main(g, "bad", shape=(2,), dtype=np.dtype(("f4", (3,)))), r"arrays of shape \(3,\)"),
        "compound of arrays": (
            lambda g: main(g, "bad", np.zeros(2, [("a", "f4", (2,))])),
            "no field with plain values",
        ),
        "virtual": (virtual, "other files; they are not followed"),
        "external": (external, "other files; they are not followed"),
    }


def virtual(group: h5py.Group) -> None:
    layout = h5py.VirtualLayout((2, 3), "f8")
    layout[:] = h5py.VirtualSource("/etc/passwd", "x", (2, 3))
    group.create_virtual_dataset("bad", layout).attrs.update(NATURAL)


def external(group: h5py.Group) -> None:
    main(group, "bad", shape=(2, 3), dtype="u1", external=[("/etc/passwd", 0, 6)])


@pytest.mark.parametrize("case", bad_datasets())
def test_dataset_that_cannot_be_shown_is_reported(file: h5py.File, case: str) -> None:
    make, message = bad_datasets()[case]
    make(file.create_group("Measurement_000/Channel_000/bad"))
    tree, problems = opened(file, problems=True)
    assert len(problems.splitlines()) == 1
    assert re.match(f"/Measurement_000/Channel_000/bad/bad: .*{message}", problems)
    assert len(tree.sid.signals) == 1


def test_other_dtypes_are_shown(file: h5py.File) -> None:
    group = file["Measurement_000/Channel_000"]
    colours = h5py.enum_dtype({"red": 0, "green": 1}, basetype="u1")
    main(group.create_group("enum"), "enum", np.array([[0, 1]], "u1"), dtype=colours)
    main(group.create_group("bool"), "bool", np.array([[True, False]]))
    main(group.create_group("text"), "text", np.array(["a", "é"], object), dtype=h5py.string_dtype())
    main(group.create_group("bytes"), "bytes", np.array([b"a", b"bc"]))
    main(group.create_group("half"), "half", np.ones((2, 3), "f2"))
    main(group.create_group("big"), "big", np.ones((2, 3), ">i4"))
    main(group.create_group("scalar"), "scalar", np.float32(3))
    main(
        group.create_group("mixed"),
        "mixed",
        np.zeros((2, 3), [("A [V]", "f4"), ("b/c", "i2"), ("t", "S3"), ("w", "f4", (2,))]),
    )
    tree, problems = opened(file, problems=True)
    assert (
        problems == "/Measurement_000/Channel_000/mixed/mixed: field 'w' holds arrays of shape (2,) as values: left out"
    )
    found = {k.rpartition("/")[2]: v for k, v in tree.sid.signals.items()}
    assert found["enum"].dtype == np.uint8
    assert found["enum"].attrs["flag_meanings"] == "red green"
    assert found["enum"].attrs["flag_values"].tolist() == [0, 1]
    assert found["bool"].values.tolist() == [[True, False]]
    assert found["text"].values.tolist() == ["a", "é"]
    assert found["bytes"].values.tolist() == [b"a", b"bc"]
    assert found["half"].dtype == np.float16
    assert found["big"].values.dtype.str == ">i4"
    assert found["scalar"].values == 3
    assert found["A"].units == "V"
    assert found["b_c"].attrs["sid_name_original"] == "b/c"
    assert found["t"].values.dtype == "S3"


def test_links(file: h5py.File, tmp_path: Path) -> None:
    with h5py.File(tmp_path / "secret.h5", "w") as other:
        main(other.create_group("secret"), "secret")
    group = file["Measurement_000/Channel_000"]
    group["loop"] = group
    group["loop2"] = file
    group["soft loop"] = h5py.SoftLink("/Measurement_000/Channel_000/soft loop")
    group["soft up"] = h5py.SoftLink("/Measurement_000")
    group["dangling"] = h5py.SoftLink("/nowhere")
    group["external"] = h5py.ExternalLink("secret.h5", "/secret")
    group["soft external"] = h5py.SoftLink("/Measurement_000/Channel_000/external")
    group["through external"] = h5py.SoftLink("/Measurement_000/Channel_000/external/secret")
    group["gone"] = h5py.ExternalLink("no.h5", "/")
    inner = group["good"]
    inner["metadata/a"] = h5py.SoftLink("/Measurement_000/Channel_000/good/metadata")
    for i in range(3):  # loops of loops: 3^64 ways down
        inner[f"metadata/loop{i}"] = inner["metadata"]
    tree, problems = opened(file, problems=False)
    assert not problems
    assert list(tree.sid.signals) == ["/Measurement_000/Channel_000/good/good"]


def test_soft_link_to_a_main_is_followed(file: h5py.File) -> None:
    file["Measurement_000/Channel_000/again/good"] = h5py.SoftLink("/Measurement_000/Channel_000/good/good")
    tree, _ = opened(file, problems=False)
    assert float(tree["/Measurement_000/Channel_000/again/good"].sum()) == 15


def test_array_with_two_names_is_one_signal(file: h5py.File) -> None:
    group = file["Measurement_000/Channel_000/good"]
    group["other"] = group["good"]
    name = file.filename
    tree, problems = opened(file, problems=False)
    assert not problems
    assert list(tree.sid.signals) == ["/Measurement_000/Channel_000/good/good"]
    for path in ("good", "other"):
        only = sid.open(name, group=f"/Measurement_000/Channel_000/good/{path}")
        assert float(only.sid.signals["/Measurement_000/Channel_000/good/good"].sum()) == 15


def test_deep_and_wide(file: h5py.File) -> None:
    group = file
    for _ in range(300):
        group = group.create_group("g")
    main(group, "too deep")
    for i in range(2000):
        file.create_group(f"many/{i}")
    start = time.perf_counter()
    opened(file, problems=False)
    assert time.perf_counter() - start < 30


def test_attributes_of_every_kind(file: h5py.File) -> None:
    good = file["Measurement_000/Channel_000/good/good"]
    latin = h5py.h5t.C_S1.copy()
    latin.set_size(5)
    space = h5py.h5s.create(h5py.h5s.SCALAR)
    h5py.h5a.create(good.id, b"latin", latin, space).write(np.array("5 µm".encode("latin-1"), "S5"))
    good.attrs.create("wild", "5 µm".encode("latin-1"), dtype=h5py.string_dtype())
    good.attrs["reference"] = good.ref
    good.attrs["region"] = good.regionref[0]
    good.attrs.create("references", [good.ref, good.ref], dtype=h5py.ref_dtype)
    good.attrs["nothing"] = h5py.Empty("f8")
    good.attrs["one"] = np.array(["text"], dtype=h5py.string_dtype())
    good.attrs["fixed"] = np.bytes_("fixed")
    good.attrs["many"] = np.array([b"a", b"b"])
    good.attrs["compound"] = np.array((1, 2.5), dtype="i4,f8")
    good.attrs["opaque"] = np.void(b"abc")
    good.attrs.create("lists", [np.arange(2), np.arange(3)], dtype=h5py.vlen_dtype("i8"))
    good.attrs["enum"] = True
    good.attrs["complex"] = 1j
    good.attrs["scale_factor"] = 10.0
    good.attrs["_FillValue"] = 3.0
    good.attrs["sid_prov_000000000000"] = "{"
    good.attrs["sid_metadata"] = 7
    good.attrs["units"] = np.bytes_("5 µm".encode("latin-1"))
    tree, _ = opened(file, problems=False)
    attrs = tree["/Measurement_000/Channel_000/good/good"].attrs
    assert attrs["latin"] == attrs["wild"] == "5 µm"
    assert attrs["one"] == ["text"]
    assert attrs["fixed"] == "fixed"
    assert attrs["many"] == ["a", "b"]
    assert attrs["enum"] is True
    assert attrs["complex"] == 1j
    spare = tree["/Measurement_000/Channel_000/good/good"].sid.original_metadata["hdf5_attributes"]
    assert spare["scale_factor"] == 10
    assert {"compound", "opaque", "_FillValue"} <= set(spare)
    # Lists of varying length are passed over: a damaged one brings HDF5 down.
    assert not {"reference", "region", "references", "nothing", "scale_factor", "lists"} & set(attrs)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda g: g.create_dataset("y", data=np.arange(7.0)), "has shape"),
        (lambda g: g.create_dataset("y", data=np.zeros((2, 2))), "has shape"),
        (lambda g: g.create_dataset("y", shape=(2,), dtype=h5py.ref_dtype), "no plain values"),
        (lambda g: g.create_dataset("y", data=np.zeros(2, "i4,f4")), "no plain values"),
        (lambda g: g.create_dataset("y", shape=(2,), dtype="u1", external=[("/etc/passwd", 0, 2)]), "in other files"),
    ],
)
def test_scales_that_are_none(file: h5py.File, make: Any, message: str) -> None:
    group = file.create_group("Measurement_000/Channel_000/bad")
    data = group.create_dataset("bad", data=np.arange(6.0).reshape(2, 3))
    data.attrs.update(NATURAL)
    scale = make(group)
    with contextlib.suppress(Exception):
        scale.make_scale("y")
        data.dims[0].attach_scale(scale)
    data.dims[0].label = "y"
    tree, problems = opened(file, problems=True)
    assert message in problems
    da = tree["/Measurement_000/Channel_000/bad/bad"]
    assert da.dims == ("y", "dim_1")
    assert not da.coords
    assert float(da.sum()) == 15


def test_dangling_scales(file: h5py.File) -> None:
    group = file["Measurement_000/Channel_000/good"]
    main(file.create_group("Measurement_000/Channel_000/bad"), "bad")
    del file["Measurement_000/Channel_000/bad/x"]
    tree, _ = opened(file, problems=False)
    assert tree["/Measurement_000/Channel_000/bad/bad"].dims == ("y", "x")
    assert group is not None


def test_array_named_like_its_axis(file: h5py.File) -> None:
    group = file.create_group("Measurement_000/Channel_000/bias")
    scale = file.create_dataset("Measurement_000/Channel_000/b", data=np.arange(4.0))
    data = group.create_dataset("bias", data=np.ones(4))
    data.attrs.update(NATURAL)
    data.dims[0].attach_scale(scale)
    data.dims[0].label = "bias"
    tree, _ = opened(file, problems=False)
    assert [v.dims for k, v in tree.sid.signals.items() if "bias" in k] == [("bias",)]


def test_a_small_file_that_declares_much(file: h5py.File) -> None:
    group = file.create_group("Measurement_000/Channel_000/big")
    data = main(group, "big", labels="", shape=(2**40, 2**20), dtype="f8", chunks=(1024, 1024))
    data.dims[0].label = "y"
    scale = group.create_dataset("y", shape=(2**40,), dtype="f8", chunks=(1024,))
    scale.make_scale("y")
    data.dims[0].attach_scale(scale)
    tree, problems = opened(file, problems=True)
    assert "the scale 'y' cannot be read: declares" in problems
    with pytest.raises(FormatError, match="holds almost nothing"):
        tree["/Measurement_000/Channel_000/big/big"].load()


def test_reading_changes_no_byte(shared: Path, tmp_path: Path) -> None:
    for name in ("realdata/nsid/STO_test_image.hf5", "corpus/n10_multi.h5"):
        path = tmp_path / "a.h5"
        shutil.copyfile(shared / name, path)
        path.chmod(0o444)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SidWarning)
            sid.open(path).load()
        assert path.read_bytes() == (shared / name).read_bytes()
        path.unlink()


@contextlib.contextmanager
def time_limit(seconds: float) -> Any:
    """libhdf5 can loop for ever on a damaged heap, and no Python can stop it: then the run ends with a traceback."""
    faulthandler.dump_traceback_later(seconds, exit=True)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()


def attempt(path: Path) -> None:
    with time_limit(60), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            tree = sid.open(path)
        except FormatError as error:
            assert str(path) in str(error)
            return
        for da in tree.sid.signals.values():
            with contextlib.suppress(FormatError):
                np.asarray(da[tuple(slice(0, 3) for _ in da.dims)].values)
        repr(tree)
        tree.close()


def files(shared: Path) -> list[Path]:
    return [*sorted((shared / "corpus").glob("n*.h5")), *sorted((shared / "realdata/nsid").glob("*"))]


def test_cut_files(shared: Path, tmp_path: Path) -> None:
    for source in files(shared):
        content = source.read_bytes()
        for length in (0, 7, 100, 2000, len(content) // 2, len(content) - 1):
            path = tmp_path / "cut.h5"
            path.write_bytes(content[:length])
            with pytest.raises(FormatError):
                sid.open(path)


@pytest.fixture
def ours(tmp_path: Path) -> Path:
    da = sid.dataarray(
        np.arange(60.0).reshape(3, 4, 5),
        dims={"y": 1, "x": 1, "bias": (1, "V")},
        quantity="current",
        metadata={"a": {"b": [1, 2]}},
    )
    ds = da.assign_coords(t=("x", ["a", "b", "c", "d"]), when=("y", np.arange(3).astype("M8[ns]"))).to_dataset()
    ds.assign(odd=ds.current > 3).sid.to_nsid(tmp_path / "ours.h5")
    da.sid.rebin(x=2).sid.to_nsid(tmp_path / "ours.h5", source="/Measurement_000/Channel_000/current")
    return tmp_path / "ours.h5"


# Flips of text and numbers are seldom where HDF5 keeps its own records; so half of them are aimed at these.
SIGNATURES = (b"OHDR", b"OCHK", b"TREE", b"SNOD", b"HEAP", b"GCOL", b"FRHP", b"BTHD", b"FADB", b"FAHD")


def mutated(content: bytes, chance: random.Random) -> bytes:
    data = bytearray(content)
    marks = [i for s in SIGNATURES for i in range(len(data)) if data[i : i + 4] == s] if len(data) < 50_000 else []
    for _ in range(chance.choice([1, 2, 8, 30])):
        near = chance.random() < 0.5 and marks
        where = (
            min(len(data) - 1, chance.choice(marks) + chance.randrange(200)) if near else chance.randrange(len(data))
        )
        data[where] = chance.choice([0, 255, chance.randrange(256), data[where] ^ (1 << chance.randrange(8))])
    return bytes(data)
