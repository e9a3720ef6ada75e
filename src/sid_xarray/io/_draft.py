"""Files that HDF5 writes through us, so that we know what happens to every byte.

HDF5 ends the process when it meets a full disk on its way out. Here an error is kept, HDF5 gets on as if nothing had
happened, and the file is thrown away. And a file that is added to can be written to without a change of what it holds:
new bytes go behind its old end, where no reader looks, changed old ones aside, until all is there.
"""

from __future__ import annotations

import os
import threading
import zlib
from typing import Any

from sid_xarray.io._signals import uninterrupted

__all__ = ["PAGE", "SECTOR", "Draft", "Overlay", "read_at", "sectors", "write_at"]

PAGE = 4096
SECTOR = 512
"""Bytes that a disk writes whole or not at all."""
_SYNC_EVERY = 64 * 2**20


class Draft:
    """A new file, as a file object for h5py.

    Parameters
    ----------
    path : str
        It must not be there, or be a copy that nobody else knows.

    Attributes
    ----------
    error : BaseException or None
        What went wrong first. Nothing is written from then on.
    closing : bool
        Whether errors are kept to ourselves.
    """

    flags = os.O_RDWR | os.O_CREAT

    def __init__(self, path: str) -> None:
        self.path = path
        self.fd = os.open(path, self.flags | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0), 0o666)
        self.size = os.fstat(self.fd).st_size
        self.position = 0
        self.error: BaseException | None = None
        self.closing = False
        self._unsynced = 0
        self._syncing: threading.Thread | None = None

    def __repr__(self) -> str:
        return self.path

    @uninterrupted
    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a place."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self.position, os.SEEK_END: self.size}[whence]
        self.position = base + offset
        return self.position

    @uninterrupted
    def tell(self) -> int:
        """Return the place."""
        return self.position

    @uninterrupted
    def read(self, count: int = -1) -> bytes:
        """Return some bytes."""
        left = max(0, self.size - self.position)
        buffer = bytearray(left if count < 0 else min(count, left))
        self.readinto(buffer)
        return bytes(buffer)

    @uninterrupted
    def readinto(self, buffer: Any) -> int:
        """Fill a buffer; behind the end there are zeros."""
        view = memoryview(buffer).cast("B")
        done = 0
        while done < len(view):
            got = _pread(self.fd, view[done:], self.position + done)
            if got == 0:
                view[done:] = bytes(len(view) - done)
                break
            done += got
        self._patch(view, self.position)
        self.position += len(view)
        return len(view)

    @uninterrupted
    def write(self, data: Any) -> int:
        """Write all of some bytes."""
        view = memoryview(data).cast("B")
        if self.error is None or not self.closing:
            self._kept(self._put, view, self.position)
        self.position += len(view)
        self.size = max(self.size, self.position)
        return len(view)

    @uninterrupted
    def truncate(self, size: int | None = None) -> int:
        """Set the size."""
        wanted = self.position if size is None else size
        if self.error is None or not self.closing:
            self._kept(self._cut, wanted)
        self.size = wanted
        return wanted

    @uninterrupted
    def flush(self) -> None:
        """Do nothing: nothing is held back."""

    def sync(self) -> None:
        """Wait until everything is on the disk.

        Raises
        ------
        OSError
            If it is not, or something went wrong before.
        """
        if self._syncing is not None:
            self._syncing.join()
        if self.error is not None:
            raise self.error
        os.fsync(self.fd)

    def close(self) -> None:
        """Close the file; calls after the first do nothing."""
        if self._syncing is not None:
            self._syncing.join()
            self._syncing = None
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def _put(self, view: memoryview, place: int) -> None:
        self._append(view, place)

    def _cut(self, size: int) -> None:
        os.ftruncate(self.fd, size)

    def _patch(self, view: memoryview, place: int) -> None:
        """Put into what was read what the file itself does not hold yet."""

    def _append(self, view: memoryview, place: int) -> None:
        done = 0
        while done < len(view):
            done += _pwrite(self.fd, view[done:], place + done)
        self._unsynced += len(view)
        if self._unsynced >= _SYNC_EVERY and (self._syncing is None or not self._syncing.is_alive()):
            # The disk is kept busy while we compute; at the end there is less to wait for.
            self._unsynced = 0
            self._syncing = threading.Thread(target=self._sync_quietly, name="sid-sync", daemon=True)
            self._syncing.start()

    def _sync_quietly(self) -> None:
        try:
            getattr(os, "fdatasync", os.fsync)(self.fd)
        except OSError as error:
            self.error = self.error or error

    def _kept(self, work: Any, *args: Any) -> None:
        try:
            work(*args)
        except BaseException as error:  # also Ctrl-C: HDF5 would make something else of it
            self.error = self.error or error
            if not self.closing:
                raise


