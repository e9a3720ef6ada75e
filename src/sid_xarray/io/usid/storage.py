"""How the values of a main lie in the file: chunks of rows and columns, and filters."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from sid_xarray.io import _filters
from sid_xarray.io._layout import chunk_shape

__all__ = ["Storage"]

_SMALL = 256 * 2**10
_TINY = 64 * 2**10
_MOST_WAITING = 32 * 2**20


@dataclass
class Storage:
    """What decides on the chunks of a main.

    Attributes
    ----------
    dtype : dtype
        On disk.
    values : Variable
    shape : pair of int
        Rows and columns.
    split : pair of tuple
        Dimensions of the rows, and of the columns.
    sizes : mapping
    """

    dtype: np.dtype[Any]
    values: xr.Variable
    shape: tuple[int, int]
    split: tuple[tuple[Hashable, ...], ...]
    sizes: Mapping[Hashable, int]

    def keywords(self, compression: Any, own: Mapping[str, Any]) -> dict[str, Any]:
        """Return keywords of ``create_dataset``.

        Raises
        ------
        ValueError
            If HDF5 does not take them.
        """
        found, asked = _filters.options(self.dtype, compression, own)
        if "chunks" in found:
            found["chunks"] = self._given(found["chunks"])
        else:
            chunks = self._chunks()
            if chunks is None and not asked:
                return {}
            found["chunks"] = chunks or self.shape
        return _filters.checked(found, self.shape, self.dtype)

    def _given(self, chunks: Any) -> tuple[int, ...]:
        if isinstance(chunks, Mapping):
            there = {d: self.sizes[d] for dims in self.split for d in dims}
            cut = dict(zip(there, _filters.by_dimension(chunks, there), strict=True))
            return tuple(math.prod(cut[d] for d in dims) for dims in self.split)
        if not isinstance(chunks, Sequence) or len(chunks) != 2:
            raise ValueError(f"chunks={chunks!r}: a main has rows and columns, here {self.shape}")
        return tuple(chunks)

    def _chunks(self) -> tuple[int, ...] | None:
        blocks = None
        if self.values.chunks is not None:
            cut = dict(zip(self.values.dims, self.values.chunks, strict=True))
            blocks = [_blocks([cut[d] for d in dims]) for dims in self.split]
        chunks = chunk_shape(self.shape, self.dtype.itemsize, ("spatial", "spectral"), blocks)
        if chunks is not None and blocks is not None:
            # Rows that end where short blocks end make small chunks: wide ones are better than many.
            wide = max(chunks[1], _SMALL // (chunks[0] * self.dtype.itemsize))
            chunks = (chunks[0], min(wide, blocks[1][0]))
            if math.prod(chunks) * self.dtype.itemsize < _TINY and self._waiting() <= _MOST_WAITING:
                # Chunks that several blocks share: they wait in memory until they are complete.
                chunks = chunk_shape(self.shape, self.dtype.itemsize, ("spatial", "spectral"))
        return chunks

    def _waiting(self) -> int:
        """Return how many bytes a row of blocks takes: what has to wait for the chunks that they share."""
        slow = next((d for d in self.split[0] if len(self.values.chunksizes[d]) > 1), None)
        share = max(self.values.chunksizes[slow]) / self.values.sizes[slow] if slow is not None else 1.0
        return int(share * self.values.size * self.dtype.itemsize)


def _blocks(chunks: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
    """Return how many rows (columns) of a main one block of a dask array fills without a gap."""
    run = 1
    for part in reversed(chunks):
        run *= part[0]
        if len(part) > 1:
            break
    count = math.prod(sum(part) for part in chunks)
    return (run,) * (count // run) + ((count % run,) if count % run else ())
