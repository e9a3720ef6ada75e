"""The bridge to sidpy.Dataset, and so to pycroscopy, pyTEMlib and everything that takes one."""

from __future__ import annotations

import copy
from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import xarray as xr

from sid_xarray.core import metadata as _metadata
from sid_xarray.core.dims import data_kind, describe
from sid_xarray.core.structures import ENTRY as _STRUCTURES
from sid_xarray.core.structures import record
from sid_xarray.errors import DimensionError, MetadataError, warn
from sid_xarray.io.interop import _atoms, _carry
from sid_xarray.io.interop._common import (
    Pair,
    assembled,
    chunked,
    found_units,
    imported,
    packed,
    plain_dask,
    record_of,
    said,
    split,
    unique_name,
    units_attrs,
    with_variance,
)
from sid_xarray.io.nsid.layout import label_for
from sid_xarray.schema import attrs as names
from sid_xarray.schema import kinds

__all__ = ["from_sidpy", "to_sidpy"]

_OP = "sid:from_sidpy@1"
# Dicts that a sidpy.Dataset keeps beside its metadata, and that have a place of their own here.
_PLACED = frozenset(("provenance", "point_cloud", "metadata", "original_metadata", "structures"))
_POINTS = ("x", "y", "z")


def from_sidpy(dset: Any) -> xr.DataArray | xr.Dataset:
    """Make an array of a sidpy.Dataset; nothing is computed.

    Parameters
    ----------
    dset : sidpy.Dataset
        Or anything with the same attributes; sidpy itself is not needed.

    Returns
    -------
    DataArray or Dataset
        A Dataset of the signal and ``<name>_variance`` if there is a variance. dask arrays stay lazy. What came from
        ``to_sidpy`` is what it was, but for what was changed since.

    Raises
    ------
    DimensionError
        If there are no values.

    Warns
    -----
    SidWarning
        If something in the metadata is kept as text, or a dimension does not fit the values.
    """
    if not hasattr(dset, "shape") or not hasattr(dset, "dtype"):
        raise DimensionError(f"expected a sidpy.Dataset, got {type(dset).__name__}")
    text = getattr(dset, "metadata", None)
    record = _carry.read(text.get(_carry.KEY)) if isinstance(text, Mapping) else None
    return assembled(_natural(dset, unwrap=record is None or not record.get("chunked")), record, _OP)


def _natural(dset: Any, *, unwrap: bool = True) -> Pair:
    """Return what a stranger reads from a sidpy.Dataset."""
    dims, coords = _dimensions(dset)
    values = plain_dask(dset, unwrap=unwrap)
    attrs = _attrs(dset)
    title = said(getattr(dset, "title", None))
    name = title or attrs.get(names.LONG_NAME)
    # By way of a Variable: xarray would call the array by the name of a dask graph.
    da = xr.DataArray(xr.Variable(dims, values, attrs), coords=coords, name=name)
    da = _with_points(da, dset)
    stated = kinds.kind_from_nsid(_word(getattr(dset, "data_type", None)))
    if stated not in (None, data_kind(da)):
        da.attrs[names.DATA_TYPE] = stated
    spread = getattr(dset, "variance", None)
    if spread is None:
        return Pair(da)
    return with_variance(da, plain_dask(spread, unwrap=unwrap))


def _word(value: object) -> str:
    """Return the name of a member of an Enum, or the text."""
    return str(getattr(value, "name", value) or "")


def _dimensions(dset: Any) -> tuple[list[str], dict[Hashable, xr.Variable]]:
    axes = getattr(dset, "_axes", None) or {}
    dims: list[str] = []
    coords: dict[Hashable, xr.Variable] = {}
    for i, size in enumerate(dset.shape):
        axis = axes.get(i) if isinstance(axes, Mapping) else axes[i]
        axis = getattr(dset, f"dim_{i}", None) if axis is None else axis
        found = getattr(axis, "name", None)
        dim = unique_name(found, dims, f"dim_{i}")
        dims.append(dim)
        values = None if axis is None else np.array(getattr(axis, "values", axis))
        if values is None or values.shape != (size,):
            # Operations of sidpy leave axes behind that belong to other sizes.
            warn(f"dimension {dim!r} has no positions that fit its {size} points: uncalibrated")
            continue
        kind = kinds.parse_dimension_type(_word(getattr(axis, "dimension_type", None)))
        attrs: dict[Any, Any] = {}
        quantity = said(getattr(axis, "quantity", None))
        if quantity is not None:
            attrs[names.LONG_NAME] = quantity
        attrs |= units_attrs(getattr(axis, "units", None), axis=kind)
        if kind is not None:
            attrs[names.DIMENSION_TYPE] = kind
        if isinstance(found, str) and found != dim:
            attrs[names.NAME_ORIGINAL] = found
        coords[dim] = xr.Variable((dim,), values, attrs)
    return dims, coords


