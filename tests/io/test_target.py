"""Whatever happens while a file is written: there is the old one or the new one."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from collections import namedtuple
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import xarray as xr

import sid_xarray as sid
from sid_xarray.errors import FormatError
from sid_xarray.io import _target

GROUP = "/Measurement_000/Channel_000/v"


def numbers(factor: float = 1.0, n: int = 1000) -> xr.DataArray:
    return xr.DataArray(np.arange(float(n)) * factor, dims="x", name="v")


def only(path: Path) -> list[str]:
    return sorted(p.name for p in path.parent.iterdir())


def test_modes(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    numbers().sid.to_nsid(path, mode="x")
    with pytest.raises(FileExistsError, match=r"exists. Take another name"):
        numbers().sid.to_nsid(path, mode="x")
    numbers(2).sid.to_nsid(path)
    assert len(sid.open(path).children) == 2
    numbers(3).sid.to_nsid(path, mode="w")
    assert len(sid.open(path).children) == 1
    assert float(sid.open_dataarray(path)[1]) == 3
    with pytest.raises(ValueError, match=r"mode is 'a' \(add\), 'w' \(replace\) or 'x'"):
        numbers().sid.to_nsid(path, mode="r")
    assert only(path) == ["a.h5"]


def test_an_error_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    numbers().sid.to_nsid(path)
    before = path.read_bytes()

    def fail(block: np.ndarray) -> np.ndarray:
        if block.size:
            raise RuntimeError("the computation failed")
        return block

    for mode in ("a", "w"):
        with pytest.raises(RuntimeError, match="the computation failed"):
            numbers().chunk(x=10).copy(data=numbers().chunk(x=10).data.map_blocks(fail, dtype=float)).sid.to_nsid(
                path, mode=mode
            )
        assert path.read_bytes() == before
        assert only(path) == ["a.h5"]


def test_ctrl_c_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    numbers().sid.to_nsid(path)
    before = path.read_bytes()
    done: list[int] = []

    def interrupt(block: np.ndarray) -> np.ndarray:
        if block.size and block[0] >= 50:
            done.append(1)
            raise KeyboardInterrupt
        return block

    data = numbers().chunk(x=10).data.map_blocks(interrupt, dtype=float)
    import dask

    with dask.config.set(scheduler="synchronous"), pytest.raises(KeyboardInterrupt):
        numbers().copy(data=data).sid.to_nsid(path, mode="w")
    assert done
    assert path.read_bytes() == before
    assert only(path) == ["a.h5"]


def test_into_the_file_that_lazy_data_come_from(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    numbers().sid.to_nsid(path)
    for chunks in (None, {"x": 300}):
        lazy = sid.open_dataarray(path, f"{GROUP}/v", chunks=chunks)
        assert lazy.rename("twice").sid.to_nsid(path, source=lazy, tool="same")
        np.testing.assert_array_equal(lazy.values, numbers().values)


@pytest.mark.parametrize("chunks", [None, {}, {"x": 300}], ids=str)
def test_over_the_file_that_lazy_data_come_from(tmp_path: Path, chunks: Any) -> None:
    path = tmp_path / "a.h5"
    numbers().sid.to_nsid(path)
    lazy = sid.open_dataarray(path, chunks=chunks)
    (lazy if chunks is None else lazy * 2).rename("v").sid.to_nsid(path, mode="w")
    np.testing.assert_array_equal(sid.open_dataarray(path).values, numbers(1 if chunks is None else 2).values)
    lazy = sid.open_dataarray(path, chunks=chunks)
    lazy.isel(x=slice(500)).sid.to_nsid(path, group=GROUP, overwrite=True)
    assert sid.open_dataarray(path).size == 500
    assert only(path) == ["a.h5"]


def test_disk_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.h5"
    numbers().sid.to_nsid(path)
    before = path.read_bytes()
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**9, 10**9, 5 * 10**6))
    with pytest.raises(OSError, match=r"MB are needed in .* and 5 MB are free; nothing was written") as caught:
        numbers(n=10**6).sid.to_nsid(path, mode="w")
    assert caught.value.errno == 28
    assert path.read_bytes() == before
    numbers(n=10**3).sid.to_nsid(path)
    assert only(path) == ["a.h5"]


def test_two_writers(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with (
        _target.editing(path, mode="w"),
        pytest.raises(BlockingIOError, match="is being written by another process; nothing was written"),
    ):
        numbers().sid.to_nsid(path)
    numbers().sid.to_nsid(path, mode="w")
    assert only(path) == ["a.h5"]


def test_file_that_another_program_is_writing(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    numbers().sid.to_nsid(path)
    with h5py.File(path, "r+"), pytest.raises(BlockingIOError, match="is open for writing elsewhere"):
        numbers().sid.to_nsid(path)
    with h5py.File(path, "r") as file:
        numbers(2).sid.to_nsid(path)
        assert list(file) == ["Measurement_000"]  # a reader keeps its version
    assert len(sid.open(path).children) == 2


def test_read_only_file(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    numbers().sid.to_nsid(path)
    path.chmod(0o444)
    for mode in ("a", "w"):
        with pytest.raises(PermissionError, match="is read-only; nothing was written"):
            numbers().sid.to_nsid(path, mode=mode)
    assert float(sid.open_dataarray(path)[1]) == 1


def test_permissions_stay(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    numbers().sid.to_nsid(path)
    path.chmod(0o640)
    numbers().sid.to_nsid(path)
    assert path.stat().st_mode & 0o777 == 0o640


def test_folder_without_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(PermissionError, match="no permission to write in"):
        numbers().sid.to_nsid(tmp_path / "a.h5")


def test_missing_folder_and_folder_as_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="create it first"):
        numbers().sid.to_nsid(tmp_path / "none/a.h5")
    with pytest.raises(FormatError, match="is a folder"):
        numbers().sid.to_nsid(tmp_path)


def test_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    link = tmp_path / "link.h5"
    link.symlink_to("deep/a.h5")
    numbers().sid.to_nsid(link)
    numbers(2).sid.to_nsid(link)
    assert link.is_symlink()
    assert only(tmp_path / "deep/a.h5") == ["a.h5"]
    assert len(sid.open(link).children) == 2


def test_relative_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    numbers().sid.to_nsid("a.h5")
    monkeypatch.setenv("HOME", str(tmp_path))
    numbers().sid.to_nsid("~/a.h5")
    assert len(sid.open("a.h5").children) == 2


def test_adding_to_what_is_no_hdf5(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    path.write_bytes(b"a table of numbers")
    with pytest.raises(FormatError, match=r"cannot be added to.*mode='w' to replace it"):
        numbers().sid.to_nsid(path)
    assert path.read_bytes() == b"a table of numbers"
    numbers().sid.to_nsid(path, mode="w")
    (tmp_path / "empty.h5").touch()
    numbers().sid.to_nsid(tmp_path / "empty.h5")
    assert only(path) == ["a.h5", "empty.h5"]


def test_leftovers_of_a_killed_writer_are_swept(tmp_path: Path) -> None:
    for name in (".a.h5.0123abcd.tmp", ".a.h5.lock", ".b.h5.0123abcd.tmp"):
        (tmp_path / name).touch()
    numbers().sid.to_nsid(tmp_path / "a.h5")
    assert only(tmp_path / "a.h5") == [".b.h5.0123abcd.tmp", "a.h5"]


def test_later(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    work = numbers().sid.to_nsid(path, compute=False)
    assert not path.exists()
    assert work.compute() == GROUP
    assert float(sid.open_dataarray(path)[1]) == 1


WRITER = """
    import sys
    import numpy as np, xarray as xr, sid_xarray as sid

    path, mode = sys.argv[1:]
    values = np.random.default_rng(0).normal(size=(64, 64, 400))
    da = xr.DataArray(values, dims=("y", "x", "energy"), name="new").chunk(y=4)
    print("ready", flush=True)
    for i in range(1000):
        da.sid.to_nsid(path, group=f"new_{i}", mode=mode)
"""


@pytest.mark.skipif(os.name == "nt", reason="no SIGKILL")
def test_kill_while_writing(tmp_path: Path) -> None:
    """Ten random kills of a writer over an old file; every state is a whole file."""
    path = tmp_path / "a.h5"
    chance = random.Random(0)
    for i in range(10):
        numbers().sid.to_nsid(path, mode="w")
        command = [sys.executable, "-c", textwrap.dedent(WRITER), str(path), "aw"[i % 2]]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(chance.uniform(0.0, 0.25))
            process.send_signal(signal.SIGKILL)
        with sid.open(path) as tree:
            found = tree.sid.signals
            for da in found.values():
                expected = 1000 if da.name == "v" else 64 * 64 * 400
                assert da.size == expected
                assert np.isfinite(da.values).all()
            assert f"{GROUP}/v" in found or i % 2 == 1
    numbers().sid.to_nsid(path, mode="w")
    assert only(path) == ["a.h5"]
