"""With a client of dask.distributed: workers compute and encode, this process writes."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dask
import dask.array as da
import numpy as np
import pytest
import xarray as xr

import sid_xarray as sid
from sid_xarray.io import _cluster, _sink, _store
from sid_xarray.io.checksum import verify_file

distributed = pytest.importorskip("distributed")
DIMS = ("y", "x", "energy")


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    """A cluster of one process with two threads: its ways are those of a large one."""
    with (
        distributed.LocalCluster(1, threads_per_worker=2, processes=False, dashboard_address=":0") as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


def blocks(n: int = 64, chunks: Any = (4, 32, 100)) -> xr.DataArray:
    values = da.random.default_rng(0).poisson(20, (n, 32, 100), chunks=chunks).astype("u2")
    return xr.DataArray(values, dims=DIMS, name="v")


@pytest.mark.parametrize("form", ["nsid", "usid"])
@pytest.mark.parametrize("encoding", [{}, {"v": {"compression": "lzf"}}], ids=str)
def test_what_comes_back(tmp_path: Path, client: Any, form: str, encoding: Any) -> None:
    for chunks in ((4, 32, 100), (5, 9, 13)):
        array = blocks(chunks=chunks)
        (array.sid.to_nsid if form == "nsid" else array.sid.to_usid)(tmp_path / "a.h5", mode="w", encoding=encoding)
        with dask.config.set(scheduler="synchronous"):
            np.testing.assert_array_equal(sid.open_dataarray(tmp_path / "a.h5").values, array.values)
        assert [str(f) for f in verify_file(tmp_path / "a.h5") if not f.ok] == []


def test_workers_encode_and_the_client_writes(tmp_path: Path, client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[Any] = []
    put = _sink.Sink.put_encoded
    monkeypatch.setattr(_sink.Sink, "put_encoded", lambda self, found: (taken.append(found), put(self, found))[1])
    array = xr.DataArray(da.random.default_rng(0).poisson(20, (64, 64, 500), chunks=(16, 64, 500)), dims=DIMS)
    array.astype("u2").sid.to_nsid(tmp_path / "a.h5")
    assert taken
    assert all(isinstance(found.data, bytes) and found.digest for found in taken)
    assert sum(len(found.data) for found in taken) < 2 * array.size / 1.5


def test_few_blocks_are_under_way(tmp_path: Path, client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    alive: set[Any] = set()
    most: list[int] = []
    get = distributed.Client.get

    def counted(self: Any, graph: Any, keys: Any, **options: Any) -> Any:
        found = get(self, graph, keys, **options)
        if options.get("sync") is False:
            alive.add(found[0].key)
            most.append(len(alive))
        return found

    put = _sink.Sink.put_encoded
    monkeypatch.setattr(distributed.Client, "get", counted)
    monkeypatch.setattr(_sink.Sink, "put_encoded", lambda self, found: (alive and alive.pop(), put(self, found))[1])
    blocks().sid.to_nsid(tmp_path / "a.h5")
    assert len(most) == 16
    assert max(most) <= 5


def test_the_window_fits_into_memory(tmp_path: Path, client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    rooms: list[int] = []
    by_client = _cluster._by_client
    monkeypatch.setattr(_cluster, "_by_client", lambda c, t, room: (rooms.append(room), by_client(c, t, room))[1])
    one = 4 * 32 * 100 * 2
    for memory in (10 * one, one // 2, 2**30):
        monkeypatch.setattr(_store, "_MEMORY", memory)
        blocks().sid.to_nsid(tmp_path / "a.h5", mode="w")
    assert rooms == [10, 1, 64]


def test_what_arrays_share_stays_while_it_is_needed(tmp_path: Path, client: Any) -> None:
    array = blocks()
    centred = (array - array.mean("energy")).astype("f4")
    ds = xr.Dataset({"v": array, "centred": centred, "mean": array.mean("energy")})
    ds.sid.to_nsid(tmp_path / "a.h5")
    with dask.config.set(scheduler="synchronous"):
        xr.testing.assert_equal(sid.open(tmp_path / "a.h5")["/Measurement_000/Channel_000/v"].to_dataset().load(), ds)


def test_an_error_on_a_worker(tmp_path: Path, client: Any) -> None:
    def fail(block: np.ndarray, block_info: Any = None) -> np.ndarray:
        if block_info and block_info[0]["chunk-location"][0] == 7:
            raise RuntimeError("the computation failed")
        return block

    array = blocks()
    broken = array.copy(data=array.data.map_blocks(fail, dtype="u2", meta=np.empty((0, 0, 0), "u2")))
    with pytest.raises(RuntimeError, match="the computation failed"):
        broken.sid.to_nsid(tmp_path / "a.h5")
    assert list(tmp_path.iterdir()) == []
    array.sid.to_nsid(tmp_path / "a.h5")  # the cluster is as good as before


def test_the_user_may_want_threads(tmp_path: Path, client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_cluster, "store", None)
    with dask.config.set(scheduler="threads"):
        blocks().sid.to_nsid(tmp_path / "a.h5")


def test_later_on_a_worker(tmp_path: Path, client: Any) -> None:
    """The file is written in a task, which must not wait for other tasks."""
    array = blocks()
    works = [array.sid.to_nsid(tmp_path / f"{i}.h5", compute=False) for i in range(4)]
    assert dask.compute(*works) == ("/Measurement_000/Channel_000/v",) * 4
    with dask.config.set(scheduler="synchronous"):
        np.testing.assert_array_equal(sid.open_dataarray(tmp_path / "3.h5").values, array.values)


def test_nothing_is_started_or_imported() -> None:
    code = """
        import sys, dask.array as da, xarray as xr, sid_xarray as sid, tempfile
        with tempfile.TemporaryDirectory() as folder:
            xr.DataArray(da.ones((50, 50), chunks=10), dims=("y", "x"), name="v").sid.to_nsid(folder + "/a.h5")
        assert "distributed" not in sys.modules
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=True)


@pytest.mark.slow
def test_four_processes_read_and_write(tmp_path: Path) -> None:
    """Two runs; by hand twenty were made. The limit of time is there to notice a hang."""
    script = Path(__file__).with_name("run_cluster.py")
    done = subprocess.run(
        [sys.executable, str(script), "--runs", "2"], capture_output=True, text=True, timeout=900, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count(" 0 differences") == 2
