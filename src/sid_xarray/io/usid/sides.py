"""One side of a main, its rows or its columns: what their indices say about the array behind them."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import h5py
import numpy as np

from sid_xarray.io import _h5
from sid_xarray.io._filters import whole
from sid_xarray.io.usid.layout import POSITION, is_placeholder

__all__ = ["Column", "Form", "Side", "form_of", "read_side"]

Array = np.ndarray[Any, Any]
_TYPE_INCOMPLETE, _TYPE_DEPENDENT = 1, 2
_HOLLOW = 64 * 2**20
_MAX_EXPANSION = 5000
_SPARSEST = 1000


@dataclass
class Side:
    """What the two ancillary datasets of one side hold.

    Attributes
    ----------
    kind : {"position", "spectroscopic"}
    size : int
        Number of rows, or columns, of the main.
    indices, values : ndarray or None, shape (dimensions, size)
        None where the file has none that fit; then the other one has to do.
    labels, units, quantities, types : list of str
        One a dimension. The last two are ours and empty in the files of others.
    incomplete, dependent : set of int
        Dimensions that the file marks as no axes of a grid.
    """

    kind: str
    size: int
    indices: Array | None
    values: Array | None
    labels: list[str] = field(default_factory=list)
    units: list[str] = field(default_factory=list)
    quantities: list[str] = field(default_factory=list)
    types: list[str] = field(default_factory=list)
    incomplete: set[int] = field(default_factory=set)
    dependent: set[int] = field(default_factory=set)


@dataclass
class Column:
    """Positions along one dimension: over one axis, or over several where they drift."""

    label: int
    axes: tuple[int, ...]
    values: Array
    what: str = "values"


@dataclass
class Form:
    """The N-D form of one side.

    Attributes
    ----------
    axes : tuple of int
        The label of every axis, slow to fast; empty if there is one flat axis, or none.
    sizes : tuple of int
        Empty if the side is a placeholder of one point.
    points : ndarray or None
        Where in the file every point of the form lies, -1 for one that is not there; None if they lie in its order.
    columns : list of Column
    flat : bool
        Whether there is no grid, and the points are just listed.
    """

    axes: tuple[int, ...]
    sizes: tuple[int, ...]
    points: Array | None
    columns: list[Column]
    flat: bool = False


def read_side(
    kind: str, size: int, indices: h5py.Dataset | None, values: h5py.Dataset | None
) -> tuple[Side, list[str]]:
    """Read the ancillary datasets of one side; what does not fit is left out and told.

    Returns
    -------
    side : Side
    problems : list of str
    """
    problems: list[str] = []
    found: dict[str, Array | None] = {}
    for what, dataset in (("indices", indices), ("values", values)):
        found[what], why = _matrix(dataset, size, kind)
        if why:
            problems.append(f"the {kind} {what} {why}")
    ind, val = found["indices"], found["values"]
    if ind is not None and val is not None and ind.shape != val.shape:
        problems.append(f"the {kind} values have the shape {val.shape}, the indices {ind.shape}: left out")
        val = None
    side = Side(kind, size, ind, val)
    count = 0 if ind is None and val is None else len(ind if ind is not None else val)  # type: ignore[arg-type]
    holders = [d for d in (indices, values) if d is not None]
    side.labels = _texts(holders, "labels", count, problems, kind)
    side.units = _texts(holders, "units", count, problems, kind)
    side.quantities = _texts(holders, "quantity", count)
    side.types = _texts(holders, "dimension_type", count)
    _read_marks(side, holders)
    return side, problems


def _matrix(dataset: h5py.Dataset | None, size: int, kind: str) -> tuple[Array | None, str]:
    """Return an ancillary dataset with one row a dimension, whichever way it lies in the file."""
    if dataset is None:
        return None, "are missing"
    shape = dataset.shape
    if shape is None or dataset.dtype.kind not in "biuf" or not _h5.is_stored_here(dataset):
        return None, "hold no numbers"
    if len(shape) not in (1, 2) or size not in shape:
        return None, f"have the shape {shape} for {size} points: left out"
    nbytes = math.prod(shape) * dataset.dtype.itemsize
    if nbytes > _HOLLOW and nbytes > _MAX_EXPANSION * max(dataset.id.get_storage_size(), 1):
        return None, f"declare the shape {shape} and hold almost nothing: left out"
    array = np.asarray(whole(dataset))
    if array.ndim == 1:
        return array[np.newaxis], ""
    points = 0 if kind == POSITION else 1
    # Written the wrong way round by hand-made scripts.
    transposed = array.shape[points] != size
    return np.ascontiguousarray(array.T if (points == 0) != transposed else array), ""


def _texts(
    holders: list[h5py.Dataset], name: str, count: int, problems: list[str] | None = None, kind: str = ""
) -> list[str]:
    """Return one text a dimension, from the first dataset that has any; too few are filled with empty ones."""
    out: list[str] = []
    for holder in holders:
        said = _h5.attribute(holder, name)
        listed = said if isinstance(said, list) else [said] if isinstance(said, str) else []
        out = [v if isinstance(v, str) else "" for v in np.ravel(np.array(listed, dtype=object)).tolist()]
        if out:
            break
    if problems is not None and len(out) > count:
        problems.append(f"there are {len(out)} {kind} {name} for {count} dimension(s): the rest is left out")
    return (out + [""] * count)[:count]


def _read_marks(side: Side, holders: list[h5py.Dataset]) -> None:
    for holder in holders:
        for name, marked in (("incomplete_dimensions", side.incomplete), ("dependent_dimensions", side.dependent)):
            said = _h5.attribute(holder, name)
            listed = said if isinstance(said, list) else [said]
            marked |= {k for k, label in enumerate(side.labels) if label and label in listed}
        types = _h5.raw_attribute(holder, "type")
        if isinstance(types, np.ndarray | np.number) and np.asarray(types).dtype.kind in "iu":
            for k, mark in enumerate(np.ravel(types).tolist()[: len(side.labels)]):
                if mark == _TYPE_INCOMPLETE:
                    side.incomplete.add(k)
                elif mark == _TYPE_DEPENDENT:
                    side.dependent.add(k)


def form_of(side: Side, *, holes: bool = False) -> Form:
    """Return the N-D form that the indices describe, or the flat one where they describe none.

    Parameters
    ----------
    side : Side
    holes : bool
        Take a grid, too, that the points do not fill.
    """
    count = len(side.labels)
    if count == 1 and side.size == 1 and is_placeholder(side.labels[0]):
        return Form((), (), None, [Column(0, (), _numbers(side, 0).reshape(()))])
    free = [k for k in range(count) if k not in side.dependent]
    grid = None if side.indices is None or side.incomplete or not free else _grid(side.indices, free, side.size)
    if grid is None:
        return (_filled(side, free) if holes else None) or _flat(side)
    axes, sizes, points = grid
    columns = []
    for k in range(count):
        values = _numbers(side, k)
        values = (values if points is None else values[points]).reshape(sizes)
        over, values = _reduced(values, axes.index(k) if k in axes else None)
        columns.append(Column(k, over, values))
    return Form(axes, sizes, points, columns)


def _numbers(side: Side, k: int) -> Array:
    found: Array = side.values if side.values is not None else side.indices  # type: ignore[assignment]
    # pandas has no index of half or long floats.
    row: Array = found[k]
    return row.astype(float) if row.dtype.kind == "f" and row.itemsize not in (4, 8) else row


def _flat(side: Side) -> Form:
    columns = []
    for k in range(len(side.labels)):
        columns.append(Column(k, (0,), _numbers(side, k)))
        if side.indices is not None and side.values is not None:
            columns.append(Column(k, (0,), side.indices[k], "indices"))
    return Form((), (side.size,), None, columns, flat=True)


def _filled(side: Side, free: list[int]) -> Form | None:
    """Return the form of a grid with holes; None if the indices tell of none."""
    if side.indices is None or not free or side.size == 0:
        return None
    axes, sizes, ranks = _axes(side.indices, free)
    shape = tuple(sizes[k] for k in axes)
    # A number for every point along each of several axes is a list of points, and no grid.
    counted = sum(n == side.size for n in shape) > 1
    if counted or math.prod(shape) > _SPARSEST * side.size:
        return None
    place = _places(axes, sizes, ranks, side.size)
    points = np.full(math.prod(shape), -1, dtype=np.int64)
    points[place] = np.arange(side.size)
    if np.count_nonzero(points >= 0) != side.size:
        return None  # two points claim one place
    columns = []
    for k in range(len(side.labels)):
        values = _numbers(side, k)
        along = [k] if k in axes else list(axes)
        found = next((a for a in along if _follows(values, ranks[a], sizes[a]) is not None), None)
        if found is not None:
            short = _follows(values, ranks[found], sizes[found])
            assert short is not None
            columns.append(Column(k, (axes.index(found),), short))
        else:
            spread = np.full(points.shape, np.nan)
            spread[place] = values
            columns.append(Column(k, tuple(range(len(axes))), spread.reshape(shape)))
    return Form(axes, shape, None if np.array_equal(points, np.arange(side.size)) else points, columns)


def _follows(values: Array, ranks: Array, size: int) -> Array | None:
    """Return the values along one axis, if they depend on nothing else."""
    out = np.zeros(size, dtype=values.dtype)
    out[ranks] = values
    return out if np.array_equal(out[ranks], values, equal_nan=True) else None


def _axes(indices: Array, free: list[int]) -> tuple[tuple[int, ...], dict[int, int], dict[int, Array]]:
    """Return the axes slow to fast, and of each its size and the ranks of all points along it.

    The order of the labels says nothing: the axis whose index changes most often is the fastest.
    """
    ranks, sizes, rates = {}, {}, {}
    for k in free:
        ranks[k], sizes[k] = _ranks(indices[k])
        rates[k] = int(np.count_nonzero(ranks[k][1:] != ranks[k][:-1]))
    return tuple(sorted(free, key=lambda k: (rates[k], k))), sizes, ranks


def _places(axes: tuple[int, ...], sizes: dict[int, int], ranks: dict[int, Array], size: int) -> Array:
    place = np.zeros(size, dtype=np.int64)
    for k in axes:
        place *= sizes[k]
        place += ranks[k]
    return place


def _grid(indices: Array, free: list[int], size: int) -> tuple[tuple[int, ...], tuple[int, ...], Array | None] | None:
    """Return axes, sizes and the place of every point; None if the points fill no grid."""
    axes, sizes, ranks = _axes(indices, free)
    if math.prod(sizes.values()) != size:
        return None
    shape = tuple(sizes[k] for k in axes)
    place = _places(axes, sizes, ranks, size)
    raster = np.arange(size, dtype=np.int64)
    if np.array_equal(place, raster):
        return axes, shape, None
    points = np.full(size, -1, dtype=np.int64)
    points[place] = raster
    # Two rows that claim one place leave another place empty.
    return (axes, shape, points) if points.min(initial=0) >= 0 else None


def _ranks(row: Array) -> tuple[Array, int]:
    """Return which of its sorted distinct values every entry is, and how many there are."""
    if row.size and row.dtype.kind in "iu":
        low, high = int(row.min()), int(row.max())
        # A table is ten times faster than sorting.
        if high - low <= 4 * row.size + 1024 and high < 2**62:
            shifted = row.astype(np.int64) - low
            there = np.zeros(high - low + 1, dtype=bool)
            there[shifted] = True
            number = np.cumsum(there) - 1
            return number[shifted], int(number[-1]) + 1
    distinct, ranks = np.unique(row, return_inverse=True)
    return np.ravel(ranks), len(distinct)


def _reduced(values: Array, own: int | None) -> tuple[tuple[int, ...], Array]:
    """Drop every axis along which the values stay the same; the axis of the dimension itself stays."""
    over = []
    for axis in range(values.ndim):
        first = values.take([0], axis=axis)
        if axis == own or not np.array_equal(values, np.broadcast_to(first, values.shape), equal_nan=True):
            over.append(axis)
        else:
            values = first
    return tuple(over), values.reshape([values.shape[axis] for axis in over])
