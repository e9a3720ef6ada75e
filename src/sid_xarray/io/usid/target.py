"""A 2-D main as the target of an N-D array: blocks go where they belong, and nothing is reshaped as a whole."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import h5py
import numpy as np

__all__ = ["GridTarget"]

_SLAB = 64 * 2**20


class GridTarget:
    """Takes blocks of an N-D array, and writes them into a 2-D dataset in raster order.

    Parameters
    ----------
    dataset : h5py.Dataset
    sizes : pair of tuple of int
        Axes of the rows, and of the columns, slow to fast.
    axes : sequence of int or None
        For every axis of the array, which of those in `sizes` it is; None is one of one point that is left out.
    """

    def __init__(
        self, dataset: h5py.Dataset, sizes: tuple[tuple[int, ...], tuple[int, ...]], axes: Sequence[int | None]
    ) -> None:
        self.dataset, self.sizes, self.axes = dataset, sizes, tuple(axes)
        both = sizes[0] + sizes[1]
        self.shape = tuple(1 if a is None else both[a] for a in self.axes)
        self.dtype = dataset.dtype
        self.ndim = len(self.shape)
        self.chunks = None

    def __setitem__(self, key: Any, values: Any) -> None:
        block = np.asarray(values)
        key = key if isinstance(key, tuple) else (key,)
        if Ellipsis in key or not key:
            key = (slice(None),) * self.ndim
        where: list[slice] = [slice(0, n) for n in self.sizes[0] + self.sizes[1]]
        for axis, part, n in zip(self.axes, key, self.shape, strict=True):
            if axis is not None:
                where[axis] = slice(*part.indices(n)[:2])
        if 0 in block.shape:
            return
        left_out = tuple(i for i, a in enumerate(self.axes) if a is None)
        block = np.squeeze(block.reshape([s.stop - s.start for s in self._own(where, key)]), axis=left_out)
        order = [a for a in self.axes if a is not None]
        self._write(block.transpose(np.argsort(order)), where)

    def _own(self, where: list[slice], key: tuple[Any, ...]) -> list[slice]:
        return [slice(0, 1) if a is None else where[a] for a in self.axes]

    def _write(self, block: np.ndarray[Any, Any], where: list[slice]) -> None:
        """Write a block whose axes are those of the rows and columns, run after run."""
        split = len(self.sizes[0])
        rows = _runs(where[:split], self.sizes[0], block.nbytes // _SLAB + 1)
        columns = _runs(where[split:], self.sizes[1], 1)
        for (row, row_part), (column, column_part) in itertools.product(rows, columns):
            part = block[row_part + column_part]
            self.dataset[row, column] = part.reshape(row.stop - row.start, column.stop - column.start)


def _runs(where: Sequence[slice], sizes: Sequence[int], pieces: int) -> list[tuple[slice, tuple[slice, ...]]]:
    """Cut a block into runs without a gap: where each lies in the file, and in the block.

    At least `pieces`, if there are so many along the slowest axis: a transposed block is copied piece by piece.
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
    out: list[tuple[slice, tuple[slice, ...]]] = []
    for corner in itertools.product(*(range(0, n, s) for n, s in zip(lengths, steps, strict=False))):
        ends = [min(c + s, n) for c, s, n in zip(corner, steps, lengths, strict=False)]
        start = sum((s.start + c) * stride for s, c, stride in zip(where, corner, strides, strict=False))
        start += sum(s.start * stride for s, stride in zip(where[len(corner) :], strides[len(corner) :], strict=True))
        part = [slice(c, e) for c, e in zip(corner, ends, strict=True)] + [slice(None)] * (len(sizes) - len(corner))
        count = math.prod(e - c for c, e in zip(corner, ends, strict=True)) * math.prod(lengths[len(corner) :])
        out.append((slice(start, start + count), tuple(part)))
    return out
