"""How an array becomes the tiles of a dataset: what a block holds of each, hashed and encoded."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from sid_xarray.io._codec import Codec
from sid_xarray.io._digest import tile_digest

__all__ = ["Cut", "Encoded", "Place", "Recipe", "Weaver"]

Array = np.ndarray[Any, Any]
Place = tuple[slice, ...]


class Weaver(Protocol):
    """Something that lays the axes of an array out on those of a dataset."""

    def pieces(self, key: Any, block: Array) -> Iterator[tuple[Place, Array]]:
        """Yield where in the dataset the parts of a block go."""


@dataclass(frozen=True)
class Cut:
    """What a block and a tile have in common.

    Attributes
    ----------
    index : tuple of int
        Number of the tile along every axis.
    tile : tuple of slice
        The tile, in the dataset.
    inside : tuple of slice
        The common part, in the block.
    whole : bool
        Whether that is all of the tile.
    """

    index: tuple[int, ...]
    tile: Place
    inside: Place
    whole: bool


@dataclass(frozen=True)
class Encoded:
    """A tile, ready to be stored; or, without a digest, a part of one that others have to complete."""

    place: Place
    data: Any
    mask: int = 0
    digest: bytes | None = None


@dataclass(frozen=True)
class Recipe:
    """How the blocks of one array become tiles of its dataset; it travels to other processes.

    Attributes
    ----------
    shape : tuple of int
        Of the dataset.
    tile : tuple of int
    dtype : dtype
        Of the dataset.
    cast : dtype or None
        To convert every block to before anything else.
    weaver : Weaver or None
        Lays out the axes, if those of the dataset are others.
    codec : Codec or None
        Makes the bytes of a tile; None if a tile is not one chunk.
    """

    shape: tuple[int, ...]
    tile: tuple[int, ...]
    dtype: np.dtype[Any]
    cast: np.dtype[Any] | None = None
    weaver: Weaver | None = None
    codec: Codec | None = None

    def pieces(self, key: Any, block: Any) -> Iterator[tuple[Place, Array]]:
        """Yield the parts of a block with their place in the dataset."""
        values = np.asarray(block)
        if 0 in values.shape:
            return
        if self.weaver is not None:
            yield from self.weaver.pieces(key, values)
            return
        key = key if isinstance(key, tuple) else (key,)
        if not key or Ellipsis in key:
            key = (slice(None),) * len(self.shape)
        place = tuple(slice(*k.indices(n)[:2]) for k, n in zip(key, self.shape, strict=True))
        yield place, values.reshape([s.stop - s.start for s in place])

    def cuts(self, place: Place) -> Iterator[Cut]:
        """Yield what a part of the dataset has in common with every tile that it touches."""
        along = []
        for part, tile, size in zip(place, self.tile, self.shape, strict=True):
            row = []
            for i in range(part.start // tile, -(-part.stop // tile)):
                whole = slice(i * tile, min((i + 1) * tile, size))
                low, high = max(part.start, whole.start), min(part.stop, whole.stop)
                row.append(
                    (i, whole, slice(low - part.start, high - part.start), high - low == whole.stop - whole.start)
                )
            along.append(row)
        for axes in itertools.product(*along):
            yield Cut(
                tuple(a[0] for a in axes),
                tuple(a[1] for a in axes),
                tuple(a[2] for a in axes),
                all(a[3] for a in axes),
            )

    def stored(self, values: Array) -> Array:
        """Return values in the dtype of the dataset, C order.

        Raises
        ------
        TypeError
            If that would lose some: the block is not of the dtype that its array declares.
        """
        if self.cast is not None:
            values = values.astype(self.cast, copy=False)
        if values.dtype != self.dtype and not np.can_cast(values.dtype, self.dtype, "same_kind"):
            raise TypeError(f"a block is of dtype {values.dtype}, its array says {self.dtype}. Type: .astype(...)")
        return np.ascontiguousarray(values, dtype=self.dtype).reshape(values.shape)

    def encoded(self, tile: Place, values: Array) -> Encoded:
        """Hash a whole tile, and make its bytes if they can be made here.

        Parameters
        ----------
        tile : tuple of slice
        values : ndarray
            As `stored` returns them.
        """
        if self.codec is None:
            return Encoded(tile, values, digest=tile_digest(values))
        chunk = self.codec.encode(values)
        return Encoded(tile, chunk.data, chunk.mask, tile_digest(chunk.values))
