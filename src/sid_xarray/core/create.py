"""One line from a bare array to an array that knows what it is."""

from __future__ import annotations

import secrets
from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import xarray as xr

from sid_xarray.core import metadata as _metadata
from sid_xarray.core import provenance
from sid_xarray.core.adopt import adopt
from sid_xarray.core.chunked import is_lazy
from sid_xarray.core.fingerprint import axes_token, token
from sid_xarray.errors import DimensionError
from sid_xarray.schema import attrs as names
from sid_xarray.schema import kinds

__all__ = ["dataarray"]


def dataarray(
    values: Any,
    dims: Mapping[Any, Any],
    *,
    units: str = "1",
    quantity: str | None = None,
    name: Hashable | None = None,
    title: str | None = None,
    modality: str | None = None,
    source: str | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> xr.DataArray:
    """Make a labelled array from a bare numpy or dask array.

    Parameters
    ----------
    values : array_like
        Not copied. dask arrays stay lazy.
    dims : mapping
        One entry a dimension, slow to fast. ``"y": (0.5, "nm")`` is a step and its units; ``(array, "nm")``
        are positions; a third item is the type, ``(0.5, "nm", "spatial")``; a number is a step, an array are
        positions, None counts 0 … n-1.
    units : str, default: "1"
        Units of the values.
    quantity : str, optional
        What is measured, for labels: ``"current"``. Also the name, unless `name` is given.
    name, title, modality, source : optional
    metadata : mapping, optional
        Nested; stored as text.

    Returns
    -------
    DataArray
        With coordinates, units, types of dimensions, and a history that starts here.

    Raises
    ------
    DimensionError
        If `dims` do not fit the shape.

    Examples
    --------
    >>> import numpy as np, sid_xarray as sid
    >>> da = sid.dataarray(np.zeros((4, 5)), dims={"y": (0.5, "nm"), "x": (0.5, "nm")}, units="nA", quantity="current")
    >>> da.sid.kind, float(da.x[-1]), da.units
    ('image', 2.0, 'nA')
    """
    if isinstance(values, xr.DataArray | xr.Variable):
        values = values.data
    if not isinstance(dims, Mapping):
        raise DimensionError(f"dims is a mapping such as {{'y': (0.5, 'nm'), 'x': (0.5, 'nm')}}, got {dims!r}")
    array = values if hasattr(values, "ndim") and hasattr(values, "dtype") else np.asarray(values)
    if array.ndim != len(dims):
        raise DimensionError(
            f"values have {array.ndim} dimensions of sizes {tuple(array.shape)}, dims name {len(dims)}: {list(dims)}. "
            "Give one entry a dimension, slow to fast."
        )
    coords = {dim: _coordinate(dim, spec, size) for (dim, spec), size in zip(dims.items(), array.shape, strict=True)}
    said = {names.LONG_NAME: quantity, names.TITLE: title, names.MODALITY: modality, names.SOURCE: source}
    attrs: dict[str, Any] = {k: v for k, v in said.items() if v is not None}
    attrs[names.UNITS] = units
    if metadata:
        attrs[names.METADATA] = _metadata.pack(metadata)
    called = name if name is not None else quantity
    out = adopt(xr.DataArray(array, dims=list(dims), coords=coords, name=called, attrs=attrs))
    lazy = is_lazy(out)
    # Values in memory are their own address; lazy ones get a random one, which nobody can verify.
    address = {
        "tok": secrets.token_hex(8) if lazy else token(out),
        "axes": axes_token(out),
        "name": None if called is None else str(called),
    }
    return provenance.root(out, "sid:input@1", lazy=lazy, identity=address)


def _coordinate(dim: Hashable, spec: Any, size: int) -> xr.Variable:
    parts = spec if isinstance(spec, tuple) else (spec,)
    if not 1 <= len(parts) <= 3:
        raise DimensionError(f"dims[{dim!r}] should be (step or positions, units[, type]), got {spec!r}")
    where, units, kind = (*parts, None, None)[:3]
    if isinstance(where, str):
        raise DimensionError(f"dims[{dim!r}] should start with a step or positions, got {where!r}")
    if where is None:
        positions = np.arange(size, dtype=float)
    elif np.ndim(where) == 0:
        positions = np.arange(size) * float(where)
    else:
        positions = np.asarray(where)
    if positions.shape != (size,):
        raise DimensionError(f"dims[{dim!r}] has {positions.shape} positions for {size} points")
    attrs = {names.UNITS: "1" if units is None else str(units)}
    if kind is not None:
        parsed = kinds.parse_dimension_type(kind)
        if parsed is None:
            raise DimensionError(f"no dimension type {kind!r}. Types: {', '.join(kinds.DIMENSION_TYPES)}.")
        attrs[names.DIMENSION_TYPE] = parsed
    return xr.Variable((dim,), positions, attrs)