class Overlay(Draft):
    """A file that is there, as a file object for h5py; what it holds stays as it is.

    Parameters
    ----------
    path : str
    old : int
        Where what it holds ends: the rest is free.
    aside : str
        File for the new content of old pages; made when there are any.

    Attributes
    ----------
    pages : dict
        From the number of a page to its place in the file aside, and the CRC-32 of every sector of its old content.
    """

    flags = os.O_RDWR

    def __init__(self, path: str, old: int, aside: str) -> None:
        super().__init__(path)
        self.old, self.size, self.aside = old, old, aside
        if os.fstat(self.fd).st_size > old:  # left by a writer that was killed; what would be read there are zeros
            os.ftruncate(self.fd, old)
        self.pages: dict[int, tuple[int, tuple[int, ...]]] = {}
        self.aside_fd = -1

    def page(self, number: int) -> bytes:
        """Return the new content of a page."""
        slot, _ = self.pages[number]
        return read_at(self.aside_fd, self._length(number), slot * PAGE)

    def opened_aside(self) -> int:
        """Return the file aside, open; it is made when it is needed."""
        if self.aside_fd < 0:
            flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0)
            # Whoever may read the file may have to finish what is written here.
            self.aside_fd = os.open(self.aside, flags, os.fstat(self.fd).st_mode & 0o777)
        return self.aside_fd

    def close(self) -> None:
        """Close both files; calls after the first do nothing."""
        super().close()
        if self.aside_fd >= 0:
            os.close(self.aside_fd)
            self.aside_fd = -1

    def drop(self) -> None:
        """Give the file back as it was."""
        if self._syncing is not None:
            self._syncing.join()
        if os.fstat(self.fd).st_size > self.old:
            os.ftruncate(self.fd, self.old)

    def _length(self, number: int) -> int:
        return min(PAGE, self.old - number * PAGE)

    def _numbers(self, place: int, count: int) -> range:
        stop = min(place + count, self.old)
        return range(place // PAGE, -(-stop // PAGE)) if stop > place else range(0)

    def _put(self, view: memoryview, place: int) -> None:
        for number in self._numbers(place, len(view)):
            start = number * PAGE
            length = self._length(number)
            low, high = max(place, start), min(place + len(view), start + length)
            slot = self._slot(number, whole=high - low == length)
            write_at(self.aside_fd, view[low - place : high - place], slot * PAGE + low - start)
        behind = max(0, self.old - place)
        if behind < len(view):
            self._append(view[behind:], place + behind)

    def _slot(self, number: int, *, whole: bool) -> int:
        """Return the place of a page in the file aside; at first it gets the old content."""
        if number in self.pages:
            return self.pages[number][0]
        self.opened_aside()
        slot = len(self.pages)
        content = read_at(self.fd, self._length(number), number * PAGE)
        if not whole:
            write_at(self.aside_fd, memoryview(content), slot * PAGE)
        self.pages[number] = slot, tuple(zlib.crc32(part) for part in sectors(content))
        return slot

    def _cut(self, size: int) -> None:
        os.ftruncate(self.fd, max(size, self.old))

    def _patch(self, view: memoryview, place: int) -> None:
        for number in self._numbers(place, len(view)):
            if number in self.pages:
                start = number * PAGE
                low, high = max(place, start), min(place + len(view), start + self._length(number))
                view[low - place : high - place] = self.page(number)[low - start : high - start]


def _pread(fd: int, view: memoryview, place: int) -> int:
    if hasattr(os, "preadv"):
        return os.preadv(fd, [view], place)
    os.lseek(fd, place, os.SEEK_SET)
    got = os.read(fd, len(view))
    view[: len(got)] = got
    return len(got)


def _pwrite(fd: int, view: memoryview, place: int) -> int:
    if hasattr(os, "pwrite"):
        return os.pwrite(fd, view, place)
    os.lseek(fd, place, os.SEEK_SET)
    return os.write(fd, view)


def sectors(page: bytes) -> list[bytes]:
    """Return the parts of a page that a disk writes whole or not at all; the last may be short."""
    return [page[i : i + SECTOR] for i in range(0, PAGE, SECTOR)]


def read_at(fd: int, count: int, place: int) -> bytes:
    """Return bytes of an open file; fewer where it ends."""
    buffer = bytearray(count)
    done = 0
    while done < count:
        got = _pread(fd, memoryview(buffer)[done:], place + done)
        if got == 0:
            break
        done += got
    return bytes(buffer[:done])


def write_at(fd: int, view: memoryview, place: int) -> None:
    """Write all of some bytes to an open file."""
    done = 0
    while done < len(view):
        done += _pwrite(fd, view[done:], place + done)