def _attrs(dset: Any) -> dict[Any, Any]:
    attrs: dict[Any, Any] = {}
    for key, ours in (("quantity", names.LONG_NAME), ("modality", names.MODALITY), ("source", names.SOURCE)):
        value = said(getattr(dset, key, None))
        if value is not None:
            attrs[ours] = value
    attrs |= units_attrs(getattr(dset, "units", None))
    title = said(getattr(dset, "title", None))
    if title is not None:
        attrs[names.TITLE] = title
    tree = dict(getattr(dset, "metadata", None) or {})
    tree.pop(_carry.KEY, None)
    structures = getattr(dset, "structures", None) or {}
    if structures:
        described = {str(k): record(v) for k, v in structures.items()}
        tree[_STRUCTURES] = {**_dict(tree.get(_STRUCTURES)), **described}
    point_cloud = {k: v for k, v in _dict(getattr(dset, "point_cloud", None)).items() if k not in _SHOWN_POINTS}
    others = {k: v for k, v in (("provenance", getattr(dset, "provenance", None)), ("point_cloud", point_cloud)) if v}
    loose = vars(dset).items() if hasattr(dset, "__dict__") else ()
    others |= {k: v for k, v in loose if isinstance(v, Mapping) and v and not k.startswith("_") and k not in _PLACED}
    for name, part in (
        (names.METADATA, tree),
        (names.ORIGINAL_METADATA, getattr(dset, "original_metadata", None) or {}),
        (names.OTHER_GROUPS, others),
    ):
        text = packed(part, name)
        if text is not None:
            attrs[name] = text
    attrs[names.VERSION] = names.VERSION_VALUE
    return attrs


_SHOWN_POINTS = ("coordinates", "spacial_units", "spatial_units")


def _dict(value: object) -> dict[str, Any]:
    return dict(value) if isinstance(value, Mapping) else {}


def _with_points(da: xr.DataArray, dset: Any) -> xr.DataArray:
    cloud = _dict(getattr(dset, "point_cloud", None))
    where = np.array(cloud.get("coordinates", ()))
    if not da.ndim or where.ndim != 2 or where.shape[0] != da.shape[0] or where.dtype.kind not in "iuf":
        return da
    attrs = units_attrs(cloud.get("spacial_units", cloud.get("spatial_units")), axis="spatial")
    for i, name in zip(range(where.shape[1]), _POINTS, strict=False):
        if name not in da.coords and name not in da.dims:
            da = da.assign_coords({name: ((da.dims[0],), where[:, i], dict(attrs))})
    return da


def to_sidpy(obj: xr.DataArray | xr.Dataset) -> Any:
    """Make a sidpy.Dataset of an array; lazy data stay lazy.

    Parameters
    ----------
    obj : DataArray or Dataset
        A Dataset may hold one signal and its variance.

    Returns
    -------
    sidpy.Dataset
        What sidpy has no place for (the history, dtypes of axes, further coordinates, attributes) lies in
        ``metadata["sid_xarray"]`` as text, and `from_sidpy` gives it back.

    Raises
    ------
    MissingDependencyError
        If sidpy is not installed.
    DimensionError
        If `obj` is no single signal, or has a dimension without points.
    """
    sidpy = imported("sidpy", "sidpy", "to_sidpy")
    pair = split(obj, "sidpy")
    da = pair.signal
    empty = [d for d in da.dims if da.sizes[d] == 0]
    if empty:
        raise DimensionError(f"dimension {empty[0]!r} has no points, and sidpy takes no such dimension")
    dset = _bare(sidpy, da)
    for i, dim in enumerate(_labels(da)):
        dset.set_dimension(i, _axis(sidpy, da, da.dims[i], dim))
    _describe(dset, da)
    if pair.variance is not None:
        # The setter of sidpy computes both arrays to compare their shapes.
        dset._variance = chunked(pair.variance)
    record = record_of(pair, _natural(dset, unwrap=da.chunks is None), list(da.dims))
    dset.metadata = {**dset.metadata, _carry.KEY: _carry.written(record)}
    return dset


