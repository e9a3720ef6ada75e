"""An N-D array as rows and columns: blocks go where they belong, and nothing is reshaped as a whole."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["Raster"]

Array = np.ndarray[Any, Any]
Run = tuple[slice, tuple[slice, ...]]
_SLAB = 8 * 2**20


@dataclass(frozen=True)
class Raster:
    """Lays out an N-D array on a 2-D main in raster order.

    Attributes
    ----------
    sizes : pair of tuple of int
        Axes of the rows, and of the columns, slow to fast.
    axes : tuple of int or None
        For every axis of the array, which of those in `sizes` it is; None is one of one point that is left out.
    """

    sizes: tuple[tuple[int, ...], tuple[int, ...]]
    axes: tuple[int | None, ...]

    def pieces(self, key: Any, block: Array) -> Iterator[tuple[tuple[slice, ...], Array]]:
        """Yield the runs of a block: rows and columns of the main, and what goes there.

        Parameters
        ----------
        key : tuple of slice
            Place of the block in the array.
        block : ndarray
        """
        both = self.sizes[0] + self.sizes[1]
        key = key if isinstance(key, tuple) else (key,)
        if Ellipsis in key or not key:
            key = (slice(None),) * len(self.axes)
        where: list[slice] = [slice(0, n) for n in both]
        for axis, part in zip(self.axes, key, strict=True):
            if axis is not None:
                where[axis] = slice(*part.indices(both[axis])[:2])
        own = [1 if a is None else where[a].stop - where[a].start for a in self.axes]
        left_out = tuple(i for i, a in enumerate(self.axes) if a is None)
        block = np.squeeze(block.reshape(own), axis=left_out)
        order = [a for a in self.axes if a is not None]
        yield from self._runs_of(block.transpose(np.argsort(order)), where)

    def _runs_of(self, block: Array, where: list[slice]) -> Iterator[tuple[tuple[slice, ...], Array]]:
        split = len(self.sizes[0])
        # A block that lies in the order of the main is seen as rows and columns; any other is copied bit by bit.
        flat = _joins(block, 0, split) and _joins(block, split, block.ndim)
        rows = _runs(where[:split], self.sizes[0], 1 if flat else block.nbytes // _SLAB + 1)
        columns = _runs(where[split:], self.sizes[1], 1)
        for (row, row_part), (column, column_part) in itertools.product(rows, columns):
            part = block[row_part + column_part]
            yield (row, column), part.reshape(row.stop - row.start, column.stop - column.start)


def _joins(block: Array, start: int, stop: int) -> bool:
    """Tell whether some axes are one in memory."""
    axes = [i for i in range(start, stop) if block.shape[i] > 1]
    pairs = itertools.pairwise(axes)
    return all(block.strides[slow] == block.strides[fast] * block.shape[fast] for slow, fast in pairs)


def _runs(where: Sequence[slice], sizes: Sequence[int], pieces: int) -> list[Run]:
    """Cut a block into runs without a gap: where each lies in the file, and in the block.

    At least `pieces`, if there are so many along the slowest axis.
    """
    lengths = [s.stop - s.start for s in where]
    # Fast axes that are whole make one run with the next slower one.
    first = len(sizes)
    while first > 0 and (first == len(sizes) or lengths[first] == sizes[first]):
        first -= 1
    strides = [math.prod(sizes[i + 1 :]) for i in range(len(sizes))]
    steps = [1] * first
    if first < len(sizes):
        steps.append(max(1, math.ceil(lengths[first] / pieces)))
    out: list[Run] = []
    for corner in itertools.product(*(range(0, n, s) for n, s in zip(lengths, steps, strict=False))):
        ends = [min(c + s, n) for c, s, n in zip(corner, steps, lengths, strict=False)]
        start = sum((s.start + c) * stride for s, c, stride in zip(where, corner, strides, strict=False))
        start += sum(s.start * stride for s, stride in zip(where[len(corner) :], strides[len(corner) :], strict=True))
        part = [slice(c, e) for c, e in zip(corner, ends, strict=True)] + [slice(None)] * (len(sizes) - len(corner))
        count = math.prod(e - c for c, e in zip(corner, ends, strict=True)) * math.prod(lengths[len(corner) :])
        out.append((slice(start, start + count), tuple(part)))
    return out
