"""The home of dask: whether data are lazy, and whole dimensions in one chunk."""

from __future__ import annotations

import warnings
from collections.abc import Hashable, Iterable
from typing import Any

import numpy as np
import xarray as xr

from sid_xarray.errors import SidWarning

__all__ = ["is_chunked", "is_lazy", "whole"]

_TARGET = 128 * 2**20
_MANY_CHUNKS = 100_000


def is_chunked(obj: xr.DataArray | xr.Variable) -> bool:
    """Tell whether the values are a dask array."""
    return obj.chunks is not None


def is_lazy(obj: xr.DataArray | xr.Variable) -> bool:
    """Tell whether looking at the values would read a file or start a computation."""
    variable = obj.variable if isinstance(obj, xr.DataArray) else obj
    return is_chunked(variable) or not variable._in_memory


def whole(da: xr.DataArray, dims: Iterable[Hashable]) -> xr.DataArray:
    """Return a chunked array with ``dims`` in one chunk each; others are left as they are.

    The blocks of the other dimensions shrink when joining would make blocks of more than 128 MiB.
    """
    if da.chunks is None:
        return da
    wanted = [dim for dim in dims if len(da.chunksizes[dim]) > 1]
    if not wanted:
        return da
    out = da.chunk(dict.fromkeys(wanted, -1))
    largest = int(np.prod([max(c) for c in out.chunks or ()], dtype=float)) * da.dtype.itemsize
    if largest > _TARGET:
        rest: dict[Hashable, Any] = {d: "auto" for d in da.dims if d not in dims}
        out = da.chunk({**dict.fromkeys(dims, -1), **rest}) if rest else out
    n = int(np.prod([len(c) for c in out.chunks or ()], dtype=float))
    if n > _MANY_CHUNKS:
        warnings.warn(
            f"{n} chunks: a graph costs about 10 ms a chunk. Open with larger chunks (32–128 MiB).",
            SidWarning,
            stacklevel=3,
        )
    return out