def _bare(sidpy: Any, da: xr.DataArray) -> Any:
    dset = sidpy.Dataset.from_array(chunked(da), title=str(da.attrs.get(names.TITLE) or da.name or "generic"))
    dset.units = found_units(da.attrs) or "generic"
    for key, ours in (("quantity", names.LONG_NAME), ("modality", names.MODALITY), ("source", names.SOURCE)):
        value = da.attrs.get(ours)
        setattr(dset, key, value if isinstance(value, str) and value else "generic")
    dset.data_type = kinds.kind_to_nsid(data_kind(da))
    return dset


def _labels(da: xr.DataArray) -> list[str]:
    """Return names that sidpy can take: every one becomes an attribute of its Dataset."""
    labels: list[str] = []
    for i, dim in enumerate(da.dims):
        attrs = da[dim].attrs if dim in da.coords else {}
        found = attrs.get(names.NAME_ORIGINAL)
        wanted = found if isinstance(found, str) and "/" in found and found.replace("/", "_") == dim else dim
        label = label_for(dim, i, da.ndim, labels)
        labels.append(str(wanted) if label == dim and wanted not in labels else label)
    return labels


def _axis(sidpy: Any, da: xr.DataArray, dim: Hashable, label: str) -> Any:
    coord = da[dim] if dim in da.coords else None
    values = np.arange(da.sizes[dim], dtype=float)
    if coord is not None and coord.dtype.kind in "biuf":
        values = np.asarray(coord.values, dtype=float)
    kind = str(describe(da)[dim])
    attrs = {} if coord is None else coord.attrs
    quantity = attrs.get(names.LONG_NAME)
    quantity = quantity if isinstance(quantity, str) and quantity.strip() else "generic"
    unit = found_units(attrs, axis=kind) or "generic"
    return sidpy.Dimension(values, name=label, quantity=quantity, units=unit, dimension_type=kind.upper())


def _describe(dset: Any, da: xr.DataArray) -> None:
    """Write metadata, structures, point cloud and what other programs left; every dict is a fresh one."""
    tree = _unpacked(da.attrs.get(names.METADATA))
    structures = tree.get(_STRUCTURES)
    if isinstance(structures, dict):
        built = {k: _atoms.build(v) for k, v in structures.items()}
        for title, atoms in built.items():
            if atoms is not None:
                dset.add_structure(atoms, title)
        tree[_STRUCTURES] = {k: v for k, v in structures.items() if built[k] is None}
        if not tree[_STRUCTURES]:
            del tree[_STRUCTURES]
    for key, part in (("metadata", tree), ("original_metadata", _unpacked(da.attrs.get(names.ORIGINAL_METADATA)))):
        try:
            setattr(dset, key, part)
        except ValueError:  # sidpy takes no more than some thousand entries on one level; the record has them all
            warn(f"sidpy cannot show the {key}: it has {len(part)} entries on one level. They travel along unseen.")
            setattr(dset, key, {})
    others = _unpacked(da.attrs.get(names.OTHER_GROUPS))
    if isinstance(others.get("provenance"), dict):
        dset.provenance = others["provenance"]
    cloud = others.get("point_cloud")
    columns = [da[c] for c in _POINTS if _is_point(da, c)]
    if len(columns) >= 2:
        unit = found_units(columns[0].attrs, axis="spatial")
        said_units = {"spacial_units": unit} if unit else {}
        where = np.stack([np.asarray(c.values, dtype=float) for c in columns], axis=1)
        dset.point_cloud = {**_dict(cloud), "coordinates": where, **said_units}
    for key, value in others.items():
        if isinstance(value, dict) and key not in _PLACED and not hasattr(dset, key) and str(key).isidentifier():
            setattr(dset, key, copy.deepcopy(value))


def _is_point(da: xr.DataArray, name: str) -> bool:
    return name in da.coords and da.ndim > 0 and da[name].dims == da.dims[:1] and da[name].dtype.kind in "iuf"


def _unpacked(text: object) -> dict[str, Any]:
    try:
        return _metadata.unpack(text)
    except MetadataError:  # damaged text travels as it is
        return {}
