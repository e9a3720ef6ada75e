"""Regions as people write them: in the units that are shown, with no more digits than tell the pixels."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from sid_xarray.core.cut import Cut, cut
from sid_xarray.core.region import Region
from sid_xarray.errors import SidError

if TYPE_CHECKING:
    from sid_xarray.viz.explore.state import Explorer

__all__ = ["neat", "neat_position"]


def neat(ex: Explorer, region: Region) -> Region:
    """Return a region that selects the same points; the given one if none with fewer digits does."""
    da = ex.arrays[ex.main]
    factors = [ex.scales.factor(d) if region.units else 1.0 for d in region.dims]
    units = tuple(ex.axes[d].units for d in region.dims) if region.units else ()
    exact = _cut(da, region)
    for digits in (5, 7, 9) if region.kind in ("interval", "box", "point") else (7,):
        for outward in (False, True) if region.kind in ("interval", "box") else (False,):
            found = Region(region.kind, region.dims, _at(region, factors, digits, outward), units)
            here = _cut(da, found)
            if exact is not None and here is not None and _same(here, exact):
                return found
    return region


def _cut(da: xr.DataArray, region: Region) -> Cut | None:
    try:
        return cut(da, region)
    except SidError:
        return None


def neat_position(values: np.ndarray, index: int) -> float:
    """Return a position with as few digits as tell it from its neighbours."""
    for digits in (5, 7, 9):
        found = _rounded(float(values[index]), digits)
        if int(np.argmin(np.abs(values - found))) == index:
            return found
    return float(values[index])


def _at(region: Region, factors: Sequence[float], digits: int, outward: bool) -> tuple[Any, ...]:
    def one(v: Any, i: int) -> float:
        return _rounded(float(v) * factors[i], digits)

    def pair(ends: Any, i: int) -> tuple[float, float]:
        low, high = sorted(float(v) * factors[i] for v in ends)
        down, up = (math.floor, math.ceil) if outward else (None, None)
        return _rounded(low, digits, down), _rounded(high, digits, up)

    if region.kind == "interval":
        return pair(region.at, 0)
    if region.kind == "box":
        return tuple(pair(ends, i) for i, ends in enumerate(region.at))
    if region.kind == "polygon":
        return tuple(tuple(one(v, i) for i, v in enumerate(corner)) for corner in region.at)
    return tuple(one(v, i if i < len(region.dims) else 0) for i, v in enumerate(region.at))


def _rounded(value: float, digits: int, towards: Callable[[float], int] | None = None) -> float:
    if not math.isfinite(value) or value == 0:
        return value + 0.0  # no −0
    if towards is not None:
        scale = digits - 1 - math.floor(math.log10(abs(value)))
        if abs(scale) < 300:
            value = towards(value * 10.0**scale) / 10.0**scale
    return float(f"{value:.{digits}g}") + 0.0


def _same(a: Cut, b: Cut) -> bool:
    if set(a.indexers) != set(b.indexers) or (a.mask is None) != (b.mask is None):
        return False
    every = all(np.array_equal(_plain(a.indexers[d]), _plain(b.indexers[d])) for d in a.indexers)
    return every and (a.mask is None or np.array_equal(a.mask, b.mask))  # type: ignore[arg-type]


def _plain(index: Any) -> Any:
    return [index.start, index.stop] if isinstance(index, slice) else index
