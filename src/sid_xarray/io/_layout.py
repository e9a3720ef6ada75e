"""How values lie in an HDF5 file: chunks, and blocks of them."""

from __future__ import annotations

import math
from collections.abc import Sequence

__all__ = ["chunk_shape", "read_blocks"]

_TARGET = 512 * 2**10
_SMALL = 256 * 2**10
_ALONG = 4
_BLOCK = 32 * 2**20
_SIGNAL = frozenset(("spectral", "reciprocal"))


def chunk_shape(
    shape: Sequence[int], itemsize: int, types: Sequence[str], blocks: Sequence[Sequence[int]] | None = None
) -> tuple[int, ...] | None:
    """Return a chunk shape by which one image and one spectrum touch about equally many chunks.

    Parameters
    ----------
    shape : sequence of int
    itemsize : int
        Bytes of a value.
    types : sequence of str
        Types of the dimensions: spectral and reciprocal ones are the signal, the others the map.
    blocks : sequence, optional
        dask chunks: chunks of the file end where these end, if they can.

    Returns
    -------
    tuple of int or None
        Of about 512 KiB; None (contiguous) for less than 256 KiB.
    """
    if math.prod(shape) * itemsize <= _SMALL:
        return None
    chunk = list(shape)
    groups = [[i for i, t in enumerate(types) if (t in _SIGNAL) == signal] for signal in (False, True)]
    groups = [g for g in groups if g]
    # Of several signal dimensions the last is what is mostly looked along, and what lies together in memory.
    along = groups[-1][-1] if len(groups) == 2 and len(groups[-1]) > 1 else None
    while math.prod(chunk) * itemsize > _TARGET:
        # Halve in the group that is cut into fewer pieces, there the longest dimension.
        open_groups = [g for g in groups if any(chunk[i] > 1 for i in g)]
        group = min(open_groups, key=lambda g: math.prod(math.ceil(shape[i] / chunk[i]) for i in g))
        longest = max(group, key=lambda i: chunk[i] if i != along else chunk[i] / _ALONG)
        chunk[longest] = math.ceil(chunk[longest] / 2)
    if blocks is not None:
        chunk = [_aligned(c, b) for c, b in zip(chunk, blocks, strict=True)]
    return tuple(chunk)


def _aligned(chunk: int, blocks: Sequence[int]) -> int:
    """Return the largest length up to ``chunk`` that divides the blocks; ``chunk`` if they are irregular."""
    first = blocks[0]
    if any(b != first for b in blocks[:-1]) or blocks[-1] > first:
        return chunk
    for pieces in range(math.ceil(first / chunk), min(first, 4 * math.ceil(first / chunk)) + 1):
        if first % pieces == 0:
            return first // pieces
    return min(chunk, first)


def read_blocks(shape: Sequence[int], itemsize: int, chunks: Sequence[int] | None) -> tuple[int, ...]:
    """Return the shape of blocks to read a dataset in: whole chunks, of 16 to 32 MiB together.

    Parameters
    ----------
    shape : sequence of int
    itemsize : int
        Bytes of a value.
    chunks : sequence of int, optional
        Of the file; None if the values lie contiguous.

    Returns
    -------
    tuple of int
        Empty if the dataset is smaller than one block.
    """
    if 0 in shape or math.prod(shape) * itemsize <= _BLOCK:
        return ()
    block = [min(c, n) for c, n in zip(chunks, shape, strict=True)] if chunks else [1] * len(shape)
    # The last axes first: spectra and images become whole, and contiguous data are read in one go.
    for i in reversed(range(len(shape))):
        room = _BLOCK // max(1, math.prod(block) * itemsize)
        if room > 1:
            whole = math.ceil(shape[i] / block[i])
            block[i] = min(shape[i], block[i] * min(room, whole))
    return tuple(block)
