"""What is shown first: the pixel in the middle, and of a large file a window that is read quickly."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sid_xarray.core.region import Region
from sid_xarray.viz.explore._read import nbytes

if TYPE_CHECKING:
    from sid_xarray.viz.explore.state import Explorer

__all__ = ["first_window", "middle"]

LARGEST = 256 * 2**20  # read for the first picture at most; a window is narrowed to it


def middle(ex: Explorer) -> list[Region]:
    """Return the pixel in the middle of the map."""
    da = ex.arrays[ex.main]
    if not ex.plan.map or not all(da.sizes[d] for d in ex.plan.map):
        return []
    return [ex.pixel(*(da.sizes[d] // 2 for d in ex.plan.map))]


def first_window(ex: Explorer) -> Region | None:
    """Return a small disc on a pattern, and of a curve as much as is read quickly."""
    da, plan = ex._here(ex.main), ex.plan
    if plan.carpet or not plan.signal or not plan.map or da.size == 0:
        return None
    if len(plan.signal) == 2:
        v, h = (ex.axes[d] for d in plan.signal)
        reach = min(float(np.ptp(a.values)) for a in (v, h)) or 1.0
        middle = [float(a.values[a.values.size // 2]) for a in (h, v)]
        return ex.aperture(middle[0], middle[1], 0.12 * reach)
    (dim,) = plan.signal
    n, whole = da.sizes[dim], nbytes(da, {})
    if whole <= LARGEST or da.variable._in_memory:
        return None
    chunk = int((da.encoding.get("preferred_chunks") or {}).get(dim, 1))
    width = max(1, int(n * LARGEST // whole) // chunk * chunk)
    start = max(0, (n - width) // 2 // chunk * chunk)
    ends = tuple(sorted(ex.scales.stored(dim, i) for i in (start, min(n, start + width) - 1)))
    return Region("interval", (str(dim),), ends, ex.scales.units((dim,)))
