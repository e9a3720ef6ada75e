"""What is read from the bytes of a file is what HDF5 says; what is not understood is left to it."""

from __future__ import annotations

import random
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

import sid_xarray as sid
from sid_xarray.io import _h5, _headers, _raw, _rawlayout
from sid_xarray.io._headers import UNKNOWN, Headers

SHARED = Path(__file__).parents[3] / "shared"
FILES = sorted(p for p in SHARED.glob("*/**/*") if p.suffix in (".h5", ".hdf5", ".hf5", ".nc", ".emd", ".hspy"))

ATTRIBUTES: dict[str, Any] = {
    "text": "eV",
    "empty": "",
    "unicode": "Å·µ 日本",
    "long": "x" * 5000,
    "fixed": np.bytes_("nm"),
    "texts": ["y", "", "energy"],
    "fixed texts": np.array([b"a", b"bcd"]),
    "one of a list": ["alone"],
    "integer": 5,
    "small": np.uint8(200),
    "negative": np.int16(-3),
    "big-endian": np.array(7, ">i4"),
    "float": 1.5,
    "single": np.float32(0.1),
    "half": np.float16(0.5),
    "long double": np.longdouble(1) / 3,
    "nan": np.nan,
    "vector": np.arange(4.0),
    "matrix": np.arange(6).reshape(2, 3),
    "bool": True,
    "complex": 1 + 2j,
    "nothing": h5py.Empty("f8"),
    "no text": h5py.Empty(h5py.string_dtype()),
    "no points": np.zeros(0),
}


def write(path: Path, **options: Any) -> None:
    """A file with every sort of object, attribute, link and layout."""
    order = options.pop("track_order", False)
    with h5py.File(path, "w", **options) as file:
        group = file.create_group("g", track_order=order)
        for key, value in ATTRIBUTES.items():
            group.attrs[key] = value
        few = file.create_group("few", track_order=order)
        few.attrs["b"], few.attrs["a"] = 1, "two"
        for i, name in enumerate(("z", "a", "m")):
            few.create_dataset(name, data=np.arange(i + 3.0))
        many = file.create_group("many", track_order=order)
        for i in range(300):
            many[f"{(i * 7) % 300:03d}"] = few["z"]
        file["g/soft"] = h5py.SoftLink("/few/z")
        file["g/lost"] = h5py.SoftLink("/nowhere")
        file["g/away"] = h5py.ExternalLink("other.h5", "/x")
        file["g/loop"] = group
        file["g/type"] = np.dtype("f8")
        for name, data in {
            "scalar": np.float64(3),
            "text": "a text",
            "texts": np.array(["a", "b"], object),
            "fixed": np.array([b"a", b"b"]),
            "big": np.arange(4, dtype=">f4"),
            "bytes": np.arange(5, dtype="u1"),
            "bool": np.array([True, False]),
            "complex": np.zeros(3, complex),
            "compound": np.zeros(2, [("a", "f4"), ("b", "i2")]),
            "none": h5py.Empty("f4"),
            "no points": np.zeros((0, 3)),
            "matrix": np.arange(12, dtype="i2").reshape(3, 4),
        }.items():
            group.create_dataset(name, data=data)
        group.create_dataset("chunked", data=np.arange(100.0), chunks=(7,), compression="gzip")
        group.create_dataset("grows", data=np.arange(6.0).reshape(2, 3), maxshape=(None, 3), chunks=(2, 3))
        group.create_dataset("unwritten", shape=(5,), dtype="f8", fillvalue=3.0)
        group.create_dataset("outside", shape=(4,), dtype="f8", external=[("values.bin", 0, 32)])
        layout = h5py.VirtualLayout((3,), "f8")
        layout[:] = h5py.VirtualSource(few["z"])
        group.create_virtual_dataset("virtual", layout)
        main = group.create_dataset("main", data=np.zeros((3, 3)))
        for i, name in enumerate("zz"):
            few[name].make_scale(name)
            main.dims[i].attach_scale(few[name])
        main.attrs["reference"] = few["z"].ref
        main.attrs["region"] = main.regionref[:2]


def objects(file: h5py.File) -> Iterator[h5py.Group | h5py.Dataset]:
    found: list[Any] = [file]
    file.visititems(lambda _, obj: found.append(obj))
    return (obj for obj in found if not isinstance(obj, h5py.Datatype))


