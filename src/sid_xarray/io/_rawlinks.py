"""Links of a group from the bytes of a file; see `_headers`.

References
----------
.. [1] The HDF Group, "HDF5 File Format Specification Version 3.0", sections III.A-D and IV.A.2 (links).
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import NamedTuple

from sid_xarray.io._raw import OddError, Raw

__all__ = ["Link", "list_messages", "list_table"]

_NOWHERE = 2**64 - 1
_HARD, _SOFT = 0, 1
_TWO = struct.Struct("<QQ")
_HEAP = struct.Struct("<4sB3xQQQ")
_TREE = struct.Struct("<4sBBHQQ")
_LEAF = struct.Struct("<4sBxH")
_ENTRY = struct.Struct("<QQI4xI12x")


class Link(NamedTuple):
    """A link: its name, its type as HDF5 numbers them, and the address of what a hard one leads to."""

    name: bytes
    kind: int
    address: int


def list_table(raw: Raw, message: bytes) -> list[Link]:
    """Return the links of a group of the older sort, by name: a tree of tables and a heap of names.

    Parameters
    ----------
    raw : Raw
    message : bytes
        That says where both are.
    """
    read = raw.read
    root, heap_at = _TWO.unpack_from(message)
    mark, _, size, _, names_at = _HEAP.unpack(read(heap_at, _HEAP.size))
    if mark != b"HEAP":
        raise OddError
    names = read(names_at, size)
    out: list[tuple[int, Link]] = []
    nodes = [root]
    for node in nodes:
        mark, kind, level, count, _, _ = _TREE.unpack(read(node, _TREE.size))
        raw.spend(1 + count)
        if mark != b"TREE" or kind:
            raise OddError
        for _, child in _TWO.iter_unpack(read(node + _TREE.size, _TWO.size * count)):
            if level:
                nodes.append(child)
                continue
            mark, _, used = _LEAF.unpack(read(child, _LEAF.size))
            raw.spend(1 + used)
            if mark != b"SNOD":
                raise OddError
            for at, address, cached, _ in _ENTRY.iter_unpack(read(child + _LEAF.size, _ENTRY.size * used)):
                if at >= len(names) or cached > 2:
                    raise OddError
                name = names[at : names.index(b"\0", at)]
                out.append((0, Link(name, _SOFT if cached == 2 else _HARD, address)))
    return _in_order(out)


def list_messages(info: bytes, messages: Sequence[bytes]) -> list[Link]:
    """Return the links of a group of the newer sort, if they are few: then each is a message in the header.

    Parameters
    ----------
    info : bytes
        Whether they are.
    messages : sequence of bytes
        The links.
    """
    heap_at = 10 if info[1] & 1 else 2
    if info[0] or int.from_bytes(info[heap_at : heap_at + 8], "little") != _NOWHERE:
        raise OddError
    return _in_order([_message(message) for message in messages])


def _message(message: bytes) -> tuple[int, Link]:
    version, flags, at = message[0], message[1], 2
    if version != 1:
        raise OddError
    kind = _HARD
    if flags & 8:
        kind, at = message[at], at + 1
    order = 0
    if flags & 4:
        order, at = int.from_bytes(message[at : at + 8], "little"), at + 8
    at += 1 if flags & 16 else 0
    width = 1 << (flags & 3)
    length, at = int.from_bytes(message[at : at + width], "little"), at + width
    name, rest = message[at : at + length], message[at + length :]
    if len(name) < length or not name or (kind == _HARD and len(rest) < 8):
        raise OddError
    return order, Link(name, kind, int.from_bytes(rest[:8], "little") if kind == _HARD else 0)


def _in_order(links: list[tuple[int, Link]]) -> list[Link]:
    links.sort()
    out = [link for _, link in links]
    if len({link.name for link in out}) != len(out):
        raise OddError
    return out
