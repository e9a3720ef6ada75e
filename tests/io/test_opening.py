"""Opening: lazy, picklable, in threads and processes, through every door, and closed when it is done."""

from __future__ import annotations

import gc
import os
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import h5py
import numpy as np
import pytest
import xarray as xr

import sid_xarray as sid
from sid_xarray.errors import FormatError
from sid_xarray.io import _h5
from sid_xarray.io._layout import chunk_shape, read_blocks


def stack() -> xr.DataArray:
    values = np.arange(40 * 30 * 64, dtype="f4").reshape(40, 30, 64)
    return sid.dataarray(
        values, dims={"y": (1, "nm"), "x": (1, "nm"), "energy": (1, "eV")}, units="nA", quantity="current"
    )


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("opening") / "a.h5"
    stack().sid.to_nsid(path)
    xr.Dataset({"i": ("t", [1, 2, 3])}).sid.to_nsid(path, group="second/one")
    return path


GROUP = "/Measurement_000/Channel_000/current"


def test_engine(path: Path) -> None:
    ds = xr.open_dataset(path, engine="nsid", group=GROUP)
    assert not ds.current._in_memory
    xr.testing.assert_equal(ds.current, stack())
    assert set(xr.open_dataset(path, engine="nsid", group=f"{GROUP}/current").data_vars) == {"current"}
    assert set(xr.open_dataset(path, engine="nsid", group="second").data_vars) == {"i"}
    assert not xr.open_dataset(path, engine="nsid", group="second", drop_variables="i").data_vars
    with pytest.raises(FormatError, match=r"holds 2 groups with arrays, name one: group='/Measurement_000"):
        xr.open_dataset(path, engine="nsid")
    with pytest.raises(FormatError, match="there is no such group"):
        xr.open_dataset(path, engine="nsid", group="third")


def test_tree(path: Path) -> None:
    tree = xr.open_datatree(path, engine="nsid")
    assert set(tree.groups) == {
        "/",
        "/Measurement_000",
        "/Measurement_000/Channel_000",
        GROUP,
        "/second",
        "/second/one",
    }
    assert set(sid.open(path, group="second").groups) == {"/", "/second", "/second/one"}
    assert set(xr.open_groups(path, engine="nsid")) == set(tree.groups)


