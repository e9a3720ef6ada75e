"""Select by position, in units of the coordinate."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import xarray as xr

from sid_xarray.core import provenance
from sid_xarray.core.adopt import with_units
from sid_xarray.core.dims import position_of, units_of, values_of
from sid_xarray.core.lift import bare, float_dtype
from sid_xarray.errors import DimensionError
from sid_xarray.ops._reduce import reduced_over
from sid_xarray.ops._windows import as_indexer, inside_each, keywords, nearest_index
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
        ``"integrate"`` is the trapezoidal integral from low to high, in units of value × coordinate; of several
        windows, the sum of theirs. NaNs are left
        out of all but sum and integrate, where they make NaN.
    **kwargs
        ``energy=532`` the nearest point; ``energy=(520, 540)`` or a slice, a window with both ends; positions
        may be text: ``energy=("0.52 keV", "0.54 keV")``. A list of windows is their union. On an axis of words, the
        word; on one of dates, text such as ``"2024-05-31T12:00"``.

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
    if not chosen:
        raise DimensionError(f"say what to select: sel({da.dims[-1] if da.ndim else 'x'}=...)")
    spare = [d for d in widths if d not in chosen]
    if spare:
        raise DimensionError(f"width names {spare[0]!r}, which has no position: sel({spare[0]}=..., width=...)")
    if widths and reduce is None:
        reduce = "mean"
    if reduce is not None and reduce not in _REDUCE:
        raise ValueError(f"reduce is one of {', '.join(_REDUCE)}, got {reduce!r}")
    out = da
    reduced: list[Hashable] = []
    windows: dict[Hashable, list[np.ndarray]] = {}
    for dim, where in chosen.items():
        if dim in widths:
            where = _around(da, dim, where, widths[dim])
        if isinstance(where, str) or (np.ndim(where) == 0 and not isinstance(where, slice)):
            out = out.isel({dim: nearest_index(da, dim, where)})
        else:
            windows[dim] = inside_each(da, dim, where)
            out = out.isel({dim: as_indexer(np.logical_or.reduce(windows[dim]))})
            reduced.append(dim)
    if reduce == "integrate" and reduced:
        out = _integral(out, {dim: _weights(da, dim, windows[dim]) for dim in reduced})
    elif reduce is not None and reduced:
        out = reduced_over(out, reduced, reduce)
    plain = {str(k): v for k, v in chosen.items()}
    return provenance.stamp(out, "sel", da, indexers=plain, width={str(k): v for k, v in widths.items()}, reduce=reduce)


def _around(da: xr.DataArray, dim: Hashable, where: Any, width: Any) -> tuple[float, float]:
    if np.ndim(where) != 0 or isinstance(where, slice):
        raise DimensionError(f"width goes with one position: sel({dim}=532, width=10); got {where!r}")
    centre, half = position_of(da, dim, where), position_of(da, dim, width) / 2
    if not half >= 0:
        raise DimensionError(f"the width along {dim!r} should not be negative, got {width!r}")
    return centre - half, centre + half


def _weights(da: xr.DataArray, dim: Hashable, windows: list[np.ndarray]) -> np.ndarray:
    """Return the weights of the trapezoidal rule for the points in the windows; what lies between them is no part."""
    x = values_of(da, dim)
    order = np.argsort(x)
    joined = np.logical_or.reduce([mask[order][:-1] & mask[order][1:] for mask in windows])
    if not joined.any():
        n = max(int(mask.sum()) for mask in windows)
        raise DimensionError(f"an integral needs two points, the window along {dim!r} holds {n}")
    steps = np.where(joined, np.diff(x[order]), 0.0)
    weights = np.zeros(x.size)
    weights[order[:-1]] += steps / 2
    weights[order[1:]] += steps / 2
    return weights[np.logical_or.reduce(windows)]


def _integral(da: xr.DataArray, along: Mapping[Hashable, np.ndarray]) -> xr.DataArray:
    unit, dtype = units_of(da), float_dtype(da)
    out = da.astype(dtype, copy=False)
    for dim, weights in along.items():
        out = (out * xr.DataArray(weights.astype(dtype), dims=(dim,))).sum([dim], skipna=False)
        unit = units.multiply(unit, units_of(da, dim))
    return bare(out).assign_attrs(with_units(da.attrs, unit)).rename(da.name)
