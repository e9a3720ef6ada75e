"""What HDF5 says about an object, straight from the bytes of the file.

A file of a hundred signals has three thousand attributes in five hundred datasets. To ask HDF5 for one attribute takes
20 µs and to open a dataset as long again, which together is most of the time that opening such a file would take. Here
the object header, in which all of it lies, is read in one go. Only what is common is understood: shapes, plain numbers
and text. Anything else is left to HDF5, and so is any header in which something does not add up.

References
----------
.. [1] The HDF Group, "HDF5 File Format Specification Version 3.0", sections III.E (global heap) and IV (headers).
"""

from __future__ import annotations

import functools
import math
import struct
from collections.abc import Callable, Iterator
from typing import Any

import h5py
import numpy as np

from sid_xarray.io._raw import EndlessError, OddError, Raw
from sid_xarray.io._rawdense import dense_messages
from sid_xarray.io._rawlinks import Link, list_messages, list_table

__all__ = ["UNKNOWN", "Header", "Headers"]

UNKNOWN: Any = object()
"""Stands for what HDF5 has to be asked for."""

_MOST_CHUNKS = 256
_SMALLEST = 8
_NOWHERE = 2**64 - 1
_SPACE, _LINKS, _KIND, _LINK = 0x01, 0x02, 0x03, 0x06
_EXTERNAL, _LAYOUT, _ATTRIBUTE = 0x07, 0x08, 0x0C
_MORE, _TABLE, _ATTRIBUTES = 0x10, 0x11, 0x15
_KEPT = frozenset((_SPACE, _LINKS, _KIND, _EXTERNAL, _LAYOUT, _TABLE))
_TOLD = _KEPT | {_ATTRIBUTE, _LINK, _ATTRIBUTES}
_OLD_PREFIX, _OLD_MESSAGE = struct.Struct("<BxHII4x"), struct.Struct("<HHB3x")
_MESSAGE, _NUMBERED_MESSAGE = struct.Struct("<BHB"), struct.Struct("<BHBH")
_ATTRIBUTE_START = struct.Struct("<BBHHH")
_TWO = struct.Struct("<QQ")
_HEAP_ID = struct.Struct("<IQI")
_INTEGER, _FLOAT, _STRING, _VARIABLE = 0, 1, 3, 9
# Class, properties: no other floats are IEEE numbers.
_FLOATS = {
    (b"\x20\x3f\x00", 8): bytes((0, 0, 64, 0, 52, 11, 0, 52)) + struct.pack("<I", 1023),
    (b"\x20\x1f\x00", 4): bytes((0, 0, 32, 0, 23, 8, 0, 23)) + struct.pack("<I", 127),
}
_TEXT = {0: h5py.string_dtype("ascii"), 1: h5py.string_dtype()}
Attribute = tuple[bytes, int, int, int]
"""Bytes; and where in them the type, the shape and the value of the attribute begin."""


