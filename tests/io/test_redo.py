"""Adding to a large file where it is: whatever happens, it holds the old or the new."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

import sid_xarray as sid
from sid_xarray.errors import FormatError, SidWarning
from sid_xarray.io import _redo, _target
from sid_xarray.io._draft import PAGE, Overlay
from sid_xarray.io.checksum import verify_file

pytestmark = pytest.mark.skipif(os.name == "nt", reason="there are no locks to rely on: files are copied")


@pytest.fixture(autouse=True)
def in_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_target, "LARGE", 0)


def numbers(seed: int, n: int = 20_000) -> xr.DataArray:
    return xr.DataArray(np.random.default_rng(seed).normal(size=n), dims="x", name=f"v{seed}")


def add(path: Path, seed: int, **options: Any) -> str:
    return str(numbers(seed).sid.to_nsid(path, group=f"g{seed}", **options))


def holds(path: Path) -> list[int]:
    """Which arrays there are; all are whole."""
    with sid.open(path) as tree:
        found = {int(str(da.name)[1:]): da.values for da in tree.sid.signals.values() if da.name != "other"}
    for seed, values in found.items():
        np.testing.assert_array_equal(values, numbers(seed, len(values)).values)
    assert all(f.ok for f in verify_file(path))
    return sorted(found)


def only(path: Path) -> list[str]:
    return sorted(p.name for p in path.parent.iterdir())


class Stop(BaseException):
    """The process is gone here."""


def half(pages: Any) -> Any:
    *_, last = found = list(pages)
    place, content = last
    return [*found[: len(found) // 2], (place, content[:512])]


def killed_at(path: Path, monkeypatch: pytest.MonkeyPatch, name: str, seed: int = 2) -> None:
    """Add an array, and vanish at a step of the end: nothing that would tidy up is done."""
    pages = _redo.Redo.pages

    def stop(*_: Any) -> None:
        raise Stop

    with monkeypatch.context() as patch:
        if name == "publish":
            patch.setattr(_redo, "publish", stop)
        else:  # half of the changes are made, the last page in part
            patch.setattr(_redo.Redo, "pages", lambda self, h: half(pages(self, h)))
            patch.setattr(_redo, "sync_folder", lambda _: patch.setattr(os, "ftruncate", stop))
        patch.setattr(Overlay, "drop", lambda self: None)
        patch.setattr(os, "unlink", lambda path: None)
        with pytest.raises(Stop):
            add(path, seed)


def test_the_old_bytes_stay_until_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.h5"
    add(path, 1)
    before, inode = path.read_bytes(), path.stat().st_ino
    seen: list[bytes] = []
    publish = _redo.publish
    monkeypatch.setattr(_redo, "publish", lambda *args: seen.append(path.read_bytes()) or publish(*args))
    add(path, 2)
    (during,) = seen
    assert during.startswith(before)
    assert len(during) > len(before) + numbers(2).nbytes
    assert path.stat().st_ino == inode
    assert holds(path) == [1, 2]
    assert only(path) == ["a.h5"]


def test_killed_before_the_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.h5"
    add(path, 1)
    size = path.stat().st_size
    killed_at(path, monkeypatch, "publish")
    assert path.stat().st_size > size  # what was written behind the end is of no harm
    with h5py.File(path) as file:
        assert list(file) == ["g1"]
    assert holds(path) == [1]
    add(path, 3)
    assert holds(path) == [1, 3]
    assert path.stat().st_size < 2.5 * size
    assert only(path) == ["a.h5"]


def test_killed_while_the_changes_are_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.h5"
    add(path, 1)
    killed_at(path, monkeypatch, "apply")
    assert ".a.h5.redo" in only(path)
    assert holds(path) == [1, 2]
    assert ".a.h5.redo" not in only(path)
    add(path, 3)
    assert holds(path) == [1, 2, 3]
    assert only(path) == ["a.h5"]


def test_the_next_writer_finishes_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.h5"
    add(path, 1)
    killed_at(path, monkeypatch, "apply")
    add(path, 3)
    assert holds(path) == [1, 2, 3]
    killed_at(path, monkeypatch, "apply", 4)
    numbers(4).sid.to_nsid(path, mode="w")
    assert holds(path) == [4]
    assert only(path) == ["a.h5"]


def crashed(path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[bytes, bytes]:
    """Leave a file and its record behind; return the file before anything was changed, and half changed."""
    add(path, 1)
    with monkeypatch.context() as patch:
        whole: list[bytes] = []
        apply = _redo.apply
        patch.setattr(_redo, "apply", lambda *args: whole.append(path.read_bytes()) or apply(*args))
        shutil.copy(path, path.with_name("copy.h5"))
        add(path, 2)
        shutil.move(path.with_name("copy.h5"), path)
    killed_at(path, monkeypatch, "apply")
    return whole[0], path.read_bytes()


def test_a_record_that_is_past_is_dropped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody put another file in its place, or wrote to it."""
    path = tmp_path / "a.h5"
    untouched, _ = crashed(path, monkeypatch)
    path.write_bytes(untouched)
    with h5py.File(path, "r+") as file:
        file.create_dataset("other", data=np.arange(1000))
    with pytest.warns(SidWarning, match="was changed by another program before what had been added was complete"):
        assert holds(path) == [1]
    assert ".a.h5.redo" not in only(path)
    assert holds(path) == [1]


