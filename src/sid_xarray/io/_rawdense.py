"""Attributes of an object that has many, from the bytes of a file; see `_headers`.

They are messages as those in a header, in a heap, and a tree says where in it each of them lies.

References
----------
.. [1] The HDF Group, "HDF5 File Format Specification Version 3.0", sections III.A.2 (trees) and III.G (fractal heaps).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from sid_xarray.io._raw import OddError, Raw

__all__ = ["dense_messages"]

_TREE = struct.Struct("<4sBBIHHBBQH")
_HEAP = struct.Struct("<4sBHHBI96xHQQHHQH")
_BY_NAME = 8
_RECORD = 17


def dense_messages(raw: Raw, heap_at: int, tree_at: int) -> Iterator[tuple[int, int, bytes, int, int]]:
    """Yield number and flags of every attribute message; and bytes, where in them it begins, and its length.

    Parameters
    ----------
    raw : Raw
    heap_at, tree_at : int
        Addresses.

    Raises
    ------
    OddError
        If they are more than one leaf and one block hold.
    """
    mark, _, kind, _, record, depth, _, _, leaf, count = _TREE.unpack(raw.read(tree_at, _TREE.size))
    if mark != b"BTHD" or kind != _BY_NAME or record != _RECORD or depth:
        raise OddError
    mark, _, id_size, filters, _, _, _, _, _, bits, _, block, rows = _HEAP.unpack(raw.read(heap_at, _HEAP.size))
    if mark != b"FRHP" or id_size != 8 or filters or rows:
        raise OddError
    if raw.read(leaf, 4) != b"BTLF" or raw.read(block, 4) != b"FHDB":
        raise OddError
    records = raw.read(leaf + 6, _RECORD * count)
    offset_size = (bits + 7) // 8
    raw.spend(count)
    for i in range(0, len(records), _RECORD):
        heap_id = records[i : i + 8]
        if heap_id[0]:
            raise OddError  # not in a block, but for itself
        at = int.from_bytes(heap_id[1 : 1 + offset_size], "little")
        length = int.from_bytes(heap_id[1 + offset_size :], "little")
        order = int.from_bytes(records[i + 9 : i + 13], "little")
        yield order, records[i + 8], *raw.window(block + at, length), length
