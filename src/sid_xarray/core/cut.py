"""Where a region lies in an array: indices and a mask, going by coordinates alone."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import xarray as xr

from sid_xarray.core.dims import position_of, units_of, values_of
from sid_xarray.core.region import Region
from sid_xarray.errors import DimensionError, nearest
from sid_xarray.kernels.regions import inside_polygon, inside_ring, inside_window, nearest_point
from sid_xarray.schema import units as _units

__all__ = ["Cut", "cut", "resolved", "units_of_coordinate"]

Bools: TypeAlias = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Cut:
    """Where a region lies in an array.

    Attributes
    ----------
    indexers : mapping
        From dimension to the index of a point, or the smallest slice that holds the region.
    mask : ndarray of bool or None
        Which points of these slices belong to it; None for all.
    """

    indexers: Mapping[Hashable, Any]
    mask: Bools | None = None


def cut(da: xr.DataArray, region: Region) -> Cut:
    """Find a region in an array; only coordinates are looked at.

    Raises
    ------
    DimensionError
        If a dimension is missing, or no point lies in the region.
    """
    cloud = _cloud(da, region)
    axes = [_axis(da, d) for d in region.dims]
    if region.kind == "point":
        at = [_at(da, region, i, v) for i, v in enumerate(region.at)]
        if cloud is not None:
            far = sum((x - p) ** 2 for x, p in zip(axes, at, strict=True))
            return Cut({cloud: int(np.nanargmin(far))})
        return Cut({d: _nearest(d, x, p) for d, x, p in zip(region.dims, axes, at, strict=True)})
    if region.kind in ("interval", "box"):
        pairs = [region.at] if region.kind == "interval" else region.at
        inside = [inside_window(x, *sorted(_at(da, region, i, v) for v in pairs[i])) for i, x in enumerate(axes)]
        if cloud is not None:
            return _trimmed({cloud: np.logical_and.reduce(inside)}, None, da, region)
        return _trimmed(dict(zip(region.dims, inside, strict=True)), None, da, region)
    return _outlined(da, region, axes, cloud)


def resolved(da: xr.DataArray, region: Region) -> Region:
    """Return a region with all positions as numbers, in the units that the coordinates of an array have."""
    _cloud(da, region)
    here = tuple(units_of_coordinate(da, d) for d in region.dims)
    said = () if set(here) == {"1"} else here

    def at(value: Any, i: int = 0) -> Any:
        return tuple(at(v, i) for v in value) if isinstance(value, tuple) else _at(da, region, i, value)

    if region.kind == "interval":
        positions = at(region.at)
    elif region.kind == "polygon":
        positions = tuple(tuple(at(v, i) for i, v in enumerate(corner)) for corner in region.at)
    else:  # behind the center of an aperture stand its radii, in units of the first dimension
        positions = tuple(at(v, i if i < len(region.dims) else 0) for i, v in enumerate(region.at))
    return Region(region.kind, region.dims, positions, said)


def _outlined(da: xr.DataArray, region: Region, axes: list[npt.NDArray[Any]], cloud: Hashable | None) -> Cut:
    v, h = axes
    grid = h if cloud is not None else np.broadcast_to(h, (v.size, h.size))
    if region.kind == "polygon":
        corners = [[_at(da, region, i, p) for i, p in enumerate(corner)] for corner in region.at]
        mask = inside_polygon(v, grid, corners)
    else:
        center = [_at(da, region, i, p) for i, p in enumerate(region.at[:2])]
        inner, outer = (_at(da, region, 0, r) for r in region.at[2:])
        to_first = _factor(units_of_coordinate(da, region.dims[1]), units_of_coordinate(da, region.dims[0]))
        column = v - center[0] if cloud is not None else (v - center[0])[:, np.newaxis]
        mask = inside_ring(column, (h - center[1]) * to_first, inner=inner, outer=outer)
    if cloud is not None:
        return _trimmed({cloud: mask}, None, da, region)
    rows, columns = np.asarray(mask.any(axis=1)), np.asarray(mask.any(axis=0))
    return _trimmed({region.dims[0]: rows, region.dims[1]: columns}, mask, da, region)


def _trimmed(inside: dict[Any, Bools], mask: Bools | None, da: xr.DataArray, region: Region) -> Cut:
    indexers: dict[Hashable, Any] = {}
    for dim, found in inside.items():
        where = np.flatnonzero(found)
        if not where.size:
            spans = (f"{d!r} spans {np.nanmin(x):g} … {np.nanmax(x):g}{_said(da, d)}"
                     for d in region.dims for x in [_axis(da, d)] if x.size)  # fmt: skip
            raise DimensionError(f"no point of {da.name!r} lies in {region}; {', '.join(spans) or 'it is empty'}")
        whole = mask is not None or where[-1] - where[0] + 1 == where.size
        indexers[dim] = slice(int(where[0]), int(where[-1]) + 1) if whole else where
    if mask is None:
        return Cut(indexers)
    part = mask[tuple(indexers.values())]
    return Cut(indexers, None if part.all() else part)


def _cloud(da: xr.DataArray, region: Region) -> Hashable | None:
    """Return the dimension of the points, where the region is one of places in a point cloud."""
    missing = [d for d in region.dims if d not in da.dims]
    if not missing:
        return None
    along = {da[d].dims for d in region.dims if d in da.coords}
    if len(along) == 1 and all(d in da.coords for d in region.dims) and len(next(iter(along))) == 1:
        return next(iter(next(iter(along))))
    raise DimensionError(f"no dimension {missing[0]!r} on {da.name!r}.{nearest(missing[0], map(str, da.dims))}")


def _axis(da: xr.DataArray, name: Hashable) -> npt.NDArray[Any]:
    if name in da.dims:
        return values_of(da, name)
    if da[name].dtype.kind not in "biuf":
        raise DimensionError(f"the coordinate {name!r} is not numeric ({da[name].dtype})")
    return np.asarray(da[name].values, dtype=float)


def units_of_coordinate(da: xr.DataArray, name: Hashable) -> str:
    """Return the canonical units of a dimension, or of a coordinate of a point cloud."""
    return units_of(da, name) if name in da.dims else units_of(da[name])


def _said(da: xr.DataArray, name: Hashable) -> str:
    units = units_of_coordinate(da, name)
    return "" if units == "1" else f" {units}"


def _at(da: xr.DataArray, region: Region, i: int, value: Any) -> float:
    name = region.dims[i]
    here = units_of_coordinate(da, name)
    if isinstance(value, str):
        if name in da.dims:
            return position_of(da, name, value)
        number, unit = _units.parse_quantity(value)
        return number * (_factor(unit, here) if unit else 1.0)
    said = region.units[i] if region.units else here
    return float(value) * _factor(said, here)


def _factor(given: str, wanted: str) -> float:
    if given == wanted:
        return 1.0
    return _units.convert_factor(_units.normalise(given).canonical, wanted)


def _nearest(dim: str, x: npt.NDArray[Any], position: float) -> int:
    if not np.isfinite(x).any():
        raise DimensionError(f"no point of {dim!r} has a position")
    index = nearest_point(x, position, slack=1e-6)  # the app rounds positions to seven digits
    if index is None:
        low, high = np.min(x[np.isfinite(x)]), np.max(x[np.isfinite(x)])
        raise DimensionError(f"{position:g} lies outside of {dim!r}, which spans {low:g} … {high:g}")
    return index