def test_only_the_slice_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that declares 4 TiB: nobody reads more than is asked for."""
    with h5py.File(tmp_path / "a.h5", "w") as file:
        data = file.create_dataset("g/big", shape=(1024, 1024, 1024, 1024), dtype="f4", chunks=(1, 1, 256, 256))
        for i, label in enumerate("abcd"):
            scale = file.create_dataset(f"g/{label}x", data=np.arange(1024.0))
            scale.make_scale(label)
            data.dims[i].attach_scale(scale)
            data.dims[i].label = f"{label}x"
        for key in ("quantity", "units", "main_data_name", "data_type", "modality", "source", "pyNSID_version"):
            data.attrs[key] = "unknown"
        data[5, 6, 7, 8] = 9
    da = sid.open_dataarray(tmp_path / "a.h5")
    assert da.nbytes == 2**42
    shapes: list[tuple[int, ...]] = []
    read = h5py.Dataset.__getitem__

    def counting(self: h5py.Dataset, key: object) -> object:
        values = read(self, key)
        shapes.append(np.shape(values))
        return values

    monkeypatch.setattr(h5py.Dataset, "__getitem__", counting)
    assert float(da[5, 6, 7, 8]) == 9
    assert float(da.isel(ax=5, bx=6, cx=slice(None, None, 500)).sum()) == 0
    assert sum(int(np.prod(s)) for s in shapes) < 5000
    lazy = sid.open_dataarray(tmp_path / "a.h5", chunks={})
    assert max(np.prod([max(c) for c in lazy.chunks]), 1) * 4 <= 64 * 2**20
    assert float(lazy[5, 6, 7, 8]) == 9
    with pytest.raises((FormatError, MemoryError)):
        da.load()


@pytest.mark.parametrize(
    "key", [0, slice(None, None, -1), slice(5, 2), [3, 1, 1], np.array([True, False] * 20), slice(-3, None)], ids=str
)
def test_indexing_is_that_of_numpy(path: Path, key: object) -> None:
    lazy, eager = sid.open_dataarray(path, "current"), stack()
    np.testing.assert_array_equal(lazy[key].values, eager.values[key])
    np.testing.assert_array_equal(
        lazy[:, 3, key if not isinstance(key, np.ndarray) else 0].values,
        eager.values[:, 3, key if not isinstance(key, np.ndarray) else 0],
    )
    picked = {"y": xr.DataArray([1, 2, 1], dims="p"), "energy": xr.DataArray([5, 0, 6], dims="p")}
    xr.testing.assert_equal(lazy.isel(picked).load(), eager.isel(picked))


@pytest.mark.parametrize("chunks", [{}, "auto", {"y": 7}, {"y": -1, "energy": 16}, 10], ids=str)
def test_chunks(path: Path, chunks: object) -> None:
    da = sid.open_dataarray(path, "current", chunks=chunks)
    assert da.chunks is not None
    np.testing.assert_array_equal(da.compute().values, stack().values)


def test_blocks_are_whole_chunks() -> None:
    assert read_blocks((100, 100), 8, (10, 10)) == ()
    assert read_blocks((0, 100), 8, None) == ()
    for shape, chunks in (
        ((512, 512, 4096), (16, 16, 512)),
        ((10**6, 64), (4096, 64)),
        ((5000, 5000), None),
        ((7, 10**9), (7, 10**6)),
    ):
        block = read_blocks(shape, 4, chunks)
        assert 2**23 <= np.prod(block) * 4 <= 2**25
        assert all(b % c == 0 or b == n for b, c, n in zip(block, chunks or (1,) * len(shape), shape, strict=True))


@pytest.mark.parametrize(
    "shape", [(512, 512, 1024), (100, 100, 100, 100), (10**8,), (3, 10**7), (10**7, 3), (2, 2, 4096, 4096)], ids=str
)
def test_chunk_shape(shape: tuple[int, ...]) -> None:
    types = ["spatial"] * (len(shape) - 1) + ["spectral"]
    chunks = chunk_shape(shape, 4, types)
    assert chunks is not None
    assert 128 * 2**10 <= np.prod(chunks) * 4 <= 512 * 2**10
    assert all(1 <= c <= n for c, n in zip(chunks, shape, strict=True))
    if len(shape) == 3:
        image = np.prod([-(-n // c) for n, c in zip(shape[:-1], chunks[:-1], strict=True)])
        spectrum = -(-shape[-1] // chunks[-1])
        assert 1 / 4 <= image / spectrum <= 4 or min(image, spectrum) == 1


def test_pickle_in_another_process(path: Path) -> None:
    lazy, chunked = sid.open_dataarray(path, "current"), sid.open_dataarray(path, "current", chunks={"y": 8})
    text = pickle.dumps((lazy, chunked))
    assert len(text) < 50_000
    code = "import sys, pickle; print(*(float(a[3].sum().compute()) for a in pickle.load(sys.stdin.buffer)))"
    out = subprocess.run([sys.executable, "-c", code], input=text, capture_output=True, check=True, cwd="/")
    assert {float(v) for v in out.stdout.split()} == {float(stack()[3].sum())}


def test_threads(path: Path) -> None:
    eager = stack().values

    def work(i: int) -> bool:
        da = sid.open_dataarray(path, "current") if i % 3 == 0 else shared
        return bool(np.array_equal(da[i % 40].values, eager[i % 40]))

    shared = sid.open_dataarray(path, "current")
    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(200)))


def is_open(path: Path) -> bool:
    return any(os.path.samefile(one._args[0], path) and one._key in one._cache for one in _h5._MANAGERS)


def test_close(path: Path) -> None:
    gc.collect()
    with sid.open(path) as tree:
        tree[GROUP]["current"][0].load()
        assert is_open(path)
    assert not is_open(path)
    with xr.open_dataset(path, engine="nsid", group=GROUP) as ds:
        assert is_open(path)
        lazy = ds.current
    assert not is_open(path)
    assert float(lazy[0, 0, 0]) == 0  # it opens itself again
    assert is_open(path)
    del lazy, ds, tree
    gc.collect()
    assert not is_open(path)


def test_one_array_opens_its_file_once(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    init = h5py.File.__init__

    def counting(self: h5py.File, name: str, *args: object, **kwargs: object) -> None:
        opened.append(name)
        init(self, name, *args, **kwargs)

    monkeypatch.setattr(h5py.File, "__init__", counting)
    gc.collect()
    da = sid.open_dataarray(path, "current")
    assert float(da[0, 0, 1]) == 1
    assert opened.count(str(path)) == 1


@pytest.mark.parametrize("reader", ["nsid", "usid"])
@pytest.mark.parametrize("encoding", [{}, {"chunks": (7, 8, 20)}, {"chunks": (1, 30, 64)}], ids=str)
@pytest.mark.parametrize("block", [2**25, 3000, 50])
def test_every_nth_value(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reader: str, encoding: dict[str, object], block: int
) -> None:
    """All values between are read where HDF5 touches them anyway, in blocks of bounded size."""
    from sid_xarray.io import _lazy

    monkeypatch.setattr(_lazy, "_BLOCK", block)
    eager = stack()
    if reader == "nsid":
        eager.sid.to_nsid(tmp_path / "a.h5", encoding={"current": encoding} if encoding else None)
    else:
        eager.sid.to_usid(tmp_path / "a.h5")
    lazy = sid.open_dataarray(tmp_path / "a.h5")
    for key in (
        {"energy": slice(None, None, 3)},
        {"y": slice(1, 35, 4), "x": slice(None, None, 2), "energy": slice(5, None, 7)},
        {"x": slice(3, None, 30), "y": 4},
        {"y": slice(30, 2, -5), "energy": slice(None, None, 2)},
        {"x": [5, 1, 7], "energy": slice(2, 60, 9)},
        {"energy": slice(60, 60, 5)},
        {"y": slice(39, None, 2), "x": slice(29, None, 3), "energy": 3},
    ):
        np.testing.assert_array_equal(lazy.isel(key).values, eager.isel(key).values, err_msg=str(key))


def test_datasets_that_are_kept_open(path: Path) -> None:
    """The last few datasets stay open, for the chunks that HDF5 keeps; they go with their file."""
    with sid.open(path) as tree:
        lazy = tree[GROUP]["current"]
        lazy[0, 0, :2].load()
        file = next(one for one in _h5._MANAGERS if os.path.samefile(one._args[0], path)).acquire()
        (place,) = file.kept
        dataset = file.kept[place][0]
        lazy[0, 1, :2].load()
        assert file.kept[place][0] is dataset
        for i in range(9):
            file.keep(f"/{i}", dataset, None)
        assert len(file.kept) <= 4
        assert place not in file.kept
    assert not dataset
    assert float(lazy[0, 0, 1]) == 1


def test_relative_path_and_another_folder(path: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(path.parent)
    lazy = sid.open_dataarray("a.h5", "current")
    monkeypatch.chdir(tmp_path)
    assert float(lazy[0, 0, 1]) == 1


def test_home(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(path.parent))
    assert "second" in sid.open("~/a.h5").children


def test_file_that_went_away(tmp_path: Path) -> None:
    stack().sid.to_nsid(tmp_path / "a.h5")
    tree = sid.open(tmp_path / "a.h5")
    tree.close()
    (tmp_path / "a.h5").unlink()
    with pytest.raises(FormatError, match=r"a\.h5"):
        tree[GROUP]["current"].load()


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "no file"), (b"", "is empty"), (b"text", "not an HDF5 file"), ("folder", "is a folder")],
)
def test_what_is_no_file(tmp_path: Path, content: object, message: str) -> None:
    path = tmp_path / "a.h5"
    if content == "folder":
        path.mkdir()
    elif content is not None:
        path.write_bytes(content)
    with pytest.raises((FormatError, FileNotFoundError), match=message):
        sid.open(path)
