"""Windows along a dimension: in units of the coordinate, in any order, on any coordinate."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from sid_xarray.core.dims import position_of, units_of, values_of
from sid_xarray.errors import DimensionError

__all__ = ["inside", "keywords", "nearest_index", "window"]


def keywords(da: xr.DataArray, given: Mapping[Any, Any] | None, kwargs: Mapping[str, Any]) -> dict[Hashable, Any]:
    """Join a positional mapping and keywords by dimension; names that are no dimensions are an error.

    Raises
    ------
    DimensionError
        If a name is no dimension, or comes twice.
    """
    both = set(given or {}) & set(kwargs)
    if both:
        raise DimensionError(f"{', '.join(map(str, both))} is given twice")
    out: dict[Hashable, Any] = {**(given or {}), **kwargs}
    for dim in out:
        if dim not in da.dims:
            raise DimensionError(f"no dimension {dim!r}: there are {', '.join(map(repr, da.dims)) or 'none'}")
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
    low, high = (None if end is None else position_of(da, dim, end) for end in ends)
    low, high = -np.inf if low is None else low, np.inf if high is None else high
    return (low, high) if low <= high else (high, low)


def _pair(bounds: Any) -> bool:
    return isinstance(bounds, Sequence) and not isinstance(bounds, str) and len(bounds) == 2


def inside(da: xr.DataArray, dim: Hashable, bounds: Any) -> npt.NDArray[np.bool_]:
    """Return which points lie in a window or in any of several; both ends belong to it.

    Raises
    ------
    DimensionError
        If no point does.
    """
    x = values_of(da, dim)
    several = isinstance(bounds, list | tuple) and bool(bounds) and all(_pair(b) or isinstance(b, slice) for b in bounds)
    mask = np.zeros(x.shape, bool)
    for one in bounds if several else [bounds]:
        low, high = window(da, dim, one)
        # Half of the last digit: 0.1 + 0.2 belongs to a window that ends at 0.3.
        slack = 1e-9 * max(abs(low) if np.isfinite(low) else 0, abs(high) if np.isfinite(high) else 0)
        mask |= (x >= low - slack) & (x <= high + slack)
    if not mask.any():
        span = f"{np.nanmin(x):g} … {np.nanmax(x):g} {units_of(da, dim)}" if x.size else "empty"
        raise DimensionError(f"no point of {dim!r} lies in {bounds!r}; it spans {span}")
    return mask


def nearest_index(da: xr.DataArray, dim: Hashable, value: Any) -> int:
    """Return the index of the point nearest to a position.

    Raises
    ------
    DimensionError
        If the position lies outside of the axis by more than half a step.
    """
    x = values_of(da, dim)
    position = position_of(da, dim, value)
    if not np.isfinite(x).any() or not np.isfinite(position):
        raise DimensionError(f"no point of {dim!r} is near {value!r}")
    index = int(np.nanargmin(np.abs(x - position)))
    finite = np.sort(x[np.isfinite(x)])
    room = np.max(np.diff(finite)) / 2 if finite.size > 1 else np.inf
    if abs(x[index] - position) > room * (1 + 1e-9):
        raise DimensionError(
            f"{value!r} lies outside of {dim!r}, which spans {finite[0]:g} … {finite[-1]:g} {units_of(da, dim)}"
        )
    return index


def as_indexer(mask: npt.NDArray[np.bool_]) -> slice | npt.NDArray[np.int64]:
    """Return a slice where the points lie side by side, so that files are read in one piece."""
    where = np.flatnonzero(mask)
    if where.size and where[-1] - where[0] + 1 == where.size:
        return slice(int(where[0]), int(where[-1]) + 1)
    return where
