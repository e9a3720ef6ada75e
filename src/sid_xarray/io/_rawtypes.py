"""Types and shapes from the bytes of a file; see `_headers`.

Whoever asks for one that is not known here gets an `OddError`, an IndexError or a ``struct.error``.

References
----------
.. [1] The HDF Group, "HDF5 File Format Specification Version 3.0", sections IV.A.2.b (shapes) and IV.A.2.d (types).
"""

from __future__ import annotations

import functools
import struct
from typing import Any

import h5py
import numpy as np

from sid_xarray.io._raw import OddError

__all__ = ["dtype_of", "is_text", "number_of", "shape_of"]

_INTEGER, _FLOAT, _VARIABLE = 0, 1, 9
# Class, properties: no other floats are IEEE numbers.
_FLOATS = {
    (b"\x20\x3f\x00", 8): bytes((0, 0, 64, 0, 52, 11, 0, 52)) + struct.pack("<I", 1023),
    (b"\x20\x1f\x00", 4): bytes((0, 0, 32, 0, 23, 8, 0, 23)) + struct.pack("<I", 127),
}
_TEXT = {0: h5py.string_dtype("ascii"), 1: h5py.string_dtype()}


# The same few types and shapes occur over and over.
@functools.lru_cache(maxsize=1024)
def shape_of(space: bytes) -> tuple[int, ...] | None:
    """Return a shape; None of what holds nothing."""
    version, rank = space[0], space[1]
    if version == 1:
        return struct.unpack_from(f"<{rank}Q", space, 8) if rank else ()
    if version != 2 or space[3] not in (0, 1, 2) or (space[3] != 1 and rank):
        raise OddError
    return None if space[3] == 2 else struct.unpack_from(f"<{rank}Q", space, 4)


@functools.lru_cache(maxsize=256)
def dtype_of(kind: bytes) -> np.dtype[Any]:
    """Return the dtype of a type of plain numbers or of text."""
    return _TEXT[kind[2] & 0x0F] if is_text(kind) else number_of(kind)


@functools.lru_cache(maxsize=256)
def is_text(kind: bytes) -> bool:
    """Tell whether a type is text of variable length."""
    return (
        kind[0] & 0x0F == _VARIABLE
        and kind[0] >> 4 in (1, 3)
        and kind[1] & 0x0F == 1
        and kind[2] & 0x0F in _TEXT
        and kind[4:8] == b"\x10\0\0\0"
    )


@functools.lru_cache(maxsize=256)
def number_of(kind: bytes) -> np.dtype[Any]:
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
