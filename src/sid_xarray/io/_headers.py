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

import math
import struct
from collections.abc import Callable
from typing import Any

import h5py
import numpy as np

from sid_xarray.io._raw import EndlessError, OddError, Raw
from sid_xarray.io._rawattrs import Attribute, Form, attribute_at, read_attribute
from sid_xarray.io._rawdense import dense_messages
from sid_xarray.io._rawlayout import Layout, Layouts
from sid_xarray.io._rawlinks import Link, list_messages, list_table
from sid_xarray.io._rawtypes import dtype_of, shape_of

__all__ = ["UNKNOWN", "Header", "Headers"]

UNKNOWN: Any = object()
"""Stands for what HDF5 has to be asked for."""

Table = dict[str, tuple[Form, int, int, int]]
"""Attributes by name: the form, the part of the header, and where in it the value begins and the message ends."""

_MOST_CHUNKS = 256
_MOST_TABLES = 1024
_SMALLEST = 8
_NOWHERE = 2**64 - 1
_SPACE, _LINKS, _KIND = 0x01, 0x02, 0x03
_EXTERNAL, _LAYOUT, _TABLE = 0x07, 0x08, 0x11
_OLD_PREFIX, _OLD_MESSAGE = struct.Struct("<BxHII4x"), struct.Struct("<HHB3x")
_MESSAGE, _NUMBERED_MESSAGE = struct.Struct("<BHB"), struct.Struct("<BHB2x")
_TWO = struct.Struct("<QQ")
_HEAP_ID = 16