class Headers:
    """Object headers of a file.

    Parameters
    ----------
    raw : Raw
    """

    def __init__(self, raw: Raw) -> None:
        self._raw = raw

    @classmethod
    def of(cls, file: h5py.File) -> Headers | None:
        """Return the headers of a file; None where only HDF5 itself can read them."""
        raw = Raw.of(file)
        return None if raw is None else cls(raw)

    def header(self, address: int) -> Header | None:
        """Return the header of an object; None if HDF5 has to be asked.

        Parameters
        ----------
        address : int
        """
        try:
            return self._header(address)
        except (OddError, struct.error, IndexError, ValueError, OSError):
            return None

    def _header(self, address: int) -> Header:
        messages: dict[int, bytes] = {}
        attributes: list[tuple[int, bytes, Attribute]] = []
        links: list[bytes] = []
        start = self._raw.read(address, 16)
        # A header of the newer sort says whether the order of attributes is kept.
        numbered = start[0] != 1 and bool(start[5] & 4)
        for kind, flags, order, chunk, at, size in self._messages(address, start):
            if kind == _ATTRIBUTE:
                if flags & 2:
                    raise OddError  # shared by many objects: it lies elsewhere
                attributes.append((order, *_attribute(chunk, at, size)))
            elif kind in _KEPT:
                messages[kind] = b"" if flags & 2 else chunk[at : at + size]
            elif kind == _LINK:
                links.append(chunk[at : at + size])
            elif kind == _ATTRIBUTES:
                heap_at, tree_at = _TWO.unpack_from(chunk, at + (4 if chunk[at + 1] & 1 else 2))
                for order, flags, message in dense_messages(self._raw, heap_at, tree_at) if heap_at != _NOWHERE else ():
                    if flags & 2:
                        raise OddError
                    attributes.append((order if numbered else 0, *_attribute(message, 0, len(message))))
        attributes.sort()
        by_name = {name.decode("utf-8", "surrogateescape"): found for _, name, found in attributes}
        if len(by_name) != len(attributes):
            raise OddError
        return Header(self._raw, messages, by_name, links)

    def _messages(self, address: int, start: bytes) -> Iterator[tuple[int, int, int, bytes, int, int]]:
        """Yield type, flags and number of every message of a header; and the bytes and where in them it lies."""
        raw = self._raw
        old = start[0] == 1
        if old:
            _, left, _, length = _OLD_PREFIX.unpack(start)
            form, first = _OLD_MESSAGE, address + 16
        elif start[:5] == b"OHDR\x02":
            flags = start[5]
            at = 6 + (16 if flags & 0x20 else 0) + (4 if flags & 0x10 else 0)
            width = 1 << (flags & 3)
            first, left = address + at + width, -1
            length = int.from_bytes(raw.read(address + at, width), "little")
            form = _NUMBERED_MESSAGE if flags & 4 else _MESSAGE
        else:
            raise OddError
        chunks = [(first, length)]
        for i, (place, length) in enumerate(chunks):
            raw.spend(1 + length // _SMALLEST)
            chunk, at = raw.read(place, length), 0
            if i and not old:
                if chunk[:4] != b"OCHK":
                    raise OddError
                at, length = 4, length - 4
            while at + form.size <= length and left:
                kind, size, flags, *order = form.unpack_from(chunk, at)
                at += form.size
                left -= 1
                if at + size > length:
                    raise OddError
                if kind == _MORE:
                    chunks.append(_TWO.unpack_from(chunk, at))
                elif kind in _TOLD:
                    yield kind, flags, order[0] if order else 0, chunk, at, size
                at += size
            if i > _MOST_CHUNKS:
                raise OddError
        if left > 0:
            raise OddError


class Header:
    """What a header says about its object. Whatever is not understood is `UNKNOWN`.

    Attributes
    ----------
    attributes : dict
        By name; `attribute` reads them.
    shape : tuple of int, None or UNKNOWN
        Of a dataset; None if it holds nothing.
    dtype : dtype or UNKNOWN
    layout : (bool, tuple of int or None) or UNKNOWN
        Whether the values lie in this file, and the shape of their chunks.
    """

    __slots__ = ("_links", "_listed", "_messages", "_raw", "attributes", "dtype", "layout", "shape")

    def __init__(
        self, raw: Raw, messages: dict[int, bytes], attributes: dict[str, Attribute], links: list[bytes]
    ) -> None:
        self._raw, self._messages, self.attributes, self._links = raw, messages, attributes, links
        self._listed: Any = UNKNOWN
        space, kind = messages.get(_SPACE, b""), messages.get(_KIND, b"")
        self.shape: Any = _understood(_shape, space)
        self.dtype: Any = _understood(_dtype, kind)
        self.layout: Any = self._layout(messages.get(_LAYOUT, b""))

    @property
    def is_plain_dataset(self) -> bool:
        """Whether the object is a dataset of which shape, type and layout are understood."""
        return self.shape is not UNKNOWN and self.dtype is not UNKNOWN and self.layout is not UNKNOWN

    @property
    def is_group(self) -> bool:
        """Whether the object is a group."""
        return _TABLE in self._messages or _LINKS in self._messages

    def links(self) -> list[Link] | None:
        """Return the links of a group, in the order of their making or of their names; None if HDF5 has to."""
        if self._listed is UNKNOWN:
            try:
                if _TABLE in self._messages:
                    self._listed = list_table(self._raw, self._messages[_TABLE])
                else:
                    self._listed = list_messages(self._messages[_LINKS], self._links)
            except (OddError, KeyError, ValueError, IndexError, struct.error, OSError):
                self._listed = None
        return self._listed  # type: ignore[no-any-return]

    def _layout(self, said: bytes) -> Any:
        start = said[:2]
        if start == b"\x03\x02":
            rank = said[2]
            if len(said) < 11 + 4 * rank or not rank:
                return UNKNOWN
            return _EXTERNAL not in self._messages, struct.unpack_from(f"<{rank - 1}I", said, 11)
        if start in (b"\x03\x00", b"\x03\x01"):
            return _EXTERNAL not in self._messages, None
        return UNKNOWN

    def values(self) -> Any:
        """Return all values of a small dataset; None if they are damaged so that HDF5 must not read them."""
        said = self._messages.get(_LAYOUT, b"")
        shape, dtype = self.shape, self.dtype
        if (
            said[:2] != b"\x03\x01"
            or len(said) < 18
            or shape is UNKNOWN
            or shape is None
            or dtype is UNKNOWN
            or _EXTERNAL in self._messages
        ):
            return UNKNOWN
        address, size = _TWO.unpack_from(said, 2)
        text = dtype.kind == "O"
        if address == _NOWHERE or size != math.prod(shape) * (_HEAP_ID.size if text else dtype.itemsize):
            return UNKNOWN
        try:
            found = self._raw.read(address, size)
            if not text:
                numbers = np.frombuffer(found, dtype)
                return numbers.reshape(shape).copy() if shape else numbers[0]
            return UNKNOWN if shape else self._raw.text(found)
        except EndlessError:
            return None
        except (OddError, struct.error, ValueError, OSError):
            return UNKNOWN

    def attribute(self, name: str) -> Any:
        """Return an attribute as h5py would: text as str or bytes, a number as a scalar of numpy, or an array.

        None if it is damaged so that HDF5 must not read it.
        """
        try:
            return self._attribute(*self.attributes[name])
        except EndlessError:
            return None
        except (OddError, struct.error, IndexError, ValueError, OSError):
            return UNKNOWN

    def reference(self, name: str) -> int | None:
        """Return the address of the object that an attribute refers to; None if it is no single reference."""
        message, kind_at, space_at, at = self.attributes.get(name, (b"", 0, 0, 0))
        kind = message[kind_at:space_at]
        try:
            one = math.prod(_shape(message[space_at:at]) or ()) == 1
        except (OddError, IndexError, struct.error):
            return None
        # Not to a region of it, and not of the newer sort.
        if kind[:2] not in (b"\x17\x00", b"\x37\x00") or kind[4:8] != b"\x08\0\0\0" or len(message) < at + 8 or not one:
            return None
        return int.from_bytes(message[at : at + 8], "little")

    def references(self, name: str) -> list[set[int]] | None:
        """Return the addresses that an attribute with a list of references for every axis holds; None if unknown."""
        message, kind_at, space_at, at = self.attributes.get(name, (b"", 0, 0, 0))
        kind = message[kind_at:space_at]
        shape = _understood(_shape, message[space_at:at])
        if shape is UNKNOWN or shape is None or len(shape) != 1 or kind[:2] not in (b"\x19\x00", b"\x39\x00"):
            return None
        if (
            kind[4:10] != b"\x10\0\0\0" + kind[8:10]
            or kind[8:9] not in (b"\x17", b"\x37")
            or kind[12:16] != b"\x08\0\0\0"
        ):
            return None
        try:
            held = [self._raw.held(message[i : i + 16], 8) for i in range(at, at + 16 * shape[0], 16)]
        except (OddError, struct.error, OSError):
            return None
        return [set(struct.unpack(f"<{len(part) // 8}Q", part)) for part in held]

    def _attribute(self, message: bytes, kind_at: int, space_at: int, at: int) -> Any:
        if _is_one_text(message[kind_at:at], space_at - kind_at):
            return self._raw.text(message[at : at + 16])
        kind = message[kind_at:space_at]
        shape = _shape(message[space_at:at])
        count = math.prod(shape) if shape is not None and len(shape) < 2 else -1
        if count < 0 or count > len(message):
            raise OddError
        if _is_text(kind):
            found = [self._raw.text(message[i : i + 16]) for i in range(at, at + 16 * count, 16)]
            return np.array(found, dtype=object)
        if kind[0] & 0x0F == _STRING and kind[1] & 0x0F in (0, 1):
            fixed = np.frombuffer(message, f"S{int.from_bytes(kind[4:8], 'little')}", count, at)
            if any(b"\0" in text for text in fixed.tolist()):
                raise OddError  # what stands behind a zero may be text or not
            return fixed.copy() if shape else fixed[0]
        numbers = np.frombuffer(message, _number(kind), count, at)
        return numbers.copy() if shape else numbers[0]


def _attribute(chunk: bytes, start: int, size: int) -> tuple[bytes, Attribute]:
    """Find the parts of an attribute message."""
    version, shared, name, kind, space = _ATTRIBUTE_START.unpack_from(chunk, start)
    if version == 3 and not shared:
        name_at = start + 9
        kind_at = name_at + name
        space_at = kind_at + kind
        at = space_at + space
    elif version == 1:
        name_at = start + 8
        kind_at = name_at + (name + 7) // 8 * 8
        space_at = kind_at + (kind + 7) // 8 * 8
        at = space_at + (space + 7) // 8 * 8
    else:
        raise OddError
    called = chunk[name_at : name_at + name - 1]
    if at > start + size or not name or chunk[name_at + name - 1] or 0 in called:
        raise OddError
    return called, (chunk, kind_at, space_at, at)


def _understood(read: Callable[[bytes], Any], message: bytes) -> Any:
    if not message:
        return UNKNOWN
    try:
        return read(message)
    except (OddError, IndexError, struct.error):
        return UNKNOWN


# The same few types and shapes occur over and over.
@functools.lru_cache(maxsize=1024)
def _shape(space: bytes) -> tuple[int, ...] | None:
    version, rank = space[0], space[1]
    if version == 1:
        return struct.unpack_from(f"<{rank}Q", space, 8) if rank else ()
    if version != 2 or space[3] not in (0, 1, 2) or (space[3] != 1 and rank):
        raise OddError
    return None if space[3] == 2 else struct.unpack_from(f"<{rank}Q", space, 4)


@functools.lru_cache(maxsize=256)
def _dtype(kind: bytes) -> np.dtype[Any]:
    return _TEXT[kind[2] & 0x0F] if _is_text(kind) else _number(kind)


@functools.lru_cache(maxsize=256)
def _is_one_text(both: bytes, at: int) -> bool:
    """Tell whether a type and, from some place on, a shape are those of one text, as nine of ten attributes are."""
    return _is_text(both[:at]) and _shape(both[at:]) == ()


@functools.lru_cache(maxsize=256)
def _is_text(kind: bytes) -> bool:
    """Tell whether a type is text of variable length."""
    return (
        kind[0] & 0x0F == _VARIABLE
        and kind[0] >> 4 in (1, 3)
        and kind[1] & 0x0F == 1
        and kind[2] & 0x0F in _TEXT
        and kind[4:8] == b"\x10\0\0\0"
    )


@functools.lru_cache(maxsize=256)
def _number(kind: bytes) -> np.dtype[Any]:
    """Return the dtype of a type of plain numbers."""
    size = int.from_bytes(kind[4:8], "little")
    if kind[0] >> 4 not in (1, 3):
        raise OddError
    if kind[0] & 0x0F == _FLOAT and _FLOATS.get((kind[1:4], size)) == kind[8:20]:
        return np.dtype(f"<f{size}")
    whole = size in (1, 2, 4, 8) and kind[8:12] == bytes((0, 0, 8 * size, 0))
    if kind[0] & 0x0F == _INTEGER and whole and kind[1] & 0xF6 == 0:
        return np.dtype(f"{'>' if kind[1] & 1 else '<'}{'i' if kind[1] & 8 else 'u'}{size}")
    raise OddError
