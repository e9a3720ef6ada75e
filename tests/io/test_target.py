"""Whatever happens while a file is written: there is the old one or the new one."""

from __future__ import annotations

import _thread
import os
import shutil
import signal
import subprocess
import sys
import textwrap
from collections import namedtuple
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import xarray as xr

import sid_xarray as sid
from sid_xarray.errors import FormatError
from sid_xarray.io import _locks, _target

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


CHILD = """
    import resource, sys
    import numpy as np, xarray as xr, sid_xarray as sid
    from sid_xarray.io import _locks, _target

    path, how, lazy, limit = sys.argv[1], sys.argv[2], sys.argv[3] == "lazy", int(sys.argv[4])
    values = np.random.default_rng(0).normal(size=(64, 64, 200)).astype("f4")
    da = xr.DataArray(values, dims=("y", "x", "energy"), name="new")
    da = da.chunk(y=16) if lazy else da
    _target.LARGE = 0 if how == "in place" else 2**40
    if limit:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    try:
        da.sid.to_nsid(path, group="new", mode="w" if how == "replace" else "a")
    except Exception as error:
        sys.stderr.write(f"{type(error).__name__} {getattr(error, 'errno', '')}: {error}")
        raise SystemExit(3)
"""


def child(*args: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", textwrap.dedent(CHILD), *map(str, args)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.skipif(os.name == "nt", reason="no limits of the size of a file")
@pytest.mark.parametrize("lazy", ["lazy", "eager"])
@pytest.mark.parametrize("how", ["new", "replace", "copy", "in place"])
def test_the_disk_is_full_in_the_middle(tmp_path: Path, how: str, lazy: str) -> None:
    """HDF5 would end the process; here the old file stays, and the error says so."""
    path = tmp_path / "a.h5"
    if how != "new":
        numbers(n=100_000).sid.to_nsid(path, group="old")
    before = path.read_bytes() if how != "new" else None
    old = len(before) if before and how != "replace" else 0
    for limit in (old + 100, old + 2_000_000):
        done = child(path, how, lazy, limit)
        assert done.returncode == 3, done.stderr
        state = "nothing was written" if how == "new" else "the old file is as it was"
        assert done.stderr.startswith("OSError 27:")
        assert f"a.h5 cannot be written: file too large; {state}" in done.stderr
        assert (path.read_bytes() if path.exists() else None) == before
        assert only(path) == (["a.h5"] if before else [])


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 8 MiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(disk)], check=False, capture_output=True
    )
    if done.returncode:
        pytest.skip("no permission to make a disk")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=False)


@pytest.mark.skipif(shutil.which("mount") is None, reason="no way to make a disk")
@pytest.mark.parametrize("how", ["new", "replace", "copy", "in place"])
def test_a_small_disk(small_disk: Path, how: str) -> None:
    path = small_disk / "a.h5"
    if how != "new":
        numbers(n=100_000).sid.to_nsid(path, group="old")
    before = path.read_bytes() if how != "new" else None
    (small_disk / "filler").write_bytes(bytes(5_000_000))
    done = child(path, how, "eager", 0)  # 3.3 MB
    assert done.returncode == 3
    assert done.stderr.startswith("OSError 28:")
    assert "MB are free; nothing was written" in done.stderr
    assert (path.read_bytes() if path.exists() else None) == before


