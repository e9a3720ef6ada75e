"""Which dimensions are the map, which the curve or pattern at each of its points, and which have sliders."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import xarray as xr

from sid_xarray.core.dims import describe
from sid_xarray.errors import DimensionError
from sid_xarray.viz._axes import check_dim, horizontal_vertical

__all__ = ["Plan", "make_plan"]

Dims = tuple[Hashable, ...]


@dataclass(frozen=True)
class Plan:
    """What becomes of every dimension.

    Attributes
    ----------
    map : tuple
        (vertical, horizontal), or one dimension, or none.
    signal : tuple
        One dimension for a curve, (vertical, horizontal) for a pattern, or none.
    sliders : tuple
        The rest.
    places : tuple
        Coordinates (vertical, horizontal) of a point cloud, whose dimension is the map.
    """

    map: Dims
    signal: Dims
    sliders: Dims
    places: tuple[str, ...] = ()

    @property
    def carpet(self) -> bool:
        """Whether it is a family of curves: one picture of all of them, no map to be made of a window."""
        return len(self.map) == 1 and len(self.signal) == 1 and not self.places


def make_plan(
    da: xr.DataArray,
    *,
    map: Hashable | Sequence[Hashable] | None = None,  # noqa: A002 - what it is
    signal: Hashable | Sequence[Hashable] | None = None,
) -> Plan:
    """Choose by the types of the dimensions; what is given stays.

    Raises
    ------
    DimensionError
        If there are fewer than two dimensions, or a dimension is given twice or too many are.
    """
    if da.ndim < 2 and not _places(da):
        raise DimensionError(f"{da.name!r} has {da.ndim} dimension: there is nothing to explore. Type: da.sid.plot()")
    chosen = [_given(da, word, dims) for word, dims in (("map", map), ("signal", signal))]
    over, along = chosen
    taken = [d for dims in chosen for d in dims or ()]
    if len(set(taken)) < len(taken):
        raise DimensionError(f"map and signal share a dimension: map={map!r}, signal={signal!r}")
    free = [d for d in da.dims if d not in taken]
    if over is None:
        over = _map(da, free, along)
        free = [d for d in free if d not in over]
    if along is None:
        along = _signal(da, free, over)
    if not over and len(along) == 2:  # a single pattern is an image
        over, along = along, ()
    used = {*over, *along}
    places = _places(da) if len(over) == 1 and over == _cloud(da) else ()
    return Plan(_upright(da, over), _upright(da, along), tuple(d for d in da.dims if d not in used), places)


def _given(da: xr.DataArray, word: str, dims: Hashable | Sequence[Hashable] | None) -> Dims | None:
    if dims is None:
        return None
    listed: Dims = tuple(dims) if isinstance(dims, list | tuple) and dims not in da.dims else (dims,)
    if len(listed) > 2:
        raise DimensionError(f"{word} has two dimensions at most, got {listed}")
    return tuple(check_dim(da, d) for d in listed)


def _of(da: xr.DataArray, free: Sequence[Hashable], *kinds: str) -> list[Hashable]:
    found = describe(da)
    return [d for d in free if found[d] in kinds]


def _cloud(da: xr.DataArray) -> Dims:
    return tuple(_of(da, da.dims, "point_cloud"))[:1]


def _places(da: xr.DataArray) -> tuple[str, ...]:
    """Return the coordinates that say where the points of a cloud are."""
    for dim in _cloud(da):
        known = [str(k) for k, c in da.coords.items() if c.dims == (dim,) and k != dim and c.dtype.kind in "iuf"]
        if {"x", "y"} <= set(known):
            return ("y", "x")
        if len(known) == 2:
            return (known[1], known[0])
    return ()


def _map(da: xr.DataArray, free: Sequence[Hashable], along: Dims | None) -> Dims:
    points, space = _of(da, free, "point_cloud"), _of(da, free, "spatial")
    pattern, spectral = _of(da, free, "reciprocal"), _of(da, free, "spectral")
    if points:
        return (points[0],)
    if len(space) >= 2:
        return tuple(_flat(da, space))
    signal = bool(along) or bool(spectral) or len(pattern) >= 2
    if space and signal:
        return (space[0],)
    if len(pattern) >= 2 and not signal:
        return tuple(pattern[-2:])
    if pattern and signal and (along or len(pattern) > 2):
        return tuple(pattern[-2:])
    rest = [d for d in free if d not in pattern and d not in spectral]
    if len(pattern) >= 2 or spectral:  # something beside patterns or spectra: time, temperature, another scan
        return tuple(rest[-2:]) if len(rest) >= 2 else tuple(rest)
    if len(free) == 2 or along is not None:
        return tuple(free[-2:])
    return tuple(free[-3:-1])


def _flat(da: xr.DataArray, space: Sequence[Hashable]) -> list[Hashable]:
    """Return the plane of two: of x, y, z that of x and y."""
    named = [d for d in space if str(d).lower().rstrip("0123456789_")[-1:] in ("x", "y")]
    return list(named[:2] if len(named) >= 2 else space[-2:])


def _signal(da: xr.DataArray, free: Sequence[Hashable], over: Dims) -> Dims:
    pattern, spectral = _of(da, free, "reciprocal"), _of(da, free, "spectral")
    if len(pattern) >= 2:
        return tuple(pattern[-2:])
    if spectral:
        return (max(spectral, key=lambda d: da.sizes[d]),)
    if pattern:
        return (pattern[-1],)
    unknown = _of(da, free, "unknown")
    if unknown and (len(over) < 2 or set(_of(da, over, "unknown")) == set(over)):
        return (unknown[-1],)
    return tuple(free[-1:]) if len(over) < 2 else ()


def _upright(da: xr.DataArray, dims: Dims) -> Dims:
    return dims if len(dims) < 2 else tuple(reversed(horizontal_vertical(da, dims)))
