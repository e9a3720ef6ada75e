"""The home of dask: whether data are lazy, and whole dimensions in one chunk."""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Iterable, Sequence
from typing import Any

import numpy as np
import xarray as xr

from sid_xarray._arrays import is_foreign
from sid_xarray.errors import warn

__all__ = ["graph_name", "is_chunked", "is_lazy", "is_source", "same_values", "whole", "with_neighbours"]

_TARGET = 128 * 2**20
_MANY_CHUNKS = 100_000
_SOURCES = ("xarray-", "open_dataset-", "original-")


def is_chunked(obj: xr.DataArray | xr.Variable) -> bool:
    """Tell whether the values are a dask array."""
    return obj.chunks is not None


def is_lazy(obj: xr.DataArray | xr.Variable) -> bool:
    """Tell whether looking at the values would read a file or start a computation."""
    variable = obj.variable if isinstance(obj, xr.DataArray) else obj
    return not variable._in_memory and (is_chunked(variable) or not is_foreign(variable._data))


def graph_name(obj: xr.DataArray | xr.Variable) -> str | None:
    """Return what lazy values are: the name of their graph, or which part of a file in which order.

    Returns
    -------
    str or None
        None for values in memory, and for a stretch of a file as it lies there.
    """
    if is_chunked(obj):
        return str(obj.data.name) if hasattr(obj.data, "name") else None
    return _index_name(obj.variable if isinstance(obj, xr.DataArray) else obj)


def same_values(obj: xr.DataArray | xr.Variable, name: str | None) -> bool:
    """Tell whether lazy values are still what they were, going by the graph; nothing is computed.

    Parameters
    ----------
    obj : DataArray or Variable
    name : str or None
        What `graph_name` returned then.

    Returns
    -------
    bool
        True if there is proof: the same graph, in other chunks at most; the same index into a file, or none.
    """
    if not is_chunked(obj):
        return _index_name(obj.variable if isinstance(obj, xr.DataArray) else obj) in (None, name)
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


def _index_name(variable: xr.Variable) -> str | None:
    """Return what lazy indices do to the values of a file; None if they at most cut out a stretch."""
    said: list[str] = []
    data: Any = variable._data
    while data is not None and not isinstance(data, np.ndarray):
        key = getattr(getattr(data, "key", None), "tuple", ())
        if not all(isinstance(k, slice) and k.step in (None, 1) for k in key):
            said.append(",".join(_index(k) for k in key))
        data = getattr(data, "array", None)
    return f"index:{hashlib.blake2b(repr(said).encode(), digest_size=12).hexdigest()}" if said else None


def _index(key: Any) -> str:
    if not isinstance(key, np.ndarray):
        return repr(key)
    # Of a large index (xarray makes one as large as the array when a file is transposed) a sample will do.
    some = key.ravel()[:: max(1, key.size // 4096)]
    return f"{key.shape}{hashlib.blake2b(np.ascontiguousarray(some).tobytes(), digest_size=12).hexdigest()}"


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


def with_neighbours(da: xr.DataArray, dims: Sequence[Hashable], new: Sequence[Hashable]) -> xr.DataArray:
    """Return an array with new last dimensions of three: the values before, at, and after every point.

    Values beyond the ends are NaN. Blocks of a chunked array get a margin from the blocks around them: chunks do not
    matter. In memory it is a view of one padded copy.

    Parameters
    ----------
    da : DataArray of float
    dims : sequence of hashable
        Along which there are neighbours.
    new : sequence of hashable
        Names of the new dimensions, one for each.
    """
    axes = da.get_axis_num(list(dims))
    shape = (3,) * len(dims)
    if da.chunks is None:
        margin = [(1, 1) if i in axes else (0, 0) for i in range(da.ndim)]
        values: Any = _windows(np.pad(da.values, margin, constant_values=np.nan), shape, axes)
    else:
        from dask.array import map_blocks
        from dask.array.overlap import overlap

        wide = overlap(da.data, dict.fromkeys(axes, 1), dict.fromkeys(axes, np.nan))
        values = map_blocks(
            _windows,
            wide,
            shape,
            axes,
            dtype=da.dtype,
            chunks=(*da.chunks, *((3,) for _ in dims)),
            new_axis=list(range(da.ndim, da.ndim + len(dims))),
            meta=np.empty((0,) * (da.ndim + len(dims)), dtype=da.dtype),
        )
    return xr.DataArray(values, dims=(*da.dims, *new), coords=da.coords)


def _windows(values: Any, shape: tuple[int, ...], axes: Sequence[int]) -> Any:
    return np.lib.stride_tricks.sliding_window_view(values, shape, axis=tuple(axes))


def is_source(obj: xr.DataArray | xr.Variable) -> bool:
    """Tell whether a dask array is an array of a file or of memory and nothing else: a part can be read alone."""
    layers = getattr(getattr(obj.data, "dask", None), "layers", None) if is_chunked(obj) else None
    if not layers:
        return False
    return len(layers) <= 2 and all(str(name).startswith((*_SOURCES, "array-")) for name in layers)
