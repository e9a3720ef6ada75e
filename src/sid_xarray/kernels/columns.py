"""Peaks of images: where they are, and how far each stands out of what surrounds it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sid_xarray._types import AnyArray, BoolArray, FloatArray, IntArray
from sid_xarray.kernels.peaks import Limits, packed, vertex
from sid_xarray.kernels.smoothing import smooth

__all__ = ["find_in_planes", "prominences"]

_SLACK = 1 - 1e-9
_HALF = ((0, 1), (1, -1), (1, 0), (1, 1))


def find_in_planes(
    z: AnyArray, *, axes: Sequence[FloatArray], limits: Limits, size: int | None, dtype: np.dtype[np.floating]
) -> tuple[AnyArray, AnyArray, AnyArray, AnyArray, AnyArray]:
    """Find the local maxima of every image.

    Parameters
    ----------
    z : ndarray, shape (..., m, n)
    axes : two ndarrays, shapes (m,) and (n,)
        Ascending or descending.
    limits : Limits
        Distances and standard deviations are along these two axes; the distance is the half axis of an ellipse.
    size : int or None
        How many to return; the highest. None: as many as the image with most has, at least one.
    dtype : dtype
        Of heights and prominences.

    Returns
    -------
    first, second : ndarray, shape (..., size)
        Positions along the two axes, the highest peak first; NaN behind the last.
    height, prominence : ndarray, shape (..., size)
    count : ndarray of int32, shape (...)

    Notes
    -----
    A peak has all its eight neighbours: none lies at the border, or beside a sample that is not finite. A plateau is
    one peak, at the mean of its places. The position along each axis is the vertex of the parabola through the highest
    sample and its neighbours. The prominence is the height above the highest saddle towards something higher.
    """
    lead = z.shape[:-2]
    found = [_of_plane(plane, axes, limits) for plane in z.reshape(int(np.prod(lead, dtype=int)), *z.shape[-2:])]
    count = np.array([len(one) for one in found], dtype=np.int32).reshape(lead)
    table = packed([one[:size] for one in found], 4, size)
    columns = table.reshape(*lead, *table.shape[1:])
    first, second, height, prominence = np.moveaxis(columns, -1, 0)
    return first, second, height.astype(dtype), prominence.astype(dtype), count


def _of_plane(plane: AnyArray, axes: Sequence[FloatArray], limits: Limits) -> FloatArray:
    """Return positions, height and prominence of every peak, the highest first, shape (peaks, 4)."""
    z = np.asarray(plane, dtype=np.float64)
    if min(z.shape) < 3:
        return np.empty((0, 4))
    z = smooth(z, axes, limits.smooth) if any(s > 0 for s in limits.smooth) else z
    z = np.where(np.isfinite(z), z, -np.inf)
    at, prominence = prominences(z)
    keep = (prominence > 0) & (z.flat[at] >= limits.height[0]) & (z.flat[at] <= limits.height[1])
    at, prominence = at[keep], prominence[keep]
    iy, ix = np.divmod(at, z.shape[1])
    edge = _beside_nothing(z)
    flat = _is_flat(z, iy, ix)
    places = [_along(axes[0], z, iy, ix, 0), _along(axes[1], z, iy, ix, 1)]
    open_ = ~edge[iy, ix]
    if flat.any():
        open_[flat] = _middle_of_plateaus(z, edge, axes, at[flat], places, flat)
    order = np.flatnonzero(open_)
    order = order[np.lexsort((at[order], -z.flat[at[order]]))]
    table = np.stack([places[0], places[1], z.flat[at], prominence], axis=-1)[order]
    if all(d > 0 for d in limits.distance):
        table = table[_far(table[:, :2] / np.array(limits.distance))]
    kept = (table[:, 3] >= limits.prominence[0]) & (table[:, 3] <= limits.prominence[1])
    return np.asarray(table[kept])


def _along(x: FloatArray, z: FloatArray, iy: IntArray, ix: IntArray, axis: int) -> FloatArray:
    """Return places along one axis, by parabolas; those at the border and beside gaps are dropped elsewhere."""
    i = np.clip((iy, ix)[axis], 1, x.size - 2)
    steps = [(i + d, ix) if axis == 0 else (iy, i + d) for d in (-1, 0, 1)]
    return vertex(x[i - 1], x[i], x[i + 1], *(z[step] for step in steps))


def _beside_nothing(z: FloatArray) -> BoolArray:
    """Return where a sample lacks a neighbour."""
    from scipy.ndimage import binary_erosion

    return ~np.asarray(binary_erosion(np.isfinite(z), structure=np.ones((3, 3), dtype=bool), border_value=0))


def _is_flat(z: FloatArray, iy: IntArray, ix: IntArray) -> BoolArray:
    """Return which maxima have a neighbour of the same height."""
    out = np.zeros(iy.size, dtype=bool)
    ends = np.array(z.shape) - 1
    for dy in (-1, 0, 1):
        for dx in (-1, 0, 1):
            if dy or dx:
                out |= z[np.clip(iy + dy, 0, ends[0]), np.clip(ix + dx, 0, ends[1])] == z[iy, ix]
    # A place at the border meets itself; it is no peak anyway.
    return np.asarray(out & (iy > 0) & (ix > 0) & (iy < ends[0]) & (ix < ends[1]))


def _middle_of_plateaus(
    z: FloatArray, edge: BoolArray, axes: Sequence[FloatArray], at: IntArray, places: list[FloatArray], flat: BoolArray
) -> BoolArray:
    """Move maxima that are wide plateaus to their middle; return which of them have all neighbours."""
    from scipy.ndimage import label, maximum_filter

    top = np.isfinite(z) & (maximum_filter(z, size=3, mode="nearest") == z)
    labels = np.asarray(label(top, structure=np.ones((3, 3), dtype=int))[0])
    iy, ix = np.nonzero(top)
    own = labels[iy, ix]
    size = np.maximum(np.bincount(own), 1)
    number = labels.flat[at]
    for place, x, i in zip(places, axes, (iy, ix), strict=True):
        least, most = np.full(size.size, x.size), np.zeros(size.size, dtype=int)
        np.minimum.at(least, own, i)
        np.maximum.at(most, own, i)
        # The parabola through two equal samples turns between them.
        wide = (most - least)[number] > 1
        place[flat] = np.where(wide, (np.bincount(own, weights=x[i]) / size)[number], place[flat])
    return np.asarray(np.bincount(own, weights=edge[iy, ix])[number] == 0)


def _far(places: FloatArray) -> IntArray:
    """Return which places remain when each, from the first on, drops those that are nearer to it than 1."""
    from scipy.spatial import KDTree

    if not len(places):
        return np.empty(0, dtype=np.intp)
    tree = KDTree(places)
    alive = np.ones(len(places), dtype=bool)
    for i, place in enumerate(places):
        if alive[i]:
            alive[tree.query_ball_point(place, _SLACK)] = False
            alive[i] = True
    return np.flatnonzero(alive)


def prominences(z: FloatArray) -> tuple[IntArray, FloatArray]:
    """Return the local maxima of an image, as places in the flat array, and how far each stands out.

    Every sample belongs to the maximum that the steepest ascent from it ends at. Maxima are joined from the highest
    saddle down; at each, the lower of two is left with its height above the saddle. Equal samples are told apart by
    their place, so that a plateau has one maximum with a prominence, and others without.

    Parameters
    ----------
    z : ndarray, shape (m, n)
        -inf where there is nothing.

    Returns
    -------
    at : ndarray of int, shape (maxima,)
    prominence : ndarray, shape (maxima,)
        Of the highest one, its height above the lowest sample around it.
    """
    there = np.isfinite(z)
    owner = _ascent(z)
    at = np.flatnonzero((owner == np.arange(z.size)) & there.ravel())
    if not at.size:
        return at, np.empty(0)
    number = np.full(z.size, -1, dtype=np.int64)
    number[at] = np.arange(at.size)
    basin = np.where(there.ravel(), number[owner], -1).reshape(z.shape)
    low, high, saddle = _saddles(z, basin, at.size)
    height = z.ravel()[at]
    lowest = np.full(at.size, np.inf)
    np.minimum.at(lowest, basin[there], z[there])
    return at, _joined(height, lowest, low, high, saddle)


def _ascent(z: FloatArray) -> IntArray:
    """Return where the steepest ascent from every sample ends, as places in the flat array."""
    m, n = z.shape
    wide = np.pad(z, 1, constant_values=-np.inf)
    best = np.full(z.shape, -np.inf)
    target = np.arange(z.size, dtype=np.int64).reshape(z.shape)
    # In the order of places: of equal samples the last one is the highest.
    for dy in (-1, 0, 1):
        for dx in (-1, 0, 1):
            other = wide[1 + dy : 1 + dy + m, 1 + dx : 1 + dx + n]
            wins = (other >= best) & (other > -np.inf)
            np.copyto(best, other, where=wins)
            np.copyto(target, np.arange(z.size).reshape(z.shape) + (dy * n + dx), where=wins)
    owner = target.ravel()
    while True:
        further = owner[owner]
        if np.array_equal(further, owner):
            return owner
        owner = further


def _saddles(z: FloatArray, basin: IntArray, count: int) -> tuple[IntArray, IntArray, FloatArray]:
    """Return which basins touch, and the highest sample that leads from one to the other."""
    m, n = z.shape
    keys, heights = [], []
    for dy, dx in _HALF:
        here = (slice(0, m - dy), slice(max(0, -dx), n - max(0, dx)))
        there = (slice(dy, m), slice(max(0, dx), n + min(0, dx)))
        a, b = basin[here], basin[there]
        touch = (a != b) & (a >= 0) & (b >= 0)
        a, b = a[touch], b[touch]
        keys.append(np.minimum(a, b) * count + np.maximum(a, b))
        heights.append(np.minimum(z[here][touch], z[there][touch]))
    key, height = np.concatenate(keys), np.concatenate(heights)
    order = np.lexsort((-height, key))
    key, height = key[order], height[order]
    first = np.ones(key.size, dtype=bool)
    first[1:] = key[1:] != key[:-1]
    low, high = np.divmod(key[first], count)
    return low, high, height[first]


def _joined(height: FloatArray, lowest: FloatArray, low: IntArray, high: IntArray, saddle: FloatArray) -> FloatArray:
    """Return the prominence of every maximum, from the saddles between them."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import minimum_spanning_tree

    count = height.size
    # Only the tree of the highest saddles matters. Weights are ranks, which are never 0.
    rank = np.empty(saddle.size)
    rank[np.argsort(-saddle, kind="stable")] = np.arange(1, saddle.size + 1)
    pairs = low.astype(np.int32), high.astype(np.int32)  # SciPy's trees take no longer ones, before 1.15
    tree = minimum_spanning_tree(coo_array((rank, pairs), shape=(count, count)).tocsr()).tocoo()
    order = np.argsort(tree.data)
    saddles = np.sort(saddle)[::-1][tree.data[order].astype(np.int64) - 1].tolist()
    position = np.empty(count, dtype=np.int64)
    position[np.lexsort((np.arange(count), height))] = np.arange(count)
    greater, parent, out = position.tolist(), list(range(count)), [-1.0] * count
    heights = height.tolist()

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    for a, b, between in zip(tree.row[order].tolist(), tree.col[order].tolist(), saddles, strict=True):
        a, b = root(a), root(b)
        if greater[a] > greater[b]:
            a, b = b, a
        parent[a] = b
        out[a] = heights[a] - between
    last = np.array([root(i) for i in range(count)])
    bottom = np.full(count, np.inf)
    np.minimum.at(bottom, last, lowest)
    found = np.array(out)
    alone = np.flatnonzero(last == np.arange(count))
    found[alone] = height[alone] - bottom[alone]
    return found
