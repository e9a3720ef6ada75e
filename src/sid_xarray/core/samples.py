"""An array as a table: a row for every sample, a column for every feature; blocks of it, where it is chunked."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from sid_xarray.core.chunked import is_chunked, whole

__all__ = ["late", "summed", "table"]


def table(da: xr.DataArray, features: Sequence[Hashable]) -> Any:
    """Return the values with samples along the first axis and features along the second; lazy in, lazy out."""
    ready, lead = _in_order(da, features)
    return ready.data.reshape((math.prod(ready.shape[:lead]), math.prod(ready.shape[lead:])))


def _in_order(da: xr.DataArray, features: Sequence[Hashable]) -> tuple[xr.DataArray, int]:
    """Return the array with the features last, whole in every chunk, and how many dimensions come before them."""
    samples = [d for d in da.dims if d not in features]
    return whole(da, features).transpose(*samples, *features), len(samples)


def summed(
    da: xr.DataArray, features: Sequence[Hashable], function: Callable[[Any], npt.NDArray[Any]], shape: tuple[int, int]
) -> Any:
    """Return the sum over blocks of a function of their tables.

    Parameters
    ----------
    da : DataArray
    features : sequence of hashable
    function : callable
        From a table of shape (rows, features) to an array of `shape`, in float64.
    shape : tuple of int

    Returns
    -------
    array
        A dask array if `da` is chunked: only one block and its sums are in memory at a time.
    """
    if not is_chunked(da):
        return function(np.asarray(table(da, features)))
    ready, lead = _in_order(da, features)
    data = ready.data
    ones = tuple((1,) * len(chunks) for chunks in data.chunks[:lead])
    blocks = data.map_blocks(
        _of_block,
        dtype=float,
        chunks=(*ones, (shape[0],), (shape[1],)),
        drop_axis=list(range(lead, data.ndim)),
        new_axis=[lead, lead + 1],
        meta=np.empty((0,) * (lead + 2)),
        function=function,
        lead=lead,
        shape=shape,
    )
    return blocks.sum(axis=tuple(range(lead)))


def _of_block(
    block: Any, *, function: Callable[[Any], npt.NDArray[Any]], lead: int, shape: tuple[int, int]
) -> npt.NDArray[Any]:
    rows = block.reshape(-1, math.prod(block.shape[lead:]))
    return function(rows).reshape((1,) * lead + shape)


def late(
    function: Callable[..., tuple[Any, ...]], *inputs: Any, shapes: Sequence[tuple[int, ...]], dtypes: Sequence[Any]
) -> tuple[Any, ...]:
    """Return the results of a function, as dask arrays that are computed when needed if an input is one.

    Parameters
    ----------
    function : callable
        Returns a tuple of arrays.
    *inputs : array
    shapes, dtypes : sequence
        Of the results.
    """
    if not any(hasattr(x, "dask") for x in inputs):
        return function(*inputs)
    import dask
    import dask.array

    found = dask.delayed(function, nout=len(shapes), pure=True)(*inputs)
    return tuple(
        dask.array.from_delayed(part, shape, dtype=dtype, meta=np.empty((0,) * len(shape), dtype))
        for part, shape, dtype in zip(found, shapes, dtypes, strict=True)
    )
