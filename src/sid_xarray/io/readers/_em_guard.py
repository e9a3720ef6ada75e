"""Looks at files before rosettasciio does: damaged ones of some kinds make it run for minutes, or end the process."""

from __future__ import annotations

import re
import struct
from typing import Any

from sid_xarray.errors import warn
from sid_xarray.io.readers.source import Source

__all__ = ["HDF5", "check"]

_SIZES = {2: 2, 3: 4, 4: 2, 5: 4, 6: 4, 7: 8, 8: 1, 9: 1, 10: 1, 11: 8, 12: 8}
_STRUCT, _STRING, _ARRAY = 15, 18, 20
_MAX_DEPTH, _MAX_TAGS, _MAX_FIELDS, _MAX_OBJECTS = 64, 1_000_000, 4096, 100_000
HDF5 = frozenset({"emd", "hspy", "nexus", "topspin", "dens"})
"""Plug-ins of files that are HDF5."""


def check(source: Source, plugin: str) -> None:
    """Make sure that a file has the structure that its plug-in will walk through.

    Parameters
    ----------
    source : Source
    plugin : str
        Of rosettasciio.

    Raises
    ------
    FormatError
        If it is damaged.
    """
    if plugin == "digitalmicrograph":
        _Tags(source).walk()
    elif plugin == "mrc":
        _mrc(source)
    elif plugin == "quantumdetector":
        _frames(source)
    elif plugin in HDF5 and source.data is None:
        _hdf5(source)


def _mrc(source: Source) -> None:
    """Make sure that what the header declares can lie in the file, in either order of bytes."""
    raw = source.read(0, 1024, "header")
    for order in "<>":
        sizes, (extra,) = struct.unpack(f"{order}3i", raw[:12]), struct.unpack(f"{order}i", raw[92:96])
        # Two values a byte are the most.
        if min(sizes) > 0 and sizes[0] * sizes[1] * sizes[2] <= 2 * source.size and 0 <= extra <= source.size:
            return
    raise source.error("declares more than the file holds. It is cut off, or damaged", "header")


def _frames(source: Source) -> None:
    """Make sure that the frames of a Merlin file are whole, and say when there are fewer than were asked for."""
    head = source.read(0, min(source.size, 128), "header").split(b",")
    width = {b"U08": 1, b"U16": 2, b"U32": 4}.get(head[6].strip() if len(head) > 6 else b"")
    if width is None:
        return  # raw data of the chip, which the plug-in refuses
    try:
        start, nx, ny = (int(head[i]) for i in (2, 4, 5))
    except ValueError:
        raise source.error("has a damaged header", "header of the first frame") from None
    record = start + width * nx * ny
    count, rest = divmod(source.size, record)
    if start < 1 or nx < 1 or ny < 1 or not count or rest:
        raise source.error(f"has {source.size} bytes, no whole number of frames of {record}. It is cut off")
    beside = source.beside(f"{source.name.rpartition('.')[0]}.hdr")
    said = re.search(rb"Frames in Acquisition \(Number\):\s*(\d{1,9})", beside.head) if beside is not None else None
    if said is not None and int(said[1]) > count:
        warn(f"{source.name} holds {count} frames of {int(said[1])} that were asked for: it was stopped, or is cut off")


class _Tags:
    """The tree of tags of a DM3 or DM4 file, walked over without reading a value."""

    def __init__(self, source: Source) -> None:
        self.source, self.here, self.count = source, 0, 0
        version = self._number("I")
        if version not in (3, 4):
            raise source.error(f"is DM{version}; DM3 and DM4 are known", "header")
        self.long = "Q" if version == 4 else "I"
        self._number(self.long)
        self._number("I")

    def _number(self, code: str) -> int:
        width = struct.calcsize(f">{code}")
        (value,) = struct.unpack(f">{code}", self.source.read(self.here, width, "tags"))
        self.here += width
        return int(value)

    def walk(self) -> None:
        stack = [self._group()]
        while stack:
            if stack[-1] == 0:
                stack.pop()
                continue
            stack[-1] -= 1
            kind, length = self._number("B"), self._number("H")
            self._skip(length, "name of a tag")
            if self.long == "Q":
                self._number("Q")
            self.count += 1
            if kind == 20 and len(stack) < _MAX_DEPTH and self.count < _MAX_TAGS:
                stack.append(self._group())
            elif kind == 21 and self.count < _MAX_TAGS:
                self._data()
            else:
                raise self.source.error(f"has a tag of kind {kind} at depth {len(stack)}. It is damaged", "tags")

    def _group(self) -> int:
        self._number("B")
        self._number("B")
        return self._number(self.long)

    def _skip(self, count: int, where: str) -> None:
        self.source.check(self.here, count, where)
        self.here += count

    def _data(self) -> None:
        mark = self.source.read(self.here, 4, "tags")
        self.here += 4
        count = self._number(self.long)
        if mark != b"%%%%" or not 1 <= count <= 2 * _MAX_FIELDS:
            raise self.source.error("has a damaged tag", f"byte {self.here}")
        info = [self._number(self.long) for _ in range(count)]
        self._skip(self._size(info), "values of a tag")

    def _size(self, info: list[int]) -> int:
        kind, rest = info[0], info[1:]
        if kind in _SIZES:
            return _SIZES[kind]
        if kind == _STRING and rest:
            return 2 * rest[0]
        if kind == _STRUCT and len(rest) >= 2:
            return self._struct(rest)
        if kind == _ARRAY and len(rest) >= 2:
            inner = self._struct(rest[1:-1]) if rest[0] == _STRUCT else self._size([rest[0], *rest[1:-1]])
            return inner * rest[-1]
        raise self.source.error(f"has a tag of an unknown type {kind}", f"byte {self.here}")

    def _struct(self, rest: list[int]) -> int:
        fields = rest[1] if len(rest) > 1 else 0
        types = rest[3 : 3 + 2 * fields : 2]
        if not 0 < fields <= _MAX_FIELDS or len(types) != fields or not set(types) <= set(_SIZES):
            raise self.source.error("has a damaged structure", f"byte {self.here}")
        return sum(_SIZES[one] for one in types)


def _hdf5(source: Source) -> None:
    """Open every object and read every attribute by ways that survive damage."""
    import h5py

    from sid_xarray.io import _h5

    def damaged(where: str, error: Any = "") -> Exception:
        return source.error(f"is damaged: {error}".rstrip(": "), where)

    try:
        file = h5py.File(source.path, "r", locking="best-effort")
    except OSError as error:
        raise damaged("", _h5.first_line(error)) from error
    with file:
        count, stack, seen = 0, [("", file["/"])], set()
        while stack:
            path, obj = stack.pop()
            count += 1
            if count > _MAX_OBJECTS:
                raise source.error(f"holds more than {_MAX_OBJECTS} objects")
            try:
                if isinstance(obj, h5py.Group):
                    address = _h5.address(obj)
                    if address in seen:
                        continue
                    seen.add(address)
                for name in list(obj.attrs):
                    kind = obj.attrs.get_id(name).get_type().get_class()
                    if kind != h5py.h5t.VLEN and kind != h5py.h5t.REFERENCE:
                        obj.attrs[name]
                inner = list(obj) if isinstance(obj, h5py.Group) else []
                for name in inner:
                    link = obj.id.links.get_info(name.encode("utf-8", "surrogateescape")).type
                    if link == h5py.h5l.TYPE_HARD:
                        stack.append((f"{path}/{name}", obj[name]))
            except Exception as error:  # h5py raises half a dozen types for a damaged file
                raise damaged(path or "/", _h5.first_line(error)) from error
