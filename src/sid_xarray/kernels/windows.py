"""Windows around positions: many short pieces of curves or images, in groups that share their positions."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from sid_xarray._types import AnyArray, BoolArray, FloatArray, IntArray

__all__ = ["Axis", "Piece", "cut", "pieces"]

_SLACK = 1e-9
# Samples that are cut out at once.
_AT_ONCE = 2**20
# Windows are as long as the next of these ratios, unless so large a part of them has the same length.
_RATIO, _COMMON = 1.3, 0.05


@dataclass(frozen=True, slots=True)
class Axis:
    """Positions along one axis.

    Parameters
    ----------
    x : ndarray, shape (n,)
        Finite, ascending.
    line : (float, float), optional
        Start and step, if windows may be taken as moved copies of each other; else each stands where it stands.
    """

    x: FloatArray
    line: tuple[float, float] | None = None

    def span(self, center: FloatArray, width: FloatArray) -> tuple[IntArray, IntArray]:
        """Return the first sample within windows, and the one behind the last."""
        half = 0.5 * width * (1 + _SLACK)
        first = np.searchsorted(self.x, center - half, side="left")
        return first, np.maximum(np.searchsorted(self.x, center + half, side="right"), first)


@dataclass(frozen=True, slots=True)
class Piece:
    """Windows of one group.

    Attributes
    ----------
    rows : ndarray of int, shape (k,)
        Which windows.
    axes : tuple of ndarray
        Positions along every axis, less `origin`.
    origin : ndarray, shape (axes, k)
    begin : ndarray of int, shape (axes, k)
        First samples.
    inside : ndarray of bool, shape (k, ...), or None
        Samples that lie in the window; None if all do.
    """

    rows: IntArray
    axes: tuple[FloatArray, ...]
    origin: FloatArray
    begin: IntArray
    inside: BoolArray | None


def pieces(axes: Sequence[Axis], centers: Sequence[FloatArray], widths: Sequence[FloatArray]) -> Iterator[Piece]:
    """Cut windows into groups: windows without a sample are in none.

    Parameters
    ----------
    axes : sequence of Axis
    centers, widths : sequence of ndarray, shape (k,)
        Along every axis; finite.
    """
    spans = [axis.span(c, w) for axis, c, w in zip(axes, centers, widths, strict=True)]
    some = np.logical_and.reduce([last > first for first, last in spans])
    rows = np.flatnonzero(some)
    if not rows.size:
        return
    spans = [(first[rows], last[rows]) for first, last in spans]
    places = [_placed(axis, first, last) for axis, (first, last) in zip(axes, spans, strict=True)]
    keys = np.stack([key for _, _, key in places], axis=-1)
    exact = np.logical_and.reduce(
        [last - first == size for (first, last), (_, size, _) in zip(spans, places, strict=True)]
    )
    _, group = np.unique(np.column_stack([keys, exact]), axis=0, return_inverse=True)
    order = np.argsort(group.ravel(), kind="stable")
    bounds = np.flatnonzero(np.diff(group.ravel()[order], prepend=-1, append=-1))
    for low, high in itertools.pairwise(bounds):
        own = order[low:high]
        sizes = [int(size[own].max()) for _, size, _ in places]
        step = max(1, _AT_ONCE // int(np.prod(sizes)))
        for at in (own[i : i + step] for i in range(0, own.size, step)):
            yield _piece(rows[at], axes, [(b[at], s) for (b, _, _), s in zip(places, sizes, strict=True)],
                         [(f[at], e[at]) for f, e in spans])  # fmt: skip


def _placed(axis: Axis, first: IntArray, last: IntArray) -> tuple[IntArray, IntArray, IntArray]:
    """Return where the samples of every window begin, how many they are, and the number of a group."""
    count = last - first
    if axis.line is not None:
        sizes = _lengths(count)
        size = sizes[np.searchsorted(sizes, count)]
        # At the end of the axis samples before the window fill the piece up.
        return np.minimum(first, axis.x.size - size), size, size
    bin_ = max(1, int(np.median(count)) // 2)
    key = first // bin_
    begin = key * bin_
    reach = np.zeros(int(key.max()) + 1, dtype=np.intp)
    np.maximum.at(reach, key, last - begin)
    return begin, reach[key], key


def _lengths(count: IntArray) -> IntArray:
    """Return few lengths for windows of these: none has to be much longer than it is."""
    number = np.bincount(count)
    common = np.flatnonzero(number > _COMMON * count.size).tolist()
    most, length = int(count.max()), float(count.min())
    ladder = [most]
    while length < most:
        ladder.append(int(np.ceil(length)))
        length *= _RATIO
    return np.unique(np.array(ladder + common, dtype=np.intp))


def _piece(
    rows: IntArray,
    axes: Sequence[Axis],
    begins: Sequence[tuple[IntArray, int]],
    spans: Sequence[tuple[IntArray, IntArray]],
) -> Piece:
    grids: list[FloatArray] = []
    origins, inside = [], []
    for axis, (begin, size), (first, last) in zip(axes, begins, spans, strict=True):
        if axis.line is not None:
            start, step = axis.line
            grids.append(step * np.arange(size, dtype=np.float64))
            origins.append(start + step * begin)
        else:
            grids.append(axis.x[begin[0] : begin[0] + size])
            origins.append(np.zeros(len(rows)))
        at = begin[:, np.newaxis] + np.arange(size)
        inside.append((at >= first[:, np.newaxis]) & (at < last[:, np.newaxis]))
    whole = all(own.all() for own in inside)
    mask = inside[0] if len(axes) == 1 else inside[0][:, :, np.newaxis] & inside[1][:, np.newaxis, :]
    begin = np.stack([b for b, _ in begins])
    return Piece(rows, tuple(grids), np.stack(origins), begin, None if whole else mask)


def cut(values: AnyArray, piece: Piece, of: IntArray) -> AnyArray:
    """Return the samples of windows, shape (k, n), in double precision; NaN outside of them.

    Parameters
    ----------
    values : ndarray, shape (curves, n) or (curves, m, n)
    piece : Piece
    of : ndarray of int
        Which curve every window is of.
    """
    index = [b[:, np.newaxis] + np.arange(x.size) for b, x in zip(piece.begin, piece.axes, strict=True)]
    curve = of[piece.rows]
    if len(index) == 1:
        found = values[curve[:, np.newaxis], index[0]]
    else:
        found = values[curve[:, np.newaxis, np.newaxis], index[0][:, :, np.newaxis], index[1][:, np.newaxis, :]]
    found = found.astype(np.complex128 if np.iscomplexobj(found) else np.float64, copy=False)
    if piece.inside is not None:
        found = np.where(piece.inside, found, np.nan)
    return np.asarray(found.reshape(len(found), -1))