def same(ours: Any, theirs: Any) -> bool:
    """Tell whether two values are of one type, and equal; NaN equals itself."""
    if isinstance(theirs, np.ndarray):
        alike = isinstance(ours, np.ndarray) and ours.dtype.str == theirs.dtype.str
        return alike and np.array_equal(ours, theirs, equal_nan=theirs.dtype.kind == "f")
    return type(ours) is type(theirs) and bool(ours == theirs or ours != ours)


def compare(path: Path) -> tuple[int, int]:
    """Compare everything that is understood with what HDF5 says; return how many headers are, of how many."""
    count = understood = 0
    with h5py.File(path) as file:
        headers = Headers.of(file)
        assert headers is not None
        for obj in objects(file):
            count += 1
            header = headers.header(h5py.h5o.get_info(obj.id).addr)
            if header is None:
                continue
            understood += 1
            assert list(header.attributes) == list(obj.attrs), obj.name
            for name in header.attributes:
                value = header.attribute(name)
                assert value is UNKNOWN or same(value, obj.attrs[name]), (obj.name, name, value)
            compare_links(header, obj) if isinstance(obj, h5py.Group) else compare_dataset(header, obj)
    return understood, count


def compare_links(header: _headers.Header, group: h5py.Group) -> None:
    assert header.is_group
    assert not header.is_plain_dataset
    found = header.links()
    if found is None:
        return
    assert [link.name.decode() for link in found] == list(group)
    for link in found:
        info = group.id.links.get_info(link.name)
        assert link.kind == info.type
        assert link.kind != h5py.h5l.TYPE_HARD or link.address == info.u


def compare_dataset(header: _headers.Header, dataset: h5py.Dataset) -> None:
    here = not (dataset.is_virtual or dataset.external)
    assert not header.is_group
    assert header.shape is UNKNOWN or header.shape == dataset.shape
    assert header.dtype is UNKNOWN or (header.dtype, header.dtype.metadata) == (dataset.dtype, dataset.dtype.metadata)
    assert header.layout is UNKNOWN or header.layout == (here, dataset.chunks)
    values = header.values()
    if values is not UNKNOWN:
        assert here
        assert same(values, dataset.asstr()[()] if isinstance(values, str) else dataset[()])


@pytest.mark.parametrize("track_order", [False, True])
@pytest.mark.parametrize("libver", ["earliest", "v110", "latest"])
def test_bytes_say_what_hdf5_says(tmp_path: Path, libver: str, track_order: bool) -> None:
    write(tmp_path / "a.h5", libver=libver, track_order=track_order)
    if libver != "earliest":
        # Such files begin in another way; they are left to HDF5 as a whole.
        with h5py.File(tmp_path / "a.h5") as file:
            assert Headers.of(file) is None
        return
    understood, count = compare(tmp_path / "a.h5")
    assert understood > 0.8 * count


@pytest.mark.skipif(not FILES, reason="the folder of shared files is not here")
@pytest.mark.parametrize("path", FILES, ids=lambda p: p.name)
def test_files_of_others(path: Path) -> None:
    with h5py.File(path) as file:
        if Headers.of(file) is None:
            pytest.skip("begins in another way")
    understood, count = compare(path)
    assert understood == count


text = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=40)
values = st.one_of(
    text,
    st.lists(text, min_size=1, max_size=4),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(),
    st.lists(st.floats(), min_size=1, max_size=5).map(np.array),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(attrs=st.dictionaries(text.filter(bool), values, max_size=12), order=st.booleans())
def test_any_attributes(tmp_path: Path, attrs: dict[str, Any], order: bool) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        dataset = file.create_dataset("d", data=np.arange(3.0), track_order=order)
        for key, value in attrs.items():
            dataset.attrs[key] = value
        for key in list(attrs)[::3]:
            del dataset.attrs[key]
    compare(tmp_path / "a.h5")


def test_a_damaged_file_is_left_to_hdf5(tmp_path: Path) -> None:
    """Whatever is in the bytes, there is a result or none, and never an exception."""
    write(tmp_path / "a.h5")
    good = (tmp_path / "a.h5").read_bytes()
    with h5py.File(tmp_path / "a.h5") as file:
        places = [h5py.h5o.get_info(obj.id).addr for obj in objects(file)]
    rng = random.Random(0)
    for _ in range(300):
        bad = bytearray(good)
        for _ in range(rng.choice([1, 10, 300])):
            at = rng.choice(places) + rng.randrange(600) if rng.random() < 0.7 else rng.randrange(100, len(bad))
            bad[min(at, len(bad) - 1)] = rng.choice([0, 1, 2, 3, 8, 127, 128, 255, rng.randrange(256)])
        (tmp_path / "b.h5").write_bytes(bad[: rng.choice([len(bad), len(bad), rng.randrange(200, len(bad))])])
        with (tmp_path / "b.h5").open("rb") as file:
            headers = Headers(_raw.Raw(file.fileno()))
            for address in [*places, rng.randrange(2**63)]:
                header = headers.header(address)
                if header is not None:
                    look_at_all(header)


def checked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Let every layout that is known already be found anew, and be the same; returns how often each way was taken."""
    counts = [0, 0]
    known, anew = _rawlayout.Layouts.of, _rawlayout._layout

    def note(*args: Any) -> _rawlayout.Layout:
        counts[0] += 1
        return anew(*args)

    def of(self: Any, chunk: bytes, at: int, length: int, prefix: Any, most: int) -> _rawlayout.Layout:
        found = known(self, chunk, at, length, prefix, most)
        assert found._replace(known_as=-1) == anew(chunk[at : at + length], prefix, most)
        counts[1] += 1
        return found

    monkeypatch.setattr(_rawlayout, "_layout", note)
    monkeypatch.setattr(_rawlayout.Layouts, "of", of)
    return counts


@pytest.mark.parametrize("order", [False, True])
def test_headers_that_look_alike(tmp_path: Path, order: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A header of the same length is that of another object: names, types and numbers are its own."""
    sorts: list[dict[str, Any]] = [
        {"a": 1.0, "b": "x", "c": np.int32(3)},
        {"a": 2.0, "b": "longer", "c": np.int32(-1)},
        {"a": 1.0, "d": "x", "c": np.int32(3)},
        {"b": "x", "a": 1.0, "c": np.int32(3)},
        {"a": 1, "b": "x", "c": np.uint32(3)},
        {"a": 1.0, "b": "x", "c": np.float32(3)},
    ]
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for i in range(60):
            dataset = file.create_dataset(f"{i:02d}", data=np.arange(3.0 + i % 2), track_order=order)
            for key, value in sorts[i * i % 6].items():
                dataset.attrs[key] = value
            if i % 7 == 0:
                del dataset.attrs["c"]
    compare(tmp_path / "a.h5")
    counts = checked(monkeypatch)
    compare(tmp_path / "a.h5")
    assert counts[0] < counts[1] / 2


def test_damaged_headers_that_look_alike(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sid.datasets.peak_map(ny=2, nx=2, ne=4).sid.to_nsid(tmp_path / "a.h5")
    good = (tmp_path / "a.h5").read_bytes()
    with h5py.File(tmp_path / "a.h5") as file:
        places = [h5py.h5o.get_info(obj.id).addr for obj in objects(file)]
    checked(monkeypatch)
    rng = random.Random(1)
    with (tmp_path / "b.h5").open("w+b", buffering=0) as file:
        for _ in range(100):
            bad = bytearray(good)
            for _ in range(3):
                bad[min(rng.choice(places) + rng.randrange(300), len(bad) - 1)] = rng.choice([0, 1, 16, 255])
            file.seek(0)
            file.write(bad)
            headers = Headers(_raw.Raw(file.fileno()))
            for _ in range(3):  # so that what was met is known, be it damaged
                headers._raw._pages.clear()
                for address in places:
                    headers.header(address)


def test_heaps_that_look_alike(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A heap of texts of the same lengths is told apart from one that lacks some, and from another one."""
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for i in range(80):
            group = file.create_group(f"{i:02d}")
            for k in range(51):  # which fill a heap, be they all of 64 bytes or some of them shorter
                group.attrs[f"{k:02d}"] = "x" * (62 - (k % 6 if i % 3 == 0 else 0)) + f"{i:02d}"
            if i in (40, 60):
                del group.attrs["03"]
            if i > 60:
                group.attrs["17"] = f"{i:02d}"
    known, counts = _raw.Raw._told, [0, 0]
    anew = _raw._objects

    def note(heap: bytes) -> Any:
        counts[0] += 1
        return anew(heap)

    def told(self: Any, heap: bytes) -> Any:
        counts[1] += 1
        found = known(self, heap)
        assert found == anew(heap)
        return found

    monkeypatch.setattr(_raw, "_objects", note)
    monkeypatch.setattr(_raw.Raw, "_told", told)
    compare(tmp_path / "a.h5")
    assert counts[0] < counts[1] / 2
    rng = random.Random(2)
    good = (tmp_path / "a.h5").read_bytes()
    heaps = [i for i in range(len(good)) if good.startswith(b"GCOL", i)]
    for _ in range(30):
        bad = bytearray(good)
        for _ in range(4):
            bad[rng.choice(heaps) + rng.randrange(5, 400)] = rng.choice([0, 1, 3, 16, 255])
        (tmp_path / "b.h5").write_bytes(bad)
        with (tmp_path / "b.h5").open("rb") as stream, h5py.File(tmp_path / "a.h5") as file:
            headers = Headers(_raw.Raw(stream.fileno()))
            for obj in objects(file):
                header = headers.header(h5py.h5o.get_info(obj.id).addr)
                if header is not None:
                    look_at_all(header)


def look_at_all(header: _headers.Header) -> None:
    header.values()
    header.links()
    assert (header.is_plain_dataset, header.is_group) is not None
    for name in header.attributes:
        header.attribute(name)
        header.reference(name)
        header.references(name)


@pytest.mark.parametrize("named", ["units", "words"])
def test_a_heap_without_an_end_is_not_left_to_hdf5(tmp_path: Path, named: str) -> None:
    """HDF5 never comes back from free space of no size in a heap of texts, h5py alone neither."""
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file.attrs["first"] = "stays readable"
        file["words"] = "text of a dataset"
        file.attrs["units"] = "goes"
    content = bytearray(path.read_bytes())
    lost = content.index(b"goes" if named == "units" else b"text of a dataset")
    heap = content.rindex(b"GCOL", 0, lost)
    end = heap + int.from_bytes(content[heap + 8 : heap + 16], "little")
    content[lost - 16 : end] = bytes(end - lost + 16)
    path.write_bytes(content)
    with h5py.File(path) as file:
        _, root, members = next(iter(_h5.walk(file, "/")))
        assert _h5.attribute(root, "first") == "stays readable"
        assert _h5.attribute(root, "units") is None
        if named == "words":
            with pytest.raises(OSError, match="the heap that holds the text is damaged"):
                members["words"][()]


def test_work_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "a.h5")
    monkeypatch.setattr(_raw, "_MOST_STEPS", 3)
    with h5py.File(tmp_path / "a.h5") as file:
        headers = Headers.of(file)
        assert headers is not None
        assert headers.header(h5py.h5o.get_info(file["g"].id).addr) is None


def test_a_file_that_is_being_written_is_left_to_hdf5(tmp_path: Path) -> None:
    sid.datasets.peak_map(ny=2, nx=2, ne=4).sid.to_nsid(tmp_path / "a.h5")
    with h5py.File(tmp_path / "a.h5", "r+") as file:
        place = next(p for p, _, inside in _h5.walk(file["/"]) if "intensity" in inside and p.count("/") > 2)
        file[f"{place}/intensity"].attrs["units"] = "eV"  # is not on the disk yet
        with h5py.File(tmp_path / "a.h5") as other:
            assert Headers.of(other) is None
            (found,) = [i["intensity"] for p, _, i in _h5.walk(other["/"]) if p == place]
            assert _h5.attribute(found, "units") == "eV"


def test_other_drivers_are_left_to_hdf5(tmp_path: Path) -> None:
    write(tmp_path / "a.h5")
    with h5py.File(tmp_path / "a.h5", driver="core") as file:
        assert Headers.of(file) is None
    write(tmp_path / "b.h5", userblock_size=512)
    with h5py.File(tmp_path / "b.h5") as file:
        assert Headers.of(file) is None


@pytest.mark.skipif(not FILES, reason="the folder of shared files is not here")
@pytest.mark.parametrize("path", FILES, ids=lambda p: p.name)
def test_nothing_depends_on_it(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without it a file opens as with it: the same nodes, in the same order, with the same attributes."""
    found = []
    for _ in range(2):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                found.append(sid.open(path))
            except sid.SidError as error:
                found.append(error)
        monkeypatch.setattr(Headers, "of", classmethod(lambda *_: None))
    fast, slow = found
    if isinstance(fast, sid.SidError):
        assert str(fast) == str(slow)
        return
    assert list(fast.groups) == list(slow.groups)
    assert fast.identical(slow)
    for node in fast.subtree:
        other = slow[node.path]
        assert list(node.attrs) == list(other.attrs)
        assert list(node.variables) == list(other.variables)
        for name, var in node.variables.items():
            assert list(var.attrs) == list(other.variables[name].attrs)
            assert var.encoding == other.variables[name].encoding
            assert var.dtype == other.variables[name].dtype
