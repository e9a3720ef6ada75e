"""Where in a chunk of an object header its messages are; see `_headers`.

The headers of a hundred signals say the same but for values and addresses. So what was found in one chunk is kept
together with all bytes that it was told by; where another chunk has the same bytes at the same places, which one call
tells, the same would be found there.

References
----------
.. [1] The HDF Group, "HDF5 File Format Specification Version 3.0", section IV.A (headers).
"""

from __future__ import annotations

import itertools
import struct
from collections.abc import Callable
from typing import Any, NamedTuple

from sid_xarray.io._raw import OddError
from sid_xarray.io._rawattrs import Form, attribute_at

__all__ = ["Layout", "Layouts"]

_LINK, _ATTRIBUTE, _MORE, _HEAP = 0x06, 0x0C, 0x10, 0x15
_KEPT = frozenset((0x01, 0x02, 0x03, 0x07, 0x08, 0x11))
"""Types of the messages that are kept as they are: shape, links, type, external files, layout, table of links."""

_LONGEST = 4096
_MOST_KEYS = 1024
_MOST_ALIKE = 4
Found = tuple[Callable[[bytes, int], tuple[bytes, ...]], tuple[bytes, ...], "Layout"]


class Layout(NamedTuple):
    """Where the messages of a chunk are, counted from its start.

    Attributes
    ----------
    attributes : list
        Number, name, form, and where the value begins and the message ends.
    others : list
        Type, start and end of the messages that are kept.
    links, more, dense : list
        Start and end of links, of what leads to further chunks, and of what leads to a heap of attributes.
    told_by : list
        Start and end of all bytes that have been looked at.
    messages : int
        How many there are.
    known_as : int
        A number that no other layout of the file has; -1 of one that is not kept.
    """

    attributes: list[tuple[int, bytes, Form, int, int]]
    others: list[tuple[int, int, int]]
    links: list[tuple[int, int]]
    more: list[tuple[int, int]]
    dense: list[tuple[int, int]]
    told_by: list[tuple[int, int]]
    messages: int
    known_as: int = -1


class Layouts:
    """The layouts of a file that were met last."""

    def __init__(self) -> None:
        self._known: dict[tuple[int, int, int], list[Found]] = {}
        self._numbers = itertools.count()

    def of(self, chunk: bytes, at: int, length: int, prefix: struct.Struct, most: int) -> Layout:
        """Return the layout of a chunk.

        Parameters
        ----------
        chunk : bytes
        at, length : int
            Where in it the messages are.
        prefix : struct.Struct
            What every message begins with: type, size and flags, and maybe a number of two bytes.
        most : int
            How many messages there are at most; -1 if that is not known.
        """
        key = prefix.size, length, most
        known = self._known.get(key)
        for unpack, fixed, layout in known or ():
            if unpack(chunk, at) == fixed:
                return layout
        layout = _layout(chunk[at : at + length], prefix, most)
        if known is None:
            if length <= _LONGEST and len(self._known) < _MOST_KEYS:
                self._known[key] = []
        elif len(known) < _MOST_ALIKE:  # one of this length has been there: others may come
            last, form = 0, ""
            for start, end in layout.told_by:
                form += f"{start - last}x{end - start}s"
                last = end
            unpack = struct.Struct(form).unpack_from
            layout = layout._replace(known_as=next(self._numbers))
            known.append((unpack, unpack(chunk, at), layout))
        return layout


def _layout(chunk: bytes, prefix: struct.Struct, most: int) -> Layout:
    out = Layout([], [], [], [], [], [], 0)
    places: dict[int, Any] = {_LINK: out.links, _MORE: out.more, _HEAP: out.dense}
    at = count = 0
    while count != most and at + prefix.size <= len(chunk):
        kind, size, flags = prefix.unpack_from(chunk, at)
        start, at, count = at, at + prefix.size, count + 1
        end = at + size
        told = at
        if end > len(chunk):
            raise OddError
        if kind == _ATTRIBUTE:
            if flags & 2:
                raise OddError  # shared by many objects: it lies elsewhere
            # Those that are numbered have the number at the end of the prefix.
            number = int.from_bytes(chunk[at - 2 : at], "little") if prefix.size == 6 else 0
            form, told = attribute_at(chunk, at, size)
            out.attributes.append((number, form.called, form, told, end))
        elif kind in _KEPT:
            out.others.append((kind, at, at if flags & 2 else end))
        elif kind in places:
            places[kind].append((at, end))
        out.told_by.append((start, told))
        at = end
    return out._replace(messages=count)
