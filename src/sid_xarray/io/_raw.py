"""Bytes of an HDF5 file that nobody writes, and its heaps of text and lists; see `_headers`."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable

import h5py

__all__ = ["EndlessError", "OddError", "Raw"]

_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_PAGE = 16 * 2**10
_MOST_PAGES = 1024
_LARGEST = 64 * 2**20
_FARTHEST = 2**62
# A file of a hundred signals takes twenty thousand steps. What a hostile one makes of few bytes ends here.
_MOST_STEPS = 5_000_000
_BYTES_A_STEP = 64
_SHORT = _BYTES_A_STEP
_NOTHING = 0, -1
_MOST_ALIKE, _LARGEST_ALIKE = 4, 8192
Objects = dict[int, tuple[int, int]]
Alike = tuple[Callable[[bytes], tuple[int, ...]], tuple[int, ...], Objects, bool]
_HEAP_ID = struct.Struct("<IQI")
_HEAP_OBJECT = struct.Struct("<H6xQ")


class OddError(Exception):
    """Something that is left to HDF5; never seen outside."""


class EndlessError(OddError):
    """Something damaged that must not be left to HDF5, which would read it for ever."""


class Raw:
    """The bytes of a file.

    Parameters
    ----------
    descriptor : int
        Of the open file.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._left = _MOST_STEPS
        self._pages: dict[int, bytes] = {}
        self._heaps: dict[int, tuple[bytes, Objects, bool]] = {}
        self._alike: dict[int, tuple[Alike, ...]] = {}

    @classmethod
    def of(cls, file: h5py.File) -> Raw | None:
        """Return the bytes of a file; None where only HDF5 itself can read them.

        That is: on a system without ``pread``, while someone in this process writes the file and not all of it is on
        the disk, and in files that do not begin as the older versions of the library let them begin.
        """
        try:
            if not hasattr(os, "pread") or file.driver != "sec2" or file.id.get_intent() & h5py.h5f.ACC_RDWR:
                return None
            # The descriptor of HDF5 itself: another file may have come to the path meanwhile.
            found = cls(file.id.get_vfd_handle())
            start = found.read(0, 16)
        except (OSError, ValueError, TypeError, RuntimeError, NotImplementedError, OddError):
            return None
        return found if start[:8] == _SIGNATURE and start[8] in (0, 1) and start[13:15] == b"\x08\x08" else None

    def window(self, start: int, length: int) -> tuple[bytes, int]:
        """Return bytes among which those of a place are, and where: nothing is copied, of what many small parts make.

        Raises
        ------
        OddError
            If the file ends before, or they are more than anything but values would need.
        """
        first, at = divmod(start, _PAGE)
        page = self._pages.get(first)
        if page is None and start <= _FARTHEST:
            if len(self._pages) >= _MOST_PAGES:
                self._pages.clear()
            page = self._pages[first] = os.pread(self._descriptor, _PAGE, first * _PAGE)
        if page is not None and at + length <= len(page):
            return page, at
        if page is None or at + length <= _PAGE or length > _LARGEST:
            raise OddError
        found = os.pread(self._descriptor, length, start)
        if len(found) < length:
            raise OddError
        return found, 0

    def read(self, start: int, length: int) -> bytes:
        """Return the bytes of a place and no others; see `window`."""
        found, at = self.window(start, length)
        return found[at : at + length]

    def spend(self, steps: int) -> None:
        """Take note of some steps of work.

        Raises
        ------
        OddError
            If there were too many altogether.
        """
        self._left -= steps
        if self._left < 0:
            raise OddError

    def text(self, chunk: bytes, at: int) -> str:
        """Return the text that a reference into a global heap leads to, given bytes and where in them it is."""
        # The same as `held`, without its generality: most of what a file says is a short text.
        length, address, index = _HEAP_ID.unpack_from(chunk, at)
        heap = self._heaps.get(address)
        if heap is None or length > _SHORT:
            found = self.held(chunk, at, 1)
        else:
            start, size = heap[1].get(index, _NOTHING)
            self._left -= 1
            if length > size or self._left < 0:
                found = self.held(chunk, at, 1)
            else:
                found = heap[0][start : start + length]
        # It ends where it says, or at the first zero.
        return (found if 0 not in found else found[: found.index(0)]).decode("utf-8", "surrogateescape")

    def held(self, chunk: bytes, at: int, width: int) -> bytes:
        """Return what a reference into a global heap leads to: so many items of some bytes each."""
        length, address, index = _HEAP_ID.unpack_from(chunk, at)
        if length == 0:
            return b""
        nbytes = length * width
        self._left -= 1 + nbytes // _BYTES_A_STEP
        heap = self._heaps.get(address)
        if heap is None:
            heap = self._heaps[address] = self._heap(address)
        at, size = heap[1].get(index, _NOTHING)
        if nbytes > size or self._left < 0:
            raise EndlessError if heap[2] else OddError
        return heap[0][at : at + nbytes]

    def _heap(self, address: int) -> tuple[bytes, Objects, bool]:
        """Return a heap, where its objects lie, and whether HDF5 would never get to its end."""
        self.spend(0)  # whoever has spent all gets no further heap
        start = self.read(address, 16)
        if start[:5] != b"GCOL\x01":
            raise OddError
        length = int.from_bytes(start[8:], "little")
        heap = self.read(address, length)
        objects, endless = self._told(heap)
        self.spend(len(objects))
        return heap, objects, endless

    def _told(self, heap: bytes) -> tuple[Objects, bool]:
        """Return what `_objects` does; heaps of signals that are alike tell the same, which one call sees."""
        known = self._alike.get(len(heap), ())
        for unpack, sizes, objects, endless in known:
            if unpack(heap) == sizes:
                return objects, endless
        objects, endless = _objects(heap)
        if len(known) < _MOST_ALIKE and len(heap) <= _LARGEST_ALIKE:
            unpack = _sizes_of(objects, heap)
            self._alike[len(heap)] = (*known, (unpack, unpack(heap), objects, endless))
        return objects, endless


def _objects(heap: bytes) -> tuple[Objects, bool]:
    """Return where the objects of a heap lie, by number, and whether HDF5 would never get to its end."""
    objects: Objects = {}
    at, length = 16, len(heap)
    while at + 16 <= length:
        index, size = _HEAP_OBJECT.unpack_from(heap, at)
        at += 16
        if index == 0 or index in objects or at + size > length:
            return objects, bool(index == size == 0)  # free space up to the end; of no size: HDF5 goes on by that much
        objects[index] = at, size
        at += (size + 7) // 8 * 8
    return objects, False


def _sizes_of(objects: Objects, heap: bytes) -> Callable[[bytes], tuple[int, ...]]:
    """Return what reads the numbers and sizes by which these objects were found, and those that ended the search."""
    form, last = "<", 0
    places = [at - 16 for at, _ in objects.values()]
    at, size = list(objects.values())[-1] if objects else (16, 0)
    end = at + (size + 7) // 8 * 8
    places += [end] if end + 16 <= len(heap) else []
    for place in places:
        form += f"{place - last}xH6xQ"
        last = place + 16
    return struct.Struct(form).unpack_from