def test_a_record_that_is_another_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.h5"
    crashed(path, monkeypatch)
    os.unlink(path)
    with h5py.File(path, "w") as file:
        file.create_dataset("other", data=np.arange(10.0))
    before = path.read_bytes()
    with pytest.warns(SidWarning, match="That is dropped"), pytest.raises(FormatError, match="none of them NSID"):
        sid.open(path)
    assert path.read_bytes() == before


def test_half_of_a_change_in_another_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.h5"
    _, half = crashed(path, monkeypatch)
    path.write_bytes(half[:-10])
    with pytest.raises(FormatError, match=r"no longer what the record of that, .*redo, says"):
        sid.open(path)


def test_a_damaged_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.h5"
    crashed(path, monkeypatch)
    record = tmp_path / ".a.h5.redo"
    good = record.read_bytes()
    for bad in (b"", good[:-1], good[:-80] + bytes(80), good[:-100] + b"\x01" + good[-99:]):
        record.write_bytes(bad)
        with pytest.raises(FormatError, match=r"the record of that, .*, is damaged"):
            sid.open(path)
    record.write_bytes(good)
    assert holds(path) == [1, 2]


def test_only_reading_is_allowed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.h5"
    untouched, half = crashed(path, monkeypatch)
    record = (tmp_path / ".a.h5.redo").read_bytes()

    def refuse(target: str) -> Any:
        raise PermissionError(13, "no")

    monkeypatch.setattr(_redo, "only_writer", refuse)
    with pytest.raises(FormatError, match="Open it once where you have permission to write"):
        sid.open(path)
    path.write_bytes(untouched)
    assert holds(path) == [1]
    assert (tmp_path / ".a.h5.redo").read_bytes() == record
    assert half != untouched


def test_open_elsewhere_for_reading(tmp_path: Path) -> None:
    """The reader keeps its version, and the file is complete for all others."""
    path = tmp_path / "a.h5"
    add(path, 1)
    with h5py.File(path) as file:
        add(path, 2)
        assert list(file) == ["g1"]
        np.testing.assert_array_equal(file["g1/v1"][...], numbers(1).values)
        assert holds(path) == [1, 2]
    add(path, 3)
    assert holds(path) == [1, 2, 3]
    assert only(path) == ["a.h5"]


