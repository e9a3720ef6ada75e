"""What of an array is shown: chosen first, read afterwards, and said in the title."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import xarray as xr

from sid_xarray.core.chunked import is_lazy
from sid_xarray.core.dims import position_of, values_of
from sid_xarray.errors import DimensionError, nearest
from sid_xarray.viz._axes import axis_of
from sid_xarray.viz._labels import comfortable, number, plain, unit_text

__all__ = ["Choice", "choose", "fixed", "indices", "read", "say", "window_of"]


@dataclass(frozen=True)
class Choice:
    """A part of an array, still unread, and the words that tell which part it is."""

    da: xr.DataArray
    notes: tuple[str, ...] = field(default=())


def choose(
    da: xr.DataArray,
    keep: Sequence[Hashable],
    *,
    isel: Mapping[Hashable, Any] | None = None,
    sel: Mapping[Hashable, Any] | None = None,
) -> Choice:
    """Reduce an array to the dimensions that a view draws.

    Dimensions that nobody chose from are shown at their middle. Nothing is read.
    """
    where = indices(da, isel, sel)
    for dim in da.dims:
        if dim not in keep and dim not in where:
            where[dim] = da.sizes[dim] // 2
    where, notes = _checked(da, where)
    empty = {dim: np.zeros(1, int) for dim in da.dims if da.sizes[dim] == 0}
    if empty:
        return _nothing(da, keep, tuple(f"{d} is empty" for d in empty))
    # Every dimension is indexed, also those taken whole: the values are then read for this picture,
    # and do not stay in the user's array.
    out = da.isel({dim: where.get(dim, slice(None)) for dim in da.dims})
    return Choice(out, tuple(notes))


def indices(
    da: xr.DataArray, isel: Mapping[Hashable, Any] | None, sel: Mapping[Hashable, Any] | None
) -> dict[Hashable, Any]:
    """Return the indices that a user asks for by index or by position; only coordinates are looked at."""
    for dim in (*(isel or ()), *(sel or ())):
        if dim not in da.dims:
            raise DimensionError(f"no dimension {dim!r} to choose from.{nearest(str(dim), map(str, da.dims))}")
    where: dict[Hashable, Any] = {}
    for dim, value in (sel or {}).items():
        if da.sizes[dim] == 0:
            where[dim] = 0
        elif isinstance(value, slice):
            where[dim] = window_of(da, dim, value)
        else:
            where[dim] = int(np.nanargmin(np.abs(axis_of(da, dim).values - position_of(da, dim, value))))
    return {**where, **(isel or {})}


def fixed(*chosen: Mapping[Hashable, Any] | None) -> tuple[Hashable, ...]:
    """Return the dimensions of which a user has chosen one position: they are no longer there to be drawn."""
    return tuple(dim for given in chosen for dim, value in (given or {}).items() if np.isscalar(value))


def window_of(da: xr.DataArray, dim: Hashable, window: slice) -> slice:
    """Return the indices between two positions; of a coordinate that turns back, the whole stretch."""
    x = values_of(da, dim)
    ends = [None if v is None else position_of(da, dim, v) for v in (window.start, window.stop)]
    lo, hi = sorted(v if v is not None else s * np.inf for v, s in zip(ends, (-1, 1), strict=True))
    slack = 1e-6 * np.ptp(x) / max(1, x.size - 1)  # 3 * 0.1 lies within 0.3
    inside = np.flatnonzero((x >= lo - slack) & (x <= hi + slack))
    if inside.size == 0:
        raise DimensionError(f"no point of {dim!r} lies in {lo:g} … {hi:g}: it goes from {x.min():g} to {x.max():g}.")
    return slice(int(inside[0]), int(inside[-1]) + 1)


def _checked(da: xr.DataArray, where: Mapping[Hashable, Any]) -> tuple[dict[Hashable, Any], list[str]]:
    out: dict[Hashable, Any] = {}
    told: list[tuple[Hashable, int]] = []
    for dim in da.dims:
        if dim not in where:
            continue
        index, n = where[dim], da.sizes[dim]
        if isinstance(index, int | np.integer) and n:
            if not -n <= index < n:
                raise DimensionError(f"index {index} is outside {dim!r}, which has {n} points.")
            if n > 1:
                told.append((dim, int(index) % n))
        out[dim] = index
    labels = [axis_of(da, dim).label for dim, _ in told]
    # Files call x and y "distance" both: then their names tell them apart.
    names = [str(dim) if labels.count(label) > 1 else None for (dim, _), label in zip(told, labels, strict=True)]
    return out, [say(da, dim, index, name=name) for (dim, index), name in zip(told, names, strict=True)]


def _nothing(da: xr.DataArray, keep: Sequence[Hashable], notes: tuple[str, ...]) -> Choice:
    """Stand in for an array without a single value: a NaN at the origin, in its units."""
    dims = [d for d in da.dims if d in keep]
    coords = {d: (d, np.zeros(1), da[d].attrs) for d in dims if d in da.coords}
    blank = np.full((1,) * len(dims), np.nan, np.result_type(da.dtype, np.float64) if da.dtype.kind == "c" else None)
    return Choice(xr.DataArray(blank, dims=dims, coords=coords, name=da.name, attrs=da.attrs), notes)


def say(da: xr.DataArray, dim: Hashable, index: int, *, name: str | None = None) -> str:
    """Return where along a dimension something is, as ``"energy = 532 eV"``; by another name if one is given."""
    axis = axis_of(da, dim)
    label = axis.label if name is None else plain(name)
    if axis.counted and dim in da.coords and da[dim].dtype.kind in "USO":
        return f"{label.removesuffix(', index')} = {number(da[dim].values[index])}"
    units, factor = comfortable(axis.units, axis.reach)  # as on the axis of a picture
    unit = unit_text(units)
    return f"{label} = {number(axis.values[index] * factor)}{f' {unit}' if unit else ''}"


def read(da: xr.DataArray, dims: Sequence[Hashable]) -> np.ndarray:
    """Read values with ``dims`` in this order; the only place where views look at data."""
    if is_lazy(da):
        da = da.isel({dim: slice(None) for dim in da.dims})
    values = np.asarray(da.values)
    return values.transpose([da.dims.index(dim) for dim in dims])
