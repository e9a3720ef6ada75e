"""What is selected, and what is there, in words and units."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sid_xarray.core.region import Region
from sid_xarray.viz._labels import comfortable, number, unit_text
from sid_xarray.viz._select import say as say_point

if TYPE_CHECKING:
    from sid_xarray.viz.explore.state import Explorer

__all__ = ["heading", "say", "value"]


def heading(ex: Explorer, name: str) -> str:
    """Return what the map of an array is of."""
    if ex.plan.carpet or not set(ex.plan.signal) & set(ex.arrays[name].dims):
        return ""
    w = ex.window
    if w is None:
        return f"{ex.reduce} over {ex.axes[ex.plan.signal[0]].label}"
    if w.kind != "interval":
        return f"{ex.reduce} in the {w.kind}"
    factor = ex.scales.factor(w.dims[0])
    low, high = (float(v) * factor for v in w.at)
    unit = unit_text(ex.axes[w.dims[0]].units)
    return f"{ex.reduce} of {number(low)} … {number(high)}{f' {unit}' if unit else ''}"


def say(ex: Explorer, region: Region) -> str:
    """Return a region in words and units."""
    da = ex.arrays[ex.main]
    found = ex.cut_of(region)
    index = [found.indexers.get(d) for d in ex.plan.map]
    if region.kind == "point":
        if ex.plan.places:
            places = [ex.scales.say(d, int(index[0])) for d in reversed(ex.plan.places)]  # type: ignore[arg-type]
            return ", ".join(places)
        return ", ".join(say_point(da, d, int(i)) for d, i in zip(reversed(ex.plan.map), reversed(index), strict=True))
    n = (
        int(region.mask(da).sum())
        if found.mask is not None
        else int(np.prod([da[d].isel({d: i}).size for d, i in found.indexers.items()]))
    )
    return f"{region.kind} of {n} px"


def value(ex: Explorer, region: Region, name: str | None = None) -> str:
    """Return the value of a map at a point, in units."""
    found = ex.cut_of(region)
    values = ex.plane().values[tuple(found.indexers[d] for d in ex.plan.map)]
    units, factor = comfortable(ex.units(name), float(abs(values)))
    unit = unit_text(units)
    return f"{number(float(values) * factor)}{f' {unit}' if unit else ''}"
