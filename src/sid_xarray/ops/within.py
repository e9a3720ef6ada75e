"""Select a region that was drawn, or written down."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from sid_xarray.core import provenance
from sid_xarray.core.cut import cut
from sid_xarray.core.dims import kind_of
from sid_xarray.core.region import Region, as_region
from sid_xarray.errors import DimensionError
from sid_xarray.ops._reduce import reduced_over

__all__ = ["within"]

_REDUCE = ("mean", "sum", "max", "min", "std")


def within(da: xr.DataArray, region: Region | Mapping[str, Any], *, reduce: str | None = None) -> xr.DataArray:
    """Select what lies in a region; a region may be reduced to one value.

    Parameters
    ----------
    da : DataArray
    region : Region or mapping
        ``sid.Region.box(y=(0, 5), x=(2, 4))``, a region of ``da.sid.explore().regions``, or its JSON form.
    reduce : {"mean", "sum", "max", "min", "std"}, optional
        How the region is reduced over its dimensions; by default they are kept, cut to the smallest box around the
        region, with NaN outside of a polygon or an aperture (integers become floats then). NaNs are left out of all but
        the sum. A point has nothing to reduce: its dimensions go.

    Returns
    -------
    DataArray
        Lazy if the input is.

    Raises
    ------
    DimensionError
        If a dimension is missing, or no point lies in the region.

    Examples
    --------
    >>> import sid_xarray as sid
    >>> cube = sid.datasets.peak_map()
    >>> cube.sid.within(sid.Region.aperture(y=1, x=1.5, radius=1), reduce="mean").dims
    ('energy',)
    """
    if reduce is not None and reduce not in _REDUCE:
        raise ValueError(f"reduce is one of {', '.join(_REDUCE)}, got {reduce!r}")
    where = as_region(region)
    found = cut(da, where)
    out = da.isel(found.indexers)
    dims = [d for d in found.indexers if d in out.dims]
    if found.mask is not None:
        out = _masked(out, xr.DataArray(found.mask, dims=dims), dims, reduce)
    elif reduce is not None and dims:
        out = reduced_over(out, dims, reduce)
    out = out.assign_attrs(da.attrs).rename(da.name)
    return provenance.stamp(out, "within", da, region=where.to_dict(), reduce=reduce)


def _masked(da: xr.DataArray, mask: xr.DataArray, dims: list[Any], reduce: str | None) -> xr.DataArray:
    if reduce == "sum" or (reduce == "mean" and kind_of(da) in "biu"):
        zero = np.zeros((), da.dtype).item()
        total = da.where(mask, zero).sum(dims, skipna=False)
        return total if reduce == "sum" else total / int(mask.sum())
    kept = da.where(mask).transpose(*da.dims)
    if reduce is None:
        return kept
    if kind_of(da) == "c" and reduce in ("max", "min"):
        raise DimensionError(f"complex values have no {reduce}. Take abs() or .real first, or reduce='mean'.")
    return reduced_over(kept, dims, reduce)
