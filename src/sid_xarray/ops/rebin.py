"""Join neighbouring samples."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from numbers import Real
from typing import Any

import numpy as np
import xarray as xr

from sid_xarray.core import provenance
from sid_xarray.core.dims import kind_of, position_of, spacing, units_of
from sid_xarray.errors import DimensionError, warn
from sid_xarray.ops._windows import keywords

__all__ = ["rebin"]


def rebin(
    da: xr.DataArray, bins: Mapping[Any, Any] | None = None, /, *, reduce: str = "sum", **kwargs: Any
) -> xr.DataArray:
    """Join neighbouring samples to bins.

    Parameters
    ----------
    da : DataArray
    bins : mapping, optional
        From dimension to size of a bin, for names that are no Python identifiers.
    reduce : {"sum", "mean"}, default: "sum"
        ``"sum"`` keeps counts, ``"mean"`` keeps intensities. A bin with a NaN is NaN.
    **kwargs
        ``energy=2`` is two samples, ``energy="0.5 eV"`` a width.

    Returns
    -------
    DataArray
        Coordinates are the centres of the bins. Sums of integers are 64 bit; floats keep their dtype. Lazy if
        the input is.

    Raises
    ------
    DimensionError
        If a bin is larger than the dimension, or smaller than a sample.

    Warns
    -----
    SidWarning
        If samples at the end fill no bin and are dropped, or a width is no whole number of samples.

    Examples
    --------
    >>> import sid_xarray as sid
    >>> cube = sid.datasets.peak_map()
    >>> cube.sid.rebin(energy=2).sizes["energy"] * 2 == cube.sizes["energy"]
    True
    """
    if reduce not in ("sum", "mean"):
        raise ValueError(f"reduce is 'sum' or 'mean', got {reduce!r}")
    kind, given = kind_of(da), keywords(da, bins, kwargs)
    factors = {dim: _samples(da, dim, size) for dim, size in given.items()}
    if not factors:
        raise DimensionError(f"say what to rebin: rebin({da.dims[-1] if da.ndim else 'x'}=2)")
    lost = {dim: da.sizes[dim] % n for dim, n in factors.items() if da.sizes[dim] % n}
    for dim, n in lost.items():
        warn(f"{n} sample(s) at the end of {dim!r} fill no bin of {factors[dim]} and are dropped")
    along = {c: _centre if da[c].dtype.kind in "biufmM" else _first for c in da.coords}
    coarse: Any = da.coarsen(factors, boundary="trim", coord_func=along)
    out: xr.DataArray = coarse.reduce(np.sum if reduce == "sum" else np.mean, keep_attrs=True)
    if kind == "f":
        out = out.astype(da.dtype.newbyteorder("="), copy=False)
    for name, coord in out.coords.items():
        coord.attrs = dict(da[name].attrs)
    said = {str(dim): size if isinstance(size, str) else factors[dim] for dim, size in given.items()}
    return provenance.stamp(out.rename(da.name), "rebin", da, bins=said, reduce=reduce)


def _samples(da: xr.DataArray, dim: Hashable, size: Any) -> int:
    if isinstance(size, str):
        step = abs(spacing(da, dim))
        wanted = position_of(da, dim, size) / step
        n = round(wanted)
        if n < 1:
            raise DimensionError(f"a bin of {size!r} is smaller than the step of {dim!r}, {step:g} {units_of(da, dim)}")
        if abs(wanted - n) > 1e-3 * n:
            warn(f"{size} is {wanted:.3g} samples of {dim!r}: bins have {n}, which is {n * step:g} {units_of(da, dim)}")
    else:
        number = isinstance(size, Real)
        if not number or not np.isfinite(size) or size != int(size):
            width = f"{size} {units_of(da, dim)}" if number else "0.5 nm"
            raise DimensionError(f"rebin({dim}={size!r}): a number is samples and whole. For a width type {width!r}")
        n = int(size)
    if not 1 <= n <= da.sizes[dim]:
        raise DimensionError(f"a bin of {size!r} is {n} samples; {dim!r} has {da.sizes[dim]}")
    return n


def _centre(values: Any, axis: Any = None) -> Any:
    if values.dtype.kind in "mM":  # numpy has no mean of dates
        return np.mean(values.astype(np.int64), axis=axis).round().astype(np.int64).astype(values.dtype)
    return np.mean(values, axis=axis)


def _first(values: Any, axis: Any = None) -> Any:
    axes = (axis,) if isinstance(axis, int) else tuple(axis)
    return values[tuple(0 if i in axes else slice(None) for i in range(values.ndim))]
