"""Values on their way into a file: in any order, in any blocks, they arrive, and their checksums are right."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import dask
import dask.array as da
import h5py
import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

import sid_xarray as sid
from sid_xarray.io import _digest, _progress, _store
from sid_xarray.io._codec import codec_of
from sid_xarray.io.checksum import verify_file

FORMATS = ("nsid", "usid")
DIMS = ("y", "x", "energy")


def save(obj: Any, path: Path, form: str, **options: Any) -> None:
    (obj.sid.to_nsid if form == "nsid" else obj.sid.to_usid)(path, mode="w", **options)


def check(path: Path, values: np.ndarray, name: str = "v") -> None:
    found = sid.open_dataarray(path, name)
    assert found.dtype == values.dtype
    np.testing.assert_array_equal(found.values, values)
    assert {str(f) for f in verify_file(path) if not f.ok} == set()


def counts(shape: tuple[int, ...], dtype: str = "u2") -> np.ndarray:
    return np.random.default_rng(0).poisson(20, shape).astype(dtype)


def parts(n: int) -> Any:
    return st.lists(st.integers(1, n), min_size=1, max_size=5).map(lambda c: _sum_to(c, n))


def _sum_to(chunks: list[int], n: int) -> tuple[int, ...]:
    out: list[int] = []
    for c in chunks:
        if sum(out) + c >= n:
            break
        out.append(c)
    return (*out, n - sum(out))


@pytest.mark.parametrize("form", FORMATS)
@given(data=st.data())
@settings(deadline=None, max_examples=25)
def test_any_blocks_into_any_chunks(tmp_path_factory: Any, form: str, data: Any) -> None:
    shape = (11, 7, 30)
    values = counts(shape, data.draw(st.sampled_from(["u2", "f4", ">f8", "c8", "?"])))
    blocks = tuple(data.draw(parts(n)) for n in shape)
    on_disk = shape if form == "nsid" else (77, 30)
    chunks = tuple(data.draw(st.integers(1, n)) for n in on_disk)
    options: dict[str, Any] = {"chunks": chunks}
    options |= data.draw(st.sampled_from([{}, {"compression": "gzip", "shuffle": True}, {"compression": "lzf"}]))
    dims = data.draw(st.permutations(DIMS))
    lazy = xr.DataArray(da.from_array(values, chunks=blocks), dims=DIMS, name="v")
    lazy = lazy.transpose(*dims) if form == "usid" else lazy
    path = tmp_path_factory.mktemp("store") / "a.h5"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_digest, "_LEAST", data.draw(st.sampled_from([0, 2**16])))  # a tile is a chunk, or several
        patch.setattr(_store, "_UNFINISHED", data.draw(st.sampled_from([0, 500, 2**20])))
        save(lazy, path, form, encoding={"v": options})
    check(path, lazy.values)


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("order", [DIMS, DIMS[::-1], ("x", "energy", "y")], ids="".join)
def test_arrays_in_memory_of_any_order(tmp_path: Path, form: str, order: tuple[str, ...]) -> None:
    values = counts((30, 20, 100), "f4")
    array = xr.DataArray(values, dims=DIMS, name="v").transpose(*order)
    chunks = (8, 8, 8) if form == "nsid" else (50, 30)
    save(array, tmp_path / "a.h5", form, encoding={"v": {"chunks": chunks}})
    check(tmp_path / "a.h5", array.values)
    save(array[::-1, ::2], tmp_path / "a.h5", form)
    check(tmp_path / "a.h5", array.values[::-1, ::2])


@pytest.mark.parametrize("form", FORMATS)
def test_lazy_from_a_file(tmp_path: Path, form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from sid_xarray.io import _layout

    monkeypatch.setattr(_layout, "_BLOCK", 10_000)
    values = counts((30, 20, 100))
    save(xr.DataArray(values, dims=DIMS, name="v"), tmp_path / "a.h5", "nsid")
    for lazy in (sid.open_dataarray(tmp_path / "a.h5"), sid.open_dataarray(tmp_path / "a.h5")[3:, ::-1]):
        save(lazy, tmp_path / "b.h5", form)
        check(tmp_path / "b.h5", lazy.values)


@pytest.mark.parametrize("dtype", ["u1", "<u2", ">i4", "<f8", "c16", "?"])
@pytest.mark.parametrize("options", [{}, {"compression": "gzip", "compression_opts": 3}, {"shuffle": True}])
def test_bytes_of_a_chunk_are_those_of_hdf5(dtype: str, options: dict[str, Any]) -> None:
    values = counts((8, 9, 10), dtype)
    if options.get("shuffle"):
        options = {**options, "compression": "gzip", "compression_opts": 1}
    with h5py.File("x.h5", "w", driver="core", backing_store=False) as file:
        theirs = file.create_dataset("a", data=values, chunks=(3, 9, 5), **options)
        codec = codec_of(theirs)
        assert codec is not None
        assert codec.simple
        ours = file.create_dataset("b", values.shape, values.dtype, chunks=(3, 9, 5), **options)
        for start in np.ndindex(3, 1, 2):
            corner = tuple(i * c for i, c in zip(start, (3, 9, 5), strict=True))
            part = np.ascontiguousarray(values[tuple(slice(i, i + c) for i, c in zip(corner, (3, 9, 5), strict=True))])
            chunk = codec.encode(part)
            assert (chunk.mask, bytes(chunk.data)) == theirs.id.read_direct_chunk(corner)
            ours.id.write_direct_chunk(corner, chunk.data, chunk.mask)
        np.testing.assert_array_equal(ours[...], values)


FILTERS: list[dict[str, Any]] = [{"compression": "lzf"}, {"fletcher32": True}, {"compression": "lzf", "shuffle": True}]


@pytest.mark.parametrize("options", FILTERS, ids=str)
def test_filters_that_only_hdf5_knows(options: dict[str, Any]) -> None:
    values = counts((8, 9, 10))
    with h5py.File("x.h5", "w", driver="core", backing_store=False) as file:
        theirs = file.create_dataset("a", data=values, chunks=(8, 9, 5), **options)
        codec = codec_of(theirs)
        assert codec is not None
        assert not codec.simple
        for start in (0, 5):
            chunk = codec.encode(np.ascontiguousarray(values[..., start : start + 5]))
            assert (chunk.mask, chunk.data) == theirs.id.read_direct_chunk((0, 0, start))


def test_filters_of_others(tmp_path: Path) -> None:
    hdf5plugin = pytest.importorskip("hdf5plugin")
    values = counts((40, 40, 100))
    array = xr.DataArray(values, dims=DIMS, name="v")
    for lazy in (array, array.chunk(y=10)):
        save(lazy, tmp_path / "a.h5", "nsid", compression=dict(hdf5plugin.Blosc(cname="zstd", clevel=3)))
        check(tmp_path / "a.h5", values)


@pytest.mark.parametrize("chunks", [(8, 8, 100), (3, 2, 5)], ids=str)
def test_filters_that_lose_digits(tmp_path: Path, chunks: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """The checksum is that of what is in the file."""
    hdf5plugin = pytest.importorskip("hdf5plugin")
    values = np.random.default_rng(0).normal(size=(24, 20, 100)).astype("f4")
    array = xr.DataArray(values, dims=DIMS, name="v")
    monkeypatch.setattr(_store, "_UNFINISHED", 0)  # parts of chunks are written, too
    encoding = {"v": {"chunks": chunks, "compression": dict(hdf5plugin.Zfp(accuracy=0.1))["compression"]}}
    encoding["v"]["compression_opts"] = dict(hdf5plugin.Zfp(accuracy=0.1))["compression_opts"]
    for lazy in (array, array.chunk(y=8), array.chunk(y=7, energy=33)):
        save(lazy, tmp_path / "a.h5", "nsid", encoding=encoding)
        found = sid.open_dataarray(tmp_path / "a.h5", "v").values
        assert 0 < np.abs(found - values).max() <= 0.1
        assert [str(f) for f in verify_file(tmp_path / "a.h5") if not f.ok] == []


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("scheduler", ["threads", "synchronous", "processes"])
def test_every_scheduler_writes_the_same(tmp_path: Path, form: str, scheduler: str) -> None:
    values = counts((32, 20, 300))
    array = xr.DataArray(values, dims=DIMS, name="v").chunk(y=10, x=8)
    text = xr.DataArray(np.array([f"ü{i}" for i in range(32)]), dims="y").chunk(y=7)
    ds = xr.Dataset({"v": array, "float16": array.astype("f2"), "text": text, "mean": array.mean("energy")})
    with dask.config.set(scheduler=scheduler):
        save(ds, tmp_path / "a.h5", form)
    check(tmp_path / "a.h5", values)
    check(tmp_path / "a.h5", values.astype("f2"), "float16")


def test_what_arrays_share_is_computed_once(tmp_path: Path) -> None:
    calls: list[int] = []

    def count(block: np.ndarray) -> np.ndarray:
        calls.append(block.size)
        return block

    source = da.from_array(counts((16, 10)), chunks=(4, 10)).map_blocks(count, dtype="u2", meta=np.empty((0, 0), "u2"))
    ds = xr.Dataset({"a": (("y", "x"), source + 1), "b": (("y", "x"), source + 2), "c": ("y", source.sum(axis=1))})
    save(ds, tmp_path / "a.h5", "nsid")
    assert len(calls) == 4


def test_a_block_of_another_dtype_than_declared(tmp_path: Path) -> None:
    wrong = da.from_array(np.ones((10, 10)), chunks=5).map_blocks(
        lambda b: b * 1.5, dtype="i4", meta=np.empty((0, 0), "i4")
    )
    with pytest.raises(TypeError, match=r"a block is of dtype float64, its array says int32. Type: .astype"):
        save(xr.DataArray(wrong, dims=("y", "x"), name="v"), tmp_path / "a.h5", "nsid")
    assert not (tmp_path / "a.h5").exists()


def test_how_many_blocks_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    array = xr.DataArray(counts((32, 32, 100), "f8"), dims=DIMS, name="v").chunk(y=4)
    seen: list[Any] = []
    monkeypatch.setattr(da, "store", lambda *_, **__: seen.append(dask.config.get("num_workers", None)))
    monkeypatch.setattr(_store.os, "cpu_count", lambda: 16)
    for memory in (2**30, 3 * array.nbytes // 8, 1):
        monkeypatch.setattr(_store, "_MEMORY", memory)
        save(array * 1, tmp_path / "a.h5", "nsid")
    assert seen == [16, 3, 1]
    with dask.config.set(num_workers=7):
        save(array * 1, tmp_path / "a.h5", "nsid")
    assert seen[-1] == 7


def test_a_bar(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(_progress, "_PATIENCE", -1.0)
    array = xr.DataArray(counts((64, 64, 200), "f4"), dims=DIMS, name="v")
    for obj in (array, array.chunk(y=16)):
        for wanted in (False, True):
            with sid.set_options(progress=wanted):
                save(obj, tmp_path / "a.h5", "nsid")
            assert ("writing" in capsys.readouterr().err) is wanted
    monkeypatch.setitem(sys.modules, "ipykernel", sys)  # imported, but this is no notebook
    with sid.set_options(progress="auto"):
        save(array, tmp_path / "a.h5", "nsid")
    assert capsys.readouterr().err == ""


PEAK = """
    import resource, sys
    import dask.array as da, numpy as np, xarray as xr
    import sid_xarray as sid, sid_xarray.io.usid

    def save(obj, path, form):
        (obj.sid.to_nsid if form == "nsid" else obj.sid.to_usid)(path, mode="w")

    def peak():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

    form, path, chunks, size = sys.argv[1], sys.argv[2], eval(sys.argv[3]), int(sys.argv[4])
    shape = (64, 64, 64, size // (64**3 * 4))
    make = da.random.default_rng(0).standard_normal
    small = xr.DataArray(make((8, 8, 8, 8), dtype="f4", chunks=4), dims=("y", "x", "bias", "energy"), name="v")
    save(small, path, form)
    if chunks is None:
        save(xr.DataArray(make(shape, dtype="f4", chunks=(8, 16, 64, -1)), dims=small.dims, name="v"), path, "nsid")
        del make
        big = sid.open_dataarray(path, chunks=-1)
        before = peak()
        big.sid.to_nsid(path + "2", mode="w")
    else:
        before = peak()
        save(xr.DataArray(make(shape, dtype="f4", chunks=chunks), dims=small.dims, name="v"), path, form)
    print(peak() - before)
"""


def peak(*args: object) -> float:
    """Return by how many MB a process grows."""
    command = [sys.executable, "-c", textwrap.dedent(PEAK), *map(str, args)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(done.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="the unit of ru_maxrss is that of Linux")
@pytest.mark.parametrize("form", FORMATS)
def test_memory_is_bounded(tmp_path: Path, form: str) -> None:
    """Blocks of 16 MiB; two threads: a tenth of the array, whatever its size."""
    assert peak(form, tmp_path / "a.h5", (8, 16, 64, -1), 2**29) < 300


@pytest.mark.skipif(sys.platform != "linux", reason="the unit of ru_maxrss is that of Linux")
def test_one_huge_block_of_a_file_is_read_in_parts(tmp_path: Path) -> None:
    assert peak("nsid", tmp_path / "a.h5", None, 2**29) < 200
