"""Adopt arrays that come from anywhere: the conventions are written down, nothing is computed."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any, TypeVar

import numpy as np
import xarray as xr

from sid_xarray.core import metadata as _metadata
from sid_xarray.core import provenance as _provenance
from sid_xarray.core.dims import describe, units_of
from sid_xarray.errors import DimensionError, warn
from sid_xarray.schema import attrs as names
from sid_xarray.schema import kinds, units

__all__ = ["adopt", "apply_units", "set_dims", "set_units", "with_units"]

T = TypeVar("T", xr.DataArray, xr.Dataset)

_RECORDS = {
    "metadata": names.METADATA,
    "original_metadata": names.ORIGINAL_METADATA,
    names.METADATA: names.METADATA,
    names.ORIGINAL_METADATA: names.ORIGINAL_METADATA,
}
_RECIPROCAL = {True: "reciprocal", False: "spectral"}
_INHERITED = (names.SOURCE, names.MODALITY, names.TITLE, names.METADATA, names.ORIGINAL_METADATA)


def adopt(obj: T, parent: xr.DataArray | xr.Dataset | None = None) -> T:
    """Make an array conform to the conventions; values and existing coordinates stay.

    Every dimension gets a coordinate (0 … n-1, units ``1``, where there is none), units get their canonical
    spelling (the spelling found is kept in ``sid_units_original``), types of dimensions are written down where
    they can be told, and dicts in ``attrs`` become records.

    Parameters
    ----------
    obj : DataArray or Dataset
    parent : DataArray or Dataset, optional
        An array that this one was made from by a tool that dropped coordinates and attributes: dimensions of
        equal name and size get the parent's coordinate back, ``freq_x`` (as xrft names it) the inverse of the units
        of ``x``, and the array its source, modality and metadata. A history starts with an ``unrecorded`` step on
        that of the parent, unless there is one.

    Returns
    -------
    DataArray or Dataset
        A new object; lazy data stay lazy.

    Warns
    -----
    SidWarning
        For units that nobody knows; they are kept as found.

    Examples
    --------
    >>> import numpy as np, xarray as xr, sid_xarray as sid
    >>> da = xr.DataArray(np.zeros((2, 3)), dims=("y", "x"), attrs={"units": "a.u."}).sid.adopt()
    >>> da.units, da.x.attrs["sid_dimension_type"]
    ('1', 'spatial')
    """
    out = obj.copy(deep=False)
    if parent is not None:
        out = _reconnect(out, parent)
    for dim in out.dims:
        out = _with_coordinate(out, dim)
    types = describe(out)
    for dim in out.dims:
        attrs = _coordinate_attrs(dim, out[dim].attrs, str(types[dim]), out[dim].dtype)
        out = _with_attrs(out, dim, attrs)
    if isinstance(out, xr.Dataset):
        out.attrs = _records(out.attrs)
        for key in out.data_vars:
            out[key].attrs = _data_attrs(out[key].attrs)
    else:
        out.attrs = _data_attrs(out.attrs)
    return out if parent is None else _provenance.descend(out, parent)


def _with_attrs(obj: T, coord: Hashable, attrs: Mapping[str, Any]) -> T:
    """Return the object with the attributes of one coordinate replaced; its index and encoding stay."""
    out = obj.copy(deep=False)
    out.coords[coord].attrs = dict(attrs)  # a fresh dict: the copy shares no attributes with its input
    return out


def _reconnect(obj: T, parent: xr.DataArray | xr.Dataset) -> T:
    for dim in obj.dims:
        origin = next((d for d in parent.dims if f"freq_{d}" == dim), None)
        if origin is not None and dim in obj.coords and names.UNITS not in obj[dim].attrs:
            space = describe(parent)[origin] == "spatial"
            attrs = {names.UNITS: units.power(units_of(parent, origin), -1)}
            obj = _with_attrs(obj, dim, {**obj[dim].attrs, **attrs, names.DIMENSION_TYPE: _RECIPROCAL[space]})
    same = [d for d in obj.dims if d in parent.dims and obj.sizes[d] == parent.sizes[d]]
    lost = {d: parent[d].variable for d in same if d in parent.coords and d not in obj.coords}
    obj = obj.assign_coords(lost)
    for dim in same:
        if dim in parent.coords and dim not in lost:
            obj = _with_attrs(obj, dim, {**parent[dim].attrs, **obj[dim].attrs})
    if isinstance(obj, xr.DataArray):
        inherited = {k: parent.attrs[k] for k in _INHERITED if k in parent.attrs and k not in obj.attrs}
        obj = obj.assign_attrs(inherited)
    return obj


def _coordinate_attrs(dim: Hashable, attrs: Mapping[Any, Any], kind: str, dtype: np.dtype[Any]) -> dict[Any, Any]:
    out = _records(attrs)
    # Datetimes carry their unit in the dtype (a `units` attribute would be decoded), text has none.
    if dtype.kind in "biufc":
        out = apply_units({names.UNITS: "1", **out}, axis=kind)
    out[names.DIMENSION_TYPE] = kind
    axis = {"x": "X", "y": "Y", "z": "Z"}.get(str(dim).lower()) if kind == "spatial" else None
    if kind == "temporal" and (dtype.kind in "Mm" or units.dimensionality(str(out.get(names.UNITS))) == "time"):
        axis = "T"
    if axis is not None:
        out.setdefault(names.AXIS, axis)
    return out


def _data_attrs(attrs: Mapping[Any, Any]) -> dict[Any, Any]:
    out = _records(attrs)
    out = apply_units(out) if names.UNITS in out else {**out, names.UNITS: "1"}
    out[names.VERSION] = names.VERSION_VALUE
    return out


def _records(attrs: Mapping[Any, Any]) -> dict[Any, Any]:
    """Return attributes in which dicts have become text."""
    out = dict(attrs)
    loose: dict[str, Any] = {}
    for key, value in attrs.items():
        if isinstance(value, Mapping):
            target = _RECORDS.get(str(key))
            del out[key]
            if target is not None:
                out[target] = _metadata.pack({**_metadata.unpack(out.get(target)), **value})
            else:
                loose[str(key)] = value
    if loose:
        kept = _metadata.unpack(out.get(names.METADATA))
        out[names.METADATA] = _metadata.pack({**loose, **kept})
    return out


def apply_units(attrs: Mapping[Any, Any], *, axis: str | None = None) -> dict[Any, Any]:
    """Return attributes with canonical units; the spelling found is kept beside it.

    Warns
    -----
    SidWarning
        If nobody knows the units; they pass through.
    """
    out = dict(attrs)
    found = units.normalise(out.get(names.UNITS), axis=axis)
    if not found.known:
        warn(
            f"units {found.canonical!r} are not known and stay as they are. "
            "Say what they are: da.sid.set_units('nm') or da.sid.set_units(x='nm')."
        )
    out[names.UNITS] = found.canonical
    if found.original is not None:
        out[names.UNITS_ORIGINAL] = found.original
    return out


def set_dims(obj: T, dims: Mapping[Any, str] | None = None, /, **kwargs: str) -> T:
    """Declare the types of dimensions.

    Parameters
    ----------
    obj : DataArray or Dataset
    dims : mapping, optional
        From dimension to type, for names that are no Python identifiers.
    **kwargs
        ``x="spatial"``; types: spatial, reciprocal, spectral, temporal, channel, point_cloud, unknown.

    Returns
    -------
    DataArray or Dataset
        Values are shared. Dimensions without a coordinate get one (0 … n-1).

    Raises
    ------
    DimensionError
        If there is no such dimension or type.
    """
    if dims is not None and not isinstance(dims, Mapping):
        raise DimensionError(f"dims is a mapping such as {{'x': 'spatial'}}, got {dims!r}")
    for dim, kind in {**(dims or {}), **kwargs}.items():
        if dim not in obj.dims:
            raise _no_dimension(obj, dim)
        parsed = kinds.parse_dimension_type(kind)
        if parsed is None:
            raise DimensionError(f"no dimension type {kind!r}. Types: {', '.join(kinds.DIMENSION_TYPES)}.")
        obj = _with_coordinate(obj, dim)
        obj = _with_attrs(obj, dim, {**obj[dim].attrs, names.DIMENSION_TYPE: parsed})
    return obj


def set_units(obj: T, units_: str | Mapping[Any, str] | None = None, /, **kwargs: str) -> T:
    """Declare units of values and coordinates; numbers are not changed.

    Parameters
    ----------
    obj : DataArray or Dataset
    units_ : str or mapping, optional
        Units of the values; or a mapping from coordinate (and, for a Dataset, variable) to units.
    **kwargs
        ``x="nm"``.

    Returns
    -------
    DataArray or Dataset

    Raises
    ------
    DimensionError
        If there is no such coordinate or variable.
    """
    if units_ is not None and not isinstance(units_, str | Mapping):
        raise DimensionError(f"units are text such as 'nA', or a mapping such as {{'x': 'nm'}}; got {units_!r}")
    given = dict(units_) if isinstance(units_, Mapping) else {}
    out = obj.copy(deep=False)
    if isinstance(units_, str):
        if isinstance(out, xr.Dataset):
            raise DimensionError("a Dataset has one unit a variable: set_units({'signal': 'nA'})")
        out.attrs = apply_units(with_units(out.attrs, units_))
    for key, text in {**given, **kwargs}.items():
        if isinstance(out, xr.Dataset) and key in out.data_vars:
            out[key].attrs = apply_units(with_units(out[key].attrs, text))
            continue
        if key not in out.coords:
            out = _with_coordinate(out, key)
        kind = str(describe(out)[key]) if key in out.dims else None
        out = _with_attrs(out, key, apply_units(with_units(out[key].attrs, text), axis=kind))
    return out


def with_units(attrs: Mapping[Any, Any], text: str) -> dict[Any, Any]:
    """Return attributes with other units; the spelling found before says nothing about these."""
    return {k: v for k, v in attrs.items() if k != names.UNITS_ORIGINAL} | {names.UNITS: text}


def _with_coordinate(obj: T, dim: Hashable) -> T:
    if dim in obj.coords:
        return obj
    if dim not in obj.dims:
        raise _no_dimension(obj, dim)
    return obj.assign_coords({dim: (dim, np.arange(obj.sizes[dim], dtype=float), {names.UNITS: "1"})})


def _no_dimension(obj: xr.DataArray | xr.Dataset, dim: Hashable) -> DimensionError:
    there = [*obj.dims, *(c for c in obj.coords if c not in obj.dims)]
    return DimensionError(f"no dimension or coordinate {dim!r}: there are {', '.join(map(repr, there)) or 'none'}")
