"""Checksums of values, tile by tile: a tile is what lies together in a file."""

from __future__ import annotations

import hashlib
import itertools
import json
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import h5py
import numpy as np

from sid_xarray.io import _h5

__all__ = [
    "ALGORITHM",
    "TEXT",
    "Sum",
    "combine",
    "dtype_name",
    "of_dataset",
    "of_values",
    "read_tile",
    "tile_digest",
    "tile_shape",
    "tiles",
]

ALGORITHM = "sha256"
TEXT = "text"
"""What stands for the dtype of text, whatever HDF5 holds it as."""

Array = np.ndarray[Any, Any]
_ROWS = 8 * 2**20
_LEAST = 64 * 2**10
_WIDE = 512 * 2**10


def tile_shape(shape: Sequence[int], itemsize: int, chunks: Sequence[int] | None) -> tuple[int, ...]:
    """Return the shape of the pieces that are hashed one by one: what lies together in the file.

    Parameters
    ----------
    shape : sequence of int
    itemsize : int
        Bytes of a value.
    chunks : sequence of int or None
        Of the file. Chunks of less than 64 KiB are taken together; None: rows of at most 8 MiB.
    """
    if chunks is None:
        tile = list(shape)
        for i in range(len(tile)):
            if math.prod(tile) * itemsize <= _ROWS:
                break
            tile[i] = max(1, _ROWS // max(1, math.prod(tile[i + 1 :]) * itemsize))
        return tuple(tile)
    tile = list(chunks)
    if math.prod(tile) * itemsize < _LEAST:
        for i in reversed(range(len(tile))):
            room = max(1, _WIDE // max(1, math.prod(tile) * itemsize))
            tile[i] *= min(room, math.ceil(shape[i] / tile[i]) or 1)
    return tuple(min(t, n) for t, n in zip(tile, shape, strict=True))


def tiles(shape: Sequence[int], tile: Sequence[int]) -> Iterator[tuple[slice, ...]]:
    """Yield every tile in C order, cut where the array ends."""
    starts = [range(0, n, t) if n else () for n, t in zip(shape, tile, strict=True)]
    for corner in itertools.product(*starts):
        yield tuple(slice(i, min(i + t, n)) for i, t, n in zip(corner, tile, shape, strict=True))


def tile_digest(values: Array) -> bytes:
    """Return the sha256 of one tile: its bytes in C order, little-endian; text as a JSON list in UTF-8.

    Parameters
    ----------
    values : ndarray

    Returns
    -------
    bytes
        32 of them.
    """
    if values.dtype.kind in "OUT":
        listed = values.ravel().tolist()
        text = json.dumps(listed, ensure_ascii=False, separators=(",", ":"))
        return hashlib.sha256(text.encode(errors="surrogatepass")).digest()
    little = values.astype(values.dtype.newbyteorder("<"), copy=False)
    flat = np.ascontiguousarray(little).reshape(-1)
    return hashlib.sha256(flat.view("u1").data if flat.nbytes else b"").digest()


def combine(digests: Iterable[bytes]) -> str:
    """Return the checksum of an array from those of its tiles in C order, as hexadecimal text."""
    whole = hashlib.sha256()
    for digest in digests:
        whole.update(digest)
    return whole.hexdigest()


def dtype_name(dtype: np.dtype[Any]) -> str:
    """Return how a dtype is called in a checksum: little-endian, and text is text."""
    if dtype.kind in "OUT":
        return TEXT
    little = dtype.newbyteorder("<")
    return str(little) if dtype.names else little.str


@dataclass(frozen=True)
class Sum:
    """Checksum of the values of one variable: how they lie in the file, and the hash over their tiles."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    tile: tuple[int, ...]
    values: str

    def entry(self, attrs: str) -> dict[str, Any]:
        """Return what is stored, given the checksum of the attributes."""
        return {
            "algorithm": ALGORITHM,
            "dtype": dtype_name(self.dtype),
            "shape": [int(n) for n in self.shape],
            "tile": [int(n) for n in self.tile],
            "values": self.values,
            "attrs": attrs,
        }


def of_values(values: Array) -> Sum:
    """Return the checksum of values in memory."""
    tile = tile_shape(values.shape, values.dtype.itemsize, None)
    found = combine(tile_digest(values[where]) for where in tiles(values.shape, tile))
    return Sum(values.dtype, values.shape, tile, found)


def of_dataset(dataset: h5py.Dataset, tile: Sequence[int] | None = None) -> Sum:
    """Return the checksum of what a dataset holds; one tile after the other is read."""
    if tile is None:
        tile = tile_shape(dataset.shape, dataset.dtype.itemsize, dataset.chunks)
    found = combine(tile_digest(read_tile(dataset, where)) for where in tiles(dataset.shape, tile))
    return Sum(dataset.dtype, dataset.shape, tuple(tile), found)


def read_tile(dataset: h5py.Dataset, where: tuple[slice, ...]) -> Array:
    """Return a part of a dataset; text as str."""
    key = where or ()
    if _h5.is_text(dataset) and dataset.dtype.kind == "O":
        return _h5.texts(dataset.asstr(errors="surrogateescape")[key])
    return np.asarray(dataset[key])