def test_a_disk_that_fills_up_meanwhile(small_disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Others write, too."""
    path = small_disk / "a.h5"
    numbers(n=1000).sid.to_nsid(path, group="old")
    before = path.read_bytes()
    monkeypatch.setattr(_target, "_room", lambda *_: None)
    for large, mode in ((0, "a"), (2**40, "a"), (0, "w")):
        monkeypatch.setattr(_target, "LARGE", large)
        with pytest.raises(OSError, match="cannot be written: disk full; the old file is as it was") as caught:
            numbers(n=2_000_000).sid.to_nsid(path, mode=mode)
        assert caught.value.errno == 28
        assert path.read_bytes() == before
        assert only(path) == ["a.h5"]
    numbers(n=1000).sid.to_nsid(path)


def test_a_disk_that_reports_late(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A network disk may take everything, and tell at the end that there was no room."""
    path = tmp_path / "a.h5"
    numbers().sid.to_nsid(path, group="old")
    before = path.read_bytes()

    def fail(_: int) -> None:
        raise OSError(122, "Disk quota exceeded")

    for large, mode in ((0, "a"), (2**40, "a"), (0, "w")):
        monkeypatch.setattr(_target, "LARGE", large)
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", fail)
            with pytest.raises(OSError, match="cannot be written: disk quota exceeded; the old file is as it was"):
                numbers(2).sid.to_nsid(path, mode=mode)
        assert path.read_bytes() == before
        assert only(path) == ["a.h5"]


@pytest.mark.parametrize("where", ["/proc/a.h5", "/sys/a.h5", "/dev/null/a.h5"])
def test_a_place_where_nothing_can_be_written(where: str) -> None:
    if not Path(where).parent.exists():
        pytest.skip("no such place here")
    with pytest.raises(OSError, match=r"a\.h5|no folder") as caught:
        numbers().sid.to_nsid(where)
    assert ".lock" not in str(caught.value)
    assert "nothing was written" in str(caught.value) or "no folder" in str(caught.value)


def test_no_permission_on_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the rights that a folder shows are not those that it has."""

    def refuse(path: str, *_: Any) -> int:
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(_locks.os, "open", refuse)
    with pytest.raises(
        PermissionError, match=r"cannot write 'a\.h5' in .*: permission denied; nothing was written"
    ) as caught:
        numbers().sid.to_nsid(tmp_path / "a.h5")
    assert ".lock" not in str(caught.value)


SLOW = """
    import sys, time
    import dask, numpy as np, xarray as xr, sid_xarray as sid
    from sid_xarray.io import _locks, _target

    path, how, source = sys.argv[1:]
    _target.LARGE = 0 if how == "in place" else 2**40
    values = xr.DataArray(np.random.default_rng(0).normal(size=(64, 64, 400)), dims=("y", "x", "energy"), name="new")

    def slow(block):
        if block.size:
            print("block", flush=True)
            time.sleep(0.1)
        return block

    if source == "dask":
        values = values.chunk(y=1)
        values = values.copy(data=values.data.map_blocks(slow, dtype=float, meta=np.empty((0, 0, 0))))
    else:
        from sid_xarray.io._draft import Draft
        append = Draft._append

        def slowly(self, view, place):
            slow(np.ones(1))
            append(self, view, place)

        Draft._append = slowly
    try:
        values.sid.to_nsid(path, group="new", mode="w" if how == "replace" else "a")
    except KeyboardInterrupt:
        raise SystemExit(130)
"""


@pytest.fixture
def _heard() -> Iterator[None]:
    """Hear Ctrl-C also where the tests were started in the background, which makes a shell ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.skipif(os.name == "nt", reason="signals are others there")
@pytest.mark.usefixtures("_heard")
@pytest.mark.parametrize("source", ["numpy", "dask"])
@pytest.mark.parametrize("how", ["new", "replace", "copy", "in place"])
def test_ctrl_c(tmp_path: Path, how: str, source: str) -> None:
    path = tmp_path / "a.h5"
    if how != "new":
        numbers().sid.to_nsid(path, group="old")
    before = path.read_bytes() if how != "new" else None
    command = [sys.executable, "-c", textwrap.dedent(SLOW), str(path), how, source]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for _ in range(3):
            process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, said = process.communicate()
    assert process.returncode == 130, said
    assert (path.read_bytes() if path.exists() else None) == before
    assert only(path) == (["a.h5"] if before else [])


@pytest.mark.usefixtures("_heard")
def test_ctrl_c_at_the_very_end_is_heard_after_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.h5"
    numbers().sid.to_nsid(path, group="old")
    monkeypatch.setattr(_target, "LARGE", 0)
    apply = _target._redo.apply

    def interrupted(*args: Any) -> None:
        _thread.interrupt_main()
        apply(*args)

    monkeypatch.setattr(_target._redo, "apply", interrupted)
    with pytest.raises(KeyboardInterrupt):
        numbers(2).sid.to_nsid(path, group="new")
    assert len(sid.open(path).children) == 2
    assert only(path) == ["a.h5"]
