"""Changes of a file that was added to: written down beside it, then done, so that they are done whole or not at all.

The record holds the new content of every page that changes. Once it is there, under its name and on the disk, the file
counts as changed: whoever comes next does what it says, again if need be. Without it the file counts as unchanged.
"""

from __future__ import annotations

import contextlib
import os
import struct
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from sid_xarray.errors import FormatError, warn
from sid_xarray.io._draft import PAGE, SECTOR, Overlay, read_at, sectors, write_at
from sid_xarray.io._locks import only_writer, try_alone

__all__ = ["Redo", "apply", "eof_of", "publish", "record_of", "recover", "sync_folder"]

_MAGIC = b"sidredo1"
_ROW = struct.Struct(f"<QQ{PAGE // SECTOR}I")
_TRAILER = struct.Struct("<8sQQQQQI")
_PATIENCE = 30.0
_SIGNATURE = b"\x89HDF\r\n\x1a\n"


@dataclass(frozen=True)
class Redo:
    """What a record says.

    Attributes
    ----------
    old, physical, size : int
        Where the old content ends, where the file ends while the record is there, where it will end.
    rows : list of (number, slot, old)
        Of every page: its number, its place in the record, and the CRC-32 of every sector that it had before.
    """

    old: int
    physical: int
    size: int
    rows: list[tuple[int, int, tuple[int, ...]]]

    def pages(self, handle: int) -> Iterator[tuple[int, bytes]]:
        """Yield the place in the file and the new content of every page."""
        for number, slot, _ in self.rows:
            yield number * PAGE, read_at(handle, min(PAGE, self.old - number * PAGE), slot * PAGE)


def record_of(target: str) -> str:
    """Return where the record of a file lies."""
    folder, name = os.path.split(target)
    return os.path.join(folder, f".{name}.redo")


def publish(overlay: Overlay, target: str) -> Redo:
    """Write the record of all changes; when this returns, they count as done.

    Raises
    ------
    OSError
        If it cannot be written; nothing is changed then.
    """
    overlay.sync()
    rows = [(number, *place) for number, place in sorted(overlay.pages.items())]
    redo = Redo(overlay.old, os.fstat(overlay.fd).st_size, overlay.size, rows)
    table = b"".join(_ROW.pack(number, slot, *old) for number, slot, old in rows)
    start = len(rows) * PAGE
    head = (_MAGIC, redo.old, redo.physical, redo.size, len(rows), start)
    trailer = _TRAILER.pack(*head, zlib.crc32(table + repr(head).encode()))
    handle = overlay.opened_aside()
    write_at(handle, memoryview(table + trailer), start)
    os.ftruncate(handle, start + len(table) + len(trailer))
    os.fsync(handle)
    os.rename(overlay.aside, record_of(target))
    sync_folder(os.path.dirname(target))
    return redo


def apply(redo: Redo, record: str, handle: int) -> None:
    """Do what a record says, and remove it; done twice it does no harm.

    Parameters
    ----------
    redo : Redo
    record : str
    handle : int
        The file, open for writing.
    """
    source = os.open(record, os.O_RDONLY)
    try:
        for place, content in redo.pages(source):
            write_at(handle, memoryview(content), place)
    finally:
        os.close(source)
    os.ftruncate(handle, redo.size)
    os.fsync(handle)
    os.unlink(record)
    sync_folder(os.path.dirname(record))


def read(record: str, target: str) -> Redo:
    """Read a record.

    Raises
    ------
    FormatError
        If it is damaged.
    """
    with open(record, "rb") as file:
        file.seek(0, os.SEEK_END)
        length = file.tell()
        file.seek(max(0, length - _TRAILER.size))
        trailer = file.read()
        try:
            *head, crc = _TRAILER.unpack(trailer)
            magic, old, physical, size, count, start = head
            whole = magic == _MAGIC and start + count * _ROW.size + _TRAILER.size == length
            file.seek(start if whole else 0)
            table = file.read(count * _ROW.size) if whole else b""
            if not whole or zlib.crc32(table + repr(tuple(head)).encode()) != crc:
                raise struct.error("no record")
            found = [_ROW.unpack_from(table, i * _ROW.size) for i in range(count)]
            rows = [(number, slot, tuple(crcs)) for number, slot, *crcs in found]
            if size > physical or any(n * PAGE >= old or slot >= count for n, slot, *_ in rows):
                raise struct.error("no record of ours")
        except struct.error as error:
            why = f"was not finished writing, and the record of that, {record}, is damaged. Remove the record"
            raise FormatError(target, "", why) from error
    return Redo(old, physical, size, rows)