class Headers:
    """Object headers of a file.

    Parameters
    ----------
    raw : Raw
    """

    def __init__(self, raw: Raw) -> None:
        self._raw = raw
        self._layouts = Layouts()
        self._tables: dict[tuple[int, ...], Table] = {}

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
        layouts: list[Layout] = []
        parts: list[tuple[bytes, int]] = []
        dense: list[Attribute] = []
        links: list[bytes] = []
        raw = self._raw
        start, at = raw.window(address, 16)
        old, numbered, left = start[at] == 1, False, -1
        if old:
            _, left, _, length = _OLD_PREFIX.unpack_from(start, at)
            place = address + 16
        else:
            # A header of the newer sort says whether the order of attributes is kept.
            place, length, numbered = self._first(address, start[at : at + 16])
        prefix = _OLD_MESSAGE if old else _NUMBERED_MESSAGE if numbered else _MESSAGE
        chunks = [(place, length)]
        for i, (place, length) in enumerate(chunks):
            raw.spend(1 + length // _SMALLEST)
            chunk, at = raw.window(place, length)
            if i and not old:
                if chunk[at : at + 4] != b"OCHK":
                    raise OddError
                at, length = at + 4, length - 8  # it ends with a check sum
            found = self._layouts.of(chunk, at, length, prefix, left)
            layouts.append(found)
            parts.append((chunk, at))
            # Plain loops: most of these lists are empty.
            for kind, a, b in found.others:
                messages[kind] = chunk[at + a : at + b]
            for a, b in found.links:
                links.append(chunk[at + a : at + b])
            for a, b in found.more:
                chunks.append(_TWO.unpack(chunk[at + a : at + min(b, a + 16)]))
            for a, b in found.dense:
                dense += self._dense(chunk[at + a : at + b], numbered)
            left -= found.messages if old else 0
            if i > _MOST_CHUNKS:
                raise OddError
        if left > 0:
            raise OddError
        return Header(raw, messages, self._table(layouts, dense, parts), parts, links)

    def _table(self, layouts: list[Layout], dense: list[Attribute], parts: list[tuple[bytes, int]]) -> Table:
        """Return the attributes of a header by name; headers that look alike share them.

        Attributes that lie in a heap become further parts.
        """
        key = tuple([one.known_as for one in layouts])
        table = None if dense else self._tables.get(key)
        if table is None:
            found = [
                (n, name, form, i, a, b) for i, one in enumerate(layouts) for n, name, form, a, b in one.attributes
            ]
            for number, name, form, chunk, at, end in dense:
                found.append((number, name, form, len(parts), 0, end - at))
                parts.append((chunk, at))
            table = _by_name(found)
            if not dense and -1 not in key and len(self._tables) < _MOST_TABLES:
                self._tables[key] = table
        return table

    def _first(self, address: int, start: bytes) -> tuple[int, int, bool]:
        """Return where the messages of a newer header begin, how long they are, and whether they are numbered."""
        if start[:5] != b"OHDR\x02":
            raise OddError
        flags = start[5]
        at = 6 + (16 if flags & 0x20 else 0) + (4 if flags & 0x10 else 0)
        width = 1 << (flags & 3)
        length = int.from_bytes(self._raw.read(address + at, width), "little")
        return address + at + width, length, bool(flags & 4)

    def _dense(self, message: bytes, numbered: bool) -> list[Attribute]:
        """Return the attributes that lie in a heap."""
        heap_at, tree_at = _TWO.unpack_from(message, 4 if message[1] & 1 else 2)
        if heap_at == _NOWHERE:
            return []
        out: list[Attribute] = []
        for order, flags, chunk, at, size in dense_messages(self._raw, heap_at, tree_at):
            if flags & 2:
                raise OddError
            form, value_at = attribute_at(chunk, at, size)
            out.append((order if numbered else 0, form.called, form, chunk, value_at, at + size))
        return out


class Header:
    """What a header says about its object. Whatever is not understood is `UNKNOWN`.

    Attributes
    ----------
    attributes : dict
        By name; `attribute` reads them. Other headers may share it.
    shape : tuple of int, None or UNKNOWN
        Of a dataset; None if it holds nothing.
    dtype : dtype or UNKNOWN
    layout : (bool, tuple of int or None) or UNKNOWN
        Whether the values lie in this file, and the shape of their chunks.
    """

    __slots__ = ("_links", "_listed", "_messages", "_parts", "_raw", "attributes", "dtype", "layout", "shape")

    def __init__(
        self,
        raw: Raw,
        messages: dict[int, bytes],
        attributes: Table,
        parts: list[tuple[bytes, int]],
        links: list[bytes],
    ) -> None:
        self._raw, self._messages, self.attributes, self._links = raw, messages, attributes, links
        self._parts = parts
        self._listed: Any = UNKNOWN
        self.shape: Any = UNKNOWN
        self.dtype: Any = UNKNOWN
        self.layout: Any = UNKNOWN
        if _SPACE in messages and _KIND in messages:
            self.shape = _understood(shape_of, messages[_SPACE])
            self.dtype = _understood(dtype_of, messages[_KIND])
            self.layout = self._layout(messages.get(_LAYOUT, b""))

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
        if address == _NOWHERE or size != math.prod(shape) * (_HEAP_ID if text else dtype.itemsize):
            return UNKNOWN
        try:
            found = self._raw.read(address, size)
            if not text:
                numbers = np.frombuffer(found, dtype)
                return numbers.reshape(shape).copy() if shape else numbers[0]
            return UNKNOWN if shape else self._raw.text(found, 0)
        except EndlessError:
            return None
        except (OddError, struct.error, ValueError, OSError):
            return UNKNOWN

    def attribute(self, name: str) -> Any:
        """Return an attribute as h5py would: text as str or bytes, a number as a scalar of numpy, or an array.

        None if it is damaged so that HDF5 must not read it.
        """
        try:
            form, part, a, b = self.attributes[name]
            chunk, at = self._parts[part]
            if form.is_one_text and a + _HEAP_ID <= b:  # as nine of ten attributes are
                return self._raw.text(chunk, at + a)
            return read_attribute(self._raw, form, chunk, at + a, at + b)
        except EndlessError:
            return None
        except (OddError, struct.error, IndexError, ValueError, OSError):
            return UNKNOWN

    def _found(self, name: str) -> tuple[Form, bytes, int, int]:
        form, part, a, b = self.attributes[name]
        chunk, at = self._parts[part]
        return form, chunk, at + a, at + b

    def reference(self, name: str) -> int | None:
        """Return the address of the object that an attribute refers to; None if it is no single reference."""
        if name not in self.attributes:
            return None
        form, chunk, at, end = self._found(name)
        kind, shape = form.kind, _understood(shape_of, form.space)
        one = shape is not UNKNOWN and math.prod(shape or ()) == 1
        # Not to a region of it, and not of the newer sort.
        if kind[:2] not in (b"\x17\x00", b"\x37\x00") or kind[4:8] != b"\x08\0\0\0" or at + 8 > end or not one:
            return None
        return int.from_bytes(chunk[at : at + 8], "little")

    def references(self, name: str) -> list[set[int]] | None:
        """Return the addresses that an attribute with a list of references for every axis holds; None if unknown."""
        if name not in self.attributes:
            return None
        form, chunk, at, end = self._found(name)
        kind, shape = form.kind, _understood(shape_of, form.space)
        if shape is UNKNOWN or shape is None or len(shape) != 1 or kind[:2] not in (b"\x19\x00", b"\x39\x00"):
            return None
        if (
            kind[4:10] != b"\x10\0\0\0" + kind[8:10]
            or kind[8:9] not in (b"\x17", b"\x37")
            or kind[12:16] != b"\x08\0\0\0"
        ):
            return None
        try:
            if at + 16 * shape[0] > end:
                return None
            held = [self._raw.held(chunk, i, 8) for i in range(at, at + 16 * shape[0], 16)]
        except (OddError, struct.error, OSError):
            return None
        return [set(struct.unpack(f"<{len(part) // 8}Q", part)) for part in held]


def _by_name(attributes: list[tuple[int, bytes, Form, int, int, int]]) -> Table:
    """Return attributes in the order of their making, where that was kept."""
    attributes.sort()
    out = {form.name: (form, part, a, b) for _, _, form, part, a, b in attributes}
    if len(out) != len(attributes):
        raise OddError
    return out


def _understood(read: Callable[[bytes], Any], message: bytes) -> Any:
    if not message:
        return UNKNOWN
    try:
        return read(message)
    except (OddError, IndexError, struct.error):
        return UNKNOWN
