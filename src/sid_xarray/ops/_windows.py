"""Windows along a dimension: in units of the coordinate, in any order, on any coordinate."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from sid_xarray.core.dims import coordinate, position_of, units_of, values_of
from sid_xarray.errors import DimensionError, nearest
from sid_xarray.kernels.regions import inside_window, nearest_point

__all__ = ["as_indexer", "inside", "inside_each", "keywords", "nearest_index", "window"]


def keywords(da: xr.DataArray, given: Mapping[Any, Any] | None, kwargs: Mapping[str, Any]) -> dict[Hashable, Any]:
    """Join a positional mapping and keywords by dimension; names that are no dimensions are an error.

    Raises
    ------
    DimensionError
        If a name is no dimension, or comes twice.
    """
    if given is not None and not isinstance(given, Mapping):
        raise DimensionError(f"expected a mapping from dimension, such as {{'x': ...}}, got {given!r}")
    both = set(given or {}) & set(kwargs)
    if both:
        raise DimensionError(f"{', '.join(sorted(map(str, both)))} is given twice: in the mapping and by keyword")
    out: dict[Hashable, Any] = dict(given or {})
    out.update(kwargs)
    for dim in out:
        if dim not in da.dims:
            raise DimensionError(f"no dimension {dim!r}.{nearest(str(dim), map(str, da.dims))}")
    return out


def window(da: xr.DataArray, dim: Hashable, bounds: Any) -> tuple[float, float]:
    """Return the lower and upper end of a window; None is open.

    Raises
    ------
    DimensionError
        If it is no pair.
    """
    ends = (bounds.start, bounds.stop) if isinstance(bounds, slice) else tuple(bounds) if _pair(bounds) else None
    if ends is None:
        raise DimensionError(f"a window along {dim!r} is a pair (low, high) in {units_of(da, dim)}, got {bounds!r}")
    low, high = (None if end is None else _position(da, dim, end) for end in ends)
    low, high = -np.inf if low is None else low, np.inf if high is None else high
    return (low, high) if low <= high else (high, low)


def _pair(bounds: Any) -> bool:
    listed = isinstance(bounds, Sequence) or (isinstance(bounds, np.ndarray) and bounds.ndim == 1)
    return listed and not isinstance(bounds, str) and len(bounds) == 2


def _dates(da: xr.DataArray, dim: Hashable) -> bool:
    coord = coordinate(da, dim)
    return coord is not None and coord.dtype.kind == "M"


def _values(da: xr.DataArray, dim: Hashable) -> npt.NDArray[Any]:
    if _dates(da, dim):  # nanoseconds since 1970
        return np.asarray(da[dim].values.astype("M8[ns]").astype(np.int64), dtype=float)
    return values_of(da, dim)


def _position(da: xr.DataArray, dim: Hashable, value: Any) -> float:
    if _dates(da, dim):
        try:
            return float(np.datetime64(value, "ns").astype(np.int64))
        except ValueError:
            text = f"a position along {dim!r} is a date such as '2024-05-31T12:00', got {value!r}"
            raise DimensionError(text) from None
    return position_of(da, dim, value)


def inside(da: xr.DataArray, dim: Hashable, bounds: Any) -> npt.NDArray[np.bool_]:
    """Return which points lie in a window or in any of several; both ends belong to it.

    Raises
    ------
    DimensionError
        If no point does.
    """
    mask: npt.NDArray[np.bool_] = np.logical_or.reduce(inside_each(da, dim, bounds))
    return mask


def inside_each(da: xr.DataArray, dim: Hashable, bounds: Any) -> list[npt.NDArray[np.bool_]]:
    """Return which points lie in each of several windows.

    Raises
    ------
    DimensionError
        If none lies in any.
    """
    x = _values(da, dim)
    listed = isinstance(bounds, list | tuple) and bool(bounds)
    several = listed and all(_pair(b) or isinstance(b, slice) for b in bounds)
    masks = []
    for one in bounds if several else [bounds]:
        low, high = window(da, dim, one)
        masks.append(inside_window(x, low, high))
    if not any(mask.any() for mask in masks):
        raise DimensionError(f"no point of {dim!r} lies in {bounds!r}; {_span(da, dim, x)}")
    return masks


def _span(da: xr.DataArray, dim: Hashable, x: npt.NDArray[Any]) -> str:
    if not np.isfinite(x).any():
        return "it is empty"
    low, high = np.nanargmin(x), np.nanargmax(x)
    if _dates(da, dim):
        return f"it spans {da[dim].values[low]} … {da[dim].values[high]}"
    return f"it spans {x[low]:g} … {x[high]:g} {units_of(da, dim)}"


def nearest_index(da: xr.DataArray, dim: Hashable, value: Any) -> int:
    """Return the index of the point nearest to a position; on an axis of words, of that word.

    Raises
    ------
    DimensionError
        If the position lies outside of the axis by more than half a step.
    """
    coord = coordinate(da, dim)
    if coord is not None and coord.dtype.kind in "UOST":
        words = [str(word) for word in coord.values]
        n = words.count(str(value))
        if n != 1:
            raise DimensionError(f"{n or 'no'} points of {dim!r} are {value!r}.{nearest(str(value), words)}")
        return words.index(str(value))
    x = _values(da, dim)
    position = _position(da, dim, value)
    if not np.isfinite(x).any() or not np.isfinite(position):
        raise DimensionError(f"no point of {dim!r} is near {value!r}; {_span(da, dim, x)}")
    index = nearest_point(x, position, slack=1e-9)
    if index is None:
        raise DimensionError(f"{value!r} lies outside of {dim!r}; {_span(da, dim, x)}")
    return index


def as_indexer(mask: npt.NDArray[np.bool_]) -> slice | npt.NDArray[np.int64]:
    """Return a slice where the points lie side by side, so that files are read in one piece."""
    where = np.flatnonzero(mask)
    if where.size and where[-1] - where[0] + 1 == where.size:
        return slice(int(where[0]), int(where[-1]) + 1)
    return where