def test_open_elsewhere_for_writing(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    add(path, 1)
    with h5py.File(path, "r+"), pytest.raises(BlockingIOError, match="open for writing elsewhere; nothing was written"):
        add(path, 2)
    assert holds(path) == [1]


def test_nobody_writes_meanwhile(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    add(path, 1)
    with _target.editing(path, mode="a") as file:
        file["other"] = np.arange(3)
        with pytest.raises(BlockingIOError):
            h5py.File(path, "r+")
        with h5py.File(path) as reader:
            assert list(reader) == ["g1"]
        with pytest.raises(BlockingIOError, match="is being written by another process"):
            add(path, 2)
    with h5py.File(path) as reader:
        assert list(reader) == ["g1", "other"]


@pytest.mark.parametrize("chunks", [None, {"x": 3000}])
def test_from_the_very_file(tmp_path: Path, chunks: Any) -> None:
    path = tmp_path / "a.h5"
    add(path, 1)
    lazy = sid.open_dataarray(path, chunks=chunks)
    (lazy * 2).rename("twice").sid.to_nsid(path, group="twice")
    np.testing.assert_array_equal(sid.open(path)["/twice"]["twice"].values, numbers(1).values * 2)
    np.testing.assert_array_equal(lazy.values, numbers(1).values)
    lazy.isel(x=slice(500)).sid.to_nsid(path, group="g1", overwrite=True)
    assert sid.open(path)["/g1"]["v1"].size == 500


def test_an_error_gives_the_file_back(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    add(path, 1)
    before = path.read_bytes()
    for error in (RuntimeError, KeyboardInterrupt):
        with pytest.raises(error), _target.editing(path, mode="a") as file:
            file["other"] = np.arange(100_000)
            raise error
        assert path.read_bytes() == before
        assert only(path) == ["a.h5"]


@pytest.mark.parametrize("libver", ["earliest", "v108", "v110", "latest"])
def test_files_of_every_age(tmp_path: Path, libver: str) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w", libver=libver) as file:
        file["other"] = np.arange(1000)
    size = path.stat().st_size
    with open(path, "rb") as raw:
        assert _redo.eof_of(raw.fileno()) == size
    inode = path.stat().st_ino
    add(path, 1)
    assert holds(path) == [1]
    assert path.stat().st_ino == inode
    with h5py.File(path) as file:
        np.testing.assert_array_equal(file["other"][...], np.arange(1000))


def test_files_that_do_not_say_where_they_end(tmp_path: Path) -> None:
    """With a block of somebody else in front, or never closed: they are copied, or refused by HDF5."""
    path = tmp_path / "a.h5"
    with h5py.File(path, "w", userblock_size=512) as file:
        file["other"] = np.arange(1000)
    inode = path.stat().st_ino
    add(path, 1)
    assert holds(path) == [1]
    assert path.stat().st_ino != inode
    cut = tmp_path / "cut.h5"
    cut.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(FormatError, match="cannot be added to"):
        add(cut, 2)
    other = tmp_path / "text.h5"
    other.write_bytes(b"a table of numbers" * 100)
    with pytest.raises(FormatError, match="cannot be added to"):
        add(other, 2)


def test_what_was_overwritten_is_used_again(tmp_path: Path) -> None:
    """HDF5 puts new values where the old group was: these pages wait aside, too."""
    path = tmp_path / "a.h5"
    add(path, 1)
    add(path, 2)
    numbers(1)[::-1].sid.to_nsid(path, group="g1", overwrite=True)
    with sid.open(path) as tree:
        np.testing.assert_array_equal(tree["/g1"]["v1"].values, numbers(1).values[::-1])
        np.testing.assert_array_equal(tree["/g2"]["v2"].values, numbers(2).values)
    assert all(f.ok for f in verify_file(path))


steps = st.lists(
    st.one_of(
        st.tuples(st.just("write"), st.integers(0, 5 * PAGE), st.binary(min_size=1, max_size=2 * PAGE)),
        st.tuples(st.just("cut"), st.integers(0, 5 * PAGE), st.just(b"")),
    ),
    max_size=8,
)


@given(st.integers(1, 3 * PAGE), st.integers(0, PAGE), steps)
@settings(deadline=None, max_examples=200)
def test_an_overlay_is_a_file(tmp_path_factory: Any, old: int, tail: int, steps: Any) -> None:
    """Reads and writes are those of a file; that on the disk keeps its old bytes; the record makes one of the other."""
    path = tmp_path_factory.mktemp("overlay") / "a"
    content = np.random.default_rng(0).integers(0, 256, old + tail, dtype="u1").tobytes()
    path.write_bytes(content)
    overlay = Overlay(str(path), old, f"{path}.aside")
    model = bytearray(content[:old])
    for what, place, data in steps:
        if what == "cut":
            overlay.truncate(place)
            model = model[:place] + bytes(max(0, place - len(model)))
            continue
        if place > len(model):
            overlay.truncate(place)  # as HDF5 does: it leaves no holes
            model += bytes(place - len(model))
        overlay.seek(place)
        overlay.write(data)
        model[place : place + len(data)] = data
    overlay.seek(0)
    cuts = [place for what, place, _ in steps if what == "cut"]
    assert overlay.size == len(model)
    if not any(place < old for place in cuts):  # HDF5 never looks again at what it cut off
        assert overlay.read() == bytes(model)
    assert path.read_bytes()[:old] == content[:old]
    redo = _redo.publish(overlay, str(path))
    assert path.read_bytes()[:old] == content[:old]
    for _ in range(2):
        record = path.with_name(f".{path.name}.redo")
        kept = record.read_bytes()
        _redo.apply(redo, str(record), overlay.fd)
        if not any(place < old for place in cuts):
            assert path.read_bytes() == bytes(model)
        record.write_bytes(kept)
    overlay.close()
