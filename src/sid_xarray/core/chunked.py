"""The home of dask: whether data are lazy, and whole dimensions in one chunk."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import Any

import numpy as np
import xarray as xr

from sid_xarray.errors import warn

__all__ = ["graph_name", "is_chunked", "is_lazy", "is_source", "same_values", "whole"]

_TARGET = 128 * 2**20
_MANY_CHUNKS = 100_000
_SOURCES = ("xarray-", "open_dataset-", "original-")


def is_chunked(obj: xr.DataArray | xr.Variable) -> bool:
    """Tell whether the values are a dask array."""
    return obj.chunks is not None


def is_lazy(obj: xr.DataArray | xr.Variable) -> bool:
    """Tell whether looking at the values would read a file or start a computation."""
    variable = obj.variable if isinstance(obj, xr.DataArray) else obj
    return not variable._in_memory


def graph_name(obj: xr.DataArray | xr.Variable) -> str | None:
    """Return the name of the graph behind lazy values; None for values in memory or in a file."""
    return str(obj.data.name) if is_chunked(obj) and hasattr(obj.data, "name") else None


def same_values(obj: xr.DataArray | xr.Variable, name: str | None) -> bool:
    """Tell whether lazy values are still what they were, going by the graph; nothing is computed.

    Parameters
    ----------
    obj : DataArray or Variable
    name : str or None
        What `graph_name` returned then; None if the values were in memory or in a file.

    Returns
    -------
    bool
        True if there is proof: the same graph, in other chunks at most. An index that reorders a file is none.
    """
    if not is_chunked(obj):
        return _is_whole_file(obj.variable if isinstance(obj, xr.DataArray) else obj)
    if not hasattr(obj.data, "dask"):
        return False
    depends = getattr(obj.data.dask, "dependencies", {})
    todo = [obj.data.name]
    while todo:
        here = str(todo.pop())
        # What only cuts an array into chunks: values that were computed, or read, and chunked again.
        if here == name or here.startswith(_SOURCES):
            continue
        below = depends.get(here, ())
        if not here.startswith("rechunk-") or not below:
            return False
        todo += below
    return True


def _is_whole_file(variable: xr.Variable) -> bool:
    data: Any = variable._data
    while data is not None:
        key = getattr(getattr(data, "key", None), "tuple", ())
        if not all(isinstance(k, slice) and k.step in (None, 1) for k in key):
            return False
        data = getattr(data, "array", None)
    return True


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
        warn(f"{n} chunks: a graph costs about 10 ms a chunk. Open with larger chunks (32–128 MiB).")
    return out


def is_source(obj: xr.DataArray | xr.Variable) -> bool:
    """Tell whether a dask array is an array of a file or of memory and nothing else: a part can be read alone."""
    layers = getattr(getattr(obj.data, "dask", None), "layers", None) if is_chunked(obj) else None
    if not layers:
        return False
    return len(layers) <= 2 and all(str(name).startswith((*_SOURCES, "array-")) for name in layers)
