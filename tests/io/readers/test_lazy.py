"""Values stay in the file until they are used; they pickle, travel to other processes, and notice a change."""

from __future__ import annotations

import os
import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from reader_files import FILES, PATTERN, sxm
from reader_truth import real_files

import sid_xarray as sid
from sid_xarray.core.trees import signals
from sid_xarray.errors import FormatError, MissingDependencyError
from sid_xarray.io.door import READERS
from sid_xarray.io.readers.source import Source
from sid_xarray.testing import assert_same

LAZY = [kind for kind in FILES if READERS[kind.split()[0]].lazy]


@pytest.fixture(params=LAZY)
def arrays(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, xr.DataArray]:
    name, make = FILES[request.param]
    (tmp_path / name).write_bytes(make())
    try:
        return signals(sid.open(tmp_path / name))
    except MissingDependencyError as error:
        pytest.skip(str(error))


def test_nothing_is_read_before_it_is_used(arrays: dict[str, xr.DataArray]) -> None:
    for key, da in arrays.items():
        if not key.endswith("Iprobe_forward") and "Z_" not in key and "Amplitude_" not in key:
            assert not da.variable._in_memory, key


def test_indexing_is_that_of_numpy(arrays: dict[str, xr.DataArray]) -> None:
    for da in arrays.values():
        whole = da.copy().load().values
        keys = [0, -1, slice(None, None, -1), slice(1, 2), slice(2, 0, -1), np.array([1, 0, 1]), slice(5, 5)]
        for axis in range(da.ndim):
            for key in keys:
                index = [slice(None)] * da.ndim
                index[axis] = key
                np.testing.assert_array_equal(da[tuple(index)].values, whole[tuple(index)])
        if da.ndim >= 2:
            np.testing.assert_array_equal(da[0, np.array([1, 0])].values, whole[0, [1, 0]])
            np.testing.assert_array_equal(da[np.array([1, 0]), 1].values, whole[[1, 0], 1])
            points = {da.dims[0]: xr.DataArray([0, 1], dims="p"), da.dims[1]: xr.DataArray([1, 2], dims="p")}
            np.testing.assert_array_equal(da.isel(points).values, whole[[0, 1], [1, 2]])


def test_pickles(arrays: dict[str, xr.DataArray]) -> None:
    for da in arrays.values():
        assert_same(pickle.loads(pickle.dumps(da)).load(), da.copy().load())


def test_only_the_slice_is_read(tmp_path: Path) -> None:
    """A scan of 4 GiB that is a hole in the disk: one line of it is 64 kB."""
    n = 2**14
    head = sxm(np.zeros((1, 1)))[:-12].replace(b"       1       1\n", f"   {n}   {n}\n".encode())
    path = tmp_path / "a.sxm"
    with path.open("wb") as file:
        file.write(head)
        file.truncate(len(head) + 3 * 4 * n * n)
    import tracemalloc

    tracemalloc.start()
    da = sid.open(path)["Z_backward"]
    assert da.shape == (n, n)
    assert float(da[77].sum()) == 0
    assert float(da[::1000, 5].sum()) == 0
    assert tracemalloc.get_traced_memory()[1] < 16 * 2**20
    tracemalloc.stop()
    blocks = sid.open(path, chunks={})["Z_forward"].chunks
    assert max(np.prod([max(c) for c in blocks]), 1) * 4 <= 64 * 2**20


def test_threads(tmp_path: Path) -> None:
    (tmp_path / "a.sxm").write_bytes(sxm())
    da = sid.open(tmp_path / "a.sxm", chunks={"y": 1})["Z_backward"]
    with ThreadPoolExecutor(8) as pool:
        for values in pool.map(lambda _: da.compute(scheduler="threads").values, range(32)):
            np.testing.assert_array_equal(values, PATTERN)


def test_a_file_that_changed_or_went(tmp_path: Path) -> None:
    path = tmp_path / "a.sxm"
    path.write_bytes(sxm())
    da = sid.open(path)["Z_forward"]
    path.write_bytes(sxm(np.vstack([PATTERN, PATTERN])))
    with pytest.raises(FormatError, match="was changed since it was opened"):
        da.load()
    path.unlink()
    with pytest.raises(FormatError, match="is not there any more"):
        da.load()
    path.mkdir()
    with pytest.raises(FormatError, match="is not there any more"):
        da.load()


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="looks at the open files of this process")
def test_a_tree_that_is_closed_keeps_no_file_open(shared: Path) -> None:
    pytest.importorskip("rsciio")
    path = shared / "realdata/emd/Velox_HAADF.emd"

    def handles() -> int:
        return sum(path.name in os.path.realpath(one) for one in Path("/proc/self/fd").iterdir())

    tree = sid.open(path)
    tree["HAADF"][:2].load()
    tree.close()
    assert handles() == 0
    assert tree["HAADF"][5:7].values.shape == (2, 512)  # and opens it again when it is needed
    sid.open(path).close()
    assert handles() == 0


def test_an_array_lies_in_the_file(tmp_path: Path) -> None:
    source = Source("a", bytes(100))
    for options in ({"start": 96}, {"start": -8}, {"start": 0, "strides": (-4,)}, {"start": 0, "strides": (64,)}):
        with pytest.raises(FormatError, match=r"needs .* bytes"):
            source.array("<f4", (3,), **options)
    assert source.array("<f4", (0, 5), start=10**9).shape == (0, 5)
    with pytest.raises(FormatError, match="makes no sense"):
        source.array("<f4", (2**40, 2**40), start=0)
    assert source.beside("../x") is None


@pytest.fixture(scope="module")
def client() -> Any:
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(n_workers=1, threads_per_worker=2, processes=True, dashboard_address=None) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


def _values(variable: xr.Variable) -> tuple[int, np.ndarray]:
    return os.getpid(), np.asarray(variable.values)


@pytest.mark.slow
@pytest.mark.parametrize("name", real_files())
def test_in_another_process(name: str, shared: Path, client: Any) -> None:
    """Every array of every real file is computed by a worker, as dask and as it is, and is what the file holds."""
    try:
        lazy, eager = (sid.open(shared / "realdata" / name, chunks=chunks) for chunks in ({}, None))
    except MissingDependencyError as error:
        pytest.skip(str(error))

    def part(da: xr.DataArray) -> xr.DataArray:
        return da if da.size < 2**24 else da[:2]  # gigabytes show no more than this

    there = {key: client.compute(part(da).variable.data) for key, da in signals(lazy).items()}
    sent = {key: client.submit(_values, part(da).variable, pure=False) for key, da in signals(eager).items()}
    for key, da in signals(eager).items():
        whole = part(da).copy().load().values
        number, values = sent[key].result()
        assert number != os.getpid()
        for found in (np.asarray(there[key].result()), values):
            assert found.dtype == whole.dtype
            np.testing.assert_array_equal(found, whole)
    lazy.close()
    eager.close()
