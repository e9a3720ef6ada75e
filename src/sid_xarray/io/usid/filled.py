"""A main whose points leave holes in its grid: what was not measured is filled when it is read."""

from __future__ import annotations

import math
from typing import Any

import h5py
import numpy as np

from sid_xarray.io.usid.array import FileArray, GridArray

__all__ = ["FilledArray"]

Array = np.ndarray[Any, Any]
Sizes = tuple[tuple[int, ...], tuple[int, ...]]


class FilledArray(FileArray):
    """A 2-D main in the N-D form of a grid that its points do not fill.

    Parameters
    ----------
    *args, **kwargs
        As of `FileArray`.
    sizes : pair of tuple of int
        Axes of the rows, and of the columns, slow to fast.
    points : pair of ndarray or None
        Which row (column) of the file every point of the grid is, in C order; -1 for none, None for all in order.
    fill : number
        Stands where there is none.

    Raises
    ------
    ValueError
        If the dtype of the values cannot hold it, and no float can.
    """

    def __init__(self, *args: Any, sizes: Sizes, points: tuple[Array | None, Array | None], fill: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.sizes, self.fill = sizes, fill
        self.points = tuple(None if p is None else p.astype("i8") for p in points)
        # A side with holes is read as the list of its points.
        holes = [p is not None and bool((p < 0).any()) for p in points]
        flat = [(n,) if hole else s for hole, s, n in zip(holes, sizes, self.stored_shape, strict=True)]
        kept = [None if hole else p for hole, p in zip(holes, points, strict=True)]
        self.holes = tuple(holes)
        self.inner = GridArray(*args, sizes=(flat[0], flat[1]), points=(kept[0], kept[1]), **kwargs)
        self.shape = sizes[0] + sizes[1]
        self.dtype = _with_room(self.dtype, fill)

    def values_of(self, dataset: h5py.Dataset, key: tuple[Any, ...]) -> Array:
        """Return what a key selects from the grid."""
        split = len(self.sizes[0])
        sides = [self._side(0, key[:split]), self._side(1, key[split:])]
        values = self.inner.values_of(dataset, (*sides[0][0], *sides[1][0]))
        shape = sides[0][1] + sides[1][1]
        counts = [math.prod(side[1]) for side in sides]
        places = [np.arange(n) if side[2] is None else side[2] for side, n in zip(sides, counts, strict=True)]
        if all(len(p) == n for p, n in zip(places, counts, strict=True)):
            return values.reshape(shape)
        out = np.full(counts, self.fill, dtype=self.dtype)
        out[np.ix_(*places)] = values.reshape([len(p) for p in places])
        return out.reshape(shape)

    def _side(self, i: int, key: tuple[Any, ...]) -> tuple[tuple[Any, ...], tuple[int, ...], Array | None]:
        """Return the key of the list of points, the shape that is selected, and where in it the points go."""
        index = [np.atleast_1d(np.arange(n)[k]) for k, n in zip(key, self.sizes[i], strict=True)]
        shape = tuple(len(a) for a, k in zip(index, key, strict=True) if isinstance(k, slice | np.ndarray))
        points = self.points[i]
        if not self.holes[i] or points is None:
            return key, shape, None
        rows = points.reshape(self.sizes[i])[np.ix_(*index)].ravel()
        there = np.flatnonzero(rows >= 0)
        return (rows[there],), shape, there


def _with_room(dtype: np.dtype[Any], fill: Any) -> np.dtype[Any]:
    """Return a dtype that holds the values and what fills the holes: their own, if it can."""
    if dtype.kind not in "biufc":
        raise ValueError(f"values of dtype {dtype} cannot be filled with {fill!r}")
    try:
        found = np.result_type(dtype, fill)
        same = np.array(fill).astype(found)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"values of dtype {dtype} cannot be filled with {fill!r}") from error
    if not np.array_equal(same, np.array(fill), equal_nan=True):
        raise ValueError(f"values of dtype {dtype} cannot be filled with {fill!r}. Type: fill=float('nan')")
    return found