def recover(path: str | os.PathLike[str]) -> None:
    """Finish what a writer that was killed had written down; without a record beside the file nothing is done.

    Raises
    ------
    FormatError
        If a half-done change cannot be finished.
    BlockingIOError
        If another process is writing the file and does not come to an end.
    """
    target = os.path.realpath(path)
    record = record_of(target)
    end = time.monotonic() + _PATIENCE
    while os.path.exists(record):
        try:
            with only_writer(target):
                if os.path.exists(record):
                    finish(target)
                return
        except BlockingIOError:
            # Its writer lives, and is doing just that.
            if time.monotonic() > end:
                raise
            time.sleep(0.01)
        except FormatError:
            raise
        except OSError:  # no permission, or a disk that is only read
            _readable(target, record)
            return


def finish(target: str, *, writing: bool = False) -> None:
    """Do what the record of a file says, given the lock of its writers.

    Parameters
    ----------
    target : str
    writing : bool
        Whether the file is to be written to; otherwise it is enough that it can be read.

    Raises
    ------
    BlockingIOError
        If the file is open elsewhere, so that it cannot be changed, and is to be written to.
    FormatError
        If the record does not belong to what is in the file.
    """
    record = record_of(target)
    redo = read(record, target)
    handle = os.open(target, os.O_RDWR)
    try:
        state = _state(redo, record, handle)
        if state == "foreign":
            os.unlink(record)
            warn(f"{target}: was changed by another program before what had been added was complete. That is dropped.")
            return
        if state == "damaged":
            raise FormatError(target, "", _HALF.format(record=record))
        # Who has it open reads the old content: it must stay until he is done, unless half of it is gone already.
        if not try_alone(handle) and state != "half":
            if writing:
                raise BlockingIOError(f"{target} is open elsewhere, and must be put in order first. Close it there.")
            return
        apply(redo, record, handle)
    finally:
        os.close(handle)


_HALF = (
    "a writer was killed while it changed this file, and the file is no longer what the record of that, {record}, "
    "says. Restore it from a copy and remove the record"
)


def _readable(target: str, record: str) -> None:
    """Make sure that a file which we must not change can be read as it is."""
    with contextlib.suppress(FileNotFoundError):
        redo = read(record, target)
        handle = os.open(target, os.O_RDONLY)
        try:
            state = _state(redo, record, handle)
        finally:
            os.close(handle)
        if state in ("half", "damaged"):
            why = "a writer was killed while it changed this file. Open it once where you have permission to write"
            raise FormatError(target, "", why)


def _state(redo: Redo, record: str, handle: int) -> str:
    """Tell how much of a record is done in a file: old, half, new; or that it is another's, foreign or damaged."""
    seen = set()
    with open(record, "rb") as source:
        for (place, new), (_, _, crcs) in zip(redo.pages(source.fileno()), redo.rows, strict=True):
            now = read_at(handle, len(new), place)
            for is_now, to_be, crc in zip(sectors(now), sectors(new), crcs, strict=True):
                if crc != zlib.crc32(to_be):
                    seen.add("new" if is_now == to_be else "old" if zlib.crc32(is_now) == crc else "other")
    fits = os.fstat(handle).st_size in (redo.physical, redo.size)
    if "other" not in seen and fits:
        return "half" if seen == {"old", "new"} else "new" if "new" in seen else "old"
    # Another program has written since. If nothing or all was done before, the file is whole, and the record is past.
    return "damaged" if {"old", "new"} <= seen else "foreign"


def eof_of(handle: int) -> int | None:
    """Return where an HDF5 file ends, as it says itself; None if it does not say, or is not closed.

    Parameters
    ----------
    handle : int
        The file, open for reading.
    """
    head = read_at(handle, 64, 0)
    if not head.startswith(_SIGNATURE):
        return None
    version = head[8]
    if version in (0, 1):
        width, place = head[13], 24 if version == 0 else 28
        base, end = struct.unpack_from("<Q", head, place)[0], struct.unpack_from("<Q", head, place + 16)[0]
    elif version in (2, 3):
        width = head[9]
        base, end = struct.unpack_from("<Q", head, 12)[0], struct.unpack_from("<Q", head, 28)[0]
        if head[11] & 0b101:  # open for writing, or never closed
            return None
    else:
        return None
    return int(end) if width == 8 and base == 0 and end <= os.fstat(handle).st_size else None


def sync_folder(folder: str) -> None:
    """Wait until the names in a folder are on the disk, where that can be asked for."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
