"""Places as they are shown, and as the coordinates have them."""

from __future__ import annotations

from collections.abc import Hashable, Iterable

import numpy as np
import xarray as xr

from sid_xarray.core.dims import units_of
from sid_xarray.viz._axes import Axis, axis_of, share_scale
from sid_xarray.viz._labels import comfortable, number, quantity, unit_text
from sid_xarray.viz.explore._plan import Plan

__all__ = ["Scales"]


class Scales:
    """The axes of an array, read once.

    Parameters
    ----------
    da : DataArray
    plan : Plan
        Pairs of a plane get one unit.
    """

    def __init__(self, da: xr.DataArray, plan: Plan) -> None:
        self.stored_axes: dict[Hashable, Axis] = {d: axis_of(da, d) for d in da.dims}
        self.stored_axes |= {d: _places(da, d) for d in plan.places}
        self.shown = dict(self.stored_axes)
        for dims in (plan.map, plan.signal, plan.places):
            if len(dims) == 2:
                self.shown[dims[0]], self.shown[dims[1]], _ = share_scale(*(self.stored_axes[d] for d in dims))
            elif dims:
                axis = self.stored_axes[dims[0]]
                self.shown[dims[0]] = axis.scaled(*comfortable(axis.units, axis.reach))

    def stored(self, dim: Hashable, index: int) -> float:
        """Return the position of a point, as the coordinate has it."""
        return float(self.stored_axes[dim].values[index])

    def factor(self, dim: Hashable) -> float:
        """Return what positions are multiplied by to be shown."""
        raw, shown = self.stored_axes[dim].values, self.shown[dim].values
        i = int(np.nanargmax(np.abs(raw))) if raw.size else 0
        return float(shown[i] / raw[i]) if raw.size and raw[i] else 1.0

    def back(self, dim: Hashable, shown: float) -> float:
        """Return a place that was drawn in units of the coordinate, without digits that nobody drew."""
        value = shown / self.factor(dim)
        span = float(np.ptp(self.stored_axes[dim].values)) or abs(value)
        if not np.isfinite(value) or not span:
            return value
        return float(f"{round(value, 6 - int(np.floor(np.log10(span)))):.7g}") + 0.0  # no −0

    def nearest(self, dim: Hashable, shown: float) -> int:
        """Return the index of the point nearest to a place that was tapped."""
        return int(np.nanargmin(np.abs(self.shown[dim].values - shown)))

    def units(self, dims: Iterable[Hashable]) -> tuple[str, ...]:
        """Return the units of coordinates, as a region holds them; empty where there are none."""
        found = tuple(self.stored_axes[d].units for d in dims)
        return () if set(found) == {"1"} else found

    def say(self, dim: Hashable, index: int) -> str:
        """Return where a point is: ``"x = 3 nm"``."""
        axis = self.shown[dim]
        unit = unit_text(axis.units)
        return f"{axis.label} = {number(float(axis.values[index]))}{f' {unit}' if unit else ''}"


def _places(da: xr.DataArray, name: str) -> Axis:
    values = np.asarray(da[name].values, dtype=float)
    return Axis(name, quantity(da[name], fallback=name), units_of(da[name]), values, None, "spatial")
