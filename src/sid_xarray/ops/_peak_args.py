"""What the arguments about peaks mean: axes, lengths along them, and thresholds."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from sid_xarray._types import FloatArray
from sid_xarray.core.dims import position_of, units_of, values_of
from sid_xarray.errors import DimensionError, UnitsError
from sid_xarray.schema import attrs as names
from sid_xarray.schema import units

__all__ = ["NO_PEAK", "PEAK", "axis_of", "lengths", "peak_index", "span_of", "value_of"]

PEAK = "peak"
"""The dimension of results that have another number of entries at every point."""

NO_PEAK = 8
"""The status of a fit where a point has no such entry."""


def peak_index(size: int) -> xr.Variable:
    """Return the coordinate of the dimension of peaks."""
    attrs = {names.LONG_NAME: "peak", names.UNITS: "1", names.DIMENSION_TYPE: "channel"}
    return xr.Variable((PEAK,), np.arange(size, dtype=float), attrs)


def axis_of(da: xr.DataArray, dim: Hashable) -> FloatArray:
    """Return the positions along a dimension, which go up or down all along; NaN where there is none.

    Raises
    ------
    DimensionError
        If they turn back, or there is no point.
    """
    x = values_of(da, dim)
    if not x.size:
        raise DimensionError(f"{dim!r} has no point: there is nothing to find")
    steps = np.diff(x[np.isfinite(x)])
    if not ((steps > 0).all() or (steps < 0).all()):
        raise DimensionError(
            f"positions along {dim!r} turn back or repeat, so neighbours are not next to each other. "
            f"Sort them, or take one branch: da.sortby({dim!r}), da.isel({{{dim!r}: slice(0, n)}})."
        )
    return x


def lengths(da: xr.DataArray, dims: Sequence[Hashable], given: Any, what: str) -> tuple[float, ...]:
    """Return a length along every dimension, in its units; 0 where none is given.

    Parameters
    ----------
    da : DataArray
    dims : sequence of hashable
    given : float, str, DataArray or mapping
        A mapping is from dimension to length.
    what : str
        The name of the argument.

    Raises
    ------
    DimensionError
        If a length is not positive, or a dimension is not among these.
    UnitsError
        If one number is given for dimensions in different units.
    """
    if given is None:
        return (0.0,) * len(dims)
    if isinstance(given, Mapping):
        wrong = [d for d in given if d not in dims]
        if wrong:
            raise DimensionError(f"{what} names {wrong[0]!r}; the dimensions are {', '.join(map(repr, dims))}")
        return tuple(_length(da, d, given[d], what) if d in given else 0.0 for d in dims)
    used = [units_of(da, d) for d in dims]
    if len(set(used)) > 1 and not isinstance(given, str | xr.DataArray):
        each = ", ".join(f"{d!r}: {given!r}" for d in dims)
        said = " and ".join(f"{d} in {u}" for d, u in zip(dims, used, strict=True))
        raise UnitsError(f"{what}={given!r} is one number for {said}. Type: {what}={{{each}}}")
    return tuple(_length(da, d, given, what) for d in dims)


def span_of(da: xr.DataArray, dim: Hashable | None, given: Any, what: str) -> tuple[float, float]:
    """Return least and greatest of a threshold: of values, or of lengths along a dimension.

    Parameters
    ----------
    da : DataArray
    dim : hashable or None
        None is for values.
    given : float, str, DataArray or pair of these
        One is the least; None is open.
    what : str
        The name of the argument.

    Raises
    ------
    DimensionError
        If it is neither a number nor a pair of numbers.
    """
    pair = isinstance(given, list | tuple) or (isinstance(given, np.ndarray) and given.ndim == 1)
    if pair and len(given) != 2:
        raise DimensionError(f"{what} is the least value, or a pair (least, greatest); got {given!r}")
    low, high = given if pair else (given, None)
    ends = (
        -np.inf if low is None else value_of(da, dim, low, what),
        np.inf if high is None else value_of(da, dim, high, what),
    )
    if not ends[0] <= ends[1]:
        raise DimensionError(f"{what} is (least, greatest), got {given!r}")
    return ends


def _length(da: xr.DataArray, dim: Hashable, given: Any, what: str) -> float:
    found = value_of(da, dim, given, what)
    if not (np.isfinite(found) and found > 0):
        raise DimensionError(f"{what} along {dim!r} is a length in {units_of(da, dim)} above zero, got {given!r}")
    return found


def value_of(da: xr.DataArray, dim: Hashable | None, given: Any, what: str) -> float:
    """Return a number in the units of a dimension, or of the values: text and arrays with units are converted."""
    if isinstance(given, xr.DataArray):
        if given.ndim or given.dtype.kind not in "biuf":
            raise DimensionError(f"{what} is one number, got an array of {given.dtype} over {given.dims}")
        unit = given.attrs.get(names.UNITS)
        given = float(given) if unit is None else f"{float(given)!r} {unit}"
    if isinstance(given, bool | np.bool_):
        raise DimensionError(f"{what} is a number, got {given!r}")
    if dim is not None:
        return position_of(da, dim, given)
    if isinstance(given, str):
        number, unit = units.parse_quantity(given)
        return number * units.convert_factor(units.normalise(unit).canonical, units_of(da)) if unit else number
    try:
        return float(given)
    except (TypeError, ValueError):
        unit = units_of(da)
        raise DimensionError(f"{what} is a number in {unit}, or text such as '2 {unit}'; got {given!r}") from None
