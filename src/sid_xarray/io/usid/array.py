"""A main as the N-D array behind it: rows and columns are read when they are asked for, and no others."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import h5py
import numpy as np

from sid_xarray.io._lazy import FileArray

__all__ = ["FileArray", "GridArray", "grid_chunks"]

Array = np.ndarray[Any, Any]
_GAP = 64 * 2**10
_SEEK = 2**10
_BLOCK = 32 * 2**20


class GridArray(FileArray):
    """A 2-D main in its N-D form.

    Parameters
    ----------
    sizes : pair of tuple of int
        Axes of the rows, and of the columns, slow to fast.
    points : pair of ndarray or None
        Which row (column) of the file every point of the rows (columns) is, in C order; None for all in order.
    axes : sequence of int or None, optional
        For every axis of the array, which of those in `sizes` it is; None is a new one of one point.
    """

    def __init__(
        self,
        *args: Any,
        sizes: tuple[tuple[int, ...], tuple[int, ...]],
        points: tuple[Array | None, Array | None] = (None, None),
        axes: Sequence[int | None] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.sizes = sizes
        self.points = tuple(_small(p) for p in points)
        both = sizes[0] + sizes[1]
        self.axes = tuple(range(len(both))) if axes is None else tuple(axes)
        self.shape = tuple(1 if a is None else both[a] for a in self.axes)

    def values_of(self, dataset: h5py.Dataset, key: tuple[Any, ...]) -> Array:
        """Return what a key selects from the N-D form."""
        count = len(self.sizes[0]) + len(self.sizes[1])
        inner: list[Any] = [0] * count
        for axis, index in zip(self.axes, key, strict=True):
            if axis is not None:
                inner[axis] = index
        split = len(self.sizes[0])
        rows, row_shape = _select(inner[:split], self.sizes[0], self.points[0])
        columns, column_shape = _select(inner[split:], self.sizes[1], self.points[1])
        values = _rectangle(dataset, rows, columns, self.field, self.fetch).reshape(row_shape + column_shape)
        return self._arranged(values, inner, key)

    def _arranged(self, values: Array, inner: list[Any], key: tuple[Any, ...]) -> Array:
        there = [a for a in range(len(inner)) if not isinstance(inner[a], int | np.integer)]
        wanted = [a for a in self.axes if a is not None and a in there]
        values = values.transpose([there.index(a) for a in wanted])
        axis = 0
        for a, index in zip(self.axes, key, strict=True):
            if isinstance(index, int | np.integer):
                continue
            if a is None:
                values = np.expand_dims(values, axis)[(slice(None),) * axis + (index,)]
            axis += 1
        return values


def _small(points: Array | None) -> Array | None:
    """Return places in as few bytes as they need: they travel with every task."""
    if points is None or points.size > np.iinfo("i4").max:
        return points
    return points.astype("i4")


def _select(keys: Sequence[Any], sizes: Sequence[int], points: Array | None) -> tuple[slice | Array, tuple[int, ...]]:
    """Return the rows of the file that a selection needs, in its order, and its shape."""
    index = [_indices(k, n) for k, n in zip(keys, sizes, strict=True)]
    shape = tuple(len(i) for i, k in zip(index, keys, strict=True) if not isinstance(k, int | np.integer))
    if points is None and (span := _span(index, sizes)) is not None:
        return span, shape
    flat: Array = np.zeros((), dtype=np.int64)
    for i, n in zip(index, sizes, strict=True):
        along = np.arange(i.start, i.stop, i.step) if isinstance(i, range) else i
        flat = flat[..., np.newaxis] * n + along
    flat = flat.ravel()
    return (flat if points is None else points[flat].astype(np.int64)), shape


def _indices(key: Any, size: int) -> range | Array:
    if isinstance(key, slice):
        return range(*key.indices(size))
    if isinstance(key, int | np.integer):
        place = int(key) % size if size else 0
        return range(place, place + 1)
    found = np.asarray(key, dtype=np.int64)
    return np.where(found < 0, found + size, found)


def _span(index: Sequence[range | Array], sizes: Sequence[int]) -> slice | None:
    """Return the points as one slice, if they lie beside each other in C order."""
    start, length, stride, whole = 0, 1, 1, True
    for i, n in zip(reversed(index), reversed(sizes), strict=True):
        if len(i) == 0:
            return slice(0, 0)
        if len(i) > 1 and (not whole or not isinstance(i, range) or i.step != 1):
            return None
        start += int(i[0]) * stride
        length *= len(i)
        whole = whole and len(i) == n
        stride *= n
    return slice(start, start + length)


def _rectangle(
    dataset: h5py.Dataset,
    rows: slice | Array,
    columns: slice | Array,
    field: str | None,
    fetch: Callable[[h5py.Dataset, tuple[Any, ...]], Array],
) -> Array:
    """Read rows × columns in any order; neighbours together, what lies between distant ones not at all."""
    if isinstance(rows, slice) and isinstance(columns, slice):
        return fetch(dataset, (rows, columns))
    counts = [k.stop - k.start if isinstance(k, slice) else len(k) for k in (rows, columns)]
    out: Array | None = None
    width = dataset.dtype.itemsize
    chunks = dataset.chunks or (None, None)
    # A part of a row costs a seek of its own, however few its bytes.
    part = _extent(columns) < dataset.shape[1]
    nbytes = max(width * _extent(columns), _SEEK if part else 1)
    for row, row_from, row_to in _runs(rows, chunks[0], nbytes):
        for column, column_from, column_to in _runs(columns, chunks[1], width):
            values = fetch(dataset, (row, column))
            if out is None:
                out = np.empty(counts, dtype=values.dtype)
            out[_cross(row_to, column_to)] = values[_cross(row_from, column_from)]
    return np.empty(counts, dtype=dataset.dtype if field is None else dataset.dtype[field]) if out is None else out


def _extent(index: slice | Array) -> int:
    return max(1, int(index.stop - index.start) if isinstance(index, slice) else len(index))


def _cross(rows: slice | Array, columns: slice | Array) -> Any:
    if isinstance(rows, slice) or isinstance(columns, slice):
        return rows, columns
    return np.ix_(rows, columns)


def _runs(index: slice | Array, chunk: int | None, nbytes: int) -> Iterator[tuple[slice, slice | Array, slice | Array]]:
    """Cut places into runs to read: the slice of the file, where in it they are, and where they go."""
    if isinstance(index, slice):
        yield index, slice(None), slice(None)
        return
    if not len(index):
        return
    steps = np.diff(index)
    if len(steps) and steps[0] > 1 and np.all(steps == steps[0]):
        yield slice(int(index[0]), int(index[-1]) + 1, int(steps[0])), slice(None), slice(None)
        return
    order = np.argsort(index, kind="stable")
    ordered = index[order]
    # What lies in one chunk is unpacked together anyway; on a bare file a seek costs as much as some bytes.
    gap = max(1, chunk if chunk is not None else _GAP // nbytes)
    longest = max(gap, _BLOCK // nbytes)
    start = 0
    breaks = [*(np.flatnonzero(np.diff(ordered) > gap) + 1).tolist(), len(ordered)]
    for stop in breaks:
        while start < stop:
            end = min(stop, int(np.searchsorted(ordered, ordered[start] + longest)))
            low, high = int(ordered[start]), int(ordered[end - 1]) + 1
            yield slice(low, high), ordered[start:end] - low, order[start:end]
            start = end


def grid_chunks(
    sizes: tuple[tuple[int, ...], tuple[int, ...]], chunks: tuple[int, ...] | None
) -> tuple[int, ...] | None:
    """Return the shape that a chunk of the main has in the N-D form, as nearly as it can be told."""
    if chunks is None:
        return None
    out: list[int] = []
    for shape, chunk in zip(sizes, chunks, strict=True):
        part: list[int] = []
        for n in reversed(shape):
            part.insert(0, max(1, min(n, chunk)))
            chunk = math.ceil(chunk / n) if n and chunk > n else 1
        out += part
    return tuple(out)
