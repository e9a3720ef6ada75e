"""Select by position, in units of the coordinate."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import xarray as xr

from sid_xarray.core import provenance
from sid_xarray.core.dims import position_of, units_of
from sid_xarray.errors import DimensionError
from sid_xarray.ops._windows import as_indexer, inside, keywords, nearest_index
from sid_xarray.schema import attrs as names
from sid_xarray.schema import units

__all__ = ["sel"]

_REDUCE = ("mean", "sum", "max", "min", "median", "std", "integrate")


def sel(
    da: xr.DataArray,
    indexers: Mapping[Any, Any] | None = None,
    /,
    *,
    width: float | str | Mapping[Any, Any] | None = None,
    reduce: str | None = None,
    **kwargs: Any,
) -> xr.DataArray:
    """Select points and windows; a window may be reduced to one value.

    Parameters
    ----------
    da : DataArray
    indexers : mapping, optional
        From dimension to position, for names that are no Python identifiers.
    width : float, str or mapping, optional
        Full width of the window around a position, in units of the coordinate or as ``"10 eV"``; a mapping
        from dimension to width. The window is reduced.
    reduce : {"mean", "sum", "max", "min", "median", "std", "integrate"}, optional
        How windows are reduced: ``"mean"`` if `width` is given; otherwise windows keep their dimension.
        ``"integrate"`` is the trapezoidal integral, in units of value × coordinate. NaNs are left out of all but
        sum and integrate, where they make NaN.
    **kwargs
        ``energy=532`` the nearest point; ``energy=(520, 540)`` or a slice, a window with both ends; positions
        may be text: ``energy=("0.52 keV", "0.54 keV")``.

    Returns
    -------
    DataArray
        Lazy if the input is.

    Raises
    ------
    DimensionError
        If there is no such dimension, or nothing lies there.

    Examples
    --------
    >>> import sid_xarray as sid
    >>> cube = sid.datasets.edge_map()
    >>> cube.sid.sel(energy=(300, 320), reduce="sum").sizes["x"] == cube.sizes["x"]
    True
    """
    chosen = keywords(da, indexers, kwargs)
    widths = dict(width) if isinstance(width, Mapping) else dict.fromkeys(chosen, width) if width is not None else {}
    spare = [d for d in widths if d not in chosen]
    if spare:
        raise DimensionError(f"width names {spare[0]!r}, which has no position: sel({spare[0]}=..., width=...)")
    if widths and reduce is None:
        reduce = "mean"
    if reduce is not None and reduce not in _REDUCE:
        raise ValueError(f"reduce is one of {', '.join(_REDUCE)}, got {reduce!r}")
    out = da
    reduced: list[Hashable] = []
    for dim, where in chosen.items():
        if dim in widths:
            centre, half = position_of(da, dim, where), position_of(da, dim, widths[dim]) / 2
            where = (centre - half, centre + half)
        if isinstance(where, str) or np.ndim(where) == 0 and not isinstance(where, slice):
            out = out.isel({dim: nearest_index(da, dim, where)})
        else:
            out = out.isel({dim: as_indexer(inside(da, dim, where))})
            reduced.append(dim)
    if reduce is not None and reduced:
        out = _reduced(out, reduced, reduce)
    plain = {str(k): v for k, v in chosen.items()}
    return provenance.stamp(out, "sel", da, indexers=plain, width={str(k): v for k, v in widths.items()}, reduce=reduce)


def _reduced(da: xr.DataArray, dims: list[Hashable], reduce: str) -> xr.DataArray:
    attrs = dict(da.attrs)
    if reduce == "integrate":
        out = da
        unit = units_of(da)
        for dim in dims:
            out = out.integrate(dim)
            unit = units.multiply(unit, units_of(da, dim))
        attrs[names.UNITS] = unit
        attrs.pop(names.UNITS_ORIGINAL, None)
        return out.astype(np.result_type(da.dtype, np.float32), copy=False).assign_attrs(attrs)
    if reduce == "sum":
        return da.sum(dims, skipna=False, keep_attrs=True)
    return getattr(da, reduce)(dims, keep_attrs=True)  # type: ignore[no-any-return]
