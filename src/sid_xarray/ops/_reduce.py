"""What a window is reduced to."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
import xarray as xr

from sid_xarray.core.dims import kind_of
from sid_xarray.core.lift import Out, bare, lift
from sid_xarray.errors import DimensionError

__all__ = ["reduced_over"]


def reduced_over(da: xr.DataArray, dims: Sequence[Hashable], reduce: str) -> xr.DataArray:
    """Reduce windows to one value; NaNs are left out of all but the sum."""
    if kind_of(da) not in "biufcmMO":
        raise DimensionError(f"{da.name!r} is no array of numbers ({da.dtype}), and text has no {reduce}.")
    if kind_of(da) == "c" and reduce in ("max", "min", "median"):
        raise DimensionError(f"complex values have no {reduce}. Take abs() or .real first, or reduce='mean'.")
    if reduce == "sum":
        return da.sum(dims, skipna=False, keep_attrs=True)
    if reduce == "median":  # dask has none over all dimensions
        dtype = da.dtype if kind_of(da) == "f" else np.float64
        (out,) = lift(_median, da, core=[list(dims)], out=[Out((), {}, dtype)], ndim=len(dims))
        return out.rename(da.name).assign_attrs(da.attrs)
    if reduce in ("mean", "std"):
        out = _mean(da, dims)
        if reduce == "std":
            off = abs(da - out)
            out = _mean(off * off, dims) ** 0.5
        return bare(out).assign_attrs(da.attrs).rename(da.name)
    return getattr(da, reduce)(dims, keep_attrs=True)  # type: ignore[no-any-return]


def _mean(da: xr.DataArray, dims: Sequence[Hashable]) -> xr.DataArray:
    """Return the mean of what is no NaN; unlike xarray's own, without a warning where there is nothing."""
    if kind_of(da) not in "fc":
        return da.mean(dims)
    count = da.notnull().sum(dims)
    return da.sum(dims, skipna=True) / count.where(count > 0).astype(da.real.dtype)


def _median(y: Any, *, ndim: int) -> Any:
    flat = y.reshape(*y.shape[:-ndim], -1)
    if flat.dtype.kind != "f":
        return np.median(flat, axis=-1)
    # numpy warns of windows without a number; that they are NaN says enough.
    empty = np.isnan(flat).all(axis=-1, keepdims=True)
    return np.where(empty[..., 0], np.nan, np.nanmedian(np.where(empty, 0, flat), axis=-1)).astype(y.dtype)
